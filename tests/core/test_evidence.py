"""The evidence log's chain: whole after any power cut, bounded; and what is altered or missing is found."""

from hashlib import sha256

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.records.evidence import (
    ALTERED,
    FIRST_HEAD,
    KEY_ANCHOR,
    KEY_KEPT,
    LINK_BYTES,
    MAX_BYTES,
    MAX_ENTRIES,
    PREFIX,
    RETIRED,
    Evidence,
    walked,
)
from firmware_agent.store import StoreError
from tests.core.evidence_parts import NONE, damage, enter, facts, filled, heads, key, opened
from tests.core.parts import NOW_S, Flash, PowerCut
from tests.core.support import raises

# The chain.


def test_each_head_is_the_hash_of_the_one_before_and_the_entry_and_each_entry_links_to_it():
    store, log = filled(Flash(), 3)
    head = FIRST_HEAD
    for number in (1, 2, 3):
        record = store.get(key(number))
        assert decode(record) == [number, 1, NOW_S, head[:LINK_BYTES], ["test", number]]
        head = sha256(head + record).digest()
    assert (log.number, log.head) == (3, head)
    again = Evidence(opened(Flash(store._storage.files)))
    assert (again.number, again.head, again.damage) == (3, head, None)


def test_what_is_empty_is_whole_and_an_entry_without_facts_is_none():
    store = opened(Flash())
    log = Evidence(store)
    assert (log.number, log.head, log.damage) == (0, FIRST_HEAD, None)
    assert log.changes([], 1, NOW_S) == [] and damage(store) == ""


def test_a_write_that_did_not_happen_moves_nothing():
    flash = Flash()
    store, log = filled(flash, 2)
    head = log.head
    flash.broken = True
    raises(StoreError, store.put_all, log.changes([["test", 3]], 1, NOW_S))
    flash.broken = False
    assert (log.number, log.head) == (2, head)
    enter(store, log, ["test", 3])
    assert damage(store) == "" and log.number == 3


# Bounds.


def test_the_oldest_retire_and_the_chain_goes_on_from_their_anchor():
    store = opened(Flash(), 8192)
    log = Evidence(store)
    head = FIRST_HEAD
    for number in range(1, 3 * MAX_ENTRIES):
        enter(store, log, ["test", number])
        head = sha256(head + store.get(key(number))).digest()
        kept = len(store.keys(PREFIX))
        assert kept <= MAX_ENTRIES and (number < MAX_ENTRIES or kept > MAX_ENTRIES - RETIRED)
        store._storage.writes = []
    assert (log.number, log.head) == (3 * MAX_ENTRIES - 1, head)
    walk, wrong = walked(store, (log.number, head))
    assert (walk.number, walk.head, walk.entries, wrong) == (log.number, head, kept, None)
    assert [fact[1] for fact in facts(store)] == list(range(log.number - kept + 1, log.number + 1))
    again = Evidence(store)
    assert (again.number, again.head) == (log.number, head)


def test_large_entries_retire_by_their_bytes():
    store = opened(Flash())
    log = Evidence(store)
    for _ in range(1, 60):
        enter(store, log, ["test", "x" * 400])
        assert sum([len(store.get(entry)) for entry in store.keys(PREFIX)]) <= MAX_BYTES
        store._storage.writes = []
    assert damage(store) == "" and store.keys(PREFIX)[-1] == key(59) and len(store.keys(PREFIX)) > 10


def test_a_log_that_lost_its_anchor_or_has_another_one_says_so():
    store, log = filled(Flash(), MAX_ENTRIES + 1)
    anchor = store.get(KEY_ANCHOR)
    assert decode(anchor)[0] == RETIRED
    another = encode([RETIRED, bytes(32)])
    for record, found in ((None, "missing at 1"), (b"\xff", "missing at 1"), (another, "altered at %d" % (RETIRED + 1))):
        store.put_all([(KEY_ANCHOR, record)])
        assert damage(store) == found
    store.put(KEY_ANCHOR, anchor)
    assert damage(store) == ""


# Power.


def test_the_power_may_go_while_entries_retire_and_while_the_store_is_written_anew():
    flash = Flash()
    store, log = filled(flash, MAX_ENTRIES)
    files = Flash(flash.files).files
    cuts = 0
    for write in range(1, 400):
        flash = Flash(files)
        store = opened(flash, 4096)  # the next write begins a new segment: everything is copied
        log = Evidence(store)
        flash.cut(write, 5)
        try:
            enter(store, log, ["test", MAX_ENTRIES + 1])
            break
        except PowerCut:
            cuts += 1
        flash.power_up()
        store = opened(flash, 4096)
        number = walked(store, NONE)[0].number
        assert damage(store) == "" and number in (MAX_ENTRIES, MAX_ENTRIES + 1)
        assert (store.get(KEY_ANCHOR) is None) == (number == MAX_ENTRIES)
    assert cuts > 0


def test_what_waited_is_written_in_an_order_that_any_power_cut_leaves_whole():
    flash = Flash()
    store, log = filled(flash, MAX_ENTRIES - 1)
    flash.broken = True
    for number in range(MAX_ENTRIES, MAX_ENTRIES + 4):
        assert not store.keep(log.changes([["test", number]], 1, NOW_S, refused=True))
        log.written()
    flash.broken = False
    held = dict(store._held)
    files = Flash(flash.files).files
    assert len(held) == 1 + RETIRED + 4  # the anchor, what retires, and the new ones
    for write in (1, 2, 3, RETIRED + 1, RETIRED + 2, RETIRED + 3, len(held)):
        store = log = flash = None  # for a small heap
        flash = Flash(files)
        store = opened(flash)
        store._held = dict(held)
        flash.cut(write, 0)
        raises(PowerCut, store.keep, [])
        flash.power_up()
        store = opened(flash)
        log = Evidence(store)
        assert log.damage is None, (write, str(log.damage))
        if write == 2:  # the anchor stands for entries that are still there: they go with the next that retire
            for _ in range(2 * RETIRED):
                enter(store, log, ["test", 0])
            assert damage(store, (log.number, log.head)) == "" and len(store.keys(PREFIX)) <= MAX_ENTRIES


# What is altered or missing.


def test_an_entry_that_is_missing_altered_or_no_entry_is_named():
    store, log = filled(Flash(), 6)
    sound = {number: store.get(key(number)) for number in range(1, 7)}
    other = decode(sound[3])
    other[4] = ["test", 33]
    for number, record, found in (
        (3, None, "missing at 3"),
        (1, None, "missing at 1"),
        (3, encode(other), "altered at 4"),
        (3, sound[4], "altered at 3"),
        (3, b"", "missing at 3"),
        (3, sound[3][:-1], "missing at 3"),
        (3, encode([3, 1, NOW_S, bytes(8)]), "missing at 3"),
        (3, encode([3, 1, NOW_S, bytes(8), []]), "missing at 3"),
        (3, encode([3, 1, NOW_S, bytes(8), ["test", 3]]), "altered at 3"),
    ):
        store.put_all([(key(number), record)])
        assert damage(store) == found, (number, found, damage(store))
        store.put(key(number), sound[number])
        assert damage(store) == ""


def test_an_end_that_was_cut_off_or_replaced_shows_by_what_the_acquirer_keeps():
    store, log = filled(Flash(), 6)
    of = heads(store)
    last = store.get(key(6))
    store.remove(key(6))
    assert damage(store) == "" and damage(store, (5, of[5])) == ""
    assert damage(store, (6, of[6])) == "cut_off at 6"
    store.put(key(6), encode([6, 1, NOW_S, of[5][:LINK_BYTES], ["test", 66]]))
    assert damage(store) == ""
    assert damage(store, (6, of[6])) == "other_head at 6"
    store.put(key(6), last)
    for number in range(1, 7):
        assert damage(store, (number, of[number])) == ""
        assert damage(store, (number, of[number % 6 + 1])) == "other_head at %d" % number


def test_a_head_that_lies_before_the_anchor_is_not_compared():
    store, log = filled(Flash(), MAX_ENTRIES + 1)
    assert damage(store, (RETIRED, bytes(32))) == ""
    assert damage(store, (RETIRED + 1, bytes(32))) == "other_head at %d" % (RETIRED + 1)


def test_any_record_of_the_log_that_rots_is_found():
    flash = Flash()
    store, log = filled(flash, 8)
    store.put(KEY_KEPT, encode([8, log.head]))
    (name,) = flash.names()
    for number in range(1, 9):
        offset = store._index[key(number)][0]
        for at in (0, 12):
            rotten = Flash(flash.files)
            rotten.files[name][offset + at] ^= 0x10
            found = Evidence(opened(rotten)).damage
            assert str(found) == ("cut_off at 8" if number == 8 else "missing at %d" % number)


def test_what_rots_while_the_terminal_runs_gives_no_number_twice():
    store, log = filled(Flash(), 4)
    store.remove(key(4))
    assert str(log.verify()) == "missing at 4"
    enter(store, log, log.damage.fact())
    assert log.number == 5 and damage(store) == ""
    assert log.verify() is None and str(log.damage) == "missing at 4"  # until the next boot
    for _ in range(3):
        enter(store, log, ["test", 0])
    store.put_all([(key(number), None) for number in (6, 7, 8)])
    assert str(log.verify()) == "missing at 6"
    enter(store, log, log.damage.fact())
    assert log.number == 9 and damage(store) == ""


def test_a_log_that_was_written_anew_does_not_fit_to_what_the_terminal_knows_to_be_kept():
    """Whoever writes the flash can make a chain that is whole in itself: not one with the head that the acquirer keeps."""
    store, log = filled(Flash(), 5)
    store.put(KEY_KEPT, encode([4, log.head]))
    forged, _ = filled(Flash(), 0)
    other = Evidence(forged)
    for number in range(1, 6):
        enter(forged, other, ["test", -number])
    for number in range(1, 6):
        store.put(key(number), forged.get(key(number)))
    assert str(Evidence(store).damage) == "other_head at 4" and ALTERED not in damage(store)
