"""
The tutorial and the README are true: their files are saved to an empty directory, and their commands typed
there, each in a process of its own, with C{twistd} beside them. What they write is compared with the page;
numbers may differ, and more lines may come before Ctrl-C.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.pages import ROOT, blocksOf, filesOf, pages

PAGE = ROOT / "docs" / "tutorial.rst"
COMMANDS = {
    "python": 'exec "{python}" "$@"',
    "txcoap": 'exec "{python}" -m txcoap "$@"',
    "twistd": 'exec "{python}" -c "from twisted.scripts.twistd import run; run()" "$@" --listen {where}',
}
_SESSION = re.compile(r"^    \$ (.*)\n((?:    (?!\$ ).*\n|\n(?=    ))*)", re.MULTILINE)


def sessionOf(page: Path) -> list[tuple[str, str]]:
    """The commands of a page that show a prompt, with what they write."""
    return [
        (command, re.sub("^    ", "", output, flags=re.MULTILINE))
        for command, output in _SESSION.findall(page.read_text("utf-8"))
    ]


def unusedPort() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def pattern(output: str) -> str:
    """What output has to match: any number for a number, any space for space."""
    text = re.escape(re.sub(r"\s+", " ", output.replace("^C", "...")).strip())
    return re.sub(r"\d+(?:\\\.\d+)*", r"[0-9.]+", text).replace(r"\.\.\.\ ", "(?:.* )?").replace(r"\ ", " ")


class SessionTests(SynchronousTestCase):
    """A reader who does what a page says."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        commands = self.directory / ".venv" / "bin"
        commands.mkdir(parents=True)
        self.port = unusedPort()
        where = f"udp:{self.port}:interface=127.0.0.1"
        for name, text in COMMANDS.items():
            script = commands / name
            script.write_text("#!/bin/sh\n" + text.format(python=sys.executable, where=where) + "\n")
            script.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{commands.absolute()}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "NO_COLOR": "1",
        }
        self.server: subprocess.Popen[bytes] | None = None
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """Ctrl-C in the first terminal."""
        for left in self.directory.glob("*.pid"):
            os.kill(int(left.read_text()), signal.SIGTERM)
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(20)
            self.server = None

    def typed(self, command: str) -> str:
        """A command as it is to be typed here."""
        return command.replace("localhost", f"localhost:{self.port}")

    def serve(self, command: str) -> None:
        """Type a command into the first terminal, and wait until it serves."""
        self.stop()
        log = self.directory / "log"
        with open(log, "wb") as output:
            self.server = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                cwd=self.directory,
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        self.wait(log)

    def wait(self, log: Path) -> None:
        """Until a server's log says that it serves."""
        for _ in range(400):
            if log.exists() and "serving CoAP at" in log.read_text():
                return
            time.sleep(0.05)
        self.fail(log.read_text())

    def type(self, command: str, output: str) -> None:
        """Type a command, and compare what it writes; C{^C} is Ctrl-C, after what stands before."""
        before, interrupt, _ = output.partition("^C\n")
        with subprocess.Popen(
            ["/bin/bash", "-c", self.typed(command)],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            assert running.stdout is not None
            written = ""
            if interrupt:
                written = "".join(running.stdout.readline() for _ in before.splitlines())
                running.send_signal(signal.SIGINT)
            written += running.communicate(timeout=60)[0]
        self.assertRegex(re.sub(r"\s+", " ", written).strip(), f"^{pattern(output)}$", command)

    def follow(self, page: Path, files: dict[str, str]) -> int:
        """Do what a page says, with the files that it has one save; how many commands there were."""
        for name, text in files.items():
            (self.directory / name).write_text(text)
        session = sessionOf(page)
        for command, output in session:
            if "twistd -n " in command:
                self.serve(command)
            elif "twistd " in command:
                self.stop()
                self.type(command, output)
                self.wait(self.directory / "terrarium.log")
            else:
                self.type(command, output)
        return len(session)

    def test_tutorial(self) -> None:
        """The tutorial, from its first command to the service."""
        files = filesOf(PAGE)
        self.assertEqual(len(files), 6)
        self.assertGreater(self.follow(PAGE, files), 12)

    def test_readme(self) -> None:
        """The README's own server and client, which there have no captions."""
        page = ROOT / "README.rst"
        texts = {f"{name}.py": text for name, (_, text) in zip(("mymod", "ask"), blocksOf(page), strict=True)}
        for name in texts:
            self.assertIn(f"``{name}``", page.read_text("utf-8"))
        files = {
            name: text.replace("//localhost", f"//localhost:{self.port}") for name, text in texts.items()
        }
        self.assertEqual(self.follow(page, files), 3)

    def test_patterns(self) -> None:
        """What differs is noticed; numbers and what is left out are not."""
        self.assertRegex("21.5 on x y 7", f"^{pattern('22.8 on ... 9')}$")
        self.assertNotRegex("21.5 off", f"^{pattern('21.5 on')}$")


class FileTests(SynchronousTestCase):
    """Files that pages have a reader save."""

    def test_here(self) -> None:
        """Only this page has any: those of others would not be run."""
        self.assertEqual([page for page in pages() if filesOf(page)], [PAGE])

    def test_all(self) -> None:
        """No block of Python is anything else than a block that is run, or such a file."""
        for page in pages():
            text = page.read_text("utf-8")
            for options in re.findall(r"\.\. code-block:: python\n(.*)\n", text):
                self.assertRegex(options, r"^$|^   :caption: \S+$", page.name)
