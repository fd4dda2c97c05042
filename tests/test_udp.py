"""
Tests for L{txcoap.transports.udp} and L{txcoap.transports.port}, on a socket that says what the test says.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.error import ConnectionDone, InvalidAddressError
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.recorders import Recorder, ScriptedSocket
from tests.test_ancillary import errorEntry, pktinfo4
from txcoap.interfaces import IDatagramReceiver, ISendsMany, ITransport
from txcoap.transports import ancillary
from txcoap.transports.port import MAX_ERRORS
from txcoap.transports.udp import MAX_LOCAL_ADDRESSES, Port, listenUDP

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

    def test_receivingTellsOfTheNetwork(self) -> None:
        """What the network said of a datagram of ours, and receiving then fails with, is no such error."""
        skt = ScriptedSocket([errno.ECONNREFUSED, b"a"])
        skt.errors = [errorEntry(("127.0.0.1", 7), errno.ECONNREFUSED)]
        port = self.listen(skt)
        port.doRead()
        self.assertEqual(self.protocol.payloads, [b"a"])
        self.assertEqual(port.receiveErrors, 0)

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
