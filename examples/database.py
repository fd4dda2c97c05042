"""
Writes what a sensor says to a database, SQLite by C{twisted.enterprise.adbapi}, until the server ends it::

    twistd -n coap --resources examples.sensor
    python -m examples.database coap://localhost/temperature readings.db
    sqlite3 readings.db 'SELECT * FROM readings'

The database is written to in a thread; while that is busy, only the newest state waits.
"""

import sys
from typing import Any

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.task import react

from txcoap import Agent
from txcoap.errors import CoAPError

SCHEMA = "CREATE TABLE IF NOT EXISTS readings (name TEXT, time REAL, value REAL, PRIMARY KEY (name, time))"
STORE = "INSERT OR IGNORE INTO readings VALUES (?, ?, ?)"


def openPool(reactor: Any, path: str) -> ConnectionPool:
    """One connection in one thread; SQLite lets one write at a time."""
    how = {"cp_reactor": reactor, "cp_min": 1, "cp_max": 1, "check_same_thread": False}
    return ConnectionPool("sqlite3", path, **how)


def store(transaction: Any, records: list[dict[str, Any]]) -> None:
    """Write the records of a state in SenML, in one transaction; those that are there already stay."""
    transaction.executemany(STORE, [(each["n"], each["t"], each["v"]) for each in records])


async def main(reactor: Any, uri: str, path: str) -> None:
    pool = openPool(reactor, path)
    try:
        await pool.runOperation(SCHEMA)
        async with Agent(reactor) as agent, await agent.observe(uri, accept=110) as states:
            async for state in states:
                state.raiseForCode()
                await pool.runInteraction(store, state.json())
                print("stored", state.text())
    except CoAPError as e:
        print("it has ended:", e)
    finally:
        pool.close()


if __name__ == "__main__":
    react(main, sys.argv[1:])
