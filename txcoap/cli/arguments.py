"""
The command line of C{txcoap}: its subcommands, flags and help, and what their values mean.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from .. import __version__
from ..block import MAX_EXPONENT
from ..codes import Code
from ..definitions import BLOCK, EMPTY, FORMAT, OPAQUE, STRING, UINT, Pair, ValueFormat
from ..formats import contentFormat
from ..options import definitionOf
from ..parameters import PRESETS, Parameters
from ..transports.membership import requireInterface
from ..uri import URI
from .display import printable
from .failures import EXITS, Exit

__all__ = ["METHODS", "Arguments", "parse", "readOption", "readURI"]

T = TypeVar("T")

METHODS = {
    "get": Code.GET,
    "put": Code.PUT,
    "post": Code.POST,
    "delete": Code.DELETE,
    "fetch": Code.FETCH,
    "patch": Code.PATCH,
    "ipatch": Code.IPATCH,
}
"""The subcommands that send a request."""

_WITH_BODY = frozenset({"put", "post", "fetch", "patch", "ipatch"})

_DESCRIPTIONS = {
    "get": "get a representation of a resource",
    "put": "make the body the resource's representation",
    "post": "give the body to a resource to process",
    "delete": "delete a resource",
    "fetch": "get the part of a resource that the body asks for (RFC 8132)",
    "patch": "change a resource as the body says (RFC 8132)",
    "ipatch": "likewise, and twice is as good as once (RFC 8132)",
    "ping": "ask whether a CoAP endpoint is there",
    "discover": "list a server's resources (RFC 6690)",
    "observe": "watch a resource: each state as it comes (RFC 7641)",
}

PING_TIMEOUT = 10.0
"""Seconds that C{ping} waits for each answer by default; lost messages are repeated meanwhile."""

_BLOCK_SIZES = tuple([str(16 << exponent) for exponent in range(MAX_EXPONENT + 1)])

# Not a host with its port.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?![0-9])")
_HEXADECIMAL = re.compile(r"0[xX]((?:[0-9A-Fa-f]{2})*)")


class Arguments(argparse.Namespace):
    """What the command line says. What a subcommand has no flag for is as by default here."""

    command: str
    uri: URI
    refuse: Callable[[str], NoReturn]
    confirmable: bool = True
    text: str | None = None
    file: str | None = None
    hasBody: bool = False
    contentFormat: int | None = None
    accept: int | None = None
    pairs: Sequence[Pair] = ()
    token: bytes | None = None
    timeout: float | None = None
    parameters: Parameters | None = None
    proxy: URI | None = None
    output: str | None = None
    showCode: bool = False
    blockSize: int = 1024
    verbose: bool = False
    quiet: bool = False
    raw: bool = False
    count: int = 1
    interval: float = 1.0
    duration: float | None = None
    timestamps: bool = False
    interface: str = ""
    hops: int | None = None
    json: bool = False
    lazy: bool = False
    plot: bool = False


def parse(arguments: Sequence[str]) -> Arguments:
    """
    Read a command line, less the program's name.

    @raise SystemExit: after help or the version was printed, or for what is wrong, which is told.
    """
    return _parser().parse_args(arguments, namespace=Arguments())


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


def _token(text: str) -> bytes:
    raw = _fromHexadecimal(text)
    token = text.encode("utf-8", "surrogateescape") if raw is None else raw
    if len(token) > 8:
        raise ValueError(f"a token has at most 8 bytes, not {len(token)}")
    return token


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds are a number above 0, such as 2.5, not {text!r}")
    return seconds


def _blockSize(text: str) -> int:
    if text not in _BLOCK_SIZES:
        raise ValueError(f"a block has {', '.join(_BLOCK_SIZES)} bytes, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0):
        raise ValueError(f"a whole number from 1 up, not {text!r}")
    return int(text)


def _hops(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:4]) <= 255):
        raise ValueError(f"hops are a whole number up to 255, not {text!r}")
    return int(text)


def _interface(text: str) -> str:
    requireInterface(text)
    return text


def _argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """For C{type=}: argparse shows the text of no other error than its own."""

    def readArgument(text: str) -> T:
        try:
            return read(text)
        except ValueError as e:
            raise argparse.ArgumentTypeError(str(e)) from None

    return readArgument


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def __init__(self, **how: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **how)

    def error(self, message: str) -> NoReturn:
        self.refuse(f"{message} (see {self.prog} --help)")

    def refuse(self, message: str) -> NoReturn:
        """Exit before anything was sent."""
        self.exit(int(Exit.USAGE), f"{self.prog}: {printable(message)}\n")


_EXAMPLES = """examples:
  txcoap get coap://localhost/hello
  txcoap put -e off -t text/plain localhost/light
  txcoap post -f reading.cbor -t cbor 'coap://[2001:db8::1]/log'
  sensors | txcoap put -t json localhost/sensors
  txcoap discover localhost
  txcoap discover -B 6 224.0.1.187
  txcoap observe --timestamps localhost/temperature

txcoap COMMAND --help tells a command's flags.
"""


def _parser() -> _Parser:
    exits = "\n".join(f"  {int(code):<5}{meaning}" for code, meaning in EXITS.items())
    epilog = f"{_EXAMPLES}\nexit codes:\n{exits}\n"
    parser = _Parser(prog="txcoap", description="Ask CoAP servers (RFC 7252).", epilog=epilog)
    parser.add_argument("--version", action="version", version=f"txcoap {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for command, description in _DESCRIPTIONS.items():
        added = subparsers.add_parser(
            command,
            help=description,
            description=f"{description[0].upper()}{description[1:]}.",
            epilog=f"exit codes:\n{exits}\n",
        )
        added.set_defaults(hasBody=command in _WITH_BODY, refuse=added.refuse)
        _addCommon(added)
        _ADDITIONS.get(command, _addRequest)(added)
        if command in _WITH_BODY:
            _addBody(added)
    return parser


def _addCommon(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "uri",
        metavar="URI",
        type=_argument(readURI),
        help="coap://HOST[:PORT]/PATH?QUERY; coap:// may be left out, :PORT alone is at localhost",
    )
    parser.add_argument(
        "-B",
        "--timeout",
        metavar="SECONDS",
        type=_argument(_seconds),
        help="give up after so long, looking the name up included (default: 93 s without an "
        f"acknowledgement, 247 s after one; ping: {PING_TIMEOUT:g} s); of a group, take answers for so long "
        "(default: 20 s)",
    )
    parser.add_argument(
        "--timing",
        metavar="NAME",
        dest="parameters",
        type=_argument(Parameters.fromText),
        help=f"the transmission parameters: {', '.join(PRESETS)}, changes such as ACK_TIMEOUT=5,NSTART=4, "
        "or both (slow,MAX_RETRANSMIT=1)",
    )
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", help="show each message on standard error")
    loudness.add_argument(
        "-q", "--quiet", action="store_true", help="write no code and no failure: the exit code tells"
    )


def _addAsking(parser: argparse.ArgumentParser) -> None:
    """What a request has, of whatever method."""
    parser.add_argument(
        "-N", "--non", dest="confirmable", action="store_false", help="send it non-confirmable"
    )
    parser.add_argument(
        "-O",
        "--option",
        metavar="NAME,VALUE",
        dest="pairs",
        action="append",
        default=[],
        type=_argument(readOption),
        help="add an option, by number or name (4,0x1f2e; If-None-Match; Uri-Query,a=b); repeatable; "
        "the value is text, a number where the option has one, or bytes as 0x and hexadecimal digits",
    )
    parser.add_argument(
        "-T",
        "--token",
        metavar="TOKEN",
        type=_argument(_token),
        help="the token, as text or 0x and hexadecimal digits, up to 8 bytes (default: random)",
    )
    parser.add_argument(
        "-b",
        "--block-size",
        dest="blockSize",
        metavar="BYTES",
        type=_argument(_blockSize),
        default=1024,
        help="send and ask for large bodies in blocks of so many bytes: 16, 32, … 1024 (default: 1024)",
    )
    parser.add_argument(
        "-P",
        "--proxy",
        metavar="URI",
        type=_argument(readURI),
        help="ask through this forward proxy, HOST[:PORT]",
    )
    parser.add_argument(
        "--code", dest="showCode", action="store_true", help="write the code also of a 2.xx to standard error"
    )


def _addGroup(parser: argparse.ArgumentParser) -> None:
    """What matters where the URI's host is a multicast address."""
    group = parser.add_argument_group(
        "multicast", "where the host is a multicast address, each answer is written with its sender"
    )
    group.add_argument(
        "--interface",
        metavar="NAME",
        default="",
        type=_argument(_interface),
        help="the network interface to send by (default: the system chooses)",
    )
    group.add_argument(
        "--hops",
        metavar="N",
        type=_argument(_hops),
        help="how many networks the request reaches (default: 1, this one)",
    )


def _addAccept(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-A",
        "--accept",
        metavar="FORMAT",
        type=_argument(contentFormat),
        help="the content format wanted: a media type or number (application/json, cbor, 60)",
    )


def _addRequest(parser: argparse.ArgumentParser) -> None:
    _addAsking(parser)
    _addAccept(parser)
    _addGroup(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write the body of a 2.xx to FILE as it comes; FILE is replaced all at once, or stays as it was",
    )


def _addBody(parser: argparse.ArgumentParser) -> None:
    body = parser.add_mutually_exclusive_group()
    body.add_argument(
        "-e",
        "--payload",
        dest="text",
        metavar="TEXT",
        help="the body, sent in UTF-8 (--payload=TEXT where it begins with a dash)",
    )
    body.add_argument(
        "-f",
        "--file",
        metavar="FILE",
        help="a file with the body, or - for standard input, which is read also without -e and -f "
        "when it is no terminal",
    )
    parser.add_argument(
        "-t",
        "--content-format",
        dest="contentFormat",
        metavar="FORMAT",
        type=_argument(contentFormat),
        help="the body's content format: a media type or number; without it none is sent",
    )


def _addPing(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(timeout=PING_TIMEOUT)
    parser.add_argument(
        "-c", "--count", metavar="N", type=_argument(_count), default=1, help="how many (default: 1)"
    )
    parser.add_argument(
        "-i",
        "--interval",
        metavar="SECONDS",
        type=_argument(_seconds),
        default=1.0,
        help="how long to wait between them (default: 1)",
    )


def _addDiscover(parser: argparse.ArgumentParser) -> None:
    _addAsking(parser)
    _addGroup(parser)
    parser.description = (
        "List a server's resources (RFC 6690). The URI's path does not matter; its query selects, as in "
        "'localhost?rt=temperature*'."
    )
    parser.add_argument("--raw", action="store_true", help="write the links as they came, in link format")


def _addObserve(parser: argparse.ArgumentParser) -> None:
    _addAsking(parser)
    _addAccept(parser)
    parser.description = (
        "Watch a resource (RFC 7641): write each state as it comes, a line each, until it is interrupted or "
        "the server ends it. If states come faster than they are written, the newest counts."
    )
    parser.add_argument(
        "-c",
        "--count",
        metavar="N",
        type=_argument(_count),
        default=0,
        help="end after so many states",
    )
    parser.add_argument(
        "-s", "--duration", metavar="SECONDS", type=_argument(_seconds), help="end after so long"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--timestamps", action="store_true", help="write before each state when it came")
    form.add_argument(
        "--json",
        action="store_true",
        help="write a line of JSON for each: time, code, format, and payload, or base64 if it is no text",
    )
    parser.add_argument(
        "--plot",
        action="store_true",
        help="draw the numbers in the states on the terminal (needs txcoap[cli])",
    )
    parser.add_argument(
        "--lazy", action="store_true", help="do not tell the server at the end; it finds out by itself"
    )


_ADDITIONS = {"ping": _addPing, "discover": _addDiscover, "observe": _addObserve}
