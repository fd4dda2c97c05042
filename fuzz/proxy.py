"""
A proxy under spoiled datagrams: one socket at which clients ask, and by which it asks the servers; a forward
proxy that keeps what it is answered, a reverse proxy that does, and one that does not. What clients and
servers say is right for the most part, and spoiled now and then; L{fuzz.soundness} says what must hold::

    python -m fuzz.proxy --count 1000000 --seed 1
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from functools import partial
from random import Random
from typing import Any

from txcoap.block import Block
from txcoap.caching import CachingAgent
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.networkreactor import NetworkReactor
from txcoap.options import NO_OPTIONS, Options
from txcoap.protocol import CoAPProtocol
from txcoap.proxy import ForwardProxy
from txcoap.resource import Resource
from txcoap.reverse import ReverseProxy
from txcoap.sansio.datagrams import ACK, CON, NON, empty, encode
from txcoap.server import Site

from . import running
from .origins import PEERS as ORIGINS
from .origins import Origins
from .soundness import PARAMETERS, Subject

__all__ = ["Fuzzer", "Proxy"]

CLIENTS = [(f"192.0.2.{50 + number // 2}", 40000 + number) for number in range(12)]

# How many clients do something that takes more than a message, at a time.
BUSY = 6
CACHED = 20_000


class Proxy(Subject):
    """
    A proxy.

    @ivar proxies: The three that it is.
    @ivar caching: What keeps responses for two of them.
    """

    # A response of class 3 is passed on as it came.
    BEGINS = frozenset({0, 2, 3, 4, 5})

    def newProtocol(self) -> CoAPProtocol:
        """With all three on it, which ask by it."""
        network: Any = NetworkReactor(self.clock, {"origin.example": "192.0.2.9"})
        root = Resource()
        site = Site(root, blockSize=256)
        chance = Random(self.chance.random())
        protocol = CoAPProtocol(site, network, parameters=PARAMETERS, limits=self.limits, chance=chance)
        agent = Agent(network, protocol=protocol, blockSize=256, maximumBody=20_000)
        self.caching = caching = CachingAgent(agent, maximumBytes=CACHED)
        bounds: dict[str, Any] = {"maximumRequests": 8, "maximumObservations": 5}
        self.proxies = (
            ForwardProxy(caching, lambda request, target: True, **bounds),
            ReverseProxy("coap://192.0.2.9/base", agent, **bounds),
            ReverseProxy("coap://192.0.2.9:5684", caching, **bounds),
        )
        site.proxy = self.proxies[0]
        root.putChild("plain", self.proxies[1])
        root.putChild("kept", self.proxies[2])
        return protocol

    def _look(self, silent: Hashable | None) -> None:
        # What answers us may have asked us as well, and wait for just that.
        super()._look(None)

    def _checkSizes(self) -> None:
        super()._checkSizes()
        for proxy in self.proxies:
            self.require(
                0 <= proxy.underWay <= proxy.maximumRequests, "requests under way within their limit"
            )
            self.require(
                0 <= proxy.observations <= proxy.maximumObservations, "observations within their limit"
            )

    def finish(self) -> None:
        """
        Clients who observe are silent, and noticed by what they are told when their server is; those who
        observe what is fresh for years are sent away.
        """
        self.elapse(10 * PARAMETERS.EXCHANGE_LIFETIME)
        self.protocol.dismissObservers(Code.SERVICE_UNAVAILABLE, NO_OPTIONS, b"")
        self.elapse(PARAMETERS.MAX_TRANSMIT_WAIT)

    def end(self) -> None:
        """Nothing waits for a server any more."""
        super().end()
        for proxy in self.proxies:
            self.require(not proxy.underWay and not proxy.observations, "nothing left in a proxy")


def _target(chance: Random) -> dict[str, Any]:
    """Options that say whom to ask for what."""
    _, port = chance.choice(ORIGINS)
    path = chance.choice((("a",), ("a", "b"), ("large",), ()))
    host = chance.choice(("192.0.2.9", "192.0.2.9", "origin.example", "nobody.example"))
    what = chance.random()
    if what < 0.35:
        return {"proxyUri": f"coap://{host}:{port}/{'/'.join(path)}"}
    if what < 0.6:
        return {"proxyScheme": "coap", "uriHost": host, "uriPort": port, "uriPath": path}
    if what < 0.65:
        odd = ("coap://", "coap:x", "http://192.0.2.9/", "coap://192.0.2.1/plain", "coap+unix://%2fx", "//x")
        return {"proxyUri": chance.choice(odd)}
    return {"uriPath": (chance.choice(("plain", "kept")), *path)}


def _asking(chance: Random) -> Iterator[bytes]:
    """A single request, and its copies."""
    options = Options(
        **_target(chance),
        accept=chance.choice((None, None, 0, 60)),
        etag=chance.choice(((), (), (b"same",))),
        hopLimit=chance.choice((None, None, 1, 2, 255)),
        noResponse=chance.choice((None, None, None, 2, 26)),
        maxAge=chance.choice((None, None, 0)),
    )
    code = chance.choice((Code.GET, Code.GET, Code.GET, Code.FETCH, Code.PUT, Code.POST, Code.DELETE))
    payload = b"" if code in (Code.GET, Code.DELETE) else chance.randbytes(chance.choice((0, 10, 700)))
    type, token = chance.choice((CON, CON, NON)), chance.randbytes(3)
    data = encode(type, code, chance.getrandbits(16), token, options, payload)
    for _ in range(chance.choice((1, 1, 1, 2))):
        yield data


def _uploading(chance: Random) -> Iterator[bytes]:
    """A body sent through it in blocks."""
    target, token = _target(chance), chance.randbytes(2)
    exponent, count = chance.choice((2, 4, 6)), chance.randint(1, 5)
    messageID = chance.getrandbits(16)
    for number in range(count):
        more = number < count - 1
        messageID = (messageID + 1) & 0xFFFF
        options = Options(**target, block1=Block(number, more, exponent))
        payload = chance.randbytes((16 << exponent) if more else 10)
        yield encode(CON, Code.PUT, messageID, token, options, payload)


def _fetching(chance: Random) -> Iterator[bytes]:
    """A body fetched through it in blocks."""
    target, token, messageID = _target(chance), chance.randbytes(2), chance.getrandbits(16)
    exponent = chance.choice((0, 2, 4))
    for number in range(chance.randint(1, 6)):
        messageID = (messageID + 1) & 0xFFFF
        options = Options(**target, block2=Block(number, False, exponent))
        yield encode(chance.choice((CON, NON)), Code.GET, messageID, token, options)


def _observing(chance: Random) -> Iterator[bytes]:
    """Somebody observes through it, and often leaves."""
    target, token, messageID = _target(chance), chance.randbytes(2), chance.getrandbits(16)
    type = chance.choice((CON, CON, NON))
    for observe in chance.choice(((0,), (0, 0), (0, 1), (0, 1, 1), (0, 5, 0))):
        messageID = (messageID + 1) & 0xFFFF
        yield encode(type, Code.GET, messageID, token, Options(**target, observe=observe))


_CONVERSATIONS = (_asking, _asking, _uploading, _fetching, _observing, _observing)


class Fuzzer(running.Fuzzer):
    """A L{Proxy}, and what happens to it."""

    makes = Proxy
    toGroup = 0.02

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._origins = Origins(self.chance)
        self._busy = [self._begun() for _ in range(BUSY)]

    def _begun(self) -> tuple[tuple[str, int], Iterator[bytes]]:
        chance = self.chance
        return chance.choice(CLIENTS), chance.choice(_CONVERSATIONS)(chance)

    def next(self) -> tuple[bytes, Any]:
        """A datagram, and whom it comes from."""
        chance, recent = self.chance, self.subject.recent
        what = chance.random()
        times = chance.choice((0, 0, 0, 0, 0, 0, 1, 2))
        if what < 0.35:
            at = chance.randrange(BUSY)
            data = next(self._busy[at][1], None)
            if data is None:
                self._busy[at] = self._begun()
                data = next(self._busy[at][1])
            peer: Any = self._busy[at][0]
        elif what < 0.85 and recent:
            # What was sent last is the likeliest to be answered.
            sent, peer = recent[-min(len(recent), 1 + int(chance.expovariate(0.3)))]
            data = self._answer(sent, peer)
        elif what < 0.93 and self._origins.observed:
            data, peer = self._origins.notification()
        else:
            peer, data = chance.choice((*CLIENTS, *ORIGINS)), chance.choice(self._spoiler.corpus)
            times = chance.randrange(3)
        return self._spoiler.spoil(data, times), peer

    def _answer(self, sent: Any, peer: Any) -> bytes:
        """What a server says to a request, or a client to a response."""
        if sent.code.isRequest:
            return self._origins.reply(sent, peer)
        return empty(ACK, sent.messageID) if self.chance.random() < 0.7 else self._spoiler.reply(sent)


main = partial(running.main, "Give spoiled datagrams to a proxy.", Fuzzer)
"""Run from the command line; see L{running.main}."""


if __name__ == "__main__":
    sys.exit(main())
