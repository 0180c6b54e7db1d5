"""The folder in which a session outlasts the simulator: one simulator holds it, and one small file says what is in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from host_sim.desktop.command import SimulatorError
from host_sim.linux.disk import unmount_in
from host_sim.whole_file import write_whole
from host_sim.world import KeptShop

FORMAT = 1  # of the manifest and of all that lies beside it: another one is not read
MANIFEST, LOCK = "session.json", "lock"
OURS = re.compile(r"s\d+")  # folders of terminals
OF_A_DEVICE = re.compile(r"(first|second)\d+")


@dataclass
class KeptTerminal:
    """folder: of its shop; since: number of the last message in the registry that is of a device before it; code, notices, decided: what
    the acquirer did last, as in Actions; decisions: on applications, by their numbers.
    """

    folder: str
    board: str
    runtime: str
    language: str
    since: int
    shop: KeptShop
    code: str = ""
    notices: int = 0
    decided: int = 0
    decisions: dict[str, str] = field(default_factory=dict)


@dataclass
class Kept:
    """next_number: of the next terminal."""

    next_number: int = 1
    terminals: dict[str, KeptTerminal] = field(default_factory=dict)


class StateFolder:
    """kept: what the manifest said when the folder was opened."""

    def __init__(self, folder: Path, kept: Kept) -> None:
        self.folder = folder
        self.kept = kept
        self._written = b""

    def write(self, kept: Kept) -> None:
        content = json.dumps({"format": FORMAT} | asdict(kept), indent=1, ensure_ascii=False).encode()
        if content != self._written:
            write_whole(self.folder / MANIFEST, content)
            self._written = content

    def new_folder(self) -> Path:
        """For a terminal; it is not there yet."""
        number = 1
        while (self.folder / f"s{number}").exists():
            number += 1
        return self.folder / f"s{number}"

    def sweep(self) -> None:
        """Terminals and devices that were removed, or half made when a simulator was killed, go."""
        devices = {terminal.folder: set(terminal.shop.devices.values()) for terminal in self.kept.terminals.values()}
        for folder in self.folder.iterdir():
            if OURS.fullmatch(folder.name) and folder.name not in devices:
                unmount_in(folder)
                shutil.rmtree(folder)
            for device in folder.iterdir() if folder.name in devices else ():
                if OF_A_DEVICE.fullmatch(device.name) and device.name not in devices[folder.name]:
                    shutil.rmtree(device)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[StateFolder]:
    """An empty folder, one that is not there yet, or one of an earlier session; nobody else opens it meanwhile. Raises SimulatorError, and
    has changed nothing then.
    """
    folder = folder.resolve()  # what is started in it has folders of its own to start from
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / MANIFEST).exists() and {file.name for file in folder.iterdir()} - {LOCK, MANIFEST + ".new"}:
                raise SimulatorError(f"{folder} is not empty, and holds no session; name a folder that is, or that is not there yet")
            lock = held.enter_context((folder / LOCK).open("a+"))
            _hold(lock, folder)
            state = StateFolder(folder, _read(folder / MANIFEST) if (folder / MANIFEST).exists() else Kept())
            state.write(state.kept)  # first of all: whatever is there later is known to be of a session
            state.sweep()
        except OSError as error:
            raise SimulatorError(f"{folder} cannot be used: {error.strerror or error}") from error
        yield state


def _hold(lock: TextIO, folder: Path) -> None:
    """Until it is closed, or this process ends, however that ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise SimulatorError(f"{folder} is in use by another simulator (process {lock.read()}); end it, or name another folder") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


def _read(manifest: Path) -> Kept:
    try:
        told = json.loads(manifest.read_bytes())
        written_as = told.pop("format")
        if written_as == FORMAT:
            terminals = {
                number: KeptTerminal(**facts | {"shop": KeptShop(**facts["shop"])}) for number, facts in told.pop("terminals").items()
            }
            return Kept(terminals=terminals, **told)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SimulatorError(f"{manifest} cannot be read ({error}); the folder is left as it is: name another one") from error
    versions = f"format {written_as}, where this one has {FORMAT}"
    raise SimulatorError(f"{manifest.parent} is of another version of the simulator ({versions}); it is left as it is: name another folder")
