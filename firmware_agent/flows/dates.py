"""Times for people: Unix seconds as a local date and time."""

DAY_S = 86400


def local_time(wall_s: int, utc_offset_min: int) -> str:
    """'2026-11-22 09:05' for Unix seconds at an offset east of UTC in minutes."""
    seconds = wall_s + 60 * utc_offset_min
    days = seconds // DAY_S
    minutes = seconds % DAY_S // 60
    year, month, day = _civil(days)
    return "%04d-%02d-%02d %02d:%02d" % (year, month, day, minutes // 60, minutes % 60)


def _civil(days: int) -> "tuple[int, int, int]":
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
