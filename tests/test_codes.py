"""
Tests for L{txcoap.codes}.
"""

from __future__ import annotations

import pickle

from twisted.trial.unittest import SynchronousTestCase

from txcoap.codes import Code

# The IANA registries "CoAP Method Codes", "CoAP Response Codes" and "CoAP Signaling Codes".
REGISTERED = [
    ("0.00", "EMPTY", "Empty"),
    ("0.01", "GET", "GET"),
    ("0.02", "POST", "POST"),
    ("0.03", "PUT", "PUT"),
    ("0.04", "DELETE", "DELETE"),
    ("0.05", "FETCH", "FETCH"),
    ("0.06", "PATCH", "PATCH"),
    ("0.07", "IPATCH", "iPATCH"),
    ("2.01", "CREATED", "Created"),
    ("2.02", "DELETED", "Deleted"),
    ("2.03", "VALID", "Valid"),
    ("2.04", "CHANGED", "Changed"),
    ("2.05", "CONTENT", "Content"),
    ("2.31", "CONTINUE", "Continue"),
    ("4.00", "BAD_REQUEST", "Bad Request"),
    ("4.01", "UNAUTHORIZED", "Unauthorized"),
    ("4.02", "BAD_OPTION", "Bad Option"),
    ("4.03", "FORBIDDEN", "Forbidden"),
    ("4.04", "NOT_FOUND", "Not Found"),
    ("4.05", "METHOD_NOT_ALLOWED", "Method Not Allowed"),
    ("4.06", "NOT_ACCEPTABLE", "Not Acceptable"),
    ("4.08", "REQUEST_ENTITY_INCOMPLETE", "Request Entity Incomplete"),
    ("4.09", "CONFLICT", "Conflict"),
    ("4.12", "PRECONDITION_FAILED", "Precondition Failed"),
    ("4.13", "REQUEST_ENTITY_TOO_LARGE", "Request Entity Too Large"),
    ("4.15", "UNSUPPORTED_CONTENT_FORMAT", "Unsupported Content-Format"),
    ("4.22", "UNPROCESSABLE_ENTITY", "Unprocessable Entity"),
    ("4.29", "TOO_MANY_REQUESTS", "Too Many Requests"),
    ("5.00", "INTERNAL_SERVER_ERROR", "Internal Server Error"),
    ("5.01", "NOT_IMPLEMENTED", "Not Implemented"),
    ("5.02", "BAD_GATEWAY", "Bad Gateway"),
    ("5.03", "SERVICE_UNAVAILABLE", "Service Unavailable"),
    ("5.04", "GATEWAY_TIMEOUT", "Gateway Timeout"),
    ("5.05", "PROXYING_NOT_SUPPORTED", "Proxying Not Supported"),
    ("5.08", "HOP_LIMIT_REACHED", "Hop Limit Reached"),
    ("7.01", "CSM", "CSM"),
    ("7.02", "PING", "Ping"),
    ("7.03", "PONG", "Pong"),
    ("7.04", "RELEASE", "Release"),
    ("7.05", "ABORT", "Abort"),
]


class RegistryTests(SynchronousTestCase):
    """Every registered code, by each of its spellings."""

    def test_complete(self) -> None:
        """The registries' codes are known, and no others."""
        self.assertEqual([name for _, name, _ in REGISTERED], [code.name for code in Code])

    def test_byte(self) -> None:
        """The byte holds three bits of class and five of detail (RFC 7252 3)."""
        for dotted, name, _ in REGISTERED:
            byte = int(dotted[0]) << 5 | int(dotted[2:])
            self.assertEqual(Code[name], byte)
            self.assertIs(Code.fromByte(byte), Code[name])

    def test_phrase(self) -> None:
        """A code's phrase is the registry's description."""
        for _, name, phrase in REGISTERED:
            self.assertEqual(Code[name].phrase, phrase)

    def test_dotted(self) -> None:
        """A code is written with a dot and two digits of detail."""
        for dotted, name, _ in REGISTERED:
            self.assertEqual(Code[name].dotted, dotted)

    def test_spellings(self) -> None:
        """The dotted form, the name and the phrase, in any case, all give the one code."""
        for dotted, name, phrase in REGISTERED:
            for spelling in (dotted, name, name.lower(), phrase, phrase.upper(), f" {dotted} "):
                self.assertIs(Code(spelling), Code[name], spelling)

    def test_threeDigits(self) -> None:
        """Three decimal digits, as number or text, give the response code that they spell."""
        for dotted, name, _ in REGISTERED:
            if dotted[0] != "0":
                digits = int(dotted.replace(".", ""))
                if digits < 256 and digits in {int(code) for code in Code}:
                    continue
                self.assertIs(Code(digits), Code[name])
                self.assertIs(Code(str(digits)), Code[name])

    def test_registeredByteFirst(self) -> None:
        """A number that is the byte of a registered code means that code."""
        self.assertIs(Code(0x84), Code.NOT_FOUND)
        self.assertIs(Code(1), Code.GET)


class CodeTests(SynchronousTestCase):
    """What a code says of itself."""

    def test_kinds(self) -> None:
        """Class 0 is requests, 2, 4 and 5 are responses, 7 is signals (RFC 7252 12.1)."""
        for byte in range(256):
            code = Code.fromByte(byte)
            codeClass = byte >> 5
            self.assertEqual(code.codeClass, codeClass)
            self.assertEqual(code.isRequest, codeClass == 0 and byte != 0)
            self.assertEqual(code.isResponse, codeClass in (2, 3, 4, 5))
            self.assertEqual(code.isSuccess, codeClass == 2)
            self.assertEqual(code.isClientError, codeClass == 4)
            self.assertEqual(code.isServerError, codeClass == 5)
            self.assertEqual(code.isError, codeClass in (4, 5))
            self.assertEqual(code.isSignal, codeClass == 7)

    def test_unregistered(self) -> None:
        """A byte that no registry knows is a code all the same, and keeps its value."""
        code = Code.fromByte(0x9F)
        self.assertEqual(code, 0x9F)
        self.assertEqual(code.dotted, "4.31")
        self.assertEqual(str(code), "4.31 Unassigned")
        self.assertIs(code, Code("4.31"))
        self.assertNotIn(code, list(Code))

    def test_everyByte(self) -> None:
        """Each byte has one code, which its dotted form gives again."""
        for byte in range(256):
            self.assertEqual(Code.fromByte(byte), byte)
            self.assertIs(Code(Code.fromByte(byte).dotted), Code.fromByte(byte))

    def test_text(self) -> None:
        """A method is written by its name, any other code by number and phrase."""
        self.assertEqual(str(Code.GET), "GET")
        self.assertEqual(str(Code.IPATCH), "iPATCH")
        self.assertEqual(str(Code.NOT_FOUND), "4.04 Not Found")
        self.assertEqual(f"{Code.CONTENT}", "2.05 Content")
        self.assertEqual(repr(Code.CONTENT), "<Code 2.05 Content>")

    def test_number(self) -> None:
        """A code compares and hashes as its byte."""
        self.assertEqual({Code.CONTENT: "x"}[Code(0x45)], "x")
        self.assertEqual({0x45: "x"}[Code.CONTENT], "x")
        self.assertTrue(Code.CONTENT < Code.BAD_REQUEST)

    def test_pickled(self) -> None:
        """A registered code survives pickling as itself."""
        self.assertIs(pickle.loads(pickle.dumps(Code.NOT_FOUND)), Code.NOT_FOUND)

    def test_refused(self) -> None:
        """What is no code is refused with ValueError."""
        wrong: list[object] = [
            "", "x", "4", "4.", ".04", "4.4", "4.32", "8.01", "44.04", "4.004", "4.04.1",
            "-1", "1000", "832", "GETS", "²", "4.0\N{SUPERSCRIPT TWO}",
            200, "200", 302, -1, 256, 1000, 832, 432, None, 4.04, b"GET",
        ]  # fmt: skip
        for value in wrong:
            with self.assertRaises(ValueError, msg=repr(value)):
                Code(value)  # type: ignore[arg-type]
        with self.assertRaisesRegex(ValueError, "'HEAD' is no code of CoAP; one is \"GET\", "):
            Code("HEAD")
