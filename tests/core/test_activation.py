"""A device from the factory asks for its name with a code: what it says and believes, what a try costs, what a power cut leaves."""

import asyncio

from firmware_agent.identity.activation import (
    ANSWER_TIMEOUT_MS,
    REFUSALS,
    Activation,
    ActivationError,
    check_digit,
    is_code,
)
from firmware_agent.identity.enrolment import KEY_ENROLMENT, Credentials
from firmware_agent.identity.identity import KEY_FACTORY, KEY_IDENTITY, KEY_REPLACEMENT, Identity
from firmware_agent.identity.tries import FIRST_DELAY_MS, KEY_ACTIVATION
from firmware_agent.links.link import CAUSE_AUTHORITY, CAUSE_DATE, LinkError, Message
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import key_id, parse, sign, verify
from firmware_agent.messages.schema import Claims, kind_named, topic
from firmware_agent.messages.timekeeper import STEPS
from firmware_agent.settings import Settings
from firmware_agent.store import Store
from firmware_agent.terminal import KEY_HIGHEST, KEY_SUPPOSED, KEY_WALL, Terminal
from hal.clock import TRUST_NONE, TRUST_SET
from hal.drivers.software_key import SoftwareKey
from tests.core.certificates import certificate_for
from tests.core.parts import NOW_S, Flash, PowerCut, QuickCurve, Time, enabled
from tests.core.support import raises, raises_in
from tests.core.terminal_parts import hal_on

CODE = "12345678901" + check_digit("12345678901")
DEVICE = "hardware-1"
ACQUIRER = "acq1"
UP = topic(ACQUIRER, DEVICE, "activation")
SEQUENCE = 7  # of the answer, among the terminal's
SEALING_KEY = bytes(range(64))


class Acquirer:
    """Answers as `script` says, one word for each activation: 'good', 'silent', one of the refusals, or what is wrong with the answer."""

    def __init__(self, *script):
        self.element = enabled(SoftwareKey(Flash(), QuickCurve()))
        self.key = asyncio.run(self.element.generate_key(0))
        self.script = list(script)
        self.heard = []

    async def answers(self, message):
        self.heard.append(message)
        word = self.script.pop(0)
        claims = Claims.from_map(decode(parse(message).payload))
        if word == "silent":
            return []
        if word == "late":
            return [await self.signed("status", {"application": claims.sequence - 1, "status": "used"})]
        if word == "good" or word.startswith("bad"):
            return [await self.credentials(claims, word)]
        if word == "forged":
            return [await self.other.signed("status", {"application": claims.sequence, "status": "used"})]
        if word == "old":
            return [await self.signed("status", {"application": claims.sequence, "status": "used"}, expires=NOW_S - 1)]
        if word == "moved":
            where, status = await self.signed("status", {"application": claims.sequence, "status": "used"}, "hardware-2")
            return [(topic(ACQUIRER, DEVICE, "status"), status)]
        return [await self.signed("status", {"application": claims.sequence, "status": word})]

    async def credentials(self, claims, word):
        public = SEALING_KEY if word == "bad_key" else self.device_key
        transport = SEALING_KEY if word == "bad_transport" else claims.octets("transport_key")
        name = "acq2" if word == "bad_acquirer" else ACQUIRER
        granted = Credentials(
            "T0000001", name, b"", b"", b"authority 2", [self.key], "broker", 8883, "broker", {"language": "en"}, SEALING_KEY
        )
        fields = {
            "application": claims.sequence,
            "certificate": certificate_for(public),
            "transport_certificate": certificate_for(transport),
            "grant": b"none" if word == "bad_grant" else granted.encoded(),
        }
        return await self.signed("credentials", fields)

    async def signed(self, kind, fields, device=DEVICE, expires=NOW_S + 600):
        where = topic(ACQUIRER, device, kind)
        claims = Claims(kind_named(kind), device, SEQUENCE, fields, issuer=ACQUIRER, issued_at=NOW_S + 60, expires=expires)
        return where, await sign(self.element, 0, key_id(self.key), encode(claims.to_map()), where)


class Link:
    """To an acquirer, or to nobody: `fails` names the call that does not work."""

    def __init__(self, acquirer, fails="", is_valid=lambda: True, cause=CAUSE_DATE):
        self._acquirer = acquirer
        self._fails = fails
        self._is_valid = is_valid
        self._cause = cause
        self._inbox = []
        self._news = asyncio.Event()
        self.subscribed = []
        self.acknowledged = 0

    def _try(self, call):
        if self._fails == call:
            raise LinkError("E_OFFLINE", "lost")

    async def connect(self, timeout_ms, will=None):
        self._try("connect")
        if not self._is_valid():
            raise LinkError("E_TLS", "not valid", self._cause)
        assert will is None
        return False

    async def subscribe(self, where, timeout_ms):
        self._try("subscribe")
        self.subscribed.append(where)

    async def publish(self, where, payload, retain, timeout_ms):
        assert where == UP and not retain
        self._try("publish")
        for answer in await self._acquirer.answers(payload):
            assert answer[0] in self.subscribed
            self._inbox.append(Message(answer[0], answer[1], False, False, 0))
        self._news.set()

    async def receive(self):
        while not self._inbox:
            self._news.clear()
            await self._news.wait()
        return self._inbox.pop(0)

    async def acknowledge(self, message):
        self.acknowledged += 1

    async def disconnect(self):
        pass


class World:
    """A device from the factory, and its acquirer. valid: from when to when the broker's certificate is; cause: of a failure for that."""

    valid = (0, 2**40)
    cause = CAUSE_DATE

    def __init__(self, *script, fails=""):
        self.acquirer = Acquirer(*script)
        self.fails = fails
        self.flash = Flash()
        factory = Identity(
            DEVICE,
            ACQUIRER,
            0,
            b"",
            b"factory certificate",
            b"factory key",
            b"authority",
            [self.acquirer.key],
            "factory",
            8883,
            "factory",
            SEALING_KEY,
        )
        store = Store(self.flash)
        store.open()
        store.put(KEY_FACTORY, factory.encoded())
        self.boot()

    def boot(self):
        self.time = Time()
        self.hal = hal_on(self.flash, self.time)
        self.store = Store(self.flash)
        self.store.open()
        Terminal.count_boot(self.store)
        self.lines = []
        self.links = []
        self.activation = Activation(self.hal, self.store, Identity.load(self.store, KEY_FACTORY), self.make_link, self.lines.append)

    async def make_link(self, identity):
        assert identity.transport_certificate == b"factory certificate"
        return await self.make_link_any(identity)

    async def make_link_any(self, identity):
        if self.store.get(KEY_ENROLMENT) is not None:
            self.acquirer.device_key = await self.hal.secure_element.public_key(0)
        self.links.append(Link(self.acquirer, self.fails, self.is_valid, self.cause))
        return self.links[-1]

    def is_valid(self):
        """Whether a certificate of the broker's is valid by the clock."""
        return self.valid[0] <= self.hal.clock.certificate_s() < self.valid[1]

    def ask(self, code=CODE):
        return self.time.run(self.activation.ask(code))

    def failure(self, code=CODE):
        """Why it came to nothing."""
        error = self.time.run(raises_in(ActivationError, self.activation.ask(code)))
        assert self.store.get(KEY_IDENTITY) is None
        assert code not in str(error) + " ".join(self.lines)
        return error.code

    def wait(self):
        self.time.now_ms += self.activation.tries.wait_ms()


def test_a_slip_of_one_digit_or_two_neighbours_swapped_is_no_code():
    assert check_digit("572") == "4"  # Damm's own example
    assert is_code(CODE)
    for place in range(len(CODE)):
        for digit in "0123456789":
            if digit != CODE[place]:
                assert not is_code(CODE[:place] + digit + CODE[place + 1 :])
    for place in range(len(CODE) - 1):
        swapped = CODE[:place] + CODE[place + 1] + CODE[place] + CODE[place + 2 :]
        assert swapped == CODE or not is_code(swapped)
    for code in ("", CODE[:-1], CODE + "0", "x" * 12, CODE[:-1] + "x"):
        assert not is_code(code)


def test_the_right_code_gives_the_device_its_name():
    world = World("good")
    world.store.put(KEY_REPLACEMENT, encode(3))
    identity = world.ask()
    assert (identity.terminal, identity.authority, identity.broker_host) == ("T0000001", b"authority 2", "broker")
    store = Store(world.flash)
    store.open()
    assert Identity.load(store).encoded() == identity.encoded()
    assert Identity.load(store, KEY_FACTORY).terminal == DEVICE
    assert Settings(store).language == "en"
    assert decode(store.get(KEY_HIGHEST)) == SEQUENCE  # what was said to the device before it is not heard
    assert decode(store.get(KEY_WALL)) == NOW_S + 60 and world.hal.clock.wall_s() == NOW_S + 60
    assert [store.get(key) for key in (KEY_ENROLMENT, KEY_ACTIVATION, KEY_REPLACEMENT)] == [None] * 3
    assert world.links[0].acknowledged == 1


def test_what_it_says_is_signed_by_the_key_it_asks_for_and_shows_the_code_to_nobody():
    world = World("good")
    world.ask()
    (message,) = world.acquirer.heard
    envelope = parse(message)
    key = asyncio.run(world.hal.secure_element.public_key(0))
    assert envelope.kid == key_id(key) and asyncio.run(verify(world.hal.secure_element, envelope, key, UP))
    assert not asyncio.run(verify(world.hal.secure_element, envelope, key, topic(ACQUIRER, "hardware-2", "activation")))
    claims = Claims.from_map(decode(envelope.payload))
    assert claims.subject == DEVICE and claims.boot_count == 1 and claims.sequence == 100000001
    assert key in claims.octets("request") and claims.body["board"] == "test_board" and claims.body["element"] is False
    assert CODE.encode() not in message and len(claims.octets("sealed")) > 100


def test_a_slip_costs_no_try_and_asks_nobody():
    world = World()
    for _ in range(5):
        assert world.failure(CODE[:-1] + str((int(CODE[-1]) + 1) % 10)) == "mistyped"
    assert world.activation.tries.failures == 0 and not world.links


def test_each_refusal_is_told_by_its_word_and_one_that_is_new_as_not_possible():
    world = World(*(REFUSALS + ("on_holiday",)))
    told = []
    for _ in range(len(REFUSALS) + 1):
        told.append(world.failure())
        world.wait()
    assert told == list(REFUSALS) + ["not_possible"]


def test_wrong_codes_cost_a_delay_that_grows_and_outlives_a_restart():
    world = World(*["wrong_code"] * 6)
    delays = []
    for _ in range(5):
        assert world.failure() == "wrong_code"
        delays.append(world.activation.tries.wait_ms())
        world.wait()
    assert delays == [0, 0, FIRST_DELAY_MS, 2 * FIRST_DELAY_MS, 4 * FIRST_DELAY_MS]
    world.boot()
    assert world.activation.tries.wait_ms() == 4 * FIRST_DELAY_MS
    assert world.failure() == "too_many_tries" and not world.links  # nobody is asked
    world.wait()
    assert world.failure() == "wrong_code"
    assert world.activation.tries.wait_ms() == 8 * FIRST_DELAY_MS


def test_a_right_code_after_wrong_ones_is_right():
    world = World("wrong_code", "wrong_code", "good")
    world.failure()
    world.failure()
    assert world.ask().terminal == "T0000001"
    assert world.store.get(KEY_ACTIVATION) is None


def test_what_never_reached_the_acquirer_costs_no_try():
    for fails in ("connect", "subscribe"):
        world = World(fails=fails)
        assert world.failure() == "no_connection"
        assert world.activation.tries.failures == 0
    world = World()

    class Off:
        def is_connected(self):
            return False

    world.hal.network = Off()
    assert world.failure() == "no_network" and not world.links


def test_a_try_is_counted_before_the_acquirer_can_see_it():
    world = World(fails="publish")
    assert world.failure() == "no_answer"
    assert world.activation.tries.failures == 1


def test_without_an_answer_it_is_a_try_and_may_be_made_again_with_the_same_key():
    world = World("silent", "good")
    begun_ms = world.time.now_ms
    assert world.failure() == "no_answer"
    assert world.time.now_ms - begun_ms == ANSWER_TIMEOUT_MS and world.activation.tries.failures == 1
    world.boot()
    world.ask()
    first, second = [Claims.from_map(decode(parse(message).payload)) for message in world.acquirer.heard]
    assert parse(world.acquirer.heard[0]).kid == parse(world.acquirer.heard[1]).kid
    assert first.octets("transport_key") == second.octets("transport_key")
    assert second.sequence > first.sequence


def test_answers_of_others_and_to_others_are_passed_over():
    for word in ("forged", "moved", "late", "old"):
        world = World(word)
        world.acquirer.other = Acquirer()
        world.hal.clock.set_wall(NOW_S, True)
        assert world.failure() == "no_answer"
        assert [line for line in world.lines if line.startswith(("refused", "ignored"))], word


YEARS_S = 4 * 366 * 86400


def ahead(world, by_s=YEARS_S):
    """Its battery-backed clock is; and the factory's certificate was made 100 days ago."""
    world.hal.clock._count_from(NOW_S + by_s)
    world.activation.factory.transport_certificate = certificate_for(bytes(64), b"260814000000Z")
    world.activation._make_link = world.make_link_any
    return world


def test_a_clock_that_is_years_ahead_is_set_right_by_the_answer():
    world = ahead(World("good"))
    assert world.hal.clock.trust == TRUST_SET and not world.hal.clock.is_signed
    assert world.ask().terminal == "T0000001"
    assert world.hal.clock.wall_s() == NOW_S + 60 and world.hal.clock.is_signed
    assert decode(world.store.get(KEY_WALL)) == NOW_S + 60


def test_a_clock_that_is_years_ahead_hears_a_refusal_too():
    assert ahead(World("wrong_code")).failure() == "wrong_code"


def test_an_answer_that_has_expired_by_a_time_that_was_signed_is_passed_over():
    world = ahead(World("good"))
    world.hal.clock.set_wall(NOW_S + YEARS_S, True)
    assert world.failure() == "no_answer"
    assert "refused: expired" in " ".join(world.lines)


def test_where_no_connection_is_let_in_for_a_date_other_times_are_supposed_and_cost_no_try():
    for by_s, valid in (
        (YEARS_S, (NOW_S - 86400, NOW_S + 86400 * 40)),  # the clock is ahead
        (-3 * 86400 * 30, (NOW_S - 86400, NOW_S + 86400 * 40)),  # it is behind, as after a year in a store room
    ):
        world = ahead(World("good"), by_s)
        world.valid = valid
        assert world.ask().terminal == "T0000001"
        assert 2 < len(world.links) < 10 and len(world.acquirer.heard) == 1
        assert world.hal.clock.certificate_s() == NOW_S + 60


def test_where_no_time_helps_it_is_said_and_the_clock_counts_again():
    world = ahead(World())
    world.valid = (0, 0)
    assert world.failure() == "no_connection"
    assert len(world.links) == STEPS + 1 and world.activation.tries.failures == 0
    assert world.hal.clock.certificate_s() == world.hal.clock.wall_s()


def test_a_clock_that_woke_with_what_was_only_supposed_is_not_believed():
    world = ahead(World())
    world.valid = (0, 0)
    world.failure()
    assert world.store.get(KEY_SUPPOSED) is not None
    world.boot()
    assert world.hal.clock.trust == TRUST_NONE
    world.valid = (0, 2**40)
    world.acquirer.script = ["good"]
    world.ask()
    assert world.store.get(KEY_SUPPOSED) is None and world.hal.clock.trust == TRUST_SET


def test_no_other_time_is_supposed_where_the_date_is_not_the_cause_or_the_time_was_signed():
    world = ahead(World())
    world.valid, world.cause = (0, 0), CAUSE_AUTHORITY
    assert world.failure() == "no_connection" and len(world.links) == 1
    world = ahead(World())
    world.valid = (0, 0)
    world.hal.clock.set_wall(NOW_S, True)
    assert world.failure() == "no_connection" and len(world.links) == 1


def test_credentials_that_do_not_fit_change_nothing():
    for word in ("bad_key", "bad_transport", "bad_acquirer", "bad_grant"):
        world = World(word, "good")
        assert world.failure() == "bad_answer", word
        assert world.ask().terminal == "T0000001"


def test_without_a_sealing_key_no_code_leaves_the_device():
    world = World("good")
    world.activation.factory.sealing_key = b""
    assert world.failure() == "not_possible"
    assert not world.acquirer.heard


def test_a_power_cut_at_any_write_leaves_the_factory_record_and_no_identity_or_a_whole_one():
    writes = World("good")
    before = len(writes.flash.writes)
    writes.ask()
    count = len(writes.flash.writes) - before
    assert count >= 4
    for write in range(1, count + 1):
        for keep_bytes in (0, 3, 100000):
            world = World("good", "good")
            world.flash.cut(write, keep_bytes)
            raises(PowerCut, world.ask)
            world.flash.power_up()
            world.boot()
            assert Identity.load(world.store, KEY_FACTORY).terminal == DEVICE
            if world.store.get(KEY_IDENTITY) is None:
                assert not (write == count and keep_bytes == 100000)
                world.acquirer.script = ["good"]
                world.ask()
            assert Identity.load(world.store).terminal == "T0000001"
            key = asyncio.run(world.hal.secure_element.public_key(0))
            assert key in Identity.load(world.store).certificate
