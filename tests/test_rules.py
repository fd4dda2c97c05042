"""
Messages that break one rule each get the answer that RFC 7252 asks for; C{fuzz.rules} is the table.
"""

from __future__ import annotations

import contextlib
import io

from fuzz import rules
from tests.wire import CLIENT, SERVER, Answering, ServerTestCase
from txcoap.observe import ObservableResource
from txcoap.resource import Resource
from txcoap.sansio.datagrams import ACK, CON, NON, RST, Datagram


class Count(ObservableResource):
    """Something to observe."""

    def render_GET(self, request: object) -> bytes:
        """A number."""
        return b"1"


class RulesTests(ServerTestCase):
    """A server, new for each message."""

    def answers(self, data: bytes) -> list[Datagram]:
        """What a new server says to a message, within a time in which it repeats nothing."""
        super().setUp()
        root = Resource()
        plain = Answering(lambda request: b"")
        plain.maximumBody = rules.MAXIMUM_BODY
        root.putChild(rules.PLAIN, plain)
        root.putChild(rules.LARGE, Answering(lambda request: bytes(rules.LARGE_LENGTH)))
        root.putChild(rules.OBSERVABLE, Count())
        self.serve(root)
        self.peer.sendBytes(data)
        self.reactor.elapse(1)
        return self.wire.between(SERVER, CLIENT)

    def outcome(self, case: rules.Case) -> str:
        """What a message came to, in the words of the table."""
        answers = self.answers(case.data)
        if not answers:
            return rules.SILENCE
        (answer,) = answers
        sent = case.data[0] >> 4 & 3
        messageID = int.from_bytes(case.data[2:4], "big")
        if answer.type in (ACK, RST) and answer.messageID != messageID:
            return f"a reply to message {answer.messageID}"
        if answer.type == RST:
            return rules.RESET
        if answer.token != rules.TOKEN:
            return f"token {answer.token.hex()}"
        if answer.type != (ACK if sent == CON else NON):
            return f"{answer.type.name} {answer.code.dotted}"
        if case.observes is not None and (answer.options.observe is not None) != case.observes:
            return f"{answer.code.dotted} with {answer.options}"
        return answer.code.dotted

    def test_table(self) -> None:
        """Each message is met as the table says, and nothing is logged as an error."""
        count = 0
        wrong = []
        for case in rules.cases():
            count += 1
            outcome = self.outcome(case)
            if outcome != case.expected:
                wrong.append(f"{case.rule}: {outcome}, not {case.expected}; {case.data[:40].hex()}")
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertGreater(count, 4000)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_list(self) -> None:
        """The table can be had as text, to try on other servers."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(rules.main(), 0)
        self.assertIn("version 2", out.getvalue())
