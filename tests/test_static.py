"""
Files as resources, to read: L{txcoap.static} and what it stands on, L{txcoap.directory}.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.recorders import logged
from txcoap import Code, Resource
from txcoap.directory import Opened, Tree, isName
from txcoap.errors import ResponseError
from txcoap.linkformat import Link, parse
from txcoap.options import Options
from txcoap.received import ReceivedResponse
from txcoap.static import CONTENT_FORMATS, File, refuse
from txcoap.testing import StubAgent
from txcoap.writable import WritableFile

BODY = Random(7).randbytes(5000)


class FilesTestCase(SynchronousTestCase):
    """A directory beside others, served at C{/files}."""

    def setUp(self) -> None:
        """Write it, and serve it to read."""
        super().setUp()
        above = Path(self.mktemp()).absolute()
        self.directory = above / "files"
        (self.directory / "sub" / "deep").mkdir(parents=True)
        (above / "secret").mkdir()
        (above / "secret" / "key.txt").write_text("secret")
        (above / "filesystem.txt").write_text("secret")
        (self.directory / "hello.txt").write_text("hello")
        (self.directory / "large.bin").write_bytes(BODY)
        (self.directory / "empty.json").write_bytes(b"")
        (self.directory / "sub" / "x y,ä.cbor").write_bytes(b"\xa0")
        (self.directory / "sub" / "deep" / "b").write_bytes(b"b")
        self.serve(File(self.directory))

    def serve(self, file: Any) -> None:
        """Serve this at C{/files}."""
        self.root = Resource()
        self.root.putChild("files", file)
        self.agent = StubAgent(self.root)

    def ask(self, *segments: str, code: Code = Code.GET, payload: Any = b"", **how: Any) -> ReceivedResponse:
        """The answer to a request for something below C{/files}, by segments that no URI may have, too."""
        path = [(11, each.encode()) for each in ("files", *segments)]
        options = Options.fromPairs([*path, *how.pop("options", Options()).pairs])
        asking = self.agent.request(code, "coap://h", payload, options=options, **how)
        response: ReceivedResponse = self.successResultOf(asking)
        return response

    def assertNotThere(self, *segments: str) -> None:
        """It is answered as what is not there is, without a word."""
        response = self.ask(*segments)
        self.assertEqual((response.code, response.payload), (Code.NOT_FOUND, b""), segments)

    def links(self, *segments: str, **how: Any) -> dict[str, Link]:
        """The list of a directory, by target."""
        response = self.ask(*segments, **how)
        self.assertEqual((response.code, response.contentFormat), (Code.CONTENT, 40))
        return {link.target: link for link in parse(response.text())}


class ReadingTests(FilesTestCase):
    """GET of a file."""

    def test_content(self) -> None:
        """A file's content, with an ETag of 8 bytes."""
        response = self.ask("hello.txt")
        self.assertEqual((response.code, response.payload), (Code.CONTENT, b"hello"))
        self.assertEqual((response.contentFormat, response.options.maxAge), (0, None))
        assert response.etag is not None
        self.assertEqual(len(response.etag), 8)

    def test_below(self) -> None:
        """Files in directories, by whatever text names them."""
        self.assertEqual(self.ask("sub", "x y,ä.cbor").payload, b"\xa0")
        self.assertEqual(self.ask("sub", "deep", "b").payload, b"b")

    def test_empty(self) -> None:
        """A file of no bytes is a body of none."""
        response = self.ask("empty.json")
        self.assertEqual((response.code, response.payload, response.contentFormat), (Code.CONTENT, b"", 50))

    def test_blocks(self) -> None:
        """A large file in blocks of every size, each with the same ETag (RFC 7959 2.4)."""
        for size in (16, 32, 64, 128, 256, 512, 1024):
            response = self.ask("large.bin", blockSize=size)
            self.assertEqual(response.payload, BODY)
            self.assertEqual(response.contentFormat, 42)

    def test_blocksAreRead(self) -> None:
        """A block is read where it is asked for, and no more than that: memory is a block's."""
        sizes: list[int] = []
        read = Opened.read

        def watched(opened: Opened, start: int, size: int) -> bytes:
            sizes.append(size)
            return read(opened, start, size)

        self.patch(Opened, "read", watched)
        self.ask("large.bin", blockSize=256)
        self.assertEqual(sizes, [256] * 20)
        self.assertEqual(self.ask("large.bin", byteRange=(4096, 100)).payload[:100], BODY[4096:4196])

    def test_exactBlocks(self) -> None:
        """Files of just a block, of just two, and of one byte more."""
        for length in (1024, 2048, 1025):
            (self.directory / "exact").write_bytes(BODY[:length])
            self.assertEqual(self.ask("exact").payload, BODY[:length])

    def test_beyond(self) -> None:
        """A block beyond the end is 4.00, as is size exponent 7 (RFC 7959 2.2)."""
        for block in (5 << 4 | 6, 7):
            response = self.ask("large.bin", options=Options.fromPairs([(23, bytes([block]))]))
            self.assertEqual(response.code, Code.BAD_REQUEST)

    def test_size(self) -> None:
        """Size2 tells the length to who asks for it (RFC 7959 4)."""
        seen: list[tuple[str, int, int | None]] = []
        self.ask("large.bin", size2=0, progress=lambda *how: seen.append(how))
        self.assertEqual(seen[0], ("received", 1024, 5000))

    def test_closed(self) -> None:
        """No file stays open, whatever was answered."""
        before = os.listdir("/dev/fd")
        etag = self.ask("hello.txt").etag
        for how in ({}, {"etag": (etag,)}, {"accept": 60}, {"block2": 0x7F}):
            self.ask("hello.txt", **how)
        for segments in (("large.bin",), ("sub",), ("none",), ("sub", "none"), ("hello.txt", "x")):
            self.ask(*segments)
        self.assertEqual(os.listdir("/dev/fd"), before)

    def test_validation(self) -> None:
        """With the ETag of a file as it is: 2.03 without a body (RFC 7252 5.10.6.2)."""
        etag = self.ask("large.bin").etag
        response = self.ask("large.bin", etag=(etag,))
        self.assertEqual((response.code, response.payload, response.etag), (Code.VALID, b"", etag))
        self.assertEqual(self.ask("large.bin", etag=(b"other",)).code, Code.CONTENT)

    def test_etagChanges(self) -> None:
        """Another length, time or file is another ETag."""
        path = self.directory / "hello.txt"
        tags = [self.ask("hello.txt").etag]
        path.write_text("hello!")
        os.utime(path, ns=(0, 1))
        tags.append(self.ask("hello.txt").etag)
        os.utime(path, ns=(0, 2))
        tags.append(self.ask("hello.txt").etag)
        (self.directory / "other").write_text("hello?")
        os.utime(self.directory / "other", ns=(0, 2))
        os.replace(self.directory / "other", path)
        tags.append(self.ask("hello.txt").etag)
        self.assertEqual(len(set(tags)), 4)

    def test_changedMeanwhile(self) -> None:
        """A file that changes between two blocks is fetched anew, and never mixed (RFC 7959 2.4)."""
        new = BODY[::-1]
        asked: list[int] = []
        read = Opened.read

        def replacing(opened: Opened, start: int, size: int) -> bytes:
            asked.append(start)
            if len(asked) == 3:
                (self.directory / "new").write_bytes(new)
                os.replace(self.directory / "new", self.directory / "large.bin")
            return read(opened, start, size)

        self.patch(Opened, "read", replacing)
        self.assertEqual(self.ask("large.bin").payload, new)

    def test_maxAge(self) -> None:
        """Max-Age as it was given, of files and lists."""
        self.serve(File(self.directory, maxAge=5))
        for segments in ("hello.txt",), ("large.bin",), ():
            self.assertEqual(self.ask(*segments).options.maxAge, 5)

    def test_accept(self) -> None:
        """A format that the file does not have is 4.06 (RFC 7252 5.10.4)."""
        self.assertEqual(self.ask("hello.txt", accept=0).code, Code.CONTENT)
        for segments in ("hello.txt",), ("large.bin",), ("sub",):
            self.assertEqual(self.ask(*segments, accept=60).code, Code.NOT_ACCEPTABLE)

    def test_conditions(self) -> None:
        """If-Match and If-None-Match are heeded (5.10.8); a list has no entity tag."""
        etag = self.ask("hello.txt").etag
        for segments, how, code in (
            (("hello.txt",), {"ifMatch": (etag,)}, Code.CONTENT),
            (("hello.txt",), {"ifMatch": (b"other",)}, Code.PRECONDITION_FAILED),
            (("hello.txt",), {"ifNoneMatch": True}, Code.PRECONDITION_FAILED),
            (("sub",), {"ifMatch": (b"",)}, Code.CONTENT),
            (("sub",), {"ifMatch": (b"other",)}, Code.PRECONDITION_FAILED),
            (("none",), {"ifMatch": (b"other",)}, Code.NOT_FOUND),
        ):
            self.assertEqual(self.ask(*segments, **how).code, code, (segments, how))

    def test_methods(self) -> None:
        """Only GET is there, also for bodies in blocks."""
        for code in (Code.PUT, Code.POST, Code.DELETE, Code.FETCH, Code.PATCH):
            payload = b"" if code == Code.DELETE else BODY
            self.assertEqual(self.ask("hello.txt", code=code, payload=payload).code, Code.METHOD_NOT_ALLOWED)
        self.assertEqual((self.directory / "hello.txt").read_text(), "hello")

    def test_single(self) -> None:
        """A single file, with nothing below it; by a symbolic link too."""
        (self.directory / "link").symlink_to("large.bin")
        for name in ("large.bin", "link"):
            self.serve(File(self.directory / name))
            self.assertEqual(self.ask().payload, BODY)
            for segments in ("x",), ("",), ("..", "hello.txt"):
                self.assertNotThere(*segments)

    def test_children(self) -> None:
        """Children that were put come before files, at this directory only."""
        file = File(self.directory)
        file.putChild("hello.txt", File(self.directory / "large.bin"))
        self.serve(file)
        self.assertEqual(self.ask("hello.txt").payload, BODY)
        (self.directory / "sub" / "hello.txt").write_text("below")
        self.assertEqual(self.ask("sub", "hello.txt").payload, b"below")

    def test_gone(self) -> None:
        """A directory that goes is not there any more, and comes back."""
        self.directory.rename(self.directory.with_name("away"))
        self.assertNotThere("hello.txt")
        self.assertNotThere()
        self.directory.with_name("away").rename(self.directory)
        self.assertEqual(self.ask("hello.txt").payload, b"hello")


class FormatTests(FilesTestCase):
    """Content formats by suffix."""

    def test_table(self) -> None:
        """Those of IANA's registry that files have; the rest is C{application/octet-stream}."""
        rows = {
            "a.json": 50,
            "a.JSON": 50,
            "a.cbor": 60,
            "a.txt": 0,
            "a.xml": 41,
            "a.png": 23,
            "a.jpg": 22,
            "a.gif": 21,
            "a.js": 10002,
            "a.css": 20000,
            "a.svg": 30000,
            "a.exi": 47,
            "a.senml": 110,
            "a.wlnk": 40,
            "a.txt.gz": 42,
            "a.html": 42,
            "a.bin": 42,
            "a": 42,
            "json": 42,
        }
        for name, expected in rows.items():
            (self.directory / name).write_bytes(b"")
            self.assertEqual(self.ask(name).contentFormat, expected, name)

    def test_registry(self) -> None:
        """Every suffix is one, in lower case."""
        for suffix in CONTENT_FORMATS:
            self.assertEqual((suffix[0], suffix), (".", suffix.lower()))

    def test_own(self) -> None:
        """More can be given, by name or number, and others replaced."""
        (self.directory / "a.td").write_bytes(b"")
        self.serve(File(self.directory, contentFormats={".TD": "application/td+json", ".txt": 65000}))
        self.assertEqual(self.ask("a.td").contentFormat, 432)
        self.assertEqual(self.ask("hello.txt").contentFormat, 65000)
        self.assertRaises(ValueError, File, ".", contentFormats={".x": "no/such"})


class ConfinementTests(FilesTestCase):
    """Never outside the directory."""

    def test_names(self) -> None:
        """Dots, slashes, backslashes, NUL, empty and too long names are not there."""
        rows: list[tuple[str, ...]] = [
            ("..", "filesystem.txt"),
            ("..", "files", "hello.txt"),
            (".", "hello.txt"),
            ("sub", "..", "hello.txt"),
            ("../filesystem.txt",),
            ("sub/../../filesystem.txt",),
            ("sub/deep/b",),
            ("/etc/passwd",),
            ("", "etc", "passwd"),
            ("", "hello.txt"),
            ("sub", "", "deep"),
            ("sub", "", ""),
            ("hello.txt\0",),
            ("hello.txt\0.json",),
            ("sub\\deep",),
            ("..\\filesystem.txt",),
            ("x" * 255,),
            ("ä" * 127,),
            ("hello.txt", ""),
            ("hello.txt", "x"),
            ("system.txt",),
        ]
        for segments in rows:
            self.assertNotThere(*segments)

    def test_hidden(self) -> None:
        """What begins with a dot is not there, nor in the list."""
        (self.directory / ".git").mkdir()
        (self.directory / ".git" / "config").write_text("x")
        (self.directory / ".htpasswd").write_text("x")
        self.assertNotThere(".git", "config")
        self.assertNotThere(".htpasswd")
        self.assertNotIn(
            ".", "".join(self.links()).replace(".txt", "").replace(".bin", "").replace(".json", "")
        )

    def test_linksOutside(self) -> None:
        """Symbolic links that lead outside, absolute or relative, to files or directories."""
        above = self.directory.parent
        (self.directory / "absolute").symlink_to(above / "filesystem.txt")
        (self.directory / "relative").symlink_to("../filesystem.txt")
        (self.directory / "directory").symlink_to("../secret")
        (self.directory / "sub" / "up").symlink_to("../..")
        (self.directory / "twice").symlink_to("relative")
        (self.directory / "loop").symlink_to("loop")
        (self.directory / "dangling").symlink_to("nothing")
        rows = (
            "absolute relative directory directory/key.txt sub/up sub/up/filesystem.txt twice loop loop/x "
            "dangling sub/up/secret/key.txt sub/up/files/../filesystem.txt"
        )
        for path in rows.split():
            self.assertNotThere(*path.split("/"))
        names = "/files/empty.json /files/hello.txt /files/large.bin /files/sub"
        self.assertEqual(set(self.links()), set(names.split()))

    def test_linksInside(self) -> None:
        """Those that lead inside are followed, also by way of outside."""
        (self.directory / "current.txt").symlink_to("hello.txt")
        (self.directory / "again").symlink_to("current.txt")
        (self.directory / "short").symlink_to("sub/deep")
        (self.directory / "sub" / "top").symlink_to(self.directory)
        (self.directory / "around").symlink_to("../files/sub")
        self.assertEqual(self.ask("current.txt").payload, b"hello")
        self.assertEqual(self.ask("again").payload, b"hello")
        self.assertEqual(self.ask("short", "b").payload, b"b")
        self.assertEqual(self.ask("sub", "top", "short", "b").payload, b"b")
        self.assertEqual(self.ask("around", "deep", "b").payload, b"b")
        links = self.links()
        self.assertEqual((links["/files/current.txt"].sz, links["/files/short"].ct), (5, (40,)))
        self.assertEqual(set(self.links("short")), {"/files/short/b"})

    def test_similarName(self) -> None:
        """A sibling whose name begins alike is outside."""
        (self.directory / "link").symlink_to("../filesystem.txt")
        self.assertNotThere("link")

    def test_rootIsLink(self) -> None:
        """The directory itself may be a link; what is inside is judged by where it leads."""
        link = self.directory.with_name("link")
        link.symlink_to("files")
        (self.directory / "inside").symlink_to(self.directory / "hello.txt")
        self.serve(File(link))
        self.assertEqual(self.ask("hello.txt").payload, b"hello")
        self.assertEqual(self.ask("inside").payload, b"hello")
        self.assertEqual(self.ask().code, Code.CONTENT)

    def test_specialFiles(self) -> None:
        """A pipe, a socket and a device are not there, nor waited for."""
        os.mkfifo(self.directory / "pipe")
        (self.directory / "null").symlink_to("/dev/null")
        with socket.socket(socket.AF_UNIX) as unix:
            before = os.getcwd()
            # A socket's path is short.
            os.chdir(self.directory)
            try:
                unix.bind("socket")
            finally:
                os.chdir(before)
            for name in ("pipe", "socket", "null"):
                self.assertNotThere(name)
                self.assertNotThere(name, "x")
                self.assertNotIn(f"/files/{name}", self.links())

    def test_swapped(self) -> None:
        """A directory that becomes a link during the walk leads nowhere."""
        stepped: list[int] = []
        real = os.open

        def swapping(path: Any, flags: int, *mode: int, **how: Any) -> int:
            if path == "sub" and not stepped:
                stepped.append(1)
                (self.directory / "sub").rename(self.directory / "was")
                (self.directory / "sub").symlink_to("../secret")
            return real(path, flags, *mode, **how)

        self.patch(os, "open", swapping)
        self.assertNotThere("sub", "key.txt")
        self.assertTrue(stepped)

    def test_unreadable(self) -> None:
        """What the process may not read is 4.03."""
        real = os.open

        def refusing(path: Any, flags: int, *mode: int, **how: Any) -> int:
            if path in ("hello.txt", "deep"):
                raise PermissionError(13, "Permission denied")
            return real(path, flags, *mode, **how)

        self.patch(os, "open", refusing)
        for segments in ("hello.txt",), ("sub", "deep"), ("sub", "deep", "b"):
            response = self.ask(*segments)
            self.assertEqual((response.code, response.payload), (Code.FORBIDDEN, b""))

    def test_names_property(self) -> None:
        """No name leads anywhere but to what is right in the directory."""
        tree = Tree(self.directory)
        inside = {each.name for each in self.directory.iterdir()}

        @given(st.text(max_size=12) | st.sampled_from(["..", ".", "", "/", "sub/..", "hello.txt", "sub"]))
        @settings(max_examples=200, deadline=None, derandomize=True)
        def check(name: str) -> None:
            if not isName(name):
                self.assertNotThere(name, "x")
                return
            try:
                tree.open((name,))
            except (OSError, UnicodeError):
                return
            self.assertIn(name, inside)

        check()

    def test_refusals(self) -> None:
        """Errors of the file system as response codes; those that nobody expects come through."""
        events = logged(self)
        rows = {2: "4.04", 20: "4.04", 36: "4.04", 40: "4.04", 13: "4.03", 30: "4.03", 28: "5.03", 24: "5.03"}
        for number, code in rows.items():
            error = self.assertRaises(ResponseError, refuse, OSError(number, "x"))
            self.assertEqual(error.code, Code(code), number)
        self.assertEqual(len(events), 2)
        self.assertRaises(OSError, refuse, OSError(5, "x"))
        error = self.assertRaises(ResponseError, refuse, UnicodeEncodeError("ascii", "x", 0, 1, "y"))
        self.assertEqual(error.code, Code.NOT_FOUND)


class ListingTests(FilesTestCase):
    """GET of a directory."""

    def test_links(self) -> None:
        """Each file with format and size, each directory with the format of its list."""
        links = self.links()
        self.assertEqual(
            {target: (link.ct, link.sz) for target, link in links.items()},
            {
                "/files/empty.json": ((50,), 0),
                "/files/hello.txt": ((0,), 5),
                "/files/large.bin": ((42,), 5000),
                "/files/sub": ((40,), None),
            },
        )

    def test_followed(self) -> None:
        """Every link leads to what it says; the slash at a directory's end does not matter."""
        for segments in ((), ("",), ("sub",), ("sub", ""), ("sub", "deep", "")):
            for target in self.links(*segments):
                response = self.successResultOf(self.agent.get(f"coap://h{target}"))
                self.assertEqual(response.code, Code.CONTENT, target)
        self.assertEqual(set(self.links("sub")), set(self.links("sub", "")))
        self.assertIn("/files/sub/x%20y,%C3%A4.cbor", self.links("sub"))

    def test_root(self) -> None:
        """A directory served at the root, where C{/.well-known/core} names its list."""
        agent = StubAgent(File(self.directory))
        response = self.successResultOf(agent.get("coap://h/"))
        self.assertIn("</hello.txt>;ct=0;sz=5", response.text())
        self.assertEqual(self.successResultOf(agent.get("coap://h/hello.txt")).payload, b"hello")
        (link,) = self.successResultOf(agent.discover("coap://h"))
        self.assertEqual(str(link), "</>;ct=40")

    def test_filter(self) -> None:
        """A query selects (RFC 6690 4.1)."""
        self.assertEqual(set(self.links(uriQuery=("ct=40",))), {"/files/sub"})
        self.assertEqual(set(self.links(uriQuery=("href=/files/h*",))), {"/files/hello.txt"})

    def test_large(self) -> None:
        """A long list comes in blocks, and ends at its limit."""
        for number in range(300):
            (self.directory / f"file{number:03}").write_bytes(b"")
        self.assertEqual(len(self.links()), 304)
        self.patch(__import__("txcoap.static", fromlist=["x"]), "MAX_ENTRIES", 10)
        self.assertEqual(len(self.links()), 10)

    def test_oddNames(self) -> None:
        """Names that no URI can have are left out."""
        for name in (b"\xff", b"back\\slash", b".hidden"):
            Path(os.fsdecode(bytes(self.directory) + b"/" + name)).write_bytes(b"")
        self.assertEqual(len(self.links()), 4)

    def test_none(self) -> None:
        """Without C{listing} a directory is not there, though its files are."""
        self.serve(File(self.directory, listing=False))
        for segments in (), ("",), ("sub",):
            self.assertNotThere(*segments)
        self.assertEqual(self.ask("hello.txt").code, Code.CONTENT)
        self.assertEqual(self.successResultOf(self.agent.discover("coap://h")), ())

    def test_index(self) -> None:
        """An index file stands for its directory."""
        self.serve(File(self.directory, index=("index.cbor", "index.json")))
        self.assertEqual(self.ask("sub").contentFormat, 40)
        (self.directory / "sub" / "index.json").write_text("{}")
        for segments in ("sub",), ("sub", ""):
            response = self.ask(*segments)
            self.assertEqual((response.contentFormat, response.payload), (50, b"{}"))
        (self.directory / "sub" / "index.cbor").mkdir()
        self.assertEqual(self.ask("sub").contentFormat, 50)

    def test_discovery(self) -> None:
        """C{/.well-known/core} names a directory's list, a single file, and children that were put."""
        file = File(self.directory)
        file.attributes = {"rt": "firmware"}
        file.putChild("one", File(self.directory / "hello.txt"))
        hidden = File(self.directory)
        hidden.isVisible = False
        file.putChild("hidden", hidden)
        file.putChild("none", File(self.directory / "none"))
        self.serve(file)
        links = self.successResultOf(self.agent.discover("coap://h"))
        self.assertEqual(
            [str(each) for each in links], ['</files>;ct=40;rt="firmware"', "</files/one>;ct=0;sz=5"]
        )

    def test_writableToo(self) -> None:
        """What can be written is read alike."""
        self.serve(WritableFile(self.directory))
        self.assertEqual(self.ask("large.bin").payload, BODY)
        self.assertEqual(len(self.links()), 4)
