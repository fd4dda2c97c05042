"""
The manual page of the command C{txcoap}: it is that of this command line, and one that C{man} can show.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from docs.manual import manualPage
from txcoap.cli.flags import COMMANDS

PAGE = Path(__file__).parent.parent / "docs" / "txcoap.1"


class ManualTests(SynchronousTestCase):
    """The page."""

    def test_current(self) -> None:
        """What is kept is what C{python docs/manual.py docs/txcoap.1} writes."""
        self.assertEqual(PAGE.read_text("utf-8"), manualPage())

    def test_complete(self) -> None:
        """It has every command, and flags with the commands that they are for."""
        text = PAGE.read_text("utf-8")
        for command in COMMANDS:
            self.assertIn(f"\\fB{command}\\fR", text)
        flag = re.search(r"\n\\fB\\-\\-exec\\fR \\fICOMMAND\\fR\n(.*)\n", text)
        assert flag is not None
        self.assertTrue(flag[1].endswith("(observe)"), flag[1])

    def test_shown(self) -> None:
        """It is formatted without a warning."""
        if shutil.which("groff") is None:
            raise SkipTest("groff is not installed")
        found = subprocess.run(
            ["groff", "-man", "-ww", "-Kutf8", "-Tutf8", str(PAGE)], capture_output=True, check=True
        )
        self.assertEqual(found.stderr, b"")
        self.assertIn("look about in a server", found.stdout.decode().lower())
