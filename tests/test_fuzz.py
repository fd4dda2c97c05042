"""
A slice of what C{fuzz} does at length.
"""

from __future__ import annotations

import contextlib
import io
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from fuzz import client, datagrams, decoder, group, guarded, guided, proxy, running, script, server
from fuzz.datagrams import Fuzzer
from fuzz.soundness import Subject, Unsound
from txcoap.options import Options
from txcoap.protocol import CoAPProtocol
from txcoap.sansio.datagrams import ACK, CON, NON, RST, empty, encode
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
            self.assertTrue(getattr(counters, name) > 5, name)

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


class SubjectTests(SynchronousTestCase):
    """L{fuzz.server}, L{fuzz.client} and what both stand on."""

    def test_server(self) -> None:
        """Some thousand datagrams leave a server sound, and reach all of its tables."""
        subject = running.run(server.Fuzzer, 7, 6000)
        counters = subject.protocol.counters
        for name in (
            "formatErrors",
            "duplicates",
            "ignored",
            "resetsReceived",
            "downloadsEvicted",
            "timeouts",
        ):
            self.assertTrue(getattr(counters, name) > 3, counters)
        for type in ("CON", "NON", "ACK", "RST"):
            self.assertTrue(subject.counts[type] > 100, subject.counts)

    def test_client(self) -> None:
        """Likewise a client; of its requests of each kind some succeed, and some fail."""
        subject = running.run(client.Fuzzer, 7, 6000)
        for name in ("get", "large", "observe", "stream", "ping"):
            self.assertTrue(subject.counts[f"{name} ended"] > 3, subject.counts)
        self.assertTrue(subject.counts["large failed"] > 3, subject.counts)
        self.assertTrue(subject.counts["states"] > 30, subject.counts)

    def test_proxy(self) -> None:
        """Likewise a proxy: it asks for its clients, observes for them, and gives what it keeps."""
        fuzzer = proxy.Fuzzer(7)
        self.addCleanup(fuzzer.subject.close)
        most = hits = 0
        for _ in range(4000):
            fuzzer.step()
            most = max(most, sum(each.observations for each in fuzzer.subject.proxies))
        hits = fuzzer.subject.caching.counters.hits
        fuzzer.subject.end()
        self.assertTrue(most > 3, most)
        self.assertTrue(hits > 10, hits)
        for type in ("CON", "NON", "ACK", "RST"):
            self.assertTrue(fuzzer.subject.counts[type] > 100, fuzzer.subject.counts)

    def test_group(self) -> None:
        """Likewise a client that asks groups; more answer than are heard."""
        subject = running.run(group.Fuzzer, 7, 6000)
        for name in ("gather", "stop", "discover"):
            self.assertTrue(subject.counts[f"{name} ended"] > 30, subject.counts)
        self.assertTrue(subject.protocol.counters.groupResponsesIgnored > 3)

    def test_guarded(self) -> None:
        """Likewise a server that does not amplify; some of its clients prove who they are."""
        subject = running.run(guarded.Fuzzer, 7, 6000)
        assert isinstance(subject, guarded.Guarded)
        self.assertTrue(subject.protocol.counters.echoesDemanded > 100)
        self.assertTrue(3 < len(subject.proven) < 12, subject.proven)

    def test_repeatable(self) -> None:
        """The same seed gives the same run."""
        for module in (server, client, proxy, group, guarded):
            first, second = (running.run(module.Fuzzer, 5, 300) for _ in range(2))
            self.assertEqual((first.counts, first.clock.seconds()), (second.counts, second.clock.seconds()))

    def test_commandLine(self) -> None:
        """The command lines tell what came, and exit with 0 if all was sound, else with 1."""
        for module in (server, client, decoder, proxy, group, guarded):
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                self.assertEqual(module.main(["--count", "200", "--seed", "5"]), 0)
            self.assertIn("sound", out.getvalue())
            self.assertEqual(err.getvalue(), "")
        self.patch(CoAPProtocol, "sizes", lambda protocol: {"peers": 10**6})
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.assertEqual(server.main(["--count", "200"]), 1)
        self.assertIn("seed 1, step 0", err.getvalue())


class Speaking(CoAPProtocol):
    """A protocol that also says what it is told to, whatever came."""

    says = b""

    def datagramReceived(self, data: bytes, peer: Any, local: Any = None) -> None:
        """Hear it, and speak."""
        super().datagramReceived(data, peer, local)
        transport: Any = self.transport
        transport.send(self.says, peer)


class Saying(Subject):
    """One with nothing else on it."""

    def newProtocol(self) -> Speaking:
        """What speaks."""
        return Speaking(None, self.clock)


class SoundnessTests(SynchronousTestCase):
    """L{fuzz.soundness}: what it is to notice, it notices."""

    def test_amplification(self) -> None:
        """L{fuzz.guarded} notices a byte too many to an address that has not proven itself."""
        subject = guarded.Guarded(1)
        self.addCleanup(subject.close)
        self.patch(guarded, "FACTOR", 1)
        options = Options(uriPath=("large",))
        error = self.assertRaises(
            Unsound, subject.receive, encode(CON, 1, 7, b"t" * 8, options, bytes(30)), ("192.0.2.9", 5683)
        )
        self.assertIn("bytes too many", str(error))

    def assertUnsound(self, came: bytes, said: bytes) -> None:
        """When the one comes, the other must not be said."""
        subject = Saying(1)
        self.addCleanup(subject.close)
        subject.protocol.says = said  # type: ignore[attr-defined]
        self.assertRaises(Unsound, subject.receive, came, ("192.0.2.9", 5683))

    def test_replies(self) -> None:
        """Replies to nothing, to other IDs, to acknowledgements, with other tokens, or twice."""
        ask = encode(CON, 1, 7, b"t")
        self.assertUnsound(ask, empty(ACK, 8))
        self.assertUnsound(ask, empty(RST, 7))
        self.assertUnsound(ask, encode(ACK, 69, 7, b"u"))
        self.assertUnsound(encode(NON, 1, 7, b"t"), empty(ACK, 7))
        for type in (ACK, RST):
            self.assertUnsound(empty(type, 7), empty(RST, 7))

    def test_messages(self) -> None:
        """Messages that nobody may send, or that nobody asked for."""
        ask = encode(NON, 1, 7, b"t")
        self.assertUnsound(ask, encode(ACK, 1, 7, b"t"))
        self.assertUnsound(ask, encode(CON, 0x20, 8, b"t"))
        self.assertUnsound(ask, encode(CON, 69, 8, b"u"))


class GuidedTests(SynchronousTestCase):
    """L{fuzz.guided}, less the guide."""

    def test_corpus(self) -> None:
        """Everything in the corpus is sound: what was found once is not found again."""
        for name in guided.TARGETS:
            files = sorted((guided.CORPUS / name).iterdir())
            self.assertGreater(len(files), 10)
            for file in files:
                guided.play(name, file.read_bytes())

    def test_anything(self) -> None:
        """Every string of bytes is a script."""
        chance = Random(3)
        for name in guided.TARGETS:
            for length in (0, 1, 2, 3, 50, 300):
                guided.play(name, chance.randbytes(length))

    def test_steps(self) -> None:
        """A script asks a server; with the ID of what it says, it acknowledges that."""
        subject = server.Server(1)
        self.addCleanup(subject.close)
        ask = encode(CON, 1, 7, b"t", Options(uriPath=("slow",)))
        script.play(subject, script.receiving([ask]) + bytes((5, 4)) + script.replying(empty(ACK, 0)))
        self.assertEqual(subject.protocol.counters.timeouts, 0)
        self.assertEqual((subject.counts["ACK"], subject.counts["CON"]), (1, 1))

    def test_commandLine(self) -> None:
        """Files are played; a target that is not known is told."""
        out, err = io.StringIO(), io.StringIO()
        file = str(sorted((guided.CORPUS / "server").iterdir())[0])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.assertEqual(guided.main(["server", file]), 0)
            self.assertEqual(guided.main(["nothing"]), 2)
            self.patch(CoAPProtocol, "sizes", lambda protocol: {"peers": 10**6})
            self.assertEqual(guided.main(["server", file]), 1)
        self.assertIn("sound", out.getvalue())
        self.assertIn("decoder|server|client", err.getvalue())
