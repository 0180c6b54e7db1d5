"""A newer program takes over, or gives way to the one before it, on a terminal that runs from its own files."""

from __future__ import annotations

import pytest

from host_sim.scenarios.scenario import Step
from host_sim.scenarios.story import Player
from host_sim.world import Shop
from tests.story.world import run_story, until


async def installed(shop: Shop, version: str, fault: str = "") -> None:
    """A person has a release of that version checked and installed, and switches the terminal off."""
    player = Player(shop)
    await player.do(Step("release", {"version": version} | ({"fault": fault} if fault else {}), 0))
    for verb, argument in (
        ("press", "help"),
        ("expect_page", "menu"),
        ("press", "9"),
        ("expect_page", "dates"),
        ("press", "8"),
        ("expect_page", "update"),
        ("press", "1"),
        ("expect_text", "update.fall_back"),
        ("press", "1"),
    ):
        await player.do(Step(verb, argument, 0))
    await until(lambda: any(line.startswith(f"update {version} on trial") for line in shop.terminal.lines), "the trial")
    await shop.terminal.power_off()


def versions(shop: Shop) -> list[str]:
    return [line.split()[-1] for line in shop.terminal.lines if line.startswith("boot ")]


@pytest.mark.needs("micropython")
def test_a_newer_program_takes_over_and_one_that_does_not_start_gives_way_to_it() -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.power_on()
        await until(lambda: shop.account.online, "online")
        await Player(shop).do(Step("expect_page", "idle", 0))
        await installed(shop, "0.2.0")
        shop.terminal.power_on()
        await until(lambda: versions(shop)[-1:] == ["0.2.0"], "the newer program")
        await until(lambda: any(line.startswith("update_installed") for line in shop.terminal.lines), "a good start of it")
        await Player(shop).do(Step("expect_page", "idle", 0))
        await installed(shop, "0.3.0", "broken")
        shop.terminal.power_on()
        await until(lambda: any(line.startswith("update_fell_back") for line in shop.terminal.lines), "the program before it")
        assert versions(shop)[-1] == "0.2.0" and "0.3.0" not in versions(shop)

    run_story(story, "micropython")
