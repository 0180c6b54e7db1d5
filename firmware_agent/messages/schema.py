"""Every message of both directions as tables: encoder, decoder and docs/wire-format.md all come from here.

A payload is a map of claims, by their CWT and EAT numbers (RFC 8392, RFC 9711), and one private claim that carries the message proper:
[version, kind, sequence, body]. The body is a map of the kind's fields by number. A field that is not known is kept; a negative number
marks a field that must be understood, so an unknown negative one is refused.
"""

from firmware_agent.state.machine import MODES, STATUSES

VERSION = 1

CLAIM_ISSUER = 1  # iss: who signs a message down
CLAIM_SUBJECT = 2  # sub: the terminal that the message is from, or for
CLAIM_EXPIRES = 4  # exp
CLAIM_ISSUED_AT = 6  # iat: absent where the clock is not set
CLAIM_BOOT_COUNT = 267  # bootcount (EAT)
CLAIM_MESSAGE = -65537  # private use, below -65536

UP = "up"
DOWN = "down"

# Types of fields. 'text', 'bytes': at most MAX_TEXT or MAX_BYTES long; 'list': of anything the decoder allows; 'choice': one of the field's
# words, on the wire its place among them. Words are only ever added at the end.
UINT = "uint"
TEXT = "text"
BYTES = "bytes"
BOOL = "bool"
LIST = "list"
CHOICE = "choice"
MAX_TEXT = 512  # characters
MAX_BYTES = 2048
MAX_UINT = 0xFFFFFFFFFFFF
# The acquirer's words that a terminal keeps in its state, in characters: short, so that all twelve reasons at once fit into one record.
MAX_CASE = 32
MAX_NOTE = 80
MAX_REMARK = 160
MAX_NOTICE = 160

LINK_ONLINE = "online"
LINK_LOST = "lost"
LINKS = (LINK_ONLINE, LINK_LOST)
NOTICES = ("message", "maintenance", "policy", "update", "fee", "document")


class Field:
    """number: on the wire; required: a message without it is malformed; what: for the document; longest: of a text, in characters;
    words: of a choice.
    """

    def __init__(
        self,
        number: int,
        name: str,
        type: str,
        required: bool,
        what: str,
        longest: int = MAX_TEXT,
        words: "tuple[str, ...]" = (),
    ) -> None:
        self.number = number
        self.name = name
        self.type = type
        self.required = required
        self.what = what
        self.longest = longest
        self.words = words

    def to_wire(self, value: object) -> object:
        """Raises SchemaError for a value that this field does not take."""
        if self.type != CHOICE:
            _check(self, value)
            return value
        if value not in self.words:
            raise SchemaError("malformed", "field %s is none of: %s" % (self.name, ", ".join(self.words)))
        return self.words.index(str(value))

    def from_wire(self, value: object) -> object:
        """A choice of a newer version is told as its number, '#7'. Raises SchemaError."""
        _check(self, value)
        if self.type != CHOICE or not isinstance(value, int):
            return value
        return self.words[value] if value < len(self.words) else "#%d" % value


class Kind:
    """number, name: the message's kind; leaf: the topic's last level; retained: as published."""

    def __init__(self, number: int, name: str, direction: str, leaf: str, retained: bool, what: str, fields: "tuple[Field, ...]") -> None:
        self.number = number
        self.name = name
        self.direction = direction
        self.leaf = leaf
        self.retained = retained
        self.what = what
        self.fields = fields


def _state_fields() -> "tuple[Field, ...]":
    return (
        Field(1, "mode", CHOICE, True, "where the terminal stands", words=MODES),
        Field(2, "status", CHOICE, True, "ISO 20022 component status", words=STATUSES),
        Field(3, "link", CHOICE, True, "lost: in the last will", words=LINKS),
        Field(4, "connection", UINT, True, "number of the connection, rising: a will speaks of its own and of those before it"),
        Field(5, "reasons", LIST, True, "each as described [below](#reasons-of-a-suspension)"),
        Field(6, "step", TEXT, False, "step of the recovery"),
        Field(7, "tests_due", LIST, False, "function tests still to be passed"),
        Field(8, "firmware", TEXT, False, "version of the agent"),
        Field(9, "board", TEXT, False, "the board's id"),
    )


KINDS = (
    Kind(1, "state", UP, "state", True, "The terminal's state; also its last will.", _state_fields()),
    Kind(
        2,
        "report",
        UP,
        "report",
        False,
        "Result of a self-test run.",
        (
            Field(1, "plan", TEXT, True, "power_on, daily, full, reactivation, device.<device>"),
            Field(2, "results", LIST, True, "each [phase, outcome, duration in ms, cause, error number, detail]; no zeros at the end"),
            Field(3, "mode", CHOICE, True, "as in state", words=MODES),
            Field(4, "firmware", TEXT, True, "version of the agent"),
            Field(5, "reasons", LIST, False, "as in state, where there are any"),
            Field(6, "element", BOOL, True, "true: signed by a secure element; false: by software"),
            Field(7, "dropped", UINT, False, "messages lost because the outbox was full, since ever"),
        ),
    ),
    Kind(
        3,
        "event",
        UP,
        "event",
        False,
        "Something critical that happened, told at once.",
        (
            Field(1, "name", TEXT, True, "of an event, as listed [below](#events)"),
            Field(2, "detail", TEXT, False, "one short sentence, without personal data"),
        ),
    ),
    Kind(
        4,
        "test",
        UP,
        "test",
        False,
        "Result of one function test.",
        (
            Field(1, "name", TEXT, True, "print, scan, pay"),
            Field(2, "outcome", TEXT, True, "pass, fail, error, timeout, aborted, skip"),
            Field(3, "cause", TEXT, False, "one word, when it did not pass"),
        ),
    ),
    Kind(
        5,
        "application",
        UP,
        "application",
        False,
        "An application to the acquirer: to be put back in service, or for new credentials.",
        (
            Field(1, "application", UINT, True, "number of the application at this terminal"),
            Field(2, "purpose", TEXT, True, "reactivation, appeal, registration, renewal"),
            Field(3, "reasons", LIST, True, "as in state"),
            Field(4, "request", BYTES, False, "registration, renewal: PKCS#10 of the new signing key"),
            Field(5, "transport_key", BYTES, False, "registration, renewal: public key for TLS, x || y"),
            Field(6, "sealed", BYTES, False, "reactivation, appeal: who applies and what he says, encrypted for the acquirer"),
            Field(7, "level", UINT, False, "appeal: 1 to the reviewer, 2 to his superior"),
            Field(
                8,
                "materials",
                LIST,
                False,
                "reactivation, appeal: numbers of what is at hand: 1 identity card, 2 bank card, 3 licence, 4 photographs, "
                "5 proof of purchase, 6 contract, 7 transactions, 8 warranty, 9 explanation, 10 the terminal's own reports",
            ),
        ),
    ),
    Kind(
        6,
        "receipt",
        UP,
        "receipt",
        False,
        "Answer to every message from the acquirer.",
        (
            Field(1, "of", BYTES, True, "the first 16 bytes of SHA-256 over the message as received"),
            Field(2, "result", TEXT, True, "ISO 20022 TerminalManagementActionResult: SUCC, or that of the refusal"),
            Field(3, "refusal", TEXT, False, "why it was refused, in one word"),
            Field(4, "sequence", UINT, False, "the message's sequence, where its signature was good"),
            Field(5, "highest", UINT, True, "highest sequence accepted so far"),
        ),
    ),
    Kind(
        7,
        "inquiry",
        UP,
        "inquiry",
        False,
        "Asks whether the acquirer is there; sent by a self-test, and never queued.",
        (Field(1, "nonce", BYTES, True, "8 random bytes"),),
    ),
    Kind(
        8,
        "audit",
        UP,
        "audit",
        False,
        "Head of the evidence log's hash chain.",
        (
            Field(1, "count", UINT, True, "entries that were ever written"),
            Field(2, "head", BYTES, True, "SHA-256 over the head before and the last of them"),
            Field(3, "kept", BYTES, False, "the head that the acquirer keeps, as the terminal knows it; not there: none"),
        ),
    ),
    Kind(
        9,
        "activation",
        UP,
        "activation",
        False,
        "Asks for a name, or under it for new keys. Signed by the key in the request; sub, and the topic's level, is the hardware id.",
        (
            Field(1, "board", TEXT, True, "the board's id"),
            Field(2, "request", BYTES, True, "PKCS#10 of the signing key"),
            Field(3, "transport_key", BYTES, True, "public key for TLS, x || y"),
            Field(4, "sealed", BYTES, True, "the activation code, encrypted for the acquirer"),
            Field(5, "element", BOOL, True, "true: the key was made in a secure element; false: in software"),
            Field(6, "former", BYTES, False, "of a terminal that has a name: the id of its present key, which the new one is to replace"),
        ),
    ),
    Kind(
        10,
        "events",
        UP,
        "events",
        False,
        "What happened and can wait, several at a time, as listed [below](#events).",
        (Field(1, "events", LIST, True, "each [name, detail, when, how often], the oldest first; when: the last time, Unix seconds or 0"),),
    ),
    Kind(
        11,
        "summary",
        UP,
        "summary",
        False,
        "What a suspension was, told once the terminal is back; of one that goes on, only on paper and screen. Times are Unix seconds.",
        (
            Field(1, "number", UINT, True, "of the suspension at this terminal"),
            Field(2, "reasons", LIST, True, "all that held in it, as in state"),
            Field(3, "since", UINT, False, "when it began; not there: not known"),
            Field(4, "until", UINT, False, "when the terminal was back; not there: it is not, or not known"),
            Field(5, "duration_s", UINT, False, "time to recovery, where both are known"),
            Field(6, "steps", LIST, True, "each [what, when or 0, about], as listed [below](#steps-of-a-summary)"),
            Field(7, "tests", LIST, True, "function tests, each [name, how often, last outcome, when or 0]"),
            Field(8, "people", LIST, True, "each [0 technician or 1 staff, number of the badge or of the person]"),
            Field(9, "advice", LIST, True, "numbers of the reasons for which it was told how to prevent them"),
            Field(10, "whole", BOOL, True, "false: the evidence log no longer has all of it"),
            Field(11, "back", BOOL, True, "false: the suspension goes on"),
        ),
    ),
    Kind(
        16,
        "order",
        DOWN,
        "order",
        False,
        "An order of the acquirer.",
        (
            Field(1, "action", TEXT, True, "as listed [below](#orders)", MAX_CASE),
            Field(2, "reason", TEXT, False, "suspend, lift: code of the reason"),
            Field(3, "until", UINT, False, "suspend: expected restore time; maintenance: its end; Unix seconds"),
            Field(4, "case", TEXT, False, "suspend: case number, at most %d characters" % MAX_CASE, MAX_CASE),
            Field(5, "note", TEXT, False, "suspend: in the acquirer's words, at most %d characters" % MAX_NOTE, MAX_NOTE),
            Field(6, "probation_s", UINT, False, "lift: length of the probation that follows"),
            Field(7, "plan", TEXT, False, "self_test: daily (where it is left out), full, reactivation, device.<device>", MAX_CASE),
            Field(8, "badge", TEXT, False, "revoke_badge: number of a technician's badge, which opens nothing more", MAX_CASE),
            Field(9, "since", UINT, False, "maintenance: its beginning, Unix seconds"),
            Field(10, "text", TEXT, False, "message, maintenance: for the merchant, at most %d characters" % MAX_NOTICE, MAX_NOTICE),
            Field(11, "settings", LIST, False, "configure: each [name, value]"),
            Field(12, "key", BYTES, False, "trust_key: the acquirer's next public key, x || y"),
            Field(13, "proof", BYTES, False, "trust_key: that the acquirer has it, a signature by it"),
            Field(14, "key_id", BYTES, False, "retire_key: kid of the acquirer's key that is to go; replace: of the terminal's"),
        ),
    ),
    Kind(
        17,
        "status",
        DOWN,
        "status",
        False,
        "Where the review of an application stands; or why an activation is refused.",
        (
            Field(1, "application", UINT, True, "number of the application; of an activation its sequence"),
            Field(
                2, "status", TEXT, True, "received, under_review, more_needed, approved, rejected; of an activation [why not](#activation)"
            ),
            Field(3, "remark", TEXT, False, "the reviewer's words, at most %d characters" % MAX_REMARK, MAX_REMARK),
        ),
    ),
    Kind(
        18,
        "credentials",
        DOWN,
        "credentials",
        False,
        "Answer to an application for registration, or to an activation.",
        (
            Field(1, "application", UINT, True, "number of the application; of an activation its sequence"),
            Field(2, "certificate", BYTES, True, "X.509 of the signing key, DER"),
            Field(3, "transport_certificate", BYTES, True, "X.509 of the TLS key, DER"),
            Field(4, "grant", BYTES, False, "activation: what a terminal is told at its first enrolment"),
            Field(5, "sealing_key", BYTES, False, "what is sealed is encrypted for this key from now on, x || y"),
        ),
    ),
    Kind(
        19,
        "answer",
        DOWN,
        "answer",
        False,
        "Answer to the latest inquiry; its iat is the acquirer's time.",
        (Field(1, "nonce", BYTES, True, "as in the inquiry"),),
    ),
    Kind(
        20,
        "notice",
        DOWN,
        "notice",
        False,
        "A notice for the merchant: shown until he has confirmed it.",
        (
            Field(1, "notice", UINT, True, "number of the notice; the event notice_confirmed tells it"),
            Field(2, "about", CHOICE, True, "what it is about", words=NOTICES),
            Field(3, "text", TEXT, True, "at most %d characters" % MAX_NOTICE, MAX_NOTICE),
            Field(4, "since", UINT, False, "from when it holds, Unix seconds"),
            Field(5, "until", UINT, False, "until when it holds, Unix seconds"),
        ),
    ),
    Kind(
        21,
        "audited",
        DOWN,
        "audited",
        False,
        "The acquirer keeps this head of the evidence log: from now on a log that ends before it was cut.",
        (
            Field(1, "count", UINT, True, "as in the audit, if that went on from the head kept so far; else of the head kept so far"),
            Field(2, "head", BYTES, True, "of that count"),
        ),
    ),
)


class SchemaError(ValueError):
    """code: 'malformed' (a claim or field is missing, of the wrong type or out of range), 'version', 'unknown_kind', 'critical_field'."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(code + ": " + detail)


def kind_named(name: "str | int") -> Kind:
    """The kind by its name or number. Raises KeyError."""
    for kind in KINDS:
        if kind.name == name or kind.number == name:
            return kind
    raise KeyError(name)


def topic(acquirer: str, terminal: str, leaf: str) -> str:
    return "poi/v1/%s/%s/%s" % (acquirer, terminal, leaf)


def down_topics(acquirer: str, terminal: str) -> "list[str]":
    """The topics on which an acquirer speaks to a terminal."""
    return [topic(acquirer, terminal, kind.leaf) for kind in KINDS if kind.direction == DOWN]


class Claims:
    """One message, decoded. kind: a Kind; body: field name -> value; unknown: field number -> value, for fields this version does not know.
    issuer, issued_at, expires, boot_count: '' or 0 where absent.
    """

    def __init__(
        self,
        kind: Kind,
        subject: str,
        sequence: int,
        body: "dict[str, object]",
        issuer: str = "",
        issued_at: int = 0,
        expires: int = 0,
        boot_count: int = 0,
    ) -> None:
        self.kind = kind
        self.subject = subject
        self.sequence = sequence
        self.body = body
        self.issuer = issuer
        self.issued_at = issued_at
        self.expires = expires
        self.boot_count = boot_count
        self.unknown: dict[int, object] = {}

    def text(self, name: str) -> str:
        """A text field, '' where it is absent."""
        return str(self.body.get(name, ""))

    def number(self, name: str) -> int:
        """A number field, 0 where it is absent."""
        value = self.body.get(name, 0)
        return value if isinstance(value, int) else 0

    def octets(self, name: str) -> bytes:
        """A bytes field, b'' where it is absent."""
        value = self.body.get(name, b"")
        return value if isinstance(value, bytes) else b""

    def items(self, name: str) -> "list[object]":
        """A list field, [] where it is absent."""
        value = self.body.get(name, [])
        return value if isinstance(value, list) else []

    def to_map(self) -> "dict[int, object]":
        """The payload's map of claims, for the CBOR encoder. Raises SchemaError for a body that does not keep to the schema."""
        claims: dict[int, object] = {CLAIM_SUBJECT: self.subject}
        if self.issuer:
            claims[CLAIM_ISSUER] = self.issuer
        if self.issued_at:
            claims[CLAIM_ISSUED_AT] = self.issued_at
        if self.expires:
            claims[CLAIM_EXPIRES] = self.expires
        if self.boot_count:
            claims[CLAIM_BOOT_COUNT] = self.boot_count
        fields = encode_body(self.kind, self.body)
        fields.update(self.unknown)
        claims[CLAIM_MESSAGE] = [VERSION, self.kind.number, self.sequence, fields]
        return claims

    @staticmethod
    def from_map(claims: object) -> "Claims":
        """Raises SchemaError."""
        if not isinstance(claims, dict):
            raise SchemaError("malformed", "payload is not a map")
        message = claims.get(CLAIM_MESSAGE)
        if not isinstance(message, list) or not message:
            raise SchemaError("malformed", "no message claim")
        if not _uint(message[0]) or message[0] != VERSION:
            raise SchemaError("version", repr(message[0]))
        if len(message) != 4 or not _uint(message[1]) or not _uint(message[2]):
            raise SchemaError("malformed", "message claim")
        try:
            kind = kind_named(message[1])
        except KeyError:
            raise SchemaError("unknown_kind", str(message[1]))
        subject = claims.get(CLAIM_SUBJECT)
        if not isinstance(subject, str) or not 0 < len(subject) <= 64:
            raise SchemaError("malformed", "sub")
        issuer = claims.get(CLAIM_ISSUER, "")
        if not isinstance(issuer, str) or len(issuer) > 64:
            raise SchemaError("malformed", "iss")
        numbers = []
        for claim in (CLAIM_ISSUED_AT, CLAIM_EXPIRES, CLAIM_BOOT_COUNT):
            value = claims.get(claim, 0)
            if not _uint(value):
                raise SchemaError("malformed", "claim %d" % claim)
            numbers.append(value)
        body, unknown = decode_body(kind, message[3])
        decoded = Claims(kind, subject, message[2], body, issuer, numbers[0], numbers[1], numbers[2])
        decoded.unknown = unknown
        return decoded


def encode_body(kind: Kind, body: "dict[str, object]") -> "dict[int, object]":
    """Field names to numbers. Raises SchemaError for a field that is missing, unknown, or of the wrong type."""
    fields: dict[int, object] = {}
    left = set(body)
    for field in kind.fields:
        if field.name in body:
            fields[field.number] = field.to_wire(body[field.name])
            left.discard(field.name)
        elif field.required:
            raise SchemaError("malformed", kind.name + " without " + field.name)
    if left:
        raise SchemaError("malformed", kind.name + " has no field " + ", ".join(sorted(left)))
    return fields


def decode_body(kind: Kind, fields: object) -> "tuple[dict[str, object], dict[int, object]]":
    """Numbers to field names, and what is not known. Raises SchemaError."""
    if not isinstance(fields, dict):
        raise SchemaError("malformed", "body is not a map")
    body: dict[str, object] = {}
    unknown = dict(fields)
    for field in kind.fields:
        if field.number in fields:
            body[field.name] = field.from_wire(fields[field.number])
            del unknown[field.number]
        elif field.required:
            raise SchemaError("malformed", kind.name + " without " + field.name)
    for number in unknown:
        if not isinstance(number, int):
            raise SchemaError("malformed", "field " + repr(number))
        if number < 0:
            raise SchemaError("critical_field", str(number))
    return body, unknown


def _uint(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_UINT


def _check(field: Field, value: object) -> None:
    if field.type in (UINT, CHOICE):
        good = _uint(value)
    elif field.type == TEXT:
        good = isinstance(value, str) and len(value) <= field.longest
    elif field.type == BYTES:
        good = isinstance(value, bytes) and len(value) <= MAX_BYTES
    elif field.type == BOOL:
        good = isinstance(value, bool)
    else:
        good = isinstance(value, list)
    if not good:
        raise SchemaError("malformed", "field %s is not %s" % (field.name, field.type))
