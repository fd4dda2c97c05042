"""
Coroutines that resources return: most have their result without waiting for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any

from twisted.internet.defer import Deferred

__all__ = ["begin"]


def begin(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """
    Run a coroutine as far as it goes without waiting. A Deferred is made only for one that waits: it takes
    more time than most render methods.

    As with C{Deferred.fromCoroutine}, what it sets of context variables is its own.

    @return: Its result, or a Deferred of it.
    @raise Exception: whatever it raises before it waits.
    """
    context = copy_context()
    try:
        awaited = context.run(coroutine.send, None)
    except StopIteration as stop:
        return stop.value
    return Deferred.fromCoroutine(_goOn(coroutine, awaited, context))


def _goOn(coroutine: Coroutine[Any, Any, Any], awaited: Any, context: Context) -> Generator[Any, Any, Any]:
    """The rest of a coroutine that waits for something, as C{yield from} would run it (PEP 380)."""
    step: Callable[[Any], Any]
    while True:
        try:
            result = yield awaited
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as e:
            step, result = coroutine.throw, e
        else:
            step = coroutine.send
        try:
            awaited = context.run(step, result)
        except StopIteration as stop:
            return stop.value
