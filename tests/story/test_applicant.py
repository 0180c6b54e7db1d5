"""Who applies, on a running terminal: the acquirer learns it, the broker and the outbox do not."""

from __future__ import annotations

import pytest

from host_sim.scenarios.scenario import Step
from host_sim.scenarios.story import Player
from host_sim.terminal import RUNTIMES
from host_sim.world import SETTINGS, TERMINAL, Shop
from tests.story.world import heard_by, run_story, until


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_acquirer_alone_learns_who_applies(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        heard, player = heard_by(shop), Player(shop)

        async def do(verb: str, argument: str) -> None:
            await player.do(Step(verb, argument, 0))

        await do("boot", "")
        await do("expect_state", "in_service")
        await shop.acquirer.order(TERMINAL, action="suspend", reason="violation")
        await do("expect_page", "suspended")
        for page in ("reason", "contact", "check", "materials"):
            await do("press", "1")
            await do("expect_page", "recovery." + page)
        for key, page in (("enter", "materials"), ("2", "recovery.application"), ("1", "statement"), ("4", "statement")):
            await do("press", key)
            await do("expect_page", page)
        for key, page in (("enter", "recovery.application"), ("1", "confirm_form")):
            await do("press", key)
            await do("expect_page", page)
        await do("press", "1")
        await until(lambda: bool(shop.account.applications), "the application")
        (application,) = shop.account.applications
        told = shop.acquirer.applicant(TERMINAL, application)
        statement = "What was found has been corrected."
        assert told == {"name": SETTINGS["contact_name"], "telephone": SETTINGS["contact_phone"], "statement": statement}
        everything = b"".join(message.payload for message in heard) + "\n".join(shop.terminal.lines).encode()
        for secret in told.values():
            assert secret.encode() not in everything

    run_story(story, runtime)
