"""Keys over the years, on running terminals: the acquirer's roll over, the terminal's are renewed, and a memory that was set back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from firmware_agent.messages.cose import key_id, parse
from host_sim.pki import TestAuthority
from host_sim.world import NEIGHBOUR, TERMINAL, Shop
from tests.story.world import LIMIT_S, run_story, until

NEARLY_OVER_DAYS = 0.015  # 21 minutes: with the hour before now, less than a third is left


async def obeyed(shop: Shop, **fields: object) -> None:
    """Order it, and wait for the receipt that says it is done."""
    receipt = await shop.acquirer.receipt_of(TERMINAL, await shop.acquirer.order(TERMINAL, **fields), LIMIT_S)
    assert receipt["result"] == "SUCC", receipt


def accepted(shop: Shop, what: str) -> bool:
    return any(line.startswith("accepted") and line.endswith(what) for line in shop.terminal.lines)


@pytest.mark.parametrize("runtime", ["cpython"])  # what it rests on is in the core suite, on both
def test_the_acquirers_key_rolls_over_though_the_terminal_is_off_for_part_of_it(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        acquirer = shop.acquirer
        old = acquirer.public_key
        shop.terminal.power_on()
        await until(lambda: shop.account.state.get("mode") == "in_service", "the terminal in service")
        await obeyed(shop, action="self_test")
        await shop.terminal.power_off()

        new = await acquirer.roll_over()
        assert await acquirer.retire_key(new) == [TERMINAL, NEIGHBOUR]  # it could judge nothing any more
        queued = await acquirer.order(TERMINAL, action="self_test")
        shop.terminal.power_on()
        await acquirer.receipt_of(TERMINAL, queued, LIMIT_S)
        assert accepted(shop, "order trust_key")
        last_sent = shop.account.last_sent
        assert last_sent is not None and parse(last_sent[1]).kid == key_id(new)  # the old key has said what it had to say

        assert await acquirer.retire_key(new) == [NEIGHBOUR]
        assert await acquirer.retire_key(new, given_up=[NEIGHBOUR]) == []
        await until(lambda: accepted(shop, "order retire_key"), "the old key's end")
        await obeyed(shop, action="self_test")
        with acquirer.registry.entry(TERMINAL) as entry:
            entry.trusts(key_id(old))  # as who has stolen the old key would sign
        where, message = await acquirer.signed("order", TERMINAL, {"action": "self_test"})
        await acquirer.publish(where, message)
        await until(lambda: any(line.startswith("refused: unknown_key") for line in shop.terminal.lines), "the refusal")

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", ["micropython"])  # what it rests on is in the core suite, on both
def test_certificates_that_are_nearly_over_are_renewed_in_service_without_anybody(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    issue = TestAuthority.client
    monkeypatch.setattr(TestAuthority, "client", lambda self, name, key=None: issue(self, name, key, NEARLY_OVER_DAYS))  # type: ignore[arg-type]

    async def story(shop: Shop) -> None:
        monkeypatch.setattr(TestAuthority, "client", issue)
        first = shop.account.public_key
        shop.terminal.power_on()
        await until(lambda: shop.account.public_key != first, "a message by the new key")
        await until(lambda: sum(line == "link online" for line in shop.terminal.lines) >= 2, "the connection by the new key for TLS")
        assert [body["purpose"] for body in shop.account.applications] == ["renewal"]
        await obeyed(shop, action="self_test")
        assert shop.account.state["mode"] == "in_service"
        assert not any(line.startswith("state in_service ->") for line in shop.terminal.lines)
        issued = [message.body for message in shop.acquirer.registry.open_orders(TERMINAL) if message.kind == "credentials"]
        assert issued == []  # it has its receipt

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", ["micropython"])  # what it rests on is in the core suite, on both
def test_new_keys_by_the_acquirers_wish_in_service(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        first = shop.account.public_key
        shop.terminal.power_on()
        await until(lambda: shop.account.state.get("mode") == "in_service", "the terminal in service")
        await obeyed(shop, action="rotate_key")
        await until(lambda: shop.account.public_key != first, "a message by the new key")
        await obeyed(shop, action="self_test")
        assert shop.account.state["mode"] == "in_service"

    run_story(story, runtime)


def data(shop: Shop) -> Path:
    return shop.terminal.folder / "data"


@pytest.mark.parametrize("runtime", ["cpython"])  # what it rests on is in the core suite, on both
def test_flash_that_was_set_back_is_told_and_lets_no_old_order_in_again(runtime: str, tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        acquirer = shop.acquirer
        shop.terminal.power_on()
        await until(lambda: shop.account.state.get("mode") == "in_service", "the terminal in service")
        await shop.terminal.power_off()
        shutil.copytree(data(shop), tmp_path / "copy")

        shop.terminal.power_on()
        await obeyed(shop, action="self_test")
        old_order = shop.account.last_sent
        assert old_order is not None
        await until(lambda: len(shop.account.reports) >= 2, "the report, so that nothing is under way")
        await shop.terminal.power_off()
        shutil.rmtree(data(shop))
        shutil.copytree(tmp_path / "copy", data(shop))

        acquirer.hang(True)
        known = len(shop.terminal.lines)
        shop.terminal.power_on()
        await until(lambda: any(line.startswith("the memory was set back") for line in shop.terminal.lines[known:]), "what it found")
        await until(lambda: "link online" in shop.terminal.lines[known:], "its connection")
        await acquirer.publish(*old_order)
        await until(lambda: any(line.startswith("refused: set_back") for line in shop.terminal.lines[known:]), "the refusal")
        acquirer.hang(False)
        await until(lambda: any(event["name"] == "storage_rolled_back" for event in shop.account.events), "the event")
        assert "storage_rolled_back" in [alarm.name for alarm in acquirer.registry.alarms()]
        await obeyed(shop, action="self_test")  # held at the acquirer until its answer was taken, where that came first
        known = len(shop.terminal.lines)
        await acquirer.publish(*old_order)
        await until(lambda: any(line.startswith("refused: replayed") for line in shop.terminal.lines[known:]), "the refusal")

    run_story(story, runtime)
