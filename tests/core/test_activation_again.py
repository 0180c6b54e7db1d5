"""A terminal that has a name is activated again: the present identity is in use until the new one is there, whatever the power does."""

import asyncio

from firmware_agent.identity.activation import Activation, ActivationError
from firmware_agent.identity.enrolment import KEY_ENROLMENT
from firmware_agent.identity.identity import KEY_FACTORY, KEY_IDENTITY, Identity
from firmware_agent.identity.registration import KEY_PENDING
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import key_id, parse
from firmware_agent.messages.schema import Claims
from firmware_agent.store import Store
from firmware_agent.terminal import KEY_STATE
from tests.core.parts import PowerCut
from tests.core.support import raises, raises_in
from tests.core.terminal_parts import identity
from tests.core.test_activation import CODE, World


class Named(World):
    """The device is T0000001 already, with a key in slot 0."""

    terminal = "T0000001"

    def boot(self):
        super().boot()
        if self.store.get(KEY_IDENTITY) is None:
            asyncio.run(self.hal.secure_element.generate_key(0))
            self.store.put(KEY_IDENTITY, identity().changed(terminal=self.terminal).encoded())
        self.renew()

    def renew(self):
        self.present = Identity.load(self.store)
        factory = Identity.load(self.store, KEY_FACTORY)
        self.activation = Activation(self.hal, self.store, factory, self.make_link, self.lines.append, self.present)

    async def make_link(self, identity):
        link = await super().make_link(identity)
        self.acquirer.device_key = await self.hal.secure_element.public_key(decode(self.store.get(KEY_ENROLMENT))[0])
        return link

    def refused(self):
        error = self.time.run(raises_in(ActivationError, self.activation.ask(CODE)))
        assert Identity.load(self.store).encoded() == self.present.encoded()
        return error.code

    def key(self, slot):
        return asyncio.run(self.hal.secure_element.public_key(slot))


def test_the_right_code_gives_new_keys_under_the_same_name_and_leaves_the_rest_as_it_is():
    world = Named("good")
    world.store.put(KEY_STATE, b"as it was")
    world.store.put(KEY_PENDING, b"a renewal that has no answer yet")
    old = world.key(0)
    new = world.ask()
    assert (new.terminal, new.slot, new.authority) == ("T0000001", 1, b"authority 2")
    assert Identity.load(world.store).encoded() == new.encoded() and world.key(1) in new.certificate
    assert world.store.get(KEY_STATE) == b"as it was"
    assert [world.store.get(key) for key in (KEY_PENDING, KEY_ENROLMENT)] == [None, None]
    claims = Claims.from_map(decode(parse(world.acquirer.heard[0]).payload))
    assert claims.octets("former") == key_id(old) and parse(world.acquirer.heard[0]).kid == key_id(world.key(1))
    assert world.key(0) == old


def test_and_once_more_the_other_slot_is_used():
    world = Named("good", "good")
    world.ask()
    world.renew()
    world.time.now_ms += 1000
    assert world.ask().slot == 0


def test_what_comes_to_nothing_leaves_the_present_identity():
    for word, code in (("wrong_code", "wrong_code"), ("silent", "no_answer"), ("bad_key", "bad_answer"), ("bad_acquirer", "bad_answer")):
        assert Named(word).refused() == code


def test_a_code_for_another_terminals_number_is_not_taken():
    class Other(Named):
        terminal = "T0000002"

    assert Other("good").refused() == "bad_answer"


def test_who_asks_again_in_the_same_boot_asks_anew():
    world = Named("silent", "silent")
    world.refused()
    world.renew()  # the page was left, and opened again
    world.refused()
    first, second = [Claims.from_map(decode(parse(message).payload)).sequence for message in world.acquirer.heard]
    assert second > first


def test_keys_that_waited_in_the_slot_that_is_in_use_now_are_not_asked_for():
    world = Named("good")
    world.store.put(KEY_ENROLMENT, encode([0, b"private", bytes(64)]))
    assert world.ask().slot == 1


def test_a_power_cut_at_any_write_leaves_one_identity_or_the_other_and_each_works():
    writes = Named("good")
    before = len(writes.flash.writes)
    writes.ask()
    count = len(writes.flash.writes) - before
    for write in range(1, count + 1):
        for keep_bytes in (0, 3, 100000):
            world = Named("good", "good")
            old = world.present.encoded()
            world.flash.cut(write, keep_bytes)
            raises(PowerCut, world.ask)
            world.flash.power_up()
            world.boot()
            if world.present.encoded() == old:
                assert world.present.slot == 0 and world.key(0)
                world.acquirer.script = ["good"]
                world.ask()
                world.renew()
            assert world.present.slot == 1 and world.key(1) in world.present.certificate
            store = Store(world.flash)
            store.open()
            assert Identity.load(store, KEY_FACTORY).terminal == "hardware-1"
