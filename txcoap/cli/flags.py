"""
The flags of C{txcoap}'s subcommands, by what they are for.
"""

from __future__ import annotations

import argparse

from .asking import (
    PING_TIMEOUT,
    addAccept,
    addAsking,
    addBody,
    addColor,
    addCommon,
    addGroup,
    addInterval,
    addRequest,
    addURI,
)
from .completion import SHELLS
from .typed import argument, count, listenPlace, seconds

__all__ = ["COMMANDS", "METHODS_WITH_BODY", "addArguments", "addFlags"]

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
    "shell": "look about in a server's resources, line by line",
    "serve": "serve a directory of files until it is interrupted",
    "completion": "write the script by which a shell completes txcoap's flags",
}
"""The subcommands, and what they do."""

DISCOVERY = (
    "List a server's resources (RFC 6690). The URI's path does not matter; its query selects, as in "
    "'localhost?rt=temperature*'."
)
OBSERVING = (
    "Watch a resource (RFC 7641): write each state as it comes, a line each, until it is interrupted or "
    "the server ends it. If states come faster than they are written, the newest counts."
)
BROWSING = (
    "Look about in a server's resources. Lines are read from the standard input; on a terminal they are "
    "completed by TAB (needs txcoap[cli]). The commands are those of txcoap, with their flags, and paths "
    "for URIs: ls, cd sensors, get temperature, put ../light on, observe temperature &. help tells them all."
)
SERVING = (
    "Serve a directory of files until it is interrupted, and write where. What is a file below it is a "
    "resource. This is twistd coap --path in the foreground; twistd coap can do more."
)


def addArguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Give a subcommand its arguments, flags among them."""
    if command not in _ALONE:
        addURI(parser)
    addFlags(parser, command)


def addFlags(parser: argparse.ArgumentParser, command: str) -> None:
    """Give a subcommand its flags."""
    parser.set_defaults(hasBody=command in METHODS_WITH_BODY)
    if command in _ALONE:
        _ALONE[command](parser)
        return
    addCommon(parser)
    _ADDITIONS.get(command, addRequest)(parser)
    if command in METHODS_WITH_BODY:
        addBody(parser)


def _addPing(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(timeout=PING_TIMEOUT)
    parser.add_argument(
        "-c", "--count", metavar="N", type=argument(count), default=1, help="how many (default: 1)"
    )
    addInterval(parser, "how long to wait between them (default: 1)")


def _addDiscover(parser: argparse.ArgumentParser) -> None:
    addAsking(parser)
    addGroup(parser)
    parser.description = DISCOVERY
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--tree", action="store_true", help="show the paths as a tree")
    form.add_argument("--raw", action="store_true", help="write the links as they came, in link format")


def _addObserve(parser: argparse.ArgumentParser) -> None:
    addAsking(parser)
    addAccept(parser)
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
    parser.add_argument("--timestamps", action="store_true", help="write before each state when it came")
    _addForm(parser)
    _addAudience(parser)
    parser.add_argument(
        "--lazy", action="store_true", help="do not tell the server at the end; it finds out by itself"
    )


def _addForm(parser: argparse.ArgumentParser) -> None:
    """How the states of an observation are written."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json",
        action="store_true",
        help="write a line of JSON for each: time, code, format, and payload, or base64 if it is no text",
    )
    form.add_argument(
        "--pretty",
        action="store_true",
        help="lay each state out for people, in as many lines as it takes: JSON, CBOR, SenML, hexadecimal",
    )


def _addAudience(parser: argparse.ArgumentParser) -> None:
    """To whom they are given instead."""
    audience = parser.add_mutually_exclusive_group()
    audience.add_argument(
        "--exec",
        metavar="COMMAND",
        dest="program",
        help="run this command of the shell for each state, with the body on its standard input as it came, "
        "or as --json, --pretty or --timestamps say; COAP_CODE and COAP_FORMAT are in its environment",
    )
    audience.add_argument(
        "--plot",
        action="store_true",
        help="draw the numbers in the states on the terminal (needs txcoap[cli])",
    )


def _addCompletion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def _addServe(parser: argparse.ArgumentParser) -> None:
    parser.description = SERVING
    parser.add_argument("path", metavar="DIR", help="the directory, or a single file")
    parser.add_argument(
        "-w", "--writable", action="store_true", help="let everybody put and delete the files, too"
    )
    parser.add_argument(
        "-l",
        "--listen",
        metavar="WHERE",
        action="append",
        type=argument(listenPlace),
        help="where to listen, as ADDRESS, :PORT or ADDRESS:PORT, 0 for any that is free, or as twistd coap "
        "takes it (unix:/run/coap.sock); repeatable (default: :5683, at all addresses)",
    )
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="write a line for each request to standard error"
    )
    loudness.add_argument("-q", "--quiet", action="store_true", help="do not write where it is served")
    addColor(parser)


def _addShell(parser: argparse.ArgumentParser) -> None:
    parser.description = BROWSING
    addURI(parser)
    addColor(parser)


_ALONE = {"completion": _addCompletion, "serve": _addServe, "shell": _addShell}

_ADDITIONS = {
    "ping": _addPing,
    "discover": _addDiscover,
    "observe": _addObserve,
}
