"""What the acquirer decides of a message, of a receipt, of an audit, of a renewal: without database, network or clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from firmware_agent.messages.schema import UP, Claims
from firmware_agent.state.machine import OUT_OF_ORDER
from firmware_agent.state.reasons import Reason
from host_sim.acquirer.codec import Refused, Verifier

# Where an order stands.
WAITING = "waiting"
IN_FLIGHT = "in_flight"  # sent, and its receipt not yet there; one at a time for each terminal
HELD = "held"  # the terminal cannot take it yet: it has to be answered first, or its storage has to work again
DONE = "done"

PASSING = ("answer", "audited")  # kinds that a held order does not hold up: a terminal takes the first without keeping it
LATEST_ONLY = ("answer", "audited")  # kinds of which one that was not sent yet gives way to the next


class Standing(Protocol):
    """An order as far as its turn depends on it."""

    @property
    def kind(self) -> str: ...
    @property
    def standing(self) -> str: ...


T = TypeVar("T", bound=Standing)


def terminal_of(acquirer: str, topic: str) -> str:
    """The terminal whose topic it is. Raises Refused('unknown_terminal')."""
    parts = topic.split("/")
    if len(parts) != 5 or parts[:3] != ["poi", "v1", acquirer]:
        raise Refused("unknown_terminal", topic[:80])
    return parts[3]


def verified(verifier: Verifier, terminal: str, topic: str, message: bytes, keys: Mapping[bytes, bytes]) -> Claims:
    """What a message says that arrived on `topic`. keys: the terminal's, key id -> x || y. Raises Refused."""
    claims = verifier.verify(topic, message, keys)
    if claims.kind.direction != UP or claims.kind.leaf != topic.rpartition("/")[2] or claims.subject != terminal:
        raise Refused("wrong_topic", topic[:80])
    return claims


def due(orders: Sequence[T]) -> T | None:
    """Whose turn it is, of a terminal's orders that are not done, the oldest first; None: nobody's."""
    for order in orders:
        if order.standing == IN_FLIGHT:
            return order
    held = False
    for order in orders:
        if order.standing == HELD:
            held = True
        elif not held or order.kind in PASSING:
            return order
    return None


UNTIL_ANSWERED = ("time_unknown", "from_the_future", "set_back")  # refusals that end when the terminal's inquiry is answered


def after_receipt(refusal: str, *, expired: bool, sent_anew: bool, storage_works: bool) -> str:
    """Where an order stands after its receipt: DONE, HELD, or WAITING to be sent anew with a fresh sequence and expiry.

    expired: by the acquirer's clock; sent_anew: once already for the terminal's clock; storage_works: the terminal said so since.
    """
    if refusal == "expired" and not expired:
        return HELD if sent_anew else WAITING
    if refusal in UNTIL_ANSWERED:
        return HELD  # until the terminal has taken an answer, or connects again
    if refusal == "not_kept":
        return WAITING if storage_works else HELD
    return DONE


@dataclass(frozen=True)
class LogHead:
    """Head of a terminal's evidence log. sequence: of the message that told it."""

    sequence: int
    count: int
    head: bytes


AUDIT_KEPT = "kept"
AUDIT_ASKED = "asked"  # it does not go on from what is known, perhaps for want of an answer: the terminal looks whether it has that head
AUDIT_BACK = "evidence_went_back"
AUDIT_FORKED = "evidence_forked"


def after_audit(known: LogHead | None, told: LogHead, goes_on_from: bytes) -> str:
    """AUDIT_KEPT: it is the newest now; AUDIT_ASKED; or an alarm. Messages may come in another order than they were sent in.

    goes_on_from: the head that the terminal takes for known, b'' for none. Only a log that goes on from the known one is believed: one that
    was rolled back, and has grown since, has a higher count, too.
    """
    if known is None or (told.count, told.head) == (known.count, known.head):
        return AUDIT_KEPT
    if told.count > known.count:
        return AUDIT_KEPT if goes_on_from == known.head else AUDIT_ASKED
    if told.sequence <= known.sequence:
        return AUDIT_ASKED
    return AUDIT_FORKED if told.count == known.count else AUDIT_BACK


def renewal_refusal(state: Mapping[str, Any]) -> str:
    """Why a terminal in that state gets no new keys without approval: one word, '' for one in good standing."""
    if not state or state["mode"] == OUT_OF_ORDER:
        return "not_in_good_standing"
    for values in state["reasons"]:
        try:
            if Reason.from_told(values).kind.registration:
                return "not_in_good_standing"  # new keys follow the review
        except (KeyError, ValueError):
            return "not_in_good_standing"  # of a newer version: nobody knows what it asks for
    return ""
