"""
Tests for L{txcoap.endpoints}.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor as _reactor
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from tests.recorders import Recorder
from txcoap import endpoints
from txcoap.endpoints import (
    AdoptedServerEndpoint,
    UDPServerEndpoint,
    UnixServerEndpoint,
    serverFromString,
)
from txcoap.interfaces import IDatagramEndpoint
from txcoap.transports import sockets, unix

reactor: Any = _reactor


class ParserTests(SynchronousTestCase):
    """
    L{serverFromString} reads.
    """

    def test_forms(self) -> None:
        """
        The forms of the module's head, and what they stand for.
        """
        rows: list[tuple[str, Any]] = [
            ("udp", UDPServerEndpoint(None)),
            ("udp:", UDPServerEndpoint(None)),
            ("udp:61616", UDPServerEndpoint(None, 61616)),
            ("udp:0:interface=127.0.0.1", UDPServerEndpoint(None, 0, "127.0.0.1")),
            ("udp:port=5683:interface=127.0.0.1", UDPServerEndpoint(None, 5683, "127.0.0.1")),
            ("udp:interface=127.0.0.1:61616", UDPServerEndpoint(None, 61616, "127.0.0.1")),
            (r"udp:5683:interface=\:\:1", UDPServerEndpoint(None, 5683, "::1")),
            (r"udp:5683:interface=fe80\:\:1%eth0", UDPServerEndpoint(None, 5683, "fe80::1%eth0")),
            (
                "udp:5683:reuseport=1:rcvbuf=4096",
                UDPServerEndpoint(None, reuseport=True, receiveBuffer=4096),
            ),
            ("unix:/run/x.sock", UnixServerEndpoint(None, "/run/x.sock")),
            ("unix:/run/x.sock:mode=600", UnixServerEndpoint(None, "/run/x.sock", 0o600)),
            ("unix:path=/run/x.sock", UnixServerEndpoint(None, "/run/x.sock")),
            (r"unix:/run/a\:b\=c\\d", UnixServerEndpoint(None, "/run/a:b=c\\d")),
            ("fd:3", AdoptedServerEndpoint(None, 3)),
        ]
        for text, expected in rows:
            endpoint = serverFromString(None, text)
            self.assertEqual(endpoint, expected)
            verifyObject(IDatagramEndpoint, endpoint)

    def test_mistakes(self) -> None:
        """
        What cannot be understood is a C{ValueError} that says what is wrong, and shows the right form.
        """
        rows = [
            ("", "fd, systemd, udp, unix"),
            ("tcp:5683", "fd, systemd, udp, unix"),
            ("5683", "fd, systemd, udp, unix"),
            ("udp:coap", "'coap' is not a number"),
            ("udp:65536", "not between 0 and 65535"),
            ("udp:-1", "not between 0 and 65535"),
            ("udp:5683:127.0.0.1", "'127.0.0.1' needs a name"),
            ("udp:5683:interface=::1", r"interface=\:\:1"),
            ("udp:5683:interface=localhost", "'localhost' is not an IPv4 or IPv6 address"),
            ("udp:5683:host=127.0.0.1", "there is no 'host'"),
            ("udp:5683:port=5684", "port is given twice"),
            ("udp:5683:reuseport=maybe", "'maybe' is neither 1 nor 0"),
            ("udp:5683\\", "backslash"),
            ("unix:", "path is missing"),
            ("unix:path=", "the path is empty"),
            ("unix:/x:mode=999", "'999' is not a number"),
            ("unix:/x:mode=7777", "not between 0 and 777"),
            ("fd", "fd is missing"),
            ("systemd:", "a name or an index"),
            ("systemd:index=0:name=x", "a name or an index"),
        ]
        for text, expected in rows:
            failure = self.assertRaises(ValueError, serverFromString, None, text)
            self.assertIn(expected, str(failure))

    @settings(deadline=None, max_examples=200, derandomize=True)
    @given(st.text("udpnixfsystem:=\\0123456789ace.é ", max_size=40))
    def test_anything(self, text: str) -> None:
        """
        Whatever is written, there is an endpoint or a C{ValueError}.
        """
        try:
            serverFromString(None, text)
        except ValueError as failure:
            self.assertIn("cannot listen on", str(failure))

    def test_systemd(self) -> None:
        """
        A socket unit's sockets are had by name or by number; a missing one is named.
        """
        self.assertIn(
            "passed no sockets",
            str(self.assertRaises(ValueError, serverFromString, None, "systemd:name=a")),
        )
        environment = {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": "2",
            "LISTEN_FDNAMES": "coap.socket:other",
        }
        self.patch(endpoints, "_inherited", ListenFDs.fromEnvironment(environment))
        for text, fd in (
            ("systemd:name=other", 4),
            ("systemd:index=0", 3),
            ("systemd:domain=INET6:index=1", 4),
        ):
            self.assertEqual(serverFromString(None, text), AdoptedServerEndpoint(None, fd))
        for text, expected in (
            ("systemd:name=x", "coap.socket, other"),
            ("systemd:index=2", "2 sockets"),
        ):
            failure = self.assertRaises(ValueError, serverFromString, None, text)
            self.assertIn(expected, str(failure))


class Builder:
    """
    Something with C{buildProtocol}, as a site is.
    """

    def __init__(self) -> None:
        self.built: list[tuple[Any, Recorder]] = []

    def buildProtocol(self, reactor: Any) -> Recorder:
        """
        Build, and keep what was built with which reactor.
        """
        protocol = Recorder()
        self.built.append((reactor, protocol))
        return protocol


class ListenTests(TestCase):
    """
    Endpoints listen.
    """

    timeout = 10

    async def listen(self, description: str, site: Any = None) -> Any:
        """
        @return: a port that is stopped with the test.
        """
        site = Recorder() if site is None else site
        port: Any = await serverFromString(reactor, description).listen(site)
        self.addCleanup(port.stopListening)
        self.assertTrue(IListeningPort.providedBy(port))
        return port

    async def check(self, port: Any, where: Any) -> None:
        """
        Ask the port that answers there.
        """
        if isinstance(where, str):
            client: Any = unix.openClient(reactor, Recorder())
            self.addCleanup(client.stopListening)
        else:
            client = await self.listen("udp:0:interface=127.0.0.1")
        client.send(b"?a", where)
        await client.protocol.until(lambda: bool(client.protocol.received))
        self.assertEqual(client.protocol.payloads, [b"!a"])

    async def test_udp(self) -> None:
        """
        Port 0 is any that is free, and the protocol is the port's.
        """
        protocol = Recorder()
        port = await self.listen("udp:0:interface=127.0.0.1", protocol)
        self.assertIs(port.protocol, protocol)
        await self.check(port, ("127.0.0.1", port.getHost().port))

    async def test_everywhere(self) -> None:
        """
        Without an interface, all of IPv4 is heard, and IPv6 where there is any.
        """
        port = await self.listen("udp:0")
        await self.check(port, ("127.0.0.1", port.getHost().port))

    async def test_withoutIPv6(self) -> None:
        """
        Where there is no IPv6, C{udp:5683} is all of IPv4.
        """
        original = sockets.openUDP

        def withoutIPv6(family: int, *arguments: Any, **options: Any) -> socket.socket:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "no IPv6")
            return original(family, *arguments, **options)

        self.patch(sockets, "openUDP", withoutIPv6)
        port = await self.listen("udp:0")
        self.assertEqual(port.getHost().host, "0.0.0.0")

    async def test_site(self) -> None:
        """
        A site builds the protocol, with the reactor.
        """
        site = Builder()
        port = await self.listen("udp:0:interface=127.0.0.1", site)
        self.assertEqual(site.built, [(reactor, port.protocol)])

    async def test_inUse(self) -> None:
        """
        A port in use fails the Deferred; C{reuseport} on both sides shares it.
        """
        port = await self.listen("udp:0:interface=127.0.0.1")
        taken = f"udp:{port.getHost().port}:interface=127.0.0.1"
        await self.assertFailure(serverFromString(reactor, taken).listen(Recorder()), CannotListenError)
        await self.assertFailure(
            serverFromString(reactor, f"udp:{port.getHost().port}").listen(Recorder()),
            CannotListenError,
        )
        shared = await self.listen("udp:0:interface=127.0.0.1:reuseport=1")
        number = shared.getHost().port
        await self.listen(f"udp:{number}:interface=127.0.0.1:reuseport=1")

    async def test_unix(self) -> None:
        """
        A Unix socket, with its mode.
        """
        directory = tempfile.mkdtemp(prefix="txcoap-test-")
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "s")
        port = await self.listen(f"unix:{path}:mode=600")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        await self.check(port, path)

    async def test_adopted(self) -> None:
        """
        C{fd:} and C{systemd:} take what they find: UDP or Unix.
        """
        with sockets.openUDP(socket.AF_INET, "127.0.0.1", 0) as skt:
            port = await self.listen(f"fd:{skt.fileno()}")
            where = skt.getsockname()
        await self.check(port, where)
        directory = tempfile.mkdtemp(prefix="txcoap-test-")
        self.addCleanup(shutil.rmtree, directory)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as skt:
            skt.bind(os.path.join(directory, "s"))
            port = await self.listen(f"fd:{skt.fileno()}")
            path = skt.getsockname()
        await self.check(port, path)

    async def test_notAdopted(self) -> None:
        """
        A descriptor that is closed, or no bound datagram socket, fails the Deferred.
        """
        readEnd, writeEnd = os.pipe()
        self.addCleanup(os.close, readEnd)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            for fd in (stream.fileno(), writeEnd):
                listening = serverFromString(reactor, f"fd:{fd}").listen(Recorder())
                await self.assertFailure(listening, CannotListenError)
        os.close(writeEnd)
        listening = serverFromString(reactor, f"fd:{writeEnd}").listen(Recorder())
        await self.assertFailure(listening, CannotListenError)
