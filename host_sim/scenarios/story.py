"""Runs a scenario: broker, acquirer and one terminal, each step awaited on what really happened, and told as it happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from host_sim.platform import RealTime, Time
from host_sim.scenarios.actions import Actions
from host_sim.scenarios.expectations import Expectations
from host_sim.scenarios.looking import Onlooker, StepFailed
from host_sim.scenarios.scenario import EXPECTS, Scenario, Step
from host_sim.simulated_time import SimulatedTime
from host_sim.terminal import TerminalFailure
from host_sim.world import Shop, Tell, open_shop


@dataclass
class StepResult:
    step: str
    line: int
    passed: bool
    duration_s: float
    message: str = ""


@dataclass
class Outcome:
    """What a run came to. published, verified, refused: messages of both directions; a last will is verified, but published by the broker,
    and one that was sent again is published twice. duration_s: in the time of the run, as of its steps; real_s: on this machine.
    """

    scenario: str
    board: str
    runtime: str
    passed: bool
    final_state: str
    steps: list[StepResult]
    published: int
    verified: int
    refused: int
    duration_s: float
    real_s: float
    is_simulated: bool
    screens: list[tuple[str, list[str]]] = field(default_factory=list)
    slip: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "scenario": self.scenario,
            "board": self.board,
            "runtime": self.runtime,
            "passed": self.passed,
            "final_state": self.final_state,
            "steps": [vars(step) for step in self.steps],
            "messages": {"published": self.published, "verified": self.verified, "refused": self.refused},
            "duration_s": round(self.duration_s, 3),
            "real_s": round(self.real_s, 3),
            "time": "simulated" if self.is_simulated else "real",
        }


class Player:
    """Does the steps of scenarios in a shop. pictures: where what is seen is put as PNG, or None."""

    def __init__(self, shop: Shop, pictures: Path | None = None) -> None:
        self._shop = shop
        self.actions = Actions(shop)
        self.expectations = Expectations(shop, pictures)

    async def do(self, step: Step) -> None:
        """Carry out a step, or wait for what it expects. Raises StepFailed; TerminalFailure: the terminal ended by itself."""
        self._shop.check()
        if step.verb.startswith(EXPECTS):
            await self.expectations.wait_for(step)
        else:
            await self.actions.do(step)


async def play(
    scenario: Scenario,
    folder: Path,
    *,
    board: str,
    runtime: str,
    language: str,
    broker: str,
    tell: Tell,
    time: Time | None = None,
    pictures: Path | None = None,
) -> Outcome:
    """Run a scenario to its end, or to the first step that fails. folder: empty; time: a simulated one runs the program that this is called
    in; the machine's own unless given. Raises BrokerFailure, TerminalFailure: it cannot begin.
    """
    time = time or RealTime()
    began_ms, here_began = time.now_ms(), monotonic()
    results: list[StepResult] = []
    async with open_shop(folder, board=board, runtime=runtime, language=language, broker=broker, tell=tell, time=time) as shop:
        player = Player(shop, pictures)
        for step in scenario.steps:
            if step.device and step.device not in shop.terminal.chips:
                continue
            step_began_ms = time.now_ms()
            message = ""
            try:
                await player.do(step)
            except (StepFailed, TerminalFailure) as error:
                message = str(error)
                tell("failed", f"{scenario.path}:{step.line}: {step}: {message}")
            results.append(StepResult(str(step), step.line, not message, (time.now_ms() - step_began_ms) / 1000, message))
            if message:
                break
        return Outcome(
            scenario.title,
            board,
            runtime,
            all(result.passed for result in results),
            str(shop.account.state.get("mode", "")),
            results,
            shop.sent + shop.acquirer.published,
            shop.acquirer.verified + shop.accepted,
            len(shop.acquirer.refused) + player.actions.hostile_refused,
            (time.now_ms() - began_ms) / 1000,
            monotonic() - here_began,
            isinstance(time, SimulatedTime),
            player.expectations.screens,
            Onlooker(shop).slip(),
        )
