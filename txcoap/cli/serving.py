"""
C{txcoap serve}: a directory of files, served until it is interrupted; C{twistd coap} is for longer, and can
more.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.python.usage import UsageError

from ..addresses import describeAddress
from ..endpoints import serverFromString
from ..message import Response
from ..request import Request
from ..server import Site
from ..service import CoAPService
from ..tap import DEFAULT_LISTEN, findFiles
from ..uri import URI
from .arguments import Arguments
from .colors import colorOfCode, printable
from .console import Console
from .failures import Exit

__all__ = ["serve", "uriOf"]

_EVERYWHERE = frozenset({"::", "0.0.0.0"})  # noqa: S104


async def serve(reactor: Any, arguments: Arguments, console: Console) -> Exit:
    """
    Serve until it is cancelled; then what is under way may end first.

    @return: The exit code. What failed has been told.
    """
    console = console.colored(arguments.color)
    try:
        site = Site(findFiles(arguments.path, arguments.writable))
        endpoints = [serverFromString(reactor, each) for each in arguments.listen or [DEFAULT_LISTEN]]
    except UsageError as e:
        console.complain(f"cannot serve {str(e).removeprefix('--path ')}")
        return Exit.USAGE
    except ValueError as e:
        console.complain(f"--listen: {e}; or give ADDRESS, :PORT or ADDRESS:PORT")
        return Exit.USAGE
    if arguments.verbose:
        site.accessLog = _Accesses(console)
    service = CoAPService(site, endpoints, reactor)
    try:
        service.startService()
        if not arguments.quiet:
            for host in service.getHosts():
                console.writeLine(f"serving {printable(arguments.path)} at {uriOf(host)}")
        await Deferred()
    except CancelledError:
        pass
    except BrokenPipeError:
        return Exit.BROKEN_PIPE
    except CannotListenError as e:
        where = f"[{e.interface}]" if e.interface and ":" in e.interface else e.interface or ""
        why = getattr(e.socketError, "strerror", None) or e.socketError
        console.complain(
            f"cannot listen at {where}:{e.port}: {why}; choose another place by --listen, such as :0"
        )
        return Exit.FAILURE
    finally:
        await service.stopService()
    return Exit.SUCCESS


def uriOf(host: Any) -> str:
    """Where something that listens is found, by its URI."""
    if isinstance(host, UNIXAddress):
        return str(URI("coap", describeAddress(host)))
    if not isinstance(host, (IPv4Address, IPv6Address)):
        return describeAddress(host)
    if host.host in _EVERYWHERE:
        return f"{URI('coap', 'localhost', host.port)}, and by this machine's names and addresses"
    return str(URI("coap", host.host, host.port))


class _Accesses:
    """Writes a line for each request; see L{Site}."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, request: Request, response: Response) -> None:
        """A request was answered."""
        client = describeAddress(request.getClientAddress())
        code = self._console.paint(str(response.code), colorOfCode(response.code.codeClass))
        what = printable(f"{request.method} {request.reference}")
        self._console.note(f"{client}: {what}: {code}, {len(response.payload)} bytes")
