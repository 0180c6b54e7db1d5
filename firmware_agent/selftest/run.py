"""One self-test run: what was begun and each result kept as it comes, so that a run that a power cut interrupts goes on where it was; and
at its end what it means for the terminal's state, with the report, in one write.
"""

from firmware_agent import VERSION
from firmware_agent.links.access import join
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.payment.suspicion import COMPONENT as PAYMENT
from firmware_agent.prevention.probation import SELF_TEST, details_of, noted
from firmware_agent.selftest.diagnosis import BUS, diagnose, diagnose_all
from firmware_agent.selftest.engine import run_phases
from firmware_agent.selftest.phases import ABORTED, OUTCOMES, PASS, Result
from firmware_agent.selftest.plans import DAILY, FUNCTION_TEST_OF, POWER_ON, PlanError, all_phases, plan_phases
from firmware_agent.selftest.report import to_list
from firmware_agent.selftest.trends import follow
from firmware_agent.state.machine import FaultCleared, FunctionTestPassed, Suspended
from firmware_agent.state.reasons import ACTOR_POI, Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firmware_agent.selftest.diagnosis import Diagnosis
    from firmware_agent.selftest.phases import Phase
    from firmware_agent.selftest.subject import Subject
    from firmware_agent.state.machine import Event
    from firmware_agent.terminal import Terminal

KEY_RUN = "run."  # + plan: a run that has not come to its end: [begun, results]
KEY_LAST = "test."  # + phase: [wall clock, plan, result, whether a defect that it found is not yet seen mended]
KEY_DAILY = "daily"  # [wall clock or 0, boot count, time since that boot in ms] when the daily plan last came to its end
DAY_S = 86400
FIRST_DAILY_S = 3600  # of being on: a terminal that is switched off every night comes to its first one, too
MAX_KEPT_DETAIL = 80  # characters
SURVIVALS = 2  # times that a phase may take the terminal with it, before it is not begun again


class Run:
    """A run as it stands on flash. begun: phase -> how often it was begun without coming to its end; results: by phase."""

    def __init__(self, terminal: "Terminal", plan: str) -> None:
        self._terminal = terminal
        self.plan = plan
        self.begun: dict[str, int] = {}
        self.results: dict[str, Result] = {}
        record = terminal.store.get(KEY_RUN + plan)
        if record is not None:
            self._read(record)

    def _read(self, record: bytes) -> None:
        """A record that cannot be read is an older version's: the run begins anew."""
        try:
            begun, results = decode(record)
            self.begun = {str(phase): int(times) for phase, times in begun}
            self.results = {values[0]: _kept_result(values) for values in results}
        except (CborError, TypeError, ValueError, IndexError):
            self.begun = {}
            self.results = {}

    def encoded(self) -> bytes:
        return encode(
            [
                [[phase, self.begun[phase]] for phase in sorted(self.begun)],
                [_to_keep(self.results[phase]) for phase in sorted(self.results)],
            ]
        )

    def begin(self, phase: "Phase") -> None:
        """Before anything is touched: a phase that takes the terminal with it is known at the next boot."""
        self.begun[phase.id] = self.begun.get(phase.id, 0) + 1
        self._keep()

    def end(self, result: Result) -> None:
        self.begun.pop(result.phase, None)
        self.results[result.phase] = result
        self._keep()

    def _keep(self) -> None:
        """A run that the store refuses to keep goes on all the same: that very thing is one of those it is to find."""
        self._terminal.store.keep([(KEY_RUN + self.plan, self.encoded())])


def interrupted_plans(terminal: "Terminal") -> "list[str]":
    """The plans, other than that of power-on, whose last run did not come to its end; not those that this terminal has no more."""
    plans = []
    for key in terminal.store.keys(KEY_RUN):
        plan = key[len(KEY_RUN) :]
        try:
            plan_phases(plan, terminal.hal)
        except PlanError:
            continue
        if plan != POWER_ON:
            plans.append(plan)
    return plans


def daily_is_due(terminal: "Terminal") -> bool:
    """24 hours have passed since the last daily run came to its end: by the wall clock where it was known then and is now, else by the time
    since this boot. A wall clock that shows an earlier time than then tells nothing: due. Where none ever came to its end, one is due when
    the terminal has been on for an hour.
    """
    record = terminal.store.get(KEY_DAILY)
    last_s, boot_count, uptime_ms, after_s = 0, 0, 0, FIRST_DAILY_S
    if record is not None:
        try:
            last_s, boot_count, uptime_ms = decode(record)
            after_s = DAY_S
        except (CborError, TypeError, ValueError):
            last_s = 0
    if last_s and terminal.wall_s:
        return not 0 <= terminal.wall_s - last_s < DAY_S
    if boot_count != terminal.boot_count:
        uptime_ms = 0
    return terminal.hal.clock.monotonic_ms() - uptime_ms >= after_s * 1000


async def self_test(
    subject: "Subject", plan: str, shown: "Callable[[Result], None]", phases: "list[Phase] | None" = None
) -> "list[Diagnosis]":
    """Run the plan, or go on with it where a power cut interrupted it, and take what it found into the state. shown: called with each
    result as it comes; phases: fewer than the plan's, to run some of it again. Gives what is broken or about to break. Raises PlanError.
    """
    terminal = subject.terminal
    assert terminal is not None
    if phases is None:
        phases = plan_phases(plan, subject.hal)
    run = Run(terminal, plan)

    def done(result: Result) -> None:
        detail = ": " + result.detail if result.is_bad and result.detail else ""
        terminal.log("self-test %s %s %s %d ms%s" % (result.phase, result.outcome, result.cause or "-", result.duration_ms, detail))
        run.end(result)
        shown(result)

    async def join_network() -> None:
        await join(subject.hal, terminal.log)

    due = []
    suspects = []
    for phase in phases:
        if phase.id in run.results:
            shown(run.results[phase.id])
        elif run.begun.get(phase.id, 0) >= SURVIVALS:
            done(Result(phase.id, phase.kind, ABORTED, cause="not_survived"))
        else:
            due.append(phase)
            if phase.id in run.begun:
                suspects.append(phase.id)
    await run_phases(subject, due, done, run.begin, {"network": join_network}, tuple(suspects))
    results = [run.results[phase.id] for phase in phases]
    writes: list[tuple[str, bytes | None]] = [(KEY_RUN + plan, None)]
    for phase, result in zip(phases, results):  # noqa: B905  MicroPython's zip has no strict
        writes.extend(follow(terminal.store, phase, result))
    diagnoses = diagnose_all(results, subject.hal.buses)
    open_defects = []  # kinds of the phases that say so
    for phase in all_phases(subject.hal):
        is_open = _is_open(terminal, phase.id)
        if phase.id in run.results:
            is_open = _is_open_after(run.results[phase.id], is_open)
            kept = [terminal.wall_s, plan, _to_keep(run.results[phase.id]), is_open]
            writes.append((KEY_LAST + phase.id, encode(kept)))
        if is_open:
            open_defects.append(phase.kind)
    if plan == DAILY:
        writes.append((KEY_DAILY, encode([terminal.wall_s, terminal.boot_count, subject.hal.clock.monotonic_ms()])))
    report: dict[str, object] = {
        "plan": plan,
        "results": [to_list(result, phase) for phase, result in zip(phases, results)],  # noqa: B905
        "mode": terminal.state.mode,
        "firmware": VERSION,
        "element": subject.hal.secure_element.in_hardware,
    }
    if terminal.outbox.dropped:
        report["dropped"] = terminal.outbox.dropped
    if terminal.state.reasons:
        report["reasons"] = [reason.told() for reason in terminal.state.reasons]
    for diagnosis in diagnoses:
        terminal.log("diagnosis %s" % diagnosis)
    anomalies, counted = noted(terminal, SELF_TEST, details_of(diagnoses))
    found = _found(subject, results, diagnoses, open_defects)
    if not terminal.tell([("report", report)] + anomalies, found, writes + counted):
        terminal.log("self-test %s: reported from memory, the state stays as it was" % plan)
    terminal.log("self-test %s ended, %d found" % (plan, len(diagnoses)))
    return diagnoses


def last_result(terminal: "Terminal", phase: str) -> "tuple[int, str, Result] | None":
    """(wall clock, plan, result) of the last run in which a phase was; None where there was none that this version can read."""
    try:
        wall_s, plan, values, _ = _last_record(terminal, phase)
        return wall_s, plan, _kept_result(values)
    except (TypeError, ValueError, IndexError):
        return None


def _is_open(terminal: "Terminal", phase: str) -> bool:
    """Whether a defect that this phase found is not yet seen mended."""
    try:
        _, _, _, is_open = _last_record(terminal, phase)
    except (TypeError, ValueError):
        return False
    return is_open is True


def _last_record(terminal: "Terminal", phase: str) -> "Any":
    """What is kept of a phase under KEY_LAST; None where there is nothing. Raises ValueError for what is no CBOR."""
    record = terminal.store.get(KEY_LAST + phase)
    return None if record is None else decode(record)


def _is_open_after(result: Result, was_open: bool) -> bool:
    """Only a verdict changes it: what was skipped, given up or could not be carried out decides nothing."""
    if result.outcome == PASS:
        return False
    diagnosis = diagnose(result)
    return was_open or (diagnosis is not None and diagnosis.suspends)


def _to_keep(result: Result) -> "list[object]":
    measurements = [[name, result.measurements[name]] for name in sorted(result.measurements)]
    return [
        result.phase,
        result.kind,
        OUTCOMES.index(result.outcome),
        result.code,
        result.extended,
        result.cause,
        result.detail[:MAX_KEPT_DETAIL],
        result.duration_ms,
        measurements,
    ]


def _kept_result(values: "list[object]") -> Result:
    """Raises TypeError, ValueError, IndexError for what `_to_keep` never wrote."""
    phase, kind, outcome, code, extended, cause, detail, duration_ms, measurements = values
    return Result(
        phase,  # type: ignore[arg-type]  # as written
        kind,  # type: ignore[arg-type]
        OUTCOMES[outcome],  # type: ignore[call-overload]
        code,  # type: ignore[arg-type]
        extended,  # type: ignore[arg-type]
        cause,  # type: ignore[arg-type]
        detail,  # type: ignore[arg-type]
        duration_ms,  # type: ignore[arg-type]
        {name: value for name, value in measurements},  # type: ignore[attr-defined]
    )


def _found(subject: "Subject", results: "list[Result]", diagnoses: "list[Diagnosis]", open_defects: "list[str]") -> "list[Event]":
    """A defect suspends the terminal, once. What the terminal itself had found in a component is cleared when something of it passed, and
    no phase of it is left that found a defect and has not passed since. Anything else decides nothing.
    """
    terminal = subject.terminal
    assert terminal is not None
    events: list[Event] = []
    suspended = []
    for diagnosis in diagnoses:
        if diagnosis.suspends:
            suspended.append(diagnosis.component)
            reason = Reason(diagnosis.cause.suggests, ACTOR_POI, terminal.wall_s, component=diagnosis.component, note=diagnosis.cause.code)
            if not any(held.same_cause(reason) for held in terminal.state.reasons):
                events.append(Suspended(reason))
    passed = [result.kind for result in results if result.outcome == PASS]
    for component in sorted({reason.component for reason in terminal.state.reasons if reason.actor == ACTOR_POI}):
        kinds = [component]
        if component == BUS:  # which of them it was is not kept: all have to be sound
            kinds = [kind for bus in subject.hal.buses.values() for kind in bus]
        is_open = any(kind in open_defects for kind in kinds)
        if component == PAYMENT:
            continue  # what the payment host said, a sign-in takes back
        if component not in suspended and not is_open and any(kind in passed for kind in kinds):
            events.append(FaultCleared(component))
    # A function test that a person has just been led through need not be done once more to be back in service.
    for result in results:
        if result.outcome == PASS and result.phase in FUNCTION_TEST_OF:
            events.append(FunctionTestPassed(FUNCTION_TEST_OF[result.phase]))
    return events
