"""
The resources of a server as a tree that one moves about in, as in the directories of a file system.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import InvalidURI
from ..linkformat import Link
from ..uri import URI

__all__ = ["Places", "asDirectory", "resolve"]


def asDirectory(uri: URI) -> URI:
    """The URI with a slash at its end, as a base of what is below it."""
    path = uri.path if not uri.path or uri.path[-1] == "" else (*uri.path, "")
    return URI(uri.scheme, uri.host, uri.port, path)


def resolve(base: URI, text: str) -> URI:
    """
    What someone means by a path: C{temperature}, C{../light}, C{/log?last=5}, C{.}, or a whole URI.

    @param base: Where they are, with a slash at its end.
    @raise InvalidURI: if it can be none.
    """
    if "://" in text:
        return URI.fromText(text)
    path, mark, query = text.partition("?")
    # A colon in the first segment makes no scheme (RFC 3986 4.2).
    found = base.resolve(f"{path if path.startswith('/') else f'./{path}'}{mark}{query}")
    if found.path[-1:] == ("",) and not path.endswith("/"):
        # For ".", "..", and a query alone: what is there, and no directory.
        return URI(found.scheme, found.host, found.port, found.path[:-1], found.query)
    return found


class Places:
    """The links of a server."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}

    def add(self, base: URI, links: Iterable[Link]) -> None:
        """
        Learn some; those to other servers are left out.

        @param base: Where they were found.
        """
        for link in links:
            try:
                uri = base.resolve(link.target)
            except InvalidURI:
                continue
            if uri.authority == base.authority and uri.scheme == base.scheme:
                self._links[uri.resourceName.partition("?")[0]] = link

    def __len__(self) -> int:
        return len(self._links)

    def at(self, uri: URI) -> Link | None:
        """The link to a resource, if there is one."""
        return self._links.get(URI(uri.scheme, uri.host, uri.port, uri.path).resourceName)

    def below(self, uri: URI) -> Iterator[Link]:
        """
        What is one step below a place, in order: its link, with its name as the target, and a slash
        after it where there is more below it.
        """
        start = asDirectory(uri).resourceName
        steps: dict[str, Link] = {}
        deeper = set()
        for path, link in self._links.items():
            name, mark, _ = path.removeprefix(start).partition("/")
            if not path.startswith(start) or not name:
                continue
            if mark:
                deeper.add(name)
            known = steps.get(name)
            steps[name] = known or Link(name) if mark else Link(name, link.attributes)
        for name in sorted(steps):
            yield Link(f"{name}/", steps[name].attributes) if name in deeper else steps[name]

    def allBelow(self, uri: URI) -> list[Link]:
        """The links to all that is below a place, their targets relative to it."""
        start = asDirectory(uri).resourceName
        return [
            Link(path.removeprefix(start), link.attributes)
            for path, link in self._links.items()
            if path.startswith(start) and path != start
        ]

    def isKnown(self, uri: URI) -> bool:
        """Whether there is a link to this place, or to one below it."""
        return self.at(uri) is not None or any(self.below(uri))
