"""The card reader of the vending machine: suspended, and brought back, on both runtimes of its agent."""

import pytest


@pytest.mark.reinstate(runtime="all")
def test_the_operator_brings_it_back_after_maintenance(terminal):
    terminal.do("boot")
    terminal.expect("report", device="printer", outcome="pass")
    terminal.expect("state", "in_service")

    terminal.do("order", action="suspend", reason="maintenance", case="V-17")
    terminal.expect("state", "suspended")
    terminal.expect("page", "suspended")
    terminal.expect("text", "reason.maintenance")
    for page in ("recovery.reason", "recovery.contact", "recovery.lift"):
        terminal.do("press", "1")
        terminal.expect("page", page)

    terminal.do("cut_power")  # somebody pulls the plug of the machine: it goes on where it was
    terminal.do("boot")
    terminal.expect("page", "recovery.lift")

    terminal.do("order", action="lift", reason="maintenance")
    terminal.do("carry_out", "function_tests")
    terminal.expect("test", name="print", outcome="pass")
    terminal.expect("test", name="pay", outcome="pass")
    terminal.expect("no_money")
    terminal.expect("state", "in_service")
    terminal.expect("page", "restored")


@pytest.mark.reinstate(runtime="cpython", language=["en", "zh-CN"])
def test_without_paper_it_says_what_is_to_be_done(terminal, acquirer):
    terminal.do("fault", device="printer", name="paper_out")
    terminal.do("boot")
    terminal.expect("report", device="printer", outcome="fail")
    terminal.expect("text", "cause.paper_out")

    (report,) = acquirer.messages("report")
    assert report["plan"] == "power_on"
    assert any("printer fail paper_out" in line for line in terminal.lines)
