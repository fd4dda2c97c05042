"""
What the pages of how-tos and on devices that do not answer claim of their examples holds, and what the
page that compares says is missing here.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure
from twisted.web.test.requesthelper import DummyRequest

from tests.pages import ROOT, PageCase, blocksOf
from txcoap import Agent, Code, ObservableResource, Options, Resource, Site
from txcoap.block import Block
from txcoap.errors import UnsupportedScheme
from txcoap.static import File
from txcoap.testing import ScriptedPeer

CODE = """
import asyncio
from twisted.internet.address import IPv4Address
from txcoap import Site
from txcoap.endpoints import serverFromString

class Warm(Resource):
    isLeaf = True
    def render_GET(self, request):
        return "21.5"

loop, agent = start()
from twisted.internet import reactor

async def main():
    listening = serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(Warm()))
    port = await listening.asFuture(loop)
    print(await temperature(agent, f"coap://127.0.0.1:{port.getHost().port}/"))

loop.run_until_complete(main())
"""


class HowtoTests(PageCase):
    """The page of how-tos."""

    page = "docs/howto.rst"

    def setUp(self) -> None:
        super().setUp()
        self.network.names["hall"] = "192.0.2.1"
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.image = bytes(range(256)) * 40

    def test_radiator(self) -> None:
        """A device is asked, set and observed by what is written of it."""

        class Temperature(ObservableResource):
            contentFormat = "application/json"
            maxAge = 3600
            value = 20

            def render_GET(self, request: Any) -> bytes:
                return b'{"v": %d}' % self.value

        class Valve(Resource):
            opened = ""

            def render_PUT(self, request: Any) -> None:
                self.opened = request.text()

        root, temperature, valve = Resource(), Temperature(), Valve()
        root.putChild("temp", temperature)
        root.putChild("valve", valve)
        self.network.listen(Site(root), "192.0.2.1")
        radiator = self.space["Radiator"](self.network.reactor, "192.0.2.1")
        self.assertEqual(radiator.agent.parameters.ACK_TIMEOUT, 12)
        radiator.agent = self.network.agent()
        self.assertEqual(self.ask(radiator.temperature()), 20)
        self.ask(radiator.open(40))
        self.assertEqual(valve.opened, "40")
        told: list[int] = []
        following = Deferred.fromCoroutine(radiator.follow(told.append))
        self.network.advance(1)
        temperature.value = 21
        temperature.notifyObservers()
        self.network.advance(1)
        temperature.dismissObservers()
        self.network.advance(1)
        self.assertEqual(told, [20, 21])
        self.assertIn("4.04", self.successResultOf(following))

    def test_fetch(self) -> None:
        """An image is fetched from where the last try ended, and is there as a whole."""
        source = self.directory / "image.bin"
        source.write_bytes(self.image)
        target = self.directory / "here.bin"
        (self.directory / "here.bin.part").write_bytes(self.image[:3000])
        agent = self.serve(File(str(source)))
        received: list[int] = []
        fetching = self.space["fetch"](
            agent, "coap://test/", str(target), lambda way, done, total: received.append(done)
        )
        self.ask(fetching, 5)
        self.assertEqual(target.read_bytes(), self.image)
        self.assertFalse((self.directory / "here.bin.part").exists())
        self.assertLess(len(received), 11)

    def test_push(self) -> None:
        """An image goes to a device, which installs it if it is what its hash says."""
        source = self.directory / "image.bin"
        source.write_bytes(self.image)
        target = self.directory / "installed.bin"
        agent = self.serve(self.space["Firmware"](str(target)))
        right = sha256(self.image).hexdigest()
        for digest, installed in (("0" * 64, False), (right, True)):
            cooperator = Cooperator(scheduler=lambda work: self.network.clock.callLater(0, work))
            pushing = Deferred.fromCoroutine(
                self.space["push"](agent, f"coap://test/?sha256={digest}", str(source), cooperator)
            )
            for _ in range(100):
                self.network.advance(0.1)
            if installed:
                self.successResultOf(pushing)
            else:
                self.assertIn("SHA-256", self.failureResultOf(pushing).getErrorMessage())
            self.assertEqual(target.exists(), installed)
        self.assertEqual(target.read_bytes(), self.image)

    def test_pushBroken(self) -> None:
        """An image that stays incomplete goes away, and leaves room for the next."""
        firmware = self.space["Firmware"](str(self.directory / "installed.bin"))
        firmware.isBusy = True
        image = self.space["Image"](str(self.directory / "part"), firmware.left)
        image.dataReceived(b"x")
        image.connectionLost(Failure(ConnectionLost()))
        self.assertFalse(firmware.isBusy)
        self.assertFalse((self.directory / "part").exists())

    def bridge(self, *path: bytes) -> Any:
        """What a browser gets."""

        class Lamp(Resource):
            def render_GET(self, request: Any) -> str:
                return "off"

        root = Resource()
        root.putChild("lamp", Lamp())
        self.network.listen(Site(root), "192.0.2.1")
        self.network.names["attic"] = "192.0.2.99"
        bridge = self.space["Bridge"](self.network.agent(), {"hall", "attic"})
        request = DummyRequest(list(path))
        bridge.render_GET(request)
        return request

    def test_bridge(self) -> None:
        """A page is what the device says, or says what is wrong."""
        for path, status, body in (
            ((b"hall", b"lamp"), 200, b"off"),
            ((b"hall", b"none"), 404, b""),
            ((b"cellar", b"lamp"), 404, b"no such host"),
            ((b"attic", b"lamp"), 504, b"it does not answer"),
            ((b"hall", b".."), 400, b"a path segment cannot be '..', not even percent-encoded"),
        ):
            self.network = type(self.network)()
            self.network.names["hall"] = "192.0.2.1"
            request = self.bridge(*path)
            self.network.advance(21)
            self.assertEqual((request.responseCode, b"".join(request.written)), (status, body))

    def test_bridgeLeft(self) -> None:
        """Who closes the page takes the request back."""
        request = self.bridge(b"attic", b"lamp")
        self.network.advance(1)
        request.processingFailed(Failure(ConnectionLost()))
        sent = len(self.network.passages)
        self.network.advance(100)
        self.assertEqual(len(self.network.passages), sent)
        self.assertEqual(request.written, [])

    def test_bridgeFailed(self) -> None:
        """A mistake in the bridge is answered 500: no browser waits for ever."""
        bridge = self.space["Bridge"](None, {"hall"})
        request = DummyRequest([b"hall", b"lamp"])
        bridge.render_GET(request)
        self.assertEqual(request._finishedDeferreds, None)

    def register(self, port: Any, query: str) -> Any:
        """What a device is told that registers."""
        return self.tell(port, "POST", f"?{query}")

    def tell(self, port: Any, method: str, where: str) -> Any:
        """What a device is told by the directory."""
        asking = Agent(self.network.reactor, protocol=port.protocol).request(
            method, f"coap://192.0.2.1/rd{where}"
        )
        self.network.flush()
        return self.successResultOf(asking)

    def test_register(self) -> None:
        """Who registers is observed at the port by which it asks, until it leaves or does not renew."""
        told: list[Any] = []
        directory = self.space["Directory"](self.network.clock, lambda *what: told.append(what))
        root, device = Resource(), Resource()
        root.putChild("rd", directory)
        self.network.listen(Site(root), "192.0.2.1")

        class Temperature(ObservableResource):
            maxAge = 3600
            value = 20

            def render_GET(self, request: Any) -> str:
                return str(self.value)

        temperature = Temperature()
        device.putChild("temp", temperature)
        port = self.network.listen(Site(device), "192.0.2.7", 40000)
        created = self.register(port, "ep=meter7&lt=100")
        self.assertEqual((created.code, created.location), (Code.CREATED, "/rd/meter7"))
        temperature.value = 21
        temperature.notifyObservers()
        self.network.advance(90)
        self.assertEqual(told, [("meter7", "20"), ("meter7", "21")])
        self.tell(port, "POST", "/meter7").raiseForCode()
        self.network.advance(99)
        self.assertEqual((len(told), temperature.observerCount), (2, 1))
        self.register(port, "ep=meter7&lt=100")
        self.assertEqual(told[2:], [("meter7", "no longer registered"), ("meter7", "21")])
        self.network.advance(101)
        self.assertEqual(told[4:], [("meter7", "no longer registered")])
        self.assertEqual((temperature.observerCount, dict(directory.children)), (0, {}))
        self.register(port, "ep=meter8")
        self.tell(port, "DELETE", "/meter8").raiseForCode()
        self.assertEqual((temperature.observerCount, dict(directory.children)), (0, {}))
        self.assertEqual(self.register(port, "lt=100").code, Code.BAD_REQUEST)
        self.assertEqual(self.register(port, "ep=a&lt=soon").code, Code.BAD_REQUEST)
        device.removeChild("temp")
        self.register(port, "ep=meter9&lt=100")
        self.assertEqual(told[-1], ("meter9", "not observed: 4.04 Not Found"))

    def test_poll(self) -> None:
        """Who comes and goes is told, once each; no more are asked at once than may be."""
        told: list[Any] = []
        uris = [f"coap://192.0.2.{n}/" for n in range(1, 31)]
        poller = self.space["Poller"](self.network.clock, uris, lambda *what: told.append(what), 10)
        poller.agent = self.network.agent(parameters=poller.agent.parameters)

        class State(Resource):
            def render_GET(self, request: Any) -> str:
                return "on"

        ports = [self.network.listen(Site(State()), f"192.0.2.{n}") for n in (1, 3, 30)]
        polling = poller.polling.start(10)
        self.network.flush()
        self.assertEqual(poller.agent.health().tables["openRequests"].highest, 10)
        self.network.advance(40)
        up = [uri for uri, isThere, _ in told if isThere]
        self.assertEqual((len(told), up), (30, [uris[0], uris[2], uris[29]]))
        ports[0].stopListening()
        self.network.advance(40)
        self.assertEqual(
            told[30:],
            [(uris[0], False, "no reply in 5 seconds from 192.0.2.1:5683: nothing was acknowledged")],
        )
        poller.polling.stop()
        self.network.advance(20)
        self.successResultOf(polling)

    def test_asyncio(self) -> None:
        """A task of asyncio asks; by a reactor of its own, in a process of its own."""
        self.assertTrue(asyncio.iscoroutinefunction(self.space["temperature"]))
        text = "".join(block for _, block in blocksOf(ROOT / self.page))
        done = subprocess.run(
            [sys.executable, "-c", text + CODE],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((done.stdout, done.returncode), ("21.5\n", 0), done.stderr)


class TroubleshootingTests(PageCase):
    """The page on devices that do not answer."""

    page = "docs/troubleshooting.rst"

    def diagnose(self) -> Any:
        """What the page's function says."""
        return self.ask(self.space["diagnose"](self.network.agent(), "coap://192.0.2.3/"), 300)

    def test_silent(self) -> None:
        """Nobody is there, by the word of the network or for lack of any."""
        self.assertEqual(self.diagnose(), "nothing comes back, not even to a ping")

    def test_answers(self) -> None:
        """A server that answers, whatever it says."""
        self.network.listen(Site(Resource()), "192.0.2.3")
        self.assertEqual(self.diagnose(), "it answers 4.04 Not Found")

    def test_acknowledged(self) -> None:
        """Who acknowledges only; who rejects pings only."""
        peer = ScriptedPeer(self.network)
        peer.expect(code="0.00").reset()
        peer.expect(code="GET").acknowledge()
        self.assertEqual(self.diagnose(), "acknowledged, but never answered")
        peer.expect(code="0.00").reset()
        peer.expect(code="GET", times=5)
        self.assertEqual(self.diagnose(), "pings come back, requests do not: too large for the path?")

    def test_watched(self) -> None:
        """Each datagram is shown."""
        shown: list[Any] = []
        self.network.listen(Site(Resource()), "192.0.2.1")
        self.space["Agent"] = lambda reactor, trace: self.network.agent(trace=trace)
        agent = self.space["watched"](None, lambda *what: shown.append(what))
        agent.ping("coap://192.0.2.1/")
        self.network.flush()
        self.assertEqual(
            [(way, peer) for way, peer, _ in shown],
            [(way, ("192.0.2.1", 5683)) for way in ("sent", "received")],
        )
        self.assertEqual([data[:4] for _, _, data in shown], ["4000", "7000"])


class ComparisonTests(PageCase):
    """The page that compares."""

    page = "docs/comparison.rst"

    def test_missing(self) -> None:
        """What it says is missing here is; who adds it changes the page."""
        text = (ROOT / self.page).read_text("utf-8")
        missing = re.findall(r"   \* - (.*)\n     - \*\*no\*\*\n", text)
        agent = self.network.agent()
        for row, scheme in (
            ("DTLS", "coaps"),
            ("TCP, TLS (RFC 8323)", "coap+tcp"),
            ("WebSockets", "coap+ws"),
        ):
            self.assertIn(row, missing)
            self.failureResultOf(agent.get(f"{scheme}://192.0.2.1/"), UnsupportedScheme)
        for row, missed in (
            ("OSCORE (RFC 8613)", Options(oscore=b"x")),
            ("Q-Block (RFC 9177)", Options(qBlock1=Block(0))),
        ):
            self.assertIn(row, missing)
            self.assertNotEqual(missed.unrecognized, ())

    def test_rows(self) -> None:
        """Each row has seven columns, and says something of txcoap."""
        text = (ROOT / self.page).read_text("utf-8")
        rows = re.findall(r"   \* - ?(.*)\n((?:     - ?.*\n)+)", text)
        self.assertGreater(len(rows), 40)
        for name, rest in rows:
            self.assertEqual(len(rest.splitlines()), 6, name)
