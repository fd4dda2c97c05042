"""What happens where another implementation is not installed."""

from __future__ import annotations

import os
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from . import peers


class AbsenceTests(SynchronousTestCase):
    """A peer that is not there."""

    def setUp(self) -> None:
        """An environment without the variable."""
        environment = {name: each for name, each in os.environ.items() if name != "TXCOAP_INTEROP"}
        self.patch(os, "environ", environment)

    def test_skipped(self) -> None:
        """Its tests are skipped, with what to do about it."""
        skip = self.assertRaises(SkipTest, peers.program, "no-such-coap", "apt-get install it")
        self.assertEqual(str(skip), "no-such-coap is not installed: apt-get install it")

    def test_required(self) -> None:
        """Where peers are required its tests fail."""
        os.environ["TXCOAP_INTEROP"] = "required"
        self.assertRaises(peers.PeerMissing, peers.program, "no-such-coap", "apt-get install it")

    def test_present(self) -> None:
        """One that is there is found."""
        self.assertTrue(os.path.isabs(peers.program("sh", "a POSIX shell")))


class ReadingTests(SynchronousTestCase):
    """What the clients print, as answers."""

    def test_libcoap(self) -> None:
        """Received messages are read from libcoap's log, acknowledgements and requests are not."""
        log = (
            "sent 8 bytes\nv:1 t:CON c:GET i:42e7 {01} [ Uri-Path:a ]\n"
            "received 4 bytes\nv:1 t:ACK c:0.00 i:42e7 {} [ ]\n"
            "received 20 bytes\nv:1 t:CON c:2.05 i:c2cc {01} "
            r"[ ETag:0x6869, Max-Age:30 ] :: 'it\x0Ais'"
            "\nreceived 9 bytes\nv:1 t:NON c:2.04 i:c2cd {01} [ ] :: binary data length 2\n<<00ff>>\n"
            "received 9 bytes\nv:1 t:ACK c:4.04 i:c2ce {01} [ ]\n"
        )
        options = (("ETag", "6869"), ("Max-Age", "30"))
        self.assertEqual(
            peers.readMessages(log),
            [
                peers.Answer("2.05", "CON", b"it\nis", options),
                peers.Answer("2.04", "NON", b"\x00\xff"),
                peers.Answer("4.04", "ACK", b""),
            ],
        )

    def test_scripts(self) -> None:
        """Options come by number and bytes, or by name and value."""
        lines = (
            '{"code":"2.05","type":"ACK","options":[[12,""],[4,"ff"]],"payload":"6869"}\n'
            '{"code":"2.04","type":"NON","options":[["Max-Age",30]],"payload":""}\n'
        )
        first, second = peers.readLines(lines)
        self.assertEqual(first.get("ETag"), ["ff"])
        self.assertEqual(first.payload, b"hi")
        self.assertEqual(second, peers.Answer("2.04", "NON", b"", (("Max-Age", "30"),)))
