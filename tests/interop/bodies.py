"""
Bodies in blocks (RFC 7959): which to send and to fetch, and how to let a peer's client fetch one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import TestCase

from .child import Child, ChildError
from .peers import CLIENTS, Answer, Query, askOnce, environment, readMessages

#: Bytes in a block, of every exponent that datagrams know.
SIZES = tuple(16 << exponent for exponent in range(7))

#: Blocks in a body that is to have many.
MANY = 50


def someBody(length: int) -> bytes:
    """A body to send, always the same of one length."""
    return random.Random(length).randbytes(length)


def lengthsAround(size: int) -> Iterator[int]:
    """Lengths at which cutting into blocks of a size may go wrong: none, one, just one, just several."""
    yield from (0, 1, size - 1, size, size + 1, 2 * size, 5 * size, 5 * size + 1)


async def askWhole(case: TestCase, name: str, query: Query) -> Answer:
    """
    Let a peer's client ask for something once, and put the response's body together.

    @param name: One of L{CLIENTS<tests.interop.peers.CLIENTS>}.
    @return: The response, with the code and the options of its last message if there are several.
    @raise ChildError: if the client fails, or gets none.
    """
    if name != "libcoap":
        [answer] = await askOnce(case, name, query)
        return answer
    # It logs each message, and writes the bodies to a file as they come. From standard input it reads no
    # more than 20,000 bytes.
    taken, given = Path(case.mktemp()), Path(case.mktemp())
    given.write_bytes(query.payload)
    *command, uri = CLIENTS[name](replace(query, payload=b""))
    command += ["-f", str(given)] if query.payload else []
    child = await Child.run(case, [*command, "-o", str(taken), uri], environment())
    answers = readMessages((child.output + child.errors).decode("utf-8", "replace"))
    if child.status or not answers:
        raise ChildError(child.describe())
    return replace(answers[-1], payload=taken.read_bytes() if taken.exists() else b"")
