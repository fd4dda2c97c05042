"""
The long runs as sections of the benchmarks: short ones, and figures made by hand.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import endurance
from benchmarks.figures import failed
from benchmarks.pages import TABLES
from tests.test_benchmarks import compileLoad


def flooded(asked: int, answered: int, peak: int, recovered: float) -> dict[str, Any]:
    """
    What a flood came to.
    """
    return {
        "flood": {"sent": 1000, "answered": 600, "seconds": 2.0},
        "asked": asked,
        "answered": answered,
        "memory": {"before": 0, "peak": peak * endurance.MIB, "after": 0},
        "recovered": recovered,
    }


class FloodTests(SynchronousTestCase):
    """
    Floods.
    """

    def test_measure(self) -> None:
        """
        A short one leaves nothing to be wished for, and is told.
        """
        compileLoad()
        measured = endurance.measureFloods(1)
        (each,) = measured.values()
        self.assertGreater(each["flood"]["sent"], 0)
        self.assertIn("sent", "\n".join(endurance.floodLines(measured)))
        self.assertEqual(len(list(endurance.floodFigures(measured))), 3)

    def test_figures(self) -> None:
        """
        The worst of all floods counts.
        """
        measured = {
            "a": flooded(100, 100, 10, 2.5),
            "b": flooded(100, 98, 10, 0.1),
            "c": flooded(5, 5, 170, 1.0),
        }
        figures = list(endurance.floodFigures(measured))
        self.assertEqual([each.value for each in figures], [98.0, 170.0, 2.5])
        self.assertEqual(failed(figures), figures)
        self.assertIn("98 of 100", TABLES["floods"][1]({"floods": measured}))

    def test_unable(self) -> None:
        """
        A program that cannot run is told, with what it says.
        """
        error = self.assertRaises(RuntimeError, endurance._run, Path("none"), "flood", "--no-such-option")
        self.assertIn("no-such-option", str(error))


class DayTests(SynchronousTestCase):
    """
    The simulated day.
    """

    def test_measure(self) -> None:
        """
        Of a short one each request ends, none is done twice, and nothing is left.
        """
        measured = endurance.measureDay(1)
        figures = list(endurance.dayFigures(measured))
        self.assertEqual([each.value for each in figures], [0, 0, 0])
        self.assertEqual(failed(figures), [])
        self.assertIn("100 clients", "\n".join(endurance.dayLines(measured)))
        self.assertIn("   * - upload\n", TABLES["day"][1]({"day": measured}))

    def test_figures(self) -> None:
        """
        One of any is too many.
        """
        figures = list(endurance.dayFigures({"open": 1, "twice": 1, "left": 1}))
        self.assertEqual(failed(figures), figures)


class SoakTests(SynchronousTestCase):
    """
    The soak.
    """

    def test_soaked(self) -> None:
        """
        Of what it wrote, growth is of all rows, and each fourth is kept for the plot.
        """
        file = Path(self.mktemp())
        names = (
            "seconds",
            "twice",
            "memory",
            "remembered",
            "clients",
            "peers",
            "observers",
            "ended",
            "failed",
        )
        with file.open("w", newline="") as text:
            writer = csv.DictWriter(text, names)
            writer.writeheader()
            for number in range(60):
                row = dict.fromkeys(names, 7.0) | {"seconds": 10.0 * number, "remembered": 2.0**number}
                writer.writerow(row | {"twice": 0.0})
        measured = endurance.soaked(file)
        self.assertEqual(measured["over"]["seconds"], [40.0 * number for number in range(15)])
        figures = list(endurance.soakFigures(measured))
        self.assertEqual(
            [each.about for each in failed(figures)], ["soak: growth, messages that the server remembers"]
        )
        self.assertIn("7 requests", "\n".join(endurance.soakLines(measured)))

    def test_short(self) -> None:
        """
        One that is too short says nothing of growth.
        """
        measured = {"growth": {"memory": None}, "twice": 1.0}
        self.assertEqual(
            [each.about for each in endurance.soakFigures(measured)], ["soak: requests done twice"]
        )

    def test_measure(self) -> None:
        """
        Three seconds of it.
        """
        measured = endurance.measureSoak(1)
        self.assertEqual(measured["twice"], 0.0)
        self.assertGreater(measured["over"]["ended"][-1], 0)
