"""The records have words in both languages for every moment, reason, order, and event of a person's."""

from __future__ import annotations

import re

import pytest

from firmware_agent.flows.menu.records_pages import detail_in_words
from firmware_agent.identity.technician import SUSPICIOUS as BADGE_REFUSALS
from firmware_agent.messages.events import EVENTS
from firmware_agent.messages.inbound import REFUSALS
from firmware_agent.messages.schema import DOWN, KINDS
from firmware_agent.orders import ACTIONS
from firmware_agent.prevention.probation import ANOMALIES
from firmware_agent.prevention.training import OPERATIONS
from firmware_agent.records.audit_report import COUNTED, SIGNED_ON
from firmware_agent.records.evidence import ALTERED, CUT_OFF, MISSING, OTHER_HEAD
from firmware_agent.records.timeline import MOMENTS
from firmware_agent.state import machine
from firmware_agent.state.reasons import REASON_KINDS
from firmware_agent.texts import LANGUAGES, load
from tools import check_texts

NO_LINE = ("answer", "audited")  # messages that are no fact
# Details of events, as they are written for the wire.
DETAILS = """
PIN, 3 in a row
badge, expired
badge, copied
badge, other_acquirer
badge T-0042
good badge T-0042, as a code
at the counter
kept unproven
the terminal started anew
no connection within 300 s
version 0.2.0 runs
by 3
2 places
full: reports go on from memory
not_writable: reports go on from memory
missing at 4
altered at 4
other_head at 4
3 crashes, 2 power losses
self_test printer paper_out
restart boot 4
network lost for 10 minutes
daily 92 %
card_changes 80 %
self_test 2, sign_in 0, restart 0, network 1
order 7, not confirmed
notice 12
printer paper_near_end
licence 2026-12-01
due_licence 2026-12-01
maintenance_every_days 30
contact_name contact_phone
promotion promotion_until
file_changed
not_newer
staff 7: sale, refund, reprint, settlement, suspension
""".strip().splitlines()
KEPT = ("PIN", "T", "s")  # a word of both languages; of a badge's number; of seconds
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
    keys += ["op.event." + kind.name for kind in EVENTS]
    keys += [
        "op.detail." + word for word in (*REFUSALS, *BADGE_REFUSALS, MISSING, ALTERED, CUT_OFF, OTHER_HEAD, *OPERATIONS, *ANOMALIES[:3])
    ]
    assert not [key for key in keys if key not in check_texts.TABLES[language]]
    assert all(texts.get(key, **values) for key in keys)


@pytest.mark.parametrize("detail", DETAILS)
def test_the_detail_of_an_event_has_no_english_word_in_chinese(detail: str) -> None:
    told = detail_in_words(load("zh-CN"), detail)
    assert not [word for word in re.findall("[A-Za-z_]+", told) if word not in KEPT], told
    for number in re.findall("[0-9][0-9.-]*[0-9]|[0-9]", detail):
        assert number in told, told


@pytest.mark.parametrize("refusal", sorted(REFUSALS))
def test_why_a_message_was_refused_has_no_english_word_in_chinese(refusal: str) -> None:
    assert not re.search("[A-Za-z_]", detail_in_words(load("zh-CN"), refusal))


def test_what_has_no_text_stands_in_the_log_as_it_is() -> None:
    assert detail_in_words(load("en"), "ValueError boot.py:12") == "ValueError boot.py:12"
