"""
The yardstick of the clients: what Twisted itself costs when answers are matched to requests.

A L{DatagramProtocol} that sends the same confirmable GET each time under another message ID and token, and
finds the Deferred that waits for an answer by its token. It repeats nothing, remembers nothing and takes no
option apart.

Usage: C{python asking_twisted.py PORT}
"""

from __future__ import annotations

import sys
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import react

from benchmarks.clients.asking import obey

_PATH = b"\xb5hello"


class Bare(DatagramProtocol):
    """
    Requests and their answers.
    """

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._numbers = count(1)
        self._waiting: dict[bytes, Deferred[bytes]] = {}

    def ask(self) -> Deferred[bytes]:
        """
        Ask once.
        """
        assert self.transport is not None
        number = next(self._numbers)
        token = number.to_bytes(4, "big")
        waiting = self._waiting[token] = Deferred()
        data = b"\x44\x01" + (number & 0xFFFF).to_bytes(2, "big") + token + _PATH
        self.transport.write(data, self._server)
        return waiting

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """
        Find who waits for it.
        """
        waiting = self._waiting.pop(datagram[4:8], None)
        if waiting is not None:
            waiting.callback(datagram[8:].partition(b"\xff")[2])


async def main(reactor: Any, port: str) -> None:
    """
    Ask as told.
    """
    protocol = Bare(int(port))
    reactor.listenUDP(0, protocol, interface="127.0.0.1")
    await obey(protocol.ask, lambda chains: gatherResults([Deferred.fromCoroutine(each) for each in chains]))


if __name__ == "__main__":
    react(main, sys.argv[1:])
