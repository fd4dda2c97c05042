"""
The streams and files of the command C{txcoap}.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, NoReturn, TextIO

from .colors import PLAIN, Paint, newPaint, printable

__all__ = ["Console", "OutputError", "OutputFile"]


class OutputError(Exception):
    """The output cannot be written; the text says why."""


@dataclass(frozen=True)
class Console:
    """
    Standard input, output and error.

    @ivar stdin: Bytes; None if it is closed.
    @ivar stdout: Bytes.
    @ivar stderr: Text.
    @ivar encoding: How text is written to C{stdout}.
    @ivar paint: Colours what is written to C{stderr}.
    @ivar outputPaint: Colours what is written to C{stdout} for people.
    @ivar isLined: Whether a body ends with a newline also where C{stdout} is no terminal.
    """

    stdin: BinaryIO | None
    stdout: BinaryIO
    stderr: TextIO
    encoding: str = "utf-8"
    paint: Paint = PLAIN
    outputPaint: Paint = PLAIN
    isLined: bool = False

    @staticmethod
    def standard() -> Console:
        """The streams of this process."""
        # Each is None where the process was started with it closed.
        stdin: TextIO | None = sys.stdin
        stdout: TextIO | None = sys.stdout
        stderr: TextIO | None = sys.stderr
        return Console(
            stdin.buffer if stdin else None,
            stdout.buffer if stdout else open(os.devnull, "wb"),
            stderr or open(os.devnull, "w", encoding="utf-8"),
            stdout.encoding if stdout else "utf-8",
        )

    def colored(self, when: str) -> Console:
        """
        The same, with colours.

        @param when: See L{newPaint}.
        """
        return replace(self, paint=newPaint(when, self.stderr), outputPaint=newPaint(when, self.stdout))

    def writeBody(self, body: bytes) -> None:
        """
        Write a body as it is; on a terminal, or where C{isLined}, a line of its own.

        @raise BrokenPipeError: if nobody reads it.
        @raise OutputError: if that fails for another reason.
        """
        if body and not body.endswith(b"\n") and (self.isLined or self.stdout.isatty()):
            body += b"\n"
        self._write(body)

    def _write(self, data: bytes) -> None:
        try:
            self.stdout.write(data)
            self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as e:
            raise OutputError(f"cannot write the output: {e.strerror}") from None

    def writeLine(self, line: str) -> None:
        """Write a line of text to the standard output; see L{writeBody}."""
        self.writeBody((line + os.linesep).encode(self.encoding, "backslashreplace"))

    def writePrompt(self, text: str) -> None:
        """Write to the standard output what a line is to be typed after; see L{writeBody}."""
        self._write(text.encode(self.encoding, "backslashreplace"))

    def note(self, text: str) -> None:
        """Write to the standard error; that it cannot be written is no reason to stop."""
        with suppress(OSError, ValueError):
            print(text, file=self.stderr, flush=True)

    def complain(self, text: str) -> None:
        """Say what went wrong, in one line."""
        self.note(f"{self.paint('txcoap:', 'red')} {printable(text)}")

    @property
    def isWatched(self) -> bool:
        """Whether the standard error is a terminal."""
        try:
            return self.stderr.isatty()
        except ValueError:
            return False

    def close(self) -> None:
        """Write what is left; where nobody reads it, let the interpreter not try again."""
        with suppress(ValueError):
            try:
                self.stdout.flush()
            except OSError:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self.stdout.fileno())
                os.close(null)


class OutputFile:
    """
    A file that gets its content all at once, or stays as it was.

    It is opened first, so that a request whose answer could not be kept is not even sent. What is no
    regular file, such as a device or a pipe, is written to.

    @param path: Where it is.
    @ivar size: Bytes that were added.
    @raise OSError: if it cannot be written there.
    """

    size = 0

    def __init__(self, path: str) -> None:
        # A symbolic link stays one.
        self._path = os.path.realpath(path)
        self._temporary: str | None = None
        try:
            mode = os.stat(self._path).st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG | (0o666 & ~_umask())
        if not stat.S_ISREG(mode):
            self._file = os.open(self._path, os.O_WRONLY)
            return
        if os.path.exists(self._path):
            # A file that may not be written is not to be replaced either.
            os.close(os.open(self._path, os.O_WRONLY))
        directory, name = os.path.split(self._path)
        self._file, self._temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
        os.fchmod(self._file, stat.S_IMODE(mode))

    def add(self, data: bytes) -> None:
        """
        Add to the content to be.

        @raise OutputError: if that fails; then a regular file is as it was.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as e:
            self._fail(e)
        self.size += len(data)

    def finish(self) -> None:
        """
        Make what was added the content, and close.

        @raise OutputError: if that fails; then a regular file is as it was.
        """
        try:
            if self._temporary is not None:
                os.fsync(self._file)
                os.replace(self._temporary, self._path)
                self._temporary = None
        except OSError as e:
            self._fail(e)
        self.discard()

    def _fail(self, error: OSError) -> NoReturn:
        self.discard()
        raise OutputError(f"cannot write {self._path}: {error.strerror}") from None

    def discard(self) -> None:
        """Leave the file as it was. After L{finish} this does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._temporary is not None:
            os.unlink(self._temporary)
            self._temporary = None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
