"""Another device takes this one's place: by the acquirer's order it says its receipt, forgets who it was, and waits for an activation code.

Three writes, each the whole of its step, so that a power cut leaves the old identity or none, and what was begun is brought to its end:
the order is kept with its receipt (LEAVING); everything but what the factory and the shop put in is gone (ERASING); the secure element is
empty, too (GONE).
"""

from firmware_agent.boot.rollback import KEY_COUNT, KEY_SET_BACK
from firmware_agent.identity.identity import KEY_FACTORY, KEY_REPLACEMENT
from firmware_agent.identity.registration import SLOTS
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.messages.cose import key_id
from firmware_agent.messages.outbox import KEY_BOOT_COUNT
from firmware_agent.settings import NETWORK, PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal
    from hal.secure_element import SecureElement

LEAVING, ERASING, GONE = 1, 2, 3
RECEIPT_MS = 10000  # for what is queued, the receipt last: the connection that brought the order is there

# What counts this device's starts, and its network: without that it could not ask for its next name.
STAYS = (KEY_FACTORY, KEY_BOOT_COUNT, KEY_COUNT, KEY_SET_BACK) + tuple([PREFIX + name for name in ("language", "utc_offset_min") + NETWORK])


def stage(store: "Store") -> int:
    """How far the replacement of this device has come; 0: it is not replaced. What cannot be read was written here, and is brought to its
    end.
    """
    record = store.get(KEY_REPLACEMENT)
    if record is None:
        return 0
    try:
        value = decode(record)
    except CborError:
        value = LEAVING
    return value if value in (LEAVING, ERASING, GONE) else LEAVING


async def ordered(terminal: "Terminal", key: bytes) -> "tuple[str, bytes]":
    """What to write so that this device leaves. key: kid of the signing key that is to go.

    Raises ValueError: it is not this device's, which so does not obey what was meant for the one before it; DeviceError.
    """
    if key != key_id(await terminal.hal.secure_element.public_key(terminal.identity.slot)):
        raise ValueError("another device is to be replaced")
    return KEY_REPLACEMENT, encode(LEAVING)


def forget(store: "Store") -> None:
    """The identity is gone, with all that was said and kept in its name. Raises StoreError: nothing is."""
    changes: list[tuple[str, bytes | None]] = [(key, None) for key in store.keys() if key not in STAYS and key != KEY_REPLACEMENT]
    store.put_all(changes + [(KEY_REPLACEMENT, encode(ERASING))])


async def finish(store: "Store", element: "SecureElement") -> None:
    """Empty the element, and the flash of what was forgotten; where that is done already, nothing. Raises StoreError, DeviceError."""
    if stage(store) != ERASING:
        return
    for slot in SLOTS:
        await element.erase(slot)
    store.scrub()
    store.put(KEY_REPLACEMENT, encode(GONE))
