"""
The reference is whole: every public name of the package is listed and described, with what it raises. It is
read from the source, as pydoctor reads it, which has a page for all that does not begin with an underscore.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.test_architecture import PACKAGE
from txcoap import errors

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Definition = (*_Function, ast.ClassDef)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Each module by its path, but packages' heads and the command line."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name != "cli" and not path.stem.startswith("__"):
            yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text("utf-8"))


def listed(module: ast.Module) -> list[str] | None:
    """What a module's C{__all__} names."""
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def publicIn(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """The definitions that have public names, those within classes too."""
    for node in body:
        if isinstance(node, _Definition) and not node.name.startswith("_"):
            yield within + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from publicIn(node.body, f"{within}{node.name}.")


def undocumented(module: ast.Module) -> list[str]:
    """Public names without a docstring; an overload is described where its function is."""
    return [
        name
        for name, node in publicIn(module.body)
        if isinstance(node, _Definition)
        and not ast.get_docstring(node)
        and not any(ast.unparse(each) == "overload" for each in node.decorator_list)
    ]


def untold(module: ast.Module) -> list[str]:
    """
    Public functions that raise what their docstrings do not tell, by itself or by a class above it. Those
    that do what an interface says are described there.
    """
    found = []
    for name, node in publicIn(module.body):
        if isinstance(node, _Function):
            text = ast.get_docstring(node) or ""
            for raised in () if text.startswith("See ") else raisedIn(node):
                if not any(each in text for each in (raised, *above(raised))):
                    found.append(f"{name} raises {raised}")
    return found


def raisedIn(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The classes of exceptions that a function makes and raises, functions within it left out."""
    found = set()
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            found.add(ast.unparse(node.exc.func).rpartition(".")[2])
        if not isinstance(node, (*_Definition, ast.Lambda)):
            pending += ast.iter_child_nodes(node)
    return {name for name in found if name[:1].isupper()} - _PLAIN


# Part of Python's own protocols.
_PLAIN = {"NotImplementedError", "StopAsyncIteration"}


def above(name: str) -> list[str]:
    """The exceptions that one of the package is a kind of, but for C{CoAPError}, which says nothing."""
    found = getattr(errors, name, None)
    if not inspect.isclass(found):
        return []
    kinds = [each.__name__ for each in found.__mro__[1:] if each.__module__ == errors.__name__]
    return [each for each in kinds if each != "CoAPError"]


class CompleteTests(SynchronousTestCase):
    """What the source says of itself."""

    def test_listed(self) -> None:
        """Each module lists its public names in C{__all__}, and nothing that is not there."""
        for path, module in modules():
            names = listed(module)
            assert names is not None, f"{path} has no __all__"
            defined = {node.name for node in module.body if isinstance(node, _Definition)}
            self.assertEqual({name for name in defined if not name.startswith("_")} - set(names), set(), path)
            self.assertEqual([name for name in names if name.startswith("_")], [], path)

    def test_documented(self) -> None:
        """Each module and each public name has a docstring."""
        for path, module in modules():
            self.assertTrue(ast.get_docstring(module), path)
            self.assertEqual(undocumented(module), [], path)

    def test_raises(self) -> None:
        """What a public function raises is told in its docstring."""
        for path, module in modules():
            self.assertEqual(untold(module), [], path)


class ReadingTests(SynchronousTestCase):
    """What is missing is found."""

    def test_undocumented(self) -> None:
        """A function, a class and a method without a docstring; private ones need none."""
        module = ast.parse("def f(): ...\nclass C:\n    '''.'''\n    def m(self): ...\n    def _p(self): ...")
        self.assertEqual(undocumented(module), ["f", "C.m"])

    def test_untold(self) -> None:
        """An exception that is not told; a class above it tells enough."""
        source = "def f():\n    '''@raise {}: if so.'''\n    if f:\n        raise NotFound()\n"
        for told, count in (("ValueError", 1), ("NotFound", 0), ("ResponseError", 0), ("CoAPError", 1)):
            self.assertEqual(len(untold(ast.parse(source.format(told)))), count, told)
