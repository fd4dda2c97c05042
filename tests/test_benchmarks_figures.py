"""
What the benchmarks come to: figures beside goals, from tiny loads or from reports made by hand.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import client, loadgen, run
from benchmarks.figures import Figure, failed, linesOf
from tests.test_benchmarks import compileLoad


class ClientTests(SynchronousTestCase):
    """
    Tests for the benchmark of clients.
    """

    def test_runs(self) -> None:
        """
        Each client has all its requests answered rightly, and its CPU time is known.
        """
        compileLoad()
        measured = client.summaries(client.measure(1, 1, 100, ["twisted", "txcoap"]))
        self.assertEqual(set(measured), set(client.WINDOWS))
        for clients in measured.values():
            self.assertEqual(clients["twisted"]["ratio"], 1.0)
            for each in clients.values():
                self.assertEqual(each["errors"], 0)
                self.assertGreater(each["micros"], 0)
        self.assertEqual(len(list(client.figures(measured))), 4)
        self.assertIn("txcoap", "\n".join(client.table(measured)))

    def test_ended(self) -> None:
        """
        A client that ends instead of asking is told.
        """
        with client.asking(["sh", "-c", "read line"], None) as process:
            self.assertRaises(RuntimeError, client.ask, process, 1, 1)


class FigureTests(SynchronousTestCase):
    """
    Tests for L{Figure}.
    """

    def test_goals(self) -> None:
        """
        A figure is compared with the most, or the least, that it must be; without a goal it is only told.
        """
        rows = [
            (Figure("a", 2.0, "x", 2.0), True),
            (Figure("a", 2.1, "x", 2.0), False),
            (Figure("a", 2.0, "x", 2.0, isLeast=True), True),
            (Figure("a", 1.9, "x", 2.0, isLeast=True), False),
            (Figure("a", 9.0, "x"), None),
        ]
        self.assertEqual([each.isMet for each, _ in rows], [isMet for _, isMet in rows])
        self.assertEqual(failed(each for each, _ in rows), [rows[1][0], rows[3][0]])
        lines = list(linesOf(each for each, _ in rows))
        self.assertEqual([line.split()[-1] for line in lines], ["pass", "MISS", "pass", "MISS", "x"])
        self.assertIn("at least 2", lines[2])

    def test_servers(self) -> None:
        """
        Of the servers there is a ratio for each kind of load, one to each of the others that has a goal, how
        fast the load is, and the errors.
        """

        def report(micros: float, rate: float, wrong: int = 0) -> loadgen.Report:
            outcomes = {"ok": 10, "timedOut": wrong}
            return loadgen.Report(10, 1.0, rate, micros, 3.0, 1.0, 2.0, 3.0, 0, wrong, outcomes)

        turn = {
            "bare": report(4.0, 300.0),
            "canned": report(5.0, 200.0),
            "txcoap": report(9.0, 100.0, wrong=1),
            "aiocoap": report(81.0, 10.0),
        }
        measured = json.loads(json.dumps(run.summaries({"get": [turn, turn]})))
        found = {each.about: (each.value, each.isMet) for each in run.figures(measured)}
        self.assertEqual(
            found,
            {
                "get: CPU": (1.8, True),
                "get: CPU of aiocoap": (9.0, False),
                "get: the load against bare C": (3.0, True),
                "get: errors": (2, False),
            },
        )
