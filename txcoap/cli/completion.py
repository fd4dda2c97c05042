"""
How shells complete C{txcoap}'s flags: the scripts are written by the package shtab (C{pip install
txcoap[cli]}), from the same description of the command line.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

__all__ = ["SHELLS", "completionScript"]

SHELLS = ("bash", "zsh", "fish")


def completionScript(parser: argparse.ArgumentParser, shell: str) -> str:
    """
    The script to put where a shell looks for completions.

    @raise ImportError: without shtab.
    """
    import shtab

    values = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY}
    for action in _actionsOf(parser):
        if action.metavar in values:
            action.complete = values[action.metavar]  # type: ignore[attr-defined]
    script: str = shtab.complete(parser, shell)
    return script


def _actionsOf(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actionsOf(each)
