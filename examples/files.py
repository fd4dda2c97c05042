"""
Files: one directory to read, such as firmware, and one to which everybody may write::

    python -m examples.files /srv/coap
    txcoap get -o image.bin coap://localhost/firmware/image.bin
    txcoap put -f report.txt coap://localhost/inbox/report.txt

They are C{firmware} and C{inbox} below the directory that is named.
"""

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from txcoap import Resource, Site
from txcoap.endpoints import serverFromString
from txcoap.static import File
from txcoap.writable import WritableFile

LARGEST = 10_000_000
"""Bytes of a file that is taken; a larger one is answered 4.13."""


def makeTree(directory: Path) -> Resource:
    """C{/firmware}, fresh for an hour, and C{/inbox}, where directories are made as they are needed."""
    for name in ("firmware", "inbox"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    tree = Resource()
    tree.putChild("firmware", File(directory / "firmware", maxAge=3600))
    tree.putChild("inbox", WritableFile(directory / "inbox", maximumBody=LARGEST, makeDirectories=True))
    return tree


async def main(reactor: Any, directory: str, where: str = "udp:5683") -> None:
    port: Any = await serverFromString(reactor, where).listen(Site(makeTree(Path(directory))))
    print(f"serving {directory} at {port.getHost()}")
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
