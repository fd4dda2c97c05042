"""
Tests for L{txcoap.router}: functions with the paths that they answer.
"""

from __future__ import annotations

import gc
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from txcoap import Agent, Code, Response, Site
from txcoap.endpoints import serverFromString
from txcoap.errors import BadRequest, Conflict, MethodNotAllowed, NotFound
from txcoap.groups import Answering
from txcoap.request import NOT_DONE_YET
from txcoap.router import Router
from txcoap.testing import StubAgent


class RouterCase(SynchronousTestCase):
    """A router, and an agent that asks it."""

    def setUp(self) -> None:
        self.app = Router()
        self.agent = StubAgent(self.app)

    def ask(self, path: str, method: str = "GET", payload: Any = b"", **how: Any) -> Any:
        """The response to a request."""
        return self.successResultOf(self.agent.request(method, f"coap://test{path}", payload, **how))

    def assertAnswers(self, path: str, expected: str, method: str = "GET", **how: Any) -> None:
        """A request is answered with this text."""
        response = self.ask(path, method, **how)
        self.assertEqual((response.code.isSuccess, response.text()), (True, expected))


class RouteTests(RouterCase):
    """A request reaches the function for its path and method."""

    def test_parameters(self) -> None:
        """Functions get the parameters of their path by name, converted."""

        @self.app.route("/")
        def root(request: Any) -> str:
            return "root"

        @self.app.route("/sensors/<name>")
        def sensor(request: Any, name: str) -> str:
            return f"sensor {name}"

        @self.app.route("/sensors/<int:number>/at/<float:place>")
        def place(request: Any, *, place: float, number: int) -> str:
            return f"{number!r} {place!r}"

        @self.app.route("/files/<path:rest>")
        def files(request: Any, **parameters: str) -> str:
            return f"{parameters} {request.prepath} {request.postpath}"

        self.assertAnswers("", "root")
        self.assertAnswers("/sensors/a%2Fb%20c", "sensor a/b c")
        self.assertAnswers("/sensors/5", "sensor 5")
        self.assertAnswers("/sensors/5/at/2", "5 2.0")
        self.assertAnswers("/files/a/b", "{'rest': 'a/b'} ['files', 'a', 'b'] []")
        self.assertEqual(sensor(None, "x"), "sensor x")

    def test_unmatched(self) -> None:
        """What has no route is 4.04, also the router's own path."""
        self.app.route("/a/<int:n>")(lambda request, n: "a")
        for path in ("", "/a", "/a/x", "/a/1/", "/b"):
            self.assertEqual(self.ask(path).code, Code.NOT_FOUND, path)
        self.assertEqual(self.ask("/b", "PUT", b"x").code, Code.NOT_FOUND)

    @given(st.lists(st.text(max_size=6).filter(lambda text: text not in (".", "..")), max_size=5))
    @settings(deadline=None, max_examples=100, derandomize=True)
    def test_anyPath(self, path: list[str]) -> None:
        """Any path is answered: by the function that it fits, or 4.04."""
        app = Router()
        app.route("/<int:n>/<x>")(lambda request, n, x: "two")
        app.route("/<float:n>")(lambda request, n: "one")
        app.route("/a/<path:rest>")(lambda request, rest: rest)
        response = self.successResultOf(StubAgent(app).get(host="test", path=path))
        if len(path) > 1 and path[0] == "a":
            expected = "/".join(path[1:])
        elif len(path) == 1 and re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", path[0]):
            expected = "one"
        elif len(path) == 2 and re.fullmatch(r"[0-9]{1,18}", path[0]):
            expected = "two"
        else:
            expected = None
        self.assertEqual(response.text() if response.code.isSuccess else None, expected)

    def test_methods(self) -> None:
        """A path has a function for each method; others are 4.05, which lists those that there are."""

        @self.app.route("/a/<x>", methods=["PUT", "post"])
        @self.app.route("/b", methods=[Code.FETCH])
        def change(request: Any, x: str = "") -> str:
            return f"{request.method} {x}"

        @self.app.route("/a/<y>")
        def show(request: Any, y: str) -> str:
            return f"show {y}"

        self.assertAnswers("/a/1", "PUT 1", "PUT")
        self.assertAnswers("/a/1", "POST 1", "POST", payload=b"x" * 3000)
        self.assertAnswers("/a/1", "show 1")
        self.assertAnswers("/b", "FETCH ", "FETCH")
        for method in ("DELETE", "iPATCH"):
            response = self.ask("/a/1", method)
            self.assertEqual(
                (response.code, response.text()), (Code.METHOD_NOT_ALLOWED, "allowed: GET, POST, PUT")
            )
        self.assertEqual(self.ask("/b", "PUT", b"x").code, Code.METHOD_NOT_ALLOWED)

    def test_results(self) -> None:
        """Functions return what render methods return."""
        later: Deferred[str] = Deferred()

        async def slow(request: Any) -> Response:
            return Response(Code.CONTENT, (await later).encode(), maxAge=7)

        def written(request: Any) -> int:
            request.write(b"written")
            request.finish()
            return NOT_DONE_YET

        self.app.route("/bytes", contentFormat="application/json")(lambda request: b"{}")
        self.app.route("/deferred")(lambda request: succeed("later"))
        self.app.route("/none", methods=["DELETE"])(lambda request: None)
        self.app.route("/slow")(slow)
        self.app.route("/written")(written)
        self.assertEqual(self.ask("/bytes").contentFormat, 50)
        self.assertAnswers("/deferred", "later")
        self.assertEqual(self.ask("/none", "DELETE").code, Code.DELETED)
        self.assertAnswers("/written", "written")
        asking = self.agent.get("coap://test/slow")
        self.agent.advance(1)
        self.assertNoResult(asking)
        later.callback("slow")
        self.agent.advance(1)
        self.assertEqual(self.successResultOf(asking).maxAge, 7)

    def test_ownFormat(self) -> None:
        """The content format of the function for the router's own path counts as well."""
        self.app.route("/", contentFormat=60)(lambda request: b"\x00")
        self.assertEqual(self.ask("").contentFormat, 60)

    def test_bodies(self) -> None:
        """A route may limit the body, or take it as it comes."""
        taken: list[bytes] = []

        class Sink(Protocol):
            def dataReceived(self, data: bytes) -> None:
                taken.append(data)

        def opened(request: Any, name: str) -> Sink:
            taken.append(name.encode())
            return Sink()

        self.app.route("/small", methods=["PUT"], maximumBody=10)(lambda request: None)
        self.app.route("/big/<name>", methods=["PUT"], openBody=opened)(lambda request, name: name)
        self.assertEqual(self.ask("/small", "PUT", b"x" * 11).code, Code.REQUEST_ENTITY_TOO_LARGE)
        self.assertEqual(self.ask("/small", "PUT", b"x" * 10).code, Code.CHANGED)
        self.assertAnswers("/big/one", "one", "PUT", payload=b"y" * 3000)
        self.assertEqual((taken[0], b"".join(taken[1:])), (b"one", b"y" * 3000))

    def test_converter(self) -> None:
        """A router may have converters of its own."""

        def colour(text: str) -> str:
            return {"r": "red", "g": "green"}.get(text) or str(int(text, 16))

        self.app = Router(converters={"colour": colour})
        self.agent = StubAgent(self.app)
        self.app.route("/<colour:c>")(lambda request, c: c)
        self.assertAnswers("/r", "red")
        self.assertAnswers("/ff", "255")
        self.assertEqual(self.ask("/x").code, Code.NOT_FOUND)

    def test_conditions(self) -> None:
        """A route that heeds conditions says so; others are not asked on one (RFC 7252 5.10.8)."""

        @self.app.route("/heeds", methods=["PUT"], heedsConditions=True)
        def heeds(request: Any) -> None:
            request.checkPreconditions(b"v1")

        self.app.route("/does", methods=["PUT"])(lambda request: "done")
        for path, code in (("/heeds", Code.PRECONDITION_FAILED), ("/does", Code.BAD_OPTION)):
            self.assertEqual(self.ask(path, "PUT", ifNoneMatch=True).code, code)
        self.assertEqual(self.ask("/none", "PUT", ifNoneMatch=True).code, Code.NOT_FOUND)
        self.assertEqual(self.ask("/does", "POST", ifNoneMatch=True).code, Code.METHOD_NOT_ALLOWED)

    def test_allowedMethods(self) -> None:
        """As an L{IResource} it says which methods its own path has."""
        self.assertEqual(self.app.allowedMethods, ())
        self.app.route("/", methods=["PUT"])(lambda request: b"")
        self.assertEqual(self.app.allowedMethods, ("PUT",))


class PathTests(RouterCase):
    """The way back, from a function to its path."""

    def test_pathFor(self) -> None:
        """A function's path has its parameters in it; the first path with just these counts."""

        @self.app.route("/all/<name>", methods=["PUT"])
        @self.app.route("/<int:number>/<name>")
        def f(request: Any, **how: Any) -> None:
            """Never called."""

        self.assertEqual(self.app.pathFor(f, number=5, name="a b"), ("5", "a b"))
        self.assertEqual(self.app.pathFor(f, name="x"), ("all", "x"))
        self.assertRaises(ValueError, self.app.pathFor, f, number=5)
        self.assertRaises(ValueError, self.app.pathFor, f, number="x", name="x")
        self.assertRaises(ValueError, self.app.pathFor, print)

    def test_method(self) -> None:
        """Of a method likewise."""
        building = Building("hall")
        self.assertEqual(building.app.pathFor(building.room, room="1"), ("rooms", "1"))
        self.assertEqual(building.app.pathFor(Building.room, room="1"), ("rooms", "1"))


class DecorationTests(RouterCase):
    """What cannot work is found when it is decorated."""

    def test_wrong(self) -> None:
        """Bad patterns, methods and combinations are C{ValueError}s that say why; nothing is routed then."""

        def f(request: Any, name: str) -> None:
            """Never called."""

        for path, how, complaint in (
            ("a", {}, "begins with a slash"),
            ("/<hex:name>", {}, "no converter"),
            ("/<name>", {"methods": []}, "which methods"),
            ("/<name>", {"methods": "GET"}, r"as in \['GET'\]"),
            ("/<name>", {"methods": ["HEAD"]}, "HEAD"),
            ("/<name>", {"methods": ["4.04"]}, "is no method"),
            ("/<name>", {"contentFormat": "application/none"}, "no content format"),
            ("/<name>", {"methods": ["PUT"], "observable": True}, "takes GET or FETCH"),
            ("/<other>", {}, "f takes no 'other', which /<other> gives it"),
            ("/<request>", {}, "f takes no 'request'"),
            ("/<name>", {"openBody": lambda request: None}, "takes no 'name'"),
            ("/", {"openBody": lambda request: None}, "a router's own path"),
            ("/", {"maximumBody": 5}, "a router's own path"),
            ("/", {"multicastAnswers": Answering.NEVER}, "a router's own path"),
            ("/", {"heedsConditions": True}, "a router's own path"),
        ):
            with self.assertRaisesRegex(ValueError, complaint):
                self.app.route(path, **how)(f)
        self.assertEqual(repr(self.app), "<Router >")

    def test_twice(self) -> None:
        """One method at one path, however its parameters are called, has one function."""

        def f(request: Any, **names: str) -> None:
            """Never called."""

        self.app.route("/a/<name>", methods=["GET", "PUT"])(f)
        with self.assertRaisesRegex(ValueError, "PUT /a/<other> is routed already, as /a/<name>"):
            self.app.route("/a/<other>", methods=["PUT"])(f)
        self.app.route("/a/<int:other>", methods=["PUT"])(f)
        self.app.route("/a/<path:other>", methods=["PUT"])(f)
        with self.assertRaisesRegex(ValueError, "GET /b is routed already"):
            self.app.route("/b", methods=["GET", "GET"])(f)
            self.app.route("/b")(f)


served = Router()
"""For C{twistd coap --resources tests.test_router.served}."""


class Building:
    """Its methods are routed."""

    app = Router()

    def __init__(self, name: str) -> None:
        self.name = name

    @app.route("/rooms/<room>", methods=["GET", "PUT"], observable=True)
    def room(self, request: Any, room: str) -> str:
        if room == "none":
            raise KeyError(room)
        return f"{self.name} {room}"

    @app.handleErrors(KeyError)
    def lacking(self, request: Any, failure: Failure) -> Response:
        return Response(Code.NOT_FOUND, f"{self.name} lacks {failure.value}".encode())


class Annex(Building):
    """It has the routes of its base."""


class ErrorTests(RouterCase):
    """Errors are mapped by functions."""

    def setUp(self) -> None:
        super().setUp()

        async def later(request: Any) -> None:
            raise KeyError("later")

        async def asynchronous(request: Any, failure: Failure) -> str:
            request.setResponseCode(Code.CONFLICT)
            return f"no {failure.value}"

        def unexpected(request: Any, failure: Failure) -> str:
            return "unexpected"

        def lost(request: Any, failure: Failure) -> str:
            return f"lost: {request.path}"

        def dated(request: Any) -> None:
            request.setETag(b"1")
            request.setOption(contentFormat=60)
            raise LookupError("x")

        def refuse(request: Any, failure: Failure) -> None:
            raise BadRequest("refused")

        route = self.app.route
        route("/key")(lambda request: dict[str, str]()["key"])
        route("/later")(later)
        route("/failed")(lambda request: fail(KeyError("failed")))
        route("/index")(lambda request: list[str]()[0])
        route("/division")(lambda request: 1 // 0)
        route("/value")(lambda request: int("x"))
        route("/conflict")(lambda request: fail(Conflict("mine")))
        route("/dated")(dated)
        self.app.handleErrors(KeyError)(asynchronous)
        self.app.handleErrors(LookupError, ArithmeticError)(unexpected)
        self.app.handleErrors(ValueError)(refuse)
        self.app.handleErrors(NotFound, MethodNotAllowed)(lost)

    def assertError(self, path: str, code: Code, text: str, **how: Any) -> Any:
        """A request has this code, and this text."""
        response = self.ask(path, **how)
        self.assertEqual((response.code, response.text()), (code, text))
        return response

    def test_nearest(self) -> None:
        """The function for the nearest class answers, wherever the failure came from."""
        self.assertError("/key", Code.CONFLICT, "no 'key'")
        self.assertError("/later", Code.CONFLICT, "no 'later'")
        self.assertError("/failed", Code.CONFLICT, "no 'failed'")

    def test_code(self) -> None:
        """The code is 5.00 unless it is said, and nothing is left of the answer that was begun."""
        self.assertError("/index", Code.INTERNAL_SERVER_ERROR, "unexpected")
        self.assertError("/division", Code.INTERNAL_SERVER_ERROR, "unexpected")
        response = self.assertError("/dated", Code.INTERNAL_SERVER_ERROR, "unexpected")
        self.assertEqual((response.contentFormat, response.etag), (0, None))

    def test_raised(self) -> None:
        """What the function raises is answered as ever; so is what has no function."""
        self.assertError("/value", Code.BAD_REQUEST, "refused")
        self.assertError("/conflict", Code.CONFLICT, "mine")

    def test_unmatched(self) -> None:
        """Paths and methods that have no route are errors like others."""
        self.assertError("/nothing", Code.NOT_FOUND, "lost: /nothing")
        self.assertError("", Code.NOT_FOUND, "lost: /")
        self.assertError("/key", Code.METHOD_NOT_ALLOWED, "lost: /key", method="DELETE")
        self.assertEqual(self.ask("/.well-known/core").code, Code.CONTENT)

    def test_unmatchedBody(self) -> None:
        """Likewise where the request has a body; of a large one the first block is refused plainly."""
        self.assertError("/nothing", Code.NOT_FOUND, "lost: /nothing", method="PUT", payload=b"x")
        self.assertError("/key", Code.METHOD_NOT_ALLOWED, "lost: /key", method="PUT", payload=b"x")
        self.assertEqual(self.ask("/key", "PUT", b"x" * 5000).code, Code.METHOD_NOT_ALLOWED)

    def test_unknown(self) -> None:
        """An error that nobody maps is a bare 5.00, and logged."""
        self.app.route("/unknown")(lambda request: None.x)  # type: ignore[attr-defined]
        self.assertError("/unknown", Code.INTERNAL_SERVER_ERROR, "")
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_cancelled(self) -> None:
        """Where nobody waits any more, nobody is asked."""
        seen: list[Failure] = []
        self.app.handleErrors(CancelledError)(lambda request, failure: seen.append(failure))
        self.app.route("/never")(lambda request: Deferred())
        asking = self.agent.get("coap://test/never", timeout=500)
        self.agent.advance(300)
        asking.addErrback(lambda _: None)
        asking.cancel()
        self.assertEqual(seen, [])

    def test_wrong(self) -> None:
        """What is no class of exceptions, or has a function, is refused."""
        for errors, complaint in (
            ((), "which"),
            ((5,), "no class"),
            ((str,), "no class"),
            ((KeyError,), "already"),
        ):
            with self.assertRaisesRegex(ValueError, complaint):
                self.app.handleErrors(*errors)


class ObservingTests(RouterCase):
    """Paths are observed."""

    def setUp(self) -> None:
        super().setUp()
        self.state: dict[str, str] = {"1": "off", "2": "off"}

        @self.app.route("/lamps/<int:number>", observable=True, maxAge=30)
        def lamp(request: Any, number: int) -> str:
            return self.state.get(str(number), "none")

        self.app.route("/all", observable=True)(lambda request: str(self.state))
        self.app.route("/", observable=True)(lambda request: str(len(self.state)))
        self.app.route("/plain")(lambda request: "plain")

    def observe(self, path: str) -> list[str]:
        """The states that an observer of a path is told."""
        states: list[str] = []
        observing = self.agent.observe(f"coap://test{path}")
        self.agent.flush()
        self.observation = self.successResultOf(observing)
        self.observation.subscribe(lambda response: states.append(response.text()))
        return states

    def test_notify(self) -> None:
        """The observers of one path are told, by its text or segments; not those of another."""
        one, two, every, own = map(self.observe, ("/lamps/1", "/lamps/2", "/all", ""))
        self.state["1"] = "on"
        self.app.notify("/lamps/1")
        self.agent.advance(1)
        self.assertEqual((one, two), (["off", "on"], ["off"]))
        self.app.notify(("all",))
        self.app.notify("/")
        self.agent.advance(1)
        self.assertEqual(every[1:], ["{'1': 'on', '2': 'off'}"])
        self.assertEqual(own, ["2", "2"])

    def test_sameValue(self) -> None:
        """Paths that give the same values are the same."""
        states = self.observe("/lamps/01")
        self.app.notify("/lamps/1")
        self.agent.advance(1)
        self.assertEqual(states, ["off", "off"])

    def test_dismiss(self) -> None:
        """The observers of a path are told that it is gone."""
        self.observe("/lamps/1")
        self.app.dismiss("/lamps/1")
        self.agent.advance(1)
        self.assertIn("4.04", str(self.observation.reason))

    def test_nobody(self) -> None:
        """Where nobody observes nothing happens; what cannot be observed is a C{ValueError}."""
        self.app.notify("/lamps/2")
        for path in ("/plain", "/lamps/x", "/nothing"):
            self.assertRaisesRegex(ValueError, "can be observed", self.app.notify, path)

    def test_notObservable(self) -> None:
        """What is not observable is answered, and nobody observes."""
        self.assertEqual(self.observe("/plain"), ["plain"])
        self.assertFalse(self.observation.isEstablished)

    def test_forgotten(self) -> None:
        """Nothing is kept of a path once its observers are gone, and no cycle waits for the collector."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        lasting = self.app._lasting
        self.observe("/lamps/1")
        self.assertEqual(len(lasting), 1)
        self.observation.cancel()
        self.agent.advance(1)
        self.assertEqual(len(lasting), 0)
        for number in range(10):
            self.ask(f"/lamps/{number}")
        self.assertEqual(len(lasting), 0)

    def test_bound(self) -> None:
        """The observers of one instance are its own."""
        hall, shed = Building("hall"), Building("shed")
        self.agent = StubAgent(hall.app)
        states = self.observe("/rooms/1")
        shed.app.notify("/rooms/1")
        hall.name = "new hall"
        hall.app.notify("/rooms/1")
        self.agent.advance(1)
        self.assertEqual(states, ["hall 1", "new hall 1"])


class SocketTests(TestCase):
    """Over real sockets."""

    async def test_served(self) -> None:
        """A site of a router answers and notifies over loopback."""
        building = Building("hall")
        port: Any = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(building.app))
        self.addCleanup(port.stopListening)
        agent = Agent(reactor)
        self.addCleanup(agent.close)
        base = f"coap://127.0.0.1:{port.getHost().port}"
        response = await agent.put(f"{base}/rooms/a%20b", b"x" * 5000)
        self.assertEqual((response.code, response.text()), (Code.CHANGED, "hall a b"))
        async with await agent.observe(f"{base}/rooms/1") as observation:
            self.assertEqual((await observation.__anext__()).text(), "hall 1")
            building.name = "shed"
            building.app.notify("/rooms/1")
            self.assertEqual((await observation.__anext__()).text(), "shed 1")
