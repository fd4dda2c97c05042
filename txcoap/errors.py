"""
Every exception of txcoap.

Three families: L{ResponseError}, an error response as an exception, raised by resources and by
L{Response.raiseForCode<txcoap.message.Response.raiseForCode>}; L{RequestError}, a request that got no
response; and the errors of values that could not be understood (L{FormatError}, L{InvalidURI}, …).
"""

from __future__ import annotations

from typing import ClassVar

from .codes import Code

__all__ = [
    "BadGateway",
    "BadOption",
    "BadRequest",
    "BodyChanged",
    "BodyTooLarge",
    "CoAPError",
    "Conflict",
    "Forbidden",
    "FormatError",
    "GatewayTimeout",
    "HopLimitReached",
    "InternalServerError",
    "InvalidURI",
    "LinkFormatError",
    "MalformedOption",
    "MalformedResponse",
    "MessageTooLarge",
    "MethodNotAllowed",
    "NameNotFound",
    "NoAcknowledgement",
    "NoResponse",
    "NotAcceptable",
    "NotFound",
    "NotImplementedByServer",
    "ObservationEnded",
    "PreconditionFailed",
    "ProbingRateExceeded",
    "ProxyingNotSupported",
    "RequestEntityIncomplete",
    "RequestEntityTooLarge",
    "RequestError",
    "RequestQueueFull",
    "ResetReceived",
    "ResponseError",
    "ServiceUnavailable",
    "SocketClosed",
    "TokenInUse",
    "TooManyPeers",
    "TooManyRequests",
    "Unauthorized",
    "UnprocessableEntity",
    "Unreachable",
    "UnreadableBody",
    "UnsupportedContentFormat",
    "UnsupportedScheme",
]


class CoAPError(Exception):
    """The root of all errors that txcoap raises."""


# Values that could not be understood.


class FormatError(CoAPError):
    """
    A datagram that is no CoAP message (RFC 7252 3).

    @ivar reason: What is wrong with it.
    @ivar messageType: Its type bits, where the header could be read; else None.
    @ivar messageID: Its message ID, where the header could be read; else None.
    """

    def __init__(self, reason: str, messageType: int | None = None, messageID: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.messageType = messageType
        self.messageID = messageID


class InvalidURI(CoAPError, ValueError):
    """A URI that is none, or none of CoAP (RFC 7252 6); the text says what to change."""


class UnsupportedScheme(InvalidURI):
    """A URI of a CoAP scheme that no transport serves here; it is never asked over a weaker one."""


class LinkFormatError(CoAPError, ValueError):
    """Text that is not in the CoRE link format (RFC 6690 2)."""


class MalformedOption(CoAPError, ValueError):
    """An option whose value cannot be read, as with text that is no UTF-8; in a request, a 4.00."""


class MessageTooLarge(CoAPError, ValueError):
    """A message that does not fit a datagram."""


# Requests that got no response.


class RequestError(CoAPError):
    """A request that ended without a response."""


class NoAcknowledgement(RequestError, TimeoutError):
    """
    The peer acknowledged none of the transmissions (RFC 7252 4.2).

    Check address and port, and that a server runs there; on a slow link raise ACK_TIMEOUT or
    MAX_RETRANSMIT.

    @ivar seconds: How long it was waited for.
    """

    seconds: float | None = None

    @classmethod
    def after(cls, seconds: float, peer: str) -> NoAcknowledgement:
        """So long nothing came from a peer; C{peer} is its name."""
        error = cls(f"no reply in {seconds:.4g} seconds from {peer}: nothing was acknowledged")
        error.seconds = seconds
        return error


class NoResponse(RequestError, TimeoutError):
    """
    No response came in time, though the request was acknowledged or asked for no acknowledgement.

    Raise the request's C{timeout}, or, if it was non-confirmable, send it confirmable.

    @ivar seconds: How long it was waited for: since the request was made or, where that has no C{timeout}
        and was acknowledged, since then.
    """

    seconds: float | None = None

    @classmethod
    def after(cls, seconds: float, peer: str, why: str) -> NoResponse:
        """So long nothing came from a peer; C{peer} is its name."""
        error = cls(f"no reply in {seconds:.4g} seconds from {peer}: the request {why}")
        error.seconds = seconds
        return error


class ResetReceived(RequestError, ConnectionResetError):
    """The peer rejected the message with a Reset: it lacks the context to process it (RFC 7252 4.2)."""


class Unreachable(RequestError, OSError):
    """
    The network said that the peer cannot be reached: no route, or nobody listens on that port.

    @ivar errno: The system's number of the error.
    """

    def __str__(self) -> str:
        """Its text alone, without the number that C{OSError} puts before it."""
        return str(self.strerror or super().__str__())


class NameNotFound(RequestError, LookupError):
    """The host's name has no address; check its spelling, or give the address itself."""


class MalformedResponse(RequestError, ValueError):
    """The response carries a critical option that cannot be taken (RFC 7252 5.4.1), or cannot be read."""


class BodyChanged(RequestError):
    """
    The representation changed twice while its blocks were fetched, or cannot be fetched anew (RFC 7959
    2.4). Ask again.
    """


class BodyTooLarge(RequestError, ValueError):
    """
    A body is larger than the limit, or than 2 ** 20 blocks can carry (RFC 7959 2.2).

    Raise the agent's C{maximumBody}, or take the body block by block with C{stream=True}.
    """


class ObservationEnded(RequestError):
    """
    The server does not take an observation, or not any longer (RFC 7641 4.2).

    @ivar response: What it answered.
    """

    def __init__(self, text: str, response: object = None) -> None:
        super().__init__(text)
        self.response = response


class ProbingRateExceeded(RequestError):
    """
    The peer has answered nothing so far, and more requests would exceed PROBING_RATE (RFC 7252 4.7).

    Wait for an answer, or raise PROBING_ALLOWANCE or PROBING_RATE in the transmission parameters.
    """


class RequestQueueFull(RequestError):
    """
    Too many requests wait for their turn with one peer; see C{Limits.queuedRequests}.

    Raise NSTART in the transmission parameters if the peer can take more at once, or ask more slowly.
    """


class TooManyPeers(RequestError):
    """Every peer that can be remembered has something under way; see C{Limits.peers}."""


class SocketClosed(RequestError, ConnectionAbortedError):
    """The socket was closed while the request was under way, as when an agent or a service stops."""


class TokenInUse(RequestError, ValueError):
    """A request of the same token to the same peer is still open; choose another token, or none."""


# Error responses.


class ResponseError(CoAPError):
    """
    A response of class 4 or 5, as an exception.

    A resource raises it, or one of its subclasses, to answer with its code; the text becomes the
    diagnostic payload (RFC 7252 5.5.2). L{Response.raiseForCode<txcoap.message.Response.raiseForCode>}
    raises it on the client's side.

    @ivar code: The response code.
    @ivar diagnostic: A short text for the peer's developer, or the payload's.
    @ivar options: Options of the response by accessor name, such as C{{"maxAge": 10}}.
    """

    _classes: ClassVar[dict[Code, type[ResponseError]]] = {}

    code: Code = Code.INTERNAL_SERVER_ERROR

    def __init__(
        self, diagnostic: str = "", *, code: Code | str | int | None = None, **options: object
    ) -> None:
        if code is not None:
            self.code = Code(code)
        self.diagnostic = diagnostic
        self.options = options
        super().__init__(f"{self.code}: {diagnostic}" if diagnostic else str(self.code))

    def __init_subclass__(cls) -> None:
        ResponseError._classes.setdefault(cls.code, cls)

    @staticmethod
    def forCode(code: Code, diagnostic: str = "") -> ResponseError:
        """The error of a code, of the subclass that belongs to it where there is one."""
        return ResponseError._classes.get(code, ResponseError)(diagnostic, code=code)


class BadRequest(ResponseError):
    """4.00: the request was not understood."""

    code = Code.BAD_REQUEST


class UnreadableBody(BadRequest, ValueError):
    """4.00: the request's body is not what its resource reads it as."""


class Unauthorized(ResponseError):
    """4.01: the client has to authenticate first."""

    code = Code.UNAUTHORIZED


class BadOption(ResponseError):
    """4.02: a critical option was not recognized."""

    code = Code.BAD_OPTION


class Forbidden(ResponseError):
    """4.03: the server understood, and refuses."""

    code = Code.FORBIDDEN


class NotFound(ResponseError):
    """4.04: there is no such resource."""

    code = Code.NOT_FOUND


class MethodNotAllowed(ResponseError):
    """4.05: the resource does not have this method."""

    code = Code.METHOD_NOT_ALLOWED


class NotAcceptable(ResponseError):
    """4.06: there is no representation in the content format that Accept asks for."""

    code = Code.NOT_ACCEPTABLE


class RequestEntityIncomplete(ResponseError):
    """4.08: blocks of the request's body are missing (RFC 7959 2.9.2)."""

    code = Code.REQUEST_ENTITY_INCOMPLETE


class Conflict(ResponseError):
    """4.09: the change does not fit the resource's state (RFC 8132 3.4)."""

    code = Code.CONFLICT


class PreconditionFailed(ResponseError):
    """4.12: If-Match or If-None-Match did not hold."""

    code = Code.PRECONDITION_FAILED


class RequestEntityTooLarge(ResponseError):
    """4.13: the request's body is larger than the server takes; Size1 tells how much it would."""

    code = Code.REQUEST_ENTITY_TOO_LARGE


class UnsupportedContentFormat(ResponseError):
    """4.15: the request's content format is not one that the resource takes."""

    code = Code.UNSUPPORTED_CONTENT_FORMAT


class UnprocessableEntity(ResponseError):
    """4.22: the body is well formed, but makes no sense here (RFC 8132 3.4)."""

    code = Code.UNPROCESSABLE_ENTITY


class TooManyRequests(ResponseError):
    """4.29: the client asks too often; Max-Age tells when to ask again (RFC 8516)."""

    code = Code.TOO_MANY_REQUESTS


class InternalServerError(ResponseError):
    """5.00: the server failed."""

    code = Code.INTERNAL_SERVER_ERROR


class NotImplementedByServer(ResponseError):
    """5.01: the server lacks what the request needs."""

    code = Code.NOT_IMPLEMENTED


class BadGateway(ResponseError):
    """5.02: the server behind the proxy gave no valid response."""

    code = Code.BAD_GATEWAY


class ServiceUnavailable(ResponseError):
    """5.03: the server cannot answer for now; Max-Age tells when to ask again."""

    code = Code.SERVICE_UNAVAILABLE


class GatewayTimeout(ResponseError):
    """5.04: the server behind the proxy did not answer in time."""

    code = Code.GATEWAY_TIMEOUT


class ProxyingNotSupported(ResponseError):
    """5.05: the server is no proxy for that URI."""

    code = Code.PROXYING_NOT_SUPPORTED


class HopLimitReached(ResponseError):
    """5.08: the request passed too many proxies (RFC 8768)."""

    code = Code.HOP_LIMIT_REACHED
