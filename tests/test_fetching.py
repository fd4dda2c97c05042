"""
Tests for L{txcoap.sansio.fetching}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap import errors
from txcoap.block import Block
from txcoap.codes import Code
from txcoap.limits import Limits
from txcoap.message import Request, Response
from txcoap.options import Options
from txcoap.sansio.blocks import Stored, cut, transferKey
from txcoap.sansio.counters import Counters
from txcoap.sansio.deadlines import Deadlines
from txcoap.sansio.fetching import Asking, Stage
from txcoap.sansio.transfers import Transfers

CHECKED = settings(deadline=None, derandomize=True, max_examples=150)

CONTINUE, CHANGED, CONTENT = Code.CONTINUE, Code.CHANGED, Code.CONTENT


def body(length: int, seed: int = 0) -> bytes:
    """Bytes of which no two blocks are alike."""
    return Random(f"{seed} {length}").randbytes(length)


def putting(payload: bytes, **how: Any) -> Asking:
    """A PUT of a body."""
    return Asking(Request(Code.PUT, payload, uriPath=("x",)), **how)


def getting(code: Code = Code.GET, payload: bytes = b"", **how: Any) -> Asking:
    """A GET."""
    return Asking(Request(code, payload, uriPath=("x",)), **how)


class SendingTests(SynchronousTestCase):
    """The request's body."""

    def put(self, asking: Asking, code: Code, **options: Any) -> Request:
        """The next message, answered."""
        message = asking.next()
        asking.answered(Response(code, b"", **options))
        return message

    def test_small(self) -> None:
        """A body of a block, or less, goes as it is: without Block1."""
        for length in (0, 1, 16):
            asking = putting(bytes(length), exponent=0)
            message = self.put(asking, CHANGED)
            self.assertEqual((message.payload, message.options.block1), (bytes(length), None))
            self.assertIs(asking.stage, Stage.DONE)

    def test_blocks(self) -> None:
        """A larger one goes in blocks; the first tells the size (RFC 7959 4), each has the tag."""
        whole = body(40)
        asking = putting(whole, exponent=0, requestTag=b"tag")
        sent = []
        for number in range(3):
            more = number < 2
            code = CONTINUE if more else CHANGED
            message = self.put(asking, code, block1=Block(number, more, 0))
            self.assertEqual(message.options.block1, Block(number, more, 0))
            self.assertEqual(message.options.size1, None if number else 40)
            self.assertEqual(message.options.requestTag, (b"tag",))
            sent.append(message.payload)
        self.assertEqual(b"".join(sent), whole)
        self.assertIs(asking.stage, Stage.DONE)
        self.assertEqual((asking.sent, asking.total), (40, 40))

    def test_exactBlocks(self) -> None:
        """Two whole blocks are two messages."""
        asking = putting(bytes(32), exponent=0)
        self.assertEqual(
            self.put(asking, CONTINUE, block1=Block(0, True, 0)).options.block1, Block(0, True, 0)
        )
        self.assertEqual(
            self.put(asking, CHANGED, block1=Block(1, False, 0)).options.block1, Block(1, False, 0)
        )

    def test_stateless(self) -> None:
        """A server may answer each block with its own success; it goes on (RFC 7959 Figure 8)."""
        asking = putting(bytes(48), exponent=0)
        for number in range(3):
            self.put(asking, CHANGED, block1=Block(number, False, 0))
        self.assertIs(asking.stage, Stage.DONE)

    def test_shrinking(self) -> None:
        """The peer may ask for smaller blocks in any 2.31; never for larger ones."""
        asking = putting(bytes(250), exponent=2)
        places = []
        for theirs in (2, 1, 6, 0, 3):
            block = asking.next().options.block1
            assert block is not None
            places.append((block.start, block.exponent))
            asking.answered(Response(CONTINUE, block1=Block(block.number, True, theirs)))
        self.assertEqual(places, [(0, 2), (64, 2), (128, 1), (160, 1), (192, 0)])

    def test_errorMidway(self) -> None:
        """An error ends it; what the peer says is the response."""
        asking = putting(bytes(48), exponent=0)
        self.put(asking, CONTINUE, block1=Block(0, True, 0))
        asking.next()
        asking.answered(Response(Code.FORBIDDEN, b"no"))
        assert asking.response is not None
        self.assertEqual((asking.response.code, asking.takePart()), (Code.FORBIDDEN, b"no"))
        self.assertIs(asking.stage, Stage.DONE)

    def test_endsEarly(self) -> None:
        """A success without Block1 amid the body is the response: the peer has seen enough."""
        asking = putting(bytes(48), exponent=0)
        self.put(asking, CHANGED)
        self.assertIs(asking.stage, Stage.DONE)

    def test_tooLargeWithHint(self) -> None:
        """4.13 with a smaller size: from the start with that, once (RFC 7959 2.9.3)."""
        whole = body(80)
        asking = putting(whole, exponent=2)
        self.put(asking, CONTINUE, block1=Block(0, True, 2))
        self.put(asking, Code.REQUEST_ENTITY_TOO_LARGE, block1=Block(1, True, 1))
        message = self.put(asking, Code.REQUEST_ENTITY_TOO_LARGE, block1=Block(0, True, 0))
        self.assertEqual((message.options.block1, message.payload), (Block(0, True, 1), whole[:32]))
        self.assertIs(asking.stage, Stage.DONE)

    def test_plainTooLargeWithHint(self) -> None:
        """So with a body that went without blocks: now it goes in them."""
        whole = body(40)
        asking = putting(whole)
        self.put(asking, Code.REQUEST_ENTITY_TOO_LARGE, block1=Block(0, False, 1))
        message = asking.next()
        self.assertEqual((message.options.block1, message.payload), (Block(0, True, 1), whole[:32]))

    def test_tooLargeWithoutHint(self) -> None:
        """4.13 without a size that could help is the response: nothing is tried again."""
        hints: list[dict[str, Any]] = [{}, {"block1": Block(0, True, 0)}, {"block1": Block(0, True, 6)}]
        for hint in hints:
            asking = putting(bytes(48), exponent=0)
            self.put(asking, Code.REQUEST_ENTITY_TOO_LARGE, **hint)
            self.assertIs(asking.stage, Stage.DONE, hint)
        asking = putting(bytes(10))
        self.put(asking, Code.REQUEST_ENTITY_TOO_LARGE, block1=Block(0, False, 0))
        self.assertIs(asking.stage, Stage.DONE)

    def test_incomplete(self) -> None:
        """4.08: from the start, once (RFC 7959 2.9.2)."""
        whole = body(48)
        asking = putting(whole, exponent=0)
        self.put(asking, CONTINUE, block1=Block(0, True, 0))
        self.put(asking, Code.REQUEST_ENTITY_INCOMPLETE)
        message = self.put(asking, CONTINUE, block1=Block(0, True, 0))
        self.assertEqual((message.options.block1, message.payload), (Block(0, True, 0), whole[:16]))
        self.put(asking, Code.REQUEST_ENTITY_INCOMPLETE)
        assert asking.response is not None
        self.assertEqual(asking.response.code, Code.REQUEST_ENTITY_INCOMPLETE)

    def test_ifNoneMatch(self) -> None:
        """If-None-Match goes with the first block only (RFC 7959 2.10); If-Match with each."""
        request = Request(Code.PUT, body(48), uriPath=("x",), ifNoneMatch=True, ifMatch=(b"1",))
        asking = Asking(request, exponent=0)
        sent = [self.put(asking, CONTINUE, block1=Block(number, True, 0)) for number in range(2)]
        asking.next()
        asking.answered(Response(CONTENT, bytes(16), block1=Block(2, False, 0), block2=Block(0, True, 0)))
        sent.append(asking.next())
        self.assertEqual([each.options.ifNoneMatch for each in sent], [True, False, False])
        self.assertEqual([each.options.ifMatch for each in sent], [(b"1",)] * 3)

    def test_incompleteOfFed(self) -> None:
        """A body that was fed is gone when its blocks were sent: then 4.08 is the response."""
        asking = putting(b"", exponent=0, isWhole=False)
        asking.feed(bytes(48))
        self.put(asking, CONTINUE, block1=Block(0, True, 0))
        self.put(asking, Code.REQUEST_ENTITY_INCOMPLETE)
        self.assertIs(asking.stage, Stage.DONE)

    def test_wrongAnswers(self) -> None:
        """A 2.31 that does not say to which block, to another, or to the last is malformed."""
        wrong: list[dict[str, Any]] = [{}, {"block1": Block(1, True, 0)}, {"block1": Block(7, True, 3)}]
        for options in wrong:
            asking = putting(bytes(48), exponent=0)
            asking.next()
            self.assertRaises(errors.MalformedResponse, asking.answered, Response(CONTINUE, **options))
        asking = putting(bytes(32), exponent=0)
        self.put(asking, CONTINUE, block1=Block(0, True, 0))
        asking.next()
        answer = Response(CONTINUE, block1=Block(1, True, 0))
        self.assertRaises(errors.MalformedResponse, asking.answered, answer)

    def test_fed(self) -> None:
        """A body can be fed bit by bit; what was sent is kept no longer."""
        whole = body(100)
        asking = putting(b"", exponent=0, isWhole=False)
        fed = 0
        sent = []
        while asking.stage is Stage.SENDING:
            while asking.wants:
                if fed < len(whole):
                    asking.feed(whole[fed : fed + 7])
                    fed += 7
                else:
                    asking.end()
            self.assertLessEqual(len(asking._body), 16 + 16 + 7)
            message = asking.next()
            block = message.options.block1
            assert block is not None
            sent.append(message.payload)
            code = CONTINUE if block.more else CHANGED
            asking.answered(Response(code, block1=Block(block.number, block.more, 0)))
        self.assertEqual(b"".join(sent), whole)
        self.assertEqual((asking.sent, asking.total), (100, 100))

    def test_fedTooLarge(self) -> None:
        """A body of which a part was sent, and is kept no longer, cannot begin anew in smaller blocks."""
        asking = putting(b"", exponent=2, isWhole=False)
        asking.feed(bytes(200))
        asking.next()
        asking.answered(Response(CONTINUE, block1=Block(0, True, 2)))
        asking.next()
        asking.answered(Response(Code.REQUEST_ENTITY_TOO_LARGE, block1=Block(1, True, 0)))
        self.assertEqual(asking.stage, Stage.DONE)
        assert asking.response is not None
        self.assertEqual(asking.response.code, Code.REQUEST_ENTITY_TOO_LARGE)

    def test_fedSmall(self) -> None:
        """A body that turns out to fit a block goes without Block1."""
        for length in (0, 5, 16):
            asking = putting(b"", exponent=0, isWhole=False)
            asking.feed(bytes(length))
            self.assertTrue(asking.wants)
            asking.end()
            self.assertFalse(asking.wants)
            self.assertEqual((asking.next().options.block1, asking.total), (None, length))

    def test_tooManyBlocks(self) -> None:
        """A body has at most 2 ** 20 blocks: then a typed error, not a number that wraps."""
        asking = putting(b"", exponent=0, isWhole=False)
        asking.sent = asking._bodyStart = ((1 << 20) - 1) * 16
        asking.feed(bytes(48))
        self.put(asking, CONTINUE, block1=Block((1 << 20) - 1, True, 0))
        self.assertRaises(errors.BodyTooLarge, asking.next)

    def test_earlyNegotiation(self) -> None:
        """
        The size of the response's blocks is asked for with the last block of the request (RFC 7959
        Figure 11), or with the only message.
        """
        asking = Asking(
            Request(Code.POST, bytes(20), uriPath=("x",), block2=Block(0, False, 2)),
            exponent=0,
            first=Block(0, False, 2),
        )
        first = self.put(asking, CONTINUE, block1=Block(0, True, 0))
        last = asking.next()
        self.assertEqual((first.options.block2, last.options.block2), (None, Block(0, False, 2)))
        self.assertEqual(getting(exponent=2).next().options.block2, Block(0, False, 2))
        self.assertIsNone(getting().next().options.block2)


class ReceivingTests(SynchronousTestCase):
    """The response's body."""

    def serve(self, asking: Asking, whole: bytes, exponent: int = 0, **options: Any) -> Request:
        """Answer the next message from a body."""
        message = asking.next()
        block, part = cut(whole, message.options.block2, exponent)
        asking.answered(Response(CONTENT, part, block2=block, **options))
        return message

    def test_whole(self) -> None:
        """Without Block2 the first message is all."""
        asking = getting()
        asking.next()
        asking.answered(Response(CONTENT, b"all", contentFormat=0))
        self.assertEqual((asking.stage, asking.takePart(), asking.received), (Stage.DONE, b"all", 3))

    def test_blocks(self) -> None:
        """Block after block is asked for; what is left of the options are those of the representation."""
        whole = body(40)
        asking = getting()
        asked = [self.serve(asking, whole, etag=b"e", size2=40, contentFormat=0) for _ in range(3)]
        self.assertEqual(
            [each.options.block2 for each in asked], [None, Block(1, False, 0), Block(2, False, 0)]
        )
        self.assertEqual((asking.stage, asking.takePart()), (Stage.DONE, whole))
        assert asking.response is not None
        self.assertEqual(asking.response.options, Options(etag=b"e", size2=40, contentFormat=0))

    def test_lateNegotiation(self) -> None:
        """Whoever wants smaller blocks goes on with these (RFC 7959 Figure 4)."""
        asking = getting(exponent=0)
        whole = body(100)
        message = asking.next()
        self.assertEqual(message.options.block2, Block(0, False, 0))
        asking.answered(Response(CONTENT, whole[:64], block2=Block(0, True, 2)))
        self.assertEqual(asking.next().options.block2, Block(4, False, 0))

    def test_peerShrinks(self) -> None:
        """The peer may shrink the size at any block."""
        whole = body(250)
        asking = getting()
        for exponent in (3, 2, 1, 0, 0):
            self.serve(asking, whole, exponent)
        self.assertEqual((asking.stage, asking.takePart()), (Stage.DONE, whole))

    def test_wrongNumbers(self) -> None:
        """A block out of turn, before or after, is malformed, and never becomes part of the body."""
        for wrong in (Block(0, True, 0), Block(2, True, 0), Block(7, False, 0)):
            asking = getting()
            self.serve(asking, bytes(100))
            asking.next()
            answer = Response(CONTENT, b"?" * 16, block2=wrong)
            self.assertRaises(errors.MalformedResponse, asking.answered, answer)
            self.assertEqual(asking.takePart(), bytes(16))

    def test_firstIsNotFirst(self) -> None:
        """Nor does a response begin with a later block that was not asked for."""
        asking = getting()
        asking.next()
        answer = Response(CONTENT, bytes(16), block2=Block(1, False, 0))
        self.assertRaises(errors.MalformedResponse, asking.answered, answer)

    def test_growingMidway(self) -> None:
        """Hostile: a size larger than was asked for, amid a body."""
        asking = getting()
        self.serve(asking, bytes(100))
        self.serve(asking, bytes(100))
        asking.next()
        answer = Response(CONTENT, bytes(32), block2=Block(1, True, 1))
        self.assertRaises(errors.MalformedResponse, asking.answered, answer)

    def test_wrongSizes(self) -> None:
        """A block that others follow is full; none is larger than it says; SZX 7 is no size."""
        rows = [
            (15, Block(0, True, 0)),
            (17, Block(0, True, 0)),
            (17, Block(0, False, 0)),
            (0, Block(0, True, 0)),
        ]
        for length, block in [*rows, (2048, Block(0, True, 7))]:
            asking = getting()
            asking.next()
            answer = Response(CONTENT, bytes(length), block2=block)
            self.assertRaises(errors.MalformedResponse, asking.answered, answer)

    def test_lastBlockOfZeroBytes(self) -> None:
        """Hostile: a last block of zero bytes ends the body with what came before."""
        asking = getting()
        self.serve(asking, bytes(17))
        asking.next()
        asking.answered(Response(CONTENT, b"", block2=Block(1, False, 0)))
        self.assertEqual((asking.stage, asking.takePart()), (Stage.DONE, bytes(16)))

    def test_stopsToSendBlocks(self) -> None:
        """A success without Block2 amid a body is malformed."""
        asking = getting()
        self.serve(asking, bytes(100))
        asking.next()
        self.assertRaises(errors.MalformedResponse, asking.answered, Response(CONTENT, b"rest"))

    def test_alwaysMore(self) -> None:
        """Hostile: a server that always says more is stopped by the limit."""
        asking = getting(maximum=1000)
        for number in range(62):
            asking.next()
            asking.answered(Response(CONTENT, bytes(16), block2=Block(number, True, 0)))
        asking.next()
        answer = Response(CONTENT, bytes(16), block2=Block(62, True, 0))
        self.assertRaises(errors.BodyTooLarge, asking.answered, answer)

    def test_alwaysMoreUnlimited(self) -> None:
        """Or, without a limit, by the number of blocks there can be: a typed error, no wrapped number."""
        asking = getting(first=Block((1 << 20) - 1, False, 0))
        asking.next()
        asking.answered(Response(CONTENT, bytes(16), block2=Block((1 << 20) - 1, True, 0)))
        self.assertRaises(errors.BodyTooLarge, asking.next)

    def test_announcedIsNotBelieved(self) -> None:
        """Hostile: Size2 of 4 GiB is told, and takes no memory."""
        asking = getting(maximum=1000)
        asking.next()
        asking.answered(Response(CONTENT, b"short", size2=2**32 - 1))
        self.assertEqual((asking.stage, asking.expected), (Stage.DONE, 5))

    def test_limit(self) -> None:
        """A body of just the limit is taken; the limit counts what came in one message, too."""
        for length, fits in ((48, True), (49, False)):
            asking = getting(maximum=48)
            for _ in range(3):
                self.serve(asking, bytes(length))
            if fits:
                self.assertIs(asking.stage, Stage.DONE)
            else:
                self.assertRaises(errors.BodyTooLarge, self.serve, asking, bytes(length))
        asking = getting(maximum=3)
        asking.next()
        self.assertRaises(errors.BodyTooLarge, asking.answered, Response(CONTENT, b"four"))

    def test_changedOnce(self) -> None:
        """Another ETag amid a body: from the start, once (RFC 7959 2.4)."""
        old, new = body(40, 1), body(50, 2)
        asking = getting()
        self.serve(asking, old, etag=b"old")
        self.serve(asking, new, etag=b"new")
        for _ in range(4):
            self.serve(asking, new, etag=b"new")
        self.assertEqual((asking.stage, asking.takePart()), (Stage.DONE, new))

    def test_etagChangesWithEveryBlock(self) -> None:
        """Hostile: an ETag that changes with every block is a typed error at the second time."""
        asking = getting()
        self.serve(asking, bytes(100), etag=b"0")
        self.serve(asking, bytes(100), etag=b"1")
        self.serve(asking, bytes(100), etag=b"2")
        self.assertRaises(errors.BodyChanged, self.serve, asking, bytes(100), etag=b"3")

    def test_changedTaken(self) -> None:
        """Where parts were taken they cannot be taken back: an error at once."""
        asking = getting()
        self.serve(asking, bytes(100), etag=b"0")
        asking.takePart()
        self.assertRaises(errors.BodyChanged, self.serve, asking, bytes(100), etag=b"1")

    def test_changedUnsafe(self) -> None:
        """The response to a POST cannot be had anew: an error at once."""
        asking = getting(Code.POST)
        self.serve(asking, bytes(100), etag=b"0")
        self.assertRaises(errors.BodyChanged, self.serve, asking, bytes(100), etag=b"1")

    def test_incomplete(self) -> None:
        """4.08 to a later block: the server has it no longer; from the start, once."""
        whole = body(40)
        asking = getting()
        self.serve(asking, whole)
        asking.next()
        asking.answered(Response(Code.REQUEST_ENTITY_INCOMPLETE))
        for _ in range(3):
            self.serve(asking, whole)
        self.assertEqual(asking.takePart(), whole)

    def test_errorMidway(self) -> None:
        """An error amid a body is the response."""
        asking = getting()
        self.serve(asking, bytes(100))
        asking.next()
        asking.answered(Response(Code.NOT_FOUND, b"gone"))
        assert asking.response is not None
        self.assertEqual((asking.response.code, asking.takePart()), (Code.NOT_FOUND, b"gone"))

    def test_errorAfterPart(self) -> None:
        """Where parts of the body were taken it is raised: its text is no part of the body."""
        asking = getting()
        self.serve(asking, bytes(100))
        asking.takePart()
        asking.next()
        self.assertRaises(errors.NotFound, asking.answered, Response(Code.NOT_FOUND, b"gone"))
        self.assertEqual(asking.takePart(), b"")

    def test_errorWithBlock(self) -> None:
        """A diagnostic in blocks is not fetched."""
        asking = getting()
        asking.next()
        asking.answered(Response(Code.BAD_REQUEST, bytes(16), block2=Block(0, True, 0)))
        self.assertEqual((asking.stage, asking.takePart()), (Stage.DONE, bytes(16)))

    def test_range(self) -> None:
        """A start and a length: no more is asked for than covers them."""
        asking = Asking(Request(Code.GET, block2=Block(2, False, 0)), first=Block(2, False, 0), length=20)
        asked = [self.serve(asking, body(200)).options.block2 for _ in range(2)]
        self.assertEqual(asked, [Block(2, False, 0), Block(3, False, 0)])
        self.assertIs(asking.stage, Stage.DONE)

    def test_rangeOfPart(self) -> None:
        """A range is what was asked for of the body, whatever blocks it came in."""
        whole = body(200)
        request = Request(Code.GET, block2=Block(2, False, 1))
        for length, end in ((20, 84), (32, 96), (64, 128), (33, 97), (None, 200), (500, 200)):
            asking = Asking(request, exponent=1, first=Block(2, False, 1), length=length)
            while asking.stage is not Stage.DONE:
                self.serve(asking, whole, 1)
            self.assertEqual(asking.takePart(), whole[64:end])

    def test_rangeIgnored(self) -> None:
        """A response without Block2 is the whole body (RFC 7959 2.4): the range is taken out of it."""
        whole = body(50)
        asking = Asking(Request(Code.GET, block2=Block(2, False, 0)), first=Block(2, False, 0), length=10)
        asking.next()
        asking.answered(Response(CONTENT, whole))
        self.assertEqual(asking.takePart(), whole[32:42])

    def test_rangeError(self) -> None:
        """An error is told whole, whatever range was asked for."""
        asking = Asking(Request(Code.GET, block2=Block(2, False, 0)), first=Block(2, False, 0), length=3)
        asking.next()
        asking.answered(Response(Code.BAD_REQUEST, b"the body ends before"))
        self.assertEqual(asking.takePart(), b"the body ends before")

    def test_fetchRepeatsPayload(self) -> None:
        """A FETCH gives its payload, part of what it asks for, with each request (RFC 8132 2)."""
        asking = getting(Code.FETCH, b"filter")
        self.serve(asking, bytes(100))
        self.assertEqual(asking.next().payload, b"filter")
        asking = getting(Code.POST, b"form")
        self.serve(asking, bytes(100))
        self.assertEqual(asking.next().payload, b"")

    def test_block1ThenBlock2(self) -> None:
        """After a body that went in blocks, its Request-Tag stays, Block1 and Size1 do not."""
        asking = putting(bytes(20), exponent=0, requestTag=b"r")
        asking.next()
        asking.answered(Response(CONTINUE, block1=Block(0, True, 0)))
        asking.next()
        asking.answered(Response(CHANGED, bytes(16), block1=Block(1, False, 0), block2=Block(0, True, 0)))
        self.assertIs(asking.stage, Stage.RECEIVING)
        options = asking.next().options
        self.assertEqual(options, Options(uriPath=("x",), requestTag=(b"r",), block2=Block(1, False, 0)))


class BothTests(SynchronousTestCase):
    """The two machines, one against the other."""

    @CHECKED
    @given(
        st.binary(max_size=2500),
        st.binary(max_size=2500),
        st.integers(0, 6),
        st.integers(0, 6),
        st.booleans(),
        st.randoms(use_true_random=False),
    )
    def test_anyBodies(
        self, up: bytes, down: bytes, ours: int, theirs: int, isFed: bool, chance: Random
    ) -> None:
        """Any body, any size on both sides, shrunk at any time: both arrive byte for byte."""
        transfers = Transfers(Limits(), 247.0, Deadlines(), Counters())
        arrived: list[bytes] = []
        if isFed:
            asking = Asking(Request(Code.POST), exponent=ours, isWhole=False)
            asking.feed(up)
            asking.end()
        else:
            asking = Asking(Request(Code.POST, up), exponent=ours)
        while asking.stage is not Stage.DONE:
            message = asking.next()
            block1, block2 = message.options.block1, message.options.block2
            limit = theirs if chance.random() < 0.9 else chance.randint(0, theirs)
            if block1 is not None:
                key = transferKey("peer", message.code, message.options)
                upload, stored = transfers.receive(key, b"t", block1, message.payload, None, None, 0.0)
                if stored is not Stored.LAST:
                    answer = Block(block1.number, True, min(block1.exponent, limit))
                    asking.answered(Response(CONTINUE, block1=answer))
                    continue
                arrived.append(transfers.take(upload))
            elif not block2 or not block2.number:
                arrived.append(message.payload)
            block, part = cut(down, block2, limit)
            asking.answered(Response(CHANGED, part, block2=block, etag=b"e"))
        self.assertEqual((arrived, asking.takePart()), ([up], down))
