"""A database that several processes write to: how it is opened, and how long one waits for another."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.pool import StaticPool

IN_MEMORY = "sqlite://"
LOCK_TIMEOUT_S = 30  # how long a process waits for another's transaction (SQLite, PostgreSQL)


def opened(url: str) -> Engine:
    """url: as SQLAlchemy has it; 'sqlite:///file', or IN_MEMORY for one that ends with this process. Raises SQLAlchemyError, ImportError.

    A transaction that only reads says so: `execution_options(reads=True)`.
    """
    options: dict[str, Any] = {"poolclass": StaticPool} if url == IN_MEMORY else {}
    engine = create_engine(url, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def make_tables(engine: Engine, tables: MetaData) -> None:
    """Those that are missing. Another process may be making them at the same moment: what it has made by then is found at the next look."""
    for left in (1, 0):
        try:
            with engine.begin() as connection:
                tables.create_all(connection)
                return
        except (IntegrityError, ProgrammingError):
            if not left:
                raise


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    """Transactions are ours to begin, not the driver's; readers do not wait for a writer; what is written is on the disk."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {LOCK_TIMEOUT_S * 1000}")
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Of those who ask for it at the same moment one gets it, and the others are told at once that the file is locked."""
    end = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    """A transaction that writes waits at its beginning: one that reads first could not be written when another was quicker."""
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
