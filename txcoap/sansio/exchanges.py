"""
Requests and responses (RFC 7252 5): which response belongs to which request, in both roles.

One L{Exchanges} stands on one L{Messaging<txcoap.sansio.messaging.Messaging>}. What we ask stands in
L{txcoap.sansio.requesting}; here both roles come together.

What asks for options that are not understood is met as RFC 7252 5.4.1 says::

                  a request                     a response
    CON           4.02                          Reset, and our request fails
    NON           nothing                       our request fails
    ACK                                         our request fails

A proxy passes on what it does not know, if that is safe to forward (5.7.1): such options of requests to it,
and of responses that it relays, are left to it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ..codes import Code
from ..errors import (
    RequestError,
    ResetReceived,
)
from ..limits import DEFAULT_LIMITS, Limits
from ..options import NO_OPTIONS, Options, nameOf
from ..parameters import DEFAULT_PARAMETERS, Parameters
from .clients import ClientOf, NamingMessaging
from .echo import EchoKey
from .events import (
    Event,
    IncomingRequest,
    PingAnswered,
    PingFailed,
    ResponseFailed,
)
from .health import Health, healthOf
from .messaging import Arrival, Garbled, Messaging, Report
from .notifying import Notifier
from .observations import Relation
from .requesting import Requesting
from .shares import HostOf, hostOf
from .transfers import Transfers
from .transmission import Chance, Ended, Transmission

__all__ = ["Exchanges"]


class Exchanges(Requesting):
    """
    All exchanges over one socket, those that peers begin and our own.

    @param chance: C{random.SystemRandom()}, or in tests a seeded C{random.Random}.
    @param parameters: For requests that do not say otherwise, and all that peers ask.
    @param limits: The bounds of what peers can make grow.
    @param epoch: Seconds to add to C{now} for the time of day.
    @param hostOf: Whose share of a limit a peer uses.
    @param forwards: Whether what is served includes a forward proxy.
    @param clientOf: Tells clients by name; None for by their addresses.
    @ivar transfers: The bodies in blocks that peers send and fetch.
    @ivar notifier: Who observes.
    """

    def __init__(
        self,
        chance: Chance,
        parameters: Parameters = DEFAULT_PARAMETERS,
        limits: Limits = DEFAULT_LIMITS,
        epoch: float = 0.0,
        hostOf: HostOf = hostOf,
        forwards: bool = False,
        clientOf: ClientOf | None = None,
    ) -> None:
        messaging = (
            Messaging(parameters, limits, chance, hostOf)
            if clientOf is None
            else NamingMessaging(parameters, limits, chance, hostOf, clientOf)
        )
        super().__init__(messaging, parameters, limits, chance)
        self._forwards = forwards
        self._highest: dict[str, int] = {}
        self.transfers = Transfers(
            limits, parameters.EXCHANGE_LIFETIME, self._transmissions.deadlines, self.counters, hostOf
        )
        self.notifier = Notifier(self._transmissions, limits.observers, epoch)
        self._echoKey: EchoKey | None = None
        # The rest of the face is that of the layers below.
        self.datagramsToSend = self._transmissions.datagramsToSend
        self.next = self._messaging.next
        self.defer = self._messaging.defer
        self.respond = self._messaging.respond
        self.acknowledge = self._messaging.acknowledge
        self.resetRequest = self._messaging.resetRequest
        self.silence = self._messaging.silence

    def sizes(self) -> dict[str, int]:
        """How much is in each table."""
        return {
            "openRequests": len(self._open),
            "groupRequests": len(self._groups),
            **self._messaging.sizes(),
            **self.transfers.sizes(),
            "observers": len(self.notifier),
            "echoes": len(self._echoes),
            "provenAddresses": 0,
        }

    def noteSizes(self) -> None:
        """Remember for L{health} how large the tables are; to be called now and then."""
        highest = self._highest
        for name, size in self.sizes().items():
            if size > highest.get(name, 0):
                highest[name] = size

    def health(self) -> Health:
        """What was counted, and the tables, as they are now."""
        self.noteSizes()
        return healthOf(self.counters, self.sizes(), self._highest, self.limits)

    # What comes

    def receiveDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | Event | None:
        """
        A datagram came.

        @param peer: From whom; a hashable address that the transport understands.
        @param local: At which of our addresses, for the transport to answer from; None if it is clear.
        @return: A request to respond to, at once, or L{defer}; something that happened; or None.
        """
        report = self._messaging.receiveDatagram(data, peer, local, now)
        if report is None:
            return None
        if type(report) is IncomingRequest:
            options = report.options
            if (
                not options.isUnderstood
                and options.unrecognized
                and not (self._forwards and _isToBeForwarded(options))
            ):
                self._refuse(report, now)
                return None
            return report
        if type(report) is Transmission:
            return self._ended(report.owner, report, None, now)
        if type(report) is Arrival:
            return self._arrived(report, now)
        return self._translate(report, now)

    def receiveGroupDatagram(
        self, data: bytes, peer: Hashable, local: Hashable, now: float
    ) -> IncomingRequest | None:
        """
        A datagram came that was sent to a group: it can be a request to answer, and nothing else.

        @return: The request, of L{GroupInquiry<txcoap.sansio.events.GroupInquiry>}, or None.
        """
        request = self._messaging.receiveGroupDatagram(data, peer, local, now)
        if request is not None and request.options.unrecognized:
            self._messaging.silence(request)
            return None
        return request

    def receiveUnreachable(self, data: bytes, peer: Hashable, error: int, now: float) -> Event | None:
        """
        The network returned a datagram of ours.

        @param data: The start of that datagram.
        @param error: The system's error number.
        """
        ended = self._transmissions.receiveUnreachable(data, peer, error, now)
        return None if ended is None else self._translate(ended, now)

    def expire(self, now: float) -> list[Event]:
        """Do what is due at this time; what happened by that."""
        events = [self._translate(report, now) for report in self._messaging.expire(now)]
        return [event for event in events if event is not None]

    def _translate(self, report: Report | Event, now: float) -> Event | None:
        if isinstance(report, Ended):
            return self._ended(report.owner, report.transmission, report.error, now)
        if isinstance(report, Garbled):
            return self._cameGarbled(report, now)
        if isinstance(report, Arrival):
            return self._arrived(report, now)
        assert isinstance(report, Event)
        return report

    def _refuse(self, request: IncomingRequest, now: float) -> None:
        """Refuse a request for its critical options."""
        if request.confirmable:
            names = ", ".join(map(nameOf, request.options.unrecognized))
            text = f"not understood: {names}".encode()
            self.respond(request, Code.BAD_OPTION, NO_OPTIONS, text, now)
        else:
            self._messaging.silence(request)

    def _ended(
        self, owner: Any, transmission: Transmission | None, error: RequestError | None, now: float
    ) -> Event | None:
        """A message of ours was acknowledged, or ended otherwise: its owner knows what that means."""
        if type(owner) is Relation:
            return self.notifier.ended(owner, transmission, error, now)
        if owner is None and transmission is not None:
            # An empty message is answered with a Reset; some peers acknowledge it instead.
            if error is None or isinstance(error, ResetReceived):
                return PingAnswered(transmission)
            return PingFailed(transmission, error)
        if isinstance(owner, IncomingRequest):
            return None if error is None else ResponseFailed(owner, error)
        if error is not None:
            return self._fail(owner, error, now)
        return self._acknowledged(owner, now)

    # What peers asked

    def newEcho(self, peer: Hashable, now: float) -> bytes:
        """An Echo for a peer to return (RFC 9175 2)."""
        if self._echoKey is None:
            self._echoKey = EchoKey(self._chance.getrandbits(256).to_bytes(32, "big"))
        return self._echoKey.make(peer, now)

    def freshness(self, request: IncomingRequest, now: float) -> float | None:
        """How many seconds old a request is at most, by the Echo of ours that it returns; None without."""
        if self._echoKey is None or request.options.isPlain:
            return None
        echo = request.options.echo
        return None if echo is None else self._echoKey.age(echo, request.peer, now)


def _isToBeForwarded(options: Options) -> bool:
    """Whether what is not recognized in a request is for a proxy to pass on."""
    isForProxy = Options.proxyUri.number in options or Options.proxyScheme.number in options
    return isForProxy and not options.unforwardable
