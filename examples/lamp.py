"""
A lamp that takes a moment to switch::

    twistd -n coap --resources examples.lamp
    txcoap get coap://localhost/lamp
    txcoap put --payload on coap://localhost/lamp
"""

from typing import Any

from twisted.internet.task import deferLater

from txcoap import Code, Request, Resource, Response
from txcoap.errors import BadRequest


class Lamp(Resource):
    """
    On or off.

    GET tells which, and spares the answer to those who know it by its entity tag. PUT switches; with
    If-Match, only the state that the client has seen.
    """

    attributes = {"rt": "light", "title": "A lamp", "ct": 0}
    heedsConditions = True
    state = "off"
    changes = 0

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor

    @property
    def etag(self) -> bytes:
        return b"%x" % self.changes

    def render_GET(self, request: Request) -> str:
        request.negotiate("text/plain")
        request.setETag(self.etag)
        return self.state

    async def render_PUT(self, request: Request) -> Response:
        wanted = request.payload.decode(errors="replace").strip()
        if wanted not in ("on", "off"):
            raise BadRequest("a lamp is put on or off")
        await deferLater(self.reactor, 0.2)
        request.checkPreconditions(self.etag)
        self.state = wanted
        self.changes += 1
        return Response(Code.CHANGED, etag=self.etag)


def root(reactor: Any) -> Resource:
    """The tree: C{/lamp}."""
    tree = Resource()
    tree.putChild("lamp", Lamp(reactor))
    return tree
