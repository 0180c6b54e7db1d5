"""All attacks: on a running terminal in each runtime, and of a hostile terminal on the acquirer; what `reinstate attack` runs."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from host_sim.attacks import acquirer_siege, on_acquirer, on_terminal, terminal_siege
from host_sim.attacks.siege import Result, besiege


async def run_attacks(board: str, runtimes: Sequence[str], only: str, tell: Callable[[str], None]) -> list[Result]:
    """Those whose id matches `only`, on a terminal in each of the runtimes, and on the acquirer, all at the same time.

    Raises AttackError, BrokerFailure, TerminalFailure: what is to be attacked is not there, or has ended.
    """

    async def against_terminal(runtime: str) -> list[Result]:
        async with terminal_siege.siege_of(board, runtime) as siege:
            return await besiege(siege, on_terminals, tell)

    async def against_acquirer() -> list[Result]:
        async with acquirer_siege.siege_of(board) as siege:
            return await besiege(siege, on_acquirers, tell)

    on_terminals = [attack for attack in on_terminal.attacks() if fnmatch.fnmatch(attack.id, only)]
    on_acquirers = [attack for attack in on_acquirer.attacks() if fnmatch.fnmatch(attack.id, only)]
    sieges: list[Coroutine[Any, Any, list[Result]]] = []
    if on_terminals:
        sieges += [against_terminal(runtime) for runtime in runtimes]
    if on_acquirers:
        sieges.append(against_acquirer())
    return [result for results in await asyncio.gather(*sieges) for result in results]


def document(results: Sequence[Result]) -> dict[str, Any]:
    """For `--json`."""
    told = [
        {
            "id": result.id,
            "target": result.target,
            "runtime": result.runtime,
            "refused": result.refused,
            "reason": result.reason,
            "state_unchanged": not result.changed,
        }
        for result in results
    ]
    return {"attacks": told, "total": len(results), "refused": sum(result.refused for result in results)}
