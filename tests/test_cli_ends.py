"""
How the command C{txcoap} ends where something is not as it should be: nobody reads what it writes, a disk is
full, a package is missing, someone loses patience.
"""

from __future__ import annotations

import os
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import ClosedPipe, FullDisk, Terminal
from tests.test_cli_pretty import NEEDS_SHTAB
from tests.test_cli_shell import Fed, ServedTests
from txcoap import Code, Request, Resource, Response, Site
from txcoap.cli import main
from txcoap.cli.arguments import parse
from txcoap.cli.commands import perform
from txcoap.cli.console import Console, OutputError, OutputFile
from txcoap.cli.display import REMEMBERED, MessageLog, describeMessage
from txcoap.cli.failures import Exit
from txcoap.cli.links import showLinks
from txcoap.cli.preparing import prepare
from txcoap.cli.shell import Shell, shell
from txcoap.endpoints import serverFromString
from txcoap.linkformat import Link
from txcoap.options import Options
from txcoap.sansio.datagrams import CON, encode
from txcoap.uri import URI

reactor: Any = _reactor


def hide(test: SynchronousTestCase, *names: str) -> None:
    """Have modules not be there until the end of a test."""
    modules: dict[str, Any] = sys.modules
    for name in names:
        found = modules.get(name)
        if found is None:
            test.addCleanup(modules.pop, name)
        else:
            test.addCleanup(modules.__setitem__, name, found)
        modules[name] = None


class Impatience(BytesIO):
    """Is typed at; then Ctrl-C comes."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise KeyboardInterrupt


class MainTests(SynchronousTestCase):
    """What ends before a reactor runs."""

    def main(
        self, *words: str, stdin: BytesIO | None = None, stdout: BytesIO | None = None
    ) -> tuple[Any, str]:
        """The exit code, and what standard error says."""
        stderr = StringIO()
        self.patch(sys, "argv", ["txcoap", *words])
        self.patch(sys, "stdin", TextIOWrapper(stdin or BytesIO()))
        self.patch(sys, "stdout", TextIOWrapper(stdout or BytesIO()))
        self.patch(sys, "stderr", stderr)
        return self.assertRaises(SystemExit, main).code, stderr.getvalue()

    def test_interruptedBefore(self) -> None:
        """Ctrl-C while the body is read: nothing is sent, the exit code is 130, without a word."""
        self.assertEqual(self.main("put", "localhost", "-f", "-", stdin=Impatience()), (130, ""))

    def test_completionWithoutPackages(self) -> None:
        """Without shtab C{txcoap completion} says in a line what to install."""
        hide(self, "shtab")
        code, told = self.main("completion", "bash")
        self.assertEqual((code, told.count("\n")), (Exit.USAGE, 1))
        self.assertIn("pip install 'txcoap[cli]'", told)

    def test_completionUnread(self) -> None:
        """A script that nobody reads ends it silently; one that cannot be written is complained of."""
        self.assertEqual(self.main("completion", "bash", stdout=ClosedPipe()), (Exit.BROKEN_PIPE, ""))
        code, told = self.main("completion", "bash", stdout=FullDisk())
        self.assertEqual((code, told.count("\n")), (Exit.USAGE, 1))
        self.assertIn("No space left on device", told)
        stdout = BytesIO()
        self.assertEqual(self.main("completion", "bash", stdout=stdout), (Exit.SUCCESS, ""))
        self.assertIn(b"discover", stdout.getvalue())

    test_completionUnread.skip = NEEDS_SHTAB  # type: ignore[attr-defined]


class FileTests(SynchronousTestCase):
    """A file that is to be written."""

    def test_inTheWay(self) -> None:
        """What comes in its way meanwhile stays, is told, and nothing else is left there."""
        directory = Path(self.mktemp())
        directory.mkdir()
        output = OutputFile(str(directory / "body"))
        output.add(b"x")
        (directory / "body").mkdir()
        self.assertIn("cannot write", str(self.assertRaises(OutputError, output.finish)))
        self.assertEqual(os.listdir(directory), ["body"])


class DisplayTests(SynchronousTestCase):
    """Messages and links, shown."""

    def test_noText(self) -> None:
        """A path that is no UTF-8, which a peer may send, is not shown as one."""
        for number in (11, 15):
            options = Options.fromPairs([(number, b"\xff")])
            head, *_ = describeMessage(encode(CON, Code.GET, 1, b"", options, b""))
            self.assertNotIn("/", head)

    def test_again(self) -> None:
        """What went by long ago is forgotten, so that a long observation takes no more and more memory."""
        lines: list[str] = []
        log = MessageLog(lines.append, Clock().seconds)
        for number in range(REMEMBERED + 1):
            log("sent", encode(CON, Code.GET, number, b"", Options(), b""), ("127.0.0.1", 5683))
        count = len(lines)
        log("sent", encode(CON, Code.GET, 0, b"", Options(), b""), ("127.0.0.1", 5683))
        log("sent", encode(CON, Code.GET, REMEMBERED, b"", Options(), b""), ("127.0.0.1", 5683))
        self.assertEqual(["again" in line for line in lines[count:] if "GET" in line], [False, True])

    def test_withoutPackages(self) -> None:
        """Without rich a terminal gets the table that a file gets."""
        hide(self, "rich.box")
        written = []
        for stdout in (BytesIO(), Terminal()):
            showLinks([Link.of("/a", obs=True)], False, Console(None, stdout, StringIO()))
            written.append(stdout.getvalue())
        self.assertEqual(*written)


class Unheard(Fed):
    """What comes by itself reaches nobody."""

    def __init__(self, obstacle: Exception, *lines: Any) -> None:
        super().__init__(*lines)
        self._obstacle = obstacle

    def write(self, line: str) -> None:
        """It cannot."""
        raise self._obstacle


class Sloppy(Resource):
    """Lists what is there without percent-encoding it."""

    contentFormat = "application/link-format"

    def render_GET(self, request: Request) -> bytes:
        """The list."""
        return b"</a b>;ct=0"


class Secret(Resource):
    """Is there for nobody."""

    def render_GET(self, request: Request) -> Response:
        return Response(Code.NOT_FOUND)


class ShellTests(ServedTests):
    """C{txcoap shell}."""

    async def run_(self, lines: Fed, uri: str = "", stdout: BytesIO | None = None) -> tuple[Exit, str, str]:
        """Exit code, standard output and error."""
        console = Console(BytesIO(), stdout or BytesIO(), StringIO())
        code = await shell(reactor, parse(["shell", uri or self.base]), console, perform, lines)
        assert isinstance(console.stdout, BytesIO)
        assert isinstance(console.stderr, StringIO)
        return code, console.stdout.getvalue().decode(), console.stderr.getvalue()

    async def test_unheard(self) -> None:
        """When what goes on in the background can be written nowhere, all ends, and the server is told."""
        rows: list[tuple[Exception, Exit, str]] = [
            (BrokenPipeError(), Exit.BROKEN_PIPE, ""),
            (OutputError("the disk is full"), Exit.FAILURE, "txcoap: the disk is full\n"),
        ]
        for obstacle, expected, told in rows:
            observe = "observe sensors/counter &"
            fed = Unheard(obstacle, observe, observe, lambda: deferLater(reactor, 20, lambda: "get x"))
            code, _, err = await self.run_(fed)
            self.assertEqual((code, err), (expected, told))
            self.assertEqual(self.counter.observerCount, 0)

    async def test_unread(self) -> None:
        """Nor does it go on when nobody reads what was asked for."""
        code, _, err = await self.run_(Fed("get sensors/counter", "get nothing"), stdout=ClosedPipe())
        self.assertEqual((code, err), (Exit.BROKEN_PIPE, ""))

    async def test_resource(self) -> None:
        """C{ls} of a resource is that one; below it there is nothing."""
        _, out, err = await self.run_(Fed("ls sensors/counter", "tree sensors/counter"))
        self.assertEqual((out.splitlines()[-1].split()[0], err), ("/sensors/counter", "no resources\n"))

    async def test_notListed(self) -> None:
        """A server that does not list its resources can be asked all the same."""
        root = Resource()
        known = Resource()
        known.putChild("core", Secret())
        root.putChild(".well-known", known)
        root.putChild("counter", self.counter)
        port: Any = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(root))
        self.addCleanup(port.stopListening)
        code, out, err = await self.run_(Fed("get counter"), f"127.0.0.1:{port.getHost().port}")
        self.assertEqual((code, out), (Exit.SUCCESS, "0\n"))
        self.assertIn("the server does not list its resources: 4.04 Not Found", err)

    async def test_interruptWaiting(self) -> None:
        """Ctrl-C ends C{wait}, and not what it waits for, which can be ended later."""
        console = Console(None, BytesIO(), StringIO())
        session = Shell(reactor, console, perform, URI.fromText(f"coap://{self.base}"))

        async def interrupt() -> str:
            while not self.counter.observerCount:
                await deferLater(reactor, 0.01)
            reactor.callLater(0.05, session.interrupt)
            return "wait"

        session.lines = Fed(
            "observe sensors/counter &", lambda: ensureDeferred(interrupt()), "jobs", "cancel 1"
        )
        await session.run(False)
        assert isinstance(console.stdout, BytesIO)
        self.assertEqual(console.stdout.getvalue(), b"[1] observe sensors/counter\n")
        self.assertEqual(session.lines.written, ["[1] 0", "[1] is cancelled: observe sensors/counter"])
        self.assertEqual(self.counter.observerCount, 0)

    def test_interruptNothing(self) -> None:
        """Ctrl-C between two lines ends nothing."""
        console = Console(None, BytesIO(), StringIO())
        Shell(reactor, console, perform, URI.fromText("coap://h")).interrupt()
        self.assertEqual(console.stderr.getvalue(), "")  # type: ignore[attr-defined]


class CommandTests(ServedTests):
    """Single commands."""

    async def run_(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output and error."""
        arguments = parse(words)
        console = Console(None, BytesIO(), StringIO())
        prepared = prepare(arguments, console)
        try:
            code = await perform(reactor, arguments, prepared, console)
        finally:
            prepared.close()
        assert isinstance(console.stdout, BytesIO)
        assert isinstance(console.stderr, StringIO)
        return code, console.stdout.getvalue().decode(), console.stderr.getvalue()

    async def test_portInUse(self) -> None:
        """C{--bind} to a port that is taken: one line says so."""
        port = reactor.listenUDP(0, DatagramProtocol(), "127.0.0.1")
        self.addCleanup(port.stopListening)
        taken = f"127.0.0.1:{port.getHost().port}"
        code, out, err = await self.run_("get", f"{self.base}/sensors/counter", "--bind", taken)
        self.assertEqual((code, out, err.count("\n")), (Exit.FAILURE, "", 1))
        self.assertIn("no socket could be opened", err)

    async def test_noResponse(self) -> None:
        """Where silence was asked for (RFC 7967) there is a word of it with C{--code} only."""
        command = ("put", f"{self.base}/sensors/counter", "-e", "1", "-O", "No-Response,26")
        self.assertEqual(await self.run_(*command), (Exit.SUCCESS, "", ""))
        self.assertEqual(
            await self.run_(*command, "--code"), (Exit.SUCCESS, "", "no response was asked for\n")
        )

    async def test_enough(self) -> None:
        """C{observe} ends with the states that are wanted or with the time, whichever is first."""
        command = ("observe", f"{self.base}/sensors/counter", "--duration")
        self.assertEqual(await self.run_(*command, "20", "-c", "1"), (Exit.SUCCESS, "0\n", ""))
        self.assertEqual(await self.run_(*command, "0.2", "-c", "2"), (Exit.SUCCESS, "0\n", ""))
        self.assertEqual(self.counter.observerCount, 0)

    async def test_mended(self) -> None:
        """C{discover} shows links that were not percent-encoded, as other servers have them."""
        known = Resource()
        self.root.putChild(".well-known", known)
        known.putChild("core", Sloppy())
        code, out, err = await self.run_("discover", self.base)
        self.assertEqual((code, err), (Exit.SUCCESS, ""))
        self.assertIn("/a%20b", out)

    async def test_nothingFound(self) -> None:
        """C{discover} that finds nothing says so, unless it is to be quiet."""
        command = ("discover", f"{self.base}/?rt=nothing")
        self.assertEqual(await self.run_(*command), (Exit.SUCCESS, "", "no resources\n"))
        self.assertEqual(await self.run_(*command, "-q"), (Exit.SUCCESS, "", ""))
