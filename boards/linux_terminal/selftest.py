"""`reinstate-agent selftest`: tests the devices from a shell, by the agent where it runs, else without it."""

import asyncio
import json

from boards.linux_terminal.command import (
    FAILED,
    GOOD,
    devices_of,
    end_tasks,
    platform_of,
    shut_down,
    terminal_at,
    to_stderr,
    wrong,
)
from boards.linux_terminal.configuration import load
from boards.linux_terminal.desk import DeskError, NobodyThere, ask
from boards.linux_terminal.process import sole_use
from hal.errors import CH_EXTERNAL, CH_INTERACTIVE, CH_INTERNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from boards.linux_terminal.configuration import Configuration
    from boards.linux_terminal.desk import Answer, Question
    from firmware_agent.selftest.export import LastRun
    from firmware_agent.selftest.phases import Phase, Result
    from firmware_agent.terminal import Terminal
    from hal.hal import Hal

LEVELS = {"internal": CH_INTERNAL, "external": CH_EXTERNAL, "interactive": CH_INTERACTIVE}
LOOK_MS = 100


def selftest(options: "argparse.Namespace") -> int:
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
            return wrong("%s: %s" % (error.filename or configuration.state, error.strerror))
    if "refused" in answer:
        return wrong(str(answer["refused"]))
    if options.junit:
        try:
            with open(options.junit, "w", encoding="ascii") as file:
                file.write(str(answer["junit"]) + "\n")
        except OSError as error:
            return wrong("%s: %s" % (options.junit, error.strerror))
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


async def test_by_agent(agent_there: "Callable[[], Any]", hal: "Hal", question: "Question") -> "LastRun":
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

    log = to_stderr
    hal = devices_of(configuration, platform_of(configuration, log))
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
            terminal = await terminal_at(hal, store, log)
            return told(await _test_terminal(hal, terminal, plan, phases))
        except (StoreError, IdentityError, ValueError) as error:
            log("degraded %s" % error)
            rotten = rotten or isinstance(error, ValueError) or (isinstance(error, StoreError) and error.code == "corrupt")
        return told(_run_without_terminal(hal, plan, await run_phases(Subject(hal, rotten=rotten), phases, lambda result: None)))
    finally:
        await end_tasks(log)
        shut_down(hal, log)


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


def told(run: "LastRun") -> "Answer":
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
