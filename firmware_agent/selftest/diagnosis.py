"""What a result means: the component, the cause, who mends it, what to do next, and the reason for a suspension that it suggests."""

from firmware_agent.selftest.phases import ABORTED, ERROR, FAIL, FAILED_BEFORE, TIMEOUT, Result

# Who can mend it (domain: who resolves).
CLERK = "clerk"  # at the counter, with what lies there
TECHNICIAN = "technician"
PROVIDER = "provider"  # of the network
ACQUIRER = "acquirer"

HARDWARE = "hardware_fault"  # S2
SOFTWARE = "software_fault"  # S3
NETWORK = "network_fault"  # S4
ACCOUNT = "account_issue"  # S5
TAMPER = "tamper"  # S12

PAYMENT = "payment"  # component: the payment application, whichever phase says so

BUS = "bus"  # component: the wires that several devices share
COMPONENTS = ("card", "certificate", "firmware", "power", BUS)  # besides the devices of hal.KINDS


class Cause:
    """number: on the wire, never used again; code: one word; mends: who can; step: what to do next, the key of a text; suggests: code of
    the reason for a suspension, '' for none; component: what is broken, where it is not the device that was tested; needs_network: whether
    mending needs the network.
    """

    def __init__(
        self, number: int, code: str, mends: str, step: str, suggests: str = "", component: str = "", needs_network: bool = False
    ) -> None:
        self.number = number
        self.code = code
        self.mends = mends
        self.step = step
        self.suggests = suggests
        self.component = component
        self.needs_network = needs_network

    @property
    def suspends(self) -> bool:
        """A defect for which the terminal takes itself out of service. What a clerk mends is told and does not suspend, nor does a lost
        network: it comes back by itself, and a terminal that waits for it is not out of service (docs/decisions/0006).
        """
        return self.mends != CLERK and self.suggests in (HARDWARE, SOFTWARE, TAMPER)


CAUSES = (
    # Any device
    Cause(1, "no_answer", TECHNICIAN, "cable", HARDWARE),
    Cause(2, "garbled_answer", TECHNICIAN, "cable", HARDWARE),
    Cause(3, "check_failed", TECHNICIAN, "restart", SOFTWARE),
    Cause(4, "bring_up", TECHNICIAN, "cable", HARDWARE),
    Cause(5, "absent", TECHNICIAN, "none"),
    Cause(6, "not_answered", CLERK, "again"),
    Cause(7, "failed_before", TECHNICIAN, "none"),
    Cause(8, "not_survived", TECHNICIAN, "report", SOFTWARE),
    Cause(9, "unplugged", TECHNICIAN, "plug_in", HARDWARE),
    Cause(10, "bus_failed", TECHNICIAN, "cable", HARDWARE, BUS),
    Cause(11, "no_permission", TECHNICIAN, "report", SOFTWARE),
    Cause(12, "service_down", TECHNICIAN, "restart", SOFTWARE),
    # Display
    Cause(20, "unstable_bus", TECHNICIAN, "cable", HARDWARE),
    Cause(21, "lost_settings", TECHNICIAN, "restart", HARDWARE),
    Cause(22, "self_diagnostic", TECHNICIAN, "replace", HARDWARE),
    Cause(23, "no_read_back", TECHNICIAN, "none"),
    Cause(24, "lines", TECHNICIAN, "replace", HARDWARE),
    Cause(25, "wrong_colours", TECHNICIAN, "replace", HARDWARE),
    Cause(26, "dark", TECHNICIAN, "replace", HARDWARE),
    # Keypad
    Cause(30, "key_stuck", CLERK, "key", HARDWARE),
    Cause(31, "key_dead", TECHNICIAN, "replace", HARDWARE),
    Cause(32, "row_open", TECHNICIAN, "cable", HARDWARE),
    Cause(33, "column_open", TECHNICIAN, "cable", HARDWARE),
    Cause(34, "row_shorted", TECHNICIAN, "cable", HARDWARE),
    Cause(35, "column_shorted", TECHNICIAN, "cable", HARDWARE),
    Cause(36, "ghosting", TECHNICIAN, "replace", HARDWARE),
    Cause(37, "bounce", TECHNICIAN, "replace", HARDWARE),
    # Printer
    Cause(40, "paper_out", CLERK, "paper", HARDWARE),
    Cause(41, "paper_near_end", CLERK, "paper_soon"),
    Cause(42, "cover_open", CLERK, "cover", HARDWARE),
    Cause(43, "overheated", CLERK, "cool", HARDWARE),
    Cause(44, "cutter_jam", TECHNICIAN, "cutter", HARDWARE),
    Cause(45, "unrecoverable", TECHNICIAN, "replace", HARDWARE),
    Cause(46, "offline", TECHNICIAN, "printer_power", HARDWARE),
    Cause(48, "no_status", TECHNICIAN, "none"),
    Cause(49, "partial_status", TECHNICIAN, "replace", HARDWARE),
    Cause(50, "not_readable", TECHNICIAN, "print_head", HARDWARE),
    # Card reader, and the card held to it
    Cause(60, "echo_wrong", TECHNICIAN, "cable", HARDWARE),
    Cause(61, "firmware_answer_wrong", TECHNICIAN, "replace", HARDWARE),
    Cause(62, "antenna", TECHNICIAN, "replace", HARDWARE),
    Cause(63, "no_card", CLERK, "card_closer", HARDWARE),
    Cause(64, "card_unreadable", CLERK, "other_card", HARDWARE),
    Cause(65, "card_torn", CLERK, "card_longer", "", "card"),
    Cause(66, "two_cards", CLERK, "one_card", "", "card"),
    Cause(67, "not_a_payment_card", CLERK, "other_card", "", "card"),
    Cause(68, "card_refused", CLERK, "other_card", "", "card"),
    Cause(69, "card_silent", CLERK, "other_card", "", "card"),
    # Scanner
    Cause(80, "no_code", CLERK, "code_closer", HARDWARE),
    Cause(81, "no_suffix", TECHNICIAN, "scanner_settings", HARDWARE),
    # Secure element, keys and certificates
    Cause(90, "self_test_failed", TECHNICIAN, "replace", HARDWARE),
    Cause(91, "key_mismatch", ACQUIRER, "tamper", TAMPER),
    Cause(92, "key_missing", ACQUIRER, "tamper", TAMPER),
    Cause(93, "key_damaged", ACQUIRER, "tamper", TAMPER),
    Cause(94, "locked", TECHNICIAN, "replace", HARDWARE),
    Cause(95, "not_locked", TECHNICIAN, "replace", HARDWARE),
    Cause(96, "random_stuck", TECHNICIAN, "replace", HARDWARE),
    Cause(97, "signature_wrong", TECHNICIAN, "replace", HARDWARE),
    Cause(98, "certificate_ends", ACQUIRER, "register", "", "certificate", True),
    Cause(99, "wrong_pin", TECHNICIAN, "report", SOFTWARE),
    # Network, layer by layer
    Cause(110, "dead_radio", TECHNICIAN, "replace", HARDWARE),
    Cause(111, "not_configured", CLERK, "network_settings", NETWORK),
    Cause(112, "no_network", CLERK, "router", NETWORK),
    Cause(113, "wrong_password", CLERK, "network_settings", NETWORK),
    Cause(114, "no_address", CLERK, "router", NETWORK),
    Cause(115, "weak_signal", CLERK, "signal", NETWORK),
    Cause(116, "dns_failed", PROVIDER, "provider", NETWORK),
    Cause(117, "host_unreachable", PROVIDER, "provider", NETWORK),
    Cause(118, "port_closed", ACQUIRER, "acquirer_host", NETWORK),
    Cause(119, "tls_name", ACQUIRER, "not_trusted", NETWORK),
    Cause(120, "tls_authority", ACQUIRER, "not_trusted", NETWORK),
    Cause(121, "tls_failed", ACQUIRER, "acquirer_host", NETWORK),
    Cause(122, "certificate_expired", ACQUIRER, "acquirer_host", NETWORK),
    Cause(123, "clock_wrong", TECHNICIAN, "set_clock", NETWORK, "clock"),
    Cause(124, "broker_refused", ACQUIRER, "register", NETWORK, "", True),
    Cause(125, "broker_silent", ACQUIRER, "acquirer_host", NETWORK),
    Cause(126, "acquirer_silent", ACQUIRER, "acquirer_host", NETWORK),
    Cause(127, "slow", PROVIDER, "provider", NETWORK),
    Cause(128, "lossy", PROVIDER, "provider", NETWORK),
    Cause(129, "no_link", CLERK, "router", NETWORK),
    # The payment application, and the payment host behind it. None of these suspends by itself: see suspicion.py.
    Cause(190, "payment_unreachable", PROVIDER, "provider", NETWORK, PAYMENT),
    Cause(191, "payment_silent", ACQUIRER, "acquirer_host", NETWORK, PAYMENT),
    Cause(192, "payment_garbled", ACQUIRER, "acquirer_host", NETWORK, PAYMENT),
    Cause(193, "payment_refused", ACQUIRER, "payment_account", ACCOUNT, PAYMENT),
    Cause(194, "payment_busy", ACQUIRER, "payment_later", "", PAYMENT),
    Cause(195, "payment_network", ACQUIRER, "payment_later", NETWORK, PAYMENT),
    Cause(196, "payment_out_of_step", ACQUIRER, "payment_account", "", PAYMENT),
    Cause(197, "payment_unfinished", CLERK, "payment_unfinished", "", PAYMENT),
    Cause(198, "payment_journal", TECHNICIAN, "report", "", PAYMENT),
    # Storage and clock
    Cause(140, "full", TECHNICIAN, "report", SOFTWARE),
    Cause(141, "not_writable", TECHNICIAN, "replace", HARDWARE),
    Cause(142, "damaged", TECHNICIAN, "replace", HARDWARE),
    Cause(143, "wrong_data", TECHNICIAN, "replace", HARDWARE),
    Cause(144, "log_damaged", TECHNICIAN, "report"),
    Cause(150, "time_lost", TECHNICIAN, "battery"),
    Cause(151, "jumped", TECHNICIAN, "battery"),
    Cause(152, "stopped", TECHNICIAN, "replace", HARDWARE),
    Cause(153, "not_set", ACQUIRER, "none", "", "", True),
    # Firmware and power
    Cause(160, "file_changed", TECHNICIAN, "tamper", TAMPER),
    Cause(161, "file_missing", TECHNICIAN, "tamper", TAMPER),
    Cause(162, "file_added", TECHNICIAN, "tamper", TAMPER),
    Cause(163, "manifest_wrong", TECHNICIAN, "tamper", TAMPER),
    Cause(164, "no_manifest", TECHNICIAN, "none"),
    Cause(165, "boot_loop", TECHNICIAN, "restart", SOFTWARE),
    Cause(170, "brownout", TECHNICIAN, "power", HARDWARE),
    # Sounder
    Cause(180, "not_heard", TECHNICIAN, "replace", HARDWARE),
    Cause(181, "no_feedback", TECHNICIAN, "none"),
)

_BUS_CAUSES = ("no_answer", "garbled_answer", "bring_up")  # with which everything on a dead bus fails


def cause_named(code: "str | int") -> Cause:
    """The cause by its code or its number. Raises KeyError."""
    for cause in CAUSES:
        if cause.code == code or cause.number == code:
            return cause
    raise KeyError(code)


class Diagnosis:
    """component: what is broken, a kind of hal.KINDS or 'card', 'certificate', 'firmware', 'power', 'bus'; cause: a Cause; error: the
    UnifiedPOS name; result: what says so; marginal: it still works.
    """

    def __init__(self, component: str, cause: Cause, result: "Result") -> None:
        self.component = component
        self.cause = cause
        self.result = result

    def __str__(self) -> str:
        """One line for a technician's log: component, cause, and by which phase."""
        return "%s %s by %s %s" % (self.component, self.cause.code, self.result.phase, self.result.outcome)

    @property
    def error(self) -> str:
        return self.result.error

    @property
    def is_marginal(self) -> bool:
        return self.result.is_marginal

    @property
    def suspends(self) -> bool:
        return self.cause.suspends and self.result.outcome in (FAIL, TIMEOUT)


def diagnose(result: "Result") -> "Diagnosis | None":
    """What one result says is broken or about to break; None for a pass, and for what was not run."""
    if not result.is_bad and not result.is_marginal:
        return None
    try:
        cause = cause_named(result.cause)
    except KeyError:  # a driver's own word, that a newer table may know
        cause = Cause(0, result.cause, TECHNICIAN, "report", HARDWARE)
    return Diagnosis(cause.component or result.kind, cause, result)


def is_unsettled(result: "Result") -> bool:
    """It says that something is wrong, or its phase was left out because of that: to be run again."""
    return diagnose(result) is not None or result.cause == FAILED_BEFORE


def diagnose_all(results: "list[Result]", buses: "dict[str, list[str]]") -> "list[Diagnosis]":
    """What is broken, the worst first. Devices that share a bus and all give no sensible answer are one broken bus; a later phase that says
    again what an earlier one of the same component said is left out. buses: name -> kinds, as Hal.buses.
    """
    found = []
    for result in results:
        diagnosis = diagnose(result)
        if diagnosis is not None:
            found.append(diagnosis)
    for name in sorted(buses):
        silent = [diagnosis for diagnosis in found if diagnosis.result.is_bad and diagnosis.cause.code in _BUS_CAUSES]
        shared = [diagnosis for diagnosis in silent if diagnosis.component in buses[name]]
        if len(buses[name]) > 1 and len({diagnosis.component for diagnosis in shared}) == len(buses[name]):
            cause = cause_named("bus_failed")
            first = shared[0].result
            result = Result(first.phase, first.kind, first.outcome, first.code, first.extended, cause.code, name, first.duration_ms)
            found = [diagnosis for diagnosis in found if diagnosis not in shared]
            found.append(Diagnosis(BUS, cause, result))
    told: list[tuple[str, str]] = []
    once = []
    for severity in _SEVERITIES:  # not by sorting, which keeps no order among equals on MicroPython
        for diagnosis in found:
            what = (diagnosis.component, diagnosis.cause.code)
            if _severity(diagnosis) == severity and what not in told:
                told.append(what)
                once.append(diagnosis)
    return once


_SEVERITIES = (0, 1, 2, 3, 4)


def _severity(diagnosis: Diagnosis) -> int:
    """What takes the terminal out of service comes before what does not; what could not be judged comes last."""
    if diagnosis.is_marginal:
        return 3
    if diagnosis.suspends:
        return 0 if diagnosis.cause.suggests == TAMPER else 1
    return 4 if diagnosis.result.outcome in (ERROR, ABORTED) else 2
