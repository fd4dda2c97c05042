"""
The codes of CoAP: methods, response codes and signalling codes (RFC 7252 12.1, RFC 7959, RFC 8132,
RFC 8323 5, RFC 8516, RFC 8768).

One line per code of the IANA registries. A code byte that no registry knows is still a L{Code}: it
has a class, a dotted form and a phrase that says so.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

__all__ = ["Code"]


class Code(IntEnum):
    """
    A code: its value is the byte on the wire, three bits of class and five of detail (RFC 7252 3).

    C{Code("4.04")}, C{Code(404)}, C{Code("NOT_FOUND")}, C{Code("Not Found")} and C{Code.NOT_FOUND}
    are one. A number is first taken as the byte of a registered code, else as three decimal digits.
    What is none of these raises C{ValueError}. A code is equal to its byte, and not to 404 or C{"4.04"}:
    what is equal has one hash, and three spellings have three.
    """

    EMPTY = 0x00

    GET = 0x01
    POST = 0x02
    PUT = 0x03
    DELETE = 0x04
    FETCH = 0x05
    PATCH = 0x06
    IPATCH = 0x07

    CREATED = 0x41
    DELETED = 0x42
    VALID = 0x43
    CHANGED = 0x44
    CONTENT = 0x45
    CONTINUE = 0x5F

    BAD_REQUEST = 0x80
    UNAUTHORIZED = 0x81
    BAD_OPTION = 0x82
    FORBIDDEN = 0x83
    NOT_FOUND = 0x84
    METHOD_NOT_ALLOWED = 0x85
    NOT_ACCEPTABLE = 0x86
    REQUEST_ENTITY_INCOMPLETE = 0x88
    CONFLICT = 0x89
    PRECONDITION_FAILED = 0x8C
    REQUEST_ENTITY_TOO_LARGE = 0x8D
    UNSUPPORTED_CONTENT_FORMAT = 0x8F
    UNPROCESSABLE_ENTITY = 0x96
    TOO_MANY_REQUESTS = 0x9D

    INTERNAL_SERVER_ERROR = 0xA0
    NOT_IMPLEMENTED = 0xA1
    BAD_GATEWAY = 0xA2
    SERVICE_UNAVAILABLE = 0xA3
    GATEWAY_TIMEOUT = 0xA4
    PROXYING_NOT_SUPPORTED = 0xA5
    HOP_LIMIT_REACHED = 0xA8

    CSM = 0xE1
    PING = 0xE2
    PONG = 0xE3
    RELEASE = 0xE4
    ABORT = 0xE5

    if TYPE_CHECKING:
        # What Enum's look-up takes, with _missing_ below.
        def __new__(cls, value: int | str) -> Code: ...  # noqa: D102, PYI034

    # Enum hashes the name in Python code; codes are looked up in tables for every message.
    __hash__ = int.__hash__

    @classmethod
    def fromByte(cls, byte: int) -> Code:
        """
        The code of a byte from the wire, registered or not.

        @param byte: 0 to 255.
        """
        return _BYTES[byte]

    @classmethod
    def _missing_(cls, value: object) -> Code | None:
        code = None
        if isinstance(value, str):
            code = _fromText(value)
        elif isinstance(value, int):
            code = _fromDigits(value)
        if code is None:
            raise ValueError(f'{value!r} is no code of CoAP; one is "GET", "4.04", 404 or Code.NOT_FOUND')
        return code

    @property
    def codeClass(self) -> int:
        """The three bits before the dot: 0 request, 2 success, 4 and 5 errors, 7 signalling."""
        return self >> 5

    @property
    def dotted(self) -> str:
        """As the RFCs write it: C{"4.04"}."""
        return f"{self >> 5}.{self & 31:02d}"

    @property
    def phrase(self) -> str:
        """The registry's words: C{"Not Found"}; a method's name for a method."""
        return _PHRASES.get(self, "Unassigned")

    @property
    def isRequest(self) -> bool:
        """Whether this is a method, registered or not (0.01 to 0.31)."""
        return 0 < self < 0x20

    @property
    def isResponse(self) -> bool:
        """Whether this is a response code, registered or not (2.00 to 5.31)."""
        return 0x40 <= self < 0xC0

    @property
    def isSuccess(self) -> bool:
        """Whether this is a 2.xx."""
        return self >> 5 == 2

    @property
    def isClientError(self) -> bool:
        """Whether this is a 4.xx."""
        return self >> 5 == 4

    @property
    def isServerError(self) -> bool:
        """Whether this is a 5.xx."""
        return self >> 5 == 5

    @property
    def isError(self) -> bool:
        """Whether this is a 4.xx or a 5.xx."""
        return 4 <= self >> 5 <= 5

    @property
    def isSignal(self) -> bool:
        """Whether this is a signalling code (7.xx, RFC 8323), which no datagram may carry."""
        return self >> 5 == 7

    def __str__(self) -> str:
        return self.phrase if self.isRequest and self in _PHRASES else f"{self.dotted} {self.phrase}"

    def __repr__(self) -> str:
        return f"<Code {self.dotted} {self.phrase}>"


def _fromText(text: str) -> Code | None:
    """A code from C{"4.04"}, C{"404"}, a method's or a code's name in any case; None if it is none."""
    text = text.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        whole, dot, detail = text.partition(".")
        if dot and len(whole) == 1 and len(detail) == 2 and int(detail) < 32 and int(whole) < 8:
            return _BYTES[int(whole) << 5 | int(detail)]
        return None if dot else _fromDigits(int(text))
    return _NAMES.get(text.upper().replace(" ", "_").replace("-", "_"))


def _fromDigits(number: int) -> Code | None:
    """
    A code from three decimal digits: 404 is 4.04; None if there is no such code byte. What means something in
    HTTP alone, 200 and 3xx, is taken for a mistake.
    """
    codeClass, detail = divmod(number, 100)
    if number == 200 or codeClass == 3:
        return None
    return _BYTES[codeClass << 5 | detail] if 2 <= codeClass < 8 and 0 <= detail < 32 else None


def _unregistered(byte: int) -> Code:
    code = int.__new__(Code, byte)
    code._name_ = f"CODE_{byte >> 5}_{byte & 31:02d}"
    code._value_ = byte
    return code


_SPELLED = {
    Code.IPATCH: "iPATCH",
    Code.UNSUPPORTED_CONTENT_FORMAT: "Unsupported Content-Format",
    Code.CSM: "CSM",
}
_PHRASES: dict[int, str] = {
    code: _SPELLED.get(code) or (code.name if code.isRequest else code.name.replace("_", " ").title())
    for code in Code
}
_NAMES = {code.name: code for code in Code} | {
    phrase.upper().replace(" ", "_").replace("-", "_"): Code(code) for code, phrase in _PHRASES.items()
}
WITHOUT_PAYLOAD = frozenset({Code.GET, Code.DELETE, Code.VALID, Code.CONTINUE})
"""The methods and codes that are not defined to have a payload (RFC 7252 5.5, 5.8, 5.9, RFC 7959 2.9.1)."""

_REGISTERED = {int(code): code for code in Code}
_BYTES = tuple(_REGISTERED[byte] if byte in _REGISTERED else _unregistered(byte) for byte in range(256))
