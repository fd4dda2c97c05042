"""
The bodies in blocks that peers send and fetch, the server's side (RFC 7959): requests put together from
blocks that come in, and responses cut into blocks that are asked for.

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

All of them are bounded in number and bytes, and shared out among the hosts; see L{txcoap.sansio.shares}.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from ..block import Block
from ..errors import (
    BadRequest,
    RequestEntityIncomplete,
    RequestEntityTooLarge,
    ResponseError,
    ServiceUnavailable,
    TooManyRequests,
)
from ..limits import Limits
from ..options import Options
from .blocks import Download, Stored, Upload
from .counters import Counters
from .deadlines import Deadline, Deadlines
from .shares import HostOf, Shares, hostOf

__all__ = ["Transfers"]

# For how long a peer is asked to wait when a limit is reached, in seconds.
_BUSY = 5
# How many uploads that ended are remembered, by a number each.
_ENDED = 4096


class Transfers:
    """
    The bodies in blocks that peers send, and those that they fetch, over one socket.

    @param limits: See L{Limits}.
    @param lifetime: For how long one is kept after its last block, in seconds.
    @param deadlines: Where to note when that is over.
    @param counters: Where is counted what was refused, and what made room.
    @param hostOf: Whose share of a limit a peer uses.
    @ivar uploadBytes: Bytes that those take together that peers send.
    @ivar downloadBytes: Likewise those that they fetch.
    """

    def __init__(
        self,
        limits: Limits,
        lifetime: float,
        deadlines: Deadlines,
        counters: Counters,
        hostOf: HostOf = hostOf,
    ) -> None:
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
        self._hostOf = hostOf
        self._uploadShares = Shares(limits.uploads)
        self._uploadByteShares = Shares(limits.uploadBytes)
        self._downloadShares = Shares(limits.downloads)
        self._downloadByteShares = Shares(limits.downloadBytes)

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
            self._returnBytes(upload, parts)
        return b"".join(parts)

    def _returnBytes(self, upload: Upload, parts: list[bytes]) -> None:
        size = sum(map(len, parts))
        self.uploadBytes -= size
        self._uploadByteShares.give(upload.host, size)

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
        self._uploadShares.give(upload.host)
        self._returnBytes(upload, upload.parts)
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
        upload = Upload(key, token, limit, now)
        upload.host = self._hostOf(_peerOf(key))
        if not self._uploadShares.allows(upload.host, len(self._uploadsByAge)):
            self._makeRoom(upload, isGreedy=True)
        elif len(self._uploadsByAge) >= self._limits.uploads:
            self._makeRoom(upload)
        upload.isDoubtful = hash(key) in self._ended
        self._uploads.setdefault(key, {})[token] = upload
        self._uploadsByAge[upload] = None
        self._uploadShares.take(upload.host)
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
        while not self._uploadByteShares.allows(upload.host, self.uploadBytes, len(payload)):
            self._makeRoom(upload, isGreedy=True)
        while self.uploadBytes + len(payload) > self._limits.uploadBytes:
            self._makeRoom(upload)
        self._uploadByteShares.take(upload.host, len(payload))
        upload.parts.append(payload)
        upload.received += len(payload)
        upload.usedAt = now
        self.uploadBytes += len(payload)
        self._uploadsByAge.move_to_end(upload)

    def _tooLarge(self, limit: int) -> RequestEntityTooLarge:
        self._counters.bodiesRefused += 1
        return RequestEntityTooLarge(f"at most {limit} bytes", size1=limit)

    def _makeRoom(self, wanting: Upload, isGreedy: bool = False) -> None:
        """
        Forget the oldest upload that consists of a first block only, which anybody can send from a
        forged address; those that came further stay.

        @param isGreedy: Whether the host of the one that wants room has its share: then another of its own
            has to go.
        @raise ResponseError: if there is none.
        """
        for upload in self._uploadsByAge:
            if upload.isYoung and upload is not wanting and (not isGreedy or upload.host == wanting.host):
                self.forget(upload)
                self._remember(hash(upload.key))
                self._counters.uploadsEvicted += 1
                return
        self.forget(wanting)
        error: ResponseError
        if isGreedy:
            self._counters.throttled += 1
            error = TooManyRequests("too many uploads at once from one host", maxAge=_BUSY)
        else:
            self._counters.uploadsRefused += 1
            error = ServiceUnavailable("too many uploads at once", maxAge=_BUSY)
        raise error

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
        download.host = host = self._hostOf(_peerOf(key))
        while not (
            self._downloadShares.allows(host, len(self._downloadsByAge))
            and self._downloadByteShares.allows(host, self.downloadBytes, size)
        ):
            self._evict(next(each for each in self._downloadsByAge if each.host == host))
        self._downloads.setdefault(key, {})[token] = download
        self._downloadsByAge[download] = None
        self.downloadBytes += size
        self._downloadShares.take(host)
        self._downloadByteShares.take(host, size)
        while self._downloadsByAge and (
            self.downloadBytes > self._limits.downloadBytes
            or len(self._downloadsByAge) > self._limits.downloads
        ):
            self._evict(next(iter(self._downloadsByAge)))
        self._watch()
        return download

    def _evict(self, download: Download) -> None:
        self.withdraw(download)
        self._counters.downloadsEvicted += 1

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
        self._downloadShares.give(download.host)
        self._downloadByteShares.give(download.host, download.size)
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


def _peerOf(key: Hashable) -> Hashable:
    """Whose body it is, of a key that L{transferKey<txcoap.sansio.blocks.transferKey>} made."""
    return key[0] if isinstance(key, tuple) else key
