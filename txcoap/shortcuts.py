"""
L{Shortcuts}: what a forward proxy with a cache found out about a request, for those that are the same byte
for byte. Most requests to a cache are; they are answered without being understood anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .allowlist import Target
from .codes import Code
from .message import Request as Message
from .message import Response
from .options import PROXY_OPTIONS, URI_OPTIONS, Options
from .request import Request
from .sansio.cacheable import Key, keyOf
from .uri import URI

__all__ = ["Shortcuts"]

MAXIMUM = 1_000
"""How many requests are known; one more takes the place of the oldest."""

# With no other options a request asks for nothing but the response.
_SIMPLE = URI_OPTIONS | PROXY_OPTIONS | {Options.hopLimit.number, Options.accept.number}


class _Shortcut(NamedTuple):
    """
    What was found out.

    @ivar protocol: By which the request came: at another the same may be for the proxy itself.
    @ivar local: At which of its addresses, likewise.
    @ivar policy: What let it through.
    @ivar target: The target that it was asked about.
    @ivar key: Under which the response is stored.
    """

    protocol: Any
    local: Any
    policy: Any
    target: Target
    key: Key


class Shortcuts:
    """
    Requests that were let through, by their options as they came.

    @param find: A fresh response by its key, or None.
    """

    def __init__(self, find: Callable[[Key], Response | None]) -> None:
        self._find = find
        self._known: dict[bytes, _Shortcut] = {}

    def learn(self, request: Request, policy: Any, target: Target, uri: URI, options: Options) -> None:
        """
        A request was let through.

        @param uri: Whom it goes to.
        @param options: The options that go there, beside those of the URI.
        """
        wire = request.options.wire
        if wire is None or request.code != Code.GET or request.payload or not _isSimple(request.options):
            return
        key = keyOf(Message(request.code, b"", uri.toOptions().adding(*options)), uri)
        if key is None:
            return
        if len(self._known) >= MAXIMUM:
            del self._known[next(iter(self._known))]
        exchange = request.exchange
        self._known[wire] = _Shortcut(request.protocol, exchange.local, policy, target, key)

    def knows(self, request: Request, policy: Any, target: Target) -> bool:
        """Whether nothing more is to be learned of a request that this policy lets through to a target."""
        known = self._knownOf(request, policy)
        return known is not None and known.target == target

    def find(self, request: Request, policy: Any) -> Response | None:
        """
        The response to a request that is known; None if there is none, or it has to go the long way.

        @param policy: What lets requests through. One that is C{isFixed} need not be asked again.
        """
        known = self._knownOf(request, policy)
        if known is None:
            return None
        if not getattr(policy, "isFixed", False) and not policy(request, known.target):
            return None
        return self._find(known.key)

    def _knownOf(self, request: Request, policy: Any) -> _Shortcut | None:
        exchange = request.exchange
        known = self._known.get(exchange.options.wire)  # type: ignore[arg-type]
        if (
            known is None
            or known.protocol is not request.protocol
            or known.local != exchange.local
            or known.policy is not policy
            or request.code != Code.GET
            or request.payload
        ):
            return None
        return known


def _isSimple(options: Options) -> bool:
    return all(number in _SIMPLE for number, _ in options.pairs)
