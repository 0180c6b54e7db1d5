"""Runs under MicroPython: a link that a test commands by JSON lines on standard input, and that answers on standard output."""

import asyncio
import binascii
import json
import sys
import time

from firmware_agent.links.link import LinkError, LinkSettings, Tls
from firmware_agent.links.mqtt_stream import MqttStreamLink
from hal.drivers.system_clock import SystemClock


class Rtc:
    """As machine.RTC; nothing here asks for the date."""

    def datetime(self):
        return (2026, 1, 1, 3, 0, 0, 0, 0)


class AgentSide:
    def __init__(self):
        self.clock = SystemClock(time, Rtc(), asyncio.sleep_ms)
        self.link = None
        self.messages = []
        self.tasks = {}
        self.turns = 0
        self.tenths_with_turns = set()

    async def build(self, host, port, client_id, keepalive_s, authority, certificate, private_key, server_name):
        tls = None
        if authority:
            unhex = binascii.unhexlify
            tls = Tls(unhex(authority), unhex(certificate), unhex(private_key), server_name)
        self.link = MqttStreamLink(LinkSettings(host, port, client_id, keepalive_s, tls), self.clock)

    async def connect(self, timeout_ms, will):
        if will is not None:
            will = (will[0], binascii.unhexlify(will[1]), will[2])
        return await self.link.connect(timeout_ms, will)

    async def subscribe(self, topic, timeout_ms):
        await self.link.subscribe(topic, timeout_ms)

    async def publish(self, topic, payload, retain, timeout_ms):
        await self.link.publish(topic, binascii.unhexlify(payload), retain, timeout_ms)

    async def receive(self):
        message = await self.link.receive()
        self.messages.append(message)
        payload = binascii.hexlify(message.payload).decode()
        message.payload = b""  # what is left is for acknowledge, and small
        return [message.topic, payload, message.retained, message.duplicate, len(self.messages) - 1]

    async def acknowledge(self, number):
        await self.link.acknowledge(self.messages[number])

    async def disconnect(self):
        await self.link.disconnect()

    async def connected(self):
        return self.link.connected

    async def holding(self):
        return self.link._holding and not self.link._inbox.has_room

    async def turns_while_connecting(self, timeout_ms):
        """How connect ended; how often a task that asks for 10 ms got its turn meanwhile; in how many tenths of a second it got none."""
        began_ms = self.clock.monotonic_ms()
        ticker = asyncio.create_task(self.tick())
        code = "connected"
        try:
            await self.link.connect(timeout_ms)
        except LinkError as error:
            code = error.code
        ticker.cancel()
        tenths = range(began_ms // 100 + 1, self.clock.monotonic_ms() // 100)  # whole ones
        return [code, self.turns, len([tenth for tenth in tenths if tenth not in self.tenths_with_turns])]

    async def tick(self):
        while True:
            await self.clock.sleep_ms(10)
            self.turns += 1
            self.tenths_with_turns.add(self.clock.monotonic_ms() // 100)

    async def answer(self, number, call, arguments):
        reply = {"id": number}
        try:
            reply["result"] = await getattr(self, call)(*arguments)
        except LinkError as error:
            reply["error"] = [error.code, error.detail, error.cause]
        print(json.dumps(reply))
        del self.tasks[number]  # a task that has ended keeps what it worked with

    async def run(self):
        commands = asyncio.StreamReader(sys.stdin.buffer)
        while True:
            line = await commands.readline()
            if not line:
                return
            command = json.loads(line)
            if command["call"] == "cancel":
                if command["id"] in self.tasks:
                    self.tasks.pop(command["id"]).cancel()
            else:
                self.tasks[command["id"]] = asyncio.create_task(self.answer(command["id"], command["call"], command["arguments"]))


asyncio.run(AgentSide().run())
