"""`reinstate sim`: begins with one line, says in one line why it cannot, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

LIMIT_S = 60.0
END_S = 5.0


@contextlib.contextmanager
def started(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command with these arguments, and the address that it prints."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-m", "host_sim.cli", "sim", "--port", "0", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=kept | environment, start_new_session=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"reinstate sim: (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", line)
        assert found, (line, process.stderr.read() if process.stderr and not line else "")
        yield process, found[1]
    finally:
        process.kill()
        process.communicate(timeout=LIMIT_S)


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "host_sim.cli", "sim", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def in_session(leader: int) -> list[str]:
    """Processes that the command started, or that were started by those."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            facts = status.read_text().rpartition(")")[2].split()
            if int(facts[3]) == leader and facts[0] != "Z" and status.parent.name != str(leader):
                found.append((status.parent / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.needs("micropython")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_by_itself_with_all_that_it_started_while_a_page_is_open(ending: signal.Signals) -> None:
    with started("--runtime", "micropython", "--lang", "en") as (process, address), httpx.Client(base_url=address) as client:
        assert client.post("api/terminals/T0000001/steps", json={"verb": "boot"}).status_code == 200
        with client.stream("GET", "api/live") as stream:
            assert next(stream.iter_lines()).startswith("id: ")
            assert any("micropython" in command for command in in_session(process.pid))
            began = time.monotonic()
            process.send_signal(ending)
            assert process.wait(LIMIT_S) == 0
        assert time.monotonic() - began < END_S
        assert in_session(process.pid) == []
        assert process.stderr is not None and "Traceback" not in process.stderr.read()


def test_it_ends_while_somebody_waits_for_an_answer_that_does_not_come() -> None:
    with (
        started("--no-browser", "--runtime", "cpython", "--lang", "en") as (process, address),
        httpx.Client(base_url=address, timeout=LIMIT_S) as client,
    ):

        def do(verb: str, argument: str) -> httpx.Response:
            return client.post("api/terminals/T0000001/steps", json={"verb": verb, "argument": argument})

        assert client.post("api/terminals/T0000001/steps", json={"verb": "boot"}).status_code == 200
        assert do("uplink", "cut").status_code == 200
        with ThreadPoolExecutor(1) as pool, client.stream("GET", "api/live") as stream:
            waiting = pool.submit(do, "hostile", "unsigned")
            assert any("sends an order: unsigned" in line for line in stream.iter_lines())
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT_S) == 0
        assert time.monotonic() - began < END_S
        assert (waiting.result().status_code, waiting.result().json()) == (409, {"error": "the simulator ends"})
        assert process.stderr is not None and process.stderr.read() == ""


def test_without_a_browser_it_says_so_and_goes_on() -> None:
    with started("--runtime", "cpython") as (process, address):
        assert httpx.get(address + "api/terminals").json()[0]["id"] == "T0000001"
        assert process.stderr is not None
        assert process.stderr.readline() == "reinstate sim: no browser was found here; open that address in yours\n"


def test_without_micropython_it_says_so_and_goes_on_with_cpython() -> None:
    with started("--no-browser", MICROPYTHON="/nowhere/micropython") as (process, address):
        (missing,) = httpx.get(address + "api/choices").json()["missing_runtimes"]
        assert missing["runtime"] == "micropython" and "/nowhere/micropython" in missing["why"]
        assert httpx.get(address + "api/terminals").json()[0]["runtime"] == "cpython"
        assert process.stderr is not None
        assert process.stderr.readline() == f"reinstate sim: goes on with cpython: {missing['why']}\n"


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = ran("--port", str(port), "--runtime", "cpython")
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.startswith(f"reinstate: port {port} of 127.0.0.1 cannot be had") and ended.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    ended = ran("--port", port, "--runtime", "cpython")
    assert ended.returncode == 2 and f"port {port}" in ended.stderr and "Traceback" not in ended.stderr


def test_killed_while_a_terminal_is_on_it_goes_on_with_it_switched_off_and_nobody_else_does(tmp_path: Path) -> None:
    kept = ("--no-browser", "--runtime", "cpython", "--lang", "en", "--state", str(tmp_path / "desk"))
    with started(*kept) as (_, address), httpx.Client(base_url=address) as client:
        assert client.post("api/terminals/T0000001/steps", json={"verb": "boot"}).status_code == 200
        second = ran("--port", "0", *kept)
        assert second.returncode == 2 and "is in use by another simulator" in second.stderr and second.stderr.count("\n") == 1
    with started(*kept) as (process, address), httpx.Client(base_url=address) as client:
        (terminal,) = client.get("api/terminals").json()
        assert (terminal["id"], terminal["on"]) == ("T0000001", False)
        assert client.post("api/terminals/T0000001/steps", json={"verb": "boot"}).status_code == 200
        assert process.stderr is not None
        assert process.stderr.readline() == "reinstate sim: goes on with T0000001, switched off, as after a power cut\n"
        assert "has forgotten its sessions" in process.stderr.readline()


def test_a_port_that_a_terminal_was_told_of_and_somebody_else_has_is_named(tmp_path: Path) -> None:
    kept = ("--no-browser", "--runtime", "cpython", "--state", str(tmp_path))
    with started(*kept):
        pass
    manifest = (tmp_path / "session.json").read_bytes()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", json.loads(manifest)["terminals"]["T0000001"]["shop"]["uplink_port"]))
        taken.listen()
        ended = ran("--port", "0", *kept)
    assert ended.returncode == 2 and "T0000001" in ended.stderr and "cannot be had: Address already in use" in ended.stderr
    assert ended.stderr.count("\n") == 1 and (tmp_path / "session.json").read_bytes() == manifest


def test_a_registry_that_is_damaged_is_named_and_left(tmp_path: Path) -> None:
    with started("--no-browser", "--runtime", "cpython", "--state", str(tmp_path)):
        pass
    for file in tmp_path.glob("registry.sqlite*"):
        file.write_bytes(b"no database at all" * 100)
    ended = ran("--port", "0", "--no-browser", "--runtime", "cpython", "--state", str(tmp_path))
    assert ended.returncode == 2 and "the registry cannot be opened" in ended.stderr and "Traceback" not in ended.stderr
    assert (tmp_path / "s1" / "first1").is_dir()


def test_a_folder_that_is_not_empty_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    ended = ran("--port", "0", "--state", str(tmp_path), "--runtime", "cpython")
    assert ended.returncode == 2 and "is not empty" in ended.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
