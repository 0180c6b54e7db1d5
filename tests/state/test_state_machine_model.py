"""Any events in any order, the power cut at any byte of what they write: the terminal's state stays legal, and opens no gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.state.machine import (
    FUNCTION_TESTS,
    IN_SERVICE,
    LEVELS,
    OUT_OF_ORDER,
    PROBATION,
    RECOVERING,
    REVIEW_MORE_NEEDED,
    REVIEW_RECEIVED,
    REVIEW_REJECTED,
    REVIEW_SENT,
    REVIEW_STATUSES,
    REVIEW_UNDER_REVIEW,
    SEND_APPLICATION,
    SEND_STATE,
    STEP_APPLICATION,
    STEP_CHECK,
    STEP_MATERIALS,
    STEP_REGISTRATION,
    STEP_REVIEW,
    STEPS,
    STEPS_OF_MERCHANT,
    Booted,
    FaultCleared,
    FunctionTestPassed,
    Lifted,
    RecoveryPaused,
    RecoveryStarted,
    Registered,
    ReviewAnswered,
    State,
    StepDone,
    StepTakenBack,
    Suspended,
    TechnicianConfirmed,
    TimePassed,
    illegal,
    reduce,
)
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, REASON_KINDS, Reason, reason_kind
from firmware_agent.store import Store
from tests.core.parts import Flash, PowerCut

if TYPE_CHECKING:
    from firmware_agent.state.machine import Event

CODES = st.sampled_from([kind.code for kind in REASON_KINDS])
CASES = st.sampled_from(["C-1", "C-2"])
ORDERED = {"print", "scan", "pay"}
TESTS = {"printer": {"print"}, "scanner": {"scan"}, "card_reader": {"pay"}, "payment": {"pay"}, "keypad": {"keys"}, "display": {"screen"}}
COMPONENTS = st.sampled_from(["", *TESTS, "network"])
LEVEL_OF = st.sampled_from(LEVELS)
TIMES = st.integers(0, 2**40)
PROBATIONS = st.sampled_from([0, 1, 3600, 2**40])
ABLE = st.sets(st.sampled_from(FUNCTION_TESTS)).map(lambda tests: tuple(test for test in FUNCTION_TESTS if test in tests))


class Outstanding:
    """What the machine must not forget, kept another way: by what happened, not by where the terminal stands."""

    def __init__(self) -> None:
        self.ordered: dict[str, str] = {}  # code: case
        self.found: set[tuple[str, str]] = set()
        self.registration = False
        self.consents: set[str] = set()
        self.tests_able: set[str] = set(FUNCTION_TESTS)
        self.tests_due: set[str] = set(ORDERED)
        self.applications = 0
        self.answer = ""  # to the last application, for as long as that means anything
        self.level = 0
        self.is_waiting = False  # for an answer

    @property
    def nothing(self) -> bool:
        """But perhaps function tests."""
        return not (self.ordered or self.found or self.registration)

    @property
    def codes(self) -> set[str]:
        return {*self.ordered, *(code for code, _ in self.found)}

    def is_ordered(self, code: str, case: str) -> None:
        if code == "tamper" or self.ordered.get(code) != case:
            self.ordered[code] = case
            self._is_suspended(code, ORDERED, is_grave=True)

    def is_found(self, code: str, component: str) -> None:
        if code == "tamper" or (code, component) not in self.found:
            self.found.add((code, component))
            tests = TESTS.get(component, set())
            self._is_suspended(code, tests | ORDERED if code == "tamper" else tests, is_grave=code == "tamper")

    def _is_suspended(self, code: str, tests: set[str], is_grave: bool) -> None:
        self.tests_due |= tests & self.tests_able
        if code == "tamper":
            self.consents = set()
        if is_grave:
            self.registration |= reason_kind(code).registration
            if reason_kind(code).review:
                self._forget_application()

    def settles(self) -> None:
        """After each event: what nobody waits for any more."""
        if not any(reason_kind(code).review for code in self.codes):
            self.is_waiting = False
        if self.nothing:
            self._forget_application()

    def _forget_application(self) -> None:
        self.answer, self.level, self.is_waiting = "", 0, False

    def applies(self, level: int) -> None:
        if level:
            assert any(reason_kind(code).appeal for code in self.codes)
            assert (self.answer, self.level) in ((REVIEW_REJECTED, level - 1), (REVIEW_MORE_NEEDED, level))
        self.applications += 1
        self.answer, self.level, self.is_waiting = REVIEW_SENT, level, True

    def is_answered(self, application: int, answer: str) -> None:
        if self.is_waiting and application == self.applications:
            self.answer = answer
            self.is_waiting = answer in (REVIEW_SENT, REVIEW_RECEIVED, REVIEW_UNDER_REVIEW)

    @property
    def tampered(self) -> bool:
        return "tamper" in self.codes

    def consented(self, who: str) -> None:
        if self.tampered:
            self.consents.add(who)
            if self.consents == {ACTOR_HOST, ACTOR_POI}:
                self.ordered.pop("tamper", None)
                self.found = {(code, component) for code, component in self.found if code != "tamper"}
                self.consents = set()


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.flash = Flash()
        self.store = Store(self.flash, 500)
        self.store.open()
        self.state = State()
        self.store.put("state", encode(self.state.to_list()))
        self.outstanding = Outstanding()
        self.keep_bytes = -1  # of the next write: there the power goes

    def happens(self, event: Event, wall_s: int = 0) -> bool:
        """As the terminal takes an event: written before it counts. Whether it happened, or the power went first."""
        before = self.state.to_list()
        new, due = reduce(self.state, event, wall_s)
        assert self.state.to_list() == before
        assert (SEND_STATE in due) == (new.to_list() != before)
        assert (SEND_APPLICATION in due) == (new.application == self.state.application + 1)
        if self.keep_bytes >= 0 and new.to_list() != before:
            self.flash.cut(1, self.keep_bytes)
            self.keep_bytes = -1
        try:
            self.store.put("state", encode(new.to_list()))
            self.state = new
        except PowerCut:
            self.reads_its_state()
            assert self.state.to_list() in (before, new.to_list())
        return self.state.to_list() == new.to_list()

    def reads_its_state(self) -> None:
        self.flash.power_up()
        self.store = Store(self.flash, 500)
        self.store.open()
        self.state = State.from_list(decode(self.store.get("state") or b""))

    @rule(keep_bytes=st.integers(0, 200))
    def the_power_will_go(self, keep_bytes: int) -> None:
        self.keep_bytes = keep_bytes

    @rule(code=CODES, case=CASES, until=TIMES)
    def is_ordered(self, code: str, case: str, until: int) -> None:
        if self.happens(Suspended(Reason(code, ACTOR_HOST, 1, until, case=case, note="停用"))):
            self.outstanding.is_ordered(code, case)

    @rule(code=CODES, component=COMPONENTS)
    def is_found(self, code: str, component: str) -> None:
        if self.happens(Suspended(Reason(code, ACTOR_POI, 1, component=component))):
            self.outstanding.is_found(code, component)

    @rule(code=CODES, probation_s=PROBATIONS, wall_s=TIMES)
    def is_lifted(self, code: str, probation_s: int, wall_s: int) -> None:
        if self.happens(Lifted(code, probation_s), wall_s):
            if code == "tamper":
                self.outstanding.consented(ACTOR_HOST)
            else:
                self.outstanding.ordered.pop(code, None)

    @precondition(lambda self: self.outstanding.ordered)
    @rule(which=st.integers(0, 11), probation_s=PROBATIONS, wall_s=TIMES)
    def what_was_ordered_is_lifted(self, which: int, probation_s: int, wall_s: int) -> None:
        codes = sorted(self.outstanding.ordered)
        self.is_lifted(codes[which % len(codes)], probation_s, wall_s)

    @precondition(lambda self: self.outstanding.found)
    @rule(which=st.integers(0, 11))
    def what_was_found_is_mended(self, which: int) -> None:
        components = sorted(component for _, component in self.outstanding.found)
        self.is_mended(components[which % len(components)])

    @rule()
    def technician_confirms(self) -> None:
        if self.happens(TechnicianConfirmed()):
            self.outstanding.consented(ACTOR_POI)

    @rule(component=COMPONENTS)
    def is_mended(self, component: str) -> None:
        if self.happens(FaultCleared(component)):
            self.outstanding.found = {(code, where) for code, where in self.outstanding.found if where != component or code == "tamper"}

    @rule()
    def is_registered(self) -> None:
        if self.happens(Registered()):
            self.outstanding.registration = False

    @rule(test=st.sampled_from(FUNCTION_TESTS), wall_s=TIMES)
    def test_passes(self, test: str, wall_s: int) -> None:
        if self.happens(FunctionTestPassed(test), wall_s) and self.outstanding.nothing:
            self.outstanding.tests_due.discard(test)

    @rule(step=st.sampled_from(STEPS), level=LEVEL_OF)
    def step_is_done(self, step: str, level: int) -> None:
        applied = self.state.application
        self.happens(StepDone(step, level))
        if self.state.application > applied:
            self.outstanding.applies(level)

    @precondition(lambda self: self.state.step)
    @rule(level=LEVEL_OF)
    def goes_on(self, level: int) -> None:
        self.step_is_done(self.state.step, level)

    @precondition(lambda self: self.state.mode == RECOVERING)
    @rule()
    def goes_back(self) -> None:
        """To a step of his own further back, and nothing else is another then."""
        before = self.state
        self.happens(StepTakenBack())
        if self.state.step != before.step:
            assert before.mode == RECOVERING and {before.step, self.state.step} <= set(STEPS_OF_MERCHANT)
            assert STEPS.index(self.state.step) < STEPS.index(before.step)
        before = before.copy()
        before.step = self.state.step
        assert self.state.to_list() == before.to_list()

    @rule(level=LEVEL_OF)
    def merchant_applies(self, level: int) -> None:
        """In one go, or an application would hardly ever be met by its answer."""
        self.happens(RecoveryStarted())
        for step in STEPS[: STEPS.index(STEP_REVIEW)]:
            self.step_is_done(step, level)

    @rule(status=st.sampled_from(REVIEW_STATUSES), late_by=st.integers(0, 2))
    def is_reviewed(self, status: str, late_by: int) -> None:
        before, application = self.state.to_list(), self.state.application - late_by
        if self.happens(ReviewAnswered(application, status, "remark")):
            self.outstanding.is_answered(application, status)
        assert not late_by or self.state.to_list() == before

    @precondition(lambda self: any(reason_kind(code).review for code in self.outstanding.codes))
    @rule(answers=st.lists(st.tuples(st.sampled_from([REVIEW_REJECTED, REVIEW_MORE_NEEDED, REVIEW_UNDER_REVIEW]), LEVEL_OF), max_size=4))
    def is_refused_and_appeals(self, answers: list[tuple[str, int]]) -> None:
        self.merchant_applies(0)
        for answer, level in answers:
            self.is_reviewed(answer, 0)
            self.step_is_done(STEP_APPLICATION, level)

    @rule(event=st.sampled_from([RecoveryStarted, RecoveryPaused]))
    def merchant_comes_or_goes(self, event: type[RecoveryStarted] | type[RecoveryPaused]) -> None:
        self.happens(event())

    @rule(wall_s=TIMES)
    def time_passes(self, wall_s: int) -> None:
        self.happens(TimePassed(wall_s), wall_s)

    @rule(tests=ABLE)
    def boots(self, tests: tuple[str, ...]) -> None:
        """Through the store, as after a power cut, with the devices that are there now."""
        before = self.state.to_list()
        self.reads_its_state()
        assert self.state.to_list() == before
        if self.happens(Booted(tests)):
            self.outstanding.tests_able = set(tests)
            self.outstanding.tests_due &= set(tests)

    @invariant()
    def the_state_is_legal(self) -> None:
        assert illegal(self.state) == ""

    @invariant()
    def it_holds_just_the_reasons_that_nobody_lifted(self) -> None:
        held = {(reason.actor, reason.code, reason.component) for reason in self.state.reasons}
        ordered = {(ACTOR_HOST, code, "") for code in self.outstanding.ordered}
        found = {(ACTOR_POI, code, component) for code, component in self.outstanding.found}
        assert held == ordered | found
        assert self.state.registration_due == self.outstanding.registration

    @invariant()
    def it_owes_just_the_tests_that_were_not_passed_since(self) -> None:
        assert set(self.state.tests_due) == self.outstanding.tests_due
        assert set(self.state.tamper_consents) == self.outstanding.consents

    @invariant()
    def it_knows_just_the_answer_to_the_application_that_still_counts(self) -> None:
        self.outstanding.settles()
        assert self.state.application == self.outstanding.applications
        assert (self.state.review, self.state.level) == (self.outstanding.answer, self.outstanding.level)
        assert (self.state.step == STEP_REVIEW) == self.outstanding.is_waiting

    @invariant()
    def it_stands_at_no_step_that_no_reason_needs(self) -> None:
        kinds = [reason_kind(code) for code in self.outstanding.codes]
        needed = {
            STEP_CHECK: any(kind.check for kind in kinds),
            STEP_MATERIALS: any(kind.materials for kind in kinds),
            STEP_APPLICATION: any(kind.review for kind in kinds),
            STEP_REGISTRATION: self.outstanding.registration,
        }
        assert needed.get(self.state.step, True)

    @invariant()
    def it_serves_just_when_nothing_is_outstanding(self) -> None:
        assert (self.state.mode == OUT_OF_ORDER) == self.outstanding.tampered
        done = self.outstanding.nothing and not self.outstanding.tests_due
        assert (self.state.mode in (IN_SERVICE, PROBATION)) == done


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
