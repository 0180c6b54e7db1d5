"""The acquirer's limits and how near the day's totals are; and what settings of the payment host may be."""

from firmware_agent.payment.limits import is_limit, limits_of, warnings
from firmware_agent.payment.payment_host import address_of, is_merchant_number, may_be
from firmware_agent.settings import SettingError, Settings
from firmware_agent.store import Store
from hal.payment import Totals
from tests.core.parts import Flash
from tests.core.support import raises

LIMITS = (100000, 1000000, 3)


def new_settings():
    store = Store(Flash())
    store.open()
    return Settings(store)


def configured(*pairs):
    settings = new_settings()
    settings._store.put_all(settings.changes([list(pair) for pair in pairs]))
    return settings


def test_nothing_is_said_below_four_fifths_of_a_limit():
    assert warnings(LIMITS, Totals(79999, 799999, 2)) == []
    assert warnings(LIMITS, None) == []
    assert warnings((0, 0, 0), Totals(10**11, 10**11, 99)) == []


def test_each_limit_that_is_near_is_named_with_its_percent_the_nearest_first():
    assert warnings(LIMITS, Totals(80000, 0, 0)) == [("single", 80)]
    assert warnings(LIMITS, Totals(0, 990000, 3)) == [("card_changes", 100), ("daily", 99)]
    assert warnings(LIMITS, Totals(150000, 800000, 0)) == [("single", 150), ("daily", 80)]
    assert warnings((100, 100, 0), Totals(90, 90, 5)) == [("single", 90), ("daily", 90)]


def test_the_acquirer_sets_limits_by_his_order_and_none_is_set_before():
    assert limits_of(new_settings()) == (0, 0, 0)
    settings = configured(("limit_single", "100000"), ("limit_daily", "1000000"), ("limit_card_changes", "3"))
    assert limits_of(settings) == LIMITS
    for value in ("", "1", "999999999999"):
        assert is_limit(value), value
    for value in ("0", "00", "-1", "1.5", "1 000", "1" * 13, "a"):
        assert not is_limit(value), value
        raises(SettingError, configured, ("limit_daily", value))


def test_a_limit_that_rotted_is_none():
    settings = new_settings()
    settings.set("limit_daily", "much")
    assert limits_of(settings) == (0, 0, 0)


def test_a_payment_host_is_a_name_or_an_address_with_a_port():
    assert address_of("pay.example:8583") == ("pay.example", 8583)
    assert address_of("10.0.0.1:1") == ("10.0.0.1", 1)
    for value in ("", "pay.example", "pay.example:", ":80", "a b:80", "pay:65536", "pay:0", "pay:80x", "p" * 81 + ":80", "pay:80:80"):
        assert address_of(value) == ("", 0), value
        assert may_be("payment_host", value) == (not value)


def test_merchant_and_terminal_have_their_length():
    settings = configured(("payment_host", "pay:80"), ("merchant_number", "898310148160001"), ("payment_terminal", "10000001"))
    assert settings.get("merchant_number") == "898310148160001"
    for name, value in (("merchant_number", "89831014816000"), ("merchant_number", "8983101481600 1"), ("payment_terminal", "1000001")):
        raises(SettingError, configured, (name, value))


def test_a_merchant_number_may_have_a_cards_check_digit_and_a_card_is_none():
    assert is_merchant_number("898310148160001")
    assert is_merchant_number("898310148160004") and configured(("merchant_number", "898310148160004"))  # right by Luhn, by chance
    assert not is_merchant_number("378282246310005")
    raises(SettingError, configured, ("merchant_number", "378282246310005"))
    raises(SettingError, configured, ("merchant_number", "4111111111111111"))
