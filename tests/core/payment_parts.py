"""A payment application whose host answers as it is told to, on a terminal in service."""

from firmware_agent.payment.payments import Payments
from firmware_agent.settings import Settings
from firmware_agent.state.machine import FUNCTION_TESTS, FunctionTestPassed
from hal.device import Device
from hal.errors import E_NOEXIST, E_TIMEOUT, DeviceError
from hal.payment import ECHO, REVERSAL, SALE, SIGN_IN, Answer, Unfinished
from tests.core.parts import Flash, Time, enabled
from tests.core.terminal_parts import boot, provisioned


class Host(Device):
    """answers: what was asked -> (code, sub-code, requirement), or a DeviceError that is raised; next: of the first sign-ins."""

    kind = "payment"

    def __init__(self):
        super().__init__()
        self.answers = {}
        self.next = []
        self.asked = []
        self.is_configured = True
        self.configured = None
        self.begun = []
        self.told = None
        self.unasked = []
        self.settles = True

    def configure(self, *what):
        self.configured = what

    async def _bring_up(self):
        pass

    def _answer(self, asked):
        self.asked.append(asked)
        found = self.next.pop(0) if asked == SIGN_IN and self.next else self.answers.get(asked, ("00", "", 0))
        if isinstance(found, DeviceError):
            raise found
        return Answer(asked, found[0], found[1], found[2])

    async def sign_in(self, timeout_ms):
        return self._answer(SIGN_IN)

    async def echo(self, timeout_ms):
        return self._answer(ECHO)

    async def test_sale(self, timeout_ms):
        answer = self._answer(SALE)
        answer.settled = self.settles
        return answer

    def unfinished(self):
        return [Unfinished(reference, 1, 0) for reference in self.begun]

    async def settle(self, reference, timeout_ms):
        if reference not in self.begun:
            raise DeviceError(E_NOEXIST, "payment")
        answer = self._answer(REVERSAL)
        answer.settled = answer.approved
        if answer.settled:
            self.begun.remove(reference)
        return answer

    def totals(self):
        return self.told

    def heard(self):
        heard, self.unasked = self.unasked, []
        return heard


def silent(cause="payment_silent"):
    return DeviceError(E_TIMEOUT, "payment", "no answer", cause=cause)


class Shop:
    """A terminal in service, its payment application, and what the agent does with it."""

    def __init__(self, flash=None):
        self.time = Time()
        self.flash = flash or Flash()
        if flash is None:
            provisioned(self.flash)
        self.terminal = boot(self.flash, self.time)
        if flash is None:
            self.terminal.apply([FunctionTestPassed(test) for test in FUNCTION_TESTS])
        self.terminal.online = True
        self.host = enabled(Host())
        self.terminal.hal.payment = self.host
        self.settings = Settings(self.terminal.store)
        self.payments = Payments(self.terminal, self.settings)

    def round(self):
        self.time.run(self.payments._round(self.terminal.hal.clock.monotonic_ms()))

    def events(self, name):
        """The details of those of that name in the outbox."""
        messages = [self.terminal.outbox.message(key) for key in self.terminal.outbox.waiting()]
        return [message.body["detail"] for message in messages if message.kind.name == "event" and message.body["name"] == name]

    def states(self):
        messages = [self.terminal.outbox.message(key) for key in self.terminal.outbox.waiting()]
        return [message.body["mode"] for message in messages if message.kind.name == "state"]

    @property
    def reasons(self):
        return [(reason.code, reason.actor, reason.component, reason.note) for reason in self.terminal.state.reasons]
