"""What is kept, line by line for a person: the summary, the operation log, the audit."""

from firmware_agent.flows.menu.records_pages import audit_lines, head_of, operation_lines, summary_lines
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.records.audit_report import AuditReport
from firmware_agent.records.evidence import BROKEN, PREFIX, UNKEPT
from firmware_agent.records.summary import summary_now
from tests.core.evidence_parts import key
from tests.core.parts import NOW_S, Time
from tests.core.records_parts import DIGEST, Shop, Words
from tests.core.selftest_parts import serving_flash
from tests.core.terminal_parts import TERMINAL, boot

OFFSET_MIN = 480


def recovered():
    terminal = boot(serving_flash(), Time())
    Shop(terminal).recover()
    terminal.watch_suspension()
    return terminal


def test_a_summary_is_told_with_cause_times_steps_tests_and_advice():
    lines = list(summary_lines(Words(), summary_now(recovered()), OFFSET_MIN))
    assert lines[:8] == [
        "slip.terminal terminal=T0000001",
        "summary.number number=1",
        "suspended.reason reason=reason.violation",
        "suspended.code code=S6 violation",
        "suspended.case case=C-2026-1107",
        "suspended.since since=2026-11-22 08:00",
        "summary.until until=2026-11-22 08:12",
        "summary.took hours=0 minutes=12",
    ]
    assert "2026-11-22 08:00 moment.suspended reason=reason.violation" in lines
    assert "2026-11-22 08:06 moment.applied number=1" in lines
    assert "summary.test count=1 outcome=outcome.pass test=test.print" in lines
    assert lines[-2:] == ["summary.advice", "advice.violation"] and "summary.gaps" not in lines


def test_an_incident_report_says_that_it_goes_on_and_that_something_is_missing():
    terminal = boot(serving_flash(), Time())
    shop = Shop(terminal)
    shop.suspend()
    shop.steps()
    terminal.store.remove(terminal.store.keys(PREFIX)[-2])
    lines = list(summary_lines(Words(), summary_now(terminal), OFFSET_MIN))
    assert "summary.goes_on" in lines and "summary.gaps" in lines
    assert not [line for line in lines if line.startswith(("summary.took", "summary.until"))]


def test_a_summary_of_a_newer_version_is_told_as_far_as_it_is_known():
    body = {
        "number": 1,
        "reasons": [[2, 1, 0, 0, "newer"], [99, 0]],
        "steps": [[0, 0, 99], [99]],
        "tests": [["newer", 2, "newer", 0], "x", []],
        "people": [[0, "T-0042"], [1, "7"], [9]],
        "advice": [2, 99, "x"],
    }
    lines = list(summary_lines(Words(), Claims(kind_named("summary"), TERMINAL, 1, body), 0))
    assert "suspended.component device=newer" in lines and "menu.no_time moment.suspended reason=-" in lines
    assert "summary.test count=2 outcome=newer test=newer" in lines and lines[-1] == "advice.hardware_fault"
    assert "summary.technician number=T-0042" in lines and "summary.staff number=7" in lines


def test_the_operation_log_tells_who_did_what_the_newest_first():
    terminal = recovered()
    terminal.send("event", {"name": "signed_on", "detail": "badge T-0042"})
    lines = list(operation_lines(Words(), terminal, OFFSET_MIN))
    assert lines[0] == "2026-11-22 08:13 op.event.signed_onop.andop.detail.badge number=T-0042"
    told = [line[17:] for line in lines]
    in_order = [
        "op.order.suspendop.andreason.violationop.andC-2026-1107",
        "op.chosen text=suspended.choice.1",
        "op.did.RecoveryStarted",
        "op.application number=1",
        "op.message.statusop.andreview.approved",
        "op.did.Registered",
        "op.order.liftop.andreason.violation",
        "op.test outcome=outcome.pass test=test.print",
        "op.back",
    ]
    places = [told.index(words) for words in in_order]
    assert places == sorted(places, reverse=True)
    assert "op.did.Suspendedop.andreason.violation" in told


def log_of(*facts):
    """The operation log of a terminal with these facts in one entry."""
    terminal = boot(serving_flash(), Time())
    before = len(list(operation_lines(Words(), terminal, 0)))
    terminal.apply([], facts=list(facts))
    lines = list(operation_lines(Words(), terminal, 0))
    return [line[17:] for line in lines[: len(lines) - before]]


def test_every_kind_of_fact_is_told():
    for fact, told in (
        (["accepted", "credentials", 7, DIGEST], "op.message.credentials"),
        (["accepted", "newer", 7, DIGEST, "word"], "newerop.andword"),
        (["accepted", "order", 7, DIGEST, "newer"], "newer"),
        (["refused", "expired", 4, DIGEST], "op.refused count=4 detail=op.detail.expired number="),
        (["report", "daily", "1", [[10, 1, 40]]], "op.report count=1 plan=plan.daily"),
        (["report", "device.printer", "1", []], "op.report count=0 plan=device.printer"),
        (["test", "print", "fail", "paper_out"], "op.test outcome=outcome.fail test=test.print"),
        (["event", "storage_refuses", "full", 1], "op.event.storage_refusesop.andop.detail.full number="),
        (["event", "newer", "", 1], "newer"),
        (["event", "newer", "newer 2", 1], "newerop.andnewer 2"),
        (["event", "newer", "3 crashes; newer: newer x9", 1], "newerop.andop.detail.crashes number=3op.andnewerop.andnewer x9"),
        (["shown", "suspended", 1], "op.shown page=suspended.title"),
        (["shown", "newer", 1], "op.shown page=newer"),
        (["answered", "newer", "1", 1], "op.chosen text=newer (1)"),
        ([BROKEN, "missing", 3], "op.broken detail=op.detail.missing number= number=3"),
        ([UNKEPT, 3], "op.unkept count=3"),
    ):
        assert log_of(fact) == [told], fact


def test_what_says_nothing_to_a_person_or_is_of_another_form_is_left_out():
    assert log_of(["summary", 1], ["newer", 1], ["state", 1, 2, 3, 4], ["report", "daily", "1", 5], ["accepted"]) == []


def test_the_operation_log_has_one_entry_in_memory_at_a_time():
    class Store:
        """Gives records on demand, and counts them."""

        reads = 0

        def keys(self, prefix):
            return [key(number) for number in range(1, 129)]

        def get(self, name):
            self.reads += 1
            return encode([int(name[4:]), 1, NOW_S, DIGEST[:8], ["event", "signed_on", "PIN", 1]])

    terminal = boot(serving_flash(), Time())
    terminal.store = Store()
    lines = operation_lines(Words(), terminal, 0)
    for _ in range(5):
        next(lines)
    assert terminal.store.reads == 5


def test_an_audit_walks_the_chain_and_counts_who_did_what():
    flash = serving_flash()
    terminal = boot(flash, Time())
    Shop(terminal).recover()
    for detail in ("PIN", "badge T-0042", "PIN"):
        terminal.send("event", {"name": "signed_on", "detail": detail})
    for _ in range(5):
        terminal.send("receipt", {"of": DIGEST, "result": "UKRF", "refusal": "unknown_key", "highest": 0})
    terminal = boot(flash, Time())
    terminal.send("receipt", {"of": DIGEST, "result": "UKRF", "refusal": "unknown_key", "highest": 0})
    report = AuditReport(terminal.store, terminal.evidence.kept)
    assert report.damage is None and report.broken == 0 and report.kept == 0
    assert (report.walk.number, report.walk.head) == (terminal.evidence.number, terminal.evidence.head)
    counts = report.counts
    assert counts["accepted"] == 4 and counts["application"] == 1 and counts["test"] == 3 and counts["signed_on"] == 3
    assert counts["refused"] == 4 + 1  # of five the fourth is the last that is entered
    assert counts["answered"] > 8 and report.starts == 3 and report.people == {"PIN": 2, "T-0042": 1}
    lines = list(audit_lines(Words(), terminal, report, OFFSET_MIN))
    for line in (
        "audit.whole",
        "audit.not_kept",
        "audit.starts count=3",
        "audit.technician count=2 number=PIN",
        "audit.count.refused count=5",
    ):
        assert line in lines, line
    assert lines[-1] == "audit.head detail=" + head_of(report)


def test_an_audit_names_damage_and_tells_of_gaps_that_were_known():
    terminal = recovered()
    terminal.store.remove(terminal.store.keys(PREFIX)[2])
    report = AuditReport(terminal.store, terminal.evidence.kept)
    assert "audit.damaged detail=missing at 3" in list(audit_lines(Words(), terminal, report, 0))
    terminal.tell_damage(terminal.evidence.verify())
    report = AuditReport(terminal.store, terminal.evidence.kept)
    assert report.damage is None and "audit.broken count=1" in list(audit_lines(Words(), terminal, report, 0))
    kept = (terminal.evidence.number + 1, bytes(32))
    assert str(AuditReport(terminal.store, kept).damage) == "cut_off at %d" % kept[0]
