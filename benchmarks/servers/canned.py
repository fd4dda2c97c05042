"""
The yardstick: what Twisted itself costs for a datagram in and a datagram out.

A L{DatagramProtocol} under the stock C{reactor.listenUDP} that answers every datagram with the
same bytes, whatever was asked. Its CPU time for each request is what the other servers' is
divided by.

Usage: C{python canned.py PORT}, or C{python canned.py PORT shared} for one of several that share the port.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from twisted.internet.protocol import DatagramProtocol

#: An acknowledgement with 2.05, a 4-byte token, Content-Format 0 and a payload (RFC 7252 3):
#: as long as the answer that a real server gives.
REPLY = b"\x64\x45\x12\x34\x00\x00\x00\x00\xc0\xffHello, world!"


class Canned(DatagramProtocol):
    """
    Answers every datagram with L{REPLY}.
    """

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """
        Answer.
        """
        assert self.transport is not None
        self.transport.write(REPLY, addr)


def main(port: int, isShared: bool) -> None:
    """
    Listen on a port of 127.0.0.1 until the process is ended.
    """
    from twisted.internet import reactor

    listening: Any = reactor
    if isShared:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            skt.bind(("127.0.0.1", port))
            skt.setblocking(False)
            listening.adoptDatagramPort(skt.fileno(), socket.AF_INET, Canned())
    else:
        listening.listenUDP(port, Canned(), interface="127.0.0.1")
    listening.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:] == ["shared"])
