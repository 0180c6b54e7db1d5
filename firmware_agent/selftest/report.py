"""Results as a report carries them: short lists of numbers, so that a whole run fits into one message and one QR code."""

from firmware_agent.selftest.diagnosis import cause_named
from firmware_agent.selftest.phases import OUTCOMES, Result
from firmware_agent.selftest.plans import phase_ids
from hal.errors import E_EXTENDED

MAX_DETAIL = 40  # characters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.selftest.phases import Phase


def to_list(result: Result, phase: "Phase") -> "list[int | str]":
    """[phase, outcome, duration in ms, cause, error number, detail]: phase and cause by their numbers, outcome by its place in OUTCOMES;
    what is 0 or empty at the end is left out. A cause that has no number goes into the detail.
    """
    detail = result.detail if result.is_bad else ""
    cause = 0
    if result.cause:
        try:
            cause = cause_named(result.cause).number
        except KeyError:
            detail = result.cause + (" " + detail if detail else "")
    values: list[int | str] = [
        phase.number,
        OUTCOMES.index(result.outcome),
        result.duration_ms,
        cause,
        result.extended or result.code,
        detail[:MAX_DETAIL],
    ]
    while len(values) > 2 and not values[-1]:
        values.pop()
    return values


def from_list(values: object) -> Result:
    """The result that a list tells of. Raises ValueError for what is none; a phase or a cause of a newer version keeps its number as its
    name.
    """
    if not isinstance(values, list) or not 2 <= len(values) <= 6:
        raise ValueError("not a result: %r" % (values,))
    padded = values + [0, 0, 0, 0, ""][len(values) - 1 :]
    number, outcome, duration_ms, cause_number, error, detail = padded
    if any(type(value) is not int or value < 0 for value in padded[:5]) or not isinstance(detail, str) or outcome >= len(OUTCOMES):
        raise ValueError("not a result: %r" % (values,))
    phase, kind = phase_ids().get(number, (str(number), ""))
    cause = ""
    if cause_number:
        try:
            cause = cause_named(cause_number).code
        except KeyError:
            cause = str(cause_number)
    code, extended = (E_EXTENDED, error) if error > E_EXTENDED else (error, 0)  # a category's own numbers begin above
    return Result(phase, kind, OUTCOMES[outcome], code, extended, cause, detail, duration_ms)
