"""
The seams: what the parts of txcoap ask of each other, and what users may replace.
"""

# An interface's methods are declared without self.
# ruff: noqa: N805

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort
from zope.interface import Attribute, Interface

__all__ = [
    "IAgent",
    "IDatagramEndpoint",
    "IDatagramReceiver",
    "IProxy",
    "IRange",
    "IResource",
    "ISendsMany",
    "ISite",
    "ITransport",
    "Unsent",
]

# Datagrams: between a port and the protocol above it.


class IDatagramReceiver(Interface):
    """
    What takes datagrams from a port.

    L{txcoap.protocol.CoAPProtocol} implements it; the ports of L{txcoap.transports} call it. It
    stands beside Twisted's C{DatagramProtocol}, whose C{makeConnection}, C{doStop} and C{noisy} the
    ports use too.
    """

    def datagramReceived(data: bytes, peer: Any, local: Any = None) -> None:
        """
        A datagram arrived, whole.

        @param data: Its payload.
        @param peer: Whence; the socket's own form of address, which C{send} takes unchanged. IPv4:
            C{(host, port)}. IPv6: C{(host, port, 0, scope)}, scope 0 but for link-local addresses;
            IPv4 on a dual-stack socket has the host C{"::ffff:192.0.2.1"}. A Unix socket: its path.
            The port is never 0.
        @param local: Which address of ours was asked, for C{send} to answer from, with C{.address}
            (C{str}) and C{.isMulticast} (C{bool}); None where the socket has but one, or cannot
            tell.
        """

    def datagramUnreachable(data: bytes, peer: Any, error: int) -> None:
        """
        The network says that a datagram of ours did not arrive. Anybody on the way can forge this:
        it is a hint, to be matched with something sent to that peer.

        @param data: As much of our datagram's payload as came back; may be empty.
        @param peer: Where it was sent to.
        @param error: The errno, such as C{ECONNREFUSED} or C{EHOSTUNREACH}.
        """

    def turnEnded() -> None:
        """
        The port has given all that it gives in this turn of the reactor: called once after one or
        more C{datagramReceived} and C{datagramUnreachable}, so that what need not be settled for
        each of them (a timer, say) can be settled here.
        """


class ITransport(Interface):
    """
    What sends datagrams. The ports of L{txcoap.transports} implement it; the protocol above calls
    it.
    """

    def send(data: bytes, peer: Any, local: Any = None) -> int | None:
        """
        Send a datagram, or lose it as networks do. It never blocks and never raises.

        @param data: Its payload.
        @param peer: Where to, in the socket's own form: from C{datagramReceived} or C{toPeer}.
        @param local: What came with the datagram that this one answers.
        @return: None when it is on its way, or lost (a full buffer); otherwise the errno for
            which sending it again is pointless: C{ENETUNREACH}, C{EACCES}, C{EMSGSIZE}, C{EINVAL},
            …
        """

    def toPeer(host: str, port: int) -> Any:
        """
        Write an address as this socket gives and takes it.

        @param host: An IPv4 or IPv6 literal, with a zone where it is link-local; a path on a Unix
            socket.
        @param port: 0 to 65535; ignored on a Unix socket.
        @return: What C{send} takes, equal to what C{datagramReceived} gives for that peer.
        @raise ValueError: it is no such address, or this socket cannot reach it.
        """

    def getHost() -> IAddress:
        """
        @return: The address that this is bound to.
        """


Unsent = tuple[bytes, Any, int]
"""A datagram that it is pointless to send again: its payload, where to, and the errno."""


class ISendsMany(ITransport):
    """A transport that is given what a turn has to send all at once."""

    def sendAll(datagrams: Iterable[tuple[bytes, Any, Any]]) -> list[Unsent]:
        """
        Send datagrams, each as L{ITransport.send} does.

        @param datagrams: Of each what C{send} takes.
        @return: Those for which C{send} would have returned an errno.
        """


class IDatagramEndpoint(Interface):
    """
    A place where datagrams can be received, not yet opened. L{txcoap.endpoints.serverFromString}
    gives one.
    """

    def listen(site: Any) -> Deferred[IListeningPort]:
        """
        Open it.

        @param site: Something with C{buildProtocol(reactor)}, such as a L{txcoap.Site}, or a
            protocol.
        @return: A Deferred of the port, whose C{protocol} is the protocol; fails with
            L{twisted.internet.error.CannotListenError}.
        """


# Applications: what a server serves, and what a client asks through.


class ISite(Interface):
    """
    What answers the requests of peers. L{txcoap.Site} implements it.

    If it has an attribute C{forwards} that is True, critical options that are not recognized are left in
    requests with Proxy-Uri or Proxy-Scheme, if they are safe to forward; else such requests are refused.
    """

    def requestReceived(protocol: Any, exchange: Any) -> None:
        """
        A peer asks for something.

        @param protocol: The L{CoAPProtocol<txcoap.protocol.CoAPProtocol>} to answer through.
        @param exchange: The L{IncomingRequest<txcoap.sansio.events.IncomingRequest>} to answer.
        """

    def groupRequestReceived(protocol: Any, exchange: Any) -> None:
        """
        A peer asks a group that a socket of ours is in (RFC 7252 8).

        @param exchange: The L{GroupInquiry<txcoap.sansio.events.GroupInquiry>} to answer, or not.
        """

    def socketOpened(protocol: Any) -> None:
        """
        A socket was opened whose requests come here.

        @param protocol: The L{CoAPProtocol<txcoap.protocol.CoAPProtocol>} on it.
        """

    def socketClosed(protocol: Any) -> None:
        """It was closed."""


class IResource(Interface):
    """
    Something that has a URI. L{txcoap.Resource} implements it, and is what most will subclass.

    L{txcoap.Site} walks from its root, a path segment at a time, until a resource is a leaf or the path
    is used up; then it renders that one. A feature that concerns many resources is best written as a
    resource that holds another and passes on to it.

    What L{txcoap.Resource} has besides, such as C{maximumBody}, C{openBody} and C{heedsConditions}, may be
    left out.
    """

    isLeaf = Attribute("True if this is to be rendered whatever is left of the path.")

    def getChildWithDefault(segment: str, request: Any) -> IResource:
        """
        The resource below this one.

        @param segment: The path's next segment, decoded.
        @param request: The L{Request<txcoap.server.Request>}, whose C{postpath} is what follows.
        """

    def render(request: Any) -> Any:
        """
        Answer a request.

        @return: C{bytes}, C{str}, a L{Response<txcoap.Response>}, C{None}, C{NOT_DONE_YET}, or a
            Deferred or coroutine of one of the first four.
        @raise ResponseError: to answer with its code.
        """

    def getLinks(path: str) -> Any:
        """
        The links that C{/.well-known/core} shows for this resource and those below it.

        @param path: The path that leads here, percent-encoded, empty for the root.
        @return: An iterable of L{Link<txcoap.linkformat.Link>}.
        """


class IProxy(IResource):
    """
    A resource for what is to be asked of other servers. L{txcoap.proxy.ForwardProxy} implements it, and
    L{txcoap.Site} gives it the requests with Proxy-Uri or Proxy-Scheme.
    """

    def answersAtOnce(request: Any) -> bool:
        """
        Answer a request with what is at hand, if there is anything; called for any that is not plain, and
        before it is looked at.

        @param request: The L{Request<txcoap.server.Request>}.
        @return: Whether it is answered.
        @raise ResponseError: as L{ownOptions} does.
        """

    def ownOptions(request: Any) -> Any:
        """
        Whether a request is for the proxy itself (RFC 7252 5.7.2).

        @param request: The L{Request<txcoap.server.Request>}.
        @return: The L{Options<txcoap.Options>} by which the site's own tree is to answer it; None if it is
            for another server.
        @raise ResponseError: if it can be answered by none.
        """


class IRange(Interface):
    """A body that can be read at any place; see L{txcoap.blockwise.RangedResponse}."""

    length = Attribute("The number of bytes in all.")

    def read(start: int, size: int) -> bytes | Deferred[bytes]:
        """
        Read a part.

        @param start: Where it begins, in bytes.
        @param size: How many bytes, at most; fewer only at the end.
        @return: The bytes, or a Deferred of them.
        """


class IAgent(Interface):
    """
    What asks. L{txcoap.Agent} implements it, and so do agents that stand around another: each adds one
    thing, and passes on the rest. L{txcoap.verbs.Verbs} makes C{get}, C{put} and so on of it.
    """

    reactor = Attribute("What tells the time and calls later: an C{IReactorTime}.")

    def request(method: Any, uri: Any, payload: bytes = b"", **how: Any) -> Deferred[Any]:
        """
        Ask for something.

        @param method: A L{Code<txcoap.Code>}, or what makes one, such as C{"GET"}.
        @param uri: Text, or a L{URI<txcoap.uri.URI>}.
        @param payload: The body.
        @param how: As for L{txcoap.Agent.request}.
        @return: A Deferred of a L{Response<txcoap.Response>} of whatever code; it fails with a
            L{RequestError<txcoap.errors.RequestError>}. Cancelling it takes the request back.
        """

    def observe(uri: Any, payload: bytes = b"", **how: Any) -> Deferred[Any]:
        """
        Observe a resource.

        @param uri: Text, or a L{URI<txcoap.uri.URI>}.
        @param payload: The body of a FETCH.
        @param how: As for L{txcoap.Agent.observe}.
        @return: A Deferred of something like an L{Observation<txcoap.observation.Observation>}, which
            fires when its first state is here. Cancelling it takes the request back.
        """

    def ping(uri: Any, *, timeout: float | None = None) -> Deferred[None]:
        """
        Ask whether a peer is there.

        @param uri: Its URI.
        @param timeout: Seconds.
        @return: A Deferred that fires with None, or fails with a L{RequestError<txcoap.errors.RequestError>}.
        """

    def close(*, grace: float | None = 0.0) -> Deferred[None]:
        """
        Close what the agent opened, and let go of what is under way.

        @param grace: For how many seconds that may go on; None for as long as it takes.
        @return: A Deferred that fires with None when that is done.
        """
