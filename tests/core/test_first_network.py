"""A device that nobody has set up: its network is entered from the activation page, joined at once, and kept if it can be joined."""

import asyncio

from firmware_agent.flows.activation_flow import ActivationDesk
from firmware_agent.flows.first_network import LEFT_MS, FirstNetwork
from firmware_agent.flows.menu.network_flow import KEY_DRAFT
from firmware_agent.screens.page import Page
from firmware_agent.settings import Settings
from hal.errors import E_FAILURE, DeviceError
from tests.core.menu_parts import OLD, OWN, Person, Radio, Words
from tests.core.parts import PowerCut
from tests.core.support import raises
from tests.core.test_activation import World

DEVICES = Page("degraded", "Devices")
SET_UP = ("activation:help", "activation.help:2")
PASSWORD = "network.password:2 3 4 5 6 7 8 9 enter"
OWN_NETWORK = ("networks:1", PASSWORD, "network.addresses:1", "network.summary:1")


class Place(World):
    """At the activation page of a device whose network is not there."""

    def __init__(self):
        self.radio = Radio()
        self.radio.reachable = [OWN]
        super().__init__()

    def boot(self):
        super().boot()
        self.hal.network = self.radio
        self.radio.joined = None
        self.network = FirstNetwork(self.hal, self.store, self.lines.append)

    @property
    def settings(self):
        return Settings(self.store)

    def serve(self, *keys):
        """Gives the pages that were seen until the last key was pressed, and as long after it as somebody is waited for."""
        person = Person(Words(), self.hal.clock, keys)
        left_ms = [0]

        def outdated():
            if not person.keys and not left_ms[0]:
                left_ms[0] = self.time.now_ms
            return not person.keys and self.time.now_ms - left_ms[0] >= 1000

        desk = ActivationDesk(self.activation, False, self.hal.clock, lambda: None, self.lines.append, network=self.network)
        self.time.run(desk.serve(person, outdated, DEVICES))
        assert not person.keys, person.keys
        return person


def test_without_a_network_the_activation_page_says_where_to_set_it_up():
    place = Place()
    (page,) = place.serve("activation:1").pages[:1]
    assert "activation.network" in page.lines
    place.radio.joined = OWN
    assert "activation.network" not in place.serve("activation:1").pages[0].lines


def test_a_network_is_entered_joined_and_kept():
    place = Place()
    person = place.serve(*SET_UP + OWN_NETWORK + ("network.first:1",))
    assert place.radio.joined == OWN + (None,)
    assert place.settings.network == OWN + (None,) and not place.settings.on_trial
    assert place.store.get(KEY_DRAFT) is None
    assert "network.joining" in person.names and person.names[-1] == "activation"
    assert "activation.network" not in person.pages[-1].lines
    assert not [page for page in person.pages if "ADGJMPT" in "".join(page.lines)]  # nobody reads the password
    place.boot()
    assert place.settings.network == OWN + (None,)


def test_one_that_cannot_be_joined_is_not_kept_and_the_cause_is_told():
    place = Place()
    place.settings.set("ssid", OLD[0])
    place.settings.set("password", OLD[1])
    place.radio.reachable = []
    person = place.serve(*SET_UP + OWN_NETWORK + ("network.cannot_join:1", "network.password:cancel", "networks:cancel"))
    (page,) = [page for page in person.pages if page.name == "network.cannot_join"]
    assert "cause.no_network" in page.lines[0]
    assert place.settings.network == OLD and not place.settings.on_trial
    assert place.radio.configured == OLD and place.radio.joined is None
    place.radio.reachable = [OWN]
    place.serve(*SET_UP + OWN_NETWORK + ("network.first:1",))
    assert place.settings.network == OWN + (None,)


def test_a_cause_that_has_no_text_stands_as_it_is():
    place = Place()

    async def connect(timeout_ms):
        raise DeviceError(E_FAILURE, "network", "x", cause="solar_storm")

    class Texts(Words):
        def get(self, key, **values):
            if "storm" in key:
                raise KeyError(key)
            return Words.get(self, key, **values)

    place.radio.connect = connect
    person = Person(Texts(), place.hal.clock, OWN_NETWORK + ("network.cannot_join:cancel", "network.password:cancel", "networks:cancel"))
    place.time.run(place.network.set_up(person, lambda: False))
    (page,) = [page for page in person.pages if page.name == "network.cannot_join"]
    assert "solar_storm" in page.lines[0]


def test_who_leaves_in_the_middle_comes_back_to_where_he_was_and_the_activation_page_returns():
    place = Place()
    person = Person(Words(), place.hal.clock, OWN_NETWORK[:2])
    begun_ms = place.time.now_ms
    place.time.run(place.network.set_up(person, lambda: False))
    assert LEFT_MS <= place.time.now_ms - begun_ms < LEFT_MS + 3000
    assert place.serve(*SET_UP).names[-1] == "network.addresses"


def test_help_shows_the_devices_too_and_at_once_where_no_network_can_be_chosen():
    place = Place()
    assert place.serve("activation:help", "activation.help:1", "degraded:enter").names[:3] == ["activation", "activation.help", "degraded"]
    assert "network" not in "".join(place.serve("activation:help", "activation.help:cancel").names)
    place.radio.level = 2  # by cable
    person = place.serve("activation:help", "degraded:enter")
    assert person.names[:2] == ["activation", "degraded"] and "activation.network" not in person.pages[0].lines


def test_who_keeps_house_does_not_join_the_network_before_meanwhile():
    place = Place()
    place.settings.set("ssid", OLD[0])
    place.settings.set("password", OLD[1])
    person = Person(Words(), place.hal.clock, OWN_NETWORK + ("network.first:1",))
    tried = []
    joins = place.radio.connect

    async def connect(timeout_ms):
        tried.append(place.radio.configured[0])
        asked = place.radio.configured
        await place.hal.clock.sleep_ms(5000)
        assert place.radio.configured == asked  # nobody gives it another network in the middle
        await joins(timeout_ms)

    place.radio.connect = connect

    async def both():
        house = asyncio.create_task(place.network.keep_joined())
        await place.hal.clock.sleep_ms(1000)
        await place.network.set_up(person, lambda: False)
        house.cancel()

    place.time.run(both())
    assert tried[-1] == OWN[0] and OLD[0] in tried
    assert place.settings.network == OWN + (None,)


def test_a_power_cut_at_any_write_leaves_the_network_before_or_the_new_one():
    keys = OWN_NETWORK + ("network.first:1",)

    def set_up(place):
        person = Person(Words(), place.hal.clock, keys)
        place.time.run(place.network.set_up(person, lambda: False))

    place = Place()
    before = len(place.flash.writes)
    set_up(place)
    count = len(place.flash.writes) - before
    seen = []
    for write in range(1, count + 1):
        for keep_bytes in (0, 5, 100000):
            place = Place()
            place.flash.cut(write, keep_bytes)
            raises(PowerCut, set_up, place)
            place.flash.power_up()
            place.boot()
            assert not place.settings.on_trial
            seen.append(place.settings.network)
    assert seen.count(("", "", None)) == len(seen) - 1 and seen[-1] == OWN + (None,)
