"""What the acquirer's messages do, once they are judged: what changes, in one write with the receipt, and what follows from it."""

from firmware_agent.application.review import taken
from firmware_agent.foreign_text import plain_text
from firmware_agent.identity.registration import REGISTRATION, RegistrationError, ordered, renewed, writes
from firmware_agent.prevention.notices import NoticeError, maintenance_changes, message_changes, notice_changes, withdrawn
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
    ("rotate_key", "the terminal makes new keys, and applies for a renewal of its certificates"),
    ("trust_key", "the acquirer's next public key `key` is trusted, too; `proof`: a signature by it ([keys](keys.md))"),
    ("retire_key", "the acquirer's key `key_id` is trusted no more; signed by another one"),
    ("maintenance", "announces a maintenance that suspends the terminal from `since` to `until`; without times, calls it off"),
    ("message", "shows `text` to the merchant until he has confirmed it"),
    ("configure", "sets `settings`, all of them or none"),
    ("unlock", "forgets wrong PINs and activation codes, and lifts `operator_error`"),
    ("replace", "the device whose signing key is `key_id` answers, erases its keys and identity, and waits for an activation code"),
)

# Codes of reasons that orders of their own impose or lift.
MAINTENANCE = "maintenance"
OPERATOR_ERROR = "operator_error"


class OrderError(Exception):
    """The message cannot be done. code: a key of inbound.REFUSALS; the message is for the log."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Effect:
    """What a message does. events: taken into the state; changes: to the store; messages: (kind, body), queued; facts:
    for the evidence log; all of it one write.

    identity: in use once that is written, None: as before; self_test: name of the plan to run then, '': none; redraw: what stands on the
    display is out of date then.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.changes: list[tuple[str, bytes | None]] = []
        self.messages: list[tuple[str, dict[str, object]]] = []
        self.identity: Identity | None = None
        self.self_test = ""
        self.redraw = False
        self.facts: list[list[object]] = []


async def effect_of(terminal: "Terminal", claims: "Claims", signed_by: bytes = b"") -> Effect:
    """What an accepted message does; changes nothing yet. signed_by: kid of the acquirer's key. Raises OrderError, DeviceError."""
    effect = Effect()
    name = claims.kind.name
    if name == "order":
        await _order(terminal, claims, signed_by, effect)
    elif name == "status":
        if claims.text("status") not in REVIEW_ANSWERS:
            raise OrderError("unknown_action", "no status " + claims.text("status"))
        answer = claims.number("application"), claims.text("status"), _words(claims, "remark")
        effect.events.append(ReviewAnswered(*answer))
        effect.changes.extend(taken(terminal, *answer, claims.issued_at))
        effect.redraw = True  # a date, too, is news
    elif name == "credentials":
        try:
            effect.identity, purpose = await renewed(terminal, claims)
        except RegistrationError as error:
            raise OrderError("unknown_action", str(error))
        effect.changes.extend(writes(effect.identity))
        if purpose == REGISTRATION:
            effect.events.append(Registered())
    elif name == "notice":
        try:
            effect.changes.extend(notice_changes(terminal, claims))
        except NoticeError as error:
            raise OrderError(error.code, str(error))
    elif name == "audited":
        try:
            damage, changes = terminal.evidence.audited(claims.number("count"), claims.octets("head"))
        except ValueError as error:
            raise OrderError("unknown_action", str(error))
        effect.changes.extend(changes)
        if damage is not None:
            terminal.log("evidence log damaged: %s" % damage)
            terminal.outbox.leap()
            effect.facts.append(damage.fact())
            effect.messages.append(damage.message())
    elif name != "answer":  # which sets the clock, as every message does, and is told to whoever asked
        raise OrderError("unknown_action", "nothing is done with a message " + name)
    return effect


async def _order(terminal: "Terminal", claims: "Claims", signed_by: bytes, effect: Effect) -> None:
    action = claims.text("action")
    if action == "suspend":
        words = {"case": _words(claims, "case"), "note": _words(claims, "note")}
        reason = Reason(_reason_kind(claims).code, ACTOR_HOST, claims.issued_at, claims.number("until"), **words)
        effect.events.append(Suspended(reason))
    elif action == "lift":
        code = _reason_kind(claims).code
        effect.events.append(Lifted(code, claims.number("probation_s")))
        if code == MAINTENANCE:
            effect.changes.extend(withdrawn(terminal)[0])  # or its window would suspend the terminal again
    elif action == "self_test":
        effect.self_test = claims.text("plan") or DAILY
        try:
            plan_phases(effect.self_test, terminal.hal)
        except PlanError as error:
            raise OrderError("unknown_action", str(error))
    elif action == "revoke_badge":
        from firmware_agent.identity.technician import revocation  # seldom needed

        effect.changes.append(revocation(terminal.store, claims.text("badge")))
    elif action in ("maintenance", "message"):
        try:
            if action == "message":
                effect.changes.extend(message_changes(terminal, claims))
            else:
                changes, effect.events = maintenance_changes(terminal, claims)
                effect.changes.extend(changes)
        except NoticeError as error:
            raise OrderError(error.code, str(error))
    elif action == "configure":
        from firmware_agent.settings import SettingError, Settings

        try:
            effect.changes.extend(Settings(terminal.store).changes(claims.items("settings")))
        except SettingError as error:
            raise OrderError("wrong_setting", str(error))
        effect.redraw = True
    elif action == "unlock":
        _unlock(terminal, claims, effect)
    elif action == "rotate_key":
        effect.changes.append(ordered(claims.sequence))
    elif action in ("trust_key", "retire_key"):
        from firmware_agent.identity.trust import TrustError, take_over  # once in years

        try:
            effect.identity, changes = await take_over(terminal, claims, signed_by)
        except TrustError as error:
            raise OrderError("key_refused", str(error))
        effect.changes.extend(changes)
    elif action == "replace":
        from firmware_agent.identity import replacement  # once in a device's life

        try:
            effect.changes.append(await replacement.ordered(terminal, claims.octets("key_id")))
        except ValueError as error:
            raise OrderError("wrong_terminal", str(error))
    else:
        raise OrderError("unknown_action", "no action " + action)


def _unlock(terminal: "Terminal", claims: "Claims", effect: Effect) -> None:
    from firmware_agent.identity.technician import KEY_TRIES
    from firmware_agent.identity.tries import KEY_ACTIVATION

    is_suspended = any([reason.code == OPERATOR_ERROR and reason.actor == ACTOR_HOST for reason in terminal.state.reasons])
    tries = [key for key in (KEY_TRIES, KEY_ACTIVATION) if terminal.store.get(key) is not None]
    if not is_suspended and not tries:
        raise OrderError("not_locked", "no wrong PIN or activation code was counted, and %s does not hold" % OPERATOR_ERROR)
    if is_suspended:
        effect.events.append(Lifted(OPERATOR_ERROR, claims.number("probation_s")))
    effect.changes.extend([(key, None) for key in tries])
    effect.redraw = True  # the page that lets a technician wait, too


def _words(claims: "Claims", name: str) -> str:
    """The acquirer's words, for people."""
    try:
        return plain_text(claims.text(name))
    except ValueError as error:
        raise OrderError("wrong_text", "%s: %s" % (name, error))


def _reason_kind(claims: "Claims") -> ReasonKind:
    try:
        return reason_kind(claims.text("reason"))
    except KeyError:
        raise OrderError("unknown_action", "no reason " + claims.text("reason"))
