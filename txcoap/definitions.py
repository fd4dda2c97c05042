"""
What is known of an option number: how its value is written, how long it may be, and whether it may be
repeated (RFC 7252 3.2, 5.4). A definition that stands in a class of options is an accessor there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from .block import Block
from .errors import MalformedOption
from .formats import contentFormat

if TYPE_CHECKING:
    from .options import Options

__all__ = [
    "BLOCK",
    "EMPTY",
    "FORMAT",
    "MAXIMUM_NUMBER",
    "OPAQUE",
    "SEGMENT",
    "STRING",
    "UINT",
    "Flag",
    "OptionDefinition",
    "Pair",
    "Repeated",
    "Single",
    "ValueFormat",
]

T = TypeVar("T")

MAXIMUM_NUMBER = 0xFFFF
"""The highest number of an option."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*")

Pair = tuple[int, bytes]


class ValueFormat(NamedTuple):
    """
    How an option's value is written (RFC 7252 3.2).

    @ivar name: The RFC's word.
    @ivar encode: A user's value to bytes; C{ValueError} or C{TypeError} if it is no such value.
    @ivar decode: A peer's bytes to a value; C{ValueError} if they are none.
    """

    name: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _encodeUint(value: Any) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"expected a whole number from 0 up, got {value!r}")
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _decodeUint(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _encodeString(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"expected text (str), got {value!r}")
    return value.encode("utf-8")


def _encodeSegment(value: Any) -> bytes:
    if value in (".", ".."):
        raise ValueError(f"no segment can be {value!r}")
    return _encodeString(value)


def _decodeString(data: bytes) -> str:
    return data.decode("utf-8")


def _encodeOpaque(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise ValueError(f"expected bytes, got {value!r}")
    return bytes(value)


def _encodeFormat(value: int | str) -> bytes:
    return _encodeUint(contentFormat(value))


def _encodeEmpty(value: bool) -> bytes:
    if value is not True:
        raise ValueError(f"expected True (or None to leave it out), got {value!r}")
    return b""


def _encodeBlock(value: Any) -> bytes:
    if isinstance(value, tuple):
        value = Block(*value).toUint()
    return _encodeUint(value)


def _decodeBlock(data: bytes) -> Block:
    return Block.fromUint(int.from_bytes(data, "big"))


EMPTY = ValueFormat("empty", _encodeEmpty, lambda data: True)
OPAQUE = ValueFormat("opaque", _encodeOpaque, bytes)
UINT = ValueFormat("uint", _encodeUint, _decodeUint)
STRING = ValueFormat("string", _encodeString, _decodeString)
SEGMENT = ValueFormat("string", _encodeSegment, _decodeString)
FORMAT = ValueFormat("uint", _encodeFormat, _decodeUint)
BLOCK = ValueFormat("uint", _encodeBlock, _decodeBlock)


# What no option's value is: it was not looked for yet.
_UNREAD = object()

NOTHING_READ: dict[int, Any] = {}
"""The values of options of which none was read so far; it stays empty."""


class OptionDefinition:
    """
    What is known of one option number.

    @ivar number: 1 to 65535.
    @ivar name: The registry's name: C{"Uri-Path"}.
    @ivar format: A L{ValueFormat}.
    @ivar minimum: The least length of the value in bytes.
    @ivar maximum: The greatest length of the value in bytes.
    @ivar repeatable: Whether a message may carry it more than once.
    @ivar attribute: By which name it is an accessor; empty if it is none.
    @ivar recognized: Whether this implementation knows what to do with it. One that it does not
        recognize is refused where it is critical, whether the registry names it or not.
    @ivar inResponses: Whether a response may have it (RFC 7252 5.4); if not, and it is critical, a response
        with it is refused.
    """

    repeatable = False

    def __init__(
        self,
        number: int,
        name: str,
        format: ValueFormat,
        minimum: int,
        maximum: int,
        recognized: bool = True,
        inResponses: bool = True,
    ) -> None:
        self.number = number
        self.name = name
        self.format = format
        self.minimum = minimum
        self.maximum = maximum
        self.recognized = recognized
        self.inResponses = inResponses
        self.attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name

    @property
    def accessor(self) -> str:
        """The name that an accessor has for want of another: C{readingUnit} for C{Reading-Unit}."""
        first, *others = self.name.split("-")
        return first.lower() + "".join(each[:1].upper() + each[1:] for each in others)

    def check(self) -> None:
        """
        See that an option can be so.

        @raise ValueError: if number or name are none, or no value has such a length.
        """
        if not 1 <= self.number <= MAXIMUM_NUMBER:
            raise ValueError(f"an option's number is from 1 to {MAXIMUM_NUMBER}, not {self.number}")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"an option is called as in 'Reading-Unit', not {self.name!r}")
        if not 0 <= self.minimum <= self.maximum:
            raise ValueError(f"{self.name} has {self.minimum} to {self.maximum} bytes, which no value has")

    @property
    def isCritical(self) -> bool:
        """Whether a message must be refused where this is not understood (RFC 7252 5.4.1)."""
        return self.number & 1 == 1

    @property
    def isUnsafe(self) -> bool:
        """Whether a proxy that does not know it may not forward the message (RFC 7252 5.4.2)."""
        return self.number & 2 == 2

    @property
    def isNoCacheKey(self) -> bool:
        """Whether two requests that differ in this alone share a cache entry (RFC 7252 5.4.2)."""
        return self.number & 0x1E == 0x1C

    def allows(self, value: bytes) -> bool:
        """Whether the value has a length that the option's definition allows."""
        return self.minimum <= len(value) <= self.maximum

    def encode(self, value: object) -> bytes:
        """
        One value as bytes.

        @raise ValueError: if it is no value of this option; the text says why.
        """
        try:
            data = self.format.encode(value)
        except ValueError as e:
            raise ValueError(f"{self.name}: {e}") from None
        if not self.allows(data):
            raise ValueError(
                f"{self.name} takes {self.minimum} to {self.maximum} bytes; {value!r} needs {len(data)}"
            )
        return data

    def decode(self, data: bytes) -> Any:
        """
        One value from a peer's bytes.

        @raise MalformedOption: if they are none, as with text that is no UTF-8.
        """
        try:
            return self.format.decode(data)
        except ValueError:
            raise MalformedOption(f"{self.name} is not valid {self.format.name}") from None

    def encodeAll(self, value: object) -> list[Pair]:
        """
        A user's value for this option as pairs of number and bytes.

        @raise ValueError: if it is none; the text says why.
        """
        return [(self.number, self.encode(value))]

    def valueIn(self, options: Options) -> Any:
        """The value that a message's options give this one."""
        value = options.read.get(self.number, _UNREAD)
        if value is _UNREAD:
            value = self._read(options)
            if options.read is NOTHING_READ:
                options.read = {}
            options.read[self.number] = value
        return value

    def _read(self, options: Options) -> Any:
        wanted = self.number
        for number, data in options.pairs:
            if number == wanted and self.minimum <= len(data) <= self.maximum:
                return self.decode(data)
        return None

    def __repr__(self) -> str:
        return (
            f"<OptionDefinition {self.number} {self.name} {self.format.name} {self.minimum}-{self.maximum}>"
        )


class Single(OptionDefinition, Generic[T]):
    """An option that a message carries at most once."""

    @overload
    def __get__(self, options: None, owner: type) -> Single[T]: ...
    @overload
    def __get__(self, options: Options, owner: type) -> T | None: ...
    def __get__(self, options: Options | None, owner: type) -> Single[T] | T | None:
        if options is None:
            return self
        value: T | None = options.read.get(self.number, _UNREAD)
        return self.valueIn(options) if value is _UNREAD else value


class Flag(OptionDefinition):
    """An option without a value: there or not."""

    @overload
    def __get__(self, options: None, owner: type) -> Flag: ...
    @overload
    def __get__(self, options: Options, owner: type) -> bool: ...
    def __get__(self, options: Options | None, owner: type) -> Flag | bool:
        return self if options is None else bool(self.valueIn(options))

    def encodeAll(self, value: object) -> list[Pair]:
        """The option if the value is True."""
        return [] if value is False else super().encodeAll(value)


class Repeated(OptionDefinition, Generic[T]):
    """An option that a message may carry several times; its value is a tuple, empty without any."""

    repeatable = True

    @overload
    def __get__(self, options: None, owner: type) -> Repeated[T]: ...
    @overload
    def __get__(self, options: Options, owner: type) -> tuple[T, ...]: ...
    def __get__(self, options: Options | None, owner: type) -> Repeated[T] | tuple[T, ...]:
        if options is None:
            return self
        value: tuple[T, ...] | None = options.read.get(self.number)
        return self.valueIn(options) if value is None else value

    def _read(self, options: Options) -> tuple[T, ...]:
        decode, number = self.decode, self.number
        return tuple([decode(data) for found, data in options.pairs if found == number and self.allows(data)])

    def encodeAll(self, value: object) -> list[Pair]:
        """
        A sequence of values; C{bytes} alone are one.

        @raise ValueError: if it is none, or a value in it is not one of this option.
        """
        if isinstance(value, bytes):
            value = (value,)
        if isinstance(value, str) or not isinstance(value, Iterable):
            example = '(b"a", b"b")' if self.format is OPAQUE else '("a", "b")'
            raise ValueError(f"{self.attribute} takes a sequence, such as {example}; got {value!r}")
        return [(self.number, self.encode(each)) for each in value]
