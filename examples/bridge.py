"""
Bridges a feed of lines over TCP, as an existing service may have it, to observers: a line C{NAME VALUE}
is a new state of C{/NAME}::

    twistd -n coap --resources examples.bridge
    txcoap observe coap://localhost/humidity
    echo humidity 40 | nc localhost 7000
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from txcoap import ObservableResource, Request, Resource

FEED = "tcp:7000:interface=127.0.0.1"
MAX_NAMES = 1000


class Reading(ObservableResource):
    """What the feed said last of a name."""

    value = ""

    def render_GET(self, request: Request) -> str:
        return self.value

    def update(self, value: str) -> None:
        if value != self.value:
            self.value = value
            self.notifyObservers()


class Feed(LineOnlyReceiver):
    """Reads lines, and passes them on to the tree; a name that is new gets a resource."""

    delimiter = b"\n"

    def __init__(self, tree: Resource) -> None:
        self.tree = tree

    def lineReceived(self, line: bytes) -> None:
        name, _, value = line.decode("utf-8", "replace").strip().partition(" ")
        if name and name not in self.tree.children and len(self.tree.children) < MAX_NAMES:
            self.tree.putChild(name, Reading())
        if name in self.tree.children:
            self.tree.children[name].update(value.strip())


def root(reactor: Any) -> Deferred[Resource]:
    """The tree, once the feed can come."""
    tree = Resource()
    factory = Factory.forProtocol(lambda: Feed(tree))
    listening: Deferred[Any] = serverFromString(reactor, FEED).listen(factory)
    return listening.addCallback(lambda port: tree)
