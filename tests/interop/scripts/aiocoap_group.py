"""
aiocoap in the group ff02::fd.

Usage: C{python aiocoap_group.py serve INTERFACE PORT NAME} has its name at C{/name}, and prints C{ready} when
it listens; C{python aiocoap_group.py ask URI} prints code and payload of the first response. The server ends
with its standard input.
"""

# The library has no types to check against.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import sys

import aiocoap
from aiocoap import Message, resource


class Name(resource.Resource):
    """Says its name."""

    async def render_get(self, request: Message) -> Message:
        """2.05 with it."""
        return Message(payload=sys.argv[4].encode())


async def serve(interface: str, port: str) -> None:
    """Until the standard input ends."""
    site = resource.Site()
    site.add_resource(["name"], Name())
    context = await aiocoap.Context.create_server_context(
        site, bind=("::", int(port)), multicast=[("ff02::fd", interface)], transports=["udp6"]
    )
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await context.shutdown()


async def ask(uri: str) -> None:
    """Once."""
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    response = await context.request(Message(code=aiocoap.GET, uri=uri)).response
    print(response.code.dotted, response.payload.decode(), flush=True)
    await context.shutdown()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[2:4]) if sys.argv[1] == "serve" else ask(sys.argv[2]))
