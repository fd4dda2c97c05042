"""
Tests for L{txcoap.limits}.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

from twisted.trial.unittest import SynchronousTestCase

from txcoap.limits import DEFAULT_LIMITS, Limits


class LimitsTests(SynchronousTestCase):
    """The bounds of what a peer can make grow. What happens at each is told in test_bounds."""

    def test_documented(self) -> None:
        """Each limit has its line in the documentation."""
        for field in fields(Limits):
            self.assertIn(f"@ivar {field.name}:", Limits.__doc__ or "")

    def test_evolve(self) -> None:
        """C{evolve} makes other limits and leaves the first as they were."""
        self.assertEqual(DEFAULT_LIMITS.evolve(peers=3).peers, 3)
        self.assertEqual(DEFAULT_LIMITS, Limits())

    def test_atLeastOne(self) -> None:
        """A limit that nothing could pass is refused by name."""
        for field in fields(Limits):
            error = self.assertRaises(ValueError, DEFAULT_LIMITS.evolve, **{field.name: 0})
            self.assertIn(field.name, str(error))

    def test_immutable(self) -> None:
        """Limits are a value."""
        with self.assertRaises(FrozenInstanceError):
            DEFAULT_LIMITS.peers = 2  # type: ignore[misc]
