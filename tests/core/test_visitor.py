"""Who is calling or visiting: a badge or a code is checked and nobody is signed on; what was found out is told."""

import asyncio
from hashlib import sha256

from firmware_agent.flows.menu.visitor_flow import visitor_flow
from firmware_agent.identity.technician import EXTERNAL_AAD, GET_BADGE, PROOF, SELECT, badge_payload, revocation
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.signed_text import SignedTextError, decode_badge, encode_badge
from firmware_agent.settings import Settings
from hal.errors import E_FAILURE, DeviceError
from tests.core.parts import NOW_S, Flash, QuickCurve, Time
from tests.core.person import Person
from tests.core.support import raises
from tests.core.terminal_parts import ACQUIRER, boot, provisioned


class Key:
    """A key of someone outside of the terminal."""

    def __init__(self, private):
        self.private = private
        self.public = QuickCurve().public_key(private)

    async def sign(self, slot, digest):
        return QuickCurve().sign(self.private, digest)


OWNER, CARD = Key(b"acquirer"), Key(b"card")


def badge_of(owner=OWNER, expires=NOW_S + 1000):
    payload = badge_payload(ACQUIRER, "T-0042", "Chen", expires, CARD.public)
    return asyncio.run(sign(owner, 0, key_id(owner.public), payload, EXTERNAL_AAD))


class Reader:
    """badge: of the card in its field, None: there is no card."""

    def __init__(self, badge, key=CARD):
        self.badge = badge
        self.key = key
        self.clock = None

    async def find_card(self, timeout_ms):
        if self.badge is None:
            await self.clock.sleep_ms(timeout_ms)
        return self.badge is not None

    async def exchange(self, apdu, timeout_ms=1000):
        if apdu == SELECT:
            return b"\x90\x00"
        if apdu == GET_BADGE:
            return self.badge + b"\x90\x00"
        return await self.key.sign(0, sha256(PROOF + apdu[5:37]).digest()) + b"\x90\x00"

    async def release_card(self):
        pass


class Scanner:
    def __init__(self, *found):
        self.found = list(found)

    async def scan(self, timeout_ms):
        text = self.found.pop(0) if self.found else None
        if text is None:
            await self.clock.sleep_ms(timeout_ms)
        if isinstance(text, DeviceError):
            raise text
        return text


class World:
    def __init__(self):
        flash = Flash()
        provisioned(flash, [OWNER.public])
        self.time = Time()
        self.terminal = boot(flash, self.time)
        self.terminal.hal.keypad = None
        self.settings = Settings(self.terminal.store)
        self.settings.set("service_line", "95516")

    def check(self, keys, reader=None, scanner=None):
        hal = self.terminal.hal
        hal.card_reader, hal.scanner = reader, scanner
        for device in (reader, scanner):
            if device is not None:
                device.clock = hal.clock
        person = Person(keys, time=self.time)
        self.time.run(visitor_flow(self.terminal, person, self.settings, person.has_left))
        return person

    def told(self):
        messages = [self.terminal.outbox.message(key) for key in self.terminal.outbox.waiting()]
        return [(message.text("name"), message.text("detail")) for message in messages if message.kind.name == "event"]


def test_the_official_line_and_the_advice_stand_there_first():
    page = World().check("cancel", Reader(None), Scanner()).page("visitor")
    assert page.lines == ("visitor.line 95516", "visitor.never", "visitor.call")
    assert [key for key, _ in page.choices] == ["1", "2"]
    assert World().check("cancel").page("visitor").choices == ()


def test_a_good_badge_shows_who_until_when_and_what_it_does_not_prove_and_signs_nobody_on():
    world = World()
    person = world.check("1 2 cancel", Reader(badge_of()))
    assert person.names == ["visitor", "badge", "visitor.good", "visitor"]
    assert person.page("visitor.good").lines == (
        "visitor.who Chen",
        "visitor.number T-0042",
        "visitor.until 2026-11-22 08:16",
        "visitor.not_proved",
        "visitor.line 95516",
        "visitor.never",
    )
    assert world.told() == [("visitor_checked", "good badge T-0042")]


def refused(reader, before=None):
    world = World()
    if before is not None:
        before(world)
    person = world.check("1 2 cancel", reader)
    page = person.page("visitor.refused")
    assert page.lines[1:] == ("visitor.refused.text", "visitor.line 95516", "visitor.never", "visitor.call") and page.tone == "alert"
    return page.lines[0], world.told()


def test_a_badge_that_is_wrong_expired_revoked_or_copied_is_said_plainly_and_told():
    assert refused(Reader(badge_of(Key(b"other")))) == ("refused.other_acquirer", [("visitor_checked", "other_acquirer")])
    assert refused(Reader(badge_of(expires=NOW_S))) == ("refused.expired", [("visitor_checked", "expired")])
    assert refused(Reader(badge_of(), Key(b"another card"))) == ("refused.copied", [("visitor_checked", "copied")])
    revoke = lambda world: world.terminal.store.put_all([revocation(world.terminal.store, "T-0042")])  # noqa: E731
    assert refused(Reader(badge_of()), revoke) == ("refused.revoked", [("visitor_checked", "revoked")])


def test_no_card_is_no_verdict_on_anybody():
    world = World()
    person = world.check("1 2 cancel", Reader(None))
    assert "visitor.refused" not in person.names and person.page("visitor.unread").lines[0] == "refused.no_card"
    assert world.told() == []


def test_a_code_shows_the_badge_and_that_it_may_be_a_copy():
    world = World()
    person = world.check("2 2 cancel", None, Scanner(None, encode_badge(badge_of())))
    assert "visitor.code_only" in person.page("visitor.good").lines and person.page("visitor.good").tone == "normal"
    assert world.told() == [("visitor_checked", "good badge T-0042, as a code")]


def test_a_code_that_is_no_badge_or_is_altered_is_refused():
    good = encode_badge(badge_of())
    altered = encode_badge(badge_of().replace(b"T-0042", b"T-0001"))
    for text, line in (("https://example.com", "not_a_badge"), (good[:-2] + "::", "not_a_badge"), (altered, "altered")):
        world = World()
        page = world.check("2 2 cancel", None, Scanner(text)).page("visitor.refused")
        assert page.lines[0] in ("refused." + line, "visitor.refused." + line), text
        assert world.told() == [("visitor_checked", line)]


def test_a_scanner_that_reads_nothing_or_fails_is_no_verdict():
    for scanner in (Scanner(), Scanner(DeviceError(E_FAILURE, "scanner"))):
        world = World()
        assert world.check("2 2 cancel", None, scanner).page("visitor.unread").lines[0] == "visitor.refused.no_code"
        assert world.told() == []


def test_a_check_can_be_made_again():
    names = World().check("1 1 2 cancel", Reader(badge_of())).names
    assert names == ["visitor", "badge", "visitor.good", "badge", "visitor.good", "visitor"]


def test_a_badge_as_text_is_the_same_badge():
    badge = badge_of()
    assert decode_badge(" %s\n" % encode_badge(badge)) == badge
    for text in ("", "RS1:00", "RB1:é", "RB1::::"):
        raises(SignedTextError, decode_badge, text)
