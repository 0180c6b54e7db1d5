"""The evidence log of a terminal: in one write with what it tells of; damage is told and stays visible; the acquirer keeps its head."""

import asyncio

from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.orders import OrderError, effect_of
from firmware_agent.records.evidence import (
    AUDIT_ENTRIES,
    AUDIT_MS,
    BROKEN,
    CUT_OFF,
    MAX_HELD,
    MAX_NUMBER,
    MISSING,
    OTHER_HEAD,
    PREFIX,
    UNKEPT,
    Evidence,
    entries,
    of_acceptance,
    walked,
)
from firmware_agent.selftest.checks import check_storage
from firmware_agent.selftest.subject import Subject
from firmware_agent.state.machine import IN_SERVICE, SUSPENDED, Lifted, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from firmware_agent.store import StoreError
from firmware_agent.terminal import load_state
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from tests.core.evidence_parts import NONE, damage, enter, events, facts, facts_of, filled, key, opened
from tests.core.parts import NOW_S, Flash, PowerCut, Time
from tests.core.selftest_parts import serving_flash
from tests.core.support import raises
from tests.core.terminal_parts import TERMINAL, boot

BEFORE = 2  # states in the log of a terminal that has just been put in service: its first start, and its function tests
VIOLATION = Reason("violation", ACTOR_HOST, NOW_S, case="C-1")


# What is in it.


def test_an_entry_tells_of_state_events_and_messages_in_one():
    terminal = boot(serving_flash(), Time())
    claims = Claims(kind_named("order"), TERMINAL, 7, {"action": "suspend", "reason": "violation", "case": "C-1", "note": "words"}, "acq1")
    accepted = of_acceptance(claims, b"digest")
    terminal.apply([Suspended(VIOLATION)], [("event", {"name": "safe_mode", "detail": "why"})], facts=[accepted])
    last = list(entries(terminal.store))[-1]
    assert (last.boot_count, last.wall_s) == (terminal.boot_count, NOW_S)
    assert last.facts == [
        ["accepted", "order", 7, b"digest", "suspend", "violation", "C-1"],
        ["event", "safe_mode", "why", 1],
        ["state", ["Suspended"], SUSPENDED, "", ["violation"], ["print", "scan", "pay"]],
    ]
    number = terminal.evidence.number
    terminal.send("state", terminal.state_body())  # told again: nothing new
    terminal.send("receipt", {"of": b"0" * 16, "result": "SUCC", "highest": 7})
    assert terminal.evidence.number == number
    terminal.send("test", {"name": "print", "outcome": "fail", "cause": "paper_out"})
    report = {"plan": "daily", "results": [[10, 1, 20, 40, 3, "x"], [9, 0, 3]], "mode": SUSPENDED, "firmware": "1", "element": True}
    terminal.send("report", report)
    assert facts(terminal.store)[-2:] == [["test", "print", "fail", "paper_out"], ["report", "daily", "1", [[10, 1, 40]]]]


def test_what_changes_nothing_is_no_fact():
    for kind, body in (("answer", {"nonce": b"12345678"}), ("audited", {"count": 1, "head": bytes(32)})):
        assert of_acceptance(Claims(kind_named(kind), TERMINAL, 7, body, "acq1"), b"digest") is None


def test_what_anybody_can_repeat_does_not_push_out_what_counts():
    terminal = boot(serving_flash(), Time(), segment_bytes=8192)
    terminal.apply([Suspended(VIOLATION)])
    before = terminal.evidence.number
    for number in range(1000):
        terminal.send("receipt", {"of": b"%016d" % number, "result": "UKRF", "refusal": "unknown_key", "highest": 0})
        terminal.outbox.discard(terminal.outbox.waiting()[-1])
        terminal.store._storage.writes = []
    refused = facts_of(terminal.store, "refused")
    assert [fact[1] for fact in refused] == [1 << power for power in range(10)]
    assert refused[-1] == ["unknown_key", 512, b"%016d" % 511]
    assert terminal.evidence.number == before + 10
    assert facts_of(terminal.store, "state")[-1][1] == SUSPENDED


def test_each_sign_on_counts_and_of_refused_ones_the_sum():
    terminal = boot(serving_flash(), Time())
    for _ in range(5):
        terminal.send("event", {"name": "signed_on", "detail": "PIN"})
        terminal.send("event", {"name": "sign_on_refused", "detail": "badge, revoked"})
    told = facts_of(terminal.store, "event")
    assert told.count(["signed_on", "PIN", 1]) == 5
    assert [fact for fact in told if fact[0] == "sign_on_refused"] == [["sign_on_refused", "badge, revoked", count] for count in (1, 2, 4)]


# Power.


def script(terminal):
    """What a terminal goes through; each step one write or more."""
    terminal.apply([Suspended(VIOLATION)], facts=[["accepted", "order", 1, b"digest"]])
    terminal.send("test", {"name": "print", "outcome": "pass"})
    terminal.apply([Lifted("violation")], [("event", {"name": "safe_mode", "detail": "one"})])


def assert_agrees(flash):
    """State, messages and log of a terminal that wakes with this flash: each has the other."""
    store = opened(flash)
    assert damage(store) == "", damage(store)
    states = facts_of(store, "state")
    assert states[-1][1] == load_state(store).mode
    assert len(facts_of(store, "accepted")) == (1 if len(states) > BEFORE else 0)
    terminal = boot(flash)
    kinds = [terminal.outbox.message(key).kind.name for key in terminal.outbox.waiting()]
    assert kinds.count("test") == len(facts_of(terminal.store, "test"))
    assert kinds.count("event") == len(facts_of(terminal.store, "event"))
    assert kinds.count("state") == len(states) - BEFORE
    assert terminal.evidence.damage is None and damage(terminal.store) == ""
    return len(states)


def test_the_power_may_go_at_any_write_and_in_its_middle_and_state_and_log_agree():
    files = serving_flash().files
    flash = Flash(files)
    terminal = boot(flash)
    flash.writes = []
    script(terminal)
    lengths = flash.writes
    assert len(lengths) == 3
    seen = []
    for write, length in enumerate(lengths):
        for keep in (0, 1, 7, length // 2, length - 1, length):
            flash = Flash(files)
            terminal = boot(flash)
            flash.cut(write + 1, keep)
            raises(PowerCut, script, terminal)
            flash.power_up()
            seen.append(assert_agrees(flash))
    assert min(seen) == BEFORE and max(seen) == BEFORE + 2


# What a terminal makes of it.


def damaged_flash():
    """Of a terminal in service whose second last entry is gone."""
    flash = serving_flash()
    terminal = boot(flash)
    for _ in range(3):
        terminal.send("test", {"name": "print", "outcome": "pass"})
    terminal.store.remove(terminal.store.keys(PREFIX)[-2])
    return flash


def test_damage_is_told_once_and_the_log_goes_on_behind_it():
    flash = damaged_flash()
    terminal = boot(flash)
    said = str(terminal.evidence.damage)
    assert said.startswith(MISSING) and terminal.state.mode == IN_SERVICE
    assert events(terminal) == [("evidence_damaged", said)]
    assert "evidence log damaged: " + said in terminal.lines
    assert facts_of(terminal.store, BROKEN) == [[MISSING, terminal.evidence.damage.number]]
    again = boot(flash)
    assert again.evidence.damage is None and len(events(again)) == 1
    again.store.remove(again.store.keys(PREFIX)[0])
    third = boot(flash)
    assert str(third.evidence.damage) == "missing at 1" and len(events(third)) == 2


def test_the_power_may_go_while_damage_is_told_and_it_is_told_once():
    files = damaged_flash().files
    for write in range(1, 9):
        for keep in (0, 30):
            flash = Flash(files)
            flash.cut(write, keep)
            try:
                boot(flash)
            except PowerCut:
                pass
            flash.power_up()
            terminal = boot(flash)
            assert len(events(terminal)) == 1 and len(facts_of(terminal.store, BROKEN)) == 1


def test_the_storage_check_names_a_damaged_log_and_suspends_nothing():
    class Medium:
        async def check_health(self):
            return Health(HEALTH_SUCCESS, "storage", measurements={})

    terminal = boot(damaged_flash())
    terminal.hal.storage = Medium()
    health = asyncio.run(check_storage(Subject(terminal.hal, terminal)))
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "log_damaged") and health.detail.startswith(MISSING)
    terminal = boot(terminal.store._storage)
    terminal.hal.storage = Medium()
    assert asyncio.run(check_storage(Subject(terminal.hal, terminal))).outcome == HEALTH_SUCCESS
    terminal.store.remove(terminal.store.keys(PREFIX)[1])  # while it runs
    assert asyncio.run(check_storage(Subject(terminal.hal, terminal))).cause == "log_damaged"
    assert len(events(terminal)) == 2 and damage(terminal.store) == ""


# A storage that refuses.


def test_what_the_store_refuses_waits_in_memory_with_its_entries_and_what_did_not_happen_has_none():
    flash = serving_flash()
    terminal = boot(flash)
    before = terminal.evidence.number
    flash.broken = True
    raises(StoreError, terminal.apply, [Suspended(VIOLATION)])
    assert terminal.evidence.number == before
    assert not terminal.tell([("test", {"name": "print", "outcome": "pass"})], [Suspended(VIOLATION)])
    assert terminal.evidence.number == before + 1 and facts(terminal.store)[-1] == ["test", "print", "pass", ""]
    assert terminal.evidence.audit(0) is None  # only what is written is given away
    flash.broken = False
    terminal.apply([Suspended(VIOLATION)])
    store = opened(flash)
    assert damage(store) == "" and walked(store, NONE)[0].number == before + 2
    assert [fact[0] for fact in facts(store)[-2:]] == ["test", "state"]


def test_a_power_cut_takes_what_waited_and_leaves_a_whole_log():
    flash = serving_flash()
    terminal = boot(flash)
    before = terminal.evidence.number
    flash.broken = True
    terminal.send("test", {"name": "print", "outcome": "pass"})
    flash.broken = False
    woken = boot(flash)
    assert woken.evidence.number == before and woken.evidence.damage is None


def test_memory_holds_a_bounded_number_and_what_it_had_no_room_for_is_counted():
    flash = serving_flash()
    terminal = boot(flash)
    flash.broken = True
    for _ in range(MAX_HELD + 5):
        terminal.send("test", {"name": "print", "outcome": "pass"})
    assert len([name for name in terminal.store.keys(PREFIX) if terminal.store.is_held(name)]) == MAX_HELD
    flash.broken = False
    terminal.apply([Suspended(VIOLATION)])
    assert facts(terminal.store)[-1] == [UNKEPT, 5] and damage(terminal.store) == ""
    terminal.apply([Lifted("violation")])
    assert facts_of(terminal.store, UNKEPT) == [[5]]
    assert boot(flash).evidence.damage is None


# The acquirer.


def answered(terminal, count, head):
    """An `audited` of the acquirer's takes effect, as the agent does it; gives the effect."""
    claims = Claims(kind_named("audited"), TERMINAL, 9, {"count": count, "head": head}, "acq1")
    effect = asyncio.run(effect_of(terminal, claims))
    terminal.apply(effect.events, effect.messages, effect.changes, facts=effect.facts)
    return effect


def test_an_audit_is_due_at_first_and_then_after_sixteen_entries_or_an_hour():
    store, log = filled(Flash(), 3)
    assert log.audit(1000) == {"count": 3, "head": log.head}
    assert log.audit(1000 + AUDIT_MS) is None  # nothing new
    enter(store, log, ["test", 4])
    assert log.audit(999 + AUDIT_MS) is None
    assert log.audit(1000 + AUDIT_MS)["count"] == 4
    for _ in range(AUDIT_ENTRIES - 1):
        enter(store, log, ["test", 0])
        assert log.audit(1001 + AUDIT_MS) is None
    enter(store, log, ["test", 0])
    assert log.audit(1001 + AUDIT_MS)["count"] == 4 + AUDIT_ENTRIES
    assert Evidence(opened(Flash())).audit(0) is None  # nothing at all


def test_what_the_acquirer_keeps_is_kept_and_not_audited_again_and_the_next_audit_names_it():
    terminal = boot(serving_flash())
    log = terminal.evidence
    body = log.audit(0)
    effect = answered(terminal, body["count"], body["head"])
    assert effect.messages == [] and effect.facts == [] and log.kept == (log.number, log.head)
    woken = boot(terminal.store._storage).evidence
    assert woken.audit(0) is None
    terminal.send("test", {"name": "print", "outcome": "pass"})
    assert log.audit(AUDIT_MS) == {"count": log.number, "head": log.head, "kept": body["head"]}


def test_an_answer_that_was_lost_is_made_up_for_at_once():
    """The acquirer keeps a later head than the terminal knows: it is in the log, so the next audit goes on from it."""
    terminal = boot(serving_flash())
    log = terminal.evidence
    lost = log.audit(0)
    woken = boot(terminal.store._storage)
    woken.send("test", {"name": "print", "outcome": "pass"})
    assert "kept" not in woken.evidence.audit(0)
    effect = answered(woken, lost["count"], lost["head"])
    assert effect.messages == [] and woken.evidence.damage is None
    assert woken.evidence.audit(1)["kept"] == lost["head"]
    answered(woken, lost["count"], lost["head"])  # an acquirer that only ever says this is not asked on and on
    assert woken.evidence.audit(2) is None


def test_a_log_that_was_rolled_back_is_found_by_what_the_acquirer_keeps_and_never_sealed_as_whole():
    for more in (0, 5):  # in the copy, or since: fewer entries than the acquirer keeps, or as many and others
        flash = serving_flash()
        copy = Flash(flash.files)
        terminal = boot(flash)
        for _ in range(3):
            terminal.send("test", {"name": "print", "outcome": "pass"})
        kept = (terminal.evidence.number, terminal.evidence.head)
        rolled = boot(copy)
        for _ in range(more):
            rolled.send("test", {"name": "print", "outcome": "fail", "cause": "paper_out"})
        assert rolled.evidence.damage is None
        rolled.evidence.audit(0)
        answered(rolled, kept[0], kept[1])
        code = CUT_OFF if more == 0 else OTHER_HEAD
        assert str(rolled.evidence.damage) == "%s at %d" % (code, kept[0])
        assert events(rolled)[-1] == ("evidence_damaged", "%s at %d" % (code, kept[0]))
        assert facts_of(rolled.store, BROKEN) == [[code, kept[0]]]
        assert rolled.evidence.number > kept[0] and rolled.evidence.kept == kept
        assert boot(Flash(copy.files)).evidence.damage is None  # what is told once is not found again
        audit = rolled.evidence.audit(1)
        assert audit["kept"] == kept[1] and audit["count"] == rolled.evidence.number
        answered(rolled, audit["count"], audit["head"])
        assert len(facts_of(rolled.store, BROKEN)) == 1
        assert boot(copy).evidence.damage is None


def test_what_can_be_no_head_of_an_entry_is_refused():
    terminal = boot(serving_flash())
    for count, head in ((0, bytes(32)), (1, bytes(31)), (1, b""), (MAX_NUMBER // 2 + 1, bytes(32))):
        assert raises(OrderError, answered, terminal, count, head).code == "unknown_action"
    assert terminal.evidence.kept == NONE and terminal.evidence.damage is None


# What it costs.


def test_an_entry_adds_little_to_the_write_of_a_change_of_state():
    flash = serving_flash()
    terminal = boot(flash)
    flash.writes = []
    receipt = {"of": bytes(16), "result": "SUCC", "highest": 1}
    terminal.apply([Suspended(VIOLATION)], [("receipt", receipt)], facts=[["accepted", "order", 1, bytes(16)]])
    (written,) = flash.writes
    entry = len(terminal.store.get(key(terminal.evidence.number))) + len(key(1)) + 3
    assert entry < 160 and 3 * entry < 2 * written
