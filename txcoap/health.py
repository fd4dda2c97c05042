"""
L{HealthResource}: how a server does, for whoever asks by CoAP.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .errors import InvalidURI
from .formats import JSON, SENML_JSON, TEXT
from .resource import Resource
from .sansio.health import Health
from .uri import URI

__all__ = ["Health", "HealthResource", "figures", "putResource"]


class HealthResource(Resource):
    """
    Shows what a server counted, and how full its tables are: C{root.putChild("health", HealthResource())}.
    As JSON, or by the client's Accept as text with a figure on each line, or as SenML (RFC 8428). Everybody
    who reaches the server can read it.

    @param source: What gives a L{Health}, such as the C{health} method of a
        L{CoAPProtocol<txcoap.protocol.CoAPProtocol>}; by default that of the site that is asked.
    """

    isLeaf = True
    attributes: Mapping[str, Any] = {
        "rt": "txcoap.health",
        "title": "what the server counted",
        "ct": (JSON, TEXT, SENML_JSON),
    }

    def __init__(self, source: Callable[[], Health] | None = None) -> None:
        self._source = source

    def render_GET(self, request: Any) -> bytes:
        """The figures of now."""
        form = request.negotiate(*_WRITERS)
        health = request.site.health() if self._source is None else self._source()
        # The next moment's figures are others.
        request.setOption(maxAge=1)
        return _WRITERS[form](health).encode("utf-8")


def figures(health: Health) -> Iterator[tuple[str, float]]:
    """
    All figures by name: C{"counters/timeouts"}, C{"tables/peers/size"}. What has no value, such as the limit
    of a table that has none, is left out.
    """
    yield from _leaves("", health.toDict())


def _leaves(path: str, node: Any) -> Iterator[tuple[str, float]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(f"{path}/{name}" if path else name, value)
    elif node is not None:
        yield path, node


def _toJSON(health: Health) -> str:
    return json.dumps(health.toDict(), separators=(",", ":"))


def _toText(health: Health) -> str:
    return "".join(f"{name} {value}\n" for name, value in figures(health))


def _toSenML(health: Health) -> str:
    records = [{"n": name, "v": value} for name, value in figures(health)]
    records[0] = {"bn": "txcoap/", **records[0]}
    return json.dumps(records, separators=(",", ":"))


_WRITERS: dict[int, Callable[[Health], str]] = {JSON: _toJSON, TEXT: _toText, SENML_JSON: _toSenML}


def putResource(root: Any, path: str, resource: Any) -> None:
    """
    Put a resource into a tree at a path, unless it is there; what is missing on the way is made.

    @param root: A L{Resource}.
    @param path: As in a URI: C{"/metrics"}, C{"status/health"}.
    @raise ValueError: if there is no place for it.
    """
    try:
        segments = [each for each in URI.fromText(f"coap://localhost/{path.lstrip('/')}").path if each]
    except InvalidURI as e:
        raise ValueError(f"{path!r} is no path: {e}") from None
    node = root
    for segment in segments[:-1]:
        child = getattr(node, "children", {}).get(segment)
        if child is None:
            child = Resource()
            _put(node, segment, child, path)
        node = child
    if not segments:
        raise ValueError("a path has a name in it, such as 'health'")
    _put(node, segments[-1], resource, path)


def _put(node: Any, segment: str, child: Any, path: str) -> None:
    if node.isLeaf or not hasattr(node, "putChild"):
        raise ValueError(f"there is no place for {path!r}: {node!r} stands for all that is below it")
    there = getattr(node, "children", {}).get(segment)
    if there is child:
        return
    if there is not None:
        raise ValueError(f"there is no place for {path!r}: the tree has a resource there")
    node.putChild(segment, child)
