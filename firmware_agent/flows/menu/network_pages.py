"""Pages of the network's set-up."""

from firmware_agent.foreign_text import plain_text
from firmware_agent.screens.page import TONE_ALERT, TONE_GOOD, TONE_NORMAL, Page
from firmware_agent.settings import STATIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.menu.network_flow import Draft
    from firmware_agent.selftest.phases import Result
    from firmware_agent.settings import Settings
    from firmware_agent.texts import Texts
    from hal.network import Heard, Network

STRONG_DBM, FAIR_DBM = -60, -75
CAN_CHOOSE = 3  # level of a network device that the terminal has a say in

# The way to the acquirer, layer by layer, and the causes that say that one of them does not do its part.
LAYERS = (
    (
        "radio",
        (
            "no_network",
            "no_link",
            "wrong_password",
            "dead_radio",
            "unplugged",
            "weak_signal",
            "service_down",
            "no_permission",
            "not_configured",
        ),
    ),
    ("address", ("no_address",)),
    ("name", ("dns_failed",)),
    ("host", ("host_unreachable", "port_closed")),
    ("security", ("tls_failed", "tls_name", "tls_authority", "certificate_expired")),
    ("broker", ("broker_refused", "broker_silent", "garbled_answer")),
    ("acquirer", ("slow", "lossy", "acquirer_silent")),
)


def network_page(texts: "Texts", settings: "Settings", network: "Network") -> Page:
    """What is joined now."""
    radio = network.level >= CAN_CHOOSE
    name = settings.get("ssid")
    if not radio:
        lines = [texts.get("network.cable")]
    else:
        lines = [texts.get("network.name", name=name) if name else texts.get("network.none")]
    if network.enabled and network.is_connected():
        lines.append(texts.get("network.joined", address=network.address()))
    else:
        lines.append(texts.get("network.not_joined"))
    choices = [("1", texts.get("network.choice.1"))] if radio else []
    choices.append(("2", texts.get("network.choice.2")))
    return Page("network", texts.get("network.title"), lines, choices, texts.get("hint.back"))


def warning_page(texts: "Texts") -> Page:
    choices = [("1", texts.get("network.warning.choice.1")), ("2", texts.get("network.warning.choice.2"))]
    return Page(
        "network.warning", texts.get("network.title"), [texts.get("network.warning")], choices, texts.get("hint.choose"), TONE_ALERT
    )


def searching_page(texts: "Texts") -> Page:
    return Page("network.searching", texts.get("network.list.title"), [texts.get("network.searching")], footer=texts.get("hint.wait"))


def shown(heard: "Heard") -> "Heard":
    """Those whose names can be read as they are."""
    return [network for network in heard if is_plain(network[0])]


def is_plain(name: str) -> bool:
    try:
        return plain_text(name) == name
    except ValueError:
        return False


def heard_items(texts: "Texts", heard: "Heard") -> "list[str]":
    """A line for each network, and the two that always are there."""
    items = []
    for name, signal_dbm, is_protected in heard:
        strength = "strong" if signal_dbm >= STRONG_DBM else "fair" if signal_dbm >= FAIR_DBM else "weak"
        strength = texts.get("network.signal." + strength)
        items.append("%s\t%s" % (name, strength if is_protected else texts.get("network.open", signal=strength)))
    return items + [texts.get("network.list.type"), texts.get("network.list.again")]


def addresses_page(texts: "Texts") -> Page:
    choices = [("1", texts.get("network.addresses.choice.1")), ("2", texts.get("network.addresses.choice.2"))]
    return Page(
        "network.addresses", texts.get("network.addresses.title"), [texts.get("network.addresses")], choices, texts.get("hint.list")
    )


def address_page(texts: "Texts", name: str, typed: str, note: str = "") -> Page:
    """name: of STATIC; typed: the address so far, first, so that a small display shows it."""
    lines = [typed + texts.get("activation.place")]
    if note:
        lines.append(texts.get(note))
    lines.append(texts.get("network.address_how"))
    return Page("network." + name, texts.get("network." + name + ".title"), lines, footer=texts.get("hint.entry"))


def summary_page(texts: "Texts", draft: "Draft") -> Page:
    lines = [texts.get("network.name", name=draft.ssid)]
    lines.append(texts.get("network.password_set" if draft.password else "network.without_password"))
    if not draft.static:
        lines.append(texts.get("network.automatic"))
    for place, value in enumerate(draft.static or []):
        lines.append("%s\t%s" % (texts.get("network." + STATIC[place] + ".title"), value))
    choices = [("1", texts.get("network.summary.choice.1")), ("2", texts.get("network.summary.choice.2"))]
    return Page("network.summary", texts.get("network.summary.title"), lines, choices, texts.get("hint.list"))


def joining_page(texts: "Texts", name: str) -> Page:
    lines = [texts.get("network.joining", name=name)]
    return Page("network.joining", texts.get("network.title"), lines, footer=texts.get("hint.wait"))


def way_lines(texts: "Texts", result: "Result | None") -> "list[str]":
    """How far the way to the acquirer goes: the layers that do their part, and the first that does not."""
    if result is None:
        return []
    names = [texts.get("network.layer." + name) for name, _ in LAYERS]
    for place, (_, causes) in enumerate(LAYERS):
        if result.cause in causes:
            lines = [texts.get("network.first_fault", layer=names[place])]
            return ([texts.get("network.good_so_far", layers=texts.get("network.and").join(names[:place]))] if place else []) + lines
    return [] if result.cause else [texts.get("network.good_so_far", layers=texts.get("network.and").join(names))]


def trial_page(texts: "Texts", way: "list[str]", found: "tuple[str, ...]") -> Page:
    """What the check of a network on trial came to, and what can be done. found: lines of the self-test's result."""
    choices = [(key, texts.get("network.trial.choice." + key)) for key in "1234"]
    lines = way + list(found) + [texts.get("network.trial")]
    return Page("network.trial", texts.get("network.trial.title"), lines, choices, texts.get("hint.choose"), TONE_ALERT)


def checked_page(texts: "Texts", way: "list[str]", found: "tuple[str, ...]", is_good: bool) -> Page:
    """What the check of the network came to."""
    choices = [("1", texts.get("selftest.choice.1")), ("2", texts.get("selftest.choice.2"))]
    lines = way + list(found)
    return Page(
        "network.checked", texts.get("network.title"), lines, choices, texts.get("hint.choose"), TONE_GOOD if is_good else TONE_ALERT
    )


def ended_page(texts: "Texts", name: str, key: str, is_good: bool = True) -> Page:
    """key: of the text that says how it ended."""
    choices = [("1", texts.get("note.choice.1"))]
    lines = [texts.get(key, name=name)]
    return Page(key, texts.get("network.title"), lines, choices, texts.get("hint.back"), TONE_GOOD if is_good else TONE_NORMAL)


def not_joined_page(texts: "Texts", name: str, cause: str) -> Page:
    """Of a device without an identity, which tries a network only so far. cause: the network device's word."""
    try:
        told = texts.get("cause." + cause)
    except KeyError:
        told = cause
    choices = [("1", texts.get("note.choice.1"))]
    lines = [texts.get("network.cannot_join", name=name, cause=told)]
    return Page("network.cannot_join", texts.get("network.title"), lines, choices, texts.get("hint.back"), TONE_ALERT)
