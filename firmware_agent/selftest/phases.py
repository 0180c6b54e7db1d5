"""What a self-test is made of: phases, declared as data, and their results."""

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.errors import E_FAILURE, E_TIMEOUT, SUCCESS, error_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.selftest.subject import Subject

PASS = "pass"
FAIL = "fail"
ERROR = "error"  # the phase itself could not be carried out
TIMEOUT = "timeout"  # no answer in time
ABORTED = "aborted"  # begun and not brought to its end: nobody answered, or it took the terminal with it
SKIP = "skip"  # not run, with a reason in `cause`; never counts as a pass
OUTCOMES = (PASS, FAIL, ERROR, TIMEOUT, ABORTED, SKIP)  # a report tells the place in this list

NOT_ANSWERED = "not_answered"  # cause: a person was asked, and nobody answered
FAILED_BEFORE = "failed_before"  # cause: an earlier phase found the device broken, so nobody was asked about it


class Measure:
    """A number that a phase measures, declared with its limits.

    name: with its unit ('signal_dbm'); low, high: outside of these the phase fails, None for no limit; marginal_low, marginal_high: within
    the limits and outside of these it passes, and is marginal; cause: the word for what is wrong outside.
    """

    def __init__(
        self,
        name: str,
        cause: str,
        low: "int | None" = None,
        high: "int | None" = None,
        marginal_low: "int | None" = None,
        marginal_high: "int | None" = None,
    ) -> None:
        self.name = name
        self.cause = cause
        self.low = low
        self.high = high
        self.marginal_low = marginal_low
        self.marginal_high = marginal_high

    def is_outside(self, value: int) -> bool:
        return (self.low is not None and value < self.low) or (self.high is not None and value > self.high)

    def is_marginal(self, value: int) -> bool:
        """Outside of the band in which nothing is to be said; True outside of the limits, too."""
        if self.is_outside(value) or (self.marginal_low is not None and value < self.marginal_low):
            return True
        return self.marginal_high is not None and value > self.marginal_high


class Phase:
    """number: on the wire, never used again; id: its name; kind: the device it tests, as in hal.KINDS, or another component; level:
    UnifiedPOS health check level; task: does it, and gives a Health; timeout_ms: for one attempt; retries: further attempts after a
    failure, for a part that needs a second knock; measures: what is measured.
    """

    def __init__(
        self,
        number: int,
        id: str,
        kind: str,
        level: int,
        task: "Callable[[Subject], Awaitable[Health]]",
        timeout_ms: int,
        retries: int = 0,
        measures: "tuple[Measure, ...]" = (),
    ) -> None:
        self.number = number
        self.id = id
        self.kind = kind
        self.level = level
        self.task = task
        self.timeout_ms = timeout_ms
        self.retries = retries
        self.measures = measures


class Result:
    """outcome: OUTCOMES; code: UnifiedPOS error number (extended ones by the device's category); cause: one word, '' after a pass that is
    not marginal; duration_ms; measurements: name with unit -> number.
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
    def is_marginal(self) -> bool:
        """It passed, and says what is about to fail."""
        return self.outcome == PASS and bool(self.cause)

    @property
    def is_bad(self) -> bool:
        return self.outcome not in (PASS, SKIP)


def result_of(phase: Phase, health: Health) -> Result:
    """No answer that could be judged is a skip with its cause, never a failure and never a pass. A measurement outside of its limits makes
    a good health a failure. Raises TypeError for a measurement that is no whole number, which no report can carry.
    """
    for name in health.measurements:
        if not isinstance(health.measurements[name], int):
            raise TypeError("%s is no whole number" % name)
    outcome, cause, code = SKIP, health.cause, health.code
    if health.outcome == HEALTH_SUCCESS:
        outcome = PASS
        for measure in phase.measures:
            value = health.measurements.get(measure.name)
            if value is None or outcome == FAIL:
                continue
            if measure.is_outside(value):
                outcome, cause, code = FAIL, measure.cause, code or E_FAILURE
            elif not cause and measure.is_marginal(value):
                cause = measure.cause
    elif health.outcome == HEALTH_FAIL:
        outcome = TIMEOUT if code == E_TIMEOUT else FAIL
    elif cause == NOT_ANSWERED:
        outcome = ABORTED
    return Result(phase.id, phase.kind, outcome, code, health.extended, cause, health.detail, 0, health.measurements)
