"""
C{twistd coap}: serve a tree of resources (C{twistd coap --help}).
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.python import reflect, usage

from . import __version__
from .endpoints import serverFromString
from .interfaces import IResource
from .service import CoAPService

DEFAULT_LISTEN = "udp:5683"


class Options(usage.Options):
    """The options of C{twistd coap}."""

    synopsis = "[options]"

    longdesc = (
        'Serve CoAP resources. --resources names a module (its "root" is served), or an object in one: a '
        "resource, a Resource class (called without arguments), or any other callable (called with the "
        "reactor). A callable may return a Deferred. Modules in the current directory are found too."
    )

    optParameters = [
        ["resources", "r", None, "What to serve, as a module (mymod) or an object in one (mymod.tree)."],
    ]

    optFlags = [
        ["access-log", None, "Log a line for each request."],
    ]

    compData = usage.Completions(optActions={"resources": usage.CompleteList([])})

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["listen"] = []

    def opt_listen(self, description: str) -> None:
        r"""
        Where to listen, repeatable: udp:5683 (the default; IPv6 and IPv4), udp:5683:interface=127.0.0.1,
        "udp:5683:interface=\:\:1", unix:/run/coap.sock, fd:3, systemd:name=coap.socket.
        """
        self["listen"].append(description)

    opt_l = opt_listen

    def opt_version(self) -> None:
        """Print txcoap's version, and exit."""
        print(f"txcoap {__version__}")  # noqa: T201
        sys.exit(0)

    def parseArgs(self, *arguments: str) -> None:
        """There are none."""
        if arguments:
            raise usage.UsageError(
                f"what to serve is given by --resources, as in: twistd -n coap --resources {arguments[0]}"
            )

    def postOptions(self) -> None:
        """See that there is something to serve, and that it can be listened where the user says."""
        if not self["resources"]:
            raise usage.UsageError(
                "nothing to serve: give a module or object by --resources, "
                "as in: twistd -n coap --resources mymod"
            )
        from twisted.internet import reactor

        try:
            self["endpoints"] = [
                serverFromString(reactor, each) for each in self["listen"] or [DEFAULT_LISTEN]
            ]
        except ValueError as e:
            raise usage.UsageError(f"--listen: {e}") from None
        self["root"] = findResources(self["resources"])


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


def makeService(config: Options) -> CoAPService:
    """The service that C{twistd coap} runs."""
    return CoAPService(config["root"], config["endpoints"], logAccess=bool(config["access-log"]))
