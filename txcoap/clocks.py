"""
The time that passes, whatever the clock on the wall is set to.

Twisted's reactors go by C{time.time}, which is set: by a user, by NTP after a start without a battery, by a
virtual machine that was resumed. The machines go by a clock that only runs on. The reactor's delayed calls
cannot: those that were made before the clock is set forward come too early, which whoever is called finds
out by its own clock; those from before it is set back come too late, which nobody finds out who waits for
them. Linux tells when the clock is set, L{watchSteps} whoever wants to know.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from time import CLOCK_REALTIME, monotonic
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python import runtime
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["StepWatch", "clockOf", "openTimer", "watchSteps"]

# sys/timerfd.h
_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
_ABSTIME_CANCEL_ON_SET = 1 | 2
# A time that is not going to come, in seconds since 1970.
_NEVER = 2**33 if sys.maxsize > 2**32 else 2**31 - 1


def clockOf(reactor: Any) -> Callable[[], float]:
    """
    The clock to measure time by, where a reactor runs.

    @return: The monotonic clock where the reactor goes by the system's time; otherwise the reactor's own,
        such as that of a C{task.Clock}. It gives seconds, from some time on.
    """
    seconds: Callable[[], float] = reactor.seconds
    return monotonic if seconds is runtime.seconds else seconds


def watchSteps(reactor: Any, tell: Callable[[], None]) -> Callable[[], None]:
    """
    Call this whenever the system's clock was set; where the system tells (Linux), and the reactor goes by
    that clock and watches descriptors.

    @return: To be called when it is of no interest any more.
    """
    if reactor.seconds is not runtime.seconds or not IReactorFDSet.providedBy(reactor):
        return _nothing
    watch = _watches.get(reactor)
    if watch is None:
        watch = _watches[reactor] = StepWatch(reactor)
    return watch.add(tell)


def _nothing() -> None:
    """Nothing is to be done."""


@implementer(IReadDescriptor)
class StepWatch:
    """
    Learns from the kernel when the clock is set: a timer that never expires is cancelled by that
    (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET). It is open while anybody wants to know.

    @param open: Opens the timer; its descriptor, or None where there is no such thing.
    """

    def __init__(self, reactor: Any, open: Callable[[], int | None] | None = None) -> None:
        self._reactor = reactor
        self._open = open or openTimer
        self._fd: int | None = None
        self._listeners: dict[object, Callable[[], None]] = {}

    def add(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Tell one more; what is returned ends that."""
        key = object()
        self._listeners[key] = tell
        if self._fd is None:
            self._fd = self._open()
            if self._fd is not None:
                self._reactor.addReader(self)

        def remove() -> None:
            self._listeners.pop(key, None)
            if not self._listeners:
                self._close()

        return remove

    def fileno(self) -> int:
        """See C{IReadDescriptor}."""
        return -1 if self._fd is None else self._fd

    def logPrefix(self) -> str:
        """See C{IReadDescriptor}."""
        return "StepWatch"

    def doRead(self) -> None:
        """The clock was set, or nothing has happened."""
        try:
            os.read(self.fileno(), 8)
        except OSError as e:
            if e.errno != errno.ECANCELED:
                return
        self._close()
        listeners = list(self._listeners.items())
        if listeners:
            self._fd = self._open()
            if self._fd is not None:
                self._reactor.addReader(self)
        for key, tell in listeners:
            if key in self._listeners:
                tell()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor lets go of it."""
        self._close()

    def _close(self) -> None:
        fd = self._fd
        if fd is not None:
            self._reactor.removeReader(self)
            self._fd = None
            os.close(fd)


def openTimer() -> int | None:
    """
    A timer that becomes readable when the clock is set.

    @return: Its descriptor, or None where there is none to be had.
    """
    if not sys.platform.startswith("linux"):  # pragma: no cover - others have no such timer
        return None
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        fd: int = libc.timerfd_create(CLOCK_REALTIME, _FLAGS)
        if fd < 0:  # pragma: no cover - no descriptor is free
            return None
        # struct itimerspec: an interval, and when, each in seconds and nanoseconds.
        when = (ctypes.c_long * 4)(0, 0, _NEVER, 0)
        if libc.timerfd_settime(
            fd, _ABSTIME_CANCEL_ON_SET, ctypes.byref(when), None
        ):  # pragma: no cover - such as in a sandbox
            os.close(fd)
            return None
    except (AttributeError, ImportError, MemoryError, OSError):  # pragma: no cover - not with glibc or musl
        return None
    return fd


_watches: WeakKeyDictionary[Any, StepWatch] = WeakKeyDictionary()
