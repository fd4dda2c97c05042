"""
The delta coding of options (RFC 7252 3.1), which datagrams and streams share.

Each option is written as the distance of its number from the one before it and its length, four bits
each::

      0   1   2   3   4   5   6   7
    +---------------+---------------+
    |  Option Delta | Option Length |   13: one more byte follows, holding the value less 13
    +---------------+---------------+   14: two more bytes follow, holding the value less 269
    |   Option Delta (extended)     |   15: reserved; 0xFF as a whole marks the payload
    |   Option Length (extended)    |
    |         Option Value          |
    +-------------------------------+
"""

from __future__ import annotations

from functools import lru_cache

from ..definitions import MAXIMUM_NUMBER, Pair
from ..errors import FormatError
from ..options import NO_OPTIONS, Options
from ..registration import rereadByRegistration

__all__ = ["PAYLOAD_MARKER", "REMEMBERED_LENGTH", "decode", "encode", "encodeOne", "recall"]

PAYLOAD_MARKER = 0xFF

# Peers ask the same few things over and over: the options of small messages are read once. The bounds
# keep what a hostile peer can fill that with below some 4 MiB.
_REMEMBERED_LISTS = 512
REMEMBERED_LENGTH = 64
"""How many bytes a list of options has at most that is remembered."""


def decode(data: bytes) -> tuple[Options, bytes]:
    """
    Read what follows the token: options, and after a marker the payload.

    @return: The options and the payload, empty if there is none.
    @raise FormatError: if the options are cut short, use a reserved value, or a marker has no payload
        behind it.
    """
    pairs: list[Pair] = []
    number = position = 0
    end = len(data)
    # Reading beyond the end raises IndexError, here and in _extended; a slice is checked.
    try:
        while position < end:
            byte = data[position]
            position += 1
            delta = byte >> 4
            length = byte & 15
            if delta > 12:
                if byte == PAYLOAD_MARKER:
                    if position == end:
                        raise FormatError("payload marker without a payload")
                    return _found(pairs, data[: position - 1]), data[position:]
                delta, position = _extended(data, position, delta)
            if length > 12:
                length, position = _extended(data, position, length)
            number += delta
            pairs.append((number, data[position : (position := position + length)]))
    except IndexError:
        raise FormatError("option header cut short") from None
    if position > end:
        raise FormatError("option value cut short")
    return _found(pairs, data), b""


@rereadByRegistration
@lru_cache(_REMEMBERED_LISTS)
def recall(data: bytes) -> Options | None:
    """
    The options that so many bytes are in whole, at most L{REMEMBERED_LENGTH} and none of them a payload
    marker; None if they are none. Read once.
    """
    try:
        options, _ = decode(data)
    except FormatError:
        return None
    return options


def encode(options: Options) -> bytes:
    """The options delta-coded, without the payload's marker."""
    wire = options.wire
    if wire is None:
        wire = options.wire = _encodePairs(options.pairs)
    return wire


def _extended(data: bytes, position: int, nibble: int) -> tuple[int, int]:
    """An extended delta or length, and the position after it."""
    if nibble == 13:
        return data[position] + 13, position + 1
    if nibble == 14:
        return (data[position] << 8 | data[position + 1]) + 269, position + 2
    raise FormatError("reserved option delta or length 15")


def _found(pairs: list[Pair], wire: bytes) -> Options:
    if not pairs:
        return NO_OPTIONS
    if pairs[-1][0] > MAXIMUM_NUMBER:
        raise FormatError("option number beyond 65535")
    return Options.fromPairs(pairs, wire)


def _encodePairs(pairs: tuple[Pair, ...]) -> bytes:
    parts: list[bytes] = []
    previous = 0
    for number, value in pairs:
        parts.append(encodeOne(number - previous, value))
        previous = number
    return b"".join(parts)


def encodeOne(delta: int, value: bytes) -> bytes:
    """One option, by the distance of its number from the one before it."""
    length = len(value)
    if delta < 13 and length < 13:
        return b"%c%b" % (delta << 4 | length, value)
    deltaNibble, deltaMore = _spread(delta)
    lengthNibble, lengthMore = _spread(length)
    return b"%c%b%b%b" % (deltaNibble << 4 | lengthNibble, deltaMore, lengthMore, value)


def _spread(value: int) -> tuple[int, bytes]:
    """A delta or length as its four bits and the bytes that extend them."""
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes((value - 13,))
    return 14, (value - 269).to_bytes(2, "big")
