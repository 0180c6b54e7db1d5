"""Writes docs/menu-tree.txt: what a person can open at the terminal, key by key, in both languages, and what each entry needs.

python tools/build_menu_tree.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.flows.menu import menu  # noqa: E402
from firmware_agent.texts import Texts, load  # noqa: E402

DOCUMENT = ROOT / "docs" / "menu-tree.txt"
HEAD = """The menu, key by key. Written by tools/build_menu_tree.py from firmware_agent/flows/menu/menu.py.

The help key opens it on the page of each mode: in service, suspended, recovering, commissioning, out of order.
An entry that lacks what it needs is not there. The cancel key goes back.
"""
NEEDS = {
    "network": "a network device",
    "printer": "a printer",
    "display": "a display",
    menu.SIGN_ON: "a PIN that is set, or a card reader",
    menu.SIGNED_ON: "a technician who is signed on",
    menu.TRUSTED: "not out of order",
    menu.FACTORY: "what the factory has put in",
    menu.TESTED: "a self-test's report",
    menu.FAILED: "something that did not pass its last test",
    menu.CONFIRMABLE: "a badge, a tamper that stands, and a full test since that found no trace of it any more",
}


def document() -> str:
    languages = [load("zh-CN"), load("en")]
    lines = [HEAD]
    for entry in menu.MENU:
        lines.extend(_lines(entry, languages, ""))
        if entry.key == "2":
            for further in menu.TECHNICIAN:
                lines.extend(_lines(further, languages, "    "))
    return "\n".join(lines) + "\n"


def _lines(entry: menu.Entry, languages: list[Texts], indent: str) -> Iterator[str]:
    yield f"{indent}{entry.key}  {' / '.join(texts.get(entry.text) for texts in languages)}"
    needs = [NEEDS[need] for need in entry.needs if need != menu.SIGNED_ON or not indent]
    if needs:
        yield f"{indent}     needs: {'; '.join(needs)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the document is current")
    arguments = parser.parse_args()
    text = document()
    if arguments.check:
        if not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != text:
            print(f"{DOCUMENT} is not current: run python tools/build_menu_tree.py", file=sys.stderr)
            return 1
        return 0
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
