"""Other implementations' clients against our server."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from txcoap import Site
from txcoap.transports import udp

from .child import Child
from .peers import (
    LOOPBACK4,
    LOOPBACK6,
    Answer,
    Pinger,
    Query,
    ask,
    baseURI,
    environment,
    libcoapCommand,
    ping,
)
from .tree import HELLO, METHODS, makeTree

#: Numbers of options (RFC 7252 5.10).
IF_MATCH = 1
ETAG = 4
IF_NONE_MATCH = 5
CONTENT_FORMAT = 12
ACCEPT = 17

#: What RFC 7252 5.8 and RFC 8132 call the success of each method.
SUCCESS = ["2.05", "2.04", "2.04", "2.02", "2.05", "2.04", "2.04"]


class ServingCase(TestCase):
    """A test with our server, whose resources L{tests.interop.tree} lists."""

    peer = ""
    timeout = 60

    async def serve(self, host: str = LOOPBACK4) -> str:
        """Start the server; its URI."""
        from twisted.internet import reactor

        protocol = Site(makeTree(reactor)).buildProtocol(reactor)
        port = udp.listenUDP(reactor, 0, protocol, host)
        self.addCleanup(port.stopListening)
        return baseURI(host, port.getHost().port)  # type: ignore[attr-defined]

    async def ask(self, methods: str, uri: str, **how: Any) -> list[Answer]:
        """What the peer's client is answered."""
        return await ask(self, self.peer, Query(methods, uri, **how))

    async def codes(self, methods: str, uri: str, **how: Any) -> list[str]:
        """The codes that the peer's client is answered with."""
        return [answer.code for answer in await self.ask(methods, uri, **how)]


class Client:
    """What holds of every client."""

    async def test_methods(self: Any) -> None:
        """Each method gets its response, confirmable or not; the body of a DELETE is ignored (5.5)."""
        base = await self.serve()
        body = b"body '\\\x00\xff"
        for confirmable, kind in ((True, "ACK"), (False, "NON")):
            answers = await self.ask(
                ",".join(METHODS[1:]),
                f"{base}/echo",
                payload=body,
                options=[(CONTENT_FORMAT, b"\x2a")],
                confirmable=confirmable,
            )
            self.assertEqual([each.code for each in answers], SUCCESS[1:])
            bodies = [b"" if method == "DELETE" else body for method in METHODS[1:]]
            self.assertEqual(
                [(each.type, each.payload) for each in answers], [(kind, each) for each in bodies]
            )
            formats = {tuple(each.get("Content-Format")) for each in answers}
            self.assertEqual(formats, {("application/octet-stream",)})
            [answer] = await self.ask("GET", f"{base}/hello", confirmable=confirmable)
            self.assertEqual((answer.code, answer.type, answer.payload), ("2.05", kind, HELLO))
            self.assertEqual(answer.get("Max-Age"), ["30"])

    async def test_types(self: Any) -> None:
        """Our server sees the type of message that the client sent."""
        base = await self.serve()
        for confirmable, word in ((True, "CON"), (False, "NON")):
            answers = await self.ask(",".join(METHODS), f"{base}/method", confirmable=confirmable)
            seen = [each.payload.decode().rsplit(" ", 1)[0] for each in answers]
            self.assertEqual(seen, [f"{method} {word}" for method in METHODS])

    async def test_separate(self: Any) -> None:
        """A late response is taken, in a message of the request's type (RFC 7252 5.2.2, 5.2.3)."""
        base = await self.serve()
        for confirmable, word in ((True, "CON"), (False, "NON")):
            answers = await self.ask("GET,POST", f"{base}/delayed?250", confirmable=confirmable)
            self.assertEqual([each.payload for each in answers], [b"delayed GET", b"delayed POST"])
            self.assertEqual({each.type for each in answers}, {word})

    async def test_errors(self: Any) -> None:
        """Errors of the server and of its resources arrive as such (RFC 7252 5.9)."""
        base = await self.serve()
        for confirmable in (True, False):
            for methods, path, code in (
                ("GET,PUT", "nothing", "4.04"),
                ("GET", "hello/below", "4.04"),
                ("PUT,DELETE,iPATCH", "hello", "4.05"),
                ("GET", "code?4.29", "4.29"),
                ("GET", "code?5.03", "5.03"),
            ):
                codes = await self.codes(methods, f"{base}/{path}", confirmable=confirmable)
                self.assertEqual(set(codes), {code}, path)

    async def test_broken(self: Any) -> None:
        """A resource's failure is a bare 5.00: nothing of its reason reaches the peer."""
        base = await self.serve()
        [answer] = await self.ask("GET", f"{base}/broken")
        self.assertEqual((answer.code, answer.payload), ("5.00", b""))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    async def test_criticalOption(self: Any) -> None:
        """A critical option that we do not know is refused, an elective one not (RFC 7252 5.4.1)."""
        base = await self.serve()
        self.assertEqual(await self.codes("GET", f"{base}/hello", options=[(65001, b"x")]), ["4.02"])
        self.assertEqual(await self.codes("GET", f"{base}/hello", options=[(65002, b"x")]), ["2.05"])

    async def test_addresses(self: Any) -> None:
        """IPv6 is as good as IPv4."""
        base = await self.serve(LOOPBACK6)
        for confirmable in (True, False):
            [answer] = await self.ask("GET", f"{base}/hello", confirmable=confirmable)
            self.assertEqual(answer.payload, HELLO)
        [answer] = await self.ask("GET", f"{base}/delayed?250")
        self.assertEqual((answer.type, answer.payload), ("CON", b"delayed GET"))

    async def test_dualStack(self: Any) -> None:
        """A server of all addresses answers from the one that was asked."""
        base = await self.serve("::")
        port = base.rsplit(":", 1)[1]
        for host in (LOOPBACK4, LOOPBACK6):
            [answer] = await self.ask("GET", f"{baseURI(host, int(port))}/hello")
            self.assertEqual(answer.payload, HELLO)

    async def test_discovery(self: Any) -> None:
        """The links of our resources are there, and filtered (RFC 6690 4.1)."""
        base = await self.serve()
        [answer] = await self.ask("GET", f"{base}/.well-known/core")
        self.assertEqual(answer.get("Content-Format"), ["application/link-format"])
        links = answer.payload.decode("utf-8").split(",")
        self.assertIn('</hello>;rt="greeting";title="A greeting"', links)
        self.assertIn("</caf%C3%A9/a%20b>", links)
        [answer] = await self.ask("GET", f"{base}/.well-known/core?rt=greet*")
        self.assertEqual(answer.payload.decode().count("<"), 1)

    async def test_pathAndQuery(self: Any) -> None:
        """What is percent-encoded in a URI reaches the resource decoded (RFC 7252 6.4)."""
        base = await self.serve()
        [answer] = await self.ask("GET", f"{base}/caf%C3%A9/a%20b")
        self.assertEqual((answer.code, answer.payload), ("2.05", b"found"))
        [answer] = await self.ask("GET", f"{base}/query?a=1&b=%C3%BC&c")
        self.assertEqual(answer.payload.decode("utf-8"), "a=1\nb=ü\nc")

    async def test_validation(self: Any) -> None:
        """Who has a representation is told that it is valid (RFC 7252 5.10.6)."""
        base = await self.serve()
        [answer] = await self.ask("GET", f"{base}/hello", options=[(ETAG, b"hello")])
        self.assertEqual((answer.code, answer.payload), ("2.03", b""))
        [answer] = await self.ask("GET", f"{base}/hello", options=[(ETAG, b"other")])
        self.assertEqual((answer.code, answer.payload), ("2.05", HELLO))

    async def test_preconditions(self: Any) -> None:
        """If-Match and If-None-Match decide whether something is changed (RFC 7252 5.10.8)."""
        base = await self.serve()
        uri = f"{base}/store"
        new = [(IF_NONE_MATCH, b"")]
        self.assertEqual(await self.codes("PUT,PUT", uri, payload=b"one", options=new), ["2.01", "4.12"])
        other = [(IF_MATCH, b"\x01\x02")]
        self.assertEqual(await self.codes("PUT", uri, payload=b"two", options=other), ["4.12"])
        self.assertEqual(await self.codes("PUT", uri, payload=b"two"), ["2.04"])
        [answer] = await self.ask("GET", uri)
        self.assertEqual(answer.payload, b"two")
        self.assertEqual(await self.codes("DELETE,GET", uri), ["2.02", "4.04"])

    async def test_location(self: Any) -> None:
        """The client learns where what it created is (RFC 7252 5.10.7)."""
        base = await self.serve()
        [answer] = await self.ask("POST", f"{base}/created")
        self.assertEqual(answer.code, "2.01")
        self.checkLocation(answer)

    def checkLocation(self: Any, answer: Answer) -> None:
        """All segments and arguments are there."""
        self.assertEqual(answer.get("Location-Path"), ["made", "1 2"])
        self.assertEqual(answer.get("Location-Query"), ["a=b", "c"])

    async def test_observeIgnored(self: Any) -> None:
        """Observe on a resource that cannot be observed is a plain GET (RFC 7641 4.1)."""
        base = await self.serve()
        [answer] = await self.ask("GET", f"{base}/hello", observe=1)
        self.assertEqual((answer.code, answer.payload), ("2.05", HELLO))
        self.assertEqual(answer.get("Observe"), [])


class LibcoapTests(Client, ServingCase):
    """libcoap's client and our server."""

    peer = "libcoap"

    async def test_tokens(self) -> None:
        """A token of the client's choice comes back."""
        base = await self.serve()
        command = libcoapCommand("coap-client-notls")
        for token in ("a", "cafe", "12345678"):
            child = await Child.run(self, [*command, "-B", "5", "-T", token, f"{base}/method"], environment())
            self.assertEqual(child.output.decode().strip(), f"GET CON {len(token)}")

    async def test_keepAlive(self) -> None:
        """Our server answers the pings by which libcoap keeps a session alive (RFC 7252 4.3)."""
        base = await self.serve()
        command = [*libcoapCommand("coap-client-notls"), "-K", "1", "-B", "5", "-v", "7"]
        child = await Child.run(self, [*command, f"{base}/delayed?2500"], environment())
        said = (child.output + child.errors).decode()
        self.assertIn("delayed GET", said)
        self.assertRegex(said, r"t:CON c:0\.00 i:(\w+) .*\n(?:.*\n)*?.*t:RST c:0\.00 i:\1 ")

    async def test_lossy(self) -> None:
        """What the client loses and repeats is carried out once (RFC 7252 4.5)."""
        base = await self.serve()
        command = [*libcoapCommand("coap-client-notls"), "-B", "15", "-m", "post"]
        # The first datagram that it sends is lost on the way, so that it is repeated once.
        lossy = await Child.run(self, [*command, "-l", "1", f"{base}/count"], environment())
        self.assertEqual(lossy.output.strip(), b"1")
        child = await Child.run(self, [*command, f"{base}/count"], environment())
        self.assertEqual(child.output.strip(), b"2")


class ScriptedClient(Client):
    """What holds of the clients that ask several things at once."""

    async def test_concurrent(self: Any) -> None:
        """Of many requests at once each is carried out once, and answered."""
        base = await self.serve()
        answers = await self.ask("POST", f"{base}/count", repeat=30)
        self.assertEqual(sorted(int(each.payload) for each in answers), list(range(1, 31)))

    async def test_concurrentSeparate(self: Any) -> None:
        """The same where the answers come late, in an order of their own."""
        base = await self.serve()
        answers = await self.ask("GET", f"{base}/delayed?100", repeat=6)
        self.assertEqual([each.payload for each in answers], [b"delayed GET"] * 6)


class AiocoapTests(ScriptedClient, ServingCase):
    """aiocoap's client and our server."""

    peer = "aiocoap"


class NodeCoapTests(ScriptedClient, ServingCase):
    """node-coap's client and our server."""

    peer = "node-coap"


class SocketTests(ServingCase):
    """A bare socket and our server."""

    async def test_ping(self) -> None:
        """A ping is answered with a Reset of the same ID (RFC 7252 4.3)."""
        for host in (LOOPBACK4, LOOPBACK6):
            base = await self.serve(host)
            answer = await ping(host, int(base.rsplit(":", 1)[1]), timeout=5)
            self.assertEqual(answer, Pinger.RESET)


class CrowdTests(ServingCase):
    """All of them at once."""

    async def test_together(self) -> None:
        """Three implementations are served by one socket at the same time."""
        base = await self.serve()
        names = ("libcoap", "aiocoap", "node-coap")
        asked = [
            Deferred.fromCoroutine(ask(self, name, Query("GET,POST,GET", f"{base}/delayed?150")))
            for name in names
        ]
        for answers in await gatherResults(asked):
            payloads = [each.payload for each in answers]
            self.assertEqual(payloads, [b"delayed GET", b"delayed POST", b"delayed GET"])
