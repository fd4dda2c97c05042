"""
The flags of the subcommands of C{txcoap} that ask a server, by what they are for.
"""

from __future__ import annotations

import argparse

from ..formats import contentFormat
from ..parameters import PRESETS, Parameters
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

__all__ = [
    "PING_TIMEOUT",
    "addAccept",
    "addAsking",
    "addBody",
    "addColor",
    "addCommon",
    "addGroup",
    "addInterval",
    "addLoudness",
    "addRequest",
    "addURI",
]

PING_TIMEOUT = 10.0
"""Seconds that C{ping} waits for each answer by default; lost messages are repeated meanwhile."""


def addURI(parser: argparse.ArgumentParser) -> None:
    """Whom to ask for what."""
    parser.add_argument(
        "uri",
        metavar="URI",
        type=argument(readURI),
        help="coap://HOST[:PORT]/PATH?QUERY; coap:// may be left out, :PORT alone is at localhost",
    )


def addCommon(parser: argparse.ArgumentParser) -> None:
    """How messages travel, and what is told of them."""
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
    addLoudness(parser)
    parser.add_argument(
        "--save",
        metavar="FILE",
        help="write each message to FILE in pcap format, as Wireshark and tcpdump read it",
    )


def addLoudness(parser: argparse.ArgumentParser) -> None:
    """What is told besides."""
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", help="show each message on standard error")
    loudness.add_argument(
        "-q", "--quiet", action="store_true", help="write no code and no failure: the exit code tells"
    )
    addColor(parser)


def addColor(parser: argparse.ArgumentParser) -> None:
    """Whether what is told has colours."""
    parser.add_argument(
        "--color",
        metavar="WHEN",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour what people read: auto (on terminals, unless NO_COLOR is set), always, never",
    )


def addAsking(parser: argparse.ArgumentParser) -> None:
    """What a request has, of whatever method."""
    _addMessage(parser)
    _addWay(parser)
    parser.add_argument(
        "--code", dest="showCode", action="store_true", help="write the code also of a 2.xx to standard error"
    )


def _addMessage(parser: argparse.ArgumentParser) -> None:
    """What the message is."""
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


def _addWay(parser: argparse.ArgumentParser) -> None:
    """How it gets to the resource."""
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
        "-U",
        "--no-uri-host",
        dest="namesHost",
        action="store_false",
        help="do not tell the server by which name it is asked (no Uri-Host)",
    )


def addGroup(parser: argparse.ArgumentParser) -> None:
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


def addAccept(parser: argparse.ArgumentParser) -> None:
    """The representation that is wanted."""
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


def addRequest(parser: argparse.ArgumentParser) -> None:
    """What a single request has."""
    addAsking(parser)
    addAccept(parser)
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
    addInterval(parser, "with --repeat: how long to wait between them (default: 1)")
    addGroup(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write the body of a 2.xx to FILE as it comes; FILE is replaced all at once, or stays as it was",
    )


def addInterval(parser: argparse.ArgumentParser, help: str) -> None:
    """How long to wait between two."""
    parser.add_argument("-i", "--interval", metavar="SECONDS", type=argument(seconds), default=1.0, help=help)


def addBody(parser: argparse.ArgumentParser) -> None:
    """What is sent."""
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
