"""
Tests for L{txcoap.options}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap.block import Block
from txcoap.errors import MalformedOption
from txcoap.options import DEFINITIONS, NO_OPTIONS, Options, definitionOf, describe

# RFC 7252 table 4, and those of RFC 7641, 7959, 7967, 8768, 9175: number, name, format, lengths and
# the properties C U N R.
REGISTERED = [
    (1, "If-Match", "opaque", 0, 8, "C--R"),
    (3, "Uri-Host", "string", 1, 255, "CU--"),
    (4, "ETag", "opaque", 1, 8, "---R"),
    (5, "If-None-Match", "empty", 0, 0, "C---"),
    (6, "Observe", "uint", 0, 3, "-U--"),
    (7, "Uri-Port", "uint", 0, 2, "CU--"),
    (8, "Location-Path", "string", 0, 255, "---R"),
    (11, "Uri-Path", "string", 0, 255, "CU-R"),
    (12, "Content-Format", "uint", 0, 2, "----"),
    (14, "Max-Age", "uint", 0, 4, "-U--"),
    (15, "Uri-Query", "string", 0, 255, "CU-R"),
    (16, "Hop-Limit", "uint", 1, 1, "----"),
    (17, "Accept", "uint", 0, 2, "C---"),
    (20, "Location-Query", "string", 0, 255, "---R"),
    (23, "Block2", "uint", 0, 3, "CU--"),
    (27, "Block1", "uint", 0, 3, "CU--"),
    (28, "Size2", "uint", 0, 4, "--N-"),
    (35, "Proxy-Uri", "string", 1, 1034, "CU--"),
    (39, "Proxy-Scheme", "string", 1, 255, "CU--"),
    (60, "Size1", "uint", 0, 4, "--N-"),
    (252, "Echo", "opaque", 1, 40, "--N-"),
    (258, "No-Response", "uint", 0, 1, "-U--"),
    (292, "Request-Tag", "opaque", 0, 8, "---R"),
]

# Accessor, what is given, and the raw pairs that it stands for.
VALUES: list[tuple[str, Any, list[tuple[int, bytes]]]] = [
    ("ifMatch", (b"", b"12345678"), [(1, b""), (1, b"12345678")]),
    ("uriHost", "example.com", [(3, b"example.com")]),
    ("etag", (b"a",), [(4, b"a")]),
    ("ifNoneMatch", True, [(5, b"")]),
    ("observe", 0, [(6, b"")]),
    ("observe", 0xFFFFFF, [(6, b"\xff\xff\xff")]),
    ("uriPort", 61616, [(7, b"\xf0\xb0")]),
    ("locationPath", ("a", ""), [(8, b"a"), (8, b"")]),
    ("uriPath", ("temp", "räume", ""), [(11, b"temp"), (11, b"r\xc3\xa4ume"), (11, b"")]),
    ("contentFormat", 0, [(12, b"")]),
    ("contentFormat", 40, [(12, b"\x28")]),
    ("maxAge", 256, [(14, b"\x01\x00")]),
    ("maxAge", 0xFFFFFFFF, [(14, b"\xff\xff\xff\xff")]),
    ("uriQuery", ("a=1",), [(15, b"a=1")]),
    ("hopLimit", 16, [(16, b"\x10")]),
    ("accept", 11542, [(17, b"\x2d\x16")]),
    ("locationQuery", ("x",), [(20, b"x")]),
    ("block2", Block(1, True, 2), [(23, b"\x1a")]),
    ("block1", Block(0, True, 6), [(27, b"\x0e")]),
    ("size2", 4096, [(28, b"\x10\x00")]),
    ("proxyUri", "coap://a/b", [(35, b"coap://a/b")]),
    ("proxyScheme", "coap", [(39, b"coap")]),
    ("size1", 1, [(60, b"\x01")]),
    ("echo", b"\x00" * 40, [(252, b"\x00" * 40)]),
    ("noResponse", 26, [(258, b"\x1a")]),
    ("requestTag", (b"",), [(292, b"")]),
]


class DefinitionTests(SynchronousTestCase):
    """The registry of options."""

    def test_registered(self) -> None:
        """Name, format and length are the registry's; the rest follows from the number (5.4.6)."""
        for number, name, form, minimum, maximum, properties in REGISTERED:
            each = DEFINITIONS[number]
            found = "".join(
                letter if holds else "-"
                for letter, holds in zip(
                    "CUNR",
                    (each.isCritical, each.isUnsafe, each.isNoCacheKey, each.repeatable),
                    strict=True,
                )
            )
            self.assertEqual(
                (each.name, each.format.name, each.minimum, each.maximum, found),
                (name, form, minimum, maximum, properties),
            )

    def test_found(self) -> None:
        """A definition is found by number, registered name in any case, and accessor's name."""
        for number, name, *_ in REGISTERED:
            each = DEFINITIONS[number]
            for key in (number, name, name.upper(), each.attribute):
                self.assertIs(definitionOf(key), each, key)
        self.assertIsNone(definitionOf(9999))
        self.assertIsNone(definitionOf("Uri-Fragment"))

    def test_accessor(self) -> None:
        """On the class an accessor is the definition itself."""
        self.assertIs(Options.maxAge, DEFINITIONS[14])
        self.assertIs(Options.uriPath, DEFINITIONS[11])
        self.assertIs(Options.ifNoneMatch, DEFINITIONS[5])


class ValueTests(SynchronousTestCase):
    """Values to bytes and back."""

    def test_rows(self) -> None:
        """Each value has one written form, the shortest (RFC 7252 3.2), which gives it again."""
        for name, value, pairs in VALUES:
            options = Options(**{name: value})
            self.assertEqual(list(options.pairs), pairs, name)
            self.assertEqual(getattr(Options.fromPairs(pairs), name), value)

    def test_absent(self) -> None:
        """What is not there is None, an empty tuple or False."""
        for each in DEFINITIONS.values():
            absent = {"empty": False}.get(each.format.name, () if each.repeatable else None)
            self.assertEqual(getattr(NO_OPTIONS, each.attribute), absent, each)

    def test_leadingZeros(self) -> None:
        """A number with leading zeros is understood (RFC 7252 3.2)."""
        self.assertEqual(Options.fromPairs([(14, b"\x00\x01")]).maxAge, 1)

    def test_formatByName(self) -> None:
        """Content formats can be given by name."""
        self.assertEqual(Options(accept="application/cbor").accept, 60)

    def test_oneOfMany(self) -> None:
        """One value of bytes may stand for a tuple of one."""
        self.assertEqual(Options(etag=b"a"), Options(etag=(b"a",)))

    def test_left(self) -> None:
        """None leaves an option out; so does False for a flag."""
        self.assertEqual(Options(maxAge=None, ifNoneMatch=False), NO_OPTIONS)

    def test_refused(self) -> None:
        """A value that does not fit is refused, and the error names the option and what is wrong."""
        wrong: list[tuple[str, Any, str]] = [
            ("maxAge", -1, "Max-Age"),
            ("maxAge", 2**32, "Max-Age takes 0 to 4 bytes"),
            ("maxAge", True, "whole number"),
            ("maxAge", "60", "whole number"),
            ("maxAge", 1.5, "whole number"),
            ("uriPort", 65536, "Uri-Port"),
            ("observe", 2**24, "Observe"),
            ("hopLimit", 0, "Hop-Limit"),
            ("hopLimit", 256, "Hop-Limit"),
            ("etag", (b"",), "ETag takes 1 to 8 bytes"),
            ("etag", (b"123456789",), "ETag"),
            ("etag", ("a",), "bytes"),
            ("uriPath", "a/b", 'such as ("a", "b")'),
            ("etag", "a", 'such as (b"a", b"b")'),
            ("uriPath", (b"a",), "text"),
            ("uriPath", ("x" * 256,), "Uri-Path"),
            ("uriPath", 3, "sequence"),
            # RFC 7252 5.10.7
            ("locationPath", ("a", ".."), "no segment can be '..'"),
            ("locationPath", (".",), "Location-Path"),
            ("uriHost", "", "Uri-Host"),
            ("uriHost", b"a", "text"),
            ("ifNoneMatch", 1, "True"),
            ("accept", "no/such", "no/such"),
            ("echo", b"", "Echo"),
            ("path", ("a",), "no option is called 'path'"),
            ("content_format", 50, "no option is called 'content_format'; near are contentFormat"),
            ("retries", 3, "no option is called 'retries'; give one of accept, block1, "),
        ]
        for name, value, text in wrong:
            error = self.assertRaises(ValueError, Options, **{name: value})
            self.assertIn(text, str(error))

    def test_utf8(self) -> None:
        """Text from a peer that is no UTF-8 raises MalformedOption when it is read, not before."""
        options = Options.fromPairs([(11, b"\xff"), (14, b"\x01")])
        self.assertEqual(options.maxAge, 1)
        error = self.assertRaises(MalformedOption, lambda: options.uriPath)
        self.assertIn("Uri-Path", str(error))

    @given(
        st.lists(st.text(max_size=60), max_size=4).map(tuple),
        st.integers(0, 2**32 - 1),
        st.lists(st.binary(min_size=1, max_size=8), max_size=3).map(tuple),
    )
    @settings(deadline=None, max_examples=100, derandomize=True)
    def test_roundTrip(self, path: tuple[str, ...], age: int, tags: tuple[bytes, ...]) -> None:
        """What was put in is read out of the raw pairs."""
        options = Options.fromPairs(Options(uriPath=path, maxAge=age, etag=tags).pairs)
        self.assertEqual((options.uriPath, options.maxAge, options.etag), (path, age, tags))


class CollectionTests(SynchronousTestCase):
    """The options of a message as a value."""

    def test_order(self) -> None:
        """Pairs are in the order of their numbers; those of one number keep theirs (3.1)."""
        options = Options.fromPairs([(15, b"b"), (11, b"z"), (15, b"a"), (11, b"y")])
        self.assertEqual(options.pairs, ((11, b"z"), (11, b"y"), (15, b"b"), (15, b"a")))
        self.assertEqual(list(options), list(options.pairs))

    def test_get(self) -> None:
        """Raw values can be had by number, known or not."""
        options = Options.fromPairs([(2000, b"a"), (2000, b"")])
        self.assertEqual(options.get(2000), (b"a", b""))
        self.assertEqual(options.get(2001), ())

    def test_contains(self) -> None:
        """C{in} asks for a number; a length counts the options."""
        options = Options(uriPath=("a", "b"), accept=0)
        self.assertIn(11, options)
        self.assertNotIn(12, options)
        self.assertEqual(len(options), 3)
        self.assertFalse(NO_OPTIONS)

    def test_evolve(self) -> None:
        """C{evolve} replaces, adds and removes, and leaves the original as it was."""
        options = Options(maxAge=60, etag=(b"a",), uriPath=("x", "y"))
        changed = options.evolve(maxAge=30, etag=None, uriPath=("z",), accept=0)
        self.assertEqual(changed, Options(maxAge=30, uriPath=("z",), accept=0))
        self.assertEqual(options, Options(maxAge=60, etag=(b"a",), uriPath=("x", "y")))

    def test_without(self) -> None:
        """C{without} drops every value of the numbers given."""
        options = Options(uriPath=("x", "y"), accept=0, maxAge=1)
        self.assertEqual(options.without(11, 17), Options(maxAge=1))
        self.assertEqual(options.without(), options)

    def test_adding(self) -> None:
        """C{adding} appends raw values, whatever their number."""
        options = Options(uriPath=("x",)).adding((11, b"y"), (65000, b"z"))
        self.assertEqual(options.uriPath, ("x", "y"))
        self.assertEqual(options.get(65000), (b"z",))

    def test_equality(self) -> None:
        """Equal pairs make equal options, however they came about."""
        self.assertEqual(Options(accept=60), Options.fromPairs([(17, b"\x3c")]))
        self.assertEqual(hash(Options(accept=60)), hash(Options(accept=60)))
        self.assertNotEqual(Options(accept=60), Options(accept=50))
        self.assertNotEqual(Options(accept=60), 60)

    def test_repr(self) -> None:
        """A person can read it, also where a value cannot be."""
        options = Options.fromPairs([(11, b"a"), (11, b"\xff"), (14, b"\x05"), (9999, b"?")])
        self.assertEqual(
            repr(options),
            "<Options Uri-Path: 'a', Uri-Path: b'\\xff', Max-Age: 5, 9999: b'?'>",
        )
        self.assertEqual(repr(NO_OPTIONS), "<Options none>")
        self.assertEqual(repr(DEFINITIONS[3]), "<OptionDefinition 3 Uri-Host string 1-255>")
        self.assertEqual(describe((5, b"")), "If-None-Match: True")


class UnrecognizedTests(SynchronousTestCase):
    """What a receiver must refuse, and what it passes over (RFC 7252 5.4.1 to 5.4.5)."""

    def test_known(self) -> None:
        """What is understood is not refused."""
        for name, value, _ in VALUES:
            self.assertEqual(Options(**{name: value}).unrecognized, (), name)

    def test_unknownCritical(self) -> None:
        """An unknown option with an odd number is critical."""
        self.assertEqual(Options.fromPairs([(2001, b""), (9, b"")]).unrecognized, (9, 2001))

    def test_unknownElective(self) -> None:
        """An unknown option with an even number is passed over."""
        self.assertEqual(Options.fromPairs([(2000, b"x")]).unrecognized, ())

    def test_ofRequests(self) -> None:
        """What is defined for requests alone is not recognized in a response (RFC 7252 5.4)."""
        inRequestsAlone = {1, 3, 5, 7, 11, 15, 17, 35, 39}
        for name, value, _ in VALUES:
            options = Options(**{name: value})
            refused = tuple(number for number, _ in options if number in inRequestsAlone)
            self.assertEqual(options.unrecognizedInResponse, refused, name)
            unsafe = tuple(number for number in refused if number & 2)
            self.assertEqual((options.unforwardable, options.unforwardableInResponse), ((), unsafe), name)
        self.assertEqual(Options.fromPairs([(9999, b"")]).unrecognizedInResponse, (9999,))

    def test_notServed(self) -> None:
        """A registered critical option that nothing here serves counts as unknown."""
        for number in (9, 19, 21, 31, 235, 239):
            options = Options.fromPairs([(number, b"" if number == 21 else b"\x01")])
            self.assertEqual(options.unrecognized, (number,))

    def test_wrongLength(self) -> None:
        """A value of a wrong length makes its option unrecognized (5.4.3)."""
        for number, value in ((7, b"123"), (17, b"123"), (5, b"x"), (3, b""), (35, b"x" * 1035)):
            self.assertEqual(Options.fromPairs([(number, value)]).unrecognized, (number,))

    def test_wrongLengthElective(self) -> None:
        """An elective option of a wrong length is read as absent (5.4.3)."""
        options = Options.fromPairs([(14, b"12345"), (4, b""), (4, b"ok"), (258, b"xy")])
        self.assertEqual(options.unrecognized, ())
        self.assertIsNone(options.maxAge)
        self.assertEqual(options.etag, (b"ok",))
        self.assertIsNone(options.noResponse)

    def test_repeated(self) -> None:
        """A supernumerary copy of a critical option is unrecognized (5.4.5)."""
        self.assertEqual(Options.fromPairs([(17, b""), (17, b"")]).unrecognized, (17,))

    def test_repeatedElective(self) -> None:
        """Of an elective option that may not be repeated the first copy counts (5.4.5)."""
        options = Options.fromPairs([(14, b"\x01"), (14, b"\x02")])
        self.assertEqual((options.unrecognized, options.maxAge), ((), 1))

    def test_repeatable(self) -> None:
        """A repeatable option may be repeated."""
        self.assertEqual(Options(uriPath=("a", "b"), ifMatch=(b"a", b"b")).unrecognized, ())
