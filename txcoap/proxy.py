"""
L{ForwardProxy}: asks other servers in the name of clients (RFC 7252 5.7.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from zope.interface import implementer

from .addresses import addressOf
from .allowlist import AllowList, Target, plainAddress
from .errors import BadOption, InvalidURI, ProxyingNotSupported
from .interfaces import IProxy
from .names import resolve
from .options import NO_OPTIONS, PROXY_OPTIONS, URI_OPTIONS, Options
from .relay import Relay
from .request import Request
from .sansio.events import IncomingRequest
from .sansio.relaying import onward
from .shortcuts import Shortcuts
from .uri import URI

__all__ = ["AllowList", "ForwardProxy", "Target"]

# The resolver's own patience is longer than any client's.
_LOOKUP_TIMEOUT = 20.0

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@implementer(IProxy)
class ForwardProxy(Relay):
    """
    Asks other servers in the name of clients: C{Site(root, proxy=ForwardProxy(Agent(reactor)))}.

    It takes requests with Proxy-Uri or Proxy-Scheme; the site's tree answers all others, and those for the
    proxy itself. Bodies, observing and errors go through it; see L{Relay} for its bounds.

    @param agent: What asks: an L{Agent<txcoap.client.Agent>}, or another L{IAgent
        <txcoap.interfaces.IAgent>}.
    @param policy: Called with each request and its L{Target}: whether to ask there. It may raise a
        L{ResponseError<txcoap.errors.ResponseError>} instead of a plain 5.05. A name is looked up once, and
        only an address that was judged is asked. By default an L{AllowList} of nothing but this machine's
        loopback addresses. Multicast and unspecified addresses and Unix sockets are never asked. A policy
        whose C{isFixed} is true, as an AllowList's is, is not called again for a request that it allowed and
        that is answered from a cache.
    @param hosts: Further names and addresses by which clients know the proxy itself.
    @param bounds: As for L{Relay}: C{maximumRequests}, C{maximumObservations}, C{timeout}, C{hopLimit},
        C{name}, C{maximumBody}.
    @cvar schemes: What is asked for; a request for any other is answered 5.05.
    """

    schemes: frozenset[str] = frozenset({"coap"})

    def __init__(
        self,
        agent: Any,
        policy: Callable[[Request, Target], bool] | None = None,
        *,
        hosts: Iterable[str] = (),
        **bounds: Any,
    ) -> None:
        super().__init__(agent, **bounds)
        self.policy = AllowList() if policy is None else policy
        self.hosts = frozenset(URI("coap", host).host for host in hosts)
        find = getattr(agent, "findByKey", None)
        self._shortcuts = None if find is None else Shortcuts(find)
        # What the last request was for: it is asked twice, to route it and to pass it on.
        self._last: tuple[IncomingRequest | None, Options, URI | None] = (None, NO_OPTIONS, None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to where {self.policy!r} allows>"

    def answersAtOnce(self, request: Request) -> bool:
        """See L{IProxy}: with what a cache has for a request that came before."""
        if self._shortcuts is None:
            return False
        response = self._shortcuts.find(request, self.policy)
        if response is None:
            return False
        request.resource = self
        # What is found so asks for no more than the response: neither a block nor another ETag's.
        if not request.answersAtOnce(response):
            request.site.respond(request, response)
        return True

    def ownOptions(self, request: Request) -> Options | None:
        """See L{IProxy}."""
        uri = self._uriOf(request)
        if not self._isOurselves(uri, request):
            return None
        options = request.options
        if options.unrecognized:
            # They were left in it to be forwarded.
            raise BadOption()
        return options.without(*PROXY_OPTIONS, *URI_OPTIONS).evolve(uriPath=uri.path, uriQuery=uri.query)

    async def findHops(self, request: Request) -> Sequence[tuple[URI, Options]]:
        """See L{Relay.findHops}."""
        uri = self._uriOf(request)
        if uri.isUnixPath:
            raise ProxyingNotSupported("the proxy does not ask there")
        addresses, added = [uri.host], NO_OPTIONS
        if not uri.isLiteral:
            addresses = await resolve(request.protocol.reactor, uri.host, _LOOKUP_TIMEOUT)
            added = Options(uriHost=uri.host)
        hops = [
            (uri if address == uri.host else replace(uri, host=address), added)
            for address in addresses
            if _isOneHost(address) and self.policy(request, Target(uri, address))
        ]
        if not hops:
            raise ProxyingNotSupported("the proxy does not ask there")
        if self._shortcuts is not None and len(addresses) == 1:
            hop, _ = hops[0]
            target = Target(uri, hop.host)
            if not self._shortcuts.knows(request, self.policy, target):
                options = onward(request.options, None, self.name)
                self._shortcuts.learn(request, self.policy, target, hop, options.adding(*added))
        return hops

    def _uriOf(self, request: Request) -> URI:
        """What a request is for."""
        exchange, options, uri = self._last
        if uri is None or exchange is not request.exchange or options is not request.options:
            uri = self._readURI(request)
            self._last = (request.exchange, request.options, uri)
        return uri

    def _readURI(self, request: Request) -> URI:
        options = request.options
        text = options.proxyUri
        if text is not None:
            # RFC 7252 5.10.2: it takes precedence over all that says the same.
            match = _SCHEME.match(text)
            if match is None:
                raise BadOption("Proxy-Uri is no absolute URI")
            self._requireScheme(match[1])
        else:
            assert options.proxyScheme is not None
            self._requireScheme(options.proxyScheme)
        try:
            if text is not None:
                uri = URI.fromText(text)
                # Each part has to fit its option.
                uri.toOptions()
                return uri
            # With a host the default port is that of the scheme, as all implementations have it, and not that
            # at which the proxy was asked (RFC 7252 5.10.1).
            here, port = ("", 0) if options.uriHost else _askedAt(request)
            assert options.proxyScheme is not None
            return URI.fromOptions(options, options.proxyScheme.lower(), here, port)
        except InvalidURI:
            # RFC 7252 5.9.2.3: a malformed option.
            raise BadOption("what is asked for is no URI of CoAP") from None

    def _requireScheme(self, scheme: str) -> None:
        if scheme.lower() not in self.schemes:
            raise ProxyingNotSupported(f"only for {', '.join(sorted(self.schemes))}")

    def _isOurselves(self, uri: URI, request: Request) -> bool:
        """RFC 7252 5.7.2: whether a request names the proxy itself."""
        host, port = _askedAt(request)
        if uri.port != port:
            return False
        if uri.host in self.hosts or uri.host == host:
            return True
        bound = getattr(request.getHost(), "host", None)
        if bound is None or not (uri.isLiteral or uri.host == "localhost"):
            return False
        listening = plainAddress(bound)
        if uri.host == "localhost":
            return listening.is_loopback or listening.is_unspecified
        asked = plainAddress(uri.host)
        return asked == listening or (listening.is_unspecified and asked.is_loopback)


def _askedAt(request: Request) -> tuple[str, int]:
    """At which of our addresses a request came; empty and 0 where there is none."""
    here = request.getHost()
    host, port = getattr(here, "host", ""), getattr(here, "port", 0)
    local = getattr(request.exchange.local, "address", None)
    if local is None:
        return host, port
    return getattr(addressOf((local, port)), "host", local), port


def _isOneHost(address: str) -> bool:
    """Whether an address is that of a single host: an answer of many would be none to the client."""
    plain = plainAddress(address)
    return not (plain.is_multicast or plain.is_unspecified or str(plain) == "255.255.255.255")
