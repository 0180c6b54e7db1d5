"""Screen prompts and deciding keys in the evidence log (domain C3): with what they decide, bounded, and cheap for the flash."""

import asyncio

from firmware_agent.flows.ui import Ui
from firmware_agent.records.evidence import BROKEN, PREFIX
from firmware_agent.records.prompts import ANSWERED, MOST, SHOWN, WAIT_MS, Prompts
from firmware_agent.screens.page import Page
from firmware_agent.state.machine import RecoveryPaused, RecoveryStarted, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from firmware_agent.store import StoreError
from hal.hal import Hal
from tests.core.evidence_parts import damage, facts, facts_of
from tests.core.parts import NOW_S, Time, clock
from tests.core.records_parts import Shop
from tests.core.selftest_parts import serving_flash
from tests.core.support import raises
from tests.core.terminal_parts import boot

SUSPENDED = Suspended(Reason("violation", ACTOR_HOST, NOW_S))


def test_the_page_and_the_key_are_in_the_entry_of_what_they_decide():
    terminal = boot(serving_flash(), Time())
    terminal.apply([SUSPENDED])
    number = terminal.evidence.number
    terminal.note_prompt("suspended")
    terminal.note_prompt("suspended")  # drawn again
    assert terminal.evidence.number == number  # no entry of its own
    terminal.note_prompt("suspended", "1")
    terminal.apply([RecoveryStarted()])
    assert terminal.evidence.number == number + 1
    assert facts(terminal.store)[-2:] == [
        [ANSWERED, "suspended", "1", 1],
        ["state", ["RecoveryStarted"], "recovering", "reason", ["violation"], ["print", "scan", "pay"]],
    ]


def test_what_nobody_answered_is_entered_after_a_minute():
    time = Time()
    terminal = boot(serving_flash(), time)
    number = terminal.evidence.number
    terminal.note_prompt("notice")
    terminal.watch_evidence()
    assert terminal.evidence.number == number
    time.now_ms += WAIT_MS
    terminal.watch_evidence()
    terminal.watch_evidence()
    assert facts(terminal.store)[-1] == [SHOWN, "notice", 1] and terminal.evidence.number == number + 1


def test_pages_that_decide_nothing_are_no_facts():
    prompts = Prompts()
    for page in ("idle", "menu", "pin", "results", "selftest", "records.log"):
        prompts.shown(page, 0)
        prompts.answered(page, "1", 0)
    assert prompts.take() == []


def test_who_turns_pages_back_and_forth_pushes_nothing_out_of_the_log():
    prompts = Prompts()
    noted = []
    for _ in range(1000):
        for page in ("suspended", "recovery.reason"):
            prompts.shown(page, 0)
            prompts.answered(page, "cancel", 0)
        noted.extend(prompts.take())
    assert [fact[3] for fact in noted if fact[1] == "suspended"] == [1 << power for power in range(10)]
    assert len(noted) == 20
    prompts.count_anew()  # the next suspension is told from its beginning
    prompts.shown("suspended", 0)
    assert prompts.take() == [[SHOWN, "suspended", 1]]


def test_memory_holds_a_bounded_number():
    prompts = Prompts()
    for number in range(100):
        prompts.shown("recovery.%d" % number, 0)
    assert prompts.are_due(0)
    kept = prompts.take()
    assert len(kept) == MOST and kept[-1] == [SHOWN, "recovery.99", 1]


def test_what_could_not_be_written_is_noted_with_the_next_entry_and_once():
    flash = serving_flash()
    terminal = boot(flash, Time())
    terminal.apply([SUSPENDED])
    terminal.note_prompt("suspended")
    terminal.note_prompt("suspended", "1")
    flash.broken = True
    raises(StoreError, terminal.apply, [RecoveryStarted()])
    flash.broken = False
    terminal.apply([RecoveryStarted()])
    terminal.apply([RecoveryPaused()])
    assert facts_of(terminal.store, ANSWERED) == [["suspended", "1", 1]]


def test_damage_stays_the_first_fact_of_its_entry():
    terminal = boot(serving_flash(), Time())
    for _ in range(3):
        terminal.send("test", {"name": "print", "outcome": "pass"})
    terminal.store.remove(terminal.store.keys(PREFIX)[-2])
    terminal.note_prompt("notice")
    terminal.tell_damage(terminal.evidence.verify())
    assert damage(terminal.store) == "" and len(facts_of(terminal.store, BROKEN)) == 1
    terminal.send("test", {"name": "print", "outcome": "pass"})
    assert facts_of(terminal.store, SHOWN) == [["notice", 1]]


class Keypad:
    """Presses these keys, one after the other."""

    enabled = True

    def __init__(self, keys):
        self.keys = list(keys)

    async def read(self, timeout_ms):
        return self.keys.pop(0) if self.keys else None


class Display:
    """Any page fits."""

    enabled = True
    width_px, height_px = 320, 240

    def fill(self, colour):
        pass

    def draw_bitmap(self, *values):
        pass


def noted(keys, page, further=(), display=None):
    """What a person's keys on a page lead to."""
    told = []
    hal = Hal("test_board", "hardware-1", clock(), None, None)
    hal.keypad, hal.display = Keypad(keys), display or Display()
    ui = Ui(hal, None, told.append, lambda name, key: told.append((name, key)))
    asyncio.run(ui.ask(page, lambda: not hal.keypad.keys, further))
    return told


def test_choices_and_going_back_are_noted_and_what_is_typed_is_not():
    page = Page("recovery.reason", "", [], [("1", "Continue")])
    assert noted(["5", "1"], page) == [("recovery.reason", ""), ("recovery.reason", "1")]
    assert noted(["cancel"], page, ("cancel",)) == [("recovery.reason", ""), ("recovery.reason", "cancel")]
    typing = Page("recovery.contact_phone", "")
    for key in ("1", "9", "enter", "clear"):
        assert noted([key], typing, ("1", "9", "enter", "clear")) == [("recovery.contact_phone", "")]


# What it costs.


def written(pages):
    flash = serving_flash()
    terminal = boot(flash, Time())
    flash.writes = []
    Shop(terminal, pages).recover()
    return sum(flash.writes), len(flash.writes), len(facts(terminal.store))


def test_the_prompts_of_a_whole_recovery_cost_no_write_and_little_flash():
    """The numbers are those of docs/evidence.md."""
    size, writes, _ = written(False)
    with_pages, writes_with_pages, _ = written(True)
    assert writes_with_pages == writes
    assert with_pages - size < 700 and with_pages < 5200, (size, with_pages, writes)


def test_a_power_cut_takes_what_nobody_answered_and_nothing_else():
    flash = serving_flash()
    terminal = boot(flash, Time())
    shop = Shop(terminal)
    shop.suspend()
    shop.show("suspended", "1")
    terminal.apply([RecoveryStarted()])
    terminal.note_prompt("recovery.reason")
    woken = boot(flash, Time())
    assert facts_of(woken.store, ANSWERED) == [["suspended", "1", 1]] and facts_of(woken.store, SHOWN) == []
    assert damage(woken.store) == "" and woken.evidence.damage is None
