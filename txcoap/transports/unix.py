"""
CoAP over Unix datagram sockets, in libcoap's way: UDP's message format (RFC 7252 3), with paths
for addresses. C{coap://%2Frun%2Fx.sock/light} is asked at C{/run/x.sock}.

A datagram is answered at the path that its sender's socket is bound to, so a client needs a path
too: L{openClient} makes a private one. Who may ask a server is decided by the mode of its socket
file; a client can be answered by servers that run as the same user or as root.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import tempfile
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure

from . import sockets
from .ancillary import LocalAddress
from .port import MAX_DATAGRAM, RECEIVE_BUFFER, DatagramPort

__all__ = ["SERVER_MODE", "UnixPort", "adopt", "listenUnix", "openClient"]

SERVER_MODE = 0o660
"""Who may send to a server's socket, unless told otherwise: its user and group."""


class UnixPort(DatagramPort):
    """
    A Unix datagram port which delivers to a L{txcoap.interfaces.IDatagramReceiver}. Peers are paths
    (C{str}; one that begins with a null character is of Linux's abstract namespace).
    """

    addressFamily = socket.AF_UNIX

    # The file we made, and the directory: both go when the port does.
    _bound: tuple[int, int] | None = None
    _directory: str | None = None

    def __init__(
        self,
        path: str,
        protocol: DatagramProtocol,
        maxPacketSize: int = MAX_DATAGRAM,
        reactor: Any = None,
        *,
        mode: int = SERVER_MODE,
        receiveBuffer: int | None = RECEIVE_BUFFER,
    ) -> None:
        """
        @param path: Where to bind. A socket file that nobody listens on any more is replaced.
        @param protocol: A C{DatagramProtocol} that provides L{txcoap.interfaces.IDatagramReceiver}.
        @param maxPacketSize: The longest payload that is accepted, in bytes.
        @param reactor: Provides C{IReactorFDSet} and C{IReactorTime}.
        @param mode: The permission bits of the socket file.
        @param receiveBuffer: At least how many bytes to ask the kernel for; None leaves its
            default.
        """
        if path and not path.startswith("\0"):
            path = os.path.abspath(path)  # a client knows the answer by the path that it asked at
        super().__init__(path, protocol, "", maxPacketSize, reactor)
        self.mode = mode
        self._where = path
        self._receiveBuffer = receiveBuffer

    @classmethod
    def fromSocket(
        cls, reactor: Any, skt: socket.socket, protocol: DatagramProtocol, **options: Any
    ) -> UnixPort:
        """
        Take over a bound Unix datagram socket, which this port closes when it stops. Its file
        stays.

        @param options: As for the port itself.
        @return: A port that does not listen yet.
        @raise ValueError: it is no such socket, or not bound.
        """
        if skt.type != socket.SOCK_DGRAM or skt.family != socket.AF_UNIX:
            raise ValueError(f"not a Unix datagram socket: {skt!r}")
        name = skt.getsockname()
        if not name:
            raise ValueError("the Unix socket is not bound to a path")
        port = cls(os.fsdecode(name), protocol, reactor=reactor, **options)
        port._preexistingSocket = skt
        return port

    def _openSocket(self) -> socket.socket:
        skt = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._bind(skt)
        except (OSError, ValueError) as failure:
            skt.close()
            self._sweep()
            raise CannotListenError(None, self.port, failure) from failure
        return skt

    def _bind(self, skt: socket.socket) -> None:
        path = self.port
        if not path:
            # Linux would choose an abstract name, which any local user may send to.
            raise ValueError("a Unix socket needs a path")
        # Not even for a moment may more users reach it than shall.
        before = os.umask(0o177)
        try:
            try:
                skt.bind(path)
            except OSError as failure:
                if failure.errno != errno.EADDRINUSE or not _isStale(path):
                    raise
                os.unlink(path)
                skt.bind(path)
        finally:
            os.umask(before)
        if not path.startswith("\0"):
            self._bound = _identity(path)
            os.chmod(path, self.mode)

    def _prepare(self, skt: socket.socket) -> None:
        if self._receiveBuffer is not None:
            sockets.growReceiveBuffer(skt, self._receiveBuffer)

    def _readTurn(self) -> None:
        receive = self._receive
        deliver = self.protocol.datagramReceived
        longest = self.maxPacketSize
        # A datagram that fills the extra byte is longer than it may be.
        size = longest + 1
        for turn in range(self.datagramsPerTurn):
            try:
                data, peer = receive(size)
            except OSError as failure:
                if self._nothingToRead(failure, turn):
                    return
                continue
            if len(data) > longest or not peer:
                self._refuse(data)
                continue
            try:
                deliver(data, os.fsdecode(peer))
            except Exception:
                self._deliverFailed()
            if self.disconnecting:
                return

    def send(self, data: bytes, peer: Any, local: LocalAddress | None = None) -> int | None:
        """Send a datagram: see L{ITransport.send}. Nobody listening is C{ECONNREFUSED} or C{ENOENT}."""
        return super().send(data, peer)

    def toPeer(self, host: str, port: int) -> str:
        """
        @return: The path itself.
        @raise ValueError: it is none.
        """
        if not host.startswith(("/", "\0")):
            raise ValueError(f"{host!r} is not the path of a Unix socket: it does not begin with /")
        return host

    def getHost(self) -> UNIXAddress:
        """
        @return: The path that this port is bound to.
        """
        return UNIXAddress(os.fsencode(self._where))

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Close the socket, remove its file and stop the protocol."""
        self._sweep()
        super().connectionLost(reason)

    def _sweep(self) -> None:
        """Remove the file we made, unless somebody has put another in its place, and our directory."""
        bound, self._bound = self._bound, None
        try:
            if bound is not None and _identity(self.port) == bound:
                os.unlink(self.port)
        except OSError:
            # It is gone, or no longer ours to remove.
            self._say(f"could not remove {self._where}")
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _isStale(path: str) -> bool:
    """
    @return: Whether it is a socket file of a process that is gone.
    """
    if path.startswith("\0") or not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            # A stream socket (EPROTOTYPE), or not ours to ask (EACCES): somebody's, in any case.
            return False
    return False


def listenUnix(
    reactor: Any, path: str, protocol: DatagramProtocol, *, mode: int = SERVER_MODE, **options: Any
) -> IListeningPort:
    """
    Listen at a path.

    @param mode: The permission bits of the socket file.
    @param options: L{UnixPort}'s.
    @return: The port, listening.
    @raise CannotListenError: somebody listens there, it is no socket, or the path cannot be made.
    """
    port = UnixPort(path, protocol, reactor=reactor, mode=mode, **options)
    port.startListening()  # type: ignore[no-untyped-call]
    return port


def openClient(reactor: Any, protocol: DatagramProtocol, **options: Any) -> IListeningPort:
    """
    Listen at a path of our own, in a private directory which is removed when the port stops: to
    ask, and be answered.

    @param options: L{UnixPort}'s.
    @return: The port, listening.
    @raise CannotListenError: there is no room for it.
    """
    directory = tempfile.mkdtemp(prefix="txcoap-")
    port = UnixPort(os.path.join(directory, "client"), protocol, reactor=reactor, **options)
    port._directory = directory
    port.startListening()  # type: ignore[no-untyped-call]
    return port


def adopt(reactor: Any, fd: int, protocol: DatagramProtocol, **options: Any) -> IListeningPort:
    """
    Listen on a Unix datagram socket that somebody else bound, such as systemd. The descriptor is
    duplicated: close yours.

    @param options: L{UnixPort}'s.
    @return: The port, listening.
    @raise ValueError: it is no bound Unix datagram socket.
    @raise OSError: it is no open descriptor.
    """
    return sockets.adopt(fd, UnixPort.fromSocket, reactor, protocol, **options)
