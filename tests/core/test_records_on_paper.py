"""The records on paper, each with a code that carries what is signed."""

import asyncio

from firmware_agent.messages.cbor import decode
from firmware_agent.messages.cose import parse
from firmware_agent.messages.schema import Claims
from firmware_agent.messages.signed_text import decode_text, encode_text
from firmware_agent.records.console_export import AUDIT
from firmware_agent.records.summary import summary_now
from firmware_agent.screens.qr import QrCode  # before a small heap is full of other modules
from tests.core.records_visit import exported, visited


def test_the_summary_is_printed_whole_with_its_code():
    _, ui = visited(["1", "2"])
    assert ui.slips.lines[0] == "summary.title" and "summary.took hours=0 minutes=12" in ui.slips.lines and len(ui.slips.codes) == 1
    assert isinstance(ui.slips.codes[0], QrCode) and ui.slips.lines[-1] == "slip.code" and ui.slips.lines[-2] == "advice.violation"


def test_the_audit_on_paper_is_that_on_the_console():
    terminal, ui = visited(["3", "2", "4", "1"])
    report = exported(terminal, AUDIT)
    assert "audit.whole" in report and report[0] == "slip.terminal terminal=T0000001"
    assert ui.slips.lines[1 : 1 + len(report)] == report and len(ui.slips.codes) == 1


def test_the_code_holds_the_signed_summary():
    terminal, _ = visited([])
    where, message = asyncio.run(terminal.signed(summary_now(terminal)))
    assert decode_text(encode_text("acq1", message)) == (where, message)
    assert Claims.from_map(decode(parse(message).payload)).body == terminal.last_summary().body
