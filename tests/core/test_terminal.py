"""The terminal as the agent keeps it: state, messages and what else follows from an event are one write, or nothing."""

import asyncio

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import MAX_LENGTH, key_id, sign
from firmware_agent.messages.schema import MAX_CASE, MAX_NOTE, MAX_REMARK, MAX_UINT, topic
from firmware_agent.state.machine import (
    COMMISSIONING,
    FUNCTION_TESTS,
    IN_SERVICE,
    OUT_OF_ORDER,
    STEP_REASON,
    SUSPENDED,
    TESTS_AFTER_ORDER,
    FunctionTestPassed,
    RecoveryStarted,
    ReviewAnswered,
    Suspended,
)
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, REASON_KINDS, Reason
from firmware_agent.store import StoreError
from firmware_agent.terminal import KEY_HIGHEST, KEY_STATE, KEY_WALL, load_state
from hal.clock import TRUST_FLOOR, TRUST_NONE
from tests.core.parts import NOW_S, Flash, PowerCut
from tests.core.state_parts import APPLYING
from tests.core.support import raises
from tests.core.terminal_parts import ACQUIRER, TERMINAL, boot, provisioned

VIOLATION = Reason("violation", ACTOR_HOST, NOW_S, case="C-1", note="the acquirer's own words")


def new_terminal():
    flash = Flash()
    provisioned(flash)
    return flash, boot(flash)


def serving():
    flash, terminal = new_terminal()
    terminal.apply([FunctionTestPassed(test) for test in FUNCTION_TESTS])
    assert terminal.state.mode == IN_SERVICE
    return flash, terminal


def queued(terminal):
    """(kind, body) of what is in the outbox."""
    messages = [terminal.outbox.message(key) for key in terminal.outbox.waiting()]
    return [(claims.kind.name, claims.body) for claims in messages]


def test_a_state_survives_the_next_boot():
    flash, terminal = serving()
    terminal.apply([Suspended(VIOLATION)])
    again = boot(flash)
    assert again.state.to_list() == terminal.state.to_list()
    assert again.boot_count == 2
    assert queued(again) == queued(terminal)


def test_each_change_of_state_is_told_as_it_became():
    _, terminal = serving()
    before = len(queued(terminal))
    unseen = terminal.changes_seen
    terminal.apply([Suspended(VIOLATION), RecoveryStarted()])
    assert terminal.changes_seen == unseen + 1
    ((kind, body),) = queued(terminal)[before:]
    assert kind == "state" and body["mode"] == "recovering" and body["status"] == "DACT" and body["step"] == STEP_REASON
    assert body["reasons"] == [[6, 0, NOW_S, 0, "", "C-1"]]  # his own words are not told back to him
    assert body["link"] == "online" and body["tests_due"] == list(TESTS_AFTER_ORDER)
    seen = terminal.changes_seen
    terminal.apply([RecoveryStarted()])  # means nothing now
    assert len(queued(terminal)) == before + 1 and terminal.changes_seen == seen


def test_an_application_is_told_with_the_state_that_sent_it():
    _, terminal = serving()
    terminal.apply([Suspended(VIOLATION)] + APPLYING[:-1])
    before = len(queued(terminal))
    terminal.apply(APPLYING[-1:])
    (application, body), (state, _) = queued(terminal)[before:]
    assert (application, state) == ("application", "state")
    assert body["application"] == 1 and body["purpose"] == "reactivation" and body["reasons"][0][0] == 6


def test_state_messages_and_further_changes_are_one_write():
    """Cut off at any byte of it, all three are there at the next boot, or none."""
    flash, terminal = serving()
    files = {name: bytes(data) for name, data in flash.files.items()}
    flash.writes.clear()
    terminal.apply([Suspended(VIOLATION)], [("receipt", receipt())], [(KEY_HIGHEST, encode(9))])
    (length,) = flash.writes
    outcomes = set()
    for keep_bytes in range(0, length + 1):
        cut = Flash(files)
        again = boot(cut)
        waiting = len(queued(again))
        cut.cut(1, keep_bytes)
        raises(PowerCut, again.apply, [Suspended(VIOLATION)], [("receipt", receipt())], [(KEY_HIGHEST, encode(9))])
        cut.power_up()
        woken = boot(cut)
        outcomes.add((woken.state.mode, len(queued(woken)) - waiting, woken.highest))
    assert outcomes == {(IN_SERVICE, 0, 0), (SUSPENDED, 2, 9)}


def receipt():
    return {"of": bytes(16), "result": "SUCC", "sequence": 9, "highest": 9}


def test_what_cannot_be_stored_did_not_happen():
    flash, terminal = serving()
    before = queued(terminal)
    flash.broken = True
    assert raises(StoreError, terminal.apply, [Suspended(VIOLATION)]).code == "medium"
    assert terminal.state.mode == IN_SERVICE
    flash.broken = False
    assert queued(terminal) == before
    terminal.apply([Suspended(VIOLATION)])
    assert terminal.state.mode == SUSPENDED and len(queued(terminal)) == len(before) + 1


def test_what_is_told_is_told_though_the_events_cannot_be_stored():
    flash, terminal = serving()
    before = queued(terminal)
    assert terminal.tell([("event", {"name": "safe_mode"})], [Suspended(VIOLATION)], [("test.x", b"value")])
    assert terminal.state.mode == SUSPENDED and len(queued(terminal)) == len(before) + 2
    flash, terminal = serving()
    before = queued(terminal)
    flash.broken = True
    assert not terminal.tell([("event", {"name": "safe_mode"})], [Suspended(VIOLATION)], [("test.x", b"value")])
    assert terminal.state.mode == IN_SERVICE and terminal.store.get("test.x") == b"value"
    assert queued(terminal) == before + [("event", {"name": "safe_mode"})]
    terminal.send("event", {"name": "sign_on_refused"})
    assert queued(terminal)[-1] == ("event", {"name": "sign_on_refused"})


def test_a_boot_after_rot_is_counted_as_if_each_place_had_cost_a_count():
    flash, terminal = new_terminal()
    count = terminal.boot_count
    (name,) = flash.files
    terminal.send("event", {"name": "signed_on"})
    flash.files[name][-3] ^= 1
    terminal.send("event", {"name": "signed_on"})
    assert boot(flash).boot_count == count + 2


def test_each_boot_counts_before_anything_else():
    flash, _ = new_terminal()
    for number in range(2, 6):
        assert boot(flash).boot_count == number


def test_function_tests_are_those_that_the_devices_allow():
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, tests=("print",))
    assert terminal.state.mode == COMMISSIONING and terminal.state.tests_due == ("print",)
    terminal.apply([FunctionTestPassed("print")])
    assert terminal.state.mode == IN_SERVICE


def test_the_last_time_known_is_the_clocks_floor():
    flash, terminal = new_terminal()
    terminal.store.put(KEY_WALL, encode(NOW_S - 100))
    woken = boot(flash, is_set=False)
    assert woken.hal.clock.trust == TRUST_FLOOR and woken.wall_s == NOW_S - 100


def test_a_terminal_that_wakes_in_1970_tells_no_time():
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, is_set=False)
    assert terminal.hal.clock.trust == TRUST_NONE and terminal.wall_s == 0
    terminal.apply([FunctionTestPassed("print")])
    assert terminal.outbox.message(terminal.outbox.waiting()[-1]).issued_at == 0


def test_a_state_that_cannot_be_read_is_an_error_never_a_guess():
    flash, terminal = new_terminal()
    in_service_with_a_reason = terminal.state.to_list()
    in_service_with_a_reason[0] = IN_SERVICE
    for record in (b"", b"\xff", encode(7), encode([]), encode([1] * 12), encode("twelve chars"), encode(in_service_with_a_reason)):
        terminal.store.put(KEY_STATE, record)
        raises(ValueError, load_state, terminal.store)
    values = terminal.state.to_list()
    values[1] = [[99, "HOST", 0, 0, "", "", ""]]
    terminal.store.put(KEY_STATE, encode(values))
    raises(ValueError, load_state, terminal.store)


def test_a_store_that_rotted_is_reported_at_boot():
    flash, terminal = serving()
    terminal.send("event", {"name": "sign_on_refused", "detail": "to be spoilt"})
    terminal.send("event", {"name": "sign_on_refused", "detail": "behind it"})
    (name,) = flash.names()
    flash.files[name][bytes(flash.files[name]).find(b"to be spoilt")] ^= 1
    woken = boot(flash)
    assert ("event", {"name": "store_damaged", "detail": "1 places"}) in queued(woken)
    assert ("event", {"name": "sign_on_refused", "detail": "behind it"}) in queued(woken)
    assert woken.state.mode == IN_SERVICE


def test_all_reasons_at_once_in_the_longest_words_can_be_kept_and_told():
    """Or an order would be taken that can never be stored or sent, and the broker would bring it again at each connection."""
    _, terminal = new_terminal()
    character = "\U0001f4b3"  # four bytes of UTF-8
    events = [
        Suspended(Reason(kind.code, ACTOR_HOST, MAX_UINT, MAX_UINT, case=character * MAX_CASE, note=character * MAX_NOTE))
        for kind in REASON_KINDS
        if kind.code != "tamper"
    ]
    for component in ("display", "keypad", "printer", "card_reader", "scanner", "network"):
        events.append(Suspended(Reason("hardware_fault", ACTOR_POI, MAX_UINT, component=component, note="a_cause_of_a_driver")))
    for kind in REASON_KINDS:
        if kind.found_by_terminal and kind.code != "tamper":
            events.append(Suspended(Reason(kind.code, ACTOR_POI, MAX_UINT)))
    terminal.apply(events + APPLYING, [("receipt", receipt())])
    terminal.apply([ReviewAnswered(1, "more_needed", character * MAX_REMARK)])
    terminal.apply([Suspended(Reason("tamper", ACTOR_HOST, MAX_UINT, MAX_UINT, case=character * MAX_CASE, note=character * MAX_NOTE))])
    assert terminal.state.mode == OUT_OF_ORDER and len(terminal.state.reasons) == 25
    assert load_state(terminal.store).to_list() == terminal.state.to_list()
    element = terminal.hal.secure_element
    kid = key_id(asyncio.run(element.generate_key(0)))
    lengths = []
    for key in terminal.outbox.waiting():
        claims = terminal.outbox.message(key)
        where = topic(ACQUIRER, TERMINAL, claims.kind.leaf)
        lengths.append(len(asyncio.run(sign(element, 0, kid, encode(claims.to_map()), where))))
    assert max(lengths) <= MAX_LENGTH - 500  # room for a request for credentials


def test_what_is_kept_in_the_store_is_of_the_projects_own_cbor():
    _, terminal = serving()
    assert decode(terminal.store.get(KEY_STATE)) == terminal.state.to_list()
