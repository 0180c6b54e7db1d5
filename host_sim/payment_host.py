"""The acquirer's payment host on loopback, in pyiso8583, with a ledger: a test asks it whether any money moved."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import iso8583

from host_sim.chips.faces import Breakable, Fault

HOST = "127.0.0.1"
NAME = "payment.acq1.example"  # that the bench's DNS server knows (host_sim/chips/wifi.py)
MERCHANT, TERMINAL = "898310148160001", "10000001"  # that are on its books
BATCH = "000007"
NOT_SIGNED_IN = ("77", "A177")
DUPLICATE, NO_ORIGINAL, APPROVED = "94", "25", "00"
OF_A_CARD = ("2", "14", "23", "35", "36", "52", "55")
WANTS_STATE, WANTS_SIGN_IN = 2, 3
BUSY_DAY = "000000480000" + "000000950000" + "01"  # field 48: largest payment, sum, changes of the settlement card
LATE_S = 45.0  # longer than any terminal waits


def _spec() -> dict[str, dict[str, Any]]:
    """The dialect of Chinese POS terminals: lengths and numbers in BCD, an odd one filled up on the right."""

    def digits(length: int, of_length: int = 0) -> dict[str, Any]:
        pad = {"right_pad": "0"} if length % 2 or of_length else {}
        return {"data_enc": "b", "len_enc": "bcd", "len_type": of_length, "max_len": length, "len_count": "nibbles", **pad}

    def text(length: int, of_length: int = 0) -> dict[str, Any]:
        return {"data_enc": "latin-1", "len_enc": "bcd", "len_type": of_length, "max_len": length}

    def octets(length: int, of_length: int = 0) -> dict[str, Any]:
        return {"data_enc": "b", "len_enc": "bcd", "len_type": of_length, "max_len": length}

    spec: dict[str, dict[str, Any]] = {str(number): octets(999, 2) for number in range(1, 129)}  # nobody sends the others
    spec |= {"h": octets(11), "t": octets(2), "p": octets(8), "1": octets(8), "2": digits(19, 1), "3": digits(6), "4": digits(12)}
    spec |= {"11": digits(6), "12": digits(6), "13": digits(4), "14": digits(4), "15": digits(4), "22": digits(3), "23": digits(3)}
    spec |= {"25": digits(2), "26": digits(2), "32": digits(11, 1), "35": digits(37, 1), "36": digits(104, 2), "37": text(12)}
    spec |= {"38": text(6), "39": text(2), "41": text(8), "42": text(15), "44": text(25, 1), "48": digits(322, 2), "49": text(3)}
    spec |= {"52": octets(8), "53": digits(16), "54": text(20, 2), "55": octets(255, 2), "58": text(100, 2), "60": digits(17, 2)}
    spec |= {"61": digits(29, 2), "62": octets(512, 2), "63": text(163, 2), "64": octets(8)}
    for number, item in spec.items():
        item["desc"] = f"field {number}"
    return spec


SPEC = _spec()


@dataclass
class Sale:
    terminal: str
    trace: str
    amount: int
    is_test: bool
    card_fields: list[str] = field(default_factory=list)  # of the message, that there should be none of
    is_reversed: bool = False


class PaymentHost(Breakable):
    """tell: takes a line for each message. sales: all that was ever booked; asked: the message types, in their order; totals: field 48 of
    its answers, '' for none.
    """

    FAULTS: ClassVar[dict[str, Fault]] = {
        "unreachable": Fault("nobody listens at the payment host", "payment_unreachable"),
        "silent": Fault("the payment host takes messages, and never answers", "payment_silent"),
        "late": Fault("it answers when nobody waits any more", "payment_silent"),
        "garbage": Fault("what it answers is no message", "payment_garbled"),
        "drops_sales": Fault("it books a sale and drops the connection; reversals it does not answer", "payment_silent"),
        "merchant_unknown": Fault("it refuses sign-ins and payments with 03: merchant not registered", "payment_refused"),
        "terminal_unknown": Fault("it refuses sign-ins and payments with 97: terminal not registered", "payment_refused"),
        "terminal_not_allowed": Fault("it refuses sign-ins and payments with 58: not allowed to this terminal", "payment_refused"),
        "contract_ended": Fault("it refuses sign-ins with sub-code A258: terminal cancelled", "payment_refused"),
        "merchant_blacklisted": Fault("it refuses sign-ins with sub-code A658: merchant on the black list", "payment_refused"),
        "terminal_blacklisted": Fault("it refuses sign-ins with sub-code A758: terminal on the black list", "payment_refused"),
        "out_of_step": Fault("it answers every sign-in with 77: sign in again", "payment_out_of_step"),
        "busy": Fault("it answers everything with 96: system error", "payment_busy"),
        "day_end": Fault("it answers everything with 90: closing its day", "payment_busy"),
        "network_down": Fault("it answers everything with 91: the network behind it is down", "payment_network"),
    }
    HABITS: ClassVar[dict[str, str]] = {
        "sign_in_again": "the first sign-in after this is switched on is answered with 99: sign in again",
        "wants_sign_in": "the first answer after this is switched on has processing requirement 3: sign in again",
        "wants_state": "each answer has processing requirement 2: tell how the terminal is",
        "busy_day": "its answers tell totals of a busy day: 4800.00 at most at once, 9500.00 in all, the settlement card changed once",
    }

    _OF_SIGN_IN: ClassVar[dict[str, tuple[str, str]]] = {
        "merchant_unknown": ("03", ""),
        "terminal_unknown": ("97", ""),
        "terminal_not_allowed": ("58", ""),
        "contract_ended": ("03", "A258"),
        "merchant_blacklisted": ("03", "A658"),
        "terminal_blacklisted": ("58", "A758"),
        "out_of_step": ("77", ""),
    }
    _OF_PAYMENT: ClassVar[tuple[str, ...]] = ("merchant_unknown", "terminal_unknown", "terminal_not_allowed")
    _OF_ALL: ClassVar[dict[str, str]] = {"busy": "96", "day_end": "90", "network_down": "91"}

    def __init__(self, tell: Callable[[str], None] = lambda line: None) -> None:
        super().__init__()
        self.port = 0
        self.totals = ""
        self.sales: list[Sale] = []
        self.asked: list[str] = []
        self._tell = tell
        self._reversed_unseen: set[tuple[str, str]] = set()  # of which no sale had come: one that comes late is not booked
        self._signed_in: set[str] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; the port stays the same when it is started again. Raises OSError."""
        self._server = await asyncio.start_server(lambda reader, writer: self._begin(self._serve(reader, writer)), HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def fault(self, name: str, on: bool = True) -> None:
        changes = on != self.has(name)
        super().fault(name, on)
        if name == "unreachable" and changes:
            if on:
                self._close()
            else:
                self._begin(self.start())

    def _begin(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The ledger.

    @property
    def money(self) -> int:
        """In minor units: what was taken and not given back."""
        return sum(sale.amount for sale in self.sales if not sale.is_reversed)

    def objections(self) -> list[str]:
        """Why it is not true that money moves never: sales that are not reversed, are no tests, or are of a card."""
        found = [f"sale {sale.trace} is not reversed" for sale in self.sales if not sale.is_reversed]
        found += [f"sale {sale.trace} is no test" for sale in self.sales if not sale.is_test]
        return found + [f"sale {sale.trace} has fields of a card: {', '.join(sale.card_fields)}" for sale in self.sales if sale.card_fields]

    # Messages.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                while True:
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    answer = await self.answer_to(await reader.readexactly(length))
                    if answer is None:
                        return
                    writer.write(len(answer).to_bytes(2, "big") + answer)
                    await writer.drain()
            finally:
                writer.close()

    async def answer_to(self, message: bytes) -> bytes | None:
        """None: the connection is dropped."""
        asked, _ = iso8583.decode(message, SPEC)
        mti = asked["t"]
        self.asked.append(mti)
        code, sub_code, is_dropped = self._judge(asked)
        self._tell(f"payment host: {mti} {asked['11']}: {code} {sub_code}".rstrip())
        if self.has("silent"):
            await asyncio.get_running_loop().create_future()
        if self.has("late"):
            await asyncio.sleep(LATE_S)
        if is_dropped:
            return None
        if self.has("garbage"):
            return bytes(range(64))
        kept: dict[str, str] = {number: asked[number] for number in ("3", "4", "11", "41", "42", "49", "60") if number in asked}
        answer: dict[str, str] = {**kept, "t": f"{int(mti) + 10:04}", "h": self._head(asked["h"]), "39": code}
        if sub_code:
            answer["44"] = sub_code
        if self.has("busy_day") or self.totals:
            answer["48"] = self.totals or BUSY_DAY
        if mti == "0800" and code == APPROVED:
            answer["60"] = asked["60"][:2] + BATCH + asked["60"][8:]
            answer["62"] = "5A" * 40  # working keys of double length, for nobody
        encoded, _ = iso8583.encode(answer, SPEC)
        return bytes(encoded)

    def _head(self, asked: str) -> str:
        requirement = 0
        if self.has("wants_state"):
            requirement = WANTS_STATE
        if self.has("wants_sign_in"):
            self.fault("wants_sign_in", False)
            requirement = WANTS_SIGN_IN
        tpdu, header = asked[:10], asked[10:]
        return tpdu[:2] + tpdu[6:10] + tpdu[2:6] + header[:5] + str(requirement) + header[6:]

    def _judge(self, asked: dict[str, str]) -> tuple[str, str, bool]:
        """(field 39, the acquirer's sub-code, whether no answer is given), and what is booked by it."""
        mti, terminal = asked["t"], asked["41"]
        for name, code in self._OF_ALL.items():
            if self.has(name):
                return code, "", False
        if mti == "0800":
            return (*self._sign_in(asked), False)
        if mti == "0820":
            return APPROVED, "", False
        for name in self._OF_PAYMENT:
            if mti == "0200" and self.has(name):
                return (*self._OF_SIGN_IN[name], False)
        if mti == "0200" and terminal not in self._signed_in:
            return (*NOT_SIGNED_IN, False)
        if mti == "0200":
            return self._book(asked), "", self.has("drops_sales")
        if mti == "0400":
            if self.has("drops_sales"):
                return APPROVED, "", True
            return self._reverse(asked), "", False
        return "30", "", False

    def _sign_in(self, asked: dict[str, str]) -> tuple[str, str]:
        for name, answer in self._OF_SIGN_IN.items():
            if self.has(name):
                return answer
        if self.has("sign_in_again"):
            self.fault("sign_in_again", False)
            return "99", ""
        if asked["42"] != MERCHANT:
            return "03", ""
        if asked["41"] != TERMINAL:
            return "97", ""
        self._signed_in.add(asked["41"])
        return APPROVED, ""

    def _book(self, asked: dict[str, str]) -> str:
        key = (asked["41"], asked["11"])
        if key in self._reversed_unseen or any((sale.terminal, sale.trace) == key and not sale.is_reversed for sale in self.sales):
            return DUPLICATE
        card_fields = [number for number in OF_A_CARD if number in asked]
        self.sales.append(Sale(*key, int(asked["4"]), asked["h"][14] == "1", card_fields))
        return APPROVED

    def _reverse(self, asked: dict[str, str]) -> str:
        key = (asked["41"], asked["11"])
        found = [sale for sale in self.sales if (sale.terminal, sale.trace) == key]
        if not found:
            self._reversed_unseen.add(key)
            return NO_ORIGINAL
        found[-1].is_reversed = True
        return APPROVED
