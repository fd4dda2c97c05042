"""
Very many sources, each of which asks once and is not heard of again, as forged addresses are.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.limits import DEFAULT_LIMITS
from txcoap.options import NO_OPTIONS
from txcoap.sansio.datagrams import CON, NON, encode
from txcoap.sansio.events import IncomingRequest
from txcoap.sansio.exchanges import Exchanges

SOURCES = 100_000


class SourcesTests(SynchronousTestCase):
    """A machine with the limits of a server in the open, and 100,000 sources."""

    def test_many(self) -> None:
        """
        Confirmable or not, answered at once or apart and never acknowledged: every table keeps to its limit
        all the while, and when all has been silent for as long as anything lasts, all are empty.
        """
        machine = Exchanges(Random(1))
        limits = DEFAULT_LIMITS
        requests = [encode(type, Code.GET, 7, b"tokn") for type in (CON, NON)]
        now, answered, apart = 0.0, 0, 0
        for number in range(SOURCES):
            now += 0.001
            peer = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5683)
            report = machine.receiveDatagram(requests[number & 1], peer, None, now)
            if isinstance(report, IncomingRequest):
                if number % 4 == 2:
                    machine.acknowledge(report, now)
                    apart += 1
                machine.respond(report, Code.CONTENT, NO_OPTIONS, b"x", now)
                answered += 1
            if machine.next() <= now:
                machine.expire(now)
            machine.datagramsToSend()
            if number % 1000 == 0:
                sizes = machine.sizes()
                for name in ("peers", "pendingRequests", "rememberedBytes"):
                    self.assertLessEqual(sizes[name], getattr(limits, name))
        # Those that acknowledge nothing have no place left for more separate answers, which is told the rest.
        self.assertGreaterEqual(apart, limits.pendingRequests)
        self.assertGreater(answered, SOURCES // 4)
        end = now + 4 * machine.parameters.EXCHANGE_LIFETIME
        while machine.next() <= end:
            now = max(now, machine.next())
            machine.expire(now)
            machine.datagramsToSend()
        self.assertEqual(set(machine.sizes().values()), {0}, machine.sizes())
