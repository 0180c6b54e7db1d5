"""Following a review: when the acquirer answered last, whether the merchant has seen that, and when to ask, and to remind him, again."""

from firmware_agent.application.draft import PREFIX
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.state.machine import RECOVERING, REVIEW_APPROVED, REVIEW_MORE_NEEDED, REVIEW_REJECTED, STEP_REVIEW, SUSPENDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.terminal import Terminal

    Change = tuple[str, "bytes | None"]

KEY_ANSWER = PREFIX + "answer"  # [application, status, Unix seconds or 0, whether it is seen, when that was]
KEY_ASKED = PREFIX + "asked"  # Unix seconds
DECISIONS = (REVIEW_APPROVED, REVIEW_REJECTED, REVIEW_MORE_NEEDED)  # answers that have a page of their own: they change what is to be done
AGAIN_S = 24 * 3600


class Answer:
    """status: REVIEW_ANSWERS of the state machine; at: Unix seconds by the acquirer's clock; seen: by the merchant; seen_at: Unix seconds,
    0 = not known.
    """

    def __init__(self, application: int, status: str, at: int, seen: bool, seen_at: int) -> None:
        self.application = application
        self.status = status
        self.at = at
        self.seen = seen
        self.seen_at = seen_at

    def encoded(self) -> bytes:
        return encode([self.application, self.status, self.at, self.seen, self.seen_at])


def last_answer(terminal: "Terminal") -> "Answer | None":
    """To the present application; None before the first."""
    try:
        application, status, at, seen, seen_at = decode(terminal.store.get(KEY_ANSWER) or b"")
        if application == terminal.state.application and status == terminal.state.review:
            return Answer(application, status, int(at), bool(seen), int(seen_at))
    except (CborError, TypeError, ValueError):
        pass  # none
    return None


def unseen_answer(terminal: "Terminal") -> "Answer | None":
    """The decision that the merchant has still to see."""
    answer = last_answer(terminal)
    return answer if answer is not None and answer.status in DECISIONS and not answer.seen else None


def taken(terminal: "Terminal", application: int, status: str, remark: str, at: int) -> "list[Change]":
    """What to write when an answer is taken into the state. One that is repeated, because the terminal asked, is new by its date alone."""
    state = terminal.state
    if application != state.application:
        return []  # to another one, it decides nothing
    answer = last_answer(terminal)
    if answer is not None and answer.status == status and remark == state.remark:
        answer.at = at
    elif state.step == STEP_REVIEW:
        answer = Answer(application, status, at, False, 0)
    else:
        return []
    return [(KEY_ANSWER, answer.encoded())]


def see(terminal: "Terminal", answer: Answer) -> None:
    """The merchant has seen it. Raises StoreError: he is shown it again."""
    answer.seen, answer.seen_at = True, terminal.wall_s
    terminal.apply([], changes=[(KEY_ANSWER, answer.encoded())])


def applied(terminal: "Terminal") -> "Change":
    """What to write with an application: it is asked for a day later, if nothing was heard."""
    return KEY_ASKED, encode(terminal.wall_s)


def ask(terminal: "Terminal") -> None:
    """Ask where the review stands: the acquirer tells it again. Raises StoreError."""
    body: dict[str, object] = {"name": "review_asked", "detail": str(terminal.state.application)}
    terminal.apply([], [("event", body)], [applied(terminal)])
    terminal.log("asks for the review of application %d" % terminal.state.application)


def watch(terminal: "Terminal") -> None:
    """To be called often. Ask once a day while an answer is awaited; remind the merchant once a day of what he has still to hand in.
    Without the time of day nothing is due: who is online is told it. Raises StoreError.
    """
    state = terminal.state
    wall_s = terminal.wall_s
    if state.mode not in (RECOVERING, SUSPENDED) or not state.application or not wall_s:
        return
    if state.step == STEP_REVIEW:
        if terminal.online and wall_s - _asked_s(terminal) >= AGAIN_S:
            ask(terminal)
    elif state.review == REVIEW_MORE_NEEDED:
        answer = last_answer(terminal)
        if answer is not None and answer.seen and wall_s - answer.seen_at >= AGAIN_S:
            answer.seen = False
            terminal.apply([], changes=[(KEY_ANSWER, answer.encoded())])
            terminal.changes_seen += 1


def _asked_s(terminal: "Terminal") -> int:
    try:
        asked_s = decode(terminal.store.get(KEY_ASKED) or b"")
    except CborError:
        return 0
    return asked_s if isinstance(asked_s, int) else 0
