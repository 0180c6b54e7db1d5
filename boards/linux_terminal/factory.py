"""What a device knows before anybody owns it: a file that the configuration names, taken into the agent's memory when the agent starts.

In it is the record that a microcontroller's factory writes (identity.KEY_FACTORY): whom to ask with an activation code, whose answers to
believe, and certificate and key for TLS that say which device asks. With it come settings, as the language of the first page.
"""

from firmware_agent.identity.identity import KEY_FACTORY, Identity
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.settings import DEFAULTS, Settings
from firmware_agent.store import Store, StoreError
from hal.drivers.file_storage import FileStorage
from hal.drivers.linux.private_files import open_private
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.files import Files

FORMAT = 1
MOST_BYTES = 8192


class FactoryError(ValueError):
    """The file is not for this device, or for none. The message is for the log."""


def encoded(record: Identity, settings: "dict[str, str]") -> bytes:
    """The content of such a file."""
    return encode([FORMAT, record.encoded(), settings])


def decoded(data: bytes, hardware_id: str) -> "tuple[Identity, dict[str, str]]":
    """Raises FactoryError."""
    try:
        form, record, settings = decode(data)
        identity = Identity(*decode(record))
        if form != FORMAT or not isinstance(settings, dict) or [name for name in settings if name not in DEFAULTS]:
            raise ValueError("another form")
    except (CborError, TypeError, ValueError):
        raise FactoryError("this is no file of a factory") from None
    if identity.terminal != hardware_id:
        raise FactoryError("it is of device %s, and this is %s" % (str(identity.terminal)[:64], hardware_id or "without an id"))
    return identity, settings


async def take(path: str, files: "Files", hardware_id: str, log: "Callable[[str], None]") -> None:
    """Put the record of that file into the memory in `files`; the settings only with the first one, for they may have been changed since.
    A file that is not there says nothing new. What is wrong is told, and the agent starts as it would without.
    """
    try:
        with open_private(path, "factory") as file:
            record, settings = decoded(file.read(MOST_BYTES + 1), hardware_id)
        storage = FileStorage(files)
        storage.open()
        storage.claim()
        await storage.enable()
        store = Store(storage)
        store.open()
        known = store.get(KEY_FACTORY)
        if known == record.encoded():
            return
        if known is None:
            for name, value in settings.items():
                Settings(store).set(name, value)
        store.put(KEY_FACTORY, record.encoded())  # last: cut off before it, all of it is done again
        log("factory record of %s taken" % hardware_id)
    except FileNotFoundError:
        return
    except (OSError, FactoryError, DeviceError, StoreError, ValueError) as error:
        log("failed to take the factory record: %s: %s" % (path, error))
