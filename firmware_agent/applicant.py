"""Who applies for the terminal to be put back: name and telephone, as installed, told to the acquirer alone."""

from firmware_agent.messages.cbor import encode
from firmware_agent.messages.schema import topic
from firmware_agent.messages.sealed import SealError, seal
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal

# What is sealed is a map: number -> text.
NAME, TELEPHONE, STATEMENT = 1, 2, 3  # no page asks for a statement yet


def applicant(settings: "Settings") -> "dict[int, str]":
    """What is known of who applies; {} where nothing is."""
    told = {NAME: settings.get("contact_name"), TELEPHONE: settings.get("contact_phone")}
    return {number: told[number] for number in told if told[number]}


async def sealed_applicant(terminal: "Terminal", settings: "Settings") -> bytes:
    """The same, encrypted for the acquirer, for an application; b'' where nothing is known or it cannot be sealed: an application goes
    without it rather than not at all, and never with it in the clear.
    """
    told = applicant(settings)
    if not told:
        return b""
    identity = terminal.identity
    where = topic(identity.acquirer, identity.terminal, "application")
    try:
        return await seal(terminal.hal.secure_element, identity.sealing_key, encode(told), where)
    except (SealError, DeviceError) as error:
        terminal.log("contact not told: %s" % error)
        return b""
