"""Signed texts: what is written is read back, copied as people copy; and each defect is named in one line."""

from firmware_agent.messages.cbor import Tag, encode
from firmware_agent.messages.cose import ALG_ESP256
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.messages.signed_text import (
    PART_PREFIX,
    PREFIX,
    SignedTextError,
    decode_text,
    encode_text,
    from_base45,
    parts_of,
    to_base45,
)
from firmware_agent.screens.qr import ALPHANUMERIC
from tests.core.support import raises

# RFC 9285, 4.3 and 4.4.
VECTORS = ((b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0"))
SIGNATURE = bytes(range(100, 164))


def message(kind="event", terminal="T0000001", body=None, signature=SIGNATURE, claims=None):
    if claims is None:
        claims = Claims(kind_named(kind), terminal, 7, body or {"name": "store_damaged"}, boot_count=3).to_map()
    return encode(Tag(18, [encode({1: ALG_ESP256, 4: b"\x01\x02\x03\x04\x05\x06\x07\x08"}), {}, encode(claims), signature]))


def text_of(data):
    return PREFIX + to_base45(data)


def refused(text):
    """Code and line of the refusal."""
    error = raises(SignedTextError, decode_text, text)
    assert "\n" not in str(error)
    return error.code, str(error)


def test_base45_is_that_of_the_rfc():
    for data, text in VECTORS:
        assert to_base45(data) == text
        assert from_base45(text) == data
    assert to_base45(b"") == "" and from_base45("") == b""


def test_every_byte_and_every_pair_of_edges_goes_there_and_back():
    for value in range(256):
        assert from_base45(to_base45(bytes([value]))) == bytes([value])
    for pair in (b"\x00\x00", b"\x00\xff", b"\xff\x00", b"\xff\xff", b"\x00\x00\x00"):
        assert from_base45(to_base45(pair)) == pair


def test_what_no_bytes_have_is_not_base45():
    assert str(raises(ValueError, from_base45, "GGX")) == "'GGX' at 1 is not Base45"  # 65536
    assert from_base45("FGW") == b"\xff\xff"
    assert str(raises(ValueError, from_base45, "BB8:::")) == "':::' at 4 is not Base45"
    assert str(raises(ValueError, from_base45, "V5")) == "'V5' at 1 is not Base45"  # 256
    assert from_base45("U5") == b"\xff"
    assert str(raises(ValueError, from_base45, "BB8A")) == "'A' at 4 is not Base45"
    assert str(raises(ValueError, from_base45, "BB8b8")) == "'b' at 4 is no digit of Base45"


def test_the_topic_and_the_message_come_back():
    for acquirer in ("a", "acq1", "Acquirer of Shanghai", "\u652f\u4ed8"):
        for kind, body, leaf in (("event", None, "event"), ("order", {"action": "self_test"}, "order")):
            signed = message(kind, body=body)
            assert decode_text(encode_text(acquirer, signed)) == ("poi/v1/%s/T0000001/%s" % (acquirer, leaf), signed)


def test_the_text_stays_in_the_alphanumeric_mode_of_qr_codes():
    text = encode_text("acq1", message())
    assert text.startswith("RS1:")
    assert all(character in ALPHANUMERIC for character in text)


def test_a_text_is_short():
    signed = message()
    # The list and the acquirer's name are six bytes; three characters for two bytes.
    assert len(encode_text("acq1", signed)) == 4 + (6 + len(signed) + 1) // 2 * 3 - (6 + len(signed)) % 2


def with_blanks(blanks):
    """A text in which a blank, which is a digit, stands where lines will be broken."""
    for number in range(1000):
        text = encode_text("acq1", message(body={"name": "e%d" % number}))
        places = [place for place in range(20, len(text) - 20) if text[place] == " "]
        if len(places) >= blanks:
            return text, places
    raise AssertionError("no such text")


def test_a_text_that_was_copied_is_read_all_the_same():
    text, _ = with_blanks(2)
    whole = decode_text(text)
    for width in (1, 3, 20, 76):
        lines = [text[start : start + width] for start in range(0, len(text), width)]
        for line_break in ("\n", "\r\n", "\n\n", "\t"):
            assert decode_text(line_break.join(lines)) == whole
    assert decode_text("\n  " + text + " \r\n\n") == whole


def test_lines_that_were_indented_are_read_all_the_same():
    text, places = with_blanks(1)
    cut = places[0] + 5
    while " " in (text[cut - 1], text[cut]):
        cut += 1
    assert decode_text("    " + text[:cut] + "  \n    " + text[cut:]) == decode_text(text)


def test_lines_that_were_broken_at_blanks_are_read_all_the_same():
    text, places = with_blanks(2)
    assert decode_text("\n".join(text.split(" "))) == decode_text(text)
    broken = text[: places[0]] + "\n" + text[places[0] + 1 :]
    assert decode_text(broken) == decode_text(text)


def test_no_text_begins_or_ends_with_a_blank():
    # So what people add at either end can be taken away.
    for last in range(256):
        assert to_base45(bytes([last]))[-1] != " "
    assert max(ALPHANUMERIC.index(to_base45(pair)[-1]) for pair in (b"\xff\xff", b"\xff\x00")) < ALPHANUMERIC.index(" ")


def test_nothing_is_no_text():
    for text in ("", " ", "\n\r\n\t"):
        assert refused(text) == ("empty", "there is no text")


def test_what_does_not_begin_as_a_signed_text_is_none():
    for text in ("https://example.com/RS1:", "rs1:BB8", "RS1", "RS", "Hello", "\u7ec8\u7aef", "HC1:6BF"):
        assert refused(text) == ("not_signed_text", "a signed text begins with RS1:")
    assert refused("RS1:" + "0" * 20000)[0] == "not_signed_text"


def test_another_version_is_named():
    assert refused("RS2:BB8") == ("version", "a signed text of form RS2; this knows RS1 only")
    assert refused("RS12:BB8") == ("version", "a signed text of form RS12; this knows RS1 only")


def test_a_text_without_its_message_is_damaged():
    assert refused("RS1:")[0] == "damaged"


def test_a_text_that_was_cut_off_is_damaged():
    text = encode_text("acq1", message())
    for length in range(len(PREFIX), len(text)):
        code, line = refused(text[:length])
        assert code == "damaged", line


def test_a_character_that_is_no_digit_is_named():
    text = encode_text("acq1", message())
    code, line = refused(text[:10] + "a" + text[11:])
    assert code == "damaged" and "'a' at 7 is no digit of Base45" in line
    assert refused(text[:10] + "\u00e9" + text[11:])[0] == "damaged"


def test_any_other_character_makes_another_message_or_none():
    text = encode_text("acq1", message())
    whole = decode_text(text)
    for place in range(len(text)):
        digit = ALPHANUMERIC[(ALPHANUMERIC.index(text[place]) + 1 + place % 43) % 45]
        try:
            assert decode_text(text[:place] + digit + text[place + 1 :]) != whole
        except SignedTextError:
            pass


def test_what_is_not_a_list_of_acquirer_and_message_is_damaged():
    signed = message()
    for data in (
        signed,
        b"\x81" + encode("acq1"),
        b"\x83" + encode("acq1") + signed + b"\x00",
        b"\x82" + encode(7) + signed,
        b"\x82" + encode("acq1") + encode(b"bytes"),
        b"\x82" + encode("acq1") + encode(Tag(17, [])),
        b"\x82" + encode("acq1") + encode(Tag(18, [1, 2])),
        b"\x82" + encode("acq1") + signed + b"\x00",
        b"\x82\x78\x04acq1" + signed,  # the length of the name not in its shortest form
    ):
        assert refused(text_of(data))[0] == "damaged"


def test_a_message_of_another_schema_is_named():
    claims = Claims(kind_named("event"), "T1", 1, {"name": "x"}).to_map()
    claims[-65537][0] = 2
    assert "not of this schema: version" in refused(text_of(b"\x82" + encode("acq1") + message(claims=claims)))[1]
    claims[-65537][:2] = [1, 99]
    assert "not of this schema: unknown_kind" in refused(text_of(b"\x82" + encode("acq1") + message(claims=claims)))[1]


def test_a_name_that_cannot_stand_in_a_topic_is_refused_both_ways():
    for name in ("", "a/b", "+", "acq#", "a\x00", "x" * 65):
        raises(ValueError, encode_text, name, message())
        assert refused(text_of(b"\x82" + encode(name) + message()))[0] == "damaged"


def long_text(number=0):
    return encode_text(
        "acq1", message("application", body={"application": number, "purpose": "appeal", "reasons": [], "sealed": bytes(900)})
    )


def test_a_text_in_parts_is_read_back_in_any_order_with_parts_twice_and_however_they_are_put_together():
    text = long_text()
    for longest in (100, 468, 700):
        parts = parts_of(text, longest)
        assert len(parts) == -(-len(text) // (longest - 15)) and max([len(part) for part in parts]) <= longest
        for part in parts:
            assert part.startswith(PART_PREFIX) and part == part.strip()
            assert all(character in ALPHANUMERIC for character in part)
        whole = decode_text(text)
        for between in ("\n", "\r\n", "", "\n\n  "):
            assert decode_text(between.join(parts)) == whole
            assert decode_text(between.join(reversed(parts + parts[1:])) + "\n") == whole
        broken = "\n".join([part[place : place + 40] for part in parts for place in range(0, len(part), 40)])
        assert decode_text(broken) == whole


def test_no_part_begins_or_ends_with_a_blank():
    text = with_blanks(2)
    for longest in range(35, len(text)):
        for part in parts_of(text, longest):
            assert part == part.strip() and part.split(":", 3)[3][0] != " "
        assert decode_text("\n".join(parts_of(text, longest))) == decode_text(text)


def test_what_is_wrong_with_parts_is_said():
    parts = parts_of(long_text(), 468)
    code, line = refused("\n".join(parts[:1] + parts[2:]))
    assert code == "incomplete" and "part 2 of %d is missing" % len(parts) in line
    assert refused("\n".join(parts[:1] + parts_of(long_text(1), 468)[1:]))[0] == "mixed"
    altered = parts[1][:-1] + ("0" if parts[1][-1] != "0" else "1")
    assert refused("\n".join([parts[0], altered] + parts[2:]))[0] == "damaged"
    assert refused("\n".join([parts[0], parts[1][:-3]] + parts[2:]))[0] == "damaged"
    for head in ("RP1:", "RP1:1", "RP1:0/3:ABCD:X", "RP1:4/3:ABCD:X", "RP1:1/100:ABCD:X", "RP1:x/2:ABCD:X", "RP1:1/2:ABC:X"):
        assert refused(head)[0] == "damaged", head


def test_a_display_too_small_for_any_part_gets_none():
    assert parts_of(long_text(), 34) == [] and parts_of(long_text(), 0) == []
    assert len(parts_of(long_text(), 35)) <= 99
    assert parts_of("RS1:" + "A" * 5000, 60) == []  # of more than 99
