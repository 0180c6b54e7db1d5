"""The evidence log as lines of text: who has the terminal's public key can verify them, without the acquirer (docs/evidence.md)."""

import binascii

from firmware_agent.messages.cbor import encode
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.records.evidence import KEY_ANCHOR, PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal

HEADING = "reinstate-evidence 1"


def audit_now(terminal: "Terminal") -> Claims:
    """The audit of the log as it is now: how many entries there are, and its head."""
    evidence = terminal.evidence
    return Claims(
        kind_named("audit"),
        terminal.identity.terminal,
        terminal.outbox.next_sequence(),
        {"count": evidence.number, "head": evidence.head},
        issued_at=terminal.wall_s,
        boot_count=terminal.boot_count,
    )


async def package(terminal: "Terminal") -> "Iterator[str]":
    """The lines: the heading and the topic; the audit of the log as it is now, a signed message; the anchor; the entries, the oldest first.
    They are read as they are taken: not after older entries may have retired. Raises DeviceError: it cannot be signed.
    """
    claims = audit_now(terminal)
    where, message = await terminal.signed(claims)
    return _lines(terminal.store, where, message, claims.number("count"))


def _lines(store: "Store", where: str, message: bytes, count: int) -> "Iterator[str]":
    yield HEADING + " " + where
    yield _base64(message)
    yield _base64(store.get(KEY_ANCHOR) or encode([0, bytes(32)]))
    for key in store.keys(PREFIX):
        if int(key[len(PREFIX) :]) <= count:
            yield _base64(store.get(key) or b"")


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data).decode().strip()
