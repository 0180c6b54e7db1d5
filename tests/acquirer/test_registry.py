"""Several processes on one registry: no sequence is used twice, one order is in flight, and a seat has one holder."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from firmware_agent.messages.schema import Claims, kind_named, topic
from host_sim.acquirer.activation import Codes
from host_sim.acquirer.codec import Signer
from host_sim.acquirer.database import IN_MEMORY
from host_sim.acquirer.registry import Entry, Follower, Order, Registry, RegistryError
from host_sim.acquirer.rules import DONE, IN_FLIGHT, WAITING
from tests.acquirer.databases import postgresql

ROOT = Path(__file__).parents[2]
KEY = bytes(64)
PRIVATE_KEY = ec.derive_private_key(1, ec.SECP256R1())
NOW_S = 1_800_000_000
TAKER = """
import sys
from host_sim.acquirer.registry import Registry
registry = Registry(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(*[registry.next_sequence("T1") for _ in range(int(sys.argv[2]))])
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.sqlite'}"
    return emptied(request.getfixturevalue("cluster"))


def emptied(url: str) -> str:
    """The same; nothing is in that database any more."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


@pytest.fixture
def two(url: str) -> Iterator[tuple[Registry, Registry]]:
    """As two processes have it."""
    first, second = Registry(url), Registry(url)
    first.enrol("T1", KEY)
    yield first, second
    first.close()
    second.close()


def queued(registry: Registry, kind: str = "order") -> Order:
    with registry.entry("T1") as entry:
        number = entry.queue(kind, {"action": "self_test"} if kind == "order" else {"nonce": b"12345678"}, NOW_S)
    return registry.order(number)


def flies(registry: Registry, order: Order, sequence: int) -> bool:
    return registry.put_in_flight(order, sequence, NOW_S + 60, b"message", bytes(16), NOW_S)


def test_processes_that_take_sequences_at_the_same_time_never_take_one_twice(url: str) -> None:
    registry = Registry(url)
    registry.enrol("T1", KEY)
    each = 50
    command = [sys.executable, "-c", TAKER, url, str(each)]
    takers = [subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    taken: list[int] = []
    for taker in takers:
        assert taker.stdout is not None and taker.stdout.readline() == "ready\n"
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("\n")
        taker.stdin.flush()
    for taker in takers:
        out, _ = taker.communicate(timeout=60)
        sequences = [int(word) for word in out.split()]
        assert sequences == sorted(sequences) and len(sequences) == each
        taken += sequences
    assert sorted(taken) == list(range(1, 3 * each + 1))
    registry.close()


def test_processes_that_begin_on_an_empty_database_at_the_same_time_all_find_their_tables(url: str) -> None:
    def begin(_: int) -> list[str]:
        together.wait(60)
        registry = Registry(url)
        Codes(registry.engine)
        try:
            return registry.terminals()
        finally:
            registry.close()

    together = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(begin, range(4))) == [[], [], [], []]


def test_only_one_of_two_processes_sends_an_order(two: tuple[Registry, Registry]) -> None:
    first, second = two
    order = queued(first)
    slow, quick = first.next_sequence("T1"), second.next_sequence("T1")
    assert not flies(first, order, slow)  # a later sequence was taken: the terminal would refuse this one, should that one be first
    assert flies(second, order, quick)
    assert not flies(first, order, first.next_sequence("T1"))
    (open_order,) = first.open_orders("T1")
    assert (open_order.standing, open_order.sequence) == (IN_FLIGHT, quick)


def test_an_order_stays_waiting_while_another_one_is_in_flight(two: tuple[Registry, Registry]) -> None:
    first, second = two
    assert flies(first, queued(first), first.next_sequence("T1"))
    late = queued(second)
    assert not flies(second, late, second.next_sequence("T1"))
    assert second.order(late.id).standing == WAITING and second.order(late.id).message == b""


def test_only_one_of_two_processes_sends_an_order_again(two: tuple[Registry, Registry]) -> None:
    first, second = two
    assert flies(first, queued(first), first.next_sequence("T1"))
    seen, seen_by_the_other = first.next_order("T1"), second.next_order("T1")
    assert seen is not None and seen_by_the_other is not None
    assert first.send_again(seen, NOW_S + 6)
    assert not second.send_again(seen_by_the_other, NOW_S + 6)


def test_an_order_that_another_process_has_brought_to_its_end_is_not_begun_anew(two: tuple[Registry, Registry]) -> None:
    first, second = two
    order = queued(first)
    assert flies(second, order, second.next_sequence("T1"))
    with second.entry("T1") as entry:
        entry.landed(order, DONE)
    assert not flies(first, order, first.next_sequence("T1"))
    assert first.order(order.id).standing == DONE and first.facts("T1")["in_flight"] is None


def test_an_answer_that_gave_way_to_a_later_one_is_not_sent(two: tuple[Registry, Registry]) -> None:
    first, second = two
    early = queued(first, "answer")
    queued(second, "answer")
    assert not flies(first, early, first.next_sequence("T1"))
    assert first.facts("T1")["in_flight"] is None


def test_a_transaction_that_fails_leaves_nothing_behind(two: tuple[Registry, Registry]) -> None:
    first, second = two
    with pytest.raises(ZeroDivisionError), first.entry("T1") as entry:
        entry.queue("order", {"action": "self_test"}, NOW_S)
        entry.allow_registration()
        raise ZeroDivisionError
    assert second.open_orders("T1") == [] and not second.facts("T1")["may_register"]


def test_a_seat_is_held_by_one_process_until_it_leaves_or_is_not_heard_of(two: tuple[Registry, Registry]) -> None:
    first, second = two
    assert not first.has_seats() and first.take_seat("a", NOW_S, 15, new=False) == 0
    assert first.take_seat("a", NOW_S, 15, new=True) == 1
    assert second.take_seat("b", NOW_S + 15, 15, new=False) == 0
    assert second.take_seat("b", NOW_S + 15, 15, new=True) == 2
    assert first.keep_seat(1, "a", NOW_S + 15)
    assert second.take_seat("b", NOW_S + 30, 15, new=False) == 0
    assert second.take_seat("b", NOW_S + 31, 15, new=False) == 1  # 'a' was not heard of
    assert not first.keep_seat(1, "a", NOW_S + 31)
    first.leave_seat(1, "a")  # which is not his any more
    assert first.take_seat("c", NOW_S + 31, 15, new=False) == 2  # and 'b' has not said that it holds that one
    second.leave_seat(1, "b")
    assert first.take_seat("c", NOW_S + 31, 15, new=False) == 1


def test_an_unknown_terminal_has_no_entry_no_keys_and_no_sequence() -> None:
    registry = Registry(IN_MEMORY)
    for ask in (registry.keys, registry.facts, registry.next_sequence):
        with pytest.raises(KeyError):
            ask("T9")
    with pytest.raises(KeyError), registry.entry("T9"):
        pass


def test_a_database_that_cannot_be_opened_is_one_line_without_its_password(tmp_path: Path) -> None:
    for url in ("nonsense://user:secret@host/x", f"sqlite:///{tmp_path}/missing/registry", "no url secret"):
        with pytest.raises(RegistryError) as error:
            Registry(url)
        assert "secret" not in str(error.value) and "\n" not in str(error.value)


def test_a_process_that_waits_too_long_for_anothers_transaction_is_told_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host_sim.acquirer.database.LOCK_TIMEOUT_S", 1)
    first, second = Registry(url), Registry(url)
    first.enrol("T1", KEY)
    with first.entry("T1"), pytest.raises(SQLAlchemyError):
        second.next_sequence("T1")
    assert second.next_sequence("T1") == 1
    first.close()
    second.close()


@pytest.mark.needs("postgresql")
def test_who_follows_is_told_of_a_message_whose_transaction_ends_after_that_of_a_later_one(cluster: str) -> None:
    first, second = (Registry(emptied(cluster)), Registry(cluster))
    for terminal in ("T1", "T2"):
        first.enrol(terminal, KEY)
    follower = Follower(second)

    def note(entry: Entry) -> None:
        claims = Claims(kind_named("event"), entry.terminal, 1, {"name": "signed_on"}, boot_count=1)
        where = topic("acq1", entry.terminal, "event")
        assert entry.note(claims, Signer(PRIVATE_KEY).sign(where, claims), NOW_S, "a worker")

    with first.entry("T1") as slow:
        note(slow)
        with second.entry("T2") as quick:
            note(quick)
        assert [kept.terminal for kept in follower.messages()] == ["T2"]
    assert [kept.terminal for kept in follower.messages()] == ["T1"]
    assert follower.messages() == []
    first.close()
    second.close()
