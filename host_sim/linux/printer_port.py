"""Receipt printers at a Linux terminal's ports: the ESC/POS printer model behind TCP, or behind a serial line (a pseudo-terminal)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import tty
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from host_sim.chips.escpos_printer import EscposPrinterChip, Printed, Slip
from host_sim.chips.faces import Fault
from host_sim.linux.interface import Interface

if TYPE_CHECKING:
    from PIL import Image

LOOPBACK = "127.0.0.1"
LATE = "late_answers"
LATE_EACH = 5
LATE_S = 0.4
UNPLUGGED = "unplugged"
RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, on and 0 s: the other side sees a reset
READ = 4096


class PrinterPort(Interface):
    """The back face is the model's; between start and stop it is plugged in, but with the fault `unplugged`."""

    kind = "printer"
    HABITS: ClassVar[dict[str, str]] = EscposPrinterChip.HABITS

    def __init__(self, folder: Path, width_dots: int = 384, answers_status: bool = True) -> None:
        super().__init__(folder)
        self.printer = EscposPrinterChip(self.now_ms, width_dots, answers_status)
        self.printer.send = self._send
        self._answers_status = answers_status
        self._started = False
        self._plugged_in = False

    # Back face.

    @property
    def width_dots(self) -> int:
        return self.printer.width_dots

    @property
    def columns(self) -> int:
        return self.printer.columns

    @property
    def paper(self) -> list[Printed]:
        return self.printer.paper

    @property
    def cut_slips(self) -> list[Slip]:
        return self.printer.cut_slips

    @property
    def lost_bytes(self) -> int:
        return self.printer.lost_bytes

    def slip(self) -> Slip:
        return self.printer.slip()

    def last_slip(self) -> Slip:
        return self.printer.last_slip()

    def picture(self) -> Image.Image:
        return self.printer.picture()

    def tear_off(self) -> Slip:
        return self.printer.tear_off()

    def load_paper(self) -> None:
        self.fault("near_end", False)
        self.fault("paper_out", False)

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        if name == UNPLUGGED and self._started:
            self._plug()
        elif name in EscposPrinterChip.FAULTS or name in EscposPrinterChip.HABITS:
            self.printer.fault(name, on)

    # The port.

    async def start(self) -> None:
        self._started = True
        self._plug()

    async def stop(self) -> None:
        self._started = False
        self._plug()

    def section(self) -> dict[str, str | int | bool]:
        return {"width_dots": self.width_dots, "columns": self.columns, "answers_status": self._answers_status}

    def environment(self) -> dict[str, str]:
        """python-escpos keeps its list of printers there, which it otherwise puts into a new folder at each start, and leaves behind."""
        return {"ESCPOS_CAPABILITIES_PICKLE_DIR": str(self.folder)}

    def _plug(self) -> None:
        """Plug in or pull out, whatever it should be and is not."""
        wanted = self._started and not self.has(UNPLUGGED)
        if wanted != self._plugged_in:
            self._plugged_in = wanted
            (self._plug_in if wanted else self._pull_out)()

    def _plug_in(self) -> None:
        raise NotImplementedError

    def _pull_out(self) -> None:
        raise NotImplementedError

    def _send(self, data: bytes) -> None:
        """To the terminal. What nobody takes is lost, as a printer's answers are."""
        raise NotImplementedError


class NetworkPrinterPort(PrinterPort):
    """At a TCP port of this machine. It serves one caller at a time, the next one when that has gone, as printers do."""

    part = "escpos_network"
    FAULTS: ClassVar[dict[str, Fault]] = {
        **EscposPrinterChip.FAULTS,
        UNPLUGGED: Fault("its network cable is pulled: nobody listens at its address", "offline"),
    }
    HABITS: ClassVar[dict[str, str]] = {
        **EscposPrinterChip.HABITS,
        LATE: "each fifth answer comes 0.4 s late: a segment was lost, and sent again",
    }

    def __init__(self, folder: Path, width_dots: int = 384, answers_status: bool = True) -> None:
        super().__init__(folder, width_dots, answers_status)
        self._place: socket.socket | None = None  # keeps the port's number, and does not listen
        self._listener: socket.socket | None = None
        self._caller: socket.socket | None = None
        self._sent = 0
        self._unsent = bytearray()

    @property
    def port(self) -> int:
        assert self._place is not None, "before start"
        return int(self._place.getsockname()[1])

    async def start(self) -> None:
        if self._place is None:
            self._place = _bound(0)
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        if self._place is not None:
            self._place.close()
            self._place = None

    def section(self) -> dict[str, str | int | bool]:
        return {"host": LOOPBACK, "port": self.port, **super().section()}

    def _plug_in(self) -> None:
        self._listener = _bound(self.port)
        self._listener.listen(1)
        self._await_caller()

    def _pull_out(self) -> None:
        if self._caller is not None:
            self._hang_up(reset=True)
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _await_caller(self) -> None:
        asyncio.get_running_loop().add_reader(_open(self._listener), self._accept)

    def _accept(self) -> None:
        try:
            self._caller = _open(self._listener).accept()[0]
        except (BlockingIOError, ConnectionError):  # it has gone again
            return
        self._caller.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.remove_reader(_open(self._listener))
        loop.add_reader(self._caller, self._receive)

    def _receive(self) -> None:
        try:
            data = _open(self._caller).recv(READ)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self.printer.receive(data)
        else:
            self._hang_up()
            self._await_caller()

    def _hang_up(self, reset: bool = False) -> None:
        caller = _open(self._caller)
        asyncio.get_running_loop().remove_reader(caller)
        if reset:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        caller.close()
        self._caller = None

    def drop_idle_caller(self) -> None:
        """As many printers do with a connection on which nothing came for some minutes."""
        if self._caller is not None:
            self._hang_up()
            self._await_caller()

    def _send(self, data: bytes) -> None:
        self._sent += 1
        if self._unsent:  # nothing overtakes in TCP
            self._unsent += data
        elif self.has(LATE) and self._sent % LATE_EACH == 0:
            self._unsent += data
            asyncio.get_running_loop().call_later(LATE_S, self._send_late)
        else:
            self._send_now(data)

    def _send_late(self) -> None:
        data, self._unsent = bytes(self._unsent), bytearray()
        self._send_now(data)

    def _send_now(self, data: bytes) -> None:
        if self._caller is not None:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self._caller.send(data)


class SerialPrinterPort(PrinterPort):
    """At a pseudo-terminal, by a name that stays the same, as udev gives one to each adapter (/dev/serial/by-id)."""

    part = "escpos_serial"
    FAULTS: ClassVar[dict[str, Fault]] = {
        **EscposPrinterChip.FAULTS,
        UNPLUGGED: Fault("the plug of its USB adapter is out: the serial device is gone", UNPLUGGED),
    }

    def __init__(self, folder: Path, width_dots: int = 384, answers_status: bool = True) -> None:
        super().__init__(folder, width_dots, answers_status)
        self.device = folder / "printer"
        self._far_end = -1  # the pty's master
        self._near_end = -1  # kept open, so that it is there between two runs of the terminal

    def section(self) -> dict[str, str | int | bool]:
        return {"device": str(self.device), "baudrate": 115200, **super().section()}

    def _plug_in(self) -> None:
        self._far_end, self._near_end = os.openpty()
        tty.setraw(self._near_end)
        os.set_blocking(self._far_end, False)
        self.device.symlink_to(os.ttyname(self._near_end))
        asyncio.get_running_loop().add_reader(self._far_end, self._receive)

    def _pull_out(self) -> None:
        asyncio.get_running_loop().remove_reader(self._far_end)
        self.device.unlink()
        os.close(self._near_end)
        os.close(self._far_end)

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.printer.receive(os.read(self._far_end, READ))

    def _send(self, data: bytes) -> None:
        if self._plugged_in:
            with contextlib.suppress(BlockingIOError):
                os.write(self._far_end, data)


def _bound(port: int) -> socket.socket:
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.setblocking(False)
    place.bind((LOOPBACK, port))
    return place


def _open(place: socket.socket | None) -> socket.socket:
    """The event loop calls only for what is open."""
    assert place is not None
    return place
