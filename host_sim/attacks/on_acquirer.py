"""What a hostile or cloned terminal sends to the acquirer, each with the word by which the acquirer has to refuse it.

Besides the acquirer's own words: 'duplicate' is a message that it has already, counted and dropped; 'no_effect' one that the terminal's key
has signed, kept as what that terminal said, from which nothing follows; 'not_let_through' one that the broker's rules keep from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from firmware_agent.identity.activation import CODE_DIGITS, check_digit
from firmware_agent.identity.der import certification_request
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import ALG_ESP256, MAX_LENGTH
from firmware_agent.messages.schema import CLAIM_MESSAGE, topic
from firmware_agent.messages.sealed import seal
from host_sim.acquirer.activation import TRIES_OF_A_DEVICE
from host_sim.attacks.acquirer_siege import DEVICE, HOSTILE, LIMIT_S, NOBODY, VICTIM, AcquirerSiege
from host_sim.attacks.siege import Attack, AttackError, Hand, sealed_envelope, until
from host_sim.world import ACQUIRER

STATE = {"mode": "in_service", "status": "OPER", "link": "online", "connection": 0, "reasons": []}
Make = Callable[[AcquirerSiege], Awaitable[tuple[str, bytes]]]
Play = Callable[[AcquirerSiege], Awaitable[None]]
AnAttack = Attack[AcquirerSiege]


def attacks() -> list[AnAttack]:
    """All of them, in the order in which they are played."""
    return [*_in_anothers_name(), *_misplaced(), *_repeated(), *_forms(), *_keys(), *_activations()]


def _sends(make: Make) -> Play:
    async def play(siege: AcquirerSiege) -> None:
        await siege.publish(*await make(siege))

    return play


EVENT = {"name": "signed_on", "detail": "x"}


def _in_anothers_name() -> Iterator[AnAttack]:
    def of_victim(hand: str, kid: str = "") -> Play:
        async def make(siege: AcquirerSiege) -> tuple[str, bytes]:
            where, signer = topic(ACQUIRER, VICTIM, "state"), siege.hands[hand]
            payload = encode(siege.claims(VICTIM, "state", {**STATE, "mode": "out_of_order"}).to_map())
            return where, await signer.sign(payload, where, {1: ALG_ESP256, 4: siege.hands[kid or hand].kid})

        return _sends(make)

    async def by_the_broker(siege: AcquirerSiege) -> None:
        """With its own certificate on the victim's topic. What the honest say behind it is heard, and nothing of this."""
        where, message = await siege.said(VICTIM, "event", EVENT)
        kept, refused = siege.acquirer.registry.count(), len(siege.acquirer.refused)
        await siege.publish(where, message, user=HOSTILE)
        if not await siege.serves() or (siege.acquirer.registry.count(), len(siege.acquirer.refused)) != (kept + 1, refused):
            raise AttackError("the broker let a terminal speak on another's topic")
        siege.begin()
        siege.own_words.append("not_let_through")

    async def subject(siege: AcquirerSiege) -> tuple[str, bytes]:
        return await siege.said(HOSTILE, "event", EVENT, subject=VICTIM)

    async def revoked(siege: AcquirerSiege) -> tuple[str, bytes]:
        """Another device has taken the victim's place; who has the first one's key goes on to speak."""
        former = siege.hands[VICTIM]
        siege.hands[VICTIM] = await Hand.new(siege.folder / "victim-2")
        siege.acquirer.enrol(VICTIM, siege.hands[VICTIM].public_key)
        siege.begin()
        return await siege.said(VICTIM, "event", EVENT, former)

    async def renewed(siege: AcquirerSiege) -> tuple[str, bytes]:
        """The victim has certificates for a new key, and uses it; the old one signs what would be newer."""
        former = siege.hands[VICTIM]
        new = siege.hands[VICTIM] = await Hand.new(siege.folder / "victim-3")
        with siege.acquirer.registry.entry(VICTIM) as entry:
            entry.issue_key(new.public_key)
        await siege.taken(await siege.said(VICTIM, "event", EVENT))
        siege.begin()
        return await siege.said(VICTIM, "event", EVENT, former)

    async def order_in_flight(siege: AcquirerSiege) -> bytes:
        """Sent to the victim, and not answered: the name that its receipt would bear."""
        registry = siege.acquirer.registry
        if not registry.open_orders(VICTIM):
            await siege.acquirer.order(VICTIM, action="suspend", reason="violation")
        await until(lambda: bool(registry.open_orders(VICTIM)[0].name), "an order that is sent", LIMIT_S)
        siege.begin()
        return registry.open_orders(VICTIM)[0].name

    async def receipt_for_another(siege: AcquirerSiege) -> tuple[str, bytes]:
        return await siege.said(HOSTILE, "receipt", {"of": await order_in_flight(siege), "result": "SUCC", "highest": 1})

    async def receipt_in_anothers_name(siege: AcquirerSiege) -> tuple[str, bytes]:
        body = {"of": await order_in_flight(siege), "result": "SUCC", "highest": 1}
        return await siege.said(VICTIM, "receipt", body, siege.hands[HOSTILE])

    async def receipt_for_nothing(siege: AcquirerSiege) -> tuple[str, bytes]:
        return await siege.said(HOSTILE, "receipt", {"of": b"\x01" * 16, "result": "SUCC", "highest": 2**48 - 1})

    async def unknown(siege: AcquirerSiege) -> tuple[str, bytes]:
        return await siege.said(NOBODY, "event", EVENT)

    yield Attack("acquirer.other_terminal.by_the_broker", "not_let_through", by_the_broker)
    yield Attack("acquirer.other_terminal.own_key", "unknown_key", of_victim(HOSTILE))
    yield Attack("acquirer.other_terminal.stolen_kid", "bad_signature", of_victim(HOSTILE, VICTIM))
    yield Attack("acquirer.other_terminal.in_the_subject", "wrong_topic", _sends(subject))
    yield Attack("acquirer.other_terminal.enrolled_nowhere", "unknown_terminal", _sends(unknown))
    yield Attack("acquirer.key.of_the_device_before", "unknown_key", _sends(revoked))
    yield Attack("acquirer.key.of_before_the_renewal", "unknown_key", _sends(renewed))
    yield Attack("acquirer.receipt.for_another's_order", "no_effect", _sends(receipt_for_another))
    yield Attack("acquirer.receipt.in_another's_name", "unknown_key", _sends(receipt_in_anothers_name))
    yield Attack("acquirer.receipt.for_no_order", "no_effect", _sends(receipt_for_nothing))


def _misplaced() -> Iterator[AnAttack]:
    async def moved_leaf(siege: AcquirerSiege) -> tuple[str, bytes]:
        return topic(ACQUIRER, VICTIM, "test"), (await siege.said(VICTIM, "event", EVENT))[1]

    async def moved_terminal(siege: AcquirerSiege) -> tuple[str, bytes]:
        return topic(ACQUIRER, VICTIM, "event"), (await siege.said(HOSTILE, "event", EVENT))[1]

    async def moved_acquirer(siege: AcquirerSiege) -> tuple[str, bytes]:
        where = topic(ACQUIRER, HOSTILE, "event")
        return where, (await siege.said(HOSTILE, "event", EVENT, where=topic("acq2", HOSTILE, "event")))[1]

    async def other_kind(siege: AcquirerSiege) -> tuple[str, bytes]:
        return await siege.said(HOSTILE, "event", EVENT, where=topic(ACQUIRER, HOSTILE, "report"))

    async def order_up(siege: AcquirerSiege) -> tuple[str, bytes]:
        body = {"action": "lift", "reason": "violation"}
        return await siege.said(HOSTILE, "order", body, where=topic(ACQUIRER, HOSTILE, "report"))

    yield Attack("acquirer.moved.to_another_topic", "bad_signature", _sends(moved_leaf))
    yield Attack("acquirer.moved.to_another_terminal", "unknown_key", _sends(moved_terminal))
    yield Attack("acquirer.moved.from_another_acquirer", "bad_signature", _sends(moved_acquirer))
    yield Attack("acquirer.moved.kind_of_another_topic", "wrong_topic", _sends(other_kind))
    yield Attack("acquirer.moved.order_sent_up", "wrong_topic", _sends(order_up))


def _repeated() -> Iterator[AnAttack]:
    def after(kind: str, body: dict[str, Any], make: Callable[[AcquirerSiege, int, bytes], Awaitable[bytes]]) -> Play:
        """What is made of a message that was kept."""

        async def play(siege: AcquirerSiege) -> None:
            sequence = siege.sequence
            where, message = await siege.said(HOSTILE, kind, body, sequence=sequence)
            await siege.taken((where, message))
            siege.begin()
            await siege.publish(where, await make(siege, sequence, message))

        return play

    async def same_bytes(siege: AcquirerSiege, sequence: int, message: bytes) -> bytes:
        return message

    async def signed_anew(siege: AcquirerSiege, sequence: int, message: bytes) -> bytes:
        return (await siege.said(HOSTILE, "event", {"name": "storage_rolled_back"}, sequence=sequence))[1]

    async def next_boot(siege: AcquirerSiege, sequence: int, message: bytes) -> bytes:
        """The boot count is signed as well."""
        protected, unprotected, payload, signature = decode(message).value
        said = decode(payload)
        said[267] += 1
        return sealed_envelope(protected, unprotected, encode(said), signature)

    async def older_state(siege: AcquirerSiege) -> None:
        low, high = siege.sequence, siege.sequence
        await siege.taken(await siege.said(HOSTILE, "state", {**STATE, "mode": "suspended"}, sequence=high))
        siege.begin()
        await siege.publish(*await siege.said(HOSTILE, "state", STATE, sequence=low))

    async def late_will(siege: AcquirerSiege) -> None:
        """That of a connection before the one that is."""
        first, second = siege.sequence, siege.sequence
        will = await siege.said(HOSTILE, "state", {**STATE, "link": "lost", "connection": first}, sequence=first)
        await siege.taken(await siege.said(HOSTILE, "state", {**STATE, "connection": second}))
        siege.begin()
        await siege.publish(*will)

    def audit(first: dict[str, Any], then: dict[str, Any]) -> Play:
        async def play(siege: AcquirerSiege) -> None:
            name = HOSTILE
            entry = siege.acquirer.accounts[name].evidence
            base = entry[0] + 100
            head = bytes([base % 256]) * 32
            kept = {"kept": entry[1]} if entry[1] else {}
            await siege.taken(await siege.said(name, "audit", {"count": base + first["more"], "head": head, **kept}))
            siege.begin()
            await siege.publish(*await siege.said(name, "audit", {"count": base + then["more"], "head": b"\xff" * 32, "kept": head}))

        return play

    yield Attack("acquirer.replayed.report", "duplicate", after("event", EVENT, same_bytes))
    yield Attack("acquirer.replayed.sequence_signed_anew", "duplicate", after("event", EVENT, signed_anew))
    yield Attack("acquirer.replayed.as_of_another_boot", "bad_signature", after("event", EVENT, next_boot))
    yield Attack("acquirer.replayed.older_state", "no_effect", older_state)
    yield Attack("acquirer.replayed.late_will", "no_effect", late_will)
    yield Attack("acquirer.audit.goes_back", "evidence_went_back", audit({"more": 10}, {"more": 5}))
    yield Attack("acquirer.audit.forks", "evidence_forked", audit({"more": 10}, {"more": 10}))


def _forms() -> Iterator[AnAttack]:
    where = topic(ACQUIRER, HOSTILE, "event")

    def raw(message: bytes) -> Play:
        async def make(siege: AcquirerSiege) -> tuple[str, bytes]:
            return where, message

        return _sends(make)

    def payload(change: Callable[[bytes], bytes]) -> Play:
        async def make(siege: AcquirerSiege) -> tuple[str, bytes]:
            said = encode(siege.claims(HOSTILE, "event", EVENT).to_map())
            return where, await siege.hands[HOSTILE].sign(change(said), where)

        return _sends(make)

    def message(change: Callable[[bytes], bytes]) -> Play:
        async def make(siege: AcquirerSiege) -> tuple[str, bytes]:
            return where, change((await siege.said(HOSTILE, "event", EVENT))[1])

        return _sends(make)

    def header(made: Callable[[bytes], dict[int, Any]], unprotected: dict[int, Any] | None = None) -> Play:
        async def make(siege: AcquirerSiege) -> tuple[str, bytes]:
            said = encode(siege.claims(HOSTILE, "event", EVENT).to_map())
            return where, await siege.hands[HOSTILE].sign(said, where, made(siege.hands[HOSTILE].kid), unprotected)

        return _sends(make)

    def proper(change: Callable[[list[Any]], object]) -> Play:
        def changed(said: bytes) -> bytes:
            claims = decode(said)
            change(claims[CLAIM_MESSAGE])
            return encode(claims)

        return payload(changed)

    yield Attack("acquirer.size.one_byte_too_many", "too_long", raw(bytes(MAX_LENGTH + 1)))
    yield Attack("acquirer.size.the_broker_lets_through", "too_long", raw(bytes(65536)))
    yield Attack("acquirer.size.nothing", "malformed", raw(b""))
    yield Attack("acquirer.nesting.lists", "malformed", raw(b"\x81" * MAX_LENGTH))
    yield Attack("acquirer.nesting.in_the_payload", "malformed", payload(lambda said: b"\x81" * 3000 + said))
    yield Attack("acquirer.items.in_the_payload", "malformed", payload(lambda said: b"\x99\x0e\x00" + bytes(0x0E00)))
    yield Attack("acquirer.items.announced", "malformed", payload(lambda said: b"\xbb\xff" + b"\xff" * 7 + said[1:]))
    yield Attack("acquirer.cbor.trailing_byte", "malformed", message(lambda sent: sent + b"\x00"))
    yield Attack("acquirer.cbor.half_written", "malformed", message(lambda sent: sent[: len(sent) // 2]))
    yield Attack("acquirer.cbor.long_tag", "malformed", message(lambda sent: b"\xd8\x12" + sent[1:]))
    yield Attack("acquirer.cbor.endless_map", "malformed", payload(lambda said: b"\xbf" + said[1:] + b"\xff"))
    yield Attack("acquirer.cbor.no_tag", "not_signed", message(lambda sent: sent[1:]))
    yield Attack("acquirer.signature.zero", "bad_signature", message(lambda sent: sent[:-64] + bytes(64)))
    yield Attack("acquirer.signature.one_bit", "bad_signature", message(lambda sent: sent[:-1] + bytes([sent[-1] ^ 1])))
    yield Attack("acquirer.algorithm.eddsa", "algorithm", header(lambda kid: {1: -8, 4: kid}))
    yield Attack("acquirer.algorithm.hmac", "algorithm", header(lambda kid: {1: 5, 4: kid}))
    yield Attack("acquirer.algorithm.unprotected", "algorithm", header(lambda kid: {4: kid}, {1: ALG_ESP256}))
    yield Attack("acquirer.kid.missing", "key_id", header(lambda kid: {1: ALG_ESP256}))
    yield Attack("acquirer.version.later", "version", proper(lambda said: said.__setitem__(0, 2)))
    yield Attack("acquirer.kind.unknown", "unknown_kind", proper(lambda said: said.__setitem__(1, 15)))
    yield Attack("acquirer.field.critical", "critical_field", proper(lambda said: said[3].update({-1: 1})))
    yield Attack("acquirer.field.mistyped", "malformed", proper(lambda said: said[3].update({1: 1})))
    yield Attack("acquirer.sequence.too_great", "malformed", proper(lambda said: said.__setitem__(2, 2**48)))


def _keys() -> Iterator[AnAttack]:
    """Applications for certificates."""

    def applies(purpose: str, request: Callable[[AcquirerSiege], Awaitable[bytes]], approved: bool = False) -> Play:
        async def play(siege: AcquirerSiege) -> None:
            if approved:
                with siege.acquirer.registry.entry(HOSTILE) as entry:
                    entry.allow_registration()
            siege.begin()
            body = {"application": 1, "purpose": purpose, "reasons": [], "request": await request(siege)}
            await siege.publish(*await siege.said(HOSTILE, "application", body | {"transport_key": siege.hands[NOBODY].public_key}))

        return play

    async def good(siege: AcquirerSiege) -> bytes:
        return await certification_request(siege.hands[NOBODY].element, 0, HOSTILE)

    async def not_by_its_own_key(siege: AcquirerSiege) -> bytes:
        request = bytearray(await good(siege))
        request[-1] ^= 1
        return bytes(request)

    async def other_curve(siege: AcquirerSiege) -> bytes:
        return _request(ec.SECP384R1())

    async def older_curve(siege: AcquirerSiege) -> bytes:
        return _request(ec.SECP256K1())

    async def noise(siege: AcquirerSiege) -> bytes:
        return b"\x30\x82\xff\xff" + bytes(60)

    async def suspended(siege: AcquirerSiege) -> None:
        state = {**STATE, "mode": "suspended", "status": "DACT", "reasons": [[6, 0, 1, 0, "", ""]]}
        await siege.taken(await siege.said(HOSTILE, "state", state))
        await applies("renewal", good)(siege)

    yield Attack("acquirer.application.not_approved", "registration_not_approved", applies("registration", good))
    yield Attack("acquirer.application.not_signed_by_its_key", "request", applies("registration", not_by_its_own_key, True))
    yield Attack("acquirer.application.other_curve", "request", applies("registration", other_curve, True))
    yield Attack("acquirer.application.curve_of_the_same_size", "request", applies("registration", older_curve, True))
    yield Attack("acquirer.application.noise", "request", applies("registration", noise, True))
    yield Attack("acquirer.application.renewal_while_suspended", "not_in_good_standing", suspended)


def _request(curve: ec.EllipticCurve) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTILE)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(ec.generate_private_key(curve), SHA256())
    return request.public_bytes(Encoding.DER)


def _activations() -> Iterator[AnAttack]:
    """A device asks for a name that is not its own: that of the victim."""

    async def activation(siege: AcquirerSiege, code: str, hand: str = DEVICE, sealed_for: str = "") -> tuple[str, bytes]:
        device, where = siege.hands[DEVICE], topic(ACQUIRER, DEVICE, "activation")
        body = {
            "board": "b",
            "request": await certification_request(device.element, 0, DEVICE),
            "transport_key": siege.hands[NOBODY].public_key,
            "sealed": await seal(device.element, siege.acquirer.public_sealing_key, code.encode(), sealed_for or where),
            "element": False,
        }
        return await siege.said(DEVICE, "activation", body, siege.hands[hand])

    def issued(siege: AcquirerSiege, lifetime_s: int = 3600) -> str:
        assert siege.acquirer.activations is not None
        return siege.acquirer.activations.codes.issue(VICTIM, siege.shop.clock.wall_s(), lifetime_s)

    def wrong(code: str, by: int = 1) -> str:
        digits = code[:4] + str((int(code[4:-1]) + by) % 10**7).zfill(7)
        return digits + check_digit(digits)

    def tries(code: Callable[[AcquirerSiege], str], **how: str) -> Play:
        async def play(siege: AcquirerSiege) -> None:
            typed = code(siege)
            siege.begin()
            await siege.publish(*await activation(siege, typed, **how))

        return play

    def voided(siege: AcquirerSiege) -> str:
        code = issued(siege)
        issued(siege)
        return code

    async def brute_force(siege: AcquirerSiege) -> None:
        code = issued(siege)
        siege.begin()
        for number in range(TRIES_OF_A_DEVICE + 2):
            await siege.publish(*await activation(siege, wrong(code, number + 1)))

    yield Attack("acquirer.activation.wrong_code", "wrong_code", tries(lambda siege: wrong(issued(siege))))
    yield Attack("acquirer.activation.no_code", "wrong_code", tries(lambda siege: "1" * (CODE_DIGITS - 1)))
    yield Attack("acquirer.activation.expired_code", "expired", tries(lambda siege: issued(siege, 0)))
    yield Attack("acquirer.activation.code_of_before", "used", tries(voided))
    elsewhere = topic(ACQUIRER, NOBODY, "activation")
    yield Attack("acquirer.activation.code_sealed_for_another_device", "altered", tries(issued, sealed_for=elsewhere))
    yield Attack("acquirer.activation.signed_by_another_key", "unknown_key", tries(issued, hand=HOSTILE))
    yield Attack("acquirer.activation.guessed_again_and_again", "too_many_tries", brute_force, times=TRIES_OF_A_DEVICE + 2)
