"""
What the page on multicast claims of its examples, and the example that asks a group, hold.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from examples import group, lamp
from tests.pages import PageCase
from txcoap import Resource, Site
from txcoap.groups import readGroups
from txcoap.testing import MemoryNetwork


class Named(Resource):
    """Says its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def render_GET(self, request: Any) -> str:
        return self.name


class MulticastPageTests(PageCase):
    """The page on multicast."""

    page = "docs/multicast.rst"

    def join(self, root: Any, number: int) -> None:
        port = self.network.listen(Site(root), f"192.0.2.{number}")
        port.joinGroup(*readGroups("224.0.1.187"))

    def test_names(self) -> None:
        """Each name is printed with who has it."""
        for number, name in ((11, "hall"), (12, "kitchen")):
            root = Resource()
            root.putChild("name", Named(name))
            self.join(root, number)
        self.space["Agent"] = lambda reactor: self.network.agent()
        output = StringIO()
        with redirect_stdout(output):
            self.ask(self.space["names"](self.network.clock), 7)
        self.assertEqual(sorted(output.getvalue().splitlines()), ["192.0.2.11 hall", "192.0.2.12 kitchen"])

    def test_switch(self) -> None:
        """A light is switched; one that is not for groups is not."""
        self.assertEqual(self.ask(self.switched(self.space["root"]), 21), [])
        self.space["Light"].multicastAnswers = Resource.multicastAnswers
        self.assertEqual(len(self.ask(self.switched(self.space["root"]), 21)), 1)

    async def switched(self, root: Any) -> Any:
        self.network.close()
        port = self.network.listen(Site(root), "2001:db8::1")
        port.joinGroup(*readGroups("ff02::fd"))
        return await self.space["switch"](self.network.agent("2001:db8::2"), "on")

    def test_lamps(self) -> None:
        """Who has no lamp is not among them."""
        self.join(lamp.root(self.network.clock), 11)
        self.join(Resource(), 12)
        found = self.ask(self.space["lamps"](self.network.agent()), 7)
        self.assertEqual(found, {"192.0.2.11": ["/lamp"]})


class GroupExampleTests(SynchronousTestCase):
    """C{examples/group.py}."""

    def test_found(self) -> None:
        """It prints who answers, with what it has, and ends."""
        network = MemoryNetwork()
        self.addCleanup(network.close)
        for number in (11, 12):
            port = network.listen(Site(lamp.root(network.clock)), f"192.0.2.{number}")
            port.joinGroup(*readGroups("224.0.1.187"))
        self.patch(group, "Agent", lambda reactor: network.agent())
        output = StringIO()
        with redirect_stdout(output):
            running = Deferred.fromCoroutine(group.main(network.clock, "coap://224.0.1.187"))
            network.advance(group.SECONDS)
        self.successResultOf(running)
        lines = output.getvalue().splitlines()
        self.assertEqual(lines.count("  /lamp"), 2)
        self.assertEqual(sorted(lines[0:4:2]), ["192.0.2.11:5683", "192.0.2.12:5683"])
        self.assertEqual(lines[-1], "2 answered within 6 s")
