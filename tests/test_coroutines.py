"""
Tests for L{txcoap.coroutines}.
"""

from __future__ import annotations

import gc
from contextvars import ContextVar
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcoap.coroutines import begin

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


class BeginTests(SynchronousTestCase):
    """What does not wait has its result at once; what waits goes on as any coroutine does."""

    def test_atOnce(self) -> None:
        """Without anything to wait for the result is there, not a Deferred of it."""

        async def render() -> str:
            return "21.5"

        self.assertEqual(begin(render()), "21.5")

    def test_hasFired(self) -> None:
        """A Deferred that has fired is not waited for."""
        fired: Deferred[str] = Deferred()
        fired.callback("on")

        async def render() -> str:
            return await fired

        self.assertEqual(begin(render()), "on")

    def test_raises(self) -> None:
        """What it raises before it waits is raised."""

        async def render() -> str:
            raise KeyError("lamp")

        self.assertRaises(KeyError, begin, render())

    def test_waits(self) -> None:
        """One that waits goes on with each result, or failure, that it waited for."""
        first: Deferred[str] = Deferred()
        second: Deferred[str] = Deferred()

        async def render() -> str:
            try:
                await first
            except KeyError:
                return await second
            return "not reached"

        result = begin(render())
        self.assertNoResult(result)
        first.errback(KeyError("lamp"))
        self.assertNoResult(result)
        second.callback("off")
        self.assertEqual(self.successResultOf(result), "off")

    def test_raisesLater(self) -> None:
        """What it raises after it waited the Deferred fails with."""
        waited: Deferred[None] = Deferred()

        async def render() -> str:
            await waited
            raise KeyError("lamp")

        result = begin(render())
        waited.callback(None)
        self.failureResultOf(result, KeyError)

    def test_cancelled(self) -> None:
        """To cancel the Deferred cancels what is waited for."""
        waited: Deferred[None] = Deferred()
        ended = []

        async def render() -> None:
            try:
                await waited
            finally:
                ended.append(True)

        result = begin(render())
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(ended, [True])

    def test_contextVariables(self) -> None:
        """What it sets of context variables is its own, before it waits and after."""
        waited: Deferred[None] = Deferred()
        seen: list[Any] = []

        async def render() -> None:
            WHO.set("lamp")
            await waited
            seen.append(WHO.get())
            WHO.set("sensor")

        begin(render())
        self.assertEqual(WHO.get(), "nobody")
        waited.callback(None)
        self.assertEqual((seen, WHO.get()), (["lamp"], "nobody"))

    def test_dropped(self) -> None:
        """One that nobody holds any more, nor what it waits for, is closed."""
        ended = []

        async def render() -> None:
            try:
                await Deferred()
            finally:
                ended.append(True)

        begin(render())
        gc.collect()
        self.assertEqual(ended, [True])
