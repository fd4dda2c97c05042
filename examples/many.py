"""
Asks for many things, so many at once and no more; URIs come from the standard input, however many::

    python -m examples.many 20 < uris.txt

A server is asked for one thing at a time unless NSTART says more (RFC 7252 4.7); other servers do not wait
for it.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from txcoap import Agent, Parameters
from txcoap.errors import CoAPError

TO_ONE = 4
SECONDS = 30


async def work(agent: Any, uris: Iterator[str]) -> int:
    """Ask for one after the other until there are no more; how many had an answer."""
    answered = 0
    for uri in uris:
        try:
            response = await agent.get(uri, timeout=SECONDS)
        except CoAPError as e:
            print(f"{uri}: {e}")
        else:
            answered += 1
            print(f"{uri}: {response.code} {response.payload.decode(errors='replace')}")
    return answered


async def askAll(agent: Any, uris: Iterable[str], atOnce: int) -> int:
    """All workers take from the same iterator, so each URI is asked for once."""
    queue = iter(uris)
    workers = [Deferred.fromCoroutine(work(agent, queue)) for _ in range(atOnce)]
    return sum(await gatherResults(workers, consumeErrors=True))


async def main(reactor: Any, atOnce: str = "20") -> None:
    uris = [line.strip() for line in sys.stdin if line.strip()]
    async with Agent(reactor, parameters=Parameters(NSTART=TO_ONE)) as agent:
        began = reactor.seconds()
        answered = await askAll(agent, uris, int(atOnce))
        print(f"{answered} of {len(uris)} answered, {reactor.seconds() - began:.1f} s")


if __name__ == "__main__":
    react(main, sys.argv[1:])
