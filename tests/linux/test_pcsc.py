"""The PC/SC driver on a real pcscd: cards, cards torn out, cards that say nothing, a service that comes and goes, a reader that does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_agent.selftest.diagnosis import cause_named
from hal.card_reader import CONTRACT
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS
from hal.drivers.linux.pcsc import Pcsc, version_text
from hal.errors import (
    E_BUSY,
    E_DISABLED,
    E_EXTENDED,
    E_FAILURE,
    E_ILLEGAL,
    E_NOHARDWARE,
    E_NOSERVICE,
    E_TIMEOUT,
    ESC_NO_CARD,
    ESC_READ,
    ESC_TORN,
    DeviceError,
)
from host_sim.chips.cards import BADGE_AID, PPSE, BadgeCard, Card, MuteCard, NoPpseCard, PaymentCard, StrictLeCard, TransitCard
from host_sim.linux.pcscd import PLACE, READER, Pcscd
from host_sim.linux.smart_card import SmartCardReader, contactless_atr
from tests.linux.support import bring_up, real_clock

pytestmark = [
    pytest.mark.needs("root"),
    pytest.mark.needs("pcscd"),
    pytest.mark.needs("vsmartcard-vpcd"),
    pytest.mark.needs("iproute2"),
]

NAME_OF_SOCKET = "PCSCLITE_CSOCK_NAME"
NOBODY = 65534
LIMIT_S = 20.0
FIND_MS = 5000
SELECT_PPSE = bytes.fromhex("00A404000E") + PPSE + b"\x00"
ANSWER = PaymentCard().fci() + b"\x90\x00"
PAYS = """
import asyncio, sys
from hal.drivers.linux.pcsc import Pcsc
from tests.linux.support import bring_up, real_clock

async def pay():
    reader = Pcsc(clock=real_clock())
    await bring_up(reader)
    assert await reader.find_card(10000)
    return await reader.exchange(bytes.fromhex(sys.argv[1]))

print(asyncio.run(pay()).hex())
"""


class EchoCard(Card):
    """Answers each command with itself."""

    def transceive(self, apdu: bytes) -> bytes | None:
        return apdu[:256] + b"\x90\x00"


class Desk:
    """A reader and its pcscd, and the driver that finds them."""

    def __init__(self, folder: Path) -> None:
        self.slot = SmartCardReader(folder)
        self.reader = Pcsc(clock=real_clock(), **self.slot.section())  # type: ignore[arg-type]

    async def pay(self) -> bytes:
        """Find a card, and select its payment environment."""
        if not await self.reader.find_card(FIND_MS):
            raise AssertionError("no card found")
        return await self.reader.exchange(SELECT_PPSE)

    async def pays_in_the_end(self) -> None:
        """pcscd takes the next card for the one before until it has seen the slot empty."""
        answer = b""
        while answer != ANSWER:
            with contextlib.suppress(DeviceError):
                answer = await self.pay()

    async def error_of(self, action: Coroutine[Any, Any, object]) -> tuple[int, int, str]:
        with pytest.raises(DeviceError) as error:
            await action
        assert error.value.kind == "card_reader"
        assert error.value.detail
        return error.value.code, error.value.extended, error.value.cause

    async def health(self) -> tuple[str, str]:
        health = await self.reader.check_health()
        assert bool(health.detail) == (health.outcome == HEALTH_FAIL)
        return health.outcome, health.cause


@pytest.fixture(scope="session")
def link_of_this_process() -> Iterator[Path]:
    """libpcsclite asks once in its life where pcscd's socket is: there it finds a link, which each test points to its own."""
    with tempfile.TemporaryDirectory(prefix="pcsc-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "socket"


@pytest.fixture
def desk(tmp_path: Path, link_of_this_process: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(tmp_path)
    monkeypatch.setenv(NAME_OF_SOCKET, str(link_of_this_process))
    point_to(link_of_this_process, desk.slot.pcscd.socket)
    return desk


def point_to(link: Path, socket: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(socket)


@contextlib.asynccontextmanager
async def plugged_in(desk: Desk) -> AsyncIterator[None]:
    async with asyncio.timeout(LIMIT_S):
        await desk.slot.start()
        try:
            yield
        finally:
            desk.reader.close()
            await desk.slot.stop()


def run(desk: Desk, program: Callable[[], Coroutine[Any, Any, None]], *faults: str) -> None:
    """The program with the reader there, and the driver brought up, if that is possible with these faults."""

    async def main() -> None:
        for name in faults:
            desk.slot.fault(name)
        async with plugged_in(desk):
            with contextlib.suppress(DeviceError):
                await bring_up(desk.reader)
            await program()

    asyncio.run(main())


def test_the_driver_meets_the_contract(desk: Desk) -> None:
    assert CONTRACT.missing(desk.reader) == []
    assert desk.reader.level == 2


def test_nothing_is_touched_before_bring_up(desk: Desk) -> None:
    async def program() -> None:
        for call in (desk.reader.find_card(10), desk.reader.exchange(SELECT_PPSE), desk.reader.release_card()):
            assert await desk.error_of(call) == (E_DISABLED, 0, "")

    asyncio.run(program())
    assert not desk.slot.pcscd.socket.exists()


# Cards.


def test_cards_are_read_one_after_the_other(desk: Desk) -> None:
    async def program() -> None:
        for card, answer in ((NoPpseCard(), b"\x6a\x82"), (StrictLeCard(), ANSWER)):
            desk.slot.insert_card(card)
            assert await desk.pay() == answer
            await desk.reader.release_card()
            desk.slot.remove_card()
        assert await desk.reader.find_card(0) is False

    run(desk, program)


def test_apdus_reach_the_card_byte_for_byte_and_its_answers_come_back_so(desk: Desk) -> None:
    shortest, longest = b"\x00\xb0\x01\x02", bytes.fromhex("00D60000FF") + bytes(range(255)) + b"\x00"

    async def program() -> None:
        desk.slot.insert_card(EchoCard())
        assert await desk.reader.find_card(FIND_MS)
        for apdu in (shortest, SELECT_PPSE, longest):
            assert await desk.reader.exchange(apdu) == apdu[:256] + b"\x90\x00"
        assert desk.slot.apdus == [shortest, SELECT_PPSE, longest]
        for wrong in (shortest[:3], longest + b"\x00"):
            assert await desk.error_of(desk.reader.exchange(wrong)) == (E_ILLEGAL, 0, "")

    run(desk, program)


def test_the_longest_answer_comes_whole(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        assert await desk.pay() == bytes(range(256)) + b"\x90\x00"

    run(desk, program, "long_answers")


def test_over_t0_an_answer_is_fetched_and_le_is_not_sent(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        assert await desk.pay() == ANSWER
        fetch = bytes.fromhex("00C00000") + bytes([len(ANSWER) - 2])
        assert desk.slot.apdus == [SELECT_PPSE[:-1], fetch]

    run(desk, program, "contact_cards")


def test_over_t0_the_longest_answer_comes_whole(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        assert await desk.pay() == bytes(range(256)) + b"\x90\x00"
        assert desk.slot.apdus[-1] == bytes.fromhex("00C0000000")

    run(desk, program, "contact_cards", "long_answers")


def test_over_t0_a_length_that_was_wrong_is_asked_for_anew(desk: Desk) -> None:
    badge = bytes(range(200))

    async def program() -> None:
        desk.slot.insert_card(BadgeCard(badge, b"\x01" * 32))
        assert await desk.reader.find_card(FIND_MS)
        select = bytes([0x00, 0xA4, 0x04, 0x00, len(BADGE_AID)]) + BADGE_AID
        assert await desk.reader.exchange(select) == b"\x90\x00"
        assert await desk.reader.exchange(bytes.fromhex("00CA7F2100")) == badge + b"\x90\x00"
        assert desk.slot.apdus == [select, bytes.fromhex("00CA7F2100"), bytes.fromhex("00CA7F21C8")]

    run(desk, program, "contact_cards")


def test_over_t0_a_command_without_data_has_a_length_of_zero(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        assert await desk.reader.find_card(FIND_MS)
        assert await desk.reader.exchange(bytes.fromhex("00B00000")) == b"\x6d\x00"
        assert desk.slot.apdus == [bytes.fromhex("00B0000000")]

    run(desk, program, "contact_cards")


def test_a_card_that_announces_more_and_more_comes_to_the_end_of_the_time(desk: Desk) -> None:
    class Endless(Card):
        def transceive(self, apdu: bytes) -> bytes | None:
            return b"\x61\x00"

    async def program() -> None:
        desk.slot.insert_card(Endless())
        assert await desk.reader.find_card(FIND_MS)
        assert (await desk.error_of(desk.reader.exchange(SELECT_PPSE, 200)))[0] == E_TIMEOUT

    run(desk, program, "contact_cards")


def test_an_answer_longer_than_the_contract_allows_is_unreadable(desk: Desk) -> None:
    class Talker(Card):
        def transceive(self, apdu: bytes) -> bytes | None:
            return bytes(257) + b"\x90\x00"

    async def program() -> None:
        desk.slot.insert_card(Talker())
        assert await desk.error_of(desk.pay()) == (E_EXTENDED, ESC_READ, "card_unreadable")

    run(desk, program)


def test_a_memory_card_is_told_from_one_that_pays(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(TransitCard())
        assert await desk.error_of(desk.pay()) == (E_EXTENDED, ESC_READ, "not_a_payment_card")
        assert desk.slot.apdus == []

    run(desk, program)


def test_the_atr_of_contactless_cards_is_what_readers_give() -> None:
    assert contactless_atr(TransitCard()).hex().upper() == "3B8F8001804F0CA000000306030001000000006A"
    assert contactless_atr(PaymentCard()).hex().upper() == "3B8180018080"


def test_no_card_within_the_time_is_no_card(desk: Desk) -> None:
    async def program() -> None:
        start = asyncio.get_running_loop().time()
        assert await desk.reader.find_card(700) is False
        assert 0.7 <= asyncio.get_running_loop().time() - start < 3
        assert await desk.error_of(desk.reader.exchange(SELECT_PPSE)) == (E_EXTENDED, ESC_NO_CARD, "no_card")

    run(desk, program)


def test_a_card_that_comes_while_it_is_waited_for_is_found(desk: Desk) -> None:
    async def program() -> None:
        waits = asyncio.create_task(desk.reader.find_card(FIND_MS))
        await asyncio.sleep(0)
        desk.slot.insert_card(PaymentCard())  # by the loop that the wait may not hold up
        assert await waits
        assert await desk.reader.exchange(SELECT_PPSE) == ANSWER

    run(desk, program)


def test_a_released_card_has_to_be_found_again_and_stays_in_the_slot(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        await desk.pay()
        await desk.reader.release_card()
        await desk.reader.release_card()
        assert await desk.error_of(desk.reader.exchange(SELECT_PPSE)) == (E_EXTENDED, ESC_NO_CARD, "no_card")
        assert await desk.pay() == ANSWER

    run(desk, program)


# Cards that fail.


@pytest.mark.parametrize("answered", [0, 1])
def test_a_card_torn_out_in_the_middle_is_torn_and_the_next_one_is_read(desk: Desk, answered: int) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        desk.slot.tear_off(answered)
        assert await desk.reader.find_card(FIND_MS)
        for _ in range(answered):
            assert await desk.reader.exchange(SELECT_PPSE) == ANSWER
        assert await desk.error_of(desk.reader.exchange(SELECT_PPSE)) == (E_EXTENDED, ESC_TORN, "card_torn")
        assert await desk.error_of(desk.reader.exchange(SELECT_PPSE)) == (E_EXTENDED, ESC_NO_CARD, "no_card")
        desk.slot.insert_card(PaymentCard())
        assert await desk.pay() == ANSWER

    run(desk, program)


def test_a_card_taken_out_between_two_commands_is_torn(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        await desk.pay()
        desk.slot.remove_card()
        assert await desk.error_of(desk.reader.exchange(SELECT_PPSE)) == (E_EXTENDED, ESC_TORN, "card_torn")

    run(desk, program)


def test_a_card_that_has_just_gone_is_not_found(desk: Desk) -> None:
    """pcscd has not seen it yet: it looks at the slot every 400 ms."""

    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        await desk.pay()
        await desk.reader.release_card()
        desk.slot.remove_card()
        assert await desk.reader.find_card(100) is False

    run(desk, program)


def test_a_mute_card_is_silent_with_a_sound_reader(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(MuteCard())
        assert await desk.error_of(desk.pay()) == (E_TIMEOUT, 0, "card_silent")
        assert await desk.health() == (HEALTH_SUCCESS, "")

    run(desk, program)


def test_a_card_that_keeps_even_the_reader_waiting_is_silent_and_the_reader_is_found_again(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.waiting_s = 2.0
        desk.slot.insert_card(MuteCard())
        assert await desk.reader.find_card(FIND_MS)
        assert await desk.error_of(desk.reader.exchange(SELECT_PPSE, 300)) == (E_TIMEOUT, 0, "card_silent")
        assert await desk.health() == (HEALTH_SUCCESS, "")
        desk.slot.insert_card(PaymentCard())
        await desk.pays_in_the_end()

    run(desk, program)


def test_a_card_that_loses_its_contacts_for_an_instant_is_silent(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        assert await desk.reader.find_card(FIND_MS)
        await desk.slot.wiggle()
        assert await desk.error_of(desk.reader.exchange(SELECT_PPSE)) == (E_TIMEOUT, 0, "card_silent")
        assert await desk.reader.exchange(SELECT_PPSE) == ANSWER

    run(desk, program)


def test_a_card_that_another_program_has_reset_is_busy(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        await desk.pay()
        other = Pcsc(clock=real_clock())
        await bring_up(other)
        assert await other.find_card(FIND_MS)
        await other.release_card()
        other.close()
        assert await desk.error_of(desk.reader.exchange(SELECT_PPSE)) == (E_BUSY, 0, "check_failed")
        assert await desk.pay() == ANSWER

    run(desk, program)


# Each fault of the model.

BY_CHECK = ("service_stopped", "unplugged")
STATUS = {"card_without_ppse": b"\x6a\x82", "card_refuses": b"\x67\x00"}


def test_every_fault_is_told_here_with_a_cause_that_the_agent_knows() -> None:
    for fault in SmartCardReader.FAULTS.values():
        assert cause_named(fault.cause)
        assert fault.seen
    assert not set(SmartCardReader.FAULTS) & set(SmartCardReader.HABITS)


@pytest.mark.parametrize("name", BY_CHECK)
@pytest.mark.parametrize("at_boot", [True, False])
def test_a_fault_of_the_reader_is_found_by_a_check_and_its_end_too(desk: Desk, name: str, at_boot: bool) -> None:
    cause = SmartCardReader.FAULTS[name].cause

    async def program() -> None:
        if at_boot:
            assert not desk.reader.enabled
        else:
            assert await desk.health() == (HEALTH_SUCCESS, "")
            desk.slot.fault(name)
        assert await desk.health() == (HEALTH_FAIL, cause)
        if not at_boot:
            code = {"service_down": E_NOSERVICE, "unplugged": E_NOHARDWARE}[cause]
            assert await desk.error_of(desk.reader.find_card(100)) == (code, 0, cause)
        desk.slot.fault(name, on=False)
        if at_boot:
            await desk.reader.enable()
        assert await desk.health() == (HEALTH_SUCCESS, "")
        desk.slot.insert_card(PaymentCard())
        assert await desk.pay() == ANSWER

    run(desk, program, *([name] if at_boot else []))


@pytest.mark.parametrize("name", sorted(set(SmartCardReader.FAULTS) - set(BY_CHECK)))
def test_a_fault_that_only_a_card_can_show_is_shown_by_one_and_no_check_guesses(desk: Desk, name: str) -> None:
    async def program() -> None:
        assert await desk.health() == (HEALTH_SUCCESS, "")
        desk.slot.insert_card(PaymentCard())
        cause = SmartCardReader.FAULTS[name].cause
        if name in STATUS:
            assert await desk.pay() == STATUS[name]
        elif cause == "no_card":
            assert await desk.reader.find_card(600) is False
        else:
            assert (await desk.error_of(desk.pay()))[2] == cause
        assert await desk.health() == (HEALTH_SUCCESS, "")

    run(desk, program, name)


# The service and its readers.


def test_a_service_that_has_crashed_is_down_and_a_new_one_is_found(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        await desk.pay()
        desk.slot.pcscd.kill()
        assert desk.slot.pcscd.socket.exists()
        assert (await desk.error_of(desk.reader.exchange(SELECT_PPSE)))[::2] == (E_NOSERVICE, "service_down")
        await desk.reader.release_card()  # what is gone is released
        assert await desk.health() == (HEALTH_FAIL, "service_down")
        desk.slot.pcscd.start()
        assert await desk.health() == (HEALTH_SUCCESS, "")

    run(desk, program)


def test_a_service_that_ends_while_a_card_is_waited_for_is_down(desk: Desk) -> None:
    async def program() -> None:
        waits = asyncio.create_task(desk.reader.find_card(FIND_MS))
        await asyncio.sleep(0)
        desk.slot.fault("service_stopped")
        assert (await desk.error_of(ended(waits)))[::2] == (E_NOSERVICE, "service_down")
        desk.slot.fault("service_stopped", on=False)
        desk.slot.insert_card(PaymentCard())
        assert await desk.pay() == ANSWER

    run(desk, program)


def test_a_service_that_hangs_holds_nobody_up_and_is_well_when_it_goes_on(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.insert_card(PaymentCard())
        await desk.pay()
        files = open_files(desk.slot.pcscd)
        os.kill(desk.slot.pcscd.process_id, signal.SIGSTOP)
        try:
            await until_stopped(desk.slot.pcscd.process_id)
            assert await desk.health() == (HEALTH_FAIL, "no_answer")
        finally:
            os.kill(desk.slot.pcscd.process_id, signal.SIGCONT)  # by the loop: were it held up, this would never come
        assert await desk.health() == (HEALTH_SUCCESS, "")
        assert await desk.pay() == ANSWER
        while open_files(desk.slot.pcscd) > files:  # of what was given up nothing is left
            await asyncio.sleep(0.01)

    run(desk, program)


def test_a_wait_that_is_cancelled_leaves_the_reader_usable(desk: Desk) -> None:
    async def program() -> None:
        waits = asyncio.create_task(desk.reader.find_card(FIND_MS))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        desk.slot.insert_card(PaymentCard())
        assert await desk.pay() == ANSWER

    run(desk, program)


def test_a_socket_that_this_user_may_not_open_is_no_permission(desk: Desk) -> None:
    async def program() -> None:
        desk.slot.pcscd.socket.chmod(0o600)
        for folder in (desk.slot.folder, *desk.slot.folder.parents):
            if not folder.stat().st_mode & 0o001:
                break
        else:
            raise AssertionError("anybody may go to the socket's folder")
        with as_nobody():
            assert await desk.error_of(bring_up(desk.reader)) == (E_FAILURE, 0, "no_permission")
            assert await desk.health() == (HEALTH_FAIL, "no_permission")
        await desk.reader.enable()
        assert await desk.health() == (HEALTH_SUCCESS, "")

    async def main() -> None:
        async with plugged_in(desk):
            await program()

    asyncio.run(main())


def test_a_socket_whose_mode_forbids_it_is_no_permission_and_says_who_may(desk: Desk, link_of_this_process: Path) -> None:
    """One in an open folder, as pcscd's is."""

    async def main() -> None:
        socket = link_of_this_process.parent / "closed"
        server = await asyncio.start_unix_server(lambda _, writer: writer.close(), socket)
        socket.chmod(0o660)
        point_to(link_of_this_process, socket)
        async with server:
            with as_nobody(), pytest.raises(DeviceError) as error:
                await bring_up(desk.reader)
            assert (error.value.code, error.value.cause) == (E_FAILURE, "no_permission")
            assert error.value.detail == f"{link_of_this_process} may be used by group root"
        desk.reader.close()

    asyncio.run(main())


def test_a_service_that_hangs_up_on_this_user_is_no_permission(desk: Desk, link_of_this_process: Path) -> None:
    """As pcscd does with whom polkit refuses (pcsc-lite, winscard_svc.c)."""

    async def main() -> None:
        socket = link_of_this_process.parent / "refusing"
        server = await asyncio.start_unix_server(lambda _, writer: writer.close(), socket)
        point_to(link_of_this_process, socket)
        async with server:
            assert await desk.error_of(bring_up(desk.reader)) == (E_FAILURE, 0, "no_permission")
        desk.reader.close()

    asyncio.run(main())


def test_the_reader_is_the_first_whose_name_has_the_part_that_was_given(desk: Desk) -> None:
    """vpcd's readers have two slots, which pcscd lists as two readers."""

    async def program() -> None:
        for part, name in (("", " 00 00"), (READER[:7], " 00 00"), ("00 01", " 00 01")):
            reader = Pcsc(clock=real_clock(), reader=part)
            await bring_up(reader)
            assert await reader.firmware_version() == READER + name
            reader.close()
        other = Pcsc(clock=real_clock(), reader="Another")
        with pytest.raises(DeviceError) as error:
            await bring_up(other)
        assert (error.value.code, error.value.cause) == (E_NOHARDWARE, "unplugged")
        assert "'Another'" in error.value.detail
        assert READER in error.value.detail
        other.close()

    run(desk, program)


def test_a_driver_that_is_closed_leaves_no_session(desk: Desk) -> None:
    async def main() -> None:
        async with plugged_in(desk):
            probed = open_files(desk.slot.pcscd)  # by the start, which may still be at its end
            for _ in range(3):
                await bring_up(desk.reader)
                desk.reader.close()
            while open_files(desk.slot.pcscd) > probed:
                await asyncio.sleep(0.01)
            await bring_up(desk.reader)
            assert await desk.health() == (HEALTH_SUCCESS, "")

    asyncio.run(main())


def test_the_version_of_a_reader_is_told_where_its_driver_does() -> None:
    assert version_text(b"") == ""
    assert version_text(bytes.fromhex("00000401")) == " 1.04"
    assert version_text(bytes.fromhex("00002005")) == " 5.20"


def test_two_terminals_have_a_reader_each(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def program() -> None:
        neighbour = SmartCardReader(tmp_path_factory.mktemp("neighbour"))
        await neighbour.start()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PAYS, SELECT_PPSE.hex(),
                cwd=Path(__file__).parents[2], env=os.environ | neighbour.environment(), stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            desk.slot.insert_card(PaymentCard())
            neighbour.insert_card(NoPpseCard())
            assert await desk.pay() == ANSWER
            output, _ = await process.communicate()
            assert output.split() == [b"6a82"]
            assert len(desk.slot.apdus) == len(neighbour.apdus) == 1
        finally:
            await neighbour.stop()
        assert await desk.pay() == ANSWER

    run(desk, program)


def test_nothing_is_left_of_a_pcscd_that_was_stopped(tmp_path: Path) -> None:
    pcscd = Pcscd(tmp_path)
    pcscd.start()
    process = pcscd.process_id
    pcscd.stop()
    assert not pcscd.is_running
    assert not Path(f"/proc/{process}").exists()
    assert not pcscd.socket.exists()
    assert not Path(PLACE, "pcscd.comm").exists()


def test_without_root_there_is_no_pcscd_and_one_line_says_so(tmp_path: Path) -> None:
    with as_nobody(), pytest.raises(PermissionError, match="needs root"):
        Pcscd(tmp_path).start()


def open_files(pcscd: Pcscd) -> int:
    """How many files the service has open: one for each session."""
    return len(list(Path(f"/proc/{pcscd.process_id}/fd").iterdir()))


async def until_stopped(process_id: int) -> None:
    """All threads of a process stand still: those that run when the signal is sent do so a little later."""
    threads = Path(f"/proc/{process_id}/task")
    async with asyncio.timeout(LIMIT_S):
        while any(stat.read_text().rpartition(")")[2].split()[0] != "T" for stat in threads.glob("*/stat")):
            await asyncio.sleep(0.01)


async def ended(task: asyncio.Task[bool]) -> bool:
    return await task


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """The rights of a user without any."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
