"""
Options under the names that users of HTTP and node-coap look for: C{{"Content-Type": "application/json"}}.

L{fromHeaders} and L{withHeader} make options of names and values, L{Headers} reads a message's options by
name. Names are those of the registry in any case, those of L{ALIASES}, or numbers. Names that say nothing
in CoAP are passed over, see L{ignoreHeader}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import unquote

from .definitions import EMPTY, FORMAT, MAXIMUM_NUMBER, OPAQUE, UINT, OptionDefinition, Pair
from .formats import formatName
from .options import DEFINITIONS, NO_OPTIONS, Options, definitionOf
from .registration import Registration

__all__ = ["ALIASES", "Headers", "fromHeaders", "ignoreHeader", "withHeader"]

ALIASES = {"content-type": "Content-Format"}
"""What HTTP calls otherwise, in lower case, and the option's name."""

# Text for one of these holds all of its parts.
_SEPARATORS = {
    Options.uriPath.number: "/",
    Options.locationPath.number: "/",
    Options.uriQuery.number: "&",
    Options.locationQuery.number: "&",
}

_LOCATION = "location"
_ignored = {"cache-control", "content-length", "accept-ranges"}


def ignoreHeader(name: str) -> Registration:
    """
    Pass over a name from now on, wherever options are made of names and values in this process.
    C{Cache-Control}, C{Content-Length} and C{Accept-Ranges} are passed over anyway.

    @return: What takes it back.
    """
    key = name.lower()
    if key in _ignored:
        return Registration(lambda: None)
    _ignored.add(key)
    return Registration(lambda: _ignored.discard(key))


def fromHeaders(
    headers: Mapping[str | int, Any] | Mapping[str, Any] | None, options: Options = NO_OPTIONS
) -> Options:
    """
    Options of names and values; see L{withHeader}.

    @param headers: None for no headers.
    @param options: Those to start from; of one that is named, all values are replaced.
    @raise ValueError: for a name that is none, or a value that its option cannot have.
    @raise TypeError: if the headers are no mapping.
    """
    if headers is None:
        return options
    if not isinstance(headers, (dict, Mapping)):
        raise TypeError(f"headers are a mapping of names to values; got {headers!r}")
    for name, value in headers.items():
        options = withHeader(options, name, value)
    return options


def withHeader(options: Options, name: str | int, value: Any) -> Options:
    """
    These options with one set.

    @param name: An option's name in any case, such as C{"Max-Age"}; C{"Content-Type"}; C{"Location"}, a
        percent-encoded path with a query (RFC 7252 5.10.7); or a number, C{65000} or C{"65000"}.
    @param value: What the option's accessor takes, a number also as text; a sequence for an option that
        may be repeated. Text for a path or query holds all of its parts, as in C{"/a/b"}, just as they
        read. C{bytes} are a value as it goes over the wire; an option that is not known takes no other.
        None removes the option.
    @raise ValueError: for a name that is none, or a value that the option cannot have.
    """
    if isinstance(name, str) and name.lower() in _ignored:
        return options
    if isinstance(name, str) and name.lower() == _LOCATION:
        return _withLocation(options, value)
    number = _numberOf(name)
    definition = DEFINITIONS.get(number)
    pairs = _unknown(number, value) if definition is None else _known(definition, value)
    return options.without(number).adding(*pairs)


class Headers(Mapping[str, Any]):
    """
    The options of a message by name, as L{withHeader} has the names: a view. Content formats are given by
    their names, options that may be repeated as tuples, those that are not known as tuples of C{bytes}.

    @param options: The L{Options}.
    """

    __slots__ = ("_options",)

    def __init__(self, options: Options) -> None:
        self._options = options

    def __getitem__(self, name: str) -> Any:
        try:
            number = _numberOf(name, least=0)
        except ValueError:
            raise KeyError(name) from None
        if number not in self._numbers():
            raise KeyError(name)
        definition = DEFINITIONS.get(number)
        if definition is None:
            return self._options.get(number)
        value = definition.valueIn(self._options)
        return formatName(value) if definition.format is FORMAT else value

    def __iter__(self) -> Iterator[str]:
        for number in self._numbers():
            definition = DEFINITIONS.get(number)
            yield str(number) if definition is None else definition.name

    def __len__(self) -> int:
        return len(self._numbers())

    def _numbers(self) -> dict[int, None]:
        """The numbers of those that have a value that can be read."""
        numbers: dict[int, None] = {}
        for number, data in self._options.pairs:
            definition = DEFINITIONS.get(number)
            if definition is None or definition.allows(data):
                numbers[number] = None
        return numbers

    def __repr__(self) -> str:
        return f"<Headers {self._options!r}>"


def _numberOf(name: str | int, least: int = 1) -> int:
    """
    The number of an option.

    @raise ValueError: if the name is none; the text names what is similar.
    """
    if isinstance(name, str) and not (name.isascii() and name.isdigit() and len(name) < 6):
        definition = definitionOf(ALIASES.get(name.lower(), name))
        if definition is None:
            near = get_close_matches(name.title(), [each.name for each in DEFINITIONS.values()], n=3)
            hint = f"; near are {', '.join(near)}" if near else ""
            raise ValueError(f"no option is called {name!r}{hint}; a number will do as well")
        return definition.number
    try:
        number = int(name)
    except (TypeError, ValueError):
        raise ValueError(f"an option is named by text (str) or a number, not {name!r}") from None
    # Number 0 is reserved: nobody is to send it, but what a peer sent can be read.
    if not least <= number <= MAXIMUM_NUMBER:
        raise ValueError(f"an option's number is from 1 to {MAXIMUM_NUMBER}, not {number}")
    return number


def _unknown(number: int, value: Any) -> list[Pair]:
    values = () if value is None else _valuesIn(value)
    for each in values:
        if not isinstance(each, bytes):
            raise ValueError(f"option {number} is not known: give bytes, not {each!r}, or register it")
    return [(number, each) for each in values]


def _known(definition: OptionDefinition, value: Any) -> list[Pair]:
    if value is None:
        return []
    separator = _SEPARATORS.get(definition.number)
    if separator is not None and isinstance(value, str):
        return _partsOf(definition, value, separator)
    if isinstance(value, bool) and definition.number in (Options.observe.number, Options.ifNoneMatch.number):
        # node-coap has it so: True registers.
        return [(definition.number, b"")] if value else []
    values = _valuesIn(value) if definition.repeatable else (value,)
    return [(definition.number, _encoded(definition, each)) for each in values]


def _valuesIn(value: Any) -> Iterable[Any]:
    return value if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else (value,)


def _partsOf(definition: OptionDefinition, text: str, separator: str) -> list[Pair]:
    text = text.removeprefix("/") if separator == "/" else text.removeprefix("?")
    return [(definition.number, definition.encode(each)) for each in text.split(separator)] if text else []


def _encoded(definition: OptionDefinition, value: Any) -> bytes:
    """One value as bytes, given in one of the forms that headers have."""
    if isinstance(value, bytes):
        return OptionDefinition(
            definition.number, definition.name, OPAQUE, definition.minimum, definition.maximum
        ).encode(value)
    if isinstance(value, str):
        if definition.format is OPAQUE:
            value = value.encode("utf-8")
        elif definition.format is UINT and value.isascii() and value.isdigit():
            value = int(value)
        elif definition.format is EMPTY and value in ("", "*"):
            value = True
    return definition.encode(value)


def _withLocation(options: Options, value: Any) -> Options:
    if value is None:
        return options.evolve(locationPath=None, locationQuery=None)
    if not isinstance(value, str) or "://" in value.partition("?")[0] or "#" in value:
        raise ValueError(f"a Location of CoAP is a path, such as '/a/b?x=1'; got {value!r}")
    path, mark, query = value.partition("?")
    segments = path.removeprefix("/").split("/") if path.strip("/") else ()
    return options.evolve(
        locationPath=[unquote(each, errors="strict") for each in segments],
        locationQuery=[unquote(each, errors="strict") for each in query.split("&")] if mark else None,
    )
