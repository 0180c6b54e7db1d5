"""Who applies for the terminal to be put back, and what he says: told to the acquirer alone."""

from firmware_agent.messages.cbor import encode
from firmware_agent.messages.schema import topic
from firmware_agent.messages.sealed import SealError, seal
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.terminal import Terminal

# What is sealed is a map: number -> text.
NAME, TELEPHONE, STATEMENT = 1, 2, 3


async def sealed_applicant(terminal: "Terminal", name: str, telephone: str, statement: str = "") -> bytes:
    """The same, encrypted for the acquirer, for an application; b'' where nothing is known or it cannot be sealed: an application goes
    without it rather than not at all, and never with it in the clear.
    """
    told = {NAME: name, TELEPHONE: telephone, STATEMENT: statement}
    told = {number: told[number] for number in told if told[number]}
    if not told:
        return b""
    identity = terminal.identity
    where = topic(identity.acquirer, identity.terminal, "application")
    try:
        return await seal(terminal.hal.secure_element, identity.sealing_key, encode(told), where)
    except (SealError, DeviceError) as error:
        terminal.log("contact not told: %s" % error)
        return b""
