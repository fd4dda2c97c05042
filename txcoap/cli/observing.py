"""
C{txcoap observe}: the states of a resource as they come (RFC 7641), as lines, as JSON, drawn, or given to a
program each.
"""

from __future__ import annotations

import json
import os
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
from .pretty import layOut
from .programs import runProgram

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
        last = await _follow(observation, arguments, _Audience(reactor, arguments, console, plot))
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
        **arguments.valuesBesides,
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


async def _follow(observation: Observation, arguments: Arguments, audience: _Audience) -> Response | None:
    """Show states as they come; what the server ended it with, None if there were enough."""
    shown = 0
    try:
        async for state in observation:
            if state.code.isError:
                return state
            await audience.show(state)
            shown += 1
            if shown == arguments.count:
                return None
    except ObservationEnded as e:
        assert isinstance(e.response, Response)
        return e.response
    # The server did not take it, or the time is over.
    return None if observation.reason is None else state


class _Audience:
    """Whoever gets the states: who reads the output, or looks at the plot; or a program."""

    def __init__(self, reactor: Any, arguments: Arguments, console: Console, plot: Plot | None) -> None:
        self._reactor = reactor
        self._arguments = arguments
        self._console = console
        self._plot = plot

    async def show(self, state: Response) -> None:
        """Give one more; returns when there can be another."""
        console = self._console
        if self._arguments.showCode:
            console.note(codeLine(state, len(state.payload)))
        if self._plot is not None:
            self._plot.add(state)
            if console.stdout.isatty():
                return
        command = self._arguments.program
        text = self._text(state, command is None and (console.stdout.isatty() or textOf(state) is not None))
        if command is not None:
            await self._run(command, state, state.payload if text is None else f"{text}\n".encode())
        elif text is not None:
            console.writeLine(text)
        else:
            console.writeBody(state.payload)

    def _text(self, state: Response, isForPeople: bool) -> str | None:
        """A state as text; None for one that is to be given as it came."""
        arguments = self._arguments
        if arguments.json:
            return json.dumps(jsonOf(state, datetime.now(timezone.utc)), ensure_ascii=False)
        time = datetime.now().astimezone().isoformat(" ", "milliseconds") if arguments.timestamps else ""
        if arguments.pretty:
            return f"{time}\n{layOut(state)}".lstrip()
        return f"{time} {describeState(state)}".lstrip() if time or isForPeople else None

    async def _run(self, command: str, state: Response, data: bytes) -> None:
        number = state.contentFormat
        about = {"COAP_CODE": state.code.dotted, "COAP_FORMAT": "" if number is None else formatName(number)}
        problem = await runProgram(self._reactor, command, data, {**os.environ, **about})
        if problem is not None and not self._arguments.quiet:
            self._console.complain(f"{command!r} ended with {problem}")


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
