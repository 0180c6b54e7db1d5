"""What the merchant sets himself: language, who is to be called, what kind of merchant he is, and what his customers are told."""

from firmware_agent.flows.customer_pages import promotion_text
from firmware_agent.flows.dates import local_time
from firmware_agent.flows.entry import DIGITS, DIGITS_AND_SIGNS, TEXT, choose, enter_text
from firmware_agent.flows.handout import print_slip
from firmware_agent.screens.page import Page
from firmware_agent.settings import SettingError
from firmware_agent.shop import (
    MAX_CODE,
    MAX_DAYS,
    MAX_DIGITS,
    MAX_PROMOTION,
    MERCHANT_KINDS,
    OWN,
    SENTENCES,
    WAYS,
    Promotion,
    end_of,
    kind_of,
    promotion_now,
    promotion_until,
    ways_of,
)
from firmware_agent.texts import LANGUAGES
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal

SCAN_MS = 15000
MAX_NAME = 40
MAX_LINE = 20


async def shop_flow(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    """Until the person leaves. Raises StoreError: what was being set is as it was."""
    await Shop(terminal, ui, settings, outdated).run()


class Shop:
    """One visit to the page."""

    def __init__(self, terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
        self._terminal = terminal
        self._ui = ui
        self._settings = settings
        self._outdated = outdated

    async def run(self) -> None:
        actions = (
            self._language,
            self._contact_name,
            self._contact_phone,
            self._merchant_kind,
            self._other_ways,
            self._other_way_code,
            self._promotion,
            self._service_line,
        )
        while not self._outdated():
            texts = self._ui.texts
            chosen = await choose(self._ui, self._outdated, "shop", texts.get("shop.title"), self._items())
            if chosen < 0:
                return
            await actions[chosen]()

    def _items(self) -> "list[str]":
        texts, settings = self._ui.texts, self._settings
        is_set = {True: texts.get("shop.set"), False: texts.get("shop.not_set")}
        values = (
            ("shop.language", texts.get("language." + settings.language)),
            ("shop.contact_name", settings.get("contact_name") or is_set[False]),
            ("shop.contact_phone", settings.get("contact_phone") or is_set[False]),
            ("shop.merchant_kind", texts.get("merchant." + kind_of(settings))),
            ("shop.other_ways", is_set[bool(ways_of(settings))]),
            ("shop.other_way_code", is_set[bool(settings.get("other_way_code"))]),
            ("shop.promotion", is_set[bool(promotion_until(self._terminal, settings))]),
            ("shop.service_line", settings.get("service_line")),
        )
        return ["%s\t%s" % (texts.get(key), value) for key, value in values]

    async def _set(self, *pairs: "tuple[str, str]") -> bool:
        """Set them, all or none; whether they can be set. The acquirer hears which, and no value. Raises StoreError."""
        if all([self._settings.get(name) == value for name, value in pairs]):
            return True
        try:
            changes = self._settings.changes([[name, value] for name, value in pairs])
        except SettingError as error:
            self._terminal.log("not set: %s" % error)
            await self._note(self._ui.texts.get("shop.refused"))
            return False
        told: dict[str, object] = {"name": "shop_changed", "detail": " ".join([name for name, _ in pairs])}
        self._terminal.apply([], [("event", told)], changes)
        self._ui.speak(self._settings.language)
        return True

    async def _note(self, text: str) -> None:
        from firmware_agent.flows.menu.device_pages import note_page

        await self._ui.ask(note_page(self._ui.texts, text), self._outdated, ("cancel",))

    # One setting each.

    async def _language(self) -> None:
        texts = self._ui.texts
        names = [texts.get("language." + language) for language in LANGUAGES]
        chosen = await choose(self._ui, self._outdated, "shop.language", texts.get("shop.language"), names)
        if chosen >= 0:
            await self._set(("language", LANGUAGES[chosen]))

    async def _contact_name(self) -> None:
        await self._typed("contact_name", self._ui.texts.get("shop.contact_name"), TEXT, MAX_NAME)

    async def _contact_phone(self) -> None:
        await self._typed("contact_phone", self._ui.texts.get("shop.contact_phone"), DIGITS_AND_SIGNS, MAX_LINE)

    async def _typed(self, name: str, title: str, characters: "dict[str, str]", longest: int) -> None:
        value = self._settings.get(name)
        while True:
            typed = await enter_text(self._ui, self._outdated, "shop." + name, title, value, characters, longest)
            if typed is None or await self._set((name, typed)):
                return
            value = typed

    async def _merchant_kind(self) -> None:
        texts = self._ui.texts
        names = [texts.get("merchant." + kind) for kind in MERCHANT_KINDS]
        chosen = await choose(self._ui, self._outdated, "shop.merchant_kind", texts.get("shop.merchant_kind"), names)
        if chosen >= 0:
            await self._set(("merchant_kind", MERCHANT_KINDS[chosen]))

    async def _other_ways(self) -> None:
        """Each number marks one, or takes its mark away."""
        texts = self._ui.texts
        while True:
            ways = ways_of(self._settings)
            marks = {True: "shop.marked", False: "shop.unmarked"}
            items = [texts.get(marks[way in ways], text=texts.get("way." + way)) for way in WAYS]
            chosen = await choose(self._ui, self._outdated, "shop.other_ways", texts.get("shop.other_ways"), items)
            if chosen < 0:
                return
            await self._set(("other_ways", ",".join([way for way in WAYS if (way in ways) != (way == WAYS[chosen])])))

    async def _other_way_code(self) -> None:
        texts, settings = self._ui.texts, self._settings
        while True:
            code = settings.get("other_way_code")
            lines = [texts.get("shop.code.how"), code or texts.get("shop.not_set")]
            choices = [("2", texts.get("shop.code.choice.2"))]
            if self._terminal.hal.scanner is not None:
                choices.insert(0, ("1", texts.get("shop.code.choice.1")))
            if code:
                choices.append(("3", texts.get("shop.code.choice.3")))
            page = Page("shop.code", texts.get("shop.code.title"), lines, choices, texts.get("hint.back"))
            key = await self._ui.ask(page, self._outdated, ("cancel",))
            value: str | None
            if key == "1":
                value = await self._scanned()
            elif key == "2":
                value = await enter_text(self._ui, self._outdated, "shop.code.typed", texts.get("shop.code.title"), code, TEXT, MAX_CODE)
            elif key == "3":
                value = ""
            else:
                return
            if value is not None:
                await self._set(("other_way_code", value))

    async def _scanned(self) -> "str | None":
        """None where no code was read, which the person is told."""
        texts, scanner = self._ui.texts, self._terminal.hal.scanner
        if scanner is None:
            return None
        self._ui.show(Page("shop.code.scan", texts.get("shop.code.title"), [texts.get("shop.code.hold")], footer=texts.get("hint.wait")))
        code = None
        try:
            code = await scanner.scan(SCAN_MS)
        except DeviceError as error:
            self._terminal.log("scanner %s" % error)
        if code is None:
            await self._note(texts.get("shop.code.none"))
        return code

    async def _service_line(self) -> None:
        await self._note(self._ui.texts.get("shop.line_how", line=self._settings.get("service_line")))

    # The message to customers.

    async def _promotion(self) -> None:
        texts, terminal, settings = self._ui.texts, self._terminal, self._settings
        note = ""
        while True:
            promotion = promotion_now(terminal, settings)
            keys, lines, text = ["1"], [texts.get("shop.promotion.none")], ""
            if promotion is not None:
                text = promotion_text(texts, promotion)
                until = local_time(promotion_until(terminal, settings), settings.utc_offset_min)
                lines = [texts.get("shop.promotion.now", until=until), text]
                keys += ["2", "3"] if self._ui.slips is not None else ["2"]
            choices = [(key, texts.get("shop.promotion.choice." + key)) for key in keys]
            page = Page(
                "shop.promotion", texts.get("shop.promotion.title"), lines + ([note] if note else []), choices, texts.get("hint.back")
            )
            key = await self._ui.ask(page, self._outdated, ("cancel",))
            note = ""
            if key == "1":
                await self._new_promotion()
            elif key == "2":
                await self._set(("promotion", ""), ("promotion_until", ""))
            elif key == "3":
                note = await print_slip(terminal, self._ui, text, [])
            else:
                return

    async def _new_promotion(self) -> None:
        texts = self._ui.texts
        if not self._terminal.wall_s:
            await self._note(texts.get("shop.promotion.no_clock"))
            return
        title = texts.get("shop.promotion.title")
        words = list(SENTENCES)
        words.sort()
        items = [promotion_text(texts, Promotion(word, ("?",) * SENTENCES[word])) for word in words] + [texts.get("shop.promotion.own")]
        chosen = await choose(self._ui, self._outdated, "shop.promotion.sentence", title, items)
        if chosen < 0:
            return
        promotion = await self._own(title) if chosen == len(words) else await self._numbered(title, words[chosen])
        if promotion is None:
            return
        days = ""
        while not (days and 1 <= int(days) <= MAX_DAYS):
            typed = await enter_text(
                self._ui, self._outdated, "shop.promotion.days", title, days, DIGITS, 2, note=texts.get("shop.promotion.days")
            )
            if typed is None:
                return
            days = typed
        await self._set(("promotion", promotion.value), ("promotion_until", end_of(self._terminal.wall_s, int(days))))

    async def _own(self, title: str) -> "Promotion | None":
        longest = MAX_PROMOTION - len(OWN) - 1
        typed = await enter_text(self._ui, self._outdated, "shop.promotion.own", title, "", TEXT, longest)
        return Promotion(OWN, text=typed) if typed else None

    async def _numbered(self, title: str, word: str) -> "Promotion | None":
        """Each number of the sentence, which shows what is typed already."""
        texts = self._ui.texts
        numbers: tuple[str, ...] = ()
        while len(numbers) < SENTENCES[word]:
            rest = ("?", "…")[: SENTENCES[word] - len(numbers)]
            note = texts.get("shop.promotion.number", text=promotion_text(texts, Promotion(word, numbers + rest)))
            typed = await enter_text(self._ui, self._outdated, "shop.promotion.number", title, "", DIGITS, MAX_DIGITS, note=note)
            if typed is None:
                return None
            if typed:
                numbers += (typed,)
        return Promotion(word, numbers)
