"""
What a benchmark comes to: a figure, beside the goal that it must reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Figure", "Measured", "Say", "failed", "linesOf", "number"]

#: What a benchmark has measured, as JSON holds it.
Measured = dict[str, object]

#: Takes what a benchmark has to say while it runs: a line, and what it is about.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """
    One figure.

    @ivar about: What was measured.
    @ivar value: How much it is.
    @ivar unit: Of what: C{"x canned"}, C{"bytes"}.
    @ivar goal: What it must reach; None where it is only told.
    @ivar isLeast: The goal is the least that it must be, and not the most.
    """

    about: str
    value: float
    unit: str
    goal: float | None = None
    isLeast: bool = False

    @property
    def isMet(self) -> bool | None:
        """
        Whether the goal is reached; None without one.
        """
        if self.goal is None:
            return None
        return self.value >= self.goal if self.isLeast else self.value <= self.goal

    @property
    def mark(self) -> str:
        """
        The same for people.
        """
        return {True: "pass", False: "MISS", None: ""}[self.isMet]

    @property
    def bound(self) -> str:
        """
        The goal for people.
        """
        if self.goal is None:
            return ""
        return f"at {'least' if self.isLeast else 'most'} {number(self.goal)}"


def number(value: float) -> str:
    """
    A figure with as many digits as it is worth.
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def linesOf(figures: Iterable[Figure]) -> Iterator[str]:
    """
    Figures as lines of a table.
    """
    for each in figures:
        yield f"  {each.about:54.54}{number(each.value):>9} {each.unit:12}{each.bound:16}{each.mark}".rstrip()


def failed(figures: Iterable[Figure]) -> list[Figure]:
    """
    Those that do not reach their goal.
    """
    return [each for each in figures if each.isMet is False]
