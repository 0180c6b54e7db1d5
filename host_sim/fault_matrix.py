"""The fault matrix: each fault that the models of a board list, switched on at a running terminal, and what its self-test says of it."""

from __future__ import annotations

import asyncio
import fnmatch
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from firmware_agent.selftest.plans import FULL, POWER_ON
from host_sim.technician import Technician
from host_sim.terminal import TerminalFailure
from host_sim.world import TERMINAL, Shop, open_shop

LANGUAGE = "en"
RUN_TIMEOUT_S = 400.0  # of one terminal, from power on: a dead key costs two waits of the examination
LOOK_S = 0.02


@dataclass(frozen=True)
class Case:
    """One fault at one place. id: 'printer.paper_out'; place: as in Shop.breakable; component, cause: what is to be found."""

    id: str
    place: str
    name: str
    component: str
    cause: str
    when_running: bool = False  # it breaks while the terminal is in service: before that it would keep the order for the test away


@dataclass(frozen=True)
class Finding:
    component: str
    cause: str


@dataclass
class Matrix:
    """What a run of the matrix came to."""

    board: str
    runtime: str
    diagnosed: list[tuple[Case, Finding | None]]
    clean: list[Finding | None]

    @property
    def detected(self) -> int:
        return sum(finding is not None for _, finding in self.diagnosed)

    @property
    def correct(self) -> int:
        return sum(finding is not None and finding.component == case.component for case, finding in self.diagnosed)

    @property
    def false_alarms(self) -> int:
        return sum(finding is not None for finding in self.clean)

    @property
    def holds(self) -> bool:
        """Every fault found, the right component in at least 98 of 100, and no false alarm."""
        total = len(self.diagnosed)
        return self.detected == total and self.correct * 100 >= total * 98 and not self.false_alarms

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "board": self.board,
            "runtime": self.runtime,
            "faults": [
                {
                    "id": case.id,
                    "device": case.place,
                    "expected": {"component": case.component, "cause": case.cause},
                    "diagnosed": None if finding is None else {"component": finding.component, "cause": finding.cause},
                }
                for case, finding in self.diagnosed
            ],
            "total": len(self.diagnosed),
            "detected": self.detected,
            "correct_component": self.correct,
            "clean_runs": len(self.clean),
            "false_alarms": self.false_alarms,
        }


def cases(shop: Shop) -> list[Case]:
    """Every fault that the models of this terminal list, in a fixed order. A fault that a model gains is one more case here."""
    found = []
    buses = shop.terminal.hal().buses
    for place, breakable in sorted(shop.breakable.items()):
        for name, fault in sorted(breakable.FAULTS.items()):
            component, cause = fault.component or place, fault.cause
            if place in buses:  # a wire: what fails is the device on it, or, where it has several, all of them at once
                component, cause = (buses[place][0], cause) if len(buses[place]) == 1 else ("bus", "bus_failed")
            found.append(Case(f"{place}.{name}", place, name, component, cause, name in breakable.BREAK_IN_SERVICE))
    return found


async def run_matrix(board: str, runtime: str, only: str, clean_runs: int, jobs: int, seed: int, tell: Callable[[str], None]) -> Matrix:
    """Run every case whose id matches `only`, and `clean_runs` runs of a sound terminal, `jobs` at a time. seed: of all that is random."""
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        async with open_shop(Path(folder), board=board, runtime=runtime, language=LANGUAGE) as shop:
            chosen = [case for case in cases(shop) if fnmatch.fnmatch(case.id, only)]
    free = asyncio.Semaphore(jobs)

    async def one(case: Case | None, number: int) -> Finding | None:
        async with free:
            finding, how = await _diagnose(board, runtime, case, Random(f"{seed} {number}"))
        name = case.id if case is not None else f"clean run {number}"
        tell(f"{name}: {f'{finding.component} {finding.cause}' if finding else 'nothing found'} ({how})")
        return finding

    findings = await asyncio.gather(
        *(one(case, number) for number, case in enumerate(chosen)), *(one(None, 10_000 + number) for number in range(clean_runs))
    )
    return Matrix(board, runtime, list(zip(chosen, findings[: len(chosen)], strict=True)), findings[len(chosen) :])


async def _diagnose(board: str, runtime: str, case: Case | None, random: Random) -> tuple[Finding | None, str]:
    """Boot a terminal with that fault, or with none, and have it tested: first what the power-on test finds, and if it finds nothing the
    technician's full test. Gives the first of what was found, and how it was found.
    """
    lines: list[str] = []
    technician: Technician | None = None

    def tell(who: str, what: str) -> None:
        if who == "terminal":
            lines.append(what)
            if technician is not None:
                technician.heard(what)

    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        async with open_shop(Path(folder), board=board, runtime=runtime, language=LANGUAGE, tell=tell) as shop:
            technician = Technician(shop.terminal, LANGUAGE, random)
            if case is None:
                for place in shop.breakable.values():  # the ways of sound parts are no reason for a complaint
                    for habit in sorted(place.HABITS):
                        if random.random() < 0.2:
                            place.fault(habit)
            elif not case.when_running:
                shop.breakable[case.place].fault(case.name)
            try:
                async with asyncio.timeout(RUN_TIMEOUT_S):
                    shop.terminal.power_on()
                    await _ended(shop, lines, POWER_ON)
                    if not _found(lines):
                        await shop.acquirer.order(TERMINAL, action="self_test", plan=FULL)
                        await _until(shop, lambda: any(line.startswith("accepted") and "self_test" in line for line in lines))
                        if case is not None and case.when_running:
                            shop.breakable[case.place].fault(case.name)
                        await _ended(shop, lines, FULL)
            except TimeoutError:
                return _found(lines), "the self-test did not end: " + " | ".join(lines[-3:])
            except TerminalFailure as error:
                return _found(lines), str(error)
            finally:
                await technician.leave()
    return _found(lines), next((line for line in lines if line.startswith("diagnosis ")), "full test")


async def _ended(shop: Shop, lines: list[str], plan: str) -> None:
    """Until the plan has ended, or something was found: in safe mode no plan ends."""
    await _until(shop, lambda: _found(lines) is not None or any(line.startswith(f"self-test {plan} ended") for line in lines))


async def _until(shop: Shop, holds: Callable[[], bool]) -> None:
    while not holds():
        shop.terminal.check()
        await asyncio.sleep(LOOK_S)


def _found(lines: list[str]) -> Finding | None:
    """The first diagnosis: the worst comes first."""
    for line in lines:
        if line.startswith("diagnosis "):
            _, component, cause, *_ = line.split()
            return Finding(component, cause)
    return None
