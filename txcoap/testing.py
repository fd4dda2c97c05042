"""
For tests of what is made with txcoap, and of txcoap itself: a network without sockets, and who lives on
it.

  - L{StubAgent} asks your resources, as L{Agent<txcoap.client.Agent>} does, all within the test.
  - L{MemoryNetwork} carries datagrams between any number of protocols, as badly as it is told to.
  - L{ScriptedPeer} says what your test has it say, and fails the test if it hears anything unexpected.

Nothing here opens a socket, waits for real time, or is random without a seed. Time is a
L{twisted.internet.task.Clock}: datagrams arrive, and time-outs pass, when the test advances it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from zope.interface import implementer

from .addresses import describeAddress
from .client import Agent
from .codes import Code
from .errors import FormatError
from .interfaces import IDatagramReceiver, ISite
from .limits import DEFAULT_LIMITS, Limits
from .memory import CLIENT_HOST, COAP_PORT, SERVER_HOST, MemoryNetwork, MemoryPort, Passage
from .networkreactor import NetworkReactor
from .options import NO_OPTIONS, Options
from .parameters import Parameters
from .protocol import Trace
from .sansio.datagrams import ACK, CON, NON, RST, Datagram, Type, decode, empty, encode
from .server import Site
from .uri import URI

__all__ = ["MemoryNetwork", "MemoryPort", "Passage", "ScriptedPeer", "Step", "StubAgent"]

PEER_HOST = "192.0.2.3"


class StubAgent(Agent):
    """
    An agent that asks resources of yours: through everything that a real request goes through, but the
    sockets::

        agent = StubAgent(root)
        response = self.successResultOf(agent.get("coap://test/light"))

    What a resource answers at once is there at once. For what it answers later, let time pass by
    L{advance}, or call L{flush} after the test made the answer ready. Any host name is the server's.

    @param served: A resource, or a L{Site}.
    @param parameters: The client's transmission parameters.
    @param limits: The client's limits.
    @param trace: Sees every datagram, as with L{Agent}.
    @param network: A network to use, whose time and badness it shares.
    @param how: What else L{Agent} takes and is not about its sockets, such as C{blockSize}.
    @ivar site: The L{Site}.
    @ivar network: The L{MemoryNetwork} between the two.
    @ivar clock: Its time.
    @ivar serverPort: The server's L{MemoryPort}.
    @ivar clientPort: The agent's.
    """

    def __init__(
        self,
        served: Any,
        *,
        parameters: Parameters | None = None,
        limits: Limits = DEFAULT_LIMITS,
        trace: Trace | None = None,
        network: MemoryNetwork | None = None,
        **how: Any,
    ) -> None:
        self.network = network or MemoryNetwork()
        self.clock = self.network.clock
        self.site = served if ISite.providedBy(served) else Site(served)
        self.serverPort = self.network.listen(self.site)
        client = self.network.newProtocol(parameters=parameters, limits=limits, trace=trace)
        self.clientPort = self.network.listen(client, CLIENT_HOST, 0)
        reactor = NetworkReactor(self.clock, defaultdict(lambda: SERVER_HOST))
        super().__init__(reactor, protocol=client, **how)

    def request(
        self, method: Code | str | int, uri: str | URI | None = None, *args: Any, **how: Any
    ) -> Deferred[Any]:
        """Ask, as L{Agent.request} does, and deliver what takes no time."""
        asking = super().request(method, uri, *args, **how)
        self.flush()
        return asking

    def ping(self, uri: str | URI, *, timeout: float | None = None) -> Deferred[None]:
        """Ask whether the server is there, and deliver what takes no time."""
        asking = super().ping(uri, timeout=timeout)
        self.flush()
        return asking

    def flush(self) -> None:
        """Deliver what takes no time."""
        self.network.flush()

    def advance(self, seconds: float) -> None:
        """Let time pass; see L{MemoryNetwork.advance}."""
        self.network.advance(seconds)


class Step:
    """
    One message that a L{ScriptedPeer} expects, and what it does then; made by L{ScriptedPeer.expect}.

    Each of the methods adds something that the peer sends, and returns the step.

    @ivar wanted: What the message must have, by name.
    @ivar times: How often it is still to come.
    @ivar replies: What is sent then: after how many seconds, and what writes it.
    """

    def __init__(self, wanted: dict[str, Any], times: int) -> None:
        self.wanted = wanted
        self.times = times
        self.replies: list[tuple[float, Callable[[Datagram, int], bytes]]] = []

    def acknowledge(self, after: float = 0.0) -> Step:
        """
        Send an empty acknowledgement.

        @param after: Seconds to wait before.
        """
        return self._add(after, lambda heard, _: empty(ACK, heard.messageID))

    def reset(self, after: float = 0.0) -> Step:
        """Send a Reset."""
        return self._add(after, lambda heard, _: empty(RST, heard.messageID))

    def reply(
        self,
        code: Code | str | int,
        payload: bytes = b"",
        *,
        type: Type | None = None,
        messageID: int | None = None,
        token: bytes | None = None,
        after: float = 0.0,
        options: Options = NO_OPTIONS,
        **values: Any,
    ) -> Step:
        """
        Send a response.

        @param code: A L{Code}, or what makes one: C{"2.05"}.
        @param type: By default an acknowledgement of what is confirmable, else non-confirmable.
        @param messageID: By default the one heard in an acknowledgement, else one of the peer's own.
        @param token: By default the one heard.
        @param after: Seconds to wait before.
        @param values: More options by accessor name, as for L{Options}.
        """
        carried = options.evolve(**values)

        def write(heard: Datagram, ownID: int) -> bytes:
            kind = type
            if kind is None:
                kind = ACK if heard.type == CON else NON
            number = messageID
            if number is None:
                number = heard.messageID if kind == ACK else ownID
            answered = heard.token if token is None else token
            return encode(kind, Code(code), number, answered, carried, payload)

        return self._add(after, write)

    def raw(self, data: bytes, after: float = 0.0) -> Step:
        """Send these bytes, whatever they are."""
        return self._add(after, lambda heard, ownID: data)

    def _add(self, after: float, write: Callable[[Datagram, int], bytes]) -> Step:
        self.replies.append((after, write))
        return self

    def mismatch(self, heard: Datagram) -> str:
        """What is not as it was wanted; empty if all is."""
        for name, value in self.wanted.items():
            found = getattr(heard if name in Datagram.__slots__ else heard.options, name)
            if found != value:
                return f"{name} is {found!r}, not {value!r}"
        return ""

    def __repr__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.wanted.items()) or "anything"


@implementer(IDatagramReceiver)
class ScriptedPeer:
    """
    A peer that expects the messages that a test tells it, in order, and answers as it is told::

        peer = ScriptedPeer(network)
        self.addCleanup(peer.check)
        peer.expect(code=Code.GET, uriPath=("light",)).reply("2.05", b"on")

    Any other message raises C{AssertionError}, from the call that advanced the clock.

    @param network: Where it lives.
    @param host: Its own IP address.
    @param port: Its own port.
    @ivar heard: Every message that came, with the address that it came from.
    @ivar address: The peer's own address.
    """

    noisy = False

    def __init__(self, network: MemoryNetwork, host: str = PEER_HOST, port: int = COAP_PORT) -> None:
        self.heard: list[tuple[Datagram, Any]] = []
        self._clock = network.clock
        self._steps: deque[Step] = deque()
        self._failure = ""
        self._messageID = 0
        self._port = network.listen(self, host, port)
        self.address = self._port.address

    def __repr__(self) -> str:
        steps = "; ".join(map(repr, self._steps))
        return f"<ScriptedPeer at {describeAddress(self._port.getHost())}, expecting {steps or 'nothing'}>"

    def expect(self, *, times: int = 1, **wanted: Any) -> Step:
        """
        Expect a message, after those expected before.

        @param times: How often it is to come, as when it is repeated; answers follow the last.
        @param wanted: What it must have: C{type}, C{code}, C{messageID}, C{token}, C{payload}, C{options},
            or an option by accessor name, such as C{uriPath=("light",)} or C{accept=None}.
        @raise ValueError: for a name of something else.
        """
        for name in wanted:
            if name not in Datagram.__slots__ and not hasattr(Options, name):
                raise ValueError(f"messages have no {name!r}")
        if "code" in wanted:
            wanted["code"] = Code(wanted["code"])
        step = Step(wanted, times)
        self._steps.append(step)
        return step

    def send(
        self,
        to: Any,
        type: Type,
        code: Code | str | int,
        token: bytes = b"",
        payload: bytes = b"",
        *,
        messageID: int | None = None,
        options: Options = NO_OPTIONS,
        **values: Any,
    ) -> int:
        """
        Send a message that nothing called for.

        @param to: An address, such as a L{MemoryPort.address}.
        @param values: Options by accessor name.
        @return: Its message ID, by default one of the peer's own.
        """
        number = self._nextID() if messageID is None else messageID
        carried = options.evolve(**values)
        self._port.send(encode(type, Code(code), number, token, carried, payload), to)
        return number

    def check(self) -> None:
        """
        See that all went as told: every message came that was expected, and no other.

        @raise AssertionError: if not.
        """
        if self._failure:
            raise AssertionError(self._failure)
        if self._steps:
            raise AssertionError(f"{self.address} did not hear {self._steps[0]}")

    # The network's side

    def makeConnection(self, transport: Any) -> None:
        """See L{IDatagramReceiver}."""

    def doStop(self) -> None:
        """See L{IDatagramReceiver}."""

    def datagramReceived(self, data: bytes, peer: Any, local: Any = None) -> None:
        """See L{IDatagramReceiver}."""
        try:
            heard = decode(data)
        except FormatError as e:
            self._fail(f"{self.address} heard what is no message ({e}): {data.hex()}")
        self.heard.append((heard, peer))
        if not self._steps:
            self._fail(f"{self.address} expected nothing, and heard {heard}")
        step = self._steps[0]
        mismatch = step.mismatch(heard)
        if mismatch:
            self._fail(f"{self.address} expected {step}, and heard {heard}: {mismatch}")
        step.times -= 1
        if not step.times:
            self._steps.popleft()
            for after, write in step.replies:
                self._clock.callLater(after, self._port.send, write(heard, self._nextID()), peer)

    def datagramUnreachable(self, data: bytes, peer: Any, error: int) -> None:
        """See L{IDatagramReceiver}: what is sent to nobody is the test's affair."""

    def turnEnded(self) -> None:
        """See L{IDatagramReceiver}."""

    def _fail(self, failure: str) -> NoReturn:
        self._failure = self._failure or failure
        raise AssertionError(failure)

    def _nextID(self) -> int:
        self._messageID += 1
        return self._messageID
