"""C{twistd coap --path}, asked by libcoap's client and by C{txcoap}."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from random import Random

from twisted.trial.unittest import TestCase

from .child import Child
from .peers import LOOPBACK4, ROOT, START_TIMEOUT, baseURI, libcoapCommand

BODY = Random(5).randbytes(60_001)

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
LISTENING = re.compile(rb"serving CoAP at 127\.0\.0\.1:(\d+)")


class FilesTests(TestCase):
    """A directory, served by a process."""

    timeout = 60

    async def serve(self, *options: str) -> str:
        """Serve a directory with a few files; its URI."""
        self.directory = Path(self.mktemp()).absolute()
        (self.directory / "sub").mkdir(parents=True)
        (self.directory / "large.bin").write_bytes(BODY)
        (self.directory / "sub" / "a.json").write_text("{}")
        listen = f"udp:0:interface={LOOPBACK4}"
        command = [*TWISTD, "coap", "--listen", listen, "--path", str(self.directory), *options]
        child = Child.start(self, command, {"PYTHONPATH": str(ROOT)})
        await child.until(lambda: LISTENING.search(child.output) is not None, START_TIMEOUT)
        found = LISTENING.search(child.output)
        assert found is not None, child.describe()
        return baseURI(LOOPBACK4, int(found[1]))

    async def libcoap(self, *arguments: str) -> bytes:
        """What libcoap's client writes."""
        child = await Child.run(self, [*libcoapCommand("coap-client-notls"), "-B", "20", *arguments])
        self.assertEqual(child.status, 0, child.describe())
        return child.output + child.errors

    async def test_libcoap(self) -> None:
        """libcoap's client gets, lists, puts and deletes."""
        libcoapCommand("coap-client-notls")
        base = await self.serve("--writable")
        target = Path(self.mktemp()).absolute()
        for size in ("1024", "64"):
            await self.libcoap("-b", size, "-o", str(target), f"{base}/large.bin")
            self.assertEqual(target.read_bytes(), BODY)
            await self.libcoap("-b", size, "-m", "put", "-f", str(target), f"{base}/sub/new{size}")
            self.assertEqual((self.directory / "sub" / f"new{size}").read_bytes(), BODY)
        listed = await self.libcoap(f"{base}/sub")
        self.assertIn(b"</sub/new64>;ct=42;sz=60001", listed)
        await self.libcoap("-m", "delete", f"{base}/sub/new64")
        names = sorted(each.name for each in (self.directory / "sub").iterdir())
        self.assertEqual(names, ["a.json", "new1024"])
        self.assertIn(b"4.04", await self.libcoap(f"{base}/%2e%2e%2fetc/passwd"))
        self.assertIn(b"</>;ct=40", await self.libcoap(f"{base}/.well-known/core"))

    async def test_txcoap(self) -> None:
        """So does the command C{txcoap}, and without C{--writable} it can only get."""
        command = [sys.executable, "-m", "txcoap"]
        target = Path(self.mktemp()).absolute()
        source = Path(self.mktemp()).absolute()
        source.write_bytes(BODY * 20)
        environment = {"PYTHONPATH": str(ROOT)}
        for options, expected in (["--writable"], 0), ([], 4):
            base = await self.serve(*options)
            put = [*command, "put", "-f", str(source), f"{base}/large.bin"]
            child = await Child.run(self, put, environment)
            self.assertEqual(child.status, expected, child.describe())
            get = [*command, "get", "-o", str(target), f"{base}/large.bin"]
            child = await Child.run(self, get, environment)
            self.assertEqual((child.status, child.errors), (0, b""), child.describe())
            self.assertEqual(target.read_bytes(), BODY if expected else BODY * 20)
