"""
L{ReceivedResponse}: a response as it came.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, IProtocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from .addresses import addressOf
from .codes import WITHOUT_PAYLOAD
from .message import Response
from .sansio.datagrams import Datagram

__all__ = ["ReceivedResponse"]


class ReceivedResponse(Response):
    """
    A response as it came, with all of its body.

    @ivar peer: From whom, as the transport writes it.
    @ivar host: The socket that it came to, as a Twisted address; None if that is not known.
    @ivar isConfirmable: Whether it came in a confirmable message, apart from the acknowledgement.
    @ivar isFromCache: Whether it answers a request that it did not come for; see L{txcoap.caching}.
    @ivar age: For how many seconds it has been stored.
    """

    __slots__ = ("host", "isConfirmable", "peer")

    isFromCache = False
    age: float = 0.0

    def __init__(self, datagram: Datagram, peer: Any, host: IAddress | None = None) -> None:
        self.code = datagram.code
        self.options = datagram.options
        # RFC 7252 5.5: a payload where none is defined is ignored.
        self.payload = b"" if datagram.code in WITHOUT_PAYLOAD else datagram.payload
        self.isConfirmable = datagram.type == 0
        self.peer = peer
        self.host = host

    def carrying(self, response: Response) -> ReceivedResponse:
        """Another response as if it had come the way this one did."""
        other = ReceivedResponse.__new__(ReceivedResponse)
        other.code, other.options, other.payload = response.code, response.options, response.payload
        other.isConfirmable, other.peer, other.host = self.isConfirmable, self.peer, self.host
        return other

    @property
    def length(self) -> Any:
        """The body's length in bytes."""
        return len(self.payload)

    def getPeerAddress(self) -> IAddress:
        """Who answered, as a Twisted address."""
        return addressOf(self.peer)

    def getHost(self) -> IAddress | None:
        """The address of ours that it came to: what the socket is bound to, often a wildcard."""
        return self.host

    def deliverBody(self, protocol: IProtocol) -> None:
        """
        Give the body to a protocol, as C{twisted.web}'s responses do: C{dataReceived}, then
        C{connectionLost} with C{ResponseDone}. C{twisted.web.client.readBody} and C{treq.collect} work
        on it.
        """
        protocol.makeConnection(_Delivered())  # type: ignore[arg-type]
        if self.payload:
            protocol.dataReceived(self.payload)
        protocol.connectionLost(Failure(ResponseDone()))


class _Delivered:
    """The transport of a body that is here already."""

    def pauseProducing(self) -> None:
        """Nothing is to come."""

    resumeProducing = stopProducing = loseConnection = abortConnection = pauseProducing
