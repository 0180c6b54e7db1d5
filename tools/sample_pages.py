"""Every page of the terminal as plain data: with what is usual on it, and with all that may stand on it.

The gallery draws them, the validator of the texts measures them, and the tests read them back. A flow's new page gets its sample here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from firmware_agent.application.draft import MATERIALS, SENTENCES, Draft
from firmware_agent.application.review import DECISIONS, Answer
from firmware_agent.boot.boot_guard import CAUSE_BOOT_LOOP, CAUSE_BROWNOUT
from firmware_agent.boot.update import REFUSALS as UPDATE_REFUSALS
from firmware_agent.flows import (
    activation_flow,
    customer_pages,
    entry,
    handout,
    notice_pages,
    reminder_pages,
    safe_mode_pages,
    selftest_pages,
    status_pages,
    warning,
)
from firmware_agent.flows.examiner import Examiner
from firmware_agent.flows.menu import activate_flow, device_pages, network_pages, transactions_flow, update_flow, visitor_flow
from firmware_agent.flows.menu.menu import TECHNICIAN, Visit, choices_of, menu
from firmware_agent.flows.recovery import check_flow, function_test_flow, recovery_flow, review_flow
from firmware_agent.flows.recovery.application_flow import MOST_SENTENCES, sentences_of
from firmware_agent.flows.recovery.recovery_flow import Recovery
from firmware_agent.flows.selftest_flow import subject_at
from firmware_agent.flows.ui import Ui
from firmware_agent.identity.activation import CODE_DIGITS, FAILURES
from firmware_agent.identity.activation import REFUSALS as ACTIVATION_REFUSALS
from firmware_agent.identity.technician import REFUSALS, WAIT, WRONG_PIN, Technician
from firmware_agent.links.link import CAUSE_DATE
from firmware_agent.messages.cbor import encode
from firmware_agent.prevention.notices import ABOUT_MAINTENANCE, ABOUT_MESSAGE, BY_NOTICE, BY_ORDER, MAX_NOTICES, Notice
from firmware_agent.prevention.reminders import CERTIFICATE, DEVICE, FIRMWARE, MAINTENANCE, PAPERS, Reminder
from firmware_agent.prevention.training import Progress
from firmware_agent.screens.font import Font
from firmware_agent.screens.page import Page
from firmware_agent.screens.page_view import lay_out
from firmware_agent.screens.qr import QrCode, qr_code
from firmware_agent.selftest.diagnosis import CAUSES, Diagnosis, cause_named
from firmware_agent.selftest.examination import PAGES as EXAMINED
from firmware_agent.selftest.phases import FAIL, PASS, TIMEOUT, Result
from firmware_agent.selftest.plans import FULL, POWER_ON, all_phases, plan_phases
from firmware_agent.state.machine import (
    LEVEL_SUPERIOR,
    OUT_OF_ORDER,
    PROBATION,
    RECOVERING,
    REVIEW_APPROVED,
    REVIEW_REJECTED,
    REVIEW_STATUSES,
    REVIEW_UNDER_REVIEW,
    STEP_APPLICATION,
    STEP_CHECK,
    STEP_CONTACT,
    STEP_LIFT,
    STEP_MATERIALS,
    STEP_REASON,
    STEP_REGISTRATION,
    STEP_REVIEW,
    SUSPENDED,
    RecoveryStarted,
    StepDone,
    Suspended,
)
from firmware_agent.state.reasons import ACTOR_HOST, REASON_KINDS, Reason
from firmware_agent.store import NOT_WRITABLE
from firmware_agent.terminal import Terminal, function_tests
from hal.hal import KINDS
from hal.payment import Unfinished
from tools.sample_terminal import LONG, NOW_S, SINCE_S, UNTIL_S, USUAL, Sample, Scene, WholeFont, walked

if TYPE_CHECKING:
    from firmware_agent.texts import Texts

    Prepare = Callable[[Terminal], None]


def usual_pages(scene: Scene, texts: Texts) -> Iterator[Sample]:
    """Each page as it is seen most often, and each form of it that looks different."""
    scene.words, scene.language = USUAL[texts.language], texts.language
    for area in AREAS:
        yield from area(scene, texts)


def fullest_pages(scene: Scene, texts: Texts) -> Iterator[Page]:
    """Each page with all that may stand on it, for every reason, cause and answer that there is."""
    scene.words, scene.language = LONG, texts.language
    for area in AREAS:
        for sample in area(scene, texts):
            if isinstance(sample.shown, Page):
                yield sample.shown
    for area_of_all in ALL_OF:
        yield from area_of_all(scene, texts)


def samples(scene: Scene, texts: Texts) -> Iterator[Sample]:
    """What the gallery shows: the usual pages, and of each page the one that is the longest on this display, where that is another."""
    usual = list(usual_pages(scene, texts))
    yield from usual
    font = WholeFont()
    longest: dict[str, tuple[tuple[int, int], Page]] = {}
    for page in fullest_pages(scene, texts):
        rows = len(lay_out(page, scene.width_px, scene.height_px, font)[1])
        filled = sum(len(line) for line in page.lines)
        if page.name not in longest or (rows, filled) > longest[page.name][0]:
            longest[page.name] = ((rows, filled), page)
    font.close()
    for name, (_, page) in longest.items():
        if all(vars(sample.shown) != vars(page) for sample in usual):
            yield Sample(name + ".longest", page)


def windows_of(page: Page, width_px: int, height_px: int, font: Font) -> int:
    """How many screens a person sees who scrolls through it."""
    row_px, rows = lay_out(page, width_px, height_px, font)
    count = height_px // row_px
    return 1 + max(0, -(-(len(rows) - count) // (count - 1)))


def _footed(page: Page, texts: Texts) -> Page:
    """As the counter shows it, with the key of the menu."""
    page.footer = texts.get("hint.choose_or_menu" if page.choices else "hint.menu")
    return page


def _named(pages: Iterator[Page]) -> Iterator[Sample]:
    """Pages that are told apart by their names."""
    yield from (Sample(page.name, page) for page in pages)


# How the terminal stands.


def _status(scene: Scene, texts: Texts) -> Iterator[Sample]:
    def idle(name: str, terminal: Terminal) -> Sample:
        return Sample(name, _footed(status_pages.idle_page(texts, terminal, scene.settings(terminal)), texts))

    def suspended(name: str, terminal: Terminal) -> Sample:
        return Sample(name, _footed(status_pages.suspended_page(texts, terminal, scene.settings(terminal)), texts))

    yield idle("idle", scene.terminal())
    terminal = scene.terminal()
    terminal.online = False
    yield idle("idle.offline", terminal)
    terminal = scene.terminal(mode=PROBATION, probation_until=UNTIL_S)
    _announce(terminal, NOW_S + 5 * 3600, scene.words.notice)
    yield idle("idle.maintenance", terminal)
    terminal = scene.terminal()
    scene.settings(terminal).set("promotion", "money_off 100 20")
    scene.settings(terminal).set("promotion_until", str(UNTIL_S))
    yield idle("idle.promotion", terminal)
    yield suspended("suspended", scene.terminal(scene.reason("violation"), mode=SUSPENDED))
    yield suspended("suspended.by_itself", scene.terminal(scene.reason("hardware_fault", "card_reader"), mode=SUSPENDED))
    several = [scene.reason(code) for code in ("account_issue", "compliance", "dormant")]
    yield suspended("suspended.several", scene.terminal(*several, mode=SUSPENDED))
    terminal = scene.terminal(scene.reason("tamper", "secure_element"), mode=OUT_OF_ORDER)
    yield Sample("out_of_order", _footed(status_pages.out_of_order_page(texts, terminal, scene.settings(terminal)), texts))
    terminal = scene.terminal(tests_able=function_tests(scene.hal))
    yield Sample("restored", status_pages.restored_page(texts, terminal, scene.settings(terminal)))
    terminal = scene.terminal(tests_able=function_tests(scene.hal), mode=PROBATION, probation_until=UNTIL_S)
    yield Sample("restored.watched", status_pages.restored_page(texts, terminal, scene.settings(terminal)))
    yield Sample("probation", status_pages.probation_page(texts, terminal, scene.settings(terminal), [0, 0, 0, 0]))
    yield Sample("probation.told", status_pages.probation_page(texts, terminal, scene.settings(terminal), [1, 2, 3, 4]))
    yield Sample("not_done", status_pages.not_done_page(texts))
    terminal = scene.terminal()
    for name, about, by in (("notice", ABOUT_MESSAGE, BY_NOTICE), ("notice.maintenance", ABOUT_MAINTENANCE, BY_ORDER)):
        notice = _announce(terminal, NOW_S + 3 * 86400, scene.words.notice, about, by)
        yield Sample(name, _footed(notice_pages.notice_page(texts, terminal, scene.settings(terminal), [notice]), texts))


def _announce(terminal: Terminal, since_s: int, text: str, about: str = ABOUT_MAINTENANCE, by: str = BY_ORDER, number: int = 17) -> Notice:
    """What the acquirer has told of, in the terminal's store."""
    notice = Notice("notice.%02d" % number, by, number, about, since_s, since_s + 7200)
    terminal.store.put(notice.key, notice.encoded(0, text))
    terminal.notices.load()
    return terminal.notices.all[-1]


def _every_status(scene: Scene, texts: Texts) -> Iterator[Page]:
    for kind in REASON_KINDS:
        reason = scene.reason(kind.code, "card_reader" if kind.found_by_terminal else "")
        terminal = scene.terminal(reason, Reason("operator_error", ACTOR_HOST), mode=PROBATION, probation_until=UNTIL_S)
        _announce(terminal, NOW_S + 36 * 3600, scene.words.notice)
        scene.hal.clock.distrust()
        terminal.online = False
        terminal.link_cause = CAUSE_DATE
        settings = scene.settings(terminal)
        yield _footed(status_pages.idle_page(texts, terminal, settings), texts)
        terminal.storage_refusal = NOT_WRITABLE
        yield _footed(status_pages.idle_page(texts, terminal, settings), texts)
        yield _footed(status_pages.suspended_page(texts, terminal, settings), texts)
        yield _footed(status_pages.out_of_order_page(texts, terminal, settings), texts)
    terminal = scene.terminal()
    for by in (BY_ORDER, BY_NOTICE):
        notice = _announce(terminal, UNTIL_S, scene.words.notice, by=by, number=1234)
        yield _footed(notice_pages.notice_page(texts, terminal, scene.settings(terminal), [notice] * MAX_NOTICES), texts)


# The way back.


def _recovery(scene: Scene, texts: Texts) -> Iterator[Sample]:
    def at_step(
        step: str, keys: str = "", reasons: tuple[Reason, ...] = (), prepare: Prepare | None = None, **state: object
    ) -> Iterator[Sample]:
        terminal = scene.terminal(*(reasons or [scene.reason("violation")]), mode=RECOVERING, step=step, **state)
        if prepare is not None:
            prepare(terminal)

        async def flow(ui: Ui, has_left: Callable[[], bool]) -> None:
            at = Recovery(terminal, ui, scene.settings(terminal), has_left, restart=lambda: None)
            while not has_left() and terminal.state.step == step:
                await at.run()

        return walked(scene, texts, flow, keys)

    yield from at_step(STEP_REASON)
    yield from _renamed("two", at_step(STEP_REASON, "1", (scene.reason("violation"), scene.reason("account_issue"))))
    yield from at_step(STEP_CONTACT)
    yield from at_step(STEP_CHECK)
    fault = scene.reason("hardware_fault", "card_reader")
    yield from _renamed("hardware_fault", at_step(STEP_CHECK, "", (fault,)))
    yield from _renamed("software_fault", at_step(STEP_CHECK, "3", (scene.reason("software_fault"),)))
    yield from _renamed("operator_error", at_step(STEP_CHECK, "5", (scene.reason("operator_error"),), _history))
    yield from at_step(STEP_MATERIALS, "1 3 enter")
    yield from at_step(STEP_MATERIALS, "", (fault,))

    def fill(terminal: Terminal) -> None:
        draft = Draft(terminal)
        draft.put(MATERIALS, [1, 2, 3, 7])
        draft.put(SENTENCES, sentences_of(terminal.state.reasons)[: MOST_SENTENCES if scene.words is LONG else 2])

    yield from at_step(STEP_APPLICATION, "3 2 2 3 enter help enter 4 1 0 2 enter enter")
    yield from _renamed("filled", at_step(STEP_APPLICATION, "1", prepare=fill))
    rejected: dict[str, Any] = {"review": REVIEW_REJECTED, "application": 3, "remark": scene.words.remark}
    yield from _renamed("appeal", at_step(STEP_APPLICATION, "5 1", prepare=fill, **rejected))
    yield from at_step(STEP_REVIEW, "1", review=REVIEW_UNDER_REVIEW, application=3)
    for status in DECISIONS:
        terminal = scene.terminal(scene.reason("violation"), mode=RECOVERING, step=STEP_REVIEW, review=status, application=3)
        terminal.state.remark = "" if status == REVIEW_APPROVED else scene.words.remark
        answer = Answer(3, status, NOW_S, False, 0)
        terminal.store.put("draft.answer", answer.encoded())
        yield Sample("answer." + status, review_flow.answer_page(texts, terminal, scene.settings(terminal), answer))
    yield from at_step(STEP_REGISTRATION)
    yield from at_step(STEP_LIFT)
    terminal = scene.terminal(tests_able=function_tests(scene.hal), tests_due=("pay",))
    yield Sample("test", _footed(status_pages.with_customer(texts, function_test_flow.tests_due_page(texts, terminal)), texts))
    yield Sample("test.failed", function_test_flow._failed_page(texts, "pay"))


def _renamed(variant: str, found: Iterator[Sample]) -> Iterator[Sample]:
    """The same samples, told apart from the usual ones of their pages."""
    for sample in found:
        assert isinstance(sample.shown, Page)
        yield Sample(sample.shown.name + "." + variant + sample.name.removeprefix(sample.shown.name), sample.shown)


def _history(terminal: Terminal) -> None:
    """What has happened to a terminal that is in somebody's log."""
    reasons, step = terminal.state.reasons, terminal.state.step
    terminal.apply(
        [Suspended(Reason("violation", ACTOR_HOST, SINCE_S, 0, "", "C-2026-1107"))],
        facts=[["accepted", "order", 17, 0, "suspend", "violation"]],
    )
    terminal.apply([RecoveryStarted()])
    terminal.apply([StepDone(STEP_REASON)], [("event", {"name": "signed_on", "detail": "badge T-0042"})])
    terminal.apply([StepDone(STEP_CONTACT)], [("event", {"name": "sign_on_refused", "detail": "wrong_pin"})])
    terminal.state.mode, terminal.state.reasons, terminal.state.step = RECOVERING, reasons, step or STEP_CHECK


def _every_recovery(scene: Scene, texts: Texts) -> Iterator[Page]:
    for kind in REASON_KINDS:
        reason = scene.reason(kind.code, "card_reader" if kind.found_by_terminal else "")
        terminal = scene.terminal(reason, mode=RECOVERING, application=1234, remark=scene.words.remark)
        settings = scene.settings(terminal)
        yield recovery_flow.reason_page(texts, terminal, settings)
        yield recovery_flow.contact_page(texts, terminal, settings)
        yield check_flow.check_page(texts, terminal)
        yield function_test_flow.tests_due_page(texts, terminal)
        for status in REVIEW_STATUSES:
            terminal.state.review, terminal.state.step, terminal.state.level = status, STEP_REVIEW, LEVEL_SUPERIOR
            yield review_flow.review_page(texts, terminal, settings)
            if status in DECISIONS:
                yield review_flow.answer_page(texts, terminal, settings, Answer(1234, status, NOW_S, False, 0))


# Self-tests.


def _results(scene: Scene) -> dict[str, Result]:
    """A run in which every phase passed."""
    return {phase.id: Result(phase.id, phase.kind, PASS, duration_ms=23) for phase in plan_phases(POWER_ON, scene.hal)}


def _self_test(scene: Scene, texts: Texts) -> Iterator[Sample]:
    plan = plan_phases(POWER_ON, scene.hal)
    passed = _results(scene)
    half = {phase.id: passed[phase.id] for phase in plan[: len(plan) // 2]}
    yield Sample("selftest", selftest_pages.progress_page(texts, plan, half))
    yield Sample("selftest.passed", selftest_pages.result_page(texts, plan, passed, []))
    for name, found in (
        ("selftest.one_finding", [("card_reader", "antenna")]),
        ("selftest.findings", [("secure_element", "no_answer"), ("network", "wrong_password"), ("card_reader", "antenna")]),
    ):
        diagnoses = [Diagnosis(kind, cause_named(cause), Result(kind, kind, FAIL, cause=cause)) for kind, cause in found]
        yield Sample(name, selftest_pages.result_page(texts, plan, passed, diagnoses))
    for name in ("storage", "not_provisioned", "replaced"):
        yield Sample("warning." + name, selftest_pages.degraded_page(texts, "warning." + name, plan, passed))
    broken = passed | {"card_reader": Result("card_reader", "card_reader", FAIL)}
    yield Sample("warning.broken", selftest_pages.degraded_page(texts, "warning.storage", plan, broken))
    yield Sample("warning.testing", selftest_pages.degraded_page(texts, "warning.storage", plan, half))
    yield Sample("safe_mode", safe_mode_pages.safe_mode_page(texts, _guard(CAUSE_BOOT_LOOP, scene.words.crash), []))
    yield Sample("safe_mode.brownout", safe_mode_pages.safe_mode_page(texts, _guard(CAUSE_BROWNOUT), []))
    failing = [Result(kind, kind, TIMEOUT) for kind in ("card_reader", "network")]
    yield Sample("safe_mode.tested", safe_mode_pages.safe_mode_page(texts, _guard(CAUSE_BROWNOUT), failing))
    examiner = Examiner(scene.hal, Ui(scene.hal, texts, lambda line: None), lambda line: None)
    for name in EXAMINED:
        if name.split(".")[0] in scene.parts:
            page = examiner._page(name, {"keys": "1 2 3"} if name in ("keypad.keys", "keypad.hold") else {})
            yield Sample(page.name, page)


def _guard(cause: str, crash: str = "", count: int = 3, link_failed: bool = False) -> Any:
    """What a start in safe mode knows of the starts before it."""
    return SimpleNamespace(cause=cause, crashes=count, power_losses=count, link_failed=link_failed, last_crash=crash)


def _every_self_test(scene: Scene, texts: Texts) -> Iterator[Page]:
    plan = plan_phases(FULL, scene.hal)
    results = {phase.id: Result(phase.id, phase.kind, TIMEOUT) for phase in plan}
    yield selftest_pages.progress_page(texts, plan, results)
    for cause in CAUSES:
        diagnosis = Diagnosis(cause.component or "secure_element", cause, Result("", "", FAIL, cause=cause.code))
        yield selftest_pages.result_page(texts, plan, results, [diagnosis] * 3)
    for guarded in (CAUSE_BOOT_LOOP, CAUSE_BROWNOUT):
        # With results it is a technician's, who may scroll.
        yield safe_mode_pages.safe_mode_page(texts, _guard(guarded, scene.words.crash, 10, True), [])


# A terminal without a name.


def _activation(scene: Scene, texts: Texts) -> Iterator[Sample]:
    hardware = scene.words.hardware
    yield Sample("activation", activation_flow.code_page(texts, "12345", hardware))
    yield Sample("activation.refused", activation_flow.code_page(texts, "", hardware, "activation.failed.wrong_code"))
    yield Sample("activation.offline", activation_flow.code_page(texts, "", hardware, "", True))
    yield Sample("activation.help", activation_flow.help_page(texts))
    yield Sample("activation.asking", activation_flow.asking_page(texts))
    yield Sample("activation.wait", activation_flow.wait_page(texts, 150))
    yield Sample("activated", activation_flow.done_page(texts, scene.words.terminal))


def _every_activation(scene: Scene, texts: Texts) -> Iterator[Page]:
    for note in ("", "warning.replaced", *("activation.failed." + code for code in (*FAILURES, *ACTIVATION_REFUSALS))):
        yield activation_flow.code_page(texts, "8" * CODE_DIGITS, scene.words.hardware, note, True)
    yield activation_flow.wait_page(texts, 3600)


# What a person opens.


def _opened(scene: Scene, texts: Texts, keys: str, terminal: Terminal | None = None) -> Iterator[Sample]:
    """The pages on the way of these keys through the menu; its own only where there are none."""
    at = terminal or scene.terminal()

    async def flow(ui: Ui, has_left: Callable[[], bool]) -> None:
        settings = scene.settings(at)
        await menu(Visit(at, ui, settings, subject_at(at, ui, settings, {}), None, has_left))

    return (sample for sample in walked(scene, texts, flow, keys) if sample.name != "menu" or not keys)


def _devices(scene: Scene, texts: Texts) -> Iterator[Sample]:
    yield from _opened(scene, texts, "")
    terminal = scene.terminal()
    settings = scene.settings(terminal)
    _, names = device_pages.device_items(texts, all_phases(scene.hal))
    items = ["%s\t%s" % (name, texts.get("outcome.pass")) for name in names]
    items[0] = "%s\t%s" % (texts.get("device.card_reader"), texts.get("cause.antenna"))
    yield Sample("results", _listed(texts, "results", items))
    yield Sample("devices", _listed(texts, "devices", names))
    bad = Result("network.path", "network", FAIL, 114, 203, "host_unreachable", measurements={"round_trip_ms": 187})
    yield Sample("result", device_pages.result_page(texts, terminal, settings, _entry("network", [bad]), 0))
    good = Result("network", "network", PASS, measurements={"rssi_dbm": -61})
    terminal.store.put("trend.network.rssi_dbm", encode([-60, -62, -61, -64, -61]))
    yield Sample("result.pass", device_pages.result_page(texts, terminal, settings, _entry("network", [good, bad]), 0))
    yield Sample("about", device_pages.about_page(texts, "card_reader.antenna"))
    yield Sample("sign_on", device_pages.sign_on_page(texts))
    yield Sample("pin", device_pages.pin_page(texts, 3))
    yield Sample("pin.refused", device_pages.pin_page(texts, 0, refused=True))
    yield Sample("pin.wait", device_pages.wait_page(texts, 150))
    yield Sample("badge", device_pages.badge_page(texts))
    yield Sample("refused", device_pages.refused_page(texts, "expired"))
    offered = [entry for entry in TECHNICIAN if all(need not in KINDS or need in scene.parts for need in entry.needs)]
    yield Sample("technician", device_pages.technician_page(texts, Technician("T-0042", scene.words.name), choices_of(texts, offered)))
    yield Sample("technician.by_pin", device_pages.technician_page(texts, Technician(), choices_of(texts, offered[:2] + offered[-1:])))
    yield Sample("export", device_pages.export_page(texts, "JUnit XML"))
    yield Sample("note.no_run", device_pages.note_page(texts, texts.get("menu.no_run")))
    yield Sample("code", _code())
    yield Sample("code.part", handout.part_page(texts, 2, 3))
    yield Sample("activate", activate_flow.warning_page(texts))
    yield Sample("warn", warning.warn_page(texts, texts.get("training.anew")))


@functools.cache
def _code() -> QrCode:
    """As dense as one of a report that the small display still shows."""
    return qr_code("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 12)


def _entry(component: str, results: list[Result]) -> device_pages.Entry:
    return device_pages.Entry(component, "", [(NOW_S, "daily", result) for result in results])


def _listed(texts: Texts, name: str, items: list[str]) -> Page:
    return entry.list_page(texts, name, texts.get(name + ".title"), items, 0)[0]


def _every_device(scene: Scene, texts: Texts) -> Iterator[Page]:
    """With results whose words and numbers are at their longest."""
    terminal = scene.terminal(scene.reason("hardware_fault", "card_reader"))
    settings = scene.settings(terminal)
    items = [f"{texts.get('device.' + kind)}\t{texts.get('outcome.timeout')}" for kind in KINDS if kind in scene.parts] * 2
    for name in ("results", "devices"):
        yield _listed(texts, name, items)
    for cause in CAUSES:
        result = Result("network.path", "network", FAIL, 114, 203, cause.code, measurements={"round_trip_ms": 12345, "lost": 1})
        yield device_pages.result_page(texts, terminal, settings, _entry(cause.component or "network", [result] * 2), 0)
    for phase in all_phases(scene.hal):
        yield device_pages.about_page(texts, phase.id)
    yield device_pages.pin_page(texts, 8, refused=True)
    yield device_pages.wait_page(texts, 3600)
    for refusal in REFUSALS:
        if refusal not in (WAIT, WRONG_PIN):
            yield device_pages.refused_page(texts, refusal)
    yield device_pages.technician_page(texts, Technician("T-00001234", "W" * 10), choices_of(texts, list(TECHNICIAN)))
    for key in ("slip.printing", "code.running", "code.too_large", "menu.no_run"):
        yield device_pages.note_page(texts, texts.get(key))
    yield handout.part_page(texts, 12, 12)


def _network(scene: Scene, texts: Texts) -> Iterator[Sample]:
    # A network of those in range, its password, addresses of its own; then one by its name, with a password that is too short.
    yield from _opened(scene, texts, "3 1 1 1 2 3 4 5 6 7 8 9 enter 2 1 9 2 1 6 8 1 5 0 7 enter enter enter enter")
    by_name = _opened(scene, texts, "3 1 1 4 2 3 enter 2 enter")
    yield from _renamed("by_name", (sample for sample in by_name if sample.name.startswith(("network.name", "network.password"))))
    way = network_pages.way_lines(texts, Result("network.path", "network", FAIL, cause="tls_failed"))
    found = selftest_pages.result_page(texts, [], {}, [Diagnosis("network", cause_named("tls_failed"), Result("", "", FAIL))]).lines
    yield from _named(
        iter(
            (
                network_pages.joining_page(texts, "Shop-2F"),
                network_pages.trial_page(texts, way, found),
                network_pages.checked_page(texts, way, found, False),
                network_pages.ended_page(texts, "Shop-2F", "network.kept"),
                network_pages.ended_page(texts, "Shop-2F", "network.fell_back", False),
                network_pages.ended_page(texts, "Shop-2F", "network.refused", False),
                network_pages.ended_page(texts, "Shop-2F", "network.first"),
                network_pages.not_joined_page(texts, "Shop-2F", "wrong_password"),
            )
        )
    )


def _every_network(scene: Scene, texts: Texts) -> Iterator[Page]:
    name = "W" * 32
    for cause in CAUSES:
        result = Result("network.path", "network", FAIL, cause=cause.code)
        way = network_pages.way_lines(texts, result)
        if way:
            found = selftest_pages.result_page(texts, [], {}, [Diagnosis("network", cause, result)]).lines
            yield network_pages.trial_page(texts, way, found)
            yield network_pages.checked_page(texts, way, found, False)
    for key in ("network.kept", "network.fell_back", "network.refused", "network.first"):
        yield network_pages.ended_page(texts, name, key, key == "network.kept")
    for cause in CAUSES:
        if cause.code in dict(network_pages.LAYERS)["radio"]:
            yield network_pages.not_joined_page(texts, name, cause.code)
    yield network_pages.joining_page(texts, name)


def _shop(scene: Scene, texts: Texts) -> Iterator[Sample]:
    typing = "2 2 2 3 enter 3 1 3 8 help enter"
    choosing = "1 cancel 4 cancel 5 1 3 cancel 6 2 2 2 enter cancel"
    promotion = "7 1 2 5 0 enter 7 enter 1 6 2 2 3 enter cancel cancel 8 1"
    yield from _opened(scene, texts, f"4 {choosing} {typing} {promotion}")
    if "scanner" in scene.parts:
        yield from (sample for sample in _opened(scene, texts, "4 6 1 1") if sample.name == "shop.code.scan")
    terminal = scene.terminal(scene.reason("violation"), mode=SUSPENDED)
    settings = scene.settings(terminal)
    settings.set("other_ways", "cash,code,transfer,other_till" if scene.words is LONG else "cash,code")
    settings.set("other_way_code", "https://pay.example/8" + "W" * 20)
    has_printer = scene.hal.printer is not None
    yield Sample("customer", customer_pages.customer_page(texts, terminal, settings, has_printer))


def _every_shop(scene: Scene, texts: Texts) -> Iterator[Page]:
    for kind in REASON_KINDS:
        terminal = scene.terminal(scene.reason(kind.code), mode=SUSPENDED)
        settings = scene.settings(terminal)
        settings.set("other_ways", "cash,code,transfer,other_till")
        settings.set("other_way_code", "https://pay.example/8")
        yield customer_pages.customer_page(texts, terminal, settings, scene.hal.printer is not None, texts.get("code.too_large"))


def _visitor(scene: Scene, texts: Texts) -> Iterator[Sample]:
    yield from (sample for sample in _opened(scene, texts, "5 1 2") if sample.name not in ("badge",))
    if "scanner" in scene.parts:
        yield from (sample for sample in _opened(scene, texts, "5 2 2") if sample.name == "visitor.code")
    settings = scene.settings(scene.terminal())
    who = Technician("T-0042", scene.words.name, UNTIL_S)
    yield Sample("visitor.good", visitor_flow.good_page(texts, settings, who, False))
    yield Sample("visitor.good.code", visitor_flow.good_page(texts, settings, who, True))
    yield Sample("visitor.refused", visitor_flow.refused_page(texts, settings, "altered"))


def _every_visitor(scene: Scene, texts: Texts) -> Iterator[Page]:
    settings = scene.settings(scene.terminal())
    for refusal in (*REFUSALS, visitor_flow.NO_CODE):
        if refusal not in (WAIT, WRONG_PIN):
            yield visitor_flow.refused_page(texts, settings, refusal)


def _training(scene: Scene, texts: Texts) -> Iterator[Sample]:
    yield from _opened(scene, texts, "6 1 1 2 enter 1 2 5 0 enter 1 1 5 0 0 enter 1 1 1 1 1 1 1 1")
    from firmware_agent.flows.menu.training_flow import training_page

    settings = scene.settings(scene.terminal())
    done = [("12", SINCE_S), ("7", NOW_S), ("123456", 0)]
    yield Sample("training.left", training_page(texts, settings, Progress("12", 2, 1250, 500), done))


def _records(scene: Scene, texts: Texts) -> Iterator[Sample]:
    terminal = scene.terminal()
    _history(terminal)
    yield from _opened(scene, texts, "7 1 9 9 cancel 2 9 cancel 3 9 cancel 4 cancel", terminal)
    yield from (sample for sample in _opened(scene, texts, "7 1") if sample.name == "records.note")


def _transactions(scene: Scene, texts: Texts) -> Iterator[Sample]:
    begun = [Unfinished("000123", 125000, SINCE_S), Unfinished("000124", 800, 0)]
    yield Sample("transactions", transactions_flow.transactions_page(texts, 480, begun))
    yield Sample("transactions.none", transactions_flow.transactions_page(texts, 480, []))
    yield Sample("transactions.ended", transactions_flow.transactions_page(texts, 480, begun[:1], 1))
    yield Sample("transactions.unreadable", transactions_flow.transactions_page(texts, 480, None))
    working = Page("transactions.working", texts.get("transactions.title"), [texts.get("transactions.working")])
    yield Sample("transactions.working", working)


def _reminders(scene: Scene, texts: Texts) -> Iterator[Sample]:
    yield from _opened(scene, texts, "9 1 2 0 2 7 0 2 0 1 enter 7 2 9 0 enter")
    terminal = scene.terminal()
    settings = scene.settings(terminal)
    day = NOW_S // 86400
    for variant, reminder in (
        ("ahead", Reminder("licence", "", day + 7, day)),
        ("today", Reminder("contract", "", day, day)),
        ("overdue", Reminder(CERTIFICATE, "", day - 9, day)),
        ("maintenance", Reminder(MAINTENANCE, "", day + 3, day)),
        ("firmware", Reminder(FIRMWARE, "0.2.0", day + 7, day)),
        ("device", Reminder(DEVICE + "printer", "paper_near_end", day, day)),
    ):
        yield Sample("reminder." + variant, reminder_pages.reminder_page(texts, terminal, settings, reminder, 2))


def _every_reminder(scene: Scene, texts: Texts) -> Iterator[Page]:
    terminal = scene.terminal()
    settings = scene.settings(terminal)
    day = NOW_S // 86400
    for name in (*PAPERS, CERTIFICATE, MAINTENANCE):
        for left in (30, 0, -365):
            yield reminder_pages.reminder_page(texts, terminal, settings, Reminder(name, "", day + left, day), 9)
    yield reminder_pages.reminder_page(texts, terminal, settings, Reminder(FIRMWARE, "10.10.10-rc10", day - 365, day), 9)
    for cause in CAUSES:
        yield reminder_pages.reminder_page(texts, terminal, settings, Reminder(DEVICE + "secure_element", cause.code, day, day), 9)


def _update(scene: Scene, texts: Texts) -> Iterator[Sample]:
    terminal = scene.terminal()
    settings = scene.settings(terminal)
    yield Sample("program", update_flow.program_page(texts, terminal, settings))
    settings.set("firmware_required", "9.0.0")
    settings.set("firmware_due", "2026-12-01")
    spare, terminal.hal.spare = terminal.hal.spare, SimpleNamespace(root="slot_a")  # type: ignore[assignment]
    yield Sample("program.required", update_flow.program_page(texts, terminal, settings))
    terminal.hal.spare = spare
    yield Sample("update_judged", update_flow.judging_page(texts))
    yield Sample("update_ready", update_flow.ready_page(texts, "0.2.0"))
    yield Sample("update_trial", update_flow.trial_page(texts))
    yield Sample("update_refused", update_flow.refused_page(texts, settings, "manifest_wrong"))


def _every_update(scene: Scene, texts: Texts) -> Iterator[Page]:
    settings = scene.settings(scene.terminal())
    for code in UPDATE_REFUSALS:
        yield update_flow.refused_page(texts, settings, code)


AREAS = (
    _status,
    _recovery,
    _self_test,
    _activation,
    _devices,
    _network,
    _shop,
    _visitor,
    _training,
    _records,
    _transactions,
    _reminders,
    _update,
)
ALL_OF = (
    _every_status,
    _every_recovery,
    _every_self_test,
    _every_activation,
    _every_device,
    _every_network,
    _every_shop,
    _every_visitor,
    _every_reminder,
    _every_update,
)
