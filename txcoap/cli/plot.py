"""
The numbers in a resource's states as a line that grows, for whoever watches them at a terminal.

It needs the packages rich and sparklines (C{pip install txcoap[cli]}).
"""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any

from ..message import Response
from .console import Console
from .display import describeState, textOf

__all__ = ["Plot", "numberOf"]

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_KEPT = 1000


def numberOf(state: Response) -> float | None:
    """The number in a state: the first of a text, the newest value of JSON or SenML; None without one."""
    text = (textOf(state) or "").strip()
    if text[:1] in ("{", "["):
        try:
            return _numberIn(json.loads(text))
        except (ValueError, RecursionError):
            return None
    found = _NUMBER.search(text)
    return None if found is None else float(found[0])


def _numberIn(value: Any) -> float | None:
    while isinstance(value, list) and value:
        value = value[-1]
    if isinstance(value, dict):
        # "v" is SenML's name for it (RFC 8428 4.3).
        candidates = [value["v"]] if "v" in value else value.values()
        value = next((each for each in candidates if isinstance(each, (int, float))), None)
    isNumber = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if isNumber else None


class Plot:
    """
    Draws the numbers on the standard error, the newest at the right, on one line that stays.

    @param streams: Where.
    @raise ImportError: without rich and sparklines.
    """

    def __init__(self, streams: Console) -> None:
        from rich import console, live, text
        from sparklines import sparklines

        self._draw = sparklines
        self._text = text.Text
        self._console = console.Console(file=streams.stderr)
        # Without a refresh of its own: that would be a thread.
        self._live = live.Live(console=self._console, auto_refresh=False)
        self._numbers: deque[float] = deque(maxlen=_KEPT)
        self._live.start()

    def add(self, state: Response) -> None:
        """Draw one more; of a state without a number, its text."""
        number = numberOf(state)
        if number is not None:
            self._numbers.append(number)
        caption = self._caption() if number is not None else describeState(state).partition("\n")[0]
        room = max(8, self._console.width - len(caption) - 3)
        shown = list(self._numbers)[-room:]
        # From the lowest on: below zero the library would draw on a second line.
        low = min(shown, default=0.0)
        [line] = self._draw([each - low for each in shown]) if shown else [""]
        self._live.update(self._text(f"{line}  {caption}", no_wrap=True), refresh=True)

    def _caption(self) -> str:
        low, high = min(self._numbers), max(self._numbers)
        return f"{self._numbers[-1]:g} (from {low:g} to {high:g})"

    def close(self) -> None:
        """What is drawn stays."""
        self._live.stop()
