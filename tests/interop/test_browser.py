"""
C{examples/live.py} in a browser: Debian's Chromium without a window, led by selenium.

The browser resolves no name, and selenium looks for no driver, so that neither asks anything beyond loopback.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web import server as web

from examples import bridge, live
from txcoap.client import Agent
from txcoap.endpoints import serverFromString
from txcoap.resource import Resource
from txcoap.server import Site

from . import peers

reactor: Any = _reactor

# Seconds until a page must show what it is to show.
_PATIENCE = 20.0

_ARGUMENTS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class Browser:
    """
    A browser, of which each method blocks.

    @param profile: A directory for what it keeps.
    """

    def __init__(self, profile: str) -> None:
        webdriver: Any = import_module("selenium.webdriver")
        options = webdriver.ChromeOptions()
        options.binary_location = peers.program("chromium", "apt-get install chromium")
        for each in (*_ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(each)
        if os.getuid() == 0:
            # Chromium's sandbox is not for root.
            options.add_argument("--no-sandbox")
        driver = peers.program("chromedriver", "apt-get install chromium-driver")
        service: Any = import_module("selenium.webdriver.chrome.service")
        self._driver = webdriver.Chrome(options=options, service=service.Service(executable_path=driver))

    def open(self, address: str) -> None:
        """Go to a page."""
        self._driver.get(address)

    def text(self, name: str) -> str:
        """What the page shows in the element of this C{id}."""
        found: str = self._driver.find_element("id", name).text
        return found

    def points(self) -> int:
        """How many points the page has drawn."""
        line = self._driver.find_element("css selector", "polyline").get_attribute("points")
        return len((line or "").split())

    def complaints(self) -> list[str]:
        """What the page's scripts have done wrong so far."""
        return [
            each["message"] for each in self._driver.get_log("browser") if "favicon" not in each["message"]
        ]

    def close(self) -> None:
        """End it."""
        self._driver.quit()


class LivePageTests(TestCase):
    """A person looks at a sensor."""

    timeout = 90

    async def setUp(self) -> None:  # type: ignore[override]
        """A sensor, the web server that shows it, and a browser."""
        if find_spec("selenium") is None:
            peers.absent("selenium", f"{sys.executable} -m pip install selenium")
        # Selenium has a program of its own that looks for browsers on the net; it is not needed.
        self.patch(os, "environ", {**os.environ, "SE_OFFLINE": "true", "SE_AVOID_STATS": "true"})
        tree, self.reading = Resource(), bridge.Reading()
        self.reading.update("21.5")
        tree.putChild("reading", self.reading)
        port: Any = await serverFromString(reactor, "udp:0:interface=127.0.0.1").listen(Site(tree))
        self.addCleanup(port.stopListening)
        agent = Agent(reactor)
        self.addCleanup(agent.close)
        site = web.Site(live.makeTree(agent, f"coap://127.0.0.1:{port.getHost().port}/reading"))
        webPort = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(webPort.stopListening)
        profile = tempfile.TemporaryDirectory(prefix="browser", ignore_cleanup_errors=True)
        self.addCleanup(profile.cleanup)
        self.browser: Browser = await deferToThread(Browser, profile.name)
        self.addCleanup(deferToThread, self.browser.close)
        await deferToThread(self.browser.open, f"http://127.0.0.1:{webPort.getHost().port}/")

    async def until(self, ask: Callable[[], object], wanted: object) -> None:
        """Wait until the page shows this."""
        end = reactor.seconds() + _PATIENCE
        found: object = None
        while reactor.seconds() < end:
            found = await deferToThread(ask)
            if found == wanted:
                return
            pause: Deferred[None] = Deferred()
            reactor.callLater(0.05, pause.callback, None)
            await pause
        self.assertEqual(found, wanted)

    def showing(self, name: str) -> Callable[[], str]:
        """What to ask for the text of an element."""
        return lambda: self.browser.text(name)

    async def test_looks(self) -> None:
        """
        The page shows the state at once, then each change at the sensor; it draws what were numbers, reads
        SenML, and says when there is no more.
        """
        await self.until(self.showing("value"), "21.5")
        await self.until(self.showing("state"), "live")
        self.reading.update("22.5")
        await self.until(self.showing("value"), "22.5")
        await self.until(self.browser.points, 2)
        self.reading.update('[{"n": "attic", "v": 3.5, "u": "Cel"}]')
        await self.until(self.showing("value"), "3.5 °C")
        await self.until(self.showing("name"), "attic")
        await self.until(self.browser.points, 3)
        self.reading.dismissObservers()
        await self.until(lambda: self.browser.text("state") not in ("live", "connecting"), True)
        self.assertEqual(await deferToThread(self.browser.complaints), [])
