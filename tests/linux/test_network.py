"""The network on Linux: an interface that NetworkManager runs, by its D-Bus names, and one that the system runs, on the kernel's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from firmware_agent.selftest.diagnosis import diagnose
from firmware_agent.selftest.engine import run_phase
from firmware_agent.selftest.plans import phase_named
from firmware_agent.selftest.subject import Subject
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS
from hal.drivers.file_storage import FileStorage
from hal.drivers.linux.interface import Interface
from hal.drivers.linux.network_manager import NetworkManager
from hal.drivers.software_key import SoftwareKey
from hal.errors import (
    E_DISABLED,
    E_FAILURE,
    E_ILLEGAL,
    E_NOEXIST,
    E_NOHARDWARE,
    E_NOSERVICE,
    E_OFFLINE,
    E_TIMEOUT,
    DeviceError,
)
from hal.files import Files
from hal.hal import Hal
from hal.network import CONTRACT
from host_sim.linux.network_manager_service import NetworkManagerService, WiredNetworkManagerService
from tests.linux.support import bring_up, real_clock

JOIN_MS = 15000
GIVE_UP_MS = 1500  # for an address that never comes
LIMIT_S = 30
CODES = {
    "no_network": E_OFFLINE,
    "no_link": E_OFFLINE,
    "wrong_password": E_FAILURE,
    "no_permission": E_FAILURE,
    "no_address": E_TIMEOUT,
    "dead_radio": E_NOHARDWARE,
    "unplugged": E_NOHARDWARE,
    "service_down": E_NOSERVICE,
}
REFUSING = [name for name in NetworkManagerService.FAULTS if name != "weak_signal"]

managed = pytest.mark.needs("python3-dbusmock")
Program = Callable[[NetworkManagerService, NetworkManager], Awaitable[None]]


@contextlib.asynccontextmanager
async def running(model: type[NetworkManagerService]) -> AsyncIterator[NetworkManagerService]:
    with tempfile.TemporaryDirectory(prefix="nm-") as folder:  # short: a socket lies in it
        service = model(Path(folder))
        await service.start()
        try:
            yield service
        finally:
            await service.stop()


def run(
    program: Program, monkeypatch: pytest.MonkeyPatch, model: type[NetworkManagerService] = NetworkManagerService, up: bool = True
) -> None:
    """Have the program with the model and a driver that is configured, and brought up if `up`."""

    async def run_it() -> None:
        async with asyncio.timeout(LIMIT_S), running(model) as service:
            for name, value in service.environment().items():
                monkeypatch.setenv(name, value)
            device = NetworkManager(str(service.section()["interface"]), real_clock())
            device.configure(service.ssid, service.password)
            if up:
                await bring_up(device)
            try:
                await program(service, device)
            finally:
                device.disable()

    asyncio.run(run_it())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


async def refusal_of(work: Coroutine[Any, Any, Any]) -> tuple[int, str]:
    with pytest.raises(DeviceError) as error:
        await work
    assert error.value.detail
    return error.value.code, error.value.cause


def limit_of(fault: str) -> int:
    return GIVE_UP_MS if fault == "no_address" else JOIN_MS


async def cause_of(device: NetworkManager | Interface) -> str:
    return (await device.check_health()).cause


# NetworkManager: what works.


@managed
def test_a_radio_is_joined_and_tells_its_address_and_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        assert CONTRACT.missing(device) == [] and device.level == 3
        assert not device.is_connected() and device.address() == ""
        await device.connect(JOIN_MS)
        assert device.is_connected()
        assert device.address() == "192.168.4.2"
        assert device.signal_dbm() == -55
        health = await device.check_health()
        assert (health.outcome, health.measurements) == (HEALTH_SUCCESS, {"signal_dbm": -55})
        service.signal_dbm = -70
        await until(lambda: device.signal_dbm() == -70)  # without being asked

    run(program, monkeypatch)


@managed
def test_a_cable_is_followed_and_needs_no_name_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        device.configure("", "")
        assert CONTRACT.missing(device) == [] and device.level == 1
        await device.connect(JOIN_MS)
        assert device.address() == "192.168.4.2"
        health = await device.check_health()
        assert (health.outcome, health.measurements) == (HEALTH_SUCCESS, {})
        service.fault("cable_out")
        await until(lambda: not device.is_connected())
        health = await device.check_health()
        assert (health.outcome, health.cause) == (HEALTH_FAIL, "no_link")  # and not 'not_configured'
        assert await refusal_of(device.connect(JOIN_MS)) == (E_OFFLINE, "no_link")
        service.fault("cable_out", False)
        await until(device.is_connected)  # NetworkManager does it by itself

    run(program, monkeypatch, WiredNetworkManagerService)


@managed
def test_an_open_network_is_joined_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        service.password = ""
        device.configure(service.ssid, "")
        await device.connect(JOIN_MS)
        assert device.is_connected()

    run(program, monkeypatch)


@managed
def test_two_who_join_at_once_make_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        await asyncio.gather(device.connect(JOIN_MS), device.connect(JOIN_MS))
        assert await service.calls("AddAndActivateConnection") + await service.calls("ActivateConnection") == 1

    run(program, monkeypatch)


@managed
def test_the_profile_of_a_network_is_used_again_and_learns_a_new_password(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        await device.connect(JOIN_MS)
        service.password = "changed by the shop"
        service.drop()
        await until(lambda: not device.is_connected())
        assert await refusal_of(device.connect(JOIN_MS)) == (E_FAILURE, "wrong_password")
        device.configure(service.ssid, service.password)
        await device.connect(JOIN_MS)
        assert device.is_connected()
        assert await service.profiles() == 1
        device.configure(service.ssid, "")  # the profile knows it
        service.drop()
        await until(lambda: not device.is_connected())
        await device.connect(JOIN_MS)
        assert await service.calls("AddAndActivateConnection") == 1

    run(program, monkeypatch)


@managed
def test_a_radio_without_a_network_to_join_is_not_configured_unless_it_has_joined_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        device.configure("", "")
        health = await device.check_health()
        assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "not_configured")
        assert await refusal_of(device.connect(JOIN_MS)) == (E_ILLEGAL, "not_configured")
        device.configure(service.ssid, service.password)
        await device.connect(JOIN_MS)
        device.configure("", "")  # what the installer has set up with the system's own means
        assert device.is_connected()
        await device.connect(JOIN_MS)
        assert await cause_of(device) == ""

    run(program, monkeypatch)


@managed
def test_another_network_than_the_configured_one_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        await device.connect(JOIN_MS)
        device.configure("another", "another one's")
        assert not device.is_connected()
        assert await cause_of(device) == "no_network"
        assert await refusal_of(device.connect(JOIN_MS)) == (E_OFFLINE, "no_network")

    run(program, monkeypatch)


@managed
def test_the_networks_in_range_are_told_the_strongest_first_and_which_need_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        own = (service.ssid, -55, True)
        assert await device.scan(JOIN_MS) == [own, ("Cafe guests", -71, False), ("\u9694\u58c1\u5c0f\u5e97", -78, True)]
        await device.connect(JOIN_MS)
        assert (await device.scan(JOIN_MS))[0] == own and device.is_connected()
        service.fault("dead_radio")
        await until(lambda: not device.is_connected())
        assert await refusal_of(device.scan(JOIN_MS)) == (E_NOHARDWARE, "dead_radio")

    run(program, monkeypatch)


@managed
def test_addresses_that_were_set_are_the_profiles_until_they_are_automatic_again(monkeypatch: pytest.MonkeyPatch) -> None:
    static = ("192.168.4.77", "255.255.255.0", "192.168.4.1", "192.168.4.1")

    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        await device.connect(JOIN_MS)
        device.configure(service.ssid, service.password, static)
        await device.connect(JOIN_MS)
        assert device.address() == "192.168.4.77" and await service.profiles() == 1
        service.fault("no_address")  # which is the DHCP server's
        service.drop()
        await until(lambda: not device.is_connected())
        await device.connect(JOIN_MS)
        assert device.address() == "192.168.4.77"
        service.fault("no_address", False)
        device.configure(service.ssid, service.password)
        await device.connect(JOIN_MS)
        assert device.address() == "192.168.4.2"

    run(program, monkeypatch)


@managed
def test_a_password_that_was_changed_is_tried_though_the_network_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        await device.connect(JOIN_MS)
        device.configure(service.ssid, "not the password")
        assert await refusal_of(device.connect(JOIN_MS)) == (E_FAILURE, "wrong_password")
        device.configure(service.ssid, service.password)
        await device.connect(JOIN_MS)
        assert device.is_connected()

    run(program, monkeypatch)


# NetworkManager: what fails.


@managed
@pytest.mark.parametrize("fault", REFUSING)
def test_what_keeps_a_radio_from_its_network_is_named_and_once_mended_it_joins(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        cause = service.FAULTS[fault].cause

        async def is_named() -> None:
            assert await refusal_of(device.connect(limit_of(fault))) == (CODES[cause], cause)
            health = await device.check_health()
            assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, cause, CODES[cause])

        async def is_mended() -> None:
            service.fault(fault, False)
            await service.settled()
            await device.connect(JOIN_MS)
            assert device.is_connected() and await cause_of(device) == ""

        service.fault(fault)
        await service.settled()
        device.open()
        device.claim()
        if fault in ("interface_gone", "service_stopped"):
            assert await refusal_of(device.enable()) == (CODES[cause], cause)
        else:
            await device.enable()
        await is_named()
        await is_mended()
        service.fault(fault)  # while it is joined
        if fault == "not_allowed":
            return  # which nobody has to ask now
        await until(lambda: not device.is_connected())  # without being asked
        await service.settled()
        assert device.address() == ""
        assert await cause_of(device) == cause
        await is_named()
        await is_mended()

    run(program, monkeypatch, up=False)


@managed
@pytest.mark.parametrize("fault", WiredNetworkManagerService.FAULTS)
def test_what_is_wrong_with_a_cable_is_named_and_once_mended_it_carries(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        cause = service.FAULTS[fault].cause
        await device.connect(JOIN_MS)
        service.fault(fault)
        await until(lambda: not device.is_connected())
        await service.settled()
        assert await refusal_of(device.connect(limit_of(fault))) == (CODES[cause], cause)
        assert await cause_of(device) == cause
        service.fault(fault, False)
        await service.settled()
        await device.connect(JOIN_MS)
        assert await cause_of(device) == ""

    run(program, monkeypatch, WiredNetworkManagerService)


@managed
def test_a_weak_signal_is_told_by_the_self_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        await device.connect(JOIN_MS)
        service.fault("weak_signal")
        await service.settled()
        hal = hal_with(device, tmp_path)
        diagnosis = diagnose(await run_phase(Subject(hal), phase_named("network", hal)))
        assert diagnosis is not None and diagnosis.cause.code == "weak_signal"

    run(program, monkeypatch)


@managed
@pytest.mark.parametrize("fault", ["interface_gone", "service_stopped"])
def test_a_self_test_finds_again_what_was_not_there_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        service.fault(fault)
        await service.settled()
        hal = hal_with(device, tmp_path)
        await hal.bring_up(("network",))
        phase = phase_named("network", hal)
        assert (await run_phase(Subject(hal), phase)).cause == service.FAULTS[fault].cause
        service.fault(fault, False)
        await service.settled()
        assert (await run_phase(Subject(hal), phase)).cause == "no_link"  # there, and nobody has joined yet
        await device.connect(JOIN_MS)
        assert (await run_phase(Subject(hal), phase)).outcome == "pass"

    run(program, monkeypatch, up=False)


@managed
def test_a_networkmanager_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        monkeypatch.setattr("hal.drivers.linux.network_manager._CALL_MS", 300)
        process = service.process
        os.kill(process, signal.SIGSTOP)
        try:
            health = await device.check_health()
        finally:
            os.kill(process, signal.SIGCONT)
        assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", E_TIMEOUT)
        await device.connect(JOIN_MS)

    run(program, monkeypatch)


@managed
def test_a_bus_that_ends_is_a_service_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        await device.connect(JOIN_MS)
        await service.stop()
        await until(lambda: not device.is_connected())
        assert await refusal_of(device.connect(JOIN_MS)) == (E_NOSERVICE, "service_down")
        assert await cause_of(device) == "service_down"
        await service.start()
        await device.connect(JOIN_MS)

    run(program, monkeypatch)


def test_a_machine_without_a_system_bus_has_no_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")

    async def program() -> None:
        device = NetworkManager("wlan0", real_clock())
        assert await refusal_of(bring_up(device)) == (E_NOSERVICE, "service_down")
        assert await cause_of(device) == "service_down"
        assert not device.is_connected() and device.address() == ""

    asyncio.run(program())


@managed
def test_a_password_is_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        device.configure(service.ssid, "a secret of the shop")
        with pytest.raises(DeviceError) as error:
            await device.connect(JOIN_MS)
        assert "secret" not in f"{error.value} {error.value.detail} {(await device.check_health()).detail}"

    run(program, monkeypatch)


@managed
def test_what_needs_a_connection_says_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        assert await refusal_of(device.resolve("localhost", 1000)) == (E_OFFLINE, "no_link")
        assert await device.resolve("192.0.2.7", 1000) == "192.0.2.7"
        with pytest.raises(DeviceError) as error:
            device.signal_dbm()
        assert error.value.code == E_OFFLINE
        await device.connect(JOIN_MS)
        assert await device.resolve("localhost", 5000) == "127.0.0.1"

    run(program, monkeypatch)


@managed
def test_the_model_tells_when_it_ceases_to_carry_and_names_what_it_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program(service: NetworkManagerService, device: NetworkManager) -> None:
        told: list[bool] = []
        service.on_link.append(told.append)
        service.fault("out_of_range")
        service.link(False)
        service.fault("out_of_range", False)
        service.link(True)
        assert told == [False, True]
        with pytest.raises(ValueError, match="no fault 'rust'"):
            service.fault("rust")
        service.ssid = "shop"
        await service.settled()
        device.configure("shop", service.password)
        await device.connect(JOIN_MS)

    run(program, monkeypatch)


# An interface that the system runs. Its failures: tests/linux/test_namespaces.py.


def loopback(**where: str) -> Interface:
    return Interface("lo", real_clock(), **where)


def test_an_interface_that_carries_is_connected_and_takes_no_notice_of_a_configuration() -> None:
    async def program() -> None:
        device = loopback()
        await bring_up(device)
        assert CONTRACT.missing(device) == [] and device.level == 1
        for ssid in ("", "shop"):
            device.configure(ssid, "")
            await device.connect(0)
            assert device.is_connected() and device.address() == "127.0.0.1"
            health = await device.check_health()
            assert (health.outcome, health.cause) == (HEALTH_SUCCESS, "")
        with pytest.raises(DeviceError) as error:
            device.signal_dbm()
        assert error.value.code == E_OFFLINE

    asyncio.run(program())


def test_an_interface_that_is_not_there_is_unplugged_and_looked_for_at_each_use() -> None:
    async def program() -> None:
        device = Interface("nosuch0", real_clock())
        assert await refusal_of(bring_up(device)) == (E_NOHARDWARE, "unplugged")
        assert await cause_of(device) == "unplugged"
        assert await refusal_of(device.connect(1000)) == (E_NOHARDWARE, "unplugged")
        assert not device.is_connected() and device.address() == ""

    asyncio.run(program())


def test_nothing_works_before_it_is_enabled() -> None:
    async def program() -> None:
        for device in (loopback(), NetworkManager("lo", real_clock())):
            assert (await refusal_of(device.connect(1000)))[0] == E_DISABLED
            assert (await refusal_of(device.resolve("localhost", 1000)))[0] == E_DISABLED
            assert not device.is_connected()

    asyncio.run(program())


def test_names_are_looked_up_and_numbers_taken_as_they_are() -> None:
    async def program() -> None:
        device = loopback()
        await bring_up(device)
        assert await device.resolve("localhost", 5000) == "127.0.0.1"
        assert await device.resolve("192.0.2.7", 0) == "192.0.2.7"
        for nonsense in ("", "a" * 64 + ".example", "a..example", "no such name"):
            assert await refusal_of(device.resolve(nonsense, 5000)) == (E_NOEXIST, "dns_failed")
        device.disable()

    asyncio.run(program())


def test_a_look_up_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*arguments: object) -> None:
        release.wait(20)

    async def program() -> None:
        device = loopback()
        await bring_up(device)
        monkeypatch.setattr("socket.getaddrinfo", hang)
        assert await refusal_of(device.resolve("broker.example", 50)) == (E_NOEXIST, "dns_failed")
        monkeypatch.undo()
        release.set()
        assert await device.resolve("localhost", 5000) == "127.0.0.1"
        device.disable()

    asyncio.run(program())


WIRELESS = """Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
"""


@pytest.mark.parametrize(
    ("row", "dbm"),
    [
        ("    lo: 0000   54.  -56.  -256        0      0      0      0      0        0", -56),
        ("    lo: 0000   54.  200.  0        0      0      0      0      0        0", -56),  # a byte without sign
        ("    lo: 0000    0     0     0        0      0      0      0      0        0", None),  # not joined
    ],
)
def test_the_signal_of_a_radio_is_what_the_kernel_tells(tmp_path: Path, row: str, dbm: int | None) -> None:
    net = tmp_path / "net"
    net.mkdir()
    (net / "wireless").write_text(f"{WIRELESS} wlan7: 0000   20.  -90.  -256        0      0      0      0      0        0\n{row}\n")
    (net / "route").write_text(Path("/proc/net/route").read_text())

    async def program() -> None:
        device = loopback(proc=str(tmp_path))
        await bring_up(device)
        assert CONTRACT.missing(device) == [] and device.level == 2
        measurements = (await device.check_health()).measurements
        if dbm is None:
            assert "signal_dbm" not in measurements
            assert await refusal_of(asyncio.to_thread(device.signal_dbm)) == (E_OFFLINE, "no_link")
        else:
            assert device.signal_dbm() == measurements["signal_dbm"] == dbm

    asyncio.run(program())


@pytest.mark.parametrize(
    ("rows", "default"),
    [
        (["lo\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0"], 1),
        (["eth7\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0"], 0),
        (["lo\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0"], 0),
        (["lo\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0"], 0),  # refused
    ],
)
def test_a_default_route_is_one_that_is_up_and_leads_through_the_interface(tmp_path: Path, rows: list[str], default: int) -> None:
    net = tmp_path / "net"
    net.mkdir()
    header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    (net / "route").write_text(header + "\n".join(rows) + "\n")

    async def program() -> None:
        device = loopback(proc=str(tmp_path))
        await bring_up(device)
        assert (await device.check_health()).measurements == {"default_route": default}

    asyncio.run(program())


def hal_with(network: NetworkManager, folder: Path) -> Hal:
    storage = FileStorage(Files(str(folder)))
    return Hal("test", "hardware-1", real_clock(), storage, SoftwareKey(storage), network=network)
