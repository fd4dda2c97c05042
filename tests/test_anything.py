"""
Whatever a peer asks, a site answers or is silent: no exception leaves it, and nothing is logged as one.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from examples import plugtest
from tests.wire import CLIENT, SERVER, ServerTestCase
from txcoap.codes import Code
from txcoap.options import DEFINITIONS, Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, encode

PATHS = [
    "test",
    "query",
    "seg1/seg2/seg3",
    "validate",
    "create1",
    "multi-format",
    "large",
    "path",
    "path/sub1",
    "link1",
    "separate",
    "large-update",
    "location-query",
    ".well-known/core",
]
LIKELY = {
    1: [b"v1", b"v2", b"", b"123456789"],
    4: [b"v1", b"v2", b""],
    5: [b"", b"x"],
    11: [b"", b"x", b"\xff"],
    12: [b"", b"\x32", b"\x28", b"\xff\xff"],
    15: [b"rt=*", b"href=/l*", b"a=1", b"=", b"", b"\xff"],
    17: [b"", b"\x29", b"\x32", b"\x28"],
    # Block2 and Block1: number, whether there is more, exponent.
    23: [b"", b"\x02", b"\x06", b"\x12", b"\x22", b"\x07"],
    27: [b"", b"\x02", b"\x06", b"\x08", b"\x10", b"\x18", b"\x0f"],
    258: [b"", b"\x02", b"\x1a"],
}

paths = st.sampled_from(PATHS).map(lambda path: [(11, each.encode()) for each in path.split("/")])
likely = st.sampled_from([(number, value) for number, values in LIKELY.items() for value in values])
unlikely = st.one_of(
    st.tuples(st.sampled_from(sorted(DEFINITIONS)), st.binary(max_size=6)),
    st.tuples(st.integers(0, 65804), st.binary(max_size=20)),
)
pairs = st.one_of(likely, likely, likely, likely, unlikely)
options = st.builds(lambda path, rest: path + rest, paths, st.lists(pairs, max_size=3))
methods = st.sampled_from([code for code in Code if code.isRequest])
codes = st.one_of(methods, methods, methods, st.integers(1, 31))
requests = st.tuples(
    st.sampled_from([CON, NON]),
    codes,
    st.binary(max_size=8),
    options,
    st.sampled_from([b"", b"x", b"x" * 64]),
)


class AnythingTests(ServerTestCase):
    """A site with every kind of resource, and requests that nobody would think of."""

    @settings(deadline=None, max_examples=300, derandomize=True)
    @given(st.lists(requests, min_size=1, max_size=6))
    def test_requests(self, asked: list[Any]) -> None:
        """Each CON is answered once, with its token; in the end nothing is left in any table."""
        super().setUp()
        self.serve(plugtest.root(self.reactor), accessLog=None)
        self.site.accessLog = self.site.logAccess
        messageIDs = []
        for messageID, (type, code, token, pairs, payload) in enumerate(asked):
            self.peer.sendBytes(encode(type, code, messageID, token, Options.fromPairs(pairs), payload))
            if type == CON:
                messageIDs.append(messageID)
        self.reactor.elapse(2)
        answers = self.wire.between(SERVER, CLIENT)
        replies = [each.messageID for each in answers if each.type in (ACK, RST)]
        self.assertEqual(sorted(replies), messageIDs)
        tokens = [token for _, _, token, _, _ in asked]
        for answer in answers:
            if answer.code != Code.EMPTY:
                self.assertTrue(answer.code.isResponse)
                self.assertIn(answer.token, tokens)
            if answer.type == CON:
                self.peer.sendEmpty(ACK, answer.messageID)
        self.assertForgets()
        self.assertEqual(self.flushLoggedErrors(), [])
