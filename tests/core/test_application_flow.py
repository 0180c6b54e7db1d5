"""The application at the counter: a form from lists, read through, sealed and sent; after a refusal the appeal, level by level."""

from firmware_agent.application import draft
from firmware_agent.application.applicant import NAME, STATEMENT, TELEPHONE
from firmware_agent.application.draft import LEVEL, MATERIALS, SENTENCES, WORDS, Draft
from firmware_agent.flows.entry import KEEP_MS
from firmware_agent.flows.recovery import application_flow
from firmware_agent.flows.recovery.application_flow import STATEMENTS
from firmware_agent.flows.recovery.recovery_flow import ENTRY_MS
from firmware_agent.messages.cbor import encode
from firmware_agent.state.machine import Lifted, ReviewAnswered
from firmware_agent.state.reasons import REASON_KINDS
from tests.core.parts import PowerCut
from tests.core.recovery_parts import SEALING_KEY, Shop
from tests.core.support import raises


def form(merchant):
    """The form as it was seen last."""
    return [page for page in merchant.pages if page.name == "recovery.application"][-1]


def rejected(shop, remark="no"):
    shop.terminal.apply([ReviewAnswered(shop.state.application, "rejected", remark)])


def test_what_is_entered_outlives_a_power_cut_at_each_page():
    shop = Shop("violation", step="application")
    shop.settings.set("contact_phone", "0101234567")
    for keys in (("4", "1"), ("4", "3", "4", "enter"), ("3", "2", "enter"), ("4", "0", "6", "enter"), ("3", "enter", "help", "8", "enter")):
        shop.press(*keys)
        shop.boot()
    held = Draft(shop.terminal)
    assert held.items(SENTENCES) == ["violation.1", "violation.3", "violation.4"] and held.text(WORDS) == "M"
    assert held.text(draft.NAME) == "A" and held.text(draft.TELEPHONE) == "0101234567+8"
    assert "form.sentences 4" in form(shop.press()).lines
    assert shop.state.step == "application", "nothing was sent"


# Entry, the keys that lead to it, and what stands in it after each write: KEEP_MS pass between its keys.
ENTRIES = (
    ("words", draft.WORDS, ("4", "0"), ("", "MD", "MDA"), "MDAT"),
    ("contact.name", draft.NAME, ("3",), ("", "MD", "MDA"), "MDAT"),
    ("contact.telephone", draft.TELEPHONE, ("3", "enter"), ("", "63", "632"), "6328"),
)
TYPED = ("6", "3", KEEP_MS, "2", KEEP_MS, "8")


def stands_in(merchant, name):
    """What the entry of that name began with."""
    page = [page for page in merchant.pages if page.name == name][0]
    return page.lines[0].replace("activation.place", "")


def at_entry(opened):
    """A shop in which the form was opened before, so that on the way to the entry nothing is written any more."""
    shop = Shop("violation", step="application")
    shop.press(*opened)
    return shop


def test_a_half_typed_entry_is_there_again_after_a_power_cut():
    for name, key, opened, kept, whole in ENTRIES:
        for write in (1, 2):
            for keep_bytes in (0, 100000):
                shop = at_entry(opened)
                shop.flash.cut(write, keep_bytes)
                raises(PowerCut, shop.press, *opened + TYPED)
                shop.flash.power_up()
                shop.boot()
                assert stands_in(shop.press(*opened + ("clear",)), name) == kept[write - 1 + bool(keep_bytes)], (name, write)
        shop = at_entry(opened)
        shop.press(*opened + TYPED + (ENTRY_MS,))  # and nobody is there any more
        shop.boot()
        assert stands_in(shop.press(*opened + ("enter",)), name) == whole
        assert Draft(shop.terminal).text(key) == whole and shop.terminal.store.get(draft.TYPING) is None


def test_what_is_typed_and_cancelled_is_gone_and_what_was_entered_before_stands():
    for name, key, opened, _, _ in ENTRIES:
        shop = at_entry(opened)
        shop.press(*opened + ("2", "3", "4", "enter"))
        shop.press(*opened + TYPED + ("cancel",))
        assert shop.terminal.store.get(draft.TYPING) is None
        assert stands_in(shop.press(*opened + ("clear",)), name) == Draft(shop.terminal).text(key) in ("ADG", "234")


def test_a_half_typed_entry_is_of_its_own_record_only_and_has_no_card_number():
    shop = at_entry(("4", "0"))
    shop.press("4", "0", *TYPED, ENTRY_MS)
    assert stands_in(shop.press("3", "clear"), "contact.name") == ""
    held = Draft(shop.terminal)
    held.type_on(WORDS, "my card 4111111111111111")
    assert held.half_typed(WORDS) == "my card ************1111" and held.half_typed(draft.NAME) is None
    for record in (b"", b"\xff", encode([WORDS]), encode([WORDS, 3]), encode("x")):
        shop.terminal.store.put(draft.TYPING, record)
        assert held.half_typed(WORDS) is None


def test_who_types_on_a_storage_that_refuses_goes_on_typing():
    shop = at_entry(("4", "0"))
    shop.flash.broken = True
    merchant = shop.press("4", "0", *TYPED)
    assert [page for page in merchant.pages if page.name == "words"][-1].lines[0] == "MDATactivation.place"


def test_the_half_typed_entry_is_forgotten_with_the_draft():
    shop = at_entry(("4", "0"))
    shop.press("4", "0", *TYPED, ENTRY_MS)
    assert shop.terminal.store.get(draft.TYPING) is not None
    shop.terminal.apply([Lifted("violation")])
    assert shop.terminal.store.get(draft.TYPING) is None


def test_what_is_sent_was_read_word_for_word_and_is_sealed():
    shop = Shop("violation", step="application")
    shop.settings.set("contact_name", "Chen")
    shop.settings.set("contact_phone", "0101234567")
    told = []

    async def seal(element, recipient, plain, context):
        told.append((recipient, plain, context))
        return b"sealed"

    held, application_flow.sealed_applicant.__globals__["seal"] = application_flow.sealed_applicant.__globals__["seal"], seal
    try:
        merchant = shop.press("1", "4", "6", "enter", "1", "cancel", "1", "1")
    finally:
        application_flow.sealed_applicant.__globals__["seal"] = held
    lines = [page for page in merchant.pages if page.name == "confirm_form"][-1].lines
    sentences = ["statement.violation.4", "statement.violation.6"]
    for line in ["recovery.contact.terminal T0000001", "recovery.contact.case C-1", "Chen", "0101234567", "form.level level.0"] + sentences:
        assert line in lines, line
    plain = encode({NAME: "Chen", TELEPHONE: "0101234567", STATEMENT: "\n".join(sentences)})
    assert told == [(SEALING_KEY, plain, "poi/v1/acq1/T0000001/application")]
    (body,) = shop.queued("application")
    assert body["sealed"] == b"sealed" and body["materials"] == [10]


def test_nothing_is_sent_before_there_is_a_statement_and_a_last_look():
    shop = Shop("dormant", step="application")
    assert shop.press("1", "enter", "1", "cancel").names[-1] == "recovery.application"
    assert shop.press("1", "1", "enter", "1", "cancel").names[-2:] == ["confirm_form", "recovery.application"]
    assert shop.queued("application") == []
    assert shop.press("2").names == ["recovery.application"] and shop.state.mode == "suspended"


def test_a_name_or_number_that_cannot_be_one_is_asked_for_again_and_a_card_number_is_never_kept():
    shop = Shop("violation", step="application")
    assert shop.press("3", "enter", "1", "1", "enter", "1").names[-2:] == ["note", "recovery.application"]
    card = list("4111111111111111")
    shop.press("3", "enter", *(card + ["enter", "1"]))
    shop.press(*(["3", "enter"] + card + ["enter"]))
    everything = b"".join([bytes(shop.flash.files[name]) for name in shop.flash.files])
    assert b"4111111111111111" not in everything
    assert Draft(shop.terminal).text(draft.TELEPHONE) == ""


def test_who_goes_away_while_typing_finds_the_form_again():
    shop = Shop("violation", step="application")
    merchant = shop.press("3", "2", ENTRY_MS, "1")
    assert merchant.names[:3] == ["recovery.application", "contact.name", "recovery.application"]
    assert Draft(shop.terminal).text(draft.NAME) == ""


def test_without_a_sealing_key_contact_and_statement_are_not_asked_for():
    shop = Shop("violation", step="application")
    shop.terminal.identity = shop.terminal.identity.changed(sealing_key=b"")
    merchant = shop.press("1", "1")
    assert [key for key, _ in merchant.pages[0].choices] == ["1", "2"]
    assert shop.state.step == "review" and "sealed" not in shop.queued("application")[0]


def test_a_refusal_opens_the_appeal_and_its_refusal_that_to_the_superior():
    shop = Shop("violation", step="application")
    send = ("1", "1")
    assert [key for key, _ in form(shop.press()).choices] == ["1", "2", "3", "4"]
    shop.press("4", "1", "enter", *send)
    for level, word in ((1, "form.level level.1"), (2, "form.level level.2")):
        rejected(shop)
        merchant = shop.press("5")
        assert word in form(merchant).lines and "recovery.review.remark no" in form(merchant).lines
        shop.boot()
        if level == 1:  # it needs the explanation, whatever else is ready
            assert shop.press("1", "2").names[:2] == ["recovery.application", "explanation"]
            assert shop.state.step == "application"
            shop.press("1", "1", "1")
            assert Draft(shop.terminal).items(MATERIALS) == [9]
        else:
            shop.press(*send)
        assert shop.state.step == "review" and shop.state.level == level
        body = shop.queued("application")[-1]
        assert (body["purpose"], body["level"], body["application"]) == ("appeal", level, level + 1) and 9 in body["materials"]
        assert Draft(shop.terminal).number(LEVEL) == 0
    rejected(shop)
    assert [key for key, _ in form(shop.press()).choices] == ["1", "2", "3", "4"], "above the superior there is nobody"
    shop.press(*send)
    assert shop.queued("application")[-1]["purpose"] == "reactivation"


def test_an_appeal_can_be_thought_better_of_and_is_not_open_for_each_reason():
    shop = Shop("violation", step="application")
    shop.press("4", "1", "enter", "1", "1")
    rejected(shop)
    assert "form.level level.0" in form(shop.press("5", "5")).lines
    shop = Shop("contract_ended", step="application")
    shop.press("4", "1", "enter", "1", "1")
    rejected(shop)
    assert [key for key, _ in form(shop.press()).choices] == ["1", "2", "3", "4"]


def test_an_answer_to_another_application_decides_nothing():
    shop = Shop("violation", step="application")
    shop.press("4", "1", "enter", "1", "1")
    shop.terminal.apply([ReviewAnswered(7, "approved")])
    assert shop.state.step == "review" and shop.state.review == "sent"


def test_an_application_that_the_store_refuses_was_not_sent():
    from firmware_agent.store import StoreError

    shop = Shop("violation", step="application")
    shop.press("4", "1", "enter")
    shop.flash.broken = True
    raises(StoreError, shop.press, "1", "1")
    shop.flash.broken = False
    shop.boot()
    assert shop.state.step == "application" and shop.queued("application") == []
    assert Draft(shop.terminal).items(SENTENCES) == ["violation.1"]


def test_each_reason_that_is_reviewed_has_sentences_to_choose_from():
    for kind in REASON_KINDS:
        assert kind.code == "tamper" or (STATEMENTS.get(kind.code, 0) >= 4) == kind.review, kind.code
