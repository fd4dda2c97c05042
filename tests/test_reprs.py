"""
What the objects of txcoap look like in a log, a debugger or a failed test: each says what it is, and of what.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.pages import pages
from tests.test_architecture import PACKAGE
from txcoap import Agent, CoAPProtocol, Code, ObservableResource, Resource, Site
from txcoap.allowlist import AllowList
from txcoap.caching import CachingAgent
from txcoap.definitions import UINT, Single
from txcoap.message import Request
from txcoap.options import registerOption
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.prometheus import PrometheusResource
from txcoap.proxy import ForwardProxy
from txcoap.reverse import ReverseProxy
from txcoap.sansio.events import OutgoingRequest, RequestFailed
from txcoap.service import CoAPService
from txcoap.static import File
from txcoap.testing import MemoryNetwork, ScriptedPeer, StubAgent
from txcoap.workers import Supervisor


class Lamp(ObservableResource):
    """A state."""

    isLeaf = True

    def render_GET(self, request: Any) -> str:
        """What it is."""
        return "on"


def publicClasses() -> Iterator[type]:
    """The classes of the package that are no interfaces, the command line's left out."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "cli" and not parts[-1].startswith("__"):
            module = import_module(".".join((PACKAGE.name, *parts)))
            for name, each in vars(module).items():
                if inspect.isclass(each) and each.__module__ == module.__name__ and not name.startswith("_"):
                    yield each


class ReprTests(SynchronousTestCase):
    """C{repr} of what users hold."""

    def test_said(self) -> None:
        """It has a form of its own for each class that the pages for users name."""
        named = {name for page in pages() for name in re.findall(r"``(\w+)[`(]", page.read_text("utf-8"))}
        plain = {
            each.__name__
            for each in publicClasses()
            if each.__name__ in named and not any("__repr__" in vars(base) for base in each.__mro__[:-1])
        }
        self.assertEqual(plain, set())

    def test_resources(self) -> None:
        """A resource tells its class and what hangs on it."""
        root, lamp = Resource(), Lamp()
        root.putChild("lamp", lamp)
        agent = StubAgent(root)
        self.successResultOf(agent.get("coap://test/lamp"))
        self.assertEqual(repr(root), "<Resource with 1 below>")
        self.assertEqual(repr(Site(root)), "<Site of <Resource with 1 below>>")
        self.assertEqual(repr(lamp), "<Lamp with 0 observers>")
        self.assertEqual(repr(File("/srv/files")), "<File /srv/files>")
        self.assertEqual(repr(ReverseProxy("coap://inner/a")), "<ReverseProxy of coap://inner/a>")
        proxy = ForwardProxy(agent, AllowList("*.example", loopback=False))
        self.assertEqual(repr(proxy), "<ForwardProxy to where <AllowList *.example> allows>")
        self.assertEqual(repr(AllowList()), "<AllowList loopback>")

    def test_agents(self) -> None:
        """An agent tells its sockets, and what is around it tells it."""
        agent = StubAgent(Lamp())
        where = "192.0.2.2:49152"
        self.assertEqual(repr(agent), f"<StubAgent at {where}>")
        self.assertEqual(repr(Agent(Clock())), "<Agent without a socket>")
        caching = CachingAgent(agent, maximumBytes=2000)
        self.successResultOf(caching.get("coap://test/"))
        self.assertRegex(
            repr(caching),
            f"<CachingAgent of <StubAgent at {where}> with <Cache of 1 requests in .* of 2,000 bytes>>",
        )
        self.assertEqual(repr(CoAPProtocol(None, Clock())), "<CoAPProtocol without a socket>")
        self.assertEqual(repr(agent.serverPort.protocol), "<CoAPProtocol at 192.0.2.1:5683>")
        self.assertEqual(repr(agent.serverPort), "<MemoryPort of CoAPProtocol on 192.0.2.1:5683>")

    def test_service(self) -> None:
        """A service tells what it serves, and where."""
        service = CoAPService(Lamp(), [], Clock())
        self.assertEqual(repr(service), "<CoAPService of <Lamp with 0 observers>, not listening>")

    def test_workers(self) -> None:
        """A supervisor tells how many workers it has, and where they listen; a page of figures, whose."""
        supervisor = Supervisor(2, [], ["udp:0:interface=127.0.0.1"], Clock())
        self.assertEqual(repr(supervisor), "<Supervisor of 2 workers, not listening>")
        page = PrometheusResource(supervisor.health)
        self.assertRegex(repr(page), "<PrometheusResource of <bound method Supervisor.health of <Supervisor")

    def test_observations(self) -> None:
        """An observation tells what it is of, and how it ended."""
        lamp = Lamp()
        agent = StubAgent(lamp)
        for observer, rest in ((agent, ", of <Request .*> at 192.0.2.1:5683"), (CachingAgent(agent), "")):
            waiting = observer.observe("coap://test/")
            agent.flush()
            observation = self.successResultOf(waiting)
            self.assertRegex(repr(observation), f"<(Shared)?Observation established{rest}>")
            self.assertEqual(repr(lamp), "<Lamp with 1 observers>")
            lamp.dismissObservers()
            agent.flush()
            self.assertRegex(repr(observation), r"<(Shared)?Observation ended \(.*4\.04.*\)")

    def test_network(self) -> None:
        """So do a test's network and who lives on it."""
        network = MemoryNetwork()
        self.assertEqual(repr(network), "<MemoryNetwork at 0.000 s: nothing sent>")
        peer = ScriptedPeer(network)
        peer.expect(code=Code.GET).reply("2.05")
        self.assertEqual(repr(peer), "<ScriptedPeer at 192.0.2.3:5683, expecting code=<Code 0.01 GET>>")
        self.successResultOf(StubAgent(Lamp(), network=network).get("coap://test/"))
        self.assertEqual(repr(network), "<MemoryNetwork at 0.000 s: 2 sent, 2 delivered>")
        gathering = network.agent().multicast("coap://224.0.1.187/", seconds=2.0)
        self.assertRegex(repr(gathering), "<Gathering for 2 s, of <Request GET")

    def test_registration(self) -> None:
        """A registration tells whether it still applies."""
        with registerOption(Single[int](65000, "Level", UINT, 0, 2)) as registration:
            self.assertEqual(repr(registration), "<Registration in force>")
        self.assertEqual(repr(registration), "<Registration taken back>")

    def test_events(self) -> None:
        """What machines report tells it all."""
        peer = ("192.0.2.1", 5683)
        outgoing = OutgoingRequest(Request(Code.GET), peer, None, True, b"t", DEFAULT_PARAMETERS)
        self.assertRegex(repr(outgoing), r"<OutgoingRequest <Request .*> to \('192.0.2.1', 5683\), waiting>")
        failed = RequestFailed(outgoing, ValueError("no"))  # type: ignore[arg-type]
        self.assertRegex(repr(failed), r"<RequestFailed ValueError\('no'\), <OutgoingRequest ")
