"""The stream link on simulated time: neither side is silent for longer than the keepalive allows, and a silence is found in time."""

import asyncio

from firmware_agent.links import mqtt_stream
from firmware_agent.links.link import LinkError, LinkSettings
from firmware_agent.links.mqtt_stream import MqttStreamLink
from tests.core.parts import Time, clock
from tests.core.support import raises_in

KEEPALIVE_S = 30
BORNE_MS = 1500 * KEEPALIVE_S  # one and a half times the keepalive: MQTT 3.1.1, section 3.1.2.10
CONNACK = b"\x20\x02\x00\x00"
PINGRESP = b"\xd0\x00"
PUBLICATION = b"\x30\x04\x00\x01tx"  # at quality of service 0
PINGREQ = 0xC0
CONNECT = 0x10


class Wire:
    """A broker behind the calls of firmware_agent.compat.tcp. written: (at_ms, first byte) of each packet of the terminal."""

    ResolveError = OSError

    def __init__(self, time):
        self.time = time
        self.written = []
        self.is_silent = False
        self._incoming = bytearray()
        self._came = asyncio.Event()
        self.keepalive_s = 0

    def is_tls_error(self, error):
        return False

    def tls_cause(self, error):
        return ""

    async def open_socket(self, clock, host, port):
        return None

    async def open_stream(self, clock, connection, tls):
        return self

    def bring(self, data):
        self._incoming.extend(data)
        self._came.set()

    async def write(self, data):
        self.written.append((self.time.now_ms, data[0]))
        if data[0] == CONNECT:
            self.keepalive_s = data[10] << 8 | data[11]  # behind the header of 2 bytes, the protocol's name and level, and the flags
            self.bring(CONNACK)
        elif data[0] == PINGREQ and not self.is_silent:
            self.bring(PINGRESP)

    async def readinto(self, view):
        while not self._incoming:
            self._came.clear()
            await self._came.wait()
        length = min(len(view), len(self._incoming))
        view[:length] = self._incoming[:length]
        self._incoming = self._incoming[length:]
        return length

    def close(self):
        self.bring(b"")


def play(program):
    """Run program(time, wire, link) with the link connected through the wire."""
    time = Time()
    wire = Wire(time)
    before = mqtt_stream.tcp
    mqtt_stream.tcp = wire

    async def run():
        link = MqttStreamLink(LinkSettings("127.0.0.1", 1883, "T1", KEEPALIVE_S), clock(time))
        await link.connect(1000)
        await program(time, wire, link)
        await link.disconnect()

    try:
        time.run(run())
    finally:
        mqtt_stream.tcp = before


def longest_gap_ms(times):
    return max([later - earlier for earlier, later in zip(times, times[1:])])


def test_the_broker_is_told_the_keepalive_and_never_waits_longer_for_a_sign():
    async def program(time, wire, link):
        await time.sleep_ms(20 * BORNE_MS)
        assert link.connected and wire.keepalive_s == KEEPALIVE_S
        times = [at_ms for at_ms, _ in wire.written] + [time.now_ms]
        assert longest_gap_ms(times) <= 1000 * KEEPALIVE_S

    play(program)


def test_a_terminal_that_only_hears_says_something_all_the_same():
    async def program(time, wire, link):
        for _ in range(100):
            await time.sleep_ms(5000)
            wire.bring(PUBLICATION)
            assert (await link.receive()).payload == b"x"
        assert link.connected
        assert longest_gap_ms([at_ms for at_ms, _ in wire.written]) <= 1000 * KEEPALIVE_S

    play(program)


def test_the_silence_of_the_broker_is_found_whenever_it_begins():
    for begins_ms in range(0, 3 * 1000 * KEEPALIVE_S, 3700):

        async def program(time, wire, link, begins_ms=begins_ms):
            await time.sleep_ms(begins_ms)
            wire.is_silent = True
            silent_ms = time.now_ms
            error = await raises_in(LinkError, link.receive())
            assert error.code == "E_OFFLINE" and not link.connected
            assert time.now_ms - silent_ms <= BORNE_MS

        play(program)


def test_it_is_found_too_by_a_terminal_that_goes_on_talking():
    async def program(time, wire, link):
        wire.is_silent = True

        async def talk():
            while link.connected:
                try:
                    await link.publish("t", b"x", False, 10 * BORNE_MS)
                except LinkError:
                    pass

        talking = asyncio.create_task(talk())
        await raises_in(LinkError, link.receive())
        assert time.now_ms <= BORNE_MS
        await talking

    play(program)


def test_a_broker_that_is_slow_but_answers_is_kept():
    async def program(time, wire, link):
        wire.is_silent = True
        for _ in range(20):
            pings = len(wire.written)
            while len(wire.written) == pings:
                await time.sleep_ms(100)
            await time.sleep_ms(9000)  # less than a third of the keepalive
            wire.bring(PINGRESP)
        assert link.connected

    play(program)
