"""
Streams of a command that are not as they should be, or a terminal.
"""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any


class Terminal(BytesIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class ErrorTerminal(StringIO):
    """A standard error that is one."""

    def isatty(self) -> bool:
        return True


class ClosedPipe(BytesIO):
    """Nobody reads it."""

    def write(self, data: Any) -> int:
        raise BrokenPipeError


class FullDisk(BytesIO):
    """Takes nothing."""

    def write(self, data: Any) -> int:
        raise OSError(28, "No space left on device")
