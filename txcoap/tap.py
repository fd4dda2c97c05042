"""
C{twistd coap}: serve a tree of resources (C{twistd coap --help}).
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.endpoints import serverFromString as streamServer
from twisted.python import reflect, usage

from . import __version__
from .allowlist import AllowList
from .caching import CachingAgent
from .client import Agent
from .endpoints import serverFromString
from .groups import readGroups
from .health import putResource
from .interfaces import IResource
from .parameters import Parameters, setDefault
from .proxy import ForwardProxy
from .resource import Resource
from .service import CoAPService
from .static import File
from .transports.membership import requireInterface
from .workers import Supervisor, sharedEndpoint
from .writable import WritableFile

__all__ = [
    "DEFAULT_LISTEN",
    "MOST_WORKERS",
    "Options",
    "atLeastOne",
    "countWorkers",
    "findFiles",
    "findResources",
    "makeService",
]

DEFAULT_LISTEN = "udp:5683"

MOST_WORKERS = 256
"""Far more than help: each is a process."""


def atLeastOne(text: str) -> float:
    """
    A number of 1 or more.

    @raise ValueError: if it is none.
    """
    number = float(text)
    if not 1 <= number < float("inf"):
        raise ValueError(f"give a number of 1 or more, not {text}")
    return number


def countWorkers(text: str) -> int:
    """
    How many processes: a number, or C{auto}, as many as this one may use processors.

    @raise ValueError: if it is neither, or there can be no workers here.
    """
    if not sys.platform.startswith("linux"):  # pragma: no cover - Linux has them
        raise ValueError("only Linux divides the peers among processes that share a port")
    if text == "auto":
        return len(os.sched_getaffinity(0))
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= MOST_WORKERS:
        raise ValueError(f"give a number from 1 to {MOST_WORKERS}, or auto, not {text}")
    return number


class Options(usage.Options):
    """The options of C{twistd coap}."""

    synopsis = "[options]"

    longdesc = (
        'Serve CoAP resources. --resources names a module (its "root" is served), or an object in one: a '
        "resource, a Resource class (called without arguments), or any other callable (called with the "
        "reactor). A callable may return a Deferred. Modules in the current directory are found too. Or "
        "--path serves a directory of files, as twistd web does. --proxy makes it a forward proxy too, or "
        "alone: for this machine's loopback addresses, and what each --proxy-allow names."
    )

    optParameters = [
        ["resources", "r", None, "What to serve, as a module (mymod) or an object in one (mymod.tree)."],
        ["path", "p", None, "Serve this directory, or file, instead."],
        [
            "timing",
            None,
            None,
            "Transmission parameters: a preset (slow), changes (NSTART=4,ACK_TIMEOUT=5) or both.",
        ],
        [
            "proxy-cache",
            None,
            None,
            "Bytes of responses that --proxy keeps (default: 16 MiB); 0 for none.",
        ],
        ["maximum-body", None, None, "Bytes of the largest file that --writable takes (default: 64 MiB)."],
        [
            "amplification",
            None,
            None,
            "Send an unproven address so many times the bytes of its request at most, say 3 (RFC 9175).",
            atLeastOne,
        ],
        ["grace", None, "5", "Seconds that stopping may take, for what is under way then."],
        [
            "workers",
            None,
            None,
            "Serve by so many processes, which share the port; auto: one for each processor.",
            countWorkers,
        ],
        ["metrics", None, None, "Show what is counted at this path, such as health; to everybody."],
        ["prometheus", None, None, "Show it to Prometheus, by HTTP, at tcp:9100:interface=127.0.0.1 or so."],
    ]

    optFlags = [
        ["writable", "w", "Let everybody put and delete the files of --path."],
        ["access-log", None, "Log a line for each request."],
        ["proxy", None, "Be a forward proxy: ask other servers in the name of clients."],
    ]

    compData = usage.Completions(
        optActions={"resources": usage.CompleteList([]), "path": usage.CompleteFiles(descr="directory")}
    )

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["listen"] = []
        self["multicast"] = []
        self["proxy-allow"] = []

    def opt_listen(self, description: str) -> None:
        r"""
        Where to listen, repeatable: udp:5683 (the default; IPv6 and IPv4), udp:5683:interface=127.0.0.1,
        "udp:5683:interface=\:\:1", unix:/run/coap.sock, fd:3, systemd:name=coap.socket.
        """
        self["listen"].append(description)

    opt_l = opt_listen

    def opt_multicast(self, group: str) -> None:
        """
        Hear this group as well, repeatable: 224.0.1.187, ff02::fd%eth0 (by one interface), all-coap-nodes
        (all three of RFC 7252). It needs a socket that listens at all addresses.
        """
        self["multicast"].append(group)

    opt_m = opt_multicast

    def opt_proxy_allow(self, pattern: str) -> None:
        """
        Whom the proxy may ask beside this machine, repeatable: a host (sensor.example), all below a domain
        ("*.example"), an address or network (192.0.2.0/24, "[2001:db8::/32]"), or "*" for anything; a port
        may follow (sensor.example:5683).
        """
        self["proxy-allow"].append(pattern)

    def opt_version(self) -> None:
        """Print txcoap's version, and exit."""
        print(f"txcoap {__version__}")  # noqa: T201
        sys.exit(0)

    def parseOptions(self, options: Any = None) -> None:
        """Read the options, and keep them as they were written for the workers."""
        self.words = sys.argv[1:] if options is None else list(options)
        self.directory = os.getcwd()
        super().parseOptions(options)  # type: ignore[no-untyped-call]

    def parseArgs(self, *arguments: str) -> None:
        """There are none: C{UsageError} for any."""
        if arguments:
            raise usage.UsageError(
                f"what to serve is given by --resources, as in: twistd -n coap --resources {arguments[0]}"
            )

    def postOptions(self) -> None:
        """
        See that there is something to serve, and that it can be listened where the user says.

        @raise usage.UsageError: if not; the text says what to give instead.
        """
        self._checkServed()
        if self["timing"] is not None:
            try:
                self["parameters"] = Parameters.fromText(self["timing"])
            except ValueError as e:
                raise usage.UsageError(f"--timing: {e}") from None
        grace = self["grace"]
        if not (grace.isascii() and grace.replace(".", "", 1).isdigit()):
            raise usage.UsageError(f"--grace {grace}: give a number of seconds, such as 5")
        from twisted.internet import reactor

        self["forward"] = self._forwardProxy(reactor)
        self._findPlaces(reactor)
        self["root"] = self._root(self["path"], self["resources"])

    def _checkServed(self) -> None:
        """What is to be served, and what is of no use without it."""
        path, resources = self["path"], self["resources"]
        if not (path or resources or self["proxy"]):
            raise usage.UsageError(
                "nothing to serve: give a module or object by --resources, or a directory by --path, "
                "as in: twistd -n coap --resources mymod; or be a --proxy"
            )
        if path and resources:
            raise usage.UsageError(
                "give --resources or --path, not both; to serve files beside other resources, put a "
                "txcoap.static.File into their tree"
            )
        if self["writable"] and not path:
            raise usage.UsageError("--writable is for --path: resources themselves say what they take")
        if self["maximum-body"] is not None and not self["writable"]:
            raise usage.UsageError("--maximum-body is for --writable")
        if self["proxy-allow"] and not self["proxy"]:
            raise usage.UsageError("--proxy-allow is for --proxy")
        if self["proxy-cache"] is not None and not self["proxy"]:
            raise usage.UsageError("--proxy-cache is for --proxy")
        if self["metrics"] is not None:
            try:
                putResource(Resource(), self["metrics"], Resource())
            except ValueError as e:
                raise usage.UsageError(f"--metrics: {e}") from None

    def _findPlaces(self, reactor: Any) -> None:
        """Where it is served, and which groups are heard."""
        try:
            endpoint = serverFromString if self["workers"] is None else sharedEndpoint
            self["endpoints"] = [endpoint(reactor, each) for each in self["listen"] or [DEFAULT_LISTEN]]
        except ValueError as e:
            raise usage.UsageError(f"--listen: {e}") from None
        where = self["prometheus"]
        try:
            self["prometheus"] = None if where is None else streamServer(reactor, where)
        except (TypeError, ValueError) as e:
            raise usage.UsageError(f"--prometheus {where}: {e}; give tcp:9100 or so") from None
        for text in self["multicast"]:
            try:
                for group in readGroups(text):
                    requireInterface(group.interface)
            except ValueError as e:
                raise usage.UsageError(f"--multicast {text}: {e}") from None

    def _root(self, path: str | None, resources: str | None) -> Any:
        if path:
            return findFiles(path, self["writable"], self["maximum-body"])
        if self["workers"] is not None:
            # They find it for themselves: what a module opens is not to be opened here.
            return None
        return findResources(resources) if resources else Resource()

    def _forwardProxy(self, reactor: Any) -> ForwardProxy | None:
        if not self["proxy"]:
            return None
        try:
            allowed = AllowList(*self["proxy-allow"])
        except ValueError as e:
            raise usage.UsageError(f"--proxy-allow: {e}") from None
        kept, agent = self["proxy-cache"], Agent(reactor)
        if kept is None:
            return ForwardProxy(CachingAgent(agent), allowed)
        if not (kept.isascii() and kept.isdigit()):
            raise usage.UsageError(f"--proxy-cache takes a number of bytes, 0 for none; got {kept!r}")
        return ForwardProxy(CachingAgent(agent, maximumBytes=int(kept)) if int(kept) else agent, allowed)


def findFiles(path: str, isWritable: bool, limit: str | None = None) -> File:
    """
    The files below a directory, or a single file, as resources.

    @param isWritable: Whether they can be put and deleted.
    @param limit: Bytes of the largest file to put, as text; None for the default.
    @raise usage.UsageError: if there is no such directory, or it may not be read, or the limit is none.
    """
    try:
        # What is found out now needs no request to be found out by.
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except (OSError, ValueError) as e:
        raise usage.UsageError(f"--path {path}: {getattr(e, 'strerror', e)}") from None
    if not isWritable:
        return File(path)
    if limit is not None and not (limit.isascii() and limit.isdigit() and int(limit)):
        raise usage.UsageError(f"--maximum-body {limit}: give a number of bytes, such as 1048576")
    return WritableFile(path, maximumBody=None if limit is None else int(limit))


def findResources(name: str) -> Any:
    """
    What a name stands for: an L{IResource}, or a callable that makes one.

    @param name: A module, or an object in one; the current directory is looked in too.
    @raise usage.UsageError: if there is no such thing. An exception of the module's own comes through.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = reflect.namedAny(name)
    except (reflect.InvalidName, reflect.ModuleNotFound, reflect.ObjectNotFound, AttributeError) as e:
        raise usage.UsageError(f"--resources {name}: {e}; give a module, or an object in one") from None
    if not callable(found) and not IResource.providedBy(found):
        if not hasattr(found, "root"):
            raise usage.UsageError(
                f"--resources {name}: no resource, and nothing in it is called 'root'; "
                f"name the object, as in {name}.tree"
            )
        found = found.root
    if not callable(found) and not IResource.providedBy(found):
        raise usage.UsageError(f"--resources {name}: {found!r} is no resource, nor makes one")
    return found


def makeService(config: Options) -> Any:
    """
    The service that C{twistd coap} runs: a L{CoAPService}, or a L{Supervisor} of several. C{--timing} is for
    the process, and so for its agents too.
    """
    if config["workers"] is not None:
        return Supervisor(
            config["workers"],
            config.words,
            config["endpoints"],
            grace=float(config["grace"]),
            prometheus=config["prometheus"],
            directory=config.directory,
        )
    if "parameters" in config:
        setDefault(config["parameters"])
    return CoAPService(
        config["root"],
        config["endpoints"],
        multicast=config["multicast"],
        logAccess=bool(config["access-log"]),
        amplification=config["amplification"],
        grace=float(config["grace"]),
        metrics=config["metrics"],
        prometheus=config["prometheus"],
        proxy=config["forward"],
    )
