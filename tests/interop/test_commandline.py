"""C{txcoap serve}, asked by libcoap's client; C{txcoap shell}, at the servers of others."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from .child import Child
from .peers import LOOPBACK4, ROOT, START_TIMEOUT, baseURI, libcoapCommand, startServer

TXCOAP = [sys.executable, "-m", "txcoap"]
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}
SERVING = re.compile(rb"coap://127\.0\.0\.1:(\d+)/\n")


class CommandLineTests(TestCase):
    """The command as a process, and others' processes."""

    timeout = 60

    async def shell(self, uri: str, *lines: str) -> str:
        """What C{txcoap shell} writes."""
        found = await getProcessOutputAndValue(
            TXCOAP[0], [*TXCOAP[1:], "shell", uri], ENVIRONMENT, stdinBytes="\n".join(lines).encode()
        )
        output, errors, status = found
        self.assertEqual((status, errors), (0, b""))
        return str(output, "utf-8")

    async def test_libcoap(self) -> None:
        """Look about at libcoap's server, change a resource, and observe it meanwhile."""
        base = await startServer(self, "libcoap")
        lines = ["ls", "observe example_data -c 2 &", "put example_data 7 8", "wait", "get example_data"]
        written = await self.shell(base, *lines)
        self.assertIn("Example Data", written)
        self.assertRegex(written, r"(?m)^\[1\] 7 8\n\[1\] is over: observe example_data -c 2$")
        self.assertEqual(written.splitlines()[-1], "7 8")

    async def test_scripted(self) -> None:
        """Likewise at aiocoap's and node-coap's."""
        for peer in ("aiocoap", "node-coap"):
            base = await startServer(self, peer)
            written = await self.shell(base, "post /echo some text", "get method")
            self.assertEqual(written.splitlines()[0], "some text", peer)
            self.assertRegex(written.splitlines()[1], "^GET CON [0-9]$")

    async def test_serve(self) -> None:
        """libcoap's client gets and puts files."""
        client = libcoapCommand("coap-client-notls")
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        (directory / "a.txt").write_text("hello")
        command = [*TXCOAP, "serve", "--writable", "--listen", f"{LOOPBACK4}:0", str(directory)]
        server = Child.start(self, command, ENVIRONMENT)
        await server.until(lambda: SERVING.search(server.output) is not None, START_TIMEOUT)
        found = SERVING.search(server.output)
        assert found is not None
        base = baseURI(LOOPBACK4, int(found[1]))
        got = await Child.run(self, [*client, f"{base}/a.txt"])
        self.assertEqual((got.status, got.output.strip()), (0, b"hello"))
        put = await Child.run(self, [*client, "-m", "put", "-e", "new", f"{base}/b.txt"])
        self.assertEqual((put.status, (directory / "b.txt").read_text()), (0, "new"))
