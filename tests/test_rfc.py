"""
Tests for the pages on the RFCs below C{docs/rfc.rst}: they name tests that exist, and leave out no
section that the code goes by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "rfc"

# A title that says which RFC the rows below it are about, or a row.
PARTS = re.compile(
    r"^RFC (\d+), .*\n[-=]+$|^   \* - (\d\S*)\n     - (.+)\n     - (.+)\n     -(.*)$", re.MULTILINE
)
SECTION = r"(?:section )?\d+(?:\.\d+)*(?![\w%])"
CITED = re.compile(rf"RFC (\d{{4}}) ({SECTION}(?:, {SECTION})*)")


class Row(NamedTuple):
    """A rule: of which RFC and section, what it asks for, whether it is done, and tests that show it."""

    rfc: str
    section: str
    rule: str
    done: str
    tests: list[str]


def readRows() -> Iterator[Row]:
    """All rows of the pages."""
    for page in sorted(PAGES.glob("*.rst")):
        rfc = ""
        for found in PARTS.finditer(page.read_text("utf-8")):
            title, section, rule, done, tests = found.groups()
            if title is not None:
                rfc = title
            else:
                yield Row(rfc, section, rule, done, re.findall(r"``([\w.]+)``", tests))


def citedSections() -> Iterator[tuple[str, str, str]]:
    """What the code goes by: RFC, section, and the module that says so."""
    for path in sorted((ROOT / "txcoap").rglob("*.py")):
        text = re.sub(r"\s*\n\s*(?:# ?)?", " ", path.read_text("utf-8"))
        for rfc, sections in CITED.findall(text):
            for section in re.findall(r"\d+(?:\.\d+)*", sections):
                yield rfc, section, path.name


def areWithin(one: str, other: str) -> bool:
    """Whether one of two sections is within the other, or the same."""
    longer, shorter = sorted((f"{one}.", f"{other}."), key=len, reverse=True)
    return longer.startswith(shorter)


class PageTests(SynchronousTestCase):
    """The pages."""

    def setUp(self) -> None:
        self.rows = list(readRows())

    def test_read(self) -> None:
        """Every row of every table is read."""
        lines = [line for page in PAGES.glob("*.rst") for line in page.read_text("utf-8").splitlines()]
        self.assertEqual(len(self.rows), len([line for line in lines if re.match(r"   \* - \d", line)]))
        self.assertGreater(len(self.rows), 200)

    def test_done(self) -> None:
        """Each says whether it is done: what is, or is in part, is shown; what is not says why."""
        for row in self.rows:
            word, _, reason = row.done.partition(":")
            self.assertIn(word.partition(",")[0], ("yes", "in part", "no", "n/a"), row)
            self.assertTrue(row.tests or word in ("no", "n/a"), row)
            self.assertTrue(reason or word.startswith("yes"), row)

    def test_tests(self) -> None:
        """Each test that is named is a test."""
        for row in self.rows:
            for name in row.tests:
                module, kind, method = name.rsplit(".", 2)
                test = getattr(getattr(import_module(f"tests.{module}"), kind, None), method, None)
                self.assertTrue(
                    callable(test) and method.startswith("test_"), f"{row.rfc} {row.section}: {name}"
                )

    def test_order(self) -> None:
        """The sections of an RFC are in order."""
        for rfc in {row.rfc for row in self.rows}:
            numbers = [[int(part) for part in row.section.split(".")] for row in self.rows if row.rfc == rfc]
            self.assertEqual(numbers, sorted(numbers), rfc)

    def test_cited(self) -> None:
        """Each section that the code goes by has a row, of those RFCs that have any."""
        known: dict[str, set[str]] = {}
        for row in self.rows:
            known.setdefault(row.rfc, set()).add(row.section)
        cited = list(citedSections())
        self.assertGreater(len(cited), 200)
        for rfc, section, module in cited:
            isKnown = rfc not in known or any(areWithin(section, each) for each in known[rfc])
            self.assertTrue(isKnown, f"{module}: RFC {rfc} {section}")
