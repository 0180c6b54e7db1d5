"""Holds the house together: which way imports go, what ships does not know, and who may ask which runtime or board it is."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = ("firmware_agent", "hal", "boards")
PACKAGES = (*SHIPPED, "host_sim", "tests", "tools", "bench")
FORBIDDEN_WORDS = re.compile(r"simulat|\bmock|emulat|host_sim", re.IGNORECASE)

# For Linux terminals, on CPython only: what is nowhere else imported.
LINUX = ("hal.drivers.linux", "boards.linux_terminal")

# importer -> what it may import of the project. A prefix allows everything below it.
ALLOWED = {
    "firmware_agent": ("firmware_agent", "hal"),
    "hal.drivers": ("hal",),
    "hal": ("hal",),
    "boards": ("boards", "hal", "firmware_agent"),
    "host_sim": ("host_sim", "boards", "firmware_agent", "hal"),
}
# firmware_agent knows the contracts, never a driver; a board knows the agent only in main.py, which starts it, and in the parts of the
# command of a Linux terminal, which do something with the agent or its memory.
PARTS_OF_COMMAND = ("command", "credentials", "daemon", "factory", "installation", "records", "selftest", "update")
OF_THE_COMMAND = tuple(f"boards/linux_terminal/{name}.py" for name in PARTS_OF_COMMAND)
EXCEPTIONS = {
    # The crypto of the runtime is picked where runtimes differ, and nowhere else.
    ("hal/compat.py", "hal.drivers.p256"),
    ("hal/compat.py", "hal.drivers.p256_openssl"),
}


def modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The full names that a module imports, those inside functions included, those for the type checker not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in _without_type_checking(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def _without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _without_type_checking(node)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_there_is_something_to_hold() -> None:
    assert len(modules(*SHIPPED)) > 40


@pytest.mark.parametrize("path", modules(*ALLOWED.keys() & {"firmware_agent", "hal", "boards", "host_sim"}), ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    importer = next(prefix for prefix in ALLOWED if name_of(path).startswith(prefix))
    relative = path.relative_to(ROOT).as_posix()
    for name in imports(path):
        package = name.split(".")[0]
        if package not in PACKAGES or (relative, name) in EXCEPTIONS:
            continue
        assert package in ALLOWED[importer], f"{relative} imports {name}"
        if importer == "firmware_agent" or (importer == "hal" and package == "hal"):
            assert not name.startswith("hal.drivers"), f"{relative} imports the driver {name}: contracts only"
        if importer == "boards" and package == "firmware_agent":
            assert path.name == "main.py" or relative in OF_THE_COMMAND, f"{relative} imports {name}: only main.py starts the agent"


@pytest.mark.parametrize("path", modules(*SHIPPED), ids=name_of)
def test_what_ships_does_not_know_how_it_is_tried(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        assert not FORBIDDEN_WORDS.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


@pytest.mark.parametrize("path", modules(*SHIPPED), ids=name_of)
def test_only_compat_asks_for_the_runtime(path: Path) -> None:
    if path.name != "compat.py":
        text = path.read_text(encoding="utf-8")
        assert "sys.implementation" not in text and "sys.platform" not in text


@pytest.mark.parametrize("path", modules("firmware_agent", "hal", "host_sim"), ids=name_of)
def test_no_board_is_asked_for_its_name(path: Path) -> None:
    """Code asks what the Hal can do. A board's id may be passed on and reported, never compared."""
    ids = {json.loads(place.read_text(encoding="utf-8"))["id"] for place in (ROOT / "boards").glob("*/board.json")}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            literals = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
            assert not ids & literals, f"{path.relative_to(ROOT)}:{node.lineno} compares with a board's id"


@pytest.mark.parametrize("path", modules(*SHIPPED), ids=name_of)
def test_what_ships_needs_nothing_that_micropython_lacks(path: Path) -> None:
    cpython_only = {"mqtt_paho.py", "tcp_cpython.py", "p256_openssl.py"}  # picked by compat, or by who starts the agent
    lacking = {"typing", "dataclasses", "enum", "abc", "__future__", "pathlib", "logging", "unittest", "datetime", "re", "contextlib"}
    if path.name not in cpython_only and not name_of(path).startswith(LINUX):
        assert not lacking & {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", modules(*SHIPPED), ids=name_of)
def test_what_runs_on_both_runtimes_imports_nothing_that_is_for_linux_alone(path: Path) -> None:
    if not name_of(path).startswith(LINUX):
        assert not [name for name in imports(path) if name.startswith(LINUX)]


def test_nothing_imports_machine_but_a_boards_main() -> None:
    for path in modules(*SHIPPED):
        if {"machine", "network"} & set(imports(path)):
            assert path.name == "main.py"


@pytest.mark.parametrize("path", modules(*SHIPPED, "host_sim", "tools"), ids=name_of)
def test_no_exception_is_caught_unnamed(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path.relative_to(ROOT)}:{node.lineno}: bare except"
            names = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)}
            assert not names & {"Exception", "BaseException"}, f"{path.relative_to(ROOT)}:{node.lineno}: catches {names}"
