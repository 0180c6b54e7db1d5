"""Writes docs/wire-format.md: what goes over the wire, from the tables that encoder, decoder and judge work with.

python tools/build_wire_format.py [--check]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.identity.activation import REFUSALS as ACTIVATION_REFUSALS  # noqa: E402
from firmware_agent.links.link import MAX_INCOMING_BYTES  # noqa: E402
from firmware_agent.messages import cbor, cose, schema  # noqa: E402
from firmware_agent.messages.events import EVENTS, MOST, REPEAT_MS, WAIT_MS  # noqa: E402
from firmware_agent.messages.inbound import REFUSALS, RESULT_GOOD  # noqa: E402
from firmware_agent.messages.outbox import PROMPT  # noqa: E402
from firmware_agent.messages.refusals import RECEIPT_MS, RECEIPTS  # noqa: E402
from firmware_agent.orders import ACTIONS  # noqa: E402
from firmware_agent.records.timeline import MOMENTS  # noqa: E402
from firmware_agent.selftest.diagnosis import CAUSES  # noqa: E402
from firmware_agent.selftest.phases import OUTCOMES  # noqa: E402
from firmware_agent.selftest.plans import phase_ids  # noqa: E402
from firmware_agent.selftest.report import MAX_DETAIL  # noqa: E402
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, ACTORS, REASON_KINDS  # noqa: E402
from hal.drivers.p256 import P256  # noqa: E402
from host_sim.wire_words import ACTIVATION_TEXTS, CLAIMS, REFUSAL_TEXTS  # noqa: E402

DOCUMENT = ROOT / "docs" / "wire-format.md"

ABOUT = {"suspended": "number of the reason", "lifted": "number of the reason", "applied": "number of the application"}

# The key of RFC 6979, appendix A.2.5: public, so good for an example and for nothing else.
EXAMPLE_PRIVATE_KEY = bytes.fromhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
EXAMPLE_TOPIC = schema.topic("acq1", "T0000001", "order")


class ExampleElement:
    """Signs with the example key, by deterministic nonces (RFC 6979), so that the document is the same each time."""

    async def sign(self, slot: int, digest: bytes) -> bytes:
        return P256().sign(EXAMPLE_PRIVATE_KEY, digest)


def example_claims() -> schema.Claims:
    return schema.Claims(
        schema.kind_named("order"),
        "T0000001",
        5,
        {"action": "lift", "reason": "violation"},
        issuer="acq1",
        issued_at=1790000000,
        expires=1790086400,
    )


def example_message() -> bytes:
    """The example as it is on the wire."""
    kid = cose.key_id(P256().public_key(EXAMPLE_PRIVATE_KEY))
    payload = cbor.encode(example_claims().to_map())
    return asyncio.run(cose.sign(ExampleElement(), 0, kid, payload, EXAMPLE_TOPIC))  # type: ignore[arg-type]  # all that sign uses


def diagnostic(value: object) -> str:
    """CBOR in diagnostic notation (RFC 8949, chapter 8)."""
    if isinstance(value, cbor.Tag):
        return f"{value.number}({diagnostic(value.value)})"
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ", ".join(map(diagnostic, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{diagnostic(key)}: {diagnostic(item)}" for key, item in value.items()) + "}"
    return str(value)


def document() -> str:
    """The whole of docs/wire-format.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Wire format"
    yield ""
    yield "<!-- Made by tools/build_wire_format.py from the tables in firmware_agent/messages/: change those, then `make wire-format`. -->"
    yield ""
    yield from _prose(
        f"""Version {schema.VERSION}. A message is deterministic CBOR, signed as COSE_Sign1, on one MQTT topic, at quality of service
        1. MQTT 3.1.1 is enough. The connection is TLS with certificates on both sides; the terminal's name is its client id and
        the common name of its certificate."""
    )
    yield from _topics()
    yield from _envelope()
    yield from _payload()
    for kind in schema.KINDS:
        yield from _kind(kind)
    yield from _events()
    yield from _orders()
    yield from _activation()
    yield from _reasons()
    yield from _summaries()
    yield from _results()
    yield from _sequences()
    yield from _receipts()
    yield from _example()


def _topics() -> Iterator[str]:
    yield from ("", "## Topics", "")
    yield from _prose(
        """Up is from the terminal to the acquirer, down from the acquirer to the terminal. The retain flag of a publication is set
        for retained kinds only."""
    )
    yield ""
    yield from _table(
        ("topic", "direction", "kind", "retained"),
        (
            (f"`{schema.topic('<acquirer>', '<terminal>', kind.leaf)}`", kind.direction, _link(kind), _yes(kind.retained))
            for kind in schema.KINDS
        ),
    )


def _envelope() -> Iterator[str]:
    yield from ("", "## Signature", "")
    yield "COSE_Sign1 (RFC 9052, section 4.2), **with** its tag 18: `18([protected, unprotected, payload, signature])`."
    yield ""
    yield from _table(
        ("part", "what"),
        (
            ("protected", "`{1: alg, 4: kid}`; both have to be here, and nothing that is not signed is ever used"),
            ("alg", _algorithms()),
            ("kid", "the first 8 bytes of SHA-256 over the signer's public key, 64 bytes x || y; it only picks among keys trusted already"),
            ("unprotected", "`{}` is written; what else is there is ignored"),
            ("payload", "bytes; never detached"),
            ("signature", "64 bytes r || s"),
            ("external_aad", "the MQTT topic in UTF-8: moved to another topic, a message is no longer signed"),
        ),
    )
    yield ""
    yield from _prose(
        f"""A message is at most {cose.MAX_LENGTH} bytes long; a longer publication is cut by the terminal, refused as `too_long` and
        acknowledged, and one of more than {MAX_INCOMING_BYTES} bytes closes the connection. `crit` means what RFC 9052, section 3.1,
        says; alg, crit and kid are the parameters
        that a receiver understands."""
    )
    yield ""
    yield from _prose(
        f"""CBOR is accepted in its one deterministic form only (RFC 8949, section 4.2.1): shortest heads, definite lengths, sorted
        keys, none twice. No floating point. At most {cbor.MAX_DEPTH} levels and {cbor.MAX_ITEMS} items."""
    )


def _payload() -> Iterator[str]:
    yield from ("", "## Claims", "")
    yield "The payload is a map of claims by their CWT and EAT numbers (RFC 8392, RFC 9711). Claims that are not listed here are ignored."
    yield ""
    yield from _table(
        ("claim", "name", "type", "required", "what"),
        ((str(number), name, type, required, what) for number, (name, type, required, what) in CLAIMS.items()),
    )
    yield from ("", "## Kinds", "")
    yield from _prose(
        f"""In the message proper, version is {schema.VERSION}, kind is the number in the headings below, sequence is a uint, and body
        is a map of the kind's fields by number. A field that a receiver does not know changes nothing, unless its number is
        negative: then the message is refused. So a later version may add fields, and may mark those without which the rest would
        mean something else."""
    )
    yield ""
    yield from _table(
        ("type", "values"),
        (
            (schema.UINT, f"0..{schema.MAX_UINT} (48 bits)"),
            (schema.TEXT, f"at most {schema.MAX_TEXT} characters, where the field does not say less"),
            (schema.BYTES, f"at most {schema.MAX_BYTES} bytes"),
            (schema.BOOL, "false, true"),
            (schema.LIST, "a list; its items as described at the field"),
            (schema.CHOICE, "one of the words at the field, on the wire its place among them, a uint; more may be added"),
        ),
    )


def _kind(kind: schema.Kind) -> Iterator[str]:
    yield from ("", f"### {_heading(kind)}", "")
    yield f"{kind.what} Topic `.../{kind.leaf}`, {kind.direction}, {'retained' if kind.retained else 'not retained'}."
    yield ""
    yield from _table(
        ("field", "name", "type", "required", "what"),
        ((str(field.number), field.name, field.type, _yes(field.required), field.what + _words(field)) for field in kind.fields),
    )


def _words(field: schema.Field) -> str:
    return "".join(f"{', ' if place else ': '}{place} {word}" for place, word in enumerate(field.words))


def _events() -> Iterator[str]:
    yield from ("", "## Events", "")
    yield from _prose(
        f"""A critical event is told at once, as [event](#3-event); but one that has been told with the same detail within the last
        {REPEAT_MS // 60000} minutes waits. The others wait: they go together, as [events](#10-events), with the next critical event
        or report, when the oldest has waited for {WAIT_MS // 60000} minutes, or when there are {MOST}. While the terminal is offline only
        the last of these holds. The same event with the same detail is listed once, with how often it happened."""
    )
    yield ""
    yield from _table(("event", "critical", "what happened"), ((f"`{kind.name}`", _yes(kind.is_critical), kind.what) for kind in EVENTS))


def _orders() -> Iterator[str]:
    yield from ("", "## Orders", "")
    yield from _table(("action", "what the terminal does"), ((f"`{action}`", what) for action, what in ACTIONS))


def _activation() -> Iterator[str]:
    """Why a device gets no name."""
    yield from ("", "## Activation", "")
    yield from _prose(
        """An activation is signed by the key whose certificate it asks for; the acquirer takes that key from the PKCS#10 inside. The code,
in ASCII digits, is sealed for the topic of the activation. It is answered on the device's topics by `credentials` with a `grant`, or by
`status` with one of these words; either has the activation's sequence as its `application`. The sequence of the credentials is the next one
of the terminal that the device becomes, and is the highest that it has accepted from then on."""
    )
    yield ""
    yield from _table(("status", "why the activation is refused"), ((f"`{word}`", ACTIVATION_TEXTS[word]) for word in ACTIVATION_REFUSALS))


def _reasons() -> Iterator[str]:
    yield from ("", "## Reasons of a suspension", "")
    yield from _prose(
        f"""In the lists of a state, a report and an application a reason goes by its number, in an order by its code. It is [number,
        actor, since, until, component, case, note]: its actor is {ACTORS.index(ACTOR_HOST)} (`{ACTOR_HOST}`: the acquirer ordered it)
        or {ACTORS.index(ACTOR_POI)} (`{ACTOR_POI}`: the terminal found it); the times are Unix seconds, 0 where not known; the other
        three are texts, the note only the terminal's own. What is 0 or empty at the end is left out."""
    )
    yield ""
    yield from _table(
        ("number", "code", "an application is reviewed", "new keys are due"),
        ((str(kind.number), f"`{kind.code}`", _yes(kind.review), _yes(kind.registration)) for kind in REASON_KINDS),
    )


def _summaries() -> Iterator[str]:
    yield from ("", "## Steps of a summary", "")
    yield from _prose(
        """In a summary a step is [what, when, about]: what by its place below, when in Unix seconds or 0, about a number. What is 0 at the
        end is left out. Nobody's name stands in a summary."""
    )
    yield ""
    yield from _table(("place", "what", "about"), ((str(place), f"`{word}`", ABOUT.get(word, "")) for place, word in enumerate(MOMENTS)))


def _results() -> Iterator[str]:
    yield from ("", "## Results of a self-test", "")
    yield from _prose(
        f"""In a report, a result is [phase, outcome, duration, cause, error, detail]: phase and cause by the numbers below, outcome by
        its place, the duration in milliseconds, the UnifiedPOS error number, and a detail for a technician of at most {MAX_DETAIL}
        characters. What is 0 or empty at the end is left out. An error above 114 is of the device's own category (`E_EXTENDED`). A
        cause without a number, of a driver that is newer than the table, is the first word of the detail. A cause of a result that
        passed means that it is marginal. A number is never given to anything else; a receiver shows one that it does not know."""
    )
    yield ""
    yield from _table(("place", "outcome"), ((str(place), f"`{outcome}`") for place, outcome in enumerate(OUTCOMES)))
    yield ""
    yield from _table(
        ("number", "phase", "device"),
        ((str(number), f"`{id}`", f"`{kind}`") for number, (id, kind) in sorted(phase_ids().items())),
    )
    yield ""
    yield from _prose(
        """Who mends a cause is whose turn it is. A reason is what the terminal suggests for a suspension, and takes only for what no clerk
        mends and the network does not bring back by itself. Where a component is named, that is what is broken, and not the device
        that was tested."""
    )
    yield ""
    yield from _table(
        ("number", "cause", "who mends it", "suggested reason", "component"),
        (
            (str(cause.number), f"`{cause.code}`", cause.mends, _code(cause.suggests), _code(cause.component))
            for cause in sorted(CAUSES, key=lambda cause: cause.number)
        ),
    )


def _sequences() -> Iterator[str]:
    yield from ("", "## Sequences", "")
    yield from _prose(
        """**Down.** All messages to one terminal, of every kind, share one sequence that starts above 0 and only grows. The terminal
        accepts a message only if its sequence is higher than the highest accepted so far, which it keeps across power cuts, in
        the same write as what the message does to its state and keys. So the acquirer keeps one message in flight for each
        terminal, and repeats it, byte for byte, until its receipt is there."""
    )
    yield ""
    yield from _prose(
        f"""**Up.** All messages of one terminal, of every kind, share one sequence that only grows, across boots too; it may have
        gaps. The sequence, the boot count and iat are fixed when a message is queued; it is signed when it is sent. The broker
        delivers at least once: a second message with the same sequence is a duplicate, though its signature may differ. Of two
        states the one with the higher sequence is the newer. Messages leave in the order of the sequence, with one exception: after
        an outage a terminal sends what it had queued slowly, and meanwhile {", ".join(PROMPT)} and inquiry overtake the others.
        Among themselves both keep the order."""
    )
    yield ""
    yield from _prose(
        """**Last will.** The terminal leaves a state with `link` = `lost` as its MQTT will, signed before it connects. The will
        takes a sequence of its own, and this number is the connection's number: `connection` in the will, and in each state that
        is queued after. The first state of a connection is newer than the will by its sequence, so a will cannot be judged by it.
        It counts only if its `connection` is that of the newest state known: a will that arrives late, after the terminal is back
        on a newer connection, says nothing about that one."""
    )


def _receipts() -> Iterator[str]:
    yield from ("", "## Receipts", "")
    yield from _prose(
        f"""Each message that arrives on one of the terminal's topics is answered by a receipt. Its `result` is `{RESULT_GOOD}`, or
        the ISO 20022 TerminalManagementActionResult of the refusal. A message that was refused changed nothing. A message that
        arrives again after it was accepted is answered with `replayed`; `of` names it, and `highest` tells that it was taken
        before. What was refused as `not_kept` is worth sending anew, as a new message, after the event `storage_works`; what was refused
        as `time_unknown`, `from_the_future` or `set_back`, or as `expired` before its time, once the terminal has accepted the answer
        to its inquiry, which it makes by itself. Of a flood of
        refused messages only the first {RECEIPTS} get a receipt, and then one in {RECEIPT_MS // 1000} s; the others are told by the event
        `messages_refused`. Messages with the acquirer's signature, and those without it, are counted apart."""
    )
    yield ""
    yield from _table(
        ("refusal", "result", "what was wrong"),
        ((f"`{word}`", REFUSALS[word], text) for word, text in REFUSAL_TEXTS.items()),
    )


def _example() -> Iterator[str]:
    message = example_message()
    hexadecimal = message.hex()
    yield from ("", "## Example", "")
    yield f"The order to lift a violation, on `{EXAMPLE_TOPIC}`, signed with the key of RFC 6979, appendix A.2.5; {len(message)} bytes:"
    yield ""
    yield "```"
    yield from (hexadecimal[start : start + 100] for start in range(0, len(hexadecimal), 100))
    yield "```"
    envelope = cose.parse(message)
    yield ""
    yield "Its protected header and its payload in diagnostic notation:"
    yield ""
    yield "```"
    yield diagnostic(cbor.decode(envelope.protected))
    yield diagnostic(cbor.decode(envelope.payload))
    yield "```"
    yield ""
    yield "More messages, good ones and bad ones of every kind, stand in [wire-vectors.json](wire-vectors.json), one a line."


def _heading(kind: schema.Kind) -> str:
    return f"{kind.number} {kind.name}"


def _link(kind: schema.Kind) -> str:
    return f"[{kind.name}](#{_heading(kind).replace(' ', '-')})"


def _algorithms() -> str:
    accepted = f"`{cose.ALG_ESP256}` and `{cose.ALG_ES256}` (ES256, RFC 9053) are accepted"
    return f"`{cose.ALG_ESP256}` (ESP256, RFC 9864) is written; {accepted}, and both mean ECDSA on P-256 with SHA-256"


def _prose(text: str) -> Iterator[str]:
    """A paragraph, wrapped anew."""
    yield from textwrap.wrap(" ".join(text.split()), 130, break_long_words=False, break_on_hyphens=False)


def _code(word: str) -> str:
    return f"`{word}`" if word else ""


def _yes(value: bool) -> str:
    return "yes" if value else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write docs/wire-format.md from the tables in firmware_agent/messages/.")
    parser.add_argument("--output", type=Path, default=DOCUMENT, help="the document (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the document is not current")
    options = parser.parse_args(arguments)
    text = document()
    if not options.check:
        options.output.write_text(text, encoding="utf-8")
    elif not options.output.is_file() or options.output.read_text(encoding="utf-8") != text:
        print(f"{options.output.name} is not current: run python tools/build_wire_format.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
