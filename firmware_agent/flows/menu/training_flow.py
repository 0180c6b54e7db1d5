"""Staff practise each daily operation once, and who did so is recorded. What is left goes on where it was, also after a power cut."""

from firmware_agent.flows.dates import local_time
from firmware_agent.flows.entry import DIGITS, enter_text
from firmware_agent.flows.practice import Practice
from firmware_agent.flows.warning import warn
from firmware_agent.prevention.training import MAX_STAFF_DIGITS, OPERATIONS, Progress, is_staff, keep, progress, records
from firmware_agent.screens.page import TONE_GOOD, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

BEGIN, GO_ON, ANEW = "1", "2", "3"
RECORDS_SHOWN = 3


async def training_flow(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    """Until it is done, or left. Raises StoreError: what was practised last is to be done again."""
    left = progress(terminal.store)
    page = training_page(ui.texts, settings, left, records(terminal.store))
    key = await ui.ask(page, outdated, ("cancel",))
    if key == ANEW and await warn(ui, outdated, "training.anew"):
        left = None
    elif key not in (BEGIN, GO_ON):
        return
    now = left if left is not None else await _who(ui, outdated)
    if now is None:
        return
    practice = Practice(ui, outdated, settings.get("service_line"), now)
    while now.done < len(OPERATIONS):
        if not await practice.run(OPERATIONS[now.done]):
            return
        now.done += 1
        keep(terminal, now)
    await ui.ask(done_page(ui.texts, now.staff), outdated, ("cancel",))


async def _who(ui: "Ui", outdated: "Callable[[], bool]") -> "Progress | None":
    texts = ui.texts
    note = texts.get("training.staff")
    while True:
        title = texts.get("training.staff.title")
        staff = await enter_text(ui, outdated, "training.staff", title, "", DIGITS, MAX_STAFF_DIGITS, note=note)
        if staff is None:
            return None
        if is_staff(staff):
            return Progress(staff)
        note = texts.get("training.number_needed")


def training_page(texts: "Texts", settings: "Settings", left: "Progress | None", done: "list[tuple[str, int]]") -> Page:
    """left: a practice that can go on; done: who practised before, the latest last."""
    lines = [texts.get("practice.mark"), texts.get("training.what")]
    choices = [(BEGIN, texts.get("training.choice.1"))]
    if left is not None:
        lines.append(texts.get("training.left", number=left.staff, operation=texts.get("practice." + OPERATIONS[left.done])))
        choices = [(GO_ON, texts.get("training.choice.2")), (ANEW, texts.get("training.choice.3"))]
    for staff, wall_s in done[-RECORDS_SHOWN:]:
        at = local_time(wall_s, settings.utc_offset_min) if wall_s else texts.get("menu.no_time")
        lines.append(texts.get("training.last", number=staff, time=at))
    return Page("training", texts.get("training.title"), lines, choices, texts.get("hint.back"))


def done_page(texts: "Texts", staff: str) -> Page:
    choices = [("1", texts.get("training.done.choice.1"))]
    lines = [texts.get("practice.mark"), texts.get("training.done", number=staff)]
    return Page("training.done", texts.get("training.done.title"), lines, choices, texts.get("hint.choose"), TONE_GOOD)
