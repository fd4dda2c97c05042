"""
Tests for L{txcoap.groups}: which addresses are groups, and how they are written.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcoap.groups import ALL_COAP_NODES, Group, isGroup, readGroups


class GroupTests(SynchronousTestCase):
    """Multicast groups as text (RFC 7252 12.8)."""

    def test_isGroup(self) -> None:
        """Addresses of groups of both families are told from others, and from names."""
        for host in ("224.0.0.1", "239.255.255.255", *ALL_COAP_NODES, "ff02::fd%eth0", "::ffff:224.0.1.187"):
            self.assertTrue(isGroup(host), host)
        for host in (
            "223.255.255.255",
            "240.0.0.1",
            "fe80::1",
            "::1",
            "ff02",
            "example.org",
            "",
            "255.255.255.255",
        ):
            self.assertFalse(isGroup(host), host)

    def test_read(self) -> None:
        """A group is an address, with or without an interface."""
        self.assertEqual(readGroups("224.0.1.187"), (Group("224.0.1.187"),))
        self.assertEqual(readGroups("FF02:0::FD%eth0"), (Group("ff02::fd", "eth0"),))
        self.assertEqual(str(readGroups("ff05::fd%2")[0]), "ff05::fd%2")

    def test_allNodes(self) -> None:
        """A name stands for the groups of all CoAP nodes."""
        groups = readGroups("all-coap-nodes%lo")
        self.assertEqual([each.address for each in groups], list(ALL_COAP_NODES))
        self.assertEqual({each.interface for each in groups}, {"lo"})
        # RFC 7252 12.8
        self.assertEqual(ALL_COAP_NODES, ("224.0.1.187", "ff02::fd", "ff05::fd"))

    def test_wrong(self) -> None:
        """What is no group is refused, and the error says what is one."""
        for text, told in (
            ("192.0.2.1", "no multicast address"),
            ("::1", "no multicast address"),
            ("nodes", "no address"),
            ("", "no address"),
            ("224.0.1.187%", "name of a network interface"),
        ):
            error = self.assertRaises(ValueError, readGroups, text)
            self.assertIn(told, str(error))
