"""
The other implementations: how to find, start and ask them.

  - C{libcoap}: C{coap-client-notls} and C{coap-server-notls} on the PATH.
  - C{aiocoap}: the package, in the interpreter that runs the tests.
  - C{node-coap}: C{node} on the PATH and npm's package C{coap}, looked for by L{nodeModules}.

A test that needs one that is not there is skipped with the reason, or fails where the environment
says C{TXCOAP_INTEROP=required}. Servers listen on one loopback address, at a free port.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from unittest import SkipTest

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from txcoap.formats import formatName
from txcoap.options import DEFINITIONS

from .child import Child, ChildError

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"

LOOPBACK4 = "127.0.0.1"
LOOPBACK6 = "::1"

#: Seconds for a server to be ready.
START_TIMEOUT = 15.0


class PeerMissing(Exception):
    """A peer is not installed though the environment says that it must be."""


# Finding them


def absent(what: str, remedy: str) -> NoReturn:
    """
    Skip the test for want of a peer, or fail it where the peers are required.

    @raise SkipTest: with the reason and what to do.
    @raise PeerMissing: the same, under C{TXCOAP_INTEROP=required}.
    """
    reason = f"{what} is not installed: {remedy}"
    if os.environ.get("TXCOAP_INTEROP") == "required":
        raise PeerMissing(reason)
    raise SkipTest(reason)


def program(name: str, remedy: str) -> str:
    """The full path of a program; L{absent} if there is none."""
    return shutil.which(name) or absent(name, remedy)


@cache
def nodeModules() -> str | None:
    """
    The directory of npm packages that has C{coap}: one that C{TXCOAP_NODE_MODULES} or C{NODE_PATH}
    names, the repository's C{.peers/node_modules} or C{node_modules}, or npm's global one; None if
    none of them has.
    """
    named = [os.environ.get("TXCOAP_NODE_MODULES", "")]
    named += os.environ.get("NODE_PATH", "").split(os.pathsep)
    candidates = [Path(each) for each in named if each]
    candidates += [ROOT / ".peers" / "node_modules", ROOT / "node_modules"]
    for each in candidates:
        if (each / "coap").is_dir():
            return str(each)
    npm = shutil.which("npm")
    if npm is None:
        return None
    told = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, timeout=20)
    globally = Path(told.stdout.strip())
    return str(globally) if told.returncode == 0 and (globally / "coap").is_dir() else None


def libcoapCommand(name: str) -> list[str]:
    """How to run one of libcoap's programs; L{absent} if there is no libcoap."""
    return [program(name, "apt-get install libcoap3-bin")]


def aiocoapCommand(script: str) -> list[str]:
    """How to run one of the scripts for aiocoap; L{absent} if there is no aiocoap."""
    if find_spec("aiocoap") is None:
        absent("aiocoap", f"{sys.executable} -m pip install aiocoap")
    return [sys.executable, str(SCRIPTS / script)]


def nodeCommand(script: str) -> list[str]:
    """How to run one of the scripts for node-coap; L{absent} if there is no node-coap."""
    node = program("node", "apt-get install nodejs npm")
    if nodeModules() is None:
        absent("node-coap", "npm install --prefix .peers coap, or let TXCOAP_NODE_MODULES name it")
    return [node, str(SCRIPTS / script)]


def environment() -> dict[str, str]:
    """What the peers need in their environment."""
    return {"NODE_PATH": nodeModules() or "", "PYTHONUNBUFFERED": "1"}


# Addresses


def freePort(host: str) -> int:
    """A UDP port of a loopback address that nobody has just now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def baseURI(host: str, port: int) -> str:
    """C{coap://host:port} of an address."""
    return f"coap://[{host}]:{port}" if ":" in host else f"coap://{host}:{port}"


class Pinger(DatagramProtocol):
    """
    Sends empty confirmable messages (RFC 7252 4.3) until one comes back, with nothing of txcoap.

    @ivar answer: Fires with the first datagram that comes back.
    """

    #: Version 1, CON, no token; code 0.00; the message ID.
    PING = b"\x40\x00\x7a\x69"
    #: The Reset that answers it.
    RESET = b"\x70\x00\x7a\x69"

    def __init__(self, host: str, port: int) -> None:
        self.address = host, port
        self.answer: Deferred[bytes] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Tell."""
        if not self.answer.called:
            self.answer.callback(datagram)

    def ping(self) -> None:
        """Send one."""
        assert self.transport is not None
        self.transport.write(self.PING, self.address)


async def ping(host: str, port: int, timeout: float = START_TIMEOUT) -> bytes:
    """
    Ping a server until it answers.

    @return: What it answered; L{Pinger.RESET} is right.
    @raise twisted.internet.defer.TimeoutError: if it does not within so many seconds.
    """
    from twisted.internet import reactor

    pinger = Pinger(host, port)
    listening = reactor.listenUDP(0, pinger, interface=host)  # type: ignore[attr-defined]
    call = LoopingCall(pinger.ping)
    call.start(0.05)
    try:
        return await pinger.answer.addTimeout(timeout, reactor)
    finally:
        call.stop()
        await listening.stopListening()


# Servers


def libcoapServer(host: str, port: int) -> list[str]:
    """
    libcoap's example server, taking new resources by PUT. A shell ends it at the end of the input.
    """
    server = [*libcoapCommand("coap-server-notls"), "-A", host, "-p", str(port), "-d", "100"]
    watch = '"$@" & server=$!; cat >/dev/null; kill $server'
    return [program("sh", "a POSIX shell"), "-c", watch, "sh", *server]


def aiocoapServer(host: str, port: int) -> list[str]:
    """aiocoap with the resources of L{tests.interop.tree}."""
    return [*aiocoapCommand("aiocoap_server.py"), host, str(port)]


def nodeServer(host: str, port: int) -> list[str]:
    """node-coap with the resources of L{tests.interop.tree}."""
    return [*nodeCommand("node_server.js"), host, str(port)]


SERVERS: dict[str, Callable[[str, int], list[str]]] = {
    "libcoap": libcoapServer,
    "aiocoap": aiocoapServer,
    "node-coap": nodeServer,
}


async def startServer(case: TestCase, name: str, host: str = LOOPBACK4, words: Sequence[str] = ()) -> str:
    """
    Start a peer's server for one test.

    @param name: One of L{SERVERS}.
    @param host: The loopback address to listen on.
    @param words: More arguments for its command.
    @return: Its URI, without a path, once it answers.
    """
    port = freePort(host)
    child = Child.start(case, [*SERVERS[name](host, port), *words], environment())
    if name == "libcoap":
        # It prints nothing when it is ready.
        await ping(host, port)
    else:
        await child.until(lambda: b"ready\n" in child.output, START_TIMEOUT)
    if child.status is not None:
        raise ChildError(child.describe())
    return baseURI(host, port)


# Clients


@dataclass(frozen=True)
class Answer:
    """
    A response as a peer's client understood it.

    @ivar code: Such as C{"2.05"}.
    @ivar type: The type of the message that brought it: C{"ACK"} if it was piggybacked, C{"CON"} or
        C{"NON"} if it was not.
    @ivar payload: The body.
    @ivar options: Name and value of each option, in order; opaque ones that are no text in hex.
    """

    code: str
    type: str
    payload: bytes
    options: tuple[tuple[str, str], ...] = field(default=())

    def get(self, name: str) -> list[str]:
        """The values of one option."""
        return [value for found, value in self.options if found == name]


@dataclass(frozen=True)
class Query:
    """
    What a peer's client is to ask.

    @ivar methods: One or more, after each other: C{"GET"}, C{"PUT,DELETE"}.
    @ivar payload: The body, also of a GET.
    @ivar options: Number and value of options beside those of the URI.
    @ivar repeat: How many times to ask, at once where the client can.
    @ivar observe: After how many notifications to end, or with libcoap after how many seconds; 0 for no
        observation (RFC 7641).
    @ivar blockSize: Bytes in the largest block, of 16 to 1024 (RFC 7959); 0 to leave it to the client.
    @ivar vary: Whether each of the repeated requests has a body of its own: its index is added to each
        byte. Not with libcoap.
    @ivar linger: Whether to stay after the last answer, and an observation's end, until the input ends. Not
        with libcoap.
    """

    methods: str
    uri: str
    confirmable: bool = True
    payload: bytes = b""
    options: Sequence[tuple[int, bytes]] = ()
    repeat: int = 1
    observe: int = 0
    blockSize: int = 0
    vary: bool = False
    linger: bool = False


def libcoapClient(query: Query) -> list[str]:
    """libcoap's client, showing each message."""
    words = ["-B", "15", "-v", "7", "-m", query.methods.lower()]
    words += [] if query.confirmable else ["-N"]
    words += ["-f", "-"] if query.payload else []
    words += ["-s", str(query.observe)] if query.observe else []
    words += ["-G", str(query.repeat)] if query.repeat > 1 else []
    words += ["-b", str(query.blockSize)] if query.blockSize else []
    for number, value in query.options:
        words += ["-O", f"{number},0x{value.hex()}" if value else f"{number},"]
    return [*libcoapCommand("coap-client-notls"), *words, query.uri]


def scriptedClient(command: list[str], query: Query) -> list[str]:
    """One of the scripts, which take the same arguments."""
    words = [query.methods, query.uri, "--repeat", str(query.repeat)]
    words += [] if query.confirmable else ["--non"]
    words += ["--stdin"] if query.payload else []
    words += ["--observe", str(query.observe)] if query.observe else []
    words += ["--block-size", str(query.blockSize)] if query.blockSize else []
    words += ["--vary"] if query.vary else []
    words += ["--linger"] if query.linger else []
    for number, value in query.options:
        words += ["--option", f"{number}={value.hex()}"]
    return [*command, *words]


def readMessages(output: str) -> list[Answer]:
    """The responses in what libcoap's client logs; of long payloads that is the start only."""
    return [
        Answer(
            code=found["code"],
            type=found["type"],
            payload=bytes.fromhex(found["binary"] or "") or unescape(found["text"] or ""),
            options=tuple(splitOptions(found["options"])),
        )
        for found in _RECEIVED.finditer(output)
        if found["code"] != "0.00"
    ]


_RECEIVED = re.compile(
    r"received \d+ bytes\n"
    r"v:1 t:(?P<type>\w+) c:(?P<code>\d\.\d\d) i:\w+ \{\w*\} \[ (?P<options>.*?) ?\]"
    r"(?: :: (?:'(?P<text>.*?)'?|binary data length \d+\n<<(?P<binary>\w+)>>))?\n"
)


def splitOptions(text: str) -> list[tuple[str, str]]:
    """Options as libcoap logs them: C{"Content-Format:text/plain, Max-Age:30"}."""
    pairs = [each.partition(":") for each in text.split(", ") if each]
    return [(name, value.removeprefix("0x")) for name, _, value in pairs]


def unescape(text: str) -> bytes:
    """A payload as libcoap logs it, with escapes for what is not printable."""
    return re.sub(
        rb"\\x([0-9A-F]{2})|\\(.)",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2],
        text.encode("utf-8"),
    )


def readLines(output: str) -> list[Answer]:
    """The responses in what the scripts print."""
    return [
        Answer(
            code=line["code"],
            type=line["type"],
            payload=bytes.fromhex(line["payload"]),
            options=tuple(map(readOption, line["options"])),
        )
        for line in map(json.loads, output.splitlines())
    ]


def readOption(pair: tuple[int | str, object]) -> tuple[str, str]:
    """An option as a script prints it: number and hex, or name and value as the library has it."""
    number, value = pair
    if isinstance(number, str):
        return number, str(value)
    raw = bytes.fromhex(str(value))
    definition = DEFINITIONS.get(number)
    if definition is None:
        return str(number), raw.hex()
    decoded = definition.decode(raw)
    if definition.name in ("Content-Format", "Accept"):
        return definition.name, formatName(decoded)
    return definition.name, decoded.hex() if isinstance(decoded, bytes) else str(decoded)


CLIENTS: dict[str, Callable[[Query], list[str]]] = {
    "libcoap": libcoapClient,
    "aiocoap": lambda query: scriptedClient(aiocoapCommand("aiocoap_client.py"), query),
    "node-coap": lambda query: scriptedClient(nodeCommand("node_client.js"), query),
}


async def ask(case: TestCase, name: str, query: Query) -> list[Answer]:
    """
    Let a peer's client ask.

    @param name: One of L{CLIENTS}.
    @return: The responses, at least one.
    @raise ChildError: if the client fails, or gets none.
    """
    if name != "libcoap":
        return await askOnce(case, name, query)
    # It takes one method at a time.
    answers: list[Answer] = []
    for method in query.methods.split(","):
        answers += await askOnce(case, name, replace(query, methods=method))
    return answers


async def askOnce(case: TestCase, name: str, query: Query) -> list[Answer]:
    """Run a peer's client once; as L{ask}."""
    child = await Child.run(case, CLIENTS[name](query), environment(), query.payload)
    if child.status == 0:
        if name == "libcoap":
            answers = readMessages((child.output + child.errors).decode("utf-8", "replace"))
        else:
            answers = readLines(child.output.decode("utf-8"))
        if answers:
            return answers
    raise ChildError(child.describe())
