"""
The command C{txcoap}: ask CoAP servers from a shell (C{txcoap --help}).

C{arguments} reads the command line, which needs neither Twisted nor an agent; all else follows C{running}.
C{console} has the streams and files, C{commands} asks, C{display} puts messages and links into words,
C{failures} what went wrong; C{observing} watches, C{serving} serves, and C{shell} is one.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from .arguments import Arguments, newParser, parse
from .completion import completionScript
from .console import Console, OutputError
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
    if arguments.command == "completion":
        sys.exit(_complete(arguments, console))
    from .running import run

    run(arguments, console)


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
