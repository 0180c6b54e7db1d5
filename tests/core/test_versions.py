"""Versions are compared as numbers, not as text."""

from firmware_agent import VERSION
from firmware_agent.boot.versions import is_newer, is_version
from tests.core.support import raises


def test_the_newer_one_has_the_greater_number_at_the_first_place_where_they_differ():
    ordered = ["0", "0.0.1", "0.1", "0.1.1", "0.2", "0.9.9", "0.10", "1", "1.0.1", "1.9.2", "1.10", "2", "10"]
    for place, version in enumerate(ordered):
        for other, text in enumerate(ordered):
            assert is_newer(version, text) == (place > other), (version, text)


def test_zeros_at_the_end_say_nothing():
    for version, other in (("1", "1.0"), ("1.0.0", "1"), ("0", "0.0"), ("01.2", "1.2")):
        assert not is_newer(version, other) and not is_newer(other, version)


def test_what_is_no_version_is_compared_with_nothing():
    for text in ("", ".", "1.", ".1", "1..2", "v1", "1.2-rc1", "1,2", "-1", "1 ", "\u00b2", "\u0663", "1" * 21):
        assert not is_version(text)
        raises(ValueError, is_newer, text, "1")
        raises(ValueError, is_newer, "1", text)
    assert is_version(VERSION)
