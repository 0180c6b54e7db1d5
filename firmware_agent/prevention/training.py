"""Who practised what: how far a practice has come, and the last ones that came to their end. What practice is, is in flows/practice.py."""

from firmware_agent.messages.cbor import CborError, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal

OPERATIONS = ("sale", "refund", "reprint", "settlement", "suspension")  # each once, in this order
KEY_NOW = "training.now"  # [staff, operations done, amount of the sale, amount of the refund]
KEY_DONE = "training.done"  # the last MOST: [[staff, wall clock or 0], ...]
MOST = 8
MAX_STAFF_DIGITS = 6


class Progress:
    """staff: number of who practises; done: how many of OPERATIONS; sale, refund: amounts in the smallest unit, 0 = not yet."""

    def __init__(self, staff: str, done: int = 0, sale: int = 0, refund: int = 0) -> None:
        self.staff = staff
        self.done = done
        self.sale = sale
        self.refund = refund


def is_staff(number: str) -> bool:
    return 0 < len(number) <= MAX_STAFF_DIGITS and all([digit in "0123456789" for digit in number])


def progress(store: "Store") -> "Progress | None":
    """Where a practice was left, also by a power cut; None where none is under way."""
    try:
        staff, done, sale, refund = decode(store.get(KEY_NOW) or b"")
    except (CborError, TypeError, ValueError):
        return None
    is_good = isinstance(staff, str) and is_staff(staff) and all([isinstance(number, int) for number in (done, sale, refund)])
    return Progress(staff, done, sale, refund) if is_good and 0 <= done < len(OPERATIONS) else None


def keep(terminal: "Terminal", now: Progress) -> None:
    """One more operation is done; with the last one, so is the practice, and the acquirer hears of it. Raises StoreError."""
    if now.done < len(OPERATIONS):
        terminal.apply([], [], [(KEY_NOW, encode([now.staff, now.done, now.sale, now.refund]))])
        return
    done = [[staff, wall_s] for staff, wall_s in records(terminal.store)] + [[now.staff, terminal.wall_s]]
    told: dict[str, object] = {"name": "training_done", "detail": "staff %s: %s" % (now.staff, ", ".join(OPERATIONS))}
    terminal.apply([], [("event", told)], [(KEY_NOW, None), (KEY_DONE, encode(done[-MOST:]))])
    terminal.log("training done by staff %s" % now.staff)


def records(store: "Store") -> "list[tuple[str, int]]":
    """(staff, wall clock or 0) of the last practices that came to their end, the latest last."""
    try:
        return [(str(staff), int(wall_s)) for staff, wall_s in decode(store.get(KEY_DONE) or b"")]
    except (CborError, TypeError, ValueError):
        return []
