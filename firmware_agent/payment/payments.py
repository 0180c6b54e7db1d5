"""The agent and the payment application: signs in after a start and once a day, takes what the host says into the state, has what was begun
and not finished brought to its end, and watches the acquirer's limits.
"""

from firmware_agent.links.access import joined
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.payment.limits import warnings_now
from firmware_agent.payment.payment_host import address_of
from firmware_agent.payment.suspicion import (
    ACCEPTED,
    AGAIN,
    BUSY,
    COMPONENT,
    FIRST_WAIT_MS,
    NETWORK,
    REFUSED,
    SUSPENDS,
    Suspicion,
    Verdict,
    wait_ms,
)
from firmware_agent.prevention.probation import SIGN_IN as SIGN_IN_REFUSED
from firmware_agent.prevention.probation import noted
from firmware_agent.state.machine import IN_SERVICE, PROBATION, STEP_LIFT, FaultCleared, Suspended
from firmware_agent.state.reasons import ACTOR_POI, Reason
from firmware_agent.store import StoreError
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.errors import E_FAILURE, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.settings import Settings
    from firmware_agent.state.machine import Event
    from firmware_agent.terminal import Terminal
    from hal.payment import Answer, Payment

EXCHANGE_MS = 10000  # for one message and its answer
LOOK_MS = 1000
SETTLE_MS = 60 * 1000  # how often what is unfinished is tried again
STATE_AGAIN_MS = 60 * 60 * 1000  # a host that wants to hear how the terminal is gets it so often at most
KEY_LIMITS_TOLD = "limits.told"  # [day since 1970 by the shop's time, names of the limits that were told near on it]
DAY_S = 86400

# What a self-test says of a verdict on a sign-in.
_CAUSE_OF = {
    AGAIN: "payment_out_of_step",
    BUSY: "payment_busy",
    NETWORK: "payment_network",
    REFUSED: "payment_refused",
    SUSPENDS: "payment_refused",
}


class Payments:
    """terminal: with a payment application; settings: of the same store."""

    def __init__(self, terminal: "Terminal", settings: "Settings") -> None:
        payment = terminal.hal.payment
        assert payment is not None
        self._terminal = terminal
        self._settings = settings
        self._payment: Payment = payment
        self._suspicion = Suspicion()
        self._failures = 0  # sign-ins in a row that were not accepted
        self._signed_in_ms = 0  # when the last one was tried
        self._sign_in_ms = 0  # when the next one is due
        self._settle_ms = 0
        self._state_told_ms = -STATE_AGAIN_MS
        self._near: list[tuple[str, int]] = []  # what the idle page tells of the limits
        self.configure()

    def configure(self) -> bool:
        """As the settings are now; whether that is enough."""
        host, port = address_of(self._settings.get("payment_host"))
        self._payment.configure(host, port, self._settings.get("merchant_number"), self._settings.get("payment_terminal"))
        return self._payment.is_configured

    async def run(self) -> None:
        """For as long as the agent runs."""
        clock = self._terminal.hal.clock
        while True:
            if self.configure() and joined(self._terminal.hal):
                await self._round(clock.monotonic_ms())
            await clock.sleep_ms(LOOK_MS)

    async def _round(self, now_ms: int) -> None:
        for answer in self._payment.heard():
            if self._take(answer).what == AGAIN:
                self._sign_in_ms = now_ms
        if now_ms >= self._settle_ms:
            self._settle_ms = now_ms + SETTLE_MS
            await settle(self._terminal)
        due_ms = self._sign_in_ms
        if self._terminal.state.step == STEP_LIFT:  # all is done: the merchant waits for this
            due_ms = min(due_ms, self._signed_in_ms + FIRST_WAIT_MS)
        if now_ms >= due_ms and self._is_wanted():
            await self.sign_in()
        self._watch_limits()

    def _is_wanted(self) -> bool:
        """A terminal that others took out of service need not sign in; one that a sign-in took out does, for only that brings it back."""
        return self._terminal.state.mode in (IN_SERVICE, PROBATION) or bool(self._held())

    def _held(self) -> "list[Reason]":
        return [reason for reason in self._terminal.state.reasons if reason.actor == ACTOR_POI and reason.component == COMPONENT]

    async def sign_in(self) -> "tuple[Verdict, DeviceError | None]":
        """Sign in, a second time where the host wants that, and take what it says into the state; what there was instead of an answer."""
        verdict, failure = await self._sign_in_once()
        if verdict.what == AGAIN:
            verdict, failure = await self._sign_in_once()
        self._failures = 0 if verdict.what == ACCEPTED else self._failures + 1
        self._signed_in_ms = self._terminal.hal.clock.monotonic_ms()
        self._sign_in_ms = self._signed_in_ms + wait_ms(self._failures)
        return verdict, failure

    async def _sign_in_once(self) -> "tuple[Verdict, DeviceError | None]":
        try:
            answer = await self._payment.sign_in(EXCHANGE_MS)
        except DeviceError as error:
            self._terminal.log("payment sign-in: %s" % error)
            return self._take(None), error
        self._terminal.log("payment sign-in %s" % answer)
        return self._take(answer), None

    def _take(self, answer: "Answer | None") -> Verdict:
        """Judge it, and do what follows: what the store refuses is done at the next answer."""
        terminal = self._terminal
        verdict = self._suspicion.judge(answer)
        try:
            if verdict.what == SUSPENDS:
                self._suspend(verdict)
            elif verdict.what == REFUSED:
                messages, changes = noted(terminal, SIGN_IN_REFUSED, [verdict.note])
                if messages:
                    terminal.tell(messages, changes=changes)
            elif verdict.what == ACCEPTED and self._held():
                terminal.apply([FaultCleared(COMPONENT)])
            now_ms = terminal.hal.clock.monotonic_ms()
            if verdict.tell_state and now_ms - self._state_told_ms >= STATE_AGAIN_MS:
                terminal.send("state", terminal.state_body())
                self._state_told_ms = now_ms
        except StoreError as error:
            terminal.log("not done: %s" % error)
        return verdict

    def _suspend(self, verdict: Verdict) -> None:
        """One reason is held of what the host says: its last."""
        terminal = self._terminal
        reason = Reason(verdict.reason, ACTOR_POI, terminal.wall_s, component=COMPONENT, note=verdict.note)
        held = self._held()
        if any([other.same_cause(reason) for other in held]):
            return
        messages, changes = noted(terminal, SIGN_IN_REFUSED, [verdict.note])
        events: list[Event] = [Suspended(reason)]
        if held:
            events.insert(0, FaultCleared(COMPONENT))
        terminal.apply(events, messages, changes)

    # For the self-test.

    async def check(self) -> Health:
        """A sign-in."""
        if not self.configure():
            return _not_configured()
        if not joined(self._terminal.hal):
            return Health(HEALTH_NOT_RUN, COMPONENT, "no_link", detail="the network is not joined")
        clock = self._terminal.hal.clock
        begun_ms = clock.monotonic_ms()
        verdict, failure = await self.sign_in()
        if verdict.what == ACCEPTED:
            return Health(HEALTH_SUCCESS, COMPONENT, measurements={"answer_ms": clock.monotonic_ms() - begun_ms})
        if failure is None:
            return Health(HEALTH_FAIL, COMPONENT, _CAUSE_OF[verdict.what], E_FAILURE, detail=verdict.note)
        if failure.cause != "payment_silent":
            return _failed(failure)
        try:  # does the host hear at all, or only this not?
            await self._payment.echo(EXCHANGE_MS)
        except DeviceError as error:
            return _failed(error)
        return _failed(failure, failure.detail + "; an echo is answered")

    async def test(self) -> Health:
        """Of the function test: sign-in, echo, and a sale that is reversed. No money moves."""
        health = await self.check()
        if health.outcome != HEALTH_SUCCESS:
            return health
        try:
            echo = await self._payment.echo(EXCHANGE_MS)
            sale = await self._payment.test_sale(EXCHANGE_MS)
        except DeviceError as error:
            return _failed(error)
        for answer in (echo, sale):
            self._terminal.log("payment %s" % answer)
            verdict = self._suspicion.judge(answer)
            if not answer.approved:
                cause = _CAUSE_OF.get(verdict.what, "payment_refused")
                return Health(HEALTH_FAIL, COMPONENT, cause, E_FAILURE, detail=verdict.note)
        if not sale.settled:
            return Health(HEALTH_FAIL, COMPONENT, "payment_unfinished", E_FAILURE, detail="the test sale's reversal is not confirmed")
        return Health(HEALTH_SUCCESS, COMPONENT)

    # Limits.

    def _watch_limits(self) -> None:
        """Show what is near, and tell it, each limit once a day."""
        near = warnings_now(self._terminal, self._settings)
        if near == self._near:
            return
        self._near = near
        terminal = self._terminal
        terminal.changes_seen += 1
        day, told = (terminal.wall_s + self._settings.utc_offset_min * 60) // DAY_S, []
        try:
            told_day, names = decode(terminal.store.get(KEY_LIMITS_TOLD) or b"")
            told = [str(name) for name in names] if told_day == day else []
        except (CborError, TypeError, ValueError):
            pass
        events: list[tuple[str, dict[str, object]]] = []
        for name, percent in near:
            if name not in told:
                told.append(name)
                events.append(("event", {"name": "limit_near", "detail": "%s %d %%" % (name, percent)}))
        if events:
            terminal.tell(events, changes=[(KEY_LIMITS_TOLD, encode([day, told]))])


async def settle(terminal: "Terminal") -> int:
    """Have everything unfinished brought to its end, as far as the host does; how much of it has come to it, which is told."""
    payment = terminal.hal.payment
    if payment is None or not payment.is_configured:
        return 0
    ended = []
    try:
        for each in payment.unfinished():
            answer = await payment.settle(each.reference, EXCHANGE_MS)
            terminal.log("payment %s of %s" % (answer, each.reference))
            if answer.settled:
                ended.append(each.reference)
    except DeviceError as error:
        terminal.log("payment not settled: %s" % error)
    if ended:
        terminal.tell([("event", {"name": "transactions_settled", "detail": "%d: %s" % (len(ended), " ".join(ended[:8]))})])
    return len(ended)


def _not_configured() -> Health:
    return Health(HEALTH_NOT_RUN, COMPONENT, "not_configured", detail="no payment host is configured")


def _failed(error: DeviceError, detail: str = "") -> Health:
    return Health(HEALTH_FAIL, COMPONENT, error.cause or "payment_unreachable", E_FAILURE, detail=detail or error.detail)
