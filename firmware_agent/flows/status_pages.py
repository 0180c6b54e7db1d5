"""Pages that say how the terminal stands: in service, suspended, out of order."""

from firmware_agent.flows.customer_pages import promotion_lines
from firmware_agent.flows.dates import DAY_S, local_time
from firmware_agent.links.link import CAUSE_DATE
from firmware_agent.payment.limits import warnings_now
from firmware_agent.prevention.notices import HOUR_S
from firmware_agent.prevention.probation import ANOMALIES
from firmware_agent.screens.page import Page
from firmware_agent.state.machine import PROBATION
from firmware_agent.state.reasons import ACTOR_HOST
from hal.clock import TRUST_SET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.settings import Settings
    from firmware_agent.state.reasons import Reason
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

KEY_CUSTOMER = "0"  # opens the page for customers
_BEGUN = (0, "minutes")  # a countdown that is over


def storage_lines(texts: "Texts", terminal: "Terminal") -> "list[str]":
    """What a person has to know while the store refuses to be written: nothing can be changed here until that is mended."""
    if not terminal.storage_refusal:
        return []
    return [texts.get("warning.storage_" + terminal.storage_refusal)]


def idle_page(texts: "Texts", terminal: "Terminal", settings: "Settings") -> Page:
    lines = [
        texts.get("idle.ready"),
        texts.get("idle.terminal", terminal=terminal.identity.terminal),
        texts.get("idle.link", link=texts.get("link.online" if terminal.online else "link.offline")),
    ]
    if not terminal.online:
        lines.append(texts.get("warning.certificate_date" if terminal.link_cause == CAUSE_DATE else "link.offline_hint"))
    if terminal.hal.clock.trust != TRUST_SET:
        lines.append(texts.get("warning.clock"))
    lines.extend(storage_lines(texts, terminal) or maintenance_lines(texts, terminal, settings))  # there is room for one of them
    for limit, percent in warnings_now(terminal, settings)[:1]:
        lines.append(texts.get("limit.near", limit=texts.get("limit." + limit), percent=percent))
    if terminal.state.mode == PROBATION and terminal.state.probation_until:
        lines.append(texts.get("idle.probation", until=local_time(terminal.state.probation_until, settings.utc_offset_min)))
    lines.extend(promotion_lines(texts, terminal, settings))
    return Page("idle", texts.get("idle.title"), lines, tone="good")


def maintenance_lines(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    """The maintenance window that is announced, counted down; nothing where there is none, or it has begun."""
    window = terminal.notices.window()
    left = countdown(terminal)
    if window is None or left == _BEGUN:
        return []
    since, until = local_time(window.since, settings.utc_offset_min), local_time(window.until, settings.utc_offset_min)
    if until[:10] == since[:10]:
        until = until[11:]
    lines = [texts.get("maintenance.times", since=since, until=until)]
    if left is not None:
        lines.append(texts.get("maintenance.in_" + left[1], count=left[0]))
    return lines


def countdown(terminal: "Terminal") -> "tuple[int, str] | None":
    """How long it is until the maintenance, as a person counts it: (number, 'days', 'hours' or 'minutes'). None where none is announced, or
    the clock cannot tell.
    """
    window = terminal.notices.window()
    if window is None or terminal.hal.clock.trust != TRUST_SET:
        return None
    left_s = window.since - terminal.wall_s
    if left_s <= 0:
        return _BEGUN
    if left_s > 2 * DAY_S:
        return left_s // DAY_S, "days"
    if left_s > 2 * HOUR_S:
        return left_s // HOUR_S, "hours"
    return (left_s + 59) // 60, "minutes"


def restored_page(texts: "Texts", terminal: "Terminal", settings: "Settings") -> Page:
    """What makes the terminal fit for service again, and what is watched from here on."""
    lines = [texts.get("restored.text")]
    passed = texts.get("list.and").join([texts.get("test." + test) for test in terminal.state.tests_able])
    if passed:
        lines.append(texts.get("restored.verified", tests=passed))
    until = terminal.state.probation_until if terminal.state.mode == PROBATION else 0
    if until:
        lines.append(texts.get("restored.watched", until=local_time(until, settings.utc_offset_min)))
    else:
        lines.append(texts.get("restored.daily"))
    lines.extend(payment_lines(texts, terminal))
    choices = [(key, texts.get("restored.choice." + key)) for key in ("1", "2", "3")]
    return Page("restored", texts.get("restored.title"), lines, choices, texts.get("hint.choose"), "good")


def payment_lines(texts: "Texts", terminal: "Terminal") -> "list[str]":
    """That payments go through: what the payment host says of today; nothing where it says nothing."""
    payment = terminal.hal.payment
    totals = payment.totals() if payment is not None else None
    if totals is None:
        return []
    return [texts.get("restored.payments", amount="%d.%02d" % (totals.daily // 100, totals.daily % 100))]


def probation_page(texts: "Texts", terminal: "Terminal", settings: "Settings", counts: "list[int]") -> Page:
    """counts: how often each of probation.ANOMALIES was noted."""
    lines = []
    for place in range(len(ANOMALIES)):
        if counts[place]:
            lines.append(texts.get("probation." + ANOMALIES[place], count=counts[place]))
    if lines:
        lines.append(texts.get("probation.told", line=settings.get("service_line")))
    else:
        lines.append(texts.get("probation.good"))
    lines.extend(payment_lines(texts, terminal))
    choices = [("1", texts.get("probation.choice.1"))]
    return Page("probation", texts.get("probation.title"), lines, choices, texts.get("hint.choose"), "normal" if sum(counts) else "good")


def with_customer(texts: "Texts", page: Page) -> Page:
    """The page, which says that no payments are taken, with the key that shows customers so."""
    page.choices = page.choices + ((KEY_CUSTOMER, texts.get("customer.show")),)
    return page


def not_done_page(texts: "Texts") -> Page:
    """What was to happen could not be written, so it did not happen."""
    return Page(
        "not_done",
        texts.get("not_done.title"),
        [texts.get("not_done.text")],
        [("1", texts.get("not_done.choice.1"))],
        texts.get("hint.choose"),
        "alert",
    )


def suspended_page(texts: "Texts", terminal: "Terminal", settings: "Settings") -> Page:
    reasons = terminal.state.reasons
    lines = reason_lines(texts, reasons[0], settings)
    if len(reasons) > 1:
        lines.append(texts.get("suspended.more", count=len(reasons) - 1))
    lines.extend(storage_lines(texts, terminal) or [texts.get("customer.apology")])  # a small display has room for one of them
    choices = [("1", texts.get("suspended.choice.1")), ("2", texts.get("suspended.choice.2"))]
    return with_customer(texts, Page("suspended", texts.get("suspended.title"), lines, choices, texts.get("hint.choose"), "alert"))


def out_of_order_page(texts: "Texts", terminal: "Terminal", settings: "Settings") -> Page:
    lines = [
        texts.get("out_of_order.text"),
        texts.get("out_of_order.todo", line=settings.get("service_line")),
        texts.get("out_of_order.lift"),
    ]
    lines.extend(storage_lines(texts, terminal))
    return with_customer(texts, Page("out_of_order", texts.get("out_of_order.title"), lines, tone="alert"))


def reason_lines(texts: "Texts", reason: "Reason", settings: "Settings") -> "list[str]":
    """One reason in words: what, its code, who, since when, until when."""
    lines = [texts.get("suspended.reason", reason=texts.get("reason." + reason.code)), texts.get("suspended.code", code=code_of(reason))]
    if reason.component:
        lines.append(texts.get("suspended.component", device=texts.get("device." + reason.component)))
    if reason.since:
        lines.append(texts.get("suspended.since", since=local_time(reason.since, settings.utc_offset_min)))
    if reason.until:
        lines.append(texts.get("suspended.until", until=local_time(reason.until, settings.utc_offset_min)))
    else:
        lines.append(texts.get("suspended.until_unknown"))
    lines.append(texts.get("suspended.by_acquirer" if reason.actor == ACTOR_HOST else "suspended.by_terminal"))
    if reason.case:
        lines.append(texts.get("suspended.case", case=reason.case))
    return lines


def code_of(reason: "Reason") -> str:
    """The code that a merchant reads out on the telephone: 'S6 violation'."""
    return "S%d %s" % (reason.kind.number, reason.code)
