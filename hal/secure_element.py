"""Contract: secure element. Keys on P-256 that are made inside and never leave.

Level 1: `in_hardware` (False: the key lies in a file and signing is done in software; reports say so); slots are small numbers;
  `async generate_key(slot)` makes a new key and gives its public key, 64 bytes x || y; `async public_key(slot)` gives it again
  (E_NOEXIST: empty slot); `async sign(slot, digest)` 32 bytes in, 64 bytes r || s out (FIPS 186-5); `async verify(public_key, digest,
  signature)` True or False, for any public key, False for a point not on the curve; `async erase(slot)`; `async random(length)`;
  `async transport_key()` makes a key pair that the element does not keep, (private 32 bytes, public 64 bytes): for TLS, whose library
  on a microcontroller wants its private key in memory. It authenticates the connection and never signs a message;
  `async agree(public_key)` makes a key pair that is used this once, and gives (its public key 64 bytes, the secret 32 bytes that the owner
  of the other private key gets from it: ECDH's x); E_ILLEGAL for what is no point on the curve. For encrypting to that key.
Level 2: `async count(increment)` gives the element's own counter, which nothing sets back, raised by one first when increment is True.
`erase` makes the key unusable for ever. An element that cannot empty a slot puts in a key that nobody is told of.
A slot is written whole or not at all: after a power cut it holds the old key, or the new one.
"""

from hal.contract import Contract

CONTRACT = Contract(
    "secure_element",
    {1: ("in_hardware", "generate_key", "public_key", "sign", "verify", "erase", "random", "transport_key", "agree"), 2: ("count",)},
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class SecureElement(Protocol):
        level: int
        enabled: bool
        in_hardware: bool

        async def generate_key(self, slot: int) -> bytes: ...
        async def public_key(self, slot: int) -> bytes: ...
        async def sign(self, slot: int, digest: bytes) -> bytes: ...
        async def verify(self, public_key: bytes, digest: bytes, signature: bytes) -> bool: ...
        async def erase(self, slot: int) -> None: ...
        async def random(self, length: int) -> bytes: ...
        async def transport_key(self) -> tuple[bytes, bytes]: ...
        async def agree(self, public_key: bytes) -> tuple[bytes, bytes]: ...
        async def check_health(self, level: int = 1) -> Health: ...
