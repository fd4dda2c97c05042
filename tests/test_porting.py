"""
The porting guides: their code is run, and they leave nothing out.
"""

from __future__ import annotations

import re
import shlex
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from tests import porting_nodecoap, porting_txthings
from tests.pages import ROOT
from tests.porting import PortingCase, addTests, functionsOf, rowOf, rowsIn
from txcoap.cli import arguments

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
