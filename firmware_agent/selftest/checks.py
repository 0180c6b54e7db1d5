"""Tasks of the phases that need nobody: what a device says of itself, and whether keys, certificates and memory are whole."""

from firmware_agent.identity.certificate import CertificateError, public_key, validity
from firmware_agent.store import StoreError
from hal.clock import TRUST_SET
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.errors import E_FAILURE, E_NOEXIST, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.selftest.subject import Subject

DAY_S = 86400


def device_check(kind: str, level: int) -> "Callable[[Subject], Awaitable[Health]]":
    """The device's own health check."""

    async def check(subject: "Subject") -> Health:
        health: Health = await getattr(subject.hal, kind).check_health(level)
        return health

    return check


def component_check(name: str, kind: str) -> "Callable[[Subject], Awaitable[Health]]":
    """A check that the agent brings with it; not run where it has none."""

    async def check(subject: "Subject") -> Health:
        task = subject.checks.get(name)
        return await task() if task is not None else Health(HEALTH_NOT_RUN, kind, "absent")

    return check


async def check_keys(subject: "Subject") -> Health:
    """Whether the signing key is there, and is the one that the certificate names."""
    terminal = subject.terminal
    if terminal is None:
        return Health(HEALTH_NOT_RUN, "secure_element", "absent")
    identity = terminal.identity
    try:
        held = await subject.hal.secure_element.public_key(identity.slot)
    except DeviceError as error:
        if error.code != E_NOEXIST:
            raise
        return Health(HEALTH_FAIL, "secure_element", "key_missing", error.code, detail=error.detail)
    try:
        certified = public_key(identity.certificate)
    except CertificateError as error:
        return Health(HEALTH_FAIL, "secure_element", "key_mismatch", E_FAILURE, detail="certificate: %s" % error)
    if held != certified:
        return Health(HEALTH_FAIL, "secure_element", "key_mismatch", E_FAILURE, detail="slot %d is not the certified key" % identity.slot)
    return Health(HEALTH_SUCCESS, "secure_element")


async def check_certificates(subject: "Subject") -> Health:
    """How many days the terminal's certificates have left; judged only by a clock that was set."""
    terminal = subject.terminal
    if terminal is None:
        return Health(HEALTH_NOT_RUN, "certificate", "absent")
    if subject.hal.clock.trust != TRUST_SET:
        return Health(HEALTH_NOT_RUN, "certificate", "not_set", detail="the clock is not set")
    ends_s = 0
    for certificate in (terminal.identity.certificate, terminal.identity.transport_certificate):
        try:
            _, not_after_s = validity(certificate)
        except CertificateError as error:
            return Health(HEALTH_FAIL, "certificate", "certificate_ends", E_FAILURE, detail=str(error))
        ends_s = min(ends_s or not_after_s, not_after_s)
    days_left = (ends_s - subject.hal.clock.wall_s()) // DAY_S
    return Health(HEALTH_SUCCESS, "certificate", measurements={"days_left": days_left})


async def check_storage(subject: "Subject") -> Health:
    """The medium itself, whether anything rotted in what the agent keeps on it, and whether the evidence log was whole since this start."""
    health = await subject.hal.storage.check_health()
    terminal = subject.terminal
    if health.outcome == HEALTH_SUCCESS:
        detail = "what was kept cannot be read" if subject.rotten else ""
        if terminal is not None:
            try:
                damaged = terminal.store.verify()
                detail = "%d records" % damaged if damaged else ""
                evidence = terminal.evidence
                if evidence.verify() is not None and evidence.damage is not None:
                    terminal.tell_damage(evidence.damage)
            except StoreError as error:  # nothing can be read, nor written down
                detail = str(error)
        if detail:
            return Health(HEALTH_FAIL, "storage", "damaged", E_FAILURE, detail=detail, measurements=health.measurements)
        if terminal is not None and terminal.evidence.damage is not None:
            broken = str(terminal.evidence.damage)
            return Health(HEALTH_FAIL, "storage", "log_damaged", E_FAILURE, detail=broken, measurements=health.measurements)
    return health
