"""What the simulation's parts say in English that a page shows, from their sources: each sentence as it may come, `x1` for a value."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from firmware_agent.messages import schema
from firmware_agent.messages.events import EVENTS
from firmware_agent.orders import ACTIONS
from host_sim.desktop import inspector
from host_sim.wire_words import ACTIVATION_TEXTS, CLAIMS, REFUSAL_TEXTS

HOST_SIM = Path(inspector.__file__).parents[1]
# Source -> the calls whose last argument is said to a person, and the errors whose text is.
SAID: dict[str, tuple[str, ...]] = {
    "scenarios/actions.py": ("tell", "StepFailed", "until", "_microcontroller"),
    "scenarios/looking.py": ("until", "until_mode"),
    "payment_host.py": ("_tell",),
    "acquirer/acquirer.py": ("_told", "append"),
    "acquirer/activation.py": ("_told",),
    "acquirer/sealing.py": ("append",),
    "desktop/session.py": ("_acquirer_said", "TerminalFailure"),
    "desktop/server.py": ("NoAnswer",),
    "desktop/traffic.py": ("NoAnswer",),
    "desktop/live_terminal.py": ("StepFailed",),
}
OF_THE_INSPECTOR = ("Shape", "append", "_part", "Verdict")
VALUE = "x1"
Source = Callable[[], Iterator[str]]


def said() -> Iterator[str]:
    """Lines of the log, and why something could not be done."""
    for source, names in SAID.items():
        yield from _arguments(HOST_SIM / source, names)


def summaries() -> Iterator[str]:
    """A message in one line."""
    tree = ast.parse((HOST_SIM / "acquirer/acquirer.py").read_text(encoding="utf-8"))
    (function,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "summary"]
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield from _texts(node.value)


def meanings() -> Iterator[str]:
    """Of the parts of a message."""
    for kind in schema.KINDS:
        yield kind.what
        yield from (field.what for field in kind.fields)
    yield from (claim[3] for claim in CLAIMS.values())
    yield from (*ACTIVATION_TEXTS.values(), *REFUSAL_TEXTS.values(), *inspector._OF_THE_ACQUIRER.values(), *inspector._WHY.values())
    yield inspector._NOT_SHORTEST
    yield from (kind.what for kind in EVENTS)
    yield from (what for _, what in ACTIONS)
    yield from _arguments(HOST_SIM / "desktop/inspector.py", OF_THE_INSPECTOR)


def faults() -> Iterator[str]:
    """Names of all faults and habits, of each class that has some."""
    for source in sorted(HOST_SIM.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(getattr(target, "id", getattr(target, "attr", "")) in ("FAULTS", "HABITS") for target in targets):
                    yield from (text for key in node.value.keys if key is not None for text in _texts(key))


def _arguments(source: Path, names: tuple[str, ...]) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in names:
            for argument in node.args:
                yield from (text for text in _texts(argument) if " " in text.replace(VALUE, ""))


def _texts(node: ast.expr) -> Iterator[str]:
    """All that an expression may come to, as far as it is text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _texts(value)
    elif isinstance(node, ast.Lambda):
        yield from _texts(node.body)
    elif isinstance(node, ast.JoinedStr):
        pieces = [
            list(_texts(part.value)) or [VALUE] if isinstance(part, ast.FormattedValue) else list(_texts(part)) for part in node.values
        ]
        yield from ("".join(combination) for combination in product(*pieces))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from (a + b for a in _texts(node.left) or [VALUE] for b in list(_texts(node.right)) or [VALUE])
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("rstrip", "format"):
        yield from _texts(node.func.value)
