"""What takes payments on a terminal, beside the agent: it sends them to the payment host, and tells the agent what that answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import secrets
from pathlib import Path

import iso8583

from hal.drivers.iso8583 import APPLICATION, SOFTWARE, SUB_VERSION, TPDU
from hal.drivers.iso8583_payment import CURRENCY, FIRST_BATCH, HEARD
from hal.payment import SALE
from host_sim.payment_host import HOST, MERCHANT, SPEC, TERMINAL, PaymentHost

AMOUNT = 1200  # in minor units
FIRST_TRACE = 500001  # the agent's own count from 1
LIMIT_S = 10.0


class PaymentApplication:
    """host: started."""

    def __init__(self, host: PaymentHost) -> None:
        self._host = host
        self._traces = itertools.count(FIRST_TRACE)
        self._key = secrets.token_bytes(16)  # of the numbers by which it tells cards apart

    async def pay(self, card: int, storage: Path) -> str:
        """Somebody pays with that card: the host's code. storage: the terminal's. Raises OSError, EOFError: no answer, nothing is told."""
        number = f"999999{card:09}"  # no issuer has it
        message = {
            **{"t": SALE, "h": TPDU + APPLICATION + SOFTWARE + "00" + SUB_VERSION},
            **{"2": number, "3": "000000", "4": f"{AMOUNT:012}", "11": str(next(self._traces)), "22": "071", "25": "00"},
            **{"41": TERMINAL, "42": MERCHANT, "49": CURRENCY, "60": "22" + FIRST_BATCH + "000"},
        }
        encoded, _ = iso8583.encode(message, SPEC)
        async with asyncio.timeout(LIMIT_S):
            answer, _ = iso8583.decode(await self._exchange(bytes(encoded)), SPEC)
        told = (SALE, answer["39"], answer.get("44", "")[:4] or "-", answer["h"][15], str(self._apart(number)))
        with (storage / HEARD).open("ab") as file:
            file.write(" ".join(told).encode() + b"\n")
        return str(answer["39"])

    async def _exchange(self, message: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self._host.port)
        try:
            writer.write(len(message).to_bytes(2, "big") + message)
            await writer.drain()
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        finally:
            writer.close()

    def _apart(self, number: str) -> int:
        """Another one for another card, by which nobody finds the card."""
        return int.from_bytes(hmac.digest(self._key, number.encode(), hashlib.sha256)[:4], "big") or 1
