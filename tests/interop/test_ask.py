"""Our client against other implementations' servers."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from txcoap import Agent, Code, Options, Parameters
from txcoap.errors import MalformedResponse

from .peers import LOOPBACK4, LOOPBACK6, startServer
from .tree import HELLO, METHODS

#: Codes that a server may answer with, beside those of success.
ERRORS = [each.dotted for each in Code if each.isError]

#: What RFC 7252 5.8 and RFC 8132 call the success of a method other than 2.04.
SUCCESS = {"GET": "2.05", "FETCH": "2.05", "DELETE": "2.02"}


class AskingCase(TestCase):
    """A test with an agent of ours and a server of another implementation."""

    peer = ""
    timeout = 60

    def setUp(self) -> None:
        """Make the agent."""
        from twisted.internet import reactor

        self.agent = Agent(reactor)
        self.addCleanup(self.agent.close)

    async def serve(self, host: str = LOOPBACK4, *words: str) -> str:
        """Start the server, with some more arguments; its URI."""
        return await startServer(self, self.peer, host, words)

    async def code(self, method: str, uri: str, payload: bytes = b"", **how: Any) -> str:
        """The code of the response to a request."""
        response = await self.agent.request(method, uri, payload, **how)
        return str(response.code.dotted)

    async def checkTokens(self, uri: str) -> None:
        """A token of every length brings the response back (RFC 7252 5.3.1)."""
        for confirmable in (True, False):
            for length in range(9):
                token = bytes(range(length))
                response = await self.agent.get(uri, token=token, confirmable=confirmable)
                self.assertEqual(response.code, Code.CONTENT, f"token of {length} bytes")

    async def checkConcurrent(self, base: str, path: str, count: int) -> list[Any]:
        """Many requests at once, eight of them under way (RFC 7252 4.7)."""
        eight = Parameters(NSTART=8)
        return await gatherResults(
            [self.agent.post(f"{base}{path}", b"%d" % each, parameters=eight) for each in range(count)]
        )


class ScriptedServer:
    """
    What holds of the servers in C{scripts/}, which have the resources that L{tests.interop.tree}
    lists.
    """

    async def test_methods(self: Any) -> None:
        """Each method goes there and its response comes back, confirmable or not."""
        base = await self.serve()
        for confirmable in (True, False):
            for method in METHODS:
                payload = b"" if method in ("GET", "DELETE") else b"body \x00\xff"
                response = await self.agent.request(
                    method, f"{base}/echo", payload, contentFormat=42, confirmable=confirmable
                )
                self.assertEqual(response.code.dotted, SUCCESS.get(method, "2.04"), method)
                self.assertEqual(response.payload, payload, method)
                self.assertEqual(response.contentFormat, 42, method)

    async def test_types(self: Any) -> None:
        """The peer gets the type of message that was asked for, and the token (RFC 7252 3)."""
        base = await self.serve()
        for confirmable, word in ((True, "CON"), (False, "NON")):
            for length in range(9):
                response = await self.agent.get(
                    f"{base}/method", token=bytes(range(length)), confirmable=confirmable
                )
                self.assertEqual(response.text(), f"GET {word} {length}")

    async def test_separate(self: Any) -> None:
        """A late response comes apart, in a message of the request's type (RFC 7252 5.2.2, 5.2.3)."""
        base = await self.serve()
        for confirmable in (True, False):
            for method in ("GET", "POST"):
                response = await self.agent.request(method, f"{base}/delayed?250", confirmable=confirmable)
                self.assertEqual(response.text(), f"delayed {method}")
                self.assertEqual(response.isConfirmable, confirmable)

    async def test_errors(self: Any) -> None:
        """Every error code is a response like any other (RFC 7252 5.9)."""
        base = await self.serve()
        self.assertEqual(await self.code("GET", f"{base}/nothing"), "4.04")
        self.assertEqual(await self.code("PUT", f"{base}/hello", b"x"), "4.05")
        for confirmable in (True, False):
            for dotted in ERRORS:
                found = await self.code("GET", f"{base}/code?{dotted}", confirmable=confirmable)
                self.assertEqual(found, dotted)

    async def test_addresses(self: Any) -> None:
        """IPv6 is as good as IPv4."""
        base = await self.serve(LOOPBACK6)
        for confirmable in (True, False):
            response = await self.agent.get(f"{base}/hello", confirmable=confirmable)
            self.assertEqual((response.code, response.payload), (Code.CONTENT, HELLO))
        response = await self.agent.get(f"{base}/delayed?250")
        self.assertEqual(response.text(), "delayed GET")
        self.assertEqual(response.getPeerAddress().host, LOOPBACK6)

    async def test_name(self: Any) -> None:
        """A host's name is resolved and sent in Uri-Host (RFC 7252 6.4)."""
        base = await self.serve()
        response = await self.agent.get(base.replace(LOOPBACK4, "localhost") + "/hello")
        self.assertEqual(response.payload, HELLO)

    async def test_discover(self: Any) -> None:
        """The server's resources are found (RFC 6690)."""
        base = await self.serve()
        targets = {link.target for link in await self.agent.discover(base)}
        # aiocoap does not percent-encode them.
        self.assertLessEqual({"/hello", "/echo", "/store", "/obs", "/caf%C3%A9/a%20b"}, targets)

    async def test_pathAndQuery(self: Any) -> None:
        """What is percent-encoded in the URI is not in the options (RFC 7252 6.4)."""
        base = await self.serve()
        response = await self.agent.get(f"{base}/caf%C3%A9/a%20b")
        self.assertEqual(response.text(), "found")
        response = await self.agent.get(f"{base}/query?a=1&b=%26%3D&c=%C3%BC&d", params={"e": "&"})
        self.assertEqual(response.text(), "a=1\nb=&=\nc=ü\nd\ne=&")

    async def test_validation(self: Any) -> None:
        """Who has a representation is told that it is valid (RFC 7252 5.10.6)."""
        base = await self.serve()
        response = await self.agent.get(f"{base}/hello")
        self.assertEqual((response.etag, response.maxAge), (b"hello", 30))
        again = await self.agent.get(f"{base}/hello", etag=[b"other", response.etag])
        self.assertEqual((again.code, again.etag), (Code.VALID, b"hello"))

    async def test_preconditions(self: Any) -> None:
        """If-Match and If-None-Match decide whether something is changed (RFC 7252 5.10.8)."""
        base = await self.serve()
        uri = f"{base}/store"
        self.assertEqual(await self.code("GET", uri), "4.04")
        self.assertEqual(await self.code("PUT", uri, b"one", ifNoneMatch=True), "2.01")
        self.assertEqual(await self.code("PUT", uri, b"two", ifNoneMatch=True), "4.12")
        etag = (await self.agent.get(uri)).etag
        self.assertEqual(await self.code("PUT", uri, b"two", ifMatch=[b"other"]), "4.12")
        self.assertEqual(await self.code("PUT", uri, b"two", ifMatch=[b"other", etag]), "2.04")
        self.assertEqual((await self.agent.get(uri)).payload, b"two")
        self.assertEqual(await self.code("DELETE", uri), "2.02")
        self.assertEqual(await self.code("GET", uri), "4.04")

    async def test_location(self: Any) -> None:
        """What a POST created is where the response says (RFC 7252 5.10.7)."""
        base = await self.serve()
        response = await self.agent.post(f"{base}/created")
        self.assertEqual(response.code, Code.CREATED)
        self.assertEqual(response.options.locationPath, ("made", "1 2"))
        self.assertEqual(response.options.locationQuery, ("a=b", "c"))

    async def test_concurrent(self: Any) -> None:
        """Of many requests at once each gets its own response, and is carried out once."""
        base = await self.serve()
        responses = await self.checkConcurrent(base, "/echo", 64)
        self.assertEqual([int(each.payload) for each in responses], list(range(64)))
        counts = await self.checkConcurrent(base, "/count", 64)
        self.assertEqual(sorted(int(each.payload) for each in counts), list(range(1, 65)))


class AiocoapTests(ScriptedServer, AskingCase):
    """Our client and aiocoap's server."""

    peer = "aiocoap"

    async def test_ping(self) -> None:
        """A ping is answered (RFC 7252 4.3)."""
        base = await self.serve()
        await self.agent.ping(base, timeout=5)

    async def test_noResponse(self) -> None:
        """Where No-Response asks for silence there is none but the ACK (RFC 7967)."""
        base = await self.serve()
        for confirmable in (True, False):
            silent = await self.agent.post(f"{base}/count", noResponse=26, confirmable=confirmable, timeout=5)
            self.assertIdentical(silent, None)
        response = await self.agent.post(f"{base}/count")
        self.assertEqual(response.payload, b"3")

    async def test_noResponseToSuccess(self) -> None:
        """An error comes though success would be silent (RFC 7967 2.1)."""
        base = await self.serve()
        response = await self.agent.get(f"{base}/code?4.09", noResponse=2, timeout=5)
        self.assertEqual(response.code, Code.CONFLICT)


class NodeCoapTests(ScriptedServer, AskingCase):
    """Our client and node-coap's server, which answers a ping as if it were a request."""

    peer = "node-coap"


class LibcoapTests(AskingCase):
    """Our client and libcoap's example server."""

    peer = "libcoap"

    async def test_methods(self) -> None:
        """What a PUT creates is there for the other methods, confirmable or not."""
        base = await self.serve()
        for confirmable in (True, False):
            uri = f"{base}/made/here{confirmable}"
            steps = [
                ("GET", "4.04"),
                ("PUT", "2.01"),
                ("GET", "2.05"),
                ("PUT", "2.04"),
                ("POST", "2.04"),
                ("FETCH", "4.05"),
                ("PATCH", "4.05"),
                ("iPATCH", "4.05"),
                ("DELETE", "2.02"),
                ("GET", "4.04"),
            ]
            for method, dotted in steps:
                payload = b"" if method in ("GET", "DELETE") else b"value"
                found = await self.code(method, uri, payload, confirmable=confirmable)
                self.assertEqual(found, dotted, method)

    async def test_body(self) -> None:
        """Bytes of all values come back as they were sent."""
        base = await self.serve()
        body = bytes(range(256)) * 3
        self.assertEqual(await self.code("PUT", f"{base}/body", body, contentFormat=42), "2.01")
        response = await self.agent.get(f"{base}/body")
        self.assertEqual((response.payload, response.contentFormat), (body, 42))

    async def test_separate(self) -> None:
        """A late response comes apart, in a message of the request's type (RFC 7252 5.2.2, 5.2.3)."""
        base = await self.serve()
        both = [self.agent.get(f"{base}/async?1", confirmable=confirmable) for confirmable in (True, False)]
        for response, confirmable in zip(await gatherResults(both), (True, False), strict=True):
            self.assertEqual((response.text(), response.isConfirmable), ("done", confirmable))

    async def test_errors(self) -> None:
        """Errors are responses, with their diagnostic payload (RFC 7252 5.5.2)."""
        base = await self.serve()
        for confirmable in (True, False):
            response = await self.agent.get(f"{base}/nothing", confirmable=confirmable)
            self.assertEqual((response.code, response.text()), (Code.NOT_FOUND, "Not Found"))
            response = await self.agent.post(f"{base}/", b"x", confirmable=confirmable)
            self.assertEqual(response.code, Code.METHOD_NOT_ALLOWED)

    async def test_unknownOptions(self) -> None:
        """
        A critical option that the server does not know is refused, an elective one passed over (RFC
        7252 5.4.1). libcoap's 4.02 repeats the critical one, so that it has to be refused in turn.
        """
        base = await self.serve()
        with self.assertRaises(MalformedResponse):
            await self.agent.get(f"{base}/", options=Options.fromPairs([(65001, b"x")]))
        response = await self.agent.get(f"{base}/", options=Options.fromPairs([(65002, b"x")]))
        self.assertEqual(response.code, Code.CONTENT)

    async def test_ping(self) -> None:
        """A ping is answered (RFC 7252 4.3)."""
        for host in (LOOPBACK4, LOOPBACK6):
            await self.agent.ping(await self.serve(host), timeout=5)

    async def test_addresses(self) -> None:
        """IPv6 is as good as IPv4."""
        base = await self.serve(LOOPBACK6)
        for confirmable in (True, False):
            response = await self.agent.get(f"{base}/", confirmable=confirmable)
            self.assertEqual(response.code, Code.CONTENT)
            self.assertIn("libcoap", response.text())
        self.assertEqual((await self.agent.get(f"{base}/async?1")).text(), "done")

    async def test_discover(self) -> None:
        """The server's resources are found, and filtered by their attributes (RFC 6690 4.1)."""
        base = await self.serve()
        links = {link.target: link for link in await self.agent.discover(base)}
        self.assertLessEqual({"/", "/time", "/async"}, set(links))
        self.assertIn(("title", "Internal Clock"), links["/time"].attributes)
        ticking = await self.agent.discover(base, "rt=ticks")
        self.assertEqual([link.target for link in ticking], ["/time"])

    async def test_query(self) -> None:
        """The server reads Uri-Query: its clock gives ticks rather than a date."""
        base = await self.serve()
        ticks = (await self.agent.get(f"{base}/time?ticks")).text()
        self.assertTrue(ticks.isdigit(), ticks)
        date = (await self.agent.get(f"{base}/time")).text()
        self.assertIn(":", date)

    async def test_tokens(self) -> None:
        """Tokens of 0 to 8 bytes come back."""
        await self.checkTokens(f"{await self.serve()}/")

    async def test_concurrent(self) -> None:
        """Many requests at once all succeed."""
        base = await self.serve()
        await self.code("PUT", f"{base}/made")
        responses = await self.checkConcurrent(base, "/made", 64)
        self.assertEqual({each.code for each in responses}, {Code.CHANGED})

    async def test_lossy(self) -> None:
        """What is lost on the way back is asked for again (RFC 7252 4.2)."""
        base = await self.serve(LOOPBACK4, "-l", "30%")
        hasty = Parameters(ACK_TIMEOUT=0.1, MAX_RETRANSMIT=8, NSTART=8)
        uri = f"{base}/time?ticks"
        responses = await gatherResults([self.agent.get(uri, parameters=hasty) for _ in range(24)])
        self.assertEqual({each.code for each in responses}, {Code.CONTENT})
