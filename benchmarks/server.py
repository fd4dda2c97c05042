"""
txcoap as it is measured: a resource for each kind of load, on a port of 127.0.0.1.

Usage: C{python benchmarks/server.py PORT}
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from txcoap import Agent, Code, ObservableResource, Request, Resource, Response, Site, endpoints
from txcoap.caching import CachingAgent
from txcoap.parameters import Parameters
from txcoap.proxy import ForwardProxy


class Hello(Resource):
    """
    Answers GET with a short text.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> str:
        """
        The same each time, but made anew, as an application would.
        """
        return "Hello, world!"


class Awaited(Resource):
    """
    Answers GET with a short text, by a coroutine that does not wait.
    """

    isLeaf = True

    async def render_GET(self, request: Request) -> str:
        """
        As L{Hello}.
        """
        return "Hello, world!"


class Fresh(Resource):
    """
    Answers GET with a short text that no cache may keep (RFC 7252 5.10.5).
    """

    isLeaf = True

    def render_GET(self, request: Request) -> Response:
        """
        As L{Hello}, for no second.
        """
        return Response(Code.CONTENT, b"Hello, world!", maxAge=0)


class Echo(Resource):
    """
    Answers POST with what it was sent.
    """

    isLeaf = True

    def render_POST(self, request: Request) -> Response:
        """
        2.04 with the payload.
        """
        return Response(Code.CHANGED, request.payload)


class Large(Resource):
    """
    Answers GET with 65,536 bytes, the same each time: byte C{i} is C{i % 251}.
    """

    isLeaf = True
    body = (bytes(range(251)) * 262)[:65_536]

    def render_GET(self, request: Request) -> bytes:
        """
        All of it; the site cuts it into blocks.
        """
        return self.body


class Observed(ObservableResource):
    """
    Keeps what is put, and tells its observers.
    """

    isLeaf = True
    value = b""

    def render_GET(self, request: Request) -> bytes:
        """
        The value.
        """
        return self.value

    def render_PUT(self, request: Request) -> None:
        """
        Keep it, and tell.
        """
        self.value = request.payload
        self.notifyObservers()


def tree() -> Resource:
    """
    All that is served.
    """
    root = Resource()
    root.putChild("hello", Hello())
    root.putChild("await", Awaited())
    root.putChild("fresh", Fresh())
    root.putChild("echo", Echo())
    root.putChild("large", Large())
    root.putChild("obs", Observed())
    return root


async def listen(reactor: Any, port: str) -> None:
    """
    Listen on 127.0.0.1, where it is a proxy as well, and on 127.0.0.2, which that asks.
    """
    root = tree()
    agent = Agent(reactor, parameters=Parameters(NSTART=64))
    site = Site(root, proxy=ForwardProxy(CachingAgent(agent)))
    for interface, served in (("127.0.0.1", site), ("127.0.0.2", Site(root))):
        endpoint = endpoints.serverFromString(reactor, f"udp:{port}:interface={interface}")
        await endpoint.listen(served)


async def main(reactor: Any, port: str) -> None:
    """
    Listen until the process is ended.
    """
    await listen(reactor, port)
    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: python benchmarks/server.py PORT")
    react(main, sys.argv[1:])
