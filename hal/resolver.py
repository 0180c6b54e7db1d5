"""Addresses of host names from the runtime's own TCP/IP stack: what a board's main.py hands its platform as `resolve`."""

import socket


def resolve(host: str) -> str:
    """The first IPv4 address of a host name. Raises OSError for none.

    Blocks, the event loop too: MicroPython has no other look-up. lwIP asks each of at most three DNS servers for 7 s (dns.c).
    """
    # The last item is the socket address: (address, port) on CPython and on microcontrollers.
    return str(socket.getaddrinfo(host, 0, socket.AF_INET, socket.SOCK_STREAM)[0][-1][0])
