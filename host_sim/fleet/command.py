"""The command `reinstate fleet`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from host_sim.fleet.fleet import FleetError, Plan, hints, run

__all__ = ["FleetError", "add_command", "carry_out"]

IN_THE_MIDDLE = -1.0  # of --seconds


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """To the parser of `reinstate`."""
    plan = Plan(terminals=1)
    fleet = commands.add_parser("fleet", help="run many terminals at one broker and one acquirer", description=carry_out.__doc__)
    fleet.add_argument("-n", type=_whole, required=True, metavar="N", dest="terminals", help="how many terminals")
    fleet.add_argument("--seconds", type=_number, default=plan.seconds, metavar="S", help="from when all are online (default: %(default)g)")
    fleet.add_argument("--every", type=_number, default=plan.every, metavar="S", help="so often each one reports (default: %(default)g)")
    fleet.add_argument("--start-over", type=_number, default=0.0, metavar="S", help="start them within that time (default: 20 a second)")
    fleet.add_argument("--workers", type=_whole, default=plan.workers, metavar="N", help="of the acquirer (default: %(default)s)")
    fleet.add_argument("--name", default=plan.name, help="the acquirer's, as it stands in topics (default: %(default)s)")
    fleet.add_argument("--broker", default="", metavar="URL", help="mqtts://HOST:PORT (default: a mosquitto of its own)")
    fleet.add_argument("--authority", type=Path, metavar="FILE", help="key and certificate, PEM, by which the broker lets clients in")
    fleet.add_argument("--ca", type=Path, metavar="FILE", help="who issued the broker's certificate, PEM or DER (default: the authority)")
    fleet.add_argument(
        "--restart-broker-after", type=_number, metavar="S", dest="restart_after", help="its own broker, S s after all are online"
    )
    storm_help = "cut all connections at once, S s after all are online (without S: in the middle)"
    fleet.add_argument("--storm", type=_number, nargs="?", const=IN_THE_MIDDLE, metavar="S", dest="storm_after", help=storm_help)
    fleet.add_argument("--slow", type=_whole, default=0, metavar="PERCENT", help="of the terminals: behind a line that is slow")
    fleet.add_argument("--lossy", type=_whole, default=0, metavar="PERCENT", help="of the terminals: behind a line that loses something")
    fleet.add_argument("--keep", type=Path, metavar="DIR", help="an empty folder, where the acquirer's store and the logs stay")
    fleet.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")


def carry_out(options: argparse.Namespace) -> bool:
    """Run many terminals, each the real agent, in this process, at a broker and an acquirer; then tell what arrived, how quickly, and how
    they came back. Exit code 1: something was lost, duplicated or refused, or not all came back.
    """
    values = vars(options)
    if options.storm_after == IN_THE_MIDDLE:
        values["storm_after"] = options.seconds / 2
    plan = Plan(**{name: values[name] for name in Plan.__dataclass_fields__})
    plan.check()

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    for hint in hints(plan):
        tell(hint)
    report = asyncio.run(run(plan, tell))
    print(json.dumps(report, indent=2) if options.json else table(report))
    return bool(report["holds"])


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    rows = [(word, str(report[word])) for word in ("terminals", "published", "delivered", "verified", "refused", "lost", "duplicated")]
    rows.append(("redelivered", f"{report['redelivered']} copies, which the acquirer dropped"))
    rows.append(("reports", f"{report['reports']['made']} made, {report['reports']['delivered']} delivered"))
    latency = report["latency_ms"]
    if latency:
        rows.append(("latency", f"{latency['p50']} ms (median), {latency['p95']} ms (95 %), {latency['p99']} ms (99 %)"))
    for wave in report["waves"]:
        came = f"{wave['back']} of {report['terminals']} back" + (
            f" after {wave['all_back_after_s']} s" if wave["all_back_after_s"] else ""
        )
        rate = f"connections a second: {wave['peak_per_s']} at most, {wave['mean_per_s']} on average ({wave['ratio']} to 1)"
        rows.append((wave["cause"], f"{came}; {rate}"))
    cpu = report["cpu_s"]
    rows.append(("set up in", f"{report['setup_s']} s, all online {report['start_s']} s after the first was started"))
    rows.append(
        (
            "took",
            f"{report['memory_kib_per_terminal']} KiB a terminal; processor {cpu['terminals']} s, others {cpu['broker_and_workers']} s",
        )
    )
    rows += [("trouble", line) for line in report["troubles"]]
    rows.append(("", "all that was said has arrived, once" if report["holds"] else "NOT all that was said has arrived once"))
    width = max(len(word) for word, _ in rows)
    return "\n".join(f"{word:<{width}}  {told}".strip() for word, told in rows)


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _number(text: str) -> float:
    """Seconds, from 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value
