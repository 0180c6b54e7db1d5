"""scenarios/schema.json is current, holds for every scenario that is shipped, and refuses what the reader of scenarios refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from host_sim.boards import FURTHER
from host_sim.scenarios.scenario import VERBS, Argument, ScenarioError, load
from tools import build_scenario_schema

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "scenarios").rglob("*.yaml"))
HEAD = "scenario: a test\nsteps:\n"


class _Core(yaml.SafeLoader):
    """YAML 1.2 as editors read it: only true and false are truth values."""


_Core.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = json.loads((ROOT / "scenarios" / "schema.json").read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def read_by_the_terminals_reader(path: Path) -> bool:
    try:
        load(path)
    except ScenarioError:
        return False
    return True


def test_the_schema_is_current() -> None:
    assert build_scenario_schema.main(["--check"]) == 0


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_scenario_that_is_shipped_keeps_to_it(path: Path, validator: Draft7Validator) -> None:
    text = path.read_text(encoding="utf-8")
    for loader in (_Core, yaml.BaseLoader):
        assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(yaml.load(text, loader))] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_scenario_that_is_shipped_names_it_for_editors(path: Path) -> None:
    match = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text(encoding="utf-8"))
    assert match is not None
    assert (path.parent / match[1]).resolve() == ROOT / "scenarios" / "schema.json"


@pytest.mark.parametrize(
    "text",
    [
        "- a\n",
        "scenario: x\n",
        HEAD,
        HEAD + "  []\n",
        "steps: [boot]\n",
        "scenario: x\ncovers: S1\nsteps:\n  - boot\n",
        "scenario: x\ncovers: []\nsteps:\n  - boot\n",
        "scenario: x\ncovers: [S1, P16]\nsteps:\n  - boot\n",
        "scenario: x\ncovers: [S1, S1]\nsteps:\n  - boot\n",
        "scenario: x\nbord: y\nsteps:\n  - boot\n",
        "scenario: x\nboard: toaster\nsteps:\n  - boot\n",
        "scenario: x\nlanguage: fr\nsteps:\n  - boot\n",
        HEAD + "  - where_there_is: printer\n",
        HEAD + "  - where_there_is: {toaster: [boot]}\n",
        HEAD + "  - where_there_is: {printer: []}\n",
        HEAD + "  - where_there_is: {printer: [where_there_is: {scanner: [boot]}]}\n",
        HEAD + "  - expct_page: idle\n",
        HEAD + "  - boot: now\n",
        HEAD + "  - press\n",
        HEAD + "  - press:\n",
        HEAD + "  - press: ''\n",
        HEAD + "  - press: [1]\n",
        HEAD + "  - broker: pause\n",
        HEAD + "  - broker\n",
        HEAD + "  - order: {action: suspend, reason: laziness}\n",
        HEAD + "  - order: {reason: violation}\n",
        HEAD + "  - order: {action: lift, probation_s: soon}\n",
        HEAD + "  - order: {action: lift, probation_s: -1}\n",
        HEAD + "  - order: {action: lift, probation_s: 1.5}\n",
        HEAD + "  - order: {action: lift, because: 1}\n",
        HEAD + "  - order: suspend\n",
        HEAD + "  - {press: '2', type: '1'}\n",
        HEAD + "  - [boot]\n",
        HEAD + "  - fault: {device: printer, name: paper_out, on: maybe}\n",
    ],
)
def test_it_refuses_what_the_reader_refuses(text: str, validator: Draft7Validator, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    assert not read_by_the_terminals_reader(path)
    assert not validator.is_valid(yaml.load(text, _Core))
    assert not validator.is_valid(yaml.load(text, yaml.BaseLoader))


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "  - press: 1\n  - expect_online: no\n  - code: 007\n  - say: true\n",
        HEAD + "  - fault: {device: printer, name: paper_out, on: no}\n",
        HEAD + "  - order: {action: suspend, reason: violation, until_s: '60'}\n",
        HEAD + "  - where_there_is: {printer: [expect_slip: slip.no_value]}\n  - boot\n",
    ],
)
def test_it_takes_what_the_reader_takes(text: str, validator: Draft7Validator, tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_by_the_terminals_reader(path)
    assert validator.is_valid(yaml.load(text, _Core))
    assert validator.is_valid(yaml.load(text, yaml.BaseLoader))


@pytest.mark.parametrize("verb", VERBS)
def test_it_agrees_with_the_reader_on_each_verb_alone_and_with_an_argument(verb: str, validator: Draft7Validator, tmp_path: Path) -> None:
    takes = VERBS[verb]
    steps = [verb, f"{verb}: no such word", f"{verb}: {{no_such_name: 1}}"]
    if isinstance(takes, Argument):
        steps += [f"{verb}: {word}" for word in takes.allowed or ("1", "-1", "-x")]
    elif takes is not None:
        least = [f"{name}: {argument.allowed[0] if argument.allowed else 1}" for name, argument in takes.items() if not argument.optional]
        steps.append(f"{verb}: {{{', '.join(least)}}}")
        for name, argument in takes.items():
            for value in (*argument.allowed[:1], "-1", "1"):
                others = [one for one in least if not one.startswith(f"{name}:")]
                steps.append(f"{verb}: {{{', '.join([*others, f'{name}: {value}'])}}}")
    path = tmp_path / "one.yaml"
    for step in steps:
        path.write_text(HEAD + f"  - {step}\n", encoding="utf-8")
        assert validator.is_valid(yaml.load(path.read_text(encoding="utf-8"), _Core)) == read_by_the_terminals_reader(path), step


def test_with_boards_of_others_it_knows_them_and_the_one_that_is_shipped_does_not(tmp_path: Path) -> None:
    (tmp_path / "boards" / "acme").mkdir(parents=True)
    (tmp_path / "boards" / "acme" / "board.json").write_text("{}")
    command = [sys.executable, str(ROOT / "tools" / "build_scenario_schema.py")]
    environment = {**os.environ, FURTHER: str(tmp_path / "boards")}
    for arguments in (["--output", str(tmp_path / "schema.json")], ["--check"]):
        subprocess.run([*command, *arguments], env=environment, check=True, timeout=60)
    own = json.loads((tmp_path / "schema.json").read_text(encoding="utf-8"))
    assert "acme" in own["properties"]["board"]["enum"]
