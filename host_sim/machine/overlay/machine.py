"""What `import machine` finds in a MicroPython process that is joined to a bench."""

import sys

sys.path.append("/".join(__file__.split("/")[:-4]))  # last, so that it adds host_sim and hides nothing

import hal.files  # noqa: E402
from host_sim.machine.client import port_of_environment  # noqa: E402
from host_sim.machine.flash import files_on  # noqa: E402
from host_sim.machine.machine import Machine  # noqa: E402

PORT = port_of_environment()  # one for the process, as there is one microcontroller; network.py beside this file uses it too
_machine = Machine(PORT)
hal.files.Files = files_on(PORT)  # type: ignore[misc]  # the flash is the machine's, too: a main.py imports this module before it takes its files

Pin = _machine.Pin
I2C = _machine.I2C
SPI = _machine.SPI
UART = _machine.UART
ADC = _machine.ADC
PWM = _machine.PWM
RTC = _machine.RTC
WDT = _machine.WDT
unique_id = _machine.unique_id
reset = _machine.reset
reset_cause = _machine.reset_cause
PWRON_RESET = _machine.PWRON_RESET
HARD_RESET = _machine.HARD_RESET
WDT_RESET = _machine.WDT_RESET
DEEPSLEEP_RESET = _machine.DEEPSLEEP_RESET
SOFT_RESET = _machine.SOFT_RESET
