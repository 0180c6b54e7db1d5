"""The desktop simulator's server: who may ask it, what it answers, and what it says to what it cannot do."""

from __future__ import annotations

import asyncio
import datetime
import io
import struct
from collections.abc import Iterator

import pytest
from PIL import Image

from firmware_agent.state.reasons import REASON_KINDS
from firmware_agent.texts import LANGUAGES
from host_sim.desktop.hub import MOST_WAITING, Hub
from host_sim.desktop.server import STATIC
from host_sim.machine.machine import RTC_FORMAT, RTC_READ
from host_sim.scenarios.scenario import EXPECTS, VERBS
from tests.desktop.sim_desk import Desk, OneTerminal, desk


@pytest.fixture(scope="module")
def a_desk() -> Iterator[Desk]:
    with desk() as opened:
        yield opened


@pytest.fixture(scope="module")
def off(a_desk: Desk) -> OneTerminal:
    """A terminal that nobody switches on."""
    return a_desk.terminal()


# Who may ask.


def test_the_page_and_all_its_files_are_served(a_desk: Desk) -> None:
    page = a_desk.client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    for file in sorted(STATIC.iterdir()):
        answer = a_desk.client.get(f"/static/{file.name}")
        assert answer.status_code == 200 and answer.content == file.read_bytes()


@pytest.mark.parametrize("path", ["/", "/api/choices", "/nowhere", "/api/terminals/T0000099"])
def test_every_answer_binds_the_page_to_this_server(a_desk: Desk, path: str) -> None:
    headers = a_desk.client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' data:;")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:{port}", "localhost", ""])
def test_another_host_is_refused_however_it_resolves(a_desk: Desk, host: str) -> None:
    answer = a_desk.client.get("/api/choices", headers={"host": host.format(port=a_desk.port)})
    assert answer.status_code == 403 and "host" in answer.json()["error"]
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://localhost"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_another_pages_request_is_refused(a_desk: Desk, off: OneTerminal, origin: str, method: str) -> None:
    headers = {"origin": origin.format(port=a_desk.port)}
    answer = a_desk.client.request(method, off.path, headers=headers)
    assert answer.status_code == 403
    assert off.get().status_code == 200  # and it is still there


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_its_own_page_may_ask_by_either_name(a_desk: Desk, name: str) -> None:
    headers = {"host": f"{name}:{a_desk.port}", "origin": f"http://{name}:{a_desk.port}"}
    assert a_desk.client.get("/api/choices", headers=headers).status_code == 200


# What there is.


def test_the_choices_are_those_of_scenarios(a_desk: Desk) -> None:
    choices = a_desk.client.get("/api/choices").json()
    assert list(choices["verbs"]) == [verb for verb in VERBS if not verb.startswith(EXPECTS)]
    assert choices["verbs"]["boot"] is None
    assert choices["verbs"]["card"]["allowed"][0] == "payment"
    order = choices["verbs"]["order"]["fields"]
    assert "suspend" in order["action"]["allowed"] and order["until_s"] == {"allowed": [], "number": True, "optional": True}
    counter = next(board for board in choices["boards"] if board["id"] == "esp32s3_counter")
    assert counter["keys"][0] == ["1", "2", "3", "up"] and counter["display"] == {"width_px": 320, "height_px": 240}
    assert "cpython" in counter["runtimes"] and counter["default_runtime"] in counter["runtimes"]
    reasons = [f"reason.{kind.code}" for kind in REASON_KINDS]
    assert all(choices["texts"][language][reason] for language in LANGUAGES for reason in reasons)


def test_a_terminal_says_all_that_can_be_broken_of_it(off: OneTerminal) -> None:
    faults = off.document()["faults"]
    assert {"device": "printer", "name": "paper_out", "habit": False, "on": False}.items() <= _named(faults, "printer", "paper_out").items()
    assert _named(faults, "uplink", "slow")["cause"] == "slow"
    assert _named(faults, "keypad", "bounce")["habit"]
    assert all(fault["seen"] for fault in faults)


def _named(faults: list[dict[str, object]], device: str, name: str) -> dict[str, object]:
    (found,) = [fault for fault in faults if (fault["device"], fault["name"]) == (device, name)]
    return found


# What it says no to.


@pytest.mark.parametrize("path", ["/api/terminals/T0000099", "/api/terminals/T0000099/display.png", "/api/nowhere", "/static/nothing.js"])
def test_what_is_not_there_is_said_in_one_line(a_desk: Desk, path: str) -> None:
    answer = a_desk.client.get(path)
    assert answer.status_code == 404 and "\n" not in answer.json()["error"]


@pytest.mark.parametrize("path", ["/slips/0", "/slips/0.png", "/messages/77"])
def test_slips_and_messages_that_are_not_there_are_said(off: OneTerminal, path: str) -> None:
    answer = off.get(path)
    assert answer.status_code == 404 and answer.json()["error"].startswith("no ")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 30000, "application/json", 400),
        (b'{"verb": "boot"}', "text/plain", 415),
        (b'{"verb": "boot"}', "", 415),
        (b" " * 70000, "application/json", 413),
        (b'{"verb": 3}', "application/json", 422),
    ],
    ids=["half", "list", "deep", "plain", "untold", "long", "number"],
)
def test_a_body_that_is_no_step_is_refused(off: OneTerminal, body: bytes, kind: str, status: int) -> None:
    answer = off.desk.client.post(off.path + "/steps", content=body, headers={"content-type": kind})
    assert answer.status_code == status and answer.json()["error"]
    assert not off.document()["on"]


@pytest.mark.parametrize(
    ("verb", "argument", "line"),
    [
        ("fly", None, "unknown verb 'fly'; allowed: say, boot"),
        ("card", "gold", "unknown card 'gold'; allowed: payment"),
        ("boot", "twice", "boot takes no argument"),
        ("press", None, "press needs an argument"),
        ("order", {"reason": "violation"}, "'action' is missing"),
        ("order", {"action": "suspend", "until_s": "soon"}, "until_s is a whole number, not 'soon'"),
        ("latency", -1, "latency is a whole number"),
        ("clock", "1.5", "clock is a whole number"),
        ("fault", ["printer"], "a mapping is wanted here; keys: device, name, on"),
    ],
)
def test_what_is_no_step_of_a_scenario_is_refused_in_the_readers_words(off: OneTerminal, verb: str, argument: object, line: str) -> None:
    answer = off.try_to(verb, argument)
    assert answer.status_code == 422 and line in answer.json()["error"]


@pytest.mark.parametrize(
    ("verb", "argument", "line"),
    [
        ("expect_page", "idle", "is for scenario files"),
        ("press", "F13", "no key 'F13'; there are: 1"),
        ("let_go", "F13", "no key 'F13'"),
        ("fault", {"device": "roof", "name": "leaks"}, "no device 'roof'; there are: "),
        ("fault", {"device": "printer", "name": "leaks"}, "has no fault 'leaks'"),
        ("type_code", "issued", "no code was issued"),
        ("tear_off", None, "no slip was printed yet"),
        ("cut_power_after_write", None, "the terminal is off"),
        ("carry_out", "self_test", "the terminal is off"),
        ("latency", 60001, "at most 60000"),
        ("broker", "start", "the broker runs already"),
        ("order", {"action": "suspend", "note": "x" * 200}, "note"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_recorded(off: OneTerminal, verb: str, argument: object, line: str) -> None:
    recorded = off.document()["steps"]
    answer = off.try_to(verb, argument)
    assert answer.status_code == 409 and line in answer.json()["error"]
    assert off.document()["steps"] == recorded


@pytest.mark.parametrize(("verb", "argument"), [("code", "123"), ("tear_off", None)])
def test_a_hand_held_has_no_scanner_and_no_printer(a_desk: Desk, verb: str, argument: str | None) -> None:
    small = a_desk.terminal(board="esp32_mpos")
    answer = small.try_to(verb, argument)
    assert answer.status_code == 409 and "this terminal has no" in answer.json()["error"]
    assert a_desk.client.delete(small.path).json() == {}


@pytest.mark.parametrize(
    ("wanted", "status", "line"),
    [
        ({"board": "tin"}, 422, "no board 'tin'; there are: esp32_mpos"),
        ({"language": "tlh"}, 422, "no language 'tlh'; there are: en, zh-CN"),
        ({"runtime": "pypy"}, 409, "has no runtime 'pypy'"),
    ],
)
def test_a_terminal_that_cannot_be_had_is_said_with_what_can(a_desk: Desk, wanted: dict[str, str], status: int, line: str) -> None:
    answer = a_desk.client.post("/api/terminals", json=wanted)
    assert answer.status_code == status and line in answer.json()["error"]


def test_the_clock_of_a_microcontroller_without_a_clock_chip_jumps_too(a_desk: Desk) -> None:
    small = a_desk.terminal(board="esp32_mpos")
    bench = a_desk.session.terminals[small.id].terminal.bench  # type: ignore[attr-defined]

    def hours() -> int:
        year, month, day, _, hour, *_ = struct.unpack(RTC_FORMAT, bench.transact(RTC_READ, 0, 0, b"")[1])
        return int(datetime.datetime(year, month, day, hour, tzinfo=datetime.UTC).timestamp()) // 3600

    before = hours()
    small.do("clock", 5 * 3600)
    assert hours() - before == 5
    a_desk.client.delete(small.path)


# What comes and goes.


def test_terminals_are_numbered_come_provisioned_and_go(a_desk: Desk) -> None:
    with a_desk.page() as page:
        page.until("snapshot")
        terminal = a_desk.terminal(language="zh-CN")
        document = page.until("terminal", lambda data: data["id"] == terminal.id)
        assert (document["language"], document["on"], document["failure"]) == ("zh-CN", False, "")
        assert terminal.id in [told["id"] for told in a_desk.client.get("/api/terminals").json()]
        a_desk.client.delete(terminal.path)
        assert page.until("gone") == {"id": terminal.id}
    assert terminal.get().status_code == 404


def test_every_page_hears_all_and_one_that_comes_again_begins_anew(a_desk: Desk, off: OneTerminal) -> None:
    with a_desk.page() as one, a_desk.page() as other:
        for page in (one, other):
            state = page.until("snapshot")
            assert off.id in [terminal["id"] for terminal in state["terminals"]]
            assert state["acquirer"]["broker"] == "running"
        off.do("say", "good morning")
        for page in (one, other):
            assert page.until("log", lambda data: data["id"] == off.id)["line"] == "good morning"
        assert one.numbers == sorted(one.numbers)
    with a_desk.page() as again:
        name, state = again.next()
        assert name == "snapshot" and state["logs"][off.id][-1]["line"] == "good morning"


def test_a_page_that_is_too_slow_gets_the_whole_state_instead_of_what_it_missed() -> None:
    async def listen() -> list[str]:
        hub = Hub(lambda: {"state": "whole"})
        events = hub.events()
        heard = [await anext(events)]
        for number in range(MOST_WAITING + 1):
            hub.tell("log", {"line": number})
        heard.append(await anext(events))
        hub.tell("log", {"line": "last"})
        heard.append(await anext(events))
        hub.end()
        return heard + [text async for text in events]

    first, behind, last, *end = asyncio.run(listen())
    assert first.startswith("id: 0\nevent: snapshot\n")
    assert behind.startswith(f"id: {MOST_WAITING + 1}\nevent: snapshot\n")
    assert last == f'id: {MOST_WAITING + 2}\nevent: log\ndata: {{"line":"last"}}\n\n'
    assert not [text for text in end if "event" in text]


def test_a_terminal_that_is_off_has_a_dark_display_in_its_own_pixels(off: OneTerminal) -> None:
    answer = off.get("/display.png?frame=1")
    assert answer.headers["content-type"] == "image/png" and answer.headers["cache-control"] == "no-store"
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.size == (320, 240) and len(picture.getcolors() or ()) == 1
    assert off.get("/screen").json() == {"lines": [], "page": "", "pages": []}
