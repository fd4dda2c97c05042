"""
A command at work: the reactor runs until it is done or interrupted.
"""

from __future__ import annotations

import signal
from functools import partial
from threading import Thread
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater, react
from twisted.python.failure import Failure

from .arguments import Arguments
from .commands import perform
from .console import Console
from .failures import Exit
from .preparing import Prepared, prepare

__all__ = ["run"]


def run(arguments: Arguments, console: Console) -> NoReturn:
    """
    Do what a command line says; what can be known to fail does so before anything is sent.

    @raise SystemExit: at its end.
    """
    prepared = prepare(arguments, console)
    if arguments.command == "shell":
        from .prompting import chooseReactor

        chooseReactor(console)
    try:
        react(partial(_start, arguments, prepared, console))
    finally:
        prepared.close()


def _start(arguments: Arguments, prepared: Prepared, console: Console, reactor: Any) -> Deferred[Any]:
    """Perform in a running reactor, until done or interrupted."""
    _waitForNoThread(reactor)
    # Later, when the reactor runs and its signal handlers are there.
    work: Deferred[Any] = deferLater(reactor, 0, _perform, reactor, arguments, prepared, console)
    ended: Deferred[None] = Deferred()

    def interrupted() -> Deferred[None]:
        # The reactor stops for a signal; without this, react would report success.
        work.cancel()
        return ended

    def end(result: Exit | Failure) -> Failure:
        ended.callback(None)
        if not isinstance(result, Failure):
            return Failure(SystemExit(int(result)))
        if result.check(CancelledError):
            return Failure(SystemExit(128 + (getattr(reactor, "_exitSignal", None) or signal.SIGINT)))
        return result

    reactor.addSystemEventTrigger("before", "shutdown", interrupted)
    return work.addBoth(end)


def _perform(reactor: Any, arguments: Arguments, prepared: Prepared, console: Console) -> Deferred[Exit]:
    return Deferred.fromCoroutine(_performAny(reactor, arguments, prepared, console))


async def _performAny(reactor: Any, arguments: Arguments, prepared: Prepared, console: Console) -> Exit:
    if arguments.command == "serve":
        from .serving import serve

        return await serve(reactor, arguments, console)
    if arguments.command == "shell":
        from .shell import shell

        return await shell(reactor, arguments, console, perform)
    return await perform(reactor, arguments, prepared, console)


def _waitForNoThread(reactor: Any) -> None:
    """
    Let the process end while a name is still being looked up.

    Twisted's resolver does that in a thread that cannot be stopped, and a reactor waits for its threads
    when it stops: half a minute after the time-out or Ctrl-C, if the name server is silent.
    """
    pool = reactor.getThreadPool()
    pool.threadFactory = partial(Thread, daemon=True)
    pool.stop = lambda: None
