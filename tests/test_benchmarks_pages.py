"""
All benchmarks in one run, and the page that is made of it.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import __main__ as whole
from benchmarks import codec, loadgen, memory, shares, startup, stream, workers
from benchmarks.figures import Figure
from benchmarks.pages import TABLES, table, writePages
from benchmarks.peers import ROOT, START_TIMEOUT, freePort
from benchmarks.plots import PLOTS, NoPlots, writePlots
from benchmarks.sections import SECTIONS, Section, machine
from tests.test_benchmarks import compileLoad

FIGURES = ROOT / "docs" / "figures"
AGAIN = "make figures OPTIONS=--draw makes it again"


class PageTests(SynchronousTestCase):
    """
    docs/performance.rst.
    """

    def setUp(self) -> None:
        self.measured = json.loads((FIGURES / "measured.json").read_text())

    def test_made(self) -> None:
        """
        Its tables are those that are made of what was measured: none is written by hand.
        """
        into = Path(self.mktemp())
        into.mkdir()
        writePages(self.measured, into)
        made = {each.name: each.read_text("utf-8") for each in into.iterdir()}
        there = {each.name: each.read_text("utf-8") for each in FIGURES.glob("*.inc")}
        self.assertEqual(made, there, AGAIN)

    def test_shown(self) -> None:
        """
        It shows each table and plot, and no other.
        """
        page = (ROOT / "docs" / "performance.rst").read_text("utf-8")
        self.assertEqual(set(re.findall(r"figures/(\w+)\.inc", page)), set(TABLES))
        self.assertEqual(set(re.findall(r"figures/(\w+)\.png", page)), set(PLOTS))
        for name in PLOTS:
            self.assertTrue((FIGURES / f"{name}.png").read_bytes().startswith(b"\x89PNG"), AGAIN)

    def test_complete(self) -> None:
        """
        All sections were measured.
        """
        self.assertEqual(set(self.measured), {"machine", *SECTIONS}, AGAIN)

    def test_plots(self) -> None:
        """
        Plots are drawn where matplotlib is; where not, that is said.
        """
        into = Path(self.mktemp())
        into.mkdir()
        if find_spec("matplotlib"):
            writePlots(self.measured, into)
            self.assertEqual({each.stem for each in into.glob("*.png")}, set(PLOTS))
        before = dict(sys.modules)
        self.addCleanup(sys.modules.update, before)
        self.addCleanup(sys.modules.pop, "matplotlib.figure")
        sys.modules["matplotlib.figure"] = None  # type: ignore[assignment]
        self.assertIn("txcoap[bench]", str(self.assertRaises(NoPlots, writePlots, self.measured, into)))

    def test_table(self) -> None:
        """
        Numbers have the digits that they are worth; what is missing is a dash.
        """
        self.assertEqual(
            table(("a", "b"), [("x", 1234.5), ("y", None)]),
            ".. list-table::\n   :header-rows: 1\n\n"
            "   * - a\n     - b\n   * - x\n     - 1,234\n   * - y\n     - -\n",
        )


class WholeTests(SynchronousTestCase):
    """
    C{python -m benchmarks}.
    """

    def setUp(self) -> None:
        compileLoad()
        self.asked: list[int] = []
        self.into = Path(self.mktemp())
        self.value = 0.0

        def measure(rounds: int) -> dict[str, float]:
            self.asked.append(rounds)
            return {"value": self.value}

        section = Section(
            "a thing",
            measure,
            lambda measured: [Figure("a thing: errors", measured["value"], "", 0.0)],
            lambda measured: [f"it is {measured['value']}"],
        )
        self.patch(whole, "SECTIONS", {"one": section, "two": section})

    def main(self, *words: str) -> tuple[int, str]:
        """
        Run it.

        @return: The exit status, and what it printed.
        """
        output, self.errors = StringIO(), StringIO()
        with redirect_stdout(output), redirect_stderr(self.errors):
            status = whole.main(["--into", str(self.into), *words])
        return status, output.getvalue()

    def test_run(self) -> None:
        """
        Each section is measured, told and written; an error of ours is a failure.
        """
        status, text = self.main("--rounds", "4")
        self.assertEqual((status, self.asked), (0, [4, 4]))
        self.assertEqual(text.count("it is 0.0"), 2)
        measured = json.loads((self.into / "measured.json").read_text())
        self.assertEqual((measured["one"], measured["machine"]), ({"value": 0.0}, machine()))
        self.assertTrue((self.into / "machine.inc").exists())
        self.value = 3.0
        self.assertEqual(self.main("--quick", "--only", "two")[0], 1)
        self.assertEqual(self.asked[2:], [1])
        measured = json.loads((self.into / "measured.json").read_text())
        self.assertEqual((measured["one"], measured["two"]), ({"value": 0.0}, {"value": 3.0}))

    def test_long(self) -> None:
        """
        What takes long is measured where it is named, and else left as it was.
        """
        one = whole.SECTIONS["one"]
        self.patch(whole, "SECTIONS", {"one": one, "two": replace(one, isLong=True)})
        self.main("--rounds", "5")
        self.assertEqual(self.asked, [5])
        self.main("--rounds", "6", "--only", "two")
        self.assertEqual(self.asked, [5, 6])
        self.main("--rounds", "7")
        measured = json.loads((self.into / "measured.json").read_text())
        self.assertEqual((self.asked, measured["two"]), ([5, 6, 7], {"value": 0.0}))

    def test_unmeasured(self) -> None:
        """
        A section that cannot be measured is told, and left as it was; the others are measured.
        """

        def fail(rounds: int) -> None:
            raise RuntimeError("nobody answers")

        self.main()
        one = whole.SECTIONS["one"]
        self.patch(whole, "SECTIONS", {"one": replace(one, measure=fail), "two": one})
        self.assertEqual(self.main()[0], 1)
        self.assertIn("nobody answers", self.errors.getvalue())
        self.assertEqual(len(self.asked), 3)
        measured = json.loads((self.into / "measured.json").read_text())
        self.assertEqual(measured["one"], {"value": 0.0})

    def test_draw(self) -> None:
        """
        With C{--draw} nothing is measured; without figures that is said.
        """
        self.assertEqual(self.main("--draw")[0], 1)
        self.assertIn("measure first", self.errors.getvalue())
        self.main()
        self.assertEqual(self.main("--draw")[0], 0)
        self.assertEqual(len(self.asked), 2)

    def test_into(self) -> None:
        """
        Where nothing else is said, too, what is written has its directory.
        """
        self.patch(whole, "BUILD", self.into)
        given = whole.parser().parse_args([])
        self.assertEqual(given.into, self.into / "figures")
        self.assertTrue(given.into.is_dir())

    def test_obstacle(self) -> None:
        """
        Without a compiler it says what is missing, and measures nothing.
        """

        def none(source: str) -> Path:
            raise loadgen.NoCompiler("no compiler")

        self.patch(whole, "compiled", none)
        self.assertEqual((self.main()[0], self.asked), (1, []))
        self.assertIn("no compiler", self.errors.getvalue())


class StartupTests(SynchronousTestCase):
    """
    L{benchmarks.startup}.
    """

    def test_ending(self) -> None:
        """
        A process is measured to its end; one that fails is told.
        """
        seconds, cpu = startup.toEnd([sys.executable, "-c", "sum(range(10**6))"])
        self.assertGreater(seconds, 0)
        self.assertGreater(cpu, 0)
        self.assertRaises(RuntimeError, startup.toEnd, ["sh", "-c", "exit 3"])

    def test_serving(self) -> None:
        """
        A server is measured to its first answer; one that ends instead is told at once.
        """
        port = freePort()
        command = startup.SERVING["server: twistd coap"](str(port))
        assert command is not None
        seconds, cpu = startup.toAnswer(command, port)
        self.assertTrue(0 < seconds < START_TIMEOUT)
        self.assertGreater(cpu, 0)
        self.assertRaises(RuntimeError, startup.toAnswer, ["sh", "-c", "exit 3"], port)

    def test_lines(self) -> None:
        """
        What was measured is told.
        """
        measured = {"txcoap get": {"seconds": 0.5, "cpu": 0.4}}
        self.assertIn("500", "\n".join(startup.lines(measured)))
        self.assertEqual([each.value for each in startup.figures(measured)], [500.0])


class SharesTests(SynchronousTestCase):
    """
    L{benchmarks.shares}.
    """

    def test_measure(self) -> None:
        """
        The shares of a load come to one, each under the name of its stage.
        """
        compileLoad()
        (found,) = shares.measure(["get"], 0.5).values()
        self.assertAlmostEqual(sum(found.values()), 1.0)
        # How many samples there are depends on how busy the machine is.
        self.assertTrue(found)
        self.assertLessEqual(set(found), set(shares.ORDER))
        self.assertIn(next(iter(found)), "\n".join(shares.lines({"get": found})))

    def test_stages(self) -> None:
        """
        Each stage has a place in the order, and each of its modules is there.
        """
        self.assertEqual({stage for _, stage in shares.STAGES} | {shares.REACTOR}, set(shares.ORDER))
        for start, _ in shares.STAGES:
            self.assertTrue(Path(start.partition(":")[0]).exists(), start)

    def test_frames(self) -> None:
        """
        What fits no stage is its caller's; without any it is the reactor's.
        """
        samples = shares.Samples()
        samples.take(signal.SIGPROF, sys._getframe())
        self.assertEqual(samples.tell(), {shares.REACTOR: 1})
        self.assertEqual(samples.tell(), {})


class SummaryTests(SynchronousTestCase):
    """
    What the parts come to, from figures made by hand.
    """

    def test_codec(self) -> None:
        """
        The goal is for what was there before.
        """
        measured = codec.summaries({codec.SAME: [(1.0, 0.25), (3.0, 0.75)], "other": [(9.0, 2.0)]})
        self.assertEqual(
            [(each.value, each.isMet) for each in codec.figures(measured)], [(0.5, False), (2.0, None)]
        )
        self.assertEqual(len(list(codec.lines(measured))), 4)

    def test_memory(self) -> None:
        """
        The worst case counts.
        """
        remembered = {"peers": 1, "requests": 9, "rss": None, "left": 1.0}
        observers = {"confirmable": True, "observers": 9, "left": 1.0}
        measured: dict[str, Any] = {
            "remembered": [{**remembered, "bytes": 100.0}, {**remembered, "bytes": 401.0}],
            "observers": [{**observers, "bytes": 1500.0}],
        }
        self.assertEqual([each.isMet for each in memory.figures(measured)], [False, True])
        self.assertEqual(len(list(memory.lines(measured))), 7)

    def test_workers(self) -> None:
        """
        Two are compared with one turn by turn; the furthest share counts.
        """
        report = loadgen.Report(10, 1.0, 10.0, 1.0, 1.0, 1.0, 2.0, 3.0, 0, 0, {})
        turns = {
            1: [workers.Turn(10.0, [100.0], report), workers.Turn(20.0, [100.0], report)],
            2: [workers.Turn(11.0, [48.0, 52.0], report), workers.Turn(22.0, [39.0, 61.0], report)],
        }
        found = [(each.value, each.isMet) for each in workers.figures(workers.summaries(turns))]
        self.assertEqual(found, [(1.1, True), (61.0, False), (0, True)])
        self.assertEqual(len(list(workers.lines(workers.summaries(turns)))), 4)

    def test_workersControl(self) -> None:
        """
        Beside them stands what two canned replies cost, which is no goal.
        """
        two = {"ratio": 1.1, "furthest": 52.0, "errors": 0, "canned": 1.26}
        found = [(each.value, each.goal) for each in workers.figures({"2": two})]
        self.assertEqual(found[1], (1.26, None))

    def test_streams(self) -> None:
        """
        A process that grew, or a body that did not arrive, is a miss.
        """
        wrong = stream.summary(stream.Transfer("txcoap", "node", "up", stream.MIB, wrong="no answer"))
        grew = {**wrong, "wrong": "", "grew": {"client": stream.ALLOWED + 1}}
        found = [each.isMet for each in stream.figures([wrong, grew])]
        self.assertEqual(found, [False, False])
