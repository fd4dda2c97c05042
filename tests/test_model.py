"""
Both sides through a network that gets better and worse, against a model that is simpler than either: what
is asked runs at most once and ends once, what succeeded ran, observers come to the state as it is, tables
keep to their limits, and in the end are empty.

Hypothesis chooses what happens; the network's own chance is seeded.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.errors import CoAPError, RequestError
from txcoap.limits import Limits
from txcoap.memory import CLIENT_HOST, SERVER_HOST
from txcoap.observation import Observation
from txcoap.observe import ObservableResource
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.request import Request
from txcoap.resource import Resource
from txcoap.server import Site
from txcoap.testing import MemoryNetwork

CLIENTS = 3
LIMITS = Limits(
    rememberedBytes=20_000,
    rememberedReply=100,
    peers=20,
    queuedRequests=8,
    pendingRequests=12,
    uploads=4,
    uploadBytes=4_000,
    bodyBytes=2_000,
    downloads=4,
    downloadBytes=8_000,
    observers=8,
)
# What is remembered may exceed its limit by one reply.
BOUNDS = {
    name: getattr(LIMITS, name) + (1_200 if name == "rememberedBytes" else 0) for name in Limits.__slots__
}
REFUSALS = {Code.SERVICE_UNAVAILABLE, Code.TOO_MANY_REQUESTS, Code.REQUEST_ENTITY_INCOMPLETE}
LIFETIME = DEFAULT_PARAMETERS.EXCHANGE_LIFETIME
BLOCK = 64


class Once(Resource):
    """
    Keeps what was posted, by its first word; answers at once, late, or in blocks.

    @ivar runs: How often each came.
    """

    isLeaf = True

    def __init__(self, reactor: Any) -> None:
        self.runs: Counter[bytes] = Counter()
        self._reactor = reactor

    def render_POST(self, request: Request) -> Any:
        """What came back tells how often it came."""
        name = request.payload.split(b" ")[0]
        self.runs[name] += 1
        body = b"%s ran %d" % (name, self.runs[name])
        if request.query == ("late",):
            return deferLater(self._reactor, 3.0, lambda: body)
        return body.ljust(3 * BLOCK) if request.query == ("long",) else body


class State(ObservableResource):
    """A number, told to observers, in as many blocks as it is to take."""

    maxAge = 30

    def __init__(self, blocks: int, confirmable: bool) -> None:
        self.value = 0
        self.confirmable = confirmable
        self._length = BLOCK * (blocks - 1) + 8

    def render_GET(self, request: Request) -> bytes:
        """The number."""
        return (b"%d" % self.value).ljust(self._length)


class World(RuleBasedStateMachine):
    """The model: a counter for each request, and one number for each state."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.open: dict[bytes, Deferred[Any]] = {}
        self.wrong: list[Failure] = []
        self.ends: Counter[bytes] = Counter()
        self.succeeded: set[bytes] = set()
        self.observations: list[tuple[State, Observation, list[int]]] = []

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        """A server, its clients, and a network as bad as it can be without being silent."""
        self.network = MemoryNetwork(seed=seed, loss=0.2, duplication=0.2, reordering=0.3, latency=0.05)
        self.once = Once(self.network.reactor)
        self.states = {"one": State(1, True), "many": State(4, False)}
        root = Resource()
        root.putChild("once", self.once)
        for name, state in self.states.items():
            root.putChild(name, state)
        self.server = self.network.listen(Site(root, limits=LIMITS, blockSize=BLOCK)).protocol
        self.clients = [self._newClient(40000 + n) for n in range(CLIENTS)]
        self.protocols = [self.server, *(port.protocol for port in self.network._ports.values())]

    def _newClient(self, port: int) -> Agent:
        protocol = self.network.newProtocol(limits=LIMITS)
        self.network.listen(protocol, CLIENT_HOST, port)
        return Agent(self.network.reactor, protocol=protocol, blockSize=BLOCK)

    @rule(
        client=st.integers(0, CLIENTS - 1),
        query=st.sampled_from(["", "?late", "?long"]),
        length=st.sampled_from([0, 0, 3 * BLOCK]),
        confirmable=st.booleans(),
    )
    def post(self, client: int, query: str, length: int, confirmable: bool) -> None:
        """A client asks for something that must not be done twice, in one message or in blocks."""
        self.asked += 1
        name = b"%d" % self.asked
        body = name + b" " + bytes(length)
        uri = f"coap://{SERVER_HOST}/once{query}"
        asking = self.clients[client].post(uri, body, confirmable=confirmable)
        self.open[name] = asking
        asking.addBoth(self._ended, name).addErrback(self.wrong.append)

    def _ended(self, result: Any, name: bytes) -> None:
        self.ends[name] += 1
        self.open.pop(name, None)
        if isinstance(result, Failure):
            result.trap(RequestError, CancelledError)
        elif result.code == Code.CHANGED:
            assert result.payload.rstrip() == name + b" ran 1", result.payload
            self.succeeded.add(name)
        else:
            # Refused: no room, or the rest of a body came when the first was forgotten.
            assert result.code in REFUSALS, result

    @rule()
    def cancel(self) -> None:
        """Who asked first does not care any more."""
        for asking in list(self.open.values())[:1]:
            asking.cancel()

    @rule(client=st.integers(0, CLIENTS - 1), name=st.sampled_from(["one", "many"]))
    def observe(self, client: int, name: str) -> None:
        """A client observes."""
        observing = self.clients[client].observe(f"coap://{SERVER_HOST}/{name}")
        observing.addCallback(self._observes, self.states[name])
        observing.addErrback(lambda failure: failure.trap(CoAPError)).addErrback(self.wrong.append)

    def _observes(self, observation: Observation | None, state: State) -> None:
        if observation is not None:
            seen: list[int] = []
            observation.subscribe(lambda response: seen.append(int(response.payload)))
            self.observations.append((state, observation, seen))

    @rule(lazily=st.booleans())
    def leave(self, lazily: bool) -> None:
        """The first observer has seen enough."""
        for _, observation, _ in self.observations[:1]:
            observation.cancel(lazily=lazily).addErrback(lambda failure: failure.trap(RequestError))
        del self.observations[:1]

    @rule(name=st.sampled_from(["one", "many"]), times=st.integers(1, 5))
    def change(self, name: str, times: int) -> None:
        """A state changes, now and then faster than can be told."""
        state = self.states[name]
        for _ in range(times):
            state.value += 1
            state.notifyObservers()

    @rule(loss=st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0]))
    def weather(self, loss: float) -> None:
        """The network gets better, or worse."""
        self.network.loss = loss

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.0, 10.0, 60.0, 200.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.network.advance(seconds)

    @invariant()
    def bounded(self) -> None:
        """Every table keeps to its limit."""
        for protocol in getattr(self, "protocols", ()):
            for name, size in protocol.sizes().items():
                assert size <= BOUNDS.get(name, size), (name, size)

    @invariant()
    def once_(self) -> None:
        """Nothing runs or ends twice."""
        assert not self.wrong, self.wrong[0].getTraceback()
        assert not [name for name, count in self.ends.items() if count > 1]
        if hasattr(self, "once"):
            assert not [name for name, count in self.once.runs.items() if count > 1], self.once.runs

    def teardown(self) -> None:
        """The network is good at last."""
        if not hasattr(self, "network"):
            return
        self.network.loss = 0.0
        self.network.advance(2 * LIFETIME)
        self.once_()
        assert not self.open, self.open
        assert set(self.ends) == {b"%d" % number for number in range(1, self.asked + 1)}
        assert self.succeeded <= set(self.once.runs)
        self.change("one", 1)
        self.change("many", 1)
        self.network.advance(100.0)
        for state, observation, seen in self.observations:
            if observation.reason is None:
                assert seen[-1] == state.value, (seen, state.value)
            assert seen == sorted(seen), seen
        while self.observations:
            self.leave(lazily=False)
        self.network.advance(4 * LIFETIME)
        for protocol in self.protocols:
            assert not any(protocol.sizes().values()), protocol.sizes()
        assert not self.network.clock.getDelayedCalls()
        self.network.close()


class ModelTests(SynchronousTestCase):
    """The model and what it is a model of."""

    def test_agree(self) -> None:
        """They agree, whatever happens in whichever order."""
        run_state_machine_as_test(
            World,
            settings=settings(
                deadline=None,
                derandomize=True,
                max_examples=40,
                stateful_step_count=40,
                # What fails is a long way: to make it shorter takes minutes.
                phases=[Phase.explicit, Phase.generate],
                report_multiple_bugs=False,
            ),
        )
        self.assertEqual(self.flushLoggedErrors(), [])
