"""What arrives twice does nothing twice: retained by the broker, delivered again, or replayed; and a flood of it fills nothing."""

import asyncio

from firmware_agent.agent import Agent
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.refusals import RECEIPTS, SUM_MS
from firmware_agent.messages.schema import Claims, kind_named, topic
from firmware_agent.state.machine import IN_SERVICE, SUSPENDED, FunctionTestPassed
from hal.drivers.software_key import SoftwareKey
from tests.core.parts import NOW_S, Flash, QuickCurve, Time, enabled
from tests.core.terminal_parts import ACQUIRER, TERMINAL, boot, provisioned

ORDER = topic(ACQUIRER, TERMINAL, "order")


class Aside:
    """In the place of what else an arriving message concerns: nothing is asked of it here."""

    asked = b""

    def refusal(self, is_fresh):
        return ""

    def writes(self, claims):
        return []

    async def written(self, claims):
        pass


class Arriving:
    """A message as a link gives it."""

    def __init__(self, payload, retained=False, duplicate=False):
        self.topic = ORDER
        self.payload = payload
        self.retained = retained
        self.duplicate = duplicate


class Scene:
    """A terminal in service, and the key of its acquirer."""

    def __init__(self):
        self.element = enabled(SoftwareKey(Flash(), QuickCurve()))
        self.key = asyncio.run(self.element.generate_key(0))
        self.flash = Flash()
        provisioned(self.flash, [self.key])
        self.time = Time()
        self.wake()
        for test in ("print", "scan", "pay"):
            self.terminal.apply([FunctionTestPassed(test)])
        assert self.terminal.state.mode == IN_SERVICE

    def wake(self):
        self.terminal = boot(self.flash, self.time)
        self.agent = Agent(self.terminal.hal, None, self.terminal.lines.append, None, None)

    def order(self, sequence, action, reason="violation"):
        claims = Claims(kind_named("order"), TERMINAL, sequence, {"action": action, "reason": reason}, ACQUIRER, NOW_S, NOW_S + 86400)
        return asyncio.run(sign(self.element, 0, key_id(self.key), encode(claims.to_map()), ORDER))

    def bring(self, message):
        aside = Aside()
        asyncio.run(self.agent._arrived(self.terminal, aside, aside, aside, aside, message))

    def receipts(self):
        """(result or refusal, sequence, highest) of each that waits."""
        messages = [self.terminal.outbox.message(key) for key in self.terminal.outbox.waiting()]
        receipts = [message for message in messages if message.kind.name == "receipt"]
        return [(body.text("refusal") or body.text("result"), body.number("sequence"), body.number("highest")) for body in receipts]


def test_an_order_that_is_retained_and_comes_with_each_connection_is_done_once():
    scene = Scene()
    suspend, lift = scene.order(5, "suspend"), scene.order(6, "lift")
    scene.bring(Arriving(suspend, retained=True))
    assert scene.terminal.state.mode == SUSPENDED
    scene.bring(Arriving(lift))
    lifted = scene.terminal.state.to_list()
    assert not scene.terminal.state.reasons
    for _ in range(3):
        scene.bring(Arriving(suspend, retained=True))
        scene.bring(Arriving(suspend, duplicate=True))
    assert scene.terminal.state.to_list() == lifted
    assert scene.receipts() == [("SUCC", 5, 5), ("SUCC", 6, 6)] + [("replayed", 5, 6)] * 6


def test_nor_is_it_done_again_after_a_boot():
    scene = Scene()
    suspend = scene.order(5, "suspend")
    scene.bring(Arriving(suspend, retained=True))
    scene.bring(Arriving(scene.order(6, "lift")))
    scene.wake()
    scene.bring(Arriving(suspend, retained=True))
    assert not scene.terminal.state.reasons and scene.receipts()[-1] == ("replayed", 5, 6)


def test_a_flood_of_what_was_overheard_is_summed_up_and_a_new_order_has_its_receipt():
    scene = Scene()
    suspend = scene.order(5, "suspend")
    for _ in range(100):
        scene.bring(Arriving(suspend))
    scene.bring(Arriving(scene.order(6, "lift")))
    told = scene.receipts()
    assert told[0] == ("SUCC", 5, 5) and told[-1] == ("SUCC", 6, 6)
    assert told[1:-1] == [("replayed", 5, 5)] * RECEIPTS
    assert len([line for line in scene.terminal.lines if line.startswith("refused: replayed")]) == 99
    scene.time.now_ms += SUM_MS
    assert scene.terminal.refusals.sums() == [("replayed", 99 - RECEIPTS)]


def test_a_flood_of_forgeries_leaves_the_acquirers_orders_their_receipts():
    scene = Scene()
    good = scene.order(7, "suspend")
    forged = good[:-1] + bytes([good[-1] ^ 1])
    for _ in range(100):
        scene.bring(Arriving(forged))
    scene.bring(Arriving(scene.order(3, "suspend")))
    scene.bring(Arriving(scene.order(3, "suspend")))
    told = scene.receipts()
    assert told == [("bad_signature", 0, 0)] * RECEIPTS + [("SUCC", 3, 3), ("replayed", 3, 3)]
    assert scene.terminal.outbox.dropped == 0
