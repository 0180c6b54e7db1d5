"""`reinstate-agent update`: what the acquirer has signed is installed into an environment of its own, and nothing else ever is."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from boards.linux_terminal.main import main
from boards.linux_terminal.process import sole_use
from boards.linux_terminal.update import BEFORE
from firmware_agent.selftest.firmware_image import MANIFEST_NAME
from firmware_agent.settings import Settings
from firmware_agent.store import Store
from hal.drivers.file_storage import FileStorage
from hal.files import Files
from host_sim.acquirer.office import Office
from host_sim.cli import main as reinstate
from host_sim.firmware import pack

LIMIT_S = 200
RUNS = "0.1.0"  # what the first environment has


class Machine:
    """A Linux machine as its package manager left it: the first environment, with the command's link, and a terminal that is enrolled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = folder / "base"
        self.link = folder / "bin" / "reinstate-agent"
        self.configuration = folder / "agent.toml"
        self.state = folder / "state"
        self.office = folder / "office"

    def set_up(self) -> None:
        (self.folder / "keys").mkdir(mode=0o700)
        self.configuration.write_text(
            f'[terminal]\nstate = "{self.state}"\n[secure_element]\npart = "key_file"\nfolder = "{self.folder / "keys"}"\n'
        )
        assert reinstate(["acquirer", str(self.office), "--broker", "localhost:8883"]) == 0
        venv.EnvBuilder(symlinks=True).create(self.base)
        site = next(self.base.glob("lib/python3*/site-packages"))
        (site / "libraries.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        pip = [str(self.base / "bin/python"), "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--ignore-installed"]
        first = self.release(RUNS)
        subprocess.run([*pip, "--root-user-action=ignore", str(first)], check=True, timeout=LIMIT_S, env=clean(), cwd=self.folder)
        self.link.parent.mkdir()
        self.link.symlink_to(self.base / "bin" / "reinstate-agent")
        request, credentials = self.folder / "request", self.folder / "credentials"
        for word, file in (("request", request), ("enrol", credentials)):
            if word == "enrol":
                credentials.write_bytes(asyncio.run(Office(self.office).enrol(request.read_bytes(), "T0000001", {})))
            assert main([word, str(file), "--config", str(self.configuration)]) == 0

    def release(self, version: str, office: Path | None = None) -> Path:
        """The wheel of that version, its signed list beside it."""
        out = self.folder / f"release-{version}-{office.name if office else 'own'}"
        if not out.exists():
            assert (
                reinstate(["release", str(office or self.office), "--board", "linux_terminal", "--version", version, "-o", str(out)]) == 0
            )
        return out / f"reinstate-{version}-py3-none-any.whl"

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self._done([str(self.link), *map(str, arguments)])

    def update(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.run("update", *arguments, "--command", self.link, "--config", self.configuration)

    def cut_off(self, defect: str, wheel: Path) -> None:
        """An update whose power goes, as the statements of `defect` have it."""
        rest = f"from boards.linux_terminal.main import main; main(['update', {str(wheel)!r}, '--command', {str(self.link)!r}, "
        rest += f"'--config', {str(self.configuration)!r}])"
        assert self._done([str(self.base / "bin/python"), "-c", defect + rest]).returncode == 9

    def _done(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=clean(), cwd=self.folder, umask=0o077
        )

    @property
    def version(self) -> str:
        """That the command's next start runs."""
        return self.run("--version").stdout.strip().removeprefix("reinstate-agent ")


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@pytest.fixture(scope="module")
def as_installed(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    machine.set_up()
    return machine


@pytest.fixture
def machine(as_installed: Machine) -> Iterator[Machine]:
    """As it was installed, whatever the test before has done to it."""
    kept = as_installed.folder / "state.kept"
    shutil.copytree(as_installed.state, kept)
    yield as_installed
    shutil.rmtree(as_installed.state)
    kept.rename(as_installed.state)
    for name in ("slot_a", "slot_b", "update.new"):
        shutil.rmtree(as_installed.base / name, ignore_errors=True)
    (as_installed.base / BEFORE).unlink(missing_ok=True)
    as_installed.link.unlink()
    as_installed.link.symlink_to(as_installed.base / "bin" / "reinstate-agent")


def test_what_the_acquirer_has_signed_runs_from_the_next_start_on_and_what_ran_before_is_kept(machine: Machine) -> None:
    done = machine.update(machine.release("0.2.0"))
    assert done.returncode == 0, done.stderr
    assert machine.version == "0.2.0" and machine.link.resolve().is_relative_to(machine.base / "slot_a")
    assert all(path.stat().st_mode & 0o004 for path in machine.link.resolve().parents[1].rglob("*"))  # the agent's user runs it
    tested = machine.run("selftest", "--only", "firmware", "--config", machine.configuration)  # by the list that came with it
    assert "firmware" in tested.stdout and "pass" in tested.stdout.splitlines()[0], tested.stdout + tested.stderr
    assert machine.update(machine.release("0.3.0")).returncode == 0
    assert machine.version == "0.3.0" and machine.link.resolve().is_relative_to(machine.base / "slot_b")
    assert machine.update("--back").returncode == 0
    assert machine.version == "0.2.0"
    assert machine.update("--back").returncode == 0
    assert machine.version == "0.3.0"
    assert machine.update(machine.release("0.4.0")).returncode == 0
    assert machine.update("--back").returncode == 0
    assert machine.version == "0.3.0"


def altered(wheel: Path, into: Path, path: str, content: bytes) -> Path:
    """A wheel that was made anew with that file, and the list of the other one beside it."""
    program = into / "program"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(program)
        version = wheel.name.split("-")[1]
    (program / f"reinstate-{version}.dist-info" / "RECORD").unlink()
    (program / path).parent.mkdir(parents=True, exist_ok=True)
    (program / path).write_bytes(content)
    shutil.copy(wheel.parent / MANIFEST_NAME, into / MANIFEST_NAME)
    return pack(program, version, into)


def refused(machine: Machine, wheel: Path, *said: str) -> None:
    """In one line, with exit code 1, and nothing was changed."""
    done = machine.update(wheel)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1 and all(words in done.stderr for words in said), done.stderr
    assert machine.version == RUNS and not (machine.base / "slot_a").exists() and not (machine.base / BEFORE).exists()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("firmware_agent/agent.py", "file_changed: firmware_agent/agent.py"),
        ("boards/linux_terminal/agent.toml", "file_changed: boards/linux_terminal/agent.toml"),
        ("reinstate-0.2.0.dist-info/entry_points.txt", "file_changed: "),
        ("cryptography/__init__.py", "file_added: cryptography"),
        ("firmware_agent/agent.cpython-311-x86_64-linux-gnu.so", "file_added: firmware_agent/agent.cpython"),
        ("firmware_agent/__pycache__/agent.cpython-311.pyc", "file_added: firmware_agent/__pycache__/agent"),
        ("reinstate-0.2.0.data/scripts/sh", "file_added: "),
        ("site.pth", "file_added: site.pth"),
    ],
)
def test_a_wheel_with_a_file_that_is_not_as_signed_is_refused(machine: Machine, tmp_path: Path, path: str, said: str) -> None:
    refused(machine, altered(machine.release("0.2.0"), tmp_path, path, b"# not the acquirer's\n"), said)


def test_a_list_that_is_not_there_or_altered_or_signed_by_somebody_else_is_refused(machine: Machine, tmp_path: Path) -> None:
    wheel = Path(shutil.copy(machine.release("0.2.0"), tmp_path))
    refused(machine, wheel, "nothing_there", MANIFEST_NAME)
    listed = (machine.release("0.2.0").parent / MANIFEST_NAME).read_bytes()
    (tmp_path / MANIFEST_NAME).write_bytes(listed[:-1] + bytes([listed[-1] ^ 1]))
    refused(machine, wheel, "manifest_wrong", "the signature is wrong")
    other = tmp_path / "other"
    assert reinstate(["acquirer", str(other), "--broker", "localhost:8883"]) == 0
    refused(machine, machine.release("0.2.0", other), "manifest_wrong", "signed by an unknown key")


def test_what_is_no_newer_or_older_than_required_or_no_wheel_is_refused(machine: Machine, tmp_path: Path) -> None:
    refused(machine, machine.release(RUNS), "not_newer", f"version {RUNS}, and {RUNS} runs")
    refused(machine, machine.release("0.0.9"), "not_newer", "version 0.0.9")
    store = Store(FileStorage(Files(str(machine.state))))
    store.open()
    Settings(store).set("firmware_required", "0.4.0")
    refused(machine, machine.release("0.2.0"), "not_newer", "0.4.0 is required")
    (tmp_path / "x.whl").write_text("no wheel")
    (tmp_path / MANIFEST_NAME).write_text("no list")
    refused(machine, tmp_path / "x.whl", "is no wheel")
    wheel = machine.release("0.2.0").read_bytes()
    (tmp_path / "x.whl").write_bytes(wheel[: len(wheel) // 2])
    refused(machine, tmp_path / "x.whl", "is no wheel")
    (tmp_path / "x.whl").write_bytes(wheel[:2000] + bytes(200) + wheel[2200:])
    refused(machine, tmp_path / "x.whl", "is no wheel")
    refused(machine, tmp_path / "missing.whl", "missing.whl: No such file or directory")


def test_the_acquirer_is_told_of_both(machine: Machine, tmp_path: Path) -> None:
    refused(machine, altered(machine.release("0.2.0"), tmp_path, "site.pth", b""), "file_added")
    assert machine.update(machine.release("0.2.0")).returncode == 0
    kept = b"".join(path.read_bytes() for path in machine.state.iterdir() if path.is_file())
    assert b"file_added site.pth" in kept and b"update_refused" in kept and b"update_verified" in kept


def test_while_the_agent_runs_nothing_is_installed(machine: Machine) -> None:
    with sole_use(str(machine.state)):
        done = machine.update(machine.release("0.2.0"))
    assert done.returncode == 2 and "is in use by another agent" in done.stderr and machine.version == RUNS


def test_a_command_that_is_no_link_is_left_alone(machine: Machine, tmp_path: Path) -> None:
    other = tmp_path / "reinstate-agent"
    other.write_text("#!/bin/sh\n")
    done = machine.run("update", machine.release("0.2.0"), "--command", other, "--config", machine.configuration)
    assert done.returncode == 1 and "is no link" in done.stderr and other.read_text() == "#!/bin/sh\n"
    assert "nothing_there" in machine.update("--back").stderr


DIES = """
import os, shutil, subprocess
real, left = {call}, [{number}]
def dies(*words, **options):
    left[0] -= 1
    if left[0] == 0 and {after}:
        real(*words, **options)
    return os._exit(9) if left[0] == 0 else real(*words, **options)
{call} = dies
"""


@pytest.mark.parametrize(
    ("call", "number", "after", "runs"),
    [
        ("subprocess.run", 1, False, RUNS),  # the environment is there, and empty
        ("subprocess.run", 1, True, RUNS),  # the program is there, and its list not yet
        ("os.sync", 1, False, RUNS),
        ("os.replace", 1, True, RUNS),  # the way back is known
        ("os.replace", 2, False, RUNS),
        ("os.replace", 2, True, "0.2.0"),
    ],
)
def test_a_power_cut_leaves_the_old_program_or_the_new_one_and_the_next_try_goes_through(
    machine: Machine, call: str, number: int, after: bool, runs: str
) -> None:
    wheel = machine.release("0.2.0")
    machine.cut_off(DIES.format(call=call, number=number, after=after), wheel)
    assert machine.version == runs
    assert machine.update(wheel if runs == RUNS else machine.release("0.3.0")).returncode == 0
    assert machine.version == ("0.2.0" if runs == RUNS else "0.3.0")
