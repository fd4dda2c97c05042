"""Our client observing other implementations' servers (RFC 7641)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from txcoap import Agent, Code
from txcoap.errors import ObservationEnded
from txcoap.sansio.datagrams import ACK, RST, Datagram, decode

from .peers import startServer

#: Seconds in which a server that was told would have sent another notification.
QUIET = 2.5


class ObservingCase(TestCase):
    """A test with an agent of ours, and a server of another implementation for it alone."""

    peer = ""
    path = "obs"
    heedsCancellation = True
    timeout = 60

    async def begin(self) -> None:
        """Start the server."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.messages: list[tuple[str, Datagram]] = []
        self.agent = Agent(reactor, trace=lambda way, data, peer: self.messages.append((way, decode(data))))
        self.addCleanup(self.agent.close)
        self.base = await startServer(self, self.peer)

    async def observe(self, **how: Any) -> Any:
        """Observe what changes every second."""
        await self.begin()
        observation = await self.agent.observe(f"{self.base}/{self.path}", **how)
        self.assertTrue(observation.isEstablished)
        return observation

    async def following(self, observation: Any, count: int) -> list[Any]:
        """So many states that follow."""
        states = []
        async for state in observation:
            states.append(state)
            if len(states) == count:
                break
        return states

    def came(self) -> list[Datagram]:
        """The responses that came so far."""
        return [message for way, message in self.messages if way == "received" and message.code]

    async def assertQuiet(self) -> None:
        """The server sends nothing more, and we keep nothing."""
        before = len(self.came())
        await deferLater(self.reactor, QUIET, lambda: None)
        self.assertEqual(len(self.came()), before)

    async def checkStates(self, confirmable: bool) -> None:
        """States come, each different, with growing numbers; once cancelled, none."""
        observation = await self.observe(confirmable=confirmable)
        states = await self.following(observation, 3)
        self.assertEqual({each.code for each in states}, {Code.CONTENT})
        self.assertEqual(len({each.payload for each in states}), 3)
        numbers = [each.options.observe for each in states]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(len({each.token for each in self.came()}), 1)
        await observation.cancel()
        last = self.came()[-1]
        self.assertEqual((last.code, last.options.observe), (Code.CONTENT, None))
        if not self.heedsCancellation:
            await self.rejected()
        await self.assertQuiet()

    async def rejected(self) -> None:
        """Wait until we have rejected a notification."""
        while not any(message.type == RST for _, message in self.messages):
            await deferLater(self.reactor, 0.05, lambda: None)

    async def checkReset(self, **how: Any) -> None:
        """Cancelled lazily, the next notification is rejected with a Reset, and is the last."""
        observation = await self.observe(**how)
        await self.following(observation, 2)
        observation.cancel(lazily=True)
        await self.rejected()
        await self.assertQuiet()


class Serving:
    """What holds of every server."""

    async def test_confirmable(self: Any) -> None:
        """Asked for by a confirmable request, and ended by Observe=1 (RFC 7641 3.6)."""
        await self.checkStates(True)

    async def test_nonConfirmable(self: Any) -> None:
        """Asked for by a non-confirmable one."""
        await self.checkStates(False)

    async def test_reset(self: Any) -> None:
        """Ended by a Reset."""
        await self.checkReset()

    async def test_notObservable(self: Any) -> None:
        """What cannot be observed has one state, and the reason is told."""
        await self.begin()
        observation = await self.agent.observe(f"{self.base}/{self.plain}")
        states = [state async for state in observation]
        self.assertEqual([each.code for each in states], [Code.CONTENT])
        self.assertFalse(observation.isEstablished)
        self.assertIsInstance(observation.reason, ObservationEnded)


class LibcoapTests(Serving, ObservingCase):
    """libcoap's example server, whose C{/time} changes every second; and what is put there."""

    peer = "libcoap"
    path = "time"
    plain = ""

    async def test_large(self) -> None:
        """A state of many blocks comes whole, each time that it is put; its end is told."""
        await self.begin()
        uri = f"{self.base}/large"
        bodies = [letter * 5000 for letter in (b"a", b"b", b"c")]
        await self.agent.put(uri, bodies[0])
        observation = await self.agent.observe(uri)
        [state] = await self.following(observation, 1)
        self.assertEqual(state.payload, bodies[0])
        for body in bodies[1:]:
            await self.agent.put(uri, body)
            [state] = await self.following(observation, 1)
            self.assertEqual(state.payload, body)
        ended: Deferred[Any] = observation.notifyEnd()
        await self.agent.delete(uri)
        reason = await ended
        self.assertIsInstance(reason, ObservationEnded)
        self.assertEqual(reason.response.code, Code.NOT_FOUND)


class AiocoapTests(Serving, ObservingCase):
    """aiocoap, with C{/obs}."""

    peer = "aiocoap"
    plain = "hello"


class NodeCoapTests(Serving, ObservingCase):
    """node-coap, with C{/obs}. It does not end an observation for Observe=1, only for a Reset."""

    peer = "node-coap"
    heedsCancellation = False

    async def test_nonConfirmable(self) -> None:
        """
        To who asks non-confirmably it sends notifications as acknowledgements of nothing: these are ignored
        (RFC 7252 4.2), and the first state is all there is.
        """
        observation = await self.observe(confirmable=False)
        [state] = await self.following(observation, 1)
        self.assertTrue(state.payload.startswith(b"tick "))
        await deferLater(self.reactor, QUIET, lambda: None)
        self.assertGreater(len(self.came()), 1)
        self.assertEqual({each.type for each in self.came()[1:]}, {ACK})
        await observation.cancel()

    async def test_notObservable(self) -> None:
        """It takes each observation, also where nothing follows."""
        await self.begin()
        observation = await self.agent.observe(f"{self.base}/hello")
        self.assertTrue(observation.isEstablished)
        await observation.cancel()
