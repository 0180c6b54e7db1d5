"""A terminal whose storage takes nothing more goes on: it reports, refuses what it cannot keep, says so, and comes back by itself."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_agent.selftest.report import from_list
from host_sim.world import TERMINAL, Shop
from tests.story.world import LIMIT_S, run_story, until


def outcome_of(shop: Shop, report: int, phase: str) -> tuple[str, str]:
    results = {result.phase: result for result in (from_list(values) for values in shop.account.reports[report]["results"])}
    return results[phase].outcome, results[phase].cause


def events(shop: Shop) -> list[str]:
    return [event["name"] for event in shop.account.events]


def refusals(shop: Shop) -> list[tuple[str, str]]:
    """Of orders; each with the receipt's result."""
    return [(receipt["refusal"], receipt["result"]) for receipt in shop.account.receipts if "refusal" in receipt]


async def order(shop: Shop, **fields: str) -> str:
    """The refusal that the receipt names, '' for none."""
    receipt = await shop.acquirer.receipt_of(TERMINAL, await shop.acquirer.order(TERMINAL, **fields), LIMIT_S)
    return str(receipt.get("refusal", "")) + (" " + receipt["result"] if "refusal" in receipt else "")


@pytest.mark.parametrize(
    ("runtime", "fault", "cause"), [("micropython", "full", "full"), ("cpython", "full", "full"), ("cpython", "worn", "not_writable")]
)
def test_a_terminal_that_can_write_nothing_more_reports_refuses_says_so_and_comes_back(runtime: str, fault: str, cause: str) -> None:
    async def story(shop: Shop) -> None:
        storage = shop.breakable["storage"]
        shop.terminal.power_on()
        await until(lambda: len(shop.account.reports) == 1 and bool(shop.account.state), "the first report")
        highest = shop.account.sequence
        storage.fault(fault)

        suspension = await shop.acquirer.order(TERMINAL, action="suspend", reason="compliance")
        await until(lambda: ("not_kept", "OVER") in refusals(shop), "that it cannot be obeyed")
        await until(lambda: events(shop) == ["storage_refuses"], "what the terminal says of it")
        assert shop.account.events[0]["detail"] == f"{cause}: reports go on from memory"
        assert shop.account.state["mode"] == "in_service"

        # Without power and back: it cannot even count this boot.
        for boot in (2, 3):
            shop.uplink.cut()
            await shop.terminal.power_off()
            shop.uplink.restore()
            shop.terminal.power_on()
            await until(lambda boot=boot: len(shop.account.reports) == boot, "the report of a terminal that cannot keep it")  # type: ignore[misc]
            assert outcome_of(shop, boot - 1, "storage") == ("fail", cause)
            assert outcome_of(shop, boot - 1, "printer")[0] == "pass"
            await until(lambda boot=boot: events(shop) == ["storage_refuses"] * boot, "that it is said at each start")  # type: ignore[misc]
            await until(lambda: shop.account.online, "its new connection")
        assert shop.account.state["mode"] == "in_service"
        assert any(line == f"storage refuses: {cause}; reports go on from memory" for line in shop.terminal.lines)

        storage.fault(fault, False)
        await until(lambda: events(shop)[-1] == "storage_works", "that it takes everything again")
        receipt = await shop.acquirer.receipt_of(TERMINAL, suspension, LIMIT_S)  # it was sent anew, and is obeyed now
        assert receipt["result"] == "SUCC"
        await until(lambda: shop.account.state["mode"] == "suspended", "the state that was ordered")
        assert await order(shop, action="self_test") == ""
        await until(lambda: len(shop.account.reports) == 4, "the ordered self-test")
        assert outcome_of(shop, 3, "storage") == ("pass", "")
        assert not any("dropped" in report for report in shop.account.reports)
        assert shop.account.sequence > highest
        shop.terminal.check()

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", ["micropython"])
def test_a_key_that_cannot_be_kept_does_nothing_and_the_page_says_so(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        keypad: Any = shop.terminal.chips["keypad"]

        def shows(text: str) -> bool:
            return any(text in line for line in shop.terminal.screen())

        shop.terminal.power_on()
        await until(lambda: shows("Ready for payments"), "the idle page")
        assert await order(shop, action="suspend", reason="compliance") == ""
        await until(lambda: shows("Start recovery"), "the page of a suspended terminal")
        shop.breakable["storage"].fault("full")
        keypad.tap("1")
        await until(lambda: shows("Not done"), "that it was not done")
        await until(lambda: events(shop) == ["storage_refuses"], "what the terminal says of it")
        keypad.tap("1")
        await until(lambda: shows("Storage full: call a technician"), "the page of a suspended terminal, with its warning")
        assert shop.account.state["mode"] == "suspended" and len(shop.account.reports) == 1
        shop.breakable["storage"].fault("full", False)
        await until(lambda: events(shop)[-1] == "storage_works", "that it takes everything again")
        await until(lambda: not shows("Storage full"), "the page without the warning")
        keypad.tap("1")
        await until(lambda: shop.account.state["mode"] == "recovering", "the recovery")
        assert not any("Traceback" in line for line in shop.terminal.lines)

    run_story(story, runtime)
