"""
L{WritableFile}: files that can be put and deleted (RFC 7252 5.8.3, 5.8.4).

A body that is sent in blocks (RFC 7959) goes to the disk as it comes, and is never in memory as a whole.
"""

from __future__ import annotations

import os
import stat
from typing import Any
from weakref import WeakSet

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from .codes import Code
from .directory import Place, Temporary, etagOf
from .errors import Forbidden, MethodNotAllowed, NotFound, RequestEntityTooLarge, ServiceUnavailable
from .message import Response
from .static import File, refuse

__all__ = ["Receiver", "WritableFile"]

MAX_TEMPORARIES = 64
"""So many uploads of more than a block go on at once; another is answered 5.03."""

_BUSY = 10
_ONLY_READ = "a directory can only be read"


class WritableFile(File):
    """
    Files that can also be written and deleted, by everybody who reaches the server.

    A body goes to a temporary file beside its place, and into its place when it is whole: a reader sees
    the old file or the new one, and an upload that ends before leaves nothing. PUT answers 2.01 or 2.04
    with the new ETag, and keeps the file's mode. DELETE answers 2.02, also if nothing was there
    (RFC 7252 5.8.4). If-Match and If-None-Match are judged before the first byte is taken, and again
    before the file is replaced. Directories cannot be put or deleted (4.05), symbolic links neither
    (4.03), though directories are found through links.

    @param maximumBody: The largest file to take, in bytes; a larger one is answered 4.13.
    @param makeDirectories: Whether PUT makes directories that are missing on the way; if not, it
        answers 4.04.
    @param sync: Whether to wait until the disk has a file, before PUT answers. All of the server waits.
    @param how: As for L{File}.
    """

    maximumBody: int = 64 * 2**20

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        maximumBody: int | None = None,
        makeDirectories: bool = False,
        sync: bool = False,
        **how: Any,
    ) -> None:
        super().__init__(path, **how)
        if maximumBody is not None:
            self.maximumBody = maximumBody
        self._mayLack = makeDirectories
        self._sync = sync
        # Of all files below; each goes from here when its upload ends, however it does.
        self._temporaries: WeakSet[Temporary] = WeakSet()

    def openBody(self, request: Any) -> Receiver:
        """
        What takes a body as it comes.

        @raise MethodNotAllowed: at once, if it is for nothing that can be written.
        """
        if request.code != Code.PUT:
            raise MethodNotAllowed(f"allowed: {', '.join(self.allowedMethods)}")
        self._place(request, self._mayLack).close()
        receiver = Receiver(self)
        announced = request.options.size1
        if announced is not None:
            receiver.checkLength(announced)
        return receiver

    def render_PUT(self, request: Any) -> Response:
        """The body is whole: put it in its place."""
        receiver: Receiver = request.consumer
        try:
            place = receiver.place()
            status = place.status()
            self._check(request, place, status)
            new = receiver.replace(status, self._sync)
        except (OSError, UnicodeError) as e:
            refuse(e)
        finally:
            receiver.close()
        return Response(Code.CREATED if status is None else Code.CHANGED, etag=etagOf(new))

    def render_DELETE(self, request: Any) -> Response:
        """Remove the file."""
        # Of what is not there, nothing on the way has to be, either.
        place = self._place(request, mayLack=True)
        try:
            if place.status() is not None:
                place.remove()
        except OSError as e:
            refuse(e)
        finally:
            place.close()
        return Response(Code.DELETED)

    def _place(self, request: Any, mayLack: bool) -> Place:
        """The place to change, if it may be changed."""
        segments = self._segments
        if segments and not segments[-1]:
            raise MethodNotAllowed(_ONLY_READ)
        try:
            place = self._tree.place(segments, mayLack)
            try:
                self._check(request, place, place.status())
            except BaseException:
                place.close()
                raise
        except (OSError, UnicodeError) as e:
            refuse(e)
        return place

    def _check(self, request: Any, place: Place, status: os.stat_result | None) -> None:
        if status is None:
            request.checkPreconditions(None)
            return
        if stat.S_ISDIR(status.st_mode):
            raise MethodNotAllowed(_ONLY_READ)
        if stat.S_ISLNK(status.st_mode):
            raise Forbidden("a symbolic link can only be read")
        if not stat.S_ISREG(status.st_mode):
            raise NotFound()
        request.checkPreconditions(etagOf(status))
        place.checkWritable()

    def place(self) -> Place:
        """Where the file is to be, for the caller to close."""
        return self._tree.place(self._segments, self._mayLack)

    def newTemporary(self, place: Place) -> Temporary:
        """
        A file for an upload to go to.

        @raise ServiceUnavailable: if there are too many.
        """
        if len(self._temporaries) >= MAX_TEMPORARIES:
            raise ServiceUnavailable("too many uploads at once", maxAge=_BUSY)
        temporary = Temporary(place)
        self._temporaries.add(temporary)
        return temporary


@implementer(IProtocol)
class Receiver:
    """
    Takes the body of a PUT. The first part stays in memory, so that whoever sends only a first block
    costs no file.
    """

    def __init__(self, file: WritableFile) -> None:
        self._file = file
        self._length = 0
        self._first = b""
        self._temporary: Temporary | None = None
        self._place: Place | None = None

    def checkLength(self, length: int) -> None:
        """
        See that the file takes so much.

        @raise RequestEntityTooLarge: if not.
        """
        limit = self._file.maximumBody
        if length > limit:
            raise RequestEntityTooLarge(f"at most {limit} bytes", size1=limit)

    def makeConnection(self, transport: Any) -> None:
        """See C{IProtocol}."""

    def connectionMade(self) -> None:
        """See C{IProtocol}."""

    def dataReceived(self, data: bytes) -> None:
        """A part came."""
        try:
            self.checkLength(self._length + len(data))
            if self._length:
                self._spill().write(data)
            else:
                self._first = data
            self._length += len(data)
        except BaseException as e:
            self.close()
            if isinstance(e, OSError):
                refuse(e)
            raise

    def connectionLost(self, reason: Failure) -> None:
        """All is here, or no more comes."""
        if not reason.check(ConnectionDone):
            self.close()

    def place(self) -> Place:
        """Where the file is to be; L{close} lets it go."""
        if self._place is None:
            self._place = self._file.place()
        return self._place

    def replace(self, old: os.stat_result | None, sync: bool) -> os.stat_result:
        """Put what came in its place; see L{Temporary.replace}."""
        return self._spill().replace(old, sync)

    def _spill(self) -> Temporary:
        if self._temporary is None:
            self._temporary = self._file.newTemporary(self.place())
            self._temporary.write(self._first)
            self._first = b""
        return self._temporary

    def close(self) -> None:
        """Have done; without L{replace} before, nothing is left."""
        temporary, self._temporary = self._temporary, None
        place, self._place = self._place, None
        try:
            if temporary is not None:
                temporary.close()
        finally:
            if place is not None:
                place.close()
