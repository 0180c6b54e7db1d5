"""CBOR in its one deterministic form (RFC 8949, section 4.2.1), written and read within bounds.

What can be carried: integers of 64 bits, bytes, text, lists, maps with integer, text or byte keys, tags, true, false and null.
Floating point is left out on purpose: nothing that a terminal says needs it, and a second way to write a number is one too many.
"""

_UNSIGNED = 0
_NEGATIVE = 1
_BYTES = 2
_TEXT = 3
_ARRAY = 4
_MAP = 5
_TAG = 6
_SIMPLE = 7

MAX_DEPTH = 8
MAX_ITEMS = 1024  # of a message of 4096 bytes; each takes at most 16 bytes more than its content on a 32-bit heap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CborError(ValueError):
    """What is wrong, as one word, and where.

    code: 'depth' (lists, maps and tags too deep in each other), 'key_type' (a map's key is not an integer, text or bytes), 'utf8',
    and of encode only: 'type' (not of this CBOR), 'range' (more than 64 bits),
    and of decode only: 'truncated' (the input ends inside an item's head), 'length' (more is announced than is there), 'not_shortest',
    'indefinite', 'reserved' (additional information 28..30), 'simple' (a simple value other than false, true, null), 'float',
    'duplicate_key', 'unsorted_keys', 'items' (more than allowed), 'trailing' (bytes after the end).
    offset: in the output so far, or of the item in the input, in bytes.
    """

    def __init__(self, code: str, offset: int) -> None:
        super().__init__("%s at byte %d" % (code, offset))
        self.code = code
        self.offset = offset


class Tag:
    """A tagged value: number 0..2^64-1."""

    def __init__(self, number: int, value: "Any") -> None:
        self.number = number
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tag) and self.number == other.number and self.value == other.value

    def __repr__(self) -> str:
        return "Tag(%d, %r)" % (self.number, self.value)


def encode(value: "Any", max_depth: int = MAX_DEPTH) -> bytes:
    """The one deterministic encoding. Tuples are lists, bytearray and memoryview are bytes. Raises CborError."""
    out = bytearray()
    _write(out, value, max_depth)
    return bytes(out)


def decode(data: "bytes | memoryview", max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS) -> "Any":
    """The one value that `data` is, whole. Raises CborError for all that encode() would not have written.

    max_depth: of lists, maps and tags in each other; max_items: of data items in all. Nothing is allocated for a length that is
    not there. Bytes are copied out of `data`.
    """
    reader = _Reader(data, max_items)
    value = reader.item(max_depth)
    if reader.offset != len(data):
        raise CborError("trailing", reader.offset)
    return value


def write_head(out: bytearray, major: int, argument: int) -> None:
    """Append the head of an item (RFC 8949, section 3): its major type 0..7 and its argument 0..2^64-1, in the shortest form."""
    major <<= 5
    if argument < 0:
        raise CborError("range", len(out))
    if argument < 24:
        out.append(major | argument)
    elif argument < 0x100:
        out.append(major | 24)
        out.append(argument)
    elif argument < 0x10000:
        out.append(major | 25)
        out.extend(argument.to_bytes(2, "big"))
    elif argument < 0x100000000:
        out.append(major | 26)
        out.extend(argument.to_bytes(4, "big"))
    elif argument < 0x10000000000000000:
        out.append(major | 27)
        out.extend(argument.to_bytes(8, "big"))
    else:
        raise CborError("range", len(out))


def _write(out: bytearray, value: "Any", depth: int) -> None:
    # bool before int: on CPython True is an int, on MicroPython it is not.
    if value is None:
        out.append(0xF6)
    elif value is True:
        out.append(0xF5)
    elif value is False:
        out.append(0xF4)
    elif isinstance(value, int):
        if value >= 0:
            write_head(out, _UNSIGNED, value)
        else:
            write_head(out, _NEGATIVE, -1 - value)
    elif isinstance(value, str):
        try:
            text = value.encode()
        except UnicodeError:  # a lone surrogate, which MicroPython would let pass
            text = None
        if text is None or not is_utf8(text):
            raise CborError("utf8", len(out))
        write_head(out, _TEXT, len(text))
        out.extend(text)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        write_head(out, _BYTES, len(value))
        out.extend(value)
    elif isinstance(value, (list, tuple, dict, Tag)):
        if depth == 0:
            raise CborError("depth", len(out))
        if isinstance(value, dict):
            _write_map(out, value, depth - 1)
        elif isinstance(value, Tag):
            write_head(out, _TAG, value.number)
            _write(out, value.value, depth - 1)
        else:
            write_head(out, _ARRAY, len(value))
            for element in value:
                _write(out, element, depth - 1)
    else:
        raise CborError("type", len(out))


def _write_map(out: bytearray, value: "dict[Any, Any]", depth: int) -> None:
    by_code = {}
    for key in value:
        # True and 1 are one key to Python, but not to CBOR.
        if not isinstance(key, (int, str, bytes)) or key is True or key is False:
            raise CborError("key_type", len(out))
        code = bytearray()
        _write(code, key, 0)
        by_code[bytes(code)] = value[key]
    write_head(out, _MAP, len(by_code))
    for encoded in sorted(by_code):  # bytewise: RFC 8949, 4.2.1
        out.extend(encoded)
        _write(out, by_code[encoded], depth)


class _Reader:
    def __init__(self, data: "bytes | memoryview", max_items: int) -> None:
        self._data = memoryview(data)
        self._end = len(data)
        self._items_left = max_items
        self.offset = 0

    def item(self, depth: int) -> "Any":
        start = self.offset
        if self._items_left == 0:
            raise CborError("items", start)
        self._items_left -= 1
        major, argument = self._head()
        if major == _UNSIGNED:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return bytes(self._take(argument, start))
        if major == _TEXT:
            text = self._take(argument, start)
            if not is_utf8(text):
                raise CborError("utf8", start)
            return str(text, "utf-8")
        if major == _SIMPLE:
            return _SIMPLE_VALUES[argument]
        if depth == 0:
            raise CborError("depth", start)
        if major == _TAG:
            return Tag(argument, self.item(depth - 1))
        # Each element takes a byte at least: a count that cannot be met is refused before a list is made for it.
        if argument * (1 if major == _ARRAY else 2) > self._end - self.offset:
            raise CborError("length", start)
        if major == _ARRAY:
            return [self.item(depth - 1) for _ in range(argument)]
        return self._map(argument, depth - 1)

    def _map(self, count: int, depth: int) -> "dict[Any, Any]":
        result: dict[Any, Any] = {}
        previous = b""
        for _ in range(count):
            start = self.offset
            if start < self._end and self._data[start] >> 5 > _TEXT:
                raise CborError("key_type", start)
            key = self.item(0)
            encoded = bytes(self._data[start : self.offset])
            if encoded <= previous:
                raise CborError("duplicate_key" if encoded == previous else "unsorted_keys", start)
            previous = encoded
            result[key] = self.item(depth)
        return result

    def _head(self) -> "tuple[int, int]":
        """Major type and argument of the next item; of the simple values only false, true and null."""
        start = self.offset
        if start >= self._end:
            raise CborError("truncated", start)
        initial = self._data[start]
        self.offset = start + 1
        major = initial >> 5
        information = initial & 31
        if major == _SIMPLE:
            if information not in _SIMPLE_VALUES:
                raise CborError(_why_not_simple(information), start)
            return major, information
        if information < 24:
            return major, information
        if information == 31:
            raise CborError("indefinite", start)
        if information > 27:
            raise CborError("reserved", start)
        width = 1 << (information - 24)
        if width > self._end - self.offset:
            raise CborError("truncated", start)
        argument = int.from_bytes(self._data[self.offset : self.offset + width], "big")
        self.offset += width
        if argument < 24 or (width > 1 and argument >> (4 * width) == 0):  # would have gone into half the width
            raise CborError("not_shortest", start)
        return major, argument

    def _take(self, length: int, start: int) -> memoryview:
        if length > self._end - self.offset:
            raise CborError("length", start)
        self.offset += length
        return self._data[self.offset - length : self.offset]


_SIMPLE_VALUES = {20: False, 21: True, 22: None}


def _why_not_simple(information: int) -> str:
    if 25 <= information <= 27:
        return "float"
    if information == 31:
        return "indefinite"
    return "reserved" if information > 27 else "simple"


def is_utf8(data: "bytes | memoryview") -> bool:
    """Whether `data` is UTF-8 as Unicode has it (RFC 3629): MicroPython's own check lets overlong forms, surrogates and more pass."""
    length = len(data)
    if length == 0 or max(data) < 0x80:
        return True
    index = 0
    while index < length:
        lead = data[index]
        index += 1
        if lead < 0x80:
            continue
        low, high = 0x80, 0xBF  # of the second byte: narrower after some leads (RFC 3629, section 4)
        if 0xC2 <= lead <= 0xDF:
            following = 1
        elif 0xE0 <= lead <= 0xEF:
            following = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            following = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return False
        if following > length - index:
            return False
        for _ in range(following):
            if not low <= data[index] <= high:
                return False
            low, high = 0x80, 0xBF
            index += 1
    return True
