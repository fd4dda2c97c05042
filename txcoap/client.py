"""
L{Agent}: from a URI to a response.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress
from zope.interface import implementer

from .addresses import describeAddress
from .block import exponentFor
from .codes import Code
from .conversing import Manner, Progress, converse
from .errors import CoAPError
from .formats import LINK_FORMAT
from .gathering import Gathering
from .interfaces import IAgent
from .limits import DEFAULT_LIMITS, Limits
from .linkformat import Link
from .message import Request
from .observation import Observation
from .options import NO_OPTIONS, Options
from .outgoing import makeRequest, throughProxy
from .parameters import Parameters
from .protocol import CoAPProtocol, Trace
from .reaching import Reach
from .received import ReceivedResponse
from .sansio.health import Health
from .sansio.observations import OBSERVABLE
from .sansio.transmission import Chance
from .uri import URI
from .verbs import Verbs, coreOf, groupOf, linksOf, located, targetOf, uriOf

__all__ = ["Agent", "ReceivedResponse"]

# Of a request: to go through the agent's proxy, if it has one.
_OWN: Any = object()


@implementer(IAgent)
class Agent(Verbs):
    """
    Asks CoAP servers: C{response = await Agent(reactor).get("coap://localhost/light")}.

    By default all requests go out by one socket for each address family, opened when first needed.
    L{close} closes what it opened, and so does C{async with Agent(reactor) as agent:} at its end.

    @param reactor: The reactor.
    @param protocol: Ask through this L{CoAPProtocol}, with its parameters and limits, instead of
        sockets of the agent's own: C{Agent(reactor, protocol=port.protocol)} shares a server's port, so
        that the server's peers can be asked on the path by which they ask (devices behind a NAT).
    @param freshSockets: Open a socket for each request, and close it with the response: the last of an
        observation, and the end of a body that is streamed, which has to be taken.
    @param bindAddress: C{(host, port)} to send from: the address of an interface, or a fixed port.
    @param idleTimeout: Seconds after which a socket is closed through which nothing is under way: no request,
        observation, or body that is streamed. 0 for at once, None for never. What was known of peers goes
        with it, and what they send late finds a closed port.
    @param parameters: Transmission parameters, for requests that do not say otherwise; by default those of
        C{protocol}, or of L{txcoap.parameters.getDefault} when a request is made.
    @param limits: The bounds of what peers can make grow.
    @param blockSize: Bytes in the largest block of a body: 16 to 1024, a power of two.
    @param maximumBody: Bytes of the largest body that a response may have, unless it is streamed; None
        for no limit but memory.
    @param sendRequestTag: Whether a body sent in blocks carries a Request-Tag, so that a server tells
        bodies apart that are sent to one resource at once (RFC 9175 3).
    @param freshTokens: Whether each block goes with a token of its own. Some servers, node-coap among them,
        know a body by its token.
    @param proxy: The URI of a forward proxy to ask through; see L{request}.
    @param useProxyScheme: Whether a proxy is always told the URI by Proxy-Scheme, not in Proxy-Uri. The
        proxies of aiocoap want it so; those of node-coap understand nothing but Proxy-Uri.
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
        idleTimeout: float | None = None,
        parameters: Parameters | None = None,
        limits: Limits = DEFAULT_LIMITS,
        blockSize: int = 1024,
        maximumBody: int | None = 16 * 2**20,
        sendRequestTag: bool = True,
        freshTokens: bool = False,
        proxy: str | URI | None = None,
        useProxyScheme: bool = False,
        trace: Trace | None = None,
        chance: Chance | None = None,
    ) -> None:
        self.reactor = reactor
        self._manner = Manner(
            exponent=exponentFor(blockSize),
            maximum=maximumBody,
            sendRequestTag=sendRequestTag,
            freshTokens=freshTokens,
            parameters=parameters,
        )
        self._proxy = None if proxy is None else targetOf(proxy)
        self._useProxyScheme = useProxyScheme
        newProtocol = partial(
            CoAPProtocol, None, reactor, parameters=parameters, limits=limits, chance=chance, trace=trace
        )
        self._reach = Reach(reactor, protocol, newProtocol, bindAddress, freshSockets, idleTimeout)

    def request(
        self,
        method: Code | str | int,
        uri: str | URI | None = None,
        payload: Any = b"",
        *,
        host: str | None = None,
        port: int = 0,
        path: str | Iterable[str] = (),
        query: str | Mapping[str, object] | Iterable[str | tuple[str, object]] = (),
        params: str | Mapping[str, object] | Iterable[str | tuple[str, object]] = (),
        json: Any = None,
        options: Options = NO_OPTIONS,
        headers: Mapping[str, Any] | None = None,
        confirmable: bool = True,
        token: bytes | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
        blockSize: int | None = None,
        byteRange: tuple[int, int | None] | None = None,
        stream: bool = False,
        progress: Progress | None = None,
        proxy: str | URI | None = _OWN,
        relaying: bool = False,
        **values: Any,
    ) -> Deferred[Any]:
        """
        Ask for something. Bodies larger than a block go and come in blocks (RFC 7959).

        @param method: A L{Code}, or what makes one: C{"GET"}.
        @param uri: An absolute URI; of scheme C{coap}. The host of C{coap://%2Frun%2Fx.sock/…} is a Unix
            socket.
        @param host: Whom to ask, instead of a URI; its parts are as L{URI.fromParts} takes them.
        @param port: With C{host}; by default 5683.
        @param path: With C{host}: C{"/a/b"}, or C{("a", "b")}.
        @param query: With C{host}: C{"x=1&y"}, or C{{"x": 1}}.
        @param payload: The body: C{bytes}; C{str}, which is sent in UTF-8 as C{text/plain}; an
            C{IBodyProducer}, which is paused between blocks; or None for none.
        @param params: Arguments to add to the URI's query, in any of the forms of C{query}.
        @param json: A body to send as JSON, instead of C{payload}.
        @param options: Options to send, beside those that the URI makes.
        @param headers: More options by name, as in C{{"Content-Type": "application/json"}}; see
            L{withHeader<txcoap.headers.withHeader>}.
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
        @param proxy: The URI of a forward proxy to ask through, of which host and port matter (RFC 7252
            5.7.2); None to ask the server itself; by default as the agent does. The proxy is told the URI
            in Proxy-Uri, or by Proxy-Scheme where it is too long for that.
        @param relaying: Whether the response goes on to someone else, as in a proxy: what is safe to forward
            may be in it unrecognized.
        @param values: More options by accessor name: C{accept="application/json"}, C{etag=b"…"}.
            C{block1} and C{block2} choose the size of blocks; a C{block2} also where to begin, and a
            C{block1} on a body that fits it goes as it is, for those who cut bodies themselves.
        @return: A Deferred of a L{ReceivedResponse} of whatever code, or of None where the option
            No-Response asked for none. It fails with a L{RequestError<txcoap.errors.RequestError>},
            L{InvalidURI<txcoap.errors.InvalidURI>}, C{ValueError} for a value that an option cannot
            have, C{TypeError} for one of another kind, or C{CannotListenError} if C{bindAddress} cannot be
            bound. Cancelling it takes the request back: nothing more is sent.
        """
        try:
            target = uriOf(located(uri, host, port, path, query))
            hop = self._firstHop(target, proxy)
            request, producer = makeRequest(
                method, target, payload, params, json, options, headers, values, relaying
            )
            request = self._addressed(request, target, hop)
            manner = self._manner.of(
                confirmable, token, parameters, blockSize, byteRange, stream, progress, relaying
            )
        except (CoAPError, TypeError, ValueError):
            return fail()
        return self._reach.ask(hop, timeout, partial(converse, request, producer, manner))

    def observe(
        self,
        uri: str | URI | None = None,
        payload: bytes = b"",
        *,
        host: str | None = None,
        port: int = 0,
        path: str | Iterable[str] = (),
        query: str | Mapping[str, object] | Iterable[str | tuple[str, object]] = (),
        method: Code | str | int = Code.GET,
        params: str | Mapping[str, object] | Iterable[str | tuple[str, object]] = (),
        options: Options = NO_OPTIONS,
        headers: Mapping[str, Any] | None = None,
        confirmable: bool = True,
        token: bytes | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
        proxy: str | URI | None = _OWN,
        relaying: bool = False,
        **values: Any,
    ) -> Deferred[Observation]:
        """
        Observe a resource (RFC 7641). What is not said here is as for L{request}.

        @param payload: The body of a FETCH.
        @param method: GET or FETCH.
        @param token: Up to 8 bytes; by default random ones. Asking again keeps it.
        @param timeout: Seconds for the first state. Afterwards a silent server is asked again and again.
        @return: A Deferred of an L{Observation<txcoap.observation.Observation>}, which fires when its first
            state is here. If the server does not take the observation, that is its only one. It fails as
            L{request} does when there is no response, and with C{ValueError} for a method that cannot
            observe. Cancelling it takes the request back.
        """
        try:
            target = uriOf(located(uri, host, port, path, query))
            hop = self._firstHop(target, proxy)
            request, _ = makeRequest(
                method, target, payload, params, None, options, headers, values, relaying
            )
            request = self._addressed(request, target, hop)
            if request.code not in OBSERVABLE:
                raise ValueError(f"only GET and FETCH can observe, not {request.code.phrase}")
            manner = self._manner.evolve(
                confirmable=confirmable,
                token=token,
                parameters=parameters or self._manner.parameters,
                relaying=relaying,
            )
        except (CoAPError, TypeError, ValueError):
            return fail()

        def begin(protocol: CoAPProtocol, peer: Any, timeout: float | None) -> Deferred[Observation]:
            return Observation(request, manner, protocol, peer).begin(timeout)

        return self._reach.ask(hop, timeout, begin)

    def _firstHop(self, target: URI, proxy: str | URI | None) -> URI:
        """Whom to send a request to: a proxy, or who is asked."""
        chosen = self._proxy if proxy is _OWN else proxy
        return targetOf(target if chosen is None else chosen)

    def _addressed(self, request: Request, target: URI, hop: URI) -> Request:
        """A request as it goes to its first hop."""
        return request if hop is target else throughProxy(request, target, self._useProxyScheme)

    def multicast(
        self,
        uri: str | URI | None = None,
        payload: Any = b"",
        *,
        host: str | None = None,
        port: int = 0,
        path: str | Iterable[str] = (),
        query: str | Mapping[str, object] | Iterable[str | tuple[str, object]] = (),
        method: Code | str | int = Code.GET,
        seconds: float = 20.0,
        interface: str = "",
        hops: int | None = None,
        params: str | Mapping[str, object] | Iterable[str | tuple[str, object]] = (),
        json: Any = None,
        options: Options = NO_OPTIONS,
        headers: Mapping[str, Any] | None = None,
        token: bytes | None = None,
        parameters: Parameters | None = None,
        blockSize: int | None = None,
        **values: Any,
    ) -> Gathering:
        """
        Ask all who are in a group (RFC 7252 8), by a message that is not confirmable.

        @param uri: A URI whose host is a multicast address, or a name of one:
            C{"coap://224.0.1.187/light"}, C{"coap://[ff02::fd]/light"}. Or its parts, as for L{request}.
        @param payload: A body of a single block: C{bytes} or C{str}.
        @param method: Any method.
        @param seconds: For how long responses are taken. Servers answer within DEFAULT_LEISURE, 5 s, if they
            do not take longer.
        @param interface: The name or number of the interface to send it by; by default the system chooses.
        @param hops: The TTL, or hop limit, to send it with: how many networks it reaches. By default 1.
        @param token: Up to 8 bytes; by default random ones. No other request can have it for ten minutes.
        @return: The L{Gathering<txcoap.gathering.Gathering>}: C{async for response in gathering}, or
            C{await gathering.all()}. Both fail with a L{RequestError<txcoap.errors.RequestError>} if nothing
            could be sent, or with C{ValueError} if a name is that of no group, or there is no such interface.
        @raise InvalidURI: if that is no URI, or its host an address but no group.
        @raise ValueError: for a value that an option cannot have, or a body that does not fit a block.
        @raise TypeError: for a body of another kind, or a URI that is no text.
        """
        target = groupOf(located(uri, host, port, path, query))
        request, producer = makeRequest(method, target, payload, params, json, options, headers, values)
        if producer is not None:
            raise TypeError("a body for a group is bytes or str")
        manner = self._manner.evolve(token=token, parameters=parameters)
        if blockSize is not None:
            manner = manner.evolve(exponent=exponentFor(blockSize))
        gathering = Gathering(request, manner, seconds, interface, hops)
        gathering.begin(partial(self._reach.ask, target, None))
        return gathering

    def discoverAll(
        self, uri: str | URI, *queries: str, **how: Any
    ) -> Deferred[list[tuple[IAddress, tuple[Link, ...]]]]:
        """
        Ask all who are in a group what they have (RFC 7252 8, RFC 6690).

        @param uri: A URI of the group, such as C{"coap://224.0.1.187"}; its path and query do not matter.
        @param queries: What to ask for; who has none of it stays silent.
        @param how: As for L{multicast}.
        @return: A Deferred of a list with each that answered: its address, and its links. Answers that are no
            links are left out.
        """
        try:
            gathering = self.multicast(coreOf(uriOf(uri), queries), **{"accept": LINK_FORMAT, **how})
        except (CoAPError, TypeError, ValueError):
            return fail()

        def read(responses: list[ReceivedResponse]) -> list[tuple[IAddress, tuple[Link, ...]]]:
            found = []
            for response in responses:
                with suppress(CoAPError):
                    found.append((response.getPeerAddress(), linksOf(response)))
            return found

        return gathering.all().addCallback(read)

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
        except (CoAPError, TypeError, ValueError):
            return fail()

        def ping(protocol: CoAPProtocol, peer: Any, remaining: float | None) -> Deferred[None]:
            return protocol.ping(peer, parameters=self._manner.parameters, timeout=remaining)

        return self._reach.ask(target, timeout, ping)

    @property
    def parameters(self) -> Parameters:
        """The transmission parameters of a request that is made now, and has none of its own."""
        return self._manner.parameters or self._reach.parameters

    def getHosts(self) -> list[IAddress]:
        """The addresses of the sockets that are open now, as Twisted's address objects, in no order."""
        return self._reach.getHosts()

    def __repr__(self) -> str:
        where = ", ".join(map(describeAddress, self.getHosts()))
        return f"<{type(self).__name__} {f'at {where}' if where else 'without a socket'}>"

    def health(self) -> Health:
        """What was counted at the sockets that are open now, all together, and how full their tables are."""
        return self._reach.health()

    def close(self, *, grace: float | None = 0.0) -> Deferred[None]:
        """
        Close the sockets that the agent opened. A later request opens them anew.

        @param grace: For how many seconds requests that are under way may go on; None for as long as they
            take. Observations are cancelled at once, which the servers are told, and new requests fail.
            After that, at once by default, what is still under way fails with L{SocketClosed
            <txcoap.errors.SocketClosed>}.
        @return: A Deferred that fires with None when they are closed.
        """
        return self._reach.close(grace)

    async def __aenter__(self) -> Agent:  # noqa: PYI034
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
