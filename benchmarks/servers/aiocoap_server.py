"""
aiocoap with the resources of C{benchmarks/server.py}, and C{/store}, which keeps what is put.

Usage: C{python aiocoap_server.py PORT}
"""

from __future__ import annotations

import asyncio
import sys

import aiocoap
from aiocoap import resource


class Hello(resource.Resource):  # type: ignore[misc]
    """
    Answers GET with a short text.
    """

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """
        Text, as the other servers give it.
        """
        return aiocoap.Message(payload=b"Hello, world!", content_format=0)


class Echo(resource.Resource):  # type: ignore[misc]
    """
    Answers POST with what it was sent.
    """

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        """
        2.04 with the payload.
        """
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload)


class Large(resource.Resource):  # type: ignore[misc]
    """
    Answers GET with 65,536 bytes.
    """

    body = (bytes(range(251)) * 262)[:65_536]

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """
        All of it; the library cuts it into blocks.
        """
        return aiocoap.Message(payload=self.body)


class Store(resource.Resource):  # type: ignore[misc]
    """
    Keeps what is put, and gives it back.
    """

    body = b""

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        """
        Keep it.
        """
        self.body = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """
        Give it back.
        """
        return aiocoap.Message(payload=self.body)


class Observed(resource.ObservableResource):  # type: ignore[misc]
    """
    Keeps what is put, and tells its observers.
    """

    value = b""

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """
        The value.
        """
        return aiocoap.Message(payload=self.value)

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        """
        Keep it, and tell.
        """
        self.value = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)


async def main(port: int) -> None:
    """
    Listen until the process is ended.
    """
    root = resource.Site()
    root.add_resource(["hello"], Hello())
    # Every handler of aiocoap's is a coroutine.
    root.add_resource(["await"], Hello())
    root.add_resource(["echo"], Echo())
    root.add_resource(["large"], Large())
    root.add_resource(["store"], Store())
    root.add_resource(["obs"], Observed())
    await aiocoap.Context.create_server_context(root, bind=("127.0.0.1", port))
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
