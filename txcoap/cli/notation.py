"""
CBOR as text, in diagnostic notation (RFC 8949 8), and SenML as a table (RFC 8428).

CBOR is read by the package cbor2 (C{pip install txcoap[cli]}).
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from .colors import printable
from .display import inColumns

__all__ = ["diagnostic", "readCBOR", "readCBORSequence", "recordsTable", "writeCBOR"]

DEEPEST = 64
"""How deep arrays and maps may be nested to be laid out."""

# The tags by which an item stands for one that came before: 29 for any value, 25 for a string. A byte string
# may hold the same bytes by chance.
_REFERENCE = re.compile(rb"(?:\xd8|\xd9\0|\xda\0{3}|\xdb\0{7})[\x19\x1d]")

# RFC 8428 6: the labels of SenML in CBOR, and their names in JSON.
_LABELS = {
    -6: "bs",
    -5: "bv",
    -4: "bu",
    -3: "bt",
    -2: "bn",
    -1: "bver",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}

# RFC 8428 4.5.3: a time below this is relative to now.
_ABSOLUTE = 2**28


def readCBOR(body: bytes) -> Any:
    """
    What a body in CBOR says.

    @raise ImportError: without cbor2.
    @raise ValueError: if it is none.
    """
    values = readCBORSequence(body)
    if len(values) != 1:
        raise ValueError(f"{len(values)} items where there is to be one")
    return values[0]


def readCBORSequence(body: bytes) -> list[Any]:
    """
    What a body says that is a row of CBOR items (RFC 8742).

    @raise ImportError: without cbor2.
    @raise ValueError: if it is none, or may refer to parts of itself: by such references a hundred bytes
        stand for more than there is memory for, and cbor2 follows them.
    """
    import cbor2

    if _REFERENCE.search(body):
        raise ValueError("it may refer to parts of itself")
    stream = io.BytesIO(body)
    decoder = cbor2.CBORDecoder(stream)
    values = []
    try:
        while stream.tell() < len(body):
            values.append(decoder.decode())
    except (cbor2.CBORDecodeError, RecursionError) as e:
        raise ValueError(str(e)) from None
    return values


def writeCBOR(text: str) -> bytes:
    """
    JSON as CBOR (RFC 8949 6.2).

    @raise ImportError: without cbor2.
    @raise ValueError: if it is no JSON.
    """
    import cbor2

    try:
        body: bytes = cbor2.dumps(json.loads(text))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return body


def diagnostic(value: Any, indent: int | None = None, depth: int = 0) -> str:
    """
    A value that was read from CBOR, in diagnostic notation.

    @param indent: Spaces by which each level is indented; None for all on one line.
    @raise ValueError: if it is nested too deeply.
    """
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, Mapping):
        items = [
            f"{diagnostic(key, None, depth + 1)}: {diagnostic(each, indent, depth + 1)}"
            for key, each in value.items()
        ]
        return _enclose("{", items, "}", indent, depth)
    if isinstance(value, (list, tuple)):
        return _enclose("[", [diagnostic(each, indent, depth + 1) for each in value], "]", indent, depth)
    kind = next((kind for kind in _SIMPLE if isinstance(value, kind)), None)
    if kind is not None:
        return _SIMPLE[kind](value)
    if type(value).__name__ == "CBORTag":
        return f"{value.tag}({diagnostic(value.value, indent, depth)})"
    # What the library makes of tags and simple values: times, addresses, big fractions, undefined.
    return str(value)


def _enclose(opening: str, items: list[str], closing: str, indent: int | None, depth: int) -> str:
    if not items or indent is None:
        return f"{opening}{', '.join(items)}{closing}"
    margin = " " * indent * depth
    inner = ",\n".join(f"{margin}{'':{indent}}{item}" for item in items)
    return f"{opening}\n{inner}\n{margin}{closing}"


def _float(value: float) -> str:
    special = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return "NaN" if math.isnan(value) else special.get(value, repr(value))


_SIMPLE: dict[type, Callable[[Any], str]] = {
    # Before int, which it is, too.
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
    str: lambda value: json.dumps(value, ensure_ascii=False),
    bytes: lambda value: f"h'{value.hex()}'",
    int: str,
    float: _float,
}


def recordsTable(pack: Any) -> Iterator[str]:
    """
    A SenML pack as the lines of a table: its records resolved (RFC 8428 4.6), less what stays as it is.

    @param pack: As JSON or CBOR had it.
    @raise ValueError: if it is none.
    """
    if not (isinstance(pack, list) and pack and all(isinstance(record, dict) for record in pack)):
        raise ValueError("a SenML pack is a list of records")
    base: dict[str, Any] = {}
    rows = []
    for record in pack:
        named = {_LABELS.get(key, str(key)) if isinstance(key, int) else key: record[key] for key in record}
        base |= {name: value for name, value in named.items() if name in _BASES}
        rows.append(_resolve(named, base))
    names = [name for name in ("time", "name", "value", "unit", "more") if any(row[name] for row in rows)]
    return inColumns(names, rows)


_BASES = frozenset({"bn", "bt", "bu", "bv", "bs", "bver"})
_VALUES = ("v", "vs", "vb", "vd")
_KNOWN = _BASES | {"n", "t", "u", *_VALUES}


def _resolve(record: dict[str, Any], base: dict[str, Any]) -> dict[str, str]:
    try:
        time = base.get("bt", 0) + record.get("t", 0)
        value = next((record[name] for name in _VALUES if name in record), None)
        if "v" in record:
            value = base.get("bv", 0) + value
        row = {
            "time": _time(time),
            "name": f"{base.get('bn', '')}{record.get('n', '')}",
            "value": value if isinstance(value, str) else "" if value is None else diagnostic(value),
            "unit": str(record.get("u", base.get("bu", ""))),
            "more": " ".join(f"{name}={record[name]}" for name in record if name not in _KNOWN),
        }
    except (OSError, OverflowError, TypeError) as e:
        raise ValueError(str(e)) from None
    return {name: printable(text) for name, text in row.items()}


def _time(seconds: float) -> str:
    if abs(seconds) < _ABSOLUTE:
        return f"{seconds:+g} s" if seconds else ""
    time = datetime.fromtimestamp(seconds, timezone.utc)
    return time.isoformat(" ", "milliseconds" if seconds % 1 else "seconds").replace("+00:00", "Z")
