"""
Write an intersphinx inventory of the names outside txcoap that its docstrings may link to.

pydoctor wants to know every link's target. Fetching Twisted's and Python's inventories would make
the build need the network; so this lists the names that txcoap imports, their members, and the
names written out in full in docstrings, each once it is shown to exist.
"""

import ast
import builtins
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from twisted.python.reflect import namedAny

PACKAGE = Path(__file__).parent.parent / "txcoap"

# The project a name belongs to, by its beginning; and where its documentation for a name is.
PLACES = {
    "twisted.": "https://docs.twisted.org/en/stable/api/{name}.html",
    "zope.": "https://zopeinterface.readthedocs.io/en/latest/api/index.html",
    "": "https://docs.python.org/3/library/{module}.html#{name}",
}
IN_FULL = re.compile(r"L\{(?:[^{}<]*<)?([a-z][a-z0-9_]*(?:\.\w+)+)>?\}")


def mentioned(source: str) -> Iterator[str]:
    """The full names of what one module imports and of what its docstrings link to."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
    yield from IN_FULL.findall(source)


def withMembers(name: str) -> Iterator[str]:
    """The name and, if it is a class's, its public members'; nothing for a name of nothing."""
    try:
        found = namedAny(name)
    except Exception:  # whatever a wrong name leads to, pydoctor will complain of the link
        return
    yield name
    if isinstance(found, type) or hasattr(found, "namesAndDescriptions"):
        members = dir(found) if isinstance(found, type) else found.names(all=True)
        yield from (f"{name}.{member}" for member in members if not member.startswith("_"))


def location(name: str) -> str:
    """Where the documentation of a name outside txcoap is."""
    module = name.rpartition(".")[0] or "functions"
    pattern = next(place for start, place in PLACES.items() if name.startswith(start))
    return pattern.format(name=name, module=module)


def main(target: str) -> None:
    """Write the inventory to a file."""
    names = set(dir(builtins))
    for path in PACKAGE.rglob("*.py"):
        names.update(mentioned(path.read_text(encoding="utf-8")))
    outside = sorted(
        member
        for name in names
        if not name.startswith(("txcoap", "_"))
        for member in withMembers(f"builtins.{name}" if "." not in name else name)
    )
    lines = []
    for full in outside:
        name = full.removeprefix("builtins.")
        lines.append(f"{name} py:obj 1 {location(name)} -\n")
    head = "# Sphinx inventory version 2\n# Project: outside\n# Version: \n"
    body = zlib.compress("".join(lines).encode())
    Path(target).write_bytes(f"{head}# The remainder is compressed using zlib.\n".encode() + body)


if __name__ == "__main__":
    main(sys.argv[1])
