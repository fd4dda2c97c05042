"""
A server whose tables are full before it is asked, to see whether a request costs more then.

What fills a table comes as datagrams, one after the other, from as many addresses of 127.0.0.0/8 as are
needed; what would be answered to these is dropped. The limits are out of the way: what is measured is the
table, not its bound.

Besides what C{benchmarks/server.py} has, it has C{/sizes}, how much is in each table, as JSON; C{/collect},
which collects garbage and says in how many milliseconds; and C{/never}, which does not answer.

Usage: C{python -m benchmarks.filled PORT TABLE COUNT}
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from benchmarks.server import tree
from txcoap import NOT_DONE_YET, CoAPProtocol, Limits, Request, Resource, Site, endpoints
from txcoap.block import Block
from txcoap.codes import Code
from txcoap.options import Options
from txcoap.sansio.datagrams import CON, NON, Type, encode

__all__ = ["FILLS", "LIMITS", "fill"]

LIMITS = Limits(
    rememberedBytes=2**32,
    peers=10**6,
    pendingRequests=10**6,
    uploads=10**6,
    uploadBytes=2**32,
    downloads=10**6,
    downloadBytes=2**40,
    observers=10**6,
)

#: Seconds after which all that is acknowledged apart from its answer has been acknowledged.
SETTLING = 3.0

_NOBODY = 9


def _request(type: Type, method: Code, n: int, options: Options, payload: bytes = b"") -> bytes:
    return encode(type, method, n & 0xFFFF, n.to_bytes(4, "big"), options, payload)


_HELLO = Options(uriPath=("hello",))
_OBSERVE = Options(uriPath=("obs",), observe=0)
_UPLOAD = Options(uriPath=("echo",), block1=Block(0, True, 0))
_DOWNLOAD = Options(uriPath=("large",))
_NEVER = Options(uriPath=("never",))

#: For each table of L{CoAPProtocol.sizes} the n-th datagram that adds to it.
FILLS: dict[str, Callable[[int], bytes]] = {
    # Each tenth observes.
    "remembered": lambda n: _request(CON, Code.GET, n, _HELLO if n % 10 else _OBSERVE),
    "peers": lambda n: _request(NON, Code.GET, n, _HELLO),
    "observers": lambda n: _request(CON, Code.GET, n, _OBSERVE),
    "pendingRequests": lambda n: _request(CON, Code.GET, n, _NEVER),
    "uploads": lambda n: _request(CON, Code.POST, n, _UPLOAD, bytes(16)),
    "downloads": lambda n: _request(CON, Code.GET, n, _DOWNLOAD),
}


class Never(Resource):
    """
    Does not answer.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> object:
        """
        Later.
        """
        return NOT_DONE_YET


class Told(Resource):
    """
    Answers GET with what a function gives, as JSON.
    """

    isLeaf = True

    def __init__(self, tell: Callable[[], object]) -> None:
        super().__init__()
        self._tell = tell

    def render_GET(self, request: Request) -> str:
        """
        As it is now.
        """
        return json.dumps(self._tell())


def collect() -> float:
    """
    Collect all garbage there is.

    @return: In how many milliseconds.
    """
    begin = time.perf_counter()
    gc.collect()
    return (time.perf_counter() - begin) * 1e3


def fill(protocol: CoAPProtocol, table: str, count: int) -> None:
    """
    Let a server receive what fills a table of its; nothing that it answers is sent.
    """
    make = FILLS[table]
    for n in range(count):
        peer = (f"127.{1 + (n >> 16)}.{n >> 8 & 255}.{n & 255}", _NOBODY)
        protocol.datagramReceived(make(n), peer)
        # Ends the turn, so that what waits to be sent does not grow.
        protocol.turnEnded()


async def main(reactor: Any, port: str, table: str, count: str) -> None:
    """
    Fill, then listen until the process is ended.
    """
    root = tree()
    root.putChild("never", Never())
    root.putChild("collect", Told(collect))
    endpoint = endpoints.serverFromString(reactor, f"udp:{port}:interface=127.0.0.1")
    listening: Any = await endpoint.listen(Site(root, limits=LIMITS))
    protocol: CoAPProtocol = listening.protocol
    root.putChild("sizes", Told(protocol.sizes))
    sending = protocol._send
    protocol._send = lambda data, peer, local: None
    fill(protocol, table, int(count))
    if table == "pendingRequests":
        await deferLater(reactor, SETTLING, lambda: None)
    protocol._send = sending
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
