"""The agent's memory: a small key-value store on an append-only log, which a power cut leaves old or new and never neither.

A segment is one file, `store.<generation>`: records of [length u16][CRC-32 u32][body], big-endian. The body's first byte says what it
is: the segment's head, a batch of changes (all of it counts, or none), or the mark that a segment is complete. When a segment is full,
what is still valid is written to the next generation, that is marked complete, and only then the old one is removed. On opening, the newest
complete generation counts. A store in which no generation is complete is reported, never formatted.

A record's CRC begins with the record's offset: a value that looks like a record is none. So a record that rotted, its length too, is
counted and skipped, and what stands behind it is found again. After an append that failed, or was cut off, nobody knows how the segment
ends: it is not written to again, and the next change begins with a new generation.

A medium may refuse to be written: full, or read-only. Then `put_all` raises, and nothing has happened. What is true all the same is given
to `keep`: it is held in memory, reads like any other value, and is written before the next change that the medium takes. A power cut
takes it.
"""

import binascii
import struct

from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.storage import Storage

FORMAT = 1
PREFIX = "store."
# Why a medium refuses to be written, as the self-test names it.
FULL = "full"
NOT_WRITABLE = "not_writable"

_HEAD = 0x48  # 'H': format u8, generation u32
_BATCH = 0x42  # 'B': changes, each [key length u8][key][value length u16, 0xFFFF = removed][value]
_COMPLETE = 0x43  # 'C'
_BODIES = (_HEAD, _BATCH, _COMPLETE)
_REMOVED = 0xFFFF
_FRAME_BYTES = 6
_RECORD_BYTES = _FRAME_BYTES + 1 + 3  # of a record with one change, without its key and value
_EMPTY_BYTES = 2 * _FRAME_BYTES + 6 + 1  # a segment with its head and its mark, and nothing in it
_SEARCH_BYTES = 256  # looked at in one piece for the next whole record
MAX_KEY_BYTES = 32
MAX_VALUE_BYTES = 8192
MAX_BATCH_BYTES = 16384


class StoreError(Exception):
    """code: 'corrupt' (no complete generation), 'newer' (written by a newer format), 'too_large', 'medium'."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        super().__init__(code + (": " + detail if detail else ""))


class Store:
    """storage: an enabled storage device; segment_bytes: a segment that grows past it is compacted when half of it is stale.

    The medium needs room for two segments, each of segment_bytes, or of twice what is stored, whichever is more.

    refusal: why the last write was refused, FULL or NOT_WRITABLE; '' while the medium takes what is written. damaged: places in the
    segment that rotted: not a torn tail.
    """

    def __init__(self, storage: "Storage", segment_bytes: int = 65536) -> None:
        self._storage = storage
        self._segment_bytes = segment_bytes
        self._index: dict[str, tuple[int, int]] = {}  # key -> offset and length of its value in the segment
        self._generation = 0
        self._end = 0
        self._live_bytes = 0
        self._end_is_sure = True
        self._held: dict[str, bytes | None] = {}  # key -> what could not be written yet; None: it is to be removed
        self.damaged = 0
        self.refusal = ""

    def open(self) -> None:
        """Find the newest complete generation and index it; finish or undo what a power cut interrupted.

        Raises StoreError 'corrupt', 'newer' or 'medium'.
        """
        try:
            self._open()
        except DeviceError as error:
            raise StoreError("medium", str(error))

    def get(self, key: str) -> "bytes | None":
        """The value of a key, or None."""
        if key in self._held:
            return self._held[key]
        place = self._index.get(key)
        if place is None:
            return None
        try:
            return self._storage.read(_name(self._generation), place[0], place[1])
        except DeviceError as error:
            raise StoreError("medium", str(error))

    def keys(self, prefix: str = "") -> "list[str]":
        """The keys that begin with `prefix`, sorted."""
        keys = [key for key in self._index if key.startswith(prefix) and key not in self._held]
        keys.extend([key for key in self._held if key.startswith(prefix) and self._held[key] is not None])
        return sorted(keys)

    def is_held(self, key: str) -> bool:
        """Whether the value of a key, or that it is gone, is in memory only."""
        return key in self._held

    def put(self, key: str, value: bytes) -> None:
        """Set one key: durable when it returns."""
        self.put_all([(key, value)])

    def remove(self, key: str) -> None:
        if key in self._index or key in self._held:
            self.put_all([(key, None)])

    def put_all(self, changes: "list[tuple[str, bytes | None]]") -> None:
        """Set (or, with None, remove) several keys at once: after a power cut all of them hold, or none.

        Raises StoreError 'too_large' (nothing is written) or 'medium' (full or broken).
        """
        body = _batch(changes)
        try:
            for key in sorted(self._held):
                self._write(_batch([(key, self._held[key])]))
                del self._held[key]
            self._write(body)
        except DeviceError as error:
            self.refusal = FULL if error.cause == FULL else NOT_WRITABLE
            raise StoreError("medium", str(error))
        self.refusal = ""

    def keep(self, changes: "list[tuple[str, bytes | None]]") -> bool:
        """As `put_all`; but what the medium refuses is held in memory until it takes it. Whether it was written. Without changes: try
        whether it takes anything. How much is held is the caller's to bound. Raises StoreError 'too_large'.
        """
        try:
            self.put_all(changes)
        except StoreError as error:
            if error.code != "medium":
                raise
            for key, value in changes:
                if value is None and key not in self._index:
                    self._held.pop(key, None)
                else:
                    self._held[key] = value
            return False
        return True

    def verify(self) -> int:
        """Read every record of the segment again: the number of places that have rotted. If there are any, what opening would still find is
        written anew.

        Raises StoreError 'medium'.
        """
        damaged = 0
        offset = 0
        try:
            name = _name(self._generation)
            while offset < self._end:
                body = self._body_at(name, offset, self._end)
                if body is None:
                    offset = self._record_behind(name, offset, self._end)
                    damaged += 1
                else:
                    offset += _FRAME_BYTES + len(body)
            if damaged:
                self._forget_rotten()
                self._compact()
        except DeviceError as error:
            raise StoreError("medium", str(error))
        return damaged

    def scrub(self) -> None:
        """Write what is valid anew, so that the medium's files hold nothing more of what was removed. Raises StoreError 'medium'."""
        try:
            self._compact()
        except DeviceError as error:
            raise StoreError("medium", str(error))

    def _forget_rotten(self) -> None:
        """Index the segment as it is now, so that nothing that rotted is copied and becomes good again."""
        before = self._index, self._live_bytes, self._end, self._end_is_sure
        is_read = False
        try:
            self._read_segment(self._generation)
            is_read = True
        finally:
            if not is_read:
                self._index, self._live_bytes, self._end, self._end_is_sure = before

    # Opening.

    def _open(self) -> None:
        generations = []
        for name in self._storage.names():
            generation = _generation_of(name)
            if generation:
                generations.append(generation)
        generations.sort(reverse=True)
        for generation in generations:
            complete = self._read_segment(generation)
            # The oldest stays until the next is complete, so it is complete itself: where it holds anything, its mark has rotted.
            if complete or (generation == generations[-1] and self._index):
                if not complete:
                    self.damaged = max(self.damaged, 1)
                self._generation = generation
                for other in generations:
                    if other != generation:
                        self._give_back(other)  # one that a read-only medium keeps is in nobody's way
                return
        # A power cut while the very first segment was made leaves it alone and incomplete: nothing was ever stored.
        if generations == [1] and self._storage.size(_name(1)) < _EMPTY_BYTES:
            generations = []
        if generations:
            raise StoreError("corrupt", "no complete segment among %d" % len(generations))
        self._index = {}
        self._live_bytes = 0
        self.damaged = 0
        self._write_segment(1)

    def _read_segment(self, generation: int) -> bool:
        """Index one segment; whether it is complete."""
        name = _name(generation)
        size = self._storage.size(name)
        self._index = {}
        self._live_bytes = 0
        self._end_is_sure = True
        self.damaged = 0
        offset = 0
        complete = False
        while offset < size:
            body = self._body_at(name, offset, size)
            if body is None:
                following = self._record_behind(name, offset, size)
                if following < size or self._frame_at(name, offset, size)[0] == size:
                    self.damaged += 1
                self._end_is_sure = following < size  # what is appended behind a torn tail could not be read again
                offset = following
                continue
            if body[0] == _HEAD:
                if body[1] > FORMAT:
                    raise StoreError("newer", "format %d, this agent reads %d" % (body[1], FORMAT))
            elif body[0] == _COMPLETE:
                complete = True
            else:
                self._apply(body, offset + _FRAME_BYTES)
            offset += _FRAME_BYTES + len(body)
        self._end = offset
        return complete

    def _frame_at(self, name: str, offset: int, size: int) -> "tuple[int, int, int]":
        """Of the record at `offset`: its end, by its own length, 0 where that cannot be; its CRC; the first byte of its body."""
        if size - offset <= _FRAME_BYTES:
            return 0, 0, 0
        length, crc, kind = struct.unpack(">HIB", self._storage.read(name, offset, _FRAME_BYTES + 1))
        end = offset + _FRAME_BYTES + length
        return (end if length and end <= size else 0), crc, kind

    def _body_at(self, name: str, offset: int, size: int) -> "bytes | None":
        """The body of the record at `offset`, None where there is no whole one."""
        end, crc, kind = self._frame_at(name, offset, size)
        if not end or kind not in _BODIES:
            return None
        body = self._storage.read(name, offset + _FRAME_BYTES, end - offset - _FRAME_BYTES)
        return body if _crc(body, offset) == crc else None

    def _record_behind(self, name: str, offset: int, size: int) -> int:
        """The offset of the first whole record behind a damaged one, whose length is not to be trusted; or `size`."""
        start = offset + 1
        while size - start > _FRAME_BYTES:
            window = self._storage.read(name, start, _SEARCH_BYTES + _FRAME_BYTES)
            for index in range(len(window) - _FRAME_BYTES):
                if window[index + _FRAME_BYTES] in _BODIES and self._body_at(name, start + index, size) is not None:
                    return start + index
            start += _SEARCH_BYTES
        return size

    def _apply(self, body: bytes, offset: int) -> None:
        """Index the changes of one batch whose body lies at `offset`."""
        at = 1
        while at < len(body):
            key_length = body[at]
            key = body[at + 1 : at + 1 + key_length].decode()
            at += 1 + key_length
            length = body[at] << 8 | body[at + 1]
            at += 2
            old = self._index.pop(key, None)
            if old is not None:
                self._live_bytes -= old[1] + key_length + _RECORD_BYTES
            if length != _REMOVED:
                self._index[key] = (offset + at, length)
                self._live_bytes += length + key_length + _RECORD_BYTES
                at += length

    # Writing.

    def _write(self, body: bytes) -> None:
        """One batch. Raises DeviceError."""
        if not self._end_is_sure or (self._end + len(body) > self._segment_bytes and self._end > 2 * self._live_bytes):
            self._compact()
        self._end_is_sure = False
        end = self._append(_name(self._generation), self._end, body)
        self._end_is_sure = True
        offset = self._end + _FRAME_BYTES
        self._end = end
        self._apply(body, offset)

    def _append(self, name: str, offset: int, body: bytes) -> int:
        """Write one record at `offset`, the end of the segment; gives the new end."""
        self._storage.append(name, struct.pack(">HI", len(body), _crc(body, offset)) + body)
        return offset + _FRAME_BYTES + len(body)

    def _compact(self) -> None:
        """Write what is valid to the next generation, mark it complete, then retire the old one."""
        # If this fails, a next generation may be complete already: nothing may be added to this one, which it would hide.
        self._end_is_sure = False
        old = self._generation
        try:
            self._write_segment(old + 1)
        except DeviceError:
            self._give_back(old + 1)
            raise
        self._end_is_sure = True
        self._storage.remove(_name(old))

    def _give_back(self, generation: int) -> None:
        """The room that an unfinished segment takes: on a full medium others need it, too."""
        try:
            self._storage.remove(_name(generation))
        except DeviceError:
            pass  # it is removed before the next attempt

    def _write_segment(self, generation: int) -> None:
        name = _name(generation)
        source = _name(self._generation)
        self._storage.remove(name)  # a leftover of an earlier attempt
        index: dict[str, tuple[int, int]] = {}
        end = self._append(name, 0, struct.pack(">BBI", _HEAD, FORMAT, generation))
        for key in sorted(self._index):
            offset, length = self._index[key]
            end = self._append(name, end, _batch([(key, self._storage.read(source, offset, length))]))
            index[key] = (end - length, length)
        end = self._append(name, end, bytes([_COMPLETE]))
        self._generation = generation
        self._index = index
        self._end = end


def _crc(body: bytes, offset: int) -> int:
    return binascii.crc32(body, offset) & 0xFFFFFFFF


def _name(generation: int) -> str:
    return PREFIX + "%08x" % generation


def _generation_of(name: str) -> int:
    """0 for a file that is no segment of ours, which is left alone."""
    if not name.startswith(PREFIX):
        return 0
    try:
        generation = int(name[len(PREFIX) :], 16)
    except ValueError:
        return 0
    return generation if generation > 0 and name == _name(generation) else 0


def _batch(changes: "list[tuple[str, bytes | None]]") -> bytes:
    parts = [bytes([_BATCH])]
    total = 1
    for key, value in changes:
        name = key.encode()
        if not 0 < len(name) <= MAX_KEY_BYTES or (value is not None and len(value) > MAX_VALUE_BYTES):
            raise StoreError("too_large", key)
        parts.append(bytes([len(name)]) + name)
        if value is None:
            parts.append(struct.pack(">H", _REMOVED))
        else:
            parts.append(struct.pack(">H", len(value)))
            parts.append(value)
        total += len(name) + 3 + (len(value) if value is not None else 0)
    if total > MAX_BATCH_BYTES:
        raise StoreError("too_large", "batch of %d bytes" % total)
    return b"".join(parts)
