"""
Tests for L{txcoap.transports.unix}.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import tempfile
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from tests.recorders import Recorder
from txcoap.interfaces import ITransport
from txcoap.transports import unix

reactor: Any = _reactor


class UnixPortTests(TestCase):
    """
    L{unix.UnixPort}, on real sockets.
    """

    timeout = 10

    def setUp(self) -> None:
        """
        Make a directory whose path is short enough for a socket's.
        """
        self.directory = tempfile.mkdtemp(prefix="txcoap-test-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "s")

    def listen(self, **options: Any) -> tuple[Any, Recorder]:
        """
        @return: a port that is stopped with the test, and its protocol.
        """
        protocol = Recorder()
        port = unix.listenUnix(reactor, self.path, protocol, **options)
        self.addCleanup(port.stopListening)
        return port, protocol

    def openClient(self) -> tuple[Any, Recorder]:
        """
        @return: a client's port that is stopped with the test, and its protocol.
        """
        protocol = Recorder()
        port = unix.openClient(reactor, protocol)
        self.addCleanup(port.stopListening)
        return port, protocol

    async def test_answer(self) -> None:
        """
        A client asks at a path, and is answered at its own.
        """
        server, asked = self.listen()
        client, answered = self.openClient()
        self.assertIsNone(client.send(b"?a", client.toPeer(self.path, 0)))
        await answered.until(lambda: bool(answered.received))
        self.assertEqual(answered.received, [(b"!a", self.path, None)])
        self.assertEqual(asked.received, [(b"?a", os.fsdecode(client.getHost().name), None)])
        self.assertEqual(server.getHost(), UNIXAddress(os.fsencode(self.path)))
        verifyObject(ITransport, server)

    async def test_relative(self) -> None:
        """
        A relative path is made absolute, for that is what a client asks at, and knows the answer by.
        """
        self.path = os.path.relpath(self.path)
        server, _ = self.listen()
        client, answered = self.openClient()
        absolute = os.path.abspath(self.path)
        self.assertIsNone(client.send(b"?a", client.toPeer(absolute, 0)))
        await answered.until(lambda: bool(answered.received))
        self.assertEqual(answered.received, [(b"!a", absolute, None)])
        self.assertEqual(server.getHost(), UNIXAddress(os.fsencode(absolute)))

    async def test_unnamed(self) -> None:
        """
        A sender without a path cannot be answered, and is dropped.
        """
        server, asked = self.listen()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unnamed:
            unnamed.sendto(b"a", self.path)
        client, _ = self.openClient()
        client.send(b"b", self.path)
        await asked.until(lambda: bool(asked.received))
        self.assertEqual((asked.payloads, server.unanswerable), ([b"b"], 1))

    async def test_truncated(self) -> None:
        """
        A datagram that is longer than may be is refused, not misread.
        """
        server, asked = self.listen(maxPacketSize=10)
        client, _ = self.openClient()
        client.send(b"x" * 11, self.path)
        client.send(b"y" * 10, self.path)
        await asked.until(lambda: bool(asked.received))
        self.assertEqual((asked.payloads, server.truncated), ([b"y" * 10], 1))

    async def test_bugIsLogged(self) -> None:
        """
        A protocol that raises is logged, and the next datagram is delivered.
        """
        _, asked = self.listen()
        client, _ = self.openClient()
        client.send(b"bug", self.path)
        client.send(b"next", self.path)
        await asked.until(lambda: len(asked.received) == 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_stopInTurn(self) -> None:
        """
        After C{stopListening} nothing more is delivered.
        """
        server, asked = self.listen()
        stopping: list[Any] = []
        asked.eachTime = lambda: stopping.append(server.stopListening())
        client, _ = self.openClient()
        client.send(b"a", self.path)
        client.send(b"b", self.path)
        await asked.until(lambda: bool(stopping))
        await stopping[0]
        self.assertEqual(asked.payloads, [b"a"])

    async def test_manyATurn(self) -> None:
        """
        Of many datagrams some are delivered in one turn of the reactor, the rest in the next;
        C{receiveBuffer} None leaves the kernel's.
        """
        _, asked = self.listen(receiveBuffer=None)
        client, _ = self.openClient()
        for _ in range(8):
            self.assertIsNone(client.send(b"a", self.path))
        port: Any = asked.transport
        port.datagramsPerTurn = 2
        await asked.until(lambda: len(asked.payloads) == 8)

    def test_nobodyListens(self) -> None:
        """
        That nobody listens is known at once: an errno, also for a path that none can have.
        """
        client, _ = self.openClient()
        self.assertEqual(client.send(b"a", self.path), errno.ENOENT)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(self.path)
        self.assertEqual(client.send(b"a", self.path), errno.ECONNREFUSED)
        self.assertEqual(client.send(b"a", "/" + "x" * 200), errno.EINVAL)

    def test_full(self) -> None:
        """
        What exceeds a server's queue is lost, as it is with UDP.
        """
        self.listen()
        client, _ = self.openClient()
        sent = {client.send(b"a", self.path) for _ in range(10000)}
        self.assertEqual(sent, {None})

    def test_mode(self) -> None:
        """
        The socket file has the mode that was asked for; by default it is for its user and group.
        """
        for options, expected in (({}, 0o660), ({"mode": 0o622}, 0o622)):
            port, _ = self.listen(**options)
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), expected)
            port.connectionLost()

    def test_inUse(self) -> None:
        """
        A path at which somebody listens cannot be had, and stays theirs.
        """
        self.listen()
        self.assertRaises(CannotListenError, self.listen)
        self.assertTrue(os.path.exists(self.path))

    def test_stale(self) -> None:
        """
        A socket file whose process has gone is replaced.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(self.path)
        port, _ = self.listen()
        self.assertTrue(port.connected)

    def test_otherFile(self) -> None:
        """
        A file that is no socket, or another's stream socket, is left alone.
        """
        with open(self.path, "w") as file:
            file.write("precious")
        self.assertRaises(CannotListenError, self.listen)
        os.unlink(self.path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.bind(self.path)
            stream.listen()
            self.assertRaises(CannotListenError, self.listen)
        self.assertTrue(os.path.exists(self.path))

    def test_impossiblePath(self) -> None:
        """
        A path that is empty, too long, or in no directory cannot be listened at.
        """
        for path in ("", "/" + "x" * 200, os.path.join(self.path, "x")):
            self.path = path
            self.assertRaises(CannotListenError, self.listen)

    async def test_stopServer(self) -> None:
        """
        When a server stops, its socket file goes; one that somebody put in its place stays.
        """
        port, protocol = self.listen()
        await port.stopListening()
        self.assertFalse(os.path.exists(self.path))
        self.assertTrue(protocol.stopped)
        port, _ = self.listen()
        os.rename(self.path, self.path + "0")
        with open(self.path, "w") as file:
            file.write("another's")
        await port.stopListening()
        self.assertTrue(os.path.exists(self.path))
        os.unlink(self.path)
        port, _ = self.listen()
        os.unlink(self.path)
        await port.stopListening()

    async def test_stopClient(self) -> None:
        """
        A client's directory is private, and goes when it stops.
        """
        port: Any = unix.openClient(reactor, Recorder())
        directory = os.path.dirname(os.fsdecode(port.getHost().name))
        self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700)
        await port.stopListening()
        self.assertFalse(os.path.exists(directory))

    def test_toPeer(self) -> None:
        """
        A host name is no path.
        """
        port, _ = self.listen()
        self.assertEqual(port.toPeer("/run/x.sock", 5683), "/run/x.sock")
        self.assertRaises(ValueError, port.toPeer, "localhost", 5683)

    async def test_adopt(self) -> None:
        """
        A socket that somebody else bound serves; its file stays when the port stops.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as skt:
            skt.bind(self.path)
            port: Any = unix.adopt(reactor, skt.fileno(), Recorder())
        client, answered = self.openClient()
        client.send(b"?a", self.path)
        await answered.until(lambda: bool(answered.received))
        self.assertEqual(answered.received, [(b"!a", self.path, None)])
        await port.stopListening()
        self.assertTrue(os.path.exists(self.path))

    def test_adoptRefused(self) -> None:
        """
        A socket that is not bound, or of another kind, is refused.
        """
        for family in (socket.AF_UNIX, socket.AF_INET):
            with socket.socket(family, socket.SOCK_DGRAM) as skt:
                self.assertRaises(ValueError, unix.adopt, reactor, skt.fileno(), Recorder())

    async def test_abstract(self) -> None:
        """
        Linux's abstract names, which have no file, are peers too.
        """
        self.path = "\0txcoap-test-" + os.path.basename(self.directory)
        self.listen()
        client, answered = self.openClient()
        client.send(b"?a", self.path)
        await answered.until(lambda: bool(answered.received))
        self.assertEqual(answered.received, [(b"!a", self.path, None)])
        self.assertRaises(CannotListenError, self.listen)

    test_abstract.skip = (  # type: ignore[attr-defined]
        None if os.path.exists("/proc/net/unix") else "only Linux has abstract names"
    )
