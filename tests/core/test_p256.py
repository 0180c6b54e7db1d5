"""P-256 against the published vectors, and against what a hostile sender may put into a key or a signature."""

from binascii import unhexlify
from hashlib import sha256

from hal.drivers.p256 import GX, GY, P256, N, P
from tests.core.support import raises

# RFC 6979, A.2.5.
PRIVATE = unhexlify("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
PUBLIC = unhexlify(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
SAMPLE = sha256(b"sample").digest()
SAMPLE_SIGNED = unhexlify(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)
TEST_SIGNED = unhexlify(
    "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
)

# Points with a coordinate so small that p can be added to it: (0, Y_OF_0) and (X_OF_1, 1).
Y_OF_0 = 0x66485C780E2F83D72433BD5D84A06BB6541C2AF31DAE871728BF856A174F93F4
X_OF_1 = 0x8D0177EBAB9C6E9E10DB6DD095DBAC0D6375E8A97B70F611875D877F0069D2C7


def octets(*numbers):
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def split(pair):
    return int.from_bytes(pair[:32], "big"), int.from_bytes(pair[32:], "big")


G = octets(GX, GY)


def test_rfc_6979_gives_the_public_key():
    assert P256().public_key(PRIVATE) == PUBLIC


def test_rfc_6979_gives_the_signatures():
    curve = P256()
    assert curve.sign(PRIVATE, SAMPLE) == SAMPLE_SIGNED
    assert curve.sign(PRIVATE, sha256(b"test").digest()) == TEST_SIGNED
    assert curve.verify(PUBLIC, SAMPLE, SAMPLE_SIGNED)
    assert curve.verify(PUBLIC, sha256(b"test").digest(), TEST_SIGNED)


def test_the_signature_of_the_fips_vectors_is_good():
    # NIST CAVP 186-4 SigGen, [P-256,SHA-256], the first of the list.
    message = unhexlify(
        "5905238877c77421f73e43ee3da6f2d9e2ccad5fc942dcec0cbd25482935faaf416983fe165b1a045ee2bcd2e6dca3bdf46c4310a7461f9a37960ca672d3feb5"
        "473e253605fb1ddfd28065b53cb5858a8ad28175bf9bd386a5e471ea7a65c17cc934a9d791e91491eb3754d03799790fe2d308d16146d5c9b0d0debd97d79ce8"
    )
    private = unhexlify("519b423d715f8b581f4fa8ee59f4771a5b44c8130b4e3eacca54a56dda72b464")
    public = unhexlify(
        "1ccbe91c075fc7f4f033bfa248db8fccd3565de94bbfb12f3c59ff46c271bf83ce4014c68811f9a21a1fdb2c0e6113e06db7ca93b7404e78dc7ccd5ca89a4ca9"
    )
    signature = unhexlify(
        "f3ac8061b514795b8843e3d6629527ed2afd6b1f6a555a7acabb5e6f79c8c2ac8bf77819ca05a6b2786c76262bf7371cef97b218e96f175a3ccdda2acc058903"
    )
    curve = P256()
    assert curve.public_key(private) == public
    assert curve.verify(public, sha256(message).digest(), signature)
    assert not curve.verify(public, sha256(message + b"\x00").digest(), signature)


def test_small_and_large_multiples_of_g_are_right():
    curve = P256()
    assert curve.public_key(octets(1)) == G
    assert curve.public_key(octets(2)) == unhexlify(
        "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc4766997807775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1"
    )
    assert curve.public_key(octets(N - 1)) == octets(GX, P - GY)


def test_what_is_signed_verifies_and_nothing_near_it_does():
    curve = P256()
    for private in (octets(1), octets(2), octets(N - 1), octets(N - 2), octets(1 << 52), octets((1 << 104) + 3)):
        public = curve.public_key(private)
        for digest in (bytes(32), octets(1), octets(N - 1), octets(N), b"\xff" * 32):
            signature = curve.sign(private, digest)
            assert curve.verify(public, digest, signature)
            altered = bytes((digest[0] ^ 1,)) + digest[1:]
            assert not curve.verify(public, altered, signature)


def test_a_digest_of_n_is_the_digest_0():
    # FIPS 186-5 takes the digest modulo n; RFC 6979 reduces it before it makes the nonce.
    curve = P256()
    assert curve.sign(PRIVATE, octets(N)) == curve.sign(PRIVATE, bytes(32))


def test_every_changed_bit_of_a_signature_is_refused():
    curve = P256()
    for bit in range(0, 512, 37):
        altered = bytearray(SAMPLE_SIGNED)
        altered[bit >> 3] ^= 1 << (bit & 7)
        assert not curve.verify(PUBLIC, SAMPLE, bytes(altered)), bit


def test_n_minus_s_is_as_good_as_s():
    curve = P256()
    r, s = split(SAMPLE_SIGNED)
    assert s > N // 2
    assert curve.verify(PUBLIC, SAMPLE, octets(r, N - s))


def test_r_and_s_out_of_range_are_refused():
    curve = P256()
    r, s = split(SAMPLE_SIGNED)
    last = (1 << 256) - 1
    for bad in (0, N, N + 1, P, last, last - s):
        assert not curve.verify(PUBLIC, SAMPLE, octets(bad, s)), bad
        assert not curve.verify(PUBLIC, SAMPLE, octets(r, bad)), bad
        assert not curve.verify(PUBLIC, SAMPLE, octets(bad, bad)), bad
    assert not curve.verify(PUBLIC, SAMPLE, octets((1 << 256) - r, s))  # -r, -s in two's complement
    assert not curve.verify(PUBLIC, SAMPLE, octets(r, (1 << 256) - s))
    assert not curve.verify(PUBLIC, SAMPLE, octets(N - r, s))
    assert not curve.verify(PUBLIC, SAMPLE, octets(s, r))


def test_lengths_other_than_the_one_are_refused():
    curve = P256()
    for signature in (b"", SAMPLE_SIGNED[:-1], SAMPLE_SIGNED[:32], SAMPLE_SIGNED + b"\x00", b"\x00" + SAMPLE_SIGNED):
        assert not curve.verify(PUBLIC, SAMPLE, signature)
    for public in (b"", PUBLIC[:-1], PUBLIC + b"\x00", b"\x04" + PUBLIC):
        assert not curve.verify(public, SAMPLE, SAMPLE_SIGNED)
        assert not curve.is_public_key(public)
    for digest in (b"", SAMPLE[:-1], SAMPLE + b"\x00"):
        assert not curve.verify(PUBLIC, digest, SAMPLE_SIGNED)


def test_an_x_above_n_counts_as_x_minus_n():
    # The point that r stands for has x = n + 3, which is below p: made for this test, and found good by OpenSSL.
    public = unhexlify(
        "2115170bbf1580a837d6a71a24c2005ff0cab82e6944043fb24dbc946347dd93e577daa89a6be555135fbe34cec6074c2f6be2576d1d985f0f159afc263e45ec"
    )
    s = unhexlify("043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89")
    digest = sha256(b"wrap").digest()
    curve = P256()
    assert curve.verify(public, digest, octets(3) + s)
    assert not curve.verify(public, digest, octets(N + 3) + s)
    assert not curve.verify(public, digest, octets(4) + s)


def test_a_small_x_is_itself():
    # x = 5, so that r + n would be below p too: made for this test, and found good by OpenSSL.
    public = unhexlify(
        "6c7b048654c5af6cae8af7f89234c1c324b056003d777891ba8b24f44facaa80159d64582b867b41b29ab9c225373fe3a4f2a5953fbd729ab7333dfb21692475"
    )
    s = unhexlify("043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89")
    assert P256().verify(public, sha256(b"small").digest(), octets(5) + s)


def test_an_r_that_wraps_around_p_is_refused():
    # r = 5 + p - n: r + n is 5 modulo p, the x of the point, but 5 is not r modulo n. OpenSSL refuses it.
    public = unhexlify(
        "90511298f8f4237f72d2570f762054876214af15edb6ee70bea5ed19817bf2b3bf5709a457d67f18376bf12ad60586f50f956a997cb2a88848a710776ef290c7"
    )
    s = unhexlify("043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89")
    assert not P256().verify(public, sha256(b"small").digest(), octets(5 + P - N) + s)


def test_a_signature_whose_point_is_infinity_is_refused():
    # r = -e/d, so that u1*G + u2*Q is infinity for any s.
    r = unhexlify("28815b9a52dcc43d91fe0e07a91bb000f5f475306723ba5e6392aee8be90ee9c")
    curve = P256()
    for s in (1, 5, N - 1):
        assert not curve.verify(PUBLIC, SAMPLE, r + octets(s))


def backwards(private, u1, u2):
    """Digest and signature for which verifying computes u1*G + u2*Q, and the x of that point as r."""
    r = split(P256().public_key(octets((u1 + u2 * private) % N)))[0] % N
    s = r * pow(u2, N - 2, N) % N
    return octets(u1 * s % N), octets(r, s)


def test_equal_points_met_in_the_sum_are_doubled():
    digest, signature = backwards(1, 1, 1)  # G + Q where Q = G
    assert P256().verify(G, digest, signature)


def test_opposite_points_met_in_the_sum_cancel():
    digest, signature = backwards(N - 1, 3, 2)  # (G + G + G) + (Q + Q) where Q = -G: both halves cancel before the last addition
    assert P256().verify(octets(GX, P - GY), digest, signature)


def test_signatures_made_backwards_from_small_numbers_are_good():
    curve = P256()
    for private in (1, 2, N - 1):
        public = curve.public_key(octets(private))
        for u1, u2 in ((0, 1), (1, 4), (1 << 52, 1), (N - 3, 1), (1, N - 2), (31, 33)):
            digest, signature = backwards(private, u1, u2)
            assert curve.verify(public, digest, signature), (private, u1, u2)


def test_an_s_one_turn_too_far_is_refused():
    # s is 7 here, so that s + n is still below 2^256.
    curve = P256()
    r = split(curve.public_key(octets(5)))[0] % N
    e = (7 * 5 - r * 3) % N
    public = curve.public_key(octets(3))
    assert curve.verify(public, octets(e), octets(r, 7))
    assert not curve.verify(public, octets(e), octets(r, 7 + N))


def test_points_that_are_no_keys_are_refused():
    curve = P256()
    x, y = split(PUBLIC)
    table = (
        octets(0, 0),  # how some write infinity
        octets(x, y ^ 1),
        octets(x ^ 1, y),
        octets(y, x),
        octets(1, 1),
        octets(GX, GY + 1),
        octets(5, P),
        octets(0, P),
        b"\xff" * 64,
        octets(P, Y_OF_0),  # x = 0 written as p
        octets(X_OF_1, P + 1),  # y = 1 written as p + 1
    )
    for public in table:
        assert not curve.is_public_key(public)
        assert not curve.verify(public, SAMPLE, SAMPLE_SIGNED)
    assert curve.is_public_key(PUBLIC)
    assert curve.is_public_key(G)
    assert curve.is_public_key(octets(0, Y_OF_0))
    assert curve.is_public_key(octets(X_OF_1, 1))


def test_the_wrong_key_is_refused():
    curve = P256()
    assert not curve.verify(G, SAMPLE, SAMPLE_SIGNED)
    x, y = split(PUBLIC)
    assert not curve.verify(octets(x, P - y), SAMPLE, SAMPLE_SIGNED)


def test_private_keys_out_of_range_are_refused():
    curve = P256()
    for private in (bytes(32), octets(N), octets(N + 1), b"\xff" * 32, b"", PRIVATE[:-1], b"\x00" + PRIVATE):
        assert not curve.is_private_key(private)
        raises(ValueError, curve.public_key, private)
        raises(ValueError, curve.sign, private, SAMPLE)
    assert curve.is_private_key(octets(1))
    assert curve.is_private_key(octets(N - 1))


def test_only_a_digest_of_32_bytes_is_signed():
    for digest in (b"", SAMPLE[:-1], SAMPLE + b"\x00"):
        raises(ValueError, P256().sign, PRIVATE, digest)


def test_memoryviews_are_taken_for_bytes():
    curve = P256()
    buffer = memoryview(b"-" + PUBLIC + SAMPLE + SAMPLE_SIGNED)
    assert curve.verify(buffer[1:65], buffer[65:97], buffer[97:161])
    assert curve.sign(memoryview(PRIVATE), memoryview(SAMPLE)) == SAMPLE_SIGNED


def test_the_tables_of_two_objects_are_their_own():
    one, other = P256(), P256()
    assert one.sign(PRIVATE, SAMPLE) == other.sign(PRIVATE, SAMPLE)
    assert one._comb is not other._comb and len(one._comb) == 31 * 64
