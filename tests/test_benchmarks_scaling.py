"""
The benchmark of many peers and full tables, by tiny loads and by figures made by hand.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import scaling
from benchmarks.figures import failed
from benchmarks.filled import FILLS, fill
from benchmarks.server import tree
from tests.test_benchmarks import compileLoad
from txcoap import CoAPProtocol, Site


def sizes(micros: list[float], slowest: list[float]) -> dict[str, Any]:
    """
    What was measured of a table with so many entries.
    """
    return {"entries": 1, "micros": micros, "slowest": slowest, "errors": 1, "collected": 2.0}


class ScalingTests(SynchronousTestCase):
    """
    Tests for L{benchmarks.scaling}.
    """

    def test_tables(self) -> None:
        """
        The tables have as many entries as were asked for when the load begins, and all of it is answered.
        """
        compileLoad()
        tables = scaling.measureTables(["uploads", "observers"], [0, 200], turns=1, requests=100)
        for measured in tables.values():
            self.assertEqual([each["entries"] for each in measured.values()], [0, 200])
            for each in measured.values():
                self.assertEqual(len(each["micros"]), 1)
                self.assertGreater(each["micros"][0], 0)
                self.assertGreater(each["slowest"][0], 0)
        self.assertEqual(scaling.errors({"tables": tables}), 0)
        self.assertIn("uploads", "\n".join(scaling.lines({"tables": tables})))

    def test_peers(self) -> None:
        """
        Each number of peers is measured of both servers, and all are answered.
        """
        compileLoad()
        peers = scaling.measurePeers([1, 20], turns=1, requests=100)
        self.assertEqual(list(peers), ["1", "20"])
        for servers in peers.values():
            for name in scaling.PAIR:
                self.assertGreater(servers[name][0], 0)
        self.assertEqual(scaling.errors({"peers": peers}), 0)
        self.assertIn("canned", "\n".join(scaling.lines({"peers": peers})))

    def test_figures(self) -> None:
        """
        Turns are compared one by one; what the machine takes longer for many peers is not counted; the
        slowest answer is that of all turns.
        """
        measured = {
            "peers": {
                "1": {"canned": [5.0], "txcoap": [10.0], "errors": [0]},
                "100": {"canned": [7.0], "txcoap": [12.5], "errors": [2]},
            },
            "tables": {
                "uploads": {"0": sizes([10.0, 20.0], [100.0, 50.0]), "9": sizes([12.0, 24.0], [50.0, 400.0])}
            },
        }
        figures = list(scaling.figures(measured))
        self.assertEqual([round(each.value, 6) for each in figures], [1.05, 1.2, 4.0, 2.0])
        self.assertEqual(
            [each.about for each in failed(figures)], ["9 uploads: CPU", "9 uploads: slowest answer"]
        )
        self.assertEqual(scaling.errors(measured), 4)


class FillTests(SynchronousTestCase):
    """
    Tests for L{benchmarks.filled}.
    """

    def test_measurable(self) -> None:
        """
        What can be filled is what a server tells the size of.
        """
        protocol = CoAPProtocol(Site(tree()))
        self.assertLessEqual(set(FILLS), set(protocol.sizes()))
        fill(protocol, "uploads", 0)
        self.assertEqual(protocol.sizes()["uploads"], 0)
