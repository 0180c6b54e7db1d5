"""docs/wire-vectors.json: what the agent makes of each message, and that what a message claims is not what it costs."""

import asyncio
import gc
import json
from binascii import unhexlify

from firmware_agent.messages.cbor import CborError, decode
from firmware_agent.messages.cose import CoseError, key_id, parse, signing_digest, verify
from firmware_agent.messages.inbound import REFUSALS, Judge
from firmware_agent.messages.schema import Claims, SchemaError
from hal.clock import TRUST_SET
from hal.drivers.p256 import P256
from tests.core.support import raises

VECTORS = __file__.replace("\\", "/").rsplit("/", 3)[0] + "/docs/wire-vectors.json"
# The refusals that need no more than a message and what the terminal is: no clock, nothing that was asked for, nothing to do.
OF_A_MESSAGE = (
    ("too_long", "malformed", "not_signed", "algorithm", "key_id", "header_twice", "crit", "unknown_header_critical", "no_payload")
    + ("signature_length", "unknown_key", "bad_signature", "version", "unknown_kind", "critical_field")
    + ("wrong_direction", "wrong_terminal", "wrong_topic", "replayed", "expired", "from_the_future")
)
MUCH = 16384  # bytes: more than any reading of a hostile message takes, far less than what one announces


def lines():
    with open(VECTORS, encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n").rstrip(",")


def header():
    """What stands before the vectors."""
    text = ""
    for line in lines():
        if line.startswith('"vectors"'):
            break
        text += line + ("" if line == "{" else ",")
    return json.loads(text.rstrip(",") + "}")


def vectors():
    """One at a time: all of them at once are more than a small heap holds."""
    for line in lines():
        if line.startswith('{"name"'):
            yield json.loads(line)


class Verifier:
    """As much of a secure element as verifying asks for. It computes once for each signature."""

    def __init__(self):
        self.curve = P256()
        self.known = {}

    async def verify(self, public_key, digest, signature):
        if (digest, signature) not in self.known:
            self.known = {(digest, signature): self.curve.verify(public_key, digest, signature)}
        return self.known[(digest, signature)]


def refusal_of(element, topic, message, public_key):
    """('', claims) or (refusal, None) of envelope, signature and schema."""
    try:
        envelope = parse(message)
        if envelope.kid != key_id(public_key):
            return "unknown_key", None
        if not asyncio.run(verify(element, envelope, public_key, topic)):
            return "bad_signature", None
        return "", Claims.from_map(decode(envelope.payload))
    except (CoseError, SchemaError) as error:
        return error.code, None
    except CborError:
        return "malformed", None


def in_json(value):
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list):
        return [in_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): in_json(item) for key, item in value.items()}
    return value


def test_each_vector_is_taken_or_refused_as_it_says():
    about = header()
    public_key = unhexlify(about["public_key"])
    element = Verifier()
    judge = Judge(element, about["acquirer"], about["terminal"], [public_key])
    good = refused = 0
    seen = set()
    for vector in vectors():
        name, topic, message = vector["name"], vector["topic"], unhexlify(vector["message"])
        refusal, claims = refusal_of(element, topic, message, public_key)
        assert refusal == vector["refusal"], (name, refusal)
        if claims is None:
            refused += 1
            assert "claims" not in vector, name
        else:
            good += 1
            told = vector["claims"]
            assert claims.kind.name == told["kind"], name
            assert claims.subject == told["subject"] and claims.issuer == told["issuer"], name
            assert claims.issued_at == told["issued_at"] and claims.expires == told["expires"], name
            assert claims.boot_count == told["boot_count"] and claims.sequence == told["sequence"], name
            assert in_json(claims.body) == told["body"] and in_json(claims.unknown) == told["unknown"], name
        seen.add(refusal)
        if "receipt" in vector:
            verdict = asyncio.run(judge.judge(topic, message, about["highest"], about["wall_s"], TRUST_SET))
            assert verdict.refusal == vector["receipt"], (name, verdict.refusal)
            seen.add(verdict.refusal)
    assert good >= 20 and refused >= 40
    assert seen == set(OF_A_MESSAGE) | {""}


def test_the_vectors_use_the_words_of_receipts():
    assert set(OF_A_MESSAGE) <= set(REFUSALS)


def test_the_public_key_of_the_vectors_is_that_of_rfc_6979():
    private = unhexlify("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
    assert P256().public_key(private) == unhexlify(header()["public_key"])


def test_the_vectors_are_signed_by_the_nonces_of_rfc_6979():
    private = unhexlify("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
    vector = next(vectors())
    envelope = parse(unhexlify(vector["message"]))
    digest = signing_digest(envelope.protected, envelope.payload, vector["topic"])
    assert P256().sign(private, digest) == envelope.signature


def allocated(call):
    """How many bytes the call allocates, at most at one time or in all."""
    if hasattr(gc, "mem_alloc"):  # MicroPython
        gc.collect()
        gc.disable()  # so that nothing is given back meanwhile
        before = gc.mem_alloc()
        call()
        after = gc.mem_alloc()
        gc.enable()
        return after - before
    import tracemalloc

    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_what_is_announced_and_not_there_is_not_allocated():
    for head in ("5a00100000", "5b0000000100000000", "5bffffffffffffffff", "7a00100000", "7bffffffffffffffff"):
        hostile(head)
    for head in ("9a00100000", "9b0000000100000000", "9bffffffffffffffff", "ba00100000", "bb0000000100000000", "bbffffffffffffffff"):
        hostile(head)


def hostile(head):
    """A head that announces a MiB and more, alone, before bytes, and in lists: as a message, and as a payload."""
    for before, after in (("", ""), ("", "00" * 200), ("d284", "00" * 200), ("8181818181", "00" * 1000), ("a101", "00" * 1000)):
        data = unhexlify(before + head + after)
        for error, read in ((CborError, decode), (CoseError, parse)):
            assert allocated(lambda: raises(error, read, data)) < MUCH, (before, head)  # noqa: B023  called at once
        assert raises(CborError, decode, data).code == "length" and raises(CoseError, parse, data).code == "malformed", (before, head)
