"""A whole probation: a restart and a lost network are told without being asked, and summed up at its end for acquirer and merchant."""

from __future__ import annotations

from host_sim.scenario import step_of
from host_sim.simulated_time import SimulatedTime
from host_sim.story import Player
from tests.story.world import until, world

PROBATION_S = 7200
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
    ("time", {"forward_s": 660}),
    ("uplink", "restore"),
    ("expect_online", "yes"),
)
ITS_END: tuple[tuple[str, object], ...] = (
    ("time", {"forward_s": PROBATION_S}),
    ("expect_state", "in_service"),
    ("expect_page", "probation"),
    ("expect_text", "probation.restart"),
    ("expect_text", "probation.network"),
)


def test_a_restart_and_a_lost_network_in_a_probation_are_told_and_summed_up() -> None:
    time = SimulatedTime()

    async def scenario() -> None:
        async with world("cpython", time=time) as shop:
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
            await until(lambda: told("anomaly")[1:] == ["network lost for 10 minutes"], "that the network was lost")

            await do(*ITS_END)
            await until(lambda: told("probation_over") == ["self_test 0, sign_in 0, restart 1, network 1"], "the sum")

    time.run(scenario())
