"""Every phase there is, and which of them make up a plan, on a terminal with these devices."""

from firmware_agent.selftest.checks import check_certificates, check_keys, check_storage, component_check, device_check
from firmware_agent.selftest.examination import hear_tone, hold_keys, pay, press_keys, read_code, read_slip, see_patterns
from firmware_agent.selftest.phases import Measure, Phase
from firmware_agent.state.machine import TESTS_AFTER_ORDER
from hal.errors import CH_EXTERNAL, CH_INTERACTIVE, CH_INTERNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.selftest.subject import Subject
    from hal.device import Health
    from hal.hal import Hal

POWER_ON = "power_on"  # at each boot: nothing is printed, sounded or asked
DAILY = "daily"  # at least every 24 hours, and by the acquirer's order: the way to the acquirer as well
FULL = "full"  # a technician's: all there is
REACTIVATION = "reactivation"  # the function tests, before the terminal is back in service
DEVICE = "device."  # + kind: all phases of one device
PLANS = (POWER_ON, DAILY, FULL, REACTIVATION)

# The phases that are function tests (domain P11), and the name that the state has for each.
FUNCTION_TEST_OF = {
    "keypad.keys": "keys",
    "display.patterns": "screen",
    "printer.slip": "print",
    "scanner.code": "scan",
    "card_reader.card": "pay",
}


class PlanError(ValueError):
    """No such plan, phase or device; the message says what there is."""


def all_phases(hal: "Hal") -> "list[Phase]":
    """Every phase for the devices that there are, in the order in which a person is asked."""
    return [phase for phase in _catalogue() if not hasattr(hal, phase.kind) or getattr(hal, phase.kind) is not None]


def plan_phases(name: str, hal: "Hal") -> "list[Phase]":
    """The phases of a plan on this terminal. Raises PlanError."""
    phases = all_phases(hal)
    if name == POWER_ON:
        return [phase for phase in phases if phase.level == CH_INTERNAL]
    if name == DAILY:
        return [phase for phase in phases if phase.level < CH_INTERACTIVE and phase.id != "printer.print"]
    if name == FULL:
        return phases
    if name == REACTIVATION:
        return [phase for phase in phases if FUNCTION_TEST_OF.get(phase.id) in TESTS_AFTER_ORDER]
    if name.startswith(DEVICE):
        kind = name[len(DEVICE) :]
        found = [phase for phase in phases if phase.kind == kind]
        if found:
            return found
        kinds = sorted({phase.kind for phase in phases})
        raise PlanError("no device %r; there are: %s" % (kind, ", ".join(kinds)))
    raise PlanError("no plan %r; there are: %s, %s<device>" % (name, ", ".join(PLANS), DEVICE))


def phase_named(id: "str | int", hal: "Hal") -> Phase:
    """The phase by its id or its number. Raises PlanError."""
    phases = all_phases(hal)
    for phase in phases:
        if phase.id == id or phase.number == id:
            return phase
    raise PlanError("no phase %r; there are: %s" % (id, ", ".join([phase.id for phase in phases])))


def phase_ids() -> "dict[int, tuple[str, str]]":
    """Number -> (id, kind) of every phase of every terminal: what a report's numbers mean."""
    return {phase.number: (phase.id, phase.kind) for phase in _catalogue()}


def _catalogue() -> "tuple[Phase, ...]":
    return (
        Phase(1, "power", "power", CH_INTERNAL, component_check("power", "power"), 5000),
        Phase(2, "firmware", "firmware", CH_INTERNAL, component_check("firmware", "firmware"), 60000),
        Phase(3, "storage", "storage", CH_INTERNAL, check_storage, 10000, 1),
        _internal(4, "clock", 5000, (Measure("drift_s", "jumped", -300, 300, -30, 30),)),
        _internal(5, "secure_element", 10000),
        Phase(6, "secure_element.keys", "secure_element", CH_INTERNAL, check_keys, 5000, 1),
        Phase(7, "certificate", "certificate", CH_INTERNAL, check_certificates, 5000, 0, _certificate_measures()),
        _internal(8, "display", 2000),
        _internal(9, "keypad", 2000),
        _internal(10, "printer", 6000, (Measure("paper_near_end", "paper_near_end", marginal_high=0),)),
        _internal(11, "card_reader", 3000, (Measure("retries", "garbled_answer", marginal_high=4),)),
        _internal(12, "scanner", 5000),
        _internal(13, "sounder", 1000),
        _internal(14, "network", 5000, (Measure("signal_dbm", "weak_signal", -90, None, -80),)),
        _internal(15, "payment", 5000),
        Phase(20, "network.path", "network", CH_EXTERNAL, component_check("network.path", "network"), 45000, 0, _path_measures()),
        Phase(21, "card_reader.antenna", "card_reader", CH_EXTERNAL, device_check("card_reader", CH_EXTERNAL), 3000, 1),
        Phase(22, "printer.print", "printer", CH_EXTERNAL, device_check("printer", CH_EXTERNAL), 30000),
        Phase(23, "payment.sign_in", "payment", CH_EXTERNAL, component_check("payment.sign_in", "payment"), 45000),
        _interactive(30, "keypad.keys", press_keys, 300000, (Measure("bounces", "bounce", high=4, marginal_high=2),)),
        _interactive(31, "keypad.together", hold_keys, 60000),
        _interactive(32, "display.patterns", see_patterns, 180000),
        _interactive(33, "sounder.tone", hear_tone, 180000),
        _interactive(34, "printer.slip", read_slip, 180000),
        _interactive(35, "scanner.code", read_code, 60000),
        _interactive(36, "card_reader.card", pay, 150000),
    )


def _internal(number: int, kind: str, timeout_ms: int, measures: "tuple[Measure, ...]" = ()) -> Phase:
    """The device's own internal check, with a second knock."""
    return Phase(number, kind, kind, CH_INTERNAL, device_check(kind, CH_INTERNAL), timeout_ms, 1, measures)


def _interactive(
    number: int, id: str, task: "Callable[[Subject], Awaitable[Health]]", timeout_ms: int, measures: "tuple[Measure, ...]" = ()
) -> Phase:
    """With a person, who is asked once."""
    return Phase(number, id, id[: id.index(".")], CH_INTERACTIVE, task, timeout_ms, 0, measures)


def _certificate_measures() -> "tuple[Measure, ...]":
    """Renewal takes the acquirer, and days."""
    return (Measure("days_left", "certificate_ends", low=0, marginal_low=14),)


def _path_measures() -> "tuple[Measure, ...]":
    """Round trip of a question to the acquirer, and how many of five got no answer at once: one is nothing in a shop's radio."""
    return (Measure("round_trip_ms", "slow", high=2500, marginal_high=1000), Measure("lost", "lossy", high=1))
