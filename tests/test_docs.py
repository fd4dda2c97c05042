"""
The documentation is true: each of its examples is run, each command in it is one that exists, and its
tables are complete. What the pages claim of their examples is tested in L{tests.test_pages} and
L{tests.test_pages_streams}.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import fields
from io import StringIO
from typing import Any
from unittest import TestResult

from twisted.internet import task
from twisted.python.systemd import ListenFDs
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tests.pages import ROOT, blocksOf, pages, runPage
from tests.test_architecture import PACKAGE, SANSIO, SHELL, VALUES, ringOf
from txcoap import CoAPProtocol, Limits, Resource, endpoints, errors, tap
from txcoap.cli import arguments
from txcoap.parameters import DEFAULT_PARAMETERS, PRESETS, Parameters

EXAMPLE_SOCKETS = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}


def commandsOf(text: str) -> Iterator[list[str]]:
    """The commands C{txcoap} and C{twistd} in a page's literal blocks, by words."""
    for line in re.findall(r"^ {4,}(?:\$ )?((?:\S+ \| )?(?:txcoap|twistd) .*)", text, re.MULTILINE):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, "|"]:
            if word not in {"|", ";", "&", "&&", "||", "<", ">"}:
                words.append(word)
            else:
                if words[:1] in (["txcoap"], ["twistd"]):
                    yield words
                words = []


def namesIn(text: str, title: str) -> list[str]:
    """The names in the first column of the table of a page whose first head is C{title}."""
    table = re.search(rf"   \* - {title}\n(.*?)(?=\n\S|\Z)", text, re.DOTALL)
    assert table is not None
    cells: list[str] = re.findall(r"   \* - (``.*)", table[1])
    return [name for cell in cells for name in re.findall(r"``(\w+)``", cell.partition(" (")[0])]


class ExampleTests(SynchronousTestCase):
    """The code in the pages."""

    def test_run(self) -> None:
        """Every block runs, after those before it; test cases among them pass."""
        self.patch(task, "react", lambda main, *arguments: None)
        ran = 0
        for page in pages():
            space = runPage(page)
            for case in list(space.values()):
                if isinstance(case, type) and issubclass(case, SynchronousTestCase):
                    for name in [each for each in vars(case) if each.startswith("test_")]:
                        result = TestResult()
                        case(name).run(result)
                        self.assertEqual(result.errors + result.failures, [], f"{page}: {name}")
                        ran += 1
        self.assertGreaterEqual(ran, 5)

    def test_there(self) -> None:
        """There are examples where one looks for them."""
        for name in ("README", "docs/server", "docs/client", "docs/bodies", "docs/observe", "docs/testing"):
            self.assertNotEqual(list(blocksOf(ROOT / f"{name}.rst")), [], name)


class CommandTests(SynchronousTestCase):
    """The commands in the pages."""

    def setUp(self) -> None:
        self.patch(tap, "findResources", lambda name: Resource())
        self.patch(tap, "findFiles", lambda *how: Resource())
        sockets = {**EXAMPLE_SOCKETS, "LISTEN_FDNAMES": "coap.socket"}
        self.patch(endpoints, "_inherited", ListenFDs.fromEnvironment(sockets))

    def check(self, words: list[str]) -> str | None:
        """What is wrong with a command."""
        if words[0] == "txcoap":
            complaint = StringIO()
            try:
                with redirect_stderr(complaint):
                    arguments.parse(words[1:])
            except SystemExit as e:
                return complaint.getvalue() if e.code else None
        elif "coap" in words:
            try:
                tap.Options().parseOptions(words[words.index("coap") + 1 :])
            except UsageError as e:
                return str(e)
        return None

    def test_exist(self) -> None:
        """Each is understood by what it calls."""
        seen = 0
        for page in pages():
            for words in commandsOf(page.read_text("utf-8")):
                if "COMMAND" not in words:
                    self.assertIsNone(self.check(words), f"{page.name}: {' '.join(words)}")
                    seen += 1
        self.assertGreater(seen, 10)

    def test_units(self) -> None:
        """So are those of the systemd units."""
        units = list((ROOT / "examples" / "systemd").glob("*.service"))
        for unit in units:
            found = re.search(r"ExecStart=/usr/bin/(.*)", unit.read_text("utf-8"))
            assert found is not None
            self.assertIsNone(self.check(found[1].split()), unit.name)
        self.assertEqual(len(units), 2)

    def test_checked(self) -> None:
        """A command that does not exist would be noticed."""
        self.assertIsNotNone(self.check(["txcoap", "get", "--nonsense", "coap://localhost/"]))
        self.assertIsNotNone(self.check(["twistd", "-n", "coap", "--nonsense"]))

    def test_options(self) -> None:
        """The page on running names every option of C{twistd coap}, and no other."""
        text = (ROOT / "docs" / "running.rst").read_text("utf-8")
        named = set(re.findall(r"``(--[a-z-]+)", text)) - {"--help"}
        options = tap.Options()
        known = {f"--{each}" for each in options.docs if len(each) > 1} - {"--version", "--help"}
        self.assertEqual(named, known)

    def test_endpoints(self) -> None:
        """Each place to listen at is one."""
        text = (ROOT / "docs" / "running.rst").read_text("utf-8")
        found = re.findall(r"``((?:udp|unix|fd|systemd):[^`]+)``", text)
        self.assertGreater(len(found), 6)
        for each in found:
            self.assertTrue(endpoints.serverFromString(None, each))


class TableTests(SynchronousTestCase):
    """Tables that are to be complete."""

    def page(self, name: str) -> str:
        """A page's text."""
        return (ROOT / "docs" / f"{name}.rst").read_text("utf-8")

    def test_limits(self) -> None:
        """Each limit has its line, with its default."""
        text = self.page("limits")
        self.assertEqual(namesIn(text, "Limit"), [each.name for each in fields(Limits)])
        for name, default in re.findall(r"   \* - ``(\w+)``\n     - ([\d,]+(?: MiB)?)\n", text):
            number, _, unit = default.partition(" ")
            value = int(number.replace(",", "")) * (2**20 if unit else 1)
            self.assertEqual(value, getattr(Limits(), name), name)

    def test_parameters(self) -> None:
        """So have the transmission parameters, and the times that follow from them."""
        text = self.page("timing")
        self.assertEqual(namesIn(text, "Parameter"), [each.name for each in fields(Parameters)])
        derived = [name for name, each in vars(Parameters).items() if isinstance(each, property)]
        self.assertEqual(namesIn(text, "Time"), derived)
        for name, default in re.findall(r"   \* - ``([A-Z_]+)``\n     - ([\d.]+)\n", text):
            self.assertEqual(float(default), getattr(DEFAULT_PARAMETERS, name), name)
        self.assertEqual(re.findall(r"^``(\w+)``, ``\w+_PARAMETERS``$", text, re.MULTILINE), list(PRESETS))

    def test_counters(self) -> None:
        """So have the counters and the tables of a socket."""
        text = self.page("limits")
        health = CoAPProtocol(None, task.Clock()).health()
        self.assertEqual(sorted(namesIn(text, "Counter")), sorted(health.counters))
        self.assertEqual(sorted(namesIn(text, "Table")), sorted(health.tables))

    def test_figures(self) -> None:
        """The operations guide says of every counter what it means when it grows."""
        health = CoAPProtocol(None, task.Clock()).health()
        self.assertEqual(sorted(namesIn(self.page("operations"), "Figure")), sorted(health.counters))

    def test_failures(self) -> None:
        """Each failure of a request has its line, and is the exception of Python's that stands with it."""
        text = self.page("client")
        known = {
            name
            for name in errors.__all__
            if issubclass(getattr(errors, name), errors.RequestError) and name != "RequestError"
        }
        self.assertEqual(set(namesIn(text, "Class")), known)
        beside: dict[str, Any] = dict(re.findall(r"   \* - ``(\w+)`` \(``(\w+)``\)", text))
        for name in known:
            also = {each.__name__ for each in getattr(errors, name).__bases__} - {"RequestError"}
            self.assertEqual({beside[name]} if name in beside else set(), also, name)

    def test_modules(self) -> None:
        """The architecture names every module of the package, and none that is not there."""
        text = (ROOT / "docs" / "architecture" / "index.rst").read_text("utf-8")
        known = {
            str(path.relative_to(PACKAGE).with_suffix(""))
            for path in PACKAGE.rglob("*.py")
            if not path.stem.startswith("__") and path.parent.name != "cli"
        } | {"cli"}
        named = re.findall(r"   \* - ``([a-z/]+)``", text)
        self.assertEqual(sorted(named), sorted(known))

    def test_rings(self) -> None:
        """It names each in the ring that it is in."""
        text = (ROOT / "docs" / "architecture" / "index.rst").read_text("utf-8")
        for heading, rows in re.findall(r"\n(.+)\n~~+\n((?:.|\n)*?)(?=\n.+\n[~-]{2,}\n)", text):
            ring = {"Values": VALUES, "sansio": SANSIO}.get(heading, SHELL)
            for name in re.findall(r"   \* - ``([a-z/]+)``", rows):
                self.assertEqual(ringOf(f"txcoap.{name.replace('/', '.')}"), ring, name)
