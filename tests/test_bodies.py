"""
Tests for L{txcoap.conversing} and L{txcoap.bodies}: bodies of any length, as an agent sends them.
"""

from __future__ import annotations

from io import BytesIO
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Cooperator
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import FileBodyProducer
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from tests.test_blockwise import Store, seen
from tests.test_fetching import body
from tests.wire import CLIENT, FORGOTTEN, SERVER, Peer, Reactor
from txcoap import errors
from txcoap.block import Block
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.options import Options
from txcoap.parameters import Parameters
from txcoap.protocol import CoAPProtocol
from txcoap.sansio.datagrams import ACK, CON, NON, Datagram
from txcoap.testing import StubAgent

GET, PUT, POST = Code.GET, Code.PUT, Code.POST
CONTINUE, CHANGED, CONTENT = Code.CONTINUE, Code.CHANGED, Code.CONTENT
URI = "coap://192.0.2.1/x"

PATIENT = Parameters(MAX_RETRANSMIT=10, PROBING_RATE=None)


@implementer(IBodyProducer)
class Producer:
    """
    A body that a test produces.

    @ivar calls: What was asked of it.
    """

    def __init__(self, length: Any = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.calls: list[str] = []
        self.consumer: Any = None
        self.finished: Deferred[None] = Deferred()

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """See C{IBodyProducer}."""
        self.consumer = consumer
        self.calls.append("start")
        return self.finished

    def pauseProducing(self) -> None:
        """See C{IBodyProducer}."""
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        """See C{IBodyProducer}."""
        self.calls.append("resume")

    def stopProducing(self) -> None:
        """See C{IBodyProducer}."""
        self.calls.append("stop")


class BodiesTestCase(SynchronousTestCase):
    """An agent in memory, and a peer that does what a test says."""

    def setUp(self) -> None:
        """Make both."""
        self.reactor = Reactor()
        self.wire = self.reactor.wire
        self.peer = Peer(self.wire, SERVER, CLIENT)
        self.protocol = CoAPProtocol(None, self.reactor, chance=Random(3))
        self.wire.open(self.protocol, CLIENT)
        self.agent = Agent(self.reactor, protocol=self.protocol)

    def reply(self, code: Code = CONTENT, payload: bytes = b"", **options: Any) -> Datagram:
        """Answer the one request that came; the request."""
        asked = self.peer.takeOne()
        type = ACK if asked.type == CON else NON
        messageID = asked.messageID if asked.type == CON else None
        self.peer.send(type, code, messageID, asked.token, Options(**options), payload)
        return asked

    def serve(self, whole: bytes, exponent: int = 0, **options: Any) -> Datagram:
        """Answer the one request that came with the block it asks for."""
        (asked,) = came = self.peer.take()
        block = asked.options.block2 or Block(0, False, exponent)
        part = whole[block.start : block.start + block.size]
        answer = Block(block.number, block.start + block.size < len(whole), block.exponent)
        options = {"block2": answer, **options}
        self.peer.send(ACK, CONTENT, asked.messageID, asked.token, Options(**options), part)
        return came[0]

    def assertOver(self) -> None:
        """Nothing is under way; nothing more is sent, and in the end nothing is left."""
        self.wire.settle()
        self.assertEqual(self.peer.take(), [])
        self.assertEqual(self.protocol.sizes()["openRequests"], 0)
        sent = len(self.wire.sent)
        self.reactor.elapse(FORGOTTEN)
        self.assertEqual(self.wire.sent[sent:], [])
        self.assertEqual(set(self.protocol.sizes().values()), {0})
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class FigureTests(BodiesTestCase):
    """The message sequences of RFC 7959 section 3, this client in the client's role."""

    def play(self, waiting: Deferred[Any], *rows: tuple[Any, ...]) -> Any:
        """Rows of what is asked (code, Block1, Block2, length), and the answer; then the response."""
        for code, block1, block2, length, answer, options, payload in rows:
            self.assertNoResult(waiting)
            asked = self.reply(answer, payload, **options)
            self.assertEqual(seen(asked), (code, block1, block2, length))
        return self.successResultOf(waiting)

    def test_figure2(self) -> None:
        """Simple block-wise GET: the server proposes 128 bytes, and the client agrees."""
        whole = body(300)
        response = self.play(
            self.agent.get(URI),
            (GET, None, None, 0, CONTENT, {"block2": Block(0, True, 3)}, whole[:128]),
            (GET, None, Block(1, False, 3), 0, CONTENT, {"block2": Block(1, True, 3)}, whole[128:256]),
            (GET, None, Block(2, False, 3), 0, CONTENT, {"block2": Block(2, False, 3)}, whole[256:]),
        )
        self.assertEqual(response.payload, whole)
        self.assertOver()

    def test_figure3(self) -> None:
        """Early negotiation: the client asks for 64 bytes at once."""
        whole = body(370)
        rows = [
            (
                GET,
                None,
                Block(n, False, 2),
                0,
                CONTENT,
                {"block2": Block(n, n < 5, 2)},
                whole[64 * n : 64 * n + 64],
            )
            for n in range(6)
        ]
        self.assertEqual(self.play(self.agent.get(URI, blockSize=64), *rows).payload, whole)

    def lateNegotiation(self, whole: bytes) -> list[tuple[Any, ...]]:
        """The rows of Figure 4."""
        first = (GET, None, Block(0, False, 2), 0, CONTENT, {"block2": Block(0, True, 3)}, whole[:128])
        return [
            first,
            *[
                (
                    GET,
                    None,
                    Block(n, False, 2),
                    0,
                    CONTENT,
                    {"block2": Block(n, n < 5, 2)},
                    whole[64 * n : 64 * n + 64],
                )
                for n in range(2, 6)
            ],
        ]

    def test_figure4(self) -> None:
        """Late negotiation: the client goes on with 64 bytes where it got 128."""
        whole = body(370)
        response = self.play(self.agent.get(URI, blockSize=64), *self.lateNegotiation(whole))
        self.assertEqual(response.payload, whole)

    def test_figure5(self) -> None:
        """With a CON that is lost: it is repeated under its own message ID."""
        whole = body(370)
        rows = self.lateNegotiation(whole)
        waiting = self.agent.get(URI, blockSize=64)
        self.assertEqual(seen(self.reply(rows[0][4], rows[0][6], **rows[0][5])), rows[0][:4])
        lost = self.peer.takeOne()
        self.reactor.elapse(3.1)
        again = self.peer.takeOne()
        self.assertEqual((again.messageID, seen(again)), (lost.messageID, rows[1][:4]))
        answer = Options(**rows[1][5])
        self.peer.send(ACK, CONTENT, again.messageID, again.token, answer, rows[1][6])
        self.assertEqual(self.play(waiting, *rows[2:]).payload, whole)

    def test_figure6(self) -> None:
        """With an ACK that is lost: the same repetition; an answer that comes twice counts once."""
        whole = body(370)
        rows = self.lateNegotiation(whole)
        waiting = self.agent.get(URI, blockSize=64)
        self.reply(rows[0][4], rows[0][6], **rows[0][5])
        asked = self.peer.takeOne()
        for _ in range(2):
            self.peer.send(ACK, CONTENT, asked.messageID, asked.token, Options(**rows[1][5]), rows[1][6])
        self.assertEqual(self.play(waiting, *rows[2:]).payload, whole)

    def blocks(self, whole: bytes) -> list[tuple[Any, ...]]:
        """The rows of Figure 7 but for the last."""
        return [
            (PUT, Block(n, True, 3), None, 128, CONTINUE, {"block1": Block(n, True, 3)}, b"")
            for n in range(len(whole) // 128)
        ]

    def test_figure7(self) -> None:
        """Simple atomic block-wise PUT."""
        whole = body(300)
        last = (PUT, Block(2, False, 3), None, 44, CHANGED, {"block1": Block(2, False, 3)}, b"")
        response = self.play(self.agent.put(URI, whole, blockSize=128), *self.blocks(whole), last)
        self.assertEqual(response.code, CHANGED)
        sent = [each.payload for each in self.wire.between(CLIENT, SERVER)]
        self.assertEqual(b"".join(sent), whole)
        self.assertOver()

    def test_figure8(self) -> None:
        """Simple stateless block-wise PUT: the server answers each block with its own 2.04."""
        rows = [
            (
                PUT,
                Block(n, n < 2, 3),
                None,
                128 if n < 2 else 44,
                CHANGED,
                {"block1": Block(n, False, 3)},
                b"",
            )
            for n in range(3)
        ]
        self.assertEqual(self.play(self.agent.put(URI, body(300), blockSize=128), *rows).code, CHANGED)

    def test_figure9(self) -> None:
        """With negotiation: the server asks for 32 bytes, and the client goes on with these."""
        rows = [
            (PUT, Block(n, n < 6, e), None, length, CONTINUE, {"block1": Block(n, n < 6, 1)}, b"")
            for n, e, length in ((0, 3, 128), (4, 1, 32), (5, 1, 32))
        ]
        last = (PUT, Block(6, False, 1), None, 7, CHANGED, {"block1": Block(6, False, 1)}, b"")
        self.play(self.agent.put(URI, body(199), blockSize=128), *rows, last)
        sent = [each.payload for each in self.wire.between(CLIENT, SERVER)]
        self.assertEqual(b"".join(sent), body(199))

    def figure10(self, exponent: int, last: Block | None, **how: Any) -> None:
        """Figures 10 and 11."""
        whole, back = body(265), body(4 * (16 << exponent) - 5, 1)
        size = 16 << exponent
        up = [
            (POST, Block(n, True, 3), None, 128, CONTINUE, {"block1": Block(n, True, 3)}, b"")
            for n in range(2)
        ]
        end = {"block1": Block(2, False, 3), "block2": Block(0, True, exponent)}
        turn = (POST, Block(2, False, 3), last, 9, CHANGED, end, back[:size])
        down = [
            (
                POST,
                None,
                Block(n, False, exponent),
                0,
                CHANGED,
                {"block2": Block(n, n < 3, exponent)},
                back[size * n : size * n + size],
            )
            for n in range(1, 4)
        ]
        response = self.play(self.agent.post(URI, whole, blockSize=128, **how), *up, turn, *down)
        self.assertEqual((response.code, response.payload), (CHANGED, back))
        self.assertOver()

    def test_figure10(self) -> None:
        """Atomic block-wise POST with a block-wise response."""
        self.figure10(3, None)

    def test_figure11(self) -> None:
        """The same with early negotiation, in the last message of the request."""
        self.figure10(2, Block(0, False, 2), block2=Block(0, False, 2))


class SendingTests(BodiesTestCase):
    """A request's body in blocks."""

    def take(self, number: int, more: bool = True, exponent: int = 0, code: Code | None = None) -> Datagram:
        """A block comes; it is answered as it should be."""
        answer = (CONTINUE if more else CHANGED) if code is None else code
        asked = self.reply(answer, block1=Block(number, more, exponent))
        self.assertEqual(asked.options.block1, Block(number, more, exponent))
        return asked

    def test_tokens(self) -> None:
        """One token, not an empty one, for all of a body; and one Request-Tag, each body its own."""
        tags = set()
        for _ in range(3):
            self.agent.put(URI, bytes(40), blockSize=16)
            asked = [self.take(n, n < 2) for n in range(3)]
            self.assertEqual(len({each.token for each in asked}), 1)
            self.assertNotEqual(asked[0].token, b"")
            self.assertEqual(len({each.options.requestTag for each in asked}), 1)
            tags.add(asked[0].options.requestTag)
        self.assertEqual(len(tags), 3)

    def test_freshTokens(self) -> None:
        """C{freshTokens}: one for each block; without C{sendRequestTag} no tag."""
        agent = Agent(self.reactor, protocol=self.protocol, freshTokens=True, sendRequestTag=False)
        agent.put(URI, bytes(40), blockSize=16)
        asked = [self.take(n, n < 2) for n in range(3)]
        self.assertEqual(len({each.token for each in asked}), 3)
        self.assertEqual({each.options.requestTag for each in asked}, {()})

    def test_givenToken(self) -> None:
        """A token that is given is that of each block."""
        self.agent.put(URI, bytes(40), blockSize=16, token=b"mine")
        self.assertEqual({self.take(n, n < 2).token for n in range(3)}, {b"mine"})

    def test_tooLarge(self) -> None:
        """4.13 with a smaller size: one retry with that (RFC 7959 2.9.3)."""
        waiting = self.agent.put(URI, body(80), blockSize=64)
        self.reply(Code.REQUEST_ENTITY_TOO_LARGE, block1=Block(0, True, 1))
        for number in range(3):
            self.take(number, number < 2, 1)
        self.assertEqual(self.successResultOf(waiting).code, CHANGED)
        waiting = self.agent.put(URI, body(80), blockSize=64)
        self.reply(Code.REQUEST_ENTITY_TOO_LARGE, size1=20)
        self.assertEqual(self.successResultOf(waiting).options.size1, 20)
        self.assertOver()

    def test_incomplete(self) -> None:
        """4.08: one restart; the second 4.08 is the response."""
        waiting = self.agent.put(URI, body(40), blockSize=16)
        self.take(0)
        self.reply(Code.REQUEST_ENTITY_INCOMPLETE)
        self.take(0)
        self.assertNoResult(waiting)
        self.reply(Code.REQUEST_ENTITY_INCOMPLETE)
        self.assertEqual(self.successResultOf(waiting).code, Code.REQUEST_ENTITY_INCOMPLETE)
        self.assertOver()

    def test_cancel(self) -> None:
        """Cancelled halfway: nothing more is sent, no timer, nothing in any table."""
        waiting = self.agent.put(URI, bytes(80), blockSize=16)
        self.take(0)
        self.peer.take()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertOver()

    def test_timeout(self) -> None:
        """C{timeout} is for all of it, not for each block."""
        waiting = self.agent.put(URI, bytes(160), blockSize=16, timeout=10)
        for number in range(4):
            self.reactor.elapse(2)
            asked = self.peer.take()[-1]
            answer = Options(block1=Block(number, True, 0))
            self.peer.send(ACK, CONTINUE, asked.messageID, asked.token, answer)
        self.assertNoResult(waiting)
        self.reactor.elapse(2)
        self.assertIsInstance(self.failureResultOf(waiting).value, TimeoutError)
        self.peer.take()
        self.assertOver()

    def test_byHand(self) -> None:
        """C{block1} on a payload that fits it goes as it is, and its answer comes as it is."""
        waiting = self.agent.put(URI, bytes(16), block1=Block(3, True, 0), requestTag=(b"t",))
        self.assertEqual(self.take(3).options.requestTag, (b"t",))
        response = self.successResultOf(waiting)
        self.assertEqual((response.code, response.options.block1), (CONTINUE, Block(3, True, 0)))
        self.assertOver()

    def test_sizeByHand(self) -> None:
        """On a larger one it chooses the size."""
        waiting = self.agent.put(URI, bytes(40), block1=Block(0, False, 0))
        for number in range(3):
            self.take(number, number < 2)
        self.successResultOf(waiting)

    def test_noResponse(self) -> None:
        """No-Response is a matter of the last block: the others need their 2.31 (RFC 7967)."""
        waiting = self.agent.put(URI, bytes(40), blockSize=16, noResponse=26)
        asked = [self.take(n) for n in range(2)]
        last = self.peer.takeOne()
        self.peer.sendEmpty(ACK, last.messageID)
        self.assertEqual([each.options.noResponse for each in [*asked, last]], [None, None, 26])
        self.assertIsNone(self.successResultOf(waiting))

    def test_progress(self) -> None:
        """The progress of both bodies is told: direction, bytes so far, bytes in all."""
        told: list[Any] = []
        self.agent.post(URI, bytes(40), blockSize=16, progress=lambda *about: told.append(about))
        self.take(0)
        self.take(1)
        self.reply(CHANGED, bytes(16), block1=Block(2, False, 0), block2=Block(0, True, 0), size2=20)
        self.reply(CHANGED, bytes(4), block2=Block(1, False, 0))
        sent = [("sent", 16, 40), ("sent", 32, 40), ("sent", 40, 40)]
        self.assertEqual(told, [*sent, ("received", 16, 20), ("received", 20, 20)])

    def test_progressUnknown(self) -> None:
        """Where the length is not known it is None until the end."""
        told: list[Any] = []
        self.agent.get(URI, progress=lambda *about: told.append(about))
        for _ in range(2):
            self.serve(bytes(20))
        self.assertEqual(told, [("received", 16, None), ("received", 20, 20)])


class ProducerTests(BodiesTestCase):
    """A request's body from an C{IBodyProducer}."""

    def begin(self, length: Any = UNKNOWN_LENGTH, **how: Any) -> tuple[Producer, Deferred[Any]]:
        """Ask with a body from a producer, in blocks of 16 bytes."""
        producer = Producer(length)
        return producer, self.agent.put(URI, producer, blockSize=16, **how)

    def go(self, number: int, more: bool = True) -> bytes:
        """A block comes, and is answered."""
        asked = self.reply(CONTINUE if more else CHANGED, block1=Block(number, more, 0))
        self.assertEqual(asked.options.block1, Block(number, more, 0))
        return asked.payload

    def test_paused(self) -> None:
        """It is paused while there is more than a block of it, and nothing is sent before there is one."""
        producer, waiting = self.begin()
        self.assertEqual((self.peer.take(), producer.calls), ([], ["start"]))
        producer.consumer.write(b"a" * 16)
        self.assertEqual((self.peer.take(), producer.calls), ([], ["start"]))
        producer.consumer.write(b"b" * 5)
        self.assertEqual(producer.calls, ["start", "pause"])
        self.assertEqual(self.go(0), b"a" * 16)
        self.assertEqual(producer.calls, ["start", "pause", "resume"])
        producer.consumer.write(b"b" * 20)
        self.assertEqual(self.go(1), b"b" * 16)
        producer.finished.callback(None)
        self.assertEqual(self.go(2, more=False), b"b" * 9)
        self.assertEqual(self.successResultOf(waiting).code, CHANGED)
        self.assertNotIn("stop", producer.calls)
        self.assertOver()

    def test_length(self) -> None:
        """A length that is known is told in Size1."""
        for length, announced in ((40, 40), (UNKNOWN_LENGTH, None)):
            producer, waiting = self.begin(length)
            producer.consumer.write(bytes(40))
            producer.finished.callback(None)
            asked = self.reply(CHANGED)
            self.assertEqual(asked.options.size1, announced)
            self.successResultOf(waiting)

    def test_small(self) -> None:
        """A body that turns out to fit a block goes without Block1; so does an empty one."""
        for whole in (b"", b"small", bytes(16)):
            producer, waiting = self.begin()
            if whole:
                producer.consumer.write(whole)
            producer.finished.callback(None)
            asked = self.reply(CHANGED)
            self.assertEqual((asked.payload, asked.options.block1), (whole, None))
            self.successResultOf(waiting)

    def test_fails(self) -> None:
        """Its failure is the request's; nothing more is sent."""
        producer, waiting = self.begin()
        producer.consumer.write(bytes(20))
        self.go(0)
        producer.finished.errback(OSError("the disk is gone"))
        self.failureResultOf(waiting, OSError)
        self.assertOver()

    def test_eager(self) -> None:
        """A producer that writes on though it is paused is not paused again; what it wrote is sent."""
        producer, waiting = self.begin()
        for _ in range(3):
            producer.consumer.write(bytes(20))
        self.assertEqual(producer.calls.count("pause"), 1)
        producer.finished.callback(None)
        for number in range(4):
            self.go(number, more=number < 3)
        self.successResultOf(waiting)

    def test_finishesLate(self) -> None:
        """That a producer fails after it was stopped changes nothing; nor may it register another."""
        producer, waiting = self.begin()
        self.assertRaises(RuntimeError, producer.consumer.registerProducer, producer, True)
        producer.consumer.write(bytes(40))
        self.reply(Code.FORBIDDEN)
        self.successResultOf(waiting)
        producer.finished.errback(OSError("stopped"))
        self.assertOver()

    def test_cancel(self) -> None:
        """Cancelled while a block is under way, or while more is awaited: it is stopped."""
        for writes in (True, False):
            producer, waiting = self.begin()
            if writes:
                producer.consumer.write(bytes(40))
                self.peer.take()
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
            self.assertEqual(producer.calls[-1], "stop")
            producer.consumer.write(b"late")
            self.assertOver()

    def test_peerEndsIt(self) -> None:
        """An answer that ends it early stops it."""
        producer, waiting = self.begin()
        producer.consumer.write(bytes(40))
        self.reply(Code.FORBIDDEN)
        self.assertEqual(self.successResultOf(waiting).code, Code.FORBIDDEN)
        self.assertEqual(producer.calls[-1], "stop")
        self.assertOver()

    def test_noAcknowledgement(self) -> None:
        """So does a peer that is gone."""
        producer, waiting = self.begin()
        producer.consumer.write(bytes(40))
        self.reactor.elapse(100)
        self.failureResultOf(waiting, errors.NoAcknowledgement)
        self.assertEqual(producer.calls[-1], "stop")

    def test_fileBodyProducer(self) -> None:
        """Twisted's own C{FileBodyProducer} works as it is."""
        store = Store()
        agent = StubAgent(store)
        cooperator = Cooperator(scheduler=lambda call: agent.clock.callLater(0, call))
        producer = FileBodyProducer(BytesIO(body(5000)), cooperator=cooperator, readSize=100)
        waiting = agent.put("coap://test/x", producer, blockSize=64)
        agent.advance(1)
        self.assertEqual(self.successResultOf(waiting).code, CHANGED)
        self.assertEqual(store.whole, [("PUT", body(5000))])
