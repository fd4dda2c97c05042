"""
aiocoap as a client as it is measured. It has one confirmable request in flight to a peer, and the others wait
for their turn: its NSTART is 1 (RFC 7252 4.7), and cannot be set.

Usage: C{python asking_aiocoap.py PORT}
"""

from __future__ import annotations

import asyncio
import sys

import aiocoap

from benchmarks.clients.asking import obey


async def main(port: str) -> None:
    """
    Ask as told.
    """
    context = await aiocoap.Context.create_client_context()
    uri = f"coap://127.0.0.1:{port}/hello"

    async def ask() -> bytes:
        response = await context.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response
        payload: bytes = response.payload
        return payload

    await obey(ask, lambda chains: asyncio.gather(*chains))
    await context.shutdown()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
