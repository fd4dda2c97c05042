"""
Bodies laid out for people, each by its content format; in hexadecimal what is no text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ..formats import LINK_FORMAT, formatName
from ..linkformat import parse
from ..message import Response
from .colors import printable
from .display import table
from .notation import diagnostic, readCBOR, readCBORSequence, recordsTable

__all__ = ["LARGEST_SHOWN", "hexDump", "layOut"]

LARGEST_SHOWN = 4096
"""Bytes of which there are lines in hexadecimal; more would be looked at by another program."""

_INDENT = 2


def layOut(response: Response) -> str:
    """
    A body for people: by its content format if it is as that says, else as text, else in hexadecimal.

    @return: Lines, in which nothing acts on a terminal.
    """
    body = response.payload
    read = _READERS.get(_kindOf(response.contentFormat))
    if read is not None:
        try:
            return "\n".join(printable(line) for line in read(body).split("\n"))
        except (ImportError, RecursionError, ValueError):
            # A body that is not what it says is shown as what it is.
            pass
    try:
        return "\n".join(printable(line) for line in body.decode("utf-8").rstrip("\r\n").splitlines())
    except UnicodeDecodeError:
        return "\n".join(hexDump(body))


def _kindOf(number: int | None) -> str:
    """What a content format is read as: C{"json"}, C{"senml+cbor"}, …; C{""} for any other."""
    if number is None:
        return ""
    if number == LINK_FORMAT:
        return "link-format"
    name = formatName(number).partition("@")
    subtype = name[0].partition(";")[0].partition("/")[2]
    if name[1] or subtype in _READERS:
        return "" if name[1] else subtype
    return subtype.rpartition("+")[2]


def _links(body: bytes) -> str:
    return "\n".join(table(parse(body.decode("utf-8"), lenient=True)))


def _json(body: bytes) -> str:
    return json.dumps(json.loads(body), ensure_ascii=False, indent=_INDENT)


def _cbor(body: bytes) -> str:
    return diagnostic(readCBOR(body), _INDENT)


def _cborSequence(body: bytes) -> str:
    return "\n".join(diagnostic(each, _INDENT) for each in readCBORSequence(body))


def _records(read: Callable[[bytes], Any]) -> Callable[[bytes], str]:
    return lambda body: "\n".join(recordsTable(read(body)))


_READERS: dict[str, Callable[[bytes], str]] = {
    "link-format": _links,
    "json": _json,
    "cbor": _cbor,
    "cbor-seq": _cborSequence,
    "senml+json": _records(json.loads),
    "sensml+json": _records(json.loads),
    "senml+cbor": _records(readCBOR),
    "sensml+cbor": _records(readCBOR),
}


def hexDump(body: bytes) -> Iterator[str]:
    """The lines of a body in hexadecimal, 16 bytes each, with their place and what of them is ASCII."""
    for start in range(0, min(len(body), LARGEST_SHOWN), 16):
        row = body[start : start + 16]
        digits = f"{row[:8].hex(' '):23}  {row[8:].hex(' '):23}"
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{start:08x}  {digits}  |{text}|"
    if len(body) > LARGEST_SHOWN:
        yield f"and {len(body) - LARGEST_SHOWN} bytes more; --raw or --output FILE writes them all"
