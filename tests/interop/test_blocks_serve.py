"""Other implementations' clients against our server, with bodies in blocks (RFC 7959)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from .bodies import MANY, SIZES, askWhole, lengthsAround, someBody
from .peers import Answer, Query, askOnce
from .test_serve import ETAG, ServingCase
from .tree import SMALL, entityTag, large, summary

#: Number of the option (RFC 7959 4).
SIZE2 = 28


class BlocksCase(ServingCase):
    """A test with bodies in blocks."""

    def whole(self, methods: str, uri: str, **how: Any) -> Deferred[Answer]:
        """What the peer's client is answered, once it has all of it."""
        return Deferred.fromCoroutine(askWhole(self, self.peer, Query(methods, uri, **how)))


class Client:
    """What holds of every client."""

    async def test_downloads(self: Any) -> None:
        """A body comes in blocks of every size, confirmable or not."""
        base = await self.serve()
        for confirmable in (True, False):
            waiting = [
                self.whole("GET", f"{base}/large?{MANY * size - 5}", blockSize=size, confirmable=confirmable)
                for size in SIZES
            ]
            for size, answer in zip(SIZES, await gatherResults(waiting), strict=True):
                self.assertEqual((answer.code, answer.payload), ("2.05", large(MANY * size - 5)))
                self.assertEqual(answer.get("Content-Format"), ["application/octet-stream"])

    async def test_uploads(self: Any) -> None:
        """A body goes in blocks of every size, confirmable or not."""
        base = await self.serve()
        for confirmable in (True, False):
            bodies = [someBody(MANY * size - 5) for size in SIZES]
            waiting = [
                self.whole("PUT", f"{base}/upload", payload=body, blockSize=size, confirmable=confirmable)
                for size, body in zip(SIZES, bodies, strict=True)
            ]
            for body, answer in zip(bodies, await gatherResults(waiting), strict=True):
                self.assertEqual((answer.code, answer.payload), ("2.04", summary(body)))

    async def test_both(self: Any) -> None:
        """A response in blocks follows a request in blocks (RFC 7959 3.3)."""
        base = await self.serve()
        bodies = [someBody(20 * size + 1) for size in SIZES]
        waiting = [
            self.whole("POST", f"{base}/echo", payload=body, blockSize=size)
            for size, body in zip(SIZES, bodies, strict=True)
        ]
        for body, answer in zip(bodies, await gatherResults(waiting), strict=True):
            self.assertEqual((answer.code, answer.payload), ("2.04", body))

    async def test_lengths(self: Any) -> None:
        """A body may be empty, one block, or just several, both ways."""
        base = await self.serve()
        for size in (64, 1024):
            lengths = list(lengthsAround(size))
            waiting = [
                self.whole("POST", f"{base}/echo", payload=someBody(length), blockSize=size)
                for length in lengths
            ]
            for length, answer in zip(lengths, await gatherResults(waiting), strict=True):
                self.assertEqual((answer.code, answer.payload), ("2.04", someBody(length)), length)

    async def test_unasked(self: Any) -> None:
        """A client that says nothing of blocks is sent blocks, and they are no larger than 1,024 bytes."""
        base = await self.serve()
        answer = await self.whole("GET", f"{base}/large")
        self.assertEqual(answer.payload, large(65_536))

    async def test_quarterMebibyte(self: Any) -> None:
        """A body of 256 KiB goes, and comes."""
        base = await self.serve()
        body = someBody(2**18)
        up = self.whole("PUT", f"{base}/upload", payload=body)
        down = self.whole("GET", f"{base}/large?{2**18}")
        self.assertEqual((await up).payload, summary(body))
        self.assertEqual((await down).payload, large(2**18))

    async def test_tooLarge(self: Any) -> None:
        """A body beyond the limit is refused, with the limit (RFC 7959 2.9.3)."""
        base = await self.serve()
        [answer] = await self.ask("PUT", f"{base}/small", payload=someBody(5000))
        self.assertEqual(answer.code, "4.13")
        self.assertEqual(answer.get("Size1"), [str(SMALL)])

    async def test_size2(self: Any) -> None:
        """Who asks for the length of a body is told (RFC 7959 4)."""
        base = await self.serve()
        first, *_ = await self.ask("GET", f"{base}/large", options=[(SIZE2, b"")])
        self.assertEqual(first.get("Size2"), ["65536"])

    async def test_validation(self: Any) -> None:
        """Who has a large representation is told that it is valid (RFC 7252 5.10.6)."""
        base = await self.serve()
        tag = entityTag(large(5000))
        answer = await self.whole("GET", f"{base}/large?5000", options=[(ETAG, tag)])
        self.assertEqual((answer.code, answer.payload), ("2.03", b""))
        answer = await self.whole("GET", f"{base}/large?5001", options=[(ETAG, tag)])
        self.assertEqual((answer.code, answer.payload), ("2.05", large(5001)))

    async def test_processes(self: Any) -> None:
        """Two processes send and fetch at the same time, and nothing mixes."""
        base = await self.serve()
        bodies = [someBody(20_000), someBody(20_001)]
        waiting = [self.whole("POST", f"{base}/echo", payload=body) for body in bodies]
        for body, answer in zip(bodies, await gatherResults(waiting), strict=True):
            self.assertEqual((answer.code, answer.payload), ("2.04", body))


class ScriptedClient(Client):
    """What holds of the clients that send several bodies at once."""

    async def concurrently(self: Any, path: str, count: int) -> list[tuple[bytes, Answer]]:
        """Bodies that one client sends to one resource at once, and what it was answered to each."""
        base = await self.serve()
        body = someBody(9000)
        query = Query("PUT", f"{base}/{path}", payload=body, repeat=count, vary=True)
        bodies = [bytes([(each + index) % 256 for each in body]) for index in range(count)]
        return list(zip(bodies, await askOnce(self, self.peer, query), strict=True))

    async def test_oneAfterAnother(self: Any) -> None:
        """One client sends a body after the other to one resource."""
        base = await self.serve()
        body = someBody(9000)
        answers = await self.ask("PUT,PUT,POST,PUT", f"{base}/upload", payload=body)
        self.assertEqual([(each.code, each.payload) for each in answers], [("2.04", summary(body))] * 4)

    async def test_concurrentDownloads(self: Any) -> None:
        """Bodies that one client fetches at once are all right."""
        base = await self.serve()
        answers = await self.ask("GET", f"{base}/large?20000", repeat=4)
        self.assertEqual({(each.code, each.payload) for each in answers}, {("2.05", large(20_000))})


class LibcoapTests(Client, BlocksCase):
    """libcoap's client and our server."""

    peer = "libcoap"


class AiocoapTests(ScriptedClient, BlocksCase):
    """aiocoap's client, which takes a fresh token for each block, and our server."""

    peer = "aiocoap"

    async def test_concurrentUploads(self) -> None:
        """
        Bodies that it sends to one resource at once cannot be told apart: it sends no Request-Tag
        either. Each gets there as it is, or is refused; none is mixed of two.
        """
        for path in ("upload", "echo"):
            for body, answer in await self.concurrently(path, 2):
                whole = summary(body) if path == "upload" else body
                if answer.code != "4.08":
                    self.assertEqual((answer.code, answer.payload), ("2.04", whole))


class NodeCoapTests(ScriptedClient, BlocksCase):
    """node-coap's client, which keeps a body's token, and our server."""

    peer = "node-coap"

    async def test_concurrentUploads(self) -> None:
        """Bodies that it sends to one resource at once are told apart by their tokens."""
        for body, answer in await self.concurrently("echo", 4):
            self.assertEqual((answer.code, answer.payload), ("2.04", body))
