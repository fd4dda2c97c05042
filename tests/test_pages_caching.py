"""
What the page on caching claims of its examples holds, and what the example does.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from examples import cached
from tests.pages import PageCase
from tests.watching import Counter
from txcoap import Resource, Site
from txcoap.memory import SERVER_HOST
from txcoap.testing import MemoryNetwork


class CachingTests(PageCase):
    """The page on caching."""

    page = "docs/caching.rst"

    def setUp(self) -> None:
        super().setUp()
        self.temperature = Counter(21)
        root = Resource()
        root.putChild("temperature", self.temperature)
        self.network.listen(Site(root))
        self.network.names["sensor.example"] = SERVER_HOST
        self.space["Agent"] = lambda reactor: self.network.agent()

    def test_hit(self) -> None:
        """The second answer comes from the cache."""
        self.assertEqual(self.runMain(self.mains[0]), "21 False 60\n21 True 60\n")
        self.assertEqual(self.temperature.rendered, 1)

    def test_shared(self) -> None:
        """All rooms show the newest state, of one observation."""

        class Room:
            shown = ""

            def show(self, state: Any) -> None:
                self.shown = state.text()

        rooms = [Room() for _ in range(10)]
        agent = self.space["CachingAgent"](self.network.agent())
        self.ask(self.space["watch"](agent, rooms), 1)
        self.temperature.count()
        self.network.advance(1)
        self.assertEqual([room.shown for room in rooms], ["22"] * 10)
        self.assertEqual(self.temperature.observerCount, 1)


class ExampleTests(SynchronousTestCase):
    """C{examples/cached.py}."""

    def test_asks(self) -> None:
        """It asks the server once for as long as its answer is fresh."""
        network = MemoryNetwork()
        counter = Counter(7)
        counter.isLeaf, counter.maxAge = True, 60
        network.listen(Site(counter))
        self.patch(cached, "Agent", lambda reactor: network.agent())
        output = StringIO()
        with redirect_stdout(output):
            running = Deferred.fromCoroutine(cached.main(network.clock, f"coap://{SERVER_HOST}/"))
            for _ in range(cached.TIMES):
                network.advance(1.0)
        self.successResultOf(running)
        lines = output.getvalue().splitlines()
        self.assertEqual(lines[0], "'7': asked, fresh for 60 s")
        self.assertEqual(lines[3], "'7': stored 3 s ago, fresh for 57 s")
        self.assertEqual(lines[-1], "4 of 5 from the cache")
        self.assertEqual(counter.rendered, 1)
