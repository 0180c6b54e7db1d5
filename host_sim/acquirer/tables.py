"""The registry's tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint

_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts rows by INTEGER only
METADATA = MetaData()

TERMINALS = Table(
    "terminals",
    METADATA,
    Column("terminal", String(64), primary_key=True),
    Column("generation", Integer, nullable=False),  # one more with each device that takes this place: its sequences begin anew
    Column("may_register", Boolean, nullable=False),  # an approved application, or a lifted suspension, is followed by new keys
    Column("sequence", BigInteger, nullable=False, default=0),  # of the last message to it
    Column("in_flight", BigInteger),  # the order that is sent and has no receipt
    Column("trusts", LargeBinary(8)),  # kid of the acquirer's key that it was ordered to trust last, and does
    Column("online", Boolean, nullable=False),
    Column("connection", BigInteger, nullable=False),
    Column("state_sequence", BigInteger, nullable=False),
    Column("state", LargeBinary),  # the message that told the state
    Column("works_sequence", BigInteger, nullable=False),  # of the last message by which its storage works
    Column("audit_sequence", BigInteger, nullable=False),
    Column("audit_count", BigInteger, nullable=False),
    Column("audit_head", LargeBinary),
    Column("duplicates", BigInteger, nullable=False, default=0),
)
KEYS = Table(
    "keys",
    METADATA,
    Column("terminal", String(64), ForeignKey("terminals.terminal"), primary_key=True),
    Column("kid", LargeBinary(8), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("public_key", LargeBinary(64), nullable=False),
    Column("standing", String(16), nullable=False),
    Column("below", BigInteger, nullable=False),  # former: it speaks for what has a lower sequence
    Column("until", BigInteger, nullable=False),  # former: and until then, Unix seconds
)
MESSAGES = Table(
    "messages",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("terminal", String(64), ForeignKey("terminals.terminal"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False, index=True),
    Column("taken_at", BigInteger, nullable=False),
    Column("taken_by", String(64), nullable=False),
    Column("message", LargeBinary, nullable=False),  # as it was signed
    UniqueConstraint("terminal", "generation", "boot", "sequence"),
)
ORDERS = Table(
    "orders",  # all that goes down: orders, answers, credentials
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("terminal", String(64), ForeignKey("terminals.terminal"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("fields", LargeBinary, nullable=False),  # as on the wire
    Column("asked_at", BigInteger, nullable=False),
    Column("standing", String(16), nullable=False, index=True),
    Column("sequence", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("message", LargeBinary),  # signed when it is sent
    Column("name", LargeBinary(16), index=True),  # what its receipt calls it
    Column("sent_at", BigInteger, nullable=False),
    Column("times_sent", Integer, nullable=False),
    Column("sent_anew", Boolean, nullable=False),  # for a terminal whose clock was wrong
    Column("receipt", BigInteger),  # the message that ended it
    sqlite_autoincrement=True,  # or the number of one that gave way is given to the next
)
ALARMS = Table(
    "alarms",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("terminal", String(64), ForeignKey("terminals.terminal"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("name", String(64), nullable=False),
    Column("detail", String(256), nullable=False),
)
SEATS = Table(
    "seats",
    METADATA,
    Column("seat", Integer, primary_key=True),
    Column("holder", String(64), nullable=False),  # '': nobody
    Column("seen_at", BigInteger, nullable=False),
)
