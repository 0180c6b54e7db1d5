"""The recovery, step by step: which page comes is the state's step; what a key means there is told as an event. Steps that need more than a
page have a module of their own, loaded when they are reached.
"""

from firmware_agent.application.draft import Draft
from firmware_agent.flows.status_pages import KEY_CUSTOMER, code_of, reason_lines, with_customer
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.screens.page import Page
from firmware_agent.state.machine import (
    RECOVERING,
    STEP_APPLICATION,
    STEP_CHECK,
    STEP_CONTACT,
    STEP_LIFT,
    STEP_MATERIALS,
    STEP_REASON,
    STEP_REGISTRATION,
    STEP_REVIEW,
    RecoveryPaused,
    StepDone,
    StepTakenBack,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

KEY_MENU = "help"
ENTRY_MS = 120000  # without a key, until what a person was choosing or typing gives way to the page of the step


class Recovery:
    """gives_way: of a page that stands for long; restart: into a normal start, None where there is none; menu: opens it."""

    def __init__(
        self,
        terminal: "Terminal",
        ui: "Ui",
        settings: "Settings",
        gives_way: "Callable[[], bool]",
        restart: "Callable[[], None] | None" = None,
        menu: "Callable[[], Awaitable[None]] | None" = None,
    ) -> None:
        self.terminal = terminal
        self.ui = ui
        self.settings = settings
        self.draft = Draft(terminal)
        self.gives_way = gives_way
        self.restart = restart
        self._menu = menu
        self.heard = ""  # the review's status that was shown or sounded last
        self._step = ""

    @property
    def texts(self) -> "Texts":
        return self.ui.texts

    async def run(self) -> str:
        """Show the page of the step, and take the answer into the state; gives the plan of a self-test that is to be run then, or ''.
        Raises StoreError: what was answered did not happen.
        """
        step = self._step = self.terminal.state.step
        if step == STEP_REASON:
            await self._reasons()
        elif step == STEP_CONTACT:
            self.went(step, await self.ask(contact_page(self.texts, self.terminal, self.settings)))
        elif step == STEP_CHECK:
            from firmware_agent.flows.recovery.check_flow import check_step

            return await check_step(self)
        elif step == STEP_MATERIALS:
            from firmware_agent.flows.recovery.materials_flow import materials_step

            await materials_step(self)
        elif step == STEP_APPLICATION:
            from firmware_agent.flows.recovery.application_flow import application_step

            await application_step(self)
        elif step == STEP_REVIEW:
            from firmware_agent.flows.recovery.review_flow import review_step

            await review_step(self)
        elif await self.ask(with_customer(self.texts, waiting_page(self.texts, step))) == KEY_BACK:
            self.terminal.apply([RecoveryPaused()])
        return ""

    async def _reasons(self) -> None:
        """One page for each reason that holds."""
        count = len(self.terminal.state.reasons)
        number = 0
        while 0 <= number < count:
            key = await self.ask(reason_page(self.texts, self.terminal, self.settings, number))
            if not key:
                return
            number += 1 if key == "1" else -1
        self.terminal.apply([StepDone(STEP_REASON) if number > 0 else RecoveryPaused()])

    # For the steps.

    async def ask(self, page: Page, further_keys: "tuple[str, ...]" = ()) -> str:
        """The page of a step: the key pressed, KEY_BACK among them; '' when it gives way."""
        key = await self.ui.ask(page, self.gives_way, further_keys + (KEY_BACK, KEY_MENU, KEY_CUSTOMER))
        if key not in (KEY_MENU, KEY_CUSTOMER) or key in further_keys + tuple([choice[0] for choice in page.choices]):
            return key  # a page may have a meaning of its own for them
        if key == KEY_CUSTOMER:
            from firmware_agent.flows.customer_pages import customer_flow

            await customer_flow(self.terminal, self.ui, self.settings, self.gives_way)
        elif self._menu is not None:
            await self._menu()
        return ""

    async def ask_within(self, page: Page, further_keys: "tuple[str, ...]" = ()) -> str:
        """A page that belongs to what a person is entering, which a key began."""
        return await self.ui.ask(page, self.left, further_keys + (KEY_BACK,))

    def left(self) -> bool:
        """What is being entered has no purpose any more, or nobody has pressed a key for too long. A notice can wait for so long."""
        state = self.terminal.state
        if state.step != self._step or state.mode != RECOVERING:
            return True
        return self.terminal.hal.clock.monotonic_ms() - self.ui.key_ms >= ENTRY_MS

    def went(self, step: str, key: str) -> None:
        """Take the two keys that mean the same at each step: on, and back to the one before. Raises StoreError."""
        if key == "1":
            self.terminal.apply([StepDone(step)])
        elif key == KEY_BACK:
            self.terminal.apply([StepTakenBack()])


def reference_of(terminal: "Terminal") -> str:
    """Under which documents are handed in: acquirer, terminal, number of the application; of the next one while none is under review."""
    state = terminal.state
    number = state.application + (state.step != STEP_REVIEW)
    return "%s/%s/%d" % (terminal.identity.acquirer, terminal.identity.terminal, number)


def reason_page(texts: "Texts", terminal: "Terminal", settings: "Settings", number: int = 0) -> Page:
    reasons = terminal.state.reasons
    reason = reasons[number]
    lines = reason_lines(texts, reason, settings) + [texts.get("todo." + reason.code)]
    if len(reasons) > 1:
        lines.insert(0, texts.get("recovery.reason.number", number=number + 1, count=len(reasons)))
    return _page(texts, STEP_REASON, lines, ("1",))


def contact_page(texts: "Texts", terminal: "Terminal", settings: "Settings") -> Page:
    lines = [
        texts.get("recovery.contact.call", line=settings.get("service_line")),
        texts.get("recovery.contact.say"),
        texts.get("recovery.contact.terminal", terminal=terminal.identity.terminal),
    ]
    for reason in terminal.state.reasons:
        lines.append(texts.get("recovery.contact.code", code=code_of(reason)))
        if reason.case:
            lines.append(texts.get("recovery.contact.case", case=reason.case))
    lines.append(texts.get("recovery.contact.warning"))
    return _page(texts, STEP_CONTACT, lines, ("1",))


def waiting_page(texts: "Texts", step: str) -> Page:
    """Of the steps that go on by themselves."""
    if step == STEP_REGISTRATION:
        return _page(texts, step, [texts.get("recovery.registration.running")], ())
    return _page(texts, STEP_LIFT, [texts.get("recovery.lift.wait")], ())


def _page(texts: "Texts", step: str, lines: "list[str]", keys: "tuple[str, ...]") -> Page:
    name = "recovery." + step
    choices = [(key, texts.get(name + ".choice." + key)) for key in keys]
    return Page(name, texts.get(name + ".title"), lines, choices, texts.get("hint.list" if keys else "hint.wait"))
