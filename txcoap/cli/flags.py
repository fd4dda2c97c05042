"""
The flags of C{txcoap}'s subcommands, by what they are for.
"""

from __future__ import annotations

import argparse

from ..formats import contentFormat
from ..parameters import PRESETS, Parameters
from .completion import SHELLS
from .typed import (
    argument,
    bindAddress,
    blockSize,
    count,
    hops,
    interface,
    readOption,
    readURI,
    seconds,
    token,
)

__all__ = ["COMMANDS", "METHODS_WITH_BODY", "addFlags"]

METHODS_WITH_BODY = frozenset({"put", "post", "fetch", "patch", "ipatch"})

COMMANDS = {
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
    "completion": "write the script by which a shell completes txcoap's flags",
}
"""The subcommands, and what they do."""

PING_TIMEOUT = 10.0
"""Seconds that C{ping} waits for each answer by default; lost messages are repeated meanwhile."""

DISCOVERY = (
    "List a server's resources (RFC 6690). The URI's path does not matter; its query selects, as in "
    "'localhost?rt=temperature*'."
)
OBSERVING = (
    "Watch a resource (RFC 7641): write each state as it comes, a line each, until it is interrupted or "
    "the server ends it. If states come faster than they are written, the newest counts."
)


def addFlags(parser: argparse.ArgumentParser, command: str) -> None:
    """Give a subcommand its flags."""
    parser.set_defaults(hasBody=command in METHODS_WITH_BODY)
    if command == "completion":
        _addCompletion(parser)
        return
    _addCommon(parser)
    _ADDITIONS.get(command, _addRequest)(parser)
    if command in METHODS_WITH_BODY:
        _addBody(parser)


def _addCommon(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "uri",
        metavar="URI",
        type=argument(readURI),
        help="coap://HOST[:PORT]/PATH?QUERY; coap:// may be left out, :PORT alone is at localhost",
    )
    parser.add_argument(
        "-B",
        "--timeout",
        metavar="SECONDS",
        type=argument(seconds),
        help="give up after so long, looking the name up included (default: 93 s without an "
        f"acknowledgement, 247 s after one; ping: {PING_TIMEOUT:g} s); of a group, take answers for so long "
        "(default: 20 s)",
    )
    parser.add_argument(
        "--timing",
        metavar="NAME",
        dest="parameters",
        type=argument(Parameters.fromText),
        help=f"the transmission parameters: {', '.join(PRESETS)}, changes such as ACK_TIMEOUT=5,NSTART=4, "
        "or both (slow,MAX_RETRANSMIT=1)",
    )
    parser.add_argument(
        "--bind",
        metavar="ADDRESS[:PORT]",
        dest="bindAddress",
        type=argument(bindAddress),
        default=("", 0),
        help="send from this address of the machine's, or from this port (192.0.2.1, [::1]:5683, :5683)",
    )
    _addLoudness(parser)
    parser.add_argument(
        "--save",
        metavar="FILE",
        help="write each message to FILE in pcap format, as Wireshark and tcpdump read it",
    )


def _addLoudness(parser: argparse.ArgumentParser) -> None:
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", help="show each message on standard error")
    loudness.add_argument(
        "-q", "--quiet", action="store_true", help="write no code and no failure: the exit code tells"
    )
    parser.add_argument(
        "--color",
        metavar="WHEN",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour what people read: auto (on terminals, unless NO_COLOR is set), always, never",
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
        type=argument(readOption),
        help="add an option, by number or name (4,0x1f2e; If-None-Match; Uri-Query,a=b); repeatable; "
        "the value is text, a number where the option has one, or bytes as 0x and hexadecimal digits",
    )
    parser.add_argument(
        "-T",
        "--token",
        metavar="TOKEN",
        type=argument(token),
        help="the token, as text or 0x and hexadecimal digits, up to 8 bytes (default: random)",
    )
    parser.add_argument(
        "-b",
        "--block-size",
        dest="blockSize",
        metavar="BYTES",
        type=argument(blockSize),
        default=1024,
        help="send and ask for large bodies in blocks of so many bytes: 16, 32, … 1024 (default: 1024)",
    )
    parser.add_argument(
        "-P",
        "--proxy",
        metavar="URI",
        type=argument(readURI),
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
        type=argument(interface),
        help="the network interface to send by (default: the system chooses)",
    )
    group.add_argument(
        "--hops",
        metavar="N",
        type=argument(hops),
        help="how many networks the request reaches (default: 1, this one)",
    )


def _addAccept(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-A",
        "--accept",
        metavar="FORMAT",
        type=argument(contentFormat),
        help="the content format wanted: a media type or number (application/json, cbor, 60)",
    )


def _addForm(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--pretty",
        action="store_true",
        help="lay the body out for people, as is done on a terminal: JSON, CBOR, SenML, links, hexadecimal",
    )
    form.add_argument("--raw", action="store_true", help="write the body as it came, also on a terminal")


def _addRequest(parser: argparse.ArgumentParser) -> None:
    _addAsking(parser)
    _addAccept(parser)
    _addForm(parser)
    parser.add_argument(
        "--time", dest="showTime", action="store_true", help="write to standard error how long it took"
    )
    parser.add_argument(
        "-G",
        "--repeat",
        metavar="N",
        type=argument(count),
        default=1,
        help="ask so many times, a second apart or as --interval says",
    )
    parser.add_argument(
        "-i",
        "--interval",
        metavar="SECONDS",
        type=argument(seconds),
        default=1.0,
        help="with --repeat: how long to wait between them (default: 1)",
    )
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
        help="a file with the body, or - for standard input, which is read also without -e and -f when "
        "it is no terminal",
    )
    body.add_argument(
        "--cbor",
        metavar="JSON",
        help="the body, given as JSON and sent as CBOR (needs txcoap[cli])",
    )
    parser.add_argument(
        "-t",
        "--content-format",
        dest="contentFormat",
        metavar="FORMAT",
        type=argument(contentFormat),
        help="the body's content format: a media type or number; without it none is sent, but with --cbor",
    )


def _addPing(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(timeout=PING_TIMEOUT)
    parser.add_argument(
        "-c", "--count", metavar="N", type=argument(count), default=1, help="how many (default: 1)"
    )
    parser.add_argument(
        "-i",
        "--interval",
        metavar="SECONDS",
        type=argument(seconds),
        default=1.0,
        help="how long to wait between them (default: 1)",
    )


def _addDiscover(parser: argparse.ArgumentParser) -> None:
    _addAsking(parser)
    _addGroup(parser)
    parser.description = DISCOVERY
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--tree", action="store_true", help="show the paths as a tree")
    form.add_argument("--raw", action="store_true", help="write the links as they came, in link format")


def _addObserve(parser: argparse.ArgumentParser) -> None:
    _addAsking(parser)
    _addAccept(parser)
    parser.description = OBSERVING
    parser.add_argument(
        "-c",
        "--count",
        metavar="N",
        type=argument(count),
        default=0,
        help="end after so many states",
    )
    parser.add_argument(
        "-s", "--duration", metavar="SECONDS", type=argument(seconds), help="end after so long"
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


def _addCompletion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


_ADDITIONS = {
    "ping": _addPing,
    "discover": _addDiscover,
    "observe": _addObserve,
}
