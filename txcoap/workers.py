"""
L{Supervisor}: a server of several processes, the workers, which share their ports. It is what
C{twistd coap --workers} runs.

The supervisor opens a socket for each worker and each address, all with SO_REUSEPORT, so that the kernel
divides the peers among them; and keeps them. So what a worker reads is the same socket for as long as the
supervisor lives: when a worker dies, no peer moves to another, nothing that was sent in the meantime is
lost, and no privilege is needed to start it again. See L{txcoap.worker} for the other end.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.reactors import getReactorTypes
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString as streamServer
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server as http

from .addresses import addressOf, describeAddress
from .endpoints import UDPServerEndpoint, serverFromString
from .prometheus import PrometheusResource
from .sansio.health import Health
from .service import endWithFailure
from .workerprocess import FIRST_SOCKET, MARGIN, PIPES, WorkerProcess

__all__ = ["Supervisor", "sharedEndpoint"]

LONGEST_DELAY = 60.0
"""How long at most to wait before a worker is started again, in seconds; who lived so long begins anew."""

ANSWER_TIME = 2.0
"""Seconds within which a worker tells its figures."""


def sharedEndpoint(reactor: Any, description: str) -> UDPServerEndpoint:
    """
    Where several processes are to listen.

    @param description: As L{serverFromString} reads it.
    @raise ValueError: if it cannot be understood, or is nothing that the kernel divides peers at.
    """
    endpoint = serverFromString(reactor, description)
    if not isinstance(endpoint, UDPServerEndpoint):
        raise ValueError(f"workers cannot share {description!r}: give a UDP port, such as udp:5683")
    if endpoint.reuseaddr:
        raise ValueError(f"workers cannot share {description!r}: reuseaddr gives all peers to one of them")
    return endpoint


class _Worker:
    """
    One place for a worker: the processes that fill it follow one another.

    @ivar process: The one that runs, or None.
    @ivar delay: Seconds until the next is started, should this one die.
    @ivar isAway: Whether it is being waited for, so that another should read its sockets.
    @ivar standIn: The worker that reads its sockets meanwhile.
    """

    def __init__(self, number: int, descriptors: str) -> None:
        self.number = number
        self.descriptors = descriptors
        self.process: WorkerProcess | None = None
        self.delay = 0.0
        self.restart: IDelayedCall | None = None
        self.hasServed = False
        self.isAway = False
        self.standIn: _Worker | None = None

    @property
    def isServing(self) -> bool:
        return self.process is not None and self.process.servingSince is not None

    def tell(self, command: str) -> None:
        """Have the process do something; see L{txcoap.worker}."""
        if self.process is not None:
            self.process.tell(command)


class Supervisor(Service):
    """
    Serves by several processes while it runs::

        Supervisor(4, ["--resources", "mymod"], ["udp:5683"]).setServiceParent(application)

    A worker that dies is started again: at once, and if it does not live for a minute, after 1, 2, 4 … 60
    seconds, during which another stands in. One that cannot serve at all ends this process with the exit
    status 1.

    @param count: How many.
    @param words: What each serves, as the arguments of C{twistd coap}; what they say of where to listen is
        without effect.
    @param listen: Where, as L{sharedEndpoint} reads it; or such endpoints.
    @param reactor: By default the installed one.
    @param grace: For how many seconds at most each worker waits, when it stops, for what is under way. It
        is killed 5 seconds after that.
    @param prometheus: Where to serve the figures of all workers to Prometheus: a stream endpoint of
        Twisted's, or its description.
    @param directory: Where the workers look for modules and files; by default the current directory.
    """

    _log = Logger()

    def __init__(
        self,
        count: int,
        words: Sequence[str],
        listen: Sequence[Any] = ("udp:5683",),
        reactor: Any = None,
        *,
        grace: float = 5.0,
        prometheus: Any = None,
        directory: str | None = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self.reactor = reactor
        self._endpoints = [
            sharedEndpoint(reactor, each) if isinstance(each, str) else each for each in listen
        ]
        self._words = ["--reactor", _nameOf(reactor), "--grace", f"{grace:g}", *words]
        self._directory = directory or os.getcwd()
        self._grace = grace
        isText = isinstance(prometheus, str)
        self._prometheus = streamServer(reactor, prometheus) if isText else prometheus
        self._webPort: IListeningPort | None = None
        # Those of the first worker, of the second, and so on.
        self._sockets: list[socket.socket] = []
        places = len(self._endpoints)
        self._workers = [
            _Worker(number + 1, _descriptors(FIRST_SOCKET + number * places, places))
            for number in range(count)
        ]
        # Who waits for the end, once it has begun.
        self._stopping: list[Deferred[None]] | None = None
        self._kill: IDelayedCall | None = None

    def getHosts(self) -> list[IAddress]:
        """The addresses that the workers listen at."""
        return [addressOf(each.getsockname()) for each in self._sockets[: len(self._endpoints)]]

    def __repr__(self) -> str:
        hosts = ", ".join(map(describeAddress, self.getHosts()))
        where = f"at {hosts}" if hosts else "not listening"
        return f"<{type(self).__name__} of {len(self._workers)} workers, {where}>"

    def privilegedStartService(self) -> None:
        """Open the sockets, before the process changes its user."""
        self._open()

    def startService(self) -> None:
        """
        Start the workers.

        @raise OSError: if the system starts no process: there are too many, or this user may not run Python.
        """
        super().startService()  # type: ignore[no-untyped-call]
        self._open()
        try:
            for worker in self._workers:
                self._spawn(worker)
        except OSError:
            self.stopService()
            raise

    def _open(self) -> None:
        if self._sockets:
            return
        count = len(self._workers)
        try:
            shared = [endpoint.openShared(count) for endpoint in self._endpoints]
            self._sockets = [skt for ofWorker in zip(*shared, strict=True) for skt in ofWorker]
            for host in self.getHosts():
                self._log.info("{count} workers share {address}", count=count, address=describeAddress(host))
            if self._prometheus is not None:
                listening = self._prometheus.listen(http.Site(PrometheusResource(self.health)))
                _resultNow(listening, self._webOpened, self._fail)
        except BaseException:
            self._close()
            raise

    def _webOpened(self, port: IListeningPort) -> None:
        self._webPort = port

    def _spawn(self, worker: _Worker) -> None:
        worker.restart = None
        arguments = [sys.executable, "-c", _program(worker.number, sys.path)]
        arguments += ["--number", str(worker.number), "--sockets", worker.descriptors]
        arguments += ["--directory", os.getcwd(), *self._words]
        worker.process = process = WorkerProcess(
            worker.number, self.reactor, lambda: self._serving(worker), lambda why: self._ended(worker, why)
        )
        descriptors: dict[int, int | str] = dict(PIPES)
        descriptors |= {FIRST_SOCKET + place: skt.fileno() for place, skt in enumerate(self._sockets)}
        try:
            self.reactor.spawnProcess(
                process, sys.executable, arguments, env=None, path=self._directory, childFDs=descriptors
            )
        except OSError as e:
            # There is no memory, or there are too many processes: later it may be otherwise.
            if not worker.hasServed:
                worker.process = None
                raise
            self._ended(worker, str(e))

    def _serving(self, worker: _Worker) -> None:
        worker.hasServed = True
        worker.isAway = False
        if worker.standIn is not None:
            worker.standIn.tell(f"leave {worker.descriptors}")
            worker.standIn = None
        self._fillIn()

    def _ended(self, worker: _Worker, why: str) -> None:
        process, worker.process = worker.process, None
        if self._stopping is not None:
            self._haveStopped()
            return
        if not worker.hasServed:
            self._fail(Failure(RuntimeError(f"worker {worker.number} cannot start: {why}")))
            return
        since = None if process is None else process.servingSince
        if since is not None and self.reactor.seconds() - since >= LONGEST_DELAY:
            worker.delay = 0.0
        delay = worker.delay
        worker.delay = min(2 * delay or 1.0, LONGEST_DELAY)
        self._log.error(
            "worker {number} ended: {why}; the next starts in {delay:g} s",
            number=worker.number,
            why=why,
            delay=delay,
        )
        worker.isAway |= delay > 0
        for each in self._workers:
            if each.standIn is worker:
                each.standIn = None
        self._fillIn()
        worker.restart = self.reactor.callLater(delay, self._spawn, worker)

    def _fillIn(self) -> None:
        """See that somebody reads for each worker that is away."""
        for away in self._workers:
            if not away.isAway or away.standIn is not None:
                continue
            standIn = min((each for each in self._workers if each.isServing), key=self._burden, default=None)
            if standIn is not None:
                away.standIn = standIn
                standIn.tell(f"take {away.descriptors}")
                self._log.info(
                    "worker {standIn} stands in for worker {number}",
                    standIn=standIn.number,
                    number=away.number,
                )

    def _burden(self, worker: _Worker) -> int:
        return sum(each.standIn is worker for each in self._workers)

    def health(self) -> Deferred[dict[str, Health]]:
        """
        What was counted by each worker since it was started.

        @return: A Deferred of the figures by the worker's number, as text. Who does not answer in 2 seconds
            is left out.
        """
        asked = {
            str(each.number): each.process.health().addTimeout(ANSWER_TIME, self.reactor)
            for each in self._workers
            if each.process is not None and each.isServing
        }
        answers = DeferredList(asked.values(), consumeErrors=True)
        return answers.addCallback(
            lambda results: {
                number: health
                for number, (isSuccess, health) in zip(asked, results, strict=True)
                if isSuccess
            }
        )

    def _fail(self, failure: Failure) -> None:
        """Without a worker that could ever serve, or its figures, end with the exit status 1."""
        self._log.failure("the server cannot start", failure=failure)
        endWithFailure(self.reactor)

    def stopService(self) -> Deferred[None]:
        """
        Have the workers end, each as a L{CoAPService<txcoap.service.CoAPService>} does; kill those that
        have not 5 seconds after C{grace}.

        @return: A Deferred that fires with None when all are gone and the ports are free.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        stopped: Deferred[None] = Deferred()
        if self._stopping is not None:
            self._stopping.append(stopped)
            return stopped
        self._stopping = [stopped]
        for worker in self._workers:
            if worker.restart is not None:
                worker.restart.cancel()
                worker.restart = None
            if worker.process is not None:
                worker.process.signal("TERM")
        self._kill = self.reactor.callLater(self._grace + MARGIN, self._killAll)
        self._haveStopped()
        return stopped

    def _killAll(self) -> None:
        self._kill = None
        for worker in self._workers:
            if worker.process is not None:
                self._log.error("worker {number} does not end: it is killed", number=worker.number)
                worker.process.signal("KILL")

    def _haveStopped(self) -> None:
        if self._stopping is None or any(worker.process for worker in self._workers):
            return
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None
        stopping, self._stopping = self._stopping, None
        for worker in self._workers:
            worker.delay, worker.hasServed, worker.isAway, worker.standIn = 0.0, False, False, None

        def tell(result: object) -> None:
            for stopped in stopping:
                stopped.callback(None)

        self._close().addBoth(tell)

    def _close(self) -> Deferred[Any]:
        for skt in self._sockets:
            skt.close()
        self._sockets = []
        webPort, self._webPort = self._webPort, None
        return maybeDeferred(webPort.stopListening if webPort is not None else lambda: None)


def _resultNow(
    result: Deferred[Any], succeeded: Callable[[Any], None], failed: Callable[[Failure], None]
) -> None:
    """Take a result. A failure that is there already is raised."""
    failures: list[Failure] = []
    result.addCallbacks(succeeded, failures.append)
    if failures:
        failures[0].raiseException()
    result.addCallback(lambda _: failed(failures[0]) if failures else None)


def _program(number: int, path: Sequence[str]) -> str:
    """
    What a worker runs; it begins with what C{ps} is to show. It finds modules where this process does: C{-m}
    would look in the current directory first, where a C{queue.py} would stand in for Python's.
    """
    find = f"import sys; sys.path[:] = {list(path)!r}"
    return f"# txcoap.worker {number}\n{find}\nfrom txcoap.worker import main; sys.exit(main(sys.argv[1:]))"


def _descriptors(first: int, count: int) -> str:
    return ",".join(str(first + each) for each in range(count))


def _nameOf(reactor: Any) -> str:
    """What the workers are to call the reactor that this process has."""
    module = type(reactor).__module__
    return next(
        (each.shortName for each in getReactorTypes() if getattr(each, "moduleName", "") == module), "default"
    )
