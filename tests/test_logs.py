"""
Tests for L{txcoap.logs}, and that no flood fills a server's log.
"""

from __future__ import annotations

from gc import collect
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.recorders import logged
from tests.test_architecture import PACKAGE
from tests.wire import Answering, ServerTestCase
from txcoap.codes import Code
from txcoap.logs import Sparing
from txcoap.resource import Resource


class SparingTests(SynchronousTestCase):
    """L{Sparing}."""

    def setUp(self) -> None:
        """One that writes two of a kind in ten seconds."""
        self.events: list[Any] = []
        self.clock = Clock()
        logger = Logger("some.namespace", observer=self.events.append)  # type: ignore[arg-type]
        self.log = Sparing(logger, burst=2, period=10, seconds=self.clock.seconds)

    def written(self) -> list[str]:
        """The texts since the last call."""
        events, self.events[:] = self.events[:], []
        return [formatEvent(each) for each in events]

    def test_burst(self) -> None:
        """So many are written in a period; the next one tells of those that were not."""
        for number in range(5):
            self.log.info("event {number}", number=number)
        self.assertEqual(self.written(), ["event 0", "event 1"])
        self.clock.advance(10)
        for number in (5, 6, 7):
            self.log.info("event {number}", number=number)
        more = " (and 3 more since the last that was logged)"
        self.assertEqual(self.written(), [f"event 5{more}", "event 6"])

    def test_kinds(self) -> None:
        """Each kind has its own share."""
        for number in range(3):
            self.log.error("one kind {number}", number=number)
            self.log.error("another {number}", number=number)
        self.assertEqual(len(self.written()), 4)

    def test_endpoints(self) -> None:
        """Each endpoint has its own share, too, for as long as it is there."""
        one, another = Resource(), Resource()
        for _ in range(9):
            self.log.of(one).error("flooded")
        self.log.of(another).error("flooded")
        self.log.of(None).error("flooded")
        self.log.error("flooded")
        self.assertEqual(len(self.written()), 5)
        del one, another
        collect()
        self.assertEqual(len(self.log._others), 0)

    def test_fields(self) -> None:
        """An event has its namespace and its fields, and how many were not written."""
        self.log.error("from {peer}", peer=("192.0.2.1", 5683))
        (event,) = self.events
        self.assertEqual(event["log_namespace"], "some.namespace")
        self.assertEqual((event["peer"], event["unlogged"]), (("192.0.2.1", 5683), 0))

    def test_failure(self) -> None:
        """The exception that is being handled goes with its traceback."""
        try:
            raise ValueError("scripted")
        except ValueError:
            self.log.failure("failed at {place}", place="here")
        (event,) = self.events
        event["log_failure"].trap(ValueError)


class FloodTests(ServerTestCase):
    """What a peer can bring about as often as it likes."""

    def test_malformed(self) -> None:
        """Of datagrams that are no messages one in a minute is logged, with the reason and who sent it."""
        self.serve(Resource())
        events = logged(self)
        for _ in range(1000):
            self.peer.sendBytes(b"\x40\x01\x00\x00\xff")
        self.assertEqual(len(events), 1)
        self.assertEqual(events[0]["peer"], self.peer.address)
        self.assertEqual(events[0]["log_namespace"], "txcoap.driver")
        self.assertIn("is no CoAP message", formatEvent(events[0]))
        self.reactor.elapse(60)
        self.peer.sendBytes(b"\x40\x01\x00\x00\xff")
        self.assertEqual((events[1]["unlogged"], events[1]["formatErrors"]), (999, 1001))
        self.assertEqual(self.protocol.counters.formatErrors, 1001)

    def test_rendering(self) -> None:
        """Of requests that make a method raise ten are logged, all are answered."""
        self.serve(Answering(lambda request: 1 // 0))
        for _ in range(100):
            self.ask()
        self.assertEqual([each.code for each in self.peer.take()], [Code.INTERNAL_SERVER_ERROR] * 100)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 10)

    def test_rubbish(self) -> None:
        """Nor do methods that return what is no answer."""
        self.serve(Answering(lambda request: 3.5))
        events = logged(self)
        for _ in range(100):
            self.ask()
        self.assertEqual(len(events), 10)


class SourceTests(SynchronousTestCase):
    """The log calls of the package."""

    # What is logged once in a life of its thing, or by request; and what other processes have to say, who
    # spare it for themselves.
    UNSPARED = {"service.py", "responding.py", "worker.py", "workerprocess.py", "workers.py"}

    def test_spared(self) -> None:
        """No module logs without bounds, other than where that is meant."""
        for path in PACKAGE.rglob("*.py"):
            text = path.read_text("utf-8")
            if path.name not in self.UNSPARED | {"logs.py"} and "Logger()" in text:
                self.assertEqual(text.count("Logger()"), text.count("Sparing(Logger()"), path.name)
