"""
Tests for what users register: options, content formats, and taking them back.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.wire import ServerTestCase
from txcoap.client import Agent
from txcoap.codes import Code
from txcoap.definitions import (
    EMPTY,
    OPAQUE,
    STRING,
    UINT,
    Flag,
    OptionDefinition,
    Repeated,
    Single,
    ValueFormat,
)
from txcoap.errors import ResponseError
from txcoap.formats import FORMATS, contentFormat, formatName, registerFormat
from txcoap.message import Request, Response
from txcoap.options import DEFINITIONS, Options, definitionOf, describe, registerOption
from txcoap.resource import Resource
from txcoap.sansio.datagrams import CON
from txcoap.sansio.optionlist import decode, encode
from txcoap.testing import ScriptedPeer, Step


class RegisterOptionTests(SynchronousTestCase):
    """An option of the user's own is one like any other."""

    def register(self, definition: OptionDefinition, attribute: str = "") -> Any:
        """Register for the time of the test."""
        registration = registerOption(definition, attribute)
        self.addCleanup(registration.unregister)
        return registration

    def test_accessor(self) -> None:
        """It has an accessor, is taken by the constructor and by C{evolve}, and is found by name."""
        self.register(Single[str](65000, "Reading-Unit", STRING, 1, 16))
        options: Any = Options(readingUnit="celsius", maxAge=5)
        self.assertEqual(options.readingUnit, "celsius")
        self.assertEqual(options.get(65000), (b"celsius",))
        self.assertIsNone(options.evolve(readingUnit=None).readingUnit)
        self.assertEqual(describe((65000, b"K")), "Reading-Unit: 'K'")
        self.assertIs(definitionOf("reading-unit"), DEFINITIONS[65000])

    def test_kinds(self) -> None:
        """It may be repeated, or be a flag, and may have an accessor of another name."""
        self.register(Repeated[int](65002, "Level", UINT, 0, 2), attribute="levels")
        self.register(Flag(65004, "Dry-Run", EMPTY, 0, 0))
        options: Any = Options(levels=(1, 300), dryRun=True)
        self.assertEqual((options.levels, options.dryRun), ((1, 300), True))
        self.assertEqual(options.get(65002), (b"\x01", b"\x01\x2c"))

    def test_formatOfOnesOwn(self) -> None:
        """How its value is written may be the user's own matter, like node-coap's two converters."""
        form = ValueFormat("hex", bytes.fromhex, lambda data: data.hex())
        self.register(Single[str](65000, "Serial", form, 0, 8))
        options: Any = Options(serial="00ff")
        self.assertEqual((options.get(65000), options.serial), ((b"\x00\xff",), "00ff"))
        self.assertRaisesRegex(ValueError, "Serial: non-hex", Options, serial="xyz")

    def test_critical(self) -> None:
        """A critical one counts as recognized, within its lengths (RFC 7252 5.4.1, 5.4.3)."""
        wire = encode(Options.fromPairs([(65001, b"12345")]))
        self.assertEqual(decode(wire)[0].unrecognized, (65001,))
        registration = self.register(Single[bytes](65001, "Must", OPAQUE, 1, 5))
        self.assertEqual(decode(wire)[0].unrecognized, ())
        self.assertEqual(Options.fromPairs([(65001, b"123456")]).unrecognized, (65001,))
        registration.unregister()
        self.assertEqual(decode(wire)[0].unrecognized, (65001,))

    def test_unregister(self) -> None:
        """Taken back, nothing is left of it; the second time nothing happens."""
        with registerOption(Single[int](65000, "Level", UINT, 0, 2)) as registration:
            self.assertTrue(hasattr(Options, "level"))
        registration.unregister()
        self.assertFalse(hasattr(Options, "level"))
        self.assertIsNone(definitionOf("Level"))
        self.assertIsNone(definitionOf(65000))
        self.assertRaisesRegex(ValueError, "no option is called 'level'", Options, level=1)

    def test_unrecognizedRegistered(self) -> None:
        """One that the registry only names can be registered; taken back, it is only named again."""
        self.assertEqual(Options(ocfContentFormatVersion=1).unrecognized, (2053,))
        again = Single[int](2053, "OCF-Content-Format-Version", UINT, 0, 2)
        with registerOption(again, attribute="ocfContentFormatVersion"):
            self.assertEqual(Options(ocfContentFormatVersion=1).unrecognized, ())
        with registerOption(Single[int](2053, "Version", UINT, 0, 2)):
            self.assertEqual(Options.fromPairs([(2053, b"\x01")]).unrecognized, ())
            self.assertFalse(hasattr(Options, "ocfContentFormatVersion"))
        self.assertEqual(Options(ocfContentFormatVersion=1).unrecognized, (2053,))

    def test_conflicts(self) -> None:
        """What stands for something else is refused, and said; nothing is changed then."""
        before = dict(DEFINITIONS), set(vars(Options))
        for number, name, attribute, complaint in (
            (11, "Mine", "", "option 11 is Uri-Path already, so not Mine"),
            (65000, "uri-path", "", "uri-path is option 11 already, so not 65000"),
            (65000, "Echo", "", "Echo is option 252 already"),
            (65000, "Pairs", "", "Options.pairs is something else"),
            (65000, "Mine", "maxAge", "Options.maxAge is something else"),
            (65000, "Mine", "no way", "'no way' cannot be an accessor's name"),
            (65000, "Class", "", "'class' cannot be an accessor's name"),
            (65000, "Timeout", "", "timeout= means something else to Agent.request"),
            (0, "Mine", "", "from 1 to 65535, not 0"),
            (65536, "Mine", "", "from 1 to 65535, not 65536"),
            (65000, "65000", "", "is called as in 'Reading-Unit', not '65000'"),
        ):
            with self.assertRaisesRegex(ValueError, complaint):
                registerOption(Single[int](number, name, UINT, 0, 2), attribute)
        self.assertRaisesRegex(
            ValueError, "3 to 2 bytes", registerOption, Single[int](65000, "Mine", UINT, 3, 2)
        )
        self.assertEqual((dict(DEFINITIONS), set(vars(Options))), before)

    def test_taken(self) -> None:
        """No accessor is called as a parameter of those who take options by accessor name."""
        taking = (Agent.request, Agent.observe, Agent.multicast, Response, Request, ResponseError)
        for function in (*taking, Step.reply, ScriptedPeer.send, ScriptedPeer.expect):
            for each in signature(function).parameters.values():
                if each.kind is not each.VAR_KEYWORD and each.name != "self":
                    with self.assertRaisesRegex(ValueError, f"^{each.name}= means|Options.{each.name} is"):
                        registerOption(Single[int](65000, "Mine", UINT, 0, 2), each.name)

    def test_twice(self) -> None:
        """One is not registered twice."""
        self.register(Single[int](65000, "Level", UINT, 0, 2))
        again = Single[int](65000, "Level", UINT, 0, 2)
        self.assertRaisesRegex(ValueError, "option 65000 is Level already", registerOption, again)


class RegisterFormatTests(SynchronousTestCase):
    """A content format of the user's own can be taken back."""

    def test_unregister(self) -> None:
        """Taken back, its name stands for nothing, in whatever spelling."""
        with registerFormat(65100, "application/x-reading; unit=C"):
            self.assertEqual(contentFormat("APPLICATION/x-reading;unit=c"), 65100)
            self.assertEqual(Options(accept="x-reading; unit=C").accept, 65100)
        self.assertNotIn(65100, FORMATS)
        self.assertEqual(formatName(65100), "65100")
        self.assertRaisesRegex(
            ValueError, "no content format", contentFormat, "application/x-reading; unit=C"
        )

    def test_knownBefore(self) -> None:
        """What was known before is not taken away with what was registered to no effect."""
        with registerFormat(50, "application/json"):
            pass
        self.assertEqual(contentFormat("application/json"), 50)


class ServerTests(ServerTestCase):
    """A server and the registries."""

    def test_formatMoved(self) -> None:
        """A resource's format is looked up anew when its name comes to stand for another number."""

        class Reading(Resource):
            contentFormat = "application/x-reading"

            def render_GET(self, request: Any) -> bytes:
                return b"1"

        self.serve(Reading(), accessLog=None)
        for number in (65100, 65101):
            with registerFormat(number, "application/x-reading"):
                self.assertEqual(self.answerTo(Code.GET).options.contentFormat, number)

    def test_critical(self) -> None:
        """A critical option that is registered reaches the resource, and is 4.02 otherwise."""

        class Unit(Resource):
            def render_GET(self, request: Any) -> str:
                return str(request.options.readingUnit)

        self.serve(Unit())
        options = Options.fromPairs([(65001, b"K")])
        self.peer.send(CON, Code.GET, options=options)
        self.assertEqual(self.peer.takeOne().code, Code.BAD_OPTION)
        with registerOption(Single[str](65001, "Reading-Unit", STRING, 1, 16)):
            self.peer.send(CON, Code.GET, options=options)
            self.assertEqual(self.peer.takeOne().payload, b"K")
