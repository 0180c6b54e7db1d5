"""The probation: which things are told of without being asked, how they are counted, and what is said at the end."""

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.events import PREFIX as EVENTS
from firmware_agent.prevention.probation import (
    KEY_COUNTS,
    KEY_OVER,
    NETWORK,
    OUTAGE_MS,
    RESTART,
    SELF_TEST,
    SIGN_IN,
    Outages,
    counts_of,
    note,
    noted,
    read,
    summary,
    watch,
)
from firmware_agent.state.machine import IN_SERVICE, PROBATION
from firmware_agent.terminal import KEY_STATE
from hal.device import HEALTH_SUCCESS, Health
from tests.core.parts import NOW_S, Flash, Time
from tests.core.selftest_parts import World
from tests.core.terminal_parts import boot, provisioned

UNTIL = NOW_S + 3600


def terminal_in(mode, until=UNTIL, is_set=True):
    """A terminal on its own flash, in that mode."""
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, tests=())
    state = terminal.state.copy()
    state.mode, state.tests_due = mode, ()
    if mode == PROBATION:
        state.probation_s, state.probation_until = 3600, until
    terminal.store.put(KEY_STATE, encode(state.to_list()))
    return boot(flash, Time(), is_set, tests=())


def told(terminal):
    """(name, detail) of what is told at once, then of what waits."""
    messages = [terminal.outbox.message(key) for key in terminal.outbox.waiting()]
    waiting = [decode(terminal.store.get(key)) for key in terminal.store.keys(EVENTS)]
    at_once = [(message.text("name"), message.text("detail")) for message in messages if message.kind.name == "event"]
    return at_once + [(event[0], event[1]) for event in waiting]


def test_each_anomaly_is_told_and_counted_while_the_probation_lasts():
    terminal = terminal_in(PROBATION)
    note(terminal, RESTART, "boot 12")
    note(terminal, SIGN_IN, "96")
    note(terminal, NETWORK)
    messages, changes = noted(terminal, SELF_TEST, ["printer cutter_jam", "keypad bounce"])
    terminal.tell(messages, changes=changes)
    anomalies = ["restart boot 12", "sign_in 96", "network", "self_test printer cutter_jam", "self_test keypad bounce"]
    assert told(terminal) == [("anomaly", detail) for detail in anomalies]
    assert counts_of(terminal) == [2, 1, 1, 1]


def test_what_a_self_test_finds_in_a_probation_is_told_with_its_report():
    world = World()
    world.parts["keypad"].found = Health(HEALTH_SUCCESS, "keypad", "bounce")
    for mode, anomalies in ((IN_SERVICE, []), (PROBATION, [("anomaly", "self_test keypad bounce")])):
        world.terminal.state.mode = mode
        world.run(["keypad"])
        assert [event for event in told(world.terminal) if event[0] == "anomaly"] == anomalies
    assert counts_of(world.terminal) == [1, 0, 0, 0]


def test_outside_of_a_probation_nothing_is_an_anomaly():
    terminal = terminal_in(IN_SERVICE)
    note(terminal, RESTART, "boot 12")
    assert noted(terminal, SELF_TEST, ["printer cutter_jam"]) == ([], [])
    assert told(terminal) == [] and terminal.store.get(KEY_COUNTS) is None


def test_at_its_end_it_is_summed_up_until_somebody_has_read_it():
    terminal = terminal_in(PROBATION, UNTIL)
    note(terminal, RESTART, "boot 12")
    watch(terminal)
    assert terminal.state.mode == PROBATION and summary(terminal) is None
    terminal.hal.clock.set_wall(UNTIL)
    watch(terminal)
    assert terminal.state.mode == IN_SERVICE
    assert told(terminal)[-1] == ("probation_over", "self_test 0, sign_in 0, restart 1, network 0")
    assert summary(terminal) == [0, 0, 1, 0] and terminal.store.get(KEY_COUNTS) is None
    read(terminal)
    assert summary(terminal) is None


def test_a_probation_without_the_time_of_day_ends_when_it_is_known():
    terminal = terminal_in(PROBATION, 0, is_set=False)
    note(terminal, RESTART, "boot 1")
    watch(terminal)
    assert terminal.state.mode == PROBATION and terminal.state.probation_until == 0
    terminal.hal.clock.set_wall(NOW_S)
    watch(terminal)
    assert terminal.state.probation_until == NOW_S + 3600
    assert counts_of(terminal) == [0, 0, 1, 0]


def test_the_anomalies_of_another_probation_do_not_count():
    terminal = terminal_in(PROBATION)
    terminal.store.put(KEY_COUNTS, encode([UNTIL - 999999, [5, 5, 5, 5]]))
    assert counts_of(terminal) == [0, 0, 0, 0]
    for rotten in (b"\xff", encode(7), encode([0, ["x"]]), encode([0, 7])):
        terminal.store.put(KEY_COUNTS, rotten)
        assert counts_of(terminal) == [0, 0, 0, 0]
    for rotten in (b"\xff", encode(7), encode(["x"])):
        terminal.store.put(KEY_OVER, rotten)
        assert summary(terminal) == [0, 0, 0, 0]


def test_a_lost_network_is_an_anomaly_once_after_ten_minutes():
    outages = Outages()
    assert not outages.look(False, 5)
    assert not outages.look(False, OUTAGE_MS)
    assert outages.look(False, OUTAGE_MS + 5)
    assert not outages.look(False, 3 * OUTAGE_MS)
    assert not outages.look(True, 3 * OUTAGE_MS + 1)
    assert not outages.look(False, 3 * OUTAGE_MS + 2)
    assert not outages.look(True, 3 * OUTAGE_MS + OUTAGE_MS)  # back in time
    assert not outages.look(False, 4 * OUTAGE_MS + 1)
