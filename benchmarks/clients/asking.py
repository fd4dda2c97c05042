"""
What the clients that are measured have in common: each is a process that asks as it is told.

It reads lines C{COUNT WINDOW} and for each asks so many times, so many at once, and prints a line of JSON:
microseconds of its own CPU time for each request, requests per second, and how many answers were wrong.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

#: What every answer must be.
HELLO = b"Hello, world!"

#: Asks once, and gives the payload.
Ask = Callable[[], Awaitable[bytes]]

#: Lets coroutines run at once, to their ends.
Gather = Callable[[list[Coroutine[Any, Any, None]]], Awaitable[object]]


async def drive(ask: Ask, gather: Gather, count: int, window: int) -> str:
    """
    Ask so many times, so many at once.

    @return: What it took, as JSON.
    """
    errors = 0

    async def chain(left: Iterator[int]) -> None:
        nonlocal errors
        for _ in left:
            if await ask() != HELLO:
                errors += 1

    left = iter(range(count))
    cpu, begin = time.process_time(), time.perf_counter()
    await gather([chain(left) for _ in range(window)])
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - begin
    return json.dumps({"micros": cpu / count * 1e6, "rate": count / seconds, "errors": errors})


async def obey(ask: Ask, gather: Gather) -> None:
    """
    Do as the lines of the standard input say, until these end.
    """
    # Nothing is under way while the next line is waited for.
    for line in sys.stdin:
        count, window = map(int, line.split())
        print(await drive(ask, gather, count, window), flush=True)
