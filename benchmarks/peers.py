"""
The servers that are measured: how each is found, started, and ended.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.loadgen import compiled
from benchmarks.modes import HELLO, MODES

__all__ = [
    "HERE",
    "OURS",
    "ROOT",
    "SERVERS",
    "YARDSTICK",
    "Server",
    "ask",
    "environment",
    "freePort",
    "installed",
    "node",
    "nodeModules",
    "placement",
    "running",
    "script",
]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
START_TIMEOUT = 15.0

#: Where node's C{coap} package may lie, besides what C{NODE_PATH} says.
NODE_MODULES = (ROOT / ".peers" / "node_modules", ROOT / "node_modules")

#: GET /hello, confirmable, ID 1, no token; and PUT /hello with the text that GET is to give.
GET_HELLO = b"\x40\x01\x00\x01\xb5hello"
PUT_HELLO = b"\x40\x03\x00\x02\xb5hello\xff" + HELLO.encode()


@dataclass(frozen=True)
class Server:
    """
    Something to put a load on.

    @ivar command: Its command line, given a port; None where it is not installed.
    @ivar modes: The L{MODES} that it can do.
    @ivar canned: It sends the same bytes whatever the message ID and token.
    @ivar prepare: Datagrams to send, one after the other's answer, before the load.
    @ivar patience: Seconds within which it has to answer for the first time.
    """

    command: Callable[[str], list[str] | None]
    modes: tuple[str, ...] = tuple(mode for mode in MODES if not MODES[mode].isRelayed)
    canned: bool = False
    prepare: tuple[bytes, ...] = ()
    patience: float = START_TIMEOUT


def bare(port: str) -> list[str] | None:
    """
    The canned reply in C.
    """
    return [str(compiled("servers/bare.c")), port]


def script(path: str, module: str) -> Callable[[str], list[str] | None]:
    """
    A Python program beside this file, where a module is installed.
    """

    def command(port: str) -> list[str] | None:
        return [sys.executable, str(HERE / path), port] if find_spec(module) else None

    return command


def nodeModules() -> list[Path]:
    """
    The directories in which node's C{coap} is found.
    """
    named = [Path(p) for p in os.environ.get("NODE_PATH", "").split(os.pathsep) if p]
    return [p for p in (*named, *NODE_MODULES) if (p / "coap").is_dir()]


def node(port: str) -> list[str] | None:
    """
    node-coap.
    """
    program = shutil.which("node")
    if program is None or not nodeModules():
        return None
    return [program, str(HERE / "servers" / "node_server.js"), port]


def environment() -> dict[str, str]:
    """
    The variables of this process, and where txcoap and node's C{coap} lie.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "NODE_PATH": os.pathsep.join(map(str, nodeModules())),
    }


def libcoap(port: str) -> list[str] | None:
    """
    The example server of libcoap, which keeps what is put.
    """
    program = shutil.which("coap-server-notls") or shutil.which("coap-server")
    if program is None:
        return None
    return [program, "-A", "127.0.0.1", "-p", port, "-d", "10", "-v", "0"]


SERVERS = {
    "bare": Server(bare, tuple(MODES), canned=True),
    "canned": Server(script("servers/canned.py", "twisted"), tuple(MODES), canned=True),
    "txcoap": Server(script("server.py", "txcoap.server"), tuple(MODES)),
    "libcoap": Server(libcoap, modes=("get", "non"), prepare=(PUT_HELLO,)),
    "node": Server(node),
    "aiocoap": Server(script("servers/aiocoap_server.py", "aiocoap")),
}

#: What all others are divided by.
YARDSTICK = "canned"

#: Whose errors make the benchmark fail; those of others are only told.
OURS = {YARDSTICK, "txcoap"}


def installed(asked: Iterable[str] = SERVERS) -> list[str]:
    """
    Which of these are here.

    @raise NoCompiler: if what is asked for is in C and cannot be compiled.
    """
    return [name for name in SERVERS if name in asked and SERVERS[name].command("0")]


def freePort() -> int:
    """
    A UDP port of 127.0.0.1 that nobody uses at the moment.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(
    port: int, process: subprocess.Popen[bytes], datagram: bytes, patience: float = START_TIMEOUT
) -> bytes:
    """
    Send a datagram every few milliseconds until an answer comes.

    @raise RuntimeError: if the server ends, or says nothing for so many seconds.
    """
    deadline = time.monotonic() + patience
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("127.0.0.1", port))
        asking.settimeout(0.1)
        while time.monotonic() < deadline and process.poll() is None:
            try:
                asking.send(datagram)
                return asking.recv(2048)
            except ConnectionRefusedError:
                time.sleep(0.02)
            except TimeoutError:
                pass
    raise RuntimeError(f"{process.args!r} did not begin to answer")


def placement(number: int) -> tuple[int | None, int | None]:
    """
    The processors for the servers and for the load in a round: never the same, and all servers of a
    round on one, as one processor of a shared machine may be half as fast as the next. Another round
    takes others.

    @return: Their numbers, or None for both where there is but one.
    """
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return None, None
    return cpus[number % len(cpus)], cpus[(number + 1) % len(cpus)]


@contextmanager
def running(server: Server, cpu: int | None = None) -> Iterator[tuple[int, int]]:
    """
    A server for as long as the block lasts.

    @param cpu: The processor to keep it on; None for any.
    @return: Its port and its process ID.
    """

    def place() -> None:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    port = freePort()
    command = server.command(str(port))
    if command is None:
        raise RuntimeError("not installed")
    # What others complain of is their own affair.
    complaints = None if server in map(SERVERS.get, OURS) else subprocess.DEVNULL
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=complaints, preexec_fn=place
    )
    try:
        for datagram in (GET_HELLO, *server.prepare):
            ask(port, process, datagram, server.patience)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
