"""The Wi-Fi driver on the model of a station and its access point."""

from __future__ import annotations

from typing import Any

import pytest

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS
from hal.errors import E_DISABLED, E_FAILURE, E_ILLEGAL, E_NOHARDWARE, E_OFFLINE, E_TIMEOUT, DeviceError
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
