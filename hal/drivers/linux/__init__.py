"""Drivers for the interfaces of a Linux machine. CPython only: the drivers beside this folder run on both runtimes."""
