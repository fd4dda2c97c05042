"""
Tests for L{txcoap.linkformat}.
"""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap.errors import LinkFormatError
from txcoap.linkformat import Link, filterLinks, matches, parse, write
from txcoap.uri import URI

# RFC 6690 5: what each payload says, as target and attributes. Line breaks are the RFC's.
RFC_6690 = [
    (
        '</sensors/temp>;if="sensor",\n</sensors/light>;if="sensor"',
        (Link("/sensors/temp", (("if", "sensor"),)), Link("/sensors/light", (("if", "sensor"),))),
    ),
    ("</sensors>;ct=40", (Link("/sensors", (("ct", "40"),)),)),
    (
        '</sensors/temp>;rt="temperature-c";if="sensor",\n</sensors/light>;rt="light-lux";if="sensor"',
        (
            Link("/sensors/temp", (("rt", "temperature-c"), ("if", "sensor"))),
            Link("/sensors/light", (("rt", "light-lux"), ("if", "sensor"))),
        ),
    ),
    (
        '</sensors>;ct=40;title="Sensor Index",\n'
        '</sensors/temp>;rt="temperature-c";if="sensor",\n'
        '</sensors/light>;rt="light-lux";if="sensor",\n'
        '<http://www.example.com/sensors/t123>;anchor="/sensors/temp"\n;rel="describedby",\n'
        '</t>;anchor="/sensors/temp";rel="alternate"',
        (
            Link("/sensors", (("ct", "40"), ("title", "Sensor Index"))),
            Link("/sensors/temp", (("rt", "temperature-c"), ("if", "sensor"))),
            Link("/sensors/light", (("rt", "light-lux"), ("if", "sensor"))),
            Link(
                "http://www.example.com/sensors/t123",
                (("anchor", "/sensors/temp"), ("rel", "describedby")),
            ),
            Link("/t", (("anchor", "/sensors/temp"), ("rel", "alternate"))),
        ),
    ),
    (
        '</firmware/v2.1>;rt="firmware";sz=262144',
        (Link("/firmware/v2.1", (("rt", "firmware"), ("sz", "262144"))),),
    ),
]

names = st.from_regex(r"[A-Za-z0-9!#$&+\-.^_`|~]{1,8}\*?", fullmatch=True)
links = st.builds(
    Link,
    st.text(st.characters(exclude_characters='<>" \x7f', min_codepoint=33), max_size=20),
    st.lists(st.tuples(names, st.none() | st.text(max_size=20)), max_size=5).map(tuple),
)


class ParseTests(SynchronousTestCase):
    """
    Tests for L{parse} (RFC 6690 2).
    """

    def assertRefused(self, text: str, position: int) -> None:
        error = self.assertRaises(LinkFormatError, parse, text)
        self.assertIn(f"at character {position},", str(error))

    def test_rfc6690(self) -> None:
        """
        The examples of RFC 6690 5 are read as they are meant.
        """
        for text, expected in RFC_6690:
            self.assertEqual(parse(text), expected)

    def test_none(self) -> None:
        """
        Nothing, or white space, holds no links.
        """
        for text in ("", " ", "\r\n"):
            self.assertEqual(parse(text), ())

    def test_bareLink(self) -> None:
        """
        A link may have no attributes, and an empty target.
        """
        self.assertEqual(parse("</a>,<>"), (Link("/a"), Link("")))

    def test_flag(self) -> None:
        """
        An attribute without a value is not one with an empty value.
        """
        self.assertEqual(parse('</a>;obs;rt=""'), (Link("/a", (("obs", None), ("rt", ""))),))

    def test_quotedDelimiters(self) -> None:
        """
        Commas, semicolons and angle brackets within quotes end nothing.
        """
        self.assertEqual(
            parse('</a>;title="a,b;c<d>=",</b>'),
            (Link("/a", (("title", "a,b;c<d>="),)), Link("/b")),
        )

    def test_quotedPair(self) -> None:
        """
        Within quotes a backslash takes the next character as it is.
        """
        (link,) = parse(r'</a>;title="say \"hi\" \\ \x"')
        self.assertEqual(link.title, r'say "hi" \ x')

    def test_token(self) -> None:
        """
        A value without quotes may have any of the token characters, such as slash and equals sign.
        """
        (link,) = parse("</a>;rt=urn:x/y=z;hreflang=de;title*=UTF-8'de'%C3%BC")
        self.assertEqual(link.rt, ("urn:x/y=z",))
        self.assertEqual(link.get("title*"), "UTF-8'de'%C3%BC")

    def test_repeated(self) -> None:
        """
        A repeated attribute is kept in order.
        """
        (link,) = parse("</a>;x=1;y=2;x=3")
        self.assertEqual(link.attributes, (("x", "1"), ("y", "2"), ("x", "3")))

    def test_whiteSpace(self) -> None:
        """
        White space between the parts is passed over, as is a line break.
        """
        text = ' </a> ;\trt = "x" ; obs\r\n,\n</b>\n'
        self.assertEqual(parse(text), (Link("/a", (("rt", "x"), ("obs", None))), Link("/b")))

    def test_refused(self) -> None:
        """
        What is not link format is refused with the place where it ceases to be.
        """
        for text, position in [
            ("/a", 0),
            ("</a", 0),
            ("</a b>", 0),
            ("<</a>", 0),
            ("</a>b", 4),
            ("</a></b>", 4),
            ("</a>,", 5),
            ("</a>,,</b>", 5),
            (",</a>", 0),
            ("</a>;", 4),
            ("</a>;;x", 4),
            ("</a>;=1", 4),
            ("</a>;x=", 4),
            ("</a>;x=1 2", 4),
            ('</a>;x="1', 4),
            ('</a>;x="1\\"', 4),
            ('</a>;x="1"2', 4),
            ("</a>;x=a\\b", 4),
            ("</a>;x;\u00fc=1", 6),
        ]:
            self.assertRefused(text, position)

    def test_lenient(self) -> None:
        """
        Where that is asked for, what a target has and no URI may is percent-encoded; the rest stays as
        it is.
        """
        for text, target in [
            ("</caf\u00e9/a b>", "/caf%C3%A9/a%20b"),
            ("</caf%C3%A9/a%20b>", "/caf%C3%A9/a%20b"),
            ('</say "hi">', "/say%20%22hi%22"),
            ("</a\r\n\x00>", "/a%0D%0A%00"),
            ("<coap://[::1]/a?b=c&d#!$'()*+,;=@~>", "coap://[::1]/a?b=c&d#!$'()*+,;=@~"),
            ("<>", ""),
        ]:
            self.assertEqual(parse(f'{text};rt="x y", </b>', lenient=True)[0], Link(target, (("rt", "x y"),)))

    def test_lenientOtherwiseStrict(self) -> None:
        """
        Nothing but targets is mended.
        """
        for text in ("/a", "</a", "<</a>", "</a>b", "</a>;=1", "</a>;x=1 2", "</a>,"):
            self.assertRaises(LinkFormatError, parse, text, lenient=True)

    def test_long(self) -> None:
        """
        Long text is read, or refused, in time that grows no faster than it.
        """
        many = ",".join(['</a>;rt="x y";obs'] * 20_000)
        self.assertEqual(len(parse(many)), 20_000)
        size = 1_000_000
        for tail in ('"' + "a" * size, '"' + '\\"' * size, "a" * size + '"', " " * size + ";"):
            self.assertRaises(LinkFormatError, parse, f"</a>;x={tail}")
        for text in ("<" + "a" * size, " " * size + "a", "</a>" + " " * size + "a"):
            self.assertRaises(LinkFormatError, parse, text)
            self.assertRaises(LinkFormatError, parse, text, lenient=True)
        self.assertRaises(LinkFormatError, parse, "</a>;" + "x" * size + "\x00")

    @given(st.text(alphabet=st.sampled_from('<>;,="\\ *a/\n\u00fc\ud800\x00'), max_size=30))
    @settings(deadline=None, max_examples=300, derandomize=True)
    def test_anyText(self, text: str) -> None:
        """
        Any text is links or L{LinkFormatError}; what is read can be written and read again.
        """
        for candidate, lenient in product((text, f"</a>;{text}", f"<{text}>"), (False, True)):
            try:
                found = parse(candidate, lenient=lenient)
            except LinkFormatError:
                continue
            self.assertEqual(parse(write(found)), found)


class WriteTests(SynchronousTestCase):
    """
    Tests for L{write}.
    """

    def test_rfc6690(self) -> None:
        """
        The examples of RFC 6690 5 are written as they stand there, without the line breaks.
        """
        for text, expected in RFC_6690:
            self.assertEqual(write(expected), text.replace("\n", ""))

    def test_none(self) -> None:
        """
        No links are no text.
        """
        self.assertEqual(write([]), "")

    def test_quoting(self) -> None:
        """
        Numbers and RFC 5987 values are written without quotes; several content formats, words and
        titles with them (RFC 6690 2, RFC 7252 7.2.1).
        """
        link = Link.of("/a", rt="1", ifs="s", ct=(0, 60), sz=5, title="7", obs=True, ver="1.0")
        self.assertEqual(str(link), '</a>;rt="1";if="s";ct="0 60";sz=5;title="7";obs;ver=1.0')
        self.assertEqual(str(Link("/a", (("ct", "40"),))), "</a>;ct=40")
        self.assertEqual(str(Link("/a", (("title*", "UTF-8''x"),))), "</a>;title*=UTF-8''x")
        self.assertEqual(str(Link("/a", (("title*", "a b"),))), '</a>;title*="a b"')

    def test_escaping(self) -> None:
        """
        Quotes and backslashes get a backslash.
        """
        self.assertEqual(str(Link.of("/a", title='"\\')), r'</a>;title="\"\\"')

    @given(st.lists(links, max_size=5).map(tuple))
    @settings(deadline=None, max_examples=300, derandomize=True)
    def test_roundTrip(self, given: tuple[Link, ...]) -> None:
        """
        What is written reads back equal.
        """
        self.assertEqual(parse(write(given)), given)


class LinkTests(SynchronousTestCase):
    """
    Tests for L{Link}.
    """

    def test_accessors(self) -> None:
        """
        The attributes of RFC 6690 3, RFC 7252 7.2.1 and RFC 7641 6 have accessors.
        """
        (link,) = parse(
            '</a>;rt="x  y";if="s t";rel="alternate item";ct="0 60";sz=10;title="T";anchor="/b";obs'
        )
        self.assertEqual(link.target, "/a")
        self.assertEqual(link.rt, ("x", "y"))
        self.assertEqual(link.ifs, ("s", "t"))
        self.assertEqual(link.rel, ("alternate", "item"))
        self.assertEqual(link.ct, (0, 60))
        self.assertEqual(link.sz, 10)
        self.assertEqual(link.title, "T")
        self.assertEqual(link.anchor, "/b")
        self.assertTrue(link.obs)

    def test_absent(self) -> None:
        """
        What is not there is empty, None or False.
        """
        link = Link("/a")
        self.assertEqual((link.rt, link.ifs, link.rel, link.ct), ((), (), (), ()))
        self.assertEqual((link.sz, link.title, link.anchor, link.obs), (None, None, None, False))

    def test_notNumbers(self) -> None:
        """
        A peer's C{ct} and C{sz} that are no numbers of theirs do not count.
        """
        link = Link.of("/a", ct=f"40 x -1 65536 \u0661 {'9' * 5000} 60", sz="9" * 5000)
        self.assertEqual(link.ct, (40, 60))
        self.assertIsNone(link.sz)
        self.assertIsNone(Link.of("/a", sz="big").sz)

    def test_get(self) -> None:
        """
        An attribute is found in any case; of several the first counts (RFC 6690 2).
        """
        link = Link("/a", (("RT", "x"), ("rt", "y"), ("obs", None)))
        self.assertEqual(link.get("rt"), "x")
        self.assertEqual(link.getAll("Rt"), ("x", "y"))
        self.assertEqual(link.get("obs"), "")
        self.assertIsNone(link.get("if"))
        self.assertEqual(link.getAll("if"), ())

    def test_of(self) -> None:
        """
        Keywords make attributes in their order; None and False make none.
        """
        link = Link.of("/a", rt=["x", "y"], ifs="s", sz=0, obs=True, ct=None, title=False)
        self.assertEqual(link.attributes, (("rt", "x y"), ("if", "s"), ("sz", "0"), ("obs", None)))

    def test_refused(self) -> None:
        """
        A target or a name with characters that would end it is refused.
        """
        for target in ("a b", "a>", "<a", '"', "a\n", "\x7f"):
            self.assertRaises(ValueError, Link, target)
        for name in ("", "a b", "a=", "a;", "\u00fc", "a*b", "a,"):
            self.assertRaises(ValueError, Link, "/a", ((name, None),))

    def test_resolve(self) -> None:
        """
        A target resolves against the URI it was found at, with its scheme (RFC 6690 2.1).
        """
        (link,) = parse("</sensors/temp>")
        found = URI.fromText("coaps://h/.well-known/core")
        self.assertEqual(found.resolve(link.target).toText(), "coaps://h/sensors/temp")


class MatchesTests(SynchronousTestCase):
    """
    Tests for L{matches} and L{filterLinks} (RFC 6690 4.1).
    """

    LIGHT = Link.of("/light", rt="light-lux core.sen-light", ifs="sensor", title="The light")

    def test_rfc6690(self) -> None:
        """
        The filter of RFC 6690 5 finds the link whose list has the word.
        """
        links = (Link.of("/temp", rt="temperature-c", ifs="sensor"), self.LIGHT)
        self.assertEqual(filterLinks(links, ["rt=light-lux"]), (self.LIGHT,))

    def test_words(self) -> None:
        """
        Any word of a list matches, or the beginning of any with an asterisk; a part does not.
        """
        for query in ("rt=light-lux", "rt=core.sen-light", "rt=core.*", "if=sensor", "if=*"):
            self.assertTrue(matches(self.LIGHT, query), query)
        for query in ("rt=light", "rt=sen*", "rt=*lux", "if=sens", "rt="):
            self.assertFalse(matches(self.LIGHT, query), query)

    def test_relation(self) -> None:
        """
        Relation types are a list as well.
        """
        self.assertTrue(matches(Link.of("/a", rel="item next"), "rel=next"))

    def test_wholeValue(self) -> None:
        """
        Other attributes match as a whole, or by their beginning.
        """
        self.assertTrue(matches(self.LIGHT, "title=The light"))
        self.assertTrue(matches(self.LIGHT, "title=The*"))
        self.assertFalse(matches(self.LIGHT, "title=light"))

    def test_case(self) -> None:
        """
        Values match in their own case, names in any.
        """
        self.assertTrue(matches(self.LIGHT, "RT=light-lux"))
        self.assertFalse(matches(self.LIGHT, "rt=Light-Lux"))

    def test_empty(self) -> None:
        """
        An empty value matches an empty value, and not one that is not there.
        """
        self.assertTrue(matches(Link.of("/a", rt=""), "rt="))
        self.assertFalse(matches(Link("/a"), "rt="))

    def test_presence(self) -> None:
        """
        An asterisk alone, or no value, asks whether the attribute is there.
        """
        link = Link.of("/a", obs=True)
        for query in ("obs", "obs=*", "obs="):
            self.assertTrue(matches(link, query), query)
        for query in ("rt", "rt=*"):
            self.assertFalse(matches(link, query), query)

    def test_href(self) -> None:
        """
        C{href} matches the target, percent-encoded or not.
        """
        link = Link("/a%20b")
        for query in ("href=/a%20b", "href=/a b", "href=/a *", "href=*"):
            self.assertTrue(matches(link, query), query)
        self.assertFalse(matches(link, "href=/a"))

    def test_equalsInValue(self) -> None:
        """
        Only the first equals sign divides name from value.
        """
        self.assertTrue(matches(Link.of("/a", x="1=2"), "x=1=2"))

    def test_all(self) -> None:
        """
        A link has to pass every filter; without one all links pass.
        """
        links = (self.LIGHT, Link.of("/b", rt="light-lux"))
        self.assertEqual(filterLinks(links, []), links)
        self.assertEqual(filterLinks(links, ["rt=light-lux", "if=sensor"]), (self.LIGHT,))
        self.assertEqual(filterLinks(links, ["rt=light-lux", "if=other"]), ())


class PlugtestTests(SynchronousTestCase):
    """
    The cases TD_COAP_LINK_01 to 09 of the ETSI CoAP plugtests.
    """

    LINKS = (
        Link.of("/.well-known/core", ct=40),
        Link.of("/test", title="Default test resource"),
        Link.of("/link1", rt="Type1 Type2", ifs="If1"),
        Link.of("/link2", rt="Type2 Type3", ifs="If2"),
        Link.of("/link3", rt="Type1 Type3", ifs="foo"),
        Link.of("/empty", rt=""),
        Link.of("/large", sz=1280),
        Link.of("/large-update", sz=1280),
        Link.of("/path", ct=40),
    )

    def assertFound(self, query: str, *targets: str) -> None:
        found = filterLinks(parse(write(self.LINKS)), [query])
        self.assertEqual([link.target for link in found], list(targets))

    def test_link01(self) -> None:
        """
        Without a filter every link is found.
        """
        self.assertEqual(filterLinks(parse(write(self.LINKS)), []), self.LINKS)

    def test_link02(self) -> None:
        """
        C{rt=Type1} finds the links of that type alone.
        """
        self.assertFound("rt=Type1", "/link1", "/link3")

    def test_link03(self) -> None:
        """
        C{rt=*} finds the links that have a resource type, be it empty.
        """
        self.assertFound("rt=*", "/link1", "/link2", "/link3", "/empty")

    def test_link04(self) -> None:
        """
        C{rt=Type2} finds links by a word in a list.
        """
        self.assertFound("rt=Type2", "/link1", "/link2")

    def test_link05(self) -> None:
        """
        C{if=If*} finds links by the beginning of the interface description.
        """
        self.assertFound("if=If*", "/link1", "/link2")

    def test_link06(self) -> None:
        """
        C{sz=*} finds the links that have a size.
        """
        self.assertFound("sz=*", "/large", "/large-update")

    def test_link07(self) -> None:
        """
        C{href=/link1} finds that link alone.
        """
        self.assertFound("href=/link1", "/link1")

    def test_link08(self) -> None:
        """
        C{href=/link*} finds links by the beginning of their target.
        """
        self.assertFound("href=/link*", "/link1", "/link2", "/link3")

    def test_link09(self) -> None:
        """
        C{ct=40} finds further lists of links, whose targets resolve against theirs.
        """
        self.assertFound("ct=40", "/.well-known/core", "/path")
        listed = parse("</path/sub1>,</path/sub2>,</path/sub3>")
        base = URI.fromText("coap://h/path")
        self.assertEqual(base.resolve(listed[0].target).toText(), "coap://h/path/sub1")
