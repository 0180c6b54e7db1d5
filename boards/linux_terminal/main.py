"""The command `reinstate-agent`: runs the agent of a Linux terminal, tests its devices from a shell, looks for what is attached, takes the
credentials with which the terminal becomes an acquirer's, writes its records to files, and installs a newer program.

Exit codes: 0 done and good; 1 done, and something failed; 2 wrong usage, configuration or installation, in one line on stderr; 75 the agent
is to be started again (EX_TEMPFAIL of sysexits.h).
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time

from boards.linux_terminal.configuration import ConfigurationError, load
from boards.linux_terminal.desk import Desk, DeskError, NobodyThere, ask
from boards.linux_terminal.process import InUse, Process, Restart, boot_id, sole_use
from boards.linux_terminal.service import Log, Manager
from firmware_agent import VERSION
from firmware_agent.boot.boot_guard import BootGuard
from firmware_agent.records.console_export import AUDIT, EVIDENCE, SUMMARY
from firmware_agent.start import place_of, program_root, start
from hal.drivers.linux.linux_clock import sleep_ms
from hal.errors import CH_EXTERNAL, CH_INTERACTIVE, CH_INTERNAL, DeviceError
from hal.files import Files
from hal.platform import Platform
from hal.resolver import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from typing import Any, TypeVar

    from boards.linux_terminal.configuration import Configuration
    from boards.linux_terminal.desk import Answer, Question
    from firmware_agent.agent import Agent
    from firmware_agent.identity.identity import Identity
    from firmware_agent.links.link import Link, LinkSettings
    from firmware_agent.selftest.export import LastRun
    from firmware_agent.selftest.phases import Phase, Result
    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal
    from hal.clock import Clock
    from hal.hal import Hal

    T = TypeVar("T")

GOOD, FAILED, WRONG_USAGE, AGAIN = 0, 1, 2, 75
CONFIGURATION = "/etc/reinstate/agent.toml"
COMMAND = "/usr/local/bin/reinstate-agent"  # as the service's unit has it
RECORDS = (EVIDENCE, AUDIT, SUMMARY)
LEVELS = {"internal": CH_INTERNAL, "external": CH_EXTERNAL, "interactive": CH_INTERACTIVE}
GOODBYE_MS = 3000  # for the broker to take what is to be told before an end
ENDING_S = 5.0  # for all tasks to come to their end
CANCEL_S = 0.2
LOOK_MS = 100


class Refused(Exception):
    """What was asked for cannot be done; the message is for the person at the shell."""


def main(arguments: "Sequence[str] | None" = None) -> int:
    """The entry point of the `reinstate-agent` command."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (ConfigurationError, DeskError, Refused) as error:
        return _wrong(str(error))
    except InUse as error:
        return _wrong("%s is in use by another agent or self-test" % error)
    except KeyboardInterrupt:
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reinstate-agent", description="The agent of a payment terminal on Linux.")
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    running = commands.add_parser("run", help="run the agent, as the service does", description=_run.__doc__)
    running.set_defaults(run=_run)
    test = commands.add_parser("selftest", help="test the devices", description=_selftest.__doc__)
    test.set_defaults(run=_selftest)
    what = test.add_mutually_exclusive_group()
    what.add_argument("--plan", default="", help="power_on, daily, full, reactivation or device.DEVICE (default: daily)")
    what.add_argument("--level", choices=LEVELS, help="how far to go: without effect, with effect, with a person at the terminal")
    test.add_argument("--only", default="", metavar="PHASE_OR_DEVICE", help="only this phase, or the phases of this device")
    test.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    test.add_argument("--junit", metavar="FILE", help="write the phases as JUnit XML")
    request = commands.add_parser("request", help="ask for credentials, by a file", description=_request.__doc__)
    request.add_argument("output", metavar="FILE", help="what is carried to the acquirer")
    request.set_defaults(run=_request)
    enrol = commands.add_parser("enrol", help="take the acquirer's credentials, from a file", description=_enrol.__doc__)
    enrol.add_argument("credentials", metavar="FILE", help="what the acquirer has answered")
    enrol.set_defaults(run=_enrol)
    export = commands.add_parser("export", help="write a signed record to a file", description=_export.__doc__)
    export.add_argument("what", choices=RECORDS, help="the evidence log, its audit, or the summary of the last suspension")
    export.add_argument("output", metavar="FILE", help="where it goes, for `reinstate verify`")
    export.set_defaults(run=_export)
    update = commands.add_parser("update", help="install a newer program that the acquirer has signed", description=_update.__doc__)
    newer = update.add_mutually_exclusive_group(required=True)
    newer.add_argument("wheel", nargs="?", metavar="WHEEL", help="the program; its signed list lies beside it")
    newer.add_argument("--back", action="store_true", help="exchange the program for the one before it")
    update.add_argument("--command", default=COMMAND, metavar="LINK", help="what starts the agent (default: %(default)s)")
    update.set_defaults(run=_update)
    for command in (running, test, request, enrol, export, update):
        command.add_argument("--config", default=CONFIGURATION, metavar="FILE", help="default: %(default)s")
    look = commands.add_parser("detect", help="propose a configuration", description=_detect.__doc__)
    look.set_defaults(run=_detect)
    return parser


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def _wrong(what: str) -> int:
    print("reinstate-agent: " + what, file=sys.stderr)
    return WRONG_USAGE


# run


def _run(options: argparse.Namespace) -> int:
    """Run the agent until it is told to end (SIGTERM, SIGINT), under the eyes of the service manager where there is one."""
    configuration = load(options.config)
    manager = Manager(os.environ)
    log = Log(os.environ, manager)
    try:
        with sole_use(configuration.state):
            return asyncio.run(_Service(configuration, manager, log).run())
    except OSError as error:  # nothing is begun yet: the state folder, the socket's place
        return _wrong("%s: %s" % (error.filename or configuration.socket, error.strerror))


class _Service:
    """The agent with what is beside it: the signals that end it, the desk at which it is asked for a self-test."""

    def __init__(self, configuration: "Configuration", manager: Manager, log: Log) -> None:
        self._manager = manager
        self._log = log
        self._platform = _platform(configuration, log, manager)
        self._hal = _hal(configuration, self._platform)
        self._guard = BootGuard(self._platform.files)
        self._agent: Agent | None = None
        self._factory = configuration.factory
        self._desk = Desk(configuration.socket, self._answer, log)

    async def run(self) -> int:
        """Raises OSError where the desk cannot be opened."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.set_exception_handler(lambda _, context: self._log("failed %s" % _unseen(context)))
        await self._desk.open()
        machine: Process = self._platform.machine
        machine.begin()
        if self._factory:
            from boards.linux_terminal import factory

            await factory.take(self._factory, self._platform.files, self._hal.hardware_id, self._log)
        agent = asyncio.create_task(start(self._platform, lambda platform: self._hal, _link, self._log, self._guard, self._made))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((agent, stopped), return_when=asyncio.FIRST_COMPLETED)
            self._manager.tell("STOPPING=1")
            if not agent.done():
                self._guard.restarting(normally=False)
                await self._say_goodbye()
        finally:
            self._desk.close()
            await _end_tasks(self._log)
            _shut_down(self._hal, self._log)
        if stop.is_set():
            machine.end()
            return GOOD
        if not isinstance(agent.exception(), Restart):
            agent.result()  # raises what is none of the agent's errors
        return AGAIN

    def _made(self, agent: "Agent") -> None:
        self._agent = agent
        if not self._manager.limit_ms:
            self._manager.start()  # as the watchdog it is started by the agent

    async def _say_goodbye(self) -> None:
        """Tell the acquirer what else the last will would tell: an end in order publishes none."""
        from firmware_agent.messages.schema import LINK_LOST
        from firmware_agent.store import StoreError

        terminal = self._agent.terminal if self._agent is not None else None
        if terminal is None or not terminal.online:
            return
        try:
            terminal.send("state", terminal.state_body(link=LINK_LOST))
        except StoreError as error:
            self._log("failed %s" % error)
            return
        until_ms = self._hal.clock.monotonic_ms() + GOODBYE_MS
        while terminal.online and terminal.outbox.waiting() and self._hal.clock.monotonic_ms() < until_ms:
            await self._hal.clock.sleep_ms(LOOK_MS)

    async def _answer(self, question: "Question") -> "Answer":
        from firmware_agent.selftest.plans import PlanError

        try:
            if "export" in question:
                return {"record": await self._record(str(question["export"]))}
            return _told(await _test_by_agent(self._wait_for_agent, self._hal, question))
        except (PlanError, DeskError, DeviceError) as error:
            return {"refused": str(error)}

    async def _record(self, what: str) -> str:
        agent = await self._wait_for_agent()
        if agent.terminal is None:
            raise DeskError("the terminal has no identity, or no memory: there is no record to sign")
        return await _record(agent.terminal, what)

    async def _wait_for_agent(self) -> "Agent":
        """Until it has come as far as to serve somebody."""
        while self._agent is None or self._agent.counter is None:
            await self._hal.clock.sleep_ms(LOOK_MS)
        return self._agent


def _link() -> "Callable[[LinkSettings, Clock], Link]":
    from firmware_agent.links.mqtt_paho import MqttPahoLink

    return MqttPahoLink


def _unseen(context: "dict[str, Any]") -> str:
    """What went wrong where nobody waited for it: its kind and place, never its text, which may hold anything."""
    error = context.get("exception")
    return "%s %s" % (type(error).__name__, place_of(error)) if error is not None else str(context["message"])


async def _end_tasks(log: "Callable[[str], None]") -> None:
    """Cancel all others until they are done: on Python 3.11 one may swallow a cancellation that comes with the end of what it waits for."""
    until_s = time.monotonic() + ENDING_S
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        if time.monotonic() >= until_s:
            log("failed to end %d tasks" % len(left))
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CANCEL_S)


def _shut_down(hal: "Hal", log: "Callable[[str], None]") -> None:
    """Leave the devices as they were found: a text terminal echoes again, a keypad's keys go where they went."""
    for device in hal.devices():
        try:
            device.close()
        except DeviceError as error:
            log("failed %s" % error)


# What both ways of testing, and the agent, are built on.


def _platform(configuration: "Configuration", log: "Callable[[str], None]", manager: "Manager | None" = None) -> Platform:
    """manager: the service manager that watches, where one may."""
    files = Files(configuration.state)
    watchdog = manager if manager is not None and manager.limit_ms else None
    machine = Process(files, log, boot_id(), watchdog)
    return Platform(machine, None, time, sleep_ms, files, resolve, Files(program_root()))


def _hal(configuration: "Configuration", platform: Platform) -> "Hal":
    """The devices, not yet brought up. Raises ConfigurationError."""
    from boards.linux_terminal import board

    return board.build(configuration)(platform)


# selftest


def _selftest(options: argparse.Namespace) -> int:
    """Test the devices: by the agent where it runs, as soon as its page gives way, else without it. Prints each phase and what was found.
    Exit code 1: something failed.
    """
    configuration = load(options.config)
    question: Question = {"plan": options.plan, "level": options.level or "", "only": options.only}
    try:
        answer = ask(configuration.socket, question)
    except NobodyThere:
        try:
            with sole_use(configuration.state):
                answer = asyncio.run(_test_alone(configuration, question))
        except OSError as error:
            return _wrong("%s: %s" % (error.filename or configuration.state, error.strerror))
    if "refused" in answer:
        return _wrong(str(answer["refused"]))
    if options.junit:
        try:
            with open(options.junit, "w", encoding="ascii") as file:
                file.write(str(answer["junit"]) + "\n")
        except OSError as error:
            return _wrong("%s: %s" % (options.junit, error.strerror))
    print(answer["json"] if options.json else _summary(json.loads(str(answer["json"]))))
    return FAILED if answer["bad"] else GOOD


def _chosen(hal: "Hal", question: "Question") -> "tuple[str, list[Phase]]":
    """The plan, and those of its phases that are asked for. Raises PlanError with what there is."""
    from firmware_agent.selftest.plans import DAILY, DEVICE, FULL, POWER_ON, PlanError, all_phases, plan_phases

    plan, level, only = (str(question.get(name) or "") for name in ("plan", "level", "only"))
    if level and level not in LEVELS:
        raise PlanError("no level %r; there are: %s" % (level, ", ".join(LEVELS)))
    everything = all_phases(hal)
    named = [phase for phase in everything if only in (phase.kind, phase.id)]
    if only and not named:
        kinds = sorted({phase.kind for phase in everything})
        ids = [phase.id for phase in everything if phase.id not in kinds]
        raise PlanError("no phase or device %r; there are: %s, %s" % (only, ", ".join(kinds), ", ".join(ids)))
    if not plan:
        plan = DEVICE + named[0].kind if only else {"internal": POWER_ON, "interactive": FULL}.get(level, DAILY)
    phases = plan_phases(plan, hal)
    if only:
        ids = [phase.id for phase in named if not level or phase.level <= LEVELS[level]]
        phases = [phase for phase in phases if phase.id in ids]
        if not phases:
            raise PlanError("nothing of %s is in %s" % (only, "level " + level if level else "plan " + plan))
    return plan, phases


async def _test_by_agent(agent_there: "Callable[[], Any]", hal: "Hal", question: "Question") -> "LastRun":
    """Have the agent run a plan, and give what it came to. Raises PlanError; DeskError where the agent tests nothing by order."""
    from firmware_agent.agent import Degraded
    from firmware_agent.boot.safe_mode import SafeMode
    from firmware_agent.selftest.export import last_run
    from firmware_agent.selftest.plans import PlanError, plan_phases

    plan, phases = _chosen(hal, question)
    if len(phases) < len(plan_phases(plan, hal)):
        raise PlanError("the agent runs, and tests whole plans only: leave out --only, name a device, or stop the agent")
    agent = await agent_there()
    counter = agent.counter
    if isinstance(counter, SafeMode):
        raise DeskError("the terminal is in safe mode, and tests its devices by its own keys only: stop the agent to test them from here")

    def ended() -> "tuple[object, ...]":
        """What tells one run from the next."""
        if isinstance(counter, Degraded):
            return counter.runs, counter.plan
        report = agent.terminal.last_report()
        return (None, "") if report is None else ((report.boot_count, report.sequence), report.text("plan"))

    before = ended()
    counter.ask_self_test(plan)
    while ended() == before or ended()[-1] != plan:
        await hal.clock.sleep_ms(LOOK_MS)
    if isinstance(counter, Degraded):
        return _run_without_terminal(hal, plan, counter.results)
    run = last_run(agent.terminal)
    assert run is not None  # this version has just written it
    return run


async def _test_alone(configuration: "Configuration", question: "Question") -> "Answer":
    """As the agent would test, with no agent beside."""
    from firmware_agent.identity.identity import IdentityError
    from firmware_agent.selftest.engine import run_phases
    from firmware_agent.selftest.plans import PlanError
    from firmware_agent.selftest.subject import Subject
    from firmware_agent.store import Store, StoreError

    log = _to_stderr
    hal = _hal(configuration, _platform(configuration, log))
    try:
        plan, phases = _chosen(hal, question)
    except PlanError as error:
        return {"refused": str(error)}
    try:
        for failure in await hal.bring_up():
            log("bring-up %s" % failure)
        rotten = False
        store = Store(hal.storage)
        try:
            store.open()
            rotten = bool(store.damaged)
            terminal = await _terminal(hal, store, log)
            return _told(await _test_terminal(hal, terminal, plan, phases))
        except (StoreError, IdentityError, ValueError) as error:
            log("degraded %s" % error)
            rotten = rotten or isinstance(error, ValueError) or (isinstance(error, StoreError) and error.code == "corrupt")
        return _told(_run_without_terminal(hal, plan, await run_phases(Subject(hal, rotten=rotten), phases, lambda result: None)))
    finally:
        await _end_tasks(log)
        _shut_down(hal, log)


async def _terminal(hal: "Hal", store: "Store", log: "Callable[[str], None]") -> "Terminal":
    """The terminal, where no agent runs; it counts as a start of its own, or what it says would have the sequences of the one before.

    Raises IdentityError, StoreError, DeviceError.
    """
    from firmware_agent.boot.rollback import Rollback
    from firmware_agent.identity.identity import Identity
    from firmware_agent.terminal import Terminal

    identity = Identity.load(store)
    await Rollback(store, hal.secure_element, log).count_boot()
    return Terminal(hal, store, identity, log)


async def _test_terminal(hal: "Hal", terminal: "Terminal", plan: str, phases: "list[Phase]") -> "LastRun":
    """The terminal's own run: it is kept, goes into the state, and is reported by the agent when it runs again."""
    from firmware_agent.flows.selftest_flow import subject_at
    from firmware_agent.flows.ui import Ui
    from firmware_agent.selftest.export import last_run
    from firmware_agent.selftest.firmware_image import KEY_MANIFEST, check_image
    from firmware_agent.selftest.run import self_test
    from firmware_agent.settings import Settings
    from firmware_agent.texts import load as texts_of

    settings = Settings(terminal.store)
    if hal.network is not None:
        hal.network.configure(*settings.network)
    assert hal.program is not None
    program, keys, vouched = hal.program, terminal.identity.acquirer_keys, terminal.store.get(KEY_MANIFEST)
    subject = subject_at(
        terminal,
        Ui(hal, texts_of(settings.language), terminal.log),
        settings,
        {"firmware": lambda: check_image(program, hal.secure_element, keys, hal.clock, vouched=vouched)},
    )
    await self_test(subject, plan, lambda result: None, phases)
    run = last_run(terminal)
    assert run is not None  # this version has just written it
    return run


def _run_without_terminal(hal: "Hal", plan: str, results: "list[Result]") -> "LastRun":
    """What was found where there is no memory or no identity: nothing is kept of it, and it has no name, sequence or mode."""
    from firmware_agent import VERSION
    from firmware_agent.messages.schema import Claims, kind_named
    from firmware_agent.selftest.diagnosis import diagnose_all
    from firmware_agent.selftest.export import LastRun
    from hal.clock import TRUST_NONE

    body: dict[str, object] = {"plan": plan, "mode": "", "firmware": VERSION}
    at = hal.clock.wall_s() if hal.clock.trust != TRUST_NONE else 0
    return LastRun("", hal.board, Claims(kind_named("report"), "", 0, body, issued_at=at), results, diagnose_all(results, hal.buses))


def _told(run: "LastRun") -> "Answer":
    from firmware_agent.selftest.export import json_lines, junit_lines

    return {
        "json": "\n".join(json_lines(run)),
        "junit": "\n".join(junit_lines(run)),
        "bad": any(result.is_bad for result in run.results),
    }


def _summary(document: "dict[str, Any]") -> str:
    """The run for a person: each phase, then what is broken or about to break."""
    lines = []
    for result in document["results"]:
        what = [result["cause"] or "", result["detail"]]
        lines.append("%-22s %-8s %6d ms  %s" % (result["phase"], result["outcome"], result["duration_ms"], ": ".join(filter(None, what))))
    for finding in document["findings"]:
        state = "about to fail" if finding["marginal"] else "broken"
        mended = ", mended by: " + finding["mends"] if finding["mends"] else ""
        lines.append("%s %s: %s%s" % (finding["component"], state, finding["cause"], mended))
    failed = len([result for result in document["results"] if result["outcome"] not in ("pass", "skip")])
    lines.append("plan %s: %d phases, %d failed" % (document["plan"], len(document["results"]), failed))
    return "\n".join([line.rstrip() for line in lines])


# request, enrol


def _request(options: argparse.Namespace) -> int:
    """Make this terminal's keys, and write a request for credentials for them, to be carried to the acquirer. The agent must not run."""
    from firmware_agent.identity import enrolment

    data = asyncio.run(_with_store(options.config, enrolment.request))
    try:
        with open(options.output, "wb") as file:
            file.write(data)
    except OSError as error:
        return _wrong("%s: %s" % (options.output, error.strerror))
    print("%s: carry it to the acquirer, who answers it with credentials" % options.output)
    return GOOD


def _enrol(options: argparse.Namespace) -> int:
    """Take the credentials with which the acquirer has answered this terminal's request. The agent must not run."""
    from firmware_agent.identity import enrolment

    try:
        with open(options.credentials, "rb") as file:
            data = file.read(enrolment.MOST_BYTES + 1)
    except OSError as error:
        return _wrong("%s: %s" % (options.credentials, error.strerror))

    async def enrol(hal: "Hal", store: "Store") -> "Identity":
        try:
            return await enrolment.enrol(hal, store, data)
        except enrolment.EnrolmentError as error:
            raise Refused("%s: %s" % (options.credentials, error)) from error

    identity = asyncio.run(_with_store(options.config, enrol))
    print("this is terminal %s of acquirer %s now" % (identity.terminal, identity.acquirer))
    return GOOD


async def _with_store(config: str, work: "Callable[[Hal, Store], Awaitable[T]]") -> "T":
    """What `work` gives, with memory and secure element in use and nobody beside. Raises Refused."""
    from firmware_agent.identity.enrolment import EnrolmentError
    from firmware_agent.identity.identity import IdentityError
    from firmware_agent.store import Store, StoreError

    configuration = load(config)
    try:
        with sole_use(configuration.state):
            hal = _hal(configuration, _platform(configuration, _to_stderr))
            try:
                for error in await hal.bring_up(("clock", "storage", "secure_element")):
                    raise Refused(str(error))
                store = Store(hal.storage)
                store.open()
                return await work(hal, store)
            except (EnrolmentError, IdentityError, DeviceError, StoreError) as error:
                raise Refused(str(error)) from error
            finally:
                _shut_down(hal, _to_stderr)
    except OSError as error:
        raise Refused("%s: %s" % (error.filename or configuration.state, error.strerror)) from error


# export


def _export(options: argparse.Namespace) -> int:
    """Write a record to a file that `reinstate verify` verifies: by the agent where it runs, else without it."""
    try:
        answer = ask(load(options.config).socket, {"export": options.what})
    except NobodyThere:

        async def alone(hal: "Hal", store: "Store") -> "Answer":
            return {"record": await _record(await _terminal(hal, store, _to_stderr), options.what)}

        answer = _with_store_as_owner(options.config, alone)
    if "refused" in answer:
        return _wrong(str(answer["refused"]))
    try:
        with open(options.output, "w", encoding="ascii") as file:
            file.write(str(answer["record"]))
    except OSError as error:
        return _wrong("%s: %s" % (options.output, error.strerror))
    print("%s: verify it with `reinstate verify %s --key CERTIFICATE`" % (options.output, options.output))
    return GOOD


async def _record(terminal: "Terminal", what: str) -> str:
    """The package of the evidence log; of the others the signed text, as it stands in a slip's code. Raises DeskError, DeviceError."""
    from firmware_agent.messages.signed_text import encode_text
    from firmware_agent.records.evidence_package import audit_now, package
    from firmware_agent.records.summary import summary_now

    if what == EVIDENCE:
        return "\n".join(await package(terminal)) + "\n"  # at once: later, older entries may have retired
    if what not in RECORDS:
        raise DeskError("no record %r; there are: %s" % (what, ", ".join(RECORDS)))
    claims = audit_now(terminal) if what == AUDIT else summary_now(terminal)
    if claims is None:
        raise DeskError("this terminal was never suspended: there is no summary")
    _, message = await terminal.signed(claims)
    return encode_text(terminal.identity.acquirer, message) + "\n"


# update


def _update(options: argparse.Namespace) -> int:
    """Install a newer program, after the acquirer's signature over its list and every file by that list were found good; or go back to the
    one before. The agent must not run; it is the new program from its next start on. Exit code 1: nothing was changed, and why.
    """
    from boards.linux_terminal import update
    from firmware_agent.boot.update import UpdateError

    os.umask(0o022)  # the agent's user runs what root installs
    try:
        place = update.Place(options.command)
        with sole_use(place.base):
            if options.back:
                print("%s is what runs from the next start on" % place.back())
                return GOOD
            with update.workshop(place.base) as folder:
                wheel = update.own_copy(options.wheel, folder)

                async def approved(hal: "Hal", store: "Store") -> "tuple[str, dict[str, bytes]]":
                    return await update.approved(await _terminal(hal, store, _to_stderr), os.path.dirname(wheel) + "/program")

                version, listed = _with_store_as_owner(options.config, approved)
                update.install(place, wheel, version, listed)
    except UpdateError as error:
        print("reinstate-agent: %s: %s" % (error.code, error), file=sys.stderr)
        return FAILED
    except OSError as error:
        print("reinstate-agent: %s: %s" % (error.filename or options.wheel, error.strerror), file=sys.stderr)
        return FAILED
    print("version %s runs from the next start on; the one before is kept: reinstate-agent update --back" % version)
    return GOOD


def _with_store_as_owner(config: str, work: "Callable[[Hal, Store], Awaitable[T]]") -> "T":
    """As `_with_store`. Raises Refused."""
    state = load(config).state
    try:
        with _as_owner(state):
            return asyncio.run(_with_store(config, work))
    except FileNotFoundError as error:
        raise Refused("%s: %s" % (state, error.strerror)) from error


@contextlib.contextmanager
def _as_owner(state: str) -> "Iterator[None]":
    """Where root does what needs the agent's memory: as the agent's user, who could not write what root leaves there. Raises OSError."""
    status = os.stat(state)
    group = os.getegid()
    if os.geteuid() or not status.st_uid:
        yield
        return
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


# detect


def _detect(options: argparse.Namespace) -> int:
    """Look for what is attached, and print a configuration for it, with the reason for each section. Nothing is changed."""
    from boards.linux_terminal.detect import proposal

    print(proposal(), end="")
    return GOOD


if __name__ == "__main__":
    sys.exit(main())
