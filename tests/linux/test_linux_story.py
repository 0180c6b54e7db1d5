"""The agent as a process on real interfaces, and what a Linux machine does to it: kills, hangs, full disks, plugs pulled and put back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from host_sim.linux.machine import LinuxMachine
from host_sim.terminal import TerminalFailure, check_runtime
from host_sim.world import PASSWORD, SSID, Shop, open_shop
from tests.story.world import until

ROOT = Path(__file__).parents[2]
BOARD = "linux_terminal"
pytestmark = [pytest.mark.needs(program) for program in ("root", "pcscd", "vsmartcard-vpcd", "softhsm2", "python3-dbusmock", "dbus-daemon")]


@contextlib.asynccontextmanager
async def linux_world() -> AsyncIterator[tuple[Shop, LinuxMachine]]:
    """A provisioned terminal that is in service."""
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        async with open_shop(Path(folder), board=BOARD, runtime="cpython", language="en", tell=print) as shop:
            machine = shop.terminal
            assert isinstance(machine, LinuxMachine)
            machine.power_on()
            await until(lambda: said(machine, "self-test power_on ended") == 1, "the end of the self-test")
            await until(lambda: shop.account.online and len(shop.account.reports) == 1, "its report")
            yield shop, machine


def said(machine: LinuxMachine, head: str) -> int:
    return sum(line.startswith(head) for line in machine.lines)


async def asked_for_a_self_test(machine: LinuxMachine) -> list[str]:
    """Ask the running agent for one from the shell; gives what was found, as 'component cause'."""
    shell = machine.command_for("selftest", "--json")
    asked = await asyncio.create_subprocess_exec(*shell, env=machine.environment, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(90):
        out, _ = await asked.communicate()
    machine.check()
    document = json.loads(out)
    assert document["plan"] == "daily"
    assert asked.returncode == (1 if any(result["outcome"] not in ("pass", "skip") for result in document["results"]) else 0)
    return [f"{finding['component']} {finding['cause']}" for finding in document["findings"]]


def test_every_device_of_the_terminal_keeps_its_contract_through_two_lives() -> None:
    async def scenario() -> dict[str, list[str]]:
        with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
            async with open_shop(Path(folder), board=BOARD, runtime="cpython", language="en", tell=print) as shop:
                machine = shop.terminal
                assert isinstance(machine, LinuxMachine)
                program = [sys.executable, str(Path(__file__).with_name("contract_side.py")), str(machine.configuration), SSID, PASSWORD]
                environment = machine.environment | {"PYTHONPATH": str(ROOT)}
                side = await asyncio.create_subprocess_exec(*program, env=environment, stdout=asyncio.subprocess.PIPE)
                async with asyncio.timeout(60):
                    out, _ = await side.communicate()
                complaints: dict[str, list[str]] = json.loads(out.splitlines()[-1])
                assert set(complaints) == set(machine.facts["parts"])
                return complaints

    assert {kind: found for kind, found in asyncio.run(scenario()).items() if found} == {}


def test_a_killed_agent_is_started_again_and_knows_that_it_was_killed() -> None:
    async def scenario() -> None:
        async with linux_world() as (shop, machine):
            machine.process.send_signal(signal.SIGKILL)
            await until(lambda: said(machine, "self-test power_on ended") == 2, "the next start")
            assert machine.service.restarts == 1
            assert shop.account.state["mode"] == "in_service"

    asyncio.run(scenario())


def test_an_agent_that_stands_still_is_ended_by_the_service_managers_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host_sim.linux.machine.WATCHDOG_S", 3.0)

    async def scenario() -> None:
        async with linux_world() as (_, machine):
            machine.process.send_signal(signal.SIGSTOP)
            first = machine.process
            await until(lambda: machine.process is not first, "another process")
            await until(lambda: said(machine, "self-test power_on ended") == 2, "the next start")

    asyncio.run(scenario())


def test_sigterm_ends_it_cleanly_and_the_acquirer_hears_that_it_has_left() -> None:
    async def scenario() -> None:
        async with linux_world() as (shop, machine):
            machine.process.send_signal(signal.SIGTERM)
            await until(lambda: not shop.account.online, "the farewell")
            with pytest.raises(TerminalFailure, match="exit code 0"):
                while True:
                    machine.check()
                    await asyncio.sleep(0.02)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("kind", "fault", "cause"),
    [
        ("printer", "unplugged", "offline"),
        ("card_reader", "service_stopped", "service_down"),
        ("card_reader", "unplugged", "unplugged"),
        ("scanner", "unplugged", "unplugged"),
        ("secure_element", "unplugged", "unplugged"),
        ("keypad", "unplugged", "unplugged"),
        ("display", "unplugged", "unplugged"),
    ],
)
def test_what_is_pulled_out_while_it_runs_is_missed_and_found_again(kind: str, fault: str, cause: str) -> None:
    async def scenario() -> None:
        async with linux_world() as (shop, machine):
            machine.breakable[kind].fault(fault)
            assert f"{kind} {cause}" in await asked_for_a_self_test(machine)
            machine.breakable[kind].fault(fault, False)
            assert await asked_for_a_self_test(machine) == []

    asyncio.run(scenario())


def test_reports_go_on_over_a_full_disk_and_say_so() -> None:
    async def scenario() -> None:
        async with linux_world() as (shop, machine):
            machine.disk.fault("full")
            reports = len(shop.account.reports)
            assert "storage full" in await asked_for_a_self_test(machine)
            await until(lambda: len(shop.account.reports) > reports, "the report of a terminal whose disk is full")
            machine.disk.fault("full", False)
            assert await asked_for_a_self_test(machine) == []

    asyncio.run(scenario())


def test_a_second_agent_says_that_there_is_one_and_ends() -> None:
    async def scenario() -> subprocess.CompletedProcess[str]:
        async with linux_world() as (_, machine):
            second = await asyncio.create_subprocess_exec(
                *machine.command_for("run"), env=machine.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            async with asyncio.timeout(20):
                out, error = await second.communicate()
            machine.check()
            return subprocess.CompletedProcess("run", second.returncode or 0, out.decode(), error.decode())

    ended = asyncio.run(scenario())
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1 and "in use by another agent" in ended.stderr


def test_a_self_test_from_the_shell_is_the_agents_own_and_reaches_the_acquirer() -> None:
    async def scenario() -> None:
        async with linux_world() as (shop, machine):
            reports = len(shop.account.reports)
            assert await asked_for_a_self_test(machine) == []
            await until(lambda: len(shop.account.reports) == reports + 1, "the same result at the acquirer")

    asyncio.run(scenario())


def test_a_microcontrollers_runtime_is_refused_with_what_there_is() -> None:
    with pytest.raises(TerminalFailure, match="it has: cpython"):
        check_runtime(BOARD, "micropython")
