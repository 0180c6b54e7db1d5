"""The judge of what comes down: each message that is not exactly what the acquirer sent, here and now, is refused with its own word."""

import asyncio
from binascii import unhexlify
from hashlib import sha256

from firmware_agent.messages.cbor import Tag, decode, encode
from firmware_agent.messages.cose import ALG_ESP256, MAX_LENGTH, key_id, sign
from firmware_agent.messages.inbound import AHEAD_S, REFUSALS, RESULT_GOOD, Judge
from firmware_agent.messages.schema import (
    CLAIM_EXPIRES,
    CLAIM_ISSUER,
    CLAIM_MESSAGE,
    CLAIM_SUBJECT,
    VERSION,
    Claims,
    kind_named,
    topic,
)
from hal.clock import TRUST_FLOOR, TRUST_NONE, TRUST_SET
from hal.drivers.software_key import SoftwareKey
from tests.core.parts import NOW_S, Flash, QuickCurve, enabled

ELEMENT = enabled(SoftwareKey(Flash(), QuickCurve()))
ACQUIRERS = asyncio.run(ELEMENT.generate_key(0))
STRANGERS = asyncio.run(ELEMENT.generate_key(1))
NEXT_ACQUIRERS = asyncio.run(ELEMENT.generate_key(2))
ORDER = topic("acq1", "T1", "order")
STATUS = topic("acq1", "T1", "status")


def claims(kind="order", subject="T1", sequence=5, body=None, issuer="acq1", expires=NOW_S + 3600):
    body = body or {"order": {"action": "self_test"}, "status": {"application": 1, "status": "approved"}}[kind]
    return Claims(kind_named(kind), subject, sequence, body, issuer, NOW_S, expires)


def signed(payload, where=ORDER, slot=0, kid=None):
    if isinstance(payload, Claims):
        payload = payload.to_map()
    public_key = asyncio.run(ELEMENT.public_key(slot))
    return asyncio.run(sign(ELEMENT, slot, kid or key_id(public_key), encode(payload), where))


def judged(message, arrived_on=ORDER, highest=4, wall_s=NOW_S, trust=TRUST_SET, keys=(ACQUIRERS, NEXT_ACQUIRERS), asked=b""):
    return asyncio.run(Judge(ELEMENT, "acq1", "T1", list(keys)).judge(arrived_on, message, highest, wall_s, trust, asked))


def refusal(message, *arguments, **named):
    verdict = judged(message, *arguments, **named)
    assert (verdict.result == RESULT_GOOD) == (verdict.refusal == "")
    assert verdict.digest == sha256(message).digest()[:16]
    return verdict.refusal


def resealed(**changes):
    """The order with some of its claims changed before it was signed, by their names below; None leaves one out."""
    payload = claims().to_map()
    for name, value in changes.items():
        number = {"message": CLAIM_MESSAGE, "subject": CLAIM_SUBJECT, "issuer": CLAIM_ISSUER, "expires": CLAIM_EXPIRES}[name]
        if value is None:
            del payload[number]
        else:
            payload[number] = value
    return signed(payload)


def envelope(header, unprotected=None, payload=b"", signature=bytes(64)):
    return encode(Tag(18, [encode(header), unprotected or {}, payload, signature]))


def test_a_good_order_is_accepted_whole():
    message = signed(claims(body={"action": "suspend", "reason": "violation", "until": 7}))
    verdict = judged(message)
    assert verdict.refusal == "" and verdict.result == "SUCC" and verdict.authentic
    assert verdict.claims.body == {"action": "suspend", "reason": "violation", "until": 7}
    assert (verdict.claims.sequence, verdict.claims.issued_at) == (5, NOW_S)
    assert verdict.digest == sha256(message).digest()[:16]


def test_each_of_the_pinned_keys_may_sign():
    assert refusal(signed(claims(), slot=2)) == ""
    assert refusal(signed(claims(), slot=2), keys=(ACQUIRERS,)) == "unknown_key"


def test_what_is_not_signed_is_refused():
    assert refusal(encode(claims().to_map())) == "not_signed"
    assert refusal(encode("lift")) == "not_signed"
    assert refusal(encode(decode(signed(claims())).value)) == "not_signed"  # its tag taken off


def test_what_is_no_message_at_all_is_malformed():
    for message in (b"", b"\xff", b"lift violation", bytes(100), signed(claims()) + b"\x00"):
        assert refusal(message) == "malformed"


def test_every_truncation_is_refused():
    message = signed(claims())
    for length in range(len(message)):
        assert refusal(message[:length]) == "malformed", length


def test_what_is_wrong_with_an_envelope_has_its_word():
    kid = key_id(ACQUIRERS)
    good = {1: ALG_ESP256, 4: kid}
    for message, word in (
        (envelope({4: kid}), "algorithm"),
        (envelope({1: -37, 4: kid}), "algorithm"),
        (envelope({1: ALG_ESP256}), "key_id"),
        (envelope(good, signature=bytes(63)), "signature_length"),
        (envelope(good, payload=None), "no_payload"),
        (envelope(good, {4: kid}), "header_twice"),
        (envelope({1: ALG_ESP256, 2: [], 4: kid}), "crit"),
        (envelope({1: ALG_ESP256, 2: [99], 4: kid, 99: 1}), "unknown_header_critical"),
        (envelope(good, payload=bytes(MAX_LENGTH)), "too_long"),
        (envelope(good), "bad_signature"),
    ):
        assert refusal(message) == word


def test_a_message_under_another_key_is_refused():
    assert refusal(signed(claims(), slot=1)) == "unknown_key"
    assert refusal(signed(claims(), slot=1, kid=key_id(ACQUIRERS))) == "bad_signature"
    assert refusal(signed(claims()), keys=()) == "unknown_key"


def test_a_message_that_is_altered_in_any_byte_is_refused():
    """With the project's real curve, which judges r and s, too."""
    element = enabled(SoftwareKey(Flash()))
    private = unhexlify("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
    curve = element._curve
    public_key = curve.public_key(private)

    class Signer:
        async def sign(self, slot, digest):
            return curve.sign(private, digest)

    judge = Judge(element, "acq1", "T1", [public_key])
    message = asyncio.run(sign(Signer(), 0, key_id(public_key), encode(claims().to_map()), ORDER))

    async def judge_each():
        good = await judge.judge(ORDER, message, 4, NOW_S, TRUST_SET)
        assert good.refusal == ""
        words = set()
        for at in range(len(message)):
            altered = bytearray(message)
            altered[at] ^= 1 << at % 8
            verdict = await judge.judge(ORDER, bytes(altered), 4, NOW_S, TRUST_SET)
            assert verdict.refusal and not verdict.authentic and verdict.claims is None, at
            words.add(verdict.refusal)
        return words

    words = asyncio.run(judge_each())
    assert "bad_signature" in words and "unknown_key" in words and "malformed" in words


def test_an_order_for_another_terminal_is_refused():
    where = topic("acq1", "T2", "order")
    others = signed(claims(subject="T2"), where)
    assert refusal(others) == "wrong_terminal"  # moved here from its own topic
    assert refusal(others, where) == "wrong_terminal"  # heard on its own topic
    assert refusal(signed(claims(subject="T2"))) == "wrong_terminal"  # signed for this topic, but not for this terminal


def test_an_order_of_another_acquirer_is_refused():
    assert refusal(signed(claims(issuer="acq2"))) == "wrong_terminal"
    assert refusal(resealed(issuer=None)) == "wrong_terminal"


def test_a_message_that_was_moved_to_another_topic_is_refused():
    assert refusal(signed(claims()), STATUS) == "wrong_topic"
    assert refusal(signed(claims("status"), STATUS)) == "wrong_topic"
    assert refusal(signed(claims(), STATUS), STATUS) == "wrong_topic"  # signed for a topic that is not its kind's


def test_a_message_that_only_says_that_it_was_moved_is_a_bad_signature():
    for message in (signed(claims(subject="T2"), "elsewhere"), signed(claims("status"), "elsewhere"), signed({}, "elsewhere")):
        assert refusal(message) == "bad_signature"


def test_a_kind_that_goes_up_is_refused_when_it_comes_down():
    event = Claims(kind_named("event"), "T1", 5, {"name": "fault_found"}, "acq1", NOW_S, NOW_S + 60)
    assert refusal(signed(event)) == "wrong_direction"
    where = topic("acq1", "T1", "event")
    assert refusal(signed(event, where), where) == "wrong_direction"


def test_nothing_is_let_in_before_the_time_is_known_and_nothing_that_has_expired():
    message = signed(claims(expires=NOW_S))
    for wall_s, trust, word in (
        (NOW_S - 1, TRUST_SET, ""),
        (NOW_S, TRUST_SET, "expired"),
        (NOW_S + 1, TRUST_SET, "expired"),
        (NOW_S - 1, TRUST_FLOOR, "time_unknown"),
        (NOW_S, TRUST_FLOOR, "expired"),  # the true time is later still
        (0, TRUST_NONE, "time_unknown"),
        (NOW_S + 10**9, TRUST_NONE, "time_unknown"),
    ):
        assert refusal(message, wall_s=wall_s, trust=trust) == word, (wall_s, trust)


def test_a_message_from_the_future_is_refused():
    future = claims(expires=NOW_S + 10**6)
    for issued_at, word in ((NOW_S + AHEAD_S, ""), (NOW_S + AHEAD_S + 1, "from_the_future")):
        future.issued_at = issued_at
        assert refusal(signed(future)) == word


def test_the_answer_to_the_open_inquiry_is_let_in_whatever_the_clock_says():
    answer = Claims(kind_named("answer"), "T1", 5, {"nonce": b"12345678"}, "acq1", NOW_S, NOW_S + 60)
    where = topic("acq1", "T1", "answer")
    message = signed(answer, where)
    for wall_s, trust in ((0, TRUST_NONE), (NOW_S + 60, TRUST_FLOOR), (NOW_S - 10**8, TRUST_SET), (NOW_S + 10**8, TRUST_SET)):
        assert judged(message, where, wall_s=wall_s, trust=trust, asked=b"12345678").refusal == ""
        assert judged(message, where, wall_s=wall_s, trust=trust, asked=b"87654321").refusal
        assert judged(message, where, wall_s=wall_s, trust=trust).refusal
    assert judged(message, where, highest=5, asked=b"12345678").refusal == "replayed"
    nothing = Claims(kind_named("answer"), "T1", 5, {"nonce": b""}, "acq1", NOW_S, NOW_S + 60)
    assert judged(signed(nothing, where), where, trust=TRUST_NONE).refusal == "time_unknown"


def test_an_order_without_an_end_or_a_sequence_is_none():
    assert refusal(resealed(expires=None)) == "malformed"
    assert refusal(resealed(message=[VERSION, 16, 0, {1: "self_test"}]), highest=-1) == "malformed"


def test_a_sequence_that_was_accepted_before_is_a_replay():
    message = signed(claims(sequence=5))
    for highest, word in ((0, ""), (4, ""), (5, "replayed"), (6, "replayed"), (10**9, "replayed")):
        assert refusal(message, highest=highest) == word


def test_a_replay_is_told_before_its_expiry():
    """So that an acquirer who repeats an old order hears that it was taken, not that it came too late."""
    assert refusal(signed(claims(expires=NOW_S - 1)), highest=5) == "replayed"


def test_what_this_version_does_not_know_is_refused():
    assert refusal(resealed(message=[VERSION + 1, 16, 5, {1: "self_test"}])) == "version"
    assert refusal(resealed(message=[VERSION, 99, 5, {}])) == "unknown_kind"
    assert refusal(resealed(message=[VERSION, 16, 5, {1: "self_test", -9: "only on Sundays"}])) == "critical_field"
    assert refusal(resealed(message=[VERSION, 16, 5, {1: "self_test", 99: "a remark"}])) == ""


def test_a_payload_that_is_signed_but_malformed_is_refused():
    for payload in ({}, [], "lift"):
        assert refusal(signed(payload)) == "malformed"
    assert refusal(resealed(message=[VERSION, 16, 5, {}])) == "malformed"
    assert refusal(resealed(message=[VERSION, 16, 5, {1: "suspend", 5: "x" * 81}])) == "malformed"
    not_cbor = asyncio.run(sign(ELEMENT, 0, key_id(ACQUIRERS), b"\xff\xff", ORDER))
    verdict = judged(not_cbor)
    assert verdict.refusal == "malformed" and verdict.authentic and verdict.claims is None


def test_only_an_authentic_message_tells_its_sequence():
    """The receipt repeats the sequence: that of a forger is not repeated."""
    for message, authentic in (
        (signed(claims()), True),
        (signed(claims(expires=1)), True),
        (signed(claims(), slot=1), False),
        (signed(claims(), STATUS), False),
        (signed(claims(subject="T2"), topic("acq1", "T2", "order")), False),
    ):
        verdict = judged(message)
        assert verdict.authentic == authentic
        assert (verdict.claims is not None) == authentic


def test_judging_changes_nothing():
    """The highest sequence is the caller's to advance, together with what the message does: until then it is accepted again."""
    judge = Judge(ELEMENT, "acq1", "T1", [ACQUIRERS])
    message = signed(claims())
    for _ in range(3):
        for other in (b"", signed(claims(sequence=9), slot=1), signed(claims(sequence=9, expires=1)), signed(claims(sequence=9), STATUS)):
            assert asyncio.run(judge.judge(ORDER, other, 4, NOW_S, TRUST_SET)).refusal
        assert asyncio.run(judge.judge(ORDER, message, 4, NOW_S, TRUST_SET)).refusal == ""


def test_every_refusal_has_a_result_of_its_own_standard():
    assert RESULT_GOOD == "SUCC"
    for result in REFUSALS.values():
        assert result in ("FMTE", "SIGE", "UKRF", "LENE", "NSUP", "ACCD", "TIMO", "OVER", "INVC")
