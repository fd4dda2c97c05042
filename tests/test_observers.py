"""
Tests for L{txcoap.observe}, and for requests that a method keeps to notify: rendering that takes time, and
how observations end on the server.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.observing import ServerTestCase, forbid
from txcoap.codes import Code
from txcoap.errors import Forbidden, NoAcknowledgement, RequestError, ServiceUnavailable
from txcoap.message import Response
from txcoap.observe import ObservableResource
from txcoap.request import NOT_DONE_YET
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, RST
from txcoap.server import Site


class EndTests(ServerTestCase):
    """How an observation ends on the server (RFC 7641 3.6, 4.2, 4.5)."""

    def setUp(self) -> None:
        """One observer."""
        super().setUp()
        self.watcher.ask("n", 0)

    def assertNobodyObserves(self) -> None:
        """Nothing is left of the observer."""
        self.network.advance(1.0)
        sizes = self.sizes()
        self.assertEqual((0, 0, 0), (sizes["observers"], sizes["transmissions"], self.counter.observerCount))
        self.watcher.news()
        self.assertEqual([], self.change())
        self.assertFalse(self.counter._groups)

    def test_reset(self) -> None:
        """By a Reset of a confirmable notification."""
        self.watcher.reply = RST
        self.change()
        self.assertNobodyObserves()

    def test_resetOfNonConfirmable(self) -> None:
        """By a Reset of one that is not."""
        self.counter.confirmable = False
        self.watcher.ask("n", 0)
        self.watcher.reply = RST
        self.change()
        self.assertNobodyObserves()

    def test_silence(self) -> None:
        """By silence: when the notification is given up."""
        self.watcher.reply = None
        self.change()
        self.network.advance(95.0)
        self.assertNobodyObserves()

    def test_silenceThroughChanges(self) -> None:
        """Changes meanwhile do not prolong it."""
        self.watcher.reply = None
        for _ in range(95):
            self.change()
            self.network.advance(1.0)
        self.assertNobodyObserves()

    def test_error(self) -> None:
        """By an error in place of the state: it is told without Observe (RFC 7641 4.2)."""
        self.counter.render_GET = forbid
        self.counter.notifyObservers()
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((CON, Code.FORBIDDEN, None), (told.type, told.code, told.options.observe))
        self.assertNobodyObserves()

    def test_bug(self) -> None:
        """By a bug in the render method: 5.00, and the traceback goes to the log."""
        self.counter.render_GET = lambda request: 1 / 0
        self.counter.notifyObservers()
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((Code.INTERNAL_SERVER_ERROR, b""), (told.code, told.payload))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertNobodyObserves()

    def test_serviceUnavailable(self) -> None:
        """A 5.03 says when to ask again."""

        def busy(request: Any) -> Any:
            raise ServiceUnavailable("busy", maxAge=30)

        self.counter.render_GET = busy
        self.counter.notifyObservers()
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((Code.SERVICE_UNAVAILABLE, 30), (told.code, told.options.maxAge))
        self.assertNobodyObserves()

    def test_dismissed(self) -> None:
        """By the resource: 4.04 to all."""
        self.counter.dismissObservers()
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((CON, Code.NOT_FOUND, None), (told.type, told.code, told.options.observe))
        self.assertNobodyObserves()

    def test_dismissedWith(self) -> None:
        """Or with an error of its choice."""
        self.counter.dismissObservers(Forbidden("go away"))
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((Code.FORBIDDEN, b"go away"), (told.code, told.payload))
        self.assertNobodyObserves()

    def test_dismissedAndBack(self) -> None:
        """Who asks again, before the last notification was acknowledged even, observes again."""
        self.watcher.reply = None
        self.counter.dismissObservers()
        self.network.flush()
        self.watcher.reply = ACK
        (answer,) = self.watcher.ask("n", 0)
        self.assertIsNotNone(answer.options.observe)
        self.assertEqual([b"1"], self.change())
        self.network.advance(100.0)
        self.assertEqual([], self.watcher.news())

    def test_contentFormat(self) -> None:
        """By another content format than the first response's: 4.06 (RFC 7641 4.2)."""
        self.counter.render_GET = lambda request: Response(
            Code.CONTENT, b"{}", contentFormat="application/json"
        )
        self.counter.notifyObservers()
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((Code.NOT_ACCEPTABLE, None), (told.code, told.options.observe))
        self.assertNobodyObserves()

    def test_serverStops(self) -> None:
        """When the socket closes: a change is told nobody, and nothing is left."""
        self.port.stopListening()
        self.assertNobodyObserves()
        self.assertEqual([], self.network.clock.getDelayedCalls())

    def test_serverStopsAndStarts(self) -> None:
        """Those who observe through a new socket are told, and those of the old one are not."""
        self.port.stopListening()
        self.port = self.network.listen(Site(self.root))
        self.assertEqual([], self.change())
        self.watcher.ask("n", 0)
        self.assertEqual([b"2"], self.change())
        self.assertEqual(1, self.counter.observerCount)


class AsynchronousTests(ServerTestCase):
    """Rendering that takes time, and changes meanwhile."""

    def setUp(self) -> None:
        """A resource that answers when the test says."""
        super().setUp()
        self.slow = self.put("slow", Slow())

    def observe(self) -> None:
        """Begin to observe it."""
        self.watcher.ask("slow", 0)
        self.slow.finish()
        self.network.flush()
        self.assertEqual([b"0"], self.watcher.payloads())

    def test_rendered(self) -> None:
        """Observers are told when the state is there."""
        self.observe()
        self.slow.change()
        self.network.flush()
        self.assertEqual([], self.watcher.payloads())
        self.slow.finish()
        self.network.flush()
        self.assertEqual([b"1"], self.watcher.payloads())

    def test_changesMeanwhile(self) -> None:
        """Several changes while it is rendered make it rendered once more, with the newest."""
        self.observe()
        for _ in range(4):
            self.slow.change()
        self.assertEqual(1, len(self.slow.waiting))
        self.slow.finish()
        self.slow.finish()
        self.network.flush()
        self.assertEqual(0, len(self.slow.waiting))
        self.assertEqual(b"4", self.watcher.payloads()[-1])

    def test_changesWhileRegistering(self) -> None:
        """
        A change between the rendering of the first response and its end is told: the observer would
        else take the old state for the present one.
        """
        self.watcher.ask("slow", 0)
        self.slow.change()
        self.slow.finish()
        self.network.flush()
        if self.slow.waiting:
            self.slow.finish()
        self.network.flush()
        self.assertEqual([b"0", b"1"], self.watcher.payloads())

    def test_separate(self) -> None:
        """The answer that comes apart has Observe."""
        self.watcher.ask("slow", 0)
        self.network.advance(1.0)
        self.slow.finish()
        self.network.flush()
        answer = self.watcher.news()[-1]
        self.assertEqual((CON, b"0"), (answer.type, answer.payload))
        self.assertIsNotNone(answer.options.observe)

    def test_separateRejected(self) -> None:
        """Who rejects the answer that comes apart does not observe (RFC 7641 3.6)."""
        self.watcher.ask("slow", 0)
        self.network.advance(1.0)
        self.watcher.reply = RST
        self.slow.finish()
        self.network.flush()
        self.assertEqual((0, 0), (self.sizes()["observers"], self.slow.observerCount))

    def test_leavesMeanwhile(self) -> None:
        """An observer that leaves while the state is rendered is not told."""
        self.observe()
        self.slow.change()
        self.watcher.ask("slow", 1)
        self.slow.finish()
        self.network.flush()
        self.assertEqual([], self.watcher.news())
        self.assertEqual(0, self.slow.observerCount)

    def test_fails(self) -> None:
        """A rendering that fails ends the observation."""
        self.observe()
        self.slow.change()
        self.slow.waiting.pop().errback(Forbidden("no more"))
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((Code.FORBIDDEN, None), (told.code, told.options.observe))
        self.assertEqual(0, self.slow.observerCount)


class HandlerTests(ServerTestCase):
    """A handler that keeps its request open and notifies."""

    def setUp(self) -> None:
        """A resource that keeps its requests."""
        super().setUp()
        self.open = self.put("open", Open())

    def test_notify(self) -> None:
        """The first call answers with Observe, each further one tells the next state."""
        self.watcher.ask("open", 0)
        (request,) = self.open.requests
        for text in ("one", "two", "three"):
            request.notify(text)
            self.network.flush()
        heard = self.watcher.news()
        self.assertEqual([b"one", b"two", b"three"], [each.payload for each in heard])
        numbers = [each.options.observe or 0 for each in heard]
        self.assertEqual(sorted(set(numbers)), numbers)

    def test_notObserving(self) -> None:
        """Without Observe the first call answers for good, and the others do nothing."""
        self.watcher.ask("open")
        (request,) = self.open.requests
        request.notify(b"one")
        request.notify(b"two")
        self.network.flush()
        (answer,) = self.watcher.news()
        self.assertEqual((b"one", None), (answer.payload, answer.options.observe))
        self.assertEqual([None], self.open.ends)

    def test_reset(self) -> None:
        """A request that was answered by a notification cannot be rejected any more; the relation goes on."""
        self.watcher.ask("open", 0)
        (request,) = self.open.requests
        request.notify(b"one")
        self.assertRaises(RuntimeError, request.reset)
        request.notify(b"two")
        self.network.flush()
        self.assertEqual([b"one", b"two"], [each.payload for each in self.watcher.news()])

    def test_leaves(self) -> None:
        """C{notifyFinish} fires when the observer leaves: by Observe=1, Reset, or silence."""

        def deregister() -> None:
            self.watcher.ask("open", 1)

        def reject() -> None:
            self.watcher.reply = RST
            self.open.requests[-1].notify(b"two")

        def fallSilent() -> None:
            self.watcher.reply = None
            self.open.requests[-1].notify(b"two")
            self.network.advance(95.0)

        for leave, reason in (
            (deregister, RequestError),
            (reject, RequestError),
            (fallSilent, NoAcknowledgement),
        ):
            self.watcher.reply = ACK
            self.open.requests.clear()
            self.open.ends.clear()
            self.watcher.ask("open", 0)
            request = self.open.requests[0]
            request.notify(b"one")
            self.network.flush()
            self.assertEqual([], self.open.ends)
            leave()
            self.network.flush()
            self.assertIsInstance(self.open.ends[0], reason)
            self.watcher.news()
            request.notify(b"more")
            self.network.flush()
            self.assertNotIn(b"more", self.watcher.payloads())
            self.assertEqual(0, self.sizes()["observers"])

    def test_finish(self) -> None:
        """C{finish} ends it, and fires C{notifyFinish} with None."""
        self.watcher.ask("open", 0)
        (request,) = self.open.requests
        request.notify(b"one")
        request.finish()
        self.network.flush()
        self.assertEqual([None], self.open.ends)
        self.assertEqual(0, self.sizes()["observers"])
        request.notify(b"two")
        self.network.flush()
        self.assertNotIn(b"two", self.watcher.payloads())

    def test_finishTellsTheNewest(self) -> None:
        """The newest state is told as the last, without Observe, also when it waited for its turn."""
        self.watcher.ask("open", 0)
        (request,) = self.open.requests
        request.notify(b"one")
        self.network.flush()
        self.watcher.news()
        self.watcher.reply = None
        request.notify(b"two")
        request.notify(b"three")
        request.finish()
        self.network.flush()
        self.watcher.reply = ACK
        self.network.advance(4.0)
        heard = [(each.payload, each.options.observe is None) for each in self.watcher.news()]
        self.assertEqual([(b"two", False), (b"three", True)], heard)
        self.assertEqual(0, self.sizes()["observers"])

    def test_notifyLast(self) -> None:
        """A state that is said to be the last comes once, without Observe; the first may be that already."""
        self.watcher.ask("open", 0)
        (request,) = self.open.requests
        request.notify(b"one")
        request.notify(b"two", isLast=True)
        self.network.flush()
        heard = [(each.payload, each.options.observe is None) for each in self.watcher.news()]
        self.assertEqual([(b"one", False), (b"two", True)], heard)
        self.watcher.ask("open", 0)
        self.open.requests[-1].notify(b"alone", isLast=True)
        self.network.flush()
        (answer,) = self.watcher.news()
        self.assertEqual((b"alone", None), (answer.payload, answer.options.observe))
        self.assertEqual([None, None], self.open.ends)
        self.assertEqual(0, self.sizes()["observers"])

    def test_finishWithABody(self) -> None:
        """What was written is the last state."""
        self.watcher.ask("open", 0)
        (request,) = self.open.requests
        request.notify(b"one")
        request.write(b"good")
        request.write(b"bye")
        request.finish()
        self.network.flush()
        last = self.watcher.news()[-1]
        self.assertEqual((b"goodbye", None), (last.payload, last.options.observe))

    def test_error(self) -> None:
        """A response that is no success is the last."""
        self.watcher.ask("open", 0)
        (request,) = self.open.requests
        request.notify(b"one")
        request.notify(Response(Code.NOT_FOUND))
        self.network.flush()
        last = self.watcher.news()[-1]
        self.assertEqual((CON, Code.NOT_FOUND, None), (last.type, last.code, last.options.observe))
        self.assertEqual([None], self.open.ends)
        self.assertEqual(0, self.sizes()["observers"])

    def test_late(self) -> None:
        """The first state may come late, in a response apart."""
        self.watcher.ask("open", 0)
        self.network.advance(5.0)
        (request,) = self.open.requests
        request.notify(b"one")
        self.network.flush()
        answer = self.watcher.news()[-1]
        self.assertEqual((CON, b"one"), (answer.type, answer.payload))
        self.assertIsNotNone(answer.options.observe)

    def test_serverStops(self) -> None:
        """When the socket closes the handler learns it."""
        self.watcher.ask("open", 0)
        (request,) = self.open.requests
        request.notify(b"one")
        self.network.flush()
        self.port.stopListening()
        self.assertIsInstance(self.open.ends[0], RequestError)


class Slow(ObservableResource):
    """
    A number that takes time to read.

    @ivar waiting: Those who wait for it.
    """

    def __init__(self) -> None:
        self.value = 0
        self.waiting: list[Deferred[str]] = []
        self._seen: list[int] = []

    def render_GET(self, request: Any) -> Deferred[str]:
        """The number as it is now, later."""
        self.waiting.append(Deferred())
        self._seen.append(self.value)
        return self.waiting[-1]

    def change(self) -> None:
        """Another number."""
        self.value += 1
        self.notifyObservers()

    def finish(self) -> None:
        """Answer who waits longest."""
        self.waiting.pop(0).callback(str(self._seen.pop(0)))


class Open(Resource):
    """
    Keeps its requests.

    @ivar requests: Them.
    @ivar ends: What became of them.
    """

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.ends: list[Any] = []

    def render_GET(self, request: Any) -> int:
        """Answer later."""
        self.requests.append(request)
        request.notifyFinish().addCallbacks(self.ends.append, lambda failure: self.ends.append(failure.value))
        return NOT_DONE_YET
