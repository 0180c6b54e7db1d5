"""What an answer of the payment host says about the terminal: a table of codes, and what refused cards come to."""

from firmware_agent.payment.suspicion import ACCEPTED, AGAIN, BUSY, DAY_MS, NETWORK, NOTHING, REFUSED, SUSPENDS, Suspicion, wait_ms
from firmware_agent.state.reasons import reason_kind
from hal.payment import ECHO, REVERSAL, SALE, SIGN_IN, Answer

# (code, sub-code, requirement) in the answer to a sign-in -> what it comes to, and the reason that then holds.
SIGN_INS = (
    ("00", "", 0, ACCEPTED, ""),
    ("A6", "", 0, ACCEPTED, ""),
    ("03", "", 0, SUSPENDS, "account_issue"),
    ("97", "", 0, SUSPENDS, "account_issue"),
    ("58", "", 0, SUSPENDS, "account_issue"),
    ("03", "A003", 0, SUSPENDS, "account_issue"),
    ("30", "A097", 0, SUSPENDS, "account_issue"),
    ("03", "A258", 0, SUSPENDS, "contract_ended"),
    ("03", "A658", 0, SUSPENDS, "violation"),
    ("58", "A758", 0, SUSPENDS, "compliance"),
    ("77", "", 0, AGAIN, ""),
    ("99", "", 0, AGAIN, ""),
    ("A0", "", 0, AGAIN, ""),
    ("22", "", 0, AGAIN, ""),
    ("30", "A177", 0, AGAIN, ""),
    ("00", "", 3, AGAIN, ""),
    ("03", "", 3, AGAIN, ""),
    ("90", "", 0, BUSY, ""),
    ("96", "", 0, BUSY, ""),
    ("91", "", 0, NETWORK, ""),
    ("92", "", 0, NETWORK, ""),
    ("98", "", 0, NETWORK, ""),
    ("68", "", 0, NETWORK, ""),
    ("05", "", 0, REFUSED, ""),
    ("57", "", 0, REFUSED, ""),
    ("ZZ", "", 0, REFUSED, ""),
    ("00", "", 2, ACCEPTED, ""),
)


def judged(*answers):
    suspicion = Suspicion()
    return [suspicion.judge(answer) for answer in answers][-1]


def refused(card, code="03"):
    return Answer(SALE, code, card=card)


def test_each_answer_to_a_sign_in_says_what_the_table_says():
    for code, sub_code, requirement, what, reason in SIGN_INS:
        verdict = judged(Answer(SIGN_IN, code, sub_code, requirement))
        assert (verdict.what, verdict.reason) == (what, reason), (code, sub_code, requirement)
        assert verdict.tell_state == (requirement == 2)
        if reason:
            assert reason_kind(reason).found_by_terminal, reason


def test_what_the_host_said_is_told_in_its_own_words():
    assert judged(Answer(SIGN_IN, "03")).note == "payment host 0810 03"
    assert judged(Answer(SIGN_IN, "03", "A258")).note == "payment host 0810 03 A258"
    assert judged(Answer(ECHO, "96")).note == "payment host 0830 96"
    assert judged(None).note == "payment host silent"


def test_no_answer_is_the_networks():
    assert judged(None).what == NETWORK


def test_the_same_code_in_another_answer_says_nothing_about_the_terminal():
    for asked in (SALE, REVERSAL, ECHO):
        for code in ("03", "58", "97"):
            for sub_code in ("", "A258", "A658"):
                assert judged(Answer(asked, code, sub_code)).what == NOTHING


def test_a_host_that_wants_a_sign_in_is_heard_in_any_answer():
    for asked in (SALE, ECHO):
        assert judged(Answer(asked, "77")).what == AGAIN
        assert judged(Answer(asked, "00", "", 3)).what == AGAIN


def test_three_different_cards_in_a_row_make_the_terminal_ask_and_only_a_failed_sign_in_suspends():
    cards = [refused(1), refused(2, "58"), refused(3, "97")]
    assert judged(*cards[:2]).what == NOTHING
    assert judged(*cards).what == AGAIN
    verdict = judged(*(cards + [Answer(SIGN_IN, "05")]))
    assert (verdict.what, verdict.reason) == (SUSPENDS, "account_issue")
    assert judged(*(cards + [Answer(SIGN_IN, "00")])).what == ACCEPTED
    assert judged(*(cards + [Answer(SIGN_IN, "00"), Answer(SIGN_IN, "05")])).what == REFUSED
    assert judged(*(cards + [Answer(SIGN_IN, "96")])).what == BUSY
    assert judged(*(cards + [None])).what == NETWORK


def test_the_same_card_three_times_and_a_row_that_was_broken_say_nothing():
    assert judged(refused(1), refused(1), refused(1)).what == NOTHING
    assert judged(refused(1), refused(2), Answer(SALE, "00", card=3), refused(4)).what == NOTHING
    assert judged(refused(1), refused(2), Answer(SALE, "51", card=3), refused(4)).what == NOTHING  # its bank was asked
    assert judged(refused(0), refused(0), refused(0)).what == NOTHING  # which cards they were nobody knows


def test_it_signs_in_again_soon_and_then_seldom():
    waits = [wait_ms(failures) for failures in (1, 2, 3, 6, 7, 8, 1000)]
    assert waits == [60000, 120000, 240000, 1920000, 3600000, 3600000, 3600000]
    assert wait_ms(0) == DAY_MS
