"""Driver: passive piezo buzzer on a PWM pin. Contract: hal/sounder.py, level 1."""

from hal.device import HEALTH_NOT_RUN, Device, Health
from hal.errors import CH_INTERNAL, E_BUSY, E_ILLEGAL, E_NOHARDWARE, DeviceError
from hal.sounder import CONTRACT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock

_LOWEST_HZ = 100
_HIGHEST_HZ = 10000
_LONGEST_MS = 5000
_SILENT = 0
_LOUDEST = 32768  # of duty_u16: half of each cycle
_CHECK_HZ = 2000
_CHECK_MS = 200


class Buzzer(Device):
    """pwm: machine.PWM; pin: the machine.Pin that drives the piezo. With no duty the pin is low: no current, no sound."""

    kind = CONTRACT.kind
    part = "buzzer"

    def __init__(self, pwm: "Any", pin: "Any", clock: "Clock") -> None:
        super().__init__()
        self._pwm_of = pwm
        self._pin = pin
        self._clock = clock
        self._pwm: Any = None  # while it is enabled
        self._sounds = False

    async def tone(self, frequency_hz: int, duration_ms: int) -> None:
        """Sound 100..10000 Hz for 1..5000 ms. Silent when this ends, however it ends.

        Raises DeviceError E_DISABLED, E_ILLEGAL (out of range), E_BUSY (it sounds already).
        """
        self.require_enabled()
        if not (_LOWEST_HZ <= frequency_hz <= _HIGHEST_HZ and 1 <= duration_ms <= _LONGEST_MS):
            raise DeviceError(E_ILLEGAL, self.kind, "%d Hz for %d ms" % (frequency_hz, duration_ms))
        if self._sounds:
            raise DeviceError(E_BUSY, self.kind, "sounds already")
        self._sounds = True
        try:
            self._pwm.freq(frequency_hz)
            self._pwm.duty_u16(_LOUDEST)
            await self._clock.sleep_ms(duration_ms)
        finally:
            self._sounds = False
            if self._pwm is not None:  # else it was disabled meanwhile, and is silent already
                self._pwm.duty_u16(_SILENT)

    async def _bring_up(self) -> None:
        """A program that crashed may have left it sounding."""
        try:
            self._pwm = self._pwm_of(self._pin, freq=_CHECK_HZ, duty_u16=_SILENT)
        except (OSError, ValueError, RuntimeError) as error:
            raise DeviceError(E_NOHARDWARE, self.kind, "no PWM: %s" % error) from None

    def _shut_down(self) -> None:
        pwm, self._pwm = self._pwm, None
        pwm.duty_u16(_SILENT)
        pwm.deinit()

    async def _check_health(self, level: int) -> Health:
        """Nothing comes back from a piezo. Above the internal level it sounds, for whoever is there to hear it."""
        if level > CH_INTERNAL:
            await self.tone(_CHECK_HZ, _CHECK_MS)
        return Health(HEALTH_NOT_RUN, self.kind, "no_feedback", detail="whether it sounds only a person can tell")
