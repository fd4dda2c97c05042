"""
The files below a directory, reached by the segments of a path, and nothing outside it.

A walk goes from directory to directory by descriptors and follows no symbolic link by itself, so that
nobody who changes the tree meanwhile can lead it elsewhere. A link is resolved to where it leads; if
that is below the directory too, the walk begins anew there. Only regular files and directories are
there; a device or a pipe is never opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import islice
from operator import itemgetter
from secrets import token_hex

from zope.interface import implementer

from .interfaces import IRange
from .spelling import isEncodable

__all__ = ["Opened", "Place", "Temporary", "Tree", "etagOf", "isName"]

_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
# Where the system can, a directory is entered without the right to list it.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

# What meeting a symbolic link fails with.
_LINK_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR})


def isName(segment: str) -> bool:
    """
    Whether a path segment may name a file. One that begins with a dot does not: such are C{..}, what
    people hide, and uploads under way.
    """
    return bool(segment) and segment[0] != "." and not ("/" in segment or "\\" in segment or "\0" in segment)


def etagOf(status: os.stat_result) -> bytes:
    """The entity tag of a file as it is: 8 bytes that change with its time, length and identity."""
    seen = b"%d %d %d" % (status.st_mtime_ns, status.st_size, status.st_ino)
    return blake2b(seen, digest_size=8).digest()


@implementer(IRange)
class Opened:
    """
    A file or directory that is open; it is closed when it is let go.

    @param descriptor: Its own from now on.
    @ivar length: Bytes in the file.
    @ivar status: What C{os.fstat} says of it.
    """

    __slots__ = ("_descriptor", "length", "status")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.status = os.fstat(descriptor)
        self.length = self.status.st_size
        if not _isServed(self.status):
            raise _notThere()

    @property
    def isDirectory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)

    def read(self, start: int, size: int) -> bytes:
        """Read a part; see L{IRange}."""
        return os.pread(self._descriptor, size, start)

    def entries(self, limit: int) -> list[tuple[str, os.stat_result | None]]:
        """
        What is in a directory, by name; of more than C{limit} entries, only so many.

        @return: Each name with what C{os.stat} says of it; None for a symbolic link, which may lead
            anywhere.
        """
        found: list[tuple[str, os.stat_result | None]] = []
        with os.scandir(self._descriptor) as entries:
            for entry in islice((each for each in entries if isName(each.name)), limit):
                with suppress(FileNotFoundError):
                    status = None if entry.is_symlink() else entry.stat(follow_symlinks=False)
                    if isEncodable(entry.name) and (status is None or _isServed(status)):
                        found.append((entry.name, status))
        return sorted(found, key=itemgetter(0))

    def __del__(self) -> None:
        os.close(self._descriptor)


class Place:
    """
    Where a file is, or is to be: a name in a directory that is open until L{close}.

    @ivar directory: The descriptor of the directory; -1 once it is closed.
    @ivar name: The name there.
    @ivar missing: The names of directories that would have to be made first.
    """

    def __init__(self, directory: int, name: str, missing: Sequence[str] = ()) -> None:
        self.directory = directory
        self.name = name
        self.missing = missing

    def status(self) -> os.stat_result | None:
        """What is there: a symbolic link as such; None for nothing."""
        if self.missing:
            return None
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def checkWritable(self) -> None:
        """
        See that the file there may be written.

        @raise OSError: if not.
        """
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(self.name, flags, dir_fd=self.directory))

    def remove(self) -> None:
        """Remove the file."""
        os.unlink(self.name, dir_fd=self.directory)

    def close(self) -> None:
        """Let the directory go."""
        if self.directory >= 0:
            os.close(self.directory)
            self.directory = -1


class Temporary:
    """
    What a file's content is collected in before it takes the file's place, in the same directory.

    @param place: Where the file is to be; it is closed at the end.
    @raise OSError: if it cannot be made.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._name = f".{token_hex(8)}.part"
        self._descriptor = os.open(self._name, _CREATE, 0o666, dir_fd=place.directory)
        try:
            # What the umask leaves of it; nobody else is to read half a file.
            self._mode = stat.S_IMODE(os.fstat(self._descriptor).st_mode)
            os.fchmod(self._descriptor, 0o600)
        except BaseException:
            self.close()
            raise

    def write(self, data: bytes) -> None:
        """Add to the content."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def replace(self, old: os.stat_result | None, sync: bool) -> os.stat_result:
        """
        Put the content in its place, all at once, with the old file's mode, if there is one.

        @param sync: Whether to wait until the disk has it.
        @return: What C{os.fstat} says of the new file.
        """
        place = self._place
        os.fchmod(self._descriptor, self._mode if old is None else old.st_mode & 0o777)
        if sync:
            os.fsync(self._descriptor)
        target = os.dup(place.directory)
        try:
            for name in place.missing:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=target)
                target = _step(target, name)
            os.replace(self._name, place.name, src_dir_fd=place.directory, dst_dir_fd=target)
        finally:
            os.close(target)
        self._name = ""
        return os.fstat(self._descriptor)

    def close(self) -> None:
        """Have done; without L{replace} before, nothing is left."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if self._name:
                os.unlink(self._name, dir_fd=self._place.directory)
            self._place.close()


class Tree:
    """
    A directory with all below it, or a single file. Segments are to be L{names<isName>}.

    @param path: Where it is; a symbolic link may stand here.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.fspath(path))

    def open(self, segments: Sequence[str]) -> Opened:
        """
        Open a file or directory to read it.

        @raise OSError: if it is not there, or may not be read.
        """
        try:
            return self._open(segments)
        except OSError as e:
            if e.errno not in _LINK_ERRORS:
                raise
            return self._open(self._resolved(segments))

    def place(self, segments: Sequence[str], mayLack: bool = False) -> Place:
        """
        The place of a file to write or remove; it is for the caller to close.

        @param mayLack: Whether directories on the way to it may be missing.
        @raise OSError: if there is no such place.
        """
        if not segments:
            directory, name = os.path.split(os.path.realpath(self.path))
            return Place(os.open(directory, _ENTER), name)
        *way, name = segments
        try:
            return self._place(way, name, mayLack)
        except OSError as e:
            if e.errno not in _LINK_ERRORS:
                raise
            return self._place(self._resolved(way), name, mayLack)

    def _open(self, segments: Sequence[str]) -> Opened:
        if not segments:
            return _opened(self.path, None)
        directory = os.open(self.path, _ENTER)
        try:
            for segment in segments[:-1]:
                directory = _step(directory, segment)
            return _opened(segments[-1], directory)
        finally:
            os.close(directory)

    def _place(self, way: Sequence[str], name: str, mayLack: bool) -> Place:
        directory = os.open(self.path, _ENTER)
        missing: Sequence[str] = ()
        try:
            for index, segment in enumerate(way):
                try:
                    directory = _step(directory, segment)
                except FileNotFoundError:
                    if not mayLack:
                        raise
                    missing = way[index:]
                    break
        except BaseException:
            os.close(directory)
            raise
        return Place(directory, name, missing)

    def _resolved(self, segments: Sequence[str]) -> Sequence[str]:
        """The segments of what these lead to, without links; C{FileNotFoundError} for outside."""
        base = os.path.realpath(self.path)
        real = os.path.realpath(os.path.join(base, *segments))
        if real == base:
            return ()
        inside = base.rstrip("/") + "/"
        if not real.startswith(inside):
            raise _notThere()
        return real[len(inside) :].split("/")


def _step(directory: int, name: str) -> int:
    """The directory below, in place of this one, which stays open if that fails."""
    below = os.open(name, _ENTER | os.O_NOFOLLOW, dir_fd=directory)
    os.close(directory)
    return below


def _opened(name: str, directory: int | None) -> Opened:
    isBelow = directory is not None
    status = os.stat(name, dir_fd=directory, follow_symlinks=not isBelow)
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    # Opening a device may already do something.
    if not _isServed(status):
        raise _notThere()
    return Opened(os.open(name, _OPEN | (os.O_NOFOLLOW if isBelow else 0), dir_fd=directory))


def _isServed(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)


def _notThere() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
