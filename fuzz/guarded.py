"""
A server that does not amplify, under spoiled datagrams: beside what L{fuzz.soundness} says, an address that
has returned no Echo is never sent more, in all, than L{FACTOR} times what came from it, but for the 4.01 that
asks for one (RFC 9175 2.4). Half of the clients return what they are given, the others never do::

    python -m fuzz.guarded --count 1000000 --seed 1
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Hashable
from functools import partial
from random import Random
from typing import Any

from txcoap.codes import Code
from txcoap.options import Options
from txcoap.protocol import CoAPProtocol
from txcoap.sansio.datagrams import CON, decode, encode
from txcoap.server import Site
from txcoap.transports.ancillary import LocalAddress

from . import running, server
from .served import PATHS
from .soundness import PARAMETERS, Unsound

__all__ = ["FACTOR", "Fuzzer", "Guarded"]

FACTOR = 3

# What is sent whatever the factor: 4.01 with Echo, and 8 bytes of a token.
_DEMAND = 26


class Guarded(server.Server):
    """
    Such a server.

    @ivar proven: The hosts that may be sent more: those who returned an Echo.
    @ivar echoes: What was given last, and to whom.
    """

    def newProtocol(self) -> CoAPProtocol:
        """As that of any server, and guarded."""
        self.proven: set[Hashable] = set()
        self.echoes: deque[tuple[bytes, Any]] = deque(maxlen=20)
        self._allowed: Counter[Hashable] = Counter()
        site: Site = super().newProtocol().site  # type: ignore[assignment]
        return CoAPProtocol(
            site,
            self.clock,
            parameters=PARAMETERS,
            limits=self.limits,
            chance=Random(self.chance.random()),
            amplification=FACTOR,
        )

    def receive(self, data: bytes, peer: Hashable, local: LocalAddress | None = None) -> None:
        """A datagram comes: for so many bytes more may go."""
        self._allowed[peer] += max(FACTOR * len(data), _DEMAND)
        super().receive(data, peer, local)

    def _look(self, silent: Hashable | None) -> None:
        peer: Any
        for data, peer in self._socket.sent:
            self._allowed[peer] -= len(data)
            echo = decode(data).options.echo
            if echo is not None:
                self.echoes.append((echo, peer))
            if self._allowed[peer] < 0 and peer[0] not in self.proven:
                raise Unsound(f"{-self._allowed[peer]} bytes too many to {peer}: {data.hex()}")
        super()._look(silent)


class Fuzzer(server.Fuzzer):
    """A L{Guarded}, and what happens to it."""

    makes = Guarded

    def next(self) -> tuple[bytes, Any]:
        """A datagram, and whom it comes from; now and then with an Echo that the server gave."""
        subject, chance = self.subject, self.chance
        if chance.random() < 0.05:
            for echo, peer in subject.echoes:
                if peer[1] & 2:
                    subject.proven.add(peer[0])
                    options = Options(uriPath=chance.choice(PATHS).split("/"), echo=echo)
                    return encode(CON, Code.GET, chance.getrandbits(16), b"echo", options), peer
        return super().next()


main = partial(running.main, "Give spoiled datagrams to a server that does not amplify.", Fuzzer)
"""Run from the command line; see L{running.main}."""


if __name__ == "__main__":
    sys.exit(main())
