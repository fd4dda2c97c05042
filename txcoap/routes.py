"""
What is said by L{Router<txcoap.router.Router>}'s decorators: which function answers where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter as Argument
from inspect import signature
from typing import Any, TypeVar

from .codes import Code
from .formats import contentFormat as formatNumber
from .groups import Answering
from .interfaces import IResource
from .patterns import CONVERTERS, Converter, Pattern, PatternTree
from .sansio.observations import OBSERVABLE

__all__ = ["Place", "Route", "RouteTable", "Subrouter"]

F = TypeVar("F", bound=Callable[..., Any])

_NOTHING: Mapping[str, Any] = {}
# By these names a function gets something else.
_TAKEN = ("self", "request")
_BY_NAME = (Argument.POSITIONAL_OR_KEYWORD, Argument.KEYWORD_ONLY)


class Route:
    """
    A function, and what is known of the resources that it answers for.

    @ivar function: What answers.
    @ivar pattern: The path.
    @ivar attributes: What links to them say.
    @ivar isVisible: Whether there are such links.
    @ivar observable: Whether GET and FETCH can observe.
    @ivar openBody: What opens a body, if anything does.
    @ivar known: What else its resources have as attributes.
    @ivar kind: The class of its resources; None until there is one.
    """

    def __init__(self, function: Callable[..., Any], pattern: Pattern, **known: Any) -> None:
        self.function = function
        self.pattern = pattern
        self.attributes: Mapping[str, Any] = known.pop("attributes")
        self.isVisible: bool = known.pop("isVisible")
        self.observable: bool = known.pop("observable")
        self.openBody: Callable[..., Any] | None = known.pop("openBody")
        self.known = known
        self.kind: Any = None


class Place:
    """
    What is at a path, or at all paths that match a pattern.

    @ivar pattern: The path.
    @ivar routes: The route for each method.
    """

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.routes: dict[Code, Route] = {}

    @property
    def methods(self) -> tuple[str, ...]:
        """Their names."""
        return tuple([code.phrase for code in sorted(self.routes)])


class RouteTable:
    """
    All that was said by decorators; routers that are bound to instances of a class share it.

    @ivar converters: By name.
    @ivar tree: The functions, by path.
    @ivar mounts: The resources that are mounted, by the segments of their paths.
    @ivar errors: Who answers where another function failed, by class of exception.
    """

    def __init__(self, converters: Mapping[str, Converter]) -> None:
        self.converters = {**CONVERTERS, **converters}
        self.tree: PatternTree[Place] = PatternTree(Place)
        self.mounts: dict[tuple[str, ...], Any] = {}
        self.errors: dict[type[BaseException], Callable[..., Any]] = {}

    def add(self, route: Route, methods: Iterable[Code]) -> None:
        """
        Answer by a route from now on.

        @raise ValueError: if one of its functions does not take what its path gives, or if one of the methods
            has a route there.
        """
        pattern = route.pattern
        for each in (route.function, route.openBody):
            if each is not None:
                _checkArguments(each, pattern)
        place = self.tree.at(pattern)
        for code in methods:
            if code in place.routes:
                other = place.pattern.text
                raise ValueError(f"{code.phrase} {pattern.text} is routed already, as {other}")
        place.routes.update(dict.fromkeys(methods, route))


class Subrouter:
    """
    Routes below a prefix; L{Router} is one with none.

    As a context manager it is itself::

        with app.subroute("/rooms/<room>") as rooms:

            @rooms.route("/light")
            def light(request, room): ...
    """

    def __init__(self, table: RouteTable, prefix: str) -> None:
        self._table = table
        self._prefix = prefix

    def route(
        self,
        path: str,
        *,
        methods: Iterable[str | Code] = ("GET",),
        contentFormat: int | str | None = None,
        attributes: Mapping[str, str | int | bool | Sequence[str | int]] = _NOTHING,
        isVisible: bool = True,
        observable: bool = False,
        maxAge: int = 60,
        confirmable: bool | None = None,
        maximumBody: int | None = None,
        openBody: Callable[..., Any] | None = None,
        multicastAnswers: Answering = Answering.USEFUL,
        heedsConditions: bool = False,
    ) -> Callable[[F], F]:
        """
        Decorate a function that answers for a path. It is called with the L{Request<txcoap.request.Request>}
        and the path's parameters by name, and returns what a render method of a L{Resource} may.

        A function may be decorated several times, and a path have a function for each method: others are
        answered 4.05.

        @param path: A path as it reads, with parameters: C{<name>} for a segment; C{<int:name>},
            C{<float:name>}, or by another converter of the router; C{<path:name>} for all that is left, one
            segment or more. Text goes before parameters where several match.
        @param methods: Their names.
        @param contentFormat: As for L{Resource}, and likewise C{attributes}, C{isVisible}, C{maximumBody},
            C{multicastAnswers} and C{heedsConditions}; C{/.well-known/core} names the paths without
            parameters.
        @param observable: Whether GET and FETCH can observe; see L{Router.notify}.
        @param maxAge: As for L{ObservableResource}, and likewise C{confirmable}.
        @param openBody: As for L{Resource}: called with the request and the path's parameters by name.
        @raise ValueError: when decorating, for what cannot work; the text says why.
        """
        pattern = self._patternOf(path)
        codes = _codesOf(methods)
        if contentFormat is not None:
            formatNumber(contentFormat)
        if observable and OBSERVABLE.isdisjoint(codes):
            raise ValueError(f"{path!r} cannot be observed: that takes GET or FETCH")
        if not pattern.segments and (openBody is not None or maximumBody is not None):
            raise ValueError("a router's own path has no openBody and no maximumBody: use another path")
        if not pattern.segments and multicastAnswers is Answering.NEVER:
            raise ValueError("a router's own path cannot be kept from groups: use another path")
        if not pattern.segments and heedsConditions:
            raise ValueError("a router's own path cannot heed conditions: use another path")

        def decorate(function: F) -> F:
            route = Route(
                function,
                pattern,
                contentFormat=contentFormat,
                attributes=attributes,
                isVisible=isVisible,
                observable=observable,
                maxAge=maxAge,
                confirmable=confirmable,
                maximumBody=maximumBody,
                openBody=openBody,
                multicastAnswers=multicastAnswers,
                heedsConditions=heedsConditions,
            )
            self._table.add(route, codes)
            return function

        return decorate

    def subroute(self, prefix: str) -> Subrouter:
        """
        Routes below a prefix, which may have parameters: all functions get those too.

        @raise ValueError: if the prefix is no path.
        """
        return Subrouter(self._table, self._patternOf(prefix).text.removesuffix("/"))

    def mount(self, path: str, resource: Any) -> None:
        """
        Put any resource, and all that is below it, at a path; routes go before it.

        @param path: A path without parameters.
        @param resource: An L{IResource}: files, another router.
        @raise ValueError: if the path has parameters, or has a resource.
        """
        pattern = self._patternOf(path)
        segments = tuple([each for each in pattern.segments if isinstance(each, str)])
        if pattern.names or not segments:
            raise ValueError(f"{pattern.text!r}: mount at a path without parameters, below '/'")
        if segments in self._table.mounts:
            raise ValueError(f"at {pattern.text} there is a resource already")
        if not IResource.providedBy(resource):
            raise ValueError(f"{resource!r} is no resource")
        self._table.mounts[segments] = resource

    def _patternOf(self, path: str) -> Pattern:
        """A path below the prefix; the prefix itself for C{"/"}."""
        pattern = Pattern(path, self._table.converters)
        if not self._prefix:
            return pattern
        return Pattern(self._prefix + (path if pattern.segments else ""), self._table.converters)

    def __enter__(self) -> Subrouter:  # noqa: PYI034
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing ends."""


def _codesOf(methods: Iterable[str | Code]) -> list[Code]:
    """The codes of methods, by their names."""
    if isinstance(methods, (str, Code)):
        raise ValueError(f"methods are several, as in [{methods!r}]")
    codes = [Code(each) for each in methods]
    for code in codes:
        if not code.isRequest:
            raise ValueError(f"{code} is no method")
    if not codes:
        raise ValueError("which methods? There is none")
    return codes


def _checkArguments(function: Callable[..., Any], pattern: Pattern) -> None:
    """See that a function takes the parameters of its path."""
    takes = signature(function).parameters
    if any(each.kind is Argument.VAR_KEYWORD for each in takes.values()):
        return
    named = {
        name
        for name, each in takes.items()
        if each.kind not in (Argument.POSITIONAL_ONLY, Argument.VAR_POSITIONAL)
    }
    for name in pattern.names:
        if name in _TAKEN or name not in named:
            raise ValueError(f"{function.__name__} takes no {name!r}, which {pattern.text} gives it")
