"""Activation codes at the acquirer: one number, one use, one week, few tries, and nothing in the registry that opens."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from firmware_agent.identity.activation import check_digit, is_code
from host_sim.acquirer.activation import CODE_LIFETIME_S, TRIES_OF_A_CODE, TRIES_OF_A_DEVICE, WINDOW_S, Codes, NotActivated
from host_sim.acquirer.registry import Registry

NOW_S = 1_795_305_600
KID = b"\x01" * 8
OTHER_KID = b"\x02" * 8


@pytest.fixture
def codes() -> Codes:
    return Codes(Registry().engine)


def refusal(codes: Codes, code: str, device: str = "d1", kid: bytes = KID, now_s: int = NOW_S) -> str:
    with pytest.raises(NotActivated) as caught:
        codes.use(code, device, kid, now_s)
    return caught.value.code


def wrong(code: str, by: int = 1) -> str:
    """Another code with the same beginning."""
    digits = code[:4] + f"{(int(code[4:-1]) + by) % 10**7:07}"
    return digits + check_digit(digits)


def test_a_code_gives_the_number_it_was_issued_for(codes: Codes) -> None:
    first, second = codes.issue("T1", NOW_S), codes.issue("T2", NOW_S)
    assert is_code(first) and is_code(second) and first[:4] != second[:4]
    assert codes.use(second, "d2", KID, NOW_S) == "T2"
    assert codes.use(first, "d1", KID, NOW_S) == "T1"


def test_a_code_is_used_once_save_by_the_same_key_of_the_same_device(codes: Codes) -> None:
    code = codes.issue("T1", NOW_S)
    codes.use(code, "d1", KID, NOW_S)
    assert refusal(codes, code, "d2") == "used"
    assert refusal(codes, code, "d1", OTHER_KID) == "used"
    assert codes.use(code, "d1", KID, NOW_S + 60) == "T1"


def test_a_later_code_for_the_same_terminal_ends_the_earlier_one_used_or_not(codes: Codes) -> None:
    code = codes.issue("T1", NOW_S)
    codes.use(code, "d1", KID, NOW_S)
    codes.issue("T1", NOW_S)
    assert refusal(codes, code) == "used"


def test_a_code_expires_and_that_is_told_to_who_has_it_only(codes: Codes) -> None:
    code = codes.issue("T1", NOW_S)
    later_s = NOW_S + CODE_LIFETIME_S
    assert refusal(codes, wrong(code), "d1", now_s=later_s) == "wrong_code"
    assert refusal(codes, code, "d1", now_s=later_s) == "expired"
    assert codes.use(codes.issue("T1", NOW_S), "d1", KID, later_s - 1) == "T1"


def test_wrong_tries_burn_a_code_whoever_makes_them(codes: Codes) -> None:
    code = codes.issue("T1", NOW_S)
    for number in range(TRIES_OF_A_CODE):
        assert refusal(codes, wrong(code, 1 + number), f"d{number}") == "wrong_code"
    assert refusal(codes, code, "d9") == "too_many_tries"


def test_one_try_less_burns_nothing(codes: Codes) -> None:
    code = codes.issue("T1", NOW_S)
    for number in range(TRIES_OF_A_CODE - 1):
        refusal(codes, wrong(code, 1 + number))
    assert codes.use(code, "d1", KID, NOW_S) == "T1"


def test_a_device_that_guesses_is_not_listened_to_for_a_day(codes: Codes) -> None:
    code = codes.issue("T1", NOW_S)
    absent = f"{(int(code[:4]) + 1) % 10**4:04}" + code[4:-1]
    for _ in range(TRIES_OF_A_DEVICE):
        assert refusal(codes, absent + check_digit(absent)) == "wrong_code"
    assert refusal(codes, code) == "too_many_tries"
    assert refusal(codes, code, now_s=NOW_S + WINDOW_S - 1) == "too_many_tries"
    assert codes.use(code, "d2", KID, NOW_S) == "T1"
    assert codes.use(codes.issue("T1", NOW_S), "d1", KID, NOW_S + WINDOW_S) == "T1"


@pytest.mark.parametrize("code", ["", "1", "x" * 12, "0" * 400, "１２３４５６７８９０１２"])
def test_what_is_no_code_is_wrong(codes: Codes, code: str) -> None:
    codes.issue("T1", NOW_S)
    assert refusal(codes, code) == "wrong_code"


def test_an_activation_that_comes_again_is_known(codes: Codes) -> None:
    assert codes.is_new("d1", 100000001)
    assert not codes.is_new("d1", 100000001)
    assert not codes.is_new("d1", 100000000)
    assert codes.is_new("d2", 100000000) and codes.is_new("d1", 100000002)


def test_the_registry_holds_no_code() -> None:
    registry = Registry()
    code = Codes(registry.engine).issue("T1", NOW_S)
    with registry.engine.connect() as connection:
        rows = connection.execute(text("select * from activation_codes")).all()
    assert len(rows) == 1 and code[4:] not in repr(rows)


def test_codes_outlive_the_process(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/registry.db"
    registry = Registry(url)
    code = Codes(registry.engine).issue("T1", NOW_S)
    registry.close()
    assert Codes(Registry(url).engine).use(code, "d1", KID, NOW_S) == "T1"


def silenced(codes: Codes, device: str) -> str:
    """A code that the device might type, had it not typed so many wrong ones."""
    for _ in range(TRIES_OF_A_DEVICE):
        assert refusal(codes, "1" * 12, device) == "wrong_code"
    code = codes.issue("T1", NOW_S)
    assert refusal(codes, code, device) == "too_many_tries"
    return code


def test_a_device_whose_tries_are_forgotten_may_try_again_at_once_and_no_other(codes: Codes) -> None:
    code = silenced(codes, "d1")
    silenced(codes, "d2")
    code = codes.issue("T1", NOW_S)
    assert codes.forget_tries("d1") and not codes.forget_tries("d1") and not codes.forget_tries("d3")
    assert refusal(codes, code, "d2") == "too_many_tries"
    assert codes.use(code, "d1", KID, NOW_S) == "T1"


def test_a_terminals_tries_are_those_of_the_device_in_its_place(codes: Codes) -> None:
    codes.note_place("d1", "T1")
    codes.note_place("d2", "T9")
    codes.note_place("d2", "T2")
    code = silenced(codes, "d1")
    assert not codes.forget_tries(terminal="T2") and not codes.forget_tries(terminal="T9")
    assert codes.forget_tries(terminal="T1")
    assert codes.use(code, "d1", KID, NOW_S) == "T1"


def test_a_burnt_code_stays_burnt(codes: Codes) -> None:
    code = codes.issue("T1", NOW_S)
    for number in range(TRIES_OF_A_CODE):
        assert refusal(codes, wrong(code, number + 1)) == "wrong_code"
    assert codes.forget_tries("d1")
    assert refusal(codes, code) == "too_many_tries"
