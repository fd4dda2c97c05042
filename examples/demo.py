"""
A small tree of resources to try a client on::

    twistd -n coap --resources examples.demo
    txcoap get coap://localhost/hello
    txcoap put --payload off coap://localhost/light
"""

from datetime import datetime

from txcoap import Code, Request, Resource, Response
from txcoap.errors import BadRequest


class Front(Resource):
    """What there is to see."""

    def render_GET(self, request: Request) -> str:
        return "This is txcoap. Try /hello, /time, /light (GET; PUT on or off) and /.well-known/core.\n"


class Hello(Resource):
    """Fixed text."""

    def render_GET(self, request: Request) -> str:
        return "Hello, world!\n"


class Time(Resource):
    """The time here; stale after a second."""

    attributes = {"title": "The time"}

    def render_GET(self, request: Request) -> Response:
        now = datetime.now().isoformat(" ", "seconds")
        return Response(Code.CONTENT, f"{now}\n".encode(), contentFormat="text/plain", maxAge=1)


class Light(Resource):
    """A light that can be switched."""

    attributes = {"title": "A light", "rt": "light"}
    state = "off"

    def render_GET(self, request: Request) -> str:
        return self.state

    def render_PUT(self, request: Request) -> None:
        state = request.payload.decode(errors="replace").strip()
        if state not in ("on", "off"):
            raise BadRequest("a light is put on or off")
        self.state = state


root = Front()
root.putChild("hello", Hello())
root.putChild("time", Time())
root.putChild("light", Light())
