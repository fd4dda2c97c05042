"""
Tests for L{txcoap.limits}.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from txcoap.limits import DEFAULT_LIMITS, Limits

FILLED = {
    "rememberedBytes": "tests.test_bounds.RememberedBytesTests",
    "rememberedReply": "tests.test_duplicates.DuplicatesTests.test_largeSafeReply",
    "peers": "tests.test_bounds.PeersTests",
    "queuedRequests": "tests.test_bounds.QueuedRequestsTests",
    "pendingRequests": "tests.test_bounds.PendingRequestsTests",
    "uploads": "tests.test_blockwise.LimitTests.test_uploadsFull",
    "uploadBytes": "tests.test_transfers.LimitTests.test_uploadBytesFull",
    "bodyBytes": "tests.test_blockwise.LimitTests",
    "downloads": "tests.test_blockwise_sending.SendingTests.test_downloadsFull",
    "downloadBytes": "tests.test_blockwise_sending.SendingTests.test_downloadBytesFull",
    "observers": "tests.test_notifying.RegistrationTests.test_limit",
    "groupResponses": "tests.test_asking_groups.AskingTests.test_limit",
    "echoes": "tests.test_echo.ClientTests.test_bounded",
    "provenAddresses": "tests.test_guarding.ProvenTests.test_bounded",
}


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

    def test_filled(self) -> None:
        """For each limit there are tests that fill it, and what they are called is told here."""
        self.assertEqual(set(FILLED), {field.name for field in fields(Limits)})
        for name in FILLED.values():
            tests = namedAny(name)
            isTest = name.rpartition(".")[2].startswith("test_")
            self.assertTrue(isTest or any(each.startswith("test_") for each in dir(tests)), name)

    def test_immutable(self) -> None:
        """Limits are a value."""
        with self.assertRaises(FrozenInstanceError):
            DEFAULT_LIMITS.peers = 2  # type: ignore[misc]
