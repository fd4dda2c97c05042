"""
The command C{txcoap}: its arguments, and how it writes what comes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from errno import EADDRNOTAVAIL, ECONNREFUSED
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import Terminal
from txcoap import Code, __version__
from txcoap.cli.arguments import parse
from txcoap.cli.colors import printable
from txcoap.cli.console import Console, OutputError, OutputFile
from txcoap.cli.display import MessageLog, describeMessage, describeOption, table
from txcoap.cli.failures import EXITS, Exit, exitFor, explain
from txcoap.cli.preparing import readBody
from txcoap.cli.typed import readOption, readURI
from txcoap.errors import (
    CoAPError,
    InvalidURI,
    MalformedResponse,
    MessageTooLarge,
    NoAcknowledgement,
    NoResponse,
    ResetReceived,
    Unreachable,
)
from txcoap.linkformat import Link
from txcoap.options import Options
from txcoap.parameters import SLOW_PARAMETERS
from txcoap.sansio.datagrams import ACK, CON, NON, encode
from txcoap.uri import URI

reactor: Any = _reactor

ROOT = str(Path(__file__).parent.parent)


def console(stdin: bytes = b"", stdout: BytesIO | None = None) -> Console:
    """Streams in memory."""
    return Console(BytesIO(stdin), stdout or BytesIO(), StringIO())


class URITests(SynchronousTestCase):
    """What people type for a URI."""

    def test_forms(self) -> None:
        """The scheme may be missing, and the host where there is a port."""
        rows = [
            ("coap://h/a", "coap://h/a"),
            ("coaps://h/a", "coaps://h/a"),
            ("localhost/light", "coap://localhost/light"),
            ("localhost:61616", "coap://localhost:61616/"),
            ("[::1]/x", "coap://[::1]/x"),
            ("[::1]:61616/x?y=1", "coap://[::1]:61616/x?y=1"),
            (":61616/x", "coap://localhost:61616/x"),
            ("h/x?u=coap://other", "coap://h/x?u=coap:%2F%2Fother"),
            ("%2Frun%2Fx.sock/a", "coap://%2Frun%2Fx.sock/a"),
        ]
        for text, uri in rows:
            self.assertEqual(str(readURI(text)), uri)

    def test_others(self) -> None:
        """What is no URI of CoAP is refused."""
        for text in ("", "/light", "http://h/", "coap:/h", "h/a#b", "h:99999/", "h/a b"):
            self.assertRaises(InvalidURI, readURI, text)


class OptionTests(SynchronousTestCase):
    """What people type for an option."""

    def test_forms(self) -> None:
        """By number or name, in the option's format, or in hexadecimal."""
        rows = [
            ("11,a", (11, b"a")),
            ("Uri-Path,a,b", (11, b"a,b")),
            ("uri-path,ä", (11, "ä".encode())),
            ("uriPath,", (11, b"")),
            ("Max-Age,60", (14, b"\x3c")),
            ("14,0", (14, b"")),
            ("Max-Age,0x00003c", (14, b"\x00\x00\x3c")),
            ("ETag,0x1F2e", (4, b"\x1f\x2e")),
            ("ETag,abc", (4, b"abc")),
            ("4,0x", (4, b"")),
            ("Accept,application/cbor", (17, b"\x3c")),
            ("Accept,60", (17, b"\x3c")),
            ("If-None-Match", (5, b"")),
            ("5,", (5, b"")),
            ("Block2,6", (23, b"\x06")),
            ("2050,text", (2050, b"text")),
            ("65535,0xff", (65535, b"\xff")),
        ]
        for text, pair in rows:
            self.assertEqual(readOption(text), pair, text)

    def test_wrong(self) -> None:
        """The complaint says what to change."""
        rows = [
            ("Nothing,1", "no option is called 'Nothing'"),
            ("0,1", "from 1 to 65535"),
            ("65536,1", "from 1 to 65535"),
            ("Uri-Path", "Uri-Path,VALUE"),
            ("2050", "2050,VALUE"),
            ("Max-Age,soon", "whole number"),
            ("Max-Age,-1", "whole number"),
            ("Max-Age,4294967296", "0 to 4 bytes"),
            ("ETag,123456789", "1 to 8 bytes"),
            ("If-None-Match,1", "has no value"),
            ("ETag,0x123", "pairs of hexadecimal digits"),
            ("ETag,0xzz", "pairs of hexadecimal digits"),
            ("Accept,foo/bar", "no content format"),
        ]
        for text, complaint in rows:
            error = self.assertRaises(ValueError, readOption, text)
            self.assertIn(complaint, str(error), text)


class ParseTests(SynchronousTestCase):
    """The command line."""

    def parseWrong(self, *arguments: str) -> str:
        """The complaint about a command line."""
        with redirect_stderr(StringIO()) as stderr:
            error = self.assertRaises(SystemExit, parse, arguments)
        self.assertEqual(error.code, Exit.USAGE)
        return stderr.getvalue()

    def test_timing(self) -> None:
        """C{--timing}: a preset, changes, or both."""
        self.assertIsNone(parse(["get", "h"]).parameters)
        changed = parse(["ping", "h", "--timing", "slow,MAX_RETRANSMIT=1"]).parameters
        self.assertEqual(changed, SLOW_PARAMETERS.evolve(MAX_RETRANSMIT=1))
        self.assertIn("'fast' is none of default, lan, slow", self.parseWrong("get", "h", "--timing", "fast"))

    def test_all(self) -> None:
        """Every flag of a request, in its long and in its short form."""
        letters = "put h -N -e x -t json -A 60 -O 4,a -O 5 -B 1.5 -o f -T 0x01 -v"
        words = (
            "put h --non --payload x --content-format json --accept 60 --option 4,a --option 5 "
            "--timeout 1.5 --output f --token 0x01 --verbose"
        )
        short, long = parse(letters.split()), parse(words.split())
        self.assertEqual(vars(short) | {"refuse": None}, vars(long) | {"refuse": None})
        self.assertEqual(short.pairs, [(4, b"a"), (5, b"")])
        self.assertEqual((short.contentFormat, short.accept, short.token), (50, 60, b"\x01"))
        self.assertEqual((short.confirmable, short.timeout, short.hasBody), (False, 1.5, True))

    def test_wrong(self) -> None:
        """One line on standard error, exit code 2."""
        rows: list[tuple[Sequence[str], str]] = [
            ([], "give a command, as in: txcoap get coap://localhost/hello"),
            (["gte", "h"], "there is no command 'gte'; perhaps get"),
            (["--vers"], "COMMAND"),
            (["get", "--tiemout", "3", "h"], "there is no flag --tiemout here; perhaps --timeout"),
            (
                ["serve", ".", "--writeable"],
                "txcoap serve: there is no flag --writeable here; perhaps --writable",
            ),
            (["get", "h", "-x=1"], "there is no flag -x here"),
            (["get", "h", "a b", "c"], "txcoap get: 'a b' is one word too many"),
            (["get"], "URI"),
            (["get", "http://h/"], "'http' is no scheme of CoAP"),
            (["get", "h", "-e", "x"], "-e"),
            (["get", "h", "-B", "0"], "a number above 0"),
            (["get", "h", "-B", "nan"], "a number above 0"),
            (["get", "h", "-B", "x"], "a number above 0"),
            (["get", "h", "-T", "123456789"], "at most 8 bytes"),
            (["get", "h", "-A", "foo/bar"], "no content format"),
            (["get", "h", "-O", "foo,1"], "no option is called 'foo'"),
            (["get", "h", "-q", "-v"], "not allowed with"),
            (["get", "h", "-b", "2048"], "2048"),
            (["get", "h", "-b", "100"], "100"),
            (["put", "h", "-b", "x"], "16, 32"),
            (["put", "h", "-e", "x", "-f", "y"], "not allowed with"),
            (["ping", "h", "-c", "0"], "from 1 up"),
            (["get", "h\n\x1b[2J"], "\\x1b[2J"),
        ]
        for arguments, complaint in rows:
            told = self.parseWrong(*arguments)
            self.assertIn(complaint, told)
            self.assertEqual(told.count("\n"), 1, told)
            self.assertIn("--help", told)
            self.assertNotIn("\x1b", told)

    def test_version(self) -> None:
        """C{--version} tells it."""
        with redirect_stdout(StringIO()) as stdout:
            error = self.assertRaises(SystemExit, parse, ["--version"])
        self.assertEqual((error.code, stdout.getvalue()), (0, f"txcoap {__version__}\n"))

    def test_help(self) -> None:
        """Each command's help lists the exit codes."""
        for arguments in (["--help"], ["get", "-h"], ["ping", "-h"], ["discover", "-h"], ["put", "-h"]):
            with redirect_stdout(StringIO()) as stdout:
                error = self.assertRaises(SystemExit, parse, arguments)
            self.assertEqual(error.code, 0)
            for meaning in EXITS.values():
                self.assertIn(meaning, stdout.getvalue())


class BodyTests(SynchronousTestCase):
    """Where a request's body comes from."""

    def test_sources(self) -> None:
        """The text, the file, or standard input where it is no terminal."""
        path = self.mktemp()
        Path(path).write_bytes(b"file")
        self.assertEqual(readBody("ä", None, True, console(b"in")), "ä".encode())
        self.assertEqual(readBody("", None, True, console(b"in")), b"")
        self.assertEqual(readBody(None, path, True, console(b"in")), b"file")
        self.assertEqual(readBody(None, "-", True, console(b"in")), b"in")
        self.assertEqual(readBody(None, None, True, console(b"in")), b"in")
        self.assertEqual(readBody(None, None, False, console(b"in")), b"")
        terminal = Console(Terminal(b"in"), BytesIO(), StringIO())
        self.assertEqual(readBody(None, None, True, terminal), b"")
        self.assertEqual(readBody(None, "-", True, terminal), b"in")
        self.assertEqual(readBody(None, None, True, Console(None, BytesIO(), StringIO())), b"")

    def test_bytes(self) -> None:
        """Arguments that are no UTF-8 are sent as they are."""
        self.assertEqual(readBody(b"\xff".decode("utf-8", "surrogateescape"), None, True, console()), b"\xff")

    def test_endless(self) -> None:
        """What is larger than any body is not read to its end, and refused, not cut."""
        stream = console(b"12345")
        self.assertRaises(OSError, readBody, None, "-", True, stream, 3)
        assert stream.stdin is not None
        self.assertEqual(stream.stdin.read(), b"5")
        path = self.mktemp()
        Path(path).write_bytes(b"1234")
        self.assertRaises(OSError, readBody, None, path, True, console(), 3)
        self.assertEqual(readBody(None, path, True, console(), 4), b"1234")


class OutputFileTests(SynchronousTestCase):
    """A file gets its content at once, or stays."""

    def setUp(self) -> None:
        """A directory of its own."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "body"

    def test_new(self) -> None:
        """A new file has the mode that files have; nothing else is left in the directory."""
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        output = OutputFile(str(self.path))
        self.assertFalse(self.path.exists())
        output.add(b"")
        output.add(b"x")
        self.assertFalse(self.path.exists())
        output.finish()
        self.assertEqual(output.size, 1)
        self.assertEqual(self.path.read_bytes(), b"x")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)
        self.assertEqual(list(self.directory.iterdir()), [self.path])

    def test_replaced(self) -> None:
        """A file keeps its mode, and a link stays a link."""
        self.path.write_bytes(b"old")
        self.path.chmod(0o604)
        link = self.directory / "link"
        link.symlink_to("body")
        output = OutputFile(str(link))
        output.add(b"new")
        output.finish()
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.path.read_bytes(), b"new")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o604)

    def test_discarded(self) -> None:
        """Without an answer it stays as it was."""
        self.path.write_bytes(b"old")
        output = OutputFile(str(self.path))
        output.discard()
        output.discard()
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertEqual(list(self.directory.iterdir()), [self.path])

    def test_device(self) -> None:
        """What is no regular file is written to."""
        null = OutputFile("/dev/null")
        null.add(b"x")
        null.finish()
        full = OutputFile("/dev/full")
        self.assertRaises(OutputError, full.add, b"x")

    def test_impossible(self) -> None:
        """It is known from the start."""
        self.assertRaises(OSError, OutputFile, str(self.directory / "none" / "body"))
        self.assertRaises(OSError, OutputFile, str(self.directory))


class DisplayTests(SynchronousTestCase):
    """Messages and links in words."""

    def test_options(self) -> None:
        """By name, in the option's format."""
        rows = [
            ((11, b"a\x1b"), r"Uri-Path: a\x1b"),
            ((12, b"\x3c"), "Content-Format: application/cbor (60)"),
            ((17, b"\xfd\xe8"), "Accept: 65000"),
            ((14, b"\x3c"), "Max-Age: 60"),
            ((4, b"\x01\xff"), "ETag: 0x01ff"),
            ((5, b""), "If-None-Match"),
            ((23, b"\x1e"), "Block2: block 1, more to come, size 1024"),
            ((27, b"\x20"), "Block1: block 2, size 16"),
            ((11, b"\xff"), "Uri-Path: 0xff"),
            ((5, b"x"), "If-None-Match: 0x78"),
            ((2050, b"x"), "Option 2050: 0x78"),
        ]
        for pair, words in rows:
            self.assertEqual(describeOption(pair), words)

    def test_message(self) -> None:
        """Type, code, ID and token; options; the payload's size and start."""
        options = Options(uriPath=("a",), maxAge=5)
        data = encode(CON, Code.PUT, 7, b"\x01\x02", options, b"line\n\x9b")
        self.assertEqual(
            list(describeMessage(data)),
            ["CON PUT /a, ID 7, token 0102", "Max-Age: 5", "6 bytes: 6c 69 6e 65 0a 9b"],
        )
        data = encode(ACK, Code.CONTENT, 7, b"", Options(), "ä\n\u202e".encode())
        self.assertEqual(list(describeMessage(data)), ["ACK 2.05 Content, ID 7", r'6 bytes: "ä\n\u202e"'])
        data = encode(NON, Code.POST, 7, b"", Options(), b"x" * 1000)
        self.assertEqual(list(describeMessage(data))[1], f'1000 bytes: "{"x" * 64}" ...')
        data = encode(NON, Code.POST, 7, b"", Options(), b"x" + "ä".encode() * 40)
        self.assertEqual(list(describeMessage(data))[1], f'81 bytes: "x{"ä" * 31}" ...')

    def test_malformed(self) -> None:
        """What is no message is told, too."""
        (line,) = describeMessage(b"\xff")
        self.assertEqual(line, "no CoAP message (shorter than the header of 4 bytes), 1 byte: ff")

    def test_log(self) -> None:
        """Copies are told as such."""
        times = iter([10.0, 10.5, 13.0, 13.25])
        lines: list[str] = []
        log = MessageLog(lines.append, lambda: next(times))
        data = encode(CON, Code.GET, 7, b"", Options(uriPath=("a",)))
        log("sent", data, ("192.0.2.1", 5683))
        log("sent", data, ("192.0.2.1", 5683))
        log("received", encode(ACK, Code.EMPTY, 7), ("2001:db8::1", 5683, 0, 0))
        self.assertEqual(
            lines,
            [
                "  0.500 s -> 192.0.2.1:5683: CON GET /a, ID 7",
                "  3.000 s -> 192.0.2.1:5683: CON GET /a, ID 7 (again)",
                "  3.250 s <- [2001:db8::1]:5683: ACK 0.00 Empty, ID 7: it has it, and answers later",
            ],
        )

    def test_table(self) -> None:
        """Columns for what there is; the rest of the attributes in the last."""
        links = [
            Link.of("/a", rt=("x", "y"), ct=(0, 60), title="T\x1b", obs=True),
            Link.of("/longer", ifs="s", sz=10, rel="up", z=True),
        ]
        self.assertEqual(
            list(table(links)),
            [
                "PATH     RT   IF  CT                                           SZ  OBS  TITLE  MORE",
                "/a       x y      text/plain; charset=utf-8, application/cbor      yes  T\\x1b",
                '/longer       s                                                10              rel="up" z',
            ],
        )
        self.assertEqual(list(table([Link("/a")])), ["PATH", "/a"])

    def test_printable(self) -> None:
        """Nothing that comes from a peer does anything to a terminal."""
        self.assertEqual(printable("a\r\x1b[2Jä\u202e"), r"a\r\x1b[2Jä\u202e")


class FailureTests(SynchronousTestCase):
    """Errors in one line, and codes as exit codes."""

    def test_exits(self) -> None:
        """The class of the response code decides."""
        rows = [("2.05", 0), ("2.31", 0), ("4.04", 4), ("4.29", 4), ("5.03", 5), ("3.00", 1)]
        for code, expected in rows:
            self.assertEqual(exitFor(Code(code)), expected)

    def test_lines(self) -> None:
        """Each says what happened at which server, and what to do."""
        rows: list[tuple[CoAPError, str]] = [
            (NoAcknowledgement("x"), "h:5683 did not answer in time; check"),
            (NoResponse("x"), "no response from h:5683 in time; allow more by --timeout"),
            (ResetReceived("x"), "h:5683 rejected the request with a Reset; check"),
            (Unreachable(ECONNREFUSED, "x"), "nobody listens at h:5683; check"),
            (Unreachable(113, "x"), "h:5683 cannot be reached: "),
            (MessageTooLarge("x"), "does not fit a datagram"),
            (MalformedResponse("the text"), "the text"),
        ]
        for error, line in rows:
            self.assertIn(line, explain(error, URI("coap", "h")))
        away = Unreachable(EADDRNOTAVAIL, "x")
        self.assertIn("no address 192.0.2.1 to send from; give", explain(away, URI("coap", "h"), "192.0.2.1"))
        refused = Unreachable(ECONNREFUSED, "x")
        self.assertIn("[::1]:7;", explain(refused, URI("coap", "::1", 7)))
        self.assertIn("at /x;", explain(refused, URI("coap", "/x")))


class ConsoleTests(SynchronousTestCase):
    """Standard streams."""

    def test_closed(self) -> None:
        """A process may be started with any of them closed."""
        for name in ("stdin", "stdout", "stderr"):
            self.patch(sys, name, None)
        found = Console.standard()
        self.addCleanup(found.stdout.close)
        self.addCleanup(found.stderr.close)
        self.assertIsNone(found.stdin)
        found.writeLine("x")
        found.complain("x")

    def test_encoding(self) -> None:
        """What the terminal cannot show is escaped."""
        stdout = BytesIO()
        self.patch(sys, "stdout", TextIOWrapper(stdout, "ascii"))
        Console.standard().writeLine("ä")
        self.assertEqual(stdout.getvalue(), b"\\xe4\n")

    def test_notFlushed(self) -> None:
        """Nor that what was written last reaches nobody; the interpreter does not try again at its end."""
        reading, writing = os.pipe()
        os.close(reading)
        stdout = os.fdopen(writing, "wb")
        self.addCleanup(stdout.close)
        found = Console(None, stdout, StringIO())
        stdout.write(b"x")
        found.close()
        stdout.flush()

    def test_closedTerminal(self) -> None:
        """A standard error that is closed is watched by nobody."""
        stderr = StringIO()
        stderr.close()
        self.assertFalse(Console(None, BytesIO(), stderr).isWatched)

    def test_stderr(self) -> None:
        """That a complaint cannot be written is no reason to stop."""
        stderr = StringIO()
        stderr.close()
        Console(None, BytesIO(), stderr).complain("x")
