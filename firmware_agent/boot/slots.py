"""Which program a start runs: that of the factory, or a newer one in a slot beside it, which is on trial until a start of it was good.

main.py asks here before anything else is imported. The factory's program stays where it is, below the root; a newer one is put, whole, into
the slot that does not run, and a single record switches to it. Records are only ever added; each has a CRC, and what a power cut left of
one is none. A program on trial that does not come to a good start in MOST_STARTS gives way to the one before it.
"""

import binascii
import sys

from hal.files import Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hal.storage import Storage

SLOTS = ("slot_a", "slot_b")  # folders below the root
DATA_FOLDER = "data"
NAME = "program.slots"  # in the folder of the terminal's own files
MOST_STARTS = 2  # fewer than the crashes that lead into safe mode: the program before it starts as ever

INSTALLED, FELL_BACK = "update_installed", "update_fell_back"  # events

# What a program may raise that is whole, signed, and not for this runtime or board.
NOT_IMPORTED = (ImportError, SyntaxError, MemoryError, OSError, NameError, AttributeError, TypeError, ValueError, LookupError)

_TRIAL = 0x54  # 'T': that slot from the next start on
_BEGUN = 0x42  # 'B': a start of the program on trial
_GOOD = 0x47  # 'G': it stays
_OVER = 0x4F  # 'O': it has given way, and the acquirer was told
_RECORD_BYTES = 8


class Slots:
    """files: as in hal.files, or a storage device; the methods raise what it raises.

    good: the slot that is to run, '' for the factory's program; trial: the one that is to be tried instead, ''; begun: how many starts
    of it there were.
    """

    def __init__(self, files: "Files | Storage") -> None:
        self._files = files
        self.good = ""
        self.trial = ""
        self.begun = 0
        size = files.size(NAME) if NAME in files.names() else 0
        for offset in range(0, size - size % _RECORD_BYTES, _RECORD_BYTES):
            record = files.read(NAME, offset, _RECORD_BYTES)
            if record == _record(record[0], record[1]) and record[1] < len(SLOTS):
                self._take(record[0], SLOTS[record[1]])

    def begin(self) -> str:
        """The slot that this start runs, '' for the factory's program. A start on trial that cannot be counted is none."""
        if not self.trial or self.begun >= MOST_STARTS:
            return self.good
        try:
            self._add(_BEGUN, self.trial)
        except OSError:
            return self.good
        return self.trial

    def give_trial(self, slot: str) -> None:
        """That slot from the next start on. One record: it is whole, or not there."""
        self._add(_TRIAL, slot)

    def outcome(self, running: str) -> str:
        """Of a trial, at a start that is good: INSTALLED, FELL_BACK, or '' where there was none, or it is not over."""
        if self.trial and self.trial == running:
            return INSTALLED
        return FELL_BACK if self.trial and self.begun >= MOST_STARTS else ""

    def settle(self, running: str) -> None:
        """What `outcome` says holds from now on."""
        outcome = self.outcome(running)
        if outcome:
            self._add(_GOOD if outcome == INSTALLED else _OVER, self.trial)

    def _add(self, kind: int, slot: str) -> None:
        size = self._files.size(NAME) if NAME in self._files.names() else 0
        self._files.append(NAME, bytes(-size % _RECORD_BYTES) + _record(kind, SLOTS.index(slot)))
        self._take(kind, slot)

    def _take(self, kind: int, slot: str) -> None:
        if kind == _TRIAL:
            self.trial, self.begun = slot, 0
        elif kind == _BEGUN:
            self.begun += 1
        elif kind in (_GOOD, _OVER):
            self.trial = ""
            if kind == _GOOD:
                self.good = slot


def slot_of(root: str) -> str:
    """The slot whose folder that is, '' for any other."""
    name = root.rsplit("/", 1)[-1]
    return name if name in SLOTS else ""


def program() -> "Callable[[Any, Any, Any], None]":
    """What main.py calls with machine, network and build: firmware_agent.start.run of the program that this start is to run. One that
    cannot even be imported gives way to the one before it at once.
    """
    root = __file__.rsplit("/", 3)[0] if __file__.count("/") > 2 else "."  # "" is /: this file is three names below the program's folder
    try:
        slots = Slots(Files(DATA_FOLDER))
        chosen, good = slots.begin(), slots.good
    except OSError:  # there is no such folder before the first start
        chosen = good = ""
    for slot in (chosen, good):
        if slot:
            run = _run_in(root + "/" + slot)
            if run is not None:
                return _with_spare(run, root, slot)
    from firmware_agent.start import run as run_of_factory

    return _with_spare(run_of_factory, root, "")


def _run_in(folder: str) -> "Callable[..., None] | None":
    """None for a program that cannot be imported."""
    _forget_modules()
    sys.path.insert(0, folder)
    try:
        from firmware_agent.start import run

        if not str(sys.modules["firmware_agent.start"].__file__).startswith(folder + "/"):
            raise ImportError("none there")  # another one on the path was found
    except NOT_IMPORTED as error:
        print("no program in %s: %r" % (folder, error))
        sys.path.pop(0)
        _forget_modules()
        return None
    return run


def _with_spare(run: "Callable[..., None]", root: str, running: str) -> "Callable[[Any, Any, Any], None]":
    spare = SLOTS[1] if running == SLOTS[0] else SLOTS[0]
    return lambda machine, network, build: run(machine, network, build, root + "/" + spare)


def _forget_modules() -> None:
    """Those of a program, this one's too: they are imported anew from where the path leads first."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("firmware_agent", "hal", "boards"):
            sys.modules.pop(name)


def _record(kind: int, number: int) -> bytes:
    body = bytes([kind, number, 0, 0])
    return body + (binascii.crc32(body) & 0xFFFFFFFF).to_bytes(4, "big")
