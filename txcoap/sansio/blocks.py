"""
Bodies in blocks, the server's side (RFC 7959): what one is while it is on its way, and how it is cut. Which
are kept, and for how long, is the matter of L{txcoap.sansio.transfers}.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum
from hashlib import sha256
from typing import Any

from ..block import MAX_BLOCKS, MAX_EXPONENT, Block
from ..errors import BadRequest
from ..options import Options
from . import optionlist

__all__ = ["Download", "Stored", "Upload", "cut", "etagOf", "isContinuation", "transferKey"]

_OBSERVE, _BLOCK2, _BLOCK1 = 6, 23, 27
# As Block(...), in a third of the time.
_newBlock = tuple.__new__
# If-None-Match, which the first block alone may have (RFC 7959 2.10), Observe, Block2, Block1, Size2, Size1,
# Echo, No-Response: how a body is carried, not which it is.
_OF_THE_TRANSFER = frozenset({5, 6, 23, 27, 28, 60, 252, 258})


def isContinuation(options: Options) -> bool:
    """
    Whether a request carries a block within a body, or asks for one: what was done for it shows when it
    is repeated, so that no reply to it has to be remembered (RFC 7252 4.5).
    """
    if options.isPlain:
        return False
    if options.pairs[-1][0] >= _BLOCK1:
        block1 = options.block1
        if block1 is not None:
            return block1.more and block1.number > 0
    block2 = options.read.get(_BLOCK2) or options.block2
    return block2 is not None and block2.number > 0


def transferKey(peer: Hashable, code: int, options: Options) -> Hashable:
    """What the blocks of one body have in common."""
    pairs = options.pairs
    if len(pairs) > 1 and pairs[-1][0] == _BLOCK2 != pairs[-2][0] and pairs[0][0] > _OBSERVE:
        # As a request for a block mostly is: nothing else is to be left out.
        return peer, code, pairs[:-1]
    return peer, code, tuple([pair for pair in pairs if pair[0] not in _OF_THE_TRANSFER])


def cut(body: bytes, asked: Block | None, exponent: int) -> tuple[Block, bytes]:
    """
    One block of a body.

    @param asked: Which one; None for the first.
    @param exponent: The largest size that we send, as SZX.
    @raise BadRequest: if there is no such block.
    """
    number, _, wanted = asked or (0, False, exponent)
    if wanted > MAX_EXPONENT:
        raise BadRequest("a block size exponent of 7 is reserved over UDP")
    start = number << wanted + 4
    if start >= len(body) and start:
        raise BadRequest(f"the body ends after {len(body)} bytes")
    exponent = min(wanted, exponent)
    number = start >> exponent + 4
    if number >= MAX_BLOCKS:
        raise BadRequest("a body has at most 2 ** 20 blocks")
    end = start + (16 << exponent)
    more = end < len(body)
    return _newBlock(Block, (number, more, exponent)), body[start:end]


# The entity tags of bodies that were served before, by hash and length.
_etags: dict[tuple[int, int], bytes] = {}
_KEPT_ETAGS = 256


def etagOf(body: bytes) -> bytes:
    """
    An entity tag for a body (RFC 7252 5.10.6), the same whenever and wherever it is asked for.

    A body that is served again is mostly the same object, and that knows its hash: it is not read again.
    Others with hash and length in common are as unlikely as others with one tag of 8 bytes.
    """
    key = hash(body), len(body)
    etag = _etags.get(key)
    if etag is None:
        if len(_etags) >= _KEPT_ETAGS:
            _etags.clear()
        etag = _etags[key] = sha256(body).digest()[:8]
    return etag


class Stored(Enum):
    """What became of a block."""

    NEXT = "it is stored; others follow"
    AGAIN = "it came before"
    LAST = "it is stored; the body is whole"


class Upload:
    """
    A request's body on its way to us.

    @ivar key: What its blocks have in common.
    @ivar host: Whose share of the limits it uses.
    @ivar token: The token of the block that came last.
    @ivar keepsToken: Whether its blocks have one token; None before that shows.
    @ivar isDoubtful: Whether another with the same key was forgotten meanwhile: the peer may go on with
        that one, and what has a token of its own could belong to either.
    @ivar parts: What came so far, and was not taken.
    @ivar received: How many bytes came so far.
    @ivar limit: How many may come; None for as many as blocks can carry.
    @ivar ifNoneMatch: Whether its first block had If-None-Match, which holds for the whole.
    @ivar usedAt: When its last block came.
    @ivar sink: What takes the blocks as they come, if the resource wants that: the shell's own.
    @ivar abandoned: Called if the upload is forgotten before it is whole.
    """

    __slots__ = (
        "abandoned",
        "host",
        "ifNoneMatch",
        "isDoubtful",
        "keepsToken",
        "key",
        "limit",
        "parts",
        "received",
        "sink",
        "token",
        "usedAt",
    )

    def __init__(self, key: Hashable, token: bytes, limit: int | None, now: float) -> None:
        self.key = key
        self.token = token
        self.limit = limit
        self.host: Hashable = None
        self.ifNoneMatch = False
        self.keepsToken: bool | None = None
        self.isDoubtful = False
        self.parts: list[bytes] = []
        self.received = 0
        self.sink: Any = None
        self.abandoned: Callable[[], None] | None = None
        self.usedAt = now

    @property
    def isYoung(self) -> bool:
        """Whether no second block has come: nothing shows that the peer's address is its own."""
        return len(self.parts) < 2 and self.received <= 1024


class Download:
    """
    A response's body on its way to a peer.

    @ivar key: What the requests for its blocks have in common.
    @ivar host: Whose share of the limits it uses.
    @ivar token: The token of the request that it answers.
    @ivar code: Its response code.
    @ivar options: Its options, the same with every block.
    @ivar body: All of it; or what makes it as it goes: the shell's own.
    @ivar size: How many bytes it takes in memory.
    @ivar isServed: Whether its last block was asked for. It is kept, for that may be repeated.
    @ivar usedAt: When a block of it was asked for last.
    @ivar withdrawn: Called when it is kept no longer.
    """

    __slots__ = (
        "_length",
        "_wire",
        "body",
        "code",
        "host",
        "isServed",
        "key",
        "options",
        "size",
        "token",
        "usedAt",
        "withdrawn",
    )

    def __init__(
        self, key: Hashable, token: bytes, code: int, options: Options, body: Any, size: int, now: float
    ) -> None:
        self.key = key
        self.token = token
        self.code = code
        self.options = options
        self.body = body
        self.size = size
        self.host: Hashable = None
        self.isServed = False
        self.withdrawn: Callable[[], None] | None = None
        self.usedAt = now
        # The length of Block2 in the message before, and what stood before its value.
        self._length = -1
        self._wire = b""

    def serve(self, block: Block) -> Options:
        """The options of a message with one block of the body, to be sent now."""
        number, more, exponent = block
        if not more:
            self.isServed = True
        value = number << 4 | more << 3 | exponent
        length = value.bit_length() + 7 >> 3
        data = value.to_bytes(length, "big")
        pairs = self.options.pairs
        if pairs and pairs[-1][0] > _BLOCK2:
            return self.options.adding((_BLOCK2, data))
        # Block2 comes last: all before its value is written alike in every message, but for the length.
        if length != self._length:
            delta = _BLOCK2 - pairs[-1][0] if pairs else _BLOCK2
            written = optionlist.encode(self.options) + optionlist.encodeOne(delta, data)
            self._length, self._wire = length, written[: len(written) - length]
        return self.options.ending((_BLOCK2, data), self._wire + data)
