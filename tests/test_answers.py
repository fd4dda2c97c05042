"""
Tests for L{txcoap.server} and L{txcoap.request}: when and how an answer is sent.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from tests.wire import LIFETIME, Answering, Keeping, Peer, ServerTestCase, giving
from txcoap import errors
from txcoap.codes import Code
from txcoap.message import Response
from txcoap.options import Options
from txcoap.parameters import Parameters
from txcoap.request import NOT_DONE_YET, Request
from txcoap.sansio.datagrams import ACK, CON, NON, RST


class EntityTagTests(ServerTestCase):
    """A Response that has an ETag (RFC 7252 5.10.6)."""

    def setUp(self) -> None:
        """Serve a representation with a tag."""
        super().setUp()
        self.answer = Response(Code.CONTENT, b"body", etag=b"one", maxAge=9, contentFormat=0)
        self.serve(Answering(lambda request: self.answer))

    def test_clientHasIt(self) -> None:
        """A client that sends the tag gets 2.03: tag and Max-Age, no body, no format (5.9.1.3)."""
        answer = self.answerTo(etag=(b"zero", b"one"))
        self.assertEqual((answer.code, answer.payload), (Code.VALID, b""))
        self.assertEqual(answer.options, Options(etag=b"one", maxAge=9))

    def test_clientHasAnother(self) -> None:
        """With other tags, or none, it gets the representation."""
        for tags in ((), (b"two",), (b"",)):
            self.peer.send(CON, Code.GET, options=Options().adding(*[(4, tag) for tag in tags]))
            answer = self.peer.takeOne()
            self.assertEqual((answer.code, answer.payload), (Code.CONTENT, b"body"))

    def test_otherCodes(self) -> None:
        """Only a 2.05 becomes a 2.03."""
        self.answer = Response(Code.CHANGED, b"done", etag=b"one")
        self.assertEqual(self.answerTo(Code.PUT, etag=(b"one",)).code, Code.CHANGED)


class NoResponseTests(ServerTestCase):
    """The No-Response option (RFC 7967)."""

    def test_classes(self) -> None:
        """Each bit silences one class of response; a CON is acknowledged all the same (2.1)."""
        rows = [(2, "2", True), (2, "4", False), (8, "4", True), (16, "5", True), (26, "2", True)]
        rows += [(26, "4", True), (0, "2", False), (24, "2", False)]
        codes = {"2": "2.04", "4": "4.00", "5": "5.00"}
        for unwanted, kind, isSilent in rows:
            self.serve(Answering(giving(Response(Code(codes[kind])))))
            messageID = self.ask(Code.PUT, noResponse=unwanted)
            answer = self.peer.takeOne()
            self.assertEqual((answer.type, answer.messageID), (ACK, messageID))
            self.assertEqual(answer.code, Code.EMPTY if isSilent else Code(codes[kind]))
            self.ask(Code.PUT, type=NON, noResponse=unwanted)
            self.assertEqual(len(self.peer.take()), 0 if isSilent else 1)
            self.socket.stopListening()

    def test_largeBody(self) -> None:
        """Of a response that is not wanted no block is kept, for none will be asked for."""
        self.serve(Answering(giving(bytes(3000))))
        self.ask(Code.GET, noResponse=2)
        self.assertEqual(self.peer.takeOne().code, Code.EMPTY)
        self.assertEqual(self.protocol.transfers.sizes()["downloads"], 0)

    def test_forgotten(self) -> None:
        """A silenced request leaves nothing behind, and its repetition does not run again."""
        ran: list[Request] = []
        self.serve(Answering(ran.append))
        for type in (CON, NON):
            messageID = self.ask(Code.POST, type=type, noResponse=26)
            self.peer.send(type, Code.POST, messageID, b"tkn", Options(noResponse=26))
        self.assertEqual(len(ran), 2)
        self.peer.take()
        self.assertForgets()


class LaterTests(ServerTestCase):
    """Answers that come later."""

    def setUp(self) -> None:
        """Serve a resource that keeps its requests, and answers when C{self.answer} fires."""
        super().setUp()
        self.requests: list[Request] = []
        self.cancelled: list[Any] = []
        self.answer: Deferred[Any] = Deferred(self.cancelled.append)

        def keep(request: Request) -> Deferred[Any]:
            self.requests.append(request)
            return self.answer

        self.serve(Answering(keep))

    def test_piggybacked(self) -> None:
        """An answer within 50 ms is in the acknowledgement (RFC 7252 5.2.1)."""
        messageID = self.ask()
        self.reactor.advance(0.049)
        self.assertEqual(self.peer.take(), [])
        self.answer.callback(b"soon")
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.messageID, answer.payload), (ACK, messageID, b"soon"))
        self.assertForgets()

    def test_separate(self) -> None:
        """
        After 50 ms the request is acknowledged by an empty message; the response is confirmable, has the
        same token and an ID of its own, and is repeated until it is acknowledged (RFC 7252 5.2.2).
        """
        messageID = self.ask()
        self.reactor.advance(0.05)
        empty = self.peer.takeOne()
        self.assertEqual((empty.type, empty.code, empty.messageID, empty.token), (ACK, 0, messageID, b""))
        self.reactor.advance(10)
        self.answer.callback(b"late")
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.code, answer.token), (CON, Code.CONTENT, b"tkn"))
        self.reactor.advance(3.001)
        again = self.peer.takeOne()
        self.assertEqual(again, answer)
        self.peer.sendEmpty(ACK, answer.messageID)
        self.assertForgets()

    def test_separateNonConfirmable(self) -> None:
        """A NON is never acknowledged, however long it takes; its response is a NON (RFC 7252 5.2.3)."""
        self.ask(type=NON)
        self.reactor.advance(10)
        self.assertEqual(self.peer.take(), [])
        self.answer.callback(b"late")
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.token, answer.payload), (NON, b"tkn", b"late"))
        self.assertForgets()

    def test_settableDelay(self) -> None:
        """How long to wait before the empty acknowledgement is a parameter."""
        self.socket.stopListening()
        self.cancelled.clear()
        self.serve(Answering(lambda request: Deferred()), parameters=Parameters(PIGGYBACK_DELAY=1.5))
        self.ask()
        self.reactor.advance(1.49)
        self.assertEqual(self.peer.take(), [])
        self.reactor.advance(0.01)
        self.assertEqual(self.peer.takeOne().code, Code.EMPTY)

    def test_failure(self) -> None:
        """A Deferred that fails later is answered like one that fails at once."""
        self.ask()
        self.reactor.advance(1)
        self.answer.errback(errors.Conflict("late"))
        _, answer = self.peer.take()
        self.assertEqual((answer.code, answer.payload), (Code.CONFLICT, b"late"))

    def test_neverAnswered(self) -> None:
        """A request that is not answered is forgotten after EXCHANGE_LIFETIME, its handler cancelled."""
        self.ask()
        (request,) = self.requests
        told = request.notifyFinish()
        self.reactor.advance(0.05)
        self.reactor.advance(LIFETIME)
        self.failureResultOf(told, errors.RequestError)
        self.assertEqual(self.cancelled, [self.answer])
        self.assertTrue(request.finished)
        self.assertEqual(self.peer.takeOne().code, Code.EMPTY)
        self.assertForgets()

    def test_cancelledCoroutine(self) -> None:
        """A coroutine that waits for ever is cancelled too, and its C{finally} runs."""
        self.socket.stopListening()
        ended: list[str] = []

        async def render(request: Request) -> bytes:
            try:
                await Deferred()
            finally:
                ended.append("cleaned up")
            return b""

        self.serve(Answering(render))
        self.ask()
        self.reactor.advance(0.05)
        self.reactor.advance(LIFETIME)
        self.assertEqual(ended, ["cleaned up"])

    def test_handlerIgnoresCancellation(self) -> None:
        """A handler that answers its cancellation with a value, or another error, harms nobody."""
        self.socket.stopListening()
        for canceller in (
            lambda d: d.callback(b"too late"),
            lambda d: d.errback(errors.Conflict()),
        ):
            waiting: Deferred[Any] = Deferred(canceller)
            self.serve(Answering(giving(waiting)))
            self.ask()
            self.reactor.advance(0.05)
            self.reactor.advance(LIFETIME)
            self.assertEqual(self.peer.takeOne().code, Code.EMPTY)
            self.assertForgets()
            self.socket.stopListening()

    def test_socketClosed(self) -> None:
        """When the socket closes, waiting handlers are cancelled, and nothing is sent or scheduled."""
        self.ask()
        told = self.requests[0].notifyFinish()
        self.socket.stopListening()
        self.failureResultOf(told, errors.SocketClosed)
        self.assertEqual(self.cancelled, [self.answer])
        self.assertEqual(self.peer.take(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_repeated(self) -> None:
        """A repeated request runs once, while it waits and afterwards (RFC 7252 4.5)."""
        messageID = self.ask(Code.POST)
        self.peer.send(CON, Code.POST, messageID, b"tkn")
        self.assertEqual(self.peer.take(), [])
        self.reactor.advance(0.05)
        self.peer.send(CON, Code.POST, messageID, b"tkn")
        self.assertEqual([each.code for each in self.peer.take()], [Code.EMPTY] * 2)
        self.assertEqual(len(self.requests), 1)

    def test_severalPeers(self) -> None:
        """Each answer goes to the peer that asked."""
        other = Peer(self.wire, ("192.0.2.10", 40001))
        answers: list[Deferred[Any]] = [Deferred(), Deferred()]
        self.socket.stopListening()
        waiting = iter(answers)
        self.serve(Answering(lambda request: next(waiting)))
        self.ask()
        other.send(CON, Code.GET, token=b"o")
        answers[1].callback(b"other")
        answers[0].callback(b"first")
        self.assertEqual(self.peer.takeOne().payload, b"first")
        self.assertEqual(other.takeOne().payload, b"other")


class WriteTests(ServerTestCase):
    """NOT_DONE_YET, C{request.write} and C{request.finish}, as in C{twisted.web}."""

    def setUp(self) -> None:
        """Serve a resource that keeps its requests."""
        super().setUp()
        self.resource = Keeping()
        self.requests = self.resource.requests
        self.serve(self.resource)

    def open(self, **how: Any) -> Request:
        """Ask, and take the request."""
        self.ask(**how)
        return self.requests[-1]

    def test_writeAndFinish(self) -> None:
        """What was written is the body once it is finished; the code is the method's."""
        self.resource.contentFormat = 42
        request = self.open(code=Code.POST)
        request.write(b"one ")
        request.write(b"two")
        self.assertEqual(self.peer.take(), [])
        request.finish()
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.code, answer.payload), (ACK, Code.CHANGED, b"one two"))
        self.assertEqual(answer.options.contentFormat, 42)

    def test_finishInside(self) -> None:
        """A handler may finish before it returns NOT_DONE_YET; a Deferred may give NOT_DONE_YET."""
        self.socket.stopListening()

        def render(request: Request) -> Any:
            request.write(b"at once")
            request.finish()
            return succeed(NOT_DONE_YET) if request.query else NOT_DONE_YET

        self.serve(Answering(render))
        for query in ((), ("d",)):
            self.assertEqual(self.answerTo(uriQuery=query).payload, b"at once")

    def test_codeAndOptions(self) -> None:
        """C{setResponseCode} and C{setOption} hold for the answer."""
        request = self.open()
        request.setResponseCode("2.03")
        request.setOption(maxAge=5, etag=b"e")
        request.finish()
        answer = self.peer.takeOne()
        self.assertEqual((answer.code, answer.options), (Code.VALID, Options(maxAge=5, etag=b"e")))

    def test_finishTwice(self) -> None:
        """Finishing twice is a mistake, and so is writing after it."""
        request = self.open()
        request.finish()
        self.assertRaises(RuntimeError, request.finish)
        self.assertRaises(RuntimeError, request.write, b"more")
        self.assertEqual(len(self.peer.take()), 1)

    def test_writesBytes(self) -> None:
        """Only bytes can be written."""
        self.assertRaises(TypeError, self.open().write, "text")

    def test_respond(self) -> None:
        """C{request.respond} answers with a whole Response."""
        self.open().respond(Response(Code.CREATED, locationPath=("a", "b")))
        self.assertEqual(self.peer.takeOne().options.locationPath, ("a", "b"))

    def test_notifyFinish(self) -> None:
        """Each call gives a Deferred of its own, fired when the request is answered."""
        request = self.open()
        first, second = request.notifyFinish(), request.notifyFinish()
        self.assertNoResult(first)
        request.finish()
        self.assertIsNone(self.successResultOf(first))
        self.assertIsNone(self.successResultOf(second))

    def test_cancellerFails(self) -> None:
        """A Deferred that fails to be cancelled does not keep others from being told."""

        def cancel(_: object) -> None:
            raise RuntimeError("scripted")

        self.resource.render_FETCH = lambda request: Deferred(cancel)  # type: ignore[attr-defined]
        self.ask(Code.FETCH)
        told = self.open(token=b"2").notifyFinish()
        self.socket.stopListening()
        self.failureResultOf(told, errors.SocketClosed)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_forgotten(self) -> None:
        """After EXCHANGE_LIFETIME nobody waits: C{write} and C{finish} do nothing, and say nothing."""
        request = self.open()
        told = request.notifyFinish()
        self.reactor.advance(0.05)
        self.reactor.advance(LIFETIME)
        self.failureResultOf(told, errors.RequestError)
        request.write(b"x")
        request.finish()
        request.finish()
        self.assertEqual([each.code for each in self.peer.take()], [Code.EMPTY])

    def test_socketClosed(self) -> None:
        """The same holds once the socket is closed."""
        request = self.open()
        told = request.notifyFinish()
        self.socket.stopListening()
        self.failureResultOf(told, errors.SocketClosed)
        request.write(b"x")
        request.finish()
        self.assertEqual(self.peer.take(), [])

    def test_separate(self) -> None:
        """Finished late, the answer comes apart."""
        request = self.open()
        self.reactor.advance(1)
        request.write(b"late")
        request.finish()
        empty, answer = self.peer.take()
        self.assertEqual((empty.code, answer.type, answer.payload), (Code.EMPTY, CON, b"late"))

    def test_acknowledge(self) -> None:
        """C{acknowledge} sends the empty acknowledgement at once, and but one."""
        request = self.open()
        request.acknowledge()
        request.acknowledge()
        self.assertEqual(self.peer.takeOne().code, Code.EMPTY)
        self.reactor.advance(1)
        self.assertEqual(self.peer.take(), [])
        request.finish()
        self.assertEqual(self.peer.takeOne().type, CON)

    def test_acknowledgeNonConfirmable(self) -> None:
        """A NON has no acknowledgement (RFC 7252 4.3)."""
        self.open(type=NON).acknowledge()
        self.assertEqual(self.peer.take(), [])

    def test_reset(self) -> None:
        """C{reset} rejects the request with a Reset, and ends it."""
        request = self.open()
        told = request.notifyFinish()
        request.reset()
        self.assertEqual(self.peer.takeOne().type, RST)
        self.assertTrue(request.finished)
        self.successResultOf(told)
        self.assertForgets()

    def test_resetWhileRendering(self) -> None:
        """A handler that resets and returns None sends the Reset alone."""
        self.socket.stopListening()
        self.serve(Answering(lambda request: request.reset()))
        for type in (CON, NON):
            self.ask(type=type)
            self.assertEqual(self.peer.takeOne().type, RST)
        self.assertForgets()

    def test_resetTooLate(self) -> None:
        """What is acknowledged or answered cannot be rejected any more: a mistake that is told."""
        request = self.open()
        request.acknowledge()
        self.assertRaises(RuntimeError, request.reset)
        request.finish()
        self.assertRaises(RuntimeError, request.reset)
        self.assertEqual([each.type for each in self.peer.take()], [ACK, CON])
