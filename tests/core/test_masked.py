"""Card numbers are masked, or refused, where they enter: and other numbers are left alone."""

import asyncio
from hashlib import sha256

from firmware_agent.card_numbers import masked
from firmware_agent.identity.enrolment import Credentials, EnrolmentError
from firmware_agent.identity.technician import _badge_claims, badge_payload
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.inbound import Judge
from firmware_agent.messages.schema import Claims, kind_named, topic
from firmware_agent.selftest.examination import read_code
from firmware_agent.settings import SettingError, Settings
from firmware_agent.store import Store
from hal.clock import TRUST_SET
from hal.device import HEALTH_SUCCESS
from hal.drivers.software_key import SoftwareKey
from tests.core.parts import NOW_S, Flash, QuickCurve, enabled
from tests.core.support import raises

# Numbers that issuers give out for tests: 13, 14, 15, 16 and 19 digits.
NUMBERS = ("4222222222222", "30569309025904", "378282246310005", "4111111111111111", "5555555555554444", "6222021234567890128")


def digits_of(text):
    return "".join([character for character in text if character in "0123456789"])


def test_each_card_number_is_masked_but_for_its_last_four():
    for number in NUMBERS:
        assert masked(number) == "*" * (len(number) - 4) + number[-4:]
        assert masked("card " + number + ", thanks") == "card " + masked(number) + ", thanks"
        assert masked(";" + number + "=25121010000?").startswith(";" + masked(number) + "=")
        assert masked(number + "D2512101") == masked(number) + "D2512101"


def test_in_parts_it_is_the_same_number():
    for separator in (" ", "-", ".", "  ", " - ", "\u00a0", "\u3000", "\u2013", "      ", "\t", "\n"):
        for number in NUMBERS:
            parts = separator.join([number[place : place + 4] for place in range(0, len(number), 4)])
            told = masked("no " + parts + " it is")
            assert digits_of(told) == number[-4:], told
            assert len(told) == len("no " + parts + " it is")
    assert masked("3782 822463 10005") == "**** ****** *0005"
    assert masked("622202 1234567890128") == "****** *********0128"


def test_full_width_digits_are_digits():
    number = "".join([chr(0xFF10 + int(digit)) for digit in NUMBERS[3]])
    assert masked("\u5361\u53f7" + number) == "\u5361\u53f7" + "*" * 12 + number[-4:]


def test_numbers_beside_it_stay_and_hide_it_not():
    assert masked("case 1107 4111 1111 1111 1111 2026") == "case 1107 **** **** **** 1111 2026"
    assert masked("4111111111111111 5555555555554444") == "************1111 ************4444"
    assert masked("21 4111111111111111 7") == "21 ************1111 7"


def test_a_piece_too_long_for_a_card_number_may_hold_one():
    told = masked("0000411111111111111125121010")
    assert told == "*" * 24 + "1010"
    assert masked("x" + "7" * 500) == "x" + "*" * 496 + "7777"


def test_what_is_no_card_number_stays():
    for text in (
        "",
        "C-2026-1107",
        "2026-11-22 08:35 to 2026-11-23 18:00",
        "4111111111111112",  # wrong check digit
        "411111111111",  # too short
        "13800138000",
        "+8613800138000",
        "+86 138 0013 8000",
        "+30569309025904",  # with the right check digit
        "6901234567892",  # an article number whose check digit is right for a card, too
        "95516",
        "300000012",
        "0000000000000000",
        "S6 violation 工单号",
        "192.168.100.200",
        "no digits at all",
    ):
        assert masked(text) == text


def test_a_plus_hides_no_number_that_is_longer_than_telephones_are():
    assert masked("+4111111111111111") == "+************1111"


# Where they enter.


def judged(kind, body):
    element = enabled(SoftwareKey(Flash(), QuickCurve()))
    public_key = asyncio.run(element.generate_key(0))
    where = topic("acq1", "T1", kind_named(kind).leaf)
    claims = Claims(kind_named(kind), "T1", 5, body, "acq1", NOW_S, NOW_S + 3600)
    message = asyncio.run(sign(element, 0, key_id(public_key), encode(claims.to_map()), where))
    verdict = asyncio.run(Judge(element, "acq1", "T1", [public_key]).judge(where, message, 4, NOW_S, TRUST_SET))
    assert verdict.refusal == "" and verdict.digest == sha256(message).digest()[:16]
    return verdict.claims.body


def test_what_the_acquirers_people_write_is_masked_before_anything_sees_it():
    for number in NUMBERS:
        body = judged("order", {"action": "suspend", "reason": "violation", "case": number, "note": "paid with " + number})
        assert body["case"] == masked(number) and body["note"] == "paid with " + masked(number)
        assert (body["action"], body["reason"]) == ("suspend", "violation")
        assert judged("status", {"application": 1, "status": "rejected", "remark": number})["remark"] == masked(number)
        assert judged("order", {"action": "message", "text": "for " + number})["text"] == "for " + masked(number)
        assert judged("notice", {"notice": 1, "about": "fee", "text": number})["text"] == masked(number)


class Scanner:
    def __init__(self, code):
        self._code = code

    async def scan(self, timeout_ms):
        return self._code


class Subject:
    """Of a self-test's subject, what reading a code needs."""

    def __init__(self, code):
        self.hal = self
        self.scanner = Scanner(code)
        self.person = self

    def show(self, page):
        pass


def test_a_code_with_a_card_number_passes_and_is_kept_masked():
    for number in NUMBERS:
        health = asyncio.run(read_code(Subject("PAN:" + number)))
        assert (health.outcome, health.detail) == (HEALTH_SUCCESS, "PAN:" + masked(number))
    assert asyncio.run(read_code(Subject("T0000001"))).detail == "T0000001"


def test_a_badge_does_not_carry_one_in():
    _, number, name, _, _ = _badge_claims(badge_payload("acq1", NUMBERS[3], NUMBERS[4], NOW_S, bytes(64)))
    assert (number, name) == (masked(NUMBERS[3]), masked(NUMBERS[4]))


def test_a_setting_with_one_is_refused_not_altered():
    store = Store(Flash())
    store.open()
    settings = Settings(store)
    for name in ("ssid", "password", "contact_name", "contact_phone", "service_line"):
        error = raises(SettingError, settings.set, name, NUMBERS[3])
        assert name in str(error) and NUMBERS[3] not in str(error)
        raises(SettingError, settings.changes, [[name, NUMBERS[3]]])
        assert settings.get(name) == ""
    settings.set("contact_phone", "+86 138 0013 8000")
    assert settings.get("contact_phone") == "+86 138 0013 8000"


def test_credentials_with_one_are_refused():
    settings = {"contact_phone": "4111 1111 1111 1111"}
    data = Credentials("T1", "acq1", b"", b"", b"", [bytes(64)], "host", 8883, "host", settings).encoded()
    assert "1111" not in str(raises(EnrolmentError, Credentials.decoded, data))


def test_credentials_of_old_have_no_sealing_key_and_a_wrong_one_is_refused():
    fields = ("T1", "acq1", b"", b"", b"", [bytes(64)], "host", 8883, "host", {})
    assert Credentials.decoded(encode([1] + list(fields))).sealing_key == b""
    assert Credentials.decoded(Credentials(*fields, bytes(range(64))).encoded()).sealing_key == bytes(range(64))
    raises(EnrolmentError, Credentials.decoded, Credentials(*fields, bytes(63)).encoded())
    raises(EnrolmentError, Credentials.decoded, encode([1] + list(fields[:-1])))
    raises(EnrolmentError, Credentials.decoded, encode([1] + list(fields) + [b"", b""]))
