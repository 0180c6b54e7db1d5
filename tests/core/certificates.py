"""Certificates as RFC 5280 has them, made of the parts that a terminal reads."""


def der(tag, *parts):
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x82, len(content) >> 8, len(content) & 0xFF]) + content


def certificate_for(key, not_before=b"261122000000Z", not_after=b"280229235959Z"):
    """For a public key, 64 bytes x || y; not_before, not_after: UTCTime."""
    return certificate(der(0x17, not_before), der(0x17, not_after), True, b"\x00\x04" + key)


def certificate(not_before, not_after, version, point):
    body = [der(0xA0, der(0x02, b"\x02"))] if version else []
    body.append(der(0x02, b"\x12\x34"))
    body.append(der(0x30, b""))
    body.append(der(0x30, b"issuer" * 30))  # long enough for a length of two bytes
    body.append(der(0x30, not_before, not_after))
    body.append(der(0x30, b"subject"))
    body.append(der(0x30, der(0x30, b"algorithm"), der(0x03, point)))
    return der(0x30, der(0x30, *body), der(0x30, b""), der(0x03, b"signature"))
