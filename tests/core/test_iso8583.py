"""ISO 8583 in the form of Chinese POS terminals: known bytes, what is refused, and that nothing of a card goes out or is kept."""

from hal.drivers.iso8583 import Iso8583Error, Message, decode, encode
from tests.core.support import raises

SIGN_IN = bytes.fromhex(
    "6000030000"  # TPDU
    "603100000000"  # application 60, version 31, not a test, no requirement
    "0800"
    "0020000000c00010"  # fields 11, 41, 42, 60
    "000001"
    "3130303030303031"  # '10000001'
    "383938333130313438313630303031"  # '898310148160001'
    "0011"
    "000000010030"  # 00 000001 003, an odd number of digits
)
FIELDS = {11: "000001", 41: "10000001", 42: "898310148160001", 60: "00000001003"}


def test_a_sign_in_has_known_bytes_and_reads_back():
    assert encode(Message("0800", FIELDS)) == SIGN_IN
    message = decode(SIGN_IN)
    assert (message.mti, message.tpdu, message.is_test, message.requirement) == ("0800", "6000030000", False, 0)
    assert message.fields == FIELDS


def test_every_form_of_field_reads_back_as_it_was_written():
    fields = {
        3: "000000",
        4: "000000000001",
        22: "012",
        39: "A0",
        44: "A258",
        48: "12345",
        60: "22000007000",
        62: bytes(range(40)),
        63: "CUP",
    }
    message = decode(encode(Message("0210", fields, True, 3)))
    assert message.fields == fields
    assert message.is_test and message.requirement == 3
    assert message.text(39) == "A0" and message.text(38) == "" and message.text(62) == ""


def test_what_is_no_message_is_refused_and_never_guessed():
    whole = encode(Message("0810", {11: "000001", 37: "123456789012", 39: "00", 60: "00000007003", 62: bytes(40)}))
    assert decode(whole).text(39) == "00"
    for length in range(len(whole)):
        raises(Iso8583Error, decode, whole[:length])
    raises(Iso8583Error, decode, whole + b"\x00")
    raises(Iso8583Error, decode, b"\xff" * len(whole))
    raises(Iso8583Error, decode, bytes(2000))
    for place in range(len(whole)):
        for bit in range(8):
            altered = bytearray(whole)
            altered[place] ^= 1 << bit
            try:
                decode(bytes(altered))
            except Iso8583Error:
                pass  # and nothing else


def test_texts_that_are_no_ascii_are_marked_and_do_no_harm():
    data = encode(Message("0810", {39: "03", 44: "A258"}))
    altered = data[:-2] + "\u5546".encode()[:2]
    assert decode(altered).text(44) == "A2??"


def test_nothing_of_a_card_is_sent():
    for number, value in ((2, "6222021234567890128"), (14, "2712"), (35, "6222021234567890128=2712"), (52, bytes(8)), (55, b"\x9f\x26")):
        raises(Iso8583Error, encode, Message("0200", {number: value}))


def test_what_an_answer_has_of_a_card_is_dropped():
    data = encode(Message("0210", {11: "000001", 39: "00"}))
    bitmap = bytearray(data[13:21])
    bitmap[0] |= 0x40
    with_card = data[:13] + bytes(bitmap) + b"\x16" + bytes.fromhex("6222021234567890") + data[21:]
    assert decode(with_card).fields == {11: "000001", 39: "00"}


def test_a_field_that_has_not_its_form_is_refused():
    for fields in (
        {11: "1"},
        {11: "1234567"},
        {11: "12345a"},
        {39: "000"},
        {44: "x" * 26},
        {41: "1000000\n"},
        {62: "00"},
        {39: b"00"},
        {1: "1"},
        {65: "1"},
    ):
        raises(Iso8583Error, encode, Message("0800", fields))
    raises(Iso8583Error, encode, Message("080", {}))
    raises(Iso8583Error, encode, Message("0800", {}, tpdu="60"))
