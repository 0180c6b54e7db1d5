"""What the acquirer knows of a terminal, for people: each message that it verified is read once, and told in codes, values and lines."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from firmware_agent.messages.schema import Claims
from firmware_agent.selftest.report import from_list
from firmware_agent.state.reasons import Reason
from host_sim.acquirer.acquirer import Acquirer, summary
from host_sim.acquirer.sealing import NotOpened, masked_applicant
from host_sim.verify import jsonable

if TYPE_CHECKING:
    from host_sim.acquirer.account import Account

MOST = {"events": 100, "reports": 5, "tests": 50, "applications": 20, "receipts": 20, "timeline": 200}
OF_THE_LINE = ("receipt", "inquiry", "audit")  # what is no event in a terminal's life


class AccountView:
    """terminal: its number; since: number of the last message in the registry that is not for this view, the newest one unless given."""

    def __init__(self, acquirer: Acquirer, terminal: str, since: int | None = None) -> None:
        self._acquirer = acquirer
        self._terminal = terminal
        self.since = self._read = acquirer.registry.newest() if since is None else since
        self._lists: dict[str, deque[dict[str, Any]]] = {name: deque(maxlen=most) for name, most in MOST.items()}
        self.decided: dict[int, str] = {}  # application's number -> what was decided
        self._summary = ""
        self._has_told = False

    def document(self, account: Account) -> dict[str, Any]:
        for kept in self._acquirer.registry.messages(self._terminal, after=self._read):
            self._read = kept.id
            self._take(kept.claims)
        state = account.state if self._has_told else {}
        return {
            "mode": state.get("mode", ""),
            "status": state.get("status", ""),
            "online": account.online and self._has_told,
            "reasons": [_reason(values) for values in state.get("reasons", [])],
            "tests_due": state.get("tests_due", []),
            "step": state.get("step", ""),
            "summary": self._summary,
            **{name: list(values) for name, values in self._lists.items()},
            "applications": [told | {"decided": self.decided.get(told["application"], "")} for told in self._lists["applications"]],
        }

    def _take(self, claims: Claims) -> None:
        kind, body, at = claims.kind.name, claims.body, {"at": claims.issued_at}
        lists = self._lists
        if kind not in OF_THE_LINE:
            lists["timeline"].append(at | {"what": summary(kind, body)})
        if kind == "state":
            self._has_told = True
        elif kind == "event":
            lists["events"].append(at | {"name": claims.text("name"), "detail": claims.text("detail")})
        elif kind == "events":
            lists["events"] += [_event(values) for values in claims.items("events")]
        elif kind == "report":
            results = [_result(values) for values in claims.items("results")]
            lists["reports"].append(at | {"plan": claims.text("plan"), "results": results})
        elif kind == "test":
            lists["tests"].append(at | {name: claims.text(name) for name in ("name", "outcome", "cause")})
        elif kind == "application":
            told = {name: jsonable(body[name]) for name in ("application", "purpose", "level", "materials") if name in body}
            lists["applications"].append(at | told | {"applicant": self._applicant(body)})
        elif kind == "receipt":
            facts = {name: claims.text(name) for name in ("result", "refusal")}
            lists["receipts"].append(at | facts | {"of": claims.octets("of").hex()})
        elif kind == "summary":
            self._summary = summary(kind, body)

    def _applicant(self, body: dict[str, Any]) -> str:
        try:
            return masked_applicant(self._acquirer.applicant(self._terminal, body))
        except NotOpened as error:
            return f"cannot be opened: {error.code}"


def _result(values: object) -> dict[str, Any]:
    result = from_list(values)
    return {name: getattr(result, name) for name in ("phase", "outcome", "cause", "detail", "duration_ms")} | {"device": result.kind}


def _reason(values: object) -> dict[str, Any]:
    reason = Reason.from_told(values)
    return {name: getattr(reason, name) for name in ("code", "actor", "since", "until", "component", "case", "note")}


def _event(values: object) -> dict[str, Any]:
    assert isinstance(values, list)
    padded: list[Any] = values + ["", 0, 1][len(values) - 1 :]
    name, detail, when, times = padded
    return {"at": when, "name": name, "detail": detail, "times": times}
