"""Verifies a signed message offline: the text of a QR code, or the bytes of a message and its topic; and tells in words what it says."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

from firmware_agent.flows.menu.records_pages import summary_lines
from firmware_agent.messages.cbor import CborError, decode
from firmware_agent.messages.cose import CoseError, Envelope, key_id, parse, verify
from firmware_agent.messages.schema import UP, Claims, SchemaError, topic
from firmware_agent.messages.signed_text import PART_PREFIX, PREFIX, SignedTextError, decode_text
from firmware_agent.selftest.phases import Result
from firmware_agent.selftest.report import from_list
from firmware_agent.texts import Texts, load
from hal.drivers.p256_openssl import OpensslP256
from hal.errors import E_EXTENDED, error_name

if TYPE_CHECKING:
    from hal.secure_element import SecureElement

MAX_FILE_BYTES = 65536  # a signed message is far smaller; a picture given by mistake need not be read whole
PICTURES = (  # what a file begins with, and what it then is
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"RIFF", "WebP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"%PDF", "PDF"),
)
TEXTS_OF_RESULTS = (("device", "component"), ("outcome", "outcome"), ("cause", "cause"))  # prefix of the text's key, part of the result
WORDS = {
    "en": {
        "good": "signature good",
        "failed": "NOT VERIFIED",
        "nothing": "Nothing in it can be trusted, so nothing of it is shown.",
        "key": "key",
        "kind": "message",
        "terminal": "terminal",
        "acquirer": "acquirer",
        "time": "time",
        "no_time": "unknown: the terminal's clock was not set",
        "boot": "boot",
        "sequence": "sequence",
        "expires": "expires",
        "unknown": "unknown fields",
        "element": "signed by a secure element",
        "dropped": "messages lost",
        "yes": "yes",
        "no": "no",
        "summary": "what happened, times in UTC",
    },
    "zh-CN": {
        "good": "签名有效",
        "failed": "验证未通过",
        "nothing": "其内容不可信，因此不予显示。",
        "key": "密钥",
        "kind": "消息",
        "terminal": "终端号",
        "acquirer": "支付机构",
        "time": "时间",
        "no_time": "未知：终端时钟未设置",
        "boot": "启动次数",
        "sequence": "序号",
        "expires": "失效时间",
        "unknown": "未知字段",
        "plan": "自检计划",
        "results": "结果",
        "mode": "终端状态",
        "firmware": "固件版本",
        "board": "主板",
        "element": "由安全芯片签名",
        "dropped": "丢失的消息",
        "summary": "停用经过（时间为 UTC）",
        "yes": "是",
        "no": "否",
    },
}


class VerifyError(Exception):
    """Wrong input: one line for the person who gave it."""


@dataclass
class Key:
    """A public key that is trusted because it was given. public: 64 bytes x || y; name: the terminal's, where a certificate says it."""

    public: bytes
    path: str
    name: str = ""


@dataclass
class Finding:
    """problem: '' for a message that is good, else what is wrong; the rest only where it is good."""

    problem: str = ""
    topic: str = ""
    key: Key | None = None
    claims: Claims | None = None


def verify_file(path: str, key_paths: Iterable[str], arrived_on: str = "") -> Finding:
    """path: a file, or '-' for standard input; key_paths: of the keys that are trusted; arrived_on: the topic of a message that is given as
    its bytes, '' for a signed text. Raises VerifyError.
    """
    keys = [read_key(key_path) for key_path in key_paths]
    data = read_file(path, sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if path == "-" else None)
    for beginning, name in PICTURES:
        if data.startswith(beginning):
            raise VerifyError(f"{path}: is a picture ({name}); scan its QR code, and give the text that comes out")
    if arrived_on:
        if data.lstrip().startswith((PREFIX.encode(), PART_PREFIX.encode())):
            raise VerifyError(f"{path}: is a signed text, which brings its own topic; leave out --topic")
        return verify_message(arrived_on, data, keys)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise VerifyError(f"{path}: is no text; the bytes of a message need --topic") from None
    try:
        arrived_on, message = decode_text(text)
    except SignedTextError as error:
        if error.code == "damaged":
            return Finding(str(error))
        raise VerifyError(f"{path}: {error}") from None
    return verify_message(arrived_on, message, keys)


def verify_message(arrived_on: str, message: bytes, keys: list[Key]) -> Finding:
    """Whether one of the keys signed the message for the topic `arrived_on`, and the message belongs there."""
    levels = arrived_on.split("/")
    if len(levels) != 5 or levels[:2] != ["poi", "v1"] or not all(levels):
        raise VerifyError(f"{arrived_on!r} is no topic; one looks like poi/v1/acquirer/terminal/report")
    try:
        envelope = parse(message)
        key = next((key for key in keys if key_id(key.public) == envelope.kid), None)
        if key is None:
            given = ", ".join(key_id(key.public).hex() for key in keys)
            return Finding(f"signed by the key {envelope.kid.hex()[:64]}, which was not given (given: {given})")
        if not _is_good(envelope, key, arrived_on):
            return Finding(_why_not(envelope, key, arrived_on))
        claims = Claims.from_map(decode(envelope.payload))
    except (CoseError, CborError, SchemaError) as error:
        return Finding(f"the message is damaged, or of another schema: {error}")
    return Finding(_misplaced(claims, key, arrived_on), arrived_on, key, claims)


def read_key(path: str) -> Key:
    """A public key on P-256 or a certificate with one, PEM or DER. Raises VerifyError."""
    data = read_file(path)
    name = ""
    key: Any = None
    for load_key in (_certificate, load_pem_public_key, load_der_public_key):
        try:
            key = load_key(data)
            break
        except ValueError:
            continue
    if isinstance(key, x509.Certificate):
        names = key.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if names else ""
        key = key.public_key()
    if key is None:
        what = "holds a private key; give the public key or the certificate" if _is_private(data) else "is no public key or certificate"
        raise VerifyError(f"{path}: {what}")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise VerifyError(f"{path}: is a key of another kind; terminals sign on P-256")
    return Key(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:], path, name)


def report_lines(finding: Finding, language: str) -> Iterator[str]:
    """What was found, in words, for a person."""
    words = WORDS[language]
    if finding.problem or finding.claims is None or finding.key is None:
        yield f"{words['failed']}: {finding.problem}"
        yield words["nothing"]
        return
    claims = finding.claims
    yield words["good"]
    owner = f" ({finding.key.name})" if finding.key.name else ""
    yield f"{words['key']}: {key_id(finding.key.public).hex()}{owner} {finding.key.path}"
    yield f"{words['kind']}: {claims.kind.name}"
    yield f"{words['terminal']}: {claims.subject}"
    yield f"{words['acquirer']}: {finding.topic.split('/')[2]}"
    yield f"{words['time']}: {time_text(claims.issued_at) if claims.issued_at else words['no_time']}"
    if claims.expires:
        yield f"{words['expires']}: {time_text(claims.expires)}"
    if claims.kind.direction == UP:
        yield f"{words['boot']}: {claims.boot_count}"
    yield f"{words['sequence']}: {claims.sequence}"
    if claims.kind.name == "summary":
        yield f"{words['summary']}:"
        yield from ("  " + line for line in summary_lines(load(language), claims, 0))
        return
    results = _results(claims)
    for name, value in claims.body.items():
        if results is None or name != "results":
            shown = words["yes" if value else "no"] if isinstance(value, bool) else _plain(value)
            yield f"{words.get(name, name)}: {shown}"
    if claims.unknown:
        yield f"{words['unknown']}: {_plain(claims.unknown)}"
    if results is not None:
        yield f"{words.get('results', 'results')}:"
        texts = load(language)
        for result in results:
            device, outcome, cause = (word_text(texts, prefix + ".", result[key]) for prefix, key in TEXTS_OF_RESULTS)
            told = ", ".join(filter(None, (outcome, cause, result["error"], result["detail"], f"{result['duration_ms']} ms")))
            yield f"  {result['phase']:<20} {device}: {told}"


def document(finding: Finding) -> dict[str, Any]:
    """What was found, for a program. Nothing of a message that is not good."""
    if finding.problem or finding.claims is None or finding.key is None:
        return {"good": False, "problem": finding.problem}
    claims = finding.claims
    found: dict[str, Any] = {
        "good": True,
        "problem": "",
        "topic": finding.topic,
        "key": {"id": key_id(finding.key.public).hex(), "name": finding.key.name, "file": finding.key.path},
        "kind": claims.kind.name,
        "terminal": claims.subject,
        "acquirer": finding.topic.split("/")[2],
        "issued_at": claims.issued_at or None,
        "boot_count": claims.boot_count or None,
        "sequence": claims.sequence,
        "expires": claims.expires or None,
        "body": jsonable(claims.body),
        "unknown": jsonable(claims.unknown),
    }
    results = _results(claims)
    if results is not None:
        found["results"] = results
    return found


def verify_and_print(path: str, key_paths: Iterable[str], arrived_on: str, language: str, as_json: bool) -> bool:
    """Verify and print; True when it is good. Raises VerifyError."""
    finding = verify_file(path, key_paths, arrived_on)
    if as_json:
        print(json.dumps(document(finding), ensure_ascii=False, indent=2))
        return not finding.problem
    print_lines(report_lines(finding, language))
    return not finding.problem


def print_lines(lines: Iterable[str]) -> None:
    """For a person, with nothing in them that could play tricks on a terminal."""
    with contextlib.suppress(BrokenPipeError):
        for line in lines:
            print("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line))


class _Verifier:
    """As much of a secure element as verifying asks for."""

    def __init__(self) -> None:
        self._curve = OpensslP256()

    async def verify(self, public_key: bytes, digest: bytes, signature: bytes) -> bool:
        return self._curve.verify(public_key, digest, signature)


def _is_good(envelope: Envelope, key: Key, arrived_on: str) -> bool:
    return asyncio.run(verify(cast("SecureElement", _Verifier()), envelope, key.public, arrived_on))


def _why_not(envelope: Envelope, key: Key, arrived_on: str) -> str:
    """A message that was moved is asked where it belongs, and believed only if its signature holds there."""
    acquirer = arrived_on.split("/")[2]
    try:
        claims = Claims.from_map(decode(envelope.payload))
    except (CborError, SchemaError):
        return "the signature does not hold: the message was altered"
    belongs = topic(claims.issuer or acquirer, claims.subject, claims.kind.leaf)
    if belongs != arrived_on and _is_good(envelope, key, belongs):
        return f"the message was signed for {belongs}, not for {arrived_on}"
    return "the signature does not hold: the message was altered, or was not signed for this acquirer"


def _misplaced(claims: Claims, key: Key, arrived_on: str) -> str:
    """What is wrong with a message whose signature is good: '' for nothing."""
    acquirer = arrived_on.split("/")[2]
    if arrived_on != topic(acquirer, claims.subject, claims.kind.leaf):
        return f"a message {claims.kind.name} of {claims.subject} does not belong on {arrived_on}"
    if claims.kind.direction == UP:
        if key.name and key.name != claims.subject:
            return f"the message says that it is of {claims.subject}, the certificate is {key.name}'s"
    elif claims.issuer != acquirer:
        return f"the message says that it is of {claims.issuer or 'nobody'}, its topic is {acquirer}'s"
    return ""


def read_file(path: str, data: bytes | None = None) -> bytes:
    """What a person gave: data, where it is read already. Raises VerifyError."""
    if data is None:
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise VerifyError(f"{path}: cannot be read: {error.strerror}") from None
    if not data.strip():
        raise VerifyError(f"{path}: is empty")
    return data


def _certificate(data: bytes) -> x509.Certificate:
    return (x509.load_pem_x509_certificate if b"-----BEGIN" in data else x509.load_der_x509_certificate)(data)


def _is_private(data: bytes) -> bool:
    if b"PRIVATE KEY-----" in data:
        return True
    try:
        load_der_private_key(data, None)
    except (TypeError, ValueError):  # TypeError: it has a password
        return False
    return True


def _results(claims: Claims) -> list[dict[str, Any]] | None:
    """The results of a self-test report; None where there are none that this version can read."""
    if claims.kind.name != "report":
        return None
    try:
        results = [from_list(values) for values in claims.items("results")]
    except ValueError:
        return None
    return [
        {
            "phase": result.phase,
            "component": result.kind,
            "outcome": result.outcome,
            "cause": result.cause,
            "error": _error(result),
            "detail": result.detail,
            "duration_ms": result.duration_ms,
        }
        for result in results
    ]


def _error(result: Result) -> str:
    """A report carries one number, the extended one where there is one; those begin above the others."""
    if not result.code:
        return ""
    return error_name(E_EXTENDED, result.kind, result.code) if result.code > E_EXTENDED else result.error


def time_text(seconds: int) -> str:
    """Unix seconds, for a person."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError):
        return str(seconds)


def word_text(texts: Texts, prefix: str, word: str) -> str:
    """The text of a word, or the word: a newer terminal may know more of them."""
    try:
        return texts.get(prefix + word)
    except KeyError:
        return word


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(jsonable(value), ensure_ascii=False)


def jsonable(value: object) -> Any:
    """Bytes in hexadecimal; keys of maps as texts."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(jsonable(key)): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [jsonable(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, str)) else repr(value)
