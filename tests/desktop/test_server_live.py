"""Terminals on the desktop that are switched on: what people do to them, what pages are told, and what does not disturb what."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from firmware_agent.screens.qr import LEVEL_M, qr_code
from tests.desktop.sim_desk import Desk, OneTerminal, desk


@pytest.fixture(scope="module")
def a_desk() -> Iterator[Desk]:
    with desk() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(a_desk: Desk) -> OneTerminal:
    """In service; whoever uses it leaves it so."""
    terminal = a_desk.terminal()
    terminal.starts()
    return terminal


def colours(terminal: OneTerminal) -> int:
    return len(Image.open(io.BytesIO(terminal.get("/display.png").content)).getcolors() or ())


def comes_back(terminal: OneTerminal, after: int) -> None:
    """A broker that ended said of nobody that he went: only what is said anew tells that it is there."""
    terminal.until(lambda: terminal.messages(after, kind="state", verdict="verified") and terminal.account()["online"], "online again")


# What a person does.


def test_a_key_is_tapped_and_held(shared: OneTerminal) -> None:
    shared.do("press", "help")
    shared.sees("menu")
    shared.do("hold", "cancel")
    shared.do("let_go", "cancel")
    shared.sees("idle")


def test_what_breaks_shows_at_once_and_is_told(shared: OneTerminal) -> None:
    assert colours(shared) > 1
    with shared.desk.page() as page:
        page.until("snapshot")
        shared.do("fault", {"device": "display", "name": "dead_backlight"})
        page.until("display", lambda data: data["id"] == shared.id)
        document = page.until("terminal", lambda data: data["id"] == shared.id)
    assert [fault["name"] for fault in document["faults"] if fault["on"]] == ["dead_backlight"]
    assert colours(shared) == 1
    shared.do("fault", {"device": "display", "name": "dead_backlight", "on": "no"})
    assert colours(shared) > 1


def test_cards_and_codes_are_told_for_as_long_as_they_are_there(shared: OneTerminal) -> None:
    shared.do("card", "payment")
    shared.do("code", "6901234567892")
    document = shared.document()
    assert (document["card"], document["code"]) == ("payment", "6901234567892")
    shared.do("remove_card")
    shared.on_the_bench["scanner"].take_away()
    document = shared.document()
    assert (document["card"], document["code"]) == ("", "")


def test_a_slip_is_seen_and_its_text_and_qr_code_are_read(shared: OneTerminal) -> None:
    printer = shared.on_the_bench["printer"]
    slips = shared.document()["slips"]
    code = qr_code("HTTPS://EXAMPLE.COM/REINSTATE", LEVEL_M)
    printer.receive(b"\x1b@NO VALUE\n")
    for rows, bits in code.strips(printer.width_dots, 4):
        printer.receive(b"\x1dv0\x00" + (printer.width_dots // 8).to_bytes(2, "little") + rows.to_bytes(2, "little") + bits)
    shared.until(lambda: shared.document()["slips"] == slips + 1, "a slip")
    assert shared.get(f"/slips/{slips}").json() == {"codes": ["HTTPS://EXAMPLE.COM/REINSTATE"], "text": ["NO VALUE"]}
    picture = Image.open(io.BytesIO(shared.get(f"/slips/{slips}.png?lines=1").content))
    assert picture.size == (printer.width_dots, shared.document()["lines"])
    shared.do("tear_off")
    assert not printer.slip().items


def test_the_network_is_slowed_and_cut(shared: OneTerminal) -> None:
    shared.do("latency", 120)
    assert shared.document()["uplink"] == {"up": True, "latency_ms": 120}
    shared.do("latency", 0)
    shared.do("uplink", "cut")
    assert not shared.document()["uplink"]["up"]
    shared.until(lambda: not shared.account()["online"], "offline")
    shared.do("uplink", "restore")
    shared.until(lambda: shared.account()["online"], "online")


def test_the_clock_jumps_and_the_next_signed_time_puts_it_right(a_desk: Desk) -> None:
    terminal = a_desk.terminal()
    terminal.starts()
    terminal.do("cut_power")  # else it may be right again before anybody looks
    clock = terminal.on_the_bench["clock"]
    before = clock.wall_s()
    terminal.do("clock", -7200)
    assert -7200 <= clock.wall_s() - before < -7100
    terminal.do("boot")
    terminal.until(lambda: 0 <= clock.wall_s() - before < 300, "the right time")
    a_desk.client.delete(terminal.path)


# Messages.


def test_a_message_is_shown_to_its_last_byte(shared: OneTerminal) -> None:
    line = shared.messages(kind="state", verdict="verified")[0]
    message = shared.get(f"/messages/{line['number']}").json()
    ends = [0]
    for part in message["parts"]:
        assert part["at"] == ends[-1]
        ends.append(part["at"] + part["length"])
    assert ends[-1] == len(message["hex"]) // 2 == line["bytes"]
    assert message["topic"] == f"poi/v1/acq1/{shared.id}/state" and message["signed_by"]


def test_an_order_is_sent_until_its_receipt_says_verified(shared: OneTerminal) -> None:
    before = shared.newest
    shared.do("order", {"action": "revoke_badge", "badge": "T-0099"})
    shared.until(lambda: shared.messages(before, kind="order", verdict="verified"), "a verified order")
    (order,) = shared.messages(before, kind="order", verdict="verified")
    assert order["direction"] == "down"
    sent = bytes.fromhex(shared.get(f"/messages/{order['number']}").json()["hex"])
    name = hashlib.sha256(sent).hexdigest()[:32]
    assert [receipt["result"] for receipt in shared.account()["receipts"] if receipt["of"] == name] == ["SUCC"]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_message_of_which_one_bit_is_turned_is_refused(shared: OneTerminal, direction: str) -> None:
    kind = {"up": "state", "down": "order"}[direction]
    if direction == "down":
        shared.do("order", {"action": "revoke_badge", "badge": "T-0098"})
    shared.until(lambda: shared.messages(kind=kind, verdict="verified"), kind)
    original = shared.get(f"/messages/{shared.messages(kind=kind, verdict='verified')[-1]['number']}").json()
    state = shared.account()["mode"]
    answer = shared.desk.client.post(f"{shared.path}/messages/{original['number']}/altered", json={"at": original["bytes"] - 1, "bit": 3})
    told = answer.json()
    assert (answer.status_code, told["verdict"]) == (200, "bad_signature")
    sent = bytearray.fromhex(original["hex"])
    sent[-1] ^= 8
    assert shared.get(f"/messages/{told['number']}").json()["hex"] == sent.hex()
    if direction == "down":
        assert told["receipt"]["refusal"] == "bad_signature"
        assert told["receipt"]["of"] == hashlib.sha256(sent).hexdigest()[:32]
    else:
        assert told["receipt"] is None
    assert shared.account()["mode"] == state


@pytest.mark.parametrize("change", [{"at": 4096}, {"at": -1}, {"at": 0, "bit": 8}, {"at": "0"}, {}, {"at": True}])
def test_a_bit_that_is_not_there_cannot_be_turned(shared: OneTerminal, change: dict[str, object]) -> None:
    answer = shared.desk.client.post(f"{shared.path}/messages/1/altered", json=change)
    assert answer.status_code == 422 and answer.json()["error"]


# What ends, and what comes back.


def test_the_power_goes_with_the_next_write_and_what_was_written_is_kept(a_desk: Desk) -> None:
    terminal = a_desk.terminal()
    terminal.starts()
    terminal.do("cut_power_after_write")
    terminal.do("order", {"action": "suspend", "reason": "violation"})
    terminal.until(lambda: not terminal.document()["on"], "off")
    assert (terminal.document()["failure"], terminal.document()["uplink"]["up"]) == ("", True)
    terminal.do("boot")
    terminal.sees("suspended")
    terminal.until(lambda: terminal.account()["receipts"], "the receipt")  # else the order goes to the device that comes, too
    terminal.do("factory_new")
    assert not terminal.document()["on"] and terminal.account()["mode"] == ""
    terminal.starts()
    assert terminal.account()["mode"] == "in_service"


def test_two_shops_at_one_acquirer_do_not_disturb_each_other(a_desk: Desk, shared: OneTerminal) -> None:
    other = a_desk.terminal(board="esp32_mpos", language="zh-CN")
    other.starts()
    heard = len(shared.messages(kind="order"))
    other.do("order", {"action": "suspend", "reason": "tamper"})
    other.do("uplink", "cut")
    other.until(lambda: not other.account()["online"], "the other one offline")
    assert shared.account()["online"] and shared.account()["mode"] == "in_service"
    other.do("uplink", "restore")
    other.until(lambda: other.account()["mode"] == "out_of_order", "the other one out of order")
    assert shared.account()["mode"] == "in_service" and len(shared.messages(kind="order")) == heard
    assert not [event for event in shared.account()["events"] if "tamper" in event["detail"]]
    a_desk.client.delete(other.path)
    assert shared.account()["online"]


def test_a_broker_that_dies_is_told_and_comes_back_by_itself(a_desk: Desk, shared: OneTerminal) -> None:
    async def die() -> None:
        broker = a_desk.session._backend.broker._broker  # type: ignore[union-attr]
        for server in broker._servers.values():  # type: ignore[union-attr]
            server.instance.close()

    before = shared.newest
    with a_desk.page() as page:
        page.until("snapshot")
        a_desk.call(die())
        page.until("acquirer", lambda data: data["broker"] == "died")
        page.until("acquirer", lambda data: data == {"connected": True, "broker": "running"})
    comes_back(shared, before)


def test_a_broker_that_is_stopped_stays_so_until_it_is_started(a_desk: Desk, shared: OneTerminal) -> None:
    before = shared.newest
    with a_desk.page() as page:
        page.until("snapshot")
        shared.do("broker", "stop")
        page.until("acquirer", lambda data: data == {"connected": False, "broker": "stopped"})
    shared.do("broker", "start")
    comes_back(shared, before)


@pytest.mark.needs("micropython")
def test_a_program_that_ends_is_told_once_and_can_be_started_again(a_desk: Desk) -> None:
    terminal = a_desk.terminal(runtime="micropython", board="esp32_mpos")
    main: Path = a_desk.session.terminals[terminal.id].terminal.device / "main.py"
    good = main.read_bytes()
    main.write_text("print('I cannot go on')\n")
    with a_desk.page() as page:
        page.until("snapshot")
        terminal.do("boot")
        failed = page.until("terminal", lambda data: bool(data["id"] == terminal.id and data["failure"]))
    assert not failed["on"] and "I cannot go on" in failed["failure"]
    main.write_bytes(good)
    terminal.starts()
    assert terminal.document()["failure"] == ""
    a_desk.client.delete(terminal.path)
