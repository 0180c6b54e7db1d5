"""What all tests share: the marker `needs`, which never lets a missing system program pass silently."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# program -> where it may be besides PATH
PLACES = {"mosquitto": ("/usr/sbin/mosquitto",), "unifont": ("/usr/share/unifont/unifont.hex",)}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        (program,) = marker.args
        if shutil.which(program) or any(Path(place).exists() for place in PLACES.get(program, ())):
            continue
        reason = f"needs {program}, which is not installed (on Debian: apt install {program})"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
