"""Our client against other implementations' servers, with bodies in blocks (RFC 7959)."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.web.client import FileBodyProducer, readBody

from txcoap import Agent, Code, Options, Parameters

from .bodies import MANY, SIZES, lengthsAround, someBody
from .test_ask import AskingCase
from .tree import entityTag, large, summary

#: Number of the option (RFC 7959 2.1).
BLOCK2 = 23


class BlocksCase(AskingCase):
    """
    A test with bodies in blocks.

    @ivar progress: What was told of it: C{"sent"} or C{"received"}, the bytes so far, and in all.
    """

    def setUp(self) -> None:
        """Nothing was told yet."""
        super().setUp()
        self.progress: list[tuple[str, int, int | None]] = []

    def note(self, direction: str, count: int, total: int | None) -> None:
        """Keep what is told of the progress."""
        self.progress.append((direction, count, total))

    def counts(self, wanted: str) -> list[int]:
        """The bytes that there were, after each message of one direction."""
        return [count for direction, count, _ in self.progress if direction == wanted]

    def useAgent(self, **how: Any) -> None:
        """Ask with an agent that differs from the default one."""
        from twisted.internet import reactor

        self.agent = Agent(reactor, **how)
        self.addCleanup(self.agent.close)


class Server:
    """
    What holds of every server.

    @ivar alike: How many may fetch one resource from one address at once.
    """

    alike = 2

    async def put(self: Any, base: str, body: bytes, payload: Any = None, **how: Any) -> None:
        """Send a body, from a producer if that is given, and check that the server has it."""
        raise NotImplementedError

    async def fetch(self: Any, base: str, length: int, **how: Any) -> Any:
        """Fetch a body of a length, and check it; the response."""
        raise NotImplementedError

    async def bigURI(self: Any, base: str, length: int) -> str:
        """Where L{large<tests.interop.tree.large>} is, at that length."""
        return f"{base}/large?{length}"

    def inBlocks(self: Any, size: int) -> dict[str, Any]:
        """How to ask for blocks of a size."""
        return {"blockSize": size}

    async def checkUploads(self: Any, base: str, bodies: list[bytes]) -> None:
        """Send bodies to one resource, all at once, and check that they did not mix."""
        uploads = [self.agent.put(f"{base}/upload", each) for each in bodies]
        for body, response in zip(bodies, await gatherResults(uploads), strict=True):
            self.assertEqual((response.code, response.payload), (Code.CHANGED, summary(body)))

    async def test_sizes(self: Any) -> None:
        """Bodies go and come in blocks of every size, confirmable or not."""
        base = await self.serve()
        for size in SIZES:
            length = MANY * size - 5
            blocks = [*range(size, length, size), length]
            for confirmable in (True, False):
                how = {"confirmable": confirmable, "progress": self.note, **self.inBlocks(size)}
                await self.put(base, someBody(length), **how)
                self.assertEqual(self.counts("sent"), blocks)
                self.progress.clear()
                await self.fetch(base, length, **how)
                self.assertEqual(self.counts("received"), blocks)
                self.progress.clear()

    async def test_lengths(self: Any) -> None:
        """A body may be empty, one block, or just several."""
        base = await self.serve()
        for size in (16, 64, 1024):
            for length in lengthsAround(size):
                await self.put(base, someBody(length), **self.inBlocks(size))
                await self.fetch(base, length, **self.inBlocks(size))

    async def test_quarterMebibyte(self: Any) -> None:
        """A body of 256 KiB goes, and comes."""
        base = await self.serve()
        await self.put(base, someBody(2**18))
        await self.fetch(base, 2**18)

    async def test_withoutRequestTag(self: Any) -> None:
        """One body at a time needs no Request-Tag."""
        self.useAgent(sendRequestTag=False)
        base = await self.serve()
        for length in (5000, 5001):
            await self.put(base, someBody(length))

    async def test_concurrentUploads(self: Any) -> None:
        """Bodies that are sent to one resource at once do not mix (RFC 9175 3)."""
        await self.checkUploads(await self.serve(), [someBody(9000 + each) for each in range(8)])

    async def test_concurrentDownloads(self: Any) -> None:
        """Nor do those that are fetched at once, of one resource or of several."""
        base = await self.serve()
        downloads = []
        for length in (9000, 9001, 9002, 20_000):
            uri = await self.bigURI(base, length)
            downloads += [(length, self.agent.get(uri)) for _ in range(self.alike)]
        for length, waiting in downloads:
            self.assertEqual((await waiting).payload, large(length))

    async def test_producer(self: Any) -> None:
        """A body may come from a producer."""
        base = await self.serve()
        body = someBody(20_000)
        await self.put(base, body, FileBodyProducer(BytesIO(body), readSize=3000))

    async def test_stream(self: Any) -> None:
        """A body may be read as it comes."""
        uri = await self.bigURI(await self.serve(), 20_000)
        response = await self.agent.get(uri, stream=True)
        self.assertEqual((response.code, response.payload), (Code.CONTENT, b""))
        self.assertEqual(await readBody(response), large(20_000))

    async def test_range(self: Any) -> None:
        """A part of a body may be fetched alone."""
        uri = await self.bigURI(await self.serve(), 20_000)
        for size in (64, 1024):
            for start, length in ((0, 100), (2048, 3000), (19_456, None)):
                part = large(20_000)[start : None if length is None else start + length]
                response = await self.agent.get(uri, byteRange=(start, length), blockSize=size)
                self.assertEqual(response.payload, part, f"from {start}, {length} bytes")

    async def test_outdated(self: Any) -> None:
        """Who has another representation is given all of the new one (RFC 7252 5.10.6)."""
        uri = await self.bigURI(await self.serve(), 5000)
        response = await self.agent.get(uri, etag=[b"\x2a\x2a"])
        self.assertEqual((response.code, response.payload), (Code.CONTENT, large(5000)))


class ScriptedServer(Server):
    """What holds of the servers in C{scripts/}."""

    async def put(self: Any, base: str, body: bytes, payload: Any = None, **how: Any) -> None:
        """It answers with what it has."""
        response = await self.agent.put(f"{base}/upload", body if payload is None else payload, **how)
        self.assertEqual((response.code, response.payload), (Code.CHANGED, summary(body)))

    async def fetch(self: Any, base: str, length: int, **how: Any) -> Any:
        """The bytes, their format and a tag."""
        response = await self.agent.get(f"{base}/large?{length}", **how)
        self.assertEqual((response.code, response.payload), (Code.CONTENT, large(length)))
        self.assertEqual(response.contentFormat, 42)
        self.assertTrue(response.etag)
        return response

    async def test_both(self: Any) -> None:
        """A response in blocks may follow a request in blocks (RFC 7959 3.3)."""
        base = await self.serve()
        for size in SIZES:
            body = someBody(20 * size + 1)
            for method in ("POST", "PUT", "FETCH"):
                # node-coap refuses a FETCH without Content-Format.
                response = await self.agent.request(
                    method, f"{base}/echo", body, contentFormat=42, **self.inBlocks(size)
                )
                self.assertEqual(response.payload, body, method)


class AiocoapTests(ScriptedServer, BlocksCase):
    """Our client and aiocoap's server, which does not tell a body's length."""

    peer = "aiocoap"

    async def test_freshTokens(self) -> None:
        """It needs no common token for the blocks of a body."""
        self.useAgent(freshTokens=True)
        base = await self.serve()
        await self.put(base, someBody(5000))
        response = await self.fetch(base, 5000)
        self.assertEqual(response.etag, entityTag(large(5000)))


class NodeCoapTests(ScriptedServer, BlocksCase):
    """Our client and node-coap's server, which knows a body by its token."""

    peer = "node-coap"

    def inBlocks(self, size: int) -> dict[str, Any]:
        """
        The server knows no Block2 of no bytes, as which 0 is sent (RFC 7252 3.2): it needs one byte for
        the first block of 16 bytes.
        """
        if size > 16:
            return super().inBlocks(size)
        return {"blockSize": size, "options": Options.fromPairs([(BLOCK2, b"\x00")])}

    async def test_length(self) -> None:
        """The body's length is known from the first block on, if that was asked for (RFC 7959 4)."""
        base = await self.serve()
        await self.fetch(base, 5000, size2=0, progress=self.note)
        self.assertEqual({total for word, _, total in self.progress if word == "received"}, {5000})


class LibcoapTests(Server, BlocksCase):
    """
    Our client and libcoap's server, which stores what it is sent. It gives what it has another ETag each
    time, and keeps one body for each resource and peer.
    """

    peer = "libcoap"
    alike = 1

    async def put(self, base: str, body: bytes, payload: Any = None, **how: Any) -> None:
        """What was sent is there to be fetched."""
        uri = f"{base}/made"
        response = await self.agent.put(uri, body if payload is None else payload, **how)
        self.assertIn(response.code, (Code.CREATED, Code.CHANGED))
        self.assertEqual((await self.agent.get(uri)).payload, body)

    async def fetch(self, base: str, length: int, **how: Any) -> Any:
        """What was put there first comes."""
        response = await self.agent.get(await self.bigURI(base, length), **how)
        self.assertEqual((response.code, response.payload), (Code.CONTENT, large(length)))
        return response

    async def bigURI(self, base: str, length: int) -> str:
        """Put it there first."""
        uri = f"{base}/large{length}"
        response = await self.agent.put(uri, large(length), contentFormat=42)
        self.assertIn(response.code, (Code.CREATED, Code.CHANGED))
        return uri

    async def checkUploads(self, base: str, bodies: list[bytes]) -> None:
        """The last one that was whole stays, and is one of them."""
        responses = await gatherResults([self.agent.put(f"{base}/made", each) for each in bodies])
        self.assertLessEqual({each.code for each in responses}, {Code.CREATED, Code.CHANGED})
        self.assertIn((await self.agent.get(f"{base}/made")).payload, bodies)

    async def test_example(self) -> None:
        """The server's own example is larger than a block, and can be replaced."""
        uri = f"{await self.serve()}/example_data"
        response = await self.agent.get(uri, progress=self.note)
        self.assertEqual(self.progress, [("received", 1024, 1500), ("received", 1500, 1500)])
        self.assertEqual(len(response.payload), 1500)
        body = someBody(3000)
        changed = await self.agent.put(uri, body)
        self.assertEqual(changed.code, Code.CHANGED)
        again = await self.agent.get(uri)
        self.assertEqual((again.code, again.payload), (Code.CONTENT, body))
        self.assertNotEqual(again.etag, response.etag)

    async def test_both(self) -> None:
        """A response in blocks may follow a request in blocks (RFC 7959 3.3)."""
        base = await self.serve("127.0.0.1", "-e")
        for size in SIZES:
            body = someBody(20 * size + 1)
            response = await self.agent.put(f"{base}/made", body, blockSize=size)
            self.assertEqual(response.payload, body)

    async def test_freshTokens(self) -> None:
        """It needs no common token for the blocks of a body."""
        self.useAgent(freshTokens=True)
        base = await self.serve()
        await self.put(base, someBody(5000))
        await self.fetch(base, 5000)

    async def test_lossy(self) -> None:
        """
        What is lost on the way back is asked for again, and no byte of a body is lost or doubled. Not on
        the way there: the server takes a repeated last block as a body of its own.
        """
        base = await self.serve("127.0.0.1", "-l", "20%")
        self.useAgent(parameters=Parameters(ACK_TIMEOUT=0.05, MAX_RETRANSMIT=8))
        uri = f"{base}/example_data"
        whole = (await self.agent.get(uri)).payload
        for size in (32, 64):
            response = await self.agent.get(uri, blockSize=size)
            self.assertEqual((response.payload, len(whole)), (whole, 1500))
