"""
Tests for L{txcoap.sansio.clients}: clients that are known by another name than their address; and for which
non-confirmable requests a site answers.
"""

from __future__ import annotations

import socket
from collections.abc import Hashable
from random import Random
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.wire import CLIENT, Answering, Keeping, Peer, ServerTestCase
from txcoap.block import Block
from txcoap.codes import Code
from txcoap.endpoints import serverFromString
from txcoap.limits import Limits
from txcoap.observe import ObservableResource
from txcoap.options import Options
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.request import Request
from txcoap.sansio.clients import NamingMessaging
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, decode, encode
from txcoap.server import Site

ELSEWHERE = (CLIENT[0], 40001)
ANOTHER = ("192.0.2.66", 40000)


def byHost(peer: Any, options: Options) -> Hashable:
    """All ports of a host are one client."""
    host: str = peer[0]
    return host


def byName(peer: Any, options: Options) -> Hashable:
    """A client says its name in the query."""
    return next((each for each in options.uriQuery if each.startswith("ep=")), None)


class NamedTests(ServerTestCase):
    """C{Site(clientOf=…)}."""

    def setUp(self) -> None:
        """Count what runs; a second address of the client, and another client."""
        super().setUp()
        self.ran: list[Request] = []
        self.moved = Peer(self.wire, ELSEWHERE)
        self.other = Peer(self.wire, ANOTHER)

    def run_(self, request: Request) -> bytes:
        """Something that must not run twice."""
        self.ran.append(request)
        return b"%d" % len(self.ran)

    def post(self, peer: Peer, messageID: int = 7, **how: Any) -> Datagram:
        """One POST, and its answer."""
        options = Options(uriPath=("x",), **how)
        peer.send(CON, Code.POST, messageID, b"t", options, b"p")
        return peer.takeOne()

    def test_moved(self) -> None:
        """A message that comes again from another port is a duplicate, and the reply goes there."""
        self.serve(Answering(self.run_), clientOf=byHost)
        first, again = self.post(self.peer), self.post(self.moved)
        self.assertEqual((first.payload, again.payload), (b"1", b"1"))
        self.assertEqual(len(self.ran), 1)
        self.assertEqual(self.ran[0].peer, CLIENT)
        self.assertEqual(type(self.ran[0].peer), tuple)
        self.assertEqual(self.post(self.other).payload, b"2")

    def test_byDefault(self) -> None:
        """Without C{clientOf} it is a message of another client (RFC 7252 4.5)."""
        self.serve(Answering(self.run_))
        self.assertEqual([self.post(each).payload for each in (self.peer, self.moved)], [b"1", b"2"])

    def test_byOptions(self) -> None:
        """A name that the client tells is the same from any host; who tells none goes by the address."""
        self.serve(Answering(self.run_), clientOf=byName)
        for peer in (self.peer, self.other, self.moved):
            self.assertEqual(self.post(peer, uriQuery=("ep=a",)).payload, b"1")
        self.assertEqual(self.post(self.peer, uriQuery=("ep=b",)).payload, b"2")
        self.assertEqual([self.post(each).payload for each in (self.peer, self.moved)], [b"3", b"4"])

    def test_safe(self) -> None:
        """So it is with a GET."""
        self.serve(Answering(self.run_), clientOf=byHost)
        for peer in (self.peer, self.moved):
            peer.send(CON, Code.GET, 5, b"t", Options(uriPath=("x",)))
            self.assertEqual(peer.takeOne().payload, b"1")

    def test_upload(self) -> None:
        """A body in blocks goes on from another port."""
        bodies: list[bytes] = []
        self.serve(Answering(lambda request: bodies.append(request.payload)), clientOf=byHost)
        for number, peer, more in ((0, self.peer, True), (1, self.moved, True), (2, self.peer, False)):
            options = Options(uriPath=("x",), block1=Block(number, more, 0))
            peer.send(CON, Code.PUT, 50 + number, b"t", options, bytes([65 + number]) * 16)
            code = peer.takeOne().code
            self.assertEqual(code, Code.CONTINUE if more else Code.CHANGED)
        self.assertEqual(bodies, [b"A" * 16 + b"B" * 16 + b"C" * 16])

    def test_uploadByDefault(self) -> None:
        """Without C{clientOf} it does not: 4.08 (RFC 7959 2.4)."""
        self.serve(Answering(lambda request: None))
        for number, peer, code in ((0, self.peer, Code.CONTINUE), (1, self.moved, 0x88)):
            options = Options(uriPath=("x",), block1=Block(number, True, 0))
            peer.send(CON, Code.PUT, 50 + number, b"t", options, bytes(16))
            self.assertEqual(peer.takeOne().code, code)

    def test_download(self) -> None:
        """So does one that is fetched: later blocks are of the representation that the first came from."""
        self.serve(Answering(lambda request: self.run_(request) * 64), clientOf=byHost)
        parts = b""
        for number, peer in enumerate((self.peer, self.moved, self.peer, self.moved)):
            options = Options(uriPath=("x",), block2=Block(number, False, 0))
            peer.send(CON, Code.GET, 60 + number, b"t", options)
            parts += peer.takeOne().payload
        self.assertEqual(parts, b"1" * 64)

    def test_state(self) -> None:
        """So does a state that an observer was told the first block of."""
        renderings: list[bytes] = []

        class Large(ObservableResource):
            isLeaf = True

            def render_GET(self, request: Request) -> bytes:
                renderings.append(b"%d" % len(renderings) * 40)
                return renderings[-1]

        resource = Large()
        self.serve(resource, clientOf=byHost, blockSize=16)
        path = Options(uriPath=("x",))
        self.peer.send(CON, Code.GET, 1, b"t", path.evolve(observe=0))
        self.assertEqual(self.peer.takeOne().payload, b"0" * 16)
        resource.notifyObservers()
        notified = self.peer.takeOne()
        self.peer.sendEmpty(ACK, notified.messageID)
        self.assertEqual(notified.payload, b"1" * 16)
        for number, size in ((1, 16), (2, 8)):
            self.moved.send(CON, Code.GET, 70 + number, b"u", path.evolve(block2=Block(number, False, 0)))
            self.assertEqual(self.moved.takeOne().payload, b"1" * size)
        self.assertEqual(len(renderings), 2)

    def test_later(self) -> None:
        """What is answered later goes to where the request came from, and is acknowledged from there."""
        kept = Keeping()
        self.serve(kept, clientOf=byHost)
        for peer, messageID in ((self.peer, 1), (self.moved, 2)):
            peer.send(CON, Code.GET, messageID, b"t%d" % messageID, Options(uriPath=("x",)))
            self.reactor.elapse(0.1)
            self.assertEqual(peer.takeOne().code, Code.EMPTY)
        for request, peer in zip(kept.requests, (self.peer, self.moved), strict=True):
            request.finish()
            answer = peer.takeOne()
            self.assertEqual(answer.type, CON)
            peer.sendEmpty(ACK, answer.messageID)
        self.assertForgets()

    def test_mistakes(self) -> None:
        """A function that fails, or names what has no hash, is logged; the request goes by its address."""
        for clientOf in (lambda peer, options: 1 // 0, lambda peer, options: [peer]):
            self.serve(Answering(self.run_), clientOf=clientOf)
            self.ran.clear()
            self.assertEqual([self.post(each).payload for each in (self.peer, self.moved)], [b"1", b"2"])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, TypeError)), 2)
            self.socket.stopListening()

    def test_noRequests(self) -> None:
        """What is no request has no name: a ping, an answer to nothing, what is malformed."""
        asked: list[Any] = []
        self.serve(Answering(self.run_), clientOf=lambda peer, options: asked.append(peer))
        self.peer.sendBytes(b"\x40\x00\x00\x01")
        self.assertEqual(self.peer.takeOne().type, RST)
        self.peer.sendBytes(b"\x40\x45\x00\x02")
        self.assertEqual(self.peer.takeOne().type, RST)
        self.peer.sendBytes(b"\x41\x01\x00\x03")
        self.assertEqual(self.peer.takeOne().type, RST)
        self.peer.sendBytes(b"\x01")
        self.assertEqual(self.peer.take(), [])
        self.assertEqual(asked, [])

    def test_notUnderstood(self) -> None:
        """A critical option that is not understood is refused as ever (RFC 7252 5.4.1)."""
        self.serve(Answering(self.run_), clientOf=byHost)
        self.peer.send(CON, Code.GET, 9, b"t", Options.fromPairs([(65001, b"")]))
        self.assertEqual(self.peer.takeOne().code, Code.BAD_OPTION)
        self.assertForgets()

    def test_paths(self) -> None:
        """Who is known by a path, as over a Unix socket, is not asked for another name."""
        asked: list[Any] = []
        machine = NamingMessaging(
            DEFAULT_PARAMETERS,
            Limits(),
            Random(1),
            lambda peer: None,
            lambda peer, options: asked.append(peer),
        )
        for peer in ("/run/x.sock", CLIENT):
            machine.receiveDatagram(encode(CON, Code.GET, 1, b"t"), peer, None, 0.0)
        self.assertEqual(asked, [CLIENT])

    def test_full(self) -> None:
        """Limits hold, and all is forgotten in time."""
        self.serve(Answering(self.run_), clientOf=byName, limits=Limits(rememberedBytes=2000))
        codes = set()
        for number in range(50):
            codes.add(self.post(self.peer, number, uriQuery=(f"ep={number}",)).code)
        self.assertIn(Code.SERVICE_UNAVAILABLE, codes)
        self.assertTrue(self.protocol.sizes()["rememberedBytes"] <= 2000)
        self.assertForgets()


class NonConfirmableTests(ServerTestCase):
    """C{Site(answersNonConfirmable=…)}."""

    def setUp(self) -> None:
        """Note what runs."""
        super().setUp()
        self.ran: list[str] = []

    def root(self) -> Answering:
        """It runs, and has something to say."""

        def answer(request: Request) -> bytes:
            self.ran.append(request.path)
            return b"x"

        return Answering(answer)

    def ask_(self, type: Any, path: str, **how: Any) -> list[Datagram]:
        """Ask; what comes back."""
        self.ask(Code.GET, path, type=type, **how)
        return self.peer.take()

    def test_all(self) -> None:
        """By default all are answered."""
        self.serve(self.root())
        self.assertEqual([each.type for each in self.ask_(NON, "a")], [NON])

    def test_none(self) -> None:
        """False: what they ask is done, and not answered; confirmable ones are."""
        self.serve(self.root(), answersNonConfirmable=False)
        self.assertEqual(self.ask_(NON, "a"), [])
        self.assertEqual(self.ask_(NON, "missing", uriQuery=("x",)), [])
        self.assertEqual(self.ran, ["/a", "/missing"])
        self.assertEqual([each.type for each in self.ask_(CON, "b")], [ACK])
        self.assertForgets()

    def test_errors(self) -> None:
        """Errors are not told either."""

        def fail(request: Request) -> bytes:
            raise KeyError

        self.serve(Answering(fail), answersNonConfirmable=False)
        self.assertEqual(self.ask_(NON, "a"), [])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_some(self) -> None:
        """A function tells which."""

        def answers(peer: Any, options: Options) -> bool:
            return options.uriPath == ("a",)

        self.serve(self.root(), answersNonConfirmable=answers)
        self.assertEqual(len(self.ask_(NON, "a")), 1)
        self.assertEqual(self.ask_(NON, "b"), [])

    def test_mistake(self) -> None:
        """If the function fails, that is logged, and the request answered."""
        self.serve(self.root(), answersNonConfirmable=lambda peer, options: 1 // 0)
        self.assertEqual(len(self.ask_(NON, "a")), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_upload(self) -> None:
        """Blocks are taken without a word."""
        self.serve(self.root(), answersNonConfirmable=False)
        for number in range(3):
            self.ask(Code.PUT, "a", bytes(16), NON, b"%d" % number, block1=Block(number, number < 2, 0))
        self.assertEqual(self.peer.take(), [])
        self.assertEqual(self.ran, ["/a"])


class LoopbackTests(TestCase):
    """Over real sockets."""

    async def test_moved(self) -> None:
        """A client behind a NAT repeats a POST from another port: it runs once."""
        ran: list[Any] = []

        def run(request: Request) -> bytes:
            ran.append(request.getClientAddress())
            return b"done"

        reactor: Any = _reactor
        site = Site(Answering(run), clientOf=byHost)
        port: Any = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(site)
        self.addCleanup(port.stopListening)

        def ask(data: bytes) -> bytes:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
                skt.settimeout(5)
                skt.sendto(data, ("127.0.0.1", port.getHost().port))
                return skt.recv(100)

        message = encode(CON, Code.POST, 5, b"t")
        replies = [await deferToThread(ask, message) for _ in range(3)]
        self.assertEqual({decode(each).payload for each in replies}, {b"done"})
        self.assertEqual(len(ran), 1)
