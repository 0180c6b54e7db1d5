"""Verifies an evidence package offline: by the terminal's public key and, if at hand, a head that the acquirer keeps."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware_agent.messages.cbor import CborError, decode
from firmware_agent.records.console_export import BEGINS, ENDS, EVIDENCE, LINE
from firmware_agent.records.evidence import BROKEN, FIRST_HEAD, Entry, Walk
from firmware_agent.records.evidence_package import HEADING
from host_sim.verify import (
    MAX_FILE_BYTES,
    Finding,
    Key,
    VerifyError,
    document,
    jsonable,
    print_lines,
    read_file,
    read_key,
    time_text,
    verify_message,
)


@dataclass
class Evidence:
    """A package. problem: '' for one that is as the terminal signed it, else what is wrong; signed: the audit; entries: none where there is
    a problem; broken: those of them that say that something was missing before.
    """

    problem: str
    signed: Finding
    entries: list[Entry] = field(default_factory=list)
    broken: list[Entry] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.problem and not self.broken


def is_package(path: str) -> bool:
    """By its beginning, or by that of an export on a console. A file that cannot be read is none."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES)
    except OSError:
        return False
    return data.startswith(HEADING.split(" ", maxsplit=1)[0].encode()) or (BEGINS + EVIDENCE).encode() in data


def from_console(text: str) -> str:
    """The package in what a console has shown, the last that came to its end, without what others wrote between its lines; a text that is
    no such capture as it is.
    """
    whole = exports_of(text.splitlines(), EVIDENCE)
    return "\n".join(whole[-1]) if whole else text


def exports_of(lines: Iterable[str], what: str) -> list[list[str]]:
    """The exports of that name which came to their end, in a console's lines. What stands before the agent's own text in each line, as the
    time does in a journal, is cut off.
    """
    whole: list[list[str]] = []
    export: list[str] | None = None
    margin = 0
    for line in lines:
        if line.endswith(BEGINS + what):
            export, margin = [], len(line) - len(BEGINS + what)
        elif export is not None and line.endswith(ENDS + what):
            whole.append(export)
            export = None
        elif export is not None and line[margin:].startswith(LINE):
            export.append(line[margin + len(LINE) :])
    return whole


def verify_package_and_print(path: str, key_paths: Iterable[str], head: str, as_json: bool) -> bool:
    """Verify a package and print what is in it; True when it is whole. head: COUNT:HEX that the acquirer keeps, '' for none. Raises
    VerifyError.
    """
    keys = [read_key(key_path) for key_path in key_paths]
    text = from_console(read_file(path).decode("utf-8", "replace"))
    evidence = verify_package(text, keys, read_head(head) if head else None)
    if as_json:
        print(json.dumps(package_document(evidence), ensure_ascii=False, indent=2))
    else:
        print_lines(package_lines(evidence))
    return evidence.is_whole


def read_head(text: str) -> tuple[int, bytes]:
    """COUNT:HEX, as the acquirer keeps it. Raises VerifyError."""
    count, _, head = text.partition(":")
    try:
        kept = int(count), bytes.fromhex(head)
    except ValueError:
        kept = 0, b""
    if kept[0] < 1 or len(kept[1]) != len(FIRST_HEAD):
        raise VerifyError(f"{text!r} is no head; one is COUNT:HEX, with 64 hexadecimal digits")
    return kept


def verify_package(text: str, keys: list[Key], kept: tuple[int, bytes] | None = None) -> Evidence:
    """kept: (count, head) that the acquirer keeps. Raises VerifyError for what is no package of this version."""
    lines = text.split("\n")
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    heading, _, where = lines[0].strip().rpartition(" ")
    if heading != HEADING:
        raise VerifyError(f"begins with {lines[0].strip()[:60]!r}, not with {HEADING!r} and a topic: a package of another version")
    try:
        message, anchor, *records = [_bytes_of(line.strip()) for line in lines[1:]]
        walk = Walk(_anchor(decode(anchor)), kept[0] if kept else 0)
    except (binascii.Error, CborError, TypeError, ValueError) as error:
        return Evidence(f"the package is damaged or cut off: {error}", Finding("damaged"))
    signed = verify_message(where, message, keys)
    if signed.problem or signed.claims is None:
        return Evidence(f"the audit: {signed.problem}", signed)
    if signed.claims.kind.name != "audit":
        return Evidence(f"what is signed is no audit, but a message {signed.claims.kind.name}", signed)
    entries = []
    for record in records:
        entry = walk.step(_number_of(record, walk.number + 1), record)
        if entry is not None:
            entries.append(entry)
    damage = walk.damage
    if damage is None and (walk.number, walk.head) != (signed.claims.number("count"), signed.claims.octets("head")):
        return Evidence(f"the log ends at {walk.number}, and not with the head that was signed for {signed.claims.number('count')}", signed)
    if damage is None and kept is not None:
        damage = walk.compared(*kept)
    if damage is not None:
        return Evidence(f"the log is not whole: {damage}", signed)
    return Evidence("", signed, entries, [entry for entry in entries if entry.facts[0][0] == BROKEN])


def package_lines(evidence: Evidence) -> Iterator[str]:
    """What was found, in words, for a person. The facts are told as they stand, for they are short."""
    if evidence.problem or evidence.signed.claims is None or evidence.signed.key is None:
        yield f"NOT VERIFIED: {evidence.problem}"
        yield "Nothing in it can be trusted, so nothing of it is shown."
        return
    claims = evidence.signed.claims
    whole = "the log is whole" if evidence.is_whole else "THE LOG IS NOT WHOLE"
    yield f"signature good, {whole}: {len(evidence.entries)} entries, the last is {claims.number('count')}"
    for entry in evidence.broken:
        yield f"at {entry.number} it says itself: {entry.facts[0][1]} at {entry.facts[0][2]}"
    yield f"terminal: {claims.subject}"
    yield f"head: {claims.number('count')}:{claims.octets('head').hex()}"
    for entry in evidence.entries:
        when = time_text(entry.wall_s) if entry.wall_s else "time not known"
        yield f"{entry.number:>8} boot {entry.boot_count} {when}"
        for fact in entry.facts:
            yield "         " + json.dumps(jsonable(fact), ensure_ascii=False)


def package_document(evidence: Evidence) -> dict[str, Any]:
    """What was found, for a program. Nothing of a package that is not whole."""
    if evidence.problem:
        return {"good": False, "problem": evidence.problem}
    entries = [
        {"number": entry.number, "boot_count": entry.boot_count, "at": entry.wall_s or None, "facts": jsonable(entry.facts)}
        for entry in evidence.entries
    ]
    broken = [entry.number for entry in evidence.broken]
    return document(evidence.signed) | {"whole": evidence.is_whole, "broken": broken, "entries": entries}


def _bytes_of(line: str) -> bytes:
    """Raises ValueError for what is not the one form that these bytes have in base64: bits that mean nothing could be altered there."""
    data = base64.b64decode(line, validate=True)
    if base64.b64encode(data).decode() != line:
        raise ValueError("base64 of another form")
    return data


def _anchor(value: object) -> tuple[int, bytes]:
    """Raises ValueError."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("no anchor")
    number, head = value
    if type(number) is not int or not isinstance(head, bytes) or len(head) != len(FIRST_HEAD):
        raise ValueError("no anchor")
    return number, head


def _number_of(record: bytes, expected: int) -> int:
    """The number that an entry gives itself; it has no key here. One that cannot be read is looked for where it should stand."""
    try:
        number = decode(record)[0]
    except (CborError, IndexError, KeyError, TypeError):
        return expected
    return number if isinstance(number, int) and number >= expected else expected
