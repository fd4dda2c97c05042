"""
Tests for L{txcoap.sansio.datagrams} and L{txcoap.sansio.optionlist}.

Rows of a message and its bytes, run both ways, whole and cut at every byte.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code
from txcoap.errors import FormatError
from txcoap.options import Options
from txcoap.sansio import optionlist
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram, decode, empty, encode

TEMPERATURE = Options(uriPath=("temperature",))

# RFC 7252 appendix A: the messages that figures 16 to 23 and 25 describe, and the two whose bytes
# figures 16 and 17 give (with the message IDs, tokens and payloads told there).
RFC_EXAMPLES = [
    # Figure 16: a confirmable request, and its piggybacked response.
    (Datagram(CON, Code.GET, 0x7D34, b"", TEMPERATURE), "4001 7d34 bb 74656d7065726174757265"),
    (Datagram(ACK, Code.CONTENT, 0x7D34, payload=b"22.3 C"), "6045 7d34 ff 32322e332043"),
    # Figure 17: the same with a token.
    (
        Datagram(CON, Code.GET, 0x7D35, b"\x20", TEMPERATURE),
        "4101 7d35 20 bb 74656d7065726174757265",
    ),
    (
        Datagram(ACK, Code.CONTENT, 0x7D35, b"\x20", payload=b"22.3 C"),
        "6145 7d35 20 ff 32322e332043",
    ),
    # Figure 18 and 19: a request that is repeated, a response that is lost.
    (
        Datagram(CON, Code.GET, 0x7D36, b"\x31", TEMPERATURE),
        "4101 7d36 31 bb 74656d7065726174757265",
    ),
    (
        Datagram(ACK, Code.CONTENT, 0x7D36, b"\x31", payload=b"22.3 C"),
        "6145 7d36 31 ff 32322e332043",
    ),
    # Figure 20: a separate response, acknowledged on its own.
    (Datagram(ACK, Code.EMPTY, 0x7D38), "6000 7d38"),
    (
        Datagram(CON, Code.CONTENT, 0xAD7B, b"\x53", payload=b"22.3 C"),
        "4145 ad7b 53 ff 32322e332043",
    ),
    (Datagram(ACK, Code.EMPTY, 0xAD7B), "6000 ad7b"),
    # Figure 22: non-confirmable both ways.
    (
        Datagram(NON, Code.GET, 0x7D40, b"\x75", TEMPERATURE),
        "5101 7d40 75 bb 74656d7065726174757265",
    ),
    (
        Datagram(NON, Code.CONTENT, 0xAD7C, b"\x75", payload=b"22.3 C"),
        "5145 ad7c 75 ff 32322e332043",
    ),
    # Figure 23 and on: a Reset.
    (Datagram(RST, Code.EMPTY, 0x7D41), "7000 7d41"),
]


def pairs(*given: tuple[int, bytes]) -> Options:
    """Raw options."""
    return Options.fromPairs(given)


# The length classes of delta and length (RFC 7252 3.1): the last and first value of each.
OPTION_LISTS = [
    (pairs((0, b"")), "00"),
    (pairs((1, b"")), "10"),
    (pairs((12, b"")), "c0"),
    (pairs((13, b"")), "d0 00"),
    (pairs((268, b"")), "d0 ff"),
    (pairs((269, b"")), "e0 0000"),
    (pairs((270, b"")), "e0 0001"),
    (pairs((65535, b"")), "e0 fef2"),
    (pairs((1, b"x" * 12)), "1c" + "78" * 12),
    (pairs((1, b"x" * 13)), "1d 00" + "78" * 13),
    (pairs((1, b"x" * 268)), "1d ff" + "78" * 268),
    (pairs((1, b"x" * 269)), "1e 0000" + "78" * 269),
    (pairs((1, b"x" * 1034)), "1e 02fd" + "78" * 1034),
    (pairs((13, b"x" * 13)), "dd 00 00" + "78" * 13),
    (pairs((269, b"x" * 269)), "ee 0000 0000" + "78" * 269),
    (pairs((11, b"a"), (11, b"b")), "b1 61 01 62"),
    (pairs((1, b""), (14, b""), (283, b"")), "10 d0 00 e0 0000"),
    (pairs((1, b"\xff")), "11 ff"),
    (pairs((4, b"\xff\xff"), (4, b"\xff")), "42 ffff 01 ff"),
]


def options() -> st.SearchStrategy[Options]:
    """Any options that can be written."""
    numbers = st.one_of(st.integers(0, 300), st.integers(0, 65535))
    values = st.one_of(st.binary(max_size=16), st.binary(min_size=250, max_size=300))
    return st.lists(st.tuples(numbers, values), max_size=8).map(Options.fromPairs)


class RowTests(SynchronousTestCase):
    """Messages and their bytes."""

    def test_rfcExamples(self) -> None:
        """The examples of RFC 7252 appendix A, both ways."""
        for datagram, text in RFC_EXAMPLES:
            self.assertEqual(decode(bytes.fromhex(text)), datagram)
            self.assertEqual(written(datagram).hex(), bytes.fromhex(text).hex())

    def test_rfcExamplesCut(self) -> None:
        """
        Cut anywhere, a message is refused, unless what is left is a message of its own: without
        options and payload, or with a shorter payload.
        """
        for _, text in RFC_EXAMPLES:
            data = bytes.fromhex(text)
            for end in range(len(data)):
                try:
                    rest = decode(data[:end])
                except FormatError:
                    continue
                self.assertEqual(written(rest), data[:end])

    def test_cutInsideOption(self) -> None:
        """Cut inside the only option, nothing of the message is left."""
        data = bytes.fromhex(RFC_EXAMPLES[0][1])
        for end in range(5, len(data)):
            self.assertRaises(FormatError, decode, data[:end])

    def test_lengthClasses(self) -> None:
        """Deltas and lengths of 0 to 12, to 268 and beyond, both ways (RFC 7252 3.1)."""
        for row, text in OPTION_LISTS:
            data = bytes.fromhex(text)
            self.assertEqual(optionlist.encode(row), data)
            self.assertEqual(optionlist.decode(data), (row, b""))
            self.assertEqual(optionlist.decode(data + b"\xffrest"), (row, b"rest"))

    def test_lengthClassesCut(self) -> None:
        """Cut at every byte, an option list is refused or a shorter list that is written the same."""
        for _, text in OPTION_LISTS:
            data = bytes.fromhex(text)
            for end in range(1, len(data)):
                try:
                    found, payload = optionlist.decode(data[:end])
                except FormatError:
                    continue
                # A copy, so that nothing is remembered of the form it came in.
                fresh = Options.fromPairs(found.pairs)
                self.assertEqual((optionlist.encode(fresh), payload), (data[:end], b""))

    def test_everyToken(self) -> None:
        """Tokens have 0 to 8 bytes."""
        for length in range(9):
            datagram = Datagram(CON, Code.GET, 1, b"\xfe" * length)
            self.assertEqual(decode(written(datagram)), datagram)

    def test_everyCode(self) -> None:
        """Every code byte but 0 is read with whatever follows; what it means is for others."""
        for byte in range(1, 256):
            self.assertEqual(decode(bytes((0x50, byte, 0, 9))).code, byte)

    def test_everyType(self) -> None:
        """The four types."""
        for type in (CON, NON, ACK, RST):
            self.assertEqual(decode(empty(type, 0xFFFF)), Datagram(type, Code.EMPTY, 0xFFFF))

    def test_markerInsideValue(self) -> None:
        """A byte 0xFF inside an option's value, token or payload is no payload marker."""
        for at in range(20):
            value = b"a" * at + b"\xff" + b"b" * (19 - at)
            datagram = Datagram(CON, Code.GET, 1, b"\xff" * 8, Options.fromPairs([(4, value)]), b"\xff\xff")
            self.assertEqual(decode(written(datagram)), datagram)

    def test_markerInsideHeader(self) -> None:
        """A byte 0xFF as an extended delta or length is no payload marker."""
        datagram = Datagram(CON, Code.GET, 1, options=Options.fromPairs([(268, b"x" * 268)]), payload=b"y")
        self.assertEqual(decode(written(datagram)), datagram)

    def test_repr(self) -> None:
        """A message can be read by a person."""
        self.assertEqual(repr(Datagram(ACK, Code.EMPTY, 7)), "<ACK 0.00 Empty ID 7>")
        self.assertEqual(
            repr(Datagram(CON, Code.PUT, 7, b"\x01", Options(uriPath=("a",)), b"xyz")),
            "<CON PUT ID 7 token 01 <Options Uri-Path: 'a'> 3 bytes>",
        )

    def test_others(self) -> None:
        """A message equals no other thing, not its own bytes either."""
        datagram, text = RFC_EXAMPLES[0]
        self.assertNotEqual(datagram, bytes.fromhex(text))


class StrictTests(SynchronousTestCase):
    """What RFC 7252 3 calls a message format error."""

    def refused(self, text: str) -> FormatError:
        """The error that some bytes give."""
        error: FormatError = self.assertRaises(FormatError, decode, bytes.fromhex(text))
        return error

    def test_short(self) -> None:
        """Less than a header has neither type nor ID."""
        for text in ("", "40", "4001", "4001 00"):
            self.assertEqual(self.refused(text).messageID, None)

    def test_version(self) -> None:
        """Messages of an unknown version are ignored in silence: the error tells no ID (3)."""
        for first in ("00", "80", "c0", "8f"):
            error = self.refused(first + "01 0007")
            self.assertEqual((error.messageType, error.messageID), (None, None))

    def test_tokenLength(self) -> None:
        """Token lengths 9 to 15 are reserved (3)."""
        for length in range(9, 16):
            error = self.refused(f"4{length:x}01 0007" + "00" * 15)
            self.assertEqual((error.messageType, error.messageID), (CON, 7))

    def test_tokenCut(self) -> None:
        """A token shorter than announced."""
        for length in range(1, 9):
            self.refused(f"4{length:x}01 0007" + "aa" * (length - 1))

    def test_markerWithoutPayload(self) -> None:
        """A payload marker followed by nothing (3)."""
        self.assertEqual(self.refused("5001 0007 ff").messageType, NON)
        self.refused("4001 0007 b161 ff")
        self.refused("4101 0007 aa ff")
        # Behind a value that holds such a byte.
        self.refused("4001 0007 41 ff ff")

    def test_emptyWithMore(self) -> None:
        """An empty message with token, options or payload (4.1)."""
        for more in ("41 00 0007 aa", "40 00 0007 b161", "40 00 0007 ff61", "60 00 0007 00"):
            self.refused(more)

    def test_optionCut(self) -> None:
        """Options cut in their header, extended header or value."""
        for rest in ("b5 61", "d0", "e0", "e0 00", "0d", "0e 00", "dd 00", "ed 0000", "1d 00 61"):
            self.refused("4001 0007" + rest)

    def test_reserved(self) -> None:
        """Delta or length 15 is reserved for the payload marker (3.1)."""
        for rest in ("f0", "f1 61", "0f", "1f 61", "b1 61 f0"):
            self.refused("4001 0007" + rest + "00")

    def test_beyondLastNumber(self) -> None:
        """Option numbers end at 65535."""
        self.refused("4001 0007 e0 fef3")
        self.refused("4001 0007 e0 fef2 10")
        decode(bytes.fromhex("4001 0007 e0 fef2 00"))

    def test_tellsSender(self) -> None:
        """An error behind the header tells type and ID, so that its sender can be told (4.2)."""
        for first, type in (("40", CON), ("50", NON), ("60", ACK), ("70", RST)):
            error = self.refused(first + "01 abcd ff")
            self.assertEqual((error.messageType, error.messageID), (type, 0xABCD))

    def test_longTokenNotWritten(self) -> None:
        """A token of more than 8 bytes is not written."""
        self.assertRaises(ValueError, encode, CON, Code.GET, 1, b"123456789")


class PropertyTests(SynchronousTestCase):
    """What holds of all messages, and of all bytes."""

    @given(
        st.sampled_from((CON, NON, ACK, RST)),
        st.integers(1, 255),
        st.integers(0, 65535),
        st.binary(max_size=8),
        options(),
        st.binary(max_size=64),
    )
    @settings(deadline=None, max_examples=400, derandomize=True)
    def test_roundTrip(
        self, type: int, code: int, messageID: int, token: bytes, options: Options, payload: bytes
    ) -> None:
        """What is written is read again, the same."""
        found = decode(encode(type, code, messageID, token, options, payload))
        self.assertEqual(
            (found.type, found.code, found.messageID, found.token, found.options, found.payload),
            (type, code, messageID, token, options, payload),
        )

    @given(st.binary(max_size=80))
    @settings(deadline=None, max_examples=1000, derandomize=True)
    def test_anyBytes(self, data: bytes) -> None:
        """Whatever comes is a message, written just as it came, or a format error."""
        self.readable(data)

    @given(st.binary(max_size=80), st.integers(0, 3), st.integers(0, 8), st.integers(1, 255))
    @settings(deadline=None, max_examples=1000, derandomize=True)
    def test_anyRest(self, rest: bytes, type: int, tokenLength: int, code: int) -> None:
        """The same behind a valid header."""
        self.readable(bytes((0x40 | type << 4 | tokenLength, code, 1, 2)) + rest)

    def test_manyMutations(self) -> None:
        """Valid messages with some bytes changed, likewise."""
        random = Random(7252)
        originals = [bytes.fromhex(text) for _, text in RFC_EXAMPLES]
        for _ in range(5000):
            data = bytearray(random.choice(originals))
            for _ in range(random.randint(1, 3)):
                data[random.randrange(len(data))] = random.choice((0, 13, 14, 15, 0xD0, 0xE0, 0xFF))
            self.readable(bytes(data))

    def readable(self, data: bytes) -> None:
        """Bytes are a message, written just as it came, or raise a format error."""
        try:
            found = decode(data)
        except FormatError as e:
            self.assertTrue(e.reason)
        else:
            self.assertEqual(written(found), data)


def written(datagram: Datagram) -> bytes:
    """A message's bytes, its options made anew rather than as they came."""
    return encode(
        datagram.type,
        datagram.code,
        datagram.messageID,
        datagram.token,
        Options.fromPairs(datagram.options.pairs),
        datagram.payload,
    )
