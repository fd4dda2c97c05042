"""
The resources of ETSI's CoAP plugtests whose bodies come and go in blocks, beside C{/large} and
C{/large-update}, which C{examples.plugtest} has; that one serves those of
C{examples.plugtest_large} too.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from txcoap import Code, Request, Resource, Response
from txcoap.errors import BadRequest
from txcoap.linkformat import Link, write

LARGE = "".join(f"{line:2}: {'.' * 59}\n" for line in range(20))
"""1280 bytes: 20 lines of 64."""

MAX_CREATED = 100


class LargeSeparate(Resource):
    """Acknowledges at once, and answers with a large body after a second."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor

    def render_GET(self, request: Request) -> Deferred[str]:
        request.acknowledge()
        return deferLater(self.reactor, 1.0, lambda: LARGE)


class LargePost(Resource):
    """BLOCK_05: answers with the text that it is given, in upper case."""

    def render_POST(self, request: Request) -> Response:
        if request.contentFormat != 0:
            raise BadRequest("Content-Format is not text/plain")
        return Response(Code.CHANGED, request.text().upper().encode(), contentFormat=0)


class Created(Resource):
    """What a POST created, until it is deleted."""

    def __init__(self, siblings: dict[str, Any], request: Request) -> None:
        self.siblings = siblings
        self.body, self.contentFormat = request.payload, request.contentFormat

    def render_GET(self, request: Request) -> bytes:
        return self.body

    def render_DELETE(self, request: Request) -> None:
        del self.siblings[request.prepath[-1]]


class LargeCreate(Resource):
    """BLOCK_04: each POST creates another child, called C{1}, C{2}, …; the oldest go."""

    count = 0

    def __init__(self) -> None:
        self.children: dict[str, Any] = {}

    def render_GET(self, request: Request) -> bytes:
        request.negotiate("application/link-format")
        return write(Link.of(f"{request.path}/{name}") for name in self.children).encode()

    def render_POST(self, request: Request) -> Response:
        if request.contentFormat is None:
            raise BadRequest("Content-Format is missing")
        self.count += 1
        name = str(self.count)
        self.putChild(name, Created(self.children, request))
        if len(self.children) > MAX_CREATED:
            del self.children[next(iter(self.children))]
        return Response(Code.CREATED, locationPath=(*request.prepath, name))


def large(reactor: Any) -> dict[str, Resource]:
    """The resources, by path."""
    return {
        "large-separate": LargeSeparate(reactor),
        "large-create": LargeCreate(),
        "large-post": LargePost(),
    }
