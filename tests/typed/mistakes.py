"""
What C{mypy --strict} refuses a user, with a part of what it says at each line.
"""

from __future__ import annotations

from txcoap import URI, Agent, Code, Limits, Parameters, Request, Resource, Response, Router

app = Router()


class Lamp(Resource):
    """A resource that is wrong in places."""

    isLeaf = "yes"  # refused: expression has type "str", base class "Resource" defined the type as "bool"

    def getChild(self, name: bytes, request: Request) -> Resource:  # refused: incompatible with supertype
        return self

    def render_GET(self, request: Request) -> bytes:
        return request.text()  # refused: got "str", expected "bytes"

    def render_PUT(self, request: Request) -> Response:
        print(request.payload + "!")  # refused: Unsupported operand types for + ("bytes" and "str")
        return Response(Code.CHANGED, 5)  # refused: incompatible type "int"; expected "bytes


async def ask(agent: Agent) -> None:
    """A client that is wrong in places."""
    agent.get(5)  # refused: incompatible type "int"; expected "str | URI | None"
    agent.get("coap://localhost").payload  # refused: "Deferred[Any]" has no attribute "payload"
    agent.request("GET", "coap://localhost", confirmable="no")  # refused: expected "bool"
    agent.request("GET", "coap://localhost", params=5)  # refused: "int"; expected "str | Mapping
    async with agent.observe("coap://localhost"):  # refused: "Deferred[Observation]" has no attribute
        pass


Resource().putChild(b"lamp", Lamp())  # refused: "bytes"; expected "str"
Parameters(ACK_TIMEOUTS=3)  # refused: Unexpected keyword argument "ACK_TIMEOUTS"
Parameters(NSTART="2")  # refused: "str"; expected "int"
Limits(peers=1.5)  # refused: "float"; expected "int"
print(Code.CONTENTS)  # refused: "type[Code]" has no attribute "CONTENTS"
URI("coap")  # refused: Missing positional argument "host"
