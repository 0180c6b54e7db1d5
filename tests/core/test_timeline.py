"""The timeline of a suspension from the entries of the evidence log: what happened when, with gaps and without the time of day, too."""

from firmware_agent.records.evidence import BROKEN, UNKEPT, Entry, entries
from firmware_agent.records.timeline import (
    APPLIED,
    APPROVED,
    BACK,
    CHECKED,
    CONTACTED,
    LIFTED,
    MATERIALS_READY,
    MORE_NEEDED,
    MOST_MOMENTS,
    MOST_PEOPLE,
    NEW_KEYS,
    REASON_READ,
    RECOVERY_STARTED,
    SUSPENDED,
    TECHNICIAN,
    TRAINED,
    UNDER_REVIEW,
    timeline_of,
)
from tests.core.parts import NOW_S, Time
from tests.core.records_parts import Shop
from tests.core.selftest_parts import serving_flash
from tests.core.terminal_parts import boot

IN_A_VIOLATION = [
    SUSPENDED,
    RECOVERY_STARTED,
    REASON_READ,
    CONTACTED,
    CHECKED,
    MATERIALS_READY,
    APPLIED,
    UNDER_REVIEW,
    APPROVED,
    NEW_KEYS,
    LIFTED,
    BACK,
]


def recovered(terminal):
    Shop(terminal).recover()
    return timeline_of(entries(terminal.store, terminal.suspension.first), terminal.suspension.first)


def words(timeline):
    return [word for word, _, _ in timeline.moments]


def state(number, events, mode, step="", reasons=(), wall_s=NOW_S):
    return Entry(number, 1, wall_s, b"", [["state", list(events), mode, step, list(reasons), []]])


def test_a_whole_recovery_is_told_step_by_step_with_its_times():
    timeline = recovered(boot(serving_flash(), Time()))
    assert words(timeline) == IN_A_VIOLATION
    times = [when for _, when, _ in timeline.moments]
    assert times == sorted(times) and times[0] == NOW_S == timeline.began
    assert timeline.is_back and timeline.is_whole and timeline.ended == times[-1] > NOW_S
    assert [about for word, _, about in timeline.moments if word in (SUSPENDED, APPLIED, LIFTED)] == [6, 1, 6]
    assert [test[:3] for test in timeline.tests] == [["print", 1, "pass"], ["scan", 1, "pass"], ["pay", 1, "pass"]]


def test_a_suspension_that_goes_on_ends_nowhere():
    terminal = boot(serving_flash(), Time())
    shop = Shop(terminal)
    shop.suspend()
    shop.steps()
    shop.answer("more_needed")
    timeline = timeline_of(entries(terminal.store), terminal.suspension.first)
    assert words(timeline)[-2:] == [APPLIED, MORE_NEEDED] and not timeline.is_back and timeline.ended == 0 and timeline.is_whole


def test_without_the_time_of_day_the_order_stays_and_times_are_unknown():
    timeline = recovered(boot(serving_flash(), Time(), is_set=False))
    assert words(timeline) == IN_A_VIOLATION
    assert {when for _, when, _ in timeline.moments} == {0} and timeline.began == timeline.ended == 0 and timeline.is_back


def test_a_test_that_was_repeated_is_told_with_how_often_and_what_it_came_to():
    terminal = boot(serving_flash(), Time())
    shop = Shop(terminal)
    shop.suspend()
    for passes in (False, False, True):
        shop.test("print", passes)
    assert [test[:3] for test in timeline_of(entries(terminal.store)).tests] == [["print", 3, "pass"]]


def test_people_are_told_by_their_numbers():
    terminal = boot(serving_flash(), Time())
    Shop(terminal).suspend()
    for name, detail in (("signed_on", "badge T-0042"), ("signed_on", "PIN"), ("signed_on", "badge T-0042"), ("training_done", "7")):
        terminal.send("event", {"name": name, "detail": detail})
    timeline = timeline_of(entries(terminal.store, terminal.suspension.first), terminal.suspension.first)
    assert timeline.people == [("technician", "T-0042"), ("technician", "PIN"), ("staff", "7")]
    assert words(timeline) == [SUSPENDED, TECHNICIAN, TRAINED]  # what happens again and again is told once


def test_each_entry_may_be_missing_and_the_rest_is_told_with_the_gap():
    terminal = boot(serving_flash(), Time())
    Shop(terminal).recover()
    first = terminal.suspension.first
    all_of_them = list(entries(terminal.store, first))
    for place in range(len(all_of_them)):
        timeline = timeline_of(all_of_them[:place] + all_of_them[place + 1 :], first)
        missing_last = place == len(all_of_them) - 1
        assert timeline.is_whole == missing_last and timeline.is_back != missing_last
        told = words(timeline)
        assert told == [word for word in IN_A_VIOLATION if word in told]
        assert len(told) >= len(IN_A_VIOLATION) - 2


def test_a_log_that_no_longer_reaches_back_says_so_and_makes_no_beginning_up():
    taken = [
        state(9, ["StepDone"], "recovering", "review", ["violation"]),
        state(10, ["Lifted"], "commissioning"),
        state(11, [], "in_service"),
    ]
    timeline = timeline_of(taken, 4)
    assert words(timeline) == [LIFTED, BACK] and not timeline.is_whole and timeline.began == 0
    assert not timeline_of([], 4).moments and timeline_of([], 4).is_whole  # nobody can say that something is missing behind the end
    assert not timeline_of([state(1, ["Suspended"], "suspended", "", ["violation"])]).is_whole  # where it began is not known


def test_damage_and_losses_that_the_log_tells_of_are_gaps():
    for fact in ([BROKEN, "missing", 4], [UNKEPT, 2]):
        assert not timeline_of([Entry(5, 1, NOW_S, b"", [fact])], 5).is_whole


def test_facts_of_another_version_are_passed_over():
    for fact in (
        ["state"],
        ["state", 1, 2, 3, 4],
        ["state", [], "x", "", ["no_such_reason"]],
        ["accepted"],
        ["test"],
        ["event"],
        ["new", 1],
    ):
        timeline = timeline_of([Entry(5, 1, NOW_S, b"", [fact]), state(6, [], "in_service")], 5)
        assert words(timeline) == [BACK]


def test_it_is_bounded_and_keeps_beginning_and_end():
    taken = [state(1, ["Suspended"], "suspended", "", ["violation"])]
    for number in range(2, 400, 2):
        taken.append(Entry(number, 1, NOW_S, b"", [["application", number, "reactivation"]]))
        taken.append(Entry(number + 1, 1, NOW_S, b"", [["event", "signed_on", "badge %d" % number, 1]]))
    taken.append(state(taken[-1].number + 1, ["Lifted"], "in_service"))
    timeline = timeline_of(taken, 1)
    assert len(timeline.moments) == MOST_MOMENTS and not timeline.is_whole
    assert words(timeline)[0] == SUSPENDED and words(timeline)[-1] == BACK and len(timeline.people) == MOST_PEOPLE
