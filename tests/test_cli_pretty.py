"""
The command C{txcoap} for people: bodies laid out, colours, trees, captures, completions.
"""

from __future__ import annotations

import json
import struct
import sys
from importlib.util import find_spec
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.streams import Terminal
from txcoap import Code, Request, Resource, Response, Site
from txcoap.cli.arguments import newParser, parse
from txcoap.cli.capture import Capture
from txcoap.cli.colors import Paint, newPaint
from txcoap.cli.commands import perform
from txcoap.cli.completion import SHELLS, completionScript
from txcoap.cli.console import Console
from txcoap.cli.display import tree
from txcoap.cli.links import showLinks
from txcoap.cli.notation import diagnostic, recordsTable
from txcoap.cli.preparing import prepare
from txcoap.cli.pretty import LARGEST_SHOWN, hexDump, layOut
from txcoap.cli.typed import bindAddress
from txcoap.endpoints import serverFromString
from txcoap.linkformat import Link

reactor: Any = _reactor

NEEDS_CBOR = None if find_spec("cbor2") else "cbor2 is not installed"
NEEDS_SHTAB = None if find_spec("shtab") else "shtab is not installed"


def laidOut(body: bytes, contentFormat: str | int | None) -> str:
    """How a body is shown."""
    return layOut(Response(Code.CONTENT, body, contentFormat=contentFormat))


class LayOutTests(SynchronousTestCase):
    """Bodies by their content format."""

    def test_json(self) -> None:
        """JSON is indented; what is none is shown as the text that it is."""
        self.assertEqual(laidOut(b'{"a":[1,"\xc3\xa4"]}', "json"), '{\n  "a": [\n    1,\n    "ä"\n  ]\n}')
        self.assertEqual(laidOut(b"{\x1b", "json"), r"{\x1b")
        self.assertEqual(laidOut(b"[" * 100_000, "json"), "[" * 100_000)

    def test_text(self) -> None:
        """Text loses what a terminal would act on, and its last line ends."""
        self.assertEqual(laidOut(b"a\x1b[2J\nb\n", "text/plain"), "a\\x1b[2J\nb")
        self.assertEqual(laidOut("ä".encode(), None), "ä")

    def test_hexadecimal(self) -> None:
        """What is no text is in hexadecimal, up to a limit that is told."""
        row = "00000000  89 50 4e 47 0d 0a 1a 0a  ff" + " " * 23 + "|.PNG.....|"
        self.assertEqual(laidOut(b"\x89PNG\r\n\x1a\n\xff", None), row)
        lines = list(hexDump(b"\xff" * (LARGEST_SHOWN + 5)))
        self.assertEqual(len(lines), LARGEST_SHOWN // 16 + 1)
        self.assertTrue(lines[-1].startswith("and 5 bytes more"))

    def test_links(self) -> None:
        """Link format is a table."""
        self.assertEqual(laidOut(b"</a>;obs", 40), "PATH  OBS\n/a    yes")

    def test_senml(self) -> None:
        """SenML is a table of its records, resolved (RFC 8428 4.6)."""
        pack = [
            {"bn": "urn:x:", "bt": 1.7e9, "bu": "Cel", "n": "t", "v": 21.5},
            {"n": "on", "t": 1, "vb": True},
        ]
        self.assertEqual(
            laidOut(json.dumps(pack).encode(), "application/senml+json").split("\n"),
            [
                "TIME                  NAME      VALUE  UNIT",
                "2023-11-14 22:13:20Z  urn:x:t   21.5   Cel",
                "2023-11-14 22:13:21Z  urn:x:on  true   Cel",
            ],
        )
        others: list[Any] = [{}, [], [1], [{"v": "x"}], [{"bt": 1e300, "v": 1}]]
        for other in others:
            self.assertRaises(ValueError, recordsTable, other)

    def test_cbor(self) -> None:
        """CBOR is in diagnostic notation (RFC 8949 8), a sequence an item a line; else in hexadecimal."""
        self.assertEqual(laidOut(bytes.fromhex("a1016161"), "cbor"), '{\n  1: "a"\n}')
        self.assertEqual(laidOut(bytes.fromhex("f6820102"), "application/cbor-seq"), "null\n[\n  1,\n  2\n]")
        self.assertTrue(laidOut(bytes.fromhex("a1ff"), "cbor").startswith("00000000  a1 ff"))
        self.assertTrue(laidOut(b"\x81" * 1000 + b"\xff", "cbor").startswith("00000000  81"))

    def test_references(self) -> None:
        """A body that repeats parts of itself, and so would be many times as long, is in hexadecimal."""
        for tag in ("d81d", "d9001d", "da0000001d", "db000000000000001d"):
            # Eight times the item before, a hundred times over.
            repeated = "".join(f"d81c88{f'{tag}18{number:02x}' * 8}" for number in range(100))
            body = bytes.fromhex(f"9865d81c8100{repeated}")
            for contentFormat in ("cbor", "application/cbor-seq", "application/senml+cbor"):
                self.assertTrue(laidOut(body, contentFormat).startswith("00000000  98 65 d8 1c"))
        self.assertTrue(laidOut(bytes.fromhex("d901008263616161d81900"), "cbor").startswith("00000000"))

    def test_tags(self) -> None:
        """What the library knows of a tag is shown as that; of others the number (RFC 8949 8)."""
        rows = [
            ("c11a514b67b0", "2013-03-21 20:04:00+00:00"),
            ("d81e820103", "1/3"),
            ("f7", "undefined"),
            ("d9fff081182a", "65520([\n  42\n])"),
        ]
        for body, text in rows:
            self.assertEqual(laidOut(bytes.fromhex(body), "cbor"), text)

    def test_severalItems(self) -> None:
        """What is to be one item and is two is no CBOR of that format (RFC 8949 9.1)."""
        self.assertEqual(laidOut(b"\x01\x02", "cbor"), "\\x01\\x02")

    def test_nestedTooDeeply(self) -> None:
        """What would fill the screen with indentation is in hexadecimal."""
        self.assertTrue(laidOut(b"\x81" * 64 + b"\x05", "cbor").endswith("]"))
        self.assertTrue(laidOut(b"\x81" * 66 + b"\x05", "cbor").startswith("00000000  81 81"))

    def test_senmlInCBOR(self) -> None:
        """Its labels are numbers (RFC 8428 6)."""
        body = bytes.fromhex("81a200617402182a")
        self.assertEqual(laidOut(body, "application/senml+cbor"), "NAME  VALUE\nt     42")

    for test in (
        test_cbor,
        test_references,
        test_tags,
        test_severalItems,
        test_nestedTooDeeply,
        test_senmlInCBOR,
    ):
        test.skip = NEEDS_CBOR  # type: ignore[attr-defined]
    del test

    def test_notation(self) -> None:
        """Each kind of value has a notation of its own (RFC 8949 8)."""
        values: list[Any] = [None, True, -1, 1.5, float("inf"), float("nan"), b"\x01", "a", [], {1: [2]}]
        self.assertEqual(
            diagnostic(values), "[null, true, -1, 1.5, Infinity, NaN, h'01', \"a\", [], {1: [2]}]"
        )


class ColorTests(SynchronousTestCase):
    """Colours."""

    def test_when(self) -> None:
        """On terminals only; NO_COLOR, unless it is empty, and a dumb terminal have none."""
        rows: list[tuple[str, BytesIO, dict[str, str], bool]] = [
            ("auto", Terminal(), {}, True),
            ("auto", BytesIO(), {}, False),
            ("auto", Terminal(), {"NO_COLOR": "1"}, False),
            ("auto", Terminal(), {"NO_COLOR": ""}, True),
            ("auto", Terminal(), {"TERM": "dumb"}, False),
            ("always", BytesIO(), {"NO_COLOR": "1"}, True),
            ("never", Terminal(), {}, False),
        ]
        for when, stream, environment, isOn in rows:
            self.assertEqual(newPaint(when, stream, environment).isOn, isOn, (when, environment))
        closed = BytesIO()
        closed.close()
        self.assertFalse(newPaint("auto", closed, {}).isOn)

    def test_paint(self) -> None:
        """A colour ends where the text ends."""
        self.assertEqual(Paint(True)("x", "red"), "\x1b[31mx\x1b[0m")
        self.assertEqual((Paint(True)("x", None), Paint(False)("x", "red")), ("x", "x"))


class LinksTests(SynchronousTestCase):
    """Links as trees and tables."""

    links = [
        Link("/"),
        Link.of("/s/t", rt=("temp",), obs=True),
        Link.of("/s/[b]", title="A\x1b"),
        Link("/log"),
    ]

    def test_tree(self) -> None:
        """Segments of paths are branches."""
        self.assertEqual(
            list(tree(self.links)),
            ["├── /", "├── log", "└── s/", "    ├── [b]  A\\x1b", "    └── t  rt=temp  obs"],
        )
        self.assertEqual(len(list(tree([Link("/a" * 500)]))), 65)

    def test_terminal(self) -> None:
        """On a terminal, brackets are no styles, and nothing acts on it."""
        console = Console(None, Terminal(), StringIO())
        showLinks(self.links, False, console)
        written = console.stdout.getvalue().decode()  # type: ignore[attr-defined]
        self.assertIn("/s/[b]", written)
        self.assertNotIn("\x1b", written)


class CaptureTests(SynchronousTestCase):
    """Messages in a file."""

    def test_packets(self) -> None:
        """Each packet is whole: its addresses, ports, lengths and sums (RFC 791, RFC 768, RFC 1071)."""
        path = self.mktemp()
        capture = Capture(path, lambda: 12.5)
        capture.hosts = lambda: [IPv4Address("UDP", "0.0.0.0", 4000), IPv6Address("UDP", "::", 4001)]
        capture("sent", b"abc", ("127.0.0.1", 5683))
        capture("received", b"abcd", ("::1", 5683, 0, 0))
        capture("sent", b"abc", "/x")
        capture.close()
        data = Path(path).read_bytes()
        self.assertEqual(struct.unpack("=IHHiIII", data[:24])[::6], (0xA1B2C3D4, 101))
        self.assertEqual(struct.unpack("=IIII", data[24:40]), (12, 500000, 31, 31))
        first, second = data[40:71], data[71 + 16 :]
        self.assertEqual(struct.unpack("!HH", first[20:24]), (4000, 5683))
        self.assertEqual(sum(struct.unpack("!10H", first[:20])) % 0xFFFF, 0)
        pseudo = first[12:20] + struct.pack("!HH", 11, 17) + first[20:] + b"\0"
        self.assertEqual(sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo)) % 0xFFFF, 0)
        self.assertEqual((second[0] >> 4, struct.unpack("!HH", second[40:44])), (6, (5683, 4001)))
        self.assertEqual(second[48:], b"abcd")

    def test_noWay(self) -> None:
        """Where the system would send from no address of its own, the packet is from none."""
        path = self.mktemp()
        capture = Capture(path, lambda: 0.0)
        # Who has not asked for it may not send there.
        capture("sent", b"abc", ("255.255.255.255", 5683))
        capture.close()
        self.assertEqual(Path(path).read_bytes()[40 + 12 : 40 + 20], bytes(4) + b"\xff" * 4)


class ArgumentTests(SynchronousTestCase):
    """What is typed, and refused before anything is sent."""

    def test_bind(self) -> None:
        """An address, a port, or both."""
        rows = {"192.0.2.1": ("192.0.2.1", 0), "[::1]:5683": ("::1", 5683), ":5683": ("", 5683)}
        for text, found in rows.items():
            self.assertEqual(bindAddress(text), found)
        for text in ("", ":", "::1", "host", ":99999"):
            self.assertRaises(ValueError, bindAddress, text)

    def test_refused(self) -> None:
        """One line says what is wrong; the exit code is 2."""
        rows = [
            (["post", "localhost", "--cbor", "{"], "--cbor takes JSON"),
            (["get", "localhost", "--save", "/nonexistent/x"], "cannot write /nonexistent/x"),
            (["get", "localhost", "--save", "/nonexistent/x", "-o", "kept"], "cannot write /nonexistent/x"),
            (["get", "localhost", "--repeat", "2", "-o", "x"], "--repeat asks for several"),
            (["post", "localhost", "--cbor", "[" * 100_000], "nested too deeply"),
        ]
        for arguments, words in rows:
            stderr = StringIO()
            self.patch(sys, "stderr", stderr)
            console = Console(None, BytesIO(), StringIO())
            error = self.assertRaises(SystemExit, prepare, parse(arguments), console)
            self.assertEqual(error.code, 2)
            self.assertIn(words, stderr.getvalue())
            self.assertEqual(stderr.getvalue().count("\n"), 1)
        # What was opened before is not left behind.
        self.assertEqual(list(Path().glob("*kept*")), [])

    test_refused.skip = NEEDS_CBOR  # type: ignore[attr-defined]

    def test_completion(self) -> None:
        """There is a script for each shell, which knows the subcommands."""
        for shell in SHELLS:
            script = completionScript(newParser(), shell)
            self.assertIn("discover", script)
            self.assertIn("content-format", script)

    test_completion.skip = NEEDS_SHTAB  # type: ignore[attr-defined]


class Body(Resource):
    """Answers with what it was given."""

    isLeaf = True

    def render_POST(self, request: Request) -> Response:
        """It, in its format."""
        return Response(Code.CONTENT, request.payload, contentFormat=request.contentFormat)


class CommandTests(TestCase):
    """Commands against a site on a loopback port."""

    async def run_(self, *arguments: str, stdout: BytesIO | None = None) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        root = Resource()
        root.putChild("body", Body())
        port: Any = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(root))
        self.addCleanup(port.stopListening)
        base = f"127.0.0.1:{port.getHost().port}"
        parsed = parse([each.replace("BASE", base) for each in arguments])
        written, stderr = stdout or BytesIO(), StringIO()
        console = Console(None, written, stderr)
        prepared = prepare(parsed, console)
        try:
            code = await perform(reactor, parsed, prepared, console)
        finally:
            prepared.close()
        return code, written.getvalue().decode(), stderr.getvalue()

    async def test_pretty(self) -> None:
        """On a terminal, and where it is asked for; as it came in a pipe, and where that is asked for."""
        command = ("post", "BASE/body", "-e", "[1]", "-t", "json")
        self.assertEqual((await self.run_(*command))[1], "[1]")
        self.assertEqual((await self.run_(*command, "--pretty"))[1], "[\n  1\n]\n")
        self.assertEqual((await self.run_(*command, stdout=Terminal()))[1], "[\n  1\n]\n")
        self.assertEqual((await self.run_(*command, "--raw", stdout=Terminal()))[1], "[1]\n")

    async def test_cbor(self) -> None:
        """C{--cbor} sends CBOR, with its content format."""
        found = await self.run_("post", "BASE/body", "--cbor", '{"a": 1}', "--pretty", "--code")
        self.assertEqual(found, (0, '{\n  "a": 1\n}\n', "2.05 Content (application/cbor, 4 bytes)\n"))

    test_cbor.skip = NEEDS_CBOR  # type: ignore[attr-defined]

    async def test_repeat(self) -> None:
        """C{--repeat} asks again, and C{--time} tells of each."""
        found = await self.run_("post", "BASE/body", "-e", "x", "-G", "3", "-i", "0.01", "--time")
        self.assertEqual(found[:2], (0, "xxx"))
        self.assertEqual(found[2].count(" ms\n"), 3)
        self.assertEqual((await self.run_("get", "BASE/no", "-G", "2", "-i", "0.01"))[0], 4)

    async def test_save(self) -> None:
        """C{--save}: the request and the response."""
        path = self.mktemp()
        code, _, _ = await self.run_("post", "BASE/body", "-e", "mark", "--save", path, "--bind", "127.0.0.1")
        self.assertEqual((code, Path(path).read_bytes().count(b"\xffmark")), (0, 2))

    async def test_color(self) -> None:
        """Errors have theirs, if colours are wanted."""
        self.assertIn("\x1b[33m4.04", (await self.run_("get", "BASE/no", "--color", "always"))[2])
        self.assertNotIn("\x1b", (await self.run_("get", "BASE/no"))[2])

    async def test_tree(self) -> None:
        """C{discover --tree}."""
        self.assertEqual((await self.run_("discover", "--tree", "BASE"))[1], "└── body\n")
