"""Each fault of the uplink is named by the walk of a terminal that was well before, and leaves nothing behind; on both runtimes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from firmware_agent.links.link import LinkSettings, Tls
from firmware_agent.links.mqtt_paho import MqttPahoLink
from host_sim.acquirer.acquirer import SLOT, Acquirer, running
from host_sim.acquirer.equipment import software_element
from host_sim.brokers import MosquittoBroker
from host_sim.microcontroller import micropython_binary
from host_sim.pki import TestAuthority
from host_sim.platform import RealTime
from host_sim.provision import provision
from host_sim.terminal import RUNTIMES
from host_sim.uplink import SENT_AGAIN_MS, SLOW_MS, Uplink
from tests.links.path_side import Side, hal_in
from tests.links.support import ROOT, TestClock

pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.needs("micropython")]

ACQUIRER = "acq1"
THIS_YEAR, NOT_SET = 2026, 2000
HEAP = "1000k"  # as the whole terminal has in the simulation
QUICK_MS = 5000  # for answers that do not come; 0: as in the field
LIMIT_S = 120
AT_ONCE = 4  # terminals that compute; those that wait for what does not come are not counted
# Those with a cause that the walk finds by itself; slow and lossy are measured, and judged by whoever has the limits.
FAILING = [name for name in Uplink.FAULTS if name not in ("slow", "lossy", "acquirer_silent")]

Found = tuple[str, str, str, dict[str, int], str]  # outcome, cause, error, measurements, detail
Walk = Callable[[], Awaitable[Found]]


class World:
    """Broker and acquirer, for many terminals."""

    def __init__(self, folder: Path, limit_ms: int) -> None:
        self.folder = folder
        self.limit_ms = limit_ms
        self.turn = asyncio.Semaphore(AT_ONCE)
        self.authority = TestAuthority()
        self.broker = MosquittoBroker(folder / "broker", self.authority, ACQUIRER)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[World]:
        await self.broker.start()
        try:
            (self.folder / "acquirer").mkdir()
            element = await software_element(self.folder / "acquirer")
            credential = self.authority.client(ACQUIRER)
            tls = Tls(self.authority.certificate_der, credential.certificate_der, credential.private_key_der, "localhost")
            link = MqttPahoLink(LinkSettings("127.0.0.1", self.broker.port, ACQUIRER, 30, tls), TestClock())
            now_s = RealTime().time
            self.acquirer = Acquirer(ACQUIRER, self.authority, element, await element.generate_key(SLOT), now_s)
            async with running(self.acquirer, link):
                yield self
        finally:
            await self.broker.stop()

    @contextlib.asynccontextmanager
    async def terminal(self, name: str, runtime: str, year: int = THIS_YEAR) -> AsyncIterator[tuple[Uplink, Walk]]:
        """A terminal of its own, behind an uplink of its own; gives that, and its walk."""
        folder = self.folder / name
        folder.mkdir()
        time = RealTime()
        uplink = Uplink(self.broker.port, self.authority)
        uplink.on_acquirer.append(self.acquirer.hang)
        await uplink.start()
        try:
            hal = hal_in(str(folder), time, time.sleep_ms, year)
            await provision(hal, name, self.acquirer, self.authority, uplink.port, {})
            async with asyncio.timeout(LIMIT_S), self._side(folder, runtime, year) as walk:
                yield uplink, walk
        finally:
            await uplink.stop()

    @contextlib.asynccontextmanager
    async def _side(self, folder: Path, runtime: str, year: int) -> AsyncIterator[Walk]:
        if runtime == "cpython":
            time = RealTime()
            side: Any = Side(hal_in(str(folder), time, time.sleep_ms, year), MqttPahoLink)
            await side.start()
            try:
                yield side.walk
            finally:
                await side.stop()
            return
        process = await asyncio.create_subprocess_exec(
            micropython_binary(),
            "-X",
            f"heapsize={HEAP}",
            str(ROOT / "tests/links/path_side.py"),
            str(folder),
            str(year),
            str(self.limit_ms),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"},
        )
        assert process.stdin is not None and process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        async def walk() -> Found:
            stdin.write(b"walk\n")
            line = await stdout.readline()
            assert line.startswith(b"["), (line + await stdout.read()).decode()
            found: Found = tuple(json.loads(line))
            return found

        try:
            yield walk
        finally:
            process.kill()
            await process.wait()


def play(folder: Path, limit_ms: int, scenario: Callable[[World], Awaitable[None]]) -> None:
    """All terminals of a scenario run at the same time, those of both runtimes: they mostly wait."""

    async def main() -> None:
        async with World(folder, limit_ms).open() as world:
            await scenario(world)

    asyncio.run(main())


async def sound(world: World, walk: Walk) -> dict[str, int]:
    """A walk that finds nothing wrong; gives what it measured."""
    async with world.turn:
        outcome, cause, _, measurements, detail = await walk()
    assert (outcome, cause) == ("success", ""), detail
    assert measurements["inquiries"] >= 1 and measurements["connect_ms"] > 0
    return measurements


def test_each_fault_is_named_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def one(world: World, runtime: str, fault: str) -> None:
        async with world.terminal(f"{fault}-{runtime}", runtime) as (uplink, walk):
            assert (await sound(world, walk))["round_trip_ms"] < SENT_AGAIN_MS
            uplink.fault(fault)
            outcome, cause, _, _, detail = await walk()
            assert (fault, outcome, cause) == (fault, "fail", Uplink.FAULTS[fault].cause), detail
            uplink.fault(fault, False)
            await sound(world, walk)

    async def scenario(world: World) -> None:
        await asyncio.gather(*(one(world, runtime, fault) for runtime in RUNTIMES for fault in FAILING))
        for runtime in RUNTIMES:  # one after the other: there is one acquirer for all
            await one(world, runtime, "acquirer_silent")

    quickly(monkeypatch)
    play(tmp_path, QUICK_MS, scenario)


def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As be_quick of path_side.py, for the terminals in this process."""
    monkeypatch.setattr("firmware_agent.links.path.ANSWER_MS", QUICK_MS)
    monkeypatch.setattr("firmware_agent.messages.courier.CONNECT_TIMEOUT_MS", QUICK_MS)


def test_a_slow_and_a_lossy_path_show_in_what_is_measured(tmp_path: Path) -> None:
    async def slow(world: World, runtime: str) -> None:
        async with world.terminal(f"slow-{runtime}", runtime) as (uplink, walk):
            await sound(world, walk)
            uplink.fault("slow")
            measured = await sound(world, walk)
            assert measured["round_trip_ms"] >= 2 * SLOW_MS
            assert measured["lost"] <= 1

    async def slow_from_the_start(world: World, runtime: str) -> None:
        async with world.terminal(f"start-{runtime}", runtime) as (uplink, walk):
            uplink.fault("slow")
            outcome, cause, _, measured, _ = await walk()
            assert cause == "slow" or (outcome == "success" and measured["round_trip_ms"] >= 2 * SLOW_MS)

    async def lossy(world: World, runtime: str) -> None:
        async with world.terminal(f"lossy-{runtime}", runtime) as (uplink, walk):
            await sound(world, walk)
            uplink.fault("lossy")
            measured = await sound(world, walk)
            assert measured["lost"] >= 2 and measured["round_trip_ms"] < SENT_AGAIN_MS

    async def scenario(world: World) -> None:
        await asyncio.gather(*(one(world, runtime) for runtime in RUNTIMES for one in (slow, slow_from_the_start, lossy)))

    play(tmp_path, 0, scenario)


def test_a_certificate_that_is_not_yet_valid_is_the_clocks_fault_when_the_clock_is_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one(world: World, runtime: str) -> None:
        async with world.terminal(f"clock-{runtime}", runtime, NOT_SET) as (uplink, walk):
            uplink.fault("tls_not_yet_valid")
            outcome, cause, _, _, detail = await walk()
            assert (outcome, cause) == ("fail", "clock_wrong"), detail
            uplink.fault("tls_not_yet_valid", False)
            await sound(world, walk)  # whose answers set the clock
            uplink.fault("tls_not_yet_valid")
            outcome, cause, _, _, detail = await walk()
            assert (outcome, cause) == ("fail", "certificate_expired") and "not valid at this date" in detail

    async def scenario(world: World) -> None:
        await asyncio.gather(*(one(world, runtime) for runtime in RUNTIMES))

    quickly(monkeypatch)
    play(tmp_path, QUICK_MS, scenario)
