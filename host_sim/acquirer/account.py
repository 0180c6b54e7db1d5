"""A terminal as the acquirer knows it: read from the registry whenever it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from firmware_agent.messages.schema import kind_named, topic
from host_sim.acquirer.registry import CURRENT, ISSUED, Order, Registry, claims_of
from host_sim.acquirer.rules import DONE


class Account:
    """One terminal. Everything that it tells was verified. The lists have the oldest first."""

    def __init__(self, registry: Registry, acquirer: str, terminal: str) -> None:
        self.terminal = terminal
        self._registry = registry
        self._acquirer = acquirer

    @property
    def public_key(self) -> bytes:
        return self._registry.key_of(self.terminal, CURRENT)

    @property
    def next_public_key(self) -> bytes:
        """Issued, and not yet seen in use; b'' for none."""
        return self._registry.key_of(self.terminal, ISSUED)

    @property
    def may_register(self) -> bool:
        return bool(self._facts["may_register"])

    @property
    def sequence(self) -> int:
        """Of the last message to the terminal."""
        return int(self._facts["sequence"])

    @property
    def state(self) -> dict[str, Any]:
        """The body of the newest state, {} for none."""
        message = self._facts["state"]
        return claims_of(message).body if message else {}

    @property
    def online(self) -> bool:
        return bool(self._facts["online"])

    @property
    def evidence(self) -> tuple[int, bytes]:
        """(count, head) of its evidence log, as it told them last; (0, b'') where it never did."""
        return int(self._facts["audit_count"]), self._facts["audit_head"] or b""

    @property
    def reports(self) -> list[dict[str, Any]]:
        return self._said("report")

    @property
    def tests(self) -> list[dict[str, Any]]:
        return self._said("test")

    @property
    def applications(self) -> list[dict[str, Any]]:
        return self._said("application")

    @property
    def summaries(self) -> list[dict[str, Any]]:
        """Of its suspensions that are over."""
        return self._said("summary")

    @property
    def receipts(self) -> list[dict[str, Any]]:
        return self._said("receipt")

    @property
    def events(self) -> list[dict[str, Any]]:
        """Those that came at once, and those of batches: name, detail; of a batch also when (Unix seconds, 0: not known) and times."""
        events: list[dict[str, Any]] = []
        for body in self._said("event", "events"):
            if "events" in body:
                events += [dict(zip(("name", "detail", "when", "times"), values, strict=False)) for values in body["events"]]
            else:
                events.append(body)
        return events

    @property
    def verified(self) -> int:
        """How many of its messages were verified and kept."""
        return self._registry.count(self.terminal)

    @property
    def duplicates(self) -> int:
        return int(self._facts["duplicates"])

    @property
    def outgoing(self) -> list[Order]:
        """What has no receipt yet."""
        return self._registry.open_orders(self.terminal)

    @property
    def last_sent(self) -> tuple[str, bytes] | None:
        """(topic, message) of what was sent last."""
        order = self._registry.last_sent(self.terminal)
        return None if order is None else (topic(self._acquirer, self.terminal, kind_named(order.kind).leaf), order.message)

    def receipts_of(self, order: int) -> list[dict[str, Any]]:
        """All receipts for the order as it was sent last; a repeated delivery has its own."""
        name = self._registry.order(order).name
        return [receipt for receipt in self.receipts if name and receipt["of"] == name]

    def receipt_of(self, order: int) -> dict[str, Any] | None:
        """The receipt that ended the order; None while it is under way."""
        found = self._registry.order(order)
        if found.standing != DONE:
            return None
        (kept,) = [kept for kept in self._registry.messages(self.terminal, ("receipt",)) if kept.id == found.receipt]
        return kept.claims.body

    @property
    def _facts(self) -> dict[str, Any]:
        return self._registry.facts(self.terminal)

    def _said(self, *kinds: str) -> list[dict[str, Any]]:
        return [kept.claims.body for kept in self._registry.messages(self.terminal, kinds)]


class Accounts(Mapping[str, Account]):
    """By the terminals' numbers."""

    def __init__(self, registry: Registry, acquirer: str) -> None:
        self._registry = registry
        self._acquirer = acquirer

    def __getitem__(self, terminal: str) -> Account:
        self._registry.facts(terminal)
        return Account(self._registry, self._acquirer, terminal)

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.terminals())

    def __len__(self) -> int:
        return len(self._registry.terminals())
