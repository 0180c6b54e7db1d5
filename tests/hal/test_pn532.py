"""The PN532 driver against the chip model, over I2C and over a serial line: frames to the byte, cards, and each failure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.card_reader import CONTRACT
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.drivers.pn532 import FrameParser, Pn532, Pn532OverI2c, Pn532OverUart, frame
from hal.errors import (
    CH_EXTERNAL,
    CH_INTERNAL,
    E_DISABLED,
    E_EXTENDED,
    E_FAILURE,
    E_ILLEGAL,
    E_NOHARDWARE,
    E_TIMEOUT,
    ESC_NO_CARD,
    ESC_READ,
    ESC_TORN,
    DeviceError,
)
from host_sim.buses import I2cBus, UartLine
from host_sim.chips.cards import PPSE, MuteCard, NoPpseCard, PaymentCard, StrictLeCard, TransitCard
from host_sim.chips.pn532 import HostFrames, Pn532Chip, Pn532Core, Pn532UartChip, information_frame
from tests.hal.wired import TappedUart, Wired

SELECT_PPSE = bytes.fromhex("00A404000E") + PPSE + b"\x00"
TRANSPORTS = ["i2c", "uart"]


class TappedI2c:
    """Between the driver and the machine's I2C: records what is written and acknowledged, and how much is read at once."""

    def __init__(self, i2c: Any) -> None:
        self._i2c = i2c
        self.sent: list[bytes] = []
        self.longest_read = 0

    def writeto(self, address: int, data: bytes) -> int:
        count: int = self._i2c.writeto(address, data)
        self.sent.append(bytes(data))
        return count

    def readfrom(self, address: int, length: int) -> bytes:
        self.longest_read = max(self.longest_read, length)
        data: bytes = self._i2c.readfrom(address, length)
        return data


class Reading(Wired):
    def __init__(self, transport: str = "i2c") -> None:
        super().__init__()
        self.chip: Pn532Core
        if transport == "i2c":
            chip = self.bench.chips["card_reader"]
            assert isinstance(chip, Pn532Chip)
            self.chip = chip
            self.i2c_tap = TappedI2c(self.i2c())
            self.reader = Pn532(Pn532OverI2c(self.i2c_tap, 0x24, self.clock), self.clock)
        else:
            uart_chip = Pn532UartChip(self.time.now_ms)
            self.rewire("printer_line", uart_chip)
            self.chip = uart_chip
            self.uart_tap = TappedUart(self.uart("printer_line"))
            self.reader = Pn532(Pn532OverUart(self.uart_tap, self.clock), self.clock)

    def ready(self) -> Reading:
        self.bring_up(self.reader)
        return self

    def failed_bring_up(self) -> Health:
        """The health of a reader whose bring-up failed."""
        with pytest.raises(DeviceError):
            self.bring_up(self.reader)
        return self.run(self.reader.check_health())

    def with_card(self) -> Reading:
        self.ready()
        self.chip.insert_card(PaymentCard())
        assert self.run(self.reader.find_card(500)) is True
        return self


@pytest.fixture(params=TRANSPORTS)
def reading(request: pytest.FixtureRequest) -> Reading:
    return Reading(request.param)


# Frames.


@pytest.mark.parametrize(
    ("command", "data", "wanted"),
    [
        (0x02, "", "0000FF02FED4022A00"),  # GetFirmwareVersion
        (0x14, "011401", "0000FF05FBD4140114010200"),  # SAMConfiguration: normal mode, 1 s, IRQ
        (0x4A, "0200", "0000FF04FCD44A0200E000"),  # InListPassiveTarget: two targets, 106 kbit/s type A
        (0x32, "05FF0102", "0000FF06FAD43205FF0102F300"),  # RFConfiguration: retries
    ],
)
def test_frames_to_the_chip_are_those_of_the_user_manual(command: int, data: str, wanted: str) -> None:
    assert frame(command, bytes.fromhex(data)).hex().upper() == wanted


def test_a_frame_above_255_bytes_is_extended() -> None:
    sent = frame(0x40, bytes(254))
    assert sent[:10] == bytes.fromhex("0000FFFFFF0100FFD440")
    assert len(sent) == 3 + 5 + 256 + 2
    assert sum(sent[8:-1]) & 0xFF == 0


def parse(data: bytes) -> FrameParser:
    parser = FrameParser()
    for byte in data:
        if parser.feed(byte):
            break
    return parser


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("0000FF00FF00", FrameParser.ACK),
        ("0000FFFF0000", FrameParser.NACK),
        ("0000FF01FF7F8100", FrameParser.ERROR),
        ("0000FF06FAD50332010607E800", FrameParser.DATA),
        ("5500001234AA00FF06FAD50332010607E800", FrameParser.DATA),  # after noise
        ("0000FF06FBD50332010607E800", FrameParser.DAMAGED),  # LCS
        ("0000FF06FAD50332010607E900", FrameParser.DAMAGED),  # DCS
        ("0000FF06FAD40332010607E900", FrameParser.DAMAGED),  # from the host's side
        ("0000FFFFFF0102FE", FrameParser.DAMAGED),  # LCS of an extended frame
        ("0000FFFFFFFFFF02", FrameParser.DAMAGED),  # longer than the chip can send
        ("0000FFFFFF000000", FrameParser.DAMAGED),  # of no length
        ("0000FF06FAD50332", FrameParser.WAITING),
        ("00000000000000", FrameParser.WAITING),
    ],
)
def test_what_comes_from_the_chip_is_told_apart(data: str, kind: int) -> None:
    assert parse(bytes.fromhex(data)).kind == kind


@given(st.binary(max_size=300))
def test_no_noise_breaks_the_parser(noise: bytes) -> None:
    assert 0 <= parse(noise).length <= 264


@given(st.integers(0, 254), st.binary(max_size=263))
def test_the_chip_model_finds_each_frame_of_the_driver(command: int, data: bytes) -> None:
    """Two parsers written apart agree on the format: the driver's sender and the model's receiver."""
    assert HostFrames().feed(b"\x55\x00" + frame(command, data)) == [bytes([0xD4, command]) + data]


@given(st.integers(0, 254), st.binary(max_size=263))
def test_the_driver_finds_each_frame_of_the_chip_model(code: int, data: bytes) -> None:
    parser = parse(information_frame(bytes([0xD5, code]) + data))
    assert parser.kind == parser.DATA
    assert bytes(parser.data[: parser.length]) == bytes([code]) + data


def test_the_data_of_a_frame_is_what_stands_between_tfi_and_check_sum() -> None:
    parser = parse(bytes.fromhex("0000FF06FAD50332010607E800"))
    assert bytes(parser.data[: parser.length]) == bytes.fromhex("0332010607")


def test_bring_up_on_i2c_is_an_abort_the_sam_configuration_and_the_retries() -> None:
    reading = Reading().ready()
    assert [sent.hex().upper() for sent in reading.i2c_tap.sent] == [
        "0000FF00FF00",
        "0000FF05FBD4140114010200",
        "0000FF06FAD43205FF0102F300",
    ]


def test_bring_up_on_a_serial_line_begins_with_the_wake_up_of_the_user_manual() -> None:
    reading = Reading("uart").ready()
    assert bytes(reading.uart_tap.sent) == b"\x55\x55" + bytes(14) + bytes.fromhex(
        "0000FF00FF00" + "0000FF05FBD4140114010200" + "0000FF06FAD43205FF0102F300"
    )


# The contract.


def test_the_driver_keeps_the_contract(reading: Reading) -> None:
    assert CONTRACT.missing(reading.reader) == []


def test_the_firmware_version_is_read(reading: Reading) -> None:
    reading.ready()
    assert reading.run(reading.reader.firmware_version()) == "PN532 1.6"


def test_a_payment_card_answers_select_ppse(reading: Reading) -> None:
    reading.with_card()
    answer = reading.run(reading.reader.exchange(SELECT_PPSE))
    assert answer == PaymentCard().fci() + b"\x90\x00"
    assert answer[:4] == b"\x6f" + bytes([len(answer) - 4]) + b"\x84\x0e"
    reading.run(reading.reader.release_card())
    assert reading.error_of(reading.reader.exchange(SELECT_PPSE)).extended == ESC_NO_CARD


def test_no_answer_of_a_card_holds_anything_like_a_card_number(reading: Reading) -> None:
    reading.with_card()
    answer = reading.run(reading.reader.exchange(SELECT_PPSE))
    for other in ("00B2010C00", "80A8000002830000"):
        assert reading.run(reading.reader.exchange(bytes.fromhex(other)))[-2:] in (b"\x6d\x00", b"\x6e\x00")
    assert not re.search(r"(?<!\d)\d{13,19}(?!\d)", answer.hex().replace("a0000000049999", ""))
    assert b"\x57" not in answer and b"\x5a" not in answer  # the tags of track 2 and of the PAN


@pytest.mark.parametrize(
    ("card", "apdu", "status_word"),
    [
        (NoPpseCard(), SELECT_PPSE, b"\x6a\x82"),
        (StrictLeCard(), SELECT_PPSE[:-1], b"\x67\x00"),
        (StrictLeCard(), SELECT_PPSE, b"\x90\x00"),
        (PaymentCard(), SELECT_PPSE[:-1], b"\x90\x00"),
    ],
)
def test_the_status_word_of_the_card_is_handed_on(reading: Reading, card: PaymentCard, apdu: bytes, status_word: bytes) -> None:
    reading.ready()
    reading.chip.insert_card(card)
    reading.run(reading.reader.find_card(500))
    assert reading.run(reading.reader.exchange(apdu))[-2:] == status_word


def test_without_a_card_polling_ends_with_its_time(reading: Reading) -> None:
    reading.ready()
    begun_ms = reading.time.now_ms()
    assert reading.run(reading.reader.find_card(1000)) is False
    assert 1000 <= reading.time.now_ms() - begun_ms < 1200


def test_a_card_that_comes_later_is_found_when_it_comes(reading: Reading) -> None:
    reading.ready()
    begun_ms = reading.time.now_ms()
    finding = reading.during(reading.reader.find_card(5000), 2000, lambda: reading.chip.insert_card(PaymentCard()))
    assert reading.run(finding) is True
    assert 2000 <= reading.time.now_ms() - begun_ms < 2200


def test_two_cards_at_once_are_refused(reading: Reading) -> None:
    reading.ready()
    reading.chip.insert_card(PaymentCard())
    reading.chip.insert_card(NoPpseCard(uid=b"\x08\x01\x02\x03"))
    error = reading.error_of(reading.reader.find_card(500))
    assert (error.code, error.extended, error.cause) == (E_EXTENDED, ESC_READ, "two_cards")
    assert reading.error_of(reading.reader.exchange(SELECT_PPSE)).extended == ESC_NO_CARD


def test_a_card_without_iso_14443_4_cannot_be_read(reading: Reading) -> None:
    reading.ready()
    reading.chip.insert_card(TransitCard())
    assert reading.run(reading.reader.find_card(500)) is True
    error = reading.error_of(reading.reader.exchange(SELECT_PPSE))
    assert (error.extended, error.cause) == (ESC_READ, "not_a_payment_card")


def test_a_torn_card_is_reported_as_torn(reading: Reading) -> None:
    reading.with_card()
    reading.chip.tear_off(after_apdus=1)
    assert reading.run(reading.reader.exchange(SELECT_PPSE))[-2:] == b"\x90\x00"
    error = reading.error_of(reading.reader.exchange(SELECT_PPSE))
    assert (error.code, error.extended, error.cause) == (E_EXTENDED, ESC_TORN, "card_torn")
    error = reading.error_of(reading.reader.exchange(SELECT_PPSE))
    assert (error.extended, error.cause) == (ESC_NO_CARD, "no_card")


def test_a_card_that_is_there_and_says_nothing_is_a_timeout_not_torn(reading: Reading) -> None:
    reading.ready()
    reading.chip.insert_card(MuteCard())
    reading.run(reading.reader.find_card(500))
    error = reading.error_of(reading.reader.exchange(SELECT_PPSE))
    assert (error.code, error.cause) == (E_TIMEOUT, "card_silent")


def test_a_chip_that_dies_while_a_card_is_read_is_not_the_cards_fault(reading: Reading) -> None:
    reading.with_card()
    reading.chip.fault("no_answer")
    assert reading.error_of(reading.reader.exchange(SELECT_PPSE)).cause == "no_answer"


@pytest.mark.parametrize(
    ("situation", "ends_with"),
    [
        ("card_torn", "card_torn"),
        ("two_cards", "two_cards"),
        ("card_mute", "card_silent"),
        ("card_without_ppse", b"\x6a\x82"),
        ("card_refuses", b"\x67\x00"),
    ],
)
def test_each_trouble_with_a_card_is_its_own_and_the_reader_is_sound(reading: Reading, situation: str, ends_with: str | bytes) -> None:
    reading.ready()
    reading.chip.fault(situation)
    reading.chip.insert_card(PaymentCard())

    async def select() -> bytes:
        assert await reading.reader.find_card(500)
        return await reading.reader.exchange(SELECT_PPSE)

    if isinstance(ends_with, bytes):
        assert reading.run(select())[-2:] == ends_with
    else:
        assert reading.error_of(select()).cause == ends_with
    assert reading.chip.FAULTS[situation].component == "card"
    assert reading.run(reading.reader.check_health(CH_EXTERNAL)).outcome == HEALTH_SUCCESS
    reading.chip.fault(situation, on=False)
    reading.chip.remove_card()
    reading.chip.insert_card(PaymentCard())
    assert reading.run(select())[-2:] == b"\x90\x00"


def test_an_answer_that_takes_too_long_is_a_timeout_and_the_chip_is_free_again() -> None:
    reading = Reading().ready()
    reading.chip.insert_card(MuteCard())
    reading.run(reading.reader.find_card(500))
    error = reading.error_of(reading.reader.exchange(SELECT_PPSE, 30))
    assert (error.code, error.cause) == (E_TIMEOUT, "card_silent")
    assert bytes.fromhex("0000FF00FF00") in reading.i2c_tap.sent[-2:]  # an ACK aborts, then the card's presence is asked for
    assert reading.run(reading.reader.check_health()).outcome == HEALTH_SUCCESS


@pytest.mark.parametrize(
    ("status", "code", "extended"),
    [
        (0x01, E_EXTENDED, ESC_TORN),
        (0x0A, E_EXTENDED, ESC_TORN),
        (0x29, E_EXTENDED, ESC_TORN),
        (0x2A, E_EXTENDED, ESC_TORN),
        (0x2B, E_EXTENDED, ESC_TORN),
        (0x02, E_EXTENDED, ESC_READ),
        (0x03, E_EXTENDED, ESC_READ),
        (0x05, E_EXTENDED, ESC_READ),
        (0x06, E_EXTENDED, ESC_READ),
        (0x0B, E_EXTENDED, ESC_READ),
        (0x13, E_EXTENDED, ESC_READ),
        (0x27, E_EXTENDED, ESC_NO_CARD),
        (0x0D, E_FAILURE, 0),
        (0x2D, E_FAILURE, 0),
    ],
)
def test_each_status_byte_has_its_error(status: int, code: int, extended: int) -> None:
    reading = Reading().with_card()
    obey = reading.chip._obey

    def answers(command: int, data: bytes) -> None:
        if command == 0x40:
            reading.chip.remove_card()
            reading.chip._answer(0x40, bytes([status]))
        else:
            obey(command, data)

    reading.chip._obey = answers  # type: ignore[method-assign]
    error = reading.error_of(reading.reader.exchange(SELECT_PPSE))
    assert (error.code, error.extended) == (code, extended)


def test_an_answer_longer_than_a_normal_frame_arrives_whole(reading: Reading) -> None:
    reading.with_card()
    reading.chip.fault("long_answers")
    assert reading.run(reading.reader.exchange(SELECT_PPSE)) == bytes(range(256)) + b"\x90\x00"


@pytest.mark.parametrize("faults", [["chained_answers"], ["chained_answers", "long_answers"]])
def test_an_answer_given_in_parts_is_put_together(reading: Reading, faults: list[str]) -> None:
    reading.with_card()
    whole = reading.run(reading.reader.exchange(SELECT_PPSE))
    for fault in faults:
        reading.chip.fault(fault)
    answer = reading.run(reading.reader.exchange(SELECT_PPSE))
    assert answer == (bytes(range(256)) + b"\x90\x00" if "long_answers" in faults else whole)


def test_the_longest_apdu_reaches_the_card(reading: Reading) -> None:
    reading.with_card()
    apdu = bytes.fromhex("00D60000FF") + bytes(range(255)) + b"\x00"
    assert reading.run(reading.reader.exchange(apdu)) == b"\x6d\x00"
    assert reading.chip.apdus[-1] == apdu


@pytest.mark.parametrize("answer", [b"", b"\x90"])
def test_an_answer_too_short_for_a_status_word_is_unreadable(reading: Reading, answer: bytes) -> None:
    class StammeringCard(PaymentCard):
        def transceive(self, apdu: bytes) -> bytes | None:
            return answer

    reading.ready()
    reading.chip.insert_card(StammeringCard())
    reading.run(reading.reader.find_card(500))
    assert reading.error_of(reading.reader.exchange(SELECT_PPSE)).extended == ESC_READ


@pytest.mark.parametrize("length", [0, 3, 262])
def test_an_apdu_of_no_legal_length_is_refused(length: int) -> None:
    reading = Reading().with_card()
    assert reading.error_of(reading.reader.exchange(bytes(length))).code == E_ILLEGAL


def test_no_method_works_before_enable(reading: Reading) -> None:
    for program in (reading.reader.find_card(10), reading.reader.exchange(SELECT_PPSE), reading.reader.firmware_version()):
        assert reading.error_of(program).code == E_DISABLED


def test_a_chip_without_the_presence_test_reports_a_silent_card_as_torn() -> None:
    reading = Reading().with_card()
    reading.chip.tear_off()
    reading.chip._diagnose = lambda data: reading.chip._refuse()  # type: ignore[method-assign]
    assert reading.error_of(reading.reader.exchange(SELECT_PPSE)).extended == ESC_TORN


# Bring-up from any state.


def raw_write(reading: Reading, data: bytes) -> None:
    """What the crashed program sent before it crashed."""
    if isinstance(reading.chip, Pn532Chip):
        reading.i2c_tap._i2c.writeto(0x24, data)
    else:
        reading.uart_tap._uart.write(data)


LEFT_BEHIND: dict[str, Callable[[Reading], None]] = {
    "in power down": lambda reading: reading.chip.fault("asleep"),
    "in the head of a frame": lambda reading: raw_write(reading, bytes.fromhex("0000FF")),
    "in a frame of 255 bytes": lambda reading: raw_write(reading, bytes.fromhex("0000FFFF01D440")),
    "in an extended frame": lambda reading: raw_write(reading, bytes.fromhex("0000FFFFFF0108F7D440")),
    "with an answer not fetched": lambda reading: raw_write(reading, frame(0x14, b"\x01\x14\x01")),
    "waiting for a card for ever": lambda reading: raw_write(
        reading, frame(0x14, b"\x01\x14\x01") + frame(0x32, b"\x05\xff\x01\xff") + frame(0x4A, b"\x01\x00")
    ),
    "with a damaged frame": lambda reading: raw_write(reading, bytes.fromhex("0000FF02FED4022B00")),
}


@pytest.mark.parametrize("state", sorted(LEFT_BEHIND))
def test_bring_up_recovers_a_chip_left(reading: Reading, state: str) -> None:
    LEFT_BEHIND[state](reading)
    reading.bring_up(reading.reader)
    assert reading.run(reading.reader.firmware_version()) == "PN532 1.6"
    assert reading.run(reading.reader.check_health()).outcome == HEALTH_SUCCESS


def test_enable_after_a_sleep_brings_the_reader_back(reading: Reading) -> None:
    reading.with_card()
    reading.chip.fault("asleep")
    reading.reader.disable()
    reading.run(reading.reader.enable())
    assert reading.run(reading.reader.find_card(500)) is True


# Health.


def test_a_good_reader_is_healthy_at_both_levels_and_says_what_was_measured(reading: Reading) -> None:
    reading.ready()
    for level in (CH_INTERNAL, CH_EXTERNAL):
        health = reading.run(reading.reader.check_health(level))
        assert (health.outcome, health.cause) == (HEALTH_SUCCESS, "")
        assert health.measurements["retries"] == 0
        assert health.measurements["echo_ms"] < 50


@pytest.mark.parametrize("fault", ["echo_wrong", "firmware_answer_wrong"])
def test_wrong_answers_are_diagnosed_by_name(reading: Reading, fault: str) -> None:
    reading.ready()
    reading.chip.fault(fault)
    health = reading.run(reading.reader.check_health())
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, fault, E_FAILURE)


def test_a_chip_of_another_kind_has_no_firmware_version(reading: Reading) -> None:
    reading.ready()
    reading.chip.fault("firmware_answer_wrong")
    assert reading.error_of(reading.reader.firmware_version()).code == E_FAILURE


def test_a_broken_antenna_is_found_at_the_external_level_only(reading: Reading) -> None:
    reading.ready()
    reading.chip.fault("antenna_broken")
    assert reading.run(reading.reader.check_health(CH_INTERNAL)).outcome == HEALTH_SUCCESS
    health = reading.run(reading.reader.check_health(CH_EXTERNAL))
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "antenna")


@pytest.mark.parametrize("fault", ["field_weak", "antenna_broken"])
def test_without_a_field_no_card_is_found(reading: Reading, fault: str) -> None:
    reading.ready()
    reading.chip.fault(fault)
    reading.chip.insert_card(PaymentCard())
    assert reading.run(reading.reader.find_card(300)) is False


def test_a_noisy_field_makes_the_card_unreadable(reading: Reading) -> None:
    reading.with_card()
    reading.chip.fault("crc_errors")
    error = reading.error_of(reading.reader.exchange(SELECT_PPSE))
    assert (error.extended, error.cause) == (ESC_READ, "card_unreadable")


@pytest.mark.parametrize("at_boot", [True, False])
def test_a_dead_chip_gives_no_answer(reading: Reading, at_boot: bool) -> None:
    if not at_boot:
        reading.ready()
    reading.chip.fault("no_answer")
    health = reading.failed_bring_up() if at_boot else reading.run(reading.reader.check_health())
    code = E_NOHARDWARE if isinstance(reading.chip, Pn532Chip) else E_TIMEOUT
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", code)
    assert reading.time.now_ms() < 3000


@pytest.mark.parametrize("at_boot", [True, False])
def test_garbled_frames_are_told_from_silence(reading: Reading, at_boot: bool) -> None:
    if not at_boot:
        reading.ready()
    reading.chip.fault("garbled_frames")
    health = reading.failed_bring_up() if at_boot else reading.run(reading.reader.check_health())
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "garbled_answer")


def test_frames_that_come_damaged_once_are_asked_for_again_and_counted(reading: Reading) -> None:
    reading.with_card()
    reading.chip.fault("flaky_frames")
    assert reading.run(reading.reader.exchange(SELECT_PPSE))[-2:] == b"\x90\x00"
    health = reading.run(reading.reader.check_health())
    assert health.outcome == HEALTH_SUCCESS
    assert health.measurements["retries"] == 2  # the echo and the version: what was before is not the check's
    health = reading.run(reading.reader.check_health(CH_EXTERNAL))
    assert (health.outcome, health.measurements["retries"]) == (HEALTH_SUCCESS, 3)


@pytest.mark.parametrize("at_boot", [True, False])
@pytest.mark.parametrize("fault", sorted(I2cBus.FAULTS))
def test_each_fault_of_the_i2c_wires_is_named_in_limited_time(fault: str, at_boot: bool) -> None:
    reading = Reading() if at_boot else Reading().ready()
    reading.bench.bus_fault("reader_bus", fault)
    health = reading.failed_bring_up() if at_boot else reading.run(reading.reader.check_health())
    assert (health.outcome, health.cause) == (HEALTH_FAIL, I2cBus.FAULTS[fault].cause)
    assert "retries" in health.measurements
    assert reading.time.now_ms() < 5000
    reading.bench.bus_fault("reader_bus", fault, on=False)
    reading.run(reading.reader.enable())
    assert reading.run(reading.reader.check_health()).outcome == HEALTH_SUCCESS


@pytest.mark.parametrize("fault", ["silence", "stuck_line", "garbage"])
def test_each_fault_of_the_serial_line_is_named_in_limited_time(fault: str) -> None:
    reading = Reading("uart")
    reading.bench.bus_fault("printer_line", fault)
    health = reading.failed_bring_up()
    assert health.outcome == HEALTH_FAIL
    assert health.cause == UartLine.FAULTS[fault].cause
    assert reading.time.now_ms() < 5000


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_single_wrong_bits_end_in_a_verdict_in_limited_time(transport: str) -> None:
    reading = Reading(transport)
    reading.bring_up(reading.reader)
    reading.bench.bus_fault("reader_bus" if transport == "i2c" else "printer_line", "flipped_bits")
    for _ in range(30):
        begun_ms = reading.time.now_ms()
        health = reading.run(reading.reader.check_health())
        assert health.outcome in (HEALTH_SUCCESS, HEALTH_FAIL)
        assert bool(health.cause) == (health.outcome == HEALTH_FAIL)
        assert reading.time.now_ms() - begun_ms < 3000


class BabblingUart:
    """Every millisecond a byte that means nothing."""

    def __init__(self, wired: Wired) -> None:
        self._wired = wired

    def write(self, data: bytes) -> int:
        return len(data)

    def readinto(self, buffer: bytearray) -> int:
        self._wired.time.advance(1)
        buffer[0] = 0x5A
        return 1


def test_a_serial_line_that_babbles_does_not_hold_the_driver() -> None:
    reading = Reading("uart")
    reading.reader = Pn532(Pn532OverUart(BabblingUart(reading), reading.clock), reading.clock)
    assert reading.failed_bring_up().outcome == HEALTH_FAIL
    assert reading.time.now_ms() < 30000


def test_a_command_the_chip_does_not_know_is_told_by_its_error_frame(reading: Reading) -> None:
    reading.ready()
    error = reading.error_of(reading.reader._command(0x99, b"", 200))
    assert error.code == E_FAILURE
    assert "not taken" in error.detail


def test_the_chips_own_frames_are_those_of_the_user_manual() -> None:
    """ACK, the answer to GetFirmwareVersion, and the error frame, as they lie on the wire."""
    chip = Pn532UartChip(lambda: 0)
    said = bytearray()
    chip.send = said.extend
    chip.receive(bytes.fromhex("0000FF05FBD4140114010200"))
    assert said.hex().upper() == "0000FF00FF00" + "0000FF02FED5151600"
    said.clear()
    chip.receive(bytes.fromhex("0000FF02FED4022A00"))
    assert said.hex().upper() == "0000FF00FF00" + "0000FF06FAD50332010607E800"
    said.clear()
    chip.receive(frame(0x99, b""))
    assert said.hex().upper() == "0000FF00FF00" + "0000FF01FF7F8100"


def test_a_short_answer_is_read_in_a_short_transaction() -> None:
    reading = Reading().ready()
    reading.run(reading.reader.firmware_version())
    assert reading.i2c_tap.longest_read <= 80
