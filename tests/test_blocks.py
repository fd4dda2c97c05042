"""
Tests for L{txcoap.sansio.blocks}.
"""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap import errors
from txcoap.block import Block
from txcoap.options import Options
from txcoap.sansio.blocks import cut, etagOf, isContinuation

CHECKED = settings(deadline=None, derandomize=True, max_examples=150)

PLAIN = Options(uriPath=("x",))


def body(length: int, seed: int = 0) -> bytes:
    """Bytes of which no two blocks are alike."""
    return Random(f"{seed} {length}").randbytes(length)


class CutTests(SynchronousTestCase):
    """One block of a body."""

    def test_lengths(self) -> None:
        """Empty, less than a block, exactly one, one byte more, exactly n."""
        rows = {0: [0], 15: [15], 16: [16], 17: [16, 1], 32: [16, 16], 48: [16, 16, 16], 49: [16, 16, 16, 1]}
        for length, lengths in rows.items():
            whole = body(length)
            found = [cut(whole, Block(number, False, 0), 6) for number in range(len(lengths))]
            self.assertEqual([len(part) for _, part in found], lengths)
            self.assertEqual([block.more for block, _ in found], [True] * (len(lengths) - 1) + [False])
            self.assertEqual(b"".join(part for _, part in found), whole)

    def test_unasked(self) -> None:
        """Without a Block2 option it is the first, of our own size."""
        self.assertEqual(cut(bytes(100), None, 1), (Block(0, True, 1), bytes(32)))

    def test_smaller(self) -> None:
        """We send no larger blocks than we want: the number is then that of the smaller ones."""
        whole = body(256)
        self.assertEqual(cut(whole, Block(1, False, 3), 1), (Block(4, True, 1), whole[128:160]))

    def test_more(self) -> None:
        """What a request for a block says of whether there are more is ignored (RFC 7959 2.4)."""
        for more in (False, True):
            self.assertEqual(cut(bytes(32), Block(0, more, 0), 6), (Block(0, True, 0), bytes(16)))
            self.assertEqual(cut(bytes(32), Block(1, more, 0), 6), (Block(1, False, 0), bytes(16)))

    def test_beyond(self) -> None:
        """There is no block beyond the end: 4.00; the first is there even of nothing."""
        self.assertRaises(errors.BadRequest, cut, bytes(32), Block(2, False, 0), 6)
        self.assertRaises(errors.BadRequest, cut, b"", Block(1, False, 0), 6)
        self.assertRaises(errors.BadRequest, cut, bytes(32), Block((1 << 20) - 1, False, 6), 6)
        self.assertEqual(cut(b"", Block(0, False, 0), 6), (Block(0, False, 0), b""))

    def test_reserved(self) -> None:
        """An exponent of 7 is an error over UDP (RFC 7959 2.2)."""
        self.assertRaises(errors.BadRequest, cut, bytes(32), Block(0, False, 7), 6)

    @CHECKED
    @given(st.binary(max_size=3000), st.integers(0, 6), st.integers(0, 6), st.randoms(use_true_random=False))
    def test_anyBody(self, whole: bytes, asked: int, ours: int, chance: Random) -> None:
        """Whatever the sizes, and whenever the peer shrinks its own, the parts make up the body."""
        parts: list[bytes] = []
        at = 0
        while True:
            block, part = cut(whole, Block(at >> asked + 4, False, asked), ours)
            self.assertEqual((block.start, block.exponent), (at, min(asked, ours)))
            parts.append(part)
            at += len(part)
            if not block.more:
                break
            asked = min(asked, block.exponent)
            if asked and chance.random() < 0.1:
                asked -= 1
        self.assertEqual(b"".join(parts), whole)


class EntityTagTests(SynchronousTestCase):
    """What tells one body from another."""

    def test_sameWhereverAskedFor(self) -> None:
        """A tag depends on the body alone: another process, and another start of this one, give the same."""
        whole = body(3000)
        self.assertEqual(etagOf(whole), sha256(whole).digest()[:8])
        self.assertEqual(etagOf(bytes(bytearray(whole))), etagOf(whole))

    def test_manyBodies(self) -> None:
        """Whatever was asked for meanwhile, two bodies have two tags, and one body has one."""
        bodies = [body(20, seed) for seed in range(1000)]
        first = [etagOf(each) for each in bodies]
        self.assertEqual(len(set(first)), len(bodies))
        self.assertEqual([etagOf(each) for each in bodies], first)


class ContinuationTests(SynchronousTestCase):
    """Which messages need not be remembered: those amid a body (RFC 7252 4.5)."""

    def test_rows(self) -> None:
        """First and last blocks of a request are remembered, and so is a first block asked for."""
        rows: list[tuple[dict[str, Any], bool]] = [
            ({}, False),
            ({"block1": Block(0, True)}, False),
            ({"block1": Block(1, True)}, True),
            ({"block1": Block(1, False)}, False),
            ({"block1": Block(0, False)}, False),
            ({"block2": Block(0, False)}, False),
            ({"block2": Block(1, False)}, True),
            ({"block1": Block(3, False), "block2": Block(1, False)}, False),
            ({"size1": 5}, False),
        ]
        for values, expected in rows:
            self.assertIs(isContinuation(PLAIN.evolve(**values)), expected, values)
