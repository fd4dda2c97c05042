"""
Tests for L{txcoap.observe}: states whose bodies are not simply returned.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.observing import ServerTestCase
from tests.test_blockwise_sending import Range
from tests.test_fetching import body
from txcoap.block import Block
from txcoap.blockwise import RangedResponse
from txcoap.codes import Code
from txcoap.observe import ObservableResource
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource


class Ranged(ObservableResource):
    """A state that is read where it is needed."""

    def __init__(self, whole: bytes) -> None:
        self.source = Range(whole)

    def render_GET(self, request: Any) -> RangedResponse:
        """All of it."""
        return RangedResponse(Code.CONTENT, self.source, etag=b"e")

    def change(self, whole: bytes) -> None:
        """Another one, and tell."""
        self.source.whole, self.source.length = whole, len(whole)
        self.notifyObservers()


class RangedTests(ServerTestCase):
    """A resource whose state is a L{RangedResponse}."""

    def setUp(self) -> None:
        """Serve it."""
        super().setUp()
        self.ranged = Ranged(body(30))
        self.root.putChild("r", self.ranged)

    def test_small(self) -> None:
        """Notifications carry the state."""
        self.watcher.ask("r", 0)
        self.ranged.change(body(31))
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((body(31), None), (told.payload, told.options.block2))

    def test_large(self) -> None:
        """They carry its first block, of the size that was asked for."""
        self.watcher.ask("r", 0, block2=Block(0, False, 2))
        self.ranged.change(body(200))
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((body(200)[:64], Block(0, True, 2)), (told.payload, told.options.block2))

    def test_later(self) -> None:
        """A source may take its time."""
        self.watcher.ask("r", 0)
        reading: Deferred[bytes] = Deferred()
        self.ranged.source.read = lambda start, size: reading  # type: ignore[method-assign]
        self.ranged.change(body(31))
        self.network.flush()
        self.assertEqual([], self.watcher.news())
        reading.callback(body(31))
        self.network.flush()
        self.assertEqual([body(31)], self.watcher.payloads())

    def test_fails(self) -> None:
        """One that fails ends the observation."""
        self.watcher.ask("r", 0)
        self.ranged.source.read = lambda start, size: b""  # type: ignore[method-assign]
        self.ranged.change(body(31))
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((Code.SERVICE_UNAVAILABLE, None), (told.code, told.options.observe))
        self.assertEqual(0, self.ranged.observerCount)


class ProducedTests(ServerTestCase):
    """A resource whose state is produced."""

    def test_refused(self) -> None:
        """Whoever observes it hears an error; no notification hangs."""

        class Produced(ObservableResource):
            """Writes its state as a producer."""

            def render_GET(self, request: Request) -> int:
                """Register it."""
                if request.options.observe is None:
                    request.registerProducer(None, True)
                request.write(b"x")
                request.finish()
                return NOT_DONE_YET

        produced = Produced()
        self.root.putChild("p", produced)
        self.watcher.ask("p", 0)
        self.assertEqual(1, produced.observerCount)
        produced.notifyObservers()
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual(Code.INTERNAL_SERVER_ERROR, told.code)
        self.assertEqual(0, produced.observerCount)
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))


class ToldTests(ServerTestCase):
    """A handler that tells its states."""

    def test_ranged(self) -> None:
        """A L{RangedResponse} has no body with it that could be told."""
        told: list[Request] = []

        class Told(Resource):
            """Keeps its request."""

            def render_GET(self, request: Request) -> int:
                """Keep it."""
                told.append(request)
                return NOT_DONE_YET

        self.root.putChild("t", Told())
        self.watcher.ask("t", 0)
        state = RangedResponse(Code.CONTENT, Range(body(31)))
        self.assertRaises(TypeError, told[0].notify, state)
