"""
What a server counted, for Prometheus: its text format, version 0.0.4, as a resource of C{twisted.web}.

The format is written here, as it is lines of names and numbers; a client library would keep the
figures a second time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http, resource, server

from .logs import Sparing
from .sansio.counters import BOUNDS
from .sansio.health import Health, Messages, Times

__all__ = ["PrometheusResource", "metricsText"]

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

Figures = Health | Mapping[str, Health]

Sample = tuple[str, Mapping[str, str], float]

_TABLE_FIGURES = {
    "size": "How much is in each table.",
    "highest": "The most that was seen in each table.",
    "limit": "How much each table holds at most.",
}


class PrometheusResource(resource.Resource):
    """
    Shows a server's figures to Prometheus, beside what else a site of C{twisted.web} serves::

        root.putChild(b"metrics", PrometheusResource(site.health))

    @param source: What gives a L{Health}: the C{health} method of a L{Site<txcoap.server.Site>}, a
        L{CoAPProtocol<txcoap.protocol.CoAPProtocol>} or a L{CoAPService<txcoap.service.CoAPService>}; or
        several by the name of the worker, as those of a L{Supervisor<txcoap.workers.Supervisor>}. Or a
        Deferred.
    """

    isLeaf = True

    def __init__(self, source: Callable[[], Figures | Deferred[Any]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._source = source
        self._log = Sparing(Logger())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._source!r}>"

    def render_GET(self, request: Any) -> bytes | int:
        """The figures of now."""
        figures = self._source()
        if not isinstance(figures, Deferred):
            return _written(request, figures)
        hasLeft: list[Failure] = []
        request.notifyFinish().addErrback(hasLeft.append)

        def write(figures: Figures) -> None:
            if not hasLeft:
                request.write(_written(request, figures))
                request.finish()

        def fail(failure: Failure) -> None:
            self._log.failure(
                "the figures for Prometheus cannot be had, so it is answered 500", failure=failure
            )
            if not hasLeft:
                request.setResponseCode(http.INTERNAL_SERVER_ERROR)
                request.finish()

        figures.addCallback(write).addErrback(fail)
        return server.NOT_DONE_YET


def _written(request: Any, figures: Figures) -> bytes:
    request.setHeader(b"content-type", CONTENT_TYPE)
    return metricsText(figures).encode("utf-8")


def metricsText(figures: Figures) -> str:
    """
    A server's figures in Prometheus' text format.

    @param figures: Those of a server, or of each worker by its name, which becomes the label C{worker}.
    """
    parts = {"": figures} if isinstance(figures, Health) else figures
    # All samples of a metric stand together.
    families: dict[str, list[str]] = {}
    for worker, health in parts.items():
        own = {"worker": worker} if worker else {}
        for name, kind, text, samples in _families(health):
            lines = families.setdefault(name, [f"# HELP {name} {text}", f"# TYPE {name} {kind}"])
            lines += [f"{sample}{_labels({**own, **labels})} {value}" for sample, labels, value in samples]
    return "".join(f"{line}\n" for lines in families.values() for line in lines)


def _families(health: Health) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    """Each metric: its name, its type, what it is, its samples."""
    yield from _single("txcoap_sockets", "gauge", "Open sockets.", health.sockets)
    for way, messages in (("received", health.received), ("sent", health.sent)):
        yield from _traffic(way, messages)
    for name, count in health.counters.items():
        # The sums of those by type, and what is no message.
        snake = re.sub("([A-Z])", r"_\1", name).lower()
        metric = (
            f"txcoap_datagrams_{snake}_total" if name in {"received", "sent"} else f"txcoap_{snake}_total"
        )
        yield from _single(metric, "counter", f"The counter {name}; see the page on limits.", count)
    for figure, text in _TABLE_FIGURES.items():
        metric = f"txcoap_table_{figure}"
        values = [(table, getattr(sizes, figure)) for table, sizes in health.tables.items()]
        samples = [(metric, {"table": table}, value) for table, value in values if value is not None]
        yield metric, "gauge", text, samples
    yield from _histogram("txcoap_round_trip_seconds", "How long our requests took.", health.roundTrips)
    text = "How long requests took that were not answered at once."
    yield from _histogram("txcoap_answer_seconds", text, health.answerTimes)


def _single(metric: str, kind: str, text: str, value: float) -> Iterator[tuple[str, str, str, list[Sample]]]:
    yield metric, kind, text, [(metric, {}, value)]


def _traffic(way: str, messages: Messages) -> Iterator[tuple[str, str, str, list[Sample]]]:
    for what, label, counts in (
        ("messages", "type", messages.types),
        ("requests", "method", messages.requests),
        ("responses", "code", messages.responses),
    ):
        metric = f"txcoap_{what}_{way}_total"
        samples: list[Sample] = [(metric, {label: name}, count) for name, count in counts.items()]
        yield metric, "counter", f"The {what} {way}, copies too, by {label}.", samples


def _histogram(metric: str, text: str, times: Times) -> Iterator[tuple[str, str, str, list[Sample]]]:
    bounds = [*map(str, BOUNDS), "+Inf"]
    samples: list[Sample] = [
        (f"{metric}_bucket", {"le": bound}, count)
        for bound, count in zip(bounds, accumulate(times.counts), strict=True)
    ]
    samples += [(f"{metric}_sum", {}, round(times.total, 6)), (f"{metric}_count", {}, times.count)]
    yield metric, "histogram", text, samples


def _labels(labels: Mapping[str, str]) -> str:
    """In braces; no name or value of ours needs an escape."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""
