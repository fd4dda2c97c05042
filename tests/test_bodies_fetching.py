"""
Tests for L{txcoap.conversing} and L{txcoap.bodies}: bodies of responses, whole and as they come.
"""

from __future__ import annotations

import gc
import weakref
from io import BytesIO
from typing import Any

import treq
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import FileBodyProducer, ResponseDone, ResponseFailed, readBody
from twisted.web.iweb import UNKNOWN_LENGTH

from tests.test_blockwise import Store
from tests.test_blockwise_sending import Range
from tests.test_bodies import CONTENT, PATIENT, URI, BodiesTestCase
from tests.test_consumed import Streaming, Taker
from tests.test_fetching import body
from txcoap import errors
from txcoap.block import Block
from txcoap.blockwise import RangedResponse
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.limits import Limits
from txcoap.options import Options
from txcoap.request import Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK
from txcoap.server import Site
from txcoap.testing import MemoryNetwork, StubAgent


class FetchingTests(BodiesTestCase):
    """A response's body in blocks, put together."""

    def test_whole(self) -> None:
        """By default the body is there as a whole, and so are the first message's options."""
        waiting = self.agent.get(URI)
        for _ in range(3):
            self.serve(body(40), etag=b"e", contentFormat=0)
        response = self.successResultOf(waiting)
        self.assertEqual((response.payload, response.length), (body(40), 40))
        self.assertEqual((response.etag, response.contentFormat), (b"e", 0))
        self.assertOver()

    def test_limit(self) -> None:
        """C{maximumBody}: a larger one fails with L{errors.BodyTooLarge}, and is asked for no further."""
        agent = Agent(self.reactor, protocol=self.protocol, maximumBody=40)
        waiting = agent.get(URI)
        for _ in range(3):
            self.serve(body(40))
        self.assertEqual(self.successResultOf(waiting).payload, body(40))
        waiting = agent.get(URI)
        for _ in range(3):
            self.serve(body(41))
        self.failureResultOf(waiting, errors.BodyTooLarge)
        self.assertOver()

    def test_alwaysMore(self) -> None:
        """Hostile: a server that always says more."""
        agent = Agent(self.reactor, protocol=self.protocol, maximumBody=1000)
        waiting = agent.get(URI)
        for _ in range(63):
            self.serve(bytes(2000))
        self.failureResultOf(waiting, errors.BodyTooLarge)
        self.assertOver()

    def test_changed(self) -> None:
        """An ETag that changes midway: one restart, then L{errors.BodyChanged}."""
        waiting = self.agent.get(URI)
        self.serve(body(40, 1), etag=b"1")
        for _ in range(4):
            self.serve(body(40, 2), etag=b"2")
        self.assertEqual(self.successResultOf(waiting).payload, body(40, 2))
        waiting = self.agent.get(URI)
        for number in range(4):
            self.serve(body(100), etag=bytes([number]))
        self.failureResultOf(waiting, errors.BodyChanged)
        self.assertOver()

    def test_wrongNumber(self) -> None:
        """A wrong block number fails it; the body is never corrupt."""
        for wrong in (Block(0, True, 0), Block(3, False, 0)):
            waiting = self.agent.get(URI)
            self.serve(body(100))
            self.serve(body(100), block2=wrong)
            self.failureResultOf(waiting, errors.MalformedResponse)
        self.assertOver()

    def test_fourBytes(self) -> None:
        """Hostile: a Block2 of four bytes is not understood: the request fails (RFC 7252 5.4.1)."""
        waiting = self.agent.get(URI)
        asked = self.peer.takeOne()
        options = Options.fromPairs([(23, b"\x01\x00\x00\x08")])
        self.peer.send(ACK, CONTENT, asked.messageID, asked.token, options, bytes(16))
        self.failureResultOf(waiting, errors.MalformedResponse)
        self.assertOver()

    def test_range(self) -> None:
        """C{byteRange}: no more is asked for than covers it; without an end, all that follows."""
        whole = body(200)
        rows = [
            ((64, 20), 64, 84, 2),
            ((64, None), 64, 200, 9),
            ((0, 16), 0, 16, 1),
            ((192, 99), 192, 200, 1),
        ]
        for byteRange, start, end, messages in rows:
            waiting = self.agent.get(URI, blockSize=16, byteRange=byteRange)
            for _ in range(messages):
                self.serve(whole)
            self.assertEqual(self.successResultOf(waiting).payload, whole[start:end])
        self.assertOver()

    def test_rangeOffBlock(self) -> None:
        """A range begins with a block."""
        self.failureResultOf(self.agent.get(URI, blockSize=16, byteRange=(17, 5)), ValueError)
        self.assertOver()

    def test_byHand(self) -> None:
        """C{block2} chooses where to begin, and the size."""
        waiting = self.agent.get(URI, block2=Block(10, False, 0))
        asked = [self.serve(body(200)) for _ in range(3)]
        self.assertEqual([each.options.block2 for each in asked], [Block(n, False, 0) for n in (10, 11, 12)])
        self.assertEqual(self.successResultOf(waiting).payload, body(200)[160:])

    def test_cancel(self) -> None:
        """Cancelled halfway: nothing more is asked for."""
        waiting = self.agent.get(URI)
        self.serve(body(100))
        self.peer.take()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertOver()

    def test_cancelInProgress(self) -> None:
        """Also from within the progress callback."""

        def cancel(*about: Any) -> None:
            waiting.cancel()

        waiting = self.agent.get(URI, progress=cancel)
        self.serve(body(100))
        self.failureResultOf(waiting, CancelledError)
        self.assertOver()


class StreamTests(BodiesTestCase):
    """C{stream=True}: the response as soon as its first block is here, its body as it is taken."""

    def stream(self, whole: bytes, **options: Any) -> Any:
        """The response whose first block came."""
        waiting = self.agent.get(URI, stream=True)
        self.assertNoResult(waiting)
        self.serve(whole, **options)
        return self.successResultOf(waiting)

    def test_first(self) -> None:
        """Nothing more is asked for until somebody takes the body."""
        response = self.stream(body(100), etag=b"e", size2=100)
        self.assertEqual((response.code, response.etag, response.length), (CONTENT, b"e", 100))
        self.assertOver()

    def test_unknownLength(self) -> None:
        """A length that the peer did not tell is C{UNKNOWN_LENGTH}."""
        self.assertIs(self.stream(body(100)).length, UNKNOWN_LENGTH)

    def test_deliver(self) -> None:
        """Block by block; then C{ResponseDone}."""
        response = self.stream(body(40))
        taker = Taker()
        response.deliverBody(taker)
        self.assertEqual(taker.data, body(40)[:16])
        self.serve(body(40))
        self.assertEqual((taker.data, taker.reasons), (body(40)[:32], []))
        self.serve(body(40))
        self.assertEqual(taker.data, body(40))
        self.assertEqual([each.type for each in taker.reasons], [ResponseDone])
        self.assertRaises(RuntimeError, response.deliverBody, Taker())
        self.assertOver()

    def test_oneMessage(self) -> None:
        """So with a body of one message, and of none."""
        for whole in (b"small", b""):
            waiting = self.agent.get(URI, stream=True)
            self.reply(CONTENT, whole)
            taker = Taker()
            self.successResultOf(waiting).deliverBody(taker)
            self.assertEqual((taker.data, taker.reasons[0].type), (whole, ResponseDone))

    def test_pause(self) -> None:
        """While the protocol pauses nothing is asked for, and nothing delivered."""
        response = self.stream(body(100))
        taker = Taker()
        response.deliverBody(taker)
        taker.transport.pauseProducing()  # type: ignore[union-attr]
        self.serve(body(100))
        self.assertEqual(taker.data, body(100)[:16])
        self.reactor.elapse(1000)
        self.assertEqual(self.peer.take(), [])
        taker.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual(taker.data, body(100)[:32])
        # Once more changes nothing.
        taker.transport.resumeProducing()  # type: ignore[union-attr]
        while not taker.reasons:
            self.serve(body(100))
        self.assertEqual(taker.data, body(100))
        self.assertOver()

    def test_pauseWithin(self) -> None:
        """It may do so from within C{dataReceived}, each time."""
        taker = Taker()
        taker.each = lambda: taker.transport.pauseProducing()  # type: ignore[union-attr]
        self.stream(body(100)).deliverBody(taker)
        for number in range(1, 7):
            self.assertEqual(self.peer.take(), [])
            taker.transport.resumeProducing()  # type: ignore[union-attr]
            self.serve(body(100))
            self.assertEqual(len(taker.data), min(100, 16 * number + 16))
        self.assertEqual(taker.reasons[0].type, ResponseDone)

    def test_stop(self) -> None:
        """Who stops it gets C{ResponseFailed}, and nothing more is asked for."""
        taker = Taker()
        self.stream(body(100)).deliverBody(taker)
        self.peer.take()
        taker.transport.stopProducing()  # type: ignore[union-attr]
        self.assertEqual([each.type for each in taker.reasons], [ResponseFailed])
        self.assertOver()

    def test_stopWithin(self) -> None:
        """From within C{dataReceived}, too: at the first block, and at a later one."""
        for length in (16, 32):
            taker = Taker()

            def each(taker: Taker = taker, length: int = length) -> None:
                if len(taker.data) == length:
                    taker.transport.loseConnection()  # type: ignore[union-attr]

            taker.each = each
            self.stream(body(100)).deliverBody(taker)
            if length > 16:
                self.serve(body(100))
            self.assertEqual(len(taker.data), length)
            self.assertEqual([each.type for each in taker.reasons], [ResponseFailed])
        self.assertOver()

    def test_stopWhilePaused(self) -> None:
        """And while it is paused."""
        taker = Taker()
        taker.each = lambda: taker.transport.pauseProducing()  # type: ignore[union-attr]
        self.stream(body(100)).deliverBody(taker)
        taker.transport.stopProducing()  # type: ignore[union-attr]
        self.assertEqual([each.type for each in taker.reasons], [ResponseFailed])
        taker.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertOver()

    def assertFailsWith(self, taker: Taker, kind: type[Exception]) -> None:
        """The body ended so."""
        (reason,) = taker.reasons
        failed: Any = reason.value
        self.assertIsInstance(failed, ResponseFailed)
        (cause,) = failed.reasons
        cause.trap(kind)

    def test_fails(self) -> None:
        """What goes wrong midway is C{ResponseFailed} with the reason: nobody takes a part for the whole."""
        rows: list[tuple[dict[str, Any], type[Exception]]] = [
            ({"block2": Block(5, True, 0)}, errors.MalformedResponse),
            ({"etag": b"other"}, errors.BodyChanged),
        ]
        for options, kind in rows:
            taker = Taker()
            self.stream(body(100), etag=b"e").deliverBody(taker)
            self.serve(body(100), **options)
            self.assertFailsWith(taker, kind)
            self.assertEqual(taker.data, body(100)[:16])
        taker = Taker()
        self.stream(body(100)).deliverBody(taker)
        self.reply(Code.NOT_FOUND, b"gone")
        self.assertFailsWith(taker, errors.NotFound)
        self.assertEqual(taker.data, body(100)[:16])
        taker = Taker()
        self.stream(body(100)).deliverBody(taker)
        self.reactor.elapse(100)
        self.assertFailsWith(taker, errors.NoAcknowledgement)

    def test_unlimited(self) -> None:
        """C{maximumBody} is for what is put together."""
        self.agent = Agent(self.reactor, protocol=self.protocol, maximumBody=20)
        taker = Taker()
        self.stream(body(100)).deliverBody(taker)
        while not taker.reasons:
            self.serve(body(100))
        self.assertEqual(taker.data, body(100))

    def test_readBody(self) -> None:
        """C{twisted.web.client.readBody} reads it, streamed or not."""
        reading = readBody(self.stream(body(40)))
        for _ in range(2):
            self.serve(body(40))
        self.assertEqual(self.successResultOf(reading), body(40))
        waiting = self.agent.get(URI)
        self.reply(CONTENT, b"whole")
        self.assertEqual(self.successResultOf(readBody(self.successResultOf(waiting))), b"whole")

    def test_readBodyCancelled(self) -> None:
        """Cancelling that stops the transfer."""
        reading = readBody(self.stream(body(100)))
        self.peer.take()
        reading.cancel()
        self.failureResultOf(reading)
        self.assertOver()

    def test_treq(self) -> None:
        """C{treq.collect} and C{treq.content} read it."""
        parts: list[bytes] = []
        collecting = treq.collect(self.stream(body(40)), parts.append)
        for _ in range(2):
            self.serve(body(40))
        self.successResultOf(collecting)
        self.assertEqual(b"".join(parts), body(40))
        content = treq.content(self.stream(body(10)))
        self.assertEqual(self.successResultOf(content), body(10))


class BothTests(SynchronousTestCase):
    """Our client and our server, one against the other."""

    def test_anyBodies(self) -> None:
        """Any body, any sizes on both sides, confirmable or not, fresh tokens or not: both arrive."""
        lengths = st.one_of(st.integers(0, 3000), st.sampled_from([0, 16, 32, 1024, 2048]))
        sizes = st.sampled_from([16 << exponent for exponent in range(7)])

        @settings(deadline=None, derandomize=True, max_examples=40)
        @given(lengths, lengths, sizes, sizes, st.booleans(), st.booleans())
        def exchange(up: int, down: int, ours: int, theirs: int, con: bool, fresh: bool) -> None:
            store = Store(lambda request: body(down, 1))
            network = MemoryNetwork()
            network.listen(Site(store, blockSize=theirs))
            protocol = network.listen(network.newProtocol(parameters=PATIENT), "192.0.2.2", 0).protocol
            agent = Agent(network.reactor, protocol=protocol, blockSize=ours, freshTokens=fresh)
            waiting = agent.post(URI, body(up), confirmable=con)
            network.flush()
            self.assertEqual(self.successResultOf(waiting).payload, body(down, 1))
            self.assertEqual(store.whole, [("POST", body(up))])

        exchange()

    def lossy(self, exponent: int, confirmable: bool, seed: int) -> tuple[int, int]:
        """A body up and one down through 20 % loss: how many arrived, and how many failed."""
        size = 16 << exponent
        blocks = 12 if confirmable else 2
        up, down = body(blocks * size - 3, exponent), body(blocks * size + 5, exponent)
        store = Store(lambda request: down if request.method == "GET" else None)
        network = MemoryNetwork(seed=seed, loss=0.2, duplication=0.1, reordering=0.1, latency=0.05)
        network.listen(Site(store, blockSize=size, parameters=PATIENT))
        protocol = network.listen(network.newProtocol(parameters=PATIENT), "192.0.2.2", 0).protocol
        agent = Agent(network.reactor, protocol=protocol, blockSize=size)
        whole = failed = 0
        for waiting in (
            agent.put(URI, up, confirmable=confirmable, timeout=3000),
            agent.get(URI, confirmable=confirmable, timeout=3000),
        ):
            found: list[Any] = []
            waiting.addBoth(found.append)
            network.advance(3001)
            (result,) = found
            if isinstance(result, Failure):
                result.trap(errors.NoResponse)
                failed += 1
            else:
                self.assertIn(result.payload, (b"", down))
                whole += 1
        puts = [each for method, each in store.whole if method == "PUT"]
        self.assertLessEqual(len(puts), 1)
        self.assertLessEqual(set(puts), {up})
        network.advance(10_000)
        self.assertEqual(set(protocol.sizes().values()), {0})
        return whole, failed

    def test_loss(self) -> None:
        """With 20 % loss, duplicates and reordering every body arrives, at every SZX, up and down."""
        for exponent in range(7):
            self.assertEqual(self.lossy(exponent, True, exponent), (2, 0))

    def test_lossNonConfirmable(self) -> None:
        """Non-confirmable, nobody repeats: a body arrives as it is, or fails with L{errors.NoResponse}."""
        whole = failed = 0
        for exponent in range(7):
            for seed in range(8):
                arrived, missing = self.lossy(exponent, False, seed)
                whole += arrived
                failed += missing
        self.assertGreater(whole, 20)
        self.assertGreater(failed, 20)

    def test_twoAtOnce(self) -> None:
        """Many bodies at once from one socket to one resource: each arrives, whatever tells them apart."""
        manners: list[dict[str, bool]] = [
            {},
            {"freshTokens": True},
            {"sendRequestTag": False},
        ]
        for how in manners:
            store = Store(lambda request: request.payload)
            network = MemoryNetwork(latency=0.01)
            network.listen(Site(store, blockSize=32))
            parameters = PATIENT.evolve(NSTART=8)
            protocol = network.listen(network.newProtocol(parameters=parameters), "192.0.2.2", 0).protocol
            agent = Agent(network.reactor, protocol=protocol, blockSize=32, **how)  # type: ignore[arg-type]
            waiting = [agent.post(URI, body(300, each)) for each in range(8)]
            network.advance(60)
            bodies = [self.successResultOf(each).payload for each in waiting]
            self.assertEqual(bodies, [body(300, each) for each in range(8)])

    def test_twoAtOnceIndistinct(self) -> None:
        """With fresh tokens and without Request-Tags they are refused where they cannot be told apart."""
        store = Store()
        network = MemoryNetwork(latency=0.01)
        network.listen(Site(store, blockSize=32))
        parameters = PATIENT.evolve(NSTART=8)
        protocol = network.listen(network.newProtocol(parameters=parameters), "192.0.2.2", 0).protocol
        agent = Agent(network.reactor, protocol=protocol, freshTokens=True, sendRequestTag=False)
        waiting = [agent.post(URI, body(3000, each)) for each in range(2)]
        network.advance(60)
        codes = {self.successResultOf(each).code for each in waiting}
        self.assertIn(Code.REQUEST_ENTITY_INCOMPLETE, codes)
        whole = [each for _, each in store.whole]
        self.assertLessEqual(set(whole), {body(3000, 0), body(3000, 1)})

    def test_streams(self) -> None:
        """A streamed body up into a protocol, and a ranged one down, in constant memory."""
        taker = Taker()
        root = Streaming(lambda request: taker)
        source = Range(body(20_000))

        def answer(request: Request) -> RangedResponse:
            return RangedResponse(CONTENT, source, etag=b"e")

        root.answer = answer
        agent = StubAgent(Site(root, limits=Limits(bodyBytes=100, uploadBytes=2000)))
        cooperator = Cooperator(scheduler=lambda call: agent.clock.callLater(0, call))
        producer = FileBodyProducer(BytesIO(body(20_000, 1)), cooperator=cooperator)
        waiting = agent.fetch("coap://test/x", producer)
        agent.advance(1)
        self.assertEqual(self.successResultOf(waiting).code, CONTENT)
        self.assertEqual(taker.data, body(20_000, 1))
        reading = readBody(self.successResultOf(agent.get("coap://test/x", stream=True)))
        agent.advance(1)
        self.assertEqual(self.successResultOf(reading), body(20_000))
        self.assertEqual(agent.serverPort.protocol.sizes()["downloadBytes"], 0)

    def test_noCycles(self) -> None:
        """A body that was delivered leaves nothing to the collector of cycles; it is delivered once."""
        root = Resource()
        root.putChild("x", Store(lambda request: body(5000)))
        agent = StubAgent(root)
        response: Any = self.successResultOf(agent.get("coap://test/x", stream=True))
        reading = readBody(response)
        agent.flush()
        self.assertEqual(self.successResultOf(reading), body(5000))
        self.assertRaises(RuntimeError, readBody, response)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        taker = Taker()
        response = self.successResultOf(agent.get("coap://test/x", stream=True))
        response.deliverBody(taker)
        agent.flush()
        self.assertEqual(len(taker.data), 5000)
        seen = weakref.ref(taker)
        del response, taker
        self.assertIsNone(seen())
