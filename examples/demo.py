"""
A small tree of resources to try a client on::

    twistd -n coap --resources examples.demo
    txcoap get coap://localhost/hello
    txcoap put --payload off coap://localhost/light
"""

from datetime import datetime

from txcoap import Code, Resource, Response
from txcoap.errors import BadRequest


class Front(Resource):
    """What there is to see."""

    def render_GET(self, request):
        return (
            "This is txcoap, CoAP for Twisted.\n"
            "Try /hello, /time, /light (PUT on or off) and /.well-known/core.\n"
        )


class Hello(Resource):
    """Fixed text."""

    isLeaf = True

    def render_GET(self, request):
        return "Hello, world!\n"


class Time(Resource):
    """The time here; stale after a second."""

    isLeaf = True

    def render_GET(self, request):
        return Response(Code.CONTENT, datetime.now().isoformat(" ", "seconds").encode(), maxAge=1)


class Light(Resource):
    """A light that can be switched."""

    isLeaf = True
    state = "off"

    def render_GET(self, request):
        return self.state

    def render_PUT(self, request):
        if request.payload not in (b"on", b"off"):
            raise BadRequest("a light is put on or off")
        self.state = request.payload.decode()
        return Response(Code.CHANGED)


root = Front()
root.putChild("hello", Hello())
root.putChild("time", Time())
root.putChild("light", Light())
