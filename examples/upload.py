"""
A body of any length, in the memory of a few blocks at either end: the server makes a checksum as the body
comes, the client reads its file as it goes::

    twistd -n coap --resources examples.upload
    python -m examples.upload coap://localhost/ image.bin
"""

import sys
from hashlib import sha256
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.task import react
from twisted.web.client import FileBodyProducer

from txcoap import Agent, Request, Resource
from txcoap.errors import CoAPError


class Hashing(Protocol):
    def __init__(self) -> None:
        self.hash = sha256()

    def dataReceived(self, data: bytes) -> None:
        self.hash.update(data)


class Checksum(Resource):
    """POST a body, and get its SHA-256."""

    def openBody(self, request: Request) -> Hashing:
        return Hashing()

    def render_POST(self, request: Any) -> str:
        return str(request.consumer.hash.hexdigest())


root = Checksum()


async def main(reactor: Any, uri: str, path: str) -> None:
    async with Agent(reactor) as agent:
        with open(path, "rb") as file:
            try:
                response = await agent.post(uri, FileBodyProducer(file), progress=show)
                response.raiseForCode()
                print(f"\n{response.text()}  {path}")
            except CoAPError as e:
                print("\nnot sent:", e)


def show(way: str, done: int, total: int | None) -> None:
    print(f"\r{way} {done} of {total} bytes", end="")


if __name__ == "__main__":
    react(main, sys.argv[1:])
