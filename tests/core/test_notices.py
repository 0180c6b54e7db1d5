"""Notices: none unread is lost, none stays longer than it holds; and a maintenance window suspends the terminal for its time, no longer."""

from firmware_agent.foreign_text import plain_text
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.prevention.notices import (
    DAY_S,
    HOUR_S,
    MAX_NOTICES,
    PREFIX,
    STAGE_AHEAD,
    STAGE_LAST_HOUR,
    STAGE_TODAY,
    NoticeError,
    confirm,
    maintenance_changes,
    message_changes,
    notice_changes,
    watch,
)
from firmware_agent.state.machine import COMMISSIONING, FUNCTION_TESTS, IN_SERVICE, SUSPENDED, FunctionTestPassed, Lifted, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from hal.clock import TRUST_FLOOR, TRUST_NONE, TRUST_SET
from tests.core.parts import NOW_S, Flash, PowerCut, Time
from tests.core.support import raises
from tests.core.terminal_parts import boot, provisioned

UTC8 = 480  # minutes: NOW_S is eight in the morning there


def serving(time=None):
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, time)
    terminal.apply([FunctionTestPassed(test) for test in FUNCTION_TESTS])
    assert terminal.state.mode == IN_SERVICE
    return flash, terminal


def claims(kind, sequence, body, issued_at=NOW_S):
    return Claims(kind_named(kind), "T0000001", sequence, body, issuer="acq1", issued_at=issued_at, expires=NOW_S + DAY_S)


def give_notice(terminal, number, sequence=0, **fields):
    body = {"notice": number, "about": "policy", "text": "Rule %d" % number}
    body.update(fields)
    terminal.apply([], [], notice_changes(terminal, claims("notice", sequence or number, body)))


def announce(terminal, sequence, since, until, text=""):
    body = {"action": "maintenance", "since": since, "until": until, "text": text}
    changes, events = maintenance_changes(terminal, claims("order", sequence, body))
    terminal.apply(events, [], changes)


def due(terminal):
    return [notice.name for notice in terminal.notices.due(terminal.wall_s, UTC8)]


def told(terminal):
    """(name, detail) of the events, whether they wait or are queued."""
    found = []
    for line in terminal.lines:
        for word in ("notice confirmed: ", "notice over: "):
            if line.startswith(word):
                found.append((word.split(":")[0], line[len(word) :]))
    return found


def at(terminal, time, wall_s):
    """Let the time pass until then, and look."""
    time.now_ms += 1000 * (wall_s - terminal.wall_s)
    watch(terminal)


# Texts of others.


def test_a_text_is_one_paragraph_of_what_can_be_seen():
    assert plain_text("  One\r\n\ttwo \u3000 three\u00a0four ") == "One two three four"
    assert plain_text("") == "" and plain_text(" \n ") == ""
    assert plain_text("\u7cfb\u7edf\u7ef4\u62a4 100 % \U0001f6e0") == "\u7cfb\u7edf\u7ef4\u62a4 100 % \U0001f6e0"


def test_what_moves_hides_or_cannot_be_seen_is_refused():
    for code in (0, 7, 8, 0x1B, 0x1F, 0x7F, 0x80, 0x85, 0x9F, 0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0x2028, 0x202A, 0x202E):
        raises(ValueError, plain_text, "pay" + chr(code) + "now")
    for code in (0x2060, 0x2066, 0x2069, 0x206F, 0xFE00, 0xFE0F, 0xFEFF, 0xFFF9, 0xFFFB, 0xE0001, 0xE0100):
        raises(ValueError, plain_text, chr(code))


# The list.


def test_notices_are_due_in_the_order_in_which_they_came_also_after_a_restart():
    flash, terminal = serving()
    give_notice(terminal, 7, 9)
    terminal.apply([], [], message_changes(terminal, claims("order", 4096, {"action": "message", "text": "Hello"})))
    give_notice(terminal, 5, 70000)
    names = ["notice 7", "order 4096", "notice 5"]
    assert due(terminal) == names
    again = boot(flash)
    assert due(again) == names
    assert [again.notices.text(notice) for notice in again.notices.all] == ["Rule 7", "Hello", "Rule 5"]


def test_a_confirmed_notice_goes_and_the_acquirer_hears_which():
    flash, terminal = serving()
    give_notice(terminal, 1)
    give_notice(terminal, 2)
    confirm(terminal, terminal.notices.all[0], UTC8)
    assert due(terminal) == ["notice 2"] and told(terminal) == [("notice confirmed", "notice 1")]
    assert due(boot(flash)) == ["notice 2"]


def test_the_confirmation_and_what_tells_of_it_are_one_write():
    for keep_bytes in (0, 5, 10000):
        flash, terminal = serving()
        give_notice(terminal, 1)
        flash.cut(1, keep_bytes)
        raises(PowerCut, confirm, terminal, terminal.notices.all[0], UTC8)
        flash.power_up()
        again = boot(flash)
        is_told = any(["notice 1" in str(again.outbox.message(key).body) for key in again.outbox.waiting()]) or bool(
            [key for key in again.store.keys("event.") if b"notice 1" in (again.store.get(key) or b"")]
        )
        assert (due(again) == []) == is_told, keep_bytes
        assert (due(again) == []) == (keep_bytes == 10000)


def test_a_notice_that_has_gone_in_the_meantime_cannot_be_confirmed():
    _, terminal = serving()
    announce(terminal, 1, NOW_S + DAY_S, NOW_S + DAY_S + HOUR_S)
    shown = terminal.notices.all[0]
    terminal.apply([], [], [(shown.key, None)])
    confirm(terminal, shown, UTC8)
    assert terminal.notices.all == [] and told(terminal) == []


def test_a_full_list_refuses_what_comes_and_forgets_nothing():
    _, terminal = serving()
    for number in range(1, MAX_NOTICES + 1):
        give_notice(terminal, number)
    assert raises(NoticeError, give_notice, terminal, 99).code == "too_many"
    order = claims("order", 100, {"action": "message", "text": "x"})
    assert raises(NoticeError, message_changes, terminal, order).code == "too_many"
    assert len(due(terminal)) == MAX_NOTICES
    announce(terminal, 101, NOW_S + DAY_S, NOW_S + DAY_S + HOUR_S)  # there is always room for one
    give_notice(terminal, 3, 102, text="Another wording")  # in the place of the one before
    assert len(due(terminal)) == MAX_NOTICES + 1
    assert [terminal.notices.text(notice) for notice in terminal.notices.all if notice.name == "notice 3"] == ["Another wording"]


def test_a_notice_that_is_over_goes_confirmed_or_not_and_the_acquirer_hears_it():
    time = Time()
    _, terminal = serving(time)
    give_notice(terminal, 1, since=NOW_S, until=NOW_S + HOUR_S)
    give_notice(terminal, 2)
    at(terminal, time, NOW_S + HOUR_S - 1)
    assert due(terminal) == ["notice 1", "notice 2"]
    at(terminal, time, NOW_S + HOUR_S)
    assert due(terminal) == ["notice 2"] and told(terminal) == [("notice over", "notice 1, not confirmed")]


def test_without_the_time_nothing_is_over():
    flash, terminal = serving()
    give_notice(terminal, 1, until=NOW_S + HOUR_S)
    again = boot(flash, is_set=False)
    again.hal.clock.trust = TRUST_NONE
    watch(again)
    assert due(again) == ["notice 1"]


def test_what_makes_no_sense_is_refused_by_its_name():
    _, terminal = serving()

    def refusal(text, since, until):
        body = {"notice": 1, "about": "fee", "text": text, "since": since, "until": until}
        return raises(NoticeError, notice_changes, terminal, claims("notice", 1, body)).code

    for text in ("", " \n", "a\u202eb"):
        assert refusal(text, 0, 0) == "wrong_text"
    for since, until in ((0, NOW_S), (0, NOW_S - 1), (NOW_S + 20, NOW_S + 10), (NOW_S + 9, NOW_S + 9)):
        assert refusal("x", since, until) == "wrong_time"
    assert terminal.store.keys(PREFIX) == []


def test_a_record_that_cannot_be_read_is_no_notice():
    flash, terminal = serving()
    good = ["notice", 1, "policy", 0, 0, 0, "text"]
    for number, record in enumerate((b"", b"\xff", encode(7), encode(good[:6]), encode(["notice", "1", "policy", 0, 0, 0, "text"]))):
        terminal.store.put(PREFIX + str(number), record)
    terminal.store.put(PREFIX + "9", encode(good))
    assert due(boot(flash)) == ["notice 1"]


# Maintenance windows.

SINCE, UNTIL = NOW_S + 2 * DAY_S, NOW_S + 2 * DAY_S + 2 * HOUR_S


def test_a_window_is_announced_reminded_of_counted_down_and_passes_by_itself():
    time = Time()
    flash, terminal = serving(time)
    announce(terminal, 17, SINCE, UNTIL, "New version")
    for moment, stage in (
        (NOW_S, STAGE_AHEAD),
        (SINCE - 8 * HOUR_S, STAGE_TODAY),  # midnight, where the terminal stands
        (SINCE - HOUR_S, STAGE_LAST_HOUR),
    ):
        if moment > NOW_S:
            at(terminal, time, moment - 1)
            assert due(terminal) == []
        at(terminal, time, moment)
        assert due(terminal) == ["order 17"]
        window = terminal.notices.window()
        assert window is not None and window.stage(terminal.wall_s, UTC8) == stage
        confirm(terminal, window, UTC8)
        assert due(terminal) == [] and terminal.state.mode == IN_SERVICE
        terminal = boot(flash, time)
        at(terminal, time, moment)
        assert due(terminal) == []
    at(terminal, time, SINCE - 1)
    assert terminal.state.mode == IN_SERVICE
    at(terminal, time, SINCE)
    (reason,) = terminal.state.reasons
    assert terminal.state.mode == SUSPENDED
    assert (reason.code, reason.actor, reason.since, reason.until) == ("maintenance", ACTOR_HOST, SINCE, UNTIL)
    at(terminal, time, UNTIL - 1)
    assert terminal.state.mode == SUSPENDED
    at(terminal, time, UNTIL)
    assert terminal.state.mode == COMMISSIONING and terminal.state.reasons == () and terminal.notices.all == []
    assert told(terminal)[-1] == ("notice over", "order 17")


def test_a_terminal_that_was_off_at_the_beginning_is_suspended_for_the_rest():
    flash, terminal = serving()
    announce(terminal, 1, SINCE, UNTIL)
    time = Time()
    again = boot(flash, time)
    at(again, time, SINCE + HOUR_S)
    assert again.state.mode == SUSPENDED and again.state.reasons[0].since == SINCE
    at(again, time, UNTIL)
    assert again.state.mode == COMMISSIONING


def test_a_terminal_that_was_off_at_the_end_goes_on_when_it_knows_the_time():
    time = Time()
    flash, terminal = serving(time)
    announce(terminal, 1, SINCE, UNTIL)
    at(terminal, time, SINCE)
    again = boot(flash, Time(), is_set=False)
    again.hal.clock.trust = TRUST_NONE
    watch(again)
    assert again.state.mode == SUSPENDED
    again.hal.clock.set_wall(UNTIL + DAY_S)
    watch(again)
    assert again.state.mode == COMMISSIONING and again.notices.all == []


def test_a_terminal_that_slept_through_it_was_never_suspended():
    flash, terminal = serving()
    announce(terminal, 1, SINCE, UNTIL)
    time = Time()
    again = boot(flash, time)
    at(again, time, UNTIL)
    assert again.state.mode == IN_SERVICE and again.notices.all == []
    assert told(again) == [("notice over", "order 1, not confirmed")]


def test_by_a_clock_that_may_be_behind_a_window_ends_but_does_not_begin():
    time = Time()
    _, terminal = serving(time)
    announce(terminal, 1, SINCE, UNTIL)
    terminal.hal.clock.trust = TRUST_FLOOR
    at(terminal, time, SINCE + 1)
    assert terminal.state.mode == IN_SERVICE
    terminal.hal.clock.trust = TRUST_SET
    watch(terminal)
    assert terminal.state.mode == SUSPENDED
    terminal.hal.clock.trust = TRUST_FLOOR
    at(terminal, time, UNTIL)
    assert terminal.state.mode == COMMISSIONING


def test_a_power_cut_at_the_beginning_or_the_end_leaves_before_or_after():
    for moment, before, after in ((SINCE, IN_SERVICE, SUSPENDED), (UNTIL, SUSPENDED, COMMISSIONING)):
        for keep_bytes in (0, 7, 100000):
            time = Time()
            flash, terminal = serving(time)
            announce(terminal, 1, SINCE, UNTIL)
            if moment == UNTIL:
                at(terminal, time, SINCE)
            flash.cut(1, keep_bytes)
            raises(PowerCut, at, terminal, time, moment)
            flash.power_up()
            again = boot(flash, time)
            assert again.state.mode == (before if keep_bytes < 100000 else after)
            assert bool(again.notices.all) == (moment == SINCE or keep_bytes < 100000)
            at(again, time, moment)
            assert again.state.mode == after


def test_what_the_acquirer_suspended_by_an_order_no_window_lifts():
    time = Time()
    _, terminal = serving(time)
    announce(terminal, 1, SINCE, UNTIL)
    at(terminal, time, SINCE)
    terminal.apply([Suspended(Reason("maintenance", ACTOR_HOST, SINCE + 5))])
    at(terminal, time, UNTIL)
    assert terminal.state.mode == SUSPENDED and terminal.notices.all == []
    assert terminal.state.reasons[0].since == SINCE + 5


def test_a_terminal_that_is_suspended_already_is_left_alone_until_it_is_back():
    time = Time()
    _, terminal = serving(time)
    terminal.apply([Suspended(Reason("operator_error", ACTOR_HOST, NOW_S))])
    announce(terminal, 1, SINCE, UNTIL)
    at(terminal, time, SINCE)
    assert [reason.code for reason in terminal.state.reasons] == ["operator_error"]
    terminal.apply([Lifted("operator_error")])
    watch(terminal)
    assert [reason.code for reason in terminal.state.reasons] == ["maintenance"]


def test_another_window_takes_the_place_of_the_one_before():
    time = Time()
    _, terminal = serving(time)
    announce(terminal, 1, SINCE, UNTIL)
    announce(terminal, 2, SINCE + DAY_S, UNTIL + DAY_S)
    assert [notice.name for notice in terminal.notices.all] == ["order 2"]
    at(terminal, time, SINCE)
    assert terminal.state.mode == IN_SERVICE
    at(terminal, time, SINCE + DAY_S)
    announce(terminal, 3, SINCE + DAY_S, UNTIL + 2 * DAY_S)  # it takes longer
    assert terminal.state.mode == SUSPENDED and terminal.state.reasons[0].until == UNTIL + 2 * DAY_S
    announce(terminal, 4, SINCE + 10 * DAY_S, UNTIL + 10 * DAY_S)  # put off
    assert terminal.state.mode == COMMISSIONING and terminal.state.reasons == ()


def test_a_window_is_called_off_before_and_while_it_is():
    time = Time()
    _, terminal = serving(time)
    announce(terminal, 1, 0, 0)  # there is none
    announce(terminal, 2, SINCE, UNTIL)
    announce(terminal, 3, 0, 0)
    assert terminal.notices.all == []
    announce(terminal, 4, SINCE, UNTIL)
    at(terminal, time, SINCE)
    announce(terminal, 5, 0, 0)
    assert terminal.state.mode == COMMISSIONING and terminal.notices.all == []
    watch(terminal)
    assert terminal.state.mode == COMMISSIONING


def test_a_window_that_cannot_be_is_refused():
    _, terminal = serving()
    for since, until in (
        (SINCE, SINCE),
        (UNTIL, SINCE),
        (NOW_S - 60, NOW_S),
        (SINCE, 0),
        (SINCE, SINCE + 7 * DAY_S + 1),
        (NOW_S + 367 * DAY_S, NOW_S + 367 * DAY_S + 1),
    ):
        assert raises(NoticeError, announce, terminal, 1, since, until).code == "wrong_time", (since, until)
    assert raises(NoticeError, announce, terminal, 1, SINCE, UNTIL, "a\x1b[2Jb").code == "wrong_text"
    announce(terminal, 1, NOW_S - 60, NOW_S + 60)  # one that has begun already
    watch(terminal)
    assert terminal.state.mode == SUSPENDED


def test_a_mere_notice_of_a_maintenance_suspends_nothing():
    time = Time()
    _, terminal = serving(time)
    give_notice(terminal, 1, about="maintenance", since=SINCE, until=UNTIL)
    at(terminal, time, SINCE)
    assert terminal.state.mode == IN_SERVICE
