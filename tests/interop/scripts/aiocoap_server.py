"""
aiocoap with the resources that L{tests.interop.tree} describes.

Usage: C{python aiocoap_server.py HOST PORT}. Prints C{ready} when it listens; ends with its standard
input.
"""

# The library has no types to check against.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import hashlib
import sys

import aiocoap
from aiocoap import Code, Message, resource
from aiocoap.numbers.types import Type

PERIOD = 251


def answer(code: Code, payload: bytes = b"", **options: object) -> Message:
    """A response with options by aiocoap's names."""
    return Message(code=code, payload=payload, **options)


def text(payload: str) -> Message:
    """2.05 with text/plain."""
    return answer(Code.CONTENT, payload.encode("utf-8"), content_format=0)


def codeOf(dotted: str) -> Code:
    """The code of C{"4.04"}."""
    codeClass, detail = dotted.split(".")
    return Code(int(codeClass) << 5 | int(detail))


def entityTag(payload: bytes) -> bytes:
    """A tag that follows from the content."""
    return hashlib.sha256(payload).digest()[:8]


class Hello(resource.Resource):
    """Text that can be validated; GET alone."""

    async def render_get(self, request: Message) -> Message:
        """2.05, or 2.03 for who has it."""
        if b"hello" in request.opt.etags:
            return answer(Code.VALID, etag=b"hello")
        return answer(Code.CONTENT, b"Hello, world!", content_format=0, etag=b"hello", max_age=30)


class AnyMethod(resource.Resource):
    """A resource that treats all methods in one place."""

    async def render(self, request: Message) -> Message:
        """To be replaced."""
        raise NotImplementedError


class Echo(AnyMethod):
    """Gives back what it was sent."""

    async def render(self, request: Message) -> Message:
        """The payload and its format, with the usual code of the method."""
        code = {
            Code.GET: Code.CONTENT,
            Code.FETCH: Code.CONTENT,
            Code.DELETE: Code.DELETED,
        }.get(request.code, Code.CHANGED)
        return answer(code, request.payload, content_format=request.opt.content_format)


class Method(AnyMethod):
    """Tells what it was sent."""

    async def render(self, request: Message) -> Message:
        """The method, the message's type and its token's length."""
        kind = Type(request.mtype).name
        return text(f"{request.code} {kind} {len(request.token)}")


class Query(AnyMethod):
    """Tells its Uri-Query."""

    async def render(self, request: Message) -> Message:
        """The queries, one a line."""
        return text("\n".join(request.opt.uri_query))


class Delayed(AnyMethod):
    """Answers late, and so separately."""

    async def render(self, request: Message) -> Message:
        """After as many milliseconds as the query says."""
        await asyncio.sleep(int(request.opt.uri_query[0]) / 1000)
        return text(f"delayed {request.code}")


class Status(AnyMethod):
    """Answers with any code."""

    async def render(self, request: Message) -> Message:
        """The code of the query."""
        return answer(codeOf(request.opt.uri_query[0]))


class Unicode(resource.Resource):
    """A resource whose path needs percent-encoding in a URI."""

    async def render_get(self, request: Message) -> Message:
        """2.05 shows that it was found."""
        return text("found")


class Created(resource.Resource):
    """Pretends to create something."""

    async def render_post(self, request: Message) -> Message:
        """2.01 with where it is."""
        return answer(Code.CREATED, location_path=("made", "1 2"), location_query=("a=b", "c"))


class Count(resource.Resource):
    """Counts what is posted to it."""

    count = 0

    async def render_post(self, request: Message) -> Message:
        """How many there were."""
        self.count += 1
        return answer(Code.CHANGED, str(self.count).encode())


class Store(AnyMethod):
    """One representation, with conditional requests."""

    stored: bytes | None = None

    async def render(self, request: Message) -> Message:
        """GET, PUT and DELETE, after If-Match and If-None-Match."""
        stored = self.stored
        tag = None if stored is None else entityTag(stored)
        if request.opt.if_match and tag not in request.opt.if_match:
            return answer(Code.PRECONDITION_FAILED)
        if request.opt.if_none_match and tag is not None:
            return answer(Code.PRECONDITION_FAILED)
        if request.code == Code.PUT:
            self.stored = request.payload
            return answer(Code.CREATED if stored is None else Code.CHANGED)
        if stored is None:
            return answer(Code.NOT_FOUND)
        if request.code == Code.GET:
            return answer(Code.CONTENT, stored, etag=tag)
        if request.code == Code.DELETE:
            self.stored = None
            return answer(Code.DELETED)
        return answer(Code.METHOD_NOT_ALLOWED)


class Large(resource.Resource):
    """A representation of many blocks."""

    async def render_get(self, request: Message) -> Message:
        """65,536 bytes, or as many as the query says."""
        length = int(request.opt.uri_query[0]) if request.opt.uri_query else 65536
        body = (bytes(range(PERIOD)) * (length // PERIOD + 1))[:length]
        return answer(Code.CONTENT, body, content_format=42, etag=entityTag(body))


class Upload(resource.Resource):
    """Takes a body of many blocks."""

    summary = "0 " + hashlib.sha256().hexdigest()

    async def render_put(self, request: Message) -> Message:
        """Keep its length and hash."""
        body = request.payload
        self.summary = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
        return answer(Code.CHANGED, self.summary.encode())

    render_post = render_put

    async def render_get(self, request: Message) -> Message:
        """The last body's length and hash."""
        return text(self.summary)


class Ticking(resource.ObservableResource):
    """Changes every second."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = 0

    async def run(self) -> None:
        """Count the seconds and tell the observers."""
        while True:
            await asyncio.sleep(1)
            self.ticks += 1
            self.updated_state()

    async def render_get(self, request: Message) -> Message:
        """How many there were."""
        return text(f"tick {self.ticks}")


async def main(host: str, port: int) -> None:
    """Listen until standard input ends."""
    root = resource.Site()
    ticking = Ticking()
    for path, each in {
        "hello": Hello(),
        "echo": Echo(),
        "method": Method(),
        "query": Query(),
        "delayed": Delayed(),
        "code": Status(),
        "café/a b": Unicode(),
        "created": Created(),
        "count": Count(),
        "store": Store(),
        "large": Large(),
        "upload": Upload(),
        "obs": ticking,
    }.items():
        root.add_resource(path.split("/"), each)
    root.add_resource([".well-known", "core"], resource.WKCResource(root.get_resources_as_linkheader))
    await aiocoap.Context.create_server_context(root, bind=(host, port), transports=["udp6"])
    ticker = asyncio.create_task(ticking.run())
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    ticker.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
