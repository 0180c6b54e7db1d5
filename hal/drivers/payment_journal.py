"""What a payment application has begun at its host and not finished, kept so that no power cut forgets it.

A file `payment.<generation>` of lines that grows at the end, each with a check sum. When it is long, or nobody knows how it ends, what
still counts is written to the next generation, in one piece that ends with the mark that it is whole; then the old one goes. The newest
whole one counts.
"""

import binascii

from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.storage import Storage

PREFIX = "payment."
LONGEST_BYTES = 4096
LAST_TRACE = 999999

_TRACE = "N"  # the last trace number that was used
_BEGUN = "B"  # trace, batch, amount, Unix seconds
_ENDED = "E"  # trace
_WHOLE = "W"  # what belongs to this generation from its beginning stands before this


class Begun:
    """One transaction. trace: its number (ISO 8583 field 11, STAN), six digits; batch: six digits; amount: in minor units; since: Unix
    seconds, 0: not known.
    """

    def __init__(self, trace: str, batch: str, amount: int, since: int) -> None:
        self.trace = trace
        self.batch = batch
        self.amount = amount
        self.since = since

    def line(self) -> bytes:
        return _line(_BEGUN, self.trace, self.batch, self.amount, self.since)


class Journal:
    """storage: enabled. Each call raises DeviceError as the storage does; what could not be written has not happened."""

    def __init__(self, storage: "Storage") -> None:
        self._storage = storage
        self._generation = 0  # that is written to
        self._newest = 0  # that was ever begun
        self._size = 0
        self._end_is_sure = False
        self._begun: list[Begun] = []  # and not ended, oldest first
        self._trace = 0
        self._open()

    def unfinished(self) -> "list[Begun]":
        return list(self._begun)

    def next_trace(self) -> str:
        """One that nothing unfinished has. What is no transaction may use it without its being written."""
        taken = [begun.trace for begun in self._begun]
        while True:
            self._trace = self._trace % LAST_TRACE + 1
            trace = "%06d" % self._trace
            if trace not in taken:
                return trace

    def begin(self, batch: str, amount: int, since: int) -> Begun:
        """To be called before anything of it is sent."""
        begun = Begun(self.next_trace(), batch, amount, since)
        self._begun.append(begun)
        written = False
        try:
            self._write(begun.line())
            written = True
        finally:
            if not written:
                self._begun.remove(begun)
        return begun

    def end(self, trace: str) -> None:
        """It has come to its end, whichever that is."""
        before = self._begun
        self._begun = [begun for begun in before if begun.trace != trace]
        written = False
        try:
            self._write(_line(_ENDED, trace))
            written = True
        finally:
            if not written:
                self._begun = before

    def _open(self) -> None:
        generations = []
        for name in self._storage.names():
            number = name[len(PREFIX) :]
            if name.startswith(PREFIX) and number and all([digit in "0123456789" for digit in number]):
                generations.append(int(number))
        if not generations:
            return
        newest_first = sorted(generations, reverse=True)
        self._newest = newest_first[0]
        for generation in newest_first:
            if self._read(generation):
                break
        else:  # the very first was cut off, so nothing of it was sent; or its mark rotted, and it is all there is
            self._read(self._newest)
            self._end_is_sure = False
        self._remove_others(generations)

    def _remove_others(self, generations: "list[int]") -> None:
        """One that cannot be removed does no harm: the newest whole one counts, here as at the next start."""
        for generation in generations:
            if generation != self._generation:
                try:
                    self._storage.remove(PREFIX + str(generation))
                except DeviceError:
                    return

    def _read(self, generation: int) -> bool:
        """Take what stands there; whether it is whole."""
        self._generation = generation
        name = PREFIX + str(generation)
        self._size = self._storage.size(name)
        data = self._storage.read(name, 0, self._size)
        self._begun, self._trace = [], 0
        is_whole = False
        lines = data.split(b"\n")
        self._end_is_sure = not lines[-1]
        for line in lines[:-1]:
            words = _words(line)
            kind = words[0] if words else ""
            if kind == _TRACE and len(words) == 2:
                self._trace = int(words[1])
            elif kind == _BEGUN and len(words) == 5:
                self._trace = int(words[1])
                self._begun.append(Begun(words[1], words[2], int(words[3]), int(words[4])))
            elif kind == _ENDED and len(words) == 2:
                self._begun = [begun for begun in self._begun if begun.trace != words[1]]
            elif kind == _WHOLE:
                is_whole = True
            else:
                self._end_is_sure = False  # it rotted, or an append failed: what stands behind it counts, and is written anew
        return is_whole

    def _write(self, line: bytes) -> None:
        """Add the line, or begin the next generation, whose beginning has what the line says."""
        if self._end_is_sure and self._size + len(line) <= LONGEST_BYTES:
            self._end_is_sure = False
            self._storage.append(PREFIX + str(self._generation), line)
            self._size += len(line)
            self._end_is_sure = True
            return
        old = self._generation
        self._newest += 1  # never again the name of an attempt that failed
        data = _line(_TRACE, self._trace)
        for begun in self._begun:
            data += begun.line()
        data += _line(_WHOLE)
        self._end_is_sure = False
        self._storage.append(PREFIX + str(self._newest), data)
        self._generation, self._size, self._end_is_sure = self._newest, len(data), True
        self._remove_others(list(range(max(1, old), self._newest)))


def _line(*words: "str | int") -> bytes:
    text = " ".join([str(word) for word in words]).encode()
    return b"%s %08x\n" % (text, binascii.crc32(text))


def _words(line: bytes) -> "list[str]":
    """Empty for a line that is not as it was written."""
    text, _, check = line.rpartition(b" ")
    if check != b"%08x" % binascii.crc32(text):
        return []
    return str(text, "utf-8").split(" ")
