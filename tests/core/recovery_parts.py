"""A merchant at the recovery: a terminal that is suspended, and a person who presses keys; for tests of its flows."""

from firmware_agent.settings import Settings
from firmware_agent.state.machine import RecoveryStarted, StepDone, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from tests.core.parts import Flash, Time
from tests.core.person import Person
from tests.core.terminal_parts import boot, provisioned

SEALING_KEY = bytes(range(64))


class Merchant(Person):
    """Presses these keys, one on each page, 100 ms apart, and then is gone. A number is a pause in ms."""

    def __init__(self, terminal, time, keys=(), slips=None):
        Person.__init__(self, "", slips, time)
        self.clock = terminal.hal.clock
        self.time = time
        self.key_ms = 0
        self.keys = list(keys)

    async def ask(self, page, outdated, further_keys=()):
        while self.keys and isinstance(self.keys[0], int):
            self.time.now_ms += self.keys.pop(0)
        self.time.now_ms += 100
        key = await Person.ask(self, page, outdated, further_keys)
        if key:
            self.key_ms = self.time.now_ms
        return key

    @property
    def names(self):
        """Of the pages, each once while it stands."""
        names = []
        for page in self.pages:
            if names[-1:] != [page.name]:
                names.append(page.name)
        return names


class Shop:
    """A terminal that is suspended for these reasons, and can lose its power."""

    def __init__(self, *codes, step="", tests=("print", "scan", "pay"), components=None):
        self.flash = Flash()
        self.time = Time()
        self.restarts = []
        self.slips = None
        self._tests = tests
        provisioned(self.flash)
        self.boot()
        for code in codes:
            self.terminal.apply([Suspended(Reason(code, ACTOR_HOST, case="C-1"))])
        self.terminal.apply([RecoveryStarted()])
        while step and self.terminal.state.step != step:
            self.terminal.apply([StepDone(self.terminal.state.step)])

    def boot(self):
        """Also after a power cut: what is not on flash is gone."""
        self.terminal = boot(self.flash, self.time, tests=self._tests)
        self.terminal.online = True
        self.terminal.identity = self.terminal.identity.changed(sealing_key=SEALING_KEY)
        self.settings = Settings(self.terminal.store)
        return self.terminal

    @property
    def state(self):
        return self.terminal.state

    def press(self, *keys):
        """Let the merchant press these keys, on page after page; gives what he saw, and the self-test that was asked for last."""
        from firmware_agent.flows.recovery.recovery_flow import Recovery

        merchant = Merchant(self.terminal, self.time, keys, self.slips)
        recovery = Recovery(self.terminal, merchant, self.settings, lambda: not merchant.keys, lambda: self.restarts.append(True))
        merchant.plan = ""

        async def visit():
            while merchant.keys and self.state.mode == "recovering":
                merchant.plan = await recovery.run() or merchant.plan
            if self.state.mode == "recovering":
                await recovery.run()  # what he leaves on the screen

        self.time.run(visit())
        return merchant

    def queued(self, kind):
        """The bodies of what waits to be sent."""
        found = []
        for key in self.terminal.outbox.waiting():
            message = self.terminal.outbox.message(key)
            if message.kind.name == kind:
                found.append(message.body)
        return found
