"""Which program a start runs: a newer one stays after a good start, and gives way when there is none; a power cut switches or does not."""

from firmware_agent.boot.slots import FELL_BACK, INSTALLED, MOST_STARTS, NAME, SLOTS, Slots, slot_of
from tests.core.parts import Flash, PowerCut
from tests.core.support import raises

A, B = SLOTS


def started(flash):
    """The slot that the next start runs."""
    return Slots(flash).begin()


def good(flash, running):
    """The start came to its good end: what became of the trial."""
    slots = Slots(flash)
    outcome = slots.outcome(running)
    slots.settle(running)
    return outcome


def test_without_a_newer_one_the_factorys_program_runs():
    flash = Flash()
    assert started(flash) == "" and good(flash, "") == "" and flash.files == {}


def test_a_newer_one_that_starts_well_stays():
    flash = Flash()
    Slots(flash).give_trial(A)
    assert started(flash) == A and good(flash, A) == INSTALLED
    for _ in range(5):
        assert started(flash) == A and good(flash, A) == ""


def test_one_that_does_not_start_gives_way_to_the_one_before_it():
    for before in ("", A):
        flash = Flash()
        if before:
            Slots(flash).give_trial(before)
            assert started(flash) == before and good(flash, before) == INSTALLED
        slot = B if before else A
        Slots(flash).give_trial(slot)
        for _ in range(MOST_STARTS):
            assert started(flash) == slot
        assert started(flash) == before and good(flash, before) == FELL_BACK
        assert started(flash) == before and good(flash, before) == ""  # told once
        Slots(flash).give_trial(slot)  # mended, it may be tried again
        assert started(flash) == slot and good(flash, slot) == INSTALLED


def test_the_last_start_that_it_has_may_be_the_good_one():
    flash = Flash()
    Slots(flash).give_trial(A)
    for _ in range(MOST_STARTS - 1):
        assert started(flash) == A
    assert started(flash) == A and good(flash, A) == INSTALLED and started(flash) == A


def test_a_trial_that_is_not_over_is_not_told_of():
    flash = Flash()
    Slots(flash).give_trial(A)
    assert good(flash, "") == ""  # the start that gave it goes on
    assert started(flash) == A


def test_a_start_that_cannot_be_counted_runs_the_program_before_it():
    class Refusing(Flash):
        def append(self, name, data):
            raise OSError(28)

    flash = Flash()
    Slots(flash).give_trial(A)
    assert started(Refusing(flash.files)) == ""


def test_a_power_cut_in_any_record_leaves_it_whole_or_not_there():
    for keep_bytes in range(9):
        flash = Flash()
        Slots(flash).give_trial(A)
        assert started(flash) == A and good(flash, A) == INSTALLED
        flash.cut(1, keep_bytes)
        raises(PowerCut, Slots(flash).give_trial, B)
        flash.power_up()
        assert started(flash) == (B if keep_bytes == 8 else A)
        Slots(flash).give_trial(B)  # behind what the cut left
        assert started(flash) == B
        flash.cut(1, keep_bytes)
        raises(PowerCut, good, flash, B)
        flash.power_up()
        assert started(flash) == B and good(flash, B) == ("" if keep_bytes == 8 else INSTALLED)


def test_what_rotted_is_no_record():
    flash = Flash()
    Slots(flash).give_trial(A)
    for offset in range(8):
        for bit in (1, 128):
            flash.files[NAME][offset] ^= bit
            assert Slots(flash).trial == ""
            flash.files[NAME][offset] ^= bit
    assert Slots(flash).trial == A
    flash.files[NAME].extend(bytes(range(20)))
    assert Slots(flash).trial == A


def test_a_slot_is_known_by_its_folder():
    for root, slot in (("./slot_a", A), ("/x/slot_b", B), ("slot_a", A), (".", ""), ("/device", ""), ("/slot_a/device", "")):
        assert slot_of(root) == slot
