"""
Tests for L{txcoap.tap}, and for C{twistd coap} and C{twist coap} as processes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

import txcoap
from txcoap.allowlist import Target
from txcoap.codes import Code
from txcoap.endpoints import UDPServerEndpoint, UnixServerEndpoint
from txcoap.interfaces import IResource
from txcoap.options import Options as CoAPOptions
from txcoap.parameters import DEFAULT_PARAMETERS, SLOW_PARAMETERS, getDefault, setDefault
from txcoap.sansio.datagrams import ACK, CON, decode, empty, encode
from txcoap.service import CoAPService
from txcoap.static import File
from txcoap.tap import Options, makeService
from txcoap.uri import URI

ROOT = Path(__file__).absolute().parent.parent

MODULE = """
from twisted.internet.task import deferLater
from txcoap import ObservableResource, Resource


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request):
        return "hello from " + request.path


class Watched(ObservableResource):
    isLeaf = True

    def render_GET(self, request):
        return "hello from " + request.path


def later(reactor):
    return deferLater(reactor, 0.001, Hello)


def failing(reactor):
    return deferLater(reactor, 0.001, lambda: 1 // 0)


root = Hello()
number = 3
"""


class OptionsTestCase(SynchronousTestCase):
    """In a directory with a module of resources."""

    def setUp(self) -> None:
        """Change into it."""
        super().setUp()
        self.name = f"mymod{id(self)}"
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        (directory / f"{self.name}.py").write_text(MODULE)
        (directory / f"{self.name}bug.py").write_text("1 // 0\n")
        (directory / f"{self.name}import.py").write_text("import nosuchmodule\n")
        self.directory = directory.absolute()
        self.addCleanup(os.chdir, os.getcwd())
        self.patch(sys, "path", [each for each in sys.path if each not in ("", os.getcwd())])
        sys.path.append(str(ROOT))
        self.patch(sys, "dont_write_bytecode", True)
        os.chdir(self.directory)

    def parsed(self, *arguments: str) -> Options:
        """The options that a command line makes."""
        options = Options()
        options.parseOptions(list(arguments))
        return options


class MetricsTests(OptionsTestCase):
    """What shows the figures."""

    def test_given(self) -> None:
        """A path, and a stream endpoint."""
        where = "tcp:9100:interface=127.0.0.1"
        options = self.parsed("--resources", self.name, "--metrics", "health", "--prometheus", where)
        service = makeService(options)
        self.assertEqual(service._grace, 5.0)
        self.assertEqual((service._metrics, service._prometheus._port), ("health", 9100))

    def test_refused(self) -> None:
        """Others are refused by name."""
        for option, value in (
            ("--grace", "long"),
            ("--grace", "-1"),
            ("--metrics", "/"),
            ("--prometheus", "nonsense:9100"),
            ("--prometheus", "tcp"),
        ):
            error = self.assertRaises(UsageError, self.parsed, "--resources", self.name, option, value)
            self.assertIn(option, str(error))


class ProxyTests(OptionsTestCase):
    """C{--proxy}."""

    def allows(self, options: Options, uri: str) -> bool:
        """Whether the proxy may ask for a URI of an address."""
        target = URI.fromText(uri)
        return bool(options["forward"].policy(None, Target(target, target.host)))

    def test_alone(self) -> None:
        """It needs no resources, and asks nobody but its own machine."""
        options = self.parsed("--proxy")
        self.assertTrue(IResource.providedBy(options["root"]))
        self.assertTrue(self.allows(options, "coap://127.0.0.1"))
        self.assertFalse(self.allows(options, "coap://192.0.2.1"))
        self.assertIs(makeService(options)._proxy, options["forward"])

    def test_beside(self) -> None:
        """It goes with resources, and with files."""
        options = self.parsed("--proxy", "--resources", self.name)
        self.assertIs(options["root"], sys.modules[self.name].root)
        self.assertIsInstance(self.parsed("--proxy", "--path", ".")["root"], File)

    def test_allowed(self) -> None:
        """What it may ask is named one by one."""
        options = self.parsed(
            "--proxy", "--proxy-allow", "192.0.2.0/24:5683", "--proxy-allow", "[2001:db8::/32]"
        )
        for uri in ("coap://192.0.2.1", "coap://[2001:db8::1]:9", "coap://[::1]"):
            self.assertTrue(self.allows(options, uri), uri)
        for uri in ("coap://192.0.2.1:9", "coap://198.51.100.1"):
            self.assertFalse(self.allows(options, uri), uri)

    def test_without(self) -> None:
        """Without the flag there is none."""
        self.assertIsNone(self.parsed("--resources", self.name)["forward"])

    def test_mistakes(self) -> None:
        """A pattern that is none, and patterns without a proxy, are refused by name."""
        for arguments in (("--proxy", "--proxy-allow", "a b"), ("-r", self.name, "--proxy-allow", "*")):
            error = self.assertRaises(UsageError, self.parsed, *arguments)
            self.assertIn("--proxy-allow", str(error))


class OptionsTests(OptionsTestCase):
    """The options of C{twistd coap}."""

    def refused(self, *arguments: str) -> str:
        """What is said of a command line that cannot be understood."""
        return str(self.assertRaises(UsageError, self.parsed, *arguments))

    def test_module(self) -> None:
        """A module, from the current directory too, stands for its C{root}."""
        options = self.parsed("--resources", self.name)
        self.assertIs(options["root"], sys.modules[self.name].root)
        self.assertIs(self.parsed("-r", self.name)["root"], options["root"])

    def test_object(self) -> None:
        """An object in a module: a resource, a class of them, or another callable."""
        for name in ("root", "Hello", "later"):
            found = self.parsed("--resources", f"{self.name}.{name}")["root"]
            self.assertIs(found, getattr(sys.modules[self.name], name))

    def test_package(self) -> None:
        """A module in a package."""
        self.assertEqual(self.parsed("--resources", "examples.demo")["root"].allowedMethods, ("GET",))

    def test_nothing(self) -> None:
        """Without C{--resources} there is nothing to serve: it says what to write."""
        self.assertIn("twistd -n coap --resources mymod", self.refused())

    def test_proxyCache(self) -> None:
        """A proxy keeps 16 MiB of responses, or so many bytes, or none; no other number is taken."""
        for arguments, kept in (
            ((), 2**24),
            (("--proxy-cache", "4096"), 4096),
            (("--proxy-cache", "0"), None),
        ):
            agent = self.parsed("--proxy", *arguments)["forward"].agent
            cache = getattr(agent, "cache", None)
            self.assertEqual(None if cache is None else cache.maximumBytes, kept)
        self.assertIn("--proxy-cache", self.refused("--proxy", "--proxy-cache", "-1"))
        self.assertIn("--proxy-cache", self.refused("--resources", self.name, "--proxy-cache", "9"))

    def test_argument(self) -> None:
        """A bare argument is no way to give it: it says how."""
        self.assertIn("--resources mymod", self.refused("mymod"))

    def test_path(self) -> None:
        """A directory: to read, or to write too, with a limit."""
        root = self.parsed("--path", str(self.directory))["root"]
        self.assertIs(type(root), File)
        self.assertEqual(root.allowedMethods, ("GET",))
        root = self.parsed("-p", ".", "-w")["root"]
        self.assertEqual((root.allowedMethods, root.maximumBody), (("GET", "PUT", "DELETE"), 64 * 2**20))
        root = self.parsed("--path", ".", "--writable", "--maximum-body", "1000")["root"]
        self.assertEqual(root.maximumBody, 1000)

    def test_pathMistakes(self) -> None:
        """Both or neither, a path that is not there, and options that do nothing are usage errors."""
        self.assertIn("not both", self.refused("--path", ".", "--resources", self.name))
        self.assertIn("--path", self.refused())
        self.assertIn("--path none: No such file", self.refused("--path", "none"))
        self.assertIn("--path a\0b: ", self.refused("--path", "a\0b"))
        self.assertIn("--writable is for --path", self.refused("-r", self.name, "--writable"))
        self.assertIn("--maximum-body is for", self.refused("--path", ".", "--maximum-body", "1"))
        for text in ("0", "x", "-1", "1k", ""):
            told = self.refused("--path", ".", "-w", f"--maximum-body={text}")
            self.assertIn("a number of bytes", told)

    def test_notThere(self) -> None:
        """What is not there is named."""
        for name in ("nosuchmodule", f"{self.name}.nothing", f"{self.name}.Hello.x", ".", "a..b", "os/path"):
            self.assertIn(f"--resources {name}: ", self.refused("--resources", name))

    def test_noResource(self) -> None:
        """What is no resource, and makes none, is told as such."""
        self.assertIn("nothing in it is called 'root'", self.refused("--resources", f"{self.name}.number"))
        self.assertIn("nothing in it is called 'root'", self.refused("--resources", "os"))

    def test_rootThatIsNone(self) -> None:
        """A C{root} that is no resource either."""
        Path(self.directory, f"{self.name}odd.py").write_text("root = 3\n")
        self.assertIn("3 is no resource", self.refused("--resources", f"{self.name}odd"))

    def test_bugs(self) -> None:
        """A module's own exceptions come through, an import that fails among them."""
        self.assertRaises(ZeroDivisionError, self.parsed, "--resources", f"{self.name}bug")
        error = self.assertRaises(ModuleNotFoundError, self.parsed, "--resources", f"{self.name}import")
        self.assertEqual(error.name, "nosuchmodule")

    def test_listen(self) -> None:
        """C{--listen} is repeatable; the default is the whole of UDP port 5683."""
        endpoints = self.parsed("-r", self.name)["endpoints"]
        self.assertEqual(
            [(type(each), each.port, each.interface) for each in endpoints], [(UDPServerEndpoint, 5683, None)]
        )
        two = self.parsed("-r", self.name, "--listen", "udp:1:interface=127.0.0.1", "-l", "unix:/run/x")
        self.assertEqual([type(each) for each in two["endpoints"]], [UDPServerEndpoint, UnixServerEndpoint])

    def test_listenMistakes(self) -> None:
        """What cannot be listened at is a usage error."""
        for text in ("tcp:5683", "udp:x", "5683"):
            self.assertIn("--listen: ", self.refused("-r", self.name, "--listen", text))

    def test_version(self) -> None:
        """C{--version} is txcoap's."""
        out = StringIO()
        with redirect_stdout(out):
            self.assertRaises(SystemExit, self.parsed, "--version")
        self.assertEqual(out.getvalue(), f"txcoap {txcoap.__version__}\n")

    def test_help(self) -> None:
        """C{--help} names every option, and reads as plain text."""
        text = str(Options())
        for word in ("--resources", "--path", "--writable", "--listen", "--access-log", "udp:5683"):
            self.assertIn(word, text)
        (description,) = [line for line in text.splitlines() if line.startswith("Serve CoAP")]
        self.assertNotIn("  ", description)

    def test_makeService(self) -> None:
        """The service is made of the options."""
        options = self.parsed("-r", self.name, "--access-log", "-l", "udp:0:interface=127.0.0.1")
        self.assertIsInstance(makeService(options), CoAPService)

    def test_timing(self) -> None:
        """C{--timing} sets the transmission parameters of the process."""
        self.addCleanup(setDefault, None)
        makeService(self.parsed("-r", self.name))
        self.assertEqual(getDefault(), DEFAULT_PARAMETERS)
        options = self.parsed("-r", self.name, "--timing", "slow,NSTART=4")
        self.assertEqual(getDefault(), DEFAULT_PARAMETERS)
        makeService(options)
        self.assertEqual(getDefault(), SLOW_PARAMETERS.evolve(NSTART=4))

    def test_timingMistakes(self) -> None:
        """A wrong one is told."""
        error = self.assertRaises(UsageError, self.parsed, "-r", self.name, "--timing", "fast")
        self.assertIn("--timing: 'fast' is none of default, lan, slow", str(error))

    def test_amplification(self) -> None:
        """C{--amplification} is a number of 1 or more."""
        self.assertEqual(self.parsed("-r", self.name, "--amplification", "2.5")["amplification"], 2.5)
        for text in ("0.5", "inf", "nan", "three"):
            self.assertRaises(UsageError, self.parsed, "-r", self.name, "--amplification", text)


RUN = {
    "twistd": ["-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="],
    "twist": ["-m", "twisted", "--log-format=text"],
}


class ProcessTests(OptionsTestCase):
    """The commands as processes."""

    @contextmanager
    def running(self, command: str, *arguments: str) -> Iterator[Any]:
        """Run it, for 30 seconds at most."""
        with subprocess.Popen(
            [sys.executable, *RUN[command], "coap", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process:
            watchdog = Timer(30, process.kill)
            watchdog.start()
            try:
                yield process
            finally:
                watchdog.cancel()
                process.kill()

    def portOf(self, process: Any) -> int:
        """Where it says that it serves."""
        for line in process.stdout:
            if "serving CoAP at 127.0.0.1:" in line:
                return int(line.rsplit(":", 1)[1])
        return self.fail("it never served")

    def assertServes(self, process: Any) -> None:
        """It listens where it says, and answers."""
        port = self.portOf(process)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(10)
            asking.connect(("127.0.0.1", port))
            asking.send(encode(CON, Code.GET, 1))
            self.assertEqual(decode(asking.recv(2048)).payload, b"hello from /")

    def assertStops(self, process: Any, number: int) -> None:
        """A signal ends it cleanly."""
        process.send_signal(number)
        rest, _ = process.communicate()
        self.assertNotIn("Traceback", rest)
        self.assertNotIn("rror", rest)

    def test_twistd(self) -> None:
        """C{twistd coap} serves a module of the current directory, and ends cleanly at C{SIGTERM}."""
        with self.running(
            "twistd", "--resources", self.name, "--listen", "udp:0:interface=127.0.0.1"
        ) as process:
            self.assertServes(process)
            self.assertStops(process, signal.SIGTERM)
            # Twisted ends itself by the signal that it was stopped by, once all is closed.
            self.assertIn(process.returncode, (0, -signal.SIGTERM))

    def test_observerTold(self) -> None:
        """Stopped by C{SIGTERM} it tells its observers, and waits until they have heard."""
        arguments = ["--resources", f"{self.name}.Watched", "--listen", "udp:0:interface=127.0.0.1"]
        arguments += ["--grace", "25"]
        with self.running("twistd", *arguments) as process, socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(10)
            asking.connect(("127.0.0.1", self.portOf(process)))
            asking.send(encode(CON, Code.GET, 1, b"tkn", CoAPOptions(observe=0)))
            self.assertIsNotNone(decode(asking.recv(2048)).options.observe)
            process.send_signal(signal.SIGTERM)
            last = decode(asking.recv(2048))
            self.assertEqual((last.type, last.code, last.token), (CON, Code.SERVICE_UNAVAILABLE, b"tkn"))
            self.assertIsNone(last.options.observe)
            asking.send(empty(ACK, last.messageID))
            began = monotonic()
            rest, _ = process.communicate()
            self.assertNotIn("Traceback", rest)
            self.assertLess(monotonic() - began, 20)

    def test_guarded(self) -> None:
        """With C{--amplification 3} an address that has not returned an Echo is sent no more than that."""
        (self.directory / "large.bin").write_bytes(bytes(5000))
        arguments = ("--path", ".", "--amplification", "3", "--listen", "udp:0:interface=127.0.0.1")
        with self.running("twistd", *arguments) as process, socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(10)
            asking.connect(("127.0.0.1", self.portOf(process)))
            answers = []
            echo = b"none of the server's"
            for number, more in enumerate(({}, {"observe": 0}, {"echo": echo}, {"observe": 0, "echo": echo})):
                options = CoAPOptions(uriPath=("large.bin",), **more)  # type: ignore[arg-type]
                asked = encode(CON, Code.GET, number, b"", options)
                asking.send(asked)
                data = asking.recv(2048)
                self.assertLessEqual(len(data), 3 * len(asked))
                answers.append(decode(data))
            self.assertEqual([each.code.dotted for each in answers], ["2.05", "4.01", "2.05", "4.01"])
            options = CoAPOptions(uriPath=("large.bin",), echo=answers[1].options.echo)
            asking.send(encode(CON, Code.GET, 9, b"", options))
            self.assertEqual(decode(asking.recv(2048)).payload, bytes(1024))

    def test_twist(self) -> None:
        """C{twist coap} serves likewise, here with a callable whose Deferred delays it, at C{SIGINT}."""
        name = f"{self.name}.later"
        with self.running("twist", "--resources", name, "--listen", "udp:0:interface=127.0.0.1") as process:
            self.assertServes(process)
            self.assertStops(process, signal.SIGINT)

    def test_failingRoot(self) -> None:
        """A Deferred that fails ends the process with status 1, and the reason is in the log."""
        for command in RUN:
            with self.running(
                command, "-r", f"{self.name}.failing", "-l", "udp:0:interface=127.0.0.1"
            ) as process:
                text, _ = process.communicate()
            self.assertEqual(process.returncode, 1, text)
            self.assertIn("the server cannot start", text)
            self.assertIn("ZeroDivisionError", text)

    def test_portInUse(self) -> None:
        """A port in use ends it with status 1, and its last line says so."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            where = f"udp:{taken.getsockname()[1]}:interface=127.0.0.1"
            with self.running("twistd", "-r", self.name, "-l", where) as process:
                text, _ = process.communicate()
        self.assertEqual(process.returncode, 1, text)
        self.assertIn("Address already in use", text.splitlines()[-1])

    def test_usageError(self) -> None:
        """A usage error is a line, no traceback, and status 1."""
        with self.running("twistd") as process:
            text, _ = process.communicate()
        self.assertEqual(process.returncode, 1)
        self.assertIn("nothing to serve", text.splitlines()[-1])
        self.assertNotIn("Traceback", text)
