"""
Tests for L{txcoap.produced}: bodies that a producer makes as they are fetched.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.test_fetching import body
from tests.wire import FORGOTTEN, Answering
from txcoap.block import Block
from txcoap.codes import Code
from txcoap.errors import RequestError
from txcoap.groups import Answering as Answers
from txcoap.groups import readGroups
from txcoap.memory import SERVER_HOST
from txcoap.options import Options
from txcoap.request import NOT_DONE_YET, Request
from txcoap.resource import Resource
from txcoap.sansio.datagrams import CON, NON, Datagram, encode
from txcoap.server import Site
from txcoap.testing import MemoryNetwork, StubAgent

URI = "coap://test/x"
GROUP = "224.0.1.187"
PEER = ("192.0.2.3", 5683)


@implementer(IPullProducer, IPushProducer)
class Source:
    """
    A producer that a test steers.

    @ivar whole: What it has to write.
    @ivar size: How much of it at a time.
    @ivar calls: What was asked of it.
    """

    def __init__(self, whole: bytes, size: int = 700) -> None:
        self.whole = whole
        self.size = size
        self.calls: list[str] = []
        self.request: Any = None

    def produce(self) -> None:
        """Write some."""
        part, self.whole = self.whole[: self.size], self.whole[self.size :]
        self.request.write(part)
        if not self.whole:
            self.request.unregisterProducer()
            self.request.finish()

    def resumeProducing(self) -> None:
        """See C{IPullProducer}."""
        self.calls.append("resume")
        self.produce()

    def pauseProducing(self) -> None:
        """See C{IPushProducer}."""
        self.calls.append("pause")

    def stopProducing(self) -> None:
        """See C{IPullProducer}."""
        self.calls.append("stop")


class Produced(Resource):
    """
    Answers with a L{Source}.

    @ivar notified: What C{notifyFinish} gave.
    """

    isLeaf = True

    def __init__(self, source: Source, isPush: bool = False, code: Code = Code.CONTENT) -> None:
        self.source = source
        self.isPush = isPush
        self.code = code
        self.notified: list[Deferred[None]] = []

    def render_GET(self, request: Request) -> int:
        """Register it."""
        self.notified.append(request.notifyFinish())
        self.source.request = request
        request.setResponseCode(self.code)
        request.registerProducer(self.source, self.isPush)
        return NOT_DONE_YET


class ProducedTests(SynchronousTestCase):
    """A resource that registers a producer, and an agent that fetches."""

    def serve(self, source: Source, isPush: bool = False) -> None:
        """Serve it."""
        self.source = source
        self.resource = Produced(source, isPush)
        root = Resource()
        root.putChild("x", self.resource)
        self.agent = StubAgent(root)
        self.protocol = self.agent.serverPort.protocol

    def test_pull(self) -> None:
        """A pull producer is resumed until a block is full."""
        self.serve(Source(body(3000)))
        response = self.successResultOf(self.agent.get(URI))
        self.assertEqual(response.payload, body(3000))
        self.successResultOf(self.resource.notified[0])

    def test_push(self) -> None:
        """A push producer is paused while more than a block waits to be asked for, then resumed."""
        self.serve(Source(body(5000)), isPush=True)
        getting = self.agent.get(URI, stream=True)
        self.source.produce()
        self.source.produce()
        self.assertEqual(self.source.calls, [])
        self.agent.flush()
        self.successResultOf(getting)
        self.source.produce()
        self.assertEqual(self.source.calls, ["pause"])

    def test_pullLater(self) -> None:
        """A pull producer that writes some time after it was resumed is resumed again for the rest."""
        source = Source(body(3000))
        self.serve(source)

        def resume() -> None:
            self.agent.clock.callLater(0.1, source.produce)

        source.resumeProducing = resume  # type: ignore[method-assign]
        getting = self.agent.get(URI)
        self.agent.advance(2)
        self.assertEqual(self.successResultOf(getting).payload, body(3000))

    def test_notFetched(self) -> None:
        """What is not fetched to its end is stopped after EXCHANGE_LIFETIME."""
        self.serve(Source(body(3000)))
        self.successResultOf(self.agent.get(URI, stream=True))
        self.agent.advance(2 * FORGOTTEN)
        self.assertEqual(self.source.calls[-1], "stop")
        self.failureResultOf(self.resource.notified[0])
        self.assertEqual(self.protocol.sizes()["downloads"], 0)

    def test_stopFails(self) -> None:
        """A producer that fails to stop does not keep the rest of the socket from going on."""
        self.serve(Source(body(3000)))

        def stop() -> None:
            raise RuntimeError("scripted")

        self.source.stopProducing = stop  # type: ignore[method-assign]
        self.successResultOf(self.agent.get(URI, stream=True))
        self.agent.advance(2 * FORGOTTEN)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.failureResultOf(self.resource.notified[0])
        self.assertEqual({name: size for name, size in self.protocol.sizes().items() if size}, {})

    def test_small(self) -> None:
        """A body of less than a block is a response like any other, without ETag and Block2."""
        self.serve(Source(b"on"))
        response = self.successResultOf(self.agent.get(URI))
        self.assertEqual((response.payload, response.options.pairs), (b"on", ()))
        self.successResultOf(self.resource.notified[0])

    def test_begunByHand(self) -> None:
        """What was written before the producer was registered comes first."""
        source = Source(body(3000)[10:])

        def render(request: Request) -> int:
            source.request = request
            request.write(body(3000)[:10])
            request.registerProducer(source, False)
            self.assertRaises(RuntimeError, request.registerProducer, source, False)
            return NOT_DONE_YET

        agent = StubAgent(Answering(render))
        self.assertEqual(self.successResultOf(agent.get(URI)).payload, body(3000))

    def test_resumed(self) -> None:
        """A push producer that was paused is resumed when all but a block is fetched."""
        source = Source(body(5000), 2000)
        self.serve(source, isPush=True)
        getting = self.agent.get(URI)
        source.produce()
        self.agent.flush()
        source.produce()
        self.agent.flush()
        self.assertEqual(source.calls, ["pause", "resume", "pause"])
        self.assertEqual(self.successResultOf(getting).payload, body(5000))

    def test_stopping(self) -> None:
        """A producer that ends what it wrote when it is stopped, or writes on, does no harm."""
        self.serve(Source(body(3000)))
        request: list[Any] = []

        def stop() -> None:
            request.append(self.source.request)
            request[0].unregisterProducer()
            request[0].finish()

        self.source.stopProducing = stop  # type: ignore[method-assign]
        self.successResultOf(self.agent.get(URI, stream=True))
        self.agent.advance(2 * FORGOTTEN)
        request[0].write(b"more")
        request[0].finish()
        self.failureResultOf(self.resource.notified[0])

    def test_finishedTwice(self) -> None:
        """After C{finish} nothing can be written or finished, also while the body is still being fetched."""
        self.serve(Source(body(3000), 3000))
        self.successResultOf(self.agent.get(URI, stream=True))
        request = self.source.request
        self.assertFalse(request.finished)
        self.assertRaises(RuntimeError, request.write, b"more")
        self.assertRaises(RuntimeError, request.finish)
        self.agent.advance(2 * FORGOTTEN)
        request.write(b"more")
        request.finish()
        self.assertNotIn("stop", self.source.calls)
        self.failureResultOf(self.resource.notified[0])

    def test_unregistered(self) -> None:
        """A producer that has left is not stopped, though the body was not finished."""
        self.serve(Source(body(3000)), isPush=True)
        getting = self.agent.get(URI, stream=True)
        self.source.produce()
        self.source.produce()
        self.source.request.unregisterProducer()
        self.agent.flush()
        self.successResultOf(getting)
        self.agent.advance(2 * FORGOTTEN)
        self.assertNotIn("stop", self.source.calls)
        self.failureResultOf(self.resource.notified[0])

    def test_closed(self) -> None:
        """A socket that closes stops the producer, also before the first block; it cannot begin after."""
        self.serve(Source(body(3000)), isPush=True)
        getting = self.agent.get(URI)
        self.agent.flush()
        self.agent.serverPort.stopListening()
        self.assertEqual(self.source.calls, ["stop"])
        self.failureResultOf(self.resource.notified[0])
        late = Source(b"")
        self.source.request._produced = None
        self.source.request.registerProducer(late, False)
        self.assertEqual(late.calls, ["stop"])
        getting.cancel()
        self.failureResultOf(getting)


class AskedTests(SynchronousTestCase):
    """Blocks of a body that a producer makes, asked for one by one."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.addCleanup(self.network.close)
        self.source = Source(body(3000))
        root = Resource()
        resource = Produced(self.source, isPush=True)
        self.addCleanup(lambda: [each.addErrback(lambda _: None) for each in resource.notified])
        root.putChild("x", resource)
        self.network.listen(Site(root)).joinGroup(*readGroups(GROUP))
        self.port = self.network.listen(DatagramProtocol(), PEER[0])
        self.number = self.seen = 0

    def ask(self, number: int, to: Any = (SERVER_HOST, 5683)) -> list[Datagram]:
        """The messages that come when a block of 1024 bytes is asked for."""
        self.number += 1
        options = Options(uriPath=("x",), block2=Block(number, False, 6))
        self.port.send(encode(CON if to[0] == SERVER_HOST else NON, Code.GET, self.number, b"t", options), to)
        return self.heard()

    def produce(self, times: int) -> list[Datagram]:
        """What comes when so much more is written."""
        for _ in range(times):
            self.source.produce()
        return self.heard()

    def heard(self) -> list[Datagram]:
        """What came since it was asked last."""
        self.network.flush()
        passages, self.seen = list(self.network.passages)[self.seen :], len(self.network.passages)
        return [each.datagram for each in passages if each.target == PEER and each.datagram is not None]

    def test_again(self) -> None:
        """The block that was sent last can be asked for again (RFC 7959 2.4); one before it cannot."""
        self.ask(0)
        self.produce(5)
        (second,) = self.ask(1)
        (again,) = self.ask(1)
        self.assertEqual((again.payload, again.options), (second.payload, second.options))
        self.ask(2)
        (answer,) = self.ask(1)
        self.assertEqual(answer.code, Code.BAD_REQUEST)

    def test_twice(self) -> None:
        """Who asks twice for a block that is not there yet gets one answer, to what was asked last."""
        self.ask(0)
        self.produce(2)
        self.ask(1)
        self.ask(1)
        answers = [each for each in self.produce(3) if each.code]
        self.assertEqual([(each.messageID, each.payload) for each in answers], [(3, body(3000)[1024:2048])])

    def test_beyond(self) -> None:
        """After the last block there is nothing, and the answer says so."""
        for length, code in ((3000, Code.BAD_REQUEST), (3072, Code.REQUEST_ENTITY_INCOMPLETE)):
            self.source.whole = body(length)
            self.ask(0)
            self.produce(5)
            self.ask(1)
            (last,) = self.ask(2)
            self.assertEqual(last.payload, body(length)[2048:])
            (answer,) = self.ask(3)
            self.assertEqual(answer.code, code)


class GroupTests(SynchronousTestCase):
    """A producer's body, asked for by multicast (RFC 7252 8)."""

    def gather(
        self, source: Source, answering: Answers = Answers.USEFUL, code: Code = Code.CONTENT
    ) -> list[Any]:
        """What a group of one answers."""
        self.network = network = MemoryNetwork()
        self.addCleanup(network.close)
        root = Resource()
        resource = Produced(source, code=code)
        resource.multicastAnswers = answering
        root.putChild("x", resource)
        port = network.listen(Site(root))
        port.joinGroup(*readGroups(GROUP))
        self.sizes = port.protocol.transfers.sizes
        gathered = network.agent().multicast(f"coap://{GROUP}/x").all()
        network.advance(30)
        self.resource = resource
        responses: list[Any] = self.successResultOf(gathered)
        return responses

    def test_whole(self) -> None:
        """The first block answers the group, the others who asks for them (RFC 7959 2.8)."""
        (response,) = self.gather(Source(body(3000)))
        self.assertEqual(response.payload, body(3000))

    def test_unwanted(self) -> None:
        """What nobody needs is kept back, like any other response; what is large is made no more."""
        self.assertEqual(self.gather(Source(b"")), [])
        self.successResultOf(self.resource.notified[0])
        failing = Source(body(3000))
        self.assertEqual(self.gather(failing, code=Code.NOT_FOUND), [])
        self.failureResultOf(self.resource.notified[0], RequestError)
        self.assertTrue(failing.whole)
        self.assertEqual(failing.calls[-1], "stop")
        self.assertEqual({name: size for name, size in self.sizes().items() if size}, {})
