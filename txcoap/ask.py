"""
Asking without an agent of one's own: C{await ask.get("coap://localhost/light")}.

Every reactor has a default agent. It opens a socket when it is asked something and closes it as soon as
nothing is under way, so that there is nothing to be closed. By C{reactor=} these functions take that
reactor's, else that of the installed one, as do those of C{treq}. All else is as for
L{Agent<txcoap.client.Agent>}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from .client import Agent
from .codes import Code
from .interfaces import IAgent
from .uri import URI
from .verbs import Verbs

__all__ = [
    "delete",
    "discover",
    "fetch",
    "get",
    "getDefaultAgent",
    "iPatch",
    "multicast",
    "observe",
    "patch",
    "ping",
    "post",
    "put",
    "request",
    "setDefaultAgent",
]

# Kept on the reactor itself: it lives as long as that.
_KEPT_AS = "txcoapDefaultAgent"


def getDefaultAgent(reactor: Any = None) -> Any:
    """
    The default agent of a reactor, made when first needed.

    @param reactor: By default the installed one.
    """
    reactor = _installed() if reactor is None else reactor
    agent = getattr(reactor, _KEPT_AS, None)
    if agent is None:
        agent = Agent(reactor, idleTimeout=0)
        setattr(reactor, _KEPT_AS, agent)
    return agent


def setDefaultAgent(agent: Any, reactor: Any = None) -> Any:
    """
    Have another agent be the default: one with parameters of its own, say, or one that keeps responses.

    @param agent: An L{IAgent}; None for one that is made anew when needed.
    @param reactor: Whose default; by default the installed one's.
    @return: The one before, which is not closed; None if none was needed so far.
    @raise TypeError: if it is no agent.
    """
    if not (agent is None or IAgent.providedBy(agent)):
        raise TypeError(f"the default is an agent; got {agent!r}")
    reactor = _installed() if reactor is None else reactor
    before = getattr(reactor, _KEPT_AS, None)
    setattr(reactor, _KEPT_AS, agent)
    return before


def _installed() -> Any:
    from twisted.internet import reactor

    return reactor


class _ByDefault(Verbs):
    """Asks the default agent of the time."""

    def request(
        self, method: Code | str | int, uri: str | URI | None = None, payload: Any = b"", **how: Any
    ) -> Deferred[Any]:
        """Ask for something; see L{Agent.request<txcoap.client.Agent.request>}."""
        agent = getDefaultAgent(how.pop("reactor", None))
        asking: Deferred[Any] = agent.request(method, uri, payload, **how)
        return asking


def observe(
    uri: str | URI | None = None, payload: bytes = b"", *, reactor: Any = None, **how: Any
) -> Deferred[Any]:
    """Observe a resource; see L{Agent.observe<txcoap.client.Agent.observe>}."""
    observing: Deferred[Any] = getDefaultAgent(reactor).observe(uri, payload, **how)
    return observing


def ping(uri: str | URI, *, reactor: Any = None, timeout: float | None = None) -> Deferred[None]:
    """Ask whether a peer is there; see L{Agent.ping<txcoap.client.Agent.ping>}."""
    pinging: Deferred[None] = getDefaultAgent(reactor).ping(uri, timeout=timeout)
    return pinging


def multicast(uri: str | URI, payload: Any = b"", *, reactor: Any = None, **how: Any) -> Any:
    """Ask a group; see L{Agent.multicast<txcoap.client.Agent.multicast>}."""
    return getDefaultAgent(reactor).multicast(uri, payload, **how)


_byDefault = _ByDefault()
request = _byDefault.request
get = _byDefault.get
post = _byDefault.post
put = _byDefault.put
delete = _byDefault.delete
fetch = _byDefault.fetch
patch = _byDefault.patch
iPatch = _byDefault.iPatch
discover = _byDefault.discover
