"""
Tests for L{txcoap.closing}, and for how a service stops while something is under way.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol

from tests.wire import SERVER, Answering, Peer, ServerTestCase
from txcoap.closing import windDown
from txcoap.codes import Code
from txcoap.errors import RequestError, SocketClosed
from txcoap.message import Response
from txcoap.observe import ObservableResource
from txcoap.options import Options
from txcoap.protocol import CoAPProtocol
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, Datagram
from txcoap.server import Site
from txcoap.service import CoAPService

HERE = "udp:5683:interface=192.0.2.1"


class Clock(ObservableResource):
    """Can be observed."""

    def render_GET(self, request: Request) -> str:
        return "now"


class Sink(Protocol):
    """Takes a body, and notes its end."""

    ended: Any = None

    def dataReceived(self, data: bytes) -> None:
        pass

    def connectionLost(self, reason: Any = None) -> None:
        self.ended = reason


class Inbox(Resource):
    """Takes bodies as they come."""

    def __init__(self) -> None:
        self.sinks: list[Sink] = []

    def openBody(self, request: Request) -> Sink:
        self.sinks.append(Sink())
        return self.sinks[-1]

    def render_PUT(self, request: Request) -> None:
        return None


class StoppingTests(ServerTestCase):
    """C{CoAPService.stopService}."""

    def setUp(self) -> None:
        """A service with something of everything."""
        super().setUp()
        self.requests: list[Request] = []
        self.clock, self.inbox, root = Clock(), Inbox(), Resource()
        root.putChild("clock", self.clock)
        root.putChild("inbox", self.inbox)
        root.putChild("slow", Answering(self.keep))
        root.putChild("large", Answering(lambda request: bytes(3000)))
        self.begin(Site(root))

    def begin(self, site: Site, **how: Any) -> None:
        """Start a service of it, in the place of any other."""
        self.service = CoAPService(site, [HERE], self.reactor, **how)
        self.service.startService()

    def keep(self, request: Request) -> int:
        """Answer later."""
        self.requests.append(request)
        return NOT_DONE_YET

    def stop(self) -> Deferred[None]:
        """Stop; what is sent by that has arrived."""
        stopped = self.service.stopService()
        self.wire.settle()
        return stopped

    def upload(self, number: int, *, more: bool) -> None:
        """Send a block of a body."""
        options = Options(uriPath=("inbox",), block1=(number, more, 0))
        self.peer.send(CON, Code.PUT, None, b"up", options, bytes(16))

    def assertStopped(self, stopped: Deferred[None]) -> None:
        """It has stopped: the port is closed, no timer is left."""
        self.assertIsNone(self.successResultOf(stopped))
        self.assertNotIn(SERVER, self.wire.sockets)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def assertAnswer(self, code: Code, **wanted: Any) -> Datagram:
        """The one message that came."""
        answer = self.peer.takeOne()
        self.assertEqual(answer.code, code)
        for name, value in wanted.items():
            self.assertEqual(getattr(answer, name), value, name)
        return answer

    def test_idle(self) -> None:
        """Where nothing is under way it stops at once."""
        self.ask(path="clock")
        self.assertStopped(self.service.stopService())

    def test_observers(self) -> None:
        """An observer is told by a last notification that is an error (RFC 7641 4.2), and confirms it."""
        self.ask(path="clock", observe=0)
        self.peer.take()
        stopped = self.stop()
        last = self.assertAnswer(Code.SERVICE_UNAVAILABLE, type=CON, token=b"tkn")
        self.assertIsNone(last.options.observe)
        self.assertEqual(last.options.maxAge, 30)
        self.assertEqual(self.clock.observerCount, 0)
        self.assertNoResult(stopped)
        self.peer.sendEmpty(ACK, last.messageID)
        self.reactor.elapse(0.05)
        self.assertStopped(stopped)

    def test_observersNonConfirmable(self) -> None:
        """One who observes without confirmation confirms the last notification too."""
        self.ask(path="clock", type=NON, observe=0)
        self.peer.take()
        stopped = self.stop()
        last = self.assertAnswer(Code.SERVICE_UNAVAILABLE, type=CON)
        self.peer.sendEmpty(ACK, last.messageID)
        self.reactor.elapse(0.05)
        self.assertStopped(stopped)

    def test_observersGone(self) -> None:
        """For one who does not answer it waits no longer than C{grace}."""
        self.ask(path="clock", observe=0)
        self.peer.socket.stopListening()
        stopped = self.stop()
        self.reactor.elapse(4.9)
        self.assertNoResult(stopped)
        self.reactor.elapse(0.2)
        self.assertStopped(stopped)

    def test_handlerOfObserver(self) -> None:
        """A handler that tells an observer by itself learns that it is over."""
        self.ask(path="slow", observe=0)
        (request,) = self.requests
        request.notify("first")
        left = request.notifyFinish()
        self.peer.take()
        stopped = self.stop()
        self.failureResultOf(left, RequestError)
        last = self.assertAnswer(Code.SERVICE_UNAVAILABLE)
        self.peer.sendEmpty(ACK, last.messageID)
        self.reactor.elapse(0.1)
        self.assertStopped(stopped)
        request.notify("too late")
        request.finish()

    def test_pending(self) -> None:
        """A request that came before is answered; what is asked meanwhile is 5.03."""
        self.ask(path="slow")
        stopped = self.stop()
        self.reactor.elapse(1)
        self.peer.take()
        self.ask(path="clock", token=b"new")
        self.assertAnswer(Code.SERVICE_UNAVAILABLE, token=b"new")
        self.requests[0].write(b"done")
        self.requests[0].finish()
        answer = self.assertAnswer(Code.CONTENT, payload=b"done")
        self.assertNoResult(stopped)
        self.peer.sendEmpty(ACK, answer.messageID)
        self.reactor.elapse(0.1)
        self.assertStopped(stopped)

    def test_neverAnswered(self) -> None:
        """One that is never answered fails when C{grace} is over."""
        self.ask(path="slow")
        left = self.requests[0].notifyFinish()
        stopped = self.stop()
        self.reactor.elapse(5)
        self.assertStopped(stopped)
        self.failureResultOf(left, SocketClosed)

    def test_observesMeanwhile(self) -> None:
        """A request that begins to observe while the service stops is told too."""
        self.ask(path="slow", observe=0)
        stopped = self.stop()
        self.requests[0].notify("first")
        self.peer.take()
        self.reactor.elapse(0.05)
        last = self.assertAnswer(Code.SERVICE_UNAVAILABLE)
        self.peer.sendEmpty(ACK, last.messageID)
        self.reactor.elapse(0.1)
        self.assertStopped(stopped)

    def test_uploadGoesOn(self) -> None:
        """A body that is under way is taken to its end."""
        self.upload(0, more=True)
        stopped = self.stop()
        self.peer.take()
        self.upload(1, more=True)
        self.assertAnswer(Code.CONTINUE)
        self.upload(2, more=False)
        self.assertAnswer(Code.CHANGED)
        self.reactor.elapse(0.05)
        self.assertStopped(stopped)

    def test_uploadStays(self) -> None:
        """What takes a body that does not go on is told that it stays incomplete."""
        self.upload(0, more=True)
        stopped = self.stop()
        self.assertIsNone(self.inbox.sinks[0].ended)
        self.reactor.elapse(5)
        self.assertStopped(stopped)
        self.inbox.sinks[0].ended.trap(ConnectionLost)

    def test_downloadGoesOn(self) -> None:
        """While something else is waited for, a body that was begun can be fetched to its end."""
        self.ask(path="large")
        self.ask(path="slow", token=b"slow")
        stopped = self.stop()
        self.peer.take()
        self.ask(path="large", block2=(1, False, 6))
        self.assertAnswer(Code.CONTENT, payload=bytes(1024))
        self.reactor.elapse(5)
        self.assertStopped(stopped)

    def test_noGrace(self) -> None:
        """With no grace observers are told once, and the port is closed at once."""
        self.successResultOf(self.service.stopService())
        self.begin(Site(self.clock), grace=0)
        self.ask(observe=0)
        self.peer.take()
        stopped = self.stop()
        self.assertAnswer(Code.SERVICE_UNAVAILABLE)
        self.assertStopped(stopped)

    def test_ownAnswerThatIsNoError(self) -> None:
        """That is an error: nothing was done."""
        answer = Response(Code.CONTENT, b"back soon")
        self.assertRaises(ValueError, Site, self.clock, whileStopping=answer)

    def test_ownAnswer(self) -> None:
        """A site can say what it answers while it stops."""
        self.successResultOf(self.service.stopService())
        answer = Response(Code.SERVICE_UNAVAILABLE, b"back soon", maxAge=5)
        self.begin(Site(Answering(self.keep), whileStopping=answer))
        self.ask(token=b"1")
        stopped = self.stop()
        self.ask(token=b"2")
        self.assertAnswer(Code.SERVICE_UNAVAILABLE, payload=b"back soon")
        self.reactor.elapse(5)
        self.assertStopped(stopped)

    def test_twice(self) -> None:
        """Stopping once more meanwhile waits for the same end."""
        self.ask(path="slow")
        first, second = self.stop(), self.stop()
        self.reactor.elapse(5)
        self.assertStopped(first)
        self.assertStopped(second)

    def test_startedMeanwhile(self) -> None:
        """Started again while it stops, it listens as soon as it has stopped."""
        self.ask(path="slow")
        stopped = self.stop()
        self.service.startService()
        self.reactor.elapse(5)
        self.successResultOf(stopped)
        self.ask(path="clock", token=b"new")
        self.assertEqual(self.peer.take()[-1].code, Code.CONTENT)
        self.assertStopped(self.service.stopService())

    def test_startedAndStoppedMeanwhile(self) -> None:
        """Stopped again before that, it does not."""
        self.ask(path="slow")
        stopped = self.stop()
        self.service.startService()
        again = self.stop()
        self.reactor.elapse(5)
        self.assertStopped(stopped)
        self.assertStopped(again)

    def test_closedMeanwhile(self) -> None:
        """A port that somebody closes meanwhile is not waited for."""
        self.ask(path="slow")
        stopped = self.stop()
        (port,) = self.service.ports
        port.stopListening()
        self.reactor.elapse(0.05)
        self.assertStopped(stopped)

    def test_manyObservers(self) -> None:
        """Hundreds of observers, some of them gone, are told within the time."""
        peers = [Peer(self.wire, (f"192.0.2.{i % 200 + 10}", 1000 + i)) for i in range(300)]
        options = Options(uriPath=("clock",), observe=0)
        for peer in peers:
            peer.send(CON, Code.GET, None, b"t", options)
            peer.take()
        for peer in peers[::3]:
            peer.socket.stopListening()
        stopped = self.stop()
        told = 0
        for _ in range(40):
            for peer in peers:
                for message in peer.take():
                    told += message.code == Code.SERVICE_UNAVAILABLE
                    peer.sendEmpty(ACK, message.messageID)
            self.reactor.elapse(0.05)
        self.assertEqual(told, 200)
        self.reactor.elapse(5)
        self.assertStopped(stopped)

    def test_oneSocket(self) -> None:
        """
        C{windDown} brings one socket to its end. Cancelled, it leaves the site as it was; without a site
        there is nothing to do.
        """
        protocol = self.protocolHere()
        self.keepOne()
        failures: list[Any] = []
        ending = windDown(protocol, 10)
        ending.addErrback(failures.append)
        self.assertEqual(self.codeFor(b"2"), Code.SERVICE_UNAVAILABLE)
        ending.cancel()
        self.assertIsNotNone(failures[0].check(CancelledError))
        self.assertEqual(self.codeFor(b"3"), Code.CONTENT)
        self.assertIsNone(self.successResultOf(windDown(CoAPProtocol(None, self.reactor), 10)))
        self.finish(self.stop())

    def keepOne(self) -> None:
        """One request is not answered yet."""
        self.peer.send(CON, Code.GET, None, b"1", Options(uriPath=("slow",)))
        self.peer.take()

    def codeFor(self, token: bytes) -> Code:
        """The code that answers a request for something else."""
        self.peer.send(CON, Code.GET, None, token, Options(uriPath=("large",)))
        return next(each.code for each in self.peer.take() if each.token == token)

    def protocolHere(self) -> CoAPProtocol:
        """What the service serves by."""
        protocol: CoAPProtocol = self.service.ports[0].protocol  # type: ignore[attr-defined]
        return protocol

    def finish(self, stopped: Deferred[None]) -> None:
        """Answer what was kept."""
        self.requests[0].finish()
        self.peer.take()
        self.reactor.elapse(1)
        self.successResultOf(stopped)
