"""
Tests for L{txcoap.sansio.fetching}: a body that has to be fetched anew (RFC 7959 2.4).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcoap.block import Block
from txcoap.codes import Code
from txcoap.errors import BodyChanged
from txcoap.message import Request, Response
from txcoap.options import Options
from txcoap.sansio.fetching import Asking, Stage


class ValidatedBodyTests(SynchronousTestCase):
    """A request with the entity tag of what the caller has, and a body in blocks for an answer."""

    def setUp(self) -> None:
        """Ask."""
        self.asking = Asking(Request(Code.GET, b"", Options(uriPath=("a",), etag=(b"old",))), exponent=0)

    def answer(self, number: int, more: bool, etag: bytes | None) -> tuple[bytes, ...]:
        """Take a block; the entity tags of the request for it."""
        asked = self.asking.next()
        block = Block(number, more, 0)
        self.asking.answered(Response(Code.CONTENT, bytes([number]) * 16, block2=block, etag=etag))
        return asked.options.etag

    def test_kept(self) -> None:
        """The tag goes with each request, for servers know a body by all options of the request."""
        self.assertEqual([self.answer(0, True, b"new"), self.answer(1, False, b"new")], [(b"old",)] * 2)
        self.assertIs(self.asking.stage, Stage.DONE)

    def test_confused(self) -> None:
        """
        It does not go where the body is fetched anew: a server that takes it as the tag of the body that
        is being fetched gives others' blocks for it, as libcoap 4.3 does.
        """
        self.answer(0, True, b"new")
        self.answer(1, True, None)
        self.assertEqual([self.answer(0, True, b"new"), self.answer(1, False, b"new")], [()] * 2)
        self.assertIs(self.asking.stage, Stage.DONE)
        self.assertEqual(self.asking.takePart(), b"\x00" * 16 + b"\x01" * 16)

    def test_once(self) -> None:
        """The body is fetched anew once, and then the request fails."""
        self.answer(0, True, b"1")
        self.answer(1, True, b"2")
        self.answer(0, True, b"3")
        self.assertRaises(BodyChanged, self.answer, 1, True, b"4")
