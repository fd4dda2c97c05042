"""
A CoAP message over UDP, to and from bytes (RFC 7252 3)::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |Ver| T |  TKL  |      Code     |          Message ID           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |   Token (if any, TKL bytes) ...
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |   Options (if any) ...
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |1 1 1 1 1 1 1 1|    Payload (if any) ...
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Strict both ways: whatever a peer sends, L{decode} returns a L{Datagram} or raises L{FormatError}.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from ..codes import Code
from ..errors import FormatError
from ..options import NO_OPTIONS, Options
from . import optionlist
from .optionlist import PAYLOAD_MARKER, REMEMBERED_LENGTH, recall

__all__ = ["Datagram", "Type", "decode", "empty", "encode"]

VERSION = 1
MAX_TOKEN_LENGTH = 8

_MARKER = bytes([PAYLOAD_MARKER])

_packHeader = Struct("!BBH").pack
_new = object.__new__


class Type(IntEnum):
    """The type of a message (RFC 7252 4.2, 4.3)."""

    CON = 0
    NON = 1
    ACK = 2
    RST = 3


CON, NON, ACK, RST = Type
_TYPES = tuple(Type)
_CODES = tuple(map(Code.fromByte, range(256)))
# What the first byte says: the type, where the token ends, and how code, message ID and token are read; None
# if the version or the token's length is none.
_FIRST = tuple(
    (_TYPES[byte >> 4 & 3], 4 + (byte & 15), Struct(f"!xBH{byte & 15}s").unpack_from)
    if byte >> 6 == VERSION and byte & 15 <= MAX_TOKEN_LENGTH
    else None
    for byte in range(256)
)


class Datagram:
    """
    One message.

    @ivar type: A L{Type}.
    @ivar code: A L{Code}.
    @ivar messageID: 0 to 65535.
    @ivar token: 0 to 8 bytes.
    @ivar options: Its L{Options<txcoap.options.Options>}.
    @ivar payload: Bytes; empty if there is none.
    """

    __slots__ = ("code", "messageID", "options", "payload", "token", "type")

    def __init__(
        self,
        type: Type,
        code: Code,
        messageID: int,
        token: bytes = b"",
        options: Options = NO_OPTIONS,
        payload: bytes = b"",
    ) -> None:
        self.type = type
        self.code = code
        self.messageID = messageID
        self.token = token
        self.options = options
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Datagram):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Datagram.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        token = f" token {self.token.hex()}" if self.token else ""
        options = f" {self.options!r}" if self.options else ""
        payload = f" {len(self.payload)} bytes" if self.payload else ""
        return f"<{self.type.name} {self.code} ID {self.messageID}{token}{options}{payload}>"


_KINDS: tuple[type[Datagram], ...] = 256 * (Datagram,)


def decode(data: bytes, kinds: tuple[type[Datagram], ...] = _KINDS) -> Datagram:
    """
    Read a datagram.

    @param kinds: What to make of it, for each code.
    @raise FormatError: if it is no message of version 1. The error carries type and message ID if its
        sender can be told so (RFC 7252 4.2); both are None if the version is unknown or the header
        incomplete, which is to be ignored in silence (RFC 7252 3).
    """
    if len(data) < 4:
        raise FormatError("shorter than the header of 4 bytes")
    known = _FIRST[data[0]]
    if known is None or known[1] > len(data):
        raise _refuse(data)
    type, body, read = known
    code: int
    messageID: int
    code, messageID, token = read(data)
    if not code and len(data) > 4:
        raise FormatError("empty message with more than a header", type, messageID)
    # The first 0xFF may as well be part of a value; then what precedes it is no whole option list.
    head, marker, payload = data[body:].partition(_MARKER)
    options = None
    if len(head) <= REMEMBERED_LENGTH and (payload or not marker):
        options = recall(head)
    if options is None:
        try:
            options, payload = optionlist.decode(data[body:])
        except FormatError as e:
            raise FormatError(e.reason, type, messageID) from None
    # As Datagram.__init__ does; to be called from the outside takes it longer than all of this.
    datagram = _new(kinds[code])
    datagram.type = type
    datagram.code = _CODES[code]
    datagram.messageID = messageID
    datagram.token = token
    datagram.options = options
    datagram.payload = payload
    return datagram


def _refuse(data: bytes) -> FormatError:
    """What is wrong with a header."""
    first, messageID = data[0], int.from_bytes(data[2:4], "big")
    if first >> 6 != VERSION:
        return FormatError(f"version {first >> 6}, not {VERSION}")
    tokenLength = first & 15
    type = _TYPES[first >> 4 & 3]
    if tokenLength > MAX_TOKEN_LENGTH:
        return FormatError(f"token length {tokenLength}, beyond 8", type, messageID)
    return FormatError("token cut short", type, messageID)


def encode(
    type: int,
    code: int,
    messageID: int,
    token: bytes = b"",
    options: Options = NO_OPTIONS,
    payload: bytes = b"",
) -> bytes:
    """
    Write a datagram.

    @raise ValueError: if the token has more than 8 bytes.
    """
    tokenLength = len(token)
    if tokenLength > MAX_TOKEN_LENGTH:
        raise ValueError(f"a token has at most {MAX_TOKEN_LENGTH} bytes, not {tokenLength}")
    head = _packHeader(0x40 | type << 4 | tokenLength, code, messageID)
    wire = options.wire
    if wire is None:
        wire = optionlist.encode(options)
    return b"".join((head, token, wire, _MARKER, payload) if payload else (head, token, wire))


def empty(type: int, messageID: int) -> bytes:
    """An empty message: an acknowledgement, a Reset or, confirmable, a ping (RFC 7252 4.1)."""
    return _packHeader(0x40 | type << 4, 0, messageID)
