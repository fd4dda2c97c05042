"""
Long bodies over loopback, down and up: 64 MiB between txcoap and itself and libcoap, 2 MiB between it and
those that slow down with size. Each must arrive byte for byte (SHA-256), and txcoap, which streams, must
not grow: its processes are watched (RSS) from the end of a short transfer to warm up.

From the command line, C{python -m benchmarks.stream}; C{--help} tells the options. As a library,
L{transfer} makes one transfer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.arguments import asProgram, bounded, choice
from benchmarks.ends import WARMUP, Made, madeDigest
from benchmarks.figures import Figure
from benchmarks.peers import HERE, ROOT, SERVERS, Server, node, nodeModules, running
from benchmarks.resident import Memory, Watch

MIB = 2**20
WAYS = ("down", "up")

#: Bytes by which a process of txcoap may grow while a body of any length passes.
ALLOWED = 2 * MIB

#: Seconds for one transfer.
PATIENCE = 100


@dataclass(frozen=True)
class Peer:
    """
    An implementation, at either end.

    @ivar ask: The command line of its client, given C{"get"} or C{"put"}, the URI, and the file to write
        or send; None where it is not installed.
    @ivar server: Its server.
    @ivar store: The path at which that keeps what is put and gives it back.
    @ivar isLong: Whether it is asked for the longer bodies.
    """

    ask: Callable[[str, str, str], list[str] | None]
    server: Server
    store: str = "store"
    isLong: bool = False


def libcoap(act: str, uri: str, path: str) -> list[str] | None:
    """
    The example client of libcoap.
    """
    program = shutil.which("coap-client-notls") or shutil.which("coap-client")
    if program is None:
        return None
    file = "-o" if act == "get" else "-f"
    return [program, "-m", act, "-b", "1024", "-B", str(PATIENCE), "-v", "0", file, path, uri]


def aiocoap(*words: str) -> list[str] | None:
    """
    aiocoap.
    """
    program = str(HERE / "clients" / "aiocoap_client.py")
    return [sys.executable, program, *words] if find_spec("aiocoap") else None


def nodeClient(*words: str) -> list[str] | None:
    """
    node-coap.
    """
    found = node("0")
    return None if found is None else [found[0], str(HERE / "clients" / "node_client.js"), *words]


def txcoap(*words: str) -> list[str] | None:
    """
    txcoap's end that asks; see L{benchmarks.ends}.
    """
    return [sys.executable, "-m", "benchmarks.ends", *words]


PEERS = {
    "txcoap": Peer(txcoap, Server(lambda port: txcoap("serve", port)), isLong=True),
    "libcoap": Peer(libcoap, SERVERS["libcoap"], "example_data", isLong=True),
    "node": Peer(nodeClient, SERVERS["node"]),
    "aiocoap": Peer(aiocoap, SERVERS["aiocoap"]),
}
OURS = "txcoap"


@dataclass(frozen=True)
class Transfer:
    """
    One body on its way.

    @ivar client: Who asked.
    @ivar server: Who was asked.
    @ivar way: C{"down"}, to the client, or C{"up"}.
    @ivar length: Bytes of it.
    @ivar seconds: How long it took; with a client that is not txcoap from the start of its process.
    @ivar memory: Of txcoap's processes, by C{"client"} and C{"server"}.
    @ivar wrong: What went wrong; empty if nothing did.
    """

    client: str
    server: str
    way: str
    length: int
    seconds: float = 0.0
    memory: dict[str, Memory] = field(default_factory=dict)
    wrong: str = ""

    @property
    def isGood(self) -> bool:
        """
        Whether it arrived, and txcoap did not grow.
        """
        return not self.wrong and all(each.growth < ALLOWED for each in self.memory.values())


class Failed(Exception):
    """
    A client did not do what it was asked; the text is what it said.
    """


def asked(words: list[str] | None) -> str:
    """
    Run a client to its end.

    @return: What it printed.
    @raise Failed: if it failed.
    """
    if words is None:
        raise Failed("not installed")
    environment = {**os.environ, "NODE_PATH": os.pathsep.join(map(str, nodeModules()))}
    try:
        done = subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {PATIENCE} seconds") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [""]
        raise Failed(f"its exit status is {done.returncode}: {said[-1]}")
    return done.stdout.strip()


def _write(path: Path, length: int) -> None:
    source = Made(length)
    with path.open("wb") as file:
        while part := source.read(2**16):
            file.write(part)


def _digestOf(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while part := file.read(2**16):
            digest.update(part)
    return digest.hexdigest()


def transfer(client: str, server: str, way: str, length: int) -> Transfer:
    """
    Start a server, and let a client fetch a body from it or send it one.

    @param client: One of L{PEERS}; it or the server is txcoap.
    @param way: One of L{WAYS}.
    @param length: Bytes of the body.
    """
    how = (client, server, way, length)
    try:
        with running(PEERS[server].server) as (port, pid), tempfile.TemporaryDirectory() as scratch:
            body = Path(scratch) / "body"
            at = f"coap://127.0.0.1:{port}/"
            if client == OURS:
                return _byOurs(how, at, pid if server == OURS else None, body)
            return _byOther(how, at, pid, body)
    except Failed as e:
        return Transfer(*how, wrong=str(e))


def _byOurs(how: tuple[str, str, str, int], at: str, pid: int | None, body: Path) -> Transfer:
    """
    txcoap asks: it measures itself, and the server if that is txcoap as well.
    """
    _, server, way, length = how
    path = PEERS[server].store
    if pid is not None:
        path = f"made?bytes={length}" if way == "down" else "taken"
    elif way == "down":
        # What is to be fetched has to be there.
        asked(txcoap("put", at + path, str(length)))
    words = txcoap("get" if way == "down" else "put", at + path, str(length))
    assert words is not None
    told = json.loads(asked(words + (["--watch", str(pid)] if pid else [])))
    digest = told["digest"]
    if pid is None and way == "up":
        # The server says nothing of what it took: fetch it.
        digest = json.loads(asked(txcoap("get", at + path, str(length))))["digest"]
    return Transfer(
        *how,
        told["seconds"],
        {name: Memory(**each) for name, each in told["memory"].items()},
        "" if digest == madeDigest(length) else "another body arrived",
    )


def _byOther(how: tuple[str, str, str, int], at: str, pid: int, body: Path) -> Transfer:
    """
    Another implementation asks txcoap.
    """
    client, _, way, length = how

    def ask(length: int) -> str:
        if way == "down":
            asked(PEERS[client].ask("get", f"{at}made?bytes={length}", str(body)))
            return _digestOf(body)
        _write(body, length)
        return asked(PEERS[client].ask("put", f"{at}taken", str(body)))

    ask(WARMUP)
    watch = Watch({"server": pid})
    begin = time.perf_counter()
    digest = ask(length)
    seconds = time.perf_counter() - begin
    memory = {name: Memory(**each) for name, each in watch.look().items()}
    return Transfer(*how, seconds, memory, "" if digest == madeDigest(length) else "another body arrived")


HEAD = f"{'client':8} {'server':8} {'way':5}{'MiB':>5}{'seconds':>9}{'MiB/s':>8}{'grew by, KiB':>24}"


def row(made: Transfer) -> str:
    """
    A transfer as a line under L{HEAD}.
    """
    start = f"{made.client:8} {made.server:8} {made.way:5}{made.length / MIB:>5.0f}"
    if made.wrong:
        return f"{start}  {made.wrong}"
    grown = ", ".join(f"{name} {each.growth / 1024:.0f}" for name, each in made.memory.items())
    rate = made.length / MIB / made.seconds
    return f"{start}{made.seconds:>9.2f}{rate:>8.2f}{grown:>24}{'' if made.isGood else '  TOO MUCH'}"


def parser() -> argparse.ArgumentParser:
    """
    The command line.
    """
    p = argparse.ArgumentParser(prog="benchmarks.stream", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--long", type=bounded(1), default=64, help="MiB, with those that can")
    p.add_argument("--short", type=bounded(1), default=2, help="MiB, with the others")
    p.add_argument("--peers", type=choice(PEERS), default=list(PEERS), help=",".join(PEERS))
    return p


def measure(peers: Iterable[str] = PEERS, long: int = 64, short: int = 2) -> Iterator[Transfer | str]:
    """
    Transfer bodies between txcoap and each of these.

    @param long: MiB, with those that can.
    @param short: MiB, with the others.
    @return: The transfers as they are done, and of whom is not installed the name.
    """
    for name in peers:
        peer = PEERS[name]
        if peer.ask("get", "", "") is None or peer.server.command("0") is None:
            yield name
            continue
        for client, server in dict.fromkeys([(name, OURS), (OURS, name)]):
            for way in WAYS:
                yield transfer(client, server, way, (long if peer.isLong else short) * MIB)


def summary(made: Transfer) -> dict[str, Any]:
    """
    A transfer as JSON holds it: what was asked of L{transfer}, C{seconds}, C{wrong}, and of each process of
    txcoap the bytes by which it C{grew}.
    """
    return {
        "client": made.client,
        "server": made.server,
        "way": made.way,
        "length": made.length,
        "seconds": made.seconds,
        "wrong": made.wrong,
        "grew": {name: memory.growth for name, memory in made.memory.items()},
    }


def figures(measured: list[dict[str, Any]]) -> Iterator[Figure]:
    """
    What the L{summary} of each come to.
    """
    if not measured:
        return
    grown = [grew for each in measured for grew in each["grew"].values()]
    most = max(grown, default=0) / MIB
    yield Figure("stream: a process of txcoap grew by", most, "MiB", ALLOWED / MIB)
    yield Figure("stream: bodies that did not arrive", sum(bool(each["wrong"]) for each in measured), "", 0.0)


def main(words: list[str]) -> int:
    """
    Transfer and print.

    @return: 1 if a body did not arrive, or txcoap grew too much.
    """
    given = parser().parse_args(words)
    done = []
    print(HEAD)
    for made in measure(given.peers, given.long, given.short):
        if isinstance(made, str):
            print(f"({made} is not installed: left out)")
        else:
            done.append(made)
            print(row(made), flush=True)
    return int(not all(each.isGood for each in done))


if __name__ == "__main__":
    asProgram(main)
