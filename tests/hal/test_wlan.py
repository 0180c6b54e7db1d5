"""The Wi-Fi driver on the model of a station and its access point."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS
from hal.errors import E_DISABLED, E_FAILURE, E_ILLEGAL, E_NOEXIST, E_NOHARDWARE, E_OFFLINE, E_TIMEOUT, DeviceError
from hal.network import is_numeric, strongest_first
from host_sim.chips.wifi import WifiChip
from tests.hal.counter import Counter, enabled


class Wired(Counter):
    def __init__(self) -> None:
        super().__init__()
        wifi = self.bench.chips["network"]
        assert isinstance(wifi, WifiChip)
        self.wifi = wifi
        self.wlan: Any = self.hal().network

    def bring_up(self, ssid: str = "reinstate", password: str = "reinstate") -> Wired:
        self.run(enabled(self.wlan))
        self.wlan.configure(ssid, password)
        return self

    def connect(self, timeout_ms: int = 10_000) -> Wired:
        self.run(self.wlan.connect(timeout_ms))
        return self

    def refused(self) -> DeviceError:
        with pytest.raises(DeviceError) as refused:
            self.connect()
        assert not self.wlan.is_connected()
        assert self.wlan.address() == ""
        return refused.value

    def health(self) -> Any:
        return self.run(self.wlan.check_health(1))


def test_a_station_joins_and_has_an_address_and_a_signal() -> None:
    wired = Wired().bring_up().connect()
    assert wired.wlan.is_connected()
    assert wired.wlan.address() == "192.168.4.2"
    assert wired.wlan.signal_dbm() == -55
    health = wired.health()
    assert (health.outcome, health.measurements) == (HEALTH_SUCCESS, {"signal_dbm": -55})


def test_the_signal_is_told_as_weak_as_it_is() -> None:
    wired = Wired().bring_up().connect()
    wired.wifi.fault("weak_signal")
    assert wired.wlan.signal_dbm() == -91


def test_no_such_network_is_offline() -> None:
    assert Wired().bring_up(ssid="elsewhere").refused().code == E_OFFLINE


def test_a_network_out_of_range_is_offline_and_the_health_says_so() -> None:
    wired = Wired().bring_up()
    wired.wifi.fault("out_of_range")
    assert wired.refused().code == E_OFFLINE
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_network", E_OFFLINE)


def test_a_wrong_password_is_a_failure_and_the_health_says_so() -> None:
    wired = Wired().bring_up(password="other")
    assert wired.refused().code == E_FAILURE
    health = wired.health()
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "wrong_password")


def test_an_access_point_that_refuses_the_right_password_is_a_failure() -> None:
    wired = Wired().bring_up()
    wired.wifi.fault("wrong_password")
    assert wired.refused().code == E_FAILURE


def test_no_address_is_a_timeout_within_the_limit() -> None:
    wired = Wired().bring_up()
    wired.wifi.fault("no_address")
    begun_ms = wired.time.now_ms()
    assert wired.refused().code == E_TIMEOUT
    assert 10_000 <= wired.time.now_ms() - begun_ms <= 10_100


def test_a_dead_radio_is_no_hardware_at_bring_up_and_in_the_health() -> None:
    wired = Wired()
    wired.wifi.fault("dead_radio")
    with pytest.raises(DeviceError) as refused:
        wired.bring_up()
    assert refused.value.code == E_NOHARDWARE
    assert wired.health().code == E_NOHARDWARE


def test_a_password_set_right_after_a_wrong_one_joins() -> None:
    wired = Wired().bring_up(password="other")
    wired.refused()
    wired.wlan.configure("reinstate", "reinstate")
    wired.connect()
    assert wired.wlan.is_connected()


def test_a_link_that_goes_down_is_seen_and_told_to_who_asked() -> None:
    wired = Wired().bring_up().connect()
    told: list[bool] = []
    wired.wifi.on_link.append(told.append)
    wired.wifi.link(False)
    wired.wifi.link(False)
    assert not wired.wlan.is_connected()
    with pytest.raises(DeviceError) as refused:
        wired.wlan.signal_dbm()
    assert refused.value.code == E_OFFLINE
    wired.wifi.link(True)
    assert told == [False, True]
    assert wired.wlan.is_connected()


def test_connecting_without_a_network_to_join_is_refused_and_its_health_not_run() -> None:
    wired = Wired().bring_up(ssid="")
    assert wired.refused().code == E_ILLEGAL
    assert wired.health().outcome == HEALTH_NOT_RUN


def test_connecting_before_enable_is_refused() -> None:
    assert Wired().refused().code == E_DISABLED


def test_no_error_tells_the_password() -> None:
    wired = Wired().bring_up(password="a-secret-of-the-shop")
    error = wired.refused()
    assert "a-secret" not in str(error) + repr(wired.health()) + wired.health().detail


def test_each_failure_to_join_has_its_cause_in_the_error_and_in_the_health() -> None:
    for fault in ("out_of_range", "wrong_password", "no_address"):
        wired = Wired().bring_up()
        wired.wifi.fault(fault)
        assert wired.refused().cause == WifiChip.FAULTS[fault].cause
        assert wired.health().cause == WifiChip.FAULTS[fault].cause


def test_a_radio_that_dies_later_is_named_when_the_network_is_joined_again() -> None:
    wired = Wired().bring_up().connect()
    wired.wifi.fault("dead_radio")
    error = wired.refused()
    assert (error.code, error.cause) == (E_NOHARDWARE, "dead_radio")
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "dead_radio", E_NOHARDWARE)


def test_a_dead_radio_is_named_at_bring_up() -> None:
    wired = Wired()
    wired.wifi.fault("dead_radio")
    with pytest.raises(DeviceError):
        wired.bring_up()
    assert wired.health().cause == "dead_radio"


def test_callers_that_join_at_the_same_time_share_one_attempt_and_what_comes_of_it() -> None:
    async def both(wired: Wired) -> list[Any]:
        return await asyncio.gather(wired.wlan.connect(10_000), wired.wlan.connect(10_000), return_exceptions=True)

    wired = Wired().bring_up()
    begun_ms = wired.time.now_ms()
    assert wired.run(both(wired)) == [None, None]
    assert wired.wlan.is_connected() and wired.time.now_ms() - begun_ms < 200
    wired = Wired().bring_up()
    wired.wifi.fault("wrong_password")
    assert [error.cause for error in wired.run(both(wired))] == ["wrong_password"] * 2
    wired.wifi.fault("wrong_password", False)
    assert wired.run(both(wired)) == [None, None]


def test_a_caller_who_waits_for_the_attempt_of_another_has_a_limit_of_its_own() -> None:
    async def two(wired: Wired) -> DeviceError:
        first = asyncio.create_task(wired.wlan.connect(10_000))
        await wired.time.sleep_ms(10)
        begun_ms = wired.time.now_ms()
        with pytest.raises(DeviceError) as refused:
            await wired.wlan.connect(500)
        assert wired.time.now_ms() - begun_ms == 500
        with pytest.raises(DeviceError):
            await first
        return refused.value

    wired = Wired().bring_up()
    wired.wifi.fault("no_address")
    assert wired.run(two(wired)).cause == "no_address"


def test_a_name_is_looked_up_and_a_numeric_address_is_not() -> None:
    wired = Wired().bring_up().connect()
    wired.wifi.names = {"broker.shop.example": "192.0.2.7"}
    assert wired.run(wired.wlan.resolve("broker.shop.example", 1000)) == "192.0.2.7"
    wired.wifi.fault("dns_fails")
    assert wired.run(wired.wlan.resolve("192.0.2.9", 1000)) == "192.0.2.9"


def test_a_name_without_an_address_and_a_network_that_is_not_joined_are_told_apart() -> None:
    def error_of(host: str) -> DeviceError:
        with pytest.raises(DeviceError) as refused:
            wired.run(wired.wlan.resolve(host, 1000))
        return refused.value

    wired = Wired().bring_up()
    assert error_of("broker.acq1.example").code == E_OFFLINE
    wired.connect()
    assert error_of("no.such.example").code == E_NOEXIST
    wired.wifi.fault("dns_fails")
    error = error_of("broker.acq1.example")
    assert (error.code, error.cause) == (E_NOEXIST, "dns_failed")


@pytest.mark.parametrize("host", ["", "localhost", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", "a.b.c.d", "1.2.3.4444", "-1.2.3.4"])
def test_a_name_is_not_taken_for_an_address(host: str) -> None:
    assert not is_numeric(host)
    assert is_numeric("0.0.0.0") and is_numeric("255.255.255.255")


STATIC = ("192.168.4.77", "255.255.255.0", "192.168.4.1", "192.168.4.1")


def test_the_networks_in_range_are_told_the_strongest_first_and_which_need_a_password() -> None:
    wired = Wired().bring_up()
    wired.wifi.neighbours["\x00hidden"] = (-20, 3)
    heard = [("reinstate", -55, True), ("Cafe guests", -71, False), ("\u9694\u58c1\u5c0f\u5e97", -78, True)]
    assert wired.run(wired.wlan.scan(1000)) == heard
    wired.connect()
    assert wired.run(wired.wlan.scan(1000)) == heard and wired.wlan.is_connected()
    wired.wifi.fault("out_of_range")
    assert wired.run(wired.wlan.scan(1000)) == heard[1:]
    wired.wifi.fault("dead_radio")
    with pytest.raises(DeviceError) as refused:
        wired.run(wired.wlan.scan(1000))
    assert (refused.value.code, refused.value.cause) == (E_NOHARDWARE, "dead_radio")


def test_a_name_is_told_once_for_all_its_access_points_and_not_where_it_is_no_text() -> None:
    heard = [(b"shop", -80, True), (b"shop", -60, True), (b"", -10, False), (b"\xff\xfe", -20, True), (b"a", -60, False)]
    assert strongest_first(heard) == [("a", -60, False), ("shop", -60, True)]


def test_who_looks_around_waits_for_the_attempt_to_join_and_hears_something_then() -> None:
    async def both(wired: Wired) -> Any:
        joining = asyncio.create_task(wired.wlan.connect(10_000))
        await wired.time.sleep_ms(10)
        heard = await wired.wlan.scan(5000)
        await asyncio.gather(joining, return_exceptions=True)
        return heard

    wired = Wired().bring_up()
    assert len(wired.run(both(wired))) == 3 and wired.wlan.is_connected()
    wired = Wired().bring_up()
    wired.wifi.fault("no_address")
    with pytest.raises(DeviceError) as refused:
        wired.run(both(wired))
    assert refused.value.code == E_OFFLINE


def test_addresses_that_were_set_are_used_until_they_are_automatic_again() -> None:
    wired = Wired().bring_up()
    wired.wifi.fault("no_address")
    wired.wlan.configure("reinstate", "reinstate", STATIC)
    wired.connect()
    assert wired.wlan.address() == "192.168.4.77"
    wired.wifi.fault("no_address", False)
    wired.wlan.configure("reinstate", "reinstate")
    wired.connect()
    assert wired.wlan.address() == "192.168.4.2"


def test_a_neighbours_network_is_refused_or_leads_nowhere() -> None:
    assert Wired().bring_up("\u9694\u58c1\u5c0f\u5e97", "reinstate").refused().cause == "wrong_password"
    wired = Wired().bring_up("Cafe guests", "").connect()
    with pytest.raises(DeviceError) as refused:
        wired.run(wired.wlan.resolve("broker.acq1.example", 1000))
    assert refused.value.code == E_NOEXIST
