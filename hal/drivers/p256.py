"""ECDSA on P-256 with SHA-256 digests, and ECDH, in plain Python: for MicroPython, which has no elliptic curves of its own.

For: verifying the acquirer's orders, signing where a terminal has no secure element, and agreeing on a secret by a key that is used once.
Not for: keys that someone who can time the terminal, or read its power line, must not get. **It is not constant-time**: how long a
signature takes, and which table entries it touches, depend on the secret. Not for agreement by a key that is used again, either.

Standards: FIPS 186-5 section 6 (ECDSA), SP 800-56A section 5.7.1.2 (ECDH), SP 800-186 section 3.2.1.3 (the curve), RFC 6979 (nonces),
SEC 1 section 3.2.2.1 (valid keys).
"""

from hal.hmac import hmac_sha256

# SP 800-186, 3.2.1.3: y^2 = x^3 - 3x + B over the integers modulo P; G = (GX, GY) has the prime order N; the cofactor is 1.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5

# The comb of G: TEETH bits of a scalar, SPACING apart, are looked up at once. 5 x 52 >= 256; the table has 2^5 - 1 points.
_TEETH = 5
_SPACING = 52
_WINDOW = 5  # of the wNAF of the other scalar: 2^(5-2) odd multiples of the public key

_INFINITY = (1, 1, 0)

TYPE_CHECKING = False
if TYPE_CHECKING:
    Affine = tuple[int, int]
    Jacobian = tuple[int, int, int]  # (X, Y, Z) is (X/Z^2, Y/Z^3); Z = 0 is the point at infinity


class P256:
    """Signs and verifies. Build one and keep it: it holds the comb of G, which the first use makes."""

    def __init__(self) -> None:
        self._comb = bytearray()

    def is_private_key(self, private: bytes) -> bool:
        """Whether these are 32 bytes, big-endian, of 1..n-1: random bytes that are not are drawn again (FIPS 186-5, A.2.2)."""
        return len(private) == 32 and 0 < int.from_bytes(private, "big") < N

    def is_public_key(self, public: bytes) -> bool:
        """Whether these are 64 bytes, x || y, of a point on the curve. Infinity has no such form."""
        return _point(public) is not None

    def public_key(self, private: bytes) -> bytes:
        """64 bytes, x || y. Raises ValueError: `private` is not 32 bytes of 1..n-1."""
        x, y = _affine([self._multiply_g(_private(private))])[0]
        return _octets(x) + _octets(y)

    def sign(self, private: bytes, digest: bytes) -> bytes:
        """64 bytes, r || s, of a 32-byte SHA-256 digest. The nonce is RFC 6979's: the same input gives the same signature.

        Raises ValueError: `private` is not 32 bytes of 1..n-1, or `digest` not 32 bytes.
        """
        secret = _private(private)
        if len(digest) != 32:
            raise ValueError("a digest is 32 bytes")
        e = int.from_bytes(digest, "big")
        nonces = _Nonces(private, _octets(e % N))
        while True:
            k = nonces.next()
            r = _affine([self._multiply_g(k)])[0][0] % N
            s = _inverse(k, N) * (e + r * secret) % N
            if r and s:
                return _octets(r) + _octets(s)

    def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes, r || s) over a 32-byte digest is by the key `public` (64 bytes, x || y).

        False, and no exception, for whatever is wrong with any of the three. Either of s and n-s is good, as FIPS 186-5 says.
        """
        q = _point(public)
        if q is None or len(digest) != 32 or len(signature) != 64:
            return False
        r = int.from_bytes(signature[:32], "big")
        s = int.from_bytes(signature[32:], "big")
        if not (0 < r < N and 0 < s < N):
            return False
        w = _inverse(s, N)
        x, _, z = self._multiply_g(int.from_bytes(digest, "big") * w % N, r * w % N, q)
        if z == 0:
            return False
        # x/z^2 mod N == r without a division: the affine x is r, or r + N where that is still below P.
        zz = z * z % P
        return x == r * zz % P or (r + N < P and x == (r + N) * zz % P)

    def agree(self, private: bytes, public: bytes) -> bytes:
        """The shared secret, 32 bytes: the x of private * public. Both sides get the same, each from its own private key.

        Raises ValueError: `private` is not 32 bytes of 1..n-1, or `public` (64 bytes, x || y) no point on the curve.
        """
        secret = _private(private)
        q = _point(public)
        if q is None:
            raise ValueError("a public key is 64 bytes of a point on the curve")
        # Never infinity: the order is prime, and the cofactor 1.
        return _octets(_affine([self._multiply_g(0, secret, q)])[0][0])

    def _multiply_g(self, u: int, v: int = 0, q: "Affine | None" = None) -> "Jacobian":
        """u*G, or u*G + v*q with shared doublings (Shamir's trick). u and v are below 2^256."""
        comb = self._comb
        if not comb:
            comb = self._comb = _comb_of_g()
        position = _SPACING
        digits = bytearray()
        multiples: list[Affine] = []
        if q is not None:
            digits = _wnaf(v)
            multiples = _odd_multiples(q)
            position = len(digits)
        result = _INFINITY
        while position:
            position -= 1
            result = _double(result)
            if position < _SPACING:
                entry = 0
                bits = u >> position
                for tooth in range(_TEETH):
                    entry |= (bits & 1) << tooth
                    bits >>= _SPACING
                if entry:
                    result = _add(result, _entry(comb, entry - 1))
            if digits and digits[position]:
                digit = digits[position] - 16
                if digit > 0:
                    result = _add(result, multiples[digit >> 1])
                else:
                    x, y = multiples[-digit >> 1]
                    result = _add(result, (x, P - y))
        return result


class _Nonces:
    """The nonces of RFC 6979, section 3.2, for HMAC-SHA256: steps b to g, then h at each call of next()."""

    def __init__(self, private: bytes, reduced_digest: bytes) -> None:
        seed = bytes(private) + reduced_digest
        value = b"\x01" * 32
        key = hmac_sha256(b"\x00" * 32, value + b"\x00" + seed)
        value = hmac_sha256(key, value)
        key = hmac_sha256(key, value + b"\x01" + seed)
        self._key = key
        self._value = hmac_sha256(key, value)

    def next(self) -> int:
        while True:
            self._value = hmac_sha256(self._key, self._value)
            k = int.from_bytes(self._value, "big")
            self._key = hmac_sha256(self._key, self._value + b"\x00")
            self._value = hmac_sha256(self._key, self._value)
            if 0 < k < N:
                return k


def _octets(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _private(private: bytes) -> int:
    number = int.from_bytes(private, "big")
    if len(private) != 32 or not 0 < number < N:
        raise ValueError("a private key is 32 bytes of 1..n-1")
    return number


def _point(public: bytes) -> "Affine | None":
    """The point that 64 bytes name, or None: SEC 1, 3.2.2.1, where a cofactor of 1 needs no look at the order."""
    if len(public) != 64:
        return None
    x = int.from_bytes(public[:32], "big")
    y = int.from_bytes(public[32:], "big")
    if x >= P or y >= P or (x * x * x - 3 * x + B - y * y) % P:
        return None
    return x, y


def _inverse(a: int, modulus: int) -> int:
    """a^-1 for a prime modulus and a in 1..modulus-1, by Euclid: on MicroPython pow(a, -1, m) is silently 0."""
    low, high = a, modulus
    x, y = 1, 0
    while low != 1:
        quotient = high // low
        low, high, x, y = high - quotient * low, low, y - quotient * x, x
    return x % modulus


def _double(point: "Jacobian") -> "Jacobian":
    """2 * point, infinity too: the formulas 'dbl-2001-b' for a = -3. No point of this curve has y = 0, for its order is odd."""
    x, y, z = point
    delta = z * z % P
    gamma = y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, 2 * y * z % P


def _add(left: "Jacobian", right: "Affine") -> "Jacobian":
    """left + right, in every case: infinity, equal points and opposite ones too, for a sender can bring them about."""
    x1, y1, z1 = left
    x2, y2 = right
    if z1 == 0:
        return x2, y2, 1
    zz = z1 * z1 % P
    h = (x2 * zz - x1) % P
    slope = (y2 * z1 * zz - y1) % P
    if h == 0:
        return _INFINITY if slope else _double(left)
    hh = h * h % P
    hhh = h * hh % P
    v = x1 * hh % P
    x3 = (slope * slope - hhh - 2 * v) % P
    return x3, (slope * (v - x3) - y1 * hhh) % P, z1 * h % P


def _affine(points: "list[Jacobian]") -> "list[Affine]":
    """The same points with Z = 1, by one inversion for all (Montgomery's trick). None of them is infinity."""
    products = []
    product = 1
    for _, _, z in points:
        products.append(product)
        product = product * z % P
    inverse = _inverse(product, P)
    result: list[Affine] = []
    for index in range(len(points) - 1, -1, -1):
        x, y, z = points[index]
        z_inverse = inverse * products[index] % P
        inverse = inverse * z % P
        zz = z_inverse * z_inverse % P
        result.append((x * zz % P, y * zz * z_inverse % P))
    result.reverse()
    return result


def _comb_of_g() -> bytearray:
    """Entry i - 1 is the sum, over the bits t of i, of 2^(SPACING*t) * G. As bytes the table takes 2 KB of heap, as numbers 10."""
    comb = bytearray(64 * ((1 << _TEETH) - 1))  # first of all, while the heap is whole
    teeth: list[Jacobian] = [(GX, GY, 1)]
    for _ in range(_TEETH - 1):
        point = teeth[-1]
        for _ in range(_SPACING):
            point = _double(point)
        teeth.append(point)
    filled = 0
    for base in _affine(teeth):
        sums: list[Jacobian] = [(base[0], base[1], 1)]
        for index in range(filled):
            x, y = _entry(comb, index)
            sums.append(_add((x, y, 1), base))
        for x, y in _affine(sums):
            comb[64 * filled : 64 * filled + 64] = _octets(x) + _octets(y)
            filled += 1
    return comb


def _entry(comb: bytearray, index: int) -> "Affine":
    start = index * 64
    return int.from_bytes(comb[start : start + 32], "big"), int.from_bytes(comb[start + 32 : start + 64], "big")


def _odd_multiples(q: "Affine") -> "list[Affine]":
    """q, 3q, 5q ... 15q."""
    twice = _affine([_double((q[0], q[1], 1))])[0]
    multiples: list[Jacobian] = [(q[0], q[1], 1)]
    for _ in range((1 << (_WINDOW - 2)) - 1):
        multiples.append(_add(multiples[-1], twice))
    return _affine(multiples)


def _wnaf(scalar: int) -> bytearray:
    """The non-adjacent form of a scalar below 2^256 with window 5, lowest digit first: 0 is none, else the odd digit -15..15 plus 16."""
    digits = bytearray(257)
    position = 0
    while scalar:
        if scalar & 1:
            digit = scalar & 31
            if digit > 15:
                digit -= 32
            digits[position] = digit + 16
            scalar -= digit
        scalar >>= 1
        position += 1
    return digits
