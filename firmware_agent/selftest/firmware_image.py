"""Whether the files of this program are those that were put on the terminal: each by its SHA-256, from a manifest that is signed.

The manifest is a file beside them, a COSE_Sign1 as the messages are, with 'firmware' where a message has its topic. Its payload is CBOR:
[FORMAT, version, {path: SHA-256}], paths below the program's root. What is not listed and could be imported instead of
what is, counts as a change. When the key that has signed it is retired, this very manifest stays good, and no other by that key.
"""

import gc
from hashlib import sha256

from firmware_agent import VERSION
from firmware_agent.boot.slots import SLOTS
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.messages.cose import CoseError, key_id, parse, verify
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.errors import E_FAILURE, E_NOEXIST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock
    from hal.files import Files
    from hal.secure_element import SecureElement

KIND = "firmware"
MANIFEST_NAME = "firmware.manifest"
KEY_MANIFEST = "manifest"  # in the store: SHA-256 of the manifest whose key was retired
SIGNED_FOR = "firmware"  # external_aad
FORMAT = 1
MOST_MANIFEST_BYTES = 32768
MOST_FILES = 400
PIECE_BYTES = 2048  # read, and hashed, before others have their turn
NOT_PROGRAM = ("data", MANIFEST_NAME) + SLOTS  # at the root: the terminal's own files, the manifest itself, and other programs
MODULES = (".py", ".mpy")  # what an import looks for
NOT_LOADED = "__pycache__"  # looked into by CPython only, and there only for a module whose source is listed


class ManifestError(ValueError):
    """The manifest is none, or nobody who may has signed it."""


def manifest_payload(version: str, files: "dict[str, bytes]") -> bytes:
    """What is signed. files: path -> SHA-256."""
    return encode([FORMAT, version, files])


async def check_image(
    program: "Files",
    element: "SecureElement",
    keys: "list[bytes]",
    clock: "Clock",
    version: str = VERSION,
    vouched: "bytes | None" = None,
) -> Health:
    """Compare every file of the program with its manifest. program: its root; element: verifies; keys: public keys, one of which has to
    have signed; version: that runs; vouched: SHA-256 of a manifest that needs no signature any more.

    Health of kind 'firmware': success, with files, image_bytes and duration_ms; fail with file_changed (one that was added, too),
    file_missing or manifest_wrong, detail: the first path; not-run with no_manifest, or with absent where the element is not enabled.
    Raises DeviceError as the element does.
    """
    begun_ms = clock.monotonic_ms()
    if not element.enabled:  # what is wrong with it its own phase tells
        return Health(HEALTH_NOT_RUN, KIND, "absent", detail="no secure element to verify with")
    try:
        manifest = await manifest_of(program, element, keys, vouched)
        if manifest is None:
            return Health(HEALTH_NOT_RUN, KIND, "no_manifest", E_NOEXIST, detail="no " + MANIFEST_NAME)
        if manifest[0] != version:
            raise ManifestError("of version %s, and this is %s" % (manifest[0], version))
    except ManifestError as error:
        return Health(HEALTH_FAIL, KIND, "manifest_wrong", E_FAILURE, detail=str(error))
    files = manifest[1]
    cause, path, total = await compare(program, files, clock)
    if cause:
        return Health(HEALTH_FAIL, KIND, cause, E_FAILURE, detail=path)
    measurements = {"files": len(files), "image_bytes": total, "duration_ms": clock.monotonic_ms() - begun_ms}
    return Health(HEALTH_SUCCESS, KIND, measurements=measurements)


async def compare(program: "Files", files: "dict[str, bytes]", clock: "Clock") -> "tuple[str, str, int]":
    """(cause, the first path that is not as it should be, bytes read); '' for a cause where every file is there, and no other."""
    buffer = bytearray(PIECE_BYTES)
    total = 0
    for path in sorted(files):
        try:
            digest, size = await _digest(program, path, buffer, clock)
        except OSError:
            return "file_missing", path, total
        if digest != files[path]:
            return "file_changed", path, total
        total += size
    added = await _added(program, files, clock)
    return "file_added" if added else "", added, total


async def manifest_signed_by(program: "Files", element: "SecureElement", key: bytes) -> bytes:
    """SHA-256 of the manifest, where there is one that this key has signed; else b''. Raises DeviceError as the element does."""
    if MANIFEST_NAME not in program.names():
        return b""
    try:
        data = _read(program)
        envelope = parse(data, MOST_MANIFEST_BYTES)
    except (CoseError, OSError):
        return b""  # the self-test says so
    if envelope.kid != key_id(key) or not await verify(element, envelope, key, SIGNED_FOR):
        return b""
    return sha256(data).digest()


def _read(program: "Files") -> bytes:
    """The manifest, or what is too long for one. Raises OSError."""
    gc.collect()  # it takes its memory in large pieces
    # The length first: a reader takes all the room that it is told of.
    return program.read(MANIFEST_NAME, 0, min(program.size(MANIFEST_NAME), MOST_MANIFEST_BYTES + 1))


async def manifest_of(
    program: "Files", element: "SecureElement", keys: "list[bytes]", vouched: "bytes | None" = None
) -> "tuple[str, dict[str, bytes]] | None":
    """Version, and path -> SHA-256 of each file; None where there is no manifest. Raises ManifestError with what is wrong with it."""
    if MANIFEST_NAME not in program.names():
        return None
    reason = ""
    try:
        data = _read(program)
        envelope = parse(data, MOST_MANIFEST_BYTES)
        if sha256(data).digest() != vouched:
            known = [key for key in keys if key_id(key) == envelope.kid]
            if not known:
                raise ManifestError("signed by an unknown key")
            if not await verify(element, envelope, known[0], SIGNED_FOR):
                raise ManifestError("the signature is wrong")
        del data
        content = decode(envelope.payload, max_items=2 * MOST_FILES + 8)
    except (CoseError, CborError, OSError) as error:
        reason = "cannot be read: " + str(error)
    if reason:
        raise ManifestError(reason)
    if not isinstance(content, list) or len(content) != 3 or content[0] != FORMAT or not isinstance(content[2], dict):
        raise ManifestError("has another form")
    version, files = content[1:]
    if not isinstance(version, str) or not files or any(not isinstance(path, str) for path in files):
        raise ManifestError("has another form")
    return version, files


async def _digest(program: "Files", path: str, buffer: bytearray, clock: "Clock") -> "tuple[bytes, int]":
    """SHA-256 and size of one file. Raises OSError."""
    digest = sha256()
    view = memoryview(buffer)
    offset = 0
    while True:
        length = program.read_into(path, offset, buffer)
        digest.update(view[:length])
        offset += length
        await clock.sleep_ms(0)
        if length < len(buffer):
            return digest.digest(), offset


async def _added(program: "Files", files: "dict[str, bytes]", clock: "Clock") -> str:
    """The first path that is not listed and that an import could find before, or instead of, what is; '' for none.

    A folder counts, too: without any file it is a package to MicroPython, and hides the module of its name.
    """
    folders = {""}
    for path in files:
        slash = path.find("/")
        while slash >= 0:
            folders.add(path[:slash])
            slash = path.find("/", slash + 1)
    for folder in sorted(folders):
        for name in program.names(folder):
            path = folder + "/" + name if folder else name
            if path in files or path in folders or path in NOT_PROGRAM or name == NOT_LOADED:
                continue
            if path.endswith(MODULES) or program.is_folder(path):
                return path
        await clock.sleep_ms(0)
    return ""
