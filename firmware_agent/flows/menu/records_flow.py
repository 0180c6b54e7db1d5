"""Records: what a suspension was, who did what, the audit of the log, and the evidence package. For everybody: nothing of it is secret, and
whoever is in a dispute has a right to it.
"""

from firmware_agent.flows.entry import KEY_MORE
from firmware_agent.flows.menu import records_pages as pages
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.records.console_export import AUDIT, EVIDENCE, SUMMARY, export
from firmware_agent.screens.page import Page
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.messages.schema import Claims
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal

LINES = 5  # on one page; the next key brings more
MOST_PRINTED = 80  # lines of a slip: the operation log, whose newest come first, would be a metre long
PRINT, CODE, EXPORT = "2", "3", "4"


async def records_flow(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    """Until the person leaves."""
    records = _Records(terminal, ui, settings, outdated)
    texts = ui.texts
    actions = {"1": records.summary, "2": records.operations, "3": records.audit, "4": records.package}
    while not outdated():
        choices = [(key, texts.get("records.choice." + key)) for key in sorted(actions)]
        key = await ui.ask(Page("records", texts.get("records.title"), (), choices, texts.get("hint.back")), outdated, (KEY_BACK,))
        if key not in actions:
            return
        await actions[key]()


async def show_summary(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    """Of the last suspension, or of the one that goes on."""
    await _Records(terminal, ui, settings, outdated).summary()


class _Records:
    def __init__(self, terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
        self._terminal = terminal
        self._ui = ui
        self._offset_min = settings.utc_offset_min
        self._outdated = outdated

    async def summary(self) -> None:
        from firmware_agent.records.summary import summary_now

        texts = self._ui.texts
        claims = summary_now(self._terminal)
        if claims is None:
            await self._note(texts.get("records.none"))
            return
        title = texts.get("summary.title" if claims.body.get("back") else "incident.title")
        await self._offer("records.summary", title, lambda: pages.summary_lines(texts, claims, self._offset_min), SUMMARY, claims)

    async def operations(self) -> None:
        texts, terminal = self._ui.texts, self._terminal
        await self._offer(
            "records.log", texts.get("records.log.title"), lambda: pages.operation_lines(texts, terminal, self._offset_min), "", None
        )

    async def audit(self) -> None:
        from firmware_agent.messages.schema import Claims, kind_named
        from firmware_agent.records.audit_report import AuditReport

        texts, terminal = self._ui.texts, self._terminal
        report = AuditReport(terminal.store, terminal.evidence.kept)
        claims = Claims(
            kind_named("audit"),
            terminal.identity.terminal,
            terminal.outbox.next_sequence(),
            {"count": report.walk.number, "head": report.walk.head},
            issued_at=terminal.wall_s,
            boot_count=terminal.boot_count,
        )
        title = texts.get("records.audit.title")
        await self._offer("records.audit", title, lambda: pages.audit_lines(texts, terminal, report, self._offset_min), AUDIT, claims)

    async def package(self) -> None:
        """What it is, and how to verify it; then it is written to the console, as often as somebody wants it."""
        from firmware_agent.records.evidence_package import package

        texts, terminal, ui = self._ui.texts, self._terminal, self._ui
        written = 0
        while not self._outdated():
            lines = [texts.get("package.what"), texts.get("package.entries", number=terminal.evidence.number)]
            lines.append(texts.get("package.written", count=written) if written else texts.get("package.verify"))
            choices = [("1", texts.get("package.choice.1"))]
            page = Page("records.package", texts.get("records.package.title"), lines, choices, texts.get("hint.back"))
            if await ui.ask(page, self._outdated, (KEY_BACK,)) != "1":
                return
            try:
                written = await export(terminal, EVIDENCE, await package(terminal))
            except DeviceError as error:
                terminal.log("package %s" % error)
                await self._note(texts.get("package.failed"))

    # Pages, paper, code, console.

    async def _offer(self, name: str, title: str, lines: "Callable[[], Iterable[str]]", what: str, claims: "Claims | None") -> None:
        """Show the lines, some at a time; print them, with a code of the signed claims where there are any; show that code; write the lines
        to the console, where they are a record by themselves.
        """
        terminal, ui, texts = self._terminal, self._ui, self._ui.texts
        reading = _Reading(lines())
        while not self._outdated():
            choices = [(KEY_MORE, texts.get("list.more"))] if reading.has_more else []
            if ui.slips is not None:
                choices.append((PRINT, texts.get("records.choice.print")))
            if claims is not None and terminal.hal.display is not None:
                choices.append((CODE, texts.get("records.choice.code")))
            if what:
                choices.append((EXPORT, texts.get("records.choice.export")))
            key = await ui.ask(Page(name, title, reading.shown, choices, texts.get("hint.back")), self._outdated, (KEY_BACK,))
            if key == KEY_MORE:
                reading.turn()
            elif key == PRINT:
                await self._print(title, lines(), claims)
            elif key == CODE and claims is not None:
                await self._show_code(claims)
            elif key == EXPORT:
                count = await export(terminal, what, lines())
                await self._note(texts.get("package.written", count=count))
            else:
                return

    async def _print(self, title: str, lines: "Iterable[str]", claims: "Claims | None") -> None:
        """Line by line: a log is never in memory as a whole."""
        terminal, ui, texts = self._terminal, self._ui, self._ui.texts
        slips = ui.slips
        assert slips is not None
        ui.show(self._note_page(texts.get("slip.being_printed")))
        try:
            await slips.print_lines([], title, ends=False)
            count = 0
            for line in lines:
                await slips.print_lines([line], ends=False)
                count += 1
                if count == MOST_PRINTED:
                    break
            code = await self._code_of(claims) if claims is not None else ""
            if code:
                from firmware_agent.screens.qr import qr_code_in_turns

                await slips.print_lines([texts.get("slip.code")], ends=False)
                await slips.print_code(await qr_code_in_turns(terminal.hal.clock, code))
            await slips.print_lines([])
        except (DeviceError, ValueError) as error:  # of the printer; or a code that is too long
            terminal.log("slip %s" % error)
            cause = error.cause if isinstance(error, DeviceError) and error.cause else "check_failed"
            await self._note(texts.get("slip.failed", cause=pages.text_of(texts, "cause.", cause)))

    async def _show_code(self, claims: "Claims") -> None:
        from firmware_agent.flows.handout import show_code

        note = await show_code(self._terminal, self._ui, await self._code_of(claims), self._outdated)
        if note:
            await self._note(note)

    async def _code_of(self, claims: "Claims") -> str:
        """The signed text; '' where it cannot be signed: what is printed is as good without."""
        from firmware_agent.messages.signed_text import encode_text

        try:
            _, message = await self._terminal.signed(claims)
        except DeviceError as error:
            self._terminal.log("code %s" % error)
            return ""
        return encode_text(self._terminal.identity.acquirer, message)

    async def _note(self, text: str) -> None:
        await self._ui.ask(self._note_page(text), self._outdated, (KEY_BACK,))

    def _note_page(self, text: str) -> Page:
        texts = self._ui.texts
        return Page("records.note", texts.get("records.title"), [text], [("1", texts.get("note.choice.1"))], texts.get("hint.back"))


class _Reading:
    """Lines that come one by one, LINES of them shown. has_more: there are others behind them."""

    def __init__(self, lines: "Iterable[str]") -> None:
        self._lines = iter(lines)
        self._next = next(self._lines, None)
        self.shown: list[str] = []
        self.turn()

    @property
    def has_more(self) -> bool:
        return self._next is not None

    def turn(self) -> None:
        self.shown = []
        while self._next is not None and len(self.shown) < LINES:
            self.shown.append(self._next)
            self._next = next(self._lines, None)
