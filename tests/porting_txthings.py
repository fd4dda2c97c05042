"""
What users of txThings write, and what they write here: the rows of C{docs/porting/txthings.rst}, see
L{tests.porting}. L{tests.test_porting} runs them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.porting import answers, now
from txcoap import (
    NOT_DONE_YET,
    Agent,
    CoAPProtocol,
    Code,
    ObservableResource,
    Parameters,
    Request,
    Resource,
    Response,
    Site,
)
from txcoap.endpoints import serverFromString
from txcoap.errors import RequestError
from txcoap.formats import formatName
from txcoap.testing import MemoryNetwork, StubAgent

# Serving


async def serve(reactor: Any, root: Any) -> None:
    """a server"""
    # endpoint = resource.Endpoint(root)
    # reactor.listenUDP(0, coap.Coap(endpoint))
    port = reactor.listenUDP(0, CoAPProtocol(Site(root)))

    await port.stopListening()


async def serveEverywhere(reactor: Any, root: Any) -> None:
    """one for IPv6 and IPv4; better, see :doc:`/running`"""
    # reactor.listenUDP(0, coap.Coap(endpoint), interface="::")
    port = await serverFromString(reactor, "udp:0").listen(Site(root))

    await port.stopListening()  # type: ignore[misc]


def resource() -> None:
    """a resource: what is made at once needs no Deferred"""

    # class Counter(resource.CoAPResource):
    #     def render_GET(self, request):
    #         response = coap.Message(code=coap.CONTENT, payload="5000")
    #         return defer.succeed(response)
    class Counter(Resource):
        def render_GET(self, request: Request) -> str:
            return "5000"

    assert now(StubAgent(Counter()).get("coap://test/")).text() == "5000"


@answers(code="2.05", contentFormat=50, payload=b"{}")
def message(request: Request) -> Response:
    """a response with options"""
    # response = coap.Message(code=coap.CONTENT, payload="{}")
    # response.opt.content_format = coap.media_types_rev["application/json"]
    # return defer.succeed(response)
    return Response(Code.CONTENT, b"{}", contentFormat="application/json")


@answers(payload=b"later")
def later(request: Request) -> Deferred[bytes]:
    """an answer that takes its time"""
    # d = defer.Deferred()
    # reactor.callLater(3, self.responseReady, d, request)
    # return d
    done: Deferred[bytes] = Deferred()
    request.protocol.reactor.callLater(3, done.callback, b"later")
    return done


@answers(payload=b"half and half")
def pieces(request: Request) -> int:
    """an answer in pieces, as in ``twisted.web``: named there, there here"""
    # # NOT_DONE_YET is in the docstrings only
    request.write(b"half and ")
    request.write(b"half")
    request.finish()
    return NOT_DONE_YET


def tree(root: Resource) -> None:
    """the tree"""
    # root.putChild("counter", Counter())
    root.putChild("counter", Resource())

    assert "counter" in root.children


def core() -> None:
    """what ``/.well-known/core`` says: it is there by itself"""

    # self.visible = True
    # self.addParam(resource.LinkParam("title", "Counter"))
    class Counter(Resource):
        attributes = {"title": "Counter"}

    root = Resource()
    root.putChild("counter", Counter())
    Counter.render_GET = lambda self, request: b""  # type: ignore[attr-defined]
    (link,) = now(StubAgent(root).discover("coap://test", "title=Counter"))
    assert link.target == "/counter"


def observable() -> None:
    """a resource that is observed"""

    # self.observable = True
    # self.updatedState()
    class Light(ObservableResource):
        def render_GET(self, request: Request) -> str:
            return "on"

    light = Light()
    light.notifyObservers()
    assert light.observerCount == 0


@answers(payload=b"x=1 y")
def asked(request: Request) -> str:
    """what was asked: text, not bytes"""
    # request.opt.uri_query, request.opt.uri_path, request.remote
    told = request.query, request.path, request.getClientAddress()

    return " ".join(told[0])


# Asking


async def get(agent: Agent) -> None:
    """a request: by its URI, names are looked up"""
    # request = coap.Message(code=coap.GET)
    # request.opt.uri_path = (b"light",)
    # request.remote = (ip_address("192.0.2.1"), coap.COAP_PORT)
    # d = protocol.request(request)
    response = await agent.get("coap://lamp.example/light")

    assert response.payload == b"on"


async def put(agent: Agent) -> None:
    """one with a body and options"""
    # request = coap.Message(code=coap.PUT, payload=b"{}")
    # request.opt.content_format = coap.media_types_rev["application/json"]
    response = await agent.put("coap://192.0.2.1/", json={})

    assert response.text() == "PUT / 2"


async def nonConfirmable(agent: Agent, sent: Any) -> None:
    """one that is not confirmable"""
    # request = coap.Message(code=coap.GET, mtype=coap.NON)
    await agent.get("coap://lamp.example/", confirmable=False)

    assert sent[0].type == 1


async def errback(agent: Agent, show: Any) -> None:
    """what goes wrong"""
    # d.addErrback(self.noResponse)
    asking = agent.get("coap://nobody.example/", timeout=10)
    asking.addErrback(lambda failure: show(failure.check(RequestError)))

    await asking


async def formats(agent: Agent) -> None:
    """the name of a content format"""
    # coap.media_types[response.opt.content_format]
    response = await agent.get("coap://lamp.example/light")
    name = formatName(response.contentFormat)

    assert name == "text/plain; charset=utf-8"


async def cancel(agent: Agent, network: MemoryNetwork, sent: Any) -> None:
    """to take one back: here it is repeated no longer"""
    # d.cancel()
    asking = agent.get("coap://nobody.example/")
    asking.cancel()

    asking.addErrback(lambda failure: None)
    network.advance(100)
    assert len(sent) == 1


async def observe(agent: Agent, show: Any) -> None:
    """to observe"""
    # request.opt.observe = 0
    # d = protocol.request(request, observeCallback=show)
    observation = await agent.observe("coap://lamp.example/light")
    observation.subscribe(show)

    assert observation.isEstablished
    await observation.cancel()


async def unobserve(agent: Agent, root: Any) -> None:
    """to end that"""
    # # there is no way
    observation = await agent.observe("coap://lamp.example/light")
    await observation.cancel()

    assert root.children["light"].observerCount == 0


async def blocks(agent: Agent) -> None:
    """the blocks of a body as they come"""
    # d = protocol.request(request, block2Callback=self.gotBlock)
    seen: list[Any] = []
    await agent.get("coap://lamp.example/large", progress=lambda *step: seen.append(step))

    assert seen[-1] == ("received", 3000, 3000)


async def oneSocket(reactor: Any, root: Any) -> None:
    """one socket to serve and to ask"""
    # protocol = coap.Coap(resource.Endpoint(root))
    # reactor.listenUDP(0, protocol)
    # protocol.request(request)
    protocol = CoAPProtocol(Site(root))
    port = reactor.listenUDP(0, protocol)
    agent = Agent(reactor, protocol=protocol)

    assert agent.getHosts()[0] == port.getHost()
    await port.stopListening()


# Times and tests


def constants() -> None:
    """transmission parameters: a value, not the constants of a module"""
    # coap.MAX_RETRANSMIT = 2
    # coap.EMPTY_ACK_DELAY = 0.5
    patient = Parameters(MAX_RETRANSMIT=2, PIGGYBACK_DELAY=0.5)

    assert StubAgent(Resource(), parameters=patient).parameters is patient


def clock(root: Any) -> None:
    """a test without sockets, on a clock of its own"""
    # # the reactor is imported where it is used
    agent = StubAgent(root)
    asking = agent.get("coap://test/light")
    agent.advance(1)

    assert now(asking).text() == "on"
