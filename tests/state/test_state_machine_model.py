"""Any events in any order: the terminal's state stays legal, survives the store, and opens no gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.state.machine import (
    FUNCTION_TESTS,
    IN_SERVICE,
    OUT_OF_ORDER,
    PROBATION,
    REVIEW_STATUSES,
    SEND_STATE,
    STEP_REVIEW,
    STEPS,
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
    Suspended,
    TechnicianConfirmed,
    TimePassed,
    illegal,
    reduce,
)
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, REASON_KINDS, Reason, reason_kind
from firmware_agent.store import Store
from tests.core.parts import Flash

if TYPE_CHECKING:
    from firmware_agent.state.machine import Event

CODES = st.sampled_from([kind.code for kind in REASON_KINDS])
FOUND = st.sampled_from([kind.code for kind in REASON_KINDS if kind.found_by_terminal])
TESTS = {"printer": {"print"}, "scanner": {"scan"}, "card_reader": {"pay"}}
COMPONENTS = st.sampled_from(["", "printer", "scanner", "card_reader", "keypad"])
TIMES = st.integers(0, 2**40)
PROBATIONS = st.sampled_from([0, 1, 3600, 2**40])
ABLE = st.sets(st.sampled_from(FUNCTION_TESTS)).map(lambda tests: tuple(test for test in FUNCTION_TESTS if test in tests))


class Outstanding:
    """What the machine must not forget, kept another way: by what happened, not by where the terminal stands."""

    def __init__(self) -> None:
        self.ordered: set[str] = set()
        self.found: set[tuple[str, str]] = set()
        self.registration = False
        self.consents: set[str] = set()
        self.tests_able: set[str] = set(FUNCTION_TESTS)
        self.tests_due: set[str] = set(FUNCTION_TESTS)

    @property
    def nothing(self) -> bool:
        """But perhaps function tests."""
        return not (self.ordered or self.found or self.registration)

    def suspends(self, code: str, tests: set[str]) -> None:
        self.tests_due |= tests & self.tests_able
        self.registration |= reason_kind(code).registration
        if code == "tamper":
            self.tests_due |= self.tests_able
            self.consents = set()

    @property
    def tampered(self) -> bool:
        return "tamper" in self.ordered or any(code == "tamper" for code, _ in self.found)

    def consented(self, who: str) -> None:
        if self.tampered:
            self.consents.add(who)
            if self.consents == {ACTOR_HOST, ACTOR_POI}:
                self.ordered.discard("tamper")
                self.found = {(code, component) for code, component in self.found if code != "tamper"}
                self.consents = set()


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.flash = Flash()
        self.store = Store(self.flash, 500)
        self.store.open()
        self.state = State()
        self.outstanding = Outstanding()

    def happens(self, event: Event, wall_s: int = 0) -> None:
        before = self.state.to_list()
        new, due = reduce(self.state, event, wall_s)
        assert self.state.to_list() == before
        assert (SEND_STATE in due) == (new.to_list() != before)
        assert new.application >= self.state.application
        self.state = new

    @rule(code=CODES, until=TIMES)
    def is_ordered(self, code: str, until: int) -> None:
        self.happens(Suspended(Reason(code, ACTOR_HOST, 1, until, case="C-1", note="停用")))
        self.outstanding.ordered.add(code)
        self.outstanding.suspends(code, set(FUNCTION_TESTS))

    @rule(code=FOUND, component=COMPONENTS)
    def is_found(self, code: str, component: str) -> None:
        self.happens(Suspended(Reason(code, ACTOR_POI, 1, component=component)))
        self.outstanding.found.add((code, component))
        self.outstanding.suspends(code, TESTS.get(component, set()))

    @rule(code=CODES, probation_s=PROBATIONS, wall_s=TIMES)
    def is_lifted(self, code: str, probation_s: int, wall_s: int) -> None:
        self.happens(Lifted(code, probation_s), wall_s)
        if code == "tamper":
            self.outstanding.consented(ACTOR_HOST)
        else:
            self.outstanding.ordered.discard(code)

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
        self.happens(TechnicianConfirmed())
        self.outstanding.consented(ACTOR_POI)

    @rule(component=COMPONENTS)
    def is_mended(self, component: str) -> None:
        self.happens(FaultCleared(component))
        self.outstanding.found = {(code, where) for code, where in self.outstanding.found if where != component or code == "tamper"}

    @rule()
    def is_registered(self) -> None:
        self.happens(Registered())
        self.outstanding.registration = False

    @rule(test=st.sampled_from(FUNCTION_TESTS), wall_s=TIMES)
    def test_passes(self, test: str, wall_s: int) -> None:
        if self.outstanding.nothing:
            self.outstanding.tests_due.discard(test)
        self.happens(FunctionTestPassed(test), wall_s)

    @rule(step=st.sampled_from(STEPS))
    def step_is_done(self, step: str) -> None:
        self.happens(StepDone(step))

    @precondition(lambda self: self.state.step)
    @rule()
    def goes_on(self) -> None:
        self.happens(StepDone(self.state.step))

    @rule()
    def merchant_applies(self) -> None:
        """In one go, or an application would hardly ever be met by its answer."""
        self.happens(RecoveryStarted())
        for step in STEPS[: STEPS.index(STEP_REVIEW)]:
            self.happens(StepDone(step))

    @rule(status=st.sampled_from(REVIEW_STATUSES), late_by=st.integers(0, 2))
    def is_reviewed(self, status: str, late_by: int) -> None:
        before = self.state.to_list()
        self.happens(ReviewAnswered(self.state.application - late_by, status, "remark"))
        assert not late_by or self.state.to_list() == before

    @rule(event=st.sampled_from([RecoveryStarted, RecoveryPaused]))
    def merchant_comes_or_goes(self, event: type[RecoveryStarted] | type[RecoveryPaused]) -> None:
        self.happens(event())

    @rule(wall_s=TIMES)
    def time_passes(self, wall_s: int) -> None:
        self.happens(TimePassed(wall_s), wall_s)

    @rule(tests=ABLE)
    def boots(self, tests: tuple[str, ...]) -> None:
        """Through the store, as after a power cut, with the devices that are there now."""
        self.store.put("state", encode(self.state.to_list()))
        store = Store(self.flash, 500)
        store.open()
        again = State.from_list(decode(store.get("state") or b""))
        assert again.to_list() == self.state.to_list()
        self.store = store
        self.state = again
        self.happens(Booted(tests))
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
    def it_serves_just_when_nothing_is_outstanding(self) -> None:
        assert (self.state.mode == OUT_OF_ORDER) == self.outstanding.tampered
        done = self.outstanding.nothing and not self.outstanding.tests_due
        assert (self.state.mode in (IN_SERVICE, PROBATION)) == done


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
