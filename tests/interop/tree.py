"""
The resources of our server for the peers' clients. The servers in C{scripts/} have the same, and some
more, so that the tests of all of them can be alike:

  - C{/hello}: GET gives C{Hello, world!} with an ETag and Max-Age 30; or 2.03 for who has it.
  - C{/echo}: any method; gives the payload and its Content-Format back.
  - C{/method}: any method; gives its name, the message's type and the token's length: C{GET CON 4}.
  - C{/query}: any method; gives the arguments of Uri-Query, one a line.
  - C{/delayed?200}: any method; answers C{delayed GET} after so many milliseconds.
  - C{/code?4.04}: any method; answers with that code.
  - C{/café/a b}: GET gives C{found}.
  - C{/created}: POST answers 2.01 with a location.
  - C{/count}: POST gives how many there were.
  - C{/store}: GET, PUT and DELETE of one representation, with ETag, If-Match and If-None-Match.
  - C{/large?65536}: GET gives L{large} bytes of that length, 65,536 by default, with an ETag.
  - C{/upload}: POST and PUT give the body's L{summary}, and GET that of the last one.
  - C{/obs}: GET gives what was PUT, and can be observed; DELETE ends that.

There is also C{/small}, which is as C{/upload} and takes at most L{SMALL} bytes. C{/obs} of
the scripts changes every second by itself, and takes neither PUT nor DELETE.
"""

from __future__ import annotations

import hashlib
from typing import Any

from twisted.internet import task

from txcoap import Code, ObservableResource, Request, Resource, Response
from txcoap.errors import NotFound

HELLO = b"Hello, world!"
METHODS = ("GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH")

#: The period of a large body's bytes: blocks near each other differ, as no block has a multiple of it.
PERIOD = 251

#: Bytes that C{/small} takes.
SMALL = 4096


def large(length: int) -> bytes:
    """A large body: C{/large} of all of them has these bytes."""
    return (bytes(range(PERIOD)) * (length // PERIOD + 1))[:length]


def entityTag(body: bytes) -> bytes:
    """A tag that follows from the content."""
    return hashlib.sha256(body).digest()[:8]


def summary(body: bytes) -> bytes:
    """A body's length and SHA-256 in hex, as C{/upload} of all of them answers."""
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()


class Hello(Resource):
    """Text that can be validated; GET alone."""

    attributes = {"rt": "greeting", "title": "A greeting"}

    def render_GET(self, request: Request) -> Response:
        """2.05; L{Site<txcoap.Site>} makes a 2.03 of it for who has it."""
        return Response(Code.CONTENT, HELLO, contentFormat=0, etag=b"hello", maxAge=30)


class AnyMethod(Resource):
    """A resource that treats all methods in one place."""

    def answer(self, request: Request) -> Any:
        """What every method returns."""
        raise NotImplementedError

    def render_GET(self, request: Request) -> Any:
        """As the others."""
        return self.answer(request)

    render_POST = render_PUT = render_DELETE = render_FETCH = render_GET
    render_PATCH = render_iPATCH = render_GET


class Echo(AnyMethod):
    """Gives back what it was sent."""

    def answer(self, request: Request) -> bytes:
        """The payload and its format."""
        request.setOption(contentFormat=request.contentFormat)
        return request.payload


class Method(AnyMethod):
    """Tells what it was sent."""

    def answer(self, request: Request) -> str:
        """The method, the message's type and its token's length."""
        kind = "CON" if request.isConfirmable else "NON"
        return f"{request.method} {kind} {len(request.token)}"


class Arguments(AnyMethod):
    """Tells its Uri-Query."""

    def answer(self, request: Request) -> str:
        """The arguments, one a line."""
        return "\n".join(request.query)


class Delayed(AnyMethod):
    """Answers late, and so separately."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor

    async def answer(self, request: Request) -> str:
        """After as many milliseconds as the query says."""
        await task.deferLater(self.reactor, int(request.query[0]) / 1000)
        return f"delayed {request.method}"


class Status(AnyMethod):
    """Answers with any code."""

    def answer(self, request: Request) -> Response:
        """The code of the query."""
        return Response(Code(request.query[0]))


class Found(Resource):
    """A resource whose path needs percent-encoding in a URI."""

    def render_GET(self, request: Request) -> str:
        """2.05 shows that it was found."""
        return "found"


class Created(Resource):
    """Pretends to create something."""

    def render_POST(self, request: Request) -> Response:
        """2.01 with where it is."""
        return Response(Code.CREATED, locationPath=("made", "1 2"), locationQuery=("a=b", "c"))


class Count(Resource):
    """Counts what is posted to it."""

    count = 0

    def render_POST(self, request: Request) -> bytes:
        """How many there were."""
        self.count += 1
        return str(self.count).encode()


class Store(Resource):
    """One representation, with conditional requests (RFC 7252 5.10.8)."""

    heedsConditions = True
    stored: bytes | None = None

    def check(self, request: Request) -> bytes | None:
        """The representation's entity tag, once the preconditions hold."""
        stored = self.stored
        tag = None if stored is None else entityTag(stored)
        request.checkPreconditions(tag)
        return tag

    def render_GET(self, request: Request) -> Response:
        """The representation, or 4.04."""
        tag = self.check(request)
        if self.stored is None:
            raise NotFound()
        return Response(Code.CONTENT, self.stored, etag=tag)

    def render_PUT(self, request: Request) -> Response:
        """2.01 if there was none, else 2.04."""
        self.check(request)
        code = Code.CREATED if self.stored is None else Code.CHANGED
        self.stored = request.payload
        return Response(code)

    def render_DELETE(self, request: Request) -> None:
        """2.02."""
        self.check(request)
        self.stored = None


class Large(Resource):
    """A representation of many blocks."""

    def render_GET(self, request: Request) -> Response:
        """As many bytes as the query says."""
        body = large(int(request.query[0]) if request.query else 65_536)
        return Response(Code.CONTENT, body, contentFormat=42, etag=entityTag(body))


class Upload(Resource):
    """Takes a body of many blocks."""

    last = summary(b"")

    def render_PUT(self, request: Request) -> bytes:
        """Keep its length and hash."""
        self.last = summary(request.payload)
        return self.last

    render_POST = render_PUT

    def render_GET(self, request: Request) -> bytes:
        """The last body's length and hash."""
        return self.last


class Small(Upload):
    """Takes a body of few blocks."""

    maximumBody = SMALL


class Observed(ObservableResource):
    """What was put; notifications are of the request's type."""

    attributes = {"rt": "state"}
    contentFormat = "text/plain"
    state = b"first"

    def render_GET(self, request: Request) -> bytes:
        """The state."""
        return self.state

    def render_PUT(self, request: Request) -> None:
        """Tell the observers."""
        self.change(request.payload)

    def render_DELETE(self, request: Request) -> None:
        """Tell the observers that it is gone; it is there again at once."""
        self.dismissObservers()

    def change(self, state: bytes) -> None:
        """The state is this from now on."""
        self.state = state
        self.notifyObservers()


class Broken(Resource):
    """Fails."""

    def render_GET(self, request: Request) -> bytes:
        """Raise what the peer must not see."""
        raise ValueError("not for the peer")


def makeTree(reactor: Any) -> Resource:
    """All of them, below one root."""
    root = Resource()
    cafe = Resource()
    cafe.putChild("a b", Found())
    for segment, resource in {
        "hello": Hello(),
        "echo": Echo(),
        "method": Method(),
        "query": Arguments(),
        "delayed": Delayed(reactor),
        "code": Status(),
        "café": cafe,
        "created": Created(),
        "count": Count(),
        "store": Store(),
        "large": Large(),
        "upload": Upload(),
        "small": Small(),
        "obs": Observed(),
        "broken": Broken(),
    }.items():
        root.putChild(segment, resource)
    return root
