"""
txcoap's agent as it is measured.

Usage: C{python asking_txcoap.py PORT}
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from benchmarks.clients.asking import obey
from txcoap import Agent
from txcoap.parameters import Parameters


async def main(reactor: Any, port: str) -> None:
    """
    Ask as told.
    """
    agent = Agent(reactor, parameters=Parameters(NSTART=64))
    uri = f"coap://127.0.0.1:{port}/hello"

    async def ask() -> bytes:
        response = await agent.get(uri)
        payload: bytes = response.payload
        return payload

    await obey(ask, lambda chains: gatherResults([Deferred.fromCoroutine(each) for each in chains]))


if __name__ == "__main__":
    react(main, sys.argv[1:])
