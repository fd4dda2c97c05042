"""
The codec under any bytes: it reads a message, or raises L{FormatError}; what it read it can write, and
reads the same of that again; and every option of it has a value, or is a L{CoAPError}::

    python -m fuzz.decoder --count 1000000 --seed 1
"""

from __future__ import annotations

import argparse
import sys
import time
from random import Random

from txcoap.errors import CoAPError, FormatError
from txcoap.linkformat import parse
from txcoap.options import DEFINITIONS, Options
from txcoap.sansio.datagrams import decode, encode
from txcoap.uri import URI

from .soundness import Unsound
from .spoiling import Spoiler, corpus, written

__all__ = ["main", "try_"]


def try_(data: bytes) -> bool:
    """
    Read a datagram, and all that is read of it later: options, links, a URI.

    @return: Whether it is a message.
    @raise Unsound: if the invariant does not hold.
    """
    try:
        read = decode(data)
    except FormatError as e:
        if (e.messageType is None) != (e.messageID is None):
            raise Unsound(f"{e!r} of half a header: {data.hex()}") from e
        return False
    again = decode(written(read))
    # The same less what the first form had: longer deltas than needed are a format error already.
    if read != again or written(read) != data:
        raise Unsound(f"{data.hex()} is written {written(read).hex()}")
    fresh = Options.fromPairs(read.options.pairs)
    if encode(read.type, read.code, read.messageID, read.token, fresh, read.payload) != data:
        raise Unsound(f"{data.hex()} is not written as it was read")
    options = read.options
    repr(read)
    options.unrecognized  # noqa: B018
    for definition in DEFINITIONS.values():
        try:
            getattr(options, definition.attribute)
        except CoAPError:
            continue
    for text in (read.payload, *options.get(35)):
        _readText(text)
    return True


def _readText(data: bytes) -> None:
    for reader in (parse, URI.fromText):
        try:
            reader(data.decode())
        except (CoAPError, UnicodeDecodeError):
            continue


def main(arguments: list[str] | None = None) -> int:
    """
    Run from the command line.

    @return: The exit code: 0 if all that must hold held.
    """
    parser = argparse.ArgumentParser(description="Give spoiled datagrams to the codec.")
    parser.add_argument("--count", type=int, default=1_000_000, help="how many (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with (default 1)")
    options = parser.parse_args(arguments)
    chance = Random(options.seed)
    spoiler = Spoiler(chance, corpus(chance))
    began, messages = time.perf_counter(), 0
    for _ in range(options.count):
        data = spoiler.spoil(chance.choice(spoiler.corpus), chance.choice((0, 1, 1, 2, 5)))
        try:
            messages += try_(data)
        except Exception as e:
            print(f"unsound: {data.hex()}: {e!r}", file=sys.stderr)
            return 1
    print(
        f"{messages:12,} messages\n{options.count:,} datagrams in {time.perf_counter() - began:.1f} s: sound"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
