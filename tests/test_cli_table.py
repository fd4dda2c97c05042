"""
The table of other commands' flags in the documentation: each of ours exists, and each of theirs is there.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from txcoap.cli.arguments import newParser
from txcoap.cli.flags import COMMANDS

PAGE = Path(__file__).parent.parent / "docs" / "cli.rst"

LITERAL = re.compile(r"``([^`]+)``")


def rowsOf(text: str) -> Iterator[list[str]]:
    """The cells of the table's rows, without its head."""
    table = text.partition("Flags of other commands\n")[2].partition("   * - ")[2]
    for row in table.split("   * - ")[1:]:
        yield [cell.strip() for cell in row.split("\n     -")]


def flagsIn(cell: str) -> Iterator[str]:
    """The flags in a cell, without what follows them."""
    for literal in LITERAL.findall(cell):
        yield from (word for word in literal.split() if word.startswith("-"))


def flagsOf(parser: argparse.ArgumentParser) -> set[str]:
    """All that a command line can have."""
    found: set[str] = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                found |= flagsOf(each)
    return found


class TableTests(SynchronousTestCase):
    """The table."""

    rows = list(rowsOf(PAGE.read_text("utf-8")))

    def test_ours(self) -> None:
        """Each of our flags and commands exists; what is not there says why."""
        self.assertGreater(len(self.rows), 30)
        known = flagsOf(newParser())
        for ours, *others in self.rows:
            self.assertEqual(len(others), 3, ours)
            if ours.startswith("—"):
                self.assertRegex(ours, r"^— \(.+\)$")
                continue
            self.assertEqual(set(flagsIn(ours)) - known, set())
            words = [literal.split()[0] for literal in LITERAL.findall(ours)]
            self.assertEqual({word for word in words if not word.startswith("-")} - set(COMMANDS), set())

    def check(self, column: int, command: list[str], pattern: str) -> None:
        """A column has what a command's help has."""
        if shutil.which(command[0]) is None:
            raise SkipTest(f"{command[0]} is not installed")
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        known = set(re.findall(pattern, found.stdout + found.stderr, re.MULTILINE))
        if not known:
            raise SkipTest(f"{command[0]} has no help")
        self.assertEqual(known - {flag for row in self.rows for flag in flagsIn(row[column])}, set())

    def test_libcoap(self) -> None:
        """Every flag of C{coap-client}."""
        self.check(1, ["coap-client-notls", "-h"], r"^\t(-\w)\b")

    def test_aiocoap(self) -> None:
        """Every flag of C{aiocoap-client}."""
        self.check(
            2, [sys.executable, "-m", "aiocoap.cli.client", "--help"], r"(?<![\w-])(--?[a-z][a-z-]*)\b"
        )
