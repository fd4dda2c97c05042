"""
Ask a sensor again and again, and bother it only when what is known of it is no longer fresh::

    python -m examples.cached coap://localhost/temperature

Any server will do, such as ``twistd -n coap --resources examples.sensor``.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.task import deferLater, react

from txcoap import Agent
from txcoap.caching import CachingAgent

TIMES = 5


async def main(reactor: Any, uri: str) -> None:
    """Ask once a second, and print where each answer came from."""
    async with CachingAgent(Agent(reactor)) as agent:
        for _ in range(TIMES):
            response = await agent.get(uri)
            source = f"stored {response.age:.0f} s ago" if response.isFromCache else "asked"
            print(f"{response.text()!r}: {source}, fresh for {response.maxAge} s")
            await deferLater(reactor, 1.0)
        print(f"{agent.counters.hits} of {TIMES} from the cache")


if __name__ == "__main__":
    react(main, sys.argv[1:])
