"""
Tests for L{txcoap.workers} and L{txcoap.worker} with real processes, over loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from time import monotonic

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.test_membership import GROUP, loopback
from txcoap.codes import Code
from txcoap.options import Options as CoAPOptions
from txcoap.sansio.datagrams import CON, NON, decode, encode

ROOT = Path(__file__).absolute().parent.parent

# Seconds for what takes a moment, on a machine that has much else to do.
PATIENCE = 60.0

MODULE = """
import os
from txcoap import Resource

class Number(Resource):
    isLeaf = True
    def render_GET(self, request):
        if request.path == "/bug":
            1 // 0
        if request.path == "/die":
            os._exit(3)
        if request.path == "/stuck":
            while True:
                pass
        if request.path == "/user":
            return f"{os.getuid()} {os.getgid()}"
        return str(os.getpid())

root = Number()
"""


def environment() -> dict[str, str]:
    """The variables with which this checkout is found from anywhere."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def unprivileged() -> pwd.struct_passwd:
    """
    A user who may do nothing, but run this Python.

    @raise SkipTest: if this process is not root, or there is none.
    """
    if os.getuid():
        raise SkipTest("only root can serve as somebody else")
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise SkipTest("there is no user nobody") from None
    command = [sys.executable, "-c", "import txcoap.worker"]
    try:
        subprocess.run(
            command,
            cwd="/",
            env=environment(),
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.SubprocessError):
        raise SkipTest("nobody else may run this Python, or read this checkout") from None
    return nobody


def lowPort() -> int:
    """
    A port that is free, and that only root may open.

    @raise SkipTest: if there is none.
    """
    for port in range(1023, 900, -1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt, contextlib.suppress(OSError):
            skt.bind(("127.0.0.1", port))
            return port
    raise SkipTest("no low port is free")


class ProcessTests(SynchronousTestCase):
    """Real processes."""

    def setUp(self) -> None:
        """A module, and a free port."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "several.py").write_text(MODULE)
        self.directory = directory.absolute()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
            skt.bind(("127.0.0.1", 0))
            self.port = skt.getsockname()[1]
        self.messageIDs = count(1)

    @contextlib.contextmanager
    def running(
        self, *more: str, daemon: Sequence[str] = (), interface: str = "127.0.0.1"
    ) -> Iterator[subprocess.Popen[str]]:
        """
        twistd coap with two workers.

        @param daemon: More for twistd itself.
        """
        # As the script that is installed: Python does not look in the current directory.
        program = "import sys; sys.path.remove(''); from twisted.scripts.twistd import run; run()"
        command = [sys.executable, "-c", program, "-n", "--pidfile=", *daemon, "coap", "--workers", "2"]
        command += ["--listen", f"udp:{self.port}:interface={interface}", *more]
        self.log = self.directory / "log"
        with self.log.open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment(),
                stdout=log,
                stderr=log,
                text=True,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def ask(self, path: str, skt: socket.socket | None = None) -> str | None:
        """Ask until there is an answer; one without a body is None."""
        own = skt or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            own.settimeout(0.25)
            number = next(self.messageIDs)
            message = encode(CON, Code.GET, number, b"t", CoAPOptions(uriPath=[path]))
            until = monotonic() + PATIENCE
            while monotonic() < until:
                own.sendto(message, ("127.0.0.1", self.port))
                try:
                    # An answer to an earlier copy may come late.
                    while (answer := decode(own.recv(2000))).messageID != number:
                        pass
                except TimeoutError:
                    continue
                return answer.payload.decode() or None
            self.fail(f"no answer; the log: {self.log.read_text()}")
        finally:
            if skt is None:
                own.close()

    def both(self) -> dict[str, socket.socket]:
        """The workers' process IDs, and a socket whose peer each is."""
        found: dict[str, socket.socket] = {}
        for _ in range(100):
            skt = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(skt.close)
            found[str(self.ask("x", skt))] = skt
            if len(found) == 2:
                break
        self.assertEqual(len(found), 2)
        return found

    def assertFree(self) -> None:
        """Nobody has the port."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
            skt.bind(("127.0.0.1", self.port))

    def test_killedAndStopped(self) -> None:
        """
        A worker that is killed comes again to the same peers, those of the other notice nothing; SIGTERM
        ends all.
        """
        with self.running("--resources", "several") as process:
            (first, one), (second, two) = self.both().items()
            self.assertEqual(self.ask("x", one), first)
            self.ask("bug", one)
            os.kill(int(first), signal.SIGKILL)
            self.assertEqual(self.ask("x", two), second)
            self.assertNotIn(self.ask("x", one), {first, second})
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE), -signal.SIGTERM)
            log = self.log.read_text()
        self.assertFree()
        self.assertRegex(log, r"\[worker [12], txcoap.responding#critical\] while rendering")
        self.assertIn("ZeroDivisionError: integer division", log)
        self.assertRegex(log, r"worker [12] ended: signal 9; the next starts in 0 s")
        self.assertNotIn("Unhandled", log)

    def test_standIn(self) -> None:
        """
        While a worker that dies again and again is waited for, another reads its sockets, and hands them
        back: a peer is always answered.
        """
        with self.running("--resources", "several"):
            (_, one), (second, two) = self.both().items()
            until = monotonic() + PATIENCE
            while (own := self.ask("x", one)) != second and monotonic() < until:
                self.kill(own)
            self.assertEqual(own, second)
            self.assertIn("stands in for worker", self.log.read_text())
            while (own := self.ask("x", one)) == second and monotonic() < until:
                pass
            self.assertNotEqual(own, second)
            self.assertEqual(self.ask("x", two), second)
            # Soon the other one reads no more.
            answers: list[str | None] = []
            while answers[-20:] != 20 * [own] and monotonic() < until:
                answers.append(self.ask("x", one))
            self.assertEqual(answers[-20:], 20 * [own])

    def kill(self, worker: str | None) -> None:
        """End the worker with this process ID, and wait until it is gone."""
        assert worker is not None
        watched = os.pidfd_open(int(worker))
        os.kill(int(worker), signal.SIGKILL)
        self.assertTrue(select.select([watched], [], [], PATIENCE)[0])
        os.close(watched)

    def test_orphans(self) -> None:
        """Workers end when their supervisor was killed."""
        with self.running("--resources", "several", "--grace", "0") as process:
            watched = [os.pidfd_open(int(pid)) for pid in self.both()]
            process.kill()
            process.wait()
            for worker in watched:
                self.assertTrue(select.select([worker], [], [], PATIENCE)[0])
                os.close(worker)
            self.assertFree()

    def test_stuckOrphans(self) -> None:
        """So does one whose reactor does not run, as a method of its does not come to an end."""
        with self.running("--resources", "several", "--grace", "0") as process:
            found = self.both()
            watched = [os.pidfd_open(int(pid)) for pid in found]
            stuck = encode(CON, Code.GET, next(self.messageIDs), b"t", CoAPOptions(uriPath=["stuck"]))
            for skt in found.values():
                skt.sendto(stuck, ("127.0.0.1", self.port))
            # They answer nobody any more; what was on its way may still come.
            for skt in found.values():
                last = next(self.messageIDs)
                skt.sendto(encode(CON, Code.GET, last, b"t"), ("127.0.0.1", self.port))
                while select.select([skt], [], [], 0.5)[0]:
                    self.assertNotEqual(decode(skt.recv(2000)).messageID, last)
            process.kill()
            process.wait()
            for worker in watched:
                self.assertTrue(select.select([worker], [], [], PATIENCE)[0])
                os.close(worker)
            self.assertFree()

    def test_groups(self) -> None:
        """A request to a group is answered once, by the worker that hears groups (RFC 7252 8)."""
        name = loopback()
        timing = ("--timing", "DEFAULT_LEISURE=0.1", "--multicast", f"{GROUP}%{name}")
        with self.running("--resources", "several", *timing, interface="0.0.0.0"):
            workers = set(self.both())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
                own = socket.inet_aton("127.0.0.1")
                skt.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
                skt.bind(("127.0.0.1", 0))
                skt.settimeout(PATIENCE)
                answered: set[str] = set()
                for _ in range(5):
                    number = next(self.messageIDs)
                    token = number.to_bytes(2, "big")
                    asked = encode(NON, Code.GET, number, token, CoAPOptions(uriPath=["x"]))
                    skt.sendto(asked, (GROUP, self.port))
                    answer = decode(skt.recv(2000))
                    self.assertEqual(answer.token, token)
                    answered.add(answer.payload.decode())
                    # There is no other.
                    self.assertEqual(select.select([skt], [], [], 0.3)[0], [])
            self.assertEqual(len(answered), 1)
            self.assertLess(answered, workers)

    def test_user(self) -> None:
        """
        C{twistd --uid} opens the port as root and serves as somebody else; so does a worker that takes the
        place of one that died.
        """
        nobody = unprivileged()
        shared = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, shared)
        shared.chmod(0o755)
        (shared / "several.py").write_text(MODULE)
        self.directory, self.port = shared, lowPort()
        words = ["--uid", str(nobody.pw_uid), "--gid", str(nobody.pw_gid)]
        expected = f"{nobody.pw_uid} {nobody.pw_gid}"
        with self.running("--resources", "several", daemon=words) as process:
            (_, one), (_, two) = self.both().items()
            self.assertEqual([self.ask("user", one), self.ask("user", two)], [expected, expected])
            self.kill(self.ask("x", one))
            self.assertEqual(self.ask("user", one), expected)
            process.terminate()
            process.wait(PATIENCE)
        self.assertFree()

    def test_workerCannotStart(self) -> None:
        """A worker that cannot so much as start says why in a record of its own, and ends with 1."""
        words = ["--path", ".", "--sockets", "0", "--directory", "/nonexistent"]
        ended = subprocess.run(
            [sys.executable, "-m", "txcoap.worker", *words],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
        )
        self.assertEqual(ended.returncode, 1)
        (record,) = map(json.loads, ended.stdout.replace(b"\x1e", b"").splitlines())
        self.assertIn("/nonexistent", record["failureText"])

    def test_ownNames(self) -> None:
        """What is served may have the name of one of Python's modules, as with a single process."""
        for name in ("json", "queue"):
            (self.directory / f"{name}.py").write_text("1 // 0")
        with self.running("--resources", "several"):
            self.both()

    def test_cannotStart(self) -> None:
        """Where the module is missing the exit status is 1, and the log tells why."""
        with self.running("--resources", "nosuch") as process:
            self.assertEqual(process.wait(PATIENCE), 1)
        self.assertIn("--resources nosuch", self.log.read_text())
        self.assertFree()
