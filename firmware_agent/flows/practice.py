"""The daily operations, to be practised: pages and slips that say so, and nothing else. What is here is given neither the terminal nor its
devices: no practice can reach the payment host.
"""

from firmware_agent.flows.entry import DIGITS, enter_text
from firmware_agent.screens.page import TONE_GOOD, Page
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.prevention.training import Progress
    from firmware_agent.texts import Texts

MAX_AMOUNT_DIGITS = 7


class Practice:
    """ui: with its slips; line: the official service line, to be shown; now: who practises, and how far he has come."""

    def __init__(self, ui: "Ui", outdated: "Callable[[], bool]", line: str, now: "Progress") -> None:
        self._ui = ui
        self._outdated = outdated
        self._line = line
        self._now = now

    async def run(self, operation: str) -> bool:
        """One of training.OPERATIONS, whose amount is then in `now`; whether it was brought to its end."""
        if operation == "sale":
            return await self._sale()
        if operation == "refund":
            return await self._refund()
        texts = self._ui.texts
        now = self._now
        if operation == "reprint":
            lines = [texts.get("practice.copy")] + self._slip("practice.sale", now.sale)
            return await self._does(operation, [texts.get("practice.reprint.how")]) and await self._prints(operation, lines)
        if operation == "settlement":
            sums = [
                texts.get("practice.settlement.sales", count=1, amount=money(now.sale)),
                texts.get("practice.settlement.refunds", count=1, amount=money(now.refund)),
            ]
            slip = [texts.get("practice.settlement")] + sums + [texts.get("practice.staff", number=now.staff)]
            return await self._does(operation, [texts.get("practice.settlement.how")] + sums) and await self._prints(operation, slip)
        steps = [
            texts.get("practice.suspension.how"),
            texts.get("practice.suspension.customer"),
            texts.get("practice.suspension.recovery"),
            texts.get("practice.suspension.line", line=self._line),
            texts.get("practice.suspension.never"),
        ]
        return await self._does(operation, steps)

    async def _sale(self) -> bool:
        texts = self._ui.texts
        amount = await self._amount("sale", texts.get("practice.sale.amount"), 10**MAX_AMOUNT_DIGITS - 1)
        if not amount or not await self._does("sale", [texts.get("practice.sale.how", amount=money(amount))]):
            return False
        self._now.sale = amount
        return await self._prints("sale", self._slip("practice.sale", amount))

    async def _refund(self) -> bool:
        texts = self._ui.texts
        most = self._now.sale
        amount = await self._amount("refund", texts.get("practice.refund.amount", amount=money(most)), most)
        if not amount or not await self._does("refund", [texts.get("practice.refund.how", amount=money(amount))]):
            return False
        self._now.refund = amount
        return await self._prints("refund", self._slip("practice.refund", amount))

    async def _amount(self, operation: str, note: str, most: int) -> int:
        """0 where the person left."""
        texts = self._ui.texts
        name = "practice.%s.amount" % operation
        while True:
            typed = await enter_text(self._ui, self._outdated, name, self._title(operation), "", DIGITS, MAX_AMOUNT_DIGITS, note=note)
            if typed is None:
                return 0
            if typed and 0 < int(typed) <= most:
                return int(typed)
            note = texts.get("practice.too_much", amount=money(most))

    async def _does(self, operation: str, lines: "list[str]") -> bool:
        """A page that says what is done; whether the person did it."""
        page = does_page(self._ui.texts, operation, lines)
        return await self._ui.ask(page, self._outdated, ("cancel",)) == "1"

    async def _prints(self, operation: str, lines: "list[str]") -> bool:
        """A slip, on paper where there is some, and on the screen; whether it was seen."""
        texts = self._ui.texts
        mark = texts.get("practice.mark")
        if self._ui.slips is not None:
            try:
                await self._ui.slips.print_lines(lines + [mark], mark)
            except DeviceError:
                pass  # it is shown all the same
        page = slip_page(texts, operation, lines)
        return await self._ui.ask(page, self._outdated, ("cancel",)) == "1"

    def _slip(self, operation: str, amount: int) -> "list[str]":
        texts = self._ui.texts
        return [
            texts.get(operation),
            texts.get("practice.amount", amount=money(amount)),
            texts.get("practice.approved"),
            texts.get("practice.staff", number=self._now.staff),
        ]

    def _title(self, operation: str) -> str:
        return self._ui.texts.get("practice." + operation + ".title")


def does_page(texts: "Texts", operation: str, lines: "list[str]") -> Page:
    name = "practice." + operation
    choices = [("1", texts.get("practice.do.choice.1"))]
    return Page(name, texts.get(name + ".title"), lines, choices, texts.get("hint.back"))


def slip_page(texts: "Texts", operation: str, lines: "list[str]") -> Page:
    """What stands on the slip, between the marks that say that it is none."""
    name = "practice." + operation
    mark = texts.get("practice.mark")
    choices = [("1", texts.get("practice.next.choice.1"))]
    return Page(name + ".slip", texts.get(name + ".title"), [mark] + lines + [mark], choices, texts.get("hint.back"), TONE_GOOD)


def money(amount: int) -> str:
    """'12.50' for 1250."""
    return "%d.%02d" % (amount // 100, amount % 100)
