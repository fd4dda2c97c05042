"""
The examples that read and write files, databases and web pages, or that ask many at once, do what they say.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import redirect_stdout
from hashlib import sha256
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import ProcessProtocol, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web import server as web

from examples import bridge, database, files, fleet, live, many, sensor, upload
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.endpoints import serverFromString
from txcoap.resource import Resource
from txcoap.server import Site
from txcoap.testing import MemoryNetwork, StubAgent

ROOT = Path(__file__).absolute().parent.parent
reactor: Any = _reactor


class PageTests(SynchronousTestCase):
    """C{docs/examples.rst}."""

    def test_complete(self) -> None:
        """The page has each example."""
        page = (ROOT / "docs" / "examples.rst").read_text()
        for path in (ROOT / "examples").glob("[!_]*"):
            if path.suffix in (".py", ""):
                self.assertIn(f"``{path.stem}``", page)


class Reader(Protocol):
    """Keeps what it is told; the one that waits is told once a text is there."""

    def __init__(self) -> None:
        self.text = ""
        self.waiting: list[tuple[str, Deferred[str]]] = []

    def until(self, text: str) -> Deferred[str]:
        """All there is, once this is in it."""
        waiting: Deferred[str] = Deferred()
        self.waiting.append((text, waiting))
        self.dataReceived(b"")
        return waiting

    def dataReceived(self, data: bytes) -> None:
        """Tell those whose text is there."""
        self.text += data.decode()
        for each in [each for each in self.waiting if each[0] in self.text]:
            self.waiting.remove(each)
            each[1].callback(self.text)


class Program(ProcessProtocol):
    """A process, what it prints, and its end."""

    def __init__(self) -> None:
        self.out, self.errors = Reader(), Reader()
        self.ended: Deferred[None] = Deferred()
        self.outReceived = self.out.dataReceived  # type: ignore[method-assign]
        self.errReceived = self.errors.dataReceived  # type: ignore[method-assign]

    def processEnded(self, reason: Failure) -> None:
        """It is over, whatever the reason."""
        self.ended.callback(None)

    def stop(self) -> Deferred[None]:
        """End it, and wait."""
        if not self.ended.called:
            assert self.transport is not None
            self.transport.signalProcess("KILL")
        return self.ended


class LoopbackTestCase(TestCase):
    """Examples that ask a server on loopback."""

    async def serve(self, root: Any) -> str:
        """The URI of a server of this tree."""
        port: Any = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(root))
        self.addCleanup(port.stopListening)
        return f"coap://127.0.0.1:{port.getHost().port}"

    async def serveReading(self) -> tuple[bridge.Reading, str]:
        """A state to observe, and its URI."""
        tree, reading = Resource(), bridge.Reading()
        reading.update("1")
        tree.putChild("reading", reading)
        return reading, await self.serve(tree) + "/reading"


class FilesTests(SynchronousTestCase):
    """C{examples/files.py}."""

    def setUp(self) -> None:
        """Serve a directory with one file."""
        self.directory = Path(self.mktemp())
        self.agent = StubAgent(files.makeTree(self.directory))
        (self.directory / "firmware" / "image.bin").write_bytes(bytes(5000))

    def ask(self, method: str, path: str, *body: Any) -> Any:
        """The response."""
        asking = getattr(self.agent, method)(f"coap://test/{path}", *body)
        self.agent.advance(1)
        return self.successResultOf(asking)

    def test_read(self) -> None:
        """Firmware is read, fresh for an hour, and not written."""
        response = self.ask("get", "firmware/image.bin")
        self.assertEqual((response.payload, response.maxAge), (bytes(5000), 3600))
        self.assertEqual(self.ask("put", "firmware/image.bin", b"x").code, Code.METHOD_NOT_ALLOWED)
        self.assertEqual(self.ask("get", "firmware/other.bin").code, Code.NOT_FOUND)

    def test_written(self) -> None:
        """What is put is there, in directories that are made for it."""
        self.assertEqual(self.ask("put", "inbox/today/report.txt", b"fine" * 500).code, Code.CREATED)
        self.assertEqual((self.directory / "inbox" / "today" / "report.txt").read_bytes(), b"fine" * 500)

    def test_tooLarge(self) -> None:
        """A file that is too large is answered 4.13 (RFC 7252 5.9.2.9)."""
        self.patch(files, "LARGEST", 2000)
        self.agent = StubAgent(files.makeTree(self.directory))
        self.assertEqual(self.ask("put", "inbox/a", bytes(2001)).code, Code.REQUEST_ENTITY_TOO_LARGE)
        self.assertEqual(list((self.directory / "inbox").iterdir()), [])


class FleetTests(SynchronousTestCase):
    """C{examples/fleet.py}."""

    def test_lossless(self) -> None:
        """Where nothing is lost all answer after one way there and back."""
        times = fleet.measure(30, 0.0)
        self.assertEqual([round(time, 3) for time in times], [0.2] * 30)

    def test_repeatable(self) -> None:
        """The seed says what comes out; loss makes some wait for a retransmission (RFC 7252 4.2)."""
        times = fleet.measure(30, 0.3)
        self.assertEqual(times, fleet.measure(30, 0.3))
        self.assertNotEqual(times, fleet.measure(30, 0.3, seed=2))
        self.assertEqual(times, sorted(times))
        self.assertGreater(times[-1], 2)

    def test_table(self) -> None:
        """A line for each share of loss."""
        out = StringIO()
        with redirect_stdout(out):
            fleet.main("10")
        lines = out.getvalue().splitlines()
        self.assertEqual([line[:4] for line in lines], ["lost", "  0%", "  5%", " 10%", " 20%", " 30%"])
        self.assertEqual(lines[1].split()[:3], ["0%", "10", "0.2"])


class ManyTests(SynchronousTestCase):
    """C{examples/many.py}."""

    def test_all(self) -> None:
        """Each URI is asked for once; those that fail do not end the others."""
        tree, out = Resource(), StringIO()
        for number in range(30):
            reading = bridge.Reading()
            reading.update(str(number))
            tree.putChild(str(number), reading)
        agent = StubAgent(tree)
        uris = [f"coap://test/{number}" for number in range(30)]
        with redirect_stdout(out):
            asking = Deferred.fromCoroutine(many.askAll(agent, [*uris, "http://test/"], 5))
            agent.advance(10)
        self.assertEqual(self.successResultOf(asking), 30)
        lines = out.getvalue().splitlines()
        self.assertEqual(len(lines), 31)
        for number, uri in enumerate(uris):
            self.assertIn(f"{uri}: 2.05 Content {number}", lines)

    def test_bounded(self) -> None:
        """No more are under way than was said."""
        network = MemoryNetwork(latency=1.0)
        silent = network.listen(Site(Resource()))
        seen = iter([f"coap://{silent.address[0]}/{number}" for number in range(50)])
        agent = network.agent()
        with redirect_stdout(StringIO()):
            asking = Deferred.fromCoroutine(many.askAll(agent, seen, 5))
            self.assertEqual(len(list(seen)), 45)
            network.advance(100)
        self.assertEqual(self.successResultOf(asking), 5)
        network.close()


class ManyOnLoopbackTests(LoopbackTestCase):
    """C{examples/many.py}, as a program."""

    async def test_main(self) -> None:
        """URIs are read from the standard input."""
        _, uri = await self.serveReading()
        out = StringIO()
        self.patch(sys, "stdin", StringIO(f"{uri}\n\n{uri}x\n{uri}\n"))
        with redirect_stdout(out):
            await many.main(reactor, "2")
        self.assertIn(f"{uri}: 2.05 Content 1", out.getvalue())
        self.assertIn(f"{uri}x: 4.04 Not Found", out.getvalue())
        self.assertIn("3 of 3 answered", out.getvalue())


class UploadTests(LoopbackTestCase):
    """C{examples/upload.py}, on loopback."""

    async def test_checksum(self) -> None:
        """A file in many blocks arrives as it is."""
        path, out, body = Path(self.mktemp()), StringIO(), Random(1).randbytes(30_001)
        path.write_bytes(body)
        uri = await self.serve(upload.Checksum())
        with redirect_stdout(out):
            await upload.main(reactor, uri, str(path))
        self.assertIn(f"{sha256(body).hexdigest()}  {path}", out.getvalue())
        self.assertIn("30001 of 30001 bytes", out.getvalue())

    async def test_refused(self) -> None:
        """A server that does not take it is told of."""
        path, out = Path(self.mktemp()), StringIO()
        path.write_bytes(bytes(3000))
        with redirect_stdout(out):
            await upload.main(reactor, await self.serve(Resource()) + "/none", str(path))
        self.assertIn("not sent: 4.04 Not Found", out.getvalue())


class DatabaseTests(LoopbackTestCase):
    """C{examples/database.py}, on loopback."""

    async def test_stored(self) -> None:
        """Each state is a row; at the end the reason is told."""
        tree = sensor.root(reactor, Random(1))
        thermometer: Any = tree.children["temperature"]
        self.addCleanup(thermometer.measuring.stop)
        path, out = Path(self.mktemp()), StringIO()
        uri = await self.serve(tree)
        with redirect_stdout(out):
            storing = Deferred.fromCoroutine(database.main(reactor, f"{uri}/temperature", str(path)))
            while "stored" not in out.getvalue():
                await deferLater(reactor, 0.01)
            thermometer.dismissObservers()
            await storing
        [first] = thermometer.records
        connection = sqlite3.connect(path)
        rows = connection.execute("SELECT * FROM readings").fetchall()
        connection.close()
        self.assertEqual(rows, [("temperature", first["t"], first["v"])])
        self.assertIn("it has ended: ", out.getvalue())


class LiveTests(LoopbackTestCase):
    """C{examples/live.py}, on loopback."""

    async def open(self, uri: str, path: str) -> Reader:
        """Ask the web server that shows this, as a browser would; what it says."""
        agent = Agent(reactor)
        self.addCleanup(agent.close)
        port = reactor.listenTCP(0, web.Site(live.makeTree(agent, uri)), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        endpoint = HostnameEndpoint(reactor, b"127.0.0.1", port.getHost().port)
        reader: Reader = await connectProtocol(endpoint, Reader())
        assert reader.transport is not None
        self.addCleanup(reader.transport.abortConnection)  # type: ignore[attr-defined]
        reader.transport.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return reader

    async def test_page(self) -> None:
        """The page is there, and asks for the events."""
        reader = await self.open("coap://127.0.0.1/", "/")
        text = await reader.until("</html>")
        self.assertIn("text/html", text)
        self.assertIn('new EventSource("events")', text)

    async def test_events(self) -> None:
        """Each state is an event, and so is the end."""
        reading, uri = await self.serveReading()
        reader = await self.open(uri, "/events")
        self.assertIn("text/event-stream", await reader.until('data: "1"'))
        reading.update("2")
        await reader.until('data: "2"')
        reading.dismissObservers()
        await reader.until("event: ended\n")

    async def test_leaves(self) -> None:
        """Nobody is told any longer once the browser has left."""
        reading, uri = await self.serveReading()
        reader = await self.open(uri, "/events")
        await reader.until('data: "1"')
        assert reader.transport is not None
        reader.transport.loseConnection()
        while reading.observerCount:
            reading.update(str(reactor.seconds()))
            await deferLater(reactor, 0.01)


class AioTests(LoopbackTestCase):
    """C{examples/aio.py}, in a process of its own, for it has another reactor."""

    async def test_lines(self) -> None:
        """Who connects is told each state in a line."""
        reading, uri = await self.serveReading()
        program = Program()
        command = [sys.executable, "-X", "dev", "-W", "error", "-m", "examples.aio", uri, "0"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        reactor.spawnProcess(program, sys.executable, command, environment, str(ROOT))
        self.addCleanup(program.stop)
        said = await program.out.until("\n")
        self.assertTrue(said.startswith("listening at 127.0.0.1 "), said)
        endpoint = HostnameEndpoint(reactor, b"127.0.0.1", int(said.split()[-1]))
        reader: Reader = await connectProtocol(endpoint, Reader())
        assert reader.transport is not None
        self.addCleanup(reader.transport.abortConnection)  # type: ignore[attr-defined]
        await reader.until("1\n")
        reading.update("2")
        await reader.until("1\n2\n")
        reading.dismissObservers()
        await program.out.until("it has ended: ")
        self.assertEqual(program.errors.text, "")
