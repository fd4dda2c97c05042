"""
aiocoap with a long body: C{get} writes it to a file, C{put} sends the file and prints the answer.

Usage: C{python aiocoap_client.py get|put URI FILE}
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiocoap


async def main(act: str, uri: str, path: str) -> None:
    """
    Ask once.
    """
    context = await aiocoap.Context.create_client_context()
    payload = Path(path).read_bytes() if act == "put" else b""
    code = aiocoap.PUT if act == "put" else aiocoap.GET
    response = await context.request(aiocoap.Message(code=code, uri=uri, payload=payload)).response
    if not response.code.is_successful():
        sys.exit(str(response.code))
    if act == "get":
        Path(path).write_bytes(response.payload)
    else:
        print(response.payload.decode())
    await context.shutdown()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
