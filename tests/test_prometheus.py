"""
Tests for L{txcoap.prometheus}.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from treq import content
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase
from twisted.web import server as http
from twisted.web.client import Agent as WebAgent
from twisted.web.test.requesthelper import DummyRequest

from tests.wire import ServerTestCase
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.prometheus import PrometheusResource, metricsText
from txcoap.resource import Resource
from txcoap.sansio.health import Health, Table, Times
from txcoap.service import CoAPService

parser: Any
try:
    parser = import_module("prometheus_client.parser")
except ImportError:
    parser = None


def samplesIn(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What Prometheus' own client makes of it: each sample by its name and labels."""
    if parser is None:
        raise SkipTest("prometheus_client is not installed")
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


class TextTests(ServerTestCase):
    """L{metricsText}."""

    def test_figures(self) -> None:
        """Each figure is a sample with the name that is documented."""
        self.serve(Resource())
        self.ask(Code.PUT, "nowhere")
        samples = samplesIn(metricsText(self.site.health()))
        for name, labels, value in (
            ("txcoap_sockets", (), 1),
            ("txcoap_messages_received_total", (("type", "CON"),), 1),
            ("txcoap_requests_received_total", (("method", "PUT"),), 1),
            ("txcoap_responses_sent_total", (("code", "4.04"),), 1),
            ("txcoap_datagrams_received_total", (), 1),
            ("txcoap_format_errors_total", (), 0),
            ("txcoap_table_size", (("table", "remembered"),), 1),
            ("txcoap_table_limit", (("table", "peers"),), 50000),
        ):
            self.assertEqual(samples[name, labels], value, name)
        self.assertNotIn(("txcoap_table_limit", (("table", "remembered"),)), samples)

    def test_histogram(self) -> None:
        """Buckets are cumulative, and the last of them holds all."""
        counts = (3, 0, 2) + (0,) * 14 + (1,)
        samples = samplesIn(metricsText(Health(roundTrips=Times(counts, 1.5))))
        buckets = {labels[0][1]: value for (name, labels), value in samples.items() if "bucket" in name}
        self.assertEqual((buckets["0.001"], buckets["0.005"], buckets["+Inf"]), (0, 0, 0))
        found = [
            samples["txcoap_round_trip_seconds_bucket", (("le", bound),)]
            for bound in ("0.001", "0.0025", "0.005", "250.0", "+Inf")
        ]
        self.assertEqual(found, [3, 3, 5, 5, 6])
        self.assertEqual(samples["txcoap_round_trip_seconds_count", ()], 6)
        self.assertEqual(samples["txcoap_round_trip_seconds_sum", ()], 1.5)

    def test_form(self) -> None:
        """Each metric is described once, and every line ends."""
        text = metricsText(Health(1, tables={"peers": Table(1, 2, 3)}))
        helps = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
        self.assertEqual(len(helps), len(set(helps)))
        self.assertTrue(text.endswith("\n"))

    def test_workers(self) -> None:
        """Figures of several are told apart by a label, each metric is described once."""
        text = metricsText({"1": Health(3, tables={"peers": Table(1, 2, 3)}), "2": Health(4)})
        samples = samplesIn(text)
        self.assertEqual(samples["txcoap_sockets", (("worker", "1"),)], 3)
        self.assertEqual(samples["txcoap_sockets", (("worker", "2"),)], 4)
        self.assertEqual(samples["txcoap_table_size", (("worker", "1"), ("table", "peers"))], 1)
        self.assertEqual(text.count("# HELP txcoap_sockets "), 1)

    def test_workersThatAreNot(self) -> None:
        """Of none there is nothing."""
        self.assertEqual(metricsText({}), "")


class OverLoopbackTests(TestCase):
    """A service that shows its figures by HTTP."""

    async def test_scraped(self) -> None:
        """What Prometheus would fetch counts what was asked by CoAP; stopping closes both."""
        reactor: Any = _reactor
        service = CoAPService(
            Resource(), ["udp:0:interface=127.0.0.1"], reactor, prometheus="tcp:0:interface=127.0.0.1"
        )
        service.startService()
        self.addCleanup(service.stopService)
        (host,) = service.getHosts()
        agent = Agent(reactor)
        self.addCleanup(agent.close)
        await agent.get(f"coap://127.0.0.1:{host.port}/nowhere")  # type: ignore[attr-defined]
        (port,) = service._webPorts
        where = f"http://127.0.0.1:{port.getHost().port}/metrics"  # type: ignore[attr-defined]
        response = await WebAgent(reactor).request(b"GET", where.encode())
        self.assertEqual(response.code, 200)
        types = response.headers.getRawHeaders(b"content-type")
        self.assertEqual(types, [b"text/plain; version=0.0.4; charset=utf-8"])
        samples = samplesIn((await content(response)).decode())
        self.assertEqual(samples["txcoap_responses_sent_total", (("code", "4.04"),)], 1)

    async def test_later(self) -> None:
        """What comes by a Deferred is waited for; where it fails the answer is 500."""
        reactor: Any = _reactor
        results: list[Any] = [lambda: {"1": Health(7)}, lambda: 1 // 0]
        resource = PrometheusResource(lambda: deferLater(reactor, 0, results.pop(0)))
        port = reactor.listenTCP(0, http.Site(resource), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        where = f"http://127.0.0.1:{port.getHost().port}/".encode()
        response = await WebAgent(reactor).request(b"GET", where)
        self.assertIn(b'txcoap_sockets{worker="1"} 7\n', await content(response))
        response = await WebAgent(reactor).request(b"GET", where)
        await content(response)
        self.assertEqual(response.code, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class LeftTests(SynchronousTestCase):
    """A scraper that left before the figures were there."""

    def test_left(self) -> None:
        """Nothing is written to it, and that is no error; a failure is logged all the same."""
        for result in ({"1": Health(7)}, Failure(ValueError("scripted"))):
            figures: Deferred[Any] = Deferred()
            resource, request = PrometheusResource(lambda: figures), DummyRequest([b""])  # noqa: B023
            self.assertEqual(resource.render_GET(request), http.NOT_DONE_YET)
            request.processingFailed(Failure(ConnectionDone()))
            figures.callback(result)
            self.assertEqual((request.written, request.finished), ([], 0))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class UnusedTests(SynchronousTestCase):
    """Where nobody asks for it."""

    def test_none(self) -> None:
        """A service without it listens nowhere else."""
        self.assertEqual(CoAPService(Resource(), [], object())._webPorts, [])
