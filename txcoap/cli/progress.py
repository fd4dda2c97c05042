"""
How far a transfer is, for whoever waits at a terminal.

With the package rich (C{pip install txcoap[cli]}) it is a bar, without it a line now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .console import Console

__all__ = ["Progress"]

PATIENCE = 1.0
"""Seconds for which nothing is shown: most requests are answered by then."""

_BAR_INTERVAL = 0.1
_LINE_INTERVAL = 2.0

_VERBS = {"sent": "sending", "received": "receiving"}


class Progress:
    """
    Shows what it is told as an agent's C{progress}, on the standard error if that is a terminal.

    @param console: Where.
    @param seconds: Tells the time.
    @param isSilent: Whether to show nothing at all.
    """

    def __init__(self, console: Console, seconds: Callable[[], float], isSilent: bool) -> None:
        self._console = console
        self._seconds = seconds
        self._isSilent = isSilent or not console.isWatched
        self._next = seconds() + PATIENCE
        self._shown: _Bar | _Lines | None = None

    def __call__(self, direction: str, done: int, total: int | None) -> None:
        """So many bytes went, of so many; None while that is unknown."""
        if self._isSilent:
            return
        now = self._seconds()
        if now < self._next:
            return
        if self._shown is None:
            self._shown = _newDisplay(self._console)
        self._next = now + self._shown.interval
        self._shown.show(direction, done, total)

    def close(self) -> None:
        """The transfer is over."""
        self._isSilent = True
        shown, self._shown = self._shown, None
        if shown is not None:
            shown.close()


def _newDisplay(console: Console) -> _Bar | _Lines:
    try:
        return _Bar(console)
    except ImportError:
        return _Lines(console)


class _Lines:
    """A line every few seconds."""

    interval = _LINE_INTERVAL

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, direction: str, done: int, total: int | None) -> None:
        """Write one."""
        part = f" of {total} bytes ({100 * done // total} %)" if total else " bytes"
        self._console.note(f"{direction} {done}{part}")

    def close(self) -> None:
        """What is written stays."""


class _Bar:
    """
    A bar for each direction, which goes when the transfer is over.

    @raise ImportError: without rich.
    """

    interval = _BAR_INTERVAL

    def __init__(self, streams: Console) -> None:
        from rich import console, progress

        # Without a refresh of its own: that would be a thread.
        self._bars: Any = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=console.Console(file=streams.stderr),
            transient=True,
            auto_refresh=False,
        )
        self._tasks: dict[str, Any] = {}
        self._bars.start()

    def show(self, direction: str, done: int, total: int | None) -> None:
        """Move it."""
        task = self._tasks.get(direction)
        if task is None:
            task = self._tasks[direction] = self._bars.add_task(_VERBS[direction], total=total)
        self._bars.update(task, completed=done, total=total)
        self._bars.refresh()

    def close(self) -> None:
        """Take it away."""
        self._bars.stop()
