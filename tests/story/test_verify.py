"""`reinstate verify`: what a terminal signed is told in words; whatever was changed, moved or signed by another is not good."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import zxingcpp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.schema import BOOL, BYTES, CHOICE, DOWN, KINDS, LIST, TEXT, UINT, UP, Claims, kind_named, topic
from firmware_agent.messages.signed_text import SignedTextError, decode_text, encode_text, from_base45
from firmware_agent.screens.qr import ALPHANUMERIC, qr_code
from hal.drivers.p256_openssl import OpensslP256
from host_sim.cli import main

ACQUIRER, TERMINAL = "acq1", "T0000001"
WALL_S = 1795336500  # 2026-11-22 08:35:00 UTC
# As firmware_agent/selftest/report.py tells: number of the phase, place of the outcome, ms, number of the cause, error, detail.
RESULTS: list[object] = [[3, 0, 12], [8, 0, 9], [10, 1, 23, 40, 203], [11, 3, 3000, 1, 112, "no ACK"]]
REPORT: dict[str, object] = {
    "plan": "full",
    "results": RESULTS,
    "mode": "suspended",
    "firmware": "0.1.0",
    "element": False,
}
EXAMPLES: dict[str, object] = {UINT: 7, TEXT: "text", BYTES: b"\x00\xff", BOOL: True, LIST: [1, "two", [3]]}


class Signer:
    """A terminal's or an acquirer's key, and as much of a secure element as signing asks for."""

    def __init__(self, private: int) -> None:
        self.private = private.to_bytes(32, "big")
        self.curve = OpensslP256()
        self.public = self.curve.public_key(self.private)
        self.key = ec.derive_private_key(private, ec.SECP256R1())

    async def sign(self, slot: int, digest: bytes) -> bytes:
        return self.curve.sign(self.private, digest)

    def message(self, claims: Claims, where: str, payload: bytes | None = None) -> bytes:
        element: Any = self
        return asyncio.run(sign(element, 0, key_id(self.public), encode(claims.to_map()) if payload is None else payload, where))

    def public_file(self, folder: Path, encoding: Encoding = Encoding.PEM) -> Path:
        path = folder / f"{self.public[:4].hex()}.key"
        path.write_bytes(self.key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo))
        return path

    def certificate_file(self, folder: Path, name: str, encoding: Encoding = Encoding.PEM) -> Path:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(self.key.public_key())
        builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        path = folder / f"{name}.crt"
        path.write_bytes(builder.sign(self.key, SHA256()).public_bytes(encoding))
        return path


OWN, OTHER = Signer(0xC0FFEE), Signer(0xBADC0DE)


def claims_of(kind: str, body: dict[str, object], terminal: str = TERMINAL) -> Claims:
    found = kind_named(kind)
    down = found.direction == DOWN
    return Claims(
        found, terminal, 17, body, issuer=ACQUIRER if down else "", issued_at=WALL_S, expires=WALL_S + 60 if down else 0, boot_count=3
    )


def message_of(kind: str = "report", body: dict[str, object] | None = None, signer: Signer = OWN) -> tuple[str, bytes]:
    claims = claims_of(kind, REPORT if body is None else body)
    where = topic(ACQUIRER, TERMINAL, claims.kind.leaf)
    return where, signer.message(claims, where)


REPORT_TOPIC, REPORT_MESSAGE = message_of()
REPORT_TEXT = encode_text(ACQUIRER, REPORT_MESSAGE)

Verify = Callable[..., tuple[int, str, str]]


@pytest.fixture
def verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Runs the command on a file with that content, by the terminal's own key; gives exit code, stdout, stderr."""

    def run(content: str | bytes, *arguments: str | Path, key: Path | None = None) -> tuple[int, str, str]:
        path = tmp_path / "scanned.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        code = main(["verify", str(path), "--key", str(key or OWN.public_file(tmp_path)), *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def assert_is_wrong_input(result: tuple[int, str, str], says: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("reinstate: ") and says in line, line


def assert_is_not_good(result: tuple[int, str, str], says: str) -> None:
    code, out, err = result
    assert (code, err) == (1, "")
    first, second = out.splitlines()
    assert first.startswith("NOT VERIFIED: ") and says in first, first
    assert second == "Nothing in it can be trusted, so nothing of it is shown."


# What is good.


def test_a_good_report_is_told_in_words(verify: Verify) -> None:
    code, out, err = verify(REPORT_TEXT)
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "signature good"
    assert lines[1].startswith(f"key: {key_id(OWN.public).hex()} ")
    for line in (
        "message: report",
        f"terminal: {TERMINAL}",
        f"acquirer: {ACQUIRER}",
        "time: 2026-11-22 08:35:00 UTC",
        "boot: 3",
        "sequence: 17",
        "plan: full",
        "signed by a secure element: no",
        "storage Storage: pass, 12 ms",
    ):
        assert line in lines, out
    printer = next(line for line in lines if line.startswith("printer"))
    assert "Printer: fail" in printer and "EPTR_REC_EMPTY" in printer and "23 ms" in printer
    reader = next(line for line in lines if line.startswith("card_reader"))
    assert "Card reader: timeout" in reader and "E_TIMEOUT" in reader and "no ACK" in reader and "3000 ms" in reader


def test_it_is_told_in_chinese(verify: Verify) -> None:
    code, out, _ = verify(REPORT_TEXT, "--lang", "zh-CN")
    assert code == 0
    assert out.startswith("签名有效\n")
    assert "终端号" in out and TERMINAL in out
    code, out, _ = verify(encode_text("acq2", REPORT_MESSAGE), "--lang", "zh-CN")
    assert code == 1 and out.startswith("验证未通过")


def test_json_is_one_document(verify: Verify) -> None:
    code, out, _ = verify(REPORT_TEXT, "--json")
    document = json.loads(out)
    assert code == 0 and document["good"] is True and document["problem"] == ""
    assert document["topic"] == REPORT_TOPIC
    assert (document["kind"], document["terminal"], document["acquirer"]) == ("report", TERMINAL, ACQUIRER)
    assert (document["issued_at"], document["boot_count"], document["sequence"]) == (WALL_S, 3, 17)
    assert document["key"]["id"] == key_id(OWN.public).hex()
    assert document["body"] == REPORT
    assert document["results"][2] == {
        "phase": "printer",
        "component": "printer",
        "outcome": "fail",
        "cause": "paper_out",
        "error": "EPTR_REC_EMPTY",
        "detail": "",
        "duration_ms": 23,
    }


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_kind_of_message_is_verified(verify: Verify, kind: str) -> None:
    body = {field.name: field.words[0] if field.type == CHOICE else EXAMPLES[field.type] for field in kind_named(kind).fields}
    if kind == "report":
        body["results"] = RESULTS
    where, message = message_of(kind, body)
    for result in (verify(encode_text(ACQUIRER, message)), verify(message, "--topic", where)):
        code, out, err = result
        assert (code, err) == (0, ""), out
        assert out.startswith("signature good\n")
    code, out, _ = verify(encode_text(ACQUIRER, message), "--json")
    document = json.loads(out)
    assert code == 0 and document["kind"] == kind and set(document["body"]) == set(body)


def test_a_result_that_cannot_be_read_is_shown_as_it_is(verify: Verify) -> None:
    _, message = message_of("report", {**REPORT, "results": [["a", "b"]]})
    code, out, _ = verify(encode_text(ACQUIRER, message))
    assert code == 0 and 'results: [["a", "b"]]' in out


def test_a_phase_and_a_cause_of_a_newer_terminal_are_told_by_their_numbers(verify: Verify) -> None:
    _, message = message_of("report", {**REPORT, "results": [[9999, 1, 5, 8888]]})
    code, out, _ = verify(encode_text(ACQUIRER, message))
    assert code == 0 and "9999" in out and "8888" in out


def test_a_terminal_without_a_clock_is_told_as_such(verify: Verify) -> None:
    claims = Claims(kind_named("event"), TERMINAL, 1, {"name": "store_damaged"})
    where = topic(ACQUIRER, TERMINAL, "event")
    code, out, _ = verify(encode_text(ACQUIRER, OWN.message(claims, where)))
    assert code == 0 and "unknown: the terminal's clock was not set" in out


def test_nothing_that_a_message_says_controls_the_screen(verify: Verify) -> None:
    _, message = message_of("event", {"name": "x\x1b[2Jy\nsignature good"})
    code, out, _ = verify(encode_text(ACQUIRER, message))
    assert code == 0 and "\x1b" not in out
    assert out.count("\nsignature good") == 0


def test_a_text_that_was_broken_into_lines_is_good(verify: Verify) -> None:
    lines = [REPORT_TEXT[start : start + 64] for start in range(0, len(REPORT_TEXT), 64)]
    assert verify("\ufeff" + "\r\n".join(lines) + "\r\n")[0] == 0


def test_standard_input_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(REPORT_TEXT.encode())))
    assert main(["verify", "-", "--key", str(OWN.public_file(tmp_path))]) == 0
    assert capsys.readouterr().out.startswith("signature good")


def test_the_text_that_a_scanner_reads_from_the_printed_code_is_good(verify: Verify) -> None:
    """From the signed message to paper of 58 mm, and back through somebody else's scanner."""
    code = qr_code(REPORT_TEXT)
    dots = code.dots_a_module(384)
    assert dots >= 3
    raster = b"".join(bytes(bits) for _, bits in code.strips(384, dots, 6))
    image = Image.frombytes("1", (384, len(raster) // 48), bytes(0xFF ^ byte for byte in raster)).convert("L")
    (barcode,) = zxingcpp.read_barcodes(image)
    assert verify(barcode.text)[0] == 0


def test_the_program_in_the_document_verifies_a_text_and_refuses_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base45 = ModuleType("base45")  # of the package that the program uses, the one function
    base45.__dict__["b45decode"] = from_base45
    monkeypatch.setitem(sys.modules, "base45", base45)
    document = (Path(__file__).parent.parent.parent / "docs" / "signed-text.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    names: dict[str, Any] = {"pem": OWN.public_file(tmp_path).read_bytes(), "text": REPORT_TEXT}
    exec(program, names)
    assert names["topic"] == REPORT_TOPIC
    assert names["LEAVES"] == {kind.number: kind.leaf for kind in KINDS if kind.direction == UP}
    with pytest.raises(InvalidSignature):
        exec(program, {**names, "text": encode_text("acq2", REPORT_MESSAGE)})


# Keys.


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["PEM", "DER"])
def test_a_public_key_or_a_certificate_is_taken(verify: Verify, tmp_path: Path, encoding: Encoding) -> None:
    assert verify(REPORT_TEXT, key=OWN.public_file(tmp_path, encoding))[0] == 0
    code, out, _ = verify(REPORT_TEXT, key=OWN.certificate_file(tmp_path, TERMINAL, encoding))
    assert code == 0 and f"({TERMINAL})" in out


def test_the_right_one_of_several_keys_is_found(verify: Verify, tmp_path: Path) -> None:
    assert verify(REPORT_TEXT, "--key", OTHER.public_file(tmp_path))[0] == 0
    assert verify(REPORT_TEXT, "--key", OWN.public_file(tmp_path), key=OTHER.public_file(tmp_path))[0] == 0


def test_the_wrong_key_is_not_good(verify: Verify, tmp_path: Path) -> None:
    assert_is_not_good(verify(REPORT_TEXT, key=OTHER.public_file(tmp_path)), "signed by the key " + key_id(OWN.public).hex())


def test_a_message_by_another_key_that_names_ours_is_not_good(verify: Verify) -> None:
    element: Any = OTHER
    payload = encode(claims_of("report", REPORT).to_map())
    forged = asyncio.run(sign(element, 0, key_id(OWN.public), payload, REPORT_TOPIC))
    assert_is_not_good(verify(encode_text(ACQUIRER, forged)), "the signature does not hold")


def test_the_certificate_of_another_terminal_is_not_good(verify: Verify, tmp_path: Path) -> None:
    result = verify(REPORT_TEXT, key=OWN.certificate_file(tmp_path, "T0000002"))
    assert_is_not_good(result, "says that it is of T0000001, the certificate is T0000002's")


def key_files() -> dict[str, tuple[bytes, str]]:
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    numbers = rsa.generate_private_key(65537, 2048).public_key()
    return {
        "empty": (b"", "is empty"),
        "text": (b"hello", "is no public key or certificate"),
        "private PEM": (OWN.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "holds a private key"),
        "private DER": (OWN.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "holds a private key"),
        "P-384": (p384.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "a key of another kind"),
        "RSA": (numbers.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "a key of another kind"),
    }


def test_a_file_that_is_no_such_key_is_wrong_input(verify: Verify, tmp_path: Path) -> None:
    for name, (content, says) in key_files().items():
        path = tmp_path / "given"
        path.write_bytes(content)
        code, out, err = verify(REPORT_TEXT, key=path)
        assert (code, out) == (2, "") and says in err, name
    assert_is_wrong_input(verify(REPORT_TEXT, key=tmp_path / "not there"), "cannot be read: No such file")


# What was changed or moved.


def test_no_character_can_be_changed(verify: Verify) -> None:
    for place in range(4, len(REPORT_TEXT)):
        digit = ALPHANUMERIC[(ALPHANUMERIC.index(REPORT_TEXT[place]) + 1 + place % 43) % 45]
        code, out, err = verify(REPORT_TEXT[:place] + digit + REPORT_TEXT[place + 1 :])
        assert (code, err) == (1, ""), f"{place}: {out}"
        assert out.startswith("NOT VERIFIED: ") and TERMINAL not in out


def test_no_bit_of_a_message_can_be_changed(verify: Verify) -> None:
    for place in range(len(REPORT_MESSAGE)):
        changed = bytearray(REPORT_MESSAGE)
        changed[place] ^= 1 << place % 8
        code, out, _ = verify(bytes(changed), "--topic", REPORT_TOPIC)
        assert code == 1 and out.startswith("NOT VERIFIED: "), f"{place}: {out}"


@pytest.mark.parametrize("place", range(4))
def test_a_changed_beginning_is_no_signed_text(verify: Verify, place: int) -> None:
    assert_is_wrong_input(verify(REPORT_TEXT[:place] + "7" + REPORT_TEXT[place + 1 :]), "signed text")


def test_a_text_that_was_cut_off_is_not_good(verify: Verify) -> None:
    for length in (4, 5, 50, len(REPORT_TEXT) - 3, len(REPORT_TEXT) - 1):
        assert_is_not_good(verify(REPORT_TEXT[:length]), "the text is damaged or cut off")


def test_a_text_for_another_acquirer_is_not_good(verify: Verify) -> None:
    assert_is_not_good(verify(encode_text("acq2", REPORT_MESSAGE)), "was not signed for this acquirer")


def test_a_message_that_was_moved_is_not_good_and_it_is_said_where_it_belongs(verify: Verify) -> None:
    for moved in (topic(ACQUIRER, TERMINAL, "state"), topic(ACQUIRER, "T0000002", "report")):
        assert_is_not_good(verify(REPORT_MESSAGE, "--topic", moved), f"signed for {REPORT_TOPIC}, not for {moved}")


def test_a_message_signed_for_a_topic_where_it_does_not_belong_is_not_good(verify: Verify) -> None:
    where = topic(ACQUIRER, "T0000002", "report")
    message = OWN.message(claims_of("report", REPORT), where)
    assert_is_not_good(verify(message, "--topic", where), "a message report of T0000001 does not belong on " + where)


def test_an_order_of_another_acquirer_is_not_good(verify: Verify) -> None:
    claims = claims_of("order", {"action": "self_test"})
    claims.issuer = "acq2"
    message = OWN.message(claims, topic(ACQUIRER, TERMINAL, "order"))
    assert_is_not_good(verify(encode_text(ACQUIRER, message)), "says that it is of acq2, its topic is acq1's")


def test_a_message_that_is_not_good_says_nothing_in_json_either(verify: Verify) -> None:
    code, out, _ = verify(encode_text("acq2", REPORT_MESSAGE), "--json")
    document = json.loads(out)
    assert code == 1 and set(document) == {"good", "problem"} and document["good"] is False and document["problem"]


# What is no message.


@given(text=st.one_of(st.text(), st.text(alphabet=ALPHANUMERIC + "\n")), begins=st.booleans())
def test_any_text_is_read_or_refused_with_one_line(text: str, begins: bool) -> None:
    try:
        where, _ = decode_text("RS1:" + text if begins else text)
    except SignedTextError as error:
        assert error.code in ("empty", "not_signed_text", "version", "damaged") and len(str(error).splitlines()) == 1
    else:
        assert where.startswith("poi/v1/")


def test_a_picture_is_wrong_input(verify: Verify) -> None:
    picture = Image.new("L", (8, 8))
    for name in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"):
        file = io.BytesIO()
        picture.save(file, name)
        assert_is_wrong_input(verify(file.getvalue()), "is a picture")
        assert_is_wrong_input(verify(file.getvalue(), "--topic", REPORT_TOPIC), "is a picture")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b"\xd2\x84\x43\xff", "is no text; the bytes of a message need --topic"),
        (REPORT_MESSAGE, "is no text; the bytes of a message need --topic"),
        (b"hello", "a signed text begins with RS1:"),
        (b"HC1:6BF", "a signed text begins with RS1:"),
        (b"RS2:BB8", "a signed text of form RS2; this knows RS1 only"),
        (b"A" * 100000, "too many"),
    ],
    ids=["empty", "blank", "bytes", "message without topic", "hello", "other code", "version", "long"],
)
def test_what_is_no_signed_text_is_wrong_input(verify: Verify, content: bytes, says: str) -> None:
    assert_is_wrong_input(verify(content), says)


@pytest.mark.parametrize("content", [b"\x00", b"garbage", bytes(range(256)), b"\xd2\x84" + bytes(100), b"A" * 100000])
def test_bytes_that_are_no_message_are_not_good(verify: Verify, content: bytes) -> None:
    assert_is_not_good(verify(content, "--topic", REPORT_TOPIC), "the message is damaged")


def test_a_file_that_is_not_there_is_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["verify", str(tmp_path / "not there"), "--key", str(OWN.public_file(tmp_path))])
    assert_is_wrong_input((code, *capsys.readouterr()), "cannot be read: No such file")
    code = main(["verify", str(tmp_path), "--key", str(OWN.public_file(tmp_path))])
    assert_is_wrong_input((code, *capsys.readouterr()), "cannot be read: Is a directory")


@pytest.mark.parametrize("where", ["report", "poi/v1/acq1/T1", "poi/v2/acq1/T1/report", "poi/v1//T1/report"])
def test_what_is_no_topic_is_wrong_input(verify: Verify, where: str) -> None:
    assert_is_wrong_input(verify(REPORT_MESSAGE, "--topic", where), "is no topic")


def test_a_signed_text_with_a_topic_is_wrong_input(verify: Verify) -> None:
    assert_is_wrong_input(verify(REPORT_TEXT, "--topic", REPORT_TOPIC), "brings its own topic")


def test_without_a_key_nothing_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as told:
        main(["verify", "scanned.txt"])
    assert told.value.code == 2 and "--key" in capsys.readouterr().err
