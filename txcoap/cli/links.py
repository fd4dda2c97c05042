"""
The links of a server, as a table or a tree; on terminals with the package rich (C{pip install txcoap[cli]}),
which folds what does not fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..linkformat import Link
from .console import Console
from .display import columns, table, tree

__all__ = ["showLinks"]


def showLinks(links: Sequence[Link], asTree: bool, console: Console) -> None:
    """Write them to the standard output."""
    if asTree:
        lines = list(tree(links))
    elif console.stdout.isatty():
        try:
            lines = _folded(links, console)
        except ImportError:
            lines = list(table(links))
    else:
        lines = list(table(links))
    for line in lines:
        console.writeLine(line)


def _folded(links: Sequence[Link], console: Console) -> list[str]:
    """
    A table as wide as the terminal.

    @raise ImportError: without rich.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console as Terminal
    from rich.table import Table
    from rich.text import Text

    names, rows = columns(links)
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in names:
        shown.add_column(name.upper(), overflow="fold", style="bold" if name == "path" else None)
    for row in rows:
        # As texts, in which no brackets stand for styles.
        shown.add_row(*[Text(row[name]) for name in names])
    isColored = console.outputPaint.isOn
    terminal = Terminal(
        force_terminal=isColored, no_color=not isColored, color_system="standard" if isColored else None
    )
    with terminal.capture() as captured:
        terminal.print(shown)
    return [line.rstrip() for line in captured.get().splitlines()]
