"""
Tests for L{txcoap.health} and L{txcoap.sansio.health}: what was counted, as a value and as a resource.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.wire import Answering, ServerTestCase
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.errors import NoResponse, SocketClosed
from txcoap.health import Health, HealthResource, figures, putResource
from txcoap.limits import Limits
from txcoap.linkformat import parse
from txcoap.message import Request as Message
from txcoap.protocol import CoAPProtocol
from txcoap.resource import Resource
from txcoap.sansio.counters import BOUNDS, Histogram
from txcoap.sansio.datagrams import ACK, CON, NON
from txcoap.sansio.health import Messages, Table, Times
from txcoap.server import Site
from txcoap.transports import udp


class CountingTests(ServerTestCase):
    """What each message adds to."""

    def test_messages(self) -> None:
        """Messages count by type, by method, and by code, both ways."""
        self.serve(Resource())
        for code in (Code.GET, Code.GET, Code.PUT):
            self.ask(code, "nowhere")
        self.ask(type=NON)
        self.peer.sendEmpty(CON, 7)
        self.peer.sendBytes(b"\x00rubbish")
        health = self.site.health()
        self.assertEqual(health.received.types, {"CON": 4, "NON": 1, "ACK": 0, "RST": 0})
        self.assertEqual(health.received.requests, {"GET": 3, "PUT": 1})
        self.assertEqual(health.sent.types, {"CON": 0, "NON": 1, "ACK": 3, "RST": 1})
        self.assertEqual(health.sent.responses, {"4.04": 4})
        self.assertEqual((health.counters["received"], health.counters["sent"]), (6, 5))
        self.assertEqual((health.counters["formatErrors"], health.counters["resetsSent"]), (1, 1))

    def test_unregistered(self) -> None:
        """A method without a name is counted by its number."""
        self.serve(Resource())
        self.ask(Code.fromByte(0x1E))
        self.assertEqual(self.site.health().received.requests, {"0.30": 1})

    def test_asked(self) -> None:
        """Our own requests count too, and how long they took."""
        self.serve(Resource())
        self.protocol.request(Message(Code.GET), self.peer.address)
        asked = self.peer.takeOne()
        self.reactor.elapse(0.2)
        self.peer.send(ACK, Code.CONTENT, asked.messageID, asked.token)
        failing = self.protocol.request(Message(Code.GET), self.peer.address, confirmable=False, timeout=1)
        self.reactor.elapse(1)
        self.failureResultOf(failing, NoResponse)
        health = self.protocol.health()
        self.assertEqual((health.sent.requests, health.received.responses), ({"GET": 2}, {"2.05": 1}))
        self.assertEqual((health.roundTrips.count, health.roundTrips.quantile(0.5)), (1, 0.25))

    def test_agent(self) -> None:
        """An agent tells of the sockets that it has open."""
        self.serve(Resource())
        agent = Agent(self.reactor)
        self.assertEqual(agent.health(), Health())
        asking = agent.get("coap://192.0.2.1/")
        self.reactor.elapse(0.01)
        self.assertEqual(self.successResultOf(asking).code, Code.NOT_FOUND)
        health = agent.health()
        self.assertEqual((health.sockets, health.sent.requests), (1, {"GET": 1}))
        agent.close()
        shared = Agent(self.reactor, protocol=self.protocol)
        self.assertEqual(shared.health().received.requests, {"GET": 1})

    def test_answeredLater(self) -> None:
        """A request that is not answered at once counts with the time that its answer took."""
        waiting: list[Deferred[bytes]] = []

        def wait(request: Any) -> Deferred[bytes]:
            waiting.append(Deferred())
            return waiting[-1]

        self.serve(Answering(wait))
        self.ask()
        self.reactor.elapse(3)
        waiting[0].callback(b"at last")
        times = self.site.health().answerTimes
        self.assertEqual((times.count, times.quantile(1), round(times.total, 3)), (1, 5.0, 3.0))

    def test_tables(self) -> None:
        """A table has its limit, its size, and the largest that was seen."""
        self.serve(Resource(), limits=Limits(pendingRequests=77))
        for _ in range(5):
            self.ask()
        self.reactor.elapse(2)
        self.assertEqual(self.site.health().tables["remembered"].size, 5)
        self.reactor.elapse(300)
        tables = self.site.health().tables
        self.assertEqual(tables["remembered"], Table(0, 5, None))
        self.assertEqual(tables["pendingRequests"], Table(0, 0, 77))

    def test_highestUnseen(self) -> None:
        """The highest size is noted without anybody asking, when something is due."""
        self.serve(Resource())
        for _ in range(5):
            self.ask()
        self.reactor.elapse(300)
        self.assertEqual(self.site.health().tables["remembered"], Table(0, 5, None))

    def test_several(self) -> None:
        """The sockets of a site are added up; one that is closed counts no more."""
        self.serve(Resource())
        second = self.site.buildProtocol(self.reactor)
        socket = self.wire.open(second, ("192.0.2.2", 5683))
        self.ask()
        pinged = second.ping(self.peer.address)
        health = self.site.health()
        self.assertEqual((health.sockets, health.counters["sent"]), (2, 2))
        self.assertEqual(health.tables["peers"].limit, 2 * Limits().peers)
        self.assertEqual(health.sent.types, {"CON": 1, "NON": 0, "ACK": 1, "RST": 0})
        socket.stopListening()
        self.failureResultOf(pinged, SocketClosed)
        self.assertEqual(self.site.health().sockets, 1)

    def test_throughJSON(self) -> None:
        """A health that was written as JSON and read again is the same."""
        times = Times(tuple(range(len(BOUNDS) + 1)), 2.5)
        messages = Messages({"CON": 1}, {"GET": 2}, {"2.05": 3})
        tables = {"peers": Table(1, 2, 3), "uploads": Table(4, 5)}
        health = Health(1, {"sent": 2}, messages, messages, tables, times, times)
        self.assertEqual(Health.fromDict(json.loads(json.dumps(health.toDict()))), health)

    def test_nothing(self) -> None:
        """Without a socket there is nothing."""
        self.assertEqual(Health.ofAll([]), Health())
        self.assertEqual(Health().toDict()["roundTrips"]["count"], 0)


class PortTests(TestCase):
    """What a port counts."""

    def test_counted(self) -> None:
        """Datagrams for which the kernel had no room are counted, and those that were too long."""
        from twisted.internet import reactor

        protocol = CoAPProtocol(Site(Resource()), reactor)
        port = udp.listenUDP(reactor, 0, protocol, "127.0.0.1", maxPacketSize=1200, receiveBuffer=None)
        self.addCleanup(port.stopListening)
        port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # type: ignore[attr-defined]
        with socket.socket(type=socket.SOCK_DGRAM) as sending:
            sending.connect(("127.0.0.1", port.getHost().port))  # type: ignore[attr-defined]
            sending.send(bytes(1201))
            for _ in range(100):
                sending.send(bytes(100))
        port.doRead()  # type: ignore[attr-defined]
        counters = protocol.health().counters
        self.assertEqual(counters["truncated"], 1)
        if sys.platform.startswith("linux"):
            self.assertGreater(counters["dropped"], 10)
            self.assertEqual(counters["dropped"] + counters["formatErrors"], 100)


class TimesTests(SynchronousTestCase):
    """L{Histogram} and L{Times}."""

    def test_buckets(self) -> None:
        """A time is in the first bucket whose bound it does not exceed; beyond all, in the last."""
        histogram = Histogram()
        for seconds in (0.0, 0.001, 0.0011, 250, 251):
            histogram.add(seconds)
        self.assertEqual(histogram.counts[:2] + histogram.counts[-2:], [2, 1, 1, 1])
        self.assertEqual(len(histogram.counts), len(BOUNDS) + 1)

    def test_quantile(self) -> None:
        """The bound of the bucket in which a share ends; infinity beyond the last, 0 if there is none."""
        counts = [0] * (len(BOUNDS) + 1)
        self.assertEqual(Times(tuple(counts)).quantile(0.5), 0.0)
        counts[2], counts[5], counts[-1] = 90, 9, 1
        times = Times(tuple(counts))
        found = [times.quantile(share) for share in (0.0, 0.5, 0.9, 0.95, 0.99, 1)]
        self.assertEqual(found, [0.005, 0.005, 0.005, 0.05, 0.05, float("inf")])


class HealthResourceTests(ServerTestCase):
    """L{HealthResource}."""

    def setUp(self) -> None:
        """Serve one."""
        super().setUp()
        root = Resource()
        root.putChild("health", HealthResource())
        self.serve(root)

    def fetch(self, **options: Any) -> bytes:
        """Its whole body, block by block."""
        body, number = b"", 0
        while True:
            answer = self.answerTo(Code.GET, "health", block2=(number, False, 6), **options)
            self.assertEqual(answer.code, Code.CONTENT, answer.payload)
            body += answer.payload
            block = answer.options.block2
            if block is None or not block.more:
                return body
            number += 1

    def test_json(self) -> None:
        """By default the figures come as JSON; they are those of the moment."""
        first = json.loads(self.fetch())
        self.assertEqual(first["received"]["requests"], {"GET": 1})
        self.assertEqual(first["tables"]["peers"], {"size": 0, "highest": 0, "limit": 50000})
        self.assertGreater(json.loads(self.fetch())["received"]["requests"]["GET"], 1)

    def test_text(self) -> None:
        """As text there is a figure on each line."""
        lines = dict(line.split(" ") for line in self.fetch(accept=0).decode().splitlines())
        self.assertEqual(lines["received/requests/GET"], "1")
        self.assertEqual(lines["tables/peers/limit"], "50000")
        self.assertNotIn("tables/remembered/limit", lines)

    def test_senML(self) -> None:
        """SenML has a record for each, the first with the base name (RFC 8428 4.5.1)."""
        records = json.loads(self.fetch(accept=110))
        self.assertEqual(records[0], {"bn": "txcoap/", "n": "sockets", "v": 1})
        self.assertEqual([set(each) for each in records[1:]], [{"n", "v"}] * (len(records) - 1))

    def test_otherFormat(self) -> None:
        """It has no other format."""
        self.assertEqual(self.answerTo(Code.GET, "health", accept=60).code, Code.NOT_ACCEPTABLE)

    def test_discovery(self) -> None:
        """It is found by its resource type, and says which formats it has."""
        answer = self.answerTo(Code.GET, ".well-known/core", uriQuery=("rt=txcoap.health",))
        (link,) = parse(answer.payload.decode())
        self.assertEqual((link.target, dict(link.attributes)["ct"]), ("/health", "50 0 110"))

    def test_source(self) -> None:
        """It can show what another server counted."""
        self.site.resource.putChild("other", HealthResource(lambda: Health(sockets=42)))
        shown = self.answerTo(Code.GET, "other", accept=0).payload
        self.assertTrue(shown.startswith(b"sockets 42\n"), shown)

    def test_figures(self) -> None:
        """Every figure has a name of its own."""
        names = [name for name, _ in figures(self.site.health())]
        self.assertEqual(len(names), len(set(names)))


class PutResourceTests(SynchronousTestCase):
    """L{putResource}: a resource put at a path."""

    def test_deep(self) -> None:
        """What is missing on the way is made, what is there is used."""
        root, status, health = Resource(), Resource(), Resource()
        root.putChild("status", status)
        putResource(root, "/status/deep%20er/health", health)
        self.assertIs(status.children["deep er"].children["health"], health)

    def test_noPlace(self) -> None:
        """Nothing is replaced, nothing goes below a leaf, and a path is one, with a name."""
        for path in ("%zz", ""):
            self.assertRaises(ValueError, putResource, Resource(), path, Resource())
        root = Resource()
        root.putChild("leaf", HealthResource())
        for path in ("leaf", "leaf/health", "", "/"):
            self.assertRaises(ValueError, putResource, root, path, Resource())
