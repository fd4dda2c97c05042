"""
Tests for L{txcoap.workers} with processes that are none; see L{tests.test_workers_processes} for real ones.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv6Address
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import (
    CannotListenError,
    ConnectionRefusedError,
    ProcessDone,
    ProcessExitedAlready,
    ProcessTerminated,
)
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.recorders import logged
from txcoap import workerprocess, workers
from txcoap.sansio.health import Health
from txcoap.tap import Options, makeService
from txcoap.transports import sockets
from txcoap.worker import Records
from txcoap.workers import Supervisor, sharedEndpoint

ROOT = Path(__file__).absolute().parent.parent


def withoutIPv6(openUDP: Callable[..., Any]) -> Callable[..., Any]:
    """As on a host that has no IPv6."""

    def opened(family: int, *args: Any, **how: Any) -> Any:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6")
        return openUDP(family, *args, **how)

    return opened


class Process:
    """A process that was asked for, as its supervisor's end of the pipes."""

    def __init__(self, protocol: Any, words: list[str], descriptors: dict[int, Any]) -> None:
        self.protocol = protocol
        self.words = words
        self.descriptors = descriptors
        self.told: list[str] = []
        self.signals: list[str] = []
        self.hasEnded = False

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        """What it is told."""
        self.told.append(data.decode().strip())

    def signalProcess(self, name: str) -> None:
        """A signal for it."""
        if self.hasEnded:
            raise ProcessExitedAlready
        self.signals.append(name)

    def option(self, name: str) -> str:
        """What one of its arguments says."""
        return self.words[self.words.index(f"--{name}") + 1]

    def report(self, what: str, value: Any = True) -> None:
        """It reports something."""
        self.protocol.childDataReceived(3, json.dumps({what: value}).encode() + b"\n")

    def end(self, status: int = 1) -> None:
        """It ends."""
        self.hasEnded = True
        self.protocol.processEnded(Failure(ProcessTerminated(status) if status else ProcessDone(0)))


class Processes(Clock):
    """A reactor whose processes do as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[Process] = []
        self.failure: OSError | None = None

    def spawnProcess(
        self, protocol: Any, executable: str, args: list[str], env: Any, path: str, childFDs: Any
    ) -> Any:
        """As C{IReactorProcess}."""
        if self.failure is not None:
            raise self.failure
        process = Process(protocol, args, childFDs)
        self.spawned.append(process)
        protocol.makeConnection(process)
        return process


class SupervisorTests(SynchronousTestCase):
    """Who is started when, and told what."""

    def setUp(self) -> None:
        """Two workers that serve."""
        self.ends: list[Any] = []
        self.patch(workers, "endWithFailure", self.ends.append)
        self.reactor = Processes()
        self.service = Supervisor(
            2,
            ["--resources", "mymod"],
            ["udp:0:interface=127.0.0.1"],
            self.reactor,
            grace=3,
            directory="/srv",
        )
        self.service.privilegedStartService()
        self.service.startService()
        self.addCleanup(self.finish)
        self.one, self.two = self.reactor.spawned

    def finish(self) -> None:
        """Leave nothing open."""
        if self.service.running:
            self.service.stopService()
        self.reactor.failure = None
        for process in self.reactor.spawned:
            if not process.hasEnded:
                process.end(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def serve(self) -> None:
        """Both serve."""
        self.one.report("serving")
        self.two.report("serving")

    def last(self) -> Process:
        """The one that was started last."""
        return self.reactor.spawned[-1]

    def test_started(self) -> None:
        """Each gets all sockets, and is told which are its own."""
        self.assertEqual([self.one.option("number"), self.two.option("number")], ["1", "2"])
        self.assertEqual([self.one.option("sockets"), self.two.option("sockets")], ["4", "5"])
        self.assertEqual(self.one.words[-2:], ["--resources", "mymod"])
        self.assertEqual(self.one.descriptors, self.two.descriptors)
        self.assertEqual({**self.one.descriptors, 4: 0, 5: 0}, {0: "w", 1: "r", 2: "r", 3: "r", 4: 0, 5: 0})

    def test_sharedPort(self) -> None:
        """Port 0 is the same for all."""
        ports = set()
        for place in (4, 5):
            with socket.socket(fileno=os.dup(self.one.descriptors[place])) as skt:
                ports.add(skt.getsockname()[1])
        self.assertEqual(ports, {self.service.getHosts()[0].port})  # type: ignore[attr-defined]

    def test_cannotStart(self) -> None:
        """One that ends before it ever served ends it all."""
        self.one.report("serving")
        self.two.end()
        self.assertEqual(self.ends, [self.reactor])
        (failure,) = self.flushLoggedErrors(RuntimeError)
        self.assertIn("worker 2 cannot start: exit status 1", str(failure.value))

    def test_noFirstProcess(self) -> None:
        """Where the first processes cannot be started, starting fails; those that run end."""
        reactor = Processes()
        service = Supervisor(2, [], ["udp:0:interface=127.0.0.1"], reactor)

        def spawnOne(*args: Any, **keywords: Any) -> Any:
            process = Processes.spawnProcess(reactor, *args, **keywords)
            reactor.failure = PermissionError("python")
            return process

        self.patch(reactor, "spawnProcess", spawnOne)
        error = self.assertRaises(PermissionError, service.startService)
        self.assertIn("python", str(error))
        (process,) = reactor.spawned
        self.assertEqual((process.signals, service.running), (["TERM"], 0))
        process.end(0)
        self.assertEqual((service.getHosts(), reactor.getDelayedCalls(), self.ends), ([], [], []))

    def test_startedAgain(self) -> None:
        """One that dies is started again at once, with the same sockets; nobody stands in."""
        self.serve()
        self.one.end()
        self.reactor.advance(0)
        self.assertEqual((len(self.reactor.spawned), self.last().option("sockets")), (3, "4"))
        self.assertEqual(self.two.told, [])

    def test_backOff(self) -> None:
        """After that it is waited for longer and longer, a minute at most."""
        self.serve()
        waits: list[float] = []
        for number in range(3, 13):
            process = [each for each in self.reactor.spawned if each.option("number") == "1"][-1]
            process.end()
            began = self.reactor.seconds()
            while len(self.reactor.spawned) < number:
                self.reactor.advance(0.5 if self.reactor.seconds() > began or waits else 0)
            waits.append(self.reactor.seconds() - began)
        self.assertEqual(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60])

    def test_livedLong(self) -> None:
        """One that served for a minute is started at once when it dies."""
        self.serve()
        for _ in range(3):
            self.reactor.advance(60)
            before = len(self.reactor.spawned)
            [each for each in self.reactor.spawned if each.option("number") == "1"][-1].end()
            self.reactor.advance(0)
            self.assertEqual(len(self.reactor.spawned), before + 1)
            self.last().report("serving")

    def test_standIn(self) -> None:
        """While one is waited for another reads its sockets, until it serves."""
        self.serve()
        self.one.end()
        self.reactor.advance(0)
        self.last().end()
        self.assertEqual(self.two.told, ["take 4"])
        self.reactor.advance(1)
        self.assertEqual(self.two.told, ["take 4"])
        self.last().report("serving")
        self.assertEqual(self.two.told, ["take 4", "leave 4"])

    def test_standInDies(self) -> None:
        """The one who stood in and is there again does so again."""
        self.test_backOffOnce()
        self.two.end()
        self.reactor.advance(0)
        self.assertEqual(self.last().option("number"), "2")
        self.last().report("serving")
        self.assertEqual(self.last().told, ["take 4"])

    def test_backOffOnce(self) -> None:
        """The wait follows from the deaths of each alone."""
        self.serve()
        self.one.end()
        self.reactor.advance(0)
        self.last().end()
        self.assertEqual(self.two.told, ["take 4"])

    def test_noProcess(self) -> None:
        """Where the system starts no process it is tried again."""
        self.serve()
        self.reactor.failure = OSError("no memory")
        self.one.end()
        self.reactor.advance(0)
        self.reactor.failure = None
        self.reactor.advance(1)
        self.assertEqual(len(self.reactor.spawned), 3)

    def test_stopped(self) -> None:
        """All get SIGTERM; when they are gone the ports are closed, and nothing starts again."""
        self.serve()
        host: Any = self.service.getHosts()[0]
        stopped = self.service.stopService()
        self.assertEqual([self.one.signals, self.two.signals], [["TERM"], ["TERM"]])
        self.one.end(0)
        self.assertNoResult(stopped)
        self.two.end(0)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual((len(self.reactor.spawned), self.reactor.getDelayedCalls()), (2, []))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as skt:
            skt.bind((host.host, host.port))

    def test_stoppedTwice(self) -> None:
        """Who stops it while it stops waits for the same end."""
        self.serve()
        stopping = [self.service.stopService(), self.service.stopService()]
        self.assertEqual(self.one.signals, ["TERM"])
        self.one.end(0)
        self.two.end(0)
        self.assertEqual([self.successResultOf(each) for each in stopping], [None, None])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_killed(self) -> None:
        """Who does not end is killed, 5 seconds after the grace."""
        self.serve()
        stopped = self.service.stopService()
        self.one.end(0)
        self.reactor.advance(7.9)
        self.assertEqual(self.two.signals, ["TERM"])
        self.reactor.advance(0.1)
        self.assertEqual(self.two.signals, ["TERM", "KILL"])
        self.two.end(9)
        self.successResultOf(stopped)

    def test_stoppedWhileAway(self) -> None:
        """One that is waited for is not started any more."""
        self.test_backOffOnce()
        stopped = self.service.stopService()
        self.two.end(0)
        self.successResultOf(stopped)
        self.assertEqual(len(self.reactor.spawned), 3)

    def test_restarted(self) -> None:
        """A service that was stopped can be started again."""
        self.test_stopped()
        self.service.startService()
        self.assertEqual(len(self.reactor.spawned), 4)

    def test_health(self) -> None:
        """The figures of those who answer in time."""
        self.serve()
        answer = self.service.health()
        self.assertEqual((self.one.told, self.two.told), (["health"], ["health"]))
        self.one.report("health", Health(sockets=3).toDict())
        self.assertNoResult(answer)
        self.reactor.advance(2)
        self.assertEqual(
            {name: each.sockets for name, each in self.successResultOf(answer).items()}, {"1": 3}
        )
        # The late one is for nobody, and not for who asks next.
        second = self.service.health()
        self.two.report("health", Health(sockets=1).toDict())
        self.one.report("health", Health(sockets=4).toDict())
        self.assertNoResult(second)
        self.two.report("health", Health(sockets=2).toDict())
        self.assertEqual([each.sockets for each in self.successResultOf(second).values()], [4, 2])

    def test_healthOfDead(self) -> None:
        """Who dies while asked is left out."""
        self.serve()
        answer = self.service.health()
        self.one.report("health", Health().toDict())
        self.two.end()
        figures: dict[str, Health] = self.successResultOf(answer)
        self.assertEqual(list(figures), ["1"])

    def test_nonsense(self) -> None:
        """What else comes by a worker's pipes is logged, and does no harm."""
        self.serve()
        for line in (b"", b"[]", b"{}", b'"x"', b'{"health": 3}', b'{"other": 1}', b"\xff", b"1"):
            self.one.protocol.childDataReceived(3, line + b"\n")
        for line in (b"\x1e", b"\x1e{}", b'\x1e{"log_level": 1}', b"\x1e\xff", b"plain", b"", b"\xff"):
            self.one.protocol.childDataReceived(1, line + b"\n")
        self.one.protocol.childDataReceived(2, b"Fatal Python error: Segmen")
        self.one.end()
        self.assertEqual(self.ends, [])

    def test_failureOfWorker(self) -> None:
        """The text of an error that a worker logged is logged with it here."""
        lines = StringIO()
        try:
            raise RuntimeError("scripted")
        except RuntimeError:
            Records(lines)(
                {
                    "log_level": LogLevel.critical,
                    "log_namespace": "x",
                    "log_format": "it failed",
                    "log_failure": Failure(),
                    "log_time": 1.0,
                }
            )
        events = logged(self)
        self.one.protocol.childDataReceived(1, lines.getvalue().encode())
        (event,) = events
        self.assertEqual((event["worker"], event["log_failure"].getErrorMessage()), (1, "scripted"))
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_longLine(self) -> None:
        """A line without end is not kept, but logged in pieces."""
        events = logged(self)
        self.patch(workerprocess, "LONGEST_LINE", 100)
        self.one.protocol.childDataReceived(1, b"x" * 101)
        self.assertEqual([len(each["line"]) for each in events], [101])

    def test_manyQuestions(self) -> None:
        """A worker that does not answer is not asked without end; it is left out of the figures."""
        self.serve()
        for _ in range(1000):
            answer = self.service.health()
        self.assertTrue(len(self.one.told) < 1000)
        self.assertEqual(self.successResultOf(answer), {})
        self.reactor.advance(2)

    def test_signalTooLate(self) -> None:
        """A worker that has just ended takes no signal, and that is no error."""
        self.serve()
        self.one.hasEnded = True
        stopped = self.service.stopService()
        self.one.protocol.processEnded(Failure(ProcessDone(0)))
        self.two.end(0)
        self.successResultOf(stopped)

    def test_ipv6(self) -> None:
        """The address is told as what it is."""
        service = Supervisor(1, [], ["udp:0:interface=\\:\\:1"], self.reactor)
        service.privilegedStartService()
        (host,) = service.getHosts()
        self.assertIsInstance(host, IPv6Address)
        self.successResultOf(service.stopService())


class SupervisedFiguresTests(TestCase):
    """The figures of all workers for Prometheus, by the supervisor."""

    def supervise(self, where: str) -> Supervisor:
        """A supervisor whose processes are none."""
        listen, processes = ["udp:0:interface=127.0.0.1"], Processes()
        # TCP needs the reactor that runs.
        endpoint = serverFromString(_reactor, where)
        return Supervisor(1, ["--path", "."], listen, processes, prometheus=endpoint)

    async def test_served(self) -> None:
        """They can be had as soon as it has started, and no more when it has stopped."""
        service = self.supervise("tcp:0:interface=127.0.0.1")
        service.startService()
        (process,) = service.reactor.spawned
        process.report("serving")
        web: Any = service._webPort
        uri = f"http://127.0.0.1:{web.getHost().port}/metrics"
        asking = treq.get(uri, persistent=False)
        while not process.told:
            await deferLater(_reactor, 0.01)
        process.report("health", Health(sockets=3).toDict())
        text = await (await asking).text()
        self.assertIn('worker="1"', text)
        stopped = service.stopService()
        process.end(0)
        await stopped
        with self.assertRaises(ConnectionRefusedError):
            await treq.get(uri, persistent=False)

    def test_refused(self) -> None:
        """Where their port is taken the service does not start, and keeps no port."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            service = self.supervise(f"tcp:{other.getsockname()[1]}:interface=127.0.0.1")
            self.assertRaises(CannotListenError, service.privilegedStartService)
        self.assertEqual(service.getHosts(), [])


class EndpointTests(SynchronousTestCase):
    """Where workers can listen."""

    def test_refused(self) -> None:
        """A single socket cannot be shared."""
        for description in ("unix:/run/x", "fd:3", "udp:5683:reuseaddr=1", "nonsense"):
            self.assertRaises(ValueError, sharedEndpoint, None, description)

    def test_inUse(self) -> None:
        """A port of somebody else is refused, even if that one shares it; unless that is asked for."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(("127.0.0.1", 0))
            where = f"udp:{other.getsockname()[1]}:interface=127.0.0.1"
            self.assertRaises(CannotListenError, sharedEndpoint(None, where).openShared, 2)
            opened = sharedEndpoint(None, f"{where}:reuseport=1").openShared(2)
            self.assertEqual({each.getsockname() for each in opened}, {other.getsockname()})
            for each in opened:
                each.close()

    def test_allAddresses(self) -> None:
        """Without an address it is all of IPv6 and IPv4; or of IPv4, where there is no IPv6."""
        for noIPv6, host in ((False, "::"), (True, "0.0.0.0")):
            if noIPv6:
                self.patch(sockets, "openUDP", withoutIPv6(sockets.openUDP))
            for each in sharedEndpoint(None, "udp:0").openShared(2):
                self.assertEqual(each.getsockname()[0], host)
                each.close()

    def test_portOfAnother(self) -> None:
        """A port that is taken is not looked for among the addresses of IPv4."""
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
            other.bind(("::", 0))
            endpoint = sharedEndpoint(None, f"udp:{other.getsockname()[1]}")
            self.assertEqual(self.assertRaises(CannotListenError, endpoint.openShared, 2).interface, "::")

    def test_staysNonBlocking(self) -> None:
        """Who adopts a socket does not make it blocking, not for a moment: another may be reading it."""
        (shared,) = sharedEndpoint(None, "udp:0:interface=127.0.0.1").openShared(1)
        with shared, sockets.duplicate(shared.fileno()):
            self.assertFalse(os.get_blocking(shared.fileno()))

    def test_options(self) -> None:
        """C{--workers} takes a number or auto, and makes a supervisor."""
        options = Options()
        options.parseOptions(["--resources", "no.such", "--workers", "3", "--listen", "udp:0"])
        service = makeService(options)
        assert isinstance(service, Supervisor)
        self.assertEqual(len(service._workers), 3)
        options = Options()
        options.parseOptions(["--path", ".", "--workers", "auto"])
        self.assertEqual(options["workers"], len(os.sched_getaffinity(0)))

    def test_optionMistakes(self) -> None:
        """What cannot be is refused."""
        for words in (
            ["0"],
            ["-1"],
            ["many"],
            ["1000000"],
            ["2", "--listen", "fd:3"],
            ["2", "--path", "/no/such"],
        ):
            given = ["--workers", *words]
            self.assertRaises(
                UsageError, Options().parseOptions, given if "--path" in given else ["--path", ".", *given]
            )
