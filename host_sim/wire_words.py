"""What the words and numbers of the wire format mean: for its document, and for whoever looks into a message."""

from firmware_agent.messages import cose, schema

# Claim -> its name, its type, in which direction it has to be there, and what it says.
CLAIMS = {
    schema.CLAIM_ISSUER: ("iss", "text, 1..64", "down", "the acquirer, as in the topic"),
    schema.CLAIM_SUBJECT: ("sub", "text, 1..64", "both", "the terminal that the message is from, or for, as in the topic"),
    schema.CLAIM_EXPIRES: ("exp", "uint", "down", "Unix seconds; the message means nothing after this time"),
    schema.CLAIM_ISSUED_AT: ("iat", "uint", "", "Unix seconds; up: when the message was queued, absent where the clock was not set"),
    schema.CLAIM_BOOT_COUNT: ("bootcount", "uint", "", "up: in which boot of the terminal the message was queued"),
    schema.CLAIM_MESSAGE: ("(private use)", "list of 4", "both", "the message proper: `[version, kind, sequence, body]`"),
}

# Why an activation is refused.
ACTIVATION_TEXTS = {
    "wrong_code": "there is no such code",
    "expired": "the code was issued too long ago",
    "used": "another device has used the code, or a later one was issued for the same terminal",
    "too_many_tries": "the code is burnt by wrong tries, or the device has made too many",
    "not_possible": "the code cannot be read, or the acquirer does not say why",
}
# Refusal -> what was wrong: of the envelope, of the signature, of the payload, and of what it asks for.
REFUSAL_TEXTS = {
    "too_long": f"longer than {cose.MAX_LENGTH} bytes",
    "not_signed": "CBOR, but no COSE_Sign1 with its tag",
    "header_twice": "a header parameter is in both headers",
    "crit": "`crit` is not protected, is empty or no list of labels, or names a parameter that is not there",
    "unknown_header_critical": "`crit` names a parameter that the terminal does not understand",
    "algorithm": "`alg` is neither of the two",
    "key_id": "`kid` is missing or not bytes",
    "no_payload": "the payload is detached",
    "signature_length": "the signature is not 64 bytes",
    "unknown_key": "`kid` names no key of the acquirer that the terminal trusts",
    "bad_signature": "the signature does not hold",
    "malformed": "not deterministic CBOR within the bounds, or something is missing, of the wrong type or out of range",
    "version": f"the version is not {schema.VERSION}",
    "unknown_kind": "there is no such kind",
    "critical_field": "the body has an unknown field with a negative number",
    "wrong_direction": "a kind that goes up came down",
    "wrong_terminal": "it is for another terminal, or from another acquirer",
    "wrong_topic": "it belongs on another topic of this terminal",
    "replayed": "its sequence is not higher than the highest accepted so far",
    "expired": "it has expired by the terminal's clock",
    "time_unknown": "the terminal does not know the time yet: only the answer to its inquiry is let in until then",
    "from_the_future": "its iat is more than 10 minutes ahead of the terminal's clock",
    "unknown_action": "the action, reason or status does not exist, or the credentials are not for what was applied for",
    "key_refused": "the acquirer's keys stay as they are: no proof, too many, no such key, or the key that signed",
    "set_back": "the terminal's memory was set back: nothing is obeyed until its inquiry is answered; then send it anew",
    "not_kept": "the terminal's memory cannot be written: it is full, or broken",
    "wrong_text": "a text for people is empty, or has characters that nobody would see: controls, changes of direction",
    "wrong_time": "a notice or a maintenance is over, or ends before it begins; a maintenance takes more than 7 days, or is 366 days off",
    "wrong_setting": "not a list of known settings with values that they can have, each once",
    "too_many": "as many notices wait for the merchant as a terminal keeps",
    "not_locked": "no wrong PIN was counted, and `operator_error` does not hold",
}
