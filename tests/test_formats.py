"""
Tests for L{txcoap.formats}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcoap import formats
from txcoap.formats import FORMATS, Format, contentFormat, formatName, registerFormat

# What users of node-coap write, and the number that node-coap sends for it.
NODE_COAP = {
    "text/plain": 0,
    'application/cose; cose-type="cose-encrypt0"': 16,
    'application/cose; cose-type="cose-mac0"': 17,
    'application/cose; cose-type="cose-sign1"': 18,
    "application/link-format": 40,
    "application/xml": 41,
    "application/octet-stream": 42,
    "application/exi": 47,
    "application/json": 50,
    "application/json-patch+json": 51,
    "application/merge-patch+json": 52,
    "application/cbor": 60,
    "application/cwt": 61,
    "application/multipart-core": 62,
    "application/cbor-seq": 63,
    "application/cose-key": 101,
    "application/cose-key-set": 102,
    "application/senml+json": 110,
    "application/sensml+json": 111,
    "application/senml+cbor": 112,
    "application/sensml+cbor": 113,
    "application/senml-exi": 114,
    "application/sensml-exi": 115,
    "application/coap-group+json": 256,
    "application/dots+cbor": 271,
    "application/missing-blocks+cbor-seq": 272,
    "application/pkcs7-mime; smime-type=server-generated-key": 280,
    "application/pkcs7-mime; smime-type=certs-only": 281,
    "application/pkcs8": 284,
    "application/csrattrs": 285,
    "application/pkcs10": 286,
    "application/pkix-cert": 287,
    "application/senml+xml": 310,
    "application/sensml+xml": 311,
    "application/senml-etch+json": 320,
    "application/senml-etch+cbor": 322,
    "application/td+json": 432,
    "application/vnd.ocf+cbor": 10000,
    "application/oscore": 10001,
    "application/javascript": 10002,
    "application/vnd.oma.lwm2m+tlv": 11542,
    "application/vnd.oma.lwm2m+json": 11543,
    "application/vnd.oma.lwm2m+cbor": 11544,
    "text/css": 20000,
    "image/svg+xml": 30000,
}


class ContentFormatTests(SynchronousTestCase):
    """
    Tests for L{contentFormat}.
    """

    def test_nodeCoapNames(self) -> None:
        """
        Every name that node-coap knows stands for the number that node-coap sends.
        """
        for name, number in NODE_COAP.items():
            self.assertEqual(contentFormat(name), number, name)

    def test_rfc7252(self) -> None:
        """
        The formats of RFC 7252 12.3 have the numbers given there.
        """
        given = ["text/plain;charset=utf-8", "application/link-format", "application/xml"]
        given += ["application/octet-stream", "application/exi", "application/json"]
        self.assertEqual([contentFormat(name) for name in given], [0, 40, 41, 42, 47, 50])

    def test_number(self) -> None:
        """
        A number from 0 to 65535 stands for itself, whether it is registered or not.
        """
        for number in (0, 60, 1542, 65535):
            self.assertEqual(contentFormat(number), number)

    def test_numberOutOfRange(self) -> None:
        """
        A number that two bytes cannot hold is refused (RFC 7252 5.10).
        """
        for number in (-1, 65536):
            self.assertRaises(ValueError, contentFormat, number)

    def test_numberAsText(self) -> None:
        """
        A number may be given as text, as on a command line; it has the same limits.
        """
        self.assertEqual(contentFormat("60"), 60)
        self.assertEqual(contentFormat(" 0 "), 0)
        for text in ("65536", "9" * 5000, "-1", "6e1", "\u0661"):
            self.assertRaises(ValueError, contentFormat, text)

    def test_caseAndSpaces(self) -> None:
        """
        Case, quotes, and spaces around the semicolon and the equals sign make no difference.
        """
        for name in (
            'application/cose; cose-type="cose-sign1"',
            "application/cose;cose-type=cose-sign1",
            'Application/COSE ; Cose-Type = "cose-sign1" ',
        ):
            self.assertEqual(contentFormat(name), 18)

    def test_parametersPassedOver(self) -> None:
        """
        Parameters that have no number of their own are passed over.
        """
        self.assertEqual(contentFormat("application/json; charset=utf8"), 50)
        self.assertEqual(contentFormat("application/json; charset=utf-8; odata=full"), 50)
        self.assertEqual(contentFormat("application/json; charset=utf-8@deflate"), 11050)
        self.assertEqual(contentFormat("text/plain; charset=us-ascii"), 0)

    def test_parametersThatCount(self) -> None:
        """
        A parameter with a number of its own is not passed over (RFC 7252 12.3).
        """
        self.assertEqual(contentFormat("application/yang-data+cbor"), 340)
        self.assertEqual(contentFormat("application/yang-data+cbor; id=sid"), 140)
        self.assertEqual(contentFormat("application/yang-data+cbor; id=name"), 341)

    def test_otherCharset(self) -> None:
        """
        Text in another charset than UTF-8 is not called UTF-8: CoAP has no number for it.
        """
        self.assertRaises(ValueError, contentFormat, "text/plain; charset=iso-8859-1")
        self.assertRaises(ValueError, contentFormat, "application/json; charset=utf-16")

    def test_coding(self) -> None:
        """
        A content coding follows an C{@} (RFC 9193 3).
        """
        self.assertEqual(contentFormat("application/json@deflate"), 11050)
        self.assertEqual(contentFormat("application/cbor@deflate"), 11060)
        self.assertEqual(contentFormat("text/plain@zstd"), 12000)
        self.assertRaises(ValueError, contentFormat, "application/json@br")

    def test_short(self) -> None:
        """
        C{application/} can be left out, and C{text} is plain text.
        """
        short = ["text", "json", "cbor", "xml", "link-format", "octet-stream", "cbor@deflate"]
        short += ["senml+json", "senml+cbor"]
        numbers = [0, 50, 60, 41, 40, 42, 11060, 110, 112]
        self.assertEqual([contentFormat(name) for name in short], numbers)

    def test_unknown(self) -> None:
        """
        An unknown name is refused with itself and what is near to it.
        """
        error = self.assertRaises(ValueError, contentFormat, "application/jsn")
        self.assertIn("'application/jsn'", str(error))
        self.assertIn("application/json", str(error))

    def test_noName(self) -> None:
        """
        What is neither number nor text, or says nothing, is refused.
        """
        for value in (b"text/plain", None, 1.5, "", " ", "/", ";"):
            self.assertRaises(ValueError, contentFormat, value)

    @given(st.text(max_size=40))
    @settings(deadline=None, max_examples=200, derandomize=True)
    def test_anyText(self, text: str) -> None:
        """
        Any text gives a number from 0 to 65535 or C{ValueError}, and nothing else.
        """
        try:
            number = contentFormat(text)
        except ValueError:
            return
        self.assertTrue(0 <= number <= 65535)


class FormatNameTests(SynchronousTestCase):
    """
    Tests for L{formatName} and L{FORMATS}.
    """

    def test_known(self) -> None:
        """
        A known format is named by media type, parameters and coding.
        """
        self.assertEqual(formatName(0), "text/plain; charset=utf-8")
        self.assertEqual(formatName(50), "application/json")
        self.assertEqual(formatName(11050), "application/json@deflate")

    def test_unknown(self) -> None:
        """
        An unknown format is named by its number.
        """
        self.assertEqual(formatName(1542), "1542")

    def test_everyName(self) -> None:
        """
        Every name that is given is understood, and means the same number.
        """
        for number in FORMATS:
            self.assertEqual(contentFormat(formatName(number)), number)

    def test_registry(self) -> None:
        """
        Every line of the registry is in the table, under its own number, and none twice.
        """
        self.assertEqual(len(FORMATS), len(formats._REGISTRY))
        for number, each in FORMATS.items():
            self.assertEqual(each.number, number)

    def test_reserved(self) -> None:
        """
        Numbers that the registry reserves, or keeps for experiments, have no name.
        """
        for number in (1542, 1543, 64998, 64999, *range(65000, 65536)):
            self.assertNotIn(number, FORMATS)

    def test_constants(self) -> None:
        """
        The constants are the formats that their names say.
        """
        self.assertEqual(formatName(formats.LINK_FORMAT), "application/link-format")
        self.assertEqual(formatName(formats.OCTET_STREAM), "application/octet-stream")
        self.assertEqual(formatName(formats.JSON), "application/json")
        self.assertEqual(formatName(formats.CBOR), "application/cbor")
        self.assertEqual(contentFormat("text/plain"), formats.TEXT)


class RegisterFormatTests(SynchronousTestCase):
    """
    Tests for L{registerFormat}.
    """

    def setUp(self) -> None:
        self.patch(formats, "FORMATS", dict(FORMATS))
        self.patch(formats, "_numbers", dict(formats._numbers))

    def test_register(self) -> None:
        """
        A registered format is understood and named.
        """
        registerFormat(65000, "application/x-mine; v=1")
        self.assertEqual(contentFormat("application/x-mine;v=1"), 65000)
        self.assertEqual(formatName(65000), "application/x-mine; v=1")

    def test_coding(self) -> None:
        """
        A format can be registered with a coding.
        """
        registerFormat(65001, "text/csv", "gzip")
        self.assertEqual(contentFormat("text/csv@gzip"), 65001)
        self.assertEqual(formats.FORMATS[65001], Format(65001, "text/csv", "gzip"))

    def test_again(self) -> None:
        """
        Registering the same thing again changes nothing, however it is written.
        """
        registerFormat(50, "application/JSON")
        self.assertEqual(formatName(50), "application/json")

    def test_numberTaken(self) -> None:
        """
        A number that stands for something else is refused, and stays what it was.
        """
        self.assertRaises(ValueError, registerFormat, 50, "application/x-mine")
        self.assertEqual(formatName(50), "application/json")
        self.assertRaises(ValueError, contentFormat, "application/x-mine")

    def test_nameTaken(self) -> None:
        """
        A name that stands for another number is refused, short names among them.
        """
        self.assertRaises(ValueError, registerFormat, 65000, "application/json")
        self.assertRaises(ValueError, registerFormat, 65000, "text/plain")
        self.assertEqual(formatName(65000), "65000")

    def test_noFormat(self) -> None:
        """
        A number that is none, or a name without a slash, is refused.
        """
        self.assertRaises(ValueError, registerFormat, 65536, "application/x-mine")
        self.assertRaises(ValueError, registerFormat, 65000, "mine")
