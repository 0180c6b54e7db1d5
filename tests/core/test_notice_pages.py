"""What the merchant sees of notices and of the next maintenance."""

from firmware_agent.flows.notice_pages import notice_page
from firmware_agent.flows.status_pages import countdown, idle_page
from firmware_agent.messages.schema import NOTICES
from firmware_agent.prevention.notices import BY_NOTICE, BY_ORDER, DAY_S, HOUR_S, PREFIX, Notice
from firmware_agent.settings import Settings
from firmware_agent.texts import LANGUAGES, load
from hal.clock import TRUST_FLOOR, TRUST_SET
from tests.core.parts import NOW_S, Flash, Time
from tests.core.terminal_parts import boot, provisioned


def terminal_with(by, about, since, until, text, time=None):
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, time)
    terminal.apply([], [], [(PREFIX + "1", Notice("", by, 3, about, since, until).encoded(0, text))])
    return terminal


def lines(terminal, language="en", count=1):
    texts = load(language)
    page = notice_page(texts, terminal, Settings(terminal.store), [terminal.notices.all[0]] * count)
    return page.lines


def test_the_page_of_a_notice_says_what_from_when_until_when_and_how_many_follow():
    terminal = terminal_with(BY_NOTICE, "fee", NOW_S, NOW_S + DAY_S, "New fees")
    assert lines(terminal, count=3) == (
        "No. 3: Fees",
        "New fees",
        "From: 2026-11-22 08:00",
        "Until: 2026-11-23 08:00",
        "Still to be read: 2",
    )
    for language in LANGUAGES:
        for about in NOTICES + ("#9",):
            terminal.notices.all[0].about = about
            assert lines(terminal, language)


def test_the_page_of_a_window_says_that_no_payments_are_taken():
    terminal = terminal_with(BY_ORDER, "maintenance", NOW_S + HOUR_S, NOW_S + 2 * HOUR_S, "")
    assert lines(terminal) == (
        "No. 3: Maintenance",
        "Maintenance: 2026-11-22 09:00 to 10:00",
        "It begins in 60 min.",
        "No payments during it. Afterwards please run the tests that are asked for.",
    )
    terminal.hal.clock.set_wall(NOW_S + HOUR_S)
    assert lines(terminal)[1:3] == ("From: 2026-11-22 09:00", "Until: 2026-11-22 10:00")


def test_the_idle_page_counts_down_in_the_unit_that_matters():
    time = Time()
    terminal = terminal_with(BY_ORDER, "maintenance", NOW_S + 3 * DAY_S, NOW_S + 3 * DAY_S + HOUR_S, "", time)
    texts, settings = load("en"), Settings(terminal.store)
    for before_s, shown in (
        (3 * DAY_S, (3, "days")),
        (2 * DAY_S, (48, "hours")),
        (5 * HOUR_S + 1, (5, "hours")),
        (2 * HOUR_S, (120, "minutes")),
        (61, (2, "minutes")),
        (60, (1, "minutes")),
        (1, (1, "minutes")),
    ):
        time.now_ms += 1000 * (NOW_S + 3 * DAY_S - before_s - terminal.wall_s)
        assert countdown(terminal) == shown
        text = " ".join(idle_page(texts, terminal, settings).lines)
        assert "Maintenance: 2026-11-25 08:00 to 09:00" in text and "in %d " % shown[0] in text
    terminal.hal.clock.trust = TRUST_FLOOR
    assert countdown(terminal) is None
    text = " ".join(idle_page(texts, terminal, settings).lines)
    assert "Maintenance: 2026" in text and "begins" not in text
    terminal.hal.clock.trust = TRUST_SET
    time.now_ms += 1000
    assert "Maintenance" not in " ".join(idle_page(texts, terminal, settings).lines)
