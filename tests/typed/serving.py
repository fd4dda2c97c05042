"""
What goes by the interfaces of Twisted and zope, which C{mypy --strict} passes with the plugin mypy-zope.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import react
from zope.interface import implementer

from txcoap import URI, Agent, Limits, Parameters, Resource, Response, Site
from txcoap.caching import CachingAgent
from txcoap.endpoints import serverFromString
from txcoap.interfaces import IAgent, IResource
from txcoap.linkformat import Link


@implementer(IResource)
class Own:
    """A resource that inherits nothing."""

    isLeaf = True
    multicastAnswers = Resource.multicastAnswers

    def getChildWithDefault(self, segment: str, request: Any) -> Any:
        return self

    def render(self, request: Any) -> Response:
        return Response("2.05", b"own")

    def getLinks(self, path: str) -> list[Link]:
        return []


async def serve(reactor: Any, root: Resource) -> IListeningPort:
    """On a free port."""
    site = Site(root, parameters=Parameters(NSTART=2), limits=Limits(peers=10))
    return await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(site)


async def main(reactor: Any) -> None:
    """Both sides."""
    port = await serve(reactor, Resource())
    print(port.getHost())
    async with Agent(reactor, blockSize=512) as agent:
        print((await ask(agent)).code)
        print((await ask(CachingAgent(agent, maximumEntries=10))).payload)


async def ask(agent: IAgent) -> Response:
    """By whichever agent."""
    response: Response = await agent.request("GET", URI("coap", "localhost"))
    return response


if __name__ == "__main__":
    react(main)
