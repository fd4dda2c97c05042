"""
Tests for L{txcoap.patterns}: paths with parameters.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap.patterns import CONVERTERS, Parameter, Pattern, PatternTree


def tree(*texts: str, **converters: Any) -> PatternTree[str]:
    """A tree with the text of each pattern at its place."""
    made = PatternTree(lambda pattern: pattern.text)
    for text in texts:
        made.at(Pattern(text, {**CONVERTERS, **converters}))
    return made


def found(patterns: PatternTree[str], path: str) -> Any:
    """The pattern that a path leads to, and the values of its parameters."""
    match = patterns.find(tuple(path.split("/")[1:]) if path != "/" else ())
    return match and (match[0], *match[1])


class PatternTests(SynchronousTestCase):
    """A path is read."""

    def test_segments(self) -> None:
        """Text and parameters, by whole segments."""
        pattern = Pattern("/a b/<name>/<int:number>/<path:rest>")
        self.assertEqual(pattern.segments[0], "a b")
        self.assertEqual(pattern.segments[1], Parameter("name", "str", str))
        self.assertEqual(pattern.names, ("name", "number", "rest"))
        self.assertEqual(Pattern("/").segments, ())
        self.assertEqual(Pattern("/a/").segments, ("a", ""))
        self.assertEqual(repr(pattern), "<Pattern /a b/<name>/<int:number>/<path:rest>>")

    def test_fill(self) -> None:
        """Parameters make a path of it again."""
        pattern = Pattern("/a/<int:n>/<name>/<path:rest>")
        values = {"n": 5, "name": "x/y", "rest": "b/c"}
        self.assertEqual(pattern.fill(values), ("a", "5", "x/y", "b", "c"))
        self.assertEqual(Pattern("/").fill({}), ())
        for wrong in ({}, {**values, "z": 1}, {**values, "n": "x"}, {**values, "n": -1}):
            self.assertRaises(ValueError, pattern.fill, wrong)

    def test_wrong(self) -> None:
        """What is no pattern is a C{ValueError} that says why."""
        for text, complaint in (
            ("", "begins with a slash"),
            ("a", "begins with a slash"),
            ("/a<b>", "a whole segment"),
            ("/<a", "a whole segment"),
            ("/<a>x", "a whole segment"),
            ("/<>", "'' in '/<>' is no name"),
            ("/<1>", "'1' in '/<1>' is no name"),
            ("/<class>", "is no name"),
            ("/<int:>", "is no name"),
            ("/<hex:a>", "no converter is called 'hex', in '/<hex:a>'; there are int, float, str, path"),
            ("/<a>/<int:a>", "two parameters called 'a'"),
            ("/<path:a>/b", "something after a path"),
            ("/<path:a>/<path:b>", "something after a path"),
            ("/a?b", "has a query"),
            ("/../a", "no path has a segment"),
        ):
            with self.assertRaisesRegex(ValueError, complaint):
                Pattern(text)


class TreeTests(SynchronousTestCase):
    """A path leads to one pattern."""

    def test_converters(self) -> None:
        """Segments that a converter does not take do not match."""
        patterns = tree("/int/<int:x>", "/float/<float:x>", "/str/<x>", "/path/<path:x>")
        for path, expected in (
            ("/int/05", ("/int/<int:x>", 5)),
            ("/int/-5", None),
            ("/int/5.0", None),
            ("/int/ 5", None),
            ("/int/1_0", None),
            ("/int/\u0661", None),
            ("/int/" + "9" * 200, None),
            ("/int/", None),
            ("/float/5", ("/float/<float:x>", 5.0)),
            ("/float/0.5", ("/float/<float:x>", 0.5)),
            ("/float/-1", None),
            ("/float/nan", None),
            ("/float/1e5", None),
            ("/str/", ("/str/<x>", "")),
            ("/str/a b", ("/str/<x>", "a b")),
            ("/str/a/b", None),
            ("/path/a", ("/path/<path:x>", "a")),
            ("/path/a/b/", ("/path/<path:x>", "a/b/")),
            ("/path", None),
            ("/", None),
        ):
            self.assertEqual(found(patterns, path), expected, path)

    def test_order(self) -> None:
        """Text goes before numbers, these before others, before C{str}, before paths; whatever came first."""
        texts = ("/<path:p>", "/<s>", "/<even:e>", "/<float:f>", "/<int:i>", "/lit")

        def even(text: str) -> str:
            if len(text) % 2:
                raise ValueError
            return text

        for each in (texts, texts[::-1]):
            patterns = tree(*each, even=even)
            for path, pattern in (
                ("/lit", "/lit"),
                ("/5", "/<int:i>"),
                ("/5.5", "/<float:f>"),
                ("/ab", "/<even:e>"),
                ("/abc", "/<s>"),
                ("/a/b", "/<path:p>"),
            ):
                self.assertEqual(found(patterns, path)[0], pattern)

    def test_back(self) -> None:
        """What leads nowhere is left for another way."""
        patterns = tree("/a/<x>/b", "/<y>/c/d", "/<path:rest>")
        self.assertEqual(found(patterns, "/a/c/b"), ("/a/<x>/b", "c"))
        self.assertEqual(found(patterns, "/a/c/d"), ("/<y>/c/d", "a"))
        self.assertEqual(found(patterns, "/a/c/e"), ("/<path:rest>", "a/c/e"))

    def test_same(self) -> None:
        """Patterns that match the same paths are one place."""
        patterns = tree("/a/<x>")
        self.assertEqual(patterns.at(Pattern("/a/<y>")), "/a/<x>")
        self.assertEqual(patterns.at(Pattern("/a/<int:y>")), "/a/<int:y>")
        self.assertEqual(sorted(patterns), ["/a/<int:y>", "/a/<x>"])

    def test_long(self) -> None:
        """A long path costs no more than the patterns are deep, and no stack."""
        calls = []

        def counted(text: str) -> str:
            calls.append(text)
            return text

        patterns = tree("/<c:a>/<c:b>/x", "/<c:a>/<d:b>/y", c=counted, d=counted)
        self.assertIsNone(patterns.find(("s",) * 100_000))
        self.assertLess(len(calls), 10)

    @given(st.lists(st.sampled_from(["a", "b", "<x>", "<int:x>", "5"]), max_size=4), st.data())
    @settings(deadline=None, max_examples=200, derandomize=True)
    def test_always(self, parts: list[str], data: Any) -> None:
        """A path that fits a pattern is found, whatever else there is, at a pattern that it fits."""
        parts = [each.replace("x", f"x{number}") for number, each in enumerate(parts)]
        others = data.draw(
            st.lists(st.lists(st.sampled_from(["a", "5", "<o>", "<int:o>"]), max_size=4), max_size=5)
        )
        texts = ["/" + "/".join(parts)]
        for other in others:
            texts.append("/" + "/".join(each.replace("o", f"o{n}") for n, each in enumerate(other)))
        patterns = tree(*texts)
        fitting = [each if "<" not in each else "7" if "int" in each else "z" for each in parts]
        match = patterns.find(fitting)
        assert match is not None
        segments = Pattern(match[0]).segments
        self.assertEqual(len(segments), len(fitting))
        for segment, text in zip(segments, fitting, strict=True):
            if isinstance(segment, Parameter):
                segment.convert(text)
            else:
                self.assertEqual(segment, text)
