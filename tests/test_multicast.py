"""
Tests for L{txcoap.multicast}: servers that are asked by multicast, over a network in memory (RFC 7252 8).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcoap import NOT_DONE_YET, Code, ObservableResource, Request, Resource, Response, Site
from txcoap.closing import windDown
from txcoap.errors import (
    NotFound,
)
from txcoap.groups import Answering, readGroups
from txcoap.sansio.datagrams import NON
from txcoap.testing import MemoryNetwork, MemoryPort, ScriptedPeer

GROUP = "224.0.1.187"
URI = f"coap://{GROUP}"
LARGE = bytes(range(256)) * 20


class Lamp(ObservableResource):
    """Is on, until it is put otherwise."""

    attributes = {"rt": "lamp"}

    def __init__(self) -> None:
        super().__init__()
        self.state = b"on"
        self.requests: list[Request] = []

    def render_GET(self, request: Request) -> bytes:
        self.requests.append(request)
        return self.state

    def render_PUT(self, request: Request) -> None:
        self.state = request.payload


class Large(Resource):
    """More than a block."""

    def render_GET(self, request: Request) -> bytes:
        return LARGE


class Says(Resource):
    """Answers what it is told to."""

    def __init__(self, answering: Answering, response: Any) -> None:
        self.multicastAnswers = answering
        self.response = response
        self.rendered = 0

    def render_GET(self, request: Request) -> Any:
        self.rendered += 1
        if isinstance(self.response, Exception):
            raise self.response
        return self.response


class Later(Resource):
    """Answers by hand."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def render_GET(self, request: Request) -> Any:
        answer: Deferred[bytes] = Deferred()
        self.waiting.append(answer)
        return answer

    def render_POST(self, request: Request) -> Any:
        self.waiting.append(request)
        return NOT_DONE_YET


def tree() -> Resource:
    """What each server has."""
    root = Resource()
    root.putChild("lamp", Lamp())
    root.putChild("large", Large())
    root.putChild("later", Later())
    return root


class GroupCase(SynchronousTestCase):
    """Three servers in a group, and who asks them."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.addCleanup(self.network.close)
        self.roots = [tree() for _ in range(3)]
        self.servers = [self.serve(root, f"192.0.2.1{number}") for number, root in enumerate(self.roots)]
        self.agent = self.network.agent()

    def serve(self, root: Any, host: str, group: str = GROUP) -> MemoryPort:
        port = self.network.listen(Site(root), host)
        port.joinGroup(*readGroups(group))
        return port

    def gather(self, path: str = "/lamp", **how: Any) -> list[Any]:
        """The responses of a group."""
        gathering = self.agent.multicast(URI + path, **how)
        gathered = gathering.all()
        self.network.advance(21)
        responses: list[Any] = self.successResultOf(gathered)
        return responses

    def put(self, name: str, resource: Resource) -> None:
        """Give every server a resource."""
        for root in self.roots:
            root.putChild(name, resource)

    def sentBy(self, host: str) -> list[Any]:
        """The messages that a host sent."""
        return [each.datagram for each in self.network.passages if each.source[0] == host]  # type: ignore[index]


class ServingTests(GroupCase):
    """A server that is asked by multicast."""

    def test_leisure(self) -> None:
        """Servers answer at moments of their own, within five seconds, from their own addresses (8.2)."""
        responses = self.gather()
        self.assertEqual([each.payload for each in responses], [b"on"] * 3)
        answers = [each for each in self.network.passages if each.source[0] != "192.0.2.2"]  # type: ignore[index]
        self.assertEqual({each.datagram.type for each in answers if each.datagram}, {NON})
        self.assertEqual(len({each.source for each in answers}), 3)
        times = [each.time for each in answers]
        self.assertEqual(len(set(times)), 3)
        self.assertGreater(min(times), 0)
        self.assertLess(max(times), 5)

    def test_silence(self) -> None:
        """Errors, and a representation without anything in it, are not told; a change is (8.2)."""
        for response, expected in (
            (b"", 0),
            ("", 0),
            (None, 0),
            (b"on", 3),
            (NotFound(), 0),
            (ValueError("a fault"), 0),
            (Response(Code.CONTENT, b""), 0),
            (Response(Code.VALID, b"", etag=b"1"), 3),
            (Response(Code.SERVICE_UNAVAILABLE), 0),
        ):
            self.put("says", Says(Answering.USEFUL, response))
            self.assertEqual(len(self.gather("/says")), expected, response)
            self.flushLoggedErrors(ValueError)
        self.assertEqual(len(self.gather("/lamp", method="PUT", payload=b"off")), 3)
        self.assertEqual(len(self.gather("/nowhere")), 0)
        self.assertEqual(len(self.gather("/lamp", method="DELETE")), 0)

    def test_settable(self) -> None:
        """A resource says what it answers to a group."""
        for answering, response, expected in (
            (Answering.NEVER, b"on", 0),
            (Answering.SUCCESS, b"", 3),
            (Answering.SUCCESS, NotFound(), 0),
            (Answering.ALWAYS, NotFound(), 3),
            (Answering.ALWAYS, b"", 3),
        ):
            says = Says(answering, response)
            self.put("says", says)
            self.assertEqual(len(self.gather("/says")), expected, (answering, response))
            self.assertEqual(says.rendered, 0 if answering is Answering.NEVER else 3)

    def test_noResponse(self) -> None:
        """No-Response says otherwise, both ways (RFC 7967 2.1); but nothing makes C{NEVER} answer."""
        for value, answering, response, expected in (
            (0, Answering.USEFUL, NotFound(), 3),
            (0, Answering.USEFUL, b"", 3),
            (2, Answering.USEFUL, NotFound(), 3),
            (2, Answering.ALWAYS, b"on", 0),
            (8, Answering.ALWAYS, NotFound(), 0),
            (0, Answering.NEVER, b"on", 0),
        ):
            self.put("says", Says(answering, response))
            found = self.gather("/says", noResponse=value)
            self.assertEqual(len(found), expected, (value, answering, response))

    def test_later(self) -> None:
        """What is answered later than the leisure is answered then; a failure is kept back."""
        gathering = self.agent.multicast(URI + "/later")
        gathered = gathering.all()
        self.network.advance(6)
        first, second, third = [root.children["later"].waiting[0] for root in self.roots]
        first.callback(b"done")
        second.errback(NotFound())
        third.callback(b"")
        self.network.advance(15)
        self.assertEqual([each.payload for each in self.successResultOf(gathered)], [b"done"])

    def test_byHand(self) -> None:
        """A request that is answered with write and finish is judged too; one that is reset is silent."""
        gathering = self.agent.multicast(URI + "/later", method="POST")
        gathered = gathering.all()
        self.network.advance(1)
        first, second, third = [root.children["later"].waiting[0] for root in self.roots]
        told = [each.notifyFinish() for each in (first, second, third)]
        first.write(b"done")
        first.finish()
        second.setResponseCode(Code.NOT_FOUND)
        second.finish()
        third.reset()
        for each in told:
            self.successResultOf(each)
        self.network.advance(20)
        self.assertEqual([each.payload for each in self.successResultOf(gathered)], [b"done"])
        self.assertEqual(len(self.sentBy("192.0.2.11")) + len(self.sentBy("192.0.2.12")), 0)

    def test_unwantedBody(self) -> None:
        """A large body is not kept for blocks that nobody will ask for (8.2)."""
        for how, response, expected in (
            ({}, LARGE, 3),
            ({}, Response(Code.NOT_FOUND, LARGE), 0),
            ({"noResponse": 2}, LARGE, 0),
        ):
            self.put("says", Says(Answering.USEFUL, response))
            before = [each.protocol.sizes()["downloads"] for each in self.servers]
            self.assertEqual(len(self.gather("/says", **how)), expected)
            after = [each.protocol.sizes()["downloads"] for each in self.servers]
            self.assertEqual(
                [there - here for there, here in zip(after, before, strict=True)], [bool(expected)] * 3
            )

    def test_discovery(self) -> None:
        """Servers that have nothing of what is looked for are silent (RFC 6690 4.1)."""
        self.serve(Resource(), "192.0.2.20")
        for query, expected in (("?rt=lamp", 3), ("?rt=boiler", 0), ("", 3)):
            self.assertEqual(len(self.gather("/.well-known/core" + query)), expected, query)

    def test_observe(self) -> None:
        """A group is not observed: the option is ignored."""
        responses = self.gather(observe=0)
        self.assertEqual([each.options.observe for each in responses], [None] * 3)
        self.assertEqual({each.protocol.sizes()["observers"] for each in self.servers}, {0})

    def test_blocks(self) -> None:
        """Neither a block of a body nor a later block of a representation is a matter of groups."""
        peer = ScriptedPeer(self.network)
        peer.send((GROUP, 5683), NON, Code.PUT, b"t", bytes(16), uriPath=("lamp",), block1=(0, True, 0))
        self.network.advance(10)
        self.assertEqual(peer.heard, [])
        self.assertEqual(self.gather("/large", block2=(1, False, 6)), [])
        self.assertEqual({each.protocol.sizes()["uploads"] for each in self.servers}, {0})

    def test_proxying(self) -> None:
        """Nobody is a proxy for a group."""
        self.assertEqual(self.gather("/lamp", proxyUri="coap://192.0.2.1/"), [])

    def test_told(self) -> None:
        """A request says how it came."""
        self.gather()
        asking = self.agent.get("coap://192.0.2.10/lamp")
        self.network.advance(1)
        self.successResultOf(asking)
        requests = self.roots[0].children["lamp"].requests
        self.assertEqual([each.isMulticast for each in requests], [True, False])

    def test_named(self) -> None:
        """A client that is known by a name gets the rest of a body from what the group was shown."""

        class Counted(Large):
            count = 0

            def render_GET(self, request: Request) -> bytes:
                self.count += 1
                return super().render_GET(request)

        counted = Counted()
        root = Resource()
        root.putChild("counted", counted)
        site = Site(root, clientOf=lambda peer, options: "one of them")
        self.network.listen(site, "192.0.2.20").joinGroup(*readGroups(GROUP))
        (response,) = self.gather("/counted")
        self.assertEqual((response.payload, counted.count), (LARGE, 1))

    def test_unnamed(self) -> None:
        """A client that has no name there is known by its address."""
        site = Site(tree(), clientOf=lambda peer, options: None)
        self.network.listen(site, "192.0.2.20").joinGroup(*readGroups(GROUP))
        self.assertEqual(len(self.gather()), 4)

    def test_brokenWhileFailing(self) -> None:
        """A site that raises where the others answer says nothing, and keeps the socket from nothing."""

        class Failing(Site):
            def rendered(self, result: Any, request: Any) -> None:
                raise ValueError("scripted")

            def failed(self, failure: Any, request: Any) -> None:
                failure.raiseException()

        port = self.network.listen(Failing(tree()), "192.0.2.20")
        port.joinGroup(*readGroups(GROUP))
        self.assertEqual(len(self.gather()), 3)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.network.advance(300)
        self.assertEqual({name: size for name, size in port.protocol.sizes().items() if size}, {})

    def test_unanswered(self) -> None:
        """A site that leaves non-confirmable requests unanswered leaves those of groups so too."""
        site = Site(tree(), answersNonConfirmable=False)
        self.network.listen(site, "192.0.2.20").joinGroup(*readGroups(GROUP))
        self.assertEqual(len(self.gather()), 3)

    def test_noSite(self) -> None:
        """A socket that only asks says nothing."""
        port = self.network.listen(self.network.newProtocol(), "192.0.2.30")
        port.joinGroup(*readGroups(GROUP))
        self.assertEqual(len(self.gather()), 3)
        self.assertEqual(self.sentBy("192.0.2.30"), [])

    def test_brokenSite(self) -> None:
        """A site that raises says nothing, and keeps the socket from nothing."""

        class Failing(Site):
            def groupRequestReceived(self, protocol: Any, exchange: Any) -> None:
                raise ValueError("scripted")

        port = self.network.listen(Failing(tree()), "192.0.2.20")
        port.joinGroup(*readGroups(GROUP))
        self.assertEqual(len(self.gather()), 3)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.sentBy("192.0.2.20"), [])
        asking = self.agent.get("coap://192.0.2.20/lamp")
        self.network.advance(1)
        self.assertEqual(self.successResultOf(asking).payload, b"on")
        self.network.advance(300)
        self.assertEqual({name: size for name, size in port.protocol.sizes().items() if size}, {})

    def test_leaving(self) -> None:
        """Who asks a group is not told that a server is about to leave it (RFC 7252 8.2)."""
        later = self.agent.get("coap://192.0.2.10/later")
        self.network.advance(1)
        ending = windDown(self.servers[0].protocol, 60)
        self.assertEqual(len(self.gather()), 2)
        self.roots[0].children["later"].waiting[0].callback(b"")
        self.network.advance(1)
        self.successResultOf(ending)
        self.successResultOf(later)

    def test_otherFamily(self) -> None:
        """A socket of IPv4 joins no group of IPv6."""
        self.assertRaises(ValueError, self.servers[0].joinGroup, *readGroups("ff02::fd"))

    def test_closed(self) -> None:
        """A server that closes within its leisure leaves nothing behind."""
        gathered = self.agent.multicast(URI + "/lamp").all()
        self.network.flush()
        for port in self.servers:
            port.stopListening()
        self.network.advance(21)
        self.assertEqual(self.successResultOf(gathered), [])
