"""
The porting guides: their code is run, and they leave nothing out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from tests import porting_nodecoap, porting_txthings
from tests.pages import ROOT
from tests.porting import PortingCase, addTests, functionsOf, rowOf, rowsIn
from txcoap.cli import arguments

# What node-coap's README promises: by tables and rows of the page on its features.
PROMISED: dict[str, Iterable[int]] = {
    "A": (1, 2, 3, 6, 7, 8, 9),
    "B": range(1, 16),
    "C": (1, 2, 8),
    "D": range(1, 11),
    "E": range(1, 10),
    "F": (1, 2, 4, 9),
    "G": (1, 4, 5, 6, 7, 8),
    "H": (1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17),
    "J": (1, 2, 6, 7, 13),
    "M": (1, 4, 5, 7, 8, 11, 13),
    "N": (1, 3, 5, 7, 8, 9, 10, 11),
    "P": (1, 2, 3, 4, 6),
    "Q": (1, 2, 4),
    "R": (1, 2, 4, 5),
}
# Of OSCORE, which is not here, there is nothing to show.
NOT_SHOWN = {"D-64", "D-65", "D-67"}

GUIDES = ROOT / "docs" / "porting"


class NodeCoapTests(PortingCase):
    """What users of node-coap write."""


class TxThingsTests(PortingCase):
    """What users of txThings write."""


addTests(NodeCoapTests, porting_nodecoap)
addTests(TxThingsTests, porting_txthings)


class PageTests(SynchronousTestCase):
    """The pages."""

    def check(self, page: str, module: ModuleType) -> None:
        """A page has the rows of a module."""
        self.assertEqual(rowsIn(GUIDES / page), [rowOf(each) for each in functionsOf(module)])

    def test_nodecoap(self) -> None:
        """The code in the page on node-coap is the code that is run, row by row."""
        self.check("nodecoap.rst", porting_nodecoap)

    def test_commands(self) -> None:
        """The commands in it are commands."""
        text = (GUIDES / "nodecoap.rst").read_text("utf-8")
        commands = re.findall(r"``(?:[^`]+ \| )?txcoap ([^`]+)``", text)
        self.assertGreater(len(commands), 8)
        for each in commands:
            arguments.parse(shlex.split(each))

    def test_txthings(self) -> None:
        """So is that in the page on txThings."""
        self.check("txthings.rst", porting_txthings)


class FeatureTests(SynchronousTestCase):
    """The tables of node-coap's features, and of where it departs from the RFCs."""

    def setUp(self) -> None:
        text = (GUIDES / "features.rst").read_text("utf-8")
        cells = re.findall(r"^   \* - (\S+)\n     - .+\n     - .+\n     -(.*)$", text, re.MULTILINE)
        self.shown = {row: re.findall(r"``([\w.]+)``", tests) for row, tests in cells}

    def test_complete(self) -> None:
        """Everything that it promises is there, and every deviation; each shown by a test."""
        rows = list(self.shown)
        promised = {f"{section}{row}" for section, numbers in PROMISED.items() for row in numbers}
        self.assertEqual(promised - set(rows), set())
        deviations = [row for row in rows if row.startswith("D-")]
        self.assertEqual(deviations, [f"D-{number}" for number in range(1, 70)])
        self.assertEqual({row for row, tests in self.shown.items() if not tests}, NOT_SHOWN)

    def test_exist(self) -> None:
        """Each test that is named is a test."""
        for row, tests in self.shown.items():
            for name in tests:
                module, kind, method = name.rsplit(".", 2)
                test = getattr(getattr(import_module(f"tests.{module}"), kind), method, None)
                self.assertTrue(callable(test) and method.startswith("test_"), f"{row}: {name}")
