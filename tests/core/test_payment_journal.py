"""The journal of a payment application: what was begun is known again, whatever the power does."""

from hal.drivers.payment_journal import LONGEST_BYTES, Journal
from hal.errors import DeviceError
from tests.core.parts import Flash, PowerCut
from tests.core.support import raises


def begun(journal):
    return [each.trace for each in journal.unfinished()]


def test_what_is_begun_and_not_ended_is_there_at_the_next_start():
    flash = Flash()
    journal = Journal(flash)
    first = journal.begin("000007", 100, 1795305600)
    second = journal.begin("000007", 2500, 0)
    journal.end(first.trace)
    (found,) = Journal(flash).unfinished()
    assert (found.trace, found.batch, found.amount, found.since) == (second.trace, "000007", 2500, 0)


def test_a_number_is_not_used_again_while_its_transaction_is_unfinished():
    journal = Journal(Flash())
    first = journal.begin("000001", 1, 0)
    journal._trace = 999999
    assert first.trace == "000001" and journal.next_trace() == "000002"
    journal._trace = 0
    assert journal.next_trace() == "000002"


def test_a_power_cut_at_any_byte_forgets_nothing_that_was_begun_and_nothing_that_was_ended():
    cut_at, stopped = 0, True
    while stopped:
        cut_at += 1
        for keep_bytes in (0, 1, 30, 31, 45, 60, 10000):
            flash = Flash()
            flash.cut(cut_at, keep_bytes)
            known, ended = [], []  # calls that returned
            stopped = False
            try:
                journal = Journal(flash)
                for _ in range(3):
                    known.append(journal.begin("000007", 100, 5).trace)
                journal.end(known[0])
                ended.append(known[0])
            except PowerCut:
                stopped = True
            flash.power_up()
            again = Journal(flash)
            found = begun(again)
            for trace in known:  # its end may have been written, and the power gone before that was told
                assert trace in found or trace in ended or (trace == known[0] and len(known) == 3)
            assert not [trace for trace in ended if trace in found]
            later = again.begin("000007", 1, 5).trace
            assert later not in known[1:] and later in begun(Journal(flash))
    assert cut_at > 4


def test_it_stays_small_and_a_cut_while_it_is_written_anew_loses_nothing():
    flash = Flash()
    journal = Journal(flash)
    kept = journal.begin("000007", 100, 5).trace
    writes = 0
    while len(flash.names()) == 1 and flash.names() == ["payment.1"]:
        journal.end(journal.begin("000007", 1, 5).trace)
        writes += 1
        assert flash.size(flash.names()[0]) <= LONGEST_BYTES
    assert flash.names() == ["payment.2"] and writes > 20
    assert begun(Journal(flash)) == [kept]
    before = dict(flash.files)
    for cut_at in (1, 2):
        for keep_bytes in (0, 1, 40, 200, 10000):
            again = Flash(before)
            journal = Journal(again)
            journal._size = LONGEST_BYTES
            again.cut(cut_at, keep_bytes)
            try:
                journal.begin("000007", 1, 5)
            except PowerCut:
                pass
            again.power_up()
            assert kept in begun(Journal(again))
            assert len(again.names()) == 1


def test_what_cannot_be_written_has_not_happened():
    flash = Flash()
    journal = Journal(flash)
    first = journal.begin("000007", 100, 5).trace
    flash.broken = True
    flash.keep_of_broken = 20
    raises(DeviceError, journal.begin, "000007", 100, 5)
    raises(DeviceError, journal.end, first)
    assert begun(journal) == [first]
    flash.broken = False
    journal.end(first)
    assert begun(journal) == [] and begun(Journal(flash)) == []


def test_a_line_that_rotted_costs_no_other():
    flash = Flash()
    journal = Journal(flash)
    traces = [journal.begin("000007", 100, 5).trace for _ in range(3)]
    data = flash.files["payment.1"]
    data[data.index(b"B " + traces[1].encode())] ^= 1
    assert begun(Journal(flash)) == [traces[0], traces[2]]
    for place in range(len(data)):
        rotten = Flash({"payment.1": data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :]})
        assert len(begun(Journal(rotten))) >= 1
