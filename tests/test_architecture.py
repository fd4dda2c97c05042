"""
The rings of the package, read from its source: values, which C{sansio} stands on, which the Twisted
shell stands on. Imports point inwards only.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import txcoap

PACKAGE = Path(txcoap.__file__).parent

VALUES, SANSIO, SHELL = 1, 2, 3

# fmt: off
VALUE_MODULES = frozenset({
    "allowlist", "block", "codes", "definitions", "errors", "formats", "groups", "headers", "limits",
    "linkformat", "message", "options", "parameters", "patterns", "registration", "spelling", "uri",
})
# fmt: on

# What rings 1 and 2 must do without: the network, the clock, the system's chance, threads, logs.
NETWORK = frozenset({"asyncio", "select", "selectors", "socket", "ssl", "twisted", "zope"})
SYSTEM = frozenset({"logging", "os", "signal", "subprocess", "threading"})
TIME_AND_CHANCE = frozenset({"datetime", "secrets", "time", "uuid"})
FORBIDDEN = NETWORK | SYSTEM | TIME_AND_CHANCE

# Names in forbidden modules that do no harm, imported by name, and why.
HARMLESS = {"os.strerror": "a table of texts"}

# Imports that stand inside functions, and why: (importing module or "*" for any, imported name).
INSIDE_FUNCTIONS = {
    ("*", "twisted.internet.reactor"): "importing the reactor installs it",
    ("txcoap.clocks", "ctypes"): "importing it fails where memory may not be made executable",
    ("txcoap.cli.progress", "rich.console"): "an extra, and slow to import; few commands take long",
    ("txcoap.cli.progress", "rich.progress"): "likewise",
    ("txcoap.cli.plot", "rich.console"): "likewise; it is asked for by a flag",
    ("txcoap.cli.plot", "rich.live"): "likewise",
    ("txcoap.cli.plot", "rich.text"): "likewise",
    ("txcoap.cli.plot", "sparklines.sparklines"): "likewise",
    ("txcoap.cli.links", "rich.box.SIMPLE_HEAD"): "an extra, and slow to import; only terminals get it",
    ("txcoap.cli.links", "rich.console.Console"): "likewise",
    ("txcoap.cli.links", "rich.table.Table"): "likewise",
    ("txcoap.cli.links", "rich.text.Text"): "likewise",
    ("txcoap.cli.notation", "cbor2"): "an extra, for bodies in CBOR",
    ("txcoap.cli.completion", "shtab"): "an extra, for one subcommand",
    ("txcoap.cli.prompting", "prompt_toolkit.PromptSession"): "an extra, for lines typed at a terminal",
    ("txcoap.cli.prompting", "prompt_toolkit.completion"): "likewise",
    ("txcoap.cli.prompting", "prompt_toolkit.application.current"): "likewise",
    ("txcoap.cli.prompting", "prompt_toolkit.application.run_in_terminal"): "likewise",
    ("txcoap.cli", "txcoap.cli.running.run"): "slow to import, and not needed for help",
    ("txcoap.cli.running", "txcoap.cli.prompting.chooseReactor"): "slow to import, and needed by one command",
    ("txcoap.cli.running", "txcoap.cli.serving.serve"): "likewise",
    ("txcoap.cli.running", "txcoap.cli.shell.shell"): "likewise",
    ("txcoap.cli.prompting", "asyncio"): "for prompt_toolkit",
    ("txcoap.cli.prompting", "twisted.internet.asyncioreactor"): "for prompt_toolkit, which needs it",
}


@dataclass(frozen=True)
class Import:
    """One name that a module imports."""

    module: str
    name: str
    line: int
    inFunction: bool
    forTyping: bool


def ringOf(module: str) -> int:
    """The ring that a module of the package is in."""
    first = module.split(".")[1:2]
    if first == ["sansio"]:
        return SANSIO
    return VALUES if first and first[0] in VALUE_MODULES else SHELL


def importsOf(module: str, source: str, isPackage: bool) -> Iterator[Import]:
    """Every import of a module, wherever it stands."""

    def names(node: ast.Import | ast.ImportFrom) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        base = node.module or ""
        if node.level:
            parts = module.split(".")
            parts = parts[: len(parts) - node.level + isPackage]
            base = ".".join([*parts, base] if base else parts)
        return [f"{base}.{alias.name}" for alias in node.names]

    def walk(node: ast.AST, inFunction: bool, forTyping: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                for name in names(child):
                    yield Import(module, name, child.lineno, inFunction, forTyping)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(child, inFunction, True)
            else:
                isFunction = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, inFunction or isFunction, forTyping)

    yield from walk(ast.parse(source), False, False)


class Package:
    """The modules of a package by full name, and what is wrong with their imports."""

    def __init__(self, sources: Mapping[str, str], packages: Iterable[str] = ()) -> None:
        self.sources = sources
        packages = set(packages)
        self.imports = [
            found
            for module, source in sources.items()
            for found in importsOf(module, source, module in packages)
        ]

    def target(self, name: str) -> str | None:
        """The module of this package that an imported name is or is in; None for others' names."""
        while name and name not in self.sources:
            name = name.rpartition(".")[0]
        return name or None

    def outwardImports(self) -> list[str]:
        """Imports of an outer ring from an inner one, those for type hints included."""
        return [
            f"{each.module}:{each.line} imports {each.name}, which is further out"
            for each in self.imports
            if (target := self.target(each.name)) and ringOf(target) > ringOf(each.module)
        ]

    def forbiddenImports(self) -> list[str]:
        """Imports of the outside world from rings 1 and 2."""
        return [
            f"{each.module}:{each.line} imports {each.name}"
            for each in self.imports
            if ringOf(each.module) < SHELL
            and each.name.split(".")[0] in FORBIDDEN
            and each.name not in HARMLESS
        ]

    def globalChance(self) -> list[str]:
        """Use in rings 1 and 2 of more of C{random} than the name of the class C{Random}."""
        found = [
            f"{each.module}:{each.line} imports {each.name}"
            for each in self.imports
            if ringOf(each.module) < SHELL
            and each.name.startswith("random.")
            and each.name != "random.Random"
        ]
        for module, source in self.sources.items():
            if ringOf(module) == SHELL:
                continue
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Attribute):
                    used = ast.unparse(node)
                    if used.startswith("random.") and used != "random.Random":
                        found.append(f"{module}:{node.lineno} uses {used}")
                if isinstance(node, ast.Call) and ast.unparse(node.func) in MAKES_CHANCE:
                    found.append(f"{module}:{node.lineno} makes chance of its own")
        return found

    def hiddenImports(self) -> list[str]:
        """Imports inside functions that are not on the list."""
        return [
            f"{each.module}:{each.line} imports {each.name} inside a function"
            for each in self.imports
            if each.inFunction
            and (each.module, each.name) not in INSIDE_FUNCTIONS
            and ("*", each.name) not in INSIDE_FUNCTIONS
        ]

    def earlyReactors(self) -> list[str]:
        """Imports of the reactor when a module is imported."""
        return [
            f"{each.module}:{each.line} imports the reactor at module level"
            for each in self.imports
            if each.name == "twisted.internet.reactor" and not (each.inFunction or each.forTyping)
        ]

    def cycles(self) -> list[str]:
        """A ring of modules that import each other at run time, if there is one."""
        graph: dict[str, set[str]] = {module: set() for module in self.sources}
        for each in self.imports:
            target = self.target(each.name)
            if target and target != each.module and not each.forTyping:
                graph[each.module].add(target)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return [" imports ".join(reversed(error.args[1]))]
        return []


MAKES_CHANCE = frozenset({"random.Random", "Random"})


def installedPackage() -> Package:
    """The package as it stands."""
    sources, packages = {}, []
    for path in PACKAGE.rglob("*.py"):
        parts = [PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
            packages.append(".".join(parts))
        sources[".".join(parts)] = path.read_text(encoding="utf-8")
    return Package(sources, packages)


class RingTests(SynchronousTestCase):
    """The package keeps its rings."""

    package = installedPackage()

    def test_found(self) -> None:
        """The modules named as values exist: a renamed one does not slip out of its ring."""
        there = {name.split(".")[1] for name in self.package.sources if "." in name}
        self.assertEqual(VALUE_MODULES - there, frozenset())

    def test_inwards(self) -> None:
        """Values import values only, sansio imports values and sansio only."""
        self.assertEqual(self.package.outwardImports(), [])

    def test_outsideWorld(self) -> None:
        """Values and sansio import no Twisted, clock, socket, thread or log."""
        self.assertEqual(self.package.forbiddenImports(), [])

    def test_chance(self) -> None:
        """In values and sansio chance is an argument, a C{random.Random}."""
        self.assertEqual(self.package.globalChance(), [])

    def test_insideFunctions(self) -> None:
        """An import stands inside a function only for a reason that is written down here."""
        self.assertEqual(self.package.hiddenImports(), [])

    def test_reactor(self) -> None:
        """Importing txcoap does not choose the reactor."""
        self.assertEqual(self.package.earlyReactors(), [])

    def test_lazily(self) -> None:
        """What the package offers is imported when it is used; the command line is read without Twisted."""
        homes = {
            each.name.split(".")[2]: each.name.split(".")[1]
            for each in self.package.imports
            if each.module == "txcoap" and each.forTyping
        }
        self.assertEqual(sorted(homes), sorted(txcoap.__all__))
        for name, module in homes.items():
            self.assertIs(getattr(txcoap, name), vars(import_module(f"txcoap.{module}"))[name])
        self.assertLessEqual(set(txcoap.__all__), set(dir(txcoap)))
        self.assertRaises(AttributeError, getattr, txcoap, "nothing")
        code = "import sys, txcoap.cli as cli; cli.parse(['get', 'h']); sys.exit('twisted' in sys.modules)"
        found = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=False)
        self.assertEqual(found.returncode, 0)

    def test_cycles(self) -> None:
        """No module imports itself by way of others."""
        self.assertEqual(self.package.cycles(), [])


class PackageTests(SynchronousTestCase):
    """The reading of the source finds what it should."""

    def complaints(self, module: str, source: str) -> dict[str, int]:
        """How often each rule is broken by one module beside a small package."""
        sources = {
            "txcoap": "",
            "txcoap.codes": "",
            "txcoap.sansio": "",
            "txcoap.sansio.events": "from txcoap import codes",
            "txcoap.client": "from txcoap.sansio.events import Event",
        }
        package = Package({**sources, module: source}, ["txcoap", "txcoap.sansio"])
        found = {
            "outward": package.outwardImports(),
            "forbidden": package.forbiddenImports(),
            "chance": package.globalChance(),
            "hidden": package.hiddenImports(),
            "reactor": package.earlyReactors(),
            "cycle": package.cycles(),
        }
        return {rule: len(lines) for rule, lines in found.items() if lines}

    def test_good(self) -> None:
        """Inward imports, and C{random} for the name of its class, break no rule."""
        source = "import random\nfrom txcoap.codes import Code\ndef f(chance: random.Random): ..."
        self.assertEqual(self.complaints("txcoap.sansio.messaging", source), {})

    def test_outward(self) -> None:
        """An outward import is found, also a relative one, or one for typing only."""
        for source in (
            "from txcoap.client import Agent",
            "import txcoap.client",
            "from ..client import Agent",
            "from txcoap import Agent",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from txcoap import client",
        ):
            self.assertEqual(self.complaints("txcoap.sansio.blocks", source), {"outward": 1}, source)
        self.assertEqual(self.complaints("txcoap.uri", "from .sansio import events"), {"outward": 1})

    def test_forbidden(self) -> None:
        """The outside world is found in rings 1 and 2, and allowed in the shell."""
        for source in ("import time", "from twisted.internet import defer", "import os.path"):
            self.assertEqual(self.complaints("txcoap.codes", source), {"forbidden": 1}, source)
            self.assertEqual(self.complaints("txcoap.driver", source), {}, source)
        self.assertEqual(self.complaints("txcoap.codes", "from os import strerror"), {})

    def test_chance(self) -> None:
        """The module's own generator, and a generator made on the spot, are found."""
        for source in (
            "import random\nx = random.random()",
            "from random import choice",
            "import random\ndef f(): return random.Random(1)",
        ):
            self.assertEqual(self.complaints("txcoap.sansio.blocks", source), {"chance": 1}, source)

    def test_hidden(self) -> None:
        """An import in a function is found; the reactor's is allowed there and nowhere else."""
        self.assertEqual(self.complaints("txcoap.tap", "def f():\n    import json"), {"hidden": 1})
        source = "from twisted.internet import reactor"
        self.assertEqual(self.complaints("txcoap.tap", f"def f():\n    {source}"), {})
        self.assertEqual(self.complaints("txcoap.tap", source), {"reactor": 1})

    def test_cycle(self) -> None:
        """A cycle is found, also when it closes inside a function; one for typing only is none."""
        source = "from txcoap.client import Agent"
        typing = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {source}"
        client = "from txcoap import server"
        for each, expected in ((source, 1), (f"def f():\n    {source}", 1), (typing, 0)):
            package = Package({"txcoap": "", "txcoap.server": each, "txcoap.client": client})
            self.assertEqual(len(package.cycles()), expected, each)
