"""
Fairness: what peers fill is shared out among the hosts they speak from.

A host may hold as much of a table as it leaves free: alone a half, two of them a third each, nine of them a
tenth each. So there is always room left, whatever they do, and nothing has to be known beforehand of how
many there are. Up to the half nobody can be refused, and nothing is looked up.

A source address can be forged: then the host that it belongs to is taken for greedy, and is the only one
that is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from ipaddress import IPv6Address

__all__ = ["HostOf", "Shares", "hostOf"]

HostOf = Callable[[Hashable], Hashable]
"""Tells the host of a peer's address; None for a peer that is trusted to take what it likes."""


def hostOf(peer: Hashable) -> Hashable:
    """
    The host that an address belongs to: the address without the port; of IPv6 the first 64 bits, since
    whoever has one address of such a network has them all.
    """
    if not isinstance(peer, tuple) or not isinstance(peer[0], str):
        return peer
    address = peer[0]
    return _networkOf(address) if ":" in address else address


@lru_cache(4096)
def _networkOf(address: str) -> Hashable:
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    # All hosts of a link have the same 64 bits here.
    return address if parsed.is_link_local else parsed.packed[:8]


class Shares:
    """
    How much each host holds of one table.

    @param maximum: How much all of them may hold together.
    """

    __slots__ = ("_held", "_maximum")

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._held: dict[Hashable, int] = {}

    def allows(self, host: Hashable, used: int, amount: int = 1) -> bool:
        """
        Whether a host may hold so much more, as far as the others are concerned. Who holds nothing may
        always.

        @param used: How much all hosts hold now.
        """
        if used + amount <= self._maximum + 1 >> 1 or host is None:
            return True
        held = self._held.get(host)
        return held is None or held + amount <= self._maximum - used

    def take(self, host: Hashable, amount: int = 1) -> None:
        """A host holds so much more."""
        self._held[host] = self._held.get(host, 0) + amount

    def give(self, host: Hashable, amount: int = 1) -> None:
        """A host holds so much less."""
        held = self._held.get(host, 0) - amount
        if held > 0:
            self._held[host] = held
        else:
            self._held.pop(host, None)

    def __len__(self) -> int:
        return len(self._held)
