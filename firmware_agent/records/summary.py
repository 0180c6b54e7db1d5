"""What a suspension was: why, what happened when, how long it took, which tests and people took part, and what prevents it next time.

Told to the acquirer once, by itself, when the terminal is back (`Terminal.watch_suspension`). Of a suspension that goes on it is an
incident report: the same, made whenever somebody asks, and not sent.
"""

from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.records.evidence import entries
from firmware_agent.records.suspension import is_back
from firmware_agent.records.timeline import MOMENTS, ROLES, timeline_of
from firmware_agent.state.reasons import Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.records.suspension import Suspension
    from firmware_agent.records.timeline import Timeline
    from firmware_agent.terminal import Terminal


def summary_body(terminal: "Terminal") -> "dict[str, object]":
    """Of the suspension that the terminal is in, or has just left: the body of a message `summary`."""
    first = terminal.suspension.first
    body = body_of(terminal.suspension, timeline_of(entries(terminal.store, first), first))
    body["back"] = is_back(terminal.state)  # what the log has lost the state knows
    return body


def body_of(suspension: "Suspension", timeline: "Timeline") -> "dict[str, object]":
    """Without I/O."""
    numbers: list[int] = []
    for reason in suspension.reasons:
        if reason.kind.number not in numbers:
            numbers.append(reason.kind.number)
    body: dict[str, object] = {
        "number": suspension.number,
        "reasons": [reason.told() for reason in suspension.reasons],
        "steps": [_short([MOMENTS.index(word), when, about]) for word, when, about in timeline.moments],
        "tests": timeline.tests,
        "people": [[ROLES.index(role), number] for role, number in timeline.people],
        "advice": numbers,
        "whole": timeline.is_whole,
        "back": timeline.is_back,
    }
    since = timeline.began or min([reason.since for reason in suspension.reasons if reason.since] or [0])
    if since:
        body["since"] = since
    if timeline.is_back and timeline.ended:
        body["until"] = timeline.ended
        if 0 < since <= timeline.ended:
            body["duration_s"] = timeline.ended - since
    return body


def summary_now(terminal: "Terminal") -> "Claims | None":
    """Of the suspension that goes on, as of now; else of the last one, as it was told. None: this terminal was never suspended."""
    if not terminal.suspension.is_open:
        return terminal.last_summary()
    return Claims(
        kind_named("summary"),
        terminal.identity.terminal,
        terminal.outbox.next_sequence(),
        summary_body(terminal),
        issued_at=terminal.wall_s,
        boot_count=terminal.boot_count,
    )


# Reading one, as it is on the wire: what a newer version tells beyond that is left out.


def reasons_of(claims: "Claims") -> "list[Reason]":
    reasons = []
    for values in claims.items("reasons"):
        try:
            reasons.append(Reason.from_told(values))
        except (KeyError, ValueError):
            pass
    return reasons


def steps_of(claims: "Claims") -> "list[tuple[str, int, int]]":
    """(word of MOMENTS, when or 0, about or 0)"""
    steps = []
    for values in claims.items("steps"):
        if not isinstance(values, list) or not values:
            continue
        word, when, about = (values + [0, 0])[:3]
        if isinstance(word, int) and isinstance(when, int) and isinstance(about, int) and 0 <= word < len(MOMENTS):
            steps.append((MOMENTS[word], when, about))
    return steps


def _short(values: "list[int]") -> "list[int]":
    """Without what is 0 at the end."""
    while len(values) > 1 and not values[-1]:
        values.pop()
    return values
