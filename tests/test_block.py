"""
Tests for L{txcoap.block}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap.block import MAX_BLOCKS, Block, exponentFor
from txcoap.options import Options

CHECKED = settings(deadline=None, derandomize=True, max_examples=200)

BLOCKS = st.builds(Block, st.integers(0, MAX_BLOCKS - 1), st.booleans(), st.integers(0, 7))


class BlockTests(SynchronousTestCase):
    """The value of Block1 and Block2 (RFC 7959 2.2)."""

    def test_layout(self) -> None:
        """Twenty bits of number, one of more, three of exponent."""
        rows = [
            (0x00, Block(0, False, 0)),
            (0x06, Block(0, False, 6)),
            (0x08, Block(0, True, 0)),
            (0x1E, Block(1, True, 6)),
            (0x33, Block(3, False, 3)),
            (0xFFFFFF, Block(MAX_BLOCKS - 1, True, 7)),
        ]
        for value, block in rows:
            self.assertEqual(Block.fromUint(value), block)
            self.assertEqual(block.toUint(), value)

    @CHECKED
    @given(BLOCKS)
    def test_roundTrip(self, block: Block) -> None:
        """Whatever is written reads the same."""
        self.assertEqual(Block.fromUint(block.toUint()), block)
        self.assertEqual(Options(block1=block).block1, block)

    def test_shortest(self) -> None:
        """As an option it takes none to three bytes: leading zeros are left out (RFC 7252 3.2)."""
        rows = [(Block(0, False, 0), 0), (Block(15, True, 6), 1), (Block(16), 2), (Block(MAX_BLOCKS - 1), 3)]
        for block, length in rows:
            (data,) = Options(block2=block).get(23)
            self.assertEqual(len(data), length)

    def test_places(self) -> None:
        """A block of exponent SZX has 2 ** (SZX + 4) bytes, and begins that many times its number."""
        for exponent, size in enumerate((16, 32, 64, 128, 256, 512, 1024)):
            block = Block(5, True, exponent)
            self.assertEqual((block.size, block.start, block.isValid), (size, 5 * size, True))
        self.assertFalse(Block(0, False, 7).isValid)

    def test_outOfRange(self) -> None:
        """What fits no option is a C{ValueError}."""
        for block in (Block(MAX_BLOCKS), Block(-1), Block(0, False, 8), Block(0, False, -1)):
            self.assertRaises(ValueError, block.toUint)
            self.assertRaises(ValueError, Options, block1=block)

    def test_fourBytes(self) -> None:
        """A Block option of four bytes is no value, but one that is not understood (RFC 7252 5.4.3)."""
        options = Options.fromPairs([(27, b"\x01\x00\x00\x06")])
        self.assertEqual(options.unrecognized, (27,))
        self.assertIsNone(options.block1)


class ExponentTests(SynchronousTestCase):
    """L{exponentFor}: the largest block that is no larger than a size."""

    def test_sizes(self) -> None:
        """Sizes between two powers of two are rounded down; beyond 1024 there is nothing."""
        rows = [(16, 0), (31, 0), (32, 1), (64, 2), (100, 2), (512, 5), (1023, 5), (1024, 6), (10**6, 6)]
        for size, exponent in rows:
            self.assertEqual(exponentFor(size), exponent)

    def test_tooSmall(self) -> None:
        """No block has less than 16 bytes."""
        for size in (15, 1, 0, -16):
            self.assertRaises(ValueError, exponentFor, size)
