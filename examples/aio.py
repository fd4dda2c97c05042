"""
Twisted and asyncio in one program: a server made of asyncio's streams tells each who connects, line by line,
what a sensor says by CoAP::

    python -m examples.aio coap://localhost/temperature
    nc localhost 7001

C{asFuture} makes of a Deferred what asyncio can await; C{Deferred.fromFuture} is the way back.
"""

import asyncio
import sys
from typing import Any

from twisted.internet import asyncioreactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from txcoap import Agent
from txcoap.errors import RequestError


class Teller:
    """Serves those who connect, each by an observation of its own."""

    def __init__(self, agent: Agent, uri: str) -> None:
        self.agent = agent
        self.uri = uri

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Who reads slowly gets the newest states; who has left is noticed at the next one."""
        loop = asyncio.get_running_loop()
        try:
            states = await self.agent.observe(self.uri).asFuture(loop)
            try:
                while True:
                    state = await Deferred.fromCoroutine(anext(states)).asFuture(loop)
                    writer.write(state.payload + b"\n")
                    await writer.drain()
            finally:
                await states.cancel().asFuture(loop)
        except (ConnectionError, RequestError, StopAsyncIteration) as e:
            print("it has ended:", e, flush=True)
        writer.close()


async def run(reactor: Any, uri: str, port: str = "7001") -> None:
    """The part of the program that is asyncio's."""
    teller = Teller(Agent(reactor), uri)
    async with await asyncio.start_server(teller.serve, "127.0.0.1", int(port)) as server:
        print("listening at", *server.sockets[0].getsockname(), flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncioreactor.install(loop)
    react(lambda reactor: Deferred.fromFuture(loop.create_task(run(reactor, *sys.argv[1:]))))
