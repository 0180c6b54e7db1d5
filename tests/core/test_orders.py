"""What each order does: all of it or nothing; and by which word it is refused."""

import asyncio

from firmware_agent.identity.technician import KEY_PIN, KEY_TRIES, sign_on_by_pin, wait_ms
from firmware_agent.identity.tries import KEY_ACTIVATION
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.inbound import REFUSALS
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.orders import ACTIONS, OrderError, effect_of
from firmware_agent.prevention.notices import HOUR_S, MAX_NOTICES, watch
from firmware_agent.settings import Settings
from firmware_agent.state.machine import (
    COMMISSIONING,
    FUNCTION_TESTS,
    IN_SERVICE,
    RECOVERING,
    STEP_REVIEW,
    SUSPENDED,
    FunctionTestPassed,
)
from tests.core.parts import NOW_S, Flash, Time
from tests.core.state_parts import APPLYING
from tests.core.support import raises_in
from tests.core.terminal_parts import boot, provisioned


def serving():
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash)
    terminal.apply([FunctionTestPassed(test) for test in FUNCTION_TESTS])
    terminal.sequence = 0
    assert terminal.state.mode == IN_SERVICE
    return terminal


def message(terminal, kind, body):
    terminal.sequence += 1
    return Claims(kind_named(kind), "T0000001", terminal.sequence, body, issuer="acq1", issued_at=NOW_S, expires=NOW_S + HOUR_S)


def obey(terminal, kind="order", **body):
    """As the agent does, without the receipt."""
    effect = asyncio.run(effect_of(terminal, message(terminal, kind, body)))
    terminal.apply(effect.events, effect.messages, effect.changes)
    return effect


def refused(terminal, kind="order", **body):
    """The word for it; and nothing has changed."""
    before = [(key, terminal.store.get(key)) for key in terminal.store.keys()]
    error = asyncio.run(raises_in(OrderError, effect_of(terminal, message(terminal, kind, body))))
    assert [(key, terminal.store.get(key)) for key in terminal.store.keys()] == before
    assert error.code in REFUSALS
    return error.code


def codes(terminal):
    return [reason.code for reason in terminal.state.reasons]


def due(terminal):
    return [notice.name for notice in terminal.notices.due(terminal.wall_s, 480)]


def test_every_action_has_one_line_and_any_other_is_refused():
    terminal = serving()
    names = [name for name, _ in ACTIONS]
    assert len(set(names)) == len(names) and all([what for _, what in ACTIONS])
    for name in ("", "Suspend", "format", "message "):
        assert refused(terminal, action=name) == "unknown_action"


def test_a_message_stays_until_it_is_confirmed():
    terminal = serving()
    obey(terminal, action="message", text="Please  call\nus")
    assert due(terminal) == ["order 1"] and terminal.notices.text(terminal.notices.all[0]) == "Please call us"
    for text in ("", "   ", "a\u0000b", "pay \u202enow"):
        assert refused(terminal, action="message", text=text) == "wrong_text"
    assert refused(terminal, action="message") == "wrong_text"
    for _ in range(MAX_NOTICES - 1):
        obey(terminal, action="message", text="x")
    assert refused(terminal, action="message", text="one too many") == "too_many"
    assert refused(terminal, "notice", notice=1, about="fee", text="as well") == "too_many"


def test_a_notice_is_refused_by_what_is_wrong_with_it():
    terminal = serving()
    obey(terminal, "notice", notice=5, about="fee", text="New fees", until=NOW_S + HOUR_S)
    assert due(terminal) == ["notice 5"]
    assert refused(terminal, "notice", notice=6, about="fee", text="") == "wrong_text"
    assert refused(terminal, "notice", notice=6, about="fee", text="over", until=NOW_S) == "wrong_time"


def test_a_maintenance_is_announced_and_begins_and_a_lift_ends_it_for_good():
    terminal = serving()
    obey(terminal, action="maintenance", since=NOW_S - 1, until=NOW_S + HOUR_S)
    assert due(terminal) == ["order 1"] and terminal.state.mode == IN_SERVICE
    watch(terminal)
    assert codes(terminal) == ["maintenance"]
    obey(terminal, action="lift", reason="maintenance")
    assert terminal.state.mode == COMMISSIONING and terminal.notices.all == []
    watch(terminal)
    assert terminal.state.mode == COMMISSIONING


def test_a_lift_before_its_beginning_calls_a_maintenance_off_and_another_lift_does_not():
    terminal = serving()
    obey(terminal, action="maintenance", since=NOW_S + 60, until=NOW_S + HOUR_S, text="x")
    obey(terminal, action="lift", reason="violation")
    assert len(terminal.notices.all) == 1
    obey(terminal, action="lift", reason="maintenance")
    assert terminal.notices.all == []


def test_a_maintenance_that_cannot_be_is_refused():
    terminal = serving()
    assert refused(terminal, action="maintenance", since=NOW_S + 9, until=NOW_S + 9) == "wrong_time"
    assert refused(terminal, action="maintenance", until=NOW_S + 9) == "wrong_time"
    assert refused(terminal, action="maintenance", since=NOW_S + 1, until=NOW_S + 9, text="\u0007") == "wrong_text"


def test_the_acquirers_words_that_a_person_would_not_see_as_they_are_are_refused():
    terminal = serving()
    for field in ("case", "note"):
        assert refused(terminal, action="suspend", reason="violation", **{field: "C-1\u202e"}) == "wrong_text"
    obey(terminal, action="suspend", reason="violation", case=" C-1\n", note="")
    assert terminal.state.reasons[0].case == "C-1"
    terminal.apply(APPLYING)
    assert terminal.state.mode == RECOVERING and terminal.state.step == STEP_REVIEW
    assert refused(terminal, "status", application=1, status="rejected", remark="no\u2066") == "wrong_text"
    obey(terminal, "status", application=1, status="under_review", remark="by  Chen")
    assert terminal.state.remark == "by Chen"


def test_settings_are_set_all_of_them_or_none():
    terminal = serving()
    effect = obey(terminal, action="configure", settings=[["language", "en"], ["service_line", "+86 95516"]])
    settings = Settings(terminal.store)
    assert effect.redraw and settings.language == "en" and settings.get("service_line") == "+86 95516"
    for pairs in ([], [["language", "zh-CN"], ["language", "en"]], [["language", "zh-CN"], ["colour", "red"]], [["language", "fr"]]):
        assert refused(terminal, action="configure", settings=pairs) == "wrong_setting"
    assert refused(terminal, action="configure") == "wrong_setting"
    assert settings.language == "en"


def test_what_is_told_of_a_wrong_setting_names_it_and_keeps_its_value():
    terminal = serving()
    body = {"action": "configure", "settings": [["password", "short"]]}
    error = asyncio.run(raises_in(OrderError, effect_of(terminal, message(terminal, "order", body))))
    assert "password" in str(error) and "short" not in str(error)


def test_unlocking_forgets_wrong_pins_and_lifts_what_an_operator_did():
    terminal = serving()
    assert refused(terminal, action="unlock") == "not_locked"
    terminal.store.put(KEY_TRIES, encode([9, terminal.boot_count, 0]))
    assert wait_ms(terminal) > 0
    obey(terminal, action="unlock")
    assert wait_ms(terminal) == 0 and terminal.state.mode == IN_SERVICE
    obey(terminal, action="suspend", reason="operator_error")
    obey(terminal, action="suspend", reason="violation")
    obey(terminal, action="unlock", probation_s=60)
    assert codes(terminal) == ["violation"] and terminal.state.mode == SUSPENDED and terminal.state.probation_s == 60
    assert refused(terminal, action="unlock") == "not_locked"


def test_unlocking_forgets_wrong_activation_codes():
    terminal = serving()
    terminal.store.put(KEY_ACTIVATION, encode([9, terminal.boot_count, 0]))
    obey(terminal, action="unlock")
    assert terminal.store.get(KEY_ACTIVATION) is None
    assert refused(terminal, action="unlock") == "not_locked"


def test_an_unlocked_terminal_looks_at_the_next_pin():
    time = Time()
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, time)
    terminal.sequence = 0
    terminal.store.put(KEY_PIN, encode([b"salt", 1, b"x" * 32]))

    async def tries(count):
        answers = []
        for _ in range(count):
            answers.append((await sign_on_by_pin(terminal, "1234"))[0])
        return answers

    assert time.run(tries(4)) == ["wrong_pin", "wrong_pin", "wrong_pin", "wait"]
    obey(terminal, action="unlock")
    assert time.run(tries(1)) == ["wrong_pin"]
