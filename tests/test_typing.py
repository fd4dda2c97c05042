"""
The type hints are of use to those who use txcoap: what is right passes C{mypy --strict}, and a mistake is
refused where it is made. Their projects are in C{tests/typed}.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

HERE = Path(__file__).parent
ROOT = HERE.parent
PROJECTS = HERE / "typed"

_SAID = re.compile(r"^(?P<path>[^:]+\.py):(?P<line>\d+): error: (?P<text>.*)$", re.MULTILINE)


def errorsIn(name: str, cache: Path, plugins: str = "") -> dict[int, str]:
    """What mypy says of the lines of a project, with no settings but C{--strict} and plugins."""
    configuration = cache.with_suffix(".ini")
    configuration.write_text(f"[mypy]\nplugins = {plugins}\n")
    path = PROJECTS / f"{name}.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--hide-error-codes"]
    command += [f"--config-file={configuration.absolute()}", f"--cache-dir={cache.absolute()}"]
    # From elsewhere and by a bare name: to mypy it is not of this project.
    ended = subprocess.run(
        [*command, path.name],
        cwd=PROJECTS,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    if ended.returncode not in (0, 1):
        raise AssertionError(ended.stdout + ended.stderr)
    return {
        int(each["line"]): each["text"] for each in _SAID.finditer(ended.stdout) if each["path"] == path.name
    }


class TypingTests(SynchronousTestCase):
    """What mypy says of users' projects."""

    def setUp(self) -> None:
        """There is a mypy."""
        for module in ("mypy", "mypy_zope"):
            if find_spec(module) is None:
                raise SkipTest(f"{module} is not installed: pip install txcoap[lint]")
        cache = ROOT / ".mypy_cache"
        cache.mkdir(exist_ok=True)
        self.cache = cache / "users"

    def test_passes(self) -> None:
        """Who subclasses resources, routes functions, asks and tests, needs no plugin."""
        self.assertEqual(errorsIn("resources", self.cache), {})

    def test_interfaces(self) -> None:
        """Who goes by interfaces needs mypy-zope, as with Twisted itself."""
        self.assertEqual(errorsIn("serving", self.cache.with_name("zope"), "mypy_zope:plugin"), {})

    def test_refused(self) -> None:
        """Each mistake is told at its line, and nothing else is."""
        lines = (PROJECTS / "mistakes.py").read_text().splitlines()
        marked = {
            at: line.split("# refused: ")[1] for at, line in enumerate(lines, 1) if "# refused: " in line
        }
        found = errorsIn("mistakes", self.cache)
        self.assertEqual(sorted(found), sorted(marked))
        for at, text in marked.items():
            self.assertIn(text, found[at])
