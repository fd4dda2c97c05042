"""
What the subcommands of C{txcoap} do.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater

from ..client import Agent
from ..codes import Code
from ..errors import (
    CoAPError,
    InvalidURI,
    MessageTooLarge,
)
from ..formats import LINK_FORMAT
from ..message import Response
from ..options import Options
from ..protocol import Trace
from ..verbs import coreOf, linksOf
from .arguments import METHODS, Arguments
from .colors import colorOfCode
from .console import Console, OutputError, OutputFile
from .delivery import Delivery
from .display import MessageLog, codeLine, isDiagnostic
from .failures import Exit, exitFor, explain
from .groups import askGroup, isForGroup
from .links import showLinks
from .observing import observe
from .pinging import Stopwatch, ping
from .preparing import Prepared
from .pretty import layOut
from .progress import Progress

__all__ = ["perform"]


async def perform(reactor: Any, arguments: Arguments, prepared: Prepared, console: Console) -> Exit:
    """
    Do what a command line says.

    @return: The exit code. What failed has been told.
    """
    console = console.colored(arguments.color)
    try:
        return await _answer(reactor, arguments, prepared, console)
    except BrokenPipeError:
        return Exit.BROKEN_PIPE
    except CoAPError as e:
        problem = explain(e, arguments.proxy or arguments.uri, arguments.bindAddress[0])
        code = Exit.USAGE if isinstance(e, (InvalidURI, MessageTooLarge)) else Exit.FAILURE
    except OutputError as e:
        problem, code = str(e), Exit.FAILURE
    except ValueError as e:
        problem, code = str(e), Exit.USAGE
    except (CannotListenError, OSError) as e:
        problem, code = f"no socket could be opened: {e}", Exit.FAILURE
    if not arguments.quiet:
        console.complain(problem)
    return code


async def _answer(reactor: Any, arguments: Arguments, prepared: Prepared, console: Console) -> Exit:
    """Ask, and write what comes."""
    log = MessageLog(console.note, reactor.seconds, console.paint) if arguments.verbose else None
    stopwatch = Stopwatch(reactor)
    traces = [trace for trace in (stopwatch, log, prepared.capture) if trace is not None]
    agent = Agent(
        reactor,
        blockSize=arguments.blockSize,
        parameters=arguments.parameters,
        bindAddress=arguments.bindAddress,
        proxy=arguments.proxy,
        trace=partial(_traceAll, traces),
    )
    if prepared.capture is not None:
        prepared.capture.hosts = agent.getHosts
    try:
        if isForGroup(arguments):
            return await askGroup(agent, arguments, prepared.body, console)
        if arguments.command == "ping":
            return await ping(reactor, agent, arguments, console, stopwatch)
        if arguments.command == "discover":
            return await _discover(agent, arguments, console)
        if arguments.command == "observe":
            return await observe(reactor, agent, arguments, console)
        return await _repeat(reactor, agent, arguments, prepared, console, stopwatch)
    finally:
        await agent.close()


def _traceAll(traces: Sequence[Trace], direction: str, data: bytes, peer: Hashable) -> None:
    for trace in traces:
        trace(direction, data, peer)


async def _repeat(
    reactor: Any,
    agent: Agent,
    arguments: Arguments,
    prepared: Prepared,
    console: Console,
    stopwatch: Stopwatch,
) -> Exit:
    """Ask as often as is wanted; the exit code is that of the last that failed, if any did."""
    worst = Exit.SUCCESS
    for turn in range(arguments.repeat):
        if turn:
            await deferLater(reactor, arguments.interval, lambda: None)
        stopwatch.reset()
        progress = Progress(console, reactor.seconds, arguments.quiet or arguments.verbose)
        try:
            code = await _request(agent, arguments, prepared, console, progress)
        finally:
            progress.close()
        if arguments.showTime:
            console.note(f"{stopwatch.milliseconds():.2f} ms")
        worst = code or worst
    return worst


async def _request(
    agent: Agent,
    arguments: Arguments,
    prepared: Prepared,
    console: Console,
    progress: Progress,
) -> Exit:
    output = prepared.output
    response = await agent.request(
        METHODS[arguments.command],
        arguments.uri,
        prepared.body,
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
    uri = coreOf(arguments.uri, arguments.uri.query)
    response: Response | None = await agent.get(uri, accept=LINK_FORMAT, **_how(arguments))
    if arguments.raw or response is None or not response.code.isSuccess:
        return _conclude(response, arguments, None, console)
    links = linksOf(response)
    if links:
        showLinks(links, arguments.tree, console)
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
        **arguments.valuesBesides,
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
        console.note(console.paint(codeLine(response, size), colorOfCode(code.codeClass)))
    if isWritten or isDiagnostic(response):
        return exitFor(code)
    if response.payload and (arguments.pretty or (console.stdout.isatty() and not arguments.raw)):
        console.writeLine(layOut(response))
    else:
        console.writeBody(response.payload)
    return exitFor(code)
