"""The virtual machine and network modules have all that hal/ and boards/ use of them, in both runtimes.

What they use is found in their source: attributes of the modules, and of the objects made from the modules' classes, followed through
variables, fields, arguments of drivers' constructors and return values of functions in the same file.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest

from host_sim.machine.client import SOCKET_VARIABLE
from host_sim.machine.machine import Machine
from host_sim.machine.network import Network
from tests.simulation.joined import micropython_on

ROOT = Path(__file__).parents[2]
MODULES = ("machine", "network")


class Usage:
    """uses: (kind, attribute), where a kind is 'machine', 'network' or a class of theirs; calls: (kind, method, keywords)."""

    def __init__(self, paths: list[Path]) -> None:
        self.uses: set[tuple[str, str]] = set()
        self.calls: set[tuple[str, str, tuple[str, ...]]] = set()
        self._kinds: dict[tuple[str, str], str] = {}  # (scope, name) -> kind, 'class:KIND' or 'list:KIND'
        self._constructors: dict[str, list[str]] = {}  # class of hal/ -> its parameters
        trees = [ast.parse(path.read_text(), str(path)) for path in paths]
        for tree in trees:
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    for item in node.body:
                        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                            self._constructors[node.name] = [argument.arg for argument in item.args.args[1:]]
        known = -1
        while known != len(self._kinds) + len(self.uses):  # until nothing new is found
            known = len(self._kinds) + len(self.uses)
            for path, tree in zip(paths, trees, strict=True):
                self._statements(tree, str(path), "")

    def _statements(self, node: ast.AST, scope: str, owner: str) -> None:
        """scope: where local names live; owner: the class whose fields `self` has."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                self._statements(child, f"{scope}/{child.name}", child.name)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = owner + ".__init__" if child.name == "__init__" else f"{scope}/{child.name}"
                self._statements(child, inner, owner)
                for item in ast.walk(child):
                    if isinstance(item, ast.Return) and item.value is not None:
                        self._bind(scope, child.name + "()", self._kind(item.value, inner, owner))
            else:
                self._expressions(child, scope, owner)
                self._statements(child, scope, owner)

    def _expressions(self, node: ast.AST, scope: str, owner: str) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, self._kind(node.value, scope, owner), scope, owner)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, self._kind(node.value, scope, owner), scope, owner)
        elif isinstance(node, ast.For | ast.comprehension):
            kind = self._kind(node.iter, scope, owner)
            if kind.startswith("list:"):
                self._assign(node.target, kind[5:], scope, owner)
        elif isinstance(node, ast.Attribute):
            kind = self._kind(node.value, scope, owner)
            if kind and ":" not in kind:
                self.uses.add((kind, node.attr))
            elif kind.startswith("class:"):
                self.uses.add((kind[6:], node.attr))
        elif isinstance(node, ast.Call):
            self._call(node, scope, owner)

    def _call(self, node: ast.Call, scope: str, owner: str) -> None:
        keywords = tuple(sorted(keyword.arg for keyword in node.keywords if keyword.arg))
        function = self._kind(node.func, scope, owner)
        if function.startswith("class:"):
            self.calls.add((function[6:], "__init__", keywords))
        elif isinstance(node.func, ast.Attribute):
            kind = self._kind(node.func.value, scope, owner)
            if kind and ":" not in kind and kind not in MODULES:
                self.calls.add((kind, node.func.attr, keywords))
        elif isinstance(node.func, ast.Name) and node.func.id in self._constructors:
            names = self._constructors[node.func.id]
            given = list(zip(names, node.args, strict=False)) + [(word.arg or "", word.value) for word in node.keywords]
            for name, value in given:
                self._bind(node.func.id + ".__init__", name, self._kind(value, scope, owner))

    def _kind(self, node: ast.expr, scope: str, owner: str) -> str:
        if isinstance(node, ast.Name):
            return self._kinds.get((scope, node.id), node.id if node.id in MODULES else "")
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                return self._kinds.get((owner, node.attr), "")
            if isinstance(node.value, ast.Name) and node.value.id == "platform" and node.attr in MODULES:
                return node.attr
            base = self._kind(node.value, scope, owner)
            module: Any = {"machine": Machine, "network": Network}.get(base)
            return "class:" + node.attr if module is not None and node.attr[0].isupper() and not node.attr.isupper() or (
                base in MODULES and node.attr in ("I2C", "SPI", "UART", "ADC", "RTC", "WDT", "WLAN")
            ) else ""
        if isinstance(node, ast.Call):
            function = self._kind(node.func, scope, owner)
            if function.startswith("class:"):
                return function[6:]
            if isinstance(node.func, ast.Name):
                return self._kinds.get((scope.split("/")[0] if not scope.endswith("()") else scope, node.func.id + "()"), "") or next(
                    (kind for (_, name), kind in self._kinds.items() if name == node.func.id + "()"), ""
                )
        if isinstance(node, ast.ListComp):
            kind = self._kind(node.elt, scope, owner)
            return "list:" + kind if kind else ""
        return ""

    def _assign(self, target: ast.expr, kind: str, scope: str, owner: str) -> None:
        if isinstance(target, ast.Name):
            self._bind(scope, target.id, kind)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            self._bind(owner, target.attr, kind)

    def _bind(self, scope: str, name: str, kind: str) -> None:
        if kind:
            self._kinds[(scope, name)] = kind
