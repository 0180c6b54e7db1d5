"""The evidence package of a terminal: the whole log in lines, its end signed."""

import asyncio
import binascii
from hashlib import sha256

from firmware_agent.messages.cbor import decode
from firmware_agent.messages.cose import parse
from firmware_agent.messages.schema import Claims
from firmware_agent.records.evidence import MAX_ENTRIES, PREFIX, RETIRED, entries
from firmware_agent.records.evidence_package import HEADING, package
from tests.core.selftest_parts import serving_flash
from tests.core.terminal_parts import boot


def lines_of(terminal):
    asyncio.run(terminal.hal.secure_element.generate_key(0))
    return list(asyncio.run(package(terminal)))


def test_a_package_has_the_signed_head_the_anchor_and_every_entry():
    for count in (3, MAX_ENTRIES + 5):
        terminal = boot(serving_flash(), segment_bytes=8192)
        for _ in range(count):
            terminal.send("test", {"name": "print", "outcome": "pass"})
            for key in terminal.outbox.waiting():
                terminal.outbox.remove(key)
            terminal.store._storage.writes = []
        lines = lines_of(terminal)
        assert lines[0] == HEADING + " poi/v1/acq1/T0000001/audit"
        claims = Claims.from_map(decode(parse(binascii.a2b_base64(lines[1])).payload))
        assert (claims.kind.name, claims.subject, claims.boot_count) == ("audit", "T0000001", terminal.boot_count)
        assert (claims.number("count"), claims.octets("head")) == (terminal.evidence.number, terminal.evidence.head)
        number, head = decode(binascii.a2b_base64(lines[2]))
        assert number % RETIRED == 0 and (number > 0) == (count > MAX_ENTRIES)
        for line in lines[3:]:
            record = binascii.a2b_base64(line)
            number += 1
            assert decode(record)[0] == number
            head = sha256(head + record).digest()
        assert (number, head) == (terminal.evidence.number, terminal.evidence.head)
        assert len(lines) - 3 == len(list(entries(terminal.store)))


def test_what_was_entered_after_the_signature_is_not_in_it():
    terminal = boot(serving_flash())
    asyncio.run(terminal.hal.secure_element.generate_key(0))
    lines = asyncio.run(package(terminal))
    before = len(terminal.store.keys(PREFIX))
    terminal.send("test", {"name": "print", "outcome": "pass"})
    assert len(list(lines)) == 3 + before
