"""A message that goes to a terminal has the verdict of its first receipt; what else the terminal says about it is listed."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

from firmware_agent.messages.schema import Claims, kind_named
from host_sim.desktop.traffic import SENT, Passed, Traffic, WatchedBackend

TERMINAL = "T0000001"


class Line:
    """Messages of a terminal at an acquirer that is connected. told: numbers and verdicts, as pages get them."""

    def __init__(self, backend: WatchedBackend) -> None:
        self.told: list[tuple[int, str]] = []
        self.backend = backend
        self.traffic = backend.traffic = Traffic(backend, self._told)
        self.messages = self.traffic.watch(TERMINAL, tuple)
        self._receipts = 0

    def _told(self, terminal: str, passed: Passed) -> None:
        self.told.append((passed.number, passed.verdict))

    async def order(self, sequence: int) -> tuple[str, bytes]:
        fields = {"action": "message", "text": "x"}
        return await self.backend.acquirer.signed("order", TERMINAL, fields, sequence=sequence)

    def receipt(self, message: bytes, refusal: str = "") -> None:
        """The acquirer has verified one."""
        body: dict[str, Any] = {"of": sha256(message).digest()[:16], "result": "SIGE" if refusal else "SUCC", "highest": 1}
        if refusal:
            body["refusal"] = refusal
        self._receipts += 1
        claims = Claims(kind_named("receipt"), TERMINAL, self._receipts, body)
        topic = f"poi/v1/acq1/{TERMINAL}/receipt"
        passed = Passed(self.messages.number(), 0, "up", topic, b"receipt", claims, SENT, "", "")
        self.messages.add(passed)
        self.traffic.judged(TERMINAL, passed, "")

    def lines(self) -> list[tuple[str, list[str]]]:
        """Verdict and receipts of each message down, the oldest first."""
        down = [passed for passed in self.messages if passed.direction == "down"]
        return [(passed.verdict, [receipt.get("refusal", "") for receipt in passed.receipts]) for passed in down]


def on_a_line(folder: Path, work: Any) -> Any:
    async def run() -> Any:
        backend = WatchedBackend(folder, "embedded", lambda who, line: None)
        backend.traffic = Traffic(backend, lambda terminal, passed: None)
        async with backend.running():
            return await work(Line(backend))

    return asyncio.run(run())


def test_a_second_receipt_does_not_change_the_verdict_and_is_listed(tmp_path: Path) -> None:
    """The acquirer sends again what has no receipt yet: that is one message, which the terminal obeys once."""

    async def work(line: Line) -> None:
        topic, message = await line.order(1)
        line.traffic.down(topic, message)
        line.traffic.down(topic, message)
        assert line.lines() == [("sent", [])]
        line.receipt(message)
        assert line.lines() == [("verified", [""])]
        line.receipt(message, "replayed")
        assert line.lines() == [("verified", ["", "replayed"])]
        document = line.messages.numbered(1).document()
        assert (document["verdict"], document["receipt"]["result"], len(document["receipts"])) == ("verified", "SUCC", 2)
        assert {verdict for number, verdict in line.told if number == 1} == {"sent", "verified"}

    on_a_line(tmp_path, work)


def test_what_is_sent_again_after_its_receipt_has_one_of_its_own(tmp_path: Path) -> None:
    async def work(line: Line) -> None:
        topic, message = await line.order(1)
        line.traffic.down(topic, message)
        line.receipt(message)
        line.traffic.down(topic, message)
        line.receipt(message, "replayed")
        assert line.lines() == [("verified", [""]), ("replayed", ["replayed"])]

    on_a_line(tmp_path, work)


def test_a_receipt_for_what_nobody_sent_is_no_verdict(tmp_path: Path) -> None:
    async def work(line: Line) -> None:
        topic, message = await line.order(1)
        line.traffic.down(topic, message)
        line.receipt(b"another message")
        assert line.lines() == [("sent", [])]

    on_a_line(tmp_path, work)


def test_a_terminal_may_be_removed_while_its_receipt_is_judged(tmp_path: Path) -> None:
    """Or the acquirer would hear nobody any more."""

    async def work(line: Line) -> None:
        topic, message = await line.order(1)
        line.traffic.down(topic, message)
        line.traffic.forget(TERMINAL)
        told = list(line.told)
        line.receipt(message)
        assert line.told == told

    on_a_line(tmp_path, work)
