"""
C{txcoap observe}: the states of a resource as they come (RFC 7641), as lines, as JSON or drawn.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import deque
from datetime import datetime, timezone
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError

from ..block import Block
from ..client import Agent
from ..errors import NoAcknowledgement, NoResponse, ObservationEnded
from ..formats import formatName
from ..message import Response
from ..observation import Observation
from ..options import Options
from .arguments import Arguments
from .console import Console
from .display import codeLine, printable
from .failures import Exit, exitFor

__all__ = ["describeState", "jsonOf", "numberOf", "observe"]

GRACE = 2.0
"""Seconds that telling the server of the end may take."""

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_KEPT = 1000


async def observe(reactor: Any, agent: Agent, arguments: Arguments, console: Console) -> Exit:
    """
    Observe until as many states came as are wanted, the time is over, or the server ends it.

    @return: The exit code. That the server ended it, and why, has been told.
    @raise CoAPError: if there is no first state.
    @raise BrokenPipeError: if nobody reads what is written.
    """
    if arguments.plot and not console.isWatched:
        console.complain("--plot draws on the standard error, which is no terminal")
        return Exit.USAGE
    try:
        plot = _Plot(console) if arguments.plot else None
    except ImportError:
        console.complain("--plot needs more packages: pip install 'txcoap[cli]'")
        return Exit.USAGE
    end = None if arguments.duration is None else reactor.seconds() + arguments.duration
    observation = await _begin(reactor, agent, arguments)
    visit = _Visit(reactor, observation, arguments.lazy)
    timer = None if end is None else reactor.callLater(max(0.0, end - reactor.seconds()), visit.end)
    try:
        last = await _follow(observation, arguments, console, plot)
    finally:
        # Also when it is interrupted.
        if plot is not None:
            plot.close()
        if timer is not None and timer.active():
            timer.cancel()
        await visit.end()
    return Exit.SUCCESS if last is None else _conclude(last, arguments, console)


async def _begin(reactor: Any, agent: Agent, arguments: Arguments) -> Observation:
    size = arguments.blockSize
    observing = agent.observe(
        arguments.uri,
        options=Options.fromPairs(arguments.pairs),
        accept=arguments.accept,
        # The server's choice, unless a size was chosen here.
        block2=None if size == 1024 else Block(0, False, size.bit_length() - 5),
        confirmable=arguments.confirmable,
        token=arguments.token,
    )
    limits = [each for each in (arguments.timeout, arguments.duration) if each is not None]
    if limits:
        observing.addTimeout(min(limits), reactor)
    try:
        return await observing
    except TimeoutError:
        raise (NoAcknowledgement if arguments.confirmable else NoResponse)("no state came in time") from None


class _Visit:
    """Ends an observation once, whoever wants that first."""

    def __init__(self, reactor: Any, observation: Observation, lazily: bool) -> None:
        self._reactor = reactor
        self._observation = observation
        self._lazily = lazily
        self._ending: Deferred[None] | None = None

    def end(self) -> Deferred[None]:
        """Tell the server, if that is wanted; fires when it knows, or has not heard of it in time."""
        if self._ending is None:
            ending = self._observation.cancel(lazily=self._lazily)
            self._ending = ending.addTimeout(GRACE, self._reactor).addErrback(lambda _: None)
        return self._ending


async def _follow(
    observation: Observation, arguments: Arguments, console: Console, plot: _Plot | None
) -> Response | None:
    """Show states as they come; what the server ended it with, None if there were enough."""
    shown = 0
    try:
        async for state in observation:
            if state.code.isError:
                return state
            _show(state, arguments, console, plot)
            shown += 1
            if shown == arguments.count:
                return None
    except ObservationEnded as e:
        assert isinstance(e.response, Response)
        return e.response
    # The server did not take it, or the time is over.
    return None if observation.reason is None else state


def _show(state: Response, arguments: Arguments, console: Console, plot: _Plot | None) -> None:
    if arguments.showCode:
        console.note(codeLine(state, len(state.payload)))
    if plot is not None:
        plot.add(state)
        if console.stdout.isatty():
            return
    if arguments.json:
        console.writeLine(json.dumps(jsonOf(state, datetime.now(timezone.utc)), ensure_ascii=False))
        return
    time = datetime.now().astimezone().isoformat(" ", "milliseconds") if arguments.timestamps else ""
    if time or console.stdout.isatty() or _textOf(state) is not None:
        console.writeLine(f"{time} {describeState(state)}".lstrip())
    else:
        console.writeBody(state.payload)


def _conclude(last: Response, arguments: Arguments, console: Console) -> Exit:
    """Tell that the server ended it, or did not begin, by this response."""
    if not arguments.quiet:
        if last.code.isError:
            console.note(codeLine(last, len(last.payload)))
        else:
            console.complain(f"this cannot be observed, or not any longer: {last.code} came without Observe")
    return exitFor(last.code) if last.code.isError else Exit.FAILURE


def _textOf(state: Response) -> str | None:
    """A state as text, if it is text."""
    try:
        return state.payload.decode("utf-8")
    except UnicodeDecodeError:
        return None


def describeState(state: Response) -> str:
    """A state for people: text without what a terminal would act on, or hexadecimal digits."""
    text = _textOf(state)
    if text is None:
        return f"0x{state.payload.hex()}"
    return "\n".join(map(printable, text.rstrip("\r\n").splitlines()))


def jsonOf(state: Response, time: datetime) -> dict[str, Any]:
    """
    A state for programs.

    @return: C{time}, C{code}, C{format} (a media type, a number, or None), and C{payload}, or C{base64}
        where it is no text.
    """
    number = state.contentFormat
    name = None if number is None else formatName(number)
    text = _textOf(state)
    body = {"base64": b64encode(state.payload).decode()} if text is None else {"payload": text}
    return {
        "time": time.isoformat(timespec="milliseconds"),
        "code": state.code.dotted,
        "format": number if name == str(number) else name,
        **body,
    }


def numberOf(state: Response) -> float | None:
    """The number in a state: the first of a text, the newest value of JSON or SenML; None without one."""
    text = (_textOf(state) or "").strip()
    if text[:1] in ("{", "["):
        try:
            return _numberIn(json.loads(text))
        except (ValueError, RecursionError):
            return None
    found = _NUMBER.search(text)
    return None if found is None else float(found[0])


def _numberIn(value: Any) -> float | None:
    while isinstance(value, list) and value:
        value = value[-1]
    if isinstance(value, dict):
        # "v" is SenML's name for it (RFC 8428 4.3).
        candidates = [value["v"]] if "v" in value else value.values()
        value = next((each for each in candidates if isinstance(each, (int, float))), None)
    isNumber = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if isNumber else None


class _Plot:
    """
    Draws the numbers on the standard error, the newest at the right, on one line that stays.

    @raise ImportError: without rich and sparklines.
    """

    def __init__(self, streams: Console) -> None:
        from rich import console, live
        from sparklines import sparklines

        self._draw = sparklines
        self._console = console.Console(file=streams.stderr)
        # Without a refresh of its own: that would be a thread.
        self._live = live.Live(console=self._console, auto_refresh=False)
        self._numbers: deque[float] = deque(maxlen=_KEPT)
        self._live.start()

    def add(self, state: Response) -> None:
        """Draw one more; of a state without a number, its text."""
        from rich.text import Text

        number = numberOf(state)
        if number is not None:
            self._numbers.append(number)
        caption = self._caption() if number is not None else describeState(state).partition("\n")[0]
        room = max(8, self._console.width - len(caption) - 3)
        shown = list(self._numbers)[-room:]
        # From the lowest on: below zero the library would draw on a second line.
        low = min(shown, default=0.0)
        [line] = self._draw([each - low for each in shown]) if shown else [""]
        self._live.update(Text(f"{line}  {caption}", no_wrap=True), refresh=True)

    def _caption(self) -> str:
        low, high = min(self._numbers), max(self._numbers)
        return f"{self._numbers[-1]:g} (from {low:g} to {high:g})"

    def close(self) -> None:
        """What is drawn stays."""
        self._live.stop()
