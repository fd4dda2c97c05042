"""
Tests for L{txcoap.parameters}.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcoap.parameters import DEFAULT_PARAMETERS, Parameters


class ParametersTests(SynchronousTestCase):
    """The transmission parameters and the times that follow from them."""

    def test_defaults(self) -> None:
        """The defaults are those of RFC 7252 4.8, table 2."""
        values = DEFAULT_PARAMETERS
        self.assertEqual(values.ACK_TIMEOUT, 2)
        self.assertEqual(values.ACK_RANDOM_FACTOR, 1.5)
        self.assertEqual(values.MAX_RETRANSMIT, 4)
        self.assertEqual(values.NSTART, 1)
        self.assertEqual(values.DEFAULT_LEISURE, 5)
        self.assertEqual(values.PROBING_RATE, 1)

    def test_derived(self) -> None:
        """The times derived from the defaults are those of RFC 7252 4.8.2, table 3."""
        self.assertEqual(DEFAULT_PARAMETERS.MAX_TRANSMIT_SPAN, 45)
        self.assertEqual(DEFAULT_PARAMETERS.MAX_TRANSMIT_WAIT, 93)
        self.assertEqual(DEFAULT_PARAMETERS.MAX_LATENCY, 100)
        self.assertEqual(DEFAULT_PARAMETERS.PROCESSING_DELAY, 2)
        self.assertEqual(DEFAULT_PARAMETERS.MAX_RTT, 202)
        self.assertEqual(DEFAULT_PARAMETERS.EXCHANGE_LIFETIME, 247)
        self.assertEqual(DEFAULT_PARAMETERS.NON_LIFETIME, 145)

    def test_derivedFollows(self) -> None:
        """Changed parameters change what is derived from them."""
        values = Parameters(ACK_TIMEOUT=1, ACK_RANDOM_FACTOR=1, MAX_RETRANSMIT=2, MAX_LATENCY=10)
        self.assertEqual(values.MAX_TRANSMIT_SPAN, 3)
        self.assertEqual(values.MAX_TRANSMIT_WAIT, 7)
        self.assertEqual(values.EXCHANGE_LIFETIME, 25)
        self.assertEqual(values.NON_LIFETIME, 13)

    def test_evolve(self) -> None:
        """C{evolve} makes other parameters and leaves the first as they were."""
        changed = DEFAULT_PARAMETERS.evolve(NSTART=8, PROBING_RATE=None)
        self.assertEqual((changed.NSTART, changed.PROBING_RATE), (8, None))
        self.assertEqual(changed.ACK_TIMEOUT, 2)
        self.assertEqual(DEFAULT_PARAMETERS.NSTART, 1)
        self.assertEqual(changed.evolve(NSTART=1, PROBING_RATE=1.0), DEFAULT_PARAMETERS)

    def test_immutable(self) -> None:
        """Parameters are a value."""
        with self.assertRaises(FrozenInstanceError):
            DEFAULT_PARAMETERS.NSTART = 2  # type: ignore[misc]

    def test_refused(self) -> None:
        """A value that makes no sense is refused by name."""
        wrong: list[dict[str, Any]] = [
            {"ACK_TIMEOUT": 0},
            {"ACK_RANDOM_FACTOR": 0.9},
            {"MAX_RETRANSMIT": -1},
            {"NSTART": 0},
            {"DEFAULT_LEISURE": -1},
            {"PROBING_RATE": 0},
            {"PROBING_RATE": -1},
            {"PROBING_ALLOWANCE": -1},
            {"MAX_LATENCY": -1},
            {"MAX_LATENCY": 0},
            {"PROCESSING_DELAY": -1},
            {"PIGGYBACK_DELAY": -0.1},
        ]
        for each in wrong:
            (name,) = each
            error = self.assertRaises(ValueError, Parameters, **each)
            self.assertIn(name, str(error))

    def test_lifetimes(self) -> None:
        """However small the parameters are, lifetimes are above 0: what is kept ends after it began."""
        least = Parameters(
            ACK_TIMEOUT=0.001, MAX_RETRANSMIT=0, MAX_LATENCY=0.001, PROCESSING_DELAY=0, PIGGYBACK_DELAY=0
        )
        self.assertTrue(0 < least.NON_LIFETIME <= least.EXCHANGE_LIFETIME)

    def test_unknownName(self) -> None:
        """A parameter that the RFC does not know is refused."""
        self.assertRaises(TypeError, DEFAULT_PARAMETERS.evolve, ACK_TIMEOUTS=1)
