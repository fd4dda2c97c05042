"""
What the page on the wire shows is what goes over it: each of its pictures is drawn anew, of two that talk in
memory. C{python -m tests.test_pages_wire} prints them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from tests.pages import ROOT
from txcoap import ObservableResource, Resource, Site
from txcoap.codes import Code
from txcoap.memory import Passage
from txcoap.sansio.datagrams import CON, NON
from txcoap.testing import MemoryNetwork

PAGE = ROOT / "docs" / "wire.rst"
SERVER = "192.0.2.1"
URI = f"coap://{SERVER}"


class Lamp(ObservableResource):
    """Can be switched, and observed."""

    state = "off"

    def render_GET(self, request: Any) -> str:
        return self.state

    def render_PUT(self, request: Any) -> None:
        self.switch(request.text())

    def switch(self, state: str) -> None:
        """Switch it, and tell."""
        self.state = state
        self.notifyObservers()


class Slow(Resource):
    """Takes three seconds."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock

    async def render_GET(self, request: Any) -> str:
        await deferLater(self.clock, 3)
        return "21.5"


class Log(Resource):
    """A body of 150 bytes, to read or to write."""

    def render_GET(self, request: Any) -> bytes:
        return bytes(150)

    def render_PUT(self, request: Any) -> None:
        return None


class Stage:
    """A server and a client, and what they say."""

    def __init__(self) -> None:
        self.network = MemoryNetwork(seed=1, latency=0.1)
        self.lamp = Lamp()
        self.serve()
        self.agent = self.network.agent()

    def serve(self) -> None:
        """Start the server."""
        root = Resource()
        root.putChild("lamp", self.lamp)
        root.putChild("slow", Slow(self.network.clock))
        root.putChild("log", Log())
        self.port = self.network.listen(Site(root), SERVER)

    def lose(self, *fates: int, server: bool = False) -> None:
        """Lose those of the server's datagrams, or the client's, that have these numbers."""
        seen: list[Passage] = []

        def loses(passage: Passage) -> bool:
            if (passage.source == self.port.address) != server:
                return False
            seen.append(passage)
            return len(seen) - 1 in fates

        self.network.drop(loses)

    def do(self, asked: Deferred[Any], seconds: float = 60) -> Any:
        """Let time pass."""
        self.network.advance(seconds)
        return asked

    def observe(self) -> Any:
        """Observe the lamp."""
        results: list[Any] = []
        self.agent.observe(f"{URI}/lamp").addCallback(results.append)
        self.network.advance(1)
        results[0].subscribe(lambda state: None)
        return results[0]


def confirmed(stage: Stage) -> None:
    """Request and response."""
    stage.do(stage.agent.get(f"{URI}/lamp"))


def requestLost(stage: Stage) -> None:
    """The request is lost, twice."""
    stage.lose(0, 1)
    stage.do(stage.agent.put(f"{URI}/lamp", "on"))


def responseLost(stage: Stage) -> None:
    """The response is lost."""
    stage.lose(0, server=True)
    stage.do(stage.agent.put(f"{URI}/lamp", "on"))


def separate(stage: Stage) -> None:
    """A response of its own."""
    stage.do(stage.agent.get(f"{URI}/slow"))


def unconfirmed(stage: Stage) -> None:
    """Neither is confirmed."""
    stage.do(stage.agent.get(f"{URI}/lamp", confirmable=False))


def download(stage: Stage) -> None:
    """A body comes in blocks."""
    stage.do(stage.agent.get(f"{URI}/log", blockSize=64))


def upload(stage: Stage) -> None:
    """A body goes in blocks."""
    stage.do(stage.agent.put(f"{URI}/log", bytes(150), blockSize=64))


def observed(stage: Stage) -> None:
    """Register, two states, deregister."""
    observation = stage.observe()
    for state in ("on", "off"):
        stage.lamp.switch(state)
        stage.network.advance(1)
    stage.do(observation.cancel())


def latestWins(stage: Stage) -> None:
    """Three changes while a notification is lost."""
    stage.observe()
    stage.lose(0, server=True)
    for state in ("on", "dim", "off"):
        stage.lamp.switch(state)
        stage.network.advance(0.5)
    stage.network.advance(5)


def restarted(stage: Stage) -> None:
    """The server forgets, and the client registers again."""
    stage.observe()
    stage.port.stopListening()
    stage.network.advance(30)
    stage.network.passages = type(stage.network.passages)(
        each for each in stage.network.passages if each.time < 2
    )
    stage.serve()
    stage.network.advance(50)
    stage.lamp.switch("on")
    stage.network.advance(1)


SCENES: list[Callable[[Stage], None]] = [
    confirmed,
    requestLost,
    responseLost,
    separate,
    unconfirmed,
    download,
    upload,
    observed,
    latestWins,
    restarted,
]


class Drawing:
    """Draws datagrams as lines; IDs and tokens are numbered as they come."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def number(self, kind: str, value: Any) -> int:
        """Which one of its kind it is."""
        seen = [each for each in self.numbers if each[0] == kind]
        return self.numbers.setdefault((kind, value), len(seen) + 1)

    def draw(self, passage: Passage) -> str:
        """A line."""
        message = passage.datagram
        assert message is not None
        isFromClient = passage.source != (SERVER, 5683)
        hasOwnID = message.type in (CON, NON)
        who = "client" if isFromClient == hasOwnID else "server"
        words = [message.type.name]
        if message.code is not Code.EMPTY:
            words.append(str(message.code) if message.code.isResponse else message.code.name)
        words += [f"/{each}" for each in message.options.uriPath]
        words += self.options(message.options)
        if message.payload:
            text = message.payload.decode()
            words.append(f'"{text}"' if text.isprintable() else f"{len(text)} bytes")
        marks = f"{who[0].upper()}{self.number(who, message.messageID)}"
        if message.token:
            marks += f" t{self.number('token', message.token)}"
        fate = "  lost" if passage.fate == "lost" else ""
        arrow = "->" if isFromClient else "<-"
        return f"{passage.time:5.1f} s {arrow} {' '.join(words):48} {marks}{fate}".rstrip()

    def options(self, options: Any) -> Iterator[str]:
        """The options that the page speaks of."""
        if options.observe is not None:
            yield f"Observe: {options.observe}"
        for name in ("block1", "block2"):
            block = getattr(options, name)
            if block is not None:
                yield f"{name.title()}: {block.number}/{int(block.more)}/{block.size}"


def drawn(scene: Callable[[Stage], None]) -> str:
    """What is said in a scene."""
    stage = Stage()
    scene(stage)
    drawing = Drawing()
    return "".join(f"{drawing.draw(each)}\n" for each in stage.network.passages)


class WireTests(SynchronousTestCase):
    """The page's pictures."""

    def test_pictures(self) -> None:
        """Each is what is said."""
        found = re.findall(r"::\n\n((?:    +\d+\.\d s [-<].*\n)+)", PAGE.read_text("utf-8"))
        pictures = [re.sub("^    ", "", each, flags=re.MULTILINE) for each in found]
        self.assertEqual(len(pictures), len(SCENES))
        for picture, scene in zip(pictures, SCENES, strict=True):
            self.assertEqual(picture, drawn(scene), scene.__name__)


if __name__ == "__main__":
    for scene in SCENES:
        print(f"{scene.__doc__}\n{drawn(scene)}")
