"""
Tests for L{txcoap.blockwise}: responses in blocks.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from tests.test_blockwise import CONTENT, FETCH, GET, POST, BlockwiseTestCase
from tests.test_fetching import body
from tests.wire import FORGOTTEN, Peer, trusted
from txcoap.block import Block
from txcoap.blockwise import RangedResponse
from txcoap.codes import Code
from txcoap.errors import Forbidden
from txcoap.interfaces import IRange
from txcoap.limits import Limits
from txcoap.message import Response
from txcoap.options import NO_OPTIONS, Options
from txcoap.request import Request
from txcoap.sansio.datagrams import ACK, CON, NON


@implementer(IRange)
class Range:
    """
    A body that is read at any place.

    @ivar reads: What was read.
    """

    def __init__(self, whole: bytes) -> None:
        self.whole = whole
        self.length = len(whole)
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int, size: int) -> bytes | Deferred[bytes]:
        """See L{IRange}."""
        self.reads.append((start, size))
        return self.whole[start : start + size]


class SendingTests(BlockwiseTestCase):
    """A response's body in blocks."""

    def setUp(self) -> None:
        """A resource of 100 bytes."""
        super().setUp()
        self.store.answer = lambda request: body(100)

    def test_small(self) -> None:
        """What fits a block goes as it is: without Block2, or an ETag."""
        self.serve(self.store, blockSize=128)
        self.assertEqual(self.answerTo(GET, "x").options, NO_OPTIONS)

    def test_smallAsked(self) -> None:
        """Who asks for a block gets one, though it is all."""
        self.serve(self.store)
        answer = self.answerTo(GET, "x", block2=Block(0, False, 6))
        self.assertEqual((answer.options.block2, answer.payload), (Block(0, False, 6), body(100)))

    def test_everyLength(self) -> None:
        """Bodies of nothing, of exactly one block, of n blocks, and of a byte more, at every SZX."""
        self.serve(self.store)
        for exponent in range(7):
            size = 16 << exponent
            for length in (0, 1, size - 1, size, size + 1, 3 * size, 3 * size + 1):
                self.store.answer = lambda request, length=length: body(length)  # type: ignore[misc]
                first = self.get(0, exponent)
                self.assertEqual(self.getAll(first), body(length))

    def test_optionsBeyond(self) -> None:
        """Options with greater numbers than Block2's are in every block, behind it (RFC 7252 3.1)."""
        beyond = (64996, b"x")
        self.store.answer = lambda request: Response(CONTENT, body(100), Options.fromPairs([beyond]))
        self.serve(self.store, blockSize=16)
        first = self.answerTo(GET, "x")
        self.assertEqual(self.getAll(first), body(100))
        for answer in (first, self.get(1), self.get(6)):
            self.assertEqual(answer.options.pairs[-1], beyond)

    def test_etagMade(self) -> None:
        """An ETag is made if the resource gave none, the same for the same bytes; each block has it."""
        self.serve(self.store, blockSize=16)
        first = self.answerTo(GET, "x")
        (etag,) = first.options.etag
        self.assertEqual(len(etag), 8)
        self.assertEqual(self.get(1).options.etag, (etag,))
        self.assertEqual(self.get(6).options.etag, (etag,))
        self.reactor.elapse(FORGOTTEN)
        self.assertEqual(self.answerTo(GET, "x").options.etag, (etag,))
        self.store.answer = lambda request: body(100, 1)
        self.assertNotEqual(self.answerTo(GET, "x").options.etag, (etag,))

    def test_etagGiven(self) -> None:
        """One that the resource gave stays."""
        self.store.answer = lambda request: Response(CONTENT, body(100), etag=b"own", contentFormat=0)
        self.serve(self.store, blockSize=16)
        for number in range(7):
            options = self.get(number).options
            self.assertEqual((options.etag, options.contentFormat), ((b"own",), 0))

    def test_valid(self) -> None:
        """A client that has this representation, by that ETag, gets 2.03 (RFC 7252 5.10.6.2)."""
        self.store.answer = lambda request: Response(CONTENT, body(100), etag=b"own")
        self.serve(self.store, blockSize=16)
        answer = self.answerTo(GET, "x", etag=(b"own",))
        self.assertEqual((answer.code, answer.payload, answer.options.block2), (Code.VALID, b"", None))

    def test_snapshot(self) -> None:
        """The resource changes midway: the later blocks come from the same body as the first."""
        self.serve(self.store, blockSize=16)
        first = self.answerTo(GET, "x")
        self.store.answer = lambda request: body(200, 1)
        self.assertEqual(self.getAll(first), body(100))
        self.assertEqual(len(self.store.whole), 1)
        # Another peer sees it as it is now.
        other = Peer(self.wire, ("192.0.2.10", 4))
        other.send(CON, GET, None, b"o", Options(uriPath=("x",)))
        self.assertEqual(other.takeOne().payload, body(200, 1)[:16])
        self.assertForgets()

    def test_snapshotForgotten(self) -> None:
        """After EXCHANGE_LIFETIME, or when others need its place, a GET is rendered anew."""
        self.serve(self.store, blockSize=16)
        self.answerTo(GET, "x")
        self.reactor.elapse(FORGOTTEN)
        self.assertEqual(self.protocol.sizes()["downloads"], 0)
        self.assertEqual(self.get(2).payload, body(100)[32:48])
        self.assertEqual(len(self.store.whole), 2)

    def test_downloadsFull(self) -> None:
        """Full, the one used longest ago goes; its client does not notice but by the ETag."""
        self.serve(self.store, blockSize=16, limits=Limits(downloads=2), hostOf=trusted)
        for token in (b"1", b"2", b"3"):
            self.answerTo(GET, "x", token=token)
        self.assertEqual(self.protocol.sizes()["downloads"], 2)
        self.assertEqual(self.get(1, token=b"1").payload, body(100)[16:32])
        self.assertEqual(self.protocol.sizes()["downloads"], 2)

    def test_downloadBytesFull(self) -> None:
        """So with the bytes of all of them."""
        self.serve(self.store, blockSize=16, limits=Limits(downloadBytes=250), hostOf=trusted)
        for token in (b"1", b"2", b"3"):
            self.answerTo(GET, "x", token=token)
        self.assertEqual(self.protocol.sizes()["downloadBytes"], 200)

    def test_postForgotten(self) -> None:
        """The response to a POST that is kept no longer cannot be made anew: 4.08; it never runs twice."""
        self.serve(self.store, blockSize=16)
        self.answerTo(POST, "x", b"go")
        self.reactor.elapse(FORGOTTEN)
        self.assertEqual(self.get(1, code=POST).code, Code.REQUEST_ENTITY_INCOMPLETE)
        self.assertEqual(len(self.store.whole), 1)

    def test_postTwiceWithFreshTokens(self) -> None:
        """A peer with fresh tokens for each block fetches the answers to one POST after the other."""
        self.serve(self.store, blockSize=16)
        for round_ in range(3):
            self.store.answer = lambda request, round_=round_: body(40, round_)  # type: ignore[misc]
            parts = [self.answerTo(POST, "x", b"go", token=bytes([round_, 0])).payload]
            for number in (1, 2):
                parts.append(self.get(number, code=POST, token=bytes([round_, number])).payload)
            self.assertEqual(b"".join(parts), body(40, round_))

    def test_beyond(self) -> None:
        """There is no block beyond the end: 4.00; nor one of SZX 7."""
        self.serve(self.store, blockSize=16)
        self.assertEqual(self.get(7).code, Code.BAD_REQUEST)
        self.answerTo(GET, "x")
        self.assertEqual(self.get(7).code, Code.BAD_REQUEST)
        self.assertEqual(self.get(2**20 - 1).code, Code.BAD_REQUEST)
        self.assertEqual(self.get(0, 7).code, Code.BAD_REQUEST)

    def test_tooManyBlocks(self) -> None:
        """A block whose number, in blocks of our size, is none any more: 4.00 (RFC 7959 2.2)."""
        self.store.answer = lambda request: bytes(2**24 + 1024)
        self.serve(self.store, blockSize=16)
        self.assertEqual(self.get(2**20 - 1).options.block2, Block(2**20 - 1, True, 0))
        self.assertEqual(self.get(2**18, 2).code, Code.BAD_REQUEST)
        self.reactor.elapse(FORGOTTEN)
        self.assertEqual(self.get(2**18, 2).code, Code.BAD_REQUEST)

    def test_size2(self) -> None:
        """Size2 tells the length to who asks for it (RFC 7959 4), and to nobody else."""
        self.serve(self.store, blockSize=16)
        self.assertEqual(self.answerTo(GET, "x", size2=0).options.size2, 100)
        self.assertIsNone(self.answerTo(GET, "x").options.size2)
        self.assertEqual(self.get(0, size2=0).options.size2, 100)
        later = self.get(1, size2=0)
        self.assertEqual((later.options.size2, later.payload), (100, body(100)[16:32]))

    def test_nonConfirmable(self) -> None:
        """So with non-confirmable messages."""
        self.serve(self.store, blockSize=16)
        self.assertEqual(self.getAll(self.answerTo(GET, "x", type=NON), type=NON), body(100))

    def test_separate(self) -> None:
        """A first block that takes its time comes apart; the others at once."""
        waiting: Deferred[bytes] = Deferred()
        self.store.answer = lambda request: waiting
        self.serve(self.store, blockSize=16)
        self.ask(GET, "x")
        self.reactor.elapse(1)
        self.assertEqual(self.peer.takeOne().code, 0)
        waiting.callback(body(100))
        first = self.peer.takeOne()
        self.peer.sendEmpty(ACK, first.messageID)
        self.assertEqual(first.type, CON)
        self.assertEqual(self.getAll(first), body(100))

    def test_largeDiagnostic(self) -> None:
        """A diagnostic larger than a block is cut, too: a message stays below the size that was set."""

        def refuse(request: Request) -> None:
            raise Forbidden("no" * 100)

        self.store.answer = refuse
        self.serve(self.store, blockSize=64)
        answer = self.answerTo(GET, "x")
        self.assertEqual((answer.code, len(answer.payload)), (Code.FORBIDDEN, 64))

    def test_block1ThenBlock2(self) -> None:
        """A FETCH whose body and answer both come in blocks is rendered once."""
        self.serve(self.store, blockSize=16)
        self.store.answer = lambda request: request.payload * 2
        answer = self.putAll(body(40), code=FETCH)[-1]
        self.assertEqual(self.getAll(answer, code=FETCH), body(40) * 2)
        self.assertEqual(self.store.whole, [("FETCH", body(40))])
        self.assertForgets()


class RangeTests(BlockwiseTestCase):
    """L{RangedResponse}: what is read where it is needed."""

    def setUp(self) -> None:
        """A resource of 100 bytes, whose ETag a test can change."""
        super().setUp()
        self.range = Range(body(100))
        self.etag = b"1"
        self.store.answer = lambda request: RangedResponse(CONTENT, self.range, etag=self.etag)
        self.serve(self.store, blockSize=16)

    def test_blocks(self) -> None:
        """Each block is read by itself; nothing is kept."""
        self.assertEqual(self.getAll(self.answerTo(GET, "x")), body(100))
        self.assertEqual(self.range.reads, [(at, 16) for at in range(0, 100, 16)])
        self.assertEqual(self.protocol.sizes()["downloads"], 0)

    def test_lengths(self) -> None:
        """Bodies of nothing, of one block, of n blocks."""
        for length in (0, 1, 16, 17, 48):
            self.range = Range(body(length))
            self.assertEqual(self.getAll(self.answerTo(GET, "x")), body(length))

    def test_changed(self) -> None:
        """The ETag tells the client of a change between two blocks."""
        self.assertEqual(self.answerTo(GET, "x").options.etag, (b"1",))
        self.etag = b"2"
        self.assertEqual(self.get(1).options.etag, (b"2",))

    def test_valid(self) -> None:
        """The client that has it gets 2.03, and nothing is read."""
        self.assertEqual(self.answerTo(GET, "x", etag=(b"1",)).code, Code.VALID)
        self.assertEqual(self.range.reads, [])

    def test_wrong(self) -> None:
        """Beyond the end, and SZX 7: 4.00."""
        self.assertEqual(self.get(7).code, Code.BAD_REQUEST)
        self.assertEqual(self.get(0, 7).code, Code.BAD_REQUEST)

    def test_size2(self) -> None:
        """Who asks for the length gets it."""
        self.assertEqual(self.answerTo(GET, "x", size2=0).options.size2, 100)

    def test_tooManyBlocks(self) -> None:
        """A block whose number, in blocks of our size, is none any more: 4.00 (RFC 7959 2.2)."""
        self.range.length = 2**32
        self.range.read = lambda start, size: bytes(size)  # type: ignore[method-assign]
        last = self.get(2**20 - 1)
        self.assertEqual((last.code, last.options.block2), (CONTENT, Block(2**20 - 1, True, 0)))
        self.assertEqual(self.get(2**20 - 1, 6).code, Code.BAD_REQUEST)

    def test_short(self) -> None:
        """Fewer bytes than there should be are no block: 5.03, to be asked again."""
        self.range.length = 120
        self.assertEqual(self.get(6).code, Code.SERVICE_UNAVAILABLE)

    def test_later(self) -> None:
        """Reading may take its time."""
        waiting: Deferred[bytes] = Deferred()
        self.range.read = lambda start, size: waiting  # type: ignore[method-assign]
        self.ask(GET, "x")
        self.assertEqual(self.peer.take(), [])
        waiting.callback(body(100)[:16])
        self.assertEqual(self.peer.takeOne().payload, body(100)[:16])

    def test_failing(self) -> None:
        """What fails while it is read is answered 5.00, and logged."""
        waiting: Deferred[bytes] = Deferred()
        self.range.read = lambda start, size: waiting  # type: ignore[method-assign]
        self.ask(GET, "x")
        waiting.errback(OSError("the disk is gone"))
        self.assertEqual(self.peer.takeOne().code, Code.INTERNAL_SERVER_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
