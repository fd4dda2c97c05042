"""
Tests for L{txcoap.transports.ancillary}.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcoap.transports import ancillary


def errorEntry(
    peer: tuple[Any, ...], number: int, data: bytes = b"", origin: int = 2, type: int = 3
) -> tuple[Any, ...]:
    """
    @return: an entry of the error queue, as C{recvmsg} gives it.
    """
    extended = struct.pack("@IBBBBII", number, origin, type, 3, 0, 0, 0)
    return data, [(socket.IPPROTO_IP, ancillary.IP_RECVERR, extended)], 0, peer


def pktinfo4(interface: int, source: str, destination: str) -> tuple[int, int, bytes]:
    """
    @return: the control message about an IPv4 datagram's destination.
    """
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return socket.IPPROTO_IP, ancillary.IP_PKTINFO or 0, struct.pack("@I", interface) + addresses


def pktinfo6(address: str, interface: int) -> tuple[int, int, bytes]:
    """
    @return: the control message about an IPv6 datagram's destination.
    """
    packed = socket.inet_pton(socket.AF_INET6, address)
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed + struct.pack("@I", interface)


class AncillaryTests(SynchronousTestCase):
    """
    What the kernel says about a datagram.
    """

    def test_unicast4(self) -> None:
        """
        An IPv4 datagram is answered from the address that was asked, by whichever interface routing
        says.
        """
        local = ancillary.localAddress([pktinfo4(3, "127.0.0.2", "127.0.0.2")])
        assert local is not None
        told = (local.address, local.isMulticast, local.interface)
        self.assertEqual(told, ("127.0.0.2", False, 3))
        (level, kind, data), *_ = local.ancillary
        self.assertEqual((level, kind), (socket.IPPROTO_IP, ancillary.IP_PKTINFO))
        self.assertEqual(data[:8], bytes(4) + socket.inet_aton("127.0.0.2"))

    def test_multicast4(self) -> None:
        """
        What was sent to many is answered from the interface's own address, not from the group's
        (RFC 7252 8.2). A broadcast is such, too.
        """
        for group in ("224.0.1.187", "192.0.2.255"):
            local = ancillary.localAddress([pktinfo4(3, "192.0.2.1", group)])
            assert local is not None
            self.assertEqual((local.address, local.isMulticast), (group, True))
            self.assertEqual(local.ancillary[0][2], struct.pack("@I", 3) + bytes(8))

    def test_unicast6(self) -> None:
        """
        An IPv6 datagram is answered from the address that was asked; the interface is named only
        where the address means nothing without it.
        """
        for address, interface in (("2001:db8::1", 0), ("fe80::1", 5)):
            local = ancillary.localAddress([pktinfo6(address, 5)])
            assert local is not None
            self.assertEqual((local.address, local.isMulticast), (address, False))
            self.assertEqual(local.ancillary, (pktinfo6(address, interface),))

    def test_multicast6(self) -> None:
        """
        What was sent to an IPv6 group is answered by the interface, from its own address.
        """
        local = ancillary.localAddress([pktinfo6("ff02::fd", 5)])
        assert local is not None
        self.assertEqual((local.address, local.isMulticast), ("ff02::fd", True))
        self.assertEqual(local.ancillary, (pktinfo6("::", 5),))

    def test_dualStack(self) -> None:
        """
        On a dual-stack socket Linux tells of an IPv4 datagram in both ways: IPv4's own counts.
        """
        local = ancillary.localAddress(
            [pktinfo6("::ffff:127.0.0.1", 1), pktinfo4(1, "127.0.0.1", "127.0.0.1")]
        )
        assert local is not None
        self.assertEqual(local.address, "127.0.0.1")

    def test_otherMessages(self) -> None:
        """
        Control messages that are about something else, or too short, tell no address and no error.
        """
        for messages in ([], [(socket.IPPROTO_IP, 2, b"1234")], [(socket.IPPROTO_IP, 8, b"1")]):
            self.assertIsNone(ancillary.localAddress(messages))
            self.assertIsNone(ancillary.reportedError(messages))

    def test_tooBigIsNotUnreachable(self) -> None:
        """
        A path that carries less than was thought is no reason to give up: the kernel has learnt of
        it.
        """
        peer = ("127.0.0.1", 1)
        entry = errorEntry(peer, errno.EMSGSIZE)
        self.assertIsNone(ancillary.reportedError(entry[1]))
        entry = errorEntry(peer, errno.EHOSTUNREACH)
        self.assertEqual(ancillary.reportedError(entry[1]), errno.EHOSTUNREACH)

    def test_timeExceededIsNotUnreachable(self) -> None:
        """ICMP's Time Exceeded, of IPv4 and IPv6, is ignored (RFC 7252 4.2)."""
        for origin, type, number in (
            (2, 11, None),
            (3, 3, None),
            (2, 3, errno.EHOSTUNREACH),
            (3, 1, errno.EHOSTUNREACH),
        ):
            entry = errorEntry(("127.0.0.1", 1), errno.EHOSTUNREACH, b"", origin, type)
            self.assertEqual(ancillary.reportedError(entry[1]), number)

    def test_literalAddress(self) -> None:
        """
        A literal address is written as the socket would give it, whichever way it was written
        before.
        """
        v4, v6 = socket.AF_INET, socket.AF_INET6
        rows: list[tuple[int, str, bool, Any]] = [
            (v4, "127.0.0.1", False, ("127.0.0.1", 1)),
            (v4, "::ffff:127.0.0.1", False, ("127.0.0.1", 1)),
            (v6, "0:0::1", False, ("::1", 1, 0, 0)),
            (v6, "FE80::1%7", False, ("fe80::1", 1, 0, 7)),
            (v6, "127.0.0.1", True, ("::ffff:127.0.0.1", 1, 0, 0)),
        ]
        for family, host, dual, expected in rows:
            self.assertEqual(ancillary.literalAddress(family, host, 1, dual), expected)

    def test_literalAddressRefused(self) -> None:
        """
        Names, unknown zones, ports that are none and addresses out of a socket's reach are refused.
        """
        v4, v6 = socket.AF_INET, socket.AF_INET6
        for family, host, port in (
            (v4, "localhost", 1),
            (v4, "::1", 1),
            (v6, "127.0.0.1", 1),
            (v6, "fe80::1%nosuchinterface", 1),
            (v4, "127.0.0.1", 65536),
        ):
            self.assertRaises(ValueError, ancillary.literalAddress, family, host, port)

    def test_outgoing(self) -> None:
        """How a datagram is to leave: by an interface, over so many hops, both, or as the system has it."""
        for isIPv6, level in ((False, socket.IPPROTO_IP), (True, socket.IPPROTO_IPV6)):
            self.assertEqual(ancillary.outgoing(isIPv6, 0, None), ())
            ((found, _, data),) = ancillary.outgoing(isIPv6, 0, 3)
            self.assertEqual((found, struct.unpack("@i", data)), (level, (3,)))
            self.assertEqual([each[0] for each in ancillary.outgoing(isIPv6, 1, 3)], [level, level])
