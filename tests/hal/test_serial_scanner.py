"""The scanner driver against the scanner model: codes, garbage, silence, and what is left switched on."""

from __future__ import annotations

import asyncio

import pytest

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS
from hal.drivers.serial_scanner import SerialScanner
from hal.errors import E_DISABLED, E_FAILURE, E_ILLEGAL, E_NOHARDWARE, E_TIMEOUT
from hal.scanner import CONTRACT
from host_sim.chips.serial_scanner import SerialScannerChip
from tests.hal.wired import TappedUart, Wired


class Scanning(Wired):
    """answers_revision: what the board knows of its scanner."""

    def __init__(self, answers_revision: bool = False) -> None:
        super().__init__()
        chip = self.bench.chips["scanner"]
        assert isinstance(chip, SerialScannerChip)
        self.chip = chip
        self.uart_tap = TappedUart(self.uart("scanner_line"))
        self.scanner = SerialScanner(self.uart_tap, self.clock, answers_revision)

    def ready(self) -> Scanning:
        self.bring_up(self.scanner)
        self.uart_tap.sent.clear()
        return self


def test_the_driver_keeps_the_contract() -> None:
    assert CONTRACT.missing(Scanning().scanner) == []


def test_the_trigger_goes_on_and_off_by_the_commands_of_the_guide() -> None:
    scanning = Scanning().ready()
    scanning.chip.present("4006381333931")
    assert scanning.run(scanning.scanner.scan(1000)) == "4006381333931"
    assert bytes(scanning.uart_tap.sent) == b"\x16T\r\x16U\r"
    assert not scanning.chip.light


@pytest.mark.parametrize("code", ["1", "https://example.org/a?b=c#d", "\u652f\u4ed8\u7ec8\u7aef", "x" * 512, "two\nlines"])
def test_a_code_arrives_as_its_text(code: str) -> None:
    scanning = Scanning().ready()
    scanning.chip.present(code)
    assert scanning.run(scanning.scanner.scan(1000)) == code


def test_a_code_shown_later_is_read_while_the_light_is_on() -> None:
    scanning = Scanning().ready()

    def shown() -> None:
        assert scanning.chip.light
        scanning.chip.present("LATE")

    assert scanning.run(scanning.during(scanning.scanner.scan(5000), 3000, shown)) == "LATE"
    assert 3000 <= scanning.time.now_ms() < 3100


def test_no_code_is_none_after_the_time_and_the_light_is_off() -> None:
    scanning = Scanning().ready()
    assert scanning.run(scanning.scanner.scan(2000)) is None
    assert 2000 <= scanning.time.now_ms() < 2100
    assert bytes(scanning.uart_tap.sent).endswith(b"\x16U\r")
    scanning.chip.present("unseen")
    assert scanning.uart_tap.any() == 0


def test_a_cr_lf_suffix_leaves_nothing_for_the_next_code() -> None:
    scanning = Scanning().ready()

    async def two() -> list[str | None]:
        first = asyncio.ensure_future(scanning.scanner.scan(1000))
        await scanning.time.sleep_ms(10)
        scanning.chip.send(b"ONE\r")
        one = await first
        second = asyncio.ensure_future(scanning.scanner.scan(1000))
        await scanning.time.sleep_ms(10)
        scanning.chip.send(b"\nTWO\r\n")
        return [one, await second]

    assert scanning.run(two()) == ["ONE", "TWO"]


def test_a_code_scanned_before_anyone_asked_is_not_given() -> None:
    scanning = Scanning().ready()
    scanning.chip.send(b"STALE\r")
    scanning.chip.present("FRESH")
    assert scanning.run(scanning.scanner.scan(1000)) == "FRESH"


@pytest.mark.parametrize(
    ("sent", "why", "cause"),
    [
        (b"\xff\xfe\x80\r", "UTF-8", "garbled_answer"),
        (b"\xff\xfe\x80", "UTF-8", "garbled_answer"),
        (b"x" * 600 + b"\r", "512", "garbled_answer"),
        (b"x" * 513 + b"\r", "512", "garbled_answer"),
        (b"no end", "CR", "no_suffix"),
    ],
)
def test_what_is_no_code_is_a_failure_with_its_cause(sent: bytes, why: str, cause: str) -> None:
    scanning = Scanning().ready()

    def shown() -> None:
        for start in range(0, len(sent), 64):
            scanning.chip.send(sent[start : start + 64])

    error = scanning.error_of(scanning.during(scanning.scanner.scan(1000), 100, shown))
    assert (error.code, error.cause) == (E_FAILURE, cause)
    assert why in error.detail
    assert bytes(scanning.uart_tap.sent).endswith(b"\x16U\r")
    scanning.chip.present("next")
    assert scanning.run(scanning.scanner.scan(1000)) == "next"


def test_a_code_that_began_in_time_is_read_to_its_end() -> None:
    scanning = Scanning().ready()

    async def slow_line() -> str | None:
        scan = asyncio.ensure_future(scanning.scanner.scan(100))
        await scanning.time.sleep_ms(90)
        for byte in b"SLOW\r":
            scanning.chip.send(bytes([byte]))
            await scanning.time.sleep_ms(30)
        return await scan

    assert scanning.run(slow_line()) == "SLOW"


def test_a_cancelled_scan_switches_the_light_off() -> None:
    scanning = Scanning().ready()

    async def cancelled() -> None:
        scan = asyncio.ensure_future(scanning.scanner.scan(60000))
        await scanning.time.sleep_ms(50)
        assert scanning.chip.light
        scan.cancel()
        await asyncio.gather(scan, return_exceptions=True)

    scanning.run(cancelled())
    assert not scanning.chip.light


def test_bring_up_switches_off_a_light_that_a_crash_left_on() -> None:
    scanning = Scanning()
    scanning.uart_tap.write(b"\x16T\r")
    assert scanning.chip.light
    scanning.bring_up(scanning.scanner)
    assert not scanning.chip.light


@pytest.mark.parametrize("timeout_ms", [0, -1, 600001])
def test_a_time_out_of_range_is_refused(timeout_ms: int) -> None:
    scanning = Scanning().ready()
    assert scanning.error_of(scanning.scanner.scan(timeout_ms)).code == E_ILLEGAL


def test_no_scan_before_enable() -> None:
    scanning = Scanning()
    assert scanning.error_of(scanning.scanner.scan(100)).code == E_DISABLED


@pytest.mark.parametrize("answers_revision", [True, False])
def test_an_answer_to_the_revision_query_is_health(answers_revision: bool) -> None:
    scanning = Scanning(answers_revision).ready()
    health = scanning.run(scanning.scanner.check_health())
    assert health.outcome == HEALTH_SUCCESS
    assert "answer_ms" in health.measurements
    assert bytes(scanning.uart_tap.sent) == b"\x16M\rREVINF." * 2


def test_where_nobody_knows_whether_the_scanner_has_the_query_silence_is_not_failed_but_unknown() -> None:
    for without_query in (True, False):
        scanning = Scanning().ready()
        if without_query:
            scanning.rewire("scanner_line", SerialScannerChip(scanning.time.now_ms, answers_revision=False))
        else:
            scanning.chip.fault("silent")
        health = scanning.run(scanning.scanner.check_health())
        assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "no_answer")
        assert scanning.time.now_ms() < 1000


@pytest.mark.parametrize("fault", ["silent", "silence", "stuck_line"])
def test_a_scanner_that_by_the_boards_facts_answers_and_does_not_is_failed(fault: str) -> None:
    scanning = Scanning(answers_revision=True).ready()
    if fault == "silent":
        scanning.chip.fault(fault)
    else:
        scanning.bench.bus_fault("scanner_line", fault)
    health = scanning.run(scanning.scanner.check_health())
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", E_NOHARDWARE)


@pytest.mark.parametrize("fault", ["flipped_bits", "garbage"])
def test_a_noisy_line_is_never_healthy_where_the_scanner_should_answer(fault: str) -> None:
    scanning = Scanning(answers_revision=True).ready()
    scanning.bench.bus_fault("scanner_line", fault)
    causes = []
    for _ in range(100):
        health = scanning.run(scanning.scanner.check_health())
        assert health.outcome == HEALTH_FAIL
        causes.append(health.cause)
    assert causes.count("garbled_answer") > 95  # else no question came through


@pytest.mark.parametrize(("answer", "outcome"), [(b"REVINF\x05.", HEALTH_SUCCESS), (b"RE\xf6INF\x06.", HEALTH_FAIL)])
def test_any_plain_verdict_proves_the_line_of_an_unknown_scanner(answer: bytes, outcome: str) -> None:
    class Other(SerialScannerChip):
        def receive(self, data: bytes) -> None:
            self.send(answer)

    scanning = Scanning().ready()
    scanning.rewire("scanner_line", Other(scanning.time.now_ms))
    assert scanning.run(scanning.scanner.check_health()).outcome == outcome


def test_an_answer_whose_end_came_late_is_asked_for_again_when_all_is_quiet() -> None:
    scanning = Scanning(answers_revision=True).ready()
    send = scanning.chip.send
    late: list[bytes] = []

    def halting(data: bytes) -> None:
        send(data if late else data[:20])
        late.append(data[20:])

    scanning.chip.send = halting

    async def check() -> str:
        asked = asyncio.create_task(scanning.scanner.check_health())
        await scanning.clock.sleep_ms(600)
        send(late[0])
        return (await asked).outcome

    assert scanning.run(check()) == HEALTH_SUCCESS


def test_an_unknown_command_still_proves_the_line() -> None:
    scanning = Scanning().ready()
    scanning.uart_tap.write(b"\x16M\rXYZABC.")
    assert scanning.uart_tap.read(100) == b"XYZABC\x05."


@pytest.mark.parametrize("answers_revision", [True, False])
def test_noise_for_an_answer_is_garbled(answers_revision: bool) -> None:
    scanning = Scanning(answers_revision).ready()
    scanning.chip.fault("garbage")
    health = scanning.run(scanning.scanner.check_health())
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "garbled_answer", E_FAILURE)
    scanning.chip.present("CODE")
    assert scanning.error_of(scanning.scanner.scan(500)).cause == "garbled_answer"


@pytest.mark.parametrize("fault", ["silent", "no_light"])
def test_a_scanner_that_sees_nothing_gives_none(fault: str) -> None:
    scanning = Scanning().ready()
    scanning.chip.fault(fault)
    scanning.chip.present("CODE")
    assert scanning.run(scanning.scanner.scan(500)) is None


def test_a_code_without_its_suffix_is_a_failure_not_half_a_code() -> None:
    scanning = Scanning().ready()
    scanning.chip.fault("no_suffix")
    scanning.chip.present("CODE")
    assert scanning.error_of(scanning.scanner.scan(500)).cause == "no_suffix"


def test_a_line_held_low_is_no_code() -> None:
    scanning = Scanning().ready()

    def held() -> None:
        scanning.chip.send(bytes(20))

    assert scanning.run(scanning.during(scanning.scanner.scan(500), 100, held)) is None


def test_a_line_that_takes_nothing_is_a_timeout() -> None:
    scanning = Scanning().ready()
    scanning.uart_tap.most = 0
    assert scanning.error_of(scanning.scanner.scan(500)).code == E_TIMEOUT
