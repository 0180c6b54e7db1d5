"""A memory that was set back: it is noticed by the element's counter, told, and lets no old order in again; and a power cut is none."""

import asyncio

from firmware_agent.boot.rollback import KEY_COUNT, REFUSAL, Rollback
from firmware_agent.identity.identity import Identity
from firmware_agent.messages.inbound import is_fresh
from firmware_agent.messages.outbox import KEY_BOOT_COUNT
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.store import Store
from firmware_agent.terminal import Terminal
from hal.errors import E_FAILURE, DeviceError
from tests.core.parts import Flash, PowerCut
from tests.core.support import raises
from tests.core.terminal_parts import ACQUIRER, TERMINAL, hal_on, provisioned

NONCE = b"12345678"


class Counter:
    """Of an element, which outlasts what is on flash. leaves_out: numbers that the next raise skips; fails: it gives no answer."""

    def __init__(self, at=0):
        self.at = at
        self.leaves_out = 0
        self.fails = False

    async def count(self, increment):
        if self.fails:
            raise DeviceError(E_FAILURE, "secure_element", "no answer")
        if increment:
            self.at += 1 + self.leaves_out
            self.leaves_out = 0
        return self.at


class Boot:
    """A start of the agent, as far as this goes. counter: None for an element without one."""

    def __init__(self, flash, counter):
        self.lines = []
        hal = hal_on(flash)
        if counter is not None:
            hal.secure_element.level = 2
            hal.secure_element.count = counter.count
        self.store = Store(flash)
        self.store.open()
        self.rollback = Rollback(self.store, hal.secure_element, self.lines.append)
        asyncio.run(self.rollback.count_boot())
        self.terminal = Terminal(hal, self.store, Identity.load(self.store), self.lines.append)
        self.terminal.booted()
        self.rollback.tell(self.terminal)

    def take(self, message):
        """As the agent does: refused, or written and counted. Gives the refusal."""
        refusal = self.rollback.refusal(is_fresh(message, NONCE))
        if not refusal:
            self.terminal.apply([], [], self.rollback.writes(message) + [("done", b"")])
            asyncio.run(self.rollback.written(message))
        return refusal

    def told(self):
        messages = [self.terminal.outbox.message(key) for key in self.terminal.outbox.waiting()]
        return [claims.text("detail") for claims in messages if claims.text("name") == "storage_rolled_back"]


def order():
    return Claims(kind_named("order"), TERMINAL, 5, {"action": "self_test"}, ACQUIRER)


def answer(nonce=NONCE):
    return Claims(kind_named("answer"), TERMINAL, 6, {"nonce": nonce}, ACQUIRER)


def new_flash():
    flash = Flash()
    provisioned(flash)
    return flash


def test_starts_orders_and_answers_in_a_row_are_no_rollback():
    flash, counter = new_flash(), Counter()
    for start in range(1, 4):
        boot = Boot(flash, counter)
        assert not boot.rollback.is_set_back and boot.told() == [] and boot.terminal.boot_count == start
        assert boot.take(answer(b"another ")) == "" and boot.take(order()) == "" and boot.take(order()) == ""
    assert counter.at == 9  # three starts, and two orders in each; an answer can be forgotten


def test_an_older_copy_is_noticed_told_and_obeys_nothing_until_its_own_inquiry_is_answered():
    flash, counter = new_flash(), Counter()
    Boot(flash, counter)
    copy = Flash(flash.files)
    before = Boot(flash, counter)
    before.take(order())
    for _ in range(2):  # whatever is switched off and on meanwhile
        boot = Boot(copy, counter)
        assert boot.rollback.is_set_back and boot.told()[-1] == "by 2"
        assert boot.take(order()) == REFUSAL
        assert boot.take(answer(b"an older")) == REFUSAL  # overheard
        assert boot.take(Claims(kind_named("status"), TERMINAL, 7, {"application": 1, "status": "approved"}, ACQUIRER)) == REFUSAL
    assert boot.take(answer()) == ""
    assert not boot.rollback.is_set_back and boot.take(order()) == ""
    after = Boot(copy, counter)
    assert not after.rollback.is_set_back and after.take(order()) == ""


def test_a_copy_that_was_made_in_this_very_start_is_noticed_when_an_order_came_after_it():
    flash, counter = new_flash(), Counter()
    boot = Boot(flash, counter)
    copy = Flash(flash.files)
    boot.take(order())
    assert Boot(copy, counter).rollback.is_set_back


def test_a_memory_from_before_the_first_start_and_one_that_is_new_to_a_used_element_are_set_back():
    flash, counter = new_flash(), Counter()
    copy = Flash(flash.files)
    Boot(flash, counter)
    assert Boot(copy, counter).rollback.is_set_back
    assert Boot(new_flash(), Counter(9)).told() == ["by 9"]


def test_after_it_no_sequence_is_used_again():
    """Or the acquirer would take the event for one that it has had."""
    flash, counter = new_flash(), Counter()
    copy = Flash(flash.files)
    highest = 0
    for _ in range(5):
        boot = Boot(flash, counter)
        highest = max(highest, boot.terminal.outbox.next_sequence())
    counter.fails = True
    for _ in range(3):  # starts that only the store has counted
        highest = max(highest, Boot(flash, counter).terminal.outbox.next_sequence())
    counter.fails = False
    assert Boot(copy, counter).terminal.outbox.next_sequence() > highest


def test_cut_off_at_any_write_of_a_start_or_an_order_nothing_looks_set_back():
    before, at = new_flash(), Counter()
    Boot(before, at)

    def run(flash, counter):
        Boot(flash, counter).take(order())

    whole = Flash(before.files)
    run(whole, Counter(at.at))
    assert len(whole.writes) >= 2
    for write, length in enumerate(whole.writes):
        for keep_bytes in sorted({0, 1, length // 2, max(0, length - 1), length}):
            flash, counter = Flash(before.files), Counter(at.at)
            flash.cut(write + 1, keep_bytes)
            raises(PowerCut, run, flash, counter)
            flash.power_up()
            boot = Boot(flash, counter)
            assert not boot.rollback.is_set_back, (write, keep_bytes)
            copy = Flash(flash.files)
            boot.take(order())
            assert Boot(copy, counter).rollback.is_set_back


def test_a_power_cut_between_the_write_and_the_counter_is_no_rollback():
    flash, counter = new_flash(), Counter()
    boot = Boot(flash, counter)
    boot.terminal.apply([], [], boot.rollback.writes(order()))
    again = Boot(flash, counter)
    assert not again.rollback.is_set_back and counter.at == 2


def test_cut_off_while_it_is_found_it_is_found_again():
    flash, counter = new_flash(), Counter()
    copy = Flash(flash.files)
    Boot(flash, counter)
    whole = Flash(copy.files)
    Boot(whole, Counter(counter.at))
    for write, length in enumerate(whole.writes):
        for keep_bytes in (0, length // 2, length):
            cut, at = Flash(copy.files), Counter(counter.at)
            cut.cut(write + 1, keep_bytes)
            raises(PowerCut, Boot, cut, at)
            cut.power_up()
            boot = Boot(cut, at)
            assert boot.rollback.is_set_back and boot.told() and boot.take(order()) == REFUSAL
            assert boot.terminal.boot_count > 1000


def test_a_number_that_a_disturbed_line_left_out_is_no_rollback():
    flash, counter = new_flash(), Counter()
    counter.leaves_out = 1
    boot = Boot(flash, counter)
    counter.leaves_out = 2
    boot.take(order())
    assert not Boot(flash, counter).rollback.is_set_back


def test_an_element_that_fails_or_has_no_counter_is_no_rollback_and_starts_are_counted_all_the_same():
    flash = new_flash()
    failing = Counter()
    failing.fails = True
    for start, counter in ((1, failing), (2, None), (3, Counter())):
        boot = Boot(flash, counter)
        assert boot.terminal.boot_count == start and not boot.rollback.is_set_back and boot.take(order()) == ""
    failing.fails = False
    boot = Boot(new_flash(), failing)
    failing.fails = True
    assert boot.take(order()) == "" and boot.store.get(KEY_COUNT) is not None
    failing.fails = False
    assert not Boot(new_flash(), Counter()).rollback.is_set_back


def test_a_memory_that_refuses_to_be_written_does_not_fall_behind():
    flash, counter = new_flash(), Counter()
    Boot(flash, counter)
    flash.broken = True
    boot = Boot(flash, counter)
    assert boot.store.is_held(KEY_BOOT_COUNT) and counter.at == 1
    flash.broken = False
    assert not Boot(flash, counter).rollback.is_set_back
