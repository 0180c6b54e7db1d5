"""The model of the ATECC608 by itself: what it says on the wire to the byte, when it sleeps, what it forgets, what it refuses."""

from __future__ import annotations

from hashlib import sha256

import pytest

from hal.compat import p256
from host_sim.chips.atecc608 import CHIP_OPTIONS, CONFIGURATION, LONGEST_MS, WATCHDOG_MS, Atecc608Chip, check
from host_sim.simulated_time import SimulatedTime
from tests.hal.wired import BOARD, Wired

DIGEST = sha256(b"a message").digest()
CURVE = p256()

INFO, KEY_VALID, RANDOM, READ = (0x30, 0), (0x30, 1), (0x1B, 0), (0x02, 0x80)
CREATE, PUBLIC, SIGN, VERIFY = (0x40, 4), (0x40, 0), (0x41, 0xA0), (0x45, 0x22)
NONCE, SELF_TEST, READ_COUNTER, INCREMENT = (0x16, 0x43), (0x77, 0x3D), (0x24, 0), (0x24, 1)
EXECUTION_ERROR, PARSE_ERROR, SELF_TEST_ERROR = b"\x0f", b"\x03", b"\x07"


class Bare:
    """The chip with its two wires, and somebody who writes and reads."""

    def __init__(self, zone: bytes = CONFIGURATION) -> None:
        self.time = SimulatedTime()
        self.chip = Atecc608Chip(self.time.now_ms, zone)

    def wake(self) -> bytes:
        self.chip.held_low(80)
        self.time.advance(2)
        return self.chip.read(4)

    def send(self, command: tuple[int, int], param2: int = 0, data: bytes = b"") -> None:
        body = bytes([len(data) + 7, *command]) + param2.to_bytes(2, "little") + data
        self.chip.write(b"\x03" + body + check(body))

    def ask(self, command: tuple[int, int], param2: int = 0, data: bytes = b"") -> bytes:
        """The data of the answer, from a fresh wake and when the longest time has passed."""
        if not self.chip.is_awake:
            self.wake()
        self.send(command, param2, data)
        self.time.advance(LONGEST_MS.get(command[0], 1))
        answer = self.chip.read(100)
        answer = answer[: answer[0]]
        assert check(answer[:-2]) == answer[-2:]
        return answer[1:-2]

    def with_key(self) -> Bare:
        self.public = self.ask(CREATE, 0)
        self.idle()
        return self

    def idle(self) -> None:
        self.chip.write(b"\x02")

    def sleep(self) -> None:
        self.chip.write(b"\x01")

    def is_silent(self) -> bool:
        """Neither a read nor a write is acknowledged."""
        refused = 0
        for access in (lambda: self.chip.read(1), lambda: self.chip.write(b"\x00")):
            try:
                access()
            except OSError:
                refused += 1
        assert refused in (0, 2)
        return refused == 2


# Waking and sleeping.


def test_asleep_it_acknowledges_nothing_and_a_low_line_wakes_it() -> None:
    bare = Bare()
    assert bare.is_silent()
    assert bare.wake() == bytes.fromhex("04113343")
    assert not bare.is_silent()


def test_it_is_ready_two_milliseconds_after_the_wake() -> None:
    bare = Bare()
    bare.chip.held_low(80)
    bare.time.advance(1)
    assert bare.is_silent()
    bare.time.advance(1)
    assert bare.chip.read(4) == bytes.fromhex("04113343")


@pytest.mark.parametrize(("frequency_hz", "wakes"), [(100_000, True), (133_000, True), (134_000, False), (400_000, False)])
def test_an_address_of_zeros_wakes_it_only_on_a_slow_bus(frequency_hz: int, wakes: bool) -> None:
    """Eight zeros at 133 kHz are 60 us."""
    wired = Wired()
    bus = BOARD["buses"]["element_bus"]
    i2c = wired.machine.I2C(bus["id"], scl=bus["scl"], sda=bus["sda"], freq=frequency_hz)
    with pytest.raises(OSError, match="no acknowledge"):
        i2c.writeto(0, b"\x00")
    wired.time.advance(2)
    if wakes:
        assert i2c.readfrom(0x60, 4) == bytes.fromhex("04113343")
    else:
        with pytest.raises(OSError, match="no acknowledge"):
            i2c.readfrom(0x60, 4)


def test_a_wake_while_awake_is_not_heard() -> None:
    bare = Bare()
    assert bare.ask(READ_COUNTER, 1) == bytes(4)
    bare.chip.held_low(80)
    assert bare.chip.read(1) == b"\xff"  # the end of the same answer
    bare.time.advance(WATCHDOG_MS - 200)
    bare.chip.held_low(80)
    bare.time.advance(200)
    assert bare.is_silent()  # the watchdog ran on


def test_the_watchdog_puts_it_to_sleep_whatever_it_does() -> None:
    bare = Bare()
    bare.wake()
    bare.time.advance(WATCHDOG_MS - 20)
    bare.send(CREATE, 0)
    bare.time.advance(20)
    assert bare.is_silent() and not bare.chip.is_awake
    bare.time.advance(10_000)
    assert bare.is_silent()
    assert bare.wake() == bytes.fromhex("04113343")


def test_idle_keeps_the_digest_and_sleep_and_power_forget_it() -> None:
    for rest, kept in ((Bare.idle, True), (Bare.sleep, False), (lambda bare: bare.chip.power_up(), False)):
        bare = Bare().with_key()
        assert bare.ask(NONCE, 0, DIGEST) == b"\x00"
        rest(bare)
        assert bare.is_silent()
        assert (bare.ask(SIGN, 0) != EXECUTION_ERROR) == kept


def test_idle_stops_the_watchdog() -> None:
    bare = Bare().with_key()
    bare.ask(NONCE, 0, DIGEST)
    bare.idle()
    bare.time.advance(10 * WATCHDOG_MS)
    assert len(bare.ask(SIGN, 0)) == 64


# Packets.


def test_answers_are_count_data_and_check() -> None:
    bare = Bare()
    bare.wake()
    bare.chip.write(bytes.fromhex("030730000000035D"))
    bare.time.advance(5)
    answer = bytes.fromhex("0700006003")
    assert bare.chip.read(7) == answer + check(answer)


def test_reading_goes_on_where_it_stopped_and_begins_again_after_a_reset() -> None:
    bare = Bare()
    bare.wake()
    bare.chip.write(b"\x00")
    assert bare.chip.read(1) + bare.chip.read(1) == b"\x04\x11"
    assert bare.chip.read(4) == b"\x33\x43\xff\xff"
    bare.chip.write(b"\x00")
    assert bare.chip.read(4) == bytes.fromhex("04113343")


@pytest.mark.parametrize("command", ["0730000000035C", "0731000000035D", "06300000035D", "9C30000000035D", "00"])
def test_a_damaged_command_is_answered_with_a_communication_error(command: str) -> None:
    bare = Bare()
    bare.wake()
    data = bytes.fromhex(command)
    bare.chip.write(b"\x03" + data + bytes(max(0, data[0] - len(data))))
    bare.time.advance(1)
    assert bare.chip.read(2) == b"\x04\xff"


def test_half_a_command_makes_it_wait_for_the_rest() -> None:
    bare = Bare()
    bare.wake()
    bare.chip.write(bytes.fromhex("03073000"))
    with pytest.raises(OSError, match="no acknowledge"):
        bare.chip.read(1)
    bare.chip.write(bytes.fromhex("030000035D"))
    bare.time.advance(5)
    assert bare.chip.read(2) == b"\x07\x00"


def test_half_a_command_is_forgotten_at_the_next_wake() -> None:
    bare = Bare()
    bare.wake()
    bare.chip.write(bytes.fromhex("03073000"))
    bare.idle()
    assert bare.wake() == bytes.fromhex("04113343")
    assert bare.ask(INFO) == bytes.fromhex("00006003")


@pytest.mark.parametrize("habit", ["", "slow"])
@pytest.mark.parametrize("command", [INFO, RANDOM, CREATE, SELF_TEST])
def test_busy_it_acknowledges_nothing(command: tuple[int, int], habit: str) -> None:
    bare = Bare()
    if habit:
        bare.chip.fault(habit)
    bare.wake()
    bare.send(command)
    busy_ms = LONGEST_MS[command[0]] if habit else (LONGEST_MS[command[0]] + 1) // 2
    bare.time.advance(busy_ms - 1)
    assert bare.is_silent()
    bare.time.advance(1)
    assert not bare.is_silent()


@pytest.mark.parametrize(
    ("command", "param2", "data"),
    [
        ((0x99, 0), 0, b""),  # no such command
        ((0x30, 9), 0, b""),
        ((0x02, 0x80), 0x20, b""),  # beyond the configuration
        ((0x40, 4), 16, b""),
        ((0x41, 0xA0), 16, b""),
        ((0x16, 0x43), 0, bytes(31)),
        ((0x45, 0x22), 3, bytes(128)),
        ((0x77, 0x02), 0, b""),
        ((0x24, 2), 0, b""),
        ((0x24, 0), 2, b""),
        ((0x1B, 0), 0, b"\x00"),
    ],
)
def test_what_is_no_command_is_a_parse_error(command: tuple[int, int], param2: int, data: bytes) -> None:
    assert Bare().ask(command, param2, data) == PARSE_ERROR


# Commands.


def test_the_configuration_zone_has_serial_number_locks_and_slots() -> None:
    bare = Bare()
    zone = b"".join(bare.ask(READ, block << 3) for block in range(4))
    assert zone == CONFIGURATION
    assert zone[:2] == b"\x01\x23" and bare.chip.serial == zone[0:4] + zone[8:13]
    assert zone[86:88] == b"\x00\x00" and zone[16] == 0xC0


def test_a_made_key_is_valid_told_and_signs_what_others_verify() -> None:
    bare = Bare()
    assert bare.ask(KEY_VALID, 0) == bytes(4)
    assert bare.ask(PUBLIC, 0) == EXECUTION_ERROR
    public = bare.ask(CREATE, 0)
    assert bare.ask(KEY_VALID, 0) != bytes(4)
    bare.sleep()
    assert bare.ask(PUBLIC, 0) == public == bare.chip.keys[0]
    bare.ask(NONCE, 0, DIGEST)
    assert CURVE.verify(public, DIGEST, bare.ask(SIGN, 0))


def test_a_digest_is_good_for_one_signature() -> None:
    bare = Bare().with_key()
    assert bare.ask(SIGN, 0) == EXECUTION_ERROR
    bare.ask(NONCE, 0, DIGEST)
    assert len(bare.ask(SIGN, 0)) == 64
    assert bare.ask(SIGN, 0) == EXECUTION_ERROR


def test_the_digest_may_lie_in_temp_key() -> None:
    bare = Bare().with_key()
    bare.ask((0x16, 0x03), 0, DIGEST)
    assert CURVE.verify(bare.public, DIGEST, bare.ask((0x41, 0x80), 0))


def test_it_verifies_what_others_signed() -> None:
    bare = Bare()
    private = sha256(b"a private key").digest()
    signature, public = CURVE.sign(private, DIGEST), CURVE.public_key(private)
    for given, wanted in (
        (signature + public, b"\x00"),
        (bytes([signature[0] ^ 1]) + signature[1:] + public, b"\x01"),
        (signature + bytes(64), b"\x05"),  # not on the curve: an ECC fault
    ):
        bare.ask(NONCE, 0, DIGEST)
        assert bare.ask(VERIFY, 4, given) == wanted


def test_a_slot_for_data_takes_no_key() -> None:
    assert Bare().ask(CREATE, 9) == EXECUTION_ERROR


def test_a_locked_slot_takes_no_other_key() -> None:
    bare = Bare().with_key()
    bare.chip.lock_slot(0)
    assert bare.ask(CREATE, 0) == EXECUTION_ERROR
    assert bare.ask(PUBLIC, 0) == bare.public
    assert len(bare.ask(CREATE, 1)) == 64
    assert bare.ask(READ, 0x10)[24:26] == b"\xfe\xff"


def test_counters_grow_by_one_each_and_outlast_the_power() -> None:
    bare = Bare()
    assert bare.ask(INCREMENT, 1) == b"\x01\x00\x00\x00"
    assert bare.ask(INCREMENT, 1) == b"\x02\x00\x00\x00"
    bare.chip.power_up()
    assert bare.ask(READ_COUNTER, 1) == b"\x02\x00\x00\x00"
    assert bare.ask(READ_COUNTER, 0) == bytes(4)


def test_random_numbers_differ() -> None:
    bare = Bare()
    assert len({bare.ask(RANDOM) for _ in range(10)}) == 10


# Faults.


def test_a_part_from_the_reel_gives_a_pattern_and_takes_no_keys() -> None:
    bare = Bare()
    bare.chip.fault("unlocked")
    assert bare.ask(RANDOM) == b"\xff\xff\x00\x00" * 8
    assert bare.ask(CREATE, 0) == EXECUTION_ERROR
    assert bare.ask(READ, 0x10)[22:24] == b"\x55\x55"


def test_after_a_failed_self_test_it_refuses_to_work_until_the_next_wake() -> None:
    bare = Bare()
    bare.chip.fault("self_test_failure")
    assert bare.ask(SELF_TEST) == b"\x04"
    assert bare.ask(RANDOM) == SELF_TEST_ERROR
    assert bare.ask((0x77, 0)) == b"\x04"  # what has failed
    assert len(bare.ask(READ, 0)) == 32
    bare.idle()
    assert len(bare.ask(RANDOM)) == 32


def test_a_self_test_that_passes_again_ends_the_refusal() -> None:
    bare = Bare()
    bare.chip.fault("self_test_failure")
    bare.ask(SELF_TEST)
    bare.chip.fault("self_test_failure", False)
    assert bare.ask((0x77, 0x01)) == b"\x00"
    assert bare.ask(RANDOM) == SELF_TEST_ERROR
    assert bare.ask((0x77, 0x04)) == b"\x00"
    assert len(bare.ask(RANDOM)) == 32


def test_configured_to_test_itself_at_each_wake_it_answers_the_wake_with_the_failure() -> None:
    zone = bytearray(CONFIGURATION)
    zone[CHIP_OPTIONS] = 0x01
    bare = Bare(bytes(zone))
    assert bare.wake() == bytes.fromhex("04113343")
    bare.sleep()
    bare.chip.fault("self_test_failure")
    assert bare.wake()[:2] == b"\x04\x07"


def test_stuck_random_numbers_make_the_same_key_in_every_slot() -> None:
    bare = Bare()
    bare.chip.fault("random_stuck")
    assert bare.ask(RANDOM) == bare.ask(RANDOM)
    assert bare.ask(CREATE, 0) == bare.ask(CREATE, 1)


def test_a_wrong_signature_has_one_bit_wrong() -> None:
    bare = Bare().with_key()
    bare.chip.fault("wrong_signatures")
    bare.ask(NONCE, 0, DIGEST)
    signature = bare.ask(SIGN, 0)
    assert not CURVE.verify(bare.public, DIGEST, signature)
    assert CURVE.verify(bare.public, DIGEST, signature[:-1] + bytes([signature[-1] ^ 1]))


def test_another_chip_has_other_keys_until_new_ones_are_made() -> None:
    bare = Bare().with_key()
    bare.chip.fault("wrong_key")
    other = bare.ask(PUBLIC, 0)
    assert other != bare.public and bare.chip.keys == {0: other}
    renewed = bare.ask(CREATE, 0)
    assert bare.ask(PUBLIC, 0) == renewed


def test_forgotten_and_lost_keys_are_not_valid() -> None:
    bare = Bare().with_key()
    bare.chip.fault("key_lost")
    assert bare.ask(KEY_VALID, 0) == bytes(4) and bare.chip.keys == {}
    bare.chip.fault("key_lost", False)
    assert bare.ask(PUBLIC, 0) == bare.public
    bare.chip.forget_keys()
    assert bare.ask(KEY_VALID, 0) == bytes(4) and bare.chip.keys == {}


def test_a_locked_chip_tells_of_itself_and_refuses_its_keys() -> None:
    bare = Bare().with_key()
    bare.chip.fault("locked")
    assert bare.ask(KEY_VALID, 0) != bytes(4)
    assert len(bare.ask(RANDOM)) == 32
    for command in (PUBLIC, CREATE):
        assert bare.ask(command, 0) == EXECUTION_ERROR
    bare.ask(NONCE, 0, DIGEST)
    assert bare.ask(SIGN, 0) == EXECUTION_ERROR


def test_damage_is_in_the_first_copy_or_in_every_one() -> None:
    bare = Bare()
    bare.chip.fault("flaky_answers")
    assert bare.wake() == bytes.fromhex("04113353")
    bare.chip.write(b"\x00")
    assert bare.chip.read(4) == bytes.fromhex("04113343")
    bare.chip.fault("crc_errors")
    bare.chip.write(b"\x00")
    assert bare.chip.read(4) == bytes.fromhex("04113353")


def test_a_second_wake_is_needed_after_a_sleep_not_after_idle() -> None:
    bare = Bare()
    bare.chip.fault("second_wake")
    bare.chip.held_low(80)
    bare.time.advance(2)
    assert bare.is_silent()
    assert bare.wake() == bytes.fromhex("04113343")
    bare.idle()
    assert bare.wake() == bytes.fromhex("04113343")
