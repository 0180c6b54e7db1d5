"""Settings: what was set is there after a restart, and a bad value counts as not set."""

from firmware_agent.messages.cbor import encode
from firmware_agent.settings import DEFAULTS, PREFIX, Settings
from firmware_agent.store import Store
from tests.core.parts import Flash
from tests.core.support import raises


def opened(flash):
    store = Store(flash)
    store.open()
    return store


def test_a_new_terminal_has_the_defaults():
    settings = Settings(opened(Flash()))
    for name, value in DEFAULTS.items():
        assert settings.get(name) == value
    assert settings.language == "zh-CN" and settings.utc_offset_min == 480


def test_what_was_set_is_there_after_a_restart():
    flash = Flash()
    settings = Settings(opened(flash))
    settings.set("language", "en")
    settings.set("ssid", "\u5e97\u94fa wifi")
    settings.set("utc_offset_min", "-300")
    settings = Settings(opened(flash))
    assert settings.language == "en" and settings.get("ssid") == "\u5e97\u94fa wifi" and settings.utc_offset_min == -300
    assert settings.get("password") == ""


def test_a_name_that_is_no_setting_is_an_error_both_ways():
    store = opened(Flash())
    settings = Settings(store)
    raises(KeyError, settings.get, "colour")
    raises(KeyError, settings.set, "colour", "red")
    assert store.keys(PREFIX) == []


def test_a_record_that_cannot_be_read_counts_as_not_set():
    store = opened(Flash())
    settings = Settings(store)
    for record in (b"", b"\xff", encode(7), encode(None), encode(b"en"), encode(["en"])):
        for name in DEFAULTS:
            store.put(PREFIX + name, record)
            assert settings.get(name) == DEFAULTS[name]
        assert settings.language == "zh-CN" and settings.utc_offset_min == 480


def test_a_value_that_means_nothing_counts_as_not_set():
    settings = Settings(opened(Flash()))
    for value in ("", "fr", "EN", "zh"):
        settings.set("language", value)
        assert settings.language == "zh-CN"
    for value in ("", "noon", "8:00", "841", "-721", "100000", "4.5"):
        settings.set("utc_offset_min", value)
        assert settings.utc_offset_min == 480, value
    for value in ("0", "840", "-720", "345"):
        settings.set("utc_offset_min", value)
        assert settings.utc_offset_min == int(value)


def test_setting_once_more_heals_what_was_broken():
    store = opened(Flash())
    settings = Settings(store)
    store.put(PREFIX + "language", b"\xff")
    settings.set("language", "en")
    assert settings.language == "en"
