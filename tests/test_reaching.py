"""
Tests for L{txcoap.reaching}: how an agent reaches a server, by which socket and which address.
"""

from __future__ import annotations

import errno
import os
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import gatherResults
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import TestCase
from twisted.web.client import readBody

from tests.watching import Counter
from tests.wire import CLIENT, KNOWN, SERVER, SERVER6, TEXT, AgentTestCase, Answering, Peer
from txcoap import errors
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.endpoints import serverFromString
from txcoap.options import Options
from txcoap.protocol import CoAPProtocol
from txcoap.request import Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, RST
from txcoap.server import Site


class SocketTests(AgentTestCase):
    """Which sockets are opened."""

    def test_one(self) -> None:
        """One for all requests of an address family, opened when first needed."""
        self.assertEqual(self.ours(), [])
        Peer(self.wire, SERVER6)
        for _ in range(3):
            self.agent.get(TEXT).addErrback(lambda _: None)
            self.agent.get("coap://[2001:db8::1]/").addErrback(lambda _: None)
            self.agent.ping("coap://192.0.2.77/").addErrback(lambda _: None)
        opened = [address[0] for address in self.ours() if address != SERVER6]
        self.assertEqual(opened, ["192.0.2.8", "2001:db8::8"])

    def test_closeAndReopen(self) -> None:
        """C{close} closes them; a later request opens others; closing twice is fine."""
        for _ in range(2):
            waiting = self.agent.get(TEXT)
            self.reply()
            self.successResultOf(waiting)
            self.successResultOf(self.agent.close())
            self.successResultOf(self.agent.close())
            self.assertEqual(self.ours(), [])

    def test_closedWhileIdle(self) -> None:
        """C{close} of what is not in use leaves no timer of C{idleTimeout}."""
        agent = self.newAgent(idleTimeout=60)
        waiting = agent.get(TEXT)
        self.reply()
        self.successResultOf(waiting)
        self.assertNotEqual(self.reactor.getDelayedCalls(), [])
        self.successResultOf(agent.close(grace=0))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_fresh(self) -> None:
        """With C{freshSockets}, one for each request, closed with the response or the failure."""
        agent = self.newAgent(freshSockets=True)
        first, second = agent.get(TEXT), agent.get(TEXT)
        self.assertEqual(len(self.ours()), 2)
        for asked in self.peer.take():
            source = next(
                a for a, _, data in self.wire.sent if data[2:4] == asked.messageID.to_bytes(2, "big")
            )
            self.peer.target = source
            self.peer.send(ACK, Code.CONTENT, asked.messageID, asked.token)
        gathered = self.successResultOf(gatherResults([first, second]))
        self.assertEqual([each.code for each in gathered], [Code.CONTENT] * 2)
        self.assertEqual(self.ours(), [])
        failing = agent.get(TEXT, timeout=1)
        self.reactor.elapse(1)
        self.failureResultOf(failing, errors.NoAcknowledgement)
        self.assertEqual(self.ours(), [])
        refused = agent.get(TEXT, token=b"123456789")
        self.failureResultOf(refused, ValueError)
        self.assertEqual(self.ours(), [])

    def serve(self, resource: Any) -> str:
        """Serve a resource; its URI."""
        root = Resource()
        root.putChild("x", resource)
        self.wire.open(CoAPProtocol(Site(root), self.reactor), ("192.0.2.5", 5683))
        return "coap://192.0.2.5/x"

    def test_freshStream(self) -> None:
        """A body that is streamed keeps its socket until it is delivered."""
        uri = self.serve(Answering(lambda request: bytes(5000)))
        agent = self.newAgent(freshSockets=True)
        streaming = agent.get(uri, stream=True)
        self.wire.settle()
        reading = readBody(self.successResultOf(streaming))
        self.wire.settle()
        self.assertEqual(self.successResultOf(reading), bytes(5000))
        self.assertEqual(agent.getHosts(), [])

    def test_freshStreamOfOneBlock(self) -> None:
        """One that is here as a whole needs none."""
        uri = self.serve(Answering(lambda request: b"all"))
        agent = self.newAgent(freshSockets=True)
        streaming = agent.get(uri, stream=True)
        self.wire.settle()
        response = self.successResultOf(streaming)
        self.assertEqual(agent.getHosts(), [])
        self.assertEqual(self.successResultOf(readBody(response)), b"all")

    def test_freshObservation(self) -> None:
        """An observation keeps its socket until it is over, and the server has heard of it."""
        counter = Counter()
        uri = self.serve(counter)
        agent = self.newAgent(freshSockets=True)
        observing = agent.observe(uri)
        self.wire.settle()
        observation: Any = self.successResultOf(observing)
        states: list[bytes] = []
        observation.subscribe(lambda state: states.append(state.payload))
        counter.count()
        self.wire.settle()
        self.assertEqual(states, [b"0", b"1"])
        cancelling = observation.cancel()
        self.assertEqual(len(agent.getHosts()), 1)
        self.wire.settle()
        self.successResultOf(cancelling)
        self.assertEqual(counter.observerCount, 0)
        self.assertEqual(agent.getHosts(), [])

    def test_freshClose(self) -> None:
        """C{close} closes those too."""
        agent = self.newAgent(freshSockets=True)
        waiting = agent.get(TEXT)
        self.successResultOf(agent.close())
        self.failureResultOf(waiting, errors.SocketClosed)
        self.assertEqual(self.ours(), [])

    def test_closeWhileLookingUp(self) -> None:
        """C{close} fails requests whose host is being looked up too: they open no socket afterwards."""
        self.reactor.nameResolver.isSlow = True
        waiting = self.agent.get("coap://server.example/x")
        self.successResultOf(self.agent.close())
        self.failureResultOf(waiting, errors.SocketClosed)
        self.reactor.nameResolver.answer()
        self.assertEqual(self.ours(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_bindAddress(self) -> None:
        """C{bindAddress} says what to send from."""
        agent = self.newAgent(bindAddress=("192.0.2.44", 4444))
        agent.get(TEXT).addErrback(lambda _: None)
        self.assertEqual(self.ours(), [("192.0.2.44", 4444)])

    def test_bindAddressOfTheOtherFamily(self) -> None:
        """A peer of the other family cannot be reached from it."""
        agent = self.newAgent(bindAddress=("192.0.2.44", 4444))
        self.failureResultOf(agent.get("coap://[2001:db8::1]/"), errors.Unreachable)
        waiting = agent.get("coap://server.example/")
        self.assertEqual(self.reply().options.uriHost, "server.example")
        self.successResultOf(waiting)

    def test_cannotBind(self) -> None:
        """A socket that cannot be opened fails the request, and the next one tries again."""
        agent = self.newAgent(bindAddress=("192.0.2.44", 4444))
        self.reactor.refusals["192.0.2.44"] = errno.EADDRINUSE
        self.failureResultOf(agent.get(TEXT), CannotListenError)
        self.failureResultOf(agent.ping(TEXT), CannotListenError)
        self.reactor.refusals.clear()
        waiting = agent.get(TEXT)
        self.reply()
        self.successResultOf(waiting)

    def test_withoutIPv6(self) -> None:
        """Where there is no IPv6, its addresses are unreachable, and a name's others are asked."""
        self.reactor.refusals["::"] = errno.EAFNOSUPPORT
        self.failureResultOf(self.agent.get("coap://[2001:db8::1]/"), errors.Unreachable)
        waiting = self.agent.get("coap://server.example/")
        self.reply()
        self.assertEqual(self.successResultOf(waiting).peer, SERVER)

    def test_givenProtocol(self) -> None:
        """With a protocol of the user's, no socket is opened, nor closed."""
        protocol = CoAPProtocol(None, self.reactor)
        self.wire.open(protocol, CLIENT)
        agent = Agent(self.reactor, protocol=protocol)
        waiting = agent.get(TEXT)
        self.reply()
        self.successResultOf(waiting)
        self.assertEqual(self.ours(), [CLIENT])
        self.successResultOf(agent.close())
        self.assertTrue(protocol.isOpen)
        self.failureResultOf(agent.get("coap://[2001:db8::1]/"), errors.Unreachable)

    def test_givenProtocolClosed(self) -> None:
        """Once the user has closed it, requests fail."""
        protocol = CoAPProtocol(None, self.reactor)
        agent = Agent(self.reactor, protocol=protocol)
        for _ in range(2):
            self.failureResultOf(agent.get(TEXT), errors.SocketClosed)
            self.failureResultOf(agent.ping(TEXT), errors.SocketClosed)
            socket = self.wire.open(protocol, CLIENT)
            socket.stopListening()

    def test_sharedPort(self) -> None:
        """A server asks its client back over its own port, on the path by which the client asked."""

        class Registry(Resource):
            isLeaf = True

            async def render_POST(self, request: Request) -> Any:
                host, port = request.peer
                response = await back.get(f"coap://{host}:{port}/")
                return b"welcome, " + response.payload

        class Device(Resource):
            isLeaf = True

            def render_GET(self, request: Request) -> bytes:
                return b"device %d" % request.peer[1]

        self.peer.socket.stopListening()
        server = CoAPProtocol(Site(Registry()), self.reactor)
        self.wire.open(server, SERVER)
        back = Agent(self.reactor, protocol=server)
        device = CoAPProtocol(Site(Device()), self.reactor)
        self.wire.open(device, CLIENT)
        waiting = Agent(self.reactor, protocol=device).post("coap://192.0.2.1/")
        self.wire.settle()
        self.assertEqual(self.successResultOf(waiting).payload, b"welcome, device 5683")
        self.assertEqual({frozenset(each[:2]) for each in self.wire.sent}, {frozenset([SERVER, CLIENT])})


class NameTests(AgentTestCase):
    """Hosts by name, and literals."""

    def test_literals(self) -> None:
        """A literal is asked at once, without any name service; Uri-Host is left out (RFC 7252 6.4)."""
        six = Peer(self.wire, SERVER6)
        for uri, peer in (("coap://192.0.2.1", self.peer), ("coap://[2001:db8::1]", six)):
            self.agent.get(uri).addErrback(lambda _: None)
            self.assertEqual(peer.takeOne().options, Options())
        self.assertEqual(self.reactor.nameResolver.asked, [])

    def test_port(self) -> None:
        """The port is the URI's; it is not repeated in Uri-Port."""
        peer = Peer(self.wire, ("192.0.2.1", 61616))
        self.agent.get("coap://192.0.2.1:61616/").addErrback(lambda _: None)
        self.assertEqual(peer.takeOne().options, Options())

    def test_name(self) -> None:
        """A name is looked up by the reactor; it goes with the request as Uri-Host."""
        waiting = self.agent.get("coap://FOUR.example/x")
        self.assertEqual(self.reply().options, Options(uriHost="four.example", uriPath=("x",)))
        self.assertEqual(self.successResultOf(waiting).peer, SERVER)
        self.assertEqual(
            self.reactor.nameResolver.asked, [("four.example", [IPv6Address, IPv4Address], "UDP")]
        )

    def test_firstAddress(self) -> None:
        """The first address that the resolver gives is asked, and no other while it may answer."""
        six = Peer(self.wire, SERVER6)
        waiting = self.agent.get("coap://server.example/")
        asked = six.takeOne()
        six.send(ACK, Code.CONTENT, asked.messageID, asked.token)
        self.assertEqual(self.successResultOf(waiting).peer, SERVER6)
        self.assertEqual(self.peer.take(), [])

    def test_nextAddress(self) -> None:
        """An address that cannot be reached is passed over: the next one is asked."""
        self.wire.errors = {"192.0.2.51": errno.ENETUNREACH, "192.0.2.52": errno.EHOSTUNREACH}
        waiting = self.agent.get("coap://many.example/")
        self.reply()
        self.assertEqual(self.successResultOf(waiting).peer, SERVER)
        self.assertForgets()

    def test_nextAddressLater(self) -> None:
        """The same holds where the network's word comes back later: nobody was asked by then."""
        waiting = self.agent.get("coap://many.example/", timeout=5)
        for host in ("192.0.2.51", "192.0.2.52"):
            whence, whereto, data = self.wire.sent[-1]
            self.assertEqual(whereto[0], host)
            self.reactor.elapse(1)
            protocol = self.wire.sockets[whence].protocol
            protocol.datagramUnreachable(data, whereto, errno.ECONNREFUSED)
        self.reply()
        self.successResultOf(waiting)

    def test_oneTimeout(self) -> None:
        """The time of a request is for all addresses together, not for each anew."""
        self.wire.loses = lambda whence, whereto, data: True
        waiting = self.agent.get("coap://many.example/", timeout=10)
        self.reactor.elapse(4)
        for protocol in [self.wire.sockets[address].protocol for address in self.ours()]:
            _, whereto, data = self.wire.sent[-1]
            protocol.datagramUnreachable(data, whereto, errno.EHOSTUNREACH)
            protocol.turnEnded()
        self.assertEqual(self.wire.sent[-1][1][0], "192.0.2.52")
        self.reactor.elapse(5.9)
        self.assertNoResult(waiting)
        self.reactor.elapse(0.2)
        self.failureResultOf(waiting, errors.NoAcknowledgement)

    def test_noAddressLeft(self) -> None:
        """Where none can be reached, the last one's failure stands."""
        self.wire.errors = dict.fromkeys(KNOWN["many.example"], errno.ENETUNREACH)
        self.failureResultOf(self.agent.get("coap://many.example/"), errors.Unreachable)
        self.assertForgets()

    def test_noSecondQuestion(self) -> None:
        """Any other failure is final: a request that may have arrived is not sent elsewhere."""
        first = Peer(self.wire, ("192.0.2.51", 5683))
        waiting = self.agent.post("coap://many.example/")
        first.sendEmpty(RST, first.takeOne().messageID)
        self.failureResultOf(waiting, errors.ResetReceived)
        waiting = self.agent.post("coap://many.example/")
        self.reactor.elapse(100)
        self.failureResultOf(waiting, errors.NoAcknowledgement)
        self.assertEqual(
            {whereto[0] for _, whereto, _ in self.wire.sent if whereto != whereto[1]} & {SERVER[0]}, set()
        )

    def test_notFound(self) -> None:
        """A name without address is NameNotFound; nothing is opened."""
        error = self.failureResultOf(self.agent.get("coap://nowhere.example/"), errors.NameNotFound).value
        self.assertIsInstance(error, errors.RequestError)
        self.assertEqual(self.ours(), [])

    def test_slow(self) -> None:
        """A slow name service eats up the time of the request."""
        names = self.reactor.nameResolver
        names.isSlow = True
        waiting = self.agent.get("coap://four.example/", timeout=5)
        self.reactor.elapse(5)
        self.failureResultOf(waiting, errors.NameNotFound)
        waiting = self.agent.get("coap://four.example/", timeout=5)
        self.reactor.elapse(4)
        names.answer()
        self.peer.take()
        self.reactor.elapse(0.999)
        self.assertNoResult(waiting)
        self.reactor.elapse(0.001)
        self.failureResultOf(waiting, errors.NoAcknowledgement)
        self.assertForgets()


class Name(Resource):
    """Says who asks."""

    isLeaf = True

    def render_GET(self, request: Request) -> str:
        return type(request.getClientAddress()).__name__


class LoopbackTests(TestCase):
    """On real sockets."""

    async def ask(self, listen: str, uri: str, **how: Any) -> Any:
        """The body that a real server gives to a real agent."""
        reactor: Any = _reactor
        port: Any = await serverFromString(reactor, listen).listen(Site(Name()))
        agent = Agent(reactor, **how)
        try:
            response = await agent.get(uri.format(getattr(port.getHost(), "port", 0)), timeout=10)
        finally:
            await agent.close()
            await port.stopListening()
        return response.payload

    async def test_addresses(self) -> None:
        """IPv4, and a name; with one socket for all, or one for each."""
        for how in ({}, {"freshSockets": True}, {"bindAddress": ("127.0.0.1", 0)}):
            for uri in ("coap://127.0.0.1:{}/", "coap://localhost:{}/"):
                answer = await self.ask("udp:0:interface=127.0.0.1", uri, **how)
                self.assertEqual(answer, b"IPv4Address")

    async def test_unix(self) -> None:
        """A Unix socket, written into the URI as libcoap does."""
        with TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            uri = "coap://" + path.replace("/", "%2F") + "/"
            for how in ({}, {"freshSockets": True}):
                self.assertEqual(await self.ask(f"unix:{path}", uri, **how), b"UNIXAddress")

    async def test_closedPort(self) -> None:
        """Nobody listens: the request fails at once."""
        agent = Agent(_reactor)
        self.addCleanup(agent.close)
        reactor: Any = _reactor
        port = reactor.listenUDP(0, CoAPProtocol(), "127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        with self.assertRaises(errors.Unreachable):
            await agent.get(f"coap://127.0.0.1:{number}/", timeout=10)

    async def test_closeWhileAsking(self) -> None:
        """Closing an agent with requests under way, on fresh sockets too."""
        reactor: Any = _reactor
        silent = reactor.listenUDP(0, CoAPProtocol(), "127.0.0.1")
        self.addCleanup(silent.stopListening)
        silent.protocol.datagramReceived = lambda data, peer, local=None: None
        for isFresh in (False, True):
            agent = Agent(reactor, freshSockets=isFresh)
            waiting = agent.get(f"coap://127.0.0.1:{silent.getHost().port}/")
            await agent.close()
            self.failureResultOf(waiting, errors.SocketClosed)
