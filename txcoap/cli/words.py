"""
The commands of C{txcoap shell}: what there is, how their words are read, and what words can become.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from ..errors import InvalidURI
from ..linkformat import Link
from ..uri import URI
from .arguments import Arguments, Parser
from .colors import printable
from .flags import COMMANDS, METHODS_WITH_BODY, addFlags
from .typed import argument

__all__ = ["ASKING", "ENDS", "OWN", "Said", "readerOf", "suggestions"]

ASKING = {name: meaning for name, meaning in COMMANDS.items() if name not in {"serve", "shell", "completion"}}
"""What asks the server, as C{txcoap} does, and what it does."""

OWN = {
    "ls": "[PATH]: list what is there, one step below",
    "tree": "[PATH]: list all that is below",
    "cd": "[PATH]: go to a path, which others then begin at; or to another server, by its URI",
    "pwd": "tell where this is",
    "info": "[PATH]: tell what the server says of a resource",
    "jobs": "list what goes on in the background; a command goes there with & as its last word",
    "cancel": "[NUMBER...]: end that, or all of it",
    "wait": "wait until it is over",
    "help": "[COMMAND]: tell what commands there are, or a command's flags",
    "quit": "leave; so does the end of the input",
}
"""The other commands, and what they do."""

ENDS = frozenset({"quit", "exit"})

Resolve = Callable[[str], URI]
Below = Callable[[URI], Iterable[Link]]


class Said(Exception):
    """
    Nothing is to be done: what was said is wrong, or help was asked for.

    @ivar isHelp: Whether the text is that help.
    """

    def __init__(self, text: str, isHelp: bool = False) -> None:
        super().__init__(text)
        self.isHelp = isHelp


class _Reader(Parser):
    """Reads a command's words, and neither writes nor exits."""

    def read(self, words: Sequence[str]) -> Arguments:
        """
        What the words say.

        @raise Said: if they are wrong, or ask for help.
        """
        # Parsed apart: what Arguments has, argparse takes for said.
        found, rest = self.parse_known_intermixed_args(words)
        if rest:
            self.errorOfRest(rest)
        said = vars(found)
        body = said.pop("words", [])
        arguments = Arguments(command=self.prog, **{"refuse": self.refuse, **said})
        if arguments.file == "-":
            self.refuse("there is no standard input to read in this shell; name a file")
        if body:
            if arguments.text is not None or arguments.file is not None or arguments.cbor is not None:
                self.refuse(f"the body is {' '.join(body)!r}, or what the flag says, not both")
            arguments.text = " ".join(body)
        return arguments

    def print_help(self, file: Any = None) -> NoReturn:
        """Say it."""
        raise Said(self.format_help(), isHelp=True)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Say why."""
        raise Said((message or "").strip())


def readerOf(command: str, resolve: Resolve) -> _Reader:
    """
    What reads the words of a command that asks.

    @param resolve: Reads the path, of which C{.} stands for none.
    """
    description = ASKING[command]
    reader = _Reader(prog=command, description=f"{description[0].upper()}{description[1:]}.")
    reader.add_argument(
        "uri",
        metavar="PATH",
        nargs="?",
        type=argument(resolve),
        default=".",
        help="the resource, by its path from here or, after a slash, from the server; or a URI",
    )
    if command in METHODS_WITH_BODY:
        reader.add_argument(
            "words",
            metavar="TEXT",
            nargs="*",
            help="the body, as text; in quotes where it has quotes or spaces",
        )
    addFlags(reader, command)
    return reader


def suggestions(line: str, resolve: Resolve, below: Below, jobs: Sequence[int]) -> Iterator[str]:
    """
    What the last word of a line can become: a command, a flag, or a path that the server lists.

    @param below: The links one step below a place.
    @param jobs: The numbers in the background.
    """
    command, *between, last = line.lstrip().split(" ") if " " in line.lstrip() else ("", line.lstrip())
    if not command:
        candidates: Iterable[str] = sorted([*OWN, *ASKING])
    elif command == "cancel":
        candidates = map(str, jobs)
    elif command == "help":
        candidates = sorted([*OWN, *ASKING])
    elif last.startswith("-"):
        candidates = _flagsOf(command, resolve)
    else:
        candidates = _paths(last, resolve, below)
    yield from (each for each in candidates if each.startswith(last))


def _flagsOf(command: str, resolve: Resolve) -> list[str]:
    if command not in ASKING:
        return []
    actions = readerOf(command, resolve)._actions
    return [flag for action in actions for flag in action.option_strings if flag.startswith("--")]


def _paths(last: str, resolve: Resolve, below: Below) -> Iterator[str]:
    directory, mark, _ = last.rpartition("/")
    try:
        links = below(resolve(f"{directory}{mark}" or "."))
    except InvalidURI:
        return
    for link in links:
        # From a server, and shown as it is typed.
        yield printable(f"{directory}{mark}{link.target}")
