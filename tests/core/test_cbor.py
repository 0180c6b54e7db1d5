"""CBOR: the examples of RFC 8949, the one form, and hostile input."""

from binascii import hexlify, unhexlify

from firmware_agent.messages.cbor import CborError, Tag, decode, encode, is_utf8
from tests.core.support import raises

# RFC 8949, appendix A: all examples that this CBOR can carry.
EXAMPLES = (
    (0, "00"),
    (1, "01"),
    (10, "0a"),
    (23, "17"),
    (24, "1818"),
    (25, "1819"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (Tag(2, b"\x01" + bytes(8)), "c249010000000000000000"),
    (Tag(0, "2013-03-21T20:04:00Z"), "c074323031332d30332d32315432303a30343a30305a"),
    (Tag(1, 1363896240), "c11a514b67b0"),
    (Tag(23, b"\x01\x02\x03\x04"), "d74401020304"),
    (Tag(24, b"dIETF"), "d818456449455446"),
    (Tag(32, "http://www.example.com"), "d82076687474703a2f2f7777772e6578616d706c652e636f6d"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("a", "6161"),
    ("IETF", "6449455446"),
    ('"\\', "62225c"),
    ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"),
    ("\U00010151", "64f0908591"),
    ([], "80"),
    ([1, 2, 3], "83010203"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    (["a", {"b": "c"}], "826161a161626163"),
    ({"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"}, "a56161614161626142616361436164614461656145"),
)

# What is refused, with the code word and the offset that the error must name.
HOSTILE = (
    ("", "truncated", 0),
    # heads cut off
    ("18", "truncated", 0),
    ("1901", "truncated", 0),
    ("1a010203", "truncated", 0),
    ("1b01020304050607", "truncated", 0),
    ("58", "truncated", 0),
    ("81", "length", 0),
    ("8201", "length", 0),
    ("a1", "length", 0),
    ("a101", "length", 0),
    ("c1", "truncated", 1),
    ("828100", "truncated", 3),
    # more announced than there is
    ("41", "length", 0),
    ("426162"[:4], "length", 0),
    ("6261", "length", 0),
    ("5affffffff", "length", 0),
    ("5bffffffffffffffff", "length", 0),
    ("7b7fffffffffffffff00", "length", 0),
    ("9affffffff00", "length", 0),
    ("9bffffffffffffffff", "length", 0),
    ("9b8000000000000000", "length", 0),
    ("bbffffffffffffffff", "length", 0),
    ("bb7fffffffffffffff0000", "length", 0),
    ("a2010203", "length", 0),
    ("8243616263" + "9affffffff", "length", 5),
    # not the shortest form
    ("1800", "not_shortest", 0),
    ("1817", "not_shortest", 0),
    ("190018", "not_shortest", 0),
    ("1900ff", "not_shortest", 0),
    ("1a0000ffff", "not_shortest", 0),
    ("1b00000000ffffffff", "not_shortest", 0),
    ("1b0000000000000000", "not_shortest", 0),
    ("3800", "not_shortest", 0),
    ("3a0000ffff", "not_shortest", 0),
    ("580161", "not_shortest", 0),
    ("59000161", "not_shortest", 0),
    ("780161", "not_shortest", 0),
    ("980100", "not_shortest", 0),
    ("b8010000", "not_shortest", 0),
    ("d80100", "not_shortest", 0),
    ("811800", "not_shortest", 1),
    # indefinite lengths
    ("5f4101ff", "indefinite", 0),
    ("7f6161ff", "indefinite", 0),
    ("9fff", "indefinite", 0),
    ("9f01ff", "indefinite", 0),
    ("bfff", "indefinite", 0),
    ("1f", "indefinite", 0),
    ("3f", "indefinite", 0),
    ("df00", "indefinite", 0),
    ("ff", "indefinite", 0),
    ("81ff", "indefinite", 1),
    # reserved additional information
    ("1c", "reserved", 0),
    ("3d", "reserved", 0),
    ("5e", "reserved", 0),
    ("7c", "reserved", 0),
    ("9d", "reserved", 0),
    ("be", "reserved", 0),
    ("dc00", "reserved", 0),
    ("fc", "reserved", 0),
    ("fe", "reserved", 0),
    # simple values other than false, true and null
    ("f7", "simple", 0),
    ("e0", "simple", 0),
    ("f0", "simple", 0),
    ("f814", "simple", 0),
    ("f8ff", "simple", 0),
    # floating point
    ("f90000", "float", 0),
    ("f97c00", "float", 0),
    ("fa47c35000", "float", 0),
    ("fb3ff199999999999a", "float", 0),
    # maps
    ("a201000100", "duplicate_key", 3),
    ("a26161006161" + "00", "duplicate_key", 4),
    ("a202000100", "unsorted_keys", 3),
    ("a261620061" + "6100", "unsorted_keys", 4),
    ("a220000100", "unsorted_keys", 3),
    ("a26261610061" + "6200", "unsorted_keys", 5),
    ("a1f500", "key_type", 1),
    ("a1f600", "key_type", 1),
    ("a18000", "key_type", 1),
    ("a1a000", "key_type", 1),
    ("a1c10000", "key_type", 1),
    ("a1f9000000", "key_type", 1),
    ("a1ff", "length", 0),
    ("a1180000", "not_shortest", 1),
    # text
    ("61ff", "utf8", 0),
    ("6180", "utf8", 0),
    ("62c080", "utf8", 0),
    ("62c1bf", "utf8", 0),
    ("61c3", "utf8", 0),
    ("62c328", "utf8", 0),
    ("63e08080", "utf8", 0),
    ("63eda080", "utf8", 0),
    ("63edbfbf", "utf8", 0),
    ("62e6b0", "utf8", 0),
    ("64f08080" + "80", "utf8", 0),
    ("64f4908080", "utf8", 0),
    ("64f5808080", "utf8", 0),
    ("64f8888080", "utf8", 0),
    ("8261616180", "utf8", 3),
    # after the end
    ("0000", "trailing", 1),
    ("8000", "trailing", 1),
    ("01ff", "trailing", 1),
    # nine in each other, where eight are allowed
    ("81" * 9 + "00", "depth", 8),
    ("81" * 4000, "depth", 8),
    ("a100" * 9 + "00", "depth", 16),
    ("c1" * 9 + "00", "depth", 8),
)


def test_the_examples_of_the_rfc_are_written_and_read():
    for value, code in EXAMPLES:
        assert encode(value) == unhexlify(code), code
        decoded = decode(unhexlify(code))
        assert decoded == value and type(decoded) is type(value), code
        assert decode(memoryview(unhexlify(code))) == value, code


def test_hostile_input_is_refused_with_its_reason_and_place():
    for code, word, offset in HOSTILE:
        error = raises(CborError, decode, unhexlify(code))
        assert (error.code, error.offset) == (word, offset), (code, error.code, error.offset)
        assert str(offset) in str(error)


def test_every_beginning_of_a_message_is_refused():
    whole = encode({1: [b"bytes", "text", -1000], 2: Tag(24, {"\u6c34": None}), "x": [True, 1 << 40]})
    for length in range(len(whole)):
        assert raises(CborError, decode, whole[:length]).code in ("truncated", "length")
    assert encode(decode(whole)) == whole


def test_keys_are_sorted_by_their_bytes():
    # RFC 8949, 4.2.1, its own example without the keys that are no keys here.
    keys = (10, 100, -1, "z", "aa")
    for turn in range(len(keys)):
        mixed = {}
        for key in keys[turn:] + keys[:turn]:
            mixed[key] = 0
        assert hexlify(encode(mixed)) == b"a50a00186400200061" + b"7a0062616100"
    assert encode({b"a": 1, "a": 2}) == unhexlify("a24161016161" + "02")
    assert decode(unhexlify("a2416101616102")) == {b"a": 1, "a": 2}


def test_tuples_and_buffers_are_lists_and_bytes():
    assert encode((1, (2,))) == encode([1, [2]])
    assert encode(bytearray(b"ab")) == encode(memoryview(b"ab")) == encode(b"ab")


def test_what_cannot_be_carried_is_not_written():
    for value, word in (
        (1.5, "type"),
        ([0.0], "type"),
        (object(), "type"),
        ({1, 2}, "type"),
        (1 << 64, "range"),
        (-(1 << 64) - 1, "range"),
        (Tag(-1, 0), "range"),
        (Tag(1 << 64, 0), "range"),
        ({None: 1}, "key_type"),
        ({True: 1}, "key_type"),
        ({1.0: 1}, "key_type"),
        ({(1, 2): 1}, "key_type"),
        ([[[[[[[[[]]]]]]]]], "depth"),
    ):
        assert raises(CborError, encode, value).code == word, value


def test_text_that_is_not_unicode_is_not_written():
    assert raises(CborError, encode, chr(0xD800)).code == "utf8"


def test_as_deep_as_allowed_is_read_and_written():
    value = 0
    for _ in range(8):
        value = [value]
    assert decode(encode(value)) == value
    assert raises(CborError, encode, [value]).code == "depth"
    assert raises(CborError, decode, b"\x81\x80", 1).code == "depth"
    assert decode(b"\x80", 1) == []
    assert decode(b"\x00", 0) == 0


def test_more_items_than_allowed_are_refused():
    assert decode(encode([0] * 9), 8, 10) == [0] * 9
    error = raises(CborError, decode, encode([0] * 10), 8, 10)
    assert (error.code, error.offset) == ("items", 10)
    assert raises(CborError, decode, encode({1: 1, 2: 2}), 8, 4).code == "items"
    assert raises(CborError, decode, encode([0] * 1024)).code == "items"
    assert len(decode(encode([0] * 1023))) == 1023


def test_bytes_are_copied_out_of_the_buffer():
    buffer = bytearray(b"\x82\x42ab\x61c")
    value = decode(memoryview(buffer))
    buffer[2] = 0
    assert value == [b"ab", "c"] and type(value[0]) is bytes


def test_utf8_is_judged_as_unicode_has_it():
    for good in ("", "a\x7f", "\x80\u07ff", "\u0800\u6c34\ud7ff\ue000\uffff", "\U00010000\U0010ffff"):
        assert is_utf8(good.encode())
    for bad in (b"\x80", b"\xc0\xaf", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"ab\xe6\xb0", b"\xfe"):
        assert not is_utf8(bad)


def test_tags_are_compared_by_number_and_value():
    assert Tag(1, [2]) == Tag(1, [2])
    assert Tag(1, 2) != Tag(2, 2) and Tag(1, 2) != Tag(1, 3) and Tag(1, 2) != 2
    assert repr(Tag(1, "a")) == "Tag(1, 'a')"
