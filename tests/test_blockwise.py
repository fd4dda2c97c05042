"""
Tests for L{txcoap.blockwise}: bodies in blocks, as a server takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.test_fetching import body
from tests.wire import CLIENT, FORGOTTEN, LIFETIME, SERVER, ServerTestCase, trusted
from txcoap.block import Block
from txcoap.codes import Code
from txcoap.errors import Forbidden
from txcoap.limits import Limits
from txcoap.observe import ObservableResource
from txcoap.options import Options
from txcoap.request import Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, Datagram

GET, PUT, POST, FETCH = Code.GET, Code.PUT, Code.POST, Code.FETCH
CONTINUE, CHANGED, CONTENT = Code.CONTINUE, Code.CHANGED, Code.CONTENT


class Store(Resource):
    """
    Keeps what it is given, and answers every method with what a test says.

    @ivar whole: The whole bodies that came, each with its method.
    @ivar answer: What to answer with.
    """

    isLeaf = True
    heedsConditions = True

    def __init__(self, answer: Callable[[Request], Any] = lambda request: None) -> None:
        self.whole: list[tuple[str, bytes]] = []
        self.answer = answer

    def render_GET(self, request: Request) -> Any:
        """Keep the body, answer."""
        self.whole.append((request.method, request.payload))
        return self.answer(request)

    render_PUT = render_POST = render_FETCH = render_PATCH = render_GET


class BlockwiseTestCase(ServerTestCase):
    """A L{Store}, and a peer that asks it."""

    def setUp(self) -> None:
        """Serve it."""
        super().setUp()
        self.store = Store()

    def put(
        self, number: int, data: bytes, more: bool = True, exponent: int = 0, code: int = PUT, **how: Any
    ) -> Datagram:
        """A block comes, and its answer."""
        return self.answerTo(code, "x", data, block1=Block(number, more, exponent), **how)

    def putAll(self, whole: bytes, exponent: int = 0, **how: Any) -> list[Datagram]:
        """All blocks of a body, and the answers."""
        size = 16 << exponent
        starts = range(0, len(whole), size)
        return [
            self.put(at // size, whole[at : at + size], at + size < len(whole), exponent, **how)
            for at in starts
        ]

    def get(self, number: int, exponent: int = 0, code: int = GET, **how: Any) -> Datagram:
        """A later block is asked for."""
        return self.answerTo(code, "x", b"", block2=Block(number, False, exponent), **how)

    def getAll(self, answer: Datagram, **how: Any) -> bytes:
        """The body of which this is the first block."""
        parts = [answer.payload]
        block = answer.options.block2
        while block is not None and block.more:
            answer = self.get(block.number + 1, block.exponent, **how)
            block = answer.options.block2
            parts.append(answer.payload)
        return b"".join(parts)


def message(code: Code, payload: bytes = b"", **options: Any) -> tuple[Any, ...]:
    """A message as the figures write it."""
    return code, options.get("block1"), options.get("block2"), len(payload)


def seen(datagram: Datagram) -> tuple[Any, ...]:
    """A message as the figures write it."""
    return (
        Code.fromByte(datagram.code),
        datagram.options.block1,
        datagram.options.block2,
        len(datagram.payload),
    )


class FigureTests(BlockwiseTestCase):
    """The message sequences of RFC 7959 section 3, this server in the server's role."""

    def play(self, *rows: Any) -> None:
        """Rows of a request, its options and payload, and the answer's code, Block1, Block2 and length."""
        for code, options, payload, *expected in rows:
            answer = self.answerTo(code, "x", payload, **options)
            self.assertEqual(seen(answer), tuple(expected))

    def test_figure2(self) -> None:
        """Simple block-wise GET: the server proposes 128 bytes, and the client agrees."""
        self.serve(self.store, blockSize=128)
        self.store.answer = lambda request: body(300)
        self.play(
            (GET, {}, b"", CONTENT, None, Block(0, True, 3), 128),
            (GET, {"block2": Block(1, False, 3)}, b"", CONTENT, None, Block(1, True, 3), 128),
            (GET, {"block2": Block(2, False, 3)}, b"", CONTENT, None, Block(2, False, 3), 44),
        )

    def test_figure3(self) -> None:
        """Early negotiation: the client asks for 64 bytes at once."""
        self.serve(self.store, blockSize=128)
        self.store.answer = lambda request: body(380)
        rows = [
            (GET, {"block2": Block(n, False, 2)}, b"", CONTENT, None, Block(n, n < 5, 2), 64 if n < 5 else 60)
            for n in range(6)
        ]
        self.play(*rows)

    def lateNegotiation(self) -> list[Any]:
        """The rows of Figure 4."""
        self.serve(self.store, blockSize=128)
        self.store.answer = lambda request: body(380)
        first: tuple[Any, ...] = (GET, {}, b"", CONTENT, None, Block(0, True, 3), 128)
        return [
            first,
            *[
                (
                    GET,
                    {"block2": Block(n, False, 2)},
                    b"",
                    CONTENT,
                    None,
                    Block(n, n < 5, 2),
                    64 if n < 5 else 60,
                )
                for n in range(2, 6)
            ],
        ]

    def test_figure4(self) -> None:
        """Late negotiation: the client goes on with 64 bytes where 128 were proposed."""
        self.play(*self.lateNegotiation())

    def test_figure5(self) -> None:
        """With a CON that is lost: the server sees it once, later."""
        rows = self.lateNegotiation()
        self.play(rows[0])
        self.reactor.elapse(2.5)
        self.play(*rows[1:])

    def test_figure6(self) -> None:
        """With an ACK that is lost: the repeated CON gets the same answer, and the resource is not asked."""
        rows = self.lateNegotiation()
        self.play(*rows[:2])
        again = self.wire.between(CLIENT, SERVER)[-1]
        answers = []
        for _ in range(2):
            self.peer.send(CON, again.code, again.messageID, again.token, again.options)
            answers.append(self.peer.takeOne())
        self.assertEqual(seen(answers[0]), tuple(rows[1][3:]))
        self.assertEqual(answers[0].payload, answers[1].payload)
        self.play(*rows[2:])
        self.assertEqual(len(self.store.whole), 1)

    def test_figure7(self) -> None:
        """Simple atomic block-wise PUT."""
        self.serve(self.store)
        self.play(
            (PUT, {"block1": Block(0, True, 3)}, bytes(128), CONTINUE, Block(0, True, 3), None, 0),
            (PUT, {"block1": Block(1, True, 3)}, bytes(128), CONTINUE, Block(1, True, 3), None, 0),
            (PUT, {"block1": Block(2, False, 3)}, bytes(40), CHANGED, Block(2, False, 3), None, 0),
        )
        self.assertEqual(self.store.whole, [("PUT", bytes(296))])

    def test_figure9(self) -> None:
        """With negotiation: the server asks for 32 bytes, and the client goes on with these."""
        self.serve(self.store, blockSize=32)
        self.play(
            (PUT, {"block1": Block(0, True, 3)}, bytes(128), CONTINUE, Block(0, True, 1), None, 0),
            (PUT, {"block1": Block(4, True, 1)}, bytes(32), CONTINUE, Block(4, True, 1), None, 0),
            (PUT, {"block1": Block(5, True, 1)}, bytes(32), CONTINUE, Block(5, True, 1), None, 0),
            (PUT, {"block1": Block(6, False, 1)}, bytes(7), CHANGED, Block(6, False, 1), None, 0),
        )
        self.assertEqual(self.store.whole, [("PUT", bytes(199))])

    def test_figure10(self) -> None:
        """Atomic block-wise POST with a block-wise response."""
        self.serve(self.store, blockSize=128)
        self.store.answer = lambda request: body(500)
        self.play(
            (POST, {"block1": Block(0, True, 3)}, bytes(128), CONTINUE, Block(0, True, 3), None, 0),
            (POST, {"block1": Block(1, True, 3)}, bytes(128), CONTINUE, Block(1, True, 3), None, 0),
            (
                POST,
                {"block1": Block(2, False, 3)},
                bytes(9),
                CHANGED,
                Block(2, False, 3),
                Block(0, True, 3),
                128,
            ),
            (POST, {"block2": Block(1, False, 3)}, b"", CHANGED, None, Block(1, True, 3), 128),
            (POST, {"block2": Block(2, False, 3)}, b"", CHANGED, None, Block(2, True, 3), 128),
            (POST, {"block2": Block(3, False, 3)}, b"", CHANGED, None, Block(3, False, 3), 116),
        )
        self.assertEqual(self.store.whole, [("POST", bytes(265))])

    def test_figure11(self) -> None:
        """The same with early negotiation: the last block of the request asks for 64 bytes."""
        self.serve(self.store, blockSize=128)
        self.store.answer = lambda request: body(250)
        last = {"block1": Block(2, False, 3), "block2": Block(0, False, 2)}
        self.play(
            (POST, {"block1": Block(0, True, 3)}, bytes(128), CONTINUE, Block(0, True, 3), None, 0),
            (POST, {"block1": Block(1, True, 3)}, bytes(128), CONTINUE, Block(1, True, 3), None, 0),
            (POST, last, bytes(9), CHANGED, Block(2, False, 3), Block(0, True, 2), 64),
            (POST, {"block2": Block(1, False, 2)}, b"", CHANGED, None, Block(1, True, 2), 64),
            (POST, {"block2": Block(2, False, 2)}, b"", CHANGED, None, Block(2, True, 2), 64),
            (POST, {"block2": Block(3, False, 2)}, b"", CHANGED, None, Block(3, False, 2), 58),
        )

    def observed(self, exponent: int, asked: Block | None) -> None:
        """Figures 12 and 13: an observed resource of three blocks, which changes twice."""
        size = 16 << exponent

        class Status(ObservableResource):
            isLeaf = True
            state = body(3 * size - 4)

            def render_GET(self, request: Request) -> bytes:
                return self.state

        status = Status()
        self.serve(status, blockSize=128)
        first = self.answerTo(GET, "x", token=b"\xf0", observe=0, block2=asked)
        for round_ in range(3):
            self.assertIsNotNone(first.options.observe)
            self.assertEqual((first.token, first.options.block2), (b"\xf0", Block(0, True, exponent)))
            parts = [first.payload]
            for number in (1, 2):
                later = self.get(number, exponent, token=bytes([round_]))
                self.assertEqual((later.options.observe, later.options.etag), (None, first.options.etag))
                self.assertEqual(later.options.block2, Block(number, number < 2, exponent))
                parts.append(later.payload)
            self.assertEqual(b"".join(parts), status.state)
            status.state = body(3 * size - 4, round_ + 1)
            status.notifyObservers()
            first = self.peer.takeOne()
            self.peer.sendEmpty(ACK, first.messageID)
            self.assertEqual(first.type, CON)

    def test_laterBlockObservesNothing(self) -> None:
        """
        A request for a later block is not one to observe, whether its body is still kept or not (RFC 7959
        2.6): it is answered, without Observe, and the observation that there is goes on.
        """

        class Status(ObservableResource):
            isLeaf = True

            def render_GET(self, request: Request) -> bytes:
                return body(300)

        status = Status()
        self.serve(status, blockSize=128)
        later = {"observe": 0, "block2": Block(1, False, 3)}
        for observe, observers in ((None, 0), (0, 1)):
            self.answerTo(GET, "x", token=b"o", observe=observe)
            for _ in range(2):
                answer = self.answerTo(GET, "x", token=b"o", **later)
                self.assertEqual((answer.payload, answer.options.observe), (body(300)[128:256], None))
                self.assertEqual(status.observerCount, observers)
                self.protocol.transfers.forgetAll()

    def test_observeWithBlock1(self) -> None:
        """A FETCH observes once its body is whole, with all of it, though each block says Observe (2.3)."""

        class Echoing(ObservableResource):
            isLeaf = True

            def render_FETCH(self, request: Request) -> bytes:
                return request.payload

        echoing = Echoing()
        self.serve(echoing)
        for number, data, more, observers in ((0, bytes(16), True, 0), (1, b"end", False, 1)):
            answer = self.put(number, data, more, code=FETCH, observe=0, token=b"o")
            self.assertEqual(answer.options.observe is None, more)
            self.assertEqual(echoing.observerCount, observers)
        echoing.notifyObservers()
        told = self.peer.takeOne()
        self.assertEqual(told.payload, bytes(16) + b"end")
        # A block of the next body is not yet the word that it is observed no longer.
        self.put(0, bytes(16), code=FETCH, observe=0, token=b"o")
        self.assertEqual(echoing.observerCount, 1)

    def test_figure12(self) -> None:
        """Observe: notifications carry the first block, the others are fetched with another token."""
        self.observed(3, None)

    def test_figure13(self) -> None:
        """The same with early negotiation, which holds for the notifications."""
        self.observed(2, Block(0, False, 2))

    def test_earlyNegotiationInEachBlock(self) -> None:
        """Whoever asks for the response's size with each block of the request is not confused by it."""
        self.serve(self.store)
        self.store.answer = lambda request: body(100)
        both = {"block2": Block(0, False, 2)}
        self.play(
            (POST, {"block1": Block(0, True, 0), **both}, bytes(16), CONTINUE, Block(0, True, 0), None, 0),
            (
                POST,
                {"block1": Block(1, False, 0), **both},
                bytes(1),
                CHANGED,
                Block(1, False, 0),
                Block(0, True, 2),
                64,
            ),
        )


class ReceivingTests(BlockwiseTestCase):
    """A request's body in blocks: the resource sees one request with the whole."""

    def test_whole(self) -> None:
        """Once, when it is whole, without the options of the transfer."""
        self.serve(self.store)
        options: list[Options] = []
        self.store.answer = lambda request: options.append(request.options)
        answers = self.putAll(body(100), contentFormat=0, size1=100)
        self.assertEqual([each.code for each in answers], [CONTINUE] * 6 + [CHANGED])
        self.assertEqual(self.store.whole, [("PUT", body(100))])
        self.assertEqual(options, [Options(uriPath=("x",), contentFormat=0)])
        self.assertForgets()

    def test_nonConfirmable(self) -> None:
        """So with non-confirmable messages."""
        self.serve(self.store)
        answers = self.putAll(body(40), type=NON)
        self.assertEqual([each.code for each in answers], [CONTINUE, CONTINUE, CHANGED])
        self.assertEqual(self.store.whole, [("PUT", body(40))])

    def test_sizes(self) -> None:
        """A body of nothing, of exactly one block, of exactly n blocks."""
        self.serve(self.store)
        for length in (16, 32, 160, 1, 17):
            self.putAll(body(length))
        self.put(0, b"", more=False)
        expected = [*map(body, (16, 32, 160, 1, 17)), b""]
        self.assertEqual([whole for _, whole in self.store.whole], expected)

    def test_everySize(self) -> None:
        """At every SZX."""
        self.serve(self.store)
        for exponent in range(7):
            self.putAll(body(2500, exponent), exponent)
        self.assertEqual([whole for _, whole in self.store.whole], [body(2500, each) for each in range(7)])

    def test_methods(self) -> None:
        """POST, PATCH and FETCH, too, may come in blocks."""
        self.serve(self.store)
        for code in (POST, FETCH, Code.PATCH):
            self.assertTrue(Code.fromByte(self.putAll(body(40), code=code)[-1].code).isSuccess)
        self.assertEqual(self.store.whole, [(each, body(40)) for each in ("POST", "FETCH", "PATCH")])

    def test_refusedAtOnce(self) -> None:
        """A method or path that is not there is refused at the first block."""
        root = Resource()
        root.putChild("x", Folder())
        self.serve(root)
        self.assertEqual(self.put(0, bytes(16)).code, Code.METHOD_NOT_ALLOWED)
        answer = self.answerTo(PUT, "y", bytes(16), block1=Block(0, True, 0))
        self.assertEqual(answer.code, Code.NOT_FOUND)
        self.assertForgets()

    def test_repeatedLast(self) -> None:
        """A repeated last block gets the same answer, and does not run the request twice."""
        self.serve(self.store)
        self.putAll(body(40), code=POST)
        again = self.wire.between(CLIENT, SERVER)[-1]
        self.peer.send(CON, again.code, again.messageID, again.token, again.options, again.payload)
        self.assertEqual(self.peer.takeOne().code, CHANGED)
        self.assertEqual(len(self.store.whole), 1)

    def test_repeatedAmid(self) -> None:
        """A repeated block amid the body gets the same answer, and is not stored twice."""
        self.serve(self.store)
        whole = body(40)
        self.put(0, whole[:16])
        self.put(1, whole[16:32])
        again = self.wire.between(CLIENT, SERVER)[-1]
        self.peer.send(CON, again.code, again.messageID, again.token, again.options, again.payload)
        answer = self.peer.takeOne()
        self.assertEqual((answer.code, answer.options.block1), (CONTINUE, Block(1, True, 0)))
        self.put(2, whole[32:], more=False)
        self.assertEqual(self.store.whole, [("PUT", whole)])

    def test_restart(self) -> None:
        """A first block begins anew."""
        self.serve(self.store)
        self.put(0, b"?" * 16)
        self.put(1, b"?" * 16)
        self.putAll(body(40))
        self.assertEqual(self.store.whole, [("PUT", body(40))])

    def test_wrong(self) -> None:
        """Gaps 4.08, wrong sizes and SZX 7 4.00; then nothing is kept."""
        self.serve(self.store)
        self.put(0, bytes(16))
        self.assertEqual(self.put(2, bytes(16)).code, Code.REQUEST_ENTITY_INCOMPLETE)
        self.assertEqual(self.put(1, bytes(16)).code, Code.REQUEST_ENTITY_INCOMPLETE)
        self.assertEqual(self.put(0, bytes(15)).code, Code.BAD_REQUEST)
        self.assertEqual(self.put(0, bytes(1025), exponent=7).code, Code.BAD_REQUEST)
        self.assertEqual(self.store.whole, [])
        self.assertForgets()

    def test_fourBytes(self) -> None:
        """Hostile: a Block option of four bytes is one that is not understood: 4.02 (RFC 7252 5.4.1)."""
        self.serve(self.store)
        for number in (23, 27):
            options = Options.fromPairs([(11, b"x"), (number, b"\x01\x00\x00\x08")])
            self.peer.send(CON, PUT, None, b"tkn", options, bytes(16))
            self.assertEqual(self.peer.takeOne().code, Code.BAD_OPTION)
            self.peer.send(NON, PUT, None, b"tkn", options, bytes(16))
            self.assertEqual(self.peer.take(), [])
        self.assertEqual(self.store.whole, [])

    def test_error(self) -> None:
        """An error of the resource answers the last block, which it names."""
        self.serve(self.store)

        def refuse(request: Request) -> None:
            raise Forbidden("no")

        self.store.answer = refuse
        answer = self.putAll(body(40))[-1]
        self.assertEqual((answer.code, answer.options.block1), (Code.FORBIDDEN, Block(2, False, 0)))

    def test_later(self) -> None:
        """A response that takes its time comes apart, and names the last block, too."""
        self.serve(self.store)
        waiting: Deferred[bytes] = Deferred()
        self.store.answer = lambda request: waiting
        self.put(0, bytes(16))
        self.ask(PUT, "x", b"end", block1=Block(1, False, 0))
        self.reactor.elapse(1)
        self.assertEqual([each.code for each in self.peer.take()], [0])
        waiting.callback(b"done")
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.options.block1), (CON, Block(1, False, 0)))
        self.assertEqual((answer.payload, answer.token), (b"done", b"tkn"))

    def test_preconditions(self) -> None:
        """If-Match and If-None-Match are judged once, on the whole, when the resource is asked."""
        self.serve(self.store)
        etag = [b"1"]
        judged = []

        def judge(request: Request) -> None:
            judged.append(request.payload)
            request.checkPreconditions(etag[0])

        self.store.answer = judge
        self.put(0, bytes(16), ifMatch=(b"2",))
        self.assertEqual(judged, [])
        etag[0] = b"2"
        self.assertEqual(self.put(1, b"end", more=False, ifMatch=(b"2",)).code, CHANGED)
        self.assertEqual(judged, [bytes(16) + b"end"])
        answers = [each.code for each in self.putAll(bytes(20), ifNoneMatch=True)]
        self.assertEqual(answers, [CONTINUE, Code.PRECONDITION_FAILED])

    def test_ifNoneMatchOnce(self) -> None:
        """If-None-Match comes with the first block alone, and holds for the whole (RFC 7959 2.10)."""
        self.serve(self.store)
        etag: list[bytes | None] = [b"1"]
        self.store.answer = lambda request: request.checkPreconditions(etag[0])
        for code in (Code.PRECONDITION_FAILED, CHANGED):
            self.assertEqual(self.put(0, bytes(16), ifNoneMatch=True).code, CONTINUE)
            self.assertEqual(self.put(1, b"end", more=False).code, code)
            etag[0] = None
        etag[0] = b"1"
        self.assertEqual([each.code for each in self.putAll(bytes(20))], [CONTINUE, CHANGED])

    def test_otherFormat(self) -> None:
        """A block of another content format is not of the same body: 4.08 (RFC 7959 2.3)."""
        self.serve(self.store)
        self.assertEqual(self.put(0, bytes(16), contentFormat=0).code, CONTINUE)
        answer = self.put(1, b"end", more=False, contentFormat=50)
        self.assertEqual(answer.code, Code.REQUEST_ENTITY_INCOMPLETE)
        self.assertEqual(self.store.whole, [])


class Folder(Resource):
    """Has GET alone."""

    def render_GET(self, request: Request) -> bytes:
        """Nothing."""
        return b""


class LimitTests(BlockwiseTestCase):
    """What a body may take (RFC 7959 2.9.3)."""

    def assertTooLarge(self, answer: Datagram, limit: int) -> None:
        """It is 4.13, and Size1 tells the limit."""
        self.assertEqual((answer.code, answer.options.size1), (Code.REQUEST_ENTITY_TOO_LARGE, limit))

    def test_announced(self) -> None:
        """Hostile: Size1 of 4 GiB: 4.13 at the first block."""
        self.serve(self.store)
        self.assertTooLarge(self.put(0, bytes(16), size1=2**32 - 1), 2**20)
        self.assertForgets()

    def test_default(self) -> None:
        """1 MiB is the default; a byte more is too large."""
        self.serve(self.store)
        for extra in (0, 1):
            for number in range(1024):
                self.put(number, bytes(1024), number < 1023 or bool(extra), 6)
            if extra:
                self.assertTooLarge(self.put(1024, bytes(extra), False, 6), 2**20)
        self.assertEqual([len(whole) for _, whole in self.store.whole], [2**20])

    def test_settings(self) -> None:
        """A site has its own, and a resource has its own."""
        self.serve(self.store, limits=Limits(bodyBytes=40))
        self.assertTooLarge(self.putAll(bytes(41))[-1], 40)
        self.assertEqual(self.putAll(bytes(40))[-1].code, CHANGED)
        self.store.maximumBody = 20
        self.assertTooLarge(self.putAll(bytes(21))[-1], 20)
        self.assertEqual(self.putAll(bytes(20))[-1].code, CHANGED)

    def test_inOneMessage(self) -> None:
        """The limit holds for a body that comes in one message, too."""
        self.store.maximumBody = 20
        self.serve(self.store)
        self.assertTooLarge(self.answerTo(PUT, "x", bytes(21)), 20)
        self.assertEqual(self.answerTo(PUT, "x", bytes(20)).code, CHANGED)
        self.assertEqual([len(whole) for _, whole in self.store.whole], [20])

    def test_uploadsFull(self) -> None:
        """Too many uploads at once: 5.03 with Max-Age; a first block takes the place of another."""
        self.serve(self.store, limits=Limits(uploads=2), hostOf=trusted)
        for token in (b"1", b"2"):
            self.put(0, bytes(16), token=token)
            self.put(1, bytes(16), token=token)
        answer = self.put(0, bytes(16), token=b"3")
        self.assertEqual(answer.code, Code.SERVICE_UNAVAILABLE)
        self.assertIsNotNone(answer.options.maxAge)

    def test_forgotten(self) -> None:
        """An unfinished upload is forgotten after EXCHANGE_LIFETIME; its next block is 4.08."""
        self.serve(self.store)
        self.put(0, bytes(16))
        self.reactor.elapse(LIFETIME - 1)
        self.put(1, bytes(16))
        self.reactor.elapse(LIFETIME - 1)
        self.assertEqual(self.protocol.sizes()["uploads"], 1)
        self.reactor.elapse(FORGOTTEN - LIFETIME + 1)
        self.assertEqual(self.protocol.sizes()["uploads"], 0)
        self.assertEqual(self.put(2, bytes(16)).code, Code.REQUEST_ENTITY_INCOMPLETE)

    def test_tenThousandFirstBlocks(self) -> None:
        """Hostile: 10,000 first blocks from 10,000 tokens stay within the bound, and are forgotten."""
        self.serve(self.store, limits=Limits(uploads=50), hostOf=trusted)
        for number in range(10_000):
            self.ask(PUT, "x", bytes(16), NON, number.to_bytes(2, "big"), block1=Block(0, True, 0))
        self.assertEqual(self.protocol.sizes()["uploads"], 50)
        self.reactor.elapse(FORGOTTEN)
        self.assertEqual(self.protocol.sizes()["uploads"], 0)
