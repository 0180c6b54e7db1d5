"""Which materials are asked for: the table of the field, and what follows from several reasons at once."""

from firmware_agent.application.materials import AUTOMATIC, IF_ANY, REPORTS, REQUIRED, asks_for_replacement, at_hand, missing, needed
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, REASON_KINDS, Reason

# The table of domain.md: material, for an individual, for a merchant, reasons.
S = {kind.number: kind.code for kind in REASON_KINDS}
TABLE = (
    (1, REQUIRED, REQUIRED, (5, 6, 7, 8, 9, 11)),
    (2, REQUIRED, REQUIRED, (5, 6, 8, 9, 11)),
    (3, None, REQUIRED, (5, 6, 7, 8, 9, 11)),
    (4, None, REQUIRED, (6, 7, 8, 9, 11)),
    (5, REQUIRED, REQUIRED, (2, 8, 11)),
    (6, IF_ANY, IF_ANY, (6, 7, 8, 9, 11)),
    (7, REQUIRED, REQUIRED, (5, 6, 7)),
    (8, IF_ANY, IF_ANY, (2,)),
    (9, REQUIRED, REQUIRED, (6, 7)),
    (10, AUTOMATIC, AUTOMATIC, tuple(range(1, 13))),
)


def of(*numbers):
    return [Reason(S[number], ACTOR_POI if number == 2 else ACTOR_HOST) for number in numbers]


def test_each_reason_asks_for_what_the_table_says():
    for number in S:
        for kind, column in (("individual", 1), ("merchant", 2)):
            wanted = [(row[0], row[column]) for row in TABLE if number in row[3] and row[column]]
            assert needed(of(number), kind, replaced=True) == wanted, (number, kind)


def test_a_repair_asks_for_no_material_and_a_replacement_does():
    assert needed(of(2), "merchant") == [(REPORTS, AUTOMATIC)]
    assert needed(of(2), "merchant", replaced=True) == [(5, REQUIRED), (8, IF_ANY), (REPORTS, AUTOMATIC)]
    assert asks_for_replacement(of(6, 2)) and not asks_for_replacement(of(6))


def test_several_reasons_ask_for_all_that_one_of_them_does_each_once():
    assert [number for number, _ in needed(of(5, 8), "merchant")] == [1, 2, 3, 4, 5, 6, 7, 10]
    assert [number for number, _ in needed(of(5, 8), "individual")] == [1, 2, 5, 6, 7, 10]


def test_an_appeal_needs_the_explanation_whatever_the_reason():
    assert (9, REQUIRED) in needed(of(5), "merchant", appeal=True)
    assert (9, REQUIRED) not in needed(of(5), "merchant")


def test_what_is_required_and_not_ticked_is_missing_and_what_is_ticked_and_asked_for_is_at_hand():
    materials = needed(of(6), "individual")
    assert missing(materials, []) == [1, 2, 7, 9]
    assert missing(materials, [1, 9, 3, 6]) == [2, 7]
    assert at_hand(materials, [1, 9, 3, 6]) == [1, 6, 9, 10]
    assert missing(materials, [1, 2, 7, 9]) == []
