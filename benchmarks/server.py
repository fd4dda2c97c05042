"""
txcoap as it is measured: C{/hello} and C{/echo} on a port of 127.0.0.1.

Usage: C{python benchmarks/server.py PORT}
"""

from __future__ import annotations

import sys

from twisted.internet import endpoints

from txcoap import Code, Request, Resource, Response, Site


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


def main(port: int) -> None:
    """
    Listen until the process is ended.
    """
    from twisted.internet import reactor

    root = Resource()
    root.putChild("hello", Hello())
    root.putChild("echo", Echo())
    description = f"udp:{port}:interface=127.0.0.1"
    endpoint = endpoints.serverFromString(reactor, description)  # type: ignore[no-untyped-call]
    endpoint.listen(Site(root))
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
