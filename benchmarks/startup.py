"""
How long it takes until something happens: to import txcoap, to be told how the command line is used, to ask
by it once, and to start a server that answers. Beside these a Python that does nothing, Twisted's reactor
alone, and the command lines of others where they are installed.

Each is a process of its own, from its start to its end; a server, to its first answer. Told are seconds by
the clock on the wall and seconds of CPU, user and system, of which the latter says more where something else
uses the machine.

From the command line, C{python -m benchmarks.startup}.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from statistics import median
from typing import Any

from benchmarks.arguments import asProgram, bounded
from benchmarks.figures import Figure
from benchmarks.peers import GET_HELLO, SERVERS, START_TIMEOUT, environment, freePort, running

__all__ = ["ENDING", "SERVING", "figures", "lines", "measure"]

Command = list[str]

#: Has a process ended? Its figures are left where they are.
_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT


def _python(program: str) -> Command:
    return [sys.executable, "-c", program]


def _txcoap(*words: str) -> Command:
    return _python(f"import sys; from txcoap.cli import main; sys.argv[1:] = {words!r}; sys.exit(main())")


def _found(name: str, *words: str) -> Command | None:
    program = shutil.which(name)
    return None if program is None else [program, *words]


def _aiocoap(uri: str) -> Command | None:
    return [sys.executable, "-m", "aiocoap.cli.client", uri] if find_spec("aiocoap") else None


#: What runs to its end, given the URI of something to get; None where it is not installed.
ENDING: dict[str, Callable[[str], Command | None]] = {
    "python, doing nothing": lambda uri: _python("pass"),
    "import of Twisted's reactor": lambda uri: _python("import twisted.internet.reactor"),
    "import txcoap": lambda uri: _python("import txcoap"),
    "txcoap --help": lambda uri: _txcoap("--help"),
    "txcoap get": lambda uri: _txcoap("get", uri),
    "aiocoap-client": _aiocoap,
    "libcoap's coap-client": lambda uri: _found("coap-client-notls", "-v", "0", uri),
}

#: What serves, given a port.
SERVING: dict[str, Callable[[str], Command | None]] = {
    "server: twistd coap": lambda port: [
        *_python("from twisted.scripts.twistd import run; run()"),
        *("-n", "--pidfile=", "coap", "--listen", f"udp:{port}:interface=127.0.0.1"),
        *("--resources", "benchmarks.workers.resources"),
    ],
    "server: txcoap": SERVERS["txcoap"].command,
    "server: canned reply": SERVERS["canned"].command,
    "server: aiocoap": SERVERS["aiocoap"].command,
    "server: node-coap": SERVERS["node"].command,
    "server: libcoap": SERVERS["libcoap"].command,
}


def _ended(process: subprocess.Popen[bytes], begin: float) -> tuple[float, float]:
    """
    Wait for the end of a process.

    @return: Seconds since C{begin}, and of CPU.
    """
    _, status, spent = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - begin, spent.ru_utime + spent.ru_stime


def toEnd(command: Command) -> tuple[float, float]:
    """
    Run a process to its end.

    @return: Seconds from its start, and of CPU.
    @raise RuntimeError: if it fails.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    result = _ended(process, begin)
    if process.returncode:
        raise RuntimeError(f"{command!r} ended with {process.returncode}")
    return result


def toAnswer(command: Command, port: int) -> tuple[float, float]:
    """
    Run a server until it answers for the first time.

    @return: Seconds from its start to its answer; and seconds of CPU to its end, which follows.
    @raise RuntimeError: if it does not answer.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _awaitAnswer(process, port, begin + START_TIMEOUT)
        elapsed = time.perf_counter() - begin
    finally:
        # Not by its method, which would take its figures if it has ended.
        os.kill(process.pid, signal.SIGKILL)
        _, spent = _ended(process, begin)
    return elapsed, spent


def _awaitAnswer(process: subprocess.Popen[bytes], port: int, deadline: float) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("127.0.0.1", port))
        asking.settimeout(0.005)
        while time.perf_counter() < deadline and os.waitid(os.P_PID, process.pid, _ENDED) is None:
            try:
                asking.send(GET_HELLO)
                asking.recv(2048)
            except ConnectionRefusedError:
                time.sleep(0.002)
            except TimeoutError:
                pass
            else:
                return
    raise RuntimeError(f"{process.args!r} did not begin to answer")


def measure(rounds: int = 5) -> dict[str, dict[str, float]]:
    """
    Start everything in turn, so many times, and once before that to have it in the system's cache.

    @return: For each what is installed C{seconds} and C{cpu}, medians in seconds.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    with running(SERVERS["txcoap"]) as (port, _):
        uri = f"coap://127.0.0.1:{port}/hello"
        for _ in range(rounds + 1):
            for name, make in ENDING.items():
                if (command := make(uri)) is not None:
                    found.setdefault(name, []).append(toEnd(command))
            for name, serve in SERVING.items():
                free = freePort()
                if (command := serve(str(free))) is not None:
                    found.setdefault(name, []).append(toAnswer(command, free))
    return {
        name: dict(zip(("seconds", "cpu"), map(median, zip(*turns[1:], strict=True)), strict=True))
        for name, turns in found.items()
    }


def figures(measured: dict[str, Any]) -> Iterator[Figure]:
    """
    What L{measure} comes to.
    """
    for name in ("import txcoap", "txcoap --help", "txcoap get", "server: twistd coap"):
        if name in measured:
            yield Figure(f"start-up, {name}", measured[name]["seconds"] * 1000, "ms")


def lines(measured: dict[str, Any]) -> Iterator[str]:
    """
    What L{measure} found as lines of text.
    """
    yield "from the start of a process to its end, of a server to its first answer"
    yield f"  {'':30}{'ms':>8}{'CPU ms':>9}"
    for name, each in measured.items():
        yield f"  {name:30}{each['seconds'] * 1000:>8.0f}{each['cpu'] * 1000:>9.0f}"


def main(words: list[str]) -> int:
    """
    Measure and print.
    """
    p = argparse.ArgumentParser(prog="benchmarks.startup", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--rounds", type=bounded(1), default=5)
    given = p.parse_args(words)
    print("\n".join(lines(measure(given.rounds))))
    return 0


if __name__ == "__main__":
    asProgram(main)
