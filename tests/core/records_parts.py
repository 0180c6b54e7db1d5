"""A violation from its order to the terminal's return, as a terminal goes through it: for tests of what is kept of it."""

from firmware_agent.state.machine import (
    IN_SERVICE,
    STEP_REVIEW,
    FunctionTestPassed,
    Lifted,
    RecoveryStarted,
    Registered,
    ReviewAnswered,
    StepDone,
    Suspended,
)
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from tests.core.parts import NOW_S

DIGEST = bytes(16)


class Shop:
    """A terminal, its merchant, and its acquirer; each step takes a minute. pages: whether what is shown and pressed is noted."""

    def __init__(self, terminal, pages=True):
        self.terminal = terminal
        self.pages = pages
        self._sequence = 0
        self._now_s = NOW_S

    def later(self, seconds=60):
        self._now_s += seconds
        if self.terminal.hal.clock.trust:
            self.terminal.hal.clock.set_wall(self._now_s)

    def show(self, page, key=""):
        if self.pages:
            self.terminal.note_prompt(page)
            if key:
                self.terminal.note_prompt(page, key)

    def take(self, event, *words):
        """An event that a message of the acquirer's leads to."""
        self._sequence += 1
        self.terminal.apply([event], facts=[["accepted", words[0], self._sequence, DIGEST] + list(words[1:])])
        self.later()

    def suspend(self, code="violation", since=NOW_S):
        self.take(Suspended(Reason(code, ACTOR_HOST, since, case="C-2026-1107")), "order", "suspend", code, "C-2026-1107")

    def steps(self):
        """The merchant's, up to the review."""
        self.show("suspended", "1")
        self.terminal.apply([RecoveryStarted()])
        while self.terminal.state.step != STEP_REVIEW:
            self.later()
            self.show("recovery." + self.terminal.state.step, "1")
            self.terminal.apply([StepDone(self.terminal.state.step)])
        self.show("recovery.review")
        self.later()

    def answer(self, status):
        self.take(ReviewAnswered(self.terminal.state.application, status), "status", status)

    def lift(self, code="violation"):
        self.terminal.apply([Registered()])
        self.show("recovery.lift")
        self.take(Lifted(code), "order", "lift", code)

    def test(self, name, passes=True):
        self.show("test", "1")
        self.show("exam." + name, "1")
        body = {"name": name, "outcome": "pass" if passes else "fail"}
        self.terminal.apply([FunctionTestPassed(name)] if passes else [], [("test", body)])
        self.later()

    def recover(self):
        """All of it."""
        self.show("suspended")
        self.suspend()
        self.steps()
        self.answer("under_review")
        self.answer("approved")
        self.lift()
        for name in self.terminal.state.tests_due:
            self.test(name)
        assert self.terminal.state.mode == IN_SERVICE


def summaries(terminal):
    """The summaries that wait to be sent."""
    told = [terminal.outbox.message(key) for key in terminal.outbox.waiting()]
    return [claims.body for claims in told if claims.kind.name == "summary"]


class Words:
    """Texts by their keys: 'op.report plan=plan.daily count=1'. What is newer than this version has none."""

    language = "en"

    def get(self, key, **values):
        if "newer" in key:
            raise KeyError(key)
        return " ".join([key] + ["%s=%s" % (name, values[name]) for name in sorted(values)])
