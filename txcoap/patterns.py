"""
Paths with parameters, as routers have them: C{"/sensors/<int:number>/state"}.

A parameter is a whole segment. What is in it is text, or what a converter makes of it; a C{path} is all that
is left, one segment or more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from keyword import iskeyword
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["CONVERTERS", "Converter", "Parameter", "Pattern", "PatternTree"]

T = TypeVar("T")

Converter = Callable[[str], Any]
"""Makes a value of a segment; C{ValueError} if the segment is none."""

_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
_DIGITS = 18


def _integer(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def _decimal(text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text!r} is no decimal number")
    return float(text)


CONVERTERS: Mapping[str, Converter] = {"int": _integer, "float": _decimal, "str": str, "path": str}
"""The converters that every router has, by name."""

_REST = "path"
# Of several parameters at one place these are tried first, those of the user's own next, text last.
_FIRST = ("int", "float")
_LAST = "str"


class Parameter(NamedTuple):
    """
    A part of a path that is not known beforehand.

    @ivar name: By which a function gets it.
    @ivar kind: The name of its converter.
    @ivar convert: The converter.
    """

    name: str
    kind: str
    convert: Converter


class Pattern:
    """
    A path with parameters.

    @param text: The path; outside of its parameters it stands as it reads, not percent-encoded.
    @param converters: By name.
    @ivar segments: Text and L{Parameter}s.
    @ivar names: Those of the parameters, in order.
    @raise ValueError: if it is none; the text says what is wrong.
    """

    def __init__(self, text: str, converters: Mapping[str, Converter] = CONVERTERS) -> None:
        self.text = text
        if not text.startswith("/"):
            raise ValueError(f"a path begins with a slash, such as '/sensors/<name>'; got {text!r}")
        parts = [] if text == "/" else text[1:].split("/")
        self.segments = tuple([_segment(each, text, converters) for each in parts])
        parameters = [each for each in self.segments if isinstance(each, Parameter)]
        self.names = tuple([each.name for each in parameters])
        for name in self.names:
            if self.names.count(name) > 1:
                raise ValueError(f"{text!r} has two parameters called {name!r}")
        if any(each.kind == _REST for each in parameters if each is not self.segments[-1]):
            raise ValueError(f"{text!r} has something after a path, which takes all that is left")

    def fill(self, values: Mapping[str, object]) -> tuple[str, ...]:
        """
        The segments of the path with these parameters.

        @raise ValueError: if a value has no place there, or one is missing or not what its converter takes.
        """
        if set(values) != set(self.names):
            raise ValueError(f"{self.text} has the parameters {self.names}, not {tuple(values)}")
        segments: list[str] = []
        for each in self.segments:
            if isinstance(each, str):
                segments.append(each)
                continue
            text = str(values[each.name])
            each.convert(text)
            segments += text.split("/") if each.kind == _REST else [text]
        return tuple(segments)

    def __repr__(self) -> str:
        return f"<Pattern {self.text}>"


def _segment(text: str, whole: str, converters: Mapping[str, Converter]) -> str | Parameter:
    """A segment of a pattern: text, or a parameter."""
    if not (text.startswith("<") and text.endswith(">")):
        if "<" in text or ">" in text:
            raise ValueError(f"a parameter is a whole segment, not part of one as in {text!r} of {whole!r}")
        if "?" in text or "#" in text:
            raise ValueError(f"{whole!r} has a query or fragment, which is no part of a path")
        if text in (".", ".."):
            raise ValueError(f"no path has a segment {text!r} (RFC 7252 5.10.1)")
        return text
    kind, colon, name = text[1:-1].rpartition(":")
    kind = kind if colon else _LAST
    if not name.isidentifier() or iskeyword(name):
        raise ValueError(f"{name!r} in {whole!r} is no name for a parameter of a function")
    if kind not in converters:
        raise ValueError(f"no converter is called {kind!r}, in {whole!r}; there are {', '.join(converters)}")
    return Parameter(name, kind, converters[kind])


class PatternTree(Generic[T]):
    """
    What is at which pattern. Where several match a path, text goes before parameters, segment by segment, and
    C{int} and C{float} before other converters, before C{str}, before C{path}.

    @param make: Makes what is put at a pattern, of its L{Pattern}.
    """

    def __init__(self, make: Callable[[Pattern], T]) -> None:
        self._make = make
        self._root: _Node[T] = _Node()

    def at(self, pattern: Pattern) -> T:
        """What is there, made if need be; the same for patterns that match the same paths."""
        node = self._root
        for segment in pattern.segments:
            node = node.below(segment)
        if node.place is None:
            node.place = self._make(pattern)
        return node.place

    def find(self, segments: Sequence[str]) -> tuple[T, tuple[Any, ...]] | None:
        """What all of a path leads to, and the values of its parameters, in order; else None."""
        return self._root.find(segments, 0, ())

    def __iter__(self) -> Iterator[T]:
        return self._root.places()


class _Node(Generic[T]):
    def __init__(self) -> None:
        self.place: T | None = None
        self.literals: dict[str, _Node[T]] = {}
        self.parameters: dict[str, tuple[Converter, _Node[T]]] = {}
        self.rest: _Node[T] | None = None

    def below(self, segment: str | Parameter) -> _Node[T]:
        """The node for a segment, made if need be."""
        if isinstance(segment, str):
            return self.literals.setdefault(segment, _Node())
        if segment.kind == _REST:
            self.rest = self.rest or _Node()
            return self.rest
        if segment.kind not in self.parameters:
            self.parameters[segment.kind] = segment.convert, _Node()
            self.parameters = dict(sorted(self.parameters.items(), key=_rank))
        return self.parameters[segment.kind][1]

    def find(
        self, segments: Sequence[str], index: int, values: tuple[Any, ...]
    ) -> tuple[T, tuple[Any, ...]] | None:
        """Each node is looked at once at most, however long the path."""
        if index == len(segments):
            return None if self.place is None else (self.place, values)
        segment = segments[index]
        literal = self.literals.get(segment)
        found = None if literal is None else literal.find(segments, index + 1, values)
        if found is None:
            for convert, node in self.parameters.values():
                try:
                    value = convert(segment)
                except ValueError:
                    continue
                found = node.find(segments, index + 1, (*values, value))
                if found is not None:
                    return found
            if self.rest is not None and self.rest.place is not None:
                return self.rest.place, (*values, "/".join(segments[index:]))
        return found

    def places(self) -> Iterator[T]:
        if self.place is not None:
            yield self.place
        below = [*self.literals.values(), *(node for _, node in self.parameters.values())]
        for node in below if self.rest is None else [*below, self.rest]:
            yield from node.places()


def _rank(item: tuple[str, Any]) -> int:
    kind = item[0]
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST) + (kind == _LAST)
