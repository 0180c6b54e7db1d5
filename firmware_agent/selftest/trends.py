"""How a device's measurements develop: a bounded history on flash, and a warning before a limit is reached (domain K1)."""

from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.selftest.phases import PASS

PREFIX = "trend."  # + phase + "." + measure's first characters: its last values, oldest first
KEPT = 16  # values of each measurement: two weeks of daily tests
LEAST = 6  # values from which a direction can be told
AHEAD = 8  # runs: a limit that would be reached within so many is near
DRIFTING = "drifting:"  # begins the detail of such a warning
NOISE = 4  # a direction counts when it explains this many times what is left unexplained; a single step reaches 3.4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.selftest.phases import Measure, Phase, Result
    from firmware_agent.store import Store


def history(store: "Store", phase: str, measure: str) -> "list[int]":
    """The values kept, oldest first; [] where there are none, or what is there cannot be read."""
    record = store.get(_key(phase, measure))
    if record is None:
        return []
    try:
        values = decode(record)
    except CborError:
        return []
    if not isinstance(values, list) or any(not isinstance(value, int) for value in values):
        return []
    return values


def follow(store: "Store", phase: "Phase", result: "Result") -> "list[tuple[str, bytes | None]]":
    """Take the measurements of a result into the history: the writes to the store. A result that passed and whose measurement drifts
    towards its limit gets the measure's cause: it is marginal before it fails.
    """
    writes: list[tuple[str, bytes | None]] = []
    for measure in phase.measures:
        value = result.measurements.get(measure.name)
        if value is None:
            continue
        values = (history(store, phase.id, measure.name) + [value])[-KEPT:]
        writes.append((_key(phase.id, measure.name), encode(values)))
        if result.outcome == PASS and not result.cause and is_drifting(values, measure):
            result.cause = measure.cause
            result.detail = DRIFTING + " %s" % " ".join([str(value) for value in values[-4:]])
    return writes


def is_drifting(values: "list[int]", measure: "Measure") -> bool:
    """Whether a straight line through the values reaches a limit within the next runs. A line that the values do not keep to says
    nothing.
    """
    count = len(values)
    if count < LEAST:
        return False
    # Least squares in whole numbers, for a float has 24 bits on some boards. The places are two apart, so that their mean is 0.
    places = range(1 - count, count, 2)
    total = sum(values)
    spread = sum([place * place for place in places])
    rise = sum([place * value for place, value in zip(places, values)])  # slope * spread
    explained = rise * rise * count  # these two times count * spread
    variation = (count * sum([value * value for value in values]) - total * total) * spread
    if explained <= NOISE * (variation - explained):
        return False
    ahead = total * spread + rise * count * (count - 1 + 2 * AHEAD)  # times count * spread
    limit = measure.high if rise > 0 else measure.low
    if limit is None:
        return False
    return ahead > limit * count * spread if rise > 0 else ahead < limit * count * spread


def _key(phase: str, measure: str) -> str:
    """Short enough for the store, which takes keys of 32 bytes."""
    return (PREFIX + phase + "." + measure)[:32]
