"""
What the pages on large bodies and on observing claim of their examples holds.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Cooperator
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import FileBodyProducer, ResponseDone

from tests.pages import PageCase
from txcoap import Agent, Code, Parameters, Resource
from txcoap.block import Block
from txcoap.errors import ObservationEnded


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
        self.assertApproximates(2**16 / Parameters().EXCHANGE_LIFETIME, 260, 10)
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
