"""What the acquirer decides, without a database: whose turn it is, what a receipt ends, and what a message is refused for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware_agent.messages.cose import key_id
from firmware_agent.messages.schema import Claims, kind_named, topic
from host_sim.acquirer.codec import Refused, Signer, Verifier
from host_sim.acquirer.rules import DONE, HELD, IN_FLIGHT, WAITING, after_receipt, due, terminal_of, verified


@dataclass
class Queued:
    kind: str
    standing: str


@pytest.mark.parametrize(
    ("orders", "turn"),
    [
        ([], None),
        ([("order", WAITING), ("order", WAITING)], 0),
        ([("order", WAITING), ("order", IN_FLIGHT)], 1),  # one at a time, whichever it is
        ([("order", HELD), ("order", WAITING)], None),  # orders keep their order
        ([("order", HELD), ("order", WAITING), ("answer", WAITING)], 2),
        ([("order", HELD), ("audited", IN_FLIGHT), ("order", WAITING)], 1),
    ],
)
def test_whose_turn_it_is(orders: list[tuple[str, str]], turn: int | None) -> None:
    queue = [Queued(*order) for order in orders]
    found = due(queue)
    assert (None if found is None else next(place for place, order in enumerate(queue) if order is found)) == turn


@pytest.mark.parametrize(
    ("refusal", "expired", "sent_anew", "storage_works", "standing"),
    [
        ("", False, False, False, DONE),
        ("unknown_action", False, False, True, DONE),
        ("expired", False, False, False, WAITING),
        ("expired", False, True, False, HELD),  # the terminal's clock is wrong by more than a new order's life: an answer sets it
        ("time_unknown", False, False, False, HELD),
        ("from_the_future", False, True, False, HELD),
        ("expired", True, False, False, DONE),
        ("not_kept", False, False, False, HELD),
        ("set_back", False, False, True, HELD),
        ("not_kept", False, True, True, WAITING),
    ],
)
def test_what_a_receipt_makes_of_an_order(refusal: str, expired: bool, sent_anew: bool, storage_works: bool, standing: str) -> None:
    assert after_receipt(refusal, expired=expired, sent_anew=sent_anew, storage_works=storage_works) == standing


@pytest.mark.parametrize("where", ["", "elsewhere", "poi/v1/other/T1/report", "poi/v2/acq/T1/report", "poi/v1/acq/T1/report/more"])
def test_a_topic_that_is_not_of_this_acquirer_is_of_nobody(where: str) -> None:
    with pytest.raises(Refused) as refused:
        terminal_of("acq", where)
    assert refused.value.code == "unknown_terminal"
    assert terminal_of("acq", "poi/v1/acq/T1/report") == "T1"


@pytest.mark.parametrize(
    ("kind", "body", "subject", "where"),
    [
        ("event", {"name": "tamper"}, "T2", topic("acq", "T1", "event")),
        ("event", {"name": "tamper"}, "T1", topic("acq", "T1", "report")),  # signed for the wrong leaf
        ("order", {"action": "lift"}, "T1", topic("acq", "T1", "order")),  # an acquirer's
    ],
)
def test_a_message_that_does_not_belong_where_it_came_is_refused(kind: str, body: dict[str, str], subject: str, where: str) -> None:
    signer = Signer(ec.generate_private_key(ec.SECP256R1()))
    keys = {key_id(signer.public_key): signer.public_key}
    claims = Claims(kind_named(kind), subject, 1, dict(body), issuer="acq")
    with pytest.raises(Refused) as refused:
        verified(Verifier(), "T1", where, signer.sign(where, claims), keys)
    assert refused.value.code == "wrong_topic"
