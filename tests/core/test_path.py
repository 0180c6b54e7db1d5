"""The walk from the terminal to its acquirer names the first layer that fails, measures what works, and ends in time."""

import asyncio

from firmware_agent.links.link import LinkError
from firmware_agent.links.path import ANSWER_MS, INQUIRIES, WALK_MS, Path
from firmware_agent.messages.courier import CONNECT_TIMEOUT_MS
from hal.clock import TRUST_FLOOR, TRUST_NONE, TRUST_SET
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOEXIST, E_NOHARDWARE, E_OFFLINE, E_TIMEOUT, DeviceError
from tests.core.support import raises_in
from tests.core.test_courier import Scene


class Radio:
    """The terminal's network device, in the state that a test wishes."""

    level = 2

    def __init__(self, time):
        self.time = time
        self.enabled = True
        self.joined = True
        self.has_address = True
        self.knows_names = True
        self.error = None
        self.join_ms = 200
        self.attempts = 0

    def is_connected(self):
        return self.joined

    def address(self):
        return "192.168.4.2" if self.joined and self.has_address else ""

    def signal_dbm(self):
        return -60

    async def connect(self, timeout_ms):
        self.attempts += 1
        await self.time.sleep_ms(min(self.join_ms, timeout_ms))
        if self.error is not None:
            raise DeviceError(self.error.code, "network", self.error.detail, cause=self.error.cause)
        self.joined = True

    async def resolve(self, host, timeout_ms):
        await self.time.sleep_ms(30)
        if not self.knows_names:
            raise DeviceError(E_NOEXIST, "network", "no address", cause="dns_failed")
        return "127.0.0.1"

    async def check_health(self, level=1):
        return Health(HEALTH_FAIL, "network", "dead_radio", E_NOHARDWARE)


class Walked(Scene):
    """A terminal with its courier and a path, whose acquirer answers after `answers_ms`: one number for each inquiry, None for never."""

    def __init__(self, is_set=True, answers_ms=()):
        super().__init__(is_set)
        self.terminal.hal.clock.trust = TRUST_SET if is_set else TRUST_NONE
        self.radio = self.terminal.hal.network = Radio(self.time)
        self.path = Path(self.terminal, self.courier)
        self.answers_ms = list(answers_ms)
        self.inquiries = 0
        self.broker.heard = self.hear
        self.tasks = []
        self.terminal.hal.secure_element.random = self.random

    async def random(self, length):
        return self.inquiries.to_bytes(length, "big")  # another one for each inquiry

    def hear(self, claims):
        if claims.kind.name == "inquiry":
            self.inquiries += 1
            after_ms = self.answers_ms.pop(0) if self.answers_ms else 50
            if after_ms is not None:
                self.tasks.append(asyncio.create_task(self.answer(claims.octets("nonce"), after_ms)))

    async def answer(self, nonce, after_ms):
        await self.time.sleep_ms(after_ms)
        self.path.answered(nonce, self.time.now_ms)

    def walk(self, before_ms=500):
        """The walk's Health, begun when the courier has run for that long. It ends in time, whatever happens."""
        found = []

        async def program():
            await self.for_ms(before_ms)
            begun_ms = self.time.now_ms
            found.append(await self.path.walk())
            assert self.time.now_ms - begun_ms <= WALK_MS + 100
            for task in self.tasks:
                task.cancel()

        self.play(program())
        return found[0]


def failed(health):
    assert health.outcome == HEALTH_FAIL and health.kind == "network", health
    return health.cause


def test_a_sound_path_is_measured_over_the_connection_that_there_is():
    scene = Walked(answers_ms=[90, 60, 70, 80, 75])
    health = scene.walk()
    assert health.outcome == HEALTH_SUCCESS and health.cause == ""
    assert health.measurements == {
        "signal_dbm": -60,
        "resolve_ms": 30,
        "connect_ms": 10,
        "inquiries": INQUIRIES,
        "round_trip_ms": 61,
        "lost": 0,
    }
    assert len(scene.broker.links) == 1


def test_a_board_without_a_network_device_is_walked_from_the_connection_on():
    scene = Walked()
    scene.terminal.hal.network = None
    health = scene.walk()
    assert health.outcome == HEALTH_SUCCESS and "signal_dbm" not in health.measurements


def test_a_network_that_is_not_joined_is_joined():
    scene = Walked()
    scene.radio.joined = False
    health = scene.walk()
    assert health.outcome == HEALTH_SUCCESS and health.measurements["join_ms"] == 200


def test_what_keeps_the_radio_from_joining_is_told_as_it_is():
    for code, cause in ((E_OFFLINE, "no_network"), (E_FAILURE, "wrong_password"), (E_TIMEOUT, "no_address"), (E_NOHARDWARE, "dead_radio")):
        scene = Walked()
        scene.radio.joined = False
        scene.radio.error = DeviceError(code, "network", "text", cause=cause)
        health = scene.walk()
        assert failed(health) == cause and health.code == code and health.detail == "text"
        assert scene.radio.attempts == 1 and scene.broker.links == []


def test_a_radio_that_never_came_up_is_told():
    scene = Walked()
    scene.radio.enabled = False
    scene.radio.joined = False
    assert failed(scene.walk()) == "dead_radio"


def test_a_network_that_was_never_configured_cannot_be_judged():
    scene = Walked()
    scene.radio.joined = False
    scene.radio.error = DeviceError(E_ILLEGAL, "network", "not configured", cause="not_configured")
    health = scene.walk()
    assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "not_configured")


def test_joined_without_an_address_is_told():
    scene = Walked()
    scene.radio.has_address = False
    assert failed(scene.walk()) == "no_address"


def test_each_way_in_which_a_connection_fails_has_its_own_cause():
    causes = (
        ("E_OFFLINE", "unreachable", "host_unreachable"),
        ("E_OFFLINE", "refused", "port_closed"),
        ("E_OFFLINE", "tls", "tls_failed"),
        ("E_OFFLINE", "broker", "broker_refused"),
        ("E_OFFLINE", "", "lossy"),
        ("E_TIMEOUT", "tls", "tls_failed"),
        ("E_TIMEOUT", "broker", "broker_silent"),
        ("E_TIMEOUT", "", "slow"),
        ("E_TLS", "name", "tls_name"),
        ("E_TLS", "authority", "tls_authority"),
        ("E_TLS", "date", "certificate_expired"),
        ("E_TLS", "", "tls_failed"),
        ("E_REFUSED", "", "broker_refused"),
        ("E_PROTOCOL", "", "garbled_answer"),
    )
    for code, cause, expected in causes:
        scene = Walked()
        scene.broker.connect_error = LinkError(code, "text", cause)
        assert failed(scene.walk()) == expected, (code, cause)


def test_a_name_without_an_address_is_told_though_the_connection_still_works():
    scene = Walked()
    scene.radio.knows_names = False
    health = scene.walk()
    assert failed(health) == "dns_failed" and health.code == E_NOEXIST
    assert scene.terminal.link_cause == "" and scene.inquiries == 0


def test_a_look_up_that_fails_when_the_connection_is_made_is_told():
    scene = Walked()
    scene.resolve_error = LinkError("E_RESOLVE", "no such name")
    assert failed(scene.walk()) == "dns_failed"


def test_a_date_is_the_clocks_fault_as_long_as_the_clock_is_not_set():
    scene = Walked(is_set=False)
    scene.broker.connect_error = LinkError("E_TLS", "not yet valid", "date")
    assert failed(scene.walk()) == "clock_wrong"
    scene = Walked()
    scene.terminal.hal.clock.trust = TRUST_FLOOR
    scene.broker.connect_error = LinkError("E_TLS", "not yet valid", "date")
    assert failed(scene.walk()) == "clock_wrong"
    scene = Walked()
    scene.broker.connect_error = LinkError("E_TLS", "not yet valid", "date")
    assert "not valid at this date" in scene.walk().detail


def test_a_walk_makes_one_attempt_at_the_most_however_often_it_is_repeated():
    scene = Walked()
    scene.broker.connect_error = LinkError("E_OFFLINE", "nobody listens", "refused")

    async def program():
        await scene.for_ms(300000)
        for _ in range(3):
            attempts = len(scene.broker.links)
            assert failed(await scene.path.walk()) == "port_closed"
            assert len(scene.broker.links) == attempts + 1

    scene.play(program())


def test_an_acquirer_that_does_not_answer_is_told():
    scene = Walked(answers_ms=[None] * 9)
    health = scene.walk()
    assert failed(health) == "acquirer_silent" and health.code == E_TIMEOUT
    assert scene.inquiries == 1 and health.measurements["connect_ms"] == 10


def test_an_answer_to_an_earlier_inquiry_is_no_answer():
    scene = Walked(answers_ms=[ANSWER_MS + 100, None, None])

    async def program():
        await scene.for_ms(500)
        assert failed(await scene.path.walk()) == "acquirer_silent"
        assert failed(await scene.path.walk()) == "acquirer_silent"

    scene.play(program())


def test_late_and_missing_answers_are_counted_against_the_quickest():
    health = Walked(answers_ms=[2000, 50, 50, None, 1500]).walk()
    assert health.outcome == HEALTH_SUCCESS
    assert (health.measurements["round_trip_ms"], health.measurements["lost"]) == (51, 3)


def test_a_slow_path_is_slow_and_not_lossy():
    health = Walked(answers_ms=[3000, 3100, 2900, 3000, 3050]).walk()
    assert (health.measurements["round_trip_ms"], health.measurements["lost"]) == (2901, 0)


def test_a_walk_asks_no_further_when_its_time_is_over():
    scene = Walked(answers_ms=[5000] * 9)
    scene.broker.connect_ms = 12000
    health = scene.walk(0)
    assert 0 < health.measurements["inquiries"] < INQUIRIES and health.measurements["round_trip_ms"] == 5001


def test_a_connection_that_is_lost_while_an_answer_is_awaited_is_made_again_once():
    scene = Walked(answers_ms=[None])
    heard = scene.broker.heard

    def lose_the_first(claims):
        heard(claims)
        if scene.inquiries == 1 and claims.kind.name == "inquiry":
            scene.broker.lose()

    scene.broker.heard = lose_the_first
    health = scene.walk()
    assert health.outcome == HEALTH_SUCCESS and health.measurements["lost"] == 1
    assert len(scene.broker.links) == 2


def test_a_connection_that_is_lost_again_and_again_is_lossy():
    scene = Walked()

    def lose(claims):
        if claims.kind.name == "inquiry":
            scene.broker.lose()

    scene.broker.heard = lose
    assert failed(scene.walk()) == "lossy"
    assert len(scene.broker.links) == 2


def test_a_connection_that_was_dead_unnoticed_is_walked_anew_and_told_by_what_the_new_one_meets():
    scene = Walked()
    scene.broker.fail_publish = [None, LinkError("E_TIMEOUT", "no acknowledgement")]  # the state, and the first inquiry

    async def program():
        await scene.for_ms(500)
        scene.broker.connect_error = LinkError("E_OFFLINE", "no answer", "unreachable")
        assert failed(await scene.path.walk()) == "host_unreachable"

    scene.play(program())


def test_the_longest_way_to_fail_ends_in_time():
    scene = Walked()
    scene.radio.joined = False
    scene.radio.join_ms = 14000
    scene.broker.connect_ms = CONNECT_TIMEOUT_MS
    scene.broker.connect_error = LinkError("E_TIMEOUT", "no answer", "broker")
    assert failed(scene.walk(0)) == "broker_silent"
    scene = Walked()
    scene.broker.connect_ms = CONNECT_TIMEOUT_MS
    scene.broker.subscribe_ms = 9000
    assert failed(scene.walk(0)) == "slow"


def test_another_part_that_fails_is_not_told_as_the_network():
    scene = Walked()

    async def no_random(length):
        raise DeviceError(E_FAILURE, "secure_element", "no answer")

    async def program():
        await scene.for_ms(500)
        scene.terminal.hal.secure_element.random = no_random
        error = await raises_in(DeviceError, scene.path.walk())
        assert error.kind == "secure_element"

    scene.play(program())
