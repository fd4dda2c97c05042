"""
Other implementations' clients against a router of ours that speaks in headers, and has an option and a
content format of its own; our agent, by parts and headers, against their servers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from txcoap import Agent, Code, Response, Router, Site
from txcoap.definitions import OPAQUE, STRING, Repeated, Single
from txcoap.formats import registerFormat
from txcoap.options import registerOption
from txcoap.transports import udp

from .peers import LOOPBACK4, Query, ask, baseURI, startServer

#: A critical option of nobody's.
UNIT = 65001
LEVEL = 65002
CONTENT_FORMAT = 12


def makeRouter() -> Router:
    """Readings by name and unit."""
    app = Router()
    readings = {"hall": "21.5"}

    @app.route("/readings/<name>", attributes={"rt": "reading"})
    def reading(request: Any, name: str) -> str:
        request.writeHead("2.05", {"Max-Age": 5, str(LEVEL): [b"\x01", b"\x02"]})
        return f"{readings[name]} {request.options.readingUnit}"

    @app.route("/readings/<name>", methods=["PUT"])
    async def change(request: Any, name: str) -> Response:
        readings[name] = request.text()
        return Response("2.01", request.getHeader("Content-Type").encode())

    @app.handleErrors(KeyError)
    def lacking(request: Any, failure: Any) -> str:
        request.writeHead(404)
        return f"no {failure.value}"

    return app


class ServingCase(TestCase):
    """A test with our router as the server."""

    peer = ""
    timeout = 60

    def setUp(self) -> None:
        """Register, for the time of the test."""
        for each in (
            registerOption(Single[str](UNIT, "Reading-Unit", STRING, 1, 16)),
            registerOption(Repeated[bytes](LEVEL, "Level", OPAQUE, 0, 4)),
            registerFormat(65100, "application/x-reading"),
        ):
            self.addCleanup(each.unregister)
        port: Any = udp.listenUDP(reactor, 0, Site(makeRouter()).buildProtocol(reactor), LOOPBACK4)
        self.addCleanup(port.stopListening)
        self.base = baseURI(LOOPBACK4, port.getHost().port)

    async def one(self, method: str, path: str, **how: Any) -> Any:
        """The one answer to a request of the peer's client."""
        (answer,) = await ask(self, self.peer, Query(method, self.base + path, **how))
        return answer


class Client:
    """What holds of every client."""

    async def test_router(self: Any) -> None:
        """Methods, paths and errors reach their functions, a critical option that is registered too."""
        answer = await self.one("GET", "/readings/hall", options=[(UNIT, b"celsius")])
        self.assertEqual((answer.code, answer.payload), ("2.05", b"21.5 celsius"))
        answer = await self.one(
            "PUT", "/readings/attic", payload=b"30", options=[(CONTENT_FORMAT, b"\xfe\x4c")]
        )
        self.assertEqual((answer.code, answer.payload), ("2.01", b"application/x-reading"))
        answer = await self.one("GET", "/readings/cellar")
        self.assertEqual((answer.code, answer.payload), ("4.04", b"no 'cellar'"))
        answer = await self.one("DELETE", "/readings/hall")
        self.assertEqual((answer.code, answer.payload), ("4.05", b"allowed: GET, PUT"))


class LibcoapTests(Client, ServingCase):
    """libcoap's client."""

    peer = "libcoap"


class AiocoapTests(Client, ServingCase):
    """aiocoap's client."""

    peer = "aiocoap"


class NodeCoapTests(Client, ServingCase):
    """node-coap's client."""

    peer = "node-coap"


class Server:
    """What holds of every server; our agent is asked as node-coap's users ask."""

    timeout = 60

    async def test_parts(self: Any) -> None:
        """Host, port, path, query and headers make the request that a URI and options make."""
        base = await startServer(self, self.peer)
        agent = Agent(reactor)
        self.addCleanup(agent.close)
        where: Any = {"host": LOOPBACK4, "port": int(base.rsplit(":", 1)[1])}
        response = await agent.request("GET", path="/hello", **where)
        self.assertEqual(response.payload, b"Hello, world!")
        self.assertEqual(response.headers["Max-Age"], 30)
        response = await agent.get(path=("query",), query={"a": "1 2", "b": "&"}, **where)
        self.assertEqual(response.text().split("\n"), ["a=1 2", "b=&"])
        headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": 2}
        response = await agent.post(path="/echo", payload=b"{}", headers=headers, **where)
        self.assertEqual(response.headers["Content-Type"], "application/json")
        response = await agent.get(path="/café/a b", **where)
        self.assertEqual((response.code, response.payload), (Code.CONTENT, b"found"))


class AiocoapServerTests(Server, TestCase):
    """aiocoap's server."""

    peer = "aiocoap"


class NodeCoapServerTests(Server, TestCase):
    """node-coap's server."""

    peer = "node-coap"
