"""
The ETSI CoAP plugtests, BLOCK, against C{examples/plugtest.py}: by their numbers, message by message.
"""

from __future__ import annotations

from typing import Any

from examples.plugtest import root
from examples.plugtest_large import LARGE, MAX_CREATED
from tests.wire import ServerTestCase
from txcoap.block import Block
from txcoap.codes import Code
from txcoap.linkformat import parse
from txcoap.sansio.datagrams import ACK, CON, Datagram

BODY = LARGE.encode()
SMALLER = "".join(f"line {number:3}\n" for number in range(130)).encode()


class BlockTests(ServerTestCase):
    """TD_COAP_BLOCK."""

    def setUp(self) -> None:
        """Serve it."""
        super().setUp()
        self.serve(root(self.reactor))

    def fetched(self, path: str, first: Block | None, exponent: int, **how: Any) -> tuple[bytes, list[Block]]:
        """A body, fetched block by block from a first request, then in blocks of that exponent."""
        body, asked = b"", first
        blocks: list[Block] = []
        tags = set()
        while True:
            options = {} if asked is None else {"block2": asked}
            answer = self.answerTo(Code.GET, path, **options, **how)
            self.assertEqual(answer.code, Code.CONTENT)
            block = answer.options.block2
            assert block is not None
            self.assertEqual(block.start, len(body))
            self.assertTrue(len(answer.payload) == block.size or not block.more)
            tags.add(answer.options.etag)
            blocks.append(block)
            body += answer.payload
            if not block.more:
                self.assertEqual(len(tags), 1)
                return body, blocks
            asked = Block(len(body) >> exponent + 4, False, exponent)

    def sent(self, code: Code, path: str, body: bytes, exponent: int = 2, **how: Any) -> Datagram:
        """The answer to the last block of a body; those before are answered 2.31."""
        size = 16 << exponent
        for number in range(-(-len(body) // size)):
            part = body[number * size : (number + 1) * size]
            more = (number + 1) * size < len(body)
            block = Block(number, more, exponent)
            answer = self.answerTo(code, path, part, block1=block, **how)
            self.assertEqual(answer.options.block1, block)
            self.assertEqual(answer.code == Code.CONTINUE, more)
        return answer

    def test_BLOCK_01(self) -> None:
        """GET, early negotiation: the client's first request asks for blocks of 64 bytes."""
        body, blocks = self.fetched("large", Block(0, False, 2), 2)
        self.assertEqual((body, len(blocks)), (BODY, 20))
        self.assertEqual({each.exponent for each in blocks}, {2})

    def test_BLOCK_02(self) -> None:
        """GET, late negotiation: the server's first block is large, the client goes on with smaller ones."""
        body, blocks = self.fetched("large", None, 4)
        self.assertEqual(body, BODY)
        self.assertEqual([str(each.exponent) for each in blocks], ["6", "4"])
        # NUM = 2 ** (the server's exponent - the client's).
        self.assertEqual(blocks[1].number, 1 << 6 - 4)

    def test_BLOCK_03(self) -> None:
        """PUT in blocks of 64 bytes; 2.31 for each, at last 2.04; then it can be read, in its format only."""
        answer = self.sent(Code.PUT, "large-update", SMALLER, contentFormat=0)
        self.assertEqual((answer.code, answer.payload), (Code.CHANGED, b""))
        self.assertEqual(self.fetched("large-update", None, 6)[0], SMALLER)
        self.assertEqual(self.answerTo(Code.GET, "large-update", accept=50).code, Code.NOT_ACCEPTABLE)
        self.assertEqual(self.sent(Code.PUT, "large-update", SMALLER).code, Code.BAD_REQUEST)

    def test_BLOCK_04(self) -> None:
        """POST creates another resource each time; it can be read, is listed, and deleted."""
        for name in ("1", "2"):
            answer = self.sent(Code.POST, "large-create", SMALLER, contentFormat=0)
            self.assertEqual(answer.code, Code.CREATED)
            self.assertEqual(answer.options.locationPath, ("large-create", name))
            self.assertEqual(self.fetched(f"large-create/{name}", None, 6)[0], SMALLER)
        answer = self.answerTo(Code.GET, "large-create")
        self.assertEqual(answer.options.contentFormat, 40)
        targets = [link.target for link in parse(answer.payload.decode())]
        self.assertEqual(targets, ["/large-create/1", "/large-create/2"])
        self.assertEqual(self.answerTo(Code.DELETE, "large-create/1").code, Code.DELETED)
        self.assertEqual(self.answerTo(Code.GET, "large-create/1").code, Code.NOT_FOUND)
        answer = self.sent(Code.POST, "large-create", SMALLER, contentFormat=0)
        self.assertEqual(answer.options.locationPath, ("large-create", "3"))
        self.assertEqual(self.sent(Code.POST, "large-create", SMALLER).code, Code.BAD_REQUEST)

    def test_BLOCK_04_bounded(self) -> None:
        """So many are kept, no more."""
        for _ in range(MAX_CREATED + 2):
            self.answerTo(Code.POST, "large-create", b"x", contentFormat=0)
        self.assertEqual(self.answerTo(Code.GET, "large-create/2").code, Code.NOT_FOUND)
        self.assertEqual(self.answerTo(Code.GET, "large-create/3").code, Code.CONTENT)

    def test_BLOCK_05(self) -> None:
        """POST in blocks whose answer comes in blocks."""
        answer = self.sent(Code.POST, "large-post", SMALLER, contentFormat=0, block2=Block(0, False, 2))
        self.assertEqual(answer.code, Code.CHANGED)
        body = answer.payload
        while answer.options.block2 is not None and answer.options.block2.more:
            asked = Block(answer.options.block2.number + 1, False, 2)
            answer = self.answerTo(Code.POST, "large-post", contentFormat=0, block2=asked)
            self.assertEqual((answer.code, answer.options.block1), (Code.CHANGED, None))
            body += answer.payload
        self.assertEqual(body, SMALLER.upper())
        self.assertEqual(self.answerTo(Code.POST, "large-post", b"x").code, Code.BAD_REQUEST)

    def test_BLOCK_06(self) -> None:
        """GET with blocks of 16 bytes."""
        body, blocks = self.fetched("large", Block(0, False, 0), 0)
        self.assertEqual((body, len(blocks)), (BODY, 80))

    def test_separate(self) -> None:
        """A large body in a separate response: its first block, of which the client fetches the others."""
        self.ask(Code.GET, "large-separate")
        self.assertEqual(self.peer.takeOne().code, Code.EMPTY)
        self.reactor.elapse(1)
        first = self.peer.takeOne()
        self.assertEqual((first.type, first.code, first.payload), (CON, Code.CONTENT, BODY[:1024]))
        self.peer.sendEmpty(ACK, first.messageID)
        second = self.answerTo(Code.GET, "large-separate", block2=Block(1, False, 6))
        self.assertEqual((second.payload, second.options.etag), (BODY[1024:], first.options.etag))
