"""Asks the acquirer for the time, once in each boot; and where certificates seem out of date by a clock that nobody vouches for, tries
others until it can ask.
"""

from firmware_agent.links.link import CAUSE_DATE, LinkError
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.links.path import Path
    from firmware_agent.messages.courier import Courier
    from firmware_agent.terminal import Terminal

LOOK_MS = 250
AGAIN_MIN_MS = 10000
AGAIN_MAX_MS = 600000
ATTEMPT_MS = 30000
# A broker's certificate is valid for more than a month, and a terminal lies in a store room for less than five years.
STEP_S = 30 * 86400
STEPS = 61


class Timekeeper:
    """path: puts the question; courier: whose attempts to connect fail for a date."""

    def __init__(self, terminal: "Terminal", courier: "Courier", path: "Path") -> None:
        self._terminal = terminal
        self._courier = courier
        self._path = path

    async def run(self) -> None:
        """Until the acquirer has given the time; then it is the clock's own business."""
        terminal = self._terminal
        clock = terminal.hal.clock
        again_ms = AGAIN_MIN_MS
        has_tried = False
        while not clock.is_signed:
            if terminal.online:
                if await self._ask():
                    break
                await clock.sleep_ms(again_ms)
                again_ms = min(2 * again_ms, AGAIN_MAX_MS)
            elif terminal.link_cause == CAUSE_DATE and not has_tried:
                has_tried = True
                await self._try_times()
            await clock.sleep_ms(LOOK_MS)
        terminal.log("time signed")
        while True:  # for whoever started it would start it anew
            await clock.sleep_ms(AGAIN_MAX_MS)

    async def _ask(self) -> bool:
        """One inquiry. Whether its answer has set the clock; the agent takes it in as it takes any message."""
        terminal = self._terminal
        clock = terminal.hal.clock
        supposed_s = clock.certificate_s()
        try:
            await self._path.inquire()
        except (LinkError, DeviceError) as error:
            terminal.log("time not asked for: %s" % error)
            return False
        if clock.is_signed and abs(clock.wall_s() - supposed_s) > STEP_S:
            self._courier.renew()  # by that time it would not have been let in, perhaps
        return clock.is_signed

    async def _try_times(self) -> None:
        """The floor, and month by month from there, until a connection is made: at one of them the broker's certificate is valid. Then its
        signed answer gives the right time, and by that everything is judged again. Once, without the courier's pauses.
        """
        terminal = self._terminal
        clock = terminal.hal.clock
        for step in range(STEPS):
            terminal.suppose_time(terminal.floor_s + step * STEP_S)
            error = await self._courier.attempt(ATTEMPT_MS)
            if error is None:
                return
            if error.cause != CAUSE_DATE or clock.is_signed:
                break
        terminal.suppose_time(0)
