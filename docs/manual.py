"""
Write the manual page of the command C{txcoap}, from the same description of the command line as its help::

    python docs/manual.py docs/txcoap.1

It is kept beside this file, and installed with the package; a test sees that it is up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from txcoap.cli.arguments import EXAMPLES, newParser
from txcoap.cli.failures import EXITS
from txcoap.cli.flags import COMMANDS

__all__ = ["manualPage"]

_SEE_ALSO = ("coap-client", "coap-server", "twistd")


def manualPage() -> str:
    """The page, for C{man}."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    parser = newParser()
    [subparsers] = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    yield r".\" Made by docs/manual.py."
    yield '.TH TXCOAP 1 "" "txcoap" "User Commands"'
    yield from (".SH NAME", r"txcoap \- ask CoAP servers, and serve files by CoAP")
    yield from (".SH SYNOPSIS", ".B txcoap", r".I COMMAND", r"[\fIFLAG\fR...] [\fIARGUMENT\fR]")
    yield ".SH COMMANDS"
    for name, command in subparsers.choices.items():
        yield from (".TP", _bold(name) + _arguments(command), _text(command.description))
    yield from (".SH FLAGS", "Each is for the commands that are named after it.")
    for action, commands in _flags(subparsers.choices):
        yield ".TP"
        yield ", ".join(map(_bold, action.option_strings)) + (
            _italic(action.metavar) if action.nargs != 0 else ""
        )
        yield _text(f"{_sentence(action.help)} {commands}")
    yield ".SH EXIT STATUS"
    for code, meaning in EXITS.items():
        yield from (".TP", _bold(str(int(code))), _text(_sentence(meaning)))
    yield from (".SH EXAMPLES", ".nf")
    yield from (_text(line.strip()) for line in EXAMPLES.splitlines()[1:])
    yield from (".fi", ".SH SEE ALSO")
    yield ", ".join(f"{_bold(name)}(1)" for name in _SEE_ALSO)


def _arguments(command: argparse.ArgumentParser) -> str:
    return "".join(_italic(each.metavar) for each in command._actions if not each.option_strings)


def _flags(choices: dict[str, argparse.ArgumentParser]) -> list[tuple[argparse.Action, str]]:
    """Each flag once, and the commands that have it, in brackets."""
    found: dict[tuple[tuple[str, ...], str], tuple[argparse.Action, list[str]]] = {}
    for name, command in choices.items():
        for action in command._actions:
            if action.option_strings and "--help" not in action.option_strings:
                key = (tuple(action.option_strings), action.help or "")
                found.setdefault(key, (action, []))[1].append(name)
    ordered = sorted(found.values(), key=lambda each: each[0].option_strings[-1])
    return [(action, f"({_namesOf(commands)})") for action, commands in ordered]


def _namesOf(commands: list[str]) -> str:
    missing = [name for name in COMMANDS if name not in commands]
    return f"all but {', '.join(missing)}" if len(missing) < 4 else ", ".join(commands)


def _sentence(text: str | None) -> str:
    words = " ".join((text or "").split())
    return f"{words[:1].upper()}{words[1:]}."


def _text(text: str | None) -> str:
    """Text in which nothing is an instruction."""
    escaped = (
        (text or "").replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("\u2026", "...")
    )
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def _bold(text: str) -> str:
    return rf"\fB{_text(text)}\fR"


def _italic(text: object) -> str:
    return rf" \fI{_text(str(text))}\fR"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(manualPage(), encoding="utf-8")
