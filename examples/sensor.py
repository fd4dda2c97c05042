"""
A thermometer that can be observed, with its history, as SenML in JSON (RFC 8428)::

    twistd -n coap --resources examples.sensor
    txcoap observe --plot coap://localhost/temperature
    txcoap get 'coap://localhost/temperature?history'
"""

import json
from random import Random
from typing import Any

from twisted.internet.task import LoopingCall

from txcoap import ObservableResource, Request, Resource

INTERVAL = 2
KEPT = 500


class Temperature(ObservableResource):
    """What was measured last; with C{?history} all that is kept, in blocks when it is long."""

    attributes = {"rt": "temperature", "ct": 110}
    contentFormat = "application/senml+json"
    maxAge = 2 * INTERVAL
    value = 21.0

    def __init__(self, reactor: Any, chance: Random) -> None:
        self.reactor = reactor
        self.chance = chance
        self.records: list[dict[str, Any]] = []
        self.measuring = LoopingCall(self.measure)
        self.measuring.clock = reactor
        self.measuring.start(INTERVAL)

    def measure(self) -> None:
        self.value = round(self.value + self.chance.uniform(-0.5, 0.5), 2)
        time = round(self.reactor.seconds(), 1)
        self.records.append({"n": "temperature", "u": "Cel", "t": time, "v": self.value})
        del self.records[:-KEPT]
        self.notifyObservers()

    def render_GET(self, request: Request) -> bytes:
        records = self.records if "history" in request.query else self.records[-1:]
        return json.dumps(records).encode()


def root(reactor: Any, chance: Random | None = None) -> Resource:
    """The tree: C{/temperature}."""
    tree = Resource()
    tree.putChild("temperature", Temperature(reactor, chance or Random()))
    return tree
