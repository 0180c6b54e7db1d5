"""Secure element in software: keys lie as files on the terminal's storage, for terminals that have no such chip.

A key is one file `key.<slot>.<generation>` of 102 bytes: format 1, slot, private key 32, public key 64, CRC-32 of all that (big-endian 4).
The newest generation that is whole counts. A new key is written beside the old one, which is removed when the new one is durable.
The file system does not wipe what it removes: who has the flash chip may have the keys. Reports say so by `in_hardware`.
"""

import os
from binascii import crc32, unhexlify

from hal.compat import p256
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOEXIST, DeviceError

SLOTS = 16  # as many as an ATECC608 has (Microchip DS40001977), so that a board can change from one to the other

_FORMAT = 1
_LENGTH = 102

# The key and the message 'sample' of RFC 6979, appendix A.2.5: public numbers, good for the health check only.
_TEST_KEY = unhexlify("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
_TEST_PUBLIC = unhexlify(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
_TEST_DIGEST = unhexlify("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.compat import P256
    from hal.storage import Storage


class SoftwareKey(Device):
    """See hal.secure_element. Signing takes the processor's time: 0.1-0.7 s on a microcontroller, during which nothing else runs."""

    kind = "secure_element"
    part = "software_key"
    in_hardware = False

    def __init__(self, storage: "Storage", curve: "P256 | None" = None) -> None:
        """curve: what to compute with, if not the runtime's own choice."""
        super().__init__()
        self._storage = storage
        self._curve = curve if curve is not None else p256()

    async def generate_key(self, slot: int) -> bytes:
        """A new key in `slot` (0..15); the public key, 64 bytes. Raises DeviceError E_FAILURE (storage): the old key is still there."""
        self._require_slot(slot)
        generations = self._files().get(slot, [])
        generation = generations[-1] + 1 if generations else 1
        private = await self._new_private()
        public = self._curve.public_key(private)
        content = bytes((_FORMAT, slot)) + private + public
        content += crc32(content).to_bytes(4, "big")
        name = _name(slot, generation)
        try:
            self._storage.append(name, content)
            if self._storage.read(name, 0, _LENGTH + 1) != content:
                raise DeviceError(E_FAILURE, self.kind, name + " does not read back as written")
        except DeviceError:
            self._storage.remove(name)  # or it might count after all, though the caller was told that it does not
            raise
        for old in generations:
            self._storage.remove(_name(slot, old))
        return public

    async def public_key(self, slot: int) -> bytes:
        """Raises DeviceError E_NOEXIST: the slot is empty."""
        return self._content(slot)[34:98]

    async def sign(self, slot: int, digest: bytes) -> bytes:
        """64 bytes r || s. Raises DeviceError E_NOEXIST (empty slot), E_ILLEGAL (the digest is not 32 bytes)."""
        if len(digest) != 32:
            raise DeviceError(E_ILLEGAL, self.kind, "a digest is 32 bytes")
        return self._curve.sign(self._content(slot)[2:34], digest)

    async def verify(self, public_key: bytes, digest: bytes, signature: bytes) -> bool:
        self.require_enabled()
        return self._curve.verify(public_key, digest, signature)

    async def erase(self, slot: int) -> None:
        """Empty the slot. The oldest file goes first: cut off in the middle, it leaves the key that counted, or none."""
        self._require_slot(slot)
        for generation in self._files().get(slot, []):
            self._storage.remove(_name(slot, generation))

    async def random(self, length: int) -> bytes:
        """From the runtime: on a microcontroller as good as the port's os.urandom, on ESP32 only while Wi-Fi or Bluetooth is on."""
        self.require_enabled()
        return os.urandom(length)

    async def transport_key(self) -> "tuple[bytes, bytes]":
        self.require_enabled()
        private = await self._new_private()
        return private, self._curve.public_key(private)

    async def agree(self, public_key: bytes) -> "tuple[bytes, bytes]":
        """Raises DeviceError E_ILLEGAL: not a point on the curve."""
        self.require_enabled()
        if not self._curve.is_public_key(public_key):
            raise DeviceError(E_ILLEGAL, self.kind, "not a point on the curve")
        private, public = await self.transport_key()
        return public, self._curve.agree(private, public_key)

    async def _bring_up(self) -> None:
        """Remove what a power cut left: older generations of a key, and files shorter than a key.

        A file of full length that is not whole was damaged later: it stays, for the health check to find.
        """
        for slot, generations in self._files().items():
            current, _ = self._newest(slot, generations)
            for generation in generations:
                name = _name(slot, generation)
                if generation < current or self._storage.size(name) < _LENGTH:
                    self._storage.remove(name)

    async def _check_health(self, level: int) -> Health:
        """The internal check, at every level: sign and verify with a test key, random numbers, and each key file whole."""
        signature = self._curve.sign(_TEST_KEY, _TEST_DIGEST)
        altered = bytes((_TEST_DIGEST[0] ^ 1,)) + _TEST_DIGEST[1:]
        if not self._curve.verify(_TEST_PUBLIC, _TEST_DIGEST, signature) or self._curve.verify(_TEST_PUBLIC, altered, signature):
            return Health(HEALTH_FAIL, self.kind, "signature_wrong", E_FAILURE, detail="the test signature is not judged as it should be")
        if await self.random(16) == await self.random(16):
            return Health(HEALTH_FAIL, self.kind, "random_stuck", E_FAILURE, detail="the random numbers repeat")
        keys = 0
        for slot, generations in self._files().items():
            current, _ = self._newest(slot, generations)
            if current:
                keys += 1
            else:
                return Health(HEALTH_FAIL, self.kind, "key_damaged", E_FAILURE, detail=_name(slot, generations[-1]) + " is damaged")
        return Health(HEALTH_SUCCESS, self.kind, measurements={"keys": keys})

    async def _new_private(self) -> bytes:
        while True:  # a draw misses 1..n-1 once in 2^32 times
            private = await self.random(32)
            if self._curve.is_private_key(private):
                return private

    def _content(self, slot: int) -> bytes:
        self._require_slot(slot)
        current, content = self._newest(slot, self._files().get(slot, []))
        if not current:
            raise DeviceError(E_NOEXIST, self.kind, "slot %d is empty" % slot)
        return content

    def _files(self) -> "dict[int, list[int]]":
        """By slot, the generations of which there is a file, whole or not, oldest first."""
        files: dict[int, list[int]] = {}
        for name in self._storage.names():
            parts = name.split(".")
            if len(parts) == 3 and parts[0] == "key" and parts[1].isdigit() and parts[2].isdigit():
                files.setdefault(int(parts[1]), []).append(int(parts[2]))
        for generations in files.values():
            generations.sort()
        return files

    def _newest(self, slot: int, generations: "list[int]") -> "tuple[int, bytes]":
        """The generation that counts and its content, or (0, b'')."""
        for generation in reversed(generations):
            content = self._storage.read(_name(slot, generation), 0, _LENGTH + 1)
            if (
                len(content) == _LENGTH
                and content[0] == _FORMAT
                and content[1] == slot
                and crc32(content[:98]) == int.from_bytes(content[98:], "big")
            ):
                return generation, content
        return 0, b""

    def _require_slot(self, slot: int) -> None:
        self.require_enabled()
        if not 0 <= slot < SLOTS:
            raise DeviceError(E_ILLEGAL, self.kind, "slot %d is not 0..%d" % (slot, SLOTS - 1))


def _name(slot: int, generation: int) -> str:
    return "key.%d.%d" % (slot, generation)
