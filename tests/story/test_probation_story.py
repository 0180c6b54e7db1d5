"""A whole probation: a restart and a lost network are told without being asked, and summed up for the merchant at its end."""

from __future__ import annotations

from host_sim.scenarios.scenario import step_of
from host_sim.scenarios.story import Player
from host_sim.world import Shop
from tests.story.world import run_story, until

PROBATION_S = 840
ATTEMPT_S = 120  # after a long outage the next attempt to connect is so far away at most
TO_PROBATION: tuple[tuple[str, object], ...] = (
    ("boot", None),
    ("expect_state", "in_service"),
    ("order", {"action": "suspend", "reason": "maintenance"}),
    ("expect_state", "suspended"),
    ("order", {"action": "lift", "reason": "maintenance", "probation_s": PROBATION_S}),
    ("carry_out", "function_tests"),
    ("expect_state", "probation"),
)
AN_OUTAGE: tuple[tuple[str, object], ...] = (
    ("uplink", "cut"),
    ("expect_online", "no"),
    ("time", {"forward_s": 610}),
    ("uplink", "restore"),
    ("time", {"forward_s": ATTEMPT_S}),
    ("expect_online", "yes"),
)
ITS_END: tuple[tuple[str, object], ...] = (
    ("time", {"forward_s": 180}),
    ("expect_state", "in_service"),
    ("expect_page", "probation"),
)


def test_a_restart_and_a_lost_network_in_a_probation_are_told_and_summed_up() -> None:
    async def story(shop: Shop) -> None:
        player = Player(shop)

        async def do(*steps: tuple[str, object]) -> None:
            for verb, argument in steps:
                await player.do(step_of(verb, argument))

        def told(name: str) -> list[str]:
            return [str(event["detail"]) for event in shop.account.events if event["name"] == name]

        await do(*TO_PROBATION)
        assert told("anomaly") == []

        await do(("cut_power", None), ("boot", None))
        await until(lambda: told("anomaly") == ["restart boot 2"], "that it was started anew")

        await do(*AN_OUTAGE)
        lost = [f"network lost for {minutes} minutes" for minutes in (10, 11, 12)]
        await until(lambda: len(told("anomaly")) == 2 and told("anomaly")[1] in lost, "that the network was lost")

        await do(*ITS_END)
        shown = [line.split() for line in shop.terminal.screen()]
        assert ["Restarts", "1"] in shown and ["Network", "lost", "1"] in shown
        assert not any(line[:1] in (["Device"], ["Refused"]) for line in shown)

    run_story(story, "cpython")
