"""
Tests for L{txcoap.allowlist}: whom a proxy may ask.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcoap.allowlist import AllowList, Target
from txcoap.uri import URI


def allows(pattern: str, uri: str, address: str = "", loopback: bool = True) -> bool:
    """Whether a list of one pattern allows a URI, whose name has this address."""
    target = URI.fromText(uri)
    return AllowList(*filter(None, [pattern]), loopback=loopback)(
        None, Target(target, address or target.host)
    )


class AllowListTests(SynchronousTestCase):
    """What a pattern allows."""

    def test_addresses(self) -> None:
        """An address or network, by whatever name it is asked for."""
        rows = [
            ("192.0.2.7", "coap://192.0.2.7", "", True),
            ("192.0.2.7", "coap://192.0.2.8", "", False),
            ("192.0.2.0/24", "coap://192.0.2.8:61616/a", "", True),
            ("192.0.2.0/24", "coap://a.example", "192.0.2.8", True),
            ("192.0.2.0/24", "coap://192.0.3.1", "", False),
            ("192.0.2.0/24", "coap://192.0.2.9.example", "198.51.100.1", False),
            ("192.0.2.0/24", "coap://[::ffff:192.0.2.1]", "", True),
            ("192.0.2.0/24", "coap://[2001:db8::1]", "", False),
            ("[2001:db8::/32]", "coap://[2001:db8::1]", "", True),
            ("coap://[2001:db8::/32]", "coap://[2001:db8:1::1]:9", "", True),
            ("2001:db8::/32", "coap://[2001:db8::1]", "", True),
            ("2001:db8::1", "coap://[2001:db8::1]", "", True),
            ("[2001:db8::1]", "coap://[2001:db8::2]", "", False),
            ("fe80::/10", "coap://[fe80::1%25eth0]", "", True),
        ]
        for pattern, uri, address, expected in rows:
            self.assertEqual(allows(pattern, uri, address), expected, (pattern, uri))

    def test_names(self) -> None:
        """A name, or all below one, in any case."""
        rows = [
            ("Sensor.example", "coap://sensor.EXAMPLE/a", True),
            ("coap://sensor.example/", "coap://sensor.example", True),
            ("sensor.example", "coap://x.sensor.example", False),
            ("*.example", "coap://a.b.example", True),
            ("*.example", "coap://example", False),
            ("*.example", "coap://anexample", False),
            ("*", "coap://anything", True),
        ]
        for pattern, uri, expected in rows:
            self.assertEqual(allows(pattern, uri, "192.0.2.1"), expected, (pattern, uri))

    def test_namesAreNotAddresses(self) -> None:
        """What is asked for by its address is not allowed by its name."""
        self.assertFalse(allows("sensor.example", "coap://192.0.2.1"))

    def test_ports(self) -> None:
        """A port narrows any pattern down."""
        for pattern in ("192.0.2.0/24", "[::/0]", "a.example", "*", "*.example"):
            for port, expected in ((61616, True), (5683, False)):
                address = "2001:db8::1" if pattern.startswith("[") else "192.0.2.1"
                self.assertEqual(
                    allows(f"{pattern}:61616", f"coap://a.example:{port}", address), expected, pattern
                )

    def test_loopback(self) -> None:
        """The own machine is allowed unless that is closed; then no name opens it, but an address does."""
        for uri in ("coap://127.0.0.1", "coap://127.9.9.9:1", "coap://[::1]", "coap://[::ffff:127.0.0.1]"):
            self.assertTrue(allows("", uri), uri)
            self.assertFalse(allows("", uri, loopback=False), uri)
            self.assertFalse(allows("*", uri, loopback=False), uri)
            self.assertTrue(allows("127.0.0.0/8" if "127" in uri else "::1", uri, loopback=False), uri)
        self.assertFalse(allows("evil.example", "coap://evil.example", "127.0.0.1", loopback=False))
        self.assertFalse(allows("", "coap://192.0.2.1"))

    def test_none(self) -> None:
        """What is no pattern says so, where it is written."""
        wrong = "[::1 ::1] [x] 192.0.2.0/33 999.1.1.1 1.2.3 2001:db8::/129 [2001:db8::]/32 a:0 a:65536 :5683"
        names = "a:x a/b ** *a.example a.* a@b %2Frun http://x"
        for pattern in ["", "a b", *wrong.split(), *names.split()]:
            self.assertRaises(ValueError, AllowList, pattern)
        error = self.assertRaises(ValueError, AllowList, "a b")
        self.assertIn("sensor.example", str(error))
