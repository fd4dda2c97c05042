"""
The CoRE link format: read it, write it, filter it (RFC 6690).

It is what C{/.well-known/core} answers: C{</light>;rt="lamp";obs,</log>;ct="0 60"}. The grammar is
RFC 6690 2, and nothing else is read, except for white space, line breaks among it, that others put
between its parts, and what L{parse} is asked to mend. Reading takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, unquote

from .errors import LinkFormatError

__all__ = ["WELL_KNOWN_CORE", "Link", "filterLinks", "matches", "parse", "write"]

WELL_KNOWN_CORE = (".well-known", "core")
"""The path at which a server says what it has, by segments (RFC 6690 4)."""

WORD_LISTS = frozenset({"rt", "if", "rel", "rev", "ct"})
"""Attributes whose value is a list of words, each of which a filter can match (RFC 6690 4.1)."""

ALWAYS_QUOTED = frozenset({"rt", "if", "rel", "rev", "title", "anchor", "media", "type"})
"""Attributes that peers expect quoted, whatever their value."""

_SPACE = r"[ \t\r\n]*"
_NAME = r"[A-Za-z0-9!#$&+\-.^_`|~]+\*?"
_TOKEN = r"[^\x00-\x20\x7f\",;\\]+"  # noqa: S105
_TARGET = r"[^\x00-\x20\x7f<>\"]*"

_LINK = re.compile(rf"{_SPACE}<({_TARGET})>{_SPACE}")
_LENIENT_LINK = re.compile(rf"{_SPACE}<([^<>]*)>{_SPACE}")
# What percent-encoding leaves as it is: all of ASCII that a target may have.
_PLAIN = "".join(each for each in map(chr, range(128)) if re.fullmatch(_TARGET, each))
_ATTRIBUTE = re.compile(
    rf";{_SPACE}({_NAME})(?:{_SPACE}={_SPACE}"
    rf'(?:"([^"\\]*(?:\\.[^"\\]*)*)"|({_TOKEN})))?{_SPACE}(?=[;,]|\Z)',
    re.DOTALL,
)
_BLANK = re.compile(rf"{_SPACE}\Z")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_TO_QUOTE = re.compile(r'(["\\])')
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_CARDINAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Link:
    """
    One link.

    @ivar target: The URI reference between the angle brackets, as it stands.
    @ivar attributes: Each as (name, value), in their order; one without a value has None.
    @raise ValueError: if target or a name has a character that it cannot have.
    """

    target: str
    attributes: tuple[tuple[str, str | None], ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(_TARGET, self.target):
            raise ValueError(
                f"{self.target!r} is no link target: spaces, quotes, angle brackets and controls "
                "have to be percent-encoded"
            )
        for name, _ in self.attributes:
            if not re.fullmatch(_NAME, name):
                raise ValueError(f"{name!r} is no name of a link attribute")

    @classmethod
    def of(cls, target: str, **attributes: object) -> Link:
        """
        A link with its attributes as keywords: C{Link.of("/a", rt="lamp", ct=(0, 60), obs=True)}.

        @param attributes: C{ifs} stands for C{if}. True makes an attribute without a value, None
            and False make none; the words of a tuple or list go into one value.
        """
        pairs: list[tuple[str, str | None]] = []
        for keyword, value in attributes.items():
            name = "if" if keyword == "ifs" else keyword
            if value is True:
                pairs.append((name, None))
            elif isinstance(value, (tuple, list)):
                pairs.append((name, " ".join(map(str, value))))
            elif value is not None and value is not False:
                pairs.append((name, str(value)))
        return cls(target, tuple(pairs))

    def adding(self, **attributes: object) -> Link:
        """The same link with more attributes, given as for L{of}."""
        return Link(self.target, self.attributes + Link.of(self.target, **attributes).attributes)

    def get(self, name: str) -> str | None:
        """
        The value of the first attribute of that name in any case; C{""} if it has none, None
        without such an attribute. For the common attributes RFC 6690 2 ignores repetitions.
        """
        return next(iter(self.getAll(name)), None)

    def getAll(self, name: str) -> tuple[str, ...]:
        """The values of all attributes of that name in any case, in their order."""
        wanted = name.lower()
        return tuple([value or "" for found, value in self.attributes if found.lower() == wanted])

    def _words(self, name: str) -> tuple[str, ...]:
        return tuple((self.get(name) or "").split())

    @property
    def rel(self) -> tuple[str, ...]:
        """The relation types; empty for C{hosts}, the default (RFC 6690 2.2)."""
        return self._words("rel")

    @property
    def rt(self) -> tuple[str, ...]:
        """The resource types (RFC 6690 3.1)."""
        return self._words("rt")

    @property
    def ifs(self) -> tuple[str, ...]:
        """The interface descriptions, attribute C{if} (RFC 6690 3.2)."""
        return self._words("if")

    @property
    def ct(self) -> tuple[int, ...]:
        """The content formats by number (RFC 7252 7.2.1), less words that are no such number."""
        numbers = [int(word) for word in self._words("ct") if _CARDINAL.fullmatch(word)]
        return tuple([number for number in numbers if number <= 0xFFFF])

    @property
    def sz(self) -> int | None:
        """The size of the representation in bytes, as an estimate (RFC 6690 3.3)."""
        size = self.get("sz") or ""
        return int(size) if _CARDINAL.fullmatch(size) else None

    @property
    def title(self) -> str | None:
        """The title for people."""
        return self.get("title")

    @property
    def anchor(self) -> str | None:
        """What the link goes out from, if that is not the host itself (RFC 6690 2.1)."""
        return self.get("anchor")

    @property
    def obs(self) -> bool:
        """Whether it is useful to observe the resource (RFC 7641 6)."""
        return self.get("obs") is not None

    def __str__(self) -> str:
        return f"<{self.target}>" + "".join(_written(*each) for each in self.attributes)


def parse(text: str, *, lenient: bool = False) -> tuple[Link, ...]:
    """
    Read links. Text of nothing but white space has none.

    @param lenient: Whether to percent-encode what a target has and no URI reference may: spaces, quotes,
        controls, and letters beyond ASCII. Some servers, aiocoap among them, write paths as they are.
    @raise LinkFormatError: if it is no link format; the text says where and why.
    """
    if _BLANK.match(text):
        return ()
    links = []
    position = 0
    pattern = _LENIENT_LINK if lenient else _LINK
    while True:
        match = pattern.match(text, position)
        if match is None:
            _refuse(text, position, "a link begins with its target, <without spaces>")
        target, position = match.group(1), match.end()
        if lenient:
            target = quote(target, safe=_PLAIN, errors="surrogatepass")
        attributes: list[tuple[str, str | None]] = []
        while text.startswith(";", position):
            match = _ATTRIBUTE.match(text, position)
            if match is None:
                _refuse(text, position, 'an attribute is ;name, ;name=token or ;name="text"')
            name, quoted, token = match.groups()
            value = token if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
            attributes.append((name, value))
            position = match.end()
        links.append(Link(target, tuple(attributes)))
        if position == len(text):
            return tuple(links)
        if text[position] != ",":
            _refuse(text, position, "after a link comes a comma, a semicolon or the end")
        position += 1


def write(links: Iterable[Link]) -> str:
    """Write links; what comes out reads back equal."""
    return ",".join(map(str, links))


def matches(link: Link, query: str) -> bool:
    """
    Whether a link passes a filter of C{/.well-known/core} (RFC 6690 4.1).

    @param query: A query argument, percent-decoded: C{"rt=lamp"}, or C{"rt=la*"} for all that
        begins so. C{href} stands for the target. In lists such as C{rt} any word will do. A name
        alone asks for links that have the attribute at all, as C{"name=*"} does.
    """
    name, equals, pattern = query.partition("=")
    if not equals:
        pattern = "*"
    candidates = _candidates(link, name.lower())
    if pattern.endswith("*"):
        return any(candidate.startswith(pattern[:-1]) for candidate in candidates)
    return pattern in candidates


def filterLinks(links: Iterable[Link], queries: Iterable[str]) -> tuple[Link, ...]:
    """The links that pass every one of the filters; see L{matches}."""
    wanted = tuple(queries)
    return tuple([link for link in links if all(matches(link, query) for query in wanted)])


def _candidates(link: Link, name: str) -> list[str]:
    """What a filter by that name may match."""
    if name == "href":
        # A filter comes percent-decoded, a target may not be.
        return [link.target, unquote(link.target)]
    values = list(link.getAll(name))
    if name in WORD_LISTS:
        values += [word for value in values for word in value.split()]
    return values


def _written(name: str, value: str | None) -> str:
    if value is None:
        return f";{name}"
    # RFC 5987 values, title* and the like, are tokens.
    plain = _TOKEN if name.endswith("*") else _NUMBER
    if name.lower() not in ALWAYS_QUOTED and re.fullmatch(plain, value):
        return f";{name}={value}"
    quoted = _TO_QUOTE.sub(r"\\\1", value)
    return f';{name}="{quoted}"'


def _refuse(text: str, position: int, reason: str) -> NoReturn:
    raise LinkFormatError(f"at character {position}, {text[position : position + 20]!r}: {reason}")
