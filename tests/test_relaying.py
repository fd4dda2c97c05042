"""
Tests for L{txcoap.sansio.relaying}: what passes through a proxy.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap import errors
from txcoap.codes import Code
from txcoap.message import Response
from txcoap.options import DEFINITIONS, Options
from txcoap.sansio.relaying import gatewayError, onward, passBack

PAIRS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(sorted(DEFINITIONS)), st.integers(1, 0xFFFF)),
        st.binary(max_size=9),
    ),
    max_size=8,
)

# Of each leg: URI, Observe, blocks and their sizes, Request-Tag.
LEG = {3, 6, 7, 11, 15, 23, 27, 28, 35, 39, 292}


class OnwardTests(SynchronousTestCase):
    """The options of a request."""

    @given(PAIRS)
    @settings(deadline=None, max_examples=300, derandomize=True)
    def test_everything(self, pairs: list[tuple[int, bytes]]) -> None:
        """
        Whatever comes: what is safe to forward and not of the leg goes on as it is, and nothing unsafe that
        is not understood; or there is an error response (RFC 7252 5.7.1, RFC 8768 3).
        """
        options = Options.fromPairs(pairs)
        try:
            passed = onward(options, 16, "p")
        except errors.BadOption:
            self.assertTrue(options.unforwardable)
            return
        except (errors.BadRequest, errors.HopLimitReached):
            self.assertIn(16, options)
            return
        self.assertFalse(passed.unforwardable)
        kept = [pair for pair in options.pairs if pair[0] not in LEG | {16, 60}]
        self.assertEqual([pair for pair in passed.pairs if pair[0] != 16], kept)
        [limit] = passed.get(16)
        self.assertEqual(limit[0], options.get(16)[0][0] - 1 if 16 in options else 16)

    def test_names(self) -> None:
        """The error says which option it is."""
        error = self.assertRaises(errors.BadOption, onward, Options.fromPairs([(65003, b"")]), 16, "p")
        self.assertIn("65003", error.diagnostic)
        repeated = Options.fromPairs([(35, b"coap://a/"), (35, b"coap://b/")])
        error = self.assertRaises(errors.BadOption, onward, repeated, 16, "p")
        self.assertIn("35 (Proxy-Uri)", error.diagnostic)


class PassBackTests(SynchronousTestCase):
    """A response."""

    @given(PAIRS)
    @settings(deadline=None, max_examples=300, derandomize=True)
    def test_everything(self, pairs: list[tuple[int, bytes]]) -> None:
        """Whatever comes: options that are of the leg stay behind, the others pass; or it becomes 5.02."""
        response = Response(Code.CONTENT, b"x", Options.fromPairs(pairs))
        try:
            passed = passBack(response, "p")
        except errors.BadGateway:
            self.assertTrue(response.options.unforwardableInResponse)
            return
        kept = [pair for pair in response.options.pairs if pair[0] not in LEG]
        self.assertEqual(
            (passed.code, passed.payload, list(passed.options.pairs)), (Code.CONTENT, b"x", kept)
        )

    def test_size1(self) -> None:
        """What 4.13 says of the largest body is for the client."""
        response = Response(Code.REQUEST_ENTITY_TOO_LARGE, size1=100)
        self.assertEqual(passBack(response, "p"), response)

    def test_loop(self) -> None:
        """A 5.08 gets the proxy's name before the names that it has (RFC 8768 4)."""
        for payload, expected in ((b"b a", b"c b a"), (b"", b"c")):
            passed = passBack(Response(Code.HOP_LIMIT_REACHED, payload), "c")
            self.assertEqual(passed.payload, expected)


class GatewayErrorTests(SynchronousTestCase):
    """What a client is told."""

    def test_all(self) -> None:
        """Every failure of a request is a 5.02 to 5.05, whose text says nothing of the inside."""
        failures = [
            found
            for name in errors.__all__
            if issubclass(found := getattr(errors, name), errors.RequestError)
        ]
        self.assertIn(errors.Unreachable, failures)
        for failure in failures:
            error = gatewayError(failure("[fd00::1] secret"))
            self.assertIn(error.code, (0xA2, 0xA3, 0xA4, 0xA5), failure)
            self.assertNotIn("secret", error.diagnostic)
            self.assertEqual("maxAge" in error.options, error.code == Code.SERVICE_UNAVAILABLE)

    def test_kinds(self) -> None:
        """Time-outs are 5.04, a scheme that is not served 5.05; an error response stays what it is."""
        rows: list[tuple[errors.CoAPError, Code]] = [
            (errors.NoAcknowledgement(), Code.GATEWAY_TIMEOUT),
            (errors.NoResponse(), Code.GATEWAY_TIMEOUT),
            (errors.NameNotFound(), Code.BAD_GATEWAY),
            (errors.ResetReceived(), Code.BAD_GATEWAY),
            (errors.MalformedResponse(), Code.BAD_GATEWAY),
            (errors.UnsupportedScheme(), Code.PROXYING_NOT_SUPPORTED),
            (errors.NotFound(), Code.NOT_FOUND),
        ]
        for failure, code in rows:
            self.assertEqual(gatewayError(failure).code, code)
