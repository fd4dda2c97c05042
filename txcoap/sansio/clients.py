"""
Clients that are known by another name than their address: those behind a NAT, say, who come from another port
each time.

RFC 7252 4.5 and RFC 7959 2.4 know a client by its endpoint. By the name go the memory of messages, so that a
message repeated from elsewhere is no new one, and bodies in blocks, which may go on from elsewhere. The rest
goes by the address: answers go to where the request came from, and what we send is acknowledged from where
it went.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from ..errors import FormatError
from ..limits import Limits
from ..options import Options
from ..parameters import Parameters
from .datagrams import CON, NON, decode
from .duplicates import Accounts
from .events import GroupInquiry, IncomingRequest
from .messaging import Messaging, Report
from .shares import HostOf
from .transmission import Chance, Outgoing

__all__ = ["ClientOf", "NamingMessaging"]

ClientOf = Callable[[Hashable, Options], Hashable]
"""Tells a client's name from its address and the options of its request; None where that is its address."""


class _NamedPeer(tuple[Any, ...]):  # noqa: SLOT001
    """
    An address that is equal to any other by the same name.

    @ivar address: The address as the transport gave it.
    @ivar client: The name.
    """

    address: Hashable
    client: Hashable

    def __hash__(self) -> int:
        return hash((_NamedPeer, self.client))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _NamedPeer) and other.client == self.client


class NamingMessaging(Messaging):
    """
    A message layer that knows clients by name; those whose address is host and port, as of UDP.

    @param clientOf: Tells the names.
    """

    def __init__(
        self, parameters: Parameters, limits: Limits, chance: Chance, hostOf: HostOf, clientOf: ClientOf
    ) -> None:
        super().__init__(parameters, limits, chance, hostOf)
        self._clientOf = clientOf
        self._accounts = Accounts(self._hostOfClient)
        self._send = self._sendToAddress

    def receiveDatagram(self, data: bytes, peer: Hashable, local: Hashable, now: float) -> Report | None:
        """A datagram came; see L{Messaging.receiveDatagram}."""
        named = self._name(data, peer)
        report = super().receiveDatagram(data, named, local, now)
        if named is not peer and isinstance(report, IncomingRequest):
            report.peer = peer
        return report

    def receiveGroupDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> GroupInquiry | None:
        """A datagram came that was sent to a group; see L{Messaging.receiveGroupDatagram}."""
        named = self._name(data, peer)
        inquiry = super().receiveGroupDatagram(data, named, local, now)
        if named is not peer and inquiry is not None:
            inquiry.peer = peer
        return inquiry

    def _hostOfClient(self, peer: Hashable) -> Hashable:
        """Whose share of the memory of messages a peer uses: a client's by its name."""
        host = self.transmissions.hostOf(peer)
        return host if host is None or not isinstance(peer, _NamedPeer) else peer.client

    def _sendToAddress(self, outgoing: Outgoing) -> None:
        data, peer, local = outgoing
        address = peer.address if isinstance(peer, _NamedPeer) else peer
        self.transmissions.send((data, address, local))

    def _name(self, data: bytes, peer: Hashable) -> Hashable:
        """The peer by its name, if this is a request, and it has one."""
        if not isinstance(peer, tuple):
            return peer
        try:
            datagram = decode(data)
        except FormatError:
            return peer
        if not datagram.code.isRequest or datagram.type not in (CON, NON):
            return peer
        client = self._clientOf(peer, datagram.options)
        if client is None:
            return peer
        named = _NamedPeer(peer)
        named.address, named.client = peer, client
        return named
