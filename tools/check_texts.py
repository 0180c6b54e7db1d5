"""Checks the terminal's texts: both languages whole, used, drawable, and not too long for the screen of any board.

    python tools/check_texts.py

Prints one line for each defect, and exits with 1 if there is any.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.boot_guard import CAUSE_BOOT_LOOP, CAUSE_BROWNOUT  # noqa: E402
from firmware_agent.flows import activation_flow, device_pages  # noqa: E402
from firmware_agent.flows.function_test_flow import tests_due_page  # noqa: E402
from firmware_agent.flows.notice_pages import notice_page  # noqa: E402
from firmware_agent.flows.recovery_flow import recovery_page  # noqa: E402
from firmware_agent.flows.safe_mode_pages import safe_mode_page  # noqa: E402
from firmware_agent.flows.selftest_pages import degraded_page, progress_page, result_page  # noqa: E402
from firmware_agent.flows.status_pages import idle_page, not_done_page, out_of_order_page, restored_page, suspended_page  # noqa: E402
from firmware_agent.identity.activation import CODE_DIGITS, FAILURES  # noqa: E402
from firmware_agent.identity.activation import REFUSALS as ACTIVATION_REFUSALS  # noqa: E402
from firmware_agent.identity.technician import REFUSALS, WAIT, WRONG_PIN, Technician  # noqa: E402
from firmware_agent.links.link import CAUSE_DATE  # noqa: E402
from firmware_agent.messages.schema import MAX_NOTICE, NOTICES  # noqa: E402
from firmware_agent.notices import ABOUT_MAINTENANCE, BY_NOTICE, BY_ORDER, MAX_NOTICES, Notice  # noqa: E402
from firmware_agent.screens.font import Font  # noqa: E402
from firmware_agent.screens.page import Page  # noqa: E402
from firmware_agent.screens.page_view import MARGIN_PX, lay_out  # noqa: E402
from firmware_agent.selftest.diagnosis import ACQUIRER, CAUSES, CLERK, COMPONENTS, PROVIDER, TECHNICIAN, Diagnosis  # noqa: E402
from firmware_agent.selftest.examination import PAGES  # noqa: E402
from firmware_agent.selftest.phases import FAIL, OUTCOMES, Result  # noqa: E402
from firmware_agent.selftest.plans import PLANS, phase_ids  # noqa: E402
from firmware_agent.state.machine import (  # noqa: E402
    FUNCTION_TESTS,
    PROBATION,
    REVIEW_MORE_NEEDED,
    REVIEW_REJECTED,
    REVIEW_STATUSES,
    STEPS,
    State,
)
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, REASON_KINDS, Reason  # noqa: E402
from firmware_agent.store import FULL, NOT_WRITABLE  # noqa: E402
from firmware_agent.texts import LANGUAGES, Texts, load  # noqa: E402
from firmware_agent.texts.en import TEXTS as ENGLISH  # noqa: E402
from firmware_agent.texts.zh_cn import TEXTS as CHINESE  # noqa: E402
from hal.clock import TRUST_NONE  # noqa: E402
from hal.hal import KINDS  # noqa: E402
from host_sim.boards import board_folders  # noqa: E402

TABLES: dict[str, dict[str, str]] = {"en": ENGLISH, "zh-CN": CHINESE}
WIDTH_PX, HEIGHT_PX = 320, 240  # a display that shows each page at once
MOST_ROWS = 3  # there, of one text in the body of a page, so that others have room
LARGE_PX = 200  # a display that is less high scrolls the longer pages ...
MOST_WINDOWS = 12  # ... through as many windows, which is as often as a person presses a key for what is a message
MOST_ROWS_SCROLLED = 3  # there, of a title or a choice

# Keys that the code puts together: what stands before, and what may follow.
COMPUTED: dict[str, tuple[str, ...]] = {
    "reason.": tuple(kind.code for kind in REASON_KINDS),
    "todo.": tuple(kind.code for kind in REASON_KINDS),
    "device.": (*KINDS, *COMPONENTS),
    "cause.": tuple(cause.code for cause in CAUSES),
    "next.": tuple(sorted({cause.step for cause in CAUSES})),
    "exam.": (
        *PAGES,
        *(page + ".title" for page in PAGES),
        *(f"{page}.choice.{number}" for page in PAGES for number in range(1, PAGES[page] + 1)),
    ),
    "outcome.": (*OUTCOMES, "running", "not_run"),
    "review.": REVIEW_STATUSES,
    "test.": FUNCTION_TESTS,
    "recovery.": (
        *(step + ".title" for step in STEPS),
        "reason.choice.1",
        "contact.choice.1",
        "application.choice.1",
        "application.choice.2",
    ),
    "recovery.review.": (REVIEW_REJECTED, REVIEW_MORE_NEEDED),
    "mends.": (CLERK, TECHNICIAN, PROVIDER, ACQUIRER),
    "plan.": PLANS,
    "phase.": tuple(id + part for id, _ in phase_ids().values() for part in ("", ".purpose", ".steps", ".verify")),
    "refused.": tuple(refusal for refusal in REFUSALS if refusal not in (WAIT, WRONG_PIN)),
    "technician.choice.": tuple("123456789"),
    "notice.about_": NOTICES,
    "maintenance.in_": ("days", "hours", "minutes"),
    "warning.storage_": (FULL, NOT_WRITABLE),
    "activation.failed.": (*FAILURES, *ACTIVATION_REFUSALS),
}

# Texts that are written and that no page shows yet. A text leaves this list with the code that shows it.
NOT_YET_SHOWN: frozenset[str] = frozenset()

# The longest value that is likely for each placeholder; one of another name is a defect until it has its line here.
LONGEST = {
    "answer": "yes",
    "case": "CASE-2026-00001234",
    "keys": "cancel clear enter help down",
    "code": "S9 regulation_change",
    "count": "10",
    "contact": "+86 138-1234-5678",
    "detail": "W" * 40,
    "error": "EPTR_COVER_OPEN",
    "form": "JUnit XML",
    "hardware": "240ac4000001",
    "line": "+86 400-123-4567",
    "measure": "round_trip_ms",
    "number": "1234",
    "remark": "W" * 60,
    "since": "2026-11-20 09:00",
    "terminal": "12345678",
    "time": "2026-11-20 09:00",
    "until": "2026-11-20 09:00",
    "values": "-60 -62 -61 -64 -70",
    "version": "10.10.10-rc10",
    "wait": "59:59",
}
LONGEST_TEXT = {
    "about": "notice.about_",
    "cause": "cause.",
    "device": "device.",
    "link": "link.",
    "outcome": "outcome.",
    "phase": "phase.",
    "plan": "plan.",
    "reason": "reason.",
    "status": "review.",
    "step": "next.",
    "test": "test.",
    "text": "phase.",
    "who": "mends.",
}

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def language_defects(tables: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Keys that one language lacks, placeholders that differ, and a '%' that is neither a placeholder nor '%%'."""
    for key in sorted(set().union(*tables.values())):
        having = [language for language in tables if key in tables[language]]
        for language in tables:
            if language not in having:
                yield f"{key}: missing in {language}"
        wanted = placeholders(tables[having[0]][key])
        for language in having:
            text = tables[language][key]
            if placeholders(text) != wanted:
                yield f"{key}: {language} has the placeholders {sorted(placeholders(text))}, {having[0]} has {sorted(wanted)}"
            if "%" in PLACEHOLDER.sub("", text).replace("%%", ""):
                yield f"{key}: stray % in {language}"


def placeholders(text: str) -> set[str]:
    return set(PLACEHOLDER.findall(text))


def use_defects(
    table: Mapping[str, str],
    sources: Mapping[str, str],
    computed: Mapping[str, tuple[str, ...]] = COMPUTED,
    not_yet_shown: frozenset[str] = NOT_YET_SHOWN,
) -> Iterator[str]:
    """Keys that no source uses, uses of keys that do not exist, and values that do not match the placeholders.

    `sources`: file name -> Python source. A key counts as used where it stands as a literal, or follows from a prefix in `computed`.
    """
    literals: set[str] = set()
    for name, source in sorted(sources.items()):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                literals.add(node.value)
            elif isinstance(node, ast.Call):
                yield from _call_defects(table, computed, name, node)
    used = literals | {prefix + rest for prefix, rests in computed.items() if prefix in literals for rest in rests}
    for prefix, rests in computed.items():
        for rest in rests:
            if prefix + rest not in table:
                yield f"{prefix + rest}: put together in the code, and there is no such text"
    for key in sorted(table):
        if key not in used and key not in not_yet_shown:
            yield f"{key}: unused"
    for key in sorted(not_yet_shown):
        if key not in table or key in used:
            yield f"{key}: listed as not yet shown, but it is {'used' if key in table else 'no text'}"


def _call_defects(table: Mapping[str, str], computed: Mapping[str, Any], name: str, call: ast.Call) -> Iterator[str]:
    """Of one call: `texts.get(key, value=...)` on anything named texts."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and function.attr == "get" and call.args):
        return
    owner = function.value
    if (owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else "").lstrip("_") != "texts":
        return
    where = f"{name}:{call.lineno}"
    key = call.args[0]
    if isinstance(key, ast.BinOp) and isinstance(key.left, ast.Constant) and key.left.value not in computed:
        yield f"{where}: the prefix {key.left.value!r} is not declared in COMPUTED"
    given = {keyword.arg for keyword in call.keywords}
    for choice in (key.body, key.orelse) if isinstance(key, ast.IfExp) else (key,):
        if not (isinstance(choice, ast.Constant) and isinstance(choice.value, str)):
            continue
        if choice.value not in table:
            yield f"{where}: no text {choice.value!r}"
        elif placeholders(table[choice.value]) != given:
            yield f"{where}: {choice.value} needs the values {sorted(placeholders(table[choice.value]))}"


def glyph_defects(tables: Mapping[str, Mapping[str, str]], font: Font) -> Iterator[str]:
    """Characters that would be drawn as a box."""
    for language, table in tables.items():
        for key, text in table.items():
            boxes = sorted({character for character in text if character not in "\t\n" and not font.has(character)})
            if boxes:
                yield f"{key}: no glyph in {language} for {' '.join(boxes)}"


def size_defects(tables: Mapping[str, Mapping[str, str]], font: Font) -> Iterator[str]:
    """Texts that do not fit alone: titles, choices and hints on one row, any other text on MOST_ROWS."""
    for language, table in tables.items():
        for key, text in table.items():
            unknown = placeholders(text) - set(LONGEST) - set(LONGEST_TEXT)
            if unknown:
                yield f"{key}: no longest value is known for {sorted(unknown)}"
                continue
            shown = text % longest_values(table)
            if key.endswith(".title"):
                page = Page(key, shown)
            elif ".choice." in key:
                page = Page(key, "", choices=[(key.rsplit(".", 1)[1], shown)])
            elif key.startswith("hint."):
                page = Page(key, "", footer=shown)
            else:
                rows = len(font.wrap(shown, WIDTH_PX - 2 * MARGIN_PX))
                if rows > MOST_ROWS:
                    yield f"{language}: {key}: {rows} rows, {MOST_ROWS} are meant for one text"
                continue
            yield from (f"{language}: {problem}" for problem in misfits(page, WIDTH_PX, HEIGHT_PX, font))


def word_defects(tables: Mapping[str, Mapping[str, str]], font: Font, width_px: int) -> Iterator[str]:
    """Words that a display of that width breaks in two; those of a slip are on paper."""
    for language, table in tables.items():
        for key, text in table.items():
            for word in PLACEHOLDER.sub(" ", text).split():
                if len(font.wrap(word, width_px - 2 * MARGIN_PX)) > 1 and word.isascii() and not key.startswith("slip."):
                    yield f"{language}: {key}: {word!r} is wider than a display of {width_px} px"


def misfits(page: Page, width_px: int, height_px: int, font: Font) -> Iterator[str]:
    """What of `page` a display of that size does not show well, one sentence each. A large one shows a page at once, with its title,
    choices and footer on a row each. A small one wraps and scrolls them, within limits.
    """
    is_large = height_px >= LARGE_PX
    row_px, rows = lay_out(page, width_px, height_px, font)
    count = height_px // row_px
    named = [("title", page.title), *((f"choice {key}", f"{key} {label}") for key, label in page.choices)]
    if is_large:
        named.append(("footer", page.footer))
    for what, text in named:
        taken = len(font.wrap(text, width_px - 2 * MARGIN_PX))
        if taken > (1 if is_large else MOST_ROWS_SCROLLED):
            yield f"{page.name}: {what} is {taken} rows long at {width_px} px: {text}"
    windows = 1 + max(0, -(-(len(rows) - count) // (count - 1)))
    if windows > (1 if is_large else MOST_WINDOWS):
        yield f"{page.name}: {len(rows)} rows on a display of {count}"


def longest_values(table: Mapping[str, str]) -> dict[str, str]:
    """Placeholder -> the longest that may stand there in this language."""
    values = dict(LONGEST)
    for name, prefix in LONGEST_TEXT.items():
        texts = [table[prefix + rest] for rest in COMPUTED.get(prefix, ("online", "offline")) if prefix + rest in table]
        values[name] = max(texts, key=len, default="")
    return values


def fullest_pages(texts: Texts) -> Iterator[Page]:
    """Every page of the flows, with all that may stand on it."""
    settings: Any = SimpleNamespace(utc_offset_min=480, get=lambda name: LONGEST["line"])
    plan: list[Any] = [SimpleNamespace(id=kind, kind=kind) for kind in KINDS]
    results: dict[str, Any] = {kind: SimpleNamespace(outcome="timeout") for kind in KINDS}
    yield progress_page(texts, plan, results)
    yield result_page(texts, plan, results, [])
    for cause in CAUSES:
        diagnosis = Diagnosis(cause.component or "secure_element", cause, Result("", "", FAIL, cause=cause.code))
        yield result_page(texts, plan, results, [diagnosis] * 3)
    yield degraded_page(texts, "warning.storage", plan, results)
    yield degraded_page(texts, "warning.not_provisioned", plan, results)
    yield degraded_page(texts, "warning.replaced", plan, results)
    for note in ("", "warning.replaced", *("activation.failed." + code for code in COMPUTED["activation.failed."])):
        yield activation_flow.code_page(texts, "8" * CODE_DIGITS, LONGEST["hardware"], note)
    yield activation_flow.asking_page(texts)
    yield activation_flow.done_page(texts, LONGEST["terminal"])
    yield activation_flow.wait_page(texts, 3600)
    yield restored_page(texts)
    yield not_done_page(texts)
    for by in (BY_ORDER, BY_NOTICE):
        page = notice_page(texts, _terminal("maintenance", ACTOR_HOST), settings, [_notice(by)] * MAX_NOTICES)
        yield _footed(page, texts.get("hint.choose_or_menu"))
    for cause in (CAUSE_BOOT_LOOP, CAUSE_BROWNOUT):
        guard: Any = SimpleNamespace(cause=cause, crashes=10, power_losses=10, link_failed=True, last_crash=LONGEST["detail"])
        yield safe_mode_page(texts, guard, [])  # with results it is a technician's, who may scroll
    yield from _device_pages(texts, settings)
    for kind in REASON_KINDS:
        terminal = _terminal(kind.code, ACTOR_POI if kind.found_by_terminal else ACTOR_HOST)
        yield _footed(idle_page(texts, terminal, settings), texts.get("hint.menu"))
        yield _footed(suspended_page(texts, terminal, settings), texts.get("hint.choose_or_menu"))
        yield _footed(out_of_order_page(texts, terminal, settings), texts.get("hint.menu"))
        yield tests_due_page(texts, terminal)
        for review in REVIEW_STATUSES:
            terminal.state.review = review
            for step in STEPS:
                terminal.state.step = step
                yield recovery_page(texts, terminal, settings)


def _footed(page: Page, footer: str) -> Page:
    page.footer = footer
    return page


def _device_pages(texts: Texts, settings: Any) -> Iterator[Page]:
    """The device menu's, with results whose words and numbers are at their longest."""
    now = 1_800_000_000
    terminal = _terminal("hardware_fault", ACTOR_POI)
    terminal.store = SimpleNamespace(get=lambda key: None)
    run: Any = SimpleNamespace(plan="reactivation", at=now)
    yield device_pages.menu_page(texts, terminal, settings, run, may_sign_on=True)
    items = [f"{texts.get('device.' + kind)}\t{texts.get('outcome.timeout')}" for kind in (*KINDS, *COMPONENTS)]
    for name in ("results", "devices"):
        yield device_pages.list_page(texts, name, texts.get(name + ".title"), items, 0)[0]
    for cause in CAUSES:
        result = Result("network.path", "network", FAIL, 114, 203, cause.code, measurements={"round_trip_ms": 12345, "lost": 1})
        entry = device_pages.Entry(cause.component or "network", "", [(now, "daily", result)] * 2)
        yield device_pages.result_page(texts, terminal, settings, entry, 0)
    for id, _ in phase_ids().values():
        yield device_pages.about_page(texts, id)
    yield device_pages.sign_on_page(texts)
    yield device_pages.pin_page(texts, 8, refused=True)
    yield device_pages.wait_page(texts, 3600)
    yield device_pages.badge_page(texts)
    for refusal in COMPUTED["refused."]:
        yield device_pages.refused_page(texts, refusal)
    yield device_pages.technician_page(texts, Technician("T-00001234", "W" * 10), list("123456789"))
    yield device_pages.export_page(texts, "JUnit XML")
    yield device_pages.confirm_page(texts)
    for key in ("slip.printing", "code.running", "code.too_large", "menu.no_run"):
        yield device_pages.note_page(texts, texts.get(key))


def _terminal(code: str, actor: str) -> Any:
    """What the pages look at, with every value at its longest."""
    state = State()
    state.mode = PROBATION
    state.probation_until = 1_800_000_000
    reason = Reason(code, actor, 1_800_000_000, 1_800_000_000, "card_reader" if actor == ACTOR_POI else "", LONGEST["case"])
    state.reasons = (reason, Reason("operator_error", ACTOR_HOST))
    state.remark = LONGEST["remark"]
    state.application = 1234
    return SimpleNamespace(
        identity=SimpleNamespace(terminal=LONGEST["terminal"], sealing_key=bytes(64)),
        online=False,
        link_cause=CAUSE_DATE,
        storage_refusal=NOT_WRITABLE,
        state=state,
        notices=SimpleNamespace(window=lambda: _notice(BY_ORDER), text=lambda notice: notice.text),
        hal=SimpleNamespace(clock=SimpleNamespace(trust=TRUST_NONE)),
    )


def _notice(by: str) -> Notice:
    return Notice("", by, 1234, ABOUT_MAINTENANCE, 1_800_000_000, 1_800_000_000, text="W " * (MAX_NOTICE // 2))


def page_defects(pages: Iterable[Page], font: Font, width_px: int, height_px: int) -> Iterator[str]:
    """What does not fit a display of that size."""
    for page in pages:
        yield from misfits(page, width_px, height_px, font)


def waiting_defects(texts: Texts, kinds: Iterable[str], font: Font, width_px: int, height_px: int) -> Iterator[str]:
    """Pages of the examination of these devices that only say what to do: nobody scrolls them, so they have to be seen at once."""
    for name in PAGES:
        if PAGES[name] == 0 and name.split(".")[0] in kinds:
            page = Page("exam." + name, texts.get(f"exam.{name}.title"), [texts.get(f"exam.{name}", keys="1 2 4")])
            row_px, rows = lay_out(page, width_px, height_px, font)
            if len(rows) > height_px // row_px:
                yield f"{page.name}: {len(rows)} rows on a display of {height_px // row_px}, and it does not scroll"


def boards() -> list[dict[str, Any]]:
    """The parts of each board that has a display."""
    parts = [json.loads((folder / "board.json").read_text(encoding="utf-8"))["parts"] for folder in board_folders().values()]
    return [board for board in parts if "display" in board]


def defects() -> list[str]:
    """All defects of the tree, each once."""
    font = Font()
    folder = ROOT / "firmware_agent"
    sources = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.py")
        if folder / "texts" not in path.parents
    }
    found = [*language_defects(TABLES), *use_defects(ENGLISH, sources), *glyph_defects(TABLES, font), *size_defects(TABLES, font)]
    screens = [(board, board["display"]["width_px"], board["display"]["height_px"]) for board in boards()]
    found += [defect for _, width_px, _ in screens for defect in word_defects(TABLES, font, width_px)]
    if not found:  # pages can be built only from texts that are whole
        for language in LANGUAGES:
            texts = load(language)
            for board, width_px, height_px in screens:
                misfitting = page_defects(fullest_pages(texts), font, width_px, height_px)
                unseen = waiting_defects(texts, board, font, width_px, height_px)
                found += [f"{language}: {defect}" for defect in (*misfitting, *unseen)]
    font.close()
    return sorted(set(found))


def main() -> int:
    found = defects()
    for defect in found:
        print(defect, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
