"""
What people type on the command line, and what it means: URIs, options, seconds, sizes.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import TypeVar

from ..block import MAX_EXPONENT
from ..definitions import BLOCK, EMPTY, FORMAT, OPAQUE, STRING, UINT, Pair, ValueFormat
from ..options import definitionOf
from ..transports.membership import requireInterface
from ..uri import DEFAULT_PORTS, URI

__all__ = [
    "argument",
    "bindAddress",
    "blockSize",
    "count",
    "hops",
    "interface",
    "listenPlace",
    "readOption",
    "readURI",
    "seconds",
    "token",
]

T = TypeVar("T")

_BLOCK_SIZES = tuple([str(16 << exponent) for exponent in range(MAX_EXPONENT + 1)])

# Not a host with its port.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?![0-9])")
_BIND = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[^\]]+)?)\]|([0-9.]*))(?::([0-9]{1,5}))?")
_HEXADECIMAL = re.compile(r"0[xX]((?:[0-9A-Fa-f]{2})*)")


def readURI(text: str) -> URI:
    """
    A URI as people type it: C{localhost/light}, C{[::1]/light} and C{:61616/light}, which is at this
    machine, stand for C{coap://localhost/light} and so on.

    @raise InvalidURI: if it is none.
    """
    if not _SCHEME.match(text):
        text = f"coap://{'localhost' if text.startswith(':') else ''}{text}"
    return URI.fromText(text)


def readOption(text: str) -> Pair:
    """
    An option from C{NUMBER,VALUE} or C{NAME,VALUE}, as its number and bytes.

    A value in hexadecimal is taken as it is, even where the option cannot have it.

    @raise ValueError: if it is none; the text says why.
    """
    name, comma, value = text.partition(",")
    isNumber = name.isascii() and name.isdigit()
    definition = definitionOf(int(name) if isNumber else name)
    if definition is None and not isNumber:
        raise ValueError(f"no option is called {name!r}; give its number, as in 2048,value")
    number = definition.number if definition else int(name)
    if not 0 < number <= 0xFFFF:
        raise ValueError(f"option numbers are from 1 to 65535, not {name}")
    if not comma and (definition is None or definition.format is not EMPTY):
        raise ValueError(f"write it with a comma and its value: {name},VALUE")
    raw = _fromHexadecimal(value)
    if raw is None and definition is None:
        raw = value.encode("utf-8", "surrogateescape")
    if raw is not None:
        return number, raw
    assert definition is not None
    return number, definition.encode(_READERS[definition.format](value))


def _uint(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise ValueError(f"this option takes a whole number, such as 60, not {value!r}")
    return int(value)


def _empty(value: str) -> bool:
    if value:
        raise ValueError(f"this option has no value; leave out {value!r}")
    return True


_READERS: dict[ValueFormat, Callable[[str], object]] = {
    BLOCK: _uint,
    EMPTY: _empty,
    FORMAT: str,
    OPAQUE: lambda value: value.encode("utf-8", "surrogateescape"),
    STRING: str,
    UINT: _uint,
}


def _fromHexadecimal(text: str) -> bytes | None:
    """The bytes of C{0x...}; None for text that is not meant so."""
    if text[:2] not in ("0x", "0X"):
        return None
    match = _HEXADECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"after 0x come pairs of hexadecimal digits, not {text[2:]!r}")
    return bytes.fromhex(match[1])


def token(text: str) -> bytes:
    """
    A token, as text or after C{0x} in hexadecimal.

    @raise ValueError: if it is longer than 8 bytes.
    """
    raw = _fromHexadecimal(text)
    value = text.encode("utf-8", "surrogateescape") if raw is None else raw
    if len(value) > 8:
        raise ValueError(f"a token has at most 8 bytes, not {len(value)}")
    return value


def seconds(text: str) -> float:
    """
    A number of seconds above 0.

    @raise ValueError: if it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"seconds are a number above 0, such as 2.5, not {text!r}")
    return value


def blockSize(text: str) -> int:
    """
    The size of a block (RFC 7959 2.2).

    @raise ValueError: if it is none.
    """
    if text not in _BLOCK_SIZES:
        raise ValueError(f"a block has {', '.join(_BLOCK_SIZES)} bytes, not {text!r}")
    return int(text)


def count(text: str) -> int:
    """
    A whole number from 1 up.

    @raise ValueError: if it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0):
        raise ValueError(f"a whole number from 1 up, not {text!r}")
    return int(text)


def hops(text: str) -> int:
    """
    How many networks a request reaches: up to 255.

    @raise ValueError: if it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text[:4]) <= 255):
        raise ValueError(f"hops are a whole number up to 255, not {text!r}")
    return int(text)


def bindAddress(text: str) -> tuple[str, int]:
    """
    An address to send from, and a port if one is given: C{192.0.2.1}, C{[::1]:5683}, C{:5683}.

    @raise ValueError: if it is none.
    """
    match = _BIND.fullmatch(text)
    host = "" if match is None else match[1] or match[2]
    if match is None or not (host or match[3]) or int(match[3] or 0) > 0xFFFF:
        raise ValueError(f"an address with or without a port, such as 192.0.2.1 or [::1]:5683, not {text!r}")
    return host, int(match[3] or 0)


def listenPlace(text: str) -> str:
    """
    Where to listen: C{192.0.2.1}, C{[::1]:5683}, C{:5683}, or as
    L{serverFromString<txcoap.endpoints.serverFromString>} takes it.

    @return: The latter.
    @raise ValueError: if it is an address that cannot be.
    """
    if not _BIND.fullmatch(text):
        return text
    host, port = bindAddress(text)
    # As an address to send from, any port will do; to listen at, CoAP's own.
    isPortGiven = ":" in text.rpartition("]")[2]
    place = f"udp:{port if isPortGiven else DEFAULT_PORTS['coap']}"
    literal = host.replace(":", r"\:")
    return f"{place}:interface={literal}" if host else place


def interface(text: str) -> str:
    """
    The name of a network interface.

    @raise ValueError: if it is none.
    """
    requireInterface(text)
    return text


def argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """For C{type=}: argparse shows the text of no other error than its own."""

    def readArgument(text: str) -> T:
        try:
            return read(text)
        except ValueError as e:
            raise argparse.ArgumentTypeError(str(e)) from None

    return readArgument
