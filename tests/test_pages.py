"""
What the pages of the documentation claim of their examples holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from typing import Any

from twisted.application.service import IServiceCollection
from twisted.internet import task
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol
from twisted.internet.task import Cooperator
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import FileBodyProducer, ResponseDone

from tests.pages import ROOT, runPage
from txcoap import Agent, Code, Parameters, Resource, Site
from txcoap.block import Block
from txcoap.errors import ObservationEnded
from txcoap.testing import MemoryNetwork, StubAgent


class PageCase(SynchronousTestCase):
    """
    A page: its names, and an agent that asks its C{site} or C{root}.

    @ivar mains: What its examples gave to C{react}.
    """

    page = "README.rst"

    def setUp(self) -> None:
        self.mains: list[Callable[..., Any]] = []
        self.patch(task, "react", lambda main, *arguments: self.mains.append(main))
        self.space = runPage(ROOT / self.page)
        self.network = MemoryNetwork()

    def serve(self, resource: Any) -> StubAgent:
        """An agent that asks a resource."""
        self.agent = StubAgent(resource, network=self.network)
        return self.agent

    def answer(self, method: str, path: str, *body: Any, **how: Any) -> Any:
        """The response to a request."""
        return self.successResultOf(self.agent.request(method, f"coap://test/{path}", *body, **how))

    def assertCode(self, code: str, method: str, path: str, *body: Any, **how: Any) -> Any:
        """A request has this code; its response."""
        response = self.answer(method, path, *body, **how)
        self.assertEqual(response.code, Code(code))
        return response

    def runMain(self, main: Callable[..., Any]) -> str:
        """Run a C{main}; what it prints."""
        output = StringIO()
        with redirect_stdout(output):
            running = Deferred.fromCoroutine(main(self.network.clock))
            self.network.advance(1)
        self.successResultOf(running)
        return output.getvalue()

    def ask(self, asking: Any, seconds: float = 0.0) -> Any:
        """The result of a coroutine, when so much time has passed."""
        running = Deferred.fromCoroutine(asking)
        self.network.advance(seconds)
        return self.successResultOf(running)


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
        self.assertEqual(self.ask(self.space["ask"](agent)), ("/log/1", ["/log"]))
        self.assertEqual(seen, [({"level": 3}, ("source=hall",), 50)])

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


class Keeping(Protocol):
    """Keeps a body."""

    data = b""
    reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """More of it."""
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        """All of it."""
        self.reason = reason


class BodiesTests(PageCase):
    """The page on large bodies."""

    page = "docs/bodies.rst"

    def setUp(self) -> None:
        super().setUp()
        self.picture = self.space["Picture"]()
        root = Resource()
        for name in ("Checksum", "Numbers", "Disk"):
            root.putChild(name.lower(), self.space[name]())
        root.putChild("firmware", self.picture)
        self.serve(root)
        self.body = bytes(range(256)) * 40

    def test_default(self) -> None:
        """Whole bodies in and out, an ETag, and a limit."""
        self.assertCode("2.04", "PUT", "firmware", self.body)
        response = self.assertCode("2.05", "GET", "firmware")
        self.assertEqual((response.payload, response.contentFormat), (self.body, 23))
        self.assertIsNotNone(response.etag)
        refused = self.assertCode("4.13", "PUT", "firmware", bytes(4 * 2**20 + 1))
        self.assertEqual(refused.options.size1, 4 * 2**20)

    def test_openBody(self) -> None:
        """A body block by block."""
        from hashlib import sha256

        digest = self.assertCode("2.04", "POST", "checksum", self.body).text()
        self.assertEqual(digest, sha256(self.body).hexdigest())
        self.assertCode("2.04", "POST", "checksum", bytes(2 * 2**20))

    def test_producer(self) -> None:
        """A body as it is made."""
        response = self.assertCode("2.05", "GET", "numbers")
        self.assertEqual(response.payload, b"".join(b"%d\n" % each for each in range(100_000)))
        self.assertEqual(response.contentFormat, 0)

    def test_ranged(self) -> None:
        """A body that can be read anywhere."""
        response = self.assertCode("2.05", "GET", "disk", byteRange=(512 * 1024, 3000))
        self.assertEqual((response.payload, response.etag), (bytes(3000), b"zeros"))
        asked = self.agent.get("coap://test/disk", byteRange=(1, None))
        self.failureResultOf(asked, ValueError)

    def test_download(self) -> None:
        """To a protocol, and by C{readBody}."""
        self.picture.data = self.body
        taker = Keeping()
        self.ask(self.space["download"](self.agent, taker), 1)
        assert taker.reason is not None
        self.assertIsNotNone(taker.reason.check(ResponseDone))
        self.assertEqual(taker.data, self.body)
        self.assertEqual(self.ask(self.space["downloadWhole"](self.agent), 1), self.body)

    def test_upload(self) -> None:
        """From a file, with progress."""
        clock = self.network.clock
        cooperator = Cooperator(scheduler=lambda call: clock.callLater(0.001, call))
        producer = FileBodyProducer(BytesIO(self.body), cooperator=cooperator, readSize=700)
        shown: list[str] = []
        self.ask(self.space["upload"](self.agent, producer, shown.append), 5)
        self.assertEqual(self.picture.data, self.body)
        self.assertIn(f"sent: {len(self.body)} of {len(self.body)} bytes", shown)

    def test_parts(self) -> None:
        """A range, smaller blocks, and a block by hand."""
        self.picture.data = self.body
        middle, small, byHand = self.ask(self.space["parts"](self.agent), 1)
        self.assertEqual((middle.payload, small.payload), (self.body[2048:2148], self.body))
        self.assertEqual(byHand, Code.CONTINUE)
        sizes = [len(passage.data) for passage in self.network.passages]
        self.assertGreaterEqual(len([size for size in sizes if 64 < size < 100]), len(self.body) // 64)

    def test_length(self) -> None:
        """It is told if it is asked for."""
        self.picture.data = self.body
        response = self.assertCode("2.05", "GET", "firmware", size2=0, stream=True)
        self.assertEqual(response.length, len(self.body))

    def test_tooLarge(self) -> None:
        """The client's limit."""
        self.picture.data = self.body
        agent = Agent(self.network.clock, protocol=self.agent.clientPort.protocol, maximumBody=5000)
        asked = agent.get("coap://192.0.2.1/firmware")
        self.network.flush()
        self.failureResultOf(asked, ValueError)

    def test_missing(self) -> None:
        """A later block of nothing is 4.08."""
        self.assertCode("4.08", "PUT", "firmware", b"x", block1=Block(3, False, 6))

    def test_nearby(self) -> None:
        """The lifetime of a message ID."""
        self.assertEqual(self.space["nearby"].EXCHANGE_LIFETIME, 57)
        self.assertEqual(2**16 // Parameters().EXCHANGE_LIFETIME, 265)
        self.assertTrue(self.space["nearbyAgent"](self.network.clock))


class ObserveTests(PageCase):
    """The page on observing."""

    page = "docs/observe.rst"

    def setUp(self) -> None:
        super().setUp()
        self.temperature = self.space["Temperature"]()
        self.meter = self.space["Meter"]()
        self.events = self.space["Events"]()
        root = Resource()
        root.putChild("temperature", self.temperature)
        root.putChild("meter", self.meter)
        root.putChild("events", self.events)
        self.serve(root)

    def change(self, *values: float) -> None:
        """It gets warmer, or not."""
        for value in values:
            self.temperature.measured(value)
            self.network.advance(1)

    def test_iterator(self) -> None:
        """It reads until the state is the one, and then leaves."""
        waiting = Deferred.fromCoroutine(self.space["waitUntilWarm"](self.agent))
        self.network.flush()
        self.assertEqual(self.temperature.observerCount, 1)
        self.change(25, 31)
        self.assertEqual(self.successResultOf(waiting), "31")
        self.assertEqual(self.temperature.observerCount, 0)

    def test_callback(self) -> None:
        """A callback sees each state, and cancelling tells the server."""
        label: list[str] = []
        observation = self.ask(self.space["show"](self.agent, label))
        self.change(22, 23)
        self.assertEqual(label, ["21.5", "22", "23"])
        told = observation.cancel()
        self.network.flush()
        self.successResultOf(told)
        self.assertIsNone(observation.reason)
        self.assertEqual(self.temperature.observerCount, 0)

    def test_lazily(self) -> None:
        """A Reset tells the server too."""
        observation = self.ask(self.space["show"](self.agent, []))
        self.successResultOf(observation.cancel(lazily=True))
        self.assertEqual(self.temperature.observerCount, 1)
        self.change(30)
        self.assertEqual(self.temperature.observerCount, 0)

    def test_consumer(self) -> None:
        """A consumer gets the payloads, until the end, which has its reason."""
        consumer = StringTransport()
        recording = Deferred.fromCoroutine(self.space["record"](self.agent, consumer))
        self.network.flush()
        self.change(22)
        self.assertEqual(consumer.value(), b"21.522")
        self.temperature.dismissObservers()
        self.network.flush()
        self.assertIn("4.04", self.successResultOf(recording))

    def test_once(self) -> None:
        """However many observe the same, it is rendered once."""
        for _ in range(5):
            self.ask(self.space["show"](self.agent, []))
        rendered: list[object] = []

        def render(request: Any) -> str:
            rendered.append(request)
            return "30"

        self.temperature.render_GET = render
        self.change(30)
        self.assertEqual(len(rendered), 1)

    def test_maximum(self) -> None:
        """Beyond it the one response is the only state."""
        self.meter.maximumObservers = 0
        observing = self.agent.observe("coap://test/meter")
        self.network.flush()
        observation = self.successResultOf(observing)
        self.assertFalse(observation.isEstablished)

        async def read() -> list[str]:
            return [state.text() async for state in observation]

        self.assertEqual(self.ask(read()), ["0"])

    def test_asleep(self) -> None:
        """After 5.03 it asks again when its Max-Age is over."""
        observing = self.agent.observe("coap://test/meter")
        self.network.flush()
        observation = self.successResultOf(observing)
        self.meter.goToSleep()
        self.network.advance(599)
        self.assertEqual(self.meter.observerCount, 0)
        self.network.advance(20)
        self.assertEqual(self.meter.observerCount, 1)
        observation.cancel()
        self.network.flush()

    def test_ended(self) -> None:
        """A reader gets the reason as an exception."""
        reading = Deferred.fromCoroutine(self.space["waitUntilWarm"](self.agent))
        self.network.flush()
        self.temperature.dismissObservers()
        self.network.flush()
        self.failureResultOf(reading, ObservationEnded)

    def test_silence(self) -> None:
        """It registers again when nothing is heard for Max-Age and 5 to 15 seconds."""
        self.ask(self.space["show"](self.agent, []))
        sent = len(self.network.passages)
        self.network.advance(64)
        self.assertEqual(len(self.network.passages), sent)
        self.network.advance(12)
        self.assertGreater(len(self.network.passages), sent)

    def test_gone(self) -> None:
        """An observer that is gone is noticed."""
        self.ask(self.space["show"](self.agent, []))
        self.successResultOf(self.agent.clientPort.stopListening())
        self.change(30)
        self.network.advance(93)
        self.assertEqual(self.temperature.observerCount, 0)

    def test_handler(self) -> None:
        """A handler that stays open; for one that only asks, the first state is the answer."""
        self.assertEqual(self.assertCode("2.05", "GET", "events").text(), "ready")
        self.assertEqual(self.events.open, set())
        seen: list[str] = []
        observing = self.agent.observe("coap://test/events")
        self.network.flush()
        observation = self.successResultOf(observing)
        observation.subscribe(lambda state: seen.append(state.text()))
        self.events.happened("a knock")
        self.network.advance(1)
        self.assertEqual(seen, ["ready", "a knock"])
        observation.cancel()
        self.network.flush()
        self.assertEqual(self.events.open, set())


class LimitsTests(PageCase):
    """The page on limits."""

    page = "docs/limits.rst"

    def test_health(self) -> None:
        """Counters and tables, by asking."""
        self.serve(self.space["Health"]())
        health = self.answer("GET", "").json()
        self.assertEqual((health["received"], health["tables"]["observers"]), (1, 0))
        self.assertEqual(json.loads(json.dumps(health)), health)


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
