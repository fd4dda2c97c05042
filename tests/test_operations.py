"""
The systemd units of the operations guide are units.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.pages import ROOT
from txcoap import tap
from txcoap.resource import Resource

UNITS = ROOT / "examples" / "systemd"


class UnitTests(SynchronousTestCase):
    """The systemd units."""

    def commands(self) -> dict[str, list[str]]:
        """What each service runs, as words."""
        found = {}
        for path in UNITS.glob("*.service"):
            (command,) = re.findall(r"^ExecStart=/usr/bin/twistd (.*)", path.read_text("utf-8"), re.MULTILINE)
            found[path.name] = command.replace("%i", "1").split()
        return found

    def test_commands(self) -> None:
        """Each command is one that twistd understands."""
        self.patch(tap, "findResources", lambda name: Resource())
        commands = self.commands()
        self.assertEqual(sorted(commands), ["coap-workers.service", "coap.service"])
        for words in commands.values():
            options = tap.Options()
            rest = words[words.index("coap") + 1 :]
            self.assertEqual(words[:2], ["--nodaemon", "--pidfile="])
            if "systemd:name=coap.socket" in rest:
                # There is none here.
                rest[rest.index("systemd:name=coap.socket")] = "udp:5683"
            try:
                options.parseOptions(rest)
            except UsageError as e:
                self.fail(f"{' '.join(words)}: {e}")

    def test_verified(self) -> None:
        """systemd itself finds nothing wrong."""
        if shutil.which("systemd-analyze") is None:
            raise SkipTest("there is no systemd here")
        directory = Path(self.mktemp())
        directory.mkdir()
        units = []
        for path in UNITS.iterdir():
            # The program may be elsewhere.
            text = path.read_text("utf-8").replace("/usr/bin/twistd", "/bin/true")
            units.append(directory / path.name)
            units[-1].write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *map(str, sorted(units))],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
