"""No evidence package that was altered, reordered or cut off is good: whatever byte, entry or tail it is."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_agent.records.evidence_package import package
from hal.drivers.p256_openssl import OpensslP256
from host_sim.evidence_package import Evidence, verify_package
from host_sim.verify import Key, VerifyError
from tests.core.parts import Flash, Time
from tests.core.records_parts import Shop
from tests.core.terminal_parts import boot, provisioned

HEAD_LINES = 3  # heading, audit, anchor
BLANKS = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0"


@functools.cache
def made() -> tuple[str, Key]:
    """A package of a terminal that went through a suspension, and the key that verifies it."""

    async def make() -> tuple[str, Key]:
        key = Key(await terminal.hal.secure_element.generate_key(0), "key")
        return "\n".join(await package(terminal)) + "\n", key

    flash = Flash()
    provisioned(flash)
    terminal: Any = boot(flash, Time(), curve=OpensslP256())  # type: ignore[no-untyped-call]
    for name in terminal.state.tests_due:
        Shop(terminal).test(name)  # type: ignore[no-untyped-call]
    Shop(terminal).recover()  # type: ignore[no-untyped-call]
    return asyncio.run(make())


def is_good(text: str) -> bool:
    _, key = made()
    try:
        return verify_package(text, [key]).is_whole
    except VerifyError:
        return False


def lines() -> list[str]:
    return made()[0].splitlines()


def joined(parts: list[str]) -> str:
    return "\n".join(parts) + "\n"


ENTRIES = st.integers(min_value=HEAD_LINES, max_value=10**6).map(lambda place: HEAD_LINES + place % (len(lines()) - HEAD_LINES))


def test_a_package_as_it_was_made_is_good() -> None:
    text, key = made()
    evidence: Evidence = verify_package(text, [key])
    assert evidence.is_whole and len(evidence.entries) > 15


@settings(max_examples=400, deadline=None)
@given(place=st.integers(min_value=0, max_value=10**6), byte=st.integers(min_value=0, max_value=255))
def test_no_byte_can_be_another(place: int, byte: int) -> None:
    """But for blanks at the end of a line, which say nothing."""
    text, _ = made()
    place %= len(text)
    if chr(byte) == text[place] or (text[place] == "\n" and chr(byte) in BLANKS):
        return
    assert not is_good(text[:place] + chr(byte) + text[place + 1 :])


def test_no_bit_of_the_signed_message_or_of_the_anchor_can_be_another() -> None:
    text, _ = made()
    begin, end = text.index("\n") + 1, len(joined(lines()[:HEAD_LINES]))
    for place in range(begin, end):
        for bit in range(8):
            altered = chr(ord(text[place]) ^ 1 << bit)
            if altered not in BLANKS or text[place] != "\n":
                assert not is_good(text[:place] + altered + text[place + 1 :]), (place, bit)


@settings(max_examples=100, deadline=None)
@given(first=ENTRIES, second=ENTRIES)
def test_no_two_entries_can_change_places(first: int, second: int) -> None:
    parts = lines()
    if first != second:
        parts[first], parts[second] = parts[second], parts[first]
        assert not is_good(joined(parts))


def test_no_entry_can_be_left_out_or_told_twice_and_no_tail_or_beginning_cut_off() -> None:
    parts = lines()
    for place in range(HEAD_LINES, len(parts)):
        assert not is_good(joined(parts[:place] + parts[place + 1 :])), place
        assert not is_good(joined(parts[: place + 1] + parts[place:])), place
        assert not is_good(joined(parts[:place])), place
        assert not is_good(joined(parts[:HEAD_LINES] + parts[place + 1 :])), place


@settings(max_examples=100, deadline=None)
@given(length=st.integers(min_value=0, max_value=10**6))
def test_no_number_of_bytes_can_be_cut_off(length: int) -> None:
    text, _ = made()
    shorter = text[: length % (len(text) - 1)]
    assert not is_good(shorter)


@pytest.mark.parametrize("line", ["", "gA==", "AAAA", "!", "begin"])
def test_nothing_can_be_put_in(line: str) -> None:
    parts = lines()
    for place in range(1, len(parts) + 1):
        if line or place < len(parts):
            assert not is_good(joined([*parts[:place], line, *parts[place:]])), place
