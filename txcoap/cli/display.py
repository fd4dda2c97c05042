"""
Messages and links in words, for people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..addresses import addressOf, describeAddress
from ..block import Block
from ..codes import Code
from ..definitions import FORMAT, OPAQUE, STRING, Pair
from ..errors import FormatError, MalformedOption
from ..formats import formatName
from ..linkformat import Link
from ..message import Response
from ..options import DEFINITIONS
from ..sansio.datagrams import ACK, CON, RST, decode
from .colors import PLAIN, Paint, printable

__all__ = [
    "MessageLog",
    "codeLine",
    "columns",
    "describeMessage",
    "describeOption",
    "describeState",
    "inColumns",
    "isDiagnostic",
    "table",
    "textOf",
    "tree",
]

SHOWN_BYTES = 64
"""How many bytes of a payload are shown."""

DEEPEST = 64
"""How many segments of a path are branches of a tree."""

REMEMBERED = 1000
"""How many of the last messages a log knows again."""

_COLORS = {"sent": "cyan", "received": "blue"}
_ARROWS = {"sent": "->", "received": "<-"}


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
    name = _resourceName(message.options.pairs) if message.code.isRequest else ""
    meaning = _MEANINGS.get(message.type, "") if message.code is Code.EMPTY else ""
    yield f"{message.type.name} {message.code}{name}, ID {message.messageID}{token}{meaning}"
    for pair in message.options.pairs:
        if not (name and pair[0] in (_PATH, _QUERY)):
            yield describeOption(pair)
    if message.payload:
        yield f"{_count(message.payload)}: {_start(message.payload)}"


# What a message without a code says (RFC 7252 4.2, 4.3, 5.2.2).
_MEANINGS = {
    CON: ": a ping",
    ACK: ": it has it, and answers later",
    RST: ": rejected; or the answer to a ping",
}

_PATH, _QUERY = 11, 15


def _resourceName(pairs: Iterable[Pair]) -> str:
    """Path and query as in a URI, after a space; C{""} if there are none, or they are no text."""
    path, query = [], []
    try:
        for number, data in pairs:
            if number == _PATH:
                path.append(quote(data.decode("utf-8"), safe="!$&'()*+,;=:@"))
            elif number == _QUERY:
                query.append(quote(data.decode("utf-8"), safe="!$'()*+,;=:@/?"))
    except UnicodeDecodeError:
        return ""
    mark = "?" if query else ""
    return f" /{'/'.join(path)}{mark}{'&'.join(query)}" if path or query else ""


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
    @param paint: Colours what is sent and what is received.
    """

    def __init__(
        self, write: Callable[[str], None], seconds: Callable[[], float], paint: Paint = PLAIN
    ) -> None:
        self._write = write
        self._seconds = seconds
        self._began = seconds()
        self._paint = paint
        self._seen: dict[tuple[str, bytes, Hashable], None] = {}

    def __call__(self, direction: str, data: bytes, peer: Hashable) -> None:
        """A message went by; see L{Trace<txcoap.protocol.Trace>}."""
        head, *details = describeMessage(data)
        again = " (again)" if (direction, data, peer) in self._seen else ""
        self._seen[direction, data, peer] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        server = describeAddress(addressOf(peer))
        elapsed = self._seconds() - self._began
        line = f"{_ARROWS[direction]} {server}: {head}{again}"
        self._write(f"{elapsed:7.3f} s {self._paint(line, _COLORS[direction])}")
        if not again:
            for line in details:
                self._write(self._paint(f"{'':13}{line}", "dim"))


def tree(links: Iterable[Link]) -> Iterator[str]:
    """The paths of links as the lines of a tree, each with what is at it."""
    root: dict[str, Any] = {}
    titles: dict[int, str] = {}
    for link in links:
        node = root
        for segment in link.target.partition("?")[0].strip("/").split("/", DEEPEST):
            node = node.setdefault(segment, {})
        row = _row(link)
        named = [row["title"], row["rt"] and f"rt={row['rt']}", row["ct"], row["obs"] and "obs"]
        titles[id(node)] = "  ".join(part for part in named if part)
    yield from _branches(root, titles, "")


def _branches(node: dict[str, Any], titles: dict[int, str], margin: str) -> Iterator[str]:
    last = len(node) - 1
    for place, (segment, below) in enumerate(sorted(node.items())):
        corner, line = ("└── ", "    ") if place == last else ("├── ", "│   ")
        name = f"{margin}{corner}{printable(segment)}{'/' if below or not segment else ''}"
        yield f"{name}  {titles.get(id(below), '')}".rstrip()
        yield from _branches(below, titles, margin + line)


def columns(links: Iterable[Link]) -> tuple[list[str], list[dict[str, str]]]:
    """The names of the columns that any link has something in, and each link by them."""
    rows = [_row(link) for link in links]
    return [name for name in _COLUMNS if any(row[name] for row in rows)], rows


def table(links: Iterable[Link]) -> Iterator[str]:
    """Links as the lines of a table, with the columns that any of them has something in."""
    return inColumns(*columns(links))


def inColumns(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """
    The lines of a table, below the names of its columns.

    @param names: The columns to show, of those that each row has.
    """
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
