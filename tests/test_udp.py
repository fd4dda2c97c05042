"""
Tests for L{txcoap.transports.udp}, L{txcoap.transports.port} and L{txcoap.transports.ancillary}.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
import sys
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError, ConnectionDone, InvalidAddressError
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from tests.recorders import Recorder, ScriptedSocket
from txcoap.interfaces import IDatagramReceiver, ISendsMany, ITransport
from txcoap.transports import ancillary, sockets
from txcoap.transports.port import MAX_ERRORS, RECEIVE_BUFFER
from txcoap.transports.udp import MAX_LOCAL_ADDRESSES, Port, adopt, listenUDP

reactor: Any = _reactor


def hasIPv6() -> bool:
    """
    @return: whether this machine has an IPv6 loopback.
    """
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as skt:
            skt.bind(("::1", 0))
    except OSError:
        return False
    return True


def needsIPv6() -> None:
    """
    @raise SkipTest: this machine has no IPv6 loopback.
    """
    if not hasIPv6():
        raise SkipTest("no IPv6 here")


def needsLinux() -> None:
    """
    @raise SkipTest: this machine has no error queue.
    """
    if not ancillary.IS_LINUX:
        raise SkipTest("only Linux has an error queue")


def errorEntry(
    peer: tuple[Any, ...], number: int, data: bytes = b"", origin: int = 2, type: int = 3
) -> tuple[Any, ...]:
    """
    @return: an entry of the error queue, as C{recvmsg} gives it.
    """
    extended = struct.pack("@IBBBBII", number, origin, type, 3, 0, 0, 0)
    return data, [(socket.IPPROTO_IP, ancillary.IP_RECVERR, extended)], 0, peer


def pktinfo4(interface: int, source: str, destination: str) -> tuple[int, int, bytes]:
    """
    @return: the control message about an IPv4 datagram's destination.
    """
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return socket.IPPROTO_IP, ancillary.IP_PKTINFO or 0, struct.pack("@I", interface) + addresses


def pktinfo6(address: str, interface: int) -> tuple[int, int, bytes]:
    """
    @return: the control message about an IPv6 datagram's destination.
    """
    packed = socket.inet_pton(socket.AF_INET6, address)
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed + struct.pack("@I", interface)


class AncillaryTests(SynchronousTestCase):
    """
    What the kernel says about a datagram.
    """

    def test_unicast4(self) -> None:
        """
        An IPv4 datagram is answered from the address that was asked, by whichever interface routing
        says.
        """
        local = ancillary.localAddress([pktinfo4(3, "127.0.0.2", "127.0.0.2")])
        assert local is not None
        told = (local.address, local.isMulticast, local.interface)
        self.assertEqual(told, ("127.0.0.2", False, 3))
        (level, kind, data), *_ = local.ancillary
        self.assertEqual((level, kind), (socket.IPPROTO_IP, ancillary.IP_PKTINFO))
        self.assertEqual(data[:8], bytes(4) + socket.inet_aton("127.0.0.2"))

    def test_multicast4(self) -> None:
        """
        What was sent to many is answered from the interface's own address, not from the group's
        (RFC 7252 8.2). A broadcast is such, too.
        """
        for group in ("224.0.1.187", "192.0.2.255"):
            local = ancillary.localAddress([pktinfo4(3, "192.0.2.1", group)])
            assert local is not None
            self.assertEqual((local.address, local.isMulticast), (group, True))
            self.assertEqual(local.ancillary[0][2], struct.pack("@I", 3) + bytes(8))

    def test_unicast6(self) -> None:
        """
        An IPv6 datagram is answered from the address that was asked; the interface is named only
        where the address means nothing without it.
        """
        for address, interface in (("2001:db8::1", 0), ("fe80::1", 5)):
            local = ancillary.localAddress([pktinfo6(address, 5)])
            assert local is not None
            self.assertEqual((local.address, local.isMulticast), (address, False))
            self.assertEqual(local.ancillary, (pktinfo6(address, interface),))

    def test_multicast6(self) -> None:
        """
        What was sent to an IPv6 group is answered by the interface, from its own address.
        """
        local = ancillary.localAddress([pktinfo6("ff02::fd", 5)])
        assert local is not None
        self.assertEqual((local.address, local.isMulticast), ("ff02::fd", True))
        self.assertEqual(local.ancillary, (pktinfo6("::", 5),))

    def test_dualStack(self) -> None:
        """
        On a dual-stack socket Linux tells of an IPv4 datagram in both ways: IPv4's own counts.
        """
        local = ancillary.localAddress(
            [pktinfo6("::ffff:127.0.0.1", 1), pktinfo4(1, "127.0.0.1", "127.0.0.1")]
        )
        assert local is not None
        self.assertEqual(local.address, "127.0.0.1")

    def test_otherMessages(self) -> None:
        """
        Control messages that are about something else, or too short, tell no address and no error.
        """
        for messages in ([], [(socket.IPPROTO_IP, 2, b"1234")], [(socket.IPPROTO_IP, 8, b"1")]):
            self.assertIsNone(ancillary.localAddress(messages))
            self.assertIsNone(ancillary.reportedError(messages))

    def test_tooBigIsNotUnreachable(self) -> None:
        """
        A path that carries less than was thought is no reason to give up: the kernel has learnt of
        it.
        """
        peer = ("127.0.0.1", 1)
        entry = errorEntry(peer, errno.EMSGSIZE)
        self.assertIsNone(ancillary.reportedError(entry[1]))
        entry = errorEntry(peer, errno.EHOSTUNREACH)
        self.assertEqual(ancillary.reportedError(entry[1]), errno.EHOSTUNREACH)

    def test_timeExceededIsNotUnreachable(self) -> None:
        """ICMP's Time Exceeded, of IPv4 and IPv6, is ignored (RFC 7252 4.2)."""
        for origin, type, number in (
            (2, 11, None),
            (3, 3, None),
            (2, 3, errno.EHOSTUNREACH),
            (3, 1, errno.EHOSTUNREACH),
        ):
            entry = errorEntry(("127.0.0.1", 1), errno.EHOSTUNREACH, b"", origin, type)
            self.assertEqual(ancillary.reportedError(entry[1]), number)

    def test_literalAddress(self) -> None:
        """
        A literal address is written as the socket would give it, whichever way it was written
        before.
        """
        v4, v6 = socket.AF_INET, socket.AF_INET6
        rows: list[tuple[int, str, bool, Any]] = [
            (v4, "127.0.0.1", False, ("127.0.0.1", 1)),
            (v4, "::ffff:127.0.0.1", False, ("127.0.0.1", 1)),
            (v6, "0:0::1", False, ("::1", 1, 0, 0)),
            (v6, "FE80::1%7", False, ("fe80::1", 1, 0, 7)),
            (v6, "127.0.0.1", True, ("::ffff:127.0.0.1", 1, 0, 0)),
        ]
        for family, host, dual, expected in rows:
            self.assertEqual(ancillary.literalAddress(family, host, 1, dual), expected)

    def test_literalAddressRefused(self) -> None:
        """
        Names, unknown zones, ports that are none and addresses out of a socket's reach are refused.
        """
        v4, v6 = socket.AF_INET, socket.AF_INET6
        for family, host, port in (
            (v4, "localhost", 1),
            (v4, "::1", 1),
            (v6, "127.0.0.1", 1),
            (v6, "fe80::1%nosuchinterface", 1),
            (v4, "127.0.0.1", 65536),
        ):
            self.assertRaises(ValueError, ancillary.literalAddress, family, host, port)

    def test_outgoing(self) -> None:
        """How a datagram is to leave: by an interface, over so many hops, both, or as the system has it."""
        for isIPv6, level in ((False, socket.IPPROTO_IP), (True, socket.IPPROTO_IPV6)):
            self.assertEqual(ancillary.outgoing(isIPv6, 0, None), ())
            ((found, _, data),) = ancillary.outgoing(isIPv6, 0, 3)
            self.assertEqual((found, struct.unpack("@i", data)), (level, (3,)))
            self.assertEqual([each[0] for each in ancillary.outgoing(isIPv6, 1, 3)], [level, level])


class ScriptedPortTests(SynchronousTestCase):
    """
    L{Port} on a socket whose behaviour the test wrote.
    """

    def setUp(self) -> None:
        """
        Make a reactor that does nothing.
        """
        self.reactor = MemoryReactorClock()
        self.protocol = Recorder()

    def listen(self, skt: ScriptedSocket, **options: Any) -> Port:
        """
        @return: a port that listens on that socket.
        """
        given: Any = skt
        port = Port.fromSocket(self.reactor, given, self.protocol, **options)
        port.startListening()
        return port

    def test_interfaces(self) -> None:
        """
        The port is what the protocol sends by, and the reactors may tell it of errors.
        """
        port = self.listen(ScriptedSocket())
        verifyObject(ITransport, port)
        verifyObject(IHalfCloseableDescriptor, port)
        verifyObject(IDatagramReceiver, self.protocol)
        self.assertIn(port, self.reactor.getReaders())
        self.assertIn("Recorder", repr(port))

    def test_turn(self) -> None:
        """
        Everything that waits is delivered, then the turn is ended, once.
        """
        port = self.listen(ScriptedSocket([b"a", b"", b"b"]))
        port.doRead()
        self.assertEqual(self.protocol.payloads, [b"a", b"", b"b"])
        self.assertEqual(self.protocol.received[0][1:], (("127.0.0.1", 40000), None))
        self.assertEqual(self.protocol.turns, 1)

    def test_turnIsBounded(self) -> None:
        """
        A flood, be it of empty datagrams, does not keep the reactor from its timers.
        """
        for address in ("127.0.0.1", "0.0.0.0"):
            self.protocol = Recorder()
            port = self.listen(ScriptedSocket([b""] * 100, (address, 5683)))
            port.doRead()
            self.assertEqual(len(self.protocol.received), 64)
            port.doRead()
            self.assertEqual(len(self.protocol.received), 100)

    def test_truncated(self) -> None:
        """
        A datagram that is longer than may be is refused, not misread; the longest is not.
        """
        port = self.listen(ScriptedSocket([b"x" * 101, b"y" * 100, b"z" * 5000]), maxPacketSize=100)
        port.doRead()
        self.assertEqual(self.protocol.payloads, [b"y" * 100])
        self.assertEqual(port.truncated, 2)

    def test_portZero(self) -> None:
        """
        What claims to come from port 0 cannot be answered and is dropped.
        """
        port = self.listen(ScriptedSocket([(b"a", ("127.0.0.1", 0)), b"b"]))
        port.doRead()
        self.assertEqual(self.protocol.payloads, [b"b"])
        self.assertEqual(port.unanswerable, 1)

    def test_flowLabel(self) -> None:
        """
        A peer keeps its scope, and loses its flow label, by which answers must not differ.
        """
        incoming = [(b"a", ("fe80::1", 9, 77, 3)), (b"b", ("fe80::1", 9, 0, 3))]
        for address in ("::1", "::"):
            self.protocol = Recorder()
            self.listen(ScriptedSocket(list(incoming), (address, 5683, 0, 0))).doRead()
            self.assertEqual([peer for _, peer, _ in self.protocol.received], [("fe80::1", 9, 0, 3)] * 2)

    def test_bugIsLogged(self) -> None:
        """
        A protocol that raises is logged, and the next datagram is delivered.
        """
        for host in ("127.0.0.1", "0.0.0.0"):
            port = self.listen(ScriptedSocket([b"bug", b"next"], (host, 5683)))
            port.doRead()
            self.assertEqual(self.protocol.payloads[-1], b"next")
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
            self.protocol = Recorder()

    def test_bugsElsewhereAreLogged(self) -> None:
        """
        So is one that raises when it is told of an error, or of a turn's end.
        """
        needsLinux()

        class Buggy(Recorder):
            def datagramUnreachable(self, data: bytes, peer: Any, error: int) -> None:
                raise RuntimeError("a bug")

            def turnEnded(self) -> None:
                raise RuntimeError("another bug")

        self.protocol = Buggy()
        skt = ScriptedSocket()
        skt.errors = [errorEntry(("127.0.0.1", 7), errno.ECONNREFUSED)]
        port = self.listen(skt)
        port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertTrue(port.connected)

    def test_receiveErrors(self) -> None:
        """
        Whatever receiving fails with, the datagrams behind it are delivered and the port stays.
        """
        failures = [
            errno.EHOSTUNREACH,
            errno.ECONNREFUSED,
            errno.ENETDOWN,
            errno.ENOMEM,
            OSError("no number"),
        ]
        for host in ("127.0.0.1", "0.0.0.0"):
            port = self.listen(ScriptedSocket([*failures, b"a"], (host, 5683)))
            port.doRead()
            self.assertEqual(self.protocol.payloads, [b"a"])
            self.assertEqual(port.receiveErrors, len(failures))
            self.assertTrue(port.connected)
            self.protocol = Recorder()

    def test_lastingError(self) -> None:
        """
        An error that does not go away ends the turn all the same.
        """
        port = self.listen(ScriptedSocket([errno.ENETDOWN] * 1000))
        port.doRead()
        self.assertEqual(port.receiveErrors, 64)

    def test_stopInTurn(self) -> None:
        """
        After L{Port.stopListening} nothing more is delivered, and one Deferred for each who asked
        fires.
        """
        for host in ("127.0.0.1", "0.0.0.0"):
            self.stopInTurn(host)

    def stopInTurn(self, host: str) -> None:
        """
        Check it once.
        """
        skt = ScriptedSocket([b"a", b"b"], (host, 5683))
        port = self.listen(skt)
        stopping: list[Any] = []
        self.protocol.eachTime = lambda: stopping.append(port.stopListening())
        port.doRead()
        again = port.stopListening()
        self.assertEqual(self.protocol.payloads, [b"a"])
        self.reactor.advance(0)
        self.successResultOf(stopping[0])
        assert again is not None
        self.successResultOf(again)
        self.assertTrue(self.protocol.stopped)
        self.assertTrue(skt.closed)
        self.assertIsNone(port.stopListening())
        self.assertNotIn(port, self.reactor.getReaders())
        self.protocol = Recorder()

    def test_lostAndStopped(self) -> None:
        """
        A port that the reactor closes while it is being stopped closes once.
        """
        port = self.listen(ScriptedSocket())
        done = port.stopListening()
        port.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(0)
        assert done is not None
        self.successResultOf(done)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_send(self) -> None:
        """
        What is sent goes out as it is.
        """
        skt = ScriptedSocket()
        self.assertIsNone(self.listen(skt).send(b"a", ("127.0.0.1", 9)))
        self.assertEqual(skt.sent, [(b"a", ("127.0.0.1", 9))])

    def test_sendLost(self) -> None:
        """
        A full buffer loses the datagram, as a network would: that is no error.
        """
        skt = ScriptedSocket()
        port = self.listen(skt)
        for number in (errno.EAGAIN, errno.ENOBUFS):
            skt.failures = [number]
            self.assertIsNone(port.send(b"a", ("127.0.0.1", 9)))
        self.assertEqual(skt.sent, [])

    def test_sendFails(self) -> None:
        """
        What makes sending pointless is returned, whatever it is, and never raised.
        """
        skt = ScriptedSocket()
        port = self.listen(skt)
        rows: list[tuple[int | Exception, int]] = [
            (errno.ENETUNREACH, errno.ENETUNREACH),
            (errno.EMSGSIZE, errno.EMSGSIZE),
            (errno.EACCES, errno.EACCES),
            (socket.gaierror(-9, "wrong family"), errno.EINVAL),
            (OverflowError("port"), errno.EINVAL),
            (UnicodeError("host"), errno.EINVAL),
            (OSError("AF_UNIX path too long"), errno.EINVAL),
        ]
        for failure, expected in rows:
            skt.failures = [failure, failure]
            self.assertEqual(port.send(b"a", ("192.0.2.1", 9)), expected)

    def test_sendAll(self) -> None:
        """
        Of many that are sent at once, those are returned that it is pointless to send; the others go out,
        whether they are lost or not.
        """
        skt = ScriptedSocket()
        port = self.listen(skt)
        verifyObject(ISendsMany, port)
        skt.failures = [errno.EACCES, errno.EACCES, errno.EAGAIN]
        peers = [("192.0.2.1", number) for number in (1, 2, 3, 4)]
        unsent = port.sendAll([(b"%d" % peer[1], peer, None) for peer in peers])
        self.assertEqual(unsent, [(b"1", peers[0], errno.EACCES)])
        self.assertEqual(skt.sent, [(b"3", peers[2]), (b"4", peers[3])])

    def test_pendingError(self) -> None:
        """
        An error about an earlier datagram does not keep this one from being sent; it is told
        afterwards, not while the protocol sends.
        """
        needsLinux()
        skt = ScriptedSocket()
        port = self.listen(skt)
        skt.failures = [errno.ECONNREFUSED]
        skt.errors = [errorEntry(("127.0.0.1", 7), errno.ECONNREFUSED, b"old")]
        self.assertIsNone(port.send(b"new", ("127.0.0.1", 9)))
        self.assertEqual(skt.sent, [(b"new", ("127.0.0.1", 9))])
        self.assertEqual(self.protocol.unreachable, [])
        self.reactor.advance(0)
        expected = [(b"old", ("127.0.0.1", 7), errno.ECONNREFUSED)]
        self.assertEqual(self.protocol.unreachable, expected)
        self.assertEqual(self.protocol.turns, 1)

    def test_pendingErrorFromAddress(self) -> None:
        """
        What is to leave from a certain address does so too, where such an error comes between.
        """
        needsLinux()
        skt = ScriptedSocket()
        port = self.listen(skt)
        local = ancillary.localAddress([pktinfo4(3, "127.0.0.2", "127.0.0.2")])
        assert local is not None
        skt.failures = [errno.ECONNREFUSED]
        skt.errors = [errorEntry(("127.0.0.1", 7), errno.ECONNREFUSED, b"old")]
        self.assertIsNone(port.send(b"new", ("127.0.0.1", 9), local))
        self.assertEqual(skt.sent, [(b"new", ("127.0.0.1", 9), local.ancillary)])
        self.reactor.advance(0)

    def test_pendingErrorsAreBounded(self) -> None:
        """
        However many errors arrive while the protocol sends, a bounded number waits; none after it
        stopped.
        """
        needsLinux()
        skt = ScriptedSocket()
        port = self.listen(skt)
        for _ in range(3):
            skt.failures = [errno.ECONNREFUSED] * 2
            skt.errors = [errorEntry(("127.0.0.1", 7), errno.ECONNREFUSED)] * (MAX_ERRORS + 9)
            self.assertIsNone(port.send(b"new", ("127.0.0.1", 9)))
        self.reactor.advance(0)
        self.assertEqual(len(self.protocol.unreachable), MAX_ERRORS)
        skt.failures = [errno.ECONNREFUSED]
        port.send(b"new", ("127.0.0.1", 9))
        port.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_errorQueue(self) -> None:
        """
        What woke the reactor without a datagram is an error: it is told, and the port goes on
        reading.
        """
        needsLinux()
        skt = ScriptedSocket()
        port = self.listen(skt)
        entry = errorEntry(("127.0.0.1", 7), errno.EHOSTUNREACH, b"x")
        skt.errors = [entry]
        port.doRead()
        skt.errors = [entry]
        self.reactor.removeReader(port)
        port.readConnectionLost(Failure(ConnectionDone()))
        port.writeConnectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.protocol.unreachable, [(b"x", ("127.0.0.1", 7), errno.EHOSTUNREACH)] * 2)
        self.assertEqual(self.protocol.turns, 2)
        self.assertIn(port, self.reactor.getReaders())

    def test_local(self) -> None:
        """
        A wildcard socket tells which address was asked, and answers from it.
        """
        skt = ScriptedSocket([b"?1", b"?2"], ("0.0.0.0", 5683))
        skt.ancillary = [pktinfo4(1, "127.0.0.2", "127.0.0.2")]
        self.listen(skt).doRead()
        local = self.protocol.received[0][2]
        self.assertEqual(local.address, "127.0.0.2")
        self.assertIs(local, self.protocol.received[1][2])
        self.assertEqual(skt.sent[0], (b"!1", skt.peer, local.ancillary))

    def test_localUntold(self) -> None:
        """
        Where the kernel does not tell, the address is L{None} and the answer is sent without one.
        """
        skt = ScriptedSocket([b"?1"], ("0.0.0.0", 5683))
        self.listen(skt).doRead()
        self.assertIsNone(self.protocol.received[0][2])
        self.assertEqual(skt.sent, [(b"!1", skt.peer)])

    def test_localUnwanted(self) -> None:
        """
        A port that only asks may do without.
        """
        skt = ScriptedSocket([b"a"], ("0.0.0.0", 5683))
        skt.ancillary = [pktinfo4(1, "127.0.0.2", "127.0.0.2")]
        self.listen(skt, tellLocal=False).doRead()
        self.assertIsNone(self.protocol.received[0][2])

    def test_localAmongOthers(self) -> None:
        """
        Control messages that the socket's former owner asked for do not confuse addresses.
        """
        skt = ScriptedSocket([b"a"], ("0.0.0.0", 5683))
        port = self.listen(skt)
        for address in ("127.0.0.2", "127.0.0.3"):
            skt.incoming = [b"a"]
            skt.ancillary = [pktinfo4(1, address, address), (socket.IPPROTO_IP, 2, b"\x40\0\0\0")]
            port.doRead()
        addresses = [local.address for _, _, local in self.protocol.received]
        self.assertEqual(addresses, ["127.0.0.2", "127.0.0.3"])

    def test_localsAreBounded(self) -> None:
        """
        However many addresses are asked at, a bounded number is remembered.
        """
        skt = ScriptedSocket([], ("0.0.0.0", 5683))
        port = self.listen(skt)
        for number in range(1, MAX_LOCAL_ADDRESSES + 20):
            address = f"127.0.{number >> 8}.{number & 255}"
            skt.incoming = [b"a"]
            skt.ancillary = [pktinfo4(1, address, address)]
            port.doRead()
            self.assertEqual(self.protocol.received[-1][2].address, address)
        self.assertLessEqual(len(port._locals), MAX_LOCAL_ADDRESSES)

    def test_notOurs(self) -> None:
        """
        Only bound UDP sockets are taken over.
        """
        stream = ScriptedSocket()
        stream.type = socket.SOCK_STREAM
        for skt in (stream, ScriptedSocket(host=("0.0.0.0", 0))):
            self.assertRaises(ValueError, self.listen, skt)

    def test_noisy(self) -> None:
        """
        As with Twisted's ports, a protocol that is not noisy keeps a port's comings and goings out
        of the log.
        """
        observer = EventLoggingObserver.createWithCleanup(cast(Any, self), globalLogPublisher)
        for noisy in (False, True):
            self.protocol = Recorder()
            self.protocol.noisy = noisy
            port = self.listen(ScriptedSocket())
            port.stopListening()
            self.reactor.advance(0)
            self.assertEqual(bool(list(observer)), noisy)

    def test_fallback(self) -> None:
        """
        A reactor that watches no descriptors listens in its own way.
        """

        class OtherReactor:
            def listenUDP(self, *arguments: Any) -> Any:
                return arguments

        self.assertEqual(
            listenUDP(OtherReactor(), 5683, self.protocol, "127.0.0.1"),
            (5683, self.protocol, "127.0.0.1", 65535),
        )

    def test_interfaceIsLiteral(self) -> None:
        """
        The interface is an address, not a name.
        """
        self.assertRaises(InvalidAddressError, Port, 0, self.protocol, "localhost", 9, self.reactor)


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
