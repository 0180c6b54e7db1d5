"""What a self-test is made of: phases, declared as data, and their results."""

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.errors import CH_INTERNAL, SUCCESS, error_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.hal import Hal

PASS = "pass"
FAIL = "fail"
ERROR = "error"  # the phase itself could not be carried out
TIMEOUT = "timeout"
SKIP = "skip"  # not run, with a reason in `cause`; never counts as a pass
OUTCOMES = (PASS, FAIL, ERROR, TIMEOUT, SKIP)

# Causes that a clerk mends at the counter: shown and reported, but no reason to suspend the terminal.
CLERK_MENDS = ("paper_out", "cover_open", "key_stuck")


class Phase:
    """id: its name in reports; kind: the device it tests, as in hal.KINDS; level: UnifiedPOS health check level; timeout_ms: for one
    attempt; retries: further attempts after a failure, for a part that needs a second knock.
    """

    def __init__(self, id: str, kind: str, level: int, timeout_ms: int, retries: int) -> None:
        self.id = id
        self.kind = kind
        self.level = level
        self.timeout_ms = timeout_ms
        self.retries = retries


class Result:
    """outcome: OUTCOMES; code: UnifiedPOS error number (extended ones by the device's category); cause: one word, '' after a pass;
    duration_ms; measurements: name with unit -> number.
    """

    def __init__(
        self,
        phase: str,
        kind: str,
        outcome: str,
        code: int = SUCCESS,
        extended: int = 0,
        cause: str = "",
        detail: str = "",
        duration_ms: int = 0,
        measurements: "dict[str, int] | None" = None,
    ) -> None:
        self.phase = phase
        self.kind = kind
        self.outcome = outcome
        self.code = code
        self.extended = extended
        self.cause = cause
        self.detail = detail
        self.duration_ms = duration_ms
        self.measurements = measurements or {}

    @property
    def error(self) -> str:
        return error_name(self.code, self.kind, self.extended)

    @property
    def suspends(self) -> bool:
        """A defect that a technician has to mend: the terminal suspends itself for it. A lost network is told as the link's state: it
        comes back by itself, and a terminal that waits for it is not out of service.
        """
        return self.outcome in (FAIL, TIMEOUT) and self.cause not in CLERK_MENDS and self.kind != "network"

    def to_list(self) -> "list[int | str]":
        """As in a report: [phase, outcome, error number, cause, duration in ms]."""
        return [self.phase, self.outcome, self.extended or self.code, self.cause, self.duration_ms]


def result_of(phase: Phase, health: Health, duration_ms: int) -> Result:
    """No answer that could be judged is a skip with its cause, never a failure and never a pass."""
    if health.outcome == HEALTH_SUCCESS:
        outcome = PASS
    elif health.outcome == HEALTH_FAIL:
        outcome = FAIL
    else:
        outcome = SKIP
    return Result(
        phase.id,
        phase.kind,
        outcome,
        health.code,
        health.extended,
        health.cause,
        health.detail,
        duration_ms,
        health.measurements,
    )


def power_on_plan(hal: "Hal") -> "list[Phase]":
    """Every device there is, internal tests only: nothing is printed, sounded or asked."""
    timeouts_ms = {"display": 1000, "keypad": 1000, "printer": 2000, "card_reader": 2000, "scanner": 1500, "network": 20000}
    return [
        Phase(device.kind, device.kind, CH_INTERNAL, timeouts_ms[device.kind], 1)
        for device in hal.devices()
        if device.kind in timeouts_ms
    ]
