"""A visit to the menu of a terminal in memory: a person whose keys are given, a radio, and the trial of the network's settings."""

from firmware_agent.flows.menu.menu import Visit
from firmware_agent.network_trial import NetworkTrial
from firmware_agent.selftest.subject import Subject
from firmware_agent.settings import Settings
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.errors import E_FAILURE, E_OFFLINE, DeviceError
from tests.core.parts import Flash, Time
from tests.core.terminal_parts import boot, provisioned

OLD = ("shop", "old password", None)
OWN = ("shop 2", "ADGJMPTW")  # the first letters of the keys 2 to 9
HEARD = [("shop 2", -51, True), ("cafe", -70, False), ("far\u202e", -89, True)]


class Words:
    """In the place of the texts, which are many: a key with its values in their order by name."""

    language = "en"

    def get(self, key, **values):
        return " ".join([key] + [str(values[name]) for name in sorted(values)])


class Person:
    """In the place of display and keypad: presses what `keys` says. An entry 'page:keys' has to find that page; a key alone goes to
    whatever page is there; a function is called, and no key pressed. After the last key nobody is there any more.
    """

    def __init__(self, texts, clock, keys):
        self.texts = texts
        self.clock = clock
        self.slips = None
        self.key_ms = 0
        self.keys = []
        for entry in keys:
            if callable(entry):
                self.keys.append(("", entry))
                continue
            page, _, pressed = entry.rpartition(":")
            for key in pressed.split(" "):
                self.keys.append((page, key))
        self.pages = []

    def show(self, page):
        self.pages.append(page)

    async def ask(self, page, outdated, further_keys=()):
        self.show(page)
        meant = [choice[0] for choice in page.choices] + list(further_keys)
        while not outdated():
            if self.keys:
                wanted, key = self.keys.pop(0)
                self.key_ms = self.clock.monotonic_ms()
                if callable(key):
                    key()
                    continue
                assert wanted in ("", page.name), "%s, and not %s: %r" % (page.name, wanted, page.lines)
                assert key in meant, "%s means nothing on %s: %r" % (key, page.name, page.lines)
                return key
            await self.clock.sleep_ms(1000)
        return ""

    @property
    def names(self):
        return [page.name for page in self.pages]


class Radio:
    """A network device of level 3. It joins OLD and OWN, whatever addresses are set; way: cause of the check of the way to the acquirer."""

    kind = "network"
    enabled = True
    claimed = True
    level = 3

    def __init__(self):
        self.configured = ("", "", None)
        self.joined = None
        self.reachable = [OLD[:2], OWN]
        self.heard = HEARD
        self.scans = 0

    def configure(self, ssid, password, static=None):
        self.configured = (ssid, password, static)

    async def connect(self, timeout_ms):
        self.joined = self.configured if self.configured[:2] in self.reachable else None
        if self.joined is None:
            raise DeviceError(E_OFFLINE, "network", "no such network", cause="no_network")

    def is_connected(self):
        return self.joined is not None

    def address(self):
        return "192.168.4.2" if self.joined else ""

    def signal_dbm(self):
        return -51

    async def scan(self, timeout_ms):
        self.scans += 1
        if self.heard is None:
            raise DeviceError(E_OFFLINE, "network", "busy")
        return self.heard

    async def check_health(self, level=1):
        if self.joined is None:
            return Health(HEALTH_FAIL, "network", "no_network", E_OFFLINE)
        return Health(HEALTH_SUCCESS, "network")


class Keypad:
    """All that the menu asks of it."""

    kind = "keypad"
    enabled = False
    claimed = True
    level = 1
    keys = ("1",)


class Place:
    """A terminal whose network is OLD; `visit` is one visit to a flow of its menu."""

    def __init__(self):
        self.time = Time()
        self.flash = Flash()
        provisioned(self.flash)
        self.radio = Radio()
        self.way = ""  # what the check of the way beyond the radio finds
        self.restart(first=True)

    def restart(self, first=False):
        self.flash.power_up()
        self.terminal = boot(self.flash, self.time, True, ())
        self.terminal.hal.network = self.radio
        self.settings = Settings(self.terminal.store)
        if first:
            self.settings.set("ssid", OLD[0])
            self.settings.set("password", OLD[1])
        self.trial = NetworkTrial(self.terminal, self.settings, self._renew)
        self.trial.start()
        self.radio.joined = self.radio.configured
        self.terminal.online = True
        self.terminal.connection = 1

    def _renew(self):
        self.terminal.online = False

    async def _walk(self):
        """As Path.walk: what it reaches, it is connected to."""
        if not self.terminal.online and self.radio.joined and not self.way:
            self.terminal.connection += 1
            self.terminal.online = True
        if self.radio.joined is None:
            return Health(HEALTH_FAIL, "network", "no_network", E_OFFLINE)
        return Health(HEALTH_FAIL, "network", self.way, E_FAILURE) if self.way else Health(HEALTH_SUCCESS, "network")

    def visit(self, flow, *keys):
        """Gives the person, who has seen the pages."""
        terminal = self.terminal
        self.person = Person(Words(), terminal.hal.clock, keys)
        subject = Subject(terminal.hal, terminal, checks={"network.path": self._walk})
        self.of = Visit(terminal, self.person, self.settings, subject, self.trial, lambda: False)
        self.time.run(flow(self.of))
        assert not self.person.keys, self.person.keys
        return self.person
