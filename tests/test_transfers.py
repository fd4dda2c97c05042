"""
Tests for L{txcoap.sansio.transfers}.
"""

from __future__ import annotations

from itertools import permutations
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.test_blocks import CHECKED, PLAIN, body
from txcoap import errors
from txcoap.block import Block
from txcoap.codes import Code
from txcoap.limits import Limits
from txcoap.options import NO_OPTIONS, Options
from txcoap.sansio.blocks import Download, Stored, Upload, transferKey
from txcoap.sansio.counters import Counters
from txcoap.sansio.deadlines import Deadlines
from txcoap.sansio.transfers import Transfers

LIFETIME = 247.0


class Bench:
    """The machine, with a time that a test sets."""

    def __init__(self, **limits: int) -> None:
        self.now = 0.0
        self.deadlines = Deadlines()
        self.counters = Counters()
        self.transfers = Transfers(
            Limits().evolve(**limits), LIFETIME, self.deadlines, self.counters, lambda peer: None
        )

    def put(
        self,
        number: int,
        data: bytes,
        *,
        more: bool = True,
        exponent: int = 0,
        token: bytes = b"t",
        peer: str = "peer",
        options: Options = PLAIN,
        announced: int | None = None,
        limit: int | None = None,
    ) -> tuple[Upload, Stored]:
        """A block comes."""
        key = transferKey(peer, Code.PUT, options)
        block = Block(number, more, exponent)
        return self.transfers.receive(key, token, block, data, announced, limit, self.now)

    def offer(self, data: bytes, token: bytes = b"t", peer: str = "peer") -> Download:
        """A body is kept."""
        key = transferKey(peer, Code.GET, PLAIN)
        return self.transfers.offer(key, token, Code.CONTENT, NO_OPTIONS, data, len(data), self.now)

    def find(self, token: bytes = b"t", peer: str = "peer") -> Download | None:
        """A later block of one is asked for."""
        return self.transfers.find(transferKey(peer, Code.GET, PLAIN), token, self.now)

    def elapse(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.deadlines.expire(self.now)


class AssemblyTests(SynchronousTestCase):
    """Blocks that come, one body."""

    def setUp(self) -> None:
        """One machine."""
        self.bench = Bench()

    def test_inOrder(self) -> None:
        """Every block is stored; after the last the body is whole, and kept no longer."""
        whole = body(40)
        for number, stored in ((0, Stored.NEXT), (1, Stored.NEXT), (2, Stored.LAST)):
            part = whole[16 * number : 16 * number + 16]
            upload, found = self.bench.put(number, part, more=number < 2)
            self.assertIs(found, stored)
        self.assertEqual(self.bench.transfers.take(upload), whole)
        self.assertEqual(set(self.bench.transfers.sizes().values()), {0})

    def test_exactBlocks(self) -> None:
        """A body of exactly one block, and of exactly two, needs no empty last block."""
        upload, stored = self.bench.put(0, bytes(16), more=False)
        self.assertEqual((stored, self.bench.transfers.take(upload)), (Stored.LAST, bytes(16)))
        self.bench.put(0, bytes(16))
        upload, stored = self.bench.put(1, bytes(16), more=False)
        self.assertEqual((stored, self.bench.transfers.take(upload)), (Stored.LAST, bytes(32)))

    def test_emptyBody(self) -> None:
        """A body of no bytes is one block of none."""
        upload, stored = self.bench.put(0, b"", more=False)
        self.assertEqual((stored, self.bench.transfers.take(upload)), (Stored.LAST, b""))

    def test_lastBlockOfZeroBytes(self) -> None:
        """Hostile: a last block of zero bytes ends the body with what came before."""
        self.bench.put(0, bytes(16))
        upload, stored = self.bench.put(1, b"", more=False)
        self.assertEqual((stored, self.bench.transfers.take(upload)), (Stored.LAST, bytes(16)))

    def test_repeated(self) -> None:
        """A block that came before changes nothing."""
        whole = body(48)
        self.bench.put(0, whole[:16])
        self.bench.put(1, whole[16:32])
        self.assertIs(self.bench.put(1, whole[16:32])[1], Stored.AGAIN)
        self.assertIs(self.bench.put(1, b"?" * 16)[1], Stored.AGAIN)
        upload, _ = self.bench.put(2, whole[32:], more=False)
        self.assertEqual(self.bench.transfers.take(upload), whole)

    def test_lastAmidWhatCame(self) -> None:
        """A last block that ends before what came is a contradiction: 4.08, and all is forgotten."""
        for number in range(3):
            self.bench.put(number, bytes(16))
        self.assertRaises(errors.RequestEntityIncomplete, self.bench.put, 1, bytes(16), more=False)
        self.assertEqual(self.bench.transfers.sizes()["uploads"], 0)

    def test_gap(self) -> None:
        """A block too far ahead: 4.08, and all is forgotten (RFC 7959 2.9.2)."""
        self.bench.put(0, bytes(16))
        self.assertRaises(errors.RequestEntityIncomplete, self.bench.put, 2, bytes(16))
        self.assertRaises(errors.RequestEntityIncomplete, self.bench.put, 1, bytes(16))
        self.assertEqual(set(self.bench.transfers.sizes().values()), {0})

    def test_notBegun(self) -> None:
        """A later block of nothing that began: 4.08."""
        self.assertRaises(errors.RequestEntityIncomplete, self.bench.put, 1, bytes(16))

    def test_interleavedNumbers(self) -> None:
        """Hostile: numbers in any order but the right one never make a body."""
        for order in permutations(range(4)):
            bench = Bench()
            ends = []
            for number in order:
                try:
                    upload, stored = bench.put(number, bytes([number]) * 16, more=number < 3)
                except errors.RequestEntityIncomplete:
                    continue
                if stored is Stored.LAST:
                    ends.append(bench.transfers.take(upload))
            right = [b"".join(bytes([number]) * 16 for number in range(4))]
            self.assertEqual(ends, right if order == (0, 1, 2, 3) else [])

    def test_restart(self) -> None:
        """A first block begins anew, and tells who followed the old body that it was abandoned."""
        upload, _ = self.bench.put(0, b"a" * 16)
        gone: list[str] = []
        upload.abandoned = lambda: gone.append("gone")
        self.bench.put(1, b"a" * 16)
        self.bench.put(0, b"b" * 16)
        self.assertEqual(gone, ["gone"])
        again, _ = self.bench.put(1, b"b", more=False)
        self.assertEqual(self.bench.transfers.take(again), b"b" * 17)

    def test_wrongSizes(self) -> None:
        """A block that others follow is full, and none is larger than it says: 4.00."""
        rows = [(15, True), (17, True), (0, True), (17, False)]
        for length, more in rows:
            self.assertRaises(errors.BadRequest, self.bench.put, 0, bytes(length), more=more)
        self.assertRaises(errors.BadRequest, self.bench.put, 0, bytes(2048), exponent=7)
        self.assertEqual(self.bench.transfers.sizes()["uploads"], 0)

    def test_shrinking(self) -> None:
        """The size may shrink from one block to the next: places count, not numbers (RFC 7959 2.3)."""
        whole = body(80)
        self.bench.put(0, whole[:64], exponent=2)
        upload, stored = self.bench.put(4, whole[64:], more=False, exponent=0)
        self.assertEqual((stored, self.bench.transfers.take(upload)), (Stored.LAST, whole))

    def test_growingMidway(self) -> None:
        """Hostile: a size that grows is taken where it fits, and corrupts nothing where it does not."""
        whole = body(96)
        self.bench.put(0, whole[:16])
        self.bench.put(1, whole[16:32])
        upload, stored = self.bench.put(1, whole[32:64], exponent=1)
        self.assertIs(stored, Stored.NEXT)
        upload, _ = self.bench.put(1, whole[64:], more=False, exponent=2)
        self.assertEqual(self.bench.transfers.take(upload), whole)
        self.bench.put(0, whole[:16])
        self.bench.put(1, whole[16:32])
        self.bench.put(2, whole[32:48])
        self.assertIs(self.bench.put(1, whole[32:64], exponent=1)[1], Stored.AGAIN)
        self.assertRaises(errors.RequestEntityIncomplete, self.bench.put, 2, whole[64:], exponent=1)

    @CHECKED
    @given(st.binary(max_size=3000), st.integers(0, 6), st.randoms(use_true_random=False))
    def test_anyBody(self, whole: bytes, exponent: int, chance: Random) -> None:
        """Any body, cut with any size that shrinks at any time, with repetitions, is put together again."""
        bench = Bench()
        at = 0
        while True:
            part = whole[at : at + (16 << exponent)]
            more = at + len(part) < len(whole)
            number = at >> exponent + 4
            upload, stored = bench.put(number, part, more=more, exponent=exponent)
            if not more:
                break
            if number and chance.random() < 0.1:
                self.assertIs(bench.put(number, part, exponent=exponent)[1], Stored.AGAIN)
            at += len(part)
            if exponent and chance.random() < 0.1:
                exponent -= 1
        self.assertIs(stored, Stored.LAST)
        self.assertEqual(bench.transfers.take(upload), whole)
        self.assertEqual(set(bench.transfers.sizes().values()), {0})


class LimitTests(SynchronousTestCase):
    """What a peer can make grow has a bound, and an answer when it is full."""

    def test_announced(self) -> None:
        """Hostile: Size1 of 4 GiB is refused at once, and takes no memory: 4.13, Size1 telling the limit."""
        bench = Bench()
        error = self.assertRaises(
            errors.RequestEntityTooLarge, bench.put, 0, bytes(16), announced=2**32 - 1, limit=1000
        )
        self.assertEqual(error.options, {"size1": 1000})
        self.assertEqual(set(bench.transfers.sizes().values()), {0})

    def test_announcedIsNotBelieved(self) -> None:
        """A Size1 without a limit, or within it, takes no memory before the bytes come."""
        bench = Bench()
        bench.put(0, bytes(16), announced=2**32 - 1)
        self.assertEqual(bench.transfers.uploadBytes, 16)

    def test_endlessUpload(self) -> None:
        """Hostile: what keeps coming without a word of its size ends at the limit: 4.13, all forgotten."""
        bench = Bench()
        for number in range(62):
            bench.put(number, bytes(16), limit=1000)
        error = self.assertRaises(errors.RequestEntityTooLarge, bench.put, 62, bytes(16), limit=1000)
        self.assertEqual(error.options, {"size1": 1000})
        self.assertEqual(set(bench.transfers.sizes().values()), {0})

    def test_exactLimit(self) -> None:
        """A body of just the limit is taken."""
        bench = Bench()
        bench.put(0, bytes(16), limit=20, announced=20)
        upload, stored = bench.put(1, bytes(4), more=False, limit=20)
        self.assertEqual((stored, upload.received), (Stored.LAST, 20))
        bench.put(0, bytes(16), limit=20)
        self.assertRaises(errors.RequestEntityTooLarge, bench.put, 1, bytes(5), more=False, limit=20)

    def test_tenThousandFirstBlocks(self) -> None:
        """Hostile: 10,000 first blocks from 10,000 tokens stay within the bound; who came far, stays."""
        bench = Bench(uploads=100)
        for number in range(3):
            bench.put(number, b"a" * 1024, exponent=6, token=b"good")
        for number in range(10_000):
            bench.put(0, bytes(16), token=number.to_bytes(4, "big"), peer=f"peer {number % 100}")
        self.assertEqual(bench.transfers.sizes()["uploads"], 100)
        upload, stored = bench.put(3, b"a", more=False, exponent=6, token=b"good")
        self.assertEqual((stored, len(bench.transfers.take(upload))), (Stored.LAST, 3073))
        bench.elapse(LIFETIME)
        self.assertEqual(set(bench.transfers.sizes().values()), {0})

    def test_uploadsFull(self) -> None:
        """With none that consists of a first block only, another is answered 5.03 with Max-Age."""
        bench = Bench(uploads=3)
        for peer in "abc":
            for number in range(2):
                bench.put(number, bytes(16), peer=peer)
        error = self.assertRaises(errors.ServiceUnavailable, bench.put, 0, bytes(16), peer="d")
        self.assertIn("maxAge", error.options)
        self.assertEqual(bench.transfers.sizes()["uploads"], 3)

    def test_uploadBytesFull(self) -> None:
        """All uploads together stay under their budget; first blocks make room, then it is 5.03."""
        bench = Bench(uploadBytes=4096)
        for peer in "abcdef":
            bench.put(0, bytes(16), peer=peer)
        for number in range(4):
            bench.put(number, bytes(1024), exponent=6, peer="big")
            self.assertLessEqual(bench.transfers.uploadBytes, 4096)
        self.assertEqual(bench.transfers.sizes()["uploads"], 1)
        error = self.assertRaises(
            errors.ServiceUnavailable, bench.put, 4, bytes(1024), exponent=6, peer="big"
        )
        self.assertIn("maxAge", error.options)
        self.assertEqual(set(bench.transfers.sizes().values()), {0})

    @CHECKED
    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.booleans()), max_size=80))
    def test_sums(self, steps: list[tuple[int, int, bool]]) -> None:
        """Whatever comes: the counted bytes are those that are kept, and within the budget."""
        bench = Bench(uploads=4, uploadBytes=3000)
        at: dict[int, int] = {}
        for peer, exponent, more in steps:
            number, rest = divmod(at.get(peer, 0), 16 << exponent)
            if rest:
                continue
            try:
                upload, stored = bench.put(
                    number, bytes(16 << exponent), more=more, exponent=exponent, peer=str(peer)
                )
            except errors.ResponseError:
                at[peer] = 0
            else:
                at[peer] = upload.received if stored is Stored.NEXT else 0
            kept = [sum(map(len, each.parts)) for each in bench.transfers._uploadsByAge]
            self.assertEqual(bench.transfers.uploadBytes, sum(kept))
            self.assertLessEqual(sum(kept), 3000)
            self.assertLessEqual(len(kept), 4)


class TimeTests(SynchronousTestCase):
    """An upload that is not finished, and a body that is no longer fetched, are forgotten."""

    def test_abandonedUpload(self) -> None:
        """Its lifetime counts from its last block; who follows it is told."""
        bench = Bench()
        gone: list[float] = []
        upload, _ = bench.put(0, bytes(16))
        upload.abandoned = lambda: gone.append(bench.now)
        bench.elapse(LIFETIME - 1)
        bench.put(1, bytes(16))
        bench.elapse(LIFETIME - 1)
        self.assertEqual(gone, [])
        bench.elapse(1)
        self.assertEqual(len(gone), 1)
        self.assertEqual(set(bench.transfers.sizes().values()), {0})
        self.assertRaises(errors.RequestEntityIncomplete, bench.put, 2, bytes(16))
        self.assertEqual(len(bench.deadlines), 0)

    def test_download(self) -> None:
        """So with a body that is fetched: its lifetime counts from the last block asked for."""
        bench = Bench()
        gone: list[float] = []
        bench.offer(bytes(5000)).withdrawn = lambda: gone.append(bench.now)
        bench.elapse(LIFETIME - 1)
        self.assertIsNotNone(bench.find())
        bench.elapse(LIFETIME - 1)
        self.assertEqual((gone, bench.transfers.downloadBytes), ([], 5000))
        bench.elapse(1)
        self.assertEqual((len(gone), bench.transfers.downloadBytes), (1, 0))
        self.assertIsNone(bench.find())


class DownloadTests(SynchronousTestCase):
    """Bodies of responses that are kept while peers fetch them."""

    def test_apart(self) -> None:
        """Each peer and token has its own."""
        bench = Bench()
        one, two, other = bench.offer(b"1", b"1"), bench.offer(b"2", b"2"), bench.offer(b"3", b"1", "other")
        self.assertIs(bench.find(b"1"), one)
        self.assertIs(bench.find(b"2"), two)
        self.assertIs(bench.find(b"1", "other"), other)
        self.assertIsNone(bench.find(b"1", "third"))

    def test_freshToken(self) -> None:
        """A token that is not known finds the only one there is; of two, neither."""
        bench = Bench()
        one = bench.offer(b"1", b"1")
        self.assertIs(bench.find(b"?"), one)
        bench.offer(b"2", b"2")
        self.assertIsNone(bench.find(b"?"))

    def test_freshTokenAgain(self) -> None:
        """One that was served to its end does not stand in the way of the next."""
        bench = Bench()
        bench.offer(b"1", b"1").isServed = True
        two = bench.offer(b"2", b"2")
        self.assertIs(bench.find(b"?"), two)

    def test_replaced(self) -> None:
        """A new body under the same token takes the place of the old."""
        bench = Bench()
        gone: list[str] = []
        bench.offer(bytes(10)).withdrawn = lambda: gone.append("old")
        new = bench.offer(bytes(20))
        self.assertEqual((gone, bench.find(), bench.transfers.downloadBytes), (["old"], new, 20))

    def test_downloadsFull(self) -> None:
        """For one more than there may be, the one used longest ago goes."""
        bench = Bench(downloads=2)
        bench.offer(b"1", b"1", "one")
        two = bench.offer(b"2", b"2", "two")
        bench.find(b"1", "one")
        three = bench.offer(b"3", b"3", "three")
        self.assertIsNone(bench.find(b"2", "two"))
        self.assertIs(bench.find(b"3", "three"), three)
        self.assertEqual(bench.transfers.sizes()["downloads"], 2)
        bench.transfers.withdraw(two)
        self.assertEqual(bench.transfers.sizes()["downloads"], 2)

    def test_downloadBytesFull(self) -> None:
        """All of them together stay under their budget; what is larger than that is not kept at all."""
        bench = Bench(downloadBytes=100)
        for number in range(20):
            bench.offer(bytes(30), bytes([number]), f"peer {number}")
            self.assertLessEqual(bench.transfers.downloadBytes, 100)
        bench.offer(bytes(101))
        self.assertEqual(bench.transfers.downloadBytes, 0)
        self.assertIsNone(bench.find())
