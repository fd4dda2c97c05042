"""
L{Registration}: what a user added to a registry of this process, options, content formats, and can take
back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

__all__ = ["Registration", "rereadByRegistration"]

T = TypeVar("T")

_cached: list[_lru_cache_wrapper[Any]] = []


class Registration:
    """
    Something that was registered. As a context manager it is taken back at the end::

        with registerFormat(65000, "application/x-reading"):
            ...

    @param undo: Takes it back.
    """

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo: Callable[[], None] | None = undo
        _reread()

    def unregister(self) -> None:
        """Take it back. The second time nothing happens."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()
            _reread()

    def __repr__(self) -> str:
        return f"<Registration {'taken back' if self._undo is None else 'in force'}>"

    def __enter__(self) -> Registration:  # noqa: PYI034
        return self

    def __exit__(self, *exception: object) -> None:
        self.unregister()


def rereadByRegistration(function: _lru_cache_wrapper[T]) -> _lru_cache_wrapper[T]:
    """Decorate a cached function whose results follow from the registries: a change has them made anew."""
    _cached.append(function)
    return function


def _reread() -> None:
    for function in _cached:
        function.cache_clear()
