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

from .arguments import Arguments, newParser, parse
from .commands import perform
from .completion import completionScript
from .console import Console, OutputError
from .failures import Exit
from .preparing import Prepared, prepare
from .prompting import chooseReactor

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
    if arguments.command == "completion":
        sys.exit(_complete(arguments, console))
    prepared = prepare(arguments, console)
    if arguments.command == "shell":
        chooseReactor(console)
    try:
        react(partial(_start, arguments, prepared, console))
    finally:
        prepared.close()


def _complete(arguments: Arguments, console: Console) -> Exit:
    try:
        script = completionScript(newParser(), arguments.shell)
    except ImportError:
        arguments.refuse("this needs more packages: pip install 'txcoap[cli]'")
    try:
        console.writeLine(script)
    except BrokenPipeError:
        return Exit.BROKEN_PIPE
    except OutputError as e:
        arguments.refuse(str(e))
    return Exit.SUCCESS


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
    return Deferred.fromCoroutine(perform(reactor, arguments, prepared, console))


def _waitForNoThread(reactor: Any) -> None:
    """
    Let the process end while a name is still being looked up.

    Twisted's resolver does that in a thread that cannot be stopped, and a reactor waits for its threads
    when it stops: half a minute after the time-out or Ctrl-C, if the name server is silent.
    """
    pool = reactor.getThreadPool()
    pool.threadFactory = partial(Thread, daemon=True)
    pool.stop = lambda: None
