"""Times for people: Unix seconds as a local date and time."""

from hal.calendar import civil

DAY_S = 86400


def local_time(wall_s: int, utc_offset_min: int) -> str:
    """'2026-11-22 09:05' for Unix seconds at an offset east of UTC in minutes."""
    seconds = wall_s + 60 * utc_offset_min
    days = seconds // DAY_S
    minutes = seconds % DAY_S // 60
    year, month, day = civil(days)
    return "%04d-%02d-%02d %02d:%02d" % (year, month, day, minutes // 60, minutes % 60)
