"""
The pages of the documentation, and the code in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).absolute().parent.parent

_BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", re.MULTILINE)


def pages() -> list[Path]:
    """All of them."""
    return [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst")), ROOT / "docs/architecture/index.rst"]


def blocksOf(page: Path) -> Iterator[tuple[int, str]]:
    """The blocks of Python in a page: after how many lines each begins, and its text."""
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        lines = found[1].splitlines(keepends=True)
        yield text.count("\n", 0, found.start(1)), "".join(line[4:] or "\n" for line in lines)


def runPage(page: Path) -> dict[str, Any]:
    """Run the blocks of a page, one after the other; the names that they made."""
    space: dict[str, Any] = {"__name__": f"page_{page.stem}"}
    for line, text in blocksOf(page):
        exec(compile("\n" * line + text, str(page), "exec"), space)
    return space
