"""Plans: which phases make them up, on a terminal with all devices and on one with few."""

from firmware_agent.selftest.plans import (
    DAILY,
    DEVICE,
    FULL,
    FUNCTION_TEST_OF,
    PLANS,
    POWER_ON,
    REACTIVATION,
    PlanError,
    all_phases,
    phase_ids,
    phase_named,
    plan_phases,
)
from firmware_agent.selftest.run import KEY_LAST, KEY_RUN
from firmware_agent.selftest.trends import KEPT, PREFIX
from firmware_agent.state.machine import FUNCTION_TESTS, TESTS_OF_COMPONENT
from firmware_agent.store import MAX_KEY_BYTES
from hal.errors import CH_EXTERNAL, CH_INTERACTIVE, CH_INTERNAL
from hal.hal import KINDS, Hal
from tests.core.parts import clock
from tests.core.support import raises

# As they are on the wire: a number is never given to another phase.
NUMBERS = {
    1: "power",
    2: "firmware",
    3: "storage",
    4: "clock",
    5: "secure_element",
    6: "secure_element.keys",
    7: "certificate",
    8: "display",
    9: "keypad",
    10: "printer",
    11: "card_reader",
    12: "scanner",
    13: "sounder",
    14: "network",
    15: "payment",
    20: "network.path",
    21: "card_reader.antenna",
    22: "printer.print",
    23: "payment.sign_in",
    30: "keypad.keys",
    31: "keypad.together",
    32: "display.patterns",
    33: "sounder.tone",
    34: "printer.slip",
    35: "scanner.code",
    36: "card_reader.card",
}
OPTIONAL = ("display", "keypad", "printer", "card_reader", "scanner", "network", "sounder", "payment")


def hal_with(*kinds):
    hal = Hal("test_board", "hardware-1", clock(), object(), object())
    for kind in kinds:
        setattr(hal, kind, object())
    return hal


def ids(name, hal):
    return [phase.id for phase in plan_phases(name, hal)]


def test_no_phase_that_was_ever_told_has_changed_its_number():
    known = {number: id for number, (id, kind) in phase_ids().items()}
    for number, id in NUMBERS.items():
        assert known.get(number) == id
    assert len(known) == len(NUMBERS), "a new phase is written down here"


def test_each_phase_has_a_number_and_a_name_of_its_own_that_begins_with_its_device():
    phases = all_phases(hal_with(*OPTIONAL))
    assert len({phase.number for phase in phases}) == len({phase.id for phase in phases}) == len(phases)
    for phase in phases:
        assert phase.id == phase.kind or phase.id.startswith(phase.kind + ".")
        assert phase_ids()[phase.number] == (phase.id, phase.kind)
        assert phase.timeout_ms > 0 and phase.retries >= 0


def test_each_device_has_a_phase_that_needs_nobody():
    phases = all_phases(hal_with(*OPTIONAL))
    for kind in KINDS:
        assert any([phase.kind == kind and phase.level == CH_INTERNAL for phase in phases]), kind


def test_power_on_prints_sounds_and_asks_nothing():
    phases = plan_phases(POWER_ON, hal_with(*OPTIONAL))
    assert len(phases) == 15
    assert all([phase.level == CH_INTERNAL for phase in phases])


def test_the_daily_plan_walks_the_way_to_the_acquirer_and_wastes_no_paper():
    names = ids(DAILY, hal_with(*OPTIONAL))
    assert "network.path" in names and "card_reader.antenna" in names and "printer.print" not in names
    assert all([phase.level <= CH_EXTERNAL for phase in plan_phases(DAILY, hal_with(*OPTIONAL))])
    assert set(ids(POWER_ON, hal_with(*OPTIONAL))) <= set(names)


def test_the_full_plan_is_all_there_is_and_people_come_last():
    hal = hal_with(*OPTIONAL)
    phases = plan_phases(FULL, hal)
    assert [phase.number for phase in phases] == sorted(NUMBERS)
    levels = [phase.level == CH_INTERACTIVE for phase in phases]
    assert levels == sorted(levels) and levels.count(True) == 7


def test_after_reactivation_the_function_tests_are_run():
    assert ids(REACTIVATION, hal_with(*OPTIONAL)) == ["printer.slip", "scanner.code", "card_reader.card"]
    assert ids(REACTIVATION, hal_with("card_reader")) == ["card_reader.card"]
    assert sorted(FUNCTION_TEST_OF.values()) == sorted(FUNCTION_TESTS)
    for id, test in FUNCTION_TEST_OF.items():
        assert TESTS_OF_COMPONENT[phase_named(id, hal_with(*OPTIONAL)).kind] == (test,)


def test_one_device_is_tested_with_all_its_phases():
    hal = hal_with(*OPTIONAL)
    assert ids(DEVICE + "printer", hal) == ["printer", "printer.print", "printer.slip"]
    assert ids(DEVICE + "secure_element", hal) == ["secure_element", "secure_element.keys"]
    assert ids(DEVICE + "firmware", hal) == ["firmware"]


def test_what_is_not_on_the_board_is_in_no_plan():
    hal = hal_with("display")
    for name in PLANS:
        kinds = {phase.kind for phase in plan_phases(name, hal)}
        assert kinds <= {"power", "firmware", "certificate", "storage", "clock", "secure_element", "display"}
    assert "printer.slip" not in [phase.id for phase in all_phases(hal)]
    raises(PlanError, plan_phases, DEVICE + "printer", hal)
    raises(PlanError, phase_named, "printer.slip", hal)


def test_what_there_is_not_is_said_with_what_there_is():
    hal = hal_with("display")
    for name in ("", "weekly", "device", "printer", "POWER_ON"):
        error = raises(PlanError, plan_phases, name, hal)
        assert POWER_ON in str(error) and DEVICE in str(error)
    error = raises(PlanError, plan_phases, DEVICE + "coffee", hal)
    assert "display" in str(error) and "printer" not in str(error)
    assert "display.patterns" in str(raises(PlanError, phase_named, "coffee", hal))


def test_a_phase_is_found_by_its_name_and_by_its_number():
    hal = hal_with(*OPTIONAL)
    for number, id in NUMBERS.items():
        assert phase_named(id, hal).number == number and phase_named(number, hal).id == id


def test_what_is_kept_of_phases_and_plans_has_keys_that_the_store_takes():
    hal = hal_with(*OPTIONAL)
    phases = all_phases(hal)
    keys = [KEY_LAST + phase.id for phase in phases]
    keys += [KEY_RUN + plan for plan in PLANS] + [KEY_RUN + DEVICE + kind for kind in KINDS]
    keys += [PREFIX + phase.id + "." + measure.name for phase in phases for measure in phase.measures]
    assert len(set(keys)) == len(keys)
    for key in keys:
        assert len(key) <= MAX_KEY_BYTES, key
    assert KEPT <= 255


def test_marginal_bands_lie_within_the_limits():
    for phase in all_phases(hal_with(*OPTIONAL)):
        for measure in phase.measures:
            assert measure.cause
            if measure.low is not None and measure.marginal_low is not None:
                assert measure.low < measure.marginal_low
            if measure.high is not None and measure.marginal_high is not None:
                assert measure.marginal_high < measure.high
            assert any([limit is not None for limit in (measure.low, measure.high, measure.marginal_low, measure.marginal_high)])
