"""The agent: boots, tests, reports, and then serves the person at the counter and the acquirer until the power goes."""

import asyncio

from firmware_agent import VERSION
from firmware_agent.flows.counter import Counter
from firmware_agent.flows.selftest_pages import degraded_page
from firmware_agent.flows.ui import Ui
from firmware_agent.identity.identity import Identity, IdentityError
from firmware_agent.identity.registration import RegistrationError, begin, renewed, writes
from firmware_agent.links.access import join
from firmware_agent.links.link import LinkSettings, Tls
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.courier import Courier
from firmware_agent.messages.inbound import RESULT_GOOD, Judge, Verdict
from firmware_agent.messages.schema import down_topics
from firmware_agent.selftest.engine import run_plan
from firmware_agent.selftest.phases import power_on_plan
from firmware_agent.settings import DEFAULTS, Settings
from firmware_agent.state.machine import (
    PROBATION,
    RECOVERING,
    REVIEW_ANSWERS,
    STEP_REGISTRATION,
    Lifted,
    Registered,
    ReviewAnswered,
    Suspended,
    TimePassed,
)
from firmware_agent.state.reasons import ACTOR_HOST, Reason, reason_kind
from firmware_agent.store import Store, StoreError
from firmware_agent.terminal import KEY_HIGHEST, KEY_WALL, Terminal
from firmware_agent.texts import load
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.links.link import Link, Message
    from firmware_agent.messages.schema import Claims
    from firmware_agent.selftest.phases import Result
    from firmware_agent.state.machine import Event
    from hal.clock import Clock
    from hal.hal import Hal

HOUSEKEEPING_MS = 1000
RESTART_MS = 5000
KEEPALIVE_S = 30


class Agent:
    """hal: built, not yet brought up; link_class: the Link of this runtime; log: takes one line for a technician."""

    def __init__(self, hal: "Hal", link_class: "Callable[[LinkSettings, Clock], Link]", log: "Callable[[str], None]") -> None:
        self._hal = hal
        self._link_class = link_class
        self._log = log

    async def run(self) -> None:
        """Until it is cancelled. A terminal whose memory or identity cannot be read still tests its devices and says what is wrong."""
        for error in await self._hal.bring_up():
            self._log("bring-up %s" % error)
        store = Store(self._hal.storage)
        try:
            store.open()
            Terminal.count_boot(store)
            terminal = Terminal(self._hal, store, Identity.load(store), self._log)
            terminal.booted()
        except (StoreError, IdentityError, ValueError) as error:
            self._log("degraded %s" % error)
            await self._run_degraded("warning.not_provisioned" if isinstance(error, IdentityError) else "warning.storage")
            return
        self._log("boot %d firmware %s" % (terminal.boot_count, VERSION))
        settings = Settings(store)
        if self._hal.network is not None:
            self._hal.network.configure(settings.get("ssid"), settings.get("password"))
        counter = Counter(terminal, Ui(self._hal, load(settings.language), self._log), settings)
        judge = Judge(self._hal.secure_element, terminal.identity.acquirer, terminal.identity.terminal, terminal.identity.acquirer_keys)
        courier = Courier(
            terminal,
            lambda: self._link_class(link_settings(terminal.identity), self._hal.clock),
            lambda message: self._arrived(terminal, judge, counter, courier, message),
        )
        await asyncio.gather(
            self._keep_going(courier.run), self._keep_going(counter.run), self._keep_going(lambda: self._keep_house(terminal))
        )

    async def _keep_going(self, run: "Callable[[], Awaitable[None]]") -> None:
        """A memory that refuses a write, or a device that fails unexpectedly, ends neither the other tasks nor this one for long.

        What could not be written has not happened: the state in memory changes only after the write.
        """
        while True:
            try:
                await run()
            except (StoreError, DeviceError) as error:
                self._log("failed %s" % error)
            await self._hal.clock.sleep_ms(RESTART_MS)

    async def _run_degraded(self, warning: str) -> None:
        """Test the devices and show them under that warning. Without a memory there are no settings: the default language."""
        ui = Ui(self._hal, load(DEFAULTS["language"]), self._log)
        plan = power_on_plan(self._hal)
        results: dict[str, Result] = {}

        def done(result: "Result") -> None:
            results[result.phase] = result
            ui.show(degraded_page(ui.texts, warning, plan, results))

        await run_plan(self._hal, plan, done)
        while True:
            await self._hal.clock.sleep_ms(HOUSEKEEPING_MS)

    async def _keep_house(self, terminal: Terminal) -> None:
        """What is due from time to time, and what the state says must go on after a restart."""
        while True:
            if terminal.state.mode == RECOVERING and terminal.state.step == STEP_REGISTRATION:
                await begin(terminal)
            if terminal.state.mode == PROBATION and terminal.wall_s:
                terminal.apply([TimePassed(terminal.wall_s)])
            await self._hal.clock.sleep_ms(HOUSEKEEPING_MS)
            await join(self._hal, self._log)

    # What the acquirer sends.

    async def _arrived(self, terminal: Terminal, judge: Judge, counter: Counter, courier: Courier, message: "Message") -> None:
        """Judge one message and do what it says; its receipt, its sequence and what it does are one write."""
        if message.topic not in down_topics(terminal.identity.acquirer, terminal.identity.terminal):
            self._log("ignored a message on %s" % message.topic)  # never subscribed to: a broker's slip, not the acquirer's word
            return
        clock = self._hal.clock
        verdict = await judge.judge(message.topic, message.payload, terminal.highest, clock.wall_s(), clock.trust)
        events: list[Event] = []
        changes: list[tuple[str, bytes | None]] = []
        identity = None
        claims = verdict.claims
        if not verdict.refusal and claims is not None:
            try:
                if claims.kind.name == "credentials":
                    identity = await renewed(terminal, claims)
                    changes.extend(writes(identity))
                events.extend(self._events(claims))
            except (KeyError, RegistrationError) as error:
                self._log("order %s cannot be done: %s" % (claims.kind.name, error))
                verdict.refusal = "unknown_action"
        if verdict.refusal or claims is None:
            self._log("refused: %s on %s" % (verdict.refusal, message.topic))
            # Whoever floods a terminal with forgeries does not push its reports out of the outbox: the log names each, receipts give way.
            if not terminal.outbox.is_crowded:
                terminal.send("receipt", self._receipt(terminal, verdict))
            return
        changes.append((KEY_HIGHEST, encode(claims.sequence)))
        is_news = claims.issued_at > terminal.wall_s
        if is_news:
            changes.append((KEY_WALL, encode(claims.issued_at)))
        terminal.apply(events, [("receipt", self._receipt(terminal, verdict))], changes)
        if is_news:
            clock.set_wall(claims.issued_at)
        what = [claims.kind.name, claims.text("action") or claims.text("status"), claims.text("reason")]
        self._log("accepted %d: %s" % (claims.sequence, " ".join(what).strip()))
        if claims.text("action") == "self_test":
            counter.ask_self_test("full")
        if identity is not None:
            terminal.identity = identity
            courier.renew()

    def _events(self, claims: "Claims") -> "list[Event]":
        """What an accepted message means for the state. Raises KeyError for an action or reason that does not exist."""
        if claims.kind.name == "status":
            if claims.text("status") not in REVIEW_ANSWERS:
                raise KeyError(claims.text("status"))
            return [ReviewAnswered(claims.number("application"), claims.text("status"), claims.text("remark"))]
        if claims.kind.name == "credentials":
            return [Registered()]
        action = claims.text("action")
        if action == "self_test":
            return []
        kind = reason_kind(claims.text("reason"))
        if action == "lift":
            return [Lifted(kind.code, claims.number("probation_s"))]
        if action == "suspend":
            return [
                Suspended(
                    Reason(
                        kind.code,
                        ACTOR_HOST,
                        claims.issued_at,
                        claims.number("until"),
                        case=claims.text("case"),
                        note=claims.text("note"),
                    )
                )
            ]
        raise KeyError(action)

    def _receipt(self, terminal: Terminal, verdict: Verdict) -> "dict[str, object]":
        highest = terminal.highest
        body: dict[str, object] = {"of": verdict.digest, "result": verdict.result}
        if verdict.refusal:
            body["refusal"] = verdict.refusal
        if verdict.claims is not None and verdict.authentic:
            body["sequence"] = verdict.claims.sequence
            if verdict.result == RESULT_GOOD:
                highest = max(highest, verdict.claims.sequence)
        body["highest"] = highest
        return body


def link_settings(identity: Identity) -> LinkSettings:
    """How this terminal reaches its broker."""
    return LinkSettings(
        identity.broker_host,
        identity.broker_port,
        identity.terminal,
        KEEPALIVE_S,
        Tls(identity.authority, identity.transport_certificate, identity.transport_private_key, identity.broker_name),
    )
