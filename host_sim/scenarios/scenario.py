"""Scenario files: what happens to a terminal, step by step, as YAML; read strictly, with the place of each error.

    scenario: One line on what it shows
    covers: [S6, P1]
    board: esp32s3_counter
    language: zh-CN
    steps:
      - boot
      - expect_page: idle
      - order: {action: suspend, reason: violation}
      - where_there_is:
          printer:
            - expect_slip: slip.no_value

A step is a verb, alone or with its argument. The verbs are in VERBS; docs/simulation.md describes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from firmware_agent.messages.schema import NOTICES
from firmware_agent.records.console_export import AUDIT, EVIDENCE, SUMMARY
from firmware_agent.selftest.phases import OUTCOMES
from firmware_agent.selftest.plans import DEVICE, PLANS, phase_ids
from firmware_agent.state.machine import FUNCTION_TESTS, MODES, REVIEW_ANSWERS
from firmware_agent.state.reasons import REASON_KINDS
from firmware_agent.texts import LANGUAGES
from host_sim.boards import boards


class ScenarioError(Exception):
    """One line: file, line, column, what is wrong, what is allowed."""


@dataclass(frozen=True)
class Argument:
    """What a verb takes: allowed values (any text where empty), whether it is a whole number, also one below 0, and whether it may be left
    out.
    """

    allowed: tuple[str, ...] = ()
    number: bool = False
    optional: bool = False
    signed: bool = False


REASONS = tuple(kind.code for kind in REASON_KINDS)
HOSTILE = ("unsigned", "wrong_key", "altered", "other_terminal", "moved", "expired", "repeated")
CARDS = ("payment", "no_ppse", "strict_le", "mute", "badge", "badge_expired", "badge_of_other", "badge_altered", "badge_copied")
RELEASE_FAULTS = ("altered", "missing", "forged", "broken")
CODES = ("issued", "wrong", "mistyped")
EXPORTS = ("JSON", "JUnit XML")
WORK = ("function_tests", "self_test")
# The rows of docs/coverage.md: why a terminal is suspended, the way back, materials, meanwhile, prevention.
ROWS = tuple(f"{group}{number}" for group, count in (("S", 12), ("P", 15), ("M", 10), ("C", 9), ("K", 9)) for number in range(1, count + 1))
EXPECTS = "expect_"  # how a verb begins that does nothing, and waits
WHERE = "where_there_is"  # instead of a verb: steps for terminals that have this device
DEVICES = ("printer", "scanner", "sounder")  # that a board may be without
RECORDS = (EVIDENCE, AUDIT, SUMMARY)
TEXT = Argument()
TEST_PLANS = (*PLANS, *sorted({DEVICE + kind for _, kind in phase_ids().values()}))

# verb -> None (no argument), an Argument, or named Arguments.
VERBS: dict[str, None | Argument | dict[str, Argument]] = {
    "say": TEXT,
    "boot": None,
    "device": Argument(("first", "second")),
    "cut_power": None,
    "cut_power_after_write": None,
    "factory_new": None,
    "clock": Argument(number=True, signed=True),
    "time": {"forward_s": Argument(number=True)},
    "broker": Argument(("stop", "start")),
    "uplink": Argument(("cut", "restore")),
    "latency": Argument(number=True),
    "access_point": {"name": TEXT, "password": Argument(optional=True)},
    "press": TEXT,
    "hold": TEXT,
    "let_go": TEXT,
    "type": TEXT,
    "card": Argument(CARDS),
    "remove_card": None,
    "pay": Argument(number=True),
    "carry_out": Argument(WORK),
    "code": TEXT,
    "tear_off": None,
    "fault": {"device": TEXT, "name": TEXT, "on": Argument(("yes", "no"), optional=True)},
    "order": {
        "action": Argument(("suspend", "lift", "self_test", "revoke_badge", "maintenance", "message", "configure", "unlock")),
        "reason": Argument(REASONS, optional=True),
        "case": Argument(optional=True),
        "note": Argument(optional=True),
        "until_s": Argument(number=True, optional=True),
        "probation_s": Argument(number=True, optional=True),
        "plan": Argument(TEST_PLANS, optional=True),
        "badge": Argument(optional=True),
        "since_s": Argument(number=True, optional=True),
        "text": Argument(optional=True),
        "settings": Argument(optional=True),
    },
    "notice": {
        "about": Argument(NOTICES),
        "text": TEXT,
        "since_s": Argument(number=True, optional=True),
        "until_s": Argument(number=True, optional=True),
    },
    "release": {"version": TEXT, "fault": Argument(RELEASE_FAULTS, optional=True)},
    "activation_code": None,
    "type_code": Argument(CODES),
    "hostile": Argument(HOSTILE),
    "review": {"status": Argument(REVIEW_ANSWERS), "remark": Argument(optional=True)},
    "expect_page": TEXT,
    "expect_text": TEXT,
    "expect_slip": TEXT,
    "expect_export": Argument(EXPORTS),
    "expect_record": Argument(RECORDS),
    "expect_summary": Argument(REASONS),
    "expect_event": TEXT,
    "expect_state": Argument(MODES),
    "expect_online": Argument(("yes", "no")),
    "expect_report": {"device": TEXT, "outcome": Argument(OUTCOMES)},
    "expect_test": {"name": Argument(FUNCTION_TESTS), "outcome": Argument(OUTCOMES)},
    "expect_application": Argument(("reactivation", "appeal", "superior", "registration")),
    "expect_new_key": None,
    "expect_no_money": None,
}


@dataclass(frozen=True)
class Step:
    """argument: '' for none, a text, or named texts. line: in the file; device: what a terminal has to have for it, or ''."""

    verb: str
    argument: str | dict[str, str]
    line: int
    device: str = ""

    def __str__(self) -> str:
        if isinstance(self.argument, dict):
            return f"{self.verb} " + " ".join(f"{name}={value}" for name, value in self.argument.items())
        return f"{self.verb} {self.argument}".rstrip()


@dataclass(frozen=True)
class Scenario:
    path: Path
    title: str
    board: str
    language: str
    steps: tuple[Step, ...]
    covers: tuple[str, ...] = ()


def load(path: Path) -> Scenario:
    """Read a scenario file. Raises ScenarioError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ScenarioError(f"{place}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: not YAML: {error}") from error
    return _Reader(path).scenario(root)


def step_of(verb: str, argument: object = None) -> Step:
    """A step as it would stand in a file, given by a program. Raises ScenarioError as for a file of one line, 'step'."""
    text = yaml.safe_dump(verb if argument is None else {verb: argument}, allow_unicode=True, default_flow_style=True, width=10**6)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert node is not None
    return _Reader(Path("step")).step(node)


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def scenario(self, root: yaml.Node | None) -> Scenario:
        if root is None:
            raise ScenarioError(f"{self._path}:1:1: empty; a scenario has: scenario, covers, board, language, steps")
        top = self._mapping(root, ("scenario", "covers", "board", "language", "steps"), ("scenario", "steps"))
        language = self._text(top["language"], LANGUAGES) if "language" in top else "zh-CN"
        board = self._text(top["board"], boards()) if "board" in top else "esp32s3_counter"
        covers = self._rows(top["covers"]) if "covers" in top else ()
        return Scenario(self._path, self._text(top["scenario"]), board, language, self._steps(top["steps"]), covers)

    def _rows(self, node: yaml.Node) -> tuple[str, ...]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self._error(node, "covers is a list with at least one row")
        rows: list[str] = []
        for item in node.value:
            row = self._text(item, ROWS, "row")
            if row in rows:
                raise self._error(item, f"{row!r} is given twice")
            rows.append(row)
        return tuple(rows)

    def _steps(self, node: yaml.Node, device: str = "") -> tuple[Step, ...]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self._error(node, "steps is a list with at least one step")
        steps: list[Step] = []
        for item in node.value:
            if not device and isinstance(item, yaml.MappingNode) and [key.value for key, _ in item.value] == [WHERE]:
                for name, part in self._mapping(item.value[0][1], DEVICES, ()).items():
                    steps += self._steps(part, name)
            else:
                step = self.step(item)
                steps.append(Step(step.verb, step.argument, step.line, device))
        return tuple(steps)

    def step(self, node: yaml.Node) -> Step:
        argument: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode) and len(node.value) == 1:
            name_node, argument = node.value[0]
        elif isinstance(node, yaml.ScalarNode):
            name_node = node
        else:
            raise self._error(node, "a step is one verb, alone or with its argument")
        verb = self._text(name_node, tuple(VERBS), "verb")
        takes = VERBS[verb]
        line = node.start_mark.line + 1
        if takes is None:
            if argument is not None:
                raise self._error(argument, f"{verb} takes no argument")
            return Step(verb, "", line)
        if argument is None:
            raise self._error(node, f"{verb} needs an argument" + _allowed(takes))
        if isinstance(takes, Argument):
            return Step(verb, self._value(argument, takes, verb), line)
        required = tuple(name for name, value in takes.items() if not value.optional)
        named = self._mapping(argument, tuple(takes), required)
        return Step(verb, {name: self._value(value, takes[name], name) for name, value in named.items()}, line)

    def _mapping(self, node: yaml.Node, allowed: tuple[str, ...], required: tuple[str, ...]) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, f"a mapping is wanted here; keys: {', '.join(allowed)}")
        found: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self._text(key_node, allowed, "key")
            if key in found:
                raise self._error(key_node, f"{key!r} is given twice")
            found[key] = value
        for key in required:
            if key not in found:
                raise self._error(node, f"{key!r} is missing")
        return found

    def _value(self, node: yaml.Node, argument: Argument, name: str) -> str:
        value = self._text(node, argument.allowed, name)
        if argument.number and not (value.removeprefix("-") if argument.signed else value).isdecimal():
            raise self._error(node, f"{name} is a whole number, not {value!r}")
        return value

    def _text(self, node: yaml.Node, allowed: tuple[str, ...] = (), what: str = "value") -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            raise self._error(node, f"a {what} is wanted here")
        value: str = node.value
        if allowed and value not in allowed:
            raise self._error(node, f"unknown {what} {value!r}; allowed: {', '.join(allowed)}")
        return value

    def _error(self, node: yaml.Node, message: str) -> ScenarioError:
        return ScenarioError(f"{self._path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}: {message}")


def _allowed(takes: Argument | dict[str, Argument]) -> str:
    if isinstance(takes, dict):
        return ": " + ", ".join(takes)
    return ": " + ", ".join(takes.allowed) if takes.allowed else ""
