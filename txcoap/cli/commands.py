"""
What the subcommands of C{txcoap} do.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater

from ..addresses import addressOf, describeAddress
from ..client import Agent
from ..codes import Code
from ..discovery import WELL_KNOWN_CORE
from ..errors import (
    CoAPError,
    InvalidURI,
    MessageTooLarge,
    NoAcknowledgement,
    NoResponse,
    Unreachable,
)
from ..formats import LINK_FORMAT
from ..linkformat import parse
from ..message import Response
from ..options import Options
from ..protocol import Trace
from ..uri import URI
from .arguments import METHODS, Arguments
from .console import Console, OutputError, OutputFile
from .delivery import Delivery
from .display import MessageLog, codeLine, isDiagnostic, table
from .failures import Exit, exitFor, explain
from .groups import askGroup, isForGroup
from .observing import observe
from .progress import Progress

__all__ = ["perform"]


async def perform(
    reactor: Any, arguments: Arguments, body: Any, output: OutputFile | None, console: Console
) -> Exit:
    """
    Do what a command line says.

    @param body: The body to send, as bytes or as an C{IBodyProducer}.
    @param output: Where the body of the response goes, if not to the standard output.
    @return: The exit code. What failed has been told.
    """
    log = MessageLog(console.note, reactor.seconds) if arguments.verbose else None
    stopwatch = _Stopwatch(reactor, log)
    trace = stopwatch.trace if arguments.command == "ping" else log
    agent = Agent(
        reactor,
        blockSize=arguments.blockSize,
        parameters=arguments.parameters,
        proxy=arguments.proxy,
        trace=trace,
    )
    try:
        if isForGroup(arguments):
            return await askGroup(agent, arguments, body, console)
        if arguments.command == "ping":
            return await _ping(reactor, agent, arguments, console, stopwatch)
        if arguments.command == "discover":
            return await _discover(agent, arguments, console)
        if arguments.command == "observe":
            return await observe(reactor, agent, arguments, console)
        progress = Progress(console, reactor.seconds, arguments.quiet or arguments.verbose)
        try:
            return await _request(agent, arguments, body, output, console, progress)
        finally:
            progress.close()
    except BrokenPipeError:
        return Exit.BROKEN_PIPE
    except CoAPError as e:
        problem = explain(e, arguments.proxy or arguments.uri)
        code = Exit.USAGE if isinstance(e, (InvalidURI, MessageTooLarge)) else Exit.FAILURE
    except OutputError as e:
        problem, code = str(e), Exit.FAILURE
    except ValueError as e:
        problem, code = str(e), Exit.USAGE
    except (CannotListenError, OSError) as e:
        problem, code = f"no socket could be opened: {e}", Exit.FAILURE
    finally:
        await agent.close()
    if not arguments.quiet:
        console.complain(problem)
    return code


async def _request(
    agent: Agent,
    arguments: Arguments,
    body: Any,
    output: OutputFile | None,
    console: Console,
    progress: Progress,
) -> Exit:
    response = await agent.request(
        METHODS[arguments.command],
        arguments.uri,
        body,
        contentFormat=arguments.contentFormat,
        accept=arguments.accept,
        # How long the body is, for the progress (RFC 7959 4).
        size2=None if output is None else 0,
        stream=output is not None,
        progress=progress,
        **_how(arguments),
    )
    if output is not None and response is not None:
        response = await _receive(response, output)
    progress.close()
    return _conclude(response, arguments, output, console)


async def _receive(response: Any, output: OutputFile) -> Response:
    """Take the body of a response as it comes: of a 2.xx to a file, of another into the response."""
    if not response.code.isSuccess:
        parts: list[bytes] = []
        await Delivery.of(response, parts.append)
        return Response(response.code, b"".join(parts), response.options)
    await Delivery.of(response, output.add)
    if response.code is not Code.VALID:
        # 2.03 says that the file's content is still the right one.
        output.finish()
    return Response(response.code, b"", response.options)


async def _discover(agent: Agent, arguments: Arguments, console: Console) -> Exit:
    asked = arguments.uri
    uri = URI(asked.scheme, asked.host, asked.port, WELL_KNOWN_CORE, asked.query)
    response: Response | None = await agent.get(uri, accept=LINK_FORMAT, **_how(arguments))
    if arguments.raw or response is None or not response.code.isSuccess:
        return _conclude(response, arguments, None, console)
    links = parse(response.payload.decode("utf-8", "replace"))
    if links:
        for line in table(links):
            console.writeLine(line)
    elif not arguments.quiet:
        console.note("no resources")
    if arguments.showCode:
        console.note(codeLine(response, len(response.payload)))
    return Exit.SUCCESS


def _how(arguments: Arguments) -> dict[str, Any]:
    """What all requests are asked with."""
    return {
        "options": Options.fromPairs(arguments.pairs),
        "confirmable": arguments.confirmable,
        "token": arguments.token,
        "blockSize": arguments.blockSize,
        "timeout": arguments.timeout,
    }


def _conclude(
    response: Response | None, arguments: Arguments, output: OutputFile | None, console: Console
) -> Exit:
    """Write a response's code and body where they belong."""
    if response is None:
        if arguments.showCode:
            console.note("no response was asked for")
        return Exit.SUCCESS
    code = response.code
    isWritten = output is not None and code.isSuccess
    if arguments.showCode or not (code.isSuccess or arguments.quiet):
        size = output.size if output is not None and isWritten else len(response.payload)
        console.note(codeLine(response, size))
    if not (isWritten or isDiagnostic(response)):
        console.writeBody(response.payload)
    return exitFor(code)


class _Stopwatch:
    """
    Tells when the first message of a ping went out, so that looking the name up does not count.

    @param trace: Another trace, to be called as well.
    """

    def __init__(self, reactor: Any, trace: Trace | None) -> None:
        self._reactor = reactor
        self._trace = trace
        self._began: float | None = None
        self.peer = ""

    def trace(self, direction: str, data: bytes, peer: Hashable) -> None:
        """A message went by; see L{Trace}."""
        if self._began is None and direction == "sent":
            self._began = self._reactor.seconds()
            self.peer = describeAddress(addressOf(peer))
        if self._trace is not None:
            self._trace(direction, data, peer)

    def reset(self) -> None:
        """Wait for the next ping's first message."""
        self._began = None

    def milliseconds(self) -> float:
        """How long ago the first message was sent."""
        now: float = self._reactor.seconds()
        return 1000 * (now - (now if self._began is None else self._began))


async def _ping(
    reactor: Any, agent: Agent, arguments: Arguments, console: Console, stopwatch: _Stopwatch
) -> Exit:
    times: list[float] = []
    sent = 0
    try:
        while sent < arguments.count:
            if sent:
                await deferLater(reactor, arguments.interval, lambda: None)
            sent += 1
            stopwatch.reset()
            try:
                await agent.ping(arguments.uri, timeout=arguments.timeout)
            except (NoAcknowledgement, NoResponse, Unreachable) as e:
                if not arguments.quiet:
                    console.complain(explain(e, arguments.uri))
            else:
                times.append(stopwatch.milliseconds())
                if not arguments.quiet:
                    console.writeLine(f"{stopwatch.peer} is there: {times[-1]:.2f} ms")
    finally:
        # Also when it is interrupted.
        if arguments.count > 1 and not arguments.quiet:
            console.writeLine(_summary(sent, times))
    return Exit.SUCCESS if len(times) == sent else Exit.FAILURE


def _summary(sent: int, times: list[float]) -> str:
    counts = f"{sent} sent, {len(times)} answered"
    if not times:
        return counts
    mean = sum(times) / len(times)
    return f"{counts}; at least {min(times):.2f}, on average {mean:.2f}, at most {max(times):.2f} ms"
