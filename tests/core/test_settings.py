"""Settings: what was set is there after a restart, a bad value counts as not set, and no order cuts the terminal off from its network."""

from firmware_agent.messages.cbor import encode
from firmware_agent.network_trial import TRIAL_MS, NetworkTrial
from firmware_agent.payment.limits import SETTINGS as LIMITS
from firmware_agent.payment.payment_host import SETTINGS as PAYMENT_HOST
from firmware_agent.settings import DEFAULTS, KEY_PROVEN, PREFIX, REMINDED, STATIC, SettingError, Settings
from firmware_agent.store import Store
from hal.errors import E_OFFLINE, DeviceError
from tests.core.parts import Flash, PowerCut, Time
from tests.core.support import raises
from tests.core.terminal_parts import boot, provisioned


def opened(flash):
    store = Store(flash)
    store.open()
    return store


def test_a_new_terminal_has_the_defaults():
    settings = Settings(opened(Flash()))
    for name, value in DEFAULTS.items():
        assert settings.get(name) == value
    assert settings.language == "zh-CN" and settings.utc_offset_min == 480


def test_what_was_set_is_there_after_a_restart():
    flash = Flash()
    settings = Settings(opened(flash))
    settings.set("language", "en")
    settings.set("ssid", "\u5e97\u94fa wifi")
    settings.set("utc_offset_min", "-300")
    settings = Settings(opened(flash))
    assert settings.language == "en" and settings.get("ssid") == "\u5e97\u94fa wifi" and settings.utc_offset_min == -300
    assert settings.get("password") == ""


def test_a_name_that_is_no_setting_is_an_error_both_ways():
    store = opened(Flash())
    settings = Settings(store)
    raises(KeyError, settings.get, "colour")
    raises(KeyError, settings.set, "colour", "red")
    assert store.keys(PREFIX) == []


def test_a_record_that_cannot_be_read_counts_as_not_set():
    store = opened(Flash())
    settings = Settings(store)
    for record in (b"", b"\xff", encode(7), encode(None), encode(b"en"), encode(["en"])):
        for name in DEFAULTS:
            store.put(PREFIX + name, record)
            assert settings.get(name) == DEFAULTS[name]
        assert settings.language == "zh-CN" and settings.utc_offset_min == 480


def test_a_value_that_means_nothing_counts_as_not_set():
    settings = Settings(opened(Flash()))
    for value in ("", "fr", "EN", "zh"):
        settings.set("language", value)
        assert settings.language == "zh-CN"
    for value in ("", "noon", "8:00", "841", "-721", "100000", "4.5"):
        settings.set("utc_offset_min", value)
        assert settings.utc_offset_min == 480, value
    for value in ("0", "840", "-720", "345"):
        settings.set("utc_offset_min", value)
        assert settings.utc_offset_min == int(value)


def test_setting_once_more_heals_what_was_broken():
    store = opened(Flash())
    settings = Settings(store)
    store.put(PREFIX + "language", b"\xff")
    settings.set("language", "en")
    assert settings.language == "en"


# By order.


def test_only_known_settings_with_values_that_they_can_have():
    settings = Settings(opened(Flash()))
    good = {
        "language": ("en", "zh-CN"),
        "ssid": ("", "shop", "\u5e97" * 10, "x" * 32),
        "password": ("", "8 digits", "x" * 63, "0a1b2c3d4e5f6A7B" * 4),
        "service_line": ("110", "95516", "+86 (400) 123-4567"),
        "utc_offset_min": ("0", "-720", "840", "345"),
        "contact_name": ("", "Chen Xiao", "\u9648\u6653"),
        "contact_phone": ("", "+86 138 0000 1234"),
        "merchant_kind": ("individual", "merchant"),
        "other_ways": ("", "cash", "other_till,cash"),
        "other_way_code": ("", "https://pay.example/shop/17"),
        "promotion": ("", "back", "discount 10", "money_off 100 10", "own Fresh bread at eight", "own \u65b0\u5e97"),
        "promotion_until": ("", "1795305600"),
    }
    bad = {
        "language": ("", "fr", "EN", 1, None, ["en"]),
        "ssid": ("x" * 33, "\u5e97" * 11, b"shop", 5),
        "password": ("x" * 7, "x" * 65, "g" * 64, "pass\u5e97word", "pass\nword", "password\x7f"),
        "service_line": ("", "11", "1" * 21, "call me", " 95516", "95516\n"),
        "utc_offset_min": ("", "-", "--5", "-721", "841", "1000", "4.5", " 60", "+60", "\u0661", 480),
        "contact_name": ("x" * 41, "Chen\u202e", " Chen", 7),
        "contact_phone": ("12", "call me"),
        "merchant_kind": ("", "shop"),
        "other_ways": ("gold", "cash,cash", "cash,", 7),
        "other_way_code": ("x" * 201, "two\nlines", 7),
        "promotion": ("discount", "discount ten", "discount 1 2", "sale", "own " + "x" * 80, "own a\u202eb"),
        "promotion_until": ("soon", "1" * 12, -1),
    }
    for name in REMINDED:  # see test_reminders.py
        good[name], bad[name] = ("",), ("x", 7)
    for name in PAYMENT_HOST + LIMITS:  # see test_limits.py
        good[name], bad[name] = ("",), ("x", 7)
    assert set(good) == set(bad) == set(DEFAULTS) - set(STATIC)
    for name in good:
        for value in good[name]:
            assert (PREFIX + name, encode(value)) in settings.changes([[name, value]])
        for value in bad[name]:
            error = raises(SettingError, settings.changes, [[name, value]])
            assert name in str(error) and (value in ("", "-", None, 1, 5, 480) or repr(value) not in str(error))
    for pairs in ([], ["language"], [["language"]], [["language", "en", "x"]], [["colour", "red"]], [[5, "en"]], [[["language"], "en"]]):
        raises(SettingError, settings.changes, pairs)
    raises(SettingError, settings.changes, [["ssid", "a"], ["ssid", "b"]])


def test_what_has_nothing_to_do_with_the_network_is_not_on_trial():
    flash = Flash()
    store = opened(flash)
    settings = Settings(store)
    settings.set("ssid", "shop")
    store.put_all(settings.changes([["language", "en"], ["ssid", "shop"]]))
    assert not settings.on_trial


def test_addresses_are_set_together_and_have_to_fit():
    settings = Settings(opened(Flash()))

    def of(address="192.168.4.7", mask="255.255.255.0", gateway="192.168.4.1", dns="114.114.114.114"):
        return [[name, value] for name, value in zip(STATIC, (address, mask, gateway, dns))]  # noqa: B905

    for pairs in (of(), of("10.0.0.2", "255.0.0.0", "10.255.255.254", "8.8.8.8"), of("", "", "", "")):
        assert len(settings.changes(pairs)) >= len(STATIC)
    bad = [of(gateway="192.168.5.1"), of(mask="255.0.255.0"), of(mask="0.0.0.0"), of(mask="255.255.255.255"), of(gateway="192.168.4.7")]
    bad += [of("192.168.4.0"), of("192.168.4.255"), of("127.0.0.2", gateway="127.0.0.1"), of("224.0.0.2", gateway="224.0.0.1")]
    bad += [of(dns=""), of(dns="0.0.0.0"), of("192.168.4"), of("192.168.4.256"), of("192.168.4.x"), of()[:1], of()[1:]]
    for pairs in bad:
        raises(SettingError, settings.changes, pairs)
    settings.set("static_address", "192.168.4.7")  # no more than that can be read
    assert settings.network == ("", "", None)


class Radio:
    """A network device that joins the networks it is told of."""

    def __init__(self, *reachable):
        self.reachable = reachable
        self.configured = []
        self.joined = None

    def configure(self, ssid, password, static):
        self.configured.append((ssid, password, static))

    async def connect(self, timeout_ms):
        self.joined = self.configured[-1] if self.configured[-1] in self.reachable else None
        if self.joined is None:
            raise DeviceError(E_OFFLINE, "network", "no such network")


OLD, NEW = ("shop", "old password", None), ("shop 2", "new password", ("10.0.0.2", "255.0.0.0", "10.0.0.1", "10.0.0.1"))


class Place:
    """A terminal whose network is OLD, and what its agent does of it. renewed: how often the connection was to be made anew."""

    def __init__(self, reachable):
        self.time = Time()
        self.flash = Flash()
        provisioned(self.flash)
        store = opened(self.flash)
        settings = Settings(store)
        settings.set("ssid", OLD[0])
        settings.set("password", OLD[1])
        self.radio = Radio(*reachable)
        self.renewed = 0
        self.start()

    def start(self):
        self.terminal = boot(self.flash, self.time)
        self.terminal.hal.network = self.radio
        self.settings = Settings(self.terminal.store)
        self.trial = NetworkTrial(self.terminal, self.settings, self._renew)
        self.trial.start()

    def _renew(self):
        self.renewed += 1

    def order(self, ssid, password, static=None):
        pairs = [[name, value] for name, value in zip(STATIC, static or ("",) * 4)]  # noqa: B905
        self.terminal.apply([], [], self.settings.changes([["ssid", ssid], ["password", password]] + pairs))

    def watch(self):
        self.time.run(self.trial.watch())

    def comes_online(self):
        self.terminal.connection += 1
        self.terminal.online = True

    def fell_back(self):
        return [line for line in self.terminal.lines if "settings as before" in line]


def test_a_network_that_leads_to_the_broker_stays():
    place = Place((OLD, NEW))
    place.comes_online()
    place.watch()
    assert place.renewed == 0 and place.radio.configured == [OLD]
    place.order(*NEW)
    place.watch()
    assert place.radio.joined == NEW and place.renewed == 1
    place.watch()
    assert place.settings.on_trial  # the connection that still stands is that of the old network
    place.comes_online()
    place.watch()
    assert not place.settings.on_trial and place.settings.network == NEW
    place.time.now_ms += 2 * TRIAL_MS
    place.watch()
    place.start()
    assert place.radio.configured[-1] == NEW and place.fell_back() == []


def test_a_network_that_does_not_come_up_gives_way_to_the_one_before():
    for reachable in ((OLD,), (OLD, NEW)):  # not joined; joined, and no way to the broker
        place = Place(reachable)
        place.order(*NEW)
        place.watch()
        place.time.now_ms += TRIAL_MS - 1
        place.watch()
        assert place.settings.network == NEW and place.settings.on_trial
        place.time.now_ms += 1
        place.watch()
        assert place.settings.network == OLD and not place.settings.on_trial
        assert place.radio.joined == OLD and place.renewed == 2 and len(place.fell_back()) == 1
        bodies = [place.terminal.outbox.message(key).body for key in place.terminal.outbox.waiting()]
        assert [body["name"] for body in bodies if "name" in body] == ["network_fell_back"]


def test_who_goes_back_himself_is_back_on_the_network_before():
    place = Place((OLD, NEW))
    place.order(*NEW)
    place.watch()
    place.terminal.apply([], [], place.settings.fallen_back())
    place.watch()
    assert place.radio.joined == OLD and place.renewed == 2 and place.settings.network == OLD
    place.watch()
    assert place.renewed == 2


def test_after_a_power_cut_in_a_trial_the_network_is_the_one_before():
    place = Place((OLD,))
    place.order(*NEW)
    place.start()  # before the trial has begun
    assert place.radio.configured[-1] == OLD and not place.settings.on_trial and len(place.fell_back()) == 1
    place.order(*NEW)
    place.watch()
    place.start()  # in the middle of it
    assert place.radio.configured[-1] == OLD and not place.settings.on_trial
    place.start()
    assert place.fell_back() == []


def test_a_power_cut_in_the_order_or_in_the_fall_leaves_one_network_or_the_other():
    for keep_bytes in (0, 20, 100000):
        place = Place((OLD,))
        place.flash.cut(1, keep_bytes)
        raises(PowerCut, place.order, *NEW)
        place.flash.power_up()
        place.start()
        assert place.settings.network == OLD and len(place.fell_back()) == (keep_bytes == 100000)
        place.order(*NEW)
        place.watch()
        place.time.now_ms += TRIAL_MS
        place.flash.cut(1, keep_bytes)
        raises(PowerCut, place.watch)
        place.flash.power_up()
        place.start()
        assert place.settings.network == OLD and not place.settings.on_trial


def test_a_second_order_in_a_trial_falls_back_to_what_was_proven():
    place = Place((OLD,))
    place.order(*NEW)
    place.watch()
    place.time.now_ms += TRIAL_MS - 1
    place.order("third", "third password")
    place.watch()
    place.time.now_ms += TRIAL_MS - 1
    place.watch()
    assert place.settings.network == ("third", "third password", None)
    place.time.now_ms += 1
    place.watch()
    assert place.settings.network == OLD


def test_a_storage_that_refuses_keeps_no_terminal_on_a_network_that_does_not_work():
    place = Place((OLD,))
    place.order(*NEW)
    place.watch()
    place.flash.broken = True
    place.time.now_ms += TRIAL_MS
    place.watch()
    assert place.settings.network == OLD and place.radio.joined == OLD


def test_a_record_of_what_was_proven_that_cannot_be_read_ends_the_trial():
    place = Place((NEW,))
    place.order(*NEW)
    place.terminal.store.put(KEY_PROVEN, b"\xff")
    place.start()
    assert not place.settings.on_trial and place.settings.network == NEW
