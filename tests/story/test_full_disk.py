"""A terminal whose storage takes nothing more goes on: it reports, refuses what it cannot keep, says so, and comes back by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from firmware_agent.selftest.report import from_list
from host_sim.story import TERMINAL, Story
from tests.story.world import LIMIT_S, until, world


def outcome_of(story: Story, report: int, phase: str) -> tuple[str, str]:
    results = {result.phase: result for result in (from_list(values) for values in story.account.reports[report]["results"])}
    return results[phase].outcome, results[phase].cause


def events(story: Story) -> list[str]:
    return [event["name"] for event in story.account.events]


def refusals(story: Story) -> list[tuple[str, str]]:
    """Of orders; each with the receipt's result."""
    return [(receipt["refusal"], receipt["result"]) for receipt in story.account.receipts if "refusal" in receipt]


async def order(story: Story, **fields: str) -> str:
    """The refusal that the receipt names, '' for none."""
    receipt = await story.acquirer.receipt_of(TERMINAL, await story.acquirer.order(TERMINAL, **fields), LIMIT_S)
    return str(receipt.get("refusal", "")) + (" " + receipt["result"] if "refusal" in receipt else "")


@pytest.mark.parametrize(
    ("runtime", "fault", "cause"), [("micropython", "full", "full"), ("cpython", "full", "full"), ("cpython", "worn", "not_writable")]
)
def test_a_terminal_that_can_write_nothing_more_reports_refuses_says_so_and_comes_back(runtime: str, fault: str, cause: str) -> None:
    async def scenario() -> None:
        async with world(runtime) as story:
            storage = story.breakable["storage"]
            story.terminal.power_on()
            await until(lambda: len(story.account.reports) == 1 and bool(story.account.state), "the first report")
            highest = story.account.sequence
            storage.fault(fault)

            suspension = await story.acquirer.order(TERMINAL, action="suspend", reason="compliance")
            await until(lambda: ("not_kept", "OVER") in refusals(story), "that it cannot be obeyed")
            await until(lambda: events(story) == ["storage_refuses"], "what the terminal says of it")
            assert story.account.events[0]["detail"] == f"{cause}: reports go on from memory"
            assert story.account.state["mode"] == "in_service"

            # Without power and back: it cannot even count this boot.
            for boot in (2, 3):
                story.uplink.cut()
                await story.terminal.power_off()
                story.uplink.restore()
                story.terminal.power_on()
                await until(lambda boot=boot: len(story.account.reports) == boot, "the report of a terminal that cannot keep it")  # type: ignore[misc]
                assert outcome_of(story, boot - 1, "storage") == ("fail", cause)
                assert outcome_of(story, boot - 1, "printer")[0] == "pass"
                await until(lambda boot=boot: events(story) == ["storage_refuses"] * boot, "that it is said at each start")  # type: ignore[misc]
                await until(lambda: story.account.online, "its new connection")
            assert story.account.state["mode"] == "in_service"
            assert any(line == f"storage refuses: {cause}; reports go on from memory" for line in story.terminal.lines)

            storage.fault(fault, False)
            await until(lambda: events(story)[-1] == "storage_works", "that it takes everything again")
            receipt = await story.acquirer.receipt_of(TERMINAL, suspension, LIMIT_S)  # it was sent anew, and is obeyed now
            assert receipt["result"] == "SUCC"
            await until(lambda: story.account.state["mode"] == "suspended", "the state that was ordered")
            assert await order(story, action="self_test") == ""
            await until(lambda: len(story.account.reports) == 4, "the ordered self-test")
            assert outcome_of(story, 3, "storage") == ("pass", "")
            assert not any("dropped" in report for report in story.account.reports)
            assert story.account.sequence > highest
            story.terminal.check()

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", ["micropython"])
def test_a_key_that_cannot_be_kept_does_nothing_and_the_page_says_so(runtime: str) -> None:
    async def scenario() -> None:
        async with world(runtime) as story:
            keypad: Any = story.terminal.chips["keypad"]

            def shows(text: str) -> bool:
                return any(text in line for line in story.terminal.screen())

            story.terminal.power_on()
            await until(lambda: shows("Ready for payments"), "the idle page")
            assert await order(story, action="suspend", reason="compliance") == ""
            await until(lambda: shows("Start recovery"), "the page of a suspended terminal")
            story.breakable["storage"].fault("full")
            keypad.tap("1")
            await until(lambda: shows("Not done"), "that it was not done")
            await until(lambda: events(story) == ["storage_refuses"], "what the terminal says of it")
            keypad.tap("1")
            await until(lambda: shows("Storage full: call a technician"), "the page of a suspended terminal, with its warning")
            assert story.account.state["mode"] == "suspended" and len(story.account.reports) == 1
            story.breakable["storage"].fault("full", False)
            await until(lambda: events(story)[-1] == "storage_works", "that it takes everything again")
            await until(lambda: not shows("Storage full"), "the page without the warning")
            keypad.tap("1")
            await until(lambda: story.account.state["mode"] == "recovering", "the recovery")
            assert not any("Traceback" in line for line in story.terminal.lines)

    asyncio.run(scenario())
