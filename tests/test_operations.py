"""
The systemd units of the operations guide are units.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.pages import ROOT
from txcoap import tap
from txcoap.codes import Code
from txcoap.options import Options
from txcoap.resource import Resource
from txcoap.sansio.datagrams import CON, encode

# What systemd does, and then twistd.
ACTIVATED = """
import os, sys
os.dup2(int(sys.argv.pop(1)), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "coap.socket"}
from twisted.scripts.twistd import run
run()
"""

UNITS = ROOT / "examples" / "systemd"


class UnitTests(SynchronousTestCase):
    """The systemd units."""

    def commands(self) -> dict[str, list[str]]:
        """What each service runs, as words."""
        found = {}
        for path in UNITS.glob("*.service"):
            (command,) = re.findall(r"^ExecStart=/usr/bin/twistd (.*)", path.read_text("utf-8"), re.MULTILINE)
            found[path.name] = command.replace("%i", "1").split()
        return found

    def test_commands(self) -> None:
        """Each command is one that twistd understands."""
        self.patch(tap, "findResources", lambda name: Resource())
        commands = self.commands()
        self.assertEqual(sorted(commands), ["coap-workers.service", "coap.service"])
        for words in commands.values():
            options = tap.Options()
            rest = words[words.index("coap") + 1 :]
            self.assertEqual(words[:2], ["--nodaemon", "--pidfile="])
            if "systemd:name=coap.socket" in rest:
                # There is none here.
                rest[rest.index("systemd:name=coap.socket")] = "udp:5683"
            try:
                options.parseOptions(rest)
            except UsageError as e:
                self.fail(f"{' '.join(words)}: {e}")

    def test_socket(self) -> None:
        """The server serves at the socket that it is passed, as systemd does it (sd_listen_fds(3))."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "hello").write_text("hello")
        words = self.commands()["coap.service"]
        words = [*words[: words.index("coap") + 1], "--path", ".", "--listen", "systemd:name=coap.socket"]
        request = encode(CON, Code.GET, 1, b"t", Options(uriPath=["hello"]))
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as passed,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        ):
            passed.bind(("127.0.0.1", 0))
            passed.set_inheritable(True)
            client.connect(passed.getsockname())
            client.settimeout(0.5)
            process = subprocess.Popen(
                [sys.executable, "-c", ACTIVATED, str(passed.fileno()), *words],
                cwd=directory,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
                pass_fds=[passed.fileno()],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                # It waits in the socket until the server reads.
                client.send(request)
                answer = b""
                while not answer and process.poll() is None:
                    with contextlib.suppress(TimeoutError):
                        answer = client.recv(2000)
            finally:
                process.terminate()
                text, _ = process.communicate(timeout=60)
        self.assertTrue(answer.endswith(b"\xffhello"), text)

    def test_verified(self) -> None:
        """systemd itself finds nothing wrong."""
        if shutil.which("systemd-analyze") is None:
            raise SkipTest("there is no systemd here")
        directory = Path(self.mktemp())
        directory.mkdir()
        units = []
        for path in UNITS.iterdir():
            # The program may be elsewhere.
            text = path.read_text("utf-8").replace("/usr/bin/twistd", "/bin/true")
            units.append(directory / path.name)
            units[-1].write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *map(str, sorted(units))],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
