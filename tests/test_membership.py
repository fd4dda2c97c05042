"""
Tests for L{txcoap.transports.membership}, and of multicast over sockets: groups on the loopback interface.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from txcoap import Agent, Code, Parameters, Resource, Response, Site
from txcoap.endpoints import UDPServerEndpoint, serverFromString
from txcoap.errors import Unreachable
from txcoap.groups import Group, readGroups
from txcoap.service import CoAPService
from txcoap.transports import membership

GROUP = "224.0.1.187"
reactor: Any = _reactor
QUICK = Parameters(DEFAULT_LEISURE=0.2)


def loopback() -> str:
    """
    The name of the loopback interface.

    @raise SkipTest: if it carries no multicast.
    """
    for _, name in socket.if_nameindex():
        if not name.startswith("lo"):
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
            try:
                membership.join(skt, Group(GROUP, name))
            except OSError as e:
                raise SkipTest(f"the loopback interface takes no multicast: {e}") from e
        return name
    raise SkipTest("there is no loopback interface")


class Name(Resource):
    """Says who it is."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    def render_GET(self, request: Any) -> bytes:
        return self.name + (b" to many" if request.isMulticast else b" to one")


class JoiningTests(SynchronousTestCase):
    """Sockets join groups, by the interface that is meant."""

    def socket(self, family: int = socket.AF_INET) -> socket.socket:
        skt = socket.socket(family, socket.SOCK_DGRAM)
        self.addCleanup(skt.close)
        return skt

    def test_one(self) -> None:
        """By the interface that is named, or numbered; once or twice."""
        name = loopback()
        skt = self.socket()
        self.assertEqual(membership.join(skt, Group(GROUP, name)), [name])
        self.assertEqual(membership.join(skt, Group(GROUP, name)), [name])
        number = str(socket.if_nametoindex(name))
        self.assertEqual(membership.join(self.socket(), Group(GROUP, number)), [number])

    def test_all(self) -> None:
        """By all interfaces that carry multicast, where none is named."""
        self.assertIn(loopback(), membership.join(self.socket(), Group(GROUP)))

    def test_allTwice(self) -> None:
        """By all once more: those that it was joined by count as joined."""
        skt = self.socket()
        joined = membership.join(skt, Group(GROUP))
        self.assertEqual(membership.join(skt, Group(GROUP)), joined)

    def test_none(self) -> None:
        """A host of whose interfaces none carries multicast: the system's reason is told."""
        self.patch(socket, "if_nameindex", list)
        error = self.assertRaises(OSError, membership.join, self.socket(), Group(GROUP))
        self.assertEqual(error.errno, errno.ENODEV)

    def test_ipv6(self) -> None:
        """A group of IPv6, by the number of the interface."""
        name = loopback()
        try:
            skt = self.socket(socket.AF_INET6)
            joined = membership.join(skt, Group("ff02::fd", name))
        except OSError as e:
            raise SkipTest(f"there is no IPv6 here: {e}") from e
        self.assertEqual(joined, [name])

    def test_dualStack(self) -> None:
        """An IPv6 socket that speaks IPv4 too joins groups of both."""
        name = loopback()
        try:
            skt = self.socket(socket.AF_INET6)
        except OSError as e:
            raise SkipTest(f"there is no IPv6 here: {e}") from e
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.assertRaises(ValueError, membership.join, skt, Group(GROUP, name))
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.assertEqual(membership.join(skt, Group(GROUP, name)), [name])

    def test_wrong(self) -> None:
        """An unknown interface and the other family are refused, by name."""
        for group, told in (
            (Group(GROUP, "nosuch0"), "no network interface 'nosuch0'"),
            (Group(GROUP, "54321"), "no network interface 54321"),
            (Group("ff02::fd"), "IPv4 socket"),
        ):
            error = self.assertRaises(ValueError, membership.join, self.socket(), group)
            self.assertIn(told, str(error))


class LoopbackTests(TestCase):
    """Servers in a group, and who asks them, over sockets."""

    def setUp(self) -> None:
        self.interface = loopback()
        self.agent = Agent(reactor)
        self.addCleanup(self.agent.close)

    async def serve(self, description: str, root: Any, group: str = "") -> Any:
        site = Site(root, parameters=QUICK)
        port: Any = await serverFromString(reactor, description).listen(site)
        self.addCleanup(port.stopListening)
        (heard,) = readGroups(group or f"{GROUP}%{self.interface}")
        port.joinGroup(heard)
        return port

    async def gather(self, port: int, path: str = "/name", **how: Any) -> list[Any]:
        gathering = self.agent.multicast(
            f"coap://{GROUP}:{port}{path}", **{"seconds": 0.6, "interface": self.interface, **how}
        )
        try:
            return await gathering.all()
        except Unreachable as e:
            raise SkipTest(f"nothing can be sent to a group by loopback: {e}") from e

    def root(self, name: bytes) -> Resource:
        root = Resource()
        root.putChild("name", Name(name))
        return root

    async def test_shared(self) -> None:
        """
        Several servers on one port, on sockets of either family, each answer from an address of the host, and
        are told that it came by multicast.
        """
        first = await self.serve("udp:0:interface=0.0.0.0:reuseaddr=1", self.root(b"first"))
        number = first.getHost().port
        await self.serve(f"udp:{number}:reuseaddr=1:interface=0.0.0.0", self.root(b"second"))
        await self.serve(f"udp:{number}:reuseaddr=1", self.root(b"third"))
        responses = await self.gather(number)
        self.assertEqual(
            sorted(each.payload for each in responses),
            [b"first to many", b"second to many", b"third to many"],
        )
        for each in responses:
            self.assertFalse(each.getPeerAddress().host.startswith("224."))

    async def test_unicastStays(self) -> None:
        """What is sent to the server alone is answered at once, errors too."""
        port = await self.serve("udp:0", self.root(b"it"))
        response = await self.agent.get(f"coap://127.0.0.1:{port.getHost().port}/name")
        self.assertEqual(response.payload, b"it to one")
        response = await self.agent.get(f"coap://127.0.0.1:{port.getHost().port}/none")
        self.assertEqual(response.code, Code.NOT_FOUND)

    async def test_silence(self) -> None:
        """An error is not told to a group."""
        port = await self.serve("udp:0", self.root(b"it"))
        self.assertEqual(await self.gather(port.getHost().port, "/none"), [])

    async def test_large(self) -> None:
        """What is larger than a block is fetched from the address that answered."""

        class Large(Resource):
            def render_GET(self, request: Any) -> Response:
                return Response(Code.CONTENT, bytes(5000))

        root = Resource()
        root.putChild("large", Large())
        port = await self.serve("udp:0", root)
        (response,) = await self.gather(port.getHost().port, "/large", hops=3)
        self.assertEqual(response.payload, bytes(5000))

    async def test_freshSocket(self) -> None:
        """A socket of its own for the request stays open until the time is over, and no longer."""
        await self.agent.close()
        self.agent = Agent(reactor, freshSockets=True)
        port = await self.serve("udp:0", self.root(b"it"))
        (response,) = await self.gather(port.getHost().port)
        self.assertEqual(response.payload, b"it to many")
        await deferLater(reactor, 0.01, lambda: None)
        self.assertEqual(self.agent.getHosts(), [])

    async def test_notJoined(self) -> None:
        """A server hears of no group that only others on the host have joined."""
        port = await self.serve("udp:0:reuseaddr=1", self.root(b"it"))
        other = await self.serve(
            f"udp:{port.getHost().port}:reuseaddr=1", self.root(b"other"), f"239.1.2.3%{self.interface}"
        )
        (response,) = await self.gather(other.getHost().port)
        self.assertEqual(response.payload, b"it to many")

    async def test_badInterface(self) -> None:
        """An interface that does not exist fails the gathering, by name."""
        gathering = self.agent.multicast(f"coap://{GROUP}/", interface="nosuch0")
        failure = None
        try:
            await gathering.all()
        except ValueError as e:
            failure = str(e)
        self.assertEqual(failure, "there is no network interface 'nosuch0'")

    async def test_boundToOne(self) -> None:
        """A socket that is bound to one address cannot join: it would hear nothing."""
        port: Any = await UDPServerEndpoint(reactor, 0, "127.0.0.1").listen(Site(Resource()))
        self.addCleanup(port.stopListening)
        error = self.assertRaises(ValueError, port.joinGroup, Group(GROUP, self.interface))
        self.assertIn("listen at all addresses", str(error))


class ServiceTests(TestCase):
    """A service that hears groups."""

    def service(self, *groups: str, listen: str = "udp:0") -> CoAPService:
        return CoAPService(Resource(), [listen], multicast=groups)

    async def test_joined(self) -> None:
        """It joins while it runs."""
        interface = loopback()
        service = self.service(f"{GROUP}%{interface}", f"all-coap-nodes%{interface}")
        service.startService()
        await service.stopService()

    def test_wrong(self) -> None:
        """What is no group is refused when the service is made; what cannot be heard when it starts."""
        self.assertRaises(ValueError, self.service, "192.0.2.1")
        for service in (
            self.service(f"{GROUP}%nosuch0"),
            self.service(GROUP, listen="udp:0:interface=127.0.0.1"),
            self.service(GROUP, listen=f"unix:{self.mktemp()[:40]}"),
        ):
            error = self.assertRaises(ValueError, service.startService)
            self.assertIn(f"the group {GROUP}", str(error))
            self.assertEqual(service.ports, [])
