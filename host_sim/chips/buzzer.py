"""A passive piezo buzzer: it sounds as it is driven, and says nothing back."""

from __future__ import annotations

from collections.abc import Callable

from host_sim.chips.faces import Chip, Fault

ALWAYS = 65535  # duty_u16 of a pin that is high all the time: direct current, which moves a piezo once and no more
AUDIBLE_HZ = range(20, 20001)


class BuzzerChip(Chip):
    """The bench calls `driven` as the PWM of its pin changes."""

    FAULTS = {"silent": Fault("nothing is heard: the piezo is cracked, or its wire is off", "not_heard")}

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(now_ms)
        self.sounding = 0  # Hz; 0 while it is silent
        self.heard: list[tuple[int, int]] = []  # tones that are over: (frequency_hz, duration_ms)
        self._driven_hz = 0
        self._since_ms = 0

    def driven(self, frequency_hz: int, duty_u16: int) -> None:
        """The pin now changes at so many Hz, and is high for duty_u16 / 65536 of the time; no longer at all with 0 Hz."""
        self._driven_hz = frequency_hz if 0 < duty_u16 < ALWAYS and frequency_hz in AUDIBLE_HZ else 0
        self._sound()

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        self._sound()

    def _sound(self) -> None:
        sounds = 0 if self.has("silent") else self._driven_hz
        if sounds == self.sounding:
            return
        if self.sounding:
            self.heard.append((self.sounding, self.now_ms() - self._since_ms))
        self.sounding = sounds
        self._since_ms = self.now_ms()
