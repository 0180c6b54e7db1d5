"""The virtual machine and network modules have all that hal/ and boards/ use of them, in both runtimes.

What is used is found in the source: attributes of the modules, and of objects made from the modules' classes, followed through
variables, fields, the arguments of drivers' constructors and the values that functions give.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from boards.esp32s3_counter import board
from host_sim.bench import Bench
from host_sim.machine.machine import Machine
from host_sim.machine.network import Network
from host_sim.microcontroller import micropython_binary
from tests.simulation.joined import ROOT, run_joined

CLASSES = {"machine": {"Pin", "Signal", "ADC", "PWM", "UART", "SPI", "I2C", "I2S", "RTC", "WDT", "Timer"}, "network": {"WLAN"}}


class Usage:
    """What some source files use of the modules.

    uses: (kind, attribute), kind being 'machine', 'network' or the name of a class of theirs; calls: (kind, method, keywords).
    """

    def __init__(self, trees: list[ast.Module]) -> None:
        self.uses: set[tuple[str, str]] = set()
        self.calls: set[tuple[str, str, tuple[str, ...]]] = set()
        # (scope, name) -> a kind, 'class KIND' or 'list KIND'. A scope is a function, or 'self' of a class.
        self._kinds: dict[tuple[str, str], str] = {}
        self._parameters = {
            node.name: [argument.arg for argument in item.args.args[1:]]
            for tree in trees
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for item in node.body
            if isinstance(item, ast.FunctionDef) and item.name == "__init__"
        }
        known = -1
        while known != len(self._kinds):  # until a pass finds nothing new
            known = len(self._kinds)
            for tree in trees:
                self._walk(tree, "", "")

    def _walk(self, node: ast.AST, scope: str, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                self._walk(child, child.name, child.name)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                self._walk(child, f"{owner}.{child.name}", owner)
            else:
                self._look_at(child, scope, owner)
                self._walk(child, scope, owner)

    def _look_at(self, node: ast.AST, scope: str, owner: str) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, self._kind(node.value, scope, owner), scope, owner)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, self._kind(node.value, scope, owner), scope, owner)
        elif isinstance(node, ast.For | ast.comprehension):
            name, _, kind = self._kind(node.iter, scope, owner).partition(" ")
            if name == "list":
                self._assign(node.target, kind, scope, owner)
        elif isinstance(node, ast.Return) and node.value is not None:
            self._bind("", scope + "()", self._kind(node.value, scope, owner))
        elif isinstance(node, ast.Attribute):
            kind = self._kind(node.value, scope, owner).removeprefix("class ")
            if kind and " " not in kind:
                self.uses.add((kind, node.attr))
        elif isinstance(node, ast.Call):
            self._look_at_call(node, scope, owner)

    def _look_at_call(self, node: ast.Call, scope: str, owner: str) -> None:
        keywords = tuple(sorted(keyword.arg for keyword in node.keywords if keyword.arg))
        function = self._kind(node.func, scope, owner)
        if function.startswith("class "):
            self.calls.add((function.removeprefix("class "), "__init__", keywords))
        elif isinstance(node.func, ast.Attribute) and self._kind(node.func.value, scope, owner):
            kind = self._kind(node.func.value, scope, owner)
            if " " not in kind and kind not in CLASSES:
                self.calls.add((kind, node.func.attr, keywords))
        elif isinstance(node.func, ast.Name) and node.func.id in self._parameters:
            parameters = self._parameters[node.func.id]
            given = list(zip(parameters, node.args, strict=False))
            given += [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg]
            for name, value in given:
                self._bind(f"{node.func.id}.__init__", name, self._kind(value, scope, owner))

    def _kind(self, node: ast.expr, scope: str, owner: str) -> str:
        """What an expression is, '' where that is not known."""
        if isinstance(node, ast.Name):
            return self._kinds.get((scope, node.id), node.id if node.id in CLASSES else "")
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and (node.value.id == "self" or node.attr in CLASSES):
                return self._kinds.get((f"self {owner}", node.attr), node.attr if node.attr in CLASSES else "")
            base = self._kind(node.value, scope, owner)
            return "class " + node.attr if node.attr in CLASSES.get(base, ()) else ""
        if isinstance(node, ast.Call):
            function = self._kind(node.func, scope, owner)
            if function.startswith("class "):
                return function.removeprefix("class ")
            return self._kinds.get(("", f".{node.func.id}()"), "") if isinstance(node.func, ast.Name) else ""
        if isinstance(node, ast.ListComp):
            kind = self._kind(node.elt, scope, owner)
            return "list " + kind if kind else ""
        return ""

    def _assign(self, target: ast.expr, kind: str, scope: str, owner: str) -> None:
        if isinstance(target, ast.Name):
            self._bind(scope, target.id, kind)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            self._bind(f"self {owner}", target.attr, kind)

    def _bind(self, scope: str, name: str, kind: str) -> None:
        if kind:
            self._kinds[(scope, name)] = kind


def usage_of_what_ships() -> Usage:
    paths = [path for folder in ("hal", "boards") for path in sorted((ROOT / folder).rglob("*.py")) if "linux" not in str(path)]
    return Usage([ast.parse(path.read_text(), str(path)) for path in paths])


def _kinds_in_process() -> dict[str, Any]:
    bench = Bench(board.facts())
    kinds: dict[str, Any] = {"machine": Machine(bench), "network": Network(bench)}
    for module, names in CLASSES.items():
        kinds |= {name: getattr(kinds[module], name) for name in names if hasattr(kinds[module], name)}
    return kinds


def test_what_the_search_is_known_to_find_it_finds() -> None:
    uses = usage_of_what_ships().uses
    known = {("machine", "Pin"), ("machine", "unique_id"), ("Pin", "OUT"), ("Pin", "PULL_UP"), ("Pin", "value"), ("SPI", "write")}
    known |= {("SPI", "read"), ("UART", "readinto"), ("UART", "write"), ("I2C", "writeto"), ("RTC", "datetime"), ("WLAN", "isconnected")}
    known |= {("network", "STA_IF"), ("network", "STAT_NO_AP_FOUND"), ("WLAN", "status")}
    assert known <= uses, known - uses


def test_the_search_sees_a_use_that_the_modules_do_not_have() -> None:
    driver = "class Buzzer:\n def __init__(self, pin):\n  self._pin = pin\n def buzz(self):\n  self._pin.irq(handler=None)\n"
    program = "def build(platform):\n m = platform.machine\n m.Timer(m.Pin(3))\n return Buzzer(pin=m.Pin(4, m.Pin.OUT))\n"
    uses = Usage([ast.parse(driver), ast.parse(program)]).uses
    assert ("Pin", "irq") in uses and ("machine", "Timer") in uses
    kinds = _kinds_in_process()
    assert not hasattr(kinds["Pin"], "irq") and not hasattr(kinds["machine"], "Timer")


def test_all_that_is_used_is_there_in_process() -> None:
    kinds = _kinds_in_process()
    missing = [use for use in sorted(usage_of_what_ships().uses) if use[0] not in kinds or not hasattr(kinds[use[0]], use[1])]
    assert missing == []


def test_every_keyword_that_is_used_is_one_of_the_method() -> None:
    kinds = _kinds_in_process()
    for kind, method, keywords in sorted(usage_of_what_ships().calls):
        parameters = inspect.signature(getattr(kinds[kind], method)).parameters
        takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
        assert takes_all or set(keywords) <= set(parameters), (kind, method)


@pytest.mark.needs("micropython")
def test_all_that_is_used_is_there_in_a_micropython_process(tmp_path: Path) -> None:
    uses = sorted(usage_of_what_ships().uses)
    program = f"""
import json, machine, network
def kind(name):
    if name == "machine":
        return machine
    if name == "network":
        return network
    return getattr(network if hasattr(network, name) else machine, name)
print(json.dumps([use for use in {json.dumps(uses)} if not hasattr(kind(use[0]), use[1])]))
"""
    status, said = asyncio.run(run_joined(micropython_binary(), Bench(board.facts()), tmp_path, program))
    assert (status, said.strip()) == (0, "[]")


@pytest.mark.parametrize("module", ["machine", "network"])
@pytest.mark.needs("micropython")
def test_the_overlay_exports_each_public_name_of_the_module(module: str, tmp_path: Path) -> None:
    kind = _kinds_in_process()[module]
    names = sorted(name for name in dir(kind) if not name.startswith("_"))
    program = f"import json, {module}\nprint(json.dumps([name for name in {json.dumps(names)} if not hasattr({module}, name)]))"
    assert "STA_IF" in names or "Pin" in names
    status, said = asyncio.run(run_joined(micropython_binary(), Bench(board.facts()), tmp_path, program))
    assert (status, said.strip()) == (0, "[]")
