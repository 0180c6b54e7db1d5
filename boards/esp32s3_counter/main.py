"""What runs on the device after boot: the only place that imports machine and network."""

import asyncio
import errno
import os
import time

import machine  # type: ignore[import-not-found]
import network  # type: ignore[import-not-found]

from boards.esp32s3_counter.board import build
from firmware_agent.agent import Agent
from firmware_agent.links.mqtt_stream import MqttStreamLink
from hal.files import Files
from hal.platform import Platform

DATA_FOLDER = "data"


def make_data_folder() -> None:
    try:
        os.mkdir(DATA_FOLDER)
    except OSError as error:
        if error.args[0] != errno.EEXIST:
            raise


async def main() -> None:
    make_data_folder()
    platform = Platform(machine, network, time, asyncio.sleep_ms, Files(DATA_FOLDER))  # type: ignore[attr-defined]
    await Agent(build(platform), MqttStreamLink, print).run()


asyncio.run(main())
