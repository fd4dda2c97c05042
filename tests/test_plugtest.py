"""
The ETSI CoAP plugtests, CORE and LINK of the fourth edition, against C{examples/plugtest.py}: by their
numbers, as a client checks them, message by message.
"""

from __future__ import annotations

from random import Random
from typing import Any

from examples.plugtest import root
from tests.wire import SERVER, ServerTestCase
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.linkformat import Link, parse
from txcoap.options import Options
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, decode

TOKEN = b"\xde\xca\xfb\xad"


class PlugtestCase(ServerTestCase):
    """The plugtest server, and a client that looks at each message."""

    def setUp(self) -> None:
        """Serve it."""
        super().setUp()
        self.serve(root(self.reactor))

    def assertNonConfirmable(self, code: int, expected: Code, payload: bytes = b"") -> Datagram:
        """A NON is answered by one NON, with an ID of its own and the same token."""
        messageID = self.ask(code, "test", payload, NON, TOKEN)
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.code, answer.token), (NON, expected, TOKEN))
        # IDs of the two directions are independent; the server's own came from its chance.
        self.assertNotEqual(answer.messageID, messageID)
        return answer

    def assertSeparate(self, token: bytes) -> None:
        """An empty acknowledgement at once, and after a second a response of its own, acknowledged."""
        messageID = self.ask(Code.GET, "separate", token=token)
        empty = self.peer.takeOne()
        self.assertEqual((empty.type, empty.code, empty.messageID), (ACK, Code.EMPTY, messageID))
        self.assertEqual((empty.token, empty.payload, empty.options), (b"", b"", Options()))
        self.reactor.elapse(0.999)
        self.assertEqual(self.peer.take(), [])
        self.reactor.elapse(0.001)
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.code, answer.token), (CON, Code.CONTENT, token))
        self.assertEqual(answer.options.contentFormat, 0)
        self.assertTrue(answer.payload)
        self.peer.sendEmpty(ACK, answer.messageID)
        self.assertForgets()


class CoreTests(PlugtestCase):
    """TD_COAP_CORE."""

    def test_CORE_01(self) -> None:
        """GET, CON."""
        answer = self.answerTo(Code.GET, "test", token=TOKEN)
        self.assertEqual((answer.code, answer.options), (Code.CONTENT, Options(contentFormat=0, maxAge=30)))
        asked = self.wire.between(self.peer.address, SERVER)[-1]
        expected = f"Type: 0 (CON)\nCode: 1 (GET)\nMID: {asked.messageID}\nToken: decafbad"
        self.assertEqual(answer.payload.decode(), expected)
        self.assertLessEqual(len(self.answerTo(Code.GET, "test", token=b"12345678").payload), 64)

    def test_CORE_02(self) -> None:
        """DELETE, CON."""
        self.assertEqual(self.answerTo(Code.DELETE, "test").code, Code.DELETED)
        self.assertEqual(self.answerTo(Code.GET, "test").code, Code.CONTENT)

    def test_CORE_03(self) -> None:
        """PUT, CON; with If-None-Match it fails, for the resource exists."""
        answer = self.answerTo(Code.PUT, "test", b"x", contentFormat=0)
        self.assertEqual((answer.code, answer.payload), (Code.CHANGED, b""))
        answer = self.answerTo(Code.PUT, "test", b"x", contentFormat=0, ifNoneMatch=True)
        self.assertEqual(answer.code, Code.PRECONDITION_FAILED)

    def test_CORE_04(self) -> None:
        """POST, CON."""
        answer = self.answerTo(Code.POST, "test", b"x", contentFormat=0)
        self.assertEqual(answer.code, Code.CREATED)

    def test_CORE_05(self) -> None:
        """GET, NON."""
        answer = self.assertNonConfirmable(Code.GET, Code.CONTENT)
        self.assertEqual(answer.options.contentFormat, 0)
        self.assertTrue(answer.payload.startswith(b"Type: 1 (NON)\n"))

    def test_CORE_06(self) -> None:
        """DELETE, NON."""
        self.assertNonConfirmable(Code.DELETE, Code.DELETED)

    def test_CORE_07(self) -> None:
        """PUT, NON."""
        self.assertNonConfirmable(Code.PUT, Code.CHANGED, b"x")

    def test_CORE_08(self) -> None:
        """POST, NON."""
        self.assertNonConfirmable(Code.POST, Code.CREATED, b"x")

    def test_CORE_09(self) -> None:
        """GET with a separate response."""
        self.assertSeparate(TOKEN)

    def test_CORE_10(self) -> None:
        """Tokens of 1 to 8 bytes are echoed."""
        for length in range(1, 9):
            answer = self.answerTo(Code.GET, "test", token=bytes(range(length)))
            self.assertEqual(answer.code, Code.CONTENT)

    def test_CORE_11(self) -> None:
        """So they are in a separate response."""
        self.assertSeparate(b"\x00")
        self.assertSeparate(b"12345678")

    def test_CORE_12(self) -> None:
        """The empty token."""
        self.assertEqual(self.answerTo(Code.GET, "test", token=b"").code, Code.CONTENT)

    def test_CORE_13(self) -> None:
        """Several Uri-Path options, none with a slash in it."""
        for path, text in (("seg1/seg2/seg3", b"three"), ("seg1/seg2", b"two"), ("seg1", b"one")):
            answer = self.answerTo(Code.GET, path)
            asked = self.wire.between(self.peer.address, SERVER)[-1]
            self.assertEqual(asked.options.uriPath, tuple(path.split("/")))
            self.assertEqual((answer.code, answer.options.contentFormat), (Code.CONTENT, 0))
            self.assertEqual(answer.payload, text)

    def test_CORE_14(self) -> None:
        """Several Uri-Query options."""
        answer = self.answerTo(Code.GET, "query", uriQuery=("first=1", "second=2", "third=3"))
        self.assertEqual((answer.code, answer.options.contentFormat), (Code.CONTENT, 0))
        self.assertEqual(answer.payload, b"?first=1&second=2&third=3")
        long = self.answerTo(Code.GET, "query", uriQuery=("x" * 200,))
        self.assertEqual(len(long.payload), 64)

    def test_CORE_17(self) -> None:
        """NON with a late response: no acknowledgement, and the response is a NON."""
        self.ask(Code.GET, "separate", b"", NON, TOKEN)
        self.reactor.elapse(0.999)
        self.assertEqual(self.peer.take(), [])
        self.reactor.elapse(0.001)
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.code, answer.token), (NON, Code.CONTENT, TOKEN))
        self.assertForgets()

    def test_CORE_18(self) -> None:
        """POST answered with several Location-Path options, none with a slash in it."""
        answer = self.answerTo(Code.POST, "test", b"x", contentFormat=0)
        self.assertEqual(answer.code, Code.CREATED)
        self.assertEqual(answer.options.get(8), (b"location1", b"location2", b"location3"))

    def test_CORE_19(self) -> None:
        """POST answered with several Location-Query options, without question mark and ampersand."""
        answer = self.answerTo(Code.POST, "location-query", b"x", contentFormat=0)
        self.assertEqual(answer.code, Code.CREATED)
        self.assertEqual(answer.options.get(20), (b"first=1", b"second=2"))

    def test_CORE_20(self) -> None:
        """Accept chooses the representation; one that is not there is 4.06."""
        bodies = {}
        for form in (0, 41, 50, 60):
            answer = self.answerTo(Code.GET, "multi-format", accept=form)
            self.assertEqual((answer.code, answer.options.contentFormat), (Code.CONTENT, form))
            bodies[answer.payload] = form
        self.assertEqual(len(bodies), 4)
        self.assertEqual(self.answerTo(Code.GET, "multi-format", accept=42).code, Code.NOT_ACCEPTABLE)
        self.assertEqual(self.answerTo(Code.GET, "multi-format").options.contentFormat, 0)

    def test_CORE_21(self) -> None:
        """GET tells an ETag; with it, 2.03 without body; once changed, 2.05 with another ETag."""
        first = self.answerTo(Code.GET, "validate")
        (tag,) = first.options.etag
        self.assertEqual(first.code, Code.CONTENT)
        self.assertTrue(first.payload)
        valid = self.answerTo(Code.GET, "validate", etag=(tag,))
        self.assertEqual((valid.code, valid.options.etag, valid.payload), (Code.VALID, (tag,), b""))
        changed = self.answerTo(Code.GET, "validate", etag=(tag,))
        self.assertEqual(changed.code, Code.CONTENT)
        self.assertNotEqual(changed.options.etag, (tag,))
        self.assertTrue(changed.payload)

    def test_CORE_21_changedByPUT(self) -> None:
        """The change may also be another client's PUT."""
        (tag,) = self.answerTo(Code.GET, "validate").options.etag
        self.answerTo(Code.PUT, "validate", b"new", contentFormat=0)
        changed = self.answerTo(Code.GET, "validate", etag=(tag,))
        self.assertEqual((changed.code, changed.payload), (Code.CONTENT, b"new"))
        self.assertNotEqual(changed.options.etag, (tag,))

    def test_CORE_22(self) -> None:
        """PUT with If-Match: 2.04 with the ETag of now, 4.12 once another client has put without."""
        (tag,) = self.answerTo(Code.GET, "validate").options.etag
        answer = self.answerTo(Code.PUT, "validate", b"one", contentFormat=0, ifMatch=(tag,))
        self.assertEqual(answer.code, Code.CHANGED)
        second = self.answerTo(Code.GET, "validate")
        self.assertEqual(second.payload, b"one")
        self.assertNotEqual(second.options.etag, (tag,))
        self.assertEqual(self.answerTo(Code.PUT, "validate", b"two", contentFormat=0).code, Code.CHANGED)
        answer = self.answerTo(Code.PUT, "validate", b"x", contentFormat=0, ifMatch=second.options.etag)
        self.assertEqual(answer.code, Code.PRECONDITION_FAILED)
        self.assertEqual(self.answerTo(Code.GET, "validate").payload, b"two")

    def test_CORE_23(self) -> None:
        """PUT with If-None-Match: 2.01 the first time, 4.12 the second; and so in the next test again."""
        for path in ("create1", "create1", "create2", "create3"):
            self.assertEqual(self.answerTo(Code.GET, path).code, Code.NOT_FOUND)
            how: dict[str, Any] = {"contentFormat": 0, "ifNoneMatch": True}
            self.assertEqual(self.answerTo(Code.PUT, path, b"x", **how).code, Code.CREATED)
            got = self.answerTo(Code.GET, path)
            self.assertEqual((got.code, got.options.contentFormat, got.payload), (Code.CONTENT, 0, b"x"))
            self.assertEqual(self.answerTo(Code.PUT, path, b"y", **how).code, Code.PRECONDITION_FAILED)

    def test_CORE_23_rest(self) -> None:
        """Without Content-Format 4.00; PUT once more 2.04; DELETE ends it; links name it while it exists."""
        self.assertEqual(self.answerTo(Code.PUT, "create1", b"x").code, Code.BAD_REQUEST)
        self.assertNotIn(b"create1", self.answerTo(Code.GET, ".well-known/core").payload)
        self.assertEqual(self.answerTo(Code.PUT, "create1", b"x", contentFormat=50).code, Code.CREATED)
        self.assertIn(b"</create1>;ct=50", self.answerTo(Code.GET, ".well-known/core").payload)
        self.assertEqual(self.answerTo(Code.PUT, "create1", b"y", contentFormat=0).code, Code.CHANGED)
        self.assertEqual(self.answerTo(Code.DELETE, "create1").code, Code.DELETED)
        self.assertEqual(self.answerTo(Code.GET, "create1").code, Code.NOT_FOUND)
        self.assertNotIn(b"create1", self.answerTo(Code.GET, ".well-known/core").payload)

    def test_CORE_31(self) -> None:
        """CoAP ping: an empty CON of four bytes, answered by a Reset of four bytes with its ID."""
        self.peer.sendEmpty(CON, 0x1234)
        self.assertEqual(self.wire.sent[-1][2], b"\x70\x00\x12\x34")
        answer = self.peer.takeOne()
        self.assertEqual((answer.type, answer.code, answer.messageID), (RST, Code.EMPTY, 0x1234))


class LossyTests(PlugtestCase):
    """TD_COAP_CORE_15 and 16: over a link that loses the datagram that it is told to."""

    def losing(self, number: int, path: str) -> list[tuple[bool, Datagram]]:
        """
        Ask, on a link that loses the datagram of this number; the whole traffic: (from the client?, message).
        """
        self.wire.sent.clear()
        self.wire.loses = lambda *_: len(self.wire.sent) == number + 1
        agent = Agent(self.reactor, chance=Random(2))
        waiting = agent.get(f"coap://192.0.2.1/{path}")
        self.reactor.elapse(15)
        response = self.successResultOf(waiting)
        self.assertEqual((response.code, response.contentFormat), (Code.CONTENT, 0))
        self.assertForgets()
        self.successResultOf(agent.close())
        return [(whereto == SERVER, decode(data)) for _, whereto, data in self.wire.sent]

    def kinds(self, traffic: list[tuple[bool, Datagram]]) -> list[str]:
        """The traffic in a few words."""
        return [
            ("> " if isFromClient else "< ") + f"{message.type.name} {message.code.dotted}"
            for isFromClient, message in traffic
        ]

    def test_CORE_15(self) -> None:
        """Piggybacked: the request, or the response, is lost; both are sent again, the same."""
        request, response = "> CON 0.01", "< ACK 2.05"
        traffic = self.losing(0, "test")
        self.assertEqual(self.kinds(traffic), [request, request, response])
        self.assertEqual(traffic[0], traffic[1])
        traffic = self.losing(1, "test")
        self.assertEqual(self.kinds(traffic), [request, response, request, response])
        self.assertEqual((traffic[0], traffic[1]), (traffic[2], traffic[3]))

    def test_CORE_16(self) -> None:
        """
        Separate: each of the four messages is lost in turn. Where the first acknowledgement is, the
        response stands for it: the request is not sent again.
        """
        request, empty, response, last = "> CON 0.01", "< ACK 0.00", "< CON 2.05", "> ACK 0.00"
        self.assertEqual(self.kinds(self.losing(0, "separate")), [request, request, empty, response, last])
        self.assertEqual(self.kinds(self.losing(1, "separate")), [request, empty, response, last])
        traffic = self.losing(2, "separate")
        self.assertEqual(self.kinds(traffic), [request, empty, response, response, last])
        self.assertEqual(traffic[2], traffic[3])
        traffic = self.losing(3, "separate")
        self.assertEqual(self.kinds(traffic), [request, empty, response, last, response, last])
        self.assertEqual((traffic[2], traffic[3]), (traffic[4], traffic[5]))


class LinkTests(PlugtestCase):
    """TD_COAP_LINK."""

    def links(self, *queries: str) -> dict[str, Link]:
        """The links that C{/.well-known/core} gives for a query, by target."""
        answer = self.answerTo(Code.GET, ".well-known/core", uriQuery=queries)
        self.assertEqual((answer.code, answer.options.contentFormat), (Code.CONTENT, 40))
        return {link.target: link for link in parse(answer.payload.decode())}

    def test_LINK_01(self) -> None:
        """All links: those of the table, but what does not exist yet."""
        expected = (
            "/test /seg1 /seg1/seg2 /seg1/seg2/seg3 /query /separate /location-query /multi-format "
            "/validate /large /large-update /large-separate /large-create /large-post /path /path/sub1 "
            "/path/sub2 /path/sub3 /link1 /link2 /link3 /obs /obs-non /obs-large /obs-pumping "
            "/obs-pumping-non /obs-reset"
        )
        self.assertEqual(set(self.links()), set(expected.split()))

    def test_LINK_02(self) -> None:
        """C{rt=Type1}."""
        self.assertEqual(set(self.links("rt=Type1")), {"/link1", "/link3"})

    def test_LINK_03(self) -> None:
        """C{rt=*}: the links that have the attribute at all, and there are others."""
        found = self.links("rt=*")
        observed = {"/obs", "/obs-non", "/obs-large", "/obs-pumping", "/obs-pumping-non"}
        self.assertEqual(set(found), {"/query", "/link1", "/link2", "/link3"} | observed)
        self.assertTrue(all(link.get("rt") is not None for link in found.values()))
        self.assertGreater(len(self.links()), len(found))

    def test_LINK_04(self) -> None:
        """C{rt=Type2}: one word of several; an empty C{rt} does not match."""
        self.assertEqual(set(self.links("rt=Type2")), {"/link1", "/link2"})
        self.assertEqual(self.links()["/query"].get("rt"), "")

    def test_LINK_05(self) -> None:
        """C{if=If*}: what begins so; there is one with another C{if}, and some without."""
        self.assertEqual(set(self.links("if=If*")), {"/link1", "/link2"})
        self.assertEqual(self.links()["/link3"].get("if"), "foo")
        self.assertIsNone(self.links()["/test"].get("if"))

    def test_LINK_06(self) -> None:
        """C{sz=*}; the size is true."""
        found = self.links("sz=*")
        self.assertEqual(
            {target: link.sz for target, link in found.items()}, {"/large": 1280, "/large-update": 1280}
        )

    def test_LINK_07(self) -> None:
        """C{href=/link1}: exactly that."""
        self.assertEqual(set(self.links("href=/link1")), {"/link1"})

    def test_LINK_08(self) -> None:
        """C{href=/link*}."""
        self.assertEqual(set(self.links("href=/link*")), {"/link1", "/link2", "/link3"})

    def test_LINK_09(self) -> None:
        """C{ct=40} leads to a list of links, which leads on."""
        self.assertEqual(set(self.links("ct=40")), {"/path"})
        answer = self.answerTo(Code.GET, "path")
        self.assertEqual((answer.code, answer.options.contentFormat), (Code.CONTENT, 40))
        targets = [link.target for link in parse(answer.payload.decode())]
        self.assertEqual(targets, ["/path/sub1", "/path/sub2", "/path/sub3"])
        for target in targets:
            answer = self.answerTo(Code.GET, target[1:])
            self.assertEqual((answer.code, answer.payload.decode()), (Code.CONTENT, target))


class StoreTests(PlugtestCase):
    """C{/large-update}, as far as it is needed here."""

    def test_keeps(self) -> None:
        """It keeps body and format; another format is 4.06, a body without format 4.00."""
        self.assertEqual(self.answerTo(Code.GET, "large-update").payload, b"")
        self.assertEqual(self.answerTo(Code.PUT, "large-update", b"x").code, Code.BAD_REQUEST)
        self.assertEqual(self.answerTo(Code.PUT, "large-update", b"{}", contentFormat=50).code, Code.CHANGED)
        answer = self.answerTo(Code.GET, "large-update", accept=50)
        self.assertEqual((answer.options.contentFormat, answer.payload), (50, b"{}"))
        self.assertEqual(self.answerTo(Code.GET, "large-update", accept=0).code, Code.NOT_ACCEPTABLE)
