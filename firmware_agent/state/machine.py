"""The terminal's state, pure: an event in; the next state, and the messages that it makes due, out.

Nothing here does I/O. What has to go on after a power cut is not an effect but follows from the state: a terminal that wakes at the step
`registration` goes on registering. Messages that a transition makes due are persisted together with the new state, in one write.
`_settle` is the only place that puts a terminal in service, so that no path leads there with a reason, a registration or a required
function test outstanding.
"""

from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, Reason

IN_SERVICE = "in_service"
SUSPENDED = "suspended"
RECOVERING = "recovering"
COMMISSIONING = "commissioning"
PROBATION = "probation"
OUT_OF_ORDER = "out_of_order"
MODES = (IN_SERVICE, SUSPENDED, RECOVERING, COMMISSIONING, PROBATION, OUT_OF_ORDER)

# Steps of the recovery, in their order.
STEP_REASON = "reason"
STEP_CONTACT = "contact"
STEP_CHECK = "check"  # what can be looked at and tested on the spot
STEP_MATERIALS = "materials"
STEP_APPLICATION = "application"
STEP_REVIEW = "review"
STEP_REGISTRATION = "registration"
STEP_LIFT = "lift"  # all is done that the merchant can do: the acquirer's order is awaited
STEPS = (STEP_REASON, STEP_CONTACT, STEP_CHECK, STEP_MATERIALS, STEP_APPLICATION, STEP_REVIEW, STEP_REGISTRATION, STEP_LIFT)
STEPS_OF_MERCHANT = (STEP_REASON, STEP_CONTACT, STEP_CHECK, STEP_MATERIALS, STEP_APPLICATION)  # done when he says so

FUNCTION_TESTS = ("print", "scan", "pay", "keys", "screen")
TESTS_AFTER_ORDER = ("print", "scan", "pay")  # due for a new terminal, too
# The function tests that a repaired component has to pass.
TESTS_OF_COMPONENT = {
    "printer": ("print",),
    "scanner": ("scan",),
    "card_reader": ("pay",),
    "payment": ("pay",),
    "keypad": ("keys",),
    "display": ("screen",),
}

# To whom an application goes: to the reviewer; when he has refused it, as an appeal to him; when he refuses that, to his superior.
LEVEL_APPLICATION, LEVEL_APPEAL, LEVEL_SUPERIOR = 0, 1, 2
LEVELS = (LEVEL_APPLICATION, LEVEL_APPEAL, LEVEL_SUPERIOR)

REVIEW_SENT = "sent"
REVIEW_RECEIVED = "received"
REVIEW_UNDER_REVIEW = "under_review"
REVIEW_MORE_NEEDED = "more_needed"
REVIEW_APPROVED = "approved"
REVIEW_REJECTED = "rejected"
REVIEW_ANSWERS = (REVIEW_RECEIVED, REVIEW_UNDER_REVIEW, REVIEW_MORE_NEEDED, REVIEW_APPROVED, REVIEW_REJECTED)  # the acquirer's
REVIEW_STATUSES = (REVIEW_SENT,) + REVIEW_ANSWERS

# Component status words of ISO 20022 POIComponentStatus.
STATUS_OPERATING = "OPER"
STATUS_WAITING = "WAIT"
STATUS_OUT_OF_ORDER = "OUTD"
STATUS_DEACTIVATED = "DACT"
STATUSES = (STATUS_WAITING, STATUS_OPERATING, STATUS_OUT_OF_ORDER, STATUS_DEACTIVATED)

# Messages that a transition makes due.
SEND_STATE = "state"
SEND_APPLICATION = "application"


class State:
    """mode: MODES; reasons: tuple of Reason; step: STEPS, or '' when no recovery has begun; tests_able: the function tests this terminal
    can do; tests_due: those it still has to pass; registration_due; application: number of the last application, 0 = none; level: LEVELS,
    where that went; review, remark: its last answer; probation_s: ordered length of the probation that follows, 0 = none; probation_until:
    Unix seconds; tamper_consents: who agreed to lift a tamper.
    """

    FIELDS = (
        "mode",
        "reasons",
        "step",
        "tests_able",
        "tests_due",
        "registration_due",
        "application",
        "review",
        "remark",
        "probation_s",
        "probation_until",
        "tamper_consents",
        "level",  # what follows came later than the first version, and may be missing in the store
    )
    FIELDS_AT_FIRST = 12

    def __init__(self) -> None:
        self.mode = COMMISSIONING
        self.reasons: tuple[Reason, ...] = ()
        self.step = ""
        self.tests_able: tuple[str, ...] = FUNCTION_TESTS
        self.tests_due: tuple[str, ...] = TESTS_AFTER_ORDER
        self.registration_due = False
        self.application = 0
        self.review = ""
        self.remark = ""
        self.probation_s = 0
        self.probation_until = 0
        self.tamper_consents: tuple[str, ...] = ()
        self.level = LEVEL_APPLICATION

    def copy(self) -> "State":
        other = State()
        for field in self.FIELDS:
            setattr(other, field, getattr(self, field))
        return other

    @property
    def status(self) -> str:
        """The terminal's component status, in the field's words."""
        if self.mode in (IN_SERVICE, PROBATION):
            return STATUS_OPERATING
        if self.mode == COMMISSIONING:
            return STATUS_WAITING
        if self.mode != OUT_OF_ORDER and any(reason.actor == ACTOR_HOST for reason in self.reasons):
            return STATUS_DEACTIVATED
        return STATUS_OUT_OF_ORDER

    def to_list(self) -> "list[object]":
        """For the store: the fields in the order of FIELDS."""
        values: list[object] = []
        for field in self.FIELDS:
            value = getattr(self, field)
            if field == "reasons":
                value = [reason.to_list() for reason in value]
            values.append(list(value) if isinstance(value, tuple) else value)
        return values

    @staticmethod
    def from_list(values: "list[object]") -> "State":
        """Raises ValueError, KeyError or TypeError for what `to_list` never wrote, an illegal state included."""
        if not State.FIELDS_AT_FIRST <= len(values) <= len(State.FIELDS):
            raise ValueError("state of %d fields" % len(values))
        state = State()
        for field, value in zip(State.FIELDS, values):  # noqa: B905  a later field keeps what a new terminal has
            if isinstance(value, list):
                value = tuple(Reason.from_list(item) for item in value) if field == "reasons" else tuple(value)
            if type(value) is not type(getattr(state, field)):
                raise TypeError(field + " is not of its type")
            setattr(state, field, value)
        problem = illegal(state)
        if problem:
            raise ValueError(problem)
        return state


def illegal(state: State) -> str:
    """Why this state must not be, or ''."""
    if state.mode not in MODES:
        return "unknown mode " + repr(state.mode)
    if state.step and state.step not in STEPS:
        return "unknown step " + repr(state.step)
    if state.review and state.review not in REVIEW_STATUSES:
        return "unknown review status " + repr(state.review)
    if any(test not in FUNCTION_TESTS for test in state.tests_able) or any(test not in state.tests_able for test in state.tests_due):
        return "a function test that this terminal cannot do"
    if state.review and not state.application:
        return "an answer to no application"
    if state.level not in LEVELS or (state.level and not state.review):
        return "an appeal to nobody, or of nothing"
    if any(who not in (ACTOR_HOST, ACTOR_POI) for who in state.tamper_consents):
        return "consent of nobody known"
    if state.application < 0 or state.probation_s < 0 or state.probation_until < 0:
        return "a number below zero"
    if state.mode in (IN_SERVICE, PROBATION):
        if state.reasons:
            return "in service with a reason"
        if state.registration_due:
            return "in service with a registration due"
        if state.tests_due:
            return "in service with a function test due"
    if state.mode == SUSPENDED and not state.reasons:
        return "suspended without a reason"
    if state.mode == RECOVERING and not state.step:
        return "recovering at no step"
    if state.mode == RECOVERING and not state.reasons and not state.registration_due:
        return "recovering with nothing to recover from"
    if state.mode == COMMISSIONING and (state.reasons or state.registration_due):
        return "function tests before the reasons are lifted"
    if state.mode == COMMISSIONING and not state.tests_due:
        return "commissioning with no function test due"
    if state.mode == PROBATION and not state.probation_s:
        return "probation without a length"
    tampered = any(reason.code == "tamper" for reason in state.reasons)
    if tampered != (state.mode == OUT_OF_ORDER):
        return "tamper and out_of_order do not agree"
    return ""


# Events. Each is a small class: its fields are what happened, never what to do.


class Booted:
    """The terminal started. tests: the function tests that its devices allow."""

    def __init__(self, tests: "tuple[str, ...]") -> None:
        self.tests = tests


class Suspended:
    """A reason holds: ordered by the acquirer, or found by the terminal."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason


class Lifted:
    """The acquirer lifts one of his reasons. probation_s: how long each anomaly is reported afterwards."""

    def __init__(self, code: str, probation_s: int = 0) -> None:
        self.code = code
        self.probation_s = probation_s


class FaultCleared:
    """The self-test of a component that was found broken passes again."""

    def __init__(self, component: str) -> None:
        self.component = component


class TechnicianConfirmed:
    """A technician who proved himself agrees to lift a tamper."""


class RecoveryStarted:
    """The merchant begins, or goes on with, the recovery."""


class RecoveryPaused:
    """The merchant leaves the recovery for now."""


class StepDone:
    """The merchant has done this step, one of STEPS_OF_MERCHANT. level: of an application, LEVELS; one of `levels_open`."""

    def __init__(self, step: str, level: int = LEVEL_APPLICATION) -> None:
        self.step = step
        self.level = level


class StepTakenBack:
    """The merchant goes back to the step before, to look again, or to do it over."""


class ReviewAnswered:
    """The acquirer's answer to application `application`. status: REVIEW_ANSWERS; remark: the reviewer's words."""

    def __init__(self, application: int, status: str, remark: str = "") -> None:
        self.application = application
        self.status = status
        self.remark = remark


class Registered:
    """New key and certificates are in place."""


class FunctionTestPassed:
    """A function test passed."""

    def __init__(self, name: str) -> None:
        self.name = name


class TimePassed:
    """The wall clock, when it can be trusted."""

    def __init__(self, wall_s: int) -> None:
        self.wall_s = wall_s


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Event: TypeAlias = (
        Booted
        | Suspended
        | Lifted
        | FaultCleared
        | TechnicianConfirmed
        | RecoveryStarted
        | RecoveryPaused
        | StepDone
        | StepTakenBack
        | ReviewAnswered
        | Registered
        | FunctionTestPassed
        | TimePassed
    )


def reduce(state: State, event: "Event", wall_s: int = 0) -> "tuple[State, tuple[str, ...]]":
    """The next state, and the messages due (SEND_*). The state given is not changed. An event that means nothing in this state
    changes nothing. wall_s: Unix seconds, 0 when not known.
    """
    new = state.copy()
    due: tuple[str, ...] = ()
    if isinstance(event, Booted):
        new.tests_able = event.tests
        new.tests_due = tuple(test for test in state.tests_due if test in event.tests)
    elif isinstance(event, Suspended):
        _suspend(new, event.reason)
    elif isinstance(event, Lifted):
        _lift(new, event)
    elif isinstance(event, FaultCleared):
        new.reasons = tuple(
            reason
            for reason in state.reasons
            if not (reason.actor == ACTOR_POI and reason.component == event.component and reason.code != "tamper")
        )
    elif isinstance(event, TechnicianConfirmed):
        _consent(new, ACTOR_POI)
    elif isinstance(event, RecoveryStarted):
        if state.mode == SUSPENDED:
            new.mode = RECOVERING
            new.step = state.step or STEP_REASON
    elif isinstance(event, RecoveryPaused):
        if state.mode == RECOVERING:
            new.mode = SUSPENDED
    elif isinstance(event, StepDone):
        due = _step_done(new, event)
    elif isinstance(event, StepTakenBack):
        if state.mode == RECOVERING and state.step in STEPS_OF_MERCHANT:
            new.step = step_before(state)
    elif isinstance(event, ReviewAnswered):
        _review(new, event)
    elif isinstance(event, Registered):
        new.registration_due = False
        if new.step == STEP_REGISTRATION:
            new.step = _step_after(new, STEP_REGISTRATION)
    elif isinstance(event, FunctionTestPassed):
        if state.mode == COMMISSIONING:
            new.tests_due = tuple(test for test in state.tests_due if test != event.name)
    elif isinstance(event, TimePassed):
        if state.mode == PROBATION and 0 < state.probation_until <= event.wall_s:
            new.probation_until = 0
            new.probation_s = 0
    _settle(new, wall_s)
    if SEND_STATE not in due and new.to_list() != state.to_list():
        due = due + (SEND_STATE,)
    return new, due


def _suspend(new: State, reason: Reason) -> None:
    kind = reason.kind
    held = [other for other in new.reasons if other.same_cause(reason)]
    if held and held[0].case == reason.case and kind.code != "tamper":
        # No new reason, but what its actor says of it now: the recovery goes on.
        new.reasons = tuple(reason if other.same_cause(reason) else other for other in new.reasons)
        return
    new.reasons = tuple(other for other in new.reasons if not other.same_cause(reason)) + (reason,)
    tests: tuple[str, ...] = TESTS_OF_COMPONENT.get(reason.component, ())
    is_grave = reason.actor == ACTOR_HOST or kind.code == "tamper"
    if is_grave:
        new.registration_due = new.registration_due or kind.registration
        tests += TESTS_AFTER_ORDER
    new.tests_due = tuple(test for test in new.tests_able if test in tests or test in new.tests_due)
    new.probation_until = 0  # what was ordered stays ordered, and begins anew when the terminal is back
    if kind.code == "tamper":
        new.tamper_consents = ()
    # A new reason is a new story, which nothing that was applied for before answers. But an application that was given is not lost to a
    # reason that needs none: a broken printer does not take the merchant's place with the reviewer.
    if not new.review or (is_grave and kind.review):
        _forget_recovery(new)
    new.mode = SUSPENDED


def _lift(new: State, event: Lifted) -> None:
    if not any(_lifts(event, reason) for reason in new.reasons):
        return
    if event.code == "tamper":
        _consent(new, ACTOR_HOST)
    else:
        new.reasons = tuple(reason for reason in new.reasons if not _lifts(event, reason))
    new.probation_s = max(new.probation_s, event.probation_s)


def _lifts(event: Lifted, reason: Reason) -> bool:
    """A tamper, whoever found it, has the acquirer's consent among others; any other reason is lifted by who imposed it."""
    return reason.code == event.code and (reason.actor == ACTOR_HOST or reason.code == "tamper")


def _consent(new: State, who: str) -> None:
    """A tamper is lifted by the acquirer and a technician together, in any order."""
    if new.mode != OUT_OF_ORDER:
        return
    if who not in new.tamper_consents:
        new.tamper_consents = new.tamper_consents + (who,)
    if len(new.tamper_consents) == 2:
        new.reasons = tuple(reason for reason in new.reasons if reason.code != "tamper")
        new.tamper_consents = ()
        new.mode = SUSPENDED


def levels_open(state: State) -> "tuple[int, ...]":
    """To whom an application can go now: always to the reviewer; to who asked for more; and one further up from who refused it."""
    level = LEVEL_APPLICATION
    if any(reason.kind.appeal for reason in state.reasons):
        if state.review == REVIEW_MORE_NEEDED:
            level = state.level
        elif state.review == REVIEW_REJECTED and state.level < LEVEL_SUPERIOR:
            level = state.level + 1
    return (LEVEL_APPLICATION,) if level == LEVEL_APPLICATION else (LEVEL_APPLICATION, level)


def step_before(state: State) -> str:
    """The merchant's step before the one that the state is at, as far as these reasons need one; the same step where there is none."""
    for candidate in reversed(STEPS[: STEPS.index(state.step)]):
        if candidate in STEPS_OF_MERCHANT and _is_needed(state, candidate):
            return candidate
    return state.step


def _step_done(new: State, event: StepDone) -> "tuple[str, ...]":
    step = event.step
    if new.mode != RECOVERING or step != new.step or step not in STEPS_OF_MERCHANT:
        return ()
    if step != STEP_APPLICATION:
        new.step = _step_after(new, step)
        return ()
    if event.level not in levels_open(new):
        return ()
    new.step = _step_after(new, step)
    new.application += 1
    new.level = event.level
    new.review = REVIEW_SENT
    new.remark = ""
    return (SEND_APPLICATION,)


def _review(new: State, event: ReviewAnswered) -> None:
    if event.application != new.application or new.step != STEP_REVIEW:
        return  # an answer to another application decides nothing
    new.review = event.status
    new.remark = event.remark
    if event.status == REVIEW_APPROVED:
        new.step = _step_after(new, STEP_REVIEW)
    elif event.status in (REVIEW_REJECTED, REVIEW_MORE_NEEDED):
        new.step = STEP_APPLICATION


def _step_after(new: State, step: str) -> str:
    """The next step that these reasons need."""
    for candidate in STEPS[STEPS.index(step) + 1 :]:
        if _is_needed(new, candidate):
            return candidate
    return STEP_LIFT


def _is_needed(new: State, step: str) -> bool:
    if step in (STEP_APPLICATION, STEP_REVIEW):
        return any(reason.kind.review for reason in new.reasons)
    if step == STEP_CHECK:
        return any(reason.kind.check for reason in new.reasons)
    if step == STEP_MATERIALS:
        return any(reason.kind.materials for reason in new.reasons)
    if step == STEP_REGISTRATION:
        return new.registration_due
    return True


def _forget_recovery(new: State) -> None:
    """How far the merchant came with it."""
    new.step = ""
    new.review = ""
    new.remark = ""
    new.level = LEVEL_APPLICATION


def _settle(new: State, wall_s: int) -> None:
    """Put the mode in line with what is outstanding."""
    if any(reason.code == "tamper" for reason in new.reasons):
        new.mode = OUT_OF_ORDER
        new.step = ""
        return
    if new.reasons:
        if new.mode != RECOVERING:
            new.mode = SUSPENDED
        if new.step and not _is_needed(new, new.step):  # what needed it was lifted in the meantime
            new.step = _step_after(new, new.step)
        return
    if new.registration_due:
        new.mode = RECOVERING
        new.step = STEP_REGISTRATION
        return
    _forget_recovery(new)
    if new.tests_due:
        new.mode = COMMISSIONING
        return
    if not new.probation_s:
        new.mode = IN_SERVICE
        return
    new.mode = PROBATION
    if not new.probation_until and wall_s:
        new.probation_until = wall_s + new.probation_s
