"""The texts of a language as a table, for what looks at all of them; and `python tools/texts.py`: puts the lines of each file in order."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.texts import LANGUAGES, SUFFIX  # noqa: E402

FOLDER = ROOT / "firmware_agent" / "texts"


def table(language: str) -> dict[str, str]:
    """Key -> text. Raises ValueError for a line without a tab."""
    texts = {}
    for line in (FOLDER / (language + SUFFIX)).read_text(encoding="utf-8").splitlines():
        if "\t" not in line:
            raise ValueError(f"{language}{SUFFIX}: no tab in {line!r}")
        key, text = line.split("\t", 1)
        texts[key] = text.replace("\\n", "\n")
    return texts


def disorder(language: str) -> list[str]:
    """What keeps the terminal from finding a text: lines that are not in order, or there twice."""
    lines = (FOLDER / (language + SUFFIX)).read_bytes().splitlines()
    found = []
    for before, line in zip(lines, lines[1:], strict=False):
        if _key(before) == _key(line):
            found.append(f"{language}: {_key(line).decode()} is there twice")
        elif before > line:
            found.append(f"{language}: {_key(line).decode()} is not in its place: python tools/texts.py")
    return found


def _key(line: bytes) -> bytes:
    return line.split(b"\t")[0]


def put_in_order(language: str) -> None:
    path = FOLDER / (language + SUFFIX)
    path.write_bytes(b"".join(line + b"\n" for line in sorted(path.read_bytes().splitlines()) if line))


if __name__ == "__main__":
    for tag in LANGUAGES:
        put_in_order(tag)
