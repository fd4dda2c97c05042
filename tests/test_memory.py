"""
Tests for L{txcoap.memory}: the network of L{txcoap.testing}.
"""

from __future__ import annotations

import errno
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.recorders import Hearing
from txcoap import Code, Limits, Parameters, Request, Resource, Site
from txcoap.errors import (
    NameNotFound,
    NoAcknowledgement,
    SocketClosed,
    Unreachable,
)
from txcoap.interfaces import ITransport
from txcoap.networkreactor import NetworkClock
from txcoap.sansio.datagrams import CON, Datagram, empty
from txcoap.testing import MemoryNetwork


class Counting(Resource):
    """Answers GET with the path, and POST with how often it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        self.count = 0

    def render_GET(self, request: Request) -> bytes:
        return b"/".join(each.encode() for each in request.postpath)

    def render_POST(self, request: Request) -> bytes:
        self.count += 1
        return b"%d" % self.count


class MemoryNetworkTests(SynchronousTestCase):
    """Datagrams from protocol to protocol."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=1)
        self.far = Hearing()
        self.target = self.network.listen(self.far)
        self.port = self.network.listen(Hearing(), "192.0.2.9", 1000)

    def send(self, *datagrams: bytes, to: Any = None) -> None:
        """Send some datagrams at once."""
        for data in datagrams:
            self.assertIsNone(self.port.send(data, to or self.target.address))

    def heard(self) -> list[bytes]:
        """What arrived by now."""
        return [data for data, _ in self.far.heard]

    def test_interfaces(self) -> None:
        """Its sockets are ports and transports."""
        verifyObject(ITransport, self.port)
        verifyObject(IListeningPort, self.port)

    def test_delivered(self) -> None:
        """What is sent arrives when the clock is advanced, with the address of the sender."""
        self.send(b"a", b"b")
        self.assertEqual(self.far.heard, [])
        self.network.flush()
        self.assertEqual(self.far.heard, [(b"a", ("192.0.2.9", 1000)), (b"b", ("192.0.2.9", 1000))])

    def test_write(self) -> None:
        """A protocol that knows no ITransport can write, as to Twisted's own ports."""
        self.port.write(b"a", self.target.address)
        self.network.flush()
        self.assertEqual(self.heard(), [b"a"])

    def test_latency(self) -> None:
        """The way takes time, on the clock that was given."""
        clock = Clock()
        network = MemoryNetwork(clock, latency=0.5)
        far = Hearing()
        target = network.listen(far)
        network.listen(Hearing(), "192.0.2.8").send(b"a", target.address)
        clock.advance(0.49)
        self.assertEqual(far.heard, [])
        clock.advance(0.02)
        self.assertEqual(far.heard, [(b"a", ("192.0.2.8", 5683))])

    def test_loss(self) -> None:
        """So many are lost, by chance; it can be changed at any time."""
        self.network.loss = 0.3
        self.send(*[b"%d" % each for each in range(1000)])
        self.network.flush()
        self.assertTrue(600 < len(self.heard()) < 800)
        counts = self.network.counts
        self.assertEqual((counts["sent"], counts["delivered"] + counts["lost"]), (1000, 1000))
        self.network.loss = 0.0
        self.send(b"last")
        self.network.flush()
        self.assertEqual(self.heard()[-1], b"last")

    def test_duplication(self) -> None:
        """So many arrive twice."""
        self.network.duplication = 0.5
        self.send(*[b"%d" % each for each in range(1000)])
        self.network.flush()
        self.assertTrue(1400 < len(self.heard()) < 1600)
        self.assertEqual(len(self.heard()), 1000 + self.network.counts["duplicated"])

    def test_reordering(self) -> None:
        """So many are overtaken by later ones; all arrive."""
        self.network.reordering = 0.2
        self.send(*[b"%03d" % each for each in range(500)])
        self.network.advance(1.0)
        self.assertNotEqual(self.heard(), sorted(self.heard()))
        self.assertEqual(len(set(self.heard())), 500)
        self.assertTrue(50 < self.network.counts["reordered"] < 150)

    def test_seeded(self) -> None:
        """The same seed gives the same fate; another seed another one."""

        def fates(seed: int) -> list[str]:
            network = MemoryNetwork(seed=seed, loss=0.5)
            port = network.listen(Hearing())
            for _ in range(50):
                port.send(b"x", port.address)
            return [passage.fate for passage in network.passages]

        self.assertEqual(fates(1), fates(1))
        self.assertNotEqual(fates(1), fates(2))

    def test_passages(self) -> None:
        """What went by is recorded: when, whence, where to, what, and what became of it."""
        self.network.advance(3.0)
        self.send(b"a")
        passage = self.network.passages[0]
        self.assertEqual(
            (passage.time, passage.source, passage.target, passage.data, passage.fate),
            (3.0, self.port.address, self.target.address, b"a", "sent"),
        )
        self.assertIsNone(passage.datagram)
        self.network.flush()
        self.assertEqual(passage.fate, "delivered")
        self.send(empty(CON, 7), to=("192.0.2.77", 1))
        self.network.flush()
        self.assertEqual(self.network.passages[1].datagram, Datagram(CON, Code.EMPTY, 7))
        self.assertEqual(self.network.passages[1].fate, "nobody")
        self.assertIn("CON 0.00 Empty ID 7", repr(self.network.passages[1]))
        self.assertIn("b'a'", repr(passage))

    def test_drop(self) -> None:
        """Certain datagrams can be lost, until that is ended."""
        end = self.network.drop(lambda passage: passage.data.startswith(b"a"))
        self.send(b"a1", b"b1", b"a2")
        end()
        self.send(b"a3")
        self.network.flush()
        self.assertEqual(self.heard(), [b"b1", b"a3"])

    def test_dropSome(self) -> None:
        """Or so many of them."""
        self.network.drop(lambda passage: True, times=2)
        self.send(b"1", b"2", b"3")
        self.network.flush()
        self.assertEqual(self.heard(), [b"3"])
        self.assertEqual([each.fate for each in self.network.passages], ["lost", "lost", "delivered"])

    def test_advance(self) -> None:
        """What is due along the way happens at its own time."""
        times: list[float] = []

        def again() -> None:
            times.append(self.network.clock.seconds())
            self.network.clock.callLater(1.1, again)

        again()
        self.network.advance(4.0)
        self.assertEqual([round(each, 6) for each in times], [0.0, 1.1, 2.2, 3.3])
        self.assertEqual(self.network.clock.seconds(), 4.0)

    def test_advanceRounded(self) -> None:
        """Times that rounding would miss are met."""
        chance = Random(1)
        missed = 0
        for _ in range(1000):
            calls: list[str] = []
            network = MemoryNetwork()
            now, due = chance.random(), 2 + 3 * chance.random()
            missed += now + (due - now) < due
            network.clock.callLater(due, calls.append, "called")
            network.advance(now)
            network.advance(5.0)
            self.assertEqual(calls, ["called"])
        self.assertTrue(missed > 5)

    def test_tooLong(self) -> None:
        """What does not fit a datagram is refused, as the system does."""
        self.assertEqual(self.port.send(bytes(65508), self.target.address), errno.EMSGSIZE)
        self.assertEqual(self.network.counts["sent"], 0)

    def test_addressInUse(self) -> None:
        """An address is one socket's."""
        self.assertRaises(CannotListenError, self.network.listen, Hearing(), "192.0.2.9", 1000)

    def test_freePort(self) -> None:
        """Port 0 is a free one."""
        first = self.network.listen(Hearing(), "192.0.2.9", 0)
        second = self.network.listen(Hearing(), "192.0.2.9", 0)
        self.assertNotEqual(first.address, second.address)

    def test_closed(self) -> None:
        """A closed socket hears nothing; its address is free again."""
        self.send(b"a")
        self.target.stopListening()
        self.target.stopListening()
        self.network.flush()
        self.assertEqual(self.heard(), [b"stopped"])
        self.network.listen(Hearing())

    def test_close(self) -> None:
        """Closing the network closes every socket."""
        self.network.close()
        self.assertEqual(self.heard(), [b"stopped"])

    def test_addresses(self) -> None:
        """Addresses are written as sockets write them, IPv4 and IPv6."""
        port = self.network.listen(Hearing(), "2001:db8::1")
        self.assertEqual(port.address, ("2001:db8::1", 5683, 0, 0))
        self.assertEqual(port.toPeer("2001:db8::2", 7), ("2001:db8::2", 7, 0, 0))
        self.assertEqual(self.port.toPeer("192.0.2.1", 7), ("192.0.2.1", 7))
        self.assertRaises(ValueError, port.toPeer, "192.0.2.1", 7)
        self.assertRaises(ValueError, self.port.toPeer, "::1", 7)
        self.assertEqual(
            repr(port.getHost()),
            "IPv6Address(type='UDP', host='2001:db8::1', port=5683, flowInfo=0, scopeID=0)",
        )
        self.assertEqual(self.port.getHost().port, 1000)  # type: ignore[attr-defined]


class NetworkClockTests(SynchronousTestCase):
    """The time of a network goes as Twisted's C{Clock}, and is faster with many calls."""

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["later", "cancel", "reset", "delay", "advance"]),
                st.integers(0, 9),
                st.integers(0, 6),
            ),
            max_size=40,
        )
    )
    @settings(deadline=None, max_examples=200, derandomize=True)
    def test_asTwisteds(self, steps: list[tuple[str, int, int]]) -> None:
        """Whatever is made, cancelled and put off, the same is called, in the order, at the same time."""
        self.assertEqual(self.live(NetworkClock(), steps), self.live(Clock(), steps))

    def live(self, clock: Clock, steps: list[tuple[str, int, int]]) -> list[tuple[int, float]]:
        """What is called, and when."""
        called: list[tuple[int, float]] = []
        made: list[Any] = []

        def act(number: int) -> None:
            called.append((number, clock.seconds()))
            if number % 3 == 0:
                make(number % 4)

        def make(delay: int) -> None:
            made.append(clock.callLater(delay, act, len(made)))

        for what, which, seconds in steps:
            waiting = [call for call in made if call.active()]
            if what == "later":
                make(seconds)
            elif what == "advance":
                # A delay in steps: a call that is made on the way may be due as well.
                for _ in range(seconds):
                    clock.advance(1)
            elif waiting:
                call = waiting[which % len(waiting)]
                call.cancel() if what == "cancel" else getattr(call, what)(seconds)
        times = sorted(call.getTime() for call in clock.getDelayedCalls())
        return [*called, *((-1, time) for time in times)]

    def test_crowd(self) -> None:
        """Ten thousand calls are made and done without sorting them all each time."""
        clock = NetworkClock()
        counted = Counted()
        clock._sort = counted  # type: ignore[method-assign]
        for n in range(10_000):
            clock.callLater(n % 7, counted)
        self.assertEqual(counted.calls, 0)
        clock.advance(7)
        self.assertEqual(counted.calls, 10_000)


class Counted:
    """Counts its calls."""

    calls = 0

    def __call__(self, *_: Any) -> None:
        self.calls += 1


class NetworkedAgentTests(SynchronousTestCase):
    """Agents and sites on a network."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(latency=0.01)
        self.resource = Counting()
        self.server = self.network.listen(Site(self.resource))
        self.agent = self.network.agent()

    def test_answer(self) -> None:
        """An agent asks a site by its address."""
        asked = self.agent.get("coap://192.0.2.1/a/b")
        self.assertNoResult(asked)
        self.network.advance(0.03)
        self.assertEqual(self.successResultOf(asked).payload, b"a/b")

    def test_ipv6(self) -> None:
        """By an IPv6 address too."""
        self.network.listen(Site(self.resource), "2001:db8::1")
        asked = self.network.agent("2001:db8::2").get("coap://[2001:db8::1]/a")
        self.network.advance(0.03)
        self.assertEqual(self.successResultOf(asked).payload, b"a")

    def test_names(self) -> None:
        """By a name of the network's; others do not exist."""
        self.network.names["lamp"] = "192.0.2.1"
        asked = self.agent.get("coap://lamp/a")
        self.network.advance(0.03)
        self.assertEqual(self.successResultOf(asked).payload, b"a")
        self.failureResultOf(self.agent.get("coap://lump/a"), NameNotFound)

    def test_lossy(self) -> None:
        """With losses and duplicates each request is answered, and runs once."""
        self.network.loss = 0.2
        self.network.duplication = 0.2
        for count in range(1, 21):
            asked = self.agent.post("coap://192.0.2.1/")
            self.network.advance(93)
            self.assertEqual(self.successResultOf(asked).payload, b"%d" % count)

    def test_acknowledgementLost(self) -> None:
        """A lost acknowledgement makes the client repeat; the server answers again, and runs it once."""
        self.network.drop(lambda passage: passage.source == self.server.address, times=2)
        asked = self.agent.post("coap://192.0.2.1/")
        self.network.advance(9.1)
        self.assertEqual(self.successResultOf(asked).payload, b"1")
        asking = [each for each in self.network.passages if each.target == self.server.address]
        self.assertEqual(len({each.data for each in asking}), 1)
        self.assertEqual(len(asking), 3)

    def test_nobody(self) -> None:
        """Where no host is, nothing is heard; the request times out."""
        asked = self.agent.get("coap://192.0.2.200/")
        self.network.advance(93.0)
        self.failureResultOf(asked, NoAcknowledgement)

    def test_closedPort(self) -> None:
        """Where a host is, but nothing listens, the request fails at once."""
        asked = self.agent.get("coap://192.0.2.1:1/")
        self.network.advance(0.03)
        error = self.failureResultOf(asked, Unreachable).value
        self.assertEqual(error.errno, errno.ECONNREFUSED)

    def test_closedPortOfPlainProtocol(self) -> None:
        """A protocol that does not want to know of closed ports is not told, nor one that has gone."""
        for stop in (False, True):
            port = self.network.listen(Hearing(), "192.0.2.50", 0)
            port.send(b"x", ("192.0.2.1", 1))
            if stop:
                port.stopListening()
            self.network.advance(1.0)

    def test_parameters(self) -> None:
        """An agent takes parameters and limits; a site brings its own."""
        sited = Site(Counting(), parameters=Parameters(PIGGYBACK_DELAY=1.0), limits=Limits(peers=7))
        port = self.network.listen(sited, "192.0.2.60")
        self.assertEqual(port.protocol.parameters.PIGGYBACK_DELAY, 1.0)
        agent = self.network.agent("192.0.2.61", parameters=Parameters(MAX_RETRANSMIT=0))
        asked = agent.get("coap://192.0.2.200/")
        self.network.advance(3.0)
        self.failureResultOf(asked, NoAcknowledgement)

    def test_close(self) -> None:
        """Closing the network fails what is under way, and leaves no timer."""
        asked = self.agent.get("coap://192.0.2.200/")
        self.network.close()
        self.failureResultOf(asked, SocketClosed)
        self.network.advance(1.0)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_turnAfterCancelled(self) -> None:
        """A request whose turn comes when another is cancelled is repeated at its own time (RFC 7252 4.2)."""
        first = self.agent.get("coap://192.0.2.200/1")
        second = self.agent.get("coap://192.0.2.200/2")
        self.network.advance(20.0)
        sent = len(self.network.passages)
        first.cancel()
        self.failureResultOf(first)
        self.network.advance(3.01)
        self.assertEqual(len(self.network.passages), sent + 2)
        second.cancel()
        self.failureResultOf(second)
