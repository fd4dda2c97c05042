"""
The command C{txcoap}: ask CoAP servers from a shell (C{txcoap --help}).

C{arguments} reads the command line, C{console} has the streams and files, C{commands} asks, C{display}
puts messages and links into words, C{failures} what went wrong; C{observing} watches, and C{plot} draws.
"""

from __future__ import annotations

import signal
import sys
from functools import partial
from threading import Thread
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater, react
from twisted.python.failure import Failure

from .arguments import Arguments, parse
from .commands import perform
from .console import Console, OutputFile, readBody
from .failures import Exit

__all__ = ["main"]


def main() -> NoReturn:
    """Do what C{sys.argv} says, and exit with one of L{Exit}'s codes."""
    console = Console.standard()
    try:
        _run(parse(sys.argv[1:]), console)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    finally:
        console.close()


def _run(arguments: Arguments, console: Console) -> NoReturn:
    """What can be known to fail does so before anything is sent."""
    try:
        body = readBody(arguments.text, arguments.file, arguments.hasBody, console)
    except OSError as e:
        arguments.refuse(f"cannot read {arguments.file or 'the standard input'}: {e.strerror}")
    try:
        output = OutputFile(arguments.output) if arguments.output not in (None, "-") else None
    except OSError as e:
        arguments.refuse(f"cannot write {arguments.output}: {e.strerror}")
    try:
        react(partial(_start, arguments, body, output, console))
    finally:
        if output is not None:
            output.discard()


def _start(
    arguments: Arguments, body: Any, output: OutputFile | None, console: Console, reactor: Any
) -> Deferred[Any]:
    """Perform in a running reactor, until done or interrupted."""
    _waitForNoThread(reactor)
    # Later, when the reactor runs and its signal handlers are there.
    work: Deferred[Any] = deferLater(reactor, 0, _perform, reactor, arguments, body, output, console)
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


def _perform(*how: Any) -> Deferred[Exit]:
    return Deferred.fromCoroutine(perform(*how))


def _waitForNoThread(reactor: Any) -> None:
    """
    Let the process end while a name is still being looked up.

    Twisted's resolver does that in a thread that cannot be stopped, and a reactor waits for its threads
    when it stops: half a minute after the time-out or Ctrl-C, if the name server is silent.
    """
    pool = reactor.getThreadPool()
    pool.threadFactory = partial(Thread, daemon=True)
    pool.stop = lambda: None
