"""
The resources that C{fuzz.server} asks: of each kind one, none of which fails by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPullProducer
from twisted.internet.task import deferLater
from zope.interface import implementer

from examples import plugtest
from txcoap import Code, ObservableResource, Request, Resource, Response
from txcoap.request import NOT_DONE_YET
from txcoap.static import File
from txcoap.writable import WritableFile

__all__ = ["PATHS", "Tree"]

METHODS = [code for code in Code if code.isRequest]

PATHS = (
    "plain",
    "slow",
    "never",
    "large",
    "sink",
    "holding",
    "made",
    "count",
    "crowd",
    "story",
    "files/small.txt",
    "files/large.bin",
    "writable/a",
    "writable/b",
    ".well-known/core",
    "plugtest/validate",
    "plugtest/create1",
    "plugtest/separate",
    "plugtest/multi-format",
    "plugtest/large-update",
    "plugtest/large-post",
    "plugtest/obs",
    "plugtest/obs-large",
    "plugtest/path",
)


class Answering(Resource):
    """Answers every method in one way."""

    isLeaf = True

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        for code in METHODS:
            setattr(self, f"render_{code.phrase}", answer)


class Count(ObservableResource):
    """
    A state that can be observed.

    @param size: Bytes of its representation.
    """

    confirmEvery = 3

    def __init__(self, size: int, confirmable: bool | None) -> None:
        self.size = size
        self.confirmable = confirmable
        self.value = 0

    def render_GET(self, request: Request) -> bytes:
        """The number, and as many bytes as it is to have."""
        return (b"%d " % self.value).ljust(self.size, b".")

    def render_PUT(self, request: Request) -> None:
        """It changes."""
        self.change()

    def change(self) -> None:
        """The state is another."""
        self.value += 1
        self.notifyObservers()


class Story(Resource):
    """Observed by a method that tells some states, and ends."""

    isLeaf = True

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor

    def render_GET(self, request: Request) -> Any:
        """Three states, a second each, where observed; else one."""
        if request.options.observe != 0:
            return b"once"
        for number in (1, 2):
            self.reactor.callLater(number, self._tell, request, b"%d" % number)
        self.reactor.callLater(3, self._finish, request)
        return NOT_DONE_YET

    def _tell(self, request: Any, state: bytes) -> None:
        if not request.finished:
            request.notify(state)

    def _finish(self, request: Any) -> None:
        if not request.finished:
            request.write(b"the end")
            request.finish()


@implementer(IConsumer)
class Hole:
    """
    Takes a body block by block.

    @param delay: For how many seconds it pauses after each block; 0 for never.
    """

    def __init__(self, reactor: Any, delay: float) -> None:
        self.reactor = reactor
        self.delay = delay
        self.length = 0
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """The body begins."""
        self.producer = producer

    def unregisterProducer(self) -> None:
        """It has ended."""
        self.producer = None

    def write(self, data: bytes) -> None:
        """A block came."""
        self.length += len(data)
        if self.delay:
            self.producer.pauseProducing()
            self.reactor.callLater(self.delay, self._resume)

    def _resume(self) -> None:
        if self.producer is not None:
            self.producer.resumeProducing()


class Sink(Resource):
    """Takes bodies of any length."""

    isLeaf = True

    def __init__(self, reactor: Any, delay: float) -> None:
        self.reactor = reactor
        self.delay = delay

    def openBody(self, request: Request) -> Hole:
        """What takes one."""
        return Hole(self.reactor, self.delay)

    def render_PUT(self, request: Any) -> bytes:
        """How long it was."""
        return b"%d" % request.consumer.length

    render_POST = render_PUT


@implementer(IPullProducer)
class Lines:
    """Makes a body as it goes."""

    def __init__(self, request: Any, count: int) -> None:
        self.request = request
        self.left = count

    def resumeProducing(self) -> None:
        """Some more."""
        if self.left:
            self.left -= 1
            self.request.write(b"%d bottles\n" % self.left * 10)
        else:
            self.request.unregisterProducer()
            self.request.finish()

    def stopProducing(self) -> None:
        """No more."""
        self.left = 0


def _make(request: Any) -> Any:
    request.registerProducer(Lines(request, 20), False)
    return NOT_DONE_YET


class Tree:
    """
    All of them.

    @param directory: Where files can be.
    @ivar root: The resource at the root.
    """

    def __init__(self, reactor: Any, directory: str) -> None:
        read, written = Path(directory, "read"), Path(directory, "written")
        for path in (read, written):
            path.mkdir()
        Path(read, "small.txt").write_bytes(b"small")
        Path(read, "large.bin").write_bytes(bytes(3000))
        self._counts = (Count(5, True), Count(2500, None), Count(3, False))
        self.root = Resource()
        for name, resource in {
            "plain": Answering(lambda request: request.payload or b"plain"),
            "slow": Answering(lambda request: deferLater(reactor, 1.0, lambda: b"slow")),
            "never": Answering(lambda request: Deferred()),
            "large": Answering(lambda request: Response(Code.CONTENT, b"large " * 500)),
            "sink": Sink(reactor, 0),
            "holding": Sink(reactor, 3.0),
            "made": Answering(_make),
            "count": self._counts[0],
            "crowd": self._counts[1],
            "few": self._counts[2],
            "story": Story(reactor),
            "files": File(read),
            "writable": WritableFile(written, maximumBody=5000),
            "plugtest": plugtest.root(reactor),
        }.items():
            self.root.putChild(name, resource)

    def change(self) -> None:
        """Every state is another."""
        for count in self._counts:
            count.change()

    def dismiss(self) -> None:
        """Nobody observes any more."""
        for count in self._counts:
            count.dismissObservers()
