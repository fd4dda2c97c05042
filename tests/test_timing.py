"""
Tests for whose transmission parameters apply to what: the process's, an agent's, a request's, a server's.
"""

from __future__ import annotations

import math
from typing import Any

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.wire import TEXT, AgentTestCase, Answering, Peer, ServerTestCase
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.errors import NoAcknowledgement, NoResponse
from txcoap.message import Response
from txcoap.parameters import (
    LAN_PARAMETERS,
    SLOW_PARAMETERS,
    Parameters,
    setDefault,
    usingDefault,
)
from txcoap.protocol import CoAPProtocol
from txcoap.request import NOT_DONE_YET, Request
from txcoap.sansio.datagrams import ACK, CON
from txcoap.testing import MemoryNetwork, StubAgent


def once(seconds: float) -> Parameters:
    """Parameters by which a request is sent once, and fails after so long."""
    return Parameters(ACK_TIMEOUT=seconds, ACK_RANDOM_FACTOR=1.0, MAX_RETRANSMIT=0)


class AskingTests(AgentTestCase):
    """What an agent asks."""

    def setUp(self) -> None:
        """Leave the default as it was."""
        super().setUp()
        self.addCleanup(setDefault, None)

    def assertFailsAfter(self, waiting: Any, seconds: float) -> Any:
        """A request fails just then; the error."""
        self.reactor.elapse(seconds - 0.01)
        self.assertNoResult(waiting)
        self.reactor.elapse(0.02)
        error = self.failureResultOf(waiting, NoAcknowledgement).value
        self.assertAlmostEqual(error.seconds, seconds, places=6)
        return error

    def test_agent(self) -> None:
        """An agent's parameters are for its requests and pings, whatever the default."""
        setDefault(once(9))
        agent = self.newAgent(parameters=once(3))
        self.assertEqual(agent.parameters, once(3))
        self.assertFailsAfter(agent.get(TEXT), 3)
        self.assertFailsAfter(agent.observe(TEXT), 3)
        self.assertFailsAfter(agent.ping(TEXT), 3)

    def test_request(self) -> None:
        """A request's are for it alone."""
        agent = self.newAgent(parameters=once(3))
        self.assertFailsAfter(agent.get(TEXT, parameters=agent.parameters.evolve(ACK_TIMEOUT=5)), 5)
        self.assertFailsAfter(agent.get(TEXT), 3)

    def test_retries(self) -> None:
        """How often it is repeated is one of them: once more, or never."""
        for retries in (0, 1):
            self.peer.take()
            waiting = self.agent.get(TEXT, parameters=self.agent.parameters.evolve(MAX_RETRANSMIT=retries))
            self.reactor.elapse(100)
            self.failureResultOf(waiting, NoAcknowledgement)
            self.assertEqual(len(self.peer.take()), 1 + retries)

    def test_default(self) -> None:
        """
        An agent that was given none goes by the default as it is when a request is made, also one that was
        made, and opened its socket, before the default was set.
        """
        for seconds in (3.0, 5.0):
            setDefault(once(seconds))
            self.assertEqual(self.agent.parameters, once(seconds))
            self.assertFailsAfter(self.agent.get(TEXT), seconds)
            self.assertFailsAfter(self.agent.ping(TEXT), seconds)
            self.assertFailsAfter(self.agent.observe(TEXT), seconds)

    def test_protocol(self) -> None:
        """One with a protocol that was given goes by the protocol's, unless it has some of its own."""
        protocol = CoAPProtocol(None, self.reactor, parameters=once(3))
        self.wire.open(protocol, ("192.0.2.9", 40000))
        agent = Agent(self.reactor, protocol=protocol)
        self.assertEqual(agent.parameters, once(3))
        self.assertFailsAfter(agent.get(TEXT), 3)
        agent = Agent(self.reactor, protocol=protocol, parameters=once(5))
        self.assertFailsAfter(agent.get(TEXT), 5)

    def test_nstart(self) -> None:
        """NSTART is one of them: how many go at once to a peer."""
        with usingDefault(LAN_PARAMETERS):
            for _ in range(20):
                self.agent.get(TEXT).addErrback(lambda _: None)
            self.assertEqual(len(self.peer.take()), LAN_PARAMETERS.NSTART)

    def test_socket(self) -> None:
        """What belongs to a socket, as the lifetime of message IDs, is by the default at its opening."""
        setDefault(LAN_PARAMETERS)
        self.agent.get(TEXT).addErrback(lambda _: None)
        setDefault(SLOW_PARAMETERS)
        self.reactor.elapse(LAN_PARAMETERS.MAX_TRANSMIT_WAIT + LAN_PARAMETERS.EXCHANGE_LIFETIME + 1)
        (address,) = self.ours()
        self.assertEqual(self.wire.sockets[address].protocol.sizes()["peers"], 0)


class PatienceTests(AgentTestCase):
    """How long an error says that was waited."""

    def assertWaited(self, waiting: Any, kind: type, seconds: float) -> None:
        """A request failed after so long, and says so."""
        error: Any = self.failureResultOf(waiting, kind).value
        self.assertAlmostEqual(error.seconds, seconds, places=3)
        self.assertIn(f"no reply in {seconds:.4g} seconds from", str(error))

    def test_notAcknowledged(self) -> None:
        """Without a time-out of its own: all retransmissions, as they were drawn."""
        waiting = self.agent.get(TEXT)
        began = self.reactor.seconds()
        failed: list[float] = []

        def note(failure: Failure) -> Failure:
            failed.append(self.reactor.seconds() - began)
            return failure

        waiting.addErrback(note)
        self.reactor.elapse(100)
        self.assertTrue(62 < failed[0] < 93)
        self.assertWaited(waiting, NoAcknowledgement, failed[0])

    def test_timeout(self) -> None:
        """With one: that; for a ping too, after some retransmissions."""
        for asked in (self.agent.get(TEXT, timeout=20), self.agent.ping(TEXT, timeout=20)):
            self.reactor.elapse(20)
            self.assertWaited(asked, NoAcknowledgement, 20)

    def test_acknowledged(self) -> None:
        """After an acknowledgement: EXCHANGE_LIFETIME, or the time-out."""
        for timeout, seconds in ((None, 247), (300, 300)):
            waiting = self.agent.get(TEXT, timeout=timeout)
            self.peer.sendEmpty(ACK, self.peer.takeOne().messageID)
            self.reactor.elapse(seconds)
            self.assertWaited(waiting, NoResponse, seconds)

    def test_nonConfirmable(self) -> None:
        """A non-confirmable request: MAX_TRANSMIT_WAIT."""
        waiting = self.agent.get(TEXT, confirmable=False)
        self.reactor.elapse(93)
        self.assertWaited(waiting, NoResponse, 93)

    def test_turn(self) -> None:
        """One that waited for its turn all the time says so."""
        self.agent.get(TEXT).addErrback(lambda _: None)
        waiting = self.agent.get(TEXT, timeout=10)
        self.reactor.elapse(10)
        self.assertWaited(waiting, NoResponse, 10)


class ServingTests(ServerTestCase):
    """What a server answers."""

    def setUp(self) -> None:
        """Leave the default as it was; requests are kept."""
        super().setUp()
        self.addCleanup(setDefault, None)
        self.requests: list[Request] = []

    def keep(self, request: Request) -> int:
        """Answer later."""
        self.requests.append(request)
        return NOT_DONE_YET

    def acknowledgedAfter(self) -> float | None:
        """Ask; when the empty acknowledgement came, if it did within the time that a client waits."""
        self.peer.take()
        began = self.reactor.seconds()
        self.ask(token=bytes([len(self.requests)]))
        for _ in range(1000):
            self.reactor.elapse(0.093)
            for each in self.peer.take():
                self.assertEqual((each.type, each.code), (ACK, Code.EMPTY))
                return self.reactor.seconds() - began
        return None

    def test_piggybackDelay(self) -> None:
        """PIGGYBACK_DELAY says when a request is acknowledged that is not answered yet (RFC 7252 5.2.2)."""
        for delay in (0.05, 0.5, 2.0):
            self.serve(Answering(self.keep), parameters=Parameters(PIGGYBACK_DELAY=delay))
            self.assertApproximates(self.acknowledgedAfter(), delay, 0.1)
            self.requests[-1].finish()
            self.assertEqual(self.peer.takeOne().type, CON)
            self.socket.stopListening()

    def test_atOnce(self) -> None:
        """With 0 at the end of the turn; what is answered at once is in the acknowledgement all the same."""
        self.serve(Answering(self.keep), parameters=Parameters(PIGGYBACK_DELAY=0))
        self.ask()
        self.reactor.elapse(0)
        self.assertEqual(self.peer.takeOne().code, Code.EMPTY)
        self.socket.stopListening()
        self.serve(Answering(lambda request: b"x"), parameters=Parameters(PIGGYBACK_DELAY=0))
        self.assertEqual(self.answerTo().payload, b"x")

    def test_never(self) -> None:
        """
        With infinity not before the answer, which goes in the acknowledgement however late. A request that
        is never answered is forgotten nevertheless.
        """
        self.serve(Answering(self.keep), parameters=Parameters(PIGGYBACK_DELAY=math.inf))
        messageID = self.ask()
        self.reactor.elapse(90)
        self.assertEqual(self.peer.take(), [])
        self.requests[0].finish()
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.messageID), (ACK, messageID))
        lost: list[Any] = []
        self.ask(token=b"2")
        self.requests[1].notifyFinish().addErrback(lost.append)
        self.reactor.elapse(93 + 248)
        self.assertEqual(len(lost), 1)
        self.reactor.elapse(300)
        self.assertForgets()

    def test_separate(self) -> None:
        """A response apart is repeated by the site's parameters."""
        self.serve(Answering(self.keep), parameters=once(3).evolve(MAX_RETRANSMIT=2))
        self.acknowledgedAfter()
        self.requests[0].finish()
        self.reactor.elapse(100)
        self.assertEqual(len(self.peer.take()), 3)

    def test_default(self) -> None:
        """A site that was given none goes by the default when its socket is opened."""
        site = self.serve(Answering(self.keep))
        self.socket.stopListening()
        setDefault(once(3).evolve(MAX_RETRANSMIT=2))
        self.wire.open(self.protocol, self.socket.address)
        self.assertIsNone(site.parameters)
        self.acknowledgedAfter()
        self.requests[0].finish()
        self.reactor.elapse(100)
        self.assertEqual(len(self.peer.take()), 3)

    def test_firstOpening(self) -> None:
        """Also when its protocol was made before."""
        protocol = CoAPProtocol(None, self.reactor)
        with usingDefault(LAN_PARAMETERS):
            self.wire.open(protocol, ("192.0.2.7", 1))
        peer = Peer(self.wire, ("192.0.2.6", 1), ("192.0.2.7", 1))
        peer.send(CON, Code.GET)
        peer.takeOne()
        self.reactor.elapse(LAN_PARAMETERS.EXCHANGE_LIFETIME * 1.01)
        self.assertEqual(set(protocol.sizes().values()), {0})


class TestingTests(SynchronousTestCase):
    """The agents for tests go by the same rules."""

    def test_default(self) -> None:
        """L{StubAgent} and the agents of a L{MemoryNetwork}."""
        network = MemoryNetwork()
        network.drop(lambda passage: True)
        stub = StubAgent(Answering(lambda request: Response(Code.CONTENT)), network=network)
        agent = network.agent()
        for seconds in (3, 5):
            with usingDefault(once(seconds)):
                asked = [stub.get("coap://x/"), agent.get("coap://192.0.2.1/")]
            network.advance(seconds + 0.01)
            for each in asked:
                self.failureResultOf(each, NoAcknowledgement)
