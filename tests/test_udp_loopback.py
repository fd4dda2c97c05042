"""
Tests for L{txcoap.transports.udp} and L{txcoap.transports.port}, on loopback sockets.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.recorders import Recorder
from tests.test_udp import hasIPv6, needsIPv6, needsLinux, reactor
from txcoap.transports import sockets
from txcoap.transports.port import RECEIVE_BUFFER
from txcoap.transports.udp import adopt, listenUDP


class LoopbackTests(TestCase):
    """
    L{Port} on real sockets.
    """

    timeout = 60

    def listen(self, interface: str, port: int = 0, **options: Any) -> tuple[Any, Recorder]:
        """
        @return: a port that is stopped with the test, and its protocol.
        """
        protocol = Recorder()
        listening = listenUDP(reactor, port, protocol, interface, **options)
        self.addCleanup(listening.stopListening)
        return listening, protocol

    async def check(self, server: str, client: str, target: str) -> Any:
        """
        Ask a server that is bound somewhere at a target, and see the answer come from there.

        @return: the server's view: peer and local address.
        """
        port, asked = self.listen(server)
        asking, answered = self.listen(client)
        peer = asking.toPeer(target, port.getHost().port)
        self.assertIsNone(asking.send(b"?hello", peer))
        await answered.until(lambda: bool(answered.received))
        self.assertEqual(answered.received[0][:2], (b"!hello", peer))
        return asked.received[0][1:]

    async def test_specific4(self) -> None:
        """
        IPv4: peers are pairs; a port bound to one address has no need to tell it.
        """
        peer, local = await self.check("127.0.0.1", "127.0.0.1", "127.0.0.1")
        self.assertEqual((len(peer), local), (2, None))

    async def test_specific6(self) -> None:
        """
        IPv6: peers are whole addresses.
        """
        needsIPv6()
        peer, local = await self.check("::1", "::1", "::1")
        self.assertEqual((peer[0], peer[2:], local), ("::1", (0, 0), None))

    async def test_wildcard4(self) -> None:
        """
        A wildcard port answers from the address that was asked, even where routing would choose
        another.
        """
        needsLinux()
        _, local = await self.check("", "127.0.0.1", "127.0.0.2")
        self.assertEqual((local.address, local.isMulticast), ("127.0.0.2", False))

    async def test_dualStack(self) -> None:
        """
        C{"::"} hears both families, and IPv4 peers keep the form that the system gives them.
        """
        needsIPv6()
        needsLinux()
        peer, local = await self.check("::", "127.0.0.1", "127.0.0.2")
        self.assertEqual((peer[0], local.address), ("::ffff:127.0.0.1", "127.0.0.2"))
        peer, local = await self.check("::", "::", "::1")
        self.assertEqual((peer[0], local.address), ("::1", "::1"))
        await self.check("127.0.0.1", "::", "127.0.0.1")

    async def test_closedPort(self) -> None:
        """
        A closed port is told at once, and what is sent next, to anybody, gets through.
        """
        needsLinux()
        families = [("127.0.0.1", ""), ("127.0.0.1", "127.0.0.1")]
        if hasIPv6():
            families += [("::1", "::1"), ("::1", "::"), ("127.0.0.1", "::")]
        for target, interface in families:
            await self.closedPort(target, interface)

    async def closedPort(self, target: str, interface: str) -> None:
        """
        Check it once.
        """
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as closed:
            closed.bind((target, 0))
            number = closed.getsockname()[1]
        server, _ = self.listen(target)
        port, protocol = self.listen(interface)
        nobody = port.toPeer(target, number)
        for _ in range(3):
            self.assertIsNone(port.send(b"lost", nobody))
        self.assertIsNone(port.send(b"?x", port.toPeer(target, server.getHost().port)))
        await protocol.until(lambda: len(protocol.unreachable) >= 3 and bool(protocol.received))
        self.assertEqual(set(protocol.unreachable), {(b"lost", nobody, errno.ECONNREFUSED)})
        self.assertEqual(protocol.payloads, [b"!x"])

    async def test_burst(self) -> None:
        """
        A hundred datagrams at once all arrive, in order, in few turns.
        """
        port, protocol = self.listen("127.0.0.1")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
            for number in range(100):
                skt.sendto(b"%d" % number, ("127.0.0.1", port.getHost().port))
        await protocol.until(lambda: len(protocol.received) == 100)
        self.assertEqual(protocol.payloads, [b"%d" % number for number in range(100)])
        self.assertLess(protocol.turns, 10)

    async def test_longest(self) -> None:
        """
        The longest datagram that IPv4 carries arrives whole; a longer one is refused by C{send}.
        """
        port, protocol = self.listen("127.0.0.1")
        peer = port.toPeer("127.0.0.1", port.getHost().port)
        self.assertEqual(port.send(bytes(65508), peer), errno.EMSGSIZE)
        self.assertIsNone(port.send(bytes(65507), peer))
        await protocol.until(lambda: bool(protocol.received))
        self.assertEqual(len(protocol.payloads[0]), 65507)

    async def test_truncated(self) -> None:
        """
        With a smaller limit, what exceeds it is refused and counted.
        """
        for interface in ("127.0.0.1", ""):
            await self.truncated(interface)

    async def truncated(self, interface: str) -> None:
        """
        Check it once.
        """
        port, protocol = self.listen(interface, maxPacketSize=1152)
        peer = port.toPeer("127.0.0.1", port.getHost().port)
        port.send(bytes(1153), peer)
        port.send(bytes(1152), peer)
        await protocol.until(lambda: bool(protocol.received))
        self.assertEqual((port.truncated, len(protocol.payloads[0])), (1, 1152))

    def test_wrongAddress(self) -> None:
        """
        An address of the other family, or none at all, is an errno.
        """
        port, _ = self.listen("127.0.0.1")
        for peer in (("::1", 9), ("127.0.0.1", 70000), ("127.0.0.1", 0)):
            self.assertGreater(port.send(b"a", peer), 0)

    async def test_sendWhenStopped(self) -> None:
        """
        Sending on a port that has stopped is an errno.
        """
        port: Any = listenUDP(reactor, 0, Recorder(), "127.0.0.1")
        await port.stopListening()
        self.assertEqual(port.send(b"a", ("127.0.0.1", 9)), errno.EBADF)

    def test_inUse(self) -> None:
        """
        A port that somebody has is not to be had again, unless both say that they share it.
        """
        port, _ = self.listen("127.0.0.1")
        number = port.getHost().port
        self.assertRaises(CannotListenError, self.listen, "127.0.0.1", number)
        first, _ = self.listen("127.0.0.1", reuseport=True)
        second, _ = self.listen("127.0.0.1", first.getHost().port, reuseport=True)
        self.assertEqual(first.getHost(), second.getHost())

    def test_noSuchInterface(self) -> None:
        """
        A zone that is no interface cannot be listened on.
        """
        self.assertRaises(CannotListenError, self.listen, "fe80::1%nosuchinterface")

    def test_receiveBuffer(self) -> None:
        """
        The kernel is asked for a larger receive buffer, never for a smaller one.
        """

        def size(**options: Any) -> int:
            port, _ = self.listen("127.0.0.1", **options)
            return int(port.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))

        usual = size(receiveBuffer=None)
        self.assertEqual(size(receiveBuffer=1), usual)
        self.assertGreaterEqual(size(receiveBuffer=RECEIVE_BUFFER), usual)

    def test_getHost(self) -> None:
        """
        The bound address is told, as Twisted tells it.
        """
        port, _ = self.listen("127.0.0.1")
        number = port.getHandle().getsockname()[1]
        self.assertEqual(port.getHost(), IPv4Address("UDP", "127.0.0.1", number))
        needsIPv6()
        port, _ = self.listen("::1")
        number = port.getHandle().getsockname()[1]
        self.assertEqual(port.getHost(), IPv6Address("UDP", "::1", number))

    async def test_adopt(self) -> None:
        """
        A socket that somebody else bound serves, and goes on when they close theirs.
        """
        skt = sockets.openUDP(socket.AF_INET, "127.0.0.1", 0)
        where = skt.getsockname()
        asked = Recorder()
        port = adopt(reactor, skt.fileno(), asked)
        self.addCleanup(port.stopListening)
        skt.close()
        asking, answered = self.listen("127.0.0.1")
        asking.send(b"?a", where)
        await answered.until(lambda: bool(answered.received))
        self.assertEqual(answered.received[0][:2], (b"!a", where))

    def test_adoptRefused(self) -> None:
        """
        A descriptor that is no bound UDP socket is refused, and stays open.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unbound:
            self.assertRaises(ValueError, adopt, reactor, unbound.fileno(), Recorder())
            os.fstat(unbound.fileno())
        readEnd, writeEnd = os.pipe()
        self.addCleanup(os.close, readEnd)
        self.addCleanup(os.close, writeEnd)
        self.assertRaises(OSError, adopt, reactor, readEnd, Recorder())


# Ask a closed port, then an open one; then look at the clock: a port that spins on its error queue
# burns it.
SCRIPT = """
import importlib, socket, sys, time
importlib.import_module("twisted.internet." + sys.argv[1]).install()
from twisted.internet import reactor
from twisted.internet.task import deferLater, react
from tests.recorders import Recorder
from txcoap.transports.udp import listenUDP

closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
closed.bind(("127.0.0.1", 0))
nobody = closed.getsockname()
closed.close()

async def main(reactor):
    server = listenUDP(reactor, 0, Recorder(), "127.0.0.1")
    client = listenUDP(reactor, 0, Recorder(), "")
    somebody = server.getHost().host, server.getHost().port
    told = client.protocol

    def have(errors, answers):
        return told.until(lambda: (len(told.unreachable), len(told.payloads)) == (errors, answers))

    client.send(b"lost", nobody)
    await have(1, 0)
    client.send(b"?one", somebody)
    await have(1, 1)
    client.send(b"lost", nobody)
    client.send(b"?two", somebody)
    await have(2, 2)
    assert told.payloads == [b"!one", b"!two"], told.payloads
    assert told.unreachable == [(b"lost", nobody, 111)] * 2, told.unreachable
    cpu = time.process_time()
    await deferLater(reactor, 0.3)
    assert time.process_time() - cpu < 0.15, "it spins"
    print("fine")

react(main)
"""


class ReactorTests(SynchronousTestCase):
    """
    L{Port} works on each reactor that watches descriptors: they differ in what an error looks like
    to them.
    """

    def check(self, name: str) -> None:
        """
        Run the script under a reactor, in a process of its own.
        """
        needsLinux()
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT, name],
            cwd=root,
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((ran.stdout, ran.stderr), ("fine\n", ""))

    def test_epoll(self) -> None:
        """
        The epoll reactor would close a port in error.
        """
        self.check("epollreactor")

    def test_poll(self) -> None:
        """
        So would the poll reactor.
        """
        self.check("pollreactor")

    def test_select(self) -> None:
        """
        The select reactor would spin.
        """
        self.check("selectreactor")

    def test_asyncio(self) -> None:
        """
        So would the asyncio reactor.
        """
        self.check("asyncioreactor")
