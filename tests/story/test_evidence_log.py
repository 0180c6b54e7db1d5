"""The evidence log of a running terminal: the acquirer keeps its head; a memory rolled back to an earlier copy is found, and told."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from firmware_agent.records.evidence import entries, walked
from firmware_agent.store import Store
from hal.drivers.file_storage import FileStorage
from hal.files import Files
from host_sim.terminal import RUNTIMES
from host_sim.world import TERMINAL, Shop
from tests.story.world import LIMIT_S, run_story, until


def data_folder(shop: Shop) -> Path:
    return shop.terminal.folder / "data"


def events(shop: Shop) -> list[tuple[str, str]]:
    return [(event["name"], event.get("detail", "")) for event in shop.account.events]


async def audited(shop: Shop, more_than: int) -> int:
    """Wait until the acquirer keeps a head of more entries than that, and knows that the terminal knows; gives how many."""
    await until(lambda: shop.account.evidence[0] > more_than and not shop.account.outgoing, "an audit, and the receipt for its answer")
    return shop.account.evidence[0]


async def off(shop: Shop) -> None:
    shop.uplink.cut()
    await shop.terminal.power_off()
    shop.uplink.restore()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_memory_that_was_rolled_back_is_found_and_told_and_the_terminal_serves_on(runtime: str, tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.power_on()
        await until(lambda: len(shop.account.reports) == 1, "the first report")
        first = await audited(shop, 0)
        await off(shop)
        shutil.copytree(data_folder(shop), tmp_path / "copy")
        shop.terminal.power_on()
        await until(lambda: len(shop.account.reports) == 2, "the second report")
        order = await shop.acquirer.order(TERMINAL, action="self_test")
        assert "refusal" not in await shop.acquirer.receipt_of(TERMINAL, order, LIMIT_S)
        await until(lambda: len(shop.account.reports) == 3, "the ordered self-test")
        second = await audited(shop, first)
        assert events(shop) == []
        await off(shop)

        shutil.rmtree(data_folder(shop))
        shutil.copytree(tmp_path / "copy", data_folder(shop))
        shop.terminal.power_on()
        await until(lambda: any(name == "evidence_damaged" for name, _ in events(shop)), "that the log is not whole")
        (detail,) = [detail for name, detail in events(shop) if name == "evidence_damaged"]
        assert detail in (f"cut_off at {second}", f"other_head at {second}")
        assert f"evidence log damaged: {detail}" in shop.terminal.lines
        await audited(shop, second)  # it goes on behind what is broken, by numbers that were never given
        shop.terminal.check()
        assert shop.account.state["mode"] == "in_service"
        await off(shop)

    run_story(story, runtime)


def test_what_was_ordered_and_done_stands_in_the_log_of_the_flash(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.power_on()
        await until(lambda: len(shop.account.reports) == 1, "the first report")
        order = await shop.acquirer.order(TERMINAL, action="suspend", reason="violation", case="C-1")
        await shop.acquirer.receipt_of(TERMINAL, order, LIMIT_S)
        await until(lambda: shop.account.state.get("mode") == "suspended", "the state")
        await audited(shop, 0)
        await off(shop)
        shutil.copytree(data_folder(shop), tmp_path / "copy")

    run_story(story, "micropython")
    storage = FileStorage(Files(str(tmp_path / "copy")))
    storage.open()
    storage.claim()
    asyncio.run(storage.enable())
    store = Store(storage)
    store.open()
    assert walked(store, (0, bytes(32)))[1] is None
    facts = [fact for entry in entries(store) for fact in entry.facts]
    accepted = next(fact for fact in facts if fact[0] == "accepted")
    assert accepted[1] == "order" and accepted[4:] == ["suspend", "violation", "C-1"]
    together = next(entry.facts for entry in entries(store) if accepted in entry.facts)
    assert [fact[0] for fact in together] == ["accepted", "state"] and together[1][2] == "suspended"
    assert [fact[0] for fact in facts].count("report") == 1
