"""
Messages that break one rule each, and what RFC 7252 asks for then: every version, type, code and token
length, every way to write options badly, every option with wrong lengths and repeated, blocks and Observe
with every odd value. C{tests/test_rules.py} sends them to a server; C{python -m fuzz.rules} lists them, for
other servers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

from txcoap.codes import Code
from txcoap.options import DEFINITIONS, Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Type, encode

__all__ = ["RESET", "SILENCE", "Case", "cases"]

SILENCE = "silence"
RESET = "Reset"

# Where every method succeeds; where there are 3,000 bytes; and where something can be observed.
PLAIN, LARGE, OBSERVABLE = "plain", "large", "observable"
LARGE_LENGTH = 3000
MAXIMUM_BODY = 2000

TOKEN = b"tk"
_PATH, _OBSERVE, _BLOCK2, _BLOCK1, _SIZE1 = 11, 6, 23, 27, 60

_SUCCESS = {Code.GET: "2.05", Code.FETCH: "2.05", Code.DELETE: "2.02"}


class Case(NamedTuple):
    """
    A message.

    @ivar rule: What it breaks, and where that is said.
    @ivar data: Its bytes.
    @ivar expected: L{SILENCE}, L{RESET}, or the code of the response.
    @ivar observes: Whether that response has an Observe option; None where it does not matter.
    """

    rule: str
    data: bytes
    expected: str
    observes: bool | None = None


def cases() -> Iterator[Case]:
    """All of them. Each is for a server that has heard nothing before."""
    yield from _headers()
    yield from _codes()
    yield from _optionLists()
    yield from _wrongLengths()
    yield from _repetitions()
    yield from _unknown()
    yield from _texts()
    yield from _blocks()
    yield from _observations()


def _message(
    type: Type, code: int, *pairs: tuple[int, bytes], path: str = PLAIN, payload: bytes = b""
) -> bytes:
    options = Options.fromPairs(((_PATH, path.encode()), *pairs))
    return encode(type, code, 0x1234, TOKEN, options, payload)


def _rejected(type: Type) -> str:
    """RFC 7252 4.2, 4.3: a confirmable message that cannot be processed is rejected, others are ignored."""
    return RESET if type == CON else SILENCE


def _headers() -> Iterator[Case]:
    for type in Type:
        whole = _message(type, Code.GET)
        for version in (0, 2, 3):
            data = bytes((whole[0] & 0x3F | version << 6,)) + whole[1:]
            yield Case(f"version {version}: ignored in silence (3)", data, SILENCE)
        for length in range(4):
            yield Case("shorter than a header (3)", whole[:length], SILENCE)
        for length in range(9, 16):
            data = bytes((whole[0] & 0xF0 | length,)) + whole[1:4] + bytes(length)
            yield Case(f"token length {length}: a format error (3)", data, _rejected(type))
        yield Case("the token is cut short (3)", whole[:5], _rejected(type))
        empty = bytes((0x40 | type << 4, 0, 0x12, 0x34))
        yield Case("an empty message (4.2, 4.3)", empty, _rejected(type))
        yield Case(
            "an empty message with a token (4.1)", bytes((empty[0] | 1,)) + empty[1:] + b"t", _rejected(type)
        )
        yield Case("an empty message with a payload (4.1)", empty + b"\xffx", _rejected(type))


def _codes() -> Iterator[Case]:
    methods = {code for code in Code if code.isRequest}
    for type in Type:
        for byte in range(1, 256):
            data = _message(type, byte)
            code = Code.fromByte(byte)
            if type in (ACK, RST):
                expected = SILENCE
            elif code.codeClass:
                # Reserved classes (4.2, 12.1), signals, and responses that nobody awaits.
                expected = _rejected(type)
            else:
                expected = _SUCCESS.get(code, "2.04") if code in methods else "4.05"
            yield Case(f"{type.name} with code {code.dotted} (12.1)", data, expected)


def _optionLists() -> Iterator[Case]:
    bad = {
        "delta nibble 15 (3.1)": b"\xf0",
        "delta nibble 15, length 15 with more behind (3.1)": b"\xf1x",
        "length nibble 15 (3.1)": b"\x0f" + bytes(300),
        "delta of one byte cut off (3.1)": b"\xd0",
        "delta of two bytes cut off (3.1)": b"\xe0\x01",
        "length of one byte cut off (3.1)": b"\x0d",
        "length of two bytes cut off (3.1)": b"\x0e\x01",
        "value cut short (3.1)": b"\x05abcd",
        "long value cut short (3.1)": b"\x0d\x10abcd",
        "a number beyond 65535 (3.1, 12.2)": b"\xe0\xff\xff",
        "a payload marker without payload (3)": b"\xff",
    }
    for type in Type:
        for rule, wire in bad.items():
            yield Case(rule, _message(type, Code.GET) + wire, _rejected(type))


def _misread(type: Type, number: int, otherwise: str = "2.05") -> str:
    """RFC 7252 5.4.1: what becomes of a request with an option that cannot be taken."""
    if number & 1:
        return "4.02" if type == CON else SILENCE
    return otherwise


def _wrongLengths() -> Iterator[Case]:
    for number, definition in DEFINITIONS.items():
        for length in (definition.minimum - 1, definition.maximum + 1, definition.maximum + 300):
            if length >= 0:
                for type in (CON, NON):
                    data = _message(type, Code.GET, (number, b"a" * length))
                    rule = f"{definition.name} with {length} bytes (5.4.3)"
                    yield Case(rule, data, _misread(type, number))


def _repetitions() -> Iterator[Case]:
    for number, definition in DEFINITIONS.items():
        if not definition.repeatable:
            pair = (number, b"\x01"[: definition.maximum].rjust(definition.minimum, b"\x01"))
            for type in (CON, NON):
                data = _message(type, Code.GET, pair, pair)
                yield Case(f"{definition.name} twice (5.4.5)", data, _misread(type, number))


def _unknown() -> Iterator[Case]:
    for number in (*range(2, 400), *range(64990, 65536)):
        if number not in DEFINITIONS:
            for type in (CON, NON):
                data = _message(type, Code.GET, (number, b"x"))
                yield Case(f"option {number}, not known (5.4.1)", data, _misread(type, number))
    for type in (ACK, RST):
        yield Case("an option not known, in a reply (4.2)", _message(type, Code.GET, (65001, b"")), SILENCE)


def _texts() -> Iterator[Case]:
    # Uri-Host and Uri-Query are judged by the resource that reads them, if one does.
    for value in (b"\xff", b"a\xc3", b"\xed\xa0\x80"):
        yield Case("a path that is not UTF-8 (3.2)", _message(CON, Code.GET, (_PATH, value)), "4.00")


def _blocks() -> Iterator[Case]:
    for value in range(256):
        number, more, exponent = value >> 4, value >> 3 & 1, value & 7
        size = 16 << exponent
        wire = bytes((value,)) if value else b""
        inside = number * size < LARGE_LENGTH
        expected = "4.00" if exponent == 7 or not inside else "2.05"
        yield Case(
            f"Block2 {number}/{more}/{exponent} (RFC 7959 2.2)",
            _message(CON, Code.GET, (_BLOCK2, wire), path=LARGE),
            expected,
        )
        for length in (size, size - 1, size + 1, 0):
            yield Case(
                f"Block1 {number}/{more}/{exponent} with {length} bytes (RFC 7959 2.2, 2.3)",
                _message(CON, Code.PUT, (_BLOCK1, wire), payload=bytes(length)),
                _uploaded(number, more, exponent, length),
            )
    for far, size in ((b"\xff\xff\xf6", 1024), (b"\x10\x00\x02", 64)):
        yield Case(
            "Block2 far beyond the end (RFC 7959 2.2)",
            _message(CON, Code.GET, (_BLOCK2, far), path=LARGE),
            "4.00",
        )
        yield Case(
            "Block1 without those before (RFC 7959 2.9.2)",
            _message(CON, Code.PUT, (_BLOCK1, far), payload=bytes(size)),
            "4.08",
        )
    announced = (MAXIMUM_BODY + 1).to_bytes(2, "big")
    yield Case(
        "Size1 beyond what is taken (RFC 7959 2.9.3)",
        _message(CON, Code.PUT, (_BLOCK1, b"\x0a"), (_SIZE1, announced), payload=bytes(64)),
        "4.13",
    )
    yield Case(
        "a body beyond what is taken (5.9.2.9)",
        _message(CON, Code.PUT, payload=bytes(MAXIMUM_BODY + 1)),
        "4.13",
    )


def _uploaded(number: int, more: int, exponent: int, length: int) -> str:
    size = 16 << exponent
    if exponent == 7 or length > size or (more and length != size):
        return "4.00"
    if number:
        return "4.08"
    return "2.31" if more else "2.04"


def _observations() -> Iterator[Case]:
    values = [
        b"",
        *(bytes((value,)) for value in range(256)),
        b"\x01\x00",
        b"\xff\xff\xff",
        b"\x00",
        b"\x00\x00",
    ]
    for value in values:
        number = int.from_bytes(value, "big")
        for type in (CON, NON):
            yield Case(
                f"Observe {number} in a GET (RFC 7641 2)",
                _message(type, Code.GET, (_OBSERVE, value), path=OBSERVABLE),
                "2.05",
                number == 0,
            )
        yield Case(
            f"Observe {number} where nothing can be observed (RFC 7641 2)",
            _message(CON, Code.GET, (_OBSERVE, value)),
            "2.05",
            False,
        )
        yield Case(
            f"Observe {number} in a POST (RFC 7641 2)",
            _message(CON, Code.POST, (_OBSERVE, value)),
            "2.04",
            False,
        )


def main() -> int:
    """List them."""
    for case in cases():
        print(f"{case.expected:8} {case.data.hex()}  {case.rule}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
