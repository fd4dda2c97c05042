"""
The smallest server::

    twistd -n coap --resources examples.hello
    txcoap get coap://localhost/
"""

from txcoap import Request, Resource


class Hello(Resource):
    """Greets whoever asks."""

    def render_GET(self, request: Request) -> str:
        name = request.args.get("name", ["world"])[0]
        return f"Hello, {name}!\n"


root = Hello()
