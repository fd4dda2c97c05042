"""
Faults of what stands around txcoap: what users give it, the clock, the network and the system. None of them
may end a server or a client, or anything that they do not concern.

Render methods that raise, never finish, return rubbish or finish twice are in L{tests.test_server} and
L{tests.test_answers}; errors of sockets, in L{tests.test_udp}; of names, in L{tests.test_names}.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.python import runtime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.wire import CLIENT, SERVER, TEXT, AgentTestCase, Answering, Peer, ServerTestCase, Wire
from txcoap.client import Agent
from txcoap.clocks import StepWatch, clockOf, openTimer
from txcoap.codes import Code
from txcoap.errors import NoAcknowledgement, SocketClosed, Unreachable
from txcoap.interfaces import ISite
from txcoap.linkformat import parse
from txcoap.message import Request as Message
from txcoap.observe import ObservableResource
from txcoap.options import Options
from txcoap.protocol import CoAPProtocol
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON
from txcoap.server import Site
from txcoap.transports import sockets, udp

HOUR = 3600.0


class UserTests(ServerTestCase):
    """What users give a server, and that fails."""

    def test_trace(self) -> None:
        """A trace that raises changes nothing, and does not fill the log."""
        self.serve(Answering(lambda request: b"served"))

        def fail(*seen: Any) -> None:
            raise ValueError("scripted")

        self.protocol.trace = fail
        for _ in range(100):
            self.assertEqual(self.answerTo().payload, b"served")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 10)

    def test_accessLog(self) -> None:
        """Nor does an access log."""

        def fail(*seen: Any) -> None:
            raise ValueError("scripted")

        self.serve(Answering(lambda request: b"served"), accessLog=fail)
        for _ in range(100):
            self.assertEqual(self.answerTo().payload, b"served")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 10)

    def test_site(self) -> None:
        """A request on which a site itself raises is answered 5.00; the next one is served."""

        @implementer(ISite)
        class Failing:
            def requestReceived(self, protocol: Any, exchange: Any) -> None:
                if exchange.token == b"bad":
                    raise ValueError("scripted")
                protocol.respond(exchange, Code.CONTENT, exchange.options, b"good")

            def groupRequestReceived(self, protocol: Any, exchange: Any) -> None:
                raise ValueError("scripted")

            def socketOpened(self, protocol: Any) -> None: ...

            def socketClosed(self, protocol: Any) -> None: ...

        self.serve(Resource())
        self.protocol.site = Failing()
        self.assertEqual(self.answerTo(token=b"bad").code, Code.INTERNAL_SERVER_ERROR)
        self.assertEqual(self.answerTo(token=b"ok").payload, b"good")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_getLinks(self) -> None:
        """A resource that cannot name its links does not hide the others."""

        class Hidden(Resource):
            def getLinks(self, path: str) -> Iterator[Any]:
                raise ValueError("scripted")

        root = Resource()
        for name in ("a", "b", "c"):
            root.putChild(name, Hidden() if name == "b" else Answering(lambda request: b""))
        self.serve(root)
        answer = self.answerTo(path=".well-known/core")
        self.assertEqual([each.target for each in parse(answer.payload.decode())], ["/a", "/c"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_negotiateNothing(self) -> None:
        """To negotiate between no formats is the method's mistake, and says so."""
        self.serve(Answering(lambda request: request.negotiate() and b""))
        self.assertEqual(self.answerTo().code, Code.INTERNAL_SERVER_ERROR)
        (failure,) = self.flushLoggedErrors(TypeError)
        self.assertIn("negotiate takes", failure.getErrorMessage())

    def test_observerLeft(self) -> None:
        """What a method writes, tells or finishes after its observer left is lost without an error."""
        requests: list[Request] = []

        def keep(request: Request) -> int:
            requests.append(request)
            request.notify(b"first")
            return NOT_DONE_YET

        self.serve(Answering(keep))
        self.ask(observe=0)
        self.ask(observe=1)
        self.peer.take()
        request = requests[0]
        request.write(b"late")
        request.notify(b"late")
        request.finish()
        self.assertEqual(self.peer.take(), [])

    def test_closingObserver(self) -> None:
        """An observable resource whose socket is closed by its own method goes on."""

        class Closing(ObservableResource):
            isLeaf = True
            socket: Any = None

            def render_GET(self, request: Request) -> bytes:
                if self.socket is not None:
                    self.socket.stopListening()
                return b"state"

        resource = Closing()
        self.serve(resource)
        self.ask(observe=0)
        resource.socket = self.socket
        resource.notifyObservers()
        self.assertEqual(resource.observerCount, 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class SteppingReactor(Clock):
    """
    A reactor whose clock is set: its delayed calls go by the time of day, as those of Twisted's reactors do.

    @ivar steady: The time that has passed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steady = 0.0
        self.wire = Wire(self)

    def pass_(self, seconds: float) -> None:
        """Let time pass, by small steps."""
        for _ in range(round(seconds * 20)):
            self.steady += 0.05
            self.advance(0.05)

    def step(self, seconds: float) -> None:
        """Set the clock, forward or back."""
        self.rightNow += seconds
        self.advance(0)

    def open(self, protocol: CoAPProtocol, address: Any) -> Any:
        """Open a socket for a protocol that goes by what has passed."""
        protocol.now = lambda: self.steady
        return self.wire.open(protocol, address)


class ClockTests(SynchronousTestCase):
    """A clock that is set while something is under way."""

    def setUp(self) -> None:
        """A client, and a peer that hears it."""
        self.reactor = SteppingReactor()
        self.wire = self.reactor.wire
        self.protocol = CoAPProtocol(None, self.reactor, chance=Random(3))
        self.reactor.open(self.protocol, CLIENT)
        self.peer = Peer(self.wire, SERVER, CLIENT)

    def test_monotonic(self) -> None:
        """Real reactors go by the system's time, protocols on them by what has passed."""
        from twisted.internet import reactor

        self.assertIs(reactor.seconds, runtime.seconds)
        now = CoAPProtocol(None, reactor).now
        self.assertIsNot(now, runtime.seconds)
        self.assertLess(abs(now() - clockOf(reactor)()), 5)
        clock = Clock()
        self.assertEqual(clockOf(clock), clock.seconds)

    def test_forward(self) -> None:
        """Set forward by an hour, a request is neither repeated nor given up before its time (4.2)."""
        asking = self.protocol.request(Message(Code.GET), SERVER)
        self.reactor.step(HOUR)
        self.assertEqual(len(self.peer.take()), 1)
        self.reactor.pass_(1.9)
        self.assertEqual(self.peer.take(), [])
        self.reactor.pass_(1.2)
        self.assertEqual(len(self.peer.take()), 1)
        self.assertNoResult(asking)
        self.reactor.pass_(100)
        self.failureResultOf(asking, NoAcknowledgement)
        self.assertEqual(len(self.peer.take()), 3)

    def test_back(self) -> None:
        """Set back by an hour, a request is repeated, and given up, in its time."""
        asking = self.protocol.request(Message(Code.GET), SERVER)
        self.wire.settle()
        self.reactor.step(-HOUR)
        self.protocol.clockStepped()
        self.reactor.pass_(100)
        self.failureResultOf(asking, NoAcknowledgement)
        self.assertEqual(len(self.peer.take()), 5)

    def test_told(self) -> None:
        """Whoever wants to know is told that the clock was set, each time, until they do not any more."""
        from twisted.internet import reactor

        pipes: list[tuple[int, int]] = []

        def open_() -> int:
            pipes.append(os.pipe())
            self.addCleanup(os.close, pipes[-1][1])
            return pipes[-1][0]

        watch = StepWatch(reactor, open_)
        told: list[int] = []
        forget = [watch.add(partial(told.append, number)) for number in (1, 2)]
        for expected in ([1, 2], [1, 2, 1, 2]):
            os.write(pipes[-1][1], bytes(8))
            watch.doRead()
            self.assertEqual(told, expected)
        forget[0]()
        os.write(pipes[-1][1], bytes(8))
        watch.doRead()
        self.assertEqual(told, [1, 2, 1, 2, 2])
        forget[1]()
        self.assertNotIn(watch, reactor.getReaders())
        self.assertEqual(watch.fileno(), -1)

    def test_inVain(self) -> None:
        """Where the reactor is wrong, and nothing has happened, nobody is told, and the watch goes on."""
        from twisted.internet import reactor

        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        os.set_blocking(reading, False)
        watch = StepWatch(reactor, lambda: reading)
        told: list[int] = []
        forget = watch.add(partial(told.append, 1))
        watch.doRead()
        self.assertEqual((told, watch.fileno()), ([], reading))
        forget()

    def test_leftMeanwhile(self) -> None:
        """Who is told may have another not be told any more; without a new timer the watch is over."""
        from twisted.internet import reactor

        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        timers = [None, reading]
        watch = StepWatch(reactor, timers.pop)
        told: list[int] = []
        forget = [watch.add(lambda: forget[1]()), watch.add(partial(told.append, 2))]
        os.write(writing, bytes(8))
        watch.doRead()
        self.assertEqual((told, watch.fileno()), ([], -1))
        forget[0]()

    def test_timer(self) -> None:
        """Linux has a timer that tells; nothing is to be read from it while the clock is not set."""
        fd = openTimer()
        if fd is None:
            self.assertFalse(sys.platform.startswith("linux"))
            return
        self.addCleanup(os.close, fd)
        self.assertRaises(BlockingIOError, os.read, fd, 8)

    def test_untold(self) -> None:
        """Where there is no such timer nothing is watched."""
        from twisted.internet import reactor

        before = list(reactor.getReaders())
        watch = StepWatch(reactor, lambda: None)
        forget = watch.add(lambda: None)
        self.assertEqual(reactor.getReaders(), before)
        forget()

    def test_duplicates(self) -> None:
        """A repeated request is known, whatever the clock was set to meanwhile; no ID is used again."""
        rendered: list[Request] = []

        def render(request: Request) -> bytes:
            rendered.append(request)
            return b"done"

        server = CoAPProtocol(None, self.reactor, chance=Random(4))
        server.site = Site(Answering(render))
        self.reactor.open(server, ("192.0.2.3", 5683))
        peer = Peer(self.wire, ("192.0.2.4", 1000), ("192.0.2.3", 5683))
        for seconds in (0, HOUR, -2 * HOUR):
            self.reactor.step(seconds)
            peer.send(CON, Code.POST, 77, b"t")
        self.assertEqual(len(rendered), 1)
        self.assertEqual(len({each.payload for each in peer.take()}), 1)
        self.reactor.pass_(1)
        self.assertEqual(server.sizes()["remembered"], 1)

    def test_numbers(self) -> None:
        """Notifications are numbered by the time of day at first, and never backwards (RFC 7641 4.4)."""

        class State(ObservableResource):
            isLeaf = True

            def render_GET(self, request: Request) -> bytes:
                return b"state"

        self.reactor.step(1000 * HOUR)
        state = State()
        server = Site(state).buildProtocol(self.reactor)
        self.reactor.open(server, ("192.0.2.3", 5683))
        peer = Peer(self.wire, ("192.0.2.4", 1000), ("192.0.2.3", 5683))
        peer.send(NON, Code.GET, None, b"t", Options(observe=0))
        numbers = [peer.takeOne().options.observe]
        for seconds in (HOUR, -HOUR, -HOUR):
            self.reactor.pass_(10)
            self.reactor.step(seconds)
            state.notifyObservers()
            self.reactor.advance(0)
            (told,) = peer.take()
            numbers.append(told.options.observe)
        self.assertEqual(numbers, sorted(set(numbers)), numbers)


class StoppedTests(ServerTestCase):
    """A reactor that stops, or sockets that close, with everything open."""

    def test_everythingOpen(self) -> None:
        """Nothing is raised, nothing is left, and no Deferred's failure is nobody's."""
        self.serve(Answering(lambda request: NOT_DONE_YET))
        self.ask(token=b"1")
        self.ask(token=b"2", observe=0)
        agent = Agent(self.reactor, protocol=self.protocol)
        asked = [agent.get(f"coap://{CLIENT[0]}:{CLIENT[1]}/{number}") for number in range(3)]
        asked.append(agent.observe(f"coap://{CLIENT[0]}:{CLIENT[1]}/o"))
        asked.append(agent.ping(f"coap://{CLIENT[0]}:{CLIENT[1]}"))
        self.reactor.elapse(3)
        self.socket.stopListening()
        for each in asked:
            self.failureResultOf(each, SocketClosed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(), [])


class SystemTests(AgentTestCase):
    """What the system refuses."""

    def test_noDescriptors(self) -> None:
        """Where no socket can be opened (EMFILE) a request fails with that; later ones succeed."""
        self.reactor.refusals["0.0.0.0"] = errno.EMFILE
        failure = self.failureResultOf(self.agent.get(TEXT), CannotListenError)
        self.assertEqual(failure.value.socketError.errno, errno.EMFILE)
        del self.reactor.refusals["0.0.0.0"]
        asking = self.agent.get(TEXT)
        self.reply(payload=b"later")
        self.assertEqual(self.successResultOf(asking).payload, b"later")

    def test_sendErrors(self) -> None:
        """What cannot be sent fails its own request at once, and no other."""
        for number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EPERM):
            other = self.agent.get(TEXT)
            self.wire.errors["192.0.2.66"] = number
            failure = self.failureResultOf(self.agent.get("coap://192.0.2.66/"), Unreachable)
            self.assertEqual(failure.value.errno, number)
            self.reply(payload=b"fine")
            self.assertEqual(self.successResultOf(other).payload, b"fine")

    def test_returnedStorm(self) -> None:
        """Errors of the network that concern nothing of ours change nothing (RFC 7252 4.2)."""
        asking = self.agent.get(TEXT)
        asked = self.peer.takeOne()
        (ours,) = self.ours()
        protocol = self.wire.sockets[ours].protocol
        chance = Random(5)
        for _ in range(2000):
            protocol.datagramUnreachable(chance.randbytes(chance.randrange(40)), SERVER, errno.ECONNREFUSED)
        protocol.turnEnded()
        self.peer.send(ACK, Code.CONTENT, asked.messageID, asked.token, payload=b"there")
        self.assertEqual(self.successResultOf(asking).payload, b"there")

    def test_socketRefused(self) -> None:
        """A server's port that cannot be opened for want of descriptors says so."""

        def refuse(*where: Any, **how: Any) -> Any:
            raise OSError(errno.EMFILE, "scripted")

        self.patch(sockets, "openUDP", refuse)
        from twisted.internet import reactor

        error = self.assertRaises(
            CannotListenError, udp.listenUDP, reactor, 0, CoAPProtocol(None, reactor), "127.0.0.1"
        )
        self.assertEqual(error.socketError.errno, errno.EMFILE)

    def test_rangeRefused(self) -> None:
        """A range that is none is refused by name, before anything is sent."""
        for start, length in ((-16, 16), (-1, None), (0, 0), (16, -1)):
            failure = self.failureResultOf(self.agent.get(TEXT, byteRange=(start, length)), ValueError)
            self.assertIn("a range is", failure.getErrorMessage())
        self.assertEqual(self.peer.take(), [])
