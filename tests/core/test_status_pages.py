"""What the idle page tells of the link, the clock and the storage."""

from firmware_agent.flows.status_pages import idle_page
from firmware_agent.links.link import CAUSE_DATE
from firmware_agent.prevention.notices import Notices
from firmware_agent.settings import Settings
from firmware_agent.state.machine import IN_SERVICE, State
from firmware_agent.store import FULL, NOT_WRITABLE
from firmware_agent.texts import load
from hal.clock import TRUST_NONE, TRUST_SET


class _Thing:
    pass


class _EmptyStore:
    def get(self, key):
        return None

    def keys(self, prefix=""):
        return []


def page(online, link_cause, trust, storage_refusal=""):
    terminal = _Thing()
    terminal.online = online
    terminal.link_cause = link_cause
    terminal.storage_refusal = storage_refusal
    terminal.notices = Notices(_EmptyStore())
    terminal.state = State()
    terminal.state.mode = IN_SERVICE
    terminal.identity = _Thing()
    terminal.identity.terminal = "T0000001"
    terminal.hal = _Thing()
    terminal.hal.payment = None
    terminal.hal.clock = _Thing()
    terminal.hal.clock.trust = trust
    return " ".join(idle_page(load("en"), terminal, Settings(_EmptyStore())).lines)


def test_a_terminal_without_connection_says_that_reports_are_kept():
    assert "Reports are kept and sent later" in page(False, "", TRUST_SET)
    assert "Reports are kept" not in page(True, "", TRUST_SET)


def test_a_connection_that_failed_for_the_date_says_so():
    text = page(False, CAUSE_DATE, TRUST_SET)
    assert "failed because of the date" in text
    assert "Reports are kept" not in text


def test_a_clock_that_is_not_set_is_told():
    assert "The clock is not set" in page(True, "", TRUST_NONE)
    assert "The clock is not set" not in page(True, "", TRUST_SET)


def test_a_storage_that_refuses_to_be_written_is_told():
    assert "Storage full" in page(True, "", TRUST_SET, FULL)
    assert "Storage read-only" in page(True, "", TRUST_SET, NOT_WRITABLE)
    assert "Storage" not in page(True, "", TRUST_SET)
