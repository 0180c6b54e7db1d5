"""Another device takes this one's place: the old identity is whole until it is gone, and what was begun is brought to its end."""

import asyncio

from firmware_agent.identity.identity import KEY_FACTORY, KEY_IDENTITY, KEY_REPLACEMENT, Identity
from firmware_agent.identity.replacement import ERASING, GONE, LEAVING, STAYS, finish, forget, stage
from firmware_agent.identity.technician import KEY_PIN
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id
from firmware_agent.messages.outbox import KEY_BOOT_COUNT
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.orders import OrderError, effect_of
from firmware_agent.settings import Settings
from firmware_agent.store import Store, StoreError
from firmware_agent.terminal import KEY_STATE
from hal.errors import E_NOEXIST, DeviceError
from tests.core.parts import Flash, PowerCut
from tests.core.support import raises, raises_in
from tests.core.terminal_parts import boot, hal_on, identity, provisioned


def at_work():
    """(flash, terminal) of a device with a key, a factory record, a PIN, settings, and something to say."""
    flash = Flash()
    provisioned(flash)
    asyncio.run(hal_on(flash).secure_element.generate_key(0))
    store = Store(flash)
    store.open()
    store.put(KEY_FACTORY, identity().encoded())
    store.put(KEY_PIN, b"a technician's")
    for name, value in (("ssid", "shop"), ("service_line", "95516")):
        Settings(store).set(name, value)
    terminal = boot(flash)
    terminal.send("event", {"name": "store_damaged"})
    return flash, terminal


def order(terminal, key):
    claims = Claims(kind_named("order"), terminal.identity.terminal, 9, {"action": "replace", "key_id": key}, issuer="acq1")
    return asyncio.run(effect_of(terminal, claims))


def own_key(terminal):
    return key_id(asyncio.run(terminal.hal.secure_element.public_key(terminal.identity.slot)))


def reopened(flash):
    store = Store(flash)
    store.open()
    return store


def erased(store, flash):
    """The device after a boot, brought to the end."""
    element = hal_on(flash).secure_element
    asyncio.run(finish(store, element))
    return element


def test_the_order_for_this_devices_key_is_kept_and_erases_nothing_yet():
    flash, terminal = at_work()
    effect = order(terminal, own_key(terminal))
    assert effect.changes == [(KEY_REPLACEMENT, encode(LEAVING))]
    terminal.apply(effect.events, effect.messages, effect.changes)
    store = reopened(flash)
    assert stage(store) == LEAVING and Identity.load(store).terminal == "T0000001"


def test_the_order_for_another_devices_key_is_refused():
    _, terminal = at_work()
    for key in (b"", b"\x01" * 8, own_key(terminal)[:7]):
        error = raises(OrderError, order, terminal, key)
        assert error.code == "wrong_terminal"
    assert stage(terminal.store) == 0


def test_what_is_left_is_the_factorys_record_the_count_of_starts_and_the_network():
    flash, terminal = at_work()
    forget(terminal.store)
    store = reopened(flash)
    assert stage(store) == ERASING
    assert [key for key in store.keys() if key not in STAYS] == [KEY_REPLACEMENT]
    assert store.get(KEY_FACTORY) is not None and store.get(KEY_BOOT_COUNT) == encode(1)
    assert Settings(store).get("ssid") == "shop" and Settings(store).get("service_line") == ""
    assert [store.get(key) for key in (KEY_IDENTITY, KEY_STATE, KEY_PIN)] == [None] * 3


def test_afterwards_no_slot_has_a_key_and_no_file_the_private_key_for_tls():
    flash, terminal = at_work()
    old = b"transport key"
    assert any(old in bytes(data) for data in flash.files.values())
    store = terminal.store
    store.put(KEY_FACTORY, b"without")  # the same bytes are in the factory record of this test
    forget(store)
    element = erased(store, flash)
    assert stage(store) == GONE
    for slot in (0, 1):
        assert asyncio.run(raises_in(DeviceError, element.public_key(slot))).code == E_NOEXIST
    assert not any(old in bytes(data) for data in flash.files.values())
    writes = len(flash.writes)
    asyncio.run(finish(store, element))
    assert len(flash.writes) == writes  # once


def test_a_store_that_refuses_leaves_the_identity_whole():
    flash, terminal = at_work()
    flash.broken = True
    raises(StoreError, forget, terminal.store)
    flash.broken = False
    assert Identity.load(reopened(flash)).terminal == "T0000001"


def test_a_record_that_cannot_be_read_is_brought_to_its_end():
    _, terminal = at_work()
    for record in (b"", b"\xff", encode(0), encode(7), encode("x")):
        terminal.store.put(KEY_REPLACEMENT, record)
        assert stage(terminal.store) == LEAVING


def test_a_power_cut_at_any_write_leaves_the_old_identity_whole_or_none():
    def replaced(flash, terminal):
        forget(terminal.store)
        asyncio.run(finish(terminal.store, terminal.hal.secure_element))

    flash, terminal = at_work()
    before = len(flash.writes)
    replaced(flash, terminal)
    count = len(flash.writes) - before
    assert count >= 4
    kept = 0
    for write in range(1, count + 1):
        for keep_bytes in (0, 2, 100000):
            flash, terminal = at_work()
            flash.cut(write, keep_bytes)
            raises(PowerCut, replaced, flash, terminal)
            flash.power_up()
            store = reopened(flash)
            if store.get(KEY_IDENTITY) is not None:
                assert Identity.load(store).encoded() == identity().encoded()
                assert asyncio.run(hal_on(flash).secure_element.public_key(0))  # it can still sign
                assert store.get(KEY_PIN) is not None
                kept += 1
                continue
            element = erased(store, flash)
            assert stage(store) == GONE and store.get(KEY_FACTORY) is not None
            assert asyncio.run(raises_in(DeviceError, element.public_key(0))).code == E_NOEXIST
    assert 0 < kept < 3
