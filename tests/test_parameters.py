"""
Tests for L{txcoap.parameters}.
"""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcoap.parameters import (
    DEFAULT_PARAMETERS,
    LAN_PARAMETERS,
    PRESETS,
    SLOW_PARAMETERS,
    Parameters,
    getDefault,
    setDefault,
    usingDefault,
)


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
        self.assertEqual(values.PROCESSING_DELAY, 1)
        self.assertEqual(values.EXCHANGE_LIFETIME, 24)
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
            {"PIGGYBACK_DELAY": -0.1},
            {"PIGGYBACK_DELAY": math.nan},
            {"ACK_TIMEOUT": math.inf},
            {"ACK_TIMEOUT": math.nan},
            {"MAX_RETRANSMIT": 21},
            {"PROBING_RATE": math.inf},
        ]
        for each in wrong:
            (name,) = each
            error = self.assertRaises(ValueError, Parameters, **each)
            self.assertIn(name, str(error))

    def test_kinds(self) -> None:
        """So is one that is no number, or no whole number where only such make sense."""
        wrong: list[dict[str, Any]] = [
            {"ACK_TIMEOUT": "2"},
            {"ACK_TIMEOUT": None},
            {"MAX_RETRANSMIT": 1.5},
            {"NSTART": None},
            {"NSTART": 2.0},
        ]
        for each in wrong:
            (name,) = each
            error = self.assertRaises(TypeError, Parameters, **each)
            self.assertIn(name, str(error))

    def test_lifetimes(self) -> None:
        """However small the parameters are, lifetimes are above 0: what is kept ends after it began."""
        least = Parameters(ACK_TIMEOUT=0.001, MAX_RETRANSMIT=0, MAX_LATENCY=0.001, PIGGYBACK_DELAY=0)
        self.assertTrue(0 < least.NON_LIFETIME <= least.EXCHANGE_LIFETIME)

    def test_unknownName(self) -> None:
        """A parameter that the RFC does not know is refused."""
        self.assertRaises(TypeError, DEFAULT_PARAMETERS.evolve, ACK_TIMEOUTS=1)


class TextTests(SynchronousTestCase):
    """Parameters as text, for command lines."""

    def test_presets(self) -> None:
        """By name; what they are for holds of them."""
        for name, parameters in PRESETS.items():
            self.assertEqual(Parameters.fromText(name), parameters)
        self.assertTrue(LAN_PARAMETERS.MAX_TRANSMIT_WAIT < 10)
        self.assertTrue(SLOW_PARAMETERS.ACK_TIMEOUT > 10)
        self.assertTrue(SLOW_PARAMETERS.PIGGYBACK_DELAY < SLOW_PARAMETERS.ACK_TIMEOUT)

    def test_changes(self) -> None:
        """Changes, to a preset or to the default."""
        self.assertEqual(
            Parameters.fromText("slow, NSTART=4,probing_rate=None"),
            SLOW_PARAMETERS.evolve(NSTART=4, PROBING_RATE=None),
        )
        with usingDefault(LAN_PARAMETERS):
            changed = Parameters.fromText("ACK_TIMEOUT=1.5,PIGGYBACK_DELAY=inf")
        self.assertEqual(changed, LAN_PARAMETERS.evolve(ACK_TIMEOUT=1.5, PIGGYBACK_DELAY=math.inf))

    def test_mistakes(self) -> None:
        """What is wrong is said."""
        rows = {
            "": "'' is none of default, lan, slow",
            "fast": "'fast' is none of",
            "slow,fast": "no parameter 'FAST'",
            "slow,": "no parameter ''",
            "ACK_TIMEOUTS=1": "no parameter 'ACK_TIMEOUTS', only ACK_TIMEOUT,",
            "MAX_RTT=1": "no parameter 'MAX_RTT'",
            "NSTART=1.5": "NSTART is a whole number; got '1.5'",
            "ACK_TIMEOUT=": "ACK_TIMEOUT is a number; got ''",
            "ACK_TIMEOUT=none": "ACK_TIMEOUT is a number",
            "ACK_TIMEOUT=0": "ACK_TIMEOUT is from 0.001 to",
        }
        for text, complaint in rows.items():
            error = self.assertRaises(ValueError, Parameters.fromText, text)
            self.assertIn(complaint, str(error))


class DefaultTests(SynchronousTestCase):
    """What applies where nothing is given."""

    def setUp(self) -> None:
        """Leave it as it was."""
        self.addCleanup(setDefault, None)

    def test_setAndReset(self) -> None:
        """It is what was set last, or the RFC's; setting it gives the one before."""
        self.assertIs(getDefault(), DEFAULT_PARAMETERS)
        self.assertIs(setDefault(SLOW_PARAMETERS), DEFAULT_PARAMETERS)
        self.assertIs(setDefault(LAN_PARAMETERS), SLOW_PARAMETERS)
        self.assertIs(getDefault(), LAN_PARAMETERS)
        setDefault(None)
        self.assertIs(getDefault(), DEFAULT_PARAMETERS)

    def test_using(self) -> None:
        """C{usingDefault} puts back what was there, also when something is raised."""
        setDefault(SLOW_PARAMETERS)

        def fail() -> None:
            with usingDefault(LAN_PARAMETERS):
                self.assertIs(getDefault(), LAN_PARAMETERS)
                raise KeyError

        self.assertRaises(KeyError, fail)
        self.assertIs(getDefault(), SLOW_PARAMETERS)

    def test_wrong(self) -> None:
        """Nothing else can be the default."""
        wrong: Any = {"ACK_TIMEOUT": 1}
        self.assertRaises(TypeError, setDefault, wrong)
        self.assertIs(getDefault(), DEFAULT_PARAMETERS)
