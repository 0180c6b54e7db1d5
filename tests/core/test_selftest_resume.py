"""A self-test run that a power cut interrupts goes on where it was; and when the next daily one is due."""

from firmware_agent.messages.cbor import encode
from firmware_agent.selftest.phases import ABORTED, PASS
from firmware_agent.selftest.plans import DAILY, FULL, POWER_ON
from firmware_agent.selftest.report import from_list
from firmware_agent.selftest.run import DAY_S, FIRST_DAILY_S, KEY_DAILY, KEY_RUN, Run, daily_is_due, interrupted_plans, last_result
from firmware_agent.state.machine import IN_SERVICE
from tests.core.parts import NOW_S, Flash, PowerCut, Time
from tests.core.selftest_parts import KINDS, LATER_MS, PHASES, SLOW_MS, World, serving_flash
from tests.core.terminal_parts import boot


def test_the_power_may_go_at_any_write_and_nothing_is_lost_told_twice_or_run_twice():
    before = serving_flash()
    whole = World(Flash(before.files))
    writes_before = len(whole.flash.writes)
    whole.run()
    writes = whole.flash.writes[writes_before:]
    assert len(writes) == 2 * len(PHASES) + 1
    resumed = 0
    for number, length in enumerate(writes):
        for keep_bytes in (0, length // 2, length):
            world = World(Flash(before.files))
            world.flash.cut(number + 1, keep_bytes)
            assert world.cut_run()
            done_before = [result.phase for result in world.shown]
            world.boot()
            kept = Run(world.terminal, FULL).results
            reports = world.reports()
            if interrupted_plans(world.terminal) == [FULL]:
                assert reports == []  # the report comes with the end of the run, in one write
                resumed += 1
            else:
                assert number == 0 and not reports or number == len(writes) - 1 and len(reports) == 1
                if reports:
                    continue
            assert all([phase in kept for phase in done_before])  # what a person saw is kept
            world.run()
            ran = ["printer.slip" if what == "printer.seen" else what for what in world.ran]
            assert sorted(ran + list(kept)) == sorted(PHASES), (number, keep_bytes)  # each once in all
            (report,) = world.reports()
            results = [from_list(values) for values in report["results"]]
            assert [(result.phase, result.outcome) for result in results] == [(phase, PASS) for phase in PHASES]
            assert sorted([result.phase for result in world.shown]) == sorted(PHASES)
            assert world.terminal.store.keys(KEY_RUN) == [] and interrupted_plans(world.terminal) == []
            assert world.terminal.state.mode == IN_SERVICE
    assert resumed > 25


def test_a_defect_that_was_found_before_the_cut_suspends_after_it():
    before = serving_flash()
    whole = World(Flash(before.files))
    writes_before = len(whole.flash.writes)
    whole.found(keypad="key_dead")
    for number in range(len(whole.flash.writes) - writes_before):
        world = World(Flash(before.files))
        world.parts["keypad"].found = "key_dead"
        world.flash.cut(number + 1, 0)
        assert world.cut_run()
        world.boot()
        world.parts["keypad"].found = "" if "keypad" in Run(world.terminal, FULL).results else "key_dead"
        assert world.run() == [("keypad", "key_dead")]
        assert world.reasons == [("hardware_fault", "keypad", "key_dead")]
        assert [kind for kind, _ in world.messages()] == ["report", "state"]


def test_a_second_cut_while_a_run_is_resumed_loses_nothing():
    before = serving_flash()
    for first in range(2, 2 * len(PHASES), 3):
        for second in range(1, 2 * len(PHASES), 2):
            world = World(Flash(before.files))
            world.flash.cut(first, 0)
            assert world.cut_run()
            world.boot()
            world.flash.cut(second, 0)
            if world.cut_run():
                world.boot()
                kept = sorted(Run(world.terminal, FULL).results)
                world.run()
                assert kept == sorted([result.phase for result in world.shown if result.phase in kept])
            (report,) = world.reports()
            outcomes = {from_list(values).phase: from_list(values).outcome for values in report["results"]}
            assert set(outcomes) == set(PHASES)
            assert all([outcome in (PASS, ABORTED) for outcome in outcomes.values()])


def take_the_terminal_with_it(world):
    def found():
        world.flash.cut(1, 0)
        raise PowerCut()

    return found


def test_a_phase_that_takes_the_terminal_with_it_is_not_begun_a_third_time():
    world = World()
    world.parts["keypad"].found = take_the_terminal_with_it(world)
    world.parts["keypad"].duration_ms = LATER_MS
    killed = 0
    while world.cut_run():
        assert "keypad" in world.ran
        killed += 1
        world.boot()
        assert interrupted_plans(world.terminal) == [FULL]
    assert killed == 2 and "keypad" not in world.ran
    (report,) = world.reports()
    results = {from_list(values).phase: from_list(values) for values in report["results"]}
    assert (results["keypad"].outcome, results["keypad"].cause) == (ABORTED, "not_survived")
    assert [results[phase].outcome for phase in PHASES if phase != "keypad"] == [PASS] * 4
    assert world.terminal.state.mode == IN_SERVICE  # nobody knows what is wrong: told, and not judged


def test_a_new_run_begins_a_phase_again_that_was_given_up():
    world = World()
    world.parts["keypad"].found = take_the_terminal_with_it(world)
    while world.cut_run():
        world.boot()
    world.found()
    assert "keypad" in world.ran and last_result(world.terminal, "keypad")[2].outcome == PASS


def test_whoever_ran_when_the_power_went_runs_alone_the_next_time():
    world = World()
    world.parts["keypad"].found = take_the_terminal_with_it(world)
    world.parts["keypad"].duration_ms = LATER_MS
    world.parts["display"].duration_ms = SLOW_MS
    assert world.cut_run()
    assert max(world.together) == 4
    world.boot()
    assert sorted(Run(world.terminal, FULL).begun) == ["display", "keypad"]
    world.parts["keypad"].found = ""
    world.run()
    assert world.ran == ["keypad", "display", "printer.seen"] and max(world.together) == 1


def test_a_record_of_an_older_form_begins_the_run_anew():
    good = ["printer", "printer", 0, 0, 0, "", "", 5, []]
    for record in (
        b"",
        b"\xff\xff",
        encode(5),
        encode("text"),
        encode([]),
        encode([[], [], []]),
        encode([5, []]),
        encode([[["printer", None]], [good]]),
        encode([[["printer"]], [good]]),
        encode([[], [good[:8]]]),
        encode([[], [good + [1]]]),
        encode([[], [["printer", "printer", 77, 0, 0, "", "", 5, []]]]),
        encode([[], [["printer", "printer", "pass", 0, 0, "", "", 5, []]]]),
        encode([[], [["printer", "printer", 0, 0, 0, "", "", 5, 7]]]),
        encode([[], [[["printer"], "printer", 0, 0, 0, "", "", 5, []]]]),
        encode([[], [5]]),
        encode([[], good]),
    ):
        world = World()
        world.terminal.store.put(KEY_RUN + FULL, record)
        world.run()
        assert sorted(world.ran) == sorted(list(KINDS) + ["printer.seen"]), record
        assert len(world.reports()) == 1


def test_plans_that_were_interrupted_are_named():
    world = World()
    store = world.terminal.store
    assert interrupted_plans(world.terminal) == []
    for plan in (POWER_ON, DAILY, "device.printer"):
        store.put(KEY_RUN + plan, encode([[], []]))
    assert interrupted_plans(world.terminal) == [DAILY, "device.printer"]  # that of power-on runs at each boot anyway


def test_an_interrupted_plan_that_there_is_no_more_is_not_named():
    """Of an older version, or of a board that had another device: nobody could run it."""
    world = World()
    for plan in ("weekly", "device.coffee", "device.scanner", "device."):
        world.terminal.store.put(KEY_RUN + plan, encode([[], []]))
    world.terminal.hal.scanner = None
    assert interrupted_plans(world.terminal) == []


def test_runs_of_two_plans_do_not_mix():
    world = World()
    world.flash.cut(4, 0)
    assert world.cut_run()
    world.boot()
    kept = len(Run(world.terminal, FULL).results)
    world.run(plan=DAILY)
    assert len(world.shown) == len(PHASES) and len(Run(world.terminal, FULL).results) == kept
    assert interrupted_plans(world.terminal) == [FULL]


# When the next daily run is due.


def test_a_daily_run_is_due_a_day_after_the_last():
    world = World()
    world.run(plan=DAILY)
    assert not daily_is_due(world.terminal)
    world.time.now_ms += (DAY_S - 2) * 1000
    assert not daily_is_due(world.terminal)
    world.time.now_ms += 2000
    assert daily_is_due(world.terminal)
    world.run(plan=DAILY)
    assert not daily_is_due(world.terminal)


def test_other_plans_put_off_no_daily_run():
    world = World()
    world.run(plan=DAILY)
    world.time.now_ms += DAY_S * 1000
    world.run(plan=FULL)
    assert daily_is_due(world.terminal)


def test_a_terminal_that_never_had_a_daily_run_has_one_on_its_first_day():
    """Even if it is switched off every night."""
    world = World()
    assert not daily_is_due(world.terminal)  # what power-on tests is enough for now
    world.time.now_ms += FIRST_DAILY_S * 1000
    assert daily_is_due(world.terminal)


def due(last_s, boots_ago, uptime_ms, is_set, now_ms=0, ahead_s=0):
    """By a record of so many boots ago. ahead_s: of the wall clock, since NOW_S."""
    flash = serving_flash()
    terminal = boot(flash, Time(), is_set)
    terminal.store.put(KEY_DAILY, encode([last_s, terminal.boot_count - boots_ago, uptime_ms]))
    terminal.hal.clock._time.now_ms = now_ms
    if ahead_s:
        terminal.hal.clock.set_wall(NOW_S + ahead_s)
    return daily_is_due(terminal)


def test_with_a_wall_clock_reboots_do_not_count():
    for boots_ago in (0, 1, 50):
        assert not due(NOW_S - DAY_S + 7200, boots_ago, 5000, True)
        assert due(NOW_S - DAY_S, boots_ago, 5000, True)
        assert due(NOW_S - 100 * DAY_S, boots_ago, 5000, True)


def test_without_a_wall_clock_the_time_since_then_counts_within_one_boot():
    day_ms = DAY_S * 1000
    for last_s, is_set in ((0, False), (0, True), (NOW_S, False)):  # not known then, not known now, or neither
        assert not due(last_s, 0, 5000, is_set, now_ms=day_ms)
        assert due(last_s, 0, 5000, is_set, now_ms=day_ms + 5000)


def test_without_a_wall_clock_the_time_since_the_boot_counts_after_another():
    day_ms = DAY_S * 1000
    for last_s, is_set in ((0, False), (0, True), (NOW_S, False)):
        assert not due(last_s, 1, 2 * day_ms, is_set, now_ms=day_ms - 1)
        assert due(last_s, 1, 2 * day_ms, is_set, now_ms=day_ms)


def test_a_wall_clock_that_jumped_ahead_makes_it_due_and_one_that_jumped_back_does_too():
    assert due(NOW_S, 0, 5000, True, ahead_s=30 * DAY_S)
    assert due(NOW_S + 10, 0, 5000, True)  # else a clock once wrong by years would put it off for years
    assert due(NOW_S + 3000 * DAY_S, 1, 5000, True)


def test_a_record_of_a_daily_run_that_cannot_be_read_is_none():
    for record in (b"", b"\xff", encode(5), encode([NOW_S]), encode([NOW_S, 1, 2, 3])):
        world = World()
        world.terminal.store.put(KEY_DAILY, record)
        assert not daily_is_due(world.terminal)
        world.time.now_ms += FIRST_DAILY_S * 1000
        assert daily_is_due(world.terminal)
