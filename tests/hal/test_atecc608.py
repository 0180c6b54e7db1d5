"""The ATECC608 driver against the chip model: packets to the byte, the contract, each state at bring-up, and each failure."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.compat import p256
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.drivers.atecc608 import Atecc608, crc16, packet
from hal.errors import E_DISABLED, E_FAILURE, E_ILLEGAL, E_NOEXIST, E_NOHARDWARE, DeviceError
from hal.secure_element import CONTRACT
from host_sim.buses import I2cBus
from host_sim.chips.atecc608 import (
    CHIP_OPTIONS,
    CONFIGURATION,
    COUNTER_END,
    LOCK_CONFIG,
    LOCK_VALUE,
    Atecc608Chip,
    check,
    configuration,
)
from tests.hal.test_drivers_on_micropython import run as run_on_micropython
from tests.hal.wired import BOARD, Wired

ADDRESS = BOARD["parts"]["secure_element"]["address"]
DIGEST = sha256(b"a message").digest()
CURVE = p256()
BRING_UP_MS = 100  # at most, for a chip that is not in the middle of anything
WATCHDOG_MS = 1700


class TappedI2c:
    """Between the driver and the machine's I2C: records what is written to the chip and acknowledged."""

    def __init__(self, i2c: Any) -> None:
        self._i2c = i2c
        self.sent: list[bytes] = []

    def writeto(self, address: int, data: bytes) -> int:
        count: int = self._i2c.writeto(address, data)
        self.sent.append(bytes(data))
        return count

    def readfrom(self, address: int, length: int) -> bytes:
        data: bytes = self._i2c.readfrom(address, length)
        return data


class Element(Wired):
    def __init__(self, zone: bytes = CONFIGURATION, frequency_hz: int = 100_000) -> None:
        super().__init__()
        bus = self.bench.buses["element_bus"]
        assert isinstance(bus, I2cBus)
        self.bus = bus
        self.chip = Atecc608Chip(self.time.now_ms, zone)
        self.bench.chips["secure_element"] = bus.chips[ADDRESS] = self.chip
        self._frequency_hz = frequency_hz
        self.element = self.restarted()

    def restarted(self) -> Atecc608:
        """A driver that knows nothing of what was before."""
        pins = BOARD["buses"]["element_bus"]
        self.i2c_tap = TappedI2c(self.machine.I2C(pins["id"], scl=pins["scl"], sda=pins["sda"], freq=self._frequency_hz))
        self.element = Atecc608(self.i2c_tap, ADDRESS, self.clock)
        return self.element

    def ready(self) -> Element:
        self.bring_up(self.element)
        return self

    def with_key(self) -> Element:
        self.ready()
        self.public = self.run(self.element.generate_key(0))
        return self

    def health(self) -> Health:
        return self.run(self.element.check_health())

    def failed_bring_up(self) -> Health:
        """The health of an element whose bring-up failed."""
        with pytest.raises(DeviceError):
            self.bring_up(self.element)
        return self.health()

    def commands(self) -> list[bytes]:
        """The packets sent since the last call."""
        sent, self.i2c_tap.sent = self.i2c_tap.sent, []
        return [data[1:] for data in sent if data[:1] == b"\x03"]

    def raw(self, data: bytes) -> None:
        """Write past the driver, as a program before the crash did."""
        self.i2c_tap.writeto(ADDRESS, data)

    def wake_by_hand(self) -> None:
        self.chip.held_low(80)
        self.time.advance(3)


def element_with_key() -> Element:
    return Element().with_key()


# Packets.


@pytest.mark.parametrize(
    ("data", "check_bytes"),
    [("0411", "3343"), ("0400", "0340"), ("073000 0000", "035D"), ("071B000000", "24CD"), ("0702800000", "09AD")],
)
def test_the_check_of_a_packet_is_that_of_packets_seen_in_public(data: str, check_bytes: str) -> None:
    """The answers to a wake and of success, and the commands Info, Random and Read, as logs and libraries show them."""
    assert crc16(bytes.fromhex(data)) == bytes.fromhex(check_bytes)


@given(st.binary(max_size=200))
def test_driver_and_model_agree_on_the_check(data: bytes) -> None:
    """Two ways to calculate it, written apart."""
    assert crc16(data) == check(data)


def test_a_command_is_count_opcode_parameters_and_data_with_the_low_byte_first() -> None:
    assert packet(0x30, 0, 0).hex() == "0730" + "00" + "0000" + "035d"
    sent = packet(0x45, 0x22, 0x0004, bytes(128))
    assert sent[:5] == bytes.fromhex("8745220400") and len(sent) == 0x87
    assert sent[-2:] == check(sent[:-2])


def test_bring_up_asks_for_revision_and_configuration_and_changes_nothing() -> None:
    element = Element()
    element.ready()
    assert element.commands() == [
        packet(0x30, 0, 0),  # Info
        packet(0x02, 0x80, 0x10),  # Read, configuration zone, 32 bytes: block 2, the locks
        packet(0x02, 0x80, 0x00),
        packet(0x02, 0x80, 0x08),
        packet(0x02, 0x80, 0x18),
    ]
    assert all(data[0] in (0x02, 0x03) for data in element.i2c_tap.sent)


def test_the_operations_are_the_commands_of_the_data_sheet() -> None:
    element = Element().ready()
    element.commands()
    public = element.run(element.element.generate_key(1))
    assert element.commands() == [packet(0x40, 0x04, 1)]  # GenKey, create
    element.run(element.element.public_key(1))
    assert element.commands() == [packet(0x30, 0x01, 1), packet(0x40, 0x00, 1)]  # Info, key valid; GenKey, public
    signature = element.run(element.element.sign(1, DIGEST))
    nonce = packet(0x16, 0x43, 0, DIGEST)  # pass-through into the message digest buffer
    assert element.commands() == [packet(0x30, 0x01, 1), nonce, packet(0x41, 0xA0, 1)]
    assert element.run(element.element.verify(public, DIGEST, signature)) is True
    assert element.commands() == [nonce, packet(0x45, 0x22, 4, signature + public)]
    element.run(element.element.random(32))
    assert element.commands() == [packet(0x1B, 0, 0)]
    element.run(element.element.count(True))
    element.run(element.element.count(False))
    assert element.commands() == [packet(0x24, 1, 1), packet(0x24, 0, 1)]


def test_the_chip_is_idle_after_each_operation_and_asleep_after_disable() -> None:
    element = Element().ready()
    assert not element.chip.is_awake
    element.run(element.element.random(1))
    assert element.i2c_tap.sent[-1] == b"\x02" and not element.chip.is_awake
    element.wake_by_hand()
    element.element.disable()
    assert element.i2c_tap.sent[-1] == b"\x01" and not element.chip.is_awake


# The contract.


def test_the_driver_keeps_the_contract() -> None:
    assert CONTRACT.missing(Element().element) == []
    assert Element().element.in_hardware is True


def test_its_signatures_are_good_by_other_code_and_the_key_is_the_chips() -> None:
    element = element_with_key()
    assert element.chip.keys == {0: element.public}
    signature = element.run(element.element.sign(0, DIGEST))
    assert CURVE.verify(element.public, DIGEST, signature)
    assert not CURVE.verify(element.public, sha256(b"another").digest(), signature)


def test_it_judges_signatures_of_other_code() -> None:
    element = Element().ready()
    private = sha256(b"a private key").digest()
    public, signature = CURVE.public_key(private), CURVE.sign(private, DIGEST)
    altered = bytes([signature[0] ^ 1]) + signature[1:]
    verify = element.element.verify
    assert element.run(verify(public, DIGEST, signature)) is True
    assert element.run(verify(public, DIGEST, altered)) is False
    assert element.run(verify(public, sha256(b"another").digest(), signature)) is False
    assert element.run(verify(CURVE.public_key(DIGEST), DIGEST, signature)) is False


@pytest.mark.parametrize(
    ("public", "digest", "signature"),
    [
        (bytes(64), DIGEST, None),  # not on the curve
        (b"\xff" * 64, DIGEST, None),
        (b"", DIGEST, None),
        (None, DIGEST[:31], None),
        (None, DIGEST, bytes(32) + DIGEST),  # r, then s, out of range
        (None, DIGEST, DIGEST + bytes(32)),
        (None, DIGEST, b"\xff" * 32 + DIGEST),
        (None, DIGEST, DIGEST + b"\xff" * 32),
        (None, DIGEST, b"\x01" * 63),
    ],
)
def test_what_cannot_be_right_is_false_and_never_asked_of_the_chip(public: bytes | None, digest: bytes, signature: bytes | None) -> None:
    element = Element().ready()
    private = sha256(b"a private key").digest()
    element.commands()
    verified = element.element.verify(
        CURVE.public_key(private) if public is None else public,
        digest,
        CURVE.sign(private, DIGEST) if signature is None else signature,
    )
    assert element.run(verified) is False
    assert element.commands() == []


def test_slots_are_those_that_the_configuration_is_made_for() -> None:
    """As Microchip configures the ATECC608-TNGTLS: 0 and 1 hold fixed keys, 2 to 4 may be renewed."""
    slot_configs = {0: 0x0085, 1: 0x0082, 2: 0x2085, 3: 0x2085, 4: 0x2085}
    key_configs = {0: 0x0053, 1: 0x0053, 2: 0x0073, 3: 0x0073, 4: 0x0073}
    element = Element(configuration(slot_configs, key_configs)).with_key()
    assert element.chip.keys == {2: element.public}
    public = element.run(element.element.generate_key(2))
    assert element.chip.keys[4] == public
    assert CURVE.verify(public, DIGEST, element.run(element.element.sign(2, DIGEST)))
    assert element.error_of(element.element.generate_key(3)).code == E_ILLEGAL


@pytest.mark.parametrize(
    ("slot_config", "key_config"),
    [
        (0x0081, 0x0033),  # GenKey may not renew it
        (0x2080, 0x0033),  # signs nothing that comes from outside
        (0x20A1, 0x0033),  # its uses are counted
        (0x2081, 0x0031),  # its public key cannot be had
        (0x2081, 0x0032),  # no private key
        (0x2081, 0x003F),  # not of P-256
        (0x2081, 0x00B3),  # wants an authorization
    ],
)
def test_a_slot_of_any_other_configuration_is_not_used(slot_config: int, key_config: int) -> None:
    element = Element(configuration({5: slot_config, 6: 0x2081}, {5: key_config, 6: 0x0033})).with_key()
    assert list(element.chip.keys) == [6]


def test_a_chip_without_a_slot_for_keys_is_locked() -> None:
    health = Element(configuration({}, {})).failed_bring_up()
    assert (health.cause, health.code) == ("locked", E_FAILURE)


def test_keys_and_counter_outlast_the_power() -> None:
    element = element_with_key()
    assert element.run(element.element.count(True)) == 1
    element.bench.power_cycle()
    element.restarted()
    element.ready()
    assert element.run(element.element.public_key(0)) == element.public
    assert element.run(element.element.count(False)) == 1


def test_the_counter_only_grows_and_ends() -> None:
    element = Element().ready()
    counted = [element.run(element.element.count(increment)) for increment in (False, True, True, False, True)]
    assert counted == [0, 1, 2, 2, 3]
    element.chip.counters[1] = COUNTER_END - 1
    assert element.run(element.element.count(True)) == COUNTER_END
    assert element.error_of(element.element.count(True)).code == E_FAILURE
    assert element.run(element.element.count(False)) == COUNTER_END


def test_an_erased_key_is_gone_from_the_chip_and_the_slot_is_told_empty() -> None:
    element = element_with_key()
    element.run(element.element.erase(0))
    assert element.chip.keys[0] != element.public
    assert element.error_of(element.element.public_key(0)).code == E_NOEXIST
    assert element.error_of(element.element.sign(0, DIGEST)).code == E_NOEXIST
    renewed = element.run(element.element.generate_key(0))
    assert element.run(element.element.public_key(0)) == renewed


def test_after_a_restart_an_erased_slot_shows_a_key_that_nobody_was_told_of() -> None:
    element = element_with_key()
    element.run(element.element.erase(0))
    element.restarted()
    element.ready()
    assert element.run(element.element.public_key(0)) not in (element.public, bytes(64))


def test_erasing_an_empty_slot_leaves_it_empty() -> None:
    element = Element().ready()
    element.run(element.element.erase(1))
    assert element.chip.keys == {}


def test_a_transport_key_is_kept_nowhere() -> None:
    element = Element().ready()
    private, public = element.run(element.element.transport_key())
    assert CURVE.public_key(private) == public
    assert element.chip.keys == {}


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 64, 100])
def test_random_gives_as_many_bytes_as_asked_for(length: int) -> None:
    element = Element().ready()
    first, second = element.run(element.element.random(length)), element.run(element.element.random(length))
    assert len(first) == len(second) == length
    assert length < 31 or first != second


def test_slots_and_digests_out_of_range_are_illegal() -> None:
    element = element_with_key()
    for slot in (-1, 4):
        for call in (element.element.generate_key, element.element.public_key, element.element.erase):
            assert element.error_of(call(slot)).code == E_ILLEGAL
    for digest in (b"", DIGEST[:31], DIGEST + b"\x00"):
        assert element.error_of(element.element.sign(0, digest)).code == E_ILLEGAL


def test_nothing_works_before_enable() -> None:
    element = Element()
    driver = element.element
    for call in (
        driver.generate_key(0),
        driver.public_key(0),
        driver.sign(0, DIGEST),
        driver.verify(bytes(64), DIGEST, bytes(64)),
        driver.erase(0),
        driver.random(1),
        driver.transport_key(),
        driver.agree(bytes(64)),
        driver.count(False),
    ):
        assert element.error_of(call).code == E_DISABLED
    assert element.i2c_tap.sent == []


def test_operations_of_several_tasks_take_turns() -> None:
    element = element_with_key()

    async def together() -> list[bytes]:
        digests = [sha256(bytes([number])).digest() for number in range(4)]
        signatures = await asyncio.gather(
            *(element.element.sign(0, digest) for digest in digests), element.element.random(64), element.element.public_key(0)
        )
        for digest, signature in zip(digests, signatures, strict=False):
            assert CURVE.verify(element.public, digest, signature)
        return signatures

    assert element.run(together())[-1] == element.public


# Bring-up from whatever state.


def half_a_command(element: Element) -> None:
    element.wake_by_hand()
    element.raw(b"\x03" + packet(0x40, 0x04, 0)[:4])


def an_answer_that_nobody_fetched(element: Element) -> None:
    element.wake_by_hand()
    element.raw(b"\x03" + packet(0x1B, 0, 0))
    element.time.advance(100)


def half_an_answer_fetched(element: Element) -> None:
    an_answer_that_nobody_fetched(element)
    element.i2c_tap.readfrom(ADDRESS, 10)


def idle(element: Element) -> None:
    element.wake_by_hand()
    element.raw(b"\x02")


def asleep_for_long(element: Element) -> None:
    element.time.advance(3_600_000)


def about_to_fall_asleep(element: Element) -> None:
    element.wake_by_hand()
    element.time.advance(1280)


@pytest.mark.parametrize(
    "state",
    [
        asleep_for_long,
        Element.wake_by_hand,
        about_to_fall_asleep,
        idle,
        half_a_command,
        an_answer_that_nobody_fetched,
        half_an_answer_fetched,
    ],
)
def test_bring_up_recovers_the_chip_from_the_state_of_a_crash(state: Any) -> None:
    element = element_with_key()
    state(element)
    element.restarted()
    before_ms = element.time.now_ms()
    element.ready()
    assert element.time.now_ms() - before_ms < BRING_UP_MS
    assert element.run(element.element.public_key(0)) == element.public
    assert element.health().outcome == HEALTH_SUCCESS


@pytest.mark.parametrize("habit", ["", "slow"])
@pytest.mark.parametrize("opcode", [0x40, 0x77])
def test_bring_up_waits_for_the_end_of_what_a_crash_left_running(opcode: int, habit: str) -> None:
    element = element_with_key()
    if habit:
        element.chip.fault(habit)
    element.wake_by_hand()
    element.raw(b"\x03" + (packet(0x40, 0x04, 1) if opcode == 0x40 else packet(0x77, 0x3D, 0)))
    element.restarted()
    element.ready()
    assert element.run(element.element.public_key(0)) == element.public


def test_a_chip_woken_by_traffic_on_the_bus_has_its_whole_time_for_an_operation() -> None:
    """Its watchdog runs since then, and would end a command in the middle."""
    element = element_with_key()
    for already_awake_ms in range(1000, 1300, 20):
        element.chip.held_low(80)
        element.time.advance(already_awake_ms)
        signature = element.run(element.element.sign(0, DIGEST))
        assert CURVE.verify(element.public, DIGEST, signature)
    assert element.health().measurements["retries"] == 0


def test_an_operation_that_is_given_up_does_not_spoil_the_next() -> None:
    element = element_with_key()

    async def given_up() -> None:
        task = asyncio.ensure_future(element.element.generate_key(1))
        await element.time.sleep_ms(20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for _ in range(3):
        element.run(given_up())
        assert CURVE.verify(element.public, DIGEST, element.run(element.element.sign(0, DIGEST)))


@pytest.mark.parametrize("after_ms", range(0, 90, 7))
def test_a_chip_that_loses_its_power_in_an_operation_is_woken_again(after_ms: int) -> None:
    element = element_with_key()
    signature = element.run(element.during(element.element.sign(0, DIGEST), after_ms, element.chip.power_up))
    assert CURVE.verify(element.public, DIGEST, signature)


@pytest.mark.parametrize("after_ms", range(0, 130, 9))
def test_a_power_cut_while_a_key_is_made_leaves_the_old_or_the_new_one_and_no_other_slot_is_touched(after_ms: int) -> None:
    element = element_with_key()
    other = element.run(element.element.generate_key(1))
    before = element.public

    async def cut_off() -> None:
        task = asyncio.ensure_future(element.element.generate_key(0))
        await element.time.sleep_ms(after_ms)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    element.run(cut_off())
    element.bench.power_cycle()
    element.restarted()
    element.ready()
    public = element.run(element.element.public_key(0))
    assert public == element.chip.keys[0] and (public == before or after_ms > 0)
    assert CURVE.verify(public, DIGEST, element.run(element.element.sign(0, DIGEST)))
    assert element.run(element.element.public_key(1)) == other


# Health.


def test_a_sound_chip_is_healthy_with_and_without_keys() -> None:
    element = Element().ready()
    health = element.health()
    assert (health.outcome, health.cause) == (HEALTH_SUCCESS, "")
    assert 125 <= health.measurements.pop("self_test_ms") <= 250
    assert health.measurements == {"wake_ms": 2, "keys": 0, "retries": 0}
    element.run(element.element.generate_key(0))
    element.run(element.element.generate_key(3))
    assert element.health().measurements["keys"] == 2


def test_the_self_test_is_of_every_engine() -> None:
    element = Element().ready()
    element.commands()
    element.health()
    assert packet(0x77, 0x3D, 0) in element.commands()


# What only the agent can find: it knows which key was certified (firmware_agent/selftest/checks.py).
FOUND_BY_THE_AGENT = {"wrong_key", "key_lost"}


@pytest.mark.parametrize("fault", sorted(Atecc608Chip.FAULTS.keys() - FOUND_BY_THE_AGENT))
@pytest.mark.parametrize("restart", [False, True])
def test_each_fault_is_found_in_operation_and_after_a_restart(fault: str, restart: bool) -> None:
    element = element_with_key()
    element.chip.fault(fault)
    if restart:
        element.bench.power_cycle()
        element.restarted()
        try:
            element.ready()
        except DeviceError as error:
            assert error.cause == Atecc608Chip.FAULTS[fault].cause
    before_ms = element.time.now_ms()
    health = element.health()
    assert (health.outcome, health.cause) == (HEALTH_FAIL, Atecc608Chip.FAULTS[fault].cause)
    assert health.code in (E_FAILURE, E_NOHARDWARE)
    assert element.time.now_ms() - before_ms < WATCHDOG_MS
    element.chip.fault(fault, False)
    element.restarted()
    element.ready()
    assert element.health().outcome == HEALTH_SUCCESS


def test_another_key_shows_in_public_key_and_signature() -> None:
    element = element_with_key()
    element.chip.fault("wrong_key")
    public = element.run(element.element.public_key(0))
    assert public != element.public
    assert CURVE.verify(public, DIGEST, element.run(element.element.sign(0, DIGEST)))
    element.chip.fault("wrong_key", False)
    assert element.run(element.element.public_key(0)) == element.public


def test_a_lost_key_leaves_an_empty_slot_that_can_be_filled_again() -> None:
    element = element_with_key()
    element.chip.fault("key_lost")
    assert element.error_of(element.element.public_key(0)).code == E_NOEXIST
    assert element.error_of(element.element.sign(0, DIGEST)).code == E_NOEXIST
    renewed = element.run(element.element.generate_key(0))
    assert element.run(element.element.public_key(0)) == renewed


def test_a_locked_chip_refuses_and_says_so() -> None:
    element = element_with_key()
    element.chip.fault("locked")
    for call in (element.element.public_key(0), element.element.sign(0, DIGEST), element.element.generate_key(0)):
        error = element.error_of(call)
        assert (error.code, error.cause) == (E_FAILURE, "locked")


def test_a_locked_slot_keeps_its_key_and_signs() -> None:
    element = element_with_key()
    element.chip.lock_slot(0)
    error = element.error_of(element.element.generate_key(0))
    assert (error.code, error.cause) == (E_FAILURE, "locked")
    assert CURVE.verify(element.public, DIGEST, element.run(element.element.sign(0, DIGEST)))
    assert element.health().outcome == HEALTH_SUCCESS


def test_a_chip_whose_own_test_fails_at_each_wake_is_told_so() -> None:
    zone = bytearray(CONFIGURATION)
    zone[CHIP_OPTIONS] = 0x01
    element = Element(bytes(zone)).with_key()
    element.chip.fault("self_test_failure")
    assert element.error_of(element.element.sign(0, DIGEST)).cause == "self_test_failed"
    element.restarted()
    assert element.failed_bring_up().cause == "self_test_failed"


def test_another_part_is_told() -> None:
    zone = bytearray(CONFIGURATION)
    zone[4:8] = bytes.fromhex("00005000")  # an ATECC508A
    health = Element(bytes(zone)).failed_bring_up()
    assert health.cause == "check_failed" and "00005000" in health.detail


@pytest.mark.parametrize("lock", [LOCK_CONFIG, LOCK_VALUE])
def test_a_part_with_either_zone_unlocked_is_not_locked(lock: int) -> None:
    zone = bytearray(CONFIGURATION)
    zone[lock] = 0x55
    health = Element(bytes(zone)).failed_bring_up()
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "not_locked")


class Stubborn(Atecc608Chip):
    """Gives one status in answer to one command, a number of times."""

    opcode, status, times = 0x00, 0x00, 0

    def _obey(self, command: bytes) -> None:
        if command[1] == self.opcode and self.times:
            self.times -= 1
            self._answer(bytes([self.status]), 1)
        else:
            super()._obey(command)


def stubborn(opcode: int, status: int, times: int) -> Element:
    """An element with a key whose chip answers so from now on."""
    element = Element()
    chip = Stubborn(element.time.now_ms)
    element.chip = chip
    element.bus.chips[ADDRESS] = chip
    element.with_key()
    element.commands()
    chip.opcode, chip.status, chip.times = opcode, status, times
    return element


FOR_EVER = 1000
GEN_KEY, NONCE, RANDOM, SIGN, VERIFY, SELF_TEST = 0x40, 0x16, 0x1B, 0x41, 0x45, 0x77


def use(element: Element, opcode: int) -> Any:
    """An operation that gives the chip this command."""
    if opcode == RANDOM:
        return element.element.random(32)
    if opcode == GEN_KEY:
        return element.element.public_key(0)
    if opcode == VERIFY:
        return element.element.verify(element.public, DIGEST, DIGEST + DIGEST)
    return element.element.sign(0, DIGEST)


@pytest.mark.parametrize("opcode", [GEN_KEY, NONCE, RANDOM, SIGN, VERIFY])
@pytest.mark.parametrize(("status", "cause"), [(0x03, "check_failed"), (0x07, "self_test_failed"), (0x0F, "locked")])
def test_a_refusal_is_told_and_not_asked_for_again(opcode: int, status: int, cause: str) -> None:
    element = stubborn(opcode, status, FOR_EVER)
    error = element.error_of(use(element, opcode))
    assert (error.code, error.cause) == (E_FAILURE, cause)
    assert [command[1] for command in element.commands()].count(opcode) == 1
    assert not element.chip.is_awake


@pytest.mark.parametrize("opcode", [GEN_KEY, NONCE, RANDOM, SIGN, VERIFY])
@pytest.mark.parametrize(
    ("status", "cause"),
    [(0x05, "check_failed"), (0x08, "random_stuck"), (0x11, "no_answer"), (0xEE, "check_failed"), (0xFF, "garbled_answer")],
)
def test_what_may_pass_is_tried_again_and_told_if_it_does_not(opcode: int, status: int, cause: str) -> None:
    element = stubborn(opcode, status, 2)
    element.run(use(element, opcode))
    element = stubborn(opcode, status, FOR_EVER)
    error = element.error_of(use(element, opcode))
    assert (error.code, error.cause) == (E_FAILURE, cause)
    assert [command[1] for command in element.commands()].count(opcode) in (3, 9)


@pytest.mark.parametrize("opcode", [GEN_KEY, RANDOM, SIGN])
def test_an_answer_without_its_data_is_not_taken(opcode: int) -> None:
    element = stubborn(opcode, 0x00, FOR_EVER)
    assert element.error_of(use(element, opcode)).cause == "garbled_answer"


def test_only_a_miscompare_is_a_wrong_signature() -> None:
    element = stubborn(VERIFY, 0x01, FOR_EVER)
    signature = element.run(element.element.sign(0, DIGEST))
    assert element.run(element.element.verify(element.public, DIGEST, signature)) is False


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (0x01, "self_test_failed"),
        (0x04, "self_test_failed"),
        (0x08, "self_test_failed"),
        (0x30, "self_test_failed"),
        (0x3D, "self_test_failed"),
        (0x03, "check_failed"),  # no map of tests, for there is no test 0x02
        (0x07, "self_test_failed"),
        (0x0F, "locked"),
        (0xFF, "garbled_answer"),
    ],
)
def test_the_map_of_failed_tests_is_told_from_a_status(status: int, cause: str) -> None:
    health = stubborn(SELF_TEST, status, FOR_EVER).health()
    assert (health.outcome, health.cause) == (HEALTH_FAIL, cause)


def test_the_failed_engines_are_named() -> None:
    assert stubborn(SELF_TEST, 0x24, FOR_EVER).health().detail == "self-test failed: ECDSA, SHA"


def test_a_chip_with_a_divided_clock_is_given_the_time_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    from host_sim.chips import atecc608

    monkeypatch.setattr(atecc608, "LONGEST_MS", atecc608.LONGEST_MS | {0x40: 653, 0x41: 665, 0x45: 1085})
    zone = bytearray(CONFIGURATION)
    zone[19] = 0x68
    element = Element(bytes(zone)).with_key()
    element.chip.fault("slow")
    signature = element.run(element.element.sign(0, DIGEST))
    assert element.run(element.element.verify(element.public, DIGEST, signature)) is True


@pytest.mark.parametrize("habit", sorted(Atecc608Chip.HABITS))
def test_no_habit_is_complained_of(habit: str) -> None:
    element = Element()
    element.chip.fault(habit)
    element.with_key()
    signature = element.run(element.element.sign(0, DIGEST))
    assert element.run(element.element.verify(element.public, DIGEST, signature)) is True
    assert len(element.run(element.element.random(100))) == 100
    element.chip.power_up()
    health = element.health()
    assert (health.outcome, health.cause) == (HEALTH_SUCCESS, "")


def test_answers_that_need_a_second_reading_are_counted() -> None:
    element = Element().ready()
    element.chip.fault("flaky_answers")
    assert element.health().measurements["retries"] > 0
    element.chip.fault("flaky_answers", False)
    element.element.disable()
    element.run(element.element.enable())
    assert element.health().measurements["retries"] == 0  # since bring-up


def test_the_counter_never_gives_a_number_twice_on_a_bad_line() -> None:
    element = Element().ready()
    element.chip.fault("flaky_answers")
    element.chip.fault("flaky_commands")
    counted = [element.run(element.element.count(True)) for _ in range(10)]
    assert counted == sorted(set(counted)) == list(range(1, 11))


# The wire.


@pytest.mark.parametrize("fault", sorted(I2cBus.FAULTS))
@pytest.mark.parametrize("restart", [False, True])
def test_each_fault_of_the_bus_gets_its_cause(fault: str, restart: bool) -> None:
    element = element_with_key()
    element.bench.bus_fault("element_bus", fault)
    if restart:
        element.restarted()
        health = element.failed_bring_up()
    else:
        health = element.health()
    assert (health.outcome, health.cause) == (HEALTH_FAIL, I2cBus.FAULTS[fault].cause)


@pytest.mark.parametrize("restart", [False, True])
def test_a_dead_chip_is_told_within_the_time_of_its_watchdog(restart: bool) -> None:
    element = element_with_key()
    element.chip.fault("no_wake")
    if restart:
        element.restarted()
    before_ms = element.time.now_ms()
    health = element.failed_bring_up() if restart else element.health()
    assert health.code == E_NOHARDWARE
    assert element.time.now_ms() - before_ms < (WATCHDOG_MS + 100 if restart else 50)


def test_a_bus_that_is_too_fast_wakes_nobody() -> None:
    element = Element(frequency_hz=400_000)
    assert element.failed_bring_up().cause == "no_answer"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_no_noise_makes_a_wrong_signature_a_good_one(seed: int) -> None:
    """Single flipped bits: an operation succeeds with what is right, or it fails."""
    element = element_with_key()
    element.bus._random.seed(seed)
    signature = element.run(element.element.sign(0, DIGEST))
    element.bench.bus_fault("element_bus", "flipped_bits")
    altered = bytes([signature[0] ^ 1]) + signature[1:]
    for call in (element.element.verify(element.public, DIGEST, altered), element.element.sign(0, DIGEST)):
        try:
            answer = element.run(call)
        except DeviceError as error:
            assert error.cause in ("garbled_answer", "no_answer", "check_failed")
        else:
            assert answer is False or (answer is not True and CURVE.verify(element.public, DIGEST, answer))


# On MicroPython.

PROGRAM = Path(__file__).parent / "element_on_micropython.py"


@pytest.mark.needs("micropython")
def test_the_element_works_on_micropython(tmp_path: Path) -> None:
    found, bench = run_on_micropython(tmp_path, lambda bench: None, PROGRAM)
    chip = bench.chips["secure_element"]
    assert isinstance(chip, Atecc608Chip)
    assert found["runtime"] == "micropython"
    assert found["health"] == ["success", ""]
    assert found["keys"] == 1
    assert chip.keys == {0: bytes.fromhex(found["public"])}
    assert CURVE.verify(chip.keys[0], bytes(range(32)), bytes.fromhex(found["signature"]))
    assert found["verified"] == [True, False, False]
    assert found["random"] == 100
    assert chip.counters == [0, 2] and found["count"] == 2
    assert CURVE.public_key(bytes.fromhex(found["transport"][0])).hex() == found["transport"][1]
    assert found["empty"] == "E_NOEXIST"
    assert found["garbage_bytes"] < 150_000


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("fault", ["no_wake", "crc_errors", "self_test_failure", "unlocked", "random_stuck"])
def test_faults_get_the_same_causes_on_micropython(tmp_path: Path, fault: str) -> None:
    found, _ = run_on_micropython(tmp_path, lambda bench: bench.chips["secure_element"].fault(fault), PROGRAM)
    assert found["health"] == ["fail", Atecc608Chip.FAULTS[fault].cause]
