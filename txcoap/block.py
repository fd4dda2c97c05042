"""
L{Block}: the value of Block1 and Block2, which part of a body a message carries (RFC 7959 2.2)::

     0 1 2 3 4 5 6 7
    +-+-+-+-+-+-+-+-+
    |  NUM  |M| SZX |    in one to three bytes; the number takes up to twenty bits
    +-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MAX_BLOCKS", "MAX_EXPONENT", "Block", "exponentFor"]

MAX_BLOCKS = 1 << 20
"""A body has at most so many blocks (RFC 7959 2.2)."""

MAX_EXPONENT = 6
"""The exponent of the largest block, of 1,024 bytes; 7 is reserved over UDP (RFC 7959 2.2)."""


class Block(NamedTuple):
    """
    A block of a body.

    @ivar number: Its number, in blocks of its size, from 0.
    @ivar more: Whether others follow.
    @ivar exponent: The size's exponent, SZX: blocks have C{2 ** (exponent + 4)} bytes.
    """

    number: int
    more: bool = False
    exponent: int = MAX_EXPONENT

    @classmethod
    def fromUint(cls, value: int) -> Block:
        """Read the option's value."""
        return cls(value >> 4, bool(value & 8), value & 7)

    def toUint(self) -> int:
        """
        The option's value.

        @raise ValueError: if number or exponent are out of their range.
        """
        if not (0 <= self.number < MAX_BLOCKS and 0 <= self.exponent <= 7):
            raise ValueError(f"a block's number is below 2 ** 20 and its exponent at most 6; got {self}")
        return self.number << 4 | bool(self.more) << 3 | self.exponent

    @property
    def size(self) -> int:
        """Bytes in a block that is not the last."""
        return 16 << self.exponent

    @property
    def start(self) -> int:
        """Where in the body the block begins, in bytes."""
        return self.number << self.exponent + 4

    @property
    def isValid(self) -> bool:
        """Whether the size is one that datagrams know: an exponent of 7 is an error (RFC 7959 2.2)."""
        return self.exponent <= MAX_EXPONENT


def exponentFor(size: int) -> int:
    """
    The exponent of the largest block of at most this many bytes.

    @raise ValueError: below 16.
    """
    if size < 16:
        raise ValueError(f"a block has at least 16 bytes; got {size}")
    return min(size.bit_length() - 5, MAX_EXPONENT)
