"""
Requests and discovery by multicast: each answer with its sender.
"""

from __future__ import annotations

from typing import Any

from ..addresses import describeAddress
from ..client import Agent
from ..codes import Code
from ..errors import LinkFormatError, MessageTooLarge
from ..formats import LINK_FORMAT
from ..groups import isGroup
from ..message import Response
from ..options import Options
from ..verbs import coreOf, linksOf
from .arguments import METHODS, Arguments
from .colors import printable
from .console import Console
from .display import codeLine, describeState, table
from .failures import Exit, exitFor

__all__ = ["askGroup", "isForGroup"]

# RFC 7252 8.2 gives servers 5 s for their answer; node-coap waits for as long as this.
_WAIT = 20.0


def isForGroup(arguments: Arguments) -> bool:
    """Whether the URI's host is a multicast address."""
    return isGroup(arguments.uri.host)


async def askGroup(agent: Agent, arguments: Arguments, body: Any, console: Console) -> Exit:
    """
    Ask a group, and write a line for each answer, or a table of links.

    @param body: The body to send.
    @raise ValueError: if the command line asks for what a group cannot do.
    """
    if arguments.command in ("ping", "observe"):
        raise ValueError(f"{arguments.command} is for one server, and {arguments.uri.host} is a group")
    if arguments.output is not None:
        raise ValueError("--output takes one body, and each member of a group may send one")
    if not isinstance(body, bytes):
        raise MessageTooLarge("a body for a group is a single block")
    isDiscovery = arguments.command == "discover"
    uri = coreOf(arguments.uri, arguments.uri.query) if isDiscovery else arguments.uri
    seconds = arguments.timeout or _WAIT
    answers = agent.multicast(
        uri,
        body,
        method=Code.GET if isDiscovery else METHODS[arguments.command],
        seconds=seconds,
        interface=arguments.interface,
        hops=arguments.hops,
        options=Options.fromPairs(arguments.pairs),
        token=arguments.token,
        blockSize=arguments.blockSize,
        contentFormat=arguments.contentFormat,
        accept=LINK_FORMAT if isDiscovery else arguments.accept,
        **arguments.valuesBesides,
    )
    codes = []
    async with answers:
        async for answer in answers:
            codes.append(answer.code)
            sender = describeAddress(answer.getPeerAddress())
            if isDiscovery and answer.code.isSuccess and not arguments.raw:
                _writeLinks(sender, answer, console)
            else:
                _write(sender, answer, arguments, console)
    return _conclude(codes, answers.failures, seconds, arguments, console)


def _write(sender: str, answer: Response, arguments: Arguments, console: Console) -> None:
    line = codeLine(answer, len(answer.payload))
    if not answer.code.isSuccess:
        if not arguments.quiet:
            console.note(f"{sender}: {line}")
        return
    if arguments.showCode:
        console.note(f"{sender}: {line}")
    console.writeLine(f"{sender}: {describeState(answer) if answer.payload else line}")


def _writeLinks(sender: str, answer: Response, console: Console) -> None:
    console.writeLine(sender)
    try:
        links = linksOf(answer)
    except LinkFormatError as e:
        console.note(printable(f"  no links: {e}"))
        return
    for line in table(links):
        console.writeLine(f"  {line}")


def _conclude(
    codes: list[Code],
    failures: dict[Any, BaseException],
    seconds: float,
    arguments: Arguments,
    console: Console,
) -> Exit:
    if failures and not arguments.quiet:
        console.note(f"of {len(failures)} more the body did not come whole")
    if any(code.isSuccess for code in codes):
        return Exit.SUCCESS
    if codes:
        return exitFor(codes[0])
    if Options.fromPairs(arguments.pairs).noResponse:
        # Silence is what was asked for.
        return Exit.SUCCESS
    if not arguments.quiet:
        console.complain(
            f"nobody in {arguments.uri.host} answered within {seconds:g} s; name the network by --interface, "
            "or reach farther by --hops"
        )
    return Exit.FAILURE
