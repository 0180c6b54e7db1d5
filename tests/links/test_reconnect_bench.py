"""bench/reconnect.py counts what a fleet sends after an outage: all of it, once, and in the form that it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_terminal_comes_back_once_and_brings_what_it_queued_and_its_state() -> None:
    command = [sys.executable, str(ROOT / "bench" / "reconnect.py"), "--terminals", "3", "--queued", "6", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    told = json.loads(run.stdout)
    assert [row["outage_s"] for row in told["outages"]] == [2, 60, 3600]
    for row in told["outages"]:
        assert row["connections"]["total"] == 3 and row["messages"]["total"] == 3 * (6 + 1)
        for counted in (row["connections"], row["messages"]):
            assert 1 <= counted["ratio"] and counted["mean_per_s"] <= counted["peak_per_s"]
