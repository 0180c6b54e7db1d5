"""One self-test run: each result kept as it comes, and at the end what it means for the terminal's state, with the report, in one write."""

from firmware_agent import VERSION
from firmware_agent.links.access import join
from firmware_agent.messages.cbor import encode
from firmware_agent.selftest.engine import run_plan
from firmware_agent.selftest.phases import PASS, Phase, Result
from firmware_agent.state.machine import FaultCleared, Suspended
from firmware_agent.state.reasons import ACTOR_POI, Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.state.machine import Event
    from firmware_agent.terminal import Terminal

KEY_TEST = "test."  # + phase: its last result


async def self_test(terminal: "Terminal", plan_name: str, plan: "list[Phase]", shown: "Callable[[Result], None]") -> None:
    """Run the plan and take what it found into the state. shown: called with each result as it comes."""
    hal = terminal.hal

    def done(result: Result) -> None:
        terminal.log(
            "self-test %s %s %s %d ms" % (result.phase, result.outcome, result.cause or "-", result.duration_ms)
        )
        terminal.store.put(KEY_TEST + result.phase, encode(result.to_list()))
        shown(result)

    async def join_network() -> None:
        await join(hal, terminal.log)

    results = await run_plan(hal, plan, done, {"network": join_network})
    report: dict[str, object] = {
        "plan": plan_name,
        "results": [result.to_list() for result in results],
        "mode": terminal.state.mode,
        "firmware": VERSION,
        "board": hal.board,
        "element": hal.secure_element.in_hardware,
        "dropped": terminal.outbox.dropped,
    }
    terminal.apply(_found(terminal, results), [("report", report)])


def _found(terminal: "Terminal", results: "list[Result]") -> "list[Event]":
    """A defect suspends the terminal, once; when all that was tested of a device passes, what the terminal itself had found in it is
    cleared. Anything else decides nothing.
    """
    events: list[Event] = []
    imperfect = [result.kind for result in results if result.outcome != PASS]
    for result in results:
        if result.suspends:
            reason = Reason("hardware_fault", ACTOR_POI, terminal.wall_s, component=result.kind, note=result.cause)
            if not any(held.same_cause(reason) for held in terminal.state.reasons):
                events.append(Suspended(reason))
        elif result.kind not in imperfect:
            events.append(FaultCleared(result.kind))
    return events
