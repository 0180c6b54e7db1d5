"""A program's files in memory, and who signs the list of them."""

import asyncio
from hashlib import sha256

from firmware_agent.messages.cose import key_id, sign
from firmware_agent.selftest.firmware_image import MANIFEST_NAME, PIECE_BYTES, SIGNED_FOR, manifest_payload
from hal.drivers.software_key import SoftwareKey
from tests.core.parts import Flash, QuickCurve, enabled

FILES = {
    "main.py": b"run()",
    "hal/__init__.py": b"",
    "hal/files.py": b"x" * PIECE_BYTES,
    "firmware_agent/screens/font.bin": bytes(3 * PIECE_BYTES + 1),
}


class Program:
    """The calls of hal.files that the check makes, in memory."""

    def __init__(self, files):
        self.files = dict(files)
        self.folders = []
        self.pieces = []

    def names(self, folder=""):
        head = folder + "/" if folder else ""
        found = []
        for path in list(self.files) + self.folders:
            if path.startswith(head):
                name = path[len(head) :].split("/")[0]
                if name not in found:
                    found.append(name)
        return sorted(found)

    def is_folder(self, path):
        return path not in self.files

    def size(self, path):
        return len(self._file(path))

    def read(self, path, offset, length):
        return self._file(path)[offset : offset + length]

    def read_into(self, path, offset, buffer):
        piece = self._file(path)[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self.pieces.append(len(buffer))
        return len(piece)

    def _file(self, path):
        if path not in self.files:
            raise OSError(2)
        return self.files[path]


class Maker:
    """Who signs the list of the files."""

    def __init__(self):
        self.element = enabled(SoftwareKey(Flash(), QuickCurve()))
        self.key = asyncio.run(self.element.generate_key(0))

    def sealed(self, files=FILES, version="1", signed_for=SIGNED_FOR, payload=None):
        """A program with the signed list of just these files."""
        program = Program(files)
        digests = {path: sha256(files[path]).digest() for path in files}
        content = payload or manifest_payload(version, digests)
        program.files[MANIFEST_NAME] = asyncio.run(sign(self.element, 0, key_id(self.key), content, signed_for))
        return program
