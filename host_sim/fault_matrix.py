"""The fault matrix: each fault that the models of a board list, switched on at a running terminal, and what its self-test says of it."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import fnmatch
import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from firmware_agent.selftest.plans import FULL, POWER_ON
from host_sim.platform import Time, time_of_name
from host_sim.technician import Technician
from host_sim.terminal import TerminalFailure
from host_sim.world import TERMINAL, Shop, open_shop

LANGUAGE = "en"
RUN_TIMEOUT_S = 400.0  # of one terminal, in its own time, from power on: a dead key costs two waits of the examination
HERE_TIMEOUT_S = 900.0  # of one terminal, on this machine: a process that does not end by then hangs
LOOK_S = 0.5  # whether the program has ended without a word
QUIET_S = 3.0  # after which nothing of the terminal's start is under way any more


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
    time: str  # one of TIMES
    diagnosed: Sequence[tuple[Case, Finding | None]]
    clean: Sequence[Finding | None]

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
            "time": self.time,
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


def run_matrix(
    board: str,
    runtime: str,
    only: Sequence[str],
    clean_runs: int,
    *,
    time: str,
    jobs: int,
    seed: int,
    tell: Callable[[str], None],
    limit_s: float = HERE_TIMEOUT_S,
) -> Matrix:
    """Run every case whose id matches one of `only`, and `clean_runs` runs of a sound terminal, `jobs` at the same time, each in a process
    and a time of its own. time: one of TIMES; seed: of all that is random; limit_s: of one run, on this machine. Raises TerminalFailure,
    BrokerFailure.
    """
    chosen = [case for case in asyncio.run(_cases_of(board, runtime)) if any(fnmatch.fnmatch(case.id, pattern) for pattern in only)]
    runs: dict[str, Case | None] = {case.id: case for case in chosen}
    runs.update((f"clean run {number + 1}", None) for number in range(clean_runs))
    findings: dict[str, Finding | None] = {}
    workers = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
    try:
        work = {workers.submit(_carry_out, limit_s, board, runtime, case, time, f"{seed} {name}"): name for name, case in runs.items()}
        for ended in as_completed(work):
            name = work[ended]
            finding, how = ended.result()
            findings[name] = finding
            tell(f"{name}: {f'{finding.component} {finding.cause}' if finding else 'nothing found'} ({how})")
    except BrokenProcessPool as error:
        raise TerminalFailure(f"a run did not end in {limit_s:g} s, or its process was ended from outside") from error
    finally:
        workers.shutdown(cancel_futures=True)
    clean = [findings[name] for name, case in runs.items() if case is None]
    return Matrix(board, runtime, time, [(case, findings[case.id]) for case in chosen], clean)


async def _cases_of(board: str, runtime: str) -> list[Case]:
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        async with open_shop(Path(folder), board=board, runtime=runtime, language=LANGUAGE) as shop:
            return cases(shop)


def _carry_out(limit_s: float, board: str, runtime: str, case: Case | None, time: str, seed: str) -> tuple[Finding | None, str]:
    """In a process of its own: that is ended, and tells where it stood, when it hangs."""
    faulthandler.dump_traceback_later(limit_s, exit=True)
    try:
        random = Random(seed)
        own = time_of_name(time, random.getrandbits(30))
        return own.run(_diagnose(board, runtime, case, own, random))
    finally:
        faulthandler.cancel_dump_traceback_later()


async def _diagnose(board: str, runtime: str, case: Case | None, time: Time, random: Random) -> tuple[Finding | None, str]:
    """Boot a terminal with that fault, or with none, and have it tested: first what the power-on test finds, and if it finds nothing the
    technician's full test. Gives the first of what was found, and how it was found.
    """
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        async with open_shop(Path(folder), board=board, runtime=runtime, language=LANGUAGE, time=time) as shop:
            lines = shop.terminal.lines
            technician = Technician(shop.terminal, LANGUAGE, random)
            shop.listeners.append(technician.heard)
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
                    await _ended(shop, POWER_ON)
                    if not _found(lines):
                        if case is not None and case.when_running:
                            await _settled(shop)
                        await shop.acquirer.order(TERMINAL, action="self_test", plan=FULL)
                        await _until(shop, lambda: any(line.startswith("accepted") and "self_test" in line for line in lines))
                        if case is not None and case.when_running:
                            shop.breakable[case.place].fault(case.name)
                        await _ended(shop, FULL)
            except TimeoutError:
                return _found(lines), "the self-test did not end: " + " | ".join(lines[-3:])
            except TerminalFailure as error:
                return _found(lines), str(error)
            finally:
                await technician.leave()
            return _found(lines), next((line for line in lines if line.startswith("diagnosis ")), "full test")


async def _ended(shop: Shop, plan: str) -> None:
    """Until the plan has ended, or something was found: in safe mode no plan ends."""
    lines = shop.terminal.lines
    await _until(shop, lambda: _found(lines) is not None or any(line.startswith(f"self-test {plan} ended") for line in lines))


async def _settled(shop: Shop) -> None:
    """Until it has nothing more to say. On a way that grows slow while messages are under way, questions wait behind these for longer than
    for a silent acquirer.
    """
    said = -1
    while said != len(shop.terminal.lines):
        said = len(shop.terminal.lines)
        shop.terminal.check()
        await asyncio.sleep(QUIET_S)


async def _until(shop: Shop, holds: Callable[[], bool]) -> None:
    """By what the terminal says."""
    said = asyncio.Event()

    def heard(line: str) -> None:
        said.set()

    shop.listeners.append(heard)
    try:
        while not holds():
            shop.terminal.check()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await said.wait()
            said.clear()
    finally:
        shop.listeners.remove(heard)


def _found(lines: list[str]) -> Finding | None:
    """The first diagnosis: the worst comes first."""
    for line in lines:
        if line.startswith("diagnosis "):
            _, component, cause, *_ = line.split()
            return Finding(component, cause)
    return None
