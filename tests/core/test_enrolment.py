"""The first enrolment: keys stay here, credentials have to fit them, and a terminal that is somebody's is not taken over."""

import asyncio

from firmware_agent.identity.enrolment import Credentials, EnrolmentError, Request, enrol, request
from firmware_agent.identity.identity import Identity
from firmware_agent.messages.cbor import encode
from firmware_agent.settings import Settings
from firmware_agent.store import Store
from tests.core.parts import Flash, PowerCut
from tests.core.support import raises
from tests.core.terminal_parts import hal_on
from tests.core.test_certificate import certificate

ACQUIRER_KEY = bytes(range(64))


def fresh():
    flash = Flash()
    store = Store(flash)
    store.open()
    return flash, hal_on(flash), store


def in_certificate(key):
    return certificate(point=b"\x00\x04" + key)


def credentials(signing_key, transport_key, **changes):
    fields = {
        "terminal": "T0000001",
        "acquirer": "acq1",
        "certificate": in_certificate(signing_key),
        "transport_certificate": in_certificate(transport_key),
        "authority": certificate(),
        "acquirer_keys": [ACQUIRER_KEY],
        "broker_host": "broker.acq1.example",
        "broker_port": 8883,
        "broker_name": "broker.acq1.example",
        "settings": {"language": "en"},
    }
    fields.update(changes)
    return Credentials(**fields).encoded()


def signing_key_of(hal):
    return asyncio.run(hal.secure_element.public_key(0))


def asked(hal, store):
    return Request.decoded(asyncio.run(request(hal, store)))


def refusal(hal, store, data):
    error = raises(EnrolmentError, asyncio.run, enrol(hal, store, data))
    assert store.get("identity") is None
    return str(error)


def test_a_terminal_asks_and_is_enrolled():
    flash, hal, store = fresh()
    question = asked(hal, store)
    assert (question.hardware_id, question.board) == (hal.hardware_id, hal.board)
    assert signing_key_of(hal) in question.request and b"hardware-1" in question.request
    asyncio.run(enrol(hal, store, credentials(signing_key_of(hal), question.transport_key)))
    store = Store(flash)
    store.open()
    identity = Identity.load(store)
    assert (identity.terminal, identity.acquirer, identity.slot) == ("T0000001", "acq1", 0)
    assert (identity.broker_host, identity.broker_port, identity.broker_name) == ("broker.acq1.example", 8883, "broker.acq1.example")
    assert identity.acquirer_keys == [ACQUIRER_KEY]
    assert Settings(store).language == "en"
    assert store.get("enrolment") is None


def test_credentials_for_other_keys_are_refused():
    _, hal, store = fresh()
    transport_key = asked(hal, store).transport_key
    other = bytes(64)
    assert "signing key" in refusal(hal, store, credentials(other, transport_key))
    assert "key for TLS" in refusal(hal, store, credentials(signing_key_of(hal), other))
    assert "cannot be read" in refusal(hal, store, credentials(other, transport_key, certificate=b"none"))


def test_an_answer_to_an_earlier_request_is_refused():
    _, hal, store = fresh()
    first = asked(hal, store)
    answer = credentials(signing_key_of(hal), first.transport_key)
    asked(hal, store)
    assert "asked for again" in refusal(hal, store, answer)


def test_who_is_enrolled_is_not_enrolled_again():
    _, hal, store = fresh()
    transport_key = asked(hal, store).transport_key
    answer = credentials(signing_key_of(hal), transport_key)
    asyncio.run(enrol(hal, store, answer))
    key = signing_key_of(hal)
    assert "already" in str(raises(EnrolmentError, asyncio.run, enrol(hal, store, answer)))
    assert "already" in str(raises(EnrolmentError, asyncio.run, request(hal, store)))
    assert signing_key_of(hal) == key


def test_who_has_not_asked_takes_no_credentials():
    _, hal, store = fresh()
    assert "not asked" in refusal(hal, store, credentials(bytes(64), bytes(64)))


def test_what_is_no_request_and_no_credentials_is_said_to_be_none():
    _, hal, store = fresh()
    asked(hal, store)
    for data in (b"", b"\xff", encode([1]), encode([2, "a", "b", b"c", b"d"]), encode([1, b"a", "b", b"c", b"d"]), encode({}), bytes(9000)):
        assert "not a request" in str(raises(EnrolmentError, Request.decoded, data))
        assert "not credentials" in refusal(hal, store, data)
    keys = (bytes(64), bytes(64))
    assert "no key" in refusal(hal, store, credentials(*keys, acquirer_keys=[]))
    assert "no key" in refusal(hal, store, credentials(*keys, acquirer_keys=[b"short"]))
    assert "setting" in refusal(hal, store, credentials(*keys, settings={"colour": "blue"}))
    assert "setting" in refusal(hal, store, credentials(*keys, settings={"language": 1}))


def test_a_power_cut_leaves_a_terminal_that_is_not_enrolled_or_one_that_is():
    enrolled = []
    for keep_bytes in (0, 1, 40, 400, 100000):
        flash, hal, store = fresh()
        transport_key = asked(hal, store).transport_key
        flash.cut(1, keep_bytes)
        raises(PowerCut, asyncio.run, enrol(hal, store, credentials(signing_key_of(hal), transport_key)))
        flash.power_up()
        store = Store(flash)
        store.open()
        enrolled.append(store.get("identity") is not None)
        if not enrolled[-1]:
            asyncio.run(enrol(hal, store, credentials(signing_key_of(hal), transport_key)))
    assert enrolled[0] is False and enrolled[-1] is True
