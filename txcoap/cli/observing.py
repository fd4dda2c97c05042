"""
C{txcoap observe}: the states of a resource as they come (RFC 7641), as lines, as JSON or drawn.
"""

from __future__ import annotations

import json
from base64 import b64encode
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
from .display import codeLine, describeState, textOf
from .failures import Exit, exitFor
from .plot import Plot

__all__ = ["jsonOf", "observe"]

GRACE = 2.0
"""Seconds that telling the server of the end may take."""


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
        plot = Plot(console) if arguments.plot else None
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
    observation: Observation, arguments: Arguments, console: Console, plot: Plot | None
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


def _show(state: Response, arguments: Arguments, console: Console, plot: Plot | None) -> None:
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
    if time or console.stdout.isatty() or textOf(state) is not None:
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


def jsonOf(state: Response, time: datetime) -> dict[str, Any]:
    """
    A state for programs.

    @return: C{time}, C{code}, C{format} (a media type, a number, or None), and C{payload}, or C{base64}
        where it is no text.
    """
    number = state.contentFormat
    name = None if number is None else formatName(number)
    text = textOf(state)
    body = {"base64": b64encode(state.payload).decode()} if text is None else {"payload": text}
    return {
        "time": time.isoformat(timespec="milliseconds"),
        "code": state.code.dotted,
        "format": number if name == str(number) else name,
        **body,
    }
