"""Blocking calls beside the event loop: results, errors, and calls that never end."""

from __future__ import annotations

import asyncio
import errno
import threading

import pytest

from hal.drivers.linux.worker import Worker
from tests.linux.support import real_clock


def worker() -> Worker:
    return Worker("test", real_clock())


def test_a_call_gives_its_result_from_another_thread() -> None:
    async def program() -> None:
        device = worker()
        first = await device.call(threading.get_ident, 1000)
        assert first != threading.get_ident()
        assert await device.call(threading.get_ident, 1000) == first
        device.stop()

    asyncio.run(program())


def test_an_error_of_the_call_is_raised_where_it_is_awaited() -> None:
    def broken() -> None:
        raise OSError(errno.ENODEV, "gone")

    async def program() -> None:
        device = worker()
        with pytest.raises(OSError, match="gone"):
            await device.call(broken, 1000)
        assert await device.call(lambda: 5, 1000) == 5
        device.stop()

    asyncio.run(program())


def test_a_call_that_hangs_is_given_up_and_the_next_one_goes_on_beside_it() -> None:
    release = threading.Event()

    async def program() -> None:
        device = worker()
        hung = await device.call(threading.current_thread, 1000)
        with pytest.raises(OSError) as error:
            await device.call(release.wait, 20)
        assert error.value.errno == errno.ETIMEDOUT
        assert await device.call(lambda: "next", 1000) == "next"
        release.set()
        hung.join(10)
        assert not hung.is_alive()
        device.stop()

    asyncio.run(program())


def test_the_event_loop_goes_on_while_a_call_blocks() -> None:
    release = threading.Event()

    async def program() -> None:
        device = worker()
        call = asyncio.create_task(device.call(release.wait, 10000))
        await asyncio.sleep(0)
        release.set()  # by the loop: were it held up, the call would never end
        assert await call
        device.stop()

    asyncio.run(program())


def test_a_cancelled_call_leaves_the_worker_usable() -> None:
    release = threading.Event()

    async def program() -> None:
        device = worker()
        call = asyncio.create_task(device.call(release.wait, 10000))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await device.call(lambda: 1, 1000) == 1
        release.set()
        device.stop()

    asyncio.run(program())
