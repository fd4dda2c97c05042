"""
Tests for L{txcoap.gathering}: who asks a group, and the answers.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.client import FileBodyProducer

from tests.test_multicast import GROUP, LARGE, URI, GroupCase, Says, tree
from txcoap import Agent, Code, Resource, Site
from txcoap.addresses import describeAddress
from txcoap.errors import (
    BodyTooLarge,
    InvalidURI,
    MessageTooLarge,
    NameNotFound,
    SocketClosed,
    TokenInUse,
    UnsupportedScheme,
)
from txcoap.gathering import Gathering
from txcoap.groups import Answering, readGroups
from txcoap.proxy import ForwardProxy
from txcoap.sansio.datagrams import CON, NON, RST
from txcoap.testing import ScriptedPeer


class GatheringTests(GroupCase):
    """Who asks a group."""

    def test_senders(self) -> None:
        """Each response has its sender."""
        addresses = {each.getPeerAddress().host for each in self.gather()}
        self.assertEqual(addresses, {"192.0.2.10", "192.0.2.11", "192.0.2.12"})

    def test_iterated(self) -> None:
        """Responses can be taken as they come; when the time is over that ends."""
        taken: list[Any] = []

        async def take() -> None:
            async for response in self.agent.multicast(URI + "/lamp", seconds=6):
                taken.append((response.payload, self.network.clock.seconds()))

        taking = Deferred.fromCoroutine(take())
        self.network.advance(5.9)
        self.assertEqual(len(taken), 3)
        self.assertEqual(len({when for _, when in taken}), 3)
        self.assertNoResult(taking)
        self.network.advance(0.2)
        self.successResultOf(taking)

    def test_message(self) -> None:
        """One non-confirmable message is sent, whatever comes, and nobody gets a Reset (8.1)."""
        self.gather()
        (asked,) = self.sentBy("192.0.2.2")
        self.assertEqual((asked.type, asked.code), (NON, Code.GET))
        self.assertEqual(asked.options.uriHost, None)

    def test_bodies(self) -> None:
        """A body larger than a block is fetched from each sender alone (RFC 7959 2.8)."""
        responses = self.gather("/large")
        self.assertEqual([each.payload for each in responses], [LARGE] * 3)
        self.assertEqual(len({each.peer for each in responses}), 3)
        sent = [each for each in self.network.passages if each.source[0] == "192.0.2.2"]  # type: ignore[index]
        self.assertEqual([each.target[0] == GROUP for each in sent].count(True), 1)  # type: ignore[index]
        self.assertEqual({each.datagram.type for each in sent[1:] if each.datagram}, {CON})

    def test_twiceLarge(self) -> None:
        """One who answers twice is asked once for the rest."""
        peer = ScriptedPeer(self.network)
        port = self.network._ports[peer.address]
        port.joinGroup(*readGroups(GROUP))
        self.addCleanup(peer.check)
        block: dict[str, Any] = {"block2": (0, True, 0), "etag": b"1"}
        peer.expect(type=NON).reply("2.05", bytes(16), **block).reply(
            "2.05", bytes(16), messageID=99, **block
        )
        peer.expect(type=CON).reply("2.05", b"end", block2=(1, False, 0), etag=b"1")
        responses = self.gather("/nowhere")
        self.assertEqual([each.payload for each in responses], [bytes(16) + b"end"])

    def test_brokenBody(self) -> None:
        """A body that cannot be had whole is told as a failure, and spoils no other."""
        self.network.drop(
            lambda passage: passage.target[0] == "192.0.2.11"  # type: ignore[index]
        )
        gathering = self.agent.multicast(URI + "/large", seconds=200.0)
        gathered = gathering.all()
        self.network.advance(201)
        self.assertEqual(len(self.successResultOf(gathered)), 2)
        ((peer, error),) = gathering.failures.items()
        self.assertEqual((peer[0], type(error).__name__), ("192.0.2.11", "NoAcknowledgement"))

    def test_unfinishedBody(self) -> None:
        """What is not whole when the time is over is left out; nothing more is sent for it."""
        self.network.drop(lambda passage: passage.target[0] == "192.0.2.11")  # type: ignore[index]
        gathering = self.agent.multicast(URI + "/large", seconds=6.0)
        gathered = gathering.all()
        self.network.advance(6.5)
        self.assertEqual(len(self.successResultOf(gathered)), 2)
        self.assertEqual([type(each).__name__ for each in gathering.failures.values()], ["CancelledError"])
        count = len(self.network.passages)
        self.network.advance(100)
        self.assertEqual(len(self.network.passages), count)

    def test_tooMuch(self) -> None:
        """What all of a group send is bounded together; who would exceed that is told."""
        port = self.network.listen(self.network.newProtocol(), "192.0.2.50")
        agent = Agent(self.network.reactor, protocol=port.protocol, maximumBody=2 * len(LARGE))
        gathering = agent.multicast(URI + "/large")
        gathered = gathering.all()
        self.network.advance(21)
        self.assertEqual([each.payload for each in self.successResultOf(gathered)], [LARGE] * 2)
        self.assertEqual([type(each) for each in gathering.failures.values()], [BodyTooLarge])
        agent = Agent(self.network.reactor, protocol=port.protocol, maximumBody=3)
        gathering = agent.multicast(URI + "/lamp")
        gathered = gathering.all()
        self.network.advance(21)
        self.assertEqual([each.payload for each in self.successResultOf(gathered)], [b"on"])
        self.assertEqual(len(gathering.failures), 2)

    def test_parts(self) -> None:
        """A group is given by its parts as well, and options by the names of HTTP."""
        gathered = self.agent.multicast(
            host=GROUP, path=("lamp",), headers={"Accept": "text/plain"}, seconds=6
        ).all()
        self.network.advance(6)
        self.assertEqual(len(self.successResultOf(gathered)), 3)
        (asked,) = self.sentBy("192.0.2.2")
        self.assertEqual((asked.options.uriPath, asked.options.accept), (("lamp",), 0))
        self.assertRaises(TypeError, self.agent.multicast, URI, host=GROUP)

    def test_smallBlocks(self) -> None:
        """A block size that the agent prefers is asked of the group too (RFC 7959 2.8)."""
        responses = self.gather("/large", blockSize=64)
        self.assertEqual([each.payload for each in responses], [LARGE] * 3)
        (first,) = [
            each.datagram
            for each in self.network.passages
            if each.target[0] == GROUP  # type: ignore[index]
        ]
        assert first is not None
        assert first.options.block2 is not None
        self.assertEqual(first.options.block2.size, 64)

    def test_stop(self) -> None:
        """It can be stopped; what came stays, what comes later is acknowledged at most."""
        gathering = self.agent.multicast(URI + "/lamp")
        gathered = gathering.all()
        gathering.stop()
        self.assertEqual(self.successResultOf(gathered), [])
        self.network.advance(300)
        self.assertNotIn(RST, [each.type for each in self.sentBy("192.0.2.2")])
        self.network.advance(1000)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_wrongBodies(self) -> None:
        """A group is sent bytes or text, which fit a message; no other kind of body is one."""
        for body in (FileBodyProducer(BytesIO(b"x")), 5):
            self.assertRaises(TypeError, self.agent.multicast, URI + "/lamp", body, method="PUT")
        self.failureResultOf(self.agent.put("coap://192.0.2.10/lamp", 5), TypeError)

    def test_wrongToken(self) -> None:
        """A token is bytes."""
        self.failureResultOf(self.agent.get("coap://192.0.2.10/lamp", token="t"), TypeError)

    def test_oneReader(self) -> None:
        """It can be waited for by one at a time."""
        gathering = self.agent.multicast(URI + "/later")
        first = Deferred.fromCoroutine(gathering.__anext__())
        self.failureResultOf(Deferred.fromCoroutine(gathering.__anext__()), RuntimeError)
        gathering.stop()
        self.failureResultOf(first, StopAsyncIteration)

    def test_cancelled(self) -> None:
        """Cancelling the Deferred stops it too."""
        gathering = self.agent.multicast(URI + "/lamp")
        gathered = gathering.all()
        gathered.cancel()
        self.failureResultOf(gathered)
        self.successResultOf(gathering.whenOver)

    def test_context(self) -> None:
        """C{async with} stops it at the end."""

        async def take() -> Gathering:
            async with self.agent.multicast(URI + "/lamp") as gathering:
                async for _ in gathering:
                    return gathering
            raise AssertionError

        taking = Deferred.fromCoroutine(take())
        self.network.advance(5)
        self.successResultOf(self.successResultOf(taking).whenOver)

    def test_silentGroup(self) -> None:
        """Nobody answers: that is no failure."""
        self.assertEqual(self.gather("/nowhere"), [])

    def test_nothingWanted(self) -> None:
        """Where no answer is wanted, nothing is waited for (RFC 7967 2.1)."""
        gathered = self.agent.multicast(URI + "/lamp", b"off", method="PUT", noResponse=26).all()
        self.assertEqual(self.successResultOf(gathered), [])
        self.network.advance(6)
        self.assertEqual([root.children["lamp"].state for root in self.roots], [b"off"] * 3)
        self.assertEqual(self.sentBy("192.0.2.10"), [])

    def test_refused(self) -> None:
        """What no group can be asked is refused before anything is sent."""
        multicast = self.agent.multicast
        error = self.assertRaises(InvalidURI, multicast, "coap://192.0.2.10/lamp")
        self.assertIn("no multicast address", str(error))
        self.assertRaises(UnsupportedScheme, multicast, f"coaps://{GROUP}/")
        self.assertRaises(InvalidURI, multicast, "coap://")
        self.assertRaises(MessageTooLarge, multicast, URI, bytes(1025), method="PUT")
        self.assertRaises(ValueError, multicast, URI, seconds=0)
        # RFC 7252 8.2.1
        self.assertRaises(ValueError, multicast, URI, etag=b"x")
        self.assertRaises(ValueError, multicast, URI, hops=256)
        self.assertEqual(len(self.network.passages), 0)

    def test_unicast(self) -> None:
        """A request for one is not sent to a group: the error says why, and what to do (8.1)."""
        for asking in (self.agent.get(URI), self.agent.observe(URI), self.agent.ping(URI)):
            failure = self.failureResultOf(asking, InvalidURI)
            self.assertIn("Agent.multicast", failure.getErrorMessage())
        self.assertEqual(len(self.network.passages), 0)

    def test_proxied(self) -> None:
        """A proxy that is asked to ask a group says that it cannot; nothing is sent there."""
        proxy = ForwardProxy(self.network.agent("192.0.2.40"), policy=lambda *_: True)
        self.network.listen(Site(Resource(), proxy=proxy), "192.0.2.41")
        asking = self.agent.get("coap://192.0.2.41/", proxyUri=f"coap://{GROUP}/lamp")
        self.network.advance(1)
        self.assertTrue(self.successResultOf(asking).code.isError)
        self.assertEqual(self.sentBy("192.0.2.40"), [])

    def test_names(self) -> None:
        """A name can stand for a group; one of something else, or of nothing, fails."""
        self.network.names["all.example"] = GROUP
        self.network.names["one.example"] = "192.0.2.10"
        gathered = self.agent.multicast("coap://all.example/lamp").all()
        self.network.advance(21)
        self.assertEqual(len(self.successResultOf(gathered)), 3)
        self.failureResultOf(self.agent.multicast("coap://one.example/").all(), ValueError)
        self.failureResultOf(self.agent.multicast("coap://none.example/").all(), NameNotFound)

    def test_token(self) -> None:
        """A token of one's own is kept from other uses."""
        first = self.agent.multicast(URI + "/lamp", token=b"mine").all()
        self.failureResultOf(self.agent.multicast(URI + "/lamp", token=b"mine").all(), TokenInUse)
        self.network.advance(21)
        self.assertEqual(len(self.successResultOf(first)), 3)

    def test_closedSocket(self) -> None:
        """When the socket is closed that is told, after what came."""
        gathering = self.agent.multicast(URI + "/lamp")
        self.network.advance(5)
        self.network.close()

        async def take() -> list[Any]:
            return [await gathering.__anext__() for _ in range(3)]

        self.assertEqual(len(self.successResultOf(Deferred.fromCoroutine(take()))), 3)
        self.failureResultOf(gathering.all(), SocketClosed)

    def test_discoverAll(self) -> None:
        """What each server has, with its address; one who answers nonsense is left out."""
        nonsense = Resource()
        core = Says(Answering.USEFUL, b"<<<")
        nonsense.putChild(".well-known", wellKnown := Resource())
        wellKnown.putChild("core", core)
        self.serve(nonsense, "192.0.2.20")
        discovering = self.agent.discoverAll(URI, "rt=lamp")
        self.network.advance(21)
        found = self.successResultOf(discovering)
        hosts = {describeAddress(address) for address, _ in found}
        self.assertEqual(hosts, {f"192.0.2.1{number}:5683" for number in range(3)})
        self.assertEqual({links[0].target for _, links in found}, {"/lamp"})
        self.failureResultOf(self.agent.discoverAll("coap://192.0.2.10"), ValueError)

    def test_ipv6(self) -> None:
        """Groups of IPv6."""
        self.serve(tree(), "2001:db8::1", "ff02::fd")
        agent = self.network.agent("2001:db8::2")
        gathered = agent.multicast("coap://[ff02::fd]/lamp").all()
        self.network.advance(21)
        (response,) = self.successResultOf(gathered)
        self.assertEqual(response.peer[0], "2001:db8::1")
