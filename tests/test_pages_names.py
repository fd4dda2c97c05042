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
