"""
Tests for L{txcoap.sansio.echo}, and for the client that answers an Echo by itself (RFC 9175 2.3).
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.errors import Unauthorized
from txcoap.limits import DEFAULT_LIMITS
from txcoap.message import Response
from txcoap.options import NO_OPTIONS, Options
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, Datagram
from txcoap.sansio.deadlines import Deadlines
from txcoap.sansio.echo import EchoKey, ForAWhile
from txcoap.sansio.events import RequestFailed, ResponseReceived
from txcoap.sansio.transmission import MAX_DATAGRAM
from txcoap.server import Site
from txcoap.testing import MemoryNetwork

from .machines import PEER, STEADY, Machine, get

LIFETIME = STEADY.EXCHANGE_LIFETIME


class EchoKeyTests(SynchronousTestCase):
    """The values that a server gives out."""

    def test_age(self) -> None:
        """A value tells when it was made."""
        key = EchoKey(b"k" * 32)
        value = key.make(PEER, 1000.0)
        self.assertEqual(len(value), 12)
        self.assertEqual(key.age(value, PEER, 1000.0), 0.0)
        self.assertEqual(key.age(value, PEER, 1060.5), 60.5)

    def test_whose(self) -> None:
        """It is the address that is proven, at any port; not another address, nor by another's key."""
        key = EchoKey(b"k" * 32)
        value = key.make(("192.0.2.1", 1), 1000.0)
        self.assertIsNotNone(key.age(value, ("192.0.2.1", 2), 1000.0))
        self.assertIsNone(key.age(value, ("192.0.2.2", 1), 1000.0))
        self.assertIsNone(EchoKey(b"l" * 32).age(value, ("192.0.2.1", 1), 1000.0))

    @settings(deadline=None, max_examples=100, derandomize=True)
    @given(st.binary(max_size=40))
    def test_forged(self, value: bytes) -> None:
        """What was not made is not taken, whatever it is."""
        self.assertIsNone(EchoKey(b"k" * 32).age(value, PEER, 1000.0))

    @settings(deadline=None, max_examples=100, derandomize=True)
    @given(st.integers(0, 95))
    def test_changed(self, bit: int) -> None:
        """Nor one of which a bit was changed, that of the time included."""
        key = EchoKey(b"k" * 32)
        value = int.from_bytes(key.make(PEER, 1000.0), "big") ^ 1 << bit
        self.assertIsNone(key.age(value.to_bytes(12, "big"), PEER, 1000.0))


class ForAWhileTests(SynchronousTestCase):
    """What is known of peers for a while."""

    def test_lifetime(self) -> None:
        """It is known until its time is over, counted from when it was last set, and then gone."""
        deadlines = Deadlines()
        known: ForAWhile[int] = ForAWhile(10, 5.0, deadlines)
        known.set("a", 1, 0.0)
        known.set("b", 2, 1.0)
        known.set("a", 3, 2.0)
        deadlines.expire(6.0)
        self.assertEqual((known.get("a", 6.0), known.get("b", 6.0), len(known)), (3, None, 1))
        deadlines.expire(7.0)
        self.assertEqual((len(known), len(deadlines)), (0, 0))

    def test_full(self) -> None:
        """When it is full the oldest goes."""
        known: ForAWhile[int] = ForAWhile(2, 5.0, Deadlines())
        for number, key in enumerate("abac"):
            known.set(key, number, float(number))
        self.assertEqual([known.get(key, 3.0) for key in "abc"], [2, None, 3])


class ClientTests(SynchronousTestCase):
    """A client of a server that demands an Echo."""

    def setUp(self) -> None:
        self.machine = Machine(STEADY.evolve(PROBING_RATE=None))

    def ask(self, **how: Any) -> tuple[Any, Datagram]:
        """Send a request; the exchange, and its message."""
        exchange = self.machine.request(get(uriPath=("x",)), PEER, self.machine.now, **how)
        return exchange, self.machine.sentOne()

    def reply(self, sent: Datagram, code: Code, echo: bytes | None = None, type: Any = ACK) -> Any:
        """The peer answers."""
        options = NO_OPTIONS if echo is None else Options(echo=echo)
        messageID = sent.messageID if type is ACK else self.machine.now
        return self.machine.receive(type, code, int(messageID) & 0xFFFF, sent.token, options)

    def test_repeated(self) -> None:
        """4.01 with Echo: the request goes again with it, in a new message; the second response counts."""
        exchange, first = self.ask()
        self.assertIsNone(self.reply(first, Code.UNAUTHORIZED, b"one"))
        second = self.machine.sentOne()
        self.assertEqual(second.options.echo, b"one")
        self.assertEqual((second.type, second.token, second.options.uriPath), (CON, first.token, ("x",)))
        self.assertNotEqual(second.messageID, first.messageID)
        event = self.reply(second, Code.CONTENT)
        self.assertIsInstance(event, ResponseReceived)
        self.assertIs(event.exchange, exchange)
        self.assertEqual(self.machine.sizes()["openRequests"], 0)

    def test_once(self) -> None:
        """A second 4.01 is the response."""
        _, first = self.ask()
        self.reply(first, Code.UNAUTHORIZED, b"one")
        event = self.reply(self.machine.sentOne(), Code.UNAUTHORIZED, b"two")
        self.assertEqual(event.datagram.code, Code.UNAUTHORIZED)
        self.assertEqual(self.machine.sent(), [])

    def test_withoutEcho(self) -> None:
        """So is a 4.01 without Echo."""
        _, first = self.ask()
        self.assertEqual(self.reply(first, Code.UNAUTHORIZED).datagram.code, Code.UNAUTHORIZED)

    def test_kept(self) -> None:
        """The next request to that peer carries the newest Echo, whatever response gave it; others do not."""
        _, first = self.ask()
        self.reply(first, Code.CONTENT, b"one")
        _, second = self.ask()
        self.assertEqual(second.options.echo, b"one")
        self.assertIsNone(self.reply(second, Code.UNAUTHORIZED, b"two"))
        third = self.machine.sentOne()
        self.assertEqual(third.options.echo, b"two")
        self.reply(third, Code.CONTENT)
        self.machine.request(get(), ("192.0.2.7", 5683), self.machine.now)
        self.assertIsNone(self.machine.sentOne().options.echo)
        self.machine.advance(LIFETIME)
        self.assertEqual(self.machine.sizes()["echoes"], 0)

    def test_usersOwn(self) -> None:
        """An Echo that the user gives passes through, and so does what the peer answers to it."""
        self.machine.request(get(echo=b"mine"), PEER, self.machine.now)
        sent = self.machine.sentOne()
        self.assertEqual(sent.options.echo, b"mine")
        self.assertEqual(self.reply(sent, Code.UNAUTHORIZED, b"one").datagram.options.echo, b"one")
        self.assertEqual(self.machine.sizes()["echoes"], 0)

    def test_nonConfirmable(self) -> None:
        """A non-confirmable request is repeated as such, and waits for its response anew."""
        _, first = self.ask(confirmable=False)
        self.machine.advance(STEADY.MAX_TRANSMIT_WAIT - 1)
        self.assertIsNone(self.reply(first, Code.UNAUTHORIZED, b"one", NON))
        self.assertEqual(self.machine.sentOne().type, NON)
        self.assertEqual(self.machine.advance(STEADY.MAX_TRANSMIT_WAIT - 1), [])
        self.assertEqual([type(each) for each in self.machine.advance(2)], [RequestFailed])

    def test_timeout(self) -> None:
        """The time for the whole request is not begun anew."""
        _, first = self.ask(timeout=10.0)
        self.machine.advance(1.0)
        self.reply(first, Code.UNAUTHORIZED, b"one")
        self.assertEqual(self.machine.advance(8.9), [])
        self.assertEqual([type(each) for each in self.machine.advance(0.2)], [RequestFailed])

    def test_cancelled(self) -> None:
        """Cancelled while it is repeated, nothing is left."""
        exchange, first = self.ask()
        self.reply(first, Code.UNAUTHORIZED, b"one")
        self.machine.cancel(exchange, self.machine.now)
        self.machine.sent()
        self.assertEqual(self.machine.advance(100), [])
        self.assertEqual((self.machine.sent(), self.machine.sizes()["openRequests"]), ([], 0))

    def test_noRoom(self) -> None:
        """If it cannot be repeated, the 4.01 is the response."""
        self.machine.request(get(), PEER, self.machine.now)
        waiting = self.machine.sentOne()
        full = self.machine.request(get(), PEER, self.machine.now, confirmable=False, token=b"full")
        full.request = type(full.request)(Code.GET, bytes(MAX_DATAGRAM - 9))
        message = self.machine.sentOne()
        event = self.reply(message, Code.UNAUTHORIZED, b"one", NON)
        self.assertEqual(event.datagram.code, Code.UNAUTHORIZED)
        self.assertIsInstance(self.reply(waiting, Code.CONTENT), ResponseReceived)

    def test_bounded(self) -> None:
        """C{Limits.echoes}: however many peers give one, so many are kept."""
        machine = Machine(STEADY.evolve(PROBING_RATE=None), DEFAULT_LIMITS.evolve(echoes=3))
        for number in range(20):
            peer = f"192.0.2.{number}", 5683
            machine.request(get(), peer, machine.now)
            sent = machine.sentOne()
            machine.receive(ACK, Code.CONTENT, sent.messageID, sent.token, Options(echo=b"e"), peer=peer)
        self.assertEqual(machine.sizes()["echoes"], 3)


class Lock(Resource):
    """What must be opened now, or not at all."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.opened = 0

    def render_PUT(self, request: Any) -> Response:
        """Open it."""
        request.requireFresh(30)
        self.opened += 1
        return Response(Code.CHANGED)

    def render_GET(self, request: Any) -> bytes:
        """Whether it is open, and much besides."""
        request.requireFresh()
        return bytes(3000)


class RequireFreshTests(SynchronousTestCase):
    """C{request.requireFresh}, and an agent that meets it."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.addCleanup(self.network.close)
        self.lock = Lock()
        self.network.listen(Site(self.lock))
        self.agent = self.network.agent()

    def code(self, deferred: Any) -> Code:
        """The code of what comes."""
        self.network.flush()
        code: Code = self.successResultOf(deferred).code
        return code

    def test_agent(self) -> None:
        """An agent does not notice it; the action happens once."""
        uri = "coap://192.0.2.1/lock"
        self.assertEqual(self.code(self.agent.put(uri, b"open")), Code.CHANGED)
        self.assertEqual(self.lock.opened, 1)

    def test_late(self) -> None:
        """An Echo that was fresh some time ago is not any longer: another is demanded."""
        uri = "coap://192.0.2.1/lock"
        self.code(self.agent.put(uri, b"open"))
        self.network.advance(31)
        self.assertEqual(self.code(self.agent.put(uri, b"open")), Code.CHANGED)
        self.assertEqual(self.lock.opened, 2)

    def test_byHand(self) -> None:
        """Who gives an Echo gets the 4.01, and the Echo to use."""
        uri = "coap://192.0.2.1/lock"
        asking = self.agent.put(uri, b"open", echo=b"no")
        self.network.flush()
        response = self.successResultOf(asking)
        self.assertEqual((response.code, self.lock.opened), (Code.UNAUTHORIZED, 0))
        asking = self.agent.put(uri, b"open", echo=response.options.echo)
        self.assertEqual(self.code(asking), Code.CHANGED)

    def test_blocks(self) -> None:
        """Bodies in blocks are proven too, in both directions."""
        uri = "coap://192.0.2.1/lock"
        self.assertEqual(self.code(self.agent.put(uri, bytes(3000))), Code.CHANGED)
        asking = self.agent.get(uri)
        self.network.flush()
        self.assertEqual(len(self.successResultOf(asking).payload), 3000)

    def test_error(self) -> None:
        """What it raises is a 4.01 that carries an Echo."""
        self.assertEqual(Response.fromError(Unauthorized(echo=b"1")).options.echo, b"1")
