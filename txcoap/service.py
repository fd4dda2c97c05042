"""
L{CoAPService}: a server as a Twisted service, for C{twistd coap} and for any C{MultiService}.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString as streamServer
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server as http

from .addresses import describeAddress
from .closing import UNAVAILABLE, windDown
from .endpoints import serverFromString
from .groups import Group, readGroups
from .health import Health, HealthResource, putResource
from .interfaces import IResource, ISite
from .prometheus import PrometheusResource
from .protocol import CoAPProtocol
from .server import Site

__all__ = ["CoAPService", "endWithFailure", "makeRoot"]


def makeRoot(resources: Any, reactor: Any) -> Any:
    """
    The root of a tree, from what a user gives for it.

    @param resources: An L{IResource<txcoap.interfaces.IResource>}, which is the root itself; a class of
        such, called without arguments; or any other callable, called with the reactor.
    @return: The root, or a Deferred of it.
    """
    if IResource.providedBy(resources):
        return resources
    isClass = isinstance(resources, type) and IResource.implementedBy(resources)
    return resources() if isClass else resources(reactor)


class CoAPService(Service):
    """
    Serves a tree of resources while it runs::

        CoAPService(root, ["udp:5683"]).setServiceParent(application)

    @param resources: The root, or what L{makeRoot} makes it of; a Deferred of it delays listening. Or an
        L{ISite<txcoap.interfaces.ISite>}, such as a L{Site} with settings of its own.
    @param listen: Where, as L{serverFromString<txcoap.endpoints.serverFromString>} reads it, once or
        several times; or endpoints.
    @param reactor: By default the installed one.
    @param multicast: The groups to hear as well, as L{readGroups<txcoap.groups.readGroups>} reads them:
        C{"224.0.1.187"}, C{"ff02::fd%eth0"}, C{"all-coap-nodes"}; without an interface, by all of them.
    @param logAccess: Whether to log a line for each request.
    @param amplification: As for L{Site}, of the site that is made for a root.
    @param grace: For how many seconds at most L{stopService} waits for what is under way; see there.
    @param metrics: The path of a L{HealthResource<txcoap.health.HealthResource>} to add to the tree.
    @param prometheus: Where to serve the same to Prometheus, by HTTP at any path: a stream endpoint of
        Twisted's, or its description, such as C{"tcp:9100:interface=127.0.0.1"}.
    @param proxy: What is to be asked of other servers; see L{Site}. What its agent opened is closed when the
        service stops.
    @ivar ports: What is listening.
    """

    _log = Logger()

    def __init__(
        self,
        resources: Any,
        listen: str | Iterable[Any] = ("udp:5683",),
        reactor: Any = None,
        *,
        multicast: Sequence[str] = (),
        logAccess: bool = False,
        amplification: float | None = None,
        grace: float = 5.0,
        metrics: str | None = None,
        prometheus: Any = None,
        proxy: Any = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self.reactor = reactor
        self.ports: list[IListeningPort] = []
        self._resources = resources
        self._endpoints = [
            serverFromString(reactor, each) if isinstance(each, str) else each
            for each in ([listen] if isinstance(listen, str) else listen)
        ]
        self._groups = {text: readGroups(text) for text in multicast}
        self._logAccess = logAccess
        self._amplification = amplification
        self._grace = grace
        self._metrics = metrics
        isText = isinstance(prometheus, str)
        self._prometheus = streamServer(reactor, prometheus) if isText else prometheus
        self._webPorts: list[IListeningPort] = []
        self._figures = HealthResource()
        self._proxy = proxy
        self._starting: Deferred[None] | None = None
        # What the ports serve, since they listen; and whom to tell when they do.
        self._site: Any = None
        self._isListening = False
        self._awaiting: list[Deferred[None]] = []
        # While it stops: whom to tell when it has.
        self._stopping: list[Deferred[None]] | None = None

    def getHosts(self) -> list[IAddress]:
        """The addresses that are listened at."""
        return [port.getHost() for port in self.ports]

    def __repr__(self) -> str:
        where = ", ".join(map(describeAddress, self.getHosts()))
        return (
            f"<{type(self).__name__} of {self._resources!r}{' at ' if where else ', not listening'}{where}>"
        )

    def privilegedStartService(self) -> None:
        """Listen, before the process changes its user."""
        self._start()

    def startService(self) -> None:
        """Listen, if that has not begun."""
        super().startService()  # type: ignore[no-untyped-call]
        self._start()

    def _start(self) -> None:
        if self._starting is not None:
            return
        # A failure is the caller's while this call lasts; one that comes later ends the process.
        failures: list[Failure] = []
        self._starting = Deferred.fromCoroutine(self._listen())
        self._starting.addErrback(failures.append)
        if failures:
            self._starting = None
            self._close()
            failures[0].raiseException()
        self._starting.addCallback(lambda _: self._endProcess(failures))

    async def _listen(self) -> None:
        if self._stopping is not None:
            await self._whenStopped()
        site = self._resources
        if not ISite.providedBy(site):
            root = await maybeDeferred(makeRoot, site, self.reactor)
            if not IResource.providedBy(root):
                raise TypeError(f"{root!r} is no resource; it came from {self._resources!r}")
            site = Site(root, proxy=self._proxy, amplification=self._amplification)
            if self._logAccess:
                site.accessLog = site.logAccess
        if self._metrics is not None:
            putResource(site.resource, self._metrics, self._figures)
        self._site = site
        for endpoint in self._endpoints:
            port = await self.listenAlso(endpoint)
            self._log.info("serving CoAP at {address}", address=describeAddress(port.getHost()))
        for text, groups in self._groups.items():
            self._join(text, groups)
        if self._prometheus is not None:
            figures = http.Site(PrometheusResource(self.health))
            self._webPorts.append(await self._prometheus.listen(figures))
        self._isListening = True
        awaiting, self._awaiting = self._awaiting, []
        for each in awaiting:
            each.callback(None)

    def whenListening(self) -> Deferred[None]:
        """
        @return: A Deferred that fires with None when all that is to be listened at is.
        """
        if self._isListening:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._awaiting.append(waiting)
        return waiting

    async def _listenAt(self, endpoint: Any) -> IListeningPort:
        port: IListeningPort = await endpoint.listen(self._site)
        self.ports.append(port)
        return port

    def listenAlso(self, endpoint: Any) -> Deferred[IListeningPort]:
        """
        Serve the same at one more place, until L{leave} or the end.

        @return: A Deferred of the port.
        """
        return Deferred.fromCoroutine(self._listenAt(endpoint))

    def leave(self, port: IListeningPort) -> Deferred[None]:
        """
        Serve no longer at a port. Who observes there is told that it is over.

        @return: A Deferred that fires with None when it is closed.
        """
        self.ports.remove(port)
        return self._windDown(port, 0).addCallback(lambda _: port.stopListening())

    def health(self) -> Health:
        """What was counted at the ports since they were opened, all together."""
        return Health.ofAll(port.protocol.health() for port in self.ports)  # type: ignore[attr-defined]

    def _join(self, text: str, groups: Sequence[Group]) -> None:
        """
        Hear some groups, each by every socket that can.

        @raise ValueError: if none of them can be heard by any.
        """
        obstacles = []
        isHeard = False
        for group in groups:
            for port in self.ports:
                join = getattr(port, "joinGroup", None)
                if join is None:
                    continue
                try:
                    names = join(group)
                except (OSError, ValueError) as e:
                    obstacles.append(str(e))
                else:
                    isHeard = True
                    self._log.info("hearing {group} by {names}", group=group.address, names=", ".join(names))
        if not isHeard:
            why = "; ".join(dict.fromkeys(obstacles)) or "there is no UDP socket that could"
            raise ValueError(f"the group {text} cannot be heard: {why}")

    def _endProcess(self, failures: list[Failure]) -> None:
        """A server that cannot serve ends, with the exit status 1."""
        if not failures or failures[0].check(CancelledError):
            return
        self._log.failure("the server cannot start", failure=failures[0])
        endWithFailure(self.reactor)

    def stopService(self) -> Deferred[None]:
        """
        Stop listening. Before that, for C{grace} seconds at most: observers are told that it is over and
        acknowledge that, requests that came before are answered, bodies that are under way go on, and all
        else is answered 5.03.

        @return: A Deferred that fires with None when the ports are closed.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()
        stopped = self._whenStopped()
        if len(self._stopping or ()) == 1:
            endings = [self._windDown(port, self._grace) for port in self.ports]
            gatherResults(endings).addCallback(lambda _: self._close()).addBoth(self._haveStopped)
        return stopped

    def _windDown(self, port: Any, grace: float) -> Deferred[None]:
        protocol = getattr(port, "protocol", None)
        if not isinstance(protocol, CoAPProtocol):
            return succeed(None)
        answer = getattr(protocol.site, "whileStopping", UNAVAILABLE)
        return windDown(protocol, grace, answer)

    def _whenStopped(self) -> Deferred[None]:
        stopped: Deferred[None] = Deferred()
        self._stopping = [*(self._stopping or ()), stopped]
        return stopped

    def _haveStopped(self, result: Any) -> None:
        stopping, self._stopping = self._stopping or [], None
        for stopped in stopping:
            stopped.callback(result)

    def _close(self) -> Deferred[None]:
        ports = [*self.ports, *self._webPorts]
        self.ports, self._webPorts = [], []
        self._isListening = False
        closings = [maybeDeferred(port.stopListening) for port in ports]
        if self._proxy is not None:
            closings.append(self._proxy.close())
        return gatherResults(closings).addCallback(lambda _: None)


def endWithFailure(reactor: Any) -> None:
    """Stop, and have the process end with the exit status 1."""
    atexit.register(_exitWithFailure)
    reactor.stop()


def _exitWithFailure() -> None:
    """Leave with status 1; the reactor's end has none of its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
