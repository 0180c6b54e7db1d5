"""Activation and replacement with running devices: a number that nobody had, a cut in the middle, a device beside its heir."""

from __future__ import annotations

import pytest

from firmware_agent.messages.cose import key_id
from host_sim.terminal import RUNTIMES
from host_sim.world import TERMINAL, Shop
from tests.story.world import run_story, until

NEW = "T0000007"  # a number that no device has had


async def type_code(shop: Shop, code: str) -> None:
    await until(lambda: any("____" in line for line in shop.terminal.screen()), "the activation page")
    for key in [*code, "enter"]:
        shop.terminal.chips["keypad"].tap(key)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_device_gets_a_number_that_nobody_had_and_is_cut_off_with_the_answer(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        activations = shop.acquirer.activations
        assert activations is not None
        await shop.turn_to("second")
        code = activations.codes.issue(NEW, shop.clock.wall_s())
        shop.terminal.power_on()
        shop.acquirer.hang(True)
        await type_code(shop, code)
        await until(lambda: any("Asking" in line for line in shop.terminal.screen()), "the question")
        await shop.terminal.power_off()
        shop.acquirer.hang(False)
        shop.terminal.power_on()
        await type_code(shop, code)
        await until(lambda: NEW in shop.acquirer.accounts and bool(shop.acquirer.accounts[NEW].reports), "the first report")
        account = shop.acquirer.accounts[NEW]
        await until(lambda: account.state.get("mode") == "commissioning", "its state")
        assert account.public_key and account.public_key != shop.account.public_key

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_device_before_is_heard_no_more_and_erases_its_keys_when_it_is_told(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        old = shop.terminal
        old_key = shop.account.public_key
        old.power_on()
        await until(lambda: shop.account.online and bool(shop.account.reports), "the old device at work")
        await shop.turn_to("second")
        assert shop.acquirer.activations is not None
        code = shop.acquirer.activations.codes.issue(TERMINAL, shop.clock.wall_s())
        shop.terminal.power_on()
        await type_code(shop, code)
        await until(lambda: any("identity erased" in line for line in old.lines), "the old device erases itself")
        await until(lambda: any("____" in line for line in old.screen()), "the old device asks for a code")
        await until(lambda: shop.account.state.get("mode") == "commissioning", "the new device's state")
        assert key_id(old_key) not in shop.acquirer.registry.keys(TERMINAL)
        assert not any("replace" in line for line in shop.terminal.lines if line.startswith("accepted"))
        await old.power_off()
        old.power_on()
        await until(lambda: any("____" in line for line in old.screen()), "nobody's after a restart, too")

    run_story(story, runtime)
