"""
The lines that someone types into C{txcoap shell}: at a terminal with the package prompt_toolkit (C{pip
install txcoap[cli]}), which completes and remembers; else from the standard input as they come.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from .console import Console

__all__ = ["Complete", "Lines", "PlainLines", "TypedLines", "chooseReactor", "isTyped", "openLines"]

Complete = Callable[[str], Iterable[str]]
"""Is called with a line as far as the cursor; gives what its last word can become."""

_PART = 65536


class Lines(Protocol):
    """Where lines come from."""

    def read(self, prompt: str) -> Deferred[str | None]:
        """The next line; None at the end. Cancelling it reads no more."""

    def write(self, line: str) -> None:
        """Write a line that comes by itself, also while another is being typed."""


def isTyped(console: Console) -> bool:
    """Whether somebody sits at both ends."""
    return console.stdin is not None and console.stdin.isatty() and console.stdout.isatty()


def chooseReactor(console: Console) -> None:
    """
    Install the reactor that prompt_toolkit needs, that of asyncio, where lines will be typed and the
    package is there; to be called before any other is installed.
    """
    if isTyped(console) and _isEquipped():
        import asyncio

        from twisted.internet import asyncioreactor

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        asyncioreactor.install(loop)


def _isEquipped() -> bool:
    return find_spec("prompt_toolkit") is not None


def openLines(reactor: Any, console: Console, complete: Complete) -> Lines:
    """
    Where the lines come from.

    @param complete: For who types at a terminal.
    """
    if isTyped(console) and _isEquipped() and hasattr(reactor, "_asyncioEventloop"):
        return TypedLines(console, complete)
    return PlainLines(reactor, console)


@implementer(IReadDescriptor)
class PlainLines:
    """
    Lines of the standard input. It is read while a line is waited for, and only then; it stays blocking,
    as at a terminal the standard output is the same file.

    @param reactor: Provides C{IReactorFDSet}.
    """

    def __init__(self, reactor: Any, console: Console) -> None:
        self._reactor = reactor
        self._console = console
        self._isPrompted = isTyped(console)
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self._isOver = console.stdin is None
        self._waiting: Deferred[str | None] | None = None

    def read(self, prompt: str) -> Deferred[str | None]:
        """See L{Lines}."""
        if self._isPrompted:
            self._console.writePrompt(prompt)
        waiting: Deferred[str | None] = Deferred(lambda _: self._stop())
        self._waiting = waiting
        self._deliver()
        if self._waiting is not None:
            self._reactor.addReader(self)
        return waiting

    def write(self, line: str) -> None:
        """See L{Lines}."""
        self._console.writeLine(line)

    def fileno(self) -> int:
        """The standard input's."""
        assert self._console.stdin is not None
        return self._console.stdin.fileno()

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return "txcoap"

    def doRead(self) -> None:
        """There is something to read, or the end."""
        data = os.read(self.fileno(), _PART)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines += lines
        if data:
            self._deliver()
        else:
            self._end()

    def connectionLost(self, reason: Failure) -> None:
        """There is no more."""
        self._end()

    def _end(self) -> None:
        self._isOver = True
        # Whether or not a newline follows the last.
        self._lines += [self._rest] if self._rest else []
        self._rest = b""
        self._deliver()

    def _deliver(self) -> None:
        if self._waiting is None or not (self._lines or self._isOver):
            return
        waiting = self._waiting
        self._stop()
        line = self._lines.popleft().decode("utf-8", "surrogateescape") if self._lines else None
        waiting.callback(line)

    def _stop(self) -> None:
        self._waiting = None
        if self._console.stdin is not None:
            self._reactor.removeReader(self)


class _Interrupted(Exception):
    """Ctrl-C was typed."""


class TypedLines:
    """Lines that someone types at a terminal, completed by TAB; it needs the reactor of asyncio."""

    def __init__(self, console: Console, complete: Complete) -> None:
        from prompt_toolkit import PromptSession, completion
        from prompt_toolkit.application import current, run_in_terminal

        class Completer(completion.Completer):
            def get_completions(self, document: Any, event: Any) -> Iterable[Any]:
                line = document.text_before_cursor
                last = line.rpartition(" ")[2]
                for word in complete(line):
                    yield completion.Completion(word, start_position=-len(last))

        self._console = console
        # Not KeyboardInterrupt, which a task of asyncio would let end the reactor.
        self._session: Any = PromptSession(
            completer=Completer(), complete_while_typing=False, interrupt_exception=_Interrupted
        )
        self._current = current
        self._above = run_in_terminal
        self._pending: list[str] = []

    def read(self, prompt: str) -> Deferred[str | None]:
        """See L{Lines}. Ctrl-C begins a new one."""
        return Deferred.fromCoroutine(self._read(prompt))

    async def _read(self, prompt: str) -> str | None:
        import asyncio

        # Ctrl-C comes as a key, and means this line.
        typing = asyncio.ensure_future(self._session.prompt_async(prompt, handle_sigint=False))
        try:
            line: str = await Deferred.fromFuture(typing)
        except _Interrupted:
            return ""
        except EOFError:
            return None
        return line

    def write(self, line: str) -> None:
        """See L{Lines}. It stands above what is being typed."""
        self._pending.append(line)
        application = self._session.app
        if not application.is_running:
            self._flush()
        elif len(self._pending) == 1:
            with self._current.set_app(application):
                self._above(self._flush)

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        for line in pending:
            self._console.writeLine(line)
