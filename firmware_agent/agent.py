"""The agent: boots, tests, reports, and then serves the person at the counter and the acquirer until the power goes."""

import asyncio

from firmware_agent import VERSION
from firmware_agent.application.review import watch as watch_review
from firmware_agent.boot.boot_guard import (
    CAUSE_BOOT_LOOP,
    CAUSE_BROWNOUT,
    SETTLED_MS,
    STAGE_DEVICES,
    STAGE_GOOD,
    STAGE_MEMORY,
    STAGE_SETTLED,
    STAGE_WORK,
)
from firmware_agent.boot.rollback import Rollback
from firmware_agent.flows.selftest_pages import degraded_page
from firmware_agent.flows.ui import Ui
from firmware_agent.identity.identity import KEY_FACTORY, KEY_IDENTITY, KEY_REPLACEMENT, Identity, IdentityError
from firmware_agent.identity.registration import Renewals
from firmware_agent.links.access import address_of, join
from firmware_agent.links.link import LinkSettings, Tls
from firmware_agent.links.path import Path
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.courier import Courier
from firmware_agent.messages.inbound import RESULT_GOOD, Judge, Verdict, is_fresh
from firmware_agent.messages.schema import down_topics
from firmware_agent.messages.timekeeper import Timekeeper
from firmware_agent.network_trial import NetworkTrial
from firmware_agent.orders import OrderError, effect_of
from firmware_agent.prevention.notices import watch
from firmware_agent.prevention.probation import NETWORK, RESTART, Outages, note
from firmware_agent.prevention.probation import watch as end_of_probation
from firmware_agent.prevention.reminders import Reminders
from firmware_agent.records.evidence import of_acceptance
from firmware_agent.selftest.diagnosis import diagnose_all
from firmware_agent.selftest.engine import run_phases
from firmware_agent.selftest.plans import DAILY, POWER_ON, plan_phases
from firmware_agent.selftest.run import daily_is_due
from firmware_agent.selftest.subject import Subject
from firmware_agent.settings import DEFAULTS, Settings
from firmware_agent.state.machine import (
    IN_SERVICE,
    PROBATION,
    SUSPENDED,
    FaultCleared,
)
from firmware_agent.state.reasons import ACTOR_POI
from firmware_agent.store import Store, StoreError
from firmware_agent.terminal import KEY_HIGHEST, Terminal
from firmware_agent.texts import load
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.errors import E_FAILURE, DeviceError
from hal.hal import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.boot.boot_guard import BootGuard
    from firmware_agent.boot.safe_mode import SafeMode
    from firmware_agent.flows.activation_flow import ActivationDesk
    from firmware_agent.flows.counter import Counter
    from firmware_agent.flows.first_network import FirstNetwork
    from firmware_agent.links.link import Link, Message
    from firmware_agent.selftest.phases import Phase, Result
    from hal.clock import Clock
    from hal.hal import Hal

HOUSEKEEPING_MS = 1000
# What a safe mode brings up; and the network, unless the last safe mode did not hold.
SAFE_KINDS = ("clock", "storage", "secure_element", "display", "keypad")
FEED_MS = 1000  # how often the watchdog is fed
RESTART_MS = 5000
LEAVING_LOOK_MS = 100  # how often a device that is replaced looks whether all is said
KEEPALIVE_S = 30


class Agent:
    """hal: built, not yet brought up; link_class: the Link of this runtime; log: takes one line for a technician; guard: has counted this
    start; reset: starts the terminal anew, and does not return.

    counter: who may be asked for a self-test, once there is one; terminal: None where there is no memory or no identity.
    """

    def __init__(
        self,
        hal: "Hal",
        link_class: "Callable[[LinkSettings, Clock], Link]",
        log: "Callable[[str], None]",
        guard: "BootGuard",
        reset: "Callable[[], None]",
    ) -> None:
        self._hal = hal
        self._link_class = link_class
        self._log = log
        self._guard = guard
        self._reset = reset
        self.counter: Counter | SafeMode | Degraded | None = None
        self.terminal: Terminal | None = None

    async def run(self) -> None:
        """Until it is cancelled, under the eyes of the watchdog: an event loop that stands still for too long ends in a reset."""
        watchdog = self._hal.watchdog
        if watchdog is not None:
            watchdog.start()
        await asyncio.gather(self._feed(), self._serve())

    async def _feed(self) -> None:
        watchdog = self._hal.watchdog
        while watchdog is not None:
            watchdog.feed()
            await self._hal.clock.sleep_ms(FEED_MS)

    async def _serve(self) -> None:
        """A terminal whose memory or identity cannot be read still tests its devices and says what is wrong."""
        guard = self._guard
        guard.reached(STAGE_DEVICES)
        kinds: tuple[str, ...] = KINDS
        if guard.safe:
            kinds = SAFE_KINDS if guard.link_failed else SAFE_KINDS + ("network",)
        for error in await self._hal.bring_up(kinds):
            self._log("bring-up %s" % error)
        guard.reached(STAGE_MEMORY)
        store = Store(self._hal.storage)
        try:
            store.open()
            rollback = Rollback(store, self._hal.secure_element, self._log)
            await rollback.count_boot()
            terminal = Terminal(self._hal, store, Identity.load(store), self._log)
            terminal.booted()
            rollback.tell(terminal)
            note(terminal, RESTART, "boot %d" % terminal.boot_count)
        except (StoreError, IdentityError, ValueError) as error:
            self._log("degraded %s" % error)
            guard.reached(STAGE_WORK)
            if guard.safe:
                await self._run_safe_without_memory()
                return
            rotten = bool(store.damaged) or isinstance(error, ValueError) or (isinstance(error, StoreError) and error.code == "corrupt")
            if not rotten and isinstance(error, IdentityError) and store.get(KEY_IDENTITY) is None:
                await self._run_without_identity(store)
                return
            warning = "warning.not_provisioned" if isinstance(error, IdentityError) and not rotten else "warning.storage"
            self.counter = degraded = Degraded(self._hal, warning, rotten, self._log)
            await asyncio.gather(self._keep_going(degraded.run), self._watch_start(degraded, None))
            return
        self._log("boot %d firmware %s" % (terminal.boot_count, VERSION))
        settings = Settings(store)
        guard.reached(STAGE_WORK)
        ui = Ui(self._hal, load(settings.language), self._log, terminal.note_prompt)
        checks: dict[str, Callable[[], Awaitable[Health]]] = {
            "firmware": lambda: self._check_firmware(terminal),
            "power": self._check_power,
        }
        trial = NetworkTrial(terminal, settings, lambda: courier.renew())
        counter = self._counter(ui, terminal, settings, checks, trial)
        self.terminal, self.counter = terminal, counter
        payments = None
        if self._hal.payment is not None and not guard.safe:
            from firmware_agent.payment.payments import Payments

            payments = Payments(terminal, settings)
            checks["payment.sign_in"], checks["payment.test"] = payments.check, payments.test
        courier = Courier(
            terminal,
            lambda: self._make_link(terminal.identity),
            lambda message: self._arrived(terminal, rollback, counter, courier, path, message),
        )
        trial.start()
        path = Path(terminal, courier)
        checks["network.path"] = path.walk
        tasks = [self._keep_going(counter.run), self._watch_start(counter, terminal)]
        tasks.append(self._keep_going(lambda: self._keep_time(terminal, settings, trial)))
        if not guard.link_failed:
            tasks.extend([self._keep_going(courier.run), self._keep_going(Timekeeper(terminal, courier, path).run)])
            tasks.append(self._keep_going(lambda: self._keep_house(terminal, counter)))
            if payments is not None:
                tasks.append(self._keep_going(payments.run))
        await asyncio.gather(*tasks)

    def _counter(
        self,
        ui: Ui,
        terminal: Terminal,
        settings: Settings,
        checks: "dict[str, Callable[[], Awaitable[Health]]]",
        trial: NetworkTrial,
    ) -> "Counter | SafeMode":
        """Only what this start needs is loaded: what a normal one cannot load, for want of memory or a damaged file, does not end a safe
        one.
        """
        if self._guard.safe:
            from firmware_agent.boot.safe_mode import SafeMode

            return SafeMode(self._hal, ui, self._guard, self._reset, self._log, terminal, checks)
        from firmware_agent.flows.counter import Counter

        return Counter(terminal, ui, settings, checks, self._restart, trial, lambda: self._desk_again(terminal))

    async def _watch_start(self, counter: "Counter | SafeMode | Degraded", terminal: "Terminal | None") -> None:
        """Say when the work of this start is done; a safe mode says it itself. A normal start lifts what failed ones had imposed."""
        guard = self._guard
        await counter.ready.wait()
        if not guard.safe:
            guard.reached(STAGE_GOOD)
            if terminal is not None and self._hal.spare is not None:
                self._settle_update(terminal)
        if terminal is not None and not guard.safe:
            imposed = [
                reason
                for reason in terminal.state.reasons
                if reason.actor == ACTOR_POI and reason.note in (CAUSE_BOOT_LOOP, CAUSE_BROWNOUT)
            ]
            try:
                terminal.apply([FaultCleared(reason.component) for reason in imposed])
            except StoreError as error:
                self._log("failed %s" % error)  # the next good start lifts it
        await self._hal.clock.sleep_ms(SETTLED_MS)
        guard.reached(STAGE_SETTLED)

    def _settle_update(self, terminal: Terminal) -> None:
        from firmware_agent.boot.update import settle  # only where programs come in slots

        try:
            settle(terminal)
        except (DeviceError, StoreError) as error:
            self._log("failed %s" % error)  # the next good start does it

    async def _check_firmware(self, terminal: Terminal) -> "Health":
        hal = self._hal
        if hal.program is None:
            return Health(HEALTH_NOT_RUN, "firmware", "absent")
        from firmware_agent.selftest.firmware_image import KEY_MANIFEST, check_image

        keys, vouched = terminal.identity.acquirer_keys, terminal.store.get(KEY_MANIFEST)
        return await check_image(hal.program, hal.secure_element, keys, hal.clock, vouched=vouched)

    async def _check_power(self) -> "Health":
        """Whether the supply holds: how often in a row the power went during a start. A start that is good ends the row."""
        losses = self._guard.power_losses
        measurements = {"power_losses": losses}
        if self._guard.cause != CAUSE_BROWNOUT:
            return Health(HEALTH_SUCCESS, "power", measurements=measurements)
        detail = "the power went during %d starts in a row" % losses
        return Health(HEALTH_FAIL, "power", CAUSE_BROWNOUT, E_FAILURE, detail=detail, measurements=measurements)

    async def _run_without_identity(self, store: Store) -> None:
        """Nobody's yet, or nobody's any more: until a restart, as who it is then."""
        from firmware_agent.flows.first_network import FirstNetwork

        network = FirstNetwork(self._hal, store, self._log)
        language = Settings(store).language
        warning = "warning.not_provisioned" if store.get(KEY_REPLACEMENT) is None else "warning.replaced"
        self.counter = degraded = Degraded(self._hal, warning, False, self._log, language, await self._desk(store, network))
        await asyncio.gather(self._keep_going(degraded.run), self._watch_start(degraded, None), self._keep_going(network.keep_joined))

    async def _desk(self, store: Store, network: "FirstNetwork | None" = None) -> "ActivationDesk | None":
        """Where an activation code can be typed: on a terminal without an identity, whose factory has put in whom to ask. What took the
        identity is brought to its end before.
        """
        is_replaced = store.get(KEY_REPLACEMENT) is not None
        try:
            if is_replaced:
                from firmware_agent.identity.replacement import finish

                await finish(store, self._hal.secure_element)
            if store.get(KEY_FACTORY) is None:
                return None
            factory = Identity.load(store, KEY_FACTORY)
        except (StoreError, DeviceError, IdentityError) as error:
            self._log("no activation: %s" % error)
            return None
        from firmware_agent.flows.activation_flow import ActivationDesk
        from firmware_agent.identity.activation import Activation

        activation = Activation(self._hal, store, factory, self._make_link, self._log)
        return ActivationDesk(activation, is_replaced, self._hal.clock, self._restart, self._log, network=network)

    def _desk_again(self, terminal: Terminal) -> "ActivationDesk":
        """For a terminal that has an identity, which stays until the new one is there. Raises IdentityError: the factory's record cannot be
        read.
        """
        from firmware_agent.flows.activation_flow import ActivationDesk
        from firmware_agent.identity.activation import Activation

        factory = Identity.load(terminal.store, KEY_FACTORY)
        activation = Activation(self._hal, terminal.store, factory, self._make_link, self._log, terminal.identity)

        def activated(identity: Identity) -> None:
            terminal.identity = identity  # what is still sent before the restart is signed by the key that is valid now

        return ActivationDesk(activation, False, self._hal.clock, self._restart, self._log, activated)

    async def _leave(self, terminal: Terminal) -> None:
        """Another device takes this one's place: give what is queued its time, forget who this is, and start as nobody."""
        from firmware_agent.identity.replacement import RECEIPT_MS, forget

        if self._hal.payment is not None:
            from firmware_agent.payment.payments import settle

            await settle(terminal)  # nobody could do it afterwards
        clock = self._hal.clock
        until_ms = clock.monotonic_ms() + RECEIPT_MS
        while terminal.outbox.waiting() and clock.monotonic_ms() < until_ms:
            await clock.sleep_ms(LEAVING_LOOK_MS)
        forget(terminal.store)
        self._log("replaced by another device: identity erased")
        self._restart()

    def _restart(self) -> None:
        """On purpose, into a normal start."""
        self._guard.restarting(True)
        self._reset()

    async def _run_safe_without_memory(self) -> None:
        from firmware_agent.boot.safe_mode import SafeMode

        ui = Ui(self._hal, load(DEFAULTS["language"]), self._log)
        self.counter = counter = SafeMode(self._hal, ui, self._guard, self._reset, self._log)
        await asyncio.gather(self._keep_going(counter.run), self._watch_start(counter, None))

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

    async def _keep_house(self, terminal: Terminal, counter: "Counter | SafeMode") -> None:
        """What is due from time to time, and what the state says must go on after a restart."""
        renewals = Renewals(terminal)
        outages = Outages()
        while True:
            terminal.watch_storage()
            terminal.watch_events()
            terminal.watch_evidence()
            if not terminal.storage_refusal:  # else keys would be made again and again that nobody knows of
                await renewals.look()
                end_of_probation(terminal)
                terminal.watch_suspension()
            if outages.look(terminal.online, self._hal.clock.monotonic_ms()):
                note(terminal, NETWORK, "lost for 10 minutes")
            if not self._guard.safe and terminal.state.mode in (IN_SERVICE, PROBATION, SUSPENDED) and daily_is_due(terminal):
                counter.ask_self_test(DAILY)
            if terminal.store.get(KEY_REPLACEMENT) is not None:
                await self._leave(terminal)
            await self._hal.clock.sleep_ms(HOUSEKEEPING_MS)
            await join(self._hal, self._log)

    async def _keep_time(self, terminal: Terminal, settings: Settings, trial: NetworkTrial) -> None:
        """What begins and ends by its time: maintenance windows, notices, reminders, the review, the trial of the network's settings."""
        reminders = Reminders(terminal, settings)
        while True:
            await trial.watch()
            if not terminal.storage_refusal:
                watch(terminal)
                if not self._guard.safe:  # which shows none, and loads no more than it needs
                    reminders.watch()
                watch_review(terminal)
            await self._hal.clock.sleep_ms(HOUSEKEEPING_MS)

    # What the acquirer sends.

    async def _make_link(self, identity: Identity) -> "Link":
        """A link sees numeric addresses only: a look-up has its own limit and its own failure. Raises LinkError."""
        return self._link_class(link_settings(identity, await address_of(self._hal, identity.broker_host)), self._hal.clock)

    async def _arrived(
        self, terminal: Terminal, rollback: Rollback, counter: "Counter | SafeMode", courier: Courier, path: Path, message: "Message"
    ) -> None:
        """Judge one message and do what it says; its receipt, its sequence and what it does are one write. What the store refuses to keep
        is refused, too; but nothing of an answer has to outlive this start.
        """
        arrived_ms = self._hal.clock.monotonic_ms()  # before it is judged, which takes a microcontroller half a second
        if message.topic not in down_topics(terminal.identity.acquirer, terminal.identity.terminal):
            self._log("ignored a message on %s" % message.topic)  # never subscribed to: a broker's slip, not the acquirer's word
            return
        clock = self._hal.clock
        identity = terminal.identity  # as it is now: its keys change over the years
        judge = Judge(self._hal.secure_element, identity.acquirer, identity.terminal, identity.acquirer_keys)
        asked = path.asked
        verdict = await judge.judge(message.topic, message.payload, terminal.highest, clock.wall_s(), clock.trust, asked)
        claims = verdict.claims
        effect = None
        if not verdict.refusal and claims is not None:
            verdict.refusal = rollback.refusal(is_fresh(claims, asked))
        if not verdict.refusal and claims is not None:
            try:
                effect = await effect_of(terminal, claims, verdict.signed_by)
            except OrderError as error:
                self._log("%s cannot be done: %s" % (claims.kind.name, error))
                verdict.refusal = error.code
        if effect is None or claims is None:
            self._refuse(terminal, verdict, message)
            return
        effect.changes.append((KEY_HIGHEST, encode(claims.sequence)))
        effect.changes.extend(rollback.writes(claims))
        is_answer = is_fresh(claims, asked)
        time_taken = terminal.take_time(claims.issued_at, is_answer)
        effect.changes.extend(time_taken)
        effect.messages.append(("receipt", self._receipt(terminal, verdict)))
        try:
            if claims.kind.name == "answer":
                terminal.tell(effect.messages, effect.events, effect.changes)
            else:
                accepted = of_acceptance(claims, verdict.digest)
                facts = effect.facts + ([accepted] if accepted is not None else [])
                terminal.apply(effect.events, effect.messages, effect.changes, facts=facts)
        except StoreError as error:
            if error.code != "medium":
                raise
            verdict.refusal = "not_kept"
            self._refuse(terminal, verdict, message)
            return
        if time_taken:
            clock.set_wall(claims.issued_at, is_answer)
        what = [claims.kind.name, claims.text("action") or claims.text("status"), claims.text("reason")]
        self._log("accepted %d: %s" % (claims.sequence, " ".join(what).strip()))
        if effect.redraw:
            terminal.changes_seen += 1
        if effect.self_test:
            counter.ask_self_test(effect.self_test)
        if claims.kind.name == "answer":
            path.answered(claims.octets("nonce"), arrived_ms)
        if effect.identity is not None:
            if effect.identity.transport_certificate != identity.transport_certificate:
                courier.renew()
            terminal.identity = effect.identity
        await rollback.written(claims)

    def _refuse(self, terminal: Terminal, verdict: Verdict, message: "Message") -> None:
        """Whoever floods a terminal with forgeries does not push its reports out of the outbox: the log names each, an event their sum."""
        self._log("refused: %s on %s" % (verdict.refusal, message.topic))
        if terminal.refusals.gets_receipt(verdict.refusal, verdict.authentic):
            terminal.send("receipt", self._receipt(terminal, verdict))

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


class Degraded:
    """In the place of the counter, where there is no memory or no identity: tests the devices and shows them under that warning.
    rotten: what is missing or makes no sense was there once; desk: what is shown then instead, where an identity can be had.

    Of the last self-test: its plan, its results, and how many there were before.
    """

    def __init__(
        self,
        hal: "Hal",
        warning: str,
        rotten: bool,
        log: "Callable[[str], None]",
        language: str = DEFAULTS["language"],
        desk: "ActivationDesk | None" = None,
    ) -> None:
        self._hal = hal
        self._warning = warning
        self._rotten = rotten
        self._log = log
        self._language = language
        self._desk = desk
        self._asked_for = ""
        self.ready = asyncio.Event()
        self.plan = ""
        self.results: list[Result] = []
        self.runs = 0

    def ask_self_test(self, plan_name: str) -> None:
        """Run it as soon as the page gives way."""
        self._asked_for = plan_name

    async def run(self) -> None:
        """For as long as the agent runs: first the power-on self-test."""
        ui = Ui(self._hal, load(self._language), self._log)
        while True:
            plan_name = self._asked_for or POWER_ON
            self._asked_for = ""
            plan = plan_phases(plan_name, self._hal)
            told: dict[str, Result] = {}

            def done(result: "Result", plan: "list[Phase]" = plan, told: "dict[str, Result]" = told) -> None:
                told[result.phase] = result
                ui.show(degraded_page(ui.texts, self._warning, plan, told))

            self.results = await run_phases(Subject(self._hal, rotten=self._rotten), plan, done)
            self.plan = plan_name
            self.runs += 1
            for diagnosis in diagnose_all(self.results, self._hal.buses):
                self._log("diagnosis %s" % diagnosis)
            self._log("self-test %s ended" % plan_name)
            self.ready.set()
            page = degraded_page(ui.texts, self._warning, plan, told)
            while not self._asked_for:
                try:
                    await (ui.ask(page, self._is_asked) if self._desk is None else self._desk.serve(ui, self._is_asked, page))
                except (StoreError, DeviceError) as error:  # of the desk: nothing has changed
                    self._log("failed %s" % error)
                    await self._hal.clock.sleep_ms(RESTART_MS)

    def _is_asked(self) -> bool:
        return bool(self._asked_for)


def link_settings(identity: Identity, address: str) -> LinkSettings:
    """How this terminal reaches its broker. address: of identity.broker_host."""
    return LinkSettings(
        address,
        identity.broker_port,
        identity.terminal,
        KEEPALIVE_S,
        Tls(identity.authority, identity.transport_certificate, identity.transport_private_key, identity.broker_name),
    )
