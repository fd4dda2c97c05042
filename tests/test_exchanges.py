"""
Tests for L{txcoap.sansio.exchanges}: which response belongs to which request, what is not understood,
cancellation and time-outs.
No-Response is in test_noresponse.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.errors import (
    MalformedResponse,
    NoAcknowledgement,
    NoResponse,
    ProbingRateExceeded,
    RequestError,
    TokenInUse,
)
from txcoap.options import NO_OPTIONS, Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, Type, encode
from txcoap.sansio.events import (
    IncomingRequest,
    Reception,
    RequestFailed,
    RequestForgotten,
    ResponseReceived,
)

from .machines import PEER, STEADY, Machine, get

OTHER = ("192.0.2.2", 5683)
LIFETIME = STEADY.EXCHANGE_LIFETIME

UNKNOWN = Options.fromPairs([(9999, b"x")])
"""A critical option that nobody knows."""


class MatchingTests(SynchronousTestCase):
    """A response belongs to the open request of its token and peer (RFC 7252 5.3.2)."""

    def setUp(self) -> None:
        self.machine = Machine(STEADY.evolve(NSTART=100))
        self.exchange = self.machine.request(get(), PEER, self.machine.now)
        self.asked = self.machine.sentOne()

    def taken(self, report: object, exchange: object = None) -> Datagram:
        """The response that was taken for one to our request."""
        assert isinstance(report, ResponseReceived), report
        self.assertIs(report.exchange, exchange or self.exchange)
        assert report.datagram is not None
        return report.datagram

    def test_piggybacked(self) -> None:
        """In the acknowledgement of the request."""
        report = self.machine.receive(
            ACK, Code.CONTENT, self.asked.messageID, self.asked.token, Options(maxAge=5), b"on"
        )
        datagram = self.taken(report)
        self.assertEqual((datagram.code, datagram.payload), (Code.CONTENT, b"on"))
        self.assertEqual(datagram.options.maxAge, 5)
        self.assertEqual(self.machine.sent(), [])

    def test_separate(self) -> None:
        """Apart, confirmable: it is acknowledged; or non-confirmable: it is not (5.2.2)."""
        for type, reply in ((CON, [Datagram(ACK, Code.EMPTY, 99)]), (NON, [])):
            exchange = self.machine.request(get(), PEER, self.machine.now)
            asked = self.machine.sentOne()
            self.assertIsNone(self.machine.receive(ACK, Code.EMPTY, asked.messageID))
            self.taken(self.machine.receive(type, Code.CONTENT, 99, asked.token), exchange)
            self.assertEqual(self.machine.sent(), reply)

    def test_toNonConfirmable(self) -> None:
        """To a non-confirmable request, in a message of either type (5.2.3)."""
        for type in (CON, NON):
            exchange = self.machine.request(get(), PEER, self.machine.now, confirmable=False)
            self.machine.sent()
            self.taken(self.machine.receive(type, Code.CONTENT, 99, exchange.token), exchange)

    def test_errors(self) -> None:
        """A response is a response, whatever its code; what it means is for others."""
        for code in (Code.NOT_FOUND, Code.SERVICE_UNAVAILABLE, Code("4.31"), Code("2.30"), Code("3.01")):
            exchange = self.machine.request(get(), PEER, self.machine.now)
            asked = self.machine.sentOne()
            report = self.machine.receive(ACK, code, asked.messageID, asked.token)
            self.assertEqual(self.taken(report, exchange).code, code)

    def test_otherToken(self) -> None:
        """An acknowledgement with a token that was not asked with is ignored."""
        report = self.machine.receive(ACK, Code.CONTENT, self.asked.messageID, b"other")
        self.assertIsNone(report)
        self.assertEqual(self.machine.sent(), [])

    def test_otherPeer(self) -> None:
        """A response from another peer than was asked is none, though it knows the token."""
        token = self.asked.token
        self.assertIsNone(self.machine.receive(CON, Code.CONTENT, 99, token, peer=OTHER))
        self.assertIsNone(self.machine.receive(NON, Code.CONTENT, 98, token, peer=OTHER))
        self.assertIsNone(self.machine.receive(ACK, Code.CONTENT, self.asked.messageID, token, peer=OTHER))
        self.assertEqual([each.type for each in self.machine.sent()], [RST])
        self.taken(self.machine.receive(NON, Code.CONTENT, 97, token))

    def test_otherRequestsAcknowledgement(self) -> None:
        """A piggybacked response acknowledges its own request, no other (5.3.2)."""
        other = self.machine.request(get(), PEER, self.machine.now)
        sent = self.machine.sentOne()
        self.assertIsNone(self.machine.receive(ACK, Code.CONTENT, sent.messageID, self.exchange.token))
        self.taken(self.machine.receive(ACK, Code.CONTENT, sent.messageID, other.token), other)

    def test_once(self) -> None:
        """A request is answered once; what comes then is not awaited."""
        self.taken(self.machine.receive(NON, Code.CONTENT, 99, self.asked.token))
        self.assertIsNone(self.machine.receive(ACK, Code.CONTENT, self.asked.messageID, self.asked.token))
        self.assertIsNone(self.machine.receive(CON, Code.CONTENT, 98, self.asked.token))
        self.assertEqual([each.type for each in self.machine.sent()], [RST])

    def test_beforeItsTurn(self) -> None:
        """A request that was not sent yet cannot be answered."""
        machine = Machine()
        machine.request(get(), PEER, machine.now)
        waiting = machine.request(get(), PEER, machine.now, token=b"guessed")
        self.assertIsNone(machine.receive(NON, Code.CONTENT, 99, waiting.token))


class TokenTests(SynchronousTestCase):
    """Tokens are chosen at random, or by the caller (RFC 7252 5.3.1)."""

    def test_random(self) -> None:
        """Each request has another, of 32 random bits."""
        machine = Machine(STEADY.evolve(PROBING_RATE=None))
        tokens = {machine.request(get(), PEER, machine.now, confirmable=False).token for _ in range(500)}
        self.assertEqual(len(tokens), 500)
        self.assertEqual({len(token) for token in tokens}, {4})

    def test_given(self) -> None:
        """A token can be given, the empty one too."""
        machine = Machine(STEADY.evolve(NSTART=2))
        for token in (b"", b"12345678"):
            machine.request(get(), PEER, machine.now, token=token)
            self.assertEqual(machine.sentOne().token, token)

    def test_inUse(self) -> None:
        """One that is in use with the same peer is refused; with another peer it is not."""
        machine = Machine()
        first = machine.request(get(), PEER, machine.now, token=b"a")
        with self.assertRaises(TokenInUse):
            machine.request(get(), PEER, machine.now, token=b"a")
        machine.request(get(), OTHER, machine.now, token=b"a")
        machine.cancel(first, machine.now)
        machine.request(get(), PEER, machine.now, token=b"a")

    def test_tooLong(self) -> None:
        """One of more than 8 bytes is refused before anything changes."""
        machine = Machine()
        with self.assertRaises(ValueError):
            machine.request(get(), PEER, machine.now, token=b"123456789")
        self.assertEqual(set(machine.sizes().values()), {0})

    def test_drawnAgain(self) -> None:
        """A random token that is in use with the peer is not used twice."""
        machine = Machine()
        token = Machine().request(get(), PEER, machine.now).token
        # Chance is the same, but for the message ID drawn first.
        machine.request(get(), PEER, machine.now, token=token)
        drawn = [machine.request(get(), PEER, machine.now).token for _ in range(3)]
        self.assertEqual(len({token, *drawn}), 4)


class CriticalOptionTests(SynchronousTestCase):
    """Critical options that are not understood (RFC 7252 5.4.1)."""

    bad = (
        UNKNOWN,
        Options.fromPairs([(17, b"123")]),
        Options.fromPairs([(17, b""), (17, b"")]),
        Options.fromPairs([(9, b"")]),
    )

    def test_confirmableRequest(self) -> None:
        """A confirmable request is answered 4.02, which names the option; so are its copies."""
        for options in self.bad:
            machine = Machine()
            self.assertIsNone(machine.receive(CON, Code.GET, 7, b"tok", options))
            self.assertIsNone(machine.receive(CON, Code.GET, 7, b"tok", options))
            first, second = machine.sent()
            self.assertEqual((first.type, first.code, first.token), (ACK, Code.BAD_OPTION, b"tok"))
            self.assertIn(str(options.pairs[0][0]), first.payload.decode())
            self.assertEqual(first, second)

    def test_nonConfirmableRequest(self) -> None:
        """A non-confirmable one is ignored."""
        for options in self.bad:
            machine = Machine()
            self.assertIsNone(machine.receive(NON, Code.GET, 7, b"tok", options))
            machine.advance(10)
            self.assertEqual(machine.sent(), [])

    def test_toBeForwarded(self) -> None:
        """A proxy is left what is safe to forward in requests to it, and in those alone (RFC 7252 5.7.1)."""
        safe = Options.fromPairs([(9, b"x"), (65001, b"y")])
        proxied = [safe.adding((35, b"coap://a/")), safe.adding((39, b"coap"))]
        for type in (CON, NON):
            for options in proxied:
                self.assertEqual(
                    Machine(forwards=True).asked(type, Code.GET, 7, b"", options).options, options
                )
                self.assertIsNone(Machine().receive(type, Code.GET, 7, b"", options))
                unsafe = options.adding((65003, b""))
                self.assertIsNone(Machine(forwards=True).receive(type, Code.GET, 7, b"", unsafe))
            self.assertIsNone(Machine(forwards=True).receive(type, Code.GET, 7, b"", safe))

    def test_toBeRelayed(self) -> None:
        """So is a proxy that asks, in responses (RFC 7252 5.7.1)."""
        for pair, isTaken in (((9, b"x"), True), ((65001, b""), True), ((65003, b""), False)):
            machine = Machine()
            machine.request(get(), PEER, machine.now, relaying=True)
            sent = machine.sentOne()
            options = Options.fromPairs([pair])
            report = machine.receive(ACK, Code.CONTENT, sent.messageID, sent.token, options)
            self.assertIsInstance(report, ResponseReceived if isTaken else RequestFailed)

    def test_elective(self) -> None:
        """An elective option that is unknown, malformed or repeated is no reason to refuse."""
        machine = Machine()
        options = Options.fromPairs([(9998, b"x"), (14, b"12345"), (60, b""), (60, b"")])
        machine.asked(CON, Code.GET, 7, b"", options)

    def test_piggybackedResponse(self) -> None:
        """Our request fails; an acknowledgement is not answered."""
        for options in self.bad:
            machine = Machine()
            machine.request(get(), PEER, machine.now)
            sent = machine.sentOne()
            report = machine.receive(ACK, Code.CONTENT, sent.messageID, sent.token, options)
            assert isinstance(report, RequestFailed)
            self.assertIsInstance(report.error, MalformedResponse)
            self.assertIn(str(options.pairs[0][0]), str(report.error))
            self.assertEqual(machine.sent(), [])

    def test_responseNamed(self) -> None:
        """What failed says what the peer answered: an error of its own may be the reason."""
        machine = Machine()
        machine.request(get(), PEER, machine.now)
        sent = machine.sentOne()
        report = machine.receive(ACK, Code.BAD_OPTION, sent.messageID, sent.token, UNKNOWN)
        assert isinstance(report, RequestFailed)
        self.assertIn("4.02 Bad Option", str(report.error))

    def test_confirmableResponse(self) -> None:
        """It is rejected with a Reset, each copy of it, and our request fails."""
        machine = Machine()
        machine.request(get(), PEER, machine.now)
        token = machine.sentOne().token
        report = machine.receive(CON, Code.CONTENT, 99, token, UNKNOWN)
        assert isinstance(report, RequestFailed)
        self.assertIsInstance(report.error, MalformedResponse)
        self.assertIsNone(machine.receive(CON, Code.CONTENT, 99, token, UNKNOWN))
        self.assertEqual(machine.sent(), [Datagram(RST, Code.EMPTY, 99)] * 2)

    def test_nonConfirmableResponse(self) -> None:
        """It is rejected in silence, and our request fails: there will be no other."""
        machine = Machine()
        machine.request(get(), PEER, machine.now)
        token = machine.sentOne().token
        report = machine.receive(NON, Code.CONTENT, 99, token, UNKNOWN)
        assert isinstance(report, RequestFailed)
        self.assertIsInstance(report.error, MalformedResponse)
        self.assertEqual(machine.sent(), [])

    def test_ofRequests(self) -> None:
        """In a response a critical option that is defined for requests alone is not recognized (5.4)."""
        values = {"uriPath": ("x",), "uriHost": "x", "accept": 0, "ifNoneMatch": True, "proxyScheme": "coap"}
        for name, value in values.items():
            options = Options(**{name: value})
            machine = Machine()
            # The same options in a request, read before, are in their place there.
            machine.asked(CON, Code.GET, 7, b"", options)
            machine.request(get(), PEER, machine.now)
            sent = machine.sentOne()
            report = machine.receive(ACK, Code.CONTENT, sent.messageID, sent.token, options)
            assert isinstance(report, RequestFailed), name
            self.assertIsInstance(report.error, MalformedResponse)


class GarbledTests(SynchronousTestCase):
    """Responses that cannot be read beyond their token (RFC 7252 4.2, 5.7.1)."""

    def receive(
        self, type: Type, code: Code, messageID: int, token: bytes, tail: bytes = b"\xff"
    ) -> tuple[Any, list[Datagram]]:
        """What it means to who has asked, and what is said to it; C{None} is what was sent."""
        machine = Machine()
        exchange = machine.request(get(), PEER, machine.now)
        sent = machine.sentOne()
        data = encode(type, code, messageID or sent.messageID, token or sent.token) + tail
        report = machine.receiveDatagram(data, PEER, None, machine.now)
        self.assertEqual(machine.counters.formatErrors, 1)
        if report is None:
            self.assertEqual(machine.sizes()["openRequests"], 1)
        else:
            assert isinstance(report, RequestFailed)
            self.assertIs(report.exchange, exchange)
            self.assertEqual(machine.sizes()["openRequests"], 0)
        said = machine.sent()
        self.assertEqual(machine.advance(0.5), [])
        return report, said

    def test_awaited(self) -> None:
        """The request fails at once, and the error says what was wrong; the message is rejected."""
        for type, messageID, said in (
            (ACK, 0, []),
            (CON, 99, [Datagram(RST, Code.EMPTY, 99)]),
            (NON, 99, []),
        ):
            report, heard = self.receive(type, Code.CONTENT, messageID, b"")
            self.assertIsInstance(report.error, MalformedResponse)
            self.assertIn("2.05 Content cannot be read: payload marker", str(report.error))
            self.assertEqual(heard, said)

    def test_forged(self) -> None:
        """With another token, or message ID, it is nothing to the request."""
        for type, code, messageID, token in (
            (ACK, Code.CONTENT, 0, b"othr"),
            (ACK, Code.CONTENT, 99, b""),
            (NON, Code.CONTENT, 99, b"othr"),
            (NON, Code.GET, 99, b""),
            (RST, Code.CONTENT, 0, b""),
        ):
            report, heard = self.receive(type, code, messageID, token)
            self.assertIsNone(report)
            self.assertEqual(heard, [])

    def test_notification(self) -> None:
        """Of an observation that stands one ends nothing: the next may be better."""
        machine = Machine()
        exchange = machine.request(get(observe=0), PEER, machine.now, lasting=True)
        sent = machine.sentOne()
        machine.receive(ACK, Code.CONTENT, sent.messageID, sent.token, Options(observe=1), b"0")
        garbled = encode(NON, Code.CONTENT, 99, sent.token) + b"\xff"
        self.assertIsNone(machine.receiveDatagram(garbled, PEER, None, machine.now))
        report = machine.receive(NON, Code.CONTENT, 100, sent.token, Options(observe=2), b"1")
        assert isinstance(report, ResponseReceived)
        self.assertIs(report.exchange, exchange)

    def test_token(self) -> None:
        """Nor is one whose token cannot be read."""
        for data in (b"\x69\x45", b"\x64\x45"):
            machine = Machine()
            machine.request(get(), PEER, machine.now)
            sent = machine.sentOne()
            datagram = data + sent.messageID.to_bytes(2, "big") + sent.token[:3]
            self.assertIsNone(machine.receiveDatagram(datagram, PEER, None, machine.now))
            self.assertEqual(machine.sizes()["openRequests"], 1)


class TimeoutTests(SynchronousTestCase):
    """Every request ends."""

    def ends(self, machine: Machine, after: float) -> RequestError:
        """A request fails after so many seconds, not before; why."""
        self.assertEqual(machine.advance(after - 0.01), [])
        (event,) = machine.advance(0.02)
        assert isinstance(event, RequestFailed)
        return event.error

    def test_unacknowledged(self) -> None:
        """Without any answer, when the last transmission was not acknowledged."""
        machine = Machine()
        machine.request(get(), PEER, machine.now)
        self.assertIsInstance(self.ends(machine, 62), NoAcknowledgement)

    def test_acknowledged(self) -> None:
        """EXCHANGE_LIFETIME after an empty acknowledgement."""
        machine = Machine()
        machine.request(get(), PEER, machine.now)
        machine.advance(10)
        machine.receive(ACK, Code.EMPTY, machine.sent()[0].messageID)
        self.assertIsInstance(self.ends(machine, LIFETIME), NoResponse)

    def test_nonConfirmable(self) -> None:
        """MAX_TRANSMIT_WAIT after a non-confirmable one was sent."""
        machine = Machine()
        machine.request(get(), PEER, machine.now, confirmable=False)
        self.assertIsInstance(self.ends(machine, STEADY.MAX_TRANSMIT_WAIT), NoResponse)

    def test_given(self) -> None:
        """A time-out of its own covers all of it, acknowledged or not; it is not prolonged."""
        machine = Machine()
        machine.request(get(), PEER, machine.now, timeout=5.0)
        self.assertIsInstance(self.ends(machine, 5), NoAcknowledgement)
        machine.request(get(), PEER, machine.now, timeout=5.0)
        machine.receive(ACK, Code.EMPTY, machine.sent()[-1].messageID)
        self.assertIsInstance(self.ends(machine, 4.99), NoResponse)
        machine.request(get(), PEER, machine.now, timeout=5.0, confirmable=False)
        self.assertIsInstance(self.ends(machine, 5), NoResponse)

    def test_longer(self) -> None:
        """A longer one does not prolong the wait for an acknowledgement."""
        machine = Machine()
        machine.request(get(), PEER, machine.now, timeout=1000.0)
        self.assertIsInstance(self.ends(machine, 62), NoAcknowledgement)

    def test_forgotten(self) -> None:
        """A peer's request that nobody answers is forgotten EXCHANGE_LIFETIME after its acknowledgement."""
        for type in (CON, NON):
            machine = Machine()
            requests = [machine.asked(type, Code.GET, each) for each in (1, 2)]
            machine.advance(1)
            requests.append(machine.asked(type, Code.GET, 3))
            events = machine.advance(LIFETIME - 0.5)
            forgotten = [event.exchange for event in events if isinstance(event, RequestForgotten)]
            self.assertEqual(forgotten, requests[:2])
            self.assertIs(requests[0].state, Reception.FORGOTTEN)
            self.assertFalse(machine.answer(requests[0]))
            self.assertTrue(machine.answer(requests[2]))
            self.assertEqual(machine.counters.unanswered, 2)
            self.assertEqual(machine.sizes()["pendingRequests"], int(type is CON))


class CancelTests(SynchronousTestCase):
    """Cancelling leaves nothing."""

    def cancelledAt(self, machine: Machine, exchange: object, now: float) -> None:
        """After it was cancelled nothing of a request is left but the peer and its message IDs."""
        machine.cancel(exchange, now)  # type: ignore[arg-type]
        sizes = machine.sizes()
        self.assertEqual((sizes["openRequests"], sizes["transmissions"]), (0, 0))
        # One deadline: when the peer is to be forgotten.
        self.assertEqual((sizes["peers"], sizes["deadlines"]), (1, 1))
        machine.sent()
        self.assertEqual(machine.advance(500), [])
        self.assertEqual(machine.sent(), [])

    def test_sent(self) -> None:
        """When it was sent, or sent again."""
        for seconds in (0, 3, 40):
            machine = Machine()
            exchange = machine.request(get(), PEER, machine.now, timeout=100.0)
            machine.advance(seconds)
            self.cancelledAt(machine, exchange, machine.now)

    def test_nonConfirmable(self) -> None:
        """When it is non-confirmable."""
        machine = Machine()
        exchange = machine.request(get(), PEER, machine.now, confirmable=False)
        self.cancelledAt(machine, exchange, machine.now)

    def test_acknowledged(self) -> None:
        """When it was acknowledged."""
        machine = Machine()
        exchange = machine.request(get(), PEER, machine.now)
        machine.receive(ACK, Code.EMPTY, machine.sentOne().messageID)
        self.cancelledAt(machine, exchange, machine.now)

    def test_done(self) -> None:
        """When it has ended already, or was cancelled before."""
        machine = Machine()
        exchange = machine.request(get(), PEER, machine.now)
        machine.cancel(exchange, machine.now)
        self.cancelledAt(machine, exchange, machine.now)

    def test_answerAfterwards(self) -> None:
        """An answer that comes afterwards is not awaited."""
        machine = Machine()
        exchange = machine.request(get(), PEER, machine.now)
        sent = machine.sentOne()
        machine.cancel(exchange, machine.now)
        self.assertIsNone(machine.receive(ACK, Code.CONTENT, sent.messageID, sent.token))
        self.assertIsNone(machine.receive(CON, Code.CONTENT, 9, sent.token))
        self.assertEqual(machine.sent(), [Datagram(RST, Code.EMPTY, 9)])


class TwoMachinesTests(SynchronousTestCase):
    """A client and a server, datagram by datagram."""

    def carry(self, source: Machine, target: Machine) -> object:
        """Bring what one sent to the other; the last that was said to it."""
        report: object = None
        for data, _, _ in source.datagramsToSend():
            report = target.receiveDatagram(data, PEER, None, target.now)
        return report

    def test_piggybacked(self) -> None:
        """Request, and the response in its acknowledgement."""
        client, server = Machine(seed=1), Machine(seed=2)
        exchange = client.request(get(uriPath=("a",)), PEER, client.now)
        request = self.carry(client, server)
        assert isinstance(request, IncomingRequest)
        self.assertEqual(request.options.uriPath, ("a",))
        server.respond(request, Code.CONTENT, NO_OPTIONS, b"x", server.now)
        report = self.carry(server, client)
        assert isinstance(report, ResponseReceived)
        self.assertIs(report.exchange, exchange)

    def test_separate(self) -> None:
        """Request, empty acknowledgement, response, its acknowledgement."""
        client, server = Machine(seed=1), Machine(seed=2)
        client.request(get(), PEER, client.now)
        request = self.carry(client, server)
        assert isinstance(request, IncomingRequest)
        server.expire(server.next())
        self.assertIsNone(self.carry(server, client))
        server.respond(request, Code.CONTENT, NO_OPTIONS, b"x", server.now)
        self.assertIsInstance(self.carry(server, client), ResponseReceived)
        self.assertEqual(server.sizes()["transmissions"], 1)
        self.assertIsNone(self.carry(client, server))
        self.assertEqual(server.sizes()["transmissions"], 0)

    def test_silentPing(self) -> None:
        """Pings count towards PROBING_RATE: a silent peer is not sent any number of them (RFC 7252 4.7)."""
        client = Machine(STEADY.evolve(PROBING_ALLOWANCE=10))
        for _ in range(2):
            client.ping(PEER, client.now)
        self.assertRaises(ProbingRateExceeded, client.ping, PEER, client.now)
        client.receive(RST, Code.EMPTY, client.sent()[0].messageID)
        client.ping(PEER, client.now)

    def test_ping(self) -> None:
        """Ping and Reset."""
        client, server = Machine(seed=1), Machine(seed=2)
        client.ping(PEER, client.now)
        self.assertIsNone(self.carry(client, server))
        self.assertIsNotNone(self.carry(server, client))
