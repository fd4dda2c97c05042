"""
The benchmarks run: their figures are for people, but that they come is for us to hold.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from mmap import mmap
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from benchmarks import __main__ as whole
from benchmarks import (
    arguments,
    client,
    codec,
    day,
    ends,
    flood,
    loadgen,
    memory,
    modes,
    peers,
    run,
    scaling,
    soak,
    startup,
    stream,
    workers,
)
from benchmarks.resident import Memory, Watch

# For loads that take a moment, on a machine that has much else to do: for how long, and for how long to wait
# for an answer.
PATIENT = {"seconds": 60, "timeout": 30}


def compileLoad() -> None:
    """
    Skip a test where the load cannot be compiled.
    """
    try:
        loadgen.compiled("load.c")
    except loadgen.NoCompiler as e:
        raise SkipTest(str(e)) from e


class LoadTests(SynchronousTestCase):
    """
    Tests for the load generator, over loopback.
    """

    def setUp(self) -> None:
        compileLoad()

    def test_canned(self) -> None:
        """
        A canned server answers every one of 200 requests, and its CPU time is known.
        """
        report = run.measure("canned", "get", requests=200, warmup=0, **PATIENT)
        self.assertEqual((report.errors, report.outcomes["ok"]), (0, 200), report)
        self.assertGreater(report.serverMicros or 0, 0)
        self.assertGreater(report.rate, 0)
        self.assertLessEqual(report.p50, report.p99)
        self.assertLessEqual(report.p99, report.slowest)

    def test_verifies(self) -> None:
        """
        Answers with a foreign token are errors unless they are expected, and complete no request.
        """
        with peers.running(peers.SERVERS["canned"]) as (port, _):
            report = loadgen.load(port=port, requests=20, warmup=0, timeout=1)
        self.assertEqual(
            {kind: count for kind, count in report.outcomes.items() if count},
            {"wrongToken": 20, "timedOut": 20},
        )
        self.assertEqual(report.errors, 40)

    def test_payload(self) -> None:
        """
        An answer with another payload than expected is an error.
        """
        with peers.running(peers.SERVERS["canned"]) as (port, _):
            report = loadgen.load(port=port, canned=True, requests=20, warmup=0, expect="Bye")
        self.assertEqual((report.outcomes["ok"], report.outcomes["wrongPayload"]), (0, 20))

    def test_blocks(self) -> None:
        """
        A body in blocks is fetched block by block, each with the right content and ETag (RFC 7959 2.4).
        """
        report = run.measure("txcoap", "block", requests=3 * 64, warmup=0, window=1, **PATIENT)
        self.assertEqual((report.errors, report.outcomes["ok"], report.bodies), (0, 192, 3), report)

    def test_blocksVerified(self) -> None:
        """
        A block that says that others follow where none should is an error, and the body begins anew; so
        is an answer that is no block.
        """
        with peers.running(peers.SERVERS["txcoap"]) as (port, _):
            options = {"port": port, "requests": 64, "warmup": 0, "window": 1, **PATIENT}
            short = loadgen.load(path="large", size=modes.LARGE - 1024, **options)
            plain = loadgen.load(path="hello", size=modes.LARGE, **options)
        self.assertEqual((short.outcomes["ok"], short.outcomes["wrongBlock"], short.bodies), (63, 1, 0))
        self.assertEqual((plain.outcomes["ok"], plain.outcomes["wrongBlock"]), (0, 64))

    def test_cached(self) -> None:
        """
        A proxy answers every one of 200 requests for what another server has, which it asked once.
        """
        report = run.measure("txcoap", "cached", requests=200, warmup=0, **PATIENT)
        self.assertEqual((report.errors, report.outcomes["ok"]), (0, 200), report)

    def test_answers(self) -> None:
        """
        A coroutine's answers, and those that a proxy asks for each time, are all right.
        """
        for mode in ("await", "proxied"):
            report = run.measure("txcoap", mode, requests=200, warmup=0, **PATIENT)
            self.assertEqual((report.errors, report.outcomes["ok"]), (0, 200), report)

    def test_relayed(self) -> None:
        """
        So it is with observers who observe another server through the proxy (RFC 7641 5).
        """
        with peers.running(peers.SERVERS["txcoap"]) as (port, pid):
            options = {"port": port, "sockets": 10, "requests": 200, "warmup": 0, "pid": pid, **PATIENT}
            report = loadgen.load("crowd.c", path="obs", origin="127.0.0.2", **options)
        self.assertEqual((report.errors, report.outcomes["ok"], report.requests), (0, 200, 200), report)

    def test_observers(self) -> None:
        """
        Each of ten observers is told each of twenty values, once (RFC 7641 4.2).
        """
        with peers.running(peers.SERVERS["txcoap"]) as (port, pid):
            options = {"port": port, "sockets": 10, "requests": 200, "warmup": 0, "pid": pid, **PATIENT}
            report = loadgen.load("crowd.c", path="obs", **options)
        self.assertEqual((report.errors, report.outcomes["ok"], report.requests), (0, 200, 200), report)

    def test_notObservable(self) -> None:
        """
        A crowd that may not observe says so.
        """
        with peers.running(peers.SERVERS["txcoap"]) as (port, _):
            error = self.assertRaises(RuntimeError, loadgen.load, "crowd.c", port=port, path="hello")
        self.assertIn("not granted", str(error))

    def test_nobody(self) -> None:
        """
        Where nobody listens the load ends at once and says so.
        """
        report = loadgen.load(port=peers.freePort(), requests=200, **PATIENT)
        self.assertGreater(report.outcomes["refused"], 0)
        self.assertLess(report.seconds, 20)

    def test_loopbackOnly(self) -> None:
        """
        No address but one of the machine itself is taken.
        """
        for address in ("192.0.2.1", "2001:db8::1", "0.0.0.0", "localhost"):
            error = self.assertRaises(RuntimeError, loadgen.load, port=5683, address=address)
            self.assertIn("loopback", str(error))


class CompiledTests(SynchronousTestCase):
    """
    Tests for L{loadgen.compiled}.
    """

    def test_noCompiler(self) -> None:
        """
        Without a compiler it says what is missing and how to get it.
        """
        self.patch(loadgen, "BUILD", loadgen.HERE / "nothing-built-here")
        self.patch(os, "environ", {"CC": "no-such-compiler", "PATH": ""})
        error = self.assertRaises(loadgen.NoCompiler, loadgen.compiled, "load.c")
        self.assertIn("gcc", str(error))

    def test_said(self) -> None:
        """
        The flood, too, says so, and no more.
        """
        self.patch(loadgen, "BUILD", loadgen.HERE / "nothing-built-here")
        self.patch(os, "environ", {**os.environ, "CC": "no-such-compiler"})
        failing = Deferred.fromCoroutine(flood.main(Clock()))
        self.assertIn("gcc", str(self.failureResultOf(failing, SystemExit).value))

    def test_warnings(self) -> None:
        """
        The C programs compile without a warning.
        """
        compileLoad()
        for source in ("load.c", "flood.c", "servers/bare.c", "servers/echoing.c"):
            command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-fsyntax-only"]
            done = subprocess.run([*command, str(loadgen.HERE / source)], capture_output=True, text=True)
            self.assertEqual(done.stderr, "")


class LoadArgumentsTests(SynchronousTestCase):
    """
    Tests for what is worked out for the load.
    """

    def test_options(self) -> None:
        """
        Keywords become options, flags stand alone, None and False are left out.
        """
        given: dict[str, str | float | bool | None] = {
            "expectClass": 4,
            "non": True,
            "canned": False,
            "pid": None,
            "path": "a/b",
        }
        self.assertEqual(loadgen.arguments(given), ["--expect-class", "4", "--non", "--path", "a/b"])

    def test_sockets(self) -> None:
        """
        No socket carries more requests than there are message IDs (RFC 7252 4.4).
        """
        self.assertEqual(loadgen.socketsFor(1000), 64)
        self.assertEqual(loadgen.socketsFor(64 * 60_000 + 1), 65)
        self.assertEqual(loadgen.socketsFor(100_000, least=1), 2)


class TableTests(SynchronousTestCase):
    """
    Tests for the server benchmark's output.
    """

    def test_ratioWithinATurn(self) -> None:
        """
        A server is compared with the canned reply of its own turn, not with the mean of all.
        """

        def report(micros: float) -> loadgen.Report:
            return loadgen.Report(10, 1.0, 10.0, micros, 3.0, 1.0, 2.0, 3.0, 0, 0, {})

        turns = [
            {"canned": report(5.0), "txcoap": report(10.0)},
            {"canned": report(10.0), "txcoap": report(20.0)},
        ]
        self.assertEqual(run.ratios(turns, "txcoap"), [2.0, 2.0])
        text = "\n".join(run.lines(run.summaries({"get": turns})))
        self.assertIn("CON GET", text)
        self.assertIn("(2.00-2.00)", text)


class ArgumentTests(SynchronousTestCase):
    """
    What is wrong on a command line is said before anything is measured.
    """

    def test_choice(self) -> None:
        """
        A name that is not known is refused with the names that are.
        """
        error = self.assertRaises(ArgumentTypeError, arguments.choice(["a", "b"]), "a,c")
        self.assertIn("a, b", str(error))

    def test_bounded(self) -> None:
        """
        A number is one of its kind, and within its bounds.
        """
        self.assertEqual([arguments.bounded(1, 3)(text) for text in "13"], [1, 3])
        self.assertEqual(arguments.bounded(0.5)("0.5"), 0.5)
        for text in ("0", "4", "-1", "1.5", "", "x"):
            error = self.assertRaises(ArgumentTypeError, arguments.bounded(1, 3), text)
            self.assertIn(f"from 1 to 3, not {text}", str(error))
        for text in ("inf", "nan", "0.1"):
            self.assertRaises(ArgumentTypeError, arguments.bounded(0.5), text)

    def test_output(self) -> None:
        """
        A file can be written, in a directory that is there.
        """
        path = Path(self.mktemp())
        self.assertEqual(arguments.output(str(path)), path)
        self.assertRaises(ArgumentTypeError, arguments.output, str(path / "file"))
        path.mkdir()
        self.assertRaises(ArgumentTypeError, arguments.output, str(path))

    def test_directory(self) -> None:
        """
        A directory is made if need be, and is no file.
        """
        path = Path(self.mktemp()) / "figures"
        self.assertEqual(arguments.directory(str(path)), path)
        self.assertTrue(path.is_dir())
        (path / "file").touch()
        error = self.assertRaises(ArgumentTypeError, arguments.directory, str(path / "file" / "more"))
        self.assertIn("file", str(error))

    def test_refused(self) -> None:
        """
        The programs refuse what would measure nothing, or cannot be written, with the status 2.
        """
        lines: list[tuple[Callable[[list[str]], int], str]] = [
            (whole.main, "--rounds 0"),
            (whole.main, f"--into {__file__}"),
            (run.main, "--rounds 0"),
            (run.main, "--window 65536"),
            (codec.main, "--rounds -1"),
            (stream.main, "--long 0"),
            (client.main, "--requests 0"),
            (scaling.main, "--turns x"),
            (startup.main, "--rounds 0"),
            (workers.main, "--sockets 0"),
            (day.main, "--loss 1.1"),
        ]
        for main, words in lines:
            errors = StringIO()
            with redirect_stderr(errors):
                ended = self.assertRaises(SystemExit, main, words.split())
            self.assertEqual(ended.code, 2)
            self.assertIn(words.split()[0], errors.getvalue().splitlines()[-1])

    def test_longRuns(self) -> None:
        """
        The long runs as well.
        """
        for long, words in ((flood, "--json"), (soak, "--csv"), (soak, "--png")):
            with redirect_stderr(StringIO()):
                failing = Deferred.fromCoroutine(long.main(Clock(), words, "/nonexistent/file"))
            self.assertEqual(self.failureResultOf(failing, SystemExit).value.code, 2)


class SharedTests(SynchronousTestCase):
    """
    What several processes cost that share a port.
    """

    def test_canned(self) -> None:
        """
        Two canned replies are there when they are measured, and gone afterwards.
        """
        compileLoad()
        with workers.canned(2) as cost:
            self.assertGreater(cost(100, 32, 8), 0)


class ProgramTests(SynchronousTestCase):
    """
    How a benchmark that is ended ends.
    """

    PROGRAM = """
import time
from benchmarks import arguments, peers

def main(words):
    with peers.running(peers.SERVERS["canned"]) as (port, pid):
        print(pid, flush=True)
        time.sleep(60)

arguments.asProgram(main)
"""

    def test_ended(self) -> None:
        """
        Its servers end with it, and there is no traceback.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                [sys.executable, "-c", self.PROGRAM],
                env=peers.environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # Who runs the tests in the background may have it ignored.
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
            )
            assert process.stdout is not None
            server = int(process.stdout.readline())
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
            self.assertEqual((process.returncode, errors), (128 + number, ""))
            self.assertRaises(ProcessLookupError, os.kill, server, 0)


class StreamTests(SynchronousTestCase):
    """
    Tests for the benchmark of long bodies.
    """

    def check(self, way: str) -> None:
        """
        1 MiB arrives, and neither end grows by 2 MiB.
        """
        transfer = stream.transfer("txcoap", "txcoap", way, stream.MIB)
        self.assertEqual(transfer.wrong, "")
        self.assertEqual(set(transfer.memory), {"client", "server"})
        self.assertTrue(transfer.isGood, transfer)
        self.assertNotIn("TOO MUCH", stream.row(transfer))

    def test_down(self) -> None:
        """
        A body is fetched as it is taken.
        """
        self.check("down")

    def test_up(self) -> None:
        """
        A body is sent as it is made.
        """
        self.check("up")

    def test_failure(self) -> None:
        """
        What fails is told in its line, with the client's last word.
        """
        error = self.assertRaises(stream.Failed, stream.asked, ["sh", "-c", "echo no luck >&2; exit 3"])
        transfer = stream.Transfer("a", "b", "up", 1, wrong=str(error))
        self.assertFalse(transfer.isGood)
        self.assertIn("3: no luck", stream.row(transfer))

    def test_growth(self) -> None:
        """
        A process that grew by 2 MiB at any time is told.
        """
        grown = Memory(before=10, peak=10 + stream.ALLOWED, after=10)
        transfer = stream.Transfer("a", "b", "up", stream.MIB, 1.0, {"client": grown})
        self.assertFalse(transfer.isGood)
        self.assertIn("TOO MUCH", stream.row(transfer))

    def test_watch(self) -> None:
        """
        The peak is that of the time since the watch began, though the memory is free again.
        """

        def use(length: int) -> None:
            with mmap(-1, length) as memory:
                memory.write(bytes(length))

        use(16 * stream.MIB)
        watch = Watch({"own": os.getpid()})
        use(8 * stream.MIB)
        own = Memory(**watch.look()["own"])
        self.assertGreater(own.growth, 7 * stream.MIB)
        self.assertLess(own.after, own.peak - 7 * stream.MIB)

    def test_body(self) -> None:
        """
        The body is the same read as a file, by position, and in one piece; no two blocks are alike.
        """
        made, length = ends.made, 10_000
        whole = made(0, length)
        self.assertEqual(len(whole), length)
        file, source = ends.Made(length), ends.Made(length)
        self.assertEqual(b"".join(iter(lambda: file.read(999), b"")), whole)
        parts = [source.read(start, 777) for start in range(0, length, 777)]
        self.assertEqual(b"".join(parts), whole)
        blocks = [whole[start : start + 1024] for start in range(0, length, 1024)]
        self.assertEqual(len(set(blocks)), len(blocks))


class CodecTests(SynchronousTestCase):
    """
    Tests for the codec benchmark.
    """

    def test_runs(self) -> None:
        """
        Each case gives a time for each round.
        """
        results = codec.compare(rounds=2, count=50, requests=0)
        self.assertEqual(set(results), set(codec.CASES))
        for figures in results.values():
            self.assertEqual(len(figures), 2)
            self.assertTrue(all(micros > 0 for micros, _ in figures))

    def test_requestsDiffer(self) -> None:
        """
        The requests of the case that no memory helps are as many as they claim to be, and alike in
        length.
        """
        requests = {codec.request(n)[4:] for n in range(200)}
        self.assertEqual(len(requests), 200)
        self.assertEqual(len({len(r) for r in requests}), 1)


class MemoryTests(SynchronousTestCase):
    """
    Tests for the memory benchmark.
    """

    def test_bounded(self) -> None:
        """
        A remembered request keeps at most 400 bytes, however many peers they come from.
        """
        for senders in (1, 500):
            full, left = memory.allocated(2_000, senders)
            self.assertGreater(full, 10)
            self.assertLessEqual(full, 400)
            self.assertLess(left, full)

    def test_observers(self) -> None:
        """
        An observer keeps at most 1,500 bytes, however it is notified; when all have left, the tables alone
        are left.
        """
        for confirmable in (True, False):
            full, left = memory.observers(1_000, confirmable)
            self.assertGreater(full, 300)
            self.assertLessEqual(full, 1_500)
            self.assertLess(left, full / 3)
