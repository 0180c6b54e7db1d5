"""Counts the starts that came to nothing, so that a terminal that cannot start says so in safe mode instead of starting for ever.

It is asked before anything that could crash is even imported, and needs nothing but a folder of files: not the store, not a device. Each
start is a record, and so is each stage that it reaches; records are only ever added. All records have the same length and a CRC, and
what a power cut left of one is filled up with the next, so that every other one stays readable. A record of a start says all that is to
be known of the starts before it: when a file is full, the next start goes to the other file, and the full one is removed.

How a start ended is known at the next one, by why that was: power, or a reset. Two rows are counted, and both end with a start that
became good: starts that crashed (a reset that nobody had asked for), and starts during which the power went. Good is said when the work
of the start is done, not after a time, so that short and good uptimes count as good. Only a crash soon after it is counted all the same:
what crashes each time, a minute after it is good, is a loop, too.
"""

import binascii
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.files import Files

# Why a start was made.
BY_POWER = 1  # the power came, or came back: a brownout, too
BY_WATCHDOG = 2
BY_RESET = 3  # by the program, its crash, or a button

# How far a start came.
STAGE_COUNTED = 0
STAGE_DEVICES = 1  # devices are brought up
STAGE_MEMORY = 2  # the store is opened
STAGE_WORK = 3  # self-test, or the page of the safe mode
STAGE_GOOD = 4  # what a start is for is done
STAGE_SETTLED = 5  # good for SETTLED_MS: a crash after that is not of the start
STAGE_TESTING = 6  # safe mode: a person has asked for the devices to be tested
STAGE_NAMES = ("counted", "devices", "memory", "work", "good", "settled", "testing")
SETTLED_MS = 600000

# Crashes are all alike: the third tells nothing new. People pull the plug of a terminal that takes its time, and more than once.
MOST_CRASHES = 3
MOST_POWER_LOSSES = 5

CAUSE_BOOT_LOOP = "boot_loop"
CAUSE_BROWNOUT = "brownout"

# Pause before a safe mode that did not hold is tried again: doubled each time, and short enough to wait for before the terminal.
PAUSE_MIN_MS = 2000
PAUSE_MAX_MS = 64000
# Where starts cannot be counted, each one after a reset waits this long instead.
PAUSE_UNCOUNTED_MS = 10000

NAMES = ("boots.0", "boots.1")
MOST_BYTES = 4096  # of one file, before the next start goes to the other
RECORD_BYTES = 64

_START = 0x53  # 'S'
_STAGE = 0x47  # 'G': it got this far
_CRASH = 0x43  # 'C': text says what and where
_RESTART = 0x52  # 'R': ended on purpose; stage 1: the next start is a normal one, once
# kind, number of the start, why, stage, crashes, power losses, safe mode, failed safe modes, length of the text, text
_FORMAT = ">BIBBBBBBB"
_TEXT_BYTES = RECORD_BYTES - struct.calcsize(_FORMAT) - 4
_MOST = 255  # a count that has come so far stays there


class _Record:
    def __init__(self, kind: int, number: int, started: int = 0, stage: int = 0, text: str = "") -> None:
        self.kind = kind
        self.number = number
        self.started = started
        self.stage = stage
        self.crashes = 0
        self.power_losses = 0
        self.safe = False
        self.failed_safe = 0
        self.text = text

    def encoded(self) -> bytes:
        text = _short(self.text)
        body = struct.pack(
            _FORMAT,
            self.kind,
            self.number,
            self.started,
            self.stage,
            self.crashes,
            self.power_losses,
            1 if self.safe else 0,
            self.failed_safe,
            len(text),
        )
        body += text + bytes(_TEXT_BYTES - len(text))
        return body + struct.pack(">I", binascii.crc32(body) & 0xFFFFFFFF)

    @staticmethod
    def decoded(data: bytes) -> "_Record | None":
        """None for what is no whole record."""
        if len(data) != RECORD_BYTES:
            return None
        body = data[:-4]
        if binascii.crc32(body) & 0xFFFFFFFF != struct.unpack(">I", data[-4:])[0]:
            return None
        kind, number, started, stage, crashes, losses, safe, failed_safe, length = struct.unpack(_FORMAT, body[:-_TEXT_BYTES])
        record = _Record(kind, number, started, stage, str(body[-_TEXT_BYTES:][:length], "ascii"))
        record.crashes = crashes
        record.power_losses = losses
        record.safe = safe == 1
        record.failed_safe = failed_safe
        return record


class BootGuard:
    """files: as in hal.files, or a storage device. Nothing here raises: what cannot be written is not counted, and the start goes on.

    After `count`: number of this start; started: BY_*; crashes, power_losses: starts in a row before it that ended so; safe: whether
    to start in safe mode, and cause why (CAUSE_*, '' otherwise); link_failed: the last safe mode did not hold: leave its network out;
    pause_ms: to wait before anything else; last_stage: how far the start before this one came; last_crash: what is known of the last
    crash of this row: exception, place, stage, or ''; counted: whether it could be written.
    """

    def __init__(self, files: "Files") -> None:
        self._files = files
        self._name = NAMES[0]
        self.number = 0
        self.started = BY_POWER
        self.crashes = 0
        self.power_losses = 0
        self.safe = False
        self.link_failed = False
        self.pause_ms = 0
        self.stage = STAGE_COUNTED
        self.last_stage = STAGE_GOOD
        self.last_crash = ""
        self.counted = False

    @property
    def cause(self) -> str:
        """Why this is safe mode, '' where it is not."""
        if not self.safe:
            return ""
        return CAUSE_BOOT_LOOP if self.crashes >= MOST_CRASHES else CAUSE_BROWNOUT

    def count(self, started: int) -> None:
        """Count this start: the first thing that it does. started: BY_*."""
        self.started = started
        try:
            last, marks = self._last_start()
        except OSError:
            self.pause_ms = PAUSE_UNCOUNTED_MS if started != BY_POWER else 0
            return
        record = _next_start(last, marks, started)
        self.number = record.number
        self.crashes = record.crashes
        self.power_losses = record.power_losses
        self.safe = record.safe
        self.link_failed = record.safe and record.failed_safe > 0
        self.pause_ms = min(PAUSE_MIN_MS << min(record.failed_safe - 1, 8), PAUSE_MAX_MS) if self.link_failed else 0
        self.last_stage = record.stage
        self.last_crash = record.text
        self.counted = self._append_start(record)
        if not self.counted and started != BY_POWER:
            self.pause_ms = max(self.pause_ms, PAUSE_UNCOUNTED_MS)

    def reached(self, stage: int, what: str = "") -> None:
        """This start came as far as this stage. what: it is busy with there, in a word: the kind of a device."""
        self.stage = stage
        self._append(_Record(_STAGE, self.number, self.started, stage, what))

    def crashed(self, what: str) -> None:
        """This start ends with an exception. what: its kind and place, never its text, which may hold anything."""
        self._append(_Record(_CRASH, self.number, self.started, self.stage, what))

    def restarting(self, normally: bool) -> None:
        """The restart that follows is on purpose. normally: it is not to be in safe mode, this once."""
        self._append(_Record(_RESTART, self.number, self.started, 1 if normally else 0))

    # The files.

    def _last_start(self) -> "tuple[_Record | None, list[_Record]]":
        """The record of the last start, and what was added to it. Raises OSError."""
        there = self._files.names()
        last: _Record | None = None
        marks: list[_Record] = []
        for name in NAMES:
            if name not in there:
                continue
            start, found = self._read(name)
            if start is not None and (last is None or start.number > last.number):
                last = start
                marks = found
                self._name = name
        return last, marks

    def _read(self, name: str) -> "tuple[_Record | None, list[_Record]]":
        """The last start in one file, and what was added to it."""
        start: _Record | None = None
        marks: list[_Record] = []
        for offset in range(0, self._files.size(name), RECORD_BYTES):
            record = _Record.decoded(self._files.read(name, offset, RECORD_BYTES))
            if record is None:
                continue
            if record.kind == _START:
                start = record
                marks = []
            elif start is not None and record.number == start.number:
                marks.append(record)
        return start, marks

    def _append_start(self, record: _Record) -> bool:
        """To the other file when this one is full, which is removed when the record is safe there."""
        try:
            other = NAMES[1 - NAMES.index(self._name)]
            there = self._files.names()
            if other in there:  # what a power cut left: the last start is not in it
                self._files.remove(other)
            if self._name in there and self._files.size(self._name) >= MOST_BYTES:
                full, self._name = self._name, other
                if not self._append(record):
                    return False
                self._files.remove(full)
                return True
        except OSError:
            return False
        return self._append(record)

    def _append(self, record: _Record) -> bool:
        """Behind what is there, at the place of a whole record."""
        try:
            size = self._files.size(self._name) if self._name in self._files.names() else 0
            self._files.append(self._name, bytes(-size % RECORD_BYTES) + record.encoded())
        except OSError:
            return False
        return True


def _next_start(last: "_Record | None", marks: "list[_Record]", started: int) -> _Record:
    """What the start after `last` counts as. marks: what was added to the last one."""
    if last is None:
        return _Record(_START, 1, started, STAGE_GOOD)
    stages = [_Record(_STAGE, last.number)] + [mark for mark in marks if mark.kind == _STAGE]
    reached = [mark.stage for mark in stages]
    crashes = [mark for mark in marks if mark.kind == _CRASH]
    restarts = [mark for mark in marks if mark.kind == _RESTART]
    good = STAGE_GOOD in reached
    settled = STAGE_SETTLED in reached
    crashed = bool(crashes) or (started != BY_POWER and not restarts)
    new = _Record(_START, last.number + 1, started, reached[-1], last.text)
    new.crashes = last.crashes
    new.power_losses = last.power_losses
    new.failed_safe = last.failed_safe
    if crashed:
        new.text = _last_words(stages[-1], crashes, started)
    if last.safe:
        # What a person had tested in it decides nothing; neither does it who pulls the plug of a safe mode that stands.
        held = reached[-1] == STAGE_TESTING or settled or (not crashed and (good or bool(restarts)))
        new.failed_safe = 0 if held else min(last.failed_safe + 1, _MOST)
    elif crashed:
        new.crashes = min((0 if settled else last.crashes) + 1, _MOST)
        if good:
            new.power_losses = 0
    elif good:
        new.crashes = new.power_losses = 0
        new.text = ""
    elif not restarts:
        new.power_losses = min(last.power_losses + 1, _MOST)
    once = bool(restarts) and restarts[-1].stage == 1 and not crashes
    new.safe = not once and (new.crashes >= MOST_CRASHES or new.power_losses >= MOST_POWER_LOSSES)
    return new


def _last_words(stage: _Record, crashes: "list[_Record]", started: int) -> str:
    """What is known of a crash: 'RuntimeError pn532.py:120 testing card_reader'."""
    words = [crashes[-1].text if crashes else "watchdog" if started == BY_WATCHDOG else "reset", STAGE_NAMES[stage.stage]]
    if stage.text:
        words.append(stage.text)
    return " ".join(words)


def _short(text: str) -> bytes:
    """In ASCII, and no longer than a record takes."""
    kept = "".join([character if " " <= character <= "~" else "?" for character in text])
    return kept[:_TEXT_BYTES].encode()
