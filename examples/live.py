"""
Shows a sensor live at http://127.0.0.1:8080/, by server-sent events; all who look share one observation::

    twistd -n coap --resources examples.sensor
    python -m examples.live coap://localhost/temperature
"""

import json
import sys
from typing import Any

from twisted.internet import defer, endpoints, task
from twisted.web import resource, server, static

from txcoap import Agent
from txcoap.caching import CachingAgent
from txcoap.errors import RequestError


class Events(resource.Resource):
    """The states of a resource, each as JSON; a browser that cannot keep up gets the newest."""

    def __init__(self, agent: Any, uri: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.agent, self.uri = agent, uri

    def render_GET(self, request: Any) -> int:
        request.setHeader("Content-Type", "text/event-stream")
        telling = defer.Deferred.fromCoroutine(self.tell(request))
        telling.addErrback(lambda failure: failure.trap(defer.CancelledError))
        request.notifyFinish().addErrback(lambda _: telling.cancel())
        return server.NOT_DONE_YET

    async def tell(self, request: Any) -> None:
        try:
            async with await self.agent.observe(self.uri) as states:
                states.subscribe(lambda each: request.write(f"data: {json.dumps(each.text())}\n\n".encode()))
                request.registerProducer(states, True)
                reason = await states.notifyEnd()
                request.unregisterProducer()
        except RequestError as e:
            reason = e
        request.write(f"event: ended\ndata: {json.dumps(str(reason))}\n\n".encode())
        request.finish()


def makeTree(agent: Agent, uri: str) -> resource.Resource:
    root = resource.Resource()
    root.putChild(b"", static.File(__file__.replace(".py", ".html")))
    root.putChild(b"events", Events(CachingAgent(agent), uri))
    return root


async def main(reactor: Any, uri: str, where: str = "tcp:8080:interface=127.0.0.1") -> None:
    await endpoints.serverFromString(reactor, where).listen(server.Site(makeTree(Agent(reactor), uri)))
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
