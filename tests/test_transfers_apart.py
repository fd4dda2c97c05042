"""
Tests for L{txcoap.sansio.transfers}: which blocks belong together, where several bodies are alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.test_blocks import CHECKED, PLAIN
from tests.test_transfers import Bench
from txcoap import errors
from txcoap.block import Block
from txcoap.codes import Code
from txcoap.options import Options
from txcoap.sansio.blocks import Stored, transferKey


def interleavings(first: list[int], second: list[int]) -> Iterator[list[tuple[int, int]]]:
    """Every order of two sequences in which each keeps its own: which one, and its element."""
    if not first or not second:
        yield [(0, each) for each in first] + [(1, each) for each in second]
        return
    for rest in interleavings(first[1:], second):
        yield [(0, first[0]), *rest]
    for rest in interleavings(first, second[1:]):
        yield [(1, second[0]), *rest]


class ApartTests(SynchronousTestCase):
    """Which blocks belong together (RFC 7959 2.4, 2.5, RFC 9175 3)."""

    def bothWhole(self, names: list[dict[str, object]], limit: int = 1000) -> None:
        """Two bodies, interleaved in every way, arrive as they are."""
        for order in interleavings([0, 1, 2], [0, 1, 2]):
            bench = Bench(uploads=limit)
            ends: dict[int, bytes] = {}
            for which, number in order:
                upload, stored = bench.put(
                    number,
                    bytes([which]) * 16,
                    more=number < 2,
                    **names[which],  # type: ignore[arg-type]
                )
                if stored is Stored.LAST:
                    ends[which] = bench.transfers.take(upload)
            self.assertEqual(ends, {0: bytes(48), 1: b"\x01" * 48})

    def test_peers(self) -> None:
        """Bodies of different peers never mix, though their tokens are the same."""
        self.bothWhole([{"peer": "one"}, {"peer": "two"}])

    def test_tokens(self) -> None:
        """Nor do those of different tokens."""
        self.bothWhole([{"token": b"one"}, {"token": b"two"}])

    def test_requestTags(self) -> None:
        """Nor those of different Request-Tags, though all else is the same; none is also one."""
        one, two = PLAIN.evolve(requestTag=(b"1",)), PLAIN.evolve(requestTag=(b"2",))
        self.bothWhole([{"options": one}, {"options": two}])
        self.bothWhole([{"options": one}, {}])
        self.bothWhole([{"options": PLAIN.evolve(requestTag=(b"",))}, {}])

    def test_paths(self) -> None:
        """Nor those to different resources."""
        self.bothWhole([{"options": Options(uriPath=("a",))}, {"options": Options(uriPath=("b",))}])

    def test_sameBody(self) -> None:
        """Size1, Size2, Block2, Observe, No-Response are no matter of which body it is."""
        key = transferKey("peer", Code.PUT, PLAIN)
        of: list[dict[str, Any]] = [
            {"size1": 3},
            {"size2": 0},
            {"block2": Block(0)},
            {"block1": Block(3)},
            {"observe": 0},
            {"noResponse": 2},
        ]
        for values in of:
            self.assertEqual(transferKey("peer", Code.PUT, PLAIN.evolve(**values)), key)
        of = [{"contentFormat": 0}, {"uriQuery": ("a",)}, {"ifMatch": (b"e",)}, {"accept": 0}]
        for values in of:
            self.assertNotEqual(transferKey("peer", Code.PUT, PLAIN.evolve(**values)), key)
        self.assertNotEqual(transferKey("peer", Code.POST, PLAIN), key)

    def test_freshTokens(self) -> None:
        """A peer that takes a fresh token for each block is understood, time and again."""
        bench = Bench()
        for round_ in range(3):
            for number in range(4):
                token = bytes([round_, number])
                upload, stored = bench.put(number, bytes([number]) * 16, more=number < 3, token=token)
            self.assertIs(stored, Stored.LAST)
            self.assertEqual(len(bench.transfers.take(upload)), 64)

    def test_freshTokensRepeated(self) -> None:
        """A block of such a peer that comes twice is stored once."""
        bench = Bench()
        bench.put(0, b"a" * 16, token=b"0")
        bench.put(1, b"b" * 16, token=b"1")
        self.assertIs(bench.put(1, b"b" * 16, token=b"1")[1], Stored.AGAIN)
        bench.put(2, b"c" * 16, token=b"2")
        self.assertRaises(errors.RequestEntityIncomplete, bench.put, 1, b"b" * 16, token=b"1")
        upload, _ = bench.put(3, b"d", more=False, token=b"3")
        self.assertEqual(bench.transfers.take(upload), b"a" * 16 + b"b" * 16 + b"c" * 16 + b"d")

    def fresh(self, order: list[tuple[int, int]], bench: Bench) -> tuple[list[bytes], int]:
        """Two bodies of three blocks with a fresh token for each: what arrived, and how often 4.08."""
        ends, refused = [], 0
        gone: set[int] = set()
        for step, (which, number) in enumerate(order):
            if which in gone:
                continue
            try:
                upload, stored = bench.put(
                    number, bytes([which]) * 16, more=number < 2, token=bytes([step, which])
                )
            except errors.RequestEntityIncomplete:
                gone.add(which)
                refused += 1
            else:
                if stored is Stored.LAST:
                    ends.append(bench.transfers.take(upload))
        return ends, refused

    def test_twoWithFreshTokens(self) -> None:
        """Two such at once end with 4.08 where they cannot be told apart, and never mix."""
        whole = {bytes(48), b"\x01" * 48}
        for order in interleavings([0, 1, 2], [0, 1, 2]):
            ends, refused = self.fresh(order, Bench())
            self.assertLessEqual(set(ends), whole, order)
            self.assertEqual(len(ends) + refused, 2, order)
        # Those who begin anew, one after the other, come through.
        bench = Bench()
        self.assertEqual(self.fresh([(0, 0), (1, 0), (0, 1), (1, 1)], bench), ([], 2))
        again = [(which, number) for which in (0, 1) for number in range(3)]
        self.assertEqual(self.fresh(again, bench), ([bytes(48), b"\x01" * 48], 0))

    def test_freshAfterAbandoned(self) -> None:
        """One that was abandoned costs the next one a restart at most."""
        for left in (1, 2):
            bench = Bench()
            for number in range(left):
                bench.put(number, bytes(16), token=bytes([number]))
            for attempt in range(2):
                ends, _ = self.fresh([(attempt, number) for number in range(3)], bench)
                if ends:
                    break
            self.assertIn(ends, ([bytes(48)], [b"\x01" * 48]))

    def test_evictedAmidAnother(self) -> None:
        """The rest of a body that was forgotten never continues another, though it would fit."""
        bench = Bench(uploads=2)
        bench.put(0, b"b" * 16, token=b"B")
        bench.put(0, b"a" * 16, token=b"A")
        bench.put(0, b"c" * 16, peer="another")
        self.assertRaises(errors.RequestEntityIncomplete, bench.put, 1, b"b" * 16, token=b"B")

    def test_evictedBeforeAnother(self) -> None:
        """Nor one that began after that; who begins anew then comes through."""
        bench = Bench(uploads=2)
        bench.put(0, b"b" * 16, token=b"B")
        bench.put(0, b"c" * 16, peer="another")
        bench.put(0, b"d" * 16, peer="a third")
        bench.put(0, b"a" * 16, token=b"A")
        self.assertRaises(errors.RequestEntityIncomplete, bench.put, 1, b"b" * 16, token=b"B2")
        bench.put(0, b"b" * 16, token=b"B3")
        upload, stored = bench.put(1, b"b", more=False, token=b"B4")
        self.assertEqual(bench.transfers.take(upload), b"b" * 17)

    def test_failedAmidAnother(self) -> None:
        """Nor does a repetition of the block that failed it."""
        bench = Bench()
        for number in range(2):
            bench.put(number, b"a" * 16, token=b"A")
            bench.put(number, b"b" * 16, token=b"B", limit=40)
        self.assertRaises(errors.RequestEntityTooLarge, bench.put, 2, b"b" * 16, token=b"B", limit=40)
        self.assertRaises(errors.RequestEntityIncomplete, bench.put, 2, b"b" * 16, token=b"B", limit=40)
        bench.put(2, b"a" * 16, token=b"A")
        upload, _ = bench.put(3, b"a", more=False, token=b"A")
        self.assertEqual(bench.transfers.take(upload), b"a" * 49)

    def test_lateAfterAnother(self) -> None:
        """Nor does a block of a finished body that the network delivers a second time, late."""
        bench = Bench()
        for number in range(3):
            upload, _ = bench.put(number, b"a" * 16, more=number < 2, token=b"A")
        bench.put(0, b"b" * 16, token=b"B")
        self.assertRaises(errors.RequestEntityIncomplete, bench.put, 1, b"a" * 16, token=b"A")

    def test_keptToken(self) -> None:
        """What showed that it keeps its token is continued by no other."""
        bench = Bench()
        bench.put(0, b"a" * 16, token=b"A")
        bench.put(1, b"a" * 16, token=b"A")
        self.assertRaises(errors.RequestEntityIncomplete, bench.put, 2, b"?" * 16, token=b"?")
        upload, _ = bench.put(2, b"a", more=False, token=b"A")
        self.assertEqual(bench.transfers.take(upload), b"a" * 33)

    @CHECKED
    @given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), max_size=60))
    def test_neverMixed(self, steps: list[tuple[int, bool, bool]]) -> None:
        """
        Three clients behind one address, who keep their token or not, begin anew at any time, while
        uploads are evicted: every body that becomes whole is one client's own.
        """
        bench = Bench(uploads=2)
        numbers = [0, 0, 0]
        for step, (who, restarts, evicts) in enumerate(steps):
            if restarts:
                numbers[who] = 0
            if evicts:
                with contextlib.suppress(errors.ServiceUnavailable):
                    bench.put(0, bytes(16), peer=f"other {step}")
            number = numbers[who]
            token = bytes([who]) if who < 2 else bytes([who, step])
            try:
                upload, stored = bench.put(number, bytes([who]) * 16, more=number < 3, token=token)
            except errors.ResponseError:
                numbers[who] = 0
                continue
            if stored is Stored.LAST:
                self.assertEqual(len(set(bench.transfers.take(upload))), 1)
            numbers[who] = 0 if stored is Stored.LAST else number + 1
