"""
What fuzzers have in common. They run in rounds: each begins with a new subject, and ends with a silence in
which it forgets all.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from random import Random
from typing import Any

from .soundness import GROUP, Subject, Unsound
from .spoiling import Spoiler, corpus, written

__all__ = ["Fuzzer", "main", "run"]

ROUND = 20_000


class Fuzzer:
    """
    A subject, and what happens to it.

    @param seed: What chance begins with: the same seed gives the same run.
    @cvar makes: Makes the subject, from a seed.
    @cvar stirred: In which share of steps what uses the subject does something.
    @cvar returned: In which share the network returns a datagram.
    @cvar toGroup: Which share of datagrams is sent to a group.
    @ivar subject: What is tried.
    """

    makes: type[Subject]
    stirred = 0.0
    returned = 0.01
    toGroup = 0.0

    def __init__(self, seed: int) -> None:
        self.chance = chance = Random(seed)
        self.subject: Any = self.makes(seed + 1)
        self._spoiler = Spoiler(chance, corpus(chance))

    def step(self) -> None:
        """One datagram, or what else may happen."""
        chance, subject = self.chance, self.subject
        what = chance.random()
        if what < self.stirred:
            subject.stir()
        if what > 1 - self.returned and subject.recent:
            sent, peer = chance.choice(subject.recent)
            subject.returned(written(sent), peer)
        else:
            data, peer = self.next()
            isToGroup = self.toGroup and chance.random() < self.toGroup
            subject.receive(data, peer, GROUP if isToGroup else None)
        subject.elapse(chance.random() * chance.choice((0.0, 0.01, 0.1, 0.1, 1.0)))
        if what > 0.999:
            subject.elapse(chance.choice((10.0, 100.0, 300.0)))

    def next(self) -> tuple[bytes, Any]:
        """A datagram, and whom it comes from."""
        raise NotImplementedError


def run(make: Callable[[int], Fuzzer], seed: int, count: int) -> Subject:
    """
    One round.

    @param make: Makes a fuzzer from a seed.
    @return: What was tried, for its counts.
    @raise Unsound: if an invariant did not hold; it says when.
    """
    fuzzer = make(seed)
    subject: Subject = fuzzer.subject
    number = 0
    try:
        try:
            while number < count:
                fuzzer.step()
                number += 1
            subject.end()
            # A Deferred whose failure nobody took says so when it goes.
            gc.collect()
            subject.elapse(0)
        except Exception as e:
            raise Unsound(f"seed {seed}, step {number}: {e!r}") from e
    finally:
        subject.close()
    return subject


def main(
    description: str, make: Callable[[int], Fuzzer], arguments: Sequence[str] | None = None, size: int = ROUND
) -> int:
    """
    Run from the command line.

    @return: The exit code: 0 if all that must hold held.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=1_000_000, help="how many steps (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with (default 1)")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    counts: Counter[str] = Counter()
    done, seed = 0, options.seed
    while done < options.count:
        try:
            subject = run(make, seed, min(size, options.count - done))
        except Unsound as e:
            print(f"unsound: {e}", file=sys.stderr)
            return 1
        counts += subject.counts
        counted = subject.protocol.counters
        values = {field.name: getattr(counted, field.name) for field in fields(counted)}
        counts += Counter({name: value for name, value in values.items() if isinstance(value, int)})
        done += size
        seed += 1
    for name, count in sorted(counts.items()):
        print(f"{count:12,} {name}")
    print(f"{options.count:,} steps in {time.perf_counter() - began:.1f} s: sound")
    return 0
