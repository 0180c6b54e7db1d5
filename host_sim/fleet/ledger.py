"""What a fleet's terminals said, what their acquirer kept of it, and how they came back to their broker. Pure: no I/O, no clock."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Name = tuple[str, int, int]  # of a message: terminal, boot, sequence
REPORT = "report"
SHARES = {"p50": 50, "p95": 95, "p99": 99}
MOST_TROUBLES = 20  # told of a run: the first


@dataclass
class Wave:
    """Terminals that lost their connection at the same moment, and come back. cause: why; at_s: when; expected: how many there are;
    attempts, connects: when each connection was begun, and made, until all are back.
    """

    cause: str
    at_s: float
    expected: int
    attempts: list[float] = field(default_factory=list)
    connects: list[float] = field(default_factory=list)
    back: set[str] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        return len(self.back) >= self.expected

    @property
    def ratio(self) -> float:
        peak, mean = per_second(self.connects)
        return peak / mean if mean else 0.0

    def document(self) -> dict[str, Any]:
        peak, mean = per_second(self.connects)
        return {
            "cause": self.cause,
            "back": len(self.back),
            "connects": len(self.connects),
            "attempts": len(self.attempts),
            "attempts_peak_per_s": per_second(self.attempts)[0],
            "peak_per_s": peak,
            "mean_per_s": round(mean, 1),
            "ratio": round(self.ratio, 2),
            "span_s": round(max(self.connects) - min(self.connects), 2) if self.connects else 0.0,
            "all_back_after_s": round(max(self.connects) - self.at_s, 2) if self.is_over else None,
        }


class Ledger:
    """Times are in seconds, of any one clock. terminals: how many there are.

    redelivered: copies that the acquirer dropped; replayed: copies of orders and answers that terminals dropped; refused: what else either
    of them refused; given_up: what terminals themselves say that they will never send, or were still to send at the end; troubles: lines
    that no good run has.
    """

    def __init__(self, terminals: int) -> None:
        self._terminals = terminals
        self._handed: dict[Name, float] = {}
        self._acknowledged: set[Name] = set()
        self._wills: set[Name] = set()
        self._kept: Counter[Name] = Counter()
        self._missing: set[Name] = set()  # acknowledged by the broker, and not kept yet
        self._latencies_ms: list[float] = []
        self._made: Counter[str] = Counter()
        self._reports_kept: Counter[str] = Counter()
        self.waves: list[Wave] = []
        self.refused = 0
        self.redelivered = 0
        self.replayed = 0
        self.given_up = 0
        self.troubles: list[str] = []

    # What a terminal does.

    def handed(self, name: Name, at_s: float) -> None:
        """It gave a message to its link; one that is sent again counts from the first time."""
        self._handed.setdefault(name, at_s)

    def acknowledged(self, name: Name) -> None:
        """The broker has taken it."""
        self._acknowledged.add(name)
        if name not in self._kept:
            self._missing.add(name)

    def will(self, name: Name) -> None:
        """It left a last will with the broker, which publishes that or does not."""
        self._wills.add(name)

    def made(self, terminal: str) -> None:
        """It has ended a self-test, and queued the report of it."""
        self._made[terminal] += 1

    def trouble(self, line: str) -> None:
        if len(self.troubles) < MOST_TROUBLES:
            self.troubles.append(line)

    # What the acquirer's store has.

    def kept(self, name: Name, kind: str, at_s: float) -> None:
        """It was seen in the store, once for each time that it is there."""
        self._kept[name] += 1
        self._missing.discard(name)
        if self._kept[name] == 1 and name in self._handed:
            self._latencies_ms.append(1000 * (at_s - self._handed[name]))
        if kind == REPORT:
            self._reports_kept[name[0]] += 1

    # Connections.

    def broke(self, cause: str, at_s: float) -> None:
        """All connections are lost, or are about to be."""
        self.waves.append(Wave(cause, at_s, self._terminals))

    def attempted(self, at_s: float) -> None:
        if self.waves and not self.waves[-1].is_over:
            self.waves[-1].attempts.append(at_s)

    def connected(self, terminal: str, at_s: float) -> None:
        if self.waves and not self.waves[-1].is_over:
            self.waves[-1].connects.append(at_s)
            self.waves[-1].back.add(terminal)

    # What follows from that.

    @property
    def published(self) -> int:
        """Messages that the broker has acknowledged, or that arrived without that: each once, however often it was sent."""
        return len(self._acknowledged | self._arrived)

    @property
    def delivered(self) -> int:
        """Those that are in the store."""
        return len(self._arrived)

    @property
    def verified(self) -> int:
        """What is in the store, which is there by its signature only: with last wills."""
        return self._kept.total()

    @property
    def wills(self) -> int:
        return sum(1 for name in self._kept if name in self._wills and name not in self._handed)

    @property
    def underway(self) -> int:
        """Messages, and reports that were made, of which the store has nothing yet."""
        return max(len(self._missing), self._reports_missing)

    @property
    def lost(self) -> int:
        return self.underway + self.given_up

    @property
    def duplicated(self) -> int:
        """Messages that are in the store more than once, and reports that were told under more than one name."""
        return sum(times - 1 for times in self._kept.values()) + (self._reports_kept - self._made).total()

    @property
    def strange(self) -> int:
        """What is in the store, and no terminal of the fleet has said."""
        return sum(1 for name in self._kept if name not in self._handed and name not in self._wills)

    @property
    def reports(self) -> dict[str, int]:
        return {"made": self._made.total(), "delivered": self._reports_kept.total()}

    @property
    def holds(self) -> bool:
        """Whether all that was said is in the store, exactly once, and nothing else; and all that broke away are back."""
        is_back = all(wave.is_over for wave in self.waves[-1:])
        bad = (self.lost, self.duplicated, self.refused, self.strange, len(self.troubles))
        return not any(bad) and is_back and self.published > 0

    def document(self) -> dict[str, Any]:
        waves = sorted(self.waves, key=lambda wave: wave.ratio, reverse=True)
        return {
            "published": self.published,
            "delivered": self.delivered,
            "verified": self.verified,
            "refused": self.refused,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "redelivered": self.redelivered,
            "replayed": self.replayed,
            "wills": self.wills,
            "strange": self.strange,
            "reports": self.reports,
            "latency_ms": latency(self._latencies_ms),
            "reconnect": waves[0].document() if waves else None,
            "waves": [wave.document() for wave in self.waves],
            "troubles": self.troubles,
        }

    @property
    def _arrived(self) -> set[Name]:
        return self._handed.keys() & self._kept.keys()

    @property
    def _reports_missing(self) -> int:
        return (self._made - self._reports_kept).total()


def per_second(times: Sequence[float]) -> tuple[int, float]:
    """Peak and mean of what happened in a second: seconds are counted from the first of them, and the one in which the last happened is a
    whole one, too. So the mean is rather too low than too high.
    """
    if not times:
        return 0, 0.0
    first = min(times)
    buckets = Counter(math.floor(at - first) for at in times)
    return max(buckets.values()), len(times) / (max(buckets) + 1)


def latency(values_ms: Sequence[float]) -> dict[str, int] | None:
    """By nearest rank; None for no values."""
    ordered = sorted(values_ms)
    if not ordered:
        return None
    shares = {word: round(ordered[math.ceil(len(ordered) * percent / 100) - 1]) for word, percent in SHARES.items()}
    return shares | {"max": round(ordered[-1])}
