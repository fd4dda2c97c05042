"""
The pages of the documentation, the code in them, and test cases that ask it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcoap import Code
from txcoap.testing import MemoryNetwork, StubAgent

ROOT = Path(__file__).absolute().parent.parent

_BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", re.MULTILINE)
_FILE = re.compile(r"^\.\. code-block:: python\n   :caption: (\S+)\n\n((?:    .*\n|\n)+)", re.MULTILINE)


def pages() -> list[Path]:
    """All of them."""
    docs = ROOT / "docs"
    found = [*sorted(docs.glob("*.rst")), *sorted(docs.glob("porting/*.rst"))]
    return [ROOT / "README.rst", *found, docs / "architecture/index.rst"]


def blocksOf(page: Path) -> Iterator[tuple[int, str]]:
    """The blocks of Python in a page: after how many lines each begins, and its text."""
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        lines = found[1].splitlines(keepends=True)
        yield text.count("\n", 0, found.start(1)), "".join(line[4:] or "\n" for line in lines)


def filesOf(page: Path) -> dict[str, str]:
    """The files that a page has a reader save, by their names; they are not among the blocks."""
    found = _FILE.findall(page.read_text("utf-8"))
    return {name: re.sub("^    ", "", text, flags=re.MULTILINE).rstrip() + "\n" for name, text in found}


def runPage(page: Path) -> dict[str, Any]:
    """Run the blocks of a page, one after the other; the names that they made."""
    space: dict[str, Any] = {"__name__": f"page_{page.stem}"}
    for line, text in blocksOf(page):
        exec(compile("\n" * line + text, str(page), "exec"), space)
    return space


class PageCase(SynchronousTestCase):
    """
    A page: its names, and an agent that asks its C{site} or C{root}.

    @ivar mains: What its examples gave to C{react}.
    """

    page = "README.rst"

    def setUp(self) -> None:
        self.mains: list[Callable[..., Any]] = []
        self.patch(task, "react", lambda main, *arguments: self.mains.append(main))
        self.space = runPage(ROOT / self.page)
        self.network = MemoryNetwork()

    def serve(self, resource: Any) -> StubAgent:
        """An agent that asks a resource."""
        self.agent = StubAgent(resource, network=self.network)
        return self.agent

    def answer(self, method: str, path: str, *body: Any, **how: Any) -> Any:
        """The response to a request."""
        return self.successResultOf(self.agent.request(method, f"coap://test/{path}", *body, **how))

    def assertCode(self, code: str, method: str, path: str, *body: Any, **how: Any) -> Any:
        """A request has this code; its response."""
        response = self.answer(method, path, *body, **how)
        self.assertEqual(response.code, Code(code))
        return response

    def runMain(self, main: Callable[..., Any]) -> str:
        """Run a C{main}; what it prints."""
        output = StringIO()
        with redirect_stdout(output):
            running = Deferred.fromCoroutine(main(self.network.clock))
            self.network.advance(1)
        self.successResultOf(running)
        return output.getvalue()

    def ask(self, asking: Any, seconds: float = 0.0) -> Any:
        """The result of a coroutine, when so much time has passed."""
        running = Deferred.fromCoroutine(asking)
        self.network.advance(seconds)
        return self.successResultOf(running)
