"""
Tests for L{txcoap.produced}: bodies that a producer makes as they are fetched.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.test_fetching import body
from tests.wire import FORGOTTEN
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource
from txcoap.testing import StubAgent

URI = "coap://test/x"


@implementer(IPullProducer, IPushProducer)
class Source:
    """
    A producer that a test steers.

    @ivar whole: What it has to write.
    @ivar size: How much of it at a time.
    @ivar calls: What was asked of it.
    """

    def __init__(self, whole: bytes, size: int = 700) -> None:
        self.whole = whole
        self.size = size
        self.calls: list[str] = []
        self.request: Any = None

    def produce(self) -> None:
        """Write some."""
        part, self.whole = self.whole[: self.size], self.whole[self.size :]
        self.request.write(part)
        if not self.whole:
            self.request.unregisterProducer()
            self.request.finish()

    def resumeProducing(self) -> None:
        """See C{IPullProducer}."""
        self.calls.append("resume")
        self.produce()

    def pauseProducing(self) -> None:
        """See C{IPushProducer}."""
        self.calls.append("pause")

    def stopProducing(self) -> None:
        """See C{IPullProducer}."""
        self.calls.append("stop")


class Produced(Resource):
    """
    Answers with a L{Source}.

    @ivar notified: What C{notifyFinish} gave.
    """

    isLeaf = True

    def __init__(self, source: Source, isPush: bool = False) -> None:
        self.source = source
        self.isPush = isPush
        self.notified: list[Deferred[None]] = []

    def render_GET(self, request: Request) -> int:
        """Register it."""
        self.notified.append(request.notifyFinish())
        self.source.request = request
        request.registerProducer(self.source, self.isPush)
        return NOT_DONE_YET


class ProducedTests(SynchronousTestCase):
    """A resource that registers a producer, and an agent that fetches."""

    def serve(self, source: Source, isPush: bool = False) -> None:
        """Serve it."""
        self.source = source
        self.resource = Produced(source, isPush)
        root = Resource()
        root.putChild("x", self.resource)
        self.agent = StubAgent(root)
        self.protocol = self.agent.serverPort.protocol

    def test_pull(self) -> None:
        """A pull producer is resumed until a block is full."""
        self.serve(Source(body(3000)))
        response = self.successResultOf(self.agent.get(URI))
        self.assertEqual(response.payload, body(3000))
        self.successResultOf(self.resource.notified[0])

    def test_push(self) -> None:
        """A push producer is paused while more than a block waits to be asked for, then resumed."""
        self.serve(Source(body(5000)), isPush=True)
        getting = self.agent.get(URI, stream=True)
        self.source.produce()
        self.source.produce()
        self.assertEqual(self.source.calls, [])
        self.agent.flush()
        self.successResultOf(getting)
        self.source.produce()
        self.assertEqual(self.source.calls, ["pause"])

    def test_pullLater(self) -> None:
        """A pull producer that writes some time after it was resumed is resumed again for the rest."""
        source = Source(body(3000))
        self.serve(source)

        def resume() -> None:
            self.agent.clock.callLater(0.1, source.produce)

        source.resumeProducing = resume  # type: ignore[method-assign]
        getting = self.agent.get(URI)
        self.agent.advance(2)
        self.assertEqual(self.successResultOf(getting).payload, body(3000))

    def test_notFetched(self) -> None:
        """What is not fetched to its end is stopped after EXCHANGE_LIFETIME."""
        self.serve(Source(body(3000)))
        self.successResultOf(self.agent.get(URI, stream=True))
        self.agent.advance(2 * FORGOTTEN)
        self.assertEqual(self.source.calls[-1], "stop")
        self.failureResultOf(self.resource.notified[0])
        self.assertEqual(self.protocol.sizes()["downloads"], 0)

    def test_stopFails(self) -> None:
        """A producer that fails to stop does not keep the rest of the socket from going on."""
        self.serve(Source(body(3000)))

        def stop() -> None:
            raise RuntimeError("scripted")

        self.source.stopProducing = stop  # type: ignore[method-assign]
        self.successResultOf(self.agent.get(URI, stream=True))
        self.agent.advance(2 * FORGOTTEN)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.failureResultOf(self.resource.notified[0])
        self.assertEqual({name: size for name, size in self.protocol.sizes().items() if size}, {})
