"""Several runs of scenarios: on each of some boards, runtimes and languages, each in a process of its own, some at the same time."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_sim.simulated_time import SEED

RUN_TIMEOUT_S = 900.0  # of one run: no scenario lasts nearly as long


@dataclass(frozen=True)
class Run:
    """One run of a scenario. language: of its screens; time: 'simulated' or 'real', '' for the best there is; seed: of chance in simulated
    time.
    """

    scenario: Path
    board: str
    runtime: str
    language: str
    broker: str = "embedded"
    time: str = ""
    seed: int = SEED


@dataclass(frozen=True)
class Ended:
    """What a run came to. message: of the step that failed, or why it did not run at all."""

    run: Run
    passed: bool
    final_state: str = ""
    duration_s: float = 0.0
    message: str = ""

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "scenario": self.run.scenario.as_posix(),
            "board": self.run.board,
            "runtime": self.run.runtime,
            "language": self.run.language,
            "passed": self.passed,
            "final_state": self.final_state,
            "duration_s": self.duration_s,
            "message": self.message,
        }

    def __str__(self) -> str:
        run, word = self.run, "passed" if self.passed else "FAILED"
        told = f"{word}  {run.board:<16} {run.runtime:<11} {run.language:<5} {self.duration_s:6.1f} s  {run.scenario}"
        return told + (f": {self.message}" if self.message else "")


@dataclass
class Sum:
    """Of several runs, in the order in which they were asked for."""

    ended: list[Ended] = field(default_factory=list)

    @property
    def passed(self) -> int:
        return sum(ended.passed for ended in self.ended)

    def table(self) -> list[str]:
        """A line for each scenario, and the sum."""
        paths = list(dict.fromkeys(ended.run.scenario for ended in self.ended))
        width = max(len(str(path)) for path in paths)
        lines = []
        for path in paths:
            results = [ended.passed for ended in self.ended if ended.run.scenario == path]
            lines.append(f"{str(path):<{width}}  {sum(results):>3} of {len(results)} passed")
        return [*lines, f"{'sum':<{width}}  {self.passed:>3} of {len(self.ended)} passed"]

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {"runs": [ended.document() for ended in self.ended], "total": len(self.ended), "passed": self.passed}


async def run_all(runs: Sequence[Run], jobs: int, tell: Callable[[str], None]) -> Sum:
    """Run them, `jobs` at a time; tells of each when it ends."""
    free = asyncio.Semaphore(jobs)

    async def one(run: Run) -> Ended:
        async with free:
            ended = await _carried_out(run)
        tell(str(ended))
        return ended

    return Sum(list(await asyncio.gather(*(one(run) for run in runs))))


async def _carried_out(run: Run) -> Ended:
    arguments = ["--board", run.board, "--runtime", run.runtime, "--lang", run.language, "--broker", run.broker, "--json"]
    arguments += ["--time", run.time] if run.time else []
    arguments += ["--seed", str(run.seed)] if run.seed != SEED else []
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "host_sim.cli",
        "run",
        str(run.scenario),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            out, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return Ended(run, False, message=f"did not end in {RUN_TIMEOUT_S:.0f} s")
    except asyncio.CancelledError:
        process.kill()
        raise
    try:
        outcome = json.loads(out)
    except ValueError:
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        return Ended(run, False, message=last[0] if last else f"exit code {process.returncode}")
    failed = [f"line {step['line']}: {step['step']}: {step['message']}" for step in outcome["steps"] if not step["passed"]]
    return Ended(run, outcome["passed"], outcome["final_state"], outcome["duration_s"], "; ".join(failed))
