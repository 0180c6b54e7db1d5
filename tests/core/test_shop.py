"""What the merchant sets himself: one write each, told to the acquirer by its name alone, and refused where it cannot be."""

from firmware_agent.flows.menu.shop_flow import shop_flow
from firmware_agent.messages.cbor import decode
from firmware_agent.messages.events import PREFIX as EVENTS
from firmware_agent.settings import Settings
from firmware_agent.shop import OWN, SENTENCES, code_of, is_ways, kind_of, promotion_now, promotion_of, promotion_until, ways_of
from hal.errors import E_TIMEOUT, DeviceError
from tests.core.parts import NOW_S, Flash, Time
from tests.core.person import Person, Slips
from tests.core.terminal_parts import boot, provisioned

LANGUAGE, NAME, PHONE, KIND, WAYS, CODE, PROMOTION, LINE = "12345678"
PROMOTIONS = sorted(SENTENCES)


class Scanner:
    def __init__(self, found):
        self.found = found

    async def scan(self, timeout_ms):
        if isinstance(self.found, DeviceError):
            raise self.found
        return self.found


def world(is_set=True):
    flash = Flash()
    provisioned(flash)
    time = Time()
    terminal = boot(flash, time, is_set)
    terminal.time = time
    return terminal, Settings(terminal.store)


def at(terminal, settings, keys, slips=None):
    """What a person saw who pressed these keys."""
    person = Person(keys, slips, terminal.time)
    terminal.time.run(shop_flow(terminal, person, settings, person.has_left))
    return person


def told(terminal):
    return [tuple(decode(terminal.store.get(key))[:2]) for key in terminal.store.keys(EVENTS)]


def test_each_setting_is_typed_or_chosen_and_the_acquirer_hears_which_and_no_value():
    terminal, settings = world()
    person = at(terminal, settings, "%s 1 %s 2 enter %s 1 2 3 enter %s 1 cancel" % (LANGUAGE, NAME, PHONE, KIND))
    assert [settings.get(name) for name in ("language", "contact_name", "contact_phone", "merchant_kind")] == [
        "en",
        "A",
        "123",
        "individual",
    ]
    assert told(terminal) == [("shop_changed", name) for name in ("language", "contact_name", "contact_phone", "merchant_kind")]
    assert person.texts.language == "en" and kind_of(settings) == "individual"
    assert "shop.merchant_kind\tmerchant.individual" in person.page("shop").lines[3]


def test_the_official_line_stands_there_and_only_the_acquirer_sets_it():
    terminal, settings = world()
    settings.set("service_line", "95516")
    person = at(terminal, settings, LINE + " 1 cancel")
    assert "shop.line_how 95516" in person.page("note").lines
    assert settings.get("service_line") == "95516"


def test_ways_to_pay_are_marked_and_unmarked_by_their_numbers():
    terminal, settings = world()
    person = at(terminal, settings, WAYS + " 1 3 1 4 cancel")
    assert settings.get("other_ways") == "transfer,other_till" and ways_of(settings) == ("transfer", "other_till")
    assert [line.split(" ")[1] for line in person.page("shop.other_ways").lines] == [
        "shop.unmarked",
        "shop.unmarked",
        "shop.marked",
        "shop.marked",
    ]


def test_a_code_of_another_channel_is_scanned_typed_and_taken_away():
    terminal, settings = world()
    terminal.hal.scanner = Scanner("https://pay.example/17")
    at(terminal, settings, CODE + " 1 cancel")
    assert settings.get("other_way_code") == "https://pay.example/17" and code_of(settings) == ""
    settings.set("other_ways", "cash,code")
    assert code_of(settings) == "https://pay.example/17"
    at(terminal, settings, CODE + " 2 clear 8 enter cancel")
    assert settings.get("other_way_code") == "https://pay.example/1T"
    at(terminal, settings, CODE + " 3 cancel")
    assert settings.get("other_way_code") == ""
    for found in (None, DeviceError(E_TIMEOUT, "scanner")):
        terminal.hal.scanner = Scanner(found)
        assert "shop.code.none" in at(terminal, settings, CODE + " 1 1 cancel").page("note").lines
    terminal.hal.scanner = None
    assert [key for key, _ in at(terminal, settings, CODE + " cancel").page("shop.code").choices] == ["2"]


def test_a_card_number_is_kept_nowhere():
    terminal, settings = world()
    terminal.hal.scanner = Scanner("4111111111111111")
    person = at(terminal, settings, CODE + " 1 1 cancel")
    assert "shop.refused" in person.page("note").lines and settings.get("other_way_code") == ""
    assert not any(["4111" in line for line in terminal.lines])


def test_a_message_is_chosen_filled_in_and_stands_for_its_days():
    terminal, settings = world()
    place = str(PROMOTIONS.index("money_off") + 1)
    at(terminal, settings, "%s 1 %s 1 0 0 enter 1 0 enter 3 enter cancel" % (PROMOTION, place))
    assert settings.get("promotion") == "money_off 100 10" and promotion_until(terminal, settings) == NOW_S + 3 * 86400
    assert told(terminal) == [("shop_changed", "promotion promotion_until")]
    slips = Slips()
    at(terminal, settings, PROMOTION + " 3 cancel", slips)
    assert slips.lines == ["promotion.money_off 100 10"]
    at(terminal, settings, PROMOTION + " 2 cancel")
    assert settings.get("promotion") == "" and promotion_now(terminal, settings) is None


def test_a_message_in_own_words_for_1_to_90_days():
    terminal, settings = world()
    at(terminal, settings, "%s 1 %d 2 enter 0 enter clear 9 1 enter clear clear 9 enter cancel" % (PROMOTION, len(SENTENCES) + 1))
    promotion = promotion_now(terminal, settings)
    assert (promotion.word, promotion.text) == (OWN, "A") and promotion_until(terminal, settings) == NOW_S + 9 * 86400


def test_without_the_time_no_message_is_begun_that_nobody_could_end():
    terminal, settings = world(is_set=False)
    person = at(terminal, settings, PROMOTION + " 1 1 cancel")
    assert "shop.promotion.no_clock" in person.page("note").lines and settings.get("promotion") == ""


def test_who_leaves_on_the_way_changes_nothing():
    terminal, settings = world()
    for keys in ("1 cancel", "1 1 cancel", "1 2 cancel", "1 2 5 enter cancel", "1 %d cancel" % (len(SENTENCES) + 1)):
        at(terminal, settings, "%s %s" % (PROMOTION, keys))
    at(terminal, settings, "%s cancel %s 2 cancel" % (LANGUAGE, NAME))
    assert told(terminal) == [] and settings.get("promotion") == settings.get("contact_name") == ""


def test_values_that_mean_nothing_count_as_not_set():
    _, settings = world()
    for name, value in (("other_ways", "gold"), ("merchant_kind", "shop")):
        settings.set(name, value)
    assert ways_of(settings) == () and kind_of(settings) == "merchant"
    assert is_ways("") and not is_ways("cash,cash")
    for value in ("", "sale", "discount", "discount 1234567", "gift 1 2", "own " + "x" * 80):
        assert promotion_of(value) is None, value
    for word in SENTENCES:
        value = " ".join([word] + ["7"] * SENTENCES[word])
        assert promotion_of(value).value == value
