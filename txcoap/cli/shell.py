"""
C{txcoap shell}: look about in a server's resources, and ask for them by paths, as in a file system.

Its commands that ask are C{txcoap}'s own, with the same flags; C{prompting} has the lines, C{places} the
resources.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from ..client import Agent
from ..errors import CoAPError, InvalidURI
from ..formats import LINK_FORMAT
from ..linkformat import Link
from ..message import Response
from ..uri import URI
from ..verbs import coreOf, linksOf
from .arguments import Arguments
from .colors import printable
from .console import Console, OutputError
from .display import codeLine
from .failures import Exit, explain
from .jobs import Jobs
from .links import showLinks
from .places import Places, asDirectory, resolve
from .preparing import Prepared, prepare
from .prompting import Lines, isTyped, openLines
from .words import ASKING, ENDS, OWN, Said, readerOf, suggestions

__all__ = ["Perform", "Shell", "shell"]

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds to wait for a server's links."""

Perform = Callable[[Any, Arguments, Prepared, Console], Any]
"""What asks: L{txcoap.cli.commands.perform}."""


async def shell(
    reactor: Any, arguments: Arguments, console: Console, perform: Perform, lines: Lines | None = None
) -> Exit:
    """
    Do what lines say, until there are no more, or one says C{quit}.

    @param lines: Where they come from, if not from the standard input.
    @return: The exit code: that of the last command that failed, if they were not typed.
    """
    console = console.colored(arguments.color)
    session = Shell(reactor, console, perform, arguments.uri)
    session.lines = lines or openLines(reactor, console, session.complete)
    isAtTerminal = isTyped(console)
    restore = _catchInterrupts(reactor, session) if isAtTerminal else None
    try:
        code = await session.run(isAtTerminal)
    except BrokenPipeError:
        return Exit.BROKEN_PIPE
    except OutputError as e:
        console.complain(str(e))
        return Exit.FAILURE
    finally:
        await session.close()
        if restore is not None:
            restore()
    return Exit.SUCCESS if isAtTerminal else code


def _catchInterrupts(reactor: Any, session: Shell) -> Callable[[], object]:
    """Let Ctrl-C end the command that runs, and not the reactor."""
    before = signal.signal(signal.SIGINT, lambda *_: reactor.callFromThread(session.interrupt))
    return lambda: signal.signal(signal.SIGINT, before)


class Shell:
    """
    Someone's visit at a server.

    @param console: The streams of the shell.
    @param perform: What asks.
    @param uri: Where they begin.
    @ivar here: Where they are; a URI with a slash at its end.
    @ivar lines: Where lines come from.
    """

    lines: Lines

    def __init__(self, reactor: Any, console: Console, perform: Perform, uri: URI) -> None:
        self._reactor = reactor
        # What is asked for reads no input of the shell's.
        self._console = replace(console, stdin=None, isLined=True)
        self._perform = perform
        self._places = Places()
        self._jobs = Jobs(self._writeBesides)
        # What is waited for, why it may end early.
        self._now: Deferred[Any] | None = None
        self._isInterrupted = False
        self._obstacle: Exception | None = None
        self._worst = Exit.SUCCESS
        self.here = asDirectory(uri)

    async def run(self, isAtTerminal: bool) -> Exit:
        """Read lines, and do as they say."""
        found = await self._interruptible(self._discover(self.here), False)
        if found and isAtTerminal:
            self._console.note(f"{_count(len(self._places))}; help tells the commands")
        while True:
            line = await self._interruptible(self._read(), "")
            if line is None:
                if isAtTerminal:
                    self._console.writeLine("")
                return self._worst
            try:
                words = shlex.split(line, comments=True)
            except ValueError as e:
                self._fail(f"{e}; put a backslash before a quote that is meant as such")
                continue
            if words and words[0] in ENDS:
                return self._worst
            if words:
                await self._interruptible(self._do(words), None)

    async def _read(self) -> str | None:
        place = printable(self.here.authority + self.here.resourceName)
        return await self.lines.read(f"{place}> ")

    async def _interruptible(self, work: Coroutine[Any, Any, T], instead: T) -> T:
        """Do it; return something else where Ctrl-C ends it."""
        self._isInterrupted = False
        self._now = now = Deferred.fromCoroutine(work)
        try:
            return await now
        except CancelledError:
            if self._obstacle is not None:
                raise self._obstacle from None
            if not self._isInterrupted:
                raise
            return instead
        finally:
            self._now = None

    def interrupt(self) -> None:
        """Ctrl-C: end what is being done, and nothing else."""
        if self._now is not None:
            # Below what the terminal showed of the key.
            self._console.note("")
            self._isInterrupted = True
            self._now.cancel()

    def _writeBesides(self, line: str) -> None:
        """Write what comes by itself; that nobody reads it is the end of it all."""
        if self._obstacle is not None:
            return
        try:
            self.lines.write(line)
        except (BrokenPipeError, OutputError) as e:
            self._obstacle = e
            # Later, when who writes waits again: amid its work it cannot be ended.
            self._reactor.callLater(0, self._giveUp)

    def _giveUp(self) -> None:
        if self._now is not None:
            self._now.cancel()

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._jobs.cancel(self._jobs.numbers)

    def _fail(self, problem: str, code: Exit = Exit.USAGE) -> None:
        self._worst = code
        self._console.complain(problem)

    async def _do(self, words: list[str]) -> None:
        command, *rest = words
        own = _COMMANDS.get(command)
        try:
            if own is not None:
                await own(self, rest)
            elif command in ASKING:
                await self._ask(command, rest)
            else:
                self._fail(f"there is no command {command!r}; help tells those that there are")
        except Said as e:
            if e.isHelp:
                self._console.writeLine(str(e))
            else:
                self._fail(str(e))
        except InvalidURI as e:
            self._fail(str(e))

    async def _ask(self, command: str, words: list[str]) -> None:
        isJob = words[-1:] == ["&"]
        words = words[:-1] if isJob else words
        arguments = readerOf(command, self._resolve).read(words)
        if isJob:
            arguments.color = "never"
            self._jobs.start(" ".join([command, *words]), self._console, partial(self._askAs, arguments))
            return
        code = await self._askAs(arguments, self._console)
        if code is Exit.BROKEN_PIPE:
            raise BrokenPipeError
        self._worst = code or self._worst

    async def _askAs(self, arguments: Arguments, console: Console) -> Exit:
        prepared = prepare(arguments, console)
        try:
            code: Exit = await self._perform(self._reactor, arguments, prepared, console)
        finally:
            prepared.close()
        return code

    def _resolve(self, text: str) -> URI:
        return resolve(self.here, text)

    async def _discover(self, place: URI) -> bool:
        """Learn the server's resources anew, and what is at a place; whether that was possible."""
        here = self.here
        core = coreOf(here)
        agent = Agent(self._reactor)
        places = Places()
        try:
            response = await agent.get(core, accept=LINK_FORMAT, timeout=PATIENCE)
            places.add(core, _linksIn(response))
            link = places.at(place)
            if link is None or LINK_FORMAT in link.ct:
                # A directory may list what is in it itself, and itself alone.
                inner = await agent.get(place, accept=LINK_FORMAT, timeout=PATIENCE)
                places.add(place, _linksIn(inner))
        except CoAPError as e:
            self._fail(explain(e, here), Exit.FAILURE)
            return False
        finally:
            await agent.close()
        self._places = places
        if not response.code.isSuccess:
            self._console.note(f"the server does not list its resources: {codeLine(response, 0)}")
        return bool(response.code.isSuccess)

    # The commands of its own, by their words.

    async def _ls(self, words: list[str]) -> None:
        place = self._onePlace(words)
        await self._discover(place)
        link = self._places.at(place)
        self._show(list(self._places.below(place)) or ([] if link is None else [link]), False)

    async def _tree(self, words: list[str]) -> None:
        place = self._onePlace(words)
        await self._discover(place)
        self._show(self._places.allBelow(place), True)

    def _show(self, links: list[Link], asTree: bool) -> None:
        if links:
            showLinks(links, asTree, self._console)
        else:
            self._console.note("no resources")

    async def _cd(self, words: list[str]) -> None:
        place = self._onePlace(words or ["/"])
        before, self.here = self.here, asDirectory(place)
        isElsewhere = (place.scheme, place.authority) != (before.scheme, before.authority)
        if isElsewhere or not self._places.isKnown(place):
            await self._discover(place)
        if place.path and not self._places.isKnown(place):
            self._console.note("the server lists nothing here; it may be there all the same")

    async def _pwd(self, words: list[str]) -> None:
        self._console.writeLine(str(self._onePlace(words)))

    async def _info(self, words: list[str]) -> None:
        place = self._onePlace(words)
        self._console.writeLine(str(place))
        link = self._places.at(place)
        if link is None:
            below = len(self._places.allBelow(place))
            self._console.writeLine(f"the server does not list it; below it, {_count(below)}")
            return
        for name, value in link.attributes:
            self._console.writeLine(printable(name if value is None else f"{name}: {value}"))

    def _onePlace(self, words: list[str]) -> URI:
        if len(words) > 1:
            raise Said(f"one path, not {len(words)}: quote what has spaces in it")
        return self._resolve(words[0] if words else ".")

    async def _jobsList(self, words: list[str]) -> None:
        _refuseAny(words)
        for line in self._jobs.describe():
            self._console.writeLine(line)

    async def _cancel(self, words: list[str]) -> None:
        known = self._jobs.numbers
        for word in words:
            if not (word.isascii() and word.isdigit() and int(word[:9]) in known):
                raise Said(f"nothing in the background has the number {word}; jobs tells what goes on")
        await self._jobs.cancel(map(int, words) if words else known)

    async def _wait(self, words: list[str]) -> None:
        _refuseAny(words)
        await self._jobs.whenOver(self._jobs.numbers)

    async def _help(self, words: list[str]) -> None:
        if not words:
            lines = [f"{name:9} {meaning}" for name, meaning in {**OWN, **ASKING}.items()]
            self._console.writeLine("\n".join([*lines, "", "COMMAND --help tells the flags of what asks."]))
        elif words[0] in OWN:
            self._console.writeLine(f"{words[0]} {OWN[words[0]]}")
        elif words[0] in ASKING:
            self._console.writeLine(readerOf(words[0], self._resolve).format_help())
        else:
            raise Said(f"there is no command {words[0]!r}; help tells those that there are")

    def complete(self, line: str) -> Iterable[str]:
        """What the last word of a line can become."""
        return suggestions(line, self._resolve, self._below, self._jobs.numbers)

    def _below(self, place: URI) -> Iterator[Link]:
        return self._places.below(place)


def _linksIn(response: Response) -> tuple[Link, ...]:
    isList = response.code.isSuccess and response.contentFormat == LINK_FORMAT
    return linksOf(response) if isList else ()


def _refuseAny(words: list[str]) -> None:
    if words:
        raise Said(f"{words[0]!r} is one word too many")


def _count(number: int) -> str:
    return "1 resource" if number == 1 else f"{number} resources"


_COMMANDS: dict[str, Callable[[Shell, list[str]], Any]] = {
    "ls": Shell._ls,
    "tree": Shell._tree,
    "cd": Shell._cd,
    "pwd": Shell._pwd,
    "info": Shell._info,
    "jobs": Shell._jobsList,
    "cancel": Shell._cancel,
    "wait": Shell._wait,
    "help": Shell._help,
}
