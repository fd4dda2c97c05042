"""
A day of a server and 10,000 clients at 10 % loss, simulated: each request ends once, nothing is done
twice, and in the end every table is empty::

    python -m benchmarks.day
    python -m benchmarks.day --clients 1000 --hours 1 --loss 0.3 --pause 60
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from random import Random

from txcoap import Agent, CoAPProtocol, Site

from .arguments import asProgram, bounded
from .mixed import Mixed, Tree
from .simulation import Simulation

__all__ = ["Day", "live"]

HOUR = 3600.0
SERVER = "192.0.2.1"


@dataclass(frozen=True)
class Day:
    """
    What came of it.

    @ivar load: The clients, with their counts.
    @ivar datagrams: How many were sent.
    @ivar lost: How many of these were lost.
    @ivar peak: The most that was in each of the server's tables, as seen once in a simulated minute.
    @ivar left: What was left in tables at the end, of all sockets together.
    @ivar twice: How many requests were done twice.
    """

    load: Mixed
    datagrams: int
    lost: int
    peak: dict[str, int]
    left: int
    twice: int

    @property
    def wrong(self) -> str:
        """What is not as it must be; empty if all is."""
        faults = {
            "requests never ended": self.load.open,
            "requests were done twice": self.twice,
            "entries were left in tables": self.left,
        }
        return ", ".join(f"{number} {what}" for what, number in faults.items() if number)


def live(clients: int, seconds: float, loss: float, pause: float, seed: int = 1) -> Day:
    """
    Let it pass.

    @param pause: Seconds between two requests of a client, on average.
    """
    chance = Random(seed)
    simulation = Simulation(chance, loss)
    tree = Tree(simulation, 600.0)
    server = CoAPProtocol(Site(tree.root), simulation, chance=Random(seed + 1))
    simulation.open(server, SERVER, 5683)
    protocols, agents = [server], []
    for number in range(clients):
        protocol = CoAPProtocol(None, simulation, chance=Random(chance.random()))
        simulation.open(protocol, f"198.51.{100 + (number >> 8)}.{number & 255}", 40_000)
        protocols.append(protocol)
        agents.append(Agent(simulation, protocol=protocol))
    load = Mixed(simulation, chance, agents, f"coap://{SERVER}", pause, clients // 10)
    peak: dict[str, int] = {}
    now = 0.0
    while now < seconds:
        now = min(now + 60.0, seconds)
        simulation.run(now)
        for name, size in server.sizes().items():
            peak[name] = max(size, peak.get(name, 0))
    load.stop()
    tree.stop()
    simulation.run()
    left = sum(sum(protocol.sizes().values()) for protocol in protocols)
    return Day(load, simulation.sent, simulation.lost, peak, left, tree.once.twice)


def main(words: list[str]) -> int:
    """
    Run from the command line.

    @return: The exit code: 0 if all is as it must be.
    """
    p = argparse.ArgumentParser(prog="benchmarks.day", description="A simulated day.")
    p.add_argument("--clients", type=bounded(1), default=10_000, help="how many (default 10,000)")
    p.add_argument("--hours", type=bounded(0.01), default=24.0, help="how long (default 24)")
    p.add_argument("--loss", type=bounded(0.0, 1), default=0.1, help="share of datagrams lost (default 0.1)")
    p.add_argument("--pause", type=bounded(0.1), default=1800.0, help="seconds between a client's requests")
    p.add_argument("--seed", type=int, default=1, help="what chance begins with (default 1)")
    given = p.parse_args(words)
    began = time.perf_counter()
    day = live(given.clients, given.hours * HOUR, given.loss, given.pause, given.seed)
    load = day.load
    print(
        f"{given.clients:,} clients, {given.hours:g} h, in {time.perf_counter() - began:.0f} s of real time"
    )
    print(f"{day.datagrams:12,} datagrams, {day.lost:,} of them lost")
    for what, count in sorted(load.begun.items()):
        print(f"{count:12,} {what}, {load.ended[what]:,} with success")
    for what, count in sorted(load.failed.items()):
        print(f"{count:12,} failed: {what}")
    print(f"{load.states:12,} states told to observers")
    print("at most:", ", ".join(f"{size:,} {name}" for name, size in day.peak.items() if size))
    print(f"wrong: {day.wrong}" if day.wrong else "each ended once, and every table is empty")
    return 1 if day.wrong else 0


if __name__ == "__main__":
    asProgram(main)
