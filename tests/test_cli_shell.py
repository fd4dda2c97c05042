"""
The command C{txcoap shell}: lines fed to it in this process, by a pipe, and typed at a terminal.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from txcoap import ObservableResource, Request, Resource, Site
from txcoap.cli.arguments import parse
from txcoap.cli.commands import perform
from txcoap.cli.console import Console
from txcoap.cli.failures import Exit
from txcoap.cli.places import Places, asDirectory, resolve
from txcoap.cli.shell import Shell, shell
from txcoap.cli.words import ASKING, OWN, Said, readerOf
from txcoap.endpoints import serverFromString
from txcoap.errors import InvalidURI
from txcoap.linkformat import Link
from txcoap.static import File
from txcoap.uri import URI

reactor: Any = _reactor

ROOT = str(Path(__file__).parent.parent)


PATIENCE = 1000
"""Hundredths of a second that something at a terminal may take."""


class PlacesTests(SynchronousTestCase):
    """Paths, and what is at them."""

    here = URI.fromText("coap://h/a/b/")

    def test_resolve(self) -> None:
        """As in a file system; a whole URI stands for itself."""
        rows = [
            (".", "/a/b"),
            ("./", "/a/b/"),
            ("..", "/a"),
            ("../..", "/"),
            ("../../../..", "/"),
            ("/", "/"),
            ("c", "/a/b/c"),
            ("c/", "/a/b/c/"),
            ("c:d", "/a/b/c:d"),
            ("../c?x=1&y", "/a/c?x=1&y"),
            ("?x", "/a/b?x"),
            ("/c%20d", "/c%20d"),
        ]
        for text, name in rows:
            self.assertEqual(resolve(self.here, text).resourceName, name, text)
        self.assertEqual(str(resolve(self.here, "coap://[::1]:7/x")), "coap://[::1]:7/x")
        for text in ("http://h/", "a b", "%zz"):
            self.assertRaises(InvalidURI, resolve, self.here, text)

    def test_directory(self) -> None:
        """Others begin at it."""
        for text in ("coap://h", "coap://h/a", "coap://h/a/", "coap://h/a?x"):
            self.assertEqual(asDirectory(URI.fromText(text)).resourceName[-1], "/")

    def test_below(self) -> None:
        """One step, in order, with what is known of each; only of this server."""
        places = Places()
        targets = ["/a/z", "/a/b/c/d", "/a/b", "/a/b/e", "other", "coap://elsewhere/a/x", "http://h/a/y"]
        places.add(URI.fromText("coap://h/"), [Link.of(each, rt="t") for each in targets])
        found = {link.target: link.rt for link in places.below(URI.fromText("coap://h/a"))}
        self.assertEqual(found, {"b/": ("t",), "z": ("t",)})
        found = {link.target: link.rt for link in places.below(self.here)}
        self.assertEqual(found, {"c/": (), "e": ("t",)})
        self.assertEqual([each.target for each in places.allBelow(self.here)], ["c/d", "e"])
        self.assertTrue(places.isKnown(URI.fromText("coap://h/a/b/c")))
        self.assertFalse(places.isKnown(URI.fromText("coap://h/a/b/x")))
        self.assertEqual(len(places), 5)


class WordTests(SynchronousTestCase):
    """What is said in a line."""

    resolve = staticmethod(partial(resolve, URI.fromText("coap://h/a/")))

    def test_read(self) -> None:
        """The flags are those of the command line; the body may follow the path."""
        found = readerOf("put", self.resolve).read(["b", "-t", "json", "--non", "one", "two", "-B", "3"])
        self.assertEqual((str(found.uri), found.text), ("coap://h/a/b", "one two"))
        self.assertEqual((found.command, found.contentFormat, found.confirmable), ("put", 50, False))
        found = readerOf("observe", self.resolve).read([])
        self.assertEqual((str(found.uri), found.count), ("coap://h/a", 0))

    def test_defaults(self) -> None:
        """What is not said is as on the command line."""
        for command in ASKING:
            shell = vars(readerOf(command, self.resolve).read(["coap://h/"]))
            self.assertEqual({**shell, "refuse": 0}, {**vars(parse([command, "coap://h/"])), "refuse": 0})

    def test_wrong(self) -> None:
        """It is told in a line, and nothing else happens."""
        rows = [
            ("get", ["-B", "x"], "get: argument -B/--timeout: seconds are a number above 0"),
            ("get", ["a", "b"], "get: 'b' is one word too many"),
            ("put", ["a", "b", "-e", "c"], "the body is 'b', or what the flag says"),
            ("put", ["a", "-f", "-"], "no standard input"),
            ("get", ["http://h/"], "'http' is no scheme of CoAP"),
        ]
        for command, words, complaint in rows:
            error = self.assertRaises(Said, readerOf(command, self.resolve).read, words)
            self.assertIn(complaint, str(error))
            self.assertFalse(error.isHelp)
        error = self.assertRaises(Said, readerOf("get", self.resolve).read, ["--help"])
        self.assertTrue(error.isHelp)


class Fed:
    """Lines that are there already; of each that is a function, what it returns."""

    def __init__(self, *lines: str | Callable[[], Any]) -> None:
        self._lines = deque(lines)
        self.prompts: list[str] = []
        self.written: list[str] = []

    def read(self, prompt: str) -> Deferred[str | None]:
        """The next."""
        self.prompts.append(prompt)
        if not self._lines:
            return succeed(None)
        line = self._lines.popleft()
        return succeed(line) if isinstance(line, str) else line()

    def write(self, line: str) -> None:
        """What comes by itself."""
        self.written.append(line)


class Counter(ObservableResource):
    """Can be written and observed."""

    attributes = {"rt": "counter", "title": "A counter"}
    value = b"0"

    def render_GET(self, request: Request) -> bytes:
        return self.value

    def render_PUT(self, request: Request) -> None:
        self.value = request.payload
        self.notifyObservers()


class ServedTests(TestCase):
    """A small tree on a loopback port."""

    timeout = 30

    def setUp(self) -> None:
        """Listen."""
        directory = Path(self.mktemp())
        (directory / "deep").mkdir(parents=True)
        (directory / "deep" / "f.json").write_text("{}")
        self.counter = Counter()
        self.root = root = Resource()
        inner = Resource()
        inner.putChild("counter", self.counter)
        root.putChild("sensors", inner)
        root.putChild("files", File(directory))
        ports: list[Any] = []
        serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(root)).addCallback(ports.append)
        self.addCleanup(ports[0].stopListening)
        self.base = f"127.0.0.1:{ports[0].getHost().port}"


class ShellTests(ServedTests):
    """In this process."""

    async def run_(self, *lines: Any, uri: str = "") -> tuple[Exit, str, str, list[str]]:
        """Exit code, standard output and error, and what came by itself."""
        self.console = console = Console(BytesIO(), BytesIO(), StringIO())
        self.fed = Fed(*lines)
        arguments = parse(["shell", uri or self.base])
        code = await shell(reactor, arguments, console, perform, self.fed)
        assert isinstance(console.stdout, BytesIO)
        assert isinstance(console.stderr, StringIO)
        return code, console.stdout.getvalue().decode(), console.stderr.getvalue(), self.fed.written

    async def test_about(self) -> None:
        """C{ls}, C{tree}, C{cd}, C{pwd} and C{info}."""
        code, out, err, _ = await self.run_(
            "ls", "cd sensors", "ls", "pwd", "info counter", "cd ..", "pwd", "tree", "info sensors"
        )
        self.assertEqual((code, err), (Exit.SUCCESS, ""))
        self.assertEqual(
            re.sub(" +", " ", out).splitlines(),
            [
                "PATH CT",
                "files application/link-format",
                "sensors/",
                "PATH RT OBS TITLE",
                "counter counter yes A counter",
                f"coap://{self.base}/sensors",
                f"coap://{self.base}/sensors/counter",
                "rt: counter",
                "title: A counter",
                "obs",
                f"coap://{self.base}/",
                "├── files application/link-format",
                "└── sensors/",
                " └── counter A counter rt=counter obs",
                f"coap://{self.base}/sensors",
                "the server does not list it; below it, 1 resource",
            ],
        )
        self.assertEqual(self.fed.prompts[2], f"{self.base}/sensors/> ")

    async def test_directory(self) -> None:
        """What lists itself, as a directory of files does, is looked into."""
        _, out, err, _ = await self.run_("cd files/deep", "ls", "get f.json", "cd nowhere")
        self.assertEqual(out.splitlines()[1].split(), ["f.json", "application/json", "2"])
        self.assertEqual(out.splitlines()[2], "{}")
        self.assertEqual(err, "the server lists nothing here; it may be there all the same\n")

    async def test_asking(self) -> None:
        """The commands of C{txcoap}, by paths; each body is a line."""
        code, out, err, _ = await self.run_(
            "get sensors/counter", "put /sensors/counter 4 5", "get --code /sensors/counter", "# nothing", ""
        )
        self.assertEqual((code, out), (Exit.SUCCESS, "0\n4 5\n"))
        self.assertEqual(err, "2.05 Content\n")

    async def test_background(self) -> None:
        """Observing goes on meanwhile, as often as one likes; its lines are marked."""
        code, out, _, written = await self.run_(
            "cd sensors",
            "observe counter -c 2 &",
            "observe counter &",
            "jobs",
            lambda: deferLater(reactor, 0.1, lambda: "put counter 1"),
            lambda: deferLater(reactor, 0.1, lambda: "cancel 2"),
            "wait",
            "jobs",
        )
        self.assertEqual((code, out), (Exit.SUCCESS, "[1] observe counter -c 2\n[2] observe counter\n"))
        self.assertEqual(sorted(written[:2]), ["[1] 0", "[2] 0"])
        self.assertEqual(
            sorted(written[2:4] + written[4:5]), ["[1] 1", "[1] is over: observe counter -c 2", "[2] 1"]
        )
        self.assertEqual(self.counter.observerCount, 0)

    async def test_end(self) -> None:
        """At the end what is in the background ends, and the server is told."""
        await self.run_(
            "observe sensors/counter &", lambda: deferLater(reactor, 0.1, lambda: "quit"), "get x"
        )
        await deferLater(reactor, 0.05)
        self.assertEqual(self.counter.observerCount, 0)

    async def test_failures(self) -> None:
        """What fails is told in a line; the exit code is that of the last that failed."""
        code, out, err, _ = await self.run_(
            "bogus",
            'get "',
            "ls a b",
            "cancel 7",
            "wait 1",
            "help bogus",
            "cd http://h/",
            "get nothing",
            "pwd",
        )
        self.assertEqual((code, out), (Exit.CLIENT_ERROR, f"coap://{self.base}/\n"))
        complaints = [
            "there is no command 'bogus'; help tells",
            "No closing quotation; put a backslash",
            "one path, not 2",
            "nothing in the background has the number 7; jobs tells",
            "'1' is one word too many",
            "there is no command 'bogus'; help tells",
            "'http' is no scheme of CoAP",
            "4.04 Not Found",
        ]
        lines = err.splitlines()
        self.assertEqual(len(lines), len(complaints))
        for line, complaint in zip(lines, complaints, strict=True):
            self.assertIn(complaint, line)

    async def test_help(self) -> None:
        """Of all, and of one."""
        _, out, err, _ = await self.run_("help", "help cd", "help get", "put --help")
        self.assertEqual(err, "")
        for part in (*OWN, *ASKING, "cd [PATH]: go to", "usage: get", "usage: put", "[TEXT ...]"):
            self.assertIn(part, out)

    async def test_nobody(self) -> None:
        """A server that is not there is told; one may go to another."""
        port = reactor.listenUDP(0, DatagramProtocol(), "127.0.0.1")
        closed = f"127.0.0.1:{port.getHost().port}"
        await port.stopListening()
        code, out, err, _ = await self.run_(f"cd coap://{self.base}", "get sensors/counter", uri=closed)
        self.assertEqual((code, out), (Exit.FAILURE, "0\n"))
        self.assertEqual(
            err, f"txcoap: nobody listens at {closed}; check the port, and that the server runs\n"
        )

    async def test_complete(self) -> None:
        """Commands, flags, numbers, and paths that the server lists."""
        session = Shell(
            reactor, Console(None, BytesIO(), StringIO()), perform, URI.fromText(f"coap://{self.base}")
        )
        session.lines = Fed("ls")
        await session.run(False)
        rows = [
            ("", sorted([*OWN, *ASKING])),
            ("pi", ["ping"]),
            ("get s", ["sensors/"]),
            ("get sensors/", ["sensors/counter"]),
            ("get /se", ["/sensors/"]),
            ("put sensors/../f", ["sensors/../files"]),
            ("get --ti", ["--timeout", "--timing", "--time"]),
            ("ls --", []),
            ("help tr", ["tree"]),
            ("cancel ", []),
            ("get http://", []),
        ]
        for line, words in rows:
            self.assertEqual(list(session.complete(line)), words, line)

    async def test_interrupt(self) -> None:
        """Ctrl-C ends what is being done, and the next line is read."""
        console = Console(None, BytesIO(), StringIO())
        session = Shell(reactor, console, perform, URI.fromText(f"coap://{self.base}"))
        session.lines = Fed("observe sensors/counter", "pwd")
        running = Deferred.fromCoroutine(session.run(False))
        assert isinstance(console.stdout, BytesIO)
        while not console.stdout.getvalue():
            await deferLater(reactor, 0.01)
        session.interrupt()
        await running
        self.assertEqual(console.stdout.getvalue().splitlines()[-1], f"coap://{self.base}/".encode())
        self.assertEqual(self.counter.observerCount, 0)

    async def test_cancelled(self) -> None:
        """The end of the process ends all of it."""
        running = Deferred.fromCoroutine(self.run_("observe sensors/counter &", "observe sensors/counter"))
        running.addErrback(lambda failure: failure.trap(CancelledError))
        while self.counter.observerCount < 2:
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.05)
        running.cancel()
        await running
        self.assertEqual(self.counter.observerCount, 0)


class Typist:
    """
    Somebody at a terminal.

    @ivar seen: What stood there.
    """

    def __init__(self, *command: str) -> None:
        self.process, self._terminal = pty.fork()
        if self.process == 0:
            environment = {"PYTHONPATH": ROOT, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
            os.execve(sys.executable, [sys.executable, *command], {**os.environ, **environment})
        self.seen = ""
        os.set_blocking(self._terminal, False)

    async def until(self, text: str) -> None:
        """Wait until a text stands there, and go on after it."""
        for _ in range(PATIENCE):
            if text in self.seen:
                break
            await deferLater(reactor, 0.01)
            self._look()
        else:
            raise AssertionError(f"there stands {self.seen!r}, and not {text!r}")
        self.seen = self.seen.partition(text)[2]

    def _look(self) -> None:
        # Nothing to read yet; or the end.
        with contextlib.suppress(OSError):
            self.seen += os.read(self._terminal, 65536).decode()

    def type(self, keys: str) -> None:
        """Type."""
        os.write(self._terminal, keys.encode())

    async def ended(self) -> int:
        """The exit code."""
        while True:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                os.close(self._terminal)
                return os.waitstatus_to_exitcode(status)
            await deferLater(reactor, 0.01)
            # What nobody reads can keep a program from ending.
            self._look()


class ProcessTests(ServedTests):
    """As a process of its own."""

    async def test_pipe(self) -> None:
        """Lines come from a pipe; the last needs no newline."""
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            ["-m", "txcoap", "shell", self.base],
            {**os.environ, "PYTHONPATH": ROOT},
            stdinBytes=b"cd sensors\nput counter 3\nget counter\npwd",
        )
        self.assertEqual((out, err, code), (f"3\ncoap://{self.base}/sensors\n".encode(), b"", 0))

    async def test_terminal(self) -> None:
        """Typed and completed; what comes by itself stands above the line, and Ctrl-C ends one thing."""
        if find_spec("prompt_toolkit") is None:
            raise SkipTest("prompt_toolkit is not installed: pip install 'txcoap[cli]'")
        typist = Typist("-m", "txcoap", "shell", self.base)
        await typist.until("resources; help tells the commands")
        await typist.until(f"{self.base}/>")
        typist.type("cd sen\t")
        await typist.until("sors/")
        typist.type("\r")
        await typist.until("/sensors/>")
        typist.type("observe counter\r")
        await typist.until("0\r\n")
        typist.type("\x03")
        await typist.until("/sensors/>")
        typist.type("observe counter &\r")
        await typist.until("[1] 0")
        typist.type("get cou")
        await typist.until("get cou")
        self.counter.value = b"11"
        self.counter.notifyObservers()
        await typist.until("[1] 11\r\n")
        typist.type("\t")
        await typist.until("nter")
        typist.type("\r")
        await typist.until("11\r\n")
        typist.type("nonsense\x03")
        await typist.until("/sensors/>")
        typist.type("\x04")
        self.assertEqual(await typist.ended(), 0)
        self.assertEqual(self.counter.observerCount, 0)

    async def test_plainTerminal(self) -> None:
        """Without prompt_toolkit lines are typed as they are; Ctrl-C ends one thing all the same."""
        start = "import sys; sys.modules['prompt_toolkit'] = None; from txcoap.cli import main; main()"
        typist = Typist("-c", start, "shell", self.base)
        await typist.until(f"{self.base}/> ")
        typist.type("observe sensors/counter\r")
        await typist.until("0\r\n")
        typist.type("\x03")
        await typist.until(f"{self.base}/> ")
        typist.type("nonsense\x03")
        await typist.until(f"{self.base}/> ")
        typist.type("pwd\r")
        await typist.until(f"coap://{self.base}/\r\n")
        typist.type("quit\r")
        self.assertEqual(await typist.ended(), 0)
        self.assertEqual(self.counter.observerCount, 0)
