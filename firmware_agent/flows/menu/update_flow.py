"""Which program runs, whether a newer one is required, and a newer one that lies in the spare slot: judged, and put on trial."""

from firmware_agent import VERSION
from firmware_agent.boot.slots import slot_of
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.prevention.reminders import firmware_required
from firmware_agent.screens.page import TONE_ALERT, TONE_GOOD, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts


async def update_flow(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    """Until the person leaves. Raises StoreError."""
    from firmware_agent.boot.update import UpdateError, install, judge
    from hal.errors import DeviceError

    texts = ui.texts
    if await ui.ask(program_page(texts, terminal, settings), outdated, (KEY_BACK,)) != "1":
        return
    ui.show(judging_page(texts))
    try:
        version = await judge(terminal)
        if await ui.ask(ready_page(texts, version), outdated, (KEY_BACK,)) != "1":
            return
        ui.show(judging_page(texts))
        await install(terminal)
    except (UpdateError, DeviceError) as error:
        code = error.code if isinstance(error, UpdateError) else "not_judged"
        await ui.ask(refused_page(texts, settings, code), outdated, (KEY_BACK,))
        return
    await ui.ask(trial_page(texts), outdated, (KEY_BACK,))


def program_page(texts: "Texts", terminal: "Terminal", settings: "Settings") -> Page:
    lines = [texts.get("menu.firmware", version=VERSION)]
    required, due = firmware_required(settings), settings.get("firmware_due")
    if required:
        lines.append(texts.get("update.required", version=required))
        if due:
            lines.append(texts.get("update.until", date=due))
    else:
        lines.append(texts.get("update.not_required"))
    spare = terminal.hal.spare
    if spare is None:
        lines.append(texts.get("update.by_system"))
        return Page("program", texts.get("update.title"), lines, footer=texts.get("hint.back"))
    lines.append(texts.get("update.folder", folder=slot_of(spare.root)))
    return Page("program", texts.get("update.title"), lines, [("1", texts.get("update.choice.1"))], texts.get("hint.back"))


def judging_page(texts: "Texts") -> Page:
    return Page("update_judged", texts.get("update.title"), [texts.get("update.judging")], footer=texts.get("hint.wait"))


def ready_page(texts: "Texts", version: str) -> Page:
    lines = [texts.get("update.ready", version=version), texts.get("update.fall_back")]
    choices = [("1", texts.get("ready.choice.1"))]
    return Page("update_ready", texts.get("update.title"), lines, choices, texts.get("hint.back"), TONE_GOOD)


def trial_page(texts: "Texts") -> Page:
    lines = [texts.get("update.trial")]
    return Page("update_trial", texts.get("update.title"), lines, footer=texts.get("hint.back"), tone=TONE_GOOD)


def refused_page(texts: "Texts", settings: "Settings", code: str) -> Page:
    lines = [texts.get("update.refused"), texts.get("update.refused." + code)]
    line = settings.get("service_line")
    if line:
        lines.append(texts.get("reminder.call", line=line))
    return Page("update_refused", texts.get("update.title"), lines, footer=texts.get("hint.back"), tone=TONE_ALERT)
