"""Other implementations' clients observing our server (RFC 7641)."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from txcoap import Site
from txcoap.closing import windDown
from txcoap.transports import udp

from .child import Child
from .peers import CLIENTS, LOOPBACK4, Answer, Query, baseURI, environment, readLines, readMessages
from .tree import Observed, large, makeTree


class ObservedCase(TestCase):
    """Our server, and a peer's client that observes C{/obs}."""

    peer = ""
    timeout = 60

    async def observe(self, **how: Any) -> None:
        """Start both; the first state has been heard."""
        from twisted.internet import reactor

        tree = makeTree(reactor)
        observed: Any = tree.children["obs"]
        self.observed: Observed = observed
        self.observed.state = how.pop("state", b"first")
        protocol = Site(tree).buildProtocol(reactor)
        self.protocol: Any = protocol
        port = udp.listenUDP(reactor, 0, protocol, LOOPBACK4)
        self.addCleanup(port.stopListening)
        base = baseURI(LOOPBACK4, port.getHost().port)  # type: ignore[attr-defined]
        query = Query("GET", f"{base}/obs", linger=True, **how)
        self.client = Child.start(self, CLIENTS[self.peer](query), environment())
        await self.hear(1)

    def heard(self) -> list[Answer]:
        """The responses that the client has told of so far."""
        output = self.client.output + self.client.errors
        text = output.decode("utf-8", "replace")
        if self.peer == "libcoap":
            return readMessages(text)
        return readLines(self.client.output.rpartition(b"\n")[0].decode())

    async def hear(self, count: int) -> None:
        """Wait until there are so many."""
        await self.client.until(lambda: len(self.heard()) >= count, 15)
        self.assertGreaterEqual(len(self.heard()), count, self.client.describe())

    async def tell(self, *states: bytes) -> None:
        """Have one state after the other, each when the client has heard the one before."""
        for state in states:
            count = len(self.heard())
            self.observed.change(state)
            await self.hear(count + 1)

    async def assertLeft(self, timeout: float = 5.0) -> None:
        """Soon nobody observes any more."""
        from twisted.internet import reactor

        end = reactor.seconds() + timeout
        while self.protocol.sizes()["observers"] and reactor.seconds() < end:
            await deferLater(reactor, 0.02, lambda: None)
        self.assertEqual(self.observed.observerCount, 0)
        self.assertEqual(self.protocol.sizes()["observers"], 0)

    def assertHeard(self, *states: bytes) -> None:
        """The client heard these, in order, each with a greater number (RFC 7641 3.4)."""
        answers = self.heard()
        self.assertEqual([each.payload for each in answers], list(states))
        self.assertEqual({each.code for each in answers}, {"2.05"})
        numbers = [int(each.get("Observe")[0]) for each in answers]
        self.assertEqual(numbers, sorted(set(numbers)))


class Observing:
    """What holds of every client."""

    rejectsNonConfirmable = True

    async def test_confirmable(self: Any) -> None:
        """Each state is heard."""
        await self.observe(observe=self.until(4, seconds=2))
        await self.tell(b"second", b"third", b"fourth")
        self.assertHeard(b"first", b"second", b"third", b"fourth")
        self.assertEqual(self.heard()[1].type, self.notification)
        await self.end()
        await self.assertLeft()

    async def test_nonConfirmable(self: Any) -> None:
        """
        Each state is heard, if they do not come faster than they may (RFC 7641 4.5.1); else the newest.
        """
        await self.observe(observe=self.until(3, seconds=5), confirmable=False)
        await self.tell(b"second")
        self.observed.change(b"overtaken")
        await self.tell(b"third")
        self.assertHeard(b"first", b"second", b"third")
        self.assertEqual({each.type for each in self.heard()}, {"NON"})
        await (self.end() if self.rejectsNonConfirmable else self.kill())
        await self.assertLeft()

    async def test_gone(self: Any) -> None:
        """The resource is gone: the client is told an error, and is no observer any more."""
        await self.observe(observe=self.until(4, seconds=2))
        await self.tell(b"second")
        self.observed.dismissObservers()
        self.assertEqual(self.observed.observerCount, 0)
        if self.peer == "libcoap":
            await self.hear(3)
            self.assertEqual((self.heard()[2].code, self.heard()[2].get("Observe")), ("4.04", []))
        await self.assertLeft()

    async def test_stopping(self: Any) -> None:
        """The server stops: the client is told, and confirms that it heard."""
        await self.observe(observe=self.until(4, seconds=2))
        await self.tell(b"second")
        await windDown(self.protocol, 10)
        self.assertEqual((self.observed.observerCount, self.protocol.sizes()["observers"]), (0, 0))
        self.assertEqual(self.protocol.counters.timeouts, 0)
        if self.peer == "libcoap":
            await self.hear(3)
            self.assertEqual((self.heard()[2].code, self.heard()[2].get("Observe")), ("5.03", []))

    async def test_killed(self: Any) -> None:
        """The client's process is killed: the next notification finds that out."""
        await self.observe(observe=self.until(100, seconds=30))
        await self.tell(b"second")
        await self.kill()
        await self.assertLeft()

    async def kill(self: Any) -> None:
        """The client is no more when there is news."""
        self.client.transport.signalProcess("KILL")
        await self.client.until(lambda: False, 5)
        self.assertEqual(self.observed.observerCount, 1)
        self.observed.change(b"unheard")

    def until(self, count: int, seconds: int) -> int:
        """When the client is to end: after so many states, or with libcoap after so many seconds."""
        return count

    async def end(self: Any) -> None:
        """The client forgets the observation: it rejects the next notification, or the one after it."""
        from twisted.internet import reactor

        self.assertEqual(self.observed.observerCount, 1)
        for _ in range(20):
            if self.observed.observerCount:
                self.observed.change(b"unheard")
                await deferLater(reactor, 0.25, lambda: None)
        self.assertIsNone(self.client.status)


class LibcoapTests(Observing, ObservedCase):
    """libcoap's client observes."""

    peer = "libcoap"
    notification = "CON"

    def until(self, count: int, seconds: int) -> int:
        """It counts seconds."""
        return seconds

    async def end(self) -> None:
        """It deregisters (RFC 7641 3.6)."""

    async def test_large(self) -> None:
        """A notification carries the first block, the client fetches the others (RFC 7959 2.6)."""
        # Of what it can log plainly.
        first, second = b"0123456789" * 300, b"abcdef" * 400
        await self.observe(observe=2, state=first)
        await self.hear(3)
        self.observed.change(second)
        await self.hear(6)
        answers = self.heard()
        for parts, body in ((answers[:3], first), (answers[3:6], second)):
            self.assertEqual([len(each.get("Observe")) for each in parts], [1, 0, 0])
            self.assertEqual(len({each.get("ETag")[0] for each in parts}), 1)
            self.assertEqual(b"".join(each.payload for each in parts), body)
        await self.assertLeft()


class AiocoapTests(Observing, ObservedCase):
    """aiocoap's client observes. It leaves non-confirmable notifications that it does not know unanswered."""

    peer = "aiocoap"
    notification = "CON"
    rejectsNonConfirmable = False

    async def test_large(self) -> None:
        """It gives its user whole states, of several blocks each."""
        await self.observe(observe=3, state=large(3000))
        await self.tell(large(2500)[::-1], b"small")
        self.assertHeard(large(3000), large(2500)[::-1], b"small")


class NodeCoapTests(Observing, ObservedCase):
    """
    node-coap's client observes. Of a state of several blocks it takes the first only, as an answer, and
    does not observe then.
    """

    peer = "node-coap"
    # It tells of each message as of an acknowledgement.
    notification = "ACK"
