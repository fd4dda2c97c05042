"""
L{Request} and L{Response}: what applications exchange (RFC 7252 5).

Values: a code, options and a payload. A message's type, ID and token belong to the machines in
L{txcoap.sansio}, its addresses to the transports. Treat them as immutable; to change one, make another.
"""

from __future__ import annotations

import json
from typing import Any

from .codes import Code
from .errors import ResponseError
from .formats import formatName
from .headers import Headers
from .options import NO_OPTIONS, Options

__all__ = ["Message", "Request", "Response"]


DEFAULT_MAX_AGE = 60
"""For how many seconds a response is fresh that does not say (RFC 7252 5.10.5)."""

_RESPONSES = frozenset(code for code in Code if code.isResponse and code != Code.VALID)


class Message:
    """
    What requests and responses share.

    @ivar code: A L{Code}.
    @ivar payload: The body, as bytes.
    @ivar options: The L{Options}.
    """

    __slots__ = ("code", "options", "payload")

    code: Code
    options: Options
    payload: bytes

    @property
    def contentFormat(self) -> int | None:
        """The payload's content format by number (RFC 7252 5.10.3), or None if none is given."""
        return self.options.contentFormat

    @property
    def headers(self) -> Headers:
        """The options by the names that HTTP and node-coap have: C{headers["Content-Type"]}."""
        return Headers(self.options)

    def text(self) -> str:
        """
        The payload as text.

        @raise UnicodeDecodeError: if it is not UTF-8.
        """
        return self.payload.decode("utf-8")

    def json(self) -> Any:
        """
        The payload read as JSON.

        @raise ValueError: if it is none.
        """
        return json.loads(self.payload)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return (self.code, self.options, self.payload) == (other.code, other.options, other.payload)

    def __hash__(self) -> int:
        return hash((self.code, self.options, self.payload))

    def __repr__(self) -> str:
        form = self.contentFormat
        named = "" if form is None else f" {formatName(form)}"
        return f"<{type(self).__name__} {self.code}{named} {self.options!r} {len(self.payload)} bytes>"


class Request(Message):
    """
    A request: C{Request(Code.PUT, b"on", uriPath=("light",), contentFormat="text/plain")}.

    @param code: The method.
    @param payload: The body.
    @param options: Options to start from.
    @param values: More options by accessor name, as for L{Options}.
    """

    __slots__ = ()

    def __init__(
        self, code: Code, payload: bytes = b"", options: Options = NO_OPTIONS, **values: object
    ) -> None:
        self.code = code
        self.payload = payload
        self.options = options.evolve(**values) if values else options


class Response(Message):
    """
    A response: C{Response(Code.CONTENT, b"21.5", contentFormat="text/plain", maxAge=30)}.

    @param code: The response code, or what makes one: C{"4.04"}.
    @param payload: The body.
    @param options: Options to start from.
    @param values: More options by accessor name, as for L{Options}.
    @raise ValueError: if the code is none of a response, or does not go with a body.
    @raise TypeError: if the body is not C{bytes}.
    """

    __slots__ = ()

    def __init__(
        self, code: Code | str | int, payload: bytes = b"", options: Options = NO_OPTIONS, **values: object
    ) -> None:
        # Most are right; what is wrong has to show where it was written, not when it is sent.
        isRight = code.__class__ is Code and code in _RESPONSES and payload.__class__ is bytes
        self.code = code if isRight else _checked(code, payload)  # type: ignore[assignment]
        self.payload = payload
        self.options = options.evolve(**values) if values else options

    @classmethod
    def fromError(cls, error: ResponseError) -> Response:
        """The response that an error stands for, its text as diagnostic payload (RFC 7252 5.5.2)."""
        return cls(error.code, error.diagnostic.encode("utf-8"), NO_OPTIONS.evolve(**error.options))

    @property
    def phrase(self) -> str:
        """The code's words, such as C{"Not Found"}."""
        return self.code.phrase

    @property
    def etag(self) -> bytes | None:
        """The representation's entity tag (RFC 7252 5.10.6), or None."""
        tags = self.options.etag
        return tags[0] if tags else None

    @property
    def maxAge(self) -> int:
        """For how many seconds the response is fresh; 60 unless it says otherwise (RFC 7252 5.10.5)."""
        age = self.options.maxAge
        return DEFAULT_MAX_AGE if age is None else age

    @property
    def location(self) -> str:
        """
        The reference to what was created, from Location-Path and Location-Query (RFC 7252 5.10.7);
        empty if there is none. Segments stand as they came, not percent-encoded.
        """
        path = "".join("/" + segment for segment in self.options.locationPath)
        query = "&".join(self.options.locationQuery)
        return f"{path}?{query}" if query else path

    def raiseForCode(self) -> None:
        """
        Do nothing for a 2.xx.

        @raise ResponseError: for any other code, of the subclass that belongs to it, with the
            diagnostic payload as its text.
        """
        if not self.code.isSuccess:
            raise ResponseError.forCode(self.code, self.payload.decode("utf-8", "replace"))


def _checked(code: Code | str | int, payload: object) -> Code:
    """The code of a response, having seen that it is one and that its body is bytes."""
    known = Code(code)
    if not known.isResponse:
        raise ValueError(f"{known} is no response code")
    if not isinstance(payload, bytes):
        raise TypeError(f"a body is bytes; got {payload!r}")
    if payload and known == Code.VALID:
        raise ValueError("a 2.03 has no body: the client has it (RFC 7252 5.9.1.3)")
    return known
