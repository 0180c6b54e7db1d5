"""Attacks on a running terminal and on the acquirer: a chosen few of each sort, what the command says, and what it must not overlook."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from host_sim.attacks import on_acquirer, on_terminal, terminal_siege
from host_sim.attacks.run import document
from host_sim.attacks.siege import GROUP, Attack, AttackError, Result, besiege
from host_sim.cli import GOOD, WRONG_USAGE, main

LEAST_ON_TERMINAL, LEAST_ON_ACQUIRER = 60, 20
FIELDS = {"id", "target", "runtime", "refused", "reason", "state_unchanged"}


def test_there_are_enough_attacks_and_each_has_a_name_of_its_own() -> None:
    terminals, acquirers = on_terminal.attacks(), on_acquirer.attacks()
    assert len(terminals) >= LEAST_ON_TERMINAL and len(acquirers) >= LEAST_ON_ACQUIRER
    names = [attack.id for attack in [*terminals, *acquirers]]
    assert len(set(names)) == len(names)
    assert all(attack.id.startswith("terminal.") for attack in terminals)
    assert all(attack.id.startswith("acquirer.") for attack in acquirers)
    assert all(attack.reason for attack in [*terminals, *acquirers])


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("pattern", ["terminal.[rs]e[np][lt]*.[st]*", "terminal.forged.[aos]*"])
def test_a_running_terminal_refuses_each_for_its_reason_and_goes_on(runtime: str, pattern: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["attack", "--runtime", runtime, "--only", pattern, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert status == GOOD, told
    assert told["total"] == told["refused"] == len(told["attacks"]) >= 3
    for attack in told["attacks"]:
        assert set(attack) == FIELDS
        assert (attack["target"], attack["runtime"]) == ("terminal", runtime)
        assert attack["refused"] and attack["state_unchanged"] and attack["reason"]


def test_the_acquirer_refuses_every_attack(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["attack", "--only", "acquirer.*", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert status == GOOD, [attack for attack in told["attacks"] if not (attack["refused"] and attack["state_unchanged"])]
    assert told["total"] == told["refused"] == len(on_acquirer.attacks())


def test_a_pattern_that_matches_nothing_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "--only", "toaster.*"]) == WRONG_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert "toaster" in line


def test_a_result_is_bad_for_another_reason_and_for_a_change() -> None:
    good = Result("terminal.x", "terminal", "cpython", "expired", "expired")
    other = Result("terminal.x", "terminal", "cpython", "expired", "malformed")
    obeyed = Result("terminal.x", "terminal", "cpython", "expired", "")
    changed = Result("terminal.x", "terminal", "cpython", "expired", "expired", ["highest"])
    assert [result.failed for result in (good, other, obeyed, changed)] == [True, False, False, False]
    told = document([good, other, obeyed, changed])
    assert (told["total"], told["refused"]) == (4, 2)
    assert [attack["refused"] for attack in told["attacks"]] == [True, False, False, True]
    assert [attack["state_unchanged"] for attack in told["attacks"]] == [True, True, True, False]


@dataclass
class Paper:
    """A siege of nothing. Says of every attack that it was refused as 'expired'."""

    served: list[bool]
    target: str = "terminal"
    runtime: str = "cpython"
    begun: int = 0
    played: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self.begun += 1

    async def verdict(self, attack: Attack[Any]) -> tuple[str, list[str]]:
        return "expired", []

    async def serves(self) -> bool:
        return self.served.pop(0)


def test_what_broke_a_group_is_held_against_each_attack_of_it() -> None:
    async def play(siege: Paper) -> None:
        siege.played.append("x")

    paper = Paper([True, False, True])
    results = asyncio.run(besiege(paper, [Attack(f"terminal.{number}", "expired", play) for number in range(2 * GROUP + 1)], print))
    assert len(paper.played) == paper.begun == len(results) == 2 * GROUP + 1
    assert [result.failed for result in results] == [True] * GROUP + [False] * GROUP + [True]


def test_without_the_repository_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(on_terminal, "VECTORS", tmp_path / "wire-vectors.json")
    assert main(["attack", "--runtime", "cpython", "--only", "nothing.*"]) == WRONG_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"reinstate: {tmp_path}/wire-vectors.json: no test vectors here; they are in the repository")


def test_an_attack_that_could_not_be_played_has_not_failed() -> None:
    async def play(siege: Paper) -> None:
        raise AttackError("did not come: something")

    (result,) = asyncio.run(besiege(Paper([True]), [Attack("terminal.x", "expired", play)], print))
    assert not result.failed and "did not come" in str(result)


def test_a_terminal_that_obeyed_or_changed_something_is_found_out() -> None:
    """The harness itself: a good order in the place of an attack is neither refused, nor without a change."""

    async def good_order(siege: terminal_siege.TerminalSiege) -> None:
        await siege.publish(*await siege.signed(body={"action": "suspend", "reason": "violation"}))
        await siege.heard("accepted ")
        await siege.publish(siege.where(), b"")

    async def played() -> list[Result]:
        async with terminal_siege.siege_of("esp32s3_counter", "cpython") as siege:
            return await besiege(siege, [Attack("terminal.good", "malformed", good_order)], print)

    (result,) = asyncio.run(played())
    assert result.refused and not result.failed
    assert {"state", "highest", "1 obeyed"} <= set(result.changed)
