"""
Tests for L{txcoap.consumed}: bodies in blocks that go to a consumer, or a protocol, as they come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.test_blockwise import CHANGED, CONTINUE, PUT, BlockwiseTestCase, Store
from tests.test_fetching import body
from tests.wire import FORGOTTEN
from txcoap.block import Block
from txcoap.codes import Code
from txcoap.errors import Forbidden
from txcoap.limits import Limits
from txcoap.options import Options
from txcoap.request import Request
from txcoap.sansio.datagrams import ACK, CON, NON


@implementer(IConsumer)
class Consumer:
    """
    Takes a body, and pauses its producer when a test says.

    @ivar data: What came.
    @ivar producer: The producer, while there is one.
    """

    def __init__(self, isPausing: bool = False) -> None:
        self.data = b""
        self.producer: Any = None
        self.isPausing = isPausing
        self.wasStreaming: bool | None = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See C{IConsumer}."""
        self.producer, self.wasStreaming = producer, streaming

    def unregisterProducer(self) -> None:
        """See C{IConsumer}."""
        self.producer = None

    def write(self, data: bytes) -> None:
        """See C{IConsumer}."""
        self.data += data
        if self.isPausing:
            self.producer.pauseProducing()


class Taker(Protocol):
    """
    Takes a body.

    @ivar data: What came.
    @ivar reasons: Why it ended.
    """

    def __init__(self) -> None:
        self.data = b""
        self.reasons: list[Failure] = []
        self.each: Callable[[], None] = lambda: None

    def dataReceived(self, data: bytes) -> None:
        """More came."""
        self.data += data
        self.each()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """It ended."""
        self.reasons.append(reason)


class Streaming(Store):
    """Opens a body, as a test says."""

    def __init__(self, open_: Callable[[Request], Any]) -> None:
        super().__init__()
        self.openBody = open_
        self.consumers: list[Any] = []
        self.answer = lambda request: self.consumers.append(request.consumer)


class StreamTests(BlockwiseTestCase):
    """A resource that takes the body as it comes; holding back the 2.31 is the back-pressure."""

    def open(self, consumer: Any) -> Streaming:
        """Serve a resource that gives this for a body."""
        self.store = resource = Streaming(lambda request: consumer)
        self.serve(resource)
        return resource

    def test_consumer(self) -> None:
        """Each block is written to the consumer; the method is called at the end, with an empty payload."""
        consumer = Consumer()
        resource = self.open(consumer)
        whole = body(40)
        self.put(0, whole[:16])
        self.assertEqual((consumer.data, consumer.wasStreaming), (whole[:16], True))
        self.put(1, whole[16:32])
        self.assertEqual((consumer.data, resource.consumers), (whole[:32], []))
        self.put(2, whole[32:], more=False)
        self.assertEqual((consumer.data, consumer.producer), (whole, None))
        self.assertEqual((resource.consumers, resource.whole), ([consumer], [("PUT", b"")]))
        self.assertForgets()

    def test_protocol(self) -> None:
        """So with a protocol, which is told of the end by C{ConnectionDone}."""
        taker = Taker()
        self.open(taker)
        self.putAll(body(40))
        self.assertEqual(taker.data, body(40))
        self.assertEqual([each.type for each in taker.reasons], [ConnectionDone])

    def test_oneMessage(self) -> None:
        """A body that comes in one message goes the same way; and an empty one."""
        for whole in (b"small", b"", body(1200)):
            consumer = Consumer()
            resource = self.open(consumer)
            self.assertEqual(self.answerTo(PUT, "x", whole).code, CHANGED)
            self.assertEqual((consumer.data, resource.consumers), (whole, [consumer]))
            self.socket.stopListening()

    def test_consumerFails(self) -> None:
        """A consumer that fails when it is let go does not keep the rest of the socket from going on."""
        consumer = Consumer()
        self.open(consumer)

        def unregister() -> None:
            raise RuntimeError("scripted")

        consumer.unregisterProducer = unregister  # type: ignore[method-assign]
        self.put(0, bytes(16))
        self.assertForgets()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_noLimit(self) -> None:
        """Its length has no limit, whatever the limit of whole bodies, and takes no memory."""
        consumer = Consumer()
        self.store = Streaming(lambda request: consumer)
        self.serve(self.store, limits=Limits(bodyBytes=20, uploadBytes=64))
        whole = body(1600)
        for at in range(0, 1600, 16):
            self.put(at // 16, whole[at : at + 16], at < 1584)
            self.assertEqual(self.protocol.sizes()["uploadBytes"], 0)
        self.assertEqual(consumer.data, whole)

    def test_pause(self) -> None:
        """While the consumer pauses, the block is acknowledged, but 2.31 comes apart, when it resumes."""
        consumer = Consumer(isPausing=True)
        self.open(consumer)
        messageID = self.ask(PUT, "x", bytes(16), block1=Block(0, True, 0))
        self.assertEqual(self.peer.take(), [])
        self.reactor.elapse(1)
        empty = self.peer.takeOne()
        self.assertEqual((empty.type, empty.code, empty.messageID), (ACK, 0, messageID))
        self.reactor.elapse(30)
        self.assertEqual(self.peer.take(), [])
        consumer.producer.resumeProducing()
        go = self.peer.takeOne()
        self.assertEqual((go.type, go.code, go.token), (CON, CONTINUE, b"tkn"))
        self.assertEqual(go.options.block1, Block(0, True, 0))
        self.peer.sendEmpty(ACK, go.messageID)
        consumer.isPausing = False
        self.assertEqual(self.put(1, b"end", more=False).code, CHANGED)
        self.assertForgets()

    def test_pauseNonConfirmable(self) -> None:
        """So with non-confirmable blocks, without the acknowledgement."""
        consumer = Consumer(isPausing=True)
        self.open(consumer)
        self.ask(PUT, "x", bytes(16), NON, block1=Block(0, True, 0))
        self.reactor.elapse(1)
        self.assertEqual(self.peer.take(), [])
        consumer.producer.resumeProducing()
        self.assertEqual(self.peer.takeOne().code, CONTINUE)

    def test_protocolPauses(self) -> None:
        """A protocol pauses its transport."""
        taker = Taker()
        taker.each = lambda: taker.transport.pauseProducing()  # type: ignore[union-attr]
        self.open(taker)
        self.ask(PUT, "x", bytes(16), block1=Block(0, True, 0))
        self.assertEqual(self.peer.take(), [])
        taker.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual(self.peer.takeOne().code, CONTINUE)

    def test_repeatedWhileHeld(self) -> None:
        """A block that is repeated while its answer is held back is not written twice, nor answered twice."""
        consumer = Consumer()
        self.open(consumer)
        self.put(0, bytes(16))
        consumer.isPausing = True
        options = Options(uriPath=("x",), block1=Block(1, True, 0))
        messageID = self.peer.send(CON, PUT, None, b"tkn", options, b"1" * 16)
        self.reactor.elapse(0.01)
        self.peer.send(CON, PUT, messageID, b"tkn", options, b"1" * 16)
        self.reactor.elapse(1)
        self.assertEqual({(each.type, each.code) for each in self.peer.take()}, {(ACK, 0)})
        self.peer.send(CON, PUT, messageID, b"tkn", options, b"1" * 16)
        self.assertEqual(self.peer.takeOne().type, ACK)
        consumer.producer.resumeProducing()
        go = self.peer.takeOne()
        self.assertEqual((go.type, go.code), (CON, CONTINUE))
        self.peer.sendEmpty(ACK, go.messageID)
        self.assertEqual(consumer.data, bytes(16) + b"1" * 16)

    def test_impatient(self) -> None:
        """Hostile: while it is held back no block is taken: 4.08, and the body is abandoned."""
        for more in (True, False):
            taker = Taker()
            taker.each = lambda taker=taker: taker.transport.pauseProducing()  # type: ignore[misc]
            self.open(taker)
            self.ask(PUT, "x", bytes(16), block1=Block(0, True, 0))
            answer = self.put(1, bytes(16), more=more)
            self.assertEqual(answer.code, Code.REQUEST_ENTITY_INCOMPLETE)
            self.assertEqual(taker.data, bytes(16))
            self.assertEqual([each.type for each in taker.reasons], [ConnectionLost])
            self.assertEqual(self.protocol.sizes()["uploads"], 0)
            self.socket.stopListening()

    def test_abandoned(self) -> None:
        """A body that stays incomplete is told to a protocol, by C{ConnectionLost}; a consumer is let go."""
        taker, consumer = Taker(), Consumer()
        self.open(taker)
        self.put(0, bytes(16))
        self.assertForgets()
        self.assertEqual([each.type for each in taker.reasons], [ConnectionLost])
        self.socket.stopListening()
        resource = self.open(consumer)
        self.put(0, bytes(16))
        self.reactor.elapse(FORGOTTEN)
        self.assertEqual((consumer.producer, resource.consumers), (None, []))

    def test_abandonedWhileHeld(self) -> None:
        """One that was paused for all of that time is not answered any more when it resumes."""
        taker = Taker()
        taker.each = lambda: taker.transport.pauseProducing()  # type: ignore[union-attr]
        self.open(taker)
        self.ask(PUT, "x", bytes(16), block1=Block(0, True, 0))
        self.reactor.elapse(1)
        self.peer.take()
        self.reactor.elapse(2 * FORGOTTEN)
        self.assertEqual([each.type for each in taker.reasons], [ConnectionLost])
        taker.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual(self.peer.take(), [])

    def openEach(self) -> list[Taker]:
        """Serve what opens another for each body; they are listed as that happens."""
        takers: list[Taker] = []

        def open_(request: Request) -> Taker:
            takers.append(Taker())
            return takers[-1]

        self.store = Streaming(open_)
        self.serve(self.store)
        return takers

    def test_anew(self) -> None:
        """A body that begins anew is another: the first one's protocol is told."""
        takers = self.openEach()
        self.put(0, b"?" * 16)
        self.putAll(body(40))
        self.assertEqual([each.data for each in takers], [b"?" * 16, body(40)])
        self.assertEqual([each.reasons[0].type for each in takers], [ConnectionLost, ConnectionDone])

    def test_stop(self) -> None:
        """Who stops its producer gets no more; the peer's next block, or last, is answered 5.03."""
        for more in (True, False):
            taker = Taker()
            taker.each = lambda taker=taker: taker.transport.loseConnection()  # type: ignore[misc]
            self.open(taker)
            self.assertEqual(self.put(0, bytes(16)).code, CONTINUE)
            self.assertEqual(self.put(1, bytes(16), more=more).code, Code.SERVICE_UNAVAILABLE)
            self.assertEqual(taker.data, bytes(16))
            self.assertEqual([each.type for each in taker.reasons], [ConnectionLost])
            self.assertEqual(self.protocol.sizes()["uploads"], 0)
            self.socket.stopListening()

    def test_refused(self) -> None:
        """What C{openBody} raises is the answer to the first block, and nothing is kept."""

        def refuse(request: Request) -> None:
            raise Forbidden("no")

        self.store = Streaming(refuse)
        self.serve(self.store)
        self.assertEqual(self.put(0, bytes(16)).code, Code.FORBIDDEN)
        self.assertEqual(self.protocol.sizes()["uploads"], 0)
        self.assertEqual(self.put(1, bytes(16)).code, Code.REQUEST_ENTITY_INCOMPLETE)

    def test_wrongMethod(self) -> None:
        """No body is opened for a method that is not there."""
        self.open(None)
        answer = self.answerTo(Code.IPATCH, "x", bytes(16), block1=Block(0, True, 0))
        self.assertEqual(answer.code, Code.METHOD_NOT_ALLOWED)

    def test_apart(self) -> None:
        """Two bodies at once go each to its own."""
        takers = self.openEach()
        for number in range(3):
            for name in (b"1", b"2"):
                self.put(number, name * 16, number < 2, token=name)
        self.assertEqual([each.data for each in takers], [b"1" * 48, b"2" * 48])
