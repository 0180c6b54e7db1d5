"""The inspector: whatever the bytes are, its parts are all of them; and what it says of a good message is what the message says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id
from firmware_agent.messages.schema import CHOICE, KINDS, kind_named
from host_sim.desktop.inspector import NOT_READABLE, VERIFIED, Part, altered, parts, verdict

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "wire-vectors.json").read_text(encoding="utf-8"))
VECTORS: dict[str, dict[str, Any]] = {vector["name"]: vector for vector in DOCUMENT["vectors"]}
PUBLIC_KEY = bytes.fromhex(DOCUMENT["public_key"])
KEYS = {key_id(PUBLIC_KEY): PUBLIC_KEY}
GOOD = [name for name, vector in sorted(VECTORS.items()) if name.startswith("kind ") and "claims" in vector]
TOPIC = "poi/v1/acq1/T0000001/order"
ORDER = bytes.fromhex(VECTORS["kind order"]["message"])


def tiled(topic: str, message: bytes) -> list[Part]:
    """The parts, which are in order, without gaps, and all of the message."""
    found = parts(topic, message)
    at = 0
    for part in found:
        assert part.at == at and part.length > 0, part
        assert part.name and part.depth >= 0
        at += part.length
    assert at == len(message)
    return found


def of(name: str) -> list[Part]:
    return tiled(VECTORS[name]["topic"], bytes.fromhex(VECTORS[name]["message"]))


def named(found: list[Part], name: str) -> Part:
    return next(part for part in found if part.name == name)


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_the_parts_of_each_vector_are_the_whole_message(name: str) -> None:
    of(name)


@given(st.binary(max_size=600))
def test_the_parts_of_any_bytes_are_all_of_them(message: bytes) -> None:
    tiled(TOPIC, message)


@given(st.binary(max_size=200))
def test_the_parts_of_any_payload_are_all_of_it_and_the_signature_is_still_told(payload: bytes) -> None:
    message = b"\xd2\x84\x43\xa1\x01\x28\xa0" + encode(payload) + b"\x58\x40" + bytes(64)
    found = tiled(TOPIC, message)
    assert [(part.name, part.length) for part in found[-3:]] == [("signature", 2), ("signature r", 32), ("signature s", 32)]


def test_a_map_where_a_list_should_be_is_told_key_by_key() -> None:
    message = bytearray(ORDER)
    message[1] ^= 0x20  # the list of four is a map now
    assert tiled(TOPIC, bytes(message))[1].value == "map of 4"


@given(st.sampled_from(sorted(VECTORS)), st.data())
def test_the_parts_of_an_altered_or_cut_message_are_all_of_it(name: str, data: st.DataObject) -> None:
    message = bytes.fromhex(VECTORS[name]["message"])
    if message:
        message = altered(message, data.draw(st.integers(0, len(message) - 1)), data.draw(st.integers(0, 7)))
    tiled(VECTORS[name]["topic"], message[: data.draw(st.integers(0, len(message)))])


@pytest.mark.parametrize("name", GOOD)
def test_a_good_message_is_readable_to_its_end_and_each_field_has_its_name(name: str) -> None:
    claims = VECTORS[name]["claims"]
    found = of(name)
    assert not [part for part in found if part.name == NOT_READABLE]
    kind = kind_named(claims["kind"])
    assert named(found, "kind").value == f"{kind.name} ({kind.number})"
    assert named(found, "sequence").value == str(claims["sequence"])
    assert named(found, "sub").value == claims["subject"]
    told = {part.name: part for part in found[found.index(named(found, "body")) :]}
    for field in kind.fields:
        if field.name in claims["body"]:
            value = claims["body"][field.name]
            assert field.name in told, field.name
            if field.type == CHOICE:
                assert told[field.name].value == f"{value} ({field.words.index(value)})"
            elif isinstance(value, str):
                assert value in [part.value for part in found if part.name == field.name]


def test_every_kind_is_among_the_vectors() -> None:
    assert {kind.name for kind in KINDS} == {VECTORS[name]["claims"]["kind"] for name in GOOD}


def test_times_key_and_algorithm_are_in_words() -> None:
    found = of("kind order")
    issued_at = VECTORS["kind order"]["claims"]["issued_at"]
    assert datetime.fromisoformat(named(found, "iat").value) == datetime.fromtimestamp(issued_at, UTC)
    assert named(found, "kid").value == key_id(PUBLIC_KEY).hex()
    assert named(found, "alg").value == "ESP256 (-9)"
    assert named(of("alg -7"), "alg").value == "ES256 (-7)"


def test_reasons_and_results_are_in_words() -> None:
    assert ["violation (6)", "HOST (0)"] == [
        part.value for part in of("kind state") if part.name in ("reason", "actor") and part.length == 1
    ][1:]
    report = of("kind report")
    assert "printer (10)" in [part.value for part in report if part.name == "phase"]
    assert "paper_out (40)" in [part.value for part in report if part.name == "cause"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("envelope: trailing byte", "after the end"),
        ("envelope: endless list", "definite"),
        ("envelope: reserved head", "begins"),
        ("payload: huge text", "announced"),
        ("envelope: too deep", "in each other"),
        ("payload: map in a key", "key"),
        ("payload: too many items", "items"),
        ("payload: too deep", "in each other"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_reason(name: str, why: str) -> None:
    assert why in named(of(name), NOT_READABLE).meaning


def test_what_is_refused_though_it_can_be_read_is_told_where_it_is() -> None:
    assert "shortest" in named(of("envelope: long tag"), "tag").meaning
    assert "sorted" in "".join(part.meaning for part in of("payload: unsorted claims"))
    assert "UTF-8" in "".join(part.meaning for part in of("payload: bad text"))
    assert "may not be ignored" in "".join(part.meaning for part in of("critical field"))


@pytest.mark.parametrize("length", range(0, len(ORDER)))
def test_a_message_that_is_cut_off_says_so(length: int) -> None:
    found = tiled(TOPIC, ORDER[:length])
    if found:
        assert "ends here" in found[-1].meaning or "announced" in found[-1].meaning


def test_a_long_value_is_shown_shortened_with_its_length() -> None:
    request = named(of("kind application"), "request")
    assert request.value.endswith("… (256 bytes)") and len(request.value) < 120


def test_what_nobody_would_see_in_a_text_is_shown_as_an_escape() -> None:
    message = encode({2: "a\u202eb\n"})
    found = tiled(TOPIC, b"\xd2\x84\x40\xa0" + encode(message))
    assert named(found, "sub").value == "a\\u202eb\\n"


@given(st.integers(0, len(ORDER) - 1), st.integers(0, 7))
def test_altered_changes_that_bit_alone_and_no_altered_order_is_verified(at: int, bit: int) -> None:
    copy = altered(ORDER, at, bit)
    assert [index for index in range(len(ORDER)) if copy[index] != ORDER[index]] == [at]
    assert copy[at] ^ ORDER[at] == 1 << bit
    told = verdict(TOPIC, copy, KEYS)
    assert told.word != VERIFIED and told.meaning.endswith(".")


@pytest.mark.parametrize(("at", "bit"), [(-1, 0), (len(ORDER), 0), (0, 8), (0, -1)])
def test_a_bit_that_is_not_there_cannot_be_altered(at: int, bit: int) -> None:
    with pytest.raises(ValueError, match="allowed: 0 to"):
        altered(ORDER, at, bit)


@pytest.mark.parametrize("name", [name for name in sorted(VECTORS) if name != "kind activation"])
def test_the_verdict_on_each_vector_is_that_of_the_terminal_as_far_as_needs_no_clock_and_no_memory(name: str) -> None:
    vector = VECTORS[name]
    receipt = vector.get("receipt", vector["refusal"])
    if receipt in ("replayed", "expired", "from_the_future"):
        receipt = ""
    told = verdict(vector["topic"], bytes.fromhex(vector["message"]), KEYS)
    assert told.word == (receipt or VERIFIED)
    assert told.meaning.endswith(".") and "`" not in told.meaning


def test_an_activation_is_judged_by_the_key_that_it_brings() -> None:
    vector = VECTORS["kind activation"]  # whose request is none
    assert verdict(vector["topic"], bytes.fromhex(vector["message"]), KEYS).word == "malformed"


def test_the_verdict_names_the_key_that_a_message_says_has_signed_it() -> None:
    assert verdict(TOPIC, ORDER, {}) == (
        "unknown_key",
        "Kid names no key of the acquirer that the terminal trusts.",
        key_id(PUBLIC_KEY).hex(),
    )
    assert verdict(TOPIC, b"", {}).signed_by == ""


@given(st.text(max_size=60), st.binary(max_size=120))
def test_there_is_a_verdict_on_anything(topic: str, message: bytes) -> None:
    assert verdict(topic, message, KEYS).word != VERIFIED
