"""A storage that refuses to be written, at any write: no state changes that is not kept, and nothing that happened stays untold."""

import asyncio

from firmware_agent.agent import Agent
from firmware_agent.boot.rollback import Rollback
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.outbox import SEQUENCES, UNCOUNTED
from firmware_agent.messages.schema import Claims, kind_named, topic
from firmware_agent.selftest.phases import PASS
from firmware_agent.selftest.plans import DAILY
from firmware_agent.selftest.report import from_list
from firmware_agent.selftest.run import DAY_S, KEY_RUN, daily_is_due, last_result
from firmware_agent.state.machine import IN_SERVICE, SUSPENDED, FunctionTestPassed, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from firmware_agent.store import StoreError
from firmware_agent.terminal import KEY_WALL, STORAGE_AGAIN_MS, load_state
from hal.clock import TRUST_NONE
from hal.drivers.software_key import SoftwareKey
from hal.errors import E_FAILURE, DeviceError
from tests.core.parts import NOW_S, Flash, QuickCurve, Time, enabled
from tests.core.selftest_parts import PHASES, World, serving_flash
from tests.core.support import raises
from tests.core.terminal_parts import ACQUIRER, TERMINAL, boot

VIOLATION = Reason("violation", ACTOR_HOST, NOW_S, case="C-1")


class RefusingFlash(Flash):
    """Refuses the writes from the `first`-th to the `last`-th, counted from `begin`: by append and remove, and what fails counts, too."""

    def __init__(self, files=None, cause="full"):
        Flash.__init__(self, files)
        self.cause = cause
        self.begin(0, 0)

    def begin(self, first, last=10**9):
        self.asked = 0
        self.writes = []  # thousands of them would fill a small heap
        self.first, self.last = first, last

    def mend(self):
        self.begin(0, 0)

    def append(self, name, data):
        self._ask()
        Flash.append(self, name, data)

    def remove(self, name):
        self._ask()
        Flash.remove(self, name)

    def _ask(self):
        self.asked += 1
        if self.first <= self.asked <= self.last:
            raise DeviceError(E_FAILURE, "storage", "refused", cause=self.cause)


def queued(terminal):
    return [terminal.outbox.message(key) for key in terminal.outbox.waiting()]


def told(terminal, kind):
    return [claims.body for claims in queued(terminal) if claims.kind.name == kind]


def outcomes(report):
    return [(result.phase, result.outcome, result.cause) for result in [from_list(values) for values in report["results"]]]


def watched(terminal, time, duration_ms):
    """As the agent's housekeeping does, for so long."""
    until_ms = time.now_ms + duration_ms
    while time.now_ms < until_ms:
        terminal.watch_storage()
        time.now_ms += 1000


# The self-test.


def test_a_self_test_ends_and_is_reported_whatever_write_is_refused():
    """From any write on, and any write alone. What it found is in the state, and on flash, or in neither."""
    files = serving_flash().files
    flash = RefusingFlash(files)
    world = World(flash)
    flash.begin(0, 0)
    assert world.found(printer="cutter_jam") == [("printer", "cutter_jam")]
    writes = flash.asked
    expected = outcomes(world.reports()[0])
    assert writes >= 2 * len(PHASES)
    modes = set()
    for is_alone in (False, True):
        for first in range(1, writes + 1):
            flash = RefusingFlash(files)
            world = World(flash)
            flash.begin(first, first if is_alone else 10**9)
            assert world.found(printer="cutter_jam") == [("printer", "cutter_jam")]
            terminal = world.terminal
            (report,) = world.reports()
            assert outcomes(report) == expected
            assert load_state(terminal.store).to_list() == terminal.state.to_list()
            assert last_result(terminal, "printer")[2].cause == "cutter_jam"
            assert terminal.last_report().body == report
            modes.add((is_alone, terminal.state.mode))
            sequences = [claims.sequence for claims in queued(terminal)]
            # Whoever pulls the plug now has the state that was told, if it was told.
            woken = boot(Flash(flash.files))
            assert woken.state.to_list() == terminal.state.to_list()
            assert ("state" in [claims.kind.name for claims in queued(woken)]) == (terminal.state.mode == SUSPENDED)
            flash.mend()
            assert terminal.store.keep([])
            woken = boot(flash)
            assert [claims.sequence for claims in queued(woken)] == sequences
            assert last_result(woken, "printer")[2].cause == "cutter_jam"
            assert woken.store.keys(KEY_RUN) == []
            assert woken.outbox.next_sequence() > max(sequences)
    # What is refused at the very end, with the state, is lost; what was refused before and is taken again then is not.
    assert modes == {(False, IN_SERVICE), (True, IN_SERVICE), (True, SUSPENDED)}


def test_the_next_self_test_takes_into_the_state_what_could_not_be_written():
    flash = RefusingFlash(serving_flash().files)
    world = World(flash)
    flash.begin(1)
    world.found(printer="cutter_jam")
    assert world.terminal.state.mode == IN_SERVICE
    flash.mend()
    world.found(printer="cutter_jam")
    assert world.terminal.state.mode == SUSPENDED and world.reasons == [("hardware_fault", "printer", "cutter_jam")]


def test_a_daily_self_test_that_could_not_be_written_is_not_begun_again_and_again():
    flash = RefusingFlash(serving_flash().files)
    world = World(flash)
    flash.begin(1)
    world.time.now_ms += DAY_S * 1000
    assert daily_is_due(world.terminal)
    world.run(plan=DAILY)
    assert not daily_is_due(world.terminal)
    (report,) = world.reports()
    assert [outcome for _, outcome, _ in outcomes(report)] == [PASS] * len(PHASES)


# State and messages.


def serving(flash):
    terminal = boot(flash, Time())
    assert terminal.state.mode == IN_SERVICE
    return terminal


def test_no_state_changes_that_is_not_kept_and_no_application_of_it_is_sent():
    flash = RefusingFlash(serving_flash().files)
    terminal = serving(flash)
    flash.begin(1)
    before = terminal.state.to_list()
    seen = terminal.changes_seen
    assert raises(StoreError, terminal.apply, [Suspended(VIOLATION)], [("event", {"name": "safe_mode"})]).code == "medium"
    assert queued(terminal) == []
    assert not terminal.tell([("test", {"name": "print", "outcome": "pass"})], [Suspended(VIOLATION), FunctionTestPassed("print")])
    assert terminal.state.to_list() == before and terminal.changes_seen == seen
    assert [(claims.kind.name, claims.body) for claims in queued(terminal)] == [("test", {"name": "print", "outcome": "pass"})]


def test_a_boot_that_cannot_be_counted_knows_its_state_and_tells_of_itself():
    flash = RefusingFlash(serving_flash().files)
    terminal = serving(flash)
    terminal.apply([Suspended(VIOLATION)])
    flash.begin(1)
    woken = boot(flash)
    assert woken.state.to_list() == terminal.state.to_list() and woken.boot_count == terminal.boot_count + 1
    woken.send("event", {"name": "safe_mode"})
    before, after = queued(woken)[-2:]
    assert (before.kind.name, after.kind.name) == ("state", "event") and after.sequence > before.sequence
    assert after.boot_count == woken.boot_count
    assert woken.boot_count * SEQUENCES <= after.sequence < woken.boot_count * SEQUENCES + UNCOUNTED


def test_uncounted_boots_one_after_the_other_use_sequences_that_grow_with_the_time():
    files = serving_flash().files
    flash = RefusingFlash(files)
    boot(flash).store.put(KEY_WALL, encode(NOW_S - 3600))
    flash.begin(1)
    taken = []
    for passed_s in (0, 20, 100, 40 * 86400):
        terminal = boot(flash)
        terminal.hal.clock.set_wall(NOW_S + passed_s)
        terminal = at_that_time(flash, terminal)
        taken.append(terminal.outbox.next_sequence())
        taken.append(terminal.outbox.next_sequence())
    assert taken == sorted(set(taken))
    flash.mend()
    assert boot(flash).outbox.next_sequence() > max(taken)


def at_that_time(flash, terminal):
    """The terminal as it would have been made with its clock as it is now."""
    again = type(terminal)(terminal.hal, terminal.store, terminal.identity, terminal.log)
    assert again.boot_count == terminal.boot_count
    return again


def test_uncounted_boots_without_a_clock_begin_at_different_places():
    flash = RefusingFlash(serving_flash().files)
    flash.begin(1)
    places = set()
    for _ in range(5):
        terminal = boot(flash, is_set=False)
        assert terminal.hal.clock.trust == TRUST_NONE
        places.add(terminal.outbox.next_sequence())
    assert len(places) == 5


# What is said of it.


def test_it_is_said_once_when_it_begins_and_once_when_it_is_over():
    for cause in ("full", "not_writable"):
        time = Time()
        flash = RefusingFlash(serving_flash().files, cause)
        terminal = boot(flash, time)
        watched(terminal, time, 60000)
        assert queued(terminal) == [] and terminal.storage_refusal == ""
        flash.begin(1)
        terminal.send("event", {"name": "sign_on_refused"})
        seen = terminal.changes_seen
        watched(terminal, time, 1000)
        assert terminal.storage_refusal == cause and terminal.changes_seen == seen + 1  # so that the page tells it
        watched(terminal, time, 120000)
        assert told(terminal, "event")[1:] == [{"name": "storage_refuses", "detail": cause + ": reports go on from memory"}]
        flash.mend()
        watched(terminal, time, STORAGE_AGAIN_MS + 1000)
        assert terminal.storage_refusal == "" and terminal.changes_seen == seen + 2
        watched(terminal, time, 120000)
        assert [event["name"] for event in told(terminal, "event")] == ["sign_on_refused", "storage_refuses", "storage_works"]
        assert [line for line in terminal.lines if line.startswith("storage")] == [
            "storage refuses: %s; reports go on from memory" % cause,
            "storage works again",
        ]
        assert told(boot(flash), "event") == told(terminal, "event")


def test_a_storage_that_hovers_about_full_is_not_told_of_all_the_time():
    time = Time()
    flash = RefusingFlash(serving_flash().files)
    terminal = boot(flash, time)
    for number in range(300):
        flash.begin(*((1,) if number % 2 else (0, 0)))
        terminal.store.keep([("test.x", encode(number))])
        watched(terminal, time, 1000)
    assert [event["name"] for event in told(terminal, "event")] == ["storage_refuses", "storage_works"]
    flash.mend()
    terminal.online = True
    terminal.send("event", {"name": "sign_on_refused"})
    (batch,) = told(terminal, "events")
    times = [event[3] for event in batch["events"]]
    assert len(times) == 2 and 4 < min(times) <= max(times) <= 300000 // STORAGE_AGAIN_MS + 1


# What the acquirer sends.

ELEMENT = enabled(SoftwareKey(Flash(), QuickCurve()))
ACQUIRER_KEY = asyncio.run(ELEMENT.generate_key(0))


class Heard:
    """In the place of counter, courier and path: what they were told."""

    asked = b"12345678"

    def __init__(self):
        self.plans = []
        self.nonces = []

    def ask_self_test(self, plan):
        self.plans.append(plan)

    def answered(self, nonce, at_ms):
        self.nonces.append(nonce)


class Arriving:
    """A message as a link gives it."""

    def __init__(self, where, payload):
        self.topic = where
        self.payload = payload


def bring(terminal, heard, kind, sequence, body):
    """Have a message of the acquirer's arrive; gives the receipt."""
    where = topic(ACQUIRER, TERMINAL, kind)
    claims = Claims(kind_named(kind), TERMINAL, sequence, body, ACQUIRER, NOW_S + sequence, NOW_S + 3600)
    agent = Agent(terminal.hal, None, terminal.lines.append, None, None)
    terminal.identity.acquirer_keys = [ACQUIRER_KEY]
    rollback = Rollback(terminal.store, terminal.hal.secure_element, terminal.lines.append)

    async def arrive():
        message = await sign(ELEMENT, 0, key_id(ACQUIRER_KEY), encode(claims.to_map()), where)
        await agent._arrived(terminal, rollback, heard, heard, heard, Arriving(where, message))

    asyncio.run(arrive())
    return told(terminal, "receipt")[-1]


def test_an_order_that_cannot_be_kept_is_not_obeyed_and_is_refused_by_its_name():
    flash = RefusingFlash(serving_flash().files)
    terminal = boot(flash)
    heard = Heard()
    flash.begin(1)
    for sequence, body in ((3, {"action": "suspend", "reason": "violation"}), (4, {"action": "self_test"})):
        receipt = bring(terminal, heard, "order", sequence, body)
        assert (receipt["result"], receipt["refusal"]) == ("OVER", "not_kept")
        assert (receipt["sequence"], receipt["highest"]) == (sequence, 0)
    assert terminal.state.mode == IN_SERVICE and heard.plans == [] and terminal.highest == 0
    assert told(terminal, "state") == []
    flash.mend()
    receipt = bring(terminal, heard, "order", 3, {"action": "suspend", "reason": "violation"})  # which is no replay
    assert (receipt["result"], receipt["highest"]) == ("SUCC", 3) and terminal.state.mode == SUSPENDED
    assert boot(flash).highest == 3


def test_an_answer_needs_no_storage_and_is_taken_once():
    flash = RefusingFlash(serving_flash().files)
    terminal = boot(flash)
    heard = Heard()
    flash.begin(1)
    receipt = bring(terminal, heard, "answer", 5, {"nonce": b"12345678"})
    assert receipt["result"] == "SUCC" and receipt["highest"] == 5
    assert heard.nonces == [b"12345678"] and terminal.wall_s == NOW_S + 5
    receipt = bring(terminal, heard, "answer", 5, {"nonce": b"12345678"})
    assert receipt["refusal"] == "replayed" and heard.nonces == [b"12345678"]
    flash.mend()
    assert terminal.store.keep([])
    assert boot(flash).highest == 5
