"""Our back end against a terminal: what it orders rightly is obeyed, and what is wrong with an order is found."""

import time
from dataclasses import asdict

import pytest
from back_end import LIMIT_S, ORDER, BackEnd
from cryptography.hazmat.primitives.asymmetric import ec

pytestmark = pytest.mark.reinstate(runtime="cpython", time="real")  # our back end has a clock of its own


@pytest.fixture
def back_end(terminal, acquirer, tmp_path):
    """It speaks in the acquirer's name from now on; the terminal is in service, and was told the time."""
    with BackEnd(**asdict(acquirer.hand_over(tmp_path))) as back_end:
        terminal.do("boot")
        terminal.expect("state", "in_service")
        assert back_end.was_asked.wait(LIMIT_S)
        yield back_end


def test_its_order_is_obeyed(terminal, acquirer, back_end):
    order = back_end.suspend("maintenance", "V-17")
    assert back_end.obeyed(order)
    assert acquirer.receipt_of(order)["result"] == "SUCC"
    terminal.expect("state", "suspended")
    terminal.expect("page", "suspended")


def late(back_end):
    return back_end.signed("order", ORDER, {1: "suspend", 2: "maintenance"}, back_end.sequence + 1, expires=int(time.time()) - 60)


def repeated(back_end):
    return back_end.signed("order", ORDER, {1: "suspend", 2: "maintenance"}, back_end.sequence)


def altered(back_end):
    order = back_end.signed("order", ORDER, {1: "suspend", 2: "maintenance"}, back_end.sequence + 1)
    return order[:-1] + bytes([order[-1] ^ 1])


def by_another_key(back_end):
    back_end.key = ec.generate_private_key(ec.SECP256R1())
    return back_end.signed("order", ORDER, {1: "suspend", 2: "maintenance"}, back_end.sequence + 1)


@pytest.mark.parametrize(
    ("order", "refusal"), [(late, "expired"), (repeated, "replayed"), (altered, "bad_signature"), (by_another_key, "unknown_key")]
)
def test_a_wrong_order_is_refused_and_changes_nothing(terminal, acquirer, back_end, order, refusal):
    message = back_end.publish("order", order(back_end))
    assert acquirer.receipt_of(message)["refusal"] == refusal
    assert terminal.state["mode"] == "in_service"
