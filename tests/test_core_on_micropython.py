"""Runs the core suite (tests/core) again, test by test, in MicroPython processes with a bounded heap."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from host_sim.microcontroller import micropython_binary

ROOT = Path(__file__).parent.parent
CORE = ROOT / "tests" / "core"
HEAP_KB = 512  # compiling a test module on the device is what takes most of it
TIMEOUT_S = 110
PROGRAM = """
import gc
import sys
gc.threshold(32768)  # collected often, the heap does not break into pieces
module = __import__("tests.core." + sys.argv[1], None, None, ("*",))
for name in sys.argv[2:]:
    try:
        getattr(module, name)()
        print("good", name)
    except BaseException as error:
        print("BAD", name)
        sys.print_exception(error, sys.stdout)
"""


def names_in(module: Path) -> list[str]:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


MODULES = sorted(CORE.glob("test_*.py"))


def test_the_core_suite_is_not_empty() -> None:
    assert sum(len(names_in(module)) for module in MODULES) > 50


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_core_module_passes_on_micropython(module: Path, tmp_path: Path) -> None:
    names = names_in(module)
    script = tmp_path / "run_core.py"
    script.write_text(PROGRAM)
    run = subprocess.run(
        [micropython_binary(), "-X", f"heapsize={HEAP_KB}k", str(script), module.stem, *names],
        env={"MICROPYPATH": f"{ROOT}:.frozen", "PATH": os.environ["PATH"]},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    good = {line.split()[1] for line in run.stdout.splitlines() if line.startswith("good ")}
    assert run.returncode == 0 and good == set(names), run.stdout[-4000:] + run.stderr[-2000:]
