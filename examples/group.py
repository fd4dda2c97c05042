"""
Who is in a group, and what they have: asks all CoAP servers of the network for their resources (RFC 7252 8)::

    twistd -n coap --resources examples.lamp --multicast 224.0.1.187%lo
    python -m examples.group coap://224.0.1.187 lo
"""

import sys
from typing import Any

from twisted.internet.task import react

from txcoap import Agent
from txcoap.addresses import describeAddress
from txcoap.linkformat import parse

SECONDS = 6


async def main(reactor: Any, group: str, interface: str = "") -> None:
    """Print each server as it answers, and its links."""
    agent = Agent(reactor)
    count = 0
    async with agent.multicast(
        f"{group}/.well-known/core", seconds=SECONDS, interface=interface, accept=40
    ) as answers:
        async for answer in answers:
            count += 1
            print(describeAddress(answer.getPeerAddress()))
            for link in parse(answer.text(), lenient=True):
                print(f"  {link.target}")
    print(f"{count} answered within {SECONDS} s")
    await agent.close()


if __name__ == "__main__":
    react(main, sys.argv[1:])
