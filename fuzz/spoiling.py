"""
Messages, and what becomes of them on the way: bits flipped, ends cut off, two of them spliced, lengths
exaggerated, IDs changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from txcoap.codes import Code
from txcoap.options import DEFINITIONS, NO_OPTIONS, Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, empty, encode

__all__ = ["Spoiler", "corpus", "written"]

# Bytes that mean a length or a delta that is extended or reserved, a marker, another version.
INTERESTING = (0x00, 0x0D, 0x0E, 0x0F, 0x40, 0x48, 0x49, 0x4F, 0xD0, 0xDD, 0xE0, 0xEE, 0xF0, 0xFE, 0xFF)


class Spoiler:
    """
    Spoils bytes.

    @param chance: Decides how.
    @param corpus: Messages to take parts from.
    """

    def __init__(self, chance: Random, corpus: Sequence[bytes]) -> None:
        self.chance = chance
        self.corpus = corpus

    def spoil(self, data: bytes, times: int) -> bytes:
        """Do so many bad things to a message."""
        for _ in range(times):
            data = self.chance.choice(_MUTATIONS)(self, data)
        return data

    def reply(self, sent: Datagram) -> bytes:
        """What a peer could say to something that it was sent."""
        chance = self.chance
        type = chance.choice((ACK, ACK, CON, NON, RST))
        if type == RST or chance.random() < 0.2:
            return empty(type, sent.messageID)
        messageID = sent.messageID if type == ACK else chance.getrandbits(16)
        options = Options(maxAge=5) if chance.random() < 0.5 else NO_OPTIONS
        code = chance.choice((Code.CONTENT, Code.NOT_FOUND))
        return encode(type, code, messageID, sent.token, options, b"x")

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self.chance.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self.chance.randrange(8),)) + data[at + 1 :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self.chance.randint(0, len(data))]

    def _splice(self, data: bytes) -> bytes:
        other = self.chance.choice(self.corpus)
        return data[: self.chance.randint(0, len(data))] + other[self.chance.randint(0, len(other)) :]

    def _exaggerate(self, data: bytes) -> bytes:
        """Put a byte that means a length, or a marker, in the place of another."""
        if not data:
            return data
        at = self.chance.randrange(len(data))
        return data[:at] + bytes((self.chance.choice(INTERESTING),)) + data[at + 1 :]

    def _insert(self, data: bytes) -> bytes:
        at = self.chance.randint(0, len(data))
        return data[:at] + self.chance.randbytes(self.chance.randint(1, 20)) + data[at:]

    def _renumber(self, data: bytes) -> bytes:
        """Another message ID: no copy, but a message of its own."""
        return data[:2] + self.chance.randbytes(2) + data[4:]


_MUTATIONS = (
    Spoiler._flip,
    Spoiler._cut,
    Spoiler._splice,
    Spoiler._exaggerate,
    Spoiler._insert,
    Spoiler._renumber,
    Spoiler._renumber,
)


def corpus(chance: Random) -> list[bytes]:
    """Valid messages of every type and kind, with every option."""
    pairs = [
        (each.number, chance.randbytes(length))
        for each in DEFINITIONS.values()
        for length in {each.minimum, min(each.maximum, 20)}
    ]
    lists = [
        NO_OPTIONS,
        Options(uriPath=("a", "b"), uriQuery=("x=1",), accept=0),
        Options(uriHost="example.com", uriPort=5683, uriPath=("long" * 10,) * 4, noResponse=26),
        Options(contentFormat=60, etag=(b"12345678",), maxAge=2**32 - 1, observe=5),
        Options(proxyUri="coap://example.com/" + "x" * 500),
        *[Options.fromPairs([pair]) for pair in pairs],
        *[Options.fromPairs(chance.sample(pairs, 6)) for _ in range(20)],
    ]
    codes = [
        *[code for code in Code if code.isRequest],
        Code.CONTENT,
        Code.NOT_FOUND,
        Code.fromByte(0x20),
        Code.PING,
    ]
    messages = [empty(type, chance.getrandbits(16)) for type in (CON, NON, ACK, RST)]
    for options in lists:
        for code in codes:
            token = chance.randbytes(chance.randint(0, 8))
            payload = chance.randbytes(chance.choice((0, 0, 5, 40)))
            type = chance.choice((CON, CON, NON, ACK))
            messages.append(encode(type, code, chance.getrandbits(16), token, options, payload))
    return messages


def written(datagram: Datagram) -> bytes:
    """The bytes of a message."""
    return encode(
        datagram.type,
        datagram.code,
        datagram.messageID,
        datagram.token,
        datagram.options,
        datagram.payload,
    )
