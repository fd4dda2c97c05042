"""
Multicast between txcoap and other implementations. L{tests.interop.test_groups} runs these tests where there
is a network of their own, with an interface C{v0} of both families that nobody else hears.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.trial.unittest import TestCase

from txcoap import Agent, Parameters, Resource, Site
from txcoap.endpoints import serverFromString
from txcoap.groups import Group
from txcoap.verbs import linksOf

from .child import Child
from .peers import ROOT, aiocoapCommand, environment, freePort, libcoapCommand, nodeCommand, ping, program

reactor: Any = _reactor

INTERFACE = "v0"
ADDRESS = "192.0.2.1"
GROUP4 = "224.0.1.187"
GROUP6 = "ff02::fd"
SITE6 = "ff05::fd"


class Name(Resource):
    """Says who it is."""

    def render_GET(self, request: Any) -> str:
        return "txcoap"


class Large(Resource):
    """More than a block."""

    def render_GET(self, request: Any) -> bytes:
        return b"t" * 3000


class GroupCase(TestCase):
    """One port for all."""

    timeout = 60

    def setUp(self) -> None:
        self.agent = Agent(reactor)
        self.addCleanup(self.agent.close)
        self.port = freePort("127.0.0.1")

    async def serve(self, *groups: str, interface: str = INTERFACE) -> None:
        """A server of ours, on a socket for both families."""
        root = Resource()
        root.putChild("name", Name())
        root.putChild("large", Large())
        site = Site(root, parameters=Parameters(DEFAULT_LEISURE=0.3))
        port: Any = await serverFromString(reactor, f"udp:{self.port}:reuseaddr=1").listen(site)
        self.addCleanup(port.stopListening)
        for each in groups:
            port.joinGroup(Group(each, interface))

    async def start(self, command: list[str]) -> Child:
        """Another's server, once it listens."""
        child = Child.start(self, command, environment())
        await child.until(lambda: b"ready\n" in child.output, 15)
        return child

    async def serveNode(self) -> None:
        words = ["serve", GROUP4, ADDRESS, str(self.port), "node-coap"]
        await self.start([*nodeCommand("node_group.js"), *words])

    async def serveAiocoap(self) -> None:
        await self.start([*aiocoapCommand("aiocoap_group.py"), "serve", INTERFACE, str(self.port), "aiocoap"])

    async def serveLibcoap(self, address: str, group: str) -> None:
        server = [*libcoapCommand("coap-server-notls"), "-A", address, "-p", str(self.port)]
        server += ["-g", group, "-G", INTERFACE]
        watch = '"$@" & server=$!; cat >/dev/null; kill $server'
        Child.start(self, [program("sh", "a POSIX shell"), "-c", watch, "sh", *server], environment())
        await ping("127.0.0.1", self.port)

    async def gather(self, group: str, path: str, seconds: float = 1.0) -> list[Any]:
        """What a group answers to us."""
        host = f"[{group}]" if ":" in group else group
        uri = f"coap://{host}:{self.port}/{path}"
        return await self.agent.multicast(uri, seconds=seconds, interface=INTERFACE).all()

    async def first(self, group: str, path: str) -> Any:
        """The first answer, of a server that takes up to 5 s for it."""
        host = f"[{group}]" if ":" in group else group
        uri = f"coap://{host}:{self.port}/{path}"
        async with self.agent.multicast(uri, interface=INTERFACE) as answers:
            return await answers.__anext__()

    async def output(self, command: list[str]) -> list[str]:
        """The lines that a peer's client prints."""
        child = Child.start(self, command, {**environment(), "PYTHONPATH": str(ROOT)})
        await child.until(lambda: child.status is not None, 30)
        return child.output.decode().splitlines()


class OurselvesTests(GroupCase):
    """Our client and our server, over both families."""

    async def test_families(self) -> None:
        """Each group is heard, on one socket for all of them."""
        await self.serve(GROUP4, GROUP6, SITE6)
        for group in (GROUP4, GROUP6, SITE6):
            (response,) = await self.gather(group, "name")
            self.assertEqual(response.text(), "txcoap", group)
            self.assertEqual(":" in response.getPeerAddress().host, ":" in group)

    async def test_linkLocal(self) -> None:
        """A link-local peer is asked for the rest of a body by the interface that it answered by."""
        await self.serve(GROUP6)
        (response,) = await self.gather(GROUP6, "large")
        self.assertTrue(response.getPeerAddress().host.startswith("fe80:"))
        self.assertEqual(len(response.payload), 3000)
        uri = f"coap://[{GROUP6}%25{INTERFACE}]:{self.port}/name"
        (response,) = await self.agent.multicast(uri, seconds=1).all()
        self.assertEqual(response.text(), "txcoap")

    async def test_otherInterface(self) -> None:
        """What comes by an interface that was not named is not heard."""
        await self.serve(GROUP4, GROUP6, interface="lo")
        for group in (GROUP4, GROUP6):
            self.assertEqual(await self.gather(group, "name", 0.5), [])

    async def test_command(self) -> None:
        """The command asks a group, too."""
        await self.serve(GROUP6)
        words = ["get", "-B", "1", "--interface", INTERFACE, f"coap://[{GROUP6}]:{self.port}/name"]
        (line,) = await self.output([sys.executable, "-m", "txcoap", *words])
        self.assertTrue(line.endswith(f"]:{self.port}: txcoap"), line)


class TheirServersTests(GroupCase):
    """Our client, and others' servers beside ours."""

    async def test_node(self) -> None:
        """node-coap answers beside ours, and gives the rest of a body."""
        await self.serve(GROUP4)
        await self.serveNode()
        responses = await self.gather(GROUP4, "name")
        self.assertEqual(sorted(each.text() for each in responses), ["node-coap", "txcoap"])

    async def test_nodeBody(self) -> None:
        """node-coap gives the rest of a body."""
        await self.serveNode()
        (response,) = await self.gather(GROUP4, "large")
        self.assertEqual(response.payload, b"n" * 3000)

    async def test_libcoap(self) -> None:
        """libcoap, after its leisure; it has a resource at the root."""
        await self.serveLibcoap("0.0.0.0", GROUP4)
        response = await self.first(GROUP4, "")
        self.assertIn("libcoap", response.text())

    async def test_libcoapDiscovery(self) -> None:
        """libcoap tells a group what it has, in IPv6."""
        await self.serveLibcoap("::", GROUP6)
        response = await self.first(GROUP6, ".well-known/core")
        self.assertIn("/time", [link.target for link in linksOf(response)])

    async def test_aiocoap(self) -> None:
        """aiocoap, in IPv6."""
        await self.serveAiocoap()
        (response,) = await self.gather(GROUP6, "name")
        self.assertEqual(response.text(), "aiocoap")


class TheirClientsTests(GroupCase):
    """Our server, and others' clients."""

    async def test_node(self) -> None:
        """
        node-coap gathers our answer; an error is not told. The rest of a body it finds only in messages that
        have the ID of its request, as those of its own server do (1.4).
        """
        await self.serve(GROUP4)
        words = ["ask", GROUP4, str(self.port), "/name", "1500"]
        (line,) = await self.output([*nodeCommand("node_group.js"), *words])
        answer = json.loads(line)
        self.assertEqual((answer["code"], answer["payload"], answer["from"]), ("2.05", "txcoap", ADDRESS))
        words = ["ask", GROUP4, str(self.port), "/none", "1000"]
        self.assertEqual(await self.output([*nodeCommand("node_group.js"), *words]), [])

    async def test_libcoap(self) -> None:
        """libcoap's client takes it for the answer to its own."""
        await self.serve(GROUP4)
        words = ["-N", "-B", "2", "-m", "get", f"coap://{GROUP4}:{self.port}/name"]
        lines = await self.output([*libcoapCommand("coap-client-notls"), *words])
        self.assertEqual([line for line in lines if "txcoap" in line], ["txcoap"])

    async def test_aiocoap(self) -> None:
        """aiocoap's takes the first."""
        await self.serve(GROUP6)
        uri = f"coap://[{GROUP6}%{INTERFACE}]:{self.port}/name"
        (line,) = await self.output([*aiocoapCommand("aiocoap_group.py"), "ask", uri])
        self.assertEqual(line, "2.05 txcoap")
