"""
Requests that come by multicast (RFC 7252 8): what of an answer is better kept to oneself.

When the rest is sent is the machine's matter, see L{txcoap.sansio.messaging}; and who is in which group the
transport's, see L{txcoap.transports.membership}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .codes import Code
from .errors import BadRequest, ProxyingNotSupported
from .groups import Answering
from .message import Response
from .options import Options
from .request import Request
from .sansio.events import IncomingRequest

if TYPE_CHECKING:
    from .protocol import CoAPProtocol
    from .server import Site

__all__ = ["MulticastRequest"]


class MulticastRequest(Request):
    """
    A request that came by multicast.

    Of its answer only what is worth everybody's while is sent, as the resource's C{multicastAnswers} says,
    or the request's No-Response. It cannot observe: its Observe is ignored. It is never rejected.
    """

    isMulticast = True

    def __init__(self, site: Site, protocol: CoAPProtocol, exchange: IncomingRequest) -> None:
        super().__init__(site, protocol, exchange)
        if self.options.observe is not None:
            self.options = self.options.without(Options.observe.number)

    def check(self) -> None:
        """
        See that it asks for something that a group can be asked for.

        @raise ResponseError: if not.
        """
        options = self.options
        if options.proxyUri is not None or options.proxyScheme is not None:
            raise ProxyingNotSupported()
        block2 = options.block2
        if options.block1 is not None or (block2 is not None and block2.number):
            # RFC 7959 2.8: the other blocks are a matter between two.
            raise BadRequest("a group is asked for a first block only, and sent none")

    @property
    def isForResource(self) -> bool:
        """Whether the resource heeds such requests."""
        return self._answering is not Answering.NEVER

    @property
    def _answering(self) -> Answering:
        answering: Answering = getattr(self.resource, "multicastAnswers", Answering.USEFUL)
        return answering

    def wants(self, response: Response) -> bool:
        """Whether a response is worth sending (RFC 7252 8.2, RFC 7967 2.1)."""
        answering = self._answering
        if answering is Answering.ALWAYS or self.options.noResponse is not None:
            return super().wants(response)
        isEmpty = response.code == Code.CONTENT and not response.payload
        return response.code.isSuccess and not (isEmpty and answering is Answering.USEFUL)

    def respond(self, response: Response) -> None:
        """Answer, for good."""
        self.site.respond(self, response)

    def send(self, response: Response) -> bool:
        """Hand the answer to the protocol, if it is worth that; whether it was still wanted."""
        if self.wants(response):
            return super().send(response)
        self.protocol.silence(self.exchange)
        return True

    def answer(self, response: Response) -> None:
        """Send a response as it is, if it is worth that."""
        if self.wants(response):
            super().answer(response)
        else:
            self.silence()

    def reset(self) -> None:
        """Answer nothing: what came by multicast is not rejected (RFC 7252 8.1)."""
        self.silence()
