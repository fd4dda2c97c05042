"""
Observers over networks that lose, double, delay and reorder, over long times, and a great many at once: each
ends with the state as it is, and what is gone is forgotten.

No sockets and no real time: simulated seconds, and chance from a seed.
"""

from __future__ import annotations

from collections import Counter as Tally
from random import Random

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.watching import Counter
from txcoap.codes import Code
from txcoap.limits import DEFAULT_LIMITS
from txcoap.memory import SERVER_HOST
from txcoap.observation import Observation
from txcoap.options import NO_OPTIONS, Options
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, empty, encode
from txcoap.sansio.events import IncomingRequest, RelationEnded
from txcoap.sansio.exchanges import Exchanges
from txcoap.sansio.observations import Relation
from txcoap.server import Site
from txcoap.testing import MemoryNetwork

HOUR = 3600.0
DAY = 24 * HOUR
RESOURCES = {"confirmable": True, "unconfirmed": False}


class World:
    """
    A server whose numbers change now and then, and observers of each.

    @ivar states: What each observer saw, as numbers.
    """

    def __init__(self, seed: int, observers: int, maxAge: int = 60) -> None:
        self.chance = Random(seed)
        self.network = MemoryNetwork(seed=seed, loss=0.3, duplication=0.1, reordering=0.3, latency=0.05)
        self.maxAge = maxAge
        self.value = 0
        self.counters: list[Counter] = []
        self.start()
        self.clients = [self.network.agent(f"192.0.2.{20 + n}") for n in range(observers)]
        self.states: list[list[int]] = []
        self.observations: list[Observation] = []
        names = list(RESOURCES)
        for n, agent in enumerate(self.clients):
            self.observe(agent, names[n % len(names)])

    def start(self) -> None:
        """The server comes up, with all it knows on disk: the number."""
        root = Resource()
        self.counters = []
        for name, confirmable in RESOURCES.items():
            counter = Counter(self.value)
            counter.confirmable, counter.maxAge = confirmable, self.maxAge
            root.putChild(name, counter)
            self.counters.append(counter)
        self.port = self.network.listen(Site(root))

    def observe(self, agent: object, name: str) -> None:
        """Observe, as often as it takes for a first response."""
        observing: Deferred[Observation] = agent.observe(f"coap://{SERVER_HOST}/{name}")  # type: ignore[attr-defined]
        states: list[int] = []

        def begun(observation: Observation) -> None:
            self.observations.append(observation)
            self.states.append(states)
            observation.subscribe(lambda state: states.append(int(state.payload)))

        observing.addCallbacks(begun, lambda _: self.observe(agent, name))

    def change(self) -> None:
        """The numbers change."""
        self.value += 1
        for counter in self.counters:
            counter.value = self.value
            counter.notifyObservers()

    def live(self, seconds: float, least: float, most: float) -> None:
        """Let time pass, with a change now and then."""
        until = self.network.clock.seconds() + seconds
        while self.network.clock.seconds() < until:
            self.network.advance(self.chance.uniform(least, most))
            self.change()


class LossTests(SynchronousTestCase):
    """Thirty datagrams of a hundred are lost, thirty overtaken, ten come twice."""

    def test_aDay(self) -> None:
        """
        After 24 hours every observer has the final state, confirmable or not, and none saw a number after a
        later one. The sequence numbers have rolled over five times meanwhile.
        """
        world = World(seed=1, observers=6)
        world.live(DAY, 10.0, 200.0)
        world.network.advance(600.0)
        self.assertEqual(6, len(world.states))
        for observation, states in zip(world.observations, world.states, strict=True):
            self.assertIsNone(observation.reason)
            self.assertEqual(world.value, states[-1])
            self.assertEqual(sorted(states), states)
            self.assertGreater(len(states), world.value // 2)
        for observation in world.observations:
            observation.cancel()
        world.network.advance(600.0)
        world.change()
        world.network.advance(600.0)
        self.assertEqual(0, world.port.protocol.sizes()["observers"])
        self.assertEqual(0, world.port.protocol.sizes()["transmissions"])

    def test_bursts(self) -> None:
        """Many changes in a short time, again and again: everyone has the last of them each time."""
        world = World(seed=2, observers=6, maxAge=30)
        world.network.advance(200.0)
        for _ in range(20):
            world.live(20.0, 0.0, 0.5)
            world.network.advance(400.0)
            self.assertEqual([world.value] * 6, [states[-1] for states in world.states])

    def test_rollOver(self) -> None:
        """Changes while the numbers roll over, every 16,384 seconds, are told like any others."""
        world = World(seed=3, observers=4)
        world.network.advance(2**24 / 1024 - 30.0)
        seen = [len(states) for states in world.states]
        world.live(60.0, 0.5, 5.0)
        world.network.advance(400.0)
        for states, before in zip(world.states, seen, strict=True):
            self.assertEqual(world.value, states[-1])
            self.assertEqual(sorted(states), states)
            self.assertGreater(len(states) - before, 2)

    def test_restarts(self) -> None:
        """A server that restarts every hour, without memory: no client sticks."""
        world = World(seed=4, observers=4)
        world.network.advance(300.0)
        self.assertEqual(4, len(world.states))
        for _ in range(24):
            world.live(HOUR, 20.0, 300.0)
            world.port.stopListening()
            world.network.advance(world.chance.choice((0.0, 1.0, 60.0, 400.0)))
            world.value += 1
            world.start()
            world.network.advance(600.0)
            self.assertEqual([world.value] * 4, [states[-1] for states in world.states])
            self.assertEqual(4, world.port.protocol.sizes()["observers"])
        self.assertEqual([None] * 4, [observation.reason for observation in world.observations])


class Crowd:
    """
    A server's machine with very many observers, some of whom are silent; the others answer after a while.

    @ivar told: How often each was told each state.
    @ivar late: How long after the change each was told.
    """

    LATENCY = 0.01

    def __init__(self, count: int, silent: int) -> None:
        self.now = 1000.0
        self.machine = Exchanges(
            Random(1), DEFAULT_PARAMETERS, DEFAULT_LIMITS.evolve(peers=2 * count, observers=count)
        )
        self.silent = {self.peer(n) for n in range(0, count, count // silent)} if silent else set()
        self.told: Tally[tuple[object, bytes]] = Tally()
        self.late: list[float] = []
        self.ended: list[object] = []
        self.largest = 0
        self.changedAt = 0.0
        self.empty = self.machine.sizes()
        self.relations = [self.register(self.peer(n)) for n in range(count)]

    @staticmethod
    def peer(n: int) -> tuple[str, int]:
        """An address of its own."""
        return (f"10.0.{n >> 8}.{n & 255}", 5683)

    def register(self, peer: object) -> Relation:
        """One observer more."""
        data = encode(CON, Code.GET, 1, b"tokn", Options(observe=0, uriPath=("n",)))
        request = self.machine.receiveDatagram(data, peer, None, self.now)
        assert isinstance(request, IncomingRequest)
        relation = self.machine.notifier.register(request, True, 10, self.now)
        assert relation is not None
        self.machine.respond(request, Code.CONTENT, NO_OPTIONS, b"0", self.now)
        self.machine.datagramsToSend()
        return relation

    def change(self, payload: bytes) -> None:
        """Tell everyone who is left."""
        self.changedAt = self.now
        self.machine.notifier.notify(self.relations, Code.CONTENT, NO_OPTIONS, payload, self.now, False)
        self.machine.notifier.pump(self.now)

    def live(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        acknowledgements: list[tuple[float, bytes, object]] = []
        while True:
            sent = self.machine.datagramsToSend()
            self.largest = max(self.largest, len(sent))
            for data, peer, _ in sent:
                self.told[peer, data[-1:]] += 1
                if peer not in self.silent:
                    self.late.append(self.now - self.changedAt)
                    messageID = int.from_bytes(data[2:4], "big")
                    acknowledgements.append((self.now + self.LATENCY, empty(ACK, messageID), peer))
            arrival = acknowledgements[0][0] if acknowledgements else until + 1
            due = min(arrival, self.machine.next())
            if due > until:
                break
            self.now = max(self.now, due)
            arrived = 0
            while arrived < len(acknowledgements) and acknowledgements[arrived][0] <= self.now:
                _, data, peer = acknowledgements[arrived]
                self.machine.receiveDatagram(data, peer, None, self.now)
                arrived += 1
            del acknowledgements[:arrived]
            events = self.machine.expire(self.now)
            self.ended += [event.relation for event in events if isinstance(event, RelationEnded)]
        self.now = until


class CrowdTests(SynchronousTestCase):
    """Ten thousand observers."""

    COUNT = 10_000

    def test_three(self) -> None:
        """Of three changes everyone is told, of each once, and never of many in one go."""
        crowd = Crowd(self.COUNT, silent=0)
        for payload in (b"1", b"2", b"3"):
            crowd.change(payload)
            crowd.live(10.0)
        self.assertEqual(3 * self.COUNT, len(crowd.told))
        self.assertEqual({1}, set(crowd.told.values()))
        self.assertLessEqual(crowd.largest, 200)
        self.assertLess(max(crowd.late), 2.0)

    def test_silent(self) -> None:
        """
        With 2,000 of them silent, these go, and the others are told as fast; when EXCHANGE_LIFETIME is over
        the tables are as large as they were.
        """
        all_ = Crowd(self.COUNT, silent=0)
        crowd = Crowd(self.COUNT, silent=2000)
        for each in (all_, crowd):
            for payload in (b"1", b"2", b"3"):
                each.change(payload)
                each.live(60.0)
        others = [peer for peer in map(crowd.peer, range(self.COUNT)) if peer not in crowd.silent]
        self.assertEqual(8000, len(others))
        told = {crowd.told[peer, payload] for peer in others for payload in (b"1", b"2", b"3")}
        self.assertEqual({1}, told)
        self.assertLess(max(crowd.late), 1.5 * max(all_.late))
        self.assertEqual(2000, len(crowd.ended))
        self.assertEqual(8000, crowd.machine.sizes()["observers"])
        for relation in crowd.relations:
            crowd.machine.notifier.end(relation, crowd.now)
        crowd.live(2.1 * DEFAULT_PARAMETERS.EXCHANGE_LIFETIME)
        self.assertEqual(crowd.empty, crowd.machine.sizes())
