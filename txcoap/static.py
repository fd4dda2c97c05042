"""
L{File}: a directory, or a single file, as resources, in the manner of C{twisted.web.static}. Those of
L{txcoap.writable} can also be put and deleted.

Blocks are read from the file where they are asked for, so that a transfer takes a block of memory however
long the file is; the entity tag, made of the file's time and length, tells the client if it changes between
two blocks (RFC 7959 2.4).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from mimetypes import MimeTypes
from typing import Any, NoReturn

from twisted.logger import Logger

from .blockwise import RangedResponse
from .codes import Code
from .directory import Opened, Tree, etagOf, isName
from .errors import (
    Forbidden,
    NotAcceptable,
    NotFound,
    ResponseError,
    ServiceUnavailable,
)
from .formats import (
    CBOR,
    FORMATS,
    JSON,
    LINK_FORMAT,
    OCTET_STREAM,
    SENML_JSON,
    TEXT,
    contentFormat,
    formatName,
)
from .linkformat import Link, filterLinks, write
from .logs import Sparing
from .message import Response
from .options import Options
from .resource import NoResource, Resource
from .spelling import writePath

__all__ = ["CONTENT_FORMATS", "File", "refuse"]

MAX_ENTRIES = 10_000
"""So many entries of a directory are listed."""

_FULL = 60

_ANSWERS: Mapping[int, type[ResponseError]] = {
    errno.ENOENT: NotFound,
    errno.ENOTDIR: NotFound,
    errno.ELOOP: NotFound,
    errno.ENAMETOOLONG: NotFound,
    errno.EACCES: Forbidden,
    errno.EPERM: Forbidden,
    errno.EROFS: Forbidden,
}

# Conditions that pass: the disk is full, or too many files are open.
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def _formatsBySuffix() -> dict[str, int]:
    """Suffixes whose media type, as Python knows it, is a content format."""
    numbers: dict[str, int] = {"text/xml": 41, "text/javascript": 10002}
    for form in FORMATS.values():
        if not form.coding:
            numbers.setdefault(form.mediaType.partition(";")[0], form.number)
    # Of the files that a system may have beside Python's own table nothing is taken: what a server says
    # is not to depend on them.
    known = MimeTypes().types_map[True]
    return {suffix: numbers[type_] for suffix, type_ in known.items() if type_ in numbers}


CONTENT_FORMATS: Mapping[str, int] = {
    **_formatsBySuffix(),
    ".cbor": CBOR,
    ".cborseq": 63,
    ".cer": 287,
    ".exi": 47,
    ".json": JSON,
    ".log": TEXT,
    ".md": TEXT,
    ".p10": 286,
    ".senml": SENML_JSON,
    ".senmlc": 112,
    ".senmle": 114,
    ".senmlx": 310,
    ".sensml": 111,
    ".sensmlc": 113,
    ".sensmle": 115,
    ".sensmlx": 311,
    ".txt": TEXT,
    ".wlnk": LINK_FORMAT,
}
"""Content formats by the suffix of a file's name, in lower case."""


class File(Resource):
    """
    A directory with all below it, or a single file, to read::

        root.putChild("firmware", File("/srv/firmware"))

    A file is answered with its ETag, and in the content format that its suffix stands for. A directory
    is answered with a list of what is in it, in link format, which the query filters as it does
    C{/.well-known/core} (RFC 6690 4.1).

    Nothing outside the directory is ever served: C{..}, backslashes, devices, and symbolic links that
    lead outside are not there (4.04); nor is a name that begins with a dot. What the process may not
    read is 4.03. Children put by C{putChild} come before files.

    @param path: The directory, or file.
    @param maxAge: For how many seconds answers are fresh; None for CoAP's 60.
    @param index: Names of files that stand for the directory that they are in; the first that is there
        is served.
    @param listing: Whether a directory without such a file is listed; if not, it is 4.04.
    @param contentFormats: Content formats by suffix, such as C{{".td": "application/td+json"}}, beside
        L{CONTENT_FORMATS}. Any other suffix stands for C{application/octet-stream}.
    """

    heedsConditions = True
    _segments: tuple[str, ...] = ()

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        maxAge: int | None = None,
        index: Sequence[str] = (),
        listing: bool = True,
        contentFormats: Mapping[str, int | str] | None = None,
    ) -> None:
        self._tree = Tree(path)
        self._maxAge = maxAge
        self._index = tuple(index)
        self._lists = listing
        own = {suffix.lower(): contentFormat(value) for suffix, value in (contentFormats or {}).items()}
        self._formats = {**CONTENT_FORMATS, **own}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._tree.path}>"

    def getChild(self, segment: str, request: Any) -> Any:
        """The file of that name, whether it is there or not."""
        segments = self._segments
        # Only a path's last segment may be empty, for a directory.
        if (segments and not segments[-1]) or not (isName(segment) or segment == ""):
            return NoResource()
        child = self.__class__.__new__(self.__class__)
        child.__dict__.update(self.__dict__)
        child.children = {}
        child._segments = (*segments, segment)
        return child

    def render_GET(self, request: Any) -> Response:
        """
        The file, or the list of a directory.

        @raise ResponseError: if there is none, or none that can be read.
        """
        segments = self._segments
        isSlashed = bool(segments) and not segments[-1]
        if isSlashed:
            segments = segments[:-1]
        try:
            opened = self._tree.open(segments)
            if not opened.isDirectory:
                if isSlashed:
                    raise NotFound()
                return self._content(request, opened, self._nameOf(segments))
            for name in self._index:
                indexed = self._openIndex((*segments, name))
                if indexed is not None:
                    return self._content(request, indexed, name)
            if not self._lists:
                raise NotFound()
            return self._list(request, opened, segments)
        except (OSError, UnicodeError) as e:
            refuse(e)

    def _nameOf(self, segments: Sequence[str]) -> str:
        return segments[-1] if segments else self._tree.path

    def _openIndex(self, segments: Sequence[str]) -> Opened | None:
        try:
            opened = self._tree.open(segments)
        except FileNotFoundError:
            return None
        return None if opened.isDirectory else opened

    def _content(self, request: Any, opened: Opened, name: str) -> Response:
        form = self._formatOf(name)
        accept = request.accept
        if accept is not None and accept != form:
            raise NotAcceptable(f"there is {formatName(form)}")
        etag = etagOf(opened.status)
        request.checkPreconditions(etag)
        options = _optionsOf(form, etag, self._maxAge)
        return RangedResponse(Code.CONTENT, opened, options)

    def _formatOf(self, name: str) -> int:
        return self._formats.get(os.path.splitext(name)[1].lower(), OCTET_STREAM)

    def _list(self, request: Any, opened: Opened, segments: Sequence[str]) -> Response:
        request.checkPreconditions(b"")
        request.negotiate(LINK_FORMAT)
        way = request.prepath if segments is self._segments else request.prepath[:-1]
        base = writePath(way)
        links = []
        for name, found in opened.entries(MAX_ENTRIES):
            status = self._statusOf((*segments, name)) if found is None else found
            if status is not None:
                links.append(self._linkTo(base + writePath([name]), name, status))
        body = write(filterLinks(links, request.query)).encode("utf-8")
        return Response(Code.CONTENT, body, contentFormat=LINK_FORMAT, maxAge=self._maxAge)

    def _statusOf(self, segments: Sequence[str]) -> os.stat_result | None:
        try:
            return self._tree.open(segments).status
        except (OSError, UnicodeError):
            return None

    def _linkTo(self, target: str, name: str, status: os.stat_result, **attributes: object) -> Link:
        if stat.S_ISDIR(status.st_mode):
            return Link.of(target, **{"ct": LINK_FORMAT, **attributes})
        return Link.of(target, **{"ct": self._formatOf(name), "sz": status.st_size, **attributes})

    def getLinks(self, path: str) -> Iterator[Link]:
        """
        The link to the file, or the one to the directory's list: what is in a directory, its own list
        names.
        """
        status = self._statusOf(self._segments)
        if self.isVisible and status is not None and (self._lists or not stat.S_ISDIR(status.st_mode)):
            yield self._linkTo(path or "/", self._tree.path, status, **self.attributes)
        for segment, child in self.children.items():
            yield from child.getLinks(path + writePath([segment]))


@lru_cache(256)
def _optionsOf(form: int, etag: bytes, maxAge: int | None) -> Options:
    return Options(contentFormat=form, etag=etag, maxAge=maxAge)


_log = Sparing(Logger())


def refuse(error: OSError | UnicodeError) -> NoReturn:
    """
    Raise what an error of the file system means for the peer.

    @raise ResponseError: if it is the peer's affair, or passes.
    """
    number = getattr(error, "errno", None)
    if isinstance(error, UnicodeError):
        raise NotFound() from None
    if number in _PASSING:
        _log.error("a file cannot be served: {error}", error=error)
        raise ServiceUnavailable("try again later", maxAge=_FULL) from None
    answer = _ANSWERS.get(number or 0)
    if answer is None:
        raise error
    raise answer() from None
