"""
The command C{txcoap observe}: states as lines, as JSON and drawn, its ends and their exit codes. Most tests
run it in this process against a resource on a loopback port.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from importlib.util import find_spec
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import DatagramProtocol, ProcessProtocol
from twisted.internet.task import LoopingCall, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.streams import ClosedPipe, ErrorTerminal, Terminal
from txcoap import Code, ObservableResource, Request, Resource, Response, Site
from txcoap.cli.arguments import parse
from txcoap.cli.commands import perform
from txcoap.cli.console import Console
from txcoap.cli.display import describeState
from txcoap.cli.failures import Exit
from txcoap.cli.observing import jsonOf
from txcoap.cli.plot import numberOf
from txcoap.cli.preparing import Prepared
from txcoap.endpoints import serverFromString
from txcoap.errors import Forbidden

reactor: Any = _reactor

ROOT = str(Path(__file__).parent.parent)


class Script(ObservableResource):
    """
    Has one state after the other, while somebody observes.

    @ivar last: What to do after the last.
    @ivar period: Seconds between them.
    """

    def __init__(self, *states: bytes, contentFormat: int | None = 0) -> None:
        self.states = states
        self.contentFormat = contentFormat
        self.last: Callable[[], object] = lambda: None
        self.going = LoopingCall(self.goOn)
        self.index = 0
        self.period = 0.05

    def render_GET(self, request: Request) -> Response:
        return Response(Code.CONTENT, self.states[self.index], contentFormat=self.contentFormat)

    def observe(self, request: Request, response: Response) -> Any:
        self.going.start(self.period, now=False)
        return super().observe(request, response)

    def goOn(self) -> None:
        """Tell the next; after the last, do what is to be done then."""
        if self.index + 1 < len(self.states):
            self.index += 1
            self.notifyObservers()
        else:
            self.going.stop()
            self.last()

    def stop(self) -> None:
        """Nothing more is to come."""
        if self.going.running:
            self.going.stop()


class Plain(Resource):
    """Cannot be observed."""

    def render_GET(self, request: Request) -> str:
        return "plain"


class WordTests(SynchronousTestCase):
    """A state in words, as JSON, and as a number."""

    def test_lines(self) -> None:
        """Text without what acts on a terminal; bytes in hexadecimal."""
        rows = [
            (b"21.5", "21.5"),
            (b"a\r\nb\n", "a\nb"),
            (b"\x1b[2Jx", "\\x1b[2Jx"),
            ("ä".encode(), "ä"),
            (b"\xff\x00", "0xff00"),
            (b"", ""),
        ]
        for payload, line in rows:
            self.assertEqual(describeState(Response(Code.CONTENT, payload)), line)

    def test_json(self) -> None:
        """Time, code, format by name or number, and the body as text or in base64."""
        time = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=timezone.utc)
        head: dict[str, Any] = {"time": "2026-01-02T03:04:05.678+00:00", "code": "2.05"}
        rows: list[tuple[bytes, int | None, dict[str, Any]]] = [
            (b"x", 50, {"format": "application/json", "payload": "x"}),
            (b"x", 65000, {"format": 65000, "payload": "x"}),
            (b"\xff", None, {"format": None, "base64": "/w=="}),
        ]
        for payload, form, rest in rows:
            state = Response(Code.CONTENT, payload, contentFormat=form)
            self.assertEqual(jsonOf(state, time), head | rest)

    def test_numbers(self) -> None:
        """The first number of a text; of JSON the newest value."""
        rows = [
            (b"21.5", 21.5),
            (b"-3e2 kPa", -300.0),
            (b"temperature: 7", 7.0),
            (b'{"unit": "C", "value": 4}', 4.0),
            (b'[{"n": "a", "u": "C", "t": 1, "v": 5}, {"t": 2, "v": 6.5}]', 6.5),
            (b'{"on": true}', None),
            (b"[1, 2, 3]", 3.0),
            (b"[]", None),
            (b'{"v": "high"}', None),
            (b"{", None),
            (b"[" * 100_000, None),
            (b"none", None),
            (b"\xff1", None),
        ]
        for payload, number in rows:
            self.assertEqual(numberOf(Response(Code.CONTENT, payload)), number, payload[:20])


class ObserveTests(TestCase):
    """C{txcoap observe} against resources on a loopback port."""

    timeout = 30

    async def serve(self, resource: Any) -> str:
        """Serve a resource; its URI as one types it."""
        self.resource = resource
        if isinstance(resource, Script):
            self.addCleanup(resource.stop)
        root = Resource()
        root.putChild("x", resource)
        port: Any = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(root))
        self.addCleanup(port.stopListening)
        return f"127.0.0.1:{port.getHost().port}/x"

    async def observe(
        self, *arguments: str, stdout: BytesIO | None = None, stderr: StringIO | None = None
    ) -> tuple[int, str, str]:
        """Exit code, standard output and error."""
        console = Console(BytesIO(), stdout or BytesIO(), stderr or StringIO())
        code = await perform(reactor, parse(["observe", *arguments]), Prepared(), console)
        assert isinstance(console.stdout, BytesIO)
        assert isinstance(console.stderr, StringIO)
        return code, console.stdout.getvalue().decode("utf-8", "replace"), console.stderr.getvalue()

    def assertLeft(self) -> None:
        """Nobody observes the resource any more."""
        self.assertEqual(self.resource.observerCount, 0)

    async def test_count(self) -> None:
        """A line for each state, so many; then the server is told."""
        uri = await self.serve(Script(b"1", b"2\n", b"3", b"4"))
        self.assertEqual(await self.observe(uri, "-c", "3"), (Exit.SUCCESS, "1\n2\n3\n", ""))
        self.assertLeft()

    async def test_terminal(self) -> None:
        """On a terminal nothing acts on it."""
        uri = await self.serve(Script(b"\x1b[2J", b"\xff"))
        found = await self.observe(uri, "--count", "2", stdout=Terminal())
        self.assertEqual(found, (Exit.SUCCESS, "\\x1b[2J\n0xff\n", ""))

    async def test_binary(self) -> None:
        """Elsewhere bytes that are no text are written as they are."""
        uri = await self.serve(Script(b"\xff\x00", contentFormat=42))
        stdout = BytesIO()
        await self.observe(uri, "-c", "1", stdout=stdout)
        self.assertEqual(stdout.getvalue(), b"\xff\x00")

    async def test_json(self) -> None:
        """A line of JSON for each."""
        uri = await self.serve(Script(b"1", b"2"))
        _, out, _ = await self.observe(uri, "-c", "2", "--json")
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line["payload"] for line in lines], ["1", "2"])
        first, second = (datetime.fromisoformat(line["time"]) for line in lines)
        self.assertLess(first, second)

    async def test_timestamps(self) -> None:
        """Each line begins with the time."""
        uri = await self.serve(Script(b"1", b"\xff"))
        _, out, _ = await self.observe(uri, "-c", "2", "--timestamps")
        stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
        self.assertRegex(out, rf"^{stamp} 1\n{stamp} 0xff\n$")

    async def test_pretty(self) -> None:
        """Each is laid out by its content format, below its time if that is wanted."""
        uri = await self.serve(Script(b'{"v": 1}', b"{", contentFormat=50))
        found = await self.observe(uri, "-c", "2", "--pretty")
        self.assertEqual(found, (Exit.SUCCESS, '{\n  "v": 1\n}\n{\n', ""))
        uri = await self.serve(Script(b'{"v": 1}', contentFormat=50))
        _, out, _ = await self.observe(uri, "-c", "1", "--pretty", "--timestamps")
        self.assertEqual(out.splitlines()[1:], ["{", '  "v": 1', "}"])

    async def test_exec(self) -> None:
        """A program gets each state as it came, one after the other, and what the server said of it."""
        output = Path(self.mktemp()).absolute()
        command = f"(echo $COAP_CODE $COAP_FORMAT; cat; echo) >> {output}"
        uri = await self.serve(Script(b"\xff\x00", b"2", contentFormat=42))
        self.assertEqual(await self.observe(uri, "-c", "2", "--exec", command), (Exit.SUCCESS, "", ""))
        head = b"2.05 application/octet-stream\n"
        self.assertEqual(output.read_bytes(), head + b"\xff\x00\n" + head + b"2\n")
        self.assertLeft()

    async def test_execForm(self) -> None:
        """It gets lines where a form is asked for."""
        output = Path(self.mktemp()).absolute()
        uri = await self.serve(Script(b"1"))
        await self.observe(uri, "-c", "1", "--json", "--exec", f"cat > {output}")
        line = output.read_text()
        self.assertEqual((json.loads(line)["payload"], line[-1]), ("1", "\n"))

    async def test_execFails(self) -> None:
        """That it failed is told, unless that is not wanted; it goes on."""
        uri = await self.serve(Script(b"1", b"2"))
        code, _, err = await self.observe(uri, "-c", "2", "--exec", "exit 3")
        self.assertEqual((code, err), (Exit.SUCCESS, "txcoap: 'exit 3' ended with status 3\n" * 2))
        uri = await self.serve(Script(b"1"))
        _, _, err = await self.observe(uri, "-c", "1", "--exec", "kill -9 $$")
        self.assertIn("signal 9", err)
        uri = await self.serve(Script(b"1"))
        self.assertEqual((await self.observe(uri, "-q", "-c", "1", "--exec", "false"))[2], "")

    async def test_execInterrupted(self) -> None:
        """Whoever interrupts it ends the program, too, and the server is told."""
        mark = Path(self.mktemp()).absolute()
        uri = await self.serve(Script(b"1"))
        command = f"trap 'echo ended > {mark}; exit' TERM; echo > {mark}; while :; do sleep 0.02; done"
        observing = Deferred.fromCoroutine(self.observe(uri, "--exec", command))
        while not mark.exists():
            await deferLater(reactor, 0.01)
        observing.addErrback(lambda failure: failure.trap(CancelledError))
        observing.cancel()
        await observing
        while mark.read_text() != "ended\n":
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.05)
        self.assertLeft()

    async def test_code(self) -> None:
        """C{--code} tells the code of each."""
        uri = await self.serve(Script(b"1", b"22"))
        _, _, err = await self.observe(uri, "-c", "2", "--code")
        line = "2.05 Content (text/plain; charset=utf-8, {} bytes)\n"
        self.assertEqual(err, line.format(1) + line.format(2))

    async def test_duration(self) -> None:
        """After so long it ends well."""
        uri = await self.serve(Script(b"1", b"2"))
        self.assertEqual(await self.observe(uri, "-s", "0.4"), (Exit.SUCCESS, "1\n2\n", ""))
        self.assertLeft()

    async def test_lazy(self) -> None:
        """With C{--lazy} the server has to find out."""
        resource = Script(b"1", b"2")
        uri = await self.serve(resource)
        await self.observe(uri, "-c", "1", "--lazy")
        self.assertEqual(resource.observerCount, 1)

    async def test_large(self) -> None:
        """States are whole, whatever the size of blocks."""
        body = b"0123456789" * 300
        resource = Script(body, body[::-1])
        # A state that comes before all of the last one is here takes its place.
        resource.period = 2
        uri = await self.serve(resource)
        _, out, _ = await self.observe(uri, "-c", "2", "-b", "64")
        self.assertEqual(out.encode(), body + b"\n" + body[::-1] + b"\n")

    async def test_ended(self) -> None:
        """The server ends it: its code decides, and is told, unless that is not wanted."""
        for quiet, told in (([], "4.03 Forbidden: go away\n"), (["-q"], "")):
            resource = Script(b"1", b"2")
            resource.last = partial(resource.dismissObservers, Forbidden("go away"))
            uri = await self.serve(resource)
            self.assertEqual(await self.observe(uri, *quiet), (Exit.CLIENT_ERROR, "1\n2\n", told))

    async def test_refused(self) -> None:
        """So it is where there is nothing to observe."""
        uri = await self.serve(Plain())
        self.assertEqual(await self.observe(f"{uri}/y"), (Exit.CLIENT_ERROR, "", "4.04 Not Found\n"))

    async def test_notObservable(self) -> None:
        """What cannot be observed is shown once, and told."""
        uri = await self.serve(Plain())
        code, out, err = await self.observe(uri)
        self.assertEqual((code, out), (Exit.FAILURE, "plain\n"))
        self.assertIn("cannot be observed", err)
        self.assertEqual(await self.observe(uri, "-c", "1"), (Exit.SUCCESS, "plain\n", ""))

    async def test_nobody(self) -> None:
        """Without a first state it fails when the time is over, whichever is the shorter."""
        port = reactor.listenUDP(0, DatagramProtocol(), "127.0.0.1")
        self.addCleanup(port.stopListening)
        for flags in (["-B", "0.2"], ["-s", "0.2", "-N"]):
            code, out, err = await self.observe(f"127.0.0.1:{port.getHost().port}", *flags)
            self.assertEqual((code, out, err.count("\n")), (Exit.FAILURE, "", 1))

    async def test_brokenPipe(self) -> None:
        """Nobody reads it: the server is told all the same."""
        uri = await self.serve(Script(b"1"))
        code, _, err = await self.observe(uri, stdout=ClosedPipe())
        self.assertEqual((code, err), (Exit.BROKEN_PIPE, ""))
        self.assertLeft()

    async def test_plot(self) -> None:
        """The numbers are drawn on the standard error; on a terminal that replaces the lines."""
        if not (find_spec("rich") and find_spec("sparklines")):
            raise SkipTest("rich or sparklines is not installed: pip install 'txcoap[cli]'")
        for stdout, lines in ((BytesIO(), "-1\nnothing\n3\n1\n"), (Terminal(), "")):
            uri = await self.serve(Script(b"-1", b"nothing", b"3", b"1"))
            code, out, err = await self.observe(
                uri, "-c", "4", "--plot", stdout=stdout, stderr=ErrorTerminal()
            )
            self.assertEqual((code, out), (Exit.SUCCESS, lines))
            self.assertIn("▁█▄  1 (from -1 to 3)", err)
            self.assertIn("nothing", err)

    async def test_plotNowhere(self) -> None:
        """Without a terminal, or the packages, nothing is sent."""
        uri = await self.serve(Script(b"1"))
        code, out, err = await self.observe(uri, "--plot")
        self.assertEqual((code, out), (Exit.USAGE, ""))
        self.assertIn("no terminal", err)
        modules: dict[str, Any] = sys.modules
        kept = modules.pop("sparklines", None)
        modules["sparklines"] = None

        def restore() -> None:
            del modules["sparklines"]
            if kept is not None:
                modules["sparklines"] = kept

        self.addCleanup(restore)
        code, out, err = await self.observe(uri, "--plot", stderr=ErrorTerminal())
        self.assertEqual((code, out), (Exit.USAGE, ""))
        self.assertIn("txcoap[cli]", err)

    async def test_interrupted(self) -> None:
        """Ctrl-C: exit code 130, and the server is told."""
        uri = await self.serve(Script(b"1", b"2", b"3"))
        process = Interrupted()
        reactor.spawnProcess(
            process,
            sys.executable,
            [sys.executable, "-m", "txcoap", "observe", uri],
            {**os.environ, "PYTHONPATH": ROOT},
        )
        code, out, err = await process.ended
        self.assertEqual((code, err), (130, b""))
        self.assertEqual(out.splitlines()[:2], [b"1", b"2"])
        await deferLater(reactor, 0.05)
        self.assertLeft()


class Interrupted(ProcessProtocol):
    """A process that gets a SIGINT after its second line."""

    def __init__(self) -> None:
        self.ended: Deferred[tuple[int | None, bytes, bytes]] = Deferred()
        self.output = b""
        self.errors = b""

    def outReceived(self, data: bytes) -> None:
        self.output += data
        if self.output.count(b"\n") == 2:
            self.transport.signalProcess("INT")  # type: ignore[union-attr]

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        exit: Any = reason.value
        self.ended.callback((exit.exitCode, self.output, self.errors))
