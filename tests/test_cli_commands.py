"""
The command C{txcoap}: what it writes where, its exit codes. Most tests run a command in this process
against a site on a loopback port; some start a process, for streams and signals.
"""

from __future__ import annotations

import os
import re
import sys
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import DatagramProtocol, ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.streams import ClosedPipe, FullDisk, Terminal
from tests.test_cli import ROOT, console, reactor
from txcoap import Code, Request, Resource, Response, Site
from txcoap.cli.arguments import Arguments, parse
from txcoap.cli.commands import perform
from txcoap.cli.console import OutputFile
from txcoap.cli.preparing import Prepared, readBody
from txcoap.endpoints import serverFromString


class Echo(Resource):
    """Answers with what it is asked."""

    isLeaf = True
    attributes = {"rt": "echo", "title": "Echo"}

    def echo(self, request: Request) -> Response:
        """Method and body."""
        text = f"{request.method} ".encode() + request.payload
        return Response(Code.CONTENT, text, contentFormat=request.contentFormat)

    render_GET = render_PUT = render_POST = render_DELETE = echo
    render_FETCH = render_PATCH = render_iPATCH = echo


class Answer(Resource):
    """Answers every GET alike."""

    isLeaf = True

    def __init__(self, response: Response) -> None:
        self.response = response

    def render_GET(self, request: Request) -> Response:
        """That."""
        return self.response


def tree() -> Resource:
    """What the tests ask for."""
    root = Resource()
    root.putChild("echo", Echo())
    answers = {
        "bad": Response(Code.BAD_REQUEST, b"no\x1b such"),
        "broken": Response(Code.INTERNAL_SERVER_ERROR, b"{}", contentFormat="json"),
        "valid": Response(Code.VALID, etag=b"1"),
        "created": Response(Code.CREATED, locationPath=("a", "b")),
        "lines": Response(Code.CONTENT, b"line\n"),
        "links": Response(Code.CONTENT, b"<", contentFormat=40),
    }
    for name, response in answers.items():
        root.putChild(name, Answer(response))
    return root


class Silence(DatagramProtocol):
    """Takes everything, and says nothing."""


class ServedTests(TestCase):
    """A site on a loopback port, for the tests below."""

    def setUp(self) -> None:
        """Listen."""
        self.console = console()
        endpoint = serverFromString(reactor, "udp:0:interface=127.0.0.1")
        ports: list[Any] = []
        endpoint.listen(Site(tree())).addCallback(ports.append)
        self.addCleanup(ports[0].stopListening)
        self.base = f"127.0.0.1:{ports[0].getHost().port}"

    def silent(self) -> str:
        """The address of a peer that never answers."""
        port = reactor.listenUDP(0, Silence(), "127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"127.0.0.1:{port.getHost().port}"


class CommandTests(ServedTests):
    """Commands in this process."""

    async def run_(self, *arguments: str, output: OutputFile | None = None) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        parsed: Arguments = parse(arguments)
        body = readBody(parsed.text, parsed.file, parsed.hasBody, self.console)
        code = await perform(reactor, parsed, Prepared(body, output), self.console)
        stdout, stderr = self.console.stdout, self.console.stderr
        assert isinstance(stdout, BytesIO)
        assert isinstance(stderr, StringIO)
        return code, stdout.getvalue().decode(), stderr.getvalue()

    async def test_methods(self) -> None:
        """Every method, its body from C{-e}; the body to standard output as it came."""
        for method in ("put", "post", "fetch", "patch", "ipatch"):
            self.console = console()
            found = await self.run_(method, f"{self.base}/echo", "-e", "ä")
            name = "iPATCH" if method == "ipatch" else method.upper()
            self.assertEqual(found, (0, f"{name} ä", ""))
        for method in ("get", "delete"):
            self.console = console(b"not read")
            found = await self.run_(method, f"{self.base}/echo")
            self.assertEqual(found, (0, f"{method.upper()} ", ""))

    async def test_stdin(self) -> None:
        """The body from standard input; non-confirmable, with a content format."""
        self.console = console(b"{}")
        found = await self.run_("post", f"coap://{self.base}/echo", "-N", "-t", "json", "--code")
        self.assertEqual(found, (0, "POST {}", "2.05 Content (application/json, 7 bytes)\n"))

    async def test_terminal(self) -> None:
        """A newline is added on a terminal, unless there is one."""
        self.console = console(stdout=Terminal())
        self.assertEqual((await self.run_("get", f"{self.base}/echo"))[1], "GET \n")
        self.console = console(stdout=Terminal())
        self.assertEqual((await self.run_("get", f"{self.base}/lines"))[1], "line\n")
        self.console = console(stdout=Terminal())
        self.assertEqual((await self.run_("get", f"{self.base}/created"))[1], "")

    async def test_clientError(self) -> None:
        """4.xx: exit code 4; code and diagnostic payload on standard error, harmless."""
        found = await self.run_("get", f"{self.base}/bad")
        self.assertEqual(found, (4, "", "4.00 Bad Request: no\\x1b such\n"))

    async def test_serverError(self) -> None:
        """5.xx: exit code 5; a representation goes to standard output all the same."""
        found = await self.run_("get", f"{self.base}/broken")
        self.assertEqual(found, (5, "{}", "5.00 Internal Server Error (application/json, 2 bytes)\n"))

    async def test_quiet(self) -> None:
        """C{-q}: the exit code tells."""
        self.assertEqual(await self.run_("get", "-q", f"{self.base}/none"), (4, "", ""))
        self.assertEqual(await self.run_("get", "-q", "-B", "0.05", self.silent()), (1, "", ""))

    async def test_code(self) -> None:
        """C{--code} tells it of 2.xx, too, and where something was created."""
        found = await self.run_("get", "--code", f"{self.base}/created")
        self.assertEqual(found, (0, "", "2.01 Created, at /a/b\n"))

    async def test_verbose(self) -> None:
        """C{-v} shows both messages."""
        code, _, stderr = await self.run_(
            "get", "-v", "-O", "Uri-Query,x=1", "-T", "abc", f"{self.base}/echo"
        )
        self.assertEqual(code, 0)
        for part in (f"-> {self.base}: CON GET /echo?x=1", "token 616263", "<-", "ACK 2.05 Content"):
            self.assertIn(part, stderr)

    async def test_uriHost(self) -> None:
        """A server is told by which name it is asked, unless that is not wanted."""
        uri = self.base.replace("127.0.0.1", "localhost")
        for flags, isThere in (([], True), (["-U"], False), (["--no-uri-host"], False)):
            self.console = console()
            code, _, stderr = await self.run_("get", "-v", *flags, f"{uri}/echo")
            self.assertEqual((code, "Uri-Host: localhost" in stderr), (0, isThere))

    async def test_noResponse(self) -> None:
        """Where none is asked for, none is success (RFC 7967)."""
        found = await self.run_("get", "-O", "No-Response,26", "--code", f"{self.base}/echo")
        self.assertEqual(found, (0, "", "no response was asked for\n"))

    async def test_output(self) -> None:
        """C{-o}: the body of a 2.xx goes there, that of an error does not."""
        path = self.mktemp()
        self.assertEqual(await self.run_("get", f"{self.base}/echo", output=OutputFile(path)), (0, "", ""))
        self.assertEqual(Path(path).read_bytes(), b"GET ")
        output = OutputFile(path)
        self.assertEqual((await self.run_("get", f"{self.base}/broken", output=output))[0], 5)
        output.discard()
        self.assertEqual(Path(path).read_bytes(), b"GET ")

    async def test_outputValid(self) -> None:
        """2.03 says that the file is right as it is."""
        path = self.mktemp()
        Path(path).write_bytes(b"kept")
        output = OutputFile(path)
        self.assertEqual((await self.run_("get", f"{self.base}/valid", output=output))[0], 0)
        output.discard()
        self.assertEqual(Path(path).read_bytes(), b"kept")

    async def test_brokenOutput(self) -> None:
        """A closed pipe ends it without a word; a full disk with one."""
        self.console = console(stdout=ClosedPipe())
        self.assertEqual(await self.run_("get", f"{self.base}/echo"), (141, "", ""))
        self.console = console(stdout=FullDisk())
        found = await self.run_("get", f"{self.base}/echo")
        self.assertEqual(found, (1, "", "txcoap: cannot write the output: No space left on device\n"))

    async def test_timeout(self) -> None:
        """No answer: exit code 1, and what to check."""
        code, _, stderr = await self.run_("get", "-B", "0.05", f"{self.silent()}/x")
        self.assertEqual(code, 1)
        self.assertRegex(stderr, r"did not answer in 0\.0\d+ s; check address and port")
        self.assertEqual(stderr.count("\n"), 1)

    async def test_timing(self) -> None:
        """C{--timing} says how often it is repeated, and how long that takes."""
        how = ("--timing", "ACK_TIMEOUT=0.02,ACK_RANDOM_FACTOR=1,MAX_RETRANSMIT=1")
        code, _, stderr = await self.run_("get", "-v", *how, f"{self.silent()}/x")
        self.assertEqual(code, 1)
        self.assertEqual(stderr.count("CON GET"), 2)
        self.assertIn("did not answer in 0.0", stderr)

    async def test_unknownName(self) -> None:
        """A name without an address: exit code 1."""
        for name in ("a..b", "x" * 64):
            self.console = console()
            code, _, stderr = await self.run_("get", f"{name}/x")
            self.assertEqual((code, stderr.count("\n")), (1, 1))
            self.assertIn(f"'{name}' has no address; check the name", stderr)

    async def test_otherScheme(self) -> None:
        """A scheme that is not served is not asked over another one."""
        code, _, stderr = await self.run_("get", "coaps://127.0.0.1/x")
        self.assertEqual(code, 2)
        self.assertIn("coaps is not served here", stderr)

    async def test_tooLarge(self) -> None:
        """Options that fit no datagram are not sent."""
        options = [f"-O2050,{'x' * 250}"] * 300
        code, _, stderr = await self.run_("get", *options, f"{self.base}/echo")
        self.assertEqual(code, 2)
        self.assertIn("does not fit a datagram", stderr)

    async def test_ping(self) -> None:
        """Round-trip times, and their summary if there are several."""
        code, stdout, _ = await self.run_("ping", self.base)
        self.assertEqual(code, 0)
        self.assertRegex(stdout, rf"^{self.base} is there: [0-9.]+ ms\n$")
        self.console = console()
        code, stdout, _ = await self.run_("ping", "-c", "3", "-i", "0.01", self.base)
        self.assertEqual((code, len(stdout.splitlines())), (0, 4))
        self.assertIn("3 sent, 3 answered; at least ", stdout)
        self.console = console()
        self.assertEqual(await self.run_("ping", "-q", self.base), (0, "", ""))

    async def test_pingNobody(self) -> None:
        """Each that is not answered is told; the exit code is 1."""
        code, stdout, stderr = await self.run_(
            "ping", "-v", "-c", "2", "-i", "0.01", "-B", "0.05", self.silent()
        )
        self.assertEqual((code, stdout), (1, "2 sent, 0 answered\n"))
        self.assertEqual(len(re.findall(r"did not answer in 0\.0\d+ s;", stderr)), 2)
        self.assertIn("CON 0.00 Empty", stderr)

    async def test_discover(self) -> None:
        """A table; the URI's query selects."""
        code, stdout, _ = await self.run_("discover", "--code", f"{self.base}/not-looked-at?rt=echo")
        self.assertEqual(code, 0)
        self.assertEqual(stdout.splitlines(), ["PATH   RT    TITLE", "/echo  echo  Echo"])
        self.console = console()
        code, stdout, stderr = await self.run_("discover", f"{self.base}?rt=none")
        self.assertEqual((code, stdout, stderr), (0, "", "no resources\n"))

    async def test_discoverRaw(self) -> None:
        """C{--raw}: as it came."""
        code, stdout, _ = await self.run_("discover", "--raw", f"{self.base}?rt=echo")
        self.assertEqual((code, stdout), (0, '</echo>;rt="echo";title="Echo"'))

    async def test_interrupted(self) -> None:
        """Cancelled, nothing is left in the reactor; a row of pings is summed up."""
        running: Deferred[Any] = ensureDeferred(self.run_("ping", "-c", "9", "-i", "60", self.base))
        waited: Deferred[None] = Deferred()
        reactor.callLater(0.2, waited.callback, None)
        await waited
        running.addErrback(lambda failure: None)
        running.cancel()
        await running
        assert isinstance(self.console.stdout, BytesIO)
        self.assertIn(b"1 sent, 1 answered", self.console.stdout.getvalue())


class Conversation(ProcessProtocol):
    """
    A process to which something is done once it wrote to standard error.

    @ivar ended: Fires with exit code and standard error.
    """

    def __init__(self, *, signal: str | None = None, closeStdout: bool = False) -> None:
        self._signal = signal
        self._closeStdout = closeStdout
        self._errors = b""
        self.ended: Deferred[tuple[int | None, bytes]] = Deferred()

    def connectionMade(self) -> None:
        """Close what is to be closed."""
        transport: Any = self.transport
        transport.closeStdin()
        if self._closeStdout:
            transport.closeStdout()

    def errReceived(self, data: bytes) -> None:
        """It is running."""
        self._errors += data
        transport: Any = self.transport
        if self._signal:
            transport.signalProcess(self._signal)
            self._signal = None

    def processEnded(self, reason: Failure) -> None:
        """Tell."""
        error: Any = reason.value
        code = 0 if reason.check(ProcessDone) else error.exitCode
        self.ended.callback((code, self._errors))


class ProcessTests(ServedTests):
    """The command as a process of its own."""

    environment = {**os.environ, "PYTHONPATH": ROOT}

    async def call(self, *arguments: str, stdin: bytes = b"") -> tuple[bytes, bytes, int]:
        """Standard output, standard error and exit code."""
        found: tuple[bytes, bytes, int] = await getProcessOutputAndValue(
            sys.executable, ["-m", "txcoap", *arguments], self.environment, stdinBytes=stdin
        )
        return found

    async def converse(self, conversation: Conversation, *arguments: str) -> tuple[int | None, bytes]:
        """Exit code and standard error."""
        reactor.spawnProcess(
            conversation, sys.executable, [sys.executable, "-m", "txcoap", *arguments], self.environment
        )
        return await conversation.ended

    async def test_request(self) -> None:
        """Standard input to standard output."""
        found = await self.call("put", f"{self.base}/echo", stdin=b"\xff\x00")
        self.assertEqual(found, (b"PUT \xff\x00", b"", 0))

    async def test_error(self) -> None:
        """4.04 is exit code 4, and one line."""
        found = await self.call("get", f"{self.base}/none")
        self.assertEqual(found, (b"", b"4.04 Not Found\n", 4))

    async def test_files(self) -> None:
        """From a file, to a file; what cannot be read or written is told before anything is sent."""
        source, target = self.mktemp(), os.path.abspath(self.mktemp())
        Path(source).write_bytes(b"x")
        found = await self.call("put", f"{self.base}/echo", "-f", os.path.abspath(source), "-o", target)
        self.assertEqual(found, (b"", b"", 0))
        self.assertEqual(Path(target).read_bytes(), b"PUT x")
        found = await self.call("put", "-f", "/none", self.base)
        self.assertEqual(found, (b"", b"txcoap put: cannot read /none: No such file or directory\n", 2))
        found = await self.call("get", "-o", "/none/x", self.base)
        self.assertEqual(found, (b"", b"txcoap get: cannot write /none/x: No such file or directory\n", 2))

    async def test_completion(self) -> None:
        """A script for the shell, or one line that says what is missing."""
        written, told, code = await self.call("completion", "bash")
        if code:
            self.assertEqual((written, code), (b"", 2))
            self.assertIn(b"txcoap[cli]", told)
        else:
            self.assertIn(b"discover", written)

    async def test_nobody(self) -> None:
        """A closed port is told at once; a file that was to be written is not there."""
        port = reactor.listenUDP(0, Silence(), "127.0.0.1")
        closed = f"127.0.0.1:{port.getHost().port}"
        await port.stopListening()
        target = os.path.abspath(self.mktemp())
        _, stderr, code = await self.call("get", "-B", "20", closed, "-o", target)
        self.assertEqual((stderr.count(b"\n"), code), (1, 1))
        self.assertFalse(os.path.exists(target))

    async def test_interrupt(self) -> None:
        """Ctrl-C: exit code 130; SIGTERM: 143; not a word of either."""
        for signal, expected in (("INT", 130), ("TERM", 143)):
            conversation = Conversation(signal=signal)
            code, stderr = await self.converse(conversation, "get", "-v", f"{self.silent()}/x")
            self.assertEqual(code, expected)
            self.assertNotIn(b"Traceback", stderr)
            self.assertNotIn(b"txcoap:", stderr)

    async def test_brokenPipe(self) -> None:
        """Nobody reads the output: exit code 141, not a word."""
        found = await self.converse(Conversation(closeStdout=True), "get", f"{self.base}/echo")
        self.assertEqual(found, (141, b""))
