"""Keys over the years, on running terminals: the acquirer's roll over, the terminal's are renewed, and a memory that was set back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from firmware_agent.messages.cose import key_id, parse
from host_sim.pki import TestAuthority
from host_sim.story import NEIGHBOUR, TERMINAL, Story
from tests.story.world import LIMIT_S, until, world

NEARLY_OVER_DAYS = 0.015  # 21 minutes: with the hour before now, less than a third is left


async def obeyed(story: Story, **fields: object) -> None:
    """Order it, and wait for the receipt that says it is done."""
    receipt = await story.acquirer.receipt_of(TERMINAL, await story.acquirer.order(TERMINAL, **fields), LIMIT_S)
    assert receipt["result"] == "SUCC", receipt


def accepted(story: Story, what: str) -> bool:
    return any(line.startswith("accepted") and line.endswith(what) for line in story.terminal.lines)


@pytest.mark.parametrize("runtime", ["cpython"])  # what it rests on is in the core suite, on both
def test_the_acquirers_key_rolls_over_though_the_terminal_is_off_for_part_of_it(runtime: str) -> None:
    async def scenario() -> None:
        async with world(runtime) as story:
            acquirer = story.acquirer
            old = acquirer.public_key
            story.terminal.power_on()
            await until(lambda: story.account.state.get("mode") == "in_service", "the terminal in service")
            await obeyed(story, action="self_test")
            await story.terminal.power_off()

            new = await acquirer.roll_over()
            assert await acquirer.retire_key(new) == [TERMINAL, NEIGHBOUR]  # it could judge nothing any more
            queued = await acquirer.order(TERMINAL, action="self_test")
            story.terminal.power_on()
            await acquirer.receipt_of(TERMINAL, queued, LIMIT_S)
            assert accepted(story, "order trust_key")
            last_sent = story.account.last_sent
            assert last_sent is not None and parse(last_sent[1]).kid == key_id(new)  # the old key has said what it had to say

            assert await acquirer.retire_key(new) == [NEIGHBOUR]
            assert await acquirer.retire_key(new, given_up=[NEIGHBOUR]) == []
            await until(lambda: accepted(story, "order retire_key"), "the old key's end")
            await obeyed(story, action="self_test")
            with acquirer.registry.entry(TERMINAL) as entry:
                entry.trusts(key_id(old))  # as who has stolen the old key would sign
            where, message = await acquirer.signed("order", TERMINAL, {"action": "self_test"})
            await acquirer.publish(where, message)
            await until(lambda: any(line.startswith("refused: unknown_key") for line in story.terminal.lines), "the refusal")

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", ["micropython"])  # what it rests on is in the core suite, on both
def test_certificates_that_are_nearly_over_are_renewed_in_service_without_anybody(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    issue = TestAuthority.client

    async def scenario() -> None:
        monkeypatch.setattr(TestAuthority, "client", lambda self, name, key=None: issue(self, name, key, NEARLY_OVER_DAYS))  # type: ignore[arg-type]
        async with world(runtime) as story:
            monkeypatch.setattr(TestAuthority, "client", issue)
            first = story.account.public_key
            story.terminal.power_on()
            await until(lambda: story.account.public_key != first, "a message by the new key")
            await until(lambda: sum(line == "link online" for line in story.terminal.lines) >= 2, "the connection by the new key for TLS")
            assert [body["purpose"] for body in story.account.applications] == ["renewal"]
            await obeyed(story, action="self_test")
            assert story.account.state["mode"] == "in_service"
            assert not any(line.startswith("state in_service ->") for line in story.terminal.lines)
            issued = [message.body for message in story.acquirer.registry.open_orders(TERMINAL) if message.kind == "credentials"]
            assert issued == []  # it has its receipt

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", ["micropython"])  # what it rests on is in the core suite, on both
def test_new_keys_by_the_acquirers_wish_in_service(runtime: str) -> None:
    async def scenario() -> None:
        async with world(runtime) as story:
            first = story.account.public_key
            story.terminal.power_on()
            await until(lambda: story.account.state.get("mode") == "in_service", "the terminal in service")
            await obeyed(story, action="rotate_key")
            await until(lambda: story.account.public_key != first, "a message by the new key")
            await obeyed(story, action="self_test")
            assert story.account.state["mode"] == "in_service"

    asyncio.run(scenario())


def data(story: Story) -> Path:
    return story.terminal.folder / "data"


@pytest.mark.parametrize("runtime", ["cpython"])  # what it rests on is in the core suite, on both
def test_flash_that_was_set_back_is_told_and_lets_no_old_order_in_again(runtime: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(runtime) as story:
            acquirer = story.acquirer
            story.terminal.power_on()
            await until(lambda: story.account.state.get("mode") == "in_service", "the terminal in service")
            await story.terminal.power_off()
            shutil.copytree(data(story), tmp_path / "copy")

            story.terminal.power_on()
            await obeyed(story, action="self_test")
            old_order = story.account.last_sent
            assert old_order is not None
            await until(lambda: len(story.account.reports) >= 2, "the report, so that nothing is under way")
            await story.terminal.power_off()
            shutil.rmtree(data(story))
            shutil.copytree(tmp_path / "copy", data(story))

            acquirer.hang(True)
            known = len(story.terminal.lines)
            story.terminal.power_on()
            await until(lambda: any(line.startswith("the memory was set back") for line in story.terminal.lines[known:]), "what it found")
            await until(lambda: "link online" in story.terminal.lines[known:], "its connection")
            await acquirer.publish(*old_order)
            await until(lambda: any(line.startswith("refused: set_back") for line in story.terminal.lines[known:]), "the refusal")
            acquirer.hang(False)
            await until(lambda: any(event["name"] == "storage_rolled_back" for event in story.account.events), "the event")
            assert "storage_rolled_back" in [alarm.name for alarm in acquirer.registry.alarms()]
            await obeyed(story, action="self_test")  # held at the acquirer until its answer was taken, where that came first
            known = len(story.terminal.lines)
            await acquirer.publish(*old_order)
            await until(lambda: any(line.startswith("refused: replayed") for line in story.terminal.lines[known:]), "the refusal")

    asyncio.run(scenario())
