"""Writes scenarios/schema.json, a JSON Schema from the table of verbs: with it an editor completes a scenario file, and checks it.

python tools/build_scenario_schema.py [--check] [--output FILE]

What a verb does is told as docs/simulation.md tells it. --output also knows the boards in the folders that REINSTATE_BOARDS names.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.texts import LANGUAGES  # noqa: E402
from host_sim.boards import board_folders  # noqa: E402
from host_sim.scenarios.scenario import DEVICES, ROWS, VERBS, WHERE, Argument  # noqa: E402

DOCUMENT = ROOT / "scenarios" / "schema.json"
MANUAL = ROOT / "docs" / "simulation.md"
DRAFT = "http://json-schema.org/draft-07/schema#"  # the one that editors' YAML servers know best
# A scalar counts as the text that stands in the file, whatever YAML makes of it.
ANY_TEXT = {"type": ["string", "number", "boolean"], "minLength": 1}


def schema(boards: list[str]) -> dict[str, Any]:
    """For scenarios on these boards."""
    told = _told()
    bare = [verb for verb, takes in VERBS.items() if takes is None]
    with_argument = {verb: _takes(takes) | {"description": told.get(verb, "")} for verb, takes in VERBS.items() if takes is not None}
    for_devices = {
        "type": "object",
        "description": "steps for terminals that have this device",
        "properties": {device: {"$ref": "#/definitions/plain_steps"} for device in DEVICES},
        "additionalProperties": False,
    }
    return {
        "$schema": DRAFT,
        "title": "A scenario of Reinstate",
        "description": "What happens to a payment terminal, and what is to be seen then: docs/simulation.md",
        "type": "object",
        "properties": {
            "scenario": ANY_TEXT | {"description": "one line on what it shows"},
            "covers": {
                "type": "array",
                "description": "rows of docs/coverage.md that it shows",
                "items": {"enum": list(ROWS)},
                "minItems": 1,
                "uniqueItems": True,
            },
            "board": {"enum": boards, "description": "of the terminal"},
            "language": {"enum": list(LANGUAGES), "description": "of its screens"},
            "steps": {
                "type": "array",
                "minItems": 1,
                "items": {"anyOf": [{"$ref": "#/definitions/step"}, _one_of({WHERE: for_devices})]},
            },
        },
        "required": ["scenario", "steps"],
        "additionalProperties": False,
        "definitions": {
            "plain_steps": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/step"}},
            "step": {"anyOf": [*({"const": verb, "description": told.get(verb, "")} for verb in bare), _one_of(with_argument)]},
        },
    }


def _one_of(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1, "maxProperties": 1}


def _takes(takes: Argument | dict[str, Argument]) -> dict[str, Any]:
    if isinstance(takes, Argument):
        return _value(takes)
    return {
        "type": "object",
        "properties": {name: _value(argument) for name, argument in takes.items()},
        "required": [name for name, argument in takes.items() if not argument.optional],
        "additionalProperties": False,
    }


def _value(argument: Argument) -> dict[str, Any]:
    if argument.allowed:
        return {"enum": list(argument.allowed)}
    if not argument.number:
        return dict(ANY_TEXT)
    if argument.signed:
        return {"type": ["integer", "string"], "pattern": "^-?[0-9]+$"}
    return {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+$"}


def _told() -> dict[str, str]:
    """Verb -> what happens, from the manual's table."""
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*?) \| `.*` \|$", MANUAL.read_text(encoding="utf-8"), re.MULTILINE)
    return {verb: re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", what).replace("`", "") for verb, what in rows}


def text(boards: list[str]) -> str:
    return json.dumps(schema(boards), ensure_ascii=False, indent=1) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write a JSON Schema of scenario files from the table of verbs.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if scenarios/schema.json is not current")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there, with the boards of REINSTATE_BOARDS in it")
    options = parser.parse_args(arguments)
    if options.output is not None:
        options.output.write_text(text(list(board_folders())), encoding="utf-8")
        return 0
    current = text([board for board, folder in board_folders().items() if folder.parent == ROOT / "boards"])
    if not options.check:
        DOCUMENT.write_text(current, encoding="utf-8")
    elif not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != current:
        print("scenarios/schema.json is not current: run python tools/build_scenario_schema.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
