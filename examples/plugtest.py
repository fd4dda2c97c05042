"""
The server of ETSI's CoAP plugtests: what the tests CORE, LINK, BLOCK and OBS of their fourth edition ask
for::

    twistd -n coap --listen udp:5683:interface=127.0.0.1 --resources examples.plugtest

The table at the end says which resource is where; C{examples.plugtest_large} has most of BLOCK's,
C{examples.plugtest_observe} those of OBS.
"""

from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from txcoap import Code, Request, Resource, Response
from txcoap.errors import BadRequest, NotFound, PreconditionFailed
from txcoap.linkformat import Link, write

from .plugtest_large import LARGE, large
from .plugtest_observe import observables


class Test(Resource):
    """CORE_01 to 08, 10, 12, 15, 18: takes every method, and tells of the message."""

    heedsConditions = True

    def render_GET(self, request: Request) -> str:
        request.setOption(maxAge=30)
        kind = "0 (CON)" if request.isConfirmable else "1 (NON)"
        return f"Type: {kind}\nCode: 1 (GET)\nMID: {request.messageID}\nToken: {request.token.hex()}"

    def render_PUT(self, request: Request) -> None:
        request.checkPreconditions(b"")

    def render_POST(self, request: Request) -> Response:
        return Response(Code.CREATED, locationPath=("location1", "location2", "location3"))

    def render_DELETE(self, request: Request) -> None:
        """Nothing is deleted: the tests go on."""


class Text(Resource):
    """CORE_13, and whatever else only has to be there: a fixed text."""

    def __init__(self, text: str, **attributes: Any) -> None:
        self.text = text
        # A keyword cannot be called "if".
        self.attributes = {name.rstrip("_"): value for name, value in attributes.items()}

    def render_GET(self, request: Request) -> str:
        return self.text


class Query(Resource):
    """CORE_14: says what was asked."""

    attributes = {"rt": ""}

    def render_GET(self, request: Request) -> str:
        return ("?" + "&".join(request.query))[:64]


class Separate(Resource):
    """CORE_09, 11, 16, 17: acknowledges at once, answers after a second."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor

    def render_GET(self, request: Request) -> Deferred[str]:
        request.acknowledge()
        return deferLater(self.reactor, 1.0, lambda: "That took a second")


class LocationQuery(Resource):
    """CORE_19: creates something that a query leads to."""

    def render_POST(self, request: Request) -> Response:
        return Response(Code.CREATED, locationQuery=("first=1", "second=2"))


class MultiFormat(Resource):
    """CORE_20: one representation for each content format."""

    bodies = {
        0: b"Hello",
        41: b"<greeting>Hello</greeting>",
        50: b'{"greeting":"Hello"}',
        60: b"\xa1hgreetingeHello",
    }
    attributes = {"ct": tuple(bodies)}

    def render_GET(self, request: Request) -> bytes:
        return self.bodies[request.negotiate(*self.bodies)]


class Validate(Resource):
    """CORE_21, 22: has an entity tag, and changes by PUT; and by itself once somebody found it unchanged."""

    contentFormat = "text/plain"
    heedsConditions = True
    body = b"Hello"
    version = 1

    def render_GET(self, request: Request) -> bytes:
        body = self.body
        request.setOption(maxAge=30)
        if request.setETag(b"v%d" % self.version):
            self.version += 1
        return body

    def render_PUT(self, request: Request) -> None:
        request.checkPreconditions(b"v%d" % self.version)
        self.body = request.payload
        self.version += 1


class Create(Resource):
    """CORE_23: does not exist until it is put, nor after a precondition failed, for the next test."""

    isVisible = False
    heedsConditions = True
    body: bytes | None = None

    def render_GET(self, request: Request) -> bytes:
        if self.body is None:
            raise NotFound()
        return self.body

    def render_PUT(self, request: Request) -> Response:
        if request.contentFormat is None:
            raise BadRequest("Content-Format is missing")
        code = Code.CREATED if self.body is None else Code.CHANGED
        try:
            request.checkPreconditions(None if self.body is None else b"")
        except PreconditionFailed:
            self.render_DELETE(request)
            raise
        self.isVisible, self.body, self.contentFormat = True, request.payload, request.contentFormat
        return Response(code)

    def render_DELETE(self, request: Request) -> None:
        self.isVisible, self.body, self.contentFormat = False, None, None


class Store(Resource):
    """LINK_06: keeps what it is given, in the format in which it came."""

    attributes = {"sz": 1280}
    body = b""

    def render_GET(self, request: Request) -> bytes:
        if self.contentFormat is not None:
            request.negotiate(self.contentFormat)
        return self.body

    def render_PUT(self, request: Request) -> None:
        if request.contentFormat is None:
            raise BadRequest("Content-Format is missing")
        self.body, self.contentFormat = request.payload, request.contentFormat


class Links(Resource):
    """LINK_09: names what is below it."""

    contentFormat = "application/link-format"

    def render_GET(self, request: Request) -> bytes:
        return write(Link.of(f"{request.path}/{name}", ct=0) for name in self.children).encode()


def root(reactor: Any, chance: Random | None = None) -> Resource:
    """The tree of resources."""
    table: dict[str, Resource] = {
        "test": Test(),
        "seg1": Text("one"),
        "seg1/seg2": Text("two"),
        "seg1/seg2/seg3": Text("three"),
        "query": Query(),
        "separate": Separate(reactor),
        "location-query": LocationQuery(),
        "multi-format": MultiFormat(),
        "validate": Validate(),
        "create1": Create(),
        "create2": Create(),
        "create3": Create(),
        "large": Text(LARGE, sz=len(LARGE)),
        "large-update": Store(),
        **large(reactor),
        "path": Links(),
        "path/sub1": Text("/path/sub1"),
        "path/sub2": Text("/path/sub2"),
        "path/sub3": Text("/path/sub3"),
        "link1": Text("link1", rt=("Type1", "Type2"), if_="If1"),
        "link2": Text("link2", rt=("Type2", "Type3"), if_="If2"),
        "link3": Text("link3", rt=("Type1", "Type3"), if_="foo"),
        **observables(reactor, chance or Random()),
    }
    top = Resource()
    for path, resource in table.items():
        parent, _, segment = path.rpartition("/")
        (table[parent] if parent else top).putChild(segment, resource)
    return top
