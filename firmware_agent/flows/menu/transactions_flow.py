"""Transactions that were begun and have no end yet: which they are, and having each brought to its end by the payment host."""

from firmware_agent.flows.dates import local_time
from firmware_agent.screens.page import Page
from firmware_agent.settings import Settings
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts
    from hal.payment import Unfinished

KEY_BACK = "cancel"


async def transactions_flow(terminal: "Terminal", ui: "Ui", outdated: "Callable[[], bool]") -> None:
    """Until the person leaves it, or something else is due."""
    texts = ui.texts
    offset_min = Settings(terminal.store).utc_offset_min
    ended = -1  # by the last attempt here
    while True:
        listed = _listed(terminal)
        page = transactions_page(texts, offset_min, listed, ended)
        references = _references(listed)

        def is_old(shown: "list[str]" = references) -> bool:
            return outdated() or _references(_listed(terminal)) != shown

        key = await ui.ask(page, is_old, (KEY_BACK,))
        if key == "1":
            from firmware_agent.payment.payments import settle  # seldom needed

            ui.show(Page("transactions.working", texts.get("transactions.title"), [texts.get("transactions.working")]))
            ended = await settle(terminal)
        elif key or outdated():
            return


def _listed(terminal: "Terminal") -> "list[Unfinished] | None":
    """What is unfinished; None where that cannot be told."""
    payment = terminal.hal.payment
    try:
        return payment.unfinished() if payment is not None else []
    except DeviceError:
        return None


def _references(listed: "list[Unfinished] | None") -> "list[str]":
    return [each.reference for each in listed or []]


def transactions_page(texts: "Texts", offset_min: int, listed: "list[Unfinished] | None", ended: int = -1) -> Page:
    """ended: how many came to their end just now; -1: nothing was tried yet."""
    lines = []
    choices = []
    if ended > 0:
        lines.append(texts.get("transactions.ended", count=ended))
    if listed is None:
        lines.append(texts.get("transactions.unreadable"))
    elif not listed:
        lines.append(texts.get("transactions.none"))
    else:
        lines.append(texts.get("transactions.again") if ended >= 0 else texts.get("transactions.count", count=len(listed)))
        choices.append(("1", texts.get("transactions.choice.1")))
    for each in listed or []:
        amount = "%d.%02d" % (each.amount // 100, each.amount % 100)
        if each.since:
            since = local_time(each.since, offset_min)
            lines.append(texts.get("transactions.line", reference=each.reference, amount=amount, since=since))
        else:
            lines.append(texts.get("transactions.line_no_time", reference=each.reference, amount=amount))
    return Page("transactions", texts.get("transactions.title"), lines, choices, texts.get("hint.list" if choices else "hint.back"))
