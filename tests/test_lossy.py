"""
Many exchanges over a network that loses, doubles, delays and reorders datagrams: every request ends
once, none that is not idempotent runs twice, and in the end nothing is left.

No sockets and no clock: simulated seconds, and chance from a seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.errors import NoAcknowledgement, NoResponse
from txcoap.message import Request
from txcoap.options import NO_OPTIONS
from txcoap.parameters import DEFAULT_PARAMETERS, Parameters
from txcoap.sansio.deadlines import NEVER
from txcoap.sansio.events import (
    Event,
    IncomingRequest,
    RequestFailed,
    RequestForgotten,
    ResponseFailed,
    ResponseReceived,
)
from txcoap.sansio.exchanges import Exchanges

SERVER = "server"
PARAMETERS = DEFAULT_PARAMETERS.evolve(NSTART=4, PROBING_RATE=None)
METHODS = (Code.GET, Code.POST, Code.PUT, Code.DELETE, Code.PATCH, Code.FETCH, Code.IPATCH)


class World:
    """
    A server, its clients, the network between them, and the time.

    @ivar runs: How often each request was passed on at the server, by its payload.
    @ivar ends: How often each of our requests ended, by its payload.
    @ivar answered: The response that each got, by its payload.
    @ivar errors: Why the others failed.
    @ivar last: When something was last sent, received, or told.
    """

    def __init__(self, seed: int, loss: float, clients: int, parameters: Parameters = PARAMETERS) -> None:
        self.chance = Random(seed)
        self.loss = loss
        self.now = self.last = 0.0
        self.nodes: dict[Hashable, Exchanges] = {
            name: Exchanges(Random(f"{seed} {name}"), parameters) for name in (SERVER, *range(clients))
        }
        self.runs: Counter[bytes] = Counter()
        self.ends: Counter[bytes] = Counter()
        self.answered: dict[bytes, tuple[Code, bytes]] = {}
        self.errors: list[Exception] = []
        self.spoiled = Counter[str]()
        self._order = count()
        self._agenda: list[tuple[float, int, str, tuple[object, ...]]] = []
        self._due: dict[Hashable, float] = {}

    def at(self, when: float, what: str, *about: object) -> None:
        """Put something on the agenda."""
        heappush(self._agenda, (when, next(self._order), what, about))

    def run(self, until: float) -> None:
        """Do what is on the agenda up to a time."""
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, what, about = heappop(self._agenda)
            getattr(self, what)(*about)
        self.now = until

    # What can be on the agenda

    def ask(self, client: Hashable, request: Request, confirmable: bool) -> None:
        """A client asks the server."""
        self.nodes[client].request(request, SERVER, self.now, confirmable=confirmable)
        self.settle(client)

    def arrive(self, data: bytes, source: Hashable, target: Hashable) -> None:
        """A datagram arrives."""
        self.last = self.now
        report = self.nodes[target].receiveDatagram(data, source, None, self.now)
        if isinstance(report, IncomingRequest):
            self.serve(report)
            self.nodes[target].defer(report, self.now)
        elif report is not None:
            self.note(report)
        self.settle(target)

    def expire(self, name: Hashable) -> None:
        """The deadline of a node has come."""
        if self._due.get(name) == self.now:
            del self._due[name]
            for event in self.nodes[name].expire(self.now):
                self.note(event)
            self.settle(name)

    def answer(self, request: IncomingRequest) -> None:
        """The server answers; what it says tells how often it has run the request."""
        body = request.payload + b" run %d" % self.runs[request.payload]
        self.nodes[SERVER].respond(request, Code.CONTENT, NO_OPTIONS, body, self.now)
        self.settle(SERVER)

    # What follows from it

    def serve(self, request: IncomingRequest) -> None:
        """Run a request: at once, soon enough to be piggybacked, late, or much too late."""
        self.runs[request.payload] += 1
        delay = self.chance.choice((0.0, 0.0, 0.02, 0.5, 5.0, 40.0))
        if delay:
            self.at(self.now + delay, "answer", request)
        else:
            self.answer(request)

    def note(self, event: Event) -> None:
        """Something happened."""
        self.last = self.now
        if isinstance(event, ResponseReceived):
            assert event.datagram is not None
            self.ends[event.exchange.request.payload] += 1
            self.answered[event.exchange.request.payload] = (event.datagram.code, event.datagram.payload)
        elif isinstance(event, RequestFailed):
            self.ends[event.exchange.request.payload] += 1
            self.errors.append(event.error)
        else:
            assert isinstance(event, ResponseFailed | RequestForgotten), event

    def settle(self, name: Hashable) -> None:
        """Send what a node wants sent, and see that its next deadline is met."""
        node = self.nodes[name]
        for data, target, _ in node.datagramsToSend():
            self.carry(data, name, target)
        due = node.next()
        if due < self._due.get(name, NEVER):
            due = max(due, self.now)
            self._due[name] = due
            self.at(due, "expire", name)

    def carry(self, data: bytes, source: Hashable, target: Hashable) -> None:
        """Lose a datagram, or deliver it after a while, now and then much later, now and then twice."""
        self.last = self.now
        chance = self.chance.random
        if chance() < self.loss:
            self.spoiled["lost"] += 1
            return
        copies = 2 if chance() < 0.1 else 1
        self.spoiled["doubled"] += copies - 1
        for _ in range(copies):
            delay = 0.01 + 0.2 * chance()
            if chance() < 0.05:
                self.spoiled["late"] += 1
                delay += 20 * chance()
            self.at(self.now + delay, "arrive", data, source, target)


class LossyTests(SynchronousTestCase):
    """What holds however bad the network is."""

    def world(self, seed: int, loss: float, clients: int, requests: int, seconds: float) -> World:
        """Some requests within some seconds, and all that follows, until EXCHANGE_LIFETIME after the last."""
        world = World(seed, loss, clients)
        for number in range(requests):
            when = world.chance.random() * seconds
            # Each client asks some time; the rest is spread at random.
            client = number if number < clients else world.chance.randrange(clients)
            request = Request(world.chance.choice(METHODS), b"%d" % number)
            world.at(when, "ask", client, request, world.chance.random() < 0.7)
        world.run(seconds)
        # Times in the memory of duplicates are rounded up to a thousandth of the lifetime.
        while world.now < (end := world.last + PARAMETERS.EXCHANGE_LIFETIME * 1.001):
            world.run(end)
        return world

    def check(self, world: World, requests: int) -> None:
        """The three invariants."""
        self.assertEqual(len(world.ends), requests)
        self.assertEqual(set(world.ends.values()), {1})
        for name, node in world.nodes.items():
            self.assertEqual(set(node.sizes().values()), {0}, (name, node.sizes()))
        self.assertEqual(set(world.runs.values()), {1})
        for payload, (code, body) in world.answered.items():
            self.assertEqual((code, body), (Code.CONTENT, payload + b" run 1"))
        for error in world.errors:
            self.assertIsInstance(error, NoAcknowledgement | NoResponse)

    def test_large(self) -> None:
        """5,000 requests of 500 peers in 300 seconds, at 30 % loss."""
        world = self.world(seed=1, loss=0.3, clients=500, requests=5000, seconds=300.0)
        self.check(world, 5000)
        # The network was as bad as it was meant to be, and most went well all the same.
        self.assertTrue(min(world.spoiled[each] for each in ("lost", "doubled", "late")) > 500)
        self.assertTrue(len(world.answered) > 3500)
        self.assertTrue(len(world.runs) > 4000)

    def test_seeds(self) -> None:
        """The same in small, with other chance and other losses."""
        for seed in range(2, 22):
            loss = seed % 8 / 10
            self.check(self.world(seed, loss, clients=5, requests=80, seconds=60.0), 80)

    def test_nothingLost(self) -> None:
        """On a network that loses nothing every confirmable request is answered."""
        world = self.world(seed=30, loss=0.0, clients=10, requests=300, seconds=100.0)
        self.check(world, 300)
        self.assertTrue(len(world.answered) > 290)

    def test_everythingLost(self) -> None:
        """On one that loses all, every request fails, and nothing is left."""
        world = self.world(seed=31, loss=1.0, clients=10, requests=200, seconds=100.0)
        self.checkFailed(world, 200)

    def checkFailed(self, world: World, requests: int) -> None:
        """Each request failed once; nothing ran."""
        self.assertEqual((len(world.ends), len(world.errors)), (requests, requests))
        self.assertEqual((world.runs, world.answered), (Counter(), {}))
        for node in world.nodes.values():
            self.assertEqual(set(node.sizes().values()), {0})
