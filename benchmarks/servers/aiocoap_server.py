"""
aiocoap with the resources of C{benchmarks/server.py}.

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


async def main(port: int) -> None:
    """
    Listen until the process is ended.
    """
    root = resource.Site()
    root.add_resource(["hello"], Hello())
    root.add_resource(["echo"], Echo())
    await aiocoap.Context.create_server_context(root, bind=("127.0.0.1", port))
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
