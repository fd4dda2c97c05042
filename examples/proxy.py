"""
A forward proxy that remembers what it was told, reads only, and asks nobody but one network::

    python -m examples.proxy 192.0.2.0/24
    txcoap get --proxy localhost coap://192.0.2.7/temperature
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from txcoap import Agent, Request, Resource, Site
from txcoap.caching import CachingAgent
from txcoap.endpoints import serverFromString
from txcoap.errors import MethodNotAllowed
from txcoap.proxy import AllowList, ForwardProxy, Target


class ReadOnly:
    """Lets what changes nothing go to some addresses."""

    def __init__(self, *patterns: str) -> None:
        self.allowed = AllowList(*patterns)

    def __call__(self, request: Request, target: Target) -> bool:
        if request.method not in ("GET", "FETCH"):
            raise MethodNotAllowed("this proxy reads only")
        return self.allowed(request, target)


class Count(Resource):
    """What the proxy itself says at C{/}: how many requests it asks now, and how many states it follows."""

    proxy: ForwardProxy

    def render_GET(self, request: Request) -> str:
        return f"{self.proxy.underWay} {self.proxy.observations}"


def makeSite(agent: object, *patterns: str) -> Site:
    """The proxy, and what it says of itself."""
    root = Count()
    root.proxy = ForwardProxy(CachingAgent(agent), ReadOnly(*patterns))
    return Site(root, proxy=root.proxy)


async def main(reactor: object, *patterns: str) -> None:
    await serverFromString(reactor, "udp:5683").listen(makeSite(Agent(reactor), *patterns))
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
