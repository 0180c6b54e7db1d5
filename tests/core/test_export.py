"""The last self-test run, kept and given out: the same report whenever it is asked for, and documents that readers take."""

import json

from firmware_agent.messages.signed_text import decode_text, encode_text
from firmware_agent.selftest.export import json_lines, junit_lines, last_run
from firmware_agent.selftest.phases import Measure, Phase
from firmware_agent.selftest.run import self_test
from firmware_agent.selftest.subject import Subject
from firmware_agent.terminal import KEY_REPORT
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.errors import CH_INTERNAL, E_FAILURE, E_TIMEOUT
from tests.core.parts import Flash, Time
from tests.core.terminal_parts import ACQUIRER, TERMINAL, boot, provisioned

NASTY = 'a "quoted" <tag> & \\ \t\n\x00\x1f\x7f 陈 ● \ufffe'


def gives(answer):
    async def task(subject):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return task


def phases():
    """One of each outcome, by the names of phases that every terminal has, and at last of one that this terminal has not: of that, nothing
    but the report is kept.
    """
    changed = Health(HEALTH_FAIL, "firmware", "file_changed", E_FAILURE, 0, NASTY)
    ending = Health(HEALTH_SUCCESS, "certificate", measurements={"days_left": 9})
    days = (Measure("days_left", "certificate_ends", low=0, marginal_low=30),)
    return [
        Phase(1, "power", "power", CH_INTERNAL, gives(Health(HEALTH_SUCCESS, "power")), 1000),
        Phase(2, "firmware", "firmware", CH_INTERNAL, gives(changed), 1000),
        Phase(7, "certificate", "certificate", CH_INTERNAL, gives(ending), 1000, 0, days),
        Phase(4, "clock", "time", CH_INTERNAL, gives(Health(HEALTH_NOT_RUN, "clock", "not_set")), 1000),
        Phase(5, "secure_element", "chip", CH_INTERNAL, gives(Health(HEALTH_FAIL, "secure_element", "no_answer", E_TIMEOUT)), 1000),
        Phase(6, "secure_element.keys", "keys", CH_INTERNAL, gives(ValueError("a defect of its own")), 1000),
        Phase(3, "storage", "files", CH_INTERNAL, gives(Health(HEALTH_FAIL, "storage", "own_word", E_FAILURE)), 1000),
        Phase(30, "keypad.keys", "keypads", CH_INTERNAL, gives(Health(HEALTH_NOT_RUN, "keypad", "not_answered")), 1000),
    ]


class World:
    def __init__(self, is_set=True, run_phases=None):
        self.flash = Flash()
        provisioned(self.flash)
        self.time = Time()
        self.terminal = boot(self.flash, self.time, is_set, ())
        subject = Subject(self.terminal.hal, self.terminal)
        self.time.run(self_test(subject, "full", lambda result: None, phases() if run_phases is None else run_phases))

    def lines(self, form):
        run = last_run(self.terminal)
        return list(form(run))


def test_there_is_no_last_run_before_the_first_and_none_that_cannot_be_read():
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, Time())
    assert terminal.last_report() is None and last_run(terminal) is None
    for record in (b"\xff", b"\x80", b"\x85\x18\x63\x01\x01\x00\xa0"):
        terminal.store.put(KEY_REPORT, record)
        assert last_run(terminal) is None


def test_the_report_kept_is_the_one_that_was_queued_for_that_run():
    world = World()
    terminal = world.terminal
    (queued,) = [
        message for message in [terminal.outbox.message(key) for key in terminal.outbox.waiting()] if message.kind.name == "report"
    ]
    kept = terminal.last_report()
    assert kept.to_map() == queued.to_map()
    for key in terminal.outbox.waiting():  # the broker has it all
        terminal.outbox.remove(key)
    terminal = boot(world.flash, Time(), False, ())
    assert terminal.last_report().to_map() == queued.to_map()  # with the boot count and the time of then


def test_the_signed_text_of_it_carries_the_same_claims():
    world = World()
    run = last_run(world.terminal)
    world.time.run(world.terminal.hal.secure_element.generate_key(0))
    where, message = world.time.run(world.terminal.signed(run.claims))
    topic, carried = decode_text(encode_text(ACQUIRER, message))
    assert topic == where == "poi/v1/acq1/T0000001/report"
    assert carried == message


def test_no_other_message_takes_the_place_of_the_report():
    world = World()
    kept = world.terminal.last_report().sequence
    world.terminal.apply([], [("event", {"name": "safe_mode"}), ("test", {"name": "print", "outcome": "pass"})])
    assert world.terminal.last_report().sequence == kept


def test_the_json_is_one_document_with_all_that_is_known():
    world = World()
    document = json.loads("\n".join(world.lines(json_lines)))
    assert document["terminal"] == TERMINAL and document["plan"] == "full" and document["board"] == "test_board"
    assert document["at"] == "2026-11-22T00:00:00Z"
    assert document["firmware"] and document["sequence"] == world.terminal.last_report().sequence
    results = {}
    for result in document["results"]:
        results[result["phase"]] = result
    assert [result["phase"] for result in document["results"]] == [phase.id for phase in phases()]
    assert results["power"]["outcome"] == "pass" and results["power"]["cause"] is None
    assert results["power"]["mends"] is None and results["storage"]["mends"] is None
    assert results["firmware"]["detail"] == NASTY
    assert results["firmware"]["error"] == "E_FAILURE"
    assert (results["firmware"]["mends"], results["firmware"]["next"]) == ("technician", "tamper")
    assert results["certificate"]["measurements"] == {"days_left": 9}
    assert results["certificate"]["outcome"] == "pass" and results["certificate"]["cause"] == "certificate_ends"
    assert results["certificate"]["needs_network"] is True
    assert [results[phase.id]["outcome"] for phase in phases()] == ["pass", "fail", "pass", "skip", "timeout", "error", "fail", "aborted"]
    causes = [finding["cause"] for finding in document["findings"]]
    assert causes[0] == "file_changed" and "own_word" in causes and "certificate_ends" in causes
    assert [finding["mends"] for finding in document["findings"] if finding["cause"] == "own_word"] == ["technician"]
    assert [finding["marginal"] for finding in document["findings"] if finding["cause"] == "certificate_ends"] == [True]


def test_a_run_of_an_unset_clock_has_no_time():
    world = World(is_set=False)
    assert json.loads("\n".join(world.lines(json_lines)))["at"] is None
    assert not any("timestamp" in line for line in world.lines(junit_lines))


def test_a_run_without_findings_and_one_without_phases_are_whole_documents_too():
    for run_phases in (phases()[:1], []):
        world = World(run_phases=run_phases)
        document = json.loads("\n".join(world.lines(json_lines)))
        assert len(document["results"]) == len(run_phases) and document["findings"] == []
        assert world.lines(junit_lines)[-1] == "</testsuites>"


def test_the_junit_counts_what_did_not_pass():
    lines = World().lines(junit_lines)
    assert 'tests="8" failures="3" errors="2" skipped="1"' in lines[2]
    assert 'timestamp="2026-11-22T00:00:00"' in lines[2]
    cases = [line.strip() for line in lines if "<testcase" in line]
    assert [case.split('name="')[1].split('"')[0] for case in [case.replace("classname=", "class=") for case in cases]] == [
        phase.id for phase in phases()
    ]
    elements = ("failure", "error", "skipped", "system-out")
    told = [[element for element in elements if "<%s" % element in case] for case in cases]
    assert told == [[], ["failure"], ["system-out"], ["skipped"], ["failure"], ["error"], ["failure"], ["error"]]


def test_both_documents_are_plain_ascii_whatever_a_detail_holds():
    for form in (json_lines, junit_lines):
        for line in World().lines(form):
            assert all(" " <= character <= "~" for character in line), line


def test_the_junit_holds_nothing_that_xml_has_no_place_for():
    text = "\n".join(World().lines(junit_lines))
    assert "&quot;quoted&quot; &lt;tag&gt; &amp; \\ &#9;&#10;??&#127; &#38472; &#9679; ?" in text
