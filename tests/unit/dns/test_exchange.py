"""Whom to ask when: upstream servers played by the test, on a clock of its own."""

import pytest

from fairway.dns import wire
from fairway.dns.exchange import DEADLINE, HEDGE, REPEAT, Ask, Exchange, Reply
from fairway.dns.upstreams import Server, parse_server
from fairway.dns.wire import Query

ONE, TWO, THREE = (parse_server(f"192.0.2.{i}") for i in (1, 2, 3))
QUESTION = wire.encode_name("www.example") + b"\0\1\0\1"
ADDRESS = wire.address_record("198.51.100.7")


def make_query(limit: int = 512) -> Query:
    return Query(0xABCD, wire.RD, QUESTION, "www.example", wire.A, wire.IN, limit, limit > 512)


def upstream(rcode: int = wire.NOERROR, records: int = 1, limit: int = 65535) -> bytes:
    """An answer of a server, under the id of its own query."""
    query = make_query()._replace(id=0x0001)
    return wire.reply(query, rcode, [ADDRESS] * records, limit)


Script = dict[Ask, list[tuple[float, bytes | None]]]
"""For each time that the server is asked: a delay, and its answer or None for unreachable."""


class Play:
    """Runs an exchange: every server's answer comes after a delay, or never."""

    def __init__(
        self,
        servers: list[Server],
        script: Script,
        *,
        stream: bool = False,
        limit: int = 512,
    ) -> None:
        self.now = 100.0
        self.asked: list[tuple[float, Ask]] = []
        self._script = {ask: list(answers) for ask, answers in script.items()}
        self._coming: list[tuple[float, Ask, bytes | None]] = []
        self.exchange = Exchange(make_query(limit), servers, stream=stream, now=self.now)
        self.reply = self._run()

    def _run(self) -> bytes:
        action = self.exchange.tick(self.now)
        for _ in range(100):
            if isinstance(action, Reply):
                return action.message
            if isinstance(action, Ask):
                self.asked.append((round(self.now - 100.0, 6), action))
                for delay, answer in self._script.get(action, [])[:1]:
                    self._coming.append((self.now + delay, action, answer))
                    del self._script[action][0]
            action = self._step()
        raise AssertionError("the exchange does not end")

    def _step(self) -> Ask | Reply | None:
        first = min(self._coming, default=None, key=lambda event: event[0])
        if first is None or first[0] > self.exchange.wake:
            self.now = self.exchange.wake
            return self.exchange.tick(self.now)
        self._coming.remove(first)
        self.now, ask, answer = first
        if answer is None:
            return self.exchange.failed(ask, self.now)
        return self.exchange.heard(ask, answer, self.now)


def test_the_first_server_answers_and_nobody_else_is_asked() -> None:
    play = Play([ONE, TWO], {Ask(ONE): [(0.1, upstream())]})
    assert play.asked == [(0.0, Ask(ONE))]
    assert play.reply == b"\xab\xcd" + upstream()[2:]


def test_nxdomain_is_an_answer() -> None:
    play = Play([ONE, TWO], {Ask(ONE): [(0.0, upstream(wire.NXDOMAIN, 0))]})
    assert wire.rcode_of(play.reply) == wire.NXDOMAIN
    assert len(play.asked) == 1


@pytest.mark.parametrize("late", [0.05, 2.0])
def test_a_silent_server_costs_one_hedge(late: float) -> None:
    play = Play([ONE, TWO], {Ask(ONE): [(HEDGE + late, upstream())], Ask(TWO): [(0.2, upstream(records=2))]})
    assert play.asked[:2] == [(0.0, Ask(ONE)), (HEDGE, Ask(TWO))]
    assert play.now == pytest.approx(100 + HEDGE + min(late, 0.2)), "whoever is first"


@pytest.mark.parametrize("failure", [upstream(wire.SERVFAIL, 0), upstream(wire.REFUSED, 0), None])
def test_a_failing_server_costs_nothing(failure: bytes | None) -> None:
    play = Play([ONE, TWO], {Ask(ONE): [(0.01, failure)], Ask(TWO): [(0.01, upstream())]})
    assert play.asked == [(0.0, Ask(ONE)), (0.01, Ask(TWO))]
    assert wire.rcode_of(play.reply) == wire.NOERROR


def test_when_all_fail_the_client_sees_the_first_failure() -> None:
    refused, servfail = upstream(wire.REFUSED, 0), upstream(wire.SERVFAIL, 0)
    play = Play([ONE, TWO], {Ask(ONE): [(0.0, refused)], Ask(TWO): [(0.0, servfail)]})
    assert wire.rcode_of(play.reply) == wire.REFUSED
    assert play.now == 100.0


def test_unreachable_servers_are_servfail_at_once() -> None:
    play = Play([ONE], {Ask(ONE): [(0.0, None)]})
    assert wire.rcode_of(play.reply) == wire.SERVFAIL
    assert play.reply[:2] == b"\xab\xcd"
    assert play.now == 100.0


def test_a_lost_datagram_is_sent_again() -> None:
    play = Play([ONE], {Ask(ONE): [(DEADLINE * 2, upstream()), (0.0, upstream())]})
    assert play.asked == [(0.0, Ask(ONE)), (REPEAT, Ask(ONE))]
    assert wire.rcode_of(play.reply) == wire.NOERROR


def test_silence_ends_before_the_client_gives_up() -> None:
    play = Play([ONE, TWO, THREE], {})
    assert [ask.server for _, ask in play.asked] == [ONE, TWO, THREE, ONE, TWO, THREE]
    assert wire.rcode_of(play.reply) == wire.SERVFAIL
    assert play.now == pytest.approx(100 + DEADLINE)
    assert DEADLINE < 5


def test_a_server_that_failed_is_not_asked_again() -> None:
    play = Play([ONE, TWO], {Ask(ONE): [(0.0, upstream(wire.SERVFAIL, 0))]})
    assert [ask.server for _, ask in play.asked] == [ONE, TWO, TWO]
    assert wire.rcode_of(play.reply) == wire.SERVFAIL


CUT = upstream(records=100, limit=512)
WHOLE = upstream(records=100)


def test_a_plain_client_gets_the_truncated_answer() -> None:
    play = Play([ONE], {Ask(ONE): [(0.0, CUT)]})
    assert wire.truncated(play.reply)
    assert play.asked == [(0.0, Ask(ONE))]


@pytest.mark.parametrize(("stream", "limit"), [(True, 512), (False, 4096)])
def test_a_truncated_answer_is_fetched_whole_for_who_can_take_it(stream: bool, limit: int) -> None:
    script: Script = {Ask(ONE): [(0.0, CUT)], Ask(ONE, stream=True): [(0.1, WHOLE)]}
    play = Play([ONE], script, stream=stream, limit=limit)
    assert play.reply == b"\xab\xcd" + WHOLE[2:]


def test_an_answer_too_large_for_the_client_is_cut() -> None:
    script: Script = {Ask(ONE): [(0.0, CUT)], Ask(ONE, stream=True): [(0.1, upstream(records=300))]}
    play = Play([ONE], script, limit=4096)
    assert wire.truncated(play.reply)
    assert len(play.reply) < 512


def test_a_truncated_answer_is_better_than_none() -> None:
    play = Play([ONE], {Ask(ONE): [(0.0, CUT)], Ask(ONE, stream=True): [(0.1, None)]}, stream=True)
    assert wire.truncated(play.reply)
