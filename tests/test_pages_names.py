"""
What the pages of the documentation on options and on routers claim of their examples holds.
"""

from __future__ import annotations

from tests.pages import PageCase
from txcoap.options import Options


class OptionsTests(PageCase):
    """The page on options and formats."""

    page = "docs/options.rst"

    def setUp(self) -> None:
        super().setUp()
        self.registrations = self.space["register"]()
        for each in self.registrations:
            self.addCleanup(each.unregister)
        self.serve(self.space["site"])

    def test_names(self) -> None:
        """Options are set and read by name."""
        reading = self.assertCode("2.05", "GET", "reading")
        self.assertEqual((reading.contentFormat, reading.maxAge), (50, 30))
        refused = self.assertCode("4.15", "POST", "reading", b"<x/>", contentFormat="application/xml")
        self.assertEqual((refused.text(), refused.contentFormat), ("JSON, please", 0))
        made = self.assertCode("2.01", "POST", "reading", b"{}", contentFormat="application/json")
        self.assertEqual((made.location, made.etag), ("/readings/7", b"v7"))
        self.network.names["lamp.example"] = "192.0.2.77"
        self.network.listen(self.space["site"], "192.0.2.77")
        agent = self.network.agent()
        self.assertEqual(self.ask(self.space["ask"](agent)), ("application/json", None))
        self.assertEqual(self.ask(self.space["askInKelvin"](agent)), ("21.5 kelvin", (1, 300)))

    def test_takenBack(self) -> None:
        """What is taken back is unknown again."""
        self.registrations[0].unregister()
        self.assertFalse(hasattr(Options, "readingUnit"))
        self.assertCode("4.02", "GET", "converted", options=Options.fromPairs([(65001, b"K")]))


class RouterTests(PageCase):
    """The page on routers."""

    page = "docs/router.rst"

    def setUp(self) -> None:
        super().setUp()
        self.serve(self.space["site"])

    def test_sensors(self) -> None:
        """Functions for the methods of a path, and an error that is mapped."""
        states: list[str] = []
        observing = self.agent.observe("coap://test/sensors/hall")
        self.agent.flush()
        self.successResultOf(observing).subscribe(lambda response: states.append(response.text()))
        self.assertCode("2.04", "PUT", "sensors/hall", "22")
        self.network.advance(1)
        self.assertCode("2.02", "DELETE", "sensors/hall")
        self.network.advance(1)
        self.assertEqual(states[:2], ["21.5", "22"])
        self.assertIn("there is no 'hall'", self.assertCode("4.04", "GET", "sensors/hall").text())
        self.assertEqual(self.assertCode("4.05", "POST", "sensors/attic").text(), "allowed: GET, PUT, DELETE")

    def test_paths(self) -> None:
        """Converters, a path, a mounted router, a prefix."""
        self.assertEqual(self.assertCode("2.04", "PUT", "lamps/7/ff8000").text(), "lamp 7: 255 128 0")
        self.assertCode("4.04", "PUT", "lamps/1/red")
        self.assertEqual(self.assertCode("2.05", "GET", "lamps/manual/a/b").json(), "a/b")
        self.assertEqual(self.assertCode("2.05", "GET", "rooms/hall").text(), "the room hall")
        self.assertEqual(self.assertCode("2.04", "POST", "rooms/hall/door").text(), "hall is open")

    def test_instances(self) -> None:
        """Each instance counts for itself; both are listed."""
        self.assertCode("2.04", "POST", "first/count")
        self.assertEqual(self.assertCode("2.05", "GET", "first/count").text(), "1")
        self.assertEqual(self.assertCode("2.05", "GET", "second/count").text(), "0")
        core = self.assertCode("2.05", "GET", ".well-known/core").text()
        self.assertEqual(core, '</first/count>;rt="counter";obs,</second/count>;rt="counter";obs')
