"""
The ETSI CoAP plugtests OBS, of the fourth edition, against C{examples/plugtest.py}: by their numbers, as a
client checks them, message by message. There is no 03, and none after 14.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from examples.plugtest import root
from tests.wire import CLIENT, SERVER, ServerTestCase
from txcoap.block import Block
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.linkformat import parse
from txcoap.observation import Observation
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram
from txcoap.sansio.observations import isNewer

TOKEN = b"\xca\xfe"
REGISTER = 0
DEREGISTER = 1


class ObserveCase(ServerTestCase):
    """The plugtest server; a client that looks at each message, and an agent."""

    def setUp(self) -> None:
        """Serve it."""
        super().setUp()
        self.serve(root(self.reactor, Random(5)))
        # A time of day that is not that of the tests' first notification.
        self.reactor.elapse(1)

    def register(self, path: str = "obs", token: bytes = TOKEN, **how: Any) -> Datagram:
        """Begin to observe; the first state."""
        answer = self.answerTo(Code.GET, path, token=token, observe=REGISTER, **how)
        self.assertEqual(answer.code, Code.CONTENT)
        self.assertIsNotNone(answer.options.observe)
        return answer

    def notified(self, after: float = 5.0, token: bytes = TOKEN) -> Datagram:
        """The one message that comes after so many seconds, acknowledged if it asks for that."""
        self.reactor.elapse(after)
        notification = self.peer.takeOne()
        self.assertEqual(notification.token, token)
        if notification.type == CON:
            self.peer.sendEmpty(ACK, notification.messageID)
        return notification

    def assertNewer(self, new: Datagram, old: Datagram, seconds: float) -> None:
        """It is newer by its number (RFC 7641 3.4)."""
        first, second = old.options.observe, new.options.observe
        assert first is not None and second is not None
        self.assertTrue(isNewer(second, seconds, first, 0))

    def assertEnded(self, last: Datagram, code: Code) -> None:
        """It is a last notification: an error, without Observe; nothing more comes."""
        self.assertEqual((last.code, last.options.observe), (code, None))
        self.assertSilence()

    def assertSilence(self) -> None:
        """Nobody observes: no message comes, and none is ready to be sent."""
        self.reactor.elapse(60)
        self.assertEqual(self.peer.take(), [])
        self.assertForgets()

    def observing(self, path: str) -> tuple[Observation, list[Any]]:
        """Observe through an agent; the observation, and the states as they come."""
        agent = Agent(self.reactor, chance=Random(2))
        self.addCleanup(agent.close)
        observing = agent.observe(f"coap://{SERVER[0]}/{path}")
        self.wire.settle()
        # The rest of a large state takes a few messages more.
        self.reactor.elapse(0)
        self.reactor.elapse(0)
        observation: Observation = self.successResultOf(observing)
        states: list[Any] = []
        observation.subscribe(states.append)
        return observation, states


class ObserveTests(ObserveCase):
    """TD_COAP_OBS."""

    def checkNotifications(self, path: str, type: Any) -> None:
        """Every five seconds a state, with the same token and format, and a greater number."""
        last = self.register(path)
        bodies = {last.payload}
        for _ in range(4):
            notification = self.notified()
            self.assertEqual((notification.type, notification.code), (type, Code.CONTENT))
            self.assertEqual(notification.options.contentFormat, last.options.contentFormat)
            self.assertEqual(notification.options.maxAge, 5)
            self.assertNewer(notification, last, 5)
            self.assertRegex(notification.payload, rb"^\d\d:\d\d:\d\d$")
            bodies.add(notification.payload)
            last = notification
        self.assertEqual(len(bodies), 5)

    def test_OBS_01(self) -> None:
        """Confirmable notifications."""
        self.checkNotifications("obs", CON)

    def test_OBS_02(self) -> None:
        """Non-confirmable notifications, of whatever type the request was."""
        self.checkNotifications("obs-non", NON)

    def test_OBS_04(self) -> None:
        """
        The client finds out that it is not registered any more, Max-Age and a random time after the last
        state, and registers again with the same token.
        """
        _, states = self.observing("obs")
        self.reactor.elapse(10.1)
        self.assertEqual(len(states), 3)
        self.assertEqual(self.answerTo(Code.POST, "obs-reset", b"sesame").code, Code.CHANGED)
        self.reactor.elapse(5 + 4.8)
        self.assertEqual(len(states), 3)
        self.reactor.elapse(100 - 9.8)
        self.assertGreater(len(states), 10)
        registrations = [
            each
            for whence, _, _ in self.wire.sent
            if whence not in (CLIENT, SERVER)
            for each in self.wire.between(whence, SERVER)
            if each.options.observe == REGISTER
        ]
        self.assertEqual(len({each.messageID for each in registrations}), 2)
        self.assertEqual(len({each.token for each in registrations}), 1)

    def test_reset(self) -> None:
        """C{/obs-reset} wants the right word; with C{?notfound} it tells the observers."""
        self.register()
        self.assertEqual(self.answerTo(Code.POST, "obs-reset", b"please").code, Code.FORBIDDEN)
        self.assertEqual(self.notified().code, Code.CONTENT)
        self.ask(Code.POST, "obs-reset", b"sesame", uriQuery=("notfound",))
        last, answer = sorted(self.peer.take(), key=lambda each: each.type)
        self.assertEqual((answer.type, answer.code), (ACK, Code.CHANGED))
        self.peer.sendEmpty(ACK, last.messageID)
        self.assertEqual(last.token, TOKEN)
        self.assertEnded(last, Code.NOT_FOUND)

    def test_OBS_05(self) -> None:
        """
        The client is off: retransmissions carry the newest state and its number, then they stop, and so
        does the observation.
        """
        last = self.register()
        self.reactor.elapse(DEFAULT_PARAMETERS.MAX_TRANSMIT_WAIT + 20)
        sent = self.peer.take()
        self.assertEqual(len(sent), 1 + DEFAULT_PARAMETERS.MAX_RETRANSMIT)
        for old, new in pairwise([last, *sent]):
            self.assertEqual(new.type, CON)
            if new.messageID == old.messageID:
                self.assertEqual(new, old)
            else:
                self.assertNewer(new, old, 5)
        # The first repetition comes within 3 s, before there is news; each later one has some.
        self.assertEqual(len({each.messageID for each in sent}), 4)
        self.assertEqual(len({each.payload for each in sent}), 4)
        self.assertSilence()

    def test_OBS_06(self) -> None:
        """The client was restarted: its Reset ends the observation."""
        self.register()
        self.notified()
        self.reactor.elapse(5)
        self.peer.sendEmpty(RST, self.peer.takeOne().messageID)
        self.assertSilence()

    def test_OBS_06_non(self) -> None:
        """So does the Reset of a non-confirmable notification."""
        self.register("obs-non")
        self.peer.sendEmpty(RST, self.notified().messageID)
        self.assertSilence()

    def test_OBS_07(self) -> None:
        """DELETE: the observers are told 4.04."""
        self.register()
        self.notified()
        self.assertEnded(self.changed(Code.DELETE, Code.DELETED), Code.NOT_FOUND)

    def test_OBS_08(self) -> None:
        """PUT of another format: the observers are told 4.06."""
        self.register()
        last = self.changed(Code.PUT, Code.CHANGED, b"<x/>", contentFormat=41)
        self.assertEnded(last, Code.NOT_ACCEPTABLE)

    def test_OBS_09(self) -> None:
        """PUT: the next notification has what was put, the one after it the time again."""
        first = self.register()
        told = self.changed(Code.PUT, Code.CHANGED, b"new", contentFormat=0)
        self.assertEqual((told.code, told.payload), (Code.CONTENT, b"new"))
        self.assertEqual(told.options.contentFormat, first.options.contentFormat)
        self.assertEqual(self.answerTo(Code.GET, "obs").payload, b"new")
        self.assertRegex(self.notified().payload, rb"^\d\d:\d\d:\d\d$")
        self.assertEqual(self.answerTo(Code.PUT, "obs", b"x").code, Code.BAD_REQUEST)

    def changed(self, method: Code, code: Code, *how: Any, **options: Any) -> Datagram:
        """The notification of a change that another request makes."""
        self.ask(method, "obs", *how, **options)
        told, answer = sorted(self.peer.take(), key=lambda each: each.type)
        self.assertEqual((answer.type, answer.code), (ACK, code))
        self.assertEqual((told.type, told.token), (CON, TOKEN))
        self.peer.sendEmpty(ACK, told.messageID)
        return told

    def test_OBS_10(self) -> None:
        """A GET that has another token and no Observe ends nothing."""
        self.register()
        answer = self.answerTo(Code.GET, "obs", token=b"other")
        self.assertIsNone(answer.options.observe)
        self.assertIsNotNone(self.notified().options.observe)

    def test_OBS_11(self) -> None:
        """Never is more than one notification under way, while they get lost."""
        self.register()
        chance = Random(9)
        seen = 0
        for _ in range(2000):
            self.reactor.elapse(0.25)
            for each in self.peer.take():
                self.assertEqual(each.type, CON)
                if chance.random() < 0.5:
                    seen += 1
                    self.peer.sendEmpty(ACK, each.messageID)
            self.assertLessEqual(self.protocol.sizes()["transmissions"], 1)
        self.assertGreater(seen, 30)

    def test_OBS_12(self) -> None:
        """GET with Observe=1 and the same token ends it; the answer has no Observe."""
        self.register()
        self.notified()
        answer = self.answerTo(Code.GET, "obs", token=TOKEN, observe=DEREGISTER)
        self.assertEqual((answer.code, answer.options.observe), (Code.CONTENT, None))
        self.assertSilence()

    def assertWhole(self, first: Datagram, path: str) -> bytes:
        """A state, the rest of which is fetched by GET; it is the one that was told (RFC 7959 2.6)."""
        body, block, number = first.payload, first.options.block2, 0
        while block is not None and block.more:
            self.assertEqual((block.exponent, len(body) % 64), (2, 0))
            number += 1
            part = self.answerTo(Code.GET, path, token=b"rest", block2=Block(number, False, 2))
            self.assertEqual((part.code, part.options.observe), (Code.CONTENT, None))
            self.assertEqual(part.options.etag, first.options.etag)
            block = part.options.block2
            body += part.payload
        return body

    def test_OBS_13(self) -> None:
        """A notification carries the first block; the client fetches the rest, of the same state."""
        for come in (lambda: self.register("obs-large"), self.notified, self.notified):
            state = come()
            self.assertEqual(state.options.block2, Block(0, True, 2))
            body = self.assertWhole(state, "obs-large")
            self.assertEqual(body.count(b"\n"), 3)
            self.assertIn(len(body), range(160, 166))
            self.assertEqual(len({line[3:11] for line in body.splitlines()}), 1)

    def test_OBS_13_client(self) -> None:
        """Our client gives whole states."""
        observation, states = self.observing("obs-large")
        self.reactor.elapse(20.1)
        self.assertEqual(len(states), 5)
        self.assertEqual({each.payload.count(b"\n") for each in states}, {3})
        observation.cancel()
        self.assertSilence()

    def checkPumping(self, path: str, type: Any) -> None:
        """States of one message and of several blocks, as they come."""
        lengths = {len(self.assertWhole(self.register(path), path))}
        for _ in range(12):
            notification = self.notified()
            self.assertEqual(notification.type, type)
            isLarge = notification.options.block2 is not None
            body = self.assertWhole(notification, path)
            self.assertEqual(len(body) > 64, isLarge)
            lengths.add(len(body))
        self.assertEqual(lengths, {8, 84, 164})

    def test_OBS_14(self) -> None:
        """The size alternates between one message and blocks."""
        self.checkPumping("obs-pumping", CON)

    def test_OBS_14_client(self) -> None:
        """Our client gives whole states all the same."""
        observation, states = self.observing("obs-pumping")
        self.reactor.elapse(60.1)
        self.assertEqual({len(each.payload) for each in states}, {8, 84, 164})
        observation.cancel()
        self.assertSilence()

    def test_links(self) -> None:
        """Discovery tells what can be observed (RFC 7641 6)."""
        answer = self.answerTo(Code.GET, ".well-known/core", uriQuery=("rt=observe",))
        found = {link.target: link.obs for link in parse(answer.payload.decode())}
        names = ("obs", "obs-non", "obs-large", "obs-pumping", "obs-pumping-non")
        self.assertEqual(found, {f"/{name}": True for name in names})


class NonPumpingTests(ObserveCase):
    """OBS_14 without acknowledgements."""

    def test_OBS_14_non(self) -> None:
        """Non-confirmable ones, but for one in ten."""
        self.register("obs-pumping-non")
        types = []
        for _ in range(20):
            types.append(self.notified().type)
        self.assertEqual((types.count(NON), types.count(CON)), (18, 2))
