"""
C{txcoap ping}: whether an endpoint is there, and how long its answers take (RFC 7252 4.3).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from twisted.internet.task import deferLater

from ..addresses import addressOf, describeAddress
from ..client import Agent
from ..errors import NoAcknowledgement, NoResponse, Unreachable
from .arguments import Arguments
from .console import Console
from .failures import Exit, explain

__all__ = ["Stopwatch", "ping"]


class Stopwatch:
    """
    Tells when the first message went out, so that looking the name up does not count.

    @ivar peer: To whom.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._began: float | None = None
        self.peer = ""

    def __call__(self, direction: str, data: bytes, peer: Hashable) -> None:
        """A message went by; see L{Trace}."""
        if self._began is None and direction == "sent":
            self._began = self._reactor.seconds()
            self.peer = describeAddress(addressOf(peer))

    def reset(self) -> None:
        """Wait for the next first message."""
        self._began = None

    def milliseconds(self) -> float:
        """How long ago the first message was sent."""
        now: float = self._reactor.seconds()
        return 1000 * (now - (now if self._began is None else self._began))


async def ping(
    reactor: Any, agent: Agent, arguments: Arguments, console: Console, stopwatch: Stopwatch
) -> Exit:
    """
    Ping so often, and tell of each, and of all if there were several.

    @return: The exit code: success if every one was answered.
    """
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
