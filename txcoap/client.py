"""
L{Agent}: from a URI to a response.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure
from zope.interface import implementer

from .block import exponentFor
from .bodies import Manner, Progress, StreamedResponse, converse
from .codes import Code
from .errors import CoAPError, SocketClosed, Unreachable
from .interfaces import IAgent
from .limits import DEFAULT_LIMITS, Limits
from .names import resolve
from .observation import Observation
from .options import NO_OPTIONS, Options
from .outgoing import makeRequest
from .parameters import DEFAULT_PARAMETERS, Parameters
from .protocol import CoAPProtocol, Trace
from .received import ReceivedResponse
from .sansio.transmissions import Chance
from .transports import udp, unix
from .uri import URI
from .verbs import Verbs, targetOf

__all__ = ["Agent", "ReceivedResponse"]

# What an Agent opens for each kind of address: the wildcard of the family, or a Unix socket.
_WILDCARDS = {"IPv4": "0.0.0.0", "IPv6": "::"}  # noqa: S104
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}


@implementer(IAgent)
class Agent(Verbs):
    """
    Asks CoAP servers: C{response = await Agent(reactor).get("coap://localhost/light")}.

    By default all requests go out by one socket for each address family, opened when first needed.
    L{close} closes what it opened.

    @param reactor: The reactor.
    @param protocol: Ask through this L{CoAPProtocol}, with its parameters and limits, instead of
        sockets of the agent's own: C{Agent(reactor, protocol=port.protocol)} shares a server's port, so
        that the server's peers can be asked on the path by which they ask (devices behind a NAT).
    @param freshSockets: Open a socket for each request, and close it with the response: the last of an
        observation, and the end of a body that is streamed, which has to be taken.
    @param bindAddress: C{(host, port)} to send from: the address of an interface, or a fixed port.
    @param parameters: Transmission parameters, for requests that do not say otherwise.
    @param limits: The bounds of what peers can make grow.
    @param blockSize: Bytes in the largest block of a body: 16 to 1024, a power of two.
    @param maximumBody: Bytes of the largest body that a response may have, unless it is streamed; None
        for no limit but memory.
    @param sendRequestTag: Whether a body sent in blocks carries a Request-Tag, so that a server tells
        bodies apart that are sent to one resource at once (RFC 9175 3).
    @param freshTokens: Whether each block goes with a token of its own. Some servers, node-coap among them,
        know a body by its token.
    @param trace: Sees every datagram: called with C{"received"} or C{"sent"}, its bytes, and the peer.
    @param chance: For message IDs, tokens and time-outs; in tests a seeded C{random.Random}.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        protocol: CoAPProtocol | None = None,
        freshSockets: bool = False,
        bindAddress: tuple[str, int] = ("", 0),
        parameters: Parameters = DEFAULT_PARAMETERS,
        limits: Limits = DEFAULT_LIMITS,
        blockSize: int = 1024,
        maximumBody: int | None = 16 * 2**20,
        sendRequestTag: bool = True,
        freshTokens: bool = False,
        trace: Trace | None = None,
        chance: Chance | None = None,
    ) -> None:
        self.reactor = reactor
        self._manner = Manner(
            exponent=exponentFor(blockSize),
            maximum=maximumBody,
            sendRequestTag=sendRequestTag,
            freshTokens=freshTokens,
        )
        self._given = protocol
        self._freshSockets = freshSockets
        self._bindAddress = bindAddress
        self._newProtocol = partial(
            CoAPProtocol, None, reactor, parameters=parameters, limits=limits, chance=chance, trace=trace
        )
        self._ports: dict[str, IListeningPort] = {}
        self._freshPorts: set[IListeningPort] = set()
        self._lookups: set[Deferred[Any]] = set()
        self._closings = 0

    def request(
        self,
        method: Code | str | int,
        uri: str | URI,
        payload: Any = b"",
        *,
        params: Mapping[str, object] | Iterable[tuple[str, object]] = (),
        json: Any = None,
        options: Options = NO_OPTIONS,
        confirmable: bool = True,
        token: bytes | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
        blockSize: int | None = None,
        byteRange: tuple[int, int | None] | None = None,
        stream: bool = False,
        progress: Progress | None = None,
        **values: Any,
    ) -> Deferred[Any]:
        """
        Ask for something. Bodies larger than a block go and come in blocks (RFC 7959).

        @param method: A L{Code}, or what makes one: C{"GET"}.
        @param uri: An absolute URI; of scheme C{coap}. The host of C{coap://%2Frun%2Fx.sock/…} is a Unix
            socket.
        @param payload: The body: C{bytes}; C{str}, which is sent in UTF-8 as C{text/plain}; or an
            C{IBodyProducer}, which is paused between blocks.
        @param params: Arguments to add to the URI's query, as C{name=value}.
        @param json: A body to send as JSON, instead of C{payload}.
        @param options: Options to send, beside those that the URI makes.
        @param confirmable: Whether to send it in a confirmable message.
        @param token: Up to 8 bytes; by default random ones.
        @param parameters: Transmission parameters for this request alone.
        @param timeout: Seconds for the whole request, looking the name up included. By default it fails
            when no transmission was acknowledged (MAX_TRANSMIT_WAIT), or EXCHANGE_LIFETIME after an
            empty acknowledgement.
        @param blockSize: For this request, as for the agent.
        @param byteRange: C{(start, length)}, to fetch a part of the body only: from C{start}, a multiple of
            the block size, C{length} bytes, or all that follow for None.
        @param stream: Whether to fire with a L{StreamedResponse<txcoap.bodies.StreamedResponse>} as soon
            as the first block is here; its C{deliverBody} fetches the others as they are taken.
        @param progress: Called after each message with C{"sent"} or C{"received"}, the bytes of that body
            so far, and the bytes in all, None while unknown.
        @param values: More options by accessor name: C{accept="application/json"}, C{etag=b"…"}.
            C{block1} and C{block2} choose the size of blocks; a C{block2} also where to begin, and a
            C{block1} on a body that fits it goes as it is, for those who cut bodies themselves.
        @return: A Deferred of a L{ReceivedResponse} of whatever code, or of None where the option
            No-Response asked for none. It fails with a L{RequestError<txcoap.errors.RequestError>},
            L{InvalidURI<txcoap.errors.InvalidURI>}, C{ValueError} for a value that an option cannot
            have, or C{CannotListenError} if C{bindAddress} cannot be bound. Cancelling it takes the
            request back: nothing more is sent.
        """
        try:
            target = targetOf(uri)
            request, producer = makeRequest(method, target, payload, params, json, options, values)
            manner = self._manner.evolve(
                confirmable=confirmable,
                token=token,
                parameters=parameters,
                byteRange=byteRange,
                stream=stream,
                progress=progress,
                **({} if blockSize is None else {"exponent": exponentFor(blockSize)}),
            )
        except (CoAPError, TypeError, ValueError):
            return fail()
        return self._withPeer(target, timeout, partial(converse, request, producer, manner))

    def observe(
        self,
        uri: str | URI,
        payload: bytes = b"",
        *,
        method: Code | str | int = Code.GET,
        params: Mapping[str, object] | Iterable[tuple[str, object]] = (),
        options: Options = NO_OPTIONS,
        confirmable: bool = True,
        token: bytes | None = None,
        parameters: Parameters | None = None,
        **values: Any,
    ) -> Deferred[Observation]:
        """
        Observe a resource (RFC 7641).

        @param payload: The body of a FETCH.
        @param method: GET or FETCH.
        @param token: Up to 8 bytes; by default random ones. Asking again keeps it.
        @return: A Deferred of an L{Observation<txcoap.observation.Observation>}, which fires when its first
            state is here. If the server does not take the observation, that is its only one. It fails as
            L{request} does when there is no response. Cancelling it takes the request back.
        """
        try:
            target = targetOf(uri)
            request, _ = makeRequest(method, target, payload, params, None, options, values)
            if request.code not in (Code.GET, Code.FETCH):
                raise ValueError(f"only GET and FETCH can observe, not {request.code.phrase}")
            manner = self._manner.evolve(confirmable=confirmable, token=token, parameters=parameters)
        except (CoAPError, TypeError, ValueError):
            return fail()

        def begin(protocol: CoAPProtocol, peer: Any, timeout: float | None) -> Deferred[Observation]:
            return Observation(request, manner, protocol, peer).begin()

        return self._withPeer(target, None, begin)

    def ping(self, uri: str | URI, *, timeout: float | None = None) -> Deferred[None]:
        """
        Ask whether a peer is there (RFC 7252 4.3).

        @param uri: Its URI; only scheme, host and port matter.
        @param timeout: Seconds; by default MAX_TRANSMIT_WAIT.
        @return: A Deferred that fires with None, or fails with a
            L{RequestError<txcoap.errors.RequestError>}.
        """
        try:
            target = targetOf(uri)
        except (CoAPError, TypeError):
            return fail()

        def ping(protocol: CoAPProtocol, peer: Any, remaining: float | None) -> Deferred[None]:
            return protocol.ping(peer, timeout=remaining)

        return self._withPeer(target, timeout, ping)

    def close(self) -> Deferred[None]:
        """
        Close the sockets that the agent opened; requests under way fail with L{SocketClosed
        <txcoap.errors.SocketClosed>}. A later request opens them anew.

        @return: A Deferred that fires with None when they are closed.
        """
        if self._given is None:
            self._closings += 1
            for looking in list(self._lookups):
                looking.cancel()
        ports = [*self._ports.values(), *self._freshPorts]
        self._ports.clear()
        self._freshPorts.clear()
        return gatherResults([maybeDeferred(port.stopListening) for port in ports]).addCallback(
            lambda _: None
        )

    # From a URI to a peer

    def _withPeer(
        self, target: URI, timeout: float | None, ask: Callable[..., Deferred[Any]]
    ) -> Deferred[Any]:
        """Call C{ask(protocol, peer, remaining seconds)} once it is clear whom to ask."""
        if target.isUnixPath:
            return self._tryAll(["unix"], [target.host], 0, timeout, ask)
        if target.isLiteral:
            family = "IPv6" if ":" in target.host else "IPv4"
            return self._tryAll([family], [target.host], target.port, timeout, ask)
        began = self.reactor.seconds()

        def resolved(hosts: list[str]) -> Deferred[Any]:
            families = ["IPv6" if ":" in host else "IPv4" for host in hosts]
            left = None if timeout is None else max(0.0, timeout - (self.reactor.seconds() - began))
            return self._tryAll(families, hosts, target.port, left, ask)

        looking = resolve(self.reactor, target.host, timeout)
        self._lookups.add(looking)
        return looking.addBoth(self._lookedUp, looking, self._closings).addCallback(resolved)

    def _lookedUp(self, result: Any, looking: Deferred[Any], closings: int) -> Any:
        self._lookups.discard(looking)
        if closings != self._closings:
            raise SocketClosed("the agent was closed while the name was looked up")
        return result

    def _tryAll(
        self,
        families: list[str],
        hosts: list[str],
        port: int,
        timeout: float | None,
        ask: Callable[..., Deferred[Any]],
    ) -> Deferred[Any]:
        """
        Ask at the first address; at the next one if the network says that this one cannot be reached, for
        then nobody was asked.
        """
        asking = maybeDeferred(self._tryOne, families[0], hosts[0], port, timeout, ask)
        if len(hosts) == 1:
            return asking

        def next_(failure: Failure) -> Deferred[Any]:
            failure.trap(Unreachable)
            return self._tryAll(families[1:], hosts[1:], port, timeout, ask)

        return asking.addErrback(next_)

    def _tryOne(
        self, family: str, host: str, port: int, timeout: float | None, ask: Callable[..., Deferred[Any]]
    ) -> Deferred[Any]:
        protocol, opened = self._protocolFor(family)
        if opened is None:
            return self._askAt(protocol, host, port, timeout, ask)
        asking = maybeDeferred(self._askAt, protocol, host, port, timeout, ask)
        return asking.addBoth(self._closeFresh, opened)

    def _askAt(
        self,
        protocol: CoAPProtocol,
        host: str,
        port: int,
        timeout: float | None,
        ask: Callable[..., Deferred[Any]],
    ) -> Deferred[Any]:
        try:
            peer = protocol.toPeer(host, port)
        except ValueError as e:
            raise Unreachable(errno.EAFNOSUPPORT, f"{host} cannot be reached from this socket: {e}") from None
        return ask(protocol, peer, timeout)

    def _protocolFor(self, family: str) -> tuple[CoAPProtocol, IListeningPort | None]:
        """The protocol for a family of addresses, and its port if that is to be closed afterwards."""
        if self._given is not None:
            return self._given, None
        own = self._bindAddress[0]
        if own and family != "unix":
            family = "IPv6" if ":" in own else "IPv4"
        if self._freshSockets:
            port = self._open(family)
            self._freshPorts.add(port)
            return port.protocol, port  # type: ignore[attr-defined]
        shared = self._ports.get(family)
        if shared is None:
            shared = self._ports[family] = self._open(family)
        return shared.protocol, None  # type: ignore[attr-defined]

    def _open(self, family: str) -> IListeningPort:
        protocol = self._newProtocol()
        if family == "unix":
            return unix.openClient(self.reactor, protocol)
        host, port = self._bindAddress
        interface = host or _WILDCARDS[family]
        try:
            # Whoever asks does not care at which address the answer comes.
            return udp.listenUDP(self.reactor, port, protocol, interface, tellLocal=False)
        except CannotListenError as e:
            number = getattr(e.socketError, "errno", None)
            if number not in _NO_SUCH_FAMILY:
                raise
            raise Unreachable(number, f"this host has no {family}: {e}") from None

    def _closeFresh(self, result: Any, port: IListeningPort) -> Any:
        if isinstance(result, (Observation, StreamedResponse)) and not result.whenOver.called:
            result.whenOver.addCallback(self._closeFresh, port)
            return result
        self._freshPorts.discard(port)
        return maybeDeferred(port.stopListening).addCallback(lambda _: result)
