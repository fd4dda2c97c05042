"""
txcoap at the ends of a long body, in streaming mode: what it costs in memory does not depend on the length.

The body of N bytes is made where it is needed: each 1,024 bytes of it are their number, over and over, so
that no two blocks are alike. The server has

  - C{/made?bytes=N}: GET gives that body, by position (L{RangedResponse});
  - C{/taken}: PUT takes a body of any length as it comes and answers with its SHA-256.

Usage: C{python -m benchmarks.ends serve PORT}, or C{get URI}, or C{put URI BYTES}, the last two with
C{--watch PID}: these ask, and print SHA-256, seconds and the memory of the processes as a line of JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import react
from twisted.python.failure import Failure
from twisted.web.client import FileBodyProducer, ResponseDone
from zope.interface import implementer

from benchmarks.resident import Watch
from txcoap import Agent, Code, Request, Resource, Response, Site, endpoints
from txcoap.blockwise import RangedResponse
from txcoap.interfaces import IRange
from txcoap.parameters import Parameters

#: A body of 64 MiB takes all message IDs that there are for one peer; they must come back before the next
#: one begins. Loopback loses nothing and is fast: an exchange is over after five seconds.
PARAMETERS = Parameters(ACK_TIMEOUT=1, MAX_RETRANSMIT=2, MAX_LATENCY=0.1)

#: How much goes each way before memory is looked at: what is made once does not count.
WARMUP = 256 * 1024

_UNIT = 1024


def made(start: int, end: int) -> bytes:
    """
    The body from one byte up to another.
    """
    first = start // _UNIT
    units = range(first, -(-end // _UNIT))
    return b"".join(n.to_bytes(4, "big") * (_UNIT // 4) for n in units)[
        start - first * _UNIT : end - first * _UNIT
    ]


def madeDigest(length: int) -> str:
    """
    The SHA-256 of a body of so many bytes.
    """
    digest = hashlib.sha256()
    for start in range(0, length, 2**16):
        digest.update(made(start, min(length, start + 2**16)))
    return digest.hexdigest()


@implementer(IRange)
class Made:
    """
    A body to be read at any place, also as a file is.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self._at = 0

    def tell(self) -> int:
        """
        Where the file is read next.
        """
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """
        Read next from somewhere else.
        """
        self._at = offset + (self.length if whence == os.SEEK_END else 0)
        return self._at

    def read(self, *where: int) -> bytes:
        """
        As an C{IRange}, so many bytes from a place on; as a file, so many from where it is.
        """
        start = where[0] if len(where) == 2 else self._at
        self._at = min(self.length, start + where[-1])
        return made(start, self._at)

    def close(self) -> None:
        """
        There is nothing to close.
        """


class Hashing(Protocol):
    """
    Takes a body and keeps but its digest.

    @ivar done: Fires with the digest in hexadecimal when the body is whole.
    """

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.done: Deferred[str] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        More of it.
        """
        self.digest.update(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        That was all; or it was not.
        """
        if reason.check(ResponseDone, ConnectionDone):
            self.done.callback(self.digest.hexdigest())
        else:
            self.done.errback(reason)


class Giving(Resource):
    """
    Gives the body of as many bytes as the query says.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> Response:
        """
        A block is made when it is asked for.
        """
        length = int(request.args["bytes"][0])
        return RangedResponse(Code.CONTENT, Made(length), etag=b"made")


class Taking(Resource):
    """
    Takes a body of any length.
    """

    isLeaf = True

    def openBody(self, request: Request) -> Protocol:
        """
        Where the body goes.
        """
        taking = Hashing()
        # That it ended is said by its request.
        taking.done.addErrback(lambda _: None)
        return taking

    def render_PUT(self, request: Request) -> str:
        """
        The digest of what came.
        """
        digest: str = request.consumer.digest.hexdigest()
        return digest


async def serve(reactor: Any, given: argparse.Namespace) -> None:
    """
    Listen until the process is ended.
    """
    root = Resource()
    root.putChild("made", Giving())
    root.putChild("taken", Taking())
    endpoint = endpoints.serverFromString(reactor, f"udp:{given.port}:interface=127.0.0.1")
    await endpoint.listen(Site(root, parameters=PARAMETERS))
    await Deferred()


async def get(agent: Agent, given: argparse.Namespace) -> str:
    """
    Fetch a body and give its digest.
    """
    response = await agent.get(given.uri, stream=True)
    response.raiseForCode()
    taking = Hashing()
    response.deliverBody(taking)
    return await taking.done


async def put(agent: Agent, given: argparse.Namespace) -> str:
    """
    Send the body that is made and give its digest: the one that the server found, if it says.
    """
    response = await agent.put(given.uri, FileBodyProducer(Made(given.bytes)))
    response.raiseForCode()
    return response.text() or madeDigest(given.bytes)


async def ask(reactor: Any, given: argparse.Namespace) -> None:
    """
    Ask once to warm up, then ask and measure.
    """
    agent = Agent(reactor, parameters=PARAMETERS)
    act = {"get": get, "put": put}[given.act]
    small = argparse.Namespace(**vars(given))
    small.bytes = WARMUP
    small.uri = given.uri.replace(f"bytes={given.bytes}", f"bytes={WARMUP}")
    await act(agent, small)
    watch = Watch({"client": os.getpid(), **({"server": given.watch} if given.watch else {})})
    begin = time.perf_counter()
    digest = await act(agent, given)
    seconds = time.perf_counter() - begin
    print(json.dumps({"digest": digest, "seconds": seconds, "memory": watch.look()}))
    await agent.close()


def parser() -> argparse.ArgumentParser:
    """
    The command line.
    """
    p = argparse.ArgumentParser(prog="benchmarks.ends", description="txcoap with long bodies")
    acts = p.add_subparsers(dest="act", required=True)
    acts.add_parser("serve").add_argument("port", type=int)
    for act in ("get", "put"):
        asking = acts.add_parser(act)
        asking.add_argument("uri")
        asking.add_argument("bytes", type=int)
        asking.add_argument("--watch", type=int, help="ID of a process to measure as well")
    return p


def main(words: list[str]) -> None:
    """
    Be one end.
    """
    given = parser().parse_args(words)
    react(serve if given.act == "serve" else ask, [given])


if __name__ == "__main__":
    main(sys.argv[1:])
