"""
What can be observed at C{examples.plugtest}: the resources of ETSI's plugtests OBS. To be served with
the others::

    twistd -n coap --listen udp:5683:interface=127.0.0.1 --resources examples.plugtest
    txcoap observe coap://localhost/obs

C{examples.plugtest_observe} says which there are in its table at the end.
"""

from datetime import datetime
from random import Random
from typing import Any

from twisted.internet.task import LoopingCall

from txcoap import Code, ObservableResource, Request, Resource, Response
from txcoap.block import Block
from txcoap.errors import BadRequest, Forbidden

INTERVAL = 5
SMALL_BLOCKS = Block(0, False, 2)


class Changing(ObservableResource):
    """OBS_01, 02, 05, 06, 10, 11, 12: the time of day, told every five seconds while anybody observes."""

    maxAge = INTERVAL

    def __init__(self, reactor: Any, confirmable: bool = True) -> None:
        self.attributes = {"rt": "observe"}
        self.confirmable = confirmable
        self.reactor = reactor
        self.relations: dict[Any, Any] = {}
        self.ticking = LoopingCall(self.tick)
        self.ticking.clock = reactor

    def render_GET(self, request: Request) -> Any:
        request.setOption(maxAge=self.maxAge)
        return self.state()

    def state(self) -> str:
        return datetime.fromtimestamp(self.reactor.seconds()).strftime("%H:%M:%S")

    def observe(self, request: Request, response: Response) -> Any:
        relation = super().observe(request, response)
        if relation is not None:
            self.relations[relation] = request.protocol
            self.run()
        return relation

    def run(self) -> None:
        if not self.ticking.running:
            self.ticking.start(INTERVAL, now=False)

    def tick(self) -> None:
        self.notifyObservers()
        self.relations = {each: way for each, way in self.relations.items() if not each.hasEnded}
        if not self.relations:
            self.ticking.stop()

    def forgetObservers(self) -> None:
        """As if the server had been switched off and on: they are not told."""
        for relation, protocol in self.relations.items():
            if not relation.hasEnded:
                protocol.deregister(relation.peer, relation.token)


class Settable(Changing):
    """OBS_07, 08, 09: what is put is the state until the next tick; the library sees to a new format."""

    put: Response | None = None

    def render_GET(self, request: Request) -> Any:
        state = super().render_GET(request)
        if self.put is None:
            return state
        request.negotiate(self.put.contentFormat or 0)
        return request.toResponse(self.put.payload)

    def render_PUT(self, request: Request) -> None:
        if request.contentFormat is None:
            raise BadRequest("Content-Format is missing")
        self.put = Response(Code.CONTENT, request.payload, contentFormat=request.contentFormat)
        self.notifyObservers()
        self.run()

    def render_DELETE(self, request: Request) -> None:
        """The observers are told that it is gone; then it is there again, for the next test."""
        self.put = None
        self.dismissObservers()

    def tick(self) -> None:
        self.put = None
        super().tick()


class InSmallBlocks(Changing):
    """OBS_13: in blocks of 64 bytes at most, also where the client does not ask for them."""

    def render(self, request: Request) -> Any:
        if request.options.block2 is None:
            request.options = request.options.evolve(block2=SMALL_BLOCKS)
        return super().render(request)

    def state(self) -> str:
        return "".join(f"{n}: {super(InSmallBlocks, self).state()} {'.' * 41}\n" for n in range(3))


class Pumping(InSmallBlocks):
    """OBS_14: now in one message, now in blocks."""

    lengths = (84, 164, 8)

    def __init__(self, reactor: Any, chance: Random, confirmable: bool = True) -> None:
        super().__init__(reactor, confirmable)
        self.chance = chance
        self.length = chance.choice(self.lengths)

    def state(self) -> str:
        return Changing.state(self).ljust(self.length, ".")

    def tick(self) -> None:
        self.length = self.chance.choice(self.lengths)
        super().tick()


class Reset(Resource):
    """OBS_04: lets all that can be observed forget who does; or, with C{?notfound}, end it."""

    def __init__(self, observed: list[Changing]) -> None:
        self.observed = observed

    def render_POST(self, request: Request) -> None:
        if request.payload != b"sesame":
            raise Forbidden("say the word")
        for each in self.observed:
            if "notfound" in request.query:
                each.dismissObservers()
            else:
                each.forgetObservers()


def observables(reactor: Any, chance: Random) -> dict[str, Resource]:
    """The resources by their paths."""
    table: dict[str, Changing] = {
        "obs": Settable(reactor),
        "obs-non": Changing(reactor, confirmable=False),
        "obs-large": InSmallBlocks(reactor),
        "obs-pumping": Pumping(reactor, chance),
        "obs-pumping-non": Pumping(reactor, chance, confirmable=False),
    }
    return {**table, "obs-reset": Reset(list(table.values()))}
