"""The summary of a suspension (domain P15): told once by itself when the terminal is back, whatever the power does; the incident report."""

from firmware_agent.messages.schema import Claims, encode_body, kind_named
from firmware_agent.records.summary import body_of, reasons_of, steps_of, summary_now
from firmware_agent.records.suspension import KEY_SUSPENSION, MOST_REASONS, Suspension
from firmware_agent.records.timeline import MOMENTS, MOST_MOMENTS, Timeline
from firmware_agent.state.machine import FaultCleared, Lifted, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, REASON_KINDS, Reason
from tests.core.evidence_parts import damage, facts_of
from tests.core.parts import NOW_S, Flash, PowerCut, Time
from tests.core.records_parts import Shop, summaries
from tests.core.selftest_parts import serving_flash
from tests.core.terminal_parts import TERMINAL, boot


def test_a_terminal_that_is_back_tells_its_summary_once():
    terminal = boot(serving_flash(), Time())
    Shop(terminal).recover()
    for _ in range(3):
        terminal.watch_suspension()
    (body,) = summaries(terminal)
    assert body["number"] == 1 and body["back"] and body["whole"]
    assert body["reasons"] == [[6, 0, NOW_S, 0, "", "C-2026-1107"]] and body["advice"] == [6]
    assert body["since"] == NOW_S and body["until"] - body["since"] == body["duration_s"] > 600
    assert [test[0] for test in body["tests"]] == ["print", "scan", "pay"]
    assert [MOMENTS[step[0]] for step in body["steps"]][:3] == ["suspended", "recovery_started", "reason_read"]
    assert facts_of(terminal.store, "summary") == [[1]]
    assert boot(terminal.store._storage).last_summary().body == body  # kept for whoever asks later


def test_nothing_is_told_before_the_terminal_is_back_or_where_it_was_never_suspended():
    terminal = boot(serving_flash(), Time())
    terminal.watch_suspension()
    assert summary_now(terminal) is None
    shop = Shop(terminal)
    shop.suspend()
    terminal.watch_suspension()
    shop.steps()
    shop.answer("approved")
    shop.lift()  # function tests are due
    terminal.watch_suspension()
    assert summaries(terminal) == []


def test_the_power_may_go_at_any_write_and_the_summary_is_told_once():
    flash = serving_flash()
    terminal = boot(flash, Time())
    shop = Shop(terminal)
    shop.suspend("maintenance")
    terminal.apply([Lifted("maintenance")])
    for name in terminal.state.tests_due[:-1]:
        shop.test(name)
    files = flash.files
    last = terminal.state.tests_due[-1]
    told = []
    for write in (1, 2):
        for keep in (0, 1, 40, 4000):
            flash = Flash(files)
            terminal = boot(flash, Time())
            flash.cut(write, keep)
            try:
                Shop(terminal).test(last)
                terminal.watch_suspension()
            except PowerCut:
                pass
            flash.power_up()
            terminal = boot(flash, Time())
            told.append(len(summaries(terminal)))
            if terminal.state.tests_due:
                Shop(terminal).test(last)
            terminal.watch_suspension()
            terminal.watch_suspension()
            assert len(summaries(terminal)) == 1 and facts_of(terminal.store, "summary") == [[1]] and damage(terminal.store) == ""
    assert 0 in told and 1 in told


def test_several_reasons_are_one_story_and_the_next_suspension_is_another():
    terminal = boot(serving_flash(), Time())
    shop = Shop(terminal)
    shop.suspend("maintenance")
    terminal.apply([Suspended(Reason("hardware_fault", ACTOR_POI, NOW_S + 60, component="printer"))])
    terminal.apply([Suspended(Reason("maintenance", ACTOR_HOST, NOW_S, until=NOW_S + 9000, case="C-2026-1107"))])  # its end is known now
    shop.take(Lifted("maintenance"), "order", "lift", "maintenance")
    terminal.watch_suspension()
    terminal.apply([FaultCleared("printer")])
    for name in terminal.state.tests_due:
        shop.test(name)
    terminal.watch_suspension()
    shop.suspend("operator_error", NOW_S + 9000)
    incident = summary_now(terminal)
    assert incident.number("number") == 2 and [reason.code for reason in reasons_of(incident)] == ["operator_error"]
    assert not incident.body["back"] and "until" not in incident.body and "duration_s" not in incident.body
    (body,) = summaries(terminal)
    assert [values[0] for values in body["reasons"]] == [1, 2] and body["reasons"][0][3] == NOW_S + 9000 and body["advice"] == [1, 2]
    assert [MOMENTS[step[0]] for step in body["steps"]] == ["suspended", "suspended", "lifted", "lifted", "back"]


def test_an_incident_report_is_not_sent_and_becomes_the_summary():
    terminal = boot(serving_flash(), Time())
    shop = Shop(terminal)
    shop.suspend()
    waiting = len(terminal.outbox.waiting())
    report = summary_now(terminal)
    assert len(terminal.outbox.waiting()) == waiting
    assert Claims.from_map(report.to_map()).body == report.body and report.subject == TERMINAL


def test_without_times_there_is_no_duration():
    terminal = boot(serving_flash(), Time(), is_set=False)
    shop = Shop(terminal)
    shop.suspend("maintenance", 0)
    shop.take(Lifted("maintenance"), "order", "lift", "maintenance")
    for name in terminal.state.tests_due:
        shop.test(name)
    terminal.watch_suspension()
    (body,) = summaries(terminal)
    assert body["back"] and not [name for name in ("since", "until", "duration_s") if name in body]
    assert not [step for step in body["steps"] if len(step) == 2]  # no time; what is about something keeps its place


def test_a_clock_that_was_set_back_makes_no_time_to_recovery():
    timeline = Timeline()
    timeline.began, timeline.ended, timeline.is_back = NOW_S, NOW_S - 60, True
    body = body_of(Suspension(1, True, 1, (Reason("violation", ACTOR_HOST, NOW_S),)), timeline)
    assert body["since"] == NOW_S and body["until"] == NOW_S - 60 and "duration_s" not in body


def test_the_longest_summary_is_a_message_and_a_code():
    timeline = Timeline()
    timeline.moments = [("lifted", NOW_S, 12)] * MOST_MOMENTS
    timeline.tests = [[name, 99, "timeout", NOW_S] for name in ("print", "scan", "pay", "keys", "screen")]
    timeline.people = [("technician", "T" * 32)] * 8
    kinds = [kind.code for kind in REASON_KINDS] + ["hardware_fault"] * 4
    reasons = [Reason(code, ACTOR_HOST, NOW_S, NOW_S, "card_reader", "C" * 32) for code in kinds]
    assert len(reasons) == MOST_REASONS
    body = body_of(Suspension(9999, True, 1, tuple(reasons)), timeline)
    from firmware_agent.messages.cbor import encode
    from firmware_agent.messages.cose import MAX_LENGTH

    assert len(encode(encode_body(kind_named("summary"), body))) < 2200 < MAX_LENGTH


def test_a_record_that_cannot_be_read_is_none_and_stops_nothing():
    for record in (None, b"", b"\x00", b"\x84\x01\xf5\x01\x81\x01", b"\xff" * 9):
        found = Suspension.decoded(record)
        assert (found.number, found.is_open, found.reasons) == (0, False, ())
    flash = serving_flash()
    boot(flash, Time()).store.put(KEY_SUSPENSION, b"\xff")
    terminal = boot(flash, Time())
    Shop(terminal).suspend()
    assert terminal.suspension.number == 1


def test_what_a_newer_version_tells_is_left_out():
    body = {"reasons": [[6, 0], [99, 0], "x"], "steps": [[0, NOW_S, 6], [999], [], "x", [17]]}
    claims = Claims(kind_named("summary"), TERMINAL, 1, body)
    assert [reason.code for reason in reasons_of(claims)] == ["violation"]
    assert steps_of(claims) == [("suspended", NOW_S, 6), ("back", 0, 0)]
