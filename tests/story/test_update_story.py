"""A newer program takes over, or gives way to the one before it, on a terminal that runs from its own files."""

from __future__ import annotations

import asyncio

import pytest

from host_sim.scenario import Step
from host_sim.story import Story
from tests.story.world import until, world


async def installed(story: Story, version: str, fault: str = "") -> None:
    """A person has a release of that version checked and installed, and switches the terminal off."""
    await story._do_release({"version": version} | ({"fault": fault} if fault else {}))
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
        await story._do(Step(verb, argument, 0))
    await until(lambda: any(line.startswith(f"update {version} on trial") for line in story.terminal.lines), "the trial")
    await story.terminal.power_off()


def versions(story: Story) -> list[str]:
    return [line.split()[-1] for line in story.terminal.lines if line.startswith("boot ")]


@pytest.mark.needs("micropython")
def test_a_newer_program_takes_over_and_one_that_does_not_start_gives_way_to_it() -> None:
    async def program() -> None:
        async with world("micropython") as story:
            story.terminal.power_on()
            await until(lambda: story.account.online, "online")
            await story._do(Step("expect_page", "idle", 0))
            await installed(story, "0.2.0")
            story.terminal.power_on()
            await until(lambda: versions(story)[-1:] == ["0.2.0"], "the newer program")
            await until(lambda: any(line.startswith("update_installed") for line in story.terminal.lines), "a good start of it")
            await story._do(Step("expect_page", "idle", 0))
            await installed(story, "0.3.0", "broken")
            story.terminal.power_on()
            await until(lambda: any(line.startswith("update_fell_back") for line in story.terminal.lines), "the program before it")
            assert versions(story)[-1] == "0.2.0" and "0.3.0" not in versions(story)

    asyncio.run(program())
