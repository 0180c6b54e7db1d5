"""The Gregorian calendar, worked out here because the epoch of MicroPython's time module is 1970 on some ports and 2000 on others."""


def days_since_1970(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date; March is taken as the first month, so that a leap day comes last."""
    if month <= 2:
        year -= 1
        month += 12
    leap_days = year // 4 - year // 100 + year // 400
    return 365 * year + leap_days + (153 * (month - 3) + 2) // 5 + day - 719469


def day_of(date: str) -> int:
    """Days from 1970-01-01 to a date 'YYYY-MM-DD'. Raises ValueError for what is no such date."""
    digits = date[:4] + date[5:7] + date[8:]
    if len(date) != 10 or date[4] != "-" or date[7] != "-" or not all(["0" <= digit <= "9" for digit in digits]):
        raise ValueError("not a date")
    year, month, day = int(date[:4]), int(date[5:7]), int(date[8:])
    if not 1 <= month <= 12 or day < 1:
        raise ValueError("no such date")
    following = days_since_1970(year + month // 12, month % 12 + 1, 1)
    if days_since_1970(year, month, day) >= following:
        raise ValueError("no such date")
    return days_since_1970(year, month, day)


def civil(days: int) -> "tuple[int, int, int]":
    """Year, month, day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.

    Counts in eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
    """
    days += 719468  # 0000-03-01
    era = days // 146097
    day_of_era = days - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return year_of_era + era * 400 + (month <= 2), month, day


def date_of(day: int) -> str:
    """'YYYY-MM-DD' of a day counted from 1970-01-01."""
    return "%04d-%02d-%02d" % civil(day)
