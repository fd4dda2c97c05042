"""
Tests for L{txcoap.blockwise}: the length of a body, told in advance (RFC 7959 4).
"""

from __future__ import annotations

from tests.wire import Answering, ServerTestCase, giving
from txcoap.block import Block


class Size2Tests(ServerTestCase):
    """The length of what a client fetches."""

    def setUp(self) -> None:
        """Serve something of three blocks."""
        super().setUp()
        self.serve(Answering(giving(b"x" * 40)))

    def size2(self, number: int, **options: int) -> int | None:
        """What is told with a block of 16 bytes."""
        answer = self.answerTo(block2=Block(number, False, 0), **options)
        self.assertEqual(answer.options.block2, Block(number, number < 2, 0))
        return answer.options.size2

    def test_asked(self) -> None:
        """Who asks is told with each block, the last one among them, which some clients show."""
        self.assertEqual([self.size2(number, size2=0) for number in range(3)], [40] * 3)

    def test_askedLate(self) -> None:
        """Who asks with a later block only is told then."""
        self.assertEqual([self.size2(0), self.size2(1, size2=0), self.size2(2)], [None, 40, None])
