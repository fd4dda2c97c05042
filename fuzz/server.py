"""
A whole server under spoiled datagrams: L{CoAPProtocol<txcoap.protocol.CoAPProtocol>}, a
L{Site<txcoap.server.Site>}, and the resources of L{fuzz.served}. Uploads, downloads and observations are
begun as clients would, and what clients send is spoiled now and then; L{fuzz.soundness} says what must
hold::

    python -m fuzz.server --count 1000000 --seed 1
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from random import Random
from tempfile import TemporaryDirectory

from txcoap.block import Block
from txcoap.codes import Code
from txcoap.message import Response
from txcoap.options import Options
from txcoap.protocol import CoAPProtocol
from txcoap.request import Request
from txcoap.sansio.datagrams import ACK, CON, NON, empty, encode
from txcoap.server import Site

from . import running
from .served import PATHS, Tree
from .soundness import PARAMETERS, Subject, letPass

__all__ = ["Fuzzer", "Server", "conversations"]

PEERS = [(f"192.0.2.{number // 2}", number) for number in range(40)]

# How many clients do something that takes more than a message, at a time.
BUSY = 8


def _log(request: Request, response: Response) -> None:
    """As an access log does, which writes requests as text."""
    repr(request)
    request.reference.encode("ascii")


class Server(Subject):
    """A server."""

    BEGINS = frozenset({2, 4, 5})

    def newProtocol(self) -> CoAPProtocol:
        """With the resources behind it."""
        self._directory = TemporaryDirectory()
        self.tree = Tree(self.clock, self._directory.name)
        site = Site(self.tree.root, blockSize=256, accessLog=_log)
        return CoAPProtocol(
            site, self.clock, parameters=PARAMETERS, limits=self.limits, chance=Random(self.chance.random())
        )

    def stir(self) -> None:
        """What can be observed changes."""
        self.tree.change()
        self.protocol.turnEnded()
        self._look(None)

    def finish(self) -> None:
        """Observers who are silent are noticed by what is told them; the others are sent away."""
        for _ in range(2):
            self.tree.change()
            letPass(self.clock, PARAMETERS.MAX_TRANSMIT_WAIT + 10)
        self.tree.dismiss()
        self.elapse(PARAMETERS.MAX_TRANSMIT_WAIT)
        # Those of the plugtests, who are told every five seconds.
        self.elapse(10 * PARAMETERS.MAX_TRANSMIT_WAIT)

    def close(self) -> None:
        """Its files go too."""
        super().close()
        self._directory.cleanup()


def _split(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _upload(chance: Random) -> Iterator[bytes]:
    """A body sent in blocks."""
    path = chance.choice(
        ("plain", "large", "sink", "holding", "writable/a", "writable/b", "plugtest/large-post")
    )
    code = chance.choice((Code.PUT, Code.PUT, Code.POST, Code.FETCH))
    exponent, count = chance.choice((0, 2, 4, 6)), chance.randint(1, 6)
    token = chance.randbytes(chance.choice((0, 2, 4)))
    tag = (chance.randbytes(2),) if chance.random() < 0.3 else ()
    messageID = chance.getrandbits(16)
    for number in range(count):
        more = number < count - 1
        options = Options(
            uriPath=_split(path),
            contentFormat=0,
            block1=Block(number, more, exponent),
            requestTag=tag,
            size1=count * (16 << exponent) if chance.random() < 0.2 else None,
        )
        payload = chance.randbytes((16 << exponent) if more else chance.randint(0, 16 << exponent))
        messageID = (messageID + 1) & 0xFFFF
        yield encode(chance.choice((CON, CON, CON, NON)), code, messageID, token, options, payload)


def _download(chance: Random) -> Iterator[bytes]:
    """A body fetched in blocks."""
    paths = ("large", "made", "files/large.bin", ".well-known/core", "crowd", "plugtest/obs-large", "files")
    path, code = chance.choice(paths), chance.choice((Code.GET, Code.GET, Code.GET, Code.FETCH, Code.POST))
    exponent = chance.choice((0, 2, 4, 6))
    token = chance.randbytes(chance.choice((0, 2, 4)))
    messageID, start = chance.getrandbits(16), chance.choice((0, 0, 0, 3))
    for number in range(start, start + chance.randint(1, 10)):
        first = number == 0 and chance.random() < 0.5
        options = Options(uriPath=_split(path), block2=None if first else Block(number, False, exponent))
        messageID = (messageID + 1) & 0xFFFF
        yield encode(chance.choice((CON, CON, NON)), code, messageID, token, options)


def _observation(chance: Random) -> Iterator[bytes]:
    """An observer comes, now and then asks again, and often leaves."""
    paths = ("count", "crowd", "few", "story", "plugtest/obs", "plugtest/obs-non", "plugtest/obs-large")
    path, token, type = chance.choice(paths), chance.randbytes(2), chance.choice((CON, NON))
    messageID = chance.getrandbits(16)
    for observe in (*chance.choice(((0,), (0, 0), (0, 5))), *chance.choice(((), (1,), (1, 1)))):
        messageID = (messageID + 1) & 0xFFFF
        yield encode(type, Code.GET, messageID, token, Options(uriPath=_split(path), observe=observe))


def _question(chance: Random) -> Iterator[bytes]:
    """A single request, and its copies."""
    options = Options(
        uriPath=_split(chance.choice(PATHS)),
        uriQuery=chance.choice(((), ("a=1",), ("rt=*",))),
        accept=chance.choice((None, None, 0, 50, 60)),
        etag=chance.choice(((), (b"v1",), (chance.randbytes(8),))),
        ifMatch=chance.choice(((), (), (b"v1",), (b"",))),
        noResponse=chance.choice((None, None, None, 2, 8, 26)),
        contentFormat=chance.choice((None, 0, 60)),
    )
    code = chance.choice([code for code in Code if code.isRequest])
    payload = chance.randbytes(chance.choice((0, 0, 10, 300, 1000)))
    data = encode(
        chance.choice((CON, NON)), code, chance.getrandbits(16), chance.randbytes(3), options, payload
    )
    for _ in range(chance.choice((1, 1, 1, 2))):
        yield data


def conversations(chance: Random) -> Iterator[bytes]:
    """What a client could want, message by message."""
    return chance.choice((_upload, _download, _observation, _observation, _question, _question))(chance)


class Fuzzer(running.Fuzzer):
    """A L{Server}, and what happens to it."""

    makes: type[Server] = Server
    stirred = returned = 0.02
    toGroup = 0.05

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        chance = self.chance
        self._busy = [(chance.choice(PEERS), conversations(chance)) for _ in range(BUSY)]

    def next(self) -> tuple[bytes, tuple[str, int]]:
        """A datagram, and whom it comes from."""
        chance = self.chance
        what = chance.random()
        times = chance.choice((0, 0, 0, 1, 2, 5))
        if what < 0.5:
            at = chance.randrange(BUSY)
            peer, messages = self._busy[at]
            data = next(messages, None)
            if data is None:
                self._busy[at] = (chance.choice(PEERS), conversations(chance))
                data = next(self._busy[at][1])
                peer = self._busy[at][0]
            times = chance.choice((0, 0, 0, 0, 0, 1))
        elif what < 0.8 and self.subject.recent:
            sent, peer = chance.choice(self.subject.recent)
            data = empty(ACK, sent.messageID) if chance.random() < 0.5 else self._spoiler.reply(sent)
        else:
            peer, data = chance.choice(PEERS), chance.choice(self._spoiler.corpus)
        return self._spoiler.spoil(data, times), peer


main = partial(running.main, "Give spoiled datagrams to a server.", Fuzzer)
"""Run from the command line; see L{running.main}."""


if __name__ == "__main__":
    sys.exit(main())
