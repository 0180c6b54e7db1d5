"""A terminal in service for tests of its self-test: parts whose findings are given, a person, and power that goes."""

from firmware_agent.selftest.plans import FULL, phase_named
from firmware_agent.selftest.run import self_test
from firmware_agent.selftest.subject import Subject
from firmware_agent.state.machine import FUNCTION_TESTS, IN_SERVICE, FunctionTestPassed
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE
from tests.core.parts import Flash, PowerCut, Time
from tests.core.terminal_parts import boot, provisioned

KINDS = ("printer", "keypad", "card_reader", "display")
PHASES = ("printer", "keypad", "card_reader", "display", "printer.slip")  # what a run here is made of
PASS_MS = 10
LATER_MS = 100  # when a part that takes the terminal with it does so: the others have begun, and are done
SLOW_MS = 200
SEGMENT_BYTES = 16384  # one run fits; many do not fill the heap


class Part(Device):
    """A device whose check gives what `found` is: '' for a pass, a cause for a failure, or a Health; or does what it is called to do."""

    def __init__(self, kind, world):
        super().__init__()
        self.kind = kind
        self.world = world
        self.enabled = True
        self.found = ""
        self.duration_ms = PASS_MS
        self.bounces = 0

    def is_connected(self):
        return True

    async def _bring_up(self):
        pass

    async def check_health(self, level=1):
        world = self.world
        world.ran.append(self.kind)
        world.running.append(self.kind)
        world.together.append(len(world.running))
        await world.time.sleep_ms(self.duration_ms)
        world.running.remove(self.kind)
        found = (self.found() or "") if callable(self.found) else self.found
        if isinstance(found, Health):
            return found
        return Health(HEALTH_FAIL if found else HEALTH_SUCCESS, self.kind, found, E_FAILURE if found else 0)


class Person:
    """Gives the same answer to every question."""

    def __init__(self, world):
        self.world = world
        self.answer = 1

    def show(self, page, **values):
        pass

    async def ask(self, page, **values):
        self.world.ran.append(page)
        return self.answer


class World:
    """A terminal in service with its flash; `boot` is what a power cut leads to."""

    def __init__(self, flash=None):
        self.flash = flash or serving_flash()
        self.parts = {}
        self.person = None
        self.boot()

    def boot(self):
        self.flash.power_up()
        self.time = Time()
        self.ran = []  # kinds whose check was made, and pages asked, in this boot
        self.running = []
        self.together = []  # how many ran when one began
        self.shown = []
        self.terminal = boot(self.flash, self.time, segment_bytes=SEGMENT_BYTES)
        for kind in KINDS:
            part = Part(kind, self)
            if kind in self.parts:  # a power cut mends nothing
                part.found = self.parts[kind].found
                part.duration_ms = self.parts[kind].duration_ms
            self.parts[kind] = part
            setattr(self.terminal.hal, kind, part)
        answer = self.person.answer if self.person else 1
        self.person = Person(self)
        self.person.answer = answer
        self.before = len(self.terminal.outbox.waiting())

    async def _print_sample(self):
        pass

    def subject(self):
        return Subject(self.terminal.hal, self.terminal, self.person, self._print_sample)

    def run(self, ids=PHASES, plan=FULL):
        """Gives the diagnoses as (component, cause)."""
        self.shown = []
        phases = [phase_named(id, self.terminal.hal) for id in ids]
        diagnoses = self.time.run(self_test(self.subject(), plan, self.shown.append, phases))
        return [(diagnosis.component, diagnosis.cause.code) for diagnosis in diagnoses]

    def found(self, *ids, **found):
        """Run these phases (all without their names) with these findings; parts that are not named are sound."""
        for kind in KINDS:
            self.parts[kind].found = found.get(kind, "")
        return self.run(ids or PHASES)

    def cut_run(self):
        """Run until the power goes; whether it did."""
        try:
            self.run()
        except PowerCut:
            return True
        return False

    def messages(self):
        """What was queued since the boot or the last look, as (kind, body)."""
        keys = self.terminal.outbox.waiting()[self.before :]
        self.before += len(keys)
        return [(message.kind.name, message.body) for message in [self.terminal.outbox.message(key) for key in keys]]

    def reports(self):
        """All reports in the outbox."""
        messages = [self.terminal.outbox.message(key) for key in self.terminal.outbox.waiting()]
        return [message.body for message in messages if message.kind.name == "report"]

    @property
    def reasons(self):
        return [(reason.code, reason.component, reason.note) for reason in self.terminal.state.reasons]


def serving_flash():
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash)
    terminal.apply([FunctionTestPassed(test) for test in FUNCTION_TESTS])
    assert terminal.state.mode == IN_SERVICE
    for key in terminal.outbox.waiting():
        terminal.outbox.remove(key)
    return flash
