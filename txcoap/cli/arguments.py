"""
The command line of C{txcoap}: its subcommands and help, and what a command line says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from .. import __version__
from ..codes import Code
from ..definitions import Pair
from ..parameters import Parameters
from ..uri import URI
from .colors import printable
from .failures import EXITS, Exit
from .flags import COMMANDS, addArguments

__all__ = ["METHODS", "Arguments", "Parser", "newParser", "parse"]

METHODS = {
    "get": Code.GET,
    "put": Code.PUT,
    "post": Code.POST,
    "delete": Code.DELETE,
    "fetch": Code.FETCH,
    "patch": Code.PATCH,
    "ipatch": Code.IPATCH,
}
"""The subcommands that send a request."""


class Arguments(argparse.Namespace):
    """What the command line says. What a subcommand has no flag for is as by default here."""

    command: str
    uri: URI
    refuse: Callable[[str], NoReturn]
    confirmable: bool = True
    text: str | None = None
    file: str | None = None
    cbor: str | None = None
    hasBody: bool = False
    contentFormat: int | None = None
    accept: int | None = None
    pairs: Sequence[Pair] = ()
    token: bytes | None = None
    timeout: float | None = None
    parameters: Parameters | None = None
    bindAddress: tuple[str, int] = ("", 0)
    proxy: URI | None = None
    output: str | None = None
    save: str | None = None
    namesHost: bool = True
    showCode: bool = False
    showTime: bool = False
    blockSize: int = 1024
    verbose: bool = False
    quiet: bool = False
    color: str = "auto"
    pretty: bool = False
    raw: bool = False
    tree: bool = False
    repeat: int = 1
    count: int = 1
    interval: float = 1.0
    duration: float | None = None
    timestamps: bool = False
    interface: str = ""
    hops: int | None = None
    json: bool = False
    lazy: bool = False
    plot: bool = False
    program: str | None = None
    path: str = ""
    writable: bool = False
    listen: Sequence[str] = ()
    shell: str = ""

    @property
    def valuesBesides(self) -> dict[str, Any]:
        """Values of options, by accessor name, that are not as the URI would make them."""
        return {} if self.namesHost else {"uriHost": None}


def parse(arguments: Sequence[str]) -> Arguments:
    """
    Read a command line, less the program's name.

    @raise SystemExit: after help or the version was printed, or for what is wrong, which is told.
    """
    parser = newParser()
    command = next((word for word in arguments if not word.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        parser.error(f"there is no command {command!r}{_near(command, COMMANDS)}")
    if not arguments:
        parser.error("give a command, as in: txcoap get coap://localhost/hello")
    found, rest = parser.parse_known_args(arguments, namespace=Arguments())
    if rest:
        parser.commands[found.command].errorOfRest(rest)
    return found


def _near(word: str, known: Iterable[str]) -> str:
    """What was perhaps meant."""
    near = get_close_matches(word, known, 2)
    return f"; perhaps {' or '.join(near)}" if near else ""


class Parser(argparse.ArgumentParser):
    """
    Says what is wrong in one line.

    @ivar commands: Those of the subcommands.
    """

    commands: dict[str, Parser]

    def __init__(self, **how: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **how)

    def error(self, message: str) -> NoReturn:
        """Exit, and tell where to look."""
        self.refuse(f"{message} (see {self.prog} --help)")

    def errorOfRest(self, words: Sequence[str]) -> NoReturn:
        """Exit, for words that are no flags and one too many."""
        flag = next((word.partition("=")[0] for word in words if len(word) > 1 and word[0] == "-"), None)
        if flag is not None:
            known = [each for action in self._actions for each in action.option_strings]
            self.error(f"there is no flag {flag} here{_near(flag, known)}")
        self.error(f"{words[0]!r} is one word too many; what has spaces goes in quotes")

    def refuse(self, message: str) -> NoReturn:
        """Exit before anything was sent."""
        self.exit(int(Exit.USAGE), f"{self.prog}: {printable(message)}\n")


EXAMPLES = """examples:
  txcoap get coap://localhost/hello
  txcoap put -e off -t text/plain localhost/light
  txcoap post -f reading.cbor -t cbor 'coap://[2001:db8::1]/log'
  sensors | txcoap put -t json localhost/sensors
  txcoap discover localhost
  txcoap discover -B 6 224.0.1.187
  txcoap observe --timestamps localhost/temperature
  txcoap get --save messages.pcap localhost/hello
  txcoap shell localhost
  txcoap serve .
"""


def newParser() -> Parser:
    """What reads the command line."""
    exits = "exit codes:\n" + "\n".join(f"  {int(code):<5}{meaning}" for code, meaning in EXITS.items())
    parser = Parser(
        prog="txcoap",
        description="Ask CoAP servers (RFC 7252).",
        epilog=f"{EXAMPLES}\ntxcoap COMMAND --help tells a command's flags.\n\n{exits}\n",
    )
    parser.commands = {}
    parser.add_argument("--version", action="version", version=f"txcoap {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for command, description in COMMANDS.items():
        added = subparsers.add_parser(
            command,
            help=description,
            description=f"{description[0].upper()}{description[1:]}.",
            epilog=f"{exits}\n",
        )
        added.set_defaults(refuse=added.refuse)
        parser.commands[command] = added
        addArguments(added, command)
    return parser
