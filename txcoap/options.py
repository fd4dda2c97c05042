"""
The options of CoAP: one line per option of the IANA registry, and L{Options}, the options of one
message (RFC 7252 5.4, 5.10, 12.2).

An option's line gives its number, name, format, lengths and repeatability, and is its typed accessor
at the same time: C{options.maxAge} is an C{int} or None, C{options.uriPath} a tuple of C{str}. Whether
an option is critical, unsafe to forward or part of a cache key follows from its number (RFC 7252
5.4.6).

What a peer sent is kept as it came. An option of a wrong length and the supernumerary copies of one
that is not repeatable count as unrecognized (RFC 7252 5.4.3, 5.4.5): accessors pass over them, and
L{Options.unrecognized} names those of them that are critical.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from keyword import iskeyword
from operator import itemgetter
from typing import Any

from .block import Block
from .definitions import (
    BLOCK,
    EMPTY,
    FORMAT,
    NOTHING_READ,
    OPAQUE,
    SEGMENT,
    STRING,
    UINT,
    Flag,
    OptionDefinition,
    Pair,
    Repeated,
    Single,
)
from .errors import MalformedOption
from .registration import Registration

__all__ = [
    "DEFINITIONS",
    "NO_OPTIONS",
    "PROXY_OPTIONS",
    "URI_OPTIONS",
    "OptionDefinition",
    "Options",
    "definitionOf",
    "describe",
    "nameOf",
    "registerOption",
]

_OBSERVE = 6
_ACCEPT = 17
_BLOCK2 = 23

# The bits of an option's number (RFC 7252 5.4.6).
_CRITICAL, _UNSAFE = 1, 2

_number = itemgetter(0)
_new = object.__new__


class Options:
    """
    The options of one message: a value.

    Made from keywords, one per accessor below: C{Options(uriPath=("a", "b"), accept="text/plain")}.
    None leaves an option out. Any option at all can be given by number with L{fromPairs} or
    L{adding}.

    @ivar pairs: Every option as (number, raw value), in the order of their numbers.
    @ivar isPlain: Whether there is none of those that ask for more than a response: conditions, entity tags,
        Observe, blocks, a proxy, No-Response.
    @ivar mayHaveAccept: Whether Accept may be among them; if not, it need not be looked for.
    @ivar isUnderstood: Whether it is known that nothing is L{unrecognized}.
    @ivar wire: The same, delta-coded (RFC 7252 3.1), once a codec has made or read that form.
    @ivar read: The values that were asked for so far, by number; to look there first takes a third of the
        time of an accessor.
    """

    __slots__ = (
        "_refused",
        "_unrecognized",
        "isPlain",
        "isUnderstood",
        "mayHaveAccept",
        "pairs",
        "read",
        "wire",
    )

    isPlain: bool
    mayHaveAccept: bool
    isUnderstood: bool
    pairs: tuple[Pair, ...]
    wire: bytes | None
    # Not set before it is asked for: most are the options of requests, or of responses of ours.
    _refused: tuple[int, ...]

    ifMatch = Repeated[bytes](1, "If-Match", OPAQUE, 0, 8, inResponses=False)
    uriHost = Single[str](3, "Uri-Host", STRING, 1, 255, inResponses=False)
    etag = Repeated[bytes](4, "ETag", OPAQUE, 1, 8)
    ifNoneMatch = Flag(5, "If-None-Match", EMPTY, 0, 0, inResponses=False)
    observe = Single[int](6, "Observe", UINT, 0, 3)
    uriPort = Single[int](7, "Uri-Port", UINT, 0, 2, inResponses=False)
    locationPath = Repeated[str](8, "Location-Path", SEGMENT, 0, 255)
    oscore = Single[bytes](9, "OSCORE", OPAQUE, 0, 255, recognized=False)
    uriPath = Repeated[str](11, "Uri-Path", STRING, 0, 255, inResponses=False)
    contentFormat = Single[int](12, "Content-Format", FORMAT, 0, 2)
    maxAge = Single[int](14, "Max-Age", UINT, 0, 4)
    uriQuery = Repeated[str](15, "Uri-Query", STRING, 0, 255, inResponses=False)
    hopLimit = Single[int](16, "Hop-Limit", UINT, 1, 1)
    accept = Single[int](17, "Accept", FORMAT, 0, 2, inResponses=False)
    qBlock1 = Single[Block](19, "Q-Block1", BLOCK, 0, 3, recognized=False)
    locationQuery = Repeated[str](20, "Location-Query", STRING, 0, 255)
    edhoc = Flag(21, "EDHOC", EMPTY, 0, 0, recognized=False)
    block2 = Single[Block](23, "Block2", BLOCK, 0, 3)
    block1 = Single[Block](27, "Block1", BLOCK, 0, 3)
    size2 = Single[int](28, "Size2", UINT, 0, 4)
    qBlock2 = Repeated[Block](31, "Q-Block2", BLOCK, 0, 3, recognized=False)
    proxyUri = Single[str](35, "Proxy-Uri", STRING, 1, 1034, inResponses=False)
    proxyScheme = Single[str](39, "Proxy-Scheme", STRING, 1, 255, inResponses=False)
    size1 = Single[int](60, "Size1", UINT, 0, 4)
    proxyCri = Single[bytes](235, "Proxy-Cri", OPAQUE, 1, 1023, recognized=False)
    proxySchemeNumber = Single[int](239, "Proxy-Scheme-Number", UINT, 0, 3, recognized=False)
    echo = Single[bytes](252, "Echo", OPAQUE, 1, 40)
    noResponse = Single[int](258, "No-Response", UINT, 0, 1)
    requestTag = Repeated[bytes](292, "Request-Tag", OPAQUE, 0, 8)
    ocfAcceptContentFormatVersion = Single[int](
        2049, "OCF-Accept-Content-Format-Version", UINT, 0, 2, recognized=False
    )
    ocfContentFormatVersion = Single[int](2053, "OCF-Content-Format-Version", UINT, 0, 2, recognized=False)
    scp82Params = Single[bytes](2055, "SCP82-Params", OPAQUE, 0, 1023, recognized=False)
    xAdminProtocol = Single[bytes](2056, "X-Admin-Protocol", OPAQUE, 0, 1023, recognized=False)

    def __init__(self, **values: object) -> None:
        pairs: list[Pair] = []
        for name, value in values.items():
            if value is not None:
                pairs += _definitionNamed(name).encodeAll(value)
        pairs.sort(key=_number)
        self._hold(tuple(pairs), None)

    def _hold(self, pairs: tuple[Pair, ...], wire: bytes | None) -> None:
        self.pairs = pairs
        last = pairs[-1][0] if pairs else 0
        self.isPlain = last < _BLOCK2 and (not last or pairs[0][0] > _OBSERVE)
        self.mayHaveAccept = last >= _ACCEPT
        self.wire = wire
        self.read: dict[int, Any] = NOTHING_READ
        self.isUnderstood = False
        self._unrecognized: tuple[int, ...] | None = None

    @classmethod
    def fromPairs(cls, pairs: Iterable[Pair], wire: bytes | None = None) -> Options:
        """
        Options of raw values, whatever they are.

        @param pairs: (number, bytes) each, in any order; those of one number keep theirs.
        @param wire: Their delta-coded form, from who knows it; then the pairs are in order.
        """
        options = cls.__new__(cls)
        options._hold(tuple(sorted(pairs, key=_number) if wire is None else pairs), wire)
        return options

    def ending(self, pair: Pair, wire: bytes) -> Options:
        """These options and one more of a higher number, as C{wire} has them delta-coded."""
        options = _new(Options)
        options._hold((*self.pairs, pair), wire)
        return options

    def evolve(self, **changes: object) -> Options:
        """
        These options with some replaced.

        @param changes: As for the constructor; None removes an option.
        """
        pairs: list[Pair] = []
        numbers = set()
        for name, value in changes.items():
            definition = _definitionNamed(name)
            numbers.add(definition.number)
            if value is not None:
                pairs += definition.encodeAll(value)
        return Options.fromPairs([pair for pair in self.pairs if pair[0] not in numbers] + pairs)

    def without(self, *numbers: int) -> Options:
        """These options less all of the given numbers."""
        return Options.fromPairs(pair for pair in self.pairs if pair[0] not in numbers)

    def adding(self, *pairs: Pair) -> Options:
        """These options and some more, each a (number, bytes), after those of the same number."""
        return Options.fromPairs(self.pairs + pairs)

    def get(self, number: int) -> tuple[bytes, ...]:
        """Every raw value of one option number, in order."""
        return tuple([data for found, data in self.pairs if found == number])

    @property
    def unrecognized(self) -> tuple[int, ...]:
        """
        The numbers of critical options that the receiver of a request cannot take: not recognized,
        of a wrong length, or repeated against their definition (RFC 7252 5.4.1, 5.4.3, 5.4.5).
        """
        known = self._unrecognized
        if known is None:
            known = self._unrecognized = tuple(_unrecognizedIn(self.pairs, _CRITICAL))
            self.isUnderstood = not known
        return known

    @property
    def unrecognizedInResponse(self) -> tuple[int, ...]:
        """
        The same where these are the options of a response: those that are defined for requests alone, such
        as Uri-Path, are not recognized there (RFC 7252 5.4).
        """
        try:
            return self._refused
        except AttributeError:
            self._refused = tuple(_unrecognizedIn(self.pairs, _CRITICAL, isResponse=True))
            return self._refused

    @property
    def unforwardable(self) -> tuple[int, ...]:
        """
        The numbers of options of a request that a proxy can neither take nor pass on: unsafe to forward, and
        not recognized, of a wrong length, or repeated against their definition (RFC 7252 5.4.2, 5.7.1).
        """
        return tuple(_unrecognizedIn(self.pairs, _UNSAFE))

    @property
    def unforwardableInResponse(self) -> tuple[int, ...]:
        """The same where these are the options of a response."""
        return tuple(_unrecognizedIn(self.pairs, _UNSAFE, isResponse=True))

    def __contains__(self, number: object) -> bool:
        return any(found == number for found, _ in self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        return self.pairs == other.pairs if isinstance(other, Options) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"<Options {', '.join(map(describe, self.pairs)) or 'none'}>"


DEFINITIONS: dict[int, OptionDefinition] = {
    each.number: each for each in vars(Options).values() if isinstance(each, OptionDefinition)
}
"""Every option that is known, by number."""

_BY_NAME = {each.name.lower(): each for each in DEFINITIONS.values()}
_BY_ATTRIBUTE = {each.attribute: each for each in DEFINITIONS.values()}

NO_OPTIONS = Options()
"""The options of a message that has none."""

URI_OPTIONS = frozenset(
    each.number for each in (Options.uriHost, Options.uriPort, Options.uriPath, Options.uriQuery)
)
"""The numbers of the options that say which URI a request is for (RFC 7252 5.10.1)."""

PROXY_OPTIONS = frozenset((Options.proxyUri.number, Options.proxyScheme.number))
"""Those by which a forward proxy knows that it is one (RFC 7252 5.10.2)."""


def definitionOf(option: int | str) -> OptionDefinition | None:
    """The definition of an option by its number or its name in any case; None if it is not known."""
    if isinstance(option, int):
        return DEFINITIONS.get(option)
    return _BY_NAME.get(option.lower()) or _BY_ATTRIBUTE.get(option)


def registerOption(definition: OptionDefinition, attribute: str = "") -> Registration:
    """
    Make an option known in this process: L{Options} has an accessor for it and takes it by that name,
    and where it is critical it no longer counts as unrecognized. Messages that were read before keep
    what they gave::

        registerOption(Single(65000, "Reading-Unit", STRING, 1, 16))
        Options(readingUnit="celsius").readingUnit

    One that the registry only names (C{recognized} is False) can be registered anew, under its number.

    @param definition: Its line; what L{txcoap.definitions} says, a C{Single}, C{Repeated} or C{Flag}.
        Numbers from 65000 up are for experiments (RFC 7252 12.2).
    @param attribute: The accessor's name; by default the option's own, as in C{readingUnit}.
    @return: What takes it back.
    @raise ValueError: if number, name or accessor stand for something else, or are none.
    """
    old = DEFINITIONS.get(definition.number)
    attribute = attribute or definition.accessor
    _checkNew(definition, attribute, old)
    if old is not None:
        _withdraw(old)
    definition.attribute = attribute
    _enter(definition)

    def undo() -> None:
        _withdraw(definition)
        if old is not None:
            _enter(old)

    return Registration(undo)


# Functions that take options by accessor name take these by name too, and mean something else.
# fmt: off
_TAKEN = frozenset({
    "after", "blockSize", "byteRange", "code", "confirmable", "diagnostic", "headers", "hops", "host",
    "interface", "json", "messageID", "method", "options", "parameters", "params", "path", "payload", "port",
    "progress", "proxy", "query", "relaying", "seconds", "stream", "timeout", "times", "to", "token", "type",
    "uri",
})
# fmt: on


def _checkNew(new: OptionDefinition, attribute: str, old: OptionDefinition | None) -> None:
    """See that a definition can be entered in the place of an old one, or of none."""
    new.check()
    if old is not None and old.recognized:
        raise ValueError(f"option {new.number} is {old.name} already, so not {new.name}")
    named = _BY_NAME.get(new.name.lower(), old)
    if named is not old:
        assert named is not None
        raise ValueError(f"{new.name} is option {named.number} already, so not {new.number}")
    if not attribute.isidentifier() or iskeyword(attribute):
        raise ValueError(f"{attribute!r} cannot be an accessor's name; give another as attribute=")
    if attribute in _TAKEN:
        raise ValueError(
            f"{attribute}= means something else to Agent.request and its like; give another attribute="
        )
    if hasattr(Options, attribute) and _BY_ATTRIBUTE.get(attribute, new) is not old:
        raise ValueError(f"Options.{attribute} is something else already; give another name as attribute=")


def _enter(definition: OptionDefinition) -> None:
    DEFINITIONS[definition.number] = definition
    _BY_NAME[definition.name.lower()] = _BY_ATTRIBUTE[definition.attribute] = definition
    setattr(Options, definition.attribute, definition)


def _withdraw(definition: OptionDefinition) -> None:
    del DEFINITIONS[definition.number], _BY_NAME[definition.name.lower()], _BY_ATTRIBUTE[definition.attribute]
    delattr(Options, definition.attribute)


def nameOf(number: int) -> str:
    """An option's number, and its name if it has one: C{"35 (Proxy-Uri)"}."""
    definition = DEFINITIONS.get(number)
    return str(number) if definition is None else f"{number} ({definition.name})"


def describe(pair: Pair) -> str:
    """One option as a person would want to read it: C{"Uri-Path: 'a'"}."""
    number, data = pair
    definition = DEFINITIONS.get(number)
    if definition is None:
        return f"{number}: {data!r}"
    try:
        return f"{definition.name}: {definition.decode(data)!r}"
    except MalformedOption:
        return f"{definition.name}: {data!r}"


def _definitionNamed(name: str) -> OptionDefinition:
    try:
        return _BY_ATTRIBUTE[name]
    except KeyError:
        near = ", ".join(get_close_matches(name, _BY_ATTRIBUTE))
        known = f"near are {near}" if near else f"give one of {', '.join(sorted(_BY_ATTRIBUTE))}"
        text = f"no option is called {name!r}; {known}, or any number with Options.fromPairs"
        raise ValueError(text) from None


def _unrecognizedIn(pairs: tuple[Pair, ...], kind: int, isResponse: bool = False) -> Iterator[int]:
    """The numbers of a kind, by its bit, that their receiver cannot take."""
    seen = set()
    for number, data in pairs:
        if number & kind:
            definition = DEFINITIONS.get(number)
            if (
                definition is None
                or not definition.recognized
                or not definition.allows(data)
                or (isResponse and not definition.inResponses)
                or (number in seen and not definition.repeatable)
            ):
                yield number
            seen.add(number)
