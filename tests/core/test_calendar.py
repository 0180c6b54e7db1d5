"""Dates as people write them, and as days that can be counted: one and the same."""

from hal.calendar import date_of, day_of, days_since_1970
from tests.core.support import raises


def test_a_date_is_the_day_that_is_that_date():
    for date, day in (("1970-01-01", 0), ("2000-02-29", 11016), ("2026-11-22", 20779), ("2100-03-01", 47541)):
        assert day_of(date) == day and date_of(day) == date
    for day in range(day_of("2026-12-01"), day_of("2029-01-31"), 7):
        assert day_of(date_of(day)) == day
    assert days_since_1970(2026, 11, 22) == day_of("2026-11-22")


def test_what_is_no_date_is_refused():
    for text in ("", "2026", "20261122", "2026/11/22", "2026-1-22", "2026-11-2 ", "2026-11-222", "a026-11-22", "2026-1a-22", "+026-11-22"):
        raises(ValueError, day_of, text)
    for text in ("2026-00-10", "2026-13-10", "2026-11-00", "2026-11-31", "2026-02-29", "2100-02-29", "2026-12-32"):
        raises(ValueError, day_of, text)
    for text in ("2024-02-29", "2026-12-31", "2026-01-01"):
        assert date_of(day_of(text)) == text
