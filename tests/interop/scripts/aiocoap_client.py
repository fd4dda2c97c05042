"""
aiocoap's client: requests to one URI, and a line of JSON for each response.

Usage: C{python aiocoap_client.py METHOD[,METHOD...] URI [--non] [--stdin] [--option NUMBER=HEX]
[--repeat COUNT] [--vary] [--observe COUNT] [--linger] [--block-size BYTES]}. Of several methods each
waits for the response to the one before. C{--stdin} takes the payload from standard input, C{--repeat}
asks several times at once, C{--vary} adds its index to each byte of the payload of each of them,
C{--observe} ends after as many notifications, C{--linger} waits for the end of the input then, and
C{--block-size} sets the largest block both ways.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterable

from aiocoap import Code, Context, Message
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import Type
from aiocoap.optiontypes import OpaqueOption

METHODS = {code.name.upper(): code for code in Code if code.is_request()}


def show(response: Message) -> None:
    """Print one response as JSON."""
    line = {
        "code": response.code.dotted,
        "type": None if response.mtype is None else response.mtype.name,
        "options": [[int(each.number), each.encode().hex()] for each in response.opt.option_list()],
        "payload": response.payload.hex(),
    }
    print(json.dumps(line), flush=True)


def makeRequest(method: str, arguments: argparse.Namespace, payload: bytes) -> Message:
    """The request that the command line asks for."""
    request = Message(
        code=METHODS[method.upper()],
        uri=arguments.uri,
        payload=payload,
    )
    # Set afterwards, which old and new versions of the library take alike.
    request.mtype = Type.NON if arguments.non else Type.CON
    for option in arguments.option:
        number, value = option.split("=")
        request.opt.add_option(OpaqueOption(OptionNumber(int(number)), bytes.fromhex(value)))
    if arguments.observe:
        request.opt.observe = 0
    if arguments.block_size:
        request.opt.block2 = 0, False, exponentOf(arguments.block_size)
    return request


def exponentOf(size: int) -> int:
    """How a block option writes a size (RFC 7959 2.2)."""
    return size.bit_length() - 5


def vary(payload: bytes, index: int) -> bytes:
    """A body that differs from the others in each byte."""
    return bytes([(each + index) % 256 for each in payload])


async def follow(observation: AsyncIterable[Message], count: int) -> None:
    """Print so many notifications."""
    async for notification in observation:
        show(notification)
        count -= 1
        if not count:
            break


async def main(arguments: argparse.Namespace) -> None:
    """Ask, and print what comes back."""
    payload = sys.stdin.buffer.read() if arguments.stdin else b""
    context = await Context.create_client_context()
    for method in arguments.methods.split(","):
        messages = [
            makeRequest(method, arguments, vary(payload, index) if arguments.vary else payload)
            for index in range(arguments.repeat)
        ]
        if arguments.block_size:
            for message in messages:
                await context.find_remote_and_interface(message)
                message.remote.maximum_block_size_exp = exponentOf(arguments.block_size)
        requests = [context.request(message) for message in messages]
        for response in await asyncio.gather(*[each.response for each in requests]):
            show(response)
        if arguments.observe > 1:
            await follow(requests[0].observation, arguments.observe - 1)
            requests[0].observation.cancel()
    if arguments.linger:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await context.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("methods")
    parser.add_argument("uri")
    parser.add_argument("--non", action="store_true")
    parser.add_argument("--stdin", action="store_true")
    parser.add_argument("--option", action="append", default=[])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--vary", action="store_true")
    parser.add_argument("--observe", type=int, default=0)
    parser.add_argument("--linger", action="store_true")
    parser.add_argument("--block-size", type=int, default=0)
    asyncio.run(main(parser.parse_args()))
