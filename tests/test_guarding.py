"""
Tests for L{txcoap.sansio.guarding}: what an address that is not proven is sent (RFC 9175 2.4).
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase

from txcoap.block import MAX_BLOCKS, Block
from txcoap.codes import Code
from txcoap.errors import BadRequest
from txcoap.groups import Answering as GroupAnswers
from txcoap.groups import readGroups
from txcoap.limits import Limits
from txcoap.message import Response
from txcoap.observe import ObservableResource
from txcoap.options import Options
from txcoap.parameters import DEFAULT_PARAMETERS
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, encode
from txcoap.sansio.guarding import GuardedExchanges
from txcoap.server import Site
from txcoap.testing import MemoryNetwork

from .wire import CLIENT, SERVER, Answering, ServerTestCase, giving

BODY = bytes(range(256)) * 20


class GuardTestCase(ServerTestCase):
    """A server that limits what it sends to addresses that are not proven."""

    def guard(self, root: Any, **how: Any) -> None:
        """Serve a tree."""
        self.serve(root, amplification=3, accessLog=None, **how)

    def ratio(self) -> float:
        """How many bytes the server has sent for each that it got."""
        got = sum(len(data) for whence, _, data in self.wire.sent if whence == CLIENT)
        gave = sum(len(data) for whence, _, data in self.wire.sent if whence == SERVER)
        return gave / got

    def prove(self) -> None:
        """Return an Echo."""
        echo = self.answerTo(Code.GET, "x", observe=0).options.echo
        self.answerTo(Code.GET, "x", echo=echo)


class UnprovenTests(GuardTestCase):
    """An address that is not proven."""

    def test_small(self) -> None:
        """A small answer is given as ever."""
        self.guard(Answering(giving(b"on")))
        answer = self.answerTo(Code.GET, "x")
        self.assertEqual((answer.code, answer.payload), (Code.CONTENT, b"on"))

    def test_blocks(self) -> None:
        """A large one comes in blocks so small that each keeps the factor; with all of them it is whole."""
        self.guard(Answering(giving(BODY)))
        body, more, number = b"", True, 0
        block: Block | None = None
        while more:
            options = {} if block is None else {"block2": Block(number, False, block.exponent)}
            answer = self.answerTo(Code.GET, "firmware/latest", **options)
            block = answer.options.block2
            assert block is not None
            body += answer.payload
            more, number = block.more, number + 1
            self.assertTrue(self.ratio() <= 3)
        self.assertEqual(body, BODY)
        assert block is not None
        self.assertEqual(block.size, 32)

    def test_greedyBlocks(self) -> None:
        """A block that is asked for and would be too large comes smaller, from where it begins."""
        self.guard(Answering(giving(BODY)))
        answer = self.answerTo(Code.GET, "firmware/latest", block2=Block(2, False, 6))
        block = answer.options.block2
        assert block is not None
        self.assertEqual((block.start, answer.payload), (2048, BODY[2048 : 2048 + block.size]))
        self.assertTrue(self.ratio() <= 3)

    def test_tooSmallToServe(self) -> None:
        """Where not even a small block fits: 4.01 with Echo, as small as can be."""
        self.guard(Answering(giving(BODY)))
        answer = self.answerTo(Code.GET, token=b"")
        self.assertEqual((answer.code, answer.payload), (Code.UNAUTHORIZED, b""))
        self.assertEqual(len(self.wire.sent[-1][2]), 18)

    def test_discovery(self) -> None:
        """It holds for /.well-known/core too, with which such attacks are made."""
        root = Resource()
        for number in range(50):
            root.putChild(f"sensor{number}", Answering(giving(b"")))
        self.guard(root)
        self.answerTo(Code.GET, ".well-known/core")
        self.assertTrue(self.ratio() <= 3)

    def test_diagnostics(self) -> None:
        """The text of an error is left out where it would be too large, whoever finds the error."""

        def fail(request: Any) -> bytes:
            raise BadRequest("x" * 500)

        self.guard(Answering(fail))
        answer = self.answerTo(Code.GET, "x")
        self.assertEqual((answer.code, answer.payload), (Code.BAD_REQUEST, b""))
        options = Options.fromPairs([(9, b"")])
        self.peer.send(CON, Code.GET, None, b"", options)
        self.assertEqual(self.peer.takeOne().code, Code.BAD_OPTION)
        self.assertTrue(self.ratio() <= 3)

    def test_changes(self) -> None:
        """What changes something is refused before it is done, unless it has room for an answer."""
        done: list[bytes] = []

        def store(request: Any) -> bytes:
            done.append(request.payload)
            return BODY

        self.guard(Answering(store))
        self.assertEqual(self.answerTo(Code.POST, "x", b"1").code, Code.UNAUTHORIZED)
        self.assertEqual(done, [])
        answer = self.answerTo(Code.POST, "x", bytes(60))
        self.assertEqual(answer.code, Code.CHANGED)
        block = answer.options.block2
        assert block is not None
        self.assertTrue(block.more)
        self.assertEqual(done, [bytes(60)])
        self.assertTrue(self.ratio() <= 3)

    def test_changedWithoutRoom(self) -> None:
        """If it was done and the answer does not fit after all, the code alone says so."""
        path = ("a" * 200, "b" * 200)
        self.guard(Answering(giving(Response(Code.CREATED, b"", locationPath=path))))
        answer = self.answerTo(Code.POST, "x", bytes(60))
        self.assertEqual((answer.code, answer.options.locationPath), (Code.CREATED, ()))

    def test_silent(self) -> None:
        """Who wants no answer needs no proof."""
        asked: list[Any] = []
        self.guard(Answering(asked.append))
        self.ask(Code.POST, "x", b"1", NON, noResponse=26)
        self.assertEqual((len(asked), self.peer.take()), (1, []))

    def test_apart(self) -> None:
        """An answer that is sent apart is not confirmable: it is not sent again and again."""
        later: Deferred[bytes] = Deferred()
        self.guard(Answering(giving(later)))
        self.ask(Code.GET, "x")
        self.reactor.elapse(1)
        later.callback(b"on")
        self.assertEqual([each.type for each in self.peer.take()], [ACK, NON])
        self.reactor.elapse(100)
        self.assertEqual(self.peer.take(), [])
        self.assertTrue(self.ratio() <= 3)

    def test_apartTooLarge(self) -> None:
        """Nor is a 4.01 that is sent apart."""
        later: Deferred[bytes] = Deferred()
        self.guard(Answering(giving(later)))
        self.ask(Code.GET)
        self.reactor.elapse(1)
        later.callback(BODY)
        self.assertEqual(
            [(each.type, each.code) for each in self.peer.take()][1:], [(NON, Code.UNAUTHORIZED)]
        )

    def test_wholeNumberOfBlocks(self) -> None:
        """A block so far into a body that smaller ones have no number for it: 4.01 with Echo."""
        self.guard(Answering(giving(BODY)))
        answer = self.answerTo(Code.GET, "x" * 60, block2=Block(MAX_BLOCKS - 1, False, 6))
        self.assertEqual(answer.code, Code.UNAUTHORIZED)

    def test_group(self) -> None:
        """It holds for who asks a group too (RFC 7252 11.3); what does not fit is left unsaid."""
        network = MemoryNetwork()
        self.addCleanup(network.close)
        done: list[bytes] = []

        def store(request: Any) -> bytes:
            done.append(request.payload)
            return bytes(request.payload[:2])

        root = Resource()
        root.putChild("large", Answering(giving(BODY)))
        root.putChild("error", Answering(giving(Response(Code.NOT_FOUND, bytes(500)))))
        for each in ("large", "error"):
            root.children[each].multicastAnswers = GroupAnswers.ALWAYS
        root.putChild("store", Answering(store))
        network.listen(Site(root, amplification=3)).joinGroup(*readGroups("224.0.1.187"))
        peer = network.listen(DatagramProtocol(), "192.0.2.3")
        group = ("224.0.1.187", 5683)

        def ask(code: Code, payload: bytes = b"", **options: Any) -> list[Any]:
            number = len(network.passages)
            peer.send(encode(NON, code, number, b"t", Options(**options), payload), group)
            network.advance(10)
            asked, *answers = list(network.passages)[number:]
            self.assertTrue(all(len(each.data) <= 3 * len(asked.data) for each in answers))
            return [each.datagram for each in answers]

        (answer,) = ask(Code.GET, uriPath=("large",), uriQuery=("a" * 20,))
        block = Options.fromPairs(answer.options.pairs).block2
        assert block is not None
        self.assertTrue(block.more and block.size < 256)
        # A group cannot be observed; Observe makes no difference.
        self.assertEqual(len(ask(Code.GET, uriPath=("large",), uriQuery=("a" * 20,), observe=0)), 1)
        self.assertEqual(ask(Code.GET, uriPath=("error",)), [])
        # Before it is done, for nobody would learn of it.
        self.assertEqual((ask(Code.POST, b"1", uriPath=("store",)), done), ([], []))
        self.assertEqual(len(ask(Code.POST, bytes(60), uriPath=("store",))), 1)

    def test_observe(self) -> None:
        """Who wants to observe proves itself first; then it does, and gets all."""
        state = Observed()
        self.guard(state)
        refusal = self.answerTo(Code.GET, "x", observe=0)
        self.assertEqual(refusal.code, Code.UNAUTHORIZED)
        self.assertEqual(self.protocol.sizes()["observers"], 0)
        answer = self.answerTo(Code.GET, "x", observe=0, echo=refusal.options.echo)
        self.assertIsNotNone(answer.options.observe)
        state.notifyObservers()
        self.assertEqual(len(self.peer.takeOne().payload), 500)

    def test_repeated(self) -> None:
        """A repeated request gets the same answer again: the factor holds for repetitions."""
        self.guard(Answering(giving(BODY)))
        data = encode(CON, Code.GET, 7, b"tkn", Options(uriPath=("firmware", "latest")), b"")
        for _ in range(5):
            self.peer.sendBytes(data)
        self.assertEqual(len({(each.code, each.payload) for each in self.peer.take()}), 1)
        self.assertTrue(self.ratio() <= 3)

    @settings(deadline=None, max_examples=60, derandomize=True)
    @given(
        st.sampled_from((Code.GET, Code.FETCH, Code.PUT, Code.POST, Code.DELETE)),
        st.integers(0, 60),
        st.integers(0, 80),
        st.integers(0, 2000),
        st.binary(max_size=8),
        st.sampled_from((CON, NON)),
    )
    def test_always(self, code: Code, path: int, payload: int, answer: int, token: bytes, type: Any) -> None:
        """Whatever is asked and answered, it is three times the bytes at most, or the bare 4.01."""
        self.setUp()
        self.guard(Answering(giving(bytes(answer))))
        self.ask(code, "p" * path, bytes(payload), type, token)
        asked = len(self.wire.sent[0][2])
        for datagram in self.wire.sent[1:]:
            self.assertTrue(len(datagram[2]) <= max(3 * asked, 18 + len(token)))
        self.peer.take()


class Observed(ObservableResource):
    """A state of 500 bytes."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """It."""
        return bytes(500)


class ProvenTests(GuardTestCase):
    """An address that has returned an Echo."""

    def test_free(self) -> None:
        """It is answered without limit, at any port, for EXCHANGE_LIFETIME since it last returned one."""
        self.guard(Answering(giving(bytes(1000))))
        self.prove()
        self.assertEqual(len(self.answerTo(Code.GET, "x").payload), 1000)
        self.assertEqual(self.protocol.sizes()["provenAddresses"], 1)
        self.reactor.elapse(DEFAULT_PARAMETERS.EXCHANGE_LIFETIME)
        self.assertTrue(len(self.answerTo(Code.GET, "x").payload) < 100)
        self.assertEqual(self.protocol.sizes()["provenAddresses"], 0)

    def test_forged(self) -> None:
        """An Echo that was given to another address, or to nobody, is no proof; nor is one that is old."""
        self.guard(Answering(giving(BODY)))
        stolen = self.protocol.newEcho(("192.0.2.77", 5683))
        for echo in (stolen, b"x", b"x" * 40):
            self.answerTo(Code.GET, "x", echo=echo)
        old = self.protocol.newEcho(CLIENT)
        self.reactor.elapse(DEFAULT_PARAMETERS.EXCHANGE_LIFETIME + 1)
        self.answerTo(Code.GET, "x", echo=old)
        self.assertEqual(self.protocol.sizes()["provenAddresses"], 0)
        self.assertTrue(self.ratio() <= 3)

    def test_bounded(self) -> None:
        """C{Limits.provenAddresses}: the oldest makes room."""
        machine = GuardedExchanges(3, FixedChance(), limits=Limits(provenAddresses=2))
        for number in range(5):
            peer = f"192.0.2.{number}", 5683
            echo = Options(echo=machine.newEcho(peer, 0.0))
            machine.receiveDatagram(encode(CON, Code.GET, 1, b"", echo, b""), peer, None, 0.0)
        self.assertEqual(machine.sizes()["provenAddresses"], 2)

    def test_unix(self) -> None:
        """The path of a Unix socket cannot be forged, and needs no proof."""
        machine = GuardedExchanges(3, FixedChance())
        request: Any = machine.receiveDatagram(b"\x40\x01\x00\x01", b"/run/client", None, 0.0)
        self.assertIsNone(request.room)


class FixedChance:
    """Chance that is none."""

    def random(self) -> float:
        """See C{random.Random}."""
        return 0.5

    def getrandbits(self, k: int, /) -> int:
        """See C{random.Random}."""
        return 1


class AgentTests(SynchronousTestCase):
    """Our own client at such a server."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.addCleanup(self.network.close)
        self.agent = self.network.agent()

    def test_everything(self) -> None:
        """It gets and sends whole bodies, and observes, and does not notice anything."""
        state = Observed()
        root = Resource()
        root.putChild("state", state)
        root.putChild("echo", Answering(lambda request: request.payload))
        self.network.listen(Site(root, amplification=3))
        base = "coap://192.0.2.1"
        posting = self.agent.post(f"{base}/echo", BODY)
        self.network.flush()
        self.assertEqual(self.successResultOf(posting).payload, BODY)
        observing = self.agent.observe(f"{base}/state")
        self.network.flush()
        observation = self.successResultOf(observing)
        self.assertTrue(observation.isEstablished)
        observation.cancel()
        self.network.flush()

    def test_amplification(self) -> None:
        """A factor below 1 is refused: nothing could be answered."""
        self.assertRaises(ValueError, Site, Resource(), amplification=0.5)
