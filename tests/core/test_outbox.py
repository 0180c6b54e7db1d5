"""The outbox: what is to be sent keeps its order over power cuts, is bounded, and says what it lost."""

from firmware_agent.messages.cbor import encode
from firmware_agent.messages.outbox import HELD_BYTES, KEY_BOOT_COUNT, KEY_DROPPED, PREFIX, SEQUENCES, UNCOUNTED, Outbox
from firmware_agent.messages.schema import SchemaError
from firmware_agent.store import Store
from tests.core.parts import NOW_S, Flash, PowerCut
from tests.core.support import raises

CAPACITY = 5
FIRST = SEQUENCES + UNCOUNTED  # what the sequences of the first boot follow


def opened(flash, boot_count=1, capacity=CAPACITY, place=0):
    store = Store(flash)
    store.open()
    store.keep([(KEY_BOOT_COUNT, encode(boot_count))])
    return store, Outbox(store, "T1", boot_count, place, capacity)


def event(number):
    return ("event", {"name": "fault_found", "detail": str(number)})


def application(number):
    return ("application", {"application": number, "purpose": "reactivation", "reasons": []})


def queue(store, outbox, *messages):
    """As the agent does: one write."""
    store.put_all(outbox.changes(list(messages), NOW_S))


def details(outbox):
    """What is queued, in order: the details of events, and the numbers of applications as numbers."""
    messages = [outbox.message(key) for key in outbox.waiting()]
    return [claims.text("detail") or claims.number("application") for claims in messages]


def sequences(outbox):
    return [outbox.message(key).sequence for key in outbox.waiting()]


def test_messages_wait_in_the_order_in_which_they_were_queued():
    store, outbox = opened(Flash(), capacity=64)
    for number in range(1, 40):
        queue(store, outbox, event(number))
    assert details(outbox) == [str(number) for number in range(1, 40)]
    assert sequences(outbox) == list(range(FIRST + 1, FIRST + 40))


def test_a_message_is_what_was_queued():
    store, outbox = opened(Flash(), boot_count=3)
    queue(store, outbox, event("what it was"))
    claims = outbox.message(outbox.waiting()[0])
    assert claims.kind.name == "event" and claims.body == {"name": "fault_found", "detail": "what it was"}
    assert (claims.subject, claims.sequence, claims.boot_count, claims.issued_at) == ("T1", 3 * SEQUENCES + UNCOUNTED + 1, 3, NOW_S)
    assert claims.issuer == "" and claims.expires == 0


def test_nothing_to_say_changes_nothing():
    _, outbox = opened(Flash())
    assert outbox.changes([], NOW_S) == []


def test_a_body_that_does_not_keep_to_the_schema_is_not_queued():
    store, outbox = opened(Flash())
    raises(SchemaError, outbox.changes, [event(1), ("event", {"detail": "without its name"})], NOW_S)
    raises(KeyError, outbox.changes, [("no_such_kind", {})], NOW_S)
    assert outbox.waiting() == [] and store.keys(PREFIX) == []


def test_what_waits_survives_the_next_boots_with_its_own_boot_count():
    flash = Flash()
    for boot_count in (1, 2, 3):
        store, outbox = opened(flash, boot_count)
        queue(store, outbox, event(boot_count))
    _, outbox = opened(flash, 4)
    assert details(outbox) == ["1", "2", "3"]
    assert [outbox.message(key).boot_count for key in outbox.waiting()] == [1, 2, 3]


def test_the_sequence_only_grows_over_boots_removals_and_numbers_taken():
    flash = Flash()
    last = 0
    for boot_count in range(1, 6):
        store, outbox = opened(flash, boot_count)
        taken = outbox.next_sequence()
        assert taken > last
        queue(store, outbox, event(1), event(2))
        assert sequences(outbox) == [taken + 1, taken + 2]
        last = taken + 2
        for key in outbox.waiting():
            outbox.remove(key)


def test_a_number_is_taken_without_a_write_and_never_again():
    flash = Flash()
    _, outbox = opened(flash)
    writes = len(flash.writes)
    taken = [outbox.next_sequence() for _ in range(3)]
    assert taken == [FIRST + 1, FIRST + 2, FIRST + 3] and len(flash.writes) == writes
    assert opened(flash, 2)[1].next_sequence() > FIRST + 3


def test_what_the_broker_has_is_gone_for_good():
    flash = Flash()
    store, outbox = opened(flash)
    queue(store, outbox, event(1), event(2), event(3))
    outbox.remove(outbox.waiting()[1])
    assert details(outbox) == ["1", "3"]
    assert details(opened(flash)[1]) == ["1", "3"]
    outbox.remove(PREFIX + "%015d" % (FIRST + 2))  # once more changes nothing
    assert details(outbox) == ["1", "3"] and outbox.dropped == 0


def test_a_full_outbox_lets_the_oldest_give_way_and_counts_it():
    flash = Flash()
    store, outbox = opened(flash)
    for number in range(1, 13):
        queue(store, outbox, event(number))
        assert len(outbox.waiting()) == min(number, CAPACITY)
        assert outbox.dropped == max(0, number - CAPACITY)
    assert details(outbox) == ["8", "9", "10", "11", "12"]
    queue(store, outbox, event(13), event(14), event(15))
    assert details(outbox) == ["11", "12", "13", "14", "15"] and outbox.dropped == 10
    assert opened(flash)[1].dropped == 10


def test_applications_give_way_last():
    """A terminal whose application was lost would wait for its answer for ever."""
    store, outbox = opened(Flash())
    queue(store, outbox, application(1), event(1), application(2))
    for number in range(2, 30):
        queue(store, outbox, event(number))
    assert details(outbox) == [1, 2, "27", "28", "29"]
    assert outbox.dropped == 26
    for number in range(3, 7):
        queue(store, outbox, application(number))
    assert details(outbox) == [2, 3, 4, 5, 6]  # where there is nothing else, the oldest of them
    assert outbox.dropped == 30


def test_what_is_queued_at_once_is_never_torn_apart():
    store, outbox = opened(Flash())
    queue(store, outbox, event(1))
    queue(store, outbox, *[event(number) for number in range(2, 10)])
    assert details(outbox) == [str(number) for number in range(2, 10)]
    assert outbox.dropped == 1
    queue(store, outbox, event(10))
    assert len(outbox.waiting()) == CAPACITY and outbox.dropped == 5


def test_a_message_and_what_it_tells_of_are_one_write():
    """Also where the outbox is full, and the oldest gives way in the same write."""
    for waiting in (1, CAPACITY):
        before = Flash()
        store, outbox = opened(before)
        queue(store, outbox, *[event(number) for number in range(waiting)])
        last = sequences(outbox)[-1]
        length = write_with_its_cause(Flash(before.files))
        found = set()
        for keep_bytes in range(length + 1):
            flash = Flash(before.files)
            flash.cut(2, keep_bytes)  # the first counts the boot
            raises(PowerCut, write_with_its_cause, flash)
            flash.power_up()
            store, outbox = opened(flash, 3)
            found.add((store.get("cause"), len(outbox.waiting()), outbox.dropped, sequences(outbox)[-1]))
        dropped = 1 if waiting == CAPACITY else 0
        after = (b"new", waiting + 1 - dropped, dropped, 2 * SEQUENCES + UNCOUNTED + 1)
        assert found == {(None, waiting, 0, last), after}


def write_with_its_cause(flash):
    store, outbox = opened(flash, 2)
    store.put_all([("cause", b"new")] + outbox.changes([event("of the cause")], NOW_S))
    return flash.writes[-1]


def test_an_entry_that_this_version_cannot_read_is_said_and_can_be_discarded():
    flash = Flash()
    store, outbox = opened(flash)
    queue(store, outbox, event(1), event(2))
    first, second = outbox.waiting()
    for record in (
        b"\xff",
        encode(7),
        encode([3, 1]),
        encode([99, 1, 1, 0, {}]),
        encode([3, 1, 1, 0, {2: "without its name"}]),
        encode([3, 1, 1, 0, "no map"]),
    ):
        store.put(first, record)
        raises(ValueError, outbox.message, first)
    outbox.discard(first)
    assert outbox.waiting() == [second] and outbox.dropped == 1
    outbox.discard(second)
    assert outbox.waiting() == [] and opened(flash)[1].dropped == 2


def test_an_entry_that_cannot_be_read_gives_way_like_any_other():
    store, outbox = opened(Flash())
    queue(store, outbox, *[event(number) for number in range(CAPACITY)])
    store.put(outbox.waiting()[0], b"\xff")
    queue(store, outbox, event("new"))
    assert len(outbox.waiting()) == CAPACITY and outbox.dropped == 1
    assert details(outbox)[-1] == "new"


def test_a_field_of_a_later_version_is_sent_as_it_was_queued():
    """An entry of a newer agent, read after a return to this one."""
    store, outbox = opened(Flash())
    queue(store, outbox, event(1))
    (key,) = outbox.waiting()
    store.put(key, encode([3, 1, 1, 0, {1: "fault_found", 9: "new"}]))
    assert outbox.message(key).unknown == {9: "new"}


def test_the_count_of_what_was_lost_is_never_reset():
    flash = Flash()
    store, _ = opened(flash)
    store.put(KEY_DROPPED, encode(7))
    store, outbox = opened(flash, 2, capacity=1)
    queue(store, outbox, event(1))
    queue(store, outbox, event(2))
    assert outbox.dropped == 8


def test_an_outbox_that_is_more_than_half_full_is_crowded():
    store, outbox = opened(Flash(), capacity=4)
    crowded = []
    for number in range(1, 5):
        queue(store, outbox, event(number))
        crowded.append(outbox.is_crowded)
    assert crowded == [False, False, True, True]


def test_what_somebody_waits_for_is_found_and_keeps_its_place():
    store, outbox = opened(Flash())
    assert outbox.first_prompt() == ""
    queue(store, outbox, application(1))
    assert outbox.first_prompt() == ""
    queue(store, outbox, event(1), application(2))
    queue(store, outbox, ("receipt", {"of": bytes(16), "result": "SUCC", "highest": 1}))
    assert details(outbox) == [1, "1", 2, 0]
    assert outbox.first_prompt() == outbox.waiting()[1]
    assert sequences(outbox) == sorted(sequences(outbox))
    outbox.remove(outbox.first_prompt())
    assert outbox.message(outbox.first_prompt()).kind.name == "receipt"
    outbox.remove(outbox.first_prompt())
    assert outbox.first_prompt() == "" and details(outbox) == [1, 2]


# A store that refuses to be written.


def hold(store, outbox, *messages):
    """As the agent does, where the store refuses."""
    assert not store.keep(outbox.changes(list(messages), NOW_S))
    outbox.bound_held()


def test_what_the_store_refuses_waits_in_memory_behind_what_is_on_flash():
    flash = Flash()
    store, outbox = opened(flash)
    queue(store, outbox, event(1), event(2))
    flash.broken = True
    hold(store, outbox, event(3))
    hold(store, outbox, event(4))
    assert details(outbox) == ["1", "2", "3", "4"]
    assert sequences(outbox) == [FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 4]


def test_what_is_sent_is_gone_though_the_store_cannot_forget_it_until_it_can():
    flash = Flash()
    store, outbox = opened(flash)
    queue(store, outbox, event(1), event(2))
    flash.broken = True
    hold(store, outbox, event(3))
    for key in outbox.waiting()[1:]:
        outbox.remove(key)
    assert details(outbox) == ["1"]
    outbox.discard(outbox.waiting()[0])
    assert outbox.waiting() == [] and outbox.dropped == 1
    # A power cut now has them sent once more, by the same sequences, which the acquirer drops.
    assert sequences(opened(Flash(flash.files), 2)[1]) == [FIRST + 1, FIRST + 2]
    flash.broken = False
    assert store.keep([])
    woken = opened(flash, 2)[1]
    assert woken.waiting() == [] and woken.dropped == 1


def test_what_waited_in_memory_is_on_flash_as_soon_as_it_takes_it():
    flash = Flash()
    store, outbox = opened(flash)
    flash.broken = True
    hold(store, outbox, event(1), event(2))
    flash.broken = False
    queue(store, outbox, event(3))
    assert details(outbox) == ["1", "2", "3"]
    woken = opened(flash, 2)[1]
    assert details(woken) == ["1", "2", "3"] and sequences(woken) == sequences(outbox)


def test_in_memory_too_the_oldest_gives_way_and_is_counted():
    flash = Flash()
    store, outbox = opened(flash)
    queue(store, outbox, event(0))
    flash.broken = True
    for number in range(1, 13):
        hold(store, outbox, event(number))
        assert len(outbox.waiting()) == min(number + 1, CAPACITY)
    assert details(outbox) == ["8", "9", "10", "11", "12"] and outbox.dropped == 8
    flash.broken = False
    store.keep([])
    woken = opened(flash, 2)[1]
    assert details(woken) == ["8", "9", "10", "11", "12"] and woken.dropped == 8


def test_what_waits_in_memory_takes_no_more_than_its_room():
    flash = Flash()
    store, outbox = opened(flash, capacity=64)
    queue(store, outbox, event("on flash"))
    flash.broken = True
    for number in range(40):
        hold(store, outbox, event("%02d" % number + "x" * 400))
        held = [store.get(key) for key in outbox.waiting() if store.is_held(key)]
        assert sum([len(entry) for entry in held]) <= HELD_BYTES
    told = [text[:2] for text in details(outbox)[1:]]
    assert details(outbox)[0] == "on flash" and told[-1] == "39"
    assert told == ["%02d" % number for number in range(40 - len(told), 40)] and outbox.dropped == 40 - len(told) > 0


def test_the_newest_stays_in_memory_however_long_it_is():
    flash = Flash()
    store, outbox = opened(flash)
    flash.broken = True
    hold(store, outbox, event("old"))
    report = {"plan": "full", "results": [bytes(1024)] * 7, "mode": "suspended", "firmware": "f", "element": True}
    hold(store, outbox, event("newer" + "x" * 500), event("newer" + "y" * 500), ("report", report))
    assert [outbox.message(key).kind.name for key in outbox.waiting()] in (["event", "report"], ["report"])
    assert outbox.dropped >= 2


def test_boots_that_could_not_be_counted_use_no_sequence_twice():
    """Boots that the store counts and boots that it does not, in any order: every sequence is new, and larger than all before."""
    for pattern in range(32):
        flash = Flash()
        taken = []
        count = 0
        for number in range(5):
            flash.broken = bool(pattern >> number & 1) and number > 0
            store, outbox = opened(flash, count + 1, place=100 * number)
            taken.append(outbox.next_sequence())
            if flash.broken:
                hold(store, outbox, event(number))
            else:
                queue(store, outbox, event(number))
                count += 1
            taken.append(sequences(outbox)[-1])
            taken.append(outbox.next_sequence())
        assert taken == sorted(set(taken)), (pattern, taken)


def test_a_boot_that_is_counted_late_goes_on_with_sequences_of_its_own():
    flash = Flash()
    opened(flash)
    flash.broken = True
    store, outbox = opened(flash, 2, place=7)
    hold(store, outbox, event(1))
    assert sequences(outbox) == [2 * SEQUENCES + 7 + 1]
    flash.broken = False
    assert store.keep([])  # counts it
    queue(store, outbox, event(2))
    assert sequences(outbox) == [2 * SEQUENCES + 7 + 1, 2 * SEQUENCES + UNCOUNTED + 1]
    assert opened(flash, 3)[1].next_sequence() > sequences(outbox)[-1]


def test_a_count_of_the_boots_that_came_back_older_is_set_right_with_the_next_message():
    flash = Flash()
    store, outbox = opened(flash, 9)
    store.put(KEY_BOOT_COUNT, encode(8))  # as after its record rotted
    queue(store, outbox, event(1))
    assert store.get(KEY_BOOT_COUNT) == encode(9)
