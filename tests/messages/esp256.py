"""pycose 1.1 is older than RFC 9864: told the number of ESP256, -9, it does the rest itself."""

from pycose.algorithms import CoseAlgorithm, Es256


class Esp256(Es256):
    """ES256 by its newer, exact name."""

    identifier = -9
    fullname = "ESP256"


CoseAlgorithm.register_attribute()(Esp256)
