"""Hostile orders against a running terminal, each with the word by which the terminal has to refuse it.

The bad forms of docs/wire-vectors.json are among them, signed with the key that this terminal trusts. Who attacks may publish on all of the
terminal's topics; some attacks are signed by the acquirer's own key: its thief, its slip, or a later version of it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

from firmware_agent.identity.trust import proof_digest
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import ALG_ES256, ALG_ESP256, MAX_LENGTH, CoseError, parse
from firmware_agent.messages.schema import BOOL, BYTES, CLAIM_MESSAGE, DOWN, KINDS, LIST, TEXT, UINT, UP, Kind, kind_named, topic
from firmware_agent.prevention.notices import MAX_NOTICES
from host_sim.attacks.siege import Attack, AttackError, sealed_envelope
from host_sim.attacks.terminal_siege import QUIET_S, TerminalSiege
from host_sim.world import ACQUIRER, NEIGHBOUR
from host_sim.world import TERMINAL as NAME

VECTORS = Path(__file__).parents[2] / "docs" / "wire-vectors.json"
ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # n of SEC 2, 2.4.2
CLOCKS_DIFFER_S = 3  # the acquirer tells whole seconds, and the way takes time; to the second it is judged in tests/core/test_inbound.py
FLOOD = 200

Play = Callable[[TerminalSiege], Awaitable[None]]
AnAttack = Attack[TerminalSiege]


def attacks() -> list[AnAttack]:
    """All of them, in the order in which they are played."""
    return [
        *_vectors(),
        *_forged(),
        *_altered(),
        *_algorithms(),
        *_moved(),
        *_malformed(),
        *_wrong_kinds(),
        *_not_to_be_done(),
        *_texts(),
        *_out_of_time(),
        *_replayed(),
        *_notices(),
        *_rebooted(),
        *_credentials(),
    ]


def _sends(make: Callable[[TerminalSiege], Awaitable[tuple[str, bytes]]]) -> Play:
    async def play(siege: TerminalSiege) -> None:
        await siege.publish(*await make(siege))

    return play


def _says(kind: str, body: dict[str, Any], **changes: Any) -> Play:
    """A message with the acquirer's own signature."""

    async def play(siege: TerminalSiege) -> None:
        await siege.publish(*await siege.signed(kind, body, **changes))

    return play


def _orders(**body: Any) -> Play:
    return _says("order", body)


# The vectors.


def _vectors() -> Iterator[AnAttack]:
    """What is bad in itself, and does not hang on time, sequence or key. A good envelope gets a signature that holds here."""
    try:
        document = json.loads(VECTORS.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AttackError(f"{VECTORS}: no test vectors here; they are in the repository, not in the installed package") from error
    for vector in document["vectors"]:
        refusal = vector.get("receipt", "")
        if vector["refusal"] in ("unknown_key", "bad_signature") or refusal in ("", "expired", "from_the_future", "replayed"):
            continue
        name = vector["name"].replace(": ", ".").replace(" ", "_")
        yield Attack(f"terminal.vector.{name}", refusal, _vector(vector["topic"], bytes.fromhex(vector["message"])))


def _vector(where: str, message: bytes) -> Play:
    async def play(siege: TerminalSiege) -> None:
        try:
            payload = parse(message).payload
        except CoseError:
            await siege.publish(where, message)
        else:
            await siege.publish(where, await siege.hand.sign(payload, where))

    return play


# Forged.


def _forged() -> Iterator[AnAttack]:
    suspend = {"action": "suspend", "reason": "compliance"}

    def by(make: Callable[[TerminalSiege, bytes], Awaitable[bytes]]) -> Play:
        async def play(siege: TerminalSiege) -> None:
            await siege.publish(siege.where(), await make(siege, encode(siege.claims(body=suspend).to_map())))

        return play

    def with_signature(change: Callable[[int, int], tuple[int, int]]) -> Play:
        async def make(siege: TerminalSiege, payload: bytes) -> bytes:
            protected, unprotected, _, signature = decode(await siege.hand.sign(payload, siege.where())).value
            r, s = change(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            return sealed_envelope(protected, unprotected, payload, r.to_bytes(32, "big") + s.to_bytes(32, "big"))

        return by(make)

    async def stranger(siege: TerminalSiege, payload: bytes) -> bytes:
        return await siege.stranger.sign(payload, siege.where())

    def with_kid(kid: Callable[[TerminalSiege], bytes], by_stranger: bool) -> Play:
        async def make(siege: TerminalSiege, payload: bytes) -> bytes:
            hand = siege.stranger if by_stranger else siege.hand
            return await hand.sign(payload, siege.where(), {1: ALG_ESP256, 4: kid(siege)})

        return by(make)

    async def key_in_header(siege: TerminalSiege, payload: bytes) -> bytes:
        x, y = siege.stranger.public_key[:32], siege.stranger.public_key[32:]
        own_key = {1: 2, -1: 1, -2: x, -3: y}  # COSE_Key (RFC 9052, 7): it may not vouch for itself
        return await siege.stranger.sign(payload, siege.where(), unprotected={-1: own_key})

    async def transplanted(siege: TerminalSiege, payload: bytes) -> bytes:
        protected, unprotected, _, signature = decode((await siege.signed())[1]).value
        return sealed_envelope(protected, unprotected, payload, signature)

    async def another_context(siege: TerminalSiege, payload: bytes) -> bytes:
        return await siege.hand.sign(payload, "")

    n = ORDER_OF_P256
    yield Attack("terminal.forged.other_key", "unknown_key", by(stranger))
    yield Attack("terminal.forged.borrowed_kid", "bad_signature", with_kid(lambda siege: siege.hand.kid, True))
    yield Attack("terminal.forged.empty_kid", "unknown_key", with_kid(lambda siege: b"", False))
    yield Attack("terminal.forged.kid_is_the_key", "unknown_key", with_kid(lambda siege: siege.hand.public_key, False))
    yield Attack("terminal.forged.key_in_header", "unknown_key", by(key_in_header))
    yield Attack("terminal.forged.transplanted_signature", "bad_signature", by(transplanted))
    yield Attack("terminal.forged.signed_for_no_topic", "bad_signature", by(another_context))
    yield Attack("terminal.forged.zero_signature", "bad_signature", with_signature(lambda r, s: (0, 0)))
    yield Attack("terminal.forged.r_zero", "bad_signature", with_signature(lambda r, s: (0, s)))
    yield Attack("terminal.forged.s_zero", "bad_signature", with_signature(lambda r, s: (r, 0)))
    yield Attack("terminal.forged.r_is_n", "bad_signature", with_signature(lambda r, s: (n, s)))
    yield Attack("terminal.forged.s_is_n", "bad_signature", with_signature(lambda r, s: (r, n)))
    yield Attack("terminal.forged.r_and_s_one", "bad_signature", with_signature(lambda r, s: (1, 1)))
    yield Attack("terminal.forged.all_ones", "bad_signature", with_signature(lambda r, s: (2**256 - 1, 2**256 - 1)))
    yield Attack("terminal.forged.exchanged", "bad_signature", with_signature(lambda r, s: (s, r)))
    yield Attack("terminal.forged.negated_r", "bad_signature", with_signature(lambda r, s: (n - r, s)))


def _altered() -> Iterator[AnAttack]:
    """After it was signed: each claim, each field, the headers."""
    body = {
        "action": "suspend",
        "reason": "violation",
        "until": 1893456000,
        "case": "C-1",
        "note": "a note",
        "probation_s": 60,
        "plan": "daily",
        "badge": "T-1",
        "since": 1,
        "text": "text",
        "settings": [["language", "en"]],
        "key": bytes(64),
        "proof": bytes(64),
        "key_id": bytes(8),
    }
    claims: dict[str, Callable[[dict[int, Any]], object]] = {
        "issuer": lambda said: said.update({1: "acq2"}),
        "subject": lambda said: said.update({2: NEIGHBOUR}),
        "expires": lambda said: said.update({4: said[4] + 1}),
        "issued_at": lambda said: said.update({6: said[6] - 1}),
        "expires_gone": lambda said: said.pop(4),
        "claim_added": lambda said: said.update({7: b"cti"}),
        "sequence": lambda said: said[CLAIM_MESSAGE].__setitem__(2, said[CLAIM_MESSAGE][2] + 1000),
        "field_added": lambda said: said[CLAIM_MESSAGE][3].update({99: 1}),
        "kind": lambda said: said.update({CLAIM_MESSAGE: [1, 19, said[CLAIM_MESSAGE][2], {1: bytes(8)}]}),
    }
    others: dict[type, Callable[[Any], object]] = {
        str: lambda value: value + "x",
        int: lambda value: value + 1,
        bytes: lambda value: value[:-1] + bytes([value[-1] ^ 1]),
        list: lambda value: [["language", "zh-CN"]],
    }

    def altered(change: Callable[[dict[int, Any]], object]) -> Play:
        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            where, message = await siege.signed(body=body)
            protected, unprotected, payload, signature = decode(message).value
            said = decode(payload)
            change(said)
            return where, sealed_envelope(protected, unprotected, encode(said), signature)

        return _sends(make)

    def field(number: int) -> Callable[[dict[int, Any]], object]:
        def change(said: dict[int, Any]) -> None:
            fields = said[CLAIM_MESSAGE][3]
            fields[number] = others[type(fields[number])](fields[number])

        return change

    def other_header(header: Callable[[TerminalSiege], dict[int, Any]]) -> Play:
        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            where, message = await siege.signed(body=body)
            _, unprotected, payload, signature = decode(message).value
            return where, sealed_envelope(encode(header(siege)), unprotected, payload, signature)

        return _sends(make)

    for name, change in claims.items():
        yield Attack(f"terminal.altered.{name}", "bad_signature", altered(change))
    for known in kind_named("order").fields:
        yield Attack(f"terminal.altered.order.{known.name}", "bad_signature", altered(field(known.number)))
    yield Attack("terminal.altered.alg", "bad_signature", other_header(lambda siege: {1: ALG_ES256, 4: siege.hand.kid}))
    yield Attack("terminal.altered.kid", "unknown_key", other_header(lambda siege: {1: ALG_ESP256, 4: siege.stranger.kid}))
    yield Attack("terminal.altered.header_added", "bad_signature", other_header(lambda siege: {1: ALG_ESP256, 4: siege.hand.kid, 3: 0}))


def _algorithms() -> Iterator[AnAttack]:
    def header(make: Callable[[bytes], dict[int, Any]], unprotected: dict[int, Any] | None = None) -> Play:
        async def sent(siege: TerminalSiege) -> tuple[str, bytes]:
            payload = encode(siege.claims().to_map())
            return siege.where(), await siege.hand.sign(payload, siege.where(), make(siege.hand.kid), unprotected)

        return _sends(sent)

    def alg(number: Any) -> Play:
        return header(lambda kid: {1: number, 4: kid})

    async def by_public_key(siege: TerminalSiege) -> tuple[str, bytes]:
        """A MAC under what everybody knows: the public key."""
        payload, where = encode(siege.claims().to_map()), siege.where()
        protected = encode({1: 7, 4: siege.hand.kid})  # HMAC 512/512, 64 bytes as a signature has
        tag = hmac.digest(siege.hand.public_key, encode(["Signature1", protected, where.encode(), payload]), sha512)
        return where, sealed_envelope(protected, {}, payload, tag)

    names = {"eddsa": -8, "es384": -35, "es512": -36, "ps256": -37, "es256k": -47, "hmac_256": 5, "zero": 0, "reserved": -65536}
    for name, number in names.items():
        yield Attack(f"terminal.algorithm.{name}", "algorithm", alg(number))
    yield Attack("terminal.algorithm.null", "algorithm", alg(None))
    yield Attack("terminal.algorithm.none_by_name", "algorithm", alg("none"))
    yield Attack("terminal.algorithm.missing", "algorithm", header(lambda kid: {4: kid}))
    yield Attack("terminal.algorithm.unprotected", "algorithm", header(lambda kid: {4: kid}, {1: ALG_ESP256}))
    yield Attack("terminal.algorithm.in_both_headers", "header_twice", header(lambda kid: {1: ALG_ESP256, 4: kid}, {1: 5}))
    yield Attack("terminal.algorithm.hmac_by_the_public_key", "algorithm", _sends(by_public_key))


def _moved() -> Iterator[AnAttack]:
    """Signed by the acquirer, for another place."""

    def from_leaf(leaf: str) -> Play:
        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            return topic(ACQUIRER, NAME, leaf), (await siege.signed())[1]

        return _sends(make)

    def elsewhere(acquirer: str, terminal: str, said: dict[str, Any]) -> Play:
        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            payload = encode(siege.claims(**said).to_map())
            return siege.where(), await siege.hand.sign(payload, topic(acquirer, terminal, "order"))

        return _sends(make)

    for kind in KINDS:
        if kind.direction == DOWN and kind.name != "order":
            yield Attack(f"terminal.moved.order_to_{kind.leaf}", "wrong_topic", from_leaf(kind.leaf))
    yield Attack("terminal.moved.from_another_terminal", "wrong_terminal", elsewhere(ACQUIRER, NEIGHBOUR, {"subject": NEIGHBOUR}))
    yield Attack("terminal.moved.from_another_acquirer", "wrong_topic", elsewhere("acq2", NAME, {"issuer": "acq2"}))
    yield Attack("terminal.moved.signed_for_another_terminal", "bad_signature", elsewhere(ACQUIRER, NEIGHBOUR, {}))
    yield Attack("terminal.moved.says_another_terminal", "wrong_terminal", elsewhere(ACQUIRER, NAME, {"subject": NEIGHBOUR}))
    yield Attack("terminal.moved.says_another_acquirer", "wrong_terminal", elsewhere(ACQUIRER, NAME, {"issuer": "acq2"}))
    yield Attack("terminal.moved.says_no_acquirer", "wrong_terminal", elsewhere(ACQUIRER, NAME, {"issuer": ""}))


def _malformed() -> Iterator[AnAttack]:
    def cut(length: Callable[[int], int]) -> Play:
        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            where, message = await siege.signed()
            return where, message[: length(len(message))]

        return _sends(make)

    def raw(message: bytes) -> Play:
        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            return siege.where(), message

        return _sends(make)

    def filled(length: int) -> Play:
        """A good order, with a field that nobody knows."""

        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            claims = siege.claims()
            claims.unknown = {99: b""}
            short = len(await siege.hand.sign(encode(claims.to_map()), siege.where()))
            for more in range(length - short - 8, length - short + 1):
                claims.unknown = {99: bytes(more)}
                message = await siege.hand.sign(encode(claims.to_map()), siege.where())
                if len(message) == length:
                    return siege.where(), message
            raise AttackError(f"no filling makes {length} bytes")

        return _sends(make)

    def payload(change: Callable[[bytes], bytes]) -> Play:
        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            return siege.where(), await siege.hand.sign(change(encode(siege.claims().to_map())), siege.where())

        return _sends(make)

    places = {
        "one_byte": lambda length: 1,
        "tag_and_list": lambda length: 2,
        "in_the_header": lambda length: 8,
        "after_the_header": lambda length: 17,
        "payload_head_only": lambda length: 19,
        "in_the_payload": lambda length: length // 2,
        "before_the_signature": lambda length: length - 66,
        "signature_head_only": lambda length: length - 64,
        "in_the_signature": lambda length: length - 32,
        "without_the_last_byte": lambda length: length - 1,
    }
    for name, place in places.items():
        yield Attack(f"terminal.half_written.{name}", "malformed", cut(place))
    yield Attack("terminal.size.one_byte_too_many", "too_long", filled(MAX_LENGTH + 1))
    yield Attack("terminal.size.the_broker_lets_through", "too_long", filled(65536))
    yield Attack("terminal.size.zeros", "too_long", raw(bytes(MAX_LENGTH + 1)))
    yield Attack("terminal.nesting.lists", "malformed", raw(b"\x81" * MAX_LENGTH))
    yield Attack("terminal.nesting.tags", "malformed", raw(b"\xd2" * MAX_LENGTH))
    yield Attack("terminal.nesting.maps", "malformed", raw(b"\xa1\x00" * (MAX_LENGTH // 2)))
    yield Attack("terminal.nesting.in_the_payload", "malformed", payload(lambda said: b"\x81" * 3000 + said))
    yield Attack("terminal.items.in_the_envelope", "malformed", raw(b"\x99\x0f\x00" + bytes(0x0F00)))
    yield Attack("terminal.items.in_the_payload", "malformed", payload(lambda said: b"\x99\x0e\x00" + bytes(0x0E00)))
    yield Attack("terminal.items.endless", "malformed", raw(b"\x9f" * MAX_LENGTH))
    yield Attack("terminal.noise.text", "malformed", raw(b'{"action": "lift"}'))
    yield Attack("terminal.noise.random", "malformed", raw(sha256(b"noise").digest() * 100))


def _wrong_kinds() -> Iterator[AnAttack]:
    def sent_down(kind: Kind) -> Play:
        """On the order's topic: the broker lets nobody write the terminal's own. It says the least that such a message may say."""
        some: dict[str, Any] = {UINT: 1, TEXT: "x", BYTES: bytes(8), BOOL: False, LIST: []}
        body = {field.name: field.words[0] if field.words else some[field.type] for field in kind.fields if field.required}

        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            return siege.where(), await siege.hand.sign(encode(siege.claims(kind.name, body).to_map()), siege.where())

        return _sends(make)

    def proper(change: Callable[[list[Any]], object]) -> Play:
        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            said: dict[int, Any] = siege.claims().to_map()
            change(said[CLAIM_MESSAGE])
            return siege.where(), await siege.hand.sign(encode(said), siege.where())

        return _sends(make)

    for kind in KINDS:
        if kind.direction == UP:
            yield Attack(f"terminal.sent_down.{kind.name}", "wrong_direction", sent_down(kind))
    yield Attack("terminal.version.later", "version", proper(lambda message: message.__setitem__(0, 2)))
    yield Attack("terminal.version.zero", "version", proper(lambda message: message.__setitem__(0, 0)))
    yield Attack("terminal.kind.between_up_and_down", "unknown_kind", proper(lambda message: message.__setitem__(1, 15)))
    yield Attack("terminal.kind.far_off", "unknown_kind", proper(lambda message: message.__setitem__(1, 2**40)))
    yield Attack("terminal.field.critical", "critical_field", proper(lambda message: message[3].update({-7: True})))
    yield Attack("terminal.field.mistyped", "malformed", proper(lambda message: message[3].update({11: "language=en"})))


def _not_to_be_done() -> Iterator[AnAttack]:
    """Good messages of the acquirer, or of his key's thief, that ask for what is not done."""

    def trust(make: Callable[[TerminalSiege], Awaitable[dict[str, Any]]]) -> Play:
        async def sent(siege: TerminalSiege) -> tuple[str, bytes]:
            return await siege.signed(body=await make(siege))

        return _sends(sent)

    async def no_proof(siege: TerminalSiege) -> dict[str, Any]:
        return {"action": "trust_key", "key": siege.stranger.public_key}

    async def proof_by_the_old_key(siege: TerminalSiege) -> dict[str, Any]:
        proof = await siege.hand.element.sign(siege.hand.slot, proof_digest(ACQUIRER, siege.stranger.public_key))
        return {"action": "trust_key", "key": siege.stranger.public_key, "proof": proof}

    async def proof_for_another_acquirer(siege: TerminalSiege) -> dict[str, Any]:
        proof = await siege.stranger.element.sign(siege.stranger.slot, proof_digest("acq2", siege.stranger.public_key))
        return {"action": "trust_key", "key": siege.stranger.public_key, "proof": proof}

    async def no_point(siege: TerminalSiege) -> dict[str, Any]:
        return {"action": "trust_key", "key": b"\x01" * 64, "proof": bytes(64)}

    async def retire_itself(siege: TerminalSiege) -> dict[str, Any]:
        return {"action": "retire_key", "key_id": siege.hand.kid}

    async def retire_nobody(siege: TerminalSiege) -> dict[str, Any]:
        return {"action": "retire_key", "key_id": siege.stranger.kid}

    async def replace_another(siege: TerminalSiege) -> dict[str, Any]:
        return {"action": "replace", "key_id": siege.stranger.kid}

    yield Attack("terminal.trust_key.without_proof", "key_refused", trust(no_proof))
    yield Attack("terminal.trust_key.proof_by_the_old_key", "key_refused", trust(proof_by_the_old_key))
    yield Attack("terminal.trust_key.proof_for_another_acquirer", "key_refused", trust(proof_for_another_acquirer))
    yield Attack("terminal.trust_key.no_point_on_the_curve", "key_refused", trust(no_point))
    yield Attack("terminal.retire_key.the_last_by_itself", "key_refused", trust(retire_itself))
    yield Attack("terminal.retire_key.nobody's", "key_refused", trust(retire_nobody))
    yield Attack("terminal.replace.another_device", "wrong_terminal", trust(replace_another))
    yield Attack("terminal.action.unknown", "unknown_action", _orders(action="format_flash"))
    yield Attack("terminal.action.empty", "unknown_action", _orders(action=""))
    yield Attack("terminal.suspend.unknown_reason", "unknown_action", _orders(action="suspend", reason="revenge"))
    yield Attack("terminal.lift.no_reason", "unknown_action", _orders(action="lift"))
    yield Attack("terminal.self_test.unknown_plan", "unknown_action", _orders(action="self_test", plan="../../etc"))
    yield Attack("terminal.unlock.nothing_locked", "not_locked", _orders(action="unlock"))
    yield Attack("terminal.status.unknown", "unknown_action", _says("status", {"application": 1, "status": "granted"}))
    yield Attack("terminal.audited.no_entry", "unknown_action", _says("audited", {"count": 0, "head": bytes(32)}))
    yield Attack("terminal.audited.no_head", "unknown_action", _says("audited", {"count": 1, "head": bytes(31)}))
    yield Attack("terminal.audited.count_overflows", "unknown_action", _says("audited", {"count": 2**48 - 1, "head": bytes(32)}))
    settings: dict[str, list[Any]] = {
        "unknown": [["root_password", "x"]],
        "of_the_store": [["../identity", "x"]],
        "twice": [["language", "en"], ["language", "zh-CN"]],
        "bad_value": [["language", "tlh"]],
        "good_and_bad": [["language", "zh-CN"], ["utc_offset_min", "99999"]],
        "short_password": [["ssid", "shop"], ["password", "short"]],
        "not_pairs": ["language"],
        "numbers": [["language", 1]],
        "none": [],
    }
    for name, values in settings.items():
        yield Attack(f"terminal.configure.{name}", "wrong_setting", _orders(action="configure", settings=values))


def _texts() -> Iterator[AnAttack]:
    """Texts for people that are not what they look like."""
    hostile = {
        "escape_sequence": "pay \x1b[2J here",
        "null": "a\x00b",
        "right_to_left": "call \u202e69559",
        "isolate": "\u2066hidden\u2069",
        "zero_width": "a\u200bb",
        "delete": "a\x7fb",
        "c1_control": "a\x9bb",
    }
    for name, text in hostile.items():
        yield Attack(f"terminal.text.notice.{name}", "wrong_text", _says("notice", {"notice": 66, "about": "fee", "text": text}))
    yield Attack("terminal.text.notice.empty", "wrong_text", _says("notice", {"notice": 66, "about": "fee", "text": "  "}))
    override = hostile["right_to_left"]
    yield Attack("terminal.text.message", "wrong_text", _orders(action="message", text=override))
    yield Attack("terminal.text.case", "wrong_text", _orders(action="suspend", reason="violation", case=override))
    yield Attack("terminal.text.note", "wrong_text", _orders(action="suspend", reason="violation", note=override))
    yield Attack("terminal.text.remark", "wrong_text", _says("status", {"application": 1, "status": "approved", "remark": override}))
    yield Attack("terminal.text.contact_name", "wrong_setting", _orders(action="configure", settings=[["contact_name", override]]))


def _out_of_time() -> Iterator[AnAttack]:
    def dated(kind: str = "order", **offsets_s: int) -> Play:
        """offsets_s: of a claim, from now."""

        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            return await siege.signed(kind, body[kind], **{name: siege.now_s + offset for name, offset in offsets_s.items()})

        return _sends(make)

    def window(since: int, until_s: int) -> Play:
        async def make(siege: TerminalSiege) -> tuple[str, bytes]:
            now_s = siege.now_s
            return await siege.signed(body={"action": "maintenance", "since": now_s + since, "until": now_s + until_s, "text": "x"})

        return _sends(make)

    body: dict[str, dict[str, Any]] = {"order": {"action": "lift", "reason": "violation"}, "answer": {"nonce": bytes(8)}}
    day = 86400
    yield Attack("terminal.time.expired", "expired", dated(expires=-60))
    yield Attack("terminal.time.expired_a_moment_ago", "expired", dated(expires=-CLOCKS_DIFFER_S))
    yield Attack("terminal.time.expired_years_ago", "expired", dated(issued_at=-3 * 365 * day, expires=-2 * 365 * day))
    yield Attack("terminal.time.from_the_future", "from_the_future", dated(issued_at=660, expires=7200))
    yield Attack("terminal.time.from_the_next_century", "from_the_future", dated(issued_at=100 * 365 * day, expires=101 * 365 * day))
    later = {"issued_at": 10 * 365 * day, "expires": 11 * 365 * day}
    yield Attack("terminal.time.answer_from_the_future", "from_the_future", dated("answer", **later))
    yield Attack("terminal.maintenance.ends_before_it_begins", "wrong_time", window(7200, 3600))
    yield Attack("terminal.maintenance.is_over", "wrong_time", window(-7200, -3600))
    yield Attack("terminal.maintenance.takes_a_year", "wrong_time", window(3600, 300 * day))
    yield Attack("terminal.maintenance.in_two_years", "wrong_time", window(730 * day, 730 * day + 60))


def _replayed() -> Iterator[AnAttack]:
    """Good messages, once more, or in another order."""

    async def obeyed(siege: TerminalSiege, message: tuple[str, bytes]) -> None:
        """It is obeyed before the attack begins."""
        siege.begin()
        await siege.publish(*message)
        await siege.heard("accepted ")
        siege.begin()

    def after(make: Callable[[TerminalSiege, int, bytes], Awaitable[bytes]]) -> Play:
        """What is made of an order that was obeyed, and its sequence."""

        async def play(siege: TerminalSiege) -> None:
            sequence = siege.next_sequence
            where, message = await siege.signed(sequence=sequence)
            await obeyed(siege, (where, message))
            await siege.publish(where, await make(siege, sequence, message))

        return play

    async def same_bytes(siege: TerminalSiege, sequence: int, message: bytes) -> bytes:
        return message

    async def same_sequence(siege: TerminalSiege, sequence: int, message: bytes) -> bytes:
        return (await siege.signed(body={"action": "lift", "reason": "violation"}, sequence=sequence))[1]

    async def lower_sequence(siege: TerminalSiege, sequence: int, message: bytes) -> bytes:
        return (await siege.signed(body={"action": "suspend", "reason": "violation"}, sequence=sequence - 1))[1]

    async def first_sequence(siege: TerminalSiege, sequence: int, message: bytes) -> bytes:
        return (await siege.signed(body={"action": "suspend", "reason": "violation"}, sequence=1))[1]

    async def other_signature(siege: TerminalSiege, sequence: int, message: bytes) -> bytes:
        """n - s holds where s does: whoever has one signature can make the other."""
        protected, unprotected, payload, signature = decode(message).value
        s = ORDER_OF_P256 - int.from_bytes(signature[32:], "big")
        return sealed_envelope(protected, unprotected, payload, signature[:32] + s.to_bytes(32, "big"))

    async def dressed_up(siege: TerminalSiege, sequence: int, message: bytes) -> bytes:
        """What is not signed may be anything; so the bytes, and the name in the receipt, are others."""
        protected, _, payload, signature = decode(message).value
        return sealed_envelope(protected, {33: b"x"}, payload, signature)

    async def at_once(siege: TerminalSiege) -> None:
        message = await siege.signed()
        await asyncio.gather(siege.publish(*message), siege.publish(*message))

    async def reordered(siege: TerminalSiege) -> None:
        five, six = await siege.signed(), await siege.signed()
        await siege.publish(*six)
        await siege.publish(*five)

    async def retained(siege: TerminalSiege) -> None:
        """It lies with the broker, who gives it to the terminal at each new subscription."""
        where, message = await siege.signed()
        siege.begin()
        await siege.publish(where, message, retain=True)
        await siege.heard("accepted ")
        siege.begin()
        await siege.reconnect()
        await siege.heard("refused: ")
        await asyncio.sleep(QUIET_S)  # it may come more than once

    async def emptied(siege: TerminalSiege) -> None:
        """What lay there is taken away by an empty one, which the terminal gets as well."""
        await siege.publish(siege.where(), b"", retain=True)

    async def flood(siege: TerminalSiege) -> None:
        where = siege.where()
        forged = [await siege.stranger.sign(encode(siege.claims(sequence=2**40 + number).to_map()), where) for number in range(8)]
        for number in range(FLOOD):
            await siege.publish(where, forged[number % len(forged)])

    yield Attack("terminal.replayed.same_bytes", "replayed", after(same_bytes))
    yield Attack("terminal.replayed.same_sequence_other_body", "replayed", after(same_sequence))
    yield Attack("terminal.replayed.lower_sequence", "replayed", after(lower_sequence))
    yield Attack("terminal.replayed.first_sequence", "replayed", after(first_sequence))
    yield Attack("terminal.replayed.other_signature_that_holds", "replayed", after(other_signature))
    yield Attack("terminal.replayed.other_unsigned_header", "replayed", after(dressed_up))
    yield Attack("terminal.replayed.twice_at_once", "replayed", at_once, obeyed=1)
    yield Attack("terminal.replayed.six_before_five", "replayed", reordered, obeyed=1)
    yield Attack("terminal.retained.delivered_again", "replayed", retained)
    yield Attack("terminal.retained.taken_away", "malformed", emptied)
    yield Attack("terminal.flood.forgeries", "unknown_key", flood, times=FLOOD)


def _credentials() -> Iterator[AnAttack]:
    def answer(number: int, pending: bool) -> Play:
        """Certificates of the right authority, and the right name, for keys of the attacker's."""

        async def play(siege: TerminalSiege) -> None:
            await timed(siege)
            if pending:
                await applied(siege)
            key = siege.stranger.public_key
            certificate = siege.shop.authority.client(NAME, key).certificate_der
            body = {"application": number, "certificate": certificate, "transport_certificate": certificate}
            await siege.publish(*await siege.signed("credentials", body))

        return play

    async def timed(siege: TerminalSiege) -> None:
        """The attacks before left it without the time."""
        if siege.knows_no_time:
            siege.knows_no_time = False
            if not await siege.serves():
                raise AttackError("the terminal that lost the time obeys nothing though it was told")
            siege.begin()

    async def no_certificates(siege: TerminalSiege) -> None:
        await timed(siege)
        body = {"application": 1, "certificate": b"\x30\x00", "transport_certificate": b""}
        await siege.publish(*await siege.signed("credentials", body))

    async def applied(siege: TerminalSiege) -> None:
        """By the acquirer's order the terminal has applied for new certificates, and he is slow to answer."""
        if "registration" in siege.flash():
            return
        siege.begin()
        await siege.publish(*await siege.signed(body={"action": "rotate_key"}))
        await siege.heard("sent application ")
        siege.begin()

    yield Attack("terminal.credentials.nobody_asked", "unknown_action", answer(1, False))
    yield Attack("terminal.credentials.for_the_attacker's_key", "unknown_action", answer(1, True))
    yield Attack("terminal.credentials.of_another_application", "unknown_action", answer(2, True))
    yield Attack("terminal.credentials.no_certificates", "unknown_action", no_certificates)


def _notices() -> Iterator[AnAttack]:
    async def too_many(siege: TerminalSiege) -> None:
        for number in range(MAX_NOTICES):
            siege.begin()
            await siege.publish(*await siege.signed("notice", {"notice": 100 + number, "about": "message", "text": "one more"}))
            await siege.heard("accepted ")
        siege.begin()
        await siege.publish(*await siege.signed("notice", {"notice": 99, "about": "message", "text": "one too many"}))

    yield Attack("terminal.notice.is_over", "wrong_time", _says("notice", {"notice": 66, "about": "fee", "text": "x", "until": 1}))
    yield Attack("terminal.notice.one_too_many", "too_many", too_many)


def _rebooted() -> Iterator[AnAttack]:
    """What the terminal must not have forgotten, and what it cannot judge before the acquirer has told the time."""

    async def replayed(siege: TerminalSiege) -> None:
        message = await siege.signed()
        siege.begin()
        await siege.publish(*message)
        await siege.heard("accepted ")
        await asyncio.sleep(QUIET_S)  # for what it does behind that
        await siege.reboot()
        siege.begin()
        await siege.publish(*message)

    def without_time(kind: str, body: dict[str, Any]) -> Play:
        async def play(siege: TerminalSiege) -> None:
            if not siege.knows_no_time:
                await siege.reboot(without_time=True)
            siege.begin()
            await siege.publish(*await siege.signed(kind, body))

        return play

    yield Attack("terminal.replayed.across_a_reboot", "replayed", replayed)
    yield Attack("terminal.time.unknown.order", "time_unknown", without_time("order", {"action": "lift", "reason": "violation"}))
    yield Attack("terminal.time.unknown.answer_nobody_asked", "time_unknown", without_time("answer", {"nonce": bytes(8)}))
    yield Attack("terminal.time.unknown.audited", "time_unknown", without_time("audited", {"count": 1, "head": bytes(32)}))
