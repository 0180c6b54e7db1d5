"""Pacing: a broker that comes back is not stormed by what its terminals queued meanwhile, and nobody waits who need not."""

from firmware_agent.links.link import LinkError
from firmware_agent.messages.courier import (
    BACK_OFF_MAX_MS,
    BURST,
    FIRST_BURST,
    GOOD_CONNECTION_MS,
    HOLD_MAX_MS,
    HOLD_PART,
    IDLE_MS,
    RETURN_MS,
    TOKEN_MS,
)
from tests.core.terminal_parts import identity
from tests.core.test_courier import Scene

ORDINARY = ("test", {"name": "print", "outcome": "pass"})
RECEIPT = ("receipt", {"of": bytes(16), "result": "SUCC", "highest": 1})
CRITICAL = ("event", {"name": "sign_on_refused"})
AWAY_MS = 3600000


class Paced(Scene):
    """drawn: what each spread draws, as a part of it: 0 the least, 1 the most."""

    def __init__(self, drawn=0):
        super().__init__()
        self.sent = []  # (at_ms, kind, sequence)
        self.broker.heard = lambda claims: self.sent.append((self.time.now_ms, claims.kind.name, claims.sequence))
        self.broker.publish_ms = 0
        self.drawn(drawn)

    def drawn(self, part):
        async def random(below):
            return int(part * below)

        self.courier._random = random

    def queue(self, *messages):
        for kind, body in messages:
            self.terminal.send(kind, body)

    async def away(self, duration_ms):
        """A good connection, and then none for so long."""
        await self.for_ms(GOOD_CONNECTION_MS + 1000)
        self.sent.clear()
        self.broker.connect_error = LinkError("E_OFFLINE", "nobody listens")
        self.broker.lose()
        await self.for_ms(duration_ms)
        self.broker.connect_error = None

    async def online(self):
        while not self.terminal.online:
            await self.for_ms(10)
        return self.courier._online_since_ms

    def times_of(self, *kinds):
        return [at_ms for at_ms, kind, _ in self.sent if kind in kinds]

    def kinds(self):
        return [kind for _, kind, _ in self.sent]

    def is_in_order(self, *kinds):
        sequences = [sequence for _, kind, sequence in self.sent if kind in kinds]
        return sequences == sorted(sequences)


def test_after_an_outage_what_was_queued_is_held_back_and_then_goes_by_and_by():
    scene = Paced(drawn=1)
    begun = []

    async def program():
        await scene.away(AWAY_MS)
        scene.queue(*[ORDINARY] * 30)
        begun.append(await scene.online())
        await scene.for_ms(HOLD_MAX_MS + 30 * TOKEN_MS)

    scene.play(program())
    times = scene.times_of("test")
    assert len(times) == 30 and scene.is_in_order("test")
    assert times[0] - begun[0] >= HOLD_MAX_MS
    for number, at_ms in enumerate(times):
        assert number < FIRST_BURST or at_ms - times[0] >= (number - FIRST_BURST + 1) * TOKEN_MS - 2 * IDLE_MS
    assert times[-1] - times[0] <= 30 * TOKEN_MS
    assert scene.times_of("state")[0] - begun[0] <= 100


def test_a_held_connection_has_no_more_tokens_than_a_full_bucket():
    scene = Paced(drawn=0)

    async def program():
        await scene.away(AWAY_MS)
        scene.queue(*[ORDINARY] * 30)
        await scene.online()
        await scene.for_ms(500)

    scene.play(program())
    assert len(scene.times_of("test")) == FIRST_BURST - 1 or len(scene.times_of("test")) == FIRST_BURST


def test_the_hold_is_a_part_of_the_time_away():
    found = []
    for away_ms in (2000, 20000, AWAY_MS):
        scene = Paced(drawn=1)

        async def program(scene=scene, away_ms=away_ms):
            await scene.away(away_ms)
            scene.queue(ORDINARY)
            begun_ms = await scene.online()
            await scene.for_ms(HOLD_MAX_MS + 1000)
            found.append((scene.times_of("test")[0] - begun_ms, begun_ms - scene.broker.at("lost")[-1]))

        scene.play(program())
    for held_ms, gone_ms in found:
        assert held_ms <= min(gone_ms // HOLD_PART, HOLD_MAX_MS) + 200
    assert found[0][0] < 2500 and found[2][0] >= HOLD_MAX_MS


def test_the_first_connection_of_a_boot_tells_at_once_what_a_boot_has_to_tell():
    scene = Paced(drawn=1)
    scene.queue(*[ORDINARY] * (FIRST_BURST - 1))

    async def program():
        begun_ms = await scene.online()
        await scene.for_ms(100)
        assert scene.kinds() == ["test"] * (FIRST_BURST - 1) + ["state"]
        assert scene.sent[-1][0] == begun_ms  # nothing waited

    scene.play(program())


def test_ordinary_work_is_not_slowed_and_keeps_the_order_of_all():
    scene = Paced(drawn=1)

    async def program():
        await scene.for_ms(60000)
        scene.sent.clear()
        scene.queue(*[ORDINARY, RECEIPT, CRITICAL, ORDINARY] * (BURST // 4))
        begun_ms = scene.time.now_ms
        await scene.for_ms(1000)
        assert scene.times_of("test")[-1] - begun_ms <= 200

    scene.play(program())
    # The repeated critical events wait, to be told together.
    assert scene.kinds()[:4] == ["test", "receipt", "event", "test"] and scene.is_in_order("test", "receipt", "event")
    assert len(scene.times_of("test")) == BURST // 2


def test_who_is_waited_for_overtakes_what_is_held_back_and_each_keeps_its_order():
    scene = Paced(drawn=1)

    async def program():
        await scene.away(AWAY_MS)
        scene.queue(*[ORDINARY] * 10)
        scene.queue(CRITICAL, RECEIPT)
        await scene.online()
        for _ in range(5):
            await scene.for_ms(1000)
            scene.queue(RECEIPT)
        await scene.for_ms(500)
        assert scene.kinds() == ["event", "receipt", "state"] + ["receipt"] * 5
        await scene.for_ms(HOLD_MAX_MS + 10000)

    scene.play(program())
    assert len(scene.times_of("test")) == 10
    assert scene.is_in_order("test") and scene.is_in_order("state", "receipt", "event")


def test_an_inquiry_is_not_held_back():
    scene = Paced(drawn=1)

    async def program():
        await scene.away(AWAY_MS)
        scene.queue(*[ORDINARY] * 30)
        await scene.online()
        await scene.for_ms(100)
        sent_ms = await scene.courier.inquire(b"12345678", 1000)
        assert scene.time.now_ms == sent_ms and scene.kinds() == ["state", "inquiry"]

    scene.play(program())


def test_to_be_thrown_out_again_and_again_gains_no_tokens():
    scene = Paced(drawn=0)
    scene.queue(*[ORDINARY] * 60)
    scene.broker.keeps_ms = 150
    scene.courier._tokens.spill(0)

    async def program():
        await scene.for_ms(30000)

    scene.play(program())
    assert len(scene.broker.links) >= 5
    assert len(scene.times_of("test")) <= 30000 // TOKEN_MS


def test_new_keys_are_not_kept_waiting_by_what_is_held_back():
    scene = Paced(drawn=1)
    new = identity()
    new.certificate = b"new certificate"

    async def program():
        await scene.away(AWAY_MS)
        scene.queue(*[ORDINARY] * 30)
        await scene.online()
        await scene.for_ms(1000)
        links = len(scene.broker.links)
        scene.terminal.identity = new
        scene.courier.renew()
        await scene.for_ms(1000)
        assert [link.certificate for link in scene.broker.links[links:]] == [b"new certificate"]
        await scene.for_ms(HOLD_MAX_MS + 40000)

    scene.play(program())
    assert len(scene.times_of("test")) == 30 and scene.terminal.outbox.dropped == 0


def test_a_return_is_spread_over_more_than_a_broker_needs_to_restart():
    """All terminals lose a broker that restarts at the same moment."""
    pauses = []
    for part in (0, 0.5, 1):
        scene = Paced(drawn=part)

        async def program(scene=scene):
            await scene.for_ms(GOOD_CONNECTION_MS + 1000)
            scene.broker.lose()
            lost_ms = scene.time.now_ms
            await scene.for_ms(BACK_OFF_MAX_MS)
            pauses.append(scene.broker.at("connect")[1] - lost_ms)

        scene.play(program())
    assert pauses[0] <= 700 and pauses[2] - pauses[0] >= RETURN_MS and pauses[0] < pauses[1] < pauses[2]
