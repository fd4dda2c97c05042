"""
The command C{txcoap serve}: a directory on loopback ports, asked by C{txcoap get} and the like.
"""

from __future__ import annotations

import os
import sys
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import DatagramProtocol, ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.streams import ClosedPipe
from txcoap import Agent, Code
from txcoap.cli.arguments import parse
from txcoap.cli.console import Console
from txcoap.cli.failures import Exit
from txcoap.cli.serving import serve, uriOf
from txcoap.cli.typed import listenPlace

reactor: Any = _reactor

ROOT = str(Path(__file__).parent.parent)


class PlaceTests(SynchronousTestCase):
    """Where to listen, and where it is found."""

    def test_listen(self) -> None:
        """What people type for it; what is no address is for C{serverFromString}."""
        rows = [
            (":61616", "udp:61616"),
            (":0", "udp:0"),
            ("127.0.0.1", "udp:5683:interface=127.0.0.1"),
            ("127.0.0.1:0", "udp:0:interface=127.0.0.1"),
            ("[::1]", r"udp:5683:interface=\:\:1"),
            ("[fe80::1%eth0]:7", r"udp:7:interface=fe80\:\:1%eth0"),
            ("unix:/run/coap.sock", "unix:/run/coap.sock"),
        ]
        for text, description in rows:
            self.assertEqual(listenPlace(text), description)
        self.assertRaises(ValueError, listenPlace, "127.0.0.1:99999")

    def test_found(self) -> None:
        """By its URI."""
        rows = [
            (IPv4Address("UDP", "127.0.0.1", 5683), "coap://127.0.0.1/"),
            (IPv6Address("UDP", "::1", 7), "coap://[::1]:7/"),
            (UNIXAddress(b"/run/x"), "coap://%2Frun%2Fx/"),
        ]
        for host, uri in rows:
            self.assertEqual(uriOf(host), uri)
        self.assertRegex(uriOf(IPv6Address("UDP", "::", 7)), "^coap://localhost:7/, and by .*addresses$")


class ServeTests(TestCase):
    """A directory, served in this process."""

    timeout = 30

    def setUp(self) -> None:
        """A directory with a file."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        (self.directory / "a.txt").write_bytes(b"hello")
        self.console = Console(BytesIO(), BytesIO(), StringIO())

    def serve(self, *arguments: str) -> Deferred[Exit]:
        """Begin."""
        return Deferred.fromCoroutine(serve(reactor, parse(["serve", *arguments]), self.console))

    def written(self) -> tuple[str, str]:
        """Standard output and error."""
        stdout, stderr = self.console.stdout, self.console.stderr
        assert isinstance(stdout, BytesIO)
        assert isinstance(stderr, StringIO)
        return stdout.getvalue().decode(), stderr.getvalue()

    async def test_read(self) -> None:
        """Files are there to read, by the URI that it writes; each request is told if that is wanted."""
        serving = self.serve(str(self.directory), "--listen", "127.0.0.1:0", "-v")
        line, _ = self.written()
        self.assertRegex(line, f"^serving {self.directory} at coap://127.0.0.1:[0-9]+/\n$")
        agent = Agent(reactor)
        uri = line.split()[-1]
        self.assertEqual((await agent.get(f"{uri}a.txt")).payload, b"hello")
        self.assertEqual((await agent.put(f"{uri}a.txt", b"x")).code, Code.METHOD_NOT_ALLOWED)
        await agent.close()
        serving.cancel()
        self.assertEqual(await serving, Exit.SUCCESS)
        lines = self.written()[1].splitlines()
        self.assertRegex(lines[0], r"^127\.0\.0\.1:[0-9]+: GET /a.txt: 2.05 Content, 5 bytes$")
        self.assertIn("PUT /a.txt: 4.05", lines[1])

    async def test_write(self) -> None:
        """With C{--writable} they can be put."""
        serving = self.serve(str(self.directory), "-l", "127.0.0.1:0", "-l", "[::1]:0", "--writable")
        agent = Agent(reactor)
        for number, line in enumerate(self.written()[0].splitlines()):
            uri = line.split()[-1]
            self.assertEqual((await agent.put(f"{uri}{number}", b"new")).code, Code.CREATED)
        await agent.close()
        serving.cancel()
        await serving
        self.assertEqual(sorted(os.listdir(self.directory)), ["0", "1", "a.txt"])

    async def test_quiet(self) -> None:
        """With C{-q} not a word."""
        serving = self.serve(str(self.directory), "-q", "-l", "127.0.0.1:0")
        serving.cancel()
        await serving
        self.assertEqual(self.written(), ("", ""))

    async def test_impossible(self) -> None:
        """What cannot be is told in one line."""
        port = reactor.listenUDP(0, DatagramProtocol(), "127.0.0.1")
        self.addCleanup(port.stopListening)
        taken = f"127.0.0.1:{port.getHost().port}"
        rows = [
            (["/none"], Exit.USAGE, "txcoap: cannot serve /none: No such file or directory\n"),
            ([".", "-l", "tcp:1"], Exit.USAGE, "begins with none of fd, systemd, udp, unix"),
            ([".", "-l", taken], Exit.FAILURE, f"cannot listen at {taken}: Address already in use; choose"),
        ]
        for arguments, code, complaint in rows:
            self.console = Console(BytesIO(), BytesIO(), StringIO())
            self.assertEqual(await self.serve(*arguments), code)
            _, err = self.written()
            self.assertIn(complaint, err)
            self.assertEqual(err.count("\n"), 1)

    async def test_brokenPipe(self) -> None:
        """Nobody reads where it is served."""
        self.console = Console(BytesIO(), ClosedPipe(), StringIO())
        self.assertEqual(await self.serve(str(self.directory), "-l", "127.0.0.1:0"), Exit.BROKEN_PIPE)

    async def test_interrupted(self) -> None:
        """As a process: Ctrl-C is how it ends well."""
        process = Interrupted()
        command = [
            sys.executable,
            "-m",
            "txcoap",
            "serve",
            str(self.directory.absolute()),
            "-l",
            "127.0.0.1:0",
        ]
        reactor.spawnProcess(process, sys.executable, command, {**os.environ, "PYTHONPATH": ROOT})
        self.assertEqual(await process.ended, (0, b""))


class Interrupted(ProcessProtocol):
    """A process that gets a SIGINT once it wrote something; C{ended} fires with exit code and errors."""

    def __init__(self) -> None:
        self.ended: Deferred[tuple[int | None, bytes]] = Deferred()
        self.errors = b""

    def outReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.signalProcess("INT")

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        exit: Any = reason.value
        self.ended.callback((0 if reason.check(ProcessDone) else exit.exitCode, self.errors))
