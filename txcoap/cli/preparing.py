"""
What a command needs before anything is sent: its body, and the files that it writes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ..formats import CBOR
from .arguments import Arguments
from .capture import Capture
from .console import Console, OutputFile, readBody
from .notation import writeCBOR

__all__ = ["Prepared", "prepare"]


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
