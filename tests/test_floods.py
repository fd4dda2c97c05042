"""
Many clients for a long time, and a flood: a slice of what C{benchmarks.day}, C{benchmarks.flood} and
C{benchmarks.soak} do at length.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from benchmarks import day, flood, loadgen, soak
from benchmarks.resident import Memory


def compileFlood() -> None:
    """Skip a test where the flood cannot be compiled."""
    try:
        loadgen.compiled("flood.c")
    except loadgen.NoCompiler as e:
        raise SkipTest(str(e)) from e


class DayTests(SynchronousTestCase):
    """L{benchmarks.day}."""

    def test_hours(self) -> None:
        """
        500 clients at 10 % loss, and some at 30 %: each request ends once, none is done twice, and in the
        end every table of every socket is empty.
        """
        for clients, loss in ((500, 0.1), (50, 0.3)):
            past = day.live(clients, 3 * day.HOUR, loss, 900.0)
            self.assertEqual(past.wrong, "")
            self.assertGreater(past.lost, 0.8 * loss * past.datagrams)
            self.assertGreater(
                min(past.load.ended[what] for what in ("get", "post", "upload", "observe")), 20
            )
            self.assertGreater(past.load.states, 40)
            # A tenth at a time; of whom the server did not hear that they left, it knows for a while on.
            self.assertTrue(clients // 20 < past.peak["observers"] <= clients // 5)

    def test_commandLine(self) -> None:
        """It tells what came of it."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(day.main(["--clients", "10", "--hours", "1", "--pause", "200"]), 0)
        self.assertIn("every table is empty", out.getvalue())

    def test_wrong(self) -> None:
        """What is not as it must be is told."""
        past = day.live(5, 600.0, 0.0, 60.0)
        past.load.begun["get"] += 1
        wrong = day.Day(past.load, 0, 0, {}, 3, 2)
        self.assertIn("1 requests never ended, 2 requests were done twice, 3 entries", wrong.wrong)


class FloodTests(TestCase):
    """L{benchmarks.flood}, over loopback."""

    async def test_flood(self) -> None:
        """Among a flood of a second, from many addresses, a client is answered."""
        compileFlood()
        clock: Any = reactor
        result = await flood.flood(clock, seconds=1.0, sources=500, capacity=2_000.0)
        self.assertEqual(result.faults(mustAnswer=True), [])
        self.assertGreater(result.asked, 3)
        self.assertGreater(result.flood["answered"], 300)
        self.assertGreater(result.flood["malformed"], 30)

    def test_loopbackOnly(self) -> None:
        """It takes a port, and no address: there is no way to flood another machine with it."""
        compileFlood()
        words = [*flood.command(5683, 1, 10, 1, 0), "192.0.2.1"]
        done = subprocess.run(words, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("usage", done.stderr)

    def test_faults(self) -> None:
        """A client who is not answered, memory beyond the bound, and a slow return are told."""
        result = flood.Result(asked=100, answered=98, recovered=3.0)
        result.memory = Memory(0, flood.ALLOWED + flood.MIB, 0)
        self.assertEqual(len(result.faults(mustAnswer=True)), 3)
        self.assertEqual(len(result.faults(mustAnswer=False)), 2)


class SoakTests(TestCase):
    """L{benchmarks.soak}, over loopback."""

    async def test_slice(self) -> None:
        """Two seconds of a mixed load, with losses and rubbish: much is done, nothing twice."""
        clock: Any = reactor
        rows = await soak.soak(clock, 2.0, 0.5, clients=20, pause=0.05)
        last = rows[-1]
        self.assertGreater(len(rows), 2)
        self.assertGreater(last["ended"], 20)
        self.assertGreater(last["spoiled"], 0)
        self.assertEqual(last["twice"], 0)
        self.assertIsNone(soak.growth(rows, "memory"))

    def test_growth(self) -> None:
        """What is judged is what comes after EXCHANGE_LIFETIME: the last third beside the third before."""
        rows = [{"seconds": 10.0 * n, "flat": 7.0, "steep": 10.0 * n, "early": min(n, 20)} for n in range(60)]
        self.assertEqual((soak.growth(rows, "flat"), soak.growth(rows, "early")), (0.0, 0.0))
        self.assertGreater(soak.growth(rows, "steep") or 0.0, soak.ALLOWED)

    def test_draw(self) -> None:
        """With matplotlib the rows are drawn."""
        try:
            import matplotlib
        except ImportError as e:
            raise SkipTest("matplotlib is not installed") from e
        self.assertTrue(matplotlib.__version__)
        names = (
            "seconds memory remembered rememberedBytes peers pendingRequests transmissions observers open "
            "uploads downloads failed twice formatErrors"
        )
        path = self.mktemp()
        soak.draw([dict.fromkeys(names.split(), float(n)) for n in range(3)], path)
        with open(path, "rb") as file:
            self.assertEqual(file.read(4), b"\x89PNG")
