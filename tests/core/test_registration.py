"""Re-registration: new keys vouched for by the old one, and at any moment one identity that works, whatever the power does."""

import asyncio

from firmware_agent.identity.der import certification_request, ec_private_key
from firmware_agent.identity.identity import KEY_IDENTITY, Identity, IdentityError
from firmware_agent.identity.registration import KEY_PENDING, RegistrationError, begin, pending, renewed, writes
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.state.machine import (
    COMMISSIONING,
    FUNCTION_TESTS,
    RECOVERING,
    STEP_REGISTRATION,
    FunctionTestPassed,
    Lifted,
    Registered,
    Suspended,
)
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from firmware_agent.store import Store
from hal.errors import E_FAILURE, DeviceError
from tests.core.parts import Flash, PowerCut
from tests.core.support import raises
from tests.core.terminal_parts import ACQUIRER, TERMINAL, boot, hal_on, provisioned


def at_registration():
    """Flash of a terminal with a key in use, that has come as far as its registration."""
    flash = Flash()
    provisioned(flash)
    old_key = asyncio.run(hal_on(flash).secure_element.generate_key(0))
    terminal = boot(flash)
    terminal.apply([FunctionTestPassed(test) for test in FUNCTION_TESTS])
    terminal.apply([Suspended(Reason("violation", ACTOR_HOST, 1)), Lifted("violation")])
    assert terminal.state.mode == RECOVERING and terminal.state.step == STEP_REGISTRATION
    return flash, old_key


def applications(terminal):
    messages = [terminal.outbox.message(key) for key in terminal.outbox.waiting()]
    return [claims for claims in messages if claims.kind.name == "application"]


def credentials(application, changes=None):
    """What the acquirer answers: certificates that hold the keys applied for, as a certificate does somewhere in its middle."""
    body = {
        "application": application.number("application"),
        "certificate": b"signed: " + key_of_request(application.octets("request")) + b" for T0000001",
        "transport_certificate": b"signed: " + application.octets("transport_key"),
    }
    body.update(changes or {})
    return Claims(kind_named("credentials"), TERMINAL, 9, body, ACQUIRER)


def key_of_request(request):
    """The public key in a PKCS#10 request: behind the head of its BIT STRING, 03 42 00 04."""
    at = request.find(b"\x03\x42\x00\x04")
    assert at > 0
    return request[at + 4 : at + 68]


def accept(terminal, answer):
    """As the agent does when credentials arrive: one write, then the new identity is in use."""
    identity = asyncio.run(renewed(terminal, answer))
    terminal.apply([Registered()], [], writes(identity))
    terminal.identity = identity


def test_the_application_carries_a_request_for_the_new_key_and_the_transport_key():
    flash, old_key = at_registration()
    terminal = boot(flash)
    asyncio.run(begin(terminal))
    (application,) = applications(terminal)
    element = terminal.hal.secure_element
    new_key = asyncio.run(element.public_key(1))
    assert new_key != old_key and asyncio.run(element.public_key(0)) == old_key
    assert application.body["purpose"] == "registration" and application.body["application"] == 1
    request = application.octets("request")
    assert key_of_request(request) == new_key
    assert request == asyncio.run(certification_request(element, 1, TERMINAL))  # of a curve whose signatures repeat
    assert TERMINAL.encode() in request
    number, slot, transport_private_key, transport_public = decode(terminal.store.get(KEY_PENDING))
    assert (number, slot) == (1, 1)
    assert application.octets("transport_key") == transport_public and len(transport_public) == 64
    private = transport_private_key[transport_private_key.find(b"\x04\x20") + 2 :][:32]
    assert transport_private_key == ec_private_key(private, transport_public)
    assert terminal.identity.slot == 0  # the old identity stays until the credentials are here


def test_an_application_is_made_once_while_it_is_pending():
    flash, _ = at_registration()
    terminal = boot(flash)
    assert not pending(terminal)
    asyncio.run(begin(terminal))
    new_key = asyncio.run(terminal.hal.secure_element.public_key(1))
    for woken in (terminal, boot(flash), boot(flash)):
        asyncio.run(begin(woken))
        assert pending(woken) and len(applications(woken)) == 1
        assert asyncio.run(woken.hal.secure_element.public_key(1)) == new_key


def test_credentials_put_the_new_identity_in_use():
    flash, _ = at_registration()
    terminal = boot(flash)
    old = terminal.identity
    asyncio.run(begin(terminal))
    (application,) = applications(terminal)
    answer = credentials(application)
    accept(terminal, answer)
    assert terminal.state.mode == COMMISSIONING and not pending(terminal)
    new = boot(flash).identity
    assert new.encoded() == terminal.identity.encoded()
    assert new.slot == 1 and new.certificate == answer.body["certificate"]
    assert new.transport_certificate == answer.body["transport_certificate"]
    assert new.transport_private_key != old.transport_private_key
    for field in ("terminal", "acquirer", "authority", "acquirer_keys", "broker_host", "broker_port", "broker_name"):
        assert getattr(new, field) == getattr(old, field)


def test_the_next_registration_uses_the_other_slot_and_the_next_number():
    flash, _ = at_registration()
    terminal = boot(flash)
    for number, slot in ((1, 1), (2, 0), (3, 1)):
        asyncio.run(begin(terminal))
        application = applications(terminal)[-1]
        assert application.number("application") == number
        accept(terminal, credentials(application))
        assert terminal.identity.slot == slot
        terminal.apply([Suspended(Reason("violation", ACTOR_HOST, 1)), Lifted("violation")])


def test_credentials_that_nobody_applied_for_are_refused():
    flash, _ = at_registration()
    terminal = boot(flash)
    answer = Claims(kind_named("credentials"), TERMINAL, 9, {"application": 1, "certificate": b"x", "transport_certificate": b"y"})
    raises(RegistrationError, asyncio.run, renewed(terminal, answer))
    assert terminal.identity.slot == 0


def test_credentials_for_another_application_or_other_keys_are_refused():
    flash, old_key = at_registration()
    terminal = boot(flash)
    asyncio.run(begin(terminal))
    (application,) = applications(terminal)
    transport_key = application.octets("transport_key")
    flash.writes.clear()
    for changes in (
        {"application": 2},
        {"application": 0},
        {"certificate": b"for the old key " + old_key},
        {"certificate": b"for the transport key " + transport_key},
        {"certificate": b""},
        {"transport_certificate": b"for another key " + bytes(64)},
        {"transport_certificate": transport_key[:63]},
    ):
        raises(RegistrationError, asyncio.run, renewed(terminal, credentials(application, changes)))
    assert flash.writes == [] and pending(terminal) and terminal.identity.slot == 0
    accept(terminal, credentials(application))  # the right ones still count
    assert terminal.identity.slot == 1


def test_credentials_are_refused_a_second_time():
    flash, _ = at_registration()
    terminal = boot(flash)
    asyncio.run(begin(terminal))
    (application,) = applications(terminal)
    accept(terminal, credentials(application))
    raises(RegistrationError, asyncio.run, renewed(terminal, credentials(application)))


def test_credentials_for_a_key_that_is_gone_are_refused():
    """An error of the element instead would end the connection, and the broker would bring the message again each time."""
    flash, _ = at_registration()
    terminal = boot(flash)
    asyncio.run(begin(terminal))
    (application,) = applications(terminal)
    asyncio.run(terminal.hal.secure_element.erase(1))
    raises(RegistrationError, asyncio.run, renewed(terminal, credentials(application)))


def test_an_element_that_fails_is_not_taken_for_a_wrong_certificate():
    flash, _ = at_registration()
    terminal = boot(flash)
    asyncio.run(begin(terminal))
    (application,) = applications(terminal)

    async def fails(slot):
        raise DeviceError(E_FAILURE, "secure_element", "no answer")

    terminal.hal.secure_element.public_key = fails
    assert raises(DeviceError, asyncio.run, renewed(terminal, credentials(application))).code == E_FAILURE


def exchange(flash):
    """From the boot of a terminal at its registration to the new identity, as the agent and the acquirer do it."""
    terminal = boot(flash)
    if terminal.state.mode == RECOVERING:
        asyncio.run(begin(terminal))
        answer = credentials(applications(terminal)[-1])
        accept(terminal, answer)
    return terminal


def test_cut_off_at_any_write_one_identity_works_and_the_next_boot_goes_on():
    before, old_key = at_registration()
    whole = Flash(before.files)
    exchange(whole)
    assert len(whole.writes) >= 4
    outcomes = set()
    for write, length in enumerate(whole.writes):
        for keep_bytes in sorted({0, 1, length // 2, max(0, length - 1), length}):
            flash = Flash(before.files)
            flash.cut(write + 1, keep_bytes)
            raises(PowerCut, exchange, flash)
            flash.power_up()
            woken = boot(flash)
            identity = woken.identity
            key = asyncio.run(woken.hal.secure_element.public_key(identity.slot))
            if identity.slot == 0:
                assert key == old_key and identity.certificate == b"certificate"
                assert woken.state.registration_due and woken.state.step == STEP_REGISTRATION
            else:
                assert key in identity.certificate and not pending(woken)
                assert woken.state.mode == COMMISSIONING
            outcomes.add((identity.slot, pending(woken)))
            done = exchange(flash)
            assert done.identity.slot == 1 and done.state.mode == COMMISSIONING and not pending(done)
            key = asyncio.run(done.hal.secure_element.public_key(1))
            assert key in done.identity.certificate and key != old_key
    assert outcomes == {(0, False), (0, True), (1, False)}


def test_an_identity_that_cannot_be_read_is_an_error():
    flash = Flash()
    store = Store(flash)
    store.open()
    raises(IdentityError, Identity.load, store)
    for record in (b"", b"\xff", encode(7), encode([]), encode(["T1"]), encode(list(range(12)))):
        store.put(KEY_IDENTITY, record)
        raises(IdentityError, Identity.load, store)
    provisioned(flash)
