"""The network, set up at the counter: what is asked, what is kept of it, and that no mistake cuts the terminal off."""

from firmware_agent.flows.menu.network_flow import KEY_DRAFT, network_flow, with_digit, with_dot
from firmware_agent.network_trial import TRIAL_MS
from firmware_agent.settings import STATIC
from tests.core.menu_parts import OLD, OWN, Place
from tests.core.parts import PowerCut
from tests.core.support import raises

TO_LIST = ("network:1", "network.warning:1")
PASSWORD = "network.password:2 3 4 5 6 7 8 9 enter"
TO_SUMMARY = TO_LIST + ("networks:1", PASSWORD, "network.addresses:1")
DONE = "network:cancel"


def events(place):
    bodies = [place.terminal.outbox.message(key).body for key in place.terminal.outbox.waiting()]
    named = [(body["name"], body["detail"]) for body in bodies if "name" in body]
    for body in bodies:
        named.extend([(event[0], event[1]) for event in body.get("events", [])])
    return named


def test_a_network_in_range_is_chosen_tried_checked_and_kept():
    place = Place()
    person = place.visit(network_flow, *TO_SUMMARY + ("network.summary:1", "network.kept:1", DONE))
    assert place.settings.network == OWN + (None,) and not place.settings.on_trial
    assert place.radio.joined == OWN + (None,) and place.terminal.connection == 2
    assert place.terminal.store.get(KEY_DRAFT) is None
    assert person.names.index("network.searching") < person.names.index("networks") < person.names.index("network.joining")
    (heard,) = [page for page in person.pages if page.name == "networks"]
    assert heard.lines[0] == "1 shop 2\tnetwork.signal.strong" and heard.lines[1] == "2 cafe\tnetwork.open network.signal.fair"
    assert len(heard.lines) == 4  # whose name hides something is not offered
    assert not [page for page in person.pages if "ADGJMPT" in "".join(page.lines)]  # nobody reads the password


def test_an_open_network_needs_no_password_and_a_name_can_be_typed():
    place = Place()
    place.radio.reachable = [("cafe", ""), ("ADG", "")]
    place.visit(network_flow, *TO_LIST + ("networks:2", "network.addresses:1", "network.summary:1", "network.kept:1", DONE))
    assert place.settings.network == ("cafe", "", None)
    keys = (
        "networks:3",
        "network.name:2 3 4 enter",
        "network.password:enter",
        "network.addresses:1",
        "network.summary:1",
        "network.kept:1",
    )
    place.visit(network_flow, *TO_LIST + keys + (DONE,))
    assert place.settings.network == ("ADG", "", None)


def test_what_cannot_be_a_password_is_told_and_typed_again():
    place = Place()
    keys = TO_LIST + ("networks:1", "network.password:enter", "network.password:2 3 enter")
    person = place.visit(network_flow, *keys)
    assert "network.password_wrong" in "".join(person.pages[-1].lines)


def test_a_radio_that_cannot_look_leaves_the_name_to_be_typed_and_can_look_again():
    place = Place()
    place.radio.heard = None
    person = place.visit(network_flow, *TO_LIST + ("networks:2",))
    assert place.radio.scans == 2 and len(person.pages[-1].lines) == 2


def test_addresses_are_typed_part_by_part_and_have_to_fit():
    place = Place()
    first = "network.static_address:1 9 2 1 6 8 4 enter 7 7 enter"
    others = ("network.static_mask:enter", "network.static_gateway:enter", "network.static_dns:1 1 4 1 1 4 1 1 4 1 1 4 enter")
    keys = TO_LIST + ("networks:1", PASSWORD, "network.addresses:2", first) + others
    person = place.visit(network_flow, *keys + ("network.summary:1", "network.kept:1", DONE))
    static = ("192.168.4.77", "255.255.255.0", "192.168.4.1", "114.114.114.114")
    assert place.radio.joined == OWN + (static,) and place.settings.network == OWN + (static,)
    assert [place.settings.get(name) for name in STATIC] == list(static)
    (summary,) = [page for page in person.pages if page.name == "network.summary"]
    assert "network.static_gateway.title\t192.168.4.1" in summary.lines
    place = Place()
    wrong = ("network.static_mask:enter", "network.static_gateway:1 0 enter 1 enter 1 enter 1 enter", "network.static_dns:enter")
    person = place.visit(network_flow, *TO_LIST + ("networks:1", PASSWORD, "network.addresses:2", first) + wrong)
    assert person.pages[-1].name == "network.static_address" and "network.addresses_wrong" in "".join(person.pages[-1].lines)


def test_an_address_takes_digits_as_people_type_them():
    def after(keys):
        typed = ""
        for key in keys:
            typed = with_dot(typed) if key == "." else with_digit(typed, key)
        return typed

    assert after("19216842") == "192.168.42"
    assert after("1921684.2") == "192.168.4.2"
    assert after("10.0.0.1") == "10.0.0.1" and after("10001") == "100.0.1" and after("..1..2") == "1.2"
    assert after("256") == "25.6" and after("255255255255") == "255.255.255.255" and after("2552552552551") == "255.255.255.255"


def test_back_is_the_step_before():
    place = Place()
    keys = TO_SUMMARY + ("network.summary:cancel", "network.addresses:cancel", "network.password:cancel", "networks:cancel", DONE)
    place.visit(network_flow, *keys)
    assert place.settings.network == OLD and not place.settings.on_trial
    place.visit(network_flow, *TO_LIST + ("networks:2", "network.addresses:cancel", "networks:cancel", DONE))


def test_what_was_entered_is_there_after_whoever_left_and_after_a_power_cut_at_any_write():
    place = Place()
    place.visit(network_flow, *TO_LIST + ("networks:1", PASSWORD))  # and goes away
    assert place.visit(network_flow, "network:1", "network.warning:1").names[-1] == "network.addresses"
    place.restart()
    assert place.visit(network_flow, "network:1", "network.warning:1").names[-1] == "network.addresses"
    begun = Place()
    before = len(begun.flash.writes)
    begun.visit(network_flow, *TO_SUMMARY)
    count = len(begun.flash.writes) - before
    assert count >= 3
    for write in range(1, count + 1):
        for keep_bytes in (0, 5, 100000):
            place = Place()
            place.flash.cut(write, keep_bytes)
            raises(PowerCut, place.visit, network_flow, *TO_SUMMARY)
            place.restart()
            assert place.settings.network == OLD
            person = place.visit(network_flow, *TO_LIST)
            steps = ["networks", "network.password", "network.addresses", "network.summary"]
            assert person.names[-1] == steps[write - 1 + (keep_bytes == 100000)]


def test_a_draft_that_cannot_be_read_is_begun_anew():
    place = Place()
    for record in (b"", b"\xff", b"\x01", b"\x85\x01\x02\x03\x04\x05"):
        place.terminal.store.put(KEY_DRAFT, record)
        assert place.visit(network_flow, *TO_LIST).names[-1] == "networks"


def test_a_network_that_does_not_work_is_named_by_its_first_fault_and_left_by_itself():
    for way, fault, good in (("", "radio", ""), ("dns_failed", "name", ".address"), ("tls_authority", "security", ".host")):
        place = Place()
        place.way = way
        if not way:
            place.radio.reachable = [OLD[:2]]
        place.visit(network_flow, *TO_SUMMARY + ("network.summary:1", "network.trial:1"))  # checked again, and gone away
        page = [page for page in place.person.pages if page.name == "network.trial"][-1]
        assert "network.first_fault network.layer." + fault in page.lines
        assert good in "".join(page.lines) and [line for line in page.lines if line.startswith("selftest.next")]
        assert place.settings.on_trial
        place.time.now_ms += TRIAL_MS
        place.time.run(place.trial.watch())
        assert place.settings.network == OLD and place.radio.joined == OLD
        assert ("network_fell_back", "no connection within 180 s") in events(place)


def test_the_person_goes_back_changes_it_or_keeps_it_all_the_same():
    place = Place()
    place.way = "host_unreachable"
    place.visit(network_flow, *TO_SUMMARY + ("network.summary:1", "network.trial:3", DONE))
    assert place.settings.network == OLD and place.radio.joined == OLD and ("network_fell_back", "at the counter") in events(place)
    place = Place()
    place.radio.reachable = [OLD[:2]]
    keys = TO_SUMMARY + ("network.summary:1", "network.trial:2")
    assert place.visit(network_flow, *keys).names[-1] == "network.password"
    place = Place()
    place.way = "broker_silent"
    keys = TO_SUMMARY + ("network.summary:1", "network.trial:4", DONE)
    place.visit(network_flow, *keys)
    assert place.settings.network == OWN + (None,) and not place.settings.on_trial
    assert place.terminal.store.get(KEY_DRAFT) is None


def test_after_a_power_cut_in_the_trial_the_network_is_the_one_before_and_what_was_entered_is_still_there():
    place = Place()
    place.way = "host_unreachable"
    place.visit(network_flow, *TO_SUMMARY + ("network.summary:1",))
    place.restart()
    assert place.settings.network == OLD and place.radio.configured == OLD
    assert place.visit(network_flow, *TO_LIST).names[-1] == "network.summary"


def test_by_cable_it_is_shown_and_checked_and_nothing_is_chosen():
    place = Place()
    place.radio.level = 1
    person = place.visit(network_flow, "network:2", "network.checked:1", DONE)
    assert [key for key, _ in person.pages[0].choices] == ["2"]
    place.way = "dns_failed"
    person = place.visit(network_flow, "network:2", "network.checked:2", "network.checked:cancel", DONE)
    page = [page for page in person.pages if page.name == "network.checked"][0]
    assert "network.first_fault network.layer.name" in page.lines
    place.way = ""
    person = place.visit(network_flow, "network:2", "network.checked:1", DONE)
    page = [page for page in person.pages if page.name == "network.checked"][0]
    assert page.lines[0].endswith("network.layer.acquirer")


def test_the_same_network_again_is_checked_and_not_on_trial():
    place = Place()
    place.radio.heard = [("shop", -50, True)]
    place.settings.set("password", OWN[1])
    place.radio.reachable.append(("shop", OWN[1]))
    place.visit(network_flow, *TO_SUMMARY + ("network.summary:1", "network.checked:1", DONE))
    assert place.settings.network == ("shop", OWN[1], None) and not place.settings.on_trial


def test_a_name_with_a_card_number_in_it_is_not_kept():
    place = Place()
    place.radio.heard = [("4111111111111111", -50, False)]
    place.visit(network_flow, *TO_LIST + ("networks:1", "network.addresses:1", "network.summary:1", "network.refused:1"))
    assert place.settings.network == OLD
