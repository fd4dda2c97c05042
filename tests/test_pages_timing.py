"""
What the page of the documentation on timing claims of its examples holds.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.pages import PageCase
from txcoap.errors import NoAcknowledgement
from txcoap.parameters import DEFAULT_PARAMETERS, LAN_PARAMETERS, getDefault, setDefault


class TimingTests(PageCase):
    """The page on timing."""

    page = "docs/timing.rst"

    def test_values(self) -> None:
        """Parameters are made, and made of others."""
        self.assertEqual(self.space["patient"].MAX_TRANSMIT_WAIT, 52.5)
        self.assertEqual((self.space["busy"].NSTART, self.space["busy"].ACK_TIMEOUT), (4, 12))

    def test_ask(self) -> None:
        """A request that is sent once."""
        self.network.names["lamp.example"] = "192.0.2.1"
        sent: list[object] = []
        agent = self.network.agent(trace=lambda way, data, peer: sent.append(data))
        asking = Deferred.fromCoroutine(self.space["ask"](agent))
        self.network.advance(3.1)
        self.failureResultOf(asking, NoAcknowledgement)
        self.assertEqual(len(sent), 1)

    def test_begin(self) -> None:
        """The site and the agent have theirs."""
        site, agent = self.space["begin"](self.network.reactor)
        self.assertIs(site.parameters, self.space["patient"])
        self.assertIs(agent.parameters, LAN_PARAMETERS)

    def test_default(self) -> None:
        """The default is set, and put back."""
        self.addCleanup(setDefault, None)
        self.assertIs(self.space["setTheDefault"](), DEFAULT_PARAMETERS)
        self.assertIs(getDefault(), DEFAULT_PARAMETERS)
