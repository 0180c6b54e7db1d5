"""The payment application against the payment host: the same bytes as pyiso8583's, no money in any case, causes, power cuts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import iso8583
import pytest

from hal.contract import Contract
from hal.device import HEALTH_NOT_RUN, HEALTH_SUCCESS
from hal.drivers.file_storage import FileStorage
from hal.drivers.iso8583 import Message, decode, encode
from hal.drivers.iso8583_payment import HEARD, Iso8583Payment
from hal.drivers.system_clock import SystemClock
from hal.errors import CH_EXTERNAL, CH_INTERNAL, E_ILLEGAL, E_NOEXIST, DeviceError
from hal.payment import CONTRACT
from host_sim.chips.flash import Flash as FlashOnChip
from host_sim.payment_application import PaymentApplication
from host_sim.payment_host import BATCH, HOST, MERCHANT, SPEC, TERMINAL, PaymentHost
from host_sim.platform import RealTime
from tests.core.parts import Flash, PowerCut

WAIT_MS = 5000
SOON_MS = 150  # where no answer comes


class NoRtc:
    def datetime(self, fields: Any = None) -> Any:
        return (2026, 11, 22, 6, 0, 0, 0, 0)


async def application(host: PaymentHost, flash: Flash | FileStorage, port: int = 0) -> Iso8583Payment:
    real_time = RealTime()
    clock = SystemClock(real_time, NoRtc(), real_time.sleep_ms)
    payment = Iso8583Payment(clock, flash)  # type: ignore[arg-type]  # in memory
    payment.open()
    payment.claim()
    await payment.enable()
    payment.configure(HOST, port or host.port, MERCHANT, TERMINAL)
    return payment


def run(program: Callable[[PaymentHost, Iso8583Payment, Flash], Awaitable[None]]) -> None:
    async def in_world() -> None:
        host, flash = PaymentHost(), Flash()
        await host.start()
        try:
            async with asyncio.timeout(30):
                await program(host, await application(host, flash), flash)
        finally:
            await host.stop()

    asyncio.run(in_world())


async def cause_of(asked: Awaitable[Any]) -> str:
    with pytest.raises(DeviceError) as error:
        await asked
    return error.value.cause


MESSAGES: list[tuple[str, dict[int, str | bytes], bool]] = [
    ("0800", {11: "000001", 41: TERMINAL, 42: MERCHANT, 60: "00000001003"}, False),
    ("0820", {11: "999999", 41: TERMINAL, 42: MERCHANT, 60: "00000007301"}, False),
    ("0200", {3: "000000", 4: "000000000001", 11: "000002", 22: "000", 25: "00", 49: "156", 60: "22000007000"}, True),
    ("0400", {3: "000000", 4: "000000000001", 11: "000002", 22: "012", 25: "00", 39: "98", 49: "156", 60: "22000007000"}, True),
    ("0810", {11: "000001", 12: "093005", 13: "1122", 32: "48021000", 37: "123456789012", 39: "00", 44: "A258", 48: "1" * 26}, False),
    ("0810", {39: "00", 60: "00000007003", 61: "12345", 62: bytes(range(40)), 63: "CUP"}, False),
]


@pytest.mark.parametrize(("mti", "fields", "is_test"), MESSAGES)
def test_the_bytes_are_those_of_pyiso8583(mti: str, fields: dict[int, str | bytes], is_test: bool) -> None:
    ours = encode(Message(mti, fields, is_test, 3))
    named = {str(number): value.hex().upper() if isinstance(value, bytes) else value for number, value in fields.items()}
    head = "6000030000" + "6031" + ("1" if is_test else "0") + "3" + "000000"
    theirs, _ = iso8583.encode({"h": head, "t": mti, **named}, SPEC)
    assert ours == bytes(theirs)
    assert decode(bytes(theirs)).fields == fields
    read, _ = iso8583.decode(ours, SPEC)
    assert {name: read[name] for name in named} == named and (read["h"], read["t"]) == (head, mti)


def test_sign_in_echo_and_a_sale_that_is_reversed() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        contract: Contract = CONTRACT
        assert contract.missing(payment) == []
        assert (await payment.test_sale(WAIT_MS)).code == "77"  # not signed in; and nothing is left of it
        assert payment.unfinished() == [] and host.sales == []
        assert str(await payment.sign_in(WAIT_MS)) == "0810 00"
        assert str(await payment.echo(WAIT_MS)) == "0830 00"
        answer = await payment.test_sale(WAIT_MS)
        assert answer.approved and answer.settled
        assert host.asked == ["0200", "0400", "0800", "0820", "0200", "0400"]
        assert len(host.sales) == 1 and host.objections() == [] and host.money == 0
        assert host.sales[0].is_test and not host.sales[0].card_fields
        assert payment.unfinished() == []
        assert any(BATCH.encode() in bytes(file) for file in flash.files.values())

    run(program)


REFUSALS = [
    ("merchant_unknown", "0810 03"),
    ("terminal_unknown", "0810 97"),
    ("terminal_not_allowed", "0810 58"),
    ("contract_ended", "0810 03 A258"),
    ("merchant_blacklisted", "0810 03 A658"),
    ("terminal_blacklisted", "0810 58 A758"),
    ("out_of_step", "0810 77"),
    ("busy", "0810 96"),
    ("day_end", "0810 90"),
    ("network_down", "0810 91"),
]


@pytest.mark.parametrize(("fault", "told"), REFUSALS)
def test_what_the_host_refuses_is_answered_as_it_said_it(fault: str, told: str) -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        host.fault(fault)
        assert str(await payment.sign_in(WAIT_MS)) == told

    run(program)


def test_requirements_and_totals_are_told() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        for habit, requirements in (("wants_state", (2, 2)), ("wants_sign_in", (3, 0))):
            host.fault(habit)
            assert ((await payment.sign_in(WAIT_MS)).requirement, (await payment.sign_in(WAIT_MS)).requirement) == requirements
            host.fault(habit, on=False)
        assert payment.totals() is None
        host.fault("busy_day")
        await payment.echo(WAIT_MS)
        totals = payment.totals()
        assert totals is not None and vars(totals) == {"single": 480000, "daily": 950000, "card_changes": 1}
        host.fault("busy_day", on=False)
        host.totals = "000000000005"
        await payment.echo(WAIT_MS)
        assert (totals := payment.totals()) is not None and (totals.single, totals.daily) == (5, 0)

    run(program)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("unreachable", "payment_unreachable"), ("silent", "payment_silent"), ("late", "payment_silent"), ("garbage", "payment_garbled")],
)
def test_a_host_that_does_not_answer_has_its_cause_and_a_sale_is_not_forgotten(fault: str, cause: str) -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        assert (await payment.sign_in(WAIT_MS)).approved
        host.fault(fault)
        limit_ms = SOON_MS if cause == "payment_silent" else WAIT_MS
        assert await cause_of(payment.echo(limit_ms)) == cause
        health = await payment.check_health(CH_EXTERNAL) if cause != "payment_silent" else None
        assert health is None or health.cause == cause
        assert await cause_of(payment.test_sale(limit_ms)) == cause
        if fault == "unreachable":
            assert payment.unfinished() == [] and host.sales == []  # nothing of it was sent
            return
        (unfinished,) = payment.unfinished()
        assert (unfinished.amount, unfinished.reference) == (1, host.sales[0].trace)
        host.fault(fault, on=False)
        assert (await payment.settle(unfinished.reference, WAIT_MS)).settled
        assert payment.unfinished() == [] and host.objections() == []
        with pytest.raises(DeviceError) as error:
            await payment.settle(unfinished.reference, WAIT_MS)
        assert error.value.code == E_NOEXIST

    run(program)


def test_no_power_cut_between_sale_and_reversal_forgets_the_sale() -> None:
    """At every write of the journal, whatever of it stays."""

    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        await payment.sign_in(WAIT_MS)
        outcomes = set()
        for keep_bytes in (0, 10, 10000):
            for write in (1, 2):
                flash.cut(write, keep_bytes)
                with pytest.raises(PowerCut):
                    await payment.test_sale(WAIT_MS)
                flash.power_up()
                payment = await application(host, flash)
                for unfinished in payment.unfinished():
                    assert (answer := await payment.settle(unfinished.reference, WAIT_MS)).settled
                    outcomes.add(answer.code)
                assert host.objections() == [] and payment.unfinished() == []
        assert outcomes == {"00", "25"}  # the second: it was begun, and not sent

    run(program)


def test_a_reversal_that_is_not_answered_is_made_good_after_a_restart() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        await payment.sign_in(WAIT_MS)
        host.fault("drops_sales")
        assert await cause_of(payment.test_sale(WAIT_MS)) == "payment_silent"
        assert await cause_of(payment.test_sale(WAIT_MS)) == "payment_silent"
        assert host.money == 2 and len(host.objections()) == 2
        host.fault("drops_sales", on=False)
        again = await application(host, flash)
        health = await again.check_health(CH_INTERNAL)
        assert health.measurements == {"unfinished": 2}
        for unfinished in again.unfinished():
            await again.settle(unfinished.reference, WAIT_MS)
        assert again.unfinished() == [] and host.objections() == [] and host.money == 0

    run(program)


def test_a_sale_that_comes_after_its_reversal_is_not_booked() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        await payment.sign_in(WAIT_MS)
        fields: dict[int, str | bytes] = {4: "000000000001", 11: "000055", 41: TERMINAL, 42: MERCHANT, 60: "22000007000"}
        codes = []
        for mti in ("0400", "0200"):
            answer = await host.answer_to(encode(Message(mti, fields, True)))
            assert answer is not None
            codes.append(decode(answer).text(39))
        assert codes == ["25", "94"] and host.sales == []

    run(program)


def test_a_sale_that_cannot_be_written_down_is_not_sent() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        await payment.sign_in(WAIT_MS)
        flash.broken = True
        assert await cause_of(payment.test_sale(WAIT_MS)) == "payment_journal"
        assert host.asked == ["0800"] and payment.unfinished() == []

    run(program)


def test_two_that_ask_at_once_are_answered_one_after_the_other() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        answers = await asyncio.gather(payment.sign_in(WAIT_MS), payment.echo(WAIT_MS), payment.echo(WAIT_MS))
        assert [str(answer) for answer in answers] == ["0810 00", "0830 00", "0830 00"]

    run(program)


def told(payment: Iso8583Payment) -> list[tuple[str, str, str, int, int]]:
    return [(answer.asked, answer.code, answer.sub_code, answer.requirement, answer.card) for answer in payment.heard()]


def test_what_the_host_answers_the_application_beside_it_is_heard_once_and_card_by_card(tmp_path: Path) -> None:
    """By what the application writes, which is handed over in pieces, as a storage may give it."""

    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        beside = PaymentApplication(host)
        assert payment.heard() == []
        await payment.sign_in(WAIT_MS)
        assert await beside.pay(1, tmp_path) == "00" and len(host.sales) == 1 and "2" in host.sales[0].card_fields
        host.fault("merchant_unknown")
        for card in (1, 2, 2):
            assert await beside.pay(card, tmp_path) == "03"
        written = (tmp_path / HEARD).read_bytes()
        heard = []
        for begins in range(0, len(written), 7):
            flash.append(HEARD, written[begins : begins + 7])
            heard += told(payment)
        assert [answer[:4] for answer in heard] == [("0200", code, "", 0) for code in ("00", "03", "03", "03")]
        cards = [answer[4] for answer in heard]
        assert cards[0] == cards[1] != cards[2] == cards[3] and 0 not in cards
        assert b"999999" not in written  # no number of a card
        assert payment.heard() == []

    run(program)


def test_what_was_told_before_the_start_is_past_and_a_file_begun_anew_is_read_from_its_beginning() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        flash.append(HEARD, b"0200 03 - 0 1\n" * 3)
        assert payment.heard() == []
        flash.append(HEARD, b"0800 03 A258 2 0\n")
        assert told(payment) == [("0800", "03", "A258", 2, 0)]
        flash.remove(HEARD)
        flash.append(HEARD, b"0200 58 - 0 9\n")
        assert told(payment) == [("0200", "58", "", 0, 9)]
        flash.remove(HEARD)
        assert payment.heard() == []
        flash.append(HEARD, b"0200 97 - 0 4\n")
        assert told(payment) == [("0200", "97", "", 0, 4)]

    run(program)


def test_a_line_that_says_nothing_and_one_without_an_end_stop_nobody() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        assert payment.heard() == []
        for line in (b"", b"0200 03", b"0200 03 - 0 x", b"0400 00 - 0 1", b"\xff\xfe - 0 1 1", b"9" * 2000):
            flash.append(HEARD, line + b"\n")
        flash.append(HEARD, b"0200 03 - 0 5\n")
        heard = []
        for _ in range(8):
            heard += told(payment)
        assert heard == [("0200", "03", "", 0, 5)]

    run(program)


def test_a_storage_that_does_not_answer_delays_what_is_heard() -> None:
    async def program(host: PaymentHost, _: Iso8583Payment, __: Flash) -> None:
        chip = FlashOnChip()
        payment = await application(host, FileStorage(chip))
        chip.append(HEARD, b"0200 03 - 0 4\n")
        assert payment.heard() == []
        chip.append(HEARD, b"0200 03 - 0 5\n")
        chip.fault("dead")
        assert payment.heard() == []
        chip.fault("dead", on=False)
        assert told(payment) == [("0200", "03", "", 0, 5)]

    run(program)


def test_an_application_that_is_not_configured_is_no_failure_and_sends_nothing() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        payment.configure("", 0, "", "")
        assert not payment.is_configured and payment.unfinished() == [] and payment.heard() == []
        for level in (CH_INTERNAL, CH_EXTERNAL):
            health = await payment.check_health(level)
            assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "not_configured")
        with pytest.raises(DeviceError) as error:
            await payment.sign_in(WAIT_MS)
        assert error.value.code == E_ILLEGAL and host.asked == []
        payment.configure(HOST, host.port, MERCHANT, TERMINAL)
        for level in (CH_INTERNAL, CH_EXTERNAL):
            assert (await payment.check_health(level)).outcome == HEALTH_SUCCESS
        assert host.asked == ["0820"]  # the internal check stays in the terminal

    run(program)


def test_no_wait_is_without_a_limit() -> None:
    async def program(host: PaymentHost, payment: Iso8583Payment, flash: Flash) -> None:
        host.fault("silent")
        began = time.monotonic()
        assert await cause_of(payment.sign_in(SOON_MS)) == "payment_silent"
        assert await cause_of(payment.test_sale(SOON_MS)) == "payment_silent"
        assert time.monotonic() - began < 5

    run(program)
