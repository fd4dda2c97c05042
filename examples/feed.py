"""
Feeds a file, or anything else that is an C{IConsumer}, from an observation, a line for each state::

    python -m examples.feed coap://localhost/temperature readings.txt
"""

import sys
from typing import Any, TextIO

from twisted.internet.interfaces import IConsumer
from twisted.internet.task import react
from zope.interface import implementer

from txcoap import Agent
from txcoap.errors import RequestError


@implementer(IConsumer)
class Lines:
    """Writes what it gets to a file; a slower consumer would call C{producer.pauseProducing} meanwhile."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        print(data.decode(errors="replace").strip(), file=self.file, flush=True)


async def main(reactor: Any, uri: str, path: str) -> None:
    agent = Agent(reactor)
    try:
        observation = await agent.observe(uri)
        with open(path, "a", encoding="utf-8") as file:
            observation.deliverTo(Lines(file))
            print("it has ended:", await observation.notifyEnd())
    except RequestError as e:
        print("no answer:", e)
    finally:
        await agent.close()


if __name__ == "__main__":
    react(main, sys.argv[1:])
