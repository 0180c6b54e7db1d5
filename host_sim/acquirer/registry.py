"""The acquirer's registry in a database: terminals, their keys, each message that was verified, each order and what became of it, alarms.

Any number of processes work on one registry. What must not happen twice hangs on a unique key, or on an update that counts only where
nothing has changed meanwhile (docs/decisions/0015-registry.md).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import key_id, parse
from firmware_agent.messages.schema import LINK_LOST, Claims, decode_body, encode_body, kind_named
from firmware_agent.state.machine import REVIEW_RECEIVED
from host_sim.acquirer.database import IN_MEMORY, LOCK_TIMEOUT_S, make_tables, opened
from host_sim.acquirer.rules import DONE, HELD, IN_FLIGHT, LATEST_ONLY, WAITING, LogHead, due
from host_sim.acquirer.tables import ALARMS, KEYS, MESSAGES, METADATA, ORDERS, SEATS, TERMINALS

MOST_AT_ONCE = 200  # terminals that one look for what is due gives
LATE_S = 60  # how long a message is still taken that was signed by the key before: another process may have been slower with it

CURRENT, ISSUED, FORMER, REVOKED = "current", "issued", "former", "revoked"  # a key's standing


class RegistryError(Exception):
    """The database cannot be used: in one line why, without its password."""


@dataclass(frozen=True)
class Order:
    """A message to a terminal. message, name: b'' until it is signed; the others as in the table."""

    id: int
    terminal: str
    kind: str
    body: dict[str, Any]
    standing: str
    sequence: int
    expires: int
    message: bytes
    name: bytes
    sent_at: int
    times_sent: int
    sent_anew: bool
    receipt: int | None


@dataclass(frozen=True)
class Kept:
    """A message that was verified, as it is kept. taken_by: the process that took it."""

    id: int
    terminal: str
    claims: Claims
    taken_by: str


@dataclass(frozen=True)
class Alarm:
    """at: Unix seconds; name: one word."""

    terminal: str
    at: int
    name: str
    detail: str


class Registry:
    """url: of the database, as `opened` has it. Raises RegistryError.

    engine: the database, for tables beside these. Whatever reads or writes raises SQLAlchemyError where it does not answer: nothing was
    done then.
    """

    def __init__(self, url: str = IN_MEMORY) -> None:
        try:
            self.engine = opened(url)
            make_tables(self.engine, METADATA)
        except (SQLAlchemyError, ImportError) as error:
            raise RegistryError(f"the registry cannot be opened: {str(error).splitlines()[0]}") from error

        sent = and_(ORDERS.c.standing == IN_FLIGHT, ORDERS.c.sent_at < bindparam("before"), TERMINALS.c.online)
        unsent = and_(ORDERS.c.standing == WAITING, TERMINALS.c.in_flight.is_(None))
        query = select(ORDERS.c.terminal).distinct().join(TERMINALS, TERMINALS.c.terminal == ORDERS.c.terminal)
        self._due = query.where(or_(sent, unsent)).limit(MOST_AT_ONCE)  # asked for each second: made once

    def close(self) -> None:
        self.engine.dispose()

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(reads=True) as connection:
            yield connection

    # Terminals and keys.

    def enrol(self, terminal: str, public_key: bytes) -> None:
        """A device takes the terminal's place with its first key: keys of a device before it speak for nobody from now on. For the key that
        is in use already, nothing changes.
        """
        with self.engine.begin() as connection:
            generation = 1
            fresh: dict[str, Any] = {"may_register": False, "online": False, "connection": 0, "state_sequence": 0, "state": None}
            fresh |= {"works_sequence": 0, "audit_sequence": 0, "audit_count": 0, "audit_head": None, "trusts": None}
            known = connection.scalar(select(TERMINALS.c.generation).where(TERMINALS.c.terminal == terminal).with_for_update())
            if known is None:
                connection.execute(insert(TERMINALS).values(fresh | {"terminal": terminal, "generation": generation}))
            else:
                used = and_(KEYS.c.terminal == terminal, KEYS.c.generation == known, KEYS.c.standing == CURRENT)
                if connection.scalar(select(KEYS.c.public_key).where(used)) == public_key:
                    return
                generation = known + 1
                connection.execute(update(TERMINALS).where(TERMINALS.c.terminal == terminal).values(fresh | {"generation": generation}))
                connection.execute(update(KEYS).where(KEYS.c.terminal == terminal).values(standing=REVOKED))
            _add_key(connection, terminal, generation, public_key, CURRENT)

    def renew(self, terminal: str, public_key: bytes) -> None:
        """The device that has the terminal's place was given another key. The one before speaks until that one is used: what the device
        says before it has the answer is as good as ever. Raises KeyError for an unknown one.
        """
        with self.entry(terminal) as entry:
            entry.issue_key(public_key)
            entry.trusts(None)  # but for the key that comes with the answer

    def terminals(self) -> list[str]:
        with self._read() as connection:
            return list(connection.scalars(select(TERMINALS.c.terminal).order_by(TERMINALS.c.terminal)))

    def facts(self, terminal: str) -> dict[str, Any]:
        """The row of a terminal. Raises KeyError."""
        with self._read() as connection:
            row = connection.execute(select(TERMINALS).where(TERMINALS.c.terminal == terminal)).one_or_none()
        if row is None:
            raise KeyError(terminal)
        return dict(row._mapping)

    def keys(self, terminal: str) -> dict[bytes, bytes]:
        """Whose signature may count: key id -> x || y. Whether it does, `Entry.note` says. Raises KeyError for an unknown terminal."""
        with self._read() as connection:
            rows = connection.execute(
                select(TERMINALS.c.terminal, KEYS.c.kid, KEYS.c.public_key)
                .outerjoin(KEYS, and_(KEYS.c.terminal == TERMINALS.c.terminal, KEYS.c.standing != REVOKED))
                .where(TERMINALS.c.terminal == terminal)
            ).all()
        if not rows:
            raise KeyError(terminal)
        return {kid: public_key for _, kid, public_key in rows if kid is not None}

    def key_of(self, terminal: str, standing: str) -> bytes:
        """The terminal's key of that standing, b'' where it has none."""
        with self._read() as connection:
            condition = and_(KEYS.c.terminal == terminal, KEYS.c.standing == standing)
            return bytes(connection.scalar(select(KEYS.c.public_key).where(condition)) or b"")

    def terminal_with(self, kid: bytes) -> str:
        """Whose key that is, in use; '' for nobody's."""
        with self._read() as connection:
            query = select(KEYS.c.terminal).where(KEYS.c.kid == kid, KEYS.c.standing == CURRENT)
            return str(connection.scalar(query) or "")

    @contextlib.contextmanager
    def entry(self, terminal: str) -> Iterator[Entry]:
        """A terminal's entry in one transaction, which is written when the `with` block ends well. Raises KeyError for an unknown one."""
        with self.engine.begin() as connection:
            row = connection.execute(select(TERMINALS).where(TERMINALS.c.terminal == terminal).with_for_update()).one_or_none()
            if row is None:
                raise KeyError(terminal)
            yield Entry(connection, dict(row._mapping))

    def nobody_is_connected(self) -> None:
        """The broker was started anew: whoever was online is not, and nobody was there to say so."""
        with self.engine.begin() as connection:
            connection.execute(update(TERMINALS).values(online=False))

    # Messages.

    def messages(self, terminal: str = "", kinds: Sequence[str] = (), after: int = 0, also: Collection[int] = ()) -> list[Kept]:
        """What was verified, in the order in which it was written. terminal '': of all; kinds (): of every kind; after: an id; also: ids
        before that one.
        """
        query = select(MESSAGES).where(or_(MESSAGES.c.id > after, MESSAGES.c.id.in_(also))).order_by(MESSAGES.c.id)
        if terminal:
            query = query.where(MESSAGES.c.terminal == terminal)
        if kinds:
            query = query.where(MESSAGES.c.kind.in_(kinds))
        with self._read() as connection:
            return [Kept(row.id, row.terminal, claims_of(row.message), row.taken_by) for row in connection.execute(query)]

    def noted(self, after: int = 0) -> list[tuple[int, str, int, int, str]]:
        """As `messages`, of all and unread: (id, terminal, boot, sequence, kind)."""
        columns = (MESSAGES.c.id, MESSAGES.c.terminal, MESSAGES.c.boot, MESSAGES.c.sequence, MESSAGES.c.kind)
        with self._read() as connection:
            rows = connection.execute(select(*columns).where(MESSAGES.c.id > after).order_by(MESSAGES.c.id))
            return [(number, terminal, boot, sequence, kind) for number, terminal, boot, sequence, kind in rows]

    def duplicates(self) -> int:
        """How many messages came again after they were kept."""
        with self._read() as connection:
            return connection.scalar(select(func.sum(TERMINALS.c.duplicates))) or 0

    def count(self, terminal: str = "") -> int:
        """How many messages were verified."""
        query = select(func.count()).select_from(MESSAGES)
        with self._read() as connection:
            return connection.scalar(query.where(MESSAGES.c.terminal == terminal) if terminal else query) or 0

    def newest(self) -> int:
        """The id of the message that was written last, 0 for none."""
        with self._read() as connection:
            return connection.scalar(select(func.max(MESSAGES.c.id))) or 0

    def alarms(self) -> list[Alarm]:
        with self._read() as connection:
            rows = connection.execute(select(ALARMS).order_by(ALARMS.c.id))
            return [Alarm(row.terminal, row.at, row.name, row.detail) for row in rows]

    # Orders.

    def order(self, number: int) -> Order:
        """Raises KeyError."""
        with self._read() as connection:
            row = connection.execute(select(ORDERS).where(ORDERS.c.id == number)).one_or_none()
        if row is None:
            raise KeyError(number)
        return _order(row)

    def open_orders(self, terminal: str) -> list[Order]:
        """Those that have no receipt, the oldest first."""
        with self._read() as connection:
            return _open_orders(connection, terminal)

    def last_sent(self, terminal: str) -> Order | None:
        """The order with the highest sequence that was signed."""
        query = select(ORDERS).where(ORDERS.c.terminal == terminal, ORDERS.c.message.is_not(None))
        with self._read() as connection:
            row = connection.execute(query.order_by(ORDERS.c.sequence.desc()).limit(1)).one_or_none()
        return None if row is None else _order(row)

    def due(self, before: int) -> list[str]:
        """Terminals for which something is due: an order that was not sent yet, or one that was sent before that time, in Unix seconds, and
        has no receipt. One that is not online is left alone: the broker keeps what was sent, and its next connection is awaited.
        """
        with self._read() as connection:
            return list(connection.scalars(self._due, {"before": before}))

    def next_order(self, terminal: str) -> Order | None:
        """The order whose turn it is."""
        return due(self.open_orders(terminal))

    def next_sequence(self, terminal: str) -> int:
        """A sequence for a message to the terminal, which no other process gets. Raises KeyError."""
        with self.engine.begin() as connection:
            where = TERMINALS.c.terminal == terminal
            connection.execute(update(TERMINALS).where(where).values(sequence=TERMINALS.c.sequence + 1))
            sequence = connection.scalar(select(TERMINALS.c.sequence).where(where))
            if sequence is None:
                raise KeyError(terminal)
            return int(sequence)

    def put_in_flight(self, order: Order, sequence: int, expires: int, message: bytes, name: bytes, now_s: int) -> bool:
        """Whether this process is to send the order that it signed: another one is in flight, or a later sequence was taken, if not."""
        with self.engine.begin() as connection:
            terminal = and_(TERMINALS.c.terminal == order.terminal, TERMINALS.c.in_flight.is_(None), TERMINALS.c.sequence == sequence)
            mine = and_(ORDERS.c.id == order.id, ORDERS.c.standing == WAITING)
            sent = {"standing": IN_FLIGHT, "sequence": sequence, "expires": expires, "message": message, "name": name}
            sent |= {"sent_at": now_s, "times_sent": ORDERS.c.times_sent + 1}
            if connection.execute(update(TERMINALS).where(terminal).values(in_flight=order.id)).rowcount:
                if connection.execute(update(ORDERS).where(mine).values(sent)).rowcount:
                    return True
                connection.rollback()
        return False

    def send_again(self, order: Order, now_s: int) -> bool:
        """Whether this process is to send it again: not if another one has just done so, or the receipt is there."""
        with self.engine.begin() as connection:
            mine = and_(ORDERS.c.id == order.id, ORDERS.c.standing == IN_FLIGHT, ORDERS.c.times_sent == order.times_sent)
            again = update(ORDERS).where(mine).values(sent_at=now_s, times_sent=ORDERS.c.times_sent + 1)
            return connection.execute(again).rowcount == 1

    # Seats: sessions at the broker that outlive the process which works in them.

    def take_seat(self, holder: str, now_s: int, lease_s: int, new: bool) -> int:
        """A seat whose holder left it, or was not heard of for `lease_s`; else, if `new`, one more; 0 for none."""
        free = or_(SEATS.c.holder == "", SEATS.c.seen_at < now_s - lease_s)
        for _ in range(3):  # another process may be quicker
            with self.engine.begin() as connection:
                seat = connection.scalar(select(SEATS.c.seat).where(free).order_by(SEATS.c.seat).limit(1))
                if seat is not None:
                    taken = update(SEATS).where(SEATS.c.seat == seat, free).values(holder=holder, seen_at=now_s)
                    if connection.execute(taken).rowcount:
                        return int(seat)
                    continue
                if not new:
                    return 0
                seat = 1 + (connection.scalar(select(func.max(SEATS.c.seat))) or 0)
                with contextlib.suppress(IntegrityError):
                    with connection.begin_nested():
                        connection.execute(insert(SEATS).values(seat=seat, holder=holder, seen_at=now_s))
                    return seat
        return 0

    def keep_seat(self, seat: int, holder: str, now_s: int) -> bool:
        """Say that the holder is there; whether the seat is his still."""
        with self.engine.begin() as connection:
            mine = and_(SEATS.c.seat == seat, SEATS.c.holder == holder)
            return bool(connection.execute(update(SEATS).where(mine).values(seen_at=now_s)).rowcount)

    def leave_seat(self, seat: int, holder: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(SEATS).where(SEATS.c.seat == seat, SEATS.c.holder == holder).values(holder=""))

    def has_seats(self) -> bool:
        with self._read() as connection:
            return bool(connection.scalar(select(func.count()).select_from(SEATS)))


class Follower:
    """What is kept from now on, each message once. Where many write at once a transaction may end before one that was given a lower id:
    what was passed over is looked for as long as a transaction may last.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._newest = registry.newest()
        self._passed_over: dict[int, float] = {}  # id -> until when it is looked for (time.monotonic)

    def messages(self) -> list[Kept]:
        """Since the last call."""
        now = time.monotonic()
        self._passed_over = {number: until for number, until in self._passed_over.items() if now < until}
        kept = self._registry.messages(after=self._newest, also=self._passed_over)
        for message in kept:
            self._passed_over.pop(message.id, None)
            self._passed_over |= dict.fromkeys(range(self._newest + 1, message.id), now + LOCK_TIMEOUT_S)
            self._newest = max(self._newest, message.id)
        return kept


class Entry:
    """A terminal's entry within a transaction, which no other process changes meanwhile."""

    def __init__(self, connection: Connection, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.terminal: str = facts["terminal"]
        self.message = 0  # id of the message that was noted
        self._connection = connection

    @property
    def state(self) -> dict[str, Any]:
        """As last told, {} where it never was."""
        return claims_of(self.facts["state"]).body if self.facts["state"] else {}

    def key_standing(self, kid: bytes, sequence: int, now_s: int) -> str:
        """CURRENT, ISSUED or FORMER: the key may speak in a message of that sequence; REVOKED: it may not."""
        row = self._connection.execute(select(KEYS).where(self._key(kid))).one_or_none()
        if row is None or row.standing == FORMER and (sequence >= row.below or now_s >= row.until):
            return REVOKED
        return str(row.standing)

    def use_key(self, kid: bytes, sequence: int, now_s: int) -> None:
        """The terminal has proved that it uses the key that was issued: the one before has no more to say than what it signed earlier. What
        waited may come after what overtook it, so the sequence of this message alone does not tell what was earlier.
        """
        generation = self.facts["generation"]
        mine = and_(MESSAGES.c.terminal == self.terminal, MESSAGES.c.generation == generation)
        newest = self._connection.scalar(select(func.max(MESSAGES.c.sequence)).where(mine)) or 0
        former = {"standing": FORMER, "below": max(sequence, newest + 1), "until": now_s + LATE_S}
        current = and_(KEYS.c.terminal == self.terminal, KEYS.c.generation == generation, KEYS.c.standing == CURRENT)
        self._connection.execute(update(KEYS).where(current).values(former))
        self._connection.execute(update(KEYS).where(self._key(kid)).values(standing=CURRENT))
        self._change(may_register=False)

    def issue_key(self, public_key: bytes) -> None:
        """A key for which certificates were issued; one that was issued before and never used gives way."""
        issued = and_(KEYS.c.terminal == self.terminal, KEYS.c.standing == ISSUED)
        self._connection.execute(delete(KEYS).where(issued))
        known = self._connection.scalar(select(KEYS.c.standing).where(self._key(key_id(public_key))))
        if known is None:  # else the terminal asked anew for the key that it has
            _add_key(self._connection, self.terminal, self.facts["generation"], public_key, ISSUED)

    def allow_registration(self) -> None:
        """The next application for new keys is granted."""
        self._change(may_register=True)

    def note(self, claims: Claims, message: bytes, now_s: int, by: str) -> bool:
        """Keep a message; False when it is there already. by: who took it."""
        row = {"terminal": self.terminal, "generation": self.facts["generation"], "boot": claims.boot_count, "sequence": claims.sequence}
        row |= {"kind": claims.kind.name, "taken_at": now_s, "taken_by": by, "message": message}
        try:
            with self._connection.begin_nested():
                self.message = _inserted(self._connection, MESSAGES, row)
        except IntegrityError:
            self._change(duplicates=self.facts["duplicates"] + 1)
            return False
        return True

    def take_state(self, claims: Claims, message: bytes) -> bool:
        """A state counts when it is newer than what is known; a last will, when it speaks of the connection that is known or of a later
        one, which was lost before it said anything. Gives whether it tells of a new connection.
        """
        facts = self.facts
        connection = claims.number("connection")
        if claims.text("link") == LINK_LOST:
            if connection >= facts["connection"]:
                self._change(online=False)
            return False
        if claims.sequence <= facts["state_sequence"]:
            return False
        is_new = bool(connection != facts["connection"])
        self._change(online=True, connection=connection, state_sequence=claims.sequence, state=message)
        return is_new

    def queue(self, kind: str, body: dict[str, Any], now_s: int) -> int:
        """A message to the terminal, to be sent when its turn has come; gives its number. Raises SchemaError."""
        if kind in LATEST_ONLY:
            waiting = and_(ORDERS.c.terminal == self.terminal, ORDERS.c.kind == kind, ORDERS.c.standing == WAITING)
            self._connection.execute(delete(ORDERS).where(waiting))
        row = {"terminal": self.terminal, "kind": kind, "fields": encode(encode_body(kind_named(kind), body)), "asked_at": now_s}
        row |= {"standing": WAITING, "sequence": 0, "expires": 0, "sent_at": 0, "times_sent": 0, "sent_anew": False}
        return _inserted(self._connection, ORDERS, row)

    def standing_of(self, application: int) -> dict[str, Any] | None:
        """What is to be told anew of the review of an application: the last answer, or that it was received; None: an answer is under way,
        or there is no such application.
        """
        of_terminal = and_(ORDERS.c.terminal == self.terminal, ORDERS.c.kind == "status")
        for row in self._connection.execute(select(ORDERS).where(of_terminal).order_by(ORDERS.c.id.desc())):
            order = _order(row)
            if order.body["application"] == application:
                return order.body if order.standing == DONE else None
        query = select(MESSAGES.c.message).where(MESSAGES.c.terminal == self.terminal, MESSAGES.c.kind == "application")
        numbers = [claims_of(message).body["application"] for message in self._connection.scalars(query)]
        return {"application": application, "status": REVIEW_RECEIVED} if application in numbers else None

    def in_flight(self, name: bytes) -> Order | None:
        """The order in flight, if that is its name."""
        query = select(ORDERS).where(ORDERS.c.id == self.facts["in_flight"], ORDERS.c.name == name)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _order(row)

    def landed(self, order: Order, standing: str) -> None:
        """The receipt is there, in the message that was noted: the order is done, held, or to be sent anew."""
        change: dict[str, Any] = {"standing": standing}
        if standing == DONE:
            change["receipt"] = self.message
        elif standing == WAITING:
            change["sent_anew"] = True
        self._connection.execute(update(ORDERS).where(ORDERS.c.id == order.id).values(change))
        self._change(in_flight=None)

    def release(self) -> None:
        """What is held may be sent anew."""
        held = and_(ORDERS.c.terminal == self.terminal, ORDERS.c.standing == HELD)
        self._connection.execute(update(ORDERS).where(held).values(standing=WAITING))

    def trusts(self, kid: bytes | None) -> None:
        """The terminal has taken the acquirer's key of that kid: what goes to it is signed by it from now on. None: by the present one."""
        self._change(trusts=kid)

    def storage_works(self, sequence: int) -> None:
        """The terminal has said so in the message of that sequence."""
        self._change(works_sequence=max(sequence, self.facts["works_sequence"]))
        self.release()

    @property
    def log_head(self) -> LogHead | None:
        facts = self.facts
        return LogHead(facts["audit_sequence"], facts["audit_count"], facts["audit_head"]) if facts["audit_head"] is not None else None

    def take_log_head(self, told: LogHead) -> None:
        sequence = max(told.sequence, self.facts["audit_sequence"])
        self._change(audit_sequence=sequence, audit_count=told.count, audit_head=told.head)

    def alarm(self, name: str, detail: str, now_s: int) -> None:
        row = {"terminal": self.terminal, "at": now_s, "name": name, "detail": detail[:256]}
        self._connection.execute(insert(ALARMS).values(row))

    def _key(self, kid: bytes) -> Any:
        return and_(KEYS.c.terminal == self.terminal, KEYS.c.kid == kid, KEYS.c.generation == self.facts["generation"])

    def _change(self, **values: Any) -> None:
        self.facts.update(values)
        self._connection.execute(update(TERMINALS).where(TERMINALS.c.terminal == self.terminal).values(values))


def claims_of(message: bytes) -> Claims:
    """What a message says that was verified before."""
    return Claims.from_map(decode(parse(message).payload))


def _inserted(connection: Connection, table: Table, row: dict[str, Any]) -> int:
    """Insert a row; its id."""
    key = connection.execute(insert(table).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def _add_key(connection: Connection, terminal: str, generation: int, public_key: bytes, standing: str) -> None:
    row = {"terminal": terminal, "kid": key_id(public_key), "generation": generation, "public_key": public_key}
    connection.execute(insert(KEYS).values(row | {"standing": standing, "below": 0, "until": 0}))


def _open_orders(connection: Connection, terminal: str) -> list[Order]:
    query = select(ORDERS).where(ORDERS.c.terminal == terminal, ORDERS.c.standing != DONE).order_by(ORDERS.c.id)
    return [_order(row) for row in connection.execute(query)]


def _order(row: Any) -> Order:
    body, _ = decode_body(kind_named(row.kind), decode(row.fields))
    message, name = row.message or b"", row.name or b""
    facts = (row.standing, row.sequence, row.expires, message, name, row.sent_at, row.times_sent, row.sent_anew, row.receipt)
    return Order(row.id, row.terminal, row.kind, body, *facts)
