"""Practice: each operation once, marked as such wherever it is seen, recorded, and gone on with after a power cut; no host is asked."""

from firmware_agent.flows.menu.training_flow import training_flow
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.events import PREFIX as EVENTS
from firmware_agent.prevention.training import KEY_DONE, KEY_NOW, MOST, OPERATIONS, progress, records
from firmware_agent.settings import Settings
from hal.errors import E_EXTENDED, DeviceError
from tests.core.parts import NOW_S, Flash, PowerCut, Time
from tests.core.person import Person, Slips
from tests.core.terminal_parts import boot, provisioned

SALE = "1 2 5 0 enter 1 1"
REFUND = "2 5 0 enter 1 1"
REST = "1 1 1 1 1"
ALL = " ".join(("1 7 enter", SALE, REFUND, REST))


class NoHost:
    """A payment device that must not be touched."""

    def __getattr__(self, name):
        raise AssertionError("practice asks the payment host: %s" % name)


class World:
    def __init__(self):
        self.flash = Flash()
        provisioned(self.flash)
        self.restart()

    def restart(self):
        self.flash.power_up()
        self.terminal = boot(self.flash, Time())
        self.terminal.hal.payment = NoHost()
        self.settings = Settings(self.terminal.store)

    def practise(self, keys, slips=None):
        person = Person(keys, slips)
        Time().run(training_flow(self.terminal, person, self.settings, lambda: False))
        return person

    def told(self):
        return [tuple(decode(self.terminal.store.get(key))[:2]) for key in self.terminal.store.keys(EVENTS)]


def test_each_operation_once_and_who_did_it_is_recorded_and_told():
    world = World()
    person = world.practise(ALL)
    for operation in OPERATIONS:
        assert "practice." + operation in person.names
    assert person.names[-1] == "training.done"
    assert records(world.terminal.store) == [("7", NOW_S)] and progress(world.terminal.store) is None
    assert world.told() == [("training_done", "staff 7: sale, refund, reprint, settlement, suspension")]


def test_each_page_and_each_slip_says_that_it_is_practice():
    slips = Slips()
    person = World().practise(ALL, slips)
    for page in person.pages:
        assert page.title.startswith(("training.", "practice.")) and page.title.split(" ")[0].endswith(".title"), page.title
    assert slips.lines.count("practice.mark") == 2 * 4  # above and below of each of four slips
    for page in person.pages:
        if page.name.endswith(".slip"):
            assert page.lines[0] == page.lines[-1] == "practice.mark"
    assert "practice.copy" in slips.lines and "practice.amount 12.50" in slips.lines and "practice.amount 2.50" in slips.lines
    assert "practice.settlement.sales 12.50 1" in slips.lines


def test_nothing_goes_out_but_the_record():
    world = World()
    before = len(world.terminal.outbox.waiting())
    world.practise(ALL, Slips())
    assert len(world.terminal.outbox.waiting()) == before and len(world.told()) == 1


def test_without_printer_and_with_a_broken_one_the_slip_is_shown():
    for slips in (None, Slips(DeviceError(E_EXTENDED, "printer", "", 0, "paper_out"))):
        person = World().practise(ALL, slips)
        assert "practice.amount 12.50" in person.page("practice.sale.slip").lines and person.names[-1] == "training.done"


def test_an_amount_is_more_than_nothing_and_a_refund_no_more_than_the_sale():
    person = World().practise("1 7 enter 0 enter 1 0 0 enter 1 1 1 0 1 enter 1 0 0 enter cancel")
    lines = " ".join([line for page in person.pages for line in page.lines])
    assert "practice.too_much 99999.99" in lines and "practice.too_much 1.00" in lines


def test_who_practises_has_a_number_of_1_to_6_digits():
    person = World().practise("1 enter 1 2 3 4 5 6 7 enter cancel")
    assert "training.number_needed" in " ".join([line for page in person.pages for line in page.lines])
    assert person.names[-1] == "practice.sale.amount"


def test_what_was_left_goes_on_where_it_was_also_after_a_power_cut():
    world = World()
    world.practise("1 7 enter " + SALE + " cancel")
    left = progress(world.terminal.store)
    assert (left.staff, left.done, left.sale) == ("7", 1, 1250)
    world.restart()
    person = world.practise("2 " + REFUND + " " + REST)
    assert "practice.sale.amount" not in person.names and person.names[-1] == "training.done"
    assert "training.left 7 practice.refund" in person.pages[0].lines


def test_a_power_cut_in_the_record_leaves_the_operation_to_be_done_again():
    world = World()
    world.flash.cut(1, 0)
    try:
        world.practise("1 7 enter " + SALE)
        raise AssertionError("the power went nowhere")
    except PowerCut:
        pass
    world.restart()
    assert progress(world.terminal.store) is None and records(world.terminal.store) == []


def test_to_begin_anew_is_warned_of():
    world = World()
    world.practise("1 7 enter " + SALE + " cancel")
    assert world.practise("3 1").names == ["training", "warn"]
    assert world.practise("3 2 8 enter cancel").names[-1] == "practice.sale.amount"
    assert progress(world.terminal.store).staff == "7"  # until something new is done
    world.practise("3 2 8 enter " + SALE + " cancel")
    assert progress(world.terminal.store).staff == "8"


def test_the_last_eight_are_kept():
    world = World()
    world.terminal.store.put(KEY_DONE, encode([[str(number), 0] for number in range(MOST)]))
    world.practise(ALL)
    assert [staff for staff, _ in records(world.terminal.store)] == ["1", "2", "3", "4", "5", "6", "7", "7"]
    assert "training.last 7 2026-11-22 08:00" in world.practise("cancel").pages[0].lines


def test_records_that_cannot_be_read_are_none():
    store = World().terminal.store
    for rotten in (b"\xff", encode(7), encode(["7", 9, 0, 0]), encode([7, 1, 0, 0]), encode(["x", 1, 0, 0]), encode([])):
        store.put(KEY_NOW, rotten)
        store.put(KEY_DONE, rotten)
        assert progress(store) is None and records(store) == []
