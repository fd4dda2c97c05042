"""
The command C{txcoap} with large bodies: from and to files, block by block, and how far they are.
"""

from __future__ import annotations

import os
from io import BytesIO, StringIO
from pathlib import Path
from random import Random
from typing import Any
from unittest import SkipTest

from twisted.internet import reactor as _reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import FileBodyProducer

from tests.streams import ErrorTerminal
from txcoap import Code, Request, Resource, Response, Site
from txcoap.cli import preparing as preparing_
from txcoap.cli import progress as progress_
from txcoap.cli.arguments import parse
from txcoap.cli.commands import perform
from txcoap.cli.console import Console, OutputError, OutputFile
from txcoap.cli.delivery import Delivery
from txcoap.cli.failures import Exit
from txcoap.cli.preparing import Prepared, readBody
from txcoap.cli.progress import Progress
from txcoap.endpoints import serverFromString
from txcoap.writable import WritableFile

reactor: Any = _reactor

BODY = Random(3).randbytes(100_000)


class BrokenResource(Resource):
    """A representation with an error code."""

    def render_GET(self, request: Request) -> Response:
        """That."""
        return Response(Code.INTERNAL_SERVER_ERROR, BODY[:1000], contentFormat=42)


class BodyFileTests(TestCase):
    """C{get -o} and C{put -f} against files served on a loopback port."""

    def setUp(self) -> None:
        """Serve an empty directory."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        root = Resource()
        root.putChild("f", WritableFile(self.directory))
        root.putChild("error", BrokenResource())
        ports: list[Any] = []
        endpoint = serverFromString(reactor, "udp:0:interface=127.0.0.1")
        endpoint.listen(Site(root)).addCallback(ports.append)
        self.addCleanup(ports[0].stopListening)
        self.base = f"127.0.0.1:{ports[0].getHost().port}"
        self.target = Path(self.mktemp())

    async def run_(self, *arguments: str) -> tuple[int, bytes, str]:
        """Exit code, standard output and error of a command."""
        parsed = parse(arguments)
        console = Console(BytesIO(), BytesIO(), StringIO())
        body = readBody(parsed.text, parsed.file, parsed.hasBody, console)
        output = None if parsed.output is None else OutputFile(parsed.output)
        try:
            code = await perform(reactor, parsed, Prepared(body, output), console)
        finally:
            if output is not None:
                output.discard()
        assert isinstance(console.stdout, BytesIO)
        assert isinstance(console.stderr, StringIO)
        return code, console.stdout.getvalue(), console.stderr.getvalue()

    async def test_get(self) -> None:
        """C{-o}: the file has the body once it is whole, of whatever size the blocks are."""
        (self.directory / "large").write_bytes(BODY)
        for size in ("1024", "64"):
            found = await self.run_("get", f"{self.base}/f/large", "-o", str(self.target), "-b", size)
            self.assertEqual(found, (0, b"", ""))
            self.assertEqual(self.target.read_bytes(), BODY)

    async def test_total(self) -> None:
        """The server is asked how long the body is, so that the progress can tell."""
        (self.directory / "large").write_bytes(BODY)
        seen: list[tuple[str, int, int | None]] = []
        self.patch(Progress, "__call__", lambda _, *how: seen.append(how))
        await self.run_("get", f"{self.base}/f/large", "-o", str(self.target))
        self.assertEqual(seen[0], ("received", 1024, len(BODY)))

    async def test_code(self) -> None:
        """C{--code} tells how many bytes went to the file."""
        (self.directory / "large").write_bytes(BODY)
        found = await self.run_("get", "--code", f"{self.base}/f/large", "-o", str(self.target))
        self.assertEqual(found[2], "2.05 Content (application/octet-stream, 100000 bytes)\n")

    async def test_error(self) -> None:
        """The body of an error goes to standard output, whole, and the file stays as it was."""
        self.target.write_bytes(b"old")
        found = await self.run_("get", "-q", f"{self.base}/error", "-o", str(self.target))
        self.assertEqual(found, (5, BODY[:1000], ""))
        self.assertEqual(self.target.read_bytes(), b"old")

    async def test_gone(self) -> None:
        """What goes away half-way is a failure; the file stays as it was, and nothing is left beside it."""
        (self.directory / "large").write_bytes(BODY)
        self.target.write_bytes(b"old")
        add = OutputFile.add

        def adding(output: OutputFile, data: bytes) -> None:
            add(output, data)
            (self.directory / "large").unlink(missing_ok=True)

        self.patch(OutputFile, "add", adding)
        code, _, stderr = await self.run_("get", f"{self.base}/f/large", "-o", str(self.target))
        self.assertEqual((code, self.target.read_bytes()), (Exit.FAILURE, b"old"))
        self.assertIn("4.04", stderr)
        self.assertEqual([each for each in os.listdir(self.target.parent) if ".part" in each], [])

    async def test_fullDisk(self) -> None:
        """That the file cannot be written ends the transfer with the first block."""
        (self.directory / "large").write_bytes(BODY)
        code, _, stderr = await self.run_("get", f"{self.base}/f/large", "-o", "/dev/full")
        self.assertEqual((code, stderr), (1, "txcoap: cannot write /dev/full: No space left on device\n"))

    async def test_put(self) -> None:
        """C{-f}: a small file at once, a large one as it goes."""
        self.target.write_bytes(BODY)
        for kept, size in ((2**20, "1024"), (1000, "1024"), (1000, "256")):
            self.patch(preparing_, "LARGEST_KEPT", kept)
            name = f"new{kept}-{size}"
            found = await self.run_("put", f"{self.base}/f/{name}", "-f", str(self.target), "-b", size)
            self.assertEqual(found, (0, b"", ""))
            self.assertEqual((self.directory / name).read_bytes(), BODY)

    async def test_partsOnly(self) -> None:
        """Neither way is there more of a body in memory than a part of it."""
        (self.directory / "large").write_bytes(BODY)
        sizes: list[int] = []
        add = OutputFile.add

        def adding(output: OutputFile, data: bytes) -> None:
            sizes.append(len(data))
            add(output, data)

        self.patch(OutputFile, "add", adding)
        await self.run_("get", f"{self.base}/f/large", "-o", str(self.target))
        self.assertEqual(set(sizes), {1024, len(BODY) % 1024})
        self.patch(preparing_, "LARGEST_KEPT", len(BODY) - 1)
        body = readBody(None, str(self.target), True, Console(None, BytesIO(), StringIO()))
        self.assertIsInstance(body, FileBodyProducer)
        self.assertEqual(body.length, len(BODY))
        body._inputFile.close()

    def test_tooLarge(self) -> None:
        """A file that is larger than any body is refused before anything is sent."""
        self.target.write_bytes(BODY)
        self.patch(preparing_, "LARGEST_KEPT", 1000)
        nothing = Console(None, BytesIO(), StringIO())
        self.assertRaises(OSError, readBody, None, str(self.target), True, nothing, len(BODY) - 1)


class DeliveryTests(SynchronousTestCase):
    """A body on its way."""

    def test_firstPart(self) -> None:
        """A part that cannot be written stops the transfer, with the next one if it must be."""

        class Body:
            stopped = 0

            def deliverBody(self, protocol: Any) -> None:
                self.protocol = protocol
                protocol.makeConnection(self)
                protocol.dataReceived(b"x")

            def loseConnection(self) -> None:
                self.stopped += 1

        def fail(_: bytes) -> None:
            raise OutputError("no")

        body = Body()
        done = Delivery.of(body, fail)
        body.protocol.dataReceived(b"y")
        self.assertEqual(body.stopped, 2)
        body.protocol.connectionLost()
        self.failureResultOf(done, OutputError)


class ProgressTests(SynchronousTestCase):
    """How far it is, on the standard error."""

    def setUp(self) -> None:
        """A terminal, and a clock to set."""
        self.now = 0.0
        self.stderr: StringIO = ErrorTerminal()

    def progress(self, isSilent: bool = False) -> Progress:
        """Begin."""
        return Progress(Console(None, BytesIO(), self.stderr), lambda: self.now, isSilent)

    def withoutRich(self) -> None:
        """As where rich is not installed."""

        def refuse(_: Any) -> Any:
            raise ImportError

        self.patch(progress_, "_Bar", refuse)

    def run_(self, progress: Progress) -> str:
        """Ten seconds of a transfer; what was written."""
        for second in range(41):
            self.now = second / 4
            progress("sent", 1000 * second, 40_000)
        progress.close()
        return self.stderr.getvalue()

    def test_lines(self) -> None:
        """Without rich: a line after a second, then one every two seconds."""
        self.withoutRich()
        lines = self.run_(self.progress()).splitlines()
        self.assertEqual(lines[:2], ["sent 4000 of 40000 bytes (10 %)", "sent 12000 of 40000 bytes (30 %)"])
        self.assertEqual(len(lines), 5)

    def test_unknown(self) -> None:
        """Where the total is not known, it is not told."""
        self.withoutRich()
        progress = self.progress()
        self.now = 1
        progress("received", 5, None)
        self.assertEqual(self.stderr.getvalue(), "received 5 bytes\n")

    def test_short(self) -> None:
        """What takes less than a second shows nothing."""
        progress = self.progress()
        self.now = 0.99
        progress("sent", 1, 2)
        progress.close()
        self.now = 5
        progress("sent", 2, 2)
        self.assertEqual(self.stderr.getvalue(), "")

    def test_silent(self) -> None:
        """Nothing where it is silent, or the standard error is no terminal."""
        self.assertEqual(self.run_(self.progress(isSilent=True)), "")
        self.stderr = StringIO()
        self.assertEqual(self.run_(self.progress()), "")

    def test_bar(self) -> None:
        """With rich: a bar for each direction."""
        try:
            __import__("rich")
        except ImportError:
            raise SkipTest("rich is not installed: pip install txcoap[cli]") from None
        progress = self.progress()
        self.now = 1
        progress("sent", 20_480, 40_960)
        self.now = 2
        progress("received", 1024, None)
        progress.close()
        for part in ("sending", "20.0/40.0 KiB", "receiving"):
            self.assertIn(part, self.stderr.getvalue())
