"""
What servers say to a client: right for the most part, so that it gets somewhere.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

from txcoap.block import Block
from txcoap.codes import Code
from txcoap.options import NO_OPTIONS, Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, empty, encode

__all__ = ["PEERS", "Origins"]

PEERS = [("192.0.2.9", port) for port in range(5683, 5689)]


class Origins:
    """
    Some servers.

    @param chance: Decides what they say.
    @ivar observed: Who is observed, and by which token, as far as they know.
    """

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.observed: deque[tuple[Any, bytes]] = deque(maxlen=10)
        self._sequence = 0
        self._messageID = 0

    def reply(self, sent: Datagram, peer: Any) -> bytes:
        """What a server says to what it was sent."""
        chance = self.chance
        if not sent.code or chance.random() < 0.02:
            return empty(RST, sent.messageID)
        if sent.type == CON and chance.random() < 0.1:
            return empty(ACK, sent.messageID)
        if sent.type == CON and chance.random() < 0.8:
            type, messageID = ACK, sent.messageID
        else:
            type, messageID = chance.choice((CON, NON)), self._newID()
        code, options, payload = self._answerTo(sent)
        if sent.options.observe == 0 and chance.random() < 0.7:
            self._sequence = (self._sequence + 1) & 0xFFFFFF
            options = options.evolve(observe=self._sequence)
            self.observed.append((peer, sent.token))
        return encode(type, code, messageID, sent.token, options, payload)

    def _answerTo(self, sent: Datagram) -> tuple[Code, Options, bytes]:
        chance = self.chance
        what = chance.random()
        if what < 0.1:
            errors = (
                Code.NOT_FOUND,
                Code.UNAUTHORIZED,
                Code.REQUEST_ENTITY_INCOMPLETE,
                Code.TOO_MANY_REQUESTS,
            )
            echo = chance.randbytes(8) if chance.random() < 0.5 else None
            return chance.choice(errors), Options(maxAge=chance.choice((None, 1)), echo=echo), b"no"
        block1 = sent.options.block1
        exponent = chance.choice((0, 2, 4, 4, 4, 6))
        if block1 is not None and block1.more:
            if what < 0.15:
                return Code.REQUEST_ENTITY_TOO_LARGE, Options(block1=Block(0, False, exponent), size1=64), b""
            number = block1.number if what < 0.95 else chance.randrange(4)
            smaller = min(exponent, block1.exponent) if what < 0.5 else block1.exponent
            return Code.CONTINUE, Options(block1=Block(number, True, smaller)), b""
        options = NO_OPTIONS if block1 is None else Options(block1=block1)
        block2 = sent.options.block2
        code = Code.CONTENT if sent.code == Code.GET else Code.CHANGED
        if block2 is None and what < 0.4:
            return code, options, b"small"
        number = 0 if block2 is None or what > 0.95 else block2.number
        exponent = exponent if block2 is None else min(block2.exponent, 6)
        more = chance.random() < 0.8
        options = options.evolve(
            block2=Block(number, more, exponent),
            etag=(b"same",) if what < 0.9 else (chance.randbytes(2),),
            size2=chance.choice((None, None, 700)),
        )
        return code, options, bytes((16 << exponent) if more else chance.randint(0, 16 << exponent))

    def notification(self) -> tuple[bytes, Any]:
        """What somebody who observes is told, and by whom."""
        chance = self.chance
        peer, token = chance.choice(self.observed)
        self._sequence = (self._sequence + chance.choice((1, 1, 1, -1, 5, 2**23))) & 0xFFFFFF
        options = Options(
            observe=self._sequence if chance.random() < 0.95 else None,
            maxAge=chance.choice((None, 0, 5, 60)),
        )
        if chance.random() < 0.3:
            options = options.evolve(block2=Block(0, True, 2), etag=(chance.randbytes(2),))
        code = Code.CONTENT if chance.random() < 0.95 else Code.NOT_FOUND
        payload = bytes(64 if options.block2 else 5)
        return encode(chance.choice((CON, NON)), code, self._newID(), token, options, payload), peer

    def _newID(self) -> int:
        self._messageID = (self._messageID + 1) & 0xFFFF
        return self._messageID
