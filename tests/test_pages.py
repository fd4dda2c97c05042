"""
What the pages of the documentation claim of their examples holds; those on large bodies and observing are in
L{tests.test_pages_streams}.
"""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.application.service import IServiceCollection
from twisted.internet.defer import Deferred, succeed

from tests.pages import ROOT, PageCase, runPage
from txcoap import Agent, Code, Options, Parameters, Resource, Site, ask
from txcoap.errors import NoResponse
from txcoap.prometheus import metricsText


class ReadmeTests(PageCase):
    """The first page."""

    def test_serverAndClient(self) -> None:
        """The client prints what the server has."""
        self.network.names["localhost"] = "192.0.2.1"
        self.network.listen(Site(self.space["root"]), "192.0.2.1")
        self.space["Agent"] = lambda reactor: self.network.agent()
        self.assertEqual(self.runMain(self.mains[0]), "2.05 Content b'on'\n")


class ServerTests(PageCase):
    """The page on servers."""

    page = "docs/server.rst"

    def setUp(self) -> None:
        super().setUp()
        self.serve(self.space["site"])

    def test_methods(self) -> None:
        """Codes that go without saying, and those of what is not there."""
        self.assertCode("2.04", "PUT", "light", b"on")
        self.assertEqual(self.assertCode("2.05", "GET", "light").payload, b"on")
        self.assertEqual(self.assertCode("4.00", "PUT", "light", b"dim").text(), "on or off")
        self.assertCode("4.05", "DELETE", "light")
        self.assertCode("4.04", "GET", "")
        self.assertEqual(self.space["seen"][0], ("/light", "2.04"))

    def test_created(self) -> None:
        """A coroutine's Response, and an option that was set."""
        created = self.assertCode("2.01", "POST", "notes", b" milk ")
        self.assertEqual(created.location, "/notes/0")
        note = self.assertCode("2.05", "GET", "notes/0")
        self.assertEqual((note.text(), note.maxAge, note.contentFormat), ("milk", 3600, 0))

    def test_errors(self) -> None:
        """Text and options of an error."""
        self.assertIn("litres", self.assertCode("4.00", "POST", "pump").text())
        self.assertCode("2.04", "POST", "pump?litres=5")
        busy = self.assertCode("5.03", "POST", "pump?litres=5")
        self.assertEqual((busy.text(), busy.maxAge), ("pumping", 30))

    def test_unexpected(self) -> None:
        """Any other exception is a bare 5.00."""
        self.assertEqual(self.assertCode("5.00", "GET", "sum/a").payload, b"")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_paths(self) -> None:
        """Children that are made, and a leaf."""
        self.assertEqual(self.assertCode("2.05", "GET", "rooms/hall").text(), "the room hall")
        self.assertCode("4.04", "GET", "rooms/cellar")
        self.assertEqual(self.assertCode("2.05", "GET", "sum/1/2/3").text(), "6")

    def test_preconditions(self) -> None:
        """Entity tags, preconditions and formats."""
        first = self.assertCode("2.05", "GET", "settings")
        self.assertEqual((first.json(), first.contentFormat), ({"name": "lamp"}, 50))
        self.assertEqual(self.assertCode("2.03", "GET", "settings", etag=first.etag).payload, b"")
        self.assertEqual(self.assertCode("2.05", "GET", "settings", accept=0).text(), "name: lamp")
        self.assertCode("4.06", "GET", "settings", accept=60)
        self.assertCode("4.15", "PUT", "settings", b"{}")
        self.assertCode("4.12", "PUT", "settings", json={}, ifMatch=(b"old",))
        self.assertCode("4.12", "PUT", "settings", json={}, ifNoneMatch=True)
        self.assertCode("4.00", "PUT", "settings", b"{", contentFormat="application/json")
        self.assertCode("2.04", "PUT", "settings", json={"name": "x"}, ifMatch=(first.etag,))
        self.assertCode("2.05", "GET", "settings", etag=first.etag)

    def test_discovery(self) -> None:
        """What is listed, and what is not."""
        found = {link.target: link for link in self.successResultOf(self.discover())}
        self.assertIn("/temperature", found)
        self.assertEqual(found["/temperature"].get("rt"), "temperature-c")
        self.assertNotIn("/secret", found)
        self.assertNotIn("/rooms/hall", found)
        few = self.successResultOf(self.discover("if=sensor"))
        self.assertEqual([link.target for link in few], ["/temperature"])

    def discover(self, *queries: str) -> Deferred[Any]:
        """Ask what there is."""
        asking = self.agent.discover("coap://test", *queries)
        self.agent.flush()
        return asking

    def test_later(self) -> None:
        """NOT_DONE_YET, acknowledged after 50 ms; and what becomes of those that wait in vain."""
        button = self.space["root"].children["button"]
        asked = self.agent.get("coap://test/button")
        self.agent.advance(0.04)
        before = len(self.network.passages)
        self.agent.advance(0.02)
        self.assertEqual(len(self.network.passages), before + 1)
        button.push()
        self.agent.flush()
        self.assertEqual(self.successResultOf(asked).payload, b"pushed")
        lost = self.agent.get("coap://test/button")
        lifetime = self.space["site"].parameters.EXCHANGE_LIFETIME
        self.agent.advance(lifetime - 1)
        (request,) = button.waiting
        self.agent.advance(2)
        self.assertEqual(button.waiting, [])
        request.write(b"late")
        request.finish()
        self.failureResultOf(lost)

    def test_roaming(self) -> None:
        """Clients by their names; a log that says nothing to who asks for no confirmation."""
        roaming = self.space["roaming"]
        self.network.listen(roaming, "192.0.2.44")
        agent = self.network.agent()
        asked = agent.get("coap://192.0.2.44/light?ep=hall", confirmable=False)
        self.network.flush()
        self.assertEqual(self.successResultOf(asked).code, Code("2.05"))
        silent = agent.get("coap://192.0.2.44/log", confirmable=False, timeout=5)
        self.network.advance(6)
        self.failureResultOf(silent, NoResponse)
        options = Options(uriQuery=("x", "ep=hall"))
        self.assertEqual(roaming.settings["clientOf"](("192.0.2.7", 1), options), "ep=hall")
        self.assertIsNone(roaming.settings["clientOf"](("192.0.2.7", 1), Options()))

    def test_files(self) -> None:
        """A directory."""
        self.assertEqual(self.assertCode("2.05", "GET", "docs/").contentFormat, 40)


class ClientTests(PageCase):
    """The page on clients."""

    page = "docs/client.rst"

    def server(self, **children: Any) -> Any:
        """An agent beside a server with these resources."""
        root = Resource()
        for name, child in children.items():
            root.putChild(name, child)
        self.network.listen(Site(root), "192.0.2.1")
        self.network.names.update({"localhost": "192.0.2.1", "lamp.example": "192.0.2.1"})
        return self.network.agent()

    def test_main(self) -> None:
        """The first example."""
        light = runPage(ROOT / "docs/server.rst")["Light"]()
        agent = self.server(light=light)
        self.space["Agent"] = lambda reactor: agent
        self.assertEqual(self.runMain(self.mains[0]), "2.05 Content off\n")
        self.assertEqual(light.state, b"on")

    def test_withoutAgent(self) -> None:
        """The functions that need none."""
        light = runPage(ROOT / "docs/server.rst")["Light"]()
        before = ask.setDefaultAgent(self.server(light=light))
        self.addCleanup(ask.setDefaultAgent, before)
        self.ask(self.space["switch"]("coap://localhost/light"))
        self.assertEqual(light.state, b"on")
        self.space["useOneOfMyOwn"](self.network.reactor)
        self.assertIsInstance(ask.getDefaultAgent(self.network.reactor), Agent)

    def test_report(self) -> None:
        """What is under way is done before the agent closes."""
        seen: list[bytes] = []

        class Log(Resource):
            def render_POST(self, request: Any) -> None:
                seen.append(request.payload)

        agent = self.server(log=Log())
        self.space["Agent"] = lambda reactor, **how: agent
        self.ask(self.space["report"](None, "coap://lamp.example/log", [b"1", b"2"]))
        self.assertEqual(seen, [b"1", b"2"])

    def test_ask(self) -> None:
        """Many arguments."""
        seen = []

        class Log(Resource):
            attributes = {"rt": "temperature-c"}

            def render_POST(self, request: Any) -> Any:
                seen.append((request.json(), request.query, request.accept))
                request.setResponseCode(Code.CREATED)
                request.setOption(locationPath=("log", "1"))

        agent = self.server(log=Log())
        self.assertEqual(self.ask(self.space["logAndList"](agent)), ("/log/1", ["/log"]))
        self.assertEqual(seen, [({"level": 3}, ("source=hall",), 50)])

    def test_measure(self) -> None:
        """By parts, with headers, and the addresses of both ends."""

        class Sensor(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                return json.dumps([request.uri, request.getHeader("Accept")]).encode()

        asking = self.space["measure"](self.server(hall=Sensor()))
        body, peer, host = self.ask(asking)
        self.assertEqual(body, ["/hall/light sensor?unit=lux", "application/json"])
        self.assertEqual((peer.host, peer.port), ("192.0.2.1", 5683))
        self.assertNotEqual(host.port, 5683)

    def test_codes(self) -> None:
        """C{raiseForCode}, of the class that belongs to the code."""

        class Brightness(Resource):
            def render_GET(self, request: Any) -> str:
                if self.error is not None:
                    raise self.error
                return "7"

            error: Exception | None = None

        brightness = Brightness()
        agent = self.server(brightness=brightness)
        self.assertEqual(self.ask(self.space["brightness"](agent)), 7)
        brightness.error = self.space["NotFound"]()
        self.assertIsNone(self.ask(self.space["brightness"](agent)))
        brightness.error = self.space["ResponseError"]("dark", code="4.03")
        failed = Deferred.fromCoroutine(self.space["brightness"](agent))
        self.network.flush()
        self.assertIn("4.03 Forbidden dark", str(self.failureResultOf(failed, ValueError).value))

    def test_failures(self) -> None:
        """Time-outs and unreachable peers are what Python calls them."""
        self.network.loss = 1.0
        self.assertIsNone(self.ask(self.space["isOn"](self.network.agent()), 5.1))
        self.network.loss = 0.0
        # The host is there, and nobody listens on the port.
        self.network.listen(Site(Resource()), "192.0.2.1", 9)
        failed = Deferred.fromCoroutine(self.space["isOn"](self.network.agent()))
        self.network.flush()
        self.assertIn("plugged in", str(self.failureResultOf(failed, SystemExit).value))

    def test_patience(self) -> None:
        """The default time-outs."""
        self.network.loss = 1.0
        for confirmable in (True, False):
            asked = self.network.agent().get("coap://192.0.2.1/", confirmable=confirmable)
            self.network.advance(46 if confirmable else 92)
            self.assertNoResult(asked)
            self.network.advance(94 - 46 if confirmable else 2)
            self.failureResultOf(asked, TimeoutError)
        self.assertEqual((Parameters().MAX_TRANSMIT_WAIT, Parameters().EXCHANGE_LIFETIME), (93, 247))

    def test_first(self) -> None:
        """Several are asked, one answers; nothing more is sent."""
        agent = self.server(light=runPage(ROOT / "docs/server.rst")["Light"]())
        uris = ["coap://192.0.2.9/light", "coap://192.0.2.1/light"]
        self.network.drop(lambda passage: "192.0.2.9" in repr(passage.target))
        asked = self.space["first"](agent, uris)
        self.network.flush()
        self.assertEqual(self.successResultOf(asked).payload, b"off")
        before = len(self.network.passages)
        self.network.advance(90)
        self.assertEqual(len(self.network.passages), before)

    def test_sharedPort(self) -> None:
        """A server asks by its own port."""
        registration = self.space["Registration"](self.network.clock)
        self.network.listen(Site(registration), "192.0.2.1")

        class Name(Resource):
            def render_GET(self, request: Any) -> str:
                return f"asked from {request.getClientAddress().port}"

        device = Resource()
        device.putChild("name", Name())
        port = self.network.listen(Site(device), "192.0.2.7", 40000)
        asked = Agent(self.network.clock, protocol=port.protocol).post("coap://192.0.2.1/")
        self.network.advance(1)
        self.assertEqual(self.successResultOf(asked).code, Code.CHANGED)
        self.assertEqual(registration.names, ["asked from 5683"])


class LimitsTests(PageCase):
    """The page on limits."""

    page = "docs/limits.rst"

    def test_health(self) -> None:
        """Counters and tables, by asking."""
        self.serve(self.space["site"])
        health = self.answer("GET", "health").json()
        self.assertEqual(health["tables"]["observers"], {"size": 0, "highest": 0, "limit": 100})
        (links,) = self.successResultOf(self.agent.discover("coap://test/", "rt=txcoap.health"))
        self.assertEqual(links.target, "/health")

    def test_prometheus(self) -> None:
        """The names that are told of are there."""
        self.serve(self.space["site"])
        self.answer("GET", "health")
        text = metricsText(self.space["site"].health())
        for name in (
            "txcoap_timeouts_total 0",
            'txcoap_requests_received_total{method="GET"}',
            'txcoap_table_size{table="peers"}',
            "txcoap_round_trip_seconds_count",
        ):
            self.assertIn(f"\n{name}", text)


class RunningTests(PageCase):
    """The page on running a server."""

    page = "docs/running.rst"

    def test_service(self) -> None:
        """The service's site answers."""
        self.serve(self.space["site"])
        self.assertEqual(self.answer("GET", "any").text(), "hello")
        self.assertIs(
            self.space["service"].parent, self.space["application"].getComponent(IServiceCollection)
        )

    def test_radio(self) -> None:
        """A transport of one's own serves, until it is detached."""

        class Modem:
            def __init__(self) -> None:
                self.sent: list[Any] = []
                self.onFrame: Any = None

            def send(self, *frame: Any) -> None:
                self.sent.append(frame)

        modem = Modem()
        protocol = self.space["serveByRadio"](self.space["site"], modem, self.network.clock)
        modem.onFrame("station 7", b"\x40\x01\x00\x01")
        ((station, data),) = modem.sent
        self.assertEqual((station[0], data[:4], data[-5:]), ("station 7", b"\x60\x45\x00\x01", b"hello"))
        protocol.doStop()
        modem.onFrame("station 7", b"\x40\x01\x00\x02")
        self.assertEqual(len(modem.sent), 1)

    def test_endpoint(self) -> None:
        """C{main} listens, and prints where."""

        class Endpoint:
            def listen(endpoint, site: Any) -> Deferred[Any]:  # noqa: N805
                return succeed(self.network.listen(site))

        self.space["serverFromString"] = lambda reactor, text: Endpoint()
        output = StringIO()
        with redirect_stdout(output):
            serving = Deferred.fromCoroutine(self.mains[0](self.network.clock))
        self.assertIn("serving at", output.getvalue())
        asked = self.network.agent().get("coap://192.0.2.1/")
        self.network.flush()
        self.assertEqual(self.successResultOf(asked).text(), "hello")
        serving.addErrback(lambda _: None).cancel()
