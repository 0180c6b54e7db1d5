"""A self-test at the terminal: the devices as their results come in, what a person is asked, and what it came to."""

from firmware_agent.flows.customer_pages import promotion_lines
from firmware_agent.flows.dates import local_time
from firmware_agent.flows.examiner import Examiner
from firmware_agent.flows.selftest_pages import progress_page, result_page
from firmware_agent.selftest.diagnosis import is_unsettled
from firmware_agent.selftest.plans import plan_phases
from firmware_agent.selftest.run import self_test
from firmware_agent.selftest.subject import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.screens.page import Page
    from firmware_agent.selftest.phases import Phase, Result
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts
    from hal.device import Health

    Checks = dict[str, Callable[[], Awaitable[Health]]]


def subject_at(terminal: "Terminal", ui: "Ui", settings: "Settings", checks: "Checks") -> Subject:
    """This terminal as a self-test sees it, with the person before it."""

    async def print_sample() -> None:
        if ui.slips is not None:
            await ui.slips.print_lines(sample_slip(ui.texts, terminal, settings), ui.texts.get("slip.title"))

    return Subject(terminal.hal, terminal, Examiner(terminal.hal, ui, terminal.log), print_sample, checks)


async def selftest_flow(subject: Subject, ui: "Ui", plan: str, phases: "list[Phase] | None" = None) -> "tuple[Page, list[Phase]]":
    """Run a plan, or those of its phases, and show each result as it comes; gives the page of what it came to, and the phases that did not
    pass, or were left out for those.

    Raises PlanError.
    """
    shown_phases = phases if phases is not None else plan_phases(plan, subject.hal)
    results: dict[str, Result] = {}

    def shown(result: "Result") -> None:
        results[result.phase] = result
        ui.show(progress_page(ui.texts, shown_phases, results))

    ui.show(progress_page(ui.texts, shown_phases, results))
    diagnoses = await self_test(subject, plan, shown, phases)
    again = [phase for phase in shown_phases if is_unsettled(results[phase.id])]
    return result_page(ui.texts, shown_phases, results, diagnoses), again


def sample_slip(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    """The lines of the test slip below its title: it says that it is no receipt."""
    lines = [texts.get("slip.terminal", terminal=terminal.identity.terminal)]
    if terminal.wall_s:
        lines.append(texts.get("slip.time", time=local_time(terminal.wall_s, settings.utc_offset_min)))
    lines.append(texts.get("slip.sample"))
    lines.append(texts.get("slip.no_value"))
    return lines + promotion_lines(texts, terminal, settings)
