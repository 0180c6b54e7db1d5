"""Activation and replacement with running devices: a number that nobody had, a cut in the middle, a device beside its heir."""

from __future__ import annotations

import asyncio

import pytest

from firmware_agent.messages.cose import key_id
from host_sim.story import TERMINAL, Story
from host_sim.terminal import RUNTIMES
from tests.story.world import until, world

NEW = "T0000007"  # a number that no device has had


async def type_code(story: Story, code: str) -> None:
    await until(lambda: any("____" in line for line in story.terminal.screen()), "the activation page")
    for key in [*code, "enter"]:
        story.terminal.chips["keypad"].tap(key)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_device_gets_a_number_that_nobody_had_and_is_cut_off_with_the_answer(runtime: str) -> None:
    async def scenario() -> None:
        async with world(runtime) as story:
            activations = story.acquirer.activations
            assert activations is not None
            await story._do_device("second")
            code = activations.codes.issue(NEW, story.clock.wall_s())
            story.terminal.power_on()
            story.acquirer.hang(True)
            await type_code(story, code)
            await until(lambda: any("Asking" in line for line in story.terminal.screen()), "the question")
            await story.terminal.power_off()
            story.acquirer.hang(False)
            story.terminal.power_on()
            await type_code(story, code)
            await until(lambda: NEW in story.acquirer.accounts and bool(story.acquirer.accounts[NEW].reports), "the first report")
            account = story.acquirer.accounts[NEW]
            await until(lambda: account.state.get("mode") == "commissioning", "its state")
            assert account.public_key and account.public_key != story.account.public_key

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_device_before_is_heard_no_more_and_erases_its_keys_when_it_is_told(runtime: str) -> None:
    async def scenario() -> None:
        async with world(runtime) as story:
            old = story.terminal
            old_key = story.account.public_key
            old.power_on()
            await until(lambda: story.account.online and bool(story.account.reports), "the old device at work")
            await story._do_device("second")
            assert story.acquirer.activations is not None
            code = story.acquirer.activations.codes.issue(TERMINAL, story.clock.wall_s())
            story.terminal.power_on()
            await type_code(story, code)
            await until(lambda: any("identity erased" in line for line in old.lines), "the old device erases itself")
            await until(lambda: any("____" in line for line in old.screen()), "the old device asks for a code")
            await until(lambda: story.account.state.get("mode") == "commissioning", "the new device's state")
            assert key_id(old_key) not in story.acquirer.registry.keys(TERMINAL)
            assert not any("replace" in line for line in story.terminal.lines if line.startswith("accepted"))
            await old.power_off()
            old.power_on()
            await until(lambda: any("____" in line for line in old.screen()), "nobody's after a restart, too")

    asyncio.run(scenario())
