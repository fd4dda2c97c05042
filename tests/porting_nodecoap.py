"""
What users of node-coap write, and what they write here: the rows of C{docs/porting/nodecoap.rst}, see
L{tests.porting}. L{tests.test_porting} runs them.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any
from unicodedata import normalize

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.web.client import FileBodyProducer, readBody

from tests.porting import answers, now
from txcoap import (
    NOT_DONE_YET,
    Agent,
    CoAPProtocol,
    Code,
    Limits,
    ObservableResource,
    Options,
    Parameters,
    Request,
    Resource,
    Response,
    Router,
    Site,
    ask,
    parameters,
)
from txcoap.definitions import UINT, Single
from txcoap.endpoints import serverFromString
from txcoap.errors import NoAcknowledgement, RequestError, ResetReceived
from txcoap.formats import contentFormat, registerFormat
from txcoap.headers import fromHeaders, ignoreHeader
from txcoap.options import registerOption
from txcoap.proxy import AllowList, ForwardProxy
from txcoap.service import CoAPService
from txcoap.testing import MemoryNetwork, StubAgent

# Asking


async def get(agent: Agent) -> None:
    """a request"""
    # const req = coap.request('coap://lamp.example/light')
    # req.on('response', res => show(res.payload))
    # req.end()
    response = await agent.get("coap://lamp.example/light")

    assert response.payload == b"on"


async def byDefaultAgent(reactor: Any, uri: str) -> None:
    """without an agent"""
    # coap.request(uri).end()
    response = await ask.get(uri, reactor=reactor)

    assert response.text() == "on"


async def defaultAgent(reactor: Any, uri: str) -> None:
    """another global agent"""
    # coap.setGlobalAgent(new coap.Agent({port: 15683}))
    ask.setDefaultAgent(Agent(reactor, bindAddress=("127.0.0.1", 15683), idleTimeout=0), reactor)

    ask.setDefaultAgent(None, reactor)


async def parts(agent: Agent) -> None:
    """a request by its parts"""
    # coap.request({hostname: 'lamp.example', port: 5683,
    #               pathname: '/hall/light', query: 'unit=lux'})
    response = await agent.get(host="lamp.example", port=5683, path="/hall/light", query={"unit": "lux"})

    assert response.text() == "GET /hall/light?unit=lux 0"


async def normalized(agent: Agent) -> None:
    """a path in NFC: there always, here where you say so"""
    # coap.request({hostname: 'lamp.example', pathname: '/cafe\\u0301'})
    response = await agent.get(host="lamp.example", path=normalize("NFC", "/cafe\u0301"))

    assert response.text() == "GET /caf\u00e9 0"


async def method(agent: Agent) -> None:
    """a method, and a body"""
    # const req = coap.request({hostname: 'lamp.example', method: 'PUT',
    #                           pathname: '/light'})
    # req.end('off')
    response = await agent.put("coap://lamp.example/light", "off")

    assert response.code == Code.CHANGED


async def otherMethod(agent: Agent) -> None:
    """a method by its name"""
    # coap.request({hostname: 'lamp.example', method: 'iPATCH'})
    response = await agent.request("iPATCH", "coap://lamp.example/", b"{}", contentFormat="merge-patch+json")

    assert response.text() == "iPATCH / 2"


async def nonConfirmable(agent: Agent, sent: Any) -> None:
    """a non-confirmable request"""
    # coap.request({hostname: 'lamp.example', confirmable: false})
    await agent.get("coap://lamp.example/", confirmable=False)

    assert sent[0].type == 1


async def options(agent: Agent, sent: Any) -> None:
    """options"""
    # coap.request({hostname: 'lamp.example', accept: 'application/json',
    #               options: {ETag: 'v1'}})
    await agent.get("coap://lamp.example/", accept="application/json", etag=b"v1")

    assert (sent[0].options.accept, sent[0].options.etag) == (50, (b"v1",))


async def headers(agent: Agent, sent: Any) -> None:
    """options by the names of HTTP"""
    # req.setHeader('Content-Type', 'application/json; charset=utf-8')
    await agent.put("coap://lamp.example/", b"1", headers={"Content-Type": "application/json; charset=utf-8"})

    assert sent[0].options.contentFormat == 50


async def numberedOption(agent: Agent, sent: Any) -> None:
    """an option by its number, twice"""
    # req.setOption('65000', [Buffer.from('a'), Buffer.from('b')])
    await agent.get("coap://lamp.example/", headers={"65000": [b"a", b"b"]})

    assert sent[0].options.get(65000) == (b"a", b"b")


async def token(agent: Agent, sent: Any) -> None:
    """a token of your own"""
    # coap.request({hostname: 'lamp.example', token: Buffer.from('mine')})
    await agent.get("coap://lamp.example/", token=b"mine")

    assert sent[0].token == b"mine"


async def code(agent: Agent) -> None:
    """code, body and options of a response"""
    # res.code, res.payload, res.headers['Content-Type']
    response = await agent.get("coap://lamp.example/light")
    told = response.code.dotted, response.payload, response.headers["Content-Type"]

    assert told == ("2.05", b"on", "text/plain; charset=utf-8")


async def addresses(agent: Agent) -> None:
    """the addresses of both ends"""
    # res.rsinfo.address, res.outSocket.port
    response = await agent.get("coap://lamp.example/light")
    told = response.getPeerAddress().host, response.getHost().port

    assert told[0] == "192.0.2.1"


async def retries(agent: Agent, sent: Any) -> None:
    """how often a request is repeated"""
    # coap.request({hostname: 'nobody.example', retrySend: 0})
    once = Parameters(MAX_RETRANSMIT=0)
    asking = agent.get("coap://nobody.example/", parameters=once)

    assert await asking.addErrback(lambda failure: type(failure.value)) is NoAcknowledgement
    assert len(sent) == 1


async def timeout(agent: Agent, show: Any) -> None:
    """no reply in time: an exception, as ``TimeoutError`` and in seconds of yours"""
    # req.on('timeout', e => show(e.retransmitTimeout))
    # req.on('error', () => {})
    try:
        await agent.get("coap://nobody.example/", timeout=30)
    except TimeoutError as e:
        show(e)


async def error(agent: Agent, show: Any) -> None:
    """whatever else goes wrong"""
    # req.on('error', e => show(e.message))
    try:
        await agent.get("coap://unknown.example/")
    except RequestError as e:
        show(e)


async def rejected(agent: Agent, show: Any) -> None:
    """a request that is answered with a Reset"""
    # req.on('response', res => { if (res.code === '0.00') show('rejected') })
    try:
        await agent.get("coap://lamp.example/reset")
    except ResetReceived:
        show("rejected")


async def abort(agent: Agent, network: MemoryNetwork, sent: Any) -> None:
    """to take a request back"""
    # agent.abort(req)
    asking = agent.get("coap://nobody.example/")
    asking.cancel()

    asking.addErrback(lambda failure: None)
    network.advance(100)
    assert len(sent) == 1


async def freshSocket(reactor: Any, uri: str) -> None:
    """a socket for each request"""
    # coap.request({hostname: 'lamp.example', agent: false})
    response = await Agent(reactor, freshSockets=True).get(uri)

    assert response.text() == "on"


async def bind(reactor: Any, uri: str) -> None:
    """a local port of your choice"""
    # new coap.Agent({port: 15684})
    agent = Agent(reactor, bindAddress=("127.0.0.1", 15684))

    response = await agent.get(uri)
    assert response.getHost().port == 15684
    await agent.close()


async def sharedSocket(reactor: Any, port: Any, uri: str) -> None:
    """the socket of a server to ask by"""
    # new coap.Agent({socket: server._sock})
    agent = Agent(reactor, protocol=port.protocol)

    response = await agent.get(uri)
    assert response.getHost().port == port.getHost().port


async def closeAgent(agent: Agent) -> None:
    """to close an agent"""
    # agent.close(done)
    await agent.close()


async def ping(agent: Agent) -> None:
    """to ask whether a server is there: new here"""
    # // there is none
    await agent.ping("coap://lamp.example")


# Bodies


async def blockSize(agent: Agent) -> None:
    """a large body, in blocks of a size of yours"""
    # const req = coap.request('coap://lamp.example/large')
    # req.setOption('Block2', Buffer.of(2))
    response = await agent.get("coap://lamp.example/large", blockSize=64)

    assert len(response.payload) == 3000


async def upload(agent: Agent) -> None:
    """a large body up: in blocks by itself"""
    # req.setOption('Block1', Buffer.of(6))
    # req.end(Buffer.alloc(3000))
    response = await agent.post("coap://lamp.example/", bytes(3000))

    assert response.text() == "POST / 3000"


async def pipeUp(agent: Agent, reactor: Any, uri: str) -> None:
    """a stream up"""
    # fs.createReadStream(path).pipe(req)
    response = await agent.put(uri, FileBodyProducer(BytesIO(b"from a file")))

    assert response.code == Code.CHANGED


async def pipeDown(agent: Agent) -> None:
    """a stream down, here with back-pressure"""
    # req.on('response', res => res.pipe(process.stdout))
    response = await agent.get("coap://lamp.example/large", stream=True)
    response.deliverBody(Protocol())

    response = await agent.get("coap://lamp.example/large", stream=True)
    assert await readBody(response) == bytes(3000)


async def progress(agent: Agent) -> None:
    """the progress of a body"""
    # req.on('block', e => show(e.direction, e.bytesTransferred, e.totalBytes))
    seen: list[Any] = []
    await agent.get("coap://lamp.example/large", progress=lambda *step: seen.append(step))

    assert seen[-1] == ("received", 3000, 3000)


# Observing


async def observe(agent: Agent, root: Any, show: Any) -> None:
    """to observe"""
    # coap.request({hostname: 'lamp.example', pathname: '/light', observe: true})
    #     .on('response', stream => stream.on('data', show))
    #     .end()
    observation = await agent.observe("coap://lamp.example/light")
    observation.subscribe(lambda state: show(state.payload))

    assert root.children["light"].observerCount == 1
    await observation.cancel()


async def observeByIteration(agent: Agent, show: Any) -> None:
    """the same, as a loop"""
    # stream.on('data', show)
    async with await agent.observe("coap://lamp.example/light") as states:
        async for state in states:
            show(state.payload)
            break


async def closeStream(agent: Agent, root: Any) -> None:
    """to end it: lazily there, here the server is told"""
    # stream.close()     // stream.close(true) tells the server
    observation = await agent.observe("coap://lamp.example/light")
    await observation.cancel()

    assert root.children["light"].observerCount == 0
    observation = await agent.observe("coap://lamp.example/light")
    await observation.cancel(lazily=True)


# Many at once, and through others


async def multicast(agent: Agent, show: Any) -> None:
    """to ask a group"""
    # coap.request({host: '224.0.1.187', multicast: true, multicastTimeout: 2000})
    #     .on('response', res => show(res.rsinfo.address))
    async for response in agent.multicast("coap://224.0.1.187/light", seconds=2):
        show(response.getPeerAddress().host)  # type: ignore[attr-defined]


async def throughProxy(agent: Agent, network: MemoryNetwork, root: Any) -> None:
    """to ask through a proxy"""
    # coap.request({host: 'proxy.example', proxyUri: 'coap://lamp.example/light'})
    response = await agent.get("coap://lamp.example/light", proxy="coap://proxy.example")

    assert response.text() == "on"


def proxy(agent: Agent) -> None:
    """to be a proxy: there for everybody, here for whom you say"""
    # coap.createServer({proxy: true})
    site = Site(Resource(), proxy=ForwardProxy(agent, AllowList("192.0.2.0/24")))

    asking = StubAgent(site).get("coap://test/", proxyUri="coap://198.51.100.1/")
    assert now(asking).code == Code.PROXYING_NOT_SUPPORTED


# Serving


async def server(reactor: Any) -> None:
    """a server"""

    # const server = coap.createServer((req, res) => res.end('on'))
    # server.listen(0, '127.0.0.1', () => show('listening'))
    class Light(Resource):
        def render_GET(self, request: Request) -> str:
            return "on"

    port = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(Light()))
    await port.stopListening()  # type: ignore[misc]


async def listen(reactor: Any, root: Any) -> None:
    """to listen, and to stop"""
    # server.listen(0, '::1')
    # server.close(done)
    port = await serverFromString(reactor, r"udp:0:interface=\:\:1").listen(Site(root))
    await port.stopListening()  # type: ignore[misc]


async def listenUnix(reactor: Any, root: Any) -> None:
    """a Unix socket: promised there, and there here"""
    # server.listen('./coap.sock')
    port = await serverFromString(reactor, "unix:coap.sock").listen(Site(root))

    agent = Agent(reactor)
    response = await agent.get(host=str(Path("coap.sock").absolute()), path="/light")
    assert response.text() == "on"
    await agent.close()
    await port.stopListening()  # type: ignore[misc]


def customSocket(root: Any, transport: Any) -> None:
    """a socket of your own"""
    # server.listen(transport)
    protocol = CoAPProtocol(Site(root))
    protocol.makeConnection(transport)

    protocol.datagramReceived(bytes.fromhex("40010001"), ("192.0.2.2", 5683))
    assert transport.written[0][0][:4] == bytes.fromhex("60450001")
    protocol.doStop()


def functions(show: Any) -> None:
    """handlers as functions, here each with its path"""
    # coap.createServer((req, res) => res.end('on'))
    app = Router()
    app.route("/light")(lambda request: "on")

    assert now(StubAgent(app).get("coap://test/light")).text() == "on"


@answers(payload=b"GET row a b x=1 y")
def asked(request: Request) -> str:
    """what was asked"""
    # req.method, req.url, req.payload
    told = request.method, *request.path.strip("/").split("/"), *request.query

    assert (request.uri, request.payload) == ("/row/a b?x=1&y", b"")
    return " ".join(told)


@answers(payload=b"192.0.2.2")
def asker(request: Request) -> Any:
    """who asks"""
    # req.rsinfo.address
    return request.getClientAddress().host  # type: ignore[attr-defined]


@answers(code="4.04")
def responseCode(request: Request) -> None:
    """the code of the answer"""
    # res.code = '4.04'      // or res.statusCode = 404
    request.setResponseCode(404)


@answers(contentFormat=50, maxAge=30)
def setOption(request: Request) -> bytes:
    """options of the answer"""
    # res.setOption('Content-Format', 'application/json')
    # res.setOption('Max-Age', 30)
    # res.end('{}')
    request.setOption(contentFormat="application/json", maxAge=30)
    return b"{}"


@answers(contentFormat=50, maxAge=30, code="2.05")
def writeHead(request: Request) -> int:
    """both, as in HTTP; here the code counts"""
    # res.writeHead(205, {'Content-Type': 'application/json', 'Max-Age': 30})
    # res.write('{')
    # res.end('}')
    request.writeHead(205, {"Content-Type": "application/json", "Max-Age": 30})
    request.write(b"{")
    request.write(b"}")
    request.finish()
    return NOT_DONE_YET


@answers(code="2.01", location="/lamps/7")
def location(request: Request) -> Response:
    """a response as one value"""
    # res.code = '2.01'
    # res.setOption('Location-Path', [Buffer.from('lamps'), Buffer.from('7')])
    # res.end()
    return Response(Code.CREATED, locationPath=("lamps", "7"))


@answers(payload=b"later")
async def later(request: Request) -> str:
    """an answer that takes its time"""
    # setTimeout(() => res.end('later'), 1000)
    done: Deferred[str] = Deferred()
    request.protocol.reactor.callLater(1, done.callback, "later")
    return await done


@answers(payload=b"states")
def writeStates(request: Request) -> int:
    """to notify whoever asked"""
    # res.write('states')     // once for each state
    # res.on('finish', () => gone())
    request.notifyFinish().addErrback(lambda gone: None)
    request.notify("states")
    return NOT_DONE_YET


def notify(network: MemoryNetwork, agent: Agent, root: Any) -> None:
    """to notify all who observe"""

    # streams.forEach(stream => stream.write('off'))
    class Light(ObservableResource):
        def render_GET(self, request: Request) -> str:
            return "off"

    light = Light()
    light.notifyObservers()
    assert light.observerCount == 0


# Settings


def timing() -> None:
    """transmission parameters of the process"""
    # coap.updateTiming({ackTimeout: 1, maxRetransmit: 2})
    # coap.defaultTiming()
    parameters.setDefault(Parameters(ACK_TIMEOUT=1, MAX_RETRANSMIT=2))
    parameters.setDefault(None)

    assert parameters.getDefault().EXCHANGE_LIFETIME == 247


def serverSettings(root: Any) -> None:
    """settings of a server; times are in seconds here"""
    # coap.createServer({piggybackReplyMs: 100, cacheSize: 4194304,
    #                    sendAcksForNonConfirmablePackets: false,
    #                    clientIdentifier: req => nameOf(req)})
    site = Site(
        root,
        parameters=Parameters(PIGGYBACK_DELAY=0.1),
        limits=Limits(rememberedBytes=4194304),
        answersNonConfirmable=False,
        clientOf=lambda peer, options: options.uriHost,
    )

    assert now(StubAgent(site).get("coap://test/light")).text() == "on"


def groups(root: Any) -> None:
    """to hear a group, by one interface, on a port that others share"""
    # coap.createServer({multicastAddress: '224.0.1.187',
    #                    multicastInterface: '127.0.0.1', reuseAddr: true})
    service = CoAPService(root, ["udp:5683:reuseaddr=1"], multicast=["224.0.1.187%lo"])

    assert not service.running


def ownOption() -> None:
    """an option of your own, here with a number"""
    # coap.registerOption('Level', toBinary, fromBinary)
    registration = registerOption(Single(65001, "Level", UINT, 0, 2))

    assert Options(level=300).pairs == ((65001, b"\x01\x2c"),)
    registration.unregister()


def ownFormat() -> None:
    """a content format of your own"""
    # coap.registerFormat('application/x-reading', 65100)
    registration = registerFormat(65100, "application/x-reading")

    assert contentFormat("application/x-reading") == 65100
    registration.unregister()


def ignored() -> None:
    """a header to be passed over"""
    # coap.ignoreOption('X-Powered-By')
    registration = ignoreHeader("X-Powered-By")

    assert not fromHeaders({"X-Powered-By": "me", "Cache-Control": "no-store"})
    registration.unregister()
