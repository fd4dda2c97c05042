"""
Files that can be put and deleted: L{txcoap.writable}.
"""

from __future__ import annotations

import os
import stat
from random import Random
from typing import Any

from twisted.web.client import ResponseFailed, readBody

from tests.recorders import logged
from txcoap import Code, writable
from txcoap.block import Block
from txcoap.directory import Temporary
from txcoap.errors import NotFound
from txcoap.message import Response
from txcoap.options import Options
from txcoap.received import ReceivedResponse
from txcoap.static import File
from txcoap.writable import WritableFile

from .test_static import FilesTestCase

BODY = Random(8).randbytes(5000)


class WritingTestCase(FilesTestCase):
    """The same directory, to write."""

    def setUp(self) -> None:
        """Serve it."""
        super().setUp()
        self.serve(WritableFile(self.directory))

    def put(self, *segments: str, payload: Any = BODY, **how: Any) -> ReceivedResponse:
        """The answer to a PUT."""
        return self.ask(*segments, code=Code.PUT, payload=payload, **how)

    def delete(self, *segments: str, **how: Any) -> ReceivedResponse:
        """The answer to a DELETE."""
        return self.ask(*segments, code=Code.DELETE, **how)

    def block(self, number: int, more: bool, name: str = "new.bin", **how: Any) -> Response:
        """The answer to one block of 1024 bytes of a PUT."""
        payload = BODY[1024 * number : 1024 * (number + 1)]
        return self.put(name, payload=payload, block1=Block(number, more, 6), token=b"t", **how)

    def names(self, *segments: str) -> set[str]:
        """What is in the directory, hidden files too."""
        return set(os.listdir(self.directory.joinpath(*segments)))

    def failing(self, name: str, number: int) -> None:
        """Let a function of C{os} fail."""

        def fail(*_: Any, **how: Any) -> Any:
            raise OSError(number, os.strerror(number))

        self.patch(os, name, fail)


class PutTests(WritingTestCase):
    """PUT."""

    def test_created(self) -> None:
        """A new file is 2.01, one that was there 2.04; both with the ETag of now (RFC 7252 5.8.3)."""
        for expected in (Code.CREATED, Code.CHANGED):
            response = self.put("new.bin", payload=b"small")
            self.assertEqual((response.code, response.payload), (expected, b""))
            got = self.ask("new.bin")
            self.assertEqual((got.payload, got.etag), (b"small", response.etag))

    def test_blocks(self) -> None:
        """A body in blocks of every size, into a directory below; nothing else is left there."""
        for size in (16, 64, 256, 1024):
            response = self.put("sub", "new.bin", payload=BODY + b"%d" % size, blockSize=size)
            self.assertTrue(response.code.isSuccess)
            self.assertEqual((self.directory / "sub" / "new.bin").read_bytes(), BODY + b"%d" % size)
        self.assertEqual(self.names("sub"), {"new.bin", "deep", "x y,ä.cbor"})

    def test_lengths(self) -> None:
        """Nothing, a byte, a block, a byte more, two blocks."""
        for length in (0, 1, 1024, 1025, 2048):
            self.assertTrue(self.put("f", payload=BODY[:length]).code.isSuccess)
            self.assertEqual((self.directory / "f").read_bytes(), BODY[:length])

    def test_wholeOrNot(self) -> None:
        """Until the last block is here a reader gets the old file; meanwhile nobody else may read the new."""
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        for number in range(4):
            self.assertEqual(self.block(number, True, "hello.txt").code, Code.CONTINUE)
            self.assertEqual(self.ask("hello.txt").payload, b"hello")
        (temporary,) = [each for each in self.names() if each.startswith(".")]
        self.assertEqual(stat.S_IMODE((self.directory / temporary).stat().st_mode), 0o600)
        self.assertNotThere(temporary)
        self.assertEqual(len(self.links()), 4)
        self.assertEqual(self.block(4, False, "hello.txt").code, Code.CHANGED)
        self.assertEqual(self.ask("hello.txt").payload, BODY)
        self.assertNotIn(temporary, self.names())

    def test_firstBlock(self) -> None:
        """Whoever sends a first block only costs no file."""
        before = os.listdir("/dev/fd")
        self.assertEqual(self.block(0, True).code, Code.CONTINUE)
        self.assertEqual(len(self.names()), 4)
        self.assertEqual(os.listdir("/dev/fd"), before)

    def test_mode(self) -> None:
        """A new file has the mode that files have; one that is replaced keeps its own."""
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        self.put("new.bin")
        self.assertEqual(stat.S_IMODE((self.directory / "new.bin").stat().st_mode), 0o640)
        (self.directory / "new.bin").chmod(0o4604)
        self.put("new.bin")
        self.assertEqual(stat.S_IMODE((self.directory / "new.bin").stat().st_mode), 0o604)

    def test_closed(self) -> None:
        """No file stays open, whatever was answered."""
        before = os.listdir("/dev/fd")
        self.put("new.bin")
        self.put("hello.txt", payload=b"x")
        self.put("sub")
        self.put("none", "x")
        self.put("hello.txt", ifNoneMatch=True)
        self.put("hello.txt", ifMatch=(b"other",))
        self.delete("hello.txt")
        self.delete("sub")
        self.delete("hello.txt", ifMatch=(b"",))
        self.assertEqual(os.listdir("/dev/fd"), before)

    def test_single(self) -> None:
        """A single file, and nothing beside or below it."""
        self.serve(WritableFile(self.directory / "hello.txt"))
        self.assertEqual(self.put().code, Code.CHANGED)
        self.assertEqual((self.directory / "hello.txt").read_bytes(), BODY)
        self.assertEqual(self.put("x").code, Code.NOT_FOUND)
        self.assertEqual(self.delete().code, Code.DELETED)
        self.assertEqual(self.put(payload=b"x").code, Code.CREATED)

    def test_refused(self) -> None:
        """What cannot be written is told with the first block, and nothing is written."""
        (self.directory / "link").symlink_to("hello.txt")
        (self.directory / "out").symlink_to("../secret")
        os.mkfifo(self.directory / "pipe")
        rows: list[tuple[tuple[str, ...], Code]] = [
            (("sub",), Code.METHOD_NOT_ALLOWED),
            (("sub", ""), Code.METHOD_NOT_ALLOWED),
            ((), Code.METHOD_NOT_ALLOWED),
            (("new", ""), Code.METHOD_NOT_ALLOWED),
            (("link",), Code.FORBIDDEN),
            (("out",), Code.FORBIDDEN),
            (("out", "key.txt"), Code.NOT_FOUND),
            (("out", "new"), Code.NOT_FOUND),
            (("pipe",), Code.NOT_FOUND),
            (("pipe", "x"), Code.NOT_FOUND),
            (("none", "x"), Code.NOT_FOUND),
            (("hello.txt", "x"), Code.NOT_FOUND),
            (("..", "x"), Code.NOT_FOUND),
            ((".hidden",), Code.NOT_FOUND),
            (("x" * 255, "y"), Code.NOT_FOUND),
            (("a\\b",), Code.NOT_FOUND),
            (("a\0",), Code.NOT_FOUND),
        ]
        before = self.names(), self.names("..")
        for segments, expected in rows:
            for code in (Code.PUT, Code.DELETE):
                if code == Code.DELETE and segments in (("none", "x"), ("x" * 255, "y")):
                    continue
                response = self.ask(*segments, code=code, payload=b"x" if code == Code.PUT else b"")
                self.assertEqual(response.code, expected, (code, segments))
        self.assertEqual((self.names(), self.names("..")), before)
        self.assertEqual((self.directory.parent / "secret" / "key.txt").read_text(), "secret")

    def test_throughLinks(self) -> None:
        """Directories are found through links that lead inside."""
        (self.directory / "short").symlink_to("sub/deep")
        self.assertEqual(self.put("short", "new.bin").code, Code.CREATED)
        self.assertEqual((self.directory / "sub" / "deep" / "new.bin").read_bytes(), BODY)
        self.assertEqual(self.delete("short", "new.bin").code, Code.DELETED)
        self.assertEqual(self.names("sub", "deep"), {"b"})

    def test_otherMethods(self) -> None:
        """POST, FETCH and the rest are 4.05, in blocks too."""
        for code in (Code.POST, Code.FETCH, Code.PATCH, Code.IPATCH):
            for payload in (b"x", BODY):
                answer = self.ask("hello.txt", code=code, payload=payload)
                self.assertEqual(answer.code, Code.METHOD_NOT_ALLOWED)
        for code in (Code.GET, Code.DELETE):
            answer = self.ask("hello.txt", code=code, block1=Block(0, False, 6))
            self.assertEqual(answer.code, Code.BAD_OPTION)
        self.assertEqual((self.directory / "hello.txt").read_text(), "hello")

    def test_directories(self) -> None:
        """Missing directories are made if so wanted, and only for a body that came whole."""
        self.serve(WritableFile(self.directory, makeDirectories=True))
        self.assertEqual(self.block(0, True, "x").code, Code.CONTINUE)
        first = self.put("a", "b", "new", payload=BODY[:1024], block1=Block(0, True, 6), token=b"t")
        second = self.put("a", "b", "new", payload=BODY[:1024], block1=Block(1, True, 6), token=b"t")
        self.assertEqual((first.code, second.code), (Code.CONTINUE, Code.CONTINUE))
        self.assertNotIn("a", self.names())
        self.assertEqual(self.put("a", "b", "c").code, Code.CREATED)
        self.assertEqual((self.directory / "a" / "b" / "c").read_bytes(), BODY)
        self.assertEqual(self.put("a", "b", "d").code, Code.CREATED)
        self.assertEqual(self.put("hello.txt", "d").code, Code.NOT_FOUND)
        self.assertEqual(self.put("..", "d").code, Code.NOT_FOUND)

    def test_sync(self) -> None:
        """C{sync} waits for the disk before the file is in its place."""
        synced: list[bool] = []
        self.patch(os, "fsync", lambda _: synced.append((self.directory / "new.bin").exists()))
        self.put("new.bin")
        self.assertEqual(synced, [])
        self.serve(WritableFile(self.directory, sync=True))
        self.delete("new.bin")
        self.put("new.bin")
        self.assertEqual(synced, [False])


class PreconditionTests(WritingTestCase):
    """If-Match and If-None-Match (RFC 7252 5.10.8)."""

    def test_ifMatch(self) -> None:
        """Holds for the ETag of now, or any file at all; else 4.12, and nothing changes."""
        etag = self.ask("hello.txt").etag
        response = self.put("hello.txt", ifMatch=(etag,))
        self.assertEqual(response.code, Code.CHANGED)
        self.assertEqual(self.put("hello.txt", ifMatch=(etag,)).code, Code.PRECONDITION_FAILED)
        self.assertEqual(self.put("hello.txt", payload=b"x", ifMatch=(b"",)).code, Code.CHANGED)
        self.assertEqual(self.put("none", ifMatch=(b"",)).code, Code.PRECONDITION_FAILED)
        self.assertEqual(self.delete("hello.txt", ifMatch=(etag,)).code, Code.PRECONDITION_FAILED)
        self.assertEqual(self.delete("none", ifMatch=(b"",)).code, Code.PRECONDITION_FAILED)
        self.assertEqual(self.ask("hello.txt").payload, b"x")
        self.assertNotIn("none", self.names())

    def test_ifNoneMatch(self) -> None:
        """Holds where there is none."""
        self.assertEqual(self.put("new.bin", ifNoneMatch=True).code, Code.CREATED)
        self.assertEqual(self.put("new.bin", payload=b"x", ifNoneMatch=True).code, Code.PRECONDITION_FAILED)
        self.assertEqual(self.ask("new.bin").payload, BODY)

    def test_early(self) -> None:
        """They are judged with the first block, before anything is written."""
        self.assertEqual(self.block(0, True, "hello.txt", ifNoneMatch=True).code, Code.PRECONDITION_FAILED)
        self.assertEqual(len(self.names()), 4)
        self.assertEqual(self.agent.serverPort.protocol.sizes()["uploads"], 0)

    def test_late(self) -> None:
        """And again with the last: what came meanwhile is not overwritten, and nothing is left."""
        for number in range(4):
            self.assertEqual(self.block(number, True, ifNoneMatch=True).code, Code.CONTINUE)
        (self.directory / "new.bin").write_text("other")
        self.assertEqual(self.block(4, False, ifNoneMatch=True).code, Code.PRECONDITION_FAILED)
        self.assertEqual(self.ask("new.bin").payload, b"other")
        self.assertEqual(len(self.names()), 5)


class AbandonedTests(WritingTestCase):
    """Uploads that do not end well leave nothing."""

    def start(self) -> None:
        """Three blocks of five."""
        for number in range(3):
            self.assertEqual(self.block(number, True).code, Code.CONTINUE)
        self.assertEqual(len(self.names()), 5)

    def assertNothingLeft(self) -> None:
        """No file, no descriptor."""
        self.assertEqual(self.names(), {"empty.json", "hello.txt", "large.bin", "sub"})
        self.assertEqual(len(os.listdir("/dev/fd")), self.open)

    def setUp(self) -> None:
        """Count what is open."""
        super().setUp()
        self.open = len(os.listdir("/dev/fd"))

    def test_forgotten(self) -> None:
        """After EXCHANGE_LIFETIME without another block."""
        self.start()
        self.agent.advance(600)
        self.assertNothingLeft()
        self.assertEqual(self.block(3, True).code, Code.REQUEST_ENTITY_INCOMPLETE)

    def test_closing(self) -> None:
        """The server stops."""
        self.start()
        self.agent.serverPort.stopListening()
        self.assertNothingLeft()

    def test_restarted(self) -> None:
        """A new first block begins anew."""
        self.start()
        self.assertEqual(self.block(0, True).code, Code.CONTINUE)
        self.assertNothingLeft()
        for number in range(1, 4):
            self.block(number, True)
        self.assertEqual(self.block(4, False).code, Code.CREATED)
        self.assertEqual(self.ask("new.bin").payload, BODY)

    def test_gap(self) -> None:
        """A block too far ahead ends it: 4.08."""
        self.start()
        self.assertEqual(self.block(4, False).code, Code.REQUEST_ENTITY_INCOMPLETE)
        self.assertNothingLeft()

    def test_limit(self) -> None:
        """A body beyond the limit is 4.13 with the limit, when Size1 says so or it has come so far."""
        self.serve(WritableFile(self.directory, maximumBody=3000))
        response = self.block(0, True, size1=3001)
        self.assertEqual((response.code, response.options.size1), (Code.REQUEST_ENTITY_TOO_LARGE, 3000))
        for number in range(2):
            self.assertEqual(self.block(number, True).code, Code.CONTINUE)
        response = self.block(2, True)
        self.assertEqual((response.code, response.options.size1), (Code.REQUEST_ENTITY_TOO_LARGE, 3000))
        self.assertNothingLeft()
        self.assertEqual(self.put("new.bin", payload=BODY[:3000]).code, Code.CREATED)

    def test_diskFull(self) -> None:
        """A full disk is 5.03 and logged; that the file cannot be written otherwise, 5.00."""
        events = logged(self)
        self.block(0, True)
        with self.monkey("write", 28):
            response = self.block(1, True)
        self.assertEqual((response.code, response.maxAge), (Code.SERVICE_UNAVAILABLE, 60))
        self.assertTrue(any("No space left" in str(each.get("error")) for each in events))
        self.assertNothingLeft()
        self.start()
        with self.monkey("write", 5):
            self.assertEqual(self.block(3, True).code, Code.INTERNAL_SERVER_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertNothingLeft()

    def test_cannotReplace(self) -> None:
        """So it is when the file cannot be put in its place."""
        for name, number, code in (
            ("replace", 28, Code.SERVICE_UNAVAILABLE),
            ("replace", 1, Code.FORBIDDEN),
            ("fchmod", 30, Code.FORBIDDEN),
        ):
            with self.monkey(name, number):
                self.assertEqual(self.put("new.bin").code, code)
            self.assertNothingLeft()

    def monkey(self, name: str, number: int) -> Any:
        """A context in which a function of C{os} fails."""
        case = self

        class Failing:
            def __enter__(self) -> None:
                self.real = getattr(os, name)
                case.failing(name, number)

            def __exit__(self, *_: object) -> None:
                setattr(os, name, self.real)

        return Failing()

    def test_tooMany(self) -> None:
        """Uploads beyond the limit of temporary files are 5.03, and those under way go on."""
        self.patch(writable, "MAX_TEMPORARIES", 1)
        self.start()
        self.assertEqual(self.block(0, True, "other").code, Code.CONTINUE)
        response = self.block(1, True, "other")
        self.assertEqual((response.code, response.maxAge), (Code.SERVICE_UNAVAILABLE, 10))
        self.block(3, True)
        self.assertEqual(self.block(4, False).code, Code.CREATED)
        self.assertEqual(self.put("other").code, Code.CREATED)

    def test_dropped(self) -> None:
        """A temporary file that is only let go is removed."""
        temporary = Temporary(WritableFile(self.directory / "x").place())
        self.assertEqual(len(self.names()), 5)
        temporary.close()
        temporary.close()
        self.assertNothingLeft()


class DeleteTests(WritingTestCase):
    """DELETE (RFC 7252 5.8.4)."""

    def test_deleted(self) -> None:
        """A file that is there, and one that is not, are 2.02."""
        for _ in range(2):
            response = self.delete("hello.txt")
            self.assertEqual((response.code, response.payload), (Code.DELETED, b""))
            self.assertNotThere("hello.txt")
        self.assertEqual(self.delete("none", "at", "all").code, Code.DELETED)

    def test_directory(self) -> None:
        """A directory is 4.05, empty or not."""
        (self.directory / "vacant").mkdir()
        for segments in ("sub",), ("vacant",), ("vacant", ""), ():
            self.assertEqual(self.delete(*segments).code, Code.METHOD_NOT_ALLOWED)
        self.assertIn("vacant", self.names())

    def test_forbidden(self) -> None:
        """What the process may not change is 4.03."""
        self.failing("unlink", 13)
        self.assertEqual(self.delete("hello.txt").code, Code.FORBIDDEN)

    def test_reading(self) -> None:
        """A download under way, of a file that is deleted, ends with 4.04."""
        first: Any = self.ask("large.bin", stream=True)
        self.delete("large.bin")
        reading = readBody(first)
        self.agent.flush()
        error = self.failureResultOf(reading, ResponseFailed).value
        self.assertEqual([each.type for each in error.reasons], [NotFound])

    def test_validLater(self) -> None:
        """Whoever has all of a file may learn so at any block."""
        etag = self.ask("large.bin").etag
        response = self.ask("large.bin", block2=Block(2, False, 6), etag=(etag,))
        self.assertEqual((response.code, response.payload), (Code.VALID, b""))


class OptionsOfWritableTests(WritingTestCase):
    """What goes with the class."""

    def test_methods(self) -> None:
        """It says which methods it has."""
        self.assertEqual(WritableFile(self.directory).allowedMethods, ("GET", "PUT", "DELETE"))
        self.assertEqual(File(self.directory).allowedMethods, ("GET",))

    def test_how(self) -> None:
        """What L{File} takes, it takes, too."""
        self.serve(WritableFile(self.directory, maxAge=7))
        self.assertEqual(
            self.ask("hello.txt").options, Options(contentFormat=0, maxAge=7, etag=self.ask("hello.txt").etag)
        )
