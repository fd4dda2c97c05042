"""
Tests for L{txcoap.service}.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from tests.recorders import logged
from tests.wire import SERVER, ServerTestCase
from txcoap.client import Agent
from txcoap.endpoints import serverFromString
from txcoap.errors import Unreachable
from txcoap.options import Options
from txcoap.request import Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import CON
from txcoap.server import Site
from txcoap.service import CoAPService, makeRoot

HERE = "udp:5683:interface=192.0.2.1"
THERE = "udp:5683:interface=192.0.2.2"


class Hello(Resource):
    """Says hello."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return b"hello"


class MakeRootTests(SynchronousTestCase):
    """L{makeRoot}: what may be given for a tree."""

    def test_forms(self) -> None:
        """A resource is itself; a class is called without arguments, a callable with the reactor."""
        hello, clock = Hello(), object()
        self.assertIs(makeRoot(hello, clock), hello)
        self.assertIsInstance(makeRoot(Hello, clock), Hello)
        self.assertEqual(makeRoot(lambda reactor: [reactor], clock), [clock])

    def test_callableResource(self) -> None:
        """A resource that can also be called is a resource."""

        class Callable(Hello):
            def __call__(self, reactor: Any) -> Any:
                raise AssertionError

        resource = Callable()
        self.assertIs(makeRoot(resource, None), resource)


class MemoryTests(ServerTestCase):
    """A service in memory."""

    def service(self, resources: Any, *listen: Any, **how: Any) -> CoAPService:
        """A service that listens here."""
        return CoAPService(resources, listen or [HERE], self.reactor, **how)

    def assertServes(self) -> None:
        """A request is answered."""
        self.peer.send(CON, 1)
        self.assertEqual(self.peer.takeOne().payload, b"hello")

    def assertSilent(self) -> None:
        """Nobody listens."""
        self.assertNotIn(SERVER, self.wire.sockets)

    def test_interface(self) -> None:
        """It provides C{IService}."""
        verifyObject(IService, self.service(Hello()))

    def test_startAndStop(self) -> None:
        """It listens while it runs; it can be started again."""
        service = self.service(Hello())
        for _ in range(2):
            self.assertSilent()
            service.startService()
            self.assertTrue(service.running)
            self.assertServes()
            self.assertEqual(service.getHosts(), [IPv4Address("UDP", *SERVER)])
            self.assertIsNone(self.successResultOf(service.stopService()))
            self.assertEqual(service.getHosts(), [])
            self.assertFalse(service.running)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_privileged(self) -> None:
        """It listens before the process changes its user, once."""
        service = self.service(Hello())
        service.privilegedStartService()
        self.assertServes()
        service.startService()
        self.assertEqual(len(service.ports), 1)

    def test_inMultiService(self) -> None:
        """It is started and stopped with those around it."""
        parent = MultiService()
        self.service(Hello()).setServiceParent(parent)
        parent.privilegedStartService()
        parent.startService()
        self.assertServes()
        self.successResultOf(parent.stopService())
        self.assertSilent()

    def test_addedToARunningOne(self) -> None:
        """Added to a service that runs, it starts at once."""
        parent = MultiService()
        parent.startService()
        self.service(Hello()).setServiceParent(parent)
        self.assertServes()

    def test_metrics(self) -> None:
        """It shows what was counted where it is told to, also when it is started again."""
        same, anew = (self.service(each, metrics="status/health") for each in (Resource(), Resource))
        for service in (same, same, anew, anew):
            service.startService()
            self.peer.send(CON, 1, options=Options(uriPath=("status", "health"), accept=0))
            self.assertIn(b"received/requests/GET 1\n", self.peer.takeOne().payload)
            self.assertEqual(service.health().sockets, 1)
            self.successResultOf(service.stopService())

    def test_metricsWithoutPlace(self) -> None:
        """Where the tree has a resource already it does not start."""
        service = self.service(Hello(), metrics="health")
        self.assertIn("no place", str(self.assertRaises(ValueError, service.startService)))

    def test_severalAddresses(self) -> None:
        """It listens wherever it is told to, by text or by endpoint."""
        service = self.service(Hello(), HERE, serverFromString(self.reactor, THERE))
        service.startService()
        hosts = [address.host for address in service.getHosts()]  # type: ignore[attr-defined]
        self.assertEqual(hosts, ["192.0.2.1", "192.0.2.2"])

    def test_forms(self) -> None:
        """Resources may be a class, a callable, a Deferred's or a coroutine's result, or a Site."""

        async def later(reactor: Any) -> Resource:
            return Hello()

        forms = [Hello, lambda reactor: Hello(), lambda reactor: succeed(Hello()), later, Site(Hello())]
        for form in forms:
            service = self.service(form)
            service.startService()
            self.assertServes()
            service.stopService()

    def test_ownSite(self) -> None:
        """A Site of the user's keeps its settings."""
        accessed: list[Any] = []
        site = Site(Hello(), accessLog=lambda *access: accessed.append(access))
        self.service(site).startService()
        self.assertServes()
        self.assertEqual(len(accessed), 1)

    def test_logAccess(self) -> None:
        """C{logAccess} logs a line for each request."""
        for logAccess, lines in ((True, 1), (False, 0)):
            events = logged(self)
            service = self.service(Hello(), logAccess=logAccess)
            service.startService()
            self.assertServes()
            self.assertEqual(len([event for event in events if "client" in event]), lines)
            service.stopService()

    def test_deferredRoot(self) -> None:
        """A Deferred of the root delays listening."""
        root: Deferred[Any] = Deferred()
        service = self.service(lambda reactor: root)
        service.startService()
        self.assertSilent()
        listening = service.whenListening()
        self.assertNoResult(listening)
        root.callback(Hello())
        self.successResultOf(listening)
        self.successResultOf(service.whenListening())
        self.assertServes()

    def test_stoppedBefore(self) -> None:
        """Stopped before the root is there, it never listens, and cancels the wait."""
        cancelled: list[Any] = []
        root: Deferred[Any] = Deferred(cancelled.append)
        service = self.service(lambda reactor: root)
        service.startService()
        self.assertIsNone(self.successResultOf(service.stopService()))
        self.assertEqual(cancelled, [root])
        self.assertSilent()

    def test_failure(self) -> None:
        """What fails at once is the caller's to handle; another start tries again."""

        def broken(reactor: Any) -> Any:
            if not working:
                raise ZeroDivisionError
            return Hello()

        working: list[bool] = []
        service = self.service(broken)
        self.assertRaises(ZeroDivisionError, service.privilegedStartService)
        working.append(True)
        service.privilegedStartService()
        self.assertServes()

    def test_noResource(self) -> None:
        """What is no resource is told as such."""
        error = self.assertRaises(TypeError, self.service(lambda reactor: 3).startService)
        self.assertIn("3 is no resource", str(error))

    def test_portInUse(self) -> None:
        """Where it cannot listen everywhere, it listens nowhere."""
        self.reactor.refusals["192.0.2.2"] = errno.EADDRINUSE
        service = self.service(Hello(), HERE, THERE)
        self.assertRaises(CannotListenError, service.startService)
        self.assertSilent()
        self.assertEqual(service.ports, [])

    def test_mistakes(self) -> None:
        """What cannot be listened at is refused when the service is made."""
        self.assertRaises(ValueError, self.service, Hello(), "tcp:5683")


class LoopbackTests(TestCase):
    """On real sockets."""

    async def test_serves(self) -> None:
        """With the installed reactor; after C{stopService} the port is closed."""
        reactor: Any = _reactor
        service = CoAPService(Hello(), "udp:0:interface=127.0.0.1")
        service.startService()
        (address,) = service.getHosts()
        uri = f"coap://127.0.0.1:{address.port}/"  # type: ignore[attr-defined]
        agent = Agent(reactor)
        self.addCleanup(agent.close)
        try:
            response = await agent.get(uri, timeout=10)
        finally:
            await service.stopService()
        self.assertEqual(response.payload, b"hello")
        with self.assertRaises(Unreachable):
            await agent.get(uri, timeout=10)
