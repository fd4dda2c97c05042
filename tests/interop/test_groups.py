"""
Multicast in a network of its own: L{tests.interop.groups} in a Linux namespace, where nothing that is sent
leaves the test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).parents[2]

# Two ends of a cable, of which one is enough; addresses are used at once, not looked for on the link before.
SET_UP = """
set -e
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
ip link add v0 type veth peer name v1
ip link set v0 up
ip link set v1 up
ip addr add 192.0.2.1/24 dev v0
ip -6 addr add 2001:db8::1/64 dev v0 nodad
ip route add 224.0.0.0/4 dev v0
exec "$@"
"""


def isolated(*command: str) -> list[str]:
    """
    A command in a network of its own.

    @raise SkipTest: if this system has none to give.
    """
    for name, remedy in (("unshare", "util-linux"), ("ip", "iproute2")):
        if shutil.which(name) is None:
            raise SkipTest(f"{name} is not installed: apt-get install {remedy}")
    prefix = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", SET_UP, "sh"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, timeout=20)
    if tried.returncode:
        raise SkipTest(f"no network of its own can be had: {tried.stderr.strip()[-200:]}")
    return [*prefix, *command]


class IsolatedTests(SynchronousTestCase):
    """What L{tests.interop.groups} tests."""

    def test_groups(self) -> None:
        """All of it passes, or is skipped for want of a peer."""
        where = str(Path(self.mktemp()).absolute())
        command = isolated(
            sys.executable, "-m", "twisted.trial", "--temp-directory", where, "tests.interop.groups"
        )
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=170,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.assertEqual(done.returncode, 0, done.stdout[-5000:] + done.stderr[-2000:])
        skips = re.findall(r"skips=(\d+)", done.stdout)
        if skips:
            raise SkipTest(f"{skips[-1]} of them: {done.stdout[-1000:]}")
