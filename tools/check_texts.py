"""Checks the terminal's texts: both languages whole, used, drawable, and not too long for the screen of any board.

    python tools/check_texts.py [--scrolled]

Prints one line for each defect, and exits with 1 if there is any. --scrolled: lists what is no defect, but worth a look: the pages that
a small display shows in more than LONG_WINDOWS windows, the longest first.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.application.materials import MATERIALS  # noqa: E402
from firmware_agent.application.review import DECISIONS  # noqa: E402
from firmware_agent.boot.update import REFUSALS as UPDATE_REFUSALS  # noqa: E402
from firmware_agent.flows.menu.network_pages import LAYERS  # noqa: E402
from firmware_agent.flows.recovery.application_flow import STATEMENTS  # noqa: E402
from firmware_agent.flows.reminder_pages import AT_DEVICES  # noqa: E402
from firmware_agent.identity.activation import FAILURES  # noqa: E402
from firmware_agent.identity.activation import REFUSALS as ACTIVATION_REFUSALS  # noqa: E402
from firmware_agent.identity.technician import REFUSALS, WAIT, WRONG_PIN  # noqa: E402
from firmware_agent.messages.schema import NOTICES  # noqa: E402
from firmware_agent.payment.limits import NAMES as LIMITS  # noqa: E402
from firmware_agent.prevention.probation import ANOMALIES  # noqa: E402
from firmware_agent.prevention.reminders import CERTIFICATE, FIRMWARE, MAINTENANCE, PAPERS  # noqa: E402
from firmware_agent.prevention.training import OPERATIONS  # noqa: E402
from firmware_agent.records.audit_report import COUNTED, SIGNED_ON  # noqa: E402
from firmware_agent.records.timeline import MOMENTS  # noqa: E402
from firmware_agent.screens.font import Font  # noqa: E402
from firmware_agent.screens.page import Page  # noqa: E402
from firmware_agent.screens.page_view import MARGIN_PX, lay_out  # noqa: E402
from firmware_agent.selftest.diagnosis import ACQUIRER, CAUSES, CLERK, COMPONENTS, PROVIDER, TECHNICIAN  # noqa: E402
from firmware_agent.selftest.examination import PAGES  # noqa: E402
from firmware_agent.selftest.phases import OUTCOMES  # noqa: E402
from firmware_agent.selftest.plans import PLANS, phase_ids  # noqa: E402
from firmware_agent.settings import STATIC  # noqa: E402
from firmware_agent.shop import MERCHANT_KINDS, SENTENCES, WAYS  # noqa: E402
from firmware_agent.state.machine import (  # noqa: E402
    FUNCTION_TESTS,
    LEVELS,
    REVIEW_STATUSES,
    STEPS,
)
from firmware_agent.state.reasons import REASON_KINDS  # noqa: E402
from firmware_agent.store import FULL, NOT_WRITABLE  # noqa: E402
from firmware_agent.texts import LANGUAGES, Texts, load  # noqa: E402
from hal.hal import KINDS  # noqa: E402
from tools.sample_pages import fullest_pages, usual_pages, windows_of  # noqa: E402
from tools.sample_terminal import Scene, WholeFont, boards_with_display  # noqa: E402
from tools.texts import disorder  # noqa: E402
from tools.texts import table as texts_of  # noqa: E402

TABLES = {language: texts_of(language) for language in LANGUAGES}
WIDTH_PX, HEIGHT_PX = 320, 240  # a display that shows each page at once
MOST_ROWS = 3  # there, of one text in the body of a page, so that others have room
LARGE_PX = 200  # a display that is less high scrolls the longer pages ...
MOST_WINDOWS = 12  # ... through as many windows, which is as often as a person presses a key for what is a message
READ_THROUGH = ("confirm_form",)  # pages that a person signs: each word stands there, and he reads as far as it goes
LONG_WINDOWS = 6  # what stands more than five presses away is read by who looks for it
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
        *(f"check.choice.{key}" for key in "12345"),
        *(f"application.choice.{key}" for key in "1234"),
        "review.choice.1",
        "review.wait",
    ),
    "check.": tuple(kind.code for kind in REASON_KINDS if kind.check),
    "material.": tuple(str(number) for number in MATERIALS),
    "level.": tuple(str(level) for level in LEVELS),
    "level.choice.": tuple(str(level) for level in LEVELS),
    "statement.": tuple(f"{code}.{number + 1}" for code, count in STATEMENTS.items() for number in range(count)),
    "answer.": DECISIONS,
    "mends.": (CLERK, TECHNICIAN, PROVIDER, ACQUIRER),
    "plan.": PLANS,
    "phase.": tuple(id + part for id, _ in phase_ids().values() for part in ("", ".purpose", ".steps", ".verify")),
    "refused.": tuple(refusal for refusal in REFUSALS if refusal not in (WAIT, WRONG_PIN)),
    "network.layer.": tuple(name for name, _ in LAYERS),
    "network.signal.": ("strong", "fair", "weak"),
    "network.trial.choice.": tuple("1234"),
    "network.": tuple(name + ".title" for name in STATIC),
    "notice.about_": NOTICES,
    "limit.": LIMITS,
    "maintenance.in_": ("days", "hours", "minutes"),
    "reminder.name.": (*PAPERS, MAINTENANCE, CERTIFICATE, FIRMWARE),
    "reminder.do.": (*PAPERS, CERTIFICATE),
    "maintained.do.": AT_DEVICES,
    "update.refused.": UPDATE_REFUSALS,
    "warning.storage_": (FULL, NOT_WRITABLE),
    "activation.failed.": (*FAILURES, *ACTIVATION_REFUSALS),
    "records.choice.": tuple("1234"),
    "restored.choice.": tuple("123"),
    "moment.": MOMENTS,
    "advice.": tuple(kind.code for kind in REASON_KINDS),
    "customer.because_": ("maintenance", "technical", "network", "testing", "unavailable"),
    "way.": WAYS,
    "promotion.": tuple(SENTENCES),
    "language.": LANGUAGES,
    "merchant.": MERCHANT_KINDS,
    "shop.promotion.choice.": tuple("123"),
    "practice.": (*OPERATIONS, *(operation + ".title" for operation in OPERATIONS)),
    "probation.": ANOMALIES,
    "audit.count.": tuple(what for what in COUNTED if what != SIGNED_ON),
    # What has no words here stands on the page as its own word.
    **{
        prefix: tuple(key.removeprefix(prefix) for key in TABLES["en"] if key.startswith(prefix))
        for prefix in ("op.did.", "op.order.", "op.message.", "op.event.", "op.detail.")
    },
}

# Texts that are written and that no page shows yet. A text leaves this list with the code that shows it.
NOT_YET_SHOWN: frozenset[str] = frozenset()

# The longest value that is likely for each placeholder; one of another name is a defect until it has its line here.
LONGEST = {
    "folder": "slot_a",
    "first": "100000",
    "second": "100000",
    "ways": "cash, QR code, bank transfer, card at another till",
    "tests": "print, scan, pay, keypad, display",
    "operation": "settlement",
    "running": "10.10.10",
    "date": "2026-11-20",
    "address": "255.255.255.255",
    "answer": "yes",
    "amount": "123456.00",
    "limit": "Changes of settlement card",
    "percent": "120",
    "reference": "acq1/T0000001/1234",
    "case": "CASE-2026-00001234",
    "keys": "cancel clear enter help down",
    "characters": "[space]+-.():/",
    "mark": "√",
    "materials": "W" * 60,
    "code": "S9 regulation_change",
    "count": "10",
    "contact": "+86 138-1234-5678",
    "detail": "W" * 40,
    "done": "10",
    "error": "EPTR_COVER_OPEN",
    "form": "JUnit XML",
    "hardware": "240ac4000001",
    "hours": "1000",
    "layers": "network, address, host name, host, encryption, broker",
    "line": "+86 400-123-4567",
    "measure": "round_trip_ms",
    "minutes": "59",
    "name": "W" * 32,
    "number": "1234",
    "page": "6. Waiting for the acquirer",
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
    "what": "reminder.name.",
    "about": "notice.about_",
    "level": "level.",
    "material": "material.",
    "sentence": "statement.",
    "cause": "cause.",
    "device": "device.",
    "layer": "network.layer.",
    "link": "link.",
    "outcome": "outcome.",
    "phase": "phase.",
    "plan": "plan.",
    "reason": "reason.",
    "signal": "network.signal.",
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
    if page.name not in READ_THROUGH and windows_of(page, width_px, height_px, font) > (1 if is_large else MOST_WINDOWS):
        yield f"{page.name}: {len(rows)} rows on a display of {count}"


def longest_values(table: Mapping[str, str]) -> dict[str, str]:
    """Placeholder -> the longest that may stand there in this language."""
    values = dict(LONGEST)
    for name, prefix in LONGEST_TEXT.items():
        texts = [table[prefix + rest] for rest in COMPUTED.get(prefix, ("online", "offline")) if prefix + rest in table]
        values[name] = max(texts, key=len, default="")
    return values


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


def defects() -> list[str]:
    """All defects of the tree, each once."""
    font = WholeFont()
    folder = ROOT / "firmware_agent"
    sources = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.py")
        if folder / "texts" not in path.parents
    }
    found = [defect for language in LANGUAGES for defect in disorder(language)]
    found += [*language_defects(TABLES), *use_defects(TABLES["en"], sources), *glyph_defects(TABLES, font), *size_defects(TABLES, font)]
    scenes = [Scene(board) for board in boards_with_display()]
    found += [defect for scene in scenes for defect in word_defects(TABLES, font, scene.width_px)]
    if not found:  # pages can be built only from texts that are whole
        for scene in scenes:
            for language in LANGUAGES:
                texts = load(language)
                pages = [sample.shown for sample in usual_pages(scene, texts) if isinstance(sample.shown, Page)]
                pages += fullest_pages(scene, texts)
                misfitting = page_defects(pages, font, scene.width_px, scene.height_px)
                unseen = waiting_defects(texts, scene.parts, font, scene.width_px, scene.height_px)
                found += [f"{language}: {defect}" for defect in (*misfitting, *unseen)]
    font.close()
    return sorted(set(found))


def long_pages() -> list[str]:
    """One line for each page that is scrolled through more than LONG_WINDOWS windows, with as much on it as there may be."""
    font = WholeFont()
    found: dict[tuple[str, str, str], int] = {}
    for board in boards_with_display():
        scene = Scene(board)
        for language in LANGUAGES:
            for page in fullest_pages(scene, load(language)):
                place = (page.name, board, language)
                found[place] = max(found.get(place, 0), windows_of(page, scene.width_px, scene.height_px, font))
    font.close()
    by_length = sorted((-windows, *place) for place, windows in found.items() if windows > LONG_WINDOWS)
    return [f"{-windows:3} windows: {name} on {board}, {language}" for windows, name, board, language in by_length]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check the texts of the terminal, and how its pages fit the displays.")
    parser.add_argument("--scrolled", action="store_true", help="list the pages that take many windows of a small display")
    if parser.parse_args(arguments).scrolled:
        print("\n".join(long_pages()))
        return 0
    found = defects()
    for defect in found:
        print(defect, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
