"""
L{Health}: what was counted, and how full the tables are, as one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import accumulate
from operator import add
from typing import Any

from ..codes import Code
from ..limits import Limits
from .counters import BOUNDS, Counters, Histogram, Traffic
from .datagrams import Type

__all__ = ["Health", "Messages", "Table", "Times", "healthOf"]

_METHODS = frozenset(code for code in Code if code.isRequest)

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Messages:
    """
    Messages that went one way, copies too.

    @ivar types: How many were C{"CON"}, C{"NON"}, C{"ACK"} and C{"RST"}.
    @ivar requests: How many were requests, by method: C{"GET"}.
    @ivar responses: How many were responses, by code: C{"2.05"}. What is in no message is not named.
    """

    types: Counts
    requests: Counts
    responses: Counts


@dataclass(frozen=True, slots=True)
class Table:
    """
    One table that a peer can make grow.

    @ivar size: How much is in it.
    @ivar highest: The most that was seen in it. It is looked at on reading, and at most once a second
        when something is due: a short peak may not be seen.
    @ivar limit: How much it holds at most; None where no limit of this name bounds it.
    """

    size: int
    highest: int
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """
    How long something took.

    @ivar counts: For each of L{BOUNDS}, how many took that long or less, and longer than the bound before;
        one more for those that took longer than all.
    @ivar total: Seconds that all took together.
    """

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    total: float = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """
        By when so many were done.

        @param share: From 0 to 1: 0.99 for all but one in a hundred.
        @return: The bound of the bucket in which that one is, in seconds; infinity beyond the last, and 0.0
            if there was none.
        """
        wanted = share * self.count
        for bound, reached in zip((*BOUNDS, float("inf")), accumulate(self.counts), strict=True):
            if reached and reached >= wanted:
                return bound
        return 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """
    How a socket does, or several together: C{+} adds them up.

    @ivar sockets: How many.
    @ivar counters: What was counted since they were opened, by name; see L{Counters} for the names.
    @ivar received: The messages that came.
    @ivar sent: The messages that were sent.
    @ivar tables: The tables, by name. Of several sockets, the sums.
    @ivar roundTrips: How long our requests took, those that were answered; the wait for their turn is
        within.
    @ivar answerTimes: How long requests took to be answered of which the render method did not answer at
        once, from when it returned.
    """

    sockets: int = 0
    counters: Counts = field(default_factory=dict)
    received: Messages = field(default_factory=lambda: Messages({}, {}, {}))
    sent: Messages = field(default_factory=lambda: Messages({}, {}, {}))
    tables: Mapping[str, Table] = field(default_factory=dict)
    roundTrips: Times = Times()
    answerTimes: Times = Times()

    def __add__(self, other: Health) -> Health:
        return Health(
            self.sockets + other.sockets,
            _sum(self.counters, other.counters),
            _sumMessages(self.received, other.received),
            _sumMessages(self.sent, other.sent),
            _sumTables(self.tables, other.tables),
            _sumTimes(self.roundTrips, other.roundTrips),
            _sumTimes(self.answerTimes, other.answerTimes),
        )

    @classmethod
    def ofAll(cls, parts: Iterable[Health]) -> Health:
        """Several added up; of none, nothing."""
        return sum(parts, cls())

    def counting(self, more: Counts) -> Health:
        """The same with more counters."""
        return replace(self, counters={**self.counters, **more})

    def toDict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers, as for JSON."""
        return {
            "sockets": self.sockets,
            "counters": dict(self.counters),
            "received": _messagesToDict(self.received),
            "sent": _messagesToDict(self.sent),
            "tables": {
                name: {"size": table.size, "highest": table.highest, "limit": table.limit}
                for name, table in self.tables.items()
            },
            "roundTrips": _timesToDict(self.roundTrips),
            "answerTimes": _timesToDict(self.answerTimes),
        }

    @classmethod
    def fromDict(cls, given: Mapping[str, Any]) -> Health:
        """
        What L{toDict} gave, also after a way through JSON.

        @raise KeyError: if something is missing.
        """
        return cls(
            given["sockets"],
            given["counters"],
            Messages(**given["received"]),
            Messages(**given["sent"]),
            {name: Table(**sizes) for name, sizes in given["tables"].items()},
            _timesFromDict(given["roundTrips"]),
            _timesFromDict(given["answerTimes"]),
        )


def healthOf(counters: Counters, sizes: Counts, highest: Counts, limits: Limits) -> Health:
    """
    The health of one socket.

    @param sizes: How much is in each table.
    @param highest: The most that was seen in each.
    """
    counted = {"received": counters.received, "sent": counters.sent}
    for each in fields(counters):
        value = getattr(counters, each.name)
        if isinstance(value, int):
            counted[each.name] = value
    tables = {
        name: Table(size, highest.get(name, size), getattr(limits, name, None))
        for name, size in sizes.items()
    }
    return Health(
        1,
        counted,
        _messages(counters.incoming),
        _messages(counters.outgoing),
        tables,
        _times(counters.roundTrips),
        _times(counters.answerTimes),
    )


def _messages(traffic: Traffic) -> Messages:
    types = {each.name: sum(traffic.byType[each]) for each in Type}
    codes = map(sum, zip(*traffic.byType, strict=True))
    seen = [(Code.fromByte(byte), count) for byte, count in enumerate(codes) if count]
    requests = {_methodName(code): count for code, count in seen if code.isRequest}
    responses = {code.dotted: count for code, count in seen if code.isResponse}
    return Messages(types, requests, responses)


def _methodName(code: Code) -> str:
    return code.phrase if code in _METHODS else code.dotted


def _times(histogram: Histogram) -> Times:
    return Times(tuple(histogram.counts), histogram.total)


def _sum(ours: Counts, others: Counts) -> Counts:
    return {name: ours.get(name, 0) + others.get(name, 0) for name in (*ours, *others)}


def _sumMessages(ours: Messages, others: Messages) -> Messages:
    return Messages(
        _sum(ours.types, others.types),
        _sum(ours.requests, others.requests),
        _sum(ours.responses, others.responses),
    )


def _sumTables(ours: Mapping[str, Table], others: Mapping[str, Table]) -> Mapping[str, Table]:
    tables = dict(ours)
    for name, other in others.items():
        own = tables.get(name)
        if own is not None:
            limit = None if own.limit is None or other.limit is None else own.limit + other.limit
            other = Table(own.size + other.size, own.highest + other.highest, limit)
        tables[name] = other
    return tables


def _sumTimes(ours: Times, others: Times) -> Times:
    return Times(tuple(map(add, ours.counts, others.counts)), ours.total + others.total)


def _messagesToDict(messages: Messages) -> dict[str, Any]:
    return {
        "types": dict(messages.types),
        "requests": dict(messages.requests),
        "responses": dict(messages.responses),
    }


def _timesToDict(times: Times) -> dict[str, Any]:
    buckets = {str(bound): count for bound, count in zip(BOUNDS, times.counts, strict=False)}
    return {"count": times.count, "total": round(times.total, 6), "buckets": buckets}


def _timesFromDict(given: Mapping[str, Any]) -> Times:
    counts = [given["buckets"][str(bound)] for bound in BOUNDS]
    return Times((*counts, given["count"] - sum(counts)), given["total"])
