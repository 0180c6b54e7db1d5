"""docs/wire-format.md is what the builder makes of the tables, and its example can be read by other people's code."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from firmware_agent.messages.inbound import REFUSALS, Judge
from firmware_agent.messages.schema import KINDS
from hal.clock import TRUST_SET
from hal.drivers.p256 import P256
from host_sim.wire_words import REFUSAL_TEXTS
from tools.build_wire_format import (
    DOCUMENT,
    EXAMPLE_PRIVATE_KEY,
    EXAMPLE_TOPIC,
    document,
    example_claims,
    main,
)

PUBLIC_KEY = P256().public_key(EXAMPLE_PRIVATE_KEY)


class VerifyingElement:
    async def verify(self, public_key: bytes, digest: bytes, signature: bytes) -> bool:
        return P256().verify(public_key, digest, signature)


def example_in_the_document() -> bytes:
    blocks = re.findall(r"```\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return bytes.fromhex(blocks[0])


def test_the_wire_format_is_current() -> None:
    assert main(["--check"]) == 0


def test_the_check_says_what_to_run_for_a_document_that_is_not_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "wire-format.md"
    output.write_text("old", encoding="utf-8")
    assert main(["--output", str(output), "--check"]) == 1
    assert capsys.readouterr().err == "wire-format.md is not current: run python tools/build_wire_format.py\n"
    assert output.read_text(encoding="utf-8") == "old"
    assert main(["--output", str(output)]) == 0
    assert main(["--output", str(output), "--check"]) == 0


def test_a_document_that_is_not_there_is_not_current(tmp_path: Path) -> None:
    assert main(["--output", str(tmp_path / "none.md"), "--check"]) == 1


def test_a_change_of_the_schema_makes_the_document_out_of_date(monkeypatch: pytest.MonkeyPatch) -> None:
    before = document()
    monkeypatch.setattr(KINDS[0].fields[0], "number", 99)
    assert document() != before


def test_every_refusal_of_the_judge_is_described() -> None:
    assert set(REFUSAL_TEXTS) == set(REFUSALS)


def test_every_field_of_every_kind_is_in_the_document() -> None:
    sections = re.split(r"^### ", document(), flags=re.MULTILINE)[1:]
    for kind in KINDS:
        section = next(section for section in sections if section.startswith(f"{kind.number} {kind.name}\n"))
        rows = re.findall(r"^\| (\d+) \| (\w+) \| (\w+) \|", section.split("\n## ")[0], re.MULTILINE)
        assert rows == [(str(field.number), field.name, field.type) for field in kind.fields]


def test_the_example_is_accepted_by_the_terminal_it_is_for() -> None:
    judge = Judge(VerifyingElement(), "acq1", "T0000001", [PUBLIC_KEY])  # type: ignore[arg-type]  # all that the judge uses
    highest = example_claims().sequence - 1
    verdict = asyncio.run(judge.judge(EXAMPLE_TOPIC, example_in_the_document(), highest, example_claims().issued_at, TRUST_SET))
    assert verdict.refusal == ""
    assert verdict.claims is not None and verdict.claims.body == example_claims().body


def test_the_example_is_verified_by_other_libraries() -> None:
    protected, unprotected, payload, signature = cbor2.loads(example_in_the_document()).value
    assert unprotected == {}
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + PUBLIC_KEY)
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))

    def verify(topic: str) -> None:
        key.verify(der, cbor2.dumps(["Signature1", protected, topic.encode(), payload]), ec.ECDSA(SHA256()))

    verify(EXAMPLE_TOPIC)
    with pytest.raises(InvalidSignature):
        verify(EXAMPLE_TOPIC.replace("T0000001", "T0000002"))
