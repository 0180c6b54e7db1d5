"""What goes on a device: the files that a board's manifest.py lists, and the signed list of them; with what may befall them there.

A Linux terminal has no such manifest.py: whole packages go there, as a wheel.
"""

from __future__ import annotations

import base64
import functools
import os
import shutil
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from firmware_agent import VERSION
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.selftest.firmware_image import MANIFEST_NAME, SIGNED_FOR, manifest_payload
from host_sim.boards import board_folders
from host_sim.chips.faces import Chip, Fault

if TYPE_CHECKING:
    from hal.secure_element import SecureElement

SOURCE = Path(__file__).parent.parent
PACKAGES = ("firmware_agent", "hal")  # of which everything goes on a Linux terminal, and of its board
WHEEL = "Wheel-Version: 1.0\nGenerator: reinstate\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
# The libraries are those of the environment that the package manager has made: a release names none.
METADATA = "Metadata-Version: 2.1\nName: reinstate\nVersion: {version}\nRequires-Python: >=3.11\n"
COMMANDS = "[console_scripts]\nreinstate-agent = boards.{board}.main:main\n"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the first there is: the same program is the same wheel


@functools.cache
def listed_files(board: str) -> dict[str, Path]:
    """Path on the device -> file here, by the board's manifest.py: a program in the manifest language of MicroPython's build tools."""
    folder = board_folders()[board]
    if not (folder / "manifest.py").exists():
        return _whole_packages(board, folder)
    listed: dict[str, Path] = {}

    def include(manifest_path: str) -> None:
        manifest = Path(manifest_path).resolve()
        before = Path.cwd()
        os.chdir(manifest.parent)  # where the build tools run it
        try:
            names = dict(language)
            exec(compile(manifest.read_text(encoding="utf-8"), str(manifest), "exec"), names)
            for path, file in names.get("DATA", {}).items():  # which that language has no word for
                listed[path] = Path(file).resolve()
        finally:
            os.chdir(before)

    def package(package_path: str, files: list[str], base_path: str = ".") -> None:
        for file in files:
            listed[f"{package_path}/{file}"] = Path(base_path, package_path, file).resolve()

    def module(module_path: str, base_path: str = ".") -> None:
        listed[module_path] = Path(base_path, module_path).resolve()

    language: dict[str, Any] = {"metadata": lambda **facts: None, "include": include, "package": package, "module": module}
    include(str(folder / "manifest.py"))
    return listed


def _whole_packages(board: str, folder: Path) -> dict[str, Path]:
    places = {package: SOURCE / package for package in PACKAGES} | {f"boards/{board}": folder}
    listed = {
        f"{package}/{path.relative_to(place).as_posix()}": path
        for package, place in places.items()
        for path in sorted(place.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return listed | {"boards/__init__.py": SOURCE / "boards" / "__init__.py"}


def install(board: str, device: Path) -> None:
    """Copy a board's files to a folder that is to be the device's file system."""
    for path, source in listed_files(board).items():
        target = device / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def release(board: str, folder: Path, version: str) -> None:
    """Put a board's program there as a release of that version; what was there goes. It is not signed yet."""
    shutil.rmtree(folder, ignore_errors=True)
    install(board, folder)
    about = folder / "firmware_agent" / "__init__.py"
    about.write_text(about.read_text(encoding="utf-8").replace(f'"{VERSION}"', f'"{version}"'), encoding="utf-8")


def describe(board: str, folder: Path, version: str) -> None:
    """Put beside a Linux terminal's program what makes a wheel of it, all but its own list (packaging.python.org, "Binary distribution
    format").
    """
    about = folder / f"reinstate-{version}.dist-info"
    about.mkdir()
    (about / "WHEEL").write_text(WHEEL, encoding="utf-8")
    (about / "METADATA").write_text(METADATA.format(version=version), encoding="utf-8")
    (about / "entry_points.txt").write_text(COMMANDS.format(board=board), encoding="utf-8")


def pack(folder: Path, version: str, target: Path) -> Path:
    """The wheel of a program that was described, made in `target`."""
    wheel = target / f"reinstate-{version}-py3-none-any.whl"
    record = f"reinstate-{version}.dist-info/RECORD"
    lines = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name, content = path.relative_to(folder).as_posix(), path.read_bytes()
                digest = base64.urlsafe_b64encode(sha256(content).digest()).decode().rstrip("=")
                lines.append(f"{name},sha256={digest},{len(content)}\n")
                archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), content)
        archive.writestr(zipfile.ZipInfo(record, ZIP_TIME), "".join(lines) + f"{record},,\n")
    return wheel


async def signed_manifest(device: Path, element: SecureElement, slot: int, public_key: bytes, version: str = VERSION) -> bytes:
    """The manifest of all files in that folder, signed by the key in that slot of the element."""
    files = {
        path.relative_to(device).as_posix(): sha256(path.read_bytes()).digest()
        for path in sorted(device.rglob("*"))
        if path.is_file() and path.name != MANIFEST_NAME
    }
    return await sign(element, slot, key_id(public_key), manifest_payload(version, files), SIGNED_FOR)


class Image(Chip):
    """The files on one device. A fault alters this device's own copy; switched off, the file is as it was."""

    FAULTS = {
        "changed_file": Fault("a file of the program has other content than what was installed", "file_changed", "firmware"),
        "missing_file": Fault("a file of the program is gone", "file_missing", "firmware"),
        "added_file": Fault("a file was added that is imported in the place of another", "file_added", "firmware"),
        "forged_manifest": Fault("the list of the files was altered", "manifest_wrong", "firmware"),
    }
    # With each of these the program runs as before: nobody would notice.
    FILES: ClassVar[dict[str, str]] = {
        "changed_file": "firmware_agent/__init__.py",
        "missing_file": "boards/__init__.py",
        "added_file": "lib/asyncio.py",
        "forged_manifest": MANIFEST_NAME,
    }

    def __init__(self, device: Path) -> None:
        super().__init__(lambda: 0)
        self.device = device
        self._kept: dict[str, bytes] = {}

    def fault(self, name: str, on: bool = True) -> None:
        if on == self.has(name):
            return
        super().fault(name, on)
        path = self.FILES[name]
        place = self.device / path
        if not on:
            if name == "added_file":
                shutil.rmtree(place.parent)
            else:
                place.write_bytes(self._kept.pop(path))
        elif name == "added_file":
            place.parent.mkdir()
            place.write_text("# not from the maker\n")
        else:
            content = place.read_bytes()
            self._kept[path] = content
            if name == "missing_file":
                place.unlink()
            elif name == "changed_file":
                place.write_bytes(content + b"\n# \n")
            else:
                place.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
