"""Finds a memory that was set back: flash that somebody copied, and put back later, would let in again what it had forgotten.

The secure element has a counter that nothing sets back. Each start, and each message of the acquirer that is obeyed, notes in the store the
value that it is about to give the counter, and raises it then. So a power cut leaves the store level with the counter or ahead of it, and
one that is behind is an older copy. From then on, whatever the power does, nothing of the acquirer's is obeyed until he has answered an
inquiry of this start, which each start makes (messages/timekeeper.py): the sequence of his answer is above all that he has ever sent.
"""

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.terminal import Terminal
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firmware_agent.messages.schema import Claims
    from firmware_agent.store import Store
    from hal.secure_element import SecureElement

KEY_COUNT = "element_count"  # what the counter is, or was about to be
KEY_SET_BACK = "set_back"  # by how much; is there until the acquirer has answered
REFUSAL = "set_back"
UNCOUNTED_STARTS = 1000  # in which the element may have failed: the sequences of those were used, too


class Rollback:
    """store: open; element: brought up, where it could be. An element without a counter, or one that fails, has none to compare with."""

    def __init__(self, store: "Store", element: "SecureElement", log: "Callable[[str], None]") -> None:
        self._store = store
        self._element: Any = element  # whose level says whether it can count
        self._log = log
        self._counted = -1  # the counter as it was read or raised last; -1: there is none

    async def count_boot(self) -> None:
        """The first thing that a boot does: count it, in the store and in the element, and see whether the two agree."""
        try:
            if self._element.enabled and self._element.level >= 2:
                self._counted = await self._element.count(False)
        except DeviceError as error:
            self._log("failed %s" % error)
        if self._counted < 0:
            Terminal.count_boot(self._store)
            return
        record = self._store.get(KEY_COUNT)
        behind = self._counted - (int(decode(record)) if record is not None else 0)
        changes = self._noted()
        skipped = 0
        if behind > 0:
            self._log("the memory was set back by %d" % behind)
            changes.append((KEY_SET_BACK, encode(behind)))
            skipped = behind + UNCOUNTED_STARTS
        if Terminal.count_boot(self._store, skipped, changes):  # what the store did not take would be ahead of it at the next start
            await self._raise()

    @property
    def is_set_back(self) -> bool:
        return self._store.get(KEY_SET_BACK) is not None

    def tell(self, terminal: Terminal) -> None:
        """To be called at each start: the acquirer is told until he has answered."""
        record = self._store.get(KEY_SET_BACK)
        if record is not None:
            terminal.send("event", {"name": "storage_rolled_back", "detail": "by %d" % int(decode(record))})

    def refusal(self, is_fresh: bool) -> str:
        """Why a message that was accepted is refused all the same, '' where it is not. is_fresh: it answers an inquiry of this start."""
        return REFUSAL if self.is_set_back and not is_fresh else ""

    def writes(self, claims: "Claims") -> "list[tuple[str, bytes | None]]":
        """What to write with a message that is not refused. Another answer does nothing that could be undone."""
        if claims.kind.name != "answer":
            return self._noted() if self._counted >= 0 else []
        return [(KEY_SET_BACK, None)] if self.is_set_back else []

    async def written(self, claims: "Claims") -> None:
        """What that says is written."""
        if claims.kind.name != "answer" and self._counted >= 0:
            await self._raise()

    def _noted(self) -> "list[tuple[str, bytes | None]]":
        return [(KEY_COUNT, encode(self._counted + 1))]

    async def _raise(self) -> None:
        expected = self._counted + 1
        try:
            self._counted = await self._element.count(True)
        except DeviceError as error:  # perhaps it was raised, perhaps not: the store is level or ahead
            self._log("failed %s" % error)
            return
        if self._counted > expected:  # the line was disturbed, and a number left out
            self._store.keep([(KEY_COUNT, encode(self._counted))])
