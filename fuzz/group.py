"""
A client that asks groups, under spoiled datagrams: many answer each request, in blocks, late, twice, or with
what is meant for nobody. Beside what L{fuzz.soundness} says, each request must end exactly once, and with an
error of ours if with any::

    python -m fuzz.group --count 1000000 --seed 1
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from txcoap.codes import Code

from . import client, running
from .origins import PEERS
from .soundness import LIMITS

__all__ = ["Fuzzer", "GroupClient"]

GROUP = ("224.0.1.187", 5683)
_URI = "coap://224.0.1.187/a"


class GroupClient(client.Client):
    """A client that asks groups, and single servers too."""

    limits = LIMITS.evolve(groupResponses=6)


def _gather(client: GroupClient, uri: str) -> Deferred[Any]:
    return client.agent.multicast(_URI, seconds=client.chance.choice((0.1, 2.0, 20.0))).all()


def _stop(client: GroupClient, uri: str) -> Deferred[Any]:
    """Ask, and take answers for a shorter time than was said."""
    gathering = client.agent.multicast(_URI, "what", method=Code.POST)
    client.clock.callLater(client.chance.random() * 5, gathering.stop)
    return gathering.all()


GroupClient.beginnings = {
    "gather": _gather,
    "stop": _stop,
    "discover": lambda client, uri: client.agent.discoverAll(_URI, "rt=*"),
    "get": client.Client.beginnings["get"],
}
GroupClient.kinds = (*GroupClient.beginnings, "gather", "gather")


class Fuzzer(client.Fuzzer):
    """A L{GroupClient}, and what happens to it."""

    makes = GroupClient

    def next(self) -> tuple[bytes, Any]:
        """A datagram, and whom it comes from; for a group, any of its members answers."""
        data, peer = super().next()
        return data, self.chance.choice(PEERS) if peer == GROUP else peer


main = partial(running.main, "Give spoiled datagrams to a client that asks groups.", Fuzzer)
"""Run from the command line; see L{running.main}."""


if __name__ == "__main__":
    sys.exit(main())
