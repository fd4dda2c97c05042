"""
Tests for L{txcoap.uri}, and L{txcoap.spelling} on which it stands.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap.errors import InvalidURI, MalformedOption
from txcoap.options import Options
from txcoap.uri import DEFAULT_PORTS, URI

HELLO = "\u3053\u3093\u306b\u3061\u306f"

# RFC 7252 appendix B: options, destination address and port, and the URI they make.
APPENDIX_B = [
    (Options(), "2001:db8::2:1", 5683, "coap://[2001:db8::2:1]/"),
    (Options(uriHost="example.net"), "2001:db8::2:1", 5683, "coap://example.net/"),
    (
        Options(uriHost="example.net", uriPath=(".well-known", "core")),
        "2001:db8::2:1",
        5683,
        "coap://example.net/.well-known/core",
    ),
    (
        Options(uriHost="xn--18j4d.example", uriPath=(HELLO,)),
        "2001:db8::2:1",
        5683,
        "coap://xn--18j4d.example/%E3%81%93%E3%82%93%E3%81%AB%E3%81%A1%E3%81%AF",
    ),
    (
        Options(uriPath=("", "/", "", ""), uriQuery=("//", "?&")),
        "198.51.100.1",
        61616,
        "coap://198.51.100.1:61616//%2F//?%2F%2F&?%26",
    ),
]

# Text of any characters that have a form in UTF-8.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
segments = texts.filter(lambda text: text not in (".", ".."))
names = texts.filter(lambda text: text != "" and not text.startswith("["))
addresses = st.one_of(st.ip_addresses().map(str), st.just("fe80::1%eth0"))
uris = st.builds(
    URI,
    st.sampled_from(sorted(DEFAULT_PORTS)),
    st.one_of(names, addresses, texts.map(lambda text: f"/{text}")),
    st.integers(0, 65535),
    st.lists(segments, max_size=5).map(tuple),
    st.lists(texts, max_size=5).map(tuple),
)


class FromTextTests(SynchronousTestCase):
    """
    Tests for L{URI.fromText} (RFC 7252 6.4).
    """

    def assertRefused(self, text: str, *said: str) -> None:
        error = self.assertRaises(InvalidURI, URI.fromText, text)
        for each in said:
            self.assertIn(each, str(error))

    def test_parts(self) -> None:
        """
        A URI is taken apart into scheme, host, port, segments and arguments.
        """
        self.assertEqual(
            URI.fromText("coap://example.net:61616/a/b?x=1&y"),
            URI("coap", "example.net", 61616, ("a", "b"), ("x=1", "y")),
        )

    def test_equivalent(self) -> None:
        """
        The three URIs that RFC 7252 6.3 calls equivalent are equal.
        """
        first = URI.fromText("coap://example.com:5683/~sensors/temp.xml")
        self.assertEqual(first, URI.fromText("coap://EXAMPLE.com/%7Esensors/temp.xml"))
        self.assertEqual(first, URI.fromText("coap://EXAMPLE.com:/%7esensors/temp.xml"))
        self.assertEqual(first, URI("coap", "example.com", 5683, ("~sensors", "temp.xml")))

    def test_appendixB(self) -> None:
        """
        The URIs of RFC 7252 appendix B make the options given there, less what says the default.
        """
        for options, address, port, text in APPENDIX_B:
            uri = URI.fromText(text)
            self.assertEqual(uri.toOptions(), options)
            self.assertEqual(uri.port, port)
            self.assertEqual(uri.host, options.uriHost or address)

    def test_schemes(self) -> None:
        """
        Each scheme has its default port and is kept, in lower case (RFC 7252 6.1, RFC 8323 8).
        """
        for scheme, port in DEFAULT_PORTS.items():
            uri = URI.fromText(f"{scheme.upper()}://example.net/")
            self.assertEqual((uri.scheme, uri.port), (scheme, port))
        self.assertEqual(DEFAULT_PORTS["coaps"], 5684)

    def test_otherScheme(self) -> None:
        """
        Another scheme is refused with those that there are (step 3).
        """
        self.assertRefused("http://example.net/", "'http'", "coap, coaps")

    def test_notAbsolute(self) -> None:
        """
        A relative reference, or a host without a scheme, is refused with the form to use (step 1).
        """
        for text in ("", "/a", "example.net/a", "localhost:5683/a", "//example.net/a", "coap:a"):
            self.assertRefused(text, "coap://HOST/PATH")

    def test_fragment(self) -> None:
        """
        A fragment is refused, even an empty one (step 4).
        """
        self.assertRefused("coap://example.net/a#b", "fragment")
        self.assertRefused("coap://example.net/a#", "fragment")

    def test_userinfo(self) -> None:
        """
        A user's name is refused: the scheme has no place for it (RFC 7252 6.1).
        """
        self.assertRefused("coap://me@example.net/", "user")

    def test_noHost(self) -> None:
        """
        A URI without a host is invalid (RFC 7252 6.1).
        """
        for text in ("coap:///a", "coap://", "coap://:5683/"):
            self.assertRefused(text, "host is missing")

    def test_port(self) -> None:
        """
        A port is a number from 1 to 65535; an empty one is the default (RFC 7252 6.1).
        """
        self.assertEqual(URI.fromText("coap://h:/").port, 5683)
        self.assertEqual(URI.fromText("coap://h:0061616/").port, 61616)
        for port in ("0", "00", "65536", "9" * 5000):
            self.assertRefused(f"coap://h:{port}/", "65535")
        self.assertRefused("coap://h:a/", "host and port")
        self.assertRefused("coap://h:1:2/", "host and port")

    def test_pathOrNone(self) -> None:
        """
        No path and a single slash are the same: no segment (step 8).
        """
        self.assertEqual(URI.fromText("coap://h").path, ())
        self.assertEqual(URI.fromText("coap://h/").path, ())
        self.assertEqual(URI.fromText("coap://h?x").path, ())

    def test_emptySegments(self) -> None:
        """
        Empty segments are kept, in front, between and at the end (step 8).
        """
        self.assertEqual(URI.fromText("coap://h/a//b/").path, ("a", "", "b", ""))
        self.assertEqual(URI.fromText("coap://h//").path, ("", ""))

    def test_dotSegments(self) -> None:
        """
        Dot segments are resolved before anything else (step 2, RFC 3986 5.2.4).
        """
        for text, path in [
            ("/a/./b/../c", ("a", "c")),
            ("/a/b/..", ("a", "")),
            ("/a/b/.", ("a", "b", "")),
            ("/..", ()),
            ("/../../a", ("a",)),
            ("/a//../b", ("a", "b")),
            ("/...", ("...",)),
        ]:
            self.assertEqual(URI.fromText(f"coap://h{text}").path, path, text)

    def test_encodedDotSegments(self) -> None:
        """
        A dot segment that is percent-encoded is refused: no option may carry it (RFC 7252 5.10.1).
        """
        for segment in ("%2e%2E", ".%2e", "%2E"):
            self.assertRefused(f"coap://h/a/{segment}/b", "path segment")

    def test_query(self) -> None:
        """
        A query is cut at each ampersand, and nowhere else; an empty one is one empty argument
        (step 9).
        """
        for text, query in [
            ("", ()),
            ("?", ("",)),
            ("?a&&b", ("a", "", "b")),
            ("?a=1;b&c=%26", ("a=1;b", "c=&")),
            ("?/a?b", ("/a?b",)),
        ]:
            self.assertEqual(URI.fromText(f"coap://h/{text}").query, query, text)

    def test_percentDecoding(self) -> None:
        """
        Segments and arguments are decoded after they are told apart: an encoded delimiter is none.
        """
        uri = URI.fromText("coap://h/a%2Fb/%25/%e3%81%93?x=%26&%2B+")
        self.assertEqual(uri.path, ("a/b", "%", "\u3053"))
        self.assertEqual(uri.query, ("x=&", "++"))

    def test_badPercentEncoding(self) -> None:
        """
        A percent sign that encodes nothing is refused, and the text tells how to write one.
        """
        for text in ("/%", "/%4", "/%zz", "?%g0"):
            self.assertRefused(f"coap://h{text}", "%25")
        self.assertRefused("coap://h%/", "%25")

    def test_notUTF8(self) -> None:
        """
        Percent-encodings that make no UTF-8 are refused wherever they are (RFC 7252 6.4 step 2).
        """
        for text in ("h/%ff", "h/%c3?a", "h?%ed%a0%80", "%ff/"):
            self.assertRefused(f"coap://{text}", "UTF-8")

    def test_unencoded(self) -> None:
        """
        Characters that a URI cannot hold are refused with their percent-encoding.
        """
        self.assertRefused("coap://h/a b", "%20")
        self.assertRefused("coap://h/a?b|c", "%7C")
        self.assertRefused("coap://h/a\n", "%0A")
        self.assertRefused("coap://h h/", "%20")
        self.assertRefused("coap://h/\ud800")

    def test_beyondASCII(self) -> None:
        """
        Characters beyond ASCII stand for their UTF-8 (RFC 3987 3.1).
        """
        uri = URI.fromText(f"coap://h/{HELLO}?\u00fc")
        self.assertEqual((uri.path, uri.query), ((HELLO,), ("\u00fc",)))
        self.assertEqual(URI.fromText(uri.toText()), uri)

    def test_noNormalization(self) -> None:
        """
        Unicode is not normalized: both spellings of a letter stay what they are (RFC 7252 3.2).
        """
        for letter in ("\u00e9", "e\u0301"):
            self.assertEqual(URI.fromText(f"coap://h/{letter}").path, (letter,))

    def test_name(self) -> None:
        """
        A name is put in lower case, its ASCII letters alone, and percent-decoded (step 5).
        """
        self.assertEqual(URI.fromText("coap://EXAMPLE.Net/").host, "example.net")
        self.assertEqual(URI.fromText("coap://%45x%2Cy/").host, "ex,y")
        self.assertEqual(URI.fromText("coap://\u00c4A/").host, "\u00c4a")

    def test_ipv4(self) -> None:
        """
        Four decimal numbers are an address; what only looks similar is a name (RFC 3986 3.2.2).
        """
        self.assertTrue(URI.fromText("coap://192.0.2.1/").isLiteral)
        for name in ("192.0.2", "192.0.2.256", "192.0.2.01", "1.2.3.4.5", "example.net"):
            self.assertFalse(URI.fromText(f"coap://{name}/").isLiteral, name)

    def test_ipv6(self) -> None:
        """
        An IPv6 address comes out without brackets, in the form of RFC 5952.
        """
        uri = URI.fromText("coap://[2001:DB8:0:0:0::1]:61616/a")
        self.assertEqual((uri.host, uri.port, uri.isLiteral), ("2001:db8::1", 61616, True))
        self.assertEqual(URI.fromText("coap://[::FFFF:c000:201]/").host, "::ffff:192.0.2.1")

    def test_notIPv6(self) -> None:
        """
        Brackets hold an IPv6 address and nothing else, and an IPv6 address needs them.
        """
        for host in ("[]", "[::1", "[1.2.3.4]", "[::g]", "[v1.x]", "[h]", "[::1]x", "[[::1]]"):
            self.assertRefused(f"coap://{host}/")
        self.assertRefused("coap://::1/", "[brackets]")

    def test_zone(self) -> None:
        """
        A zone follows C{%25} (RFC 6874 2), or the bare C{%} of other tools.
        """
        for text in ("[fe80::1%25eth0]", "[fe80::1%eth0]", "[FE80::1%25%65th0]"):
            uri = URI.fromText(f"coap://{text}/")
            self.assertEqual(uri.host, "fe80::1%eth0")
            self.assertTrue(uri.isLiteral)
        self.assertEqual(URI.fromText("coap://[fe80::1%252]/").host, "fe80::1%2")
        self.assertEqual(URI.fromText("coap://[fe80::1%2]/").host, "fe80::1%2")
        self.assertEqual(URI.fromText("coap://[fe80::1%25]/").host, "fe80::1%25")

    def test_badZone(self) -> None:
        """
        An empty zone, or one with characters that a URI cannot hold, is refused.
        """
        for text in ("[fe80::1%]", "[fe80::1%25a b]", "[fe80::1%25%ff]", "[::g%eth0]"):
            self.assertRefused(f"coap://{text}/")

    def test_unixPath(self) -> None:
        """
        The percent-encoded path of a Unix socket is a host that keeps its case.
        """
        uri = URI.fromText("coap://%2Frun%2FX.sock/a")
        self.assertEqual((uri.host, uri.path), ("/run/X.sock", ("a",)))
        self.assertTrue(uri.isUnixPath)
        self.assertFalse(uri.isLiteral)
        self.assertFalse(URI.fromText("coap://h/").isUnixPath)

    @given(st.text(alphabet=st.sampled_from("coap:/[]%.?#&@2fe80-\u00fc \ud800"), max_size=30))
    @settings(deadline=None, max_examples=300, derandomize=True)
    def test_anyText(self, text: str) -> None:
        """
        Any text is a URI or L{InvalidURI}; a URI's own text reads back equal.
        """
        for candidate in (text, f"coap://{text}", f"coap://h/{text}"):
            try:
                uri = URI.fromText(candidate)
            except InvalidURI:
                continue
            self.assertEqual(URI.fromText(uri.toText()), uri)


class ValueTests(SynchronousTestCase):
    """
    Tests for L{URI} as a value.
    """

    def test_defaults(self) -> None:
        """
        Port 0 is the scheme's own; path and query are empty unless given.
        """
        uri = URI("coaps", "Example.NET")
        self.assertEqual(uri, URI("coaps", "example.net", 5684, (), ()))
        self.assertEqual(hash(uri), hash(URI("coaps", "example.net", 5684)))

    def test_immutable(self) -> None:
        """
        A URI cannot be changed.
        """
        uri = URI("coap", "h")
        self.assertRaises(FrozenInstanceError, setattr, uri, "host", "other")

    def test_refused(self) -> None:
        """
        Parts that make no URI are refused at once.
        """
        for parts in [
            ("http", "h"),
            ("COAP", "h"),
            ("coap", ""),
            ("coap", "h", -1),
            ("coap", "h", 65536),
            ("coap", "h", 0, (".",)),
            ("coap", "h", 0, ("a", "..")),
            ("coap", "h", 0, ("\ud800",)),
            ("coap", "h", 0, (), ("\udfff",)),
            ("coap", "\ud800"),
        ]:
            self.assertRaises(InvalidURI, URI, *parts)

    def test_singleEmptySegment(self) -> None:
        """
        One empty segment alone is the same as none: both are written as a single slash.
        """
        self.assertEqual(URI("coap", "h", 0, ("",)), URI("coap", "h"))


class ToTextTests(SynchronousTestCase):
    """
    Tests for L{URI.toText} (RFC 7252 6.5).
    """

    def test_appendixB(self) -> None:
        """
        The options of RFC 7252 appendix B make the URIs given there.
        """
        for options, address, port, text in APPENDIX_B:
            self.assertEqual(URI.fromOptions(options, "coap", address, port).toText(), text)

    def test_defaultPort(self) -> None:
        """
        A port is written unless it is the scheme's own (step 5).
        """
        self.assertEqual(URI("coap", "h", 5683).toText(), "coap://h/")
        self.assertEqual(URI("coaps", "h", 5683).toText(), "coaps://h:5683/")
        self.assertEqual(URI("coap+ws", "h", 80).toText(), "coap+ws://h/")

    def test_pathCharacters(self) -> None:
        """
        In a segment, unreserved characters, sub-delims, colon and at sign stay; others are encoded
        in upper-case hexadecimal (step 6).
        """
        kept = "azAZ09-._~!$&'()*+,;=:@"
        self.assertEqual(URI("coap", "h", 0, (kept,)).toText(), f"coap://h/{kept}")
        self.assertEqual(
            URI("coap", "h", 0, ("/?#[] %\u00fc",)).toText(), "coap://h/%2F%3F%23%5B%5D%20%25%C3%BC"
        )

    def test_queryCharacters(self) -> None:
        """
        In an argument, the ampersand is encoded and the question mark is not (step 8).
        """
        self.assertEqual(URI("coap", "h", 0, (), ("a=&b?", "c#")).toText(), "coap://h/?a=%26b?&c%23")

    def test_host(self) -> None:
        """
        An IPv6 address goes in brackets, its zone after C{%25}; in a name what must be is encoded.
        """
        for host, written in [
            ("::1", "[::1]"),
            ("fe80::1%eth0", "[fe80::1%25eth0]"),
            ("fe80::1%a/b", "[fe80::1%25a%2Fb]"),
            ("/run/x.sock", "%2Frun%2Fx.sock"),
            ("a:b%c", "a%3Ab%25c"),
            ("192.0.2.1", "192.0.2.1"),
        ]:
            uri = URI("coap", host, 99)
            self.assertEqual(uri.authority, f"{written}:99")
            self.assertEqual(str(uri), f"coap://{written}:99/")

    def test_resourceName(self) -> None:
        """
        The resource name is path and query, a slash at least (steps 6 to 8).
        """
        self.assertEqual(URI("coap", "h").resourceName, "/")
        self.assertEqual(URI("coap", "h", 0, ("a", ""), ("b",)).resourceName, "/a/?b")

    @given(uris)
    @settings(deadline=None, max_examples=300, derandomize=True)
    def test_roundTrip(self, uri: URI) -> None:
        """
        What is written is ASCII, and reads back equal.
        """
        text = uri.toText()
        self.assertTrue(text.isascii())
        self.assertEqual(URI.fromText(text), uri)


class OptionsTests(SynchronousTestCase):
    """
    Tests for L{URI.toOptions} and L{URI.fromOptions} (RFC 7252 6.4, 6.5).
    """

    def test_uriHost(self) -> None:
        """
        A name makes a Uri-Host; an address or a Unix path does not (6.4 step 5).
        """
        self.assertEqual(URI("coap", "example.net").toOptions(), Options(uriHost="example.net"))
        for host in ("192.0.2.1", "2001:db8::1", "fe80::1%eth0", "/run/x.sock"):
            self.assertEqual(URI("coap", host).toOptions(), Options())

    def test_uriHostElsewhere(self) -> None:
        """
        An address makes a Uri-Host if the request goes to another, without its zone.
        """
        self.assertEqual(URI("coap", "2001:db8::1").toOptions("2001:db8::2").uriHost, "[2001:db8::1]")
        self.assertEqual(URI("coap", "fe80::1%eth0").toOptions("::1").uriHost, "[fe80::1]")
        self.assertEqual(URI("coap", "192.0.2.1").toOptions("192.0.2.2").uriHost, "192.0.2.1")
        self.assertIsNone(URI("coap", "2001:db8::1").toOptions("2001:DB8:0::1").uriHost)
        self.assertIsNone(URI("coap", "/run/x.sock").toOptions("::1").uriHost)

    def test_uriPort(self) -> None:
        """
        A port makes a Uri-Port only if the request goes to another (6.4 step 7).
        """
        uri = URI("coap", "192.0.2.1", 61616)
        self.assertIsNone(uri.toOptions().uriPort)
        self.assertIsNone(uri.toOptions(destinationPort=61616).uriPort)
        self.assertEqual(uri.toOptions(destinationPort=5683).uriPort, 61616)

    def test_tooLong(self) -> None:
        """
        A host, segment or argument has at most 255 bytes of UTF-8 (RFC 7252 5.10).
        """
        fits, tooLong = "\u00fc" * 127 + "a", "\u00fc" * 128
        URI("coap", fits, 0, (fits,), (fits,)).toOptions()
        for uri in (
            URI("coap", tooLong),
            URI("coap", "h", 0, (tooLong,)),
            URI("coap", "h", 0, (), (tooLong,)),
        ):
            error = self.assertRaises(InvalidURI, uri.toOptions)
            self.assertIn("255", str(error))

    def test_fromOptions(self) -> None:
        """
        Host and port are those of the options, else the given ones, else the scheme's (6.5).
        """
        self.assertEqual(URI.fromOptions(Options(), "coaps", "::1").toText(), "coaps://[::1]/")
        self.assertEqual(URI.fromOptions(Options(), "coap", "::1", 61616).toText(), "coap://[::1]:61616/")
        options = Options(uriHost="example.net", uriPort=99)
        self.assertEqual(URI.fromOptions(options, "coap", "::1", 61616).toText(), "coap://example.net:99/")

    def test_fromOptionsWithBrackets(self) -> None:
        """
        A Uri-Host may be an IPv6 address in brackets (6.5 step 2).
        """
        uri = URI.fromOptions(Options(uriHost="[2001:db8::1]"), "coap", "::1")
        self.assertEqual(uri.host, "2001:db8::1")
        for host in ("[]", "[x]", "[", "[::1]x"):
            options = Options(uriHost=host)
            if host in ("[]", "[x]"):
                self.assertRaises(InvalidURI, URI.fromOptions, options, "coap", "::1")
            else:
                self.assertFalse(URI.fromOptions(options, "coap", "::1").isLiteral)

    def test_fromOptionsRefused(self) -> None:
        """
        Options that make no URI are refused: a dot segment (RFC 7252 5.10.1), port 0, no UTF-8.
        """
        dots = Options(uriPath=("a", ".."))
        self.assertRaises(InvalidURI, URI.fromOptions, dots, "coap", "::1")
        port = Options(uriPort=0)
        self.assertRaises(InvalidURI, URI.fromOptions, port, "coap", "::1")
        path = Options.fromPairs([(11, b"\xff")])
        self.assertRaises(MalformedOption, URI.fromOptions, path, "coap", "::1")

    @given(uris)
    @settings(deadline=None, max_examples=200, derandomize=True)
    def test_roundTrip(self, uri: URI) -> None:
        """
        What options leave out is what the destination tells, so both give the URI back. A Unix
        socket has no port.
        """
        port = uri.port if uri.isUnixPath else 1
        options = uri.toOptions(destinationPort=port)
        self.assertEqual(URI.fromOptions(options, uri.scheme, uri.host, port), uri)


class ResolveTests(SynchronousTestCase):
    """
    Tests for L{URI.resolve} (RFC 3986 5).
    """

    # RFC 3986 5.4, with what CoAP has no place for left out: an empty path is written as a slash,
    # fragments are dropped.
    BASE = "coap://a/b/c/d;p?q"
    EXAMPLES = (
        ("g", "coap://a/b/c/g"),
        ("./g", "coap://a/b/c/g"),
        ("g/", "coap://a/b/c/g/"),
        ("/g", "coap://a/g"),
        ("//g", "coap://g/"),
        ("?y", "coap://a/b/c/d;p?y"),
        ("g?y", "coap://a/b/c/g?y"),
        ("#s", "coap://a/b/c/d;p?q"),
        ("g#s", "coap://a/b/c/g"),
        ("g?y#s", "coap://a/b/c/g?y"),
        (";x", "coap://a/b/c/;x"),
        ("g;x", "coap://a/b/c/g;x"),
        ("g;x?y#s", "coap://a/b/c/g;x?y"),
        ("", "coap://a/b/c/d;p?q"),
        (".", "coap://a/b/c/"),
        ("./", "coap://a/b/c/"),
        ("..", "coap://a/b/"),
        ("../", "coap://a/b/"),
        ("../g", "coap://a/b/g"),
        ("../..", "coap://a/"),
        ("../../", "coap://a/"),
        ("../../g", "coap://a/g"),
        ("../../../g", "coap://a/g"),
        ("../../../../g", "coap://a/g"),
        ("/./g", "coap://a/g"),
        ("/../g", "coap://a/g"),
        ("g.", "coap://a/b/c/g."),
        (".g", "coap://a/b/c/.g"),
        ("g..", "coap://a/b/c/g.."),
        ("..g", "coap://a/b/c/..g"),
        ("./../g", "coap://a/b/g"),
        ("./g/.", "coap://a/b/c/g/"),
        ("g/./h", "coap://a/b/c/g/h"),
        ("g/../h", "coap://a/b/c/h"),
        ("g;x=1/./y", "coap://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "coap://a/b/c/y"),
        ("g?y/./x", "coap://a/b/c/g?y%2F.%2Fx"),
        ("g#s/../x", "coap://a/b/c/g"),
    )

    def test_rfc3986(self) -> None:
        """
        The examples of RFC 3986 5.4 come out as they do there.
        """
        base = URI.fromText(self.BASE)
        for reference, expected in self.EXAMPLES:
            self.assertEqual(base.resolve(reference).toText(), expected, reference)

    def test_absolute(self) -> None:
        """
        A reference with a scheme stands alone, and its scheme is the one that counts.
        """
        base = URI.fromText("coap://a/b")
        self.assertEqual(base.resolve("coaps://h/x#y"), URI("coaps", "h", 0, ("x",)))
        self.assertRaises(InvalidURI, base.resolve, "http://h/x")

    def test_schemeAndPortStay(self) -> None:
        """
        A reference without a scheme keeps the base's, and without a host its host and port.
        """
        base = URI.fromText("coaps://[fe80::1%25eth0]:61616/b")
        self.assertEqual(base.resolve("/x"), URI("coaps", "fe80::1%eth0", 61616, ("x",)))
        self.assertEqual(base.resolve("//h/x"), URI("coaps", "h", 5684, ("x",)))

    def test_encodedSlash(self) -> None:
        """
        A slash within a segment of the base stays within it.
        """
        base = URI("coap", "h", 0, ("a/b", "c"), ("",))
        self.assertEqual(base.resolve("d").path, ("a/b", "d"))
        self.assertEqual(base.resolve(""), base)

    def test_bad(self) -> None:
        """
        A reference that a URI cannot hold is refused.
        """
        self.assertRaises(InvalidURI, URI("coap", "h").resolve, "a b")

    @given(uris, uris)
    @settings(deadline=None, max_examples=100, derandomize=True)
    def test_ownText(self, base: URI, uri: URI) -> None:
        """
        A URI's own text, and its resource name on the same host, resolve to it from anywhere.
        """
        self.assertEqual(base.resolve(uri.toText()), uri)
        if uri.path[:1] != ("",):  # two slashes in front begin a host
            there = URI(base.scheme, base.host, base.port, uri.path, uri.query)
            self.assertEqual(base.resolve(uri.resourceName), there)
