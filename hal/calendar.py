"""The Gregorian calendar, worked out here because the epoch of MicroPython's time module is 1970 on some ports and 2000 on others."""


def days_since_1970(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date; March is taken as the first month, so that a leap day comes last."""
    if month <= 2:
        year -= 1
        month += 12
    leap_days = year // 4 - year // 100 + year // 400
    return 365 * year + leap_days + (153 * (month - 3) + 2) // 5 + day - 719469
