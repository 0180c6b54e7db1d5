"""`reinstate verify` with an evidence package: one that is whole is told, and of any other nothing."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware_agent.messages.signed_text import encode_text
from firmware_agent.records.console_export import BEGINS, ENDS, EVIDENCE, LINE
from firmware_agent.records.evidence import PREFIX
from firmware_agent.records.evidence_package import package
from firmware_agent.records.summary import summary_now
from firmware_agent.state.machine import Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from hal.drivers.p256_openssl import OpensslP256
from host_sim.cli import main
from tests.core.parts import NOW_S, Flash
from tests.core.terminal_parts import boot, provisioned

CURVE = OpensslP256()


@pytest.fixture
def terminal() -> Any:
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, curve=CURVE)  # type: ignore[no-untyped-call]
    asyncio.run(terminal.hal.secure_element.generate_key(0))
    terminal.apply([Suspended(Reason("violation", ACTOR_HOST, NOW_S))])
    for _ in range(4):
        terminal.send("event", {"name": "signed_on", "detail": "PIN"})
    return terminal


def lines_of(terminal: Any) -> list[str]:
    async def lines() -> list[str]:
        return list(await package(terminal))

    return asyncio.run(lines())


def key_file(terminal: Any, folder: Path) -> str:
    raw = asyncio.run(terminal.hal.secure_element.public_key(0))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + raw)
    path = folder / "key.pem"
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(path)


def verify(terminal: Any, lines: list[str], folder: Path, *options: str) -> int:
    path = folder / "package.txt"
    path.write_text("\n".join(lines) + "\n")
    return main(["verify", str(path), "--key", key_file(terminal, folder), *options])


def test_a_whole_package_is_told(terminal: Any, tmp_path: Path, capsys: Any) -> None:
    head = f"{terminal.evidence.number}:{terminal.evidence.head.hex()}"
    assert verify(terminal, lines_of(terminal), tmp_path, "--head", head) == 0
    told = capsys.readouterr().out
    assert f"whole: {terminal.evidence.number} entries" in told and "terminal: T0000001" in told and f"head: {head}" in told
    assert '["state", ["Suspended"], "suspended", "", ["violation"], ["print", "scan", "pay"]]' in told
    assert told.count('["event", "signed_on", "PIN", 1]') == 4 and "NOT" not in told


def test_a_package_as_json_has_its_entries(terminal: Any, tmp_path: Path, capsys: Any) -> None:
    assert verify(terminal, lines_of(terminal), tmp_path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["good"] and told["kind"] == "audit" and told["whole"] and told["broken"] == []
    assert [entry["number"] for entry in told["entries"]] == list(range(1, terminal.evidence.number + 1))


def test_a_log_that_says_of_itself_that_something_is_missing_is_told_with_that(terminal: Any, tmp_path: Path, capsys: Any) -> None:
    terminal.store.remove(PREFIX + "00000003")
    terminal.tell_damage(terminal.evidence.verify())
    assert verify(terminal, lines_of(terminal), tmp_path) == 1
    told = capsys.readouterr().out
    number = terminal.evidence.number
    assert (
        told.startswith(f"signature good, THE LOG IS NOT WHOLE: {number - 1} entries")
        and f"at {number} it says itself: missing at 3" in told
    )
    assert verify(terminal, lines_of(terminal), tmp_path, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["good"] and not document["whole"] and document["broken"] == [number]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[:4] + lines[5:],
        lambda lines: lines[:4] + [lines[5], lines[4]] + lines[6:],
        lambda lines: lines[:4] + lines[3:],
        lambda lines: lines[:5] + [altered(lines[5])] + lines[6:],
        lambda lines: lines[:-1] + [altered(lines[-1])],
        lambda lines: [lines[0], altered(lines[1]), *lines[2:]],
        lambda lines: [*lines[:2], altered(lines[2]), *lines[3:]],
        lambda lines: [lines[0].replace("T0000001", "T0000002"), *lines[1:]],
        lambda lines: lines[:2],
        lambda lines: lines[:1],
        lambda lines: [*lines, "!"],
        lambda lines: [*lines, "gA=="],
    ],
)
def test_a_package_that_was_altered_or_cut_off_is_not_good_and_nothing_of_it_is_shown(
    spoil: Any, terminal: Any, tmp_path: Path, capsys: Any
) -> None:
    assert verify(terminal, spoil(lines_of(terminal)), tmp_path) == 1
    told = capsys.readouterr().out
    assert told.startswith("NOT VERIFIED: ") and "signed_on" not in told
    assert verify(terminal, spoil(lines_of(terminal)), tmp_path, "--json") == 1
    assert set(json.loads(capsys.readouterr().out)) == {"good", "problem"}


def altered(line: str) -> str:
    data = bytearray(base64.b64decode(line))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


def test_what_a_console_has_shown_is_verified_as_it_is_without_what_came_between(terminal: Any, tmp_path: Path, capsys: Any) -> None:
    exported = [line for text in lines_of(terminal) for line in (LINE + text, "sent audit 4200000001")]
    capture = ["boot 1 firmware 0.1.0", BEGINS + EVIDENCE, *exported, ENDS + EVIDENCE, "state in_service -> suspended"]
    journal = ["2026-11-22T08:35:00+08:00 shop reinstate[7]: " + line for line in [*capture, BEGINS + EVIDENCE, LINE + "cut off"]]
    for lines in (capture, [line + "\r" for line in capture], journal):
        assert verify(terminal, lines, tmp_path) == 0
        assert f"whole: {terminal.evidence.number} entries" in capsys.readouterr().out
    spoilt = capture.copy()
    del spoilt[spoilt.index(LINE + lines_of(terminal)[4])]
    assert verify(terminal, spoilt, tmp_path) == 1
    assert verify(terminal, [BEGINS + EVIDENCE, *exported], tmp_path) == 2  # it did not come to its end


def test_the_code_of_an_incident_report_is_told_in_words(terminal: Any, tmp_path: Path, capsys: Any) -> None:
    claims = summary_now(terminal)
    assert claims is not None
    _, message = asyncio.run(terminal.signed(claims))
    for language, reason, goes_on in (
        ("en", "Reason: Rule violation", "Not yet back in service."),
        ("zh-CN", "违规操作", "尚未恢复服务。"),
    ):
        assert verify(terminal, [encode_text("acq1", message)], tmp_path, "--lang", language) == 0
        shown = capsys.readouterr().out
        assert reason in shown and goes_on in shown and "T0000001" in shown


def test_another_key_another_head_and_another_version_are_refused(terminal: Any, tmp_path: Path, capsys: Any) -> None:
    lines = lines_of(terminal)
    number = terminal.evidence.number
    for head in (f"{number}:{'00' * 32}", f"{number + 1}:{terminal.evidence.head.hex()}"):
        assert verify(terminal, lines, tmp_path, "--head", head) == 1
        assert "the log is not whole: " in capsys.readouterr().out
    for head in ("7", "x:00", f"0:{'00' * 32}", f"1:{'00' * 31}"):
        assert verify(terminal, lines, tmp_path, "--head", head) == 2
        assert "is no head" in capsys.readouterr().err
    assert verify(terminal, [lines[0].replace(" 1 ", " 2 "), *lines[1:]], tmp_path) == 2
    asyncio.run(terminal.hal.secure_element.generate_key(0))
    assert verify(terminal, lines, tmp_path) == 1
    assert "which was not given" in capsys.readouterr().out
