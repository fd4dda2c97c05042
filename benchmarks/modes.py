"""
The kinds of load that are put on a server: a line for each, with the goal that txcoap must reach.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["HELLO", "LARGE", "MODES", "Mode"]

HELLO = "Hello, world!"
#: Bytes of /large, in blocks of 1,024 bytes.
LARGE = 65_536


@dataclass(frozen=True)
class Mode:
    """
    A kind of load.

    @ivar about: One line for the table's head.
    @ivar options: The options of L{load<benchmarks.loadgen.load>}.
    @ivar source: Which load; the yardstick has the one that asks in any case.
    @ivar goal: The most that it may cost txcoap, in times of what Twisted's canned reply costs.
    @ivar ahead: How many times as much it must cost others, by their names.
    """

    about: str
    options: dict[str, str | int | bool]
    source: str = "load.c"
    goal: float | None = None
    ahead: dict[str, float] = field(default_factory=dict)

    @property
    def isRelayed(self) -> bool:
        """
        Whether it is for a proxy.
        """
        return "origin" in self.options


_AHEAD = {"aiocoap": 10.0, "node": 3.0}

MODES = {
    "get": Mode("CON GET /hello", {"path": "hello", "expect": HELLO}, goal=2.0, ahead=_AHEAD),
    "non": Mode("NON GET /hello", {"path": "hello", "expect": HELLO, "non": True}, goal=2.0),
    "post": Mode(
        "CON POST /echo, 13 bytes both ways",
        {"path": "echo", "code": 2, "payload": HELLO, "expect": HELLO},
        goal=2.2,
        ahead=_AHEAD,
    ),
    "await": Mode(
        "CON GET /await, answered by a coroutine that does not wait",
        {"path": "await", "expect": HELLO},
        goal=2.8,
    ),
    "block": Mode(
        "CON GET /large, each block of 1,024 bytes",
        {"path": "large", "size": LARGE},
        goal=2.5,
        ahead=_AHEAD,
    ),
    "cached": Mode(
        "CON GET of another server's /hello, from a proxy's cache",
        {"path": "hello", "expect": HELLO, "origin": "127.0.0.2"},
        goal=3.0,
    ),
    "proxied": Mode(
        "CON GET of another server's /fresh, asked by a proxy each time; both are one process",
        {"path": "fresh", "expect": HELLO, "origin": "127.0.0.2"},
    ),
    "observe": Mode(
        "each CON notification of /obs to one of 100 observers",
        {"path": "obs", "sockets": 100},
        source="crowd.c",
        goal=2.0,
        ahead={"aiocoap": 6.0, "node": 1.0},
    ),
    "relayed": Mode(
        "each CON notification of another server's /obs to one of 100 observers, by a proxy",
        {"path": "obs", "sockets": 100, "origin": "127.0.0.2"},
        source="crowd.c",
    ),
}
