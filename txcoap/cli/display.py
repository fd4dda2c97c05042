"""
Messages and links in words, for people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator

from ..addresses import addressOf, describeAddress
from ..block import Block
from ..definitions import FORMAT, OPAQUE, STRING, Pair
from ..errors import FormatError, MalformedOption
from ..formats import formatName
from ..linkformat import Link
from ..message import Response
from ..options import DEFINITIONS
from ..sansio.datagrams import decode

__all__ = [
    "MessageLog",
    "codeLine",
    "describeMessage",
    "describeOption",
    "describeState",
    "isDiagnostic",
    "printable",
    "table",
    "textOf",
]

SHOWN_BYTES = 64
"""How many bytes of a payload are shown."""

_ARROWS = {"sent": "->", "received": "<-"}


def printable(text: str) -> str:
    r"""
    Text that does nothing to a terminal: what is not printable is escaped, as in C{"\x1b"}.
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def describeOption(pair: Pair) -> str:
    """An option as a person would read it: C{"Content-Format: application/cbor (60)"}."""
    number, data = pair
    definition = DEFINITIONS.get(number)
    if definition is None:
        return f"Option {number}: {_bytes(data)}"
    if definition.format is OPAQUE or not definition.allows(data):
        return f"{definition.name}: {_bytes(data)}"
    try:
        value = definition.decode(data)
    except MalformedOption:
        return f"{definition.name}: {_bytes(data)}"
    if isinstance(value, Block):
        value = f"block {value.number}{', more to come' if value.more else ''}, size {value.size}"
    elif definition.format is FORMAT:
        value = _formatWithNumber(value)
    elif definition.format is STRING:
        value = printable(value)
    elif value is True:
        return definition.name
    return f"{definition.name}: {value}"


def describeMessage(data: bytes) -> Iterator[str]:
    """
    The lines that tell a message to a person: the first has type, code, ID and token, the others an
    option each, and the payload's size and start.

    @param data: A datagram, well formed or not.
    """
    try:
        message = decode(data)
    except FormatError as e:
        yield f"no CoAP message ({e.reason}), {_count(data)}: {_start(data)}"
        return
    token = f", token {message.token.hex()}" if message.token else ""
    yield f"{message.type.name} {message.code}, ID {message.messageID}{token}"
    for pair in message.options.pairs:
        yield describeOption(pair)
    if message.payload:
        yield f"{_count(message.payload)}: {_start(message.payload)}"


def isDiagnostic(response: Response) -> bool:
    """Whether the payload is a text for people, and no representation (RFC 7252 5.5.2)."""
    return response.code.isError and response.contentFormat is None


def codeLine(response: Response, size: int) -> str:
    """
    The line that tells a response to a person, without its body.

    @param size: Bytes of the body.
    """
    line = str(response.code)
    if isDiagnostic(response) and response.payload:
        line += f": {response.payload.decode('utf-8', 'replace').strip()}"
    elif response.contentFormat is not None:
        line += f" ({formatName(response.contentFormat)}, {size} bytes)"
    if response.location:
        line += f", at {response.location}"
    return printable(line)


def textOf(state: Response) -> str | None:
    """A state as text; None if it is no text."""
    try:
        return state.payload.decode("utf-8")
    except UnicodeDecodeError:
        return None


def describeState(state: Response) -> str:
    """A state for people: text without what a terminal would act on, or hexadecimal digits."""
    text = textOf(state)
    if text is None:
        return f"0x{state.payload.hex()}"
    return "\n".join(map(printable, text.rstrip("\r\n").splitlines()))


class MessageLog:
    """
    A trace of an L{Agent<txcoap.client.Agent>} that tells each message.

    @param write: Takes each line.
    @param seconds: Tells the time in seconds.
    """

    def __init__(self, write: Callable[[str], None], seconds: Callable[[], float]) -> None:
        self._write = write
        self._seconds = seconds
        self._began = seconds()
        self._seen: set[tuple[str, bytes, Hashable]] = set()

    def __call__(self, direction: str, data: bytes, peer: Hashable) -> None:
        """A message went by; see L{Trace<txcoap.protocol.Trace>}."""
        head, *details = describeMessage(data)
        again = " (again)" if (direction, data, peer) in self._seen else ""
        self._seen.add((direction, data, peer))
        server = describeAddress(addressOf(peer))
        elapsed = self._seconds() - self._began
        self._write(f"{elapsed:7.3f} s {_ARROWS[direction]} {server}: {head}{again}")
        if not again:
            for line in details:
                self._write(f"{'':13}{line}")


def table(links: Iterable[Link]) -> Iterator[str]:
    """Links as the lines of a table, with the columns that any of them has something in."""
    rows = [_row(link) for link in links]
    names = [name for name in _COLUMNS if any(row[name] for row in rows)]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    for row in ({name: name.upper() for name in names}, *rows):
        yield "  ".join(row[name].ljust(widths[name]) for name in names).rstrip()


_IN_COLUMNS = frozenset({"rt", "if", "ct", "sz", "obs", "title"})

_COLUMNS: dict[str, Callable[[Link], str]] = {
    "path": lambda link: link.target,
    "rt": lambda link: " ".join(link.rt),
    "if": lambda link: " ".join(link.ifs),
    "ct": lambda link: ", ".join(map(formatName, link.ct)),
    "sz": lambda link: link.get("sz") or "",
    "obs": lambda link: "yes" if link.obs else "",
    "title": lambda link: link.title or "",
    "more": lambda link: " ".join(
        name if value is None else f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in link.attributes
        if name not in _IN_COLUMNS
    ),
}


def _row(link: Link) -> dict[str, str]:
    return {name: printable(read(link)) for name, read in _COLUMNS.items()}


def _formatWithNumber(number: int) -> str:
    name = formatName(number)
    return name if name == str(number) else f"{name} ({number})"


def _bytes(data: bytes) -> str:
    return f"0x{data.hex()}"


def _count(data: bytes) -> str:
    return "1 byte" if len(data) == 1 else f"{len(data)} bytes"


def _start(data: bytes) -> str:
    """The start of a payload: as text if it is text, else in hexadecimal."""
    start = data[:SHOWN_BYTES]
    rest = " ..." if len(data) > SHOWN_BYTES else ""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return start.hex(" ") + rest
    # The cut may go through a character.
    return printable(json.dumps(start.decode("utf-8", "ignore"), ensure_ascii=False)) + rest
