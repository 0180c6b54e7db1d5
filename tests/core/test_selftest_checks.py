"""The checks that need nobody: keys, certificates and memory, each whole and in each way broken."""

from firmware_agent.selftest.checks import DAY_S, check_certificates, check_keys, check_storage, component_check, device_check
from firmware_agent.selftest.engine import run_phase
from firmware_agent.selftest.phases import ERROR, FAIL, PASS, SKIP
from firmware_agent.selftest.plans import phase_named
from firmware_agent.selftest.subject import Subject
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE, E_NOEXIST, E_OFFLINE, DeviceError
from tests.core.parts import NOW_S, Flash, Time
from tests.core.terminal_parts import boot, provisioned
from tests.core.test_certificate import CERTIFICATE, KEY, certificate, der

CERTIFICATE_ENDS_S = 1835481599


class Element:
    enabled = True

    def __init__(self, answer):
        self.answer = answer

    async def public_key(self, slot):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def disable(self):
        self.enabled = False

    async def enable(self):
        self.enabled = True

    claimed = True


class StorageOf(Device):
    """A flash with the life cycle and a health."""

    kind = "storage"

    def __init__(self, flash, cause=""):
        super().__init__()
        self.flash = flash
        self.cause = cause
        self.enabled = True

    def __getattr__(self, name):
        return getattr(self.flash, name)

    async def _bring_up(self):
        pass

    async def check_health(self, level=1):
        return Health(HEALTH_FAIL if self.cause else HEALTH_SUCCESS, "storage", self.cause, measurements={"free_kib": 7})


def terminal_with(certificate=CERTIFICATE, transport=CERTIFICATE, is_set=True):
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, is_set=is_set)
    terminal.identity.certificate = certificate
    terminal.identity.transport_certificate = transport
    terminal.flash = flash
    return terminal


def ran(check, terminal):
    return Time().run(check(Subject(terminal.hal, terminal)))


def phase_result(id, terminal):
    return Time().run(run_phase(Subject(terminal.hal, terminal), phase_named(id, terminal.hal)))


# Keys.


def keys_with(answer, certificate=CERTIFICATE):
    terminal = terminal_with(certificate)
    terminal.hal.secure_element = Element(answer)
    result = phase_result("secure_element.keys", terminal)
    return result.outcome, result.cause


def test_the_key_that_the_certificate_names_is_there():
    assert keys_with(KEY) == (PASS, "")


def test_another_key_is_a_mismatch():
    assert keys_with(KEY[:-1] + b"\x00") == (FAIL, "key_mismatch")
    assert keys_with(bytes(64)) == (FAIL, "key_mismatch")


def test_a_certificate_that_names_no_key_is_a_mismatch():
    assert keys_with(KEY, b"certificate") == (FAIL, "key_mismatch")
    assert keys_with(KEY, certificate(point=b"\x00\x02" + KEY[:32])) == (FAIL, "key_mismatch")


def test_an_empty_slot_is_a_missing_key():
    assert keys_with(DeviceError(E_NOEXIST, "secure_element", "slot 0 is empty")) == (FAIL, "key_missing")


def test_an_element_that_names_the_cause_is_believed():
    assert keys_with(DeviceError(E_FAILURE, "secure_element", cause="key_damaged")) == (FAIL, "key_damaged")


def test_an_element_that_cannot_be_asked_proves_nothing():
    assert keys_with(DeviceError(E_OFFLINE, "secure_element")) == (ERROR, "check_failed")


# Certificates.


def days_left(not_after, other=CERTIFICATE, is_set=True):
    ends = certificate(not_after=not_after)
    found = set()
    for one, two in ((ends, other), (other, ends)):
        result = phase_result("certificate", terminal_with(one, two, is_set))
        found.add((result.outcome, result.cause, result.measurements.get("days_left")))
    (only,) = found
    return only


def test_the_certificate_that_ends_first_counts():
    assert days_left(der(0x17, b"270301000000Z")) == (PASS, "", 99)
    result = phase_result("certificate", terminal_with())
    assert result.measurements == {"days_left": (CERTIFICATE_ENDS_S - NOW_S) // DAY_S}


def test_a_certificate_that_ends_soon_is_told_and_one_that_has_ended_fails():
    for text, outcome, cause, days in (  # it is 2026-11-22 00:00:00
        (b"261206000000Z", PASS, "", 14),
        (b"261205235959Z", PASS, "certificate_ends", 13),
        (b"261122000000Z", PASS, "certificate_ends", 0),
        (b"261121235959Z", FAIL, "certificate_ends", -1),
        (b"251122000000Z", FAIL, "certificate_ends", -365),
    ):
        assert days_left(der(0x17, text)) == (outcome, cause, days), text


def test_a_certificate_that_cannot_be_read_fails():
    result = phase_result("certificate", terminal_with(b"certificate"))
    assert (result.outcome, result.cause) == (FAIL, "certificate_ends")


def test_a_clock_that_is_not_set_judges_no_certificate():
    assert days_left(der(0x17, b"250301000000Z"), is_set=False) == (SKIP, "not_set", None)


# Memory.


def storage_result(terminal, cause=""):
    terminal.hal.storage = StorageOf(terminal.flash, cause)
    result = phase_result("storage", terminal)
    return result.outcome, result.cause, result.detail


def test_a_memory_that_is_whole_passes():
    assert storage_result(terminal_with()) == (PASS, "", "")


def test_rot_in_the_memory_is_found_once_and_what_is_left_works():
    terminal = terminal_with()
    terminal.store.put("a", b"value of a")
    (name,) = [name for name in terminal.flash.names() if name.startswith("store.")]
    file = terminal.flash.files[name]
    file[bytes(file).find(b"value of a")] ^= 1
    terminal.hal.storage = StorageOf(terminal.flash)
    health = ran(check_storage, terminal)
    assert (health.outcome, health.cause, health.detail) == (HEALTH_FAIL, "damaged", "1 records")
    assert health.measurements == {"free_kib": 7}
    assert terminal.store.get("a") is None and ran(check_storage, terminal).outcome == HEALTH_SUCCESS


def test_a_memory_that_cannot_be_read_again_is_damaged():
    terminal = terminal_with()
    for name in [name for name in terminal.flash.names() if name.startswith("store.")]:
        del terminal.flash.files[name]
    outcome, cause, detail = storage_result(terminal)
    assert (outcome, cause) == (FAIL, "damaged") and detail.startswith("medium")


def test_what_the_medium_says_of_itself_comes_first():
    assert storage_result(terminal_with(), "not_writable")[:2] == (FAIL, "not_writable")


# Where something is missing.


def test_without_an_identity_keys_and_certificates_are_not_judged_and_the_medium_is():
    terminal = terminal_with()
    subject = Subject(terminal.hal)
    for check, kind in ((check_keys, "secure_element"), (check_certificates, "certificate")):
        health = Time().run(check(subject))
        assert (health.outcome, health.kind, health.cause) == (HEALTH_NOT_RUN, kind, "absent")
    terminal.hal.storage = StorageOf(terminal.flash)
    assert Time().run(check_storage(subject)).outcome == HEALTH_SUCCESS


def test_a_check_that_the_agent_brings_is_made_and_one_that_it_lacks_is_not_run():
    async def brought():
        return Health(HEALTH_FAIL, "power", "brownout")

    terminal = terminal_with()
    subject = Subject(terminal.hal, checks={"power": brought})
    assert Time().run(component_check("power", "power")(subject)).cause == "brownout"
    health = Time().run(component_check("firmware", "firmware")(subject))
    assert (health.outcome, health.kind, health.cause) == (HEALTH_NOT_RUN, "firmware", "absent")


def test_a_device_is_asked_at_its_level():
    class Asked:
        async def check_health(self, level):
            return level

    terminal = terminal_with()
    terminal.hal.printer = Asked()
    assert [Time().run(device_check("printer", level)(Subject(terminal.hal))) for level in (1, 2)] == [1, 2]
