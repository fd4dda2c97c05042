"""
A flood on a server, and a well-behaved client among it: whether memory stays within its bound, whether the
client gets its answers, by retransmission if need be, and how soon all is as before when the flood is over::

    python -m benchmarks.flood                              # 60 s at 1.5 times what the server can do
    python -m benchmarks.flood --factor 0 --seconds 20      # as fast as the kernel takes it
    python -m benchmarks.flood --sources 100000             # from so many addresses

Loopback only; Linux. The flood is C{flood.c}.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from txcoap import Agent
from txcoap.errors import CoAPError

from . import loadgen, peers
from .arguments import bounded, output
from .resident import Memory, Watch

__all__ = ["ALLOWED", "RECOVERY", "Result", "flood"]

MIB = 2**20

#: What a server may grow by: twice Limits.rememberedBytes, as the account is of bytes and not of what the
#: allocator makes of them, and what the buffers of its socket take.
ALLOWED = 160 * MIB

# The well-behaved client asks so often.
INTERVAL = 0.1
# Normal service: answers as soon as this.
SOON = 0.25

#: Within so many seconds after the flood it must be back.
RECOVERY = 2.0


@dataclass
class Result:
    """
    What came of it.

    @ivar capacity: Requests a second that the server could do before.
    @ivar flood: What the flood says of itself.
    @ivar asked: Requests of the well-behaved client.
    @ivar answered: How many were answered.
    @ivar errors: Why the others failed.
    @ivar recovered: Seconds after the flood until a request was answered as soon as L{SOON}.
    @ivar memory: The server's.
    """

    capacity: float = 0.0
    flood: dict[str, float] = field(default_factory=dict)
    asked: int = 0
    answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    recovered: float = 0.0
    memory: Memory = field(default_factory=lambda: Memory(0, 0, 0))

    def faults(self, mustAnswer: bool) -> list[str]:
        """What is not as it must be."""
        faults = []
        if mustAnswer and self.answered < 0.99 * self.asked:
            faults.append("less than 99 % were answered")
        if self.memory.growth > ALLOWED:
            faults.append(f"the server grew by {self.memory.growth / MIB:.0f} MiB")
        if self.recovered > RECOVERY:
            faults.append(f"normal service took {self.recovered:.1f} s to return")
        return faults


def command(port: int, seconds: float, rate: float, sources: int, malformed: int) -> list[str]:
    """The words that begin a flood."""
    words = (port, "hello", seconds, rate, sources, malformed)
    return [str(loadgen.compiled("flood.c")), *map(str, words)]


async def flood(
    reactor: Any,
    seconds: float = 60.0,
    factor: float = 1.5,
    sources: int = 1000,
    malformed: int = 100,
    capacity: float | None = None,
) -> Result:
    """
    Flood a server of its own process.

    @param factor: The rate, in times of what the server can do; 0 for no limit.
    @param sources: From how many addresses.
    @param malformed: How many of a thousand datagrams are no messages.
    @param capacity: What the server can do; by default that is measured.
    @raise loadgen.NoCompiler: if there is no C compiler.
    """
    result = Result()
    with peers.running(peers.SERVERS["txcoap"]) as (port, pid):
        if capacity is None:
            capacity = loadgen.load(port=port, path="hello", requests=100_000, warmup=2_000, seconds=5).rate
        result.capacity = capacity
        watch = Watch({"server": pid})
        agent = Agent(reactor)
        uri = f"coap://127.0.0.1:{port}/hello"
        words = command(port, seconds, factor * capacity, sources, malformed)
        with subprocess.Popen(words, stdout=subprocess.PIPE) as flooding:
            open_: set[Deferred[None]] = set()
            end = reactor.seconds() + seconds
            while reactor.seconds() < end:
                asking = Deferred.fromCoroutine(_ask(agent, uri, result))
                open_.add(asking)
                asking.addCallback(lambda _, asked: open_.discard(asked), asking)
                await deferLater(reactor, INTERVAL, lambda: None)
            text, _ = flooding.communicate()
            result.flood = json.loads(text)
        # By another client: the first may still wait to repeat what was lost, one request at a time.
        other = Agent(reactor)
        result.recovered = await _recover(reactor, other, uri)
        await other.close()
        for asking in list(open_):
            await asking
        result.memory = Memory(**watch.look()["server"])
        await agent.close()
    return result


async def _ask(agent: Agent, uri: str, result: Result) -> None:
    result.asked += 1
    try:
        response = await agent.get(uri)
    except CoAPError as e:
        result.errors[type(e).__name__] += 1
    else:
        if response.code.isSuccess:
            result.answered += 1
        else:
            result.errors[response.code.dotted] += 1


async def _recover(reactor: Any, agent: Agent, uri: str) -> float:
    """Seconds until a request is answered soon."""
    began: float = reactor.seconds()
    while reactor.seconds() - began < 60.0:
        try:
            await agent.get(uri, timeout=SOON)
        except CoAPError:
            continue
        break
    return float(reactor.seconds() - began)


async def main(reactor: Any, *words: str) -> None:
    """
    Run from the command line; exits with 1 if something is not as it must be.
    """
    p = argparse.ArgumentParser(prog="benchmarks.flood", description="Flood a server.")
    p.add_argument("--seconds", type=bounded(1.0, 3600), default=60.0, help="how long (default 60)")
    p.add_argument(
        "--factor", type=bounded(0.0), default=1.5, help="times the capacity; 0 for no limit (1.5)"
    )
    p.add_argument("--sources", type=bounded(1), default=1000, help="from how many addresses (default 1000)")
    p.add_argument("--malformed", type=bounded(0, 1000), default=100, help="of a thousand, how many (100)")
    p.add_argument("--json", type=output, help="where what came of it goes (default nowhere)")
    given = p.parse_args(words)
    try:
        result = await flood(reactor, given.seconds, given.factor, given.sources, given.malformed)
    except loadgen.NoCompiler as e:
        raise SystemExit(str(e)) from None
    if given.json:
        given.json.write_text(json.dumps(asdict(result)))
    memory = {name: f"{size / MIB:.0f} MiB" for name, size in asdict(result.memory).items()}
    print(f"capacity    {result.capacity:,.0f} requests/s")
    print(f"flood       {json.dumps(result.flood)}")
    print(f"answered    {result.answered:,} of {result.asked:,}, failed {dict(result.errors)}")
    print(f"memory      {memory}")
    print(f"recovered   after {result.recovered:.2f} s")
    faults = result.faults(given.factor > 0)
    if faults:
        print(f"wrong: {', '.join(faults)}")
        raise SystemExit(1)


if __name__ == "__main__":
    react(main, sys.argv[1:])
