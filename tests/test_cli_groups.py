"""
The command C{txcoap} and C{twistd coap} in multicast groups, on the loopback interface.
"""

from __future__ import annotations

import os
import sys
from io import BytesIO, StringIO
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.python import usage
from twisted.trial.unittest import TestCase
from twisted.web.client import FileBodyProducer

from tests.test_membership import GROUP, QUICK, Name, loopback
from txcoap import Agent, Code, Request, Resource, Response, Site, tap
from txcoap.cli.arguments import parse
from txcoap.cli.commands import perform
from txcoap.cli.console import Console, OutputFile
from txcoap.cli.failures import Exit
from txcoap.cli.preparing import Prepared, readBody
from txcoap.endpoints import serverFromString
from txcoap.formats import LINK_FORMAT
from txcoap.groups import Answering, Group

reactor: Any = _reactor


class Missing(Resource):
    """Tells even a group that there is nothing."""

    multicastAnswers = Answering.ALWAYS


class Nonsense(Resource):
    """Says that it lists links, and does not."""

    def render_GET(self, request: Request) -> Response:
        return Response(Code.CONTENT, b"nonsense", contentFormat=LINK_FORMAT)


class CommandTests(TestCase):
    """C{txcoap get} and C{txcoap discover} of a group."""

    async def start(self, *names: bytes) -> None:
        self.interface = loopback()
        self.port = 0
        self.roots: list[Resource] = []
        for name in names:
            root = Resource()
            self.roots.append(root)
            root.putChild("name", Name(name))
            root.putChild("missing", Missing())
            endpoint = serverFromString(reactor, f"udp:{self.port}:reuseaddr=1")
            port: Any = await endpoint.listen(Site(root, parameters=QUICK))
            self.addCleanup(port.stopListening)
            port.joinGroup(Group(GROUP, self.interface))
            self.port = port.getHost().port

    async def run_(self, command: str, path: str, *flags: str) -> tuple[int, list[str], list[str]]:
        """Exit code, lines of standard output and of standard error."""
        uri = f"{GROUP}:{self.port}/{path}"
        arguments = parse([command, "-B", "0.6", "--interface", self.interface, uri, *flags])
        console = Console(BytesIO(), BytesIO(), StringIO())
        body = readBody(arguments.text, arguments.file, arguments.hasBody, console)
        output = OutputFile(arguments.output) if arguments.output else None
        code = await perform(reactor, arguments, Prepared(body, output), console)
        if output is not None:
            output.discard()
        stdout, stderr = console.stdout, console.stderr
        assert isinstance(stdout, BytesIO)
        assert isinstance(stderr, StringIO)
        return code, stdout.getvalue().decode().splitlines(), stderr.getvalue().splitlines()

    async def test_get(self) -> None:
        """A line for each answer, with its sender."""
        await self.start(b"hall", b"kitchen")
        code, lines, told = await self.run_("get", "name", "--hops", "2")
        self.assertEqual((code, told), (0, []))
        texts = sorted(line.partition(f":{self.port}: ")[2] for line in lines)
        self.assertEqual(texts, ["hall to many", "kitchen to many"])

    async def test_discover(self) -> None:
        """A sender, and its links below; or as they came."""
        await self.start(b"hall")
        code, lines, _ = await self.run_("discover", "")
        self.assertEqual((code, lines[0].rpartition(":")[2]), (0, str(self.port)))
        self.assertTrue(any(line.startswith("  /name") for line in lines[1:]), lines)
        _, (line,), _ = await self.run_("discover", "", "--raw")
        self.assertTrue(line.endswith("</name>"), line)

    async def test_noLinks(self) -> None:
        """What is no link format is told below its sender, and disturbs no other."""
        await self.start(b"hall", b"kitchen")
        core = Resource()
        core.putChild("core", Nonsense())
        self.roots[0].putChild(".well-known", core)
        code, lines, (told,) = await self.run_("discover", "")
        self.assertEqual(code, 0)
        self.assertEqual(sum(line.startswith("  /name") for line in lines), 1)
        self.assertIn("no links: at character 0, 'nonsense'", told)

    async def test_code(self) -> None:
        """With C{--code} each answer's code, and where it came from, are on standard error."""
        await self.start(b"hall")
        code, (line,), (told,) = await self.run_("get", "name", "--code")
        self.assertEqual(code, 0)
        self.assertTrue(line.endswith("hall to many"))
        self.assertIn("2.05 Content", told)

    async def test_endlessBody(self) -> None:
        """A body that is not in memory is refused."""
        console = Console(BytesIO(), BytesIO(), StringIO())
        body = FileBodyProducer(BytesIO(b"x"))
        code = await perform(reactor, parse(["put", GROUP]), Prepared(body), console)
        self.assertNotEqual(code, 0)
        self.assertIn("send a smaller body", console.stderr.getvalue())  # type: ignore[attr-defined]

    async def test_silentlyQuiet(self) -> None:
        """With C{-q} it is not said that nobody answered."""
        await self.start(b"hall")
        self.assertEqual(await self.run_("get", "none", "-q"), (1, [], []))

    async def test_errors(self) -> None:
        """An error that somebody tells goes to standard error, and into the exit code."""
        await self.start(b"hall")
        code, lines, (told,) = await self.run_("get", "missing")
        self.assertEqual((code, lines), (4, []))
        self.assertIn("4.04 Not Found", told)
        self.assertEqual(await self.run_("get", "missing", "-q"), (4, [], []))

    async def test_silence(self) -> None:
        """If nobody answers that is said, unless silence was asked for."""
        await self.start(b"hall")
        code, lines, (told,) = await self.run_("get", "none")
        self.assertEqual((code, lines), (1, []))
        self.assertIn(f"nobody in {GROUP} answered", told)
        self.assertEqual(await self.run_("get", "name", "-O", "No-Response,26"), (0, [], []))

    async def test_refused(self) -> None:
        """What a group cannot do is refused before anything is sent."""
        await self.start(b"hall")
        code, _, (told,) = await self.run_("get", "name", "-o", self.mktemp())
        self.assertEqual(code, Exit.USAGE)
        self.assertIn("--output", told)
        console = Console(BytesIO(), BytesIO(), StringIO())
        for command in ("ping", "observe"):
            code = await perform(reactor, parse([command, GROUP]), Prepared(), console)
            self.assertEqual(code, Exit.USAGE)
        for flags in (["--interface", "nosuch0"], ["--hops", "256"], ["--hops", "far"]):
            self.patch(sys, "stderr", StringIO())
            self.assertEqual(self.assertRaises(SystemExit, parse, ["get", GROUP, *flags]).code, 2)


class TapTests(TestCase):
    """C{twistd coap --multicast}."""

    def options(self, *groups: str) -> tap.Options:
        options = tap.Options()
        arguments = [each for group in groups for each in ("--multicast", group)]
        options.parseOptions(["--path", os.curdir, "--listen", "udp:0", *arguments])
        return options

    def test_groups(self) -> None:
        """It can be given several times."""
        groups = (f"{GROUP}%{loopback()}", "ff02::fd", "all-coap-nodes")
        self.assertEqual(self.options(*groups)["multicast"], list(groups))

    def test_wrong(self) -> None:
        """What is no group, and an interface that does not exist, are mistakes in usage."""
        for group, told in (
            ("192.0.2.1", "no multicast address"),
            ("everybody", "no address"),
            (f"{GROUP}%nosuch0", "no network interface 'nosuch0'"),
            (f"{GROUP}%54321", "no network interface 54321"),
        ):
            error = self.assertRaises(usage.UsageError, self.options, group)
            self.assertIn(f"--multicast {group}", str(error))
            self.assertIn(told, str(error))

    async def test_served(self) -> None:
        """The service that it makes is heard."""
        interface = loopback()
        service = tap.makeService(self.options(f"{GROUP}%{interface}"))
        service.startService()
        self.addCleanup(service.stopService)
        await deferLater(reactor, 0, lambda: None)
        (port,) = service.ports
        agent = Agent(reactor)
        self.addCleanup(agent.close)
        uri = f"coap://{GROUP}:{port.getHost().port}/.well-known/core"
        async with agent.multicast(uri, interface=interface) as answers:
            async for answer in answers:
                self.assertEqual(answer.contentFormat, 40)
                return
