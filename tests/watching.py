"""
Observers and observed made by hand, on a network in memory: they say what they are told to, keep what they
hear, and acknowledge it, reject it, or say nothing.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from txcoap.codes import Code
from txcoap.interfaces import IDatagramReceiver
from txcoap.memory import COAP_PORT, SERVER_HOST, MemoryNetwork
from txcoap.observe import ObservableResource
from txcoap.options import Options
from txcoap.sansio.datagrams import ACK, CON, RST, Datagram, Type, decode, empty, encode

__all__ = ["Counter", "Teller", "Watcher"]


class Counter(ObservableResource):
    """
    A number that can be observed.

    @ivar value: The number.
    @ivar rendered: How often it was rendered.
    """

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self.rendered = 0

    def render_GET(self, request: Any) -> Any:
        """The number."""
        self.rendered += 1
        return str(self.value)

    def count(self) -> None:
        """One more, and tell."""
        self.value += 1
        self.notifyObservers()


@implementer(IDatagramReceiver)
class Watcher:
    """
    A client that does only as it is told.

    @ivar heard: Every message that came.
    @ivar reply: How it answers: C{ACK} what is confirmable, C{RST} everything, or None for nothing.
    """

    noisy = False

    def __init__(self, network: MemoryNetwork, host: str = "192.0.2.77", port: int = 40000) -> None:
        self.heard: list[Datagram] = []
        self.reply: Type | None = ACK
        self._network = network
        self._messageID = 0
        self._told = 0
        self.port = network.listen(self, host, port)

    def ask(
        self,
        path: str,
        observe: int | None = None,
        token: bytes = b"t",
        code: Code = Code.GET,
        type: Type = CON,
        payload: bytes = b"",
        **values: Any,
    ) -> list[Datagram]:
        """
        Ask the server.

        @return: What was heard, as by L{news}, if it answers at once.
        """
        self.news()
        self._messageID += 1
        options = Options(uriPath=tuple(path.split("/")), observe=observe, **values)
        data = encode(type, code, self._messageID, token, options, payload)
        self.port.send(data, (SERVER_HOST, COAP_PORT))
        self._network.flush()
        return self.news()

    def news(self) -> list[Datagram]:
        """What came since this was last asked."""
        news = self.heard[self._told :]
        self._told = len(self.heard)
        return news

    def payloads(self) -> list[bytes]:
        """Its payloads."""
        return [datagram.payload for datagram in self.news()]

    # The network's side

    def makeConnection(self, transport: Any) -> None:
        """See L{IDatagramReceiver}."""

    def doStop(self) -> None:
        """See L{IDatagramReceiver}."""

    def datagramReceived(self, data: bytes, peer: Any, local: Any = None) -> None:
        """Keep it, and answer as told."""
        datagram = decode(data)
        self.heard.append(datagram)
        if self.reply is not None and (
            datagram.type == CON or (self.reply == RST and datagram.type not in (ACK, RST))
        ):
            self.port.send(empty(self.reply, datagram.messageID), peer)

    def datagramUnreachable(self, data: bytes, peer: Any, error: int) -> None:
        """See L{IDatagramReceiver}."""

    def turnEnded(self) -> None:
        """See L{IDatagramReceiver}."""


@implementer(IDatagramReceiver)
class Teller:
    """
    A server that does only as it is told.

    @ivar heard: Every message that came.
    """

    noisy = False

    def __init__(self, network: MemoryNetwork) -> None:
        self.heard: list[Datagram] = []
        self._network = network
        self._client: Any = None
        self._messageID = 0x7000
        self._told = 0
        self.port = network.listen(self)

    def news(self) -> list[Datagram]:
        """What came since this was last asked."""
        self._network.flush()
        news = self.heard[self._told :]
        self._told = len(self.heard)
        return news

    def newsOne(self) -> Datagram:
        """The one message that came since this was last asked."""
        (datagram,) = self.news()
        return datagram

    def answer(
        self, request: Datagram, payload: bytes = b"", code: Code = Code.CONTENT, **values: Any
    ) -> None:
        """Answer a request in the acknowledgement."""
        data = encode(ACK, code, request.messageID, request.token, Options(**values), payload)
        self.port.send(data, self._client)
        self._network.flush()

    def acknowledge(self, request: Datagram) -> None:
        """Say that a request is here, and nothing more."""
        self.port.send(empty(ACK, request.messageID), self._client)
        self._network.flush()

    def tell(
        self,
        token: bytes,
        payload: bytes = b"",
        code: Code = Code.CONTENT,
        type: Type = CON,
        **values: Any,
    ) -> Datagram | None:
        """
        Send a notification.

        @return: What the client says to that.
        """
        self._messageID += 1
        self.news()
        self.port.send(encode(type, code, self._messageID, token, Options(**values), payload), self._client)
        for datagram in self.news():
            if datagram.messageID == self._messageID and datagram.type in (ACK, RST):
                return datagram
        return None

    # The network's side

    def makeConnection(self, transport: Any) -> None:
        """See L{IDatagramReceiver}."""

    def doStop(self) -> None:
        """See L{IDatagramReceiver}."""

    def datagramReceived(self, data: bytes, peer: Any, local: Any = None) -> None:
        """Keep it."""
        self._client = peer
        self.heard.append(decode(data))

    def datagramUnreachable(self, data: bytes, peer: Any, error: int) -> None:
        """See L{IDatagramReceiver}."""

    def turnEnded(self) -> None:
        """See L{IDatagramReceiver}."""
