"""Events: the critical at once, the others together; none lost that was told, none twice, and no flood of them."""

from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import MAX_LENGTH
from firmware_agent.messages.events import EVENTS, MOST, MOST_BYTES, PREFIX, REPEAT_MS, WAIT_MS, event_kind
from firmware_agent.messages.pace import Bucket
from firmware_agent.messages.refusals import RECEIPT_MS, RECEIPTS, SUM_MS, Refusals
from firmware_agent.messages.schema import SchemaError
from firmware_agent.state.machine import Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from firmware_agent.store import StoreError
from tests.core.parts import NOW_S, Flash, PowerCut, Time, clock
from tests.core.support import raises
from tests.core.terminal_parts import boot, provisioned

REPORT = {"plan": "daily", "results": [], "mode": "in_service", "firmware": "1", "element": True}
CRITICAL = "sign_on_refused"
WAITING = "signed_on"


class Scene:
    """A terminal that is online, with nothing queued."""

    def __init__(self, online=True):
        self.time = Time()
        self.flash = Flash()
        provisioned(self.flash)
        self.wake()
        self.terminal.online = online
        self.sent()

    def wake(self):
        self.terminal = boot(self.flash, self.time)

    def tell(self, name, detail="", **more):
        body = {"name": name}
        if detail:
            body["detail"] = detail
        body.update(more)
        self.terminal.send("event", body)

    def pass_ms(self, duration_ms):
        self.time.now_ms += duration_ms
        self.terminal.watch_events()

    def sent(self):
        """What was queued since the last look, each (kind, name and detail of an event, list of events)."""
        outbox = self.terminal.outbox
        told = []
        for key in outbox.waiting():
            claims = outbox.message(key)
            if claims.kind.name == "events":
                told.append(("events", claims.items("events")))
            elif claims.kind.name == "event":
                told.append(("event", claims.text("name"), claims.text("detail")))
            else:
                told.append((claims.kind.name,))
            outbox.remove(key)
        return told


def listed(sent):
    """(name, detail, how often) of each that was told together."""
    return [(event[0], event[1], event[3]) for message in sent if message[0] == "events" for event in message[1]]


def test_each_event_has_a_name_of_its_own_and_is_described():
    names = [kind.name for kind in EVENTS]
    assert len(set(names)) == len(names)
    assert all([kind.what and kind.name == kind.name.lower() for kind in EVENTS])
    assert event_kind(CRITICAL).is_critical and not event_kind(WAITING).is_critical


def test_an_event_that_is_not_in_the_table_cannot_be_sent():
    scene = Scene()
    for body in ({"name": "gremlins"}, {"detail": "without a name"}, {}):
        assert raises(SchemaError, scene.terminal.send, "event", body).code == "malformed"
    assert scene.sent() == [] and scene.terminal.store.keys(PREFIX) == []


def test_a_critical_event_is_told_at_once():
    scene = Scene()
    scene.tell(CRITICAL, "badge, copied")
    assert scene.sent() == [("event", CRITICAL, "badge, copied")]


def test_another_event_waits_until_its_time_is_over():
    scene = Scene()
    scene.tell(WAITING, "PIN")
    scene.pass_ms(WAIT_MS - 1)
    assert scene.sent() == []
    scene.pass_ms(1)
    assert scene.sent() == [("events", [[WAITING, "PIN", NOW_S, 1]])]
    scene.pass_ms(2 * WAIT_MS)
    assert scene.sent() == [] and scene.terminal.store.keys(PREFIX) == []


def test_the_time_is_that_of_the_oldest_and_begins_anew_for_the_next():
    scene = Scene()
    scene.tell(WAITING, "PIN")
    scene.pass_ms(WAIT_MS - 1000)
    scene.tell(WAITING, "badge 1")
    scene.pass_ms(1000)
    assert listed(scene.sent()) == [(WAITING, "PIN", 1), (WAITING, "badge 1", 1)]
    scene.tell(WAITING, "badge 2")
    scene.pass_ms(WAIT_MS - 1)
    assert scene.sent() == []
    scene.pass_ms(1)
    assert listed(scene.sent()) == [(WAITING, "badge 2", 1)]


def test_what_waits_goes_with_the_next_critical_event_and_with_the_next_report():
    for message, kind in ((("event", {"name": CRITICAL}), ("event", CRITICAL, "")), (("report", REPORT), ("report",))):
        scene = Scene()
        scene.tell(WAITING, "PIN")
        scene.terminal.send("test", {"name": "print", "outcome": "pass"})
        assert scene.sent() == [("test",)]
        scene.terminal.send(message[0], message[1])
        assert scene.sent() == [("events", [[WAITING, "PIN", NOW_S, 1]]), kind]


def test_what_happens_again_is_counted_with_the_time_of_the_last():
    scene = Scene()
    scene.tell(WAITING, "PIN")
    scene.time.now_ms += 60000
    scene.tell(WAITING, "badge 1")
    scene.tell(WAITING, "PIN")
    scene.tell(WAITING, "PIN", times=5)
    scene.pass_ms(WAIT_MS)
    assert scene.sent() == [("events", [[WAITING, "PIN", NOW_S + 60, 7], [WAITING, "badge 1", NOW_S + 60, 1]])]


def test_a_critical_event_that_happens_again_is_counted_and_told_with_the_next():
    scene = Scene()
    scene.tell(CRITICAL, "badge, copied")
    for _ in range(5):
        scene.pass_ms(REPEAT_MS // 10)
        scene.tell(CRITICAL, "badge, copied")
    assert scene.sent() == [("event", CRITICAL, "badge, copied")]
    scene.tell(CRITICAL, "badge, altered")  # another one
    sent = scene.sent()
    assert listed(sent) == [(CRITICAL, "badge, copied", 5)] and sent[1:] == [("event", CRITICAL, "badge, altered")]
    scene.pass_ms(REPEAT_MS // 2)  # since it was told at once
    scene.tell(CRITICAL, "badge, copied")
    assert scene.sent() == [("event", CRITICAL, "badge, copied")]


def test_the_same_critical_event_twice_in_one_write_is_told_once():
    scene = Scene()
    scene.terminal.tell([("event", {"name": CRITICAL}), ("event", {"name": CRITICAL})])
    assert scene.sent() == [("events", [[CRITICAL, "", NOW_S, 1]]), ("event", CRITICAL, "")]


def test_too_many_do_not_wait_for_their_time():
    scene = Scene(online=False)
    for number in range(MOST - 1):
        scene.tell(WAITING, "badge %d" % number)
    assert scene.sent() == []
    scene.tell(WAITING, "the last")
    names = [detail for _, detail, _ in listed(scene.sent())]
    assert names == ["badge %d" % number for number in range(MOST - 1)] + ["the last"]
    assert scene.terminal.store.keys(PREFIX) == []


def test_long_ones_do_not_wait_for_too_many_and_fit_into_one_message():
    scene = Scene(online=False)
    scene.tell(WAITING, "a" * (MOST_BYTES - 50))
    assert scene.sent() == []
    scene.tell(WAITING, "\U0001f9fe" * 512)  # the longest text there is
    sent = scene.sent()
    assert len(listed(sent)) == 2 and len(encode(sent[0][1])) < MAX_LENGTH - 300


def test_without_a_connection_they_take_no_place_of_reports():
    scene = Scene(online=False)
    scene.tell(WAITING, "PIN")
    for _ in range(10):
        scene.pass_ms(WAIT_MS)
        scene.terminal.send("report", REPORT)
        scene.tell(CRITICAL, "badge, copied")
    assert [message[0] for message in scene.sent()] == ["report", "event"] * 10
    scene.terminal.online = True
    scene.pass_ms(0)
    assert listed(scene.sent()) == [(WAITING, "PIN", 1)]


def test_what_waits_survives_a_power_cut_and_goes_as_soon_as_the_terminal_is_online():
    scene = Scene()
    scene.tell(WAITING, "PIN")
    scene.tell(WAITING, "PIN")
    scene.wake()
    scene.sent()
    scene.pass_ms(0)
    assert scene.sent() == []
    scene.terminal.online = True
    scene.pass_ms(0)
    assert listed(scene.sent()) == [(WAITING, "PIN", 2)]
    scene.wake()
    scene.terminal.online = True
    scene.sent()
    scene.pass_ms(WAIT_MS)
    assert scene.sent() == []


def test_a_power_cut_at_any_byte_leaves_each_event_waiting_or_queued_and_never_both():
    scene = Scene()
    scene.tell(WAITING, "PIN")
    before = Flash(scene.flash.files)
    scene.tell(CRITICAL, "badge, copied")
    length = scene.flash.writes[-1]
    outcomes = set()
    for keep_bytes in range(length + 1):
        flash = Flash(before.files)
        scene.flash = flash
        scene.wake()
        scene.terminal.online = True
        flash.cut(1, keep_bytes)
        raises(PowerCut, scene.tell, CRITICAL, "badge, copied")
        flash.power_up()
        scene.wake()
        told = [message for message in scene.sent() if message[0] != "state"]
        outcomes.add((len(listed(told)), len(told), len(scene.terminal.store.keys(PREFIX))))
    assert outcomes == {(0, 0, 1), (1, 2, 0)}


def test_an_event_that_did_not_happen_is_not_taken_for_told():
    scene = Scene()
    reason = Reason("violation", ACTOR_HOST, NOW_S)
    scene.flash.broken = True
    raises(StoreError, scene.terminal.apply, [Suspended(reason)], [("event", {"name": CRITICAL})])
    scene.flash.broken = False
    scene.terminal.apply([Suspended(reason)], [("event", {"name": CRITICAL})])
    assert scene.sent() == [("event", CRITICAL, ""), ("state",)]


def test_a_storage_that_refuses_silences_no_event_and_multiplies_none():
    scene = Scene()
    scene.tell(WAITING, "PIN")
    scene.flash.broken = True
    scene.tell(CRITICAL)
    scene.tell(CRITICAL)
    scene.tell(WAITING, "badge 1")
    sent = scene.sent()
    assert listed(sent) == [(WAITING, "PIN", 1)] and sent[1:] == [("event", CRITICAL, "")]
    scene.flash.broken = False
    scene.pass_ms(WAIT_MS)
    assert listed(scene.sent()) == [(CRITICAL, "", 1), (WAITING, "badge 1", 1)]
    scene.wake()
    assert scene.terminal.store.keys(PREFIX) == []


def test_what_this_version_cannot_read_is_given_up_and_holds_up_nothing():
    scene = Scene()
    for number, record in enumerate((b"\xff", encode(7), encode(["a", "b"]), encode(["a", "b", 1, "many"]))):
        scene.terminal.store.put(PREFIX + "%04d" % number, record)
    scene.tell(WAITING, "PIN")
    scene.pass_ms(WAIT_MS)
    assert listed(scene.sent()) == [(WAITING, "PIN", 1)]
    assert scene.terminal.store.keys(PREFIX) == []
    scene.terminal.store.put(PREFIX + "0000", b"\xff")
    scene.pass_ms(WAIT_MS)
    assert scene.sent() == [] and scene.terminal.store.keys(PREFIX) == []


# Floods, and what is lost.


def test_a_bucket_lets_a_burst_pass_and_then_one_in_each_time():
    time = Time()
    bucket = Bucket(clock(time), 3, 1000)
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    time.now_ms += 999
    assert not bucket.take()
    time.now_ms += 1
    assert bucket.take() and not bucket.take()
    time.now_ms += 100000
    bucket.spill(2)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    bucket.spill(2)  # fills nothing
    assert not bucket.take()


def test_the_first_refusals_get_receipts_and_the_rest_is_counted_by_its_word():
    time = Time()
    refusals = Refusals(clock(time))
    given = [refusals.gets_receipt("unknown_key", False) for _ in range(100)]
    assert given == [True] * RECEIPTS + [False] * (100 - RECEIPTS)
    assert not refusals.gets_receipt("malformed", False)
    assert refusals.sums() == []
    time.now_ms += SUM_MS - 1
    assert refusals.sums() == []
    time.now_ms += 1
    assert refusals.sums() == [("malformed", 1), ("unknown_key", 100 - RECEIPTS)]
    assert refusals.sums() == []
    time.now_ms += RECEIPTS * RECEIPT_MS
    assert refusals.gets_receipt("unknown_key", False) and refusals.sums() == []


def test_forgeries_take_no_receipt_from_the_acquirers_own_messages():
    refusals = Refusals(clock())
    for _ in range(100):
        refusals.gets_receipt("bad_signature", False)
    assert refusals.gets_receipt("replayed", True)


def test_a_flood_of_forgeries_becomes_one_event_and_the_outbox_stays_empty():
    scene = Scene()
    sent = []
    for _ in range(1800):
        if scene.terminal.refusals.gets_receipt("unknown_key", False):
            scene.terminal.send("receipt", {"of": bytes(16), "result": "UKRF", "refusal": "unknown_key", "highest": 0})
        scene.pass_ms(1000)
        sent += scene.sent()
    receipts = len([message for message in sent if message[0] == "receipt"])
    assert receipts <= RECEIPTS + 1800000 // RECEIPT_MS + 1
    batches = [message for message in sent if message[0] == "events"]
    assert len(batches) + receipts == len(sent) and 1 <= len(batches) <= 2
    assert all([(name, detail) == ("messages_refused", "unknown_key") for name, detail, _ in listed(sent)])
    scene.pass_ms(2 * WAIT_MS)
    assert sum([times for _, _, times in listed(sent + scene.sent())]) == 1800 - receipts


def test_what_the_outbox_lost_is_told_once():
    scene = Scene(online=False)
    for _ in range(70):
        scene.terminal.send("report", REPORT)
    assert scene.terminal.outbox.dropped == 6
    scene.pass_ms(1000)
    scene.terminal.send("report", REPORT)
    scene.pass_ms(1000)
    scene.pass_ms(10 * WAIT_MS)
    scene.sent()
    scene.terminal.online = True
    scene.pass_ms(WAIT_MS)
    assert listed(scene.sent()) == [("messages_lost", "", 7)]
    scene.pass_ms(10 * WAIT_MS)
    assert scene.sent() == []
