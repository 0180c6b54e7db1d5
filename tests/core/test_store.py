"""The store: cut off at any byte of any write it holds the old value or the new one; what cannot be read is said, never removed."""

import struct
from binascii import crc32

from firmware_agent.store import FULL, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, NOT_WRITABLE, Store, StoreError
from hal.errors import E_FAILURE, DeviceError
from tests.core.parts import Flash, PowerCut
from tests.core.support import raises

SEGMENT_BYTES = 160  # so that the script below is compacted more than once
KEYS = ("a", "b", "c", "longer.key")
SCRIPT = (
    [("a", b"1")],
    [("b", b"first of b"), ("c", b"")],
    [("a", b"2"), ("longer.key", bytes(40))],
    [("b", None)],
    [("a", b"3"), ("b", b"second of b"), ("c", None)],
    [("a", b"3")],
    [("longer.key", b"short")],
    [("a", b"4"), ("c", b"back"), ("longer.key", None)],
    [("c", bytes(range(30)))],
    [("a", None), ("c", None)],
    [("b", b"third of b")],
    [("a", b"last"), ("c", b"last"), ("longer.key", b"last")],
)


def opened(flash, segment_bytes=SEGMENT_BYTES):
    store = Store(flash, segment_bytes)
    store.open()
    return store


def content(store):
    return {key: store.get(key) for key in store.keys()}


def models():
    """What the store holds before the first step of the script, and after each."""
    model = {}
    held = [{}]
    for changes in SCRIPT:
        for key, value in changes:
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
        held.append(dict(model))
    return held


HELD = models()


def run_script(flash):
    """How many steps were done when the power went; all of them when it did not."""
    done = 0
    try:
        store = opened(flash)
        for changes in SCRIPT:
            store.put_all(changes)
            done += 1
    except PowerCut:
        pass
    return done


def places(lengths):
    """Every write by its number from 1, with the bytes to keep of it: none, the frame's edges, the middle, all but one, all."""
    for number, length in enumerate(lengths):
        for keep_bytes in sorted({0, min(1, length), min(6, length), min(7, length), length // 2, max(0, length - 1), max(1, length)}):
            yield number + 1, keep_bytes


def frame(body, offset):
    return struct.pack(">HI", len(body), crc32(body, offset) & 0xFFFFFFFF) + body


def code_of(call, *arguments):
    return raises(StoreError, call, *arguments).code


def test_what_was_put_is_there_after_opening_again():
    flash = Flash()
    assert run_script(flash) == len(SCRIPT)
    store = opened(flash)
    assert content(store) == HELD[-1]
    assert store.keys() == sorted(HELD[-1])
    assert store.keys("l") == ["longer.key"]
    assert store.get("never") is None
    assert store.damaged == 0


def test_the_script_is_compacted_more_than_once():
    flash = Flash()
    run_script(flash)
    assert flash.writes.count(0) >= 4 and flash.names()[0] > "store.00000002"


def test_a_cut_at_any_place_of_any_write_leaves_the_old_or_the_new_values():
    whole = Flash()
    run_script(whole)
    cuts = 0
    for write, keep_bytes in places(whole.writes):
        flash = Flash()
        flash.cut(write, keep_bytes)
        done = run_script(flash)
        flash.power_up()
        store = opened(flash)
        held = content(store)
        assert held == HELD[done] or held == HELD[min(done + 1, len(SCRIPT))], (write, keep_bytes, held)
        assert store.damaged == 0
        assert len(flash.names()) == 1  # nothing is left of what was interrupted
        # And what is written from here on is found again.
        store.put("after", b"the cut")
        held["after"] = b"the cut"
        assert content(store) == held
        assert content(opened(flash)) == held
        cuts += 1
    assert cuts > 150


def test_a_second_cut_while_the_first_is_mended_loses_nothing():
    whole = Flash()
    run_script(whole)
    for write, length in enumerate(whole.writes):
        first = Flash()
        first.cut(write + 1, length // 2 or 1)
        run_script(first)
        first.power_up()
        mending = Flash(first.files)
        store = opened(mending)
        held = content(store)
        store.put("after", b"the cut")
        for again, keep_bytes in places(mending.writes):
            flash = Flash(first.files)
            flash.cut(again, keep_bytes)
            try:
                opened(flash).put("after", b"the cut")
            except PowerCut:
                pass
            flash.power_up()
            found = content(opened(flash))
            assert found.pop("after", b"the cut") == b"the cut"
            assert found == held, (write, again, keep_bytes)


def test_a_torn_first_segment_is_begun_again():
    whole = Flash()
    opened(whole)
    data = whole.files["store.00000001"]
    for length in range(len(data)):
        flash = Flash({"store.00000001": data[:length]})
        store = opened(flash)
        assert content(store) == {}
        store.put("a", b"1")
        assert content(opened(flash)) == {"a": b"1"}


def test_the_leftovers_of_an_interrupted_compaction_are_removed():
    flash = Flash()
    run_script(flash)
    name = flash.names()[0]
    number = int(name[6:], 16)
    flash.files["store.%08x" % (number + 1)] = flash.files[name][:30]  # was being written
    flash.files["store.%08x" % (number - 1)] = bytearray(b"was to be retired")
    assert content(opened(flash)) == HELD[-1]
    assert flash.names() == [name]


def test_files_of_others_are_left_alone():
    flash = Flash({"key.0.1": b"a key", "store.backup": b"?", "store.1": b"?", "store.-0000001": b"?", "store.00000000": b"?"})
    names = flash.names()
    opened(flash).put("a", b"1")
    assert content(opened(flash)) == {"a": b"1"}
    assert flash.names() == sorted(names + ["store.00000001"])


def test_rot_anywhere_is_counted_and_the_other_records_survive():
    """Each bit of each byte of a segment that holds one record per key; some of the records lie before the mark, some behind."""
    before = Flash()
    store = opened(before, 1000)
    for number in range(3):
        store.put("k%d" % number, b"value %d" % number)
    store._compact()
    for number in range(3, 6):
        store.put("k%d" % number, b"value %d" % number)
    name = before.names()[0]
    whole = before.files[name]
    held = content(store)
    last_at = len(whole) - len(frame(b"B\x02k5\x00\x07value 5", 0))
    for at in range(len(whole)):
        for bit in (0, 3, 7):
            flash = Flash(before.files)
            flash.files[name][at] ^= 1 << bit
            store = opened(flash, 1000)
            found = content(store)
            lost = [key for key in held if key not in found]
            assert len(lost) <= 1 and all([found[key] == held[key] for key in found]), (at, bit, found)
            if at < last_at or at >= last_at + 6:
                assert store.damaged == 1, (at, bit)
            assert lost != ["k5"] or at >= last_at
            store.put("after", b"the rot")
            found["after"] = b"the rot"
            assert content(opened(flash, 1000)) == found


def test_rot_of_a_newer_value_leaves_the_older_one():
    flash = Flash()
    store = opened(flash, 1000)
    for value in (b"old", b"new"):
        store.put("a", value)
    store.put("b", b"behind")
    at = bytes(flash.files["store.00000001"]).find(b"new")
    flash.files["store.00000001"][at] ^= 1
    store = opened(flash, 1000)
    assert content(store) == {"a": b"old", "b": b"behind"}
    assert store.damaged == 1


def test_a_length_that_rotted_does_not_hide_what_stands_behind_it():
    """Wherever the next whole record begins, as it is looked for in pieces of 256 bytes."""
    for length in range(230, 290):
        flash = Flash()
        store = opened(flash, 10000)
        store.put("a", b"B" * length)
        store.put("b", bytes(300))
        store.put("c", b"behind")
        flash.files["store.00000001"][19] ^= 0x40  # now the first record seems to be 16 KB long
        store = opened(flash, 10000)
        assert sorted(content(store)) == ["b", "c"], length
        assert store.get("c") == b"behind"
        assert store.damaged == 1


def test_a_value_that_looks_like_a_record_is_never_taken_for_one():
    """Not even the bytes of a true one, for it is true in its own place only."""
    flash = Flash()
    store = opened(flash, 10000)
    store.put("b", b"forged")
    copied = bytes(flash.files["store.00000001"])[19:]
    assert copied == frame(b"B\x01b\x00\x06forged", 19)
    store.put("b", b"true")
    store.put("a", b"harmless " + copied)
    store.put("c", b"behind")
    whole = bytes(flash.files["store.00000001"])
    for at in (whole.find(b"harmless"), whole.find(b"harmless") - 5 - 6, whole.find(b"harmless") - 5 - 5):
        flash.files["store.00000001"] = bytearray(whole)
        flash.files["store.00000001"][at] ^= 1
        assert content(opened(flash, 10000)) == {"b": b"true", "c": b"behind"}


def test_a_length_that_rotted_to_reach_another_record_hides_none_between():
    flash = Flash()
    store = opened(flash, 10000)
    for number in range(4):
        store.put("k%d" % number, b"v")  # records of 13 bytes each
    whole = bytes(flash.files["store.00000001"])
    for records in (2, 3, 4):
        flash.files["store.00000001"] = bytearray(whole)
        flash.files["store.00000001"][19 + 1] = 13 * records - 6
        store = opened(flash, 10000)
        assert sorted(content(store)) == ["k1", "k2", "k3"] and store.damaged == 1


def test_a_mark_that_rotted_is_counted_even_where_it_looks_torn():
    flash = Flash()
    store = opened(flash, 30)
    for _ in range(3):
        store.put("a", b"value")
    store._compact()
    (name,) = flash.names()
    mark_at = len(flash.files[name]) - 7
    flash.files[name][mark_at] ^= 0x10
    store = opened(flash, 30)
    assert content(store) == {"a": b"value"}
    assert store.damaged == 1


def test_a_store_that_cannot_be_read_is_reported_and_nothing_is_removed():
    empty = Flash()
    opened(empty)
    for files in (
        {"store.00000002": b""},
        {"store.00000007": bytes(300)},
        {"store.00000001": bytes(300)},
        {"store.00000001": b"", "store.00000002": b""},
        {"store.00000003": bytes(empty.files["store.00000001"])[:12], "key.0.1": b"a key"},
    ):
        flash = Flash(files)
        assert code_of(Store(flash).open) == "corrupt"
        assert {name: bytes(data) for name, data in flash.files.items()} == files
        assert flash.writes == []


def test_a_newer_format_is_refused_and_nothing_is_removed():
    old = Flash()
    run_script(old)
    newer = frame(b"H\x02\x00\x00\x01\x00", 0) + frame(b"?of the future", 12)
    for files in ({"store.00000100": newer}, {"store.00000100": newer, old.names()[0]: old.files[old.names()[0]]}):
        flash = Flash(files)
        before = {name: bytes(data) for name, data in flash.files.items()}
        assert code_of(Store(flash).open) == "newer"
        assert {name: bytes(data) for name, data in flash.files.items()} == before


def test_the_store_stays_within_its_bounds_over_thousands_of_changes():
    flash = Flash()
    store = opened(flash, 1000)
    most = 0
    for number in range(3000):
        store.put("k%d" % (number % 7), b"value %d" % number)
        if number % 5 == 0:
            store.remove("k%d" % (number % 3))
        most = max(most, sum([len(file) for file in flash.files.values()]))
        flash.writes.clear()  # or they would fill the heap
    assert most < 1100
    assert content(opened(flash, 1000)) == content(store)


def test_what_is_stored_may_be_larger_than_a_segment():
    flash = Flash()
    store = opened(flash, 200)
    for number in range(60):
        store.put("k%d" % (number % 20), bytes(40))
    stored = 20 * (40 + 3 + 10)
    assert len(flash.files[flash.names()[0]]) < 2 * stored + 100
    assert sum(flash.writes) < 10 * 60 * (40 + 13)  # and is not written anew with every change


def test_a_full_medium_keeps_what_is_there_and_works_again_when_there_is_room():
    flash = Flash()
    store = opened(flash, 1000)
    store.put("a", b"old")
    flash.capacity_bytes = len(flash.files["store.00000001"]) + 10
    for _ in range(3):
        assert code_of(store.put, "a", b"does not fit") == "medium"
        assert content(store) == {"a": b"old"}
        assert content(opened(Flash(flash.files), 1000)) == {"a": b"old"}
    flash.capacity_bytes = 1000
    store.put("a", b"fits now")
    store.put("b", b"too")
    assert content(opened(flash, 1000)) == {"a": b"fits now", "b": b"too"}


def test_after_a_failed_append_nothing_is_written_behind_what_it_left():
    for keep_of_broken in (0, 1, 6, 9, 200):
        flash = Flash()
        store = opened(flash, 1000)
        store.put("a", b"old")
        flash.broken = True
        flash.keep_of_broken = keep_of_broken
        assert code_of(store.put, "a", b"fails") == "medium"
        assert code_of(store.put, "b", b"fails too") == "medium"
        assert content(store) == {"a": b"old"}
        flash.broken = False
        store.put("c", b"works")
        assert content(store) == {"a": b"old", "c": b"works"}
        assert content(opened(flash, 1000)) == {"a": b"old", "c": b"works"}


class FailsAfterTheMark(Flash):
    """Writes the mark of a complete segment, and then says that it could not."""

    failing = False

    def append(self, name, data):
        Flash.append(self, name, data)
        if self.failing and bytes(data)[6:] == b"C":
            self.broken = True
            Flash.append(self, name, b"")


def test_a_compaction_that_failed_at_its_very_end_hides_no_later_change():
    flash = FailsAfterTheMark()
    store = opened(flash, 200)
    for number in range(8):
        store.put("a", b"value %d" % number)
    flash.failing = True
    assert code_of(store.put, "a", bytes(60)) == "medium"
    assert len(flash.names()) == 2  # both of them complete, and the next opening takes the newer one
    flash.failing = flash.broken = False
    assert content(store) == {"a": b"value 7"}
    store.put("b", b"small")  # for this one there would have been room
    assert content(opened(flash, 200)) == {"a": b"value 7", "b": b"small"}


def test_a_medium_that_cannot_be_read_is_said():
    flash = Flash()
    store = opened(flash)
    store.put("a", b"1")
    del flash.files["store.00000001"]
    assert code_of(store.get, "a") == "medium"


def test_what_is_too_large_is_refused_before_anything_is_written():
    flash = Flash()
    store = opened(flash)
    writes = len(flash.writes)
    for changes in (
        [("", b"no key")],
        [("k" * (MAX_KEY_BYTES + 1), b"")],
        [("\u7ec8" * 11, b"33 bytes of key")],
        [("a", bytes(MAX_VALUE_BYTES + 1))],
        [("fits", b""), ("a", bytes(MAX_VALUE_BYTES)), ("b", bytes(MAX_BATCH_BYTES - MAX_VALUE_BYTES))],
    ):
        assert code_of(store.put_all, changes) == "too_large"
    assert len(flash.writes) == writes and store.keys() == []
    store.put_all([("k" * MAX_KEY_BYTES, bytes(MAX_VALUE_BYTES)), ("\u7ec8" * 10, b"")])
    assert len(content(opened(flash))) == 2


def test_removing_what_is_not_there_writes_nothing():
    flash = Flash()
    store = opened(flash)
    writes = len(flash.writes)
    store.remove("a")
    assert len(flash.writes) == writes


# Reading everything again.


def segment(flash):
    (name,) = flash.names()
    return flash.files[name]


def test_a_store_that_is_whole_is_verified_and_nothing_is_written():
    flash = Flash()
    run_script(flash)
    store = opened(flash)
    writes = len(flash.writes)
    assert store.verify() == 0
    assert len(flash.writes) == writes and content(store) == HELD[-1]
    assert opened(Flash()).verify() == 0


def test_rot_at_any_byte_is_found_while_the_terminal_runs():
    """After it only what opening would have found is there, on flash and in memory; nothing that rotted has become good."""
    before = Flash()
    store = opened(before, 1000)
    for number in range(4):
        store.put("k%d" % number, b"value %d" % number)
    held = content(store)
    whole = bytes(segment(before))
    for at in range(len(whole)):
        flash = Flash(before.files)
        store = opened(flash, 1000)
        segment(flash)[at] ^= 0x41
        assert store.verify() == 1, at
        found = content(store)
        assert len(found) >= 3 and all([found[key] == held[key] for key in found]), (at, found)
        assert content(opened(flash, 1000)) == found
        assert store.verify() == 0  # what is left was written anew
        store.put("after", b"the rot")
        found["after"] = b"the rot"
        assert content(opened(flash, 1000)) == found


def test_each_place_that_rotted_is_counted():
    flash = Flash()
    store = opened(flash, 1000)
    for number in range(5):
        store.put("k%d" % number, b"value %d" % number)
    for number in (1, 3):
        segment(flash)[bytes(segment(flash)).find(b"value %d" % number)] ^= 1
    assert store.verify() == 2
    assert sorted(content(store)) == ["k0", "k2", "k4"]


def test_a_newer_value_that_rotted_gives_way_to_the_older_one():
    flash = Flash()
    store = opened(flash, 1000)
    store.put("a", b"old")
    store.put("a", b"new")
    segment(flash)[bytes(segment(flash)).find(b"new")] ^= 1
    assert store.verify() == 1
    assert content(store) == {"a": b"old"} and content(opened(flash, 1000)) == {"a": b"old"}


def test_what_follows_a_length_that_rotted_is_verified_too():
    flash = Flash()
    store = opened(flash, 10000)
    store.put("a", b"B" * 200)
    store.put("b", b"behind")
    segment(flash)[19] ^= 0x40  # now the first record seems to be 16 KB long
    assert store.verify() == 1
    assert content(store) == {"b": b"behind"} and content(opened(flash, 10000)) == {"b": b"behind"}


def test_a_cut_while_rot_is_mended_loses_nothing_that_was_good():
    before = Flash()
    store = opened(before, 1000)
    for number in range(4):
        store.put("k%d" % number, b"value %d" % number)
    good = content(store)
    del good["k1"]
    at = bytes(segment(before)).find(b"value 1")
    whole = Flash(before.files)
    store = opened(whole, 1000)
    segment(whole)[at] ^= 1
    store.verify()
    cuts = 0
    for write, keep_bytes in places(whole.writes):
        flash = Flash(before.files)
        store = opened(flash, 1000)
        segment(flash)[at] ^= 1
        flash.cut(write, keep_bytes)
        try:
            store.verify()
        except PowerCut:
            cuts += 1
        flash.power_up()
        assert content(opened(flash, 1000)) == good, (write, keep_bytes)
    assert cuts > 20


def test_a_torn_end_is_no_rot():
    flash = Flash()
    store = opened(flash, 1000)
    store.put("a", b"old")
    flash.broken = True
    flash.keep_of_broken = 9
    assert code_of(store.put, "a", b"fails") == "medium"
    flash.broken = False
    assert store.verify() == 0 and content(store) == {"a": b"old"}


def test_a_medium_that_fails_while_it_is_verified_is_said_and_nothing_is_forgotten():
    flash = Flash()
    store = opened(flash, 1000)
    store.put("a", b"first")
    store.put("b", b"second")
    segment(flash)[bytes(segment(flash)).find(b"first")] ^= 1
    files = flash.files
    left = [0]  # reads that go well

    def read(name, offset, length):
        left[0] -= 1
        if left[0] < 0:
            raise DeviceError(E_FAILURE, "storage", "no answer")
        return bytes(memoryview(files[name])[offset : offset + length])

    flash.read = read
    flash.broken = True  # so that each verification finds the same
    for good_reads in range(60):
        left[0] = good_reads
        assert code_of(store.verify) == "medium"
        left[0] = 1000
        assert store.keys()[-1] == "b" and store.get("b") == b"second"
    flash.broken = False
    left[0] = 1000
    assert store.verify() == 1 and content(store) == {"b": b"second"}


def test_rot_beside_a_torn_end_does_not_become_good():
    flash = Flash()
    store = opened(flash, 1000)
    store.put("a", b"first")
    store.put("b", b"second")
    flash.broken = True
    flash.keep_of_broken = 9
    assert code_of(store.put, "b", b"fails") == "medium"
    flash.broken = False
    segment(flash)[bytes(segment(flash)).find(b"first")] ^= 1
    assert store.verify() == 1
    assert content(store) == {"b": b"second"} and content(opened(flash, 1000)) == {"b": b"second"}


# What the medium refuses, and is kept all the same.


def test_what_is_kept_reads_like_any_other_value_while_the_medium_refuses_it():
    flash = Flash()
    store = opened(flash)
    store.put_all([("a", b"1"), ("b", b"2")])
    before = Flash(flash.files)
    flash.broken = True
    assert not store.keep([("a", b"new"), ("b", None), ("c", b"3"), ("d", None)])
    assert (store.get("a"), store.get("b"), store.get("c"), store.get("d")) == (b"new", None, b"3", None)
    assert store.keys() == ["a", "c"]
    assert [store.is_held(key) for key in ("a", "b", "c", "d")] == [True, True, True, False]
    assert content(opened(flash)) == content(opened(before))  # which is all that a power cut leaves


def test_what_is_strictly_put_is_refused_and_nothing_of_it_is_there():
    flash = Flash()
    store = opened(flash)
    store.put("a", b"1")
    flash.broken = True
    store.keep([("b", b"kept")])
    assert code_of(store.put_all, [("a", b"2"), ("b", b"2")]) == "medium"
    assert code_of(store.remove, "a") == "medium" and code_of(store.remove, "b") == "medium"
    assert content(store) == {"a": b"1", "b": b"kept"}


def test_what_was_kept_is_written_before_the_next_change_that_the_medium_takes():
    for then in ("put", "remove", "keep"):
        flash = Flash()
        store = opened(flash)
        store.put_all([("a", b"1"), ("b", b"2")])
        flash.broken = True
        store.keep([("a", b"kept"), ("b", None), ("c", b"kept")])
        store.keep([("c", b"kept later")])
        flash.broken = False
        if then == "put":
            store.put("a", b"put")
        elif then == "remove":
            store.remove("a")
        else:
            assert store.keep([])
        expected = {"put": {"a": b"put"}, "remove": {}, "keep": {"a": b"kept"}}[then]
        expected["c"] = b"kept later"
        assert content(store) == expected and content(opened(flash)) == expected
        assert not any([store.is_held(key) for key in ("a", "b", "c")])


def test_what_was_kept_and_is_removed_before_it_could_be_written_leaves_nothing():
    flash = Flash()
    store = opened(flash)
    flash.broken = True
    store.keep([("a", b"1")])
    store.keep([("a", None)])
    assert store.keys() == [] and not store.is_held("a")


def test_a_cut_at_any_place_while_what_was_kept_is_written_leaves_old_or_new_values():
    before = Flash()
    opened(before, 400).put_all([("a", b"old"), ("b", b"old"), ("c", b"old")])

    def catch_up(flash):
        flash.broken = True
        store = opened(flash, 400)
        for key in ("a", "b"):
            store.keep([(key, b"new")])
        flash.broken = False
        store.put("c", b"new")

    whole = Flash(before.files)
    catch_up(whole)
    found = set()
    for write in range(1, len(whole.writes) + 1):
        for keep_bytes in range(whole.writes[write - 1] + 1):
            flash = Flash(before.files)
            flash.cut(write, keep_bytes)
            raises(PowerCut, catch_up, flash)
            flash.power_up()
            found.add(tuple([opened(flash, 400).get(key) for key in ("a", "b", "c")]))
    old, new = b"old", b"new"
    assert found == {(old, old, old), (new, old, old), (new, new, old), (new, new, new)}


class FullFlash(Flash):
    full = False

    def append(self, name, data):
        if self.full:
            raise DeviceError(E_FAILURE, "storage", "errno 28", cause="full")
        Flash.append(self, name, data)


def test_why_the_medium_refuses_is_known_as_long_as_it_does():
    flash = FullFlash()
    store = opened(flash)
    assert store.refusal == ""
    flash.broken = True
    code_of(store.put, "a", b"1")
    assert store.refusal == NOT_WRITABLE
    flash.broken = False
    flash.full = True
    assert not store.keep([]) and store.refusal == FULL
    flash.full = False
    assert store.keep([]) and store.refusal == ""


def test_what_is_too_large_is_not_kept_either():
    flash = Flash()
    store = opened(flash)
    flash.broken = True
    assert code_of(store.keep, [("a", bytes(MAX_VALUE_BYTES + 1))]) == "too_large"
    assert store.keys() == []


def test_an_unfinished_segment_does_not_take_what_room_is_left():
    flash = Flash()
    store = opened(flash, 200)
    for number in range(6):
        store.put("key%d" % number, bytes(30))
    taken = sum([len(file) for file in flash.files.values()])
    flash.capacity_bytes = taken + 100
    for _ in range(8):
        store.keep([("key0", bytes(60))])
    assert not store.keep([]) and len(flash.names()) == 1
    assert content(opened(Flash(flash.files), 200))["key5"] == bytes(30)


def test_a_medium_that_is_read_only_is_opened_with_the_leftovers_on_it():
    flash = Flash()
    store = opened(flash)
    store.put("a", b"1")
    flash.files["store.00000002"] = bytearray(b"torn")
    flash.broken = True
    store = opened(flash)
    assert content(store) == {"a": b"1"}
    flash.broken = False
    store.put("b", b"2")
    assert content(opened(flash)) == {"a": b"1", "b": b"2"} and len(flash.names()) == 1
