"""
A slice of what C{fuzz} does at length.
"""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from fuzz import datagrams
from fuzz.datagrams import Fuzzer, Unsound
from txcoap.sansio.exchanges import Exchanges


class DatagramsTests(SynchronousTestCase):
    """L{fuzz.datagrams}."""

    def test_slice(self) -> None:
        """Some thousand spoiled datagrams leave the machines sound, and reach all of their parts."""
        fuzzer = Fuzzer(seed=7)
        fuzzer.run(20_000)
        for name in ("IncomingRequest", "ResponseReceived", "RequestFailed", "RequestForgotten", "sent"):
            self.assertTrue(fuzzer.counts[name] > 10, fuzzer.counts)
        counters = fuzzer.machine.counters
        for name in ("formatErrors", "duplicates", "ignored", "resetsReceived", "refused", "timeouts"):
            self.assertTrue(getattr(counters, name) > 10, counters)

    def test_repeatable(self) -> None:
        """The same seed gives the same run."""
        first, second = Fuzzer(seed=3), Fuzzer(seed=3)
        first.run(500)
        second.run(500)
        self.assertEqual((first.counts, first.now), (second.counts, second.now))

    def test_unsound(self) -> None:
        """What goes wrong is told with the datagram that did it."""

        def fail(*arguments: object) -> None:
            raise IndexError("beyond the end")

        fuzzer = Fuzzer(seed=3)
        self.patch(Exchanges, "receiveDatagram", fail)
        error = self.assertRaises(Unsound, fuzzer.run, 100)
        self.assertIn("datagram 0", str(error))
        self.assertIn("beyond the end", str(error))

    def test_growth(self) -> None:
        """A table beyond its limit is seen."""
        fuzzer = Fuzzer(seed=3)
        self.patch(Exchanges, "sizes", lambda machine: dict.fromkeys(("peers", "deadlines"), 10**6))
        self.assertRaises(Unsound, fuzzer.run, 1)

    def test_commandLine(self) -> None:
        """The command line tells what came, and exits with 0 if all was sound, else with 1."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.assertEqual(datagrams.main(["--count", "200", "--seed", "5"]), 0)
            self.patch(Exchanges, "sizes", lambda machine: {"peers": 10**6})
            self.assertEqual(datagrams.main(["--count", "200"]), 1)
        self.assertIn("200 datagrams", out.getvalue())
        self.assertIn("unsound", err.getvalue())
