"""The time from the acquirer: asked for once in each boot, with patience; and what is tried while no connection is let in for a date."""

import asyncio

from firmware_agent.links.link import CAUSE_DATE, CAUSE_TLS, LinkError
from firmware_agent.messages.timekeeper import AGAIN_MAX_MS, AGAIN_MIN_MS, LOOK_MS, STEP_S, STEPS, Timekeeper
from firmware_agent.terminal import KEY_SUPPOSED, KEY_WALL, Terminal
from hal.clock import TRUST_FLOOR, TRUST_NONE, TRUST_SET
from tests.core.parts import NOW_S, Flash, Time, clock
from tests.core.terminal_parts import boot, provisioned

DAY_S = 86400
NEVER = 10**9
ANSWER_MS = 6000  # how long a question waits


class Way:
    """Courier and path, as far as the timekeeper sees them: inquiries are answered after `answer_ms`; a connection is let through while
    certificates are judged by a time in `valid`.
    """

    def __init__(self, terminal, time, answer_ms=40, valid=(0, 2**40)):
        self.terminal = terminal
        self.time = time
        self.answer_ms = answer_ms
        self.valid = valid
        self.right_s = NOW_S + 5000
        self.asked_ms = []
        self.attempts_at = []
        self.renewals = 0
        self.error = LinkError("E_TLS", "not valid", CAUSE_DATE)

    async def inquire(self):
        self.asked_ms.append(self.time.now_ms)
        await self.time.sleep_ms(min(self.answer_ms, ANSWER_MS))
        if not self.terminal.online:
            raise LinkError("E_OFFLINE", "lost while an answer was awaited")
        if self.answer_ms > ANSWER_MS:
            return
        self.terminal.store.put_all(self.terminal.take_time(self.right_s, True))
        self.terminal.hal.clock.set_wall(self.right_s, True)

    async def attempt(self, timeout_ms):
        await self.time.sleep_ms(500)
        at_s = self.terminal.hal.clock.certificate_s()
        self.attempts_at.append(at_s)
        if not self.valid[0] <= at_s <= self.valid[1]:
            self.terminal.link_cause = self.error.cause
            return self.error
        self.terminal.online = True
        self.terminal.link_cause = ""
        return None

    def renew(self):
        self.renewals += 1


def played(terminal, courier, duration_ms):
    """Run a timekeeper for so long."""

    async def program():
        keeper = asyncio.create_task(Timekeeper(terminal, courier, courier).run())
        await courier.time.sleep_ms(duration_ms)
        keeper.cancel()
        try:
            await keeper
        except asyncio.CancelledError:
            pass

    courier.time.run(program())


def terminal_at(floor_s=0, is_set=False):
    """A terminal that wakes without the time, or with that of its RTC, which nobody has signed."""
    flash = Flash()
    provisioned(flash)
    if floor_s:
        known = boot(flash)
        known.store.put_all(known.take_time(floor_s, True))
    time = Time()
    return boot(flash, time, is_set), time


def test_the_time_is_asked_for_once_in_a_boot_even_where_an_rtc_shows_it():
    for is_set in (False, True):
        terminal, time = terminal_at(is_set=is_set)
        courier = Way(terminal, time)
        terminal.online = True
        played(terminal, courier, 10 * AGAIN_MAX_MS)
        assert len(courier.asked_ms) == 1
        assert terminal.hal.clock.trust == TRUST_SET and terminal.hal.clock.is_signed
        assert terminal.wall_s >= courier.right_s


def test_nothing_is_asked_without_a_connection():
    terminal, time = terminal_at()
    courier = Way(terminal, time)
    played(terminal, courier, AGAIN_MAX_MS)
    assert courier.asked_ms == [] and courier.attempts_at == []


def test_an_acquirer_that_is_silent_is_asked_again_after_longer_and_longer_pauses():
    terminal, time = terminal_at()
    courier = Way(terminal, time, answer_ms=NEVER)
    terminal.online = True
    played(terminal, courier, 10 * AGAIN_MAX_MS)
    pauses = [later - earlier for earlier, later in zip(courier.asked_ms, courier.asked_ms[1:])]  # noqa: B905
    assert ANSWER_MS + AGAIN_MIN_MS <= pauses[0] <= ANSWER_MS + AGAIN_MIN_MS + 2 * LOOK_MS
    assert pauses == sorted(pauses) and pauses[-1] <= ANSWER_MS + AGAIN_MAX_MS + 2 * LOOK_MS
    assert 10 <= len(courier.asked_ms) <= 20


def test_a_connection_that_is_lost_while_an_answer_is_awaited_is_asked_on_again():
    terminal, time = terminal_at()
    courier = Way(terminal, time, answer_ms=1000)
    terminal.online = True

    async def program():
        keeper = asyncio.create_task(Timekeeper(terminal, courier, courier).run())
        await time.sleep_ms(500)
        terminal.online = False
        await time.sleep_ms(60000)
        assert len(courier.asked_ms) == 1 and not terminal.hal.clock.is_signed
        terminal.online = True
        await time.sleep_ms(60000)
        keeper.cancel()
        try:
            await keeper
        except asyncio.CancelledError:
            pass

    time.run(program())
    assert len(courier.asked_ms) == 2 and terminal.hal.clock.is_signed


def test_times_are_tried_from_the_floor_on_until_the_brokers_certificate_is_valid():
    """A terminal that lay in a store room: its clock knows a floor, and the broker's certificate was made after that."""
    terminal, time = terminal_at(floor_s=NOW_S - 400 * DAY_S)
    assert terminal.hal.clock.trust == TRUST_FLOOR
    courier = Way(terminal, time, valid=(NOW_S - 20 * DAY_S, NOW_S + 60 * DAY_S))
    terminal.link_cause = CAUSE_DATE
    played(terminal, courier, AGAIN_MAX_MS)
    tried = [NOW_S - 400 * DAY_S + step * STEP_S for step in range(len(courier.attempts_at))]
    assert courier.attempts_at == tried and len(tried) == 14
    assert terminal.online and terminal.hal.clock.is_signed and terminal.wall_s >= courier.right_s
    assert courier.renewals == 0  # it is about what was supposed
    assert terminal.hal.clock.certificate_s() == terminal.wall_s


def test_an_rtc_that_is_ahead_by_years_locks_nobody_out():
    terminal, time = terminal_at(floor_s=NOW_S - DAY_S)
    terminal.hal.clock = clock(time)
    terminal.hal.clock._count_from(NOW_S + 4000 * DAY_S)  # as an RTC that jumped shows it, which is believed
    assert terminal.hal.clock.trust == TRUST_SET
    courier = Way(terminal, time, valid=(NOW_S - 20 * DAY_S, NOW_S + 60 * DAY_S))
    terminal.link_cause = CAUSE_DATE
    played(terminal, courier, AGAIN_MAX_MS)
    assert courier.attempts_at == [NOW_S - DAY_S]
    assert terminal.hal.clock.is_signed and terminal.wall_s < NOW_S + DAY_S


def test_a_connection_that_only_a_supposed_time_let_through_is_made_anew_by_the_right_one():
    terminal, time = terminal_at(floor_s=NOW_S - 400 * DAY_S)
    courier = Way(terminal, time, valid=(0, NOW_S - 300 * DAY_S))  # a certificate that has expired since
    terminal.link_cause = CAUSE_DATE
    played(terminal, courier, AGAIN_MAX_MS)
    assert terminal.hal.clock.is_signed and courier.renewals == 1


def test_where_no_time_helps_each_is_tried_once_and_the_clock_counts_again():
    terminal, time = terminal_at(floor_s=NOW_S)
    courier = Way(terminal, time, valid=(1, 2))
    terminal.link_cause = CAUSE_DATE
    played(terminal, courier, AGAIN_MAX_MS // 4)
    assert len(courier.attempts_at) == STEPS and courier.attempts_at[-1] == NOW_S + (STEPS - 1) * STEP_S
    clock_now = terminal.hal.clock
    assert clock_now.certificate_s() == clock_now.wall_s() and not clock_now.is_signed


def test_another_failure_ends_the_trying():
    terminal, time = terminal_at(floor_s=NOW_S)
    courier = Way(terminal, time, valid=(1, 2))
    terminal.link_cause = CAUSE_DATE
    courier.error = LinkError("E_OFFLINE", "closed", CAUSE_TLS)
    played(terminal, courier, AGAIN_MAX_MS)
    assert len(courier.attempts_at) == 1


# What a terminal keeps of it.


def test_what_was_only_supposed_is_not_believed_at_the_next_start():
    """A microcontroller's own RTC shows after a restart what was put in before."""
    terminal, time = terminal_at(floor_s=NOW_S - 5 * DAY_S)
    rtc = terminal.hal.clock._rtc
    assert terminal.store.get(KEY_SUPPOSED) is not None
    assert terminal.hal.clock.certificate_s() == NOW_S - 5 * DAY_S

    def restarted():
        """With the RTC as it was left: the terminal's clock is brought up before its store is read."""
        hal_clock = clock(time)
        hal_clock._rtc.fields = rtc.fields
        hal_clock._is_read = False
        hal_clock._judge()
        return hal_clock

    woken = restarted()
    assert woken.trust == TRUST_SET  # which it does not deserve
    terminal.hal.clock = woken
    terminal.booted()
    assert woken.trust == TRUST_FLOOR
    terminal.store.put_all(terminal.take_time(NOW_S, True))
    woken.set_wall(NOW_S, True)
    assert terminal.store.get(KEY_SUPPOSED) is None
    rtc = woken._rtc
    woken = restarted()
    terminal.hal.clock = woken
    terminal.booted()
    assert (woken.trust, woken.wall_s()) == (TRUST_SET, NOW_S)


def test_a_terminal_without_any_time_supposes_none():
    terminal, _ = terminal_at()
    assert terminal.hal.clock.trust == TRUST_NONE and terminal.floor_s == 0
    assert terminal.store.get(KEY_SUPPOSED) is None


def test_an_answer_sets_the_clock_back_and_with_it_the_floor():
    """An acquirer whose clock was ahead once, for a message, does not lock its terminals out for as long."""
    terminal, time = terminal_at(floor_s=NOW_S + 4000 * DAY_S)
    assert terminal.wall_s == NOW_S + 4000 * DAY_S
    terminal.online = True
    courier = Way(terminal, time)
    played(terminal, courier, AGAIN_MAX_MS)
    assert terminal.floor_s == courier.right_s and terminal.wall_s < courier.right_s + DAY_S
    assert boot(terminal.store._storage).floor_s == courier.right_s


def test_the_store_and_the_clock_are_set_by_news_only():
    terminal, _ = terminal_at(is_set=True)
    assert [key for key, _ in terminal.take_time(terminal.wall_s + 1, False)] == [KEY_WALL]
    assert terminal.take_time(terminal.wall_s, False) == []
    assert [key for key, _ in terminal.take_time(terminal.wall_s - 100, True)] == [KEY_WALL]
    assert isinstance(terminal, Terminal)
