"""Where the two runtimes differ for hal/ and boards/: the only file here that asks which one it is."""

import os
import sys

MICROPYTHON = sys.implementation.name == "micropython"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class P256(Protocol):
        def is_private_key(self, private: bytes) -> bool: ...
        def is_public_key(self, public: bytes) -> bool: ...
        def public_key(self, private: bytes) -> bytes: ...
        def sign(self, private: bytes, digest: bytes) -> bytes: ...
        def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool: ...
        def agree(self, private: bytes, public: bytes) -> bytes: ...


def beside(module_file: str, name: str) -> str:
    """The path of a data file that lies in the same folder as a module: beside(__file__, 'board.json')."""
    slash = module_file.rfind("/")
    return module_file[: slash + 1] + name


def sync(file: object) -> None:
    """Make what was written to an open binary file durable."""
    file.flush()  # type: ignore[attr-defined]
    if hasattr(os, "fsync"):
        os.fsync(file.fileno())  # type: ignore[attr-defined]
    elif hasattr(os, "sync"):
        os.sync()


def close_stream(stream: object) -> None:
    """Close what asyncio.open_connection gave as its writer, at once: what is not yet sent is dropped."""
    if MICROPYTHON:
        stream.s.close()  # type: ignore[attr-defined]  # its own close() does nothing
    else:
        stream.transport.abort()  # type: ignore[attr-defined]


def p256() -> "P256":
    """ECDSA and ECDH on P-256: the `cryptography` package on CPython, the project's own code on MicroPython. Build once and keep it."""
    if MICROPYTHON:
        from hal.drivers.p256 import P256

        return P256()
    from hal.drivers.p256_openssl import OpensslP256

    return OpensslP256()
