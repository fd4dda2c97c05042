"""
Asks C{examples.lamp}, or a server like it::

    python -m examples.client coap://localhost
"""

import sys
from typing import Any

from twisted.internet.task import react

from txcoap import Agent, ResponseError
from txcoap.errors import RequestError


async def main(reactor: Any, server: str = "coap://localhost") -> None:
    agent = Agent(reactor)
    try:
        for link in await agent.discover(server, "rt=light"):
            print("found", link.target, "-", link.title)

        response = await agent.get(f"{server}/lamp")
        print("it is", response.text())

        response = await agent.put(f"{server}/lamp", "on", ifMatch=response.etag)
        print("switched:", response.code)

        response = await agent.put(f"{server}/lamp", "blue")
        response.raiseForCode()
    except ResponseError as e:
        print("the server says no:", e)
    except RequestError as e:
        print("no answer:", e)
    finally:
        await agent.close()


if __name__ == "__main__":
    react(main, sys.argv[1:])
