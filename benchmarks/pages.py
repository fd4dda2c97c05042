"""
The tables of docs/performance.rst, of what was measured: a file for each, in reStructuredText, to be
included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import number
from benchmarks.modes import MODES
from benchmarks.scaling import PAIR
from benchmarks.sections import SECTIONS
from benchmarks.shares import ORDER
from benchmarks.stream import MIB

__all__ = ["TABLES", "table", "writePages"]

Cell = str | float | None

#: What servers and clients are called where people read it.
NAMES = {
    "bare": "C, canned reply",
    "canned": "Twisted, canned reply",
    "twisted": "Twisted, bare client",
    "txcoap": "txcoap",
    "libcoap": "libcoap (C)",
    "node": "node-coap",
    "aiocoap": "aiocoap",
}


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return cell if isinstance(cell, str) else number(cell)


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """
    A table.

    @param heads: The titles of the columns.
    @param rows: The cells of each row; of numbers, as many digits are shown as they are worth.
    """
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for cells in [heads, *rows]:
        for place, cell in enumerate(cells):
            lines.append(f"   {' ' if place else '*'} - {_text(cell)}")
    return "\n".join(lines) + "\n"


def _goals(measured: dict[str, Any]) -> str:
    figures = [
        each for name in SECTIONS if name in measured for each in SECTIONS[name].figures(measured[name])
    ]
    rows = [
        (
            each.about,
            f"{number(each.value)} {each.unit}",
            each.bound,
            "yes" if each.isMet else "**no**",
        )
        for each in figures
        if each.goal
    ]
    return table(("What", "Measured", "Goal", "Met"), rows)


def _machine(measured: dict[str, Any]) -> str:
    return table(("What", "Which"), [(name, text) for name, text in measured["machine"].items()])


def _columns(rows: Iterable[dict[str, Any]]) -> list[str]:
    known = {name for row in rows for name in row}
    return [name for name in NAMES if name in known]


def _servers(measured: dict[str, Any]) -> str:
    servers = measured["servers"]
    names = [name for name in _columns(servers.values()) if name != "bare"]
    rows: list[list[Cell]] = []
    for mode, each in servers.items():
        cells = [each[name]["micros"] if name in each else None for name in names]
        rows.append([MODES[mode].about, *cells, f"{each['txcoap']['ratio']:.2f}"])
    return table(("Load", *(NAMES[name] for name in names), "txcoap to canned"), rows)


def _get(measured: dict[str, Any]) -> str:
    servers = measured["servers"]["get"]
    rows = [
        (
            NAMES[name],
            each["micros"],
            f"{each['ratio']:.2f} ({each['low']:.2f} to {each['high']:.2f})",
            each["rate"],
            each["p50"],
            each["p99"],
            str(sum(each["outcomes"].values())),
        )
        for name in _columns([servers])
        for each in [servers[name]]
    ]
    heads = ("Server", "CPU, µs", "to canned (quartiles)", "requests/s", "p50, µs", "p99, µs", "errors")
    return table(heads, rows)


def _clients(measured: dict[str, Any]) -> str:
    windows = measured["clients"]
    names = _columns(windows.values())
    rows: list[list[Cell]] = []
    for window, each in windows.items():
        cells = [each[name]["micros"] if name in each else None for name in names]
        rows.append([window, *cells, f"{each['txcoap']['ratio']:.2f}"])
    return table(("Requests", *(NAMES[name] for name in names), "txcoap to Twisted"), rows)


def _codec(measured: dict[str, Any]) -> str:
    rows = [(name, each["micros"], f"{each['ratio']:.2f}") for name, each in measured["codec"].items()]
    return table(("GET and 2.05", "CPU, µs", "to canned"), rows)


def _shares(measured: dict[str, Any]) -> str:
    modes = measured["shares"]
    stages = [stage for stage in ORDER if any(stage in each for each in modes.values())]
    rows = [(stage, *(f"{each.get(stage, 0.0):.0%}" for each in modes.values())) for stage in stages]
    return table(("Stage", *modes), rows)


def _peers(measured: dict[str, Any]) -> str:
    rows = [
        (f"{int(count):,}", *(median(each[name]) for name in PAIR))
        for count, each in measured["scaling"]["peers"].items()
    ]
    return table(("Peers", *(f"{NAMES[name]}: CPU, µs" for name in PAIR)), rows)


def _tables(measured: dict[str, Any]) -> str:
    tables = measured["scaling"]["tables"]
    sizes = list(next(iter(tables.values())))
    rows = [
        (
            name,
            *(median(each["micros"]) for each in own.values()),
            max(own[sizes[0]]["slowest"]),
            max(own[sizes[-1]]["slowest"]),
            own[sizes[-1]]["collected"],
        )
        for name, own in tables.items()
    ]
    heads = [f"{int(size):,}" for size in sizes]
    slowest = [f"slowest at {head}, µs" for head in (heads[0], heads[-1])]
    return table(("Entries of", *heads, *slowest, f"garbage at {heads[-1]}, ms"), rows)


def _memory(measured: dict[str, Any]) -> str:
    remembered, observers = (measured["memory"][name] for name in ("remembered", "observers"))
    rows = [
        (f"request, {each['requests']:,} from {each['peers']:,} peers", each["bytes"], each["left"])
        for each in remembered
    ]
    rows += [
        (
            f"observer, {'' if each['confirmable'] else 'non-'}confirmable notifications",
            each["bytes"],
            each["left"],
        )
        for each in observers
    ]
    return table(("What", "bytes kept", "bytes left when it is gone"), rows)


def _startup(measured: dict[str, Any]) -> str:
    rows = [(name, each["seconds"] * 1000, each["cpu"] * 1000) for name, each in measured["startup"].items()]
    return table(("What", "ms", "CPU, ms"), rows)


def _workers(measured: dict[str, Any]) -> str:
    rows = [
        (
            count,
            each["micros"],
            f"{each['ratio']:.2f}",
            each["rate"],
            each["p99"],
            ", ".join(f"{share:.0f} %" for share in each["shares"]),
        )
        for count, each in measured["workers"].items()
    ]
    if "canned" in measured["workers"]["2"]:
        ratio = f"{measured['workers']['2']['canned']:.2f}"
        rows.append(("2, Twisted's canned reply", "-", ratio, "-", "-", "-"))
    return table(("Workers", "CPU, µs", "to one", "requests/s", "p99, µs", "shares"), rows)


def _streams(measured: dict[str, Any]) -> str:
    rows = [
        (
            NAMES[each["client"]],
            NAMES[each["server"]],
            each["way"],
            each["length"] / MIB,
            each["wrong"] or each["length"] / MIB / each["seconds"],
            ", ".join(f"{name} {grew / 1024:.0f}" for name, grew in each["grew"].items()),
        )
        for each in measured["streams"]
    ]
    return table(("Client", "Server", "Way", "MiB", "MiB/s", "txcoap grew by, KiB"), rows)


def _floods(measured: dict[str, Any]) -> str:
    rows = [
        (
            name,
            each["flood"]["sent"] / each["flood"]["seconds"],
            each["flood"]["answered"] / each["flood"]["seconds"],
            f"{each['answered']} of {each['asked']}",
            (each["memory"]["peak"] - each["memory"]["before"]) / MIB,
            f"{each['recovered']:.2f}",
        )
        for name, each in measured["floods"].items()
    ]
    heads = ("Flood", "sent/s", "answered/s", "the client's, answered", "grew by, MiB", "normal after, s")
    return table(heads, rows)


def _day(measured: dict[str, Any]) -> str:
    begun, ended = measured["day"]["begun"], measured["day"]["ended"]
    rows = [(what, f"{begun[what]:,}", f"{ended[what]:,}") for what in sorted(begun)]
    return table(("What", "begun", "with success"), rows)


#: Each table: what it is made of, and by what.
TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "machine": ("machine", _machine),
    "goals": ("machine", _goals),
    "get": ("servers", _get),
    "servers": ("servers", _servers),
    "clients": ("clients", _clients),
    "codec": ("codec", _codec),
    "shares": ("shares", _shares),
    "peers": ("scaling", _peers),
    "tables": ("scaling", _tables),
    "memory": ("memory", _memory),
    "startup": ("startup", _startup),
    "workers": ("workers", _workers),
    "streams": ("streams", _streams),
    "floods": ("floods", _floods),
    "day": ("day", _day),
}


def writePages(measured: dict[str, Any], into: Path) -> None:
    """
    Write the tables of what was measured, as C{NAME.inc}.
    """
    for name, (source, make) in TABLES.items():
        if source in measured:
            text = f".. Made by python -m benchmarks; changes would be lost.\n\n{make(measured)}"
            (into / f"{name}.inc").write_text(text, encoding="utf-8")
