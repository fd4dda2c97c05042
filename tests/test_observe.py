"""
Tests for L{txcoap.observe}: who observes a resource, and what is told.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import succeed

from tests.observing import ServerTestCase, forbid
from tests.watching import Counter, Watcher
from txcoap.codes import Code
from txcoap.limits import DEFAULT_LIMITS
from txcoap.message import Response
from txcoap.observe import ObservableResource
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON
from txcoap.server import Site


class RegistrationTests(ServerTestCase):
    """Who observes, and who does not (RFC 7641 4.1)."""

    def test_observe(self) -> None:
        """The answer has the state and Observe; each change is told from then on."""
        (answer,) = self.watcher.ask("n", 0)
        self.assertEqual((ACK, b"0"), (answer.type, answer.payload))
        self.assertIsNotNone(answer.options.observe)
        self.counter.count()
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((CON, b"t", b"1"), (told.type, told.token, told.payload))
        self.assertGreater(told.options.observe or 0, answer.options.observe or 0)
        self.assertEqual(0, told.options.contentFormat)
        self.assertEqual([b"2"], self.change())

    def test_notAsked(self) -> None:
        """A plain GET observes nothing."""
        (answer,) = self.watcher.ask("n")
        self.assertIsNone(answer.options.observe)
        self.assertEqual([], self.change())

    def test_deregister(self) -> None:
        """Observe=1 with the same token ends it, and is answered without Observe (RFC 7641 3.6)."""
        self.watcher.ask("n", 0)
        (answer,) = self.watcher.ask("n", 1)
        self.assertEqual((b"0", None), (answer.payload, answer.options.observe))
        self.assertEqual([], self.change())
        self.assertEqual((0, 0), (self.sizes()["observers"], self.counter.observerCount))

    def test_deregisterWithAnotherToken(self) -> None:
        """Observe=1 with another token ends nothing."""
        self.watcher.ask("n", 0)
        self.watcher.ask("n", 1, token=b"other")
        self.assertEqual([b"1"], self.change())

    def test_plainGetEndsNothing(self) -> None:
        """A plain GET with another token goes beside the observation."""
        self.watcher.ask("n", 0)
        self.watcher.ask("n", token=b"other")
        self.assertEqual([b"1"], self.change())

    def test_otherValues(self) -> None:
        """Observe with a value other than 0 and 1 is not understood, and ignored: it is elective."""
        (answer,) = self.watcher.ask("n", 7)
        self.assertEqual((Code.CONTENT, None), (answer.code, answer.options.observe))
        self.assertEqual([], self.change())

    def test_once(self) -> None:
        """The same peer with the same token observes once, however often it asks (RFC 7641 4.1)."""
        for _ in range(3):
            (answer,) = self.watcher.ask("n", 0)
            self.assertIsNotNone(answer.options.observe)
        self.assertEqual((1, 1), (self.sizes()["observers"], self.counter.observerCount))
        self.assertEqual([b"1"], self.change())

    def test_twoTokens(self) -> None:
        """With two tokens it observes twice."""
        self.watcher.ask("n", 0, token=b"1")
        self.watcher.ask("n", 0, token=b"2")
        self.assertEqual([b"1", b"1"], self.change())

    def test_tokenForAnother(self) -> None:
        """The token of an observation used to observe another resource ends the first."""
        other = self.put("other", Counter(10))
        self.watcher.ask("n", 0)
        self.watcher.ask("other", 0)
        self.assertEqual(0, self.counter.observerCount)
        self.assertEqual([], self.change())
        self.assertEqual([b"11"], self.change(other))

    def test_againAndRefused(self) -> None:
        """Who asks again, and gets an error, does not observe any longer (RFC 7641 4.1)."""
        self.watcher.ask("n", 0)
        self.counter.render_GET = forbid
        self.watcher.ask("n", 0)
        del self.counter.render_GET
        self.assertEqual([], self.change())
        self.assertEqual((0, 0), (self.sizes()["observers"], self.counter.observerCount))

    def test_errorIsNotObserved(self) -> None:
        """A request that is answered with an error registers nobody (RFC 7641 4.1)."""
        self.counter.render_GET = forbid
        (answer,) = self.watcher.ask("n", 0)
        self.assertEqual((Code.FORBIDDEN, None), (answer.code, answer.options.observe))
        self.assertEqual(0, self.sizes()["observers"])

    def test_notObservable(self) -> None:
        """At another resource Observe is ignored."""
        self.put("plain", Plain())
        (answer,) = self.watcher.ask("plain", 0)
        self.assertEqual((b"plain", None), (answer.payload, answer.options.observe))
        self.assertEqual(0, self.sizes()["observers"])

    def test_notAMethodToObserve(self) -> None:
        """With methods other than GET and FETCH it is ignored too (RFC 7641 2, RFC 8132 2.4)."""
        self.counter.render_POST = lambda request: None
        (answer,) = self.watcher.ask("n", 0, code=Code.POST)
        self.assertEqual((Code.CHANGED, None), (answer.code, answer.options.observe))

    def test_maximumObservers(self) -> None:
        """One too many is answered, and does not observe; who observes already may ask again."""
        self.counter.maximumObservers = 1
        self.watcher.ask("n", 0, token=b"1")
        (answer,) = self.watcher.ask("n", 0, token=b"2")
        self.assertEqual((b"0", None), (answer.payload, answer.options.observe))
        (answer,) = self.watcher.ask("n", 0, token=b"1")
        self.assertIsNotNone(answer.options.observe)
        self.assertEqual([b"1"], self.change())

    def test_limit(self) -> None:
        """The same for the limit of the socket, over all resources."""
        self.port.stopListening()
        self.port = self.network.listen(Site(self.root, limits=DEFAULT_LIMITS.evolve(observers=1)))
        self.put("other", Counter())
        self.watcher.ask("other", 0, token=b"1")
        (answer,) = self.watcher.ask("n", 0, token=b"2")
        self.assertEqual((b"0", None), (answer.payload, answer.options.observe))
        self.assertEqual(0, self.counter.observerCount)
        (answer,) = self.watcher.ask("other", 0, token=b"1")
        self.assertIsNotNone(answer.options.observe)

    def test_link(self) -> None:
        """C{/.well-known/core} says which resources are observable (RFC 7641 6)."""
        self.put("plain", Plain())
        (answer,) = self.watcher.ask(".well-known/core")
        self.assertEqual(b"</n>;obs,</plain>", answer.payload)

    def test_hidden(self) -> None:
        """One that is not to be seen is not named."""
        self.counter.isVisible = False
        self.put("plain", Plain())
        (answer,) = self.watcher.ask(".well-known/core")
        self.assertEqual(b"</plain>", answer.payload)


class RepresentationTests(ServerTestCase):
    """What observers are told (RFC 7641 4.2, 4.3)."""

    def observers(self, count: int, **values: Any) -> list[Watcher]:
        """More observers."""
        watchers = [Watcher(self.network, port=41000 + n + 1000 * len(values)) for n in range(count)]
        for watcher in watchers:
            watcher.ask("n", 0, **values)
        return watchers

    def test_renderedOnce(self) -> None:
        """A change is rendered once for all who asked for the same."""
        watchers = self.observers(50)
        self.counter.rendered = 0
        self.counter.count()
        self.network.flush()
        self.assertEqual([[b"1"]] * 50, [watcher.payloads() for watcher in watchers])
        self.assertEqual(1, self.counter.rendered)

    def test_distinct(self) -> None:
        """It is rendered once for each Accept, query and payload of a FETCH."""
        shown = self.put("shown", Shown())
        asked: list[tuple[dict[str, Any], bytes]] = [
            ({}, b"GET - "),
            ({"accept": 50}, b"GET 50 "),
            ({"uriQuery": ("a=1",)}, b"GET - a=1"),
            ({"code": Code.FETCH, "payload": b"x"}, b"FETCH - x"),
            ({"code": Code.FETCH, "payload": b"y"}, b"FETCH - y"),
        ]
        watchers = []
        for n, (values, text) in enumerate(asked):
            for twin in range(2):
                watcher = Watcher(self.network, port=50000 + 2 * n + twin)
                (answer,) = watcher.ask("shown", 0, **values)
                self.assertEqual(text, answer.payload)
                watchers.append((watcher, text))
        shown.rendered = 0
        shown.notifyObservers()
        self.network.flush()
        self.assertEqual(len(asked), shown.rendered)
        for watcher, text in watchers:
            self.assertEqual([text], watcher.payloads())

    def test_blockSizes(self) -> None:
        """A large state goes in blocks as small as each observer asked for (RFC 7959 2.6)."""
        large = self.put("large", Large())
        watchers = []
        for n, (exponent, size) in enumerate(((2, 64), (4, 256), (6, 1024), (None, 1024))):
            watcher = Watcher(self.network, port=50000 + n)
            watcher.ask("large", 0, block2=exponent)
            watchers.append((watcher, size))
        large.change()
        self.network.flush()
        for watcher, size in watchers:
            (told,) = watcher.news()
            self.assertEqual(size, len(told.payload))

    def test_large(self) -> None:
        """It comes with an ETag; the other blocks are of the same state, though it changes meanwhile."""
        large = self.put("large", Large())
        self.watcher.ask("large", 0)
        large.change()
        expected = large.body
        self.network.flush()
        (told,) = self.watcher.news()
        block = told.options.block2
        assert block is not None
        self.assertEqual((0, True), (block.number, block.more))
        self.assertIsNotNone(told.options.observe)
        body, number = told.payload, 0
        large.body = b"other" * 1000
        while block.more:
            number += 1
            (part,) = self.watcher.ask("large", token=b"blocks", block2=number << 4 | 6)
            self.assertEqual(told.options.etag, part.options.etag)
            self.assertIsNone(part.options.observe)
            body += part.payload
            assert part.options.block2 is not None
            block = part.options.block2
        self.assertEqual(expected, body)

    def test_maxAge(self) -> None:
        """Max-Age is the resource's, or what the method says."""
        self.counter.maxAge = 7
        (answer,) = self.watcher.ask("n", 0)
        self.assertEqual(7, answer.options.maxAge)
        self.counter.render_GET = lambda request: Response(Code.CONTENT, b"x", contentFormat=0, maxAge=9)
        self.counter.notifyObservers()
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual(9, told.options.maxAge)

    def test_maxAgeForAll(self) -> None:
        """It goes to those who ask and do not observe as well: caches go by it (RFC 7252 5.10.5)."""
        self.counter.maxAge = 7
        results: list[tuple[Any, int | None]] = [
            ("x", 7),
            (succeed("x"), 7),
            (Response(Code.CONTENT, b"x"), 7),
            (Response(Code.CONTENT, b"x", maxAge=9), 9),
            (Response(Code.NOT_FOUND), None),
        ]
        for result, maxAge in results:
            self.counter.render_GET = lambda request, result=result: result
            (answer,) = self.watcher.ask("n", None)
            self.assertEqual(answer.options.maxAge, maxAge)
        self.counter.render_GET = lambda request: request.setETag(b"1") and None
        (answer,) = self.watcher.ask("n", None, etag=(b"1",))
        self.assertEqual((Code.VALID, 7), (answer.code, answer.options.maxAge))

    def test_defaultMaxAge(self) -> None:
        """One of 60 seconds goes without saying, and is not said (RFC 7252 5.4.4)."""
        (answer,) = self.watcher.ask("n", 0)
        self.counter.count()
        self.network.flush()
        (told,) = self.watcher.news()
        self.assertEqual((None, None), (answer.options.maxAge, told.options.maxAge))

    def test_knownETag(self) -> None:
        """
        Who has the state at first, by its ETag, and is answered 2.03, is told the whole of the next.
        """
        tagged = self.put("tagged", Tagged())
        (answer,) = self.watcher.ask("tagged", 0, etag=(b"0",))
        self.assertEqual((Code.VALID, b""), (answer.code, answer.payload))
        self.assertIsNotNone(answer.options.observe)
        for value in (1, 0, 2):
            tagged.value = value
            tagged.notifyObservers()
            self.network.flush()
            (told,) = self.watcher.news()
            self.assertEqual(
                (Code.CONTENT, b"%d" % value, (b"%d" % value,)), (told.code, told.payload, told.options.etag)
            )

    def test_severalResources(self) -> None:
        """Each resource tells its own observers; one client can observe several."""
        other = self.put("other", Counter(10))
        self.watcher.ask("n", 0, token=b"1")
        self.watcher.ask("other", 0, token=b"2")
        self.counter.count()
        other.count()
        self.network.flush()
        told = {datagram.token: datagram.payload for datagram in self.watcher.news()}
        self.assertEqual({b"1": b"1", b"2": b"11"}, told)

    def test_types(self) -> None:
        """Notifications are confirmable as the resource says, else as the request was."""
        for choice, asked, expected in (
            (None, CON, CON),
            (None, NON, NON),
            (True, NON, CON),
            (False, CON, NON),
        ):
            self.counter.confirmable = choice
            self.watcher.ask("n", 0, type=asked)
            self.counter.count()
            self.network.flush()
            (told,) = self.watcher.news()
            self.assertEqual(expected, told.type)

    def test_confirmEvery(self) -> None:
        """Of those that are not, one in C{confirmEvery} is."""
        self.counter.confirmable, self.counter.confirmEvery = False, 4
        self.watcher.ask("n", 0)
        types = []
        for _ in range(9):
            self.counter.count()
            self.network.advance(3.0)
            types += [told.type for told in self.watcher.news()]
        self.assertEqual([NON, NON, NON, CON, NON, NON, NON, CON, NON], types)


class Plain(Resource):
    """A resource that cannot be observed."""

    def render_GET(self, request: Any) -> bytes:
        """Always the same."""
        return b"plain"


class Shown(ObservableResource):
    """Says what it was asked."""

    rendered = 0

    def render_GET(self, request: Any) -> bytes:
        """The method, Accept, and query or payload."""
        self.rendered += 1
        accept = "-" if request.accept is None else request.accept
        rest = "&".join(request.options.uriQuery) or request.payload.decode()
        return f"{request.method} {accept} {rest}".encode()

    render_FETCH = render_GET


class Large(ObservableResource):
    """A state of several blocks."""

    body = b"0" * 3000

    def change(self) -> None:
        """Another one, and tell."""
        self.body = b"%d" % (int(self.body[:1]) + 1) * 3000
        self.notifyObservers()

    def render_GET(self, request: Any) -> bytes:
        """All of it."""
        return self.body


class Tagged(ObservableResource):
    """A state with an entity tag."""

    value = 0

    def render_GET(self, request: Any) -> Any:
        """The state, unless the client has it."""
        if request.setETag(b"%d" % self.value):
            return None
        return str(self.value)
