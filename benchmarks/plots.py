"""
The plots of docs/performance.rst, of what was measured, as PNG files; with matplotlib
(C{pip install txcoap[bench]}).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.pages import NAMES
from benchmarks.shares import ORDER
from benchmarks.stream import MIB

__all__ = ["NoPlots", "writePlots"]

#: A colour for each server, whichever others there are; txcoap's stands out.
COLOURS = {
    "canned": "#9aa5b1",
    "twisted": "#9aa5b1",
    "txcoap": "#0b6e4f",
    "libcoap": "#c9a227",
    "node": "#c44536",
    "aiocoap": "#3a5a9b",
}


class NoPlots(Exception):
    """
    Nothing can be drawn; the message says why.
    """


def _bars(axes: Any, groups: dict[str, dict[str, Any]], value: str) -> None:
    """
    Groups of bars, one for each name in a group, on a logarithmic scale.
    """
    names = [name for name in COLOURS if any(name in each for each in groups.values())]
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        there = [(x, each[name][value]) for x, each in enumerate(groups.values()) if name in each]
        at = [x - 0.4 + width * (place + 0.5) for x, _ in there]
        bars = axes.bar(at, [y for _, y in there], width, label=NAMES[name], color=COLOURS[name])
        axes.bar_label(bars, fmt=lambda y: f"{y:.0f}", fontsize=7, padding=1)
    axes.set_yscale("log")
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set_ylabel("CPU time, µs (log)")
    axes.legend(fontsize=8, ncols=2)
    axes.margins(y=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _servers(axes: Any, measured: dict[str, Any]) -> None:
    _bars(axes, measured["servers"], "micros")
    axes.set_title("Server: CPU time for each request, by kind of load")


def _clients(axes: Any, measured: dict[str, Any]) -> None:
    _bars(axes, measured["clients"], "micros")
    axes.set_title("Client: CPU time for each request")


def _shares(axes: Any, measured: dict[str, Any]) -> None:
    modes = measured["shares"]
    left = dict.fromkeys(modes, 0.0)
    stages = [stage for stage in ORDER if any(stage in each for each in modes.values())]
    from matplotlib import colormaps

    for place, stage in enumerate(stages):
        widths = [100 * each.get(stage, 0.0) for each in modes.values()]
        bars = axes.barh(
            list(modes), widths, left=list(left.values()), color=colormaps["tab20"](place), label=stage
        )
        axes.bar_label(
            bars, [stage if width > 8 else "" for width in widths], label_type="center", fontsize=7
        )
        left = {mode: left[mode] + width for mode, width in zip(modes, widths, strict=True)}
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("per cent of the server's CPU time")
    axes.legend(fontsize=7, ncols=len(stages) // 2 + 1, loc="upper center", bbox_to_anchor=(0.5, -0.15))
    axes.set_title("Where the time goes")


def _scaling(axes: Any, measured: dict[str, Any]) -> None:
    scaling = measured["scaling"]
    peers = scaling["peers"]
    for name in ("canned", "txcoap"):
        figures = [median(each[name]) for each in peers.values()]
        axes.plot(
            [int(count) for count in peers],
            figures,
            "o--",
            color=COLOURS[name],
            label=f"{NAMES[name]}, by peers that ask",
        )
    for table, sizes in scaling["tables"].items():
        figures = [median(each["micros"]) for each in sizes.values()]
        axes.plot([max(1, int(size)) for size in sizes], figures, "o-", label=f"by entries: {table}")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("how many (0 is drawn at 1)")
    axes.set_ylabel("CPU time for a GET, µs")
    axes.legend(fontsize=8, ncols=2, loc="lower right")
    axes.grid(alpha=0.3)
    axes.set_title("Many peers, and full tables")


def _startup(axes: Any, measured: dict[str, Any]) -> None:
    found = measured["startup"]
    colours = [COLOURS["txcoap" if "txcoap" in name or "twistd coap" in name else "canned"] for name in found]
    bars = axes.barh(list(found), [each["seconds"] * 1000 for each in found.values()], color=colours)
    axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("ms")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("From the start of a process to its end, or to its first answer")


def _soak(axes: Any, measured: dict[str, Any]) -> None:
    over = measured["soak"]["over"]
    minutes = [seconds / 60 for seconds in over["seconds"]]
    axes.plot(minutes, [each / MIB for each in over["memory"]], color=COLOURS["txcoap"], label="memory, MiB")
    for name in ("peers", "observers"):
        axes.plot(minutes, over[name], label=name)
    axes.plot(minutes, [each / 1000 for each in over["remembered"]], label="remembered messages, thousands")
    axes.plot(minutes, [each / 1000 for each in over["ended"]], ":", label="requests so far, thousands")
    axes.set_ylim(0, 1.4 * max(over["memory"]) / MIB)
    axes.set_xlabel("minutes")
    axes.legend(fontsize=8, ncols=3, loc="upper left")
    axes.grid(alpha=0.3)
    axes.set_title("A mixed load for ten minutes: what grows")


#: Each plot: what of, by what, and its height in inches.
PLOTS: dict[str, tuple[str, Callable[[Any, dict[str, Any]], None], float]] = {
    "servers": ("servers", _servers, 4.5),
    "clients": ("clients", _clients, 3.5),
    "shares": ("shares", _shares, 3.5),
    "scaling": ("scaling", _scaling, 4.5),
    "startup": ("startup", _startup, 3.5),
    "soak": ("soak", _soak, 4.5),
}


def writePlots(measured: dict[str, Any], into: Path) -> None:
    """
    Draw what was measured, as C{NAME.png}.

    @raise NoPlots: without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise NoPlots("no plots: matplotlib is missing (pip install txcoap[bench])") from None
    for name, (source, draw, height) in PLOTS.items():
        if source in measured:
            figure = Figure(figsize=(9, height), layout="constrained")
            draw(figure.subplots(), measured)
            # Without the date and the version of what drew it, the same figures give the same file.
            figure.savefig(into / f"{name}.png", format="png", dpi=110, metadata={"Software": None})
