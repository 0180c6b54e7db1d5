"""What all tests share: no test that needs a program passes silently where it is missing."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_sim.microcontroller import micropython_binary
from host_sim.terminal import TerminalFailure

# program -> where it may be besides PATH
PLACES = {
    "mosquitto": ("/usr/sbin/mosquitto",),
    "postgresql": tuple(str(folder / "initdb") for folder in Path("/usr/lib/postgresql").glob("*/bin")),
    "unifont": ("/usr/share/unifont/unifont.hex",),
    "pcscd": ("/usr/sbin/pcscd",),
    "vsmartcard-vpcd": ("/usr/lib/pcsc/drivers/serial/libifdvpcd.so",),
    "softhsm2": ("/usr/lib/softhsm/libsofthsm2.so",),
    "python3-dbusmock": ("/usr/lib/python3/dist-packages/dbusmock/__init__.py",),
    "chromium": ("/usr/bin/chromium", "/usr/bin/chromium-browser"),
    "iproute2": ("/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"),
}


def pytest_collection_finish() -> None:
    """All test modules are there to stay: the agent, which has garbage collected before it takes large pieces, does not search them."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Locally a test whose program is missing is skipped with the reason; in continuous integration it fails."""
    for reason in missing(item):
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def missing(item: pytest.Item) -> Iterator[str]:
    """What is missing for this test: by its marker `needs`, or because it is for the runtime `micropython`."""
    for marker in item.iter_markers("needs"):
        (program,) = marker.args
        if program == "micropython":
            yield from _missing_micropython()
        elif program == "root":
            if os.geteuid():
                yield "needs root, for namespaces and mounts of its own"
        elif not shutil.which(program) and not any(Path(place).exists() for place in PLACES.get(program, ())):
            yield f"needs {program}, which is not installed (on Debian: apt install {program})"
    parameters = getattr(item, "callspec", None)
    if parameters is not None and "micropython" in [value for value in parameters.params.values() if isinstance(value, str)]:
        yield from _missing_micropython()


def _missing_micropython() -> Iterator[str]:
    try:
        micropython_binary()
    except TerminalFailure as error:
        yield str(error)
