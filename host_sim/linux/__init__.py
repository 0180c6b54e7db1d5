"""The far side of a Linux machine's own interfaces: printer, card, keys and more behind ports, sockets and files that the kernel serves."""
