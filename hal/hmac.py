"""HMAC-SHA256 (RFC 2104): MicroPython's hashlib has the hash, and no HMAC."""

from hashlib import sha256

_BLOCK = 64  # bytes, of SHA-256


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """32 bytes, of a key of any length."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    rest = _BLOCK - len(key)
    inner = sha256(bytes(byte ^ 0x36 for byte in key) + b"\x36" * rest)
    inner.update(message)
    outer = sha256(bytes(byte ^ 0x5C for byte in key) + b"\x5c" * rest)
    outer.update(inner.digest())
    return outer.digest()
