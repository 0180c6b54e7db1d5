"""Where the two runtimes differ for firmware_agent/: the only file here that asks which one it is."""

import sys

MICROPYTHON = sys.implementation.name == "micropython"

# `tcp` has, on both: open_socket, open_stream, Stream, ResolveError, is_tls_error, tls_cause. See tcp_micropython for what they promise.
if MICROPYTHON:
    from firmware_agent.links import tcp_micropython as tcp
else:
    from firmware_agent.links import tcp_cpython as tcp  # type: ignore[no-redef]

__all__ = ["MICROPYTHON", "aes_cbc", "tcp"]


def aes_cbc(key: bytes, vector: bytes, padded: bytes) -> bytes:
    """AES-CBC (NIST SP 800-38A), encrypting. key: 16 or 32 bytes; vector: 16; padded: a multiple of 16. Raises ValueError."""
    if MICROPYTHON:
        from cryptolib import aes  # type: ignore[import-not-found]

        encrypted: bytes = aes(key, 2, vector).encrypt(padded)  # 2: CBC
        return encrypted
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(padded) + encryptor.finalize()
