"""
What went wrong elsewhere does not here: the table in C{docs/security.rst} names the tests, some of which are
below.
"""

from __future__ import annotations

import re
from itertools import combinations
from random import Random
from typing import Any

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from tests.pages import ROOT
from tests.wire import SERVER, Answering, Peer, ServerTestCase
from txcoap.block import Block
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.observe import ObservableResource
from txcoap.options import DEFINITIONS, Options
from txcoap.parameters import Parameters
from txcoap.protocol import CoAPProtocol
from txcoap.request import Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, RST, decode, encode

HEADING = "What went wrong elsewhere"


class PageTests(SynchronousTestCase):
    """The table."""

    def test_rows(self) -> None:
        """Each row names tests, and all of them are there."""
        text = (ROOT / "docs" / "security.rst").read_text("utf-8").partition(HEADING)[2]
        rows = text.split("\n   * - ")[2:]
        self.assertGreater(len(rows), 30)
        for row in rows:
            names = re.findall(r"``(test_\w+\.\w+\.test_\w+)``", row)
            self.assertTrue(names, row)
            for name in names:
                self.assertTrue(callable(namedAny(f"tests.{name}")), name)


class State(ObservableResource):
    """Something to observe."""

    isLeaf = True
    value = 0

    def render_GET(self, request: Request) -> bytes:
        """A number."""
        return b"%d" % self.value

    def change(self) -> None:
        """The next one."""
        self.value += 1
        self.notifyObservers()


def _rubbish(chance: Random) -> list[bytes]:
    """Datagrams that are no messages, and some that are none that may be sent."""
    whole = encode(CON, Code.GET, 0x4242, b"tkn", Options(uriPath=("state",)))
    return [
        b"",
        b"\x40",
        b"\x4f\x01\x42\x42" + bytes(15),
        whole[:-3],
        whole + b"\xff",
        bytes((whole[0] | 0xC0,)) + whole[1:],
        b"\x60\x01\x42\x43\xff",
        b"\x70\x01\x42\x44\xff",
        encode(CON, 0x20, 0x4245, b"tkn"),
        encode(ACK, Code.CONTENT, 0x4246, b"tkn"),
        encode(NON, Code.CONTENT, 0x4247, b"tkn"),
        *[chance.randbytes(chance.randrange(60)) for _ in range(200)],
    ]


class SpoiledTests(ServerTestCase):
    """What anybody can send in the name of a client ends nothing that the client has begun."""

    def setUp(self) -> None:
        super().setUp()
        self.state = State()
        self.bodies: list[bytes] = []
        root = Resource()
        root.putChild("state", self.state)
        root.putChild("body", Answering(lambda request: self.bodies.append(request.payload)))
        self.serve(root)

    def spoil(self) -> None:
        """Rubbish comes from the client's address; what is said to that does not matter."""
        for data in _rubbish(Random(3)):
            self.peer.sendBytes(data)
        self.reactor.elapse(1)
        self.peer.take()

    def test_observation(self) -> None:
        """Who observes is told of the next state."""
        self.answerTo(Code.GET, "state", observe=0)
        self.spoil()
        self.state.change()
        self.reactor.elapse(0)
        told = self.peer.takeOne()
        self.assertEqual((told.token, told.payload), (b"tkn", b"1"))
        self.peer.sendEmpty(ACK, told.messageID)

    def test_upload(self) -> None:
        """A body in blocks goes on."""
        self.answerTo(Code.PUT, "body", bytes(16), block1=Block(0, True, 0))
        self.spoil()
        answer = self.answerTo(Code.PUT, "body", b"end", block1=Block(1, False, 0))
        self.assertEqual((answer.code, self.bodies), (Code.CHANGED, [bytes(16) + b"end"]))


class ForgedTests(ServerTestCase):
    """What is sent in a server's name by one who does not see what the client sends ends nothing."""

    client = ("192.0.2.10", 40001)
    body = bytes(range(256)) * 20

    def setUp(self) -> None:
        super().setUp()
        self.state = State()
        root = Resource()
        root.putChild("state", self.state)
        root.putChild("body", Answering(lambda request: request.payload or self.body))
        self.serve(root)
        parameters = Parameters(NSTART=10)
        protocol = CoAPProtocol(None, self.reactor, parameters=parameters, chance=Random(5))
        self.wire.open(protocol, self.client)
        self.agent = Agent(self.reactor, protocol=protocol)
        self.uri = f"coap://{SERVER[0]}"

    def forge(self) -> None:
        """Acknowledgements, Resets, responses and notifications come, whose IDs and tokens are wrong."""
        chance = Random(9)
        asked = [decode(data) for whence, _, data in self.wire.sent if whence == self.client]
        tokens = {each.token for each in asked}
        ids = {each.messageID for each in asked}
        options = [Options(), Options(observe=9), Options(block2=Block(0, True, 6)), Options(echo=b"e")]
        for _ in range(500):
            token = chance.randbytes(chance.randrange(9))
            messageID = chance.getrandbits(16)
            if token in tokens or messageID in ids:
                continue
            type = chance.choice((ACK, CON, NON))
            code = chance.choice((Code.CONTENT, Code.CONTINUE, Code.NOT_FOUND, Code.UNAUTHORIZED))
            data = encode(type, code, messageID, token, chance.choice(options), b"forged")
            self.wire.carry(SERVER, self.client, data)
            # Of these one part is right: that is not enough.
            data = encode(type, code, messageID, chance.choice(asked).token, Options(), b"forged")
            if type is ACK:
                self.wire.carry(SERVER, self.client, data)
            self.wire.carry(SERVER, self.client, encode(RST, Code.EMPTY, messageID))
            data = encode(ACK, code, chance.choice(asked).messageID, token, Options(), b"forged")
            self.wire.carry(SERVER, self.client, data)
        self.wire.settle()

    def test_requests(self) -> None:
        """What was asked is answered by the server, bodies in blocks too."""
        self.wire.loses = lambda whence, whereto, data: whence == self.client
        small = self.agent.post(f"{self.uri}/body", b"small")
        down = self.agent.get(f"{self.uri}/body")
        up = self.agent.put(f"{self.uri}/body", self.body[::-1])
        self.reactor.elapse(0)
        self.forge()
        self.wire.loses = lambda whence, whereto, data: False
        for _ in range(20):
            self.reactor.elapse(0.5)
            self.forge()
        expected = [b"small", self.body, self.body[::-1]]
        self.assertEqual([self.successResultOf(each).payload for each in (small, down, up)], expected)

    def test_observation(self) -> None:
        """Who observes is told what the server says, and nothing else."""
        observing = self.agent.observe(f"{self.uri}/state")
        self.reactor.elapse(0)
        told: list[bytes] = []
        self.successResultOf(observing).subscribe(lambda state: told.append(state.payload))
        for _ in range(3):
            self.forge()
            self.state.change()
            self.reactor.elapse(1)
        self.assertEqual(told, [b"0", b"1", b"2", b"3"])
        self.assertEqual(self.protocol.sizes()["observers"], 1)


class TogetherTests(ServerTestCase):
    """Options that are each valid."""

    def setUp(self) -> None:
        super().setUp()
        root = Resource()
        root.putChild("plain", Answering(lambda request: bytes(100)))
        self.serve(root)

    def test_combination(self) -> None:
        """A GET with blocks both ways, an empty Size1 and a Hop-Limit, confirmable or not, is answered."""
        for type in (CON, NON):
            answer = self.answerTo(
                Code.GET,
                "plain",
                type=type,
                hopLimit=3,
                block1=Block(0, False, 0),
                block2=Block(0, False, 0),
                size1=0,
            )
            self.assertFalse(answer.code.codeClass == 5, answer)
            self.assertEqual(self.answerTo(Code.GET, "plain").payload, bytes(100))

    def test_everyPair(self) -> None:
        """
        Whichever two options a request has, of least and greatest length, it is answered once, by no error of
        ours, and the next request finds all as it was.
        """
        lengths = [
            (each.number, bytes(length))
            for each in DEFINITIONS.values()
            for length in {each.minimum, min(each.maximum, 16)}
        ]
        client = Peer(self.wire, ("192.0.2.10", 5))
        for number, (first, second) in enumerate(combinations(lengths, 2)):
            options = Options(uriPath=("plain",)).adding(first, second)
            code: Any = (Code.GET, Code.PUT, Code.FETCH)[number % 3]
            client.sendBytes(encode(CON, code, number, b"t", options, b"" if code == Code.GET else b"x"))
            answer = client.takeOne()
            self.assertEqual((answer.type, answer.messageID), (ACK, number))
            self.assertTrue(answer.code.codeClass in (2, 4) or answer.code.dotted in {"0.00", "5.05"}, answer)
        self.assertEqual(self.answerTo(Code.GET, "plain").payload, bytes(100))
