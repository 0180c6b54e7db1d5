"""The records as a person reads and exports them: for everybody, page by page, on terminals with few parts, too."""

from firmware_agent.flows.menu.records_flow import LINES, show_summary
from firmware_agent.records.console_export import AUDIT, EVIDENCE, SUMMARY
from firmware_agent.records.evidence import entries
from firmware_agent.records.evidence_package import HEADING
from tests.core.records_visit import exported, never, suspended, visited


def test_the_summary_is_read_page_by_page_and_exported():
    terminal, ui = visited(["1", "9", "9", "9", "4", "1", "cancel", "cancel"])
    assert "suspended.reason reason=reason.violation" in ui.page("records.summary")
    assert all([len(page.lines) <= LINES for page in ui.pages])
    assert exported(terminal, SUMMARY)[0] == "slip.terminal terminal=T0000001"


def test_what_happened_is_shown_right_after_the_return_too():
    _, ui = visited([], flow=show_summary)
    assert [page.title for page in ui.pages] == ["summary.title"]


def test_a_suspension_that_goes_on_has_an_incident_report():
    _, ui = visited(["1", "9", "9"], suspended)
    assert ui.pages[1].title == "incident.title" and "summary.goes_on" in ui.page("records.summary")


def test_a_terminal_that_was_never_suspended_says_so():
    _, ui = visited(["1", "1"], never)
    assert ui.pages[1].lines == ("records.none",)


def test_the_operation_log_is_turned_to_its_end():
    terminal, ui = visited(["2"] + ["9"] * 6)
    lines = ui.page("records.log")
    assert len(lines) > 30 and len(set(lines)) > 20 and lines[0].endswith(" op.back")


def test_the_evidence_package_is_written_to_the_console_without_anybody_signing_on():
    terminal, ui = visited(["4", "1"])
    lines = exported(terminal, EVIDENCE)
    assert lines[0].startswith(HEADING) and len(lines) == 3 + len(list(entries(terminal.store)))
    assert ui.pages[-2].lines[-1] == "package.written count=%d" % len(lines)


def test_a_terminal_without_printer_and_display_still_exports():
    terminal, ui = visited(["1", "cancel", "3", "4", "1"], prints=False)
    assert exported(terminal, AUDIT)
    assert [key for key, _ in ui.pages[1].choices] == ["9", "4"]
