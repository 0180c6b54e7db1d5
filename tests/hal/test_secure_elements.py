"""What every secure element promises, asked of each: in software, and of the chip."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from hal.compat import p256
from hal.device import HEALTH_SUCCESS, Device
from hal.drivers.atecc608 import Atecc608
from hal.drivers.software_key import SoftwareKey
from hal.errors import E_DISABLED, E_ILLEGAL, E_NOEXIST
from hal.secure_element import CONTRACT
from host_sim.chips.flash import Flash
from tests.hal.wired import BOARD, Wired

DIGEST = sha256(b"a message").digest()
ANOTHER = sha256(b"another message").digest()
CURVE = p256()


class Bench(Wired):
    """element: brought up; `restarted()` gives one that knows only what lasts."""

    def __init__(self, part: str) -> None:
        super().__init__()
        flash = Flash()
        address = BOARD["parts"]["secure_element"]["address"]
        makers: dict[str, Callable[[], Any]] = {
            "software_key": lambda: SoftwareKey(flash),
            "atecc608": lambda: Atecc608(self.i2c("element_bus"), address, self.clock),
        }
        self._make = makers[part]
        self.element: Any = self.restarted()

    def restarted(self) -> Any:
        self.bench.power_cycle()
        element: Device = self._make()
        self.bring_up(element)
        return element


@pytest.fixture(params=["software_key", "atecc608"])
def on(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def test_it_keeps_the_contract(on: Bench) -> None:
    assert CONTRACT.missing(on.element) == []
    assert on.element.in_hardware is (on.element.part == "atecc608")


def test_a_made_key_signs_and_its_signature_verifies_here_and_elsewhere(on: Bench) -> None:
    public = on.run(on.element.generate_key(0))
    assert len(public) == 64 and on.run(on.element.public_key(0)) == public
    signature = on.run(on.element.sign(0, DIGEST))
    assert len(signature) == 64
    assert CURVE.verify(public, DIGEST, signature)
    assert on.run(on.element.verify(public, DIGEST, signature)) is True
    assert on.run(on.element.verify(public, ANOTHER, signature)) is False


def test_any_public_key_may_be_verified_with(on: Bench) -> None:
    private = sha256(b"a private key").digest()
    public, signature = CURVE.public_key(private), CURVE.sign(private, DIGEST)
    assert on.run(on.element.verify(public, DIGEST, signature)) is True
    assert on.run(on.element.verify(memoryview(public), memoryview(DIGEST), memoryview(signature))) is True
    for wrong in (bytes(64), b"\xff" * 64, public[:63], public + b"\x00", b""):
        assert on.run(on.element.verify(wrong, DIGEST, signature)) is False
    for wrong in (bytes(64), b"\xff" * 64, signature[:63], signature + b"\x00", b"", signature[32:] + signature[:32]):
        assert on.run(on.element.verify(public, DIGEST, wrong)) is False


def test_a_new_key_replaces_the_old_one_and_no_other(on: Bench) -> None:
    old, other = on.run(on.element.generate_key(0)), on.run(on.element.generate_key(1))
    new = on.run(on.element.generate_key(0))
    assert len({old, other, new}) == 3
    assert (on.run(on.element.public_key(0)), on.run(on.element.public_key(1))) == (new, other)
    assert not CURVE.verify(old, DIGEST, on.run(on.element.sign(0, DIGEST)))


def test_keys_stay_after_a_restart(on: Bench) -> None:
    keys = [on.run(on.element.generate_key(slot)) for slot in (0, 1)]
    again = on.restarted()
    assert [on.run(again.public_key(slot)) for slot in (0, 1)] == keys
    assert CURVE.verify(keys[1], DIGEST, on.run(again.sign(1, DIGEST)))


def test_an_empty_slot_does_not_exist(on: Bench) -> None:
    assert on.error_of(on.element.public_key(1)).code == E_NOEXIST
    assert on.error_of(on.element.sign(1, DIGEST)).code == E_NOEXIST


def test_an_erased_key_never_signs_again(on: Bench) -> None:
    public, other = on.run(on.element.generate_key(0)), on.run(on.element.generate_key(1))
    on.run(on.element.erase(0))
    on.run(on.element.erase(0))
    assert on.error_of(on.element.public_key(0)).code == E_NOEXIST
    assert on.error_of(on.element.sign(0, DIGEST)).code == E_NOEXIST
    assert on.run(on.element.public_key(1)) == other
    again = on.restarted()
    if again.part == "atecc608":  # it shows the key that was put in place, which nobody was told of
        assert on.run(again.public_key(0)) != public
        assert not CURVE.verify(public, DIGEST, on.run(again.sign(0, DIGEST)))
    else:
        assert on.error_of(again.public_key(0)).code == E_NOEXIST
    assert on.run(again.generate_key(0)) == on.run(again.public_key(0))


def test_slots_and_digests_out_of_range_are_illegal(on: Bench) -> None:
    for call in (on.element.generate_key, on.element.public_key, on.element.erase):
        assert on.error_of(call(-1)).code == E_ILLEGAL
        assert on.error_of(call(16)).code == E_ILLEGAL
    on.run(on.element.generate_key(0))
    for digest in (b"", DIGEST[:31], DIGEST + b"\x00"):
        assert on.error_of(on.element.sign(0, digest)).code == E_ILLEGAL


def test_random_numbers_have_the_length_asked_for_and_differ(on: Bench) -> None:
    for length in (0, 1, 32, 64, 100):
        assert len(on.run(on.element.random(length))) == length
    assert on.run(on.element.random(16)) != on.run(on.element.random(16))


def test_a_transport_key_is_a_pair_and_another_each_time(on: Bench) -> None:
    private, public = on.run(on.element.transport_key())
    assert len(private) == 32 and CURVE.public_key(private) == public
    assert on.run(on.element.transport_key())[0] != private
    assert on.error_of(on.element.public_key(0)).code == E_NOEXIST


def test_it_agrees_by_a_key_that_is_used_once(on: Bench) -> None:
    private = sha256(b"the other side's private key").digest()
    own, secret = on.run(on.element.agree(CURVE.public_key(private)))
    assert len(own) == 64 and CURVE.agree(private, own) == secret
    assert on.run(on.element.agree(CURVE.public_key(private)))[0] != own
    assert on.error_of(on.element.public_key(0)).code == E_NOEXIST
    for wrong in (bytes(64), b"\xff" * 64, own[:63], own + b"\x00", b"", own[32:] + own[:32]):
        assert on.error_of(on.element.agree(wrong)).code == E_ILLEGAL


def test_a_counter_of_its_own_is_never_set_back() -> None:
    on = Bench("atecc608")  # the only one of level 2
    before = on.run(on.element.count(False))
    assert on.run(on.element.count(True)) == before + 1
    assert on.run(on.restarted().count(False)) == before + 1


def test_it_is_healthy_with_keys_and_without(on: Bench) -> None:
    for keys in (0, 1, 2):
        health = on.run(on.element.check_health())
        assert (health.outcome, health.cause, health.measurements["keys"]) == (HEALTH_SUCCESS, "", keys)
        on.run(on.element.generate_key(keys))


def test_nothing_works_once_disabled(on: Bench) -> None:
    on.element.disable()
    for call in (
        on.element.generate_key(0),
        on.element.public_key(0),
        on.element.sign(0, DIGEST),
        on.element.verify(bytes(64), DIGEST, bytes(64)),
        on.element.erase(0),
        on.element.random(1),
        on.element.transport_key(),
        on.element.agree(bytes(64)),
    ):
        assert on.error_of(call).code == E_DISABLED
