"""
Tests for L{txcoap.errors}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcoap import errors
from txcoap.codes import Code
from txcoap.errors import CoAPError, FormatError, NotFound, RequestError, ResponseError
from txcoap.message import Response


class FamilyTests(SynchronousTestCase):
    """One tree of exceptions."""

    def test_root(self) -> None:
        """Whatever txcoap raises of its own is a CoAPError, and says in its docstring what it means."""
        for name in errors.__all__:
            each = getattr(errors, name)
            self.assertTrue(issubclass(each, CoAPError), name)
            self.assertTrue(each.__doc__, name)

    def test_builtins(self) -> None:
        """Errors that Python has a word for can be caught by it."""
        self.assertTrue(issubclass(errors.NoAcknowledgement, TimeoutError))
        self.assertTrue(issubclass(errors.NoResponse, TimeoutError))
        self.assertTrue(issubclass(errors.ResetReceived, ConnectionResetError))
        self.assertTrue(issubclass(errors.Unreachable, OSError))
        self.assertTrue(issubclass(errors.NameNotFound, LookupError))
        self.assertTrue(issubclass(errors.InvalidURI, ValueError))

    def test_requests(self) -> None:
        """A request that got no response fails with a RequestError, never a ResponseError."""
        for each in (errors.NoAcknowledgement, errors.NoResponse, errors.ResetReceived):
            self.assertTrue(issubclass(each, RequestError))
            self.assertFalse(issubclass(each, ResponseError))

    def test_unreachable(self) -> None:
        """C{Unreachable} keeps the system's error number."""
        self.assertEqual(errors.Unreachable(111, "refused").errno, 111)
        self.assertEqual(str(errors.Unreachable(111, "refused")), "refused")
        self.assertEqual(str(errors.Unreachable("refused")), "refused")

    def test_formatError(self) -> None:
        """A format error tells what its sender can be told by: type and ID, where they were read."""
        error = FormatError("token cut short", 0, 7)
        self.assertEqual(
            (str(error), error.reason, error.messageType, error.messageID),
            ("token cut short", "token cut short", 0, 7),
        )
        self.assertEqual((FormatError("x").messageType, FormatError("x").messageID), (None, None))


class ResponseErrorTests(SynchronousTestCase):
    """An error response as an exception."""

    def test_everyErrorCode(self) -> None:
        """Each registered code of class 4 and 5 has a class of its own."""
        for code in Code:
            if code.isError:
                error = ResponseError.forCode(code, "why")
                self.assertIsNot(type(error), ResponseError, code)
                self.assertEqual(type(error).code, code)
                self.assertEqual((error.code, error.diagnostic), (code, "why"))

    def test_unknownCode(self) -> None:
        """A code without a class of its own is kept all the same."""
        error = ResponseError.forCode(Code("4.31"))
        self.assertIs(type(error), ResponseError)
        self.assertEqual(error.code, Code("4.31"))

    def test_text(self) -> None:
        """The exception's text is the code, and the diagnostic if there is one."""
        self.assertEqual(str(NotFound()), "4.04 Not Found")
        self.assertEqual(str(NotFound("no lamp 3")), "4.04 Not Found: no lamp 3")

    def test_anyCode(self) -> None:
        """A code can be given in any of its spellings; one that is none is refused."""
        self.assertEqual(ResponseError("x", code="4.04").code, Code.NOT_FOUND)
        self.assertEqual(ResponseError("x", code=503).code, Code.SERVICE_UNAVAILABLE)
        self.assertRaises(ValueError, ResponseError, code="teapot")

    def test_response(self) -> None:
        """An error becomes a response with its code, its diagnostic and its options."""
        response = Response.fromError(errors.ServiceUnavailable("später", maxAge=10))
        self.assertEqual(response, Response(Code.SERVICE_UNAVAILABLE, "später".encode(), maxAge=10))
        self.assertIsNone(response.contentFormat)

    def test_subclassOfUser(self) -> None:
        """A user's own subclass does not take the place of ours."""

        class NoLamp(NotFound):
            """No such lamp."""

        self.assertIs(type(ResponseError.forCode(Code.NOT_FOUND)), NotFound)
        self.assertEqual(NoLamp("3").code, Code.NOT_FOUND)
