"""
Tests for L{txcoap.sansio.separate}: when responses that come apart are sent, among all else that goes to the
same peer (RFC 7252 4.7).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.machines import PEER, STEADY, Machine, get
from txcoap import Request as HandledRequest
from txcoap import Resource, Site
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.errors import NoAcknowledgement, TooManyPeers, Unreachable
from txcoap.limits import Limits
from txcoap.message import Request
from txcoap.options import NO_OPTIONS, Options
from txcoap.parameters import Parameters
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram
from txcoap.sansio.events import Event, IncomingRequest, RelationEnded, RequestFailed, ResponseFailed
from txcoap.sansio.observations import Relation
from txcoap.sansio.peers import GRAIN
from txcoap.testing import MemoryNetwork

OTHER = ("192.0.2.2", 5683)


class Bench(Machine):
    """A machine that peers ask for what takes its time."""

    def __init__(self, NSTART: int = 1, **limits: int) -> None:
        super().__init__(STEADY.evolve(NSTART=NSTART), Limits(**limits))
        self._asked = 0

    def late(self, peer: Any = PEER, options: Options = NO_OPTIONS) -> IncomingRequest:
        """A request that is acknowledged already."""
        self._asked += 1
        token = self._asked.to_bytes(2, "big")
        request = self.asked(CON, Code.GET, self._asked, token, options, peer=peer)
        self.acknowledge(request, self.now)
        return request

    def sent(self) -> list[Datagram]:
        """What was sent since this was last asked, in messages of its own."""
        return [each for each in super().sent() if each.type in (CON, NON)]

    def answerLate(self, *payloads: bytes, peer: Any = PEER) -> None:
        """So many requests come and are acknowledged; then each is answered."""
        for request, payload in [(self.late(peer), payload) for payload in payloads]:
            assert self.answer(request, payload=payload)

    def told(self) -> list[bytes]:
        """The payloads of what was sent since this was last asked."""
        return [each.payload for each in self.sent()]

    def confirm(self, datagram: Datagram, peer: Any = PEER) -> Any:
        """A peer acknowledges."""
        return self.receive(ACK, Code.EMPTY, datagram.messageID, peer=peer)

    def observer(self) -> Relation:
        """A client that observes."""
        request = self.late(options=Options(observe=0))
        relation = self.notifier.register(request, True, 10, self.now)
        assert relation is not None
        self.answer(request, confirmable=False)
        self.sent()
        return relation

    def notify(self, relation: Relation, payload: bytes) -> None:
        """Tell it something."""
        self.notifier.notify([relation], Code.CONTENT, NO_OPTIONS, payload, self.now, False)
        self.notifier.pump(self.now)


class TurnTests(SynchronousTestCase):
    """Whose turn it is."""

    def test_oneAtOnce(self) -> None:
        """A response waits until the one before it is acknowledged; with the clients' others it does not."""
        bench = Bench()
        bench.answerLate(b"1", b"2", b"3")
        bench.answerLate(b"other", peer=OTHER)
        first, other = bench.sent()
        self.assertEqual((first.type, first.payload, other.payload), (CON, b"1", b"other"))
        bench.confirm(first)
        second = bench.sentOne()
        self.assertEqual((second.payload, second.token), (b"2", b"\0\2"))
        bench.confirm(second)
        self.assertEqual(bench.told(), [b"3"])

    def test_several(self) -> None:
        """So many as NSTART go at once."""
        bench = Bench(NSTART=3)
        bench.answerLate(b"1", b"2", b"3", b"4", b"5")
        sent = bench.sent()
        self.assertEqual([each.payload for each in sent], [b"1", b"2", b"3"])
        bench.confirm(sent[1])
        self.assertEqual(bench.told(), [b"4"])

    def test_reset(self) -> None:
        """A response that is rejected gives its place to the next."""
        bench = Bench()
        bench.answerLate(b"1", b"2")
        event = bench.receive(RST, Code.EMPTY, bench.sentOne().messageID)
        self.assertIsInstance(event, ResponseFailed)
        self.assertEqual(bench.told(), [b"2"])

    def test_repeated(self) -> None:
        """One that is repeated still holds its place: what is lost is a sign of congestion."""
        bench = Bench()
        bench.answerLate(b"1", b"2")
        bench.advance(10)
        self.assertEqual(bench.told(), [b"1", b"1", b"1"])

    def test_unconcerned(self) -> None:
        """What goes in an acknowledgement does not wait, nor what is not confirmable."""
        bench = Bench()
        bench.answerLate(b"1", b"2")
        bench.answer(bench.asked(CON, Code.GET, 100), payload=b"piggybacked")
        bench.answer(bench.asked(NON, Code.GET, 101), payload=b"non")
        bench.answer(bench.late(), payload=b"late non", confirmable=False)
        self.assertEqual(bench.told(), [b"1", b"non", b"late non"])
        sent = [each.payload for _, each, _ in bench.log if each.payload]
        self.assertEqual(sent, [b"1", b"piggybacked", b"non", b"late non"])

    def test_ping(self) -> None:
        """A ping neither waits nor is waited for."""
        bench = Bench()
        bench.ping(PEER, bench.now)
        bench.answerLate(b"1", b"2")
        bench.ping(PEER, bench.now)
        self.assertEqual([each.payload for each in bench.sent() if each.code], [b"1"])
        self.assertEqual(bench.sizes()["transmissions"], 3)

    def test_afterRequest(self) -> None:
        """A response waits for our request to the same peer, until that is acknowledged or answered."""
        for isAnswered in (True, False):
            bench = Bench()
            request = bench.late()
            bench.request(get(), PEER, bench.now)
            bench.answer(request, payload=b"late")
            ours = bench.sentOne()
            code = Code.CONTENT if isAnswered else Code.EMPTY
            bench.receive(ACK, code, ours.messageID, ours.token if isAnswered else b"")
            self.assertEqual(bench.told(), [b"late"])

    def test_afterCancelledRequest(self) -> None:
        """Until it is cancelled, too."""
        bench = Bench()
        request = bench.late()
        ours = bench.request(get(), PEER, bench.now)
        bench.answer(request, payload=b"late")
        bench.cancel(ours, bench.now)
        self.assertEqual(bench.told(), [b"", b"late"])

    def test_requestAfter(self) -> None:
        """Our request waits for a response that is under way."""
        bench = Bench()
        bench.answerLate(b"late")
        bench.request(get(), PEER, bench.now)
        bench.confirm(bench.sentOne())
        self.assertEqual(bench.sentOne().code, Code.GET)

    def test_notification(self) -> None:
        """Responses and confirmable notifications wait for each other, in the order in which they came."""
        bench = Bench()
        relation = bench.observer()
        bench.answerLate(b"1")
        bench.notify(relation, b"old")
        bench.answerLate(b"2")
        bench.notify(relation, b"new")
        for expected in (b"1", b"new", b"2"):
            sent = bench.sentOne()
            self.assertEqual(sent.payload, expected)
            bench.confirm(sent)

    def test_endedRelation(self) -> None:
        """A notification that waits is forgotten with its relation, and keeps nothing."""
        bench = Bench()
        relation = bench.observer()
        bench.answerLate(b"1")
        bench.notify(relation, b"never")
        peer = bench._transmissions.use(PEER, bench.now)
        assert peer is not None
        self.assertTrue(peer.untold)
        bench.notifier.end(relation, bench.now)
        self.assertFalse(peer.untold)
        bench.confirm(bench.sentOne())
        self.assertEqual(bench.sent(), [])


class SidesTests(SynchronousTestCase):
    """Requests of ours on the one side, what peers are told on the other: neither holds up the other."""

    def test_unacknowledgedRequest(self) -> None:
        """
        A request that had to be repeated holds no response up any more: the peer may acknowledge it only when
        it has that.
        """
        bench = Bench()
        first, second = bench.late(), bench.late()
        bench.request(get(), PEER, bench.now)
        bench.answer(first, payload=b"1")
        bench.answer(second, payload=b"2")
        self.assertEqual(bench.advance(1.999), [])
        self.assertEqual(bench.told(), [b""])
        bench.advance(0.001)
        *_, answer = sent = bench.sent()
        self.assertEqual([each.payload for each in sent], [b"", b"1"])
        bench.confirm(answer)
        self.assertEqual(bench.told(), [b"2"])
        bench.answerLate(b"3")
        self.assertEqual(bench.told(), [])

    def test_countedAgain(self) -> None:
        """When it is answered at last, the next request holds responses up like the first."""
        bench = Bench()
        ours = [bench.request(get(), PEER, bench.now) for _ in range(2)]
        bench.advance(3)
        bench.cancel(ours[0], bench.now)
        bench.answerLate(b"1")
        self.assertEqual(bench.told(), [b"", b"", b""])
        bench.cancel(ours[1], bench.now)
        self.assertEqual(bench.told(), [b"1"])

    def test_alternating(self) -> None:
        """Where both wait, they take turns."""
        bench = Bench()
        late = [bench.late() for _ in range(3)]
        for _ in range(3):
            bench.request(get(), PEER, bench.now)
        for request in late:
            bench.answer(request, payload=b"answer")
        order = []
        for _ in range(6):
            sent = bench.sentOne()
            order.append(sent.payload or b"request")
            bench.confirm(sent)
        self.assertEqual(order, 3 * [b"request", b"answer"])

    def test_busyRequests(self) -> None:
        """Requests with a greater NSTART of their own, always as many as that, let responses go as well."""
        bench = Bench()
        many = STEADY.evolve(NSTART=4)
        late = bench.late()
        for _ in range(10):
            bench.request(get(), PEER, bench.now, parameters=many)
        bench.answer(late, payload=b"late")
        sent = bench.sent()
        self.assertEqual(len(sent), 4)
        bench.confirm(sent[0])
        self.assertEqual(bench.told(), [b"late"])

    def test_busyResponses(self) -> None:
        """Responses, always some of them, let a request with a smaller NSTART go as well; and one only."""
        bench = Bench(NSTART=4)
        bench.answerLate(*10 * [b"late"])
        few = STEADY.evolve(NSTART=1)
        for _ in range(3):
            bench.request(get(), PEER, bench.now, parameters=few)
        sent = bench.sent()
        self.assertEqual(len(sent), 4)
        codes = []
        for each in sent:
            bench.confirm(each)
            codes += [each.code for each in bench.sent()]
        self.assertEqual(codes.count(Code.GET), 1)
        self.assertEqual(codes[0], Code.GET)

    def test_notConfirmableRequest(self) -> None:
        """A request that is not confirmable has no place to give."""
        bench = Bench()
        bench.answerLate(b"1", b"2")
        ours = bench.request(get(), PEER, bench.now, confirmable=False)
        bench.cancel(ours, bench.now)
        self.assertEqual(bench.told(), [b"1", b""])

    def test_silentAsked(self) -> None:
        """That a peer does not answer our request is no reason not to answer it, nor to end its relations."""
        bench = Bench()
        relation = bench.observer()
        bench.request(get(), PEER, bench.now)
        (event,) = bench.advance(62)
        self.assertIsInstance(event, RequestFailed)
        bench.answerLate(b"late")
        self.assertFalse(relation.hasEnded)


class EndTests(SynchronousTestCase):
    """Responses that are not sent after all."""

    def test_givenUp(self) -> None:
        """When nobody acknowledges one, those that wait are given up with it; relations are not."""
        bench = Bench()
        relation = bench.observer()
        bench.answerLate(b"1", b"2", b"3")
        bench.notify(relation, b"state")
        self.assertEqual(bench.advance(61.9), [])
        events = bench.advance(0.1)
        self.assertEqual([type(each) for each in events], 3 * [ResponseFailed])
        for event in events:
            assert isinstance(event, ResponseFailed)
            self.assertIsInstance(event.error, NoAcknowledgement)
        self.assertEqual(bench.told(), [*5 * [b"1"], b"state"])
        self.assertEqual(bench.sizes()["pendingRequests"], 0)

    def test_observerGivenUp(self) -> None:
        """When nobody acknowledges a notification, all relations end that wait too; a response goes."""
        bench = Bench()
        relations = [bench.observer() for _ in range(3)]
        for each in relations:
            bench.notify(each, b"state")
        bench.answerLate(b"late")
        self.assertEqual([type(each) for each in bench.advance(62)], 3 * [RelationEnded])
        self.assertEqual(bench.told(), [*5 * [b"state"], b"late"])

    def test_unreachable(self) -> None:
        """Likewise when the network says that nobody is there."""
        bench = Bench()
        bench.answerLate(b"1", b"2", b"3")
        bench.sent()
        first = bench.receiveUnreachable(bench.raw[-1], PEER, 111, bench.now)
        events = [first, *bench.advance(0)]
        self.assertEqual([type(each) for each in events], 3 * [ResponseFailed])
        assert isinstance(first, ResponseFailed)
        self.assertIsInstance(first.error, Unreachable)
        self.assertEqual(bench.sent(), [])

    def test_counted(self) -> None:
        """Those that wait are bounded by C{Limits.pendingRequests}, and are on their host's account."""
        bench = Bench(pendingRequests=4)
        bench.answerLate(b"1", b"2")
        self.assertEqual(bench.sizes()["pendingRequests"], 2)
        first = bench.sentOne()
        self.assertIsNone(bench.receive(CON, Code.GET, 500))
        self.assertEqual(bench.log[-1][1].code, Code.TOO_MANY_REQUESTS)
        bench.asked(CON, Code.GET, 500, peer=OTHER)
        bench.confirm(first)
        bench.confirm(bench.sentOne())
        bench.asked(CON, Code.GET, 501)
        self.assertEqual(bench.sizes()["pendingRequests"], 2)

    def test_tooLate(self) -> None:
        """One that waited for more than EXCHANGE_LIFETIME is not sent: its client has given up (4.8.2)."""
        bench = Bench()
        bench.answerLate(*10 * [b"late"])
        failed: list[Event] = []
        while failed == []:
            sent = bench.sentOne()
            failed += bench.advance(61)
            bench.sent()
            bench.confirm(sent)
            failed += bench.advance(0)
        self.assertEqual([type(each) for each in failed], 6 * [ResponseFailed])
        self.assertEqual(bench.now, 1000 + 4 * 61)
        self.assertEqual(bench.sizes()["pendingRequests"], 0)

    def test_noMessageID(self) -> None:
        """One for which there is no message ID when it is its turn fails, and the next is looked at."""
        bench = Bench()
        bench.answerLate(b"1", b"2", b"3")
        first = bench.sentOne()
        peer = bench._transmissions.use(PEER, bench.now)
        assert peer is not None
        while peer.messageIDs.take(bench.now) is not None:
            pass
        bench.confirm(first)
        events = bench.advance(0)
        for event in events:
            assert isinstance(event, ResponseFailed)
            self.assertIsInstance(event.error, TooManyPeers)
        self.assertEqual((len(events), bench.counters.unsent, bench.sizes()["pendingRequests"]), (2, 2, 0))

    def test_nothingLeft(self) -> None:
        """At the end nothing is left in any table."""
        bench = Bench()
        bench.answerLate(*20 * [b"late"])
        for _ in range(3):
            bench.request(get(), PEER, bench.now)
        bench.advance(2 * (bench.parameters.EXCHANGE_LIFETIME + GRAIN))
        self.assertEqual(set(bench.sizes().values()), {0}, bench.sizes())


class AsksBack(Resource):
    """
    A resource that answers when its client has answered a question.

    @ivar asked: By what it asks.
    """

    isLeaf = True

    def render_GET(self, request: HandledRequest) -> Deferred[bytes]:
        """What the client says, which takes its time."""
        question: Any = Request(Code.GET, b"", Options(uriPath=("slow",)))
        asked: Deferred[Any] = request.protocol.request(question, request.peer)
        return asked.addCallback(lambda answer: bytes(answer.payload))


class Slow(Resource):
    """
    A resource that takes its time.

    @ivar clock: Tells the time.
    """

    isLeaf = True

    def __init__(self, clock: Any) -> None:
        super().__init__()
        self.clock = clock

    def render_GET(self, request: HandledRequest) -> Deferred[bytes]:
        """Something, after a second."""
        later: Deferred[bytes] = Deferred()
        self.clock.callLater(1.0, later.callback, b"answer")
        return later


class MutualTests(SynchronousTestCase):
    """Two that ask each other, each over one socket."""

    def ask(self, patience: float) -> tuple[bytes, float]:
        """What is answered by one that asks back, and after how many seconds."""
        network = MemoryNetwork(latency=0.01)
        root = Resource()
        root.putChild("back", AsksBack())
        root.putChild("slow", Slow(network.clock))
        parameters = Parameters(PIGGYBACK_DELAY=patience, ACK_RANDOM_FACTOR=1.0)
        network.listen(Site(root, parameters=parameters))
        client = network.listen(Site(root, parameters=Parameters(ACK_RANDOM_FACTOR=1.0)), "192.0.2.50")
        agent = Agent(network.reactor, protocol=client.protocol)
        waiting: Deferred[Any] = agent.get("coap://192.0.2.1/back")
        bodies: list[bytes] = []
        waiting.addCallback(lambda response: bodies.append(response.payload))
        began = network.clock.seconds()
        while not bodies:
            network.advance(0.1)
            self.assertTrue(network.clock.seconds() < 100)
        took = network.clock.seconds() - began
        network.close()
        return bodies[0], took

    def test_acknowledging(self) -> None:
        """Each acknowledges what takes its time, and nothing waits."""
        answer, took = self.ask(0.05)
        self.assertEqual(answer, b"answer")
        self.assertTrue(took < 1.5, took)

    def test_unacknowledging(self) -> None:
        """
        A server that acknowledges only with its answer, which needs ours: that waits until our request to it
        is repeated, and not until it is given up.
        """
        answer, took = self.ask(60.0)
        self.assertEqual(answer, b"answer")
        self.assertTrue(took < 2.5, took)
