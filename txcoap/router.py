"""
L{Router}: a server of functions, each with the path that it answers, as with klein.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from .codes import Code
from .errors import MethodNotAllowed, NotFound, ResponseError
from .formats import contentFormat as formatNumber
from .interfaces import IResource
from .linkformat import Link
from .observe import ObservableResource
from .patterns import Converter
from .resource import Resource
from .routes import Place, Route, RouteTable, Subrouter
from .sansio.observations import OBSERVABLE
from .spelling import writePath

__all__ = ["Router", "Subrouter"]

F = TypeVar("F", bound=Callable[..., Any])

_NOTHING: Mapping[str, Any] = {}


@implementer(IResource)
class Router(Subrouter):
    """
    A server of functions::

        app = Router()

        @app.route("/sensors/<name>")
        def sensor(request, name):
            return readings[name]

        site = Site(app)

    It is a resource: the root of a site, or put anywhere in a tree. As an attribute of a class it has
    the methods of each instance answer: C{Site(Building().app)}.

    @param converters: More of them, by name: functions from text to a value, C{ValueError} where the text is
        none. Of paths that are observed the values must be hashable.
    """

    isLeaf = False

    def __init__(self, converters: Mapping[str, Converter] = _NOTHING) -> None:
        super().__init__(RouteTable(converters), "")
        self._begin(None)

    def _begin(self, instance: Any) -> None:
        self._instance: Any = instance
        self._name = ""
        self._fixed: dict[Route, _Served] = {}
        # Those that have observers, or are being rendered.
        self._lasting: WeakValueDictionary[tuple[Route, tuple[Any, ...]], _Served] = WeakValueDictionary()

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Router:
        if instance is None:
            return self
        bound = Router.__new__(Router)
        Subrouter.__init__(bound, self._table, "")
        bound._begin(instance)
        # From now on it is found there, before this is asked.
        classes = type(instance).__mro__
        instance.__dict__[
            next(name for each in classes for name in vars(each) if vars(each)[name] is self)
        ] = bound
        return bound

    def handleErrors(self, *errors: type[BaseException]) -> Callable[[F], F]:
        """
        Decorate a function that answers where another failed: called with the request and the
        C{Failure}, it returns what a route's function may. The code is 5.00, or that of a
        L{ResponseError}, unless it says otherwise. What it raises itself is answered as ever.

        @param errors: Classes of exceptions; the nearest class of an exception counts. L{NotFound} and
            L{MethodNotAllowed} also stand for paths and methods that have no route.
        @raise ValueError: for what is no class of exceptions, or has a function.
        """
        if not all(isinstance(each, type) for each in errors):
            raise ValueError(f"{errors!r} are no classes of exceptions")
        for each in errors:
            if not issubclass(each, BaseException):
                raise ValueError(f"{each!r} is no class of exceptions")
            if each in self._table.errors:
                raise ValueError(f"{each.__name__} has a function already")
        if not errors:
            raise ValueError("which errors? Name their classes")

        def decorate(function: F) -> F:
            self._table.errors.update(dict.fromkeys(errors, function))
            return function

        return decorate

    def resource(self) -> Router:
        """
        The router as a resource: itself.

        @raise RuntimeError: if its functions are methods, and it is asked of the class.
        """
        if self._name and self._instance is None:
            raise RuntimeError(f"this router's functions are methods: ask an instance for its {self._name}")
        return self

    def pathFor(self, function: Callable[..., Any], **parameters: object) -> tuple[str, ...]:
        """
        The path by which a function is asked, from the router on: for L{notify}, or as
        C{locationPath=app.pathFor(sensor, name="hall")}.

        @param parameters: Those of the path. Of several paths the first with just these counts.
        @return: Its segments.
        @raise ValueError: if the function has no such path, or a value is none for it.
        """
        routed = getattr(function, "__func__", function)
        for place in self._table.tree:
            for route in place.routes.values():
                if route.function is routed and set(route.pattern.names) == set(parameters):
                    return route.pattern.fill(parameters)
        raise ValueError(f"{function!r} has no path with the parameters {tuple(parameters)}")

    def notify(self, path: str | Iterable[str]) -> None:
        """
        Tell the observers of a path that its state has changed; each gets the newest state.

        @param path: As it reads, from the router on: C{"/sensors/1"}; or its segments.
        @raise ValueError: if nothing there is observable.
        """
        for served in self._observedAt(path):
            served.notifyObservers()

    def dismiss(self, path: str | Iterable[str], error: ResponseError | None = None) -> None:
        """
        Send the observers of a path a last notification, and have none any more.

        @param path: As for L{notify}; likewise the error.
        @param error: By default 4.04: it is gone.
        """
        for served in self._observedAt(path):
            served.dismissObservers(error)

    def _observedAt(self, path: str | Iterable[str]) -> list[ObservableResource]:
        if isinstance(path, str):
            path = path.removeprefix("/").split("/") if path != "/" else ()
        place, values = self._table.tree.find(tuple(path)) or (None, ())
        routes = {} if place is None else place.routes
        observable = {each for each in map(routes.get, OBSERVABLE) if each is not None and each.observable}
        if not observable:
            raise ValueError(f"nothing at {path!r} can be observed")
        found = [self._kept(each, values) for each in observable]
        return [each for each in found if each is not None]

    # As a resource

    def getChildWithDefault(self, segment: str, request: Any) -> Any:
        """What the rest of the path leads to; see L{IResource}."""
        postpath = request.postpath
        segments = (segment, *postpath)
        match = self._table.tree.find(segments)
        length = len(segments)
        if match is not None:
            resource: Any = self._resourceFor(*match, request.code)
        else:
            length, resource = self._mountedAt(segments)
        request.prepath += postpath[: length - 1]
        del postpath[: length - 1]
        return resource

    def _mountedAt(self, segments: tuple[str, ...]) -> tuple[int, Any]:
        """The resource that is mounted on the way, and how far that is."""
        mounts = self._table.mounts
        for length in sorted(set(map(len, mounts)), reverse=True):
            mounted = mounts.get(segments[:length])
            if mounted is not None:
                return length, mounted
        return len(segments), _Refused(self, ())

    def _resourceFor(self, place: Place, values: tuple[Any, ...], code: Code) -> Any:
        route = place.routes.get(code)
        if route is None:
            return _Refused(self, place.methods)
        served: Any = self._kept(route, values)
        if served is None:
            served = (route.kind or _kindOf(route))(self, self._calling(route.function), place, route, values)
            if not values:
                self._fixed[route] = served
            elif route.observable:
                self._lasting[route, values] = served
        return served

    def _kept(self, route: Route, values: tuple[Any, ...]) -> Any:
        if not values:
            return self._fixed.get(route)
        return self._lasting.get((route, values)) if route.observable else None

    @property
    def allowedMethods(self) -> tuple[str, ...]:
        """The names of the methods of the router's own path."""
        own = self._table.tree.find(())
        return () if own is None else own[0].methods

    def render(self, request: Any) -> Any:
        """Answer a request for the router's own path; see L{IResource}."""
        own = self._table.tree.find(())
        # What comes of the request later concerns what is found here.
        request.resource = _Refused(self, ()) if own is None else self._resourceFor(*own, request.code)
        return request.resource.render(request)

    def getLinks(self, path: str) -> Iterator[Link]:
        """The links to all paths without parameters, and to what is mounted; see L{IResource}."""
        for place in self._table.tree:
            routes = [each for each in dict.fromkeys(place.routes.values()) if each.isVisible]
            if routes and not place.pattern.names:
                attributes: dict[str, Any] = {}
                for route in routes:
                    attributes.update(route.attributes)
                formats = [each.known["contentFormat"] for each in routes]
                numbers = dict.fromkeys(formatNumber(each) for each in formats if each is not None)
                if numbers:
                    attributes.setdefault("ct", list(numbers))
                if any(each.observable for each in routes):
                    attributes["obs"] = True
                yield Link.of((path + writePath(place.pattern.fill({}))) or "/", **attributes)
        for segments, resource in self._table.mounts.items():
            yield from resource.getLinks(path + writePath(segments))

    # What the functions do

    def refuse(self, request: Any, methods: tuple[str, ...]) -> Any:
        """Answer what has no route, or has one for these methods only."""
        error = MethodNotAllowed(f"allowed: {', '.join(methods)}") if methods else NotFound()
        if not self._table.errors:
            raise error
        return self._failed(Failure(error), request)

    def guard(self, function: Callable[..., Any], request: Any, arguments: Mapping[str, Any]) -> Any:
        """Have a function answer a request, and what it fails with answered by whom it concerns."""
        if not self._table.errors:
            return function(request, **arguments)
        try:
            result = function(request, **arguments)
        except Exception:
            return self._failed(Failure(), request)
        if isinstance(result, Coroutine):
            result = Deferred.fromCoroutine(result)
        return result.addErrback(self._failed, request) if isinstance(result, Deferred) else result

    def open(self, route: Route, request: Any, arguments: Mapping[str, Any]) -> Any:
        """What takes the body of a request."""
        assert route.openBody is not None
        return self._calling(route.openBody)(request, **arguments)

    def _calling(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function if self._instance is None else function.__get__(self._instance)

    def _failed(self, failure: Failure, request: Any) -> Any:
        error: Any = failure.value
        functions = self._table.errors
        function = next((functions[each] for each in type(error).__mro__ if each in functions), None)
        if function is None or request.finished:
            failure.raiseException()
        request.discardAnswer()
        isKnown = isinstance(error, ResponseError)
        request.setResponseCode(error.code if isKnown else Code.INTERNAL_SERVER_ERROR)
        result = self._calling(function)(request, failure)
        return Deferred.fromCoroutine(result) if isinstance(result, Coroutine) else result

    def __repr__(self) -> str:
        return f"<Router {', '.join(place.pattern.text for place in self._table.tree)}>"


class _Served(Resource):
    """What is at a path, for the methods of one route, whose own class says more of it."""

    isLeaf = True

    def __init__(
        self,
        router: Router,
        function: Callable[..., Any],
        place: Place,
        route: Route,
        values: tuple[Any, ...],
    ) -> None:
        self._router = router
        self._function = function
        self._place = place
        self._route = route
        self._arguments = dict(zip(route.pattern.names, values, strict=True))

    @property
    def allowedMethods(self) -> tuple[str, ...]:
        """The names of all methods at this path."""
        return self._place.methods

    def render(self, request: Any) -> Any:
        """Answer as the route's function does."""
        return self._router.guard(self._function, request, self._arguments)

    def open(self, request: Any) -> Any:
        """Open a body as the route says."""
        return self._router.open(self._route, request, self._arguments)


class _Observed(ObservableResource, _Served):
    """The same, where it can be observed."""


def _kindOf(route: Route) -> Any:
    """The class of the resources of a route."""
    base = _Observed if route.observable else _Served
    openBody = None if route.openBody is None else base.open
    route.kind = type(base.__name__, (base,), {**route.known, "openBody": openBody})
    return route.kind


class _Refused(Resource):
    """What has no route: neither for this method, nor for any if there are none."""

    isLeaf = True
    heedsConditions = True

    def __init__(self, router: Router, methods: tuple[str, ...]) -> None:
        self._router = router
        self._methods = methods

    @property
    def allowedMethods(self) -> tuple[str, ...]:
        """The names of those that have one."""
        return self._methods

    def render(self, request: Any) -> Any:
        """Fail, as a route's function would."""
        return self._router.refuse(request, self._methods)
