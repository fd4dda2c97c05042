"""
The time that passes, whatever the clock on the wall is set to.

Twisted's reactors go by C{time.time}, which is set: by a user, by NTP after a start without a battery, by a
virtual machine that was resumed. The machines go by a clock that only runs on.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from twisted.python import runtime

__all__ = ["clockOf"]


def clockOf(reactor: Any) -> Callable[[], float]:
    """
    The clock to measure time by, where a reactor runs.

    @return: The monotonic clock where the reactor goes by the system's time; otherwise the reactor's own,
        such as that of a C{task.Clock}. It gives seconds, from some time on.
    """
    seconds: Callable[[], float] = reactor.seconds
    return monotonic if seconds is runtime.seconds else seconds
