"""
What text does to a terminal: colours for people, unless they are refused (https://no-color.org), and
nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

__all__ = ["PLAIN", "Paint", "colorOfCode", "newPaint", "printable"]

# Select Graphic Rendition, ECMA-48 8.3.117.
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}

_BY_CLASS = {2: "green", 4: "yellow", 5: "red"}


class Paint:
    """
    Colours text.

    @ivar isOn: Whether it does; else text stays as it is.
    """

    def __init__(self, isOn: bool) -> None:
        self.isOn = isOn

    def __call__(self, text: str, color: str | None) -> str:
        """The text in a colour."""
        return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if self.isOn and color is not None else text


PLAIN = Paint(False)
"""Text as it is."""


def newPaint(when: str, stream: Any, environment: Mapping[str, str] = os.environ) -> Paint:
    """
    What colours the text on a stream.

    @param when: C{"auto"}, C{"always"} or C{"never"}.
    """
    if when == "auto":
        # Set to something; an empty one counts as not set.
        isRefused = bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb"
        return Paint(_isTerminal(stream) and not isRefused)
    return Paint(when == "always")


def _isTerminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except ValueError:
        # It is closed.
        return False


def colorOfCode(codeClass: int) -> str | None:
    """The colour of a response code: green for 2.xx, yellow for 4.xx, red for 5.xx."""
    return _BY_CLASS.get(codeClass)


def printable(text: str) -> str:
    r"""
    Text that does nothing to a terminal: what is not printable is escaped, as in C{"\x1b"}.
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
