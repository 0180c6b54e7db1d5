"""What the acquirer orders for the merchant: seen on the display, answered by a receipt, and refused by a word of its own."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_agent.network_trial import TRIAL_MS
from firmware_agent.prevention.notices import MAX_NOTICES
from host_sim.terminal import RUNTIMES
from host_sim.world import PASSWORD, SSID, TERMINAL, Shop
from tests.story.world import LIMIT_S, run_story, until


async def on_duty(shop: Shop) -> None:
    shop.terminal.power_on()
    await until(lambda: shop.account.state.get("mode") == "in_service" and shop.account.online, "in service")
    await until(lambda: seen(shop, "Ready for payments"), "the idle page")


def seen(shop: Shop, text: str) -> bool:
    return "".join(text.split()) in "".join("".join(shop.terminal.screen()).split())


async def answered(shop: Shop, kind: str, **fields: Any) -> str:
    """The refusal that the receipt tells, '' for none."""
    number = await shop.acquirer.send(kind, TERMINAL, fields)
    receipt = await shop.acquirer.receipt_of(TERMINAL, number, LIMIT_S)
    assert (receipt["result"] == "SUCC") == ("refusal" not in receipt)
    return str(receipt.get("refusal", ""))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_each_refusal_is_in_a_receipt_and_nothing_is_shown(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        await on_duty(shop)
        now = shop.clock.wall_s()
        for refusal, kind, fields in (
            ("wrong_text", "order", {"action": "message", "text": "pay \u202eme"}),
            ("wrong_text", "notice", {"notice": 1, "about": "fee", "text": " "}),
            ("wrong_text", "order", {"action": "suspend", "reason": "violation", "case": "\x1b[2J"}),
            ("wrong_time", "order", {"action": "maintenance", "since": now, "until": now - 1}),
            ("wrong_time", "notice", {"notice": 1, "about": "fee", "text": "over", "until": now - 1}),
            ("wrong_setting", "order", {"action": "configure", "settings": [["language", "en"], ["password", "short"]]}),
            ("not_locked", "order", {"action": "unlock"}),
        ):
            assert await answered(shop, kind, **fields) == refusal, fields
        assert seen(shop, "Ready for payments") and shop.account.state["mode"] == "in_service"
        assert any("password" in line for line in shop.terminal.lines)
        assert not any("short" in line for line in shop.terminal.lines)

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", ["cpython"])  # what it rests on is in the core suite, on both
def test_a_full_list_is_told_and_each_notice_is_read_one_after_the_other(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        await on_duty(shop)
        for number in range(1, MAX_NOTICES + 1):
            assert await answered(shop, "notice", notice=number, about="policy", text=f"Rule {number}: \u0416") == ""
        assert await answered(shop, "order", action="message", text="one too many") == "too_many"
        for number in range(1, MAX_NOTICES + 1):
            await until(lambda number=number: seen(shop, f"No. {number}: Rules"), f"notice {number}")  # type: ignore[misc]
            shop.terminal.chips["keypad"].tap("1")
        await until(lambda: seen(shop, "Ready for payments"), "the idle page")
        confirmed = [line for line in shop.terminal.lines if line.startswith("notice confirmed")]
        assert confirmed == [f"notice confirmed: notice {number}" for number in range(1, MAX_NOTICES + 1)]

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", ["cpython"])  # what it rests on is in the core suite, on both
def test_a_forged_notice_is_never_shown(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        await on_duty(shop)
        fields = {"notice": 1, "about": "fee", "text": "Call 0900 123 now"}
        where, message = await shop.acquirer.signed("notice", TERMINAL, fields, sequence=shop.account.sequence + 1)
        forged = bytearray(message)
        forged[-1] ^= 1
        await shop.acquirer.publish(where, bytes(forged))
        await until(lambda: any("refused: bad_signature" in line for line in shop.terminal.lines), "the refusal")
        old = await shop.acquirer.signed("notice", TERMINAL, fields, sequence=shop.account.sequence + 1, expires=1)
        await shop.acquirer.publish(*old)
        await until(lambda: any("refused: expired" in line for line in shop.terminal.lines), "the other refusal")
        assert await answered(shop, "order", action="self_test", plan="device.clock") == ""  # what came before has been done
        assert not any("notice" in line and "accepted" in line for line in shop.terminal.lines)

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", ["micropython"])  # what it rests on is in the core suite, on both
def test_the_language_changes_at_once_and_a_power_cut_does_not_change_it_back(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        await on_duty(shop)
        assert await answered(shop, "order", action="configure", settings=[["language", "zh-CN"]]) == ""
        await until(lambda: seen(shop, "可以收款"), "the idle page in Chinese")
        await shop.terminal.power_off()
        shop.terminal.power_on()
        await until(lambda: seen(shop, "可以收款"), "the idle page in Chinese")

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_terminal_moves_to_a_network_that_works_and_leaves_the_old_one_alone(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        await on_duty(shop)
        connection = shop.account.state["connection"]
        shop.terminal.chips["network"].ssid, shop.terminal.chips["network"].password = "shop 2", "another password"
        settings = [["ssid", "shop 2"], ["password", "another password"]]
        assert await answered(shop, "order", action="configure", settings=settings) == ""
        await until(lambda: "network: new settings kept" in shop.terminal.lines, "the trial's end")
        assert shop.account.state["connection"] != connection
        await shop.terminal.power_off()
        shop.terminal.power_on()
        await until(lambda: shop.terminal.lines.count("link online") >= 3, "a connection by the new network")
        assert not any("settings as before" in line for line in shop.terminal.lines)
        assert not any("another password" in line for line in shop.terminal.lines)

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_network_that_is_not_there_gives_way_after_a_power_cut_and_the_acquirer_hears_it(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        await on_duty(shop)
        settings = [["ssid", "nowhere"], ["password", "not the password"]]
        await shop.acquirer.send("order", TERMINAL, {"action": "configure", "settings": settings})
        await until(lambda: "network: new settings on trial" in shop.terminal.lines, "the trial")
        await until(lambda: any("not in range" in line for line in shop.terminal.lines), "that it cannot be joined")
        await shop.terminal.power_off()
        shop.terminal.power_on()
        await until(lambda: any(event["name"] == "network_fell_back" for event in shop.account.events), "the event")
        assert (shop.terminal.chips["network"].ssid, shop.terminal.chips["network"].password) == (SSID, PASSWORD)

    run_story(story, runtime)


def test_the_limit_of_a_trial_is_longer_than_the_first_attempts_take() -> None:
    """Joining takes up to 15 s, a look-up 5 s, connecting 15 s; a broker may refuse the first connection after a change of address."""
    from firmware_agent.links.access import JOIN_TIMEOUT_MS, RESOLVE_TIMEOUT_MS
    from firmware_agent.messages.courier import BACK_OFF_MIN_MS, CONNECT_TIMEOUT_MS

    attempt_ms = JOIN_TIMEOUT_MS + RESOLVE_TIMEOUT_MS + CONNECT_TIMEOUT_MS
    assert TRIAL_MS >= 3 * attempt_ms + BACK_OFF_MIN_MS * 3
