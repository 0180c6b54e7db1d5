"""Runs a scenario: broker, acquirer and one terminal, each step awaited on what really happened, and told as it happens."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_sim.actions import Actions
from host_sim.expectations import Expectations
from host_sim.looking import Onlooker, StepFailed
from host_sim.scenario import EXPECTS, Scenario, Step
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
    and one that was sent again is published twice.
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
    pictures: Path | None = None,
) -> Outcome:
    """Run a scenario to its end, or to the first step that fails. folder: empty. Raises BrokerFailure, TerminalFailure: it cannot begin."""
    began = time.monotonic()
    results: list[StepResult] = []
    async with open_shop(folder, board=board, runtime=runtime, language=language, broker=broker, tell=tell) as shop:
        player = Player(shop, pictures)
        for step in scenario.steps:
            if step.device and step.device not in shop.terminal.chips:
                continue
            step_began = time.monotonic()
            message = ""
            try:
                await player.do(step)
            except (StepFailed, TerminalFailure) as error:
                message = str(error)
                tell("failed", f"{scenario.path}:{step.line}: {step}: {message}")
            results.append(StepResult(str(step), step.line, not message, round(time.monotonic() - step_began, 3), message))
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
            time.monotonic() - began,
            player.expectations.screens,
            Onlooker(shop).slip(),
        )
