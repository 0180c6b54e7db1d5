"""Draws the diagrams in docs/state-machine.md from the state machine itself, by trying every event in every state that can be reached.

python tools/build_state_diagram.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.state.machine import (  # noqa: E402
    LEVELS,
    MODES,
    RECOVERING,
    REVIEW_ANSWERS,
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
    StepTakenBack,
    Suspended,
    TechnicianConfirmed,
    TimePassed,
    illegal,
    reduce,
)
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, Reason  # noqa: E402

if TYPE_CHECKING:
    from firmware_agent.state.machine import Event

DOCUMENT = ROOT / "docs" / "state-machine.md"
BEGINS, ENDS = "<!-- {}: drawn by tools/build_state_diagram.py -->", "<!-- end of {} -->"
NOW_S, LATER_S = 1, 7200
# One reason of each sort: needs nothing, needs everything, found by the terminal, shuts it for good.
REASONS = (
    Reason("maintenance", ACTOR_HOST),
    Reason("violation", ACTOR_HOST),
    Reason("hardware_fault", ACTOR_POI, component="sounder"),
    Reason("tamper", ACTOR_POI),
)

# A transition: from where, by what, to where.
Edge = tuple[str, str, str]


def events_in(state: State) -> Iterator[tuple[str, Event]]:
    """Each event with arguments that mean something here, and what it is called in a diagram."""
    for reason in REASONS:
        yield "Suspended", Suspended(reason)
        yield "Lifted", Lifted(reason.code)
        yield "Lifted", Lifted(reason.code, 3600)
    yield "FaultCleared", FaultCleared("sounder")
    yield "TechnicianConfirmed", TechnicianConfirmed()
    yield "RecoveryStarted", RecoveryStarted()
    yield "RecoveryPaused", RecoveryPaused()
    for level in LEVELS:
        yield "StepDone", StepDone(state.step, level)
    yield "StepTakenBack", StepTakenBack()
    for answer in REVIEW_ANSWERS:
        yield f"ReviewAnswered {answer}", ReviewAnswered(state.application, answer)
    yield "Registered", Registered()
    for test in state.tests_due:
        yield "FunctionTestPassed", FunctionTestPassed(test)
    yield "TimePassed", TimePassed(LATER_S)


def explore() -> Iterator[tuple[State, str, State]]:
    """Every transition of a terminal that has one function test, breadth first from a new one."""
    new, _ = reduce(State(), Booted(("pay",)))
    seen = {_abstract(new)}
    waiting = [new]
    for state in waiting:
        for name, event in events_in(state):
            after, _ = reduce(state, event, NOW_S)
            assert not illegal(after), (illegal(after), name)
            yield state, name, after
            if _abstract(after) not in seen:
                seen.add(_abstract(after))
                waiting.append(after)


def _abstract(state: State) -> tuple[object, ...]:
    """What decides where it can go: not how many applications there were, nor the order in which the reasons came."""
    ignored = ("reasons", "application", "remark")
    reasons = frozenset(reason.code for reason in state.reasons)
    return (reasons, state.application > 0, *(getattr(state, field) for field in State.FIELDS if field not in ignored))


def edges() -> tuple[set[Edge], set[Edge]]:
    """Between modes; and between the steps of a recovery, as long as its reasons stay the same."""
    modes: set[Edge] = set()
    steps: set[Edge] = set()
    for before, name, after in explore():
        if before.mode != after.mode:
            modes.add((before.mode, name.split(" ")[0], after.mode))
        is_one_recovery = before.mode == after.mode == RECOVERING and len(before.reasons) == len(after.reasons)
        if is_one_recovery and before.step != after.step and not name.startswith("Suspended"):
            steps.add((before.step, name, after.step))
    return modes, steps


def diagram(states: tuple[str, ...], begins: str, found: set[Edge]) -> Iterator[str]:
    """As mermaid draws it: one arrow from one to another, labelled with all that leads there."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {begins}"
    for origin in states:
        for target in states:
            names = sorted(name for start, name, end in found if (start, end) == (origin, target))
            if names:
                yield f"    {origin} --> {target}: {_joined(names)}"
    yield "```"


def _joined(names: list[str]) -> str:
    """Events with a comma between; the answers of a review as one event."""
    answers: dict[str, list[str]] = {}
    for name in names:
        event, _, answer = name.partition(" ")
        answers.setdefault(event, []).append(answer)
    return ", ".join(f"{event} {' or '.join(told)}".strip() for event, told in answers.items())


def drawn(text: str) -> str:
    """The document's text with its diagrams as they are now. Raises ValueError: it has no place for one."""
    modes, steps = edges()
    for name, lines in (("modes", diagram(MODES, "commissioning", modes)), ("steps", diagram(STEPS, STEPS[0], steps))):
        begins, ends = BEGINS.format(name), ENDS.format(name)
        head, _, rest = text.partition(begins)
        _, end, tail = rest.partition(ends)
        if not end:
            raise ValueError(f"no place for the diagram of the {name}: {begins}")
        text = head + "\n".join([begins, *lines, ends]) + tail
    return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the diagrams in docs/state-machine.md from the state machine itself.")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="default: %(default)s")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the diagrams are not current")
    options = parser.parse_args(arguments)
    text = options.document.read_text(encoding="utf-8")
    current = drawn(text)
    if not options.check:
        options.document.write_text(current, encoding="utf-8")
    elif current != text:
        print(f"{options.document.name} is not current: run python tools/build_state_diagram.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
