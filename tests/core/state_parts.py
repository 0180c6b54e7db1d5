"""The terminal's state for tests of its machine: what happens to it, in few words."""

from firmware_agent.state.machine import (
    FUNCTION_TESTS,
    IN_SERVICE,
    REVIEW_APPROVED,
    STEP_REGISTRATION,
    STEP_REVIEW,
    STEPS_OF_MERCHANT,
    Booted,
    FunctionTestPassed,
    RecoveryStarted,
    Registered,
    ReviewAnswered,
    State,
    StepDone,
    Suspended,
    illegal,
    reduce,
)
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, Reason
from tests.core.parts import NOW_S


def after(state, *events, wall_s=NOW_S):
    """The state after the events; each step is legal, and leaves the state that it was given as it was."""
    for event in events:
        before = state.to_list()
        new, _ = reduce(state, event, wall_s)
        assert state.to_list() == before
        assert illegal(new) == "", (illegal(new), event)
        state = new
    return state


def due(state, event):
    return reduce(state, event, NOW_S)[1]


def in_service(tests=FUNCTION_TESTS):
    state = after(State(), Booted(tests), *[FunctionTestPassed(test) for test in tests])
    assert state.mode == IN_SERVICE
    return state


def ordered(code, **fields):
    return Suspended(Reason(code, ACTOR_HOST, NOW_S, **fields))


def found(code, component=""):
    return Suspended(Reason(code, ACTOR_POI, NOW_S, component=component))


def suspended(*codes):
    return after(in_service(), *[ordered(code) for code in codes])


def all_passed(state):
    return after(state, *[FunctionTestPassed(test) for test in state.tests_due])


# By which a merchant comes from the suspension to where his application is reviewed, for a reason that needs every step.
APPLYING = [RecoveryStarted()] + [StepDone(step) for step in STEPS_OF_MERCHANT]


def onward(state):
    """One step further, by whoever has to do it."""
    if state.step == STEP_REVIEW:
        return after(state, ReviewAnswered(state.application, REVIEW_APPROVED))
    if state.step == STEP_REGISTRATION:
        return after(state, Registered())
    return after(state, StepDone(state.step))


def come_to(step, state):
    """As far as that step, from a suspension on or from a step before."""
    if not state.step:
        state = after(state, RecoveryStarted())
    while state.step != step:
        state = onward(state)
    return state


def at_step(code, step):
    """A terminal whose merchant has come as far as `step`."""
    return come_to(step, suspended(code))
