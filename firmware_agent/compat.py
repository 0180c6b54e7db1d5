"""Where the two runtimes differ for firmware_agent/: the only file here that asks which one it is."""

import sys

MICROPYTHON = sys.implementation.name == "micropython"

# `tcp` has, on both: open_socket, open_stream, Stream, ResolveError, is_tls_error, tls_cause. See tcp_micropython for what they promise.
if MICROPYTHON:
    from firmware_agent.links import tcp_micropython as tcp
else:
    from firmware_agent.links import tcp_cpython as tcp  # type: ignore[no-redef]

__all__ = ["MICROPYTHON", "tcp"]
