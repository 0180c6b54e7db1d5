"""New keys vouched for by the old one, in time or when due; and at any moment one identity that works, whatever power and answers do."""

import asyncio

from firmware_agent.identity.der import certification_request, ec_private_key
from firmware_agent.identity.identity import KEY_IDENTITY, Identity, IdentityError
from firmware_agent.identity.registration import (
    ASK_AGAIN_S,
    KEY_PENDING,
    REGISTRATION,
    RENEWAL,
    Pending,
    RegistrationError,
    Renewals,
    begin,
    ordered,
    renew_at_s,
    renewed,
)
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.orders import effect_of
from firmware_agent.state.machine import (
    COMMISSIONING,
    FUNCTION_TESTS,
    IN_SERVICE,
    RECOVERING,
    STEP_REGISTRATION,
    FunctionTestPassed,
    Lifted,
    Suspended,
)
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from firmware_agent.store import Store
from hal.errors import E_FAILURE, DeviceError
from tests.core.certificates import certificate_for
from tests.core.parts import NOW_S, Flash, PowerCut
from tests.core.support import raises
from tests.core.terminal_parts import ACQUIRER, TERMINAL, boot, hal_on, identity, provisioned


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


def pending(terminal):
    return Pending.load(terminal.store) is not None


def look(terminal):
    asyncio.run(Renewals(terminal).look())


def credentials(application, changes=None):
    """What the acquirer answers: certificates for the keys applied for."""
    body = {
        "application": application.number("application"),
        "certificate": certificate_for(key_of_request(application.octets("request"))),
        "transport_certificate": certificate_for(application.octets("transport_key")),
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
    effect = asyncio.run(effect_of(terminal, answer))
    terminal.apply(effect.events, effect.messages, effect.changes)
    terminal.identity = effect.identity


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
    kept = Pending.load(terminal.store)
    assert (kept.number, kept.purpose, kept.slot, kept.asked_s) == (1, REGISTRATION, 1, NOW_S)
    assert application.octets("transport_key") == kept.transport_public and len(kept.transport_public) == 64
    private = kept.transport_private_key[kept.transport_private_key.find(b"\x04\x20") + 2 :][:32]
    assert kept.transport_private_key == ec_private_key(private, kept.transport_public)
    assert terminal.identity.slot == 0  # the old identity stays until the credentials are here


def test_an_application_is_made_once_while_it_is_pending():
    flash, _ = at_registration()
    terminal = boot(flash)
    assert not pending(terminal)
    asyncio.run(begin(terminal))
    new_key = asyncio.run(terminal.hal.secure_element.public_key(1))
    for woken in (terminal, boot(flash), boot(flash)):
        look(woken)
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
        {"certificate": certificate_for(old_key)},
        {"certificate": certificate_for(transport_key)},
        {"certificate": b""},
        {"certificate": key_of_request(application.octets("request"))},  # the key alone, and no certificate
        {"certificate": certificate_for(key_of_request(application.octets("request")))[:-90]},
        {"transport_certificate": certificate_for(bytes(64))},
        {"transport_certificate": certificate_for(transport_key, b"261122000001Z")},  # from in a second on
        {"transport_certificate": certificate_for(transport_key, b"251122000000Z", b"261122000000Z")},  # ends now
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
        look(terminal)
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


# Renewal, in service.

DAY_S = 86400
LIFE = (b"261023000000Z", b"270121000000Z")  # 90 days, of which 60 are over 30 days from NOW_S on
RENEW_AT_S = NOW_S + 30 * DAY_S


def in_service():
    """Flash of a terminal in service with keys and certificates of LIFE, and its key."""
    flash = Flash()
    provisioned(flash)
    key = asyncio.run(hal_on(flash).secure_element.generate_key(0))
    terminal = boot(flash)
    certified = identity().changed(certificate=certificate_for(key, *LIFE), transport_certificate=certificate_for(bytes(64), *LIFE))
    terminal.apply([FunctionTestPassed(test) for test in FUNCTION_TESTS], [], [(KEY_IDENTITY, certified.encoded())])
    return flash, key


def boot_at(flash, wall_s, is_set=True):
    terminal = boot(flash, is_set=is_set)
    if is_set:
        terminal.hal.clock.set_wall(wall_s)
    terminal.online = True
    return terminal


def new_certificates(application):
    """That are not due for renewal for a long time."""
    return credentials(application)


def test_certificates_are_renewed_when_a_third_of_their_life_is_left_and_service_goes_on():
    flash, old_key = in_service()
    terminal = boot_at(flash, RENEW_AT_S - 1)
    assert renew_at_s(terminal.identity) == RENEW_AT_S
    look(terminal)
    assert applications(terminal) == []
    terminal.hal.clock.set_wall(RENEW_AT_S)
    look(terminal)
    (application,) = applications(terminal)
    assert application.text("purpose") == RENEWAL and terminal.state.mode == IN_SERVICE
    assert key_of_request(application.octets("request")) != old_key and terminal.identity.slot == 0
    accept(terminal, new_certificates(application))
    assert terminal.identity.slot == 1 and terminal.state.mode == IN_SERVICE and not pending(terminal)
    look(terminal)
    assert len(applications(terminal)) == 1  # the new ones are not due


def test_the_certificate_that_ends_first_decides():
    soon, late = certificate_for(bytes(64), b"261122000000Z", b"261125000000Z"), certificate_for(bytes(64), *LIFE)
    for first, second in ((soon, late), (late, soon)):
        assert renew_at_s(identity().changed(certificate=first, transport_certificate=second)) == NOW_S + 2 * DAY_S
    for first, second in ((soon, b"none"), (b"none", soon)):
        assert renew_at_s(identity().changed(certificate=first, transport_certificate=second)) == 0


def test_without_a_clock_that_was_set_nothing_is_renewed_and_what_has_ended_is_due():
    flash, _ = in_service()
    terminal = boot_at(flash, 0, is_set=False)
    terminal.hal.clock.raise_floor(RENEW_AT_S + 365 * DAY_S)
    look(terminal)
    assert applications(terminal) == []
    terminal.hal.clock.set_wall(RENEW_AT_S + 365 * DAY_S)
    look(terminal)
    assert len(applications(terminal)) == 1


def test_what_has_no_answer_is_asked_again_once_a_day_for_the_same_keys_and_any_answer_counts():
    flash, _ = in_service()
    terminal = boot_at(flash, RENEW_AT_S)
    look(terminal)
    for after_s, asked in ((0, 1), (ASK_AGAIN_S - 1, 1), (ASK_AGAIN_S, 2), (ASK_AGAIN_S + 60, 2), (2 * ASK_AGAIN_S, 3)):
        terminal.hal.clock.set_wall(RENEW_AT_S + after_s)
        look(terminal)
        assert len(applications(terminal)) == asked
    first, _, last = applications(terminal)
    assert first.body == last.body  # of a curve whose signatures repeat
    accept(terminal, credentials(first, {"transport_certificate": certificate_for(first.octets("transport_key"))}))
    raises(RegistrationError, asyncio.run, renewed(terminal, credentials(last)))  # the second answer changes nothing
    assert terminal.identity.slot == 1


def test_who_is_offline_asks_neither_first_nor_again():
    flash, _ = in_service()
    terminal = boot_at(flash, RENEW_AT_S)
    for day, online, asked in ((0, False, 0), (1, False, 0), (1, True, 1), (3, False, 1), (9, False, 1), (9, True, 2)):
        terminal.online = online
        terminal.hal.clock.set_wall(RENEW_AT_S + day * DAY_S)
        look(terminal)
        assert len(applications(terminal)) == asked


def test_an_order_makes_new_keys_in_service_and_survives_a_power_cut():
    flash, old_key = in_service()
    terminal = boot_at(flash, NOW_S)
    terminal.apply([], [], [ordered(7)])
    woken = boot_at(flash, NOW_S)
    look(woken)
    (application,) = applications(woken)
    assert application.text("purpose") == RENEWAL and woken.state.mode == IN_SERVICE
    look(woken)
    again = boot_at(Flash(flash.files), NOW_S)
    look(again)
    assert len(applications(again)) == 1  # once
    accept(woken, new_certificates(application))
    assert woken.identity.slot == 1 and asyncio.run(woken.hal.secure_element.public_key(0)) == old_key


def test_an_order_while_an_application_waits_makes_newer_keys_and_the_older_answer_does_not_fit():
    flash, _ = in_service()
    terminal = boot_at(flash, RENEW_AT_S)
    look(terminal)
    terminal.apply([], [], [ordered(8)])
    look(terminal)
    older, newer = applications(terminal)
    assert newer.number("application") == older.number("application") + 1
    raises(RegistrationError, asyncio.run, renewed(terminal, credentials(older)))
    accept(terminal, credentials(newer))
    assert terminal.identity.slot == 1


def test_credentials_are_not_taken_for_keys_that_are_just_being_replaced():
    flash, _ = in_service()
    terminal = boot_at(flash, RENEW_AT_S)
    look(terminal)
    (application,) = applications(terminal)
    element = terminal.hal.secure_element
    public_key = element.public_key

    async def while_another_begins(slot):
        held = await public_key(slot)
        element.public_key = public_key
        await begin(terminal, RENEWAL)
        return held

    element.public_key = while_another_begins
    raises(RegistrationError, asyncio.run, renewed(terminal, credentials(application)))
    assert terminal.identity.slot == 0


def test_an_ordered_renewal_whose_new_key_was_lost_is_begun_anew_whatever_the_power_does():
    before, _ = in_service()
    terminal = boot_at(before, NOW_S)
    terminal.apply([], [], [ordered(7)])
    look(terminal)
    asyncio.run(terminal.hal.secure_element.erase(1))

    def ask_again(flash):
        terminal = boot_at(flash, NOW_S + ASK_AGAIN_S)
        look(terminal)
        return terminal

    whole = Flash(before.files)
    assert [claims.number("application") for claims in applications(ask_again(whole))] == [1, 2]
    for write in range(len(whole.writes)):
        flash = Flash(before.files)
        flash.cut(write + 1, whole.writes[write])
        raises(PowerCut, ask_again, flash)
        flash.power_up()
        assert applications(ask_again(flash))[-1].number("application") == 2


def test_keys_of_a_renewal_answer_no_suspension():
    """They may be older than what the terminal was suspended for."""
    flash, _ = in_service()
    terminal = boot_at(flash, RENEW_AT_S)
    look(terminal)
    terminal.apply([Suspended(Reason("violation", ACTOR_HOST, 1))])
    accept(terminal, credentials(applications(terminal)[0]))  # was on its way
    assert terminal.state.registration_due
    terminal.apply([Lifted("violation")])
    look(terminal)
    second = applications(terminal)[-1]
    assert second.text("purpose") == REGISTRATION and second.number("application") == 2
    accept(terminal, credentials(second))
    assert not terminal.state.registration_due and terminal.identity.slot == 0


def test_a_renewal_that_waits_gives_way_to_a_registration():
    flash, _ = in_service()
    terminal = boot_at(flash, RENEW_AT_S)
    look(terminal)
    terminal.apply([Suspended(Reason("violation", ACTOR_HOST, 1)), Lifted("violation")])
    look(terminal)
    first, second = applications(terminal)
    assert (first.text("purpose"), second.text("purpose")) == (RENEWAL, REGISTRATION)
    assert key_of_request(first.octets("request")) != key_of_request(second.octets("request"))


def renewal(flash):
    """From a boot in the last third to the new identity: the application, its answer, and the answer to a second one that was lost."""
    terminal = boot_at(flash, RENEW_AT_S)
    look(terminal)
    if terminal.identity.slot == 0:
        accept(terminal, credentials(applications(terminal)[-1]))
    return terminal


def test_a_renewal_cut_off_at_any_write_leaves_an_identity_that_works_and_is_done_in_the_end():
    for is_ordered in (False, True):
        before, old_key = in_service()
        if is_ordered:  # while another one waits: more writes, more places to be cut off
            terminal = boot_at(before, RENEW_AT_S)
            look(terminal)
            terminal.apply([], [], [ordered(9)])
        whole = Flash(before.files)
        renewal(whole)
        assert len(whole.writes) >= 4
        outcomes = set()
        for write, length in enumerate(whole.writes):
            for keep_bytes in sorted({0, 1, length // 2, max(0, length - 1), length}):
                flash = Flash(before.files)
                flash.cut(write + 1, keep_bytes)
                raises(PowerCut, renewal, flash)
                flash.power_up()
                woken = boot_at(flash, RENEW_AT_S)
                key = asyncio.run(woken.hal.secure_element.public_key(woken.identity.slot))
                assert woken.identity.certificate == certificate_for(key, *(LIFE if woken.identity.slot == 0 else ()))
                assert woken.identity.slot == 1 or key == old_key
                assert woken.state.mode == IN_SERVICE
                outcomes.add(woken.identity.slot)
                done = renewal(flash)
                assert done.identity.slot == 1 and not pending(done)
                assert done.identity.certificate == certificate_for(asyncio.run(done.hal.secure_element.public_key(1)))
        assert outcomes == {0, 1}


def test_an_application_that_cannot_be_read_is_made_anew():
    flash, _ = in_service()
    terminal = boot_at(flash, RENEW_AT_S)
    for record in (b"", b"\xff", encode(7), encode([1, 0, b"key", b"public"])):
        terminal.store.put(KEY_PENDING, record)
        assert not pending(terminal)
        look(terminal)
        assert pending(terminal)


def test_an_identity_that_cannot_be_read_is_an_error():
    flash = Flash()
    store = Store(flash)
    store.open()
    raises(IdentityError, Identity.load, store)
    for record in (b"", b"\xff", encode(7), encode([]), encode(["T1"]), encode(list(range(13)))):
        store.put(KEY_IDENTITY, record)
        raises(IdentityError, Identity.load, store)
    provisioned(flash)
