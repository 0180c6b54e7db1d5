"""What is awaited of a shop's terminal: one method for each verb of a scenario that begins with `expect_`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from firmware_agent.flows.menu.device_flow import EXPORT_BEGINS, EXPORT_ENDS
from firmware_agent.records.console_export import EVIDENCE
from firmware_agent.selftest.report import from_list
from firmware_agent.state.machine import LEVEL_SUPERIOR
from firmware_agent.state.reasons import Reason
from host_sim.evidence_package import exports_of, verify_package
from host_sim.scenarios.looking import Onlooker, StepFailed, squeezed
from host_sim.scenarios.scenario import Step
from host_sim.verify import Key
from host_sim.world import Shop


class Expectations:
    """pictures: the folder where what was seen is put as PNG, or None. screens: name and lines of each page that was seen."""

    def __init__(self, shop: Shop, pictures: Path | None = None) -> None:
        self._shop = shop
        self._onlooker = Onlooker(shop)
        self._pictures = pictures
        self.screens: list[tuple[str, list[str]]] = []

    async def wait_for(self, step: Step) -> None:
        """Wait for what a step expects. Raises StepFailed: it did not come; TerminalFailure: the terminal ended by itself."""
        expectation: Callable[[Any], Awaitable[None]] = getattr(self, step.verb)
        await expectation(step.argument)

    async def expect_page(self, name: str) -> None:
        self._seen(name, await self._onlooker.until_page(name))

    async def expect_text(self, key: str) -> None:
        self._seen(key, await self._onlooker.until_text(key))

    def _seen(self, name: str, screen: list[str]) -> None:
        self.screens.append((name, screen))
        self._shop.tell("display", " | ".join(screen[:3]))
        if self._pictures is not None:
            display: Any = self._shop.terminal.chips["display"]
            display.picture().save(self._picture(f"{name}.png"))

    def _picture(self, name: str) -> Path:
        assert self._pictures is not None
        self._pictures.mkdir(parents=True, exist_ok=True)
        return self._pictures / f"{len(self.screens):02}-{name}"

    async def expect_slip(self, key: str) -> None:
        wanted = self._onlooker.text(key)
        await self._onlooker.until(
            lambda: squeezed(wanted) in squeezed("".join(self._onlooker.slip())),
            lambda: f"the slip does not say {wanted!r} but {self._onlooker.slip()}",
        )
        self._shop.tell("printer", " | ".join(self._onlooker.slip()))
        if self._pictures is not None:
            printer: Any = self._shop.terminal.chips["printer"]
            printer.last_slip().picture().save(self._picture("slip.png"))

    async def expect_export(self, form: str) -> None:
        """The last export on the console is whole, and what a reader of its form takes."""
        text = ""

        def is_whole() -> bool:
            nonlocal text
            text = export_of(self._shop.terminal.lines, form)
            return bool(text)

        await self._onlooker.until(is_whole, lambda: f"no export {form} on the console")
        try:
            told = json.loads(text)["plan"] if form == "JSON" else ElementTree.fromstring(text)[0].get("name", "")
        except (ValueError, KeyError, IndexError, ElementTree.ParseError) as error:
            raise StepFailed(f"the export is no {form}: {error!r}") from error
        self._shop.tell("console", f"export {form}: {told}")
        if self._pictures is not None:
            self._picture(f"selftest.{'json' if form == 'JSON' else 'xml'}").write_text(text, encoding="utf-8")

    async def expect_record(self, what: str) -> None:
        """The last export of a record on the console has come to its end; an evidence package is verified by the terminal's public key."""

        def lines() -> list[str]:
            return (exports_of(self._shop.terminal.lines, what) or [[]])[-1]

        await self._onlooker.until(lambda: bool(lines()), lambda: f"no export {what} on the console")
        told = f"{len(lines())} lines"
        if what == EVIDENCE:
            keys = [Key(self._shop.account.public_key, "registry", self._shop.name)]
            evidence = await asyncio.to_thread(verify_package, "\n".join(lines()), keys)
            if not evidence.is_whole:
                raise StepFailed(f"the evidence package: {evidence.problem or 'says itself that it is not whole'}")
            told = f"{len(evidence.entries)} entries, verified"
        self._shop.tell("console", f"export {what}: {told}")

    async def expect_summary(self, reason: str) -> None:
        def told() -> list[list[str]]:
            return [[Reason.from_told(values).code for values in body["reasons"]] for body in self._shop.account.summaries]

        await self._onlooker.until(lambda: reason in (told() or [[]])[-1], lambda: f"verified summaries tell of: {told()}")
        if not self._shop.account.summaries[-1]["whole"]:
            raise StepFailed("the summary says that its log has gaps")

    async def expect_event(self, name: str) -> None:
        def names() -> list[str]:
            return [event["name"] for event in self._shop.account.events]

        await self._onlooker.until(lambda: name in names()[-1:], lambda: f"verified events: {names()}")

    async def expect_state(self, mode: str) -> None:
        await self._onlooker.until_mode(mode)

    async def expect_online(self, answer: str) -> None:
        await self._onlooker.until(lambda: self._shop.account.online == (answer == "yes"), lambda: f"online is {self._shop.account.online}")

    async def expect_report(self, argument: dict[str, str]) -> None:
        def results() -> dict[str, str]:
            told = [from_list(values) for report in self._shop.account.reports[-1:] for values in report["results"]]
            return {result.phase: result.outcome for result in told}

        await self._onlooker.until(
            lambda: results().get(argument["device"]) == argument["outcome"], lambda: f"the last verified report says {results()}"
        )

    async def expect_test(self, argument: dict[str, str]) -> None:
        def outcomes() -> list[str]:
            return [test["outcome"] for test in self._shop.account.tests if test["name"] == argument["name"]]

        await self._onlooker.until(lambda: argument["outcome"] in outcomes()[-1:], lambda: f"verified outcomes: {outcomes()}")

    async def expect_application(self, purpose: str) -> None:
        await self._onlooker.until(
            lambda: purpose in [purpose_of(item) for item in self._shop.account.applications],
            lambda: f"applications: {[purpose_of(item) for item in self._shop.account.applications]}",
        )

    async def expect_no_money(self, _: str) -> None:
        """The terminal made test sales at the payment host, and every one of them is reversed."""
        host = self._shop.payment_host
        await self._onlooker.until(
            lambda: bool(host.sales) and not host.objections(), lambda: f"sales: {len(host.sales)}; {host.objections()}"
        )
        self._shop.tell("payment", f"payment host: {len(host.sales)} test sales, all reversed; money moved: {host.money}")

    async def expect_new_key(self, _: str) -> None:
        await self._onlooker.until(
            lambda: self._shop.account.public_key != self._shop.first_public_key, lambda: "no message was signed by a new key"
        )


def purpose_of(application: dict[str, Any]) -> str:
    """As a scenario names it: an appeal to the superior has a name of its own."""
    return "superior" if application.get("level") == LEVEL_SUPERIOR else str(application["purpose"])


def export_of(lines: list[str], form: str) -> str:
    """The text of the last export of that form among a console's lines; '' where there is none that has come to its end."""
    ends = [number for number, line in enumerate(lines) if line == EXPORT_ENDS + form]
    begins = [number for number, line in enumerate(lines) if line == EXPORT_BEGINS + form and ends and number < ends[-1]]
    return "\n".join(lines[begins[-1] + 1 : ends[-1]]) + "\n" if begins else ""
