"""
A small project of a user's, which C{mypy --strict} passes without a plugin.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from twisted.internet.defer import Deferred

from txcoap import (
    NOT_DONE_YET,
    URI,
    Agent,
    Code,
    ObservableResource,
    Parameters,
    Request,
    Resource,
    Response,
    ResponseError,
    Router,
)
from txcoap.errors import BadRequest, NoAcknowledgement, NotFound
from txcoap.testing import MemoryNetwork, StubAgent


class Lamp(ObservableResource):
    """A state that is observed and set."""

    isLeaf = True
    contentFormat = "text/plain"

    def __init__(self, state: str = "off") -> None:
        super().__init__()
        self.state = state

    def render_GET(self, request: Request) -> str:
        return self.state

    async def render_PUT(self, request: Request) -> Response:
        text = request.text()
        if text not in ("on", "off"):
            raise BadRequest("on or off")
        self.state = text
        self.notifyObservers()
        return Response(Code.CHANGED, etag=b"1", maxAge=5)

    def render_DELETE(self, request: Request) -> Deferred[None]:
        return Deferred()

    def render_POST(self, request: Request) -> int:
        request.write(b"slowly")
        request.finish()
        return NOT_DONE_YET


class House(Resource):
    """Children by name."""

    def __init__(self) -> None:
        super().__init__()
        self.putChild("lamp", Lamp())

    def getChild(self, name: str, request: Request) -> Resource:
        if not name.isdigit():
            raise NotFound()
        return Lamp(name)


class Sensors:
    """Functions, each with its path."""

    app = Router()

    @app.route("/sensors/<name>")
    def sensor(self, request: Request, name: str) -> str:
        return name

    @app.route("/sensors/<int:number>/value", methods=["GET"])
    async def value(self, request: Request, number: int) -> bytes:
        return b"%d" % number


async def ask(agent: Agent, uri: str | URI) -> str:
    """One of everything."""
    response = await agent.get(uri, accept="text/plain", timeout=3.0)
    response.raiseForCode()
    try:
        await agent.put(uri, "on", parameters=Parameters(ACK_TIMEOUT=1.0))
        await agent.post(uri, json={"a": 1}, params={"x": 1})
    except NoAcknowledgement as e:
        print(e.seconds)
    except ResponseError as e:
        print(e.code, e.diagnostic)
    async with await agent.observe(uri) as states:
        async for state in states:
            return state.text()
    text: str = response.text()
    return text


async def states(agent: Agent, uri: str) -> AsyncIterator[bytes]:
    """Those of a resource."""
    async with await agent.observe(uri) as observation:
        async for state in observation:
            yield state.payload


def test() -> None:
    """What a test does."""
    agent = StubAgent(House())
    network = MemoryNetwork(loss=0.1)
    found: list[bytes] = []
    agent.get("coap://test/lamp").addCallback(lambda response: found.append(response.payload))
    network.agent().discover("coap://192.0.2.1").addCallback(lambda links: [link.target for link in links])
