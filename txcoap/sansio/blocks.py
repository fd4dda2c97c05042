"""
Bodies in blocks, the server's side (RFC 7959): requests put together from blocks that come in, and
responses cut into blocks that are asked for.

Which blocks belong together is told by the peer, the method, and the options that are no matter of the
transfer itself, Request-Tag among them (RFC 7959 2.4, 2.5, RFC 9175 3). Tokens help where they can: of two
transfers that look alike, a block continues the one with its token. A peer that takes a fresh token for
each block, as some do, is understood as long as it has one such transfer; where another could be meant,
be it one that was forgotten meanwhile, they end with 4.08, for bodies must never mix.

Blocks of a body come in order, and all but the last are full::

    block                               answer
    the next, others follow             2.31
    the next, the last                  the response to the whole
    one that came before                2.31 again; 4.08 if it claims to be the last
    one too far ahead                   4.08; the client begins anew
    not as long as it says, SZX 7       4.00
    beyond the limit                    4.13, Size1 telling the limit
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any

from ..block import MAX_BLOCKS, MAX_EXPONENT, Block
from ..errors import (
    BadRequest,
    RequestEntityIncomplete,
    RequestEntityTooLarge,
    ServiceUnavailable,
)
from ..limits import Limits
from ..options import Options
from . import optionlist
from .counters import Counters
from .deadlines import Deadline, Deadlines

__all__ = ["Download", "Stored", "Transfers", "Upload", "cut", "isContinuation", "transferKey"]

_BLOCK2 = 23
# Observe, Block2, Block1, Size2, Size1, Echo, No-Response: how a body is carried, not which it is.
_OF_THE_TRANSFER = frozenset({6, 23, 27, 28, 60, 252, 258})
_BUSY = 5
# How many uploads that ended are remembered, by a number each.
_ENDED = 4096


def isContinuation(options: Options) -> bool:
    """
    Whether a request carries a block within a body, or asks for one: what was done for it shows when it
    is repeated, so that no reply to it has to be remembered (RFC 7252 4.5).
    """
    if options.isPlain:
        return False
    block1, block2 = options.block1, options.block2
    if block1 is not None:
        return block1.more and block1.number > 0
    return block2 is not None and block2.number > 0


def transferKey(peer: Hashable, code: int, options: Options) -> Hashable:
    """What the blocks of one body have in common."""
    return peer, code, tuple([pair for pair in options.pairs if pair[0] not in _OF_THE_TRANSFER])


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
    return Block(number, end < len(body), exponent), body[start:end]


class Stored(Enum):
    """What became of a block."""

    NEXT = "it is stored; others follow"
    AGAIN = "it came before"
    LAST = "it is stored; the body is whole"


class Upload:
    """
    A request's body on its way to us.

    @ivar key: What its blocks have in common.
    @ivar token: The token of the block that came last.
    @ivar keepsToken: Whether its blocks have one token; None before that shows.
    @ivar isDoubtful: Whether another with the same key was forgotten meanwhile: the peer may go on with
        that one, and what has a token of its own could belong to either.
    @ivar parts: What came so far, and was not taken.
    @ivar received: How many bytes came so far.
    @ivar limit: How many may come; None for as many as blocks can carry.
    @ivar sink: What takes the blocks as they come, if the resource wants that: the shell's own.
    @ivar abandoned: Called if the upload is forgotten before it is whole.
    """

    __slots__ = (
        "abandoned",
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
    @ivar token: The token of the request that it answers.
    @ivar code: Its response code.
    @ivar options: Its options, the same with every block.
    @ivar body: All of it; or what makes it as it goes: the shell's own.
    @ivar size: How many bytes it takes in memory.
    @ivar isServed: Whether its last block was asked for. It is kept, for that may be repeated.
    @ivar withdrawn: Called when it is kept no longer.
    """

    __slots__ = (
        "_wire",
        "body",
        "code",
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
        self.isServed = False
        self.withdrawn: Callable[[], None] | None = None
        self.usedAt = now
        self._wire: bytes | None = None

    def optionsWith(self, block: Block) -> Options:
        """The options of a message with one block of the body."""
        value = block.toUint()
        data = value.to_bytes((value.bit_length() + 7) // 8, "big")
        pairs = self.options.pairs
        delta = _BLOCK2 - pairs[-1][0] if pairs else _BLOCK2
        if delta < 0:
            return self.options.adding((_BLOCK2, data))
        # Block2 comes last: all before it is written alike in every message.
        if self._wire is None:
            self._wire = optionlist.encode(self.options)
        wire = self._wire + optionlist.encodeOne(delta, data)
        return Options.fromPairs((*pairs, (_BLOCK2, data)), wire)


class Transfers:
    """
    The bodies in blocks that peers send, and those that they fetch, over one socket.

    @param limits: See L{Limits}.
    @param lifetime: For how long one is kept after its last block, in seconds.
    @param deadlines: Where to note when that is over.
    """

    def __init__(self, limits: Limits, lifetime: float, deadlines: Deadlines, counters: Counters) -> None:
        self._counters = counters
        self._limits = limits
        self._lifetime = lifetime
        self._deadlines = deadlines
        self._deadline: Deadline | None = None
        # Each by what its blocks have in common, then by token; and all of them, used longest ago first.
        self._uploads: dict[Hashable, dict[bytes, Upload]] = {}
        self._downloads: dict[Hashable, dict[bytes, Download]] = {}
        self._uploadsByAge: OrderedDict[Upload, None] = OrderedDict()
        self._downloadsByAge: OrderedDict[Download, None] = OrderedDict()
        # The hashes of key and token of the uploads that ended last, for a block that comes late, or twice,
        # is theirs; and those of the keys alone of uploads that made room, whose peers do not know it yet.
        self._ended: OrderedDict[int, None] = OrderedDict()
        self.uploadBytes = 0
        self.downloadBytes = 0

    def sizes(self) -> dict[str, int]:
        """How much is in each table."""
        return {
            "uploads": len(self._uploadsByAge),
            "uploadBytes": self.uploadBytes,
            "downloads": len(self._downloadsByAge),
            "downloadBytes": self.downloadBytes,
        }

    # Bodies that come

    def receive(
        self,
        key: Hashable,
        token: bytes,
        block: Block,
        payload: bytes,
        announced: int | None,
        limit: int | None,
        now: float,
    ) -> tuple[Upload, Stored]:
        """
        A block of a request's body came.

        @param announced: What Size1 says.
        @param limit: Bytes that the resource takes; None for no limit.
        @return: The upload that it belongs to, and what became of it. A whole upload is no longer kept.
        @raise ResponseError: if it cannot be taken; then all of its upload is forgotten.
        """
        if not block.isValid or len(payload) > block.size or (block.more and len(payload) != block.size):
            raise BadRequest(f"block {block.number} has {len(payload)} bytes, of {block.size}")
        if block.number == 0:
            upload = self._begin(key, token, announced, limit, now)
        else:
            upload = self._continued(key, token, block)
        if block.start < upload.received and block.more:
            return upload, Stored.AGAIN
        if block.start != upload.received:
            self.forget(upload)
            raise RequestEntityIncomplete(f"the block at byte {upload.received} is missing")
        if upload.limit is not None and upload.received + len(payload) > upload.limit:
            self.forget(upload)
            raise self._tooLarge(upload.limit)
        self._keepPart(upload, payload, now)
        if block.more:
            return upload, Stored.NEXT
        self._remove(upload)
        return upload, Stored.LAST

    def take(self, upload: Upload) -> bytes:
        """What came of a body and was not taken; it is kept no longer."""
        parts, upload.parts = upload.parts, []
        if upload in self._uploadsByAge:
            self.uploadBytes -= sum(map(len, parts))
        return b"".join(parts)

    def forget(self, upload: Upload) -> None:
        """Keep an upload no longer, though it is not whole."""
        if upload in self._uploadsByAge:
            self._remove(upload)
            for each in self._uploads.get(upload.key, {}).values():
                each.isDoubtful = True
            if upload.abandoned is not None:
                upload.abandoned()

    def _remove(self, upload: Upload) -> None:
        del self._uploadsByAge[upload]
        self.uploadBytes -= sum(map(len, upload.parts))
        alike = self._uploads[upload.key]
        del alike[upload.token]
        if not alike:
            del self._uploads[upload.key]
        self._remember(hash((upload.key, upload.token)))

    def _remember(self, ended: int) -> None:
        self._ended[ended] = None
        self._ended.move_to_end(ended)
        if len(self._ended) > _ENDED:
            self._ended.popitem(last=False)

    def _begin(
        self, key: Hashable, token: bytes, announced: int | None, limit: int | None, now: float
    ) -> Upload:
        old = self._uploads.get(key, {}).get(token)
        if old is not None:
            self.forget(old)
        if limit is not None and announced is not None and announced > limit:
            raise self._tooLarge(limit)
        if len(self._uploadsByAge) >= self._limits.uploads:
            self._makeRoom(None)
        upload = Upload(key, token, limit, now)
        upload.isDoubtful = hash(key) in self._ended
        self._uploads.setdefault(key, {})[token] = upload
        self._uploadsByAge[upload] = None
        self._watch()
        return upload

    def _continued(self, key: Hashable, token: bytes, block: Block) -> Upload:
        """
        The upload that a later block belongs to.

        @raise RequestEntityIncomplete: if there is none, or if another could be meant.
        """
        alike = self._uploads.get(key, {})
        upload = alike.get(token)
        if upload is not None:
            if block.start == upload.received and upload.keepsToken is None:
                upload.keepsToken = True
            return upload
        # What has a token of its own belongs to a peer that takes a fresh one for each block.
        fresh = [each for each in alike.values() if not each.keepsToken]
        fitting = [each for each in fresh if each.received == block.start]
        if fitting and fresh == fitting[:1] and self._mayAdopt(fitting[0], token):
            (upload,) = fitting
            del alike[upload.token]
            upload.token = token
            upload.keepsToken = False
            alike[token] = upload
            return upload
        if fitting:
            for each in fresh:
                self.forget(each)
        self._ended.pop(hash(key), None)
        raise RequestEntityIncomplete("the blocks before this one are missing")

    def _mayAdopt(self, upload: Upload, token: bytes) -> bool:
        """Whether nothing speaks against a block of a token not seen before."""
        return not upload.isDoubtful and (
            upload.keepsToken is False or hash((upload.key, token)) not in self._ended
        )

    def _keepPart(self, upload: Upload, payload: bytes, now: float) -> None:
        while self.uploadBytes + len(payload) > self._limits.uploadBytes:
            self._makeRoom(upload)
        upload.parts.append(payload)
        upload.received += len(payload)
        upload.usedAt = now
        self.uploadBytes += len(payload)
        self._uploadsByAge.move_to_end(upload)

    def _tooLarge(self, limit: int) -> RequestEntityTooLarge:
        self._counters.bodiesRefused += 1
        return RequestEntityTooLarge(f"at most {limit} bytes", size1=limit)

    def _makeRoom(self, wanting: Upload | None) -> None:
        """
        Forget the oldest upload that consists of a first block only, which anybody can send from a
        forged address; those that came further stay.

        @raise ServiceUnavailable: if there is none.
        """
        for upload in self._uploadsByAge:
            if upload.isYoung and upload is not wanting:
                self.forget(upload)
                self._remember(hash(upload.key))
                self._counters.uploadsEvicted += 1
                return
        if wanting is not None:
            self.forget(wanting)
        self._counters.uploadsRefused += 1
        raise ServiceUnavailable("too many uploads at once", maxAge=_BUSY)

    # Bodies that go

    def offer(
        self, key: Hashable, token: bytes, code: int, options: Options, body: Any, size: int, now: float
    ) -> Download:
        """
        Keep a response's body, so that the blocks after the first come from the same one.

        @param size: How many bytes it takes in memory.
        """
        # One that was served makes room, so that a peer with fresh tokens is understood the next time.
        for old in list(self._downloads.get(key, {}).values()):
            if old.isServed or old.token == token:
                self.withdraw(old)
        download = Download(key, token, code, options, body, size, now)
        self._downloads.setdefault(key, {})[token] = download
        self._downloadsByAge[download] = None
        self.downloadBytes += size
        while self._downloadsByAge and (
            self.downloadBytes > self._limits.downloadBytes
            or len(self._downloadsByAge) > self._limits.downloads
        ):
            self.withdraw(next(iter(self._downloadsByAge)))
            self._counters.downloadsEvicted += 1
        self._watch()
        return download

    def find(self, key: Hashable, token: bytes, now: float) -> Download | None:
        """The body that a request for a later block is about, if it is kept and no other could be meant."""
        alike = self._downloads.get(key)
        if alike is None:
            return None
        download = alike.get(token)
        if download is None:
            if len(alike) > 1:
                return None
            (download,) = alike.values()
        download.usedAt = now
        self._downloadsByAge.move_to_end(download)
        return download

    def withdraw(self, download: Download) -> None:
        """Keep a response's body no longer."""
        if download not in self._downloadsByAge:
            return
        del self._downloadsByAge[download]
        self.downloadBytes -= download.size
        alike = self._downloads[download.key]
        del alike[download.token]
        if not alike:
            del self._downloads[download.key]
        if download.withdrawn is not None:
            download.withdrawn()

    def forgetAll(self) -> None:
        """The socket is closed: nothing that is under way will be whole."""
        for upload in list(self._uploadsByAge):
            self.forget(upload)
        for download in list(self._downloadsByAge):
            self.withdraw(download)

    # Time

    def _watch(self) -> None:
        if self._deadline is None:
            tables: tuple[OrderedDict[Any, None], ...] = (self._uploadsByAge, self._downloadsByAge)
            oldest = [next(iter(table)).usedAt for table in tables if table]
            if oldest:
                self._deadline = self._deadlines.set(min(oldest) + self._lifetime, self._expire, None)

    def _expire(self, _: None, now: float) -> None:
        """Forget what is used no more."""
        self._deadline = None
        for download in list(self._downloadsByAge):
            if download.usedAt + self._lifetime > now:
                break
            self.withdraw(download)
        for upload in list(self._uploadsByAge):
            if upload.usedAt + self._lifetime > now:
                break
            self.forget(upload)
        self._watch()
