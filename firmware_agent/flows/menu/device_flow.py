"""What a technician does about the devices: tests, slip, code and export of the last run, and his half of lifting a tamper."""

from firmware_agent.flows.entry import choose
from firmware_agent.flows.menu import device_pages as pages
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.flows.warning import warn
from firmware_agent.selftest.diagnosis import TAMPER, diagnose_all, is_unsettled
from firmware_agent.selftest.plans import DEVICE, FULL, all_phases, plan_phases
from firmware_agent.selftest.run import last_result
from firmware_agent.state.machine import OUT_OF_ORDER, TechnicianConfirmed
from firmware_agent.state.reasons import ACTOR_POI
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.menu.menu import Visit
    from firmware_agent.selftest.phases import Phase

# The lines between which an export stands on the console; the form follows.
EXPORT_BEGINS, EXPORT_ENDS = "----- begin self-test ", "----- end self-test "


# Tests.


async def test_all(visit: "Visit") -> None:
    await _test(visit, FULL)


async def test_device(visit: "Visit") -> None:
    texts = visit.ui.texts
    kinds, names = pages.device_items(texts, plan_phases(FULL, visit.terminal.hal))
    chosen = await choose(visit.ui, visit.outdated, "devices", texts.get("devices.title"), names)
    if chosen >= 0:
        await _test(visit, DEVICE + kinds[chosen])


async def test_failed(visit: "Visit") -> None:
    phases = failed(visit)
    kinds = [phase.kind for phase in phases]
    await _test(visit, DEVICE + kinds[0] if kinds == kinds[:1] * len(kinds) else FULL, phases)


def failed(visit: "Visit") -> "list[Phase]":
    """The phases whose last result says that something is wrong, or that were left out for those."""
    found = []
    for phase in all_phases(visit.terminal.hal):
        last = last_result(visit.terminal, phase.id)
        if last is not None and is_unsettled(last[2]):
            found.append(phase)
    return found


async def _test(visit: "Visit", plan: str, phases: "list[Phase] | None" = None) -> None:
    """Run it; its time does not count as time without a key."""
    from firmware_agent.flows.selftest_flow import selftest_flow

    whole = phases is None
    while not visit.outdated():
        page, again = await selftest_flow(visit.subject, visit.ui, plan, phases)
        visit.stay()
        visit.tested_all = visit.tested_all or (plan == FULL and whole)
        if not page.choices:
            page.footer = visit.ui.texts.get("hint.back")
        if await visit.ui.ask(page, visit.outdated, (KEY_BACK, "enter")) != "2" or not again:
            return
        phases, whole = again, False


# The last run.


async def print_slip(visit: "Visit") -> None:
    from firmware_agent.flows.menu.result_slip import print_result
    from firmware_agent.selftest.export import last_run

    texts = visit.ui.texts
    run = last_run(visit.terminal)
    if run is None:
        return
    visit.ui.show(pages.note_page(texts, texts.get("slip.printing")))
    try:
        await print_result(visit.terminal, visit.ui, visit.settings, run)
    except (DeviceError, ValueError) as error:
        visit.terminal.log("slip %s" % error)
        cause = error.cause if isinstance(error, DeviceError) and error.cause else "check_failed"
        await _note(visit, texts.get("slip.failed", cause=pages.cause_text(texts, cause)), "alert")


async def show_report(visit: "Visit") -> None:
    """Its code on all of the display, until a key is pressed."""
    from firmware_agent.flows.handout import show_code
    from firmware_agent.messages.signed_text import encode_text
    from firmware_agent.selftest.export import last_run

    terminal, texts = visit.terminal, visit.ui.texts
    run = last_run(terminal)
    if run is None:
        return
    visit.ui.show(pages.note_page(texts, texts.get("code.running")))
    try:
        _, message = await terminal.signed(run.claims)
    except DeviceError as error:
        terminal.log("code %s" % error)
        await _note(visit, texts.get("code.too_large"))
        return
    terminal.log("code of report %d on the display" % run.claims.sequence)
    note = await show_code(terminal, visit.ui, encode_text(terminal.identity.acquirer, message), visit.outdated)
    visit.stay()
    if note:
        await _note(visit, note)


async def export(visit: "Visit") -> None:
    from firmware_agent.selftest.export import json_lines, junit_lines, last_run

    terminal = visit.terminal
    written = ""
    while True:
        run = last_run(terminal)
        key = await visit.ui.ask(pages.export_page(visit.ui.texts, written), visit.outdated, (KEY_BACK,))
        if key not in ("1", "2") or run is None:
            return
        form, lines = ("JSON", json_lines(run)) if key == "1" else ("JUnit XML", junit_lines(run))
        terminal.log(EXPORT_BEGINS + form)
        for line in lines:
            terminal.log(line)
            await terminal.hal.clock.sleep_ms(0)
        terminal.log(EXPORT_ENDS + form)
        written = form


# Tamper.


def may_confirm(visit: "Visit") -> bool:
    """By badge alone, after a test of everything since he signed on, when nothing that was found says tamper any more."""
    terminal = visit.terminal
    if visit.who is None or not visit.who.has_badge or not visit.tested_all:
        return False
    if terminal.state.mode != OUT_OF_ORDER or ACTOR_POI in terminal.state.tamper_consents:
        return False
    results = [last_result(terminal, phase.id) for phase in all_phases(terminal.hal)]
    found = diagnose_all([last[2] for last in results if last is not None], terminal.hal.buses)
    return not any(finding.cause.suggests == TAMPER for finding in found)


async def confirm(visit: "Visit") -> None:
    """The technician's half of lifting a tamper; the acquirer's order is the other."""
    if not may_confirm(visit) or visit.who is None:
        return
    if not await warn(visit.ui, visit.outdated, "confirm.text"):
        return
    told: dict[str, object] = {"name": "technician_confirmed", "detail": "badge " + visit.who.number}
    visit.terminal.apply([TechnicianConfirmed()], [("event", told)])
    visit.terminal.log("confirmed by badge %s" % visit.who.number)


async def _note(visit: "Visit", text: str, tone: str = "normal") -> None:
    await visit.ui.ask(pages.note_page(visit.ui.texts, text, tone), visit.outdated, (KEY_BACK,))
