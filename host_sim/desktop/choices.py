"""What there is to choose from, generated from what the simulation has: boards, runtimes, verbs with their arguments, reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firmware_agent.messages.schema import NOTICES
from firmware_agent.settings import DEFAULTS
from firmware_agent.texts import LANGUAGES, SUFFIX
from firmware_agent.texts import __file__ as texts_module
from host_sim.boards import boards
from host_sim.scenarios.scenario import CARDS, EXPECTS, VERBS, Argument
from host_sim.terminal import RUNTIMES, TerminalFailure, check_runtime, facts_of, runtime_of

# Prefixes of the terminal's texts that a page uses, and endings of those that are too long for it.
TEXTS = (
    *("cause.", "device.", "link.", "material.", "moment.", "op.detail.", "op.event.", "outcome.", "phase.", "reason.", "recovery."),
    *("reminder.name.", "shop."),
)
LONG_TEXTS = (".purpose", ".steps", ".verify")


def why_not(board: str, runtime: str) -> str:
    """In one sentence why this machine cannot run that; '' where it can."""
    try:
        check_runtime(board, runtime)
    except TerminalFailure as error:
        return str(error)
    except ModuleNotFoundError as error:
        return f"the Python module {error.name} is missing: pip install 'reinstate[linux]'"
    return ""


def usual_runtime(board: str) -> str:
    """What the board is made for, or else the first that it has here; '' for none."""
    return next((runtime for runtime in (runtime_of(board), *RUNTIMES) if not why_not(board, runtime)), "")


def choices(defaults: dict[str, str]) -> dict[str, Any]:
    """As one document. defaults: board, runtime and language of a terminal of which no more is said."""
    return {
        "boards": [_board(board) for board in boards()],
        "languages": list(LANGUAGES),
        "defaults": defaults,
        "verbs": {verb: _takes(takes) for verb, takes in VERBS.items() if not verb.startswith(EXPECTS)},
        "missing_runtimes": _missing(),
        "settings": DEFAULTS,
        "notices": list(NOTICES),
        "cards": list(CARDS),
        "texts": {language: _texts(language) for language in LANGUAGES},
    }


def _board(board: str) -> dict[str, Any]:
    facts = facts_of(board)
    parts = facts["parts"]
    return {
        "id": board,
        "name": facts["name"],
        "runtimes": [runtime for runtime in RUNTIMES if not why_not(board, runtime)],
        "default_runtime": usual_runtime(board),
        "face": facts["face"],
        "keys": parts["keypad"]["keys"],
        "devices": list(parts),
        "display": {name: parts["display"][name] for name in ("width_px", "height_px")},
    }


def _missing() -> list[dict[str, Any]]:
    """What a board is made for, and is not here: with the reason, and the boards that it is missed by."""
    missed: dict[tuple[str, str], list[str]] = {}
    for board in boards():
        why = why_not(board, runtime_of(board))
        if why:
            missed.setdefault((runtime_of(board), why), []).append(board)
    return [{"runtime": runtime, "boards": found, "why": why} for (runtime, why), found in missed.items()]


def _takes(takes: None | Argument | dict[str, Argument]) -> dict[str, Any] | None:
    if takes is None:
        return None
    if isinstance(takes, Argument):
        return _argument(takes)
    return {"fields": {name: _argument(argument) for name, argument in takes.items()}}


def _argument(argument: Argument) -> dict[str, Any]:
    return {"allowed": list(argument.allowed), "number": argument.number, "optional": argument.optional}


def _texts(language: str) -> dict[str, str]:
    """The terminal's words for what a page tells of: one meaning has one text, on the terminal and beside it."""
    lines = (Path(texts_module).parent / (language + SUFFIX)).read_text(encoding="utf-8").splitlines()
    texts = dict(line.split("\t", 1) for line in lines)
    return {key: text for key, text in texts.items() if key.startswith(TEXTS) and not key.endswith(LONG_TEXTS)}
