"""
L{Reach}: from a URI to a peer: its addresses, and the sockets that an agent opens to ask there.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort
from twisted.python.failure import Failure

from .bodies import StreamedResponse
from .clocks import clockOf
from .errors import SocketClosed, Unreachable
from .names import resolve
from .observation import Observation
from .parameters import Parameters, getDefault
from .protocol import CoAPProtocol
from .sansio.health import Health
from .transports import udp, unix
from .uri import URI

__all__ = ["Ask", "Reach"]

Ask = Callable[[CoAPProtocol, Any, float | None], Deferred[Any]]
"""Is called with the protocol to ask through, the peer, and the seconds that remain."""

# What is opened for each kind of address: the wildcard of the family, or a Unix socket.
_WILDCARDS = {"IPv4": "0.0.0.0", "IPv6": "::"}  # noqa: S104
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}


class _Socket:
    """
    A socket of the agent's own.

    @ivar uses: What is under way through it: requests, observations, and bodies that are streamed.
    @ivar observations: Those among them.
    @ivar unusedSince: When the last of them ended.
    @ivar call: What looks whether it is idle for long enough.
    """

    __slots__ = ("call", "observations", "port", "protocol", "unusedSince", "uses")

    def __init__(self, port: IListeningPort) -> None:
        self.port = port
        self.protocol: CoAPProtocol = port.protocol  # type: ignore[attr-defined]
        self.uses = 0
        self.observations: set[Observation] = set()
        self.unusedSince = 0.0
        self.call: IDelayedCall | None = None

    def close(self) -> Deferred[Any]:
        """Close it: what is under way fails."""
        call, self.call = self.call, None
        if call is not None:
            call.cancel()
        return maybeDeferred(self.port.stopListening)


class Reach:
    """
    How an agent reaches peers; see L{Agent<txcoap.client.Agent>} for the parameters.

    @param newProtocol: Makes the protocol of a socket to open.
    """

    def __init__(
        self,
        reactor: Any,
        given: CoAPProtocol | None,
        newProtocol: Callable[[], CoAPProtocol],
        bindAddress: tuple[str, int],
        freshSockets: bool,
        idleTimeout: float | None,
    ) -> None:
        if idleTimeout is not None and not idleTimeout >= 0:
            raise ValueError(f"idleTimeout is at least 0 seconds, or None for no end; got {idleTimeout!r}")
        self._reactor = reactor
        self._now = clockOf(reactor)
        self._given = given
        self._newProtocol = newProtocol
        self._bindAddress = bindAddress
        self._freshSockets = freshSockets
        self._idleTimeout = idleTimeout
        self._sockets: set[_Socket] = set()
        # Those of them that every request to an address of the family goes through.
        self._shared: dict[str, _Socket] = {}
        self._lookups: set[Deferred[Any]] = set()
        # How many requests go to names: they may be tried at one address after the other.
        self._named = 0
        self._closings = 0
        # Whom to tell when what is under way came to its end; None while the agent is not being closed.
        self._leaving: list[Deferred[None]] | None = None
        self._leavingCall: IDelayedCall | None = None

    def ask(self, target: URI, timeout: float | None, ask: Ask) -> Deferred[Any]:
        """
        Call C{ask} once it is clear whom to ask.

        @param timeout: Seconds for all of it; None for no end.
        @return: What it returned, or a Deferred that fails with a
            L{RequestError<txcoap.errors.RequestError>}.
        """
        if self._leaving is not None:
            return fail(SocketClosed("the agent is being closed"))
        until = None if timeout is None else self._now() + timeout
        if target.isUnixPath:
            return self._tryAll(["unix"], [target.host], 0, until, ask)
        if target.isLiteral:
            family = "IPv6" if ":" in target.host else "IPv4"
            return self._tryAll([family], [target.host], target.port, until, ask)

        def resolved(hosts: list[str]) -> Deferred[Any]:
            families = ["IPv6" if ":" in host else "IPv4" for host in hosts]
            return self._tryAll(families, hosts, target.port, until, ask)

        self._named += 1
        looking = resolve(self._reactor, target.host, timeout)
        self._lookups.add(looking)
        looking.addBoth(self._lookedUp, looking, self._closings)
        return looking.addCallback(resolved).addBoth(self._settled)

    @property
    def parameters(self) -> Parameters:
        """Those of the protocol that was given, or the default."""
        return getDefault() if self._given is None else self._given.parameters

    def getHosts(self) -> list[IAddress]:
        """The addresses of the sockets that are open."""
        if self._given is not None:
            return [self._given.getHost()] if self._given.isOpen else []
        return [socket.port.getHost() for socket in self._sockets]

    def health(self) -> Health:
        """What was counted at the sockets that are open, all together."""
        own: list[Any] = [socket.port.protocol for socket in self._sockets]  # type: ignore[attr-defined]
        return Health.ofAll(protocol.health() for protocol in ([self._given] if self._given else own))

    def close(self, grace: float | None) -> Deferred[None]:
        """See L{Agent.close<txcoap.client.Agent.close>}."""
        if self._given is not None:
            return succeed(None)
        if grace == 0:
            return self._closeNow()
        closed: Deferred[None] = Deferred()
        if self._leaving is None:
            self._leaving = []
            for observation in [each for socket in self._sockets for each in socket.observations]:
                observation.cancel()
        self._leaving.append(closed)
        if grace is not None:
            if self._leavingCall is not None:
                self._leavingCall.cancel()
            self._leavingCall = self._reactor.callLater(grace, self._graceIsOver)
        self._leaveIfUnused()
        return closed

    def _leaveIfUnused(self) -> None:
        if self._leaving is not None and not self._named and not any(each.uses for each in self._sockets):
            self._closeNow()

    def _graceIsOver(self) -> None:
        self._leavingCall = None
        self._closeNow()

    def _closeNow(self) -> Deferred[None]:
        leaving, self._leaving = self._leaving or [], None
        call, self._leavingCall = self._leavingCall, None
        if call is not None:
            call.cancel()
        self._closings += 1
        for looking in list(self._lookups):
            looking.cancel()
        sockets, self._sockets = self._sockets, set()
        self._shared.clear()

        def closed(_: Any) -> None:
            for waiting in leaving:
                waiting.callback(None)

        closing = gatherResults([socket.close() for socket in sockets])
        return closing.addCallback(lambda _: None).addCallback(closed)

    # From a name to an address

    def _lookedUp(self, result: Any, looking: Deferred[Any], closings: int) -> Any:
        self._lookups.discard(looking)
        if closings != self._closings:
            raise SocketClosed("the agent was closed while the name was looked up")
        return result

    def _settled(self, result: Any) -> Any:
        self._named -= 1
        self._leaveIfUnused()
        return result

    def _tryAll(
        self, families: list[str], hosts: list[str], port: int, until: float | None, ask: Ask
    ) -> Deferred[Any]:
        """
        Ask at the first address; at the next one if the network says that this one cannot be reached, for
        then nobody was asked.
        """
        try:
            asking = self._tryOne(families[0], hosts[0], port, until, ask)
        except Exception:
            asking = fail()
        if len(hosts) == 1:
            return asking

        def next_(failure: Failure) -> Deferred[Any]:
            failure.trap(Unreachable)
            return self._tryAll(families[1:], hosts[1:], port, until, ask)

        return asking.addErrback(next_)

    def _tryOne(self, family: str, host: str, port: int, until: float | None, ask: Ask) -> Deferred[Any]:
        if self._given is not None:
            return self._askAt(self._given, host, port, until, ask)
        socket = self._socketFor(family)
        socket.uses += 1
        try:
            asking = self._askAt(socket.protocol, host, port, until, ask)
        except Exception:
            asking = fail()
        return asking.addBoth(self._done, socket)

    def _askAt(
        self, protocol: CoAPProtocol, host: str, port: int, until: float | None, ask: Ask
    ) -> Deferred[Any]:
        try:
            peer = protocol.toPeer(host, port)
        except ValueError as e:
            raise Unreachable(errno.EAFNOSUPPORT, f"{host} cannot be reached from this socket: {e}") from None
        return ask(protocol, peer, None if until is None else max(0.0, until - self._now()))

    # Sockets

    def _socketFor(self, family: str) -> _Socket:
        """The socket to ask through at an address of this family."""
        own = self._bindAddress[0]
        if own and family != "unix":
            family = "IPv6" if ":" in own else "IPv4"
        socket = self._shared.get(family)
        if socket is None:
            socket = _Socket(self._open(family))
            self._sockets.add(socket)
            if not self._freshSockets:
                self._shared[family] = socket
        return socket

    def _open(self, family: str) -> IListeningPort:
        protocol = self._newProtocol()
        if family == "unix":
            return unix.openClient(self._reactor, protocol)
        host, port = self._bindAddress
        interface = host or _WILDCARDS[family]
        try:
            # Whoever asks does not care at which address the answer comes.
            return udp.listenUDP(self._reactor, port, protocol, interface, tellLocal=False)
        except CannotListenError as e:
            number = getattr(e.socketError, "errno", None)
            if number not in _NO_SUCH_FAMILY:
                raise
            raise Unreachable(number, f"this host has no {family}: {e}") from None

    def _done(self, result: Any, socket: _Socket) -> Any:
        """A request came to its end, or to what goes on: an observation, or a body that is streamed."""
        if isinstance(result, (Observation, StreamedResponse)) and not result.whenOver.called:
            if isinstance(result, Observation):
                socket.observations.add(result)
            result.whenOver.addCallback(self._over, result, socket)
            return result
        socket.uses -= 1
        if socket.uses:
            return result
        closing = self._unused(socket)
        return result if closing is None else closing.addCallback(lambda _: result)

    def _over(self, _: None, result: Any, socket: _Socket) -> Any:
        socket.observations.discard(result)
        return self._done(None, socket)

    def _unused(self, socket: _Socket) -> Deferred[Any] | None:
        """Nothing is under way through a socket; a Deferred if it is closed for that."""
        if socket not in self._sockets:
            return None
        if self._freshSockets:
            return self._closeOne(socket)
        if self._leaving is not None:
            self._leaveIfUnused()
        elif self._idleTimeout is not None:
            socket.unusedSince = self._now()
            if socket.call is None:
                socket.call = self._reactor.callLater(self._idleTimeout, self._closeIfIdle, socket)
        return None

    def _closeIfIdle(self, socket: _Socket) -> None:
        """Close a socket that was not used for long enough; one call in that time is all that it costs."""
        assert self._idleTimeout is not None
        socket.call = None
        if not socket.uses:
            remaining = socket.unusedSince + self._idleTimeout - self._now()
            if remaining > 0:
                socket.call = self._reactor.callLater(remaining, self._closeIfIdle, socket)
            else:
                self._closeOne(socket)

    def _closeOne(self, socket: _Socket) -> Deferred[Any]:
        self._sockets.discard(socket)
        self._shared = {family: each for family, each in self._shared.items() if each is not socket}
        closed = socket.close()
        self._leaveIfUnused()
        return closed
