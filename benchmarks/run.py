"""
The server benchmark: CPU time per request, of txcoap and others, against Twisted's canned reply.

Each round starts every server afresh, then puts a short load on each in turn, several times over
(A B C, A B C, …), so that what else the machine does falls on all of them. A server's ratio is
taken to the canned reply of the same turn, and the median over all turns is shown.

From the command line, C{python -m benchmarks.run}; C{--help} tells the options. As a library,
L{measure} gives the figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles

from benchmarks.loadgen import NoCompiler, Report, compiled, load, socketsFor

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
HELLO = "Hello, world!"
#: Bytes of /large, in blocks of 1,024 bytes.
LARGE = 65_536
START_TIMEOUT = 15.0

#: Where node's C{coap} package may lie, besides what C{NODE_PATH} says.
NODE_MODULES = (ROOT / ".peers" / "node_modules", ROOT / "node_modules")

#: GET /hello, confirmable, ID 1, no token; and PUT /hello with the text that GET is to give.
GET_HELLO = b"\x40\x01\x00\x01\xb5hello"
PUT_HELLO = b"\x40\x03\x00\x02\xb5hello\xff" + HELLO.encode()


@dataclass(frozen=True)
class Mode:
    """
    A kind of load.

    @ivar about: One line for the table's head.
    @ivar options: The options of L{load}.
    @ivar source: Which load; the yardstick has the one that asks in any case.
    """

    about: str
    options: dict[str, str | int | bool]
    source: str = "load.c"


MODES = {
    "get": Mode("CON GET /hello", {"path": "hello", "expect": HELLO}),
    "non": Mode("NON GET /hello", {"path": "hello", "expect": HELLO, "non": True}),
    "post": Mode(
        "CON POST /echo, 13 bytes both ways",
        {"path": "echo", "code": 2, "payload": HELLO, "expect": HELLO},
    ),
    "block": Mode("CON GET /large, each block of 1,024 bytes", {"path": "large", "size": LARGE}),
    "cached": Mode(
        "CON GET of another server's /hello, from a proxy's cache",
        {"path": "hello", "expect": HELLO, "origin": "127.0.0.2"},
    ),
    "observe": Mode(
        "each CON notification of /obs to one of 100 observers",
        {"path": "obs", "sockets": 100},
        source="crowd.c",
    ),
    "relayed": Mode(
        "each CON notification of another server's /obs to one of 100 observers, by a proxy",
        {"path": "obs", "sockets": 100, "origin": "127.0.0.2"},
        source="crowd.c",
    ),
}


@dataclass(frozen=True)
class Server:
    """
    Something to put a load on.

    @ivar command: Its command line, given a port; None where it is not installed.
    @ivar modes: The L{MODES} that it can do.
    @ivar canned: It sends the same bytes whatever the message ID and token.
    @ivar prepare: Datagrams to send, one after the other's answer, before the load.
    """

    command: Callable[[str], list[str] | None]
    modes: tuple[str, ...] = tuple(mode for mode in MODES if "origin" not in MODES[mode].options)
    canned: bool = False
    prepare: tuple[bytes, ...] = ()


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


def freePort() -> int:
    """
    A UDP port of 127.0.0.1 that nobody uses at the moment.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(port: int, process: subprocess.Popen[bytes], datagram: bytes) -> bytes:
    """
    Send a datagram every few milliseconds until an answer comes.

    @raise RuntimeError: if the server ends, or says nothing for L{START_TIMEOUT} seconds.
    """
    deadline = time.monotonic() + START_TIMEOUT
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
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "NODE_PATH": os.pathsep.join(map(str, nodeModules())),
    }
    # What others complain of is their own affair.
    complaints = None if server in map(SERVERS.get, OURS) else subprocess.DEVNULL
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=complaints, preexec_fn=place
    )
    try:
        for datagram in (GET_HELLO, *server.prepare):
            ask(port, process, datagram)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


#: What each server did in one turn.
Turn = dict[str, Report]


def measure(name: str, mode: str, *, number: int = 0, **options: float | None) -> Report:
    """
    Start a server, put a load on it, end it.

    @param name: One of L{SERVERS}.
    @param mode: One of L{MODES}.
    @param number: For L{placement}.
    @param options: More for L{load}: C{requests}, C{window}, C{sockets}, C{warmup}, C{seconds}, ….
    """
    return next(measureRound(mode, [name], 1, number, **options))[name]


def measureRound(
    mode: str, names: list[str], turns: int, number: int, **options: float | None
) -> Iterator[Turn]:
    """
    Start servers, put a load on one after the other, so many times, and end them.

    A server that waits for its turn uses no CPU.

    @param number: The round's number, for L{placement}.
    """
    own, other = placement(number)
    with ExitStack() as stack:
        at = {name: stack.enter_context(running(SERVERS[name], own)) for name in names}
        for _ in range(turns):
            yield {
                name: put(mode, name, port=port, pid=pid, cpu=other, **options)
                for name, (port, pid) in at.items()
            }


def put(mode: str, name: str, **options: float | None) -> Report:
    """
    Put a load on a server that runs.
    """
    if SERVERS[name].canned:
        return load(**{**MODES[mode].options, **options}, canned=True)
    return load(MODES[mode].source, **{**options, **MODES[mode].options})


def ratios(turns: list[Turn], name: str) -> list[float]:
    """
    A server's CPU time for each request to the yardstick's in the same turn.
    """
    pairs = [(turn[name].serverMicros, turn[YARDSTICK].serverMicros) for turn in turns]
    return [own / yardstick for own, yardstick in pairs if own is not None and yardstick]


def table(mode: str, turns: list[Turn]) -> Iterator[str]:
    """
    The figures of one mode as lines of text: medians, but for what is named otherwise.
    """
    yield f"{MODES[mode].about}; medians of {len(turns)} turns"
    yield f"  {'':8}{'CPU us':>9}{'least':>8}{'ratio':>8} {'(quartiles)':>14}" + "".join(
        f"{head:>10}" for head in ("req/s", "p50 us", "p99 us", "slowest", "errors")
    )
    for name in turns[0]:
        own = [turn[name] for turn in turns]
        micros = [r.serverMicros or 0.0 for r in own]
        low, middle, high = quantiles(ratios(turns, name) * 2, n=4)
        yield (
            f"  {name:8}{median(micros):>9.2f}{min(micros):>8.2f}"
            f"{middle:>8.2f} {f'({low:.2f}-{high:.2f})':>14}"
            f"{median(r.rate for r in own):>10.0f}{median(r.p50 for r in own):>10.0f}"
            f"{median(r.p99 for r in own):>10.0f}{max(r.slowest for r in own):>10.0f}"
            f"{sum(r.errors for r in own):>10}"
        )
        wrong = sum((Counter(r.outcomes) for r in own), Counter())
        del wrong["ok"]
        if wrong:
            yield f"  {name:8} errors: " + ", ".join(f"{n} {kind}" for kind, n in wrong.items())


def choice(known: Iterable[str]) -> Callable[[str], list[str]]:
    """
    Reads a list as C{a,b,c} of what is known.
    """
    names = list(known)

    def read(text: str) -> list[str]:
        unknown = set(text.split(",")) - set(names)
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there is {', '.join(names)}")
        return [name for name in names if name in text.split(",")]

    return read


def parser() -> argparse.ArgumentParser:
    """
    The command line.
    """
    p = argparse.ArgumentParser(prog="benchmarks.run", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--rounds", type=int, default=4, help="how often to start the servers")
    p.add_argument("--turns", type=int, default=3, help="loads on each server in a round")
    p.add_argument("--requests", type=int, default=6_000, help="measured in a turn")
    p.add_argument("--warmup", type=int, default=1_000, help="requests before these, each turn")
    p.add_argument("--seconds", type=float, default=0.3, help="at most, per server and turn")
    p.add_argument("--window", type=int, default=32, help="requests in flight")
    p.add_argument("--sockets", type=int, default=64, help="peers that the server sees, at least")
    p.add_argument("--pause", type=int, help="microseconds that the load sleeps between rounds")
    p.add_argument("--modes", type=choice(MODES), default=list(MODES), help=",".join(MODES))
    p.add_argument(
        "--servers",
        type=choice(SERVERS),
        default=[name for name in SERVERS if name != "bare"],
        help=f"{','.join(SERVERS)}; the canned reply always runs; what is not installed is left out",
    )
    return p


def main(words: list[str]) -> int:
    """
    Measure and print.

    @return: 1 if any answer of ours was wrong, or nothing could be measured.
    """
    given = vars(parser().parse_args(words))
    rounds, turns, modes = (given.pop(name) for name in ("rounds", "turns", "modes"))
    asked = {YARDSTICK, *given.pop("servers")}
    given["sockets"] = socketsFor((given["requests"] + given["warmup"]) * turns, given["sockets"])
    failed = False
    try:
        compiled("load.c")
        names = [name for name in SERVERS if name in asked and SERVERS[name].command("0")]
    except NoCompiler as e:
        print(e, file=sys.stderr)
        return 1
    for name in asked.difference(names):
        print(f"({name} is not installed: left out)")
    for mode in modes:
        able = [name for name in names if mode in SERVERS[name].modes]
        results = [
            turn for number in range(rounds) for turn in measureRound(mode, able, turns, number, **given)
        ]
        failed |= any(turn[name].errors for turn in results for name in OURS.intersection(turn))
        print("\n".join(table(mode, results)), end="\n\n", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
