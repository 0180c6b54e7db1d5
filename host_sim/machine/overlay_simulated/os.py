"""What `import os` finds in a MicroPython process whose time is simulated: chance that decides when something happens comes by a seed."""

import random

import uos  # type: ignore[import-not-found]
from uos import *  # noqa: F403

_BY_SEED_BYTES = 4  # as in host_sim.simulated_time: what is longer is a key, a salt, a nonce

random.seed(int(uos.getenv("REINSTATE_SEED")))


def urandom(length: int) -> bytes:
    by_seed = bytes([random.getrandbits(8) for _ in range(min(length, _BY_SEED_BYTES))])
    rest: bytes = uos.urandom(length - len(by_seed))
    return by_seed + rest
