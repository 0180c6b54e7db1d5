"""The agent's memory: a small key-value store on an append-only log, which a power cut leaves old or new and never neither.

A segment is one file, `store.<generation>`: records of [length u16][CRC-32 u32][body], big-endian. The body's first byte says what it is: the
segment's head, a batch of changes (all of it counts, or none), or the mark that a segment is complete. When a segment is full, what is
still valid is written to the next generation, that is marked complete, and only then the old one is removed. On opening, the newest
complete generation counts. A store in which no generation is complete is reported, never formatted.
"""

import binascii
import struct

from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.storage import Storage

FORMAT = 1
PREFIX = "store."

_HEAD = 0x48  # 'H': format u8, generation u32
_BATCH = 0x42  # 'B': changes, each [key length u8][key][value length u16, 0xFFFF = removed][value]
_COMPLETE = 0x43  # 'C'
_REMOVED = 0xFFFF
_FRAME_BYTES = 6
MAX_KEY_BYTES = 32
MAX_VALUE_BYTES = 8192
MAX_BATCH_BYTES = 16384


class StoreError(Exception):
    """code: 'corrupt' (no complete generation), 'newer' (written by a newer format), 'too_large', 'medium'."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        super().__init__(code + (": " + detail if detail else ""))


class Store:
    """storage: an enabled storage device; segment_bytes: a segment that grows past it is compacted when half of it is stale."""

    def __init__(self, storage: "Storage", segment_bytes: int = 65536) -> None:
        self._storage = storage
        self._segment_bytes = segment_bytes
        self._index: dict[str, tuple[int, int]] = {}  # key -> offset and length of its value in the segment
        self._generation = 0
        self._end = 0
        self._live_bytes = 0
        self.damaged = 0  # records whose CRC was wrong: bit rot, not a torn tail

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
        place = self._index.get(key)
        if place is None:
            return None
        try:
            return self._storage.read(self._name(self._generation), place[0], place[1])
        except DeviceError as error:
            raise StoreError("medium", str(error))

    def keys(self, prefix: str = "") -> "list[str]":
        """The keys that begin with `prefix`, sorted."""
        return sorted(key for key in self._index if key.startswith(prefix))

    def put(self, key: str, value: bytes) -> None:
        """Set one key: durable when it returns."""
        self.put_all([(key, value)])

    def remove(self, key: str) -> None:
        if key in self._index:
            self.put_all([(key, None)])

    def put_all(self, changes: "list[tuple[str, bytes | None]]") -> None:
        """Set (or, with None, remove) several keys at once: after a power cut all of them hold, or none.

        Raises StoreError 'too_large' (nothing is written) or 'medium' (full or broken).
        """
        body = _batch(changes)
        if self._end + len(body) > self._segment_bytes and self._end > 2 * self._live_bytes:
            self._compact()
        offset = self._end + _FRAME_BYTES
        try:
            self._append(self._name(self._generation), body)
        except DeviceError as error:
            # How much of the record is on the medium is not known: only a new segment is sure to be readable to its end.
            self._compact()
            raise StoreError("medium", str(error))
        self._end += _FRAME_BYTES + len(body)
        self._apply(body, offset)

    # Opening.

    def _open(self) -> None:
        generations = []
        for name in self._storage.names():
            if name.startswith(PREFIX):
                try:
                    generations.append(int(name[len(PREFIX) :], 16))
                except ValueError:
                    continue  # not a segment of ours: left alone
        generations.sort(reverse=True)
        chosen = 0
        torn = False
        for generation in generations:
            complete, torn = self._read_segment(generation)
            if complete:
                chosen = generation
                break
        if not chosen:
            # A power cut while the very first segment was made leaves generation 1 alone and incomplete: nothing was ever stored.
            if generations not in ([], [1]):
                raise StoreError("corrupt", "no complete segment among %d" % len(generations))
            for generation in generations:
                self._storage.remove(self._name(generation))
            self._index = {}
            self._write_segment(1)
            return
        self._generation = chosen
        for generation in generations:
            if generation != chosen:
                self._storage.remove(self._name(generation))
        if torn:
            self._compact()  # what is appended behind a torn tail could not be read again

    def _read_segment(self, generation: int) -> "tuple[bool, bool]":
        """Index one segment: (complete, torn tail)."""
        name = self._name(generation)
        size = self._storage.size(name)
        self._index = {}
        self._live_bytes = 0
        self.damaged = 0
        offset = 0
        complete = False
        while size - offset >= _FRAME_BYTES:
            length, crc = struct.unpack(">HI", self._storage.read(name, offset, _FRAME_BYTES))
            if length == 0 or offset + _FRAME_BYTES + length > size:
                break
            body = self._storage.read(name, offset + _FRAME_BYTES, length)
            if binascii.crc32(body) & 0xFFFFFFFF != crc:
                self.damaged += 1
            elif body[0] == _HEAD:
                if body[1] > FORMAT:
                    raise StoreError("newer", "format %d, this agent reads %d" % (body[1], FORMAT))
            elif body[0] == _COMPLETE:
                complete = True
            else:
                self._apply(body, offset + _FRAME_BYTES)
            offset += _FRAME_BYTES + length
        self._end = offset
        return complete, offset != size

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
                self._live_bytes -= old[1] + len(key) + 3
            if length != _REMOVED:
                self._index[key] = (offset + at, length)
                self._live_bytes += length + key_length + 3
                at += length

    # Writing.

    def _name(self, generation: int) -> str:
        return PREFIX + "%08x" % generation

    def _append(self, name: str, body: bytes) -> None:
        frame = struct.pack(">HI", len(body), binascii.crc32(body) & 0xFFFFFFFF)
        self._storage.append(name, frame + body)

    def _compact(self) -> None:
        """Write what is valid to the next generation, mark it complete, then retire the old one."""
        try:
            old = self._generation
            self._write_segment(old + 1)
            self._storage.remove(self._name(old))
        except DeviceError as error:
            raise StoreError("medium", str(error))

    def _write_segment(self, generation: int) -> None:
        name = self._name(generation)
        source = self._name(self._generation)
        self._storage.remove(name)  # a leftover of an earlier attempt
        end = 0
        index: dict[str, tuple[int, int]] = {}
        body = struct.pack(">BBI", _HEAD, FORMAT, generation)
        self._append(name, body)
        end += _FRAME_BYTES + len(body)
        for key in sorted(self._index):
            offset, length = self._index[key]
            body = _batch([(key, self._storage.read(source, offset, length))])
            self._append(name, body)
            index[key] = (end + _FRAME_BYTES + len(body) - length, length)
            end += _FRAME_BYTES + len(body)
        self._append(name, bytes([_COMPLETE]))
        end += _FRAME_BYTES + 1
        self._generation = generation
        self._index = index
        self._end = end


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


