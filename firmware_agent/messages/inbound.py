"""Judges each message from the acquirer before anything else sees it: whose it is, for whom, on which topic, how old, whether it is new.

The judge changes nothing: the agent persists the accepted sequence together with what the message does.
"""

import hashlib

from firmware_agent.card_numbers import masked
from firmware_agent.messages.cbor import CborError, decode
from firmware_agent.messages.cose import CoseError, Envelope, key_id, parse, verify
from firmware_agent.messages.schema import DOWN, Claims, SchemaError, topic
from hal.clock import TRUST_NONE, TRUST_SET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.secure_element import SecureElement

AHEAD_S = 600  # how far the acquirer's clock may be ahead of one that was set; our own drifts by less than 9 s a day

# Refusals, each with the ISO 20022 result that the receipt carries.
RESULT_GOOD = "SUCC"
REFUSALS = {
    "malformed": "FMTE",
    "not_signed": "SIGE",
    "algorithm": "SIGE",
    "signature_length": "SIGE",
    "key_id": "UKRF",
    "too_long": "LENE",
    "no_payload": "FMTE",
    "header_twice": "FMTE",
    "crit": "FMTE",
    "unknown_header_critical": "NSUP",
    "unknown_key": "UKRF",
    "bad_signature": "SIGE",
    "wrong_terminal": "ACCD",
    "wrong_topic": "ACCD",
    "wrong_direction": "ACCD",
    "expired": "TIMO",
    "time_unknown": "TIMO",
    "from_the_future": "TIMO",
    "replayed": "ACCD",
    "version": "NSUP",
    "unknown_kind": "NSUP",
    "critical_field": "NSUP",
    "unknown_action": "NSUP",
    "key_refused": "ACCD",
    "set_back": "ACCD",
    "not_kept": "OVER",
    "wrong_text": "INVC",
    "wrong_time": "INVC",
    "wrong_setting": "INVC",
    "too_many": "OVER",
    "not_locked": "ACCD",
}


class Verdict:
    """claims: the message, None when it was refused before it could be read; refusal: '' when accepted, else a key of REFUSALS;
    authentic: the signature is the acquirer's over this very topic; digest: names the message in the receipt; signed_by: kid of the
    acquirer's key, where claims are accepted.
    """

    def __init__(
        self, digest: bytes, refusal: str, claims: "Claims | None" = None, authentic: bool = False, signed_by: bytes = b""
    ) -> None:
        self.digest = digest
        self.refusal = refusal
        self.claims = claims
        self.authentic = authentic
        self.signed_by = signed_by

    @property
    def result(self) -> str:
        return REFUSALS[self.refusal] if self.refusal else RESULT_GOOD


def is_fresh(claims: Claims, asked: bytes) -> bool:
    """Whether it answers the inquiry with that nonce, so that it was made after that."""
    return claims.kind.name == "answer" and bool(asked) and claims.octets("nonce") == asked


class Judge:
    """acquirer, terminal: as in the topics; public_keys: the acquirer's pinned keys, 64 bytes each."""

    def __init__(self, element: "SecureElement", acquirer: str, terminal: str, public_keys: "list[bytes]") -> None:
        self._element = element
        self._acquirer = acquirer
        self._terminal = terminal
        self._keys = {key_id(key): key for key in public_keys}

    async def judge(self, arrived_on: str, message: bytes, highest: int, wall_s: int, trust: int, asked: bytes = b"") -> Verdict:
        """arrived_on: the MQTT topic; highest: the highest sequence accepted so far; wall_s, trust: as hal.clock tells them; asked: the
        nonce of the open inquiry, b'' for none: what answers it is as fresh as can be, whatever the clock says.
        """
        digest = hashlib.sha256(message).digest()[:16]
        try:
            envelope = parse(message)
        except CoseError as error:
            return Verdict(digest, error.code)
        public_key = self._keys.get(envelope.kid)
        if public_key is None:
            return Verdict(digest, "unknown_key")
        if not await verify(self._element, envelope, public_key, arrived_on):
            return Verdict(digest, await self._why_not(envelope, public_key, arrived_on))
        try:
            claims = Claims.from_map(decode(envelope.payload))
        except CborError:
            return Verdict(digest, "malformed", authentic=True)
        except SchemaError as error:
            return Verdict(digest, error.code, authentic=True)
        for name in claims.body:
            value = claims.body[name]
            if isinstance(value, str):
                claims.body[name] = masked(value)  # what the acquirer's people write is kept, shown, and told back
        return Verdict(digest, self._refusal(claims, arrived_on, highest, wall_s, trust, asked), claims, True, envelope.kid)

    def _refusal(self, claims: Claims, arrived_on: str, highest: int, wall_s: int, trust: int, asked: bytes) -> str:
        if claims.kind.direction != DOWN:
            return "wrong_direction"
        if claims.subject != self._terminal or claims.issuer != self._acquirer:
            return "wrong_terminal"
        if arrived_on != topic(self._acquirer, self._terminal, claims.kind.leaf):
            return "wrong_topic"
        if not claims.expires or not claims.sequence:
            return "malformed"  # an order without an end, or without a place in the sequence, is none
        if claims.sequence <= highest:
            return "replayed"
        if is_fresh(claims, asked):
            return ""
        # A clock that knows only a floor is never ahead of the true time: what has expired by it has expired. What has not may have: such a
        # clock lets nothing through but the answer that sets it.
        if trust != TRUST_NONE and wall_s >= claims.expires:  # "on or after" (RFC 8392, 3.1.4)
            return "expired"
        if trust != TRUST_SET:
            return "time_unknown"
        if claims.issued_at > wall_s + AHEAD_S:
            return "from_the_future"
        return ""

    async def _why_not(self, envelope: Envelope, public_key: bytes, arrived_on: str) -> str:
        """Tell a message that was moved from one that was altered, for the log and the receipt; both are refused.

        The message is asked where it belongs, and believed only if its signature holds there.
        """
        try:
            claims = Claims.from_map(decode(envelope.payload))
        except (CborError, SchemaError):
            return "bad_signature"
        belongs = topic(claims.issuer, claims.subject, claims.kind.leaf)
        if belongs == arrived_on or not await verify(self._element, envelope, public_key, belongs):
            return "bad_signature"
        return "wrong_terminal" if claims.subject != self._terminal else "wrong_topic"
