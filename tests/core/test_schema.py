"""The schema: each kind of message goes there and back, what is new is kept, and what is wrong is refused with its word."""

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.schema import (
    BOOL,
    BYTES,
    CHOICE,
    CLAIM_BOOT_COUNT,
    CLAIM_EXPIRES,
    CLAIM_ISSUED_AT,
    CLAIM_ISSUER,
    CLAIM_MESSAGE,
    CLAIM_SUBJECT,
    DOWN,
    KINDS,
    LIST,
    MAX_BYTES,
    MAX_UINT,
    TEXT,
    UINT,
    UP,
    VERSION,
    Claims,
    SchemaError,
    decode_body,
    down_topics,
    encode_body,
    kind_named,
    topic,
)
from tests.core.support import raises

EXAMPLES = {UINT: 7, TEXT: "text", BYTES: b"bytes", BOOL: True, LIST: [1, "two", [3]]}
LONGEST = {UINT: MAX_UINT, BYTES: bytes(MAX_BYTES), BOOL: False, LIST: []}
WRONG = {
    UINT: (-1, MAX_UINT + 1, "7", b"7", True, None, [7]),
    TEXT: (b"text", 7, None, ["text"], False),
    BYTES: ("bytes", 7, None, [1], bytes(MAX_BYTES + 1)),
    BOOL: (1, 0, "true", None),
    CHOICE: (-1, "no such word", b"word", True, None, [0]),
    LIST: ("list", {1: 2}, 7, None),
}


def example(field):
    return field.words[-1] if field.type == CHOICE else EXAMPLES[field.type]


def full_body(kind):
    return {field.name: example(field) for field in kind.fields}


def through_cbor(claims):
    return Claims.from_map(decode(encode(claims.to_map())))


def claims_map(body=None, **changes):
    """The claims of an order, changed: by the names below; None leaves a claim out."""
    claims = {
        CLAIM_ISSUER: "acq1",
        CLAIM_SUBJECT: "T1",
        CLAIM_EXPIRES: 1790000000,
        CLAIM_MESSAGE: [VERSION, 16, 5, {1: "self_test"} if body is None else body],
    }
    for name, value in changes.items():
        number = {"issuer": CLAIM_ISSUER, "subject": CLAIM_SUBJECT, "expires": CLAIM_EXPIRES, "message": CLAIM_MESSAGE}[name]
        if value is None:
            del claims[number]
        else:
            claims[number] = value
    return claims


def refusal(claims):
    return raises(SchemaError, Claims.from_map, claims).code


def test_each_kind_goes_there_and_back():
    for kind in KINDS:
        for body in (full_body(kind), {field.name: example(field) for field in kind.fields if field.required}):
            whole = Claims(kind, "T1", 12, body, "acq1", 1790000001, 1790000002, 3)
            back = through_cbor(whole)
            assert back.kind is kind and back.body == body and back.unknown == {}
            assert (back.subject, back.sequence, back.issuer) == ("T1", 12, "acq1")
            assert (back.issued_at, back.expires, back.boot_count) == (1790000001, 1790000002, 3)


def test_what_is_not_known_is_left_out_of_the_claims():
    claims = Claims(kind_named("event"), "T1", 1, {"name": "store_damaged"}).to_map()
    for claim in (CLAIM_ISSUER, CLAIM_ISSUED_AT, CLAIM_EXPIRES, CLAIM_BOOT_COUNT):
        assert claim not in claims
    back = Claims.from_map(claims)
    assert (back.issuer, back.issued_at, back.expires, back.boot_count) == ("", 0, 0, 0)


def test_kinds_and_fields_have_numbers_of_their_own():
    assert len({kind.number for kind in KINDS}) == len(KINDS) == len({kind.name for kind in KINDS})
    for kind in KINDS:
        assert len({field.number for field in kind.fields}) == len(kind.fields) == len({field.name for field in kind.fields})
        assert all([field.number > 0 for field in kind.fields])
        assert kind_named(kind.name) is kind and kind_named(kind.number) is kind
        assert kind.direction in (UP, DOWN)
    raises(KeyError, kind_named, "no_such_kind")
    raises(KeyError, kind_named, 99)


def test_the_acquirer_speaks_on_the_topics_of_its_kinds():
    assert topic("acq1", "T1", "order") == "poi/v1/acq1/T1/order"
    assert down_topics("acq1", "T1") == ["poi/v1/acq1/T1/" + kind.leaf for kind in KINDS if kind.direction == DOWN]


def test_an_unknown_field_is_kept_and_written_again():
    back = Claims.from_map(claims_map({1: "self_test", 77: ["new"], 4000: None}))
    assert back.body == {"action": "self_test"} and back.unknown == {77: ["new"], 4000: None}
    assert through_cbor(back).unknown == back.unknown


def test_an_unknown_critical_field_is_refused():
    for number in (-1, -77):
        assert refusal(claims_map({1: "self_test", number: 1})) == "critical_field"


def test_a_field_that_has_no_number_is_malformed():
    for key in ("action", b"1"):
        assert refusal(claims_map({1: "self_test", key: 1})) == "malformed"


def test_a_required_field_that_is_missing_is_refused_both_ways():
    for kind in KINDS:
        for field in kind.fields:
            body = full_body(kind)
            numbers = encode_body(kind, body)
            del body[field.name]
            del numbers[field.number]
            if field.required:
                assert raises(SchemaError, encode_body, kind, body).code == "malformed"
                assert raises(SchemaError, decode_body, kind, numbers).code == "malformed"
            else:
                assert decode_body(kind, encode_body(kind, body)) == (body, {})
                assert decode_body(kind, numbers) == (body, {})


def test_a_field_of_the_wrong_type_or_size_is_refused_both_ways():
    for kind in KINDS:
        for field in kind.fields:
            body = full_body(kind)
            numbers = encode_body(kind, body)
            wrong = WRONG[field.type] + (("x" * (field.longest + 1),) if field.type == TEXT else ())
            for value in wrong:
                body[field.name] = numbers[field.number] = value
                assert raises(SchemaError, encode_body, kind, body).code == "malformed", (field.name, value)
                assert raises(SchemaError, decode_body, kind, numbers).code == "malformed", (field.name, value)
            body[field.name] = field.words[0] if field.type == CHOICE else LONGEST.get(field.type, "\u7ec8" * field.longest)
            assert decode_body(kind, encode_body(kind, body)) == (body, {})


def test_a_choice_is_a_number_on_the_wire_and_one_of_a_newer_version_keeps_it():
    kind = kind_named("notice")
    fields = encode_body(kind, {"notice": 1, "about": "policy", "text": "t"})
    assert fields[2] == 2
    fields[2] = 99
    assert decode_body(kind, fields)[0]["about"] == "#99"


def test_a_field_that_the_kind_does_not_have_cannot_be_sent():
    assert raises(SchemaError, encode_body, kind_named("event"), {"name": "x", "colour": "red"}).code == "malformed"


def test_malformed_claims_are_refused():
    message = claims_map()[CLAIM_MESSAGE]
    for claims in (
        None,
        [],
        "text",
        {},
        claims_map(message=None),
        claims_map(message="text"),
        claims_map(message=[]),
        claims_map(message=message[:3]),
        claims_map(message=message + [0]),
        claims_map(message=[VERSION, "order", 5, {1: "self_test"}]),
        claims_map(message=[VERSION, 16, -1, {1: "self_test"}]),
        claims_map(message=[VERSION, 16, MAX_UINT + 1, {1: "self_test"}]),
        claims_map(message=[VERSION, 16, None, {1: "self_test"}]),
        claims_map(message=[VERSION, True, 5, {1: "self_test"}]),
        claims_map(message=[VERSION, 16, 5, None]),
        claims_map(message=[VERSION, 16, 5, [1, "self_test"]]),
        claims_map(subject=None),
        claims_map(subject=""),
        claims_map(subject=7),
        claims_map(subject="T" * 65),
        claims_map(issuer=7),
        claims_map(issuer="a" * 65),
        claims_map(expires="soon"),
        claims_map(expires=-1),
        claims_map(expires=MAX_UINT + 1),
        claims_map(expires=True),
    ):
        assert refusal(claims) == "malformed", claims


def test_another_version_is_refused_whatever_else_it_holds():
    for version in (0, VERSION + 1, "1", True, None):
        assert refusal(claims_map(message=[version, 16, 5, {1: "self_test"}])) == "version"
        assert refusal(claims_map(message=[version])) == "version"


def test_an_unknown_kind_is_refused():
    assert refusal(claims_map(message=[VERSION, 99, 5, {}])) == "unknown_kind"


def test_the_readers_of_a_field_give_its_empty_value_where_it_is_absent():
    order = Claims.from_map(claims_map({1: "lift"}))
    assert order.text("action") == "lift" and order.text("reason") == ""
    assert order.number("until") == 0 and order.octets("of") == b"" and order.items("reasons") == []
    state = Claims(kind_named("application"), "T1", 1, {"application": 3, "request": b"r", "reasons": [[1]]})
    assert state.number("application") == 3 and state.octets("request") == b"r" and state.items("reasons") == [[1]]
