"""A newer program: a wheel with its signed list beside it. Nothing of it is installed before that list, and every file by it, is good.

Each program has an environment of its own, a slot as on a microcontroller, below the first one, whose libraries it borrows. One link, the
command's, says which of them runs: it is replaced by a single rename, when all else is on the disk. The one before stays for a way back.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import venv
import zipfile
import zlib

from firmware_agent.boot.slots import SLOTS, slot_of
from firmware_agent.boot.update import UpdateError, judged
from firmware_agent.boot.versions import is_newer
from firmware_agent.prevention.reminders import firmware_required
from firmware_agent.selftest.firmware_image import MANIFEST_NAME, MOST_FILES, compare, manifest_of
from firmware_agent.settings import Settings
from hal.drivers.linux.linux_clock import LinuxClock
from hal.files import Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware_agent.terminal import Terminal

NAME = "reinstate-agent"
BEFORE = "before"  # beside the slots: a link to the command that ran before the last change
LIBRARIES = "libraries.pth"  # of a slot: where its libraries are
MOST_BYTES = 64 << 20  # of a program, unpacked
INSTALL_S = 300
START_S = 60


class Place:
    """Where programs are on this machine. link: the command; base: the first environment, which the package manager has made."""

    def __init__(self, link: str, prefix: str = sys.prefix) -> None:
        self.link = link
        self.base = os.path.dirname(prefix) if slot_of(prefix) else prefix
        if not os.path.islink(link) or not os.path.realpath(link).startswith(os.path.realpath(self.base) + "/"):
            raise UpdateError("no_link", "%s is no link to the command in %s" % (link, self.base))

    @property
    def spare(self) -> str:
        """A slot that the command does not lead to, as a folder; if there is a choice, not the one that it led to before."""
        taken = [os.path.realpath(place) for place in (self.link, self.base + "/" + BEFORE)]
        free = [self.base + "/" + slot for slot in SLOTS]
        for command in taken:
            left = [folder for folder in free if not command.startswith(os.path.realpath(folder) + "/")]
            free = left or free
        return free[0]

    def switch(self, command: str) -> None:
        """The command leads there from now on. Whatever the power does, it leads to a program that is whole on the disk."""
        os.sync()
        _link(os.path.realpath(self.link), self.base + "/" + BEFORE)
        _link(command, self.link)

    def back(self) -> str:
        """Exchange the program for the one before it; gives its command. Raises UpdateError."""
        before = os.path.realpath(self.base + "/" + BEFORE)
        if not os.access(before, os.X_OK) or before == os.path.realpath(self.link):
            raise UpdateError("nothing_there", "there is no program to go back to")
        self.switch(before)
        return before


def own_copy(wheel: str, folder: str) -> str:
    """Copy the wheel and the list that lies beside it there, and unpack them in `program`, for `approved`: what is judged is what is
    installed, whoever may write to the place that they came from. Nothing of it is run. Gives the copy. Raises UpdateError, OSError.
    """
    own = folder + "/" + os.path.basename(wheel)
    listed = os.path.join(os.path.dirname(wheel), MANIFEST_NAME)
    shutil.copyfile(wheel, own)
    if not os.path.exists(listed):
        raise UpdateError("nothing_there", "%s: the signed list is not there" % listed)
    shutil.copyfile(listed, folder + "/" + MANIFEST_NAME)
    try:
        with zipfile.ZipFile(own) as archive:
            files = archive.infolist()
            if len(files) > 2 * MOST_FILES or sum([file.file_size for file in files]) > MOST_BYTES:
                raise UpdateError("file_added", "%s is too large for a program" % wheel)
            archive.extractall(folder + "/program")
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError):  # RuntimeError: encrypted, or packed in an unknown way
        raise UpdateError("nothing_there", "%s is no wheel" % wheel) from None
    shutil.copyfile(folder + "/" + MANIFEST_NAME, folder + "/program/" + MANIFEST_NAME)
    return own


async def approved(terminal: "Terminal", folder: str) -> "tuple[str, dict[str, bytes]]":
    """(version, path -> SHA-256) of the program unpacked there, which is what the acquirer has signed, newer than the one that runs, and
    no older than what is required. The acquirer is told. Raises UpdateError, StoreError, DeviceError.
    """
    try:
        version, listed = await _judged(terminal, Files(folder))
    except UpdateError as error:
        terminal.tell([("event", {"name": "update_refused", "detail": ("%s %s" % (error.code, error)).strip()})])
        raise
    terminal.tell([("event", {"name": "update_verified", "detail": version})])
    return version, listed


async def _judged(terminal: "Terminal", files: Files) -> "tuple[str, dict[str, bytes]]":
    hal, keys = terminal.hal, terminal.identity.acquirer_keys
    version = await judged(files, hal.secure_element, keys, hal.clock, hal.board)
    manifest = await manifest_of(files, hal.secure_element, keys)
    assert manifest is not None  # it was judged just now
    listed = manifest[1]
    required = firmware_required(Settings(terminal.store))
    if required and is_newer(required, version):
        raise UpdateError("not_newer", "version %s, and %s is required" % (version, required))
    # What is installed could be loaded in the place of what is listed, whatever its name ends in. A wheel's RECORD cannot list itself.
    for path in _paths(files.root):
        if path not in listed and path not in ("reinstate-%s.dist-info/RECORD" % version, MANIFEST_NAME):
            raise UpdateError("file_added", path)
    return version, listed


def install(place: Place, wheel: str, version: str, listed: "dict[str, bytes]") -> None:
    """Into the spare slot, and have the command lead there. Raises UpdateError: the program is the one that it was."""
    slot = place.spare
    shutil.rmtree(slot, ignore_errors=True)
    venv.EnvBuilder(symlinks=True).create(slot)
    python = slot + "/bin/python"
    site = slot + "/lib/python%d.%d/site-packages" % sys.version_info[:2]
    with open(site + "/" + LIBRARIES, "w", encoding="utf-8") as file:
        file.write("import site; site.addsitedir(%r)\n" % (place.base + site[len(slot) :]))
    pip = [python, "-m", "pip", "--isolated", "--disable-pip-version-check", "--no-cache-dir", "install", "--quiet"]
    _done([*pip, "--no-deps", "--no-index", "--ignore-installed", "--root-user-action=ignore", wheel], INSTALL_S)
    shutil.copyfile(os.path.join(os.path.dirname(wheel), MANIFEST_NAME), site + "/" + MANIFEST_NAME)
    code, path, _ = asyncio.run(compare(Files(site), listed, LinuxClock()))
    if code:
        raise UpdateError(code, path)
    command = slot + "/bin/" + NAME
    if _done([command, "--version"], START_S).split() != [NAME, version]:
        raise UpdateError("not_judged", "the new program does not say that it is version " + version)
    place.switch(command)


@contextlib.contextmanager
def workshop(base: str) -> "Iterator[str]":
    """A folder to unpack in, which the agent's user may read."""
    folder = base + "/update.new"
    shutil.rmtree(folder, ignore_errors=True)  # of one that was cut off
    os.mkdir(folder, 0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _paths(folder: str) -> "list[str]":
    """Of all files below a folder."""
    found = []
    for place, _, names in os.walk(folder):
        found += [os.path.relpath(place + "/" + name, folder) for name in names]
    return sorted(found)


def _done(command: "list[str]", limit_s: int) -> str:
    """What it says. Raises UpdateError with its last line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=limit_s, check=False, stdin=subprocess.DEVNULL, env=environment
        )
    except subprocess.TimeoutExpired:
        raise UpdateError("not_judged", "%s did not end within %d s" % (command[0], limit_s)) from None
    if run.returncode:
        last = (run.stderr.strip() or run.stdout.strip() or "no reason given").split("\n")[-1]
        raise UpdateError("not_judged", "the new program cannot be installed: " + last)
    return run.stdout


def _link(target: str, link: str) -> None:
    """Have the link lead there: it leads to where it did, or to the new place."""
    new = link + ".new"
    if os.path.lexists(new):
        os.remove(new)
    os.symlink(target, new)
    os.replace(new, link)
    folder = os.open(os.path.dirname(link), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
