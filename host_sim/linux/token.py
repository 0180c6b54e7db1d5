"""Secure elements of a Linux terminal: a PKCS#11 token, and a folder of key files.

Each terminal has a SoftHSM 2 of its own: the library reads once for each process which store it is to use, from the environment, and a
token that is being made in a store is in the way of who looks into it.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import subprocess
from binascii import crc32
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from host_sim.chips.faces import Fault
from host_sim.linux.interface import Interface

LIBRARIES = (  # of Debian, Fedora, and as built from source
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
ENVIRONMENT = "SOFTHSM2_CONF"  # by which the library finds its store
UTILITY_TIMEOUT_S = 20.0
PRIVATE_AT = 2  # where the private key begins in a key file
SOMEBODY = 65534  # a user that is not the agent's: nobody

# Attributes in SoftHSM's object files (pkcs11.h; OSAttributes.h), and bits of CK_TOKEN_INFO's flags.
CLASS, LABEL, ID, LOCAL, EC_POINT, TOKEN_FLAGS = 0x0, 0x3, 0x102, 0x163, 0x181, 0x8000534B
PUBLIC_KEY = 2
TRUTH, NUMBER, BYTES = 1, 2, 3  # sorts of values
COUNT_LOW, FINAL_TRY, PIN_LOCKED = 0x10000, 0x20000, 0x40000

_number = itertools.count(1)


class Token(Interface):
    """A token of SoftHSM. Its keys outlast the terminal's power; `stop` takes it out for good."""

    kind = "secure_element"
    part = "pkcs11"
    FAULTS: ClassVar[dict[str, Fault]] = {
        "unplugged": Fault("the token is not in its slot", "unplugged"),
        "wrong_pin": Fault("the file holds another PIN than the token's", "wrong_pin"),
        "pin_missing": Fault("the file with the PIN is gone", "wrong_pin"),
        "pin_open": Fault("others may read the file with the PIN", "no_permission"),
        "pin_unreadable": Fault("the file with the PIN belongs to somebody else", "no_permission"),
        "pin_locked": Fault("the token has locked its PIN after too many wrong ones", "locked"),
        "key_lost": Fault("there are no keys on the token any more", "key_missing"),
        "wrong_key": Fault("the token holds other keys than those made there: it is another token", "key_mismatch"),
    }

    def __init__(self, folder: Path, store: Path | None = None) -> None:
        """store: one that several tokens share, for drivers in one process; its own where there is none given."""
        super().__init__(folder)
        self._store = store or folder / "softhsm"
        self.label = f"terminal {os.getpid()}-{next(_number)}"
        self.pin = "28713904"
        self.pin_file = folder / "pin"

    async def start(self) -> None:
        """Raises OSError where there is no SoftHSM, with what it said if it fails."""
        if not self._store.exists():
            make_store(self._store)
        self._aside = self._store / "aside" / self.label  # where faults put what they take away; in the store, for moving at one stroke
        self._kept = _Kept(self._aside / "keys")
        await asyncio.to_thread(self._utility, "--init-token", "--free", "--label", self.label, "--so-pin", self.pin, "--pin", self.pin)
        (self._place,) = [path.parent for path in self._store.glob("tokens/*/token.object") if self.label.encode() in path.read_bytes()]
        self._write_pin()

    async def stop(self) -> None:
        if not self.has("unplugged"):
            self._place.rename(self._aside / "token")

    def section(self) -> dict[str, str | int | bool]:
        return {"module": library(), "token": self.label, "pin_file": str(self.pin_file)}

    def environment(self) -> dict[str, str]:
        return {ENVIRONMENT: str(self._store / "softhsm2.conf")}

    def fault(self, name: str, on: bool = True) -> None:
        if self.has(name) == on:
            return
        super().fault(name, on)
        if name == "unplugged":
            there, aside = self._place, self._aside / "token"
            (there if on else aside).rename(aside if on else there)
        elif name == "pin_locked":
            self.flag(PIN_LOCKED, on)
        elif name == "key_lost" or name == "wrong_key":
            if on:
                keys = self._public_keys()
                self._kept.take(self._key_files())
                if name == "wrong_key":
                    self._import_others(keys)
                    self._kept.put_in = self._key_files()
            else:
                self._kept.give_back(self._key_files)
            self._count_change()
        else:
            self._write_pin()

    # Back face.

    @property
    def keys(self) -> dict[int, bytes]:
        """The public keys of the newest generations, by slot."""
        return {int(label.rpartition(b".")[2]): point[3:] for label, _, point in sorted(self._public_keys())}

    def forget_keys(self) -> None:
        """As it was before the first key was made."""
        for path in self._key_files():
            path.unlink()
        self._count_change()

    def flag(self, bits: int, on: bool = True) -> None:
        """Set or clear flags that the token tells of itself (CK_TOKEN_INFO)."""
        path = self._place / "token.object"
        content = bytearray(path.read_bytes())
        at, flags = _attributes(content)[TOKEN_FLAGS]
        assert isinstance(flags, int)
        content[at : at + 8] = (flags | bits if on else flags & ~bits).to_bytes(8, "big")
        content[:8] = _next(content[:8])
        path.write_bytes(content)

    # The store.

    def _write_pin(self) -> None:
        """Another file each time, as an editor makes one."""
        self.pin_file.unlink(missing_ok=True)
        if self.has("pin_missing"):
            return
        new = self.folder / "pin.new"
        new.write_text(self.pin[::-1] if self.has("wrong_pin") else self.pin)
        new.chmod(0o644 if self.has("pin_open") else 0o600)
        if self.has("pin_unreadable"):
            _give_away(new)
        new.rename(self.pin_file)

    def _count_change(self) -> None:
        """By which a program that has looked before sees that there are other files."""
        count = self._place / "generation"
        count.write_bytes(_next(count.read_bytes()))

    def _key_files(self) -> list[Path]:
        return [path for path in self._place.glob("*.object") if path.name != "token.object"]

    def _public_keys(self) -> list[tuple[bytes, bytes, bytes]]:
        """Label, id, and point of each public key: what is private is not to be read in a file."""
        found = []
        for path in self._key_files():
            attributes = _attributes(path.read_bytes())
            if attributes[CLASS][1] == PUBLIC_KEY:
                label, id, point = (attributes[name][1] for name in (LABEL, ID, EC_POINT))
                assert isinstance(label, bytes) and isinstance(id, bytes) and isinstance(point, bytes)
                found.append((label, id, point))
        return found

    def _import_others(self, keys: list[tuple[bytes, bytes, bytes]]) -> None:
        """Pairs that were made elsewhere, with these labels and ids."""
        file = self.folder / "other.pem"
        for label, id, _ in keys:
            file.write_bytes(_new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            self._utility("--import", str(file), "--token", self.label, "--pin", self.pin, "--label", label.decode(), "--id", id.hex())
        file.unlink(missing_ok=True)
        for path in self._key_files():
            content = bytearray(path.read_bytes())
            content[_attributes(content)[LOCAL][0]] = 0xFF  # made inside, as that other token would say
            path.write_bytes(content)

    def _utility(self, *arguments: str) -> None:
        command = ["softhsm2-util", "--module", library(), *arguments]
        ended = subprocess.run(
            command, env={**os.environ, **self.environment()}, capture_output=True, text=True, timeout=UTILITY_TIMEOUT_S, check=False
        )
        if ended.returncode:
            raise OSError(f"softhsm2-util: {ended.stderr.strip() or ended.stdout.strip()}")


class KeyFolder(Interface):
    """A folder of key files, as hal/drivers/linux/key_file.py has them: 102 bytes in `key.<slot>.<generation>`."""

    kind = "secure_element"
    part = "key_file"
    FAULTS: ClassVar[dict[str, Fault]] = {
        "unmounted": Fault("the folder is not there: its disk is not mounted", "unplugged"),
        "folder_open": Fault("others may look into the folder", "no_permission"),
        "key_open": Fault("others may read the keys", "no_permission"),
        "key_unreadable": Fault("the files belong to somebody else", "no_permission"),
        "key_damaged": Fault("one bit of each key has changed", "key_damaged"),
        "key_lost": Fault("there are no keys in the folder any more", "key_missing"),
        "wrong_key": Fault("there are other keys in the folder than those made there", "key_mismatch"),
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.place = folder / "keys"

    async def start(self) -> None:
        self.place.mkdir(mode=0o700, exist_ok=True)
        self._kept = _Kept(self.folder / "kept")

    def section(self) -> dict[str, str | int | bool]:
        return {"folder": str(self.place)}

    def fault(self, name: str, on: bool = True) -> None:
        if self.has(name) == on:
            return
        super().fault(name, on)
        if name == "unmounted":
            aside = self.folder / "disk"
            (self.place if on else aside).rename(aside if on else self.place)
        elif name == "folder_open":
            self.place.chmod(0o755 if on else 0o700)
        elif name == "key_open":
            for path in self._key_files():
                path.chmod(0o644 if on else 0o600)
        elif name == "key_unreadable":
            for path in self._key_files():
                (_give_away if on else _take_back)(path)
        elif not on:
            self._kept.give_back(self._key_files)
        else:
            for path in self._kept.take(self._key_files()):
                content = bytearray(path.read_bytes())
                if name == "key_damaged":
                    content[PRIVATE_AT] ^= 0x10
                    self._put_in(path.name, content)
                elif name == "wrong_key":
                    self._put_in(path.name, _record(content[1]))

    # Back face.

    @property
    def keys(self) -> dict[int, bytes]:
        """The public keys of the newest generations, by slot."""
        contents = [path.read_bytes() for path in sorted(self._key_files(), key=lambda path: int(path.suffix[1:]))]
        return {content[1]: content[34:98] for content in contents}

    def forget_keys(self) -> None:
        """As it was before the first key was made."""
        for path in self._key_files():
            path.unlink()

    def _key_files(self) -> list[Path]:
        return list(self.place.glob("key.*"))

    def _put_in(self, name: str, content: bytes | bytearray) -> None:
        path = self.place / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        self._kept.put_in.append(path)


class _Kept:
    """Key files that a fault has taken out of their place, and what it has put in instead."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._place = folder
        self.put_in: list[Path] = []

    def take(self, files: list[Path]) -> list[Path]:
        """Where they are now."""
        for path in files:
            self._place = path.parent
            path.rename(self._folder / path.name)
        return list(self._folder.iterdir())

    def give_back(self, present: Callable[[], list[Path]]) -> None:
        """The fault is mended: what was put in goes, and the old keys are there again, unless new ones were made meanwhile."""
        for path in self.put_in:
            path.unlink(missing_ok=True)
        self.put_in = []
        renewed = bool(present())
        for path in self._folder.iterdir():
            if renewed:
                path.unlink()
            else:
                path.rename(self._place / path.name)


@functools.cache
def library() -> str:
    """Where SoftHSM's library lies. Raises OSError."""
    for path in LIBRARIES:
        if Path(path).exists():
            return path
    raise OSError("no SoftHSM found: apt install softhsm2")


def make_store(store: Path) -> None:
    """An empty SoftHSM in that folder, with its configuration."""
    (store / "tokens").mkdir(mode=0o700, parents=True)
    configuration = f"directories.tokendir = {store}/tokens\nobjectstore.backend = file\nslots.removable = true\n"
    (store / "softhsm2.conf").write_text(configuration)


def _attributes(content: bytes | bytearray) -> dict[int, tuple[int, int | bytes]]:
    """Of an object's file: number -> (where its value begins, value). After a count of changes, for each: number, sort, and a truth value
    of 1 byte, a number of 8, or a length and as many bytes (SoftHSM, ObjectFile.cpp); lists, of other sorts, are empty in keys.
    """
    found: dict[int, tuple[int, int | bytes]] = {}
    at = 8
    while at < len(content):
        number, sort = int.from_bytes(content[at : at + 8], "big"), int.from_bytes(content[at + 8 : at + 16], "big")
        at += 16
        if sort == TRUTH:
            found[number] = at, content[at]
            at += 1
            continue
        value = int.from_bytes(content[at : at + 8], "big")
        at += 8
        if sort == NUMBER:
            found[number] = at - 8, value
        elif sort == BYTES:
            found[number] = at, bytes(content[at : at + value])
            at += value
    return found


def _next(count: bytes | bytearray) -> bytes:
    return (int.from_bytes(count, "big") + 1).to_bytes(8, "big")


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _record(slot: int) -> bytes:
    """The file of a key made elsewhere: format 1, slot, private, public, CRC-32."""
    key = _new_key()
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    content = bytes([1, slot]) + key.private_numbers().private_value.to_bytes(32, "big") + public
    return content + crc32(content).to_bytes(4, "big")


def _give_away(path: Path) -> None:
    """So that the agent may not read it: root may read everything, and is given a file of somebody else."""
    if os.geteuid() == 0:
        os.chown(path, SOMEBODY, SOMEBODY)
    else:
        path.chmod(0)


def _take_back(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, 0, 0)
    else:
        path.chmod(0o600)
