"""Who may use the technician's functions: the right PIN, in its time, or a badge that proves itself; and nobody else."""

import asyncio
from hashlib import sha256

from firmware_agent.identity.technician import (
    ALTERED,
    CARD_FAILED,
    COPIED,
    DAMAGED,
    EXPIRED,
    EXTERNAL_AAD,
    GET_BADGE,
    INTERNAL_AUTHENTICATE,
    KEY_PIN,
    KEY_REVOKED,
    KEY_TRIES,
    MAX_REVOKED,
    NOT_A_BADGE,
    OTHER_ACQUIRER,
    PROOF,
    REVOKED,
    SELECT,
    WAIT,
    WRONG_PIN,
    badge_payload,
    has_pin,
    revocation,
    revoked_badges,
    set_pin,
    sign_on_by_badge,
    sign_on_by_pin,
    wait_ms,
)
from firmware_agent.identity.tries import FIRST_DELAY_MS, LONGEST_DELAY_MS
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.events import PREFIX as EVENTS
from hal.errors import E_EXTENDED, E_TIMEOUT, ESC_TORN, DeviceError
from tests.core.parts import NOW_S, Flash, PowerCut, QuickCurve, Time
from tests.core.support import raises
from tests.core.terminal_parts import ACQUIRER, boot, provisioned

PIN = "271828"
NUMBER, NAME = "T-0042", "陈"


class World:
    """A terminal with a PIN, in its own time; `restart` is a power cut, after which monotonic time begins anew."""

    def __init__(self, pin=PIN, is_set=True):
        self.flash = Flash()
        self.acquirer = Key(b"acquirer")
        provisioned(self.flash, [self.acquirer.public])
        self.is_set = is_set
        self.restart()
        if pin:
            self.set_pin(pin)

    def set_pin(self, digits):
        hal = self.terminal.hal
        self.run(set_pin(self.terminal.store, hal.secure_element, hal.clock, digits))

    def restart(self):
        self.time = Time()
        self.terminal = boot(self.flash, self.time, self.is_set)

    def run(self, program):
        return self.time.run(program)

    def try_pin(self, digits):
        refusal, who = self.run(sign_on_by_pin(self.terminal, digits))
        assert (refusal == "") == (who is not None)
        return refusal

    def hold(self, card):
        return self.run(sign_on_by_badge(self.terminal, card))

    def events(self):
        """What is told at once, and then what waits."""
        messages = [self.terminal.outbox.message(key) for key in self.terminal.outbox.waiting()]
        waiting = [decode(self.terminal.store.get(key)) for key in self.terminal.store.keys(EVENTS)]
        told = [(message.text("name"), message.text("detail")) for message in messages if message.kind.name == "event"]
        return told + [(event[0], event[1]) for event in waiting]


class Key:
    """A key of someone outside of the terminal."""

    def __init__(self, private):
        self.private = private
        self.public = QuickCurve().public_key(private)

    async def sign(self, slot, digest):
        return QuickCurve().sign(self.private, digest)


CARD_KEY = Key(b"card")


def badge_of(acquirer, issuer=ACQUIRER, number=NUMBER, name=NAME, expires=NOW_S + 1000, key=CARD_KEY, aad=EXTERNAL_AAD, payload=None):
    if payload is None:
        payload = badge_payload(issuer, number, name, expires, key.public)
    return asyncio.run(sign(acquirer, 0, key_id(acquirer.public), payload, aad))


class BadgeReader:
    """A reader with a card in its field. badge: what the card holds; key: what it signs with; others: APDU's beginning -> answer, or what
    is raised.
    """

    def __init__(self, badge, key=CARD_KEY, others=None):
        self.badge = badge
        self.key = key
        self.others = others or {}
        self.challenges = []
        self.released = 0

    async def exchange(self, apdu, timeout_ms=1000):
        for beginning in self.others:
            if apdu.startswith(beginning):
                if isinstance(self.others[beginning], DeviceError):
                    raise self.others[beginning]
                return self.others[beginning]
        if apdu == SELECT:
            return b"\x90\x00"
        if apdu == GET_BADGE:
            return self.badge + b"\x90\x00"
        assert apdu[:5] == INTERNAL_AUTHENTICATE + b"\x20" and len(apdu) == 38 and apdu[37] == 0
        self.challenges.append(apdu[5:37])
        return await self.key.sign(0, sha256(PROOF + apdu[5:37]).digest()) + b"\x90\x00"

    async def release_card(self):
        self.released += 1


# The PIN.


def test_the_right_pin_signs_on_and_the_acquirer_hears_of_it():
    world = World()
    refusal, who = world.run(sign_on_by_pin(world.terminal, PIN))
    assert refusal == "" and not who.has_badge
    assert world.events() == [("signed_on", "PIN")]


def test_no_digit_of_a_pin_is_kept_said_or_sent():
    world = World()
    world.try_pin("314159")
    world.try_pin(PIN)
    for file in world.flash.files.values():
        assert PIN.encode() not in bytes(file) and b"314159" not in bytes(file)
    assert not any(PIN in line or "314159" in line for line in world.terminal.lines)


def test_the_same_pin_is_kept_in_another_form_on_each_terminal():
    assert World().terminal.store.get(KEY_PIN) != World().terminal.store.get(KEY_PIN)


def test_a_pin_of_another_length_than_4_to_8_digits_is_not_taken():
    world = World(pin="")
    for digits in ("", "123", "123456789", "12a4", "12.4"):
        raises(ValueError, world.set_pin, digits)
    assert not has_pin(world.terminal.store)
    for digits in ("0000", "12345678"):
        world.set_pin(digits)
        assert world.try_pin(digits) == ""


def test_a_pin_that_was_never_set_is_not_offered_and_opens_nothing():
    world = World(pin="")
    assert not has_pin(world.terminal.store)
    for digits in ("", "0000"):
        assert world.try_pin(digits) == WAIT
    world.terminal.store.put(KEY_PIN, b"\xff rotten")
    assert not has_pin(world.terminal.store)


def test_wrong_pins_cost_a_delay_that_doubles_up_to_an_hour():
    world = World()
    delays = []
    for _ in range(13):
        assert world.try_pin("000000") == WRONG_PIN
        delays.append(wait_ms(world.terminal))
        world.time.now_ms += delays[-1]
    assert delays[:5] == [0, 0, FIRST_DELAY_MS, 2 * FIRST_DELAY_MS, 4 * FIRST_DELAY_MS]
    assert delays[9:] == [LONGEST_DELAY_MS] * 4


def test_while_the_delay_lasts_not_even_the_right_pin_is_looked_at_and_nothing_is_counted():
    world = World()
    for _ in range(3):
        world.try_pin("000000")
    world.time.now_ms += FIRST_DELAY_MS - 1
    writes = len(world.flash.writes)
    assert world.try_pin(PIN) == WAIT
    assert len(world.flash.writes) == writes
    world.time.now_ms += 1
    assert world.try_pin(PIN) == ""


def test_a_restart_does_not_shorten_the_delay():
    world = World()
    for _ in range(4):
        world.try_pin("000000")
        world.time.now_ms += wait_ms(world.terminal)
    world.try_pin("000000")
    world.time.now_ms += 100000
    for _ in range(3):
        world.restart()
        assert wait_ms(world.terminal) == 4 * FIRST_DELAY_MS
        world.time.now_ms += 60000
    assert wait_ms(world.terminal) == 4 * FIRST_DELAY_MS - 60000


def test_a_clock_that_is_not_set_or_is_set_ahead_does_not_shorten_it_either():
    for is_set in (False, True):
        world = World(is_set=is_set)
        for _ in range(3):
            world.try_pin("000000")
        world.terminal.hal.clock.set_wall(NOW_S + 10 * 86400)
        assert wait_ms(world.terminal) == FIRST_DELAY_MS


def test_the_right_pin_forgets_the_failures_before_it():
    world = World()
    for _ in range(2):
        world.try_pin("000000")
    assert world.try_pin(PIN) == ""
    assert world.terminal.store.get(KEY_TRIES) is None
    for _ in range(2):
        world.try_pin("000000")
    assert wait_ms(world.terminal) == 0


def test_a_power_cut_at_any_write_of_a_try_gains_none():
    """Whatever was shown or not: a wrong try is counted before it is compared."""
    write = 1
    while True:
        world = World()
        for _ in range(2):
            world.try_pin("000000")
        world.flash.cut(write, 0)
        try:
            world.try_pin("000000")
            break
        except PowerCut:
            pass
        world.flash.power_up()
        world.restart()
        if write == 1:  # nothing was compared
            assert wait_ms(world.terminal) == 0
        else:
            assert wait_ms(world.terminal) == FIRST_DELAY_MS
        write += 1
    assert write > 2


def test_the_count_is_on_flash_before_the_comparison():
    world = World()
    tries = world.terminal.store.get(KEY_TRIES)
    seen = []
    sleep_ms = world.terminal.hal.clock.sleep_ms

    async def sleeping(duration_ms):
        seen.append(world.terminal.store.get(KEY_TRIES))
        await sleep_ms(duration_ms)

    world.terminal.hal.clock.sleep_ms = sleeping
    world.try_pin(PIN)
    assert seen and all(record is not None and record != tries for record in seen)


def test_a_count_that_cannot_be_read_is_the_worst_one():
    world = World()
    for record in (b"\xff", encode("many"), encode([1, 2]), encode([None, 0, 0])):
        world.terminal.store.put(KEY_TRIES, record)
        assert wait_ms(world.terminal) == LONGEST_DELAY_MS
    world.time.now_ms += LONGEST_DELAY_MS
    assert world.try_pin(PIN) == ""


def test_the_acquirer_hears_of_wrong_pins_from_the_third_on():
    world = World()
    for _ in range(4):
        world.try_pin("000000")
        world.time.now_ms += wait_ms(world.terminal)
    assert world.events() == [("sign_on_refused", "PIN, 3 in a row"), ("sign_on_refused", "PIN, 4 in a row")]


# The badge.


def test_a_badge_that_proves_itself_signs_on_by_its_number():
    world = World()
    reader = BadgeReader(badge_of(world.acquirer))
    refusal, who = world.hold(reader)
    assert (refusal, who.number, who.name) == ("", NUMBER, NAME) and who.has_badge
    assert reader.released == 1
    assert world.events() == [("signed_on", "badge T-0042")]
    assert not any(NAME in line for line in world.terminal.lines)


def test_each_challenge_is_a_new_one():
    world = World()
    reader = BadgeReader(badge_of(world.acquirer))
    for _ in range(3):
        world.hold(reader)
    assert len(set(reader.challenges)) == 3


def test_a_badge_fits_into_one_answer_of_a_card():
    world = World()
    longest = badge_of(world.acquirer, issuer="a" * 20, number="9" * 16, name="陈" * 10)
    assert len(longest) <= 256


def refused_with(world, reader):
    refusal, who = world.hold(reader)
    assert who is None and reader.released == 1
    assert any(line.startswith("sign-on refused: " + refusal) for line in world.terminal.lines)
    return refusal


def test_a_copied_badge_is_refused_for_it_has_not_the_key():
    world = World()
    assert refused_with(world, BadgeReader(badge_of(world.acquirer), Key(b"another card"))) == COPIED
    assert world.events() == [("sign_on_refused", "badge, copied")]


def test_an_answer_that_was_recorded_earlier_is_refused():
    world = World()
    badge = badge_of(world.acquirer)
    reader = BadgeReader(badge)
    world.hold(reader)
    recorded = asyncio.run(CARD_KEY.sign(0, sha256(PROOF + reader.challenges[0]).digest()))
    assert refused_with(world, BadgeReader(badge, others={INTERNAL_AUTHENTICATE: recorded + b"\x90\x00"})) == COPIED


def test_an_altered_badge_is_refused():
    world = World()
    badge = badge_of(world.acquirer)
    assert refused_with(world, BadgeReader(badge.replace(NUMBER.encode(), b"T-0001"))) == ALTERED


def test_a_badge_of_another_acquirer_is_refused():
    world = World()
    assert refused_with(world, BadgeReader(badge_of(Key(b"another acquirer")))) == OTHER_ACQUIRER
    assert world.hold(BadgeReader(badge_of(world.acquirer, issuer="acq2")))[0] == OTHER_ACQUIRER


def test_an_order_of_the_acquirer_is_no_badge():
    """What it signs for a topic does not hold as a badge, whatever is in it."""
    world = World()
    assert refused_with(world, BadgeReader(badge_of(world.acquirer, aad="poi/v1/acq1/T0000001/order"))) == ALTERED


def test_an_expired_badge_is_refused_as_soon_as_the_time_is_known():
    world = World()
    assert refused_with(world, BadgeReader(badge_of(world.acquirer, expires=NOW_S))) == EXPIRED
    assert world.hold(BadgeReader(badge_of(world.acquirer, expires=NOW_S + 1)))[0] == ""
    unset = World(is_set=False)
    assert unset.hold(BadgeReader(badge_of(unset.acquirer, expires=NOW_S)))[0] == ""
    unset.terminal.hal.clock.set_wall(NOW_S)
    assert refused_with(unset, BadgeReader(badge_of(unset.acquirer, expires=NOW_S))) == EXPIRED


def test_a_revoked_badge_is_refused_and_others_are_not():
    world = World()
    key, value = revocation(world.terminal.store, NUMBER)
    world.terminal.store.put(key, value)
    assert refused_with(world, BadgeReader(badge_of(world.acquirer))) == REVOKED
    world.restart()
    assert refused_with(world, BadgeReader(badge_of(world.acquirer))) == REVOKED
    assert world.hold(BadgeReader(badge_of(world.acquirer, number="T-0043")))[0] == ""


def test_a_list_of_revoked_badges_that_cannot_be_read_lets_nobody_in():
    world = World()
    for record in (b"\xff", encode("T-0042")):
        world.terminal.store.put(KEY_REVOKED, record)
        assert world.hold(BadgeReader(badge_of(world.acquirer)))[0] == REVOKED
        raises(KeyError, revocation, world.terminal.store, "T-0099")


def test_no_revoked_badge_is_forgotten_when_the_list_is_full():
    store = World(pin="").terminal.store
    numbers = ["T-%04d" % number for number in range(MAX_REVOKED - 1)]
    store.put(KEY_REVOKED, encode(numbers))
    for _ in range(2):  # again changes nothing
        key, value = revocation(store, "T-8888")
        store.put(key, value)
    raises(KeyError, revocation, store, "T-9999")
    raises(KeyError, revocation, store, "")
    assert len(revoked_badges(store)) == MAX_REVOKED
    assert revocation(store, "T-0000")


def test_what_is_no_badge_is_refused_as_what_it_is():
    world = World()
    assert refused_with(world, BadgeReader(b"", others={SELECT: b"\x6a\x82"})) == NOT_A_BADGE
    assert world.hold(BadgeReader(b"", others={GET_BADGE: b"\x6a\x88"}))[0] == DAMAGED
    assert world.hold(BadgeReader(badge_of(world.acquirer), others={INTERNAL_AUTHENTICATE: b"\x69\x85"}))[0] == DAMAGED
    assert world.hold(BadgeReader(b""))[0] == DAMAGED
    assert world.hold(BadgeReader(b"\xd2" + bytes(100)))[0] == DAMAGED
    # Signed by the acquirer, and no badge: claims missing, of the wrong type, a key that is none.
    for payload in (
        b"\x00",
        encode({1: ACQUIRER}),
        encode({1: ACQUIRER, 2: 7, 4: NOW_S + 9, 8: {1: {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}}, -65538: NAME}),
        encode({1: ACQUIRER, 2: NUMBER, 4: NOW_S + 9, 8: {1: {1: 2, -1: 1, -2: bytes(32), -3: bytes(31)}}, -65538: NAME}),
        encode({1: ACQUIRER, 2: NUMBER, 8: {1: {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}}, -65538: NAME}),
        encode({1: ACQUIRER, 2: NUMBER, 4: NOW_S + 9, 8: 1, -65538: NAME}),
        encode({1: ACQUIRER, 2: NUMBER, 4: NOW_S + 9, 8: {1: 5}, -65538: NAME}),
        encode({1: ACQUIRER, 2: NUMBER, 4: NOW_S + 9, 8: {1: [1, bytes(32), bytes(32)]}, -65538: NAME}),
        encode({1: ACQUIRER, 2: NUMBER, 4: NOW_S + 9, 8: {1: {1: 2, -1: 1, -2: 1, -3: 2}}, -65538: NAME}),
        encode([]),
    ):
        assert world.hold(BadgeReader(badge_of(world.acquirer, payload=payload)))[0] == DAMAGED, payload


def test_trouble_with_the_card_is_told_from_a_forgery_and_not_reported():
    world = World()
    for error, refusal in (
        (DeviceError(E_EXTENDED, "card_reader", "gone", ESC_TORN, "card_torn"), CARD_FAILED),
        (DeviceError(E_TIMEOUT, "card_reader"), CARD_FAILED),
        (DeviceError(E_TIMEOUT, "card_reader", "", 0, "card_silent"), NOT_A_BADGE),
        (DeviceError(E_EXTENDED, "card_reader", "", 0, "not_a_payment_card"), NOT_A_BADGE),
    ):
        for apdu in (SELECT, GET_BADGE, INTERNAL_AUTHENTICATE):
            assert world.hold(BadgeReader(badge_of(world.acquirer), others={apdu: error}))[0] == refusal
    assert world.events() == []


def test_forged_badges_do_not_push_reports_out_of_the_outbox():
    world = World()
    reader = BadgeReader(badge_of(Key(b"another acquirer")))
    for _ in range(100):
        world.hold(reader)
    assert world.terminal.outbox.dropped == 0
    assert world.events() == [("sign_on_refused", "badge, other_acquirer")] * 2  # at once, and the sum of the others
