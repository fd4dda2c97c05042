"""
A mixed load on a server: GET, POST, bodies in blocks both ways, separate responses, observers who come and
go. C{benchmarks.day} and C{benchmarks.soak} run it.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from txcoap import Agent, ObservableResource, Request, Resource
from txcoap.errors import CoAPError

__all__ = ["Mixed", "Tree"]

BODY = bytes(range(250)) * 12

# Requests of one client under way at a time: beyond, it waits until one has ended, as else they would queue
# without end wherever losses hold up the one whose turn it is (NSTART is 1).
PATIENCE = 2

# What clients do, as often as it is here. More come to observe than leave, so that there are nearly as many
# as may be: what each of them remembers of notifications would otherwise grow and shrink with their number.
ACTIONS = (
    *("get", "get", "get", "get", "post", "post", "slow", "download", "upload"),
    *("observe", "observe", "leave"),
)


class _Text(Resource):
    isLeaf = True

    def render_GET(self, request: Request) -> str:
        return "Hello, world!"


class _Large(Resource):
    """Answers with 3,000 bytes, and takes them."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return BODY

    def render_PUT(self, request: Request) -> str:
        return str(len(request.payload))


class _Slow(Resource):
    isLeaf = True

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def render_GET(self, request: Request) -> Any:
        return deferLater(self._reactor, 0.5, lambda: "at last")


class _Once(Resource):
    """
    Takes what must not come twice: the client's number, and a number that it counts.

    @ivar twice: How often something did.
    """

    isLeaf = True

    def __init__(self) -> None:
        self.twice = 0
        self._seen: defaultdict[bytes, deque[bytes]] = defaultdict(lambda: deque(maxlen=32))

    def render_POST(self, request: Request) -> bytes:
        client, _, number = request.payload.partition(b" ")
        self.twice += number in self._seen[client]
        self._seen[client].append(number)
        return number


class _Clock(ObservableResource):
    """The time, told as often as it is asked to be."""

    maxAge = 3600

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def render_GET(self, request: Request) -> str:
        return str(self._reactor.seconds())


class Tree:
    """
    What is served.

    @param period: Seconds between two states of what is observed.
    @ivar root: The resource at the root.
    """

    def __init__(self, reactor: Any, period: float) -> None:
        self.once = _Once()
        self.root = Resource()
        self._clock = _Clock(reactor)
        self._reactor = reactor
        self._period = period
        self._ticking: Any = reactor.callLater(period, self._tick)
        for name, resource in {
            "text": _Text(),
            "large": _Large(),
            "slow": _Slow(reactor),
            "once": self.once,
            "clock": self._clock,
        }.items():
            self.root.putChild(name, resource)

    def _tick(self) -> None:
        self._clock.notifyObservers()
        self._ticking = self._reactor.callLater(self._period, self._tick)

    def stop(self) -> None:
        """Nothing changes any more, and nobody observes."""
        self._ticking.cancel()
        self._clock.dismissObservers()


class Mixed:
    """
    Clients that do something now and then, each for itself.

    @param pause: Seconds between two things that one client does, on average.
    @param observers: How many observe at a time, at most.
    @ivar begun: How often each thing was begun.
    @ivar ended: How often each ended with a response.
    @ivar failed: How often requests failed, by the error; and what was answered with an error, by its code.
    @ivar states: How many states observers were told.
    """

    def __init__(
        self, reactor: Any, chance: Random, agents: Sequence[Agent], uri: str, pause: float, observers: int
    ) -> None:
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.states = 0
        self._reactor = reactor
        self._chance = chance
        self._uri = uri
        self._pause = pause
        self._maximum = observers
        self._observations: list[Any] = []
        self._number = 0
        self._busy: Counter[int] = Counter()
        self._isStopped = False
        for number, agent in enumerate(agents):
            reactor.callLater(chance.random() * pause, self._act, number, agent)

    @property
    def open(self) -> int:
        """How many requests are under way."""
        return sum(self.begun.values()) - sum(self.ended.values()) - sum(self.failed.values())

    def stop(self) -> None:
        """Begin nothing more, and observe no longer."""
        self._isStopped = True
        while self._observations:
            self._leave()

    def _act(self, number: int, agent: Agent) -> None:
        if self._isStopped:
            return
        what = self._chance.choice(ACTIONS)
        if self._busy[number] >= PATIENCE:
            pass
        elif what == "leave" or (what == "observe" and len(self._observations) >= self._maximum):
            self._leave()
        else:
            self._begin(what, number, agent)
        self._reactor.callLater(self._chance.expovariate(1 / self._pause), self._act, number, agent)

    def _begin(self, what: str, number: int, agent: Agent) -> None:
        uri = self._uri
        self.begun[what] += 1
        self._number += 1
        self._busy[number] += 1
        if what == "get":
            asking = agent.get(f"{uri}/text", confirmable=self._chance.random() < 0.9)
        elif what == "post":
            asking = agent.post(f"{uri}/once", b"%d %d" % (number, self._number))
        elif what == "upload":
            asking = agent.put(f"{uri}/large", BODY)
        elif what == "observe":
            asking = agent.observe(f"{uri}/clock")
            asking.addCallback(self._observe)
        else:
            asking = agent.get(f"{uri}/{'slow' if what == 'slow' else 'large'}")
        asking.addCallbacks(self._succeeded, self._failedWith, (what,)).addBoth(self._over, number)

    def _over(self, result: object, number: int) -> object:
        self._busy[number] -= 1
        return result

    def _observe(self, observation: Any) -> Any:
        observation.subscribe(self._told)
        self._observations.append(observation)
        if self._isStopped:
            self._leave()
        return None

    def _told(self, state: Any) -> None:
        self.states += 1

    def _leave(self) -> None:
        if self._observations:
            leaving = self._observations.pop(self._chance.randrange(len(self._observations)))
            leaving.cancel().addErrback(lambda failure: failure.trap(CoAPError))

    def _succeeded(self, response: Any, what: str) -> None:
        if response is None or response.code.isSuccess:
            self.ended[what] += 1
        else:
            self.failed[response.code.dotted] += 1

    def _failedWith(self, failure: Failure) -> None:
        failure.trap(CoAPError)
        self.failed[type(failure.value).__name__] += 1
