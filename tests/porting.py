"""
Rows of the porting guides: functions whose first lines a page shows, and how they are run.

A function's docstring says what its row is for; the comments at its beginning have the code that it is in
the other library; the lines below them, up to the first empty one, are the code here, and what follows sees
that it did what it should. Its arguments say what it is given, see L{PortingCase.given}.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any, NamedTuple

from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from txcoap import Agent, Code, ObservableResource, Request, Resource, Site
from txcoap.endpoints import serverFromString
from txcoap.proxy import ForwardProxy
from txcoap.sansio.datagrams import Datagram, decode
from txcoap.testing import MemoryNetwork

_IGNORED = re.compile(r"  # type: ignore.*")


class Row(NamedTuple):
    """What a row of a guide says: what for, the code there, and the code here."""

    title: str
    theirs: str
    ours: str


class Light(ObservableResource):
    """On or off."""

    state = "on"

    def render_GET(self, request: Request) -> str:
        """Which of them."""
        return self.state

    def render_PUT(self, request: Request) -> None:
        """The other one."""
        self.state = request.text()
        self.notifyObservers()


class Large(Resource):
    """More than a block."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """Three blocks of 1024 bytes."""
        return bytes(3000)


class Rejecting(Resource):
    """Rejects what it is asked."""

    isLeaf = True

    def render_GET(self, request: Request) -> None:
        """By a Reset."""
        request.reset()


class Told(Resource):
    """Tells what it was asked, and how many bytes came with it."""

    def render_GET(self, request: Request) -> str:
        """What it was."""
        return f"{request.method} {request.uri} {len(request.payload)}"

    render_POST = render_PUT = render_DELETE = render_FETCH = render_PATCH = render_iPATCH = render_GET

    def getChild(self, segment: str, request: Request) -> Resource:
        """Likewise."""
        return type(self)()


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    def write(self, data: bytes, address: Any) -> None:
        """Keep it."""
        self.written.append((data, address))

    def getHost(self) -> IPv4Address:
        """Where it says that it is."""
        return IPv4Address("UDP", "192.0.2.1", 5683)


def makeRoot() -> Resource:
    """What the server at C{lamp.example} has."""
    root = Told()
    root.putChild("light", Light())
    root.putChild("large", Large())
    root.putChild("reset", Rejecting())
    return root


def answers(**expected: Any) -> Callable[[Any], Any]:
    """
    Says of a row that it is a handler, and what its response has, by attributes.
    """

    def mark(handler: Any) -> Any:
        handler.expected = expected
        return handler

    return mark


def now(asking: Deferred[Any]) -> Any:
    """The result that a Deferred has."""
    results: list[Any] = []
    asking.addCallback(results.append)
    return results[0]


def functionsOf(module: ModuleType) -> list[Any]:
    """The rows of a module, in its order."""
    found = [each for each in vars(module).values() if inspect.isfunction(each)]
    return [each for each in found if each.__module__ == module.__name__]


def rowOf(function: Any) -> Row:
    """What the page is to say of it."""
    source = inspect.getsource(function)
    head, _, body = source.partition('"""\n')
    shown = dedent(_IGNORED.sub("", body.partition("\n\n")[0])).splitlines()
    theirs = [line for line in shown if line.startswith("#")]
    ours = shown[len(theirs) :]
    title = head.rpartition('"""')[2]
    return Row(title, "\n".join(line[2:] for line in theirs), "\n".join(ours).rstrip())


def rowsIn(page: Path) -> list[Row]:
    """The rows of code in a page's tables of three columns."""
    rows = []
    for text in re.findall(r"^   \* - (?:.*\n(?:     .*\n|\n)*)", page.read_text("utf-8"), re.MULTILINE):
        cells = [_literal(cell) for cell in re.split(r"^   \* - |^     - ", text, flags=re.MULTILINE)[1:]]
        if len(cells) == 3 and ".. code-block:: python" in text:
            rows.append(Row(*cells))
    return rows


def _literal(cell: str) -> str:
    """A cell's text, or the code that it holds."""
    directive, _, code = cell.partition("\n\n")
    return dedent(code).rstrip() if directive.startswith(".. code-block::") else " ".join(cell.split())


class PortingCase(TestCase):
    """
    Runs rows.

    @ivar network: A network on which C{lamp.example} is served, and C{nobody.example} is silent.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.network.names.update({"lamp.example": "192.0.2.1", "nobody.example": "192.0.2.9"})
        self.root = makeRoot()
        self.network.listen(Site(self.root), "192.0.2.1")
        self.sent: list[Datagram] = []
        self.agent = self.network.agent(trace=self._trace)
        self.wire = Wire()
        proxy = Site(Resource(), proxy=ForwardProxy(self.network.agent("192.0.2.8"), lambda *asked: True))
        self.network.names["proxy.example"] = "192.0.2.7"
        self.network.listen(proxy, "192.0.2.7")

    def _trace(self, way: str, data: bytes, peer: Any) -> None:
        if way == "sent":
            self.sent.append(decode(data))

    async def run_(self, row: Any) -> None:
        """Run a row, and see that it holds."""
        wanted = set(inspect.signature(row).parameters)
        if hasattr(row, "expected"):
            await self._runHandler(row)
        elif "reactor" in wanted:
            await self._runWithReactor(row, wanted)
        else:
            result = row(**{name: self.given(name) for name in wanted})
            if inspect.iscoroutine(result):
                self.finish(Deferred.fromCoroutine(result))

    def finish(self, running: Deferred[Any]) -> Any:
        """Its result, however long it takes on the network's clock."""
        ended: list[Any] = []
        running.addBoth(ended.append)
        for _ in range(300):
            if ended:
                break
            self.network.advance(1)
        self.assertTrue(ended, "it does not end")
        if isinstance(ended[0], Failure):
            ended[0].raiseException()
        return ended[0]

    def given(self, name: str) -> Any:
        """What an argument stands for."""
        return {
            "agent": self.agent,
            "network": self.network,
            "root": self.root,
            "sent": self.sent,
            "show": lambda *what: None,
            "transport": self.wire,
        }[name]

    async def _runHandler(self, row: Any) -> None:
        """Have a row answer a request, and see that the response is what it says."""
        resource = Resource()
        resource.isLeaf = True
        resource.render_GET = row  # type: ignore[attr-defined]
        self.root.putChild("row", resource)
        asking = self.agent.get("coap://lamp.example/row/a%20b?x=1&y")
        response = self.finish(asking)
        for name, value in row.expected.items():
            found = getattr(response, name)
            self.assertEqual(found, Code(value) if name == "code" else value, name)

    async def _runWithReactor(self, row: Any, wanted: set[str]) -> None:
        """Run a row on the real reactor, over loopback."""
        port: Any = await serverFromString(_reactor, "udp:0:interface=127.0.0.1").listen(Site(self.root))
        agent = Agent(_reactor)
        given = {
            "agent": agent,
            "reactor": _reactor,
            "root": self.root,
            "uri": f"coap://127.0.0.1:{port.getHost().port}/light",
            "port": port,
        }
        try:
            await row(**{name: given[name] for name in wanted})
        finally:
            await agent.close()
            await port.stopListening()


def addTests(case: Any, module: ModuleType) -> None:
    """Give a test case a test for each row of a module."""
    for function in functionsOf(module):

        def test(self: PortingCase, row: Any = function) -> Any:
            return Deferred.fromCoroutine(self.run_(row))

        test.__doc__ = function.__doc__
        setattr(case, f"test_{function.__name__}", test)
