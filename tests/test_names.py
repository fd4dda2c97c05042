"""
Tests for L{txcoap.names}.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from tests.wire import Names, Reactor
from txcoap.errors import NameNotFound
from txcoap.names import resolve

KNOWN = {"both.example": ["2001:db8::1", "192.0.2.1", "2001:db8::1"], "one.example": ["192.0.2.2"]}


class ResolveTests(SynchronousTestCase):
    """L{resolve} asks the reactor's resolver."""

    def setUp(self) -> None:
        """Know two names."""
        self.reactor = Reactor(KNOWN)
        self.names: Names = self.reactor.nameResolver

    def test_found(self) -> None:
        """All addresses come, in the resolver's order, each once; IPv6 and IPv4 are asked for, for UDP."""
        found = self.successResultOf(resolve(self.reactor, "both.example"))
        self.assertEqual(found, ["2001:db8::1", "192.0.2.1"])
        self.assertEqual(self.names.asked, [("both.example", [IPv6Address, IPv4Address], "UDP")])

    def test_later(self) -> None:
        """The resolver may take its time, where no limit is set."""
        self.names.isSlow = True
        waiting = resolve(self.reactor, "one.example")
        self.reactor.advance(1000)
        self.assertNoResult(waiting)
        self.names.answer()
        self.assertEqual(self.successResultOf(waiting), ["192.0.2.2"])

    def test_notFound(self) -> None:
        """A name without addresses is a NameNotFound that names it."""
        for isSlow in (False, True):
            self.names.isSlow = isSlow
            waiting = resolve(self.reactor, "nowhere.example", 5)
            self.names.answer()
            error = self.failureResultOf(waiting, NameNotFound).value
            self.assertIn("'nowhere.example'", str(error))
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_impossible(self) -> None:
        """A name that cannot be one is not found, and the resolver is not asked."""
        for name in ("x" * 64 + ".example", "a..example"):
            self.failureResultOf(resolve(self.reactor, name, 5), NameNotFound)
        self.assertEqual(self.names.asked, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_tooSlow(self) -> None:
        """After the timeout it is a NameNotFound too; the late answer is ignored."""
        self.names.isSlow = True
        waiting = resolve(self.reactor, "one.example", 5)
        self.reactor.advance(4.999)
        self.assertNoResult(waiting)
        self.reactor.advance(0.001)
        error = self.failureResultOf(waiting, NameNotFound).value
        self.assertIn("in time", str(error))
        self.assertEqual(self.names.cancelled, ["one.example"])
        self.names.answer()

    def test_inTime(self) -> None:
        """An answer in time leaves no timer."""
        self.names.isSlow = True
        waiting = resolve(self.reactor, "one.example", 5)
        self.names.answer()
        self.successResultOf(waiting)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancel(self) -> None:
        """Cancelling stops the look-up and leaves no timer; the late answer is ignored."""
        self.names.isSlow = True
        waiting = resolve(self.reactor, "one.example", 5)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.names.cancelled, ["one.example"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.names.answer()

    def test_resolverThatCannotStop(self) -> None:
        """Twisted's threaded resolver cannot be cancelled: that does not matter."""

        class Stubborn(list[str]):
            def append(self, name: str) -> None:
                raise NotImplementedError

        self.names.isSlow = True
        self.names.cancelled = Stubborn()
        waiting = resolve(self.reactor, "one.example")
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        late = resolve(self.reactor, "one.example", 1)
        self.reactor.advance(1)
        self.failureResultOf(late, NameNotFound)
        self.names.answer()
