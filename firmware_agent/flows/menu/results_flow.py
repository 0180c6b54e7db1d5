"""The last results of each device, for everybody."""

from firmware_agent.flows.entry import choose
from firmware_agent.flows.menu import device_pages as pages
from firmware_agent.flows.ui import KEY_BACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.menu.menu import Visit


async def results_flow(visit: "Visit") -> None:
    """Until the person goes back."""
    ui, texts = visit.ui, visit.ui.texts
    while not visit.outdated():
        entries = pages.entries_of(texts, visit.terminal)
        if not entries:
            await ui.ask(pages.note_page(texts, texts.get("menu.no_run")), visit.outdated, (KEY_BACK,))
            return
        items = ["%s\t%s" % (texts.get("device." + entry.component), entry.told) for entry in entries]
        chosen = await choose(ui, visit.outdated, "results", texts.get("results.title"), items)
        if chosen < 0:
            return
        await _result(visit, entries[chosen])


async def _result(visit: "Visit", entry: "pages.Entry") -> None:
    ui = visit.ui
    number = 0
    while not visit.outdated():
        key = await ui.ask(pages.result_page(ui.texts, visit.terminal, visit.settings, entry, number), visit.outdated, (KEY_BACK,))
        if key == "1":
            number = (number + 1) % len(entry.results)
        elif key == "2":
            await ui.ask(pages.about_page(ui.texts, entry.results[number][2].phase), visit.outdated, (KEY_BACK,))
        else:
            return
