"""A device that is replaced says what it has to say, for a while, and starts as nobody; a device from the factory has a desk for codes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from firmware_agent.agent import Agent
from firmware_agent.identity.identity import KEY_FACTORY, KEY_IDENTITY, KEY_REPLACEMENT
from firmware_agent.identity.replacement import ERASING, GONE, LEAVING, RECEIPT_MS, stage
from firmware_agent.messages.cbor import encode
from firmware_agent.store import Store
from tests.core.parts import Flash, Time
from tests.core.terminal_parts import boot, hal_on, identity, provisioned


def agent_of(hal: Any, resets: list[int], time: Any) -> Agent:
    guard: Any = SimpleNamespace(restarting=lambda normally: None)
    never: Callable[..., Any] = lambda *arguments: None  # noqa: E731
    return Agent(hal, never, lambda line: None, guard, lambda: resets.append(time.now_ms))


def leaving() -> tuple[Any, Any, Any]:
    flash, time = Flash(), Time()
    provisioned(flash)
    terminal = boot(flash, time)
    terminal.apply([], [("receipt", {"of": bytes(16), "result": "SUCC", "highest": 1})], [(KEY_REPLACEMENT, encode(LEAVING))])
    return flash, time, terminal


def test_it_goes_as_soon_as_all_is_said() -> None:
    _, time, terminal = leaving()
    resets: list[int] = []

    async def said_after_2_s() -> None:
        await terminal.hal.clock.sleep_ms(2000)
        assert stage(terminal.store) == LEAVING and not resets
        for key in terminal.outbox.waiting():
            terminal.outbox.remove(key)

    async def program() -> None:
        await asyncio.gather(agent_of(terminal.hal, resets, time)._leave(terminal), said_after_2_s())

    time.run(program())
    assert len(resets) == 1 and 2000 <= resets[0] < 2500
    assert stage(terminal.store) == ERASING and terminal.store.get(KEY_IDENTITY) is None


def test_it_goes_when_nobody_listens() -> None:
    _, time, terminal = leaving()
    resets: list[int] = []
    time.run(agent_of(terminal.hal, resets, time)._leave(terminal))
    assert RECEIPT_MS <= resets[0] < RECEIPT_MS + 500
    assert stage(terminal.store) == ERASING


def test_the_next_start_empties_the_element_and_offers_a_desk_where_the_factory_has_put_in_whom_to_ask() -> None:
    for has_record in (True, False):
        flash, time, terminal = leaving()
        if has_record:
            terminal.store.put(KEY_FACTORY, identity([bytes(64)]).encoded())
        time.run(agent_of(terminal.hal, [], time)._leave(terminal))
        store = Store(flash)
        store.open()
        desk = asyncio.run(agent_of(hal_on(flash), [], time)._desk(store))
        assert stage(store) == GONE
        assert (desk is not None) == has_record


def test_a_factory_record_that_cannot_be_read_is_said_and_leaves_a_device_that_tests_itself() -> None:
    flash = Flash()
    store = Store(flash)
    store.open()
    store.put(KEY_FACTORY, b"\xff")
    assert asyncio.run(agent_of(hal_on(flash), [], Time())._desk(store)) is None
