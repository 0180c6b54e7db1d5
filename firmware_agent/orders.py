"""What the acquirer's messages do, once they are judged: what changes, in one write with the receipt, and what follows from it."""

from firmware_agent.identity.registration import RegistrationError, renewed, writes
from firmware_agent.selftest.plans import DAILY, PlanError, plan_phases
from firmware_agent.state.machine import REVIEW_ANSWERS, Lifted, Registered, ReviewAnswered, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason, ReasonKind, reason_kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.identity.identity import Identity
    from firmware_agent.messages.schema import Claims
    from firmware_agent.state.machine import Event
    from firmware_agent.terminal import Terminal

ACTIONS = (  # of an order, and what it does
    ("suspend", "suspends the terminal, for `reason`"),
    ("lift", "lifts the acquirer's suspension for `reason`; a probation of `probation_s` follows"),
    ("self_test", "runs the self-test of `plan`"),
    ("revoke_badge", "a technician's badge opens nothing more"),
)


class OrderError(Exception):
    """The message cannot be done. code: a key of inbound.REFUSALS; the message is for the log."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Effect:
    """What a message does. events: taken into the state; changes: to the store; messages: (kind, body), queued: all of it one write.

    identity: in use once that is written, None: as before; self_test: name of the plan to run then, '': none.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.changes: list[tuple[str, bytes | None]] = []
        self.messages: list[tuple[str, dict[str, object]]] = []
        self.identity: Identity | None = None
        self.self_test = ""


async def effect_of(terminal: "Terminal", claims: "Claims") -> Effect:
    """What an accepted message does; changes nothing yet. Raises OrderError, DeviceError."""
    effect = Effect()
    name = claims.kind.name
    if name == "order":
        await _order(terminal, claims, effect)
    elif name == "status":
        if claims.text("status") not in REVIEW_ANSWERS:
            raise OrderError("unknown_action", "no status " + claims.text("status"))
        effect.events.append(ReviewAnswered(claims.number("application"), claims.text("status"), claims.text("remark")))
    elif name == "credentials":
        try:
            effect.identity = await renewed(terminal, claims)
        except RegistrationError as error:
            raise OrderError("unknown_action", str(error))
        effect.changes.extend(writes(effect.identity))
        effect.events.append(Registered())
    elif name != "answer":  # which sets the clock, as every message does, and is told to whoever asked
        raise OrderError("unknown_action", "nothing is done with a message " + name)
    return effect


async def _order(terminal: "Terminal", claims: "Claims", effect: Effect) -> None:
    action = claims.text("action")
    if action == "suspend":
        words = {"case": claims.text("case"), "note": claims.text("note")}
        reason = Reason(_reason_kind(claims).code, ACTOR_HOST, claims.issued_at, claims.number("until"), **words)
        effect.events.append(Suspended(reason))
    elif action == "lift":
        effect.events.append(Lifted(_reason_kind(claims).code, claims.number("probation_s")))
    elif action == "self_test":
        effect.self_test = claims.text("plan") or DAILY
        try:
            plan_phases(effect.self_test, terminal.hal)
        except PlanError as error:
            raise OrderError("unknown_action", str(error))
    elif action == "revoke_badge":
        from firmware_agent.identity.technician import revocation  # seldom needed

        effect.changes.append(revocation(terminal.store, claims.text("badge")))
    else:
        raise OrderError("unknown_action", "no action " + action)


def _reason_kind(claims: "Claims") -> ReasonKind:
    try:
        return reason_kind(claims.text("reason"))
    except KeyError:
        raise OrderError("unknown_action", "no reason " + claims.text("reason"))
