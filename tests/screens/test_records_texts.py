"""The records have words in both languages for every moment, reason, order, and event of a person's."""

from __future__ import annotations

import pytest

from firmware_agent.messages.events import EVENTS
from firmware_agent.messages.schema import DOWN, KINDS
from firmware_agent.orders import ACTIONS
from firmware_agent.records.audit_report import COUNTED, SIGNED_ON
from firmware_agent.records.timeline import MOMENTS
from firmware_agent.state import machine
from firmware_agent.state.reasons import REASON_KINDS
from firmware_agent.texts import LANGUAGES, load

NO_LINE = ("answer", "audited")  # messages that are no fact
# Events that somebody brings about; the terminal's own stand there by their name.
BY_PEOPLE = ("signed_on", "sign_on_refused", "technician_confirmed", "notice_confirmed", "training_done", "shop_changed", "visitor_checked")
TOLD_OTHERWISE = ("Booted", "FunctionTestPassed", "ReviewAnswered", "TechnicianConfirmed")


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_the_records_tell_of_has_words(language: str) -> None:
    texts = load(language)
    values = {"reason": "-", "number": 1, "count": 1}
    events = [name for name in dir(machine) if name[0].isupper() and name not in ("State", "TYPE_CHECKING", "Event", "Reason")]
    events = [name for name in events if isinstance(getattr(machine, name), type) and name not in TOLD_OTHERWISE]
    keys = ["moment." + word for word in MOMENTS]
    keys += ["advice." + kind.code for kind in REASON_KINDS]
    keys += ["audit.count." + what for what in COUNTED if what != SIGNED_ON]
    keys += ["op.order." + action for action, _ in ACTIONS]
    keys += ["op.message." + kind.name for kind in KINDS if kind.direction == DOWN and kind.name not in (*NO_LINE, "order")]
    keys += ["op.did." + name for name in events]
    keys += ["op.event." + name for name in BY_PEOPLE]
    assert set(BY_PEOPLE) <= {kind.name for kind in EVENTS}
    missing = [key for key in keys if not texts.has(key)]
    assert not missing
    assert all(texts.get(key, **values) for key in keys)
