"""
What happens to a L{Subject<fuzz.soundness.Subject>}, as bytes: so that what is guided by coverage can change
it as it likes, and a finding is a file.

A script is a row of steps. The first byte of each, modulo 8, is what happens, the second says more::

    0, 1      a datagram comes from peer n; then its length in one byte, and its bytes
    2         the same by multicast
    3, 4      the same, with the message ID and the token of the nth last message that was sent
    5         time passes, n of L{TIMES}
    6         something happens on our side
    7         the network returns the nth last message

Whatever is cut short at the end is taken as far as it goes.
"""

from __future__ import annotations

from collections.abc import Iterable

from .soundness import GROUP, Subject
from .spoiling import written

__all__ = ["TIMES", "play", "receiving", "replying"]

PEERS = [("192.0.2.9", port) for port in range(5683, 5687)]
TIMES = (0.0, 0.05, 0.3, 1.0, 3.0, 30.0, 100.0, 300.0)

_LONGEST = 255


def play(subject: Subject, script: bytes) -> None:
    """
    Let all of a script happen, and then nothing for a long time.

    @raise Unsound: if an invariant does not hold.
    """
    at = 0
    while at + 1 < len(script):
        what, which = script[at] % 8, script[at + 1]
        at += 2
        if what < 5:
            length = script[at] if at < len(script) else 0
            data = script[at + 1 : at + 1 + length]
            at += 1 + length
            _receive(subject, what, which, data)
        elif what == 5:
            subject.elapse(TIMES[which % len(TIMES)])
        elif what == 6:
            subject.stir()
        elif subject.recent:
            sent, peer = subject.recent[-1 - which % len(subject.recent)]
            subject.returned(written(sent), peer)
    subject.end()


def _receive(subject: Subject, what: int, which: int, data: bytes) -> None:
    if what < 3:
        subject.receive(data, PEERS[which % len(PEERS)], GROUP if what == 2 else None)
    elif subject.recent and len(data) >= 4:
        sent, peer = subject.recent[-1 - which % len(subject.recent)]
        # An empty message has no token (RFC 7252 4.1).
        token = sent.token if data[1] else b""
        head = bytes((data[0] & 0xF0 | len(token), data[1])) + sent.messageID.to_bytes(2, "big")
        subject.receive(head + token + data[4 + (data[0] & 15) :], peer)


def receiving(datagrams: Iterable[bytes], peer: int = 0) -> bytes:
    """The part of a script in which these come from a peer; those too long for a step are left out."""
    return b"".join(bytes((0, peer, len(data))) + data for data in datagrams if len(data) <= _LONGEST)


def replying(data: bytes, which: int = 0) -> bytes:
    """The part of a script in which this comes as the answer to the nth last message that was sent."""
    return bytes((3, which, len(data))) + data
