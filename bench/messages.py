"""How small a signed report is, and how fast an acquirer verifies reports and signs orders, beside other forms that say the same.

    python bench/messages.py [--json] [--rounds N] [--calls N]

Needs the extra `bench`. docs/benchmarks.md tells what is compared, and how.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import cbor2  # noqa: E402
import cwt  # noqa: E402
import jwt  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.hazmat.primitives.hashes import SHA256  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat  # noqa: E402
from jwt.types import Options  # noqa: E402

from firmware_agent.messages import cbor  # noqa: E402
from firmware_agent.messages.cose import key_id  # noqa: E402
from firmware_agent.messages.outbox import SEQUENCES  # noqa: E402
from firmware_agent.messages.schema import CLAIM_MESSAGE, Claims, kind_named, topic  # noqa: E402
from firmware_agent.selftest.phases import FAIL, PASS, Phase, Result  # noqa: E402
from firmware_agent.selftest.plans import phase_ids  # noqa: E402
from firmware_agent.selftest.report import to_list  # noqa: E402
from firmware_agent.selftest.subject import Subject  # noqa: E402
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, Reason  # noqa: E402
from hal.device import Health  # noqa: E402
from hal.errors import E_EXTENDED, EPTR_REC_EMPTY, SUCCESS  # noqa: E402
from host_sim.acquirer.codec import Signer, Verifier  # noqa: E402

TERMINAL = "T0000001"
BOOT_COUNT = 142
ACQUIRER = "acq1"
ISSUED_AT = 1790000000
WARM_UP_CALLS = 20

RESULTS = (
    Result("display", "display", PASS, SUCCESS, duration_ms=18),
    Result("keypad", "keypad", PASS, SUCCESS, duration_ms=4),
    Result("printer", "printer", FAIL, E_EXTENDED, EPTR_REC_EMPTY, "paper_out", duration_ms=31),
    Result("card_reader", "card_reader", PASS, SUCCESS, duration_ms=98),
    Result("scanner", "scanner", PASS, SUCCESS, duration_ms=52),
    Result("network", "network", PASS, SUCCESS, duration_ms=1204),
)
REASONS = (
    Reason("violation", ACTOR_HOST, ISSUED_AT - 86400),
    Reason("hardware_fault", ACTOR_POI, ISSUED_AT - 5, component="printer"),
)
PLAN, MODE, FIRMWARE = "daily", "suspended", "0.1.0"


def report() -> Claims:
    """The report as a terminal's outbox makes it: six devices of which one failed, two reasons, in the terminal's 142nd boot."""
    numbers = {id: number for number, (id, _) in phase_ids().items()}
    body: dict[str, object] = {
        "plan": PLAN,
        "results": [to_list(result, Phase(numbers[result.phase], result.phase, result.kind, 1, _no_task, 1000)) for result in RESULTS],
        "mode": MODE,
        "firmware": FIRMWARE,
        "reasons": [reason.told() for reason in REASONS],
        "element": True,
    }
    return Claims(kind_named("report"), TERMINAL, BOOT_COUNT * SEQUENCES + 7, body, issued_at=ISSUED_AT, boot_count=BOOT_COUNT)


def order() -> Claims:
    """An order as the acquirer makes it: a suspension with its reason, good for a day."""
    body: dict[str, object] = {"action": "suspend", "reason": "violation"}
    return Claims(kind_named("order"), TERMINAL, 42, body, ACQUIRER, ISSUED_AT, ISSUED_AT + 86400)


async def _no_task(subject: Subject) -> Health:
    raise NotImplementedError  # the phase is only told of


def order_in_words() -> dict[str, Any]:
    """The order as people name it in JSON."""
    claims = order()
    times = {"iat": claims.issued_at, "exp": claims.expires}
    return {"version": 1, "kind": "order", "iss": ACQUIRER, "sub": TERMINAL, **times, "sequence": claims.sequence, **claims.body}


def report_in_words() -> dict[str, Any]:
    """The report as people name it in JSON."""
    results = []
    for result in RESULTS:
        row = {"device": result.kind, "outcome": result.outcome, "duration_ms": result.duration_ms}
        results.append(row if result.outcome == PASS else {**row, "cause": result.cause, "error": result.error})
    reasons = []
    for reason in REASONS:
        told = {"code": reason.code, "actor": reason.actor, "since": reason.since}
        reasons.append({**told, "component": reason.component} if reason.component else told)
    return {
        "version": 1,
        "kind": "report",
        "sub": TERMINAL,
        "iat": ISSUED_AT,
        "bootcount": BOOT_COUNT,
        "sequence": report().sequence,
        "plan": PLAN,
        "results": results,
        "mode": MODE,
        "firmware": FIRMWARE,
        "reasons": reasons,
        "element": True,
    }


def sparkplug(named: bool) -> bytes:
    """A Sparkplug B payload (specification 3.0, chapter 6), unsigned, with a metric for each value: by name, as in a birth, or by alias.

    What the topic says, terminal and kind of message, is left out as in Sparkplug; the time stands once, and not at each metric.
    """
    words = report_in_words()
    values: dict[str, Any] = {name: words[name] for name in ("version", "bootcount", "plan", "mode", "firmware", "element")}
    for place, row in enumerate(words["reasons"]):
        values.update({f"reasons/{place}/{name}": value for name, value in row.items()})
    for row in words["results"]:
        values.update({f"results/{row['device']}/{name}": value for name, value in row.items() if name != "device"})
    metrics = (_metric(name if named else "", alias, value) for alias, (name, value) in enumerate(values.items(), 1))
    payload = _varint_field(1, ISSUED_AT * 1000) + b"".join(_bytes_field(2, metric) for metric in metrics)
    return payload + _varint_field(3, words["sequence"])


def _metric(name: str, alias: int, value: bool | int | str) -> bytes:
    """Fields and data types of the specification's Metric: 4 Int64, 11 Boolean, 12 String."""
    metric = _bytes_field(1, name.encode()) if name else _varint_field(2, alias)
    if isinstance(value, bool):
        return metric + _varint_field(4, 11) + _varint_field(14, value)
    if isinstance(value, int):
        return metric + _varint_field(4, 4) + _varint_field(11, value)
    return metric + _varint_field(4, 12) + _bytes_field(15, value.encode())


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + struct.pack("B", number)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


class Form:
    """One way to say it. message: signed; sign: encodes and signs it anew; verify: verifies and decodes `message`, raises what is wrong."""

    def __init__(self, message: bytes, sign: Callable[[], object], verify: Callable[[], object]) -> None:
        self.message = message
        self.sign = sign
        self.verify = verify


def forms(key: ec.EllipticCurvePrivateKey, claims: Claims, words: dict[str, Any]) -> dict[str, Form]:
    """By name, all signed by that key. claims, words: the same content, in ours and in JSON's. Keys are loaded, and what can be prepared
    once is prepared, in each.
    """
    where = topic(ACQUIRER, TERMINAL, claims.kind.leaf)
    signer, verifier = Signer(key), Verifier()
    kid = key_id(signer.public_key)
    keys = {kid: signer.public_key}
    message = signer.sign(where, claims)
    found = {"reinstate": Form(message, lambda: signer.sign(where, claims), lambda: verifier.verify(where, message, keys))}

    public, ecdsa = key.public_key(), ec.ECDSA(SHA256())
    signature = key.sign(message, ecdsa)
    found["raw"] = Form(message, lambda: key.sign(message, ecdsa), lambda: public.verify(signature, message, ecdsa))
    found["cwt"] = _cose_form(key, kid, claims.to_map(), where)
    found["cwt_string_keys"] = _cose_form(key, kid, words, where)

    headers = {"kid": kid.hex()}
    token = jwt.encode(words, key, "ES256", headers=headers)
    options: Options = {"verify_iat": False, "verify_exp": False}  # the times are fixed ones
    found["pyjwt"] = Form(
        token.encode(),
        lambda: jwt.encode(words, key, "ES256", headers=headers),
        lambda: jwt.decode(token, public, algorithms=["ES256"], options=options),
    )
    return found


def _cose_form(key: ec.EllipticCurvePrivateKey, kid: bytes, content: dict[Any, Any], where: str) -> Form:
    """COSE_Sign1 by cwt, with the same headers and the topic as external_aad."""
    private = cwt.COSEKey.from_pem(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), alg="ES256", kid=kid)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public = cwt.COSEKey.from_pem(pem, alg="ES256", kid=kid)
    cose, aad, protected = cwt.COSE.new(), where.encode(), {1: -7, 4: kid}

    def sign() -> bytes:
        return bytes(cose.encode_and_sign(cbor2.dumps(content), private, protected=protected, external_aad=aad))

    message = sign()
    return Form(message, sign, lambda: cbor2.loads(cose.decode(message, public, external_aad=aad)))


def sizes(found: dict[str, Form]) -> dict[str, int]:
    """Bytes of the report in each form."""
    return {
        "reinstate": len(found["reinstate"].message),
        "jws": len(found["pyjwt"].message),
        "cose_integer_keys": len(found["cwt"].message),
        "cose_string_keys": len(found["cwt_string_keys"].message),
        "sparkplug": len(sparkplug(named=True)),
        "sparkplug_aliases": len(sparkplug(named=False)),
    }


def costs() -> dict[str, int]:
    """What the parts of our report cost, in bytes, the numbers and lengths before them included; all of it together."""
    claims = report()
    values = claims.to_map()
    proper = values.pop(CLAIM_MESSAGE)
    assert isinstance(proper, list)
    fields: dict[int, object] = proper[3]
    names = {field.number: field.name for field in claims.kind.fields}
    found = {names[number]: len(cbor.encode(number) + cbor.encode(value)) for number, value in fields.items()}
    found["sub, iat, boot count"] = len(cbor.encode(values)) - 1
    found["sequence"] = len(cbor.encode(claims.sequence))
    # The heads of the claims, of the message proper and of the body; the private claim's number; version and kind.
    found["version, kind, structure"] = 3 + len(cbor.encode(CLAIM_MESSAGE)) + 2
    signer = Signer(ec.derive_private_key(1, ec.SECP256R1()))
    found["headers, signature"] = len(signer.sign(topic(ACQUIRER, TERMINAL, "report"), claims)) - sum(found.values())
    return found


TIMED = ("reinstate", "raw", "cwt", "pyjwt")
WORK = (  # what is timed: the acquirer's two, and what only a terminal does, or a fleet of simulated ones
    ("verify_report", "verify and decode a report"),
    ("sign_order", "encode and sign an order"),
    ("sign_report", "encode and sign a report"),
)


def rates(calls: dict[str, Callable[[], object]], rounds: int, count: int) -> Iterator[dict[str, float]]:
    """Calls per second of this process's own time on a processor, one dictionary a round; in each round all take their turn, each time in
    another order, so that what slows the machine slows all.
    """
    names = list(calls)
    for call in calls.values():
        for _ in range(WARM_UP_CALLS):
            call()
    for place in range(rounds):
        turn = place % len(names)
        found = {}
        for name in names[turn:] + names[:turn]:
            call = calls[name]
            begin = time.process_time_ns()
            for _ in range(count):
                call()
            found[name] = count * 1e9 / max(1, time.process_time_ns() - begin)
        yield found


def measured(rounds: int, count: int) -> dict[str, Any]:
    """The whole document. rounds: of each work; count: calls of each form in a round."""
    key = ec.generate_private_key(ec.SECP256R1())
    said = {"report": forms(key, report(), report_in_words()), "order": forms(key, order(), order_in_words())}
    document: dict[str, Any] = {"bytes": sizes(said["report"]), "costs": costs()}
    for work, _ in WORK:
        operation, kind = work.split("_")
        calls = {name: getattr(said[kind][name], operation) for name in TIMED}
        figures = list(rates(calls, rounds, count))
        document[f"{work}_per_s"] = {name: round(statistics.median(figure[name] for figure in figures)) for name in TIMED}
        # Of the ratios in each round, not the ratio of the medians: what slowed a round slowed both.
        ratios = {name: statistics.median(figure["reinstate"] / figure[name] for figure in figures) for name in TIMED[1:]}
        document[f"{work}_ratio_to"] = {name: round(ratio, 3) for name, ratio in ratios.items()}
    packages = {name: version(name) for name in ("cryptography", "cwt", "cbor2", "PyJWT")}
    return {**document, "rounds": rounds, "calls": count, "python": platform.python_version(), "packages": packages}


def table(document: dict[str, Any]) -> Iterator[str]:
    """The document for people."""
    yield "bytes of one report"
    for name, size in document["bytes"].items():
        yield f"  {name:<20}{size:>8}"
    yield "of these, in ours: " + ", ".join(f"{name} {size}" for name, size in document["costs"].items())
    for work, what in WORK:
        yield f"{what}, a second and core, median of {document['rounds']} rounds of {document['calls']} calls"
        for name, rate in document[f"{work}_per_s"].items():
            ratio = document[f"{work}_ratio_to"].get(name)
            yield f"  {name:<20}{rate:>8}" + (f"   reinstate is {ratio:.2f} times as fast" if ratio is not None else "")
    yield f"Python {document['python']}, " + ", ".join(f"{name} {number}" for name, number in document["packages"].items())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Bytes of a signed report, and speed of reports and orders, beside other forms.")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--rounds", type=_positive, default=51, help="rounds of each work (default: %(default)s)")
    parser.add_argument("--calls", type=_positive, default=100, help="calls of each form in a round (default: %(default)s)")
    options = parser.parse_args(arguments)
    document = measured(options.rounds, options.calls)
    print(json.dumps(document, indent=2) if options.json else "\n".join(table(document)))
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
