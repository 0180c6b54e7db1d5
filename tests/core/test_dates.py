"""Times for people: the calendar from 1970 on, at any offset."""

from firmware_agent.flows.dates import DAY_S, local_time


def test_known_times():
    for wall_s, offset_min, text in (
        (0, 0, "1970-01-01 00:00"),
        (59, 0, "1970-01-01 00:00"),
        (951782399, 0, "2000-02-28 23:59"),
        (951782400, 0, "2000-02-29 00:00"),  # 2000 is a leap year, as every 400th is
        (951868800, 0, "2000-03-01 00:00"),
        (1709164800, 0, "2024-02-29 00:00"),
        (1709251200, 0, "2024-03-01 00:00"),
        (1740700800, 0, "2025-02-28 00:00"),
        (1740787200, 0, "2025-03-01 00:00"),
        (1795305600, 0, "2026-11-22 00:00"),
        (1798761599, 0, "2026-12-31 23:59"),
        (2147483648, 0, "2038-01-19 03:14"),
        (4102444800, 0, "2100-01-01 00:00"),
        (4107456000, 0, "2100-02-28 00:00"),
        (4107542400, 0, "2100-03-01 00:00"),  # 2100 is none
        (4294967296, 0, "2106-02-07 06:28"),
    ):
        assert local_time(wall_s, offset_min) == text, wall_s


def test_offsets_east_and_west():
    assert local_time(1795305600, 480) == "2026-11-22 08:00"
    assert local_time(1795305600, -300) == "2026-11-21 19:00"
    assert local_time(1795305600, 345) == "2026-11-22 05:45"
    assert local_time(1709251200, -1) == "2024-02-29 23:59"
    assert local_time(0, -1) == "1969-12-31 23:59"
    assert local_time(0, -720) == "1969-12-31 12:00"


def test_each_day_follows_the_one_before():
    """Over a hundred years: days go up by one within a month, and months and years begin with 1."""
    lengths = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    year, month, day = 2000, 1, 1
    for number in range(36525 + 366):
        if number % 7 == 0:  # a look at every seventh day meets each month's end in some year
            assert local_time(946684800 + number * DAY_S, 0) == "%04d-%02d-%02d 00:00" % (year, month, day)
        day += 1
        leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        if day > lengths[month - 1] + leap:
            day = 1
            month += 1
        if month > 12:
            month = 1
            year += 1
