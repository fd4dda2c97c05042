"""
What a command needs before anything is sent: its body, and the files that it writes.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import dataclass
from typing import Any, BinaryIO

from twisted.web.client import FileBodyProducer

from ..block import MAX_BLOCKS
from ..formats import CBOR
from .arguments import Arguments
from .capture import Capture
from .console import Console, OutputFile
from .notation import writeCBOR

__all__ = ["Prepared", "prepare", "readBody"]

LARGEST_BODY = MAX_BLOCKS << 10
"""Bytes of the largest body that CoAP has (RFC 7959 2.2); what is longer is not read to its end."""

LARGEST_KEPT = 2**20
"""
Bytes of the largest file that is read as a whole, so that it can be sent again from its start where a
server asks for that (RFC 7959 2.9.2, 2.9.3); of a larger one there is never more than a part in memory.
"""


@dataclass(frozen=True)
class Prepared:
    """
    What a command goes to work with.

    @ivar body: The body to send, as bytes or as an C{IBodyProducer}.
    @ivar output: Where the body of the response goes, if not to the standard output.
    @ivar capture: Where each message goes as well.
    """

    body: Any = b""
    output: OutputFile | None = None
    capture: Capture | None = None

    def close(self) -> None:
        """Close the files; an output that is not finished stays as it was."""
        if self.output is not None:
            self.output.discard()
        if self.capture is not None:
            self.capture.close()


def prepare(arguments: Arguments, console: Console) -> Prepared:
    """
    Find out what can be known to fail.

    @raise SystemExit: if something does, which is told.
    """
    try:
        isWanted = arguments.hasBody and arguments.cbor is None
        body = readBody(arguments.text, arguments.file, isWanted, console)
    except OSError as e:
        arguments.refuse(f"cannot read {arguments.file or 'the standard input'}: {e.strerror}")
    if arguments.cbor is not None:
        body = _encoded(arguments, arguments.cbor)
    if arguments.repeat > 1:
        if arguments.output is not None:
            arguments.refuse("--output takes one body, and --repeat asks for several")
        if not isinstance(body, bytes):
            arguments.refuse("--repeat sends the same body again; this one is too large to be kept")
    try:
        output = None if arguments.output is None or arguments.output == "-" else OutputFile(arguments.output)
    except OSError as e:
        arguments.refuse(f"cannot write {arguments.output}: {e.strerror}")
    try:
        capture = None if arguments.save is None else Capture(arguments.save, time.time)
    except OSError as e:
        if output is not None:
            output.discard()
        arguments.refuse(f"cannot write {arguments.save}: {e.strerror}")
    return Prepared(body, output, capture)


def _encoded(arguments: Arguments, text: str) -> bytes:
    if arguments.contentFormat is None:
        arguments.contentFormat = CBOR
    try:
        return writeCBOR(text)
    except ImportError:
        arguments.refuse("--cbor needs more packages: pip install 'txcoap[cli]'")
    except ValueError as e:
        arguments.refuse(f"--cbor takes JSON: {e}")


def readBody(
    text: str | None, file: str | None, isWanted: bool, console: Console, limit: int = LARGEST_BODY
) -> Any:
    """
    The body of a request: the text, else the file's content, else, if a body is wanted, what standard
    input has where it is no terminal.

    @param file: A path, or C{"-"} for standard input.
    @return: Bytes, or an C{IBodyProducer} of a large file.
    @raise OSError: if it cannot be read, or is larger than the limit.
    """
    if text is not None:
        # Arguments that are no text in the locale come back as the bytes that they were.
        return text.encode("utf-8", "surrogateescape")
    if file is not None and file != "-":
        with open(file, "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size <= LARGEST_KEPT:
                return _read(opened, limit)
        _checkSize(status.st_size, limit)
        return FileBodyProducer(open(file, "rb"))
    if console.stdin is None or (file is None and (not isWanted or console.stdin.isatty())):
        return b""
    return _read(console.stdin, limit)


def _read(stream: BinaryIO, limit: int) -> bytes:
    body = bytearray()
    while part := stream.read(min(0x10000, limit + 1 - len(body))):
        body += part
    _checkSize(len(body), limit)
    return bytes(body)


def _checkSize(size: int, limit: int) -> None:
    if size > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
