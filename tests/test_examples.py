"""
The examples do what they say.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase

from examples import bridge, client, demo, feed, hello, lamp, plugtest, router, sensor
from txcoap.codes import Code
from txcoap.endpoints import serverFromString
from txcoap.interfaces import IResource
from txcoap.resource import Resource
from txcoap.server import Site
from txcoap.service import makeRoot
from txcoap.testing import MemoryNetwork, StubAgent

ROOT = Path(__file__).absolute().parent.parent


class ShapeTests(SynchronousTestCase):
    """What holds for all of them."""

    def test_short(self) -> None:
        """An example has at most 60 lines; the plugtest server is no example of brevity."""
        for path in (ROOT / "examples").glob("*.py"):
            if not path.name.startswith("plugtest"):
                self.assertLessEqual(len(path.read_text().splitlines()), 60, path.name)

    def test_documented(self) -> None:
        """Each says how to run it, by its own name."""
        for path in (ROOT / "examples").glob("*.py"):
            if path.name != "__init__.py":
                text = import_module(f"examples.{path.stem}").__doc__
                self.assertIn(f"examples.{path.stem}", text or "")

    def test_served(self) -> None:
        """C{--resources examples.NAME} finds a tree in each server."""
        for module in (demo, hello, lamp, plugtest, router, sensor):
            self.assertTrue(IResource.providedBy(makeRoot(module.root, Clock())))


class RouterTests(SynchronousTestCase):
    """C{examples/router.py}."""

    def test_lamps(self) -> None:
        """Lamps are listed, switched and observed; one that is not there is 4.04."""
        agent = StubAgent(router.House(hall=2).app)
        states = []
        observing = agent.observe("coap://test/rooms/hall/lamps/1")
        agent.flush()
        self.successResultOf(observing).subscribe(lambda response: states.append(response.text()))
        self.successResultOf(agent.put("coap://test/rooms/hall/lamps/1", "on"))
        agent.advance(1)
        self.assertEqual(states, ["off", "on"])
        rooms = self.successResultOf(agent.get("coap://test/rooms"))
        self.assertEqual(rooms.json(), {"hall": 2})
        for path, code in (("hall/lamps/2", 404), ("attic/lamps/0", 404), ("hall/lamps/1", 400)):
            response = self.successResultOf(
                agent.put(f"coap://test/rooms/{path}", "on" if code == 404 else "?")
            )
            self.assertEqual(response.code, Code(code))


class HelloTests(SynchronousTestCase):
    """C{examples/hello.py}."""

    def test_greets(self) -> None:
        """The world, or whom the query names."""
        agent = StubAgent(hello.root)
        self.assertEqual(self.successResultOf(agent.get("coap://test/")).text(), "Hello, world!\n")
        response = self.successResultOf(agent.get("coap://test/?name=Ada"))
        self.assertEqual(response.text(), "Hello, Ada!\n")


class LampTests(SynchronousTestCase):
    """C{examples/lamp.py}."""

    def setUp(self) -> None:
        """Serve it in memory."""
        network = MemoryNetwork()
        self.agent = StubAgent(lamp.root(network.clock), network=network)

    def get(self, **how: Any) -> Any:
        """What a GET is answered."""
        return self.successResultOf(self.agent.get("coap://test/lamp", **how))

    def put(self, state: str, **how: Any) -> Any:
        """What a PUT is answered, after the moment that it takes."""
        waiting = self.agent.put("coap://test/lamp", state, **how)
        self.agent.advance(0.3)
        return self.successResultOf(waiting)

    def test_switches(self) -> None:
        """PUT switches it, after a moment."""
        self.assertEqual(self.get().text(), "off")
        waiting = self.agent.put("coap://test/lamp", "on")
        self.agent.advance(0.1)
        self.assertNoResult(waiting)
        self.assertEqual(self.get().text(), "off")
        self.agent.advance(0.1)
        self.assertEqual(self.successResultOf(waiting).code, Code.CHANGED)
        self.assertEqual(self.get().text(), "on")

    def test_mistakes(self) -> None:
        """It knows two states, in plain text."""
        self.assertEqual(self.put("blue").code, Code.BAD_REQUEST)
        self.assertEqual(self.get(accept="application/json").code, Code.NOT_ACCEPTABLE)

    def test_etags(self) -> None:
        """The entity tag saves the answer, and guards a change."""
        tag = self.get().etag
        self.assertEqual(self.get(etag=tag).code, Code.VALID)
        self.assertEqual(self.put("on", ifMatch=tag).code, Code.CHANGED)
        self.assertEqual(self.put("off", ifMatch=tag).code, Code.PRECONDITION_FAILED)
        self.assertEqual(self.get(etag=tag).text(), "on")

    def test_found(self) -> None:
        """Discovery finds it."""
        (link,) = self.successResultOf(self.agent.discover("coap://test", "rt=light"))
        self.assertEqual((link.target, link.title), ("/lamp", "A lamp"))


class DemoTests(SynchronousTestCase):
    """C{examples/demo.py}."""

    def test_tree(self) -> None:
        """What its front page names is there; the light can be switched."""
        agent = StubAgent(demo.root)
        front = self.successResultOf(agent.get("coap://test/")).text()
        for path in ("/hello", "/time", "/light", "/.well-known/core"):
            self.assertIn(path, front)
            response = self.successResultOf(agent.get(f"coap://test{path}"))
            self.assertEqual(response.code, Code.CONTENT)
        self.successResultOf(agent.put("coap://test/light", "on")).raiseForCode()
        self.assertEqual(self.successResultOf(agent.get("coap://test/light")).text(), "on")


class SensorTests(SynchronousTestCase):
    """C{examples/sensor.py}."""

    def test_observed(self) -> None:
        """It tells what it measures, every two seconds; all of that is in its history."""
        network = MemoryNetwork()
        agent = StubAgent(sensor.root(network.clock, Random(1)), network=network)
        observing = agent.observe("coap://test/temperature")
        agent.flush()
        states: list[Any] = []
        self.successResultOf(observing).subscribe(states.append)
        agent.advance(2.5 * 2)
        self.assertEqual({str(each.contentFormat) for each in states}, {"110"})
        records = [record for each in states for record in each.json()]
        self.assertEqual([record["t"] for record in records], [0, 2, 4])
        self.assertEqual({(record["n"], record["u"]) for record in records}, {("temperature", "Cel")})
        history = self.successResultOf(agent.get("coap://test/temperature?history"))
        self.assertEqual(history.json(), records)

    def test_bounded(self) -> None:
        """The history ends somewhere; it is large."""
        network = MemoryNetwork()
        agent = StubAgent(sensor.root(network.clock), network=network)
        agent.advance(2 * sensor.INTERVAL * sensor.KEPT)
        getting = agent.get("coap://test/temperature?history")
        agent.advance(1)
        self.assertEqual(len(self.successResultOf(getting).json()), sensor.KEPT)


class BridgeTests(SynchronousTestCase):
    """C{examples/bridge.py}."""

    def setUp(self) -> None:
        """Serve it in memory, with a feed."""
        reactor: Any = MemoryReactorClock()
        self.agent = StubAgent(self.successResultOf(bridge.root(reactor)))
        [(number, factory, _, host)] = reactor.tcpServers
        self.assertEqual((number, host), (7000, "127.0.0.1"))
        self.feed = factory.buildProtocol(None)
        self.feed.makeConnection(StringTransport())

    def test_feed(self) -> None:
        """Each line is a state of what it names; one that changes nothing is not told."""
        self.feed.dataReceived(b"humidity 40\r\nwind 3 m/s\n\n")
        observing = self.agent.observe("coap://test/humidity")
        self.agent.flush()
        states: list[Any] = []
        self.successResultOf(observing).subscribe(lambda state: states.append(state.text()))
        for line in (b"humidity 41\n", b"wind 5 m/s\n", b"humidity 41\n", b"humidity 42\n"):
            self.feed.dataReceived(line)
            self.agent.flush()
        self.assertEqual(states, ["40", "41", "42"])
        self.assertEqual(self.successResultOf(self.agent.get("coap://test/wind")).text(), "5 m/s")

    def test_bounded(self) -> None:
        """The feed cannot make resources without end."""
        self.feed.dataReceived(b"".join(b"n%d 1\n" % n for n in range(bridge.MAX_NAMES + 5)))
        self.assertEqual(len(self.feed.tree.children), bridge.MAX_NAMES)


class FeedTests(TestCase):
    """C{examples/feed.py}, on loopback."""

    async def test_file(self) -> None:
        """The states go to the file, until the server ends it; the reason is told."""
        tree, reading = Resource(), bridge.Reading()
        reading.update("1")
        tree.putChild("reading", reading)
        port: Any = await serverFromString(_reactor, "udp:0:interface=127.0.0.1").listen(Site(tree))
        self.addCleanup(port.stopListening)
        path, out = Path(self.mktemp()), StringIO()
        uri = f"coap://127.0.0.1:{port.getHost().port}/reading"
        with redirect_stdout(out):
            feeding = Deferred.fromCoroutine(feed.main(_reactor, uri, str(path)))
            for value in ("2", "3"):
                while not path.exists() or len(path.read_text().splitlines()) < int(value) - 1:
                    await deferLater(_reactor, 0.01)
                reading.update(value)
            while len(path.read_text().splitlines()) < 3:
                await deferLater(_reactor, 0.01)
            reading.dismissObservers()
            await feeding
        self.assertEqual(path.read_text(), "1\n2\n3\n")
        self.assertIn("it has ended: the server answered 4.04 Not Found", out.getvalue())


class ClientTests(TestCase):
    """C{examples/client.py}, on loopback."""

    async def printed(self, server: str) -> list[str]:
        """The lines that it prints."""
        out = StringIO()
        with redirect_stdout(out):
            await client.main(_reactor, server)
        return out.getvalue().splitlines()

    async def test_lamp(self) -> None:
        """It finds the lamp, reads it, switches it on, and is told that it has no colours."""
        port: Any = await serverFromString(_reactor, "udp:0:interface=127.0.0.1").listen(
            Site(lamp.root(_reactor))
        )
        self.addCleanup(port.stopListening)
        self.assertEqual(
            await self.printed(f"coap://127.0.0.1:{port.getHost().port}"),
            [
                "found /lamp - A lamp",
                "it is off",
                "switched: 2.04 Changed",
                "the server says no: 4.00 Bad Request: a lamp is put on or off",
            ],
        )

    async def test_nobodyThere(self) -> None:
        """Where nobody listens it says so."""
        port: Any = await serverFromString(_reactor, "udp:0:interface=127.0.0.1").listen(
            Site(lamp.root(_reactor))
        )
        number = port.getHost().port
        await port.stopListening()
        (line,) = await self.printed(f"coap://127.0.0.1:{number}")
        self.assertTrue(line.startswith("no answer: "), line)

    def test_process(self) -> None:
        """C{python -m examples.client} runs it."""
        done = subprocess.run(
            [sys.executable, "-m", "examples.client", "coap://127.0.0.1:1"],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("no answer: "), done.stdout)
